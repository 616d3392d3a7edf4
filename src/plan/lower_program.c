/* From a group of nodes to its tile program: instructions over registers, each value loaded and computed once.
 * Rests on strides.c for where elements lie. Works backwards from what is stored, so that what nobody needs is never
 * computed; products that are only added become fused multiply-adds. */
#include <string.h>

#include "ops/random_key.h"
#include "plan/emitter.h"

static bool emit_member(emitter *e, const soma_tensor *t, value *out);

bool emit_block(emitter *e, const soma_tensor *culprit) {
    if (!e->b->blocker) e->b->blocker = culprit;
    e->failed = true;
    return false;
}

bool emit_full(emitter *e) {
    e->failed = e->b->too_large = true;
    return false;
}

tile_instruction *emit_push(emitter *e, instruction_kind kind, access_class result) {
    if (e->n_instructions == 2 * PROGRAM_MAX_REGISTERS || e->n_registers == PROGRAM_MAX_REGISTERS) {
        emit_full(e);
        return NULL;
    }
    tile_instruction *in = &e->instructions[e->n_instructions++];
    *in = (tile_instruction){.kind = kind, .result = result, .access = -1, .step = -1, .dst = -1};
    if (kind != INSTRUCTION_STORE && kind != INSTRUCTION_PUT) in->dst = e->n_registers++;
    return in;
}

/* ---- arrays in memory ---- */

/* Class by strides; false when several column axes do not make one stride. */
static bool classify(const emitter *e, const layout *l, access_class *kind) {
    bool rows = false, columns = false;
    int64_t run = 0, stride = 0;
    for (int i = 0; i < e->rank; i++) {
        if (l->shape[i] == 1 || l->strides[i] == 0) continue;
        if (i < e->split)
            rows = true;
        else
            columns = true;
    }
    for (int i = e->rank - 1; i >= 0 && i >= e->split; i--) {
        if (e->shape[i] == 1) continue;
        if (run && l->strides[i] != stride * run) return false;
        stride = run ? stride : l->strides[i];
        run = run ? run * e->shape[i] : e->shape[i];
    }
    bool map = e->split > e->rank;
    if (!rows && !columns)
        *kind = ACCESS_UNIFORM;
    else if (map)
        *kind = ACCESS_FULL;
    else
        *kind = columns ? rows ? ACCESS_FULL : ACCESS_COLUMN : ACCESS_ROW;
    return true;
}

static bool make_access(emitter *e, int storage_index, soma_dtype dtype, const layout *l, tile_access *out) {
    memset(out, 0, sizeof *out);
    out->storage = storage_index;
    out->dtype = dtype;
    out->offset = l->offset;
    for (int i = 0; i < e->rank; i++)
        out->row_strides[i] = e->shape[i] == 1 ? 0 : l->strides[i];
    out->width = storage_index >= 0 ? e->b->plan->storages[storage_index].width : 0;
    if (!classify(e, l, &out->kind)) return false;
    if (out->width) {
        const plan_storage *s = &e->b->plan->storages[storage_index];
        panel_place place;
        if (!layout_in_panels(l, &(panel_stack){s->rows, s->columns, s->width}, &place)) return false;
        out->kind = ACCESS_FULL;
        out->offset = place.offset;
        out->matrix_rows = place.rows;
        out->panels = place.matrix / place.panel;
        out->panel_rows = s->rows;
        while (out->width >> out->width_shift > 1)
            out->width_shift++;
    }
    return true;
}

static int add_access(emitter *e, const tile_access *a) {
    for (int i = 0; i < e->n_accesses; i++)
        if (memcmp(&e->accesses[i], a, sizeof *a) == 0) return i;
    if (e->n_accesses == PROGRAM_MAX_REGISTERS) {
        emit_full(e);
        return -1;
    }
    e->accesses[e->n_accesses] = *a;
    return e->n_accesses++;
}

