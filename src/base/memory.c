/* Aligned blocks over a callback that promises no more than malloc's alignment.
 * Rests on context.h. A block is asked for with MEM_ALIGN bytes more and moved up to the next multiple;
 * the byte before it says how far, 1 to 64. */
#include "base/memory.h"

#include <assert.h>
#include <string.h>

#include "base/context_internal.h"
#include "base/error.h"

/* How far the aligned block lies above raw. */
static size_t shift_of(const unsigned char *raw) {
    return MEM_ALIGN - ((uintptr_t)raw & (MEM_ALIGN - 1));
}

static void *aligned(unsigned char *raw) {
    const size_t shift = shift_of(raw);
    raw[shift - 1] = (unsigned char)shift;
    return raw + shift;
}

static unsigned char *raw_of(void *block) {
    unsigned char *b = block;
    return b - b[-1];
}

static void *allocate(soma_context *c, size_t bytes, bool zeros) {
    size_t total;
    if (!size_add(bytes, MEM_ALIGN, &total) || total > PTRDIFF_MAX) return error_refused(c, bytes);
    unsigned char *raw = zeros ? context_allocate_zeros(c, total) : c->allocate(c->allocate_user, NULL, 0, total);
    return raw ? aligned(raw) : error_refused(c, bytes);
}

void *mem_alloc(soma_context *context, size_t bytes) {
    return allocate(context_of(context), bytes, false);
}

void *mem_zalloc(soma_context *context, size_t bytes) {
    return allocate(context_of(context), bytes, true);
}

void *mem_realloc(soma_context *context, void *block, size_t old_bytes, size_t new_bytes) {
    if (!block) return mem_alloc(context, new_bytes);
    soma_context *c = context_of(context);
    size_t total;
    if (!size_add(new_bytes, MEM_ALIGN, &total) || total > PTRDIFF_MAX) return error_refused(c, new_bytes);
    unsigned char *old_raw = raw_of(block);
    const size_t old_shift = (size_t)((unsigned char *)block - old_raw);
    unsigned char *raw = c->allocate(c->allocate_user, old_raw, old_bytes + MEM_ALIGN, total);
    if (!raw) return error_refused(c, new_bytes);
    const size_t shift = shift_of(raw);
    if (shift != old_shift) memmove(raw + shift, raw + old_shift, old_bytes < new_bytes ? old_bytes : new_bytes);
    return aligned(raw);
}

void mem_free(soma_context *context, void *block, size_t bytes) {
    if (!block) return;
    soma_context *c = context_of(context);
    c->allocate(c->allocate_user, raw_of(block), bytes + MEM_ALIGN, 0);
}

/* ---- boxes ---- */

typedef struct box {
    soma_context *context;
    size_t bytes; /* with this header */
} box;

_Static_assert(sizeof(box) <= 16, "a box keeps what follows it 16-byte aligned");

void *mem_box_realloc(soma_context *context, void *old, size_t bytes) {
    size_t total;
    if (!size_add(bytes, 16, &total)) return error_refused(context, bytes);
    box *b = old ? (box *)(void *)((char *)old - 16) : NULL;
    assert(!b || b->context == context_of(context));
    b = mem_realloc(context, b, b ? b->bytes : 0, total);
    if (!b) return NULL;
    *b = (box){.context = context_of(context), .bytes = total};
    return (char *)b + 16;
}

void *mem_box_alloc(soma_context *context, size_t bytes) {
    return mem_box_realloc(context, NULL, bytes);
}

void mem_box_free(void *old) {
    if (!old) return;
    box *b = (box *)(void *)((char *)old - 16);
    mem_free(b->context, b, b->bytes);
}
