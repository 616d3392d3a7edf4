/* Noise while training: GaussianNoise, GaussianDropout, AlphaDropout, SpatialDropout.
 * Rests on the counting random ops with the training step as their counter, as layer_dropout.c does.
 * A channel is dropped by drawing one number for all its places, which then broadcasts. */
#include <math.h>
#include <stddef.h>

#include <soma/layers.h>

#include "nn/places.h"

static const soma_field noise_fields[] = {{.name = "stddev",
                                           .kind = SOMA_FIELD_NUMBER,
                                           .offset = offsetof(soma_gaussian_noise_options, stddev),
                                           .low = 0,
                                           .high = 1e300},
                                          {.name = NULL}};

static soma_tensor *noise(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_gaussian_noise_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_float(layer, inputs[0]);
    if (!x || !soma_trace_training(trace) || o->stddev == 0) return x;
    soma_tensor *step = soma_trace_step(trace);
    if (!step) return NULL;
    return soma_add(x, soma_random_normal(x->graph, x->dtype, x->rank, x->shape, 0, o->stddev, step));
}

const soma_layer_class layer_gaussian_noise = {.name = "GaussianNoise",
                                               .size = sizeof(soma_gaussian_noise_options),
                                               .fields = noise_fields,
                                               .min_inputs = 1,
                                               .max_inputs = 1,
                                               .call = noise,
                                               .passes_mask = true};

soma_layer *soma_gaussian_noise_create(const soma_gaussian_noise_options *options) {
    return soma_layer_create(&layer_gaussian_noise, options);
}

/* ---- kinds of dropout ---- */

static const soma_field rate_fields[] = {
    {.name = "rate", .kind = SOMA_FIELD_NUMBER, .offset = offsetof(soma_dropout_options, rate), .low = 0, .high = 1},
    {.name = NULL}};
static const soma_field spatial_fields[] = {
    {.name = "rate", .kind = SOMA_FIELD_NUMBER, .offset = offsetof(soma_dropout_options, rate), .low = 0, .high = 1},
    PLACES_STRING_FIELD(soma_dropout_options, data_format),
    {.name = NULL}};

/* Bool of a shape, true with probability 1 - rate. */
static soma_tensor *keep(soma_tensor *x, const int64_t *shape, double rate, soma_tensor *step) {
    soma_tensor *u = soma_random_uniform(x->graph, x->dtype, x->rank, shape, 0, 1, step);
    return soma_greater_equal(u, soma_scalar(x->graph, x->dtype, rate));
}

static soma_tensor *gaussian(soma_tensor *x, double rate, soma_tensor *step) {
    double deviation = sqrt(rate / (1 - rate));
    return soma_mul(x, soma_random_normal(x->graph, x->dtype, x->rank, x->shape, 1, deviation, step));
}

/* Dropped elements become selu(-infinity); a and b bring mean and variance back. */
static soma_tensor *alpha(soma_tensor *x, double rate, soma_tensor *step) {
    const double low = -1.6732632423543772 * 1.0507009873554805;
    double a = 1 / sqrt((1 - rate) * (1 + rate * low * low)), b = -a * low * rate;
    soma_tensor *y = soma_where(keep(x, x->shape, rate, step), x, soma_scalar(x->graph, x->dtype, low));
    return soma_add_scalar(soma_mul_scalar(y, a), b);
}

/* One draw for all places of a channel, the last axis or the one after the batch. */
static soma_tensor *spatial_of(soma_tensor *x, double rate, soma_tensor *step, int channels) {
    int64_t shape[SOMA_MAX_RANK];
    for (int i = 0; i < x->rank; i++)
        shape[i] = i == 0 || i == channels ? x->shape[i] : 1;
    return soma_where(keep(x, shape, rate, step), soma_mul_scalar(x, 1 / (1 - rate)),
                      soma_scalar(x->graph, x->dtype, 0));
}

static soma_tensor *spatial(soma_tensor *x, double rate, soma_tensor *step) {
    return spatial_of(x, rate, step, x->rank - 1);
}
static soma_tensor *spatial_first(soma_tensor *x, double rate, soma_tensor *step) {
    return spatial_of(x, rate, step, 1);
}

typedef soma_tensor *drop_fn(soma_tensor *x, double rate, soma_tensor *step);

/* rank: of a batch, 0 for any. */
static soma_tensor *drop(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int rank,
                         drop_fn *function) {
    const soma_dropout_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_float(layer, inputs[0]);
    RETURN_NULL_IF(layer->context, o->rate >= 1, SOMA_INVALID, "[%s] a rate of 1 would leave nothing",
                   layer->kind->name);
    RETURN_NULL_IF(layer->context, x && rank && x->rank != rank, SOMA_SHAPE,
                   "[%s] a sample of rank %d is given, not %d", layer->kind->name, x->rank - 1, rank - 1);
    bool first;
    if (places_order(layer, o->data_format, &first) != SOMA_OK) return NULL;
    if (!x || !soma_trace_training(trace) || o->rate == 0) return x;
    soma_tensor *step = soma_trace_step(trace);
    if (!step) return NULL;
    return first && function == spatial ? spatial_first(x, o->rate, step) : function(x, o->rate, step);
}

#define DROPOUT(word, class_name, function, rank, field_list)                                                          \
    static soma_tensor *word(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {                \
        (void)n;                                                                                                       \
        return drop(layer, trace, inputs, rank, function);                                                             \
    }                                                                                                                  \
    const soma_layer_class layer_##word = {.name = class_name,                                                         \
                                           .size = sizeof(soma_dropout_options),                                       \
                                           .fields = field_list,                                                       \
                                           .min_inputs = 1,                                                            \
                                           .max_inputs = 1,                                                            \
                                           .call = word,                                                               \
                                           .passes_mask = true};                                                       \
    soma_layer *soma_##word##_create(const soma_dropout_options *options) {                                            \
        return soma_layer_create(&layer_##word, options);                                                              \
    }
DROPOUT(gaussian_dropout, "GaussianDropout", gaussian, 0, rate_fields)
DROPOUT(alpha_dropout, "AlphaDropout", alpha, 0, rate_fields)
DROPOUT(spatial_dropout_1d, "SpatialDropout1D", spatial, 3, spatial_fields)
DROPOUT(spatial_dropout_2d, "SpatialDropout2D", spatial, 4, spatial_fields)
DROPOUT(spatial_dropout_3d, "SpatialDropout3D", spatial, 5, spatial_fields)
#undef DROPOUT
