/* Global pooling: the average or the maximum of each channel over all places.
 * Rests on reductions. Channels come last.
 * With a mask the average is over the steps that count; of none that count it is 0. */
#include <stddef.h>

#include <soma/layers.h>

#include "nn/layer.h"

static const soma_field fields[] = {
    {.name = "keepdims", .kind = SOMA_FIELD_BOOL, .offset = offsetof(soma_global_pooling_options, keepdims)},
    {.name = NULL}};

/* (batch, steps, channels), mask (batch, steps). */
static soma_tensor *masked_average(soma_tensor *x, soma_tensor *mask, bool keepdims) {
    soma_tensor *counts = soma_expand_dims(soma_cast(mask, x->dtype), -1);
    soma_tensor *n = soma_sum(counts, SOMA_AXES(1), keepdims);
    soma_tensor *sum = soma_sum(soma_mul(x, counts), SOMA_AXES(1), keepdims);
    return soma_div(sum, soma_maximum(n, soma_scalar(x->graph, x->dtype, 1)));
}

static soma_tensor *pool(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int places, bool maximum) {
    const soma_global_pooling_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_float(layer, inputs[0]), *mask = soma_trace_mask(trace, inputs[0]);
    RETURN_NULL_IF(layer->context, x && x->rank != places + 2, SOMA_SHAPE, "[%s] a sample of rank %d is given, not %d",
                   layer->kind->name, x->rank - 1, places + 1);
    if (!x) return NULL;
    if (mask && !maximum) return masked_average(x, mask, o->keepdims);
    const int axes[] = {1, 2, 3};
    return maximum ? soma_max(x, places, axes, o->keepdims) : soma_mean(x, places, axes, o->keepdims);
}

#define POOLING(word, class_name, places, maximum)                                                                     \
    static soma_tensor *word(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {                \
        (void)n;                                                                                                       \
        return pool(layer, trace, inputs, places, maximum);                                                            \
    }                                                                                                                  \
    const soma_layer_class layer_##word = {.name = class_name,                                                         \
                                           .size = sizeof(soma_global_pooling_options),                                \
                                           .fields = fields,                                                           \
                                           .min_inputs = 1,                                                            \
                                           .max_inputs = 1,                                                            \
                                           .call = word};                                                              \
    soma_layer *soma_##word##_create(const soma_global_pooling_options *options) {                                     \
        return soma_layer_create(&layer_##word, options);                                                              \
    }
POOLING(global_average_pooling_1d, "GlobalAveragePooling1D", 1, false)
POOLING(global_average_pooling_2d, "GlobalAveragePooling2D", 2, false)
POOLING(global_average_pooling_3d, "GlobalAveragePooling3D", 3, false)
POOLING(global_max_pooling_1d, "GlobalMaxPooling1D", 1, true)
POOLING(global_max_pooling_2d, "GlobalMaxPooling2D", 2, true)
POOLING(global_max_pooling_3d, "GlobalMaxPooling3D", 3, true)
#undef POOLING
