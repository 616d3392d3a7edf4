/* Traces: layers called on tensors of one graph.
 * Rests on layer.h. A trace reads each variable once, so that gradients have one place to arrive at, and collects what
 * a training step needs beside the outputs: penalties and updates of statistics. */
#include <string.h>

#include "nn/layer.h"
#include "ops/op.h"

/* An array in the graph's arena, grown by copying: traces are small and live as long as their graph. */
static trace_pair *append(soma_trace *trace, trace_pair *pairs, int *n, soma_variable *variable, soma_tensor *tensor) {
    if ((*n & (*n - 1)) == 0) {
        size_t capacity = *n ? 2 * (size_t)*n : 1;
        trace_pair *grown = arena_alloc(&trace->graph->arena, capacity * sizeof *grown);
        if (!grown) {
            trace->failed = true;
            return pairs;
        }
        if (*n) memcpy(grown, pairs, (size_t)*n * sizeof *grown);
        pairs = grown;
    }
    pairs[(*n)++] = (trace_pair){variable, tensor};
    return pairs;
}

/* Whether the node still reads the variable: one that was evaluated keeps its value, and one of a variable that is gone
 * may have the address of a new one. */
static bool reads(const soma_tensor *node, const soma_variable *v) {
    return node->variable == v && node->op == &op_read && !node->data && node->dtype == v->dtype &&
           shape_equal(node->rank, node->shape, v->rank, v->shape);
}

soma_tensor *soma_weight(soma_graph *graph, soma_variable *variable) {
    graph = graph_or_default(graph);
    if (!graph || !variable) return NULL;
    for (int64_t i = graph->n_nodes - 1; i >= 0; i--) {
        if (reads(graph->nodes[i], variable)) return graph->nodes[i];
    }
    return soma_read(graph, variable);
}

soma_tensor *trace_read(soma_trace *trace, soma_variable *variable) {
    for (int i = 0; i < trace->n_reads; i++) {
        if (trace->reads[i].variable == variable) return trace->reads[i].tensor;
    }
    soma_tensor *tensor = soma_weight(trace->graph, variable);
    if (tensor) trace->reads = append(trace, trace->reads, &trace->n_reads, variable, tensor);
    return tensor;
}

/* The layer that has a layer's weights; *i becomes the number there, -1 when there is no such weight. */
static soma_layer *keeper(soma_layer *layer, int *i) {
    for (; layer->owner; layer = layer->owner)
        *i = *i < 0 || *i >= layer->n_inner ? -1 : layer->first + *i;
    return layer;
}

soma_tensor *soma_trace_weight(soma_trace *trace, soma_layer *layer, int i) {
    if (!trace || !layer) return NULL;
    layer = keeper(layer, &i);
    RETURN_NULL_IF(trace->graph->context, i < 0 || i >= layer->n_weights, SOMA_INVALID, "[%s] it has no weight %d",
                   layer->kind->name, i);
    const soma_weight_options *spec = &layer->weights[i].spec;
    if (trace->shapes_only) return soma_input(trace->graph, layer->options->dtype, spec->rank, spec->shape, spec->name);
    RETURN_NULL_IF(trace->graph->context, !layer->weights[i].variable, SOMA_INVALID,
                   "[%s] its weights are made when it is in a model", layer->kind->name);
    return trace_read(trace, layer->weights[i].variable);
}

bool soma_trace_training(const soma_trace *trace) {
    return trace && trace->training;
}

soma_graph *soma_trace_graph(const soma_trace *trace) {
    return trace ? trace->graph : NULL;
}

soma_tensor *soma_trace_step(soma_trace *trace) {
    if (!trace) return NULL;
    if (!trace->step && trace->step_from) trace->step = trace_read(trace, trace->step_from);
    if (!trace->step) trace->step = soma_scalar(trace->graph, SOMA_I64, 0);
    return trace->step;
}

void soma_trace_add_loss(soma_trace *trace, soma_tensor *penalty) {
    if (!trace) return;
    if (!penalty) {
        trace->failed = true;
        return;
    }
    trace->losses = trace->losses ? soma_add(trace->losses, penalty) : penalty;
    if (!trace->losses) trace->failed = true;
}

void soma_trace_update(soma_trace *trace, soma_layer *layer, int i, soma_tensor *value) {
    if (trace && trace->training) trace_carry(trace, layer, i, value);
}

void trace_carry(soma_trace *trace, soma_layer *layer, int i, soma_tensor *value) {
    if (!trace || !layer || trace->shapes_only) return;
    layer = keeper(layer, &i);
    if (!value || i < 0 || i >= layer->n_weights || !layer->weights[i].variable) {
        trace->failed = true;
        return;
    }
    trace->updates = append(trace, trace->updates, &trace->n_updates, layer->weights[i].variable, value);
}

