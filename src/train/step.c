/* Steps: a batch traced through the model, the loss, the metrics, and for training the gradients and the update.
 * Rests on nn for all of it and on plan.h; the result is one plan, which the compiler fuses as a whole.
 * The graph stays, since inputs are bound by the tensors that stand for them. */
#include "train/step.h"

#include <math.h>
#include <string.h>

#include "data/dataset.h"
#include "nn/losses.h"
#include "nn/metric.h"
#include "nn/names.h"
#include "plan/rows.h"

/* ---- from the samples to the values ---- */

step_shape step_shape_of(const soma_dataset *data, int64_t batch, bool labels) {
    step_shape shape = {.batch = batch, .n_x = soma_dataset_inputs(data)};
    for (int i = 0; i < shape.n_x; i++)
        shape.x_dtypes[i] = soma_dataset_input(data, i).dtype;
    if (labels) shape.n_y = soma_dataset_outputs(data);
    for (int i = 0; i < shape.n_y; i++) {
        const soma_array_data y = soma_dataset_output(data, i);
        shape.y_dtypes[i] = y.dtype;
        shape.y_ranks[i] = y.rank - 1;
        memcpy(shape.y_shapes[i], y.shape + 1, (size_t)shape.y_ranks[i] * sizeof *y.shape);
    }
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

/* "x"; "x1" where there are several. */
static const char *array_name(soma_graph *graph, char letter, int i, int n) {
    return n > 1 ? arena_printf(&graph->arena, "%c%d", letter, i) : arena_printf(&graph->arena, "%c", letter);
}

/* The model's outputs for what is fed, and in trace what it read. */
static soma_status forward(soma_model *model, step *s, soma_trace *trace, soma_tensor **y_pred) {
    for (int i = 0; i < s->shape.n_x; i++) {
        const model_value *input = &model->values[model->inputs[i]];
        s->fed[i] = batch_input(s->graph, s->shape.x_dtypes[i], s->shape.batch, input->rank, input->shape,
                                array_name(s->graph, 'x', i, s->shape.n_x));
        s->inputs[i] = pixels(model, s->fed[i]);
        if (!s->inputs[i]) return training_failure(model);
    }
    return model_trace(model, trace, s->inputs, y_pred);
}

/* The labels, behind the inputs. */
static soma_status feed_labels(soma_model *model, step *s) {
    const step_shape *shape = &s->shape;
    for (int i = 0; i < shape->n_y; i++) {
        soma_tensor **y = &s->fed[shape->n_x + i];
        *y = batch_input(s->graph, shape->y_dtypes[i], shape->batch, shape->y_ranks[i], shape->y_shapes[i],
                         array_name(s->graph, 'y', i, shape->n_y));
        if (!*y) return training_failure(model);
    }
    return SOMA_OK;
}

/* What a plan is made of; the array is in the graph's arena. */
typedef struct target_list {
    soma_tensor **items;
    int n;
} target_list;

/* Values, the first axis samples, each times the weight of its sample. what: of what they are. */
static soma_tensor *weigh(step *s, soma_tensor *values, const char *what) {
    if (!s->shape.weighted || !values) return values;
    if (!s->weights) s->weights = soma_input(s->graph, SOMA_F32, SOMA_DIMS(s->shape.batch), "weights");
    RETURN_NULL_IF(s->graph->context, values->rank < 1 || values->shape[0] != s->shape.batch, SOMA_SHAPE,
                   "[fit] %s has no value a sample, so samples can't be weighted", what);
    soma_tensor *weights = soma_cast(s->weights, values->dtype);
    for (int i = 1; i < values->rank; i++)
        weights = soma_expand_dims(weights, -1);
    return soma_mul(values, weights);
}

/* A mask (batch, steps) as one that broadcasts to values of steps; NULL where these are none. */
static soma_tensor *mask_of(soma_tensor *mask, const soma_tensor *values) {
    if (!mask || !values || values->rank < mask->rank ||
        !shape_equal(mask->rank, mask->shape, mask->rank, values->shape))
        return NULL;
    return mask_widen(mask, values->rank);
}

/* The mean over the batch; of weighted samples, or of some steps only, its parts: what averages_add takes. */
static soma_tensor *mean(step *s, const soma_metric *m, soma_tensor *x, soma_tensor *mask) {
    const bool weighted = m->weighted && s->shape.weighted;
    mask = mask_of(mask, x);
    if ((!weighted && !mask) || !x) return soma_mean(x, SOMA_ALL_AXES, false);
    soma_tensor *ones = mask_keep(mask, soma_ones(s->graph, x->dtype, x->rank, x->shape));
    soma_tensor *parts[] = {mask_keep(mask, x), ones};
    for (int i = 0; i < 2; i++)
        parts[i] = soma_sum(weighted ? weigh(s, parts[i], m->name) : parts[i], SOMA_ALL_AXES, false);
    return soma_stack(parts, 2, 0);
}

/* The mean, or the sums of the statistics, which have some rows a sample. mask: which steps count in a mean, or NULL.
 */
static soma_tensor *metric(step *s, const soma_metric *m, soma_tensor *y_true, soma_tensor *y_pred, soma_tensor *mask) {
    const bool weighted = m->weighted && s->shape.weighted;
    soma_tensor *x = (weighted ? metric_by_sample : metric_build)(m, y_true, y_pred);
    if (!m->finish) return mean(s, m, x, mask);
    if (!x || (x->rank < 2 && !weighted)) return x;
    const int64_t n = soma_dim(x, -1), batch = s->shape.batch;
    RETURN_NULL_IF(s->graph->context, weighted && (x->rank < 2 || soma_size(x) / n % batch != 0), SOMA_UNSUPPORTED,
                   "[fit] %s counts all samples at once, so they can't be weighted: give it as one of the metrics",
                   m->name);
    if (weighted) x = weigh(s, soma_reshape(x, SOMA_DIMS(batch, -1, n)), m->name);
    return soma_sum(soma_reshape(x, SOMA_DIMS(-1, n)), SOMA_AXES(0), false);
}

/* What the user's objective makes of the step. */
static soma_tensor *objective(soma_model *model, step *s, soma_trace *trace, soma_tensor *const *y_pred) {
    soma_tensor *const *y_true = &s->fed[s->shape.n_x];
    const soma_objective o = {.model = model,
                              .x = s->inputs[0],
                              .y_true = y_true[0],
                              .y_pred = y_pred[0],
                              .step = soma_trace_step(trace),
                              .training = trace->training,
                              .inputs = s->inputs,
                              .labels = y_true,
                              .outputs = y_pred};
    return soma_mean(weigh(s, ((const training *)model->training)->objective(&o), "the objective"), SOMA_ALL_AXES,
                     false);
}

/* The loss of one output, of a value a sample or a step their mean or sum: of those that neither the mask nor the loss
 * itself leaves out. */
static soma_tensor *output_loss(step *s, const soma_trace *trace, const training_loss *loss, soma_tensor *y_true,
                                soma_tensor *y_pred) {
    soma_tensor *counts, *values = training_loss_build(loss, y_true, y_pred, &counts);
    soma_tensor *mask = mask_of(soma_trace_mask(trace, y_pred), values);
    if (counts) mask = mask ? soma_logical_and(mask, counts) : counts;
    const bool mean = loss->reduction == SOMA_REDUCE_MEAN;
    soma_tensor *weighed = weigh(s, mean && mask ? loss_mean_of(values, mask) : mask_keep(mask, values), "the loss");
    if (mean || !weighed) return soma_mean(weighed, SOMA_ALL_AXES, false);
    soma_tensor *sum = soma_sum(weighed, SOMA_ALL_AXES, false);
    if (loss->reduction == SOMA_REDUCE_SUM) return sum;
    soma_tensor *ones = soma_ones(s->graph, values->dtype, values->rank, values->shape);
    soma_tensor *weights = soma_sum(weigh(s, mask_keep(mask, ones), "the loss"), SOMA_ALL_AXES, false);
    return soma_div(sum, soma_maximum(weights, soma_scalar(s->graph, values->dtype, 1e-30)));
}

/* The losses of the outputs into each, and their weighted sum. */
static soma_tensor *total_loss(const soma_model *model, step *s, const soma_trace *trace, soma_tensor *const *y_pred,
                               soma_tensor **each) {
    soma_tensor *total = NULL;
    for (int i = 0; i < model->n_outputs; i++) {
        const training_loss *loss = training_loss_of(model->training, i);
        if (!training_loss_given(loss)) continue;
        each[i] = output_loss(s, trace, loss, s->fed[s->shape.n_x + i], y_pred[i]);
        soma_tensor *share = loss->weight == 1 ? each[i] : soma_mul_scalar(each[i], loss->weight);
        if (!share) return NULL;
        total = total ? soma_add(total, soma_cast(share, total->dtype)) : share;
    }
    return total;
}

/* Loss and metrics as targets; returns the loss. */
static soma_tensor *values(soma_model *model, step *s, soma_tensor *const *y_pred, soma_trace *trace,
                           soma_tensor **targets) {
    const training *t = model->training;
    soma_tensor *each[SOMA_MAX_ARRAYS] = {NULL};
    soma_tensor *loss = t->objective ? objective(model, s, trace, y_pred) : total_loss(model, s, trace, y_pred, each);
    if (trace->losses && loss) loss = soma_add(loss, soma_cast(trace->losses, loss->dtype));
    targets[0] = loss;
    for (int i = 0; i < t->n_metrics && loss; i++) {
        const int output = t->metric_outputs[i];
        const bool is_loss = i < t->n_output_losses;
        targets[1 + i] = is_loss ? each[output]
                                 : metric(s, &t->metrics[i], s->fed[s->shape.n_x + output], y_pred[output],
                                          soma_trace_mask(trace, y_pred[output]));
    }
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
    soma_tensor *y_pred[SOMA_MAX_ARRAYS];
    TRY(forward(model, s, trace, y_pred));
    TRY(feed_labels(model, s));
    soma_tensor *loss = values(model, s, y_pred, trace, targets->items);
    if (!loss) return training_failure(model);
    targets->n = s->n_values;
    if (s->kind == STEP_TRAIN) return update_all(model, trace, loss, targets);
    if (!reserve(trace, model->training, targets)) return SOMA_NO_MEMORY;
    return put_updates(model, trace, targets);
}

/* What result i of a prediction is like. */
static void keep_shape(step *s, int i, const soma_tensor *y) {
    s->dtypes[i] = y->dtype;
    s->ranks[i] = y->rank;
    memcpy(s->shapes[i], y->shape, sizeof s->shapes[i]);
}

static soma_status trace_prediction(soma_model *model, step *s, soma_trace *trace, target_list *targets) {
    TRY(forward(model, s, trace, targets->items));
    targets->n = model->n_outputs;
    for (int i = 0; i < targets->n; i++)
        keep_shape(s, i, targets->items[i]);
    if (!reserve(trace, model->training, targets)) return SOMA_NO_MEMORY;
    return put_updates(model, trace, targets);
}

enum { BFLOAT_FROM = 512 << 10 /* bytes: smaller ones stay in the caches, where half of them gain nothing */ };

static soma_status make_plan(soma_model *model, step *s) {
    const training *t = model->training;
    soma_trace trace = {.graph = s->graph, .training = s->kind == STEP_TRAIN, .step_from = t->minimizer.iterations};
    target_list targets = {.items = arena_alloc(&s->graph->arena, TRAINING_VALUES * sizeof(soma_tensor *))};
    if (!targets.items) return SOMA_NO_MEMORY;
    TRY(s->kind == STEP_PREDICT ? trace_prediction(model, s, &trace, &targets)
                                : trace_values(model, s, &trace, &targets));
    const bool mixed = s->kind == STEP_TRAIN && t->mixed;
    s->plan =
        soma_plan_create(targets.items, targets.n, &(soma_plan_options){.bfloat16_from = mixed ? BFLOAT_FROM : 0});
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

void steps_forget(soma_model *model, training *t) {
    steps_destroy(model, t->steps);
    t->steps = NULL;
    shared_memory_free(&t->memory, model->context);
}

static bool same_shape(const step_shape *a, const step_shape *b) {
    if (a->batch != b->batch || a->weighted != b->weighted || a->n_x != b->n_x || a->n_y != b->n_y) return false;
    for (int i = 0; i < a->n_x; i++) {
        if (a->x_dtypes[i] != b->x_dtypes[i]) return false;
    }
    for (int i = 0; i < a->n_y; i++) {
        if (a->y_dtypes[i] != b->y_dtypes[i] ||
            !shape_equal(a->y_ranks[i], a->y_shapes[i], b->y_ranks[i], b->y_shapes[i]))
            return false;
    }
    return true;
}

step *step_get(soma_model *model, step_kind kind, const step_shape *shape) {
    training *t = training_of(model);
    if (!t) return NULL;
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
        error_explain(model->context, " for the plan of %s %lld samples at once: smaller batches need less",
                      kind == STEP_TRAIN  ? "training"
                      : kind == STEP_TEST ? "measuring"
                                          : "predicting",
                      (long long)shape->batch);
        destroy(model, s);
        return NULL;
    }
    plan_share_memory(s->plan, &t->memory);
    s->next = t->steps;
    t->steps = s;
    return s;
}

static soma_status watch(soma_model *model, step *s, const soma_layer *layer) {
    soma_trace trace = {.graph = s->graph, .watched = layer};
    soma_tensor *outputs[SOMA_MAX_ARRAYS];
    TRY(forward(model, s, &trace, outputs));
    soma_tensor *seen = soma_cast(trace.seen, SOMA_F64);
    if (!seen) return training_failure(model);
    keep_shape(s, 0, seen);
    s->plan = soma_plan_create(&seen, 1, NULL);
    return s->plan ? SOMA_OK : training_failure(model);
}

step *step_watch(soma_model *model, const soma_layer *layer, const step_shape *shape) {
    step *s = mem_zalloc(model->context, sizeof *s);
    if (!s) return NULL;
    s->kind = STEP_PREDICT;
    s->shape = *shape;
    s->graph = soma_graph_create(model->context);
    if (s->graph && watch(model, s, layer) == SOMA_OK) return s;
    destroy(model, s);
    return NULL;
}

static soma_status run(step *s) {
    if (s->kind == STEP_TRAIN) TRY(soma_minimizer_follow_schedule(&s->training->minimizer));
    return soma_plan_run(s->plan);
}

soma_status step_run(step *s, const void *const *arrays) {
    const int n = s->shape.n_x + s->shape.n_y;
    for (int i = 0; i < n; i++)
        TRY(soma_plan_bind(s->plan, s->fed[i], arrays[i]));
    return run(s);
}

soma_status step_bind(step *s, const batch_rows *b) {
    const int n = s->shape.n_x + s->shape.n_y;
    for (int i = 0; i < n; i++)
        TRY(plan_bind_rows(s->plan, s->fed[i], batch_array(b, i), b->order));
    return SOMA_OK;
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
