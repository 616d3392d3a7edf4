/* Networks: layers, activations, initializers, regularizers, losses, metrics, optimizers, models. Keras' names and
 * defaults. An activation, a loss, a metric, an initializer, a regularizer is a function of tensors: pass ours or your
 * own. Options are named: soma_dense(512, .activation = soma_relu). What is not named, or zero, has its default; a
 * number whose default is not zero is made zero by SOMA_ZERO. Under each such macro is a plain function taking the
 * struct. */
#ifndef SOMA_NN_H
#define SOMA_NN_H

#include <soma/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct soma_layer soma_layer;
typedef struct soma_model soma_model;
typedef struct soma_symbol soma_symbol;
typedef struct soma_optimizer soma_optimizer;
typedef struct soma_trace soma_trace;

/** A true zero where zero means the default: soma_adam(.beta_1 = SOMA_ZERO). */
#define SOMA_ZERO (-0.0)

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
    int rank;
    const int64_t *shape;
    double fan_in, fan_out;
    soma_tensor *step; /* to be handed to soma_random_*: other numbers for every weight, the same in every run */
} soma_weight_request;
typedef soma_tensor *soma_initializer_fn(const soma_weight_request *request, const double *parameters);
/** .kernel_initializer = soma_he_normal(), or {my_function}. */
typedef struct soma_initializer {
    soma_initializer_fn *build; /* NULL: the layer's default */
    double parameters[3];
} soma_initializer;

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
    double parameters[3];
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
/** Several axes, -8 to 7, as one number that constraints take for an axis; in files they are a list. */
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
/** From probabilities. Where y_pred is the result of a sigmoid or softmax, the stable form from its input is built. */
SOMA_API soma_tensor *soma_binary_crossentropy(soma_tensor *y_true, soma_tensor *y_pred);
SOMA_API soma_tensor *soma_categorical_crossentropy(soma_tensor *y_true, soma_tensor *y_pred); /**< y_true one-hot */
SOMA_API soma_tensor *soma_sparse_categorical_crossentropy(soma_tensor *y_true, soma_tensor *y_pred); /**< indices */
SOMA_API soma_tensor *soma_binary_crossentropy_from_logits(soma_tensor *y_true, soma_tensor *logits);
SOMA_API soma_tensor *soma_categorical_crossentropy_from_logits(soma_tensor *y_true, soma_tensor *logits);
SOMA_API soma_tensor *soma_sparse_categorical_crossentropy_from_logits(soma_tensor *y_true, soma_tensor *logits);

SOMA_API soma_tensor *soma_huber(soma_tensor *y_true, soma_tensor *y_pred);    /**< square to 1, line beyond */
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
/** 1 - 2 |y_true y_pred| / (|y_true| + |y_pred|), |x| the sum over a sample. Keras: one value for the whole batch. */
SOMA_API soma_tensor *soma_dice(soma_tensor *y_true, soma_tensor *y_pred);
/** 1 - i / (i + (a + b) / 2): i the overlap, a what is wrongly in, b what is wrongly out. */
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
    double parameters[5];
} soma_loss;
SOMA_API soma_loss soma_huber_loss(double delta); /**< Keras: 1 */
/** label_smoothing s: y_true becomes (1 - s) y_true + s / 2, with several classes + s / classes. Keras: 0 */
SOMA_API soma_loss soma_binary_crossentropy_loss(double label_smoothing);
SOMA_API soma_loss soma_categorical_crossentropy_loss(double label_smoothing);
/** Keras: gamma 2, alpha 0.25. balance: ones count alpha, zeros 1 - alpha. */
SOMA_API soma_loss soma_binary_focal_loss(double gamma, double alpha, bool balance, double label_smoothing);
SOMA_API soma_loss soma_categorical_focal_loss(double gamma, double alpha, double label_smoothing);
SOMA_API soma_loss soma_tversky_loss(double alpha, double beta); /**< Keras: 0.5, 0.5 */
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

/* ---- learning rates that change with the steps ---- */

enum { SOMA_SCHEDULE_NUMBERS = 20 };

/** The learning rate of step number step (0, 1, ...): a plain function, called before each step. */
typedef double soma_schedule_fn(double step, const double *parameters, int n);
/** .schedule = soma_cosine_decay(0.1, 1000), or {my_function, n, {numbers}}. It goes by the number of steps that the
 *  weights have seen, which is saved with them, so a training that is resumed goes on where it was. */
typedef struct soma_schedule {
    soma_schedule_fn *rate; /* NULL: none */
    int n;
    double parameters[SOMA_SCHEDULE_NUMBERS];
} soma_schedule;

typedef struct soma_exponential_decay_options {
    double initial_learning_rate, decay_steps, decay_rate;
    bool staircase; /* the power only changes at multiples of decay_steps */
} soma_exponential_decay_options;
/** initial decay_rate^(step / decay_steps): soma_exponential_decay(0.1, 1000, 0.96, .staircase = true). */
#define soma_exponential_decay(...)                                                                                    \
    soma_exponential_decay_create(&(soma_exponential_decay_options){.initial_learning_rate = __VA_ARGS__})
