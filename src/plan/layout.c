/* Fourth pass: which matrices lie in panels, the form a contraction reads its right operand in.
 * Rests on the groups. A weight stays in panels from run to run and its optimizer state follows it, so that nothing is
 * packed in a training step that was not made in it; whoever reads a matrix in another way keeps it row-major. */
#include "plan/passes.h"

typedef struct wish {
    bool wanted;   /* some contraction reads it in panels */
    bool refused;  /* somebody cannot */
    bool by_tiles; /* some contraction's epilogue reads it, tile by tile, not whole rows */
    bool by_rows;  /* somebody goes through it row by row, for whom panels would be slow */
    bool part;     /* of a concatenation: it may lie in that one's panels, not in its own */
} wish;

static int64_t width_of(const build *b, const soma_tensor *s) {
    const cpu_real *real = cpu_real_of(b->plan->kernels, s->dtype);
    return panel_width(real, s->shape[s->rank - 1]);
}

/* The node as a stack of matrices; false when it is none. */
static bool stack_of(const build *b, const soma_tensor *s, panel_stack *out) {
    if (s->rank < 2 || shape_size(s->rank, s->shape) == 0) return false;
    *out = (panel_stack){s->shape[s->rank - 2], s->shape[s->rank - 1], width_of(b, s)};
    return true;
}

/* Does the group walk s, element by element, row by row of its last axis? */
static bool walks_rows(const group *g, const soma_tensor *s, const soma_tensor *reader) {
    if (s->rank < 2 || g->kind == GROUP_KERNEL) return false;
    if (g->kind == GROUP_MAP) return shape_equal(g->rank, g->shape, s->rank, s->shape);
    if (group_after(g, reader) && (reader != g->root || s == reader)) return false;
    return g->split == g->rank - 1 && g->shape[g->rank - 1] == s->shape[s->rank - 1] &&
           g->size == shape_size(s->rank, s->shape);
}

enum { TILED_ROWS = 16 };

/* May A lie in panels for others' sake? What is made in whole rows stays so. */
static bool is_left(const build *b, const chain *c, const soma_tensor *y) {
    panel_stack s;
    panel_place place;
    const node_info *info = &b->infos[c->source->id];
    const group *maker = info->role == ROLE_MEMBER ? &b->groups[info->group] : NULL;
    if (maker && (maker->kind == GROUP_ROW || contract_takes_rows(b, maker))) return false;
    return stack_of(b, c->source, &s) && left_in_panels(c, y, &s, &place) && y->shape[0] >= TILED_ROWS;
}

/* Does a map walk some rows and columns of it in order? */
static bool walks_part(const build *b, const group *g, const soma_tensor *t, const chain *c) {
    layout l;
    panel_stack s;
    panel_place place;
    const soma_tensor *blocker;
    if (b->infos[t->id].per_row || t->op->kind != OP_MAP || (g->kind != GROUP_MAP && g->kind != GROUP_CONTRACT))
        return false;
    return stack_of(b, c->source, &s) && chain_layout(c, &l, &blocker) && layout_in_panels(&l, &s, &place) &&
           group_over_space(g, &l, false) && layout_in_panels(&l, &s, &place);
}

/* B: its transpose, too, may lie in panels, but nobody wants it for that. */
static void wish_right(const build *b, wish *w, const chain *c, const soma_tensor *y, const soma_tensor *a) {
    chain left;
    fine_axes axes;
    panel_stack s;
    panel_place place;
    const soma_tensor *blocker;
    const bool known = chain_find(b, a, &left) && axes_find(&left, a, &axes, &blocker);
    right_form form = RIGHT_NOT;
    if (stack_of(b, c->source, &s)) form = right_in_panels(c, y, known ? &axes : NULL, &s, &place);
    w->wanted = w->wanted || form == RIGHT_STACK || form == RIGHT_ROWS;
    w->refused = w->refused || form == RIGHT_NOT;
}

