/* Model checkpoints: the model in a file after every epoch, or after every better one.
 * Rests on callback.h and soma_save, which replaces a file whole or not at all. */
#include <math.h>
#include <string.h>

#include "base/context_internal.h"
#include "base/file.h"
#include "base/number.h"
#include "train/callback.h"

enum { BEST, BATCHES, NUMBERS };

typedef struct checkpoint {
    soma_callback base;
    soma_model_checkpoint_options o;
    soma_context *context;
    monitor monitor;
    char *path;
    double numbers[NUMBERS];
} checkpoint;

/* "%02d" or "%.2f" of "02d" or ".2f"; false for anything else. */
static bool make_format(const char *spec, size_t n, char out[16]) {
    if (n > 8 || strspn(spec, "0123456789.") + 1 < n) return false;
    char kind = n > 0 ? spec[n - 1] : 'g';
    const char *dot = memchr(spec, '.', n);
    if (n > 0 && !strchr("dfeg", kind)) return false;
    if (dot && memchr(dot + 1, '.', n - (size_t)(dot - spec) - 1)) return false;
    size_t digits = n > 0 ? n - 1 : 0, at = 0;
    out[at++] = '%';
    memcpy(out + at, spec, digits);
    at += digits;
    if (kind == 'd') {
        out[at++] = 'l';
        out[at++] = 'l';
    }
    out[at++] = kind;
    out[at] = 0;
    return true;
}

/* What is only known once the epoch is over. */
static bool is_late(const char *name) {
    return strncmp(name, "val_", 4) == 0 || strcmp(name, "learning_rate") == 0;
}

/* The number that {name} or {name:format} stands for, added to out unless that is NULL: NaN where it has not been
 * measured. False for what can't be read, and, when there is nothing to add, for what never will be measured: logs are
 * then those of the training's begin. */
static bool add_number(text *out, const checkpoint *c, const soma_logs *logs, const char *field, size_t n) {
    const char *colon = memchr(field, ':', n);
    size_t length = colon ? (size_t)(colon - field) : n;
    bool batch = length == 5 && memcmp(field, "batch", 5) == 0;
    bool epoch = batch || (length == 5 && memcmp(field, "epoch", 5) == 0);
    char format[16];
    if (!make_format(colon ? colon + 1 : (epoch ? "d" : ""), colon ? n - length - 1 : epoch, format)) return false;
    if ((strchr(format, 'd') != NULL) != epoch) return false;
    if (epoch && out) text_printf(out, format, (long long)(batch ? logs->batch : logs->epoch) + 1);
    double value = (double)NAN;
    bool found = epoch;
    for (int i = 0; i < logs->n && !found; i++) {
        const char *name = logs->names[i];
        found = strlen(name) == length && memcmp(name, field, length) == 0 && !(c->o.save_freq > 0 && is_late(name));
        if (found) value = logs->values[i];
    }
    if (!epoch && out) text_printf(out, format, value);
    return found || out;
}

/* The file's name, or, where out is NULL, whether there can be one. */
static soma_status make_path(const checkpoint *c, const soma_logs *logs, text *out) {
    for (const char *at = c->path; *at;) {
        const char *open = strchr(at, '{'), *close = open ? strchr(open, '}') : NULL;
        if (out) text_append_bytes(out, at, close ? (size_t)(open - at) : strlen(at));
        if (!close) break;
        RETURN_IF(c->context, !add_number(out, c, logs, open + 1, (size_t)(close - open - 1)), SOMA_INVALID,
                  "[model_checkpoint] '%s': '%.*s' stands for no number that is known when %s", c->path,
                  (int)(close - open + 1), open, c->o.save_freq > 0 ? "a batch is done" : "an epoch is over");
        at = close + 1;
    }
    return out && out->failed ? SOMA_NO_MEMORY : SOMA_OK;
}

static soma_status begin(void *user, soma_model *model, const soma_logs *logs) {
    checkpoint *c = user;
    (void)model;
    double t = c->o.initial_value_threshold;
    c->numbers[BEST] = t != 0 || signbit(t) ? t : (double)NAN;
    c->numbers[BATCHES] = 0;
    return make_path(c, logs, NULL);
}

