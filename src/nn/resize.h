/* Interpolation along axes of places, for Resizing and UpSampling.
 * Rests on places.h. */
#ifndef NN_RESIZE_H
#define NN_RESIZE_H

#include "nn/places.h"

/* An axis of float x made of n places, as soma_resizing says. */
soma_tensor *resize_axis(soma_tensor *x, int axis, int64_t n, bool bilinear);
/* Checks the word. */
soma_status resize_interpolation(const soma_layer *layer, const char *word, bool *bilinear);

#endif
