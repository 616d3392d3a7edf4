/* Fit: epochs of shuffled batches, each one run of the training plan, with validation, history, callbacks, progress.
 * Rests on run.h and progress.h. All plans and buffers are made before the first step; after that an epoch allocates
 * nothing. The order of samples is a function of the seed and of how many epochs the weights have seen. */
#include <math.h>
#include <string.h>

#include "train/progress.h"
#include "train/run.h"

typedef struct fitting {
    soma_model *model;
    training *t;
    const soma_fit_options *o;
    soma_dataset *train, *validation;
    soma_dataset *parts[3]; /* slices to be destroyed */
    batches train_batches, validation_batches;
    bool has_train_batches, has_validation_batches;
    step_pair train_steps, validation_steps;
    int64_t epochs, batch_size, n_batches;
    bool watched; /* somebody looks at every batch */
    bool timed;   /* somebody looks at the time */
    progress progress;
    sample_weights weights, validation_weights;
    averages averages, measured;
    /* What callbacks and the progress see: columns in order, first those of the training alone. */
    const char *names[TRAINING_KEYS];
    double values[TRAINING_KEYS];
    double row[TRAINING_KEYS];
    double epoch_start;
    bool goes_on; /* the epoch that begins is one that was left */
    soma_logs logs;
} fitting;

/* ---- preparing ---- */

static soma_status check_options(const soma_model *model, const soma_fit_options *o) {
    soma_context *c = model->context;
    RETURN_IF(c, o->epochs < 0 || o->initial_epoch < 0, SOMA_INVALID,
              "[fit] epochs %lld, initial_epoch %lld: neither may be negative", (long long)o->epochs,
              (long long)o->initial_epoch);
    RETURN_IF(c, !(o->validation_split >= 0 && o->validation_split < 1), SOMA_INVALID,
              "[fit] validation_split is %g: it must be at least 0 and less than 1", o->validation_split);
    RETURN_IF(c,
              o->batch_size < 0 || o->steps_per_epoch < 0 || o->validation_batch_size < 0 || o->validation_freq < 0 ||
                  o->validation_steps < 0,
              SOMA_INVALID, "[fit] batch sizes, steps and validation_freq must not be negative");
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
    TRY(training_adapt(f->model, f->train, false));
    f->batch_size = o->batch_size ? o->batch_size : 32;
    TRY(step_pair_get(f->model, STEP_TRAIN, f->train, f->batch_size, o->class_weight || o->sample_weight,
                      &f->train_steps));
    TRY(batches_init(&f->train_batches, f->train, f->train_steps.batch, !o->no_shuffle,
                     soma_random_seed(f->model->context)));
    f->has_train_batches = true;
    const batch_rows any = {.of = &f->train_batches, .order = f->train_batches.order};
    TRY(step_bind(f->train_steps.full, &any)); /* memory for the rows, before the first step */
    if (f->train_steps.rest) TRY(step_bind(f->train_steps.rest, &any));
    f->n_batches = batches_count(&f->train_batches);
    if (o->steps_per_epoch > 0 && o->steps_per_epoch < f->n_batches) f->n_batches = o->steps_per_epoch;
    if (o->sample_weight || o->class_weight)
        TRY(sample_weights_init(&f->weights, f->model, "fit", o->sample_weight, soma_dataset_samples(f->train),
                                f->train_steps.batch));
    if (o->class_weight)
        TRY(sample_weights_by_class(&f->weights, f->model, "fit", o->data, o->class_weight, o->n_class_weight));
    TRY(averages_init(&f->averages, f->model, f->train_steps.full));
    if (!f->validation) return SOMA_OK;
    int64_t size = o->validation_batch_size ? o->validation_batch_size : f->batch_size;
    TRY(run_first_batches(f->model, "fit: validation", f->validation, size, o->validation_steps, &f->parts[2]));
    f->validation = f->parts[2];
    const double *weights = o->validation_sample_weight; /* a share has those of its samples */
    if (!o->validation_data) weights = o->sample_weight ? o->sample_weight + soma_dataset_samples(f->train) : NULL;
    TRY(step_pair_fit(f->model, STEP_TEST, f->validation, size, weights != NULL, &f->validation_steps));
    if (weights)
        TRY(sample_weights_init(&f->validation_weights, f->model, "fit: validation", weights,
                                soma_dataset_samples(f->validation), 1));
    TRY(batches_init(&f->validation_batches, f->validation, f->validation_steps.batch, false, 0));
    f->has_validation_batches = true;
    return averages_init(&f->measured, f->model, f->validation_steps.full);
}

/* ---- the place in the epoch ---- */

static int stop_reason(const fitting *f) {
    return atomic_load_explicit(&f->model->stop, memory_order_relaxed);
}

