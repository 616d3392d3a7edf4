/* Layers that move places about: Permute, RepeatVector, ZeroPadding, Cropping, UpSampling.
 * Rests on views, which cost nothing, and on pad.
 * Sizes are lists as in Keras, short or long: one number for all, one an axis, or two an axis. */
#include <stddef.h>

#include <soma/layers.h>

#include "nn/resize.h"

/* ---- Permute ---- */

static const soma_field permute_fields[] = {
    {.name = "dims", .kind = SOMA_FIELD_SHAPE, .offset = offsetof(soma_permute_options, dims)}, {.name = NULL}};

static soma_tensor *permute(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    const soma_permute_options *o = soma_layer_options(layer);
    soma_tensor *x = inputs[0];
    int order[SOMA_MAX_RANK] = {0};
    bool used[SOMA_MAX_RANK + 1] = {true};
    bool right = places_count(o->dims) == x->rank - 1;
    for (int i = 1; right && i < x->rank; i++) {
        int64_t dim = o->dims[i - 1];
        right = dim >= 1 && dim < x->rank && !used[dim];
        if (!right) break;
        used[dim] = true;
        order[i] = (int)dim;
    }
    RETURN_NULL_IF(layer->context, !right, SOMA_SHAPE, "[Permute] dims must be the numbers 1 to %d in some order",
                   x->rank - 1);
    return soma_transpose(x, order);
}

const soma_layer_class layer_permute = {.name = "Permute",
                                        .size = sizeof(soma_permute_options),
                                        .fields = permute_fields,
                                        .min_inputs = 1,
                                        .max_inputs = 1,
                                        .call = permute};

soma_layer *soma_permute_create(const soma_permute_options *options) {
    return soma_layer_create(&layer_permute, options);
}

/* ---- RepeatVector ---- */

static const soma_field repeat_fields[] = {
    {.name = "n", .kind = SOMA_FIELD_INT, .offset = offsetof(soma_repeat_vector_options, n), .low = 1, .high = 0x1p53},
    {.name = NULL}};

static soma_tensor *repeat(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    const soma_repeat_vector_options *o = soma_layer_options(layer);
    soma_tensor *x = inputs[0];
    RETURN_NULL_IF(layer->context, x->rank != 2, SOMA_SHAPE, "[RepeatVector] a sample must be a vector");
    return soma_expand(soma_expand_dims(x, 1), SOMA_DIMS(x->shape[0], o->n, x->shape[1]));
}

const soma_layer_class layer_repeat_vector = {.name = "RepeatVector",
                                              .size = sizeof(soma_repeat_vector_options),
                                              .fields = repeat_fields,
                                              .min_inputs = 1,
                                              .max_inputs = 1,
                                              .call = repeat};

soma_layer *soma_repeat_vector_create(const soma_repeat_vector_options *options) {
    return soma_layer_create(&layer_repeat_vector, options);
}

/* ---- ZeroPadding and Cropping ---- */

static soma_tensor *pad(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    const soma_borders_options *o = soma_layer_options(layer);
    int64_t sizes[MOST_PLACES][2], before[SOMA_MAX_RANK] = {0}, after[SOMA_MAX_RANK] = {0};
    bool first;
    int axes = places_of(layer);
    if (places_format(layer, inputs[0], o->data_format, &first) != SOMA_OK ||
        places_borders(layer, "padding", o->sizes, axes, 1, sizes) != SOMA_OK)
        return NULL;
    for (int i = 0; i < axes; i++) {
        before[i + 1 + first] = sizes[i][0];
        after[i + 1 + first] = sizes[i][1];
    }
    return soma_pad(inputs[0], before, after, 0);
}

static soma_tensor *crop(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    const soma_borders_options *o = soma_layer_options(layer);
    int64_t sizes[MOST_PLACES][2];
    bool first;
    int axes = places_of(layer);
    if (places_format(layer, inputs[0], o->data_format, &first) != SOMA_OK ||
        places_borders(layer, "cropping", o->sizes, axes, 1, sizes) != SOMA_OK)
        return NULL;
    soma_tensor *y = inputs[0];
    for (int i = 0; y && i < axes; i++) {
        int64_t extent = y->shape[i + 1 + first];
        RETURN_NULL_IF(layer->context, sizes[i][0] >= extent || sizes[i][1] >= extent - sizes[i][0], SOMA_SHAPE,
                       "[%s] nothing is left of an axis of %lld", layer->kind->name, (long long)extent);
        y = soma_slice_axis(y, i + 1 + first, sizes[i][0], extent - sizes[i][1], 1);
    }
    return y;
}

