/* Models: layers in running order, their names, weights and shapes.
 * Rests on layer.h. Weights are described first, from shapes alone, and made afterwards in one plan: so a file can be
 * compared with the description before anything is allocated for it. */
#include "nn/model.h"

#include <soma/plan.h>
#include <string.h>

#include "base/context_internal.h"

/* ---- life ---- */

soma_model *model_alloc(soma_context *context, int layers, int calls, int values) {
    context = context_of(context);
    soma_model *model = mem_zalloc(context, sizeof *model);
    if (!model) return NULL;
    model->context = context;
    arena_init(&model->arena, context);
    model->pixel_scale = 1.0 / 255;
    atomic_init(&model->stop, MODEL_RUNS);
    model->layers = arena_alloc(&model->arena, (size_t)layers * sizeof *model->layers);
    model->calls = arena_alloc(&model->arena, (size_t)calls * sizeof *model->calls);
    model->values = arena_alloc(&model->arena, (size_t)values * sizeof *model->values);
    model->n_values = values;
    if (model->layers && model->calls && model->values) return model;
    soma_model_destroy(model);
    return NULL;
}

void soma_model_destroy(soma_model *model) {
    if (!model) return;
    if (model->training) model->training_destroy(model, model->training);
    for (int i = 0; i < model->n_layers; i++)
        layer_release(model->layers[i]);
    arena_deinit(&model->arena);
    mem_free(model->context, model, sizeof *model);
}

soma_context *soma_model_context(const soma_model *model) {
    return model ? model->context : context_of(NULL);
}
const char *soma_model_name(const soma_model *model) {
    return model && model->name ? model->name : "";
}

soma_status soma_model_set_name(soma_model *model, const char *name) {
    RETURN_IF(NULL, !model || !name, SOMA_INVALID, "[model] no model or no name given");
    char *copy = arena_strdup(&model->arena, name);
    if (!copy) return SOMA_NO_MEMORY;
    model->name = copy;
    return SOMA_OK;
}

static soma_model *chain_layers(soma_context *context, soma_layer *const *layers, int n) {
    soma_model *model = model_alloc(context, n, n, n + 1);
    if (!model) return NULL;
    model->sequential = true;
    int *chain = arena_alloc(&model->arena, (size_t)(n + 1) * sizeof *chain);
    for (int i = 0; chain && i < n; i++) {
        chain[i] = i;
        model->layers[model->n_layers++] = layers[i];
        layer_retain(layers[i]);
        model->calls[model->n_calls++] =
            (model_call){.layer = i, .n_inputs = 1, .inputs = &chain[i], .output = i + 1, .n_outputs = 1};
    }
    if (!chain) return model; /* not built, no inputs: the caller sees */
    chain[n] = n;
    for (int i = 0; i <= n; i++)
        model->values[i].rank = -1;
    model->inputs = &chain[0];
    model->outputs = &chain[n];
    model->n_inputs = model->n_outputs = 1;
    return model;
}

/* The shape of a sample as the first layer gives it; rank 0 when it does not. */
static int given_shape(const soma_model *model, const int64_t **shape) {
    *shape = model->layers[0]->options->input_shape;
    int rank = 0;
    while (rank < SOMA_MAX_RANK && (*shape)[rank] != 0)
        rank++;
    return rank;
}

static soma_status start(soma_model *model, bool make) {
    TRY(soma_model_set_name(model, "sequential"));
    TRY(model_name_layers(model));
    const int64_t *shape;
    int rank = given_shape(model, &shape);
    if (rank == 0) return SOMA_OK;
    return make ? soma_model_build(model, rank, shape) : model_describe(model, rank, shape);
}

soma_model *model_sequential(soma_context *context, soma_layer *const *layers, int n, bool make) {
    bool ok = layers && n > 0;
    for (int i = 0; ok && i < n; i++)
        ok = layers[i] != NULL;
    for (int i = 0; ok && i < n; i++) {
        for (int j = 0; j < i; j++)
            ok = ok && layers[i] != layers[j];
    }
    soma_model *model = ok ? chain_layers(context, layers, n) : NULL;
    if (!ok) (void)error_set(context, SOMA_INVALID, "[sequential] a layer is missing or there twice");
    if (model && model->n_inputs == 1 && start(model, make) == SOMA_OK) return model;
    if (model) {
        soma_model_destroy(model);
    } else {
        for (int i = 0; layers && i < n; i++) {
            bool seen = false;
            for (int j = 0; j < i; j++)
                seen = seen || layers[i] == layers[j];
            if (!seen) soma_layer_destroy(layers[i]);
        }
    }
    return NULL;
}

