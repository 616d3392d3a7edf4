/* The context from inside: what soma_context holds, and how the floors above hang their own things on it.
 * Rests on nothing but libc and pthreads; every other file of this floor asks it for memory, errors and log.
 * Only src/base looks into the struct; other floors use the functions. */
#ifndef BASE_CONTEXT_INTERNAL_H
#define BASE_CONTEXT_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include <soma/context.h>

#include "base/team.h"

/* Something of an upper floor that lives as long as the context. destroy may be NULL. */
typedef struct context_slot {
    void *data;
    void (*destroy)(soma_context *context, void *data);
} context_slot;

/* From low to high floors; destroyed from the last to the first. */
typedef enum context_slot_name {
    CONTEXT_GRAPH,
    CONTEXT_KERNELS,
    CONTEXT_PLAN,
    CONTEXT_TRAIN,
    CONTEXT_SLOTS
} context_slot_name;

enum { CONTEXT_ERROR_BYTES = 2048, CONTEXT_MAX_THREADS = 1024 };

struct soma_context {
    soma_allocate_fn allocate;
    void *allocate_user;
    soma_log_fn log;
    void *log_user;
    int threads;
    char isa[16]; /* as asked for by option or SOMA_ISA; "" when nobody asked */
    uint64_t seed;
    size_t memory; /* bytes that a plan may need, 0: all */
    team *team;    /* made at the first context_team */
    context_slot slots[CONTEXT_SLOTS];
    pthread_mutex_t lock;       /* recursive; guards what is made at first use */
    pthread_mutex_t error_lock; /* guards the two below */
    soma_status status;
    char error[CONTEXT_ERROR_BYTES];
};

/* The context itself, or the default one for NULL. Never NULL. */
soma_context *context_of(const soma_context *context);
/* A new block of zeros by the context's callback; the default one gives pages of the system that nobody has touched.
 */
void *context_allocate_zeros(const soma_context *context, size_t size);
/* The thread team; NULL after an error. */
team *context_team(soma_context *context);
/* The instruction set asked for by option or SOMA_ISA, NULL for the machine's best. */
const char *context_isa_name(const soma_context *context);

/* Guards things made at first use, such as slots. One thread may lock twice. */
void context_lock(soma_context *context);
void context_unlock(soma_context *context);
context_slot *context_get_slot(soma_context *context, context_slot_name name);
static inline void **context_slot_graph(soma_context *context) {
    return &context_get_slot(context, CONTEXT_GRAPH)->data;
}

/* True if somebody listens: a log callback, or the topic (or "all") named in SOMA_LOG. */
bool context_log_enabled(const soma_context *context, const char *topic);
/* One or more lines to whoever listens; does nothing otherwise. */
void context_log(soma_context *context, const char *topic, const char *format, ...) SOMA_PRINTF(3, 4);

#endif
