/* Arrays that take the place of others: what a step stores lies where an array lay that this step reads for the last
 * time, element by element. The lines are in the caches then, where those of another place would be fetched from memory
 * only to be written over; and the plan needs less of it.
 * Rests on tile programs. A block's elements are read and written by one thread, each once, so it is enough that a
 * program does not look at the old ones again when it has computed the new. */
#include <string.h>

#include "plan/passes.h"

/* The program's only access to a storage, NULL if there are several. */
static const tile_access *only_access(const tile_program *p, int storage) {
    const tile_access *found = NULL;
    for (int i = 0; i < p->n_accesses; i++) {
        if (p->accesses[i].storage != storage) continue;
        if (found) return NULL;
        found = &p->accesses[i];
    }
    return found;
}

/* Do two accesses walk through their arrays alike, element by element? */
static bool alike(const tile_access *x, const tile_access *y) {
    tile_access other;
    memcpy(&other, y, sizeof other); /* with its padding, as it is compared */
    other.storage = x->storage;
    return x->kind == ACCESS_FULL && memcmp(x, &other, sizeof other) == 0;
}

/* Is what a load brings looked at by no instruction behind `last`? */
static bool is_over(const tile_program *p, int load, int last) {
    if (load > last) return false;
    for (int i = last + 1; i < p->n_instructions; i++)
        for (int k = 0; k < p->instructions[i].n_arguments; k++)
            if (p->instructions[i].arguments[k] == p->instructions[load].dst) return false;
    return true;
}

/* The array in whose place a store's may lie; -1. c: the product whose epilogue the program is, or NULL. */
static int find_place(const soma_plan *plan, int step, const tile_program *p, const contract *c,
                      const tile_instruction *store, const bool *taken) {
    const tile_access *to = &p->accesses[store->access];
    const plan_storage *s = &plan->storages[to->storage];
    if (s->kind != STORAGE_ARENA || s->first != step || s->output || s->own || !only_access(p, to->storage)) return -1;
    int producer = 0;
    while (producer < p->n_instructions && p->instructions[producer].dst != store->arguments[0])
        producer++;
    if (producer == p->n_instructions || p->instructions[producer].kind != INSTRUCTION_MAP) return -1;
    for (int i = 0; i <= producer; i++) {
        if (p->instructions[i].kind != INSTRUCTION_LOAD) continue;
        const tile_access *from = &p->accesses[p->instructions[i].access];
        if (from->storage < 0 || taken[from->storage] || !alike(from, to)) continue;
        if (c && (c->a == from->storage || c->b == from->storage)) continue; /* other rows are still read */
        const plan_storage *old = &plan->storages[from->storage];
        if (old->kind == STORAGE_ARENA && old->last == step && !old->output && !old->own && old->bytes == s->bytes &&
            only_access(p, from->storage) && is_over(p, i, producer))
            return from->storage;
    }
    return -1;
}

soma_status plan_successors(build *b) {
    soma_plan *plan = b->plan;
    bool *taken = arena_alloc(&b->arena, (size_t)plan->n_storages * sizeof *taken + 1);
    if (!taken) return SOMA_NO_MEMORY;
    for (int i = 0; i < plan->n_storages; i++) {
        plan->storages[i].place = i;
        plan->storages[i].until = plan->storages[i].last;
        taken[i] = false;
    }
    for (int i = 0; i < plan->n_steps; i++) {
        const plan_step *s = &plan->steps[i];
        if (s->kind != STEP_MAP && s->kind != STEP_CONTRACT) continue;
        const contract *c = s->kind == STEP_CONTRACT ? s->as.contract : NULL;
        const tile_program *p = c ? &c->epilogue : &s->as.map;
        for (int k = 0; k < p->n_stores; k++) {
            const tile_instruction *store = &p->instructions[p->stores[k]];
            const int old = find_place(plan, i, p, c, store, taken);
            if (old < 0) continue;
            taken[old] = true;
            plan_storage *new = &plan->storages[p->accesses[store->access].storage];
            new->place = plan->storages[old].place;
            plan->storages[new->place].until = new->last;
        }
    }
    return SOMA_OK;
}
