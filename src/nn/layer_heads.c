/* MultiHeadAttention and GroupQueryAttention.
 * Rests on attend.h. Heads are an axis of the batch kind, so all of them are one product; query heads that share a key
 * are rows of one product with it. Taken a step at a time, the layer remembers keys and values: what a step gives is
 * then what it gives within the whole sequence. */
#include <math.h>
#include <stddef.h>

#include "nn/attend.h"

/* The options that both have, as the first members of their structs. */
typedef struct heads_options {
    SOMA_HEADS_OPTIONS
} heads_options;

/* What both are. */
typedef struct heads {
    soma_layer *layer;
    soma_trace *trace;
    const heads_options *o;
    int64_t queries, keys; /* heads of each */
    int64_t key_dim, value_dim, output_dim;
} heads;

static heads heads_of(soma_layer *layer, soma_trace *trace, int64_t d) {
    heads h = {.layer = layer, .trace = trace, .o = soma_layer_options(layer), .output_dim = d};
    if (layer->kind == &layer_group_query_attention) {
        const soma_group_query_attention_options *o = soma_layer_options(layer);
        h.queries = o->num_query_heads;
        h.keys = o->num_key_value_heads;
        h.key_dim = h.value_dim = o->head_dim;
        return h;
    }
    const soma_multi_head_attention_options *o = soma_layer_options(layer);
    h.queries = h.keys = o->num_heads;
    h.key_dim = o->key_dim;
    h.value_dim = o->value_dim ? o->value_dim : o->key_dim;
    if (o->output_dim) h.output_dim = o->output_dim;
    return h;
}

/* ---- weights ---- */

static soma_status add_projection(const heads *h, soma_weight_options kernel, soma_weight_options bias) {
    kernel.initializer = h->o->kernel_initializer;
    kernel.regularizer = h->o->kernel_regularizer;
    kernel.constraint = h->o->kernel_constraint;
    if (!kernel.initializer.build) kernel.initializer = soma_glorot_uniform();
    TRY(soma_layer_add_weight(h->layer, &kernel));
    if (h->o->no_bias) return SOMA_OK;
    bias.initializer = h->o->bias_initializer;
    bias.regularizer = h->o->bias_regularizer;
    bias.constraint = h->o->bias_constraint;
    return soma_layer_add_weight(h->layer, &bias);
}

static soma_status build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    static const char *const kernels[] = {"query_kernel", "key_kernel", "value_kernel"};
    static const char *const biases[] = {"query_bias", "key_bias", "value_bias"};
    const int which[] = {0, n > 2 ? 2 : n > 1 ? 1 : 0, n > 1 ? 1 : 0}; /* the inputs that are query, key, value */
    const heads h = heads_of(layer, NULL, soma_dim(inputs[0], -1));
    RETURN_IF(layer->context, h.queries % h.keys != 0, SOMA_INVALID,
              "[%s] %lld query heads can't share %lld keys evenly", layer->kind->name, (long long)h.queries,
              (long long)h.keys);
    RETURN_IF(layer->context, h.o->rotary && h.key_dim % 2 != 0, SOMA_INVALID,
              "[%s] rotary: heads of %lld features are no pairs", layer->kind->name, (long long)h.key_dim);
    for (int i = 0; i < 3; i++) {
        int64_t dim = i < 2 ? h.key_dim : h.value_dim, count = i == 0 ? h.queries : h.keys;
        TRY(add_projection(
            &h,
            (soma_weight_options){.name = kernels[i], .rank = 3, .shape = {soma_dim(inputs[which[i]], -1), count, dim}},
            (soma_weight_options){.name = biases[i], .rank = 2, .shape = {count, dim}}));
    }
    return add_projection(
        &h, (soma_weight_options){.name = "output_kernel", .rank = 3, .shape = {h.queries, h.value_dim, h.output_dim}},
        (soma_weight_options){.name = "output_bias", .rank = 1, .shape = {h.output_dim}});
}

/* ---- from inputs to heads and back ---- */

/* x (batch, steps, rows) times kernel i, whose axes are taken as (rows, columns), plus its bias. */
static soma_tensor *project(const heads *h, soma_tensor *x, int i, int64_t rows, int64_t columns) {
    int each = h->o->no_bias ? 1 : 2;
    soma_tensor *kernel = soma_trace_weight(h->trace, h->layer, i * each);
    soma_tensor *y = soma_matmul(x, soma_reshape(kernel, SOMA_DIMS(rows, columns)));
    if (h->o->no_bias) return y;
    return soma_add(y, soma_reshape(soma_trace_weight(h->trace, h->layer, i * each + 1), SOMA_DIMS(columns)));
}

