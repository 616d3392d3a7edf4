/* Symbols: the functional way to make a model, and the walk from symbols to a list of calls.
 * Rests on layer.h and model.h. Shapes are found by calling the layer on placeholders, so a layer needs no shape rule.
 * The walk is a loop with its own stack: a file or a program may chain as many layers as it likes. */
#include <string.h>

#include "base/context_internal.h"
#include "nn/model.h"

enum { PROBE_BATCH = 2 /* an extent that a layer can't take for a broadcast one */, MODEL_CALL_INPUTS = 8 };

/* What a call gives: the shape of a sample of each result. */
typedef struct results {
    int n;
    int rank[SOMA_MAX_OUTPUTS];
    int64_t shape[SOMA_MAX_OUTPUTS][SOMA_MAX_RANK];
} results;

/* Result number i of the layer's next call. */
static soma_symbol *make_symbol(soma_layer *layer, soma_context *context, soma_symbol *const *inputs, int n,
                                const results *r, int i) {
    soma_symbol *symbol = mem_zalloc(layer->context, sizeof *symbol);
    soma_symbol **copy = mem_alloc(layer->context, (size_t)n * sizeof *copy);
    if (!symbol || !copy) {
        mem_free(layer->context, copy, (size_t)n * sizeof *copy);
        mem_free(layer->context, symbol, sizeof *symbol);
        return NULL;
    }
    if (n) memcpy(copy, inputs, (size_t)n * sizeof *copy);
    *symbol = (soma_symbol){.layer = layer,
                            .call = layer->n_calls,
                            .first = layer->n_symbols,
                            .n_results = r->n,
                            .inputs = copy,
                            .n_inputs = n,
                            .rank = r->rank[i],
                            .context = context};
    memcpy(symbol->shape, r->shape[i], sizeof symbol->shape);
    return symbol;
}

/* All results of a call as symbols; returns the first, or none are left. */
static soma_symbol *add_call(soma_layer *layer, soma_context *context, soma_symbol *const *inputs, int n,
                             const results *r) {
    soma_symbol *made[SOMA_MAX_OUTPUTS], **symbols = NULL;
    int count = 0;
    while (count < r->n && (made[count] = make_symbol(layer, context, inputs, n, r, count)))
        count++;
    size_t old = (size_t)layer->n_symbols;
    if (count == r->n)
        symbols =
            mem_realloc(layer->context, layer->symbols, old * sizeof *symbols, (old + (size_t)count) * sizeof *symbols);
    if (!symbols) {
        while (count > 0)
            layer_free_symbol(layer, made[--count]);
        return NULL;
    }
    memcpy(symbols + old, made, (size_t)count * sizeof *symbols);
    layer->symbols = symbols;
    layer->n_symbols += count;
    layer->n_calls++;
    return made[0];
}

soma_symbol *soma_symbol_create(soma_context *context, int rank, const int64_t *shape, const char *name) {
    RETURN_NULL_IF(context, rank < 1 || rank >= SOMA_MAX_RANK || !shape, SOMA_SHAPE,
                   "[symbol] rank %d of a sample is not in 1 to %d", rank, SOMA_MAX_RANK - 1);
    soma_input_layer_options options = {.name = name, .context = context};
    for (int i = 0; i < rank; i++) {
        RETURN_NULL_IF(context, shape[i] < 1, SOMA_SHAPE, "[symbol] extent %lld must be at least 1",
                       (long long)shape[i]);
        options.input_shape[i] = shape[i];
    }
    soma_layer *layer = soma_input_layer_create(&options);
    if (!layer) return NULL;
    results r = {.n = 1, .rank = {rank}};
    memcpy(r.shape[0], options.input_shape, sizeof r.shape[0]);
    soma_symbol *symbol = add_call(layer, context_of(context), NULL, 0, &r);
    if (!symbol) {
        soma_layer_destroy(layer);
        return NULL;
    }
    layer->built = true;
    return symbol;
}

static void add_result(results *r, const soma_tensor *y) {
    r->rank[r->n] = y->rank - 1;
    memcpy(r->shape[r->n++], y->shape + 1, (size_t)(y->rank - 1) * sizeof *y->shape);
}

/* The layer called on placeholders of the inputs' shapes, in a graph that goes away again. */
static soma_status probe(soma_layer *layer, soma_symbol *const *xs, int n, results *r) {
    soma_graph *graph = soma_graph_create(xs[0]->context);
    if (!graph) return SOMA_NO_MEMORY;
    soma_trace trace = {.graph = graph, .shapes_only = true};
    soma_tensor **inputs = arena_alloc(&graph->arena, (size_t)n * sizeof *inputs);
    for (int i = 0; inputs && i < n; i++) {
        int64_t batch_shape[SOMA_MAX_RANK] = {PROBE_BATCH};
        memcpy(batch_shape + 1, xs[i]->shape, (size_t)xs[i]->rank * sizeof *batch_shape);
        inputs[i] = soma_input(graph, SOMA_F32, xs[i]->rank + 1, batch_shape, "x");
    }
    soma_tensor *y = inputs ? layer_call(layer, &trace, inputs, n) : NULL;
    if (y) add_result(r, y);
    for (int i = 0; y && i < trace.n_more; i++)
        add_result(r, trace.more[i]);
    soma_graph_destroy(graph);
    return y ? SOMA_OK : SOMA_INVALID;
}

