/* Global pooling: the average or the maximum of each channel over all places.
 * Rests on reductions, over the places with the channels last.
 * With a mask the average is over the steps that count; of none that count it is 0. */
#include <stddef.h>

#include <soma/layers.h>

#include "nn/places.h"

static const soma_field fields[] = {
    {.name = "keepdims", .kind = SOMA_FIELD_BOOL, .offset = offsetof(soma_global_pooling_options, keepdims)},
    PLACES_STRING_FIELD(soma_global_pooling_options, data_format),
    {.name = NULL}};

/* (batch, steps, channels), mask (batch, steps). */
static soma_tensor *masked_average(soma_tensor *x, soma_tensor *mask, bool keepdims) {
    soma_tensor *counts = soma_expand_dims(soma_cast(mask, x->dtype), -1);
    soma_tensor *n = soma_sum(counts, SOMA_AXES(1), keepdims);
    soma_tensor *sum = soma_sum(soma_mul(x, counts), SOMA_AXES(1), keepdims);
    return soma_div(sum, soma_maximum(n, soma_scalar(x->graph, x->dtype, 1)));
}

static soma_tensor *pool(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, bool largest) {
    const soma_global_pooling_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_float(layer, inputs[0]), *mask = soma_trace_mask(trace, inputs[0]);
    bool first;
    int places = places_of(layer);
    if (!x || places_format(layer, x, o->data_format, &first) != SOMA_OK) return NULL;
    x = places_last(x, first);
    const int axes[] = {1, 2, 3};
    soma_tensor *y = mask && !largest ? masked_average(x, mask, o->keepdims)
                     : largest        ? soma_max(x, places, axes, o->keepdims)
                                      : soma_mean(x, places, axes, o->keepdims);
    return places_first(y, first && o->keepdims);
}

static soma_tensor *average(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    return pool(layer, trace, inputs, false);
}

static soma_tensor *maximum(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    return pool(layer, trace, inputs, true);
}

#define POOLING(word, class_name, function)                                                                            \
    const soma_layer_class layer_##word = {.name = class_name,                                                         \
                                           .size = sizeof(soma_global_pooling_options),                                \
                                           .fields = fields,                                                           \
                                           .min_inputs = 1,                                                            \
                                           .max_inputs = 1,                                                            \
                                           .call = function};                                                          \
    soma_layer *soma_##word##_create(const soma_global_pooling_options *options) {                                     \
        return soma_layer_create(&layer_##word, options);                                                              \
    }
POOLING(global_average_pooling_1d, "GlobalAveragePooling1D", average)
POOLING(global_average_pooling_2d, "GlobalAveragePooling2D", average)
POOLING(global_average_pooling_3d, "GlobalAveragePooling3D", average)
POOLING(global_max_pooling_1d, "GlobalMaxPooling1D", maximum)
POOLING(global_max_pooling_2d, "GlobalMaxPooling2D", maximum)
POOLING(global_max_pooling_3d, "GlobalMaxPooling3D", maximum)
#undef POOLING
