/* Second pass: which nodes become one step. Maps melt into each other, into the contraction or reduction whose result
 * they take (epilogue), and with reductions along rows into row programs. Rests on strides.c to see that elements meet.
 * Greedy in the order of the graph; a merge that would make two steps wait for each other is never made. */
#include <string.h>

#include "plan/passes.h"

/* ---- does a node's input meet the group element by element? ---- */

/* Strides of a value of n elements (all of the group's space, or a row's worth) over the space. */
bool group_over_space(const group *g, layout *l, bool per_row) {
    int64_t shape[SOMA_MAX_RANK];
    for (int i = 0; i < g->rank; i++)
        shape[i] = per_row && i >= g->split ? 1 : g->shape[i];
    return layout_reshape(l, g->rank, shape);
}

static bool meets(build *b, const group *g, const soma_tensor *input, bool node_per_row) {
    chain c;
    layout l;
    const soma_tensor *blocker;
    if (!chain_find(b, input, &c) || !chain_layout(&c, &l, &blocker)) return false;
    if (g->kind == GROUP_REDUCE) /* after the reduction: its result and what was made of it */
        return !b->infos[c.source->id].out_only && layout_is_dense(&l) &&
               shape_size(c.source->rank, c.source->shape) == g->post_size;
    if (!group_over_space(g, &l, node_per_row)) return false;
    const node_info *info = &b->infos[c.source->id];
    if (info->out_only || l.offset != 0) return false;
    int64_t stride = 1;
    for (int i = g->rank - 1; i >= 0; i--) {
        if (info->per_row && i >= g->split) {
            if (l.shape[i] != 1 && l.strides[i] != 0) return false;
            continue;
        }
        if (l.shape[i] != 1 && l.strides[i] != stride) return false;
        if (!info->per_row && node_per_row && i >= g->split && g->shape[i] != 1) return false;
        stride *= g->shape[i];
    }
    return true;
}

typedef struct sources {
    int n;
    int groups[64];
} sources;

/* The groups that a node's inputs come from. */
static bool find_sources(build *b, const soma_tensor *t, sources *out) {
    out->n = 0;
    for (int i = 0; i < t->n_inputs; i++) {
        chain c;
        if (!chain_find(b, t->inputs[i], &c)) return false;
        const node_info *info = &b->infos[c.source->id];
        if (info->role != ROLE_MEMBER) continue;
        int k = 0;
        while (k < out->n && out->groups[k] != info->group)
            k++;
        if (k < out->n) continue;
        if (out->n == 64) return false;
        out->groups[out->n++] = info->group;
    }
    return true;
}

static bool add_needs(build *b, int g, const soma_tensor *t) {
    for (int i = 0; i < t->n_inputs; i++) {
        const soma_tensor *x = t->inputs[i];
        while (b->infos[x->id].role == ROLE_VIEW)
            x = x->inputs[0];
        const node_info *info = &b->infos[x->id];
        if (info->role == ROLE_MEMBER && info->group != g && !group_push_need(b, &b->groups[g], info->group))
            return false;
        if (info->role == ROLE_INLINE && !add_needs(b, g, x)) return false;
    }
    return true;
}

/* All inputs from g meet it; no other source group needs g. */
static bool may_join(build *b, int g, const soma_tensor *t, const sources *from, bool per_row) {
    group *into = &b->groups[g];
    if (into->sealed || into->n_members >= b->members_max || into->dtype != node_real(t)) return false;
    for (int i = 0; i < t->n_inputs; i++) {
        chain c;
        if (!chain_find(b, t->inputs[i], &c)) return false;
        const node_info *info = &b->infos[c.source->id];
        if (info->role == ROLE_MEMBER && info->group == g && !meets(b, into, t->inputs[i], per_row)) return false;
    }
    for (int i = 0; i < from->n; i++)
        if (from->groups[i] != g && group_depends(b, from->groups[i], g)) return false;
    return true;
}

static bool join(build *b, int g, const soma_tensor *t, bool per_row) {
    node_info *info = &b->infos[t->id];
    info->per_row = per_row;
    bool cuts = t->op == &op_cast && dtype_is_integer(t->dtype) && dtype_is_float(t->inputs[0]->dtype);
    info->out_only = t->dtype != b->groups[g].dtype && (cuts || !node_is_small(t));
    return group_push_member(b, &b->groups[g], t) && add_needs(b, g, t);
}

