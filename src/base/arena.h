/* Arena: many small things that die together, such as the nodes of a graph.
 * Rests on memory.h; blocks of one size are reused after a reset, a big thing gets a block of its own.
 * Nothing is freed alone and nothing has to be sized beforehand. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include <soma/context.h>

typedef struct arena_block arena_block;

typedef struct arena {
    soma_context *context;
    arena_block *first, *current; /* blocks of ARENA_BLOCK bytes, in order of use */
    arena_block *big;             /* blocks of one thing each */
} arena;

void arena_init(arena *a, soma_context *context);
/* Frees everything; the arena may be used again. */
void arena_deinit(arena *a);
/* Forgets everything but keeps ordinary blocks, so that repeating the same work allocates nothing but big things. */
void arena_reset(arena *a);
/* Where an arena stands; what is made after a mark can be forgotten alone. */
typedef struct arena_mark {
    arena_block *current, *big;
    size_t used;
} arena_mark;
arena_mark arena_get_mark(const arena *a);
/* Forgets everything made since the mark, of which the arena must not have been reset. */
void arena_rewind(arena *a, arena_mark mark);
/* Zeroed; 16-byte aligned, 64 from 8 KB on. NULL after an error. bytes 0 gives a valid pointer. */
void *arena_alloc(arena *a, size_t bytes);
/* What arena_alloc or this gave since the last mark (NULL: nothing yet), with more room: the same bytes, others behind
 * them. An array that doubles leaves no old ones behind once it has a block of its own. */
void *arena_grow(arena *a, void *old, size_t old_bytes, size_t bytes);
char *arena_strdup(arena *a, const char *string);
char *arena_printf(arena *a, const char *format, ...) SOMA_PRINTF(2, 3);

#endif
