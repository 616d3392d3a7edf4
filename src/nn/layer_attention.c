/* Attention: dot-product and additive; what all kinds share.
 * Rests on matmul and softmax.
 * What must not be looked at gets a score of -1e9, whose share of the softmax is exactly zero; a mask may forbid all of
 * a row. What is yet to come, which is never all, gets one of minus infinity: these zeros are certain, and products
 * leave them out (plan/bands.c). */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "nn/attend.h"

/* ---- shared ---- */

bool attend_inputs_of(const soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n,
                      attend_inputs *out) {
    soma_tensor *value = inputs[n > 1 ? 1 : 0], *key = n > 2 ? inputs[2] : value;
    bool right = inputs[0]->rank == 3 && value->rank == 3 && key->rank == 3;
    for (int i = 0; right && i < n; i++)
        right = inputs[i]->shape[0] == inputs[0]->shape[0];
    right = right && key->shape[1] == value->shape[1];
    if (!right) {
        (void)error_set(layer->context, SOMA_SHAPE,
                        "[%s] query, value and key must be (batch, steps, features), value and key of equal steps",
                        layer->kind->name);
        return false;
    }
    *out = (attend_inputs){.query = layer_cast(layer, inputs[0]),
                           .value = layer_cast(layer, value),
                           .key = layer_cast(layer, key),
                           .mask = soma_trace_mask(trace, value)};
    soma_tensor *second = n > 2 ? soma_trace_mask(trace, key) : NULL;
    bool both = out->mask && second;
    if (second) out->mask = both ? soma_logical_and(out->mask, second) : second;
    return out->query && out->value && out->key && (out->mask || !both);
}

/* True where row >= column: (rows, columns). */
static soma_tensor *lower_triangle(soma_graph *graph, int64_t rows, int64_t columns) {
    soma_tensor *i = soma_expand_dims(soma_arange(graph, SOMA_I64, 0, (double)rows, 1), 1);
    return soma_greater_equal(i, soma_arange(graph, SOMA_I64, 0, (double)columns, 1));
}

/* scores where allowed, which has as many axes or is (batch, S) of any scores (batch, ..., S); else `never`. */
static soma_tensor *only(soma_tensor *allowed, soma_tensor *scores, double never) {
    return soma_where(allowed, scores, soma_scalar(scores->graph, scores->dtype, never));
}

soma_tensor *attend_weights(soma_trace *trace, soma_tensor *scores, soma_tensor *mask, bool causal, double dropout) {
    if (!scores) return NULL;
    if (mask) {
        int64_t shape[SOMA_MAX_RANK] = {mask->shape[0]};
        for (int i = 1; i < scores->rank; i++)
            shape[i] = i == scores->rank - 1 ? mask->shape[1] : 1;
        scores = only(soma_reshape(mask, scores->rank, shape), scores, -1e9);
    }
    if (scores && causal)
        scores = only(lower_triangle(scores->graph, soma_dim(scores, -2), soma_dim(scores, -1)), scores, -INFINITY);
    return layer_drop(trace, soma_softmax_axis(scores, -1), dropout);
}

soma_tensor *attend(soma_trace *trace, soma_tensor *scores, soma_tensor *value, soma_tensor *mask, bool causal,
                    double dropout) {
    return soma_matmul(attend_weights(trace, scores, mask, causal, dropout), value);
}

soma_tensor *attend_swap_last(soma_tensor *x) {
    if (!x) return NULL;
    int axes[SOMA_MAX_RANK];
    for (int i = 0; i < x->rank; i++)
        axes[i] = i < x->rank - 2 ? i : 2 * x->rank - 3 - i;
    return soma_transpose(x, axes);
}

/* A step alone would see nothing but itself: these layers remember no steps. */
static bool sees_all(const soma_layer *layer, const soma_trace *trace, int n) {
    if (!trace->memory || n > 1) return true;
    (void)error_set(layer->context, SOMA_UNSUPPORTED,
                    "[%s] it can't be taken a step at a time: MultiHeadAttention and GroupQueryAttention can",
                    layer->kind->name);
    return false;
}

/* ---- Attention and AdditiveAttention ---- */

#define FIELD(member) offsetof(soma_attention_options, member)

static const soma_field dot_fields[] = {
    {.name = "score_mode", .kind = SOMA_FIELD_STRING, .offset = FIELD(score_mode)},
    {.name = "use_scale", .kind = SOMA_FIELD_BOOL, .offset = FIELD(use_scale)},
    {.name = "causal", .kind = SOMA_FIELD_BOOL, .offset = FIELD(causal)},
    {.name = "dropout", .kind = SOMA_FIELD_NUMBER, .offset = FIELD(dropout), .low = 0, .high = 0.999999},
    {.name = NULL}};

