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

/* Huber with its delta. */
soma_tensor *loss_huber(soma_tensor *y_true, soma_tensor *y_pred, const double *parameters);

#endif
