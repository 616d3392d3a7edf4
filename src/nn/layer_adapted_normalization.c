/* Normalization: (x - mean) / deviation, by numbers that are given or learnt of the data before the training.
 * Rests on ops; adapting adds up batches by Chan, Golub and LeVeque (Algorithms for computing the sample variance,
 * 1983), so that no large numbers are subtracted and the size of a batch shows in the last bits only. */
#include <stddef.h>
#include <string.h>

#include <soma/layers.h>

#include "nn/layer.h"

#define FIELD(member) offsetof(soma_normalization_options, member)
static const soma_field fields[] = {
    {.name = "axis", .kind = SOMA_FIELD_AXES, .offset = FIELD(axis), .standard = -1, .low = SOMA_NO_AXES},
    {.name = "mean", .kind = SOMA_FIELD_NUMBERS, .offset = FIELD(mean)},
    {.name = "variance", .kind = SOMA_FIELD_NUMBERS, .offset = FIELD(variance)},
    {.name = "invert", .kind = SOMA_FIELD_BOOL, .offset = FIELD(invert)},
    {.name = NULL}};

enum { MEAN, VARIANCE };

/* The extents of a sample along the axes that have numbers of their own, 1 along the others; which of both each is. */
static soma_status kept_shape(const soma_layer *layer, int rank, const int64_t *sample, int64_t *kept, bool *along) {
    const soma_normalization_options *o = soma_layer_options(layer);
    for (int i = 0; i < rank; i++) {
        kept[i] = 1;
        along[i] = false;
    }
    for (int i = 0; i < SOMA_MAX_RANK && o->axis[i] != 0 && o->axis[0] != SOMA_NO_AXES; i++) {
        const int64_t axis = o->axis[i] < 0 ? o->axis[i] + rank : o->axis[i] - 1;
        RETURN_IF(layer->context, axis < 0 || axis >= rank, SOMA_SHAPE,
                  "[Normalization] axis %lld is not one of a sample's (the batch is axis 0)", (long long)o->axis[i]);
        kept[axis] = sample[axis];
        along[axis] = true;
    }
    return SOMA_OK;
}

static bool given(const soma_normalization_options *o) {
    return o->mean.n > 0;
}

static soma_status check_given(const soma_layer *layer, const soma_numbers *numbers, const char *name, int64_t size) {
    RETURN_IF(layer->context, numbers->n != 1 && numbers->n != size, SOMA_SHAPE,
              "[Normalization] %s has %lld numbers: 1 or %lld are expected", name, (long long)numbers->n,
              (long long)size);
    return SOMA_OK;
}

static soma_status build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_normalization_options *o = soma_layer_options(layer);
    int64_t kept[SOMA_MAX_RANK];
    bool along[SOMA_MAX_RANK];
    const int rank = inputs[0]->rank - 1;
    TRY(kept_shape(layer, rank, inputs[0]->shape + 1, kept, along));
    RETURN_IF(layer->context, (o->mean.n > 0) != (o->variance.n > 0), SOMA_INVALID,
              "[Normalization] mean and variance must be given both, or neither");
    if (given(o)) {
        TRY(check_given(layer, &o->mean, "mean", shape_size(rank, kept)));
        return check_given(layer, &o->variance, "variance", shape_size(rank, kept));
    }
    RETURN_IF(layer->context, layer->owner, SOMA_UNSUPPORTED,
              "[Normalization] within another layer it learns nothing of data: give it mean and variance");
    soma_weight_options weight = {.name = "mean", .not_trainable = true};
    for (int i = 0; i < rank; i++) {
        if (along[i]) weight.shape[weight.rank++] = kept[i];
    }
    TRY(soma_layer_add_weight(layer, &weight));
    weight.name = "variance";
    weight.initializer = soma_all_ones();
    TRY(soma_layer_add_weight(layer, &weight));
    return soma_layer_add_weight(layer, &(soma_weight_options){.name = "count", .not_trainable = true});
}

/* Mean or variance in a shape that goes with x. */
static soma_tensor *numbers_for(soma_layer *layer, soma_trace *trace, const soma_tensor *x, int which) {
    const soma_normalization_options *o = soma_layer_options(layer);
    const soma_numbers *numbers = which == MEAN ? &o->mean : &o->variance;
    soma_graph *graph = soma_trace_graph(trace);
    int64_t kept[SOMA_MAX_RANK] = {1};
    bool along[SOMA_MAX_RANK];
    if (kept_shape(layer, x->rank - 1, x->shape + 1, kept + 1, along) != SOMA_OK) return NULL;
    if (!given(o)) return soma_reshape(soma_trace_weight(trace, layer, which), x->rank, kept);
    if (numbers->n == 1) return soma_scalar(graph, x->dtype, numbers->values[0]);
    return soma_cast(soma_array(graph, SOMA_F64, x->rank, kept, numbers->values), x->dtype);
}