/* q_i + k_j: (batch, T, S, d). */
static soma_tensor *each_with_each(const attend_inputs *in) {
    return soma_add(soma_expand_dims(in->query, 2), soma_expand_dims(in->key, 1));
}

static soma_status dot_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)inputs, (void)n;
    const soma_attention_options *o = soma_layer_options(layer);
    const bool concat = o->score_mode && strcmp(o->score_mode, "concat") == 0;
    RETURN_IF(layer->context, o->score_mode && !concat && strcmp(o->score_mode, "dot") != 0, SOMA_INVALID,
              "[Attention] score_mode is '%s': it must be dot or concat", o->score_mode);
    soma_weight_options one = {.name = "scale", .initializer = soma_all_ones()};
    if (o->use_scale) TRY(soma_layer_add_weight(layer, &one));
    one.name = "concat_score_weight";
    return concat ? soma_layer_add_weight(layer, &one) : SOMA_OK;
}

static soma_tensor *dot_call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    const soma_attention_options *o = soma_layer_options(layer);
    attend_inputs in;
    if (!sees_all(layer, trace, n) || !attend_inputs_of(layer, trace, inputs, n, &in)) return NULL;
    soma_tensor *scale = o->use_scale ? soma_trace_weight(trace, layer, 0) : NULL, *scores;
    if (o->score_mode && strcmp(o->score_mode, "concat") == 0) {
        scores = each_with_each(&in);
        if (scale) scores = soma_mul(scores, scale);
        scores = soma_mul(soma_sum(soma_tanh(scores), SOMA_AXES(-1), false),
                          soma_trace_weight(trace, layer, o->use_scale ? 1 : 0));
    } else {
        scores = soma_matmul(in.query, attend_swap_last(in.key));
        if (scale) scores = soma_mul(scores, scale);
    }
    return mask_keep(soma_trace_mask(trace, inputs[0]),
                     attend(trace, scores, in.value, in.mask, o->causal, o->dropout));
}

const soma_layer_class layer_attention = {.name = "Attention",
                                          .size = sizeof(soma_attention_options),
                                          .fields = dot_fields,
                                          .min_inputs = 1,
                                          .max_inputs = 3,
                                          .build = dot_build,
                                          .call = dot_call,
                                          .passes_mask = true};

soma_layer *soma_attention_create(const soma_attention_options *options) {
    return soma_layer_create(&layer_attention, options);
}

static const soma_field additive_fields[] = {
    {.name = "use_scale", .kind = SOMA_FIELD_NOT, .offset = FIELD(no_scale)},
    {.name = "causal", .kind = SOMA_FIELD_BOOL, .offset = FIELD(causal)},
    {.name = "dropout", .kind = SOMA_FIELD_NUMBER, .offset = FIELD(dropout), .low = 0, .high = 0.999999},
    {.name = NULL}};

static soma_status additive_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_attention_options *o = soma_layer_options(layer);
    if (o->no_scale) return SOMA_OK;
    return soma_layer_add_weight(layer, &(soma_weight_options){.name = "scale",
                                                               .rank = 1,
                                                               .shape = {soma_dim(inputs[0], -1)},
                                                               .initializer = soma_glorot_uniform()});
}

static soma_tensor *additive_call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    const soma_attention_options *o = soma_layer_options(layer);
    attend_inputs in;
    if (!sees_all(layer, trace, n) || !attend_inputs_of(layer, trace, inputs, n, &in)) return NULL;
    soma_tensor *sum = soma_tanh(each_with_each(&in));
    if (!o->no_scale) sum = soma_mul(sum, soma_trace_weight(trace, layer, 0));
    soma_tensor *scores = soma_sum(sum, SOMA_AXES(-1), false);
    return mask_keep(soma_trace_mask(trace, inputs[0]),
                     attend(trace, scores, in.value, in.mask, o->causal, o->dropout));
}

const soma_layer_class layer_additive_attention = {.name = "AdditiveAttention",
                                                   .size = sizeof(soma_attention_options),
                                                   .fields = additive_fields,
                                                   .min_inputs = 1,
                                                   .max_inputs = 3,
                                                   .build = additive_build,
                                                   .call = additive_call,
                                                   .passes_mask = true};

soma_layer *soma_additive_attention_create(const soma_attention_options *options) {
    return soma_layer_create(&layer_additive_attention, options);
}
