/* The walk of recurrent layers over their steps, unrolled in the graph, and the layers made of matrix products.
 * Rests on recurrent.h. The inputs' product with the kernel is one large matmul for all steps, steps first, so that
 * each step's part lies in one piece; what is left in a step is a small product with the state, and maps that fuse.
 * The state is zero at first, and then is not computed with at all. */
#include "nn/recurrent.h"

#include <string.h>

/* ---- the walk ---- */

soma_status recurrent_add_state(soma_layer *layer, int number, int rank, const int64_t *shape) {
    const steps_options *o = soma_layer_options(layer);
    if (!o->stateful) return SOMA_OK;
    RETURN_IF(layer->context, o->batch_size < 1, SOMA_INVALID,
              "[%s] stateful: batch_size must say how many samples each batch will have", layer->kind->name);
    char name[32];
    number_format(name, sizeof name, "state_%d", number);
    soma_weight_options state = {.name = name, .rank = rank + 1, .shape = {o->batch_size}, .state = true};
    memcpy(state.shape + 1, shape, (size_t)rank * sizeof *shape);
    return soma_layer_add_weight(layer, &state);
}

bool recurrent_check(const recurrent_walk *w, soma_tensor *const *inputs, int n, int rank, const int64_t *shape) {
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    for (int i = 1; i < n; i++) {
        bool right = inputs[i]->rank == rank + 1 && shape_equal(rank, inputs[i]->shape + 1, rank, shape);
        if (right && inputs[i]->shape[0] == w->batch) continue;
        (void)error_set(w->layer->context, SOMA_SHAPE, "[%s] state %d is %s: (batch, ...) of %s is needed",
                        w->layer->kind->name, i - 1, tensor_shape_text(a, inputs[i]), shape_text(b, rank, shape));
        return false;
    }
    return true;
}

bool recurrent_begin(recurrent_walk *w, soma_tensor *const *inputs, int n, int first) {
    const steps_options *o = soma_layer_options(w->layer);
    soma_context *context = w->layer->context;
    const char *name = w->layer->kind->name;
    bool carried = n == 1 && o->stateful && !w->trace->shapes_only;
    soma_status status = SOMA_OK;
    if (n != 1 && n != 1 + w->n_states)
        status = error_set(context, SOMA_INVALID, "[%s] %d states are given, it has %d", name, n - 1, w->n_states);
    if (carried && w->batch != o->batch_size)
        status = error_set(context, SOMA_SHAPE, "[%s] stateful, with batches of %lld samples: %lld are given", name,
                           (long long)o->batch_size, (long long)w->batch);
    if (w->trace->memory && (o->go_backwards || w->steps != 1))
        status =
            error_set(context, SOMA_UNSUPPORTED, "[%s] it begins at the end: it can't be taken a step at a time", name);
    if (w->trace->memory && n == 1) return status == SOMA_OK;
    for (int i = 0; status == SOMA_OK && i < w->n_states; i++) {
        w->states[i] = n > 1     ? layer_float(w->layer, inputs[1 + i])
                       : carried ? soma_trace_weight(w->trace, w->layer, first + i)
                                 : NULL;
        if (!w->states[i] && (n > 1 || carried)) status = SOMA_INVALID;
    }
    return status == SOMA_OK;
}

bool recurrent_recall(recurrent_walk *w, int i, soma_dtype dtype, int rank, const int64_t *shape) {
    int64_t whole[SOMA_MAX_RANK] = {w->batch};
    memcpy(whole + 1, shape, (size_t)rank * sizeof *shape);
    w->states[i] = trace_recall(w->trace, dtype, rank + 1, whole, &w->memory[i]);
    return w->states[i] != NULL;
}

/* Where the mask, (batch, 1, ...), is false, what was before stays; NULL is zero. */
static soma_tensor *carry(soma_tensor *mask, soma_tensor *after, soma_tensor *before) {
    if (!mask || !after) return after;
    int64_t shape[SOMA_MAX_RANK] = {mask->shape[0], 1, 1, 1, 1, 1, 1, 1};
    soma_tensor *zero = before ? before : soma_scalar(after->graph, after->dtype, 0);
    return soma_where(soma_reshape(mask, after->rank, shape), after, zero);
}

