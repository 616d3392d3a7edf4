/* Activation: a function of tensors as a layer.
 * Rests on activations.c, or on any function of the user's.
 * Useful after layers that take no activation, and in files. */
#include <stddef.h>

#include "nn/layer.h"

static const soma_field fields[] = {
    {.name = "activation", .kind = SOMA_FIELD_ACTIVATION, .offset = offsetof(soma_activation_options, activation)},
    {.name = NULL}};

static soma_tensor *call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    const soma_activation_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_float(layer, inputs[0]);
    return o->activation && x ? o->activation(x) : x;
}

const soma_layer_class layer_activation = {.name = "Activation",
                                           .size = sizeof(soma_activation_options),
                                           .fields = fields,
                                           .min_inputs = 1,
                                           .max_inputs = 1,
                                           .call = call,
                                           .passes_mask = true};

soma_layer *soma_activation_create(const soma_activation_options *options) {
    return soma_layer_create(&layer_activation, options);
}
