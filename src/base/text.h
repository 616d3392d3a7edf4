/* Text: a string that grows, and the nearest word to a misspelt one.
 * Rests on memory.h and number.h; numbers are printed without regard to the locale.
 * Running out of memory sets failed and makes the rest do nothing: one check at the end is enough. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <soma/context.h>

typedef struct text {
    char *data; /* NULL until something is added, then ends in a zero byte */
    size_t length, capacity;
    soma_context *ctx;
    bool failed;
} text;

void text_init(text *t, soma_context *context);
void text_deinit(text *t);
void text_printf(text *t, const char *format, ...) SOMA_PRINTF(2, 3);
void text_vprintf(text *t, const char *format, va_list arguments) SOMA_PRINTF(2, 0);
void text_append(text *t, const char *string);
void text_append_bytes(text *t, const void *bytes, size_t n);
/* Cuts back to length, if longer. */
void text_truncate(text *t, size_t length);
/* What is there, "" when nothing is. */
const char *text_string(const text *t);
/* Hands the string over and leaves t empty; NULL if t has failed. Freed with text_free, which needs no context. */
char *text_take(text *t);
void text_free(char *taken);

/* How many letters must be inserted, removed, replaced or swapped with a neighbour. */
int text_distance(const char *a, const char *b);
/* The name nearest to word, or NULL if none is near enough to be meant. NULL names are skipped. */
const char *text_nearest(const char *word, const char *const *names, int n);

#endif