/* One step, with its mask; result is that of the step before, NULL: zero. */
static soma_tensor *take_step(recurrent_walk *w, int64_t t, soma_tensor *result) {
    soma_tensor *before[RECURRENT_STATES];
    memcpy(before, w->states, sizeof before);
    soma_tensor *mask = w->mask ? soma_slice_axis(w->mask, 1, t, t + 1, 1) : NULL;
    if (w->mask && !mask) return NULL;
    soma_tensor *y = w->advance(w, t);
    bool is_state = y == w->states[0];
    for (int i = 0; i < w->n_states; i++)
        w->states[i] = carry(mask, w->states[i], before[i]);
    return is_state ? w->states[0] : carry(mask, y, result);
}

/* The results of all steps side by side, and the mask in their order. */
static soma_tensor *sequence(recurrent_walk *w, soma_tensor **results) {
    const steps_options *o = soma_layer_options(w->layer);
    soma_tensor *y = soma_stack(results, (int)w->steps, 0), *mask = w->mask;
    if (!y) return NULL;
    int axes[SOMA_MAX_RANK] = {1, 0, 2, 3, 4, 5, 6, 7};
    y = soma_transpose(y, axes);
    if (mask && o->go_backwards) mask = soma_slice_axis(mask, 1, -1, SOMA_END, -1);
    if (!y || (w->mask && !mask)) return NULL;
    if (o->zero_output_for_mask) y = mask_keep(mask, y);
    if (y) soma_trace_set_mask(w->trace, y, mask);
    return y;
}

soma_tensor *recurrent_run(recurrent_walk *w, int first) {
    const steps_options *o = soma_layer_options(w->layer);
    arena *memory = &w->trace->graph->arena;
    soma_tensor **results = arena_alloc(memory, (size_t)w->steps * sizeof *results), *last = NULL;
    if (!results) return NULL;
    for (int64_t i = 0; i < w->steps; i++) {
        last = results[i] = take_step(w, o->go_backwards ? w->steps - 1 - i : i, last);
        if (!last) return NULL;
    }
    for (int i = 0; o->stateful && !w->trace->memory && i < w->n_states; i++)
        trace_carry(w->trace, w->layer, first + i, w->states[i]);
    for (int i = 0; i < w->n_states; i++)
        if (w->memory[i]) trace_remember(w->trace, w->memory[i], w->states[i]);
    if (o->return_sequences) last = sequence(w, results);
    if (!o->return_state || !last) return last;
    soma_tensor **states = arena_alloc(memory, (size_t)w->n_states * sizeof *states);
    if (!states) return NULL;
    memcpy(states, w->states, (size_t)w->n_states * sizeof *states);
    soma_trace_set_outputs(w->trace, w->layer, states, w->n_states);
    return last;
}

/* ---- parts of steps ---- */

soma_tensor *recurrent_activate(soma_activation_fn *given, soma_activation_fn *standard, soma_tensor *x) {
    return x ? (given ? given : standard)(x) : NULL;
}

soma_tensor *recurrent_gate(soma_tensor *x, int64_t units, int i) {
    return soma_slice_axis(x, -1, i * units, (i + 1) * units, 1);
}

soma_tensor *recurrent_sum(const recurrent_step *step) {
    return step->h ? soma_add(step->x, soma_matmul(step->h, step->kernel)) : step->x;
}

soma_tensor *recurrent_lstm(soma_tensor *a, int64_t units, soma_activation_fn *activation,
                            soma_activation_fn *recurrent_activation, soma_tensor **cell) {
    soma_tensor *i = recurrent_activate(recurrent_activation, soma_sigmoid, recurrent_gate(a, units, 0));
    soma_tensor *f = recurrent_activate(recurrent_activation, soma_sigmoid, recurrent_gate(a, units, 1));
    soma_tensor *g = recurrent_activate(activation, soma_tanh, recurrent_gate(a, units, 2));
    soma_tensor *o = recurrent_activate(recurrent_activation, soma_sigmoid, recurrent_gate(a, units, 3));
    *cell = *cell ? soma_add(soma_mul(f, *cell), soma_mul(i, g)) : soma_mul(i, g);
    return soma_mul(o, recurrent_activate(activation, soma_tanh, *cell));
}

