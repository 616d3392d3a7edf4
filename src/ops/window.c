/* Sliding windows: window sees an axis as (places, size) and costs nothing; unwindow, its adjoint, adds what overlaps.
 * Rests on build.h. Each is the other's gradient. Pools are made of them, one axis at a time, and convolutions when
 * they run, so the compiler behind knows strides and sums only. */
#include <string.h>

#include <soma/ops.h>

#include "ops/build.h"

/* The elements that one window spans; false when there is no such number. */
static bool window_span(int64_t size, int64_t stride, int64_t dilation, int64_t *span) {
    return size >= 1 && stride >= 1 && dilation >= 1 && int64_mul_checked(size - 1, dilation, span) &&
           int64_add_checked(*span, 1, span);
}

static op_attributes window_attributes(int axis, int64_t extent, int64_t stride, int64_t dilation) {
    return (op_attributes){.axis = axis, .shape = {extent}, .step = {stride, dilation}};
}

static soma_status bad_numbers(soma_graph *graph, const op *self, const char *what, const op_attributes *at) {
    return error_set(graph->context, SOMA_SHAPE, "[%s] %s %lld, stride %lld and dilation %lld: each must be at least 1",
                     self->name, what, (long long)at->shape[0], (long long)at->step[0], (long long)at->step[1]);
}

/* ---- window ---- */

static soma_status infer_window(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                                const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    (void)n;
    const soma_tensor *x = inputs[0];
    int axis = attributes->axis;
    int64_t size = attributes->shape[0], stride = attributes->step[0], dilation = attributes->step[1], span;
    char shown[SHAPE_TEXT];
    RETURN_IF(graph->context, axis < 0 || axis >= x->rank, SOMA_SHAPE, "[window] axis %d of rank %d", axis, x->rank);
    RETURN_IF(graph->context, x->rank == SOMA_MAX_RANK, SOMA_SHAPE,
              "[window] %s has %d axes: there is no room for one more", tensor_shape_text(shown, x), x->rank);
    if (size < 1 || stride < 1 || dilation < 1) return bad_numbers(graph, self, "size", attributes);
    RETURN_IF(graph->context, !window_span(size, stride, dilation, &span) || span > x->shape[axis], SOMA_SHAPE,
              "[window] %lld elements, one in %lld, do not fit axis %d of %s", (long long)size, (long long)dilation,
              axis, tensor_shape_text(shown, x));
    *dtype = x->dtype;
    *rank = x->rank + 1;
    for (int i = 0; i < *rank; i++)
        shape[i] = i <= axis ? x->shape[i] : x->shape[i - 1];
    shape[axis] = (x->shape[axis] - span) / stride + 1;
    shape[axis + 1] = size;
    return SOMA_OK;
}

soma_tensor *soma_window(soma_tensor *x, int axis, int64_t size, int64_t stride, int64_t dilation) {
    if (!x || !op_axis(x, "window", &axis)) return NULL;
    op_attributes attributes = window_attributes(axis, size, stride, dilation);
    return op_apply(NULL, &op_window, &x, 1, &attributes);
}

static void vjp_window(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    (void)needed;
    const op_attributes *at = y->attributes;
    dx[0] = soma_unwindow(dy, at->axis, y->inputs[0]->shape[at->axis], at->step[0], at->step[1]);
}

static soma_status reference_window(const soma_tensor *node, const op_view *inputs, op_view *output) {
    const op_view *x = &inputs[0];
    int axis = node->attributes->axis;
    op_view seen = {.data = x->data, .dtype = x->dtype, .rank = node->rank};
    memcpy(seen.shape, node->shape, sizeof seen.shape);
    for (int i = 0; i < node->rank; i++)
        seen.strides[i] = x->strides[i <= axis ? i : i - 1];
    seen.strides[axis] = x->strides[axis] * node->attributes->step[0];
    seen.strides[axis + 1] = x->strides[axis] * node->attributes->step[1];
    ref_copy(&seen, output);
    return SOMA_OK;
}

