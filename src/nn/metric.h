/* Metrics as values: a function, its numbers, what makes a value of its statistics, its name; and their JSON.
 * Rests on names.h and fields.h; metrics.def has one line a metric, losses are metrics too.
 * The builders and finishes that metrics.def names are declared here. */
#ifndef NN_METRICS_H
#define NN_METRICS_H

#include "base/arena.h"
#include "nn/fields.h"

/* The name that files have for it, a user's or ours; NULL: none. custom may be NULL. */
const char *metric_own_name(const soma_metric *metric, const soma_custom *custom);
/* What makes a value of its statistics, where the metric itself does not say; NULL: its values are averaged. */
soma_finish_fn *metric_finish_of(const soma_metric *metric, const soma_custom *custom);
/* "accuracy", or {"precision": {"thresholds": 0.7, "name": "sure"}}. */
soma_status metric_write_json(text *out, const field_names *names, const soma_metric *metric);
/* What is read: one metric, or several where thresholds are a list or no average is taken (average none): one a
 * threshold, one a class. */
typedef struct metric_list {
    soma_metric *items;
    int n, room;
    int64_t classes; /* that the model tells apart; 0: not known yet */
    arena *memory;   /* for names; others are borrowed from the document */
} metric_list;
soma_status metric_read_json(const field_names *names, const json_node *node, metric_list *out);

/* What it makes of a batch: values, or statistics along the last axis. */
soma_tensor *metric_build(const soma_metric *metric, soma_tensor *y_true, soma_tensor *y_pred);
/* The same, statistics in rows of which each sample has as many, so that samples can be weighted. Some metrics of one's
 * own have none. */
soma_tensor *metric_by_sample(const soma_metric *metric, soma_tensor *y_true, soma_tensor *y_pred);

/* ---- what metrics.def names ---- */

soma_metric_with_fn metric_binary_accuracy, metric_top_k, metric_sparse_top_k;
soma_metric_with_fn metric_confusion, metric_at, metric_auc, metric_overlaps, metric_iou, metric_binary_iou, metric_r2;
soma_finish_fn finish_precision, finish_recall, finish_true_positives, finish_false_positives, finish_false_negatives,
    finish_true_negatives;
soma_finish_fn finish_precision_at_recall, finish_recall_at_precision, finish_sensitivity_at_specificity,
    finish_specificity_at_sensitivity, finish_auc;
soma_finish_fn finish_f1, finish_f_beta, finish_iou, finish_root_of_mean, finish_r2, finish_exp_of_mean, finish_pearson,
    finish_concordance;

/* What metrics share: both in the shape of y_pred, class indices made one-hot. */
soma_tensor *metric_labels(const char *name, soma_tensor *y_true, soma_tensor *y_pred);
soma_tensor *metric_column(soma_tensor *x); /* (elements, 1) */
soma_tensor *metric_rows(soma_tensor *x);   /* (samples, last axis) */
/* Side by side along the last axis. */
soma_tensor *metric_beside(soma_tensor *a, soma_tensor *b);
double metric_ratio(double a, double b); /* 0 where b is */

#endif
