/* TensorBoard: an event file for the training, one for the validation.
 * Rests on callback.h and formats/event_file.h. Tags, folders and names of files are those of Keras; the val_ of a name
 * becomes the folder. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/context_internal.h"
#include "base/file.h"
#include "base/file_error.h"
#include "formats/event_file.h"
#include "train/callback.h"

enum { TRAIN, VALIDATION, FILES };
static const char *const folders[FILES] = {"train", "validation"};

typedef struct board {
    soma_callback base;
    soma_context *context;
    char *log_dir;
    int64_t every;      /* batches; 0: none */
    int64_t histograms; /* epochs from one to the next; 0: none */
    bool speed;
    FILE *files[FILES];
} board;

static double wall_time(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static soma_status put(const board *b, int which, text *records) {
    soma_status status = records->failed ? SOMA_NO_MEMORY : SOMA_OK;
    if (status == SOMA_OK && (fwrite(text_string(records), 1, records->length, b->files[which]) != records->length ||
                              fflush(b->files[which]) != 0))
        status = file_error(b->context, b->log_dir, "cannot be written", errno);
    text_deinit(records);
    return status;
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
    if (!path.failed) file_make_folders(path.data);
    b->files[which] = path.failed ? NULL : fopen(path.data, "ab");
    soma_status status = path.failed ? SOMA_NO_MEMORY : SOMA_OK;
    if (status == SOMA_OK && !b->files[which])
        status = file_error(b->context, text_string(&path), "cannot be written", errno);
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
        if (strcmp(logs->names[i], "learning_rate") == 0) continue; /* which always is there, below */
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

/* ---- histograms ---- */

/* A weight's elements, in the context's memory. */
static soma_status read_weight(const board *b, const soma_variable *w, double *numbers) {
    const int64_t n = soma_variable_size(w);
    const size_t bytes = (size_t)n * soma_dtype_size(soma_variable_dtype(w));
    void *copy = mem_alloc(b->context, bytes);
    if (!copy) return SOMA_NO_MEMORY;
    const soma_status status = soma_variable_get(w, copy, bytes);
    for (int64_t i = 0; i < n && status == SOMA_OK; i++)
        numbers[i] = soma_variable_dtype(w) == SOMA_F64 ? ((double *)copy)[i] : (double)((float *)copy)[i];
    mem_free(b->context, copy, bytes);
    return status;
}

static soma_status write_histogram(board *b, int64_t epoch, const soma_variable *w) {
    const soma_dtype dtype = soma_variable_dtype(w);
    const int64_t n = soma_variable_size(w);
    if (dtype != SOMA_F32 && dtype != SOMA_F64) return SOMA_OK; /* counters */
    double *numbers = mem_alloc(b->context, (size_t)n * sizeof *numbers);
    if (!numbers) return SOMA_NO_MEMORY;
    event_histogram_data h;
    soma_status status = read_weight(b, w, numbers);
    if (status == SOMA_OK && event_count(&h, numbers, n)) {
        text records, tag;
        text_init(&records, b->context);
        text_init(&tag, b->context);
        text_printf(&tag, "%s/histogram", soma_variable_name(w));
        event_histogram(&records, wall_time(), epoch, text_string(&tag), &h);
        if (tag.failed) records.failed = true;
        text_deinit(&tag);
        status = put(b, TRAIN, &records);
    }
    mem_free(b->context, numbers, (size_t)n * sizeof *numbers);
    return status;
}

static soma_status write_histograms(board *b, const soma_model *model, int64_t epoch) {
    for (int i = 0; i < soma_model_layers(model); i++) {
        const soma_layer *layer = soma_model_get_layer(model, i);
        for (int k = 0; k < soma_layer_weights(layer); k++)
            TRY(write_histogram(b, epoch, soma_layer_get_weight(layer, k)));
    }
    return SOMA_OK;
}

/* ---- hooks ---- */

static soma_status write_speed(const board *b, const soma_logs *logs) {
    text records;
    text_init(&records, b->context);
    event_scalar(&records, wall_time(), logs->epoch, "epoch_steps_per_second",
                 (float)((double)logs->batches / fmax(logs->seconds, 1e-9)));
    return put(b, TRAIN, &records);
}

static soma_status epoch_end(void *user, soma_model *model, const soma_logs *logs) {
    board *b = user;
    double rate = soma_learning_rate(model);
    TRY(write_values(b, TRAIN, "epoch", logs->epoch, logs, &rate));
    if (b->speed) TRY(write_speed(b, logs));
    if (b->histograms > 0 && logs->epoch % b->histograms == 0) TRY(write_histograms(b, model, logs->epoch));
    return write_values(b, VALIDATION, "epoch", logs->epoch, logs, NULL);
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
    b->histograms = options->histogram_freq;
    b->speed = options->write_steps_per_second;
    if (b->every > 0) b->base.on_train_batch_end = batch_end;
    b->base.destroy = destroy;
    b->log_dir = callback_strdup(options->context, options->log_dir ? options->log_dir : "logs");
    if (b->log_dir) return &b->base;
    destroy(&b->base);
    return callback_failed();
}
