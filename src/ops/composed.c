/* Compositions that need care with large numbers: log-softmax, log-sum-exp, softplus; and softmax, which is an op only
 * so that its gradient is made of its result: of its parts the exponentials would have to be kept, too.
 * Rests on the ops alone, so these need no kernel.
 * The greatest element is subtracted first, as a constant: the result does not depend on it, nor does the gradient. */
#include <soma/ops.h>

#include "ops/build.h"

/* x less the greatest along axis, so that every exponential is at most 1. */
static soma_tensor *lowered(soma_tensor *x, int axis) {
    return soma_sub(x, soma_stop_gradient(soma_max(x, SOMA_AXES(axis), true)));
}

/* ---- softmax ---- */

static soma_status infer_softmax(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                                 const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    RETURN_IF(graph->context, attributes->axis < 0 || attributes->axis >= inputs[0]->rank, SOMA_SHAPE,
              "[softmax] axis %d of rank %d", attributes->axis, inputs[0]->rank);
    return op_infer_float(graph, self, inputs, n, attributes, dtype, rank, shape);
}

/* Softmax along the last axis remembers its input, from which losses are computed stably. */
soma_tensor *soma_softmax_axis(soma_tensor *x, int axis) {
    x = op_to_float(x);
    if (!x || !op_axis(x, "softmax", &axis)) return NULL;
    soma_tensor *y = op_apply(NULL, &op_softmax, &x, 1, &(op_attributes){.axis = axis});
    if (y && axis == x->rank - 1) y->logits = x;
    return y;
}

/* dx = y (dy - sum y dy) */
static void vjp_softmax(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    (void)needed;
    dx[0] = soma_mul(y, soma_sub(dy, soma_sum(soma_mul(y, dy), SOMA_AXES(y->attributes->axis), true)));
}

/* Of rows that outgrow the caches the greatest and the sum of exponentials would be two ways through memory. Piece by
 * piece, with the piece's own greatest, they are one; what the pieces give is put together after it. */
enum { LONG_ROW = 65536, PIECE = 8192 };

typedef struct exponentials {
    soma_tensor *greatest, *sum; /* sum of e^(x - greatest) */
} exponentials;

/* Where nothing is finite, of x itself: infinity less itself would be NaN, though another piece may be greater. */
static exponentials add_exponentials(soma_tensor *x, int axis) {
    exponentials e = {.greatest = soma_max(x, SOMA_AXES(axis), true)};
    soma_tensor *finite = soma_where(soma_isfinite(e.greatest), e.greatest, op_number(x, 0));
    e.sum = soma_sum(soma_exp(soma_sub(x, finite)), SOMA_AXES(axis), true);
    return e;
}

static soma_tensor *raised(exponentials e, soma_tensor *greatest) {
    return soma_mul(e.sum, soma_exp(soma_sub(e.greatest, greatest)));
}

/* The same of long rows. x: (rows, n). */
static exponentials add_long(soma_tensor *x) {
    const int64_t rows = x->shape[0], n = x->shape[1], pieces = n / PIECE, whole = pieces * PIECE;
    exponentials all,
        e = add_exponentials(soma_reshape(soma_slice_axis(x, 1, 0, whole, 1), SOMA_DIMS(rows, pieces, PIECE)), 2);
    e.greatest = soma_squeeze(e.greatest, 2);
    e.sum = soma_squeeze(e.sum, 2);
    all.greatest = soma_max(e.greatest, SOMA_AXES(1), true);
    if (whole == n) {
        all.sum = soma_sum(raised(e, all.greatest), SOMA_AXES(1), true);
        return all;
    }
    const exponentials rest = add_exponentials(soma_slice_axis(x, 1, whole, n, 1), 1);
    all.greatest = soma_maximum(all.greatest, rest.greatest);
    all.sum = soma_add(soma_sum(raised(e, all.greatest), SOMA_AXES(1), true), raised(rest, all.greatest));
    return all;
}

