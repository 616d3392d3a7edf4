/* Moves that cost nothing: reshape, permute, expand and slice say where elements are, not what they are.
 * Rests on build.h. Their gradients are moves too, and sums where an element was seen more than once. */
#include <string.h>

#include <soma/ops.h>

#include "ops/build.h"

/* The input seen through other extents and strides, written out. */
static soma_status copy_through(const op_view *x, int64_t offset, int rank, const int64_t *shape,
                                const int64_t *strides, op_view *output) {
    op_view seen = {.data = view_at(x, offset), .dtype = x->dtype, .rank = rank};
    if (rank > 0) {
        memcpy(seen.shape, shape, (size_t)rank * sizeof *shape);
        memcpy(seen.strides, strides, (size_t)rank * sizeof *strides);
    }
    ref_copy(&seen, output);
    return SOMA_OK;
}

static soma_tensor *apply_view(const op *self, soma_tensor *x, const op_attributes *attributes) {
    return op_apply(NULL, self, &x, 1, attributes);
}

static op_attributes with_shape(int rank, const int64_t *shape) {
    op_attributes attributes = {.rank = rank};
    if (rank > 0) memcpy(attributes.shape, shape, (size_t)rank * sizeof *shape);
    return attributes;
}

static bool good_rank(const soma_tensor *x, const char *name, int rank, const int64_t *shape) {
    if (shape_given(rank, shape)) return true;
    (void)error_set(x->graph->context, SOMA_SHAPE, "[%s] rank %d is not in 0 to %d%s", name, rank, SOMA_MAX_RANK,
                    shape ? "" : ", or no shape is given");
    return false;
}

/* ---- reshape ---- */

static soma_status infer_reshape(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                                 const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    (void)self, (void)n;
    const soma_tensor *x = inputs[0];
    char from[SHAPE_TEXT], to[SHAPE_TEXT];
    RETURN_IF(graph->context, shape_size(attributes->rank, attributes->shape) != shape_size(x->rank, x->shape),
              SOMA_SHAPE, "[reshape] %s has %lld elements, %s has another number", tensor_shape_text(from, x),
              (long long)shape_size(x->rank, x->shape), shape_text(to, attributes->rank, attributes->shape));
    *dtype = x->dtype;
    *rank = attributes->rank;
    memcpy(shape, attributes->shape, sizeof attributes->shape);
    return SOMA_OK;
}

soma_tensor *soma_reshape(soma_tensor *x, int rank, const int64_t *shape) {
    if (!x || !good_rank(x, "reshape", rank, shape)) return NULL;
    op_attributes attributes = with_shape(rank, shape);
    int open = -1;
    for (int i = 0; i < rank; i++) {
        if (shape[i] != -1) continue;
        RETURN_NULL_IF(x->graph->context, open >= 0, SOMA_SHAPE, "[reshape] only one extent can be -1");
        open = i;
        attributes.shape[i] = 1;
    }
    if (open >= 0) {
        int64_t rest = shape_size(rank, attributes.shape), size = shape_size(x->rank, x->shape);
        char from[SHAPE_TEXT], to[SHAPE_TEXT];
        RETURN_NULL_IF(x->graph->context, rest <= 0 || size % rest != 0, SOMA_SHAPE,
                       "[reshape] the %lld elements of %s do not fill %s", (long long)size, tensor_shape_text(from, x),
                       shape_text(to, rank, shape));
        attributes.shape[open] = size / rest;
    }
    if (shape_equal(x->rank, x->shape, rank, attributes.shape)) return x;
    return apply_view(&op_reshape, x, &attributes);
}

