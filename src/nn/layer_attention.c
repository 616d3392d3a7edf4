/* Attention: dot-product, additive and multi-head.
 * Rests on matmul and softmax. Heads are an axis of the batch kind, so all of them are one product.
 * What must not be looked at gets a score of -1e9, whose share of the softmax is exactly zero. */
#include <math.h>
#include <stddef.h>

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
    if (second) out->mask = out->mask ? soma_logical_and(out->mask, second) : second;
    return out->query && out->value && out->key;
}

/* True where row >= column: (rows, columns). */
static soma_tensor *lower_triangle(soma_graph *graph, int64_t rows, int64_t columns) {
    soma_tensor *i = soma_expand_dims(soma_arange(graph, SOMA_I64, 0, (double)rows, 1), 1);
    return soma_greater_equal(i, soma_arange(graph, SOMA_I64, 0, (double)columns, 1));
}

soma_tensor *attend(soma_trace *trace, soma_tensor *scores, soma_tensor *value, soma_tensor *mask, bool causal,
                    double dropout) {
    if (!scores) return NULL;
    soma_tensor *never = soma_scalar(scores->graph, scores->dtype, -1e9);
    if (mask) {
        int64_t shape[SOMA_MAX_RANK] = {mask->shape[0]};
        for (int i = 1; i < scores->rank; i++)
            shape[i] = i == scores->rank - 1 ? mask->shape[1] : 1;
        scores = soma_where(soma_reshape(mask, scores->rank, shape), scores, never);
    }
    if (causal)
        scores = soma_where(lower_triangle(scores->graph, soma_dim(scores, -2), soma_dim(scores, -1)), scores, never);
    return soma_matmul(layer_drop(trace, soma_softmax_axis(scores, -1), dropout), value);
}

static soma_tensor *swap_last(soma_tensor *x) {
    if (!x) return NULL;
    int axes[SOMA_MAX_RANK];
    for (int i = 0; i < x->rank; i++)
        axes[i] = i < x->rank - 2 ? i : 2 * x->rank - 3 - i;
    return soma_transpose(x, axes);
}

/* ---- Attention and AdditiveAttention ---- */

#define FIELD(member) offsetof(soma_attention_options, member)

static const soma_field dot_fields[] = {
    {.name = "use_scale", .kind = SOMA_FIELD_BOOL, .offset = FIELD(use_scale)},
    {.name = "causal", .kind = SOMA_FIELD_BOOL, .offset = FIELD(causal)},
    {.name = "dropout", .kind = SOMA_FIELD_NUMBER, .offset = FIELD(dropout), .low = 0, .high = 0.999999},
    {.name = NULL}};

static soma_status dot_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)inputs, (void)n;
    const soma_attention_options *o = soma_layer_options(layer);
    if (!o->use_scale) return SOMA_OK;
    return soma_layer_add_weight(layer, &(soma_weight_options){.name = "scale", .initializer = soma_all_ones()});
}

static soma_tensor *dot_call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    const soma_attention_options *o = soma_layer_options(layer);
    attend_inputs in;
    if (!attend_inputs_of(layer, trace, inputs, n, &in)) return NULL;
    soma_tensor *scores = soma_matmul(in.query, swap_last(in.key));
    if (o->use_scale) scores = soma_mul(scores, soma_trace_weight(trace, layer, 0));
    return attend(trace, scores, in.value, in.mask, o->causal, o->dropout);
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
    if (!attend_inputs_of(layer, trace, inputs, n, &in)) return NULL;
    soma_tensor *sum = soma_tanh(soma_add(soma_expand_dims(in.query, 2), soma_expand_dims(in.key, 1)));
    if (!o->no_scale) sum = soma_mul(sum, soma_trace_weight(trace, layer, 0));
    return attend(trace, soma_sum(sum, SOMA_AXES(-1), false), in.value, in.mask, o->causal, o->dropout);
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

/* ---- MultiHeadAttention ---- */

#undef FIELD
#define FIELD(member) offsetof(soma_multi_head_attention_options, member)

