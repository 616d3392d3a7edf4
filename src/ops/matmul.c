/* Matrix products: (..., m, k) x (..., k, n) -> (..., m, n).
 * Rests on build.h. The builder brings NumPy's many forms to the one that the kernel knows: equal rank, equal batch
 * axes; many rows against one matrix become a single tall product. */
#include <string.h>

#include <soma/ops.h>

#include "ops/build.h"

static soma_status infer_matmul(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                                const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    (void)n, (void)attributes;
    const soma_tensor *a = inputs[0], *b = inputs[1];
    char text_a[SHAPE_TEXT], text_b[SHAPE_TEXT];
    tensor_shape_text(text_a, a), tensor_shape_text(text_b, b);
    int r = a->rank;
    RETURN_IF(graph->context, r < 2 || b->rank != r || !shape_equal(r - 2, a->shape, r - 2, b->shape), SOMA_SHAPE,
              "[%s] %s x %s: ranks or batch axes differ", self->name, text_a, text_b);
    RETURN_IF(graph->context, a->shape[r - 1] != b->shape[r - 2], SOMA_SHAPE,
              "[%s] %s x %s: inner dimensions %lld and %lld differ", self->name, text_a, text_b,
              (long long)a->shape[r - 1], (long long)b->shape[r - 2]);
    RETURN_IF(graph->context, a->dtype != b->dtype, SOMA_DTYPE, "[%s] dtypes %s and %s differ", self->name,
              soma_dtype_name(a->dtype), soma_dtype_name(b->dtype));
    *dtype = a->dtype;
    *rank = r;
    memcpy(shape, a->shape, sizeof a->shape);
    shape[r - 1] = b->shape[r - 1];
    return SOMA_OK;
}

static soma_status reference_matmul(const soma_tensor *node, const op_view *inputs, op_view *output) {
    (void)node;
    ref_matmul(&inputs[0], &inputs[1], output);
    return SOMA_OK;
}

/* The batch axes of a matrix stack, replaced. */
static soma_tensor *expand_batch(soma_tensor *x, int batch_rank, const int64_t *batch) {
    int64_t shape[SOMA_MAX_RANK];
    if (batch_rank > 0) memcpy(shape, batch, (size_t)batch_rank * sizeof *batch);
    shape[batch_rank] = x->shape[x->rank - 2];
    shape[batch_rank + 1] = x->shape[x->rank - 1];
    return soma_expand(x, batch_rank + 2, shape);
}

/* Matrices with batch axes. */
static soma_tensor *multiply(soma_tensor *a, soma_tensor *b) {
    soma_tensor *xs[2] = {a, b};
    if (a->rank > 2 && b->rank == 2) {
        int64_t k = a->shape[a->rank - 1], shape[SOMA_MAX_RANK];
        int64_t rows = shape_size(a->rank - 1, a->shape);
        memcpy(shape, a->shape, sizeof shape);
        shape[a->rank - 1] = b->shape[1];
        xs[0] = soma_reshape(a, SOMA_DIMS(rows, k));
        return soma_reshape(op_apply(NULL, &op_matmul, xs, 2, NULL), a->rank, shape);
    }
    int rank = 0;
    int64_t batch[SOMA_MAX_RANK];
    char text_a[SHAPE_TEXT], text_b[SHAPE_TEXT];
    RETURN_NULL_IF(a->graph->context, !op_broadcast_shape(a->rank - 2, a->shape, b->rank - 2, b->shape, &rank, batch),
                   SOMA_SHAPE, "[matmul] %s x %s: batch axes do not broadcast", tensor_shape_text(text_a, a),
                   tensor_shape_text(text_b, b));
    xs[0] = expand_batch(a, rank, batch);
    xs[1] = expand_batch(b, rank, batch);
    return op_apply(NULL, &op_matmul, xs, 2, NULL);
}

