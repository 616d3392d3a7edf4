/* Plans as the user has them: create, bind, run, look at outputs, destroy.
 * Rests on build.c for making and on run_*.c for steps. A run allocates nothing: all threads walk the same list. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arithmetic.h"
#include "base/context_internal.h"
#include "plan/calls.h"
#include "plan/passes.h"
#include "plan/shared_memory.h"

typedef struct assigned {
    const soma_variable *variable;
    int target;
} assigned;

static int compare_assigned(const void *a, const void *b) {
    const assigned *x = a, *y = b;
    const uintptr_t v = (uintptr_t)x->variable, w = (uintptr_t)y->variable;
    return v != w ? (v > w) - (v < w) : (x->target > y->target) - (x->target < y->target);
}

/* A variable gets one value; to name a target twice is no harm. */
static soma_status check_assigns(soma_tensor *const *targets, int n) {
    soma_context *context = targets[0]->graph->context;
    assigned *list = mem_alloc(context, (size_t)n * sizeof *list);
    if (!list) return SOMA_NO_MEMORY;
    int found = 0;
    for (int i = 0; i < n; i++)
        if (targets[i]->op == &op_assign) list[found++] = (assigned){targets[i]->variable, i};
    qsort(list, (size_t)found, sizeof *list, compare_assigned);
    soma_status status = SOMA_OK;
    for (int i = 1; i < found && status == SOMA_OK; i++)
        if (list[i].variable == list[i - 1].variable && targets[list[i].target] != targets[list[i - 1].target])
            status = error_set(context, SOMA_INVALID, "[plan] targets %d and %d both assign variable '%s'",
                               list[i - 1].target, list[i].target, list[i].variable->name);
    mem_free(context, list, (size_t)n * sizeof *list);
    return status;
}

soma_plan *soma_plan_create(soma_tensor *const *targets, int n, const soma_plan_options *options) {
    RETURN_NULL_IF(NULL, n < 1 || !targets, SOMA_INVALID, "[plan] no targets");
    for (int i = 0; i < n; i++) {
        if (!targets[i]) return NULL;
        RETURN_NULL_IF(targets[0]->graph->context, targets[i]->graph != targets[0]->graph, SOMA_INVALID,
                       "[plan] target %d belongs to another graph than target 0", i);
    }
    return check_assigns(targets, n) == SOMA_OK ? plan_build(targets, n, options, false) : NULL;
}

void soma_plan_destroy(soma_plan *plan) {
    if (!plan) return;
    soma_context *context = plan->context;
    soma_graph_destroy(plan->graph);
    rows_free(plan);
    mem_free(context, plan->memory, plan->memory_bytes);
    arena_deinit(&plan->arena);
    mem_free(context, plan, sizeof *plan);
}

soma_status soma_plan_bind(soma_plan *plan, const soma_tensor *input, const void *data) {
    if (!plan || !input) return SOMA_INVALID;
    if (plan->rows) rows_unbind(plan, input);
    for (int i = 0; i < plan->n_storages; i++)
        if (plan->storages[i].input == input) plan->bases[i] = (void *)(intptr_t)data;
    RETURN_IF(plan->context, input->op != &op_input, SOMA_INVALID, "[plan] only what soma_input made can be bound");
    return SOMA_OK; /* an input that the targets do not need is no error */
}

