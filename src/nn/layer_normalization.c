/* Normalization of each sample by itself: Layer, RMS, Unit, Group and Instance.
 * Rests on reductions; a row program of the compiler reads x once for mean, variance and result.
 * Variance is the mean of squared distances from the mean, never a difference of large numbers. */
#include <stddef.h>

#include "nn/normalize.h"

/* ---- shared ---- */

bool normalize_axis(const soma_layer *layer, const soma_tensor *x, int64_t axis, int *out) {
    if (axis < 0) axis += x->rank;
    *out = (int)axis;
    if (axis >= 1 && axis < x->rank) return true;
    (void)error_set(layer->context, SOMA_SHAPE, "[%s] axis %lld is not one of a sample's (the batch is axis 0)",
                    layer->kind->name, (long long)axis);
    return false;
}

soma_status normalize_add_weights(soma_layer *layer, int64_t n, const normalize_affine *affine) {
    if (!affine->no_scale) {
        soma_weight_options gamma = {.name = "gamma",
                                     .rank = 1,
                                     .shape = {n},
                                     .initializer = affine->gamma_initializer,
                                     .regularizer = affine->gamma_regularizer,
                                     .constraint = affine->gamma_constraint};
        if (!gamma.initializer.build) gamma.initializer = soma_all_ones();
        TRY(soma_layer_add_weight(layer, &gamma));
    }
    if (affine->no_center) return SOMA_OK;
    return soma_layer_add_weight(layer, &(soma_weight_options){.name = "beta",
                                                               .rank = 1,
                                                               .shape = {n},
                                                               .initializer = affine->beta_initializer,
                                                               .regularizer = affine->beta_regularizer,
                                                               .constraint = affine->beta_constraint});
}

soma_tensor *normalize_along(soma_tensor *weight, int rank, int axis) {
    if (!weight || axis == rank - 1) return weight;
    int64_t shape[SOMA_MAX_RANK];
    for (int i = 0; i < rank; i++)
        shape[i] = i == axis ? weight->shape[0] : 1;
    return soma_reshape(weight, rank, shape);
}

soma_tensor *normalize_affine_of(soma_layer *layer, soma_trace *trace, soma_tensor *x, int axis,
                                 const normalize_affine *affine) {
    if (!x) return NULL;
    int next = 0;
    if (!affine->no_scale) x = soma_mul(x, normalize_along(soma_trace_weight(trace, layer, next++), x->rank, axis));
    if (!affine->no_center && x) x = soma_add(x, normalize_along(soma_trace_weight(trace, layer, next), x->rank, axis));
    return x;
}

/* (x - mean) / sqrt(variance + epsilon) over some axes. */
static soma_tensor *standardize(soma_tensor *x, int n_axes, const int *axes, double epsilon) {
    soma_tensor *centered = soma_sub(x, soma_mean(x, n_axes, axes, true));
    soma_tensor *variance = soma_mean(soma_square(centered), n_axes, axes, true);
    return soma_mul(centered, soma_rsqrt(soma_add_scalar(variance, epsilon)));
}

/* ---- Layer ---- */

#define AFFINE(o)                                                                                                      \
    &(const normalize_affine) {                                                                                        \
        (o)->no_center, (o)->no_scale, (o)->beta_initializer, (o)->gamma_initializer, (o)->beta_regularizer,           \
            (o)->gamma_regularizer, (o)->beta_constraint, (o)->gamma_constraint                                        \
    }

static const soma_field layer_fields[] = {NORMALIZE_FIELDS(soma_layer_normalization_options, 1e-3), {.name = NULL}};

static soma_status layer_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_layer_normalization_options *o = soma_layer_options(layer);
    int axis;
    if (!normalize_axis(layer, inputs[0], o->axis, &axis)) return SOMA_SHAPE;
    return normalize_add_weights(layer, inputs[0]->shape[axis], AFFINE(o));
}

static soma_tensor *layer_apply(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_layer_normalization_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_cast(layer, inputs[0]);
    int axis;
    if (!x || !normalize_axis(layer, x, o->axis, &axis)) return NULL;
    return normalize_affine_of(layer, trace, standardize(x, 1, &axis, o->epsilon), axis, AFFINE(o));
}

const soma_layer_class layer_layer_normalization = {.name = "LayerNormalization",
                                                    .size = sizeof(soma_layer_normalization_options),
                                                    .fields = layer_fields,
                                                    .min_inputs = 1,
                                                    .max_inputs = 1,
                                                    .passes_mask = true,
                                                    .build = layer_build,
                                                    .call = layer_apply};

soma_layer *soma_layer_normalization_create(const soma_layer_normalization_options *options) {
    return soma_layer_create(&layer_layer_normalization, options);
}

/* ---- RMS ---- */

static const soma_field rms_fields[] = {NORMALIZE_AXIS_FIELD(soma_rms_normalization_options),
                                        NORMALIZE_EPSILON_FIELD(soma_rms_normalization_options, 1e-6),
                                        {.name = NULL}};

static soma_status rms_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_rms_normalization_options *o = soma_layer_options(layer);
    int axis;
    if (!normalize_axis(layer, inputs[0], o->axis, &axis)) return SOMA_SHAPE;
    return soma_layer_add_weight(
        layer, &(soma_weight_options){
                   .name = "scale", .rank = 1, .shape = {inputs[0]->shape[axis]}, .initializer = soma_all_ones()});
}