/* All forms: a vector on the left is a row, on the right a column, and its axis is gone from the result. */
static soma_tensor *product(const char *name, int max_rank, soma_tensor *a, soma_tensor *b) {
    soma_tensor *xs[2] = {a, b};
    if (!a || !b) return NULL;
    soma_context *context = a->graph->context;
    char text_a[SHAPE_TEXT], text_b[SHAPE_TEXT];
    tensor_shape_text(text_a, a), tensor_shape_text(text_b, b);
    RETURN_NULL_IF(context, a->rank == 0 || b->rank == 0, SOMA_SHAPE,
                   "[%s] %s x %s: multiply by a scalar with soma_mul", name, text_a, text_b);
    RETURN_NULL_IF(context, a->rank > max_rank || b->rank > max_rank, SOMA_SHAPE,
                   "[%s] %s x %s: more than %d axes; use soma_matmul", name, text_a, text_b, max_rank);
    int64_t inner_a = a->shape[a->rank - 1], inner_b = b->shape[b->rank == 1 ? 0 : b->rank - 2];
    const char *remedy = inner_a == b->shape[b->rank - 1] ? "; did you mean the second one transposed?" : "";
    RETURN_NULL_IF(context, inner_a != inner_b, SOMA_SHAPE, "[%s] %s x %s: inner dimensions %lld and %lld differ%s",
                   name, text_a, text_b, (long long)inner_a, (long long)inner_b, remedy);
    bool row = a->rank == 1, column = b->rank == 1;
    if (!op_promote_all(2, xs)) return NULL;
    if (row) xs[0] = soma_expand_dims(xs[0], 0);
    if (column) xs[1] = soma_expand_dims(xs[1], 1);
    if (!xs[0] || !xs[1]) return NULL;
    soma_tensor *y = multiply(xs[0], xs[1]);
    if (column) y = soma_squeeze(y, -1);
    if (row) y = soma_squeeze(y, column ? -1 : -2);
    return y;
}

soma_tensor *soma_matmul(soma_tensor *a, soma_tensor *b) {
    return product("matmul", SOMA_MAX_RANK, a, b);
}
soma_tensor *soma_dot(soma_tensor *a, soma_tensor *b) {
    return product("dot", 2, a, b);
}

soma_tensor *op_swap_last(soma_tensor *x) {
    if (!x) return NULL;
    int axes[SOMA_MAX_RANK];
    for (int i = 0; i < x->rank; i++)
        axes[i] = i;
    axes[x->rank - 1] = x->rank - 2;
    axes[x->rank - 2] = x->rank - 1;
    return soma_transpose(x, axes);
}

static bool is_swapped(const soma_tensor *x) {
    if (x->op != &op_permute) return false;
    for (int i = 0; i < x->rank; i++)
        if (x->attributes->start[i] != (i < x->rank - 2 ? i : 2 * x->rank - 3 - i)) return false;
    return true;
}

/* a b, or as ((b^T) (a^T))^T: for the gradient of what was transposed, whose own form that is. */
static soma_tensor *multiply_as(bool swapped, soma_tensor *a, soma_tensor *b) {
    if (!swapped) return op_apply(NULL, &op_matmul, (soma_tensor *[]){a, b}, 2, NULL);
    return op_swap_last(op_apply(NULL, &op_matmul, (soma_tensor *[]){op_swap_last(b), op_swap_last(a)}, 2, NULL));
}

/* y = a b: da = dy b^T, db = a^T dy. */
static void vjp_matmul(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    soma_tensor *a = y->inputs[0], *b = y->inputs[1];
    if (needed[0]) dx[0] = multiply_as(is_swapped(a), dy, op_swap_last(b));
    if (needed[1]) dx[1] = multiply_as(is_swapped(b), op_swap_last(a), dy);
}

