/* Groups of nodes that become one step, and who needs whom.
 * Rests on passes.h. Every group has a level above those of all it needs, kept up as groups grow, so that most
 * questions about dependence are answered by comparing two numbers and the others by a short search. */
#include <string.h>

#include "plan/passes.h"

enum { SEARCH_EDGES = 400, SEARCH_DEPTH = 400 };

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
    const bool by_needs = g->n_needs <= needed->n_users; /* both say it: the shorter list, for the other may be long */
    const int n = by_needs ? g->n_needs : needed->n_users, *list = by_needs ? g->needs : needed->users;
    for (int i = 0; i < n; i++)
        if (list[i] == (by_needs ? need : index)) return true;
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

/* A walk from one group along its needs or its users, depth first, an edge at a time. */
typedef struct search {
    bool up;          /* along users */
    int depth, bound; /* groups beyond the level of where the other walk began are of no use */
    struct {
        int group, next;
    } path[SEARCH_DEPTH];
} search;

static void search_enter(build *b, search *s, int index) {
    *(s->up ? &b->groups[index].stamp_up : &b->groups[index].stamp_down) = b->stamp;
    s->path[s->depth].group = index;
    s->path[s->depth++].next = 0;
}

/* One edge further. A group that was met already, by this walk or by the other, is not entered again. True: by the
 * other one. */
static bool search_step(build *b, search *s) {
    const group *g = &b->groups[s->path[s->depth - 1].group];
    const int next = s->path[s->depth - 1].next++;
    if (next == (s->up ? g->n_users : g->n_needs)) {
        s->depth--;
        return false;
    }
    const int index = s->up ? g->users[next] : g->needs[next];
    const group *h = &b->groups[index];
    if (h->gone) return false; /* the group it melted into is among the needs and users, too */
    if ((s->up ? h->stamp_down : h->stamp_up) == b->stamp) return true;
    if ((s->up ? h->stamp_up : h->stamp_down) == b->stamp) return false;
    if (s->up ? h->level >= s->bound : h->level <= s->bound) return false;
    search_enter(b, s, index);
    return false;
}

/* Down from one and up from the other in turn, until one of the walks has seen all there is: one group may have tens of
 * thousands of users, or stand on all the others, but hardly ever both. Gives up with yes when both grow long. */
bool group_depends(build *b, int from, int to) {
    search down, up;
    if (b->groups[from].gone) return false; /* whoever needed it needs the group it melted into */
    if (from == to) return true;
    if (b->groups[from].level <= b->groups[to].level) return false;
    b->stamp++;
    down.up = false;
    up.up = true;
    down.depth = up.depth = 0;
    down.bound = b->groups[to].level;
    up.bound = b->groups[from].level;
    search_enter(b, &down, from);
    search_enter(b, &up, to);
    for (int i = 0; i < SEARCH_EDGES; i++) {
        if (down.depth == 0 || up.depth == 0) return false;
        if (down.depth == SEARCH_DEPTH || up.depth == SEARCH_DEPTH) return true;
        if (search_step(b, &down) || search_step(b, &up)) return true;
    }
    return true;
}
