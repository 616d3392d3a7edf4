/* RMSprop: each weight's step is divided by a running root mean square of its gradient.
 * Rests on ops; Keras' form, in which epsilon is inside the root.
 * The root and the division are one rsqrt: they are most of what an update costs. */
#include <stddef.h>

#include "nn/optimizer.h"

#define FIELD(member) offsetof(soma_rmsprop_options, member)
static const soma_field fields[] = {
    {.name = "learning_rate",
     .kind = SOMA_FIELD_NUMBER,
     .offset = FIELD(learning_rate),
     .standard = 0.001,
     .high = 1e30},
    {.name = "rho", .kind = SOMA_FIELD_NUMBER, .offset = FIELD(rho), .standard = 0.9, .high = 1},
    {.name = "momentum", .kind = SOMA_FIELD_NUMBER, .offset = FIELD(momentum), .high = 1},
    {.name = "epsilon", .kind = SOMA_FIELD_NUMBER, .offset = FIELD(epsilon), .standard = 1e-7, .high = 1e30},
    {.name = "centered", .kind = SOMA_FIELD_BOOL, .offset = FIELD(centered)},
    {.name = "weight_decay", .kind = SOMA_FIELD_NUMBER, .offset = FIELD(weight_decay), .high = 1e30},
    {.name = NULL}};

static int describe(const void *options, const soma_variable *weight, soma_slot slots[SOMA_MAX_SLOTS]) {
    (void)weight;
    const soma_rmsprop_options *o = options;
    int n = 0;
    slots[n++].name = "velocity";
    if (o->centered) slots[n++].name = "average_gradient";
    if (o->momentum != 0) slots[n++].name = "momentum";
    return n;
}

static soma_tensor *update(const void *options, soma_update *u) {
    const soma_rmsprop_options *o = options;
    int slot = 0;
    soma_tensor *square = optimizer_average(u->slots[slot], soma_square(u->g), o->rho);
    u->slots[slot++] = square;
    if (o->centered) {
        soma_tensor *mean = optimizer_average(u->slots[slot], u->g, o->rho);
        u->slots[slot++] = mean;
        square = soma_sub(square, soma_square(mean));
    }
    /* the rate last: then g and the root are one instruction, the rate and the subtraction another */
    soma_tensor *direction = soma_mul(u->g, soma_rsqrt(soma_add_scalar(square, o->epsilon)));
    soma_tensor *step = soma_mul(direction, u->learning_rate);
    if (o->momentum != 0) {
        step = soma_add(soma_mul_scalar(u->slots[slot], o->momentum), step);
        u->slots[slot] = step;
    }
    return soma_sub(u->w, step);
}

const soma_optimizer_class optimizer_rmsprop = {
    .name = "rmsprop", .size = sizeof(soma_rmsprop_options), .fields = fields, .slots = describe, .update = update};

soma_optimizer *soma_rmsprop_create(const soma_rmsprop_options *options) {
    return soma_optimizer_create(&optimizer_rmsprop, options);
}
