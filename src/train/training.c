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
    steps_forget(model, t);
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

soma_tensor *training_loss_build(const training_loss *loss, soma_tensor *y_true, soma_tensor *y_pred,
                                 soma_tensor **counts) {
    *counts = NULL;
    if (loss->plain) return loss->plain(y_true, y_pred);
    if (loss->with.build == loss_sparse_ignoring)
        return loss_sparse_parts(y_true, y_pred, loss->with.parameters, counts);
    return loss->with.build(y_true, y_pred, loss->with.parameters);
}

static bool is_taken(const training *t, const char *name) {
    for (int j = 0; j < t->n_metrics; j++) {
        if (strcmp(t->metric_names[j], name) == 0) return true;
    }
    return false;
}

/* A name for a column, after its output where there are several; "auc_1" where there is an "auc" before it. */
static const char *column_name(soma_model *model, const training *t, const char *name, int output) {
    if (model->n_outputs > 1) name = arena_printf(&model->arena, "%s_%s", soma_model_output_name(model, output), name);
    const char *column = name ? arena_strdup(&model->arena, name) : NULL;
    for (int i = 1; column && is_taken(t, column); i++)
        column = arena_printf(&model->arena, "%s_%d", name, i);
    return column;
}

/* One more column, of a metric or of an output's loss. */
static soma_status add_column(soma_model *model, training *t, soma_metric metric, const char *name, int output) {
    RETURN_IF(model->context, t->n_metrics == SOMA_MAX_METRICS, SOMA_INVALID, "[compile] more than %d metrics",
              SOMA_MAX_METRICS);
    int i = t->n_metrics;
    t->metrics[i] = metric;
    t->metric_outputs[i] = output;
    t->metric_names[i] = column_name(model, t, name, output);
    if (!t->metric_names[i]) return SOMA_NO_MEMORY;
    t->metrics[i].name = model->n_outputs > 1 ? arena_strdup(&model->arena, name) : t->metric_names[i];
    if (!t->metrics[i].name) return SOMA_NO_MEMORY;
    t->n_metrics++;
    return SOMA_OK;
}

/* Whether an output has a metric of that name already. */
static bool has_column(const training *t, const char *name, int output) {
    for (int i = 0; i < t->n_metrics; i++) {
        if (t->metric_outputs[i] == output && strcmp(t->metrics[i].name, name) == 0) return true;
    }
    return false;
}

/* Takes one metric over; its name, its own or "metric", becomes the model's own. */
static soma_status add_metric(soma_model *model, training *t, soma_metric metric, int output,
                              const soma_custom *custom) {
    const char *name = metric.name;
    if (!name) name = metric_own_name(&metric, custom);
    if (!metric.finish) metric.finish = metric_finish_of(&metric, custom);
    if (!name) name = "metric";
    if (metric.weighted && has_column(t, name, output)) name = arena_printf(&model->arena, "weighted_%s", name);
    return name ? add_column(model, t, metric, name, output) : SOMA_NO_MEMORY;
}

/* Columns of the history, in order of their names. */
static soma_status make_keys(soma_model *model, training *t) {
    t->n_keys = 0;
    const int measured = 2 * (1 + t->n_metrics);
    for (int i = 0; i <= measured; i++) {
        training_key key = {.value = i / 2, .kind = i == measured ? KEY_RATE : i % 2 ? KEY_VALIDATION : KEY_TRAINING};
        const char *name = key.kind == KEY_RATE ? "learning_rate"
                           : key.value == 0     ? "loss"
                                                : t->metric_names[key.value - 1];
        key.name = arena_printf(&model->arena, "%s%s", key.kind == KEY_VALIDATION ? "val_" : "", name);
        if (!key.name) return SOMA_NO_MEMORY;
        int at = t->n_keys++;
        for (; at > 0 && strcmp(t->keys[at - 1].name, key.name) > 0; at--)
            t->keys[at] = t->keys[at - 1];
        t->keys[at] = key;
    }
    return SOMA_OK;
}

/* One list of metrics, and those with numbers after it, for one output. */
typedef struct metric_options {
    soma_loss_fn *const *metrics;
    soma_finish_fn *const *finish;
    const soma_metric *with;
    soma_loss_fn *const *weighted;
    int room;
} metric_options;

static soma_status add_metrics(soma_model *model, training *t, metric_options o, int output,
                               const soma_custom *custom) {
    for (int i = 0; i < o.room && o.metrics[i]; i++)
        TRY(add_metric(model, t, (soma_metric){.plain = o.metrics[i], .finish = o.finish[i]}, output, custom));
    for (int i = 0; i < o.room && (o.with[i].plain || o.with[i].build); i++)
        TRY(add_metric(model, t, o.with[i], output, custom));
    for (int i = 0; i < o.room && o.weighted[i]; i++)
        TRY(add_metric(model, t, (soma_metric){.plain = o.weighted[i], .weighted = true}, output, custom));
    return SOMA_OK;
}

