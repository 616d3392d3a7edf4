/* Random graphs over the public ops: the same seed gives the same graph, inputs and variables in any context.
 * Rests on the public API and Philox. Every tensor carries a bound on its elements and on what rounding may do to them,
 * so that a compiled plan can be held against the reference; what should be exact is held to the bit. */
#ifndef SUPPORT_RANDOM_GRAPH_H
#define SUPPORT_RANDOM_GRAPH_H

#include <soma/plan.h>

enum { RANDOM_NODES = 160, RANDOM_INPUTS = 12, RANDOM_VARIABLES = 6, RANDOM_TARGETS = 64 };

/* Seeds from here on also draw blocks of networks and steps of optimizers (random_blocks.c). */
#define RANDOM_BLOCKS UINT64_C(1000000)

typedef struct random_node {
    soma_tensor *tensor;
    double max;   /* |x| <= max */
    double error; /* |computed - true| <= error; 0: exact, multiples of 2^-grain */
    int grain;
    bool smooth; /* gradients through it do not jump */
} random_node;

typedef struct random_graph {
    soma_context *context;
    soma_graph *graph;
    uint64_t seed, drawn;
    bool closed;   /* no inputs: all of it can be evaluated */
    bool empty;    /* some arrays have no elements */
    int64_t limit; /* elements of a tensor */
    int64_t extents[4];
    random_node nodes[RANDOM_NODES];
    int n_nodes;
    soma_tensor *inputs[RANDOM_INPUTS];
    void *data[RANDOM_INPUTS];   /* borrowed by inputs, and by constants made in their place */
    void *blocks[RANDOM_INPUTS]; /* where the data lies, one element further on */
    int n_inputs;
    soma_variable *variables[RANDOM_VARIABLES];
    void *initial[RANDOM_VARIABLES];
    double variable_error[RANDOM_VARIABLES]; /* after a run; 0: as it was; below 0 as of targets */
    int n_variables;
    soma_tensor *targets[RANDOM_TARGETS];
    double tolerance[RANDOM_TARGETS]; /* absolute; below 0: minus the part of the largest element */
    int n_targets;
} random_graph;

/* A graph of some inputs and variables and about `ops` ops. Ends the test after an error. */
random_graph *random_graph_create(soma_context *context, uint64_t seed, int ops);
void random_graph_destroy(random_graph *r);
/* A plan of all targets with inputs bound; NULL after an error. */
soma_plan *random_graph_plan(const random_graph *r, const soma_plan_options *options);
/* Variables as they were at first. */
void random_graph_reset(const random_graph *r);
/* Writes the graph to stderr, node by node. */
void random_graph_show(const random_graph *r);

#endif
