/* Functions of tensors that networks are made with: activations, initializers, regularizers, constraints, losses.
 * Keras' names, formulas and defaults. Each is a plain function, or a small struct of a function with its numbers: pass
 * ours or your own. */
#ifndef SOMA_FUNCTIONS_H
#define SOMA_FUNCTIONS_H

#include <soma/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A true zero where zero means the default: soma_adam(.beta_1 = SOMA_ZERO). */
#define SOMA_ZERO (-0.0)

/** Where axes are asked for: none of them, Keras' None. In files null. */
enum { SOMA_NO_AXES = -99 };

/* ---- activations: same shape in and out. soma_sigmoid, soma_tanh, soma_softplus and soma_exp are in ops.h ---- */

typedef soma_tensor *soma_activation_fn(soma_tensor *x);
SOMA_API soma_tensor *soma_linear(soma_tensor *x);         /**< x */
SOMA_API soma_tensor *soma_relu(soma_tensor *x);           /**< max(x, 0); gradient 0 at 0 */
SOMA_API soma_tensor *soma_softmax(soma_tensor *x);        /**< e^x_i / sum_j e^x_j along the last axis */
SOMA_API soma_tensor *soma_step(soma_tensor *x);           /**< 1 where x >= 0, else 0; gradient 0 */
SOMA_API soma_tensor *soma_elu(soma_tensor *x);            /**< x > 0 ? x : e^x - 1 */
SOMA_API soma_tensor *soma_selu(soma_tensor *x);           /**< 1.0507 (x > 0 ? x : 1.6733 (e^x - 1)) */
SOMA_API soma_tensor *soma_celu(soma_tensor *x);           /**< max(x, 0) + min(0, e^x - 1) */
SOMA_API soma_tensor *soma_softsign(soma_tensor *x);       /**< x / (1 + |x|) */
SOMA_API soma_tensor *soma_silu(soma_tensor *x);           /**< x sigmoid(x), also called swish */
SOMA_API soma_tensor *soma_mish(soma_tensor *x);           /**< x tanh(softplus(x)) */
SOMA_API soma_tensor *soma_gelu(soma_tensor *x);           /**< x (1 + erf(x / sqrt 2)) / 2 */
SOMA_API soma_tensor *soma_gelu_tanh(soma_tensor *x);      /**< gelu by its tanh approximation */
SOMA_API soma_tensor *soma_leaky_relu(soma_tensor *x);     /**< x > 0 ? x : 0.2 x */
SOMA_API soma_tensor *soma_relu6(soma_tensor *x);          /**< min(max(x, 0), 6) */
SOMA_API soma_tensor *soma_hard_sigmoid(soma_tensor *x);   /**< clip(x / 6 + 0.5, 0, 1) */
SOMA_API soma_tensor *soma_hard_silu(soma_tensor *x);      /**< x hard_sigmoid(x), also called hard_swish */
SOMA_API soma_tensor *soma_hard_tanh(soma_tensor *x);      /**< clip(x, -1, 1) */
SOMA_API soma_tensor *soma_log_sigmoid(soma_tensor *x);    /**< -softplus(-x) */
SOMA_API soma_tensor *soma_hard_shrink(soma_tensor *x);    /**< |x| > 0.5 ? x : 0 */
SOMA_API soma_tensor *soma_soft_shrink(soma_tensor *x);    /**< x - clip(x, -0.5, 0.5) */
SOMA_API soma_tensor *soma_tanh_shrink(soma_tensor *x);    /**< x - tanh(x) */
SOMA_API soma_tensor *soma_sparse_sigmoid(soma_tensor *x); /**< (clip(x, -1, 1) + 1) / 2 */
SOMA_API soma_tensor *soma_sparse_plus(soma_tensor *x);    /**< 0 below -1, x above 1, between them (x + 1)^2 / 4 */
SOMA_API soma_tensor *soma_squareplus(soma_tensor *x);     /**< (x + sqrt(x^2 + 4)) / 2 */
SOMA_API soma_tensor *soma_sparsemax(soma_tensor *x);      /**< nearest point whose elements are >= 0 and sum to 1 */
/** First half of the last axis times the sigmoid of the second: half as many come out. */
SOMA_API soma_tensor *soma_glu(soma_tensor *x);

