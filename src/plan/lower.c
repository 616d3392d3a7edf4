/* From groups to steps: storages, the operands of reductions and kernels, copies to variables.
 * Rests on lower_program.c for tile programs, on lower_contract.c for contractions. When an array cannot be walked by
 * strides, b->blocker names the node that must be computed into memory, and the build starts over from fusing. */
#include <string.h>

#include "plan/passes.h"
#include "plan/run_move.h"

enum { SMALL_WORK = 24000 /* flops and bytes below which a step stays on one thread */ };

/* ---- steps ---- */

plan_step *step_add(build *b, step_kind kind) {
    soma_plan *plan = b->plan;
    if (plan->n_steps == b->steps_capacity) {
        int capacity = b->steps_capacity ? 2 * b->steps_capacity : 32;
        const size_t size = sizeof *plan->steps;
        plan_step *steps = arena_grow(&plan->arena, plan->steps, (size_t)plan->n_steps * size, (size_t)capacity * size);
        if (!steps) return NULL;
        plan->steps = steps;
        b->steps_capacity = capacity;
    }
    plan_step *s = &plan->steps[plan->n_steps++];
    memset(s, 0, sizeof *s);
    s->kind = kind;
    return s;
}

static double storage_bytes(const build *b, int i) {
    return (double)b->plan->storages[i].bytes;
}

void step_count(const build *b, plan_step *s, const tile_program *p) {
    for (int i = 0; i < p->n_instructions; i++) {
        const tile_instruction *in = &p->instructions[i];
        double n = in->result == ACCESS_FULL  ? (double)(p->space.rows * p->space.columns)
                   : in->result == ACCESS_ROW ? (double)p->space.rows
                                              : 1;
        if (in->kind == INSTRUCTION_MAP) s->flops += n * (in->n_arguments == 3 && in->code != CPU_WHERE ? 2 : 1);
        if (in->kind == INSTRUCTION_REDUCE) s->flops += (double)(p->space.rows * p->space.columns);
        if ((in->kind == INSTRUCTION_LOAD || in->kind == INSTRUCTION_STORE) && p->accesses[in->access].storage >= 0) {
            const tile_access *a = &p->accesses[in->access];
            double size = (double)soma_dtype_size(a->dtype), all = storage_bytes(b, a->storage);
            s->bytes += all < n * size ? all : n * size;
        }
    }
}

void step_set_parallel(plan_step *s) {
    s->parallel = s->flops + s->bytes > SMALL_WORK;
}

/* "relu_grad..." names are the ops' own: the members' names in order. */
static const char *group_text(build *b, const group *g) {
    text words;
    text_init(&words, b->context);
    char shape[SHAPE_TEXT];
    for (int i = 0; i < g->n_members; i++)
        text_append(&words, b->graph->nodes[g->members[i]]->op->name), text_append(&words, " ");
    text_append(&words, shape_text(shape, g->rank, g->shape));
    char *result = arena_strdup(&b->plan->arena, words.data ? words.data : "");
    text_deinit(&words);
    return result;
}

/* A copy whose elements are there already. */
static bool is_done(const build *b, const group *g) {
    const soma_tensor *t = b->graph->nodes[g->members[0]];
    return g->sealed && g->n_members == 1 && t->op->kind == OP_VIEW && placed_input(b, t, 0);
}

static soma_status lower_map(build *b, int index) {
    tile_program p;
    if (is_done(b, &b->groups[index])) return SOMA_OK;
    TRY(lower_program(b, index, PART_WHOLE, NULL, NULL, NULL, &p));
    if (p.n_stores == 0) return SOMA_OK;
    plan_step *s = step_add(b, STEP_MAP);
    if (!s) return SOMA_NO_MEMORY;
    s->as.map = p;
    step_count(b, s, &p);
    step_set_parallel(s);
    return SOMA_OK;
}

static soma_status operand(build *b, const soma_tensor *t, chain *c, layout *l) {
    const soma_tensor *blocker = t;
    if (chain_find(b, t, c) && chain_layout(c, l, &blocker)) return SOMA_OK;
    b->blocker = blocker;
    return SOMA_UNSUPPORTED;
}

/* ---- reductions ---- */

enum {
    REDUCE_CHUNK_ELEMENTS = 65536,
    REDUCE_UNITS = 64,
    REDUCE_UNIT_ELEMENTS = 16384, /* worth a unit */
    REDUCE_UNIT_COLUMNS = 128,    /* the least of a unit, a multiple of every panel's width */
    REDUCE_PIECE = 1024 /* of a long row: the order of its sum */,
    REDUCE_BLOCK = 1024 /* columns: whole rows lie without gaps */
};

