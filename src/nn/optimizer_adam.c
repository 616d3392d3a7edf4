/* Adam, its amsgrad variant, and the options that AdamW shares with it.
 * Rests on ops; Keras' form: both bias corrections are in the rate, epsilon is beside the root.
 * 1 - beta^t is taken as -expm1(t log beta), which float32 gets right in the first steps too. */
#include "nn/optimizer_adam.h"

#include <math.h>
#include <stddef.h>

const soma_field adam_fields[] = {ADAM_FIELDS(0.0)};

int adam_slots(const void *options, const soma_variable *weight, soma_slot slots[SOMA_MAX_SLOTS]) {
    (void)weight;
    const soma_adam_options *o = options;
    slots[0].name = "momentum";
    slots[1].name = "velocity";
    slots[2].name = "velocity_hat";
    return o->amsgrad ? 3 : 2;
}

soma_tensor *adam_one_minus_power(double beta, soma_tensor *t) {
    if (beta == 0) return soma_scalar(soma_tensor_graph(t), soma_tensor_dtype(t), 1);
    return soma_neg(soma_expm1(soma_mul_scalar(t, log(beta))));
}

soma_tensor *adam_update(const void *options, soma_update *u) {
    const soma_adam_options *o = options;
    if (!u->t) return NULL;
    soma_tensor *correction =
        soma_div(soma_sqrt(adam_one_minus_power(o->beta_2, u->t)), adam_one_minus_power(o->beta_1, u->t));
    soma_tensor *rate = soma_mul(u->learning_rate, correction);
    soma_tensor *m = optimizer_average(u->slots[0], u->g, o->beta_1);
    soma_tensor *v = optimizer_average(u->slots[1], soma_square(u->g), o->beta_2);
    u->slots[0] = m;
    u->slots[1] = v;
    if (o->amsgrad) {
        v = soma_maximum(u->slots[2], v);
        u->slots[2] = v;
    }
    /* the rate last: then the quotient is one instruction, the rate and the subtraction another */
    return soma_sub(u->w, soma_mul(soma_div(m, soma_add_scalar(soma_sqrt(v), o->epsilon)), rate));
}

const soma_optimizer_class optimizer_adam = {.name = "adam",
                                             .size = sizeof(soma_adam_options),
                                             .fields = adam_fields,
                                             .slots = adam_slots,
                                             .update = adam_update};

soma_optimizer *soma_adam_create(const soma_adam_options *options) {
    return soma_optimizer_create(&optimizer_adam, options);
}
