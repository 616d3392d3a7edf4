/* Embedding and Masking: rows of a table for indices, and which steps count.
 * Rests on gather, whose gradient adds up the rows' gradients.
 * Indices come as integers, or as floats that are whole: data sets of floats are cast. */
#include <stddef.h>

#include <soma/layers.h>

#include "nn/layer.h"

#define FIELD(member) offsetof(soma_embedding_options, member)

static const soma_field embedding_fields[] = {
    {.name = "input_dim", .kind = SOMA_FIELD_INT, .offset = FIELD(input_dim), .low = 1, .high = 0x1p53},
    {.name = "output_dim", .kind = SOMA_FIELD_INT, .offset = FIELD(output_dim), .low = 1, .high = 0x1p53},
    {.name = "mask_zero", .kind = SOMA_FIELD_BOOL, .offset = FIELD(mask_zero)},
    {.name = "embeddings_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = FIELD(embeddings_initializer)},
    {.name = "embeddings_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = FIELD(embeddings_regularizer)},
    {.name = "embeddings_constraint", .kind = SOMA_FIELD_CONSTRAINT, .offset = FIELD(embeddings_constraint)},
    {.name = NULL}};

static soma_status build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)inputs, (void)n;
    const soma_embedding_options *o = soma_layer_options(layer);
    soma_weight_options table = {.name = "embeddings",
                                 .rank = 2,
                                 .shape = {o->input_dim, o->output_dim},
                                 .initializer = o->embeddings_initializer,
                                 .regularizer = o->embeddings_regularizer,
                                 .constraint = o->embeddings_constraint};
    if (!table.initializer.build) table.initializer = soma_uniform(-0.05, 0.05);
    return soma_layer_add_weight(layer, &table);
}

static soma_tensor *embed(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_embedding_options *o = soma_layer_options(layer);
    soma_tensor *x = inputs[0];
    if (!dtype_is_integer(x->dtype)) x = soma_cast(soma_stop_gradient(x), SOMA_I64);
    soma_tensor *y = soma_gather(soma_trace_weight(trace, layer, 0), x, 0);
    if (o->mask_zero && y && x->rank == 2)
        soma_trace_set_mask(trace, y, soma_not_equal(x, soma_scalar(x->graph, x->dtype, 0)));
    return y;
}

const soma_layer_class layer_embedding = {.name = "Embedding",
                                          .size = sizeof(soma_embedding_options),
                                          .fields = embedding_fields,
                                          .min_inputs = 1,
                                          .max_inputs = 1,
                                          .build = build,
                                          .call = embed,
                                          .by_steps = true};

soma_layer *soma_embedding_create(const soma_embedding_options *options) {
    return soma_layer_create(&layer_embedding, options);
}

/* ---- Masking ---- */

static const soma_field masking_fields[] = {
    {.name = "mask_value", .kind = SOMA_FIELD_NUMBER, .offset = offsetof(soma_masking_options, mask_value)},
    {.name = NULL}};

static soma_tensor *mask_steps(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_masking_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_float(layer, inputs[0]);
    RETURN_NULL_IF(layer->context, x && x->rank != 3, SOMA_SHAPE, "[Masking] it takes (steps, features) a sample");
    if (!x) return NULL;
    soma_tensor *differs = soma_not_equal(x, soma_scalar(x->graph, x->dtype, o->mask_value));
    soma_tensor *counts = soma_max(soma_cast(differs, x->dtype), SOMA_AXES(-1), true);
    soma_tensor *y = soma_mul(x, soma_stop_gradient(counts));
    soma_tensor *zero = soma_scalar(x->graph, x->dtype, 0);
    soma_trace_set_mask(trace, y, soma_not_equal(soma_squeeze(counts, -1), zero));
    return y;
}

const soma_layer_class layer_masking = {.name = "Masking",
                                        .size = sizeof(soma_masking_options),
                                        .fields = masking_fields,
                                        .min_inputs = 1,
                                        .max_inputs = 1,
                                        .call = mask_steps};

soma_layer *soma_masking_create(const soma_masking_options *options) {
    return soma_layer_create(&layer_masking, options);
}
