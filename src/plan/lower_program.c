/* From a group of nodes to its tile program: instructions over registers, each value loaded and computed once.
 * Rests on strides.c for where elements lie. Works backwards from what is stored, so that what nobody needs is never
 * computed; products that are only added become fused multiply-adds. */
#include <string.h>

#include "ops/random_key.h"
#include "plan/emitter.h"

static bool emit_member(emitter *e, const soma_tensor *t, value *out);

static bool block(emitter *e, const soma_tensor *culprit) {
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
        if (!layout_in_panels(l, s->rows, s->columns, s->width, &place)) return false;
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
    if (t->dtype != e->g->dtype) return block(e, t); /* float32 and float64 have sequences of their own */
    if (!make_access(e, -1, e->g->dtype, l, &place)) return block(e, t);
    place.kind = ACCESS_FULL;
    e->random = t;
    uint64_t key = random_key(t);
    int index = add_access(e, &place), step_index = -1;
    if (index < 0) return false;
    if (t->n_inputs > 0) {
        chain c;
        layout where = {0};
        const soma_tensor *blocker;
        if (!chain_find(e->b, t->inputs[0], &c) || !chain_layout(&c, &where, &blocker)) return block(e, t->inputs[0]);
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
    if (!chain_find(e->b, y, &c)) return block(e, y);
    const soma_tensor *s = c.source;
    node_info *info = &e->b->infos[s->id];
    if (!outer && emit_belongs(e, s)) return emit_member(e, s, out);
    if (info->role == ROLE_INLINE && s->op == &op_iota) {
        layout_dense(&l, s->rank, s->shape);
        for (int i = 0; i < s->rank; i++)
            l.strides[i] = i == s->attributes.axis;
    } else
        layout_dense(&l, s->rank, s->shape);
    l.offset = c.offset;
    for (int i = c.n - 1; i >= 0; i--)
        if (!layout_view(&l, c.views[i])) return block(e, info->role == ROLE_INLINE ? s : c.views[i]->inputs[0]);
    if (outer && !layout_view(&l, outer)) return block(e, info->role == ROLE_INLINE ? s : y);
    int64_t shape[SOMA_MAX_RANK];
    for (int i = 0; i < e->rank; i++)
        shape[i] = per_row && i >= e->split ? 1 : e->shape[i];
    const soma_tensor *culprit = info->role == ROLE_INLINE ? s : y;
    if (!layout_reshape(&l, e->rank, shape)) return block(e, culprit);
    if (info->role == ROLE_INLINE && s->op != &op_iota) return emit_random(e, s, &l, out);
    tile_access a;
    int storage_index = info->role == ROLE_INLINE ? -1 : storage_of(e->b, s);
    if (info->role != ROLE_INLINE && storage_index < 0) {
        e->failed = true;
        return false;
    }
    const soma_dtype dtype = storage_index < 0 ? e->g->dtype : e->b->plan->storages[storage_index].dtype;
    if (!make_access(e, storage_index, dtype, &l, &a)) return block(e, culprit);
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

static bool emit_fresh(emitter *e, const soma_tensor *t, bool per_row, value *out) {
    if (t->op->kind == OP_VIEW) return emit_value(e, t->inputs[0], t, per_row, out);
    if (t->op->kind == OP_GENERATE) {
        layout l;
        layout_dense(&l, t->rank, t->shape);
        if (t->op == &op_iota)
            for (int i = 0; i < t->rank; i++)
                l.strides[i] = i == t->attributes.axis;
        if (!layout_reshape(&l, e->rank, e->shape)) return block(e, t);
        if (t->op != &op_iota) return emit_random(e, t, &l, out);
        tile_access a;
        return make_access(e, -1, e->g->dtype, &l, &a) ? load(e, &a, out) : block(e, t);
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
    for (int i = 0; i < t->n_inputs; i++)
        if (!emit_value(e, t->inputs[i], NULL, per_row, &arguments[i])) return false;
    return emit_map(e, t->op->code, t->n_inputs, arguments, out);
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

/* ---- finishing ---- */

/* Merges axes that every access walks as one. No merge across `wall`, nor of panels' last axis. */
static void collapse(emitter *e, tile_program *p, int wall) {
    bool panels = false;
    for (int i = 0; i < e->n_accesses; i++)
        panels = panels || e->accesses[i].width;
    if (panels) wall = e->rank - 1;
    int rank = 0, columns_from = -1;
    int64_t shape[SOMA_MAX_RANK + 1];
    for (int i = 0; i < e->rank; i++) {
        if (i == wall) columns_from = rank;
        if (e->shape[i] == 1) continue;
        bool merge = rank > 0 && i != wall && columns_from != rank;
        for (int k = 0; merge && k < e->n_accesses; k++) {
            const tile_access *a = &e->accesses[k];
            if (a->width) continue;
            merge = a->row_strides[rank - 1] == a->row_strides[i] * e->shape[i];
        }
        if (merge)
            shape[rank - 1] *= e->shape[i];
        else
            shape[rank++] = e->shape[i];
        for (int k = 0; k < e->n_accesses; k++)
            e->accesses[k].row_strides[rank - 1] = e->accesses[k].row_strides[i];
    }
    if (wall >= e->rank) columns_from = rank; /* no column axes */
    bool free_columns = wall < 0;
    if (free_columns) columns_from = rank > 0 ? rank - 1 : 0;
    p->space.row_rank = columns_from;
    p->space.rows = p->space.columns = 1;
    for (int i = 0; i < rank; i++) {
        if (i < columns_from) {
            p->space.row_shape[i] = shape[i];
            p->space.rows *= shape[i];
        } else
            p->space.columns *= shape[i];
    }
    for (int k = 0; k < e->n_accesses; k++) {
        tile_access *a = &e->accesses[k];
        a->column_stride = columns_from < rank ? a->row_strides[rank - 1] : 1;
        int64_t stride = p->space.columns;
        a->dense = true;
        bool repeats = a->kind == ACCESS_FULL && a->storage >= 0 && !a->width && p->space.rows > 1;
        for (int i = columns_from - 1; i >= 0; i--) {
            if (a->row_strides[i] != stride) a->dense = false;
            repeats = repeats && a->row_strides[i] == 0;
            stride *= p->space.row_shape[i];
        }
        for (int i = columns_from; i < SOMA_MAX_RANK; i++)
            a->row_strides[i] = 0;
        if (repeats) a->kind = ACCESS_COLUMN;
    }
}

/* Does the instruction load what is the same in all rows, and stays for the blocks to come? */
static bool holds(const emitter *e, const tile_instruction *in) {
    return in->kind == INSTRUCTION_LOAD && e->accesses[in->access].kind == ACCESS_COLUMN;
}

/* Slots for registers, reused after the last use; rows may spill over a slot's rows, so their arguments stay apart.
 * Numbers stay to the end, in places of their own: a plain program knows them all before its first map. So does what
 * all rows read, from one block to the next. */
static bool allocate(emitter *e, tile_program *p) {
    int last[PROGRAM_MAX_REGISTERS], free_slots[PROGRAM_MAX_REGISTERS], n_free = 0;
    memset(last, -1, sizeof last);
    for (int i = 0; i < e->n_instructions; i++)
        for (int k = 0; k < e->instructions[i].n_arguments; k++)
            last[e->instructions[i].arguments[k]] = i;
    for (int i = 0; i < e->n_instructions; i++)
        if (holds(e, &e->instructions[i])) last[e->instructions[i].dst] = e->n_instructions;
    if (e->reduced_register >= 0) last[e->reduced_register] = e->n_instructions;
    p->slots = arena_alloc(&e->b->plan->arena, (size_t)e->n_registers * sizeof *p->slots);
    p->offsets = arena_alloc(&e->b->plan->arena, (size_t)e->n_registers * sizeof *p->offsets);
    if (!p->slots || !p->offsets) return false;
    for (int i = 0; i < e->n_registers; i++)
        p->slots[i] = -1;
    for (int i = 0; i < e->n_instructions; i++) {
        const tile_instruction *in = &e->instructions[i];
        bool early = in->kind == INSTRUCTION_MAP && !in->by_rows && in->result == ACCESS_FULL;
        for (int pass = 0; pass < 2; pass++) {
            if (pass == (early ? 1 : 0) && in->dst >= 0 && in->kind != INSTRUCTION_PUT) {
                if (in->result == ACCESS_UNIFORM)
                    p->slots[in->dst] = -2 - p->n_numbers++;
                else if (holds(e, in))
                    p->slots[in->dst] = p->n_slots++;
                else
                    p->slots[in->dst] = n_free ? free_slots[--n_free] : p->n_slots++;
            }
            if (pass != (early ? 0 : 1)) continue;
            for (int k = 0; k < in->n_arguments; k++) {
                int r = in->arguments[k];
                bool again = false;
                for (int j = 0; j < k; j++)
                    again = again || in->arguments[j] == r;
                if (!again && last[r] == i && p->slots[r] >= 0) free_slots[n_free++] = p->slots[r];
            }
        }
    }
    return true;
}

static bool reads(const emitter *e, const tile_instruction *in, int storage) {
    for (int k = 0; k < e->n_instructions; k++) { /* the load itself, or what it loaded: it may have stayed in place */
        const tile_instruction *from = &e->instructions[k];
        if (from->kind != INSTRUCTION_LOAD || e->accesses[from->access].storage != storage) continue;
        if (from == in) return true;
        for (int n = 0; n < in->n_arguments; n++)
            if (in->arguments[n] == from->dst) return true;
    }
    return false;
}

static bool is_read_back(const emitter *e, const tile_instruction *store) {
    const plan_storage *s = &e->b->plan->storages[e->accesses[store->access].storage];
    return s->kind == STORAGE_ARENA && s->dtype == SOMA_BF16;
}

/* A variable's new value is stored when the old one is read for the last time. */
static void delay_stores(emitter *e) {
    for (int i = e->n_instructions - 1; i >= 0; i--) {
        tile_instruction store = e->instructions[i];
        if (store.kind != INSTRUCTION_STORE || is_read_back(e, &store)) continue;
        int last = i;
        for (int k = i + 1; k < e->n_instructions; k++)
            if (reads(e, &e->instructions[k], e->accesses[store.access].storage)) last = k;
        memmove(&e->instructions[i], &e->instructions[i + 1], (size_t)(last - i) * sizeof store);
        e->instructions[last] = store;
    }
}

enum { VECTOR_MOST = 16 /* elements of the widest vector */ };

/* A value may be computed where it is stored unless an old element there is still needed, or it is not computed here.
 */
static void find_in_place(emitter *e, tile_program *p) {
    for (int i = 0; i < e->n_instructions; i++) {
        tile_instruction *store = &e->instructions[i];
        if (store->kind != INSTRUCTION_STORE || store->result != ACCESS_FULL) continue;
        const tile_access *a = &e->accesses[store->access];
        int producer = -1;
        for (int k = 0; k < i; k++)
            if (producer < 0 && e->instructions[k].dst == store->arguments[0]) producer = k;
        if (producer < 0 || e->instructions[producer].kind == INSTRUCTION_LOAD || a->dtype != p->dtype) continue;
        /* row by row, the last vector of a row may reach into the next */
        bool safe = !e->instructions[producer].by_rows || p->space.columns % VECTOR_MOST == 0;
        for (int k = 0; safe && k < e->n_instructions; k++) {
            const tile_instruction *in = &e->instructions[k];
            if (in->kind != INSTRUCTION_LOAD || e->accesses[in->access].storage != a->storage) continue;
            if (k > producer || memcmp(&e->accesses[in->access], a, sizeof *a) != 0) safe = false;
            for (int j = producer + 1; safe && j < e->n_instructions; j++)
                for (int n = 0; n < e->instructions[j].n_arguments; n++)
                    if (e->instructions[j].arguments[n] == in->dst) safe = false;
        }
        store->in_place = safe;
    }
}

static bool finish(emitter *e, tile_program *p) {
    arena *kept = &e->b->plan->arena;
    int wall = e->split > e->rank ? -1 : e->split;
    collapse(e, p, wall);
    for (int i = 0; i < e->n_instructions; i++) {
        const tile_instruction *in = &e->instructions[i];
        if (in->kind != INSTRUCTION_UNIFORM_RANDOM && in->kind != INSTRUCTION_NORMAL_RANDOM) continue;
        if (e->accesses[in->access].column_stride != 1 && p->space.columns != 1) return block(e, e->random);
    }
    p->real = e->real;
    p->dtype = e->g->dtype;
    p->whole_rows = e->reduces;
    p->n_registers = e->n_registers;
    p->n_accesses = e->n_accesses;
    p->n_instructions = e->n_instructions;
    delay_stores(e);
    find_in_place(e, p);
    p->accesses = arena_alloc(kept, (size_t)e->n_accesses * sizeof *p->accesses + 1);
    p->instructions = arena_alloc(kept, (size_t)e->n_instructions * sizeof *p->instructions + 1);
    p->stores = arena_alloc(kept, (size_t)e->n_instructions * sizeof *p->stores + 1);
    p->before = arena_alloc(kept, (size_t)e->n_instructions * sizeof *p->before + 1);
    p->each = arena_alloc(kept, (size_t)e->n_instructions * sizeof *p->each + 1);
    if (!p->accesses || !p->instructions || !p->stores || !p->before || !p->each || !allocate(e, p)) return false;
    memcpy(p->accesses, e->accesses, (size_t)e->n_accesses * sizeof *p->accesses);
    memcpy(p->instructions, e->instructions, (size_t)e->n_instructions * sizeof *p->instructions);
    for (int i = 0; i < e->n_instructions; i++)
        if (e->instructions[i].kind == INSTRUCTION_STORE) p->stores[p->n_stores++] = i;
    p->block = p->n_slots > 6 && !p->whole_rows ? 512 : 1024;
    if (p->whole_rows && p->space.columns > p->block) p->block = vector_pad(p->space.columns);
    return true;
}

static void set_space(emitter *e) {
    const group *g = e->g;
    e->rank = g->rank;
    e->split = g->kind == GROUP_MAP ? g->rank + 1 : g->split;
    for (int i = 0; i < g->rank; i++) {
        e->shape[i] = g->shape[i];
        if (e->part == PART_POST && g->kind == GROUP_REDUCE && g->root->attributes.axes >> i & 1) e->shape[i] = 1;
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
    e->real = g->dtype == SOMA_F64 ? &b->plan->kernels->f64 : &b->plan->kernels->f32;
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
    const bool done = !e->failed && finish(e, out);
    mem_free(b->context, e, sizeof *e);
    if (done) return SOMA_OK;
    if (b->blocker || b->too_large) return SOMA_UNSUPPORTED;
    return soma_last_status(b->context) != SOMA_OK ? soma_last_status(b->context) : SOMA_NO_MEMORY;
}
