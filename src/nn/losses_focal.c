/* Losses for classes that are rare or labels that are not certain: focal, smoothed; and the table of losses with
 * numbers, which losses_with.def names.
 * Rests on ops and losses.h; formulas are Keras', probabilities are clipped as its are.
 * The plain function of each is the same with Keras' numbers. */
#include "nn/losses.h"

#include <math.h>

#include "nn/names.h"
#include "tensor/node.h"

static const double epsilon = 1e-7;

static soma_tensor *one_minus(soma_tensor *x) {
    return soma_add_scalar(soma_neg(x), 1);
}

/* (1 - s) y + s / classes */
static soma_tensor *smooth(soma_tensor *y, double s, double classes) {
    return s == 0 ? y : soma_add_scalar(soma_mul_scalar(y, 1 - s), s / classes);
}

static soma_tensor *smooth_classes(soma_tensor *y, double s) {
    return y ? smooth(y, s, (double)soma_dim(y, -1)) : NULL;
}

/* x^exponent for x in [0, 1], also its gradient at 0 */
static soma_tensor *power(soma_tensor *x, double exponent) {
    if (exponent == 0) return soma_add_scalar(soma_mul_scalar(x, 0), 1);
    return exponent == 1 ? x : exponent == 2 ? soma_square(x) : soma_pow_scalar(x, exponent);
}

/* What a sigmoid or softmax makes of logits: losses see where it comes from, and compute with the logits. */
static soma_tensor *probabilities(soma_tensor *y_pred, double from_logits, soma_activation_fn *activation) {
    return from_logits != 0 ? activation(y_pred) : y_pred;
}

/* ---- label smoothing, from_logits ---- */

static soma_tensor *binary_crossentropy(soma_tensor *y_true, soma_tensor *y_pred, const double *parameters) {
    return soma_binary_crossentropy(smooth(loss_align("binary_crossentropy", y_true, y_pred), parameters[0], 2),
                                    probabilities(y_pred, parameters[1], soma_sigmoid));
}

static soma_tensor *categorical_crossentropy(soma_tensor *y_true, soma_tensor *y_pred, const double *parameters) {
    soma_tensor *y = loss_align("categorical_crossentropy", y_true, y_pred);
    return soma_categorical_crossentropy(smooth_classes(y, parameters[0]),
                                         probabilities(y_pred, parameters[1], soma_softmax));
}

/* ---- focal: gamma, alpha, balance, label smoothing, from_logits ---- */

static soma_tensor *binary_focal(soma_tensor *y_true, soma_tensor *y_pred, const double *parameters) {
    soma_tensor *y = smooth(loss_align("binary_focal_crossentropy", y_true, y_pred), parameters[3], 2);
    y_pred = probabilities(y_pred, parameters[4], soma_sigmoid);
    soma_tensor *p = soma_clip(y_pred, epsilon, 1 - epsilon);
    soma_tensor *likelihood = soma_add(soma_mul(y, soma_log(p)), soma_mul(one_minus(y), soma_log(one_minus(p))));
    soma_tensor *right = soma_add(soma_mul(y, y_pred), soma_mul(one_minus(y), one_minus(y_pred)));
    soma_tensor *loss = soma_neg(soma_mul(power(one_minus(right), parameters[0]), likelihood));
    if (parameters[2] != 0) {
        double alpha = parameters[1];
        soma_tensor *weight = soma_add_scalar(soma_mul_scalar(y, 2 * alpha - 1), 1 - alpha);
        loss = soma_mul(loss, weight);
    }
    return soma_mean(loss, SOMA_AXES(-1), false);
}

static const double focal_numbers[] = {2, 0.25, 0, 0, 0};

soma_tensor *soma_binary_focal_crossentropy(soma_tensor *y_true, soma_tensor *y_pred) {
    return binary_focal(y_true, y_pred, focal_numbers);
}

/* gamma, alpha, label smoothing, from_logits */
static soma_tensor *categorical_focal(soma_tensor *y_true, soma_tensor *y_pred, const double *parameters) {
    soma_tensor *y = smooth_classes(loss_align("categorical_focal_crossentropy", y_true, y_pred), parameters[2]);
    y_pred = probabilities(y_pred, parameters[3], soma_softmax);
    soma_tensor *p = soma_div(y_pred, soma_sum(y_pred, SOMA_AXES(-1), true));
    p = soma_clip(p, epsilon, 1 - epsilon);
    soma_tensor *weight = soma_mul_scalar(power(one_minus(p), parameters[0]), parameters[1]);
    return soma_neg(soma_sum(soma_mul(weight, soma_mul(y, soma_log(p))), SOMA_AXES(-1), false));
}

soma_tensor *soma_categorical_focal_crossentropy(soma_tensor *y_true, soma_tensor *y_pred) {
    return categorical_focal(y_true, y_pred, (const double[]){2, 0.25, 0, 0});
}

/* ---- with numbers ---- */

soma_loss soma_huber_loss(double delta) {
    return (soma_loss){.build = loss_huber, .parameters = {delta}};
}
soma_loss soma_binary_crossentropy_loss(double label_smoothing) {
    return (soma_loss){.build = binary_crossentropy, .parameters = {label_smoothing}};
}
soma_loss soma_categorical_crossentropy_loss(double label_smoothing) {
    return (soma_loss){.build = categorical_crossentropy, .parameters = {label_smoothing}};
}
soma_loss soma_binary_focal_loss(double gamma, double alpha, bool balance, double label_smoothing) {
    return (soma_loss){.build = binary_focal, .parameters = {gamma, alpha, balance, label_smoothing}};
}
soma_loss soma_categorical_focal_loss(double gamma, double alpha, double label_smoothing) {
    return (soma_loss){.build = categorical_focal, .parameters = {gamma, alpha, label_smoothing}};
}
soma_loss soma_sparse_categorical_crossentropy_loss(int64_t ignore_class) {
    return (soma_loss){.build = loss_sparse_ignoring, .parameters = {(double)ignore_class}};
}
soma_loss soma_contrastive_loss(double margin) {
    return (soma_loss){.build = loss_contrastive, .parameters = {margin}};
}
soma_loss soma_triplet_hard_loss(double margin) {
    return (soma_loss){.build = loss_triplet_hard, .parameters = {margin}};
}
soma_loss soma_triplet_semi_hard_loss(double margin) {
    return (soma_loss){.build = loss_triplet_semi_hard, .parameters = {margin}};
}
soma_loss soma_circle_loss(double gamma, double margin) {
    return (soma_loss){.build = loss_circle, .parameters = {gamma, margin}};
}
soma_loss soma_generalized_cross_entropy_loss(double q) {
    return (soma_loss){.build = loss_generalized, .parameters = {q}};
}

static const name_entry entries[] = {
#define LOSS(text, fn, count, parameter_names, defaults)                                                               \
    {.name = text,                                                                                                     \
     .function = (soma_function *)fn,                                                                                  \
     .n = count,                                                                                                       \
     .parameters = (const char *const[])parameter_names,                                                               \
     .standard = (const double[])defaults},
#include "nn/losses_with.def"
#undef LOSS
};

static const char *const names[] = {
#define LOSS(text, fn, count, parameter_names, defaults) text,
#include "nn/losses_with.def"
#undef LOSS
    NULL};

const name_table loss_with_names = {"loss with numbers", entries, sizeof entries / sizeof *entries, names,
                                    sizeof(soma_loss){0}.parameters / sizeof(double)};
