/* Augmentation by resampling: RandomTranslation, RandomRotation, RandomZoom.
 * Rests on random_image.h and gather. Each pixel of the result has a place in the image, an affine function of its own
 * place; there the image is read, between four pixels or at the nearest.
 * Places are float: exact for images below 2^23 rows or columns. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "nn/random_image.h"
#include "nn/resize.h"

#define FIELD(member) offsetof(soma_random_affine_options, member)
#define SAMPLING_FIELDS                                                                                                \
    PLACES_STRING_FIELD(soma_random_affine_options, fill_mode),                                                        \
        {.name = "fill_value", .kind = SOMA_FIELD_NUMBER, .offset = FIELD(fill_value)},                                \
        PLACES_STRING_FIELD(soma_random_affine_options, interpolation),                                                \
        PLACES_STRING_FIELD(soma_random_affine_options, data_format), {                                                \
        .name = NULL                                                                                                   \
    }

static const soma_field rotation_fields[] = {{.name = "factor", .kind = SOMA_FIELD_RANGE, .offset = FIELD(factor)},
                                             SAMPLING_FIELDS};
static const soma_field scale_fields[] = {
    {.name = "height_factor", .kind = SOMA_FIELD_RANGE, .offset = FIELD(height_factor)},
    {.name = "width_factor", .kind = SOMA_FIELD_RANGE, .offset = FIELD(width_factor)},
    SAMPLING_FIELDS};

/* ---- reading images between their pixels ---- */

typedef enum fill_mode { FILL_REFLECT, FILL_WRAP, FILL_NEAREST, FILL_CONSTANT, FILL_MODES } fill_mode;

typedef struct sampling {
    soma_tensor *pixels; /* (batch rows columns, channels) */
    int64_t batch, rows, columns;
    soma_tensor *images; /* (batch, 1, 1), int64: where each begins among the pixels */
    fill_mode fill;
    double fill_value;
} sampling;

static soma_status read_fill(const soma_layer *layer, const soma_random_affine_options *o, fill_mode *out) {
    static const char *const words[FILL_MODES] = {"reflect", "wrap", "nearest", "constant"};
    const char *word = o->fill_mode ? o->fill_mode : words[0];
    int i = 0;
    while (i < FILL_MODES && strcmp(words[i], word) != 0)
        i++;
    RETURN_IF(layer->context, i == FILL_MODES, SOMA_INVALID,
              "[%s] fill_mode is '%s': it must be reflect, wrap, nearest or constant", layer->kind->name, word);
    *out = (fill_mode)i;
    return SOMA_OK;
}

/* Whole-numbered places along an axis of n, brought into it. */
static soma_tensor *inside(soma_tensor *place, int64_t n, fill_mode fill) {
    if (!place) return NULL;
    soma_tensor *last = soma_scalar(place->graph, place->dtype, (double)(n - 1));
    if (fill == FILL_WRAP) return soma_mod(place, soma_scalar(place->graph, place->dtype, (double)n));
    if (fill != FILL_REFLECT) return soma_clip(place, 0, (double)(n - 1));
    soma_tensor *twice = soma_mod(place, soma_scalar(place->graph, place->dtype, (double)(2 * n)));
    soma_tensor *back = soma_sub(soma_scalar(place->graph, place->dtype, (double)(2 * n - 1)), twice);
    return soma_where(soma_greater(twice, last), back, twice);
}

static soma_tensor *outside(soma_tensor *place, int64_t n) {
    soma_tensor *zero = place ? soma_scalar(place->graph, place->dtype, 0) : NULL;
    soma_tensor *last = place ? soma_scalar(place->graph, place->dtype, (double)(n - 1)) : NULL;
    return soma_logical_or(soma_less(place, zero), soma_greater(place, last));
}

/* The pixels at whole-numbered places (batch, rows', columns') -> (batch, rows', columns', channels). */
static soma_tensor *at(const sampling *s, soma_tensor *y, soma_tensor *x) {
    soma_tensor *row = soma_cast(inside(y, s->rows, s->fill), SOMA_I64);
    soma_tensor *column = soma_cast(inside(x, s->columns, s->fill), SOMA_I64);
    soma_tensor *index = soma_add(soma_add(soma_mul_scalar(row, (double)s->columns), column), s->images);
    soma_tensor *found = soma_gather(s->pixels, index, 0);
    if (s->fill != FILL_CONSTANT || !found) return found;
    soma_tensor *out = soma_logical_or(outside(y, s->rows), outside(x, s->columns));
    return soma_where(soma_expand_dims(out, -1), soma_scalar(found->graph, found->dtype, s->fill_value), found);
}

/* a where share is 0, b where it is 1. */
static soma_tensor *between(soma_tensor *a, soma_tensor *b, soma_tensor *share) {
    return soma_add(a, soma_mul(soma_sub(b, a), soma_expand_dims(share, -1)));
}

