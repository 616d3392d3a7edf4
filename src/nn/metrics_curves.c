/* Metrics that look at all thresholds: areas under curves, and the best point of a curve under a condition.
 * Rests on ops and metric.h. The statistics are true and false positives above each threshold, products of labels
 * and comparisons; the last threshold is below everything, so its counts are those of all samples.
 * Formulas and thresholds are Keras'; between two points of a precision-recall curve it is Davis and Goadrich's (The
 * relationship between precision-recall and ROC curves, 2006). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/metric.h"
#include "ops/op.h"

enum { MOST_THRESHOLDS = 1 << 16 };

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* n thresholds from 0 - margin to 1 + margin, between them even steps or some given ones, and one below all. NULL after
 * an error. */
static soma_tensor *thresholds(soma_tensor *like, const char *name, double n, const double *given, double margin) {
    soma_context *context = like->graph->context;
    RETURN_NULL_IF(context, !(n >= 2 && n <= MOST_THRESHOLDS), SOMA_INVALID,
                   "[%s] num_thresholds is %g: from 2 to %d are possible", name, n, MOST_THRESHOLDS);
    const int count = (int)n;
    const size_t bytes = ((size_t)count + 1) * sizeof(double);
    double *limits = mem_alloc(context, bytes);
    if (!limits) return NULL;
    for (int i = 0; i < count; i++)
        limits[i] = given && i > 0 && i < count - 1 ? given[i - 1] : i / (count - 1.0);
    if (given) qsort(limits + 1, (size_t)count - 2, sizeof *limits, ascending);
    limits[0] = -margin;
    limits[count - 1] = 1 + margin;
    limits[count] = -(double)INFINITY;
    soma_tensor *result = soma_array(like->graph, SOMA_F64, SOMA_DIMS(count + 1), limits);
    mem_free(context, limits, bytes);
    return soma_cast(result, like->dtype);
}

/* Of each of the outputs the positives above each threshold, then the negatives: one row of statistics, by a product;
 * by_sample: a row for each value of a sample, so that samples can be weighted (a map, four times as slow). */
static soma_tensor *counts(soma_tensor *y, soma_tensor *p, soma_tensor *limits, int64_t outputs, bool by_sample) {
    if (!y || !p || !limits) return NULL;
    const int64_t n = soma_dim(limits, 0);
    y = soma_reshape(y, SOMA_DIMS(-1, outputs));
    p = soma_reshape(p, SOMA_DIMS(-1, outputs));
    if (!by_sample) y = soma_transpose(y, NULL), p = soma_transpose(p, NULL);
    soma_tensor *kinds[] = {y, soma_add_scalar(soma_neg(y), 1)};
    soma_tensor *both = soma_stack(kinds, 2, by_sample ? 2 : 1);
    soma_tensor *above = soma_cast(soma_greater(soma_expand_dims(p, -1), limits), SOMA_F32);
    if (!by_sample) return soma_reshape(soma_matmul(both, above), SOMA_DIMS(2 * outputs * n));
    return soma_reshape(soma_mul(soma_expand_dims(both, -1), soma_expand_dims(above, 2)),
                        SOMA_DIMS(-1, 2 * outputs * n));
}

/* What finishes see of one output: n thresholds, hits and false alarms above each, and how many there are at all. */
typedef struct curve {
    int64_t n;
    const double *hits, *alarms;
    double positives, negatives;
} curve;

static curve curve_of(const double *sums, int64_t n) {
    const curve c = {.n = n - 1, .hits = sums, .alarms = sums + n};
    return (curve){c.n, c.hits, c.alarms, c.hits[c.n], c.alarms[c.n]};
}

/* ---- areas ---- */

/* How many: the given ones and one at each end, or num_thresholds. */
static double count_of(const double *numbers) {
    return numbers[5] > 0 ? numbers[5] + 2 : numbers[0];
}

/* numbers: num_thresholds, curve, summation_method, multi_label, from_logits, how many thresholds are given, they. */
static soma_tensor *auc(soma_tensor *y_true, soma_tensor *y_pred, const double *numbers, bool by_sample) {
    soma_tensor *y = soma_cast(metric_labels("auc", y_true, y_pred), SOMA_F32);
    if (!y) return NULL;
    soma_tensor *p = numbers[4] != 0 ? soma_sigmoid(y_pred) : y_pred;
    const double *given = numbers[5] > 0 ? numbers + 6 : NULL;
    for (int i = 0; given && i < (int)numbers[5]; i++)
        RETURN_NULL_IF(y->graph->context, !(given[i] >= 0 && given[i] <= 1), SOMA_INVALID,
                       "[auc] a threshold of %g: they must be from 0 to 1", given[i]);
    soma_tensor *limits = thresholds(y_pred, "auc", count_of(numbers), given, 1e-7);
    return counts(y, p, limits, numbers[3] != 0 ? soma_dim(y_pred, -1) : 1, by_sample);
}

static const double usual[] = {200, SOMA_ROC, SOMA_INTERPOLATION, 0, 0, 0};

soma_tensor *metric_auc(soma_tensor *y_true, soma_tensor *y_pred, const double *numbers) {
    return auc(y_true, y_pred, numbers, false);
}
soma_tensor *soma_auc(soma_tensor *y_true, soma_tensor *y_pred) {
    return auc(y_true, y_pred, usual, false);
}

