/* The last error of a context: recorded once, kept until cleared.
 * Rests on context.h and on number.h for text that does not depend on the locale.
 * A lock, because the threads of a team and several callers of the default context may fail at once. */
#include "base/error.h"

#include <stdarg.h>
#include <string.h>

#include "base/context_internal.h"
#include "base/number.h"

soma_status error_set(soma_context *context, soma_status status, const char *format, ...) {
    soma_context *c = context_of(context);
    pthread_mutex_lock(&c->error_lock);
    if (c->status == SOMA_OK && status != SOMA_OK) {
        va_list arguments;
        va_start(arguments, format);
        const int length = number_vformat(c->error, sizeof c->error, format, arguments);
        va_end(arguments);
        if (length < 0) c->error[0] = '\0';
        if (length >= (int)sizeof c->error) memcpy(c->error + sizeof c->error - 4, "...", 4);
        c->status = status;
    }
    pthread_mutex_unlock(&c->error_lock);
    return status;
}

static const char REFUSED[] = " bytes were refused";

void *error_refused(soma_context *context, size_t bytes) {
    (void)error_set(context, SOMA_NO_MEMORY, "out of memory: %zu%s", bytes, REFUSED);
    return NULL;
}

void error_explain(soma_context *context, const char *format, ...) {
    soma_context *c = context_of(context);
    pthread_mutex_lock(&c->error_lock);
    const size_t length = strlen(c->error), end = sizeof REFUSED - 1;
    if (length > end && strcmp(c->error + length - end, REFUSED) == 0) {
        va_list arguments;
        va_start(arguments, format);
        (void)number_vformat(c->error + length, sizeof c->error - length, format, arguments);
        va_end(arguments);
    }
    pthread_mutex_unlock(&c->error_lock);
}

soma_status error_get(const soma_context *context) {
    soma_context *c = context_of(context);
    pthread_mutex_lock(&c->error_lock);
    const soma_status status = c->status;
    pthread_mutex_unlock(&c->error_lock);
    return status;
}

soma_status soma_last_status(const soma_context *context) {
    return error_get(context);
}

const char *soma_last_error(const soma_context *context) {
    return context_of(context)->error;
}

void soma_clear_error(soma_context *context) {
    soma_context *c = context_of(context);
    pthread_mutex_lock(&c->error_lock);
    c->status = SOMA_OK;
    c->error[0] = '\0';
    pthread_mutex_unlock(&c->error_lock);
}

const char *soma_status_text(soma_status status) {
    static const char *const texts[] = {
#define STATUS_TEXT(name, text) [name] = text,
        SOMA_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
    };
    const size_t i = (size_t)status;
    return i < sizeof texts / sizeof *texts ? texts[i] : "unknown status";
}
