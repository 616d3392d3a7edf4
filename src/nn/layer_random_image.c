/* Augmentation without resampling: RandomFlip, RandomBrightness, RandomContrast, CenterCrop, RandomCrop.
 * Rests on random_image.h. A number an image broadcasts over its pixels, so all of it fuses with what comes next.
 * A random part is read by gathers, rows first: where it begins differs from image to image. */
#include "nn/random_image.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "nn/resize.h"

enum { MOST_CROPPED = 1 << 24 };

random_range random_image_range(const double given[2]) {
    return given[0] > 0 && given[1] == 0 ? (random_range){-given[0], given[0]} : (random_range){given[0], given[1]};
}

soma_tensor *random_image_number(soma_tensor *x, random_range range, soma_tensor *draws) {
    return soma_random_uniform(x->graph, x->dtype, SOMA_DIMS(x->shape[0], 1, 1, 1), range.low, range.high, draws);
}

soma_tensor *random_image_call(soma_layer *layer, soma_trace *trace, soma_tensor *input, const char *data_format,
                               bool always, random_image_fn *function) {
    bool first;
    soma_tensor *x = layer_float(layer, input);
    if (!x) return NULL;
    RETURN_NULL_IF(layer->context, x->rank != 4, SOMA_SHAPE, "[%s] a sample of rank %d is given, not 3",
                   layer->kind->name, x->rank - 1);
    if (places_format(layer, x, data_format, &first) != SOMA_OK) return NULL;
    if (!soma_trace_training(trace) && !always) return x;
    soma_tensor *draws = soma_trace_training(trace) ? soma_trace_step(trace) : NULL;
    if (soma_trace_training(trace) && !draws) return NULL;
    return places_first(function(layer, places_last(x, first), draws), first);
}

/* ---- flip ---- */

static const soma_field flip_fields[] = {PLACES_STRING_FIELD(soma_random_flip_options, mode),
                                         PLACES_STRING_FIELD(soma_random_flip_options, data_format),
                                         {.name = NULL}};

static soma_tensor *flip_axis(soma_tensor *x, int axis, soma_tensor *draws) {
    if (!x) return NULL;
    soma_tensor *turned = soma_slice_axis(x, axis, -1, SOMA_END, -1);
    soma_tensor *u = random_image_number(x, (random_range){0, 1}, draws);
    return soma_where(soma_less(u, soma_scalar(x->graph, x->dtype, 0.5)), turned, x);
}

static soma_tensor *flip(soma_layer *layer, soma_tensor *x, soma_tensor *draws) {
    const soma_random_flip_options *o = soma_layer_options(layer);
    const char *mode = o->mode ? o->mode : "horizontal_and_vertical";
    const bool both = strcmp(mode, "horizontal_and_vertical") == 0;
    const bool horizontal = both || strcmp(mode, "horizontal") == 0, vertical = both || strcmp(mode, "vertical") == 0;
    RETURN_NULL_IF(layer->context, !horizontal && !vertical, SOMA_INVALID,
                   "[RandomFlip] mode is '%s': it must be horizontal, vertical or horizontal_and_vertical", mode);
    if (!draws) return x;
    if (vertical) x = flip_axis(x, 1, draws);
    return horizontal ? flip_axis(x, 2, draws) : x;
}

/* ---- brightness and contrast ---- */

#define COLOUR(member) offsetof(soma_random_colour_options, member)
static const soma_field colour_fields[] = {
    {.name = "factor", .kind = SOMA_FIELD_RANGE, .offset = COLOUR(factor)},
    {.name = "value_range", .kind = SOMA_FIELD_RANGE, .offset = COLOUR(value_range)},
    PLACES_STRING_FIELD(soma_random_colour_options, data_format),
    {.name = NULL}};

static random_range values_of(const soma_random_colour_options *o) {
    const double *given = o->value_range;
    return given[0] == given[1] ? (random_range){0, 255} : (random_range){given[0], given[1]};
}

static soma_tensor *brighten(soma_layer *layer, soma_tensor *x, soma_tensor *draws) {
    const soma_random_colour_options *o = soma_layer_options(layer);
    const random_range range = random_image_range(o->factor), values = values_of(o);
    RETURN_NULL_IF(layer->context, range.low < -1 || range.high > 1, SOMA_INVALID,
                   "[RandomBrightness] factor must lie between -1 and 1");
    if (!draws) return x;
    soma_tensor *more = soma_mul_scalar(random_image_number(x, range, draws), values.high - values.low);
    return soma_clip(soma_add(x, more), values.low, values.high);
}

static soma_tensor *contrast(soma_layer *layer, soma_tensor *x, soma_tensor *draws) {
    const soma_random_colour_options *o = soma_layer_options(layer);
    const random_range range = {o->factor[0], o->factor[1] == 0 ? o->factor[0] : o->factor[1]}, values = values_of(o);
    RETURN_NULL_IF(layer->context, range.low < 0 || range.high < 0 || range.low > 1, SOMA_INVALID,
                   "[RandomContrast] factor must be at least 0, and its low end at most 1");
    if (!draws) return x;
    soma_tensor *f = random_image_number(x, (random_range){1 - range.low, 1 + range.high}, draws);
    soma_tensor *mean = soma_mean(x, SOMA_AXES(1, 2), true);
    return soma_clip(soma_add(soma_mul(soma_sub(x, mean), f), mean), values.low, values.high);
}