static soma_tensor *build(soma_tensor *const *xs) {
    return soma_matmul(xs[0], xs[1]);
}
static soma_tensor *transposed(soma_tensor *const *xs) {
    return soma_matmul(xs[0], op_swap_last(xs[1]));
}
static soma_tensor *left(soma_tensor *const *xs) {
    return soma_matmul(op_swap_last(xs[0]), xs[1]);
}
static soma_tensor *strided(soma_tensor *const *xs) {
    return soma_matmul(soma_slice(xs[0], "::-1, ::2"), soma_slice(xs[1], ":, 1:"));
}
static soma_tensor *chain(soma_tensor *const *xs) {
    return soma_matmul(soma_tanh(soma_add(soma_matmul(xs[0], xs[1]), xs[2])), xs[3]);
}
static const op_sample samples_matmul[] = {
    {"square", build, 2, {{SOMA_F32, 2, {64, 64}, -1, 1}, {SOMA_F32, 2, {64, 64}, -1, 1}}},
    {"odd", build, 2, {{SOMA_F32, 2, {15, 31}, -1, 1}, {SOMA_F32, 2, {31, 33}, -1, 1}}},
    {"narrow", build, 2, {{SOMA_F32, 2, {29, 7}, -1, 1}, {SOMA_F32, 2, {7, 10}, -1, 1}}},
    {"tiny", build, 2, {{SOMA_F32, 2, {4, 2}, -1, 1}, {SOMA_F32, 2, {2, 1}, -1, 1}}},
    {"one", build, 2, {{SOMA_F32, 2, {1, 1}, -1, 1}, {SOMA_F32, 2, {1, 1}, -1, 1}}},
    {"dot", build, 2, {{SOMA_F32, 1, {37}, -1, 1}, {SOMA_F32, 1, {37}, -1, 1}}},
    {"vector", build, 2, {{SOMA_F32, 2, {9, 37}, -1, 1}, {SOMA_F32, 1, {37}, -1, 1}}},
    {"from vector", build, 2, {{SOMA_F32, 1, {9}, -1, 1}, {SOMA_F32, 2, {9, 19}, -1, 1}}},
    {"right transposed", transposed, 2, {{SOMA_F32, 2, {17, 20}, -1, 1}, {SOMA_F32, 2, {35, 20}, -1, 1}}},
    {"left transposed", left, 2, {{SOMA_F32, 2, {20, 17}, -1, 1}, {SOMA_F32, 2, {20, 34}, -1, 1}}},
    {"strided", strided, 2, {{SOMA_F32, 2, {9, 12}, -1, 1}, {SOMA_F32, 2, {6, 20}, -1, 1}}},
    {"batch", build, 2, {{SOMA_F32, 3, {3, 5, 6}, -1, 1}, {SOMA_F32, 3, {3, 6, 7}, -1, 1}}},
    {"batch broadcast", build, 2, {{SOMA_F32, 4, {2, 1, 4, 5}, -1, 1}, {SOMA_F32, 3, {3, 5, 6}, -1, 1}}},
    {"series", build, 2, {{SOMA_F32, 3, {3, 4, 5}, -1, 1}, {SOMA_F32, 2, {5, 6}, -1, 1}}},
    {"batch of left", build, 2, {{SOMA_F32, 2, {4, 5}, -1, 1}, {SOMA_F32, 3, {3, 5, 6}, -1, 1}}},
    {"batch transposed", transposed, 2, {{SOMA_F32, 3, {2, 5, 6}, -1, 1}, {SOMA_F32, 3, {2, 7, 6}, -1, 1}}},
    {"network",
     chain,
     4,
     {{SOMA_F32, 2, {20, 13}, -1, 1},
      {SOMA_F32, 2, {13, 24}, -1, 1},
      {SOMA_F32, 1, {24}, -1, 1},
      {SOMA_F32, 2, {24, 10}, -1, 1}}},
    {"empty", build, 2, {{SOMA_F32, 2, {0, 3}, -1, 1}, {SOMA_F32, 2, {3, 4}, -1, 1}}},
    {"nothing summed", build, 2, {{SOMA_F32, 2, {2, 0}, -1, 1}, {SOMA_F32, 2, {0, 4}, -1, 1}}},
    {"integers", build, 2, {{SOMA_I32, 2, {5, 6}, -9, 9}, {SOMA_I32, 2, {6, 7}, -9, 9}}},
    {"promoted", build, 2, {{SOMA_U8, 2, {5, 16}, 0, 255}, {SOMA_F32, 2, {16, 7}, -1, 1}}},
    {NULL, NULL, 0, {{SOMA_F32, 0, {0}, 0, 0}}}};
const op op_matmul = {"matmul",
                      "y_ij = sum over k of a_ik b_kj, batch by batch",
                      OP_CONTRACT,
                      0,
                      2,
                      2,
                      infer_matmul,
                      vjp_matmul,
                      NULL,
                      reference_matmul,
                      "MatMul-13",
                      OP_SAMPLES(samples_matmul)};
