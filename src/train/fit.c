/* Fit: epochs of shuffled batches, each one run of the training plan, with validation, history, callbacks, progress.
 * Rests on run.h and progress.h. All plans and buffers are made before the first step; after that an epoch allocates
 * nothing. The order of samples is a function of the seed and of how many epochs the weights have seen. */
#include <math.h>
#include <string.h>

#include "train/progress.h"
#include "train/run.h"
#include "train/sample_weights.h"

typedef struct fitting {
    soma_model *model;
    training *t;
    const soma_fit_options *o;
    soma_dataset *train, *validation;
    soma_dataset *parts[2]; /* slices to be destroyed */
    batches train_batches, validation_batches;
    bool has_train_batches, has_validation_batches;
    step_pair train_steps, validation_steps;
    int64_t epochs, batch_size, n_batches;
    bool watched; /* somebody looks at every batch */
    bool timed;   /* somebody looks at the time */
    progress progress;
    sample_weights weights;
    averages averages, measured;
    /* What callbacks and the progress see: columns in order, first those of the training alone. */
    const char *names[TRAINING_KEYS];
    double values[TRAINING_KEYS];
    double row[TRAINING_KEYS];
    double epoch_start;
    soma_logs logs;
} fitting;

/* ---- preparing ---- */

static soma_status check_options(const soma_model *model, const soma_fit_options *o) {
    soma_context *c = model->context;
    RETURN_IF(c, o->epochs < 0 || o->initial_epoch < 0, SOMA_INVALID, "[fit] epochs %lld from %lld",
              (long long)o->epochs, (long long)o->initial_epoch);
    RETURN_IF(c, !(o->validation_split >= 0 && o->validation_split < 1), SOMA_INVALID,
              "[fit] validation_split is %g: it must be at least 0 and less than 1", o->validation_split);
    RETURN_IF(c, o->batch_size < 0 || o->steps_per_epoch < 0 || o->validation_batch_size < 0 || o->validation_freq < 0,
              SOMA_INVALID, "[fit] batch sizes, steps_per_epoch and validation_freq must not be negative");
    RETURN_IF(c, o->verbose < SOMA_VERBOSE_NONE || o->verbose > SOMA_VERBOSE_BAR, SOMA_INVALID, "[fit] verbose is %d",
              o->verbose);
    return SOMA_OK;
}

/* The last share of the samples is held out, before anything is shuffled. */
static soma_status split(fitting *f) {
    f->train = f->o->data;
    f->validation = f->o->validation_data;
    if (f->validation || f->o->validation_split == 0) return SOMA_OK;
    int64_t samples = soma_dataset_samples(f->o->data);
    int64_t at = (int64_t)floor((double)samples * (1 - f->o->validation_split));
    RETURN_IF(f->model->context, at == 0 || at == samples, SOMA_INVALID,
              "[fit] validation_split %g leaves %lld of %lld samples to train on", f->o->validation_split,
              (long long)at, (long long)samples);
    f->parts[0] = soma_dataset_slice(f->o->data, 0, at);
    f->parts[1] = soma_dataset_slice(f->o->data, at, samples);
    f->train = f->parts[0];
    f->validation = f->parts[1];
    return f->train && f->validation ? SOMA_OK : training_failure(f->model);
}

static soma_status prepare_data(fitting *f) {
    const soma_fit_options *o = f->o;
    TRY(training_check_data(f->model, "fit", o->data, true));
    if (o->validation_data) TRY(training_check_data(f->model, "fit: validation_data", o->validation_data, true));
    TRY(training_adopt_labels(f->model, o->data));
    TRY(split(f));
    f->batch_size = o->batch_size ? o->batch_size : 32;
    TRY(step_pair_get(f->model, STEP_TRAIN, f->train, f->batch_size, o->class_weight || o->sample_weight,
                      &f->train_steps));
    TRY(batches_init(&f->train_batches, f->train, f->train_steps.batch, !o->no_shuffle,
                     soma_random_seed(f->model->context)));
    f->has_train_batches = true;
    f->n_batches = batches_count(&f->train_batches);
    if (o->steps_per_epoch > 0 && o->steps_per_epoch < f->n_batches) f->n_batches = o->steps_per_epoch;
    TRY(sample_weights_init(&f->weights, f->model, o, soma_dataset_samples(f->train), f->train_steps.batch));
    TRY(averages_init(&f->averages, f->model, f->train_steps.full));
    if (!f->validation) return SOMA_OK;
    int64_t size = o->validation_batch_size ? o->validation_batch_size : f->batch_size;
    TRY(step_pair_get(f->model, STEP_TEST, f->validation, size, false, &f->validation_steps));
    TRY(batches_init(&f->validation_batches, f->validation, f->validation_steps.batch, false, 0));
    f->has_validation_batches = true;
    return averages_init(&f->measured, f->model, f->validation_steps.full);
}