SOMA_API soma_schedule soma_exponential_decay_create(const soma_exponential_decay_options *options);

typedef struct soma_inverse_time_decay_options {
    double initial_learning_rate, decay_steps, decay_rate;
    bool staircase;
} soma_inverse_time_decay_options;
/** initial / (1 + decay_rate step / decay_steps). */
#define soma_inverse_time_decay(...)                                                                                   \
    soma_inverse_time_decay_create(&(soma_inverse_time_decay_options){.initial_learning_rate = __VA_ARGS__})
SOMA_API soma_schedule soma_inverse_time_decay_create(const soma_inverse_time_decay_options *options);

typedef struct soma_polynomial_decay_options {
    double initial_learning_rate, decay_steps;
    double end_learning_rate; /* 0.0001 */
    double power;             /* 1 */
    bool cycle; /* at the end: on to the next multiple of decay_steps, from the height of the line there */
} soma_polynomial_decay_options;
/** (initial - end) (1 - step / decay_steps)^power + end. */
#define soma_polynomial_decay(...)                                                                                     \
    soma_polynomial_decay_create(&(soma_polynomial_decay_options){.initial_learning_rate = __VA_ARGS__})
SOMA_API soma_schedule soma_polynomial_decay_create(const soma_polynomial_decay_options *options);

typedef struct soma_cosine_decay_options {
    double initial_learning_rate, decay_steps;
    double alpha;         /* 0: what is left in the end, as a share of the highest rate */
    double warmup_target; /* 0: none; else the rate first rises to this, in warmup_steps */
    double warmup_steps;  /* 0 */
} soma_cosine_decay_options;
/** Half a cosine from the initial rate (after warm-up: from its target) to alpha times it. */
#define soma_cosine_decay(...)                                                                                         \
    soma_cosine_decay_create(&(soma_cosine_decay_options){.initial_learning_rate = __VA_ARGS__})
SOMA_API soma_schedule soma_cosine_decay_create(const soma_cosine_decay_options *options);

typedef struct soma_cosine_decay_restarts_options {
    double initial_learning_rate, first_decay_steps;
    double t_mul; /* 2: each period is so many times as long */
    double m_mul; /* 1: and begins so many times as high */
    double alpha; /* 0 */
} soma_cosine_decay_restarts_options;
/** Half a cosine again and again. */
#define soma_cosine_decay_restarts(...)                                                                                \
    soma_cosine_decay_restarts_create(&(soma_cosine_decay_restarts_options){.initial_learning_rate = __VA_ARGS__})
SOMA_API soma_schedule soma_cosine_decay_restarts_create(const soma_cosine_decay_restarts_options *options);

/** values[0] through step boundaries[0], then values[1], ..., values[n] after the last of n boundaries, at most 9. */
SOMA_API soma_schedule soma_piecewise_constant_decay(int n, const double *boundaries, const double *values);

/* ---- optimizers ---- */

/* Every optimizer's own: of the three clippings the first that is set applies; the decay is w -= w * decay * rate.
 * use_ema: beside each weight its moving average, average = ema_momentum average + (1 - ema_momentum) w, which the
 * weight becomes at the end of fit. gradient_accumulation_steps n: a step in n changes the weights, by the mean of n
 * gradients, so n small batches do what one large batch does; learning-rate schedules count all steps. */
#define SOMA_OPTIMIZER_OPTIONS                                                                                         \
    double learning_rate;                                                                                              \
    soma_schedule schedule; /* when set, the learning rate of every step comes from it */                              \
    double weight_decay;                                                                                               \
    double clipnorm;        /* norm of each gradient at most this */                                                   \
    double global_clipnorm; /* norm of all gradients together at most this */                                          \
    double clipvalue;       /* each element within +-this */                                                           \
    bool use_ema;                                                                                                      \
    double ema_momentum;                 /* 0.99 */                                                                    \
    int64_t ema_overwrite_frequency;     /* 0: never; else the weights become the average every so many updates */     \
    double loss_scale_factor;            /* 0: none; else gradients are those of loss times this, divided by it */     \
    int64_t gradient_accumulation_steps; /* 0: none */                                                                 \
    soma_context *context;                                                                                             \
    char nothing; /* makes soma_sgd() without options valid C */

/** v = momentum v - rate g; w += v. Nesterov: w += momentum v - rate g. */
typedef struct soma_sgd_options {
    SOMA_OPTIMIZER_OPTIONS /* learning_rate 0.01 */
        double momentum;   /* 0 */
    bool nesterov;         /* false */
} soma_sgd_options;
/** v = rho v + (1 - rho) g^2; w -= rate g / sqrt(v + epsilon). centered: sqrt(v - mean(g)^2 + epsilon). */
typedef struct soma_rmsprop_options {
    SOMA_OPTIMIZER_OPTIONS /* learning_rate 0.001 */
        double rho;        /* 0.9 */
    double momentum;       /* 0 */
    double epsilon;        /* 1e-7 */
    bool centered;         /* false */
} soma_rmsprop_options;
/** m += (1 - beta_1)(g - m); v += (1 - beta_2)(g^2 - v);
 *  w -= rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon). amsgrad: the largest v so far. */