soma_model *soma_sequential_create(soma_context *context, soma_layer *const *layers, int n) {
    return model_sequential(context, layers, n, true);
}

/* ---- names ---- */

static bool name_taken(const soma_model *model, const char *name, int except) {
    for (int i = 0; i < model->n_layers; i++) {
        if (i != except && model->layers[i]->name && strcmp(model->layers[i]->name, name) == 0) return true;
    }
    return false;
}

/* "dense", "dense_1", ...: the first that is free. */
static soma_status name_layer(soma_model *model, int i) {
    const char *class_name = model->layers[i]->kind->name;
    char *snake = layer_snake_name(model->context, class_name);
    if (!snake) return SOMA_NO_MEMORY;
    soma_status status = SOMA_OK;
    text t;
    text_init(&t, model->context);
    int number = 0; /* as many as there are already: so a long model does not try them all */
    for (int j = 0; j < i; j++)
        number += strncmp(model->layers[j]->name, snake, strlen(snake)) == 0;
    for (;; number++) {
        text_truncate(&t, 0);
        if (number == 0) text_append(&t, snake);
        if (number > 0) text_printf(&t, "%s_%d", snake, number);
        if (t.failed || !name_taken(model, text_string(&t), i)) break;
    }
    status = t.failed ? SOMA_NO_MEMORY : layer_set_name(model->layers[i], text_string(&t));
    model->layers[i]->named_by_model = true;
    text_deinit(&t);
    text_free(snake);
    return status;
}

/* Two models' layers that meet in a third may both be called "dense"; files know weights by these names. */
static bool may_rename(const soma_layer *layer) {
    bool made = false;
    for (int i = 0; i < layer->n_weights; i++)
        made = made || layer->weights[i].variable;
    return layer->named_by_model && !made;
}

/* Does another layer keep this one's name from it: one before, or one that must keep it? */
static bool must_yield(const soma_model *model, int i) {
    const soma_layer *layer = model->layers[i];
    for (int j = 0; j < model->n_layers; j++) {
        const soma_layer *other = model->layers[j];
        if (j != i && other->name && strcmp(other->name, layer->name) == 0 && (j < i || !may_rename(other)))
            return true;
    }
    return false;
}

soma_status model_name_layers(soma_model *model) {
    for (int i = 0; i < model->n_layers; i++) {
        soma_layer *layer = model->layers[i];
        if (!layer->name || (may_rename(layer) && must_yield(model, i))) TRY(name_layer(model, i));
        RETURN_IF(model->context, must_yield(model, i), SOMA_INVALID,
                  "[model] two layers are called '%s': give one of them a .name", layer->name);
    }
    model->raw_pixels = false;
    for (int i = 0; i < model->n_layers; i++) {
        const soma_layer_class *kind = model->layers[i]->kind; /* which takes bytes as they are */
        if (kind == &layer_rescaling || kind == &layer_embedding) model->raw_pixels = true;
    }
    return SOMA_OK;
}

/* ---- shapes and weights ---- */

/* The results of a call take their places among the values. */
static soma_status keep_results(soma_model *model, const model_call *call, const soma_trace *trace, soma_tensor *y,
                                soma_tensor **values) {
    RETURN_IF(model->context, trace->n_more + 1 != call->n_outputs, SOMA_INVALID,
              "[%s] it gives %d results, %d are wanted: only models made of symbols take more than one",
              model->layers[call->layer]->kind->name, trace->n_more + 1, call->n_outputs);
    for (int i = 0; i < call->n_outputs; i++) {
        const soma_tensor *result = values[call->output + i] = i ? trace->more[i - 1] : y;
        if (!trace->shapes_only) continue;
        model_value *value = &model->values[call->output + i];
        value->rank = result->rank - 1;
        memcpy(value->shape, result->shape + 1, (size_t)value->rank * sizeof *value->shape);
    }
    return SOMA_OK;
}

