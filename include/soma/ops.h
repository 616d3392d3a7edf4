/* Ops: functions of tensors that give tensors. Names and argument order are NumPy's and ONNX'.
 * Broadcasting and type promotion are NumPy's, except that float32 with any integer stays float32.
 * Everything here that is not marked "no gradient" can be differentiated, any number of times. */
#ifndef SOMA_OPS_H
#define SOMA_OPS_H

#include <soma/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- element by element, one input ---- */
SOMA_API soma_tensor *soma_neg(soma_tensor *x);        /**< -x */
SOMA_API soma_tensor *soma_abs(soma_tensor *x);        /**< |x|; gradient 0 at 0 */
SOMA_API soma_tensor *soma_sign(soma_tensor *x);       /**< -1, 0 or 1; gradient 0 */
SOMA_API soma_tensor *soma_square(soma_tensor *x);     /**< x*x */
SOMA_API soma_tensor *soma_sqrt(soma_tensor *x);       /**< x^(1/2) */
SOMA_API soma_tensor *soma_rsqrt(soma_tensor *x);      /**< x^(-1/2) */
SOMA_API soma_tensor *soma_reciprocal(soma_tensor *x); /**< 1/x */
SOMA_API soma_tensor *soma_exp(soma_tensor *x);        /**< e^x */
SOMA_API soma_tensor *soma_expm1(soma_tensor *x);      /**< e^x - 1, exact near 0 */
SOMA_API soma_tensor *soma_log(soma_tensor *x);        /**< natural logarithm */
SOMA_API soma_tensor *soma_log1p(soma_tensor *x);      /**< log(1 + x), exact near 0 */
SOMA_API soma_tensor *soma_sin(soma_tensor *x);
SOMA_API soma_tensor *soma_cos(soma_tensor *x);
SOMA_API soma_tensor *soma_tan(soma_tensor *x);
SOMA_API soma_tensor *soma_tanh(soma_tensor *x);
SOMA_API soma_tensor *soma_sigmoid(soma_tensor *x); /**< 1/(1 + e^-x), an activation too */
SOMA_API soma_tensor *soma_erf(soma_tensor *x);
SOMA_API soma_tensor *soma_floor(soma_tensor *x); /**< gradient 0, as for ceil, round (half to even), trunc */
SOMA_API soma_tensor *soma_ceil(soma_tensor *x);
SOMA_API soma_tensor *soma_round(soma_tensor *x);
SOMA_API soma_tensor *soma_trunc(soma_tensor *x);
SOMA_API soma_tensor *soma_isnan(soma_tensor *x);       /**< bool, no gradient */
SOMA_API soma_tensor *soma_isfinite(soma_tensor *x);    /**< bool, no gradient */
SOMA_API soma_tensor *soma_logical_not(soma_tensor *x); /**< bool, no gradient */
SOMA_API soma_tensor *soma_cast(soma_tensor *x, soma_dtype dtype);
SOMA_API soma_tensor *soma_stop_gradient(soma_tensor *x); /**< x, with gradient zero */

/* ---- element by element, two or three inputs, broadcast ---- */
SOMA_API soma_tensor *soma_add(soma_tensor *a, soma_tensor *b);
SOMA_API soma_tensor *soma_sub(soma_tensor *a, soma_tensor *b);
SOMA_API soma_tensor *soma_mul(soma_tensor *a, soma_tensor *b);
SOMA_API soma_tensor *soma_div(soma_tensor *a, soma_tensor *b); /**< true division: integers become float32 */
SOMA_API soma_tensor *soma_mod(soma_tensor *a, soma_tensor *b); /**< sign of b, as NumPy's; no gradient to b */
SOMA_API soma_tensor *soma_pow(soma_tensor *a, soma_tensor *b);
SOMA_API soma_tensor *soma_atan2(soma_tensor *a, soma_tensor *b);
SOMA_API soma_tensor *soma_maximum(soma_tensor *a, soma_tensor *b); /**< the max gate; ties share the gradient */
SOMA_API soma_tensor *soma_minimum(soma_tensor *a, soma_tensor *b);
SOMA_API soma_tensor *soma_equal(soma_tensor *a, soma_tensor *b); /**< comparisons give bool, no gradient */
SOMA_API soma_tensor *soma_not_equal(soma_tensor *a, soma_tensor *b);
SOMA_API soma_tensor *soma_less(soma_tensor *a, soma_tensor *b);
SOMA_API soma_tensor *soma_less_equal(soma_tensor *a, soma_tensor *b);
SOMA_API soma_tensor *soma_greater(soma_tensor *a, soma_tensor *b);
SOMA_API soma_tensor *soma_greater_equal(soma_tensor *a, soma_tensor *b);
SOMA_API soma_tensor *soma_logical_and(soma_tensor *a, soma_tensor *b);
SOMA_API soma_tensor *soma_logical_or(soma_tensor *a, soma_tensor *b);
SOMA_API soma_tensor *soma_logical_xor(soma_tensor *a, soma_tensor *b);
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
