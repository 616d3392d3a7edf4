/* Ops: functions of tensors that give tensors. Names and argument order are NumPy's and ONNX'.
 * Broadcasting and type promotion are NumPy's, except that a float with any integer stays what it is, and float16 with
 * bfloat16 gives float32. Integers wrap around; divided by zero (soma_mod) they give 0.
 * Everything here that is not marked "no gradient" can be differentiated, any number of times. */
#ifndef SOMA_OPS_H
#define SOMA_OPS_H

#include <soma/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- element by element, one input ---- */
SOMA_API soma_tensor *soma_neg(soma_tensor *x);         /**< -x */
SOMA_API soma_tensor *soma_abs(soma_tensor *x);         /**< |x|; gradient 0 at 0 */
SOMA_API soma_tensor *soma_sign(soma_tensor *x);        /**< -1, 0 or 1; gradient 0 */
SOMA_API soma_tensor *soma_square(soma_tensor *x);      /**< x*x */
SOMA_API soma_tensor *soma_sqrt(soma_tensor *x);        /**< x^(1/2) */
SOMA_API soma_tensor *soma_rsqrt(soma_tensor *x);       /**< x^(-1/2) */
SOMA_API soma_tensor *soma_reciprocal(soma_tensor *x);  /**< 1/x */
SOMA_API soma_tensor *soma_exp(soma_tensor *x);         /**< e^x */
SOMA_API soma_tensor *soma_expm1(soma_tensor *x);       /**< e^x - 1, exact near 0 */
SOMA_API soma_tensor *soma_log(soma_tensor *x);         /**< natural logarithm */
SOMA_API soma_tensor *soma_log1p(soma_tensor *x);       /**< log(1 + x), exact near 0 */
SOMA_API soma_tensor *soma_sin(soma_tensor *x);         /**< of radians */
SOMA_API soma_tensor *soma_cos(soma_tensor *x);         /**< of radians */
SOMA_API soma_tensor *soma_tan(soma_tensor *x);         /**< of radians */
SOMA_API soma_tensor *soma_tanh(soma_tensor *x);        /**< an activation too */
SOMA_API soma_tensor *soma_sigmoid(soma_tensor *x);     /**< 1/(1 + e^-x), an activation too */
SOMA_API soma_tensor *soma_erf(soma_tensor *x);         /**< 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x */
SOMA_API soma_tensor *soma_floor(soma_tensor *x);       /**< gradient 0, as for ceil, round (half to even), trunc */
SOMA_API soma_tensor *soma_ceil(soma_tensor *x);        /**< up to a whole number */
SOMA_API soma_tensor *soma_round(soma_tensor *x);       /**< to the nearest whole number, halves to the even one */
SOMA_API soma_tensor *soma_trunc(soma_tensor *x);       /**< towards zero */
SOMA_API soma_tensor *soma_isnan(soma_tensor *x);       /**< bool, no gradient */
SOMA_API soma_tensor *soma_isfinite(soma_tensor *x);    /**< bool, no gradient */
SOMA_API soma_tensor *soma_logical_not(soma_tensor *x); /**< bool, no gradient */
/** The elements in another dtype. Floats to integers: towards zero, those beyond its range to its ends, NaN to 0;
 *  integers to smaller ones: the lower bits; to bool: x != 0. */
SOMA_API soma_tensor *soma_cast(soma_tensor *x, soma_dtype dtype);
SOMA_API soma_tensor *soma_stop_gradient(soma_tensor *x); /**< x, with gradient zero */

/* ---- element by element, two or three inputs, broadcast ---- */
SOMA_API soma_tensor *soma_add(soma_tensor *a, soma_tensor *b);        /**< a + b */
SOMA_API soma_tensor *soma_sub(soma_tensor *a, soma_tensor *b);        /**< a - b */
SOMA_API soma_tensor *soma_mul(soma_tensor *a, soma_tensor *b);        /**< a b */
SOMA_API soma_tensor *soma_div(soma_tensor *a, soma_tensor *b);        /**< true division: integers become float32 */
SOMA_API soma_tensor *soma_mod(soma_tensor *a, soma_tensor *b);        /**< a - b floor(a / b): sign of b, as NumPy's */
SOMA_API soma_tensor *soma_pow(soma_tensor *a, soma_tensor *b);        /**< a^b */
SOMA_API soma_tensor *soma_atan2(soma_tensor *a, soma_tensor *b);      /**< the angle of the point (b, a) */
SOMA_API soma_tensor *soma_maximum(soma_tensor *a, soma_tensor *b);    /**< the max gate; ties share the gradient */
SOMA_API soma_tensor *soma_minimum(soma_tensor *a, soma_tensor *b);    /**< the min gate, likewise */
SOMA_API soma_tensor *soma_equal(soma_tensor *a, soma_tensor *b);      /**< comparisons give bool, no gradient */
SOMA_API soma_tensor *soma_not_equal(soma_tensor *a, soma_tensor *b);  /**< a != b */
SOMA_API soma_tensor *soma_less(soma_tensor *a, soma_tensor *b);       /**< a < b */
SOMA_API soma_tensor *soma_less_equal(soma_tensor *a, soma_tensor *b); /**< a <= b */
SOMA_API soma_tensor *soma_greater(soma_tensor *a, soma_tensor *b);    /**< a > b */
SOMA_API soma_tensor *soma_greater_equal(soma_tensor *a, soma_tensor *b); /**< a >= b */
SOMA_API soma_tensor *soma_logical_and(soma_tensor *a, soma_tensor *b);   /**< both */
SOMA_API soma_tensor *soma_logical_or(soma_tensor *a, soma_tensor *b);    /**< one or both */
SOMA_API soma_tensor *soma_logical_xor(soma_tensor *a, soma_tensor *b);   /**< one of them */
/** condition ? a : b, element by element. */
SOMA_API soma_tensor *soma_where(soma_tensor *condition, soma_tensor *a, soma_tensor *b);
SOMA_API soma_tensor *soma_clip(soma_tensor *x, double low, double high);
/** With a C number, in x's dtype. */
SOMA_API soma_tensor *soma_add_scalar(soma_tensor *x, double value);
SOMA_API soma_tensor *soma_mul_scalar(soma_tensor *x, double value);
SOMA_API soma_tensor *soma_pow_scalar(soma_tensor *x, double exponent);

