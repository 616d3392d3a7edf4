/* The arena: bump a pointer, take the next block when it is full.
 * Rests on memory.h. Ordinary blocks form one list in order of use, so a reset walks them again from the first.
 * Memory is zeroed when it is handed out, not when a block is made: a reset costs nothing. */
#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/number.h"

enum { ARENA_BLOCK = 32 * 1024, ARENA_BIG = 8 * 1024, ARENA_HEADER = 64 };

struct arena_block {
    arena_block *next;
    size_t bytes; /* with this header */
    size_t used;  /* with this header */
};

_Static_assert(sizeof(arena_block) <= ARENA_HEADER, "the header keeps what follows it aligned");

void arena_init(arena *a, soma_context *context) {
    *a = (arena){.context = context};
}

static void free_list(arena *a, arena_block *block) {
    while (block) {
        arena_block *next = block->next;
        mem_free(a->context, block, block->bytes);
        block = next;
    }
}

void arena_deinit(arena *a) {
    free_list(a, a->first);
    free_list(a, a->big);
    arena_init(a, a->context);
}

void arena_reset(arena *a) {
    free_list(a, a->big);
    a->big = NULL;
    for (arena_block *b = a->first; b; b = b->next)
        b->used = ARENA_HEADER;
    a->current = a->first;
}

arena_mark arena_get_mark(const arena *a) {
    return (arena_mark){a->current, a->big, a->current ? a->current->used : 0};
}

void arena_rewind(arena *a, arena_mark mark) {
    if (!mark.current) mark = (arena_mark){a->first, mark.big, ARENA_HEADER};
    while (a->big != mark.big) {
        arena_block *next = a->big->next;
        mem_free(a->context, a->big, a->big->bytes);
        a->big = next;
    }
    for (arena_block *b = mark.current; b; b = b->next)
        b->used = b == mark.current ? mark.used : ARENA_HEADER;
    a->current = mark.current;
}

static arena_block *block_create(arena *a, size_t bytes) {
    arena_block *block = mem_alloc(a->context, bytes);
    if (block) *block = (arena_block){.bytes = bytes, .used = ARENA_HEADER};
    return block;
}

static void *take(arena_block *block, size_t bytes) {
    char *data = (char *)block + block->used;
    block->used += bytes;
    assert(block->used <= block->bytes);
    return memset(data, 0, bytes);
}

static void *alloc_big(arena *a, size_t bytes) {
    size_t total;
    if (!size_add(bytes, ARENA_HEADER, &total)) return error_refused(a->context, bytes);
    arena_block *block = block_create(a, total);
    if (!block) return NULL;
    block->next = a->big;
    a->big = block;
    return take(block, bytes);
}

void *arena_alloc(arena *a, size_t bytes) {
    if (bytes >= ARENA_BIG) return alloc_big(a, bytes);
    const size_t rounded = bytes ? (bytes + 15) & ~(size_t)15 : 16;
    arena_block *block = a->current;
    if (block && block->bytes - block->used >= rounded) return take(block, rounded);
    arena_block *next = block ? block->next : NULL;
    if (!next) {
        next = block_create(a, ARENA_BLOCK);
        if (!next) return NULL;
        if (block)
            block->next = next;
        else
            a->first = next;
    }
    a->current = next;
    return take(next, rounded);
}

void *arena_grow(arena *a, void *old, size_t old_bytes, size_t bytes) {
    if (old_bytes < ARENA_BIG) {
        void *data = arena_alloc(a, bytes);
        return data && old_bytes ? memcpy(data, old, old_bytes) : data;
    }
    arena_block **link = &a->big, *block = (arena_block *)(void *)((char *)old - ARENA_HEADER);
    while (*link != block)
        link = &(*link)->next;
    size_t total;
    if (!size_add(bytes, ARENA_HEADER, &total)) total = SIZE_MAX; /* which is refused */
    block = mem_realloc(a->context, block, block->bytes, total);
    if (!block) return NULL;
    block->bytes = block->used = total;
    *link = block;
    return (char *)block + ARENA_HEADER;
}

char *arena_strdup(arena *a, const char *string) {
    const size_t bytes = strlen(string) + 1;
    char *copy = arena_alloc(a, bytes);
    return copy ? memcpy(copy, string, bytes) : NULL;
}

char *arena_printf(arena *a, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = number_vformat(NULL, 0, format, arguments);
    char *string = length < 0 ? NULL : arena_alloc(a, (size_t)length + 1);
    if (string) (void)number_vformat(string, (size_t)length + 1, format, again);
    va_end(again);
    va_end(arguments);
    return string;
}