typedef struct soma_adam_options {
    SOMA_OPTIMIZER_OPTIONS /* learning_rate 0.001; weight_decay 0, of AdamW 0.004 */
        double beta_1;     /* 0.9 */
    double beta_2;         /* 0.999 */
    double epsilon;        /* 1e-7 */
    bool amsgrad;          /* false */
} soma_adam_options;
/** As Adam, with the largest gradient instead of the root of squares: u = max(beta_2 u, |g|);
 *  w -= rate m / ((1 - beta_1^t) (u + epsilon)). */
typedef struct soma_adamax_options {
    SOMA_OPTIMIZER_OPTIONS /* learning_rate 0.001 */
        double beta_1;     /* 0.9 */
    double beta_2;         /* 0.999 */
    double epsilon;        /* 1e-7 */
} soma_adamax_options;
/** Adam with Nesterov's momentum, u_t = beta_1 (1 - 0.96^t / 2), P_t = u_1 ... u_t:
 *  w -= rate (u_(t+1) m / (1 - P_(t+1)) + (1 - u_t) g / (1 - P_t)) / (sqrt(v / (1 - beta_2^t)) + epsilon). */
typedef struct soma_nadam_options {
    SOMA_OPTIMIZER_OPTIONS /* learning_rate 0.001 */
        double beta_1;     /* 0.9 */
    double beta_2;         /* 0.999 */
    double epsilon;        /* 1e-7 */
} soma_nadam_options;
/** a += g^2; w -= rate g / sqrt(a + epsilon). */
typedef struct soma_adagrad_options {
    SOMA_OPTIMIZER_OPTIONS                /* learning_rate 0.001 */
        double initial_accumulator_value; /* 0.1 */
    double epsilon;                       /* 1e-7 */
} soma_adagrad_options;
/** a = rho a + (1 - rho) g^2; d = g sqrt(b + epsilon) / sqrt(a + epsilon); b = rho b + (1 - rho) d^2; w -= rate d. */
typedef struct soma_adadelta_options {
    SOMA_OPTIMIZER_OPTIONS /* learning_rate 0.001; the paper's is 1 */
        double rho;        /* 0.95 */
    double epsilon;        /* 1e-7 */
} soma_adadelta_options;
/** Follow the regularized leader, p the power, a' = a + g^2:
 *  z += g + 2 shrinkage w - (a'^-p - a^-p) w / rate; w = (clip(z, -l1, l1) - z) / (a'^-p / rate + 2 l2 + beta / rate).
 */
typedef struct soma_ftrl_options {
    SOMA_OPTIMIZER_OPTIONS                       /* learning_rate 0.001 */
        double learning_rate_power;              /* -0.5; at most 0 */
    double initial_accumulator_value;            /* 0.1 */
    double l1_regularization_strength;           /* 0 */
    double l2_regularization_strength;           /* 0 */
    double l2_shrinkage_regularization_strength; /* 0 */
    double beta;                                 /* 0 */
} soma_ftrl_options;
/** w -= rate sign(beta_1 m + (1 - beta_1) g); m = beta_2 m + (1 - beta_2) g. */
typedef struct soma_lion_options {
    SOMA_OPTIMIZER_OPTIONS /* learning_rate 0.001 */
        double beta_1;     /* 0.9 */
    double beta_2;         /* 0.99 */
} soma_lion_options;
/** Adam's step d, unbiased, as long as the weight: w -= rate |w| / |d| d; where a norm is 0, w -= rate d. */
typedef struct soma_lamb_options {
    SOMA_OPTIMIZER_OPTIONS /* learning_rate 0.001 */
        double beta_1;     /* 0.9 */
    double beta_2;         /* 0.999 */
    double epsilon;        /* 1e-7 */
} soma_lamb_options;
/** Squares of gradients kept as means of rows and of columns, so the state is as small as the weight's edges:
 *  v = r c / mean(r), with decay 1 - t^beta_2_decay; d = g / sqrt(v), no longer than clip_threshold in the root of its
 *  mean square; w -= max(epsilon_2, rms(w)) min(rate, 1 / sqrt(t)) d. A vector's squares are kept whole. */
typedef struct soma_adafactor_options {
    SOMA_OPTIMIZER_OPTIONS   /* learning_rate 0.001 */
        double beta_2_decay; /* -0.8 */
    double epsilon_1;        /* 1e-30 */
    double epsilon_2;        /* 1e-3 */
    double clip_threshold;   /* 1 */
    bool no_relative_step;   /* true: the rate as it is, not at most 1 / sqrt(t) */
} soma_adafactor_options;
/** For matrices: m += g - (1 - momentum) m; d = g + momentum m (nesterov) made nearly orthogonal by ns_steps of Newton
 *  and Schulz, x = a x + (b x x' + c (x x')^2) x from x = d / |d|; w -= rate sqrt(max(rows, columns)) rms_rate d.
 *  Other weights, and those with "embedding" in their name, are trained by AdamW: rate times adam_lr_ratio,
 *  adam_weight_decay. Give the output layer's name to exclude it too. */
