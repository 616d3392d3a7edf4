/* Where tensors come from: constants, inputs, variables, counting and random numbers.
 * Rests on build.h. A constant keeps its elements, an input and a variable are given theirs by the plan, and the others
 * are functions of the element's index, so that any part of them can be made anywhere, in any order. */
#include <math.h>
#include <string.h>

#include <soma/ops.h>

#include "base/context_internal.h"
#include "cpu/reference/element.h"
#include "ops/build.h"
#include "ops/random_key.h"

#define END                                                                                                            \
    {                                                                                                                  \
        NULL, NULL, 0, {                                                                                               \
            { SOMA_F32, 0, {0}, 0, 0 }                                                                                 \
        }                                                                                                              \
    }

/* Shape and dtype as asked for. */
static soma_status infer_leaf(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                              const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    (void)inputs, (void)n;
    RETURN_IF(graph->context, (unsigned)attributes->dtype >= SOMA_DTYPE_COUNT, SOMA_DTYPE, "[%s] unknown dtype %d",
              self->name, (int)attributes->dtype);
    *dtype = attributes->dtype;
    *rank = attributes->rank;
    memcpy(shape, attributes->shape, sizeof attributes->shape);
    return SOMA_OK;
}

/* Attributes of a leaf; false after an error. */
static bool describe(soma_graph *graph, const char *name, soma_dtype dtype, int rank, const int64_t *shape,
                     op_attributes *attributes) {
    if (!graph) return false;
    if (!shape_given(rank, shape)) {
        (void)error_set(graph->context, SOMA_SHAPE, "[%s] rank %d is not in 0 to %d, or no shape is given", name, rank,
                        SOMA_MAX_RANK);
        return false;
    }
    if (!op_size_fits(graph->context, name, rank, shape)) return false;
    *attributes = (op_attributes){.dtype = dtype, .rank = rank};
    if (rank > 0) memcpy(attributes->shape, shape, (size_t)rank * sizeof *shape);
    return true;
}

/* ---- constants ---- */

soma_tensor *soma_array_view(soma_graph *graph, soma_dtype dtype, int rank, const int64_t *shape, const void *data) {
    op_attributes attributes;
    graph = graph_or_default(graph);
    if (!describe(graph, "array", dtype, rank, shape, &attributes)) return NULL;
    soma_tensor *x = op_apply(graph, &op_constant, NULL, 0, &attributes);
    if (!x) return NULL;
    RETURN_NULL_IF(graph->context, !data && soma_size(x) > 0, SOMA_INVALID, "[array] data is NULL");
    x->data = data;
    return x;
}

soma_tensor *soma_array(soma_graph *graph, soma_dtype dtype, int rank, const int64_t *shape, const void *data) {
    soma_tensor *x = soma_array_view(graph, dtype, rank, shape, data);
    if (!x) return NULL;
    size_t bytes = (size_t)soma_size(x) * soma_dtype_size(dtype);
    void *copy = arena_alloc(&x->graph->arena, bytes);
    if (!copy) return NULL;
    if (bytes > 0) memcpy(copy, data, bytes);
    x->data = copy;
    return x;
}

soma_tensor *soma_scalar(soma_graph *graph, soma_dtype dtype, double value) {
    double held = 0; /* large enough for an element of any dtype */
    if ((unsigned)dtype < SOMA_DTYPE_COUNT) element_set(dtype, &held, 0, value);
    return soma_array(graph, dtype, SOMA_SCALAR_DIMS, &held);
}

/* name: what the caller called, for errors. */
static soma_tensor *full(soma_graph *graph, const char *name, soma_dtype dtype, int rank, const int64_t *shape,
                         double value) {
    op_attributes attributes;
    soma_tensor *number = soma_scalar(graph, dtype, value);
    return number && describe(number->graph, name, dtype, rank, shape, &attributes) ? soma_expand(number, rank, shape)
                                                                                    : NULL;
}

