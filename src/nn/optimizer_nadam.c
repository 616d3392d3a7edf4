/* Nadam: Adam with Nesterov's momentum, whose strength grows with the steps.
 * Rests on ops and on what optimizer_adam.h shares; Keras' form, with a decay of 0.96 a step.
 * The product of the strengths so far has no closed form: it is kept beside each weight, as one number. */
#include <math.h>

#include "nn/optimizer_adam.h"

static soma_tensor *one_minus(soma_tensor *x) {
    return soma_add_scalar(soma_neg(x), 1);
}

/* beta (1 - 0.96^t / 2) */
static soma_tensor *strength(double beta, soma_tensor *t) {
    return soma_mul_scalar(one_minus(soma_mul_scalar(soma_exp(soma_mul_scalar(t, log(0.96))), 0.5)), beta);
}

static const soma_field fields[] = {OPTIMIZER_NUMBER(soma_nadam_options, learning_rate, 0.001, 0, 1e30),
                                    OPTIMIZER_NUMBER(soma_nadam_options, beta_1, 0.9, 0, 0.9999999),
                                    OPTIMIZER_NUMBER(soma_nadam_options, beta_2, 0.999, 0, 0.9999999),
                                    OPTIMIZER_NUMBER(soma_nadam_options, epsilon, 1e-7, 0, 1e30),
                                    OPTIMIZER_NUMBER(soma_nadam_options, weight_decay, 0, 0, 1e30),
                                    {.name = NULL}};

static int describe(const void *options, const soma_variable *weight, soma_slot slots[SOMA_MAX_SLOTS]) {
    (void)options;
    (void)weight;
    slots[0].name = "momentum";
    slots[1].name = "velocity";
    slots[2] = (soma_slot){.name = "schedule", .start = 1, .own_shape = true};
    return 3;
}

static soma_tensor *update(const void *options, soma_update *u) {
    const soma_nadam_options *o = options;
    soma_tensor *now = strength(o->beta_1, u->t), *next = strength(o->beta_1, soma_add_scalar(u->t, 1));
    soma_tensor *product = soma_mul(u->slots[2], now);
    soma_tensor *m = optimizer_average(u->slots[0], u->g, o->beta_1);
    soma_tensor *v = optimizer_average(u->slots[1], soma_square(u->g), o->beta_2);
    u->slots[0] = m;
    u->slots[1] = v;
    u->slots[2] = product;
    soma_tensor *of_m = soma_div(next, one_minus(soma_mul(product, next)));
    soma_tensor *of_g = soma_div(one_minus(now), one_minus(product));
    soma_tensor *ahead = soma_add(soma_mul(m, of_m), soma_mul(u->g, of_g));
    soma_tensor *root = soma_sqrt(soma_div(v, adam_one_minus_power(o->beta_2, u->t)));
    return soma_sub(u->w, soma_div(soma_mul(ahead, u->learning_rate), soma_add_scalar(root, o->epsilon)));
}

const soma_optimizer_class optimizer_nadam = {
    .name = "nadam", .size = sizeof(soma_nadam_options), .fields = fields, .slots = describe, .update = update};

soma_optimizer *soma_nadam_create(const soma_nadam_options *options) {
    return soma_optimizer_create(&optimizer_nadam, options);
}
