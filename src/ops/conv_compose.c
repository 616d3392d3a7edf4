/* What a convolution is made of when it runs: padding, windows as strides, one product.
 * Rests on windows.c. The left operand of the product is a chain of views over the padded input, so that a contraction
 * may read it where it lies. Zeros between elements are never multiplied: each residue of the places modulo the spread
 * sees every so many kernel places, and is a convolution of its own. */
#include <string.h>

#include <soma/ops.h>

#include "ops/windows.h"

static int64_t product_of(int n, const int64_t *extents) {
    int64_t product = 1;
    for (int i = 0; i < n; i++)
        product *= extents[i];
    return product;
}

/* Channels first .. first+count of an array whose last axis is theirs. */
static soma_tensor *channels(soma_tensor *x, int64_t first, int64_t count) {
    return soma_slice_axis(x, -1, first, first + count, 1);
}

/* Windows (batch, places, size, ..., channels) as the rows of a matrix, or of one a group:
 * ([groups], batch * places..., size... * channels). */
static soma_tensor *window_rows(soma_tensor *seen, const cpu_windows *g) {
    if (!seen) return NULL;
    int axes[SOMA_MAX_RANK], at = 0, n = g->n;
    int64_t shape[SOMA_MAX_RANK], rows = seen->shape[0], columns = seen->shape[2 * n + 1] / g->groups;
    bool grouped = g->groups > 1;
    if (grouped) {
        memcpy(shape, seen->shape, sizeof shape);
        shape[2 * n + 1] = g->groups;
        shape[2 * n + 2] = columns;
        seen = soma_reshape(seen, 2 * n + 3, shape);
        axes[at++] = 2 * n + 1;
    }
    axes[at++] = 0;
    for (int i = 0; i < n; i++, at++) {
        axes[at] = 1 + 2 * i;
        rows *= seen ? seen->shape[1 + 2 * i] : 0;
    }
    for (int i = 0; i < n; i++, at++) {
        axes[at] = 2 + 2 * i;
        columns *= seen ? seen->shape[2 + 2 * i] : 0;
    }
    axes[at] = grouped ? 2 * n + 2 : 2 * n + 1;
    seen = soma_transpose(seen, axes);
    return grouped ? soma_reshape(seen, SOMA_DIMS(g->groups, rows, columns))
                   : soma_reshape(seen, SOMA_DIMS(rows, columns));
}

/* (rows.., groups * b) as (groups, rows, b), and without groups as (rows, b). */
static soma_tensor *group_matrices(soma_tensor *x, int64_t groups) {
    if (!x) return NULL;
    int64_t rows = product_of(x->rank - 1, x->shape), columns = x->shape[x->rank - 1];
    if (groups == 1) return soma_reshape(x, SOMA_DIMS(rows, columns));
    x = soma_reshape(x, SOMA_DIMS(rows, groups, columns / groups));
    return soma_transpose(x, (const int[]){1, 0, 2});
}

/* The way back, to a shape whose last axis is the groups' columns. */
static soma_tensor *ungrouped(soma_tensor *y, int rank, const int64_t *shape) {
    if (y && y->rank == 3) y = soma_transpose(y, (const int[]){1, 0, 2});
    return soma_reshape(y, rank, shape);
}

/* Three axes of places and groups of channels are more axes than a tensor has: one product a group. */
static bool too_many_axes(const cpu_windows *g) {
    return g->n == 3 && g->groups > 1;
}

/* ---- the gradient for the weights ---- */

static bool by_channel(const cpu_windows *g, int64_t in) {
    enum { KERNEL_MAX = 256 };
    return g->groups > 1 && g->groups == in && product_of(g->n, g->size) <= KERNEL_MAX;
}

/* What kernel place s sees of the padded input, one element a window. */
static soma_tensor *seen_by(soma_tensor *padded, const cpu_windows *g, const int64_t *s, const int64_t *places) {
    int64_t first[SOMA_MAX_RANK] = {0}, count[SOMA_MAX_RANK], step[SOMA_MAX_RANK];
    for (int i = 0; i < g->n + 2; i++) {
        bool place = i >= 1 && i <= g->n;
        first[i] = place ? s[i - 1] * g->dilation[i - 1] : 0;
        count[i] = place ? places[i - 1] : padded->shape[i];
        step[i] = place ? g->stride[i - 1] : 1;
    }
    return op_slice_box(padded, first, count, step);
}