soma_status model_trace(soma_model *model, soma_trace *trace, soma_tensor *const *inputs, soma_tensor **outputs) {
    soma_tensor **values = arena_alloc(&trace->graph->arena, (size_t)model->n_values * sizeof *values);
    if (!values) return SOMA_NO_MEMORY;
    for (int i = 0; i < model->n_inputs; i++)
        values[model->inputs[i]] = inputs[i];
    for (int i = 0; i < model->n_calls; i++) {
        const model_call *call = &model->calls[i];
        soma_tensor **arguments = arena_alloc(&trace->graph->arena, (size_t)call->n_inputs * sizeof *arguments);
        if (!arguments) return SOMA_NO_MEMORY;
        for (int j = 0; j < call->n_inputs; j++)
            arguments[j] = values[call->inputs[j]];
        soma_tensor *y = layer_call(model->layers[call->layer], trace, arguments, call->n_inputs);
        if (!y) {
            soma_status status = soma_last_status(model->context);
            return status != SOMA_OK ? status : SOMA_INVALID;
        }
        TRY(keep_results(model, call, trace, y, values));
    }
    for (int i = 0; i < model->n_layers; i++)
        layer_add_penalties(model->layers[i], trace);
    if (trace->failed)
        return soma_last_status(model->context) != SOMA_OK ? soma_last_status(model->context) : SOMA_INVALID;
    for (int i = 0; i < model->n_outputs; i++)
        outputs[i] = values[model->outputs[i]];
    return SOMA_OK;
}

soma_status model_describe(soma_model *model, int rank, const int64_t *sample_shape) {
    RETURN_IF(model->context, rank < 1 || rank >= SOMA_MAX_RANK, SOMA_SHAPE,
              "[model] rank %d of a sample is not in 1 to %d", rank, SOMA_MAX_RANK - 1);
    int64_t shape[SOMA_MAX_RANK] = {2}; /* a batch that nothing takes for a broadcast extent */
    for (int i = 0; i < rank; i++) {
        RETURN_IF(model->context, sample_shape[i] < 1, SOMA_SHAPE, "[model] an extent of a sample is %lld",
                  (long long)sample_shape[i]);
        shape[i + 1] = sample_shape[i];
    }
    soma_graph *graph = soma_graph_create(model->context);
    if (!graph) return SOMA_NO_MEMORY;
    soma_trace trace = {.graph = graph, .shapes_only = true};
    soma_tensor *output = NULL, *input = soma_input(graph, SOMA_F32, rank + 1, shape, "x");
    soma_status status = input ? model_trace(model, &trace, &input, &output) : soma_last_status(model->context);
    soma_graph_destroy(graph);
    TRY(status);
    model_value *first = &model->values[model->inputs[0]];
    first->rank = rank;
    memcpy(first->shape, sample_shape, (size_t)rank * sizeof *sample_shape);
    model->built = true;
    return SOMA_OK;
}

/* Fans as Keras counts them. */
static void fans(const soma_weight_options *spec, double *in, double *out) {
    double window = 1;
    for (int i = 0; i + 2 < spec->rank; i++)
        window *= (double)spec->shape[i];
    *in = spec->rank == 0 ? 1 : window * (double)spec->shape[spec->rank > 1 ? spec->rank - 2 : 0];
    *out = spec->rank == 0 ? 1 : window * (double)spec->shape[spec->rank - 1];
}

/* The assignment of a weight's first value; NULL after an error. */
static soma_tensor *first_value(soma_graph *graph, const layer_weight *w, int64_t number) {
    soma_weight_request request = {
        .graph = graph,
        .dtype = w->variable->dtype,
        .rank = w->spec.rank,
        .shape = w->spec.shape,
        /* below zero: training steps count upwards from there */
        .step = soma_scalar(graph, SOMA_I64, (double)(-1 - (w->spec.initializer.seed ? 0 : number)))};
    const soma_initializer *initializer = &w->spec.initializer;
    random_stream own = {.seed = (uint64_t)initializer->seed};
    if (!request.step) return NULL; /* which would mean no step at all */
    fans(&w->spec, &request.fan_in, &request.fan_out);
    if (initializer->seed) graph->stream = &own;
    soma_tensor *value = initializer->build(&request, initializer->parameters);
    graph->stream = NULL;
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    RETURN_NULL_IF(graph->context, value && !shape_equal(value->rank, value->shape, w->spec.rank, w->spec.shape),
                   SOMA_SHAPE, "[%s] its initializer gives %s for a weight of %s", w->variable->name,
                   tensor_shape_text(a, value), shape_text(b, w->spec.rank, w->spec.shape));
    return value ? soma_assign(w->variable, soma_cast(value, w->variable->dtype)) : NULL;
}

