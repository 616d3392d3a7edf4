/* Copies of groups: what was computed before the peak of memory is computed once more behind it, and read there.
 * Rests on the groups as fusing left them. A copy is made node by node and keeps its group: the same
 * instructions give the same bits, random numbers too, whose key is the node's own.
 * What nobody reads afterwards is dropped. */
#include <string.h>

#include "plan/passes.h"

typedef struct copier {
    build *b;
    const copy_choice *choice;
    soma_tensor **twins; /* by node id: the copy, or the node itself when there is none to be; NULL: not asked yet */
    int64_t n_old;
} copier;

/* ---- nodes ---- */

/* Room for as many nodes again. */
static bool make_room(build *b, int64_t old) {
    const size_t n = 2 * (size_t)old + 1;
    node_info *infos = arena_alloc(&b->arena, n * sizeof *infos);
    int *uses = arena_alloc(&b->arena, n * sizeof *uses);
    if (!infos || !uses) return false;
    memcpy(infos, b->infos, (size_t)old * sizeof *infos);
    memcpy(uses, b->uses, (size_t)old * sizeof *uses);
    b->infos = infos;
    b->uses = uses;
    return true;
}

static soma_tensor *make_twin(copier *c, const soma_tensor *t, soma_tensor *const *inputs) {
    build *b = c->b;
    soma_tensor *made = graph_node(b->graph, t->op, inputs, t->n_inputs, t->dtype, t->rank, t->shape, t->attributes);
    if (!made) return NULL;
    b->infos[made->id] = b->infos[t->id];
    b->uses[made->id] = 0;
    return c->twins[t->id] = made;
}

/* Does a group read another node than t? A late group reads its own members; what is made anew wherever it is read
 * may be made of copies. reader -1: a copy. */
static bool differs(const copier *c, const soma_tensor *t, int reader) {
    const node_info *info = &c->b->infos[t->id];
    const bool member = info->role == ROLE_MEMBER;
    if (t->id >= c->n_old || c->choice->keep[t->id] || (member && info->group == reader)) return false;
    if (member && c->twins[t->id]) return true;
    if (member ? !info->anew : info->role != ROLE_VIEW && info->role != ROLE_INLINE) return false;
    for (int i = 0; i < t->n_inputs; i++)
        if (differs(c, t->inputs[i], reader)) return true;
    return false;
}

static soma_tensor *twin_of(copier *c, soma_tensor *t, int reader);

/* The inputs as the reader has them; NULL when out of memory, *same: none of them is another. */
static soma_tensor **twin_inputs(copier *c, const soma_tensor *t, int reader, bool *same) {
    soma_tensor **inputs = arena_alloc(&c->b->graph->arena, (size_t)t->n_inputs * sizeof(soma_tensor *));
    *same = true;
    for (int i = 0; inputs && i < t->n_inputs; i++) {
        if (!(inputs[i] = twin_of(c, t->inputs[i], reader))) return NULL;
        *same = *same && inputs[i] == t->inputs[i];
    }
    return inputs;
}

/* What is read in place of t behind the peak; members of copied groups have their twins already. */
static soma_tensor *twin_of(copier *c, soma_tensor *t, int reader) {
    if (!differs(c, t, reader)) return t;
    if (c->twins[t->id]) return c->twins[t->id];
    bool same;
    soma_tensor **inputs = twin_inputs(c, t, reader, &same);
    return inputs ? make_twin(c, t, inputs) : NULL;
}

static soma_status copy_group(copier *c, int index) {
    build *b = c->b;
    const group from = b->groups[index];
    group *made = group_new(b, from.kind, b->graph->nodes[from.members[0]], from.dtype);
    if (!made) return SOMA_NO_MEMORY;
    group fresh = from;
    fresh.members = NULL;
    fresh.needs = fresh.users = NULL;
    fresh.n_members = fresh.capacity = fresh.n_needs = fresh.needs_capacity = fresh.n_users = fresh.users_capacity = 0;
    fresh.highest = -1;
    fresh.copy = true;
    fresh.origin = index;
    *made = fresh;
    for (int i = 0; i < from.n_members; i++) {
        soma_tensor *t = b->graph->nodes[from.members[i]];
        bool same;
        soma_tensor **inputs = twin_inputs(c, t, -1, &same), *twin = inputs ? make_twin(c, t, inputs) : NULL;
        if (!twin || !group_push_member(b, made, twin)) return SOMA_NO_MEMORY;
        if (t == from.root) made->root = twin;
    }
    return SOMA_OK;
}

/* Groups behind the peak read the copies. */
static soma_status redirect(copier *c, int index) {
    build *b = c->b;
    const group *g = &b->groups[index];
    for (int i = 0; i < g->n_members; i++) {
        soma_tensor *t = b->graph->nodes[g->members[i]];
        bool same;
        soma_tensor **inputs = twin_inputs(c, t, index, &same);
        if (!inputs) return SOMA_NO_MEMORY;
        if (!same) t->inputs = inputs;
    }
    return SOMA_OK;
}

/* ---- what is left ---- */

typedef struct marker {
    build *b;
    bool *needed;
    int64_t *stack;
    int depth;
} marker;

