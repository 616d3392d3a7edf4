/* Dropout: some elements become zero while training, the rest grow so that the mean stays.
 * Rests on the counting random op with the training step as its counter: the mask depends on neither threads nor
 * history, is recomputed in the backward pass instead of stored, and a resumed run draws the same ones. */
#include <stddef.h>

#include "nn/layer.h"

static const soma_field fields[] = {
    {.name = "rate", .kind = SOMA_FIELD_NUMBER, .offset = offsetof(soma_dropout_options, rate), .low = 0, .high = 1},
    {.name = NULL}};

soma_tensor *layer_drop(soma_trace *trace, soma_tensor *x, double rate) {
    if (!x || !soma_trace_training(trace) || rate == 0) return x;
    soma_graph *graph = soma_trace_graph(trace);
    soma_tensor *step = soma_trace_step(trace);
    if (!step) return NULL;
    soma_tensor *u = soma_random_uniform(graph, x->dtype, x->rank, x->shape, 0, 1, step);
    soma_tensor *keep = soma_greater_equal(u, soma_scalar(graph, x->dtype, rate));
    return soma_where(keep, soma_mul_scalar(x, 1 / (1 - rate)), soma_scalar(graph, x->dtype, 0));
}

static soma_tensor *call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_dropout_options *o = soma_layer_options(layer);
    RETURN_NULL_IF(layer->context, o->rate >= 1, SOMA_INVALID, "[Dropout] a rate of 1 would leave nothing");
    return layer_drop(trace, layer_float(layer, inputs[0]), o->rate);
}

const soma_layer_class layer_dropout = {.name = "Dropout",
                                        .size = sizeof(soma_dropout_options),
                                        .fields = fields,
                                        .min_inputs = 1,
                                        .max_inputs = 1,
                                        .call = call,
                                        .passes_mask = true};

soma_layer *soma_dropout_create(const soma_dropout_options *options) {
    return soma_layer_create(&layer_dropout, options);
}
