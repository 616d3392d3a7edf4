/* RNN: the walk over steps with any layer as its cell; StackedRNNCells: several cells as one.
 * Rests on recurrent.h for the walk. A cell is a layer of the user's or ours that is called on x alone, when all states
 * are zero, or on x and its states, and gives the states after the step as results beside the first. */
#include <stddef.h>
#include <string.h>

#include "nn/recurrent.h"

/* ---- RNN ---- */

static const soma_field rnn_fields[] = {
    {.name = "cell", .kind = SOMA_FIELD_LAYER, .offset = offsetof(soma_rnn_options, cell)},
    STEPS_FIELDS(soma_rnn_options),
    {.name = NULL}};

/* (batch, steps, ...) -> (batch, ...) of step t. */
static soma_tensor *at_step(soma_tensor *x, int64_t t) {
    return soma_squeeze(soma_slice_axis(x, 1, t, t + 1, 1), 1);
}

static soma_status rnn_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_rnn_options *o = soma_layer_options(layer);
    RETURN_IF(layer->context, !o->cell || inputs[0]->rank < 3 || inputs[0]->shape[1] < 1, SOMA_SHAPE,
              "[RNN] it needs a cell, and samples (steps, ...) with a step at least");
    soma_tensor *x = at_step(inputs[0], 0);
    if (!x) return SOMA_NO_MEMORY;
    TRY(soma_layer_build_inner(layer, o->cell, "", &x, 1));
    if (!o->stateful) return SOMA_OK;
    soma_trace trace = {.graph = x->graph, .shapes_only = true}; /* what states does it have? */
    RETURN_IF(layer->context, !soma_trace_call(&trace, o->cell, &x, 1), SOMA_INVALID, "[RNN] its cell can't be called");
    soma_tensor *const *states;
    int count = soma_trace_outputs(&trace, &states);
    for (int i = 0; i < count; i++)
        TRY(recurrent_add_state(layer, i, states[i]->rank - 1, states[i]->shape + 1));
    return SOMA_OK;
}

static soma_tensor *rnn_advance(recurrent_walk *w, int64_t t) {
    const soma_rnn_options *o = soma_layer_options(w->layer);
    soma_tensor *inputs[1 + RECURRENT_STATES] = {at_step(w->user, t)};
    bool given = w->states[0] != NULL;
    memcpy(inputs + 1, w->states, sizeof w->states);
    soma_tensor *y = soma_trace_call(w->trace, o->cell, inputs, given ? 1 + w->n_states : 1), *const * states;
    int n = soma_trace_outputs(w->trace, &states);
    RETURN_NULL_IF(w->layer->context, y && given && n != w->n_states, SOMA_INVALID,
                   "[RNN] its cell, %s, gives %d states after the step: it was given %d", o->cell->kind->name, n,
                   w->n_states);
    w->n_states = n;
    for (int i = 0; y && i < n; i++)
        w->states[i] = states[i];
    return y;
}

/* The states of a layer taken a step at a time; a call of the cell without them says what they are like. */
static bool recall_all(recurrent_walk *w) {
    const soma_rnn_options *o = soma_layer_options(w->layer);
    soma_trace trace = {.graph = w->trace->graph, .shapes_only = true};
    soma_tensor *x = at_step(w->user, 0), *const * like;
    if (!soma_trace_call(&trace, o->cell, &x, 1)) return false;
    w->n_states = soma_trace_outputs(&trace, &like);
    for (int i = 0; i < w->n_states; i++)
        if (!recurrent_recall(w, i, like[i]->dtype, like[i]->rank - 1, like[i]->shape + 1)) return false;
    return true;
}

static soma_tensor *rnn_call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    const soma_rnn_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_float(layer, inputs[0]);
    if (!x) return NULL;
    recurrent_walk w = {.layer = layer,
                        .trace = trace,
                        .mask = soma_trace_mask(trace, inputs[0]),
                        .batch = x->shape[0],
                        .steps = x->shape[1],
                        .n_states = n - 1,
                        .advance = rnn_advance,
                        .user = x};
    int first = o->cell->n_inner, all = layer->owner ? layer->n_inner : layer->n_weights;
    if (n == 1) w.n_states = all - first;
    if (!recurrent_begin(&w, inputs, n, first)) return NULL;
    if (trace->memory && n == 1 && !recall_all(&w)) return NULL;
    return recurrent_run(&w, first);
}

const soma_layer_class layer_rnn = {.name = "RNN",
                                    .size = sizeof(soma_rnn_options),
                                    .fields = rnn_fields,
                                    .min_inputs = 1,
                                    .max_inputs = 1 + RECURRENT_STATES,
                                    .build = rnn_build,
                                    .call = rnn_call,
                                    .by_steps = true};

