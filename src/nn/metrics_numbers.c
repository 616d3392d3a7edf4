/* Metrics of numbers: roots of means, R2, correlations, the cosine, perplexity.
 * Rests on ops and metric.h. Where a value is no average of the samples' own, the statistics are sums, in double where
 * differences of large ones follow. */
#include <math.h>

#include "nn/losses.h"
#include "nn/metric.h"
#include "ops/op.h"

static soma_tensor *ones_like(soma_tensor *x) {
    return x ? soma_ones(x->graph, x->dtype, x->rank, x->shape) : NULL;
}

/* A value and a count for each. */
static soma_tensor *counted(soma_tensor *values) {
    values = metric_column(values);
    return metric_beside(values, ones_like(values));
}

soma_tensor *soma_root_mean_squared_error(soma_tensor *y_true, soma_tensor *y_pred) {
    return counted(soma_mean_squared_error(y_true, y_pred));
}

double finish_root_of_mean(const double *sums, int64_t n, const double *numbers) {
    (void)n, (void)numbers;
    return sqrt(metric_ratio(sums[0], sums[1]));
}

soma_tensor *soma_perplexity(soma_tensor *y_true, soma_tensor *y_pred) {
    return counted(soma_crossentropy(y_true, y_pred));
}

double finish_exp_of_mean(const double *sums, int64_t n, const double *numbers) {
    (void)n, (void)numbers;
    return exp(metric_ratio(sums[0], sums[1]));
}

soma_tensor *soma_cosine_of_angle(soma_tensor *y_true, soma_tensor *y_pred) {
    return soma_neg(soma_cosine_similarity(y_true, y_pred));
}

/* ---- R2 ---- */

/* Of each output the count, the sum and the squares of the truths, and the squares of the errors.
 * numbers: class_aggregation, num_regressors, for the finish alone. */
soma_tensor *metric_r2(soma_tensor *y_true, soma_tensor *y_pred, const double *numbers) {
    (void)numbers;
    soma_tensor *y = metric_rows(soma_cast(loss_align("r2_score", y_true, y_pred), SOMA_F64));
    soma_tensor *errors = soma_square(soma_sub(y, metric_rows(soma_cast(y_pred, SOMA_F64))));
    return metric_beside(metric_beside(ones_like(y), y), metric_beside(soma_square(y), errors));
}

soma_tensor *soma_r2_score(soma_tensor *y_true, soma_tensor *y_pred) {
    return metric_r2(y_true, y_pred, NULL);
}

/* As in Keras, a minus infinity (truths that are all alike) counts 0, and too few samples are not adjusted for. */
double finish_r2(const double *sums, int64_t n, const double *numbers) {
    const int64_t outputs = n / 4;
    const bool by_variance = numbers && (int)numbers[0] == SOMA_VARIANCE_WEIGHTED;
    const double *count = sums, *sum = sums + outputs, *squares = sum + outputs, *errors = squares + outputs;
    double total = 0, weights = 0;
    for (int64_t i = 0; i < outputs; i++) {
        double variation = squares[i] - sum[i] * sum[i] / count[i];
        if (variation < 1e-13 * squares[i]) variation = 0; /* rounding */
        const double weight = by_variance ? variation : 1;
        const double score = 1 - errors[i] / variation;
        total += isinf(score) ? 0 : weight * score;
        weights += weight;
    }
    const double r2 = total / weights, regressors = numbers ? numbers[1] : 0;
    const double freedom = count[0] - regressors - 1;
    return regressors > 0 && freedom > 0 ? 1 - (1 - r2) * (count[0] - 1) / freedom : r2;
}

/* ---- correlations ---- */

/* Moments of all samples, of one value each: count, y, p, y^2, p^2, y p. */
static soma_tensor *moments(soma_tensor *y, soma_tensor *p) {
    y = metric_column(y), p = metric_column(p);
    return metric_beside(metric_beside(metric_beside(ones_like(y), y), metric_beside(p, soma_square(y))),
                         metric_beside(soma_square(p), soma_mul(y, p)));
}

/* Means, variances and covariance. */
typedef struct pair {
    double y, p, yy, pp, yp;
} pair;

static pair pair_of(const double *s) {
    const double y = s[1] / s[0], p = s[2] / s[0];
    return (pair){y, p, s[3] / s[0] - y * y, s[4] / s[0] - p * p, s[5] / s[0] - y * p};
}

static soma_tensor *last_mean(soma_tensor *x) {
    return soma_mean(x, SOMA_AXES(-1), true);
}

/* The same of each sample's values along the last axis, as tensors. */
static soma_tensor *each_sample(soma_tensor *y, soma_tensor *p, bool concordance) {
    soma_tensor *my = last_mean(y), *mp = last_mean(p), *dy = soma_sub(y, my), *dp = soma_sub(p, mp);
    soma_tensor *yy = last_mean(soma_square(dy)), *pp = last_mean(soma_square(dp)), *yp = last_mean(soma_mul(dy, dp));
    if (!concordance) {
        soma_tensor *a = soma_add_scalar(soma_sqrt(yy), 1e-7), *b = soma_add_scalar(soma_sqrt(pp), 1e-7);
        return counted(soma_div(yp, soma_mul(a, b)));
    }
    soma_tensor *norm = soma_add(soma_add(yy, pp), soma_square(soma_sub(my, mp)));
    return counted(soma_div(soma_mul_scalar(yp, 2), soma_add_scalar(norm, 1e-7)));
}

static soma_tensor *correlation(const char *name, soma_tensor *y_true, soma_tensor *y_pred, bool concordance) {
    soma_tensor *y = soma_cast(loss_align(name, y_true, y_pred), SOMA_F64), *p = soma_cast(y_pred, SOMA_F64);
    if (!y || !p) return NULL;
    return y->rank < 2 || soma_dim(y, -1) == 1 ? moments(y, p) : each_sample(y, p, concordance);
}

soma_tensor *soma_pearson_correlation(soma_tensor *y_true, soma_tensor *y_pred) {
    return correlation("pearson_correlation", y_true, y_pred, false);
}
soma_tensor *soma_concordance_correlation(soma_tensor *y_true, soma_tensor *y_pred) {
    return correlation("concordance_correlation", y_true, y_pred, true);
}

double finish_pearson(const double *sums, int64_t n, const double *numbers) {
    (void)numbers;
    if (n == 2) return metric_ratio(sums[0], sums[1]);
    const pair m = pair_of(sums);
    return metric_ratio(m.yp, sqrt(fmax(m.yy, 0) * fmax(m.pp, 0)));
}

double finish_concordance(const double *sums, int64_t n, const double *numbers) {
    (void)numbers;
    if (n == 2) return metric_ratio(sums[0], sums[1]);
    const pair m = pair_of(sums);
    return metric_ratio(2 * m.yp, m.yy + m.pp + (m.y - m.p) * (m.y - m.p));
}