static soma_status prepare(fitting *f) {
    const soma_fit_options *o = f->o;
    f->epochs = o->epochs ? o->epochs : 1;
    TRY(prepare_data(f));
    int64_t more = f->epochs > o->initial_epoch ? f->epochs - o->initial_epoch : 0;
    TRY(history_begin(f->model, o->initial_epoch > 0, more, f->validation != NULL));
    f->logs = (soma_logs){.epochs = f->epochs, .batches = f->n_batches, .names = f->names, .values = f->values};
    f->logs.write = f->progress.write;
    f->logs.write_user = f->progress.user;
    f->logs.callbacks = o->callbacks;
    while (f->logs.n_callbacks < SOMA_MAX_CALLBACKS && o->callbacks[f->logs.n_callbacks])
        f->logs.n_callbacks++;
    for (int i = 0; i < SOMA_MAX_CALLBACKS && o->callbacks[i]; i++)
        f->watched = f->watched || o->callbacks[i]->on_train_batch_begin || o->callbacks[i]->on_train_batch_end;
    f->watched = f->watched || f->progress.mode == SOMA_VERBOSE_BAR;
    f->timed = o->callbacks[0] || f->progress.mode != SOMA_VERBOSE_NONE;
    return SOMA_OK;
}

static void release(fitting *f) {
    if (f->has_train_batches) batches_deinit(&f->train_batches);
    if (f->has_validation_batches) batches_deinit(&f->validation_batches);
    sample_weights_deinit(&f->weights, f->model);
    averages_deinit(&f->averages, f->model);
    averages_deinit(&f->measured, f->model);
    soma_dataset_destroy(f->parts[0]);
    soma_dataset_destroy(f->parts[1]);
    progress_deinit(&f->progress);
    for (int i = 0; i < SOMA_MAX_CALLBACKS && f->o->callbacks[i]; i++) {
        soma_callback *callback = f->o->callbacks[i];
        if (callback->destroy) callback->destroy(callback);
    }
}

/* ---- an epoch ---- */

/* names and values of what is known: the training's, and the validation's once it has been measured. */
static void collect(fitting *f, bool validated) {
    int n = 0;
    for (int i = 0; i < f->t->n_keys; i++) {
        const training_key *key = &f->t->keys[i];
        f->row[i] = (double)NAN;
        if (key->validation && !validated) continue;
        f->row[i] = averages_get(key->validation ? &f->measured : &f->averages, key->value);
        f->names[n] = key->name;
        f->values[n++] = f->row[i];
    }
    f->logs.n = n;
}

/* Asking the clock takes as long as a tenth of a small network's step. */
static double seconds(const fitting *f) {
    return f->timed ? run_seconds() : 0;
}

static int stop_reason(const fitting *f) {
    return atomic_load_explicit(&f->model->stop, memory_order_relaxed);
}

/* What only runs when somebody looks at every batch. */
static soma_status after_batch(fitting *f) {
    double now = run_seconds();
    collect(f, false);
    f->logs.seconds = now - f->epoch_start;
    progress_step(&f->progress, f->logs.batch + 1, now, f->names, f->values, f->logs.n);
    RUN_HOOKS(f->o->callbacks, on_train_batch_end, f->model, &f->logs);
    return SOMA_OK;
}

static soma_status train_batch(fitting *f, const void *x, const void *y, int64_t count) {
    step *s = step_pair_for(&f->train_steps, count);
    if (f->watched) RUN_HOOKS(f->o->callbacks, on_train_batch_begin, f->model, &f->logs);
    TRY(step_run_weighted(s, x, y, sample_weights_of(&f->weights, &f->train_batches, count)));
    RETURN_IF(f->model->context, f->o->terminate_on_nan && !isfinite(step_value(s, 0, 0)), SOMA_DIVERGED,
              "[fit] epoch %lld: Batch %lld: Invalid loss, terminating training; a smaller learning rate may help",
              (long long)f->logs.epoch + 1, (long long)f->logs.batch);
    averages_add(&f->averages, s, count);
    if (f->watched) return after_batch(f);
    if (f->logs.batch == 0 && f->progress.mode != SOMA_VERBOSE_NONE)
        progress_step(&f->progress, 1, run_seconds(), NULL, NULL, 0); /* the first step counts by itself */
    return SOMA_OK;
}

