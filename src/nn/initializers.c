/* Initializers: a weight's first values as a tensor, keyed by the seed and the weight's number.
 * Rests on ops: the random ones count (Philox), so the values depend neither on threads nor on order.
 * Variance scaling is Keras': truncated normals are widened so that their variance is the one that was asked for. */
#include <math.h>

#include "base/error.h"
#include "nn/names.h"

static soma_tensor *uniform(const soma_weight_request *r, double low, double high) {
    return soma_random_uniform(r->graph, r->dtype, r->rank, r->shape, low, high, r->step);
}

/* Normal within two deviations. What falls outside is drawn again, up to DRAWS times; one value in ten million that is
 * still outside is cut off. */
static soma_tensor *truncated(const soma_weight_request *r, double mean, double stddev) {
    enum { DRAWS = 5 };
    soma_tensor *z = soma_random_normal(r->graph, r->dtype, r->rank, r->shape, 0, 1, r->step);
    soma_tensor *limit = soma_scalar(r->graph, r->dtype, 2);
    for (int draw = 1; draw < DRAWS; draw++) {
        soma_tensor *again = soma_random_normal(r->graph, r->dtype, r->rank, r->shape, 0, 1, r->step);
        z = soma_where(soma_less_equal(soma_abs(z), limit), z, again);
    }
    return soma_add_scalar(soma_mul_scalar(soma_clip(z, -2, 2), stddev), mean);
}

/* U or truncated N of variance scale / fan. */
static soma_tensor *scaled(const soma_weight_request *r, double scale, double fan, bool normal) {
    double variance = scale / (fan > 1 ? fan : 1);
    if (!normal) return uniform(r, -sqrt(3 * variance), sqrt(3 * variance));
    return truncated(r, 0, sqrt(variance) / 0.87962566103423978); /* deviation of a standard normal cut off at 2 */
}

#define VARIANCE_SCALING(name, scale, fan, normal)                                                                     \
    static soma_tensor *build_##name(const soma_weight_request *request, const double *parameters) {                   \
        (void)parameters;                                                                                              \
        return scaled(request, scale, fan, normal);                                                                    \
    }                                                                                                                  \
    soma_initializer soma_##name(void) {                                                                               \
        return (soma_initializer){.build = build_##name};                                                              \
    }
VARIANCE_SCALING(glorot_uniform, 1, (request->fan_in + request->fan_out) / 2, false)
VARIANCE_SCALING(glorot_normal, 1, (request->fan_in + request->fan_out) / 2, true)
VARIANCE_SCALING(he_uniform, 2, request->fan_in, false)
VARIANCE_SCALING(he_normal, 2, request->fan_in, true)
VARIANCE_SCALING(lecun_uniform, 1, request->fan_in, false)
VARIANCE_SCALING(lecun_normal, 1, request->fan_in, true)
#undef VARIANCE_SCALING

/* mode: 0 fan_in, 1 fan_out, 2 their mean; distribution: 0 truncated normal, 1 normal, 2 uniform */
static soma_tensor *build_variance_scaling(const soma_weight_request *r, const double *parameters) {
    const double fans[] = {r->fan_in, r->fan_out, (r->fan_in + r->fan_out) / 2};
    int mode = (int)parameters[1];
    double fan = fans[mode >= 0 && mode <= 2 ? mode : 0];
    if (parameters[2] != 1) return scaled(r, parameters[0], fan, parameters[2] != 2);
    return soma_random_normal(r->graph, r->dtype, r->rank, r->shape, 0, sqrt(parameters[0] / (fan > 1 ? fan : 1)),
                              r->step);
}

soma_initializer soma_variance_scaling(double scale, soma_fan_mode mode, soma_distribution distribution) {
    return (soma_initializer){.build = build_variance_scaling, .parameters = {scale, mode, distribution}};
}

soma_initializer soma_seeded(soma_initializer initializer, int64_t seed) {
    initializer.seed = seed;
    return initializer;
}

/* gain where row and column agree, else 0 */
static soma_tensor *build_identity(const soma_weight_request *r, const double *parameters) {
    RETURN_NULL_IF(soma_graph_context(r->graph), r->rank != 2, SOMA_SHAPE,
                   "[identity] a weight of rank %d: only matrices have one", r->rank);
    soma_tensor *rows = soma_arange(r->graph, SOMA_I64, 0, (double)r->shape[0], 1);
    return soma_mul_scalar(soma_one_hot(rows, r->shape[1], r->dtype), parameters[0]);
}

soma_initializer soma_identity(double gain) {
    return (soma_initializer){.build = build_identity, .parameters = {gain}};
}

static soma_tensor *build_uniform(const soma_weight_request *r, const double *parameters) {
    return uniform(r, parameters[0], parameters[1]);
}

