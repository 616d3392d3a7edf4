/* Soma: deep learning in C. This one include is all of it; each header is a chapter, simple things first.
 *
 * A network that reads digits (examples/mnist.c):
 *
 *     soma_dataset *train = soma_idx("data/mnist/train"), *test = soma_idx("data/mnist/t10k");
 *     soma_model *net = soma_sequential(
 *         soma_dense(512, .activation = soma_relu, .input_shape = {28 * 28}),
 *         soma_dense(10,  .activation = soma_softmax));
 *     soma_compile(net, .optimizer = soma_rmsprop(),
 *                       .loss = soma_sparse_categorical_crossentropy, .metrics = {soma_accuracy});
 *     soma_fit(net, train, .epochs = 5, .batch_size = 128);
 *     soma_scores s = soma_evaluate(net, test);
 *     printf("test_acc: %.4f\n", s.metrics[0]);
 *     soma_model_destroy(net);
 *
 * Numbers to look at (examples/tensors.c):
 *
 *     soma_tensor *a = soma_array(NULL, SOMA_F32, SOMA_DIMS(2, 2), (float[]){1, 2, 3, 4});
 *     soma_print(soma_matmul(a, a));
 *
 * Who owns what: models, datasets, graphs, plans, variables have a _create or a maker such as soma_sequential, and a
 * _destroy that takes NULL too. Tensors belong to their graph, layers and optimizers to their model.
 * Errors: functions that make something return NULL, those that do something a soma_status. What is given NULL does
 * nothing and leaves the first error's text with the context (soma_last_error), so one look at the end is enough.
 * The context argument may be NULL everywhere: the process' default one.
 * C++ and other languages fill the options struct and call the function beneath a macro: soma_dense_create(&options).
 */
#ifndef SOMA_SOMA_H
#define SOMA_SOMA_H

#include <soma/callbacks.h>   /* early stopping, checkpoints, logs */
#include <soma/context.h>     /* threads, seed, allocator, log, last error */
#include <soma/convolution.h> /* convolution, pooling */
#include <soma/data.h>        /* datasets, readers */
#include <soma/formats.h>     /* files of other programs: NPY */
#include <soma/functions.h>   /* activations, initializers, regularizers, constraints, losses */
#include <soma/generate.h>    /* models run a step at a time, tokens made with them */
#include <soma/layers.h>      /* layers beyond the basic ones */
#include <soma/metrics.h>     /* what is measured: of tensors, of texts and labels */
#include <soma/neuron.h>      /* one neuron: McCulloch and Pitts', Rosenblatt's */
#include <soma/nn.h>          /* layers, models */
#include <soma/ops.h>         /* functions of tensors */
#include <soma/optimizers.h>  /* optimizers, learning-rate schedules */
#include <soma/plan.h>        /* gradients, assignments, compiled plans */
#include <soma/status.h>      /* status codes */
#include <soma/tensor.h>      /* tensors, graphs, variables, printing */
#include <soma/train.h>       /* compile, fit, evaluate, predict, save, load */

#endif
