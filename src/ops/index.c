/* Places that depend on data: gather, its gradient scatter-add, and cumulative sums.
 * Rests on build.h. gather and scatter-add are each other's gradients, a cumulative sum is its own, run the other way.
 */
#include <string.h>

#include <soma/ops.h>

#include "cpu/reference/element.h"
#include "ops/build.h"

#define END                                                                                                            \
    {                                                                                                                  \
        NULL, NULL, 0, {                                                                                               \
            { SOMA_F32, 0, {0}, 0, 0 }                                                                                 \
        }                                                                                                              \
    }

/* The reference's answer as an error that shows the index. */
static soma_status check_found(const soma_tensor *node, const op_view *indices, int axis, int64_t extent, int64_t bad) {
    if (bad < 0) return SOMA_OK;
    view_walk walk = walk_start(indices->rank, indices->shape, 1, (const cpu_view *const[]){indices});
    for (int64_t i = 0; i < bad; i++)
        walk_next(&walk);
    return error_set(node->graph->context, SOMA_INVALID, "[%s] index %lld is out of range for axis %d of extent %lld",
                     node->op->name, (long long)element_get_int(indices->dtype, indices->data, walk.offset[0]), axis,
                     (long long)extent);
}

/* ---- gather ---- */

static soma_status check_indices(soma_graph *graph, const op *self, const soma_tensor *indices) {
    RETURN_IF(graph->context, !dtype_is_integer(indices->dtype), SOMA_DTYPE, "[%s] indices are %s, not integers",
              self->name, soma_dtype_name(indices->dtype));
    return SOMA_OK;
}

static soma_status infer_gather(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                                const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    (void)n;
    const soma_tensor *x = inputs[0], *indices = inputs[1];
    int axis = attributes->axis;
    TRY(check_indices(graph, self, indices));
    RETURN_IF(graph->context, axis < 0 || axis >= x->rank, SOMA_SHAPE, "[gather] axis %d of rank %d", axis, x->rank);
    RETURN_IF(graph->context, x->rank + indices->rank - 1 > SOMA_MAX_RANK, SOMA_SHAPE,
              "[gather] the result would have rank %d, more than %d", x->rank + indices->rank - 1, SOMA_MAX_RANK);
    RETURN_IF(graph->context, x->shape[axis] == 0 && shape_size(indices->rank, indices->shape) > 0, SOMA_SHAPE,
              "[gather] axis %d has no elements", axis);
    *dtype = x->dtype;
    *rank = 0;
    for (int i = 0; i < axis; i++)
        shape[(*rank)++] = x->shape[i];
    for (int i = 0; i < indices->rank; i++)
        shape[(*rank)++] = indices->shape[i];
    for (int i = axis + 1; i < x->rank; i++)
        shape[(*rank)++] = x->shape[i];
    return SOMA_OK;
}

soma_tensor *soma_gather(soma_tensor *x, soma_tensor *indices, int axis) {
    if (!x || !indices || !op_axis(x, "gather", &axis)) return NULL;
    return op_apply(NULL, &op_gather, (soma_tensor *[]){x, indices}, 2, &(op_attributes){.axis = axis});
}

/* Zeros of the shape, to which the updates are added at the indices. */
static soma_tensor *scatter_add(soma_tensor *updates, soma_tensor *indices, int axis, int rank, const int64_t *shape) {
    op_attributes attributes = {.axis = axis, .rank = rank};
    if (rank > 0) memcpy(attributes.shape, shape, (size_t)rank * sizeof *shape);
    return op_apply(NULL, &op_scatter_add, (soma_tensor *[]){updates, indices}, 2, &attributes);
}

static void vjp_gather(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    const soma_tensor *x = y->inputs[0];
    if (needed[0]) dx[0] = scatter_add(dy, y->inputs[1], y->attributes->axis, x->rank, x->shape);
}

static soma_status reference_gather(const soma_tensor *node, const op_view *inputs, op_view *output) {
    int axis = node->attributes->axis;
    int64_t bad = ref_gather(&inputs[0], &inputs[1], axis, output);
    return check_found(node, &inputs[1], axis, inputs[0].shape[axis], bad);
}

