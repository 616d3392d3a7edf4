/* Adadelta: a step in the units of the weight, from running squares of gradients and of earlier steps.
 * Rests on ops; Keras' form, whose rate of 0.001 is a thousandth of the paper's.
 * The squares of the steps are those before the rate is applied. */
#include "nn/optimizer.h"

static const soma_field fields[] = {OPTIMIZER_NUMBER(soma_adadelta_options, learning_rate, 0.001, 0, 1e30),
                                    OPTIMIZER_NUMBER(soma_adadelta_options, rho, 0.95, 0, 1),
                                    OPTIMIZER_NUMBER(soma_adadelta_options, epsilon, 1e-7, 0, 1e30),
                                    OPTIMIZER_NUMBER(soma_adadelta_options, weight_decay, 0, 0, 1e30),
                                    {.name = NULL}};

static int describe(const void *options, const soma_variable *weight, soma_slot slots[SOMA_MAX_SLOTS]) {
    (void)options;
    (void)weight;
    slots[0] = (soma_slot){.name = "accumulated_gradient"};
    slots[1] = (soma_slot){.name = "accumulated_step"};
    return 2;
}

static soma_tensor *update(const void *options, soma_update *u) {
    const soma_adadelta_options *o = options;
    soma_tensor *squares = optimizer_average(u->slots[0], soma_square(u->g), o->rho);
    soma_tensor *root = soma_sqrt(soma_add_scalar(u->slots[1], o->epsilon));
    soma_tensor *step = soma_mul(soma_mul(u->g, root), soma_rsqrt(soma_add_scalar(squares, o->epsilon)));
    u->slots[0] = squares;
    u->slots[1] = optimizer_average(u->slots[1], soma_square(step), o->rho);
    return soma_sub(u->w, soma_mul(step, u->learning_rate));
}

const soma_optimizer_class optimizer_adadelta = {
    .name = "adadelta", .size = sizeof(soma_adadelta_options), .fields = fields, .slots = describe, .update = update};

soma_optimizer *soma_adadelta_create(const soma_adadelta_options *options) {
    return soma_optimizer_create(&optimizer_adadelta, options);
}
