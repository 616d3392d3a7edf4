/* One neuron: McCulloch and Pitts', and Rosenblatt's perceptron with its learning rule. No tensors, no gradients: plain
 * numbers, as one would write them down. A sigmoid neuron is soma_sequential(soma_dense(1, .activation =
 * soma_sigmoid)), see examples/logistic_regression.c; layers of neurons are in nn.h. */
#ifndef SOMA_NEURON_H
#define SOMA_NEURON_H

#include <stdbool.h>
#include <stdint.h>

#include <soma/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/** 1 if no inhibitory input is on and as many excitatory ones as the threshold says, else 0. All have weight 1.
 *  inputs: n of them, on or off; inhibitory: which of them are, NULL: none.
 *  McCulloch and Pitts, A logical calculus of the ideas immanent in nervous activity, 1943. Example:
 *  examples/perceptron.c */
SOMA_API int soma_mcculloch_pitts(int n, const bool *inputs, const bool *inhibitory, int threshold);

typedef struct soma_perceptron soma_perceptron;

typedef struct soma_perceptron_options {
    int64_t inputs;        /* needed */
    double learning_rate;  /* 1 */
    const double *weights; /* to begin with, a number an input; NULL: zeros */
    double bias;           /* to begin with */
    soma_context *context; /* NULL: the default one */
} soma_perceptron_options;
/** A neuron that says 1 where w x + b >= 0, else 0: soma_perceptron(2). NULL after an error.
 *  Rosenblatt, The perceptron: a probabilistic model for information storage and organization in the brain, 1958. */
#define soma_perceptron(...) soma_perceptron_create(&(soma_perceptron_options){.inputs = __VA_ARGS__})
SOMA_API soma_perceptron *soma_perceptron_create(const soma_perceptron_options *options);
SOMA_API void soma_perceptron_destroy(soma_perceptron *perceptron);

SOMA_API int64_t soma_perceptron_inputs(const soma_perceptron *perceptron);        /**< how many */
SOMA_API const double *soma_perceptron_weights(const soma_perceptron *perceptron); /**< one an input */
SOMA_API double soma_perceptron_bias(const soma_perceptron *perceptron);           /**< b */
/** w x + b of one sample. */
SOMA_API double soma_perceptron_activation(const soma_perceptron *perceptron, const double *x);
/** 1 or 0. */
SOMA_API int soma_perceptron_predict(const soma_perceptron *perceptron, const double *x);

/** One pass over n samples, in order: w += rate (y - said) x, b += rate (y - said). x: n rows of inputs; y: n labels, 0
 *  or 1. Returns how many samples were wrong when they were looked at: 0, the weights have not changed. -1 for other
 *  labels. */
SOMA_API int64_t soma_perceptron_epoch(soma_perceptron *perceptron, int64_t n, const double *x, const double *y);

/** What fit came to. */
typedef struct soma_perceptron_fit_result {
    soma_status status; /* SOMA_DIVERGED where it does not converge: soma_last_error says after how many epochs */
    int64_t epochs;     /* passes made, with the last one, in which nothing was wrong */
    int64_t wrong;      /* samples in the last of them */
} soma_perceptron_fit_result;
/** Epochs until one has nothing wrong, at most so many. Classes that a plane separates are always learnt (the
 * perceptron convergence theorem, Novikoff 1962); others, such as XOR, never. */
SOMA_API soma_perceptron_fit_result soma_perceptron_fit(soma_perceptron *perceptron, int64_t n, const double *x,
                                                        const double *y, int64_t epochs);

#ifdef __cplusplus
}
#endif
#endif
