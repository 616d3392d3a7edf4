/* Compositions that need care with large numbers: softmax, its logarithm, log-sum-exp, softplus.
 * Rests on the ops alone, so these need neither kernel nor gradient.
 * The greatest element is subtracted first, as a constant: the result does not depend on it, nor does the gradient. */
#include <soma/ops.h>

#include "ops/build.h"

/* x less the greatest along axis, so that every exponential is at most 1. */
static soma_tensor *lowered(soma_tensor *x, int axis) {
    return soma_sub(x, soma_stop_gradient(soma_max(x, SOMA_AXES(axis), true)));
}

/* Softmax along the last axis remembers its input, from which losses are computed stably. */
soma_tensor *soma_softmax_axis(soma_tensor *x, int axis) {
    x = op_to_float(x);
    if (!x || !op_axis(x, "softmax", &axis)) return NULL;
    soma_tensor *e = soma_exp(lowered(x, axis));
    soma_tensor *y = soma_div(e, soma_sum(e, SOMA_AXES(axis), true));
    if (y && axis == x->rank - 1) y->logits = x;
    return y;
}

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
