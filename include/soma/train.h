/* Training: compile, fit, evaluate, predict, callbacks, history, and the model's file. Keras' names and defaults.
 * A training step (loss, metrics, gradients, update) is one plan, made once for each batch size.
 * Nothing here prints unless asked to: fit's .verbose writes to stderr, or to the function that .write names. */
#ifndef SOMA_TRAIN_H
#define SOMA_TRAIN_H

#include <soma/data.h>
#include <soma/metrics.h>
#include <soma/nn.h>
#include <soma/plan.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SOMA_MAX_METRICS = 32, SOMA_MAX_CALLBACKS = 8 };

/* ---- compile ---- */

/** What a training step is made of, for an objective: tensors of one graph. */
typedef struct soma_objective {
    soma_model *model;   /* whose step it is */
    soma_tensor *x;      /* the batch as the first layer sees it */
    soma_tensor *y_true; /* its labels */
    soma_tensor *y_pred; /* the model's output for x */
    soma_tensor *step;   /* training steps done, rank 0 int64: for soma_pass and random numbers */
    bool training;       /* else measured only */
    /* The same of models of several inputs or outputs: one tensor each, of which those above are the first. */
    soma_tensor *const *inputs, *const *labels, *const *outputs;
} soma_objective;
/** What is minimized, a value per sample or one, where labels and output alone can't say it: a penalty on gradients,
 *  the model called again on other samples (soma_model_forward). fit does the rest. Keras: compute_loss. */
typedef soma_tensor *soma_objective_fn(const soma_objective *objective);

enum { SOMA_MAX_OUTPUT_METRICS = 8 };

/** What a batch's values of a loss become, each times its sample's weight: their mean (Keras: sum_over_batch_size),
 * their sum, or their sum over that of the weights (mean_with_sample_weight). In files {"loss": {"mse": {"reduction":
 * "sum"}}}. */
typedef enum soma_reduction { SOMA_REDUCE_MEAN, SOMA_REDUCE_SUM, SOMA_REDUCE_WEIGHTED_MEAN } soma_reduction;

/** Loss and metrics of one output, of a model that has several. No loss: this output is measured, not trained. */
typedef struct soma_output_options {
    soma_loss_fn *loss;            /* a plain one, or: */
    soma_loss loss_with;           /* one with numbers */
    soma_reduction loss_reduction; /* of either: the mean */
    double loss_weight;            /* 1: what its mean counts in the sum that is minimized (Keras: loss_weights) */
    soma_loss_fn *metrics[SOMA_MAX_OUTPUT_METRICS]; /* as in soma_compile_options, also the next three */
    soma_finish_fn *finish[SOMA_MAX_OUTPUT_METRICS];
    soma_metric metrics_with[SOMA_MAX_OUTPUT_METRICS];
    soma_loss_fn *weighted_metrics[SOMA_MAX_OUTPUT_METRICS];
} soma_output_options;

