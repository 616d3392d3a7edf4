/* After fusing: what is kept in memory between two steps, and what is cheaper made anew by whoever reads it.
 * Rests on the groups. A gradient reads what its forward step had in registers: of gelu three arrays, all made from
 * one. Storing an array and reading it back costs as much as a dozen simple maps, so a reader gets the one and makes
 * the three itself (lower_program.c emits a value that is `anew` wherever it is read). For each group its values are
 * looked at from the last to the first: those read outside become what they are made of, as long as that is cheaper. */
#include <string.h>

#include "plan/passes.h"

/* Costs an element of four bytes: storing, loading, maps. Least elements of a group
 * that is worth it: below them all is in the first cache. */
enum { COST_STORED = 8, COST_READ = 4, COST_MAP = 1, COST_FUNCTION = 3, LEAST = 8192 };
enum { READERS = 4, SMALL_PART = 16 /* of a group's elements: costs nothing beside it */ };

/* What becomes of a value that is read outside its group. */
typedef enum fate { FATE_NONE, FATE_KEPT, FATE_ANEW } fate;

typedef struct value {
    fate fate;
    bool fixed; /* somebody needs it in memory */
    bool state; /* it is assigned to a variable, and lies as that does */
    int n_readers;
    int readers[READERS]; /* groups, its own not among them */
} value;

typedef struct keeper {
    build *b;
    value *values; /* by node id */
    int *extra;    /* by group: values that it makes anew */
} keeper;

static const soma_tensor *source_of(const build *b, const soma_tensor *x) {
    while (b->infos[x->id].role == ROLE_VIEW)
        x = x->inputs[0];
    return x;
}

/* False when there are too many. */
static bool add_reader(value *v, int reader) {
    for (int i = 0; i < v->n_readers; i++)
        if (v->readers[i] == reader) return true;
    if (v->n_readers == READERS) return false;
    v->readers[v->n_readers++] = reader;
    return true;
}

static bool lies_over(const build *b, const group *g, const soma_tensor *x, layout *l) {
    chain c;
    const soma_tensor *blocker;
    return chain_find(b, x, &c) && chain_layout(&c, l, &blocker) && group_over_space(g, l, false);
}

/* Are x's elements all of its source's, in the order of the group's space? */
static bool same_places(const build *b, const group *g, const soma_tensor *x) {
    layout l;
    const soma_tensor *s = source_of(b, x);
    return shape_size(s->rank, s->shape) == g->size && lies_over(b, g, x, &l) && l.offset == 0 && layout_is_dense(&l);
}

/* Can t's group compute what t reads there, in t's place? */
static bool reads_in_place(const build *b, const soma_tensor *t, const soma_tensor *x) {
    const node_info *info = &b->infos[t->id];
    const group *g = &b->groups[info->group];
    bool in_memory = g->kind == GROUP_KERNEL || (g->kind == GROUP_CONTRACT && g->root == t) || t->op->kind == OP_VIEW;
    bool whole = !group_after(g, t) || t == g->root;
    return !in_memory && whole && (!info->per_row || t->op->kind == OP_REDUCE) && same_places(b, g, x);
}

static void find_readers(keeper *k) {
    const build *b = k->b;
    for (int64_t id = 0; id < b->graph->n_nodes; id++) {
        const soma_tensor *t = b->graph->nodes[id];
        const node_info *info = &b->infos[id];
        if (info->role != ROLE_MEMBER && info->role != ROLE_STATE && info->role != ROLE_INLINE) continue;
        for (int i = 0; i < t->n_inputs; i++) {
            const soma_tensor *s = source_of(b, t->inputs[i]);
            value *v = &k->values[s->id];
            if (b->infos[s->id].role != ROLE_MEMBER) continue;
            if (info->role == ROLE_MEMBER && b->infos[s->id].group == info->group) continue;
            v->fate = FATE_KEPT;
            v->state = v->state || info->role == ROLE_STATE;
            if (info->role != ROLE_MEMBER || !reads_in_place(b, t, t->inputs[i]) || !add_reader(v, info->group))
                v->fixed = true;
        }
    }
    for (int i = 0; i < b->n_targets; i++) {
        value *v = &k->values[source_of(b, b->targets[i])->id];
        v->fixed = true;
        v->fate = FATE_KEPT;
    }
}

static bool is_simple(const soma_tensor *t, soma_dtype dtype) {
    return t->dtype == dtype || t->dtype == SOMA_BOOL;
}

