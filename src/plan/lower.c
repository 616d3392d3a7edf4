/* From groups to steps: storages, the operands of contractions and reductions, packing, kernels, copies to variables.
 * Rests on lower_program.c for tile programs. When an array cannot be walked by strides, b->blocker names the node that
 * must be computed into memory, and the build starts over from fusing. */
#include <string.h>

#include "plan/passes.h"

enum { SMALL_WORK = 24000 /* flops and bytes below which a step stays on one thread */ };

/* ---- steps ---- */

static plan_step *step_add(build *b, step_kind kind) {
    soma_plan *plan = b->plan;
    if (plan->n_steps == b->steps_capacity) {
        int capacity = b->steps_capacity ? 2 * b->steps_capacity : 32;
        plan_step *steps = arena_alloc(&plan->arena, (size_t)capacity * sizeof *steps);
        if (!steps) return NULL;
        if (plan->n_steps) memcpy(steps, plan->steps, (size_t)plan->n_steps * sizeof *steps);
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

static void count_program(const build *b, const tile_program *p, double *flops, double *bytes) {
    for (int i = 0; i < p->n_instructions; i++) {
        const tile_instruction *in = &p->instructions[i];
        double n = in->result == ACCESS_FULL  ? (double)(p->space.rows * p->space.columns)
                   : in->result == ACCESS_ROW ? (double)p->space.rows
                                              : 1;
        if (in->kind == INSTRUCTION_MAP) *flops += n * (in->code == CPU_FMA || in->code == CPU_FNMA ? 2 : 1);
        if (in->kind == INSTRUCTION_REDUCE) *flops += (double)(p->space.rows * p->space.columns);
        if ((in->kind == INSTRUCTION_LOAD || in->kind == INSTRUCTION_STORE) && p->accesses[in->access].storage >= 0) {
            const tile_access *a = &p->accesses[in->access];
            double size = (double)soma_dtype_size(a->dtype), all = storage_bytes(b, a->storage);
            *bytes += all < n * size ? all : n * size;
        }
    }
}

static void set_parallel(plan_step *s) {
    s->parallel = s->flops + s->bytes > SMALL_WORK;
}

/* "relu_grad..." names are the ops' own: the members' names in order. */
static const char *group_text(build *b, const group *g) {
    text words;
    text_init(&words, b->context);
    char shape[SHAPE_TEXT];
    for (int i = 0; i < g->n_members; i++)
        text_printf(&words, "%s%s", i ? " " : "", b->graph->nodes[g->members[i]]->op->name);
    text_printf(&words, " %s", shape_text(shape, g->rank, g->shape));
    char *result = arena_strdup(&b->plan->arena, words.data ? words.data : "");
    text_deinit(&words);
    return result;
}

static soma_status lower_map(build *b, int index) {
    tile_program p;
    TRY(lower_program(b, index, PART_WHOLE, NULL, NULL, NULL, &p));
    if (p.n_stores == 0) return SOMA_OK;
    plan_step *s = step_add(b, STEP_MAP);
    if (!s) return SOMA_NO_MEMORY;
    s->as.map = p;
    count_program(b, &p, &s->flops, &s->bytes);
    set_parallel(s);
    return SOMA_OK;
}

/* ---- contractions ---- */

static soma_status operand(build *b, const soma_tensor *t, chain *c, layout *l) {
    const soma_tensor *blocker = t;
    if (chain_find(b, t, c) && chain_layout(c, l, &blocker)) return SOMA_OK;
    b->blocker = blocker;
    return SOMA_UNSUPPORTED;
}

static soma_status lower_left(build *b, const soma_tensor *t, contract *c) {
    chain from;
    layout l;
    TRY(operand(b, t->inputs[0], &from, &l));
    int rank = t->rank;
    c->a = storage_of(b, from.source);
    if (c->a < 0) return SOMA_NO_MEMORY;
    c->a_offset = l.offset;
    c->a_row = l.strides[rank - 2];
    c->a_col = l.strides[rank - 1];
    for (int i = 0; i < rank - 2; i++)
        c->a_batch[i] = l.shape[i] == 1 ? 0 : l.strides[i];
    if (c->k == 1) c->a_col = 1;
    if (c->m == 1 && c->a_col != 1) c->a_row = 1;
    if (c->a_col == 1 || c->a_row == 1) return SOMA_OK;
    b->blocker = t->inputs[0];
    return SOMA_UNSUPPORTED;
}

static bool pack_equal(const pack_step *a, const pack_step *b) {
    pack_step x = *a, y = *b;
    x.destination = y.destination = x.before = y.before = 0;
    return memcmp(&x, &y, sizeof x) == 0;
}

/* The packed form of a strided operand: one made in this run already, or a new step. */
static soma_status pack_right(build *b, const pack_step *wanted, int *destination) {
    soma_plan *plan = b->plan;
    int *last = &b->infos[wanted->node->id].pack;
    for (int i = *last; i >= 0; i = plan->steps[i].as.pack.before)
        if (pack_equal(&plan->steps[i].as.pack, wanted)) {
            *destination = plan->steps[i].as.pack.destination;
            return SOMA_OK;
        }
    int64_t panels = (wanted->columns + wanted->width - 1) / wanted->width;
    plan_storage made = {.kind = STORAGE_ARENA,
                         .dtype = wanted->dtype,
                         .elements = wanted->batch * panels * wanted->rows * wanted->width,
                         .width = wanted->width,
                         .rows = wanted->rows,
                         .columns = wanted->columns};
    *destination = storage_add(b, &made);
    plan_step *s = *destination < 0 ? NULL : step_add(b, STEP_PACK);
    if (!s) return SOMA_NO_MEMORY;
    memcpy(&s->as.pack, wanted, sizeof *wanted);
    s->as.pack.destination = *destination;
    s->as.pack.before = *last;
    *last = plan->n_steps - 1;
    s->bytes = storage_bytes(b, *destination) * 2;
    s->text = arena_printf(&plan->arena, "pack %s(%lld,%lld)", wanted->source_width ? "transposed " : "",
                           (long long)wanted->rows, (long long)wanted->columns);
    set_parallel(s);
    return SOMA_OK;
}

/* Panels of one matrix after the other, or the same for all. */
static void set_batch_strides(contract *c, bool shared, int64_t matrix) {
    for (int i = c->batch_rank - 1; i >= 0; i--) {
        c->b_batch[i] = shared ? 0 : matrix;
        matrix *= c->batch_shape[i];
    }
}

enum { PLAIN_ROWS = 2, PLAIN_WIDTH = 16 /* vectors of a unit */ };

/* Few rows of C and B's rows contiguous: packing would read and write B once more than the product reads it. */
static bool use_plain(const contract *c, const plan_storage *s, const layout *l, bool shared) {
    int64_t rows = shared ? c->m * c->batch : c->m;
    return !s->width && rows <= PLAIN_ROWS && l->strides[l->rank - 1] == 1 && c->n > 1;
}

static soma_status lower_right(build *b, const soma_tensor *t, contract *c) {
    chain from;
    layout l;
    TRY(operand(b, t->inputs[1], &from, &l));
    int rank = t->rank;
    int source = storage_of(b, from.source);
    if (source < 0) return SOMA_NO_MEMORY;
    const plan_storage *s = &b->plan->storages[source];
    const cpu_real *real = c->dtype == SOMA_F64 ? &b->plan->kernels->f64 : &b->plan->kernels->f32;
    c->width = c->n > real->lanes ? real->lanes * real->vectors : real->lanes;
    c->vectors = c->width / real->lanes;
    int64_t matrix = (c->n + c->width - 1) / c->width * c->k * c->width;
    bool shared = true;
    for (int i = 0; i < rank - 2; i++)
        shared = shared && (l.shape[i] == 1 || l.strides[i] == 0);
    bool transposed = s->width && !(s->rows == c->k && s->columns == c->n && (l.strides[rank - 1] == 1 || c->n == 1));
    if (s->width == c->width && !transposed) { /* a matrix that lies in panels already */
        c->b = source;
        set_batch_strides(c, shared, matrix);
        return SOMA_OK;
    }
    if (use_plain(c, s, &l, shared)) {
        c->plain_b = true;
        c->b = source;
        c->b_offset = l.offset;
        c->b_row = l.strides[rank - 2];
        c->width = PLAIN_WIDTH * real->lanes;
        for (int i = 0; i < rank - 2; i++)
            c->b_batch[i] = l.shape[i] == 1 ? 0 : l.strides[i];
        return SOMA_OK;
    }
    pack_step p;
    memset(&p, 0, sizeof p);
    p.source = source;
    p.node = from.source;
    p.dtype = c->dtype;
    p.rows = c->k;
    p.columns = c->n;
    p.width = c->width;
    p.batch = 1;
    p.offset = l.offset;
    p.row_stride = l.strides[rank - 2];
    p.column_stride = l.strides[rank - 1];
    if (s->width) {
        p.source_width = s->width;
        p.transposed = true;
    } else {
        if (p.columns == 1) p.column_stride = 1;
        if (p.rows == 1 && p.column_stride != 1) p.row_stride = 1;
        if (p.column_stride != 1 && p.row_stride != 1) {
            b->blocker = t->inputs[1];
            return SOMA_UNSUPPORTED;
        }
        for (int i = 0; !shared && i < rank - 2; i++) {
            p.batch_shape[p.batch_rank] = l.shape[i];
            p.batch_strides[p.batch_rank++] = l.shape[i] == 1 ? 0 : l.strides[i];
            p.batch *= l.shape[i];
        }
    }
    TRY(pack_right(b, &p, &c->b));
    set_batch_strides(c, shared, matrix);
    return SOMA_OK;
}

/* One shared right matrix: the batches' rows are rows of one tall matrix, if A's strides say so too. */
static void flatten_batch(contract *c) {
    int64_t stride = c->a_row * c->m;
    for (int i = c->batch_rank - 1; i >= 0; i--) {
        if (c->b_batch[i] != 0) return;
        if (c->batch_shape[i] != 1 && c->a_batch[i] != stride) return;
        stride *= c->batch_shape[i];
    }
    if (c->batch_rank == 0 || c->a_row == 1) return;
    c->m *= c->batch;
    c->batch = 1;
    c->batch_rank = 0;
}

enum { TILES_STACKED = 4 /* that share an epilogue: enough to pay for its start, few enough for L1 */ };

static int64_t even_parts(int64_t n, int64_t most) {
    int64_t parts = (n + most - 1) / most;
    return parts ? (n + parts - 1) / parts : 1;
}

/* Tiles as tall as the kernels have them, even over m; blocks in L2 for products that outgrow the caches. */
static void set_tiles(contract *c, const cpu_real *real) {
    if (c->plain_b) {
        c->tile_rows = c->block_m = c->m;
        c->block_n = c->width;
        c->block_k = c->k;
        return;
    }
    c->tile_rows = even_parts(c->m, real->rows);
    int64_t tiles = (c->m + c->tile_rows - 1) / c->tile_rows * ((c->n + c->width - 1) / c->width) * c->batch;
    int64_t stacked = tiles >= 64 ? TILES_STACKED : tiles >= 32 ? 2 : 1;
    c->block_m = stacked * c->tile_rows;
    c->block_n = c->width;
    c->block_k = c->k;
    bool large = c->k > 1024 || c->m * c->k > 200000;
    if (large && c->m > 2 * real->rows && c->n > 4 * c->width) {
        c->pack_a = true;
        c->block_k = even_parts(c->k, 1024);
        c->block_m = minimum(even_parts(c->m, 8 * c->tile_rows) + c->tile_rows - 1, 9 * c->tile_rows) / c->tile_rows *
                     c->tile_rows;
        c->block_n = minimum((c->n + c->width - 1) / c->width, 512 / c->width) * c->width;
    }
}

static soma_status lower_contract(build *b, int index) {
    const soma_tensor *t = b->groups[index].root;
    contract c;
    memset(&c, 0, sizeof c);
    c.dtype = t->dtype;
    c.m = t->shape[t->rank - 2];
    c.n = t->shape[t->rank - 1];
    c.k = t->inputs[0]->shape[t->rank - 1];
    c.batch = 1;
    c.batch_rank = t->rank - 2;
    for (int i = 0; i < c.batch_rank; i++)
        c.batch *= c.batch_shape[i] = t->shape[i];
    TRY(lower_left(b, t, &c));
    TRY(lower_right(b, t, &c));
    flatten_batch(&c);
    TRY(lower_program(b, index, PART_WHOLE, t, NULL, NULL, &c.epilogue));
    set_tiles(&c, c.epilogue.real);
    int64_t tile = (c.pack_a ? c.tile_rows : c.block_m) * c.width;
    if (c.epilogue.block < tile) c.epilogue.block = tile;
    c.panels = (c.n + c.width - 1) / c.width;
    c.blocks = (c.m + c.block_m - 1) / c.block_m;
    c.last_vectors = (c.n - (c.panels - 1) * c.width + c.epilogue.real->lanes - 1) / c.epilogue.real->lanes;
    c.direct = -1;
    if (c.epilogue.n_instructions == 1 && c.epilogue.instructions[0].kind == INSTRUCTION_STORE) {
        const tile_access *a = &c.epilogue.accesses[c.epilogue.instructions[0].access];
        if (!a->width && a->dtype == c.dtype && a->column_stride == 1) c.direct = c.epilogue.instructions[0].access;
    }
    if (c.m * c.n * c.k < SMALL_WORK) c.epilogue.streams = false;
    c.narrow = !c.plain_b && c.direct < 0 && c.dtype == SOMA_F32 && c.panels == 1 && 2 * c.n <= c.width;
    for (int i = 0; i < c.epilogue.n_accesses; i++)
        c.narrow = c.narrow && !c.epilogue.accesses[i].width;
    plan_step *s = step_add(b, STEP_CONTRACT);
    if (!s) return SOMA_NO_MEMORY;
    s->as.contract = c;
    s->flops = 2.0 * (double)(c.batch * c.m * c.n) * (double)c.k;
    s->bytes = storage_bytes(b, c.a) + storage_bytes(b, c.b);
    count_program(b, &c.epilogue, &s->flops, &s->bytes);
    set_parallel(s);
    return SOMA_OK;
}

/* ---- reductions ---- */

enum { REDUCE_CHUNK_ELEMENTS = 65536, REDUCE_UNITS = 64 };

static soma_status lower_reduction(build *b, int index) {
    const group *g = &b->groups[index];
    reduction r;
    memset(&r, 0, sizeof r);
    r.code = (cpu_reduce)g->root->op->code;
    r.partial = -1;
    r.outer = r.reduced = r.inner = 1;
    bool seen = false;
    for (int i = 0; i < g->rank; i++) {
        bool reduced = g->root->attributes.axes >> i & 1 && g->shape[i] != 1;
        seen = seen || reduced;
        *(reduced ? &r.reduced : seen ? &r.inner : &r.outer) *= g->shape[i];
    }
    TRY(lower_program(b, index, PART_PRE, NULL, g->root->inputs[0], &r.pre_result, &r.pre));
    TRY(lower_program(b, index, PART_POST, g->root, NULL, NULL, &r.post));
    r.block = minimum(r.inner, 256);
    if (r.pre.block < r.block) r.pre.block = vector_pad(r.block);
    if (r.post.block < r.block) r.post.block = vector_pad(r.block);
    r.chunk = r.reduced;
    r.chunks = 1;
    int64_t units = r.outer * ((r.inner + r.block - 1) / r.block);
    if (units < REDUCE_UNITS && r.reduced * r.block > 2 * REDUCE_CHUNK_ELEMENTS) {
        r.chunk = REDUCE_CHUNK_ELEMENTS / r.block;
        if (r.inner == 1) r.chunk = (r.chunk + r.pre.block - 1) / r.pre.block * r.pre.block;
        r.chunks = (r.reduced + r.chunk - 1) / r.chunk;
        plan_storage partial = {.kind = STORAGE_ARENA, .dtype = g->dtype, .elements = r.chunks * r.outer * r.inner};
        r.partial = storage_add(b, &partial);
        if (r.partial < 0) return SOMA_NO_MEMORY;
    }
    plan_step *s = step_add(b, STEP_REDUCE);
    if (!s) return SOMA_NO_MEMORY;
    s->as.reduction = r;
    s->flops = (double)(r.outer * r.reduced * r.inner);
    count_program(b, &r.pre, &s->flops, &s->bytes);
    count_program(b, &r.post, &s->flops, &s->bytes);
    set_parallel(s);
    s->barrier_inside = s->parallel && r.chunks > 1;
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
    k.inputs = arena_alloc(kept, 2 * (size_t)t->n_inputs * sizeof *k.inputs + 1);
    if (!k.storages || !k.inputs) return SOMA_NO_MEMORY;
    double bytes = 0;
    for (int i = 0; i < t->n_inputs; i++) {
        chain from;
        layout l;
        TRY(operand(b, t->inputs[i], &from, &l));
        if ((k.storages[i] = storage_of(b, from.source)) < 0) return SOMA_NO_MEMORY;
        op_view *v = &k.inputs[i];
        *v = (op_view){.data = (void *)(intptr_t)l.offset, .dtype = from.source->dtype, .rank = l.rank};
        memcpy(v->shape, l.shape, sizeof v->shape);
        memcpy(v->strides, l.strides, sizeof v->strides);
        bytes += storage_bytes(b, k.storages[i]);
    }
    dense_view(&k.output, t);
    if ((k.destination = storage_of(b, t)) < 0) return SOMA_NO_MEMORY;
    plan_step *s = step_add(b, STEP_KERNEL);
    if (!s) return SOMA_NO_MEMORY;
    s->as.kernel = k;
    s->bytes = bytes + storage_bytes(b, k.destination);
    s->flops = (double)shape_size(t->rank, t->shape);
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
            if (!s->text) return SOMA_NO_MEMORY;
        }
    }
    b->again = blocked;
    return blocked ? SOMA_UNSUPPORTED : lower_states(b);
}
