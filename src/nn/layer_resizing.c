/* Images of another size, by the nearest place or between the two next ones.
 * Rests on gather: which places are read, and with what share, is known when the layer is called.
 * One axis after the other, since the shares of bilinear interpolation are products of those of its axes. */
#include "nn/resize.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { MOST_RESIZED = 1 << 24 }; /* places of an axis: tables are made for them when the layer is called */

/* (n) as float, lying along an axis of x. */
static soma_tensor *along(soma_tensor *x, int axis, int64_t n, const double *values) {
    int64_t shape[SOMA_MAX_RANK] = {n, 1, 1, 1, 1, 1, 1, 1};
    return soma_cast(soma_array(x->graph, SOMA_F64, x->rank - axis, shape, values), x->dtype);
}

soma_tensor *resize_axis(soma_tensor *x, int axis, int64_t n, bool bilinear) {
    if (!x) return NULL;
    soma_context *context = x->graph->context;
    int64_t extent = x->shape[axis];
    RETURN_NULL_IF(context, extent < 1 || n < 1 || n > MOST_RESIZED, SOMA_SHAPE, "[resize] %lld places become %lld",
                   (long long)extent, (long long)n);
    size_t bytes = (size_t)n * 8;
    int64_t *lower = mem_alloc(context, bytes), *upper = mem_alloc(context, bytes);
    double *share = mem_alloc(context, bytes);
    soma_tensor *y = NULL;
    if (lower && upper && share) {
        for (int64_t i = 0; i < n; i++) {
            double place = ((double)i + 0.5) * (double)extent / (double)n - (bilinear ? 0.5 : 0), down = floor(place);
            share[i] = place - down;
            lower[i] = down < 0 ? 0 : (int64_t)down;
            upper[i] = (int64_t)down + 1;
            if (lower[i] > extent - 1) lower[i] = extent - 1;
            if (upper[i] > extent - 1) upper[i] = extent - 1;
        }
        y = soma_gather(x, soma_array(x->graph, SOMA_I64, SOMA_DIMS(n), lower), axis);
        if (bilinear) {
            soma_tensor *next = soma_gather(x, soma_array(x->graph, SOMA_I64, SOMA_DIMS(n), upper), axis);
            y = soma_add(y, soma_mul(soma_sub(next, y), along(x, axis, n, share)));
        }
    }
    mem_free(context, lower, bytes);
    mem_free(context, upper, bytes);
    mem_free(context, share, bytes);
    return y;
}

soma_status resize_interpolation(const soma_layer *layer, const char *word, bool *bilinear) {
    *bilinear = strcmp(word, "bilinear") == 0;
    RETURN_IF(layer->context, !*bilinear && strcmp(word, "nearest") != 0, SOMA_INVALID,
              "[%s] interpolation is '%s': it must be nearest or bilinear", layer->kind->name, word);
    return SOMA_OK;
}

#define FIELD(member) offsetof(soma_resizing_options, member)

static const soma_field fields[] = {
    {.name = "height", .kind = SOMA_FIELD_INT, .offset = FIELD(height), .low = 1, .high = MOST_RESIZED},
    {.name = "width", .kind = SOMA_FIELD_INT, .offset = FIELD(width), .low = 1, .high = MOST_RESIZED},
    PLACES_STRING_FIELD(soma_resizing_options, interpolation),
    PLACES_STRING_FIELD(soma_resizing_options, data_format),
    {.name = NULL}};

static soma_tensor *call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    const soma_resizing_options *o = soma_layer_options(layer);
    bool first, bilinear;
    if (places_format(layer, inputs[0], o->data_format, &first) != SOMA_OK ||
        resize_interpolation(layer, o->interpolation ? o->interpolation : "bilinear", &bilinear) != SOMA_OK)
        return NULL;
    soma_tensor *x = places_last(layer_float(layer, inputs[0]), first);
    return places_first(resize_axis(resize_axis(x, 1, o->height, bilinear), 2, o->width, bilinear), first);
}

const soma_layer_class layer_resizing = {.name = "Resizing",
                                         .size = sizeof(soma_resizing_options),
                                         .fields = fields,
                                         .min_inputs = 1,
                                         .max_inputs = 1,
                                         .call = call};

soma_layer *soma_resizing_create(const soma_resizing_options *options) {
    return soma_layer_create(&layer_resizing, options);
}
