/* TensorBoard: an event file for the training, one for the validation.
 * Rests on callback.h and formats/event_file.h. Tags, folders and names of files are those of Keras; the val_ of a name
 * becomes the folder. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/context_internal.h"
#include "formats/event_file.h"
#include "train/callback.h"

enum { TRAIN, VALIDATION, FILES };
static const char *const folders[FILES] = {"train", "validation"};

typedef struct board {
    soma_callback base;
    soma_context *context;
    char *log_dir;
    int64_t every; /* batches; 0: none */
    FILE *files[FILES];
} board;

static double wall_time(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Makes all folders of a path. */
static void make_folders(char *path) {
    for (char *at = path + 1; *at; at++) {
        if (*at != '/') continue;
        *at = 0;
        (void)mkdir(path, 0777); /* what is wrong shows when the file is opened */
        *at = '/';
    }
}

static soma_status put(const board *b, int which, text *records) {
    bool done = !records->failed &&
                fwrite(text_string(records), 1, records->length, b->files[which]) == records->length &&
                fflush(b->files[which]) == 0;
    text_deinit(records);
    return done ? SOMA_OK : error_set(b->context, SOMA_IO, "%s/%s: could not be written", b->log_dir, folders[which]);
}

/* The file, opened when there is something to write. */
static soma_status open_file(board *b, int which) {
    if (b->files[which]) return SOMA_OK;
    char host[64] = "localhost";
    (void)gethostname(host, sizeof host - 1);
    text path, first;
    text_init(&path, b->context);
    text_printf(&path, "%s/%s/events.out.tfevents.%010lld.%s.%lld.%d", b->log_dir, folders[which],
                (long long)time(NULL), host, (long long)getpid(), which);
    if (!path.failed) make_folders(path.data);
    b->files[which] = path.failed ? NULL : fopen(path.data, "ab");
    soma_status status =
        b->files[which] ? SOMA_OK
                        : error_set(b->context, SOMA_IO, "%s: could not be opened for writing", text_string(&path));
    text_deinit(&path);
    TRY(status);
    text_init(&first, b->context);
    event_version(&first, wall_time());
    return put(b, which, &first);
}

/* All the values of one side. */
static soma_status write_values(board *b, int which, const char *prefix, int64_t at, const soma_logs *logs,
                                const double *rate) {
    double now = wall_time();
    text records, tag;
    bool any = false;
    text_init(&records, b->context);
    text_init(&tag, b->context);
    for (int i = 0; i < logs->n; i++) {
        bool validation = strncmp(logs->names[i], "val_", 4) == 0;
        if (validation != (which == VALIDATION)) continue;
        text_truncate(&tag, 0);
        text_printf(&tag, "%s_%s", prefix, logs->names[i] + (validation ? 4 : 0));
        event_scalar(&records, now, at, text_string(&tag), (float)logs->values[i]);
        any = true;
    }
    text_truncate(&tag, 0);
    text_printf(&tag, "%s_learning_rate", prefix);
    if (rate) event_scalar(&records, now, at, text_string(&tag), (float)*rate);
    if (tag.failed) records.failed = true;
    text_deinit(&tag);
    soma_status status = any || rate ? open_file(b, which) : SOMA_OK;
    if (status == SOMA_OK && (any || rate)) return put(b, which, &records);
    text_deinit(&records);
    return status;
}

static soma_status epoch_end(void *user, soma_model *model, const soma_logs *logs) {
    double rate = soma_learning_rate(model);
    TRY(write_values(user, TRAIN, "epoch", logs->epoch, logs, &rate));
    return write_values(user, VALIDATION, "epoch", logs->epoch, logs, NULL);
}

static soma_status batch_end(void *user, soma_model *model, const soma_logs *logs) {
    board *b = user;
    const int64_t done = soma_updates(model);
    return done % b->every == 0 ? write_values(b, TRAIN, "batch", done - 1, logs, NULL) : SOMA_OK;
}

static void destroy(soma_callback *callback) {
    board *b = (board *)callback;
    for (int i = 0; i < FILES; i++) {
        if (b->files[i]) fclose(b->files[i]);
    }
    text_free(b->log_dir);
    mem_free(b->context, b, sizeof *b);
}

soma_callback *soma_tensorboard_create(const soma_tensorboard_options *options) {
    board *b = callback_alloc(options->context, sizeof *b);
    if (!b) return callback_failed();
    b->context = context_of(options->context);
    b->base.on_epoch_end = epoch_end;
    b->every = options->update_freq;
    if (b->every > 0) b->base.on_train_batch_end = batch_end;
    b->base.destroy = destroy;
    b->log_dir = callback_strdup(options->context, options->log_dir ? options->log_dir : "logs");
    if (b->log_dir) return &b->base;
    destroy(&b->base);
    return callback_failed();
}