soma_tensor *recurrent_forget_bias(const soma_weight_request *r, const double *parameters) {
    (void)parameters;
    int64_t units = r->shape[0] / 4;
    soma_tensor *parts[] = {soma_zeros(r->graph, r->dtype, SOMA_DIMS(units)),
                            soma_ones(r->graph, r->dtype, SOMA_DIMS(units)),
                            soma_zeros(r->graph, r->dtype, SOMA_DIMS(2 * units))};
    return soma_concat(parts, 3, 0);
}

soma_tensor *recurrent_draw(soma_trace *trace, soma_dtype dtype, int rank, const int64_t *shape, double rate) {
    soma_tensor *step = rate > 0 && soma_trace_training(trace) ? soma_trace_step(trace) : NULL;
    if (!step) return NULL;
    soma_tensor *u = soma_random_uniform(step->graph, dtype, rank, shape, 0, 1, step);
    soma_tensor *keep = soma_greater_equal(u, soma_scalar(step->graph, dtype, rate));
    soma_tensor *draw = soma_mul_scalar(soma_cast(keep, dtype), 1 / (1 - rate));
    if (!draw) trace->failed = true; /* no draw would mean no dropout */
    return draw;
}

/* ---- matrix products ---- */

static soma_status add_weights(soma_layer *layer, const recurrent_kind *kind, int64_t features) {
    const recurrent_options *o = soma_layer_options(layer);
    int64_t columns = kind->gates * o->units;
    soma_weight_options kernel = {.name = "kernel",
                                  .rank = 2,
                                  .shape = {features, columns},
                                  .initializer = o->kernel_initializer,
                                  .regularizer = o->kernel_regularizer,
                                  .constraint = o->kernel_constraint};
    if (!kernel.initializer.build) kernel.initializer = soma_glorot_uniform();
    TRY(soma_layer_add_weight(layer, &kernel));
    soma_weight_options recurrent = {.name = "recurrent_kernel",
                                     .rank = 2,
                                     .shape = {o->units, columns},
                                     .initializer = o->recurrent_initializer,
                                     .regularizer = o->recurrent_regularizer,
                                     .constraint = o->recurrent_constraint};
    if (!recurrent.initializer.build) recurrent.initializer = soma_orthogonal(1);
    TRY(soma_layer_add_weight(layer, &recurrent));
    if (o->no_bias) return SOMA_OK;
    soma_weight_options bias = {.name = "bias",
                                .rank = 1,
                                .shape = {columns},
                                .initializer = o->bias_initializer,
                                .regularizer = o->bias_regularizer,
                                .constraint = o->bias_constraint};
    if (!bias.initializer.build) bias.initializer = kind->bias;
    if (kind->two_biases) {
        bias.rank = 2;
        bias.shape[0] = 2;
        bias.shape[1] = columns;
    }
    return soma_layer_add_weight(layer, &bias);
}

soma_status recurrent_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const recurrent_options *o = soma_layer_options(layer);
    const recurrent_kind kind = recurrent_kind_of(layer);
    RETURN_IF(layer->context, inputs[0]->rank != 3, SOMA_SHAPE,
              "[%s] a sample must be (steps, features), it has rank %d", layer->kind->name, inputs[0]->rank - 1);
    TRY(add_weights(layer, &kind, inputs[0]->shape[2]));
    for (int i = 0; i < kind.states; i++)
        TRY(recurrent_add_state(layer, i, 1, &o->units));
    return SOMA_OK;
}

soma_status recurrent_cell_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const recurrent_kind kind = recurrent_kind_of(layer);
    RETURN_IF(layer->context, inputs[0]->rank != 2, SOMA_SHAPE, "[%s] a sample must be (features), it has rank %d",
              layer->kind->name, inputs[0]->rank - 1);
    return add_weights(layer, &kind, inputs[0]->shape[1]);
}

/* x W + b; of two biases the second goes to the step. */
static soma_tensor *project(soma_layer *layer, const recurrent_kind *kind, soma_trace *trace, soma_tensor *x,
                            recurrent_step *step) {
    const recurrent_options *o = soma_layer_options(layer);
    *step = (recurrent_step){.layer = layer, .units = o->units, .kernel = soma_trace_weight(trace, layer, 1)};
    soma_tensor *y = soma_matmul(x, soma_trace_weight(trace, layer, 0));
    if (o->no_bias) return y;
    soma_tensor *bias = soma_trace_weight(trace, layer, 2);
    if (!bias || !kind->two_biases) return soma_add(y, bias);
    /* of the second bias only the last gate's share is kept for the steps: the others are added once for all */
    soma_tensor *second = soma_slice(bias, "1");
    int64_t columns = soma_dim(bias, 1), last = columns - o->units;
    step->bias = soma_slice_axis(second, 0, last, columns, 1);
    second = soma_pad(soma_slice_axis(second, 0, 0, last, 1), &(int64_t){0}, &o->units, 0);
    return soma_add(y, soma_add(soma_slice(bias, "0"), second));
}