typedef struct soma_compile_options {
    soma_optimizer *optimizer;     /* default soma_rmsprop(); taken over, also after an error */
    soma_loss_fn *loss;            /* where there are several outputs: of each of them, and so are the metrics */
    soma_loss loss_with;           /* instead: a loss with numbers, soma_huber_loss(0.5) */
    soma_reduction loss_reduction; /* of either: the mean */
    soma_objective_fn *objective;  /* or a function of the whole step */
    soma_loss_fn *metrics[SOMA_MAX_METRICS];  /* {soma_accuracy} */
    soma_finish_fn *finish[SOMA_MAX_METRICS]; /* for metrics of your own that give statistics */
    soma_metric
        metrics_with[SOMA_MAX_METRICS]; /* after them: metrics with numbers, {soma_precision_metric(0.7, -1, 0)} */
    soma_loss_fn *weighted_metrics[SOMA_MAX_METRICS]; /* after them: as metrics_with .weighted */
    /* instead of loss and metrics, in the order of the model's outputs: {{soma_binary_crossentropy}, {soma_mae}} */
    soma_output_options outputs[SOMA_MAX_ARRAYS];
    const char *precision; /* "float32", the default, or "mixed_bfloat16": training steps store large float32 values
                              between their products (activations, their gradients) as bfloat16, rounded to nearest
                              even. Arithmetic and sums, weights, their gradients and what the optimizer keeps stay
                              float32; evaluate and predict are not concerned, nor float64 layers. Keras: the dtype
                              policy of this name */
} soma_compile_options;
/** What fit minimizes, by which steps, and what it shows: soma_compile(net, .loss = soma_mean_squared_error).
 *  Of a model with several outputs fit minimizes the weighted sum of their losses, and shows them first: the output of
 *  a layer "age" has "age_loss", and its metrics are "age_mean_absolute_error" and so on, as in Keras.
 *  Compiling again forgets the optimizer's state and the history, not the weights; after an error nothing has changed.
 */
#define soma_compile(model, ...) soma_model_compile(model, &(soma_compile_options){__VA_ARGS__})
SOMA_API soma_status soma_model_compile(soma_model *model, const soma_compile_options *options);
/** The same by names: {"optimizer": "adam", "loss": "mse", "metrics": ["accuracy"]}; an optimizer with options is
 *  {"adam": {"learning_rate": 0.01}}, a loss or a metric with numbers {"precision": {"class_id": 2}}. Several outputs:
 *  {"outputs": [{"loss": "mse", "loss_weight": 0.5, "metrics": ["mae"]}, {"loss": "binary_crossentropy"}]}. Beside
 *  them "weighted_metrics", as "metrics", and "precision": "mixed_bfloat16", as above. */
SOMA_API SOMA_MUST_CHECK soma_status soma_model_compile_json(soma_model *model, const char *json);

/* ---- fit ---- */

/** What a callback sees. names and values: what has been measured so far in this epoch, names in order; to
 *  on_train_begin, the names of all that will be measured, with NaN. */
typedef struct soma_logs {
    int64_t epoch, epochs;  /* epoch counts from 0 */
    int64_t batch, batches; /* batch counts from 0 */
    int n;
    const char *const *names;
    const double *values;
    double seconds;                                        /* since the epoch's begin */
    void (*write)(void *user, const char *text, size_t n); /* fit: where its progress goes, for a callback's words */
    void *write_user;                                      /* handed to write */
    struct soma_callback *const *callbacks;                /* fit: all of them */
    int n_callbacks;                                       /* how many */
} soma_logs;

/** Any status but SOMA_OK ends the training with it. */
typedef soma_status soma_hook(void *user, soma_model *model, const soma_logs *logs);

/** Functions that fit, evaluate and predict call on the way; NULL where nothing is wanted. To stop, call
 *  soma_model_stop_training in a hook. */
typedef struct soma_callback {
    void *user; /* handed to every hook */
    soma_hook *on_train_begin, *on_train_end;
    soma_hook *on_epoch_begin, *on_epoch_end;
    soma_hook *on_train_batch_begin, *on_train_batch_end;
    soma_hook *on_test_begin, *on_test_end;
    soma_hook *on_test_batch_begin, *on_test_batch_end;
    soma_hook *on_predict_begin, *on_predict_end;
    soma_hook *on_predict_batch_begin, *on_predict_batch_end;
    void (*destroy)(struct soma_callback *callback); /* when set, called once the training is over */
    bool changes_learning_rate;                      /* logs and history then have "learning_rate" */
    const char *monitor; /* the number it watches: an error of fit where nothing measures it; NULL: none */
    /* What a backup has to keep for a resumed training to go on alike: numbers, and bytes. */
    double *state;
    int n_state;       /* how many numbers */
    void *blob;        /* bytes, as they are */
    size_t blob_bytes; /* how many */
} soma_callback;

