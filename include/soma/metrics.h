/* Metrics: what is shown but not minimized, by Keras' names and formulas; any loss is a metric too. And measures of
 * labels, texts and sequences, plain functions on arrays: BLEU, error rates, perplexity, confusion matrix.
 * A metric is a function of tensors as a loss is: soma_compile(net, ..., .metrics = {soma_accuracy, soma_auc}). */
#ifndef SOMA_METRICS_H
#define SOMA_METRICS_H

#include <soma/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- averages of samples ---- */

/** The share of samples whose decision is right. By the shapes, as Keras' "accuracy": y_pred (batch, 1) is binary, 1
 *  above a half; y_true indices or y_true (batch, 1): the place of the largest of y_pred is the index; else that of the
 *  largest of y_true. */
SOMA_API soma_tensor *soma_accuracy(soma_tensor *y_true, soma_tensor *y_pred);
/** Binary, categorical or sparse categorical cross-entropy, likewise: Keras' "crossentropy". */
SOMA_API soma_tensor *soma_crossentropy(soma_tensor *y_true, soma_tensor *y_pred);
SOMA_API soma_tensor *soma_binary_accuracy(soma_tensor *y_true, soma_tensor *y_pred); /**< threshold 0.5 */
SOMA_API soma_tensor *soma_categorical_accuracy(soma_tensor *y_true, soma_tensor *y_pred);
SOMA_API soma_tensor *soma_sparse_categorical_accuracy(soma_tensor *y_true, soma_tensor *y_pred);
SOMA_API soma_tensor *soma_top_k_categorical_accuracy(soma_tensor *y_true, soma_tensor *y_pred);        /**< k = 5 */
SOMA_API soma_tensor *soma_sparse_top_k_categorical_accuracy(soma_tensor *y_true, soma_tensor *y_pred); /**< k = 5 */

/* ---- of a whole epoch ---- */

/* What no average of batches would give. Such a function returns statistics, (..., n): they
 * are summed over all other axes and over the epoch, and a finish makes the metric of the n sums. For one of your own,
 * give the finish to soma_compile, and to soma_save and soma_load beside its name. */

/** numbers: those of a soma_metric; NULL for a metric without. */
typedef double soma_finish_fn(const double *sums, int64_t n, const double *numbers);
/** Of what was said to be there (above a half), how much was; element by element. */
SOMA_API soma_tensor *soma_precision(soma_tensor *y_true, soma_tensor *y_pred);
SOMA_API soma_tensor *soma_recall(soma_tensor *y_true,
                                  soma_tensor *y_pred); /**< of what was there, how much was said */
/** 2 hits / (truths + decisions) for each class, averaged over the classes (Keras: average = "macro"). */
SOMA_API soma_tensor *soma_f1_score(soma_tensor *y_true, soma_tensor *y_pred);
/** hits / (truths + decisions - hits), averaged over the classes; with one output those are thing and background. */
SOMA_API soma_tensor *soma_mean_iou(soma_tensor *y_true, soma_tensor *y_pred);
/** Area under the curve of true against false positives, from 200 thresholds. */
SOMA_API soma_tensor *soma_auc(soma_tensor *y_true, soma_tensor *y_pred);
SOMA_API soma_tensor *soma_root_mean_squared_error(soma_tensor *y_true,
                                                   soma_tensor *y_pred); /**< root of the mean of (y_pred - y_true)^2 */
/** 1 - squared errors / squared deviations from the mean, averaged over the outputs; 0 of one whose truths are all
 *  alike. */
SOMA_API soma_tensor *soma_r2_score(soma_tensor *y_true, soma_tensor *y_pred);
SOMA_API soma_tensor *soma_perplexity(soma_tensor *y_true, soma_tensor *y_pred); /**< e^(mean cross-entropy) */
/** The cosine of the angle along the last axis, as Keras' metric: the loss of this name is minus that. */
SOMA_API soma_tensor *soma_cosine_of_angle(soma_tensor *y_true, soma_tensor *y_pred);
/** Covariance over the product of the deviations: of each sample's values along the last axis, then averaged; where
 *  there is one value a sample, of all samples. */
SOMA_API soma_tensor *soma_pearson_correlation(soma_tensor *y_true, soma_tensor *y_pred);
/** 2 covariance / (both variances + square of the difference of the means), taken likewise. */
SOMA_API soma_tensor *soma_concordance_correlation(soma_tensor *y_true, soma_tensor *y_pred);
/** How many elements are there, or not, and said to be there (above a half), or not: true_positives are there and said,
 *  false_positives said only, true_negatives neither, false_negatives there only. A sum over the epoch, no share. */