soma_tensor *trace_position(soma_trace *trace) {
    return trace_read(trace, trace->memory->position);
}

soma_tensor *trace_recall(soma_trace *trace, soma_dtype dtype, int rank, const int64_t *shape,
                          soma_variable **variable) {
    trace_memory *m = trace->memory;
    size_t size = sizeof *m->variables;
    *variable = soma_variable_create(m->context, "memory", dtype, rank, shape);
    if (!*variable) return NULL;
    soma_variable **grown = mem_realloc(m->context, m->variables, (size_t)m->n * size, (size_t)(m->n + 1) * size);
    if (!grown) {
        soma_variable_destroy(*variable);
        return NULL;
    }
    m->variables = grown;
    m->variables[m->n++] = *variable;
    return trace_read(trace, *variable);
}

void trace_remember(soma_trace *trace, soma_variable *variable, soma_tensor *value) {
    if (!value) trace->failed = true;
    if (value) trace->updates = append(trace, trace->updates, &trace->n_updates, variable, value);
}

void soma_trace_set_outputs(soma_trace *trace, soma_layer *layer, soma_tensor *const *more, int n) {
    if (!trace || !layer) return;
    bool whole = more && n > 0 && n < SOMA_MAX_OUTPUTS;
    for (int i = 0; whole && i < n; i++)
        whole = more[i] != NULL;
    if (!whole) trace->failed = true;
    trace->more_of = layer;
    trace->more = more;
    trace->n_more = whole ? n : 0;
}

int soma_trace_outputs(const soma_trace *trace, soma_tensor *const **more) {
    if (more) *more = trace ? trace->more : NULL;
    return trace ? trace->n_more : 0;
}

soma_tensor *soma_trace_mask(const soma_trace *trace, const soma_tensor *x) {
    for (int i = trace ? trace->n_masks - 1 : -1; i >= 0; i--) {
        if (trace->masks[i].tensor == x) return trace->masks[i].mask;
    }
    return NULL;
}

static bool has_mask(const soma_trace *trace, const soma_tensor *x) {
    for (int i = 0; i < trace->n_masks; i++) {
        if (trace->masks[i].tensor == x) return true;
    }
    return false;
}

void soma_trace_set_mask(soma_trace *trace, soma_tensor *y, soma_tensor *mask) {
    if (!trace || !y) return;
    int n = trace->n_masks;
    if ((n & (n - 1)) == 0) {
        trace_mask *grown = arena_alloc(&trace->graph->arena, (n ? 2 * (size_t)n : 1) * sizeof *grown);
        if (!grown) {
            trace->failed = true;
            return;
        }
        if (n) memcpy(grown, trace->masks, (size_t)n * sizeof *grown);
        trace->masks = grown;
    }
    trace->masks[trace->n_masks++] = (trace_mask){y, mask};
}

/* The first input's mask, for the result. */
static void pass_mask(soma_trace *trace, soma_tensor *const *inputs, soma_tensor *y) {
    soma_tensor *mask = has_mask(trace, y) ? NULL : soma_trace_mask(trace, inputs[0]);
    if (mask && y->rank >= mask->rank && shape_equal(mask->rank, mask->shape, mask->rank, y->shape))
        soma_trace_set_mask(trace, y, mask);
}

soma_tensor *mask_widen(soma_tensor *mask, int rank) {
    for (int i = mask ? mask->rank : rank; i < rank; i++)
        mask = soma_expand_dims(mask, -1);
    return mask;
}

soma_tensor *mask_keep(soma_tensor *mask, soma_tensor *y) {
    return mask && y ? soma_where(mask_widen(mask, y->rank), y, soma_scalar(y->graph, y->dtype, 0)) : y;
}

void trace_merge_masks(soma_trace *trace, soma_tensor *const *inputs, int n, soma_tensor *y) {
    soma_tensor *all = soma_trace_mask(trace, inputs[0]);
    for (int i = 1; i < n && all; i++) {
        soma_tensor *mask = soma_trace_mask(trace, inputs[i]);
        if (mask != all) all = mask ? soma_logical_or(all, mask) : NULL;
    }
    soma_trace_set_mask(trace, y, all);
}

soma_tensor *soma_trace_call(soma_trace *trace, soma_layer *inner, soma_tensor *const *inputs, int n) {
    return trace && inner && inputs ? layer_call(inner, trace, inputs, n) : NULL;
}

