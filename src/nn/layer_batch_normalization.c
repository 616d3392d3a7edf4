/* BatchNormalization: each channel standardized over the batch, with moving statistics for predictions.
 * Rests on normalize.h; the moving statistics are weights that the training plan assigns, so a step stays one plan.
 * Predictions are x a + b with a and b of the channels alone, which the compiler fuses into what comes before. */
#include <stddef.h>

#include "nn/normalize.h"

static const soma_field fields[] = {NORMALIZE_FIELDS(soma_batch_normalization_options, 1e-3),
                                    {.name = "momentum",
                                     .kind = SOMA_FIELD_NUMBER,
                                     .offset = offsetof(soma_batch_normalization_options, momentum),
                                     .standard = 0.99,
                                     .low = 0,
                                     .high = 1},
                                    {.name = NULL}};

static normalize_affine affine_of(const soma_batch_normalization_options *o) {
    return (normalize_affine){o->no_center,         o->no_scale,         o->beta_initializer,
                              o->gamma_initializer, o->beta_regularizer, o->gamma_regularizer};
}

/* Number of the weight moving_mean; moving_variance follows. */
static int first_moving(const soma_batch_normalization_options *o) {
    return !o->no_scale + !o->no_center;
}

static soma_status build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_batch_normalization_options *o = soma_layer_options(layer);
    const normalize_affine affine = affine_of(o);
    int axis;
    if (!normalize_axis(layer, inputs[0], o->axis, &axis)) return SOMA_SHAPE;
    int64_t channels = inputs[0]->shape[axis];
    TRY(normalize_add_weights(layer, channels, &affine));
    TRY(soma_layer_add_weight(
        layer, &(soma_weight_options){.name = "moving_mean", .rank = 1, .shape = {channels}, .not_trainable = true}));
    return soma_layer_add_weight(layer, &(soma_weight_options){.name = "moving_variance",
                                                               .rank = 1,
                                                               .shape = {channels},
                                                               .initializer = soma_all_ones(),
                                                               .not_trainable = true});
}

/* The batch's statistics, (channels) each, and the moving ones after it. */
static void measure(soma_layer *layer, soma_trace *trace, soma_tensor *x, int axis, soma_tensor **mean,
                    soma_tensor **variance) {
    const soma_batch_normalization_options *o = soma_layer_options(layer);
    int axes[SOMA_MAX_RANK], n = 0, moving = first_moving(o);
    for (int i = 0; i < x->rank; i++)
        if (i != axis) axes[n++] = i;
    *mean = soma_mean(x, n, axes, false);
    soma_tensor *centered = soma_sub(x, normalize_along(*mean, x->rank, axis));
    *variance = soma_mean(soma_square(centered), n, axes, false);
    soma_tensor *const batch[] = {*mean, *variance};
    for (int i = 0; i < 2; i++) {
        soma_tensor *before = soma_mul_scalar(soma_trace_weight(trace, layer, moving + i), o->momentum);
        soma_trace_update(trace, layer, moving + i, soma_add(before, soma_mul_scalar(batch[i], 1 - o->momentum)));
    }
}

static soma_tensor *call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_batch_normalization_options *o = soma_layer_options(layer);
    const normalize_affine affine = affine_of(o);
    soma_tensor *x = layer_cast(layer, inputs[0]), *mean, *variance;
    int axis, moving = first_moving(o);
    if (!x || !normalize_axis(layer, x, o->axis, &axis)) return NULL;
    if (soma_trace_training(trace) && !layer->options->frozen) {
        measure(layer, trace, x, axis, &mean, &variance);
        soma_tensor *centered = soma_sub(x, normalize_along(mean, x->rank, axis));
        soma_tensor *factor = soma_rsqrt(soma_add_scalar(variance, o->epsilon));
        soma_tensor *y = soma_mul(centered, normalize_along(factor, x->rank, axis));
        return normalize_affine_of(layer, trace, y, axis, &affine);
    }
    mean = soma_trace_weight(trace, layer, moving);
    variance = soma_trace_weight(trace, layer, moving + 1);
    soma_tensor *factor = soma_rsqrt(soma_add_scalar(variance, o->epsilon));
    if (!o->no_scale) factor = soma_mul(factor, soma_trace_weight(trace, layer, 0));
    soma_tensor *offset = soma_neg(soma_mul(mean, factor));
    if (!o->no_center) offset = soma_add(offset, soma_trace_weight(trace, layer, o->no_scale ? 0 : 1));
    return soma_add(soma_mul(x, normalize_along(factor, x->rank, axis)), normalize_along(offset, x->rank, axis));
}

const soma_layer_class layer_batch_normalization = {.name = "BatchNormalization",
                                                    .size = sizeof(soma_batch_normalization_options),
                                                    .fields = fields,
                                                    .min_inputs = 1,
                                                    .max_inputs = 1,
                                                    .passes_mask = true,
                                                    .build = build,
                                                    .call = call};

soma_layer *soma_batch_normalization_create(const soma_batch_normalization_options *options) {
    return soma_layer_create(&layer_batch_normalization, options);
}
