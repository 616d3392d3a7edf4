/* Steps: a batch traced through the model, the loss, the metrics, and for training the gradients and the update.
 * Rests on nn for all of it and on plan.h; the result is one plan, which the compiler fuses as a whole.
 * The graph stays, since inputs are bound by the tensors that stand for them. */
#include "train/step.h"

#include <math.h>
#include <string.h>

#include "data/dataset.h"
#include "nn/names.h"

/* ---- from the samples to the values ---- */

step_shape step_shape_of(const soma_dataset *data, int64_t batch, bool labels) {
    step_shape shape = {.batch = batch, .x_dtype = soma_dataset_x(data).dtype};
    if (!labels) return shape;
    soma_array_data y = soma_dataset_y(data);
    shape.y_dtype = y.dtype;
    shape.y_rank = y.rank - 1;
    memcpy(shape.y_shape, y.shape + 1, (size_t)shape.y_rank * sizeof *y.shape);
    return shape;
}

static soma_tensor *batch_input(soma_graph *graph, soma_dtype dtype, int64_t batch, int rank, const int64_t *sample,
                                const char *name) {
    int64_t shape[SOMA_MAX_RANK] = {batch};
    RETURN_NULL_IF(graph->context, rank >= SOMA_MAX_RANK, SOMA_SHAPE, "[%s] samples of rank %d are too much", name,
                   rank);
    if (rank > 0) memcpy(shape + 1, sample, (size_t)rank * sizeof *sample);
    return soma_input(graph, dtype, rank + 1, shape, name);
}

/* uint8 samples become numbers here, in the plan, where that fuses with the first layer. */
static soma_tensor *pixels(const soma_model *model, soma_tensor *x) {
    if (!x || x->dtype != SOMA_U8 || model->raw_pixels) return x;
    x = soma_mul_scalar(soma_cast(x, model->layers[0]->options->dtype), model->pixel_scale);
    return model->pixel_offset == 0 ? x : soma_add_scalar(x, model->pixel_offset);
}

/* The model's output for s->x, and in trace what it read. */
static soma_tensor *forward(soma_model *model, step *s, soma_trace *trace) {
    const model_value *input = &model->values[model->inputs[0]];
    s->x = batch_input(s->graph, s->shape.x_dtype, s->shape.batch, input->rank, input->shape, "x");
    soma_tensor *x = pixels(model, s->x), *y = NULL;
    if (!x || model_trace(model, trace, &x, &y) != SOMA_OK) return NULL;
    return y;
}

/* What a plan is made of; the array is in the graph's arena. */
typedef struct target_list {
    soma_tensor **items;
    int n;
} target_list;

/* The mean over the batch, or the sums of the statistics. */
static soma_tensor *metric(const training *t, int i, soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *x = t->metrics[i](y_true, y_pred);
    if (!t->finish[i]) return soma_mean(x, SOMA_ALL_AXES, false);
    if (!x || x->rank < 2) return x;
    return soma_sum(soma_reshape(x, SOMA_DIMS(-1, soma_dim(x, -1))), SOMA_AXES(0), false);
}

/* The values of the loss, each times the weight of its sample. */
static soma_tensor *weigh(step *s, soma_tensor *losses) {
    if (!s->shape.weighted || !losses) return losses;
    s->weights = soma_input(s->graph, SOMA_F32, SOMA_DIMS(s->shape.batch), "weights");
    RETURN_NULL_IF(s->graph->context, losses->rank < 1 || losses->shape[0] != s->shape.batch, SOMA_SHAPE,
                   "[fit] the loss has no value a sample, so samples can't be weighted");
    soma_tensor *weights = soma_cast(s->weights, losses->dtype);
    for (int i = 1; i < losses->rank; i++)
        weights = soma_expand_dims(weights, -1);
    return soma_mul(losses, weights);
}