/* (.., channels) -> (.., channels, multiplier). */
static soma_tensor *multiplied(soma_tensor *x, int64_t multiplier) {
    if (!x || multiplier == 1) return x;
    int64_t shape[SOMA_MAX_RANK];
    memcpy(shape, x->shape, sizeof shape);
    shape[x->rank] = 1;
    x = soma_reshape(x, x->rank + 1, shape);
    shape[x ? x->rank - 1 : 0] = multiplier;
    return x ? soma_expand(x, x->rank, shape) : NULL;
}

/* One channel a group: sums over batch and places, a kernel place at a time. */
static soma_tensor *channel_product(soma_tensor *padded, soma_tensor *dy, const int64_t *shape, const cpu_windows *g) {
    int64_t kernel = product_of(g->n, g->size), in = g->groups, multiplier = shape[g->n + 1] / in;
    soma_tensor **parts = arena_alloc(&dy->graph->arena, (size_t)kernel * sizeof *parts);
    int64_t flat[SOMA_MAX_RANK], places[3];
    if (!parts || !padded) return NULL;
    memcpy(flat, dy->shape, sizeof flat);
    memcpy(places, dy->shape + 1, sizeof places);
    flat[g->n + 1] = in;
    flat[g->n + 2] = multiplier;
    if (multiplier > 1) dy = soma_reshape(dy, g->n + 3, flat);
    static const int axes[] = {0, 1, 2, 3};
    view_walk walk = walk_start(g->n, g->size, 0, NULL);
    for (int64_t k = 0; k < kernel; k++, walk_next(&walk)) {
        soma_tensor *x = multiplied(seen_by(padded, g, walk.index, places), multiplier);
        parts[k] = soma_reshape(soma_sum(soma_mul(x, dy), g->n + 1, axes, false), SOMA_DIMS(1, in * multiplier));
    }
    return soma_reshape(soma_concat(parts, (int)kernel, 0), g->n + 2, shape);
}

soma_tensor *windows_product(soma_tensor *x, soma_tensor *dy, const int64_t *shape, const cpu_windows *g) {
    if (!x || !dy) return NULL;
    int64_t in = x->shape[g->n + 1];
    cpu_windows one = *g;
    one.groups = 1;
    soma_tensor *padded = windows_pad(x, g, 0);
    if (by_channel(g, in)) return channel_product(padded, dy, shape, g);
    if (too_many_axes(g)) {
        soma_tensor **parts = arena_alloc(&dy->graph->arena, (size_t)g->groups * sizeof *parts);
        int64_t part[SOMA_MAX_RANK], out = shape[g->n + 1] / g->groups;
        if (!parts) return NULL;
        memcpy(part, shape, sizeof part);
        part[g->n + 1] = out;
        for (int64_t i = 0; i < g->groups; i++)
            parts[i] =
                windows_product(channels(x, i * shape[g->n], shape[g->n]), channels(dy, i * out, out), part, &one);
        return soma_concat(parts, (int)g->groups, -1);
    }
    const int64_t zero[SOMA_MAX_RANK] = {0};
    int64_t one_each[SOMA_MAX_RANK], count[SOMA_MAX_RANK];
    soma_tensor *seen = windows_over(padded, g);
    for (int i = 0; seen && i < seen->rank; i++) { /* windows that there is room for but that gave nothing */
        count[i] = i % 2 == 1 && i < 2 * g->n ? dy->shape[1 + i / 2] : seen->shape[i];
        one_each[i] = 1;
    }
    seen = seen ? op_slice_box(seen, zero, count, one_each) : NULL;
    soma_tensor *dw = soma_matmul(op_swap_last(window_rows(seen, g)), group_matrices(dy, g->groups));
    return ungrouped(dw, g->n + 2, shape);
}

/* ---- forward ---- */

/* (kernel, channels) as (kernel, places, channels), written out, so that whole rows of places are one run. */
static soma_tensor *repeated(soma_tensor *rows, int64_t places) {
    enum { PLACES_MAX = 512, ELEMENTS_MAX = 1 << 18 };
    if (!rows || places < 2 || places > PLACES_MAX || rows->rank != 2) return rows;
    if (places * shape_size(rows->rank, rows->shape) > ELEMENTS_MAX) return rows;
    soma_tensor **copies = arena_alloc(&rows->graph->arena, (size_t)places * sizeof *copies);
    soma_tensor *one = soma_expand_dims(rows, 1);
    if (!copies || !one) return NULL;
    for (int64_t i = 0; i < places; i++)
        copies[i] = one;
    return soma_concat(copies, (int)places, 1);
}

