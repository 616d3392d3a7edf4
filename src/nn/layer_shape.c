/* Flatten and Reshape: each sample in another shape.
 * Rests on reshape, which is a view and costs nothing.
 * The batch axis is copied from the input, so that a trace for any batch size comes out right. */
#include <stddef.h>
#include <string.h>

#include "nn/places.h"

static soma_tensor *flatten(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    const soma_flatten_options *o = soma_layer_options(layer);
    const soma_tensor *x = inputs[0];
    bool first;
    if (places_order(layer, o->data_format, &first) != SOMA_OK) return NULL;
    int64_t features = shape_size(x->rank - 1, x->shape + 1);
    return soma_reshape(places_last(inputs[0], first && x->rank > 2), SOMA_DIMS(x->shape[0], features));
}

static const soma_field flatten_fields[] = {PLACES_STRING_FIELD(soma_flatten_options, data_format), {.name = NULL}};

const soma_layer_class layer_flatten = {.name = "Flatten",
                                        .size = sizeof(soma_flatten_options),
                                        .fields = flatten_fields,
                                        .min_inputs = 1,
                                        .max_inputs = 1,
                                        .call = flatten};

soma_layer *soma_flatten_create(const soma_flatten_options *options) {
    return soma_layer_create(&layer_flatten, options);
}

static const soma_field reshape_fields[] = {
    {.name = "target_shape", .kind = SOMA_FIELD_SHAPE, .offset = offsetof(soma_reshape_layer_options, target_shape)},
    {.name = NULL}};

static soma_tensor *reshape(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    const soma_reshape_layer_options *o = soma_layer_options(layer);
    int64_t shape[SOMA_MAX_RANK] = {inputs[0]->shape[0]};
    int rank = 1;
    while (rank < SOMA_MAX_RANK && o->target_shape[rank - 1] != 0) {
        shape[rank] = o->target_shape[rank - 1];
        rank++;
    }
    RETURN_NULL_IF(layer->context, rank == 1, SOMA_SHAPE, "[Reshape] no target_shape given");
    const int64_t given = shape_size(inputs[0]->rank - 1, inputs[0]->shape + 1);
    const int64_t wanted = shape_size(rank - 1, shape + 1); /* negative with a -1: soma_reshape judges it */
    char sample[SHAPE_TEXT], target[SHAPE_TEXT];
    RETURN_NULL_IF(layer->context, wanted >= 0 && wanted != given, SOMA_SHAPE,
                   "[Reshape] a sample %s has %lld elements, target_shape %s has %lld",
                   shape_text(sample, inputs[0]->rank - 1, inputs[0]->shape + 1), (long long)given,
                   shape_text(target, rank - 1, shape + 1), (long long)wanted);
    return soma_reshape(inputs[0], rank, shape);
}

const soma_layer_class layer_reshape = {.name = "Reshape",
                                        .size = sizeof(soma_reshape_layer_options),
                                        .fields = reshape_fields,
                                        .min_inputs = 1,
                                        .max_inputs = 1,
                                        .call = reshape};

soma_layer *soma_reshape_layer_create(const soma_reshape_layer_options *options) {
    return soma_layer_create(&layer_reshape, options);
}