typedef struct soma_muon_options {
    SOMA_OPTIMIZER_OPTIONS      /* learning_rate 0.001; weight_decay 0.004 */
        double adam_beta_1;     /* 0.9 */
    double adam_beta_2;         /* 0.999 */
    double adam_weight_decay;   /* 0.004 */
    double epsilon;             /* 1e-7 */
    const char *exclude_layers; /* weights with one of these words in their name: "logits dense_3" */
    bool no_exclude_embeddings; /* Keras: exclude_embeddings = False */
    double muon_a;              /* 3.4445 */
    double muon_b;              /* -4.7750 */
    double muon_c;              /* 2.0315 */
    double adam_lr_ratio;       /* 1 */
    double momentum;            /* 0.95 */
    int64_t ns_steps;           /* 5 */
    bool no_nesterov;           /* true: d = m */
    double rms_rate;            /* 0.2; SOMA_ZERO: the rate as it is */
} soma_muon_options;

#define soma_sgd(...) soma_sgd_create(&(soma_sgd_options){.nothing = 0, __VA_ARGS__})
#define soma_rmsprop(...) soma_rmsprop_create(&(soma_rmsprop_options){.nothing = 0, __VA_ARGS__})
#define soma_adam(...) soma_adam_create(&(soma_adam_options){.nothing = 0, __VA_ARGS__})
#define soma_adamw(...) soma_adamw_create(&(soma_adam_options){.nothing = 0, __VA_ARGS__})
#define soma_adamax(...) soma_adamax_create(&(soma_adamax_options){.nothing = 0, __VA_ARGS__})
#define soma_nadam(...) soma_nadam_create(&(soma_nadam_options){.nothing = 0, __VA_ARGS__})
#define soma_adagrad(...) soma_adagrad_create(&(soma_adagrad_options){.nothing = 0, __VA_ARGS__})
#define soma_adadelta(...) soma_adadelta_create(&(soma_adadelta_options){.nothing = 0, __VA_ARGS__})
#define soma_ftrl(...) soma_ftrl_create(&(soma_ftrl_options){.nothing = 0, __VA_ARGS__})
#define soma_lion(...) soma_lion_create(&(soma_lion_options){.nothing = 0, __VA_ARGS__})
#define soma_lamb(...) soma_lamb_create(&(soma_lamb_options){.nothing = 0, __VA_ARGS__})
#define soma_adafactor(...) soma_adafactor_create(&(soma_adafactor_options){.nothing = 0, __VA_ARGS__})
#define soma_muon(...) soma_muon_create(&(soma_muon_options){.nothing = 0, __VA_ARGS__})
/** Never NULL: soma_compile takes the optimizer over, and says what is wrong with it. */
SOMA_API soma_optimizer *soma_sgd_create(const soma_sgd_options *options);
SOMA_API soma_optimizer *soma_rmsprop_create(const soma_rmsprop_options *options);
SOMA_API soma_optimizer *soma_adam_create(const soma_adam_options *options);
SOMA_API soma_optimizer *soma_adamw_create(const soma_adam_options *options);
SOMA_API soma_optimizer *soma_adamax_create(const soma_adamax_options *options);
SOMA_API soma_optimizer *soma_nadam_create(const soma_nadam_options *options);
SOMA_API soma_optimizer *soma_adagrad_create(const soma_adagrad_options *options);
SOMA_API soma_optimizer *soma_adadelta_create(const soma_adadelta_options *options);
SOMA_API soma_optimizer *soma_ftrl_create(const soma_ftrl_options *options);
SOMA_API soma_optimizer *soma_lion_create(const soma_lion_options *options);
SOMA_API soma_optimizer *soma_lamb_create(const soma_lamb_options *options);
SOMA_API soma_optimizer *soma_adafactor_create(const soma_adafactor_options *options);
SOMA_API soma_optimizer *soma_muon_create(const soma_muon_options *options);
/** Only for an optimizer that no model took. */
SOMA_API void soma_optimizer_destroy(soma_optimizer *optimizer);

/* ---- layers: (batch, ...) -> (batch, ...) ---- */

/* Every layer's own. */
#define SOMA_LAYER_OPTIONS                                                                                             \
    const char *name;                   /* default: "dense", "dense_1", ... */                                         \
    int64_t input_shape[SOMA_MAX_RANK]; /* of one sample, {28, 28}; needed in a model's first layer at most */         \
    soma_dtype dtype;                   /* of weights and results, float32 or float64 */                               \
    bool frozen;                        /* weights are not trained; Keras: trainable = False */                        \
    soma_context *context;              /* allocates the layer; NULL: the default one */                               \
    char nothing;                       /* makes soma_flatten() without options valid C */