static double precision(const curve *c, int64_t i) {
    return metric_ratio(c->hits[i], c->hits[i] + c->alarms[i]);
}
static double recall(const curve *c, int64_t i) {
    return metric_ratio(c->hits[i], c->positives);
}
static double fallout(const curve *c, int64_t i) {
    return metric_ratio(c->alarms[i], c->negatives);
}

/* Hits and false alarms grow in proportion between two thresholds, and the area is that under their ratio. */
static double interpolated_precision(const curve *c) {
    double area = 0;
    for (int64_t i = 0; i + 1 < c->n; i++) {
        const double here = c->hits[i] + c->alarms[i], next = c->hits[i + 1] + c->alarms[i + 1];
        const double more = c->hits[i] - c->hits[i + 1], slope = metric_ratio(more, here - next);
        const double rest = c->hits[i + 1] - slope * next, growth = here > 0 && next > 0 ? here / next : 1;
        area += slope * (more + rest * log(growth));
    }
    return metric_ratio(area, c->positives);
}

static double area_of(const curve *c, soma_curve kind, soma_summation method) {
    if (kind == SOMA_PR && method == SOMA_INTERPOLATION) return interpolated_precision(c);
    double (*x)(const curve *, int64_t) = kind == SOMA_PR ? recall : fallout;
    double (*y)(const curve *, int64_t) = kind == SOMA_PR ? precision : recall;
    double area = 0;
    for (int64_t i = 0; i + 1 < c->n; i++) {
        const double a = y(c, i), b = y(c, i + 1);
        const double height = method == SOMA_MINORING ? fmin(a, b) : method == SOMA_MAJORING ? fmax(a, b) : (a + b) / 2;
        area += (x(c, i) - x(c, i + 1)) * height;
    }
    return area;
}

double finish_auc(const double *sums, int64_t n, const double *numbers) {
    const int64_t one = numbers ? (int64_t)count_of(numbers) + 1 : n / 2, outputs = n / (2 * one);
    double total = 0;
    for (int64_t k = 0; k < outputs; k++) {
        const curve c = curve_of(sums + 2 * one * k, one);
        total += area_of(&c, numbers ? (soma_curve)(int)numbers[1] : SOMA_ROC,
                         numbers ? (soma_summation)(int)numbers[2] : SOMA_INTERPOLATION);
    }
    return metric_ratio(total, (double)outputs);
}

/* ---- the best point under a condition ---- */

/* numbers: the value to be reached, num_thresholds, class_id. */
static soma_tensor *at(soma_tensor *y_true, soma_tensor *y_pred, const double *numbers, bool by_sample) {
    soma_tensor *y = soma_cast(metric_labels("at", y_true, y_pred), SOMA_F32);
    if (!y) return NULL;
    const int64_t classes = soma_dim(y_pred, -1), k = (int64_t)numbers[2];
    RETURN_NULL_IF(y->graph->context, numbers[2] >= (double)classes, SOMA_INVALID,
                   "[at] class_id %g: there are %lld classes, from 0", numbers[2], (long long)classes);
    if (numbers[2] >= 0) {
        y = soma_slice_axis(y, -1, k, k + 1, 1);
        y_pred = soma_slice_axis(y_pred, -1, k, k + 1, 1);
    }
    return y && y_pred ? counts(y, y_pred, thresholds(y_pred, "at", numbers[1], NULL, 0), 1, by_sample) : NULL;
}

soma_tensor *metric_at(soma_tensor *y_true, soma_tensor *y_pred, const double *numbers) {
    return at(y_true, y_pred, numbers, false);
}

static double specificity(const curve *c, int64_t i) {
    return metric_ratio(c->negatives - c->alarms[i], c->negatives);
}

/* The largest y where x is at least wanted; 0 where it never is. */
static double best(const double *sums, int64_t n, double wanted, double (*x)(const curve *, int64_t),
                   double (*y)(const curve *, int64_t)) {
    const curve c = curve_of(sums, n / 2);
    double largest = 0;
    for (int64_t i = 0; i < c.n; i++) {
        if (x(&c, i) >= wanted) largest = fmax(largest, y(&c, i));
    }
    return largest;
}

double finish_precision_at_recall(const double *sums, int64_t n, const double *numbers) {
    return best(sums, n, numbers[0], recall, precision);
}
double finish_recall_at_precision(const double *sums, int64_t n, const double *numbers) {
    return best(sums, n, numbers[0], precision, recall);
}
double finish_sensitivity_at_specificity(const double *sums, int64_t n, const double *numbers) {
    return best(sums, n, numbers[0], specificity, recall);
}
double finish_specificity_at_sensitivity(const double *sums, int64_t n, const double *numbers) {
    return best(sums, n, numbers[0], recall, specificity);
}

/* ---- samples that are weighted ---- */

soma_tensor *metric_by_sample(const soma_metric *metric, soma_tensor *y_true, soma_tensor *y_pred) {
    if (metric->plain == soma_auc) return auc(y_true, y_pred, usual, true);
    if (metric->build == metric_auc) return auc(y_true, y_pred, metric->numbers, true);
    if (metric->build == metric_at) return at(y_true, y_pred, metric->numbers, true);
    return metric_build(metric, y_true, y_pred);
}