/* What group `reader` asks of input k of t, its own node or one that it makes anew. */
static void wish_input(build *b, wish *wishes, int reader, const soma_tensor *t, int k) {
    chain c;
    const node_info *info = &b->infos[t->id];
    if (!chain_find(b, t->inputs[k], &c)) return;
    wish *w = &wishes[c.source->id];
    const group *g = &b->groups[reader];
    const node_info *from = &b->infos[c.source->id];
    if (from->role == ROLE_MEMBER && from->anew && from->group != reader) {
        for (int i = 0; i < c.source->n_inputs; i++)
            wish_input(b, wishes, reader, c.source, i);
        return;
    }
    if (g->kind == GROUP_CONTRACT && g->root == t) {
        const bool bfloat = b->infos[c.source->id].bfloat; /* is packed, or widened by rows */
        if (k == 1 && !bfloat)
            wish_right(b, w, &c, t->inputs[1], t->inputs[0]);
        else if (bfloat || !is_left(b, &c, t->inputs[0]))
            w->refused = true;
        return;
    }
    if (t->op == &op_concat) {
        w->refused = w->refused || w->part; /* it lies in one of them; the other copies rows */
        w->part = true;
        return;
    }
    if (from->group == reader && !from->out_only && from->role == ROLE_MEMBER) return; /* passes in a register */
    layout l;
    const soma_tensor *blocker;
    const bool whole = walks_rows(g, c.source, t) && !info->per_row && t->op->kind != OP_VIEW &&
                       chain_layout(&c, &l, &blocker) && layout_is_dense(&l);
    if (!whole && !walks_part(b, g, t, &c)) w->refused = true;
    w->by_tiles = w->by_tiles || (g->kind == GROUP_CONTRACT && !contract_takes_rows(b, g));
    w->by_rows = w->by_rows || (g->kind != GROUP_CONTRACT && g->kind != GROUP_MAP);
}

/* Are the rows and columns of part s those of t, or rows of its only matrix? */
static bool same_matrices(const soma_tensor *t, const soma_tensor *s) {
    if (s->rank < 2 || t->rank < 2 || s->shape[s->rank - 1] != t->shape[t->rank - 1]) return false;
    return s->shape[s->rank - 2] == t->shape[t->rank - 2] || (s->rank == 2 && t->rank == 2);
}

/* A concatenation lies in panels if its parts can be stored there, as whoever else reads them expects. */
static void ask_parts(const build *b, wish *wishes) {
    for (int64_t id = 0; id < b->graph->n_nodes; id++) {
        const soma_tensor *t = b->graph->nodes[id];
        for (int k = 0; t->op == &op_concat && b->infos[id].role == ROLE_MEMBER && k < t->n_inputs; k++) {
            chain c;
            if (!chain_find(b, t->inputs[k], &c) || wishes[c.source->id].refused ||
                (b->uses[c.source->id] > 1 && !same_matrices(t, c.source)))
                wishes[id].refused = true;
        }
    }
}

/* Groups that go through their space by panels anyway: what else they make lies so, too. */
static void join_walkers(const build *b, wish *wishes) {
    for (int64_t id = 0; id < b->graph->n_nodes; id++) {
        const soma_tensor *t = b->graph->nodes[id];
        const node_info *info = &b->infos[id];
        if (info->role != ROLE_MEMBER || b->groups[info->group].root == t) continue;
        for (int k = 0; k < t->n_inputs; k++) {
            chain c;
            if (!chain_find(b, t->inputs[k], &c) || !wishes[c.source->id].wanted || wishes[c.source->id].refused)
                continue;
            b->groups[info->group].by_panels = true;
        }
    }
    for (int64_t id = 0; id < b->graph->n_nodes; id++)
        if (b->infos[id].role == ROLE_MEMBER && b->groups[b->infos[id].group].by_panels) wishes[id].by_tiles = true;
}

/* What maps and contractions alone make and read, element by element: in panels an epilogue finds its tile's elements
 * one behind the other, where the processor fetches ahead, and uses them where they lie. */
static bool lies_better(const build *b, const wish *w, const soma_tensor *t) {
    const node_info *info = &b->infos[t->id];
    if (info->role != ROLE_MEMBER || !info->stored || info->into || !w->by_tiles || w->by_rows) return false;
    const group_kind kind = b->groups[info->group].kind;
    return (kind == GROUP_MAP || kind == GROUP_CONTRACT) && t->shape[t->rank - 1] > width_of(b, t) &&
           shape_size(t->rank - 1, t->shape) >= TILED_ROWS;
}

static void want_better(const build *b, wish *wishes) {
    for (int64_t id = 0; id < b->graph->n_nodes; id++)
        if (!wishes[id].refused && lies_better(b, &wishes[id], b->graph->nodes[id])) wishes[id].wanted = true;
}

