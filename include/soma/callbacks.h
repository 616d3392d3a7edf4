/* Callbacks ready to use: .callbacks = {soma_early_stopping(.patience = 3), soma_csv_logger("log.csv")} in soma_fit,
 * which takes them over and frees them when it returns. Names, defaults and texts are Keras'.
 * A maker never returns NULL: what is wrong with its options is what fit returns. Your own are a struct soma_callback,
 * see train.h. */
#ifndef SOMA_CALLBACKS_H
#define SOMA_CALLBACKS_H

#include <soma/train.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Which way is better. Auto: accuracies, areas and the like up, losses and errors down; an error for other names. */
typedef enum soma_monitor_mode { SOMA_MODE_AUTO, SOMA_MODE_MIN, SOMA_MODE_MAX } soma_monitor_mode;

/* What the callbacks that watch a number have in common. */
#define SOMA_MONITOR_OPTIONS                                                                                           \
    const char *monitor; /* "val_loss" */                                                                              \
    soma_monitor_mode mode;                                                                                            \
    bool verbose;          /* says what it does, where fit's progress goes */                                          \
    soma_context *context; /* NULL: the default one */                                                                 \
    char nothing;

/** Stops when the number has not become better for more than min_delta in so many epochs. */
typedef struct soma_early_stopping_options {
    SOMA_MONITOR_OPTIONS
    double min_delta;          /* 0 */
    int64_t patience;          /* 0 */
    double baseline;           /* 0: none; else it must become better than this in time (SOMA_ZERO: than 0) */
    bool restore_best_weights; /* the weights of the best epoch at the end */
    int64_t start_from_epoch;  /* 0: epochs before this one only count from here */
} soma_early_stopping_options;
#define soma_early_stopping(...) soma_early_stopping_create(&(soma_early_stopping_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_callback *soma_early_stopping_create(const soma_early_stopping_options *options);

/** Saves the model after every epoch: soma_model_checkpoint("best.soma", .save_best_only = true). In the name {epoch}
 *  and {batch} (the first is 1), {loss}, {val_loss}, ... stand for numbers, also as {epoch:02d} and {val_loss:.2f}: nan
 *  after an epoch without validation, an error before training where nothing ever measures them. */
typedef struct soma_model_checkpoint_options {
    const char *path;
    SOMA_MONITOR_OPTIONS
    bool save_best_only;                 /* only when the number that is watched has become better */
    bool save_weights_only;              /* without the optimizer's state and the history */
    int64_t save_freq;                   /* 0: after every epoch; else after every so many batches */
    soma_custom custom[SOMA_MAX_CUSTOM]; /* as for soma_save */
    double initial_value_threshold;      /* 0: none; else only what is better than this is saved */
} soma_model_checkpoint_options;
#define soma_model_checkpoint(...) soma_model_checkpoint_create(&(soma_model_checkpoint_options){.path = __VA_ARGS__})
SOMA_API soma_callback *soma_model_checkpoint_create(const soma_model_checkpoint_options *options);

