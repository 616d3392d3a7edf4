/* The context: allocator, threads, instruction set, log, seed and last error.
 * It owns no data but serves everything; wherever a context is asked for, NULL means the process' default one.
 * Threads of the program may share a context, whose team serves one after the other and whose last error is of all, or
 * have one each. A graph (the default one too), model, dataset or plan is for one thread at a time. After fork the
 * child may go on with what it has: its teams start anew. */
#ifndef SOMA_CONTEXT_H
#define SOMA_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#include <soma/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct soma_context soma_context;

/** One callback does all allocation: new_size 0 frees, pointer NULL allocates, else resizes.
 *  old_size is what was asked for before. Returns NULL on failure (the old block then stays valid).
 *  Memory must be aligned as malloc's is. */
typedef void *(*soma_allocate_fn)(void *user, void *pointer, size_t old_size, size_t new_size);

/** Receives log lines without newline; topic is a word such as "plan" (see SOMA_LOG). */
typedef void (*soma_log_fn)(void *user, const char *topic, const char *line);

typedef struct soma_context_options {
    soma_allocate_fn allocate; /* default: malloc, realloc, free */
    void *allocate_user;       /* handed to allocate */
    soma_log_fn log;           /* default: stderr, for the topics named in SOMA_LOG (comma separated) */
    void *log_user;            /* handed to log */
    int threads;               /* default 0: SOMA_THREADS, else the CPUs this process may use (affinity and cgroup) */
    const char *isa; /* default NULL: SOMA_ISA, else the best this machine has: "baseline", "avx2", "avx512", "neon" */
    uint64_t seed;   /* default 0 */
    size_t memory; /* bytes that one plan may need (soma_plan_memory); default 0: SOMA_MEMORY, a number of bytes or with
                    * a unit ("500MB", "2GiB"), else what the machine or its cgroup has */
} soma_context_options;

/** A new context. NULL options: all defaults. Returns NULL when out of memory or when the ISA is unknown. */
SOMA_API soma_context *soma_context_create(const soma_context_options *options);
/** Everything made with the context must be gone before. NULL: does nothing. */
SOMA_API void soma_context_destroy(soma_context *context);

/** The status and text of the first error since soma_clear_error; SOMA_OK and "" when there was none. */
SOMA_API soma_status soma_last_status(const soma_context *context);
SOMA_API const char *soma_last_error(const soma_context *context);
SOMA_API void soma_clear_error(soma_context *context);

/** Number of threads of the context's team, the caller's included. Results do not depend on it. */
SOMA_API int soma_threads(const soma_context *context);
/** Bytes that one plan may need, by options or SOMA_MEMORY; 0: no limit but the machine's. */
SOMA_API size_t soma_memory_limit(const soma_context *context);
/** Reads a size: a number, then nothing or B, kB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (of 1024), in any
 *  case, a space between them or none. Errors: SOMA_INVALID; *bytes is then untouched. */
SOMA_API SOMA_MUST_CHECK soma_status soma_parse_bytes(const char *text, size_t *bytes);
/** Name of the instruction set the kernels use. */
SOMA_API const char *soma_isa(const soma_context *context);

/** The one seed of everything random: initializers, shuffling, dropout. Keras' set_random_seed. */
SOMA_API void soma_set_random_seed(soma_context *context, uint64_t seed);
SOMA_API uint64_t soma_random_seed(const soma_context *context);

/** "0.1.0". */
SOMA_API const char *soma_version(void);

#ifdef __cplusplus
}
#endif
#endif