/* Both sides of an assign lie alike. */
static void pair(const build *b, wish *wishes) {
    for (int64_t id = 0; id < b->graph->n_nodes; id++) {
        const soma_tensor *made = b->graph->nodes[id];
        if (b->infos[id].role != ROLE_MEMBER || !b->infos[id].into) continue;
        const soma_tensor *read = state_variable(b, b->infos[id].into)->read;
        if (!read) continue;
        wish *r = &wishes[read->id], *w = &wishes[id];
        r->refused = w->refused =
            r->refused || w->refused || !shape_equal(made->rank, made->shape, read->rank, read->shape);
        r->wanted = w->wanted = r->wanted || w->wanted;
    }
}

/* Variables updated together with a weight in panels follow it. */
static void follow(build *b, wish *wishes) {
    for (int i = 0; i < b->n_groups; i++) {
        const group *g = &b->groups[i];
        bool panels = false;
        if (g->gone) continue;
        for (int k = 0; k < g->n_members; k++) {
            const wish *w = &wishes[g->members[k]];
            panels = panels || (b->infos[g->members[k]].into && w->wanted && !w->refused);
        }
        for (int k = 0; panels && k < g->n_members; k++)
            if (b->infos[g->members[k]].into) wishes[g->members[k]].wanted = true;
    }
}

soma_status plan_layout(build *b) {
    int64_t n = b->graph->n_nodes;
    wish *wishes = arena_alloc(&b->arena, (size_t)n * sizeof *wishes + 1);
    if (!wishes) return SOMA_NO_MEMORY;
    if (b->reference) return SOMA_OK;
    for (int64_t id = 0; id < n; id++) {
        const soma_tensor *t = b->graph->nodes[id];
        const node_info *info = &b->infos[id];
        if (info->role == ROLE_UNUSED) continue;
        if (t->rank < 2 || (info->role == ROLE_LEAF && !t->variable) || shape_size(t->rank, t->shape) == 0)
            wishes[id].refused = true;
        if (info->role == ROLE_MEMBER && t->op != &op_concat && !walks_rows(&b->groups[info->group], t, t))
            wishes[id].refused = true;
        if (t->dtype != SOMA_F32 && t->dtype != SOMA_F64) wishes[id].refused = true;
        if (info->into && !shape_equal(t->rank, t->shape, info->into->rank, info->into->shape))
            wishes[id].refused = true;
        if (info->role == ROLE_MEMBER)
            for (int k = 0; k < t->n_inputs; k++)
                wish_input(b, wishes, info->group, t, k);
        for (int k = 0; (info->role == ROLE_STATE || info->role == ROLE_INLINE) && k < t->n_inputs; k++) {
            chain c;
            if (!chain_find(b, t->inputs[k], &c)) continue;
            if (info->role == ROLE_STATE && b->infos[c.source->id].into == t->variable) continue;
            wishes[c.source->id].refused = true; /* copied as it lies, and so the variable */
            const soma_tensor *read = info->role == ROLE_STATE ? state_variable(b, t->variable)->read : NULL;
            if (read) wishes[read->id].refused = true;
        }
    }
    for (int i = 0; i < b->n_targets; i++) {
        chain c;
        if (b->targets[i]->op != &op_assign && chain_find(b, b->targets[i], &c)) wishes[c.source->id].refused = true;
    }
    ask_parts(b, wishes);
    pair(b, wishes);
    follow(b, wishes);
    pair(b, wishes);
    want_better(b, wishes);
    join_walkers(b, wishes);
    want_better(b, wishes);
    for (int64_t id = 0; id < n; id++)
        if (b->infos[id].role != ROLE_UNUSED && wishes[id].wanted && !wishes[id].refused && !wishes[id].part)
            b->infos[id].width = width_of(b, b->graph->nodes[id]);
    for (int i = 0; i < b->n_variables; i++) { /* others stay as other plans left them, if nobody minds */
        const soma_tensor *read = b->variables[i].read;
        if (read && !wishes[read->id].refused && !wishes[read->id].part && read->variable->width == width_of(b, read))
            b->infos[read->id].width = read->variable->width;
    }
    for (int64_t id = 0; id < n; id++) {
        const variable_use *use = b->infos[id].into ? state_variable(b, b->infos[id].into) : NULL;
        if (use && use->read) b->infos[id].width = b->infos[use->read->id].width;
    }
    return SOMA_OK;
}