/** Keras' numbers, and two more. Keras' default is 1, ours is silence. */
enum {
    SOMA_VERBOSE_NONE = 0,
    SOMA_VERBOSE_AUTO = 1, /* a moving bar if stderr is a terminal, else as SOMA_VERBOSE_LINE */
    SOMA_VERBOSE_LINE = 2, /* a line an epoch */
    SOMA_VERBOSE_JSON = 3, /* a JSON object an epoch, {"epoch": 1, "accuracy": ..., "loss": ..., "seconds": ...} */
    SOMA_VERBOSE_BAR = 4   /* a moving bar, wherever it goes */
};

/** Takes n bytes of progress text. */
typedef void soma_write_fn(void *user, const char *text, size_t n);

typedef struct soma_fit_options {
    soma_dataset *data;                           /* needed */
    int64_t batch_size;                           /* 32; the last, smaller batch counts too */
    int64_t epochs;                               /* 1: the number of the last epoch */
    int verbose;                                  /* SOMA_VERBOSE_NONE */
    soma_callback *callbacks[SOMA_MAX_CALLBACKS]; /* taken over and freed, also after an error */
    double validation_split;                      /* 0; this share of the samples, the last ones, only measures */
    soma_dataset *validation_data;                /* instead of a share */
    bool no_shuffle;                              /* Keras: shuffle = False */
    int64_t initial_epoch;                        /* 0; when not, the history goes on */
    bool resume; /* go on where the last fit of this model, or of the file it comes from, was interrupted: with the next
                    batch of the epoch, or after the last epoch of the history; to the same bits as without */
    int64_t steps_per_epoch;       /* 0: all batches */
    int64_t validation_batch_size; /* batch_size */
    int64_t validation_steps;      /* 0: all batches of the validation; else the first ones only */
    int64_t validation_freq;       /* 1: after every epoch */
    const double *class_weight;    /* how much the samples of class 0, 1, ... count in the loss */
    int n_class_weight;            /* how many numbers those are */
    const double *sample_weight;   /* how much each sample of data counts in the loss, a held out share's too */
    const double *validation_sample_weight; /* the same for validation_data */
    bool terminate_on_nan;                  /* SOMA_DIVERGED as soon as the loss is not a finite number */
    soma_write_fn *write;                   /* where progress goes; default stderr */
    void *write_user;                       /* handed to write */
} soma_fit_options;
/** Trains: soma_fit(net, train, .epochs = 5, .batch_size = 128). Samples may have any shape of the elements that the
 *  model's input has; uint8 ones are scaled, see soma_set_pixel_scale. SOMA_INTERRUPTED after soma_model_request_stop,
 * SOMA_DIVERGED see above. Like all that follow, it returns at once after an error in what it is given, so that a
 * program may look at the end. */
#define soma_fit(model, ...) soma_model_fit(model, &(soma_fit_options){.data = __VA_ARGS__})
SOMA_API soma_status soma_model_fit(soma_model *model, const soma_fit_options *options);

/** Before fit: the layers that learn of data, such as Normalization, learn of the inputs of data, in the order in which
 * they run, each of what the layers before it make of them. Anew where they have done so already. Not needed for layers
 * that have learnt nothing yet: fit then does it with what it trains on, without the held out share. Keras'
 * layer.adapt(data). */
SOMA_API SOMA_MUST_CHECK soma_status soma_adapt(soma_model *model, soma_dataset *data);

/** From a callback: no further batch. fit then returns SOMA_OK. */
SOMA_API void soma_model_stop_training(soma_model *model);
/** From a signal handler or another thread: fit finishes its batch and returns SOMA_INTERRUPTED. The model then knows
 *  its place in the epoch, and a file it is saved to: a fit with .resume goes on from there. Once the last epoch is
 *  over, or a callback has ended the training after an epoch, there is nothing to go on with: fit ends as it would. */
