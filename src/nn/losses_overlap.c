/* Losses of overlap, for pictures whose classes are of very different size: Dice and Tversky.
 * Rests on ops and losses.h; formulas are Keras'. By default one number for a whole batch, along some axes one for each
 * place of the others: along all but the batch, one a sample. */
#include "nn/constraints.h"
#include "nn/losses.h"

static const double epsilon = 1e-7;

/* axis: as constraints have it; SOMA_NO_AXES: everything. */
static soma_tensor *sum_along(soma_tensor *x, double axis) {
    int axes[CONSTRAINT_AXES], n = constraint_axes(axis, axes);
    return axis == SOMA_NO_AXES ? soma_sum(x, SOMA_ALL_AXES, false) : soma_sum(x, n, axes, false);
}

static soma_tensor *one_minus(soma_tensor *x) {
    return soma_add_scalar(soma_neg(x), 1);
}

/* axis */
soma_tensor *loss_dice(soma_tensor *y_true, soma_tensor *y_pred, const double *parameters) {
    soma_tensor *y = loss_align("dice", y_true, y_pred);
    soma_tensor *both = soma_mul_scalar(sum_along(soma_mul(y, y_pred), parameters[0]), 2);
    soma_tensor *all = soma_add(sum_along(y, parameters[0]), sum_along(y_pred, parameters[0]));
    return one_minus(soma_div(both, soma_add_scalar(all, epsilon)));
}

soma_tensor *soma_dice(soma_tensor *y_true, soma_tensor *y_pred) {
    return loss_dice(y_true, y_pred, (const double[]){SOMA_NO_AXES});
}

/* alpha, beta, axis */
soma_tensor *loss_tversky(soma_tensor *y_true, soma_tensor *y_pred, const double *parameters) {
    soma_tensor *y = loss_align("tversky", y_true, y_pred);
    soma_tensor *both = sum_along(soma_mul(y, y_pred), parameters[2]);
    soma_tensor *wrongly_in = sum_along(soma_mul(one_minus(y), y_pred), parameters[2]);
    soma_tensor *wrongly_out = sum_along(soma_mul(y, one_minus(y_pred)), parameters[2]);
    soma_tensor *wrong =
        soma_add(soma_mul_scalar(wrongly_in, parameters[0]), soma_mul_scalar(wrongly_out, parameters[1]));
    return one_minus(soma_div(both, soma_add_scalar(soma_add(both, wrong), epsilon)));
}

soma_tensor *soma_tversky(soma_tensor *y_true, soma_tensor *y_pred) {
    return loss_tversky(y_true, y_pred, (const double[]){0.5, 0.5, SOMA_NO_AXES});
}

soma_loss soma_dice_loss(int axis) {
    return (soma_loss){.build = loss_dice, .parameters = {axis}};
}
soma_loss soma_tversky_loss(double alpha, double beta, int axis) {
    return (soma_loss){.build = loss_tversky, .parameters = {alpha, beta, axis}};
}
