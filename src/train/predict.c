/* Predicting: the outputs for data, for a batch in memory, and the plans behind them.
 * Rests on run.h. Results go straight to where the caller wants them: a tensor's elements or its own memory. */
#include <string.h>

#include "train/run.h"

static soma_status run_batches(soma_model *model, const soma_predict_options *o, batches *data, const step_pair *steps,
                               char *out) {
    soma_logs logs = {.batches = batches_count(data)};
    batch_rows b;
    while (batches_next(data, &b)) {
        step *s = step_pair_for(steps, b.count);
        RUN_HOOKS(o->callbacks, on_predict_batch_begin, model, &logs);
        TRY(step_run_batch(s, &b, NULL));
        const void *result = soma_plan_output(s->plan, 0);
        size_t bytes = (size_t)s->outputs * soma_dtype_size(s->dtypes[0]);
        if (!result) return training_failure(model);
        memcpy(out, result, bytes);
        out += bytes;
        RUN_HOOKS(o->callbacks, on_predict_batch_end, model, &logs);
        logs.batch++;
    }
    return SOMA_OK;
}

static soma_status predict(soma_model *model, const soma_predict_options *o, soma_tensor **result) {
    TRY(training_check_data(model, "predict", o->data, false));
    soma_graph *graph = graph_or_default(o->graph);
    if (!graph) return SOMA_NO_MEMORY;
    step_pair steps;
    TRY(step_pair_fit(model, STEP_PREDICT, o->data, o->batch_size ? o->batch_size : MEASURE_BATCH, false, &steps));
    int64_t shape[SOMA_MAX_RANK];
    memcpy(shape, steps.full->output_shape, sizeof shape);
    shape[0] = soma_dataset_samples(o->data);
    soma_dtype dtype = steps.full->dtypes[0];
    size_t bytes;
    RETURN_IF(model->context, !size_mul((size_t)shape_size(steps.full->rank, shape), soma_dtype_size(dtype), &bytes),
              SOMA_NO_MEMORY, "[predict] the outputs do not fit into memory");
    void *out = arena_alloc(&graph->arena, bytes);
    if (!out) return SOMA_NO_MEMORY;
    batches data;
    TRY(batches_init(&data, o->data, steps.batch, false, 0));
    RUN_HOOKS(o->callbacks, on_predict_begin, model, &(soma_logs){0});
    soma_status status = run_batches(model, o, &data, &steps, out);
    batches_deinit(&data);
    TRY(status);
    RUN_HOOKS(o->callbacks, on_predict_end, model, &(soma_logs){0});
    *result = soma_array_view(graph, dtype, steps.full->rank, shape, out);
    return *result ? SOMA_OK : training_failure(model);
}

soma_tensor *soma_model_predict(soma_model *model, const soma_predict_options *options) {
    RETURN_NULL_IF(NULL, !model || !options, SOMA_INVALID, "[predict] no model given");
    soma_tensor *result = NULL;
    return predict(model, options, &result) == SOMA_OK ? result : NULL;
}

soma_status soma_predict_on_batch(soma_model *model, int64_t n, soma_dtype dtype, const void *x, void *out) {
    RETURN_IF(NULL, !model, SOMA_INVALID, "[predict_on_batch] no model given");
    RETURN_IF(model->context, n < 1 || !x || !out, SOMA_INVALID, "[predict_on_batch] no samples or no place given");
    RETURN_IF(model->context, !model->built, SOMA_INVALID,
              "[predict_on_batch] the model has no weights yet: give the first layer an .input_shape");
    step_shape shape = {.batch = n, .x_dtype = dtype};
    step *s = step_get(model, STEP_PREDICT, &shape);
    if (!s) return training_failure(model);
    TRY(step_run(s, x, NULL));
    const void *result = soma_plan_output(s->plan, 0);
    if (!result) return training_failure(model);
    memcpy(out, result, (size_t)s->outputs * soma_dtype_size(s->dtypes[0]));
    return SOMA_OK;
}

static const soma_plan *plan_for(soma_model *model, step_kind kind, const char *what, soma_dataset *data,
                                 int64_t batch_size) {
    RETURN_NULL_IF(NULL, !model, SOMA_INVALID, "[%s] no model given", what);
    if (training_check_data(model, what, data, kind != STEP_PREDICT) != SOMA_OK) return NULL;
    step_pair steps;
    return step_pair_get(model, kind, data, batch_size, false, &steps) == SOMA_OK ? steps.full->plan : NULL;
}

const soma_plan *soma_training_plan(soma_model *model, soma_dataset *data, int64_t batch_size) {
    return plan_for(model, STEP_TRAIN, "training plan", data, batch_size);
}

const soma_plan *soma_prediction_plan(soma_model *model, soma_dataset *data, int64_t batch_size) {
    return plan_for(model, STEP_PREDICT, "prediction plan", data, batch_size);
}
