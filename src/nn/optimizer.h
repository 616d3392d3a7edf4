/* The inside of optimizers: a class, its options, and what they do to a graph.
 * Rests on fields.h for the options and on ops for the arithmetic. Optimizers know tensors only; the variables of their
 * state belong to the training. */
#ifndef NN_OPTIMIZER_H
#define NN_OPTIMIZER_H

#include <stddef.h>

#include <soma/nn.h>

#include "nn/fields.h"

typedef struct optimizer_options {
    SOMA_OPTIMIZER_OPTIONS
} optimizer_options;

struct soma_optimizer {
    soma_context *context;
    const soma_optimizer_class *kind;
    optimizer_options *options; /* the whole struct, kind->size bytes */
};

/* Every optimizer, one line each in optimizers.def, and their names, ending with NULL. */
#define OPTIMIZER(name) extern const soma_optimizer_class optimizer_##name;
#include "nn/optimizers.def"
#undef OPTIMIZER
extern const soma_optimizer_class *const optimizer_table[];
extern const char *const optimizer_name_list[];

/* A number among the fields of an optimizer's options, from low to high. */
#define OPTIMIZER_NUMBER(options, member, default_value, lowest, highest)                                              \
    {                                                                                                                  \
        .name = #member, .kind = SOMA_FIELD_NUMBER, .offset = offsetof(options, member), .standard = default_value,    \
        .low = lowest, .high = highest                                                                                 \
    }

/* Whether the optimizer stands for one that could not be made; the context has the error. */
bool optimizer_failed(const soma_optimizer *optimizer);
/* The state beside a weight; how many. */
int optimizer_slots(const soma_optimizer *optimizer, const soma_variable *weight, soma_slot slots[SOMA_MAX_SLOTS]);
/* Clips gradients g[0..n-1] in place as the options say. */
soma_status optimizer_clip(const soma_optimizer *optimizer, soma_tensor **g, int n);
/* The weight after the step, update->slots likewise; NULL after an error. */
soma_tensor *optimizer_update(const soma_optimizer *optimizer, soma_update *update);
/* A running average: old + (1 - decay) (new - old). One instruction, of squares too. */
soma_tensor *optimizer_average(soma_tensor *old, soma_tensor *new_value, double decay);

/* "adam", {"adam": {...}}, {"adam": 0.01} or {"class_name": "adam", "config": {...}}. NULL after an error. */
soma_optimizer *optimizer_from_json_node(const field_names *names, const json_node *node);
soma_status optimizer_write_json(text *out, const field_names *names, const soma_optimizer *optimizer);

#endif