/* ---- initializers ---- */

/** What an initializer is asked for. The fans are Keras': (in, out) for a matrix, times the window for a kernel whose
 *  last two axes are in and out, (n, n) for a vector. */
typedef struct soma_weight_request {
    soma_graph *graph;
    soma_dtype dtype;
    int rank; /* of the weight, as its shape */
    const int64_t *shape;
    double fan_in, fan_out;
    soma_tensor *step; /* to be handed to soma_random_*: other numbers for every weight, the same in every run */
} soma_weight_request;
typedef soma_tensor *soma_initializer_fn(const soma_weight_request *request, const double *parameters);
/** .kernel_initializer = soma_he_normal(), or {my_function}. */
typedef struct soma_initializer {
    soma_initializer_fn *build; /* NULL: the layer's default */
    double parameters[3];       /* handed to build */
    int64_t seed; /* 0: by the context's seed and the weight's place; else weights of one shape are the same */
} soma_initializer;
/** .kernel_initializer = soma_seeded(soma_he_normal(), 42). In files {"he_normal": {"seed": 42}}. */
SOMA_API soma_initializer soma_seeded(soma_initializer initializer, int64_t seed);

SOMA_API soma_initializer soma_glorot_uniform(void); /**< U(+-sqrt(6 / (fan_in + fan_out))), the default of kernels */
SOMA_API soma_initializer soma_glorot_normal(void);  /**< truncated N(0, 2 / (fan_in + fan_out)) */
SOMA_API soma_initializer soma_he_uniform(void);     /**< U(+-sqrt(6 / fan_in)) */
SOMA_API soma_initializer soma_he_normal(void);      /**< truncated N(0, 2 / fan_in) */
SOMA_API soma_initializer soma_lecun_uniform(void);  /**< U(+-sqrt(3 / fan_in)) */
SOMA_API soma_initializer soma_lecun_normal(void);   /**< truncated N(0, 1 / fan_in) */
SOMA_API soma_initializer soma_uniform(double minval, double maxval);        /**< Keras: -0.05, 0.05 */
SOMA_API soma_initializer soma_normal(double mean, double stddev);           /**< Keras: 0, 0.05 */
SOMA_API soma_initializer soma_truncated_normal(double mean, double stddev); /**< within 2 stddev of the mean */
/** gain times a random matrix whose rows or columns are orthonormal; axes but the last count as rows. Keras: gain 1 */
SOMA_API soma_initializer soma_orthogonal(double gain);
SOMA_API soma_initializer soma_identity(double gain); /**< gain on the diagonal of a matrix; Keras: 1 */
typedef enum soma_fan_mode { SOMA_FAN_IN, SOMA_FAN_OUT, SOMA_FAN_AVG } soma_fan_mode;
typedef enum soma_distribution { SOMA_TRUNCATED_NORMAL, SOMA_UNTRUNCATED_NORMAL, SOMA_UNIFORM } soma_distribution;
/** Variance scale / fan; in files "mode" and "distribution" are words, "fan_in" and "truncated_normal". */
SOMA_API soma_initializer soma_variance_scaling(double scale, soma_fan_mode mode, soma_distribution distribution);
SOMA_API soma_initializer soma_all_zeros(void); /**< the default of biases */
SOMA_API soma_initializer soma_all_ones(void);
SOMA_API soma_initializer soma_constant(double value);

/* ---- regularizers: a penalty, rank 0, added to the loss ---- */

typedef soma_tensor *soma_regularizer_fn(soma_tensor *x, const double *parameters);
/** .kernel_regularizer = soma_l2(0.01), or {my_function}. */
typedef struct soma_regularizer {
    soma_regularizer_fn *penalty; /* NULL: none */
    double parameters[3];         /* handed to penalty */
} soma_regularizer;
SOMA_API soma_regularizer soma_l1(double l1);               /**< l1 sum |x|; Keras' default is 0.01 */
SOMA_API soma_regularizer soma_l2(double l2);               /**< l2 sum x^2, without a half */
SOMA_API soma_regularizer soma_l1_l2(double l1, double l2); /**< both */
/** factor times the mean |cosine| between two rows (or columns) of a matrix: 0 when all are orthogonal. Keras: 0.01,
 *  rows; in files "mode" is a word, "rows" or "columns". */