static soma_tensor *build_normal(const soma_weight_request *r, const double *parameters) {
    return soma_random_normal(r->graph, r->dtype, r->rank, r->shape, parameters[0], parameters[1], r->step);
}

static soma_tensor *build_truncated_normal(const soma_weight_request *r, const double *parameters) {
    return truncated(r, parameters[0], parameters[1]);
}

/* The orthogonal factor of a normal matrix, which no direction is special to, by Newton's iteration
 * X <- 3/2 aX - 1/2 (aX)(aX)'(aX): it brings singular values to 1. With a = 1 a small one grows by half in each turn;
 * with the a that sends both ends of [low, 1] to the same value, all of them stay below 1 and small ones grow 2.6
 * times, and what they are least is known for the next turn (Chen and Chow 2014). Only matrices that are far from
 * square have no small ones; the largest is below the sum of the roots of the extents, but for a little that large
 * extents make less.
 */
static soma_tensor *build_orthogonal(const soma_weight_request *r, const double *parameters) {
    RETURN_NULL_IF(soma_graph_context(r->graph), r->rank < 2, SOMA_SHAPE,
                   "[orthogonal] a weight of rank %d: it needs 2", r->rank);
    int64_t columns = r->shape[r->rank - 1], rows = 1;
    for (int i = 0; i + 1 < r->rank; i++)
        rows *= r->shape[i];
    const double shorter = (double)(rows < columns ? rows : columns),
                 longer = (double)(rows < columns ? columns : rows);
    const double margin = 1 + 4 / pow(longer, 2.0 / 3);
    double low = longer >= 32 && shorter <= 0.6 * longer ? 0.1 / margin : 1e-6;
    soma_tensor *x = soma_random_normal(r->graph, r->dtype, SOMA_DIMS(rows, columns), 0,
                                        1 / (margin * (sqrt(shorter) + sqrt(longer))), r->step);
    for (bool last = false; !last;) {
        last = 1 - low < 1e-8; /* what is left is squared in a turn */
        const double a = sqrt(3 / (1 + low + low * low));
        soma_tensor *turned = soma_transpose(x, NULL);
        soma_tensor *cube =
            rows < columns ? soma_matmul(soma_matmul(x, turned), x) : soma_matmul(x, soma_matmul(turned, x));
        x = soma_sub(soma_mul_scalar(x, 1.5 * a), soma_mul_scalar(cube, 0.5 * a * a * a));
        low = 1.5 * a * low - 0.5 * a * a * a * low * low * low;
    }
    return soma_reshape(soma_mul_scalar(x, parameters[0]), r->rank, r->shape);
}

static soma_tensor *build_zeros(const soma_weight_request *r, const double *parameters) {
    (void)parameters;
    return soma_zeros(r->graph, r->dtype, r->rank, r->shape);
}

static soma_tensor *build_ones(const soma_weight_request *r, const double *parameters) {
    (void)parameters;
    return soma_ones(r->graph, r->dtype, r->rank, r->shape);
}

static soma_tensor *build_constant(const soma_weight_request *r, const double *parameters) {
    return soma_full(r->graph, r->dtype, r->rank, r->shape, parameters[0]);
}

soma_initializer soma_uniform(double minval, double maxval) {
    return (soma_initializer){.build = build_uniform, .parameters = {minval, maxval}};
}
soma_initializer soma_normal(double mean, double stddev) {
    return (soma_initializer){.build = build_normal, .parameters = {mean, stddev}};
}
soma_initializer soma_truncated_normal(double mean, double stddev) {
    return (soma_initializer){.build = build_truncated_normal, .parameters = {mean, stddev}};
}
soma_initializer soma_orthogonal(double gain) {
    return (soma_initializer){.build = build_orthogonal, .parameters = {gain}};
}
soma_initializer soma_all_zeros(void) {
    return (soma_initializer){.build = build_zeros};
}
soma_initializer soma_all_ones(void) {
    return (soma_initializer){.build = build_ones};
}
soma_initializer soma_constant(double value) {
    return (soma_initializer){.build = build_constant, .parameters = {value}};
}

static const name_entry entries[] = {
#define INITIALIZER(text, fn, count, parameter_names, defaults)                                                        \
    {.name = text,                                                                                                     \
     .function = (soma_function *)fn,                                                                                  \
     .n = count,                                                                                                       \
     .parameters = (const char *const[])parameter_names,                                                               \
     .standard = (const double[])defaults},
#include "nn/initializers.def"
#undef INITIALIZER
};

static const char *const names[] = {
#define INITIALIZER(text, fn, count, parameter_names, defaults) text,
#include "nn/initializers.def"
#undef INITIALIZER
    NULL};

const name_table initializer_names = {"initializer", entries, sizeof entries / sizeof *entries, names,
                                      sizeof(soma_initializer){0}.parameters / sizeof(double)};
