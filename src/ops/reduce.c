/* Reductions along axes: sum, product, extremes and where they are.
 * Rests on build.h. The op keeps every axis with extent 1; the builder reshapes them away.
 * The mean is a sum divided by a count. */
#include <string.h>

#include <soma/ops.h>

#include "ops/build.h"

/* Extents multiplied over the axes of a mask. */
static int64_t reduced_size(const soma_tensor *x, uint32_t axes) {
    int64_t size = 1;
    for (int i = 0; i < x->rank; i++)
        if (axes >> i & 1) size *= x->shape[i];
    return size;
}

static soma_status infer_reduce(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                                const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    (void)n, (void)self;
    const soma_tensor *x = inputs[0];
    RETURN_IF(graph->context, attributes->axes >> x->rank != 0, SOMA_SHAPE, "[%s] axes beyond rank %d", self->name,
              x->rank);
    *dtype = x->dtype;
    *rank = x->rank;
    for (int i = 0; i < x->rank; i++)
        shape[i] = attributes->axes >> i & 1 ? 1 : x->shape[i];
    return SOMA_OK;
}

/* Without elements there is no extreme. */
static soma_status infer_extreme(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                                 const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    TRY(infer_reduce(graph, self, inputs, n, attributes, dtype, rank, shape));
    char buffer[SHAPE_TEXT];
    RETURN_IF(graph->context, reduced_size(inputs[0], attributes->axes) == 0 && shape_size(*rank, shape) > 0,
              SOMA_SHAPE, "[%s] shape %s has no element along the reduced axes", self->name,
              tensor_shape_text(buffer, inputs[0]));
    return SOMA_OK;
}

static soma_status infer_place(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                               const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    TRY(infer_extreme(graph, self, inputs, n, attributes, dtype, rank, shape));
    RETURN_IF(graph->context, attributes->axes == 0 || (attributes->axes & (attributes->axes - 1)) != 0, SOMA_SHAPE,
              "[%s] needs exactly one axis", self->name);
    *dtype = SOMA_I64;
    return SOMA_OK;
}

static soma_status reference_reduce(const soma_tensor *node, const op_view *inputs, op_view *output) {
    ref_reduce((cpu_reduce)node->op->code, node->attributes->axes, &inputs[0], output);
    return SOMA_OK;
}

/* ---- builders ---- */

/* Bits of the axes, all when none are given; false after an error. */
static bool axes_mask(const char *name, const soma_tensor *x, int n_axes, const int *axes, uint32_t *mask) {
    *mask = n_axes <= 0 ? (UINT32_C(1) << x->rank) - 1 : 0;
    for (int i = 0; i < n_axes; i++) {
        int axis = axes[i];
        if (!op_axis(x, name, &axis)) return false;
        if (*mask >> axis & 1) {
            (void)error_set(x->graph->context, SOMA_SHAPE, "[%s] axis %d is given twice", name, axes[i]);
            return false;
        }
        *mask |= UINT32_C(1) << axis;
    }
    return true;
}

static soma_tensor *drop_axes(soma_tensor *x, uint32_t mask) {
    if (!x) return NULL;
    int rank = 0;
    int64_t shape[SOMA_MAX_RANK];
    for (int i = 0; i < x->rank; i++)
        if (!(mask >> i & 1)) shape[rank++] = x->shape[i];
    return soma_reshape(x, rank, shape);
}

static soma_tensor *reduce_mask(const op *self, soma_tensor *x, uint32_t mask, bool keepdims) {
    if (!x || (mask == 0 && self != &op_argmax && self != &op_argmin)) return x;
    soma_tensor *y = op_apply(NULL, self, &x, 1, &(op_attributes){.axes = mask});
    return keepdims ? y : drop_axes(y, mask);
}

static soma_tensor *reduce(const op *self, soma_tensor *x, int n_axes, const int *axes, bool keepdims) {
    uint32_t mask;
    if (!x || !axes_mask(self->name, x, n_axes, axes, &mask)) return NULL;
    return reduce_mask(self, x, mask, keepdims);
}

/* As in NumPy, integers and truth values add up in int64. */
static soma_tensor *widen(soma_tensor *x) {
    return !x || dtype_is_float(x->dtype) ? x : soma_cast(x, SOMA_I64);
}

soma_tensor *soma_sum(soma_tensor *x, int n_axes, const int *axes, bool keepdims) {
    return reduce(&op_sum, widen(x), n_axes, axes, keepdims);
}