/* Where the fit begins: where it is told to, or where the last one was left. */
static soma_status find_place(fitting *f) {
    fit_place *p = &f->t->place;
    f->t->start_epoch = f->o->initial_epoch;
    if (!f->o->resume) {
        place_clear(p, f->model->context);
    } else {
        p->resume = p->inside;
        f->t->start_epoch = p->inside ? p->at[PLACE_EPOCH] : f->t->history.epochs;
    }
    return SOMA_OK;
}

/* Batches done so far; called when somebody may save the model, or the fit is left. */
static soma_status keep_place(fitting *f, int64_t batch) {
    fit_place *p = &f->t->place;
    size_t bytes = (size_t)averages_count(&f->averages) * sizeof(double);
    if (p->sums.bytes != bytes) place_clear(p, f->model->context);
    if (!p->sums.data) p->sums.data = mem_alloc(f->model->context, bytes);
    if (!p->sums.data) return SOMA_NO_MEMORY;
    p->sums.bytes = bytes;
    averages_export(&f->averages, p->sums.data);
    const int64_t at[] = {f->logs.epoch,
                          batch,
                          f->train_batches.size,
                          f->n_batches,
                          f->train_batches.samples,
                          stop_reason(f) & MODEL_STOPS};
    memcpy(p->at, at, sizeof at);
    p->inside = true;
    return SOMA_OK;
}

/* What was read or kept is of a fit like this one. */
static soma_status check_place(const fitting *f) {
    const fit_place *p = &f->t->place;
    const int64_t *at = p->at;
    RETURN_IF(f->model->context,
              at[PLACE_SIZE] != f->train_batches.size || at[PLACE_BATCHES] != f->n_batches ||
                  at[PLACE_SAMPLES] != f->train_batches.samples,
              SOMA_INVALID,
              "[fit] resume: %lld batches of %lld from %lld samples were interrupted, these are %lld of %lld from %lld",
              (long long)at[PLACE_BATCHES], (long long)at[PLACE_SIZE], (long long)at[PLACE_SAMPLES],
              (long long)f->n_batches, (long long)f->train_batches.size, (long long)f->train_batches.samples);
    RETURN_IF(f->model->context,
              at[PLACE_BATCH] > f->n_batches || p->sums.bytes != (size_t)averages_count(&f->averages) * sizeof(double),
              SOMA_FORMAT, "[fit] resume: the place in the epoch, batch %lld, is none of this model's",
              (long long)at[PLACE_BATCH]);
    return SOMA_OK;
}

/* The rate of each epoch is shown where somebody may change it. */
static bool rate_changes(const fitting *f) {
    bool changes = f->t->minimizer.optimizer->options->schedule.rate != NULL;
    for (int i = 0; i < SOMA_MAX_CALLBACKS && f->o->callbacks[i]; i++)
        changes = changes || f->o->callbacks[i]->changes_learning_rate;
    return changes;
}

/* What a callback watches is measured; else it would wait for ever. */
static soma_status check_monitor(const fitting *f, const char *name, const bool used[KEY_KINDS]) {
    text known;
    text_init(&known, f->model->context);
    bool found = !name;
    for (int i = 0; i < f->t->n_keys && !found; i++) {
        const training_key *key = &f->t->keys[i];
        if (!used[key->kind]) continue;
        found = strcmp(key->name, name) == 0;
        text_printf(&known, "%s%s", known.length ? ", " : "", key->name);
    }
    if (!found)
        (void)error_set(f->model->context, SOMA_INVALID,
                        "[fit] a callback watches %s, which is not measured. There are: %s%s", name,
                        text_string(&known),
                        used[KEY_VALIDATION] ? "" : ", and val_... with validation_data or validation_split");
    text_deinit(&known);
    return found ? SOMA_OK : SOMA_INVALID;
}

static soma_status prepare(fitting *f) {
    const soma_fit_options *o = f->o;
    f->epochs = o->epochs ? o->epochs : 1;
    TRY(prepare_data(f));
    TRY(find_place(f));
    int64_t first = f->t->start_epoch, more = f->epochs > first ? f->epochs - first : 0;
    const bool used[KEY_KINDS] = {true, f->validation != NULL, rate_changes(f)};
    for (int i = 0; i < SOMA_MAX_CALLBACKS && o->callbacks[i]; i++)
        TRY(check_monitor(f, o->callbacks[i]->monitor, used));
    TRY(history_begin(f->model, first > 0, more, used));
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
    sample_weights_deinit(&f->validation_weights, f->model);
    averages_deinit(&f->averages, f->model);
    averages_deinit(&f->measured, f->model);
    soma_dataset_destroy(f->parts[0]);
    soma_dataset_destroy(f->parts[1]);
    soma_dataset_destroy(f->parts[2]);
    progress_deinit(&f->progress);
    for (int i = 0; i < SOMA_MAX_CALLBACKS && f->o->callbacks[i]; i++) {
        soma_callback *callback = f->o->callbacks[i];
        if (callback->destroy) callback->destroy(callback);
    }
}