/* Loss and metrics as targets; returns the loss. */
static soma_tensor *values(soma_model *model, step *s, soma_tensor *y_pred, const soma_trace *trace,
                           soma_tensor **targets) {
    const training *t = model->training;
    soma_tensor *loss = weigh(s, training_loss(t, s->y, y_pred));
    loss = soma_mean(loss, SOMA_ALL_AXES, false);
    if (trace->losses && loss) loss = soma_add(loss, soma_cast(trace->losses, loss->dtype));
    targets[0] = loss;
    for (int i = 0; i < t->n_metrics; i++)
        targets[1 + i] = metric(t, i, s->y, y_pred);
    s->n_values = 1 + t->n_metrics;
    for (int i = 0; i < s->n_values; i++) {
        if (!targets[i]) return NULL;
        s->dtypes[i] = targets[i]->dtype;
        s->sizes[i] = soma_size(targets[i]);
        RETURN_NULL_IF(model->context, targets[i]->dtype != SOMA_F32 && targets[i]->dtype != SOMA_F64, SOMA_DTYPE,
                       "[compile] a loss or metric gives %s: float32 or float64 is needed",
                       soma_dtype_name(targets[i]->dtype));
    }
    return loss;
}

/* ---- from the loss to the new weights ---- */

static bool put(target_list *targets, soma_variable *variable, soma_tensor *value) {
    soma_tensor *assign = value ? soma_assign(variable, soma_cast(value, variable->dtype)) : NULL;
    if (assign) targets->items[targets->n++] = assign;
    return assign != NULL;
}

/* The assignments of one weight and its state. */
static bool update_weight(const training *t, const training_state *state, soma_update *u, target_list *targets) {
    for (int i = 0; i < state->n; i++)
        u->slots[i] = soma_read(u->graph, state->slots[i]);
    soma_tensor *w = optimizer_update(t->optimizer, u);
    if (w && state->constraint->apply) w = state->constraint->apply(w, state->constraint->parameters);
    if (!put(targets, state->weight, w)) return false;
    for (int i = 0; i < state->n; i++) {
        if (!put(targets, state->slots[i], u->slots[i])) return false;
    }
    return true;
}

/* w[i] and g[i]: weights as the trace read them, and their gradients. */
static soma_status gradients(soma_model *model, soma_trace *trace, soma_tensor *loss, soma_tensor **w,
                             soma_tensor **g) {
    const training *t = model->training;
    for (int i = 0; i < t->n_state; i++) {
        w[i] = trace_read(trace, t->state[i].weight);
        if (!w[i]) return training_failure(model);
    }
    TRY(soma_grad(loss, w, t->n_state, g));
    return optimizer_clip(t->optimizer, g, t->n_state);
}

/* Makes room for the assignments behind the values. */
static bool reserve(const soma_trace *trace, const training *t, target_list *targets) {
    size_t most = (size_t)targets->n + 1 + (size_t)t->n_state * (1 + SOMA_MAX_SLOTS) + (size_t)trace->n_updates;
    soma_tensor **items = arena_alloc(&trace->graph->arena, most * sizeof *items);
    if (!items) return false;
    memcpy(items, targets->items, (size_t)targets->n * sizeof *items);
    targets->items = items;
    return true;
}

static soma_status update_all(soma_model *model, soma_trace *trace, soma_tensor *loss, target_list *targets) {
    const training *t = model->training;
    soma_graph *graph = trace->graph;
    size_t bytes = (size_t)t->n_state * sizeof(soma_tensor *);
    soma_tensor **w = arena_alloc(&graph->arena, bytes), **g = arena_alloc(&graph->arena, bytes);
    if (!w || !g || !reserve(trace, t, targets)) return SOMA_NO_MEMORY;
    TRY(gradients(model, trace, loss, w, g));
    soma_tensor *one = soma_scalar(graph, SOMA_I64, 1);
    soma_tensor *count = soma_add(trace_read(trace, t->iterations), one);
    soma_tensor *rate = soma_read(graph, t->learning_rate);
    if (!rate || !put(targets, t->iterations, count)) return training_failure(model);
    for (int i = 0; i < t->n_state; i++) {
        soma_update u = {.graph = graph,
                         .learning_rate = soma_cast(rate, w[i]->dtype),
                         .t = soma_cast(count, w[i]->dtype),
                         .w = w[i],
                         .g = soma_cast(g[i], w[i]->dtype)};
        if (!update_weight(t, &t->state[i], &u, targets)) return training_failure(model);
    }
    for (int i = 0; i < trace->n_updates; i++) {
        if (!put(targets, trace->updates[i].variable, trace->updates[i].tensor)) return training_failure(model);
    }
    return SOMA_OK;
}

/* ---- the whole ---- */