soma_tensor *soma_expand_dims(soma_tensor *x, int axis) {
    if (!x || !good_rank(x, "expand_dims", x->rank + 1, x->shape)) return NULL;
    int at = axis < 0 ? axis + x->rank + 1 : axis;
    RETURN_NULL_IF(x->graph->context, at < 0 || at > x->rank, SOMA_SHAPE,
                   "[expand_dims] axis %d is out of range for a result of rank %d", axis, x->rank + 1);
    int64_t shape[SOMA_MAX_RANK];
    for (int i = 0; i <= x->rank; i++)
        shape[i] = i < at ? x->shape[i] : i == at ? 1 : x->shape[i - 1];
    return soma_reshape(x, x->rank + 1, shape);
}

soma_tensor *soma_squeeze(soma_tensor *x, int axis) {
    if (!x || !op_axis(x, "squeeze", &axis)) return NULL;
    RETURN_NULL_IF(x->graph->context, x->shape[axis] != 1, SOMA_SHAPE, "[squeeze] axis %d has extent %lld, not 1", axis,
                   (long long)x->shape[axis]);
    int64_t shape[SOMA_MAX_RANK];
    for (int i = 0; i < x->rank - 1; i++)
        shape[i] = x->shape[i < axis ? i : i + 1];
    return soma_reshape(x, x->rank - 1, shape);
}

static void vjp_reshape(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    (void)needed;
    dx[0] = soma_reshape(dy, y->inputs[0]->rank, y->inputs[0]->shape);
}

static soma_status reference_reshape(const soma_tensor *node, const op_view *inputs, op_view *output) {
    (void)node;
    ref_copy(&inputs[0], output);
    return SOMA_OK;
}

/* ---- permute ---- */

static soma_status infer_permute(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                                 const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    (void)self, (void)n;
    const soma_tensor *x = inputs[0];
    uint32_t seen = 0;
    for (int i = 0; i < x->rank; i++) {
        int64_t from = attributes->start[i];
        RETURN_IF(graph->context, from < 0 || from >= x->rank || (seen >> from & 1), SOMA_SHAPE,
                  "[transpose] axes of rank %d must be each of 0 to %d once: axis %lld is not", x->rank, x->rank - 1,
                  (long long)from);
        seen |= UINT32_C(1) << from;
        shape[i] = x->shape[from];
    }
    *dtype = x->dtype;
    *rank = x->rank;
    return SOMA_OK;
}

soma_tensor *soma_transpose(soma_tensor *x, const int *axes) {
    if (!x) return NULL;
    op_attributes attributes = {.rank = x->rank};
    bool moved = false;
    for (int i = 0; i < x->rank; i++) {
        int from = axes ? axes[i] : x->rank - 1 - i;
        attributes.start[i] = from < 0 ? from + x->rank : from;
        moved = moved || attributes.start[i] != i;
    }
    return moved ? apply_view(&op_permute, x, &attributes) : x;
}

static void vjp_permute(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    (void)needed;
    int back[SOMA_MAX_RANK];
    for (int i = 0; i < y->rank; i++)
        back[y->attributes->start[i]] = i;
    dx[0] = soma_transpose(dy, back);
}

static soma_status reference_permute(const soma_tensor *node, const op_view *inputs, op_view *output) {
    int64_t strides[SOMA_MAX_RANK] = {0};
    for (int i = 0; i < node->rank; i++)
        strides[i] = inputs[0].strides[node->attributes->start[i]];
    return copy_through(&inputs[0], 0, node->rank, node->shape, strides, output);
}

/* ---- expand ---- */

static soma_status infer_expand(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                                const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    (void)self, (void)n;
    const soma_tensor *x = inputs[0];
    bool fits = attributes->rank >= x->rank;
    for (int i = 1; fits && i <= x->rank; i++)
        fits = x->shape[x->rank - i] == 1 || x->shape[x->rank - i] == attributes->shape[attributes->rank - i];
    char from[SHAPE_TEXT], to[SHAPE_TEXT];
    RETURN_IF(graph->context, !fits, SOMA_SHAPE, "[expand] %s does not broadcast to %s", tensor_shape_text(from, x),
              shape_text(to, attributes->rank, attributes->shape));
    *dtype = x->dtype;
    *rank = attributes->rank;
    memcpy(shape, attributes->shape, sizeof attributes->shape);
    return SOMA_OK;
}

