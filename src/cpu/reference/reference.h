/* The oracle: every kernel in plain loops, in double (integers in int64 with wraparound), rounded once to the dtype.
 * Rests on cpu.h's codes and the public dtypes. Inputs are strided arrays of any dtype, outputs dense and row-major.
 * Slow on purpose: what these compute has to be obvious, since the fast kernels are judged by it. */
#ifndef CPU_REFERENCE_REFERENCE_H
#define CPU_REFERENCE_REFERENCE_H

#include "cpu/cpu.h"

/* A strided array, strides in elements (0 where broadcast). */
typedef struct cpu_view {
    void *data;
    soma_dtype dtype;
    int rank;
    int64_t shape[SOMA_MAX_RANK];
    int64_t strides[SOMA_MAX_RANK];
} cpu_view;

int64_t view_size(const cpu_view *view);
/* The element i of the view's data, as a pointer. */
void *view_at(const cpu_view *view, int64_t i);

/* A row-major walk over a shape that keeps the offsets of up to three views of that shape in step. */
typedef struct view_walk {
    int rank, n;
    const int64_t *shape;
    const cpu_view *views[3];
    int64_t index[SOMA_MAX_RANK], offset[3];
} view_walk;
view_walk walk_start(int rank, const int64_t *shape, int n, const cpu_view *const *views);
void walk_next(view_walk *walk);

/* output = code(inputs), all of the output's shape. */
void ref_map(cpu_map code, int n, const cpu_view *inputs, cpu_view *output);
/* Along the axes whose bits are set; the output keeps them with extent 1. ARGMAX and ARGMIN: one axis. */
void ref_reduce(cpu_reduce code, uint32_t axes, const cpu_view *input, cpu_view *output);
/* Windows over one to three axes of places: element s of window p is at p*stride + s*dilation - before, in an array
 * whose elements are spread apart with zeros between them, and padded. */
typedef struct cpu_windows {
    int n; /* axes */
    int64_t size[3], stride[3], dilation[3], before[3], after[3], spread[3];
    int64_t groups; /* of channels */
} cpu_windows;

/* x (batch, places..., in), w (kernel..., in / groups, out) -> (batch, places'..., out). */
void ref_conv(const cpu_windows *windows, const cpu_view *x, const cpu_view *w, cpu_view *output);
/* (..., m, k) x (..., k, n) -> (..., m, n), equal leading axes. */
void ref_matmul(const cpu_view *a, const cpu_view *b, cpu_view *output);

/* e^(x_i - m) / sum of e^(x_j - m) along an axis, m the greatest. */
void ref_softmax(const cpu_view *x, int axis, cpu_view *output);
/* output_i = i. */
void ref_iota(cpu_view *output);
/* low + (high - low) * u_i, and mean + stddev * z_i; key is random_key's. */
void ref_uniform(uint64_t key, uint64_t counter, double low, double high, cpu_view *output);
void ref_normal(uint64_t key, uint64_t counter, double mean, double stddev, cpu_view *output);

/* The input's elements in row-major order of its own shape. */
void ref_copy(const cpu_view *input, cpu_view *output);
/* The input from index before[i] of each axis on, value around it. */
void ref_pad(const cpu_view *input, const int64_t *before, double value, cpu_view *output);
/* The input at index start of the axis; what concat does for each of its inputs. */
void ref_place(const cpu_view *input, int axis, int64_t start, cpu_view *output);
/* Axes axis (places) and axis + 1 (size) of x as one: output[p*stride + s*dilation] = sum of x[p, s], else 0. */
void ref_unwindow(const cpu_view *x, int axis, int64_t stride, int64_t dilation, cpu_view *output);

/* output[p, j, q] = x[p, indices[j], q]; axis is that of x. Negative indices count from the end. Returns the number of
 * the first index out of range in indices' row-major order, -1 when all are good. */
int64_t ref_gather(const cpu_view *x, const cpu_view *indices, int axis, cpu_view *output);
/* output = 0; output[p, indices[j], q] += updates[p, j, q]. Returns as ref_gather. */
int64_t ref_scatter_add(const cpu_view *updates, const cpu_view *indices, int axis, cpu_view *output);
/* output_i = sum of x_j for j <= i along axis; exclusive: j < i; reverse: from the end. */
void ref_cumsum(const cpu_view *x, int axis, bool exclusive, bool reverse, cpu_view *output);

#endif