/* ---- crops ---- */

#define CROP(member) offsetof(soma_crop_options, member)
static const soma_field crop_fields[] = {
    {.name = "height", .kind = SOMA_FIELD_INT, .offset = CROP(height), .low = 1, .high = MOST_CROPPED},
    {.name = "width", .kind = SOMA_FIELD_INT, .offset = CROP(width), .low = 1, .high = MOST_CROPPED},
    PLACES_STRING_FIELD(soma_crop_options, data_format),
    {.name = NULL}};

static soma_tensor *middle(soma_tensor *x, int axis, int64_t n) {
    const int64_t start = x ? (x->shape[axis] - n) / 2 : 0;
    return soma_slice_axis(x, axis, start, start + n, 1);
}

/* The largest part in the middle that has the aspect ratio of the crop, resized to it. */
static soma_tensor *smaller(soma_tensor *x, const soma_crop_options *o) {
    const double ratio = (double)o->height / (double)o->width;
    const double rows = (double)x->shape[1], columns = (double)x->shape[2];
    const int64_t height = (int64_t)fmax(1, fmin(rows, floor(columns * ratio)));
    const int64_t width = (int64_t)fmax(1, fmin(columns, floor(rows / ratio)));
    x = middle(middle(x, 1, height), 2, width);
    return resize_axis(resize_axis(x, 1, o->height, true), 2, o->width, true);
}

/* Rows or columns n of each image (batch, extent, ...), from a place of its own on. */
static soma_tensor *part_of(soma_tensor *x, int64_t n, soma_tensor *draws) {
    if (!x) return NULL;
    const int64_t batch = x->shape[0], extent = x->shape[1];
    const int64_t flat[SOMA_MAX_RANK] = {batch * extent, x->shape[2], x->shape[3]};
    soma_graph *graph = x->graph;
    soma_tensor *u = soma_random_uniform(graph, SOMA_F64, SOMA_DIMS(batch, 1), 0, (double)(extent - n + 1), draws);
    soma_tensor *start =
        soma_cast(soma_minimum(soma_floor(u), soma_scalar(graph, SOMA_F64, (double)(extent - n))), SOMA_I64);
    soma_tensor *image = soma_arange(graph, SOMA_I64, 0, (double)(batch * extent), (double)extent);
    soma_tensor *places = soma_add(soma_add(start, soma_reshape(image, SOMA_DIMS(batch, 1))),
                                   soma_arange(graph, SOMA_I64, 0, (double)n, 1));
    return soma_gather(soma_reshape(x, 3, flat), places, 0);
}

static const int columns_first[] = {0, 2, 1, 3};

static soma_tensor *crop(soma_layer *layer, soma_tensor *x, soma_tensor *draws) {
    const soma_crop_options *o = soma_layer_options(layer);
    if (x->shape[1] < o->height || x->shape[2] < o->width) return smaller(x, o);
    if (!draws) return middle(middle(x, 1, o->height), 2, o->width);
    x = soma_transpose(part_of(x, o->height, draws), columns_first);
    return soma_transpose(part_of(x, o->width, draws), columns_first);
}

static soma_tensor *crop_middle(soma_layer *layer, soma_tensor *x, soma_tensor *draws) {
    (void)draws;
    return crop(layer, x, NULL);
}

/* ---- the classes ---- */

#define IMAGE_LAYER(word, class_name, type, field_list, always, function)                                              \
    static soma_tensor *word(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {                \
        (void)n;                                                                                                       \
        const type *o = soma_layer_options(layer);                                                                     \
        return random_image_call(layer, trace, inputs[0], o->data_format, always, function);                           \
    }                                                                                                                  \
    const soma_layer_class layer_##word = {.name = class_name,                                                         \
                                           .size = sizeof(type),                                                       \
                                           .fields = field_list,                                                       \
                                           .min_inputs = 1,                                                            \
                                           .max_inputs = 1,                                                            \
                                           .call = word};                                                              \
    soma_layer *soma_##word##_create(const type *options) {                                                            \
        return soma_layer_create(&layer_##word, options);                                                              \
    }
IMAGE_LAYER(random_flip, "RandomFlip", soma_random_flip_options, flip_fields, false, flip)
IMAGE_LAYER(random_brightness, "RandomBrightness", soma_random_colour_options, colour_fields, false, brighten)
IMAGE_LAYER(random_contrast, "RandomContrast", soma_random_colour_options, colour_fields, false, contrast)
IMAGE_LAYER(center_crop, "CenterCrop", soma_crop_options, crop_fields, true, crop_middle)
IMAGE_LAYER(random_crop, "RandomCrop", soma_crop_options, crop_fields, true, crop)
#undef IMAGE_LAYER
