/* Metrics of a whole epoch: those that are no average of the samples' own values.
 * Rests on ops and losses.h. Each gives statistics along its last axis, which are summed over samples and batches, and
 * has a finish, a plain function, that makes the value of the sums. Nothing else is kept, so the size of a batch, and
 * where an epoch is cut into batches, does not show.
 * Formulas are Keras'; what was never seen counts 0. */
#include "nn/metrics_epoch.h"

#include <math.h>

#include "nn/losses.h"
#include "ops/op.h"

enum { THRESHOLDS = 200 }; /* of the AUC, as Keras */

/* ---- what is compared ---- */

/* Both in the shape of y_pred; class indices become one-hot. */
static soma_tensor *labels(const char *name, soma_tensor *y_true, soma_tensor *y_pred) {
    if (!y_true || !y_pred) return NULL;
    int64_t classes = y_pred->rank > 0 ? y_pred->shape[y_pred->rank - 1] : 1;
    bool indices = y_true->rank < y_pred->rank || y_true->shape[y_true->rank - 1] == 1;
    if (classes == 1 || !indices) return loss_align(name, y_true, y_pred);
    soma_tensor *y = loss_indices(name, y_true, y_pred);
    return y ? soma_one_hot(y, classes, y_pred->dtype) : NULL;
}

/* 1 where a probability is above a half */
static soma_tensor *positives(soma_tensor *y_pred) {
    return y_pred ? soma_cast(soma_greater(y_pred, soma_scalar(y_pred->graph, y_pred->dtype, 0.5)), SOMA_F32) : NULL;
}

/* One-hot decisions: the class with the highest score, or of one score whether it is above a half. */
static soma_tensor *decisions(soma_tensor *y_pred) {
    if (!y_pred) return NULL;
    int64_t classes = soma_dim(y_pred, -1);
    return classes > 1 ? soma_one_hot(soma_argmax(y_pred, -1, false), classes, SOMA_F32) : positives(y_pred);
}

/* Elements as rows of the last axis. */
static soma_tensor *rows(soma_tensor *x) {
    return x ? soma_reshape(x, SOMA_DIMS(-1, soma_dim(x, -1))) : NULL;
}
static soma_tensor *column(soma_tensor *x) {
    return x ? soma_reshape(x, SOMA_DIMS(-1, 1)) : NULL;
}

static soma_tensor *beside(soma_tensor *a, soma_tensor *b, soma_tensor *c) {
    soma_tensor *all[] = {a, b, c};
    if (!a || !b) return NULL;
    return soma_concat(all, c ? 3 : 2, -1);
}

static double ratio(double a, double b) {
    return b > 0 ? a / b : 0;
}

/* ---- precision, recall: element by element, at a half ---- */

soma_tensor *soma_precision(soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *y = soma_cast(labels("precision", y_true, y_pred), SOMA_F32), *p = positives(y_pred);
    return beside(column(soma_mul(y, p)), column(p), NULL);
}

soma_tensor *soma_recall(soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *y = soma_cast(labels("recall", y_true, y_pred), SOMA_F32), *p = positives(y_pred);
    return beside(column(soma_mul(y, p)), column(y), NULL);
}

double finish_ratio(const double *sums, int64_t n) {
    (void)n;
    return ratio(sums[0], sums[1]);
}

/* ---- F1, intersection over union: class by class, by the decisions ---- */

/* Hits, truths, decisions of each class. */
static soma_tensor *overlaps(const char *name, soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *y = soma_cast(labels(name, y_true, y_pred), SOMA_F32), *d = decisions(y_pred);
    return beside(rows(soma_mul(y, d)), rows(y), rows(d));
}

soma_tensor *soma_f1_score(soma_tensor *y_true, soma_tensor *y_pred) {
    return overlaps("f1_score", y_true, y_pred);
}

double finish_f1(const double *sums, int64_t n) {
    int64_t classes = n / 3;
    double total = 0;
    for (int64_t i = 0; i < classes; i++)
        total += ratio(2 * sums[i], sums[classes + i] + sums[2 * classes + i]);
    return total / (double)classes;
}

