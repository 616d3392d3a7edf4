/* Metrics of a whole epoch that count decisions: precision, recall, F, intersection over union, and the counts.
 * Rests on ops and metric.h. Each gives statistics along its last axis, which are summed over samples and batches, and
 * has a finish, a plain function, that makes the value of the sums. Nothing else is kept, so the size of a batch, and
 * where an epoch is cut into batches, does not show.
 * Formulas are Keras'; what was never seen counts 0. */
#include <math.h>

#include "nn/losses.h"
#include "nn/metric.h"
#include "ops/op.h"

/* ---- what is compared ---- */

soma_tensor *metric_labels(const char *name, soma_tensor *y_true, soma_tensor *y_pred) {
    if (!y_true || !y_pred) return NULL;
    int64_t classes = y_pred->rank > 0 ? y_pred->shape[y_pred->rank - 1] : 1;
    bool indices = classes != 1 && (y_true->rank < y_pred->rank || y_true->shape[y_true->rank - 1] == 1);
    if (!indices) return loss_align(name, y_true, y_pred);
    soma_tensor *y = loss_indices(name, y_true, y_pred);
    return y ? soma_one_hot(y, classes, y_pred->dtype) : NULL;
}

static soma_tensor *compared(soma_tensor *x, double limit, soma_tensor *(*how)(soma_tensor *, soma_tensor *)) {
    return x ? soma_cast(how(x, soma_scalar(x->graph, x->dtype, limit)), SOMA_F32) : NULL;
}

static soma_tensor *inverse(soma_tensor *x) {
    return soma_add_scalar(soma_neg(x), 1);
}

soma_tensor *metric_rows(soma_tensor *x) {
    return x ? soma_reshape(x, SOMA_DIMS(-1, x->rank > 0 ? soma_dim(x, -1) : 1)) : NULL;
}
soma_tensor *metric_column(soma_tensor *x) {
    return x ? soma_reshape(x, SOMA_DIMS(-1, 1)) : NULL;
}

soma_tensor *metric_beside(soma_tensor *a, soma_tensor *b) {
    soma_tensor *both[] = {a, b};
    return a && b ? soma_concat(both, 2, -1) : NULL;
}

double metric_ratio(double a, double b) {
    return b > 0 ? a / b : 0;
}

/* One class of the last axis, or all: class_id -1. */
static soma_tensor *class_of(const char *name, soma_tensor *x, double class_id) {
    if (!x || class_id < 0) return x;
    int64_t at = (int64_t)class_id, classes = x->rank > 0 ? soma_dim(x, -1) : 1;
    RETURN_NULL_IF(x->graph->context, class_id >= (double)classes, SOMA_INVALID,
                   "[%s] class_id %g: there are %lld classes, from 0", name, class_id, (long long)classes);
    return soma_slice_axis(x, -1, at, at + 1, 1);
}

/* ---- elements said and there, at a threshold: precision, recall, counts ---- */

/* 1 for the k highest along the last axis, of ties the first. */
static soma_tensor *highest(soma_tensor *x, int64_t k) {
    if (!x) return NULL;
    int64_t n = soma_dim(x, -1);
    if (k >= n) return soma_ones(x->graph, SOMA_F32, x->rank, x->shape);
    soma_tensor *at = soma_arange(x->graph, SOMA_I64, 0, (double)n, 1);
    soma_tensor *before = soma_less(at, soma_expand_dims(at, -1));
    soma_tensor *mine = soma_expand_dims(x, -1), *others = soma_expand_dims(x, -2);
    soma_tensor *ahead =
        soma_logical_or(soma_greater(others, mine), soma_logical_and(soma_equal(others, mine), before));
    soma_tensor *rank = soma_sum(soma_cast(ahead, SOMA_F32), SOMA_AXES(-1), false);
    return compared(rank, (double)k, soma_less);
}

/* What is above the threshold, by itself 0.5, and among the k highest of a sample, where this is asked for. */
static soma_tensor *said_by(soma_tensor *y_pred, double threshold, double top_k) {
    soma_tensor *among = top_k > 0 ? highest(y_pred, (int64_t)top_k) : NULL;
    if (top_k > 0 && isnan(threshold)) return among;
    soma_tensor *above = compared(y_pred, isnan(threshold) ? 0.5 : threshold, soma_greater);
    return top_k > 0 ? soma_mul(above, among) : above;
}

/* numbers: threshold, class_id, top_k. Statistics: hits, false alarms, missed, rightly not said. */
soma_tensor *metric_confusion(soma_tensor *y_true, soma_tensor *y_pred, const double *numbers) {
    soma_tensor *y = metric_labels("confusion", y_true, y_pred);
    soma_tensor *said = said_by(y_pred, numbers[0], numbers[2]);
    y = metric_column(class_of("confusion", soma_cast(y, SOMA_F32), numbers[1]));
    said = metric_column(class_of("confusion", said, numbers[1]));
    return metric_beside(metric_beside(soma_mul(y, said), soma_mul(inverse(y), said)),
                         metric_beside(soma_mul(y, inverse(said)), soma_mul(inverse(y), inverse(said))));
}

