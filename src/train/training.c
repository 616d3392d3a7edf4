/* Compiling a model, and the state that training needs.
 * Rests on training.h. The optimizer's state is made when the weights are there, at the first step or when a file
 * brings it; compiling again forgets state and plans, not the weights. */
#include "train/training.h"

#include <string.h>

#include "data/dataset.h"
#include "nn/names.h"
#include "train/step.h"

soma_status training_failure(const soma_model *model) {
    soma_status status = soma_last_status(model->context);
    return status != SOMA_OK ? status : SOMA_INVALID;
}

/* ---- life ---- */

static void free_state(soma_model *model, training *t) {
    steps_destroy(model, t->steps);
    t->steps = NULL;
    for (int i = 0; i < t->n_state; i++) {
        for (int j = 0; j < t->state[i].n; j++)
            soma_variable_destroy(t->state[i].slots[j]);
    }
    mem_free(model->context, t->state, (size_t)t->n_state * sizeof *t->state);
    t->state = NULL;
    t->n_state = 0;
    soma_variable_destroy(t->iterations);
    soma_variable_destroy(t->learning_rate);
    t->iterations = t->learning_rate = NULL;
    model->optimizer_count = model->optimizer_bytes = 0;
}

static void destroy(soma_model *model, void *data) {
    training *t = data;
    free_state(model, t);
    soma_optimizer_destroy(t->optimizer);
    history_deinit(model, &t->history);
    mem_free(model->context, t, sizeof *t);
}

training *training_of(soma_model *model) {
    if (!model->training) {
        model->training = mem_zalloc(model->context, sizeof(training));
        model->training_destroy = destroy;
    }
    return model->training;
}

/* ---- compile ---- */

soma_tensor *training_loss(const training *t, soma_tensor *y_true, soma_tensor *y_pred) {
    return t->loss ? t->loss(y_true, y_pred) : t->loss_with.build(y_true, y_pred, t->loss_with.parameters);
}

/* "metric", "metric_1", ... for functions without a name. */
static const char *metric_name(soma_model *model, const training *t, int i, const char *given,
                               const soma_custom *custom) {
    const char *name = given;
    if (!name) name = name_for(&metric_names, custom, (soma_function *)t->metrics[i]);
    if (!name) name = name_for(&loss_names, custom, (soma_function *)t->metrics[i]);
    if (name) return arena_strdup(&model->arena, name);
    int unnamed = 0;
    for (int j = 0; j < i; j++)
        unnamed += strncmp(t->metric_names[j], "metric", 6) == 0;
    return unnamed ? arena_printf(&model->arena, "metric_%d", unnamed) : arena_strdup(&model->arena, "metric");
}

/* What makes a value of a metric's statistics; NULL where its values are averaged. */
static soma_finish_fn *finish_of(soma_loss_fn *metric, const soma_custom *custom) {
    for (int i = 0; custom && i < SOMA_MAX_CUSTOM && custom[i].name; i++) {
        if (custom[i].function == (soma_function *)metric) return custom[i].finish;
    }
    const name_entry *entry = name_of(&metric_names, (soma_function *)metric);
    return entry ? entry->finish : NULL;
}

/* Columns of the history, in order of their names. */
static soma_status make_keys(soma_model *model, training *t) {
    t->n_keys = 0;
    for (int i = 0; i < 2 * (1 + t->n_metrics); i++) {
        training_key key = {.value = i / 2, .validation = i % 2};
        const char *name = key.value == 0 ? "loss" : t->metric_names[key.value - 1];
        key.name = arena_printf(&model->arena, "%s%s", key.validation ? "val_" : "", name);
        if (!key.name) return SOMA_NO_MEMORY;
        int at = t->n_keys++;
        for (; at > 0 && strcmp(t->keys[at - 1].name, key.name) > 0; at--)
            t->keys[at] = t->keys[at - 1];
        t->keys[at] = key;
    }
    return SOMA_OK;
}

