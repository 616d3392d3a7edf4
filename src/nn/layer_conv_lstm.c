/* ConvLSTM1D, ConvLSTM2D, ConvLSTM3D: LSTM whose products are convolutions.
 * Rests on recurrent.h for the walk and places.h for the windows. The inputs' convolution is one for all steps; each
 * step has a small one of the state, padded so that places stay. */
#include <stddef.h>
#include <string.h>

#include "nn/places.h"
#include "nn/recurrent.h"

#define CONV_LSTM soma_conv_lstm_options
enum { STATES = 2 };

static const soma_field fields[] = {
    {.name = "filters", .kind = SOMA_FIELD_INT, .offset = offsetof(CONV_LSTM, filters), .low = 1, .high = 0x1p31},
    PLACES_LIST_FIELD(CONV_LSTM, kernel_size),
    PLACES_LIST_FIELD(CONV_LSTM, strides),
    PLACES_STRING_FIELD(CONV_LSTM, padding),
    PLACES_STRING_FIELD(CONV_LSTM, data_format),
    PLACES_LIST_FIELD(CONV_LSTM, dilation_rate),
    STEPS_FIELDS(CONV_LSTM),
    GATE_FIELDS(CONV_LSTM),
    {.name = "recurrent_activation",
     .kind = SOMA_FIELD_ACTIVATION,
     .offset = offsetof(CONV_LSTM, recurrent_activation)},
    {.name = "unit_forget_bias", .kind = SOMA_FIELD_NOT, .offset = offsetof(CONV_LSTM, no_unit_forget_bias)},
    {.name = NULL}};

/* A layer's windows, over an input of places... without batch and steps. */
typedef struct windows {
    int places;
    int64_t size[MOST_PLACES];
    soma_window_options input, state;
} windows;

static soma_status windows_of(const soma_layer *layer, const soma_tensor *x, windows *w) {
    const CONV_LSTM *o = soma_layer_options(layer);
    *w = (windows){.places = places_of(layer)};
    RETURN_IF(layer->context, x->rank != w->places + 3 || x->shape[1] < 1, SOMA_SHAPE,
              "[%s] a sample must be (steps, %d axes of places, channels) with a step at least", layer->kind->name,
              w->places);
    TRY(places_list(layer, "kernel_size", o->kernel_size, w->places, 0, w->size));
    TRY(places_list(layer, "strides", o->strides, w->places, 1, w->input.strides));
    return places_list(layer, "dilation_rate", o->dilation_rate, w->places, 1, w->input.dilation);
}

static soma_tensor *walk(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n);

/* The weights, and the states of stateful layers; x with the channels last. */
static soma_status build_for(soma_layer *layer, soma_tensor *x) {
    const CONV_LSTM *o = soma_layer_options(layer);
    windows w;
    TRY(windows_of(layer, x, &w));
    soma_weight_options kernel = {.name = "kernel",
                                  .rank = w.places + 2,
                                  .initializer = o->kernel_initializer,
                                  .regularizer = o->kernel_regularizer,
                                  .constraint = o->kernel_constraint};
    memcpy(kernel.shape, w.size, (size_t)w.places * sizeof *w.size);
    kernel.shape[w.places] = soma_dim(x, -1);
    kernel.shape[w.places + 1] = 4 * o->filters;
    if (!kernel.initializer.build) kernel.initializer = soma_glorot_uniform();
    TRY(soma_layer_add_weight(layer, &kernel));
    kernel.name = "recurrent_kernel";
    kernel.shape[w.places] = o->filters;
    kernel.initializer = o->recurrent_initializer;
    kernel.regularizer = o->recurrent_regularizer;
    kernel.constraint = o->recurrent_constraint;
    if (!kernel.initializer.build) kernel.initializer = soma_orthogonal(1);
    TRY(soma_layer_add_weight(layer, &kernel));
    soma_weight_options bias = {.name = "bias",
                                .rank = 1,
                                .shape = {4 * o->filters},
                                .initializer = o->bias_initializer,
                                .regularizer = o->bias_regularizer,
                                .constraint = o->bias_constraint};
    if (!bias.initializer.build && !o->no_unit_forget_bias) bias.initializer.build = recurrent_forget_bias;
    if (!o->no_bias) TRY(soma_layer_add_weight(layer, &bias));
    if (!o->stateful) return SOMA_OK;
    soma_trace trace = {.graph = x->graph, .shapes_only = true}; /* how many places do the states have? */
    const soma_tensor *y = walk(layer, &trace, &x, 1);
    if (!y) return SOMA_SHAPE;
    int axis = o->return_sequences ? 2 : 1;
    for (int i = 0; i < 2; i++)
        TRY(recurrent_add_state(layer, i, w.places + 1, y->shape + axis));
    return SOMA_OK;
}

