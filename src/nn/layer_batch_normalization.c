/* BatchNormalization: each channel standardized over the batch, with moving statistics for predictions.
 * Rests on normalize.h; the moving statistics are weights that the training plan assigns, so a step stays one plan.
 * Predictions are x a + b with a and b of the channels alone, which the compiler fuses into what comes before. */
#include <stddef.h>

#include "nn/losses.h"
#include "nn/normalize.h"

static const soma_field fields[] = {NORMALIZE_AXIS_FIELD(soma_batch_normalization_options),
                                    NORMALIZE_FIELDS(soma_batch_normalization_options, 1e-3),
                                    {.name = "momentum",
                                     .kind = SOMA_FIELD_NUMBER,
                                     .offset = offsetof(soma_batch_normalization_options, momentum),
                                     .standard = 0.99,
                                     .low = 0,
                                     .high = 1},
                                    {.name = "moving_mean_initializer",
                                     .kind = SOMA_FIELD_INITIALIZER,
                                     .offset = offsetof(soma_batch_normalization_options, moving_mean_initializer)},
                                    {.name = "moving_variance_initializer",
                                     .kind = SOMA_FIELD_INITIALIZER,
                                     .offset = offsetof(soma_batch_normalization_options, moving_variance_initializer)},
                                    {.name = NULL}};

static normalize_affine affine_of(const soma_batch_normalization_options *o) {
    return (normalize_affine){o->no_center,        o->no_scale,          o->beta_initializer, o->gamma_initializer,
                              o->beta_regularizer, o->gamma_regularizer, o->beta_constraint,  o->gamma_constraint};
}

/* Number of the weight moving_mean; moving_variance follows. */
static int first_moving(const soma_batch_normalization_options *o) {
    return !o->no_scale + !o->no_center;
}

static soma_status build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_batch_normalization_options *o = soma_layer_options(layer);
    const normalize_affine affine = affine_of(o);
    normalize_axes axis;
    if (!normalize_axis(layer, inputs[0], o->axis, &axis)) return SOMA_SHAPE;
    int64_t channels = inputs[0]->shape[axis.axes[0]];
    TRY(normalize_add_weights(layer, inputs[0], &axis, &affine));
    soma_weight_options moving = {.name = "moving_mean",
                                  .rank = 1,
                                  .shape = {channels},
                                  .initializer = o->moving_mean_initializer,
                                  .not_trainable = true};
    TRY(soma_layer_add_weight(layer, &moving));
    moving.name = "moving_variance";
    moving.initializer = o->moving_variance_initializer;
    if (!moving.initializer.build) moving.initializer = soma_all_ones();
    return soma_layer_add_weight(layer, &moving);
}

/* What standardizes x: y = (x - mean) / sqrt(variance + epsilon), mean and variance (channels). */
typedef struct statistics {
    soma_tensor *x, *mean, *variance;
} statistics;

/* x, or so scaled that its mean is that of the steps that count: mask (batch, steps) or NULL, steps before the
 * channels.
 */
static soma_tensor *counted(soma_tensor *x, soma_tensor *mask, const normalize_axes *axis) {
    if (!mask || axis->axes[0] < mask->rank) return x;
    return loss_mean_of(x, mask_widen(mask, x->rank));
}

/* The batch's statistics, and the moving ones after it. x is given less c, which is the value of its mean as a
 * constant: with m the mean, variance = mean((x - c)^2) - (m - c)^2 and y goes by (x - c) and (m - c) for any c. So
 * written, the gradients of m are sums that those of gamma and beta need too; one through x - m is a pass over x more.
 */
static statistics measure(soma_layer *layer, soma_trace *trace, soma_tensor *x, soma_tensor *mask,
                          const normalize_axes *axis) {
    const soma_batch_normalization_options *o = soma_layer_options(layer);
    int axes[SOMA_MAX_RANK], n = 0, moving = first_moving(o);
    for (int i = 0; i < x->rank; i++)
        if (i != axis->axes[0]) axes[n++] = i;
    soma_tensor *mean = soma_mean(counted(x, mask, axis), n, axes, false), *c = soma_stop_gradient(mean);
    statistics s = {.x = soma_sub(x, normalize_along(c, x, axis)), .mean = soma_sub(mean, c)};
    s.variance = soma_sub(soma_mean(counted(soma_square(s.x), mask, axis), n, axes, false), soma_square(s.mean));
    soma_tensor *const batch[] = {mean, s.variance};
    for (int i = 0; i < 2; i++) {
        soma_tensor *before = soma_mul_scalar(soma_trace_weight(trace, layer, moving + i), o->momentum);
        soma_trace_update(trace, layer, moving + i, soma_add(before, soma_mul_scalar(batch[i], 1 - o->momentum)));
    }
    return s;
}

static soma_tensor *call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_batch_normalization_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_cast(layer, inputs[0]);
    const int moving = first_moving(o);
    normalize_axes axis;
    if (!x || !normalize_axis(layer, x, o->axis, &axis)) return NULL;
    bool measured = soma_trace_training(trace) && !layer->options->frozen;
    statistics s = measured ? measure(layer, trace, x, soma_trace_mask(trace, inputs[0]), &axis)
                            : (statistics){x, soma_trace_weight(trace, layer, moving),
                                           soma_trace_weight(trace, layer, moving + 1)};
    soma_tensor *factor = soma_rsqrt(soma_add_scalar(s.variance, o->epsilon));
    if (!o->no_scale) factor = soma_mul(factor, soma_trace_weight(trace, layer, 0));
    soma_tensor *offset = soma_neg(soma_mul(s.mean, factor));
    if (!o->no_center) offset = soma_add(offset, soma_trace_weight(trace, layer, o->no_scale ? 0 : 1));
    return soma_add(soma_mul(s.x, normalize_along(factor, x, &axis)), normalize_along(offset, x, &axis));
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
