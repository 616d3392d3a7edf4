/* Adamax: Adam whose second moment is the largest gradient so far, fading.
 * Rests on ops and on what optimizer_adam.h shares; Keras' form.
 * The largest needs no correction for its start at zero, the mean does. */
#include "nn/optimizer_adam.h"

static const soma_field fields[] = {OPTIMIZER_NUMBER(soma_adamax_options, learning_rate, 0.001, 0, 1e30),
                                    OPTIMIZER_NUMBER(soma_adamax_options, beta_1, 0.9, 0, 0.9999999),
                                    OPTIMIZER_NUMBER(soma_adamax_options, beta_2, 0.999, 0, 0.9999999),
                                    OPTIMIZER_NUMBER(soma_adamax_options, epsilon, 1e-7, 0, 1e30),
                                    OPTIMIZER_NUMBER(soma_adamax_options, weight_decay, 0, 0, 1e30),
                                    {.name = NULL}};

static int describe(const void *options, const soma_variable *weight, soma_slot slots[SOMA_MAX_SLOTS]) {
    (void)options;
    (void)weight;
    slots[0] = (soma_slot){.name = "momentum"};
    slots[1] = (soma_slot){.name = "norm"};
    return 2;
}

static soma_tensor *update(const void *options, soma_update *u) {
    const soma_adamax_options *o = options;
    soma_tensor *m = optimizer_average(u->slots[0], u->g, o->beta_1);
    soma_tensor *largest = soma_maximum(soma_mul_scalar(u->slots[1], o->beta_2), soma_abs(u->g));
    u->slots[0] = m;
    u->slots[1] = largest;
    soma_tensor *rate = soma_div(u->learning_rate, adam_one_minus_power(o->beta_1, u->t));
    return soma_sub(u->w, soma_div(soma_mul(m, rate), soma_add_scalar(largest, o->epsilon)));
}

const soma_optimizer_class optimizer_adamax = {
    .name = "adamax", .size = sizeof(soma_adamax_options), .fields = fields, .slots = describe, .update = update};

soma_optimizer *soma_adamax_create(const soma_adamax_options *options) {
    return soma_optimizer_create(&optimizer_adamax, options);
}