static bool load(emitter *e, const tile_access *a, value *out) {
    int index = add_access(e, a);
    if (index < 0) return false;
    for (int i = 0; i < e->n_values; i++)
        if (!e->values[i].node && e->values[i].access == index) {
            *out = e->values[i];
            return true;
        }
    tile_instruction *in = emit_push(e, INSTRUCTION_LOAD, a->kind == ACCESS_COLUMN ? ACCESS_FULL : a->kind);
    if (!in || e->n_values == PROGRAM_MAX_REGISTERS) return in ? emit_full(e) : false;
    in->access = index;
    *out = e->values[e->n_values++] = (value){.access = index, .reg = in->dst, .kind = in->result};
    return true;
}

/* Random numbers of a node seen through views. */
static bool emit_random(emitter *e, const soma_tensor *t, const layout *l, value *out) {
    tile_access place, step;
    if (t->dtype != e->g->dtype) return emit_block(e, t); /* float32 and float64 have sequences of their own */
    if (!make_access(e, -1, e->g->dtype, l, &place)) return emit_block(e, t);
    place.kind = ACCESS_FULL;
    e->random = t;
    uint64_t key = random_key(t);
    int index = add_access(e, &place), step_index = -1;
    if (index < 0) return false;
    if (t->n_inputs > 0) {
        chain c;
        layout where = {0};
        const soma_tensor *blocker;
        if (!chain_find(e->b, t->inputs[0], &c) || !chain_layout(&c, &where, &blocker))
            return emit_block(e, t->inputs[0]);
        memset(&step, 0, sizeof step);
        step.storage = storage_of(e->b, c.source);
        step.dtype = SOMA_I64;
        step.offset = where.offset;
        if (step.storage < 0 || (step_index = add_access(e, &step)) < 0) return false;
    }
    for (int i = 0; i < e->n_instructions; i++) {
        const tile_instruction *old = &e->instructions[i];
        if (old->access == index && old->step == step_index && old->key == key &&
            (old->kind == INSTRUCTION_UNIFORM_RANDOM || old->kind == INSTRUCTION_NORMAL_RANDOM)) {
            *out = (value){.node = t, .access = -1, .reg = old->dst, .kind = ACCESS_FULL};
            return true;
        }
    }
    tile_instruction *in =
        emit_push(e, t->op == &op_uniform ? INSTRUCTION_UNIFORM_RANDOM : INSTRUCTION_NORMAL_RANDOM, ACCESS_FULL);
    if (!in) return false;
    in->access = index;
    in->step = step_index;
    in->key = key;
    *out = (value){.node = t, .access = -1, .reg = in->dst, .kind = ACCESS_FULL};
    return true;
}

bool emit_belongs(const emitter *e, const soma_tensor *t) {
    const node_info *info = &e->b->infos[t->id];
    if (info->role != ROLE_MEMBER || info->out_only) return false;
    if (info->group != e->group_index) return info->anew;
    if (e->part == PART_WHOLE) return true;
    return group_after(e->g, t) == (e->part == PART_POST);
}

/* The value of a node seen by one of the space's (or a row's) size, through its views and `outer`, a forced view. */
bool emit_value(emitter *e, const soma_tensor *y, const soma_tensor *outer, bool per_row, value *out) {
    chain c;
    layout l;
    if (!chain_find(e->b, y, &c)) return emit_block(e, y);
    const soma_tensor *s = c.source;
    node_info *info = &e->b->infos[s->id];
    if (!outer && emit_belongs(e, s)) return emit_member(e, s, out);
    if (info->role == ROLE_INLINE && s->op == &op_iota) {
        layout_dense(&l, s->rank, s->shape);
        for (int i = 0; i < s->rank; i++)
            l.strides[i] = i == s->attributes->axis;
    } else
        layout_dense(&l, s->rank, s->shape);
    l.offset = c.offset;
    for (int i = c.n - 1; i >= 0; i--)
        if (!layout_view(&l, c.views[i])) return emit_block(e, info->role == ROLE_INLINE ? s : c.views[i]->inputs[0]);
    if (outer && !layout_view(&l, outer)) return emit_block(e, info->role == ROLE_INLINE ? s : y);
    int64_t shape[SOMA_MAX_RANK];
    for (int i = 0; i < e->rank; i++)
        shape[i] = per_row && i >= e->split ? 1 : e->shape[i];
    const soma_tensor *culprit = info->role == ROLE_INLINE ? s : y;
    if (!layout_reshape(&l, e->rank, shape)) return emit_block(e, culprit);
    if (info->role == ROLE_INLINE && s->op != &op_iota) return emit_random(e, s, &l, out);
    tile_access a;
    int storage_index = info->role == ROLE_INLINE ? -1 : storage_of(e->b, s);
    if (info->role != ROLE_INLINE && storage_index < 0) {
        e->failed = true;
        return false;
    }
    const soma_dtype dtype = storage_index < 0 ? e->g->dtype : e->b->plan->storages[storage_index].dtype;
    if (!make_access(e, storage_index, dtype, &l, &a)) return emit_block(e, culprit);
    return load(e, &a, out);
}