soma_tensor *soma_expand(soma_tensor *x, int rank, const int64_t *shape) {
    if (!x || !good_rank(x, "expand", rank, shape)) return NULL;
    if (shape_equal(x->rank, x->shape, rank, shape)) return x;
    op_attributes attributes = with_shape(rank, shape);
    return apply_view(&op_expand, x, &attributes);
}

static void vjp_expand(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    (void)needed;
    dx[0] = op_sum_to(dy, y->inputs[0]->rank, y->inputs[0]->shape);
}

static soma_status reference_expand(const soma_tensor *node, const op_view *inputs, op_view *output) {
    const op_view *x = &inputs[0];
    int64_t strides[SOMA_MAX_RANK] = {0};
    int leading = node->rank - x->rank;
    for (int i = 0; i < x->rank; i++)
        strides[leading + i] = x->shape[i] == 1 ? 0 : x->strides[i];
    return copy_through(x, 0, node->rank, node->shape, strides, output);
}

/* ---- slice ---- */

static soma_status infer_slice(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                               const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    (void)self, (void)n;
    const soma_tensor *x = inputs[0];
    char text_x[SHAPE_TEXT];
    for (int i = 0; i < x->rank; i++) {
        int64_t extent = x->shape[i], first = attributes->start[i], step = attributes->step[i];
        int64_t count = attributes->shape[i], last = 0;
        bool fits = count == 0 || (count > 0 && step != 0 && first >= 0 && first < extent &&
                                   int64_mul_checked(count - 1, step, &last) && int64_add_checked(first, last, &last) &&
                                   last >= 0 && last < extent);
        RETURN_IF(graph->context, !fits, SOMA_SHAPE,
                  "[slice] %lld elements from %lld by %lld are not all inside axis %d of %s", (long long)count,
                  (long long)first, (long long)step, i, tensor_shape_text(text_x, x));
        shape[i] = count;
    }
    *dtype = x->dtype;
    *rank = x->rank;
    return SOMA_OK;
}

soma_tensor *op_slice_box(soma_tensor *x, const int64_t *first, const int64_t *count, const int64_t *step) {
    if (!x) return NULL;
    op_attributes attributes = with_shape(x->rank, count);
    bool whole = true;
    for (int i = 0; i < x->rank; i++) {
        bool several = count[i] > 1;
        attributes.start[i] = count[i] > 0 ? first[i] : 0;
        attributes.step[i] = several ? step[i] : 1;
        whole = whole && count[i] == x->shape[i] && attributes.step[i] == 1;
    }
    return whole ? x : apply_view(&op_slice, x, &attributes);
}

soma_tensor *op_spread(soma_tensor *x, int axis, int64_t step) {
    static const int64_t zero[SOMA_MAX_RANK];
    int64_t shape[SOMA_MAX_RANK], one[SOMA_MAX_RANK], count = x->shape[axis];
    int64_t behind = shape_size(x->rank - axis - 1, x->shape + axis + 1);
    for (int i = 0; i < x->rank; i++) {
        shape[i] = x->shape[i];
        one[i] = 1;
    }
    soma_tensor *rows = soma_reshape(x, SOMA_DIMS(shape_size(axis + 1, x->shape), 1, behind));
    soma_tensor *wide = soma_pad(rows, zero, (const int64_t[]){0, step - 1, 0}, 0);
    shape[axis] = count * step;
    wide = soma_reshape(wide, x->rank, shape);
    shape[axis] = (count - 1) * step + 1;
    return op_slice_box(wide, zero, shape, one);
}