enum { WEIGHTS_A_PLAN = 16 /* that are filled together: what a plan takes while it is made is not for all of a net */ };

/* One plan that fills some; *next is the first that is left. */
static soma_status initialize_some(soma_graph *graph, layer_weight **weights, int n, int *next) {
    soma_tensor *targets[WEIGHTS_A_PLAN];
    int count = 0;
    for (; *next < n && count < WEIGHTS_A_PLAN; ++*next) {
        if (!weights[*next]->spec.initializer.build) continue; /* zeros, as variables are */
        targets[count] = first_value(graph, weights[*next], *next);
        if (!targets[count++]) return SOMA_INVALID;
    }
    if (count == 0) return SOMA_OK;
    soma_plan *plan = soma_plan_create(targets, count, NULL);
    soma_status status = plan ? soma_plan_run(plan) : SOMA_INVALID;
    soma_plan_destroy(plan);
    return status;
}

/* Random numbers go on from plan to plan: a weight's values depend on the weights before it, not on plans. */
static soma_status initialize_weights(soma_model *model, layer_weight **weights, int n) {
    soma_graph *graph = soma_graph_create(model->context);
    if (!graph) return SOMA_NO_MEMORY;
    soma_status status = SOMA_OK;
    for (int next = 0; next < n && status == SOMA_OK;) {
        const uint64_t key = graph->next_key;
        soma_graph_reset(graph);
        graph->next_key = key;
        status = initialize_some(graph, weights, n, &next);
    }
    soma_graph_destroy(graph);
    if (status == SOMA_INVALID && soma_last_status(model->context) != SOMA_OK) return soma_last_status(model->context);
    return status;
}

/* Makes the variable of a description. */
static soma_status make_variable(soma_model *model, soma_layer *layer, layer_weight *w) {
    text name;
    text_init(&name, model->context);
    text_printf(&name, "%s/%s", layer->name, w->spec.name);
    if (!name.failed) {
        w->variable = soma_variable_create(model->context, text_string(&name), layer->options->dtype, w->spec.rank,
                                           w->spec.shape);
    }
    text_deinit(&name);
    if (!w->variable)
        return soma_last_status(model->context) != SOMA_OK ? soma_last_status(model->context) : SOMA_NO_MEMORY;
    w->variable->trainable = layer_trains(layer, (int)(w - layer->weights));
    return SOMA_OK;
}

soma_status model_make_variables(soma_model *model, bool initialize) {
    int total = 0, n = 0;
    for (int i = 0; i < model->n_layers; i++)
        total += model->layers[i]->n_weights;
    if (total == 0) return SOMA_OK;
    layer_weight **made = mem_alloc(model->context, (size_t)total * sizeof *made);
    if (!made) return SOMA_NO_MEMORY;
    soma_status status = SOMA_OK;
    for (int i = 0; i < model->n_layers; i++) {
        soma_layer *layer = model->layers[i];
        for (int j = 0; j < layer->n_weights && status == SOMA_OK; j++) {
            if (layer->weights[j].variable) continue;
            status = make_variable(model, layer, &layer->weights[j]);
            made[n++] = &layer->weights[j];
        }
    }
    if (status == SOMA_OK && initialize) status = initialize_weights(model, made, n);
    mem_free(model->context, made, (size_t)total * sizeof *made);
    return status;
}

soma_status soma_model_build(soma_model *model, int rank, const int64_t *sample_shape) {
    RETURN_IF(NULL, !model, SOMA_INVALID, "[build] no model given");
    if (model->built) return SOMA_OK;
    RETURN_IF(model->context, !sample_shape, SOMA_INVALID, "[build] no shape given");
    TRY(model_describe(model, rank, sample_shape));
    return model_make_variables(model, true);
}

soma_status soma_reset_states(soma_model *model) {
    RETURN_IF(NULL, !model, SOMA_INVALID, "[reset_states] no model given");
    for (int i = 0; i < model->n_layers; i++) {
        for (int j = 0; j < model->layers[i]->n_weights; j++) {
            soma_variable *v = model->layers[i]->weights[j].variable;
            if (!v || !model->layers[i]->weights[j].spec.state) continue;
            size_t bytes = (size_t)soma_variable_size(v) * soma_dtype_size(v->dtype);
            void *zeros = mem_zalloc(model->context, bytes);
            soma_status status = zeros ? soma_variable_set(v, zeros, bytes) : SOMA_NO_MEMORY;
            mem_free(model->context, zeros, bytes);
            TRY(status);
        }
    }
    return SOMA_OK;
}

