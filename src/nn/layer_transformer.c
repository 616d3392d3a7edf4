/* Positions and transformer blocks: PositionalEncoding, PositionEmbedding, TransformerEncoder, TransformerDecoder.
 * Rests on the layers for attention, normalization and dense, which a block owns as options and makes when not given.
 * So a block has no formula of its own but the order of its parts. */
#include <math.h>
#include <stddef.h>

#include <soma/layers.h>

#include "nn/layer.h"

/* ---- positions ---- */

static const soma_field encoding_fields[] = {{.name = "max_wavelength",
                                              .kind = SOMA_FIELD_NUMBER,
                                              .offset = offsetof(soma_positional_encoding_options, max_wavelength),
                                              .standard = 10000,
                                              .low = 1,
                                              .high = 1e300},
                                             {.name = NULL}};

/* Which steps x (batch, steps, ...) has: (steps). */
static soma_tensor *places(soma_trace *trace, const soma_tensor *x) {
    if (trace->memory) return soma_expand_dims(trace_position(trace), 0);
    return soma_arange(x->graph, SOMA_I64, 0, (double)x->shape[1], 1);
}

/* (steps, d), in double: constants, so they are computed once. */
static soma_tensor *waves(soma_tensor *steps, int64_t d, double longest) {
    soma_tensor *t = soma_expand_dims(soma_cast(steps, SOMA_F64), 1);
    if (!t) return NULL;
    soma_graph *graph = t->graph;
    soma_tensor *i = soma_arange(graph, SOMA_F64, 0, (double)d, 1);
    soma_tensor *pair = soma_floor(soma_mul_scalar(i, 0.5));
    soma_tensor *rate = soma_exp(soma_mul_scalar(pair, -2 * log(longest) / (double)d));
    soma_tensor *angle = soma_mul(t, rate);
    soma_tensor *even = soma_equal(soma_mul_scalar(pair, 2), i);
    return soma_where(even, soma_sin(angle), soma_cos(angle));
}

static soma_tensor *encode(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_positional_encoding_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_float(layer, inputs[0]);
    RETURN_NULL_IF(layer->context, x && x->rank != 3, SOMA_SHAPE, "[PositionalEncoding] a sample must be (steps, d)");
    return x ? soma_add(x, soma_cast(waves(places(trace, x), x->shape[2], o->max_wavelength), x->dtype)) : NULL;
}

const soma_layer_class layer_positional_encoding = {.name = "PositionalEncoding",
                                                    .size = sizeof(soma_positional_encoding_options),
                                                    .fields = encoding_fields,
                                                    .min_inputs = 1,
                                                    .max_inputs = 1,
                                                    .call = encode,
                                                    .passes_mask = true};

soma_layer *soma_positional_encoding_create(const soma_positional_encoding_options *options) {
    return soma_layer_create(&layer_positional_encoding, options);
}

static const soma_field embedding_fields[] = {
    {.name = "sequence_length",
     .kind = SOMA_FIELD_INT,
     .offset = offsetof(soma_position_embedding_options, sequence_length),
     .low = 1,
     .high = 0x1p53},
    {.name = "embeddings_initializer",
     .kind = SOMA_FIELD_INITIALIZER,
     .offset = offsetof(soma_position_embedding_options, embeddings_initializer)},
    {.name = NULL}};

static soma_status embedding_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_position_embedding_options *o = soma_layer_options(layer);
    soma_weight_options table = {.name = "embeddings",
                                 .rank = 2,
                                 .shape = {o->sequence_length, soma_dim(inputs[0], -1)},
                                 .initializer = o->embeddings_initializer};
    if (!table.initializer.build) table.initializer = soma_glorot_uniform();
    return soma_layer_add_weight(layer, &table);
}

