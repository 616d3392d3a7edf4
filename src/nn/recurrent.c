/* The walk of recurrent layers over their steps, unrolled in the graph.
 * Rests on recurrent.h. The inputs' product with the kernel is one large matmul for all steps; what is left in a step
 * is a small one with the state, and maps that fuse. The state is zero at first, and then is not computed with at all.
 */
#include "nn/recurrent.h"

soma_status recurrent_build(soma_layer *layer, const recurrent_kind *kind, soma_tensor *const *inputs) {
    const recurrent_options *o = soma_layer_options(layer);
    const soma_tensor *x = inputs[0];
    RETURN_IF(layer->context, x->rank != 3, SOMA_SHAPE, "[%s] a sample must be (steps, features), it has rank %d",
              layer->kind->name, x->rank - 1);
    int64_t columns = kind->gates * o->units;
    soma_weight_options kernel = {.name = "kernel",
                                  .rank = 2,
                                  .shape = {x->shape[2], columns},
                                  .initializer = o->kernel_initializer,
                                  .regularizer = o->kernel_regularizer};
    if (!kernel.initializer.build) kernel.initializer = soma_glorot_uniform();
    TRY(soma_layer_add_weight(layer, &kernel));
    soma_weight_options recurrent = {.name = "recurrent_kernel",
                                     .rank = 2,
                                     .shape = {o->units, columns},
                                     .initializer = o->recurrent_initializer,
                                     .regularizer = o->recurrent_regularizer};
    if (!recurrent.initializer.build) recurrent.initializer = soma_orthogonal(1);
    TRY(soma_layer_add_weight(layer, &recurrent));
    if (o->no_bias) return SOMA_OK;
    soma_weight_options bias = {.name = "bias",
                                .rank = 1,
                                .shape = {columns},
                                .initializer = o->bias_initializer,
                                .regularizer = o->bias_regularizer};
    if (!bias.initializer.build) bias.initializer = kind->bias;
    if (kind->two_biases) {
        bias.rank = 2;
        bias.shape[0] = 2;
        bias.shape[1] = columns;
    }
    return soma_layer_add_weight(layer, &bias);
}

soma_tensor *recurrent_plus(soma_tensor *a, soma_tensor *b) {
    return b ? soma_add(a, b) : a;
}

soma_tensor *recurrent_gate(const recurrent_step *step, soma_tensor *x, int i) {
    return soma_slice_axis(x, -1, i * step->units, (i + 1) * step->units, 1);
}

soma_tensor *recurrent_product(const recurrent_step *step) {
    return step->h ? soma_matmul(step->h, step->kernel) : NULL;
}

/* One draw of 0 or 1 / (1 - rate) for each feature of each sequence; NULL: nothing is dropped. */
static soma_tensor *draw(soma_trace *trace, const soma_tensor *like, int64_t batch, int64_t features, double rate) {
    soma_tensor *step = soma_trace_step(trace);
    if (!step) return NULL;
    soma_tensor *u = soma_random_uniform(like->graph, like->dtype, SOMA_DIMS(batch, features), 0, 1, step);
    soma_tensor *keep = soma_greater_equal(u, soma_scalar(like->graph, like->dtype, rate));
    return soma_mul_scalar(soma_cast(keep, like->dtype), 1 / (1 - rate));
}

/* x W + b for all steps. */
static soma_tensor *project(soma_layer *layer, const recurrent_kind *kind, soma_trace *trace, soma_tensor *x,
                            recurrent_step *step) {
    const recurrent_options *o = soma_layer_options(layer);
    if (soma_trace_training(trace) && o->dropout > 0)
        x = soma_mul(x, soma_expand_dims(draw(trace, x, x->shape[0], x->shape[2], o->dropout), 1));
    soma_tensor *y = soma_matmul(x, soma_trace_weight(trace, layer, 0));
    if (o->no_bias) return y;
    soma_tensor *bias = soma_trace_weight(trace, layer, 2);
    if (kind->two_biases) {
        step->bias = soma_slice(bias, "1");
        bias = soma_slice(bias, "0");
    }
    return soma_add(y, bias);
}