/* Reductions read whole rows even where their result is one value a row. */
static bool reads_per_row(const build *b, const soma_tensor *t) {
    return b->infos[t->id].per_row && t->op->kind != OP_REDUCE;
}

/* A map group of a row's worth within a row program. */
static bool merges_per_row(const group *into, const group *from) {
    return into->by_rows && from->size == into->row_size && from->size != into->size;
}

/* Melts map group h into g when both have one space and no third group stands between them. */
static bool may_merge(build *b, int g, int h) {
    group *into = &b->groups[g], *from = &b->groups[h];
    bool per_row = merges_per_row(into, from);
    if (from->kind != GROUP_MAP || from->sealed || into->kind == GROUP_KERNEL || from->dtype != into->dtype)
        return false;
    if (from->size != (into->kind == GROUP_REDUCE ? into->post_size : per_row ? into->row_size : into->size))
        return false;
    if (from->size == 1) return false;
    if (from->n_members + into->n_members > b->members_max) return false;
    for (int i = 0; i < into->n_needs; i++)
        if (into->needs[i] != h && group_depends(b, into->needs[i], h)) return false;
    for (int i = 0; i < from->n_needs; i++)
        if (from->needs[i] != g && group_depends(b, from->needs[i], g)) return false;
    for (int i = 0; i < into->n_members; i++) { /* values that pass between them must meet */
        const soma_tensor *t = b->graph->nodes[into->members[i]];
        if (t == into->root) {
            chain c;
            for (int k = 0; k < t->n_inputs; k++)
                if (!chain_find(b, t->inputs[k], &c) || b->infos[c.source->id].group == h) return false;
            continue;
        }
        for (int k = 0; k < t->n_inputs; k++) {
            chain c;
            if (!chain_find(b, t->inputs[k], &c)) return false;
            if (b->infos[c.source->id].role != ROLE_MEMBER || b->infos[c.source->id].group != h) continue;
            b->infos[c.source->id].per_row = per_row; /* as it would be */
            bool met = meets(b, into, t->inputs[k], reads_per_row(b, t));
            b->infos[c.source->id].per_row = false;
            if (!met) return false;
        }
    }
    for (int i = 0; i < from->n_members; i++) {
        const soma_tensor *t = b->graph->nodes[from->members[i]];
        for (int k = 0; k < t->n_inputs; k++) {
            chain c;
            if (!chain_find(b, t->inputs[k], &c)) return false;
            if (b->infos[c.source->id].role == ROLE_MEMBER && b->infos[c.source->id].group == g &&
                !meets(b, into, t->inputs[k], per_row))
                return false;
        }
    }
    return true;
}

static bool merge(build *b, int g, int h) {
    const group *from = &b->groups[h];
    bool per_row = merges_per_row(&b->groups[g], from);
    for (int i = 0; i < from->n_members; i++)
        b->infos[from->members[i]].per_row = per_row;
    return group_absorb(b, g, h);
}

/* ---- one node at a time ---- */

static bool place_map(build *b, const soma_tensor *t) {
    sources from;
    bool sealed = b->infos[t->id].forced;
    if (!find_sources(b, t, &from)) return false;
    if (sealed) from.n = 0;
    int64_t size = shape_size(t->rank, t->shape);
    int best = -1;
    bool best_per_row = false;
    for (int i = 0; i < from.n; i++) {
        group *g = &b->groups[from.groups[i]];
        if (g->kind == GROUP_KERNEL || g->gone) continue;
        bool per_row = g->by_rows && size == g->row_size && size != g->size;
        if (g->kind == GROUP_REDUCE ? size != g->post_size : !per_row && size != g->size) continue;
        bool plain = g->kind == GROUP_MAP; /* contractions, rows and reductions take maps in, not the other way round */
        if (best >= 0 && (b->groups[best].kind == GROUP_MAP) == plain && from.groups[i] < best) continue;
        if (best >= 0 && plain && b->groups[best].kind != GROUP_MAP) continue;
        if (!may_join(b, from.groups[i], t, &from, per_row)) continue;
        best = from.groups[i];
        best_per_row = per_row;
    }
    if (best < 0) {
        group *g = group_new(b, GROUP_MAP, t, node_real(t));
        if (!g) return false;
        g->sealed = sealed;
        best = (int)(g - b->groups);
    }
    if (!join(b, best, t, best_per_row)) return false;
    for (int i = 0; i < from.n; i++)
        if (from.groups[i] != best && !b->groups[from.groups[i]].gone && may_merge(b, best, from.groups[i]) &&
            !merge(b, best, from.groups[i]))
            return false;
    return true;
}