soma_tensor *soma_full(soma_graph *graph, soma_dtype dtype, int rank, const int64_t *shape, double value) {
    return full(graph, "full", dtype, rank, shape, value);
}

soma_tensor *soma_zeros(soma_graph *graph, soma_dtype dtype, int rank, const int64_t *shape) {
    return full(graph, "zeros", dtype, rank, shape, 0);
}

soma_tensor *soma_ones(soma_graph *graph, soma_dtype dtype, int rank, const int64_t *shape) {
    return full(graph, "ones", dtype, rank, shape, 1);
}

static soma_status reference_constant(const soma_tensor *node, const op_view *inputs, op_view *output) {
    (void)inputs;
    size_t bytes = (size_t)view_size(output) * soma_dtype_size(output->dtype);
    if (bytes > 0) memcpy(output->data, node->data, bytes);
    return SOMA_OK;
}

static const char NO_INPUT[] = "it has no input";

static soma_tensor *number_and_x(soma_tensor *const *xs) {
    return soma_add(xs[0], op_number(xs[0], 1.25));
}
static soma_tensor *filled(soma_tensor *const *xs) {
    return soma_mul(xs[0], soma_full(xs[0]->graph, xs[0]->dtype, SOMA_DIMS(4, 9), -0.75));
}
static const op_sample samples_constant[] = {
    {"number", number_and_x, 1, {{SOMA_F32, 1, {19}, -2, 2}}}, {"filled", filled, 1, {{SOMA_F32, 1, {9}, -2, 2}}}, END};
const op op_constant = {
    "constant",    "y = the elements given",    OP_LEAF, 0, 0, 0, infer_leaf, NULL, NO_INPUT, reference_constant,
    "Constant-13", OP_SAMPLES(samples_constant)};

/* ---- inputs and variables: the plan knows where their elements are ---- */

soma_tensor *soma_input(soma_graph *graph, soma_dtype dtype, int rank, const int64_t *shape, const char *name) {
    op_attributes attributes;
    graph = graph_or_default(graph);
    if (!describe(graph, "input", dtype, rank, shape, &attributes)) return NULL;
    char *copy = arena_strdup(&graph->arena, name ? name : "");
    soma_tensor *x = copy ? op_apply(graph, &op_input, NULL, 0, &attributes) : NULL;
    if (x) x->name = copy;
    return x;
}

soma_tensor *soma_read(soma_graph *graph, soma_variable *variable) {
    op_attributes attributes;
    graph = graph_or_default(graph);
    if (!variable) return NULL;
    if (!describe(graph, "read", variable->dtype, variable->rank, variable->shape, &attributes)) return NULL;
    soma_tensor *x = op_apply(graph, &op_read, NULL, 0, &attributes);
    if (x) x->variable = variable;
    return x;
}

static soma_status reference_input(const soma_tensor *node, const op_view *inputs, op_view *output) {
    (void)inputs, (void)output;
    return error_set(node->graph->context, SOMA_INVALID, "[input] %s: nothing is bound to it",
                     node->name && *node->name ? node->name : "without a name");
}

static soma_status reference_read(const soma_tensor *node, const op_view *inputs, op_view *output) {
    (void)inputs;
    return soma_variable_get(node->variable, output->data, (size_t)view_size(output) * soma_dtype_size(output->dtype));
}

const op op_input = {
    "input", "y = the elements bound to it", OP_LEAF, 0, 0, 0, infer_leaf, NULL, NO_INPUT, reference_input, NULL, NULL};
const op op_read = {"read",     "y = the variable's value before the run",
                    OP_LEAF,    0,
                    0,          0,
                    infer_leaf, NULL,
                    NO_INPUT,   reference_read,
                    NULL,       NULL};

/* ---- counting ---- */

static soma_status reference_iota(const soma_tensor *node, const op_view *inputs, op_view *output) {
    (void)node, (void)inputs;
    ref_iota(output);
    return SOMA_OK;
}

static bool whole(double value) {
    return value == floor(value) && fabs(value) < 0x1p62;
}