/* Sums of columns that need no chunks: columns are shared out, so that a thread sums those that it has made itself. */
static void share_columns(reduction *r) {
    const int64_t units = minimum(r->outer * r->reduced * r->inner / REDUCE_UNIT_ELEMENTS, REDUCE_UNITS);
    if (units <= r->outer || r->inner <= REDUCE_UNIT_COLUMNS) return;
    const int64_t each = (r->inner * r->outer + units - 1) / units;
    r->block = minimum(r->block, (each + REDUCE_UNIT_COLUMNS - 1) / REDUCE_UNIT_COLUMNS * REDUCE_UNIT_COLUMNS);
}

static soma_status lower_reduction(build *b, int index) {
    const group *g = &b->groups[index];
    reduction *r = arena_alloc(&b->plan->arena, sizeof *r);
    if (!r) return SOMA_NO_MEMORY;
    r->code = (cpu_reduce)g->root->op->code;
    r->partial = -1;
    r->outer = r->reduced = r->inner = 1;
    bool seen = false;
    for (int i = 0; i < g->rank; i++) {
        bool reduced = g->root->attributes->axes >> i & 1 && g->shape[i] != 1;
        seen = seen || reduced;
        *(reduced ? &r->reduced : seen ? &r->inner : &r->outer) *= g->shape[i];
    }
    TRY(lower_program(b, index, PART_PRE, NULL, g->root->inputs[0], &r->pre_result, &r->pre));
    TRY(lower_program(b, index, PART_POST, g->root, NULL, NULL, &r->post));
    for (int i = 0; i < r->pre.n_accesses; i++)
        if (r->pre.accesses[i].width) r->together = r->pre.accesses[i].matrix_rows;
    r->block = minimum(r->inner, REDUCE_BLOCK);
    if (r->inner == 1) r->pre.block = REDUCE_PIECE;
    if (r->pre.block < r->block) r->pre.block = vector_pad(r->block);
    if (r->post.block < r->block) r->post.block = vector_pad(r->block);
    r->chunk = r->reduced;
    r->chunks = 1;
    int64_t units = r->outer * ((r->inner + r->block - 1) / r->block);
    if (units < REDUCE_UNITS && r->reduced * r->block > 2 * REDUCE_CHUNK_ELEMENTS) {
        r->chunk = REDUCE_CHUNK_ELEMENTS / r->block;
        if (r->inner == 1) r->chunk = (r->chunk + r->pre.block - 1) / r->pre.block * r->pre.block;
        r->chunks = (r->reduced + r->chunk - 1) / r->chunk;
        plan_storage partial = {.kind = STORAGE_ARENA, .dtype = g->dtype, .elements = r->chunks * r->outer * r->inner};
        r->partial = storage_add(b, &partial);
        if (r->partial < 0) return SOMA_NO_MEMORY;
    } else {
        share_columns(r);
    }
    plan_step *s = step_add(b, STEP_REDUCE);
    if (!s) return SOMA_NO_MEMORY;
    s->as.reduction = r;
    s->flops = (double)(r->outer * r->reduced * r->inner);
    step_count(b, s, &r->pre);
    step_count(b, s, &r->post);
    step_set_parallel(s);
    s->barrier_inside = s->parallel && r->chunks > 1;
    return SOMA_OK;
}

/* ---- everything else ---- */

static void dense_view(op_view *v, const soma_tensor *t) {
    layout l;
    layout_dense(&l, t->rank, t->shape);
    *v = (op_view){.dtype = t->dtype, .rank = t->rank};
    memcpy(v->shape, l.shape, sizeof v->shape);
    memcpy(v->strides, l.strides, sizeof v->strides);
}