soma_tensor *soma_prod(soma_tensor *x, int n_axes, const int *axes, bool keepdims) {
    return reduce(&op_prod, widen(x), n_axes, axes, keepdims);
}

soma_tensor *soma_max(soma_tensor *x, int n_axes, const int *axes, bool keepdims) {
    return reduce(&op_max, x, n_axes, axes, keepdims);
}

soma_tensor *soma_min(soma_tensor *x, int n_axes, const int *axes, bool keepdims) {
    return reduce(&op_min, x, n_axes, axes, keepdims);
}

soma_tensor *soma_argmax(soma_tensor *x, int axis, bool keepdims) {
    return reduce(&op_argmax, x, 1, &axis, keepdims);
}
soma_tensor *soma_argmin(soma_tensor *x, int axis, bool keepdims) {
    return reduce(&op_argmin, x, 1, &axis, keepdims);
}

soma_tensor *soma_mean(soma_tensor *x, int n_axes, const int *axes, bool keepdims) {
    uint32_t mask;
    x = op_to_float(x);
    if (!x || !axes_mask("mean", x, n_axes, axes, &mask)) return NULL;
    if (soma_dtype_size(x->dtype) == 2) /* neither sum nor count need fit 16 bits */
        return soma_cast(soma_mean(soma_cast(x, SOMA_F32), n_axes, axes, keepdims), x->dtype);
    soma_tensor *total = reduce_mask(&op_sum, x, mask, keepdims);
    return total ? soma_div(total, op_number(total, (double)reduced_size(x, mask))) : NULL;
}

soma_tensor *op_sum_to(soma_tensor *x, int rank, const int64_t *shape) {
    if (!x) return NULL;
    uint32_t mask = 0;
    int leading = x->rank - rank;
    for (int i = 0; i < x->rank; i++)
        if (i < leading || (shape[i - leading] == 1 && x->shape[i] != 1)) mask |= UINT32_C(1) << i;
    soma_tensor *y = reduce_mask(&op_sum, x, mask, true);
    return soma_reshape(y, rank, shape);
}

/* ---- gradients ---- */

static void vjp_sum(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    (void)needed;
    dx[0] = soma_expand(dy, y->inputs[0]->rank, y->inputs[0]->shape);
}

/* The place of the first of the elements that hit, in row-major order of the reduced axes; as a byte if it fits. */
static soma_tensor *first_hit(soma_tensor *hit, soma_dtype dtype, uint32_t axes) {
    int64_t n = reduced_size(hit, axes), shape[SOMA_MAX_RANK];
    soma_dtype counted = dtype == SOMA_F64 ? SOMA_F64 : SOMA_F32;
    for (int i = 0; i < hit->rank; i++)
        shape[i] = axes >> i & 1 ? hit->shape[i] : 1;
    soma_tensor *place = soma_reshape(soma_arange(hit->graph, counted, 0, (double)n, 1), hit->rank, shape);
    soma_tensor *none = soma_scalar(hit->graph, counted, (double)n);
    soma_tensor *first = reduce_mask(&op_min, soma_where(hit, place, none), axes, true);
    return n < 255 ? soma_cast(first, SOMA_U8) : first;
}

/* dy where `first` is the place, else 0: a part for each place of the reduced axes, from axis `axis` on, joined. */
static soma_tensor *spread_hits(soma_tensor *first, soma_tensor *dy, const soma_tensor *x, uint32_t axes, int axis,
                                int64_t place) {
    while (axis < x->rank && !(axes >> axis & 1))
        axis++;
    if (!first || !dy) return NULL;
    if (axis == x->rank) return soma_where(soma_equal(first, op_number(first, (double)place)), dy, op_number(dy, 0));
    int64_t n = x->shape[axis];
    soma_tensor **parts = arena_alloc(&x->graph->arena, (size_t)n * sizeof *parts);
    if (!parts) return NULL;
    for (int64_t i = 0; i < n; i++)
        parts[i] = spread_hits(first, dy, x, axes, axis + 1, place * n + i);
    return soma_concat(parts, (int)n, axis);
}

