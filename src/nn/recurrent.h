/* What recurrent layers share: their options and fields, weights, the product of all steps, and the walk over them.
 * Rests on layer.h. The walk knows steps, masks and states only; what a step computes is a function, so that matrix
 * products, convolutions and cells of the user's own take the same walk. */
#ifndef NN_RECURRENT_H
#define NN_RECURRENT_H

#include <soma/layers.h>

#include "nn/layer.h"

/* The options that each walk has, and those of the layers made of matrix products, as the first members of theirs. */
typedef struct steps_options {
    SOMA_STEPS_OPTIONS
} steps_options;
typedef struct recurrent_options {
    SOMA_RECURRENT_OPTIONS
} recurrent_options;

#define STEPS_FIELDS(type)                                                                                             \
    {.name = "return_sequences", .kind = SOMA_FIELD_BOOL, .offset = offsetof(type, return_sequences)},                 \
        {.name = "return_state", .kind = SOMA_FIELD_BOOL, .offset = offsetof(type, return_state)},                     \
        {.name = "zero_output_for_mask", .kind = SOMA_FIELD_BOOL, .offset = offsetof(type, zero_output_for_mask)},     \
        {.name = "go_backwards", .kind = SOMA_FIELD_BOOL, .offset = offsetof(type, go_backwards)},                     \
        {.name = "stateful", .kind = SOMA_FIELD_BOOL, .offset = offsetof(type, stateful)}, {                           \
        .name = "batch_size", .kind = SOMA_FIELD_INT, .offset = offsetof(type, batch_size), .low = 0, .high = 0x1p31   \
    }

/* Of everything that has gates: activations, dropout, initializers, regularizers, constraints. */
#define GATE_FIELDS(type)                                                                                              \
    {.name = "activation", .kind = SOMA_FIELD_ACTIVATION, .offset = offsetof(type, activation)},                       \
        {.name = "use_bias", .kind = SOMA_FIELD_NOT, .offset = offsetof(type, no_bias)},                               \
        {.name = "dropout", .kind = SOMA_FIELD_NUMBER, .offset = offsetof(type, dropout), .low = 0, .high = 0.999999}, \
        {.name = "recurrent_dropout",                                                                                  \
         .kind = SOMA_FIELD_NUMBER,                                                                                    \
         .offset = offsetof(type, recurrent_dropout),                                                                  \
         .low = 0,                                                                                                     \
         .high = 0.999999},                                                                                            \
        {.name = "kernel_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = offsetof(type, kernel_initializer)},  \
        {.name = "recurrent_initializer",                                                                              \
         .kind = SOMA_FIELD_INITIALIZER,                                                                               \
         .offset = offsetof(type, recurrent_initializer)},                                                             \
        {.name = "bias_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = offsetof(type, bias_initializer)},      \
        {.name = "kernel_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = offsetof(type, kernel_regularizer)},  \
        {.name = "recurrent_regularizer",                                                                              \
         .kind = SOMA_FIELD_REGULARIZER,                                                                               \
         .offset = offsetof(type, recurrent_regularizer)},                                                             \
        {.name = "bias_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = offsetof(type, bias_regularizer)},      \
        {.name = "kernel_constraint", .kind = SOMA_FIELD_CONSTRAINT, .offset = offsetof(type, kernel_constraint)},     \
        {.name = "recurrent_constraint",                                                                               \
         .kind = SOMA_FIELD_CONSTRAINT,                                                                                \
         .offset = offsetof(type, recurrent_constraint)},                                                              \
    {                                                                                                                  \
        .name = "bias_constraint", .kind = SOMA_FIELD_CONSTRAINT, .offset = offsetof(type, bias_constraint)            \
    }

/* ---- the walk ---- */

enum { RECURRENT_STATES = SOMA_MAX_OUTPUTS - 1 };