static soma_tensor *embed(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_position_embedding_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_cast(layer, inputs[0]);
    int64_t steps = trace->memory ? trace->memory->length : x && x->rank == 3 ? x->shape[1] : 0;
    RETURN_NULL_IF(layer->context, x && (x->rank != 3 || steps > o->sequence_length), SOMA_SHAPE,
                   "[PositionEmbedding] a sample must be (steps, d) with at most %lld steps",
                   (long long)o->sequence_length);
    soma_tensor *table = soma_trace_weight(trace, layer, 0);
    if (!x || !table) return NULL;
    return soma_add(x, trace->memory ? soma_gather(table, places(trace, x), 0)
                                     : soma_slice_axis(table, 0, 0, x->shape[1], 1));
}

const soma_layer_class layer_position_embedding = {.name = "PositionEmbedding",
                                                   .size = sizeof(soma_position_embedding_options),
                                                   .fields = embedding_fields,
                                                   .min_inputs = 1,
                                                   .max_inputs = 1,
                                                   .build = embedding_build,
                                                   .call = embed,
                                                   .passes_mask = true};

soma_layer *soma_position_embedding_create(const soma_position_embedding_options *options) {
    return soma_layer_create(&layer_position_embedding, options);
}

/* ---- blocks ---- */

#define FIELD(member) offsetof(soma_transformer_options, member)
#define PART(member)                                                                                                   \
    { .name = #member, .kind = SOMA_FIELD_LAYER, .offset = FIELD(member) }

static const soma_field block_fields[] = {
    {.name = "intermediate_dim", .kind = SOMA_FIELD_INT, .offset = FIELD(intermediate_dim), .low = 1, .high = 0x1p31},
    {.name = "num_heads", .kind = SOMA_FIELD_INT, .offset = FIELD(num_heads), .low = 1, .high = 0x1p31},
    {.name = "dropout", .kind = SOMA_FIELD_NUMBER, .offset = FIELD(dropout), .low = 0, .high = 0.999999},
    {.name = "activation", .kind = SOMA_FIELD_ACTIVATION, .offset = FIELD(activation)},
    {.name = "epsilon", .kind = SOMA_FIELD_NUMBER, .offset = FIELD(epsilon), .standard = 1e-5, .low = 0, .high = 1e300},
    {.name = "normalize_first", .kind = SOMA_FIELD_BOOL, .offset = FIELD(normalize_first)},
    {.name = "causal", .kind = SOMA_FIELD_BOOL, .offset = FIELD(causal)},
    PART(attention),
    PART(attention_norm),
    PART(cross_attention),
    PART(cross_norm),
    PART(dense),
    PART(dense_out),
    PART(dense_norm),
    {.name = NULL}};

/* Takes a part over unless the user gave one, and makes its weights. */
static soma_status make_part(soma_layer *layer, soma_layer **part, soma_layer *made, const char *prefix,
                             soma_tensor *const *inputs, int n) {
    if (!made) return SOMA_NO_MEMORY;
    if (*part) {
        soma_layer_destroy(made);
    } else {
        soma_status status = layer_adopt(layer, made);
        if (status != SOMA_OK) {
            soma_layer_destroy(made);
            return status;
        }
        *part = made;
    }
    return soma_layer_build_inner(layer, *part, prefix, inputs, n);
}

static soma_status build(soma_layer *layer, soma_tensor *const *inputs, bool decodes, int n) {
    soma_transformer_options *o = (soma_transformer_options *)(void *)layer->options;
    soma_context *c = layer->context;
    int64_t d = soma_dim(inputs[0], -1), dim = o->num_heads > 0 ? d / o->num_heads : 0;
    RETURN_IF(c, inputs[0]->rank != 3 || dim < 1, SOMA_SHAPE, "[%s] a sample must be (steps, d), d at least num_heads",
              layer->kind->name);
    const int64_t wide[] = {inputs[0]->shape[0], inputs[0]->shape[1], o->intermediate_dim};
    soma_tensor *hidden = soma_zeros(inputs[0]->graph, SOMA_F32, 3, wide); /* for its shape */
    if (!hidden) return SOMA_NO_MEMORY;
    soma_layer *attention = soma_multi_head_attention(o->num_heads, .key_dim = dim, .dropout = o->dropout,
                                                      .causal = decodes || o->causal, .context = c);
    TRY(make_part(layer, &o->attention, attention, "attention_", inputs, 1));
    soma_layer *norm = soma_layer_normalization(.epsilon = o->epsilon, .context = c);
    TRY(make_part(layer, &o->attention_norm, norm, "attention_norm_", inputs, 1));
    if (n > 1) {
        soma_layer *cross =
            soma_multi_head_attention(o->num_heads, .key_dim = dim, .dropout = o->dropout, .context = c);
        TRY(make_part(layer, &o->cross_attention, cross, "cross_", inputs, 2));
        norm = soma_layer_normalization(.epsilon = o->epsilon, .context = c);
        TRY(make_part(layer, &o->cross_norm, norm, "cross_norm_", inputs, 1));
    }
    soma_layer *dense =
        soma_dense(o->intermediate_dim, .activation = o->activation ? o->activation : soma_relu, .context = c);
    TRY(make_part(layer, &o->dense, dense, "dense_", inputs, 1));
    TRY(make_part(layer, &o->dense_out, soma_dense(d, .context = c), "dense_out_", &hidden, 1));
    norm = soma_layer_normalization(.epsilon = o->epsilon, .context = c);
    return make_part(layer, &o->dense_norm, norm, "dense_norm_", inputs, 1);
}

static soma_status encoder_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    return build(layer, inputs, false, n);
}
static soma_status decoder_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    return build(layer, inputs, true, n);
}

