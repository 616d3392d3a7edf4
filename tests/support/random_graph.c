/* Random graphs: inputs and variables of small multiples of 1/8, then op upon op, then gradients, assigns and targets.
 * Rests on random_nodes.h and random_ops.c. Inputs lie as badly as they may: aligned to one element only. */
#include "support/random_graph.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <soma/ops.h>

#include "base/philox.h"
#include "cpu/reference/element.h"
#include "ops/op.h"
#include "support/random_nodes.h"

/* ---- sources ---- */

int64_t random_extent(random_graph *r) {
    return r->extents[random_draw(r, 4)];
}

static int draw_shape(random_graph *r, int64_t *shape) {
    static const int ranks[] = {0, 1, 1, 2, 2, 2, 2, 3, 3, 4, 5};
    int rank = ranks[random_draw(r, 11)];
    int64_t size = 1;
    for (int i = rank - 1; i >= 0; i--) {
        shape[i] = random_chance(r, 12) ? 1 : random_extent(r);
        if (size * shape[i] > r->limit) shape[i] = 1 + random_draw(r, 3);
        if (size * shape[i] > r->limit) shape[i] = 1;
        size *= shape[i];
    }
    return rank;
}

static void fill(random_graph *r, soma_dtype d, void *data, int64_t n, double max) {
    double scale = dtype_is_float(d) ? 8 : 1;
    int64_t low = d == SOMA_U8 || d == SOMA_BOOL ? 0 : (int64_t)(-max * scale), high = (int64_t)(max * scale);
    uint64_t counter = r->drawn++;
    for (int64_t i = 0; i < n; i++)
        element_set(
            d, data, i,
            (double)(low + (int64_t)philox_below(r->seed, 2 + counter, (uint64_t)i, (uint64_t)(high - low + 1))) /
                scale);
}

static double source_max(random_graph *r, soma_dtype d) {
    if (d == SOMA_BOOL) return 1;
    if (d == SOMA_U8) return 255;
    return random_chance(r, 50) ? 2 : 12;
}

/* An input (0 to 2), a variable (to 5) or a constant (6) of such numbers; not kept when there are as many as may be. */
static soma_tensor *make_source(random_graph *r, int kind, soma_dtype d, int rank, const int64_t *shape, double max) {
    int64_t size = shape_size(rank, shape);
    size_t bytes = (size_t)size * soma_dtype_size(d);
    soma_tensor *x = NULL;
    if (kind < 3 && r->n_inputs < RANDOM_INPUTS) {
        int i = r->n_inputs++;
        r->blocks[i] = malloc(bytes + soma_dtype_size(d) + 1);
        r->data[i] = (char *)r->blocks[i] + soma_dtype_size(d);
        fill(r, d, r->data[i], size, max);
        x = r->closed ? soma_array_view(r->graph, d, rank, shape, r->data[i])
                      : soma_input(r->graph, d, rank, shape, "x");
        r->inputs[i] = r->closed ? NULL : x;
    } else if (kind < 6 && r->n_variables < RANDOM_VARIABLES) {
        int i = r->n_variables++;
        r->variables[i] = soma_variable_create(r->context, "v", d, rank, shape);
        r->initial[i] = malloc(bytes + 1);
        fill(r, d, r->initial[i], size, max);
        x = soma_read(r->graph, r->variables[i]);
    } else if (kind == 6) {
        void *data = malloc(bytes + 1);
        fill(r, d, data, size, max);
        x = soma_array(r->graph, d, rank, shape, data);
        free(data);
    } else {
        return NULL;
    }
    random_keep(r, x, max, 0, dtype_is_float(d) ? 3 : 0, true);
    return x;
}

random_node random_source(random_graph *r, soma_dtype d, int rank, const int64_t *shape, double max) {
    soma_tensor *x = make_source(r, (int)random_draw(r, 7), d, rank, shape, max);
    if (!x) x = make_source(r, 6, d, rank, shape, max);
    return (random_node){x, max, 0, dtype_is_float(d) ? 3 : 0, true};
}

