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
        for (int j = 0; j < t->state[i].n; j++) soma_variable_destroy(t->state[i].slots[j]);
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

/* "metric", "metric_1", ... for functions without a name. */
static const char *metric_name(soma_model *model, const training *t, int i, const char *given,
                               const soma_custom *custom) {
    const char *name = given;
    if (!name) name = name_for(&metric_names, custom, (soma_function *)t->metrics[i]);
    if (!name) name = name_for(&loss_names, custom, (soma_function *)t->metrics[i]);
    if (name) return arena_strdup(&model->arena, name);
    int unnamed = 0;
    for (int j = 0; j < i; j++) unnamed += strncmp(t->metric_names[j], "metric", 6) == 0;
    return unnamed ? arena_printf(&model->arena, "metric_%d", unnamed) : arena_strdup(&model->arena, "metric");
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
        for (; at > 0 && strcmp(t->keys[at - 1].name, key.name) > 0; at--) t->keys[at] = t->keys[at - 1];
        t->keys[at] = key;
    }
    return SOMA_OK;
}

static soma_status compile(soma_model *model, const soma_compile_options *options, const char *const *given,
                           const soma_custom *custom) {
    training *t = training_of(model);
    if (!t) return SOMA_NO_MEMORY;
    RETURN_IF(model->context, !options->loss, SOMA_INVALID,
              "[compile] no loss given: .loss = soma_mean_squared_error, for example");
    free_state(model, t);
    history_deinit(model, &t->history);
    t->compiled = false;
    t->loss = options->loss;
    t->n_metrics = 0;
    for (int i = 0; i < SOMA_MAX_METRICS && options->metrics[i]; i++) {
        t->metrics[i] = options->metrics[i];
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

static soma_status make_slots(soma_model *model, training_state *state, const char *const *names, int n) {
    const soma_variable *w = state->weight;
    for (int i = 0; i < n; i++) {
        text name;
        text_init(&name, model->context);
        text_printf(&name, "optimizer/%s/%s", w->name, names[i]);
        state->slots[i] = soma_variable_create(model->context, text_string(&name), w->dtype, w->rank, w->shape);
        text_deinit(&name);
        if (!state->slots[i]) return training_failure(model);
        state->n++;
        model->optimizer_count += w->size;
        model->optimizer_bytes += w->size * (int64_t)soma_dtype_size(w->dtype);
    }
    return SOMA_OK;
}

static soma_status make_state(soma_model *model, training *t) {
    const char *names[SOMA_MAX_SLOTS];
    int slots = optimizer_slots(t->optimizer, names), n = 0;
    for (int i = 0; i < model->n_layers; i++) n += model->layers[i]->n_weights;
    t->state = mem_zalloc(model->context, (size_t)n * sizeof *t->state);
    if (!t->state) return SOMA_NO_MEMORY;
    int weights = 0;
    for (int i = 0; i < model->n_layers; i++) {
        for (int j = 0; j < model->layers[i]->n_weights; j++) {
            soma_variable *w = model->layers[i]->weights[j].variable;
            if (!w->trainable) continue;
            t->state[weights].weight = w;
            TRY(make_slots(model, &t->state[weights], names, slots));
            weights++;
        }
    }
    if (weights < n) { /* the block's size is told when it is freed */
        training_state *exact = mem_realloc(model->context, t->state, (size_t)n * sizeof *exact,
                                            (size_t)weights * sizeof *exact);
        if (!exact) return SOMA_NO_MEMORY;
        t->state = exact;
    }
    t->n_state = weights;
    return SOMA_OK;
}