SOMA_API soma_tensor *soma_true_positives(soma_tensor *y_true, soma_tensor *y_pred);
SOMA_API soma_tensor *soma_false_positives(soma_tensor *y_true, soma_tensor *y_pred);
SOMA_API soma_tensor *soma_true_negatives(soma_tensor *y_true, soma_tensor *y_pred);
SOMA_API soma_tensor *soma_false_negatives(soma_tensor *y_true, soma_tensor *y_pred);

/* ---- with numbers ---- */

/* In files {"precision": {"class_id": 2, "name": "precision_of_cats"}}; a C program gives
 * soma_compile(net, ..., .metrics_with = {soma_precision_metric(0.5, 2, 0)}). In files a list stands for several:
 * {"precision": {"thresholds": [0.3, 0.7]}} is shown as precision_0.3 and precision_0.7, and {"f1_score": {"average":
 * "none"}} as f1_score_class_0, f1_score_class_1, ... */

enum { SOMA_METRIC_NUMBERS = 32 };
typedef soma_tensor *soma_metric_with_fn(soma_tensor *y_true, soma_tensor *y_pred, const double *numbers);
typedef struct soma_metric {
    soma_loss_fn *plain;                 /* a metric without numbers, or: */
    soma_metric_with_fn *build;          /* one with */
    soma_finish_fn *finish;              /* NULL: an average of samples */
    double numbers[SOMA_METRIC_NUMBERS]; /* handed to build and finish */
    const char *name;                    /* in logs and history; NULL: its own */
    bool weighted; /* samples count as in the loss, by the weights of samples and classes that fit is given */
} soma_metric;

SOMA_API soma_metric soma_binary_accuracy_metric(double threshold); /**< Keras: 0.5 */
SOMA_API soma_metric soma_top_k_metric(int k);                      /**< y_true one-hot. Keras: 5 */
SOMA_API soma_metric soma_sparse_top_k_metric(int k);               /**< y_true indices */
/** threshold: what is above it counts as said, Keras 0.5. class_id: of this class only; -1: of all. top_k: only the k
 *  highest of a sample count as said, whatever the threshold; 0: all. */
SOMA_API soma_metric soma_precision_metric(double threshold, int class_id, int top_k);
SOMA_API soma_metric soma_recall_metric(double threshold, int class_id, int top_k);
/** Of all thresholds 0, 1 / (n - 1), ..., 1 that give at least such a recall, the highest precision; and so on. Keras:
 *  num_thresholds 200, class_id none (-1). */
SOMA_API soma_metric soma_precision_at_recall(double recall, int num_thresholds, int class_id);
SOMA_API soma_metric soma_recall_at_precision(double precision, int num_thresholds, int class_id);
SOMA_API soma_metric soma_sensitivity_at_specificity(double specificity, int num_thresholds, int class_id);
SOMA_API soma_metric soma_specificity_at_sensitivity(double sensitivity, int num_thresholds, int class_id);
typedef enum soma_curve { SOMA_ROC, SOMA_PR } soma_curve;
typedef enum soma_summation { SOMA_INTERPOLATION, SOMA_MINORING, SOMA_MAJORING } soma_summation;
/** Area under true over false positives, or precision over recall. multi_label: of each output, averaged. Keras: 200,
 *  "ROC", "interpolation", false, false. */
SOMA_API soma_metric soma_auc_metric(int num_thresholds, soma_curve curve, soma_summation summation, bool multi_label,
                                     bool from_logits);
/** The same at n thresholds of your own, at most 26, beside one below and one above all. In files "thresholds". */
SOMA_API soma_metric soma_auc_thresholds_metric(int n, const double *thresholds, soma_curve curve,
                                                soma_summation summation, bool multi_label, bool from_logits);
typedef enum soma_average { SOMA_MACRO, SOMA_MICRO, SOMA_WEIGHTED } soma_average;
/** (1 + beta^2) hits / ((1 + beta^2) hits + beta^2 missed + false alarms) of each class: averaged (macro), weighted by
 *  how often the class is there, or of all classes' sums (micro). threshold NAN: the highest class is what is said.
 *  class_id -1: all. */
SOMA_API soma_metric soma_f_beta_metric(double beta, soma_average average, double threshold, int class_id);
/** The mean of so many classes' hits / (truths + decisions - hits); n 0: of all, at most 27. In files also
 * ignore_class, the class of y_true whose elements count nothing; num_classes, which y_pred must have; and
 * sparse_y_pred: y_pred are num_classes' indices, not values. Whether y_true are indices is seen. */