static soma_status trace_values(soma_model *model, step *s, soma_trace *trace, target_list *targets) {
    soma_tensor *y_pred = forward(model, s, trace);
    if (!y_pred) return training_failure(model);
    s->y = batch_input(s->graph, s->shape.y_dtype, s->shape.batch, s->shape.y_rank, s->shape.y_shape, "y");
    soma_tensor *loss = s->y ? values(model, s, y_pred, trace, targets->items) : NULL;
    if (!loss) return training_failure(model);
    targets->n = s->n_values;
    return s->kind == STEP_TRAIN ? update_all(model, trace, loss, targets) : SOMA_OK;
}

static soma_status trace_prediction(soma_model *model, step *s, soma_trace *trace, target_list *targets) {
    soma_tensor *y = forward(model, s, trace);
    if (!y) return training_failure(model);
    s->dtypes[0] = y->dtype;
    s->outputs = soma_size(y);
    s->rank = y->rank;
    memcpy(s->output_shape, y->shape, sizeof s->output_shape);
    targets->items[0] = y;
    targets->n = 1;
    return SOMA_OK;
}

static soma_status make_plan(soma_model *model, step *s) {
    const training *t = model->training;
    soma_trace trace = {.graph = s->graph, .training = s->kind == STEP_TRAIN, .step_from = t->iterations};
    target_list targets = {.items = arena_alloc(&s->graph->arena, TRAINING_VALUES * sizeof(soma_tensor *))};
    if (!targets.items) return SOMA_NO_MEMORY;
    TRY(s->kind == STEP_PREDICT ? trace_prediction(model, s, &trace, &targets)
                                : trace_values(model, s, &trace, &targets));
    s->plan = soma_plan_create(targets.items, targets.n, NULL);
    return s->plan ? SOMA_OK : training_failure(model);
}

static void destroy(soma_model *model, step *s) {
    soma_plan_destroy(s->plan);
    soma_graph_destroy(s->graph);
    mem_free(model->context, s, sizeof *s);
}

void steps_destroy(soma_model *model, step *steps) {
    while (steps) {
        step *next = steps->next;
        destroy(model, steps);
        steps = next;
    }
}

static bool same_shape(const step_shape *a, const step_shape *b) {
    return a->batch == b->batch && a->weighted == b->weighted && a->x_dtype == b->x_dtype && a->y_dtype == b->y_dtype &&
           shape_equal(a->y_rank, a->y_shape, b->y_rank, b->y_shape);
}

step *step_get(soma_model *model, step_kind kind, const step_shape *shape) {
    training *t = training_of(model);
    if (!t) return NULL;
    RETURN_NULL_IF(model->context, model->n_inputs != 1 || model->n_outputs != 1, SOMA_UNSUPPORTED,
                   "[model] %d inputs and %d outputs: data have one of each; soma_model_apply takes any number",
                   model->n_inputs, model->n_outputs);
    if (kind != STEP_PREDICT && training_prepare(model) != SOMA_OK) return NULL;
    for (step *s = t->steps; s; s = s->next) {
        if (s->kind == kind && same_shape(&s->shape, shape)) return s;
    }
    step *s = mem_zalloc(model->context, sizeof *s);
    if (!s) return NULL;
    s->kind = kind;
    s->training = t;
    s->shape = *shape;
    s->graph = soma_graph_create(model->context);
    if (!s->graph || make_plan(model, s) != SOMA_OK) {
        destroy(model, s);
        return NULL;
    }
    s->next = t->steps;
    t->steps = s;
    return s;
}

soma_status step_run_weighted(step *s, const void *x, const void *y, const float *weights) {
    if (s->weights) TRY(soma_plan_bind(s->plan, s->weights, weights));
    return step_run(s, x, y);
}

soma_status step_run(step *s, const void *x, const void *y) {
    TRY(soma_plan_bind(s->plan, s->x, x));
    if (s->y) TRY(soma_plan_bind(s->plan, s->y, y));
    if (s->kind == STEP_TRAIN) TRY(training_follow_schedule(s->training));
    return soma_plan_run(s->plan);
}

double step_value(const step *s, int i, int64_t k) {
    const void *value = soma_plan_output(s->plan, i);
    if (!value) return (double)NAN;
    return s->dtypes[i] == SOMA_F64 ? ((const double *)value)[k] : (double)((const float *)value)[k];
}