static soma_status train_epoch(fitting *f) {
    const void *x, *y;
    int64_t count;
    averages_clear(&f->averages);
    batches_epoch(&f->train_batches, f->t->epochs_done);
    for (f->logs.batch = 0; f->logs.batch < f->n_batches; f->logs.batch++) {
        if (!batches_next(&f->train_batches, &x, &y, &count)) break;
        TRY(train_batch(f, x, y, count));
        if (stop_reason(f) == MODEL_INTERRUPTED) return SOMA_INTERRUPTED;
        if (stop_reason(f) == MODEL_STOPS) break;
    }
    f->t->epochs_done++;
    return SOMA_OK;
}

static soma_status validate(fitting *f) {
    RUN_HOOKS(f->o->callbacks, on_test_begin, f->model, &f->logs);
    TRY(measure(f->model, &f->validation_batches, &f->validation_steps, f->o->callbacks, &f->measured));
    RUN_HOOKS(f->o->callbacks, on_test_end, f->model, &f->logs);
    return SOMA_OK;
}

static soma_status run_epoch(fitting *f, int64_t epoch) {
    int64_t every = f->o->validation_freq ? f->o->validation_freq : 1;
    bool validates = f->validation && (epoch + 1) % every == 0;
    f->epoch_start = seconds(f);
    f->logs.epoch = epoch;
    f->logs.batch = 0;
    f->logs.n = 0;
    f->logs.seconds = 0;
    RUN_HOOKS(f->o->callbacks, on_epoch_begin, f->model, &f->logs);
    progress_begin(&f->progress, epoch, f->epochs, f->n_batches, f->epoch_start);
    TRY(train_epoch(f));
    int64_t done = f->logs.batch < f->n_batches ? f->logs.batch + 1 : f->n_batches;
    progress_step(&f->progress, done, seconds(f), f->names, f->values, f->logs.n);
    if (validates) TRY(validate(f));
    collect(f, validates);
    double now = seconds(f);
    f->logs.seconds = now - f->epoch_start;
    progress_end(&f->progress, epoch, now, f->names, f->values, f->logs.n);
    history_add(f->model, f->row);
    RUN_HOOKS(f->o->callbacks, on_epoch_end, f->model, &f->logs);
    return SOMA_OK;
}

static soma_status run(fitting *f) {
    f->t->start_epoch = f->o->initial_epoch;
    RUN_HOOKS(f->o->callbacks, on_train_begin, f->model, &f->logs);
    for (int64_t epoch = f->t->start_epoch; epoch < f->epochs && stop_reason(f) == MODEL_RUNS; epoch++) {
        TRY(run_epoch(f, epoch));
        if (stop_reason(f) == MODEL_INTERRUPTED) return SOMA_INTERRUPTED;
        if (stop_reason(f) == MODEL_STOPS) break;
    }
    RUN_HOOKS(f->o->callbacks, on_train_end, f->model, &f->logs);
    return SOMA_OK;
}

soma_status soma_model_fit(soma_model *model, const soma_fit_options *options) {
    RETURN_IF(NULL, !model || !options, SOMA_INVALID, "[fit] no model given");
    fitting f = {.model = model, .o = options, .t = training_of(model)};
    if (!f.t) return SOMA_NO_MEMORY;
    progress_init(&f.progress, model->context, options->verbose, options->write, options->write_user);
    int expected = MODEL_STOPS; /* an interruption that came early counts */
    atomic_compare_exchange_strong(&model->stop, &expected, MODEL_RUNS);
    soma_status status = check_options(model, options);
    if (status == SOMA_OK) status = stop_reason(&f) == MODEL_INTERRUPTED ? SOMA_INTERRUPTED : prepare(&f);
    if (status == SOMA_OK) status = run(&f);
    release(&f);
    atomic_store(&model->stop, MODEL_RUNS);
    return status;
}

void soma_model_stop_training(soma_model *model) {
    int expected = MODEL_RUNS;
    if (model) atomic_compare_exchange_strong(&model->stop, &expected, MODEL_STOPS);
}

void soma_model_request_stop(soma_model *model) {
    if (model) atomic_store(&model->stop, MODEL_INTERRUPTED);
}
