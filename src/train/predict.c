/* Predicting: the outputs for data, for a batch in memory, and the plans behind them.
 * Rests on run.h. Results go straight to where the caller wants them: a tensor's elements or its own memory. */
#include <string.h>

#include "train/run.h"

/* Where the results of the next batch go, one place for each output. */
typedef struct results {
    char *at[SOMA_MAX_ARRAYS];
} results;

static size_t output_bytes(const step *s, int i) {
    return (size_t)shape_size(s->ranks[i], s->shapes[i]) * soma_dtype_size(s->dtypes[i]);
}

/* Moves the results of a run on to where they are wanted. */
static soma_status take_results(const step *s, int n, results *out) {
    for (int i = 0; i < n; i++) {
        const void *result = soma_plan_output(s->plan, i);
        if (!result) return soma_last_status(s->graph->context);
        memcpy(out->at[i], result, output_bytes(s, i));
        out->at[i] += output_bytes(s, i);
    }
    return SOMA_OK;
}

static soma_status run_batches(soma_model *model, const soma_predict_options *o, batches *data, const step_pair *steps,
                               results out) {
    soma_logs logs = {.batches = batches_count(data)};
    batch_rows b;
    while (batches_next(data, &b)) {
        step *s = step_pair_for(steps, b.count);
        RUN_HOOKS(o->callbacks, on_predict_batch_begin, model, &logs);
        TRY(step_run_batch(s, &b, NULL));
        TRY(take_results(s, model->n_outputs, &out));
        RUN_HOOKS(o->callbacks, on_predict_batch_end, model, &logs);
        logs.batch++;
    }
    return SOMA_OK;
}

/* A tensor over memory of the graph for all samples' output i; its elements are yet to come. */
static soma_tensor *result_tensor(const soma_model *model, const step *s, int i, int64_t samples, soma_graph *graph,
                                  char **place) {
    int64_t shape[SOMA_MAX_RANK];
    memcpy(shape, s->shapes[i], sizeof shape);
    shape[0] = samples;
    size_t bytes;
    RETURN_NULL_IF(model->context,
                   !size_mul((size_t)shape_size(s->ranks[i], shape), soma_dtype_size(s->dtypes[i]), &bytes),
                   SOMA_NO_MEMORY, "[predict] the outputs do not fit into memory");
    *place = arena_alloc(&graph->arena, bytes);
    return *place ? soma_array_view(graph, s->dtypes[i], s->ranks[i], shape, *place) : NULL;
}

static soma_status predict_all(soma_model *model, const soma_predict_options *o, const soma_dataset *samples,
                               int64_t size, soma_tensor **outputs) {
    soma_graph *graph = graph_or_default(o->graph);
    if (!graph) return SOMA_NO_MEMORY;
    step_pair steps;
    TRY(step_pair_fit(model, STEP_PREDICT, samples, size, false, &steps));
    results out;
    for (int i = 0; i < model->n_outputs; i++) {
        outputs[i] = result_tensor(model, steps.full, i, soma_dataset_samples(samples), graph, &out.at[i]);
        if (!outputs[i]) return training_failure(model);
    }
    batches data;
    TRY(batches_init(&data, samples, steps.batch, false, 0));
    RUN_HOOKS(o->callbacks, on_predict_begin, model, &(soma_logs){0});
    soma_status status = run_batches(model, o, &data, &steps, out);
    batches_deinit(&data);
    TRY(status);
    RUN_HOOKS(o->callbacks, on_predict_end, model, &(soma_logs){0});
    return SOMA_OK;
}

static soma_status predict(soma_model *model, const soma_predict_options *o, soma_tensor **outputs) {
    const int64_t size = o->batch_size ? o->batch_size : MEASURE_BATCH;
    soma_dataset *samples;
    TRY(training_check_data(model, "predict", o->data, false));
    TRY(training_check_adapted(model, "predict"));
    TRY(run_first_batches(model, "predict", o->data, size, o->steps, &samples));
    soma_status status = predict_all(model, o, samples, size, outputs);
    soma_dataset_destroy(samples);
    return status;
}

soma_tensor *soma_model_predict(soma_model *model, const soma_predict_options *options) {
    RETURN_NULL_IF(NULL, !model || !options, SOMA_INVALID, "[predict] no model given");
    RETURN_NULL_IF(model->context, model->n_outputs != 1, SOMA_UNSUPPORTED,
                   "[predict] the model has %d outputs: soma_model_predict_all gives all of them", model->n_outputs);
    soma_tensor *result = NULL;
    return predict(model, options, &result) == SOMA_OK ? result : NULL;
}

soma_status soma_model_predict_all(soma_model *model, const soma_predict_options *options, soma_tensor **outputs) {
    RETURN_IF(NULL, !model || !options || !outputs, SOMA_INVALID, "[predict] no model or no place given");
    return predict(model, options, outputs);
}

soma_status soma_predict_on_batch(soma_model *model, int64_t n, soma_dtype dtype, const void *x, void *out) {
    RETURN_IF(NULL, !model, SOMA_INVALID, "[predict_on_batch] no model given");
    RETURN_IF(model->context, n < 1 || !x || !out, SOMA_INVALID, "[predict_on_batch] no samples or no place given");
    RETURN_IF(model->context, !model->built, SOMA_INVALID,
              "[predict_on_batch] the model has no weights yet: give the first layer an .input_shape");
    RETURN_IF(model->context, model->n_inputs != 1 || model->n_outputs != 1, SOMA_UNSUPPORTED,
              "[predict_on_batch] %d inputs and %d outputs: it is for one of each; soma_model_apply takes any number",
              model->n_inputs, model->n_outputs);
    TRY(training_check_adapted(model, "predict_on_batch"));
    step_shape shape = {.batch = n, .n_x = 1, .x_dtypes = {dtype}};
    step *s = step_get(model, STEP_PREDICT, &shape);
    if (!s) return training_failure(model);
    TRY(step_run(s, &x));
    return take_results(s, 1, &(results){.at = {out}});
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