/* Every element that equals the extreme gets an equal share of dy, or (exclusive) the first of them all of it. */
static void vjp_extreme(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    (void)needed;
    enum { PARTS_MAX = 64 };
    soma_tensor *x = y->inputs[0], *hit = soma_equal(x, y);
    uint32_t axes = y->attributes->axes;
    if (hit && y->attributes->exclusive && reduced_size(x, axes) <= PARTS_MAX) {
        dx[0] = spread_hits(first_hit(hit, y->dtype, axes), dy, x, axes, 0, 0);
        return;
    }
    if (hit && y->attributes->exclusive) {
        soma_tensor *first = first_hit(hit, y->dtype, axes);
        int64_t shape[SOMA_MAX_RANK];
        for (int i = 0; i < x->rank; i++)
            shape[i] = axes >> i & 1 ? x->shape[i] : 1;
        soma_tensor *place = soma_arange(x->graph, SOMA_I64, 0, (double)reduced_size(x, axes), 1);
        place = soma_cast(soma_reshape(place, x->rank, shape), first ? first->dtype : SOMA_F32);
        dx[0] = soma_where(soma_equal(place, first), dy, op_number(dy, 0));
        return;
    }
    soma_tensor *hits = reduce_mask(&op_sum, soma_stop_gradient(soma_cast(hit, dy->dtype)), axes, true);
    dx[0] = soma_where(hit, soma_div(dy, hits), op_number(dy, 0));
}

/* The columns of a matrix moved by so many places; those that are left free hold 1. */
static soma_tensor *shift(soma_tensor *x, int64_t places, bool to_left) {
    if (!x) return NULL;
    int64_t zero[] = {0, 0}, far[] = {0, places}, count[] = {x->shape[0], x->shape[1] - places}, one[] = {1, 1};
    soma_tensor *kept = op_slice_box(x, to_left ? far : zero, count, one);
    return soma_pad(kept, to_left ? zero : far, to_left ? far : zero, 1);
}

/* Products of all elements before each (reverse: behind each) in its row, in log2(n) steps of multiplying by oneself
 * moved 1, 2, 4, ... places. */
static soma_tensor *product_of_others(soma_tensor *x, bool reverse) {
    int64_t n = x->shape[1];
    x = shift(x, 1, reverse);
    for (int64_t places = 1; places < n; places *= 2)
        x = soma_mul(x, shift(x, places, reverse));
    return x;
}

/* The derivative of a product is the product of all other elements: never a division, so zeros are as good as any
 * number, at every order of derivation. */
static void vjp_prod(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    (void)needed;
    soma_tensor *x = y->inputs[0];
    int axes[SOMA_MAX_RANK], back[SOMA_MAX_RANK], at = 0;
    int64_t moved[SOMA_MAX_RANK];
    for (int last = 0; last <= 1; last++)
        for (int i = 0; i < x->rank; i++)
            if ((int)(y->attributes->axes >> i & 1) == last) axes[at++] = i;
    for (int i = 0; i < x->rank; i++) {
        back[axes[i]] = i;
        moved[i] = x->shape[axes[i]];
    }
    int64_t n = reduced_size(x, y->attributes->axes);
    if (n == 0 || shape_size(x->rank, x->shape) == 0) {
        dx[0] = soma_zeros(x->graph, x->dtype, x->rank, x->shape);
        return;
    }
    soma_tensor *rows = soma_reshape(soma_transpose(x, axes), SOMA_DIMS(-1, n));
    if (!rows) return;
    soma_tensor *others = soma_mul(product_of_others(rows, false), product_of_others(rows, true));
    others = soma_transpose(soma_reshape(others, x->rank, moved), back);
    dx[0] = soma_mul(dy, others);
}

/* ---- samples and descriptors ---- */