soma_tensor *soma_arange(soma_graph *graph, soma_dtype dtype, double start, double stop, double step) {
    graph = graph_or_default(graph);
    if (!graph) return NULL;
    soma_context *context = graph->context;
    double count = ceil((stop - start) / step);
    RETURN_NULL_IF(context, step == 0 || !(count < 0x1p53), SOMA_INVALID, "[arange] from %g to %g by %g", start, stop,
                   step);
    RETURN_NULL_IF(context, dtype == SOMA_BOOL, SOMA_DTYPE, "[arange] bool does not count");
    RETURN_NULL_IF(context, dtype_is_integer(dtype) && (!whole(start) || !whole(step)), SOMA_DTYPE,
                   "[arange] start %g and step %g must be whole numbers in %s", start, step, soma_dtype_name(dtype));
    op_attributes attributes;
    bool plain = start == 0 && step == 1; /* else intermediate values may be beyond a small dtype */
    soma_dtype counted = dtype_is_integer(dtype) ? (plain ? dtype : SOMA_I64) : dtype == SOMA_F64 ? SOMA_F64 : SOMA_F32;
    const int64_t n = count > 0 ? (int64_t)count : 0;
    if (!describe(graph, "arange", counted, 1, &n, &attributes)) return NULL;
    soma_tensor *x = op_apply(graph, &op_iota, NULL, 0, &attributes);
    if (step != 1) x = soma_mul_scalar(x, step);
    if (start != 0) x = soma_add_scalar(x, start);
    return soma_cast(x, dtype);
}

static soma_tensor *count_by(soma_tensor *const *xs) {
    return soma_add(xs[0], soma_arange(xs[0]->graph, xs[0]->dtype, -1, 2.7, 0.2));
}
static soma_tensor *count_rows(soma_tensor *const *xs) {
    return soma_add(xs[0], soma_expand_dims(soma_arange(xs[0]->graph, SOMA_I32, 0, 5, 1), 1));
}
static soma_tensor *count_bytes(soma_tensor *const *xs) {
    return soma_one_hot(xs[0], 19, SOMA_F32);
}
static const op_sample samples_iota[] = {{"by a fraction", count_by, 1, {{SOMA_F32, 1, {19}, -2, 2}}},
                                         {"rows", count_rows, 1, {{SOMA_F32, 2, {5, 18}, -2, 2}}},
                                         {"one-hot", count_bytes, 1, {{SOMA_U8, 1, {7}, 0, 18}}},
                                         END};
const op op_iota = {"iota",      "y_i = i",
                    OP_GENERATE, 0,
                    0,           0,
                    infer_leaf,  NULL,
                    NO_INPUT,    reference_iota,
                    "Range-11",  OP_SAMPLES(samples_iota)};

/* ---- random numbers ---- */

static soma_status infer_random(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                                const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    RETURN_IF(graph->context, attributes->dtype != SOMA_F32 && attributes->dtype != SOMA_F64, SOMA_DTYPE,
              "[%s] makes float32 or float64, not %s", self->name, soma_dtype_name(attributes->dtype));
    RETURN_IF(graph->context, n == 1 && (inputs[0]->dtype != SOMA_I64 || inputs[0]->rank != 0), SOMA_DTYPE,
              "[%s] step must be a rank-0 int64, not %s of rank %d", self->name,
              n == 1 ? soma_dtype_name(inputs[0]->dtype) : "", n == 1 ? inputs[0]->rank : 0);
    return infer_leaf(graph, self, inputs, n, attributes, dtype, rank, shape);
}

/* The op makes standard numbers; scale and shift are ordinary maps, which the compiler fuses with it. */
static soma_tensor *random_tensor(const op *self, soma_graph *graph, soma_dtype dtype, int rank, const int64_t *shape,
                                  double shift, double scale, soma_tensor *step) {
    op_attributes attributes;
    graph = graph_or_default(graph);
    if (!describe(graph, self->name, dtype, rank, shape, &attributes)) return NULL;
    attributes.value[1] = 1;
    attributes.seeded = graph->stream != NULL;
    attributes.key = graph->stream ? random_stream_key(graph->stream) : graph->next_key++;
    soma_tensor *x = op_apply(graph, self, &step, step ? 1 : 0, &attributes);
    if (scale != 1) x = soma_mul_scalar(x, scale);
    if (shift != 0) x = soma_add_scalar(x, shift);
    return x;
}

