/* Memory: every block the library owns, 64-byte aligned, through the context's one callback.
 * Rests on the context; a failure records SOMA_NO_MEMORY with the size that was asked for.
 * Callers say the size again when they free, so nothing is stored but how far a block was moved for alignment. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <soma/context.h>

enum { MEM_ALIGN = 64 };

/* NULL after an error. bytes 0 gives a block that may be freed, not read. */
void *mem_alloc(soma_context *context, size_t bytes);
/* The same, filled with zeros; a large block costs nothing until it is touched. */
void *mem_zalloc(soma_context *context, size_t bytes);
/* Resizes and keeps the contents; NULL block allocates. On failure the old block stays as it was. */
void *mem_realloc(soma_context *context, void *block, size_t old_bytes, size_t new_bytes);
/* bytes is what was asked for. NULL does nothing. */
void mem_free(soma_context *context, void *block, size_t bytes);

/* Blocks that know their context and size, for interfaces that free by pointer alone. 16-byte aligned. */
void *mem_box_alloc(soma_context *context, size_t bytes);
void *mem_box_realloc(soma_context *context, void *box, size_t bytes);
void mem_box_free(void *box);

/* out = a op b and true, or false when the result does not fit; out is then untouched. */
static inline bool size_mul(size_t a, size_t b, size_t *out) {
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) return false;
    *out = product;
    return true;
}

static inline bool size_add(size_t a, size_t b, size_t *out) {
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) return false;
    *out = sum;
    return true;
}

static inline bool int64_mul_checked(int64_t a, int64_t b, int64_t *out) {
    int64_t product;
    if (__builtin_mul_overflow(a, b, &product)) return false;
    *out = product;
    return true;
}

static inline bool int64_add_checked(int64_t a, int64_t b, int64_t *out) {
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum)) return false;
    *out = sum;
    return true;
}

#endif
