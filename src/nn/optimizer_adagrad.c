/* Adagrad: each weight's step is divided by the root of all its squared gradients.
 * Rests on ops; Keras' form, in which epsilon is inside the root and the sum begins at 0.1.
 * The root and the division are one rsqrt, as in RMSprop. */
#include "nn/optimizer.h"

static const soma_field fields[] = {OPTIMIZER_NUMBER(soma_adagrad_options, learning_rate, 0.001, 0, 1e30),
                                    OPTIMIZER_NUMBER(soma_adagrad_options, initial_accumulator_value, 0.1, 0, 1e30),
                                    OPTIMIZER_NUMBER(soma_adagrad_options, epsilon, 1e-7, 0, 1e30),
                                    OPTIMIZER_NUMBER(soma_adagrad_options, weight_decay, 0, 0, 1e30),
                                    {.name = NULL}};

static int describe(const void *options, const soma_variable *weight, soma_slot slots[SOMA_MAX_SLOTS]) {
    const soma_adagrad_options *o = options;
    (void)weight;
    slots[0] = (soma_slot){.name = "accumulator", .start = o->initial_accumulator_value};
    return 1;
}

static soma_tensor *update(const void *options, soma_update *u) {
    const soma_adagrad_options *o = options;
    soma_tensor *sum = soma_add(u->slots[0], soma_square(u->g));
    u->slots[0] = sum;
    soma_tensor *step = soma_mul(u->g, u->learning_rate);
    return soma_sub(u->w, soma_mul(step, soma_rsqrt(soma_add_scalar(sum, o->epsilon))));
}

const soma_optimizer_class optimizer_adagrad = {
    .name = "adagrad", .size = sizeof(soma_adagrad_options), .fields = fields, .slots = describe, .update = update};

soma_optimizer *soma_adagrad_create(const soma_adagrad_options *options) {
    return soma_optimizer_create(&optimizer_adagrad, options);
}
