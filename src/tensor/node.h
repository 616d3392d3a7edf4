/* The inside of tensors, graphs and variables: what ops build and the compiler reads.
 * Rests on base (arena, errors). A tensor is a node: op, attributes, inputs, dtype, concrete shape.
 * Plain structs with open fields, since every floor above reads them; only graph.c and variable.c write them. */
#ifndef TENSOR_NODE_H
#define TENSOR_NODE_H

#include <soma/tensor.h>

#include "base/base.h"

typedef struct op op;

/* Every attribute an op may have, in one plain struct, so that nodes compare and hash as bytes (zero what is unused).
 * Most nodes have none: they share one set. */
typedef struct op_attributes {
    soma_dtype dtype;        /* of the result, for casts and leaves */
    int axis;                /* gather, concat, cumsum, iota */
    uint32_t axes;           /* reductions: bit i set when axis i is reduced */
    bool exclusive, reverse; /* cumsum; exclusive of max and min: of equal elements the first gets the gradient */
    int rank;                /* reshape, expand, leaves, scatter-add: the result's rank and shape */
    int64_t shape[SOMA_MAX_RANK];
    int64_t start[SOMA_MAX_RANK]; /* slice: first index; pad: elements before; permute: source axis of each axis */
    int64_t step[SOMA_MAX_RANK];  /* slice: step, may be negative */
    double value[2];              /* pad: value; random: low, high or mean, stddev */
    uint64_t key;                 /* random: the op's own number, the same in every trace of the same code */
    bool seeded;                  /* random: the key is that of its numbers, whatever the context's seed */
} op_attributes;
extern const op_attributes op_no_attributes;

struct soma_tensor {
    soma_graph *graph;
    const op *op;
    soma_tensor **inputs;
    int n_inputs;
    int rank;
    soma_dtype dtype;
    int64_t id; /* position in the graph: inputs have lower ids */
    int64_t shape[SOMA_MAX_RANK];
    const op_attributes *attributes; /* never NULL */
    soma_variable *variable;         /* read and assign */
    const void *data;                /* constants: row-major elements; any node: its elements once evaluated */
    const char *name;                /* inputs; else NULL */
    soma_tensor *logits;             /* softmax and sigmoid results: what they were computed from; else NULL */
};

/* Random ops one after the other that have a seed of their own. */
typedef struct random_stream {
    uint64_t seed, next;
} random_stream;

enum { GRAPH_RECENT = 8 };
struct soma_graph {
    soma_context *context;
    arena arena;
    soma_tensor **nodes; /* by id */
    int64_t n_nodes, capacity;
    uint64_t next_key;                         /* for random ops */
    random_stream *stream;                     /* whose seed and number they have instead; NULL: none */
    const op_attributes *recent[GRAPH_RECENT]; /* sets that were made last */
    int64_t n_sets;                            /* that were made in all */
};

/* How a variable's elements lie. Weights may live in panels: [columns/width][rows][width], zero-padded to whole panels;
 * rows is the last axis but one, columns the last, leading axes are batches of such matrices. width 0: row-major. */
struct soma_variable {
    soma_context *context;
    char *name;
    soma_dtype dtype;
    int rank;
    int64_t shape[SOMA_MAX_RANK];
    int64_t size;  /* elements */
    int64_t width; /* of the panels, 0 when row-major */
    size_t bytes;  /* allocated, padding included */
    void *data;
    bool trainable; /* default true; layers clear it for statistics and counters */
    void *user;     /* the owner's */
};

/* A node without checks: shape and dtype as given, attributes copied (NULL: none). NULL when out of memory. */
soma_tensor *graph_node(soma_graph *graph, const op *op, soma_tensor *const *inputs, int n_inputs, soma_dtype dtype,
                        int rank, const int64_t *shape, const op_attributes *attributes);
/* Where a graph stands, and forgetting the nodes made since, of which nobody may know any more. */
typedef struct graph_mark {
    arena_mark arena;
    int64_t n_nodes, n_sets;
} graph_mark;
graph_mark graph_get_mark(const soma_graph *graph);
void graph_rewind(soma_graph *graph, const graph_mark *mark);
/* graph, or the default one. */
soma_graph *graph_or_default(soma_graph *graph);
/* Is the rank one that tensors have, with extents if it wants any? For what callers give. */
static inline bool shape_given(int rank, const int64_t *shape) {
    return rank >= 0 && rank <= SOMA_MAX_RANK && (rank == 0 || shape);
}
/* Elements of a shape; -1 when it overflows int64 or an extent is negative. */
int64_t shape_size(int rank, const int64_t *shape);
bool shape_equal(int rank_a, const int64_t *a, int rank_b, const int64_t *b);
/* "(2,3)" into buffer, which is returned; for error texts. */
enum { SHAPE_TEXT = 8 * 21 + 3 };
const char *shape_text(char buffer[SHAPE_TEXT], int rank, const int64_t *shape);
/* "(2,3)" of a tensor. */
const char *tensor_shape_text(char buffer[SHAPE_TEXT], const soma_tensor *tensor);
bool dtype_is_float(soma_dtype dtype);
bool dtype_is_integer(soma_dtype dtype); /* bool excluded */

/* Brings a variable to panels of the given width (0: row-major), converting its elements in place of the old ones. */
soma_status variable_set_width(soma_variable *variable, int64_t width);

#endif
