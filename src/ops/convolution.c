/* Convolutions of one to three axes: forward, transposed, by groups and by channel, all of them one op.
 * Rests on build.h and on window. The op has zeros between the elements of x (spread) and signed padding, so that the
 * gradient for x is the same op with stride and spread exchanged; the gradient for w is a product. What it is made of
 * when it runs is in conv_compose.c. */
#include <string.h>

#include <soma/ops.h>

#include "ops/windows.h"

/* ---- the op ---- */

/* Attributes: step: strides, then dilation; start: padding before, then after; shape: spread; value[0]: groups. */
static op_attributes conv_attributes(const cpu_windows *g) {
    op_attributes attributes = {.axis = (int)g->groups, .rank = g->n};
    for (int i = 0; i < g->n; i++) {
        attributes.step[i] = g->stride[i];
        attributes.step[3 + i] = g->dilation[i];
        attributes.start[i] = g->before[i];
        attributes.start[3 + i] = g->after[i];
        attributes.shape[i] = g->spread[i];
    }
    return attributes;
}

cpu_windows conv_windows(const soma_tensor *node) {
    const op_attributes *at = node->attributes;
    cpu_windows g = {.n = at->rank, .groups = at->axis};
    for (int i = 0; i < g.n; i++) {
        g.size[i] = node->inputs[1]->shape[i];
        g.stride[i] = at->step[i];
        g.dilation[i] = at->step[3 + i];
        g.before[i] = at->start[i];
        g.after[i] = at->start[3 + i];
        g.spread[i] = at->shape[i];
    }
    return g;
}

static soma_status infer_conv(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                              const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    (void)n;
    const soma_tensor *x = inputs[0], *w = inputs[1];
    soma_tensor node = {.attributes = attributes, .inputs = (soma_tensor **)(intptr_t)inputs};
    char text_x[SHAPE_TEXT], text_w[SHAPE_TEXT];
    tensor_shape_text(text_x, x), tensor_shape_text(text_w, w);
    RETURN_IF(graph->context, x->rank != attributes->rank + 2 || w->rank != x->rank, SOMA_SHAPE,
              "[conv] %s by %s: x is (batch, one to three places, channels), w has as many axes", text_x, text_w);
    RETURN_IF(graph->context, x->dtype != w->dtype || x->dtype == SOMA_BOOL, SOMA_DTYPE, "[conv] dtypes %s and %s",
              soma_dtype_name(x->dtype), soma_dtype_name(w->dtype));
    cpu_windows g = conv_windows(&node);
    int64_t in = x->shape[g.n + 1], out = w->shape[g.n + 1];
    RETURN_IF(graph->context, g.groups < 1 || in % g.groups != 0 || out % g.groups != 0, SOMA_SHAPE,
              "[conv] %s by %s: %lld groups do not divide %lld and %lld channels", text_x, text_w, (long long)g.groups,
              (long long)in, (long long)out);
    RETURN_IF(graph->context, in / g.groups != w->shape[g.n], SOMA_SHAPE,
              "[conv] %s by %s: w takes %lld channels a group, x has %lld", text_x, text_w, (long long)w->shape[g.n],
              (long long)(in / g.groups));
    *dtype = x->dtype;
    *rank = x->rank;
    shape[0] = x->shape[0];
    shape[g.n + 1] = out;
    return windows_places(graph, self, x, &g, shape + 1);
}

static soma_tensor *conv(soma_tensor *x, soma_tensor *w, const cpu_windows *g) {
    op_attributes attributes = conv_attributes(g);
    return op_apply(NULL, &op_conv, (soma_tensor *[]){x, w}, 2, &attributes);
}

/* w (kernel..., a, groups * b) with the kernel turned round, as (kernel..., b, groups * a). */
static soma_tensor *turned(soma_tensor *w, const cpu_windows *g) {
    if (!w) return NULL;
    int64_t first[SOMA_MAX_RANK] = {0}, step[SOMA_MAX_RANK], shape[SOMA_MAX_RANK];
    int axes[SOMA_MAX_RANK];
    for (int i = 0; i < w->rank; i++) {
        bool place = i < g->n && w->shape[i] > 0;
        first[i] = place ? w->shape[i] - 1 : 0;
        step[i] = place ? -1 : 1;
        shape[i] = w->shape[i];
        axes[i] = i;
    }
    w = op_slice_box(w, first, shape, step);
    int64_t a = shape[g->n], b = shape[g->n + 1] / g->groups;
    shape[g->n + 1] = g->groups;
    shape[g->n + 2] = b;
    axes[g->n] = g->n + 2;
    axes[g->n + 1] = g->n + 1;
    axes[g->n + 2] = g->n;
    w = soma_transpose(soma_reshape(w, g->n + 3, shape), axes);
    shape[g->n] = b;
    shape[g->n + 1] = g->groups * a;
    return soma_reshape(w, g->n + 2, shape);
}

