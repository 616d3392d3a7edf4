/* The inside of a model: layers, the calls made of them, and the values between the calls.
 * Rests on layer.h. A sequential model and one made of symbols are the same here: a list of calls in running order.
 * Training hangs its own state on it, which the floor below does not know. */
#ifndef NN_MODEL_H
#define NN_MODEL_H

#include <stdatomic.h>

#include "nn/layer.h"

/* What goes between calls; rank and shape are of one sample, rank -1 while unknown. */
typedef struct model_value {
    int rank;
    int64_t shape[SOMA_MAX_RANK];
} model_value;

typedef struct model_call {
    int layer; /* index */
    int n_inputs;
    const int *inputs; /* indices of values; in the model's arena */
    int output;        /* the first of n_outputs */
    int n_outputs;
    int place; /* number of this call of its layer, for "dense[0][0]" */
} model_call;

struct soma_model {
    soma_context *context;
    arena arena; /* of the lists below */
    char *name;
    bool sequential, built;
    soma_layer **layers;
    int n_layers;
    model_call *calls;
    int n_calls;
    model_value *values;
    int n_values;
    int *inputs, *outputs; /* indices of values */
    int n_inputs, n_outputs;
    double pixel_scale, pixel_offset;
    bool raw_pixels;                          /* the first layer is a rescaling, or the user said so: uint8 as it is */
    int64_t optimizer_count, optimizer_bytes; /* elements of the optimizer's state, for the summary */
    atomic_int stop;                          /* MODEL_RUNS, or why it should not: one or both */
    void *training;
    void (*training_destroy)(soma_model *model, void *training);
};

enum { MODEL_RUNS = 0, MODEL_STOPS = 1, MODEL_INTERRUPTED = 2 };

/* An empty model with room for the given numbers; *_create functions fill it. */
soma_model *model_alloc(soma_context *context, int layers, int calls, int values);
/* What soma_sequential_create and soma_model_create do; without make the weights are described, not made. */
soma_model *model_sequential(soma_context *context, soma_layer *const *layers, int n, bool make);
soma_model *model_functional(soma_symbol *const *inputs, int n, soma_symbol *const *outputs, int m, bool make);
/* Names the layers, in order, and checks the names. */
soma_status model_name_layers(soma_model *model);
/* Describes weights and finds shapes, for a sequential model from the shape of a sample; makes no variables. */
soma_status model_describe(soma_model *model, int rank, const int64_t *sample_shape);
/* Makes the variables that are described but not there; initialize: with their first values, else zeros. */
soma_status model_make_variables(soma_model *model, bool initialize);

/* Calls all layers on inputs in the trace's graph. */
soma_status model_trace(soma_model *model, soma_trace *trace, soma_tensor *const *inputs, soma_tensor **outputs);

/* A model's functions of the user's that files cannot name are given names by custom. */
soma_model *model_from_json_node(const field_names *names, const json_node *root, bool make);
soma_status model_write_json(text *out, const field_names *names, const soma_model *model);

#endif