/* The run of reduced axes; false when there is not exactly one. */
static bool reduced_run(const soma_tensor *t, int *first, int *end) {
    const soma_tensor *x = t->inputs[0];
    *first = *end = -1;
    for (int i = 0; i < x->rank; i++) {
        if (x->shape[i] == 1) continue;
        bool reduced = t->attributes->axes >> i & 1;
        if (!reduced) continue;
        if (*first < 0)
            *first = i;
        else
            for (int k = *end; k < i; k++)
                if (x->shape[k] != 1) return false;
        *end = i + 1;
    }
    if (*first < 0) *first = *end = x->rank; /* only extents of 1 */
    return true;
}

static bool all_full(const build *b, const group *g) {
    for (int i = 0; i < g->n_members; i++) {
        const soma_tensor *t = b->graph->nodes[g->members[i]];
        if (shape_size(t->rank, t->shape) != g->size) return false;
    }
    return true;
}

static void set_space(group *g, const soma_tensor *x, int split) {
    g->rank = x->rank;
    memcpy(g->shape, x->shape, sizeof g->shape);
    g->split = split;
    g->size = shape_size(x->rank, x->shape);
    g->row_size = shape_size(split, x->shape);
}

/* A row program over the same rows that reads the same array: one pass over it serves both. */
static int find_sibling(build *b, const soma_tensor *t, const soma_tensor *x, int split, const sources *from) {
    enum { LOOK_BACK = 12 };
    if (from->n != 1) return -1;
    for (int g = b->n_groups - 1; g >= 0 && g >= b->n_groups - LOOK_BACK; g--) {
        const group *other = &b->groups[g];
        if (other->gone || other->kind != GROUP_ROW || other->split != split || other->dtype != node_real(t)) continue;
        if (!shape_equal(other->rank, other->shape, x->rank, x->shape)) continue;
        for (int i = 0; i < other->n_needs; i++)
            if (other->needs[i] == from->groups[0] && may_join(b, g, t, from, true)) return g;
    }
    return -1;
}

static bool place_kernel(build *b, const soma_tensor *t) {
    group *g = group_new(b, GROUP_KERNEL, t, SOMA_F32);
    if (!g) return false;
    g->root = t;
    return group_push_member(b, g, t) && add_needs(b, (int)(g - b->groups), t);
}

/* Does the reduction of rows join the contraction that makes them? */
static bool joins_contraction(build *b, int g, const soma_tensor *t, int64_t run, const sources *from) {
    const group *into = &b->groups[g];
    const soma_tensor *x = t->inputs[0];
    return into->kind == GROUP_CONTRACT && into->by_rows && into->size == shape_size(x->rank, x->shape) &&
           into->shape[into->rank - 1] == run && into->size > into->row_size && may_join(b, g, t, from, false);
}