/* ---- an epoch ---- */

/* names and values of what is known: the training's, at the end of an epoch the rate, and the validation's once it has
 * been measured. */
static void collect(fitting *f, bool ended, bool validated) {
    const bool known[KEY_KINDS] = {true, validated, ended && f->t->history.used[KEY_RATE]};
    int n = 0;
    for (int i = 0; i < f->t->n_keys; i++) {
        const training_key *key = &f->t->keys[i];
        f->row[i] = (double)NAN;
        if (!known[key->kind]) continue;
        f->row[i] = key->kind == KEY_RATE
                        ? soma_learning_rate(f->model)
                        : averages_get(key->kind == KEY_VALIDATION ? &f->measured : &f->averages, key->value);
        f->names[n] = key->name;
        f->values[n++] = f->row[i];
    }
    f->logs.n = n;
}

/* Asking the clock takes as long as a tenth of a small network's step. */
static double seconds(const fitting *f) {
    return f->timed ? run_seconds() : 0;
}

/* What only runs when somebody looks at every batch. */
static soma_status after_batch(fitting *f) {
    double now = run_seconds();
    collect(f, false, false);
    f->logs.seconds = now - f->epoch_start;
    progress_step(&f->progress, f->logs.batch + 1, now, f->names, f->values, f->logs.n);
    TRY(keep_place(f, f->logs.batch + 1));
    RUN_HOOKS(f->o->callbacks, on_train_batch_end, f->model, &f->logs);
    return SOMA_OK;
}

static soma_status train_batch(fitting *f, const batch_rows *b) {
    step *s = step_pair_for(&f->train_steps, b->count);
    if (f->watched) RUN_HOOKS(f->o->callbacks, on_train_batch_begin, f->model, &f->logs);
    TRY(step_run_batch(s, b, sample_weights_of(&f->weights, &f->train_batches, b)));
    RETURN_IF(f->model->context, f->o->terminate_on_nan && !isfinite(step_value(s, 0, 0)), SOMA_DIVERGED,
              "[fit] epoch %lld: Batch %lld: Invalid loss, terminating training; %s", (long long)f->logs.epoch + 1,
              (long long)f->logs.batch,
              soma_updates(f->model) > 1 ? "a smaller learning rate may help"
                                         : "the data may hold numbers that are not finite, or too large");
    averages_add(&f->averages, s, b->count);
    if (f->watched) return after_batch(f);
    if (f->logs.batch == 0 && f->progress.mode != SOMA_VERBOSE_NONE)
        progress_step(&f->progress, 1, run_seconds(), NULL, NULL, 0); /* the first step counts by itself */
    return SOMA_OK;
}

/* Interrupted: what the callbacks know goes with them, so it is kept too. */
static soma_status leave(fitting *f, int64_t batch) {
    TRY(keep_place(f, batch));
    TRY(place_keep_callbacks(&f->t->place, f->model->context, f->o->callbacks));
    return SOMA_INTERRUPTED;
}

static soma_status train_epoch(fitting *f) {
    batch_rows b;
    averages_clear(&f->averages);
    batches_epoch(&f->train_batches, f->t->epochs_done);
    f->logs.batch = 0;
    if (f->goes_on) {
        f->logs.batch = f->t->place.at[PLACE_BATCH];
        averages_import(&f->averages, f->t->place.sums.data);
        batches_seek(&f->train_batches, f->logs.batch);
    }
    if (f->goes_on && stop_reason(f) & MODEL_STOPS) { /* in that batch, which was the last */
        f->logs.batch--;
        return SOMA_OK;
    }
    for (; f->logs.batch < f->n_batches; f->logs.batch++) {
        if (!batches_next(&f->train_batches, &b)) break;
        TRY(train_batch(f, &b));
        if (stop_reason(f) & MODEL_INTERRUPTED) return leave(f, f->logs.batch + 1);
        if (stop_reason(f) & MODEL_STOPS) break;
    }
    return SOMA_OK;
}

static soma_status validate(fitting *f, int64_t done) {
    RUN_HOOKS(f->o->callbacks, on_test_begin, f->model, &f->logs);
    soma_status status = measure(f->model, &f->validation_batches, &f->validation_steps, &f->validation_weights,
                                 f->o->callbacks, &f->measured);
    if (status != SOMA_OK && status != SOMA_INTERRUPTED) return status;
    RUN_HOOKS(f->o->callbacks, on_test_end, f->model, &f->logs);
    return status == SOMA_OK ? SOMA_OK : leave(f, done);
}

