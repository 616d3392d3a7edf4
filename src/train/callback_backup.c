/* Backup and restore: a training that is killed goes on from its last backup, to the same bits.
 * Rests on callback.h and model_file.h. One file, replaced at once, holds the model, the optimizer, the history and the
 * state of the other callbacks, so nothing in it can be of two moments. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/context_internal.h"
#include "train/callback.h"
#include "train/model_file.h"

enum { NAME = PLACE_NAME };

typedef struct backup {
    soma_callback base;
    soma_backup_and_restore_options o;
    soma_context *context;
    char *path;
} backup;

/* ---- out ---- */

/* All callbacks' state, and how far the training is: the epoch to run next, and whether it was told to stop. The place
 * in an epoch is part of every file. */
static soma_status save(const backup *b, const soma_model *model, const soma_logs *logs, int64_t epoch) {
    bool stops = atomic_load(&model->stop) & MODEL_STOPS;
    const int64_t at[] = {epoch, stops};
    place_entries e = {.n = 0};
    char name[NAME];
    place_add(&e, "backup/epoch", SOMA_I64, at, 2);
    for (int i = 0; i < logs->n_callbacks; i++) {
        const soma_callback *c = logs->callbacks[i];
        snprintf(name, sizeof name, "callback/%d/state", i);
        if (c->n_state > 0) place_add(&e, name, SOMA_F64, c->state, (size_t)c->n_state);
        snprintf(name, sizeof name, "callback/%d/blob", i);
        if (c->blob) place_add(&e, name, SOMA_U8, c->blob, c->blob_bytes);
    }
    soma_save_options options = {.path = b->path};
    memcpy(options.custom, b->o.custom, sizeof options.custom);
    return model_save_with(model, &options, e.items, e.n);
}

static soma_status epoch_end(void *user, soma_model *model, const soma_logs *logs) {
    return save(user, model, logs, logs->epoch + 1);
}

static soma_status batch_end(void *user, soma_model *model, const soma_logs *logs) {
    const backup *b = user;
    return (logs->batch + 1) % b->o.save_freq == 0 ? save(b, model, logs, logs->epoch) : SOMA_OK;
}

/* ---- in ---- */

static soma_status fetch(const backup *b, const safetensors *file, const char *name, soma_dtype dtype, void *out,
                         size_t bytes) {
    const safetensors_entry *entry = safetensors_find(file, name);
    RETURN_IF(b->context, !entry || entry->dtype != dtype || entry->bytes != bytes, SOMA_FORMAT,
              "%s: '%s' does not fit the callbacks of this fit", b->path, name);
    memcpy(out, entry->data, bytes);
    return SOMA_OK;
}

static soma_status read_callbacks(const backup *b, soma_model *model, const soma_logs *logs, const safetensors *file) {
    training *t = model->training;
    int64_t at[2];
    char name[NAME];
    TRY(fetch(b, file, "backup/epoch", SOMA_I64, at, sizeof at));
    for (int i = 0; i < logs->n_callbacks; i++) {
        const soma_callback *c = logs->callbacks[i];
        snprintf(name, sizeof name, "callback/%d/state", i);
        if (c->n_state > 0) TRY(fetch(b, file, name, SOMA_F64, c->state, (size_t)c->n_state * sizeof *c->state));
        snprintf(name, sizeof name, "callback/%d/blob", i);
        if (c->blob) TRY(fetch(b, file, name, SOMA_U8, c->blob, c->blob_bytes));
    }
    t->start_epoch = at[0];
    t->place.resume = t->place.inside;
    if (at[1]) soma_model_stop_training(model);
    return SOMA_OK;
}

static soma_status begin(void *user, soma_model *model, const soma_logs *logs) {
    const backup *b = user;
    if (access(b->path, F_OK) != 0) return SOMA_OK;
    safetensors *file;
    soma_status status = model_restore(model, b->path, &file);
    if (status == SOMA_OK) status = read_callbacks(b, model, logs, file);
    safetensors_close(file);
    return status;
}

static soma_status end(void *user, soma_model *model, const soma_logs *logs) {
    const backup *b = user;
    (void)model;
    (void)logs;
    if (!b->o.keep_checkpoint) (void)remove(b->path); /* there is none when no epoch ran */
    return SOMA_OK;
}

/* ---- life ---- */

static void destroy(soma_callback *callback) {
    backup *b = (backup *)callback;
    text_free(b->path);
    mem_free(b->context, b, sizeof *b);
}

soma_callback *soma_backup_and_restore_create(const soma_backup_and_restore_options *options) {
    backup *b = callback_alloc(options->context, sizeof *b);
    if (!b) return callback_failed();
    b->o = *options;
    b->context = context_of(options->context);
    b->base.on_train_begin = begin;
    b->base.on_epoch_end = epoch_end;
    b->base.on_train_end = end;
    b->base.destroy = destroy;
    if (!options->path) (void)error_set(b->context, SOMA_INVALID, "[backup_and_restore] no path given");
    b->path = options->path ? callback_strdup(b->context, options->path) : NULL;
    if (options->save_freq > 0) b->base.on_train_batch_end = batch_end;
    if (b->path) return &b->base;
    destroy(&b->base);
    return callback_failed();
}
