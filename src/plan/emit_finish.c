/* What was emitted becomes a tile program: axes that every array walks as one are merged, registers get slots, stores
 * come when what they overwrite has been read, and a value is computed where it is stored if nobody minds.
 * Rests on emitter.h. */
#include <string.h>

#include "plan/emitter.h"

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
 * all rows read, from one block to the next, and what each piece of a long row reads. */
static bool allocate(emitter *e, tile_program *p) {
    int last[PROGRAM_MAX_REGISTERS], free_slots[PROGRAM_MAX_REGISTERS], n_free = 0;
    memset(last, -1, sizeof last);
    for (int i = 0; i < e->n_instructions; i++)
        for (int k = 0; k < e->instructions[i].n_arguments; k++)
            last[e->instructions[i].arguments[k]] = i;
    for (int i = 0; i < e->n_instructions; i++)
        if (holds(e, &e->instructions[i])) last[e->instructions[i].dst] = e->n_instructions;
    for (int i = 0; i < e->n_instructions; i++)
        for (int j = i; j < i + e->instructions[i].together; j++)
            for (int k = 0; k < e->instructions[j].n_arguments; k++)
                if (together_reads_number(&e->instructions[j], k))
                    last[e->instructions[j].arguments[k]] = e->n_instructions;
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

bool emit_finish(emitter *e, tile_program *p) {
    arena *kept = &e->b->plan->arena;
    int wall = e->split > e->rank ? -1 : e->split;
    collapse(e, p, wall);
    for (int i = 0; i < e->n_instructions; i++) {
        const tile_instruction *in = &e->instructions[i];
        if (in->kind != INSTRUCTION_UNIFORM_RANDOM && in->kind != INSTRUCTION_NORMAL_RANDOM) continue;
        if (e->accesses[in->access].column_stride != 1 && p->space.columns != 1) return emit_block(e, e->random);
    }
    p->real = e->real;
    p->dtype = e->g->dtype;
    p->whole_rows = e->reduces;
    p->n_registers = e->n_registers;
    p->n_accesses = e->n_accesses;
    p->n_instructions = e->n_instructions;
    delay_stores(e);
    if (e->reduces && p->space.columns > cpu_row_piece(p->space.columns)) together_find(e);
    find_in_place(e, p);
    p->accesses = arena_alloc(kept, (size_t)e->n_accesses * sizeof *p->accesses + 1);
    p->instructions = arena_alloc(kept, (size_t)e->n_instructions * sizeof *p->instructions + 1);
    p->stores = arena_alloc(kept, (size_t)e->n_instructions * sizeof *p->stores + 1);
    p->before = arena_alloc(kept, (size_t)e->n_instructions * sizeof *p->before + 1);
    p->each = arena_alloc(kept, (size_t)e->n_instructions * sizeof *p->each + 1);
    p->passes = arena_alloc(kept, (size_t)e->n_registers * sizeof *p->passes);
    if (!p->accesses || !p->instructions || !p->stores || !p->before || !p->each || !p->passes || !allocate(e, p))
        return false;
    memcpy(p->accesses, e->accesses, (size_t)e->n_accesses * sizeof *p->accesses);
    memcpy(p->instructions, e->instructions, (size_t)e->n_instructions * sizeof *p->instructions);
    for (int i = 0; i < e->n_instructions; i++)
        if (e->instructions[i].kind == INSTRUCTION_STORE) p->stores[p->n_stores++] = i;
    together_pass(e, p);
    p->block = p->n_slots > 6 && !p->whole_rows ? 512 : 1024;
    if (p->whole_rows && p->space.columns > p->block) p->block = vector_pad(p->space.columns);
    return true;
}