typedef struct recurrent_walk recurrent_walk;
struct recurrent_walk {
    soma_layer *layer; /* its options begin with SOMA_STEPS_OPTIONS */
    soma_trace *trace;
    soma_tensor *mask; /* (batch, steps), or NULL */
    int64_t batch, steps;
    int n_states;
    soma_tensor *states[RECURRENT_STATES];   /* NULL while they are zero */
    soma_variable *memory[RECURRENT_STATES]; /* of a layer taken a step at a time, NULL: none */
    /* Replaces the states by those after step t, and returns the step's result; NULL after an error. */
    soma_tensor *(*advance)(recurrent_walk *walk, int64_t t);
    void *user;
};

/* Describes the weight that carries a state of stateful layers, rank and shape without the batch. */
soma_status recurrent_add_state(soma_layer *layer, int number, int rank, const int64_t *shape);
/* Whether the states among the inputs are (batch, shape); else there is an error. */
bool recurrent_check(const recurrent_walk *walk, soma_tensor *const *inputs, int n, int rank, const int64_t *shape);
/* Where the states begin: with the inputs after the first, or what was carried, in weights from number first on. False
 * after an error. */
bool recurrent_begin(recurrent_walk *walk, soma_tensor *const *inputs, int n, int first);
/* A layer taken a step at a time, with no states among its inputs: state i, (batch, shape), is what it was after the
 * step before. */
bool recurrent_recall(recurrent_walk *walk, int i, soma_dtype dtype, int rank, const int64_t *shape);
/* Walks, and gives the layer's result, in trace the others; first is as above. */
soma_tensor *recurrent_run(recurrent_walk *walk, int first);

/* ---- matrix products ---- */

/* What a step's function sees. x is this step's part of x W + b, (batch, gates units). States are NULL while they are
 * zero; the function replaces them by those after the step, the first of which is the result. h is states[0] as the
 * products with the recurrent kernel shall see it, after dropout. */
typedef struct recurrent_step {
    const soma_layer *layer;
    int64_t units;
    soma_tensor *x, *h, *kernel, *bias; /* kernel: the recurrent one; bias: (units) that is kept out of x, or NULL */
    soma_tensor **states;
} recurrent_step;

typedef struct recurrent_kind {
    int gates, states;
    soma_initializer bias; /* the default of the bias */
    bool two_biases;       /* bias (2, gates units), of which the second's last gate is the step's */
    void (*run)(recurrent_step *step);
} recurrent_kind;

/* Of a layer or cell; layer_recurrent.c. */
recurrent_kind recurrent_kind_of(const soma_layer *layer);

soma_status recurrent_build(soma_layer *layer, soma_tensor *const *inputs, int n);
soma_tensor *recurrent_call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n);
/* One step as a layer: x (batch, features) and the states -> the first state, and all states as further results. */
soma_status recurrent_cell_build(soma_layer *layer, soma_tensor *const *inputs, int n);
soma_tensor *recurrent_cell_call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n);

/* given(x), or standard(x) when none is given. */
soma_tensor *recurrent_activate(soma_activation_fn *given, soma_activation_fn *standard, soma_tensor *x);
/* One gate's share of the last axis, from number i on. */
soma_tensor *recurrent_gate(soma_tensor *x, int64_t units, int i);
/* x + h U. */
soma_tensor *recurrent_sum(const recurrent_step *step);
/* LSTM: i, f, c, o lie side by side in a; cell is the old cell, replaced by the new; returns the state. */
soma_tensor *recurrent_lstm(soma_tensor *a, int64_t units, soma_activation_fn *activation,
                            soma_activation_fn *recurrent_activation, soma_tensor **cell);
/* 0, 1, 0, 0: the bias of LSTM's gates, so that at first the cell keeps what it has. */
soma_tensor *recurrent_forget_bias(const soma_weight_request *request, const double *parameters);
/* One draw of 0 or 1 / (1 - rate) for each element of a shape; NULL when rate is 0 or nothing is trained. */
soma_tensor *recurrent_draw(soma_trace *trace, soma_dtype dtype, int rank, const int64_t *shape, double rate);

#endif
