/* Making nodes: promotion, broadcasting, the checks that every op shares, and the table of all ops.
 * Rests on op.h and on the public builders for casts and expands. Each rule of NumPy's is written down once, here. */
#include "ops/build.h"

#include <string.h>

#include <soma/ops.h>

#include "cpu/reference/element.h"

const op *const op_table[] = {
#define OP(name) &op_##name,
#include "ops/ops.def"
#undef OP
};
const int op_count = (int)(sizeof op_table / sizeof *op_table);

bool op_size_fits(soma_context *context, const char *name, int rank, const int64_t *shape) {
    char buffer[SHAPE_TEXT];
    const int64_t size = shape_size(rank, shape);
    if (size >= 0 && size <= INT64_MAX / 16) return true;
    (void)error_set(context, SOMA_SHAPE, "[%s] %s is negative or too large", name, shape_text(buffer, rank, shape));
    return false;
}

soma_tensor *op_apply(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                      const op_attributes *attributes) {
    for (int i = 0; i < n; i++)
        if (!inputs[i]) return NULL;
    graph = n > 0 && !graph ? inputs[0]->graph : graph_or_default(graph);
    if (!graph) return NULL;
    soma_context *context = graph->context;
    RETURN_NULL_IF(context, n < self->min_inputs || (self->max_inputs >= 0 && n > self->max_inputs), SOMA_INVALID,
                   "[%s] %d inputs given", self->name, n);
    for (int i = 0; i < n; i++)
        RETURN_NULL_IF(context, inputs[i]->graph != graph, SOMA_INVALID, "[%s] input %d belongs to another graph",
                       self->name, i);
    if (!attributes) attributes = &op_no_attributes;
    soma_dtype dtype = SOMA_F32;
    int rank = 0;
    int64_t shape[SOMA_MAX_RANK] = {0};
    if (self->infer(graph, self, inputs, n, attributes, &dtype, &rank, shape) != SOMA_OK) return NULL;
    if (!op_size_fits(context, self->name, rank, shape)) return NULL;
    return graph_node(graph, self, inputs, n, dtype, rank, shape, attributes);
}

/* ---- dtypes ---- */

soma_dtype op_promote(soma_dtype a, soma_dtype b) {
    if (a == b) return a;
    if (dtype_is_float(a) && dtype_is_float(b)) return a == SOMA_F64 || b == SOMA_F64 ? SOMA_F64 : SOMA_F32;
    if (dtype_is_float(a)) return a;
    if (dtype_is_float(b)) return b;
    if (a == SOMA_BOOL) return b;
    if (b == SOMA_BOOL) return a;
    if (a == SOMA_U8) return b == SOMA_I8 ? SOMA_I16 : b;
    if (b == SOMA_U8) return a == SOMA_I8 ? SOMA_I16 : a;
    return soma_dtype_size(a) > soma_dtype_size(b) ? a : b;
}

soma_tensor *op_to_float(soma_tensor *x) {
    return !x || dtype_is_float(x->dtype) ? x : soma_cast(x, SOMA_F32);
}

soma_tensor *op_number(const soma_tensor *x, double value) {
    return soma_scalar(x->graph, x->dtype, value);
}

bool op_promote_all(int n, soma_tensor **xs) {
    soma_dtype dtype = SOMA_BOOL;
    for (int i = 0; i < n; i++) {
        if (!xs[i]) return false;
        dtype = i == 0 ? xs[i]->dtype : op_promote(dtype, xs[i]->dtype);
    }
    for (int i = 0; i < n; i++)
        if (!(xs[i] = soma_cast(xs[i], dtype))) return false;
    return true;
}

/* ---- shapes ---- */

bool op_broadcast_shape(int rank_a, const int64_t *a, int rank_b, const int64_t *b, int *rank, int64_t *shape) {
    int64_t out[SOMA_MAX_RANK];
    int most = rank_a > rank_b ? rank_a : rank_b;
    for (int i = 1; i <= most; i++) {
        int64_t extent_a = i <= rank_a ? a[rank_a - i] : 1, extent_b = i <= rank_b ? b[rank_b - i] : 1;
        if (extent_a != extent_b && extent_a != 1 && extent_b != 1) return false;
        out[most - i] = extent_a == 1 ? extent_b : extent_a;
    }
    *rank = most;
    if (most > 0) memcpy(shape, out, (size_t)most * sizeof *out);
    return true;
}

