/* The inside of layers, symbols and traces.
 * Rests on ops. A layer is a class, a copy of its options, and weights; like Keras it keeps the symbols made by calling
 * it. Models count their layers' references, so that layers may be shared between models. */
#ifndef NN_LAYER_H
#define NN_LAYER_H

#include <soma/nn.h>

#include "base/base.h"
#include "nn/fields.h"
#include "tensor/node.h"

/* The options that every layer has, as the first members of its struct. */
typedef struct layer_options {
    SOMA_LAYER_OPTIONS
} layer_options;

typedef struct layer_weight {
    soma_weight_options spec;
    soma_variable *variable; /* NULL until the layer is in a model */
    bool frozen;             /* the layer within this one that made it is frozen */
} layer_weight;

struct soma_layer {
    soma_context *context;
    const soma_layer_class *kind;
    layer_options *options; /* the whole struct, kind->size bytes */
    char *name;             /* NULL until the user or a model gives one */
    bool named_by_model;    /* so it may have another */
    int references;         /* models that have it */
    bool built;
    layer_weight *weights;
    int n_weights;
    soma_symbol **symbols; /* of each call all results, one after the other */
    int n_symbols, n_calls;
    soma_layer *owner;  /* whose option this layer is, and in whose list its weights are; NULL: none */
    int first, n_inner; /* there: its first weight, and how many are its */
    const char *prefix; /* of their names */
};

struct soma_symbol {
    soma_layer *layer;
    int call;      /* number of the call of its layer */
    int first;     /* index of the call's first result among the layer's symbols */
    int n_results; /* of the call */
    soma_symbol **inputs;
    int n_inputs;
    int rank;
    int64_t shape[SOMA_MAX_RANK]; /* of one sample */
    soma_context *context;        /* of the model to be */
};

/* Every layer class, one line each in layers.def, and their names, ending with NULL. */
#define LAYER(name) extern const soma_layer_class layer_##name;
#include "nn/layers.def"
#undef LAYER
extern const soma_layer_class *const layer_table[];
extern const char *const layer_name_list[];
extern const soma_field layer_common_fields[];
extern const soma_field *const layer_input_shape_field; /* one of them */
/* The class of a name, the user's or ours; NULL when there is none. */
const soma_layer_class *layer_class_find(const soma_custom *custom, const char *name);

void layer_retain(soma_layer *layer);
void layer_free_symbol(soma_layer *layer, soma_symbol *symbol);
void layer_release(soma_layer *layer);
/* Makes inner one of layer's own. */
soma_status layer_adopt(soma_layer *layer, soma_layer *inner);
soma_status layer_set_name(soma_layer *layer, const char *name);
/* Whether a weight is trained, and whether all of a layer and of the layers within it are. */
bool layer_trains(const soma_layer *layer, int i);
void layer_set_frozen(soma_layer *layer, bool frozen);
/* "Dense" -> "dense", "MaxPooling2D" -> "max_pooling2d"; freed with text_free. */
char *layer_snake_name(soma_context *context, const char *class_name);
/* Destroys the layers among options that no layer was made of. */
void layer_options_abandon(const soma_layer_class *kind, const void *options);
/* Options with a class' size, filled from JSON, made into a layer. */
soma_layer *layer_from_json_node(const field_names *names, const json_node *node);
soma_status layer_write_json(text *out, const field_names *names, const soma_layer *layer);

/* x in the layer's dtype. */
soma_tensor *layer_cast(const soma_layer *layer, soma_tensor *x);
/* x, integers made float in the layer's dtype. */
soma_tensor *layer_float(const soma_layer *layer, soma_tensor *x);

/* The numbers of weight i, in its dtype. */
soma_status layer_set_weight(soma_layer *layer, int i, const double *values);

/* x with a share of its elements zero while training, as Dropout does it. */
soma_tensor *layer_drop(soma_trace *trace, soma_tensor *x, double rate);

/* ---- traces ---- */

typedef struct trace_pair {
    soma_variable *variable;
    soma_tensor *tensor;
} trace_pair;

typedef struct trace_mask {
    const soma_tensor *tensor;
    soma_tensor *mask; /* NULL: every step counts */
} trace_mask;

/* What the layers of a model that is taken a step at a time remember of the steps before: variables, in the order in
 * which the walk through the layers asks for them. */
typedef struct trace_memory {
    soma_context *context;
    soma_variable *position; /* of the step, rank 0 int64 */
    int64_t length;          /* at most so many steps */
    soma_variable **variables;
    int n;
} trace_memory;

/* What a layer with a seed draws, call after call. */
typedef struct trace_stream {
    const soma_layer *layer;
    random_stream numbers;
    struct trace_stream *next;
} trace_stream;

/* One walk through layers that builds tensors in a graph. Its arrays live in the graph's arena. */
struct soma_trace {
    soma_graph *graph;
    bool training;
    bool shapes_only;         /* weights are placeholders: layers may not have variables yet */
    soma_variable *step_from; /* counts training steps; NULL: no step */
    soma_tensor *step;
    trace_pair *reads, *updates;
    int n_reads, n_updates;
    trace_mask *masks;
    int n_masks;
    const soma_layer *watched; /* what it is called on first is to be seen; NULL: of none */
    soma_tensor *seen;
    struct trace_stream *streams; /* of layers with a seed, the last one first */
    soma_tensor *losses;          /* sum of the penalties; NULL: none */
    struct trace_memory *memory;  /* a step at a time; NULL: whole sequences */
    const soma_layer *more_of;    /* whose results beside the first are in more; NULL: nobody's */
    soma_tensor *const *more;
    int n_more;
    bool failed;
};

/* Builds the weights' list if need be and calls; NULL after an error. The batch axis must come out as it went in. What
 * there is beside the result is in trace->more until the next call. */
soma_tensor *layer_call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n);
/* A step at a time: which step this is, rank 0 int64; a new memory of zeros as it was before the step, in *variable the
 * place for what it shall be after it. */
soma_tensor *trace_position(soma_trace *trace);
soma_tensor *trace_recall(soma_trace *trace, soma_dtype dtype, int rank, const int64_t *shape,
                          soma_variable **variable);
void trace_remember(soma_trace *trace, soma_variable *variable, soma_tensor *value);
/* A step of y, which was made of all inputs, counts where one of any input does: no mask unless all have one. */
void trace_merge_masks(soma_trace *trace, soma_tensor *const *inputs, int n, soma_tensor *y);
/* A mask with axes of one behind its own, as it broadcasts to an array of this rank; NULL for none. */
soma_tensor *mask_widen(soma_tensor *mask, int rank);
/* y, which is 0 at the steps that a mask takes away; without a mask as it is. */
soma_tensor *mask_keep(soma_tensor *mask, soma_tensor *y);
/* As soma_trace_update, but whether training or not. */
void trace_carry(soma_trace *trace, soma_layer *layer, int i, soma_tensor *value);
/* Adds the weights' penalties. */
void layer_add_penalties(soma_layer *layer, soma_trace *trace);
/* The value of a variable, read once a trace. */
soma_tensor *trace_read(soma_trace *trace, soma_variable *variable);

#endif
