/* Callbacks by name, for files and commands: a table of options each, read as the options of layers are.
 * Rests on nn/fields.h and the makers of callbacks.h, which check what they are given.
 * Names of options are Keras'; where ours differ, both are rows of the table at one place of the struct. */
#include <string.h>

#include "base/context_internal.h"
#include "nn/fields.h"
#include "nn/schedules.h"
#include "train/callback.h"

/* Options of any callback, each made by one of the makers below; large enough, and the context is in its place. */
typedef union any_options {
    soma_early_stopping_options early_stopping;
    soma_model_checkpoint_options model_checkpoint;
    soma_reduce_lr_on_plateau_options reduce_lr_on_plateau;
    soma_csv_logger_options csv_logger;
    soma_json_logger_options json_logger;
    soma_remote_monitor_options remote_monitor;
    soma_tensorboard_options tensorboard;
    soma_backup_and_restore_options backup_and_restore;
    soma_swap_ema_weights_options swap_ema_weights;
    struct soma_scheduler_options {
        soma_schedule schedule;
        soma_context *context;
    } learning_rate_scheduler;
} any_options;

#define FIELD(owner, kind_of, text, member)                                                                            \
    { .name = text, .kind = SOMA_FIELD_##kind_of, .offset = offsetof(struct soma_##owner##_options, member) }
#define MONITOR_FIELDS(owner)                                                                                          \
    FIELD(owner, STRING, "monitor", monitor), FIELD(owner, WORD, "mode", mode), FIELD(owner, BOOL, "verbose", verbose)
#define END                                                                                                            \
    { .name = NULL }

static const soma_field early_stopping_fields[] = {
    MONITOR_FIELDS(early_stopping),
    FIELD(early_stopping, NUMBER, "min_delta", min_delta),
    FIELD(early_stopping, INT, "patience", patience),
    FIELD(early_stopping, NUMBER, "baseline", baseline),
    FIELD(early_stopping, BOOL, "restore_best_weights", restore_best_weights),
    FIELD(early_stopping, INT, "start_from_epoch", start_from_epoch),
    END,
};
static const soma_field model_checkpoint_fields[] = {
    FIELD(model_checkpoint, STRING, "filepath", path),
    FIELD(model_checkpoint, STRING, "path", path),
    MONITOR_FIELDS(model_checkpoint),
    FIELD(model_checkpoint, BOOL, "save_best_only", save_best_only),
    FIELD(model_checkpoint, BOOL, "save_weights_only", save_weights_only),
    FIELD(model_checkpoint, NUMBER, "initial_value_threshold", initial_value_threshold),
    FIELD(model_checkpoint, INT, "save_freq", save_freq),
    END,
};
static const soma_field reduce_lr_on_plateau_fields[] = {
    MONITOR_FIELDS(reduce_lr_on_plateau),
    FIELD(reduce_lr_on_plateau, NUMBER, "factor", factor),
    {.name = "patience",
     .kind = SOMA_FIELD_INT,
     .offset = offsetof(soma_reduce_lr_on_plateau_options, patience),
     .standard = 10},
    FIELD(reduce_lr_on_plateau, NUMBER, "min_delta", min_delta),
    FIELD(reduce_lr_on_plateau, INT, "cooldown", cooldown),
    FIELD(reduce_lr_on_plateau, NUMBER, "min_lr", min_lr),
    END,
};
static const soma_field learning_rate_scheduler_fields[] = {
    FIELD(scheduler, SCHEDULE, "schedule", schedule),
    END,
};
static const soma_field csv_logger_fields[] = {
    FIELD(csv_logger, STRING, "filename", path),
    FIELD(csv_logger, STRING, "path", path),
    FIELD(csv_logger, STRING, "separator", separator),
    FIELD(csv_logger, BOOL, "append", append),
    END,
};
static const soma_field json_logger_fields[] = {
    FIELD(json_logger, STRING, "filename", path),
    FIELD(json_logger, STRING, "path", path),
    FIELD(json_logger, BOOL, "append", append),
    END,
};
static const soma_field remote_monitor_fields[] = {
    FIELD(remote_monitor, STRING, "root", root),
    FIELD(remote_monitor, STRING, "path", path),
    FIELD(remote_monitor, STRING, "field", field),
    FIELD(remote_monitor, BOOL, "send_as_json", send_as_json),
    END,
};
static const soma_field tensorboard_fields[] = {
    FIELD(tensorboard, STRING, "log_dir", log_dir),
    FIELD(tensorboard, INT, "update_freq", update_freq),
    FIELD(tensorboard, INT, "histogram_freq", histogram_freq),
    FIELD(tensorboard, BOOL, "write_steps_per_second", write_steps_per_second),
    END,
};
static const soma_field backup_and_restore_fields[] = {
    FIELD(backup_and_restore, STRING, "backup_dir", path),
    FIELD(backup_and_restore, STRING, "path", path),
    FIELD(backup_and_restore, INT, "save_freq", save_freq),
    FIELD(backup_and_restore, NOT, "delete_checkpoint", keep_checkpoint),
    END,
};
static const soma_field swap_ema_weights_fields[] = {
    FIELD(swap_ema_weights, BOOL, "swap_on_epoch", swap_on_epoch),
    END,
};
static const soma_field no_fields[] = {END};

/* ---- makers ---- */

static soma_callback *early_stopping(const any_options *o) {
    return soma_early_stopping_create(&o->early_stopping);
}
static soma_callback *model_checkpoint(const any_options *o) {
    return soma_model_checkpoint_create(&o->model_checkpoint);
}
/* A patience of 0 stands for the default in C; in a file it is meant. */
static soma_callback *reduce_lr_on_plateau(const any_options *o) {
    soma_reduce_lr_on_plateau_options options = o->reduce_lr_on_plateau;
    if (options.patience == 0) options.patience = -1;
    return soma_reduce_lr_on_plateau_create(&options);
}
static soma_callback *csv_logger(const any_options *o) {
    return soma_csv_logger_create(&o->csv_logger);
}
static soma_callback *json_logger(const any_options *o) {
    return soma_json_logger_create(&o->json_logger);
}
static soma_callback *remote_monitor(const any_options *o) {
    return soma_remote_monitor_create(&o->remote_monitor);
}
static soma_callback *tensorboard(const any_options *o) {
    return soma_tensorboard_create(&o->tensorboard);
}
static soma_callback *backup_and_restore(const any_options *o) {
    return soma_backup_and_restore_create(&o->backup_and_restore);
}
static soma_callback *swap_ema_weights(const any_options *o) {
    return soma_swap_ema_weights_create(&o->swap_ema_weights);
}
static soma_callback *terminate_on_nan(const any_options *o) {
    (void)o;
    return soma_terminate_on_nan();
}

/* The rate of an epoch from a schedule whose steps are epochs. */
typedef struct scheduled {
    soma_callback base;
    soma_context *context;
    soma_schedule schedule;
} scheduled;

static soma_status epoch_begin(void *user, soma_model *model, const soma_logs *logs) {
    const soma_schedule *s = &((const scheduled *)user)->schedule;
    return soma_set_learning_rate(model, s->rate((double)logs->epoch, s->parameters, s->n));
}

static void scheduled_destroy(soma_callback *callback) {
    scheduled *s = (scheduled *)callback;
    mem_free(s->context, s, sizeof *s);
}

static soma_callback *learning_rate_scheduler(const any_options *o) {
    soma_context *context = context_of(o->learning_rate_scheduler.context);
    const soma_schedule *schedule = &o->learning_rate_scheduler.schedule;
    if (!schedule->rate) {
        (void)error_set(context, SOMA_INVALID, "[learning_rate_scheduler] no schedule given");
        return callback_failed();
    }
    if (schedule_check(context, "learning_rate_scheduler", schedule) != SOMA_OK) return callback_failed();
    scheduled *s = callback_alloc(context, sizeof *s);
    if (!s) return callback_failed();
    s->context = context;
    s->schedule = *schedule;
    s->base.changes_learning_rate = true;
    s->base.on_epoch_begin = epoch_begin;
    s->base.destroy = scheduled_destroy;
    return &s->base;
}

/* ---- the table ---- */

static const struct callback_class {
    const char *name;
    const soma_field *fields;
    size_t context; /* where it is among the options; 0: nowhere */
    soma_callback *(*create)(const any_options *options);
} classes[] = {
#define CALLBACK(text, fields_of, context_at) {#text, fields_of, context_at, text},
#include "train/callbacks.def"
#undef CALLBACK
};
enum { CLASSES = sizeof classes / sizeof *classes };

static const char *const names[] = {
#define CALLBACK(text, fields_of, context_at) #text,
#include "train/callbacks.def"
#undef CALLBACK
    NULL};

const char *const *soma_callback_names(void) {
    return names;
}

/* ---- reading ---- */

/* {"early_stopping": {...}}, {"csv_logger": "log.csv"}, {"learning_rate_scheduler": {"cosine_decay": {...}}}. */
static soma_status read_options(const field_names *context, const struct callback_class *kind, const json_node *config,
                                any_options *options) {
    const soma_field *const tables[FIELD_TABLES] = {kind->fields, NULL};
    const bool is_map = !config || json_node_kind(config) == JSON_IS_OBJECT || json_node_kind(config) == JSON_IS_NULL;
    const bool is_schedule = kind->fields[0].kind == SOMA_FIELD_SCHEDULE && !json_node_find(config, "schedule");
    if (kind->fields[0].name && config && (!is_map || is_schedule))
        return fields_read_value(context, kind->name, &kind->fields[0], config, options);
    return fields_read(context, kind->name, tables, config, options);
}

static soma_callback *from_node(soma_context *context, const json_node *node) {
    const field_names reader = {.context = context};
    const char *name = json_node_string(node);
    const json_node *config = NULL;
    if (!name && json_node_find(node, "class_name")) {
        name = json_node_string(json_node_find(node, "class_name"));
        config = json_node_find(node, "config");
    } else if (!name && json_node_kind(node) == JSON_IS_OBJECT && json_node_count(node) == 1) {
        void *cursor = NULL;
        (void)json_node_next(node, &cursor, &name, &config);
    }
    RETURN_NULL_IF(context, !name, SOMA_INVALID, "[callback] it must be a name, or a name with its options");
    const struct callback_class *kind = NULL;
    for (int i = 0; i < CLASSES && !kind; i++)
        kind = name_matches(classes[i].name, name) ? &classes[i] : NULL;
    if (!kind) {
        (void)name_unknown(context, "callback", name, names);
        return NULL;
    }
    any_options options;
    memset(&options, 0, sizeof options);
    for (const soma_field *f = kind->fields; f->name; f++) {
        if (f->standard != 0) *(int64_t *)(void *)((char *)&options + f->offset) = (int64_t)f->standard;
    }
    if (kind->context) memcpy((char *)&options + kind->context, &context, sizeof context);
    if (read_options(&reader, kind, config, &options) != SOMA_OK) return NULL;
    soma_callback *callback = kind->create(&options);
    return callback == callback_failed() ? NULL : callback;
}

soma_callback *soma_callback_from_json(soma_context *context, const char *json) {
    context = context_of(context);
    RETURN_NULL_IF(context, !json, SOMA_INVALID, "[callback] no JSON given");
    json_document *document;
    if (json_document_parse(context, "JSON", 0, json, strlen(json), &document) != SOMA_OK) return NULL;
    soma_callback *callback = from_node(context, json_document_root(document));
    json_document_free(document);
    return callback;
}