/* May all readers of t read what it is made of instead? */
static bool may_expand(const keeper *k, const group *g, const soma_tensor *t) {
    const build *b = k->b;
    const value *v = &k->values[t->id];
    const node_info *info = &b->infos[t->id];
    if (g->kind == GROUP_REDUCE && group_after(g, t)) return false; /* as small as the result */
    if (v->fixed || t->op->kind != OP_MAP || info->per_row || info->out_only || !is_simple(t, g->dtype)) return false;
    for (int i = 0; i < t->n_inputs; i++) {
        const soma_tensor *s = source_of(b, t->inputs[i]);
        const node_info *from = &b->infos[s->id];
        if (!is_simple(s, g->dtype) || s->op == &op_read || k->values[s->id].state) return false;
        if ((from->role == ROLE_INLINE && s->op != &op_iota)) return false;
        for (int r = 0; r < v->n_readers; r++) {
            const group *reader = &b->groups[v->readers[r]];
            layout l;
            if (reader->dtype != g->dtype || reader->n_members + k->extra[v->readers[r]] >= b->members_max)
                return false;
            if (!lies_over(b, reader, t->inputs[i], &l)) return false;
            bool inner = from->role == ROLE_MEMBER && from->group == info->group && !from->per_row;
            if (inner && !same_places(b, reader, t->inputs[i])) return false;
        }
    }
    return true;
}

static int cost_of(const soma_tensor *t, int cost) {
    return cost * (int)soma_dtype_size(t->dtype) / 4;
}

static int map_cost(const soma_tensor *t) {
    int code = t->op->code;
    return (code >= CPU_EXP && code <= CPU_ERF) || (code >= CPU_MOD && code <= CPU_ATAN2) ? COST_FUNCTION : COST_MAP;
}

/* t's readers get its inputs instead; returns what that adds to the cost. */
static int expand(keeper *k, const group *g, const soma_tensor *t) {
    const build *b = k->b;
    value *v = &k->values[t->id];
    int cost = v->n_readers * map_cost(t) - cost_of(t, COST_STORED + v->n_readers * COST_READ);
    v->fate = FATE_ANEW;
    for (int i = 0; i < t->n_inputs; i++) {
        const soma_tensor *s = source_of(b, t->inputs[i]);
        value *from = &k->values[s->id];
        if (b->infos[s->id].role == ROLE_INLINE || shape_size(s->rank, s->shape) <= g->size / SMALL_PART) continue;
        bool inner = b->infos[s->id].role == ROLE_MEMBER && b->infos[s->id].group == b->infos[t->id].group;
        if (!inner) {
            cost += v->n_readers * cost_of(s, COST_READ);
            continue;
        }
        cost += cost_of(s, (from->fate == FATE_NONE) * COST_STORED + v->n_readers * COST_READ);
        from->fate = FATE_KEPT;
        for (int r = 0; r < v->n_readers; r++)
            if (!add_reader(from, v->readers[r])) from->fixed = true;
    }
    for (int r = 0; r < v->n_readers; r++)
        k->extra[v->readers[r]]++;
    return cost;
}

/* Expands values of the group from the last to the one of index `stop`; returns where the cost was least: an index
 * behind the last one when nothing is gained. */
static int sweep(keeper *k, const group *g, int stop) {
    int cost = 0, least = 0, best = g->n_members;
    for (int i = g->n_members - 1; i >= stop; i--) {
        const soma_tensor *t = k->b->graph->nodes[g->members[i]];
        if (k->values[t->id].fate != FATE_KEPT || !may_expand(k, g, t)) continue;
        cost += expand(k, g, t);
        if (cost < least) {
            least = cost;
            best = i;
        }
    }
    return best;
}

/* Tries it on copies, then does it as far as it pays. */
static bool keep_less(keeper *k, int index) {
    build *b = k->b;
    const group *g = &b->groups[index];
    if (g->gone || g->size < LEAST || g->kind == GROUP_KERNEL) return true;
    value *saved = arena_alloc(&b->arena, (size_t)g->n_members * sizeof *saved);
    if (!saved) return false;
    for (int i = 0; i < g->n_members; i++)
        saved[i] = k->values[g->members[i]];
    int best = sweep(k, g, 0);
    for (int i = 0; i < g->n_members; i++) {
        value *v = &k->values[g->members[i]];
        for (int r = 0; v->fate == FATE_ANEW && r < v->n_readers; r++)
            k->extra[v->readers[r]]--;
        *v = saved[i];
    }
    (void)sweep(k, g, best);
    return true;
}

soma_status plan_keep(build *b) {
    keeper k = {.b = b};
    k.values = arena_alloc(&b->arena, (size_t)b->graph->n_nodes * sizeof *k.values + 1);
    k.extra = arena_alloc(&b->arena, (size_t)b->n_groups * sizeof *k.extra + 1);
    if (!k.values || !k.extra) return SOMA_NO_MEMORY;
    find_readers(&k);
    for (int i = 0; i < b->n_groups; i++)
        if (!keep_less(&k, i)) return SOMA_NO_MEMORY;
    for (int64_t id = 0; id < b->graph->n_nodes; id++)
        b->infos[id].anew = k.values[id].fate == FATE_ANEW;
    return SOMA_OK;
}
