/* The ops' samples as cases to run: inputs drawn from a seed, the result built on them, plans run and copied out.
 * Rests on ops/op.h and the public plan.
 * Elements are drawn by Philox from seed, input and place, so that a case is the same on every machine. */
#include "support/samples.h"

#include <math.h>
#include <stdlib.h>

#include "cpu/reference/element.h"

double sample_unit(uint64_t seed, uint64_t i) {
    return philox_uniform(seed, 0, i);
}

static void fill(soma_dtype dtype, void *data, int64_t size, double low, double high, uint64_t seed) {
    for (int64_t i = 0; i < size; i++) {
        double u = sample_unit(seed, (uint64_t)i);
        if (dtype_is_float(dtype)) {
            element_set(dtype, data, i, low + (high - low) * u);
        } else {
            double first = ceil(low), count = floor(high) - first + 1;
            element_set(dtype, data, i, first + floor(u * count));
        }
    }
}

sample_case sample_start(const op_sample *sample, soma_context *context, soma_dtype real, uint64_t seed) {
    sample_case c = {.graph = soma_graph_create(context), .n = sample->n};
    for (int i = 0; i < sample->n; i++) {
        soma_dtype dtype = sample->inputs[i].dtype == SOMA_F32 ? real : sample->inputs[i].dtype;
        c.xs[i] = soma_input(c.graph, dtype, sample->inputs[i].rank, sample->inputs[i].shape, "x");
        int64_t size = soma_size(c.xs[i]);
        c.data[i] = malloc((size_t)size * soma_dtype_size(dtype) + 1);
        fill(dtype, c.data[i], size, sample->inputs[i].low, sample->inputs[i].high, seed * 8 + (uint64_t)i);
    }
    c.y = sample->build(c.xs);
    return c;
}

void sample_end(sample_case *c) {
    for (int i = 0; i < c->n; i++)
        free(c->data[i]);
    soma_graph_destroy(c->graph);
}

static bool leads_to(const soma_tensor *input, soma_tensor *const *targets, int n) {
    bool *seen = calloc((size_t)input->graph->n_nodes, sizeof *seen);
    for (int i = 0; i < n; i++)
        seen[targets[i]->id] = true;
    for (int64_t id = input->graph->n_nodes - 1; id > input->id; id--)
        for (int i = 0; seen[id] && i < input->graph->nodes[id]->n_inputs; i++)
            seen[input->graph->nodes[id]->inputs[i]->id] = true;
    bool found = seen[input->id];
    free(seen);
    return found;
}

soma_plan *sample_run(const sample_case *c, soma_tensor *const *targets, int n, bool reference) {
    soma_plan *plan = soma_plan_create(targets, n, &(soma_plan_options){.reference = reference});
    if (!plan) return NULL;
    bool good = true;
    for (int i = 0; i < c->n && good; i++)
        good = !leads_to(c->xs[i], targets, n) || soma_plan_bind(plan, c->xs[i], c->data[i]) == SOMA_OK;
    if (good && soma_plan_run(plan) == SOMA_OK) return plan;
    soma_plan_destroy(plan);
    return NULL;
}

double *sample_doubles(soma_dtype dtype, const void *data, int64_t size) {
    double *values = malloc((size_t)size * sizeof *values + 1);
    for (int64_t i = 0; i < size; i++)
        values[i] = element_get(dtype, data, i);
    return values;
}

double *sample_values(const sample_case *c, soma_tensor *target, bool reference) {
    soma_plan *plan = sample_run(c, &target, 1, reference);
    if (!plan) return NULL;
    double *values = sample_doubles(target->dtype, soma_plan_output(plan, 0), soma_size(target));
    soma_plan_destroy(plan);
    return values;
}