soma_symbol *soma_call_many(soma_layer *layer, soma_symbol *const *xs, int n) {
    if (!layer) return NULL;
    results r = {.n = 0};
    bool ok = xs && n > 0;
    for (int i = 0; ok && i < n; i++)
        ok = xs[i] != NULL;
    if (!ok) (void)error_set(layer->context, SOMA_INVALID, "[%s] called on nothing", layer->kind->name);
    soma_symbol *symbol = NULL;
    if (ok && probe(layer, xs, n, &r) == SOMA_OK) symbol = add_call(layer, xs[0]->context, xs, n, &r);
    if (!symbol && layer->n_symbols == 0) soma_layer_destroy(layer);
    return symbol;
}

soma_symbol *soma_symbol_output(soma_symbol *y, int i) {
    if (!y) return NULL;
    RETURN_NULL_IF(y->context, i < 0 || i >= y->n_results, SOMA_INVALID, "[%s] it gives %d results: there is no %d",
                   y->layer->kind->name, y->n_results, i);
    return y->layer->symbols[y->first + i];
}

soma_symbol *soma_call(soma_layer *layer, soma_symbol *x) {
    return soma_call_many(layer, &x, 1);
}

int soma_symbol_ndim(const soma_symbol *symbol) {
    return symbol ? symbol->rank : 0;
}
const int64_t *soma_symbol_shape(const soma_symbol *symbol) {
    return symbol ? symbol->shape : NULL;
}
soma_layer *soma_symbol_layer(const soma_symbol *symbol) {
    return symbol ? symbol->layer : NULL;
}

/* ---- models within models ---- */

static soma_status call_layers(const soma_model *model, soma_symbol **values) {
    for (int i = 0; i < model->n_calls; i++) {
        const model_call *call = &model->calls[i];
        soma_layer *layer = model->layers[call->layer];
        soma_symbol *xs[MODEL_CALL_INPUTS], **inputs = xs;
        if (layer->kind == &layer_input) { /* of a sequential model: what comes in passes */
            values[call->output] = values[call->inputs[0]];
            continue;
        }
        const size_t bytes = (size_t)call->n_inputs * sizeof *inputs;
        if (call->n_inputs > MODEL_CALL_INPUTS) inputs = mem_alloc(model->context, bytes);
        if (!inputs) return SOMA_NO_MEMORY;
        for (int j = 0; j < call->n_inputs; j++)
            inputs[j] = values[call->inputs[j]];
        soma_symbol *y = soma_call_many(layer, inputs, call->n_inputs);
        for (int j = 0; y && j < call->n_outputs; j++)
            values[call->output + j] = soma_symbol_output(y, j);
        if (inputs != xs) mem_free(model->context, inputs, bytes);
        if (!y) return soma_last_status(model->context) != SOMA_OK ? soma_last_status(model->context) : SOMA_INVALID;
    }
    return SOMA_OK;
}

soma_status soma_model_call(soma_model *model, soma_symbol *const *xs, int n, soma_symbol **ys) {
    RETURN_IF(NULL, !model || !xs || !ys, SOMA_INVALID, "[model] no model, symbols or place for the results given");
    RETURN_IF(model->context, n != model->n_inputs, SOMA_INVALID, "[model] called on %d symbols, it has %d inputs", n,
              model->n_inputs);
    for (int i = 0; i < n; i++)
        RETURN_IF(model->context, !xs[i], SOMA_INVALID, "[model] called on nothing");
    const size_t bytes = (size_t)model->n_values * sizeof(soma_symbol *);
    soma_symbol **values = mem_zalloc(model->context, bytes);
    if (!values) return SOMA_NO_MEMORY;
    for (int i = 0; i < n; i++)
        values[model->inputs[i]] = xs[i];
    const soma_status status = call_layers(model, values);
    for (int i = 0; status == SOMA_OK && i < model->n_outputs; i++)
        ys[i] = values[model->outputs[i]];
    mem_free(model->context, values, bytes);
    return status;
}

/* ---- from symbols to calls ---- */

typedef struct walk {
    soma_context *context;
    soma_symbol **order; /* inputs of the model, then the others, each after its inputs */
    int n, capacity;
} walk;

static int position(const walk *w, const soma_symbol *symbol) {
    for (int i = 0; i < w->n; i++) {
        if (w->order[i] == symbol) return i;
    }
    return -1;
}

static soma_status push(walk *w, soma_symbol *symbol) {
    if (w->n == w->capacity) {
        int capacity = w->capacity ? 2 * w->capacity : 16;
        soma_symbol **order =
            mem_realloc(w->context, w->order, (size_t)w->capacity * sizeof *order, (size_t)capacity * sizeof *order);
        if (!order) return SOMA_NO_MEMORY;
        w->order = order;
        w->capacity = capacity;
    }
    w->order[w->n++] = symbol;
    return SOMA_OK;
}

