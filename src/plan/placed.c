/* Parts of concatenations and insides of pads, computed where they belong: their own place in memory is a part of the
 * larger array, and nothing is copied. A view that must lie in memory is such an array, too: a product that makes it
 * stores it in that order.
 * Rests on strides.c, turned round: a part is followed back through its views to the value below them. Whoever else
 * reads a value finds it dense: what several read is placed only where its elements follow each other. */
#include <string.h>

#include "plan/passes.h"

/* The value below is taken as a storage of its own: the user looks at it, or it is copied to a variable. */
static void mark_alone(build *b, const soma_tensor *t) {
    while (b->infos[t->id].role == ROLE_VIEW)
        t = t->inputs[0];
    b->infos[t->id].alone = true;
}

/* From where a view's elements are to where its input's are; false when the view shows only some, or some twice. What
 * strides cannot say in the input's shape stays in the view's, which has the same elements in the same order. */
static bool before_view(layout *l, const soma_tensor *view) {
    const soma_tensor *x = view->inputs[0];
    if (view->op == &op_reshape) {
        (void)layout_reshape(l, x->rank, x->shape);
        return true;
    }
    if (view->op != &op_permute || !shape_equal(l->rank, l->shape, view->rank, view->shape)) return false;
    layout seen = *l;
    for (int i = 0; i < x->rank; i++) {
        l->shape[view->attributes->start[i]] = seen.shape[i];
        l->strides[view->attributes->start[i]] = seen.strides[i];
    }
    return true;
}

/* Among axes first .. last-1, how many cannot be one with the axis behind them; *stride is the innermost one's. */
static int even_axes(const layout *l, int first, int last, int64_t *stride) {
    int n = 0;
    int64_t next = 0;
    *stride = 1;
    for (int i = last - 1; i >= first; i--) {
        if (l->shape[i] == 1) continue;
        if (n == 0) *stride = l->strides[i];
        if (n == 0 || l->strides[i] != next) n++;
        next = l->strides[i] * l->shape[i];
    }
    return n;
}

/* Cuts a product's rows as finely as a place for all of them needs it; every other access can be cut so, too. */
static void cut_rows(group *g, const layout *where) {
    int64_t columns = 1, shape[SOMA_MAX_RANK];
    int n = where->rank, behind = g->rank - g->split;
    while (n > 0 && columns * where->shape[n - 1] <= g->size / g->row_size)
        columns *= where->shape[--n];
    if (columns * g->row_size != g->size || n + behind > SOMA_MAX_RANK) return;
    memcpy(shape, where->shape, (size_t)n * sizeof *shape);
    memcpy(shape + n, g->shape + g->split, (size_t)behind * sizeof *shape);
    memcpy(g->shape, shape, (size_t)(n + behind) * sizeof *shape);
    g->rank = n + behind;
    g->split = n;
}

/* Does the group go through its space row by row of its last axis? */
static bool walks_panels(const group *g) {
    return g->kind == GROUP_MAP || (g->kind != GROUP_REDUCE && g->split == g->rank - 1);
}

/* May the group that computes t store it so, within `whole`? */
static bool may_store(const build *b, group *g, const soma_tensor *t, const layout *where, const soma_tensor *whole) {
    layout l = *where;
    int64_t stride, shape[SOMA_MAX_RANK];
    const node_info *info = &b->infos[t->id];
    if (info->per_row) return false;
    if (g->kind == GROUP_CONTRACT) cut_rows(g, where);
    for (int i = 0; i < g->rank; i++) {
        bool reduced = g->kind == GROUP_REDUCE && g->root->attributes->axes >> i & 1;
        shape[i] = reduced ? 1 : g->shape[i];
    }
    if (!layout_reshape(&l, g->rank, shape)) return false;
    const int64_t width = b->infos[whole->id].width, *of = whole->shape + whole->rank - 2;
    panel_place place;
    if (width) return walks_panels(g) && layout_in_panels(&l, &(panel_stack){of[0], of[1], width}, &place);
    if (g->kind == GROUP_MAP) return true;
    return even_axes(&l, g->split, g->rank, &stride) <= 1 && stride == 1;
}

static bool has_parts(const soma_tensor *t) {
    return t->op == &op_concat || t->op == &op_pad || t->op->kind == OP_VIEW;
}

/* The elements of input k within its node, itself placed or dense. */
static layout part_of(const build *b, const soma_tensor *t, int k) {
    layout l;
    const node_info *info = &b->infos[t->id];
    const soma_tensor *x = t->inputs[k];
    if (info->within)
        l = *info->placed;
    else
        layout_dense(&l, t->rank, t->shape);
    for (int i = 0; t->op->kind != OP_VIEW && i < t->rank; i++) {
        int64_t first = t->op == &op_pad ? t->attributes->start[i] : 0;
        for (int j = 0; t->op == &op_concat && i == t->attributes->axis && j < k; j++)
            first += t->inputs[j]->shape[i];
        l.offset += first * l.strides[i];
        l.shape[i] = x->shape[i];
    }
    return l;
}

