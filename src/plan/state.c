/* Third pass: which values are computed right into the variables they are assigned to.
 * Rests on the groups. A weight's update then happens where its gradient is finished, with no array in between; where
 * a reader of the old value could come too late, the new value is kept apart and copied when all are done. */
#include <stdlib.h>

#include "plan/passes.h"

/* ---- the plan's variables ---- */

static int compare_variables(const void *a, const void *b) {
    uintptr_t x = (uintptr_t)((const variable_use *)a)->variable, y = (uintptr_t)((const variable_use *)b)->variable;
    return x < y ? -1 : x > y;
}

variable_use *state_variable(const build *b, const soma_variable *variable) {
    variable_use wanted = {.variable = (soma_variable *)(uintptr_t)variable};
    return bsearch(&wanted, b->variables, (size_t)b->n_variables, sizeof wanted, compare_variables);
}

soma_status state_find_variables(build *b) {
    int64_t n = 0;
    for (int64_t id = 0; id < b->graph->n_nodes; id++)
        if (b->graph->nodes[id]->variable) n++;
    b->variables = arena_alloc(&b->arena, (size_t)n * sizeof *b->variables + 1);
    if (!b->variables) return SOMA_NO_MEMORY;
    n = 0;
    for (int64_t id = 0; id < b->graph->n_nodes; id++)
        if (b->graph->nodes[id]->variable) b->variables[n++].variable = b->graph->nodes[id]->variable;
    if (n > 0) qsort(b->variables, (size_t)n, sizeof *b->variables, compare_variables);
    b->n_variables = 0;
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || b->variables[i].variable != b->variables[i - 1].variable)
            b->variables[b->n_variables++] = b->variables[i];
    for (int64_t id = 0; id < b->graph->n_nodes; id++) {
        const soma_tensor *t = b->graph->nodes[id];
        if (t->op == &op_read && b->infos[id].role != ROLE_UNUSED) state_variable(b, t->variable)->read = t;
    }
    return SOMA_OK;
}

/* ---- who reads the old values ---- */

typedef struct reader {
    int group;
    struct reader *next;
} reader;

typedef struct readers {
    reader **of; /* by read's id: groups, each once, ascending */
    bool *shown; /* by id: the user looks at it after the run */
    bool *kept;  /* by id: copied to a variable at the end of the run */
} readers;

static const soma_tensor *source_of(const build *b, const soma_tensor *x) {
    while (b->infos[x->id].role == ROLE_VIEW)
        x = x->inputs[0];
    return x;
}

static bool add_reader(build *b, readers *r, const soma_tensor *x, int index) {
    x = source_of(b, x);
    if (b->infos[x->id].role == ROLE_INLINE && x->n_inputs > 0) x = source_of(b, x->inputs[0]);
    if (x->op != &op_read || (r->of[x->id] && r->of[x->id]->group == index)) return true;
    reader *made = arena_alloc(&b->arena, sizeof *made);
    if (!made) return false;
    *made = (reader){index, r->of[x->id]};
    r->of[x->id] = made;
    return true;
}

static bool find_readers(build *b, readers *r) {
    r->of = arena_alloc(&b->arena, (size_t)b->graph->n_nodes * sizeof *r->of + 1);
    r->shown = arena_alloc(&b->arena, (size_t)b->graph->n_nodes + 1);
    r->kept = arena_alloc(&b->arena, (size_t)b->graph->n_nodes + 1);
    if (!r->of || !r->shown || !r->kept) return false;
    for (int i = b->n_groups - 1; i >= 0; i--) {
        const group *g = &b->groups[i];
        for (int k = 0; !g->gone && k < g->n_members; k++) {
            const soma_tensor *t = b->graph->nodes[g->members[k]];
            for (int n = 0; n < t->n_inputs; n++)
                if (!add_reader(b, r, t->inputs[n], i)) return false;
        }
    }
    for (int64_t id = 0; id < b->graph->n_nodes; id++)
        if (b->infos[id].role == ROLE_STATE) r->kept[source_of(b, b->graph->nodes[id]->inputs[0])->id] = true;
    for (int i = 0; i < b->n_targets; i++)
        if (b->targets[i]->op != &op_assign) r->shown[source_of(b, b->targets[i])->id] = true;
    return true;
}

/* ---- may a value be computed in place? ---- */

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

/* Groups that read the old value and do not wait for the group that writes. */
static bool readers_first(build *b, const reader *list, int writer) {
    for (; list; list = list->next)
        if (list->group != writer && group_depends(b, list->group, writer)) return false;
    return true;
}

soma_status plan_state(build *b) {
    readers r;
    if (b->reference || b->n_variables == 0) return SOMA_OK;
    if (!find_readers(b, &r)) return SOMA_NO_MEMORY;
    for (int64_t id = 0; id < b->graph->n_nodes; id++) {
        const soma_tensor *t = b->graph->nodes[id];
        chain c;
        layout l;
        const soma_tensor *blocker;
        if (b->infos[id].role != ROLE_STATE) continue;
        if (!chain_find(b, t->inputs[0], &c) || !chain_layout(&c, &l, &blocker) || !layout_is_dense(&l)) continue;
        node_info *info = &b->infos[c.source->id];
        if (info->role != ROLE_MEMBER || info->into || r.shown[c.source->id]) continue;
        if (c.source->dtype != t->variable->dtype || shape_size(c.source->rank, c.source->shape) != t->variable->size)
            continue;
        const soma_tensor *read = state_variable(b, t->variable)->read;
        if (read && (r.shown[read->id] || r.kept[read->id] || !reads_in_step(b, &b->groups[info->group], read) ||
                     !readers_first(b, r.of[read->id], info->group)))
            continue;
        for (const reader *first = read ? r.of[read->id] : NULL; first; first = first->next)
            if (first->group != info->group && !group_push_need(b, &b->groups[info->group], first->group))
                return SOMA_NO_MEMORY;
        info->into = t->variable;
    }
    return SOMA_OK;
}