static soma_status lower_kernel(build *b, int index) {
    const soma_tensor *t = b->groups[index].root;
    kernel_step k = {.node = t, .n_inputs = t->n_inputs};
    arena *kept = &b->plan->arena;
    k.storages = arena_alloc(kept, (size_t)t->n_inputs * sizeof *k.storages + 1);
    size_t copies = t->n_inputs > 16 ? 1 + (size_t)soma_threads(b->context) : 1; /* kernel_run's, a thread each */
    k.inputs = arena_alloc(kept, copies * (size_t)t->n_inputs * sizeof *k.inputs + 1);
    if (!k.storages || !k.inputs) return SOMA_NO_MEMORY;
    double bytes = 0;
    int placed = 0;
    for (int i = 0; i < t->n_inputs; i++) {
        chain from;
        layout l;
        op_view *v = &k.inputs[i];
        if (placed_input(b, t, i)) { /* there already */
            dense_view(v, t->inputs[i]);
            k.storages[i] = -1;
            placed++;
            continue;
        }
        TRY(operand(b, t->inputs[i], &from, &l));
        if ((k.storages[i] = storage_of(b, from.source)) < 0) return SOMA_NO_MEMORY;
        const soma_dtype dtype = b->plan->storages[k.storages[i]].dtype;
        *v = (op_view){.data = (void *)(intptr_t)l.offset, .dtype = dtype, .rank = l.rank};
        memcpy(v->shape, l.shape, sizeof v->shape);
        memcpy(v->strides, l.strides, sizeof v->strides);
        bytes += storage_bytes(b, k.storages[i]);
    }
    dense_view(&k.output, t);
    if ((k.destination = storage_of(b, t)) < 0) return SOMA_NO_MEMORY;
    k.output.dtype = b->plan->storages[k.destination].dtype;
    if (t->op == &op_concat && placed == t->n_inputs) return SOMA_OK;
    k.run = b->reference ? NULL : move_find(t, k.inputs);
    plan_step *s = step_add(b, STEP_KERNEL);
    if (!s) return SOMA_NO_MEMORY;
    s->as.kernel = k;
    s->bytes = bytes + storage_bytes(b, k.destination);
    s->flops = (double)shape_size(t->rank, t->shape);
    if (k.run) step_set_parallel(s);
    return SOMA_OK;
}

/* New values kept apart so far go to their variables when everybody has read the old ones. */
static soma_status lower_states(build *b) {
    for (int64_t id = 0; id < b->graph->n_nodes; id++) {
        const soma_tensor *t = b->graph->nodes[id];
        chain c;
        layout l;
        if (b->infos[id].role != ROLE_STATE) continue;
        TRY(operand(b, t->inputs[0], &c, &l));
        if (b->infos[c.source->id].role == ROLE_MEMBER && b->infos[c.source->id].into == t->variable) continue;
        int from = storage_of(b, c.source), to = storage_of_variable(b, t->variable, t, 0);
        if (from < 0 || to < 0) return SOMA_NO_MEMORY;
        if (from == to) continue;
        plan_step *s = step_add(b, STEP_COPY);
        if (!s) return SOMA_NO_MEMORY;
        s->as.copy.from = from;
        s->as.copy.to = to;
        s->bytes = storage_bytes(b, to) * 2;
        s->text = arena_printf(&b->plan->arena, "assign %s", t->variable->name);
    }
    return SOMA_OK;
}

static soma_status lower_group(build *b, int index) {
    switch (b->groups[index].kind) {
    case GROUP_MAP:
    case GROUP_ROW:
        return lower_map(b, index);
    case GROUP_CONTRACT:
        return lower_contract(b, index);
    case GROUP_REDUCE:
        return lower_reduction(b, index);
    case GROUP_KERNEL:
        return lower_kernel(b, index);
    }
    return SOMA_OK;
}

soma_status plan_lower(build *b) {
    bool blocked = false;
    for (int i = 0; i < b->n_variables; i++)
        b->variables[i].storage = -1;
    for (int i = 0; i < b->n_order; i++) {
        int index = b->order[i], before = b->plan->n_steps;
        soma_status status = lower_group(b, index);
        if (status != SOMA_OK) { /* the others may be blocked too: all at once, then from the start */
            if (b->too_large || !b->blocker || (b->infos[b->blocker->id].forced && !blocked)) return status;
            b->infos[b->blocker->id].forced = blocked = true;
            b->blocker = NULL;
            continue;
        }
        b->groups[index].step = b->plan->n_steps - 1;
        if (b->plan->n_steps > before && !blocked) {
            plan_step *s = &b->plan->steps[b->plan->n_steps - 1];
            s->text = group_text(b, &b->groups[index]);
            s->row = b->groups[index].kind == GROUP_ROW;
            s->again = b->groups[index].copy && !b->groups[b->groups[index].origin].gone;
            if (!s->text) return SOMA_NO_MEMORY;
        }
    }
    b->again = b->again || blocked;
    return b->again ? SOMA_UNSUPPORTED : lower_states(b);
}
