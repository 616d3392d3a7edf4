/* What convolutions and pools share: their options made whole, padding, windows over every axis of places.
 * Rests on build.h and on the oracle's cpu_windows. */
#ifndef OPS_WINDOWS_H
#define OPS_WINDOWS_H

#include <soma/ops.h>

#include "ops/build.h"

/* Fills g from the options and the sizes (the first axes of `sizes`, of rank `rank` == x's); false after an error that
 * names the op. Strides that are not given are 1. */
bool windows_read(const char *name, const soma_tensor *x, const int64_t *sizes, int rank,
                  const soma_window_options *options, cpu_windows *g);
/* How many windows there are along each axis of places; the error names the op. */
soma_status windows_places(soma_graph *graph, const op *self, const soma_tensor *x, const cpu_windows *g,
                           int64_t *places);
/* x with zeros between its elements (spread), padded by value before and after each axis; negative padding cuts off. */
soma_tensor *windows_pad(soma_tensor *x, const cpu_windows *g, double value);
/* Padded x as (batch, places, size, ..., channels): pairs of axes where x had one. */
soma_tensor *windows_over(soma_tensor *padded, const cpu_windows *g);
/* Sum over batch and places of x's windows times dy, as the weights (shape) of a convolution with these windows. */
soma_tensor *windows_product(soma_tensor *x, soma_tensor *dy, const int64_t *shape, const cpu_windows *g);

/* A conv node's windows. */
cpu_windows conv_windows(const soma_tensor *node);

#endif