/* One channel a group: kernel place by kernel place, all of it maps. */
static soma_tensor *channel_sum(soma_tensor *x, soma_tensor *w, const cpu_windows *g, const int64_t *shape) {
    int64_t kernel = product_of(g->n, g->size), in = g->groups, multiplier = shape[g->n + 1] / in;
    soma_tensor *padded = windows_pad(x, g, 0), *sum = NULL;
    soma_tensor *rows =
        multiplier > 1 ? soma_reshape(w, SOMA_DIMS(kernel, in, multiplier)) : soma_reshape(w, SOMA_DIMS(kernel, in));
    if (multiplier == 1 && g->stride[g->n - 1] == 1) rows = repeated(rows, shape[g->n]);
    view_walk walk = walk_start(g->n, g->size, 0, NULL);
    for (int64_t k = 0; padded && rows && k < kernel; k++, walk_next(&walk)) {
        soma_tensor *seen = multiplied(seen_by(padded, g, walk.index, shape + 1), multiplier);
        soma_tensor *product = soma_mul(seen, soma_squeeze(soma_slice_axis(rows, 0, k, k + 1, 1), 0));
        sum = sum ? soma_add(sum, product) : product;
    }
    return soma_reshape(sum, g->n + 2, shape);
}

/* Windows of x times w, where nothing is spread; shape is the result's. */
static soma_tensor *window_conv(soma_tensor *x, soma_tensor *w, const cpu_windows *g, const int64_t *shape) {
    if (!x || !w) return NULL;
    if (by_channel(g, x->shape[g->n + 1])) return channel_sum(x, w, g, shape);
    if (too_many_axes(g)) {
        cpu_windows one = *g;
        one.groups = 1;
        soma_tensor **parts = arena_alloc(&x->graph->arena, (size_t)g->groups * sizeof *parts);
        int64_t part[SOMA_MAX_RANK], in = w->shape[g->n], out = shape[g->n + 1] / g->groups;
        if (!parts) return NULL;
        memcpy(part, shape, sizeof part);
        part[g->n + 1] = out;
        for (int64_t i = 0; i < g->groups; i++)
            parts[i] = window_conv(channels(x, i * in, in), channels(w, i * out, out), &one, part);
        return soma_concat(parts, (int)g->groups, -1);
    }
    soma_tensor *rows = window_rows(windows_over(windows_pad(x, g, 0), g), g);
    return ungrouped(soma_matmul(rows, group_matrices(w, g->groups)), g->n + 2, shape);
}

/* ---- spread inputs ---- */