/* The losses: one for all outputs, or one each. */
static soma_status take_losses(soma_model *model, training *t, const soma_compile_options *o) {
    bool one = o->objective || o->loss || o->loss_with.build, any = false;
    t->objective = o->objective;
    t->n_losses = one ? 1 : model->n_outputs;
    t->losses[0] = (training_loss){.plain = o->loss, .with = o->loss_with, .weight = 1, .reduction = o->loss_reduction};
    for (int i = 0; i < SOMA_MAX_ARRAYS; i++) {
        const soma_output_options *output = &o->outputs[i];
        const training_loss loss = {output->loss, output->loss_with, output->loss_weight, output->loss_reduction};
        RETURN_IF(model->context, training_loss_given(&loss) && (one || i >= model->n_outputs), SOMA_INVALID,
                  one ? "[compile] a loss for all outputs and one for output %d: give one or the other"
                      : "[compile] a loss for output %d, which the model does not have",
                  i);
        RETURN_IF(model->context, !(loss.weight - loss.weight == 0), SOMA_INVALID,
                  "[compile] the weight of output %d's loss is %g", i, loss.weight);
        any = any || training_loss_given(&loss);
        if (one || i >= model->n_outputs) continue;
        t->losses[i] = loss;
        if (loss.weight == 0) t->losses[i].weight = 1;
    }
    RETURN_IF(model->context, !one && !any, SOMA_INVALID,
              "[compile] no loss given: .loss = soma_mean_squared_error, for example");
    return SOMA_OK;
}

/* The outputs' losses as columns, where there are several outputs. */
static soma_status show_losses(soma_model *model, training *t) {
    for (int i = 0; i < model->n_outputs && model->n_outputs > 1 && !t->objective; i++) {
        if (training_loss_given(training_loss_of(t, i)))
            TRY(add_column(model, t, (soma_metric){.plain = NULL}, "loss", i));
    }
    t->n_output_losses = t->n_metrics;
    return SOMA_OK;
}

static const char *const precisions[] = {"float32", "mixed_bfloat16", NULL};

static soma_status read_precision(soma_context *context, const char *name, bool *mixed) {
    for (int i = 0; name && precisions[i]; i++) {
        *mixed = i > 0;
        if (strcmp(name, precisions[i]) == 0) return SOMA_OK;
    }
    *mixed = false;
    return name ? name_unknown(context, "precision", name, precisions) : SOMA_OK;
}

/* Losses, metrics and the columns that show them. */
static soma_status take_options(soma_model *model, training *t, const soma_compile_options *o,
                                const soma_custom *custom) {
    RETURN_IF(model->context, model->n_outputs > SOMA_MAX_ARRAYS, SOMA_UNSUPPORTED,
              "[compile] the model has %d outputs: at most %d", model->n_outputs, SOMA_MAX_ARRAYS);
    TRY(read_precision(model->context, o->precision, &t->mixed));
    t->n_metrics = 0;
    TRY(take_losses(model, t, o));
    TRY(show_losses(model, t));
    for (int i = 0; i < model->n_outputs; i++) {
        const soma_output_options *output = &o->outputs[i];
        const metric_options all = {o->metrics, o->finish, o->metrics_with, o->weighted_metrics, SOMA_MAX_METRICS};
        const metric_options own = {output->metrics, output->finish, output->metrics_with, output->weighted_metrics,
                                    SOMA_MAX_OUTPUT_METRICS};
        TRY(add_metrics(model, t, all, i, custom));
        TRY(add_metrics(model, t, own, i, custom));
    }
    return make_keys(model, t);
}

