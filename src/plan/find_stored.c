/* Who must be stored: what another group, a target or a state wants of a group's members in memory, and what whoever
 * makes a value anew makes it of. Rests on the groups of fuse.c and on what keep.c found cheap. */
#include "plan/passes.h"

static void want_stored(build *b, const soma_tensor *t) {
    while (b->infos[t->id].role == ROLE_VIEW)
        t = t->inputs[0];
    b->infos[t->id].stored = true;
}

static bool reads_memory(const build *b, const soma_tensor *t) {
    const group *g = &b->groups[b->infos[t->id].group];
    return g->kind == GROUP_KERNEL || (g->kind == GROUP_CONTRACT && g->root == t);
}

/* A group reads x: of what is made anew there, what it is made of. */
static bool want_read(build *b, int g, const soma_tensor *x, bool within) {
    while (b->infos[x->id].role == ROLE_VIEW)
        x = x->inputs[0];
    node_info *info = &b->infos[x->id];
    if (info->role != ROLE_MEMBER || info->group == g) return true;
    if (!info->anew) {
        info->stored = true;
        info->kept = info->kept || within;
        return !within || group_push_need(b, &b->groups[g], info->group);
    }
    for (int i = 0; i < x->n_inputs; i++)
        if (!want_read(b, g, x->inputs[i], true)) return false;
    return true;
}

bool plan_find_stored(build *b) {
    for (int64_t id = 0; id < b->graph->n_nodes; id++) {
        const soma_tensor *t = b->graph->nodes[id];
        const node_info *info = &b->infos[id];
        if (info->role == ROLE_STATE) want_stored(b, t->inputs[0]);
        if (info->role == ROLE_INLINE)
            for (int i = 0; i < t->n_inputs; i++)
                want_stored(b, t->inputs[i]);
        if (info->role != ROLE_MEMBER) continue;
        if (info->bfloat) want_stored(b, t); /* a copy, that rounds as its original */
        for (int i = 0; i < t->n_inputs; i++) {
            if (reads_memory(b, t)) want_stored(b, t->inputs[i]);
            if (!want_read(b, info->group, t->inputs[i], false)) return false;
        }
    }
    for (int i = 0; i < b->n_targets; i++)
        if (b->infos[b->targets[i]->id].role != ROLE_STATE) want_stored(b, b->targets[i]);
    return true;
}