/* Where the mask of this step, (batch, 1), is false, the state stays; NULL is zero. */
static soma_tensor *carry(soma_tensor *mask, soma_tensor *after, soma_tensor *before) {
    if (!mask || !after) return after;
    return soma_where(mask, after, before ? before : soma_scalar(after->graph, after->dtype, 0));
}

/* (batch, 1, ...) of an axis of steps -> (batch, ...). */
static soma_tensor *at_step(soma_tensor *x, int64_t t) {
    return soma_squeeze(soma_slice_axis(x, 1, t, t + 1, 1), 1);
}

static soma_status check(const soma_layer *layer, const recurrent_kind *kind, soma_tensor *const *inputs, int n) {
    const recurrent_options *o = soma_layer_options(layer);
    RETURN_IF(layer->context, inputs[0]->rank != 3 || inputs[0]->shape[1] < 1, SOMA_SHAPE,
              "[%s] a sample must be (steps, features) with a step at least", layer->kind->name);
    RETURN_IF(layer->context, n != 1 && n != 1 + kind->states, SOMA_INVALID, "[%s] %d states are given, it has %d",
              layer->kind->name, n - 1, kind->states);
    for (int i = 1; i < n; i++)
        RETURN_IF(layer->context, inputs[i]->rank != 2 || inputs[i]->shape[1] != o->units, SOMA_SHAPE,
                  "[%s] state %d is not (batch, %lld)", layer->kind->name, i, (long long)o->units);
    RETURN_IF(layer->context, o->dropout >= 1 || o->recurrent_dropout >= 1, SOMA_INVALID,
              "[%s] a dropout of 1 would leave nothing", layer->kind->name);
    return SOMA_OK;
}

/* One step: states after it from states before it. */
static void advance(const recurrent_kind *kind, recurrent_step *step, soma_tensor *dropped, soma_tensor *mask) {
    soma_tensor *before[RECURRENT_STATES];
    for (int i = 0; i < kind->states; i++)
        before[i] = step->states[i];
    step->h = dropped && step->states[0] ? soma_mul(step->states[0], dropped) : step->states[0];
    kind->run(step);
    for (int i = 0; i < kind->states; i++)
        step->states[i] = carry(mask, step->states[i], before[i]);
}

/* The results of all steps side by side, and the mask in their order. */
static soma_tensor *sequence(soma_trace *trace, soma_tensor **results, int64_t steps, soma_tensor *mask,
                             bool reversed) {
    soma_tensor *y = soma_stack(results, (int)steps, 1);
    if (mask && reversed) mask = soma_slice_axis(mask, 1, -1, SOMA_END, -1);
    if (y) soma_trace_set_mask(trace, y, mask);
    return y;
}

soma_tensor *recurrent_call(soma_layer *layer, const recurrent_kind *kind, soma_trace *trace,
                            soma_tensor *const *inputs, int n) {
    const recurrent_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_cast(layer, inputs[0]), *mask = soma_trace_mask(trace, inputs[0]), *dropped = NULL;
    if (!x || check(layer, kind, inputs, n) != SOMA_OK) return NULL;
    recurrent_step step = {.layer = layer, .units = o->units, .kernel = soma_trace_weight(trace, layer, 1)};
    soma_tensor *all = project(layer, kind, trace, x, &step);
    if (soma_trace_training(trace) && o->recurrent_dropout > 0)
        dropped = draw(trace, x, x->shape[0], o->units, o->recurrent_dropout);
    for (int i = 1; i < n; i++)
        step.states[i - 1] = layer_cast(layer, inputs[i]);
    int64_t steps = x->shape[1];
    soma_tensor **results = arena_alloc(&trace->graph->arena, (size_t)steps * sizeof *results);
    if (!all || !results) return NULL;
    for (int64_t i = 0; i < steps; i++) {
        int64_t t = o->go_backwards ? steps - 1 - i : i;
        step.x = at_step(all, t);
        advance(kind, &step, dropped, mask ? soma_expand_dims(at_step(mask, t), 1) : NULL);
        results[i] = step.states[0];
        if (!results[i]) return NULL;
    }
    return o->return_sequences ? sequence(trace, results, steps, mask, o->go_backwards) : results[steps - 1];
}