/* What a walk's steps are made of. */
typedef struct conv_walk {
    windows windows;
    soma_tensor *all; /* (steps, batch, places..., gates filters) */
    soma_tensor *kernel, *dropped;
} conv_walk;

static soma_tensor *advance(recurrent_walk *w, int64_t t) {
    const CONV_LSTM *o = soma_layer_options(w->layer);
    conv_walk *c = w->user;
    soma_tensor *a = soma_squeeze(soma_slice_axis(c->all, 0, t, t + 1, 1), 0), *h = w->states[0];
    if (h && c->dropped) h = soma_mul(h, c->dropped);
    if (h) a = soma_add(a, soma_conv(h, c->kernel, &c->windows.state));
    w->states[0] = recurrent_lstm(a, o->filters, o->activation, o->recurrent_activation, &w->states[1]);
    return w->states[0];
}

/* Padding that keeps the places of the states, in windows of strides and distances of 1. */
static soma_status pad_state(const soma_layer *layer, const soma_tensor *like, windows *w) {
    const window_layer_options same = {.padding = "same"};
    for (int i = 0; i < w->places; i++)
        w->state.strides[i] = w->state.dilation[i] = 1;
    return places_padding(layer, like, &same, w->size, &w->state);
}

/* The convolution of all steps: x (batch, steps, places..., channels) -> (steps, batch, places'..., gates filters). */
static soma_tensor *convolve(soma_layer *layer, soma_trace *trace, soma_tensor *x, conv_walk *c) {
    const CONV_LSTM *o = soma_layer_options(layer);
    const window_layer_options padding = {.padding = o->padding};
    int64_t shape[SOMA_MAX_RANK], steps = x->shape[1], batch = x->shape[0];
    x = soma_transpose(x, (const int[]){1, 0, 2, 3, 4, 5, 6, 7});
    if (!x) return NULL;
    shape[0] = steps * batch;
    memcpy(shape + 1, x->shape + 2, (size_t)(x->rank - 2) * sizeof *shape);
    x = soma_reshape(x, x->rank - 1, shape);
    if (!x || places_padding(layer, x, &padding, c->windows.size, &c->windows.input) != SOMA_OK) return NULL;
    soma_tensor *y = soma_conv(x, soma_trace_weight(trace, layer, 0), &c->windows.input);
    if (!o->no_bias) y = soma_add(y, soma_trace_weight(trace, layer, 2));
    if (!y || pad_state(layer, y, &c->windows) != SOMA_OK) return NULL;
    shape[0] = steps;
    shape[1] = batch;
    memcpy(shape + 2, y->shape + 1, (size_t)(y->rank - 1) * sizeof *shape);
    return soma_reshape(y, y->rank + 1, shape);
}

