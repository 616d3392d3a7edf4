/* Losses that measure how far numbers, counts or directions are apart.
 * Rests on ops and losses.h; formulas are Keras', with its epsilon of 1e-7.
 * Where a formula has a kink or a pole, it is written so that neither side of it is ever computed as infinite. */
#include "nn/losses.h"

#include <math.h>

#include "tensor/node.h"

static const double epsilon = 1e-7;

static soma_tensor *last_mean(soma_tensor *x) {
    return soma_mean(x, SOMA_AXES(-1), false);
}
static soma_tensor *last_sum(soma_tensor *x) {
    return soma_sum(x, SOMA_AXES(-1), false);
}
static soma_tensor *at_least(soma_tensor *x, double low) {
    return x ? soma_maximum(x, soma_scalar(x->graph, x->dtype, low)) : NULL;
}

/* y_pred - y_true */
static soma_tensor *error(const char *name, soma_tensor *y_true, soma_tensor *y_pred) {
    return soma_sub(y_pred, loss_align(name, y_true, y_pred));
}

soma_tensor *loss_huber(soma_tensor *y_true, soma_tensor *y_pred, const double *parameters) {
    double delta = parameters[0];
    soma_tensor *distance = soma_abs(error("huber", y_true, y_pred));
    if (!distance) return NULL;
    soma_tensor *near = soma_mul_scalar(soma_square(distance), 0.5);
    soma_tensor *far = soma_mul_scalar(soma_add_scalar(distance, -0.5 * delta), delta);
    soma_tensor *limit = soma_scalar(distance->graph, distance->dtype, delta);
    return last_mean(soma_where(soma_less_equal(distance, limit), near, far));
}

soma_tensor *soma_huber(soma_tensor *y_true, soma_tensor *y_pred) {
    return loss_huber(y_true, y_pred, (const double[]){1});
}

/* log cosh x = x + log(1 + e^-2x) - log 2 */
soma_tensor *soma_log_cosh(soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *x = error("log_cosh", y_true, y_pred);
    return last_mean(soma_add_scalar(soma_add(x, soma_softplus(soma_mul_scalar(x, -2))), -log(2)));
}

soma_tensor *soma_mean_absolute_percentage_error(soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *y = loss_align("mean_absolute_percentage_error", y_true, y_pred);
    soma_tensor *share = soma_div(soma_abs(soma_sub(y, y_pred)), at_least(soma_abs(y), epsilon));
    return soma_mul_scalar(last_mean(share), 100);
}

soma_tensor *soma_mean_squared_logarithmic_error(soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *y = loss_align("mean_squared_logarithmic_error", y_true, y_pred);
    soma_tensor *a = soma_log1p(at_least(y_pred, epsilon)), *b = soma_log1p(at_least(y, epsilon));
    return last_mean(soma_square(soma_sub(a, b)));
}

soma_tensor *soma_poisson(soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *y = loss_align("poisson", y_true, y_pred);
    return last_mean(soma_sub(y_pred, soma_mul(y, soma_log(soma_add_scalar(y_pred, epsilon)))));
}

soma_tensor *soma_kl_divergence(soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *y = soma_clip(loss_align("kl_divergence", y_true, y_pred), epsilon, 1);
    return last_sum(soma_mul(y, soma_log(soma_div(y, soma_clip(y_pred, epsilon, 1)))));
}

/* x divided by its length along the last axis, at least 1e-7 */
static soma_tensor *direction(soma_tensor *x) {
    soma_tensor *squares = soma_sum(soma_square(x), SOMA_AXES(-1), true);
    return soma_mul(x, soma_rsqrt(at_least(squares, epsilon * epsilon)));
}

soma_tensor *soma_cosine_similarity(soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *y = loss_align("cosine_similarity", y_true, y_pred);
    return soma_neg(last_sum(soma_mul(direction(y), direction(y_pred))));
}