/* ---- instructions ---- */

enum { SHORT_ROW = 64 };

/* Rows of a few columns: a call for each would take longer than to write their numbers out once and go through all rows
 * at a time. */
static bool has_short_rows(const emitter *e) {
    return e->g->kind == GROUP_ROW && shape_size(e->rank - e->split, e->shape + e->split) <= SHORT_ROW;
}

bool emit_map(emitter *e, int code, int n, value *arguments, value *out) {
    access_class result = ACCESS_UNIFORM;
    for (int i = 0; i < n; i++)
        if (arguments[i].spot) return emit_spot_map(e, code, n, arguments, out);
    for (int i = 0; i < n; i++)
        if (arguments[i].kind > result) result = arguments[i].kind;
    for (int i = 0; i < n && result == ACCESS_FULL && has_short_rows(e); i++)
        if (arguments[i].kind == ACCESS_ROW && !emit_widen(e, &arguments[i], result)) return false;
    tile_instruction *in = emit_push(e, INSTRUCTION_MAP, result);
    if (!in) return false;
    in->code = code;
    in->map = e->real->map[code];
    in->n_arguments = n;
    for (int i = 0; i < n; i++) {
        in->arguments[i] = arguments[i].reg;
        if (arguments[i].kind == ACCESS_UNIFORM && result != ACCESS_UNIFORM) in->variant |= (uint8_t)(1u << i);
        if (arguments[i].kind == ACCESS_ROW && result == ACCESS_FULL) in->row_variant |= (uint8_t)(1u << i);
    }
    in->by_rows = in->row_variant != 0;
    *out = (value){.access = -1, .reg = in->dst, .kind = result};
    return true;
}

static bool is_patched(const emitter *e, int reg) {
    for (int i = 0; i < e->n_instructions; i++)
        if (e->instructions[i].kind == INSTRUCTION_PUT && e->instructions[i].dst == reg) return true;
    return false;
}

/* The same value with one element for each place of a wider class. */
bool emit_widen(emitter *e, value *v, access_class kind) {
    if (v->spot) return emit_spot_settle(e, v);
    if (v->kind >= kind) return true;
    for (int i = 0; i < e->n_instructions; i++) {
        const tile_instruction *old = &e->instructions[i];
        if (old->kind == INSTRUCTION_MAP && old->code == CPU_COPY && old->arguments[0] == v->reg &&
            old->result == kind && !is_patched(e, old->dst)) {
            *v = (value){.access = -1, .reg = old->dst, .kind = kind};
            return true;
        }
    }
    return emit_copy(e, v, kind);
}

/* Such a value in a register of its own. */
bool emit_copy(emitter *e, value *v, access_class kind) {
    tile_instruction *in = emit_push(e, INSTRUCTION_MAP, kind);
    if (!in) return false;
    in->code = CPU_COPY;
    in->map = e->real->map[CPU_COPY];
    in->n_arguments = 1;
    in->arguments[0] = v->reg;
    if (v->kind == ACCESS_ROW && kind == ACCESS_FULL) {
        in->row_variant = 1;
        in->by_rows = true;
    } else
        in->variant = v->kind != kind;
    *v = (value){.access = -1, .reg = in->dst, .kind = kind};
    return true;
}

const value *emit_known(const emitter *e, const soma_tensor *t) {
    for (int i = 0; i < e->n_values; i++)
        if (e->values[i].node == t && !e->values[i].picked) return &e->values[i];
    return NULL;
}

