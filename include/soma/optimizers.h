/* Optimizers and learning-rate schedules, and what an optimizer of your own is made of. Keras' names, formulas and
 * defaults. Options are named: soma_adam(.learning_rate = 0.01). What is not named, or zero, has its default. */
#ifndef SOMA_OPTIMIZERS_H
#define SOMA_OPTIMIZERS_H

#include <soma/functions.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct soma_optimizer soma_optimizer;
typedef struct soma_field soma_field; /* nn.h */

/* ---- learning rates that change with the steps ---- */

enum { SOMA_SCHEDULE_NUMBERS = 20 };

/** The learning rate of step number step (0, 1, ...): a plain function, called before each step. */
typedef double soma_schedule_fn(double step, const double *parameters, int n);
/** .schedule = soma_cosine_decay(0.1, 1000), or {my_function, n, {numbers}}. It goes by the number of steps that the
 *  weights have seen, which is saved with them, so a training that is resumed goes on where it was. */
typedef struct soma_schedule {
    soma_schedule_fn *rate; /* NULL: none */
    int n;
    double parameters[SOMA_SCHEDULE_NUMBERS]; /* handed to rate */
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
    double ema_momentum;                   /* 0.99 */                                                                  \
    int64_t ema_overwrite_frequency;       /* 0: never; else the weights become the average every so many updates */   \
    double loss_scale_factor;              /* 0: none; else gradients are those of loss times this, divided by it */   \
    int64_t gradient_accumulation_steps;   /* 0: none */                                                               \
    const char *exclude_from_weight_decay; /* "bias|norm": not those with such a part in their name; NULL: none */     \
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

/* ---- optimizers of your own ---- */

enum { SOMA_MAX_SLOTS = 4 };

/** What an update may use: rank-0 tensors in the weight's dtype. */
typedef struct soma_update {
    soma_graph *graph;                  /* to build in */
    const soma_variable *variable;      /* of the weight, for its name and shape */
    soma_tensor *learning_rate;         /* of this step */
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
