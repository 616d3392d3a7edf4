/* What layers over axes of places share: lists of sizes, padding in words, where the channels are.
 * Rests on layer.h. Layers compute with the channels last; the other order is a view before and one after.
 * A class' number of places is in its name, "Conv2D", so that one function serves them all. */
#ifndef NN_PLACES_H
#define NN_PLACES_H

#include <soma/convolution.h>

#include "nn/layer.h"

enum { MOST_PLACES = 3 };

/* The options that convolutions and pools have first. */
typedef struct window_layer_options {
    SOMA_WINDOW_OPTIONS
} window_layer_options;

#define PLACES_LIST_FIELD(type, member)                                                                                \
    { .name = #member, .kind = SOMA_FIELD_SHAPE, .offset = offsetof(type, member) }
#define PLACES_STRING_FIELD(type, member)                                                                              \
    { .name = #member, .kind = SOMA_FIELD_STRING, .offset = offsetof(type, member) }
#define WINDOW_FIELDS(type)                                                                                            \
    PLACES_LIST_FIELD(type, strides), PLACES_STRING_FIELD(type, padding), PLACES_LIST_FIELD(type, pads),               \
        PLACES_STRING_FIELD(type, data_format)

/* Axes of places of a layer's class. */
int places_of(const soma_layer *layer);
/* Numbers of a list. */
int places_count(const int64_t *list);
/* One number for each of n axes from a list of none (standard), one or n, each at least 1 and below 2^31. */
soma_status places_list(const soma_layer *layer, const char *option, const int64_t *list, int n, int64_t standard,
                        int64_t *out);
/* Before and after each of n axes from a list of none (standard), one, n or 2 n; -1 stands for none. */
soma_status places_borders(const soma_layer *layer, const char *option, const int64_t *list, int n, int64_t standard,
                           int64_t out[MOST_PLACES][2]);
/* Whether channels come first, by the words for it. */
soma_status places_order(const soma_layer *layer, const char *data_format, bool *channels_first);
/* The same, and whether x has the rank for that. */
soma_status places_format(const soma_layer *layer, const soma_tensor *x, const char *data_format, bool *channels_first);
/* x with the channels last; and y back again. They come first behind the batch, or behind batch and steps. */
soma_tensor *places_last(soma_tensor *x, bool channels_first);
soma_tensor *places_first(soma_tensor *y, bool channels_first);
soma_tensor *places_last_from(soma_tensor *x, int axis);
soma_tensor *places_first_to(soma_tensor *y, int axis);
/* Padding, in words or numbers, of windows of these sizes over x, channels last; strides and dilation are in window. */
soma_status places_padding(const soma_layer *layer, const soma_tensor *x, const window_layer_options *o,
                           const int64_t *size, soma_window_options *window);

#endif
