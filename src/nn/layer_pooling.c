/* Pooling: the largest or the mean of each window and channel.
 * Rests on soma_max_pool and soma_average_pool.
 * An adaptive pool whose windows are all of one size is a plain one. */
#include <stddef.h>

#include "nn/places.h"

static const soma_field pooling_fields[] = {
    PLACES_LIST_FIELD(soma_pooling_options, pool_size), WINDOW_FIELDS(soma_pooling_options), {.name = NULL}};

static soma_tensor *pool(soma_layer *layer, const soma_tensor *input, soma_tensor *x, bool maximum) {
    const soma_pooling_options *o = soma_layer_options(layer);
    int64_t size[MOST_PLACES];
    soma_window_options window = {.groups = 1};
    bool first;
    int n = places_of(layer);
    if (places_format(layer, input, o->data_format, &first) != SOMA_OK ||
        places_list(layer, "pool_size", o->pool_size, n, maximum ? 2 : 0, size) != SOMA_OK)
        return NULL;
    for (int i = 0; i < n; i++)
        window.strides[i] = size[i];
    if (places_count(o->strides) > 0 && places_list(layer, "strides", o->strides, n, 1, window.strides) != SOMA_OK)
        return NULL;
    x = places_last(x, first);
    if (!x || places_padding(layer, x, soma_layer_options(layer), size, &window) != SOMA_OK) return NULL;
    return places_first(maximum ? soma_max_pool(x, size, &window) : soma_average_pool(x, size, &window), first);
}

static soma_tensor *max_pooling(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    return pool(layer, inputs[0], layer_float(layer, inputs[0]), true);
}

static soma_tensor *average_pooling(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    return pool(layer, inputs[0], layer_float(layer, inputs[0]), false);
}

#define POOLING(word, class_name, options_type, field_list, function)                                                  \
    const soma_layer_class layer_##word = {.name = class_name,                                                         \
                                           .size = sizeof(options_type),                                               \
                                           .fields = field_list,                                                       \
                                           .min_inputs = 1,                                                            \
                                           .max_inputs = 1,                                                            \
                                           .call = function};                                                          \
    soma_layer *soma_##word##_create(const options_type *options) {                                                    \
        return soma_layer_create(&layer_##word, options);                                                              \
    }
POOLING(max_pooling_1d, "MaxPooling1D", soma_pooling_options, pooling_fields, max_pooling)
POOLING(max_pooling_2d, "MaxPooling2D", soma_pooling_options, pooling_fields, max_pooling)
POOLING(max_pooling_3d, "MaxPooling3D", soma_pooling_options, pooling_fields, max_pooling)
POOLING(average_pooling_1d, "AveragePooling1D", soma_pooling_options, pooling_fields, average_pooling)
POOLING(average_pooling_2d, "AveragePooling2D", soma_pooling_options, pooling_fields, average_pooling)
POOLING(average_pooling_3d, "AveragePooling3D", soma_pooling_options, pooling_fields, average_pooling)

/* ---- adaptive ---- */

static const soma_field adaptive_fields[] = {PLACES_LIST_FIELD(soma_adaptive_pooling_options, output_size),
                                             PLACES_STRING_FIELD(soma_adaptive_pooling_options, data_format),
                                             {.name = NULL}};

/* The first place of window i of n over an axis, and the first after it: floor(i extent / n), ceil((i + 1) extent / n),
 * without products that overflow. */
static int64_t window_start(int64_t i, int64_t extent, int64_t n) {
    return i * (extent / n) + i * (extent % n) / n;
}
static int64_t window_stop(int64_t i, int64_t extent, int64_t n) {
    return extent - window_start(n - 1 - i, extent, n);
}

enum { MOST_PLACES_READ = 1 << 24 };

/* One axis in n windows of several sizes: each place of each window by its index, a shorter window's last place again,
 * which changes no maximum and weighs nothing in a mean. */