static soma_status run_epoch(fitting *f, int64_t epoch) {
    int64_t every = f->o->validation_freq ? f->o->validation_freq : 1;
    bool validates = f->validation && (epoch + 1) % every == 0;
    f->epoch_start = seconds(f);
    f->logs.epoch = epoch;
    f->logs.batch = 0;
    f->logs.n = 0;
    f->logs.seconds = 0;
    bool begun = f->goes_on && f->t->place.at[PLACE_BATCH] > 0; /* the callbacks know already */
    if (!begun) RUN_HOOKS(f->o->callbacks, on_epoch_begin, f->model, &f->logs);
    progress_begin(&f->progress, epoch, f->epochs, f->n_batches, f->epoch_start);
    TRY(train_epoch(f));
    int64_t done = f->logs.batch < f->n_batches ? f->logs.batch + 1 : f->n_batches;
    progress_step(&f->progress, done, seconds(f), f->names, f->values, f->logs.n);
    if (validates) TRY(validate(f, done));
    collect(f, true, validates);
    double now = seconds(f);
    f->logs.seconds = now - f->epoch_start;
    progress_end(&f->progress, epoch, now, f->names, f->values, f->logs.n);
    TRY(history_add(f->model, f->row));
    f->goes_on = f->t->place.inside = false;
    f->t->epochs_done++;
    RUN_HOOKS(f->o->callbacks, on_epoch_end, f->model, &f->logs);
    return SOMA_OK;
}

/* Interrupted with no batch of the next epoch done. */
static soma_status between_epochs(fitting *f, int64_t next) {
    averages_clear(&f->averages);
    f->logs.epoch = next;
    return leave(f, 0);
}

static soma_status run(fitting *f) {
    fit_place *place = &f->t->place;
    for (int i = 0; i < f->t->n_keys; i++) { /* what there will be */
        f->values[f->logs.n] = (double)NAN;
        if (f->t->history.used[f->t->keys[i].kind]) f->names[f->logs.n++] = f->t->keys[i].name;
    }
    RUN_HOOKS(f->o->callbacks, on_train_begin, f->model, &f->logs);
    f->logs.n = 0;
    f->goes_on = place->inside && place->resume; /* also where a backup was restored */
    if (f->goes_on) {
        TRY(check_place(f));
        TRY(place_give_callbacks(place, f->model->context, f->o->callbacks));
        place_drop_callbacks(place, f->model->context);
    }
    if (f->goes_on && place->at[PLACE_STOPS]) soma_model_stop_training(f->model);
    bool over = !f->goes_on && stop_reason(f) & MODEL_STOPS;
    for (int64_t epoch = f->t->start_epoch; epoch < f->epochs && !over; epoch++) {
        TRY(run_epoch(f, epoch));
        over = stop_reason(f) & MODEL_STOPS || epoch + 1 == f->epochs;
        if (!over && stop_reason(f) & MODEL_INTERRUPTED) return between_epochs(f, epoch + 1);
    }
    TRY(minimizer_finalize(&f->t->minimizer));
    RUN_HOOKS(f->o->callbacks, on_train_end, f->model, &f->logs);
    return SOMA_OK;
}

soma_status soma_model_fit(soma_model *model, const soma_fit_options *options) {
    RETURN_IF(NULL, !model || !options, SOMA_INVALID, "[fit] no model given");
    fitting f = {.model = model, .o = options, .t = training_of(model)};
    if (!f.t) return SOMA_NO_MEMORY;
    progress_init(&f.progress, model->context, options->verbose, options->write, options->write_user);
    (void)atomic_fetch_and(&model->stop, MODEL_INTERRUPTED); /* which counts also when it came early */
    soma_status status = check_options(model, options);
    if (status == SOMA_OK) status = stop_reason(&f) & MODEL_INTERRUPTED ? SOMA_INTERRUPTED : prepare(&f);
    if (status == SOMA_OK) status = run(&f);
    f.t->place.resume = false;
    if (status != SOMA_INTERRUPTED) place_clear(&f.t->place, model->context);
    release(&f);
    atomic_store(&model->stop, MODEL_RUNS);
    return status;
}

void soma_model_stop_training(soma_model *model) {
    if (model) (void)atomic_fetch_or(&model->stop, MODEL_STOPS);
}

void soma_model_request_stop(soma_model *model) {
    if (model) (void)atomic_fetch_or(&model->stop, MODEL_INTERRUPTED);
}
