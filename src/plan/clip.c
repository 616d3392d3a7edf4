/* Padding that only products see, by windows, need not be there: they make their part of the array with its zeros as
 * they go, in the thread's memory (contract_left.c), and Winograd's transforms take zeros for what is not there. So
 * nothing is written for them to read it again.
 * Rests on axes.c, which follows a pad as a view. Decided by shapes before fusing; bits are those of a pad in memory.
 * Where anybody else reads a pad, it is in memory for all. */
#include "plan/passes.h"

enum {
    ELEMENT_FLOPS = 8 /* of a product, at least, for an element of the array with its padding */,
    WINDOW_MOST = 1 << 18 /* elements from a window's first to its last, for a thread's memory */,
    EDGES_LEAST = 64 /* k, for which another call is little */,
    EDGES_MOST = 2047 /* k in one piece */,
    EDGES_PANELS = 4,
    TAP_LEAST = 8 /* elements of a tap, and */,
    PLACES_LEAST = 8 /* of a row, for which calls for columns of places that some taps see are little */
};

bool padding_find(const soma_tensor *pad, const chain *below, contract_padding *out) {
    const soma_tensor *blocker;
    const int64_t *before = pad->attributes->start, *inside = pad->inputs[0]->shape;
    layout l;
    int last = pad->rank - 1;
    int64_t run = 1;
    if (pad->attributes->value[0] != 0 || shape_size(pad->rank, inside) == 0 || !chain_layout(below, &l, &blocker))
        return false;
    while (last > 0 && inside[last] == pad->shape[last])
        last--;
    for (int i = pad->rank - 1; i >= last; run *= inside[i--])
        if (inside[i] != 1 && l.strides[i] != run) return false;
    *out = (contract_padding){.rank = last + 1, .offset = l.offset};
    for (int i = 0; i <= last; i++) {
        const int64_t each = i == last ? run / inside[last] : 1;
        out->shape[i] = pad->shape[i] * each;
        out->low[i] = before[i] * each;
        out->high[i] = (before[i] + inside[i]) * each;
        out->stride[i] = i == last ? 1 : l.strides[i];
    }
    return true;
}

static bool is_window(const fine_axis *place, const fine_axis *seen) {
    return place->role == PAD_PLACE && seen->role == PAD_SEEN && place->pad == seen->pad;
}

/* Which places see each of the taps. */
static bool find_taps(const window_axis *x, int64_t taps, contract_edges *e) {
    e->taps = taps;
    for (int64_t i = 0; i < taps && i < EDGE_TAPS; i++) {
        e->first[i] = places_before(x->low - i * x->seen_step, x->place_step);
        e->end[i] = places_before(x->high - i * x->seen_step, x->place_step);
    }
    return taps <= EDGE_TAPS;
}

/* The gradient for weights: a deep product, whose k are places. */
static bool places_find(const fine_axes *left, const soma_tensor *product, const cpu_real *real, contract_edges *out) {
    const fine_axis *rows, *k;
    int row = axes_of(left, 0, &rows) - 1, place = axes_of(left, 1, &k) - 1;
    contract_edges e = {.on = true, .places = true, .tap = 1};
    if (row < 0 || place < 0 || k[place].extent < PLACES_LEAST || product->inputs[0]->shape[1] <= EDGES_MOST ||
        product->shape[1] > EDGES_PANELS * real->lanes * real->vectors)
        return false;
    if (rows[row].role == PAD_NONE) e.tap = rows[row].stride == 1 ? rows[row--].extent : 0;
    if (k[place].role != PAD_NONE) {
        if (row < 0 || !is_window(&k[place], &rows[row]) || rows[row].stride != e.tap) return false;
        if (!find_taps(&left->pads[k[place].pad], rows[row--].extent, &e)) return false;
    } else if (e.tap > 1) {
        e.taps = 1;
        e.end[0] = k[place].extent;
    } else
        return false;
    place--;
    if (place >= 0 && k[place].role != PAD_NONE) {
        if (row < 0 || !is_window(&k[place], &rows[row])) return false;
        e.row = left->pads[k[place--].pad];
        row--;
    }
    for (; row >= 0; row--)
        if (rows[row].role != PAD_NONE) return false;
    for (; place >= 0; place--)
        if (k[place].role != PAD_NONE) return false;
    if (e.tap < TAP_LEAST) return false;
    *out = e;
    return true;
}

