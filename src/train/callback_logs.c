/* Logs that other programs read: CSV and JSON lines, a line an epoch.
 * Rests on callback.h. Numbers are written with the fewest digits that read back as the same, and each line goes out at
 * once, so a log tells all that was measured even of a training that was killed. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/context_internal.h"
#include "base/file_error.h"
#include "base/number.h"
#include "formats/json.h"
#include "train/callback.h"

typedef struct logger {
    soma_callback base;
    soma_context *context;
    char *path, *separator; /* separator NULL: JSON */
    bool append;
    FILE *file;
} logger;

static soma_status failed(const logger *l) {
    return file_error(l->context, l->path, "cannot be written", errno);
}

static soma_status put(logger *l, text *line) {
    const bool whole = !line->failed;
    const bool done =
        whole && fwrite(text_string(line), 1, line->length, l->file) == line->length && fflush(l->file) == 0;
    const soma_status status = done ? SOMA_OK : whole ? failed(l) : SOMA_NO_MEMORY;
    text_deinit(line);
    return status;
}

static soma_status begin(void *user, soma_model *model, const soma_logs *logs) {
    logger *l = user;
    (void)logs;
    if (l->file) fclose(l->file);
    l->file = fopen(l->path, l->append ? "a" : "w");
    if (!l->file) return file_error(l->context, l->path, "cannot be written", errno);
    fseek(l->file, 0, SEEK_END);
    if (!l->separator || ftell(l->file) > 0) return SOMA_OK;
    text line;
    text_init(&line, l->context);
    text_append(&line, "epoch");
    for (int i = 0; soma_history_name(model, i); i++)
        text_printf(&line, "%s%s", l->separator, soma_history_name(model, i));
    text_append(&line, "\n");
    return put(l, &line);
}

/* The epoch's value of a column; false where nothing was measured. */
static bool find(const soma_logs *logs, const char *name, double *out) {
    for (int i = 0; i < logs->n; i++) {
        if (strcmp(logs->names[i], name) != 0) continue;
        *out = logs->values[i];
        return true;
    }
    return false;
}

static soma_status csv_line(void *user, soma_model *model, const soma_logs *logs) {
    logger *l = user;
    text line;
    text_init(&line, l->context);
    text_printf(&line, "%lld", (long long)logs->epoch);
    for (int i = 0; soma_history_name(model, i); i++) {
        double value;
        char number[32] = "NA";
        if (find(logs, soma_history_name(model, i), &value)) number_shortest(number, sizeof number, value);
        text_printf(&line, "%s%s", l->separator, number);
    }
    text_append(&line, "\n");
    return put(l, &line);
}

static soma_status json_line(void *user, soma_model *model, const soma_logs *logs) {
    logger *l = user;
    text line;
    (void)model;
    text_init(&line, l->context);
    text_printf(&line, "{\"epoch\": %lld", (long long)logs->epoch);
    for (int i = 0; i < logs->n; i++) {
        text_append(&line, ", ");
        json_write_string(&line, logs->names[i]);
        text_append(&line, ": ");
        if (isfinite(logs->values[i])) {
            json_write_number(&line, logs->values[i]);
        } else {
            text_append(&line, "null");
        }
    }
    text_append(&line, "}\n");
    return put(l, &line);
}

static void destroy(soma_callback *callback) {
    logger *l = (logger *)callback;
    if (l->file) fclose(l->file);
    text_free(l->path);
    text_free(l->separator);
    mem_free(l->context, l, sizeof *l);
}

static soma_callback *create(soma_context *context, const char *path, const char *separator, bool append,
                             soma_hook *line) {
    logger *l = callback_alloc(context, sizeof *l);
    if (!l) return callback_failed();
    l->context = context_of(context);
    l->append = append;
    l->base.on_train_begin = begin;
    l->base.on_epoch_end = line;
    l->base.destroy = destroy;
    if (!path) (void)error_set(l->context, SOMA_INVALID, "[logger] no path given");
    l->path = path ? callback_strdup(context, path) : NULL;
    l->separator = separator ? callback_strdup(context, separator) : NULL;
    if (l->path && (l->separator || !separator)) return &l->base;
    destroy(&l->base);
    return callback_failed();
}

soma_callback *soma_csv_logger_create(const soma_csv_logger_options *o) {
    return create(o->context, o->path, o->separator ? o->separator : ",", o->append, csv_line);
}

soma_callback *soma_json_logger_create(const soma_json_logger_options *o) {
    return create(o->context, o->path, NULL, o->append, json_line);
}