/* Projection i of x as (batch, heads, steps, dim). */
static soma_tensor *split(const heads *h, soma_tensor *x, int i, int64_t count, int64_t dim) {
    soma_tensor *y = project(h, x, i, x->shape[2], count * dim);
    y = soma_reshape(y, SOMA_DIMS(x->shape[0], x->shape[1], count, dim));
    return soma_transpose(y, (const int[]){0, 2, 1, 3});
}

static soma_tensor *rotate(const heads *h, soma_tensor *x) {
    if (!h->o->rotary || !x) return x;
    double longest = h->o->max_wavelength > 0 ? h->o->max_wavelength : 10000;
    if (!h->trace->memory) return soma_rotary(x, NULL, longest);
    soma_tensor *at = soma_expand_dims(trace_position(h->trace), 0);
    return at ? soma_rotary(x, at, longest) : NULL;
}

/* softmax(q k' / sqrt(dim)) v for q (batch, queries, T, dim), k and v (batch, keys, S, dim): (batch, queries, T, dim).
 * mask (batch, S) or NULL. */
static soma_tensor *look(const heads *h, soma_tensor *q, soma_tensor *k, soma_tensor *v, soma_tensor *mask,
                         bool causal) {
    q = soma_mul_scalar(q, 1 / sqrt((double)h->key_dim));
    if (!q || !k || !v) return NULL;
    if (h->queries == h->keys)
        return attend(h->trace, soma_matmul(q, attend_swap_last(k)), v, mask, causal, h->o->dropout);
    int64_t b = q->shape[0], t = q->shape[2], s = k->shape[2], share = h->queries / h->keys;
    soma_tensor *rows = soma_reshape(q, SOMA_DIMS(b, h->keys, share * t, h->key_dim));
    soma_tensor *scores = soma_matmul(rows, attend_swap_last(k));
    scores = soma_reshape(scores, SOMA_DIMS(b, h->keys, share, t, s));
    soma_tensor *weights = attend_weights(h->trace, scores, mask, causal, h->o->dropout);
    soma_tensor *y = soma_matmul(soma_reshape(weights, SOMA_DIMS(b, h->keys, share * t, s)), v);
    return soma_reshape(y, SOMA_DIMS(b, h->queries, t, h->value_dim));
}

/* ---- a step at a time ---- */

/* x (batch, keys, 1, dim) put among those of the steps before: (batch, keys, length, dim). at: true at this step. */
static soma_tensor *among(const heads *h, soma_tensor *x, soma_tensor *at) {
    soma_variable *variable;
    int64_t length = h->trace->memory->length;
    soma_tensor *all =
        trace_recall(h->trace, x->dtype, SOMA_DIMS(x->shape[0], x->shape[1], length, x->shape[3]), &variable);
    if (!all) return NULL;
    all = soma_where(soma_reshape(at, SOMA_DIMS(length, 1)), x, all);
    trace_remember(h->trace, variable, all);
    return all;
}

/* Which of all steps count: (batch, length). */
static soma_tensor *mask_among(const heads *h, soma_tensor *mask, soma_tensor *at) {
    soma_variable *variable;
    int64_t length = h->trace->memory->length;
    soma_tensor *all = trace_recall(h->trace, SOMA_BOOL, SOMA_DIMS(mask->shape[0], length), &variable);
    all = soma_logical_or(all, soma_logical_and(at, mask));
    trace_remember(h->trace, variable, all);
    return all;
}

static soma_tensor *look_back(const heads *h, soma_tensor *q, soma_tensor *k, soma_tensor *v, soma_tensor *mask) {
    soma_context *context = h->layer->context;
    const char *name = h->layer->kind->name;
    RETURN_NULL_IF(context, !h->o->causal, SOMA_UNSUPPORTED,
                   "[%s] it looks ahead: only causal attention can be taken a step at a time", name);
    RETURN_NULL_IF(context, soma_dim(q, 2) != 1, SOMA_SHAPE, "[%s] a step at a time: %lld are given", name,
                   (long long)soma_dim(q, 2));
    soma_tensor *steps = soma_arange(q->graph, SOMA_I64, 0, (double)h->trace->memory->length, 1);
    soma_tensor *position = trace_position(h->trace), *at = soma_equal(steps, position);
    k = among(h, k, at);
    v = among(h, v, at);
    soma_tensor *past = soma_expand_dims(soma_less_equal(steps, position), 0); /* (1, length), or with the mask */
    if (mask && past) past = soma_logical_and(past, mask_among(h, mask, at));
    return past ? look(h, q, k, v, past, false) : NULL;
}