soma_layer *soma_rnn_create(const soma_rnn_options *options) {
    return soma_layer_create(&layer_rnn, options);
}

/* ---- StackedRNNCells ---- */

#define CELL(i)                                                                                                        \
    { .name = "cell_" #i, .kind = SOMA_FIELD_LAYER, .offset = offsetof(soma_stacked_rnn_cells_options, cells[i]) }
static const soma_field stacked_fields[] = {CELL(0), CELL(1), CELL(2), CELL(3),       CELL(4),
                                            CELL(5), CELL(6), CELL(7), {.name = NULL}};
#undef CELL

/* Calls all cells one on the result of the other. states: what goes in, NULL while it is zero, and what comes out;
 * counts: how many each cell has, known after the first call. Returns the last result. */
static soma_tensor *through(soma_layer *layer, soma_trace *trace, soma_tensor *x, soma_tensor *const *before,
                            soma_tensor **after, int *n_after) {
    soma_stacked_rnn_cells_options *o = (soma_stacked_rnn_cells_options *)(void *)layer->options;
    *n_after = 0;
    for (int i = 0; x && i < SOMA_MAX_CELLS && o->cells[i]; i++) {
        soma_tensor *inputs[1 + RECURRENT_STATES] = {x}, *const * states;
        int n = before ? o->n_states[i] : 0;
        if (n > 0) memcpy(inputs + 1, before + *n_after, (size_t)n * sizeof *inputs);
        x = soma_trace_call(trace, o->cells[i], inputs, 1 + n);
        n = soma_trace_outputs(trace, &states);
        RETURN_NULL_IF(layer->context, *n_after + n > RECURRENT_STATES, SOMA_INVALID,
                       "[StackedRNNCells] more than %d states", RECURRENT_STATES);
        o->n_states[i] = n;
        for (int j = 0; x && j < n; j++)
            after[(*n_after)++] = states[j];
    }
    return x;
}

static soma_status stacked_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    static const char *const prefixes[] = {"cell_0_", "cell_1_", "cell_2_", "cell_3_",
                                           "cell_4_", "cell_5_", "cell_6_", "cell_7_"};
    (void)n;
    const soma_stacked_rnn_cells_options *o = soma_layer_options(layer);
    RETURN_IF(layer->context, !o->cells[0], SOMA_INVALID, "[StackedRNNCells] no cells given");
    soma_trace trace = {.graph = inputs[0]->graph, .shapes_only = true};
    soma_tensor *x = inputs[0];
    for (int i = 0; i < SOMA_MAX_CELLS && o->cells[i]; i++) {
        TRY(soma_layer_build_inner(layer, o->cells[i], prefixes[i], &x, 1));
        x = soma_trace_call(&trace, o->cells[i], &x, 1); /* for its shape */
        if (!x) return SOMA_INVALID;
    }
    soma_tensor *after[RECURRENT_STATES];
    int count; /* from now on each cell's states are known */
    return through(layer, &trace, inputs[0], NULL, after, &count) ? SOMA_OK : SOMA_INVALID;
}

static soma_tensor *stacked_call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    const soma_stacked_rnn_cells_options *o = soma_layer_options(layer);
    int wanted = 0, count;
    for (int i = 0; i < SOMA_MAX_CELLS; i++)
        wanted += o->n_states[i];
    RETURN_NULL_IF(layer->context, n != 1 && n != 1 + wanted, SOMA_INVALID,
                   "[StackedRNNCells] %d states are given, they have %d", n - 1, wanted);
    soma_tensor **after = arena_alloc(&trace->graph->arena, RECURRENT_STATES * sizeof *after);
    soma_tensor *y = after ? through(layer, trace, inputs[0], n > 1 ? inputs + 1 : NULL, after, &count) : NULL;
    if (y && count > 0) soma_trace_set_outputs(trace, layer, after, count);
    return y;
}

const soma_layer_class layer_stacked_rnn_cells = {.name = "StackedRNNCells",
                                                  .size = sizeof(soma_stacked_rnn_cells_options),
                                                  .fields = stacked_fields,
                                                  .min_inputs = 1,
                                                  .max_inputs = 1 + RECURRENT_STATES,
                                                  .build = stacked_build,
                                                  .call = stacked_call,
                                                  .by_steps = true};

soma_layer *soma_stacked_rnn_cells_create(const soma_stacked_rnn_cells_options *options) {
    return soma_layer_create(&layer_stacked_rnn_cells, options);
}
