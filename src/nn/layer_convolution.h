/* What the convolving layers share: their fields, bias and activation, the window over an input.
 * Rests on places.h. */
#ifndef NN_LAYER_CONVOLUTION_H
#define NN_LAYER_CONVOLUTION_H

#include "nn/places.h"

/* The options that every convolution has first; of SOMA_WINDOW_OPTIONS, these are window_layer_options. */
typedef struct convolution_options {
    SOMA_CONVOLUTION_OPTIONS
} convolution_options;

#define CONVOLUTION_FIELDS(type)                                                                                       \
    PLACES_LIST_FIELD(type, kernel_size), WINDOW_FIELDS(type), PLACES_LIST_FIELD(type, dilation_rate),                 \
        {.name = "activation", .kind = SOMA_FIELD_ACTIVATION, .offset = offsetof(type, activation)},                   \
        {.name = "use_bias", .kind = SOMA_FIELD_NOT, .offset = offsetof(type, no_bias)},                               \
        {.name = "bias_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = offsetof(type, bias_initializer)},      \
        {.name = "bias_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = offsetof(type, bias_regularizer)}, {    \
        .name = "bias_constraint", .kind = SOMA_FIELD_CONSTRAINT, .offset = offsetof(type, bias_constraint)            \
    }

/* A layer's options made whole. */
typedef struct convolution_window {
    int places;
    bool channels_first;
    int64_t channels; /* of the input */
    int64_t size[MOST_PLACES];
    soma_window_options window; /* strides, dilation; padding when convolution_pad has been asked */
} convolution_window;

/* All but the padding. */
soma_status convolution_window_of(const soma_layer *layer, const soma_tensor *x, convolution_window *w);
/* The padding for x, whose channels are last. */
soma_status convolution_pad(const soma_layer *layer, const soma_tensor *x, convolution_window *w);
/* A kernel (size..., rows, columns) of a name, glorot_uniform unless told. */
soma_status convolution_add_kernel(soma_layer *layer, const convolution_window *w, const soma_weight_options *options,
                                   int64_t rows, int64_t columns);
soma_status convolution_add_bias(soma_layer *layer, int64_t channels);
/* Bias (weight number `bias`), activation, and the channels where they are wanted. */
soma_tensor *convolution_finish(soma_layer *layer, soma_trace *trace, soma_tensor *y, int bias, bool channels_first);

#endif