static bool emit_reduce(emitter *e, const soma_tensor *t, value *out) {
    value x;
    if (!emit_value(e, t->inputs[0], NULL, false, &x)) return false;
    if (x.spot && x.zero >= 0 && t->op == &op_sum) return emit_spot_sum(e, &x, out);
    if (!emit_widen(e, &x, ACCESS_FULL)) return false;
    tile_instruction *in = emit_push(e, INSTRUCTION_REDUCE, ACCESS_ROW);
    if (!in) return false;
    in->code = t->op->code;
    in->reduce = e->real->reduce[t->op->code];
    in->n_arguments = 1;
    in->arguments[0] = x.reg;
    e->reduces = true;
    *out = (value){.access = -1, .reg = in->dst, .kind = ACCESS_ROW};
    return true;
}

/* Is t the exponential of a difference, as a softmax has it, that is computed here and in no register yet? Then one
 * kernel does both: it has the bits of two, so that it does not matter who else wants the difference. */
static bool is_exp_of_difference(const emitter *e, const soma_tensor *t) {
    const soma_tensor *x = t->inputs[0];
    return t->op == &op_exp && x->op == &op_sub && emit_belongs(e, x) && !e->b->infos[x->id].bfloat &&
           !emit_known(e, x);
}

static bool emit_fresh(emitter *e, const soma_tensor *t, bool per_row, value *out) {
    if (t->op->kind == OP_VIEW) return emit_value(e, t->inputs[0], t, per_row, out);
    if (t->op->kind == OP_GENERATE) {
        layout l;
        layout_dense(&l, t->rank, t->shape);
        if (t->op == &op_iota)
            for (int i = 0; i < t->rank; i++)
                l.strides[i] = i == t->attributes->axis;
        if (!layout_reshape(&l, e->rank, e->shape)) return emit_block(e, t);
        if (t->op != &op_iota) return emit_random(e, t, &l, out);
        tile_access a;
        return make_access(e, -1, e->g->dtype, &l, &a) ? load(e, &a, out) : emit_block(e, t);
    }
    if (t->op->kind == OP_REDUCE) return emit_reduce(e, t, out);
    if (emit_spot(e, t, per_row, out)) return true;
    if (e->failed) return false;
    value arguments[3];
    if (t->op->code == CPU_COPY) {
        if (!emit_value(e, t->inputs[0], NULL, per_row, out)) return false;
        if (t->dtype != SOMA_BOOL || t->inputs[0]->dtype == SOMA_BOOL) return true;
        arguments[0] = *out; /* to bool: anything but 0 is 1 */
        if (!emit_map(e, CPU_NOT, 1, arguments, out)) return false;
        arguments[0] = *out;
        return emit_map(e, CPU_NOT, 1, arguments, out);
    }
    const bool joined = is_exp_of_difference(e, t);
    const soma_tensor *from = joined ? t->inputs[0] : t;
    for (int i = 0; i < from->n_inputs; i++)
        if (!emit_value(e, from->inputs[i], NULL, per_row, &arguments[i])) return false;
    return emit_map(e, joined ? CPU_EXP_SUB : t->op->code, from->n_inputs, arguments, out);
}

/* The value as it is computed, before it is rounded. */
static bool compute(emitter *e, const soma_tensor *t, value *out) {
    const value *old = emit_known(e, t);
    if (old) {
        *out = *old;
        return true;
    }
    if (!emit_fresh(e, t, e->b->infos[t->id].per_row, out)) return false;
    if (e->n_values == PROGRAM_MAX_REGISTERS) return emit_full(e);
    e->values[e->n_values] = *out;
    e->values[e->n_values].node = t;
    e->values[e->n_values++].access = -1;
    return true;
}

static bool is_load(const emitter *e, int reg) {
    for (int i = 0; i < e->n_instructions; i++)
        if (e->instructions[i].dst == reg) return e->instructions[i].kind == INSTRUCTION_LOAD;
    return false;
}

static bool is_stored(const emitter *e, int access) {
    for (int i = 0; i < e->n_instructions; i++)
        if (e->instructions[i].kind == INSTRUCTION_STORE && e->instructions[i].access == access) return true;
    return false;
}