double finish_true_positives(const double *sums, int64_t n, const double *numbers) {
    (void)n, (void)numbers;
    return sums[0];
}
double finish_false_positives(const double *sums, int64_t n, const double *numbers) {
    (void)n, (void)numbers;
    return sums[1];
}
double finish_false_negatives(const double *sums, int64_t n, const double *numbers) {
    (void)n, (void)numbers;
    return sums[2];
}
double finish_true_negatives(const double *sums, int64_t n, const double *numbers) {
    (void)n, (void)numbers;
    return sums[3];
}
double finish_precision(const double *sums, int64_t n, const double *numbers) {
    (void)n, (void)numbers;
    return metric_ratio(sums[0], sums[0] + sums[1]);
}
double finish_recall(const double *sums, int64_t n, const double *numbers) {
    (void)n, (void)numbers;
    return metric_ratio(sums[0], sums[0] + sums[2]);
}

static const double at_half[] = {0.5, -1, 0};
soma_tensor *soma_precision(soma_tensor *y_true, soma_tensor *y_pred) {
    return metric_confusion(y_true, y_pred, at_half);
}
soma_tensor *soma_recall(soma_tensor *y_true, soma_tensor *y_pred) {
    return metric_confusion(y_true, y_pred, at_half);
}
soma_tensor *soma_true_positives(soma_tensor *y_true, soma_tensor *y_pred) {
    return metric_confusion(y_true, y_pred, at_half);
}
soma_tensor *soma_false_positives(soma_tensor *y_true, soma_tensor *y_pred) {
    return metric_confusion(y_true, y_pred, at_half);
}
soma_tensor *soma_true_negatives(soma_tensor *y_true, soma_tensor *y_pred) {
    return metric_confusion(y_true, y_pred, at_half);
}
soma_tensor *soma_false_negatives(soma_tensor *y_true, soma_tensor *y_pred) {
    return metric_confusion(y_true, y_pred, at_half);
}

/* ---- F, intersection over union: class by class, by the decisions ---- */

/* Hits, truths, decisions of each class. */
static soma_tensor *overlaps(soma_tensor *y, soma_tensor *decided) {
    return metric_beside(metric_rows(soma_mul(y, decided)), metric_beside(metric_rows(y), metric_rows(decided)));
}

/* One-hot decisions: the class with the highest score, or of one score whether it is above a half. */
static soma_tensor *decisions(soma_tensor *y_pred) {
    if (!y_pred) return NULL;
    int64_t classes = soma_dim(y_pred, -1);
    return classes > 1 ? soma_one_hot(soma_argmax(y_pred, -1, false), classes, SOMA_F32)
                       : compared(y_pred, 0.5, soma_greater);
}

/* numbers: average, threshold (NaN: the highest class), class_id. */
soma_tensor *metric_overlaps(soma_tensor *y_true, soma_tensor *y_pred, const double *numbers) {
    soma_tensor *y = soma_cast(metric_labels("f_score", y_true, y_pred), SOMA_F32);
    soma_tensor *decided = isnan(numbers[1]) ? decisions(y_pred) : compared(y_pred, numbers[1], soma_greater);
    return overlaps(class_of("f_score", y, numbers[2]), class_of("f_score", decided, numbers[2]));
}

soma_tensor *soma_f1_score(soma_tensor *y_true, soma_tensor *y_pred) {
    return metric_overlaps(y_true, y_pred, (const double[]){SOMA_MACRO, (double)NAN, -1});
}

static double f_beta(const double *sums, int64_t n, soma_average average, double beta) {
    const int64_t classes = n / 3;
    const double more = 1 + beta * beta, *hits = sums, *truths = hits + classes, *said = truths + classes;
    double total = 0, weights = 0, all[3] = {0};
    for (int64_t i = 0; i < classes; i++) {
        const double weight = average == SOMA_WEIGHTED ? truths[i] : 1;
        total += weight * metric_ratio(more * hits[i], beta * beta * truths[i] + said[i]);
        weights += weight;
        all[0] += hits[i], all[1] += truths[i], all[2] += said[i];
    }
    if (average == SOMA_MICRO) return metric_ratio(more * all[0], beta * beta * all[1] + all[2]);
    return metric_ratio(total, weights);
}