static const soma_field padding_fields[] = {
    {.name = "padding", .kind = SOMA_FIELD_SHAPE, .offset = offsetof(soma_borders_options, sizes)},
    PLACES_STRING_FIELD(soma_borders_options, data_format),
    {.name = NULL}};
static const soma_field cropping_fields[] = {
    {.name = "cropping", .kind = SOMA_FIELD_SHAPE, .offset = offsetof(soma_borders_options, sizes)},
    PLACES_STRING_FIELD(soma_borders_options, data_format),
    {.name = NULL}};

#define BORDERS(word, class_name, function, field_list)                                                                \
    const soma_layer_class layer_##word = {.name = class_name,                                                         \
                                           .size = sizeof(soma_borders_options),                                       \
                                           .fields = field_list,                                                       \
                                           .min_inputs = 1,                                                            \
                                           .max_inputs = 1,                                                            \
                                           .call = function};                                                          \
    soma_layer *soma_##word##_create(const soma_borders_options *options) {                                            \
        return soma_layer_create(&layer_##word, options);                                                              \
    }
BORDERS(zero_padding_1d, "ZeroPadding1D", pad, padding_fields)
BORDERS(zero_padding_2d, "ZeroPadding2D", pad, padding_fields)
BORDERS(zero_padding_3d, "ZeroPadding3D", pad, padding_fields)
BORDERS(cropping_1d, "Cropping1D", crop, cropping_fields)
BORDERS(cropping_2d, "Cropping2D", crop, cropping_fields)
BORDERS(cropping_3d, "Cropping3D", crop, cropping_fields)
#undef BORDERS

/* ---- UpSampling ---- */

#define UP_FIELDS                                                                                                      \
    PLACES_LIST_FIELD(soma_up_sampling_options, size), PLACES_STRING_FIELD(soma_up_sampling_options, data_format)
static const soma_field up_fields[] = {UP_FIELDS, {.name = NULL}};
static const soma_field up_fields_2d[] = {
    UP_FIELDS, PLACES_STRING_FIELD(soma_up_sampling_options, interpolation), {.name = NULL}};

/* (.., n, ..) -> (.., n, 1, ..) -> (.., n, size, ..) -> (.., n size, ..), one axis after the other; the product fits.
 */
static soma_tensor *repeat_axis(soma_tensor *x, int axis, int64_t size) {
    soma_tensor *y = soma_expand_dims(x, axis + 1);
    if (!y || size == 1) return x;
    int64_t shape[SOMA_MAX_RANK], merged[SOMA_MAX_RANK];
    for (int i = 0; i < y->rank; i++)
        shape[i] = i == axis + 1 ? size : y->shape[i];
    for (int i = 0; i < x->rank; i++)
        merged[i] = x->shape[i];
    merged[axis] = x->shape[axis] * size;
    return soma_reshape(soma_expand(y, y->rank, shape), x->rank, merged);
}

static soma_tensor *up_sample(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    const soma_up_sampling_options *o = soma_layer_options(layer);
    int64_t size[MOST_PLACES];
    bool first, bilinear = false;
    int axes = places_of(layer);
    if (places_format(layer, inputs[0], o->data_format, &first) != SOMA_OK ||
        places_list(layer, "size", o->size, axes, 2, size) != SOMA_OK ||
        (o->interpolation && resize_interpolation(layer, o->interpolation, &bilinear) != SOMA_OK))
        return NULL;
    soma_tensor *y = places_last(bilinear ? layer_float(layer, inputs[0]) : inputs[0], first);
    for (int i = 0; y && i < axes; i++) {
        int64_t wanted;
        RETURN_NULL_IF(layer->context, !int64_mul_checked(y->shape[i + 1], size[i], &wanted), SOMA_SHAPE,
                       "[%s] the result would be too large", layer->kind->name);
        y = bilinear ? resize_axis(y, i + 1, wanted, true) : repeat_axis(y, i + 1, size[i]);
    }
    return places_first(y, first);
}

#define UP_SAMPLING(word, class_name, field_list)                                                                      \
    const soma_layer_class layer_##word = {.name = class_name,                                                         \
                                           .size = sizeof(soma_up_sampling_options),                                   \
                                           .fields = field_list,                                                       \
                                           .min_inputs = 1,                                                            \
                                           .max_inputs = 1,                                                            \
                                           .call = up_sample};                                                         \
    soma_layer *soma_##word##_create(const soma_up_sampling_options *options) {                                        \
        return soma_layer_create(&layer_##word, options);                                                              \
    }
UP_SAMPLING(up_sampling_1d, "UpSampling1D", up_fields)
UP_SAMPLING(up_sampling_2d, "UpSampling2D", up_fields_2d)
UP_SAMPLING(up_sampling_3d, "UpSampling3D", up_fields)
#undef UP_SAMPLING
