/* Callbacks that change the learning rate: on a plateau, or by a function of the epoch.
 * Rests on callback.h. The rate itself is saved with the optimizer; a backup keeps the rest, four numbers. */
#include <math.h>
#include <string.h>

#include "base/context_internal.h"
#include "train/callback.h"

enum { WAIT, BEST, COOLDOWN, NUMBERS };

typedef struct plateau {
    soma_callback base;
    soma_reduce_lr_on_plateau_options o;
    soma_context *context;
    monitor monitor;
    double numbers[NUMBERS];
} plateau;

static soma_status begin(void *user, soma_model *model, const soma_logs *logs) {
    plateau *p = user;
    (void)model;
    (void)logs;
    p->numbers[WAIT] = p->numbers[COOLDOWN] = 0;
    p->numbers[BEST] = (double)NAN;
    return SOMA_OK;
}

static soma_status reduce(plateau *p, soma_model *model, const soma_logs *logs) {
    double old = soma_learning_rate(model), rate = fmax(old * p->o.factor, p->o.min_lr);
    if (!(old > p->o.min_lr)) return SOMA_OK;
    TRY(soma_set_learning_rate(model, rate));
    if (p->o.verbose)
        callback_say(p->context, logs, "\nEpoch %lld: ReduceLROnPlateau reducing learning rate to %.15g.\n",
                     (long long)logs->epoch + 1, rate);
    p->numbers[COOLDOWN] = (double)p->o.cooldown;
    p->numbers[WAIT] = 0;
    return SOMA_OK;
}

static soma_status epoch_end(void *user, soma_model *model, const soma_logs *logs) {
    plateau *p = user;
    double value, *n = p->numbers;
    if (!monitor_value(&p->monitor, logs, &value)) return SOMA_OK;
    if (n[COOLDOWN] > 0) {
        n[COOLDOWN]--;
        n[WAIT] = 0;
    }
    if (monitor_better(&p->monitor, value, n[BEST], p->o.min_delta)) {
        n[BEST] = value;
        n[WAIT] = 0;
    } else if (n[COOLDOWN] <= 0) {
        n[WAIT]++;
        if (n[WAIT] >= (double)p->o.patience) return reduce(p, model, logs);
    }
    return SOMA_OK;
}

static void destroy(soma_callback *callback) {
    plateau *p = (plateau *)callback;
    text_free((char *)(uintptr_t)p->monitor.name);
    mem_free(p->context, p, sizeof *p);
}

static soma_status set_up(plateau *p) {
    if (p->o.factor == 0) p->o.factor = 0.1;
    if (p->o.patience == 0) p->o.patience = 10;
    if (p->o.min_delta == 0) p->o.min_delta = signbit(p->o.min_delta) ? 0 : 1e-4;
    RETURN_IF(p->context, !(p->o.factor > 0 && p->o.factor < 1), SOMA_INVALID,
              "[reduce_lr_on_plateau] factor is %g: it must be more than 0 and less than 1", p->o.factor);
    TRY(monitor_init(&p->monitor, p->context, "reduce_lr_on_plateau", p->o.monitor, p->o.mode));
    p->base.monitor = p->monitor.name;
    return SOMA_OK;
}

soma_callback *soma_reduce_lr_on_plateau_create(const soma_reduce_lr_on_plateau_options *options) {
    plateau *p = callback_alloc(options->context, sizeof *p);
    if (!p) return callback_failed();
    p->o = *options;
    p->context = context_of(options->context);
    p->base.changes_learning_rate = true;
    p->base.on_train_begin = begin;
    p->base.on_epoch_end = epoch_end;
    p->base.destroy = destroy;
    p->base.state = p->numbers;
    p->base.n_state = NUMBERS;
    if (set_up(p) == SOMA_OK) return &p->base;
    destroy(&p->base);
    return callback_failed();
}

/* ---- by a function of the epoch ---- */

typedef struct scheduler {
    soma_callback base;
    soma_epoch_schedule_fn *schedule;
    void *user;
} scheduler;

static soma_status epoch_begin(void *user, soma_model *model, const soma_logs *logs) {
    const scheduler *s = user;
    return soma_set_learning_rate(model, s->schedule(s->user, logs->epoch, soma_learning_rate(model)));
}

static void scheduler_destroy(soma_callback *callback) {
    mem_free(context_of(NULL), callback, sizeof(scheduler));
}

soma_callback *soma_learning_rate_scheduler(soma_epoch_schedule_fn *schedule, void *user) {
    if (!schedule) (void)error_set(NULL, SOMA_INVALID, "[learning_rate_scheduler] no schedule given");
    scheduler *s = schedule ? callback_alloc(NULL, sizeof *s) : NULL;
    if (!s) return callback_failed();
    s->schedule = schedule;
    s->user = user;
    s->base.changes_learning_rate = true;
    s->base.on_epoch_begin = epoch_begin;
    s->base.destroy = scheduler_destroy;
    return &s->base;
}

/* ---- no number ---- */

static soma_status batch_end(void *user, soma_model *model, const soma_logs *logs) {
    (void)user;
    for (int i = 0; i < logs->n; i++) {
        if (strcmp(logs->names[i], "loss") != 0 || isfinite(logs->values[i])) continue;
        callback_say(model->context, logs, "Batch %lld: Invalid loss, terminating training\n", (long long)logs->batch);
        soma_model_stop_training(model);
    }
    return SOMA_OK;
}

static void nan_destroy(soma_callback *callback) {
    mem_free(context_of(NULL), callback, sizeof *callback);
}

soma_callback *soma_terminate_on_nan(void) {
    soma_callback *callback = callback_alloc(NULL, sizeof *callback);
    if (!callback) return callback_failed();
    callback->on_train_batch_end = batch_end;
    callback->destroy = nan_destroy;
    return callback;
}