/* Storages of variables and inputs point to what is there now. */
static soma_status connect(const soma_plan *plan) {
    if (plan->shared) plan_put_arrays(plan, plan->shared->data);
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

void plan_run_step(const plan_step *s, const plan_runner *r) {
    const soma_plan *plan = r->plan;
    switch (s->kind) {
    case STEP_MAP:
        map_run(&s->as.map, r);
        break;
    case STEP_CONTRACT:
        contract_run(s->as.contract, r);
        break;
    case STEP_REDUCE:
        reduction_run(s->as.reduction, r);
        break;
    case STEP_PACK:
        pack_run(&s->as.pack, r);
        break;
    case STEP_KERNEL:
        kernel_run(&s->as.kernel, r);
        break;
    case STEP_COPY:
        call_copy(r, plan->bases[s->as.copy.to], plan->bases[s->as.copy.from],
                  plan->storages[s->as.copy.to].elements *
                      (int64_t)soma_dtype_size(plan->storages[s->as.copy.to].dtype));
        break;
    }
}

typedef struct run {
    const soma_plan *plan;
    soma_plan_time *times;
    double begin;
    atomic_int status;
} run;

static double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static char *scratch_of(const soma_plan *plan, int thread) {
    return (char *)plan->bases[plan->n_storages] + (size_t)thread * plan->scratch_bytes;
}

/* The plan with the bases of this thread, in `mine` when they are others than the first thread's. */
static const soma_plan *seen_by(const soma_plan *plan, int thread, soma_plan *mine) {
    if (thread == 0 || (plan->own_bytes == 0 && !plan->rows)) return plan;
    *mine = *plan;
    mine->bases = plan->own_bases + (size_t)(thread - 1) * (size_t)plan->n_storages;
    memcpy(mine->bases, plan->bases, (size_t)plan->n_storages * sizeof *plan->bases);
    char *own = scratch_of(plan, plan->threads) + (size_t)(thread - 1) * plan->own_bytes;
    for (int i = 0; i < plan->n_storages && plan->own_bytes; i++)
        if (plan->storages[i].own) mine->bases[i] = own + plan->storages[i].own_offset;
    rows_connect(plan, thread, mine->bases);
    return mine;
}

static void run_step(const plan_step *s, const plan_runner *r) {
    if (s->calls)
        calls_run(s->calls, s->n_calls, r->plan->bases);
    else
        plan_run_step(s, r);
}

/* One step, with the clock read around it when somebody wants to know. */
static void run_timed(const run *all, int thread, int i, const plan_runner *runner, double arrive) {
    const double start = seconds_now();
    run_step(&runner->plan->steps[i], runner);
    all->times[(size_t)i * (size_t)all->plan->threads + (size_t)thread] =
        (soma_plan_time){arrive - all->begin, start - all->begin, seconds_now() - all->begin};
}

static void run_steps(run *all, int thread, int threads) {
    soma_plan mine;
    const soma_plan *plan = seen_by(all->plan, thread, &mine);
    plan_runner shared = {.plan = plan, .thread = thread, .threads = threads, .status = &all->status};
    shared.scratch = scratch_of(all->plan, thread);
    plan_runner alone = shared; /* does the whole step */
    alone.threads = 1;
    alone.thread = 0;
    team *crew = threads > 1 ? context_team(plan->context) : NULL;
    if (plan->rows && rows_gather(plan, thread, threads) && crew) team_barrier(crew, thread);
    if (plan->calls && !all->times) {
        calls_run(plan->calls, plan->n_calls, plan->bases);
        return;
    }
    for (int i = 0; i < plan->n_steps; i++) {
        const plan_step *s = &plan->steps[i];
        const double arrive = all->times ? seconds_now() : 0;
        if (crew && s->barrier) team_barrier(crew, thread);
        if (!s->parallel && thread != 0) continue;
        if (atomic_load_explicit(&all->status, memory_order_relaxed) != SOMA_OK)
            continue; /* what follows would be wrong; only thread 0 fails, and all meet after a step that may */
        const plan_runner *runner = s->parallel && !s->everywhere ? &shared : &alone;
        if (all->times)
            run_timed(all, thread, i, runner, arrive);
        else
            run_step(s, runner);
    }
}

static void run_thread(void *argument, int thread, int threads) {
    const uint64_t before = arithmetic_begin();
    run_steps(argument, thread, threads);
    arithmetic_end(before);
}

soma_status plan_run(const soma_plan *plan, soma_plan_time *times) {
    TRY(connect(plan));
    run all = {.plan = plan, .times = times, .begin = times ? seconds_now() : 0, .status = SOMA_OK};
    if (plan->threads > 1) {
        team *crew = context_team(plan->context);
        if (!crew) return SOMA_NO_MEMORY;
        team_run(crew, run_thread, &all);
    } else
        run_thread(&all, 0, 1);
    return (soma_status)atomic_load(&all.status);
}

soma_status soma_plan_run(soma_plan *plan) {
    return plan ? plan_run(plan, NULL) : SOMA_INVALID;
}

int soma_plan_threads(const soma_plan *plan) {
    return plan ? plan->threads : 0;
}

soma_status soma_plan_run_timed(const soma_plan *plan, soma_plan_time *times) {
    if (!plan || !times) return SOMA_INVALID;
    memset(times, 0, (size_t)plan->n_steps * (size_t)plan->threads * sizeof *times);
    return plan_run(plan, times);
}

const void *soma_plan_output(const soma_plan *plan, int i) {
    if (!plan || i < 0 || i >= plan->n_targets || plan->targets[i] < 0) return NULL;
    return plan->bases[plan->targets[i]];
}
