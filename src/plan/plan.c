/* Plans as the user has them: create, bind, run, look at outputs, destroy.
 * Rests on build.c for making and on run_*.c for steps. A run allocates nothing: all threads walk the same list. */
#include <string.h>

#include "base/context_internal.h"
#include "plan/passes.h"

soma_plan *soma_plan_create(soma_tensor *const *targets, int n, const soma_plan_options *options) {
    RETURN_NULL_IF(NULL, n < 1 || !targets, SOMA_INVALID, "[plan] no targets");
    for (int i = 0; i < n; i++) {
        if (!targets[i]) return NULL;
        RETURN_NULL_IF(targets[0]->graph->context, targets[i]->graph != targets[0]->graph, SOMA_INVALID,
                       "[plan] target %d belongs to another graph than target 0", i);
        for (int k = 0; targets[i]->op == &op_assign && k < i; k++)
            RETURN_NULL_IF(targets[0]->graph->context,
                           targets[k]->op == &op_assign && targets[k]->variable == targets[i]->variable &&
                               targets[k] != targets[i],
                           SOMA_INVALID, "[plan] targets %d and %d both assign variable '%s'", k, i,
                           targets[i]->variable->name);
    }
    return plan_build(targets, n, options && options->reference, false);
}

void soma_plan_destroy(soma_plan *plan) {
    if (!plan) return;
    soma_context *context = plan->context;
    soma_graph_destroy(plan->graph);
    mem_free(context, plan->memory, plan->memory_bytes);
    arena_deinit(&plan->arena);
    mem_free(context, plan, sizeof *plan);
}

soma_status soma_plan_bind(soma_plan *plan, const soma_tensor *input, const void *data) {
    if (!plan || !input) return SOMA_INVALID;
    for (int i = 0; i < plan->n_storages; i++)
        if (plan->storages[i].input == input) plan->bases[i] = (void *)(intptr_t)data;
    RETURN_IF(plan->context, input->op != &op_input, SOMA_INVALID, "[plan] only what soma_input made can be bound");
    return SOMA_OK; /* an input that the targets do not need is no error */
}

/* Storages of variables and inputs point to what is there now. */
static soma_status connect(soma_plan *plan) {
    for (int k = 0; k < plan->n_outside; k++) {
        int i = plan->outside[k];
        const plan_storage *s = &plan->storages[i];
        if (s->kind == STORAGE_VARIABLE) {
            if (s->variable->width != s->width) TRY(variable_set_width(s->variable, s->width));
            plan->bases[i] = s->variable->data;
        }
        RETURN_IF(plan->context, !plan->bases[i] && s->elements > 0, SOMA_INVALID,
                  "[plan] input '%s' has no data: bind it first", s->name ? s->name : "unnamed");
    }
    return SOMA_OK;
}

static void run_step(const plan_step *s, const plan_runner *r) {
    const soma_plan *plan = r->plan;
    switch (s->kind) {
    case STEP_MAP:
        map_run(&s->as.map, r);
        break;
    case STEP_CONTRACT:
        contract_run(&s->as.contract, r);
        break;
    case STEP_REDUCE:
        reduction_run(&s->as.reduction, r);
        break;
    case STEP_PACK:
        pack_run(&s->as.pack, r);
        break;
    case STEP_KERNEL:
        kernel_run(&s->as.kernel, r);
        break;
    case STEP_COPY:
        memcpy(plan->bases[s->as.copy.to], plan->bases[s->as.copy.from],
               (size_t)plan->storages[s->as.copy.to].elements * soma_dtype_size(plan->storages[s->as.copy.to].dtype));
        break;
    }
}

typedef struct run {
    const soma_plan *plan;
    soma_status status;
} run;

static void run_thread(void *argument, int thread, int threads) {
    run *all = argument;
    const soma_plan *plan = all->plan;
    plan_runner shared = {.plan = plan, .thread = thread, .threads = threads, .status = &all->status};
    shared.scratch = plan->scratch + (size_t)thread * plan->scratch_bytes;
    plan_runner alone = shared;
    alone.thread = 0;
    alone.threads = 1;
    team *crew = threads > 1 ? context_team(plan->context) : NULL;
    for (int i = 0; i < plan->n_steps; i++) {
        const plan_step *s = &plan->steps[i];
        if (crew && s->barrier) team_barrier(crew, thread);
        if (!s->parallel && thread != 0) continue;
        if (all->status != SOMA_OK) continue; /* what follows would be wrong; only thread 0 fails, before a barrier */
        run_step(s, s->parallel ? &shared : &alone);
    }
}

soma_status soma_plan_run(soma_plan *plan) {
    if (!plan) return SOMA_INVALID;
    TRY(connect(plan));
    run all = {.plan = plan, .status = SOMA_OK};
    if (plan->threads > 1) {
        team *crew = context_team(plan->context);
        if (!crew) return SOMA_NO_MEMORY;
        team_run(crew, run_thread, &all);
    } else
        run_thread(&all, 0, 1);
    return all.status;
}

const void *soma_plan_output(const soma_plan *plan, int i) {
    if (!plan || i < 0 || i >= plan->n_targets || plan->targets[i] < 0) return NULL;
    return plan->bases[plan->targets[i]];
}
