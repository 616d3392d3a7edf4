/* The input layer: says the shape of a sample and hands it on.
 * Rests on layer.h. First in a sequential model, or behind every soma_symbol_create.
 * It has no weights, so it takes data of any dtype. */
#include "nn/layer.h"

static soma_tensor *call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)layer, (void)trace, (void)n;
    return inputs[0];
}

const soma_layer_class layer_input = {.name = "InputLayer",
                                      .size = sizeof(soma_input_layer_options),
                                      .min_inputs = 1,
                                      .max_inputs = 1,
                                      .call = call,
                                      .by_steps = true};

soma_layer *soma_input_layer_create(const soma_input_layer_options *options) {
    return soma_layer_create(&layer_input, options);
}
