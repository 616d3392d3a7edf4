/* The product by Soma: a plan of one soma_matmul, through the public API.
 * Rests on soma.h. A weight is a variable, which the plan may keep in panels; everything else is a bound input that the
 * plan has to read as it lies. The number of threads is SOMA_THREADS. */
#include "gemm.h"

#include <stdlib.h>

#include <soma/soma.h>

typedef struct product {
    soma_graph *graph;
    soma_variable *weight;
    soma_plan *plan;
} product;

static void release(void *prepared) {
    product *p = prepared;
    soma_plan_destroy(p->plan);
    soma_graph_destroy(p->graph);
    soma_variable_destroy(p->weight);
    free(p);
}

/* The operand as rows x columns, whichever way it lies. */
static soma_tensor *operand(soma_tensor *x, bool transposed) {
    return transposed ? soma_transpose(x, NULL) : x;
}

static soma_tensor *right_operand(product *p, const gemm_shape *s, const float *data) {
    const int64_t shape[2] = {s->b_transposed ? s->n : s->k, s->b_transposed ? s->k : s->n};
    if (!s->weight) return soma_input(p->graph, SOMA_F32, 2, shape, "b");
    p->weight = soma_variable_create(NULL, "b", SOMA_F32, 2, shape);
    if (!p->weight || soma_variable_set(p->weight, data, (size_t)(s->k * s->n) * sizeof(float))) return NULL;
    return soma_read(p->graph, p->weight);
}

static void *prepare(const gemm_shape *s, const gemm_data *data) {
    product *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->graph = soma_graph_create(NULL);
    const int64_t shape[2] = {s->a_transposed ? s->k : s->m, s->a_transposed ? s->m : s->k};
    soma_tensor *a = soma_input(p->graph, SOMA_F32, 2, shape, "a"), *b = right_operand(p, s, data->b);
    soma_tensor *c = soma_matmul(operand(a, s->a_transposed), operand(b, s->b_transposed));
    p->plan = soma_plan_create(&c, 1, NULL);
    if (p->plan && !soma_plan_bind(p->plan, a, data->a) && (s->weight || !soma_plan_bind(p->plan, b, data->b)))
        return p;
    release(p);
    return NULL;
}

static int run(void *prepared) {
    return soma_plan_run(((product *)prepared)->plan) != SOMA_OK;
}

static const float *result(void *prepared) {
    return soma_plan_output(((product *)prepared)->plan, 0);
}

const gemm_way gemm_ways[] = {{"matmul", prepare, run, result, release}, {0}};