static bool place_reduce(build *b, const soma_tensor *t) {
    const soma_tensor *x = t->inputs[0];
    int first, end;
    sources from;
    bool index = t->op == &op_argmax || t->op == &op_argmin;
    if (!reduced_run(t, &first, &end) || !find_sources(b, t, &from)) return false;
    bool trailing = true;
    int64_t run = 1;
    for (int i = first; i < x->rank; i++) {
        if (i < end) run *= x->shape[i];
        if (i >= end && x->shape[i] != 1) trailing = false;
    }
    bool row = trailing && run > 0 && run <= REDUCE_LONG_ROW;
    if (index && !row) return place_kernel(b, t); /* long rows of positions */
    int g = from.n == 1 ? from.groups[0] : -1;
    if (g >= 0 && row && joins_contraction(b, g, t, run, &from)) return join(b, g, t, true);
    if (g >= 0 && b->groups[g].kind == GROUP_ROW &&
        !(row && b->groups[g].size == shape_size(x->rank, x->shape) &&
          b->groups[g].row_size == b->groups[g].size / run))
        g = -1;
    if (g >= 0 && b->groups[g].kind != GROUP_ROW &&
        (b->groups[g].kind != GROUP_MAP || !all_full(b, &b->groups[g]) ||
         b->groups[g].size != shape_size(x->rank, x->shape) || b->groups[g].size == 1))
        g = -1;
    if (g >= 0) { /* try the space the reduction wants */
        group before = b->groups[g];
        set_space(&b->groups[g], x, first);
        b->groups[g].kind = GROUP_ROW;
        bool fits = (before.kind != GROUP_ROW || before.split == first || row) && may_join(b, g, t, &from, false);
        for (int i = 0; fits && i < b->groups[g].n_members; i++) {
            const soma_tensor *m = b->graph->nodes[b->groups[g].members[i]];
            for (int k = 0; fits && k < m->n_inputs; k++) {
                chain c;
                if (!chain_find(b, m->inputs[k], &c)) return false;
                if (b->infos[c.source->id].role == ROLE_MEMBER && b->infos[c.source->id].group == g)
                    fits = meets(b, &b->groups[g], m->inputs[k], reads_per_row(b, m));
            }
        }
        if (!fits) {
            b->groups[g] = before;
            g = -1;
        }
    }
    if (g < 0 && row) g = find_sibling(b, t, x, first, &from);
    if (g < 0) {
        group *made = group_new(b, row ? GROUP_ROW : GROUP_REDUCE, t, node_real(t));
        if (!made) return false;
        set_space(made, x, first);
        g = (int)(made - b->groups);
    }
    group *made = &b->groups[g];
    made->kind = row ? GROUP_ROW : GROUP_REDUCE;
    made->by_rows = row;
    if (!row) {
        made->root = t;
        made->post_size = shape_size(t->rank, t->shape);
        if (!trailing) made->split = end;
    }
    return join(b, g, t, row);
}

enum { ROWS_SHARED = 112 /* for threads */, ROWS_FEW = 262144 };

/* All columns of a few rows at a time: where B stays in the caches and there are rows enough for all threads. */
static bool comes_by_rows(const build *b, const soma_tensor *t) {
    const cpu_real *real = cpu_real_of(b->plan->kernels, t->dtype);
    int64_t n = t->shape[t->rank - 1], k = t->inputs[0]->shape[t->rank - 1], rows = shape_size(t->rank - 1, t->shape);
    if (n > REDUCE_ROW_LIMIT || !contract_keeps_right(k, n, t->dtype)) return false;
    if (n <= real->lanes * real->vectors) return true; /* a panel holds whole rows */
    return rows >= ROWS_SHARED || rows * n * k < ROWS_FEW;
}

static bool place_contract(build *b, const soma_tensor *t) {
    group *g = group_new(b, GROUP_CONTRACT, t, node_real(t));
    if (!g) return false;
    g->root = t;
    g->split = t->rank - 1;
    g->row_size = shape_size(t->rank - 1, t->shape);
    g->by_rows = comes_by_rows(b, t);
    return join(b, (int)(g - b->groups), t, false);
}

/* Do a view's elements lie in its source as they are wanted: all of them, in order? */
static bool lies_ready(const build *b, const soma_tensor *t, const soma_tensor **source) {
    chain c;
    layout l;
    const soma_tensor *blocker;
    if (!chain_find(b, t, &c) || !chain_layout(&c, &l, &blocker) || !layout_is_dense(&l)) return false;
    *source = c.source;
    return shape_size(t->rank, t->shape) == shape_size(c.source->rank, c.source->shape);
}

/* A view that had to be computed until one below it was. */
static bool forced_before(const build *b, const soma_tensor *t) {
    const soma_tensor *below = t->inputs[0];
    return lies_ready(b, t, &below) && below != t && below->op->kind == OP_VIEW;
}