/* x and what one part of the block makes of it, around or behind the norm. other: what a second attention looks at. */
static soma_tensor *residual(soma_layer *layer, soma_trace *trace, soma_tensor *x, soma_tensor *other,
                             soma_layer *const *parts, int n_parts, soma_layer *norm) {
    const soma_transformer_options *o = soma_layer_options(layer);
    soma_tensor *y = o->normalize_first ? soma_trace_call(trace, norm, &x, 1) : x;
    for (int i = 0; y && i < n_parts; i++) {
        soma_tensor *const inputs[] = {y, other};
        y = soma_trace_call(trace, parts[i], inputs, other ? 2 : 1);
    }
    y = soma_add(x, layer_drop(trace, y, o->dropout));
    if (y && !o->normalize_first) y = soma_trace_call(trace, norm, &y, 1);
    return y;
}

static soma_tensor *call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    const soma_transformer_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_cast(layer, inputs[0]);
    if (x && x != inputs[0]) soma_trace_set_mask(trace, x, soma_trace_mask(trace, inputs[0]));
    x = residual(layer, trace, x, NULL, &o->attention, 1, o->attention_norm);
    if (x && n > 1) x = residual(layer, trace, x, inputs[1], &o->cross_attention, 1, o->cross_norm);
    soma_layer *const dense[] = {o->dense, o->dense_out};
    return x ? residual(layer, trace, x, NULL, dense, 2, o->dense_norm) : NULL;
}

const soma_layer_class layer_transformer_encoder = {.name = "TransformerEncoder",
                                                    .size = sizeof(soma_transformer_options),
                                                    .fields = block_fields,
                                                    .min_inputs = 1,
                                                    .max_inputs = 1,
                                                    .build = encoder_build,
                                                    .call = call,
                                                    .passes_mask = true};

const soma_layer_class layer_transformer_decoder = {.name = "TransformerDecoder",
                                                    .size = sizeof(soma_transformer_options),
                                                    .fields = block_fields,
                                                    .min_inputs = 1,
                                                    .max_inputs = 2,
                                                    .build = decoder_build,
                                                    .call = call,
                                                    .passes_mask = true};

soma_layer *soma_transformer_encoder_create(const soma_transformer_options *options) {
    return soma_layer_create(&layer_transformer_encoder, options);
}
soma_layer *soma_transformer_decoder_create(const soma_transformer_options *options) {
    return soma_layer_create(&layer_transformer_decoder, options);
}