/** Says the shape of a sample; does nothing. Keras Input. */
typedef struct soma_input_layer_options {
    SOMA_LAYER_OPTIONS
} soma_input_layer_options;
#define soma_input_layer(...) soma_input_layer_create(&(soma_input_layer_options){.input_shape = __VA_ARGS__})
SOMA_API soma_layer *soma_input_layer_create(const soma_input_layer_options *options);

/** activation(x W + b): x (batch, ..., in) -> (batch, ..., units). W (in, units) is "kernel", b (units) is "bias". */
typedef struct soma_dense_options {
    SOMA_LAYER_OPTIONS
    int64_t units;
    soma_activation_fn *activation;                                              /* NULL: linear */
    bool no_bias;                                                                /* Keras: use_bias = False */
    soma_initializer kernel_initializer;                                         /* glorot_uniform */
    soma_initializer bias_initializer;                                           /* zeros */
    soma_regularizer kernel_regularizer, bias_regularizer, activity_regularizer; /* none */
    soma_constraint kernel_constraint, bias_constraint;                          /* none */
} soma_dense_options;
#define soma_dense(...) soma_dense_create(&(soma_dense_options){.units = __VA_ARGS__})
SOMA_API soma_layer *soma_dense_create(const soma_dense_options *options);

/** (batch, a, b, ...) -> (batch, a b ...). With data_format "channels_first" the channels, axis a, become the last one
 *  first, so that the order is that of channels_last. */
typedef struct soma_flatten_options {
    SOMA_LAYER_OPTIONS
    const char *data_format; /* "channels_last": x as it is */
} soma_flatten_options;
#define soma_flatten(...) soma_flatten_create(&(soma_flatten_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_flatten_create(const soma_flatten_options *options);

/** Each sample in another shape, of which one extent may be -1: soma_reshape_layer({28, 28, 1}). */
typedef struct soma_reshape_layer_options {
    SOMA_LAYER_OPTIONS
    int64_t target_shape[SOMA_MAX_RANK];
} soma_reshape_layer_options;
#define soma_reshape_layer(...) soma_reshape_layer_create(&(soma_reshape_layer_options){.target_shape = __VA_ARGS__})
SOMA_API soma_layer *soma_reshape_layer_create(const soma_reshape_layer_options *options);

/** activation(x) as a layer of its own. */
typedef struct soma_activation_options {
    SOMA_LAYER_OPTIONS
    soma_activation_fn *activation;
} soma_activation_options;
#define soma_activation(...) soma_activation_create(&(soma_activation_options){.activation = __VA_ARGS__})
SOMA_API soma_layer *soma_activation_create(const soma_activation_options *options);

/** While training, each element becomes 0 with probability rate, else is scaled by 1 / (1 - rate). */
typedef struct soma_dropout_options {
    SOMA_LAYER_OPTIONS
    double rate;             /* in [0, 1) */
    const char *data_format; /* of spatial dropout, see layers.h */
} soma_dropout_options;
#define soma_dropout(...) soma_dropout_create(&(soma_dropout_options){.rate = __VA_ARGS__})
SOMA_API soma_layer *soma_dropout_create(const soma_dropout_options *options);

/** x scale + offset, in float whatever x is: soma_rescaling(1.0 / 255). */
typedef struct soma_rescaling_options {
    SOMA_LAYER_OPTIONS
    double scale;
    double offset; /* 0 */
} soma_rescaling_options;
#define soma_rescaling(...) soma_rescaling_create(&(soma_rescaling_options){.scale = __VA_ARGS__})
SOMA_API soma_layer *soma_rescaling_create(const soma_rescaling_options *options);

/** The sum of two or more inputs of one shape. Keras Add. For soma_call_many. */
typedef struct soma_add_layer_options {
    SOMA_LAYER_OPTIONS
} soma_add_layer_options;
#define soma_add_layer(...) soma_add_layer_create(&(soma_add_layer_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_add_layer_create(const soma_add_layer_options *options);

/** Inputs side by side along an axis. Keras Concatenate. For soma_call_many. */
typedef struct soma_concatenate_options {
    SOMA_LAYER_OPTIONS
    int64_t axis; /* 0: the last (-1); else counted with the batch axis as 0 */
} soma_concatenate_options;
#define soma_concatenate(...) soma_concatenate_create(&(soma_concatenate_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_concatenate_create(const soma_concatenate_options *options);

/** Only for a layer that went into no model: models take their layers over. */
SOMA_API void soma_layer_destroy(soma_layer *layer);

/* ---- models ---- */

/** Layers one after the other: soma_sequential(soma_dense(64, ...), soma_dense(10)). Weights are made as soon as the
 *  shape of a sample is known, from the first layer's input_shape or the first data. NULL after an error (also in a
 *  layer). */