static const soma_field heads_fields[] = {
    {.name = "num_heads", .kind = SOMA_FIELD_INT, .offset = FIELD(num_heads), .low = 1, .high = 0x1p31},
    {.name = "key_dim", .kind = SOMA_FIELD_INT, .offset = FIELD(key_dim), .low = 1, .high = 0x1p31},
    {.name = "value_dim", .kind = SOMA_FIELD_INT, .offset = FIELD(value_dim), .low = 0, .high = 0x1p31},
    {.name = "output_dim", .kind = SOMA_FIELD_INT, .offset = FIELD(output_dim), .low = 0, .high = 0x1p31},
    {.name = "use_bias", .kind = SOMA_FIELD_NOT, .offset = FIELD(no_bias)},
    {.name = "causal", .kind = SOMA_FIELD_BOOL, .offset = FIELD(causal)},
    {.name = "dropout", .kind = SOMA_FIELD_NUMBER, .offset = FIELD(dropout), .low = 0, .high = 0.999999},
    {.name = "kernel_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = FIELD(kernel_initializer)},
    {.name = "bias_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = FIELD(bias_initializer)},
    {.name = "kernel_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = FIELD(kernel_regularizer)},
    {.name = "bias_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = FIELD(bias_regularizer)},
    {.name = NULL}};

static int64_t value_dim(const soma_multi_head_attention_options *o) {
    return o->value_dim ? o->value_dim : o->key_dim;
}

static soma_status add_projection(soma_layer *layer, soma_weight_options kernel, soma_weight_options bias) {
    const soma_multi_head_attention_options *o = soma_layer_options(layer);
    kernel.initializer = o->kernel_initializer;
    kernel.regularizer = o->kernel_regularizer;
    if (!kernel.initializer.build) kernel.initializer = soma_glorot_uniform();
    TRY(soma_layer_add_weight(layer, &kernel));
    if (o->no_bias) return SOMA_OK;
    bias.initializer = o->bias_initializer;
    bias.regularizer = o->bias_regularizer;
    return soma_layer_add_weight(layer, &bias);
}

static soma_status heads_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    const soma_multi_head_attention_options *o = soma_layer_options(layer);
    static const char *const kernels[] = {"query_kernel", "key_kernel", "value_kernel"};
    static const char *const biases[] = {"query_bias", "key_bias", "value_bias"};
    const int which[] = {0, n > 2 ? 2 : n > 1 ? 1 : 0, n > 1 ? 1 : 0}; /* the inputs that are query, key, value */
    for (int i = 0; i < 3; i++) {
        int64_t dim = i < 2 ? o->key_dim : value_dim(o);
        TRY(add_projection(layer,
                           (soma_weight_options){.name = kernels[i],
                                                 .rank = 3,
                                                 .shape = {soma_dim(inputs[which[i]], -1), o->num_heads, dim}},
                           (soma_weight_options){.name = biases[i], .rank = 2, .shape = {o->num_heads, dim}}));
    }
    int64_t out = o->output_dim ? o->output_dim : soma_dim(inputs[0], -1);
    return add_projection(
        layer, (soma_weight_options){.name = "output_kernel", .rank = 3, .shape = {o->num_heads, value_dim(o), out}},
        (soma_weight_options){.name = "output_bias", .rank = 1, .shape = {out}});
}

/* x (batch, steps, rows) times kernel i, whose axes are taken as (rows, columns), plus its bias. */
static soma_tensor *project(soma_layer *layer, soma_trace *trace, soma_tensor *x, int i, int64_t rows,
                            int64_t columns) {
    const soma_multi_head_attention_options *o = soma_layer_options(layer);
    int each = o->no_bias ? 1 : 2;
    soma_tensor *y = soma_matmul(x, soma_reshape(soma_trace_weight(trace, layer, i * each), SOMA_DIMS(rows, columns)));
    if (o->no_bias) return y;
    return soma_add(y, soma_reshape(soma_trace_weight(trace, layer, i * each + 1), SOMA_DIMS(columns)));
}

/* Projection i of x as (batch, heads, steps, dim). */
static soma_tensor *split_heads(soma_layer *layer, soma_trace *trace, soma_tensor *x, int i, int64_t dim) {
    const soma_multi_head_attention_options *o = soma_layer_options(layer);
    soma_tensor *y = project(layer, trace, x, i, x->shape[2], o->num_heads * dim);
    y = soma_reshape(y, SOMA_DIMS(x->shape[0], x->shape[1], o->num_heads, dim));
    return soma_transpose(y, (const int[]){0, 2, 1, 3});
}

static soma_tensor *heads_call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    const soma_multi_head_attention_options *o = soma_layer_options(layer);
    attend_inputs in;
    if (!attend_inputs_of(layer, trace, inputs, n, &in)) return NULL;
    soma_tensor *q = split_heads(layer, trace, in.query, 0, o->key_dim);
    soma_tensor *k = split_heads(layer, trace, in.key, 1, o->key_dim);
    soma_tensor *v = split_heads(layer, trace, in.value, 2, value_dim(o));
    soma_tensor *scores = soma_matmul(soma_mul_scalar(q, 1 / sqrt((double)o->key_dim)), swap_last(k));
    soma_tensor *y = attend(trace, scores, v, in.mask, o->causal, o->dropout);
    int64_t wide = o->num_heads * value_dim(o), out = o->output_dim ? o->output_dim : in.query->shape[2];
    y = soma_reshape(soma_transpose(y, (const int[]){0, 2, 1, 3}),
                     SOMA_DIMS(in.query->shape[0], in.query->shape[1], wide));
    return project(layer, trace, y, 3, wide, out);
}

const soma_layer_class layer_multi_head_attention = {.name = "MultiHeadAttention",
                                                     .size = sizeof(soma_multi_head_attention_options),
                                                     .fields = heads_fields,
                                                     .min_inputs = 1,
                                                     .max_inputs = 3,
                                                     .build = heads_build,
                                                     .call = heads_call,
                                                     .passes_mask = true};

soma_layer *soma_multi_head_attention_create(const soma_multi_head_attention_options *options) {
    return soma_layer_create(&layer_multi_head_attention, options);
}
