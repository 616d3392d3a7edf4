/* Networks: layers and models, names and JSON, and what layers of your own are made of. Keras' names and defaults.
 * Options are named: soma_dense(512, .activation = soma_relu). What is not named, or zero, has its default; a number
 * whose default is not zero is made zero by SOMA_ZERO. Under each such macro is a plain function taking the struct. */
#ifndef SOMA_NN_H
#define SOMA_NN_H

#include <soma/functions.h>
#include <soma/optimizers.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct soma_layer soma_layer;
typedef struct soma_model soma_model;
typedef struct soma_symbol soma_symbol;
typedef struct soma_trace soma_trace;

/* ---- layers: (batch, ...) -> (batch, ...) ---- */

/** A seed of a layer or an initializer gives the same numbers in every model, whatever the context's seed. 0 is none;
 * this one is Keras' 0. */
#define SOMA_SEED_ZERO INT64_MIN

/* Every layer's own. */
#define SOMA_LAYER_OPTIONS                                                                                             \
    const char *name;                      /* default: "dense", "dense_1", ... */                                      \
    int64_t input_shape[SOMA_MAX_RANK];    /* of one sample, {28, 28}; needed in a model's first layer at most */      \
    soma_dtype dtype;                      /* of weights and results, float32 or float64 */                            \
    bool frozen;                           /* weights are not trained; Keras: trainable = False */                     \
    soma_regularizer activity_regularizer; /* of the layer's results, all of a batch; none */                          \
    int64_t seed;                          /* of what it draws; 0: by the context's seed and its place */              \
    soma_context *context;                 /* allocates the layer; NULL: the default one */                            \
    char nothing;                          /* makes soma_flatten() without options valid C */

/** A list of any length, which layers copy. */
typedef struct soma_numbers {
    int64_t n; /* how many */
    const double *values;
} soma_numbers;

/** Says the shape of a sample; does nothing. Keras Input. */
typedef struct soma_input_layer_options {
    SOMA_LAYER_OPTIONS
} soma_input_layer_options;
#define soma_input_layer(...) soma_input_layer_create(&(soma_input_layer_options){.input_shape = __VA_ARGS__})
SOMA_API soma_layer *soma_input_layer_create(const soma_input_layer_options *options);

/** activation(x W + b): x (batch, ..., in) -> (batch, ..., units). W (in, units) is "kernel", b (units) is "bias". */
typedef struct soma_dense_options {
    SOMA_LAYER_OPTIONS
    int64_t units;                                         /* features of the result; needed */
    soma_activation_fn *activation;                        /* NULL: linear */
    bool no_bias;                                          /* Keras: use_bias = False */
    soma_initializer kernel_initializer;                   /* glorot_uniform */
    soma_initializer bias_initializer;                     /* zeros */
    soma_regularizer kernel_regularizer, bias_regularizer; /* none */
    soma_constraint kernel_constraint, bias_constraint;    /* none */
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
    int64_t target_shape[SOMA_MAX_RANK]; /* of a sample; needed */
} soma_reshape_layer_options;
#define soma_reshape_layer(...) soma_reshape_layer_create(&(soma_reshape_layer_options){.target_shape = __VA_ARGS__})
SOMA_API soma_layer *soma_reshape_layer_create(const soma_reshape_layer_options *options);

/** activation(x) as a layer of its own. */
typedef struct soma_activation_options {
    SOMA_LAYER_OPTIONS
    soma_activation_fn *activation; /* needed */
} soma_activation_options;
#define soma_activation(...) soma_activation_create(&(soma_activation_options){.activation = __VA_ARGS__})
SOMA_API soma_layer *soma_activation_create(const soma_activation_options *options);

/** While training, each element becomes 0 with probability rate, else is scaled by 1 / (1 - rate). */
typedef struct soma_dropout_options {
    SOMA_LAYER_OPTIONS
    double rate;                        /* in [0, 1) */
    const char *data_format;            /* of spatial dropout, see layers.h */
    int64_t noise_shape[SOMA_MAX_RANK]; /* of Dropout: {-1, 1, -1} draws once for all steps of (batch, steps, features),
                                         * -1 being what x has */
} soma_dropout_options;
#define soma_dropout(...) soma_dropout_create(&(soma_dropout_options){.rate = __VA_ARGS__})
SOMA_API soma_layer *soma_dropout_create(const soma_dropout_options *options);

