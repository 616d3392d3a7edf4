/* Where a plan's arrays are: in memory of its own, or in some that it shares with plans that never run at the same
 * time. Rests on the offsets that placement.c found. When the shared memory has grown, a plan finds out at its next
 * run. */
#include "plan/shared_memory.h"

#include "base/memory.h"
#include "plan/steps.h"

void plan_put_arrays(const soma_plan *plan, void *memory) {
    if (plan->bases[plan->n_storages] == (char *)memory + plan->arena_bytes) return;
    for (int i = 0; i < plan->n_storages; i++)
        if (plan->storages[i].kind == STORAGE_ARENA) plan->bases[i] = (char *)memory + plan->storages[i].offset;
    plan->bases[plan->n_storages] = (char *)memory + plan->arena_bytes;
}

void plan_share_memory(soma_plan *plan, shared_memory *memory) {
    if (plan->memory_bytes > memory->bytes) {
        mem_free(plan->context, memory->data, memory->bytes);
        *memory = (shared_memory){plan->memory, plan->memory_bytes};
    } else {
        mem_free(plan->context, plan->memory, plan->memory_bytes);
    }
    plan->memory = NULL;
    plan->shared = memory;
    plan_put_arrays(plan, memory->data);
}

void shared_memory_free(shared_memory *memory, soma_context *context) {
    mem_free(context, memory->data, memory->bytes);
    *memory = (shared_memory){NULL, 0};
}
