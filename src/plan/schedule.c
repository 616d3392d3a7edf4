/* Fifth and last passes: the order of groups, and where threads have to meet.
 * Rests on the groups' needs. What a step does and how it is cut depends on its size alone; steps too small to share
 * stay on the first thread, with no meeting between two of them. */
#include "plan/passes.h"

typedef struct visit {
    int group, next;
} visit;

/* Depth first over needs, from the earliest node on; without recursion, for graphs may be long. */
static bool order_from(build *b, visit *stack, int root) {
    int depth = 0;
    if (b->groups[root].ordered) return true;
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
    return true;
}

soma_status plan_order(build *b) {
    int64_t n = b->graph->n_nodes;
    b->order = arena_alloc(&b->arena, (size_t)b->n_groups * sizeof *b->order + 1);
    visit *stack = arena_alloc(&b->arena, (size_t)(b->n_groups + 1) * sizeof *stack);
    if (!b->order || !stack) return SOMA_NO_MEMORY;
    b->n_order = 0;
    for (int64_t id = 0; id < n; id++) { /* groups by their last node */
        const node_info *info = &b->infos[id];
        if (info->role == ROLE_MEMBER && b->groups[info->group].highest == id) order_from(b, stack, info->group);
    }
    return SOMA_OK;
}

void plan_schedule(build *b) {
    soma_plan *plan = b->plan;
    plan->threads = 1;
    for (int i = 0; i < plan->n_steps; i++) {
        plan_step *s = &plan->steps[i];
        if (s->kind == STEP_KERNEL || s->kind == STEP_COPY) s->parallel = false;
        if (s->parallel) plan->threads = soma_threads(b->context);
        s->barrier = i > 0 && (s->parallel || plan->steps[i - 1].parallel);
    }
}