/** x scale + offset, in float whatever x is: soma_rescaling(1.0 / 255). */
typedef struct soma_rescaling_options {
    SOMA_LAYER_OPTIONS
    double scale;  /* 1 */
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
/** A model within a model: calls its layers, with the weights they have, on n symbols in place of its n inputs; ys gets
 *  one symbol for each of its outputs. So an encoder can be trained alone, go into a larger model, and be called there
 *  twice with the same weights (siamese nets); what trains one trains all. Summary and files of the larger model show
 *  the layers as its own. The model stays the caller's: it may be destroyed once the larger one is made, whose layers
 *  they are then. Sequential models need not be built.
 *  Names: where two layers meet that both were called "dense" by their models, one that has no weights yet is called
 *  anew; of layers with weights the user names one.
 *  Errors: SOMA_INVALID for another number of symbols than inputs; those of soma_call_many. Source: Keras' model(x). */
SOMA_API SOMA_MUST_CHECK soma_status soma_model_call(soma_model *model, soma_symbol *const *xs, int n,
                                                     soma_symbol **ys);

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
/** How many inputs and outputs it has. */
SOMA_API int soma_model_inputs(const soma_model *model);
SOMA_API int soma_model_outputs(const soma_model *model);
/** Shapes of one sample of the first input and output; rank -1 before the model is built. */
SOMA_API int soma_model_input_shape(const soma_model *model, int64_t shape[SOMA_MAX_RANK]);
SOMA_API int soma_model_output_shape(const soma_model *model, int64_t shape[SOMA_MAX_RANK]);
/** The same of input or output i. */
SOMA_API int soma_model_input_shape_at(const soma_model *model, int i, int64_t shape[SOMA_MAX_RANK]);
SOMA_API int soma_model_output_shape_at(const soma_model *model, int i, int64_t shape[SOMA_MAX_RANK]);
/** A call of a layer: which of the model's values it takes and gives. Values have numbers: 0, 1, ... are the model's
 *  inputs, the others come from calls before. */
typedef struct soma_layer_call {
    soma_layer *layer; /* NULL: there is no such call */
    int n_inputs;
    const int *inputs; /* n_inputs values, borrowed */
    int n_outputs;
    int output; /* the first of n_outputs values, which follow each other */
} soma_layer_call;
/** How many calls a run of the model makes, a chain of n layers n, and the i-th of them. */
SOMA_API int soma_model_calls(const soma_model *model);
SOMA_API soma_layer_call soma_model_get_call(const soma_model *model, int i);
/** Shape of one sample of such a value; rank -1 before the model is built, and where there is no such value. */
SOMA_API int soma_model_value_shape(const soma_model *model, int value, int64_t shape[SOMA_MAX_RANK]);
/** The name of the layer that output i comes from, by which fit calls its loss and metrics; NULL where there is none.
 */
SOMA_API const char *soma_model_output_name(const soma_model *model, int i);

/** Runs the layers on tensors of one graph, (batch, ...) each, and gives the outputs as tensors of that graph: for
 *  gradients, training steps and looks inside of your own. training turns dropout on. A weight is read once in a graph,
 *  however often this is called; soma_weight gives that tensor, to differentiate by. */
SOMA_API SOMA_MUST_CHECK soma_status soma_model_apply(soma_model *model, soma_tensor *const *inputs, int n,
                                                      bool training, soma_tensor **outputs);
SOMA_API soma_tensor *soma_weight(soma_graph *graph, soma_variable *variable);
/** The same with what a training step needs besides. updates: assignments of statistics (BatchNormalization's), to be
 *  among the plan's targets; in the graph's memory. */
typedef struct soma_pass {
    bool training;          /* turns dropout on, and statistics follow the batch */
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
    SOMA_FIELD_RANGE,       /* double[2]; in files a number or [low, high] */
    SOMA_FIELD_SEED,        /* int64_t, 0: none; SOMA_SEED_ZERO is 0 in files */
    SOMA_FIELD_NUMBERS,     /* soma_numbers; in files a number or a list; the layer keeps a copy. Layers only */
    SOMA_FIELD_AXES,        /* int64_t[SOMA_MAX_RANK], ends with 0; standard: what none at all stands for; low
                               SOMA_NO_AXES: null in files is that */
    SOMA_FIELD_LAYER        /* soma_layer *, taken over: its weights become this layer's */
} soma_field_kind;

/** An option: its name in files, its place in the options struct, its bounds. */
struct soma_field {
    const char *name;     /* NULL ends a table */
    soma_field_kind kind; /* what kind of value it is */
    size_t offset;        /* of the value in the options struct */
    double standard;      /* ints and numbers: what zero stands for */
    double low, high;     /* ints and numbers: smallest and largest value, both 0: any */
};

/** What a layer is called on, for the whole of some data: after each next n samples of rank and shape. */
typedef struct soma_samples {
    int rank; /* of one sample, as its shape */
    int64_t shape[SOMA_MAX_RANK];
    int64_t n;                                         /* 0: there are no more */
    const double *values;                              /* of the n samples */
    soma_status (*next)(struct soma_samples *samples); /* the next n; to be called first */
} soma_samples;

typedef struct soma_layer_class {
    const char *name;         /* "Dense": in summaries and files; its snake_case form names the layers */
    size_t size;              /* of the options struct, which begins with SOMA_LAYER_OPTIONS */
    const soma_field *fields; /* of the struct's own options, the first one foremost; ends with name NULL; NULL: none */
    int min_inputs, max_inputs; /* max -1: any number */
    /** Makes the weights, with soma_layer_add_weight, for inputs like these (extents after the batch axis count).
     *  NULL: none. */
    soma_status (*build)(soma_layer *layer, soma_tensor *const *inputs, int n);
    /** What the layer learns of data before the training, such as a mean, into its weights; NULL: nothing. Of those a
     *  "count" of rank 0 must be one, which becomes the number of samples. See soma_adapt. */
    soma_status (*adapt)(soma_layer *layer, soma_samples *samples);
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
    int rank;         /* of the weight, as its shape */
    int64_t shape[SOMA_MAX_RANK];
    soma_initializer initializer; /* zeros when unset */
    soma_regularizer regularizer; /* none when unset */
    soma_constraint constraint;   /* none when unset */
    bool not_trainable;           /* statistics and counters: no gradient, changed by soma_trace_update */
    bool state; /* not trainable either: carried from batch to batch, until soma_reset_states makes it 0 */
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

#ifdef __cplusplus
}
#endif
#endif
