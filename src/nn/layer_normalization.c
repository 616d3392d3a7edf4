/* Normalization of each sample by itself: Layer, RMS, Unit, Group and Instance.
 * Rests on reductions; a row program of the compiler reads x once for mean, variance and result.
 * Variance is the mean of squared distances from the mean, never a difference of large numbers. */
#include <stddef.h>

#include "nn/normalize.h"

/* ---- shared ---- */

bool normalize_axes_of(const soma_layer *layer, const soma_tensor *x, const int64_t *list, normalize_axes *out) {
    bool there[SOMA_MAX_RANK] = {false};
    for (int i = 0; i < SOMA_MAX_RANK && list[i] != 0; i++) {
        const int64_t axis = list[i] < 0 ? list[i] + x->rank : list[i];
        const bool right = axis >= 1 && axis < x->rank;
        if (!right || there[axis]) {
            (void)error_set(layer->context, SOMA_SHAPE,
                            right ? "[%s] axis %lld is there twice"
                                  : "[%s] axis %lld is not one of a sample's (the batch is axis 0)",
                            layer->kind->name, (long long)axis);
            return false;
        }
        there[axis] = true;
    }
    out->n = 0;
    for (int axis = 0; axis < x->rank; axis++)
        if (there[axis]) out->axes[out->n++] = axis;
    return true;
}

bool normalize_axis(const soma_layer *layer, const soma_tensor *x, int64_t axis, normalize_axes *out) {
    const int64_t list[SOMA_MAX_RANK] = {axis ? axis : x->rank /* none, as the batch is */};
    return normalize_axes_of(layer, x, list, out);
}

soma_status normalize_add_weights(soma_layer *layer, const soma_tensor *x, const normalize_axes *axes,
                                  const normalize_affine *affine) {
    soma_weight_options weight = {.name = "gamma",
                                  .rank = axes->n,
                                  .initializer = affine->gamma_initializer,
                                  .regularizer = affine->gamma_regularizer,
                                  .constraint = affine->gamma_constraint};
    for (int i = 0; i < axes->n; i++)
        weight.shape[i] = x->shape[axes->axes[i]];
    if (!weight.initializer.build) weight.initializer = soma_all_ones();
    if (!affine->no_scale) TRY(soma_layer_add_weight(layer, &weight));
    weight.name = "beta";
    weight.initializer = affine->beta_initializer;
    weight.regularizer = affine->beta_regularizer;
    weight.constraint = affine->beta_constraint;
    return affine->no_center ? SOMA_OK : soma_layer_add_weight(layer, &weight);
}

soma_tensor *normalize_along(soma_tensor *weight, const soma_tensor *x, const normalize_axes *axes) {
    if (!weight || !x || axes->axes[0] == x->rank - axes->n) return weight; /* the last ones */
    int64_t shape[SOMA_MAX_RANK];
    for (int i = 0; i < x->rank; i++)
        shape[i] = 1;
    for (int i = 0; i < axes->n; i++)
        shape[axes->axes[i]] = weight->shape[i];
    return soma_reshape(weight, x->rank, shape);
}

soma_tensor *normalize_affine_of(soma_layer *layer, soma_trace *trace, soma_tensor *x, const normalize_axes *axes,
                                 const normalize_affine *affine) {
    if (!x) return NULL;
    int next = 0;
    if (!affine->no_scale) x = soma_mul(x, normalize_along(soma_trace_weight(trace, layer, next++), x, axes));
    if (!affine->no_center && x) x = soma_add(x, normalize_along(soma_trace_weight(trace, layer, next), x, axes));
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

static const soma_field layer_fields[] = {NORMALIZE_AXES_FIELD(soma_layer_normalization_options),
                                          NORMALIZE_FIELDS(soma_layer_normalization_options, 1e-3),
                                          {.name = NULL}};

static soma_status layer_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_layer_normalization_options *o = soma_layer_options(layer);
    normalize_axes axes;
    if (!normalize_axes_of(layer, inputs[0], o->axis, &axes)) return SOMA_SHAPE;
    return normalize_add_weights(layer, inputs[0], &axes, AFFINE(o));
}