static soma_tensor *take_rows(soma_tensor *const *xs) {
    return soma_gather(xs[0], xs[1], 0);
}
static soma_tensor *take_columns(soma_tensor *const *xs) {
    return soma_gather(xs[0], xs[1], -1);
}
static soma_tensor *take_transposed(soma_tensor *const *xs) {
    return soma_gather(soma_transpose(xs[0], NULL), soma_transpose(xs[1], NULL), 1);
}
static const op_sample samples_gather[] = {
    {"rows", take_rows, 2, {{SOMA_F32, 2, {5, 18}, -2, 2}, {SOMA_I64, 1, {7}, -5, 4}}},
    {"columns", take_columns, 2, {{SOMA_F32, 3, {2, 3, 9}, -2, 2}, {SOMA_I32, 2, {2, 3}, 0, 8}}},
    {"strided", take_transposed, 2, {{SOMA_F32, 2, {5, 6}, -2, 2}, {SOMA_I64, 2, {2, 3}, 0, 4}}},
    {"scalar", take_rows, 2, {{SOMA_F32, 2, {5, 18}, -2, 2}, {SOMA_U8, 0, {0}, 0, 4}}},
    {"vector", take_rows, 2, {{SOMA_F32, 1, {9}, -2, 2}, {SOMA_I64, 2, {3, 4}, -9, 8}}},
    {"bytes", take_rows, 2, {{SOMA_U8, 2, {5, 7}, 0, 255}, {SOMA_I64, 1, {4}, 0, 4}}},
    {"none", take_rows, 2, {{SOMA_F32, 2, {5, 18}, -2, 2}, {SOMA_I64, 1, {0}, 0, 4}}},
    END};
const op op_gather = {"gather",
                      "y[p,j,q] = x[p, indices[j], q], negative indices from the end",
                      OP_INDEX,
                      0,
                      2,
                      2,
                      infer_gather,
                      vjp_gather,
                      NULL,
                      reference_gather,
                      "Gather-13",
                      OP_SAMPLES(samples_gather)};

/* ---- scatter_add ---- */

static soma_status infer_scatter_add(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                                     const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    (void)n;
    const soma_tensor *updates = inputs[0], *indices = inputs[1];
    int axis = attributes->axis, r = attributes->rank;
    TRY(check_indices(graph, self, indices));
    bool fits = axis >= 0 && axis < r && updates->rank == r + indices->rank - 1;
    for (int i = 0; fits && i < updates->rank; i++) {
        int64_t expected = i < axis                   ? attributes->shape[i]
                           : i < axis + indices->rank ? indices->shape[i - axis]
                                                      : attributes->shape[i - indices->rank + 1];
        fits = updates->shape[i] == expected;
    }
    char a[SHAPE_TEXT], b[SHAPE_TEXT], c[SHAPE_TEXT];
    RETURN_IF(graph->context, !fits, SOMA_SHAPE, "[scatter_add] updates %s at indices %s do not fit axis %d of %s",
              tensor_shape_text(a, updates), tensor_shape_text(b, indices), axis, shape_text(c, r, attributes->shape));
    *dtype = updates->dtype;
    *rank = r;
    memcpy(shape, attributes->shape, sizeof attributes->shape);
    return SOMA_OK;
}

static void vjp_scatter_add(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    if (needed[0]) dx[0] = soma_gather(dy, y->inputs[1], y->attributes->axis);
}

static soma_status reference_scatter_add(const soma_tensor *node, const op_view *inputs, op_view *output) {
    int axis = node->attributes->axis;
    int64_t bad = ref_scatter_add(&inputs[0], &inputs[1], axis, output);
    return check_found(node, &inputs[1], axis, output->shape[axis], bad);
}

static soma_tensor *scatter_rows(soma_tensor *const *xs) {
    return scatter_add(xs[0], xs[1], 0, SOMA_DIMS(5, 18));
}
static soma_tensor *scatter_columns(soma_tensor *const *xs) {
    return scatter_add(xs[0], xs[1], 1, SOMA_DIMS(2, 9, 3));
}
static const op_sample samples_scatter_add[] = {
    {"rows", scatter_rows, 2, {{SOMA_F32, 2, {7, 18}, -2, 2}, {SOMA_I64, 1, {7}, -5, 4}}},
    {"columns", scatter_columns, 2, {{SOMA_F32, 4, {2, 4, 2, 3}, -2, 2}, {SOMA_I32, 2, {4, 2}, 0, 8}}},
    {"one row", scatter_rows, 2, {{SOMA_F32, 1, {18}, -2, 2}, {SOMA_I64, 0, {0}, 0, 4}}},
    {"none", scatter_rows, 2, {{SOMA_F32, 2, {0, 18}, -2, 2}, {SOMA_I64, 1, {0}, 0, 4}}},
    END};
