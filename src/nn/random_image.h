/* What augmenting layers share: images with the channels last, and a number of its own for each image.
 * Rests on places.h and the counting random ops, with the training step as their counter. */
#ifndef NN_RANDOM_IMAGE_H
#define NN_RANDOM_IMAGE_H

#include "nn/places.h"

/* An augmenting layer's function: float images (batch, rows, columns, channels) to such images. draws NULL: not
 * training. */
typedef soma_tensor *random_image_fn(soma_layer *layer, soma_tensor *x, soma_tensor *draws);
/* Calls it on the layer's input, channels last; without always only while training. */
soma_tensor *random_image_call(soma_layer *layer, soma_trace *trace, soma_tensor *input, const char *data_format,
                               bool always, random_image_fn *function);
/* From where to where numbers are drawn. */
typedef struct random_range {
    double low, high;
} random_range;
/* Of an option: {0.2}, a low end above 0 alone, is -0.2 to 0.2. */
random_range random_image_range(const double given[2]);
/* (batch, 1, 1, 1), uniform from low to high, in x's dtype. */
soma_tensor *random_image_number(soma_tensor *x, random_range range, soma_tensor *draws);

#endif