/** Multiplies the learning rate when the number stays where it is. */
typedef struct soma_reduce_lr_on_plateau_options {
    SOMA_MONITOR_OPTIONS
    double factor;    /* 0.1 */
    int64_t patience; /* 10 (-1: 0) */
    double min_delta; /* 1e-4 */
    int64_t cooldown; /* 0: epochs to wait after a reduction */
    double min_lr;    /* 0 */
} soma_reduce_lr_on_plateau_options;
#define soma_reduce_lr_on_plateau(...)                                                                                 \
    soma_reduce_lr_on_plateau_create(&(soma_reduce_lr_on_plateau_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_callback *soma_reduce_lr_on_plateau_create(const soma_reduce_lr_on_plateau_options *options);

/** At the begin of every epoch (from 0) the learning rate becomes schedule(user, epoch, rate). */
typedef double soma_epoch_schedule_fn(void *user, int64_t epoch, double rate);
SOMA_API soma_callback *soma_learning_rate_scheduler(soma_epoch_schedule_fn *schedule, void *user);

/** A line an epoch: epoch (from 0) and all measurements, in order of their names, "NA" where there was none. */
typedef struct soma_csv_logger_options {
    const char *path;      /* of the files, see above; needed */
    const char *separator; /* "," */
    bool append;           /* go on in a file that is there, without a second heading */
    soma_context *context; /* NULL: the default one */
} soma_csv_logger_options;
#define soma_csv_logger(...) soma_csv_logger_create(&(soma_csv_logger_options){.path = __VA_ARGS__})
SOMA_API soma_callback *soma_csv_logger_create(const soma_csv_logger_options *options);

/** A JSON object an epoch, one a line: {"epoch": 0, "accuracy": 0.5, "loss": 1.25}; null for what is no number. */
typedef struct soma_json_logger_options {
    const char *path;      /* of the file; needed */
    bool append;           /* go on in a file that is there */
    soma_context *context; /* NULL: the default one */
} soma_json_logger_options;
#define soma_json_logger(...) soma_json_logger_create(&(soma_json_logger_options){.path = __VA_ARGS__})
SOMA_API soma_callback *soma_json_logger_create(const soma_json_logger_options *options);

/** After every epoch posts {"epoch": 0, "accuracy": 0.5, "loss": 1.25} to root and path, by HTTP without encryption: as
 *  a form with that field, or as JSON. A server that can't be reached is mentioned where fit's progress goes, no more.
 */
typedef struct soma_remote_monitor_options {
    const char *root;      /* "http://localhost:9000" */
    const char *path;      /* "/publish/epoch/end/" */
    const char *field;     /* "data" */
    bool send_as_json;     /* the body is the object, else a form with it as a field */
    soma_context *context; /* NULL: the default one */
    char nothing;
} soma_remote_monitor_options;
#define soma_remote_monitor(...) soma_remote_monitor_create(&(soma_remote_monitor_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_callback *soma_remote_monitor_create(const soma_remote_monitor_options *options);

/** Event files for TensorBoard, in log_dir/train and log_dir/validation, with the tags of Keras: epoch_loss,
 *  epoch_accuracy, epoch_learning_rate, and batch_loss, ... when batches are asked for. */
typedef struct soma_tensorboard_options {
    const char *log_dir;    /* "logs" */
    int64_t update_freq;    /* 0: after every epoch; n: also after every n batches. In files also "epoch" and "batch" */
    int64_t histogram_freq; /* 0: never; else after every so many epochs a histogram of each weight,
                               "dense/kernel/histogram" */
    bool write_steps_per_second; /* epoch_steps_per_second too */
    soma_context *context;       /* NULL: the default one */
    char nothing;
} soma_tensorboard_options;
#define soma_tensorboard(...) soma_tensorboard_create(&(soma_tensorboard_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_callback *soma_tensorboard_create(const soma_tensorboard_options *options);

/** With an optimizer that has .use_ema: evaluations, validations and predictions are those of the weights' moving
 *  averages. swap_on_epoch: the model also has them from the end of an epoch to the begin of the next, so that a
 *  checkpoint after this callback saves them. */
typedef struct soma_swap_ema_weights_options {
    bool swap_on_epoch;    /* see above */
    soma_context *context; /* NULL: the default one */
    char nothing;
} soma_swap_ema_weights_options;
#define soma_swap_ema_weights(...)                                                                                     \
    soma_swap_ema_weights_create(&(soma_swap_ema_weights_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_callback *soma_swap_ema_weights_create(const soma_swap_ema_weights_options *options);

/** Stops when the loss of a batch is no number, and says so. */
SOMA_API soma_callback *soma_terminate_on_nan(void);

/** A training that can be killed: after every epoch (or every save_freq batches) the model, its optimizer, the history
 * and the state of all callbacks beside this one go to the file, and a fit that finds the file goes on from there, to
 * the same end. The file is gone once fit is done. To be the last of the callbacks. */
typedef struct soma_backup_and_restore_options {
    const char *path;                    /* of the file; needed */
    soma_custom custom[SOMA_MAX_CUSTOM]; /* as for soma_save */
    bool keep_checkpoint;                /* Keras: delete_checkpoint = False */
    int64_t save_freq;                   /* 0: after every epoch; else also after every so many batches */
    soma_context *context;               /* NULL: the default one */
} soma_backup_and_restore_options;
#define soma_backup_and_restore(...)                                                                                   \
    soma_backup_and_restore_create(&(soma_backup_and_restore_options){.path = __VA_ARGS__})
SOMA_API soma_callback *soma_backup_and_restore_create(const soma_backup_and_restore_options *options);

/** A callback by name: "terminate_on_nan", {"early_stopping": {"patience": 3}}, {"csv_logger": "log.csv"} (the first
 *  option), with the names that its options have above, and those that Keras has for them (filepath, filename,
 *  backup_dir, delete_checkpoint). The learning_rate_scheduler follows a schedule whose steps are epochs:
 *  {"learning_rate_scheduler": {"cosine_decay": {...}}}. NULL after an error. */
SOMA_API soma_callback *soma_callback_from_json(soma_context *context, const char *json);
/** The names of callbacks, in order, ending with NULL. */
SOMA_API const char *const *soma_callback_names(void);

/** Frees a callback that no fit took. */
SOMA_API void soma_callback_destroy(soma_callback *callback);

#ifdef __cplusplus
}
#endif
#endif
