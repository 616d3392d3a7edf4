/* One batch: a training step, or a measurement, on samples that the caller chose.
 * Rests on run.h. The batch is a dataset of the caller's arrays where they are, so it is checked as fit's are, and
 * nothing is copied but weights. */
#include "data/dataset.h"
#include "train/run.h"

/* x and y as they are to the datasets. */
static soma_status batch_data(soma_model *model, const char *what, soma_tensor *x, soma_tensor *y, soma_dataset **out) {
    RETURN_IF(model->context, !x || !y, SOMA_INVALID, "[%s] no batch given", what);
    RETURN_IF(model->context, x->rank < 1 || y->rank < 1, SOMA_SHAPE, "[%s] x or y has no batch axis", what);
    const void *xs = soma_data(x), *ys = soma_data(y);
    if (!xs || !ys) return training_failure(model);
    *out = soma_dataset_from_arrays(model->context, (soma_array_data){x->dtype, x->rank, x->shape, xs},
                                    (soma_array_data){y->dtype, y->rank, y->shape, ys}, true);
    return *out ? SOMA_OK : training_failure(model);
}

static soma_status run(soma_model *model, step *s, const soma_dataset *data, const float *weights,
                       soma_scores *scores) {
    const void *arrays[2 * SOMA_MAX_ARRAYS];
    for (int i = 0; i < s->shape.n_x + s->shape.n_y; i++)
        arrays[i] = dataset_array(data, i).data;
    if (s->weights) TRY(soma_plan_bind(s->plan, s->weights, weights));
    TRY(step_run(s, arrays));
    averages result;
    TRY(averages_init(&result, model, s));
    averages_add(&result, s, 1);
    *scores = scores_of(&result);
    averages_deinit(&result, model);
    return SOMA_OK;
}

static soma_status on_dataset(soma_model *model, const char *what, step_kind kind, const soma_batch_options *o,
                              soma_dataset *data, soma_scores *scores) {
    TRY(training_check_data(model, what, data, true));
    TRY(training_check_adapted(model, what));
    step_shape shape = step_shape_of(data, soma_dataset_samples(data), true);
    shape.weighted = o->sample_weight || o->class_weight;
    step *s = step_get(model, kind, &shape);
    if (!s) return training_failure(model);
    if (!shape.weighted) return run(model, s, data, NULL, scores);
    sample_weights weights = {0};
    soma_status status = sample_weights_init(&weights, model, what, o->sample_weight, shape.batch, 1);
    if (status == SOMA_OK && o->class_weight)
        status = sample_weights_by_class(&weights, model, what, data, o->class_weight, o->n_class_weight);
    if (status == SOMA_OK) status = run(model, s, data, weights.all, scores);
    sample_weights_deinit(&weights, model);
    return status;
}

static soma_scores scores_on(soma_model *model, const char *what, step_kind kind, const soma_batch_options *o) {
    if (!model || !o) return scores_none(error_set(NULL, SOMA_INVALID, "[%s] no model given", what));
    soma_scores scores;
    soma_dataset *data = o->data;
    soma_status status = data ? SOMA_OK : batch_data(model, what, o->x, o->y, &data);
    if (status == SOMA_OK) status = on_dataset(model, what, kind, o, data, &scores);
    if (!o->data) soma_dataset_destroy(data);
    return status == SOMA_OK ? scores : scores_none(status);
}

soma_scores soma_model_train_on_batch(soma_model *model, const soma_batch_options *options) {
    return scores_on(model, "train_on_batch", STEP_TRAIN, options);
}

soma_scores soma_model_test_on_batch(soma_model *model, const soma_batch_options *options) {
    return scores_on(model, "test_on_batch", STEP_TEST, options);
}
