/* Errors: a status to return and a text that stays with the context.
 * Rests on the context alone; the text lives in a fixed buffer, so being out of memory can be reported too.
 * The first error wins until soma_clear_error: the cause is told, not what followed from it. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stddef.h>

#include <soma/context.h>

/* Records status and text unless the context already holds an error; returns status. NULL: the default context.
 * Numbers print with a point whatever the locale; a text that is too long ends in "...". */
soma_status error_set(soma_context *context, soma_status status, const char *format, ...) SOMA_PRINTF(3, 4);

/* Records that memory was refused; returns NULL. */
void *error_refused(soma_context *context, size_t bytes);
/* Adds to such a text, unless somebody nearer to the cause has done so, what the memory was for: " for the weight w".
 */
void error_explain(soma_context *context, const char *format, ...) SOMA_PRINTF(2, 3);

/* The status of the first error since soma_clear_error. */
soma_status error_get(const soma_context *context);

/* Creates an error: RETURN_IF(context, a != b, SOMA_SHAPE, "[matmul] %d and %d differ", a, b); */
#define RETURN_IF(context, condition, status, ...)                                                                     \
    do {                                                                                                               \
        if (condition) return error_set(context, status, __VA_ARGS__);                                                 \
    } while (0)

/* The same in a function that returns a pointer. */
#define RETURN_NULL_IF(context, condition, status, ...)                                                                \
    do {                                                                                                               \
        if (condition) {                                                                                               \
            (void)error_set(context, status, __VA_ARGS__);                                                             \
            return NULL;                                                                                               \
        }                                                                                                              \
    } while (0)

/* Forwards the status of an expression that failed. */
#define TRY(expression)                                                                                                \
    do {                                                                                                               \
        const soma_status try_status = (expression);                                                                   \
        if (try_status != SOMA_OK) return try_status;                                                                  \
    } while (0)

#endif