/* All of it, or nothing: after an error the model is compiled as it was. */
static soma_status compile(soma_model *model, const soma_compile_options *o, const soma_custom *custom) {
    training *t = training_of(model);
    if (!t) return SOMA_NO_MEMORY;
    const training before = *t;
    const soma_status status = take_options(model, t, o, custom);
    if (status != SOMA_OK) {
        *t = before;
        return status;
    }
    free_state(model, t);
    history_deinit(model, &t->history);
    place_clear(&t->place, model->context);
    return SOMA_OK;
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
    steps_forget(model, t);
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
    steps_forget(model, t); /* traced with the layers as they were */
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
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    if (!model->built) {
        soma_array_data x = soma_dataset_x(data);
        static const int64_t number = 1; /* a sample that is one number is a vector of one */
        TRY(x.rank > 1 ? soma_model_build(model, x.rank - 1, x.shape + 1) : soma_model_build(model, 1, &number));
    }
    const int n = soma_dataset_inputs(data);
    RETURN_IF(model->context, n != model->n_inputs, SOMA_SHAPE,
              "[%s] the data have %d inputs a sample, the model takes %d: soma_dataset_from_lists gives any number",
              what, n, model->n_inputs);
    for (int i = 0; i < n; i++) {
        const model_value *input = &model->values[model->inputs[i]];
        const soma_array_data x = soma_dataset_input(data, i);
        RETURN_IF(model->context, shape_size(x.rank - 1, x.shape + 1) != shape_size(input->rank, input->shape),
                  SOMA_SHAPE, "[%s] samples are %s, the model takes %s", what, shape_text(a, x.rank - 1, x.shape + 1),
                  shape_text(b, input->rank, input->shape));
    }
    return SOMA_OK;
}

/* Labels that say yes or no: other whole numbers are most likely classes, and the loss would have no least value. */
static soma_status check_truths(soma_model *model, const char *what, soma_dataset *data, int output,
                                const name_entry *loss) {
    const bool signs = loss->labels == LABELS_SIGNS;
    int64_t low, high;
    if (!dataset_label_range(data, output, &low, &high)) return SOMA_OK; /* shares */
    RETURN_IF(model->context, high > 1 || low < (signs ? -1 : 0), SOMA_INVALID,
              "[%s] label %lld is out of range: %s takes %s; classes want a sparse_categorical_crossentropy", what,
              (long long)(high > 1 ? high : low), loss->name, signs ? "-1 or 0 for no and 1 for yes" : "0 to 1");
    return SOMA_OK;
}

/* Labels that stand for classes must name classes that the output has. */
static soma_status check_classes(soma_model *model, const char *what, soma_dataset *data, int output,
                                 const name_entry *name) {
    const training_loss *loss = training_loss_of(model->training, output);
    bool ignores = !loss->plain && loss->with.build == loss_sparse_ignoring && !isnan(loss->with.parameters[0]);
    int64_t ignored = ignores ? (int64_t)loss->with.parameters[0] : 0;
    const model_value *value = &model->values[model->outputs[output]];
    int64_t classes = value->rank > 0 ? value->shape[value->rank - 1] : 1, low, high;
    RETURN_IF(model->context, !dataset_label_range(data, output, &low, &high), SOMA_INVALID,
              "[%s] %s needs whole numbers as labels", what, name->name);
    if (ignores && low == ignored && low < 0) low = 0;
    if (ignores && high == ignored && high >= classes) high = classes - 1;
    RETURN_IF(model->context, low < 0 || high >= classes, SOMA_INVALID,
              "[%s] label %lld is out of range: the model has %lld classes, 0 to %lld", what,
              (long long)(low < 0 ? low : high), (long long)classes, (long long)classes - 1);
    return SOMA_OK;
}

/* By what the output's loss takes, which is the same with and without numbers of its own. */
static soma_status check_output(soma_model *model, const char *what, soma_dataset *data, int output) {
    const training_loss *loss = training_loss_of(model->training, output);
    const name_entry *name = name_of(&loss_names, (soma_function *)loss->plain);
    const name_entry *with = loss->plain ? NULL : name_of(&loss_with_names, (soma_function *)loss->with.build);
    if (with) name = name_find(&loss_names, with->name);
    if (!name || name->labels == LABELS_VALUES) return SOMA_OK;
    return name->labels == LABELS_CLASSES ? check_classes(model, what, data, output, name)
                                          : check_truths(model, what, data, output, name);
}

static soma_status check_labels(soma_model *model, const char *what, soma_dataset *data) {
    const training *t = model->training;
    const int n = soma_dataset_outputs(data);
    RETURN_IF(model->context, n == 0, SOMA_INVALID, "[%s] the data have no labels", what);
    if (t->objective && t->n_metrics == 0) return SOMA_OK; /* which knows what it takes */
    RETURN_IF(model->context, n != model->n_outputs, SOMA_SHAPE,
              "[%s] the data have %d labels a sample, the model %d outputs: soma_dataset_from_lists gives any number",
              what, n, model->n_outputs);
    for (int i = 0; i < n && !t->objective; i++)
        TRY(check_output(model, what, data, i));
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
        steps_forget(model, t);
    }
    model->raw_pixels = false;
    model->pixel_scale = scale;
    model->pixel_offset = offset;
    return SOMA_OK;
}
