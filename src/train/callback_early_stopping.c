/* Early stopping.
 * Rests on callback.h. What it has seen is four numbers and, when asked for, the best weights: a backup keeps both. */
#include <math.h>

#include "base/context_internal.h"
#include "train/callback.h"

enum { WAIT, BEST, BEST_EPOCH, STOPPED, NUMBERS };

typedef struct early_stopping {
    soma_callback base;
    soma_early_stopping_options o;
    soma_context *context;
    monitor monitor;
    double numbers[NUMBERS];
} early_stopping;

static soma_status begin(void *user, soma_model *model, const soma_logs *logs) {
    early_stopping *e = user;
    (void)logs;
    e->numbers[WAIT] = e->numbers[STOPPED] = 0;
    e->numbers[BEST_EPOCH] = -1;
    e->numbers[BEST] = (double)NAN;
    if (!e->o.restore_best_weights || e->base.blob) return SOMA_OK;
    e->base.blob_bytes = snapshot_bytes(model);
    e->base.blob = mem_zalloc(e->context, e->base.blob_bytes);
    return e->base.blob ? SOMA_OK : SOMA_NO_MEMORY;
}

/* Better than the best, or the first to be kept. */
static soma_status remember(early_stopping *e, const soma_model *model, int64_t epoch) {
    e->numbers[BEST_EPOCH] = (double)epoch;
    return e->base.blob ? snapshot_take(model, e->base.blob) : SOMA_OK;
}

static soma_status epoch_end(void *user, soma_model *model, const soma_logs *logs) {
    early_stopping *e = user;
    double value, *n = e->numbers;
    if (!monitor_value(&e->monitor, logs, &value) || logs->epoch < e->o.start_from_epoch) return SOMA_OK;
    if (n[BEST_EPOCH] < 0) TRY(remember(e, model, logs->epoch));
    n[WAIT]++;
    if (monitor_better(&e->monitor, value, n[BEST], e->o.min_delta)) {
        n[BEST] = value;
        bool baseline = e->o.baseline != 0 || signbit(e->o.baseline);
        if (!baseline || monitor_better(&e->monitor, value, e->o.baseline, e->o.min_delta)) n[WAIT] = 0;
        return remember(e, model, logs->epoch);
    }
    if (n[WAIT] >= (double)e->o.patience && logs->epoch > 0) {
        n[STOPPED] = (double)logs->epoch;
        soma_model_stop_training(model);
    }
    return SOMA_OK;
}

static soma_status end(void *user, soma_model *model, const soma_logs *logs) {
    early_stopping *e = user;
    long long epoch = (long long)e->numbers[STOPPED], best = (long long)e->numbers[BEST_EPOCH];
    if (epoch > 0 && e->o.verbose) callback_say(e->context, logs, "Epoch %lld: early stopping\n", epoch + 1);
    if (!e->base.blob || best < 0) return SOMA_OK;
    if (e->o.verbose)
        callback_say(e->context, logs, "Restoring model weights from the end of the best epoch: %lld.\n", best + 1);
    return snapshot_restore(model, e->base.blob);
}

static void destroy(soma_callback *callback) {
    early_stopping *e = (early_stopping *)callback;
    soma_context *context = e->context;
    mem_free(context, e->base.blob, e->base.blob_bytes);
    text_free((char *)(uintptr_t)e->monitor.name);
    mem_free(context, e, sizeof *e);
}

soma_callback *soma_early_stopping_create(const soma_early_stopping_options *options) {
    early_stopping *e = callback_alloc(options->context, sizeof *e);
    if (!e) return callback_failed();
    e->o = *options;
    e->context = context_of(options->context);
    e->base.on_train_begin = begin;
    e->base.on_epoch_end = epoch_end;
    e->base.on_train_end = end;
    e->base.destroy = destroy;
    e->base.state = e->numbers;
    e->base.n_state = NUMBERS;
    soma_status status = monitor_init(&e->monitor, e->context, "early_stopping", options->monitor, options->mode);
    e->base.monitor = e->monitor.name;
    if (status == SOMA_OK) return &e->base;
    destroy(&e->base);
    return callback_failed();
}