double finish_f1(const double *sums, int64_t n, const double *numbers) {
    return f_beta(sums, n, numbers ? (soma_average)(int)numbers[0] : SOMA_MACRO, 1);
}
double finish_f_beta(const double *sums, int64_t n, const double *numbers) {
    return f_beta(sums, n, (soma_average)(int)numbers[0], numbers[3]);
}

/* Of one output, class 0 is the background and class 1 the thing. */
static soma_tensor *both_sides(soma_tensor *x) {
    x = metric_column(x);
    return metric_beside(inverse(x), x);
}

/* Class indices, with a last axis of one or without, as one-hot decisions. */
static soma_tensor *chosen(soma_tensor *indices, double classes) {
    RETURN_NULL_IF(indices->graph->context, classes < 1, SOMA_INVALID,
                   "[iou] sparse_y_pred: num_classes must say how many classes there are");
    if (indices->rank > 1 && soma_dim(indices, -1) == 1) indices = soma_squeeze(indices, -1);
    return indices ? soma_one_hot(soma_cast(indices, SOMA_I64), (int64_t)classes, SOMA_F32) : NULL;
}

/* Of the labels x, y as one-hot vectors: times 1 where the class is another, times 0 where it is this one. */
static soma_tensor *without(soma_tensor *values, soma_tensor *x, soma_tensor *y, double ignored) {
    if (isnan(ignored) || !values || !y) return values;
    const bool one_hot = x->rank == y->rank && soma_dim(x, -1) == soma_dim(y, -1) && soma_dim(x, -1) > 1;
    if (one_hot && !(ignored >= 0 && ignored < (double)soma_dim(y, -1))) return values;
    if (one_hot) return soma_mul(values, inverse(class_of("iou", y, ignored)));
    if (x->rank < y->rank) x = soma_expand_dims(x, -1);
    x = soma_cast(x, SOMA_F32);
    return x ? soma_mul(values, soma_cast(soma_not_equal(x, soma_scalar(x->graph, x->dtype, ignored)), SOMA_F32))
             : NULL;
}

/* numbers: num_classes (0: as y_pred has), ignore_class (NaN: none), sparse_y_true (is seen), sparse_y_pred, how many
 * target classes, 0 for all, then they. */
soma_tensor *metric_iou(soma_tensor *y_true, soma_tensor *y_pred, const double *numbers) {
    if (!y_true || !y_pred) return NULL;
    soma_tensor *decided = numbers[3] == 1 ? chosen(y_pred, numbers[0]) : decisions(y_pred);
    if (!decided) return NULL;
    const int64_t outputs = soma_dim(decided, -1), classes = outputs > 1 ? outputs : 2;
    RETURN_NULL_IF(y_pred->graph->context, numbers[0] > 0 && numbers[0] != (double)classes, SOMA_INVALID,
                   "[iou] num_classes is %g: y_pred tells %lld classes apart", numbers[0], (long long)classes);
    soma_tensor *y = soma_cast(metric_labels("iou", y_true, decided), SOMA_F32);
    soma_tensor *truth = outputs > 1 ? y : both_sides(y), *said = outputs > 1 ? decided : both_sides(decided);
    soma_tensor *labels = outputs > 1 ? y_true : metric_column(y_true), *like = outputs > 1 ? y : metric_column(y);
    return overlaps(without(truth, labels, like, numbers[1]), without(said, labels, like, numbers[1]));
}

soma_tensor *soma_mean_iou(soma_tensor *y_true, soma_tensor *y_pred) {
    return metric_iou(y_true, y_pred, (const double[]){0, (double)NAN, (double)NAN, 0, 0});
}

/* numbers: threshold, class_id (-1: both). What is not asked for is left out of the statistics. */
soma_tensor *metric_binary_iou(soma_tensor *y_true, soma_tensor *y_pred, const double *numbers) {
    soma_tensor *y = both_sides(soma_cast(metric_labels("binary_iou", y_true, y_pred), SOMA_F32));
    soma_tensor *decided = both_sides(compared(y_pred, numbers[0], soma_greater_equal));
    return overlaps(class_of("binary_iou", y, numbers[1]), class_of("binary_iou", decided, numbers[1]));
}

/* The mean over those of the classes asked for that there are. numbers: see metric_iou; NULL: all. */
double finish_iou(const double *sums, int64_t n, const double *numbers) {
    const int64_t classes = n / 3;
    const int asked = numbers ? (int)numbers[4] : 0;
    double total = 0, seen = 0;
    for (int64_t k = 0; k < (asked ? asked : classes); k++) {
        const int64_t i = asked ? (int64_t)numbers[5 + k] : k;
        if (i < 0 || i >= classes) return (double)NAN;
        const double all = sums[classes + i] + sums[2 * classes + i] - sums[i];
        total += metric_ratio(sums[i], all);
        seen += all > 0;
    }
    return metric_ratio(total, seen);
}