static bool place(build *b, const soma_tensor *t) {
    node_info *info = &b->infos[t->id];
    bool program = !b->reference && node_real(t) != SOMA_DTYPE_COUNT;
    switch (t->op->kind) {
    case OP_LEAF:
        info->role = ROLE_LEAF;
        return true;
    case OP_STATE:
        info->role = ROLE_STATE;
        return true;
    case OP_VIEW:
        info->depth = 1 + (b->infos[t->inputs[0]->id].role == ROLE_VIEW ? b->infos[t->inputs[0]->id].depth : 0);
        if (info->depth > CHAIN_MAX) info->forced = true;
        if (!b->reference && (!info->forced || forced_before(b, t))) {
            info->role = ROLE_VIEW;
            return true;
        }
        return program ? place_map(b, t) : place_kernel(b, t);
    case OP_GENERATE:
        if (program && !info->forced) {
            info->role = ROLE_INLINE;
            return true;
        }
        return program ? place_map(b, t) : place_kernel(b, t);
    case OP_MAP:
        return program ? place_map(b, t) : place_kernel(b, t);
    case OP_REDUCE:
        return program && shape_size(t->inputs[0]->rank, t->inputs[0]->shape) > 0 ? place_reduce(b, t)
                                                                                  : place_kernel(b, t);
    case OP_CONTRACT:
        return program && shape_size(t->rank, t->shape) > 0 ? place_contract(b, t) : place_kernel(b, t);
    case OP_ARRANGE:
        if (info->clipped) {
            info->role = ROLE_VIEW;
            info->depth = 1 + (b->infos[t->inputs[0]->id].role == ROLE_VIEW ? b->infos[t->inputs[0]->id].depth : 0);
            return true;
        }
        return place_kernel(b, t);
    case OP_INDEX:
        return place_kernel(b, t);
    }
    return false;
}

/* Maps that a row program or a reduction reads and that met nobody before. */
static bool merge_late(build *b) {
    for (int g = 0; g < b->n_groups; g++) {
        if (b->groups[g].gone || (b->groups[g].kind != GROUP_ROW && b->groups[g].kind != GROUP_REDUCE)) continue;
        for (int i = 0; i < b->groups[g].n_needs; i++) {
            int h = b->groups[g].needs[i];
            if (!b->groups[h].gone && may_merge(b, g, h) && !merge(b, g, h)) return false;
        }
    }
    return true;
}

/* Inline nodes that somebody needs in memory, and views that are targets or states, are computed by groups of their
 * own. */
static bool force_needed(build *b) {
    bool changed = false;
    for (int64_t id = 0; id < b->graph->n_nodes; id++) {
        node_info *info = &b->infos[id];
        if (info->role == ROLE_INLINE && info->stored && !info->forced) changed = info->forced = true;
    }
    for (int64_t id = 0; id < b->graph->n_nodes; id++) {
        const soma_tensor *t = b->graph->nodes[id], *source = t;
        if (b->infos[id].role != ROLE_STATE) continue;
        bool ready = lies_ready(b, t->inputs[0], &source);
        bool other = source->op == &op_read && source->variable != t->variable; /* may have its new value by then */
        node_info *info = &b->infos[t->inputs[0]->id];
        if (info->role == ROLE_VIEW && !info->forced && (!ready || other)) changed = info->forced = true;
    }
    for (int i = 0; i < b->n_targets; i++) {
        const soma_tensor *t = b->targets[i], *source = t;
        node_info *info = &b->infos[t->id];
        if (info->role != ROLE_VIEW || info->forced) continue;
        if (!lies_ready(b, t, &source) || b->infos[source->id].role == ROLE_LEAF) changed = info->forced = true;
    }
    return changed;
}

soma_status plan_fuse(build *b) {
    for (;;) {
        b->n_groups = 0;
        for (int64_t id = 0; id < b->graph->n_nodes; id++)
            b->infos[id] = (node_info){.role = b->infos[id].role == ROLE_UNUSED ? ROLE_UNUSED : ROLE_VIEW,
                                       .forced = b->infos[id].forced,
                                       .exact = b->infos[id].exact,
                                       .group = -1,
                                       .storage = -1,
                                       .pack = -1};
        if (!b->reference) plan_clip(b);
        for (int64_t id = 0; id < b->graph->n_nodes; id++)
            if (b->infos[id].role != ROLE_UNUSED && !place(b, b->graph->nodes[id]))
                return error_set(b->context, SOMA_NO_MEMORY, "[plan] out of memory while fusing");
        if (!merge_late(b)) return error_set(b->context, SOMA_NO_MEMORY, "[plan] out of memory while fusing");
        if (!b->reference) TRY(plan_keep(b));
        if (!plan_find_stored(b)) return error_set(b->context, SOMA_NO_MEMORY, "[plan] out of memory while fusing");
        if (!force_needed(b)) return SOMA_OK;
    }
}
