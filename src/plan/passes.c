/* Makes a plan: the passes in their order, once more from fusing whenever lowering finds an array it cannot walk.
 * Rests on all passes. */
#include <string.h>

#include "base/context_internal.h"
#include "base/machine_memory.h"
#include "plan/calls.h"
#include "plan/passes.h"

static void mark_used(build *b) {
    for (int64_t id = 0; id < b->graph->n_nodes; id++)
        b->infos[id].role = ROLE_UNUSED;
    for (int i = 0; i < b->n_targets; i++)
        b->infos[b->targets[i]->id].role = ROLE_VIEW;
    for (int64_t id = b->graph->n_nodes - 1; id >= 0; id--) {
        const soma_tensor *t = b->graph->nodes[id];
        if (b->infos[id].role == ROLE_UNUSED) continue;
        for (int i = 0; i < t->n_inputs; i++) {
            b->infos[t->inputs[i]->id].role = ROLE_VIEW;
            b->uses[t->inputs[i]->id]++;
        }
    }
}

static soma_tensor *wrap(build *b, soma_tensor *t) {
    op_attributes attributes = {.rank = t->rank};
    memcpy(attributes.shape, t->shape, sizeof attributes.shape);
    return graph_node(b->graph, &op_reshape, &t, 1, t->dtype, t->rank, t->shape, &attributes);
}

/* Targets that are leaves, and other variables' old values: seen through a view, so that they are copied. */
static soma_status wrap_leaves(build *b) {
    for (int i = 0; i < b->n_targets; i++) {
        soma_tensor *t = b->targets[i], *value = t->op == &op_assign ? t->inputs[0] : t, *made;
        if (value == t ? t->op->kind != OP_LEAF : value->op != &op_read || value->variable == t->variable) continue;
        if (!(made = wrap(b, value))) return SOMA_NO_MEMORY;
        if (value != t) {
            soma_variable *variable = t->variable;
            made = graph_node(b->graph, t->op, &made, 1, t->dtype, t->rank, t->shape, t->attributes);
            if (!made) return SOMA_NO_MEMORY;
            made->variable = variable;
        }
        b->targets[i] = made;
    }
    return SOMA_OK;
}

/* ---- from groups to steps ---- */

static soma_status find_targets(build *b) {
    soma_plan *plan = b->plan;
    plan->n_targets = b->n_targets;
    plan->targets = arena_alloc(&plan->arena, (size_t)b->n_targets * sizeof *plan->targets + 1);
    if (!plan->targets) return SOMA_NO_MEMORY;
    for (int i = 0; i < b->n_targets; i++) {
        const soma_tensor *t = b->targets[i];
        plan->targets[i] = -1;
        if (b->infos[t->id].role == ROLE_STATE) continue;
        while (b->infos[t->id].role == ROLE_VIEW)
            t = t->inputs[0];
        plan->targets[i] = storage_of(b, t);
        if (plan->targets[i] < 0) return SOMA_NO_MEMORY;
        plan->storages[plan->targets[i]].output = true;
    }
    return SOMA_OK;
}

static void prepare(const soma_plan *plan, plan_step *s) {
    if (s->kind == STEP_MAP) program_prepare(&s->as.map, plan->storages);
    if (s->kind == STEP_CONTRACT) contract_prepare(s->as.contract);
    if (s->kind != STEP_REDUCE) return;
    program_prepare(&s->as.reduction->pre, NULL);
    s->as.reduction->pre.whole_result = true;
    program_prepare(&s->as.reduction->post, NULL);
}

/* The arena, then a scratch for each thread, then the copies of all but the first. */
static void measure(soma_plan *plan) {
    plan->scratch_bytes = 0;
    for (int i = 0; i < plan->n_steps; i++) {
        plan_step *s = &plan->steps[i];
        prepare(plan, s);
        size_t bytes = s->kind == STEP_MAP        ? program_scratch(&s->as.map)
                       : s->kind == STEP_CONTRACT ? s->as.contract->scratch_bytes
                       : s->kind == STEP_REDUCE   ? reduction_scratch(s->as.reduction)
                                                  : 0;
        if (bytes > plan->scratch_bytes) plan->scratch_bytes = bytes;
    }
    plan->scratch_bytes = (plan->scratch_bytes + 4 * PROGRAM_PAD + 63) & ~(size_t)63;
    const size_t threads = (size_t)plan->threads;
    plan->memory_bytes = plan->arena_bytes + plan->scratch_bytes * threads + plan->own_bytes * (threads - 1);
}

size_t plan_needs(const soma_plan *plan) {
    size_t bytes = plan->memory_bytes;
    for (int i = 0; i < plan->n_storages; i++)
        if (plan->storages[i].kind == STORAGE_VARIABLE) bytes += plan->storages[i].bytes;
    return bytes;
}