void random_add_source(random_graph *r) {
    static const soma_dtype dtypes[] = {SOMA_F32,  SOMA_F32, SOMA_F32, SOMA_F32, SOMA_F32, SOMA_F64, SOMA_F64, SOMA_F16,
                                        SOMA_BF16, SOMA_I8,  SOMA_I16, SOMA_I32, SOMA_I64, SOMA_U8,  SOMA_BOOL};
    int64_t shape[SOMA_MAX_RANK];
    int rank = draw_shape(r, shape), kind = (int)random_draw(r, 8);
    soma_dtype d = dtypes[random_draw(r, 15)];
    double max = source_max(r, d);
    if (make_source(r, kind, d, rank, shape, max)) return;
    d = random_chance(r, 30) ? SOMA_F64 : SOMA_F32;
    int64_t count = random_draw(r, 1000);
    soma_tensor *step = random_chance(r, 50) ? NULL : soma_array(r->graph, SOMA_I64, SOMA_SCALAR_DIMS, &count);
    bool plain = random_chance(r, 50); /* the numbers themselves, or scaled */
    soma_tensor *u = soma_random_uniform(r->graph, d, rank, shape, plain ? 0 : -1, 1, step);
    soma_tensor *z = soma_random_normal(r->graph, d, rank, shape, plain ? 0 : 0.5, 1, step);
    if (random_chance(r, 60))
        random_keep(r, u, 1, random_epsilon(d), 0, true);
    else
        random_keep(r, z, 10, 256 * random_epsilon(d), 0, true);
}

/* ---- ends ---- */

static void add_target(random_graph *r, soma_tensor *t, double tolerance) {
    if (r->n_targets == RANDOM_TARGETS) return;
    r->targets[r->n_targets] = t;
    r->tolerance[r->n_targets++] = tolerance;
}

/* A step of an optimizer. */
static void add_update(random_graph *r, soma_tensor *weight, soma_tensor *gradient, double tolerance) {
    int i = 0;
    while (r->variables[i] != weight->variable)
        i++;
    if (r->variable_error[i] != 0) return;
    soma_tensor *value = soma_sub(weight, soma_mul_scalar(gradient, 0.25));
    add_target(r, soma_assign(r->variables[i], value), tolerance);
    r->variable_error[i] = tolerance;
}

/* Gradients of a loss over one smooth node with respect to real inputs and variables. */
static void add_gradients(random_graph *r) {
    soma_tensor *wrt[RANDOM_NODES], *gradients[RANDOM_NODES];
    int n = 0;
    for (int i = 0; i < r->n_nodes; i++) {
        const op *o = r->nodes[i].tensor->op;
        if (random_is_real(&r->nodes[i]) && (o == &op_input || o == &op_read)) wrt[n++] = r->nodes[i].tensor;
    }
    for (int tries = 0; n > 0 && tries < 10; tries++) {
        random_node x = random_pick(r);
        if (!x.smooth || !random_is_real(&x)) continue;
        soma_tensor *scaled = soma_mul_scalar(x.tensor, 1 / fmax(x.max, 1));
        soma_tensor *loss = soma_sum(soma_square(scaled), SOMA_ALL_AXES, false);
        if (soma_grad(loss, wrt, n, gradients) != SOMA_OK) random_keep(r, NULL, 0, 0, 0, false);
        const double tolerance = soma_tensor_dtype(x.tensor) == SOMA_F64 ? -1e-3 : -4e-3;
        for (int i = 0; i < n; i++) {
            if (random_chance(r, 60)) add_target(r, gradients[i], tolerance);
            if (r->seed >= RANDOM_BLOCKS && wrt[i]->variable && random_chance(r, 60))
                add_update(r, wrt[i], gradients[i], tolerance);
        }
        return;
    }
}