bool op_broadcast_all(const op *self, int n, soma_tensor **xs) {
    int rank = 0;
    int64_t shape[SOMA_MAX_RANK];
    for (int i = 0; i < n; i++) {
        if (!xs[i]) return false;
        if (op_broadcast_shape(rank, shape, xs[i]->rank, xs[i]->shape, &rank, shape)) continue;
        char before[SHAPE_TEXT], here[SHAPE_TEXT];
        (void)error_set(
            xs[i]->graph->context, SOMA_SHAPE,
            "[%s] shapes %s and %s do not broadcast: counted from the last axis, extents must be equal or 1",
            self->name, shape_text(before, rank, shape), tensor_shape_text(here, xs[i]));
        return false;
    }
    for (int i = 0; i < n; i++)
        if (!(xs[i] = soma_expand(xs[i], rank, shape))) return false;
    return true;
}

bool op_axis(const soma_tensor *x, const char *name, int *axis) {
    int counted = *axis < 0 ? *axis + x->rank : *axis;
    if (counted < 0 || counted >= x->rank) {
        char buffer[SHAPE_TEXT];
        (void)error_set(x->graph->context, SOMA_SHAPE, "[%s] axis %d is out of range for shape %s", name, *axis,
                        tensor_shape_text(buffer, x));
        return false;
    }
    *axis = counted;
    return true;
}

/* ---- maps ---- */

enum { MAP_INPUTS = 3 };

soma_tensor *op_map(const op *self, int n, soma_tensor *const *xs) {
    soma_tensor *inputs[MAP_INPUTS];
    memcpy(inputs, xs, (size_t)n * sizeof *xs);
    if (!op_promote_all(n, inputs) || !op_broadcast_all(self, n, inputs)) return NULL;
    return op_apply(NULL, self, inputs, n, NULL);
}

soma_tensor *op_map_float(const op *self, int n, soma_tensor *const *xs) {
    soma_tensor *inputs[MAP_INPUTS];
    memcpy(inputs, xs, (size_t)n * sizeof *xs);
    if (!op_promote_all(n, inputs)) return NULL;
    for (int i = 0; i < n; i++)
        if (!(inputs[i] = op_to_float(inputs[i]))) return NULL;
    return op_map(self, n, inputs);
}

bool op_known_number(const soma_tensor *x, double *value) {
    while (x && x->op == &op_expand)
        x = x->inputs[0];
    if (!x || x->op != &op_constant || shape_size(x->rank, x->shape) != 1) return false;
    *value = element_get(x->dtype, x->data, 0);
    return true;
}

soma_status op_infer_any(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                         const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    (void)attributes;
    const soma_tensor *first = inputs[0];
    for (int i = 1; i < n; i++) {
        char a[SHAPE_TEXT], b[SHAPE_TEXT];
        RETURN_IF(graph->context, !shape_equal(first->rank, first->shape, inputs[i]->rank, inputs[i]->shape),
                  SOMA_SHAPE, "[%s] shapes %s and %s differ", self->name, tensor_shape_text(a, first),
                  tensor_shape_text(b, inputs[i]));
        RETURN_IF(graph->context, first->dtype != inputs[i]->dtype, SOMA_DTYPE, "[%s] dtypes %s and %s differ",
                  self->name, soma_dtype_name(first->dtype), soma_dtype_name(inputs[i]->dtype));
    }
    *dtype = first->dtype;
    *rank = first->rank;
    memcpy(shape, first->shape, sizeof first->shape);
    return SOMA_OK;
}

soma_status op_infer_number(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                            const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    RETURN_IF(graph->context, inputs[0]->dtype == SOMA_BOOL, SOMA_DTYPE,
              "[%s] bool is not a number: soma_cast it first, or use a logical op", self->name);
    return op_infer_any(graph, self, inputs, n, attributes, dtype, rank, shape);
}

soma_status op_infer_float(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                           const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    RETURN_IF(graph->context, !dtype_is_float(inputs[0]->dtype), SOMA_DTYPE, "[%s] needs floats, not %s", self->name,
              soma_dtype_name(inputs[0]->dtype));
    return op_infer_any(graph, self, inputs, n, attributes, dtype, rank, shape);
}

soma_status op_infer_truth(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                           const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    TRY(op_infer_any(graph, self, inputs, n, attributes, dtype, rank, shape));
    *dtype = SOMA_BOOL;
    return SOMA_OK;
}

void op_vjp_zero(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    (void)y, (void)dy, (void)needed, (void)dx;
}

soma_status op_reference_map(const soma_tensor *node, const op_view *inputs, op_view *output) {
    ref_map((cpu_map)node->op->code, node->n_inputs, inputs, output);
    return SOMA_OK;
}