SOMA_API soma_regularizer soma_orthogonal_regularizer(double factor, bool columns);

/* ---- constraints: what a weight is made to fulfil after every training step ---- */

typedef soma_tensor *soma_constraint_fn(soma_tensor *w, const double *parameters);
/** .kernel_constraint = soma_max_norm(3, 0), or {my_function}. Norms are taken along one axis, 0 for a dense kernel, or
 *  several: soma_max_norm(3, soma_axis_set(SOMA_AXES(0, 1, 2))) for the kernel of a 2D convolution. */
typedef struct soma_constraint {
    soma_constraint_fn *apply; /* NULL: none */
    double parameters[4];
} soma_constraint;
/** Several axes, -8 to 7, as one number that constraints and losses take for an axis; in files they are a list. */
SOMA_API int soma_axis_set(int n_axes, const int *axes);
SOMA_API soma_constraint soma_max_norm(double max_value, int axis); /**< norms at most this; Keras: 2, 0 */
SOMA_API soma_constraint soma_non_neg(void);                        /**< negative elements become 0 */
SOMA_API soma_constraint soma_unit_norm(int axis);                  /**< norms 1 */
/** Norms moved into the range: by rate 1 all the way. Keras: 0, 1, 1, 0 */
SOMA_API soma_constraint soma_min_max_norm(double min_value, double max_value, double rate, int axis);

/* ---- losses: (y_true, y_pred) -> a value per sample, whose mean is minimized ---- */

typedef soma_tensor *soma_loss_fn(soma_tensor *y_true, soma_tensor *y_pred);
SOMA_API soma_tensor *soma_mean_squared_error(soma_tensor *y_true,
                                              soma_tensor *y_pred); /**< mean of (y_pred - y_true)^2 */
SOMA_API soma_tensor *soma_mean_absolute_error(soma_tensor *y_true,
                                               soma_tensor *y_pred); /**< mean of |y_pred - y_true| */
/** -mean of y_true log p + (1 - y_true) log(1 - p), p = y_pred between 1e-7 and 1 - 1e-7. Where y_pred is the result of
 *  a sigmoid, and below of a softmax, the stable form from its input is built. */
SOMA_API soma_tensor *soma_binary_crossentropy(soma_tensor *y_true, soma_tensor *y_pred);
/** -sum of y_true log p, p = y_pred / sum y_pred between 1e-7 and 1 - 1e-7; y_true one-hot, or shares of classes. */
SOMA_API soma_tensor *soma_categorical_crossentropy(soma_tensor *y_true, soma_tensor *y_pred);
/** -log p of the class y_true, p as above; y_true (batch, ...) are indices, y_pred (batch, ..., classes). */
SOMA_API soma_tensor *soma_sparse_categorical_crossentropy(soma_tensor *y_true, soma_tensor *y_pred);
/** The same of values before the sigmoid or softmax. */
SOMA_API soma_tensor *soma_binary_crossentropy_from_logits(soma_tensor *y_true, soma_tensor *logits);
SOMA_API soma_tensor *soma_categorical_crossentropy_from_logits(soma_tensor *y_true, soma_tensor *logits);
SOMA_API soma_tensor *soma_sparse_categorical_crossentropy_from_logits(soma_tensor *y_true, soma_tensor *logits);

/** mean of e^2 / 2 where |e| <= delta, which is 1, else of delta (|e| - delta / 2); e = y_pred - y_true. */
SOMA_API soma_tensor *soma_huber(soma_tensor *y_true, soma_tensor *y_pred);
SOMA_API soma_tensor *soma_log_cosh(soma_tensor *y_true, soma_tensor *y_pred); /**< mean of log cosh(y_pred - y_true) */
/** 100 mean(|y_true - y_pred| / |y_true|). */
SOMA_API soma_tensor *soma_mean_absolute_percentage_error(soma_tensor *y_true, soma_tensor *y_pred);
/** mean of (log(1 + y_true) - log(1 + y_pred))^2, negative values taken for 0. */
SOMA_API soma_tensor *soma_mean_squared_logarithmic_error(soma_tensor *y_true, soma_tensor *y_pred);
SOMA_API soma_tensor *soma_poisson(soma_tensor *y_true, soma_tensor *y_pred); /**< mean of y_pred - y_true log y_pred */
SOMA_API soma_tensor *soma_kl_divergence(soma_tensor *y_true,
                                         soma_tensor *y_pred); /**< sum of y_true log(y_true / y_pred) */