/* The adjoint for x with these extents: dy spread by the strides, padded by what the kernel reaches beyond it, under
 * the kernel turned round; only every spread-th element of the result is wanted. */
static soma_tensor *adjoint(soma_tensor *dy, soma_tensor *w, const cpu_windows *g, const int64_t *extents) {
    cpu_windows back = {.n = g->n, .groups = g->groups};
    if (!dy) return NULL;
    for (int i = 0; i < g->n; i++) {
        int64_t reach = (g->size[i] - 1) * g->dilation[i], places = dy->shape[1 + i];
        back.size[i] = g->size[i];
        back.stride[i] = g->spread[i];
        back.spread[i] = g->stride[i];
        back.dilation[i] = g->dilation[i];
        back.before[i] = reach - g->before[i];
        back.after[i] = (extents[i] - 1) * g->spread[i] + g->before[i] - (places - 1) * g->stride[i];
    }
    return conv(dy, turned(w, g), &back);
}

/* The gradient for w: what the windows see, times what they gave. Where x is spread, the windows of dy see x. */
static soma_tensor *weight_gradient(soma_tensor *x, soma_tensor *dy, const soma_tensor *w, const cpu_windows *g) {
    cpu_windows seen = *g;
    bool spread = false, strided = false;
    for (int i = 0; i < g->n; i++) {
        spread = spread || g->spread[i] > 1;
        strided = strided || g->stride[i] > 1;
    }
    if (!spread || strided) return windows_product(x, dy, w->shape, &seen);
    int64_t shape[SOMA_MAX_RANK];
    memcpy(shape, w->shape, sizeof shape);
    shape[g->n] = w->shape[g->n + 1] / g->groups;
    shape[g->n + 1] = w->shape[g->n] * g->groups;
    for (int i = 0; i < g->n; i++) {
        int64_t reach = (g->size[i] - 1) * g->dilation[i];
        seen.stride[i] = g->spread[i];
        seen.spread[i] = 1;
        seen.before[i] = reach - g->before[i];
        seen.after[i] = (x->shape[1 + i] - 1) * g->spread[i] + g->before[i] - (dy->shape[1 + i] - 1);
    }
    return turned(windows_product(dy, x, shape, &seen), g);
}

static void vjp_conv(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    soma_tensor *x = y->inputs[0], *w = y->inputs[1];
    cpu_windows g = conv_windows(y);
    if (needed[0]) dx[0] = adjoint(dy, w, &g, x->shape + 1);
    if (needed[1]) dx[1] = weight_gradient(x, dy, w, &g);
}

static soma_status reference_conv(const soma_tensor *node, const op_view *inputs, op_view *output) {
    cpu_windows g = conv_windows(node);
    ref_conv(&g, &inputs[0], &inputs[1], output);
    return SOMA_OK;
}

/* ---- builders ---- */

soma_tensor *soma_conv(soma_tensor *x, soma_tensor *w, const soma_window_options *options) {
    soma_tensor *xs[2] = {x, w};
    cpu_windows g;
    if (!x || !w || !windows_read("conv", x, w->shape, w->rank, options, &g) || !op_promote_all(2, xs)) return NULL;
    return conv(xs[0], xs[1], &g);
}

