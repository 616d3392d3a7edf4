/* Lion: steps of one size, in the direction of the sign of a mix of momentum and gradient.
 * Rests on ops; Keras' form. One slot a weight, half of Adam's state. */
#include "nn/optimizer.h"

/* beta m + (1 - beta) g */
static soma_tensor *mix(soma_tensor *m, soma_tensor *g, double beta) {
    return soma_add(soma_mul_scalar(m, beta), soma_mul_scalar(g, 1 - beta));
}

static const soma_field fields[] = {OPTIMIZER_NUMBER(soma_lion_options, learning_rate, 0.001, 0, 1e30),
                                    OPTIMIZER_NUMBER(soma_lion_options, beta_1, 0.9, 0, 0.9999999),
                                    OPTIMIZER_NUMBER(soma_lion_options, beta_2, 0.99, 0, 0.9999999),
                                    OPTIMIZER_NUMBER(soma_lion_options, weight_decay, 0, 0, 1e30),
                                    {.name = NULL}};

static int describe(const void *options, const soma_variable *weight, soma_slot slots[SOMA_MAX_SLOTS]) {
    (void)options;
    (void)weight;
    slots[0] = (soma_slot){.name = "momentum"};
    return 1;
}

static soma_tensor *update(const void *options, soma_update *u) {
    const soma_lion_options *o = options;
    soma_tensor *m = u->slots[0];
    u->slots[0] = mix(m, u->g, o->beta_2);
    return soma_sub(u->w, soma_mul(soma_sign(mix(m, u->g, o->beta_1)), u->learning_rate));
}

const soma_optimizer_class optimizer_lion = {
    .name = "lion", .size = sizeof(soma_lion_options), .fields = fields, .slots = describe, .update = update};

soma_optimizer *soma_lion_create(const soma_lion_options *options) {
    return soma_optimizer_create(&optimizer_lion, options);
}
