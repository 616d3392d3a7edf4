/* What recurrent layers share: their options and fields, weights, and the walk over the steps.
 * Rests on layer.h. A kind of recurrence is its number of gates and states, and the function of one step. */
#ifndef NN_RECURRENT_H
#define NN_RECURRENT_H

#include <soma/layers.h>

#include "nn/layer.h"

/* The options that each has, as the first members of its struct. */
typedef struct recurrent_options {
    SOMA_RECURRENT_OPTIONS
} recurrent_options;

#define RECURRENT_FIELDS(type)                                                                                         \
    {.name = "units", .kind = SOMA_FIELD_INT, .offset = offsetof(type, units), .low = 1, .high = 0x1p31},              \
        {.name = "activation", .kind = SOMA_FIELD_ACTIVATION, .offset = offsetof(type, activation)},                   \
        {.name = "use_bias", .kind = SOMA_FIELD_NOT, .offset = offsetof(type, no_bias)},                               \
        {.name = "return_sequences", .kind = SOMA_FIELD_BOOL, .offset = offsetof(type, return_sequences)},             \
        {.name = "go_backwards", .kind = SOMA_FIELD_BOOL, .offset = offsetof(type, go_backwards)},                     \
        {.name = "dropout", .kind = SOMA_FIELD_NUMBER, .offset = offsetof(type, dropout), .low = 0, .high = 1},        \
        {.name = "recurrent_dropout",                                                                                  \
         .kind = SOMA_FIELD_NUMBER,                                                                                    \
         .offset = offsetof(type, recurrent_dropout),                                                                  \
         .low = 0,                                                                                                     \
         .high = 1},                                                                                                   \
        {.name = "kernel_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = offsetof(type, kernel_initializer)},  \
        {.name = "recurrent_initializer",                                                                              \
         .kind = SOMA_FIELD_INITIALIZER,                                                                               \
         .offset = offsetof(type, recurrent_initializer)},                                                             \
        {.name = "bias_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = offsetof(type, bias_initializer)},      \
        {.name = "kernel_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = offsetof(type, kernel_regularizer)},  \
        {.name = "recurrent_regularizer",                                                                              \
         .kind = SOMA_FIELD_REGULARIZER,                                                                               \
         .offset = offsetof(type, recurrent_regularizer)},                                                             \
    {                                                                                                                  \
        .name = "bias_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = offsetof(type, bias_regularizer)         \
    }

enum { RECURRENT_STATES = 2 };

/* What a step's function sees. x is this step's part of x W + b, (batch, gates units). States are NULL while they are
 * zero; the function replaces them by those after the step, the first of which is the result. h is states[0] as the
 * products with the recurrent kernel shall see it, after dropout. */
typedef struct recurrent_step {
    const soma_layer *layer;
    int64_t units;
    soma_tensor *x, *h, *kernel,
        *bias; /* kernel: the recurrent one; bias: what recurrent_kind keeps out of x, or NULL */
    soma_tensor *states[RECURRENT_STATES];
} recurrent_step;

typedef struct recurrent_kind {
    int gates, states;
    soma_initializer bias; /* the default of the bias */
    bool two_biases;       /* bias (2, gates units), of which the second is the step's */
    void (*run)(recurrent_step *step);
} recurrent_kind;

soma_status recurrent_build(soma_layer *layer, const recurrent_kind *kind, soma_tensor *const *inputs);
soma_tensor *recurrent_call(soma_layer *layer, const recurrent_kind *kind, soma_trace *trace,
                            soma_tensor *const *inputs, int n);
/* Gate i of (batch, gates units). */
soma_tensor *recurrent_gate(const recurrent_step *step, soma_tensor *x, int i);
/* h times the recurrent kernel; NULL while h is zero. */
soma_tensor *recurrent_product(const recurrent_step *step);
/* a + b, where b may be nothing. */
soma_tensor *recurrent_plus(soma_tensor *a, soma_tensor *b);

#endif
