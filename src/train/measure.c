/* Measuring: loss and metrics on data, for evaluate and for the validation in fit.
 * Rests on run.h. Averages are taken in double over samples, so the batch size does not show but in the last bits. */
#include <math.h>
#include <time.h>

#include "train/run.h"

double run_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

soma_status step_pair_get(soma_model *model, step_kind kind, const soma_dataset *data, int64_t batch_size,
                          bool weighted, step_pair *out) {
    RETURN_IF(model->context, batch_size < 1, SOMA_INVALID, "[batches] batch size %lld: expected 1 or more",
              (long long)batch_size);
    int64_t samples = soma_dataset_samples(data);
    if (batch_size > samples) batch_size = samples;
    step_shape shape = step_shape_of(data, batch_size, kind != STEP_PREDICT);
    shape.weighted = weighted;
    *out = (step_pair){.batch = batch_size, .full = step_get(model, kind, &shape)};
    if (!out->full) return training_failure(model);
    shape.batch = samples % batch_size;
    if (shape.batch == 0) return SOMA_OK;
    out->rest = step_get(model, kind, &shape);
    return out->rest ? SOMA_OK : training_failure(model);
}

soma_status step_pair_fit(soma_model *model, step_kind kind, const soma_dataset *data, int64_t batch_size,
                          bool weighted, step_pair *out) {
    const bool limited = soma_memory_limit(model->context) > 0 && soma_last_status(model->context) == SOMA_OK;
    if (batch_size > soma_dataset_samples(data)) batch_size = soma_dataset_samples(data);
    for (;; batch_size = (batch_size + 1) / 2) {
        soma_status status = step_pair_get(model, kind, data, batch_size, weighted, out);
        if (status != SOMA_NO_MEMORY || !limited || batch_size < 2) return status;
        soma_clear_error(model->context);
    }
}

soma_status run_first_batches(soma_model *model, const char *what, const soma_dataset *data, int64_t size,
                              int64_t steps, soma_dataset **out) {
    const int64_t samples = soma_dataset_samples(data);
    RETURN_IF(model->context, steps < 0 || size < 1, SOMA_INVALID,
              "[%s] batch size %lld, steps %lld: expected at least 1, and at least 0", what, (long long)size,
              (long long)steps);
    *out = soma_dataset_slice(data, 0, steps > 0 && steps <= samples / size ? steps * size : samples);
    return *out ? SOMA_OK : training_failure(model);
}

soma_status measure(soma_model *model, batches *data, const step_pair *steps, sample_weights *weights,
                    soma_callback *const *callbacks, averages *out) {
    soma_logs logs = {.batches = batches_count(data)};
    batch_rows b;
    averages_clear(out);
    batches_epoch(data, 0);
    while (batches_next(data, &b)) {
        step *s = step_pair_for(steps, b.count);
        RUN_HOOKS(callbacks, on_test_batch_begin, model, &logs);
        TRY(step_run_batch(s, &b, sample_weights_of(weights, data, &b)));
        averages_add(out, s, b.count);
        RUN_HOOKS(callbacks, on_test_batch_end, model, &logs);
        logs.batch++;
        if (atomic_load_explicit(&model->stop, memory_order_relaxed) & MODEL_INTERRUPTED) return SOMA_INTERRUPTED;
    }
    return SOMA_OK;
}

soma_scores scores_none(soma_status status) {
    soma_scores scores = {.status = status, .loss = (double)NAN};
    for (int i = 0; i < SOMA_MAX_METRICS; i++)
        scores.metrics[i] = (double)NAN;
    return scores;
}

static soma_status begin_test(soma_model *model, const soma_evaluate_options *o, const step_pair *steps,
                              averages *result) {
    TRY(averages_init(result, model, steps->full));
    RUN_HOOKS(o->callbacks, on_test_begin, model, &(soma_logs){0});
    return SOMA_OK;
}

soma_scores scores_of(const averages *a) {
    soma_scores scores = {.status = SOMA_OK, .loss = averages_get(a, 0), .n_metrics = a->n - 1};
    for (int i = 0; i < scores.n_metrics; i++)
        scores.metrics[i] = averages_get(a, 1 + i);
    return scores;
}

static soma_status evaluate(soma_model *model, const soma_evaluate_options *o, const soma_dataset *samples,
                            int64_t size, averages *result) {
    step_pair steps;
    TRY(step_pair_fit(model, STEP_TEST, samples, size, o->sample_weight != NULL, &steps));
    batches data;
    TRY(batches_init(&data, samples, steps.batch, false, 0));
    sample_weights weights = {0};
    soma_status status = SOMA_OK;
    if (o->sample_weight)
        status = sample_weights_init(&weights, model, "evaluate", o->sample_weight, soma_dataset_samples(samples), 1);
    if (status == SOMA_OK) status = begin_test(model, o, &steps, result);
    if (status == SOMA_OK) status = measure(model, &data, &steps, &weights, o->callbacks, result);
    sample_weights_deinit(&weights, model);
    batches_deinit(&data);
    if (status != SOMA_OK && status != SOMA_INTERRUPTED) return status;
    RUN_HOOKS(o->callbacks, on_test_end, model, &(soma_logs){0});
    return status;
}

static soma_status evaluate_part(soma_model *model, const soma_evaluate_options *o, averages *result) {
    const int64_t size = o->batch_size ? o->batch_size : MEASURE_BATCH;
    soma_dataset *samples;
    TRY(training_check_data(model, "evaluate", o->data, true));
    TRY(training_check_adapted(model, "evaluate"));
    TRY(run_first_batches(model, "evaluate", o->data, size, o->steps, &samples));
    soma_status status = evaluate(model, o, samples, size, result);
    soma_dataset_destroy(samples);
    return status;
}

soma_scores soma_model_evaluate(soma_model *model, const soma_evaluate_options *options) {
    if (!model || !options) return scores_none(error_set(NULL, SOMA_INVALID, "[evaluate] no model given"));
    averages result = {0};
    soma_status status = evaluate_part(model, options, &result);
    soma_scores scores = status == SOMA_OK ? scores_of(&result) : scores_none(status);
    averages_deinit(&result, model);
    return scores;
}