static soma_status compile(soma_model *model, const soma_compile_options *options, const char *const *given,
                           const soma_custom *custom) {
    training *t = training_of(model);
    if (!t) return SOMA_NO_MEMORY;
    RETURN_IF(model->context, !options->loss && !options->loss_with.build, SOMA_INVALID,
              "[compile] no loss given: .loss = soma_mean_squared_error, for example");
    free_state(model, t);
    history_deinit(model, &t->history);
    t->compiled = false;
    t->loss = options->loss;
    t->loss_with = options->loss_with;
    t->n_metrics = 0;
    for (int i = 0; i < SOMA_MAX_METRICS && options->metrics[i]; i++) {
        t->metrics[i] = options->metrics[i];
        t->finish[i] = options->finish[i] ? options->finish[i] : finish_of(t->metrics[i], custom);
        t->metric_names[i] = metric_name(model, t, i, given ? given[i] : NULL, custom);
        if (!t->metric_names[i]) return SOMA_NO_MEMORY;
        t->n_metrics++;
    }
    return make_keys(model, t);
}

soma_status training_compile(soma_model *model, const soma_compile_options *options, const char *const *given,
                             const soma_custom *custom) {
    soma_optimizer *optimizer = options->optimizer;
    soma_status status = SOMA_OK;
    if (optimizer_failed(optimizer)) status = training_failure(model);
    if (!optimizer) {
        optimizer = soma_rmsprop(.context = model->context);
        if (optimizer_failed(optimizer)) status = SOMA_NO_MEMORY;
    }
    if (status == SOMA_OK) status = compile(model, options, given, custom);
    training *t = model->training;
    if (status != SOMA_OK) {
        soma_optimizer_destroy(optimizer);
        return status;
    }
    soma_optimizer_destroy(t->optimizer);
    t->optimizer = optimizer;
    t->compiled = true;
    return SOMA_OK;
}

soma_status soma_model_compile(soma_model *model, const soma_compile_options *options) {
    if (model && options) return training_compile(model, options, NULL, NULL);
    if (options) soma_optimizer_destroy(options->optimizer);
    return error_set(NULL, SOMA_INVALID, "[compile] no model given");
}

const char *soma_metric_name(const soma_model *model, int i) {
    const training *t = model ? model->training : NULL;
    return t && i >= 0 && i < t->n_metrics ? t->metric_names[i] : NULL;
}

/* ---- the optimizer's state ---- */

/* Variables begin as zeros. */
static soma_status start_slot(soma_model *model, soma_variable *v, double start) {
    if (start == 0) return SOMA_OK;
    size_t bytes = (size_t)v->size * soma_dtype_size(v->dtype);
    void *values = mem_alloc(model->context, bytes);
    if (!values) return SOMA_NO_MEMORY;
    for (int64_t i = 0; i < v->size; i++) {
        if (v->dtype == SOMA_F64) {
            ((double *)values)[i] = start;
        } else {
            ((float *)values)[i] = (float)start;
        }
    }
    soma_status status = soma_variable_set(v, values, bytes);
    mem_free(model->context, values, bytes);
    return status;
}

static soma_status make_slot(soma_model *model, training_state *state, const soma_slot *slot) {
    const soma_variable *w = state->weight;
    int rank = slot->own_shape ? slot->rank : w->rank;
    const int64_t *shape = slot->own_shape ? slot->shape : w->shape;
    text name;
    text_init(&name, model->context);
    text_printf(&name, "optimizer/%s/%s", w->name, slot->name);
    soma_variable *v = soma_variable_create(model->context, text_string(&name), w->dtype, rank, shape);
    text_deinit(&name);
    if (!v) return training_failure(model);
    state->slots[state->n++] = v;
    model->optimizer_count += v->size;
    model->optimizer_bytes += v->size * (int64_t)soma_dtype_size(v->dtype);
    return start_slot(model, v, slot->start);
}

static int trainable_weights(const soma_model *model, training_state *state) {
    int n = 0;
    for (int i = 0; i < model->n_layers; i++) {
        for (int j = 0; j < model->layers[i]->n_weights; j++) {
            soma_variable *w = model->layers[i]->weights[j].variable;
            if (!w->trainable) continue;
            if (state)
                state[n] = (training_state){.weight = w, .constraint = &model->layers[i]->weights[j].spec.constraint};
            n++;
        }
    }
    return n;
}

static soma_status make_state(soma_model *model, training *t) {
    int n = trainable_weights(model, NULL);
    t->state = mem_zalloc(model->context, (size_t)n * sizeof *t->state);
    if (!t->state) return SOMA_NO_MEMORY;
    t->n_state = n;
    (void)trainable_weights(model, t->state);
    for (int i = 0; i < n; i++) {
        soma_slot slots[SOMA_MAX_SLOTS];
        int count = optimizer_slots(t->optimizer, t->state[i].weight, slots);
        for (int j = 0; j < count && j < SOMA_MAX_SLOTS; j++)
            TRY(make_slot(model, &t->state[i], &slots[j]));
    }
    return SOMA_OK;
}