/* Whether this epoch is saved, with what there is to say about it. */
static bool wanted(checkpoint *c, const soma_logs *logs, const char *path) {
    long long epoch = (long long)logs->epoch + 1;
    double value;
    if (!c->o.save_best_only) {
        if (c->o.verbose) callback_say(c->context, logs, "\nEpoch %lld: saving model to %s\n", epoch, path);
        return true;
    }
    if (!monitor_value(&c->monitor, logs, &value)) return false;
    const bool better = monitor_better(&c->monitor, value, c->numbers[BEST], 0);
    char before[352] = "None";
    if (!isnan(c->numbers[BEST])) (void)number_format(before, sizeof before, "%.5f", c->numbers[BEST]);
    if (c->o.verbose && better) {
        callback_say(c->context, logs, "\nEpoch %lld: %s improved from %s to %.5f, saving model to %s\n", epoch,
                     c->monitor.name, before, value, path);
    } else if (c->o.verbose) {
        callback_say(c->context, logs, "\nEpoch %lld: %s did not improve from %s\n", epoch, c->monitor.name, before);
    }
    if (better) c->numbers[BEST] = value;
    return better;
}

static soma_status save(const checkpoint *c, const soma_model *model, const char *path) {
    soma_save_options options = {.path = path, .no_optimizer = c->o.save_weights_only};
    memcpy(options.custom, c->o.custom, sizeof options.custom);
    return soma_model_save(model, &options);
}

static soma_status epoch_end(void *user, soma_model *model, const soma_logs *logs) {
    checkpoint *c = user;
    text path;
    text_init(&path, c->context);
    soma_status status = make_path(c, logs, &path);
    if (status == SOMA_OK && wanted(c, logs, text_string(&path))) {
        file_make_folders(path.data);
        status = save(c, model, text_string(&path));
    }
    text_deinit(&path);
    return status;
}

static soma_status batch_end(void *user, soma_model *model, const soma_logs *logs) {
    checkpoint *c = user;
    c->numbers[BATCHES]++;
    return fmod(c->numbers[BATCHES], (double)c->o.save_freq) == 0 ? epoch_end(user, model, logs) : SOMA_OK;
}

static void destroy(soma_callback *callback) {
    checkpoint *c = (checkpoint *)callback;
    text_free((char *)(uintptr_t)c->monitor.name);
    text_free(c->path);
    mem_free(c->context, c, sizeof *c);
}

static soma_status set_up(checkpoint *c) {
    RETURN_IF(c->context, !c->o.path, SOMA_INVALID, "[model_checkpoint] no path given");
    RETURN_IF(c->context, c->o.save_freq < 0, SOMA_INVALID, "[model_checkpoint] save_freq is %lld: batches, or 0",
              (long long)c->o.save_freq);
    c->path = callback_strdup(c->context, c->o.path);
    if (!c->path) return SOMA_NO_MEMORY;
    soma_monitor_mode mode = c->o.save_best_only ? c->o.mode : SOMA_MODE_MIN; /* else nothing is compared */
    TRY(monitor_init(&c->monitor, c->context, "model_checkpoint", c->o.monitor, mode));
    if (c->o.save_best_only) c->base.monitor = c->monitor.name;
    return SOMA_OK;
}

soma_callback *soma_model_checkpoint_create(const soma_model_checkpoint_options *options) {
    checkpoint *c = callback_alloc(options->context, sizeof *c);
    if (!c) return callback_failed();
    c->o = *options;
    c->context = context_of(options->context);
    c->base.on_train_begin = begin;
    if (c->o.save_freq > 0) {
        c->base.on_train_batch_end = batch_end;
    } else {
        c->base.on_epoch_end = epoch_end;
    }
    c->base.destroy = destroy;
    c->base.state = c->numbers;
    c->base.n_state = NUMBERS;
    if (set_up(c) == SOMA_OK) return &c->base;
    destroy(&c->base);
    return callback_failed();
}