/* Depth first from an output, inputs before what uses them. */
static soma_status visit(walk *w, soma_symbol *output) {
    walk stack = {.context = w->context};
    soma_status status = push(&stack, soma_symbol_output(output, 0));
    while (status == SOMA_OK && stack.n > 0) {
        soma_symbol *symbol = stack.order[stack.n - 1], *missing = NULL;
        for (int i = 0; i < symbol->n_inputs && !missing; i++) {
            if (position(w, symbol->inputs[i]) < 0) missing = symbol->inputs[i];
        }
        if (missing) {
            status = push(&stack, soma_symbol_output(missing, 0));
            continue;
        }
        stack.n--;
        if (position(w, symbol) >= 0) continue;
        if (symbol->n_inputs == 0) {
            status = error_set(w->context, SOMA_INVALID, "[model] the outputs also need the input '%s'",
                               soma_layer_name(symbol->layer));
        }
        for (int i = 0; status == SOMA_OK && i < symbol->n_results; i++)
            status = push(w, soma_symbol_output(symbol, i));
    }
    mem_free(w->context, stack.order, (size_t)stack.capacity * sizeof *stack.order);
    return status;
}

static int layer_index(const soma_model *model, const soma_layer *layer) {
    for (int i = 0; i < model->n_layers; i++) {
        if (model->layers[i] == layer) return i;
    }
    return -1;
}

static soma_status fill(soma_model *model, const walk *w, int n, soma_symbol *const *outputs, int m) {
    int *inputs = arena_alloc(&model->arena, (size_t)n * sizeof *inputs);
    int *ends = arena_alloc(&model->arena, (size_t)m * sizeof *ends);
    if (!inputs || !ends) return SOMA_NO_MEMORY;
    for (int i = 0; i < w->n; i++) {
        const soma_symbol *symbol = w->order[i];
        model->values[i].rank = symbol->rank;
        memcpy(model->values[i].shape, symbol->shape, sizeof symbol->shape);
        int layer = layer_index(model, symbol->layer);
        if (layer < 0) {
            layer = model->n_layers++;
            model->layers[layer] = symbol->layer;
            layer_retain(symbol->layer);
        }
        if (i < n) {
            inputs[i] = i;
            continue;
        }
        if (symbol != symbol->layer->symbols[symbol->first]) continue; /* one of the call before it */
        int *arguments = arena_alloc(&model->arena, (size_t)symbol->n_inputs * sizeof *arguments);
        if (!arguments) return SOMA_NO_MEMORY;
        for (int j = 0; j < symbol->n_inputs; j++)
            arguments[j] = position(w, symbol->inputs[j]);
        model->calls[model->n_calls++] = (model_call){.layer = layer,
                                                      .n_inputs = symbol->n_inputs,
                                                      .inputs = arguments,
                                                      .output = i,
                                                      .n_outputs = symbol->n_results,
                                                      .place = symbol->call};
    }
    for (int i = 0; i < m; i++)
        ends[i] = position(w, outputs[i]);
    model->inputs = inputs;
    model->n_inputs = n;
    model->outputs = ends;
    model->n_outputs = m;
    model->built = true;
    return SOMA_OK;
}

static soma_model *create(walk *w, soma_symbol *const *inputs, int n, soma_symbol *const *outputs, int m, bool make) {
    for (int i = 0; i < n; i++) {
        RETURN_NULL_IF(w->context, inputs[i]->n_inputs != 0 || position(w, inputs[i]) >= 0, SOMA_INVALID,
                       "[model] input %d is not a symbol of its own made by soma_symbol_create", i);
        if (push(w, inputs[i]) != SOMA_OK) return NULL;
    }
    for (int i = 0; i < m; i++) {
        if (visit(w, outputs[i]) != SOMA_OK) return NULL;
    }
    soma_model *model = model_alloc(w->context, w->n, w->n, w->n);
    if (!model) return NULL;
    soma_status status = soma_model_set_name(model, "functional");
    if (status == SOMA_OK) status = fill(model, w, n, outputs, m);
    if (status == SOMA_OK) status = model_name_layers(model);
    if (status == SOMA_OK && make) status = model_make_variables(model, true);
    if (status == SOMA_OK) return model;
    soma_model_destroy(model);
    return NULL;
}

soma_model *model_functional(soma_symbol *const *inputs, int n, soma_symbol *const *outputs, int m, bool make) {
    bool ok = inputs && outputs && n > 0 && m > 0;
    for (int i = 0; ok && i < n; i++)
        ok = inputs[i] != NULL;
    for (int i = 0; ok && i < m; i++)
        ok = outputs[i] != NULL;
    RETURN_NULL_IF(NULL, !ok, SOMA_INVALID, "[model] an input or output is missing");
    walk w = {.context = inputs[0]->context};
    soma_model *model = create(&w, inputs, n, outputs, m, make);
    mem_free(w.context, w.order, (size_t)w.capacity * sizeof *w.order);
    return model;
}

soma_model *soma_model_create(soma_symbol *const *inputs, int n, soma_symbol *const *outputs, int m) {
    return model_functional(inputs, n, outputs, m, true);
}
