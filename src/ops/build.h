/* What the op files share: promotion, broadcasting, axes, infer rules, samples.
 * Rests on op.h. Builders bring their inputs into the form that op.h promises, then op_apply checks and makes the node.
 */
#ifndef OPS_BUILD_H
#define OPS_BUILD_H

#include "ops/op.h"

/* The dtype of a result: NumPy's rules, but float32 with any integer stays float32, and a 16-bit float with any integer
 * stays itself; float16 with bfloat16 gives float32. */
soma_dtype op_promote(soma_dtype a, soma_dtype b);
/* x, or x as float32 if its elements are integers or bool. */
soma_tensor *op_to_float(soma_tensor *x);
/* A rank-0 constant in x's graph and dtype. */
soma_tensor *op_number(const soma_tensor *x, double value);
/* True and *value if x is one known number, however expanded. */
bool op_known_number(const soma_tensor *x, double *value);

/* Casts xs[0..n-1] to their common dtype, in place; false after an error. */
bool op_promote_all(int n, soma_tensor **xs);
/* Expands xs[0..n-1] to their common shape, in place; false after an error, which names the op. */
bool op_broadcast_all(const op *self, int n, soma_tensor **xs);
/* Both, and the node. */
soma_tensor *op_map(const op *self, int n, soma_tensor *const *xs);
/* The same, integers as float32. */
soma_tensor *op_map_float(const op *self, int n, soma_tensor *const *xs);

/* The shape that a and b broadcast to; false if there is none. */
bool op_broadcast_shape(int rank_a, const int64_t *a, int rank_b, const int64_t *b, int *rank, int64_t *shape);
/* Counts negative axes from the end; false after an error. */
bool op_axis(const soma_tensor *x, const char *name, int *axis);
/* x summed back to a shape that broadcasts to its own: the one place where broadcasting is undone. */
soma_tensor *op_sum_to(soma_tensor *x, int rank, const int64_t *shape);
/* a + b of two gradients; pads of zeros side by side become one. */
soma_tensor *op_add_gradients(soma_tensor *a, soma_tensor *b);
/* x with its last two axes exchanged. */
soma_tensor *op_swap_last(soma_tensor *x);
/* Sums along axis; exclusive leaves the element itself out, reverse starts from the end. */
soma_tensor *op_cumulate(soma_tensor *x, int axis, bool exclusive, bool reverse);
/* Zeros between the elements of an axis (one at least), so that neighbours come to lie step apart. */
soma_tensor *op_spread(soma_tensor *x, int axis, int64_t step);
/* A node made of other ops, where those run faster than what it is; else the node itself. For the compiler. */
soma_tensor *op_compose(soma_tensor *node);
/* A max pool of relu(x), or of x plus a number for each channel, as the same of the max pool of x; any other node
 * itself. Every element is the same number, since rounding keeps order, too. Nodes of `kept` are not left out: somebody
 * wants to see what passes through them. */
soma_tensor *op_max_first(soma_tensor *node, soma_tensor *const *kept, int n);
/* What a softmax is made of; itself where it is empty. */
soma_tensor *op_compose_softmax(soma_tensor *y);
/* x[first[i] + j*step[i]] along each axis i, count[i] elements; all in range. */
soma_tensor *op_slice_box(soma_tensor *x, const int64_t *first, const int64_t *count, const int64_t *step);

/* infer for maps: one shape and one dtype, which the result has ... */
soma_status op_infer_any(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                         const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape);
/* ... bool excluded; only floats; result bool. */
soma_status op_infer_number(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                            const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape);
soma_status op_infer_float(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                           const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape);
soma_status op_infer_truth(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                           const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape);

/* The vjp of ops whose derivative is zero wherever there is one. */
void op_vjp_zero(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx);
/* The reference of every map. */
soma_status op_reference_map(const soma_tensor *node, const op_view *inputs, op_view *output);

#endif