soma_tensor *soma_random_uniform(soma_graph *graph, soma_dtype dtype, int rank, const int64_t *shape, double low,
                                 double high, soma_tensor *step) {
    return random_tensor(&op_uniform, graph, dtype, rank, shape, low, high - low, step);
}

soma_tensor *soma_random_normal(soma_graph *graph, soma_dtype dtype, int rank, const int64_t *shape, double mean,
                                double stddev, soma_tensor *step) {
    return random_tensor(&op_normal, graph, dtype, rank, shape, mean, stddev, step);
}

static uint64_t counter_of(const soma_tensor *node, const op_view *inputs) {
    return node->n_inputs == 1 ? (uint64_t)element_get_int(SOMA_I64, inputs[0].data, 0) : 0;
}

static soma_status reference_uniform(const soma_tensor *node, const op_view *inputs, op_view *output) {
    const double *value = node->attributes->value;
    ref_uniform(random_key(node), counter_of(node, inputs), value[0], value[1], output);
    return SOMA_OK;
}

static soma_status reference_normal(const soma_tensor *node, const op_view *inputs, op_view *output) {
    const double *value = node->attributes->value;
    ref_normal(random_key(node), counter_of(node, inputs), value[0], value[1], output);
    return SOMA_OK;
}

static const char COUNTER[] = "its elements depend on a counter alone";

#define RANDOM(name, builder, onnx, text, first, second)                                                               \
    static soma_tensor *step_##name(soma_tensor *const *xs) {                                                          \
        return builder(xs[0]->graph, SOMA_F32, SOMA_DIMS(7, 21), first, second, xs[0]);                                \
    }                                                                                                                  \
    static soma_tensor *mask_##name(soma_tensor *const *xs) {                                                          \
        return soma_mul(xs[0], builder(xs[0]->graph, xs[0]->dtype, xs[0]->rank, xs[0]->shape, first, second, NULL));   \
    }                                                                                                                  \
    static soma_tensor *wide_##name(soma_tensor *const *xs) {                                                          \
        return builder(xs[0]->graph, SOMA_F64, SOMA_DIMS(37), first, second, xs[0]);                                   \
    }                                                                                                                  \
    static const op_sample samples_##name[] = {{"step", step_##name, 1, {{SOMA_I64, 0, {0}, 0, 9}}},                   \
                                               {"mask", mask_##name, 1, {{SOMA_F32, 2, {3, 37}, 1, 2}}},               \
                                               {"one", mask_##name, 1, {{SOMA_F32, 0, {0}, 1, 2}}},                    \
                                               {"empty", mask_##name, 1, {{SOMA_F32, 2, {0, 3}, 1, 2}}},               \
                                               {"double", wide_##name, 1, {{SOMA_I64, 0, {0}, 0, 9}}},                 \
                                               END};                                                                   \
    const op op_##name = {#name,                                                                                       \
                          text,                                                                                        \
                          OP_GENERATE,                                                                                 \
                          0,                                                                                           \
                          0,                                                                                           \
                          1,                                                                                           \
                          infer_random,                                                                                \
                          NULL,                                                                                        \
                          COUNTER,                                                                                     \
                          reference_##name,                                                                            \
                          onnx,                                                                                        \
                          OP_SAMPLES(samples_##name)};

RANDOM(uniform, soma_random_uniform, "RandomUniform-1", "y_i = low + (high - low) * u_i, u_i uniform in [0, 1)", -1, 3)
RANDOM(normal, soma_random_normal, "RandomNormal-1", "y_i = mean + stddev * z_i, z_i standard normal", 0.5, 2)
