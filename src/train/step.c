/* Steps: a batch traced through the model, the loss, the metrics, and for training the gradients and the update.
 * Rests on nn for all of it and on plan.h; the result is one plan, which the compiler fuses as a whole.
 * The graph stays, since inputs are bound by the tensors that stand for them. */
#include "train/step.h"

#include <math.h>
#include <string.h>

#include "data/dataset.h"
#include "nn/losses.h"
#include "nn/names.h"
#include "plan/rows.h"

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
    s->input = x;
    return y;
}

/* What a plan is made of; the array is in the graph's arena. */
typedef struct target_list {
    soma_tensor **items;
    int n;
} target_list;

/* The mean over the batch, or the sums of the statistics. */
static soma_tensor *metric(const training *t, int i, soma_tensor *y_true, soma_tensor *y_pred) {
    const soma_metric *m = &t->metrics[i];
    soma_tensor *x = m->build ? m->build(y_true, y_pred, m->numbers) : m->plain(y_true, y_pred);
    if (!m->finish) return soma_mean(x, SOMA_ALL_AXES, false);
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

/* Values of the loss, of which only those of steps that count, a mask (batch, steps), make the mean. A loss that has
 * no value a step is left as it is. */
static soma_tensor *masked(soma_tensor *mask, soma_tensor *losses) {
    if (!mask || !losses || losses->rank < mask->rank ||
        !shape_equal(mask->rank, mask->shape, mask->rank, losses->shape))
        return losses;
    for (int i = mask->rank; i < losses->rank; i++)
        mask = soma_expand_dims(mask, -1);
    return loss_mean_of(losses, mask);
}

/* What the user's objective makes of the step. */
static soma_tensor *objective(soma_model *model, const step *s, soma_trace *trace, soma_tensor *y_pred) {
    const soma_objective o = {.model = model,
                              .x = s->input,
                              .y_true = s->y,
                              .y_pred = y_pred,
                              .step = soma_trace_step(trace),
                              .training = trace->training};
    return ((const training *)model->training)->objective(&o);
}

/* Loss and metrics as targets; returns the loss. */
static soma_tensor *values(soma_model *model, step *s, soma_tensor *y_pred, soma_trace *trace, soma_tensor **targets) {
    const training *t = model->training;
    soma_tensor *loss = t->objective ? objective(model, s, trace, y_pred)
                                     : masked(soma_trace_mask(trace, y_pred), training_loss(t, s->y, y_pred));
    loss = weigh(s, loss);
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

/* w[i] and g[i]: weights as the trace read them, and their gradients. */
static soma_status gradients(soma_model *model, soma_trace *trace, soma_tensor *loss, soma_tensor **w,
                             soma_tensor **g) {
    const training *t = model->training;
    for (int i = 0; i < t->minimizer.n; i++) {
        w[i] = trace_read(trace, t->minimizer.states[i].weight);
        if (!w[i]) return training_failure(model);
    }
    loss = minimizer_scale(&t->minimizer, loss);
    return loss ? soma_grad(loss, w, t->minimizer.n, g) : training_failure(model);
}

/* Makes room for the assignments behind the values. */
static bool reserve(const soma_trace *trace, const training *t, target_list *targets) {
    size_t most = (size_t)targets->n + (size_t)soma_minimizer_targets(&t->minimizer) + (size_t)trace->n_updates;
    soma_tensor **items = arena_alloc(&trace->graph->arena, most * sizeof *items);
    if (!items) return false;
    memcpy(items, targets->items, (size_t)targets->n * sizeof *items);
    targets->items = items;
    return true;
}

/* New values of statistics, and of states that are carried from batch to batch. */
static soma_status put_updates(soma_model *model, const soma_trace *trace, target_list *targets) {
    for (int i = 0; i < trace->n_updates; i++) {
        if (!put(targets, trace->updates[i].variable, trace->updates[i].tensor)) return training_failure(model);
    }
    return SOMA_OK;
}

static soma_status update_all(soma_model *model, soma_trace *trace, soma_tensor *loss, target_list *targets) {
    const training *t = model->training;
    soma_graph *graph = trace->graph;
    size_t bytes = (size_t)t->minimizer.n * sizeof(soma_tensor *);
    soma_tensor **w = arena_alloc(&graph->arena, bytes), **g = arena_alloc(&graph->arena, bytes);
    if (!w || !g || !reserve(trace, t, targets)) return SOMA_NO_MEMORY;
    TRY(gradients(model, trace, loss, w, g));
    TRY(minimizer_step(&t->minimizer, graph, w, g, targets->items, &targets->n));
    return put_updates(model, trace, targets);
}

/* ---- the whole ---- */

static soma_status trace_values(soma_model *model, step *s, soma_trace *trace, target_list *targets) {
    soma_tensor *y_pred = forward(model, s, trace);
    if (!y_pred) return training_failure(model);
    s->y = batch_input(s->graph, s->shape.y_dtype, s->shape.batch, s->shape.y_rank, s->shape.y_shape, "y");
    soma_tensor *loss = s->y ? values(model, s, y_pred, trace, targets->items) : NULL;
    if (!loss) return training_failure(model);
    targets->n = s->n_values;
    if (s->kind == STEP_TRAIN) return update_all(model, trace, loss, targets);
    if (!reserve(trace, model->training, targets)) return SOMA_NO_MEMORY;
    return put_updates(model, trace, targets);
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
    if (!reserve(trace, model->training, targets)) return SOMA_NO_MEMORY;
    return put_updates(model, trace, targets);
}

static soma_status make_plan(soma_model *model, step *s) {
    const training *t = model->training;
    soma_trace trace = {.graph = s->graph, .training = s->kind == STEP_TRAIN, .step_from = t->minimizer.iterations};
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

static soma_status run(step *s) {
    if (s->kind == STEP_TRAIN) TRY(soma_minimizer_follow_schedule(&s->training->minimizer));
    return soma_plan_run(s->plan);
}

soma_status step_run(step *s, const void *x, const void *y) {
    TRY(soma_plan_bind(s->plan, s->x, x));
    if (s->y) TRY(soma_plan_bind(s->plan, s->y, y));
    return run(s);
}

soma_status step_bind(step *s, const batch_rows *b) {
    TRY(plan_bind_rows(s->plan, s->x, b->x, b->order));
    return s->y ? plan_bind_rows(s->plan, s->y, b->y, b->order) : SOMA_OK;
}

soma_status step_run_batch(step *s, const batch_rows *b, const float *weights) {
    if (s->weights) TRY(soma_plan_bind(s->plan, s->weights, weights));
    TRY(step_bind(s, b));
    return run(s);
}

double step_value(const step *s, int i, int64_t k) {
    const void *value = soma_plan_output(s->plan, i);
    if (!value) return (double)NAN;
    return s->dtypes[i] == SOMA_F64 ? ((const double *)value)[k] : (double)((const float *)value)[k];
}