/** Minus the cosine of the angle along the last axis: -1 where they point the same way. */
SOMA_API soma_tensor *soma_cosine_similarity(soma_tensor *y_true, soma_tensor *y_pred);
/** mean of max(1 - y_true y_pred, 0); labels are -1 and 1, and 0 and 1 become these. */
SOMA_API soma_tensor *soma_hinge(soma_tensor *y_true, soma_tensor *y_pred);
SOMA_API soma_tensor *soma_squared_hinge(soma_tensor *y_true, soma_tensor *y_pred);
/** max(1 + the largest wrong score - the right one, 0); y_true one-hot. */
SOMA_API soma_tensor *soma_categorical_hinge(soma_tensor *y_true, soma_tensor *y_pred);
/** Sum over the wrong classes of max(1 + their score - the right one, 0); y_true are indices. */
SOMA_API soma_tensor *soma_multiclass_hinge(soma_tensor *y_true, soma_tensor *y_pred);
/** Cross-entropy in which an element counts (1 - p)^2, p what the right answer was given: what is easy counts little.
 */
SOMA_API soma_tensor *soma_binary_focal_crossentropy(soma_tensor *y_true, soma_tensor *y_pred);
SOMA_API soma_tensor *soma_categorical_focal_crossentropy(soma_tensor *y_true, soma_tensor *y_pred);
/** 1 - 2 |y_true y_pred| / (|y_true| + |y_pred| + 1e-7), |x| the sum over the whole batch: one value, rank 0, that no
 *  sample can be weighted in. */
SOMA_API soma_tensor *soma_dice(soma_tensor *y_true, soma_tensor *y_pred);
/** 1 - i / (i + (a + b) / 2 + 1e-7): i the overlap in the whole batch, a what is wrongly in, b what is wrongly out. */
SOMA_API soma_tensor *soma_tversky(soma_tensor *y_true, soma_tensor *y_pred);
/** (1 - p^q) / q, p what the right class was given, q 0.5: between cross-entropy and absolute error; labels may be
 *  wrong here and there. y_true are indices. */
SOMA_API soma_tensor *soma_categorical_generalized_cross_entropy(soma_tensor *y_true, soma_tensor *y_pred);
/** Labels that come in order but at unknown steps: y_true (batch, n) indices, filled up by 0, which is the blank;
 *  y_pred (batch, steps, classes) logits. See soma_ctc_loss. */
SOMA_API soma_tensor *soma_ctc(soma_tensor *y_true, soma_tensor *y_pred);
/** y_pred are distances of pairs, y_true 1 where they belong together: y d^2 + (1 - y) max(1 - d, 0)^2. */
SOMA_API soma_tensor *soma_contrastive(soma_tensor *y_true, soma_tensor *y_pred);
/** y_true (batch) classes, y_pred (batch, n) embeddings: max(1 + the farthest of the sample's class - the nearest of
 *  another, 0). */
SOMA_API soma_tensor *soma_triplet_hard(soma_tensor *y_true, soma_tensor *y_pred);
/** The same for each pair of one class, with the nearest of another class that is farther away than the pair. */
SOMA_API soma_tensor *soma_triplet_semi_hard(soma_tensor *y_true, soma_tensor *y_pred);
/** Circle loss (Sun et al. 2020) of classes (batch) and embeddings (batch, n) of length 1, gamma 80, margin 0.4. */
SOMA_API soma_tensor *soma_circle(soma_tensor *y_true, soma_tensor *y_pred);
/** max(|anchor - same| - |anchor - other| + margin, 0), embeddings along the last axis; PyTorch TripletMarginLoss. */
SOMA_API soma_tensor *soma_triplet_margin(soma_tensor *anchor, soma_tensor *same, soma_tensor *other, double margin);

/** A loss with numbers of its own. */
typedef soma_tensor *soma_loss_with_fn(soma_tensor *y_true, soma_tensor *y_pred, const double *parameters);
/** soma_compile(net, .loss_with = soma_huber_loss(0.5)), or {my_function, {numbers}}; in files {"huber": {"delta":
 * 0.5}}. Cross-entropies also have from_logits there, and ignore_class is none unless it is given.
 */
