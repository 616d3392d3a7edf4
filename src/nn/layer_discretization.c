/* Discretization: in which bin a number is, by boundaries that are given or learnt of the data before the training.
 * Rests on comparisons with all boundaries; adapting keeps all numbers and sorts them, so that quantiles are exact. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "nn/encode.h"

#define FIELD(member) offsetof(soma_discretization_options, member)
static const soma_field fields[] = {
    {.name = "bin_boundaries", .kind = SOMA_FIELD_NUMBERS, .offset = FIELD(bin_boundaries)},
    {.name = "num_bins", .kind = SOMA_FIELD_INT, .offset = FIELD(num_bins), .low = 0, .high = INT32_MAX},
    {.name = "output_mode", .kind = SOMA_FIELD_STRING, .offset = FIELD(output_mode)},
    {.name = NULL}};

static int64_t boundaries(const soma_discretization_options *o) {
    return o->bin_boundaries.n > 0 ? o->bin_boundaries.n : o->num_bins - 1;
}

static soma_status build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)inputs, (void)n;
    const soma_discretization_options *o = soma_layer_options(layer);
    const soma_numbers *given = &o->bin_boundaries;
    for (int64_t i = 1; i < given->n; i++)
        RETURN_IF(layer->context, !(given->values[i - 1] < given->values[i]), SOMA_INVALID,
                  "[Discretization] bin_boundaries must grow: %g is followed by %g", given->values[i - 1],
                  given->values[i]);
    RETURN_IF(layer->context, (given->n > 0) == (o->num_bins > 0) || boundaries(o) < 1, SOMA_INVALID,
              "[Discretization] it needs bin_boundaries, or a num_bins of at least 2, and not both");
    if (given->n > 0) return SOMA_OK;
    RETURN_IF(layer->context, layer->owner, SOMA_UNSUPPORTED,
              "[Discretization] within another layer it learns nothing of data: give it bin_boundaries");
    TRY(soma_layer_add_weight(
        layer,
        &(soma_weight_options){.name = "bin_boundaries", .rank = 1, .shape = {boundaries(o)}, .not_trainable = true}));
    return soma_layer_add_weight(layer, &(soma_weight_options){.name = "count", .not_trainable = true});
}

static soma_tensor *call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_discretization_options *o = soma_layer_options(layer);
    const soma_numbers *given = &o->bin_boundaries;
    soma_tensor *x = soma_stop_gradient(layer_cast(layer, inputs[0])), *limits;
    encode_mode mode;
    if (!x || encode_read_mode(layer, o->output_mode, ENCODE_INT, ENCODE_INT, &mode) != SOMA_OK) return NULL;
    if (given->n > 0) {
        limits = soma_cast(soma_array(x->graph, SOMA_F64, SOMA_DIMS(given->n), given->values), x->dtype);
    } else {
        limits = soma_trace_weight(trace, layer, 0);
    }
    soma_tensor *passed = soma_cast(soma_greater_equal(soma_expand_dims(x, -1), limits), SOMA_F32);
    soma_tensor *bin = soma_cast(soma_sum(passed, SOMA_AXES(-1), false), SOMA_I64);
    return encode(layer, bin, boundaries(o) + 1, mode, NULL);
}

/* ---- adapting ---- */

typedef struct collection {
    double *values;
    size_t n, room;
} collection;

static soma_status collect(soma_context *context, collection *c, const double *values, size_t n) {
    if (c->n + n > c->room) {
        const size_t room = 2 * c->room > c->n + n ? 2 * c->room : c->n + n, size = sizeof *values;
        double *grown = mem_realloc(context, c->values, c->room * size, room * size);
        if (!grown) return SOMA_NO_MEMORY;
        c->values = grown;
        c->room = room;
    }
    for (size_t i = 0; i < n; i++)
        if (!isnan(values[i])) c->values[c->n++] = values[i];
    return SOMA_OK;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* NumPy's quantile: between the two values beside the place. */
static double quantile(const collection *c, double share) {
    const double place = share * (double)(c->n - 1);
    const size_t below = (size_t)place, above = below + 1 < c->n ? below + 1 : below;
    return c->values[below] + (place - (double)below) * (c->values[above] - c->values[below]);
}

static soma_status learn(soma_layer *layer, soma_samples *samples, collection *c) {
    const size_t size = (size_t)shape_size(samples->rank, samples->shape);
    const int64_t n = boundaries(soma_layer_options(layer));
    TRY(samples->next(samples));
    while (samples->n > 0) {
        TRY(collect(layer->context, c, samples->values, (size_t)samples->n * size));
        TRY(samples->next(samples));
    }
    RETURN_IF(layer->context, c->n == 0, SOMA_INVALID, "[Discretization] there are no numbers to learn of");
    qsort(c->values, c->n, sizeof *c->values, ascending);
    double *limits = mem_alloc(layer->context, (size_t)n * sizeof *limits);
    if (!limits) return SOMA_NO_MEMORY;
    for (int64_t i = 0; i < n; i++)
        limits[i] = quantile(c, (double)(i + 1) / (double)(n + 1));
    soma_status status = layer_set_weight(layer, 0, limits);
    mem_free(layer->context, limits, (size_t)n * sizeof *limits);
    return status;
}

static soma_status adapt(soma_layer *layer, soma_samples *samples) {
    collection c = {.n = 0};
    soma_status status = learn(layer, samples, &c);
    mem_free(layer->context, c.values, c.room * sizeof *c.values);
    return status;
}

const soma_layer_class layer_discretization = {.name = "Discretization",
                                               .size = sizeof(soma_discretization_options),
                                               .fields = fields,
                                               .min_inputs = 1,
                                               .max_inputs = 1,
                                               .build = build,
                                               .adapt = adapt,
                                               .call = call};

soma_layer *soma_discretization_create(const soma_discretization_options *options) {
    return soma_layer_create(&layer_discretization, options);
}