static soma_tensor *uneven(soma_tensor *x, int axis, int64_t n, bool maximum) {
    soma_context *context = x->graph->context;
    int64_t extent = x->shape[axis], longest = extent / n + 2, count;
    size_t bytes;
    RETURN_NULL_IF(context, !int64_mul_checked(n, longest, &count) || count > MOST_PLACES_READ, SOMA_SHAPE,
                   "[AdaptivePooling] %lld windows are too many", (long long)n);
    bytes = (size_t)count * 8;
    int64_t *places = mem_alloc(context, bytes);
    double *shares = mem_alloc(context, bytes);
    soma_tensor *y = NULL;
    if (places && shares) {
        for (int64_t i = 0; i < count; i++) {
            int64_t start = window_start(i / longest, extent, n), stop = window_stop(i / longest, extent, n);
            int64_t place = start + i % longest;
            places[i] = place < stop ? place : stop - 1;
            shares[i] = place < stop ? 1 / (double)(stop - start) : 0;
        }
        y = soma_gather(x, soma_array(x->graph, SOMA_I64, SOMA_DIMS(n, longest), places), axis);
        int64_t shape[SOMA_MAX_RANK] = {n, longest, 1, 1, 1, 1};
        soma_tensor *weights = soma_array(x->graph, SOMA_F64, x->rank + 1 - axis, shape, shares);
        int along = axis + 1;
        y = maximum ? soma_max(y, 1, &along, false)
                    : soma_sum(soma_mul(y, soma_cast(weights, x->dtype)), 1, &along, false);
    }
    mem_free(context, places, bytes);
    mem_free(context, shares, bytes);
    return y;
}

static soma_tensor *adapt(soma_layer *layer, const soma_tensor *input, soma_tensor *x, bool maximum) {
    const soma_adaptive_pooling_options *o = soma_layer_options(layer);
    int64_t wanted[MOST_PLACES], size[MOST_PLACES];
    int n = places_of(layer);
    bool first, even = true;
    if (places_format(layer, input, o->data_format, &first) != SOMA_OK ||
        places_list(layer, "output_size", o->output_size, n, 0, wanted) != SOMA_OK)
        return NULL;
    x = places_last(x, first);
    for (int i = 0; x && i < n; i++) {
        RETURN_NULL_IF(layer->context, x->shape[i + 1] < 1, SOMA_SHAPE, "[%s] the input has no places",
                       layer->kind->name);
        even = even && x->shape[i + 1] % wanted[i] == 0;
        size[i] = x->shape[i + 1] / wanted[i];
    }
    if (even && x)
        return places_first(maximum ? soma_max_pool(x, size, NULL) : soma_average_pool(x, size, NULL), first);
    for (int i = 0; x && i < n; i++)
        x = uneven(x, i + 1, wanted[i], maximum);
    return places_first(x, first);
}

static soma_tensor *adaptive_max(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    return adapt(layer, inputs[0], layer_float(layer, inputs[0]), true);
}

static soma_tensor *adaptive_average(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    return adapt(layer, inputs[0], layer_float(layer, inputs[0]), false);
}

#define ADAPTIVE(word, class_name, function)                                                                           \
    POOLING(word, class_name, soma_adaptive_pooling_options, adaptive_fields, function)
ADAPTIVE(adaptive_max_pooling_1d, "AdaptiveMaxPooling1D", adaptive_max)
ADAPTIVE(adaptive_max_pooling_2d, "AdaptiveMaxPooling2D", adaptive_max)
ADAPTIVE(adaptive_max_pooling_3d, "AdaptiveMaxPooling3D", adaptive_max)
ADAPTIVE(adaptive_average_pooling_1d, "AdaptiveAveragePooling1D", adaptive_average)
ADAPTIVE(adaptive_average_pooling_2d, "AdaptiveAveragePooling2D", adaptive_average)
ADAPTIVE(adaptive_average_pooling_3d, "AdaptiveAveragePooling3D", adaptive_average)
#undef ADAPTIVE
#undef POOLING
