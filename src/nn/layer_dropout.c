/* Dropout: some elements become zero while training, the rest grow so that the mean stays.
 * Rests on the counting random op with the training step as its counter: the mask depends on neither threads nor
 * history, is recomputed in the backward pass instead of stored, and a resumed run draws the same ones. */
#include <stddef.h>
#include <string.h>

#include "nn/layer.h"

static const soma_field fields[] = {
    {.name = "rate", .kind = SOMA_FIELD_NUMBER, .offset = offsetof(soma_dropout_options, rate), .low = 0, .high = 1},
    {.name = "noise_shape", .kind = SOMA_FIELD_SHAPE, .offset = offsetof(soma_dropout_options, noise_shape)},
    {.name = NULL}};

/* A draw for each element of a shape that broadcasts to x's. */
static soma_tensor *drop(soma_trace *trace, soma_tensor *x, double rate, const int64_t *shape) {
    if (!x || !soma_trace_training(trace) || rate == 0) return x;
    soma_graph *graph = soma_trace_graph(trace);
    soma_tensor *step = soma_trace_step(trace);
    if (!step) return NULL;
    soma_tensor *u = soma_random_uniform(graph, x->dtype, x->rank, shape, 0, 1, step);
    soma_tensor *keep = soma_greater_equal(u, soma_scalar(graph, x->dtype, rate));
    return soma_where(keep, soma_mul_scalar(x, 1 / (1 - rate)), soma_scalar(graph, x->dtype, 0));
}

soma_tensor *layer_drop(soma_trace *trace, soma_tensor *x, double rate) {
    return x ? drop(trace, x, rate, x->shape) : NULL;
}

/* The option noise_shape with x's extents where it has none of its own; false after an error. */
static bool noise_shape(const soma_layer *layer, const soma_tensor *x, int64_t *shape) {
    const soma_dropout_options *o = soma_layer_options(layer);
    int n = 0;
    bool fits = true;
    for (; n < SOMA_MAX_RANK && o->noise_shape[n] != 0; n++) {
        const int64_t extent = n < x->rank ? x->shape[n] : 1;
        shape[n] = o->noise_shape[n] == 1 ? 1 : extent;
        fits = fits && (o->noise_shape[n] == -1 || o->noise_shape[n] == shape[n]);
    }
    if (n == 0) memcpy(shape, x->shape, (size_t)x->rank * sizeof *shape);
    if (fits && (n == 0 || n == x->rank)) return true;
    char given[SHAPE_TEXT];
    (void)error_set(layer->context, SOMA_SHAPE,
                    "[Dropout] noise_shape must have -1, 1 or x's extent for each axis of x %s, the batch among them",
                    tensor_shape_text(given, x));
    return false;
}

static soma_tensor *call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_dropout_options *o = soma_layer_options(layer);
    RETURN_NULL_IF(layer->context, o->rate >= 1, SOMA_INVALID, "[Dropout] a rate of 1 would leave nothing");
    soma_tensor *x = layer_float(layer, inputs[0]);
    int64_t shape[SOMA_MAX_RANK];
    return x && noise_shape(layer, x, shape) ? drop(trace, x, o->rate, shape) : NULL;
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
