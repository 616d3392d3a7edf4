/* The order of groups. Rests on the groups' needs.
 * First as the graph has them, by their last node. A group that ends more bytes than it makes then comes as soon as it
 * can: the gradient of a weight, which goes right into the weight, need not wait for the last layer's while what it is
 * made of stays in memory. What is computed again comes as late as it can. */
#include <stdlib.h>

#include "plan/passes.h"

enum {
    WORTHWHILE = 512 << 10, /* bytes that a group must end to be moved, unless memory is short: less is in a cache */
    TINY = 4 << 10          /* bytes that a group may make and still be moved: rates and other numbers */
};

typedef struct visit {
    int group, next;
} visit;

/* Depth first over needs, without recursion, for graphs may be long. */
static void order_from(build *b, visit *stack, int root) {
    int depth = 0;
    if (b->groups[root].ordered) return;
    stack[depth++] = (visit){root, 0};
    b->groups[root].ordered = true;
    while (depth > 0) {
        visit *top = &stack[depth - 1];
        const group *g = &b->groups[top->group];
        if (top->next == g->n_needs) {
            b->order[b->n_order++] = top->group;
            depth--;
            continue;
        }
        int need = g->needs[top->next++];
        if (b->groups[need].gone || b->groups[need].ordered) continue;
        b->groups[need].ordered = true;
        stack[depth++] = (visit){need, 0};
    }
}

/* ---- what comes sooner ---- */

typedef struct turn {
    int group, place; /* in the order of the graph */
    int key;          /* the place of the group behind which it comes */
    double makes, ends;
} turn;

typedef struct census {
    const build *b;
    turn *turns;      /* by group */
    int *last_reader; /* by node id, -1 */
    int group;
} census;

static void read_last(void *user, const soma_tensor *x) {
    census *c = user;
    if (c->b->infos[x->id].role != ROLE_MEMBER) return;
    int *last = &c->last_reader[x->id];
    if (*last < 0 || c->turns[*last].place < c->turns[c->group].place) *last = c->group;
}

/* Bytes that each group makes, and those that are not needed any more when it is done; the order is the graph's. */
static void count_bytes(build *b, census *c) {
    for (int64_t id = 0; id < b->graph->n_nodes; id++)
        c->last_reader[id] = -1;
    for (int i = 0; i < b->n_order; i++) {
        const group *g = &b->groups[c->group = b->order[i]];
        for (int k = 0; k < g->n_members; k++)
            node_sources(b, b->graph->nodes[g->members[k]], read_last, c);
    }
    for (int64_t id = 0; id < b->graph->n_nodes; id++) {
        const double bytes = node_bytes(b, b->graph->nodes[id]);
        if (bytes == 0) continue;
        c->turns[b->infos[id].group].makes += bytes;
        if (c->last_reader[id] >= 0) c->turns[c->last_reader[id]].ends += bytes;
    }
}

static int compare_turns(const void *a, const void *b) {
    const turn *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* Gives every group the place behind which it may come; false when none is worth moving. */
static bool find_keys(const build *b, turn *turns) {
    bool any = false;
    for (int i = 0; i < b->n_order; i++) {
        const group *g = &b->groups[b->order[i]];
        turn *t = &turns[b->order[i]];
        int ready = 0;
        for (int k = 0; k < g->n_needs; k++)
            if (!b->groups[g->needs[k]].gone && turns[g->needs[k]].key > ready) ready = turns[g->needs[k]].key;
        const bool frees = t->ends - t->makes > (b->tight ? 0 : WORTHWHILE);
        any = any || (frees && ready < t->place - 1);
        t->key = g->copy ? 0 : frees || t->makes <= TINY ? ready : t->place;
    }
    return any;
}

soma_status plan_order(build *b) {
    int64_t n = b->graph->n_nodes;
    const size_t groups = (size_t)b->n_groups;
    b->order = arena_alloc(&b->arena, groups * sizeof *b->order + 1);
    visit *stack = arena_alloc(&b->arena, (groups + 1) * sizeof *stack);
    census c = {.b = b};
    c.turns = arena_alloc(&b->arena, groups * sizeof *c.turns + 1);
    c.last_reader = arena_alloc(&b->arena, (size_t)n * sizeof *c.last_reader + 1);
    if (!b->order || !stack || !c.turns || !c.last_reader) return SOMA_NO_MEMORY;
    b->n_order = 0;
    for (int64_t id = 0; id < n; id++) {
        const node_info *info = &b->infos[id];
        if (info->role != ROLE_MEMBER || b->groups[info->group].highest != id) continue;
        if (!b->groups[info->group].copy) order_from(b, stack, info->group);
    }
    for (int i = 0; i < b->n_order; i++)
        c.turns[b->order[i]] = (turn){.group = b->order[i], .place = i};
    count_bytes(b, &c);
    if (!find_keys(b, c.turns)) return SOMA_OK;
    turn *sorted = arena_alloc(&b->arena, groups * sizeof *sorted + 1);
    if (!sorted) return SOMA_NO_MEMORY;
    const int count = b->n_order;
    for (int i = 0; i < count; i++) {
        sorted[i] = c.turns[b->order[i]];
        b->groups[b->order[i]].ordered = false;
    }
    qsort(sorted, (size_t)count, sizeof *sorted, compare_turns);
    b->n_order = 0;
    for (int i = 0; i < count; i++)
        if (!b->groups[sorted[i].group].copy) order_from(b, stack, sorted[i].group);
    return SOMA_OK;
}