SOMA_API void soma_model_request_stop(soma_model *model);

/* ---- training steps of your own ---- */

/** An optimizer with the weights it moves and the state it keeps beside them. A program that builds its own training
 *  steps has one for each part that is trained by itself, such as the two networks of examples/gan.c:
 *    soma_minimizer *m = soma_minimizer_create(soma_adam(), net);
 *    soma_tensor *targets[MANY];                             at least soma_minimizer_targets(m)
 *    soma_minimize(m, loss, targets);                        in the graph of the loss
 *    soma_plan *step = soma_plan_create(targets, soma_minimizer_targets(m), NULL);
 *  Layers are called by soma_model_forward. Example: examples/custom_training.c */
typedef struct soma_minimizer soma_minimizer;
/** For all trainable weights of a model, with their constraints. Takes the optimizer over, also after an error; NULL:
 *  soma_rmsprop(). */
SOMA_API soma_minimizer *soma_minimizer_create(soma_optimizer *optimizer, soma_model *model);
/** For these variables. */
SOMA_API soma_minimizer *soma_minimizer_create_for(soma_optimizer *optimizer, soma_variable *const *variables, int n);
/** Before the models or variables. NULL: does nothing. */
SOMA_API void soma_minimizer_destroy(soma_minimizer *minimizer);
/** How many nodes soma_minimize writes. */
SOMA_API int soma_minimizer_targets(const soma_minimizer *minimizer);
/** The assignments of a training step that makes loss (a float, summed if it is not of rank 0) smaller, into targets.
 *  Errors: SOMA_UNSUPPORTED, naming the op, where the path goes through an op without a gradient. */
SOMA_API SOMA_MUST_CHECK soma_status soma_minimize(soma_minimizer *minimizer, soma_tensor *loss, soma_tensor **targets);
/** The same by gradients of your own, one for each weight, in order. */
SOMA_API SOMA_MUST_CHECK soma_status soma_minimize_by(soma_minimizer *minimizer, soma_tensor *const *gradients,
                                                      soma_tensor **targets);
/** Steps done, rank 0 int64: for the .step of soma_model_forward, so that dropout differs from step to step. */
SOMA_API soma_tensor *soma_minimizer_step_number(soma_minimizer *minimizer, soma_graph *graph);
/** Before each run of a plan: sets the learning rate of the step where it follows a schedule. */
SOMA_API SOMA_MUST_CHECK soma_status soma_minimizer_follow_schedule(soma_minimizer *minimizer);
/** The state, to be saved or looked at: steps done, the learning rate, then what stands beside each weight; NULL beyond
 *  the last. */
SOMA_API soma_variable *soma_minimizer_variable(const soma_minimizer *minimizer, int i);

/** Whether a layer's weights are trained; layer NULL: those of all layers. A frozen BatchNormalization also uses its
 *  moving statistics and leaves them as they are. Holds from the next step on, without compiling again (Keras wants
 *  that); what the optimizer keeps beside weights that go on being trained stays. */
SOMA_API SOMA_MUST_CHECK soma_status soma_set_trainable(soma_model *model, soma_layer *layer, bool trainable);

/* ---- history: what fit measured, epoch by epoch ---- */

/** Epochs in the history of the last fit. */
SOMA_API int64_t soma_history_epochs(const soma_model *model);
/** Names, in order: "accuracy", "loss", "val_accuracy", "val_loss"; NULL beyond the last. Where the learning rate may
 *  change, by a schedule or a callback, "learning_rate" is what it is at the end of the
 *  epoch, before the callbacks. */