soma_status plan_lay_out(build *b) {
    soma_plan *plan = b->plan;
    arena_rewind(&plan->arena, b->mark);
    plan->storages = NULL;
    plan->steps = NULL;
    plan->n_storages = plan->n_steps = b->storages_capacity = b->steps_capacity = 0;
    plan->own_bytes = 0;
    b->blocker = NULL;
    b->too_large = b->again = false;
    TRY(plan_state(b));
    plan_log(b, "fuse");
    TRY(plan_layout(b));
    TRY(plan_place(b));
    plan_log(b, "layout");
    TRY(plan_order(b));
    TRY(plan_lower(b));
    TRY(find_targets(b));
    plan_schedule(b);
    TRY(plan_memory(b));
    TRY(plan_meetings(b));
    measure(plan);
    return SOMA_OK;
}

static soma_status passes(build *b) {
    size_t n = (size_t)b->graph->n_nodes;
    b->infos = arena_alloc(&b->arena, n * sizeof *b->infos + 1);
    b->uses = arena_alloc(&b->arena, n * sizeof *b->uses + 1);
    if (!b->infos || !b->uses) return SOMA_NO_MEMORY;
    mark_used(b);
    if (!b->reference) TRY(plan_join_maps(b));
    TRY(state_find_variables(b));
    plan_log(b, "simplify");
    b->mark = arena_get_mark(&b->plan->arena);
    for (;;) {
        TRY(plan_fuse(b));
        TRY(plan_bfloat(b));
        soma_status status = plan_lay_out(b);
        if (status == SOMA_OK) return plan_fit(b);
        if (b->too_large && b->members_max > 1) {
            b->members_max /= 2;
            continue;
        }
        if (!b->again)
            return error_set(b->context, status, "[plan] cannot lower %s", b->blocker ? b->blocker->op->name : "graph");
    }
}

static soma_status allocate(build *b) {
    soma_plan *plan = b->plan;
    const size_t others = (size_t)plan->threads - 1;
    plan->memory = mem_zalloc(b->context, plan->memory_bytes);
    plan->bases = arena_alloc(&plan->arena, ((size_t)plan->n_storages + 1) * sizeof *plan->bases);
    plan->outside = arena_alloc(&plan->arena, (size_t)plan->n_storages * sizeof *plan->outside + 1);
    plan->own_bases = arena_alloc(&plan->arena, others * (size_t)plan->n_storages * sizeof *plan->own_bases + 1);
    if (!plan->memory || !plan->bases || !plan->outside || !plan->own_bases) return SOMA_NO_MEMORY;
    plan_put_arrays(plan, plan->memory);
    for (int i = 0; i < plan->n_storages; i++) {
        const plan_storage *s = &plan->storages[i];
        if (s->kind == STORAGE_VARIABLE || s->kind == STORAGE_INPUT) plan->outside[plan->n_outside++] = i;
        if (s->kind == STORAGE_CONSTANT) plan->bases[i] = (void *)(intptr_t)s->data;
    }
    return SOMA_OK;
}

/* What the plan may need: by its own options, else by the context's, else all that there is. */
static void set_limit(build *b, size_t asked) {
    if (!asked) asked = soma_memory_limit(b->context);
    b->limit_given = asked > 0;
    b->limit = asked ? asked : machine_memory();
}

soma_plan *plan_build(soma_tensor *const *targets, int n, const soma_plan_options *options, bool use_cached) {
    soma_context *context = targets[0]->graph->context;
    soma_plan *plan = mem_zalloc(context, sizeof *plan);
    if (!plan) return NULL;
    build b = {.context = context,
               .plan = plan,
               .reference = options && options->reference,
               .use_cached = use_cached,
               .bfloat_from = options ? options->bfloat16_from : 0,
               .members_max = 48};
    set_limit(&b, options ? options->memory : 0);
    plan->context = context;
    arena_init(&plan->arena, context);
    arena_init(&b.arena, context);
    plan->graph = b.graph = soma_graph_create(context);
    plan->kernels = plan_kernels(context);
    soma_status status = !b.graph || !plan->kernels ? SOMA_NO_MEMORY : plan_simplify(&b, targets, n);
    if (status == SOMA_OK && !b.reference) status = plan_sums(&b);
    if (status == SOMA_OK) status = wrap_leaves(&b);
    if (status == SOMA_OK) status = passes(&b);
    if (status == SOMA_OK) status = allocate(&b);
    if (status == SOMA_OK && !use_cached) status = calls_prepare(plan); /* what is run once gains nothing */
    if (status == SOMA_OK) plan_log(&b, "memory");
    if (status == SOMA_OK) plan_log(&b, "schedule");
    arena_deinit(&b.arena);
    if (status == SOMA_OK) return plan;
    error_set(context, status, "[plan] failed");
    soma_plan_destroy(plan);
    return NULL;
}