#define soma_sequential(...)                                                                                           \
    soma_sequential_create(NULL, (soma_layer *[]){__VA_ARGS__},                                                        \
                           (int)(sizeof((soma_layer *[]){__VA_ARGS__}) / sizeof(soma_layer *)))
SOMA_API soma_model *soma_sequential_create(soma_context *context, soma_layer *const *layers, int n);

/** The functional way: symbols are tensors whose batch axis is not known yet.
 *    soma_symbol *x = soma_symbol_create(NULL, SOMA_DIMS(784), "pixels");
 *    soma_symbol *h = soma_call(soma_dense(64, .activation = soma_relu), x);
 *    soma_symbol *y = soma_call(soma_dense(10, .activation = soma_softmax), h);
 *    soma_model *net = soma_model_create(&x, 1, &y, 1);
 *  A layer may be called again, on other symbols, with the same weights. rank and shape are of one sample.
 *  Symbols belong to the layer that made them; layers to the model. Example: examples/functional.c */
SOMA_API soma_symbol *soma_symbol_create(soma_context *context, int rank, const int64_t *shape, const char *name);
SOMA_API soma_symbol *soma_call(soma_layer *layer, soma_symbol *x);
SOMA_API soma_symbol *soma_call_many(soma_layer *layer, soma_symbol *const *xs, int n);
/** Result i of the call that gave y, of layers that give several (.return_state); 0 is y itself. */
SOMA_API soma_symbol *soma_symbol_output(soma_symbol *y, int i);
/** Shape of one sample. */
SOMA_API int soma_symbol_ndim(const soma_symbol *symbol);
SOMA_API const int64_t *soma_symbol_shape(const soma_symbol *symbol);
/** The layer whose result it is: to be destroyed, with all its symbols, where no model comes of them. */
SOMA_API soma_layer *soma_symbol_layer(const soma_symbol *symbol);
SOMA_API soma_model *soma_model_create(soma_symbol *const *inputs, int n, soma_symbol *const *outputs, int m);

SOMA_API void soma_model_destroy(soma_model *model); /**< with its layers and weights; NULL does nothing */
SOMA_API soma_context *soma_model_context(const soma_model *model); /**< that it was made in */
SOMA_API const char *soma_model_name(const soma_model *model);      /**< "sequential" unless it was named */
SOMA_API SOMA_MUST_CHECK soma_status soma_model_set_name(soma_model *model,
                                                         const char *name); /**< for summaries and files */

/** Makes the weights of a sequential model for samples of this shape; nothing when they are there. */
SOMA_API SOMA_MUST_CHECK soma_status soma_model_build(soma_model *model, int rank, const int64_t *sample_shape);
/** Layers in the order they run. */
SOMA_API int soma_model_layers(const soma_model *model);
SOMA_API soma_layer *soma_model_get_layer(const soma_model *model, int i);
SOMA_API const char *soma_layer_name(const soma_layer *layer);
SOMA_API const char *soma_layer_class_name(const soma_layer *layer);
/** A layer's weights, "kernel" before "bias". */
SOMA_API int soma_layer_weights(const soma_layer *layer);
SOMA_API soma_variable *soma_layer_get_weight(const soma_layer *layer, int i);
/** Makes zero what stateful layers carry from batch to batch. Keras reset_states. */
SOMA_API SOMA_MUST_CHECK soma_status soma_reset_states(soma_model *model);
/** Number of a model's weights; -1 before it is built. Keras count_params. */
SOMA_API int64_t soma_count_params(const soma_model *model);
/** Shapes of one sample of the first input and output; rank -1 before the model is built. */
SOMA_API int soma_model_input_shape(const soma_model *model, int64_t shape[SOMA_MAX_RANK]);
SOMA_API int soma_model_output_shape(const soma_model *model, int64_t shape[SOMA_MAX_RANK]);

/** Runs the layers on tensors of one graph, (batch, ...) each, and gives the outputs as tensors of that graph: for
 *  gradients, training steps and looks inside of your own. training turns dropout on. A weight is read once in a graph,
 *  however often this is called; soma_weight gives that tensor, to differentiate by. */
SOMA_API SOMA_MUST_CHECK soma_status soma_model_apply(soma_model *model, soma_tensor *const *inputs, int n,
                                                      bool training, soma_tensor **outputs);
SOMA_API soma_tensor *soma_weight(soma_graph *graph, soma_variable *variable);
/** The same with what a training step needs besides. updates: assignments of statistics (BatchNormalization's), to be
 *  among the plan's targets; in the graph's memory. */
typedef struct soma_pass {
    bool training;
    soma_tensor *step;      /* rank 0 int64, other in every run: for dropout; NULL: 0 */
    soma_tensor *penalties; /* out: sum of regularizers, rank 0; NULL: none */
    soma_tensor **updates;  /* out */
    int n_updates;          /* out */
} soma_pass;
SOMA_API SOMA_MUST_CHECK soma_status soma_model_forward(soma_model *model, soma_tensor *const *inputs, int n,
                                                        soma_pass *pass, soma_tensor **outputs);

