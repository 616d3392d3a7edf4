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
} layer_weight;

struct soma_layer {
    soma_context *context;
    const soma_layer_class *kind;
    layer_options *options; /* the whole struct, kind->size bytes */
    char *name;             /* NULL until the user or a model gives one */
    int references;         /* models that have it */
    bool built;
    layer_weight *weights;
    int n_weights;
    soma_symbol **symbols;
    int n_symbols;
    soma_layer *owner;  /* whose option this layer is, and in whose list its weights are; NULL: none */
    int first, n_inner; /* there: its first weight, and how many are its */
    const char *prefix; /* of their names */
};

struct soma_symbol {
    soma_layer *layer;
    int call; /* number of the call of its layer */
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
void layer_release(soma_layer *layer);
/* Makes inner one of layer's own. */
soma_status layer_adopt(soma_layer *layer, soma_layer *inner);
soma_status layer_set_name(soma_layer *layer, const char *name);
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
    soma_tensor *losses; /* sum of the penalties; NULL: none */
    bool failed;
};

/* Builds the weights' list if need be and calls; NULL after an error. The batch axis must come out as it went in. */
soma_tensor *layer_call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n);
/* Adds the weights' penalties. */
void layer_add_penalties(soma_layer *layer, soma_trace *trace);
/* The value of a variable, read once a trace. */
soma_tensor *trace_read(soma_trace *trace, soma_variable *variable);

#endif
