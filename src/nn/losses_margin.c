/* Losses that want the right answer ahead by a margin of one: the hinges.
 * Rests on ops and losses.h; formulas are Keras', the sum over classes is that of Weston and Watkins.
 * Labels 0 and 1 become -1 and 1 where a whole batch has no others, as in Keras. */
#include "nn/losses.h"

#include "tensor/node.h"

static soma_tensor *like(soma_tensor *x, double value) {
    return x ? soma_scalar(x->graph, x->dtype, value) : NULL;
}

static soma_tensor *positive(soma_tensor *x) {
    return soma_maximum(x, like(x, 0));
}

/* Labels as -1 and 1. */
static soma_tensor *signs(const char *name, soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *y = loss_align(name, y_true, y_pred);
    soma_tensor *bits = soma_logical_or(soma_equal(y, like(y, 0)), soma_equal(y, like(y, 1)));
    soma_tensor *all = soma_min(soma_cast(bits, SOMA_F32), SOMA_ALL_AXES, false);
    return soma_where(soma_cast(all, SOMA_BOOL), soma_add_scalar(soma_mul_scalar(y, 2), -1), y);
}

/* max(1 - y p, 0) */
static soma_tensor *shortfall(const char *name, soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *y = signs(name, y_true, y_pred);
    return positive(soma_add_scalar(soma_neg(soma_mul(y, y_pred)), 1));
}

soma_tensor *soma_hinge(soma_tensor *y_true, soma_tensor *y_pred) {
    return soma_mean(shortfall("hinge", y_true, y_pred), SOMA_AXES(-1), false);
}

soma_tensor *soma_squared_hinge(soma_tensor *y_true, soma_tensor *y_pred) {
    return soma_mean(soma_square(shortfall("squared_hinge", y_true, y_pred)), SOMA_AXES(-1), false);
}

soma_tensor *soma_categorical_hinge(soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *y = loss_align("categorical_hinge", y_true, y_pred);
    soma_tensor *right = soma_sum(soma_mul(y, y_pred), SOMA_AXES(-1), false);
    soma_tensor *others = soma_mul(soma_add_scalar(soma_neg(y), 1), y_pred);
    soma_tensor *wrong = soma_max(others, SOMA_AXES(-1), false);
    return positive(soma_add_scalar(soma_sub(wrong, right), 1));
}

soma_tensor *soma_multiclass_hinge(soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *indices = loss_indices("multiclass_hinge", y_true, y_pred);
    if (!indices) return NULL;
    soma_tensor *chosen = soma_one_hot(indices, soma_dim(y_pred, -1), y_pred->dtype);
    soma_tensor *right = soma_sum(soma_mul(chosen, y_pred), SOMA_AXES(-1), true);
    soma_tensor *short_by = positive(soma_add_scalar(soma_sub(y_pred, right), 1));
    soma_tensor *wrong = soma_add_scalar(soma_neg(chosen), 1);
    return soma_sum(soma_mul(short_by, wrong), SOMA_AXES(-1), false);
}
