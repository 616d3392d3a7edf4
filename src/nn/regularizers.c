/* Regularizers: rank-0 penalties of a weight or an output, added to the loss.
 * Rests on ops. regularizers.def names them; l1_l2 without numbers does nothing, as in Keras.
 * The factor is applied to the sum, so that the sum is one pass over the weight. */
#include "nn/names.h"

static soma_tensor *penalty_l1(soma_tensor *x, const double *parameters) {
    return soma_mul_scalar(soma_sum(soma_abs(x), SOMA_ALL_AXES, false), parameters[0]);
}

static soma_tensor *penalty_l2(soma_tensor *x, const double *parameters) {
    return soma_mul_scalar(soma_sum(soma_square(x), SOMA_ALL_AXES, false), parameters[0]);
}

static soma_tensor *penalty_l1_l2(soma_tensor *x, const double *parameters) {
    return soma_add(penalty_l1(x, parameters), penalty_l2(x, parameters + 1));
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

static const name_entry entries[] = {
#define REGULARIZER(text, fn, count, parameter_names, defaults)                                                        \
    {.name = text, .function = (soma_function *)fn, .n = count, .parameters = parameter_names, .standard = defaults},
#include "nn/regularizers.def"
#undef REGULARIZER
};

static const char *const names[] = {
#define REGULARIZER(text, fn, count, parameter_names, defaults) text,
#include "nn/regularizers.def"
#undef REGULARIZER
    NULL};

const name_table regularizer_names = {"regularizer", entries, sizeof entries / sizeof *entries, names};
