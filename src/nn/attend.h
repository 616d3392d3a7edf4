/* What attention layers share: softmax over the steps that may be looked at, and which these are.
 * Rests on layer.h. */
#ifndef NN_ATTEND_H
#define NN_ATTEND_H

#include <soma/layers.h>

#include "nn/layer.h"

/* query, value and key among one, two or three inputs. */
typedef struct attend_inputs {
    soma_tensor *query, *value, *key;
    soma_tensor *mask; /* (batch, S), or NULL */
} attend_inputs;

/* In the layer's dtype, checked; false after an error. */
bool attend_inputs_of(const soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n,
                      attend_inputs *out);
/* softmax over the last axis of scores (batch, ..., T, S) where mask, (batch or 1, S), and causality allow, with
 * dropout. */
soma_tensor *attend_weights(soma_trace *trace, soma_tensor *scores, soma_tensor *mask, bool causal, double dropout);
/* The same times value (batch, ..., S, d). */
soma_tensor *attend(soma_trace *trace, soma_tensor *scores, soma_tensor *value, soma_tensor *mask, bool causal,
                    double dropout);
/* The last two axes of x, the other way round. */
soma_tensor *attend_swap_last(soma_tensor *x);

#endif
