/* Ftrl: follow the regularized leader, which makes weights exactly zero where l1 says so.
 * Rests on ops; Keras' form. The weight is a function of two sums, not a step from the old weight.
 * Where the power is -1/2, as it nearly always is, powers are roots. */
#include "nn/optimizer.h"

static soma_tensor *power(soma_tensor *x, double exponent) {
    return exponent == 0.5 ? soma_sqrt(x) : soma_pow_scalar(x, exponent);
}

static const soma_field fields[] = {
    OPTIMIZER_NUMBER(soma_ftrl_options, learning_rate, 0.001, 0, 1e30),
    OPTIMIZER_NUMBER(soma_ftrl_options, learning_rate_power, -0.5, -1e30, 0),
    OPTIMIZER_NUMBER(soma_ftrl_options, initial_accumulator_value, 0.1, 0, 1e30),
    OPTIMIZER_NUMBER(soma_ftrl_options, l1_regularization_strength, 0, 0, 1e30),
    OPTIMIZER_NUMBER(soma_ftrl_options, l2_regularization_strength, 0, 0, 1e30),
    OPTIMIZER_NUMBER(soma_ftrl_options, l2_shrinkage_regularization_strength, 0, 0, 1e30),
    OPTIMIZER_NUMBER(soma_ftrl_options, beta, 0, 0, 1e30),
    OPTIMIZER_NUMBER(soma_ftrl_options, weight_decay, 0, 0, 1e30),
    {.name = NULL}};

static int describe(const void *options, const soma_variable *weight, soma_slot slots[SOMA_MAX_SLOTS]) {
    const soma_ftrl_options *o = options;
    (void)weight;
    slots[0] = (soma_slot){.name = "accumulator", .start = o->initial_accumulator_value};
    slots[1] = (soma_slot){.name = "linear"};
    return 2;
}

static soma_tensor *update(const void *options, soma_update *u) {
    const soma_ftrl_options *o = options;
    soma_tensor *sum = soma_add(u->slots[0], soma_square(u->g)), *g = u->g;
    soma_tensor *before = power(u->slots[0], -o->learning_rate_power), *after = power(sum, -o->learning_rate_power);
    if (o->l2_shrinkage_regularization_strength > 0)
        g = soma_add(g, soma_mul_scalar(u->w, 2 * o->l2_shrinkage_regularization_strength));
    soma_tensor *pull = soma_div(soma_mul(soma_sub(after, before), u->w), u->learning_rate);
    soma_tensor *linear = soma_add(u->slots[1], soma_sub(g, pull));
    soma_tensor *curvature = soma_div(soma_add_scalar(after, o->beta), u->learning_rate);
    curvature = soma_add_scalar(curvature, 2 * o->l2_regularization_strength);
    u->slots[0] = sum;
    u->slots[1] = linear;
    double l1 = o->l1_regularization_strength;
    return soma_div(soma_sub(soma_clip(linear, -l1, l1), linear), curvature);
}

const soma_optimizer_class optimizer_ftrl = {
    .name = "ftrl", .size = sizeof(soma_ftrl_options), .fields = fields, .slots = describe, .update = update};

soma_optimizer *soma_ftrl_create(const soma_ftrl_options *options) {
    return soma_optimizer_create(&optimizer_ftrl, options);
}
