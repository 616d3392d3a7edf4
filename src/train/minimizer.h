/* Minimizers: an optimizer with the weights it moves and the state it keeps beside them.
 * Rests on nn/optimizer.h. A compiled model has one; a program with its own training steps has as many as it likes.
 * The state is variables, so a step stays one plan and a file has all of it. */
#ifndef TRAIN_MINIMIZER_H
#define TRAIN_MINIMIZER_H

#include <soma/train.h>

#include "nn/model.h"
#include "nn/optimizer.h"

enum { MINIMIZER_SLOTS = SOMA_MAX_SLOTS + 2 };

/* A trainable weight and what is kept beside it. */
typedef struct weight_state {
    soma_variable *weight; /* the layer's */
    const soma_constraint *constraint;
    soma_variable *slots[MINIMIZER_SLOTS]; /* the optimizer's own, then those that all optimizers may have */
    int n, n_own;
    soma_variable *sum, *average; /* of gradients, of values; among the slots; NULL: none */
} weight_state;

struct soma_minimizer {
    soma_context *context;
    soma_optimizer *optimizer;
    soma_variable *iterations, *learning_rate; /* NULL until prepared */
    weight_state *states;
    int n;
    int64_t count, bytes; /* elements of all the state */
    bool swapped;         /* averages and weights are in each other's place */
};

/* The trainable weights of a model, into out unless it is NULL; how many. */
int minimizer_weights_of(const soma_model *model, weight_state *out);
/* Makes the state beside these weights (weight and constraint are looked at), and the counters. What is there already
 * stays; what belonged to other weights goes. */
soma_status minimizer_prepare(soma_minimizer *m, const weight_state *weights, int n);
/* Whether it is prepared for exactly the weights that a model trains now. */
bool minimizer_fits(const soma_minimizer *m, const soma_model *model);
/* Frees the state, not the optimizer. */
void minimizer_clear(soma_minimizer *m);
soma_status minimizer_set_rate(const soma_minimizer *m, double rate);
double minimizer_rate(const soma_minimizer *m);
/* Updates of the weights so far: steps, or groups of steps whose gradients are gathered. */
int64_t minimizer_updates(const soma_minimizer *m);
/* The weights become their moving averages, where these are kept. */
soma_status minimizer_finalize(soma_minimizer *m);
/* Exchanges the two. */
soma_status minimizer_swap_averages(soma_minimizer *m);

/* Assignments of a step with gradients g of the weights w, into targets, which has room; *n grows. */
soma_status minimizer_step(const soma_minimizer *m, soma_graph *graph, soma_tensor *const *w, soma_tensor **g,
                           soma_tensor **targets, int *n);
/* The loss to differentiate. */
soma_tensor *minimizer_scale(const soma_minimizer *m, soma_tensor *loss);

#endif