static soma_tensor *layer_apply(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_layer_normalization_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_cast(layer, inputs[0]);
    normalize_axes axes;
    if (!x || !normalize_axes_of(layer, x, o->axis, &axes)) return NULL;
    return normalize_affine_of(layer, trace, standardize(x, axes.n, axes.axes, o->epsilon), &axes, AFFINE(o));
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

static const soma_field rms_fields[] = {NORMALIZE_AXES_FIELD(soma_rms_normalization_options),
                                        NORMALIZE_EPSILON_FIELD(soma_rms_normalization_options, 1e-6),
                                        {.name = NULL}};

static soma_status rms_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_rms_normalization_options *o = soma_layer_options(layer);
    normalize_axes axes;
    if (!normalize_axes_of(layer, inputs[0], o->axis, &axes)) return SOMA_SHAPE;
    soma_weight_options scale = {.name = "scale", .rank = axes.n, .initializer = soma_all_ones()};
    for (int i = 0; i < axes.n; i++)
        scale.shape[i] = inputs[0]->shape[axes.axes[i]];
    return soma_layer_add_weight(layer, &scale);
}

static soma_tensor *rms_apply(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_rms_normalization_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_cast(layer, inputs[0]);
    normalize_axes axes;
    if (!x || !normalize_axes_of(layer, x, o->axis, &axes)) return NULL;
    soma_tensor *power = soma_mean(soma_square(x), axes.n, axes.axes, true);
    soma_tensor *y = soma_mul(x, soma_rsqrt(soma_add_scalar(power, o->epsilon)));
    return soma_mul(y, normalize_along(soma_trace_weight(trace, layer, 0), x, &axes));
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

static const soma_field unit_fields[] = {NORMALIZE_AXES_FIELD(soma_unit_normalization_options), {.name = NULL}};

static soma_tensor *unit(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    const soma_unit_normalization_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_float(layer, inputs[0]);
    normalize_axes axes;
    if (!x || !normalize_axes_of(layer, x, o->axis, &axes)) return NULL;
    soma_tensor *squares = soma_sum(soma_square(x), axes.n, axes.axes, true);
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
                                          NORMALIZE_AXIS_FIELD(soma_group_normalization_options),
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
    normalize_axes axis;
    if (!normalize_axis(layer, inputs[0], o->axis, &axis)) return SOMA_SHAPE;
    int64_t channels = inputs[0]->shape[axis.axes[0]], groups = o->groups < 0 ? channels : o->groups;
    RETURN_IF(layer->context, groups == 0 || channels % groups != 0, SOMA_SHAPE,
              "[GroupNormalization] %lld channels are not a multiple of %lld groups", (long long)channels,
              (long long)groups);
    return normalize_add_weights(layer, inputs[0], &axis, AFFINE(o));
}

static soma_tensor *group_apply(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_group_normalization_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_cast(layer, inputs[0]);
    normalize_axes axis;
    if (!x || !normalize_axis(layer, x, o->axis, &axis)) return NULL;
    const int at = axis.axes[0];
    soma_tensor *y = standardize_groups(x, at, o->groups < 0 ? x->shape[at] : o->groups, o->epsilon);
    return normalize_affine_of(layer, trace, y, &axis, AFFINE(o));
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
    normalize_axes axis;
    if (!x || !normalize_axes_of(layer, x, o->axis, &axis)) return NULL;
    RETURN_NULL_IF(layer->context, axis.n != 1, SOMA_INVALID, "[InstanceNormalization] %d axes: channels have one",
                   axis.n);
    const int at = axis.axes[0];
    return normalize_affine_of(layer, trace, standardize_groups(x, at, x->shape[at], o->epsilon), &axis, AFFINE(o));
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
