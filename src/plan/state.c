/* Third pass: which values are computed right into the variables they are assigned to.
 * Rests on the groups. A weight's update then happens where its gradient is finished, with no array in between; where
 * a reader of the old value could come too late, the new value is kept apart and copied when all are done. */
#include "plan/passes.h"

/* Reads of the variable inside the group that computes its new value must be of the very element that is written. */
static bool reads_in_step(build *b, const group *g, const soma_tensor *read) {
    for (int i = 0; i < g->n_members; i++) {
        const soma_tensor *t = b->graph->nodes[g->members[i]];
        for (int k = 0; k < t->n_inputs; k++) {
            chain c;
            layout l;
            const soma_tensor *blocker;
            if (!chain_find(b, t->inputs[k], &c)) return false;
            if (c.source != read) continue;
            if (t->op->kind == OP_VIEW) return false; /* moves elements */
            if (g->kind == GROUP_KERNEL && c.n == 0 && t->op->kind == OP_MAP) continue;
            if (g->kind == GROUP_KERNEL || (t == g->root && g->kind == GROUP_CONTRACT)) return false;
            if (!chain_layout(&c, &l, &blocker) || !layout_is_dense(&l) || b->infos[t->id].per_row) return false;
            if (g->kind == GROUP_REDUCE && !group_after(g, t)) return false;
        }
    }
    return true;
}

static bool is_target(const build *b, const soma_tensor *t) {
    for (int i = 0; i < b->n_targets; i++) {
        const soma_tensor *x = b->targets[i];
        if (x->op == &op_assign) continue;
        while (b->infos[x->id].role == ROLE_VIEW)
            x = x->inputs[0];
        if (x == t) return true;
    }
    return false;
}

/* Groups that read the old value come first. False when one of them waits for the group that writes. */
static bool readers_first(build *b, const soma_tensor *read, int writer, bool commit) {
    for (int i = 0; i < b->n_groups; i++) {
        const group *g = &b->groups[i];
        if (g->gone || i == writer) continue;
        bool reads = false;
        for (int k = 0; !reads && k < g->n_members; k++) {
            const soma_tensor *t = b->graph->nodes[g->members[k]];
            for (int n = 0; !reads && n < t->n_inputs; n++) {
                const soma_tensor *x = t->inputs[n];
                while (b->infos[x->id].role == ROLE_VIEW)
                    x = x->inputs[0];
                if (b->infos[x->id].role == ROLE_INLINE && x->n_inputs > 0) x = x->inputs[0];
                reads = x == read;
            }
        }
        if (!reads) continue;
        if (commit ? !group_push_need(b, &b->groups[writer], i) : group_depends(b, i, writer)) return false;
    }
    return true;
}

static const soma_tensor *find_read(const build *b, const soma_variable *variable) {
    for (int64_t id = 0; id < b->graph->n_nodes; id++)
        if (b->infos[id].role == ROLE_LEAF && b->graph->nodes[id]->variable == variable) return b->graph->nodes[id];
    return NULL;
}

static bool view_reads(const build *b, const soma_tensor *read) {
    for (int64_t id = 0; read && id < b->graph->n_nodes; id++) {
        const soma_tensor *t = b->graph->nodes[id];
        if (b->infos[id].role != ROLE_STATE) continue;
        const soma_tensor *x = t->inputs[0];
        while (b->infos[x->id].role == ROLE_VIEW)
            x = x->inputs[0];
        if (x == read) return true; /* copied to another variable at the end: too late for in place */
    }
    return false;
}

soma_status plan_state(build *b) {
    for (int64_t id = 0; id < b->graph->n_nodes; id++) {
        const soma_tensor *t = b->graph->nodes[id];
        chain c;
        layout l;
        const soma_tensor *blocker;
        if (b->infos[id].role != ROLE_STATE || b->reference) continue;
        if (!chain_find(b, t->inputs[0], &c) || !chain_layout(&c, &l, &blocker) || !layout_is_dense(&l)) continue;
        node_info *info = &b->infos[c.source->id];
        if (info->role != ROLE_MEMBER || info->into || is_target(b, c.source)) continue;
        if (c.source->dtype != t->variable->dtype || shape_size(c.source->rank, c.source->shape) != t->variable->size)
            continue;
        const soma_tensor *read = find_read(b, t->variable);
        if (read && (!reads_in_step(b, &b->groups[info->group], read) || view_reads(b, read) || is_target(b, read) ||
                     !readers_first(b, read, info->group, false)))
            continue;
        if (read && !readers_first(b, read, info->group, true)) return SOMA_NO_MEMORY;
        info->into = t->variable;
    }
    return SOMA_OK;
}
