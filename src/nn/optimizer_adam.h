/* What Adam shares with its relatives: the fields of its options, its state, its update.
 * Rests on optimizer.h. The fields are a macro because the default of one differs.
 * adam_update expects soma_adam_options. */
#ifndef NN_OPTIMIZER_ADAM_H
#define NN_OPTIMIZER_ADAM_H

#include <stddef.h>

#include "nn/optimizer.h"

#define ADAM_FIELD(member) offsetof(soma_adam_options, member)
#define ADAM_FIELDS(decay)                                                                                             \
    {.name = "learning_rate",                                                                                          \
     .kind = SOMA_FIELD_NUMBER,                                                                                        \
     .offset = ADAM_FIELD(learning_rate),                                                                              \
     .standard = 0.001,                                                                                                \
     .high = 1e30},                                                                                                    \
        {.name = "beta_1",                                                                                             \
         .kind = SOMA_FIELD_NUMBER,                                                                                    \
         .offset = ADAM_FIELD(beta_1),                                                                                 \
         .standard = 0.9,                                                                                              \
         .high = 0.9999999},                                                                                           \
        {.name = "beta_2",                                                                                             \
         .kind = SOMA_FIELD_NUMBER,                                                                                    \
         .offset = ADAM_FIELD(beta_2),                                                                                 \
         .standard = 0.999,                                                                                            \
         .high = 0.9999999},                                                                                           \
        {.name = "epsilon", .kind = SOMA_FIELD_NUMBER, .offset = ADAM_FIELD(epsilon), .standard = 1e-7, .high = 1e30}, \
        {.name = "amsgrad", .kind = SOMA_FIELD_BOOL, .offset = ADAM_FIELD(amsgrad)},                                   \
        {.name = "weight_decay",                                                                                       \
         .kind = SOMA_FIELD_NUMBER,                                                                                    \
         .offset = ADAM_FIELD(weight_decay),                                                                           \
         .standard = decay,                                                                                            \
         .high = 1e30},                                                                                                \
    {                                                                                                                  \
        .name = NULL                                                                                                   \
    }

int adam_slots(const void *options, const soma_variable *weight, soma_slot slots[SOMA_MAX_SLOTS]);
/* 1 - beta^t, exact for small t. */
soma_tensor *adam_one_minus_power(double beta, soma_tensor *t);
soma_tensor *adam_update(const void *options, soma_update *u);

#endif