/* The images at places y, x (batch, rows, columns). */
static soma_tensor *sample(soma_layer *layer, soma_tensor *images, soma_tensor *y, soma_tensor *x) {
    const soma_random_affine_options *o = soma_layer_options(layer);
    if (!y || !x) return NULL;
    const int64_t batch = images->shape[0], rows = images->shape[1], columns = images->shape[2];
    sampling s = {.batch = batch, .rows = rows, .columns = columns, .fill_value = o->fill_value};
    bool bilinear;
    if (read_fill(layer, o, &s.fill) != SOMA_OK ||
        resize_interpolation(layer, o->interpolation ? o->interpolation : "bilinear", &bilinear) != SOMA_OK)
        return NULL;
    const int64_t size = rows * columns;
    soma_tensor *begins = soma_arange(images->graph, SOMA_I64, 0, (double)(batch * size), (double)size);
    s.images = soma_reshape(begins, SOMA_DIMS(batch, 1, 1));
    s.pixels = soma_reshape(images, SOMA_DIMS(batch * size, images->shape[3]));
    if (!bilinear) return at(&s, soma_round(y), soma_round(x));
    soma_tensor *y0 = soma_floor(y), *x0 = soma_floor(x), *y1 = soma_add_scalar(y0, 1), *x1 = soma_add_scalar(x0, 1);
    soma_tensor *right = soma_sub(x, x0);
    return between(between(at(&s, y0, x0), at(&s, y0, x1), right), between(at(&s, y1, x0), at(&s, y1, x1), right),
                   soma_sub(y, y0));
}

/* ---- where each pixel comes from ---- */

/* Numbers (batch, 1, 1) from a range. */
static soma_tensor *number(soma_tensor *x, random_range range, soma_tensor *draws) {
    return soma_squeeze(random_image_number(x, range, draws), -1);
}

/* Rows (1, rows, 1) or columns (1, 1, columns) counted from the middle. */
static soma_tensor *from_middle(soma_tensor *x, int axis) {
    const int64_t n = x->shape[axis];
    soma_tensor *place = soma_add_scalar(soma_arange(x->graph, x->dtype, 0, (double)n, 1), -(double)(n - 1) / 2);
    return axis == 1 ? soma_reshape(place, SOMA_DIMS(1, n, 1)) : soma_reshape(place, SOMA_DIMS(1, 1, n));
}

/* Places counted from the middle as (batch, rows, columns), counted from 0. */
static soma_tensor *from_zero(soma_tensor *place, soma_tensor *x, int axis) {
    return soma_expand(soma_add_scalar(place, (double)(x->shape[axis] - 1) / 2),
                       SOMA_DIMS(x->shape[0], x->shape[1], x->shape[2]));
}

static soma_tensor *translate(soma_layer *layer, soma_tensor *x, soma_tensor *draws) {
    const soma_random_affine_options *o = soma_layer_options(layer);
    soma_tensor *down = soma_mul_scalar(number(x, random_image_range(o->height_factor), draws), (double)x->shape[1]);
    soma_tensor *right = soma_mul_scalar(number(x, random_image_range(o->width_factor), draws), (double)x->shape[2]);
    return sample(layer, x, from_zero(soma_sub(from_middle(x, 1), down), x, 1),
                  from_zero(soma_sub(from_middle(x, 2), right), x, 2));
}

static soma_tensor *rotate(soma_layer *layer, soma_tensor *x, soma_tensor *draws) {
    const soma_random_affine_options *o = soma_layer_options(layer);
    soma_tensor *angle = soma_mul_scalar(number(x, random_image_range(o->factor), draws), 2 * 3.14159265358979323846);
    soma_tensor *c = soma_cos(angle), *s = soma_sin(angle), *row = from_middle(x, 1), *column = from_middle(x, 2);
    soma_tensor *x_from = soma_sub(soma_mul(c, column), soma_mul(s, row));
    soma_tensor *y_from = soma_add(soma_mul(s, column), soma_mul(c, row));
    return sample(layer, x, from_zero(y_from, x, 1), from_zero(x_from, x, 2));
}

static soma_tensor *zoom(soma_layer *layer, soma_tensor *x, soma_tensor *draws) {
    const soma_random_affine_options *o = soma_layer_options(layer);
    const random_range height = random_image_range(o->height_factor), width = random_image_range(o->width_factor);
    RETURN_NULL_IF(layer->context, height.low <= -1 || width.low <= -1, SOMA_INVALID,
                   "[RandomZoom] a factor of -1 or less would show nothing");
    soma_tensor *rows = soma_add_scalar(number(x, height, draws), 1), *columns = rows;
    if (width.low != 0 || width.high != 0 || signbit(width.low)) columns = soma_add_scalar(number(x, width, draws), 1);
    return sample(layer, x, from_zero(soma_mul(from_middle(x, 1), rows), x, 1),
                  from_zero(soma_mul(from_middle(x, 2), columns), x, 2));
}

#define AFFINE_LAYER(word, class_name, field_list, function)                                                           \
    static soma_tensor *word(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {                \
        (void)n;                                                                                                       \
        const soma_random_affine_options *o = soma_layer_options(layer);                                               \
        return random_image_call(layer, trace, inputs[0], o->data_format, false, function);                            \
    }                                                                                                                  \
    const soma_layer_class layer_##word = {.name = class_name,                                                         \
                                           .size = sizeof(soma_random_affine_options),                                 \
                                           .fields = field_list,                                                       \
                                           .min_inputs = 1,                                                            \
                                           .max_inputs = 1,                                                            \
                                           .call = word};                                                              \
    soma_layer *soma_##word##_create(const soma_random_affine_options *options) {                                      \
        return soma_layer_create(&layer_##word, options);                                                              \
    }
AFFINE_LAYER(random_translation, "RandomTranslation", scale_fields, translate)
AFFINE_LAYER(random_rotation, "RandomRotation", rotation_fields, rotate)
AFFINE_LAYER(random_zoom, "RandomZoom", scale_fields, zoom)
#undef AFFINE_LAYER
