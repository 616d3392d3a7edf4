/* The counting and refusing allocator: each block carries its size in front, to compare with what the library says.
 * Rests on malloc.
 * Growing always moves, so that code which keeps the old pointer is found out. */
#include "support/failing.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER = 16 };

static void *take(failing *f, size_t size) {
    char *raw = malloc(size + HEADER);
    if (!raw) return NULL;
    memcpy(raw, &size, sizeof size);
    f->blocks++;
    f->bytes += (int64_t)size;
    return raw + HEADER;
}

static void give(failing *f, void *pointer, size_t size) {
    char *raw = (char *)pointer - HEADER;
    size_t asked;
    memcpy(&asked, raw, sizeof asked);
    if (asked != size) f->wrong_size = true;
    f->blocks--;
    f->bytes -= (int64_t)asked;
    free(raw);
}

static void *allocate(void *user, void *pointer, size_t old_size, size_t new_size) {
    failing *f = user;
    if (new_size == 0) {
        if (pointer) give(f, pointer, old_size);
        return NULL;
    }
    if (f->requests++ == f->refuse) return NULL;
    void *fresh = take(f, new_size);
    if (fresh && pointer) {
        memcpy(fresh, pointer, old_size < new_size ? old_size : new_size);
        give(f, pointer, old_size);
    }
    return fresh;
}

soma_context *failing_context(failing *f, int threads) {
    *f = (failing){.refuse = -1};
    soma_context *c =
        soma_context_create(&(soma_context_options){.allocate = allocate, .allocate_user = f, .threads = threads});
    assert(c);
    f->requests = f->blocks = f->bytes = 0;
    return c;
}