/* A builder on all axes, the last, the first, the middle one and two; called with its own keepdims. */
#define REDUCE_SAMPLES(name, f, low, high)                                                                             \
    static soma_tensor *all_##name(soma_tensor *const *xs) {                                                           \
        return f(xs[0], SOMA_ALL_AXES, false);                                                                         \
    }                                                                                                                  \
    static soma_tensor *last_##name(soma_tensor *const *xs) {                                                          \
        return f(xs[0], SOMA_AXES(-1), true);                                                                          \
    }                                                                                                                  \
    static soma_tensor *first_##name(soma_tensor *const *xs) {                                                         \
        return f(xs[0], SOMA_AXES(0), false);                                                                          \
    }                                                                                                                  \
    static soma_tensor *middle_##name(soma_tensor *const *xs) {                                                        \
        return f(xs[0], SOMA_AXES(1), false);                                                                          \
    }                                                                                                                  \
    static soma_tensor *outer_##name(soma_tensor *const *xs) {                                                         \
        return f(xs[0], SOMA_AXES(0, -1), true);                                                                       \
    }                                                                                                                  \
    static soma_tensor *strided_##name(soma_tensor *const *xs) {                                                       \
        return f(soma_slice(soma_transpose(xs[0], NULL), "::-2, 1:"), SOMA_AXES(-1), false);                           \
    }                                                                                                                  \
    static const op_sample samples_##name[] = {{"vector", all_##name, 1, {{SOMA_F32, 1, {37}, low, high}}},            \
                                               {"all", all_##name, 1, {{SOMA_F32, 3, {2, 3, 5}, low, high}}},          \
                                               {"rows", last_##name, 1, {{SOMA_F32, 2, {5, 33}, low, high}}},          \
                                               {"columns", first_##name, 1, {{SOMA_F32, 2, {13, 18}, low, high}}},     \
                                               {"middle", middle_##name, 1, {{SOMA_F32, 3, {4, 5, 6}, low, high}}},    \
                                               {"outer", outer_##name, 1, {{SOMA_F32, 3, {3, 4, 5}, low, high}}},      \
                                               {"one", last_##name, 1, {{SOMA_F32, 2, {6, 1}, low, high}}},            \
                                               {"strided", strided_##name, 1, {{SOMA_F32, 2, {7, 9}, low, high}}},     \
                                               {"empty", first_##name, 1, {{SOMA_F32, 2, {3, 0}, low, high}}},         \
                                               {"integers", last_##name, 1, {{SOMA_I32, 2, {3, 17}, low, high}}},      \
                                               {"bytes", first_##name, 1, {{SOMA_U8, 2, {5, 17}, 0, 5}}},              \
                                               {"bools", last_##name, 1, {{SOMA_BOOL, 2, {3, 17}, 0, 1}}},             \
                                               {NULL, NULL, 0, {{SOMA_F32, 0, {0}, 0, 0}}}};

#define REDUCE(name, f, reduce_code, rule, gradient, reason, onnx_name, text, low, high)                               \
    REDUCE_SAMPLES(name, f, low, high)                                                                                 \
    const op op_##name = {#name, text,     OP_REDUCE, reduce_code,      1,         1,                                  \
                          rule,  gradient, reason,    reference_reduce, onnx_name, OP_SAMPLES(samples_##name)};

static const char PLACE[] = "its result is a position";

/* These two take one axis: of several, the first. */
static soma_tensor *argmax_along(soma_tensor *x, int n, const int *axes, bool keepdims) {
    return n == 0 ? soma_argmax(soma_reshape(x, SOMA_DIMS(-1)), 0, keepdims) : soma_argmax(x, axes[0], keepdims);
}
static soma_tensor *argmin_along(soma_tensor *x, int n, const int *axes, bool keepdims) {
    return n == 0 ? soma_argmin(soma_reshape(x, SOMA_DIMS(-1)), 0, keepdims) : soma_argmin(x, axes[0], keepdims);
}

REDUCE(sum, soma_sum, CPU_REDUCE_SUM, infer_reduce, vjp_sum, NULL, "ReduceSum-13", "y = sum of x along axes", -2, 2)
REDUCE(prod, soma_prod, CPU_REDUCE_PROD, infer_reduce, vjp_prod, NULL, "ReduceProd-13", "y = product of x along axes",
       0.5, 1.6)
REDUCE(max, soma_max, CPU_REDUCE_MAX, infer_extreme, vjp_extreme, NULL, "ReduceMax-13",
       "y = greatest x along axes, NaN if any is", -9, 9)
REDUCE(min, soma_min, CPU_REDUCE_MIN, infer_extreme, vjp_extreme, NULL, "ReduceMin-13",
       "y = least x along axes, NaN if any is", -9, 9)
REDUCE(argmax, argmax_along, CPU_REDUCE_ARGMAX, infer_place, NULL, PLACE, "ArgMax-13",
       "y = position of the greatest x along an axis, the first of several, the first NaN if any is", -9, 9)
REDUCE(argmin, argmin_along, CPU_REDUCE_ARGMIN, infer_place, NULL, PLACE, "ArgMin-13",
       "y = position of the least x along an axis, the first of several, the first NaN if any is", -9, 9)