/* A walk's own: what its steps are made of. */
typedef struct product_walk {
    recurrent_kind kind;
    recurrent_step step;
    soma_tensor *all;     /* (steps, batch, gates units) */
    soma_tensor *dropped; /* what the state is multiplied by, or NULL */
} product_walk;

static soma_tensor *advance(recurrent_walk *w, int64_t t) {
    product_walk *p = w->user;
    p->step.x = soma_squeeze(soma_slice_axis(p->all, 0, t, t + 1, 1), 0);
    p->step.states = w->states;
    p->step.h = p->dropped && w->states[0] ? soma_mul(w->states[0], p->dropped) : w->states[0];
    p->kind.run(&p->step);
    return w->states[0];
}

soma_tensor *recurrent_call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    const recurrent_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_cast(layer, inputs[0]);
    if (!x) return NULL;
    RETURN_NULL_IF(layer->context, x->rank != 3 || x->shape[1] < 1, SOMA_SHAPE,
                   "[%s] a sample must be (steps, features) with a step at least", layer->kind->name);
    product_walk p = {.kind = recurrent_kind_of(layer)};
    recurrent_walk w = {.layer = layer,
                        .trace = trace,
                        .mask = soma_trace_mask(trace, inputs[0]),
                        .batch = x->shape[0],
                        .steps = x->shape[1],
                        .n_states = p.kind.states,
                        .advance = advance,
                        .user = &p};
    int first = o->no_bias ? 2 : 3;
    if (!recurrent_check(&w, inputs, n, 1, &o->units) || !recurrent_begin(&w, inputs, n, first)) return NULL;
    for (int i = 0; trace->memory && n == 1 && i < w.n_states; i++)
        if (!recurrent_recall(&w, i, x->dtype, 1, &o->units)) return NULL;
    soma_tensor *drop = recurrent_draw(trace, x->dtype, SOMA_DIMS(w.batch, 1, x->shape[2]), o->dropout);
    p.dropped = recurrent_draw(trace, x->dtype, SOMA_DIMS(w.batch, o->units), o->recurrent_dropout);
    if (drop) x = soma_mul(x, drop);
    p.all = project(layer, &p.kind, trace, soma_transpose(x, (const int[]){1, 0, 2}), &p.step);
    return p.all ? recurrent_run(&w, first) : NULL;
}

soma_tensor *recurrent_cell_call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    const recurrent_options *o = soma_layer_options(layer);
    const recurrent_kind kind = recurrent_kind_of(layer);
    soma_tensor *x = layer_cast(layer, inputs[0]), **states = NULL;
    if (x) states = arena_alloc(&trace->graph->arena, (size_t)kind.states * sizeof *states);
    if (!states) return NULL;
    RETURN_NULL_IF(layer->context, x->rank != 2 || (n != 1 && n != 1 + kind.states), SOMA_SHAPE,
                   "[%s] it takes (batch, features) and no states, or %d", layer->kind->name, kind.states);
    for (int i = 0; i < kind.states; i++)
        states[i] = n > 1 ? layer_cast(layer, inputs[1 + i]) : NULL;
    recurrent_step step;
    soma_tensor *drop = recurrent_draw(trace, x->dtype, x->rank, x->shape, o->dropout);
    soma_tensor *dropped = recurrent_draw(trace, x->dtype, SOMA_DIMS(x->shape[0], o->units), o->recurrent_dropout);
    soma_tensor *y = project(layer, &kind, trace, drop ? soma_mul(x, drop) : x, &step);
    if (!y) return NULL;
    step.x = y;
    step.states = states;
    step.h = dropped && states[0] ? soma_mul(states[0], dropped) : states[0];
    kind.run(&step);
    soma_trace_set_outputs(trace, layer, states, kind.states);
    return states[0];
}
