/* What the callbacks share.
 * Rests on callback.h. The direction of "auto" is told by the name: what is known goes one way, the rest is refused. */
#include "train/callback.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/context_internal.h"

/* ---- life ---- */

static soma_status fail(void *user, soma_model *model, const soma_logs *logs) {
    (void)user;
    (void)logs;
    soma_status status = soma_last_status(model->context);
    if (status == SOMA_OK) status = soma_last_status(NULL);
    return status != SOMA_OK ? status : SOMA_NO_MEMORY;
}

soma_callback *callback_failed(void) {
    static const soma_callback failed = {.on_train_begin = fail};
    return (soma_callback *)(uintptr_t)&failed;
}

typedef struct block {
    soma_callback base;
} block;

void *callback_alloc(soma_context *context, size_t size) {
    block *b = mem_zalloc(context_of(context), size);
    if (b) b->base.user = b;
    return b;
}

char *callback_strdup(soma_context *context, const char *string) {
    text t;
    text_init(&t, context_of(context));
    text_append(&t, string);
    if (t.length == 0) text_printf(&t, "%s", "");
    return text_take(&t);
}

void soma_callback_destroy(soma_callback *callback) {
    if (callback && callback->destroy) callback->destroy(callback);
}

/* ---- the number that is watched ---- */

static bool has(const char *name, const char *const *parts) {
    for (int i = 0; parts[i]; i++) {
        if (strstr(name, parts[i])) return true;
    }
    return false;
}

soma_status monitor_init(monitor *m, soma_context *context, const char *who, const char *name, soma_monitor_mode mode) {
    static const char *const ups[] = {"acc", "auc",        "precision",   "recall",      "f1",          "r2",
                                      "iou", "dice_score", "correlation", "sensitivity", "specificity", NULL};
    static const char *const downs[] = {"loss", "error", "entropy",    "divergence", "mse",     "mae", "rmse",
                                        "mape", "msle",  "hinge",      "huber",      "poisson", "kld", "cosh",
                                        "bce",  "ce",    "perplexity", "tversky",    "dice",    NULL};
    if (!name) name = "val_loss";
    m->up = mode == SOMA_MODE_MAX || (mode == SOMA_MODE_AUTO && has(name, ups));
    RETURN_IF(context, mode == SOMA_MODE_AUTO && !m->up && !has(name, downs), SOMA_INVALID,
              "[%s] whether more or less %s is better can't be told from its name: give its mode, min or max "
              "(SOMA_MODE_MIN, SOMA_MODE_MAX)",
              who, name);
    m->name = callback_strdup(context, name);
    return m->name ? SOMA_OK : SOMA_NO_MEMORY;
}

bool monitor_value(const monitor *m, const soma_logs *logs, double *value) {
    for (int i = 0; i < logs->n; i++) {
        if (strcmp(logs->names[i], m->name) != 0) continue;
        *value = logs->values[i];
        return true;
    }
    return false;
}

bool monitor_better(const monitor *m, double value, double best, double delta) {
    if (isnan(best)) return !isnan(value);
    return m->up ? value - fabs(delta) > best : value + fabs(delta) < best;
}

/* ---- words ---- */

void callback_say(soma_context *context, const soma_logs *logs, const char *format, ...) {
    text t;
    va_list arguments;
    va_start(arguments, format);
    text_init(&t, context);
    text_vprintf(&t, format, arguments);
    if (!t.failed && logs->write) logs->write(logs->write_user, text_string(&t), t.length);
    text_deinit(&t);
    va_end(arguments);
}

/* ---- weights ---- */

/* Calls the model's weights one after the other, each with its place among the bytes. */
static soma_status each_weight(const soma_model *model, soma_status (*visit)(soma_variable *, char *, size_t),
                               char *bytes, size_t *total) {
    *total = 0;
    for (int i = 0; i < model->n_layers; i++) {
        for (int j = 0; j < model->layers[i]->n_weights; j++) {
            soma_variable *v = model->layers[i]->weights[j].variable;
            size_t size = (size_t)v->size * soma_dtype_size(v->dtype);
            if (visit) TRY(visit(v, bytes + *total, size));
            *total += size;
        }
    }
    return SOMA_OK;
}

static soma_status get(soma_variable *v, char *bytes, size_t size) {
    return soma_variable_get(v, bytes, size);
}
static soma_status set(soma_variable *v, char *bytes, size_t size) {
    return soma_variable_set(v, bytes, size);
}

size_t snapshot_bytes(const soma_model *model) {
    size_t total;
    (void)each_weight(model, NULL, NULL, &total);
    return total;
}

soma_status snapshot_take(const soma_model *model, void *bytes) {
    size_t total;
    return each_weight(model, get, bytes, &total);
}

soma_status snapshot_restore(soma_model *model, const void *bytes) {
    size_t total;
    return each_weight(model, set, (char *)(uintptr_t)bytes, &total);
}
