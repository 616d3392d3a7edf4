/* SGD: w -= rate g, with momentum and Nesterov's variant.
 * Rests on ops; Keras' form, in which the rate is inside the momentum.
 * The update fuses into the epilogue of the product that makes the gradient. */
#include <stddef.h>

#include "nn/optimizer.h"

#define FIELD(member) offsetof(soma_sgd_options, member)
static const soma_field fields[] = {
    {.name = "learning_rate",
     .kind = SOMA_FIELD_NUMBER,
     .offset = FIELD(learning_rate),
     .standard = 0.01,
     .high = 1e30},
    {.name = "momentum", .kind = SOMA_FIELD_NUMBER, .offset = FIELD(momentum), .high = 1},
    {.name = "nesterov", .kind = SOMA_FIELD_BOOL, .offset = FIELD(nesterov)},
    {.name = "weight_decay", .kind = SOMA_FIELD_NUMBER, .offset = FIELD(weight_decay), .high = 1e30},
    {.name = NULL}};

static int describe(const void *options, const soma_variable *weight, soma_slot slots[SOMA_MAX_SLOTS]) {
    (void)weight;
    const soma_sgd_options *o = options;
    if (o->momentum == 0) return 0;
    slots[0].name = "momentum";
    return 1;
}

static soma_tensor *update(const void *options, soma_update *u) {
    const soma_sgd_options *o = options;
    soma_tensor *step = soma_mul(u->g, u->learning_rate);
    if (o->momentum == 0) return soma_sub(u->w, step);
    u->slots[0] = soma_sub(soma_mul_scalar(u->slots[0], o->momentum), step);
    if (!o->nesterov) return soma_add(u->w, u->slots[0]);
    return soma_add(u->w, soma_sub(soma_mul_scalar(u->slots[0], o->momentum), step));
}

const soma_optimizer_class optimizer_sgd = {
    .name = "sgd", .size = sizeof(soma_sgd_options), .fields = fields, .slots = describe, .update = update};

soma_optimizer *soma_sgd_create(const soma_sgd_options *options) {
    return soma_optimizer_create(&optimizer_sgd, options);
}