SOMA_API const char *soma_history_name(const soma_model *model, int i);
/** The value of a name after an epoch (0, 1, ..., or -1 for the last); NaN where none was measured. */
SOMA_API double soma_history_get(const soma_model *model, const char *name, int64_t epoch);
/** Training steps that the weights have seen; where gradients are gathered, updates. */
SOMA_API int64_t soma_updates(const soma_model *model);
/** The learning rate of the next step, and a new one from then on (an error where the rate follows a schedule). */
SOMA_API double soma_learning_rate(const soma_model *model);
SOMA_API SOMA_MUST_CHECK soma_status soma_set_learning_rate(soma_model *model, double rate);

/* ---- evaluate and predict ---- */

/** Loss and metrics in the order they were compiled. Look at status first: numbers are NaN after an error. */
typedef struct soma_scores {
    soma_status status;               /* SOMA_OK, or why there are no numbers */
    double loss;                      /* what fit minimizes, without dropout */
    int n_metrics;                    /* how many */
    double metrics[SOMA_MAX_METRICS]; /* by soma_metric_name */
} soma_scores;

typedef struct soma_evaluate_options {
    soma_dataset *data;                           /* needed */
    int64_t batch_size;                           /* default 256: it changes the speed only */
    soma_callback *callbacks[SOMA_MAX_CALLBACKS]; /* their test hooks are called */
    const double *sample_weight;                  /* how much each sample counts in the loss, as in fit */
    int64_t steps;                                /* 0: all batches; else the first ones only */
} soma_evaluate_options;
/** Loss and metrics on data: soma_evaluate(net, test). */
#define soma_evaluate(model, ...) soma_model_evaluate(model, &(soma_evaluate_options){.data = __VA_ARGS__})
SOMA_API soma_scores soma_model_evaluate(soma_model *model, const soma_evaluate_options *options);
/** Name of the i-th metric, "accuracy"; NULL beyond the last. */
SOMA_API const char *soma_metric_name(const soma_model *model, int i);

typedef struct soma_predict_options {
    soma_dataset *data;                           /* needed */
    int64_t batch_size;                           /* default 256 */
    soma_graph *graph;                            /* that the result belongs to; NULL: the default one */
    soma_callback *callbacks[SOMA_MAX_CALLBACKS]; /* their predict hooks are called */
    int64_t steps;                                /* 0: all batches; else the first ones only */
} soma_predict_options;
/** The outputs for all samples, (samples, ...): soma_print(soma_predict(net, test)). NULL after an error. */
#define soma_predict(model, ...) soma_model_predict(model, &(soma_predict_options){.data = __VA_ARGS__})
SOMA_API soma_tensor *soma_model_predict(soma_model *model, const soma_predict_options *options);
/** The same of every output, of a model that has several: a tensor each into outputs, in their order. */
SOMA_API SOMA_MUST_CHECK soma_status soma_model_predict_all(soma_model *model, const soma_predict_options *options,
                                                            soma_tensor **outputs);

/* ---- batch by batch ---- */

typedef struct soma_batch_options {
    soma_tensor *x, *y;          /* which have their elements: soma_array, soma_array_view */
    const double *sample_weight; /* how much each sample counts in the loss, as in fit */
    const double *class_weight;  /* how much the samples of class 0, 1, ... count */
    int n_class_weight;          /* how many numbers those are */
    soma_dataset *data;          /* instead of x and y: all its samples */
} soma_batch_options;
/** One training step, or one measurement: soma_train_on_batch(net, x, y, .sample_weight = weights). */
#define soma_train_on_batch(model, ...) soma_model_train_on_batch(model, &(soma_batch_options){.x = __VA_ARGS__})
#define soma_test_on_batch(model, ...) soma_model_test_on_batch(model, &(soma_batch_options){.x = __VA_ARGS__})
/** The same on all samples of a dataset as one batch, for models of several inputs or outputs. */
#define soma_train_on_dataset(model, ...) soma_model_train_on_batch(model, &(soma_batch_options){.data = __VA_ARGS__})
#define soma_test_on_dataset(model, ...) soma_model_test_on_batch(model, &(soma_batch_options){.data = __VA_ARGS__})
SOMA_API soma_scores soma_model_train_on_batch(soma_model *model, const soma_batch_options *options);
SOMA_API soma_scores soma_model_test_on_batch(soma_model *model, const soma_batch_options *options);
/** Outputs for n samples that lie one after the other at x, into out: n times the output's elements, float32 (or
 *  float64 for a float64 model). Allocates nothing once it has seen this n and dtype. */
