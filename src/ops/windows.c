/* What convolutions and pools share: options, padding, windows over every axis of places.
 * Rests on pad, slice and window. */
#include "ops/windows.h"

#include <string.h>

#include <soma/ops.h>

bool windows_read(const char *name, const soma_tensor *x, const int64_t *sizes, int rank,
                  const soma_window_options *options, cpu_windows *g) {
    static const soma_window_options defaults;
    const soma_window_options *o = options ? options : &defaults;
    soma_context *context = x->graph->context;
    char shown[SHAPE_TEXT];
    *g = (cpu_windows){.n = x->rank - 2, .groups = o->groups ? o->groups : 1};
    if (x->rank < 3 || x->rank > 5 || rank != x->rank) {
        (void)error_set(context, SOMA_SHAPE,
                        "[%s] x is (batch, one to three axes of places, channels) and w has as many axes: %s and rank "
                        "%d are given",
                        name, tensor_shape_text(shown, x), rank);
        return false;
    }
    for (int i = 0; i < g->n; i++) {
        g->size[i] = sizes[i];
        g->stride[i] = o->strides[i] ? o->strides[i] : 1;
        g->dilation[i] = o->dilation[i] ? o->dilation[i] : 1;
        g->before[i] = o->pads[i][0];
        g->after[i] = o->pads[i][1];
        g->spread[i] = 1;
        if (g->stride[i] >= 1 && g->dilation[i] >= 1 && g->before[i] >= 0 && g->after[i] >= 0 && g->groups >= 1 &&
            g->stride[i] <= INT32_MAX && g->dilation[i] <= INT32_MAX && g->before[i] <= INT32_MAX &&
            g->after[i] <= INT32_MAX && g->size[i] >= 1 && g->size[i] <= INT32_MAX)
            continue;
        (void)error_set(context, SOMA_INVALID,
                        "[%s] axis %d: size %lld, stride %lld, dilation %lld must be at least 1, padding %lld and %lld "
                        "at least 0, all below 2^31",
                        name, 1 + i, (long long)g->size[i], (long long)g->stride[i], (long long)g->dilation[i],
                        (long long)g->before[i], (long long)g->after[i]);
        return false;
    }
    return true;
}

/* Elements of axis 1 + i when spread and padded; below 0 if there is no such number. */
static int64_t padded_extent(const soma_tensor *x, const cpu_windows *g, int i) {
    int64_t extent = x->shape[1 + i];
    if (extent > 0 && (!int64_mul_checked(extent - 1, g->spread[i], &extent) || !int64_add_checked(extent, 1, &extent)))
        return -1;
    return int64_add_checked(extent, g->before[i], &extent) && int64_add_checked(extent, g->after[i], &extent) ? extent
                                                                                                               : -1;
}

soma_status windows_places(soma_graph *graph, const op *self, const soma_tensor *x, const cpu_windows *g,
                           int64_t *places) {
    for (int i = 0; i < g->n; i++) {
        int64_t extent = padded_extent(x, g, i), span;
        char shown[SHAPE_TEXT];
        bool fits = g->size[i] >= 1 && g->stride[i] >= 1 && g->dilation[i] >= 1 && g->spread[i] >= 1 &&
                    int64_mul_checked(g->size[i] - 1, g->dilation[i], &span) && int64_add_checked(span, 1, &span) &&
                    span <= extent;
        RETURN_IF(graph->context, !fits, SOMA_SHAPE,
                  "[%s] axis %d of %s has %lld elements with padding: a window of %lld by dilation %lld does not fit",
                  self->name, 1 + i, tensor_shape_text(shown, x), (long long)extent, (long long)g->size[i],
                  (long long)g->dilation[i]);
        places[i] = (extent - span) / g->stride[i] + 1;
    }
    return SOMA_OK;
}

soma_tensor *windows_pad(soma_tensor *x, const cpu_windows *g, double value) {
    if (!x) return NULL;
    int64_t before[SOMA_MAX_RANK] = {0}, after[SOMA_MAX_RANK] = {0};
    int64_t first[SOMA_MAX_RANK] = {0}, count[SOMA_MAX_RANK], one[SOMA_MAX_RANK];
    for (int i = 0; x && i < g->n; i++)
        if (g->spread[i] > 1 && x->shape[1 + i] > 1) x = op_spread(x, 1 + i, g->spread[i]);
    if (!x) return NULL;
    for (int i = 0; i < x->rank; i++) {
        count[i] = x->shape[i];
        one[i] = 1;
        if (i < 1 || i > g->n) continue;
        int64_t b = g->before[i - 1], a = g->after[i - 1];
        if (b < 0) first[i] = -b < count[i] ? -b : count[i];
        before[i] = b > 0 ? b : 0;
        count[i] -= first[i];
        if (a < 0) count[i] = -a < count[i] ? count[i] + a : 0;
        after[i] = a > 0 ? a : 0;
        if (b < 0 && first[i] < -b) after[i] -= -b - first[i]; /* nothing is left of x: padding is cut off too */
        if (a < 0 && x->shape[i] - first[i] < -a) before[i] -= -a - (x->shape[i] - first[i]);
    }
    return soma_pad(op_slice_box(x, first, count, one), before, after, value);
}

soma_tensor *windows_over(soma_tensor *padded, const cpu_windows *g) {
    for (int i = 0; padded && i < g->n; i++)
        padded = soma_window(padded, 1 + 2 * i, g->size[i], g->stride[i], g->dilation[i]);
    return padded;
}