/* *index: of the access, for reading it back. */
static bool emit_store(emitter *e, const soma_tensor *t, int *index) {
    value v;
    layout l;
    tile_access a;
    if (!compute(e, t, &v)) return false;
    if (e->b->infos[t->id].within)
        l = *e->b->infos[t->id].placed;
    else
        layout_dense(&l, t->rank, t->shape);
    bool per_row = e->b->infos[t->id].per_row;
    int64_t shape[SOMA_MAX_RANK];
    for (int i = 0; i < e->rank; i++)
        shape[i] = per_row && i >= e->split ? 1 : e->shape[i];
    int storage_index = storage_of(e->b, t);
    if (storage_index < 0 || !layout_reshape(&l, e->rank, shape)) {
        e->failed = true;
        return false;
    }
    if (!make_access(e, storage_index, e->b->plan->storages[storage_index].dtype, &l, &a)) return emit_full(e);
    a.kind = per_row ? ACCESS_ROW : ACCESS_FULL;
    if ((*index = add_access(e, &a)) < 0 || is_stored(e, *index)) return *index >= 0;
    if (!emit_widen(e, &v, a.kind)) return false;
    /* Another variable's old value goes through a register of its own: that variable may be stored first. */
    if (e->b->infos[t->id].into && is_load(e, v.reg) &&
        !emit_map(e, CPU_COPY, 1, &(value){.access = -1, .reg = v.reg, .kind = v.kind}, &v))
        return false;
    tile_instruction *in = emit_push(e, INSTRUCTION_STORE, a.kind);
    if (!in) return false;
    in->n_arguments = 1;
    in->arguments[0] = v.reg;
    in->access = *index;
    return true;
}

/* What is rounded when it is stored is read back, so that its own group sees what all others see. */
static bool emit_member(emitter *e, const soma_tensor *t, value *out) {
    int index;
    if (!e->b->infos[t->id].bfloat) return compute(e, t, out);
    return emit_store(e, t, &index) && load(e, &e->accesses[index], out);
}

static void set_space(emitter *e) {
    const group *g = e->g;
    e->rank = g->rank;
    e->split = g->kind == GROUP_MAP ? g->rank + 1 : g->split;
    for (int i = 0; i < g->rank; i++) {
        e->shape[i] = g->shape[i];
        if (e->part == PART_POST && g->kind == GROUP_REDUCE && g->root->attributes->axes >> i & 1) e->shape[i] = 1;
    }
    e->size = shape_size(e->rank, e->shape);
}

soma_status lower_program(build *b, int group_index, program_part part, const soma_tensor *preset,
                          const soma_tensor *reduced, int *result, tile_program *out) {
    const group *g = &b->groups[group_index];
    emitter *e = mem_zalloc(b->context, sizeof *e); /* 30 kB that the build's arena would keep for every program */
    if (!e) return SOMA_NO_MEMORY;
    memset(out, 0, sizeof *out);
    e->b = b;
    e->group_index = group_index;
    e->g = g;
    e->part = part;
    e->preset = preset;
    e->reduced_register = -1;
    e->real = cpu_real_of(b->plan->kernels, g->dtype);
    e->n_registers = 1;
    set_space(e);
    if (preset) e->values[e->n_values++] = (value){.node = preset, .access = -1, .reg = 0, .kind = ACCESS_FULL};
    for (int i = 0; i < g->n_members && !e->failed; i++) {
        const soma_tensor *t = b->graph->nodes[g->members[i]];
        const node_info *info = &b->infos[t->id];
        bool mine = part == PART_WHOLE || group_after(g, t) == (part == PART_POST);
        int index;
        if (mine && info->stored) emit_store(e, t, &index);
    }
    if (reduced && !e->failed) {
        value v;
        if (emit_value(e, reduced, NULL, false, &v) && emit_widen(e, &v, ACCESS_FULL))
            *result = e->reduced_register = v.reg;
    }
    const bool done = !e->failed && emit_finish(e, out);
    mem_free(b->context, e, sizeof *e);
    if (done) return SOMA_OK;
    if (b->blocker || b->too_large) return SOMA_UNSUPPORTED;
    return soma_last_status(b->context) != SOMA_OK ? soma_last_status(b->context) : SOMA_NO_MEMORY;
}