static int64_t greatest_divisor(int64_t a, int64_t b) {
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The kernel places first, first + step, .. of axis i that meet elements of x, for results at residue r: their number
 * (0: none), and the windows by which they see x, whose `places` windows are those of this residue. */
static int64_t residue_windows(const cpu_windows *g, int i, int64_t r, int64_t extent, int64_t places, cpu_windows *out,
                               int64_t *first, int64_t *step) {
    int64_t spread = g->spread[i], divisor = greatest_divisor(g->dilation[i], spread), k = 0;
    *step = spread / divisor;
    while (k < *step && (r + k * g->dilation[i] - g->before[i]) % spread != 0)
        k++;
    if (k == *step || k >= g->size[i]) return 0;
    *first = k;
    out->size[i] = (g->size[i] - 1 - k) / *step + 1;
    out->stride[i] = out->spread[i] = 1;
    out->dilation[i] = g->dilation[i] / divisor;
    out->before[i] = -(r + k * g->dilation[i] - g->before[i]) / spread;
    out->after[i] = places + (out->size[i] - 1) * out->dilation[i] - extent - out->before[i];
    return out->size[i];
}

/* The results at places r + j * spread, as (batch, places, 1, places, 1, .., channels); *zero if they are. */
static soma_tensor *residue(soma_tensor *x, soma_tensor *w, const cpu_windows *g, const int64_t *r,
                            const int64_t *shape, bool *zero) {
    cpu_windows part = {.n = g->n, .groups = g->groups};
    int64_t first[SOMA_MAX_RANK] = {0}, step[SOMA_MAX_RANK], count[SOMA_MAX_RANK], apart[SOMA_MAX_RANK];
    for (int i = 0; i < w->rank; i++) {
        count[i] = w->shape[i];
        step[i] = 1;
        if (i >= g->n) continue;
        count[i] = residue_windows(g, i, r[i], x->shape[1 + i], shape[1 + i], &part, &first[i], &step[i]);
        *zero = *zero || count[i] == 0;
        apart[1 + 2 * i] = shape[1 + i];
        apart[2 + 2 * i] = 1;
    }
    apart[0] = shape[0];
    apart[2 * g->n + 1] = shape[g->n + 1];
    if (*zero) return soma_zeros(x->graph, x->dtype, 2 * g->n + 2, apart);
    return soma_reshape(window_conv(x, op_slice_box(w, first, count, step), &part, shape), 2 * g->n + 2, apart);
}

/* Parts side by side along an axis of one; zeros around a single part that is not zero are padding. */
static soma_tensor *join(soma_tensor **parts, const bool *zero, int n, int axis) {
    int64_t before[SOMA_MAX_RANK] = {0}, after[SOMA_MAX_RANK] = {0};
    int parts_left = 0, last = 0;
    for (int i = 0; i < n; i++) {
        if (!parts[i]) return NULL;
        if (!zero[i]) last = i;
        parts_left += !zero[i];
    }
    if (parts_left != 1) return soma_concat(parts, n, axis);
    before[axis] = last;
    after[axis] = n - 1 - last;
    return soma_pad(parts[last], before, after, 0);
}

/* All residues, each of them between the others: parts of one array, which are computed where they belong. */
static soma_tensor *spread_conv(soma_tensor *x, soma_tensor *w, const cpu_windows *g, const int64_t *shape) {
    int64_t part[SOMA_MAX_RANK], n_parts = product_of(g->n, g->spread), all[SOMA_MAX_RANK], one[SOMA_MAX_RANK];
    int64_t first[SOMA_MAX_RANK] = {0};
    memcpy(part, shape, sizeof part);
    memcpy(all, shape, sizeof all);
    for (int i = 0; i < g->n; i++) {
        part[1 + i] = (shape[1 + i] + g->spread[i] - 1) / g->spread[i];
        all[1 + i] = part[1 + i] * g->spread[i];
    }
    for (int i = 0; i < g->n + 2; i++)
        one[i] = 1;
    soma_tensor **parts = arena_alloc(&x->graph->arena, (size_t)n_parts * sizeof *parts);
    bool *zero = arena_alloc(&x->graph->arena, (size_t)n_parts * sizeof *zero);
    if (!parts || !zero) return NULL;
    view_walk walk = walk_start(g->n, g->spread, 0, NULL);
    for (int64_t k = 0; k < n_parts; k++, walk_next(&walk))
        parts[k] = residue(x, w, g, walk.index, part, &zero[k]);
    for (int axis = g->n - 1; axis >= 0; axis--) {
        int64_t each = g->spread[axis];
        n_parts /= each;
        for (int64_t k = 0; k < n_parts; k++) {
            bool nothing = true;
            for (int64_t i = 0; i < each; i++)
                nothing = nothing && zero[k * each + i];
            parts[k] = join(&parts[k * each], &zero[k * each], (int)each, 2 + 2 * axis);
            zero[k] = nothing;
        }
    }
    return op_slice_box(soma_reshape(parts[0], g->n + 2, all), first, shape, one);
}

soma_tensor *op_compose(soma_tensor *node) {
    enum { RESIDUES_MAX = 64 };
    if (node->op == &op_softmax) return op_compose_softmax(node);
    if (node->op != &op_conv) return node;
    cpu_windows g = conv_windows(node);
    bool spread = false, strided = false;
    for (int i = 0; i < g.n; i++) {
        spread = spread || g.spread[i] > 1;
        strided = strided || g.stride[i] > 1;
    }
    soma_tensor *x = node->inputs[0], *w = node->inputs[1];
    if (spread && !strided && product_of(g.n, g.spread) <= RESIDUES_MAX) return spread_conv(x, w, &g, node->shape);
    return window_conv(x, w, &g, node->shape);
}