static soma_tensor *rms_apply(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_rms_normalization_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_cast(layer, inputs[0]);
    int axis;
    if (!x || !normalize_axis(layer, x, o->axis, &axis)) return NULL;
    soma_tensor *power = soma_mean(soma_square(x), 1, &axis, true);
    soma_tensor *y = soma_mul(x, soma_rsqrt(soma_add_scalar(power, o->epsilon)));
    return soma_mul(y, normalize_along(soma_trace_weight(trace, layer, 0), x->rank, axis));
}

const soma_layer_class layer_rms_normalization = {.name = "RMSNormalization",
                                                  .size = sizeof(soma_rms_normalization_options),
                                                  .fields = rms_fields,
                                                  .min_inputs = 1,
                                                  .max_inputs = 1,
                                                  .passes_mask = true,
                                                  .build = rms_build,
                                                  .call = rms_apply};

soma_layer *soma_rms_normalization_create(const soma_rms_normalization_options *options) {
    return soma_layer_create(&layer_rms_normalization, options);
}

/* ---- Unit ---- */

static const soma_field unit_fields[] = {NORMALIZE_AXIS_FIELD(soma_unit_normalization_options), {.name = NULL}};

static soma_tensor *unit(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    const soma_unit_normalization_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_float(layer, inputs[0]);
    int axis;
    if (!x || !normalize_axis(layer, x, o->axis, &axis)) return NULL;
    soma_tensor *squares = soma_sum(soma_square(x), 1, &axis, true);
    return soma_mul(x, soma_rsqrt(soma_maximum(squares, soma_scalar(x->graph, x->dtype, 1e-24))));
}

const soma_layer_class layer_unit_normalization = {.name = "UnitNormalization",
                                                   .size = sizeof(soma_unit_normalization_options),
                                                   .fields = unit_fields,
                                                   .min_inputs = 1,
                                                   .max_inputs = 1,
                                                   .call = unit,
                                                   .passes_mask = true};

soma_layer *soma_unit_normalization_create(const soma_unit_normalization_options *options) {
    return soma_layer_create(&layer_unit_normalization, options);
}

/* ---- Group and Instance ---- */

static const soma_field group_fields[] = {{.name = "groups",
                                           .kind = SOMA_FIELD_INT,
                                           .offset = offsetof(soma_group_normalization_options, groups),
                                           .standard = 32,
                                           .low = -1,
                                           .high = INT32_MAX},
                                          NORMALIZE_FIELDS(soma_group_normalization_options, 1e-3),
                                          {.name = NULL}};

/* x with its channels split as (groups, channels of a group), standardized over all but the batch and the groups. */
static soma_tensor *standardize_groups(soma_tensor *x, int axis, int64_t groups, double epsilon) {
    if (!x) return NULL;
    int64_t shape[SOMA_MAX_RANK];
    int axes[SOMA_MAX_RANK], n = 0, rank = 0;
    RETURN_NULL_IF(x->graph->context, x->rank == SOMA_MAX_RANK, SOMA_SHAPE, "[GroupNormalization] rank %d is too much",
                   x->rank);
    for (int i = 0; i < x->rank; i++) {
        if (i == axis) {
            shape[rank++] = groups;
            shape[rank] = x->shape[i] / groups;
        } else {
            shape[rank] = x->shape[i];
        }
        if (i > 0) axes[n++] = rank;
        rank++;
    }
    soma_tensor *y = standardize(soma_reshape(x, rank, shape), n, axes, epsilon);
    return soma_reshape(y, x->rank, x->shape);
}

static soma_status group_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_group_normalization_options *o = soma_layer_options(layer);
    int axis;
    if (!normalize_axis(layer, inputs[0], o->axis, &axis)) return SOMA_SHAPE;
    int64_t channels = inputs[0]->shape[axis], groups = o->groups < 0 ? channels : o->groups;
    RETURN_IF(layer->context, groups == 0 || channels % groups != 0, SOMA_SHAPE,
              "[GroupNormalization] %lld channels are not a multiple of %lld groups", (long long)channels,
              (long long)groups);
    return normalize_add_weights(layer, channels, AFFINE(o));
}

static soma_tensor *group_apply(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_group_normalization_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_cast(layer, inputs[0]);
    int axis;
    if (!x || !normalize_axis(layer, x, o->axis, &axis)) return NULL;
    soma_tensor *y = standardize_groups(x, axis, o->groups < 0 ? x->shape[axis] : o->groups, o->epsilon);
    return normalize_affine_of(layer, trace, y, axis, AFFINE(o));
}

const soma_layer_class layer_group_normalization = {.name = "GroupNormalization",
                                                    .size = sizeof(soma_group_normalization_options),
                                                    .fields = group_fields,
                                                    .min_inputs = 1,
                                                    .max_inputs = 1,
                                                    .build = group_build,
                                                    .call = group_apply};

soma_layer *soma_group_normalization_create(const soma_group_normalization_options *options) {
    return soma_layer_create(&layer_group_normalization, options);
}

static soma_tensor *instance_apply(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_layer_normalization_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_cast(layer, inputs[0]);
    int axis;
    if (!x || !normalize_axis(layer, x, o->axis, &axis)) return NULL;
    return normalize_affine_of(layer, trace, standardize_groups(x, axis, x->shape[axis], o->epsilon), axis, AFFINE(o));
}

const soma_layer_class layer_instance_normalization = {.name = "InstanceNormalization",
                                                       .size = sizeof(soma_layer_normalization_options),
                                                       .fields = layer_fields,
                                                       .min_inputs = 1,
                                                       .max_inputs = 1,
                                                       .build = layer_build,
                                                       .call = instance_apply};

soma_layer *soma_instance_normalization_create(const soma_layer_normalization_options *options) {
    return soma_layer_create(&layer_instance_normalization, options);
}
