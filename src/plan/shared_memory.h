/* Memory that several plans run in, one at a time: as much as the one that needs most.
 * Rests on plan.h. A plan's outputs stay there until another of them runs, or is added. */
#ifndef PLAN_SHARED_MEMORY_H
#define PLAN_SHARED_MEMORY_H

#include <soma/plan.h>

/* Zeros at first; stays where it is as long as there are plans that use it. */
typedef struct shared_memory {
    void *data;
    size_t bytes;
} shared_memory;

/* From now on the plan runs there; its own memory becomes the shared one, where that is smaller, or is freed. */
void plan_share_memory(soma_plan *plan, shared_memory *memory);
void shared_memory_free(shared_memory *memory, soma_context *context);

#endif
