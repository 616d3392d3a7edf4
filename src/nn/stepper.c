/* Steppers: a model traced for one step, with variables for what its layers remember.
 * Rests on model.h and plan.h. The layers ask the trace for their memories (trace_recall), so a model needs no other
 * form to be run this way; the plan reads them, and assigns what they are after the step. */
#include <string.h>

#include <soma/generate.h>
#include <soma/plan.h>

#include "nn/model.h"

struct soma_stepper {
    soma_model *model;
    soma_graph *graph;
    soma_plan *plan;
    soma_tensor *x;
    trace_memory memory;
    int64_t batch, position, outputs;
    soma_dtype dtype; /* of the outputs */
};

static soma_status failure(const soma_model *model) {
    soma_status status = soma_last_status(model->context);
    return status != SOMA_OK ? status : SOMA_NO_MEMORY;
}

/* The input of one step: (batch, 1) int64, or (batch, 1, ...). */
static soma_tensor *step_input(const soma_stepper *s) {
    const model_value *value = &s->model->values[s->model->inputs[0]];
    int64_t shape[SOMA_MAX_RANK] = {s->batch, 1};
    RETURN_NULL_IF(s->model->context, value->rank < 1, SOMA_SHAPE, "[stepper] the model's samples have no steps");
    for (int i = 1; i < value->rank; i++)
        shape[i + 1] = value->shape[i];
    soma_dtype dtype = value->rank == 1 ? SOMA_I64 : s->model->layers[0]->options->dtype;
    return soma_input(s->graph, dtype, value->rank + 1, shape, "x");
}

/* The result and all assignments. */
static soma_status make_plan(soma_stepper *s, const soma_trace *trace, soma_tensor *y) {
    soma_tensor **targets = arena_alloc(&s->graph->arena, (size_t)(trace->n_updates + 2) * sizeof *targets);
    if (!targets) return SOMA_NO_MEMORY;
    int n = 0;
    targets[n++] = y;
    for (int i = 0; i < trace->n_updates; i++)
        targets[n++] = soma_assign(trace->updates[i].variable, trace->updates[i].tensor);
    soma_tensor *position = soma_read(s->graph, s->memory.position);
    targets[n++] = soma_assign(s->memory.position, soma_add(position, soma_scalar(s->graph, SOMA_I64, 1)));
    s->plan = soma_plan_create(targets, n, NULL);
    return s->plan ? SOMA_OK : failure(s->model);
}

static soma_status prepare(soma_stepper *s) {
    soma_context *context = s->model->context;
    RETURN_IF(context, !s->model->built, SOMA_INVALID,
              "[stepper] the model has no weights yet: give the first layer an .input_shape");
    RETURN_IF(
        context, s->model->n_inputs != 1 || s->model->n_outputs != 1, SOMA_UNSUPPORTED,
        "[stepper] the model has %d inputs and %d outputs: one of each can be taken a step at a time; run others on "
        "whole sequences, by soma_model_apply",
        s->model->n_inputs, s->model->n_outputs);
    s->graph = soma_graph_create(context);
    s->memory.position = soma_variable_create(context, "position", SOMA_I64, SOMA_SCALAR_DIMS);
    if (!s->graph || !s->memory.position) return failure(s->model);
    soma_trace trace = {.graph = s->graph, .memory = &s->memory};
    soma_tensor *y = NULL;
    s->x = step_input(s);
    if (!s->x) return failure(s->model);
    TRY(model_trace(s->model, &trace, &s->x, &y));
    s->outputs = soma_size(y) / s->batch;
    s->dtype = y->dtype;
    return make_plan(s, &trace, y);
}

soma_stepper *soma_stepper_create(soma_model *model, int64_t batch, int64_t length) {
    RETURN_NULL_IF(NULL, !model, SOMA_INVALID, "[stepper] no model given");
    RETURN_NULL_IF(model->context, batch < 1 || length < 1, SOMA_INVALID, "[stepper] %lld sequences of %lld steps",
                   (long long)batch, (long long)length);
    soma_stepper *s = mem_zalloc(model->context, sizeof *s);
    if (!s) return NULL;
    *s = (soma_stepper){.model = model, .batch = batch, .memory = {.context = model->context, .length = length}};
    if (prepare(s) == SOMA_OK) return s;
    soma_stepper_destroy(s);
    return NULL;
}

void soma_stepper_destroy(soma_stepper *s) {
    if (!s) return;
    soma_context *context = s->model->context;
    soma_plan_destroy(s->plan);
    soma_graph_destroy(s->graph);
    for (int i = 0; i < s->memory.n; i++)
        soma_variable_destroy(s->memory.variables[i]);
    mem_free(context, s->memory.variables, (size_t)s->memory.n * sizeof *s->memory.variables);
    soma_variable_destroy(s->memory.position);
    mem_free(context, s, sizeof *s);
}

soma_status soma_stepper_run(soma_stepper *s, const void *x, const void **y) {
    if (!s || !x || !y) return SOMA_INVALID;
    RETURN_IF(s->model->context, s->position >= s->memory.length, SOMA_INVALID,
              "[stepper] it was made for %lld steps, all have been taken", (long long)s->memory.length);
    TRY(soma_plan_bind(s->plan, s->x, x));
    TRY(soma_plan_run(s->plan));
    s->position++;
    *y = soma_plan_output(s->plan, 0);
    return *y ? SOMA_OK : failure(s->model);
}

int64_t soma_stepper_outputs(const soma_stepper *s) {
    return s ? s->outputs : 0;
}
soma_dtype soma_stepper_dtype(const soma_stepper *s) {
    return s ? s->dtype : SOMA_F32;
}
int64_t soma_stepper_position(const soma_stepper *s) {
    return s ? s->position : 0;
}

/* The elements of a memory: row i becomes row parents[i], or all become zero. */
static soma_status change(const soma_stepper *s, soma_variable *v, const int64_t *parents) {
    size_t bytes = (size_t)soma_variable_size(v) * soma_dtype_size(v->dtype), row = bytes / (size_t)s->batch;
    char *memory = mem_zalloc(s->model->context, 2 * bytes);
    if (!memory) return SOMA_NO_MEMORY;
    char *old = memory + bytes;
    soma_status status = parents ? soma_variable_get(v, old, bytes) : SOMA_OK;
    for (int64_t i = 0; parents && i < s->batch; i++)
        memcpy(memory + (size_t)i * row, old + (size_t)parents[i] * row, row);
    if (status == SOMA_OK) status = soma_variable_set(v, memory, bytes);
    mem_free(s->model->context, memory, 2 * bytes);
    return status;
}

soma_status soma_stepper_reset(soma_stepper *s) {
    if (!s) return SOMA_INVALID;
    for (int i = 0; i < s->memory.n; i++)
        TRY(change(s, s->memory.variables[i], NULL));
    s->position = 0;
    return soma_variable_set(s->memory.position, &s->position, sizeof s->position);
}

soma_status soma_stepper_select(soma_stepper *s, const int64_t *parents) {
    if (!s || !parents) return SOMA_INVALID;
    bool moves = false;
    for (int64_t i = 0; i < s->batch; i++) {
        RETURN_IF(s->model->context, parents[i] < 0 || parents[i] >= s->batch, SOMA_INVALID,
                  "[stepper] sequence %lld of %lld is chosen", (long long)parents[i], (long long)s->batch);
        moves = moves || parents[i] != i;
    }
    for (int i = 0; moves && i < s->memory.n; i++)
        TRY(change(s, s->memory.variables[i], parents));
    return SOMA_OK;
}