/* dy goes back to where it was seen: flipped where the step was negative, spread where it was not 1, then padded. */
static void vjp_slice(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    (void)needed;
    const soma_tensor *x = y->inputs[0];
    const op_attributes *at = y->attributes;
    int64_t before[SOMA_MAX_RANK] = {0}, after[SOMA_MAX_RANK] = {0}, first[SOMA_MAX_RANK], turn[SOMA_MAX_RANK];
    for (int i = 0; i < y->rank; i++) {
        int64_t count = y->shape[i], step = at->step[i];
        int64_t low = at->start[i], span = count == 0 ? 0 : (count - 1) * (step < 0 ? -step : step) + 1;
        if (step < 0) low -= span - 1;
        first[i] = step < 0 ? count - 1 : 0;
        turn[i] = step < 0 ? -1 : 1;
        before[i] = low;
        after[i] = x->shape[i] - low - span;
    }
    dy = op_slice_box(dy, first, y->shape, turn);
    for (int i = 0; dy && i < y->rank; i++)
        if (y->shape[i] > 1 && at->step[i] != turn[i]) dy = op_spread(dy, i, at->step[i] * turn[i]);
    dx[0] = soma_pad(dy, before, after, 0);
}

static soma_status reference_slice(const soma_tensor *node, const op_view *inputs, op_view *output) {
    int64_t strides[SOMA_MAX_RANK] = {0}, offset = 0;
    for (int i = 0; i < node->rank; i++) {
        strides[i] = inputs[0].strides[i] * node->attributes->step[i];
        offset += inputs[0].strides[i] * node->attributes->start[i];
    }
    return copy_through(&inputs[0], offset, node->rank, node->shape, strides, output);
}

/* ---- samples and descriptors ---- */

#define SAMPLE(name, expression)                                                                                       \
    static soma_tensor *name(soma_tensor *const *xs) {                                                                 \
        soma_tensor *x = xs[0];                                                                                        \
        return expression;                                                                                             \
    }
#define END                                                                                                            \
    {                                                                                                                  \
        NULL, NULL, 0, {                                                                                               \
            { SOMA_F32, 0, {0}, 0, 0 }                                                                                 \
        }                                                                                                              \
    }

SAMPLE(flatten, soma_reshape(x, SOMA_DIMS(-1)))
SAMPLE(fold, soma_reshape(soma_transpose(x, NULL), SOMA_DIMS(3, -1)))
SAMPLE(to_scalar, soma_reshape(x, SOMA_SCALAR_DIMS))
SAMPLE(between, soma_exp(soma_reshape(soma_neg(x), SOMA_DIMS(6, 4))))
static const op_sample samples_reshape[] = {{"flatten", flatten, 1, {{SOMA_F32, 3, {2, 3, 4}, -2, 2}}},
                                            {"transposed", fold, 1, {{SOMA_F32, 2, {4, 6}, -2, 2}}},
                                            {"scalar", to_scalar, 1, {{SOMA_F32, 2, {1, 1}, -2, 2}}},
                                            {"between maps", between, 1, {{SOMA_F32, 3, {2, 3, 4}, -2, 2}}},
                                            {"bytes", flatten, 1, {{SOMA_U8, 3, {2, 3, 4}, 0, 255}}},
                                            {"empty", flatten, 1, {{SOMA_F32, 2, {0, 3}, -2, 2}}},
                                            END};
const op op_reshape = {"reshape",
                       "y = the elements of x in another shape",
                       OP_VIEW,
                       0,
                       1,
                       1,
                       infer_reshape,
                       vjp_reshape,
                       NULL,
                       reference_reshape,
                       "Reshape-14",
                       OP_SAMPLES(samples_reshape)};

