/* What losses and metrics share: making (y_true, y_pred) fit each other as Keras does.
 * Rests on ops. A label axis of one is squeezed or added; anything else that differs is an error, never broadcast.
 * The name in the error is the loss' own. */
#ifndef NN_LOSSES_H
#define NN_LOSSES_H

#include <soma/nn.h>

/* y_true in y_pred's shape and dtype; NULL after an error. */
soma_tensor *loss_align(const char *name, soma_tensor *y_true, soma_tensor *y_pred);
/* Class indices without a last axis of one, int64, in the shape of y_pred but for its last axis. */
soma_tensor *loss_indices(const char *name, soma_tensor *y_true, soma_tensor *y_pred);

/* Whether the values are a softmax along the last axis, whose logits stand for them. */
bool loss_is_softmax(const soma_tensor *y_pred);
/* Values whose mean is that of those that count, a bool each or one that broadcasts; the others are 0. */
soma_tensor *loss_mean_of(soma_tensor *values, soma_tensor *counts);
/* loss_sparse_ignoring in parts: all values, and which of them count, a bool each, or NULL. */
soma_tensor *loss_sparse_parts(soma_tensor *y_true, soma_tensor *y_pred, const double *parameters,
                               soma_tensor **counts);

/* With numbers, in the order in which losses_with.def names them. */
soma_loss_with_fn loss_huber, loss_contrastive, loss_triplet_hard, loss_triplet_semi_hard, loss_circle,
    loss_generalized, loss_sparse_ignoring, loss_dice, loss_tversky;

#endif