static soma_status store_rate(const training *t, double rate) {
    float single = (float)rate;
    if (t->learning_rate->dtype == SOMA_F64) return soma_variable_set(t->learning_rate, &rate, sizeof rate);
    return soma_variable_set(t->learning_rate, &single, sizeof single);
}

static double scheduled_rate(const training *t) {
    const soma_schedule *schedule = &t->optimizer->options->schedule;
    int64_t done = 0;
    if (t->iterations && soma_variable_get(t->iterations, &done, sizeof done) != SOMA_OK) return 0;
    return schedule->rate((double)done, schedule->parameters, schedule->n);
}

soma_status training_follow_schedule(training *t) {
    return t->optimizer->options->schedule.rate ? store_rate(t, scheduled_rate(t)) : SOMA_OK;
}

/* The steps' counter and the rate, which has the dtype of the weights so that no update has to convert it. */
static soma_status make_counters(soma_model *model, training *t) {
    soma_dtype dtype = t->n_state > 0 ? t->state[0].weight->dtype : SOMA_F32;
    t->iterations = soma_variable_create(model->context, "optimizer/iterations", SOMA_I64, SOMA_SCALAR_DIMS);
    t->learning_rate = soma_variable_create(model->context, "optimizer/learning_rate", dtype, SOMA_SCALAR_DIMS);
    if (!t->iterations || !t->learning_rate) return training_failure(model);
    t->iterations->trainable = t->learning_rate->trainable = false;
    model->optimizer_count += 2;
    model->optimizer_bytes += (int64_t)(sizeof(int64_t) + soma_dtype_size(dtype));
    return store_rate(t, t->optimizer->options->learning_rate);
}

soma_status training_prepare(soma_model *model) {
    training *t = training_of(model);
    if (!t) return SOMA_NO_MEMORY;
    RETURN_IF(model->context, !t->compiled, SOMA_INVALID,
              "[model] it must be compiled first: soma_compile(model, .loss = ...)");
    RETURN_IF(model->context, !model->built, SOMA_INVALID,
              "[model] it has no weights yet: give the first layer an .input_shape");
    if (t->learning_rate) return SOMA_OK;
    soma_status status = make_state(model, t);
    if (status == SOMA_OK) status = make_counters(model, t);
    if (status != SOMA_OK) free_state(model, t);
    return status;
}

int64_t soma_updates(const soma_model *model) {
    const training *t = model ? model->training : NULL;
    int64_t updates = 0;
    if (t && t->iterations && soma_variable_get(t->iterations, &updates, sizeof updates) != SOMA_OK) return 0;
    return updates;
}

double soma_learning_rate(const soma_model *model) {
    const training *t = model ? model->training : NULL;
    if (!t || !t->compiled) return 0;
    if (t->optimizer->options->schedule.rate) return scheduled_rate(t);
    if (!t->learning_rate) return t->optimizer->options->learning_rate;
    double rate = 0;
    float single = 0;
    bool wide = t->learning_rate->dtype == SOMA_F64;
    soma_status status = wide ? soma_variable_get(t->learning_rate, &rate, sizeof rate)
                              : soma_variable_get(t->learning_rate, &single, sizeof single);
    if (status != SOMA_OK) return 0;
    return wide ? rate : (double)single;
}

soma_status soma_set_learning_rate(soma_model *model, double rate) {
    training *t = model ? model->training : NULL;
    soma_context *context = soma_model_context(model);
    RETURN_IF(context, !t || !t->compiled, SOMA_INVALID, "[learning rate] the model is not compiled");
    RETURN_IF(context, !(rate >= 0) || !(rate <= 1e30), SOMA_INVALID, "[learning rate] %g is not a rate", rate);
    RETURN_IF(context, t->optimizer->options->schedule.rate, SOMA_INVALID,
              "[learning rate] it follows the optimizer's schedule");
    t->optimizer->options->learning_rate = rate;
    return t->learning_rate ? store_rate(t, rate) : SOMA_OK;
}

/* ---- data ---- */

