/* Graphs: the arena that tensors live in, and what can be asked of a tensor.
 * Rests on base's arena; nodes are numbered in the order of their making, so inputs always have lower ids.
 * The default graph hangs on its context and is made when first asked for. */
#include <string.h>

#include "base/context_internal.h"
#include "tensor/node.h"

soma_graph *soma_graph_create(soma_context *context) {
    context = context_of(context);
    soma_graph *graph = mem_zalloc(context, sizeof *graph);
    if (!graph) return NULL;
    graph->context = context;
    arena_init(&graph->arena, context);
    return graph;
}

void soma_graph_destroy(soma_graph *graph) {
    if (!graph) return;
    arena_deinit(&graph->arena);
    mem_free(graph->context, graph->nodes, (size_t)graph->capacity * sizeof *graph->nodes);
    mem_free(graph->context, graph, sizeof *graph);
}

void soma_graph_reset(soma_graph *graph) {
    graph = graph_or_default(graph);
    if (!graph) return;
    arena_reset(&graph->arena);
    graph->n_nodes = 0;
    graph->next_key = 0;
    graph->stream = NULL;
    memset(graph->recent, 0, sizeof graph->recent);
}

static void destroy_default(soma_context *context, void *data) {
    (void)context;
    soma_graph_destroy(data);
}

soma_graph *soma_default_graph(void) {
    soma_context *context = context_of(NULL);
    context_lock(context);
    context_slot *slot = context_get_slot(context, CONTEXT_GRAPH);
    if (!slot->data) {
        slot->data = soma_graph_create(context);
        slot->destroy = destroy_default;
    }
    soma_graph *graph = slot->data;
    context_unlock(context);
    return graph;
}

soma_graph *graph_or_default(soma_graph *graph) {
    return graph ? graph : soma_default_graph();
}

soma_context *soma_graph_context(const soma_graph *graph) {
    return graph ? graph->context : context_of(NULL);
}

static bool reserve(soma_graph *graph) {
    if (graph->n_nodes < graph->capacity) return true;
    int64_t capacity = graph->capacity ? 2 * graph->capacity : 64;
    soma_tensor **nodes = mem_realloc(graph->context, graph->nodes, (size_t)graph->capacity * sizeof *nodes,
                                      (size_t)capacity * sizeof *nodes);
    if (!nodes) return false;
    graph->nodes = nodes;
    graph->capacity = capacity;
    return true;
}

const op_attributes op_no_attributes;

/* Field by field into zeroed memory: a struct assignment would copy undefined padding, and sets compare as bytes. */
static void copy_attributes(op_attributes *to, const op_attributes *from) {
    memset(to, 0, sizeof *to);
    to->dtype = from->dtype;
    to->axis = from->axis;
    to->axes = from->axes;
    to->exclusive = from->exclusive;
    to->reverse = from->reverse;
    to->rank = from->rank;
    memcpy(to->shape, from->shape, sizeof to->shape);
    memcpy(to->start, from->start, sizeof to->start);
    memcpy(to->step, from->step, sizeof to->step);
    memcpy(to->value, from->value, sizeof to->value);
    to->key = from->key;
    to->seeded = from->seeded;
}

/* The set itself, or an equal one of those that the graph kept last: neighbours often have the same. */
static const op_attributes *keep_attributes(soma_graph *graph, const op_attributes *given) {
    if (!given || given == &op_no_attributes) return &op_no_attributes;
    op_attributes set;
    copy_attributes(&set, given);
    for (int i = 0; i < GRAPH_RECENT && graph->recent[i]; i++)
        if (memcmp(graph->recent[i], &set, sizeof set) == 0) return graph->recent[i];
    op_attributes *kept = arena_alloc(&graph->arena, sizeof *kept);
    if (!kept) return NULL;
    return graph->recent[graph->n_sets++ % GRAPH_RECENT] = memcpy(kept, &set, sizeof set);
}

soma_tensor *graph_node(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n_inputs, soma_dtype dtype,
                        int rank, const int64_t *shape, const op_attributes *attributes) {
    if (!reserve(graph)) return NULL;
    attributes = keep_attributes(graph, attributes);
    soma_tensor *node = arena_alloc(&graph->arena, sizeof *node + (size_t)n_inputs * sizeof *inputs);
    if (!node || !attributes) return NULL;
    node->graph = graph;
    node->op = self;
    node->inputs = (soma_tensor **)(node + 1);
    node->n_inputs = n_inputs;
    node->rank = rank;
    node->dtype = dtype;
    node->attributes = attributes;
    if (n_inputs > 0) memcpy(node->inputs, inputs, (size_t)n_inputs * sizeof *inputs);
    if (rank > 0) memcpy(node->shape, shape, (size_t)rank * sizeof *shape);
    node->id = graph->n_nodes;
    graph->nodes[graph->n_nodes++] = node;
    return node;
}

graph_mark graph_get_mark(const soma_graph *graph) {
    return (graph_mark){arena_get_mark(&graph->arena), graph->n_nodes, graph->n_sets};
}

void graph_rewind(soma_graph *graph, const graph_mark *mark) {
    arena_rewind(&graph->arena, mark->arena);
    graph->n_nodes = mark->n_nodes;
    if (graph->n_sets != mark->n_sets) memset(graph->recent, 0, sizeof graph->recent);
}

soma_graph *soma_tensor_graph(const soma_tensor *tensor) {
    return tensor ? tensor->graph : NULL;
}
int soma_ndim(const soma_tensor *tensor) {
    return tensor ? tensor->rank : 0;
}
const int64_t *soma_shape(const soma_tensor *tensor) {
    return tensor ? tensor->shape : NULL;
}

int64_t soma_dim(const soma_tensor *tensor, int axis) {
    if (!tensor) return 0;
    int i = axis < 0 ? axis + tensor->rank : axis;
    if (i >= 0 && i < tensor->rank) return tensor->shape[i];
    (void)error_set(tensor->graph->context, SOMA_SHAPE, "[dim] axis %d is out of range for rank %d", axis,
                    tensor->rank);
    return 0;
}

int64_t soma_size(const soma_tensor *tensor) {
    return tensor ? shape_size(tensor->rank, tensor->shape) : 0;
}
soma_dtype soma_tensor_dtype(const soma_tensor *tensor) {
    return tensor ? tensor->dtype : SOMA_F32;
}