soma_tensor *soma_conv_transpose(soma_tensor *x, soma_tensor *w, const soma_window_options *options) {
    soma_tensor *xs[2] = {x, w};
    cpu_windows g;
    if (!x || !w || !windows_read("conv_transpose", x, w->shape, w->rank, options, &g)) return NULL;
    soma_context *context = x->graph->context;
    int64_t extents[3], in = x->shape[g.n + 1];
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    RETURN_NULL_IF(context, w->shape[g.n + 1] != in || in % g.groups != 0, SOMA_SHAPE,
                   "[conv_transpose] %s by %s: w (kernel..., out / groups, in) takes %lld channels in %lld groups",
                   tensor_shape_text(a, x), tensor_shape_text(b, w), (long long)w->shape[g.n + 1], (long long)g.groups);
    for (int i = 0; i < g.n; i++) {
        int64_t extra = options ? options->extra[i] : 0, full = (x->shape[1 + i] - 1) * g.stride[i];
        full += (g.size[i] - 1) * g.dilation[i] + 1 + extra;
        extents[i] = full - g.before[i] - g.after[i];
        RETURN_NULL_IF(context, extra < 0 || x->shape[1 + i] < 1 || extents[i] < 1, SOMA_SHAPE,
                       "[conv_transpose] axis %d of %s: padding leaves nothing of %lld elements", 1 + i,
                       tensor_shape_text(a, x), (long long)full);
    }
    return op_promote_all(2, xs) ? adjoint(xs[0], xs[1], &g, extents) : NULL;
}

/* Groups of one channel each: w (kernel..., in, multiplier) is (kernel..., 1, in * multiplier). */
soma_tensor *soma_depthwise_conv(soma_tensor *x, soma_tensor *w, const soma_window_options *options) {
    soma_tensor *xs[2] = {x, w};
    cpu_windows g;
    if (!x || !w || !windows_read("depthwise_conv", x, w->shape, w->rank, options, &g)) return NULL;
    int64_t shape[SOMA_MAX_RANK], in = x->shape[g.n + 1];
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    RETURN_NULL_IF(x->graph->context, in != w->shape[g.n] || g.groups != 1 || in == 0, SOMA_SHAPE,
                   "[depthwise_conv] %s by %s: w is (kernel..., in, multiplier), one group a channel",
                   tensor_shape_text(a, x), tensor_shape_text(b, w));
    memcpy(shape, w->shape, sizeof shape);
    shape[g.n] = 1;
    shape[g.n + 1] = in * w->shape[g.n + 1];
    g.groups = in;
    xs[1] = soma_reshape(w, w->rank, shape);
    return op_promote_all(2, xs) ? conv(xs[0], xs[1], &g) : NULL;
}

/* ---- samples and descriptor ---- */

#define BUILD(name, call, ...)                                                                                         \
    static soma_tensor *name(soma_tensor *const *xs) {                                                                 \
        return call(xs[0], xs[1], &(soma_window_options){__VA_ARGS__});                                                \
    }
#define END                                                                                                            \
    {                                                                                                                  \
        NULL, NULL, 0, {                                                                                               \
            { SOMA_F32, 0, {0}, 0, 0 }                                                                                 \
        }                                                                                                              \
    }