/* ---- along axes ---- */
/** Axes of a reduction: soma_sum(x, SOMA_AXES(0, -1), false). No axes at all: SOMA_ALL_AXES. */
#define SOMA_AXES(...)                                                                                                 \
    (int)(sizeof((const int[]){__VA_ARGS__}) / sizeof(int)), (const int[]) {                                           \
        __VA_ARGS__                                                                                                    \
    }
#define SOMA_ALL_AXES 0, NULL
SOMA_API soma_tensor *soma_sum(soma_tensor *x, int n_axes, const int *axes, bool keepdims);
SOMA_API soma_tensor *soma_mean(soma_tensor *x, int n_axes, const int *axes, bool keepdims); /**< integers: float32 */
SOMA_API soma_tensor *soma_prod(soma_tensor *x, int n_axes, const int *axes, bool keepdims);
SOMA_API soma_tensor *soma_max(soma_tensor *x, int n_axes, const int *axes,
                               bool keepdims); /**< ties share the gradient */
SOMA_API soma_tensor *soma_min(soma_tensor *x, int n_axes, const int *axes, bool keepdims);
SOMA_API soma_tensor *soma_argmax(soma_tensor *x, int axis, bool keepdims); /**< int64, first of ties; no gradient */
SOMA_API soma_tensor *soma_argmin(soma_tensor *x, int axis, bool keepdims);
SOMA_API soma_tensor *soma_cumsum(soma_tensor *x, int axis);

/* ---- products ---- */
/** NumPy matmul: matrix x matrix, with batch axes broadcast, rank-1 operands as vectors (dot product when both are). */
SOMA_API soma_tensor *soma_matmul(soma_tensor *a, soma_tensor *b);
/** Dot product of vectors, matrix x vector, matrix x matrix: as soma_matmul, rank 2 at most. */
SOMA_API soma_tensor *soma_dot(soma_tensor *a, soma_tensor *b);

/* ---- where elements are ---- */
/** Same elements, another shape; one extent may be -1. */
SOMA_API soma_tensor *soma_reshape(soma_tensor *x, int rank, const int64_t *shape);
/** Axis i of the result is axis axes[i] of x; NULL reverses the axes. NumPy transpose. */
SOMA_API soma_tensor *soma_transpose(soma_tensor *x, const int *axes);
/** Broadcast to shape. NumPy broadcast_to, ONNX Expand. */
SOMA_API soma_tensor *soma_expand(soma_tensor *x, int rank, const int64_t *shape);
SOMA_API soma_tensor *soma_expand_dims(soma_tensor *x, int axis);
SOMA_API soma_tensor *soma_squeeze(soma_tensor *x, int axis);
/** NumPy's basic slicing, in its own words: soma_slice(images, "10:100"), "[:, 7:-7, ::-1]", "..., 0". */
SOMA_API soma_tensor *soma_slice(soma_tensor *x, const char *slices);
/** One axis, start to stop (exclusive) by step; bounds clamp and count from the end when negative.
 *  SOMA_END as stop: to the end (for a negative step: through the first element). */
#define SOMA_END INT64_MAX
SOMA_API soma_tensor *soma_slice_axis(soma_tensor *x, int axis, int64_t start, int64_t stop, int64_t step);
/** before[i] and after[i] elements of value around axis i. */
SOMA_API soma_tensor *soma_pad(soma_tensor *x, const int64_t *before, const int64_t *after, double value);
SOMA_API soma_tensor *soma_concat(soma_tensor *const *xs, int n, int axis);
SOMA_API soma_tensor *soma_stack(soma_tensor *const *xs, int n, int axis);
/** n equal parts of an axis into out[0..n-1]. */
SOMA_API SOMA_MUST_CHECK soma_status soma_split(soma_tensor *x, int n, int axis, soma_tensor **out);

