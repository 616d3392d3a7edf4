/* Constraints: what a weight must be after each step, as functions of the weight.
 * Rests on ops. constraints.def names them; formulas and defaults are Keras'.
 * They are part of the step's plan and fuse with the update. */
#include "nn/constraints.h"
#include "tensor/node.h"

static const double epsilon = 1e-7;

/* A set of axes is this and bit 8 + i for each axis i; an axis by itself is small. */
enum { AXIS_SET = 1 << 20, NO_AXIS = -100 };

int soma_axis_set(int n_axes, const int *axes) {
    int set = AXIS_SET;
    for (int i = 0; i < n_axes; i++) {
        if (!axes || axes[i] < -SOMA_MAX_RANK || axes[i] >= SOMA_MAX_RANK) return NO_AXIS;
        set |= 1 << (axes[i] + SOMA_MAX_RANK);
    }
    return set;
}

int constraint_axes(double axis, int axes[CONSTRAINT_AXES]) {
    int n = 0, set = axis >= INT32_MIN && axis <= INT32_MAX ? (int)axis : NO_AXIS;
    if (set < AXIS_SET || set >= 2 * AXIS_SET) {
        axes[0] = set;
        return 1;
    }
    for (int i = -SOMA_MAX_RANK; i < SOMA_MAX_RANK; i++)
        if (set & 1 << (i + SOMA_MAX_RANK)) axes[n++] = i;
    return n;
}

static soma_tensor *norms(soma_tensor *w, double axis) {
    if (!w) return NULL;
    int axes[CONSTRAINT_AXES], n = constraint_axes(axis, axes);
    return soma_sqrt(soma_sum(soma_square(w), n, axes, true));
}

/* w made as long as wanted, where it is as long as norm */
static soma_tensor *rescale(soma_tensor *w, soma_tensor *wanted, soma_tensor *norm) {
    return soma_mul(w, soma_div(wanted, soma_add_scalar(norm, epsilon)));
}

static soma_tensor *constrain_max_norm(soma_tensor *w, const double *parameters) {
    soma_tensor *norm = norms(w, parameters[1]);
    return rescale(w, soma_clip(norm, 0, parameters[0]), norm);
}

static soma_tensor *constrain_non_neg(soma_tensor *w, const double *parameters) {
    (void)parameters;
    return w ? soma_maximum(w, soma_scalar(w->graph, w->dtype, 0)) : NULL;
}

static soma_tensor *constrain_unit_norm(soma_tensor *w, const double *parameters) {
    return soma_div(w, soma_add_scalar(norms(w, parameters[0]), epsilon));
}

static soma_tensor *constrain_min_max_norm(soma_tensor *w, const double *parameters) {
    double rate = parameters[2];
    soma_tensor *norm = norms(w, parameters[3]);
    soma_tensor *wanted = soma_mul_scalar(soma_clip(norm, parameters[0], parameters[1]), rate);
    return rescale(w, soma_add(wanted, soma_mul_scalar(norm, 1 - rate)), norm);
}

soma_constraint soma_max_norm(double max_value, int axis) {
    return (soma_constraint){.apply = constrain_max_norm, .parameters = {max_value, axis}};
}
soma_constraint soma_non_neg(void) {
    return (soma_constraint){.apply = constrain_non_neg};
}
soma_constraint soma_unit_norm(int axis) {
    return (soma_constraint){.apply = constrain_unit_norm, .parameters = {axis}};
}
soma_constraint soma_min_max_norm(double min_value, double max_value, double rate, int axis) {
    return (soma_constraint){.apply = constrain_min_max_norm, .parameters = {min_value, max_value, rate, axis}};
}

static const name_entry entries[] = {
#define CONSTRAINT(text, fn, count, parameter_names, defaults)                                                         \
    {.name = text,                                                                                                     \
     .function = (soma_function *)fn,                                                                                  \
     .n = count,                                                                                                       \
     .parameters = (const char *const[])parameter_names,                                                               \
     .standard = (const double[])defaults},
#include "nn/constraints.def"
#undef CONSTRAINT
};

static const char *const names[] = {
#define CONSTRAINT(text, fn, count, parameter_names, defaults) text,
#include "nn/constraints.def"
#undef CONSTRAINT
    NULL};

const name_table constraint_names = {"constraint", entries, sizeof entries / sizeof *entries, names,
                                     sizeof(soma_constraint){0}.parameters / sizeof(double)};
