/* Groups of nodes that become one step, and who needs whom.
 * Rests on passes.h. Every group has a level above those of all it needs, kept up as groups grow, so that most
 * questions about dependence are answered by comparing two numbers and the others by a short search. */
#include <string.h>

#include "plan/passes.h"

enum { SEARCH_MAX = 2000 };

group *group_new(build *b, group_kind kind, const soma_tensor *t, soma_dtype dtype) {
    if (b->n_groups == b->groups_capacity) {
        int capacity = b->groups_capacity ? 2 * b->groups_capacity : 64;
        group *groups = arena_alloc(&b->arena, (size_t)capacity * sizeof *groups);
        int *lifted = arena_alloc(&b->arena, (size_t)capacity * sizeof *lifted);
        if (!groups || !lifted) return NULL;
        if (b->n_groups) memcpy(groups, b->groups, (size_t)b->n_groups * sizeof *groups);
        b->groups = groups;
        b->lifted = lifted;
        b->groups_capacity = capacity;
    }
    group *g = &b->groups[b->n_groups++];
    *g = (group){.kind = kind, .dtype = dtype, .rank = t->rank, .split = t->rank, .highest = -1};
    memcpy(g->shape, t->shape, sizeof g->shape);
    g->size = g->row_size = shape_size(t->rank, t->shape);
    return g;
}

static bool push(build *b, int **list, int *n, int *capacity, int value) {
    if (*n == *capacity) {
        int more = *capacity ? 2 * *capacity : 8;
        int *grown = arena_alloc(&b->arena, (size_t)more * sizeof *grown);
        if (!grown) return false;
        if (*n) memcpy(grown, *list, (size_t)*n * sizeof *grown);
        *list = grown;
        *capacity = more;
    }
    (*list)[(*n)++] = value;
    return true;
}

/* The group's level has risen: whoever needs it stands higher still. */
static void lift(build *b, int first) {
    int n = 0;
    b->lifted[n++] = first;
    while (n > 0) {
        group *g = &b->groups[b->lifted[--n]];
        g->lifting = false;
        for (int i = 0; i < g->n_users; i++) {
            group *user = &b->groups[g->users[i]];
            if (user->gone || user->level > g->level) continue;
            user->level = g->level + 1;
            if (!user->lifting) b->lifted[n++] = g->users[i];
            user->lifting = true;
        }
    }
}

bool group_push_need(build *b, group *g, int need) {
    int index = (int)(g - b->groups);
    group *needed = &b->groups[need];
    for (int i = 0; i < g->n_needs; i++)
        if (g->needs[i] == need) return true;
    if (!push(b, &g->needs, &g->n_needs, &g->needs_capacity, need) ||
        !push(b, &needed->users, &needed->n_users, &needed->users_capacity, index))
        return false;
    if (g->level > needed->level) return true;
    g->level = needed->level + 1;
    lift(b, index);
    return true;
}

bool group_push_member(build *b, group *g, const soma_tensor *t) {
    if (g->n_members == g->capacity) {
        int capacity = g->capacity ? 2 * g->capacity : 8;
        int64_t *members = arena_alloc(&b->arena, (size_t)capacity * sizeof *members);
        if (!members) return false;
        if (g->n_members) memcpy(members, g->members, (size_t)g->n_members * sizeof *members);
        g->members = members;
        g->capacity = capacity;
    }
    int i = g->n_members++; /* ascending: ids mostly come in order */
    for (; i > 0 && g->members[i - 1] > t->id; i--)
        g->members[i] = g->members[i - 1];
    g->members[i] = t->id;
    if (t->id > g->highest) g->highest = t->id;
    b->infos[t->id].group = (int)(g - b->groups);
    b->infos[t->id].role = ROLE_MEMBER;
    return true;
}

bool group_absorb(build *b, int into, int from) {
    group *g = &b->groups[into], *h = &b->groups[from];
    h->gone = true;
    for (int i = 0; i < h->n_members; i++)
        if (!group_push_member(b, g, b->graph->nodes[h->members[i]])) return false;
    for (int i = 0; i < h->n_needs; i++)
        if (h->needs[i] != into && !b->groups[h->needs[i]].gone && !group_push_need(b, g, h->needs[i])) return false;
    for (int i = 0; i < h->n_users; i++)
        if (h->users[i] != into && !b->groups[h->users[i]].gone && !group_push_need(b, &b->groups[h->users[i]], into))
            return false;
    return true;
}

/* Does `from` need `to`, over any number of steps? Gives up with yes when the search grows long. */
static bool search(build *b, int from, int to, int *budget) {
    group *g = &b->groups[from];
    if (g->gone) return false; /* whoever needed it needs the group it melted into */
    if (from == to) return true;
    if (g->stamp == b->stamp || g->level <= b->groups[to].level) return false;
    g->stamp = b->stamp;
    if (--*budget < 0) return true;
    for (int i = 0; i < g->n_needs; i++)
        if (search(b, g->needs[i], to, budget)) return true;
    return false;
}

bool group_depends(build *b, int from, int to) {
    int budget = SEARCH_MAX;
    b->stamp++;
    return search(b, from, to, &budget);
}
