/* What the normalizing layers share: their fields, gamma and beta, and the axis that these lie along.
 * Rests on layer.h. */
#ifndef NN_NORMALIZE_H
#define NN_NORMALIZE_H

#include <soma/layers.h>

#include "nn/layer.h"

#define NORMALIZE_AXIS_FIELD(type)                                                                                     \
    {                                                                                                                  \
        .name = "axis", .kind = SOMA_FIELD_INT, .offset = offsetof(type, axis), .standard = -1, .low = -SOMA_MAX_RANK, \
        .high = SOMA_MAX_RANK                                                                                          \
    }
#define NORMALIZE_AXES_FIELD(type)                                                                                     \
    { .name = "axis", .kind = SOMA_FIELD_AXES, .offset = offsetof(type, axis), .standard = -1 }
#define NORMALIZE_EPSILON_FIELD(type, epsilon_default)                                                                 \
    {                                                                                                                  \
        .name = "epsilon", .kind = SOMA_FIELD_NUMBER, .offset = offsetof(type, epsilon), .standard = epsilon_default,  \
        .low = 0, .high = 1e300                                                                                        \
    }
/* epsilon, and all of normalize_affine. */
#define NORMALIZE_FIELDS(type, epsilon_default)                                                                        \
    NORMALIZE_EPSILON_FIELD(type, epsilon_default),                                                                    \
        {.name = "center", .kind = SOMA_FIELD_NOT, .offset = offsetof(type, no_center)},                               \
        {.name = "scale", .kind = SOMA_FIELD_NOT, .offset = offsetof(type, no_scale)},                                 \
        {.name = "beta_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = offsetof(type, beta_initializer)},      \
        {.name = "gamma_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = offsetof(type, gamma_initializer)},    \
        {.name = "beta_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = offsetof(type, beta_regularizer)},      \
        {.name = "gamma_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = offsetof(type, gamma_regularizer)},    \
        {.name = "beta_constraint", .kind = SOMA_FIELD_CONSTRAINT, .offset = offsetof(type, beta_constraint)}, {       \
        .name = "gamma_constraint", .kind = SOMA_FIELD_CONSTRAINT, .offset = offsetof(type, gamma_constraint)          \
    }

/* gamma and beta of a layer. */
typedef struct normalize_affine {
    bool no_center, no_scale;
    soma_initializer beta_initializer, gamma_initializer;
    soma_regularizer beta_regularizer, gamma_regularizer;
    soma_constraint beta_constraint, gamma_constraint;
} normalize_affine;

/* Axes of a sample, counted with the batch as 0, in order. */
typedef struct normalize_axes {
    int n, axes[SOMA_MAX_RANK];
} normalize_axes;

/* An axis of x, or several, counted from the front; false with an error when one is none of a sample's, or there twice.
 */
bool normalize_axis(const soma_layer *layer, const soma_tensor *x, int64_t axis, normalize_axes *out);
bool normalize_axes_of(const soma_layer *layer, const soma_tensor *x, const int64_t *axes, normalize_axes *out);
/* The weights gamma and beta of x's extents along these axes, as far as wanted, in this order. */
soma_status normalize_add_weights(soma_layer *layer, const soma_tensor *x, const normalize_axes *axes,
                                  const normalize_affine *affine);
/* Such a weight in a shape that broadcasts to x's. */
soma_tensor *normalize_along(soma_tensor *weight, const soma_tensor *x, const normalize_axes *axes);
/* gamma x + beta, as far as wanted; the layer's first weights. */
soma_tensor *normalize_affine_of(soma_layer *layer, soma_trace *trace, soma_tensor *x, const normalize_axes *axes,
                                 const normalize_affine *affine);

#endif