static void add_assigns(random_graph *r) {
    for (int i = 0; i < r->n_variables; i++) {
        const soma_variable *v = r->variables[i];
        if (random_chance(r, 30) || r->variable_error[i] != 0) continue;
        for (int k = r->n_nodes - 1; k >= 0; k--) {
            const random_node *x = &r->nodes[k];
            bool fit =
                x->tensor->dtype == v->dtype && shape_equal(x->tensor->rank, x->tensor->shape, v->rank, v->shape);
            if (!fit || random_chance(r, 30)) continue;
            add_target(r, soma_assign(r->variables[i], x->tensor), 0);
            r->variable_error[i] = x->error;
            break;
        }
    }
}

random_graph *random_graph_create(soma_context *context, uint64_t seed, int ops) {
    static const int64_t extents[] = {1, 2, 3, 5, 7, 8, 13, 14, 15, 16, 31, 32, 33, 64, 100, 257};
    static const int64_t large[] = {1, 3, 14, 33, 100, 512, 1000, 4096, 4097, 5000, 20000};
    random_graph *r = calloc(1, sizeof *r);
    r->context = context;
    r->graph = soma_graph_create(context);
    r->seed = seed;
    bool wide = random_chance(r, 20);
    bool huge = wide && random_chance(r, 20); /* long reductions in chunks, products in blocks */
    r->limit = huge ? 600000 : wide ? 100000 : 12000;
    for (int i = 0; i < 4; i++)
        r->extents[i] = wide ? large[random_draw(r, 11)] : extents[random_draw(r, 16)];
    r->empty = seed % 16 == 0;
    if (r->empty) r->extents[3] = 0;
    r->closed = seed % 5 == 0;
    for (int i = 0; i < 4; i++)
        random_add_source(r);
    for (int i = 0; i < ops && r->n_nodes < RANDOM_NODES; i++)
        if (seed >= RANDOM_BLOCKS && random_chance(r, 30))
            random_add_block(r);
        else
            random_add_op(r);
    for (int i = 0; i < r->n_nodes; i++)
        if (i == r->n_nodes - 1 || random_chance(r, 20)) add_target(r, r->nodes[i].tensor, r->nodes[i].error);
    if (random_chance(r, 50)) add_gradients(r);
    add_assigns(r);
    random_graph_reset(r);
    return r;
}

void random_graph_destroy(random_graph *r) {
    soma_graph_destroy(r->graph);
    for (int i = 0; i < r->n_inputs; i++)
        free(r->blocks[i]);
    for (int i = 0; i < r->n_variables; i++) {
        soma_variable_destroy(r->variables[i]);
        free(r->initial[i]);
    }
    free(r);
}

void random_graph_reset(const random_graph *r) {
    for (int i = 0; i < r->n_variables; i++) {
        soma_variable *v = r->variables[i];
        if (soma_variable_set(v, r->initial[i], (size_t)v->size * soma_dtype_size(v->dtype)) != SOMA_OK) abort();
    }
}

soma_plan *random_graph_plan(const random_graph *r, const soma_plan_options *options) {
    soma_plan *plan = soma_plan_create(r->targets, r->n_targets, options);
    for (int i = 0; plan && i < r->n_inputs; i++)
        if (r->inputs[i] && soma_plan_bind(plan, r->inputs[i], r->data[i]) != SOMA_OK) abort();
    return plan;
}

void random_graph_show(const random_graph *r) {
    char shape[SHAPE_TEXT];
    for (int64_t id = 0; id < r->graph->n_nodes; id++) {
        const soma_tensor *t = r->graph->nodes[id];
        fprintf(stderr, "  %%%lld = %s", (long long)id, t->op->name);
        for (int i = 0; i < t->n_inputs; i++)
            fprintf(stderr, " %%%lld", (long long)t->inputs[i]->id);
        fprintf(stderr, " : %s %s", soma_dtype_name(t->dtype), tensor_shape_text(shape, t));
        if (t->op->kind == OP_REDUCE) fprintf(stderr, " axes %x", t->attributes->axes);
        if (t->variable) fprintf(stderr, " variable %p", (void *)t->variable);
        for (int i = 0; i < r->n_targets; i++)
            if (r->targets[i] == t) fprintf(stderr, "  target %d", i);
        fprintf(stderr, "\n");
    }
}