/* ---- unwindow ---- */

static soma_status infer_unwindow(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                                  const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    (void)n;
    const soma_tensor *x = inputs[0];
    int axis = attributes->axis;
    int64_t extent = attributes->shape[0], stride = attributes->step[0], dilation = attributes->step[1], span, last;
    char shown[SHAPE_TEXT];
    RETURN_IF(graph->context, x->dtype == SOMA_BOOL, SOMA_DTYPE, "[unwindow] bool does not add up: soma_cast it first");
    RETURN_IF(graph->context, axis < 0 || axis + 1 >= x->rank, SOMA_SHAPE,
              "[unwindow] axes %d and %d of %s are not there", axis, axis + 1, tensor_shape_text(shown, x));
    if (extent < 1 || stride < 1 || dilation < 1) return bad_numbers(graph, self, "extent", attributes);
    int64_t places = x->shape[axis], size = x->shape[axis + 1];
    bool fits = window_span(size, stride, dilation, &span) &&
                (places == 0 || (int64_mul_checked(places - 1, stride, &last) && int64_add_checked(last, span, &last) &&
                                 last <= extent));
    RETURN_IF(graph->context, !fits, SOMA_SHAPE,
              "[unwindow] axes %d and %d of %s, by strides %lld and %lld, do not fit %lld elements", axis, axis + 1,
              tensor_shape_text(shown, x), (long long)stride, (long long)dilation, (long long)extent);
    *dtype = x->dtype;
    *rank = x->rank - 1;
    for (int i = 0; i < *rank; i++)
        shape[i] = i <= axis ? x->shape[i] : x->shape[i + 1];
    shape[axis] = extent;
    return SOMA_OK;
}

soma_tensor *soma_unwindow(soma_tensor *x, int axis, int64_t extent, int64_t stride, int64_t dilation) {
    if (!x || !op_axis(x, "unwindow", &axis)) return NULL;
    op_attributes attributes = window_attributes(axis, extent, stride, dilation);
    return op_apply(NULL, &op_unwindow, &x, 1, &attributes);
}

/* Windows that the extent has room for but x has not are left out. */
static void vjp_unwindow(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    (void)needed;
    static const int64_t zero[SOMA_MAX_RANK];
    const soma_tensor *x = y->inputs[0];
    const op_attributes *at = y->attributes;
    int64_t one[SOMA_MAX_RANK];
    for (int i = 0; i < x->rank; i++)
        one[i] = 1;
    dx[0] =
        op_slice_box(soma_window(dy, at->axis, x->shape[at->axis + 1], at->step[0], at->step[1]), zero, x->shape, one);
}

static soma_status reference_unwindow(const soma_tensor *node, const op_view *inputs, op_view *output) {
    ref_unwindow(&inputs[0], node->attributes->axis, node->attributes->step[0], node->attributes->step[1], output);
    return SOMA_OK;
}

/* ---- samples and descriptors ---- */

#define SAMPLE(name, expression)                                                                                       \
    static soma_tensor *name(soma_tensor *const *xs) {                                                                 \
        soma_tensor *x = xs[0];                                                                                        \
        return expression;                                                                                             \
    }
#define END                                                                                                            \
    {                                                                                                                  \
        NULL, NULL, 0, {                                                                                               \
            { SOMA_F32, 0, {0}, 0, 0 }                                                                                 \
        }                                                                                                              \
    }