BUILD(plain, soma_conv, .groups = 1)
BUILD(wide, soma_conv, .strides = {2}, .dilation = {3}, .pads = {{2, 1}})
BUILD(strided, soma_conv, .strides = {2, 3}, .pads = {{1, 1}, {0, 2}})
BUILD(uneven, soma_conv, .strides = {3, 2}, .dilation = {1, 2}, .pads = {{0, 1}, {2, 0}})
BUILD(grouped, soma_conv, .groups = 2, .pads = {{1, 0}, {1, 1}})
BUILD(solid, soma_conv, .strides = {1, 2, 1}, .pads = {{1, 1}, {0, 1}, {1, 0}})
BUILD(solid_groups, soma_conv, .groups = 3, .dilation = {1, 1, 2}, .pads = {{0, 0}, {0, 0}, {1, 2}})
BUILD(transposed, soma_conv_transpose, .strides = {2, 3}, .pads = {{1, 0}, {0, 1}}, .extra = {1, 0})
BUILD(transposed_groups, soma_conv_transpose, .strides = {3}, .dilation = {2}, .groups = 2, .extra = {2})
BUILD(transposed_plain, soma_conv_transpose, .pads = {{1, 1}, {2, 0}})
BUILD(gaps, soma_conv_transpose, .strides = {3, 2})
BUILD(by_channel, soma_depthwise_conv, .strides = {1, 2}, .pads = {{1, 1}, {1, 1}})
BUILD(multiplied, soma_depthwise_conv, .dilation = {2}, .pads = {{3, 0}})
static soma_tensor *stacked(soma_tensor *const *xs) {
    soma_tensor *y = soma_tanh(soma_conv(soma_transpose(xs[0], (const int[]){0, 2, 1, 3}), xs[1], NULL));
    return soma_conv(y, xs[2], &(soma_window_options){.pads = {{1, 1}, {1, 1}}});
}
static const op_sample samples_conv[] = {
    {"line", plain, 2, {{SOMA_F32, 3, {2, 11, 3}, -1, 1}, {SOMA_F32, 3, {3, 3, 5}, -1, 1}}},
    {"wide line", wide, 2, {{SOMA_F32, 3, {2, 14, 3}, -1, 1}, {SOMA_F32, 3, {4, 3, 2}, -1, 1}}},
    {"plane", plain, 2, {{SOMA_F32, 4, {3, 7, 6, 4}, -1, 1}, {SOMA_F32, 4, {3, 2, 4, 18}, -1, 1}}},
    {"one channel", plain, 2, {{SOMA_F32, 4, {2, 6, 7, 1}, -1, 1}, {SOMA_F32, 4, {3, 3, 1, 5}, -1, 1}}},
    {"points", plain, 2, {{SOMA_F32, 4, {2, 3, 5, 4}, -1, 1}, {SOMA_F32, 4, {1, 1, 4, 6}, -1, 1}}},
    {"strided plane", strided, 2, {{SOMA_F32, 4, {2, 8, 9, 3}, -1, 1}, {SOMA_F32, 4, {3, 4, 3, 5}, -1, 1}}},
    {"uneven plane", uneven, 2, {{SOMA_F32, 4, {2, 7, 8, 2}, -1, 1}, {SOMA_F32, 4, {2, 3, 2, 3}, -1, 1}}},
    {"groups", grouped, 2, {{SOMA_F32, 4, {2, 5, 6, 4}, -1, 1}, {SOMA_F32, 4, {3, 2, 2, 6}, -1, 1}}},
    {"solid", solid, 2, {{SOMA_F32, 5, {2, 3, 5, 4, 2}, -1, 1}, {SOMA_F32, 5, {2, 3, 2, 2, 3}, -1, 1}}},
    {"solid groups", solid_groups, 2, {{SOMA_F32, 5, {1, 3, 2, 4, 6}, -1, 1}, {SOMA_F32, 5, {2, 1, 2, 2, 3}, -1, 1}}},
    {"transposed", transposed, 2, {{SOMA_F32, 4, {2, 4, 3, 5}, -1, 1}, {SOMA_F32, 4, {3, 2, 4, 5}, -1, 1}}},
    {"transposed groups", transposed_groups, 2, {{SOMA_F32, 3, {2, 4, 6}, -1, 1}, {SOMA_F32, 3, {3, 2, 6}, -1, 1}}},
    {"transposed plain", transposed_plain, 2, {{SOMA_F32, 4, {2, 4, 5, 3}, -1, 1}, {SOMA_F32, 4, {3, 3, 2, 3}, -1, 1}}},
    {"gaps", gaps, 2, {{SOMA_F32, 4, {2, 3, 2, 3}, -1, 1}, {SOMA_F32, 4, {2, 1, 4, 3}, -1, 1}}},
    {"by channel", by_channel, 2, {{SOMA_F32, 4, {2, 5, 6, 7}, -1, 1}, {SOMA_F32, 4, {3, 3, 7, 1}, -1, 1}}},
    {"multiplied", multiplied, 2, {{SOMA_F32, 3, {2, 9, 3}, -1, 1}, {SOMA_F32, 3, {3, 3, 2}, -1, 1}}},
    {"stacked",
     stacked,
     3,
     {{SOMA_F32, 4, {2, 6, 5, 3}, -1, 1}, {SOMA_F32, 4, {2, 3, 3, 4}, -1, 1}, {SOMA_F32, 4, {3, 3, 4, 2}, -1, 1}}},
    {"integers", plain, 2, {{SOMA_I32, 4, {2, 4, 5, 2}, -9, 9}, {SOMA_I32, 4, {2, 2, 2, 3}, -9, 9}}},
    {"no samples", plain, 2, {{SOMA_F32, 4, {0, 4, 5, 2}, -1, 1}, {SOMA_F32, 4, {2, 2, 2, 3}, -1, 1}}},
    END};
const op op_conv = {"conv",
                    "y[n, p.., o] = sum over kernel places s and channels c of x[n, p*stride + s*dilation - before, c] "
                    "* w[s.., c, o]",
                    OP_CONTRACT,
                    0,
                    2,
                    2,
                    infer_conv,
                    vjp_conv,
                    NULL,
                    reference_conv,
                    "Conv-11",
                    OP_SAMPLES(samples_conv)};