/* ---- what a model is ---- */

int soma_model_layers(const soma_model *model) {
    return model ? model->n_layers : 0;
}
soma_layer *soma_model_get_layer(const soma_model *model, int i) {
    return model && i >= 0 && i < model->n_layers ? model->layers[i] : NULL;
}

int64_t soma_count_params(const soma_model *model) {
    if (!model || !model->built) return -1;
    int64_t count = 0;
    for (int i = 0; i < model->n_layers; i++) {
        const soma_layer *layer = model->layers[i];
        for (int j = 0; j < layer->n_weights; j++)
            count += shape_size(layer->weights[j].spec.rank, layer->weights[j].spec.shape);
    }
    return count;
}

int soma_model_inputs(const soma_model *model) {
    return model ? model->n_inputs : 0;
}

int soma_model_outputs(const soma_model *model) {
    return model ? model->n_outputs : 0;
}

static int shape_of(const soma_model *model, int value, int64_t shape[SOMA_MAX_RANK]) {
    const model_value *v = &model->values[value];
    memcpy(shape, v->shape, (size_t)v->rank * sizeof *shape);
    return v->rank;
}

int soma_model_input_shape_at(const soma_model *model, int i, int64_t shape[SOMA_MAX_RANK]) {
    return model && model->built && i >= 0 && i < model->n_inputs ? shape_of(model, model->inputs[i], shape) : -1;
}

int soma_model_output_shape_at(const soma_model *model, int i, int64_t shape[SOMA_MAX_RANK]) {
    return model && model->built && i >= 0 && i < model->n_outputs ? shape_of(model, model->outputs[i], shape) : -1;
}

int soma_model_value_shape(const soma_model *model, int value, int64_t shape[SOMA_MAX_RANK]) {
    return model && model->built && value >= 0 && value < model->n_values ? shape_of(model, value, shape) : -1;
}

int soma_model_calls(const soma_model *model) {
    return model ? model->n_calls : 0;
}

soma_layer_call soma_model_get_call(const soma_model *model, int i) {
    if (i < 0 || i >= soma_model_calls(model)) return (soma_layer_call){0};
    const model_call *call = &model->calls[i];
    return (soma_layer_call){model->layers[call->layer], call->n_inputs, call->inputs, call->n_outputs, call->output};
}

int soma_model_input_shape(const soma_model *model, int64_t shape[SOMA_MAX_RANK]) {
    return soma_model_input_shape_at(model, 0, shape);
}

int soma_model_output_shape(const soma_model *model, int64_t shape[SOMA_MAX_RANK]) {
    return soma_model_output_shape_at(model, 0, shape);
}

const char *soma_model_output_name(const soma_model *model, int i) {
    for (int k = 0; i >= 0 && i < soma_model_outputs(model) && k < model->n_calls; k++) {
        const model_call *call = &model->calls[k];
        const int at = model->outputs[i] - call->output;
        if (at >= 0 && at < call->n_outputs) return model->layers[call->layer]->name;
    }
    return NULL;
}

soma_status soma_model_apply(soma_model *model, soma_tensor *const *inputs, int n, bool training,
                             soma_tensor **outputs) {
    RETURN_IF(NULL, !model || !inputs || !outputs, SOMA_INVALID, "[apply] no model, inputs or outputs given");
    RETURN_IF(model->context, n != model->n_inputs, SOMA_INVALID, "[apply] %d inputs given, the model has %d", n,
              model->n_inputs);
    for (int i = 0; i < n; i++) {
        if (!inputs[i]) return error_set(model->context, SOMA_INVALID, "[apply] input %d is missing", i);
        RETURN_IF(model->context, inputs[i]->rank < 2, SOMA_SHAPE, "[apply] input %d has no batch axis", i);
    }
    if (!model->built) TRY(soma_model_build(model, inputs[0]->rank - 1, inputs[0]->shape + 1));
    soma_trace trace = {.graph = inputs[0]->graph, .training = training};
    return model_trace(model, &trace, inputs, outputs);
}
