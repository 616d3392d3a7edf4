/* What layers over axes of places share: lists of sizes, padding in words, where the channels are.
 * Rests on views. Sizes are whatever a file says, so each is checked to be below 2^31 before anything is computed of
 * it: then products of two fit. "same" is TensorFlow's: the odd place of the padding is at the end. */
#include "nn/places.h"

#include <string.h>

int places_of(const soma_layer *layer) {
    const char *digit = strpbrk(layer->kind->name, "123");
    return digit ? *digit - '0' : 2;
}

int places_count(const int64_t *list) {
    int n = 0;
    while (n < SOMA_MAX_RANK && list[n] != 0)
        n++;
    return n;
}

soma_status places_list(const soma_layer *layer, const char *option, const int64_t *list, int n, int64_t standard,
                        int64_t *out) {
    int given = places_count(list);
    RETURN_IF(layer->context, given == 0 && standard == 0, SOMA_INVALID, "[%s] no %s is given", layer->kind->name,
              option);
    RETURN_IF(layer->context, given > 1 && given != n, SOMA_INVALID, "[%s] %s has %d numbers, not 1%s%d",
              layer->kind->name, option, given, n == 1 ? "" : " or ", n);
    for (int i = 0; i < n; i++) {
        out[i] = given == 0 ? standard : list[given == 1 ? 0 : i];
        RETURN_IF(layer->context, out[i] < 1 || out[i] > INT32_MAX, SOMA_INVALID, "[%s] %s is %lld: it must be %s",
                  layer->kind->name, option, (long long)out[i], out[i] < 1 ? "at least 1" : "below 2^31");
    }
    return SOMA_OK;
}

soma_status places_borders(const soma_layer *layer, const char *option, const int64_t *list, int n, int64_t standard,
                           int64_t out[MOST_PLACES][2]) {
    int given = places_count(list);
    RETURN_IF(layer->context, given > 1 && given != n && given != 2 * n, SOMA_INVALID,
              "[%s] %s has %d numbers, not 1%s%d", layer->kind->name, option, given,
              n == 1 ? " or " : ", one an axis or ", 2 * n);
    for (int i = 0; i < n; i++) {
        for (int side = 0; side < 2; side++) {
            int64_t size = given == 0 ? standard : list[given == 1 ? 0 : given == n ? i : 2 * i + side];
            RETURN_IF(layer->context, size > INT32_MAX, SOMA_INVALID, "[%s] %s is %lld: it must be below 2^31",
                      layer->kind->name, option, (long long)size);
            out[i][side] = size < 0 ? 0 : size;
        }
    }
    return SOMA_OK;
}

soma_status places_order(const soma_layer *layer, const char *data_format, bool *channels_first) {
    *channels_first = data_format && strcmp(data_format, "channels_first") == 0;
    RETURN_IF(layer->context, data_format && !*channels_first && strcmp(data_format, "channels_last") != 0,
              SOMA_INVALID, "[%s] data_format is '%s': it must be channels_last or channels_first", layer->kind->name,
              data_format);
    return SOMA_OK;
}

soma_status places_format(const soma_layer *layer, const soma_tensor *x, const char *data_format,
                          bool *channels_first) {
    const char *name = layer->kind->name;
    TRY(places_order(layer, data_format, channels_first));
    int n = places_of(layer);
    RETURN_IF(layer->context, x->rank == n + 1, SOMA_SHAPE,
              "[%s] a sample of rank %d is given, not %d: reshape it so that it has an axis of channels", name,
              x->rank - 1, n + 1);
    RETURN_IF(layer->context, x->rank != n + 2, SOMA_SHAPE, "[%s] a sample of rank %d is given, not %d", name,
              x->rank - 1, n + 1);
    return SOMA_OK;
}

soma_tensor *places_last_from(soma_tensor *x, int axis) {
    if (!x) return NULL;
    int order[SOMA_MAX_RANK] = {0};
    for (int i = 1; i < x->rank; i++)
        order[i] = i < axis ? i : i == x->rank - 1 ? axis : i + 1;
    return soma_transpose(x, order);
}

soma_tensor *places_first_to(soma_tensor *y, int axis) {
    if (!y) return NULL;
    int order[SOMA_MAX_RANK] = {0};
    for (int i = 1; i < y->rank; i++)
        order[i] = i < axis ? i : i == axis ? y->rank - 1 : i - 1;
    return soma_transpose(y, order);
}

soma_tensor *places_last(soma_tensor *x, bool channels_first) {
    return channels_first ? places_last_from(x, 1) : x;
}

soma_tensor *places_first(soma_tensor *y, bool channels_first) {
    return channels_first ? places_first_to(y, 1) : y;
}

soma_status places_padding(const soma_layer *layer, const soma_tensor *x, const window_layer_options *o,
                           const int64_t *size, soma_window_options *window) {
    const char *name = layer->kind->name, *padding = o->padding ? o->padding : "valid";
    int n = places_of(layer);
    if (places_count(o->pads) > 0) return places_borders(layer, "pads", o->pads, n, 0, window->pads);
    bool same = strcmp(padding, "same") == 0, causal = n == 1 && strcmp(padding, "causal") == 0;
    RETURN_IF(layer->context, !same && !causal && strcmp(padding, "valid") != 0, SOMA_INVALID,
              "[%s] padding is '%s': it must be valid%s same%s, or numbers by pads", name, padding,
              n == 1 ? "," : " or", n == 1 ? " or causal" : "");
    for (int i = 0; i < n; i++) {
        int64_t dilation = window->dilation[i] ? window->dilation[i] : 1, span = (size[i] - 1) * dilation + 1;
        int64_t extent = x->shape[i + 1], stride = window->strides[i];
        RETURN_IF(layer->context, !same && !causal && span > extent, SOMA_SHAPE,
                  "[%s] a window that spans %lld places does not fit an axis of %lld: the input must be larger, or "
                  "padding same",
                  name, (long long)span, (long long)extent);
        int64_t places = extent / stride + (extent % stride != 0);
        int64_t total = causal ? span - 1 : same ? (places - 1) * stride + span - extent : 0;
        if (total < 0) total = 0;
        window->pads[i][0] = causal ? total : total / 2;
        window->pads[i][1] = total - window->pads[i][0];
    }
    return SOMA_OK;
}