SAMPLE(reversed, soma_transpose(x, NULL))
SAMPLE(channels_first, soma_transpose(x, (const int[]){0, -1, 1, 2}))
SAMPLE(twice, soma_transpose(soma_exp(soma_transpose(x, NULL)), (const int[]){1, 0}))
static const op_sample samples_permute[] = {{"matrix", reversed, 1, {{SOMA_F32, 2, {17, 35}, -2, 2}}},
                                            {"images", channels_first, 1, {{SOMA_F32, 4, {2, 4, 5, 3}, -2, 2}}},
                                            {"between maps", twice, 1, {{SOMA_F32, 2, {5, 18}, -2, 2}}},
                                            {"integers", reversed, 1, {{SOMA_I64, 3, {2, 3, 4}, -9, 9}}},
                                            {"empty", reversed, 1, {{SOMA_F32, 2, {3, 0}, -2, 2}}},
                                            END};
const op op_permute = {"transpose",
                       "axis i of y is axis axes[i] of x",
                       OP_VIEW,
                       0,
                       1,
                       1,
                       infer_permute,
                       vjp_permute,
                       NULL,
                       reference_permute,
                       "Transpose-13",
                       OP_SAMPLES(samples_permute)};

SAMPLE(to_rows, soma_expand(x, SOMA_DIMS(5, 19)))
SAMPLE(to_stack, soma_expand(x, SOMA_DIMS(2, 3, 4, 5)))
SAMPLE(stretched, soma_mul(soma_expand(x, SOMA_DIMS(6, 6)), soma_transpose(soma_expand(x, SOMA_DIMS(6, 6)), NULL)))
static const op_sample samples_expand[] = {{"rows", to_rows, 1, {{SOMA_F32, 1, {19}, -2, 2}}},
                                           {"columns", to_rows, 1, {{SOMA_F32, 2, {5, 1}, -2, 2}}},
                                           {"scalar", to_rows, 1, {{SOMA_F32, 0, {0}, -2, 2}}},
                                           {"stack", to_stack, 1, {{SOMA_F32, 3, {3, 1, 5}, -2, 2}}},
                                           {"product", stretched, 1, {{SOMA_F32, 1, {6}, -2, 2}}},
                                           {"integers", to_rows, 1, {{SOMA_I32, 2, {1, 19}, -9, 9}}},
                                           END};
const op op_expand = {
    "expand",    "y = x broadcast to a shape", OP_VIEW, 0, 1, 1, infer_expand, vjp_expand, NULL, reference_expand,
    "Expand-13", OP_SAMPLES(samples_expand)};

SAMPLE(part, soma_slice(x, "1:4, 2:-1"))
SAMPLE(spread, soma_slice(x, "::2, 1::3"))
SAMPLE(backward, soma_slice(x, "::-1, -2::-3"))
SAMPLE(one_row, soma_slice(x, "2"))
SAMPLE(nothing, soma_slice(x, "3:3"))
SAMPLE(again, soma_slice(soma_slice(soma_exp(x), "::-2, 1:"), "1:, ::2"))
static const op_sample samples_slice[] = {{"part", part, 1, {{SOMA_F32, 2, {5, 37}, -2, 2}}},
                                          {"spread", spread, 1, {{SOMA_F32, 2, {5, 37}, -2, 2}}},
                                          {"backward", backward, 1, {{SOMA_F32, 2, {5, 37}, -2, 2}}},
                                          {"row", one_row, 1, {{SOMA_F32, 2, {5, 37}, -2, 2}}},
                                          {"twice", again, 1, {{SOMA_F32, 2, {7, 37}, -2, 2}}},
                                          {"stack", part, 1, {{SOMA_F32, 4, {5, 6, 2, 3}, -2, 2}}},
                                          {"nothing", nothing, 1, {{SOMA_F32, 2, {5, 37}, -2, 2}}},
                                          {"bytes", spread, 1, {{SOMA_U8, 2, {5, 37}, 0, 255}}},
                                          END};
const op op_slice = {"slice",     "y = x[start + i*step] along each axis",
                     OP_VIEW,     0,
                     1,           1,
                     infer_slice, vjp_slice,
                     NULL,        reference_slice,
                     "Slice-13",  OP_SAMPLES(samples_slice)};