/* With the channels last. */
static soma_tensor *walk(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    const CONV_LSTM *o = soma_layer_options(layer);
    soma_tensor *x = layer_cast(layer, inputs[0]);
    conv_walk c = {.kernel = soma_trace_weight(trace, layer, 1)};
    if (!x || windows_of(layer, x, &c.windows) != SOMA_OK) return NULL;
    recurrent_walk w = {.layer = layer,
                        .trace = trace,
                        .mask = soma_trace_mask(trace, inputs[0]),
                        .batch = x->shape[0],
                        .steps = x->shape[1],
                        .n_states = STATES,
                        .advance = advance,
                        .user = &c};
    int64_t shape[SOMA_MAX_RANK];
    memcpy(shape, x->shape, sizeof shape);
    shape[1] = 1; /* one draw for all steps */
    soma_tensor *drop = recurrent_draw(trace, x->dtype, x->rank, shape, o->dropout);
    c.all = convolve(layer, trace, drop ? soma_mul(x, drop) : x, &c);
    if (!c.all) return NULL;
    shape[1] = w.batch;
    memcpy(shape + 2, c.all->shape + 2, (size_t)c.windows.places * sizeof *shape);
    shape[c.windows.places + 2] = o->filters;
    const int64_t *state = shape + 2;
    int rank = c.windows.places + 1, first = o->no_bias ? 2 : 3;
    c.dropped = recurrent_draw(trace, x->dtype, rank + 1, state - 1, o->recurrent_dropout);
    if (!recurrent_check(&w, inputs, n, rank, state) || !recurrent_begin(&w, inputs, n, first)) return NULL;
    for (int i = 0; trace->memory && n == 1 && i < 2; i++)
        if (!recurrent_recall(&w, i, x->dtype, rank, state)) return NULL;
    return recurrent_run(&w, first);
}

/* ---- channels in either place ---- */

/* x (batch, steps, channels, places...) with the channels last, if they are not; NULL after an error. */
static soma_tensor *turned(const soma_layer *layer, soma_tensor *x, bool *first) {
    const CONV_LSTM *o = soma_layer_options(layer);
    if (places_order(layer, o->data_format, first) != SOMA_OK) return NULL;
    return *first && x->rank > 2 ? places_last_from(x, 2) : x;
}

static soma_status build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    bool first;
    soma_tensor *x = turned(layer, inputs[0], &first);
    return x ? build_for(layer, x) : SOMA_INVALID;
}

/* The results of a walk with the channels first. */
static soma_tensor *turn_back(soma_layer *layer, soma_trace *trace, soma_tensor *y) {
    const CONV_LSTM *o = soma_layer_options(layer);
    soma_tensor *const *states, *result = places_first_to(y, o->return_sequences ? 2 : 1);
    int n = o->return_state && result ? soma_trace_outputs(trace, &states) : 0;
    if (!n) return result;
    soma_tensor **back = arena_alloc(&trace->graph->arena, (size_t)n * sizeof *back);
    if (!back) return NULL;
    for (int i = 0; i < n; i++)
        back[i] = places_first_to(states[i], 1);
    soma_trace_set_outputs(trace, layer, back, n);
    return result;
}

static soma_tensor *call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    bool first;
    soma_tensor *given[1 + STATES] = {turned(layer, inputs[0], &first)};
    if (!given[0]) return NULL;
    if (!first) return walk(layer, trace, inputs, n);
    if (soma_trace_mask(trace, inputs[0])) soma_trace_set_mask(trace, given[0], soma_trace_mask(trace, inputs[0]));
    for (int i = 1; i < n; i++) {
        given[i] = places_last_from(inputs[i], 1);
        if (!given[i]) return NULL;
    }
    soma_tensor *y = walk(layer, trace, given, n), *result = y ? turn_back(layer, trace, y) : NULL;
    if (result && soma_trace_mask(trace, y)) soma_trace_set_mask(trace, result, soma_trace_mask(trace, y));
    return result;
}

#define CONV_LSTM_LAYER(word, class_name)                                                                              \
    const soma_layer_class layer_##word = {.name = class_name,                                                         \
                                           .size = sizeof(CONV_LSTM),                                                  \
                                           .fields = fields,                                                           \
                                           .min_inputs = 1,                                                            \
                                           .max_inputs = 3,                                                            \
                                           .build = build,                                                             \
                                           .call = call,                                                               \
                                           .by_steps = true};                                                          \
    soma_layer *soma_##word##_create(const CONV_LSTM *options) {                                                       \
        return soma_layer_create(&layer_##word, options);                                                              \
    }
CONV_LSTM_LAYER(conv_lstm_1d, "ConvLSTM1D")
CONV_LSTM_LAYER(conv_lstm_2d, "ConvLSTM2D")
CONV_LSTM_LAYER(conv_lstm_3d, "ConvLSTM3D")
