/* Metrics with numbers, for C programs: each maker puts its arguments in the order that metrics.def names them in.
 * Rests on metric.h.
 * Values, not objects: nothing to free, and a metric of the user's own is the same struct. */
#include <math.h>

#include "nn/metric.h"

soma_tensor *metric_build(const soma_metric *metric, soma_tensor *y_true, soma_tensor *y_pred) {
    return metric->build ? metric->build(y_true, y_pred, metric->numbers) : metric->plain(y_true, y_pred);
}

soma_metric soma_binary_accuracy_metric(double threshold) {
    return (soma_metric){.build = metric_binary_accuracy, .numbers = {threshold}};
}
soma_metric soma_top_k_metric(int k) {
    return (soma_metric){.build = metric_top_k, .numbers = {k}};
}
soma_metric soma_sparse_top_k_metric(int k) {
    return (soma_metric){.build = metric_sparse_top_k, .numbers = {k}};
}
soma_metric soma_precision_metric(double threshold, int class_id, int top_k) {
    return (soma_metric){
        .build = metric_confusion, .finish = finish_precision, .numbers = {threshold, class_id, top_k}};
}
soma_metric soma_recall_metric(double threshold, int class_id, int top_k) {
    return (soma_metric){.build = metric_confusion, .finish = finish_recall, .numbers = {threshold, class_id, top_k}};
}

static soma_metric at(soma_finish_fn *finish, double value, int num_thresholds, int class_id) {
    return (soma_metric){.build = metric_at, .finish = finish, .numbers = {value, num_thresholds, class_id}};
}
soma_metric soma_precision_at_recall(double recall, int num_thresholds, int class_id) {
    return at(finish_precision_at_recall, recall, num_thresholds, class_id);
}
soma_metric soma_recall_at_precision(double precision, int num_thresholds, int class_id) {
    return at(finish_recall_at_precision, precision, num_thresholds, class_id);
}
soma_metric soma_sensitivity_at_specificity(double specificity, int num_thresholds, int class_id) {
    return at(finish_sensitivity_at_specificity, specificity, num_thresholds, class_id);
}
soma_metric soma_specificity_at_sensitivity(double sensitivity, int num_thresholds, int class_id) {
    return at(finish_specificity_at_sensitivity, sensitivity, num_thresholds, class_id);
}

soma_metric soma_auc_metric(int num_thresholds, soma_curve curve, soma_summation summation, bool multi_label,
                            bool from_logits) {
    return (soma_metric){.build = metric_auc,
                         .finish = finish_auc,
                         .numbers = {num_thresholds, curve, summation, multi_label, from_logits}};
}

/* A list behind the numbers: how many, then they themselves. More than there is room for: no metric. */
static bool add_list(soma_metric *metric, int at, int n) {
    const bool fits = n >= 0 && at + 1 + n <= SOMA_METRIC_NUMBERS;
    if (fits) metric->numbers[at] = n;
    if (!fits) metric->build = NULL;
    return fits;
}

soma_metric soma_auc_thresholds_metric(int n, const double *thresholds, soma_curve curve, soma_summation summation,
                                       bool multi_label, bool from_logits) {
    soma_metric metric = soma_auc_metric(200, curve, summation, multi_label, from_logits);
    for (int i = 0; add_list(&metric, 5, n) && i < n; i++)
        metric.numbers[6 + i] = thresholds[i];
    return metric;
}

soma_metric soma_f_beta_metric(double beta, soma_average average, double threshold, int class_id) {
    return (soma_metric){
        .build = metric_overlaps, .finish = finish_f_beta, .numbers = {average, threshold, class_id, beta}};
}

static soma_metric iou(int n, const int *target_class_ids, double ignore_class) {
    soma_metric metric = {.build = metric_iou, .finish = finish_iou, .numbers = {0, ignore_class, (double)NAN, 0}};
    for (int i = 0; add_list(&metric, 4, n) && i < n; i++)
        metric.numbers[5 + i] = target_class_ids[i];
    return metric;
}
soma_metric soma_iou_metric(int n, const int *target_class_ids) {
    return iou(n, target_class_ids, (double)NAN);
}
soma_metric soma_iou_ignoring(int n, const int *target_class_ids, int64_t ignore_class) {
    return iou(n, target_class_ids, (double)ignore_class);
}
soma_metric soma_binary_iou_metric(double threshold, int class_id) {
    return (soma_metric){.build = metric_binary_iou, .finish = finish_iou, .numbers = {threshold, class_id}};
}
soma_metric soma_r2_metric(soma_aggregation class_aggregation, int num_regressors) {
    return (soma_metric){.build = metric_r2, .finish = finish_r2, .numbers = {class_aggregation, num_regressors}};
}