static soma_status check_inputs(const soma_layer *layer, soma_context *context, soma_tensor *const *inputs, int n) {
    const soma_layer_class *kind = layer->kind;
    RETURN_IF(context, n < kind->min_inputs || (kind->max_inputs >= 0 && n > kind->max_inputs), SOMA_INVALID,
              "[%s] called on %d inputs, it takes %s%d", kind->name, n,
              kind->max_inputs == kind->min_inputs ? "" : "at least ", kind->min_inputs);
    for (int i = 0; i < n; i++) {
        if (!inputs[i]) return soma_last_status(context) != SOMA_OK ? soma_last_status(context) : SOMA_INVALID;
        RETURN_IF(context, inputs[i]->rank < 1, SOMA_SHAPE, "[%s] its input has no batch axis", kind->name);
    }
    return SOMA_OK;
}

/* The batch axis of a result. */
static bool keeps_batch(const soma_layer *layer, const soma_tensor *x, const soma_tensor *y) {
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    if (y->rank >= 1 && y->shape[0] == x->shape[0]) return true;
    (void)error_set(y->graph->context, SOMA_SHAPE, "[%s] %s became %s: the batch axis must stay as it is",
                    layer->kind->name, tensor_shape_text(a, x), tensor_shape_text(b, y));
    return false;
}

/* A layer whose result has no step for each of its input's may need all of them; those within others are these' care.
 */
static bool goes_by_steps(const soma_layer *layer, const soma_trace *trace) {
    if (!trace->memory || layer->owner || layer->kind->passes_mask || layer->kind->by_steps) return true;
    (void)error_set(trace->graph->context, SOMA_UNSUPPORTED, "[%s] it can't be taken a step at a time",
                    layer->kind->name);
    return false;
}

/* The penalties on a layer's results, the first and the further ones. */
static bool penalize(const soma_layer *layer, soma_trace *trace, soma_tensor *y) {
    const soma_regularizer *r = &layer->options->activity_regularizer;
    if (!r->penalty) return true;
    soma_trace_add_loss(trace, r->penalty(y, r->parameters));
    for (int i = 0; i < trace->n_more; i++)
        soma_trace_add_loss(trace, r->penalty(trace->more[i], r->parameters));
    return !trace->failed;
}

/* The class' function; of a layer with a seed the random numbers go on where they ended at its last call. */
static soma_tensor *call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    if (!layer->options->seed) return layer->kind->call(layer, trace, inputs, n);
    trace_stream *own = trace->streams;
    while (own && own->layer != layer)
        own = own->next;
    if (!own) {
        own = arena_alloc(&trace->graph->arena, sizeof *own);
        if (!own) return NULL;
        *own = (trace_stream){layer, {.seed = (uint64_t)layer->options->seed}, trace->streams};
        trace->streams = own;
    }
    random_stream *outer = trace->graph->stream;
    trace->graph->stream = &own->numbers;
    soma_tensor *y = layer->kind->call(layer, trace, inputs, n);
    trace->graph->stream = outer;
    return y;
}

soma_tensor *layer_call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    soma_context *context = trace->graph->context;
    if (check_inputs(layer, context, inputs, n) != SOMA_OK || !goes_by_steps(layer, trace)) return NULL;
    if (!layer->built) {
        if (layer->kind->build && layer->kind->build(layer, inputs, n) != SOMA_OK) return NULL;
        layer->built = true;
    }
    if (trace->watched == layer && !trace->seen) trace->seen = inputs[0];
    trace->more_of = NULL;
    soma_tensor *y = call(layer, trace, inputs, n);
    if (!y && soma_last_status(context) == SOMA_OK) /* a function of the user's */
        (void)error_set(context, SOMA_INVALID, "[%s] its function gave no tensor", layer->kind->name);
    if (!y || trace->failed) return NULL;
    if (layer->kind->passes_mask) pass_mask(trace, inputs, y);
    if (trace->more_of != layer) trace->n_more = 0; /* those of a layer within it */
    for (int i = 0; i < trace->n_more; i++)
        if (!keeps_batch(layer, inputs[0], trace->more[i])) return NULL;
    return keeps_batch(layer, inputs[0], y) && penalize(layer, trace, y) ? y : NULL;
}

void layer_add_penalties(soma_layer *layer, soma_trace *trace) {
    for (int i = 0; i < layer->n_weights; i++) {
        const soma_weight_options *spec = &layer->weights[i].spec;
        if (!spec->regularizer.penalty) continue;
        soma_tensor *w = soma_trace_weight(trace, layer, i);
        soma_trace_add_loss(trace, w ? spec->regularizer.penalty(w, spec->regularizer.parameters) : NULL);
    }
}