static soma_tensor *call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_normalization_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_cast(layer, inputs[0]);
    if (!x) return NULL;
    soma_tensor *mean = numbers_for(layer, trace, x, MEAN), *variance = numbers_for(layer, trace, x, VARIANCE);
    if (!mean || !variance) return NULL;
    soma_tensor *deviation = soma_maximum(soma_sqrt(variance), soma_scalar(x->graph, x->dtype, 1e-7));
    return o->invert ? soma_add(mean, soma_mul(x, deviation)) : soma_div(soma_sub(x, mean), deviation);
}

/* ---- adapting ---- */

typedef struct moments {
    int64_t size, kept; /* of a sample, of the mean */
    double elements;    /* that each mean is of, so far */
    double *mean, *squares, *batch_mean, *batch_squares;
    int64_t *which; /* the mean that each element of a sample belongs to */
} moments;

static void map_elements(moments *m, int rank, const int64_t *shape, const int64_t *kept) {
    for (int64_t i = 0; i < m->size; i++) {
        int64_t rest = i, at = 0, stride = 1;
        for (int axis = rank - 1; axis >= 0; axis--) {
            if (kept[axis] != 1) at += rest % shape[axis] * stride;
            stride *= kept[axis];
            rest /= shape[axis];
        }
        m->which[i] = at;
    }
}

/* Squares are sums of squared distances from the mean. */
static void add_batch(moments *m, const double *x, int64_t n) {
    const double count = (double)n * (double)m->size / (double)m->kept, all = m->elements + count;
    memset(m->batch_mean, 0, (size_t)m->kept * sizeof *m->batch_mean);
    memset(m->batch_squares, 0, (size_t)m->kept * sizeof *m->batch_squares);
    for (int64_t k = 0; k < n; k++)
        for (int64_t i = 0; i < m->size; i++)
            m->batch_mean[m->which[i]] += x[k * m->size + i];
    for (int64_t i = 0; i < m->kept; i++)
        m->batch_mean[i] /= count;
    for (int64_t k = 0; k < n; k++) {
        for (int64_t i = 0; i < m->size; i++) {
            const double distance = x[k * m->size + i] - m->batch_mean[m->which[i]];
            m->batch_squares[m->which[i]] += distance * distance;
        }
    }
    for (int64_t i = 0; i < m->kept; i++) {
        const double shift = m->batch_mean[i] - m->mean[i];
        m->mean[i] += shift * count / all;
        m->squares[i] += m->batch_squares[i] + shift * shift * m->elements * count / all;
    }
    m->elements = all;
}

static soma_status learn(soma_layer *layer, moments *m, soma_samples *samples) {
    TRY(samples->next(samples));
    for (; samples->n > 0;) {
        add_batch(m, samples->values, samples->n);
        TRY(samples->next(samples));
    }
    for (int64_t i = 0; i < m->kept; i++)
        m->squares[i] /= m->elements;
    TRY(layer_set_weight(layer, MEAN, m->mean));
    return layer_set_weight(layer, VARIANCE, m->squares);
}

static soma_status adapt(soma_layer *layer, soma_samples *samples) {
    int64_t kept[SOMA_MAX_RANK];
    bool along[SOMA_MAX_RANK];
    TRY(kept_shape(layer, samples->rank, samples->shape, kept, along));
    moments m = {.size = shape_size(samples->rank, samples->shape), .kept = shape_size(samples->rank, kept)};
    const size_t numbers = 4 * (size_t)m.kept * sizeof *m.mean, elements = (size_t)m.size * sizeof *m.which;
    m.mean = mem_zalloc(layer->context, numbers);
    m.which = mem_alloc(layer->context, elements);
    soma_status status = m.mean && m.which ? SOMA_OK : SOMA_NO_MEMORY;
    if (status == SOMA_OK) {
        m.squares = m.mean + m.kept;
        m.batch_mean = m.squares + m.kept;
        m.batch_squares = m.batch_mean + m.kept;
        map_elements(&m, samples->rank, samples->shape, kept);
        status = learn(layer, &m, samples);
    }
    mem_free(layer->context, m.which, elements);
    mem_free(layer->context, m.mean, numbers);
    return status;
}

const soma_layer_class layer_normalization = {.name = "Normalization",
                                              .size = sizeof(soma_normalization_options),
                                              .fields = fields,
                                              .min_inputs = 1,
                                              .max_inputs = 1,
                                              .passes_mask = true,
                                              .build = build,
                                              .adapt = adapt,
                                              .call = call};

soma_layer *soma_normalization_create(const soma_normalization_options *options) {
    return soma_layer_create(&layer_normalization, options);
}