static soma_status check_samples(soma_model *model, const char *what, soma_dataset *data) {
    soma_array_data x = soma_dataset_x(data);
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    if (!model->built) {
        static const int64_t number = 1; /* a sample that is one number is a vector of one */
        TRY(x.rank > 1 ? soma_model_build(model, x.rank - 1, x.shape + 1) : soma_model_build(model, 1, &number));
    }
    const model_value *input = &model->values[model->inputs[0]];
    RETURN_IF(model->context, shape_size(x.rank - 1, x.shape + 1) != shape_size(input->rank, input->shape), SOMA_SHAPE,
              "[%s] samples are %s, the model takes %s", what, shape_text(a, x.rank - 1, x.shape + 1),
              shape_text(b, input->rank, input->shape));
    return SOMA_OK;
}

/* Labels that stand for classes must name classes that the output has. */
static soma_status check_labels(soma_model *model, const char *what, soma_dataset *data) {
    const training *t = model->training;
    RETURN_IF(model->context, !soma_dataset_y(data).data, SOMA_INVALID, "[%s] the data have no labels", what);
    const name_entry *loss = name_of(&loss_names, (soma_function *)t->loss);
    if (!loss || !loss->indices) return SOMA_OK;
    const model_value *output = &model->values[model->outputs[0]];
    int64_t classes = output->rank > 0 ? output->shape[output->rank - 1] : 1, low, high;
    RETURN_IF(model->context, !dataset_label_range(data, &low, &high), SOMA_INVALID,
              "[%s] %s needs whole numbers as labels", what, loss->name);
    RETURN_IF(model->context, low < 0 || high >= classes, SOMA_INVALID,
              "[%s] label %lld is out of range: the model has %lld classes, 0 to %lld", what,
              (long long)(low < 0 ? low : high), (long long)classes, (long long)classes - 1);
    return SOMA_OK;
}

soma_status training_check_data(soma_model *model, const char *what, soma_dataset *data, bool labels) {
    RETURN_IF(model->context, !data, SOMA_INVALID, "[%s] no data given", what);
    RETURN_IF(model->context, soma_dataset_samples(data) == 0, SOMA_INVALID, "[%s] the data have no samples", what);
    TRY(check_samples(model, what, data));
    if (!labels) return SOMA_OK;
    TRY(training_prepare(model));
    return check_labels(model, what, data);
}

soma_status training_set_labels(soma_model *model, const char *const *labels, int n) {
    training *t = training_of(model);
    const char **copies = t ? arena_alloc(&model->arena, (size_t)n * sizeof *copies) : NULL;
    if (!copies) return SOMA_NO_MEMORY;
    for (int i = 0; i < n; i++) {
        copies[i] = arena_strdup(&model->arena, labels[i]);
        if (!copies[i]) return SOMA_NO_MEMORY;
    }
    t->labels = copies;
    t->n_labels = n;
    return SOMA_OK;
}

soma_status training_adopt_labels(soma_model *model, const soma_dataset *data) {
    training *t = training_of(model);
    int n = soma_dataset_class_count(data);
    if (!t || t->n_labels > 0 || n == 0) return t ? SOMA_OK : SOMA_NO_MEMORY;
    const char **names = mem_alloc(model->context, (size_t)n * sizeof *names);
    if (!names) return SOMA_NO_MEMORY;
    for (int i = 0; i < n; i++)
        names[i] = soma_dataset_class_name(data, i);
    soma_status status = training_set_labels(model, names, n);
    mem_free(model->context, names, (size_t)n * sizeof *names);
    return status;
}

const char *soma_model_label(const soma_model *model, int i) {
    const training *t = model ? model->training : NULL;
    return t && i >= 0 && i < t->n_labels ? t->labels[i] : NULL;
}

soma_status soma_set_pixel_scale(soma_model *model, double scale, double offset) {
    RETURN_IF(NULL, !model, SOMA_INVALID, "[pixel scale] no model given");
    RETURN_IF(model->context, !(scale - scale == 0) || !(offset - offset == 0), SOMA_INVALID,
              "[pixel scale] %g and %g must be finite numbers", scale, offset);
    training *t = model->training;
    if (t) {
        steps_destroy(model, t->steps);
        t->steps = NULL;
    }
    model->raw_pixels = false;
    model->pixel_scale = scale;
    model->pixel_offset = offset;
    return SOMA_OK;
}
