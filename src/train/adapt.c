/* Adapting: layers that learn of data before the training, such as Normalization's mean.
 * Rests on step.h: a plan computes what the layer is called on, batch by batch. Each such layer has a weight "count",
 * the samples that it has learnt of; 0 says that it has not, also in files. */
#include <string.h>

#include "train/run.h"

typedef struct walk {
    soma_samples samples; /* first: what the layer sees of it */
    soma_model *model;
    step *full, *rest;
    batches data;
} walk;

/* ---- the count ---- */

/* Which weight a layer counts in; -1 where it learns nothing, or was given what it would learn. */
static int count_of(const soma_layer *layer) {
    for (int i = 0; layer->kind->adapt && i < layer->n_weights; i++) {
        if (strcmp(layer->weights[i].spec.name, "count") == 0) return i;
    }
    return -1;
}

static bool is_new(const soma_layer *layer) {
    const int i = count_of(layer);
    if (i < 0) return false;
    const soma_variable *count = layer->weights[i].variable;
    uint64_t bits = 0; /* of a float of either size */
    return soma_variable_get(count, &bits, soma_dtype_size(count->dtype)) == SOMA_OK && bits == 0;
}

/* ---- the samples ---- */

static soma_status next(soma_samples *samples) {
    walk *w = (walk *)samples;
    batch_rows b;
    samples->n = 0;
    if (!batches_next(&w->data, &b)) return SOMA_OK;
    step *s = b.count == w->data.size ? w->full : w->rest;
    TRY(step_run_batch(s, &b, NULL));
    samples->values = soma_plan_output(s->plan, 0);
    if (!samples->values) return training_failure(w->model);
    samples->n = b.count;
    return SOMA_OK;
}

static soma_status begin(walk *w, const soma_layer *layer, const soma_dataset *data) {
    const int64_t n = soma_dataset_samples(data), size = n < MEASURE_BATCH ? n : MEASURE_BATCH;
    step_shape shape = step_shape_of(data, size, false);
    w->full = step_watch(w->model, layer, &shape);
    if (!w->full) return training_failure(w->model);
    shape.batch = n % size;
    if (shape.batch) w->rest = step_watch(w->model, layer, &shape);
    if (shape.batch && !w->rest) return training_failure(w->model);
    w->samples.rank = w->full->ranks[0] - 1;
    memcpy(w->samples.shape, w->full->shapes[0] + 1, (size_t)w->samples.rank * sizeof *w->samples.shape);
    return batches_init(&w->data, data, size, false, 0);
}

static soma_status adapt(soma_model *model, soma_layer *layer, const soma_dataset *data) {
    walk w = {.samples = {.next = next}, .model = model};
    soma_status status = begin(&w, layer, data);
    if (status == SOMA_OK) {
        status = layer->kind->adapt(layer, &w.samples);
        batches_deinit(&w.data);
    }
    steps_destroy(model, w.full);
    steps_destroy(model, w.rest);
    const double samples = (double)soma_dataset_samples(data);
    return status == SOMA_OK ? layer_set_weight(layer, count_of(layer), &samples) : status;
}

soma_status training_adapt(soma_model *model, soma_dataset *data, bool all) {
    for (int i = 0; i < model->n_calls; i++) {
        soma_layer *layer = model->layers[model->calls[i].layer];
        const bool first = model->calls[i].place == 0;
        if (first && (is_new(layer) || (all && count_of(layer) >= 0))) TRY(adapt(model, layer, data));
    }
    return SOMA_OK;
}

soma_status training_check_adapted(const soma_model *model, const char *what) {
    for (int i = 0; i < model->n_layers; i++) {
        RETURN_IF(model->context, is_new(model->layers[i]), SOMA_INVALID,
                  "[%s] the layer %s has learnt of no data yet: soma_adapt(model, data) or fit lets it", what,
                  model->layers[i]->name);
    }
    return SOMA_OK;
}

soma_status soma_adapt(soma_model *model, soma_dataset *data) {
    RETURN_IF(NULL, !model, SOMA_INVALID, "[adapt] no model given");
    TRY(training_check_data(model, "adapt", data, false));
    return training_adapt(model, data, true);
}
