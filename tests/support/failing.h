/* An allocator for tests: counts, remembers every block, and refuses the n-th request.
 * Rests on the context's callback alone, so it sees all the library asks for through it.
 * The sweep: n = 0, 1, 2, ... until the call succeeds, and nothing left after each. */
#ifndef SUPPORT_FAILING_H
#define SUPPORT_FAILING_H

#include <stdbool.h>
#include <stdint.h>

#include <soma/context.h>

typedef struct failing {
    int64_t requests; /* allocations and growths so far */
    int64_t refuse;   /* the request that fails, counted from 0; -1: none */
    int64_t blocks;   /* not yet freed */
    int64_t bytes;    /* in them */
    bool wrong_size;  /* a block was resized or freed with another size than it was asked for with */
} failing;

/* A context on this allocator. Creating it is not counted and never fails. */
soma_context *failing_context(failing *f, int threads);

#endif