const op op_scatter_add = {"scatter_add",
                           "y[p, indices[j], q] = sum of the updates[p,j,q] with that index, else 0",
                           OP_INDEX,
                           0,
                           2,
                           2,
                           infer_scatter_add,
                           vjp_scatter_add,
                           NULL,
                           reference_scatter_add,
                           NULL,
                           OP_SAMPLES(samples_scatter_add)};

/* ---- one-hot ---- */

soma_tensor *soma_one_hot(soma_tensor *indices, int64_t n, soma_dtype dtype) {
    if (!indices) return NULL;
    soma_graph *graph = indices->graph;
    RETURN_NULL_IF(graph->context, !dtype_is_integer(indices->dtype), SOMA_DTYPE,
                   "[one_hot] indices are %s, not integers", soma_dtype_name(indices->dtype));
    RETURN_NULL_IF(graph->context, n < 0, SOMA_SHAPE, "[one_hot] %lld classes", (long long)n);
    bool small = n <= 127 || (indices->dtype != SOMA_I8 && n <= 255);
    soma_tensor *classes = soma_arange(graph, small ? indices->dtype : SOMA_I64, 0, (double)n, 1);
    return soma_cast(soma_equal(soma_expand_dims(indices, -1), classes), dtype);
}

/* ---- cumsum ---- */

static soma_status infer_cumsum(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                                const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    RETURN_IF(graph->context, attributes->axis < 0 || attributes->axis >= inputs[0]->rank, SOMA_SHAPE,
              "[cumsum] axis %d of rank %d", attributes->axis, inputs[0]->rank);
    return op_infer_number(graph, self, inputs, n, attributes, dtype, rank, shape);
}

soma_tensor *op_cumulate(soma_tensor *x, int axis, bool exclusive, bool reverse) {
    return op_apply(NULL, &op_cumsum, &x, 1,
                    &(op_attributes){.axis = axis, .exclusive = exclusive, .reverse = reverse});
}

/* As in NumPy, integers add up in int64. */
soma_tensor *soma_cumsum(soma_tensor *x, int axis) {
    if (!x || !op_axis(x, "cumsum", &axis)) return NULL;
    return op_cumulate(dtype_is_float(x->dtype) ? x : soma_cast(x, SOMA_I64), axis, false, false);
}

static void vjp_cumsum(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    (void)needed;
    dx[0] = op_cumulate(dy, y->attributes->axis, y->attributes->exclusive, !y->attributes->reverse);
}

static soma_status reference_cumsum(const soma_tensor *node, const op_view *inputs, op_view *output) {
    const op_attributes *at = node->attributes;
    ref_cumsum(&inputs[0], at->axis, at->exclusive, at->reverse, output);
    return SOMA_OK;
}

static soma_tensor *along_last(soma_tensor *const *xs) {
    return soma_cumsum(xs[0], -1);
}
static soma_tensor *along_first(soma_tensor *const *xs) {
    return soma_cumsum(xs[0], 0);
}
static soma_tensor *exclusive_middle(soma_tensor *const *xs) {
    return op_cumulate(xs[0], 1, true, false);
}
static soma_tensor *exclusive_reverse(soma_tensor *const *xs) {
    return op_cumulate(xs[0], 0, true, true);
}
static soma_tensor *strided(soma_tensor *const *xs) {
    return soma_cumsum(soma_slice(soma_transpose(xs[0], NULL), "::-2, 1:"), 1);
}
static const op_sample samples_cumsum[] = {{"rows", along_last, 1, {{SOMA_F32, 2, {3, 37}, -2, 2}}},
                                           {"columns", along_first, 1, {{SOMA_F32, 2, {9, 18}, -2, 2}}},
                                           {"exclusive", exclusive_middle, 1, {{SOMA_F32, 3, {2, 5, 3}, -2, 2}}},
                                           {"reverse", exclusive_reverse, 1, {{SOMA_F32, 2, {6, 5}, -2, 2}}},
                                           {"strided", strided, 1, {{SOMA_F32, 2, {7, 9}, -2, 2}}},
                                           {"integers", along_last, 1, {{SOMA_I32, 2, {2, 9}, -9, 9}}},
                                           {"bools", along_last, 1, {{SOMA_BOOL, 1, {9}, 0, 1}}},
                                           {"empty", along_last, 1, {{SOMA_F32, 2, {3, 0}, -2, 2}}},
                                           END};
const op op_cumsum = {"cumsum",
                      "y_i = sum of x_j for j <= i along an axis",
                      OP_INDEX,
                      0,
                      1,
                      1,
                      infer_cumsum,
                      vjp_cumsum,
                      NULL,
                      reference_cumsum,
                      "CumSum-14",
                      OP_SAMPLES(samples_cumsum)};