static void want(marker *m, const soma_tensor *t) {
    if (m->needed[t->id]) return;
    m->needed[t->id] = true;
    m->stack[m->depth++] = t->id;
}

static void follow(marker *m) {
    while (m->depth > 0) {
        const soma_tensor *t = m->b->graph->nodes[m->stack[--m->depth]];
        for (int i = 0; i < t->n_inputs; i++)
            want(m, t->inputs[i]);
    }
}

/* A group whose product or long sum nobody reads is one of maps; false when it has maps of two sizes. */
static bool without_root(build *b, group *g, const bool *needed) {
    const soma_tensor *first = NULL;
    for (int i = 0; i < g->n_members; i++) {
        const soma_tensor *t = b->graph->nodes[g->members[i]];
        if (!needed[t->id]) continue;
        if (!first) first = t;
        if (shape_size(t->rank, t->shape) != shape_size(first->rank, first->shape)) return false;
    }
    if (!first) return true;
    g->kind = GROUP_MAP;
    g->by_rows = false;
    g->root = NULL;
    g->rank = g->split = first->rank;
    memcpy(g->shape, first->shape, sizeof g->shape);
    g->size = g->row_size = shape_size(first->rank, first->shape);
    return true;
}

static void drop_members(group *g, const bool *needed) {
    int n = 0;
    g->highest = -1;
    for (int i = 0; i < g->n_members; i++) {
        const int64_t id = g->members[i];
        if (!needed[id]) continue;
        g->members[n++] = id;
        g->highest = id;
    }
    g->n_members = n;
    if (n == 0) g->gone = true;
}

/* Drops the nodes that no target needs, and counts the uses of the others. */
static soma_status prune(build *b) {
    const int64_t n = b->graph->n_nodes;
    marker m = {.b = b, .needed = arena_alloc(&b->arena, (size_t)n + 1)};
    m.stack = arena_alloc(&b->arena, (size_t)n * sizeof *m.stack + 1);
    if (!m.needed || !m.stack) return SOMA_NO_MEMORY;
    for (int i = 0; i < b->n_targets; i++)
        want(&m, b->targets[i]);
    follow(&m);
    for (int i = 0; i < b->n_groups; i++) {
        group *g = &b->groups[i];
        if (g->gone || (g->kind != GROUP_CONTRACT && g->kind != GROUP_REDUCE) || m.needed[g->root->id]) continue;
        if (without_root(b, g, m.needed)) continue;
        want(&m, g->root);
        follow(&m);
        i = -1; /* others may be needed now */
    }
    for (int i = 0; i < b->n_groups; i++)
        if (!b->groups[i].gone) drop_members(&b->groups[i], m.needed);
    for (int64_t id = 0; id < n; id++) {
        node_info *info = &b->infos[id];
        if (!m.needed[id]) info->role = ROLE_UNUSED;
        b->uses[id] = 0;
        info->stored = info->kept = info->alone = false;
        info->storage = info->pack = -1;
        info->width = 0;
        info->into = NULL;
        info->within = NULL;
        info->placed = NULL;
    }
    for (int64_t id = 0; id < n; id++) {
        const soma_tensor *t = b->graph->nodes[id];
        for (int i = 0; m.needed[id] && i < t->n_inputs; i++)
            b->uses[t->inputs[i]->id]++;
    }
    return SOMA_OK;
}

/* ---- who needs whom ---- */

typedef struct reader {
    build *b;
    int group;
    bool failed;
} reader;

static void add_need(void *user, const soma_tensor *source) {
    reader *r = user;
    const node_info *info = &r->b->infos[source->id];
    if (info->role != ROLE_MEMBER || info->group == r->group) return;
    if (!group_push_need(r->b, &r->b->groups[r->group], info->group)) r->failed = true;
}

static soma_status find_needs(build *b) {
    for (int i = 0; i < b->n_groups; i++) {
        group *g = &b->groups[i];
        g->needs = g->users = NULL;
        g->n_needs = g->needs_capacity = g->n_users = g->users_capacity = 0;
        g->level = 0;
        g->ordered = g->lifting = false;
    }
    for (int i = 0; i < b->n_groups; i++) {
        reader r = {.b = b, .group = i};
        const group *g = &b->groups[i];
        for (int k = 0; !g->gone && k < g->n_members; k++)
            node_sources(b, b->graph->nodes[g->members[k]], add_need, &r);
        if (r.failed) return SOMA_NO_MEMORY;
    }
    return SOMA_OK;
}

soma_status copies_make(build *b, const int *place, const copy_choice *choice) {
    copier c = {.b = b, .choice = choice, .n_old = b->graph->n_nodes};
    c.twins = arena_alloc(&b->arena, (size_t)c.n_old * sizeof(soma_tensor *) + 1);
    if (!c.twins || !make_room(b, c.n_old)) return SOMA_NO_MEMORY;
    const int n = b->n_groups;
    for (int i = 0; i < b->n_order; i++)
        if (choice->again[b->order[i]]) TRY(copy_group(&c, b->order[i]));
    for (int i = 0; i < n; i++)
        if (!b->groups[i].gone && place[i] > choice->peak) TRY(redirect(&c, i));
    TRY(prune(b));
    TRY(find_needs(b));
    return plan_find_stored(b) ? SOMA_OK : SOMA_NO_MEMORY;
}