/* ---- windows: convolution and pooling over one to three axes of places ---- */
/** Sliding windows along one axis, which becomes two, (places, size):
 *  y[.., p, s, ..] = x[.., p*stride + s*dilation, ..], places = (extent - (size - 1) * dilation - 1) / stride + 1.
 *  A view: nothing is copied. Errors: SOMA_SHAPE when not even one window fits. */
SOMA_API soma_tensor *soma_window(soma_tensor *x, int axis, int64_t size, int64_t stride, int64_t dilation);
/** The adjoint: the axes axis (places) and axis + 1 (size) become one of `extent`, where overlapping elements add up,
 *  and elements that no window covers are 0. Errors: SOMA_SHAPE when the windows do not fit the extent. */
SOMA_API soma_tensor *soma_unwindow(soma_tensor *x, int axis, int64_t extent, int64_t stride, int64_t dilation);
/** Of convolutions and pools: one entry for each axis of places; 0 stands for the default. */
typedef struct soma_window_options {
    int64_t strides[3];  /* 1; of pools the pool's size */
    int64_t dilation[3]; /* 1 */
    int64_t pads[3][2];  /* 0: before and after each axis; transposed: what is cut off there */
    int64_t groups;      /* 1 (convolutions) */
    int64_t extra[3];    /* 0: transposed convolution, more places at the end (Keras' output_padding) */
} soma_window_options;
/** Convolution (cross-correlation, as the field says it): x (batch, places..., in), w (kernel..., in / groups, out)
 *  -> (batch, places'..., out), with places' = (places + pads - (kernel - 1) * dilation - 1) / stride + 1 and
 *  y[n, p, o] = sum over s and c of x[n, p*stride + s*dilation - pads[0], c] * w[s, c, o]; group g of x's channels
 *  gives group g of y's. One to three axes of places, by x's rank. options NULL: defaults.
 *  Where 3 x 3 places of stride 1 pay for it, Winograd's transforms compute y and both gradients: they round some 3
 *  times as much as plain sums, and numbers that plain sums would give exactly are rounded, too.
 *  Errors: SOMA_SHAPE when channels or groups do not fit, or not one window does; SOMA_INVALID for sizes, strides,
 *  dilations below 1 and padding below 0. ONNX Conv-11. */
SOMA_API soma_tensor *soma_conv(soma_tensor *x, soma_tensor *w, const soma_window_options *options);
/** The adjoint of soma_conv for its input: x (batch, places..., in), w (kernel..., out / groups, in)
 *  -> (batch, (places - 1) * stride + (kernel - 1) * dilation + 1 + extra - pads, ..., out). Errors as soma_conv, and
 *  SOMA_SHAPE when padding leaves nothing. ONNX ConvTranspose-11. */
SOMA_API soma_tensor *soma_conv_transpose(soma_tensor *x, soma_tensor *w, const soma_window_options *options);
/** Each channel by its own kernels: x (batch, places..., in), w (kernel..., in, multiplier)
 *  -> (batch, places'..., in * multiplier), those of channel c from c * multiplier on. Errors as soma_conv. */
SOMA_API soma_tensor *soma_depthwise_conv(soma_tensor *x, soma_tensor *w, const soma_window_options *options);
/** Largest of each window of size[i] places: x (batch, places..., channels) -> (batch, places'..., channels). Padding
 *  never wins; of equal elements the first, in row-major order of the window, gets the gradient. Strides that are not
 *  given are the sizes. Errors: SOMA_SHAPE when no window fits, or padding could fill one. ONNX MaxPool-12. */
SOMA_API soma_tensor *soma_max_pool(soma_tensor *x, const int64_t *size, const soma_window_options *options);
/** Mean of each window, over the elements that are not padding; of integers in float32. Otherwise as soma_max_pool.
 *  ONNX AveragePool-11. */
SOMA_API soma_tensor *soma_average_pool(soma_tensor *x, const int64_t *size, const soma_window_options *options);

/* ---- data-dependent places ---- */
/** Entries of axis chosen by integer indices (any rank, negative from the end): NumPy take, ONNX Gather. */
SOMA_API soma_tensor *soma_gather(soma_tensor *x, soma_tensor *indices, int axis);
/** 1 where the position along a new last axis of n equals the index, else 0. No gradient. */
SOMA_API soma_tensor *soma_one_hot(soma_tensor *indices, int64_t n, soma_dtype dtype);

/* ---- composed, stable ---- */
/** y_i = exp(x_i - max x) / sum_j exp(x_j - max x) along axis. */
SOMA_API soma_tensor *soma_softmax_axis(soma_tensor *x, int axis);
SOMA_API soma_tensor *soma_log_softmax(soma_tensor *x, int axis);
SOMA_API soma_tensor *soma_logsumexp(soma_tensor *x, int axis, bool keepdims);
SOMA_API soma_tensor *soma_softplus(soma_tensor *x); /**< log(1 + e^x) */

#ifdef __cplusplus
}
#endif
#endif