/* The value below input k of t and where it would lie; NULL if it must stay a place of its own. */
static const soma_tensor *find_part(const build *b, const soma_tensor *t, int k, layout *l) {
    const soma_tensor *x = t->inputs[k];
    *l = part_of(b, t, k);
    if (t->op->kind == OP_VIEW && !before_view(l, t)) return NULL;
    bool shared = b->uses[x->id] > 1;
    for (; b->infos[x->id].role == ROLE_VIEW; x = x->inputs[0], shared = shared || b->uses[x->id] > 1)
        if (!before_view(l, x)) return NULL;
    const node_info *info = &b->infos[x->id];
    bool free = info->role == ROLE_MEMBER && info->stored && !info->into && !info->within && !info->width;
    layout whole = *l;
    whole.offset = 0;
    if (!free || info->alone || (shared && !layout_is_dense(&whole))) return NULL;
    return x->dtype == t->dtype && shape_size(x->rank, x->shape) > 0 ? x : NULL;
}

static void take_back(build *b, const soma_tensor *t, int n);

static bool place_all(build *b, const soma_tensor *t);

/* Places input k of t; false when it stays where it is. */
static bool place(build *b, const soma_tensor *t, int k) {
    layout l, *kept;
    const soma_tensor *x = find_part(b, t, k, &l);
    if (!x) return false;
    group *g = &b->groups[b->infos[x->id].group];
    bool nested = g->kind == GROUP_KERNEL && x->op == &op_concat && shape_equal(l.rank, l.shape, x->rank, x->shape);
    if (t->op->kind == OP_VIEW && g->kind != GROUP_CONTRACT) return false; /* which others would have to walk so */
    const soma_tensor *whole = b->infos[t->id].within ? b->infos[t->id].within : t;
    if (g->kind == GROUP_KERNEL ? !nested : !may_store(b, g, x, &l, whole)) return false;
    if (!(kept = arena_alloc(&b->arena, sizeof *kept))) return false;
    node_info *info = &b->infos[x->id];
    *kept = l;
    info->placed = kept;
    info->within = whole;
    info->part_of = t;
    info->part = k;
    if (!nested || place_all(b, x)) return true;
    info->within = NULL; /* its own parts would have to be copied */
    return false;
}

/* All parts or none. */
static bool place_all(build *b, const soma_tensor *t) {
    int k = 0;
    while (k < t->n_inputs && place(b, t, k))
        k++;
    if (k == t->n_inputs) return true;
    take_back(b, t, k);
    return false;
}

/* The first n parts of t lie by themselves again, and what was placed in them. */
static void take_back(build *b, const soma_tensor *t, int n) {
    for (int i = 0; i < n; i++) {
        const soma_tensor *x = t->inputs[i];
        while (b->infos[x->id].role == ROLE_VIEW)
            x = x->inputs[0];
        if (x->op == &op_concat) take_back(b, x, x->n_inputs);
        b->infos[x->id].within = NULL;
    }
}

/* Maps over one space whose results are parts of one array: together they read what they share once. */
static bool join_siblings(build *b, const soma_tensor *whole, const soma_tensor *t, int *first) {
    for (int k = 0; k < t->n_inputs; k++) {
        const soma_tensor *x = t->inputs[k];
        while (b->infos[x->id].role == ROLE_VIEW)
            x = x->inputs[0];
        if (b->infos[x->id].within != whole) continue;
        int h = b->infos[x->id].group;
        group *from = &b->groups[h], *into = &b->groups[*first < 0 ? h : *first];
        if (from->kind == GROUP_KERNEL && !join_siblings(b, whole, x, first)) return false;
        if (from->kind != GROUP_MAP || from == into) {
            if (from->kind == GROUP_MAP) *first = h;
            continue;
        }
        bool alike = from->dtype == into->dtype && shape_equal(from->rank, from->shape, into->rank, into->shape) &&
                     !from->sealed && !into->sealed && from->n_members + into->n_members <= b->members_max;
        if (!alike || group_depends(b, h, *first) || group_depends(b, *first, h)) {
            *first = h;
        } else if (!group_absorb(b, *first, h)) {
            return false;
        }
    }
    return true;
}

soma_status plan_place(build *b) {
    if (b->reference) return SOMA_OK;
    for (int64_t id = 0; id < b->graph->n_nodes; id++)
        if (b->infos[id].role == ROLE_STATE) mark_alone(b, b->graph->nodes[id]->inputs[0]);
    for (int i = 0; i < b->n_targets; i++)
        mark_alone(b, b->targets[i]);
    for (int64_t id = b->graph->n_nodes - 1; id >= 0; id--) {
        const soma_tensor *t = b->graph->nodes[id];
        node_info *info = &b->infos[id];
        if (info->role != ROLE_MEMBER || !has_parts(t) || info->into || info->within) continue;
        if (info->width && t->op != &op_concat) continue;
        if (info->width && !place_all(b, t)) info->width = 0; /* its own kernel stores row by row */
        for (int k = 0; k < t->n_inputs && !info->width; k++)
            (void)place(b, t, k);
        int first = -1;
        if (t->op->kind != OP_VIEW && !join_siblings(b, t, t, &first)) return SOMA_NO_MEMORY;
    }
    return SOMA_OK;
}

bool placed_input(const build *b, const soma_tensor *t, int k) {
    const soma_tensor *x = t->inputs[k];
    if (!has_parts(t) || b->infos[t->id].role == ROLE_VIEW) return false;
    while (b->infos[x->id].role == ROLE_VIEW)
        x = x->inputs[0];
    const node_info *info = &b->infos[x->id]; /* which may be other parts, too */
    return info->within && info->part_of == t && info->part == k;
}
