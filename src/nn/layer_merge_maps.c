/* Merging layers beside Add and Concatenate: Subtract, Multiply, Average, Maximum, Minimum, Dot.
 * Rests on the ops of those names. They take several inputs, so they are called with soma_call_many.
 * Shapes must be equal: nothing broadcasts in silence. */
#include <stddef.h>

#include <soma/layers.h>

#include "nn/layer.h"

typedef soma_tensor *merge_fn(soma_tensor *a, soma_tensor *b);

/* Which steps of x count, so that it broadcasts to x; NULL: all. */
static soma_tensor *steps_of(soma_trace *trace, soma_tensor *x) {
    return mask_widen(soma_trace_mask(trace, x), x->rank);
}

/* y where both count, else what does of a, whose steps are `counts`, and b. */
static soma_tensor *either(soma_tensor *y, soma_tensor *a, soma_tensor *counts, soma_tensor *b, soma_tensor *mask) {
    if (counts) y = soma_where(counts, y, b);
    return mask ? soma_where(mask, y, a) : y;
}

/* The inputs one after the other. Of a product or an extreme only what counts, as in Keras; in sums all takes part. */
static soma_tensor *merge(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n, merge_fn *function) {
    soma_tensor *y = layer_float(layer, inputs[0]), *counts = steps_of(trace, inputs[0]);
    bool plain = true; /* all masks are one */
    for (int i = 1; i < n; i++)
        plain = plain && soma_trace_mask(trace, inputs[i]) == soma_trace_mask(trace, inputs[0]);
    plain = plain || function == soma_add || function == soma_sub;
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    for (int i = 1; i < n; i++) {
        RETURN_NULL_IF(layer->context,
                       !shape_equal(inputs[0]->rank, inputs[0]->shape, inputs[i]->rank, inputs[i]->shape), SOMA_SHAPE,
                       "[%s] inputs %s and %s differ", layer->kind->name, tensor_shape_text(a, inputs[0]),
                       tensor_shape_text(b, inputs[i]));
        soma_tensor *x = layer_float(layer, inputs[i]), *mask = steps_of(trace, inputs[i]), *both = function(y, x);
        y = plain ? both : either(both, y, counts, x, mask);
        counts = counts && mask && !plain ? soma_logical_or(counts, mask) : NULL;
    }
    trace_merge_masks(trace, inputs, n, y);
    return y;
}

static soma_tensor *subtract(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    return merge(layer, trace, inputs, n, soma_sub);
}
static soma_tensor *multiply(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    return merge(layer, trace, inputs, n, soma_mul);
}
static soma_tensor *average(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    soma_tensor *y = soma_mul_scalar(merge(layer, trace, inputs, n, soma_add), 1.0 / n);
    trace_merge_masks(trace, inputs, n, y);
    return y;
}
static soma_tensor *maximum(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    return merge(layer, trace, inputs, n, soma_maximum);
}
static soma_tensor *minimum(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    return merge(layer, trace, inputs, n, soma_minimum);
}

#define MERGE(function, class_name, most)                                                                              \
    const soma_layer_class layer_##function = {.name = class_name,                                                     \
                                               .size = sizeof(soma_plain_layer_options),                               \
                                               .min_inputs = 2,                                                        \
                                               .max_inputs = most,                                                     \
                                               .call = function,                                                       \
                                               .passes_mask = true};                                                   \
    soma_layer *soma_##function##_layer_create(const soma_plain_layer_options *options) {                              \
        return soma_layer_create(&layer_##function, options);                                                          \
    }
MERGE(subtract, "Subtract", 2)
MERGE(multiply, "Multiply", -1)
MERGE(average, "Average", -1)
MERGE(maximum, "Maximum", -1)
MERGE(minimum, "Minimum", -1)
#undef MERGE

/* ---- Dot ---- */

static const soma_field dot_fields[] = {
    {.name = "axes", .kind = SOMA_FIELD_SHAPE, .offset = offsetof(soma_dot_layer_options, axes)},
    {.name = "normalize", .kind = SOMA_FIELD_BOOL, .offset = offsetof(soma_dot_layer_options, normalize)},
    {.name = NULL}};

/* x as (batch, other axes in one, n), with the axis of the products last. */
static soma_tensor *axis_last(const soma_layer *layer, soma_tensor *x, int64_t axis) {
    if (!x) return NULL;
    if (axis < 0) axis += x->rank;
    RETURN_NULL_IF(layer->context, axis < 1 || axis >= x->rank, SOMA_SHAPE, "[Dot] axis %lld is not one of a sample's",
                   (long long)axis);
    int order[SOMA_MAX_RANK], n = 0;
    for (int i = 0; i < x->rank; i++)
        if (i != axis) order[n++] = i;
    order[n] = (int)axis;
    int64_t extent = x->shape[axis], rest = shape_size(x->rank, x->shape) / (x->shape[0] * (extent ? extent : 1));
    return soma_reshape(soma_transpose(x, order), SOMA_DIMS(x->shape[0], rest, extent));
}

/* The axes that a product leaves. */
static int other_axes(const soma_tensor *x, int64_t axis, int rank, int64_t *shape) {
    if (axis < 0) axis += x->rank;
    for (int i = 1; i < x->rank && rank < SOMA_MAX_RANK; i++)
        if (i != axis) shape[rank++] = x->shape[i];
    return rank;
}

static soma_tensor *unit_length(soma_tensor *x) {
    soma_tensor *power = soma_sum(soma_square(x), SOMA_AXES(-1), true);
    return x ? soma_mul(x, soma_rsqrt(soma_maximum(power, soma_scalar(x->graph, x->dtype, 1e-12)))) : NULL;
}

static soma_tensor *dot(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    const soma_dot_layer_options *o = soma_layer_options(layer);
    int64_t first = o->axes[0] ? o->axes[0] : -1, second = o->axes[1] && o->axes[0] ? o->axes[1] : first;
    soma_tensor *a = axis_last(layer, layer_float(layer, inputs[0]), first);
    soma_tensor *b = axis_last(layer, layer_float(layer, inputs[1]), second);
    if (!a || !b) return NULL;
    RETURN_NULL_IF(layer->context, a->shape[2] != b->shape[2], SOMA_SHAPE, "[Dot] extents %lld and %lld differ",
                   (long long)a->shape[2], (long long)b->shape[2]);
    RETURN_NULL_IF(layer->context, inputs[0]->rank + inputs[1]->rank - 3 > SOMA_MAX_RANK, SOMA_SHAPE,
                   "[Dot] the result would have more than %d axes", SOMA_MAX_RANK);
    if (o->normalize) {
        a = unit_length(a);
        b = unit_length(b);
    }
    soma_tensor *y = soma_matmul(a, soma_transpose(b, (const int[]){0, 2, 1}));
    int64_t shape[SOMA_MAX_RANK] = {inputs[0]->shape[0]};
    int rank = other_axes(inputs[0], first, 1, shape);
    rank = other_axes(inputs[1], second, rank, shape);
    if (rank == 1) shape[rank++] = 1;
    return soma_reshape(y, rank, shape);
}

const soma_layer_class layer_dot = {.name = "Dot",
                                    .size = sizeof(soma_dot_layer_options),
                                    .fields = dot_fields,
                                    .min_inputs = 2,
                                    .max_inputs = 2,
                                    .call = dot};

soma_layer *soma_dot_layer_create(const soma_dot_layer_options *options) {
    return soma_layer_create(&layer_dot, options);
}