typedef struct soma_summary_options {
    int width;           /* columns; default 80 */
    bool ascii;          /* for terminals without UTF-8 */
    bool show_trainable; /* one more column: which layers are trained */
} soma_summary_options;
/** The table of layers, shapes and parameters, as text that ends with a newline; NULL options: defaults. Freed with
 *  soma_string_free; NULL after an error. */
SOMA_API char *soma_summary(const soma_model *model, const soma_summary_options *options);

/* ---- by name: for files, commands and other languages. Unknown names are errors that name the nearest known one. ----
 */

SOMA_API soma_activation_fn *soma_activation_by_name(soma_context *context, const char *name); /**< "relu" */
SOMA_API soma_loss_fn *soma_loss_by_name(soma_context *context, const char *name);             /**< "mse" */
SOMA_API soma_loss_fn *soma_metric_by_name(soma_context *context, const char *name); /**< "accuracy"; losses too */
SOMA_API soma_initializer soma_initializer_by_name(soma_context *context, const char *name); /**< build NULL: error */
SOMA_API soma_regularizer soma_regularizer_by_name(soma_context *context, const char *name); /**< penalty NULL: error */
SOMA_API soma_optimizer *soma_optimizer_by_name(soma_context *context, const char *name);    /**< NULL after an error */
/** The names themselves, in order, ending with NULL. list: "activations", "losses", "metrics", "initializers",
 *  "regularizers", "constraints", "optimizers", "schedules", "layers". NULL for another list. */
SOMA_API const char *const *soma_names(const char *list);

/** A model from JSON, and a layer. Layers are {"class_name": "Dense", "config": {"units": 10}}, as soma_model_to_json
 *  writes them, or for people {"dense": {"units": 10}}, {"dense": 10} (the first option; {"input": [784]} for layers
 *  that have none of their own) and "flatten".
 *    {"name": "digits", "layers": [{"dense": {"units": 512, "activation": "relu", "input_shape": [784]}}, {"dense":
 * 10}]} */
SOMA_API soma_model *soma_model_from_json(soma_context *context, const char *json);
SOMA_API soma_layer *soma_layer_from_json(soma_context *context, const char *json);
/** Freed with soma_string_free; NULL after an error. */
SOMA_API char *soma_model_to_json(const soma_model *model);

/* ---- layers of your own: what ours are made of ---- */

typedef enum soma_field_kind {
    SOMA_FIELD_BOOL,        /* bool */
    SOMA_FIELD_NOT,         /* bool whose field says the opposite of the name: "use_bias" in no_bias */
    SOMA_FIELD_INT,         /* int64_t */
    SOMA_FIELD_NUMBER,      /* double */
    SOMA_FIELD_STRING,      /* const char *; the layer keeps a copy */
    SOMA_FIELD_SHAPE,       /* int64_t[SOMA_MAX_RANK], ends with 0 */
    SOMA_FIELD_DTYPE,       /* soma_dtype */
    SOMA_FIELD_ACTIVATION,  /* soma_activation_fn * */
    SOMA_FIELD_INITIALIZER, /* soma_initializer */
    SOMA_FIELD_CONSTRAINT,  /* soma_constraint */
    SOMA_FIELD_LOSS,        /* soma_loss */
    SOMA_FIELD_SCHEDULE,    /* soma_schedule */
    SOMA_FIELD_REGULARIZER, /* soma_regularizer */
    SOMA_FIELD_WORD,        /* an enum, a word in files: "mode" is "auto", "min" or "max" */
    SOMA_FIELD_LAYER        /* soma_layer *, taken over: its weights become this layer's */
} soma_field_kind;

/** An option: its name in files, its place in the options struct, its bounds. */
typedef struct soma_field {
    const char *name;
    soma_field_kind kind;
    size_t offset;
    double standard;  /* ints and numbers: what zero stands for */
    double low, high; /* ints and numbers: smallest and largest value, both 0: any */
} soma_field;

typedef struct soma_layer_class {
    const char *name;         /* "Dense": in summaries and files; its snake_case form names the layers */
    size_t size;              /* of the options struct, which begins with SOMA_LAYER_OPTIONS */
    const soma_field *fields; /* of the struct's own options, the first one foremost; ends with name NULL; NULL: none */
    int min_inputs, max_inputs; /* max -1: any number */
    /** Makes the weights, with soma_layer_add_weight, for inputs like these (extents after the batch axis count).
     *  NULL: none. */
    soma_status (*build)(soma_layer *layer, soma_tensor *const *inputs, int n);
    /** The layer's function, as tensors; inputs and result have the batch as first axis. */
    soma_tensor *(*call)(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n);
    bool passes_mask; /* the result has a step for each of the first input's, and the same ones count */
    bool by_steps;    /* it needs no other steps than the one that it is called on */
} soma_layer_class;