soma_tensor *op_compose_softmax(soma_tensor *y) {
    soma_tensor *x = y->inputs[0], *e, *sum;
    const int axis = y->attributes->axis;
    const int64_t n = x->shape[axis];
    if (n == 0) return y;
    if (n > LONG_ROW && axis == x->rank - 1) {
        x = soma_reshape(x, SOMA_DIMS(shape_size(axis, x->shape), n));
        const exponentials all = add_long(x);
        e = soma_exp(soma_sub(x, all.greatest));
        sum = all.sum;
    } else {
        e = soma_exp(lowered(x, axis));
        sum = soma_sum(e, SOMA_AXES(axis), true);
    }
    /* one division a row: within an ulp and a half */
    e = y->dtype == SOMA_F32 ? soma_mul(e, soma_reciprocal(sum)) : soma_div(e, sum);
    return soma_reshape(e, y->rank, y->shape);
}

static soma_status reference_softmax(const soma_tensor *node, const op_view *inputs, op_view *output) {
    ref_softmax(&inputs[0], node->attributes->axis, output);
    return SOMA_OK;
}

static soma_tensor *softmax_last(soma_tensor *const *xs) {
    return soma_softmax_axis(xs[0], -1);
}
static soma_tensor *softmax_first(soma_tensor *const *xs) {
    return soma_softmax_axis(xs[0], 0);
}
static soma_tensor *softmax_strided(soma_tensor *const *xs) {
    return soma_softmax_axis(soma_slice(soma_transpose(xs[0], NULL), "::-2, 1:"), 1);
}
static soma_tensor *softmax_large(soma_tensor *const *xs) {
    return soma_softmax_axis(soma_mul_scalar(xs[0], 60), -1);
}
static const op_sample samples_softmax[] = {{"rows", softmax_last, 1, {{SOMA_F32, 2, {3, 37}, -2, 2}}},
                                            {"columns", softmax_first, 1, {{SOMA_F32, 2, {9, 18}, -2, 2}}},
                                            {"strided", softmax_strided, 1, {{SOMA_F32, 2, {7, 9}, -2, 2}}},
                                            {"large", softmax_large, 1, {{SOMA_F32, 2, {3, 5}, -2, 2}}},
                                            {"integers", softmax_last, 1, {{SOMA_I32, 2, {2, 9}, -3, 3}}},
                                            {"one", softmax_last, 1, {{SOMA_F32, 2, {4, 1}, -2, 2}}},
                                            {"empty", softmax_last, 1, {{SOMA_F32, 2, {3, 0}, -2, 2}}},
                                            {NULL, NULL, 0, {{SOMA_F32, 0, {0}, 0, 0}}}};
const op op_softmax = {"softmax",
                       "y_i = exp(x_i - max x) / sum_j exp(x_j - max x) along an axis",
                       OP_INDEX,
                       0,
                       1,
                       1,
                       infer_softmax,
                       vjp_softmax,
                       NULL,
                       reference_softmax,
                       "Softmax-13",
                       OP_SAMPLES(samples_softmax)};

/* ---- others ---- */

soma_tensor *soma_log_softmax(soma_tensor *x, int axis) {
    x = op_to_float(x);
    if (!x || !op_axis(x, "log_softmax", &axis)) return NULL;
    soma_tensor *low = lowered(x, axis);
    return soma_sub(low, soma_log(soma_sum(soma_exp(low), SOMA_AXES(axis), true)));
}

/* Where the greatest is infinite nothing is subtracted: infinity less itself would be NaN. */
soma_tensor *soma_logsumexp(soma_tensor *x, int axis, bool keepdims) {
    x = op_to_float(x);
    if (!x || !op_axis(x, "logsumexp", &axis)) return NULL;
    soma_tensor *greatest = soma_stop_gradient(soma_max(x, SOMA_AXES(axis), true));
    soma_tensor *finite = soma_where(soma_isfinite(greatest), greatest, op_number(x, 0));
    soma_tensor *total = soma_sum(soma_exp(soma_sub(x, finite)), SOMA_AXES(axis), true);
    soma_tensor *y = soma_add(soma_log(total), finite);
    return keepdims ? y : soma_squeeze(y, axis);
}

/* max(x, 0) + log(1 + e^-|x|); by where rather than maximum and abs, whose kinks at 0 the sum does not have. */
soma_tensor *soma_softplus(soma_tensor *x) {
    x = op_to_float(x);
    if (!x) return NULL;
    soma_tensor *zero = op_number(x, 0), *positive = soma_greater(x, zero);
    soma_tensor *below = soma_where(positive, soma_neg(x), x);
    return soma_add(soma_where(positive, x, zero), soma_log1p(soma_exp(below)));
}
