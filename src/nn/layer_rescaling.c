/* Rescaling: x scale + offset, in float.
 * Rests on cast, mul and add, which fuse into the packing of the next product, so pixels stay bytes in memory.
 * As a layer it is saved with the model and applies at prediction too. */
#include <stddef.h>

#include "nn/layer.h"

static const soma_field fields[] = {
    {.name = "scale", .kind = SOMA_FIELD_NUMBER, .offset = offsetof(soma_rescaling_options, scale), .standard = 1},
    {.name = "offset", .kind = SOMA_FIELD_NUMBER, .offset = offsetof(soma_rescaling_options, offset)},
    {.name = NULL}};

static soma_tensor *call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    const soma_rescaling_options *o = soma_layer_options(layer);
    soma_tensor *x = soma_mul_scalar(layer_float(layer, inputs[0]), o->scale);
    return o->offset == 0 ? x : soma_add_scalar(x, o->offset);
}

const soma_layer_class layer_rescaling = {.name = "Rescaling",
                                          .size = sizeof(soma_rescaling_options),
                                          .fields = fields,
                                          .min_inputs = 1,
                                          .max_inputs = 1,
                                          .call = call,
                                          .passes_mask = true};

soma_layer *soma_rescaling_create(const soma_rescaling_options *options) {
    return soma_layer_create(&layer_rescaling, options);
}
