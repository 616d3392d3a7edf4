/* Compiling a model, and the state that training needs.
 * Rests on training.h. The optimizer's state is made when the weights are there, at the first step or when a file
 * brings it; compiling again forgets state and plans, not the weights. */
#include "train/training.h"

#include <math.h>
#include <string.h>

#include "data/dataset.h"
#include "nn/losses.h"
#include "nn/metric.h"
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
    minimizer_clear(&t->minimizer);
    model->optimizer_count = model->optimizer_bytes = 0;
}

static void destroy(soma_model *model, void *data) {
    training *t = data;
    free_state(model, t);
    soma_optimizer_destroy(t->minimizer.optimizer);
    history_deinit(model, &t->history);
    place_clear(&t->place, model->context);
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

/* The metric's own name, or "metric"; "auc_1" where there is an "auc" before it. */
static const char *metric_name(soma_model *model, const training *t, int i, const soma_custom *custom) {
    const char *name = t->metrics[i].name;
    if (!name) name = metric_own_name(&t->metrics[i], custom);
    if (!name) name = "metric";
    size_t length = strlen(name);
    int before = 0;
    for (int j = 0; j < i; j++) {
        const char *other = t->metric_names[j];
        before += strncmp(other, name, length) == 0 && (!other[length] || other[length] == '_');
    }
    return before ? arena_printf(&model->arena, "%s_%d", name, before) : arena_strdup(&model->arena, name);
}

/* Takes one metric over; its name becomes the model's own. */
static soma_status add_metric(soma_model *model, training *t, soma_metric metric, const soma_custom *custom) {
    RETURN_IF(model->context, t->n_metrics == SOMA_MAX_METRICS, SOMA_INVALID, "[compile] more than %d metrics",
              SOMA_MAX_METRICS);
    int i = t->n_metrics;
    if (!metric.finish) metric.finish = metric_finish_of(&metric, custom);
    t->metrics[i] = metric;
    t->metric_names[i] = metric_name(model, t, i, custom);
    if (!t->metric_names[i]) return SOMA_NO_MEMORY;
    t->metrics[i].name = t->metric_names[i];
    t->n_metrics++;
    return SOMA_OK;
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

static soma_status compile(soma_model *model, const soma_compile_options *options, const soma_custom *custom) {
    training *t = training_of(model);
    if (!t) return SOMA_NO_MEMORY;
    RETURN_IF(model->context, !options->loss && !options->loss_with.build && !options->objective, SOMA_INVALID,
              "[compile] no loss given: .loss = soma_mean_squared_error, for example");
    free_state(model, t);
    history_deinit(model, &t->history);
    place_clear(&t->place, model->context);
    t->compiled = false;
    t->loss = options->loss;
    t->loss_with = options->loss_with;
    t->objective = options->objective;
    t->n_metrics = 0;
    for (int i = 0; i < SOMA_MAX_METRICS && options->metrics[i]; i++)
        TRY(add_metric(model, t, (soma_metric){.plain = options->metrics[i], .finish = options->finish[i]}, custom));
    for (int i = 0; i < SOMA_MAX_METRICS && (options->metrics_with[i].plain || options->metrics_with[i].build); i++)
        TRY(add_metric(model, t, options->metrics_with[i], custom));
    return make_keys(model, t);
}

soma_status training_compile(soma_model *model, const soma_compile_options *options, const soma_custom *custom) {
    soma_optimizer *optimizer = options->optimizer;
    soma_status status = SOMA_OK;
    if (optimizer_failed(optimizer)) status = training_failure(model);
    if (!optimizer) {
        optimizer = soma_rmsprop(.context = model->context);
        if (optimizer_failed(optimizer)) status = SOMA_NO_MEMORY;
    }
    if (status == SOMA_OK) status = compile(model, options, custom);
    training *t = model->training;
    if (status != SOMA_OK) {
        soma_optimizer_destroy(optimizer);
        return status;
    }
    soma_optimizer_destroy(t->minimizer.optimizer);
    t->minimizer.optimizer = optimizer;
    t->minimizer.context = model->context;
    t->compiled = true;
    return SOMA_OK;
}

soma_status soma_model_compile(soma_model *model, const soma_compile_options *options) {
    if (model && options) return training_compile(model, options, NULL);
    if (options) soma_optimizer_destroy(options->optimizer);
    return error_set(NULL, SOMA_INVALID, "[compile] no model given");
}

const char *soma_metric_name(const soma_model *model, int i) {
    const training *t = model ? model->training : NULL;
    return t && i >= 0 && i < t->n_metrics ? t->metric_names[i] : NULL;
}

/* ---- the optimizer's state ---- */

/* For the weights that are trained now, of which some may have been frozen or thawed since the last time. */
static soma_status prepare_weights(soma_model *model, training *t) {
    if (minimizer_fits(&t->minimizer, model)) return SOMA_OK; /* asked before every batch of soma_train_on_batch */
    int n = minimizer_weights_of(model, NULL);
    weight_state *weights = mem_alloc(model->context, (size_t)n * sizeof *weights);
    if (!weights) return SOMA_NO_MEMORY;
    (void)minimizer_weights_of(model, weights);
    steps_destroy(model, t->steps);
    t->steps = NULL;
    soma_status status = minimizer_prepare(&t->minimizer, weights, n);
    mem_free(model->context, weights, (size_t)n * sizeof *weights);
    model->optimizer_count = t->minimizer.count;
    model->optimizer_bytes = t->minimizer.bytes;
    return status;
}

soma_status training_prepare(soma_model *model) {
    training *t = training_of(model);
    if (!t) return SOMA_NO_MEMORY;
    RETURN_IF(model->context, !t->compiled, SOMA_INVALID,
              "[model] it must be compiled first: soma_compile(model, .loss = ...)");
    RETURN_IF(model->context, !model->built, SOMA_INVALID,
              "[model] it has no weights yet: give the first layer an .input_shape");
    return prepare_weights(model, t);
}

soma_status soma_set_trainable(soma_model *model, soma_layer *layer, bool trainable) {
    RETURN_IF(NULL, !model, SOMA_INVALID, "[set_trainable] no model given");
    bool found = !layer;
    for (int i = 0; i < model->n_layers; i++) {
        if (layer && model->layers[i] != layer) continue;
        found = true;
        layer_set_frozen(model->layers[i], !trainable);
    }
    RETURN_IF(model->context, !found, SOMA_INVALID, "[set_trainable] the layer is not one of the model's");
    training *t = model->training;
    if (!t) return SOMA_OK;
    steps_destroy(model, t->steps); /* traced with the layers as they were */
    t->steps = NULL;
    return t->minimizer.learning_rate ? prepare_weights(model, t) : SOMA_OK;
}

int64_t soma_updates(const soma_model *model) {
    const training *t = model ? model->training : NULL;
    return t ? minimizer_updates(&t->minimizer) : 0;
}

double soma_learning_rate(const soma_model *model) {
    const training *t = model ? model->training : NULL;
    return t && t->compiled ? minimizer_rate(&t->minimizer) : 0;
}

soma_status soma_set_learning_rate(soma_model *model, double rate) {
    training *t = model ? model->training : NULL;
    soma_context *context = soma_model_context(model);
    RETURN_IF(context, !t || !t->compiled, SOMA_INVALID, "[learning rate] the model is not compiled");
    RETURN_IF(context, !(rate >= 0) || !(rate <= 1e30), SOMA_INVALID, "[learning rate] %g is not a rate", rate);
    RETURN_IF(context, t->minimizer.optimizer->options->schedule.rate, SOMA_INVALID,
              "[learning rate] it follows the optimizer's schedule");
    t->minimizer.optimizer->options->learning_rate = rate;
    return t->minimizer.learning_rate ? minimizer_set_rate(&t->minimizer, rate) : SOMA_OK;
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
    bool sparse = !t->objective && !t->loss && t->loss_with.build == loss_sparse_ignoring;
    bool ignores = sparse && !isnan(t->loss_with.parameters[0]);
    int64_t ignored = ignores ? (int64_t)t->loss_with.parameters[0] : 0;
    const name_entry *loss = sparse ? name_find(&loss_names, "sparse_categorical_crossentropy")
                                    : name_of(&loss_names, (soma_function *)t->loss);
    if (t->objective || !loss || !loss->indices) return SOMA_OK;
    const model_value *output = &model->values[model->outputs[0]];
    int64_t classes = output->rank > 0 ? output->shape[output->rank - 1] : 1, low, high;
    RETURN_IF(model->context, !dataset_label_range(data, &low, &high), SOMA_INVALID,
              "[%s] %s needs whole numbers as labels", what, loss->name);
    if (ignores && low == ignored && low < 0) low = 0;
    if (ignores && high == ignored && high >= classes) high = classes - 1;
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