SOMA_API SOMA_MUST_CHECK soma_status soma_predict_on_batch(soma_model *model, int64_t n, soma_dtype dtype,
                                                           const void *x, void *out);

/** The plan of a training step as fit would run it on this data. Belongs to the model, whose plans run in one memory:
 *  outputs are valid until the model runs another one, or makes one. NULL after an error. */
SOMA_API const soma_plan *soma_training_plan(soma_model *model, soma_dataset *data, int64_t batch_size);
/** The plan of a prediction of n samples like the data's. */
SOMA_API const soma_plan *soma_prediction_plan(soma_model *model, soma_dataset *data, int64_t batch_size);

/* ---- what the model knows about its data ---- */

/** uint8 data are pixels: the model sees x scale + offset, by default x / 255, unless its first layer is a rescaling or
 *  this function says otherwise (scale 1: as they are). Part of the plan, saved with the model, applied wherever uint8
 *  samples come in. Other dtypes are taken as they are. To be called before the first fit. */
SOMA_API SOMA_MUST_CHECK soma_status soma_set_pixel_scale(soma_model *model, double scale, double offset);

/** Names of the classes, for people; taken from the first training data that has them, saved with the model.
 *  NULL when there are none or i is beyond the last. */
SOMA_API const char *soma_model_label(const soma_model *model, int i);

/* ---- files ---- */

/** A function or a class of the user's own, by a name for files: {"swish2", (soma_function *)my_swish}. */
typedef void soma_function(void);
typedef struct soma_custom {
    const char *name;                      /* in files */
    soma_function *function;               /* an activation, loss, metric, initializer, regularizer, constraint; numbers
                                              that it is handed are saved with its name */
    const soma_layer_class *layer;         /* or a layer class; its name is its own */
    soma_finish_fn *finish;                /* of a metric that gives statistics */
    const soma_optimizer_class *optimizer; /* or an optimizer's class; its name is its own */
} soma_custom;
enum { SOMA_MAX_CUSTOM = 16 };

typedef struct soma_save_options {
    const char *path;                    /* of the file; needed */
    soma_custom custom[SOMA_MAX_CUSTOM]; /* Keras: custom_objects */
    bool no_optimizer;                   /* without what is only needed to train on */
} soma_save_options;
/** Weights, architecture, preprocessing, labels, training configuration, optimizer state and history, as a safetensors
 *  file that any reader of that format opens. The old file is replaced at once or stays. soma_save(net, "digits.soma")
 */
#define soma_save(model, ...) soma_model_save(model, &(soma_save_options){.path = __VA_ARGS__})
SOMA_API SOMA_MUST_CHECK soma_status soma_model_save(const soma_model *model, const soma_save_options *options);

typedef struct soma_load_options {
    const char *path;                    /* of the file; needed */
    soma_custom custom[SOMA_MAX_CUSTOM]; /* as it was saved with */
} soma_load_options;
/** The model as it was saved, ready to train on. NULL after an error. */
#define soma_load(context, ...) soma_model_load(context, &(soma_load_options){.path = __VA_ARGS__})
SOMA_API soma_model *soma_model_load(soma_context *context, const soma_load_options *options);

/* ---- one-hot labels ---- */

/** (n) integers -> (n, classes) of 0 and 1. classes 0: the largest label + 1, for which the labels must have their
 *  elements. Keras to_categorical. */
SOMA_API soma_tensor *soma_to_categorical(soma_tensor *labels, int64_t classes);

#ifdef __cplusplus
}
#endif
#endif
