/* Identity: hands its input on.
 * Rests on layer.h. For places where a network may have a layer or none, and for a name in the midst of a graph. */
#include <soma/layers.h>

#include "nn/layer.h"

static soma_tensor *call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)layer, (void)trace, (void)n;
    return inputs[0];
}

const soma_layer_class layer_identity = {.name = "Identity",
                                         .size = sizeof(soma_plain_layer_options),
                                         .min_inputs = 1,
                                         .max_inputs = 1,
                                         .call = call,
                                         .passes_mask = true};

soma_layer *soma_identity_layer_create(const soma_plain_layer_options *options) {
    return soma_layer_create(&layer_identity, options);
}