typedef struct soma_loss {
    soma_loss_with_fn *build; /* NULL: none */
    double parameters[5];     /* handed to build */
} soma_loss;
SOMA_API soma_loss soma_huber_loss(double delta); /**< Keras: 1 */
/** label_smoothing s: y_true becomes (1 - s) y_true + s / 2, with several classes + s / classes. Keras: 0 */
SOMA_API soma_loss soma_binary_crossentropy_loss(double label_smoothing);
SOMA_API soma_loss soma_categorical_crossentropy_loss(double label_smoothing);
/** Keras: gamma 2, alpha 0.25. balance: ones count alpha, zeros 1 - alpha. */
SOMA_API soma_loss soma_binary_focal_loss(double gamma, double alpha, bool balance, double label_smoothing);
SOMA_API soma_loss soma_categorical_focal_loss(double gamma, double alpha, double label_smoothing);
/** Sums along one axis, or several (soma_axis_set); SOMA_NO_AXES: along all. A value a sample for pictures:
 *  soma_dice_loss(soma_axis_set(SOMA_AXES(1, 2, 3))). */
SOMA_API soma_loss soma_dice_loss(int axis);
SOMA_API soma_loss soma_tversky_loss(double alpha, double beta, int axis); /**< Keras: 0.5, 0.5 */
/** Samples of this class count nothing. Keras: SparseCategoricalCrossentropy(ignore_class = ...), often -1 or 255. */
SOMA_API soma_loss soma_sparse_categorical_crossentropy_loss(int64_t ignore_class);
SOMA_API soma_loss soma_contrastive_loss(double margin);          /**< 1 */
SOMA_API soma_loss soma_triplet_hard_loss(double margin);         /**< 1 */
SOMA_API soma_loss soma_triplet_semi_hard_loss(double margin);    /**< 1 */
SOMA_API soma_loss soma_circle_loss(double gamma, double margin); /**< Keras: 80, 0.4 */
SOMA_API soma_loss soma_generalized_cross_entropy_loss(double q); /**< between 0 and 1; Keras: 0.5 */

/* ---- sequences whose labels come at unknown steps ---- */

/** Connectionist temporal classification (Graves et al. 2006): -log of the probability of all ways to spell the labels
 *  over the steps, blanks between them and each label any number of times. labels (batch, n) class indices, logits
 *  (batch, steps, classes) -> (batch); infinite, with slope 0, where the steps don't suffice. label_lengths and
 *  input_lengths (batch) integers, NULL: all n, all steps; blank: its class. As PyTorch's ctc_loss without reduction.
 */
SOMA_API soma_tensor *soma_ctc_loss(soma_tensor *labels, soma_tensor *logits, soma_tensor *label_lengths,
                                    soma_tensor *input_lengths, int64_t blank);
/** The likeliest class of each step; equal ones in a row are one, blanks none. logits (batch, steps, classes) float
 * with elements; lengths a number a sequence, NULL: all steps. labels: batch x steps, filled up by -1;
 * log_probabilities: batch, of that way to spell them, or NULL. */
SOMA_API SOMA_MUST_CHECK soma_status soma_ctc_greedy_decode(soma_tensor *logits, const int64_t *lengths, int64_t blank,
                                                            int64_t *labels, double *log_probabilities);
typedef struct soma_ctc_beam_options {
    int64_t beam_width; /* 100: prefixes that are looked at together */
    int64_t top_paths;  /* 1: results, the best first */
    int64_t blank;      /* 0 */
} soma_ctc_beam_options;
/** The likeliest labels, all ways to spell them counted, by a search over prefixes. labels: batch x top_paths x steps,
 *  filled up by -1; log_probabilities: batch x top_paths, -infinity where there are fewer paths, or NULL. Exact when
 *  the beam has room for all prefixes. options NULL: defaults. */
SOMA_API SOMA_MUST_CHECK soma_status soma_ctc_beam_decode(soma_tensor *logits, const int64_t *lengths,
                                                          const soma_ctc_beam_options *options, int64_t *labels,
                                                          double *log_probabilities);

#ifdef __cplusplus
}
#endif
#endif
