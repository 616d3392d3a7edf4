/* Regularizers: rank-0 penalties of a weight or an output, added to the loss.
 * Rests on ops. regularizers.def names them; l1_l2 without numbers does nothing, as in Keras.
 * The factor is applied to the sum, so that the sum is one pass over the weight. */
#include "nn/names.h"
#include "tensor/node.h"

/* A negative factor would reward large weights without end. */
static soma_tensor *scaled_sum(const char *name, soma_tensor *x, double factor) {
    if (!x) return NULL;
    RETURN_NULL_IF(x->graph->context, !(factor >= 0), SOMA_INVALID, "[%s] the factor is %g: it must be at least 0",
                   name, factor);
    return soma_mul_scalar(soma_sum(x, SOMA_ALL_AXES, false), factor);
}

static soma_tensor *penalty_l1(soma_tensor *x, const double *parameters) {
    return scaled_sum("l1", soma_abs(x), parameters[0]);
}

static soma_tensor *penalty_l2(soma_tensor *x, const double *parameters) {
    return scaled_sum("l2", soma_square(x), parameters[0]);
}

static soma_tensor *penalty_l1_l2(soma_tensor *x, const double *parameters) {
    return soma_add(penalty_l1(x, parameters), penalty_l2(x, parameters + 1));
}

/* mode 0: rows, 1: columns are to be orthogonal. */
static soma_tensor *penalty_orthogonal(soma_tensor *w, const double *parameters) {
    if (!w) return NULL;
    const int columns = parameters[1] != 0, along = !columns;
    RETURN_NULL_IF(w->graph->context, w->rank != 2, SOMA_SHAPE,
                   "[orthogonal_regularizer] a weight of rank %d is given; only matrices have rows and columns",
                   w->rank);
    const double n = (double)w->shape[columns];
    soma_tensor *squares = soma_sum(soma_square(w), 1, &along, true);
    soma_tensor *unit = soma_mul(w, soma_rsqrt(soma_maximum(squares, soma_scalar(w->graph, w->dtype, 1e-14))));
    soma_tensor *turned = soma_transpose(unit, NULL);
    soma_tensor *cosines = columns ? soma_matmul(turned, unit) : soma_matmul(unit, turned);
    soma_tensor *i = soma_arange(w->graph, SOMA_I64, 0, n, 1);
    soma_tensor *other = soma_not_equal(i, soma_expand_dims(i, 1));
    soma_tensor *sum = soma_sum(soma_abs(soma_mul(cosines, soma_cast(other, w->dtype))), SOMA_ALL_AXES, false);
    return soma_mul_scalar(sum, n > 1 ? parameters[0] / (n * (n - 1)) : 0);
}

soma_regularizer soma_l1(double l1) {
    return (soma_regularizer){.penalty = penalty_l1, .parameters = {l1}};
}
soma_regularizer soma_l2(double l2) {
    return (soma_regularizer){.penalty = penalty_l2, .parameters = {l2}};
}
soma_regularizer soma_l1_l2(double l1, double l2) {
    return (soma_regularizer){.penalty = penalty_l1_l2, .parameters = {l1, l2}};
}

soma_regularizer soma_orthogonal_regularizer(double factor, bool columns) {
    return (soma_regularizer){.penalty = penalty_orthogonal, .parameters = {factor, columns}};
}

static const name_entry entries[] = {
#define REGULARIZER(text, fn, count, parameter_names, defaults)                                                        \
    {.name = text,                                                                                                     \
     .function = (soma_function *)fn,                                                                                  \
     .n = count,                                                                                                       \
     .parameters = (const char *const[])parameter_names,                                                               \
     .standard = (const double[])defaults},
#include "nn/regularizers.def"
#undef REGULARIZER
};

static const char *const names[] = {
#define REGULARIZER(text, fn, count, parameter_names, defaults) text,
#include "nn/regularizers.def"
#undef REGULARIZER
    NULL};

const name_table regularizer_names = {"regularizer", entries, sizeof entries / sizeof *entries, names,
                                      sizeof(soma_regularizer){0}.parameters / sizeof(double)};