/** A layer of a class, with a copy of the options. */
SOMA_API soma_layer *soma_layer_create(const soma_layer_class *kind, const void *options);
/** The layer's copy, in the type that it was made from. */
SOMA_API const void *soma_layer_options(const soma_layer *layer);

typedef struct soma_weight_options {
    const char *name; /* "kernel" */
    int rank;
    int64_t shape[SOMA_MAX_RANK];
    soma_initializer initializer; /* zeros when unset */
    soma_regularizer regularizer;
    soma_constraint constraint;
    bool not_trainable; /* statistics and counters: no gradient, changed by soma_trace_update */
    bool state;         /* not trainable either: carried from batch to batch, until soma_reset_states makes it 0 */
} soma_weight_options;
/** In build: the next weight, number 0, 1, ... */
SOMA_API SOMA_MUST_CHECK soma_status soma_layer_add_weight(soma_layer *layer, const soma_weight_options *options);

/** In call: a weight's value. */
SOMA_API soma_tensor *soma_trace_weight(soma_trace *trace, soma_layer *layer, int i);
/** Whether this is the training step's forward pass. */
SOMA_API bool soma_trace_training(const soma_trace *trace);
/** Number of training steps done, rank 0 int64: the step of random ops. */
SOMA_API soma_tensor *soma_trace_step(soma_trace *trace);
SOMA_API soma_graph *soma_trace_graph(const soma_trace *trace);
/** Adds a rank-0 penalty to the loss. */
SOMA_API void soma_trace_add_loss(soma_trace *trace, soma_tensor *penalty);
/** When training: the weight's value after this step. */
SOMA_API void soma_trace_update(soma_trace *trace, soma_layer *layer, int i, soma_tensor *value);
/** In call: results beside the one that is returned, each with the batch as first axis; the array must live as long as
 *  the graph. */
enum { SOMA_MAX_OUTPUTS = 17 }; /* with the first */
SOMA_API void soma_trace_set_outputs(soma_trace *trace, soma_layer *layer, soma_tensor *const *more, int n);
/** After soma_trace_call: how many results beside the first there were, and where they are, until the next call. */
SOMA_API int soma_trace_outputs(const soma_trace *trace, soma_tensor *const **more);
/** Which steps of an input count, bool (batch, steps); NULL when all do. */
SOMA_API soma_tensor *soma_trace_mask(const soma_trace *trace, const soma_tensor *x);
/** The same for the result of a call, where it is not what passes_mask says; NULL: all do. */
SOMA_API void soma_trace_set_mask(soma_trace *trace, soma_tensor *y, soma_tensor *mask);
/** Calls a layer that is one of this layer's options (SOMA_FIELD_LAYER); its weights are made by soma_layer_build_inner
 *  in build, named with the prefix. */
SOMA_API soma_tensor *soma_trace_call(soma_trace *trace, soma_layer *inner, soma_tensor *const *inputs, int n);
SOMA_API SOMA_MUST_CHECK soma_status soma_layer_build_inner(soma_layer *layer, soma_layer *inner, const char *prefix,
                                                            soma_tensor *const *inputs, int n);

/* ---- optimizers of your own ---- */

enum { SOMA_MAX_SLOTS = 4 };

/** What an update may use: rank-0 tensors in the weight's dtype. */
typedef struct soma_update {
    soma_graph *graph;
    const soma_variable *variable; /* of the weight, for its name and shape */
    soma_tensor *learning_rate;
    soma_tensor *t;                     /* 1 in the first step */
    soma_tensor *w, *g;                 /* the weight and its gradient, clipped; decay has been taken from w */
    soma_tensor *slots[SOMA_MAX_SLOTS]; /* the state before the step: replace by the state after it */
} soma_update;

/** One of the tensors that an optimizer keeps beside each weight. Only the name is needed. */
typedef struct soma_slot {
    const char *name; /* "momentum" */
    double start;     /* what all its elements are at first */
    bool own_shape;   /* not the weight's shape but this one: */
    int rank;
    int64_t shape[SOMA_MAX_RANK];
} soma_slot;

typedef struct soma_optimizer_class {
    const char *name;         /* "rmsprop" */
    size_t size;              /* of the options struct, which begins with SOMA_OPTIMIZER_OPTIONS */
    const soma_field *fields; /* with learning_rate and weight_decay, whose defaults differ; the rest is common */
    /** Describes the state kept beside a weight, into slots, which come as zeros; returns how many. NULL: none. */
    int (*slots)(const void *options, const soma_variable *weight, soma_slot slots[SOMA_MAX_SLOTS]);
    /** The weight after the step; slots likewise. */
    soma_tensor *(*update)(const void *options, soma_update *update);
    /** The decay of this weight; NULL: the option weight_decay of all. */
    double (*decay)(const void *options, const soma_variable *weight);
} soma_optimizer_class;
SOMA_API soma_optimizer *soma_optimizer_create(const soma_optimizer_class *kind,
                                               const void *options); /**< with a copy of the options */

#ifdef __cplusplus
}
#endif
#endif