SOMA_API soma_metric soma_iou_metric(int n, const int *target_class_ids);
SOMA_API soma_metric soma_iou_ignoring(int n, const int *target_class_ids, int64_t ignore_class);
/** Element by element, class 1 what is at least threshold. Keras: 0.5, both classes (class_id -1). */
SOMA_API soma_metric soma_binary_iou_metric(double threshold, int class_id);
typedef enum soma_aggregation { SOMA_UNIFORM_AVERAGE, SOMA_VARIANCE_WEIGHTED } soma_aggregation;
/** R2 of several outputs in one; num_regressors: adjusted for so many inputs. Keras: uniform, 0. */
SOMA_API soma_metric soma_r2_metric(soma_aggregation class_aggregation, int num_regressors);

/* ---- measures of labels, texts and sequences ---- */

/** How often class i was taken for class j: counts[i * classes + j], in units of weights (NULL: 1 each).
 *  labels, predictions: n numbers from 0 to classes - 1. Errors: SOMA_INVALID for a number that is no class. */
SOMA_API SOMA_MUST_CHECK soma_status soma_confusion_matrix(soma_context *context, int64_t n, const int64_t *labels,
                                                           const int64_t *predictions, const double *weights,
                                                           int64_t classes, double *counts);

/** e^(-mean of n natural logarithms of probabilities): of a text, by what the model gave each of its tokens. */
SOMA_API double soma_perplexity_of(int64_t n, const double *log_probabilities);

/** Tokens one after the other: words, pieces of words or characters, as numbers. */
typedef struct soma_sequence {
    const int64_t *items; /* borrowed */
    int64_t n;
} soma_sequence;

/** The fewest tokens to put in, leave out or exchange that make b of a. Levenshtein 1965. -1 when out of memory. */
SOMA_API int64_t soma_edit_distance(soma_context *context, soma_sequence a, soma_sequence b);
/** Edit distances of all n pairs over the lengths of all references: 0 is perfect, more than 1 possible. NaN when there
 *  is no reference or no memory. */
SOMA_API double soma_token_error_rate(soma_context *context, int64_t n, const soma_sequence *references,
                                      const soma_sequence *hypotheses);
/** The same of the words of texts (what white space separates), WER, and of their characters (UTF-8), CER. */
SOMA_API double soma_word_error_rate(soma_context *context, int64_t n, const char *const *references,
                                     const char *const *hypotheses);
SOMA_API double soma_character_error_rate(soma_context *context, int64_t n, const char *const *references,
                                          const char *const *hypotheses);

enum { SOMA_BLEU_ORDERS = 8 };
/** What stands for a precision of 0, which makes BLEU 0 (Chen and Cherry 2014): value instead of the number of hits;
 *  value more hits and n-grams for n > 1; or a half, a quarter, ... of a hit for the first, the second, ... such order.
 */
typedef enum soma_smoothing { SOMA_SMOOTH_NONE, SOMA_SMOOTH_FLOOR, SOMA_SMOOTH_ADD_K, SOMA_SMOOTH_EXP } soma_smoothing;
typedef struct soma_bleu_options {
    int64_t n;              /* hypotheses */
    int64_t references_per; /* 1: references of each hypothesis, which stand one after the other */
    const soma_sequence *hypotheses, *references;
    const char *const *hypothesis_texts, *const *reference_texts; /* instead: tokens are what white space separates */
    int max_order;                                                /* 4: longest n-grams */
    soma_smoothing smoothing;                                     /* none */
    double smoothing_value; /* 0: 0.1 for SOMA_SMOOTH_FLOOR, 1 for SOMA_SMOOTH_ADD_K */
    soma_context *context;  /* NULL: the default one */
} soma_bleu_options;
typedef struct soma_bleu_score {
    soma_status status;                          /* look at it first: the numbers are NaN after an error */
    double bleu;                                 /* from 0 to 1 */
    double precisions[SOMA_BLEU_ORDERS];         /* of n-grams, from n = 1 */
    double brevity_penalty;                      /* 1 where the hypotheses are as long as the references */
    int64_t hypothesis_length, reference_length; /* of all; of a hypothesis' references the nearest in length counts */
} soma_bleu_score;
/** BLEU of a corpus: exp(min(0, 1 - r / h)) times the geometric mean of the precisions of n-grams, clipped by how often
 *  a reference has them. Papineni et al. 2002: soma_bleu(.n = 2, .hypothesis_texts = a, .reference_texts = b). */
#define soma_bleu(...) soma_bleu_create(&(soma_bleu_options){__VA_ARGS__})
SOMA_API soma_bleu_score soma_bleu_create(const soma_bleu_options *options);

#ifdef __cplusplus
}
#endif
#endif