SAMPLE(dense_window, soma_window(x, 0, 3, 1, 1))
SAMPLE(wide_window, soma_window(x, -2, 3, 2, 2))
SAMPLE(plane_windows, soma_window(soma_window(x, 1, 3, 1, 1), 3, 2, 2, 1))
SAMPLE(window_between, soma_exp(soma_window(soma_neg(x), 1, 2, 2, 1)))
SAMPLE(window_sum, soma_sum(soma_window(x, 0, 4, 1, 3), SOMA_AXES(1), false))
SAMPLE(window_reshaped, soma_reshape(soma_window(x, 1, 3, 1, 1), SOMA_DIMS(2, -1)))
SAMPLE(window_strided, soma_window(soma_slice(soma_transpose(x, NULL), "::-2, 1:"), 1, 2, 3, 2))
static const op_sample samples_window[] = {{"dense", dense_window, 1, {{SOMA_F32, 1, {37}, -2, 2}}},
                                           {"wide", wide_window, 1, {{SOMA_F32, 3, {2, 19, 3}, -2, 2}}},
                                           {"planes", plane_windows, 1, {{SOMA_F32, 4, {2, 5, 7, 3}, -2, 2}}},
                                           {"between maps", window_between, 1, {{SOMA_F32, 2, {3, 17}, -2, 2}}},
                                           {"sum", window_sum, 1, {{SOMA_F32, 2, {14, 5}, -2, 2}}},
                                           {"reshaped", window_reshaped, 1, {{SOMA_F32, 2, {2, 9}, -2, 2}}},
                                           {"strided", window_strided, 1, {{SOMA_F32, 2, {9, 7}, -2, 2}}},
                                           {"one", dense_window, 1, {{SOMA_F32, 2, {3, 2}, -2, 2}}},
                                           {"bytes", wide_window, 1, {{SOMA_U8, 2, {11, 3}, 0, 255}}},
                                           {"empty", dense_window, 1, {{SOMA_F32, 2, {5, 0}, -2, 2}}},
                                           END};
const op op_window = {"window",
                      "y[.., p, s, ..] = x[.., p*stride + s*dilation, ..] along an axis",
                      OP_VIEW,
                      0,
                      1,
                      1,
                      infer_window,
                      vjp_window,
                      NULL,
                      reference_window,
                      NULL,
                      OP_SAMPLES(samples_window)};

SAMPLE(overlapping, soma_unwindow(x, 0, 7, 1, 1))
SAMPLE(with_gaps, soma_unwindow(x, 1, 17, 4, 2))
SAMPLE(side_by_side, soma_unwindow(x, -2, 13, 3, 1))
SAMPLE(both_axes, soma_unwindow(soma_unwindow(x, 3, 8, 2, 1), 1, 6, 1, 2))
SAMPLE(there_and_back, soma_unwindow(soma_square(soma_window(x, 0, 3, 2, 2)), 0, 11, 2, 2))
static const op_sample samples_unwindow[] = {{"overlapping", overlapping, 1, {{SOMA_F32, 3, {5, 3, 18}, -2, 2}}},
                                             {"vector", overlapping, 1, {{SOMA_F32, 2, {4, 4}, -2, 2}}},
                                             {"gaps", with_gaps, 1, {{SOMA_F32, 4, {2, 4, 3, 5}, -2, 2}}},
                                             {"side by side", side_by_side, 1, {{SOMA_F32, 3, {2, 4, 3}, -2, 2}}},
                                             {"planes", both_axes, 1, {{SOMA_F32, 6, {2, 4, 2, 3, 3, 5}, -2, 2}}},
                                             {"window's", there_and_back, 1, {{SOMA_F32, 2, {11, 3}, -2, 2}}},
                                             {"integers", overlapping, 1, {{SOMA_I32, 3, {5, 3, 4}, -9, 9}}},
                                             {"no places", overlapping, 1, {{SOMA_F32, 3, {0, 3, 2}, -2, 2}}},
                                             {"empty", overlapping, 1, {{SOMA_F32, 3, {5, 3, 0}, -2, 2}}},
                                             END};
const op op_unwindow = {"unwindow",
                        "y[.., i, ..] = sum of x[.., p, s, ..] over p*stride + s*dilation = i",
                        OP_ARRANGE,
                        0,
                        1,
                        1,
                        infer_unwindow,
                        vjp_unwindow,
                        NULL,
                        reference_unwindow,
                        NULL,
                        OP_SAMPLES(samples_unwindow)};
