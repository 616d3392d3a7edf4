/* Activations that make small values exactly zero, and smooth relatives of relu without exponentials.
 * Rests on ops alone; constants are those of Keras 3. activations.def names them.
 * Sparsemax needs no sorting: an element is above the threshold when what the greater ones exceed it by is less than 1.
 */
#include <soma/nn.h>

#include "tensor/node.h"

static soma_tensor *like(soma_tensor *x, double value) {
    return x ? soma_scalar(x->graph, x->dtype, value) : NULL;
}

soma_tensor *soma_hard_shrink(soma_tensor *x) {
    return soma_where(soma_less_equal(soma_abs(x), like(x, 0.5)), like(x, 0), x);
}

soma_tensor *soma_soft_shrink(soma_tensor *x) {
    return soma_sub(x, soma_clip(x, -0.5, 0.5));
}

soma_tensor *soma_tanh_shrink(soma_tensor *x) {
    return soma_sub(x, soma_tanh(x));
}

soma_tensor *soma_sparse_sigmoid(soma_tensor *x) {
    return soma_mul_scalar(soma_add_scalar(soma_clip(x, -1, 1), 1), 0.5);
}

/* (clip(x) + 1)^2 / 4, and beyond 1 the line that goes on from there */
soma_tensor *soma_sparse_plus(soma_tensor *x) {
    soma_tensor *bend = soma_square(soma_sparse_sigmoid(x));
    return soma_where(soma_greater_equal(x, like(x, 1)), x, bend);
}

soma_tensor *soma_squareplus(soma_tensor *x) {
    return soma_mul_scalar(soma_add(x, soma_sqrt(soma_add_scalar(soma_square(x), 4))), 0.5);
}

soma_tensor *soma_glu(soma_tensor *x) {
    soma_tensor *halves[2];
    if (!x || soma_split(x, 2, -1, halves) != SOMA_OK) return NULL;
    return soma_mul(halves[0], soma_sigmoid(halves[1]));
}

soma_tensor *soma_sparsemax(soma_tensor *x) {
    soma_tensor *z = soma_stop_gradient(x);
    soma_tensor *ahead = soma_sub(soma_expand_dims(z, -2), soma_expand_dims(z, -1));
    soma_tensor *excess = soma_sum(soma_maximum(ahead, like(x, 0)), SOMA_AXES(-1), false);
    soma_tensor *above = x ? soma_cast(soma_less(excess, like(x, 1)), x->dtype) : NULL;
    soma_tensor *count = soma_sum(above, SOMA_AXES(-1), true);
    soma_tensor *sum = soma_sum(soma_mul(x, above), SOMA_AXES(-1), true);
    soma_tensor *threshold = soma_div(soma_add_scalar(sum, -1), count);
    return soma_mul(soma_sub(x, threshold), above);
}