bool edges_find(const fine_axes *left, const soma_tensor *product, const cpu_real *real, contract_edges *out) {
    const fine_axis *rows, *seen;
    int row = axes_of(left, 0, &rows) - 1, k = axes_of(left, 1, &seen) - 1;
    const int64_t depth = product->inputs[0]->shape[1];
    contract_edges e = {.on = true, .tap = 1, .taps = 1, .segments = 1, .row = {.high = 1}};
    if (left->rank == 2 && places_find(left, product, real, out)) return true;
    if (left->rank != 2 || row < 0 || k < 0 || depth < EDGES_LEAST || depth > EDGES_MOST) return false;
    if (product->shape[1] % real->lanes != 0) return false; /* tiles are finished in no order, their tails would meet */
    if (seen[k].role == PAD_NONE) e.tap = seen[k--].stride == 1 ? seen[k + 1].extent : 0;
    e.inside_end = rows[row].extent;
    if (rows[row].role != PAD_NONE) {
        if (k < 0 || !is_window(&rows[row], &seen[k]) || seen[k].stride != e.tap) return false;
        if (!find_taps(&left->pads[rows[row].pad], seen[k--].extent, &e)) return false;
        e.inside = e.first[0];
        e.inside_end = minimum(e.inside_end, e.end[(e.taps - 1) % EDGE_TAPS]);
    }
    row--;
    if (k >= 0) {
        e.segments = seen[k].extent;
        e.segment = seen[k].stride;
        if (seen[k].role != PAD_NONE) {
            if (row < 0 || !is_window(&rows[row], &seen[k])) return false;
            e.row = left->pads[rows[row--].pad];
        }
        k--;
    } else if (product->shape[1] > EDGES_PANELS * real->lanes * real->vectors)
        return false; /* which might be packed */
    for (; row >= 0; row--)
        if (rows[row].role != PAD_NONE) return false;
    if (k >= 0 || e.tap == 0) return false;
    *out = e;
    return true;
}

/* How far the elements of an axis of the matrix reach. */
static int64_t reach(const fine_axes *x, int axis) {
    const fine_axis *list;
    int64_t elements = 1;
    for (int i = axes_of(x, axis, &list) - 1; i >= 0; i--)
        elements += (list[i].extent - 1) * list[i].stride;
    return elements;
}

/* Can the product do without the zeros that its left operand sees? */
static bool does_without(const build *b, const soma_tensor *t) {
    if (t->op != &op_matmul || t->rank != 2 || node_real(t) == SOMA_DTYPE_COUNT) return false;
    const cpu_real *real = cpu_real_of(b->plan->kernels, t->dtype);
    const soma_tensor *blocker, *x = t->inputs[0], *pad = b->infos[x->id].pad;
    chain c = {.n = 0}, below = {.n = 0};
    for (; x != pad->inputs[0] && c.n < CHAIN_MAX; x = x->inputs[0])
        c.views[c.n++] = x;
    const int above = c.n - 1;
    for (; x->op->kind == OP_VIEW && !b->infos[x->id].forced && c.n < CHAIN_MAX; x = x->inputs[0])
        c.views[c.n++] = below.views[below.n++] = x;
    c.source = below.source = x;
    fine_axes axes;
    winograd w;
    contract_padding padding;
    if (axes_find(&c, t->inputs[0], &axes, &blocker) && winograd_find(&axes, t->shape[1], real, &w)) return true;
    c.n = above;
    c.source = pad;
    const double flops = 2.0 * (double)shape_size(2, t->shape) * (double)t->inputs[0]->shape[1];
    return flops >= ELEMENT_FLOPS * (double)shape_size(pad->rank, pad->shape) && padding_find(pad, &below, &padding) &&
           axes_find(&c, t->inputs[0], &axes, &blocker) && minimum(reach(&axes, 0), reach(&axes, 1)) <= WINDOW_MOST;
}

static void refuse(build *b, const soma_tensor *t) {
    if (b->infos[t->id].pad) b->infos[b->infos[t->id].pad->id].clipped = false;
}

void plan_clip(build *b) {
    for (int64_t id = 0; id < b->graph->n_nodes; id++) {
        const soma_tensor *t = b->graph->nodes[id];
        node_info *info = &b->infos[id];
        if (info->role == ROLE_UNUSED) continue;
        if (t->op->kind == OP_VIEW && !info->forced) {
            info->pad = b->infos[t->inputs[0]->id].pad;
            continue;
        }
        for (int i = 0; i < t->n_inputs; i++)
            if (i > 0 || !b->infos[t->inputs[i]->id].pad || !does_without(b, t)) refuse(b, t->inputs[i]);
        if (t->op != &op_pad) continue;
        info->pad = t;
        info->clipped = !info->forced;
    }
    for (int i = 0; i < b->n_targets; i++)
        refuse(b, b->targets[i]);
}