/* With one output the background is a class too. */
soma_tensor *soma_mean_iou(soma_tensor *y_true, soma_tensor *y_pred) {
    if (!y_pred || soma_dim(y_pred, -1) != 1) return overlaps("mean_iou", y_true, y_pred);
    soma_tensor *y = column(soma_cast(labels("mean_iou", y_true, y_pred), SOMA_F32)), *d = column(positives(y_pred));
    soma_tensor *not_y = soma_add_scalar(soma_neg(y), 1), *not_d = soma_add_scalar(soma_neg(d), 1);
    soma_tensor *both = beside(y, not_y, NULL), *decided = beside(d, not_d, NULL);
    return beside(soma_mul(both, decided), both, decided);
}

/* The mean over the classes that there are. */
double finish_iou(const double *sums, int64_t n) {
    int64_t classes = n / 3, seen = 0;
    double total = 0;
    for (int64_t i = 0; i < classes; i++) {
        double all = sums[classes + i] + sums[2 * classes + i] - sums[i];
        total += ratio(sums[i], all);
        seen += all > 0;
    }
    return ratio(total, (double)seen);
}

/* ---- area under the curve of true and false positives ---- */

/* True positives, then false ones, above each threshold: one product of labels and comparisons. */
soma_tensor *soma_auc(soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *y = column(soma_cast(labels("auc", y_true, y_pred), SOMA_F32));
    if (!y) return NULL;
    double limits[THRESHOLDS];
    limits[0] = -1e-7;
    for (int i = 1; i < THRESHOLDS - 1; i++)
        limits[i] = i / (THRESHOLDS - 1.0);
    limits[THRESHOLDS - 1] = 1 + 1e-7;
    soma_tensor *at = soma_cast(soma_array(y->graph, SOMA_F64, SOMA_DIMS(THRESHOLDS), limits), y_pred->dtype);
    soma_tensor *above = soma_cast(soma_greater(column(y_pred), at), SOMA_F32);
    soma_tensor *kinds = beside(y, soma_add_scalar(soma_neg(y), 1), NULL);
    return soma_reshape(soma_matmul(soma_transpose(kinds, NULL), above), SOMA_DIMS(2 * THRESHOLDS));
}

/* Trapezoids; above the first threshold is everything. */
double finish_auc(const double *sums, int64_t n) {
    const double *hits = sums, *false_alarms = sums + n / 2;
    double area = 0;
    for (int64_t i = 0; i + 1 < n / 2; i++) {
        double width = ratio(false_alarms[i], false_alarms[0]) - ratio(false_alarms[i + 1], false_alarms[0]);
        area += width * (ratio(hits[i], hits[0]) + ratio(hits[i + 1], hits[0])) / 2;
    }
    return area;
}

/* ---- numbers ---- */

static soma_tensor *ones_like(soma_tensor *x) {
    return x ? soma_ones(x->graph, x->dtype, x->rank, x->shape) : NULL;
}

soma_tensor *soma_root_mean_squared_error(soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *squares = column(soma_mean_squared_error(y_true, y_pred));
    return beside(squares, ones_like(squares), NULL);
}

double finish_root_of_mean(const double *sums, int64_t n) {
    (void)n;
    return sqrt(ratio(sums[0], sums[1]));
}

/* Of each output the count, the sum and the squares of the truths, and the squares of the errors, in double: the
 * variance is a difference of large numbers. */
soma_tensor *soma_r2_score(soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *y = soma_cast(loss_align("r2_score", y_true, y_pred), SOMA_F64), *p = soma_cast(y_pred, SOMA_F64);
    y = rows(y);
    soma_tensor *errors = soma_square(soma_sub(y, rows(p)));
    return beside(beside(ones_like(y), y, NULL), soma_square(y), errors);
}

double finish_r2(const double *sums, int64_t n) {
    int64_t outputs = n / 4;
    const double *count = sums, *sum = sums + outputs, *squares = sum + outputs, *errors = squares + outputs;
    double total = 0;
    for (int64_t i = 0; i < outputs; i++)
        total += 1 - errors[i] / (squares[i] - sum[i] * sum[i] / count[i]);
    return total / (double)outputs;
}

/* ---- perplexity: e to the mean cross-entropy ---- */

soma_tensor *soma_perplexity(soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *losses = column(metric_crossentropy(y_true, y_pred));
    return beside(losses, ones_like(losses), NULL);
}

double finish_exp_of_mean(const double *sums, int64_t n) {
    (void)n;
    return exp(ratio(sums[0], sums[1]));
}
