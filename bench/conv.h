/* One convolution of pictures, or one of its two gradients, in f32, as every library of the comparison is asked for it.
 * Rests on nothing. The arrays of the question are (batch, rows, columns, channels) and (kernel, kernel, in, out); a
 * library may bring them into layouts of its own first, and that is not timed. */
#ifndef BENCH_CONV_H
#define BENCH_CONV_H

#include <stdbool.h>
#include <stdint.h>

/* What is computed: y of x and w; the gradient to x of y's and w; the gradient to w of x and y's. */
typedef enum conv_pass { CONV_FORWARD, CONV_DATA, CONV_WEIGHTS } conv_pass;

typedef struct conv_shape {
    conv_pass pass;
    int64_t batch, size, in, out;          /* pictures of size x size */
    int64_t kernel, stride, before, after; /* padding */
    int64_t places;                        /* the results' size */
} conv_shape;

typedef struct conv_data {
    const float *x, *w, *y;
    float *result; /* in the shape of what is computed */
    int64_t x_size, w_size, y_size;
} conv_data;

/* The library's own: each conv_<library>.c has them. */
extern const char *const conv_name;
/* NULL: not for this shape. */
void *conv_prepare(const conv_shape *shape, const conv_data *data);
int conv_run(void *prepared); /* zero: done */
/* Where the result is, in the layout of the question; NULL after an error. */
const float *conv_result(void *prepared);
void conv_release(void *prepared);

#endif