/* ---- the layers ---- */

static soma_tensor *call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    attend_inputs in;
    if (!attend_inputs_of(layer, trace, inputs, n, &in)) return NULL;
    const heads h = heads_of(layer, trace, in.query->shape[2]);
    soma_tensor *q = rotate(&h, split(&h, in.query, 0, h.queries, h.key_dim));
    soma_tensor *k = rotate(&h, split(&h, in.key, 1, h.keys, h.key_dim));
    soma_tensor *v = split(&h, in.value, 2, h.keys, h.value_dim), *y;
    if (!q || !k || !v) return NULL;
    y = trace->memory && n == 1 ? look_back(&h, q, k, v, in.mask) : look(&h, q, k, v, in.mask, h.o->causal);
    int64_t wide = h.queries * h.value_dim;
    y = soma_reshape(soma_transpose(y, (const int[]){0, 2, 1, 3}),
                     SOMA_DIMS(in.query->shape[0], in.query->shape[1], wide));
    return project(&h, y, 3, wide, h.output_dim);
}

#define SHARED_FIELDS(type)                                                                                            \
    {.name = "use_bias", .kind = SOMA_FIELD_NOT, .offset = offsetof(type, no_bias)},                                   \
        {.name = "causal", .kind = SOMA_FIELD_BOOL, .offset = offsetof(type, causal)},                                 \
        {.name = "dropout", .kind = SOMA_FIELD_NUMBER, .offset = offsetof(type, dropout), .low = 0, .high = 0.999999}, \
        {.name = "rotary", .kind = SOMA_FIELD_BOOL, .offset = offsetof(type, rotary)},                                 \
        {.name = "max_wavelength",                                                                                     \
         .kind = SOMA_FIELD_NUMBER,                                                                                    \
         .offset = offsetof(type, max_wavelength),                                                                     \
         .low = 0,                                                                                                     \
         .high = 1e300},                                                                                               \
        {.name = "kernel_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = offsetof(type, kernel_initializer)},  \
        {.name = "bias_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = offsetof(type, bias_initializer)},      \
        {.name = "kernel_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = offsetof(type, kernel_regularizer)},  \
        {.name = "bias_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = offsetof(type, bias_regularizer)},      \
        {.name = "kernel_constraint", .kind = SOMA_FIELD_CONSTRAINT, .offset = offsetof(type, kernel_constraint)},     \
        {.name = "bias_constraint", .kind = SOMA_FIELD_CONSTRAINT, .offset = offsetof(type, bias_constraint)}, {       \
        .name = NULL                                                                                                   \
    }
#define SIZE_FIELD(type, member, least)                                                                                \
    { .name = #member, .kind = SOMA_FIELD_INT, .offset = offsetof(type, member), .low = least, .high = 0x1p31 }

#define MULTI soma_multi_head_attention_options
static const soma_field multi_fields[] = {SIZE_FIELD(MULTI, num_heads, 1), SIZE_FIELD(MULTI, key_dim, 1),
                                          SIZE_FIELD(MULTI, value_dim, 0), SIZE_FIELD(MULTI, output_dim, 0),
                                          SHARED_FIELDS(MULTI)};

#define GROUP soma_group_query_attention_options
static const soma_field group_fields[] = {SIZE_FIELD(GROUP, head_dim, 1), SIZE_FIELD(GROUP, num_query_heads, 1),
                                          SIZE_FIELD(GROUP, num_key_value_heads, 1), SHARED_FIELDS(GROUP)};

#define HEADS(word, class_name, field_list)                                                                            \
    const soma_layer_class layer_##word = {.name = class_name,                                                         \
                                           .size = sizeof(soma_##word##_options),                                      \
                                           .fields = field_list,                                                       \
                                           .min_inputs = 1,                                                            \
                                           .max_inputs = 3,                                                            \
                                           .build = build,                                                             \
                                           .call = call,                                                               \
                                           .passes_mask = true};                                                       \
    soma_layer *soma_##word##_create(const soma_##word##_options *options) {                                           \
        return soma_layer_create(&layer_##word, options);                                                              \
    }
HEADS(multi_head_attention, "MultiHeadAttention", multi_fields)
HEADS(group_query_attention, "GroupQueryAttention", group_fields)
