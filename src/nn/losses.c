/* Losses: a value per sample, composed from ops. losses.def names them.
 * Rests on ops; probabilities are clipped to [1e-7, 1 - 1e-7] and renormalized as in Keras. Where y_pred comes from a
 * sigmoid or softmax, the form from its logits is built instead: stable, and one row program with its gradient. */
#include "nn/losses.h"

#include <math.h>

#include "nn/names.h"
#include "ops/op.h"

static const double epsilon = 1e-7;

/* What helps where labels have fewer axes than what the model gives: they are class indices, or the model gives an
 * answer for each place of an image or a sequence. */
static const char *remedy(const soma_tensor *y_true, const soma_tensor *y_pred) {
    if (y_true->rank >= y_pred->rank) return "";
    if (y_true->rank + 1 == y_pred->rank && shape_equal(y_true->rank, y_true->shape, y_true->rank, y_pred->shape))
        return "; class indices need a sparse loss, or to be made one-hot by soma_to_categorical";
    return "; for one answer a sample, add a flatten layer before the dense one";
}

soma_tensor *loss_align(const char *name, soma_tensor *y_true, soma_tensor *y_pred) {
    if (!y_true || !y_pred) return NULL;
    soma_tensor *y = y_true;
    if (y->rank + 1 == y_pred->rank && y_pred->shape[y_pred->rank - 1] == 1) {
        y = soma_expand_dims(y, -1);
    } else if (y->rank == y_pred->rank + 1 && y->shape[y->rank - 1] == 1) {
        y = soma_squeeze(y, -1);
    }
    if (!y) return NULL;
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    RETURN_NULL_IF(y->graph->context, !shape_equal(y->rank, y->shape, y_pred->rank, y_pred->shape), SOMA_SHAPE,
                   "[%s] y_true %s and y_pred %s differ%s", name, tensor_shape_text(a, y_true),
                   tensor_shape_text(b, y_pred), remedy(y_true, y_pred));
    return soma_cast(y, y_pred->dtype);
}

soma_tensor *loss_indices(const char *name, soma_tensor *y_true, soma_tensor *y_pred) {
    if (!y_true || !y_pred) return NULL;
    soma_tensor *y = y_true;
    if (y->rank == y_pred->rank && y->rank > 0 && y->shape[y->rank - 1] == 1) y = soma_squeeze(y, -1);
    if (!y) return NULL;
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    RETURN_NULL_IF(y->graph->context, !shape_equal(y->rank, y->shape, y_pred->rank - 1, y_pred->shape), SOMA_SHAPE,
                   "[%s] y_true %s are no class indices for y_pred %s: a value a class is needed along the last axis%s",
                   name, tensor_shape_text(a, y_true), tensor_shape_text(b, y_pred), remedy(y_true, y_pred));
    return soma_cast(y, SOMA_I64);
}

static soma_tensor *last_mean(soma_tensor *x) {
    return soma_mean(x, SOMA_AXES(-1), false);
}
static soma_tensor *last_sum(soma_tensor *x) {
    return soma_sum(x, SOMA_AXES(-1), false);
}
static soma_tensor *one_minus(soma_tensor *x) {
    return soma_add_scalar(soma_neg(x), 1);
}

/* log of probabilities along the last axis, renormalized and clipped */
static soma_tensor *log_probabilities(soma_tensor *p) {
    p = soma_div(p, soma_sum(p, SOMA_AXES(-1), true));
    return soma_log(soma_clip(p, epsilon, 1 - epsilon));
}

soma_tensor *soma_mean_squared_error(soma_tensor *y_true, soma_tensor *y_pred) {
    return last_mean(soma_square(soma_sub(y_pred, loss_align("mean_squared_error", y_true, y_pred))));
}

soma_tensor *soma_mean_absolute_error(soma_tensor *y_true, soma_tensor *y_pred) {
    return last_mean(soma_abs(soma_sub(y_pred, loss_align("mean_absolute_error", y_true, y_pred))));
}

/* softplus(x) - x y, which is -y log sigmoid(x) - (1 - y) log(1 - sigmoid(x)) */
soma_tensor *soma_binary_crossentropy_from_logits(soma_tensor *y_true, soma_tensor *logits) {
    soma_tensor *y = loss_align("binary_crossentropy", y_true, logits);
    return last_mean(soma_sub(soma_softplus(logits), soma_mul(logits, y)));
}

soma_tensor *soma_binary_crossentropy(soma_tensor *y_true, soma_tensor *y_pred) {
    if (y_pred && y_pred->logits && y_pred->op == &op_sigmoid)
        return soma_binary_crossentropy_from_logits(y_true, y_pred->logits);
    soma_tensor *y = loss_align("binary_crossentropy", y_true, y_pred);
    soma_tensor *p = soma_clip(y_pred, epsilon, 1 - epsilon);
    soma_tensor *likelihood = soma_add(soma_mul(y, soma_log(p)), soma_mul(one_minus(y), soma_log(one_minus(p))));
    return soma_neg(last_mean(likelihood));
}

soma_tensor *soma_categorical_crossentropy_from_logits(soma_tensor *y_true, soma_tensor *logits) {
    soma_tensor *y = loss_align("categorical_crossentropy", y_true, logits);
    return soma_neg(last_sum(soma_mul(y, soma_log_softmax(logits, -1))));
}

bool loss_is_softmax(const soma_tensor *y_pred) {
    return y_pred && y_pred->logits && y_pred->op != &op_sigmoid;
}

soma_tensor *soma_categorical_crossentropy(soma_tensor *y_true, soma_tensor *y_pred) {
    if (loss_is_softmax(y_pred)) return soma_categorical_crossentropy_from_logits(y_true, y_pred->logits);
    soma_tensor *y = loss_align("categorical_crossentropy", y_true, y_pred);
    return soma_neg(last_sum(soma_mul(y, log_probabilities(y_pred))));
}

static soma_tensor *sparse(soma_tensor *y_true, soma_tensor *y_pred, bool logits) {
    soma_tensor *indices = loss_indices("sparse_categorical_crossentropy", y_true, y_pred);
    if (!indices) return NULL;
    soma_tensor *classes = soma_arange(indices->graph, SOMA_I64, 0, (double)soma_dim(y_pred, -1), 1);
    soma_tensor *chosen = soma_equal(soma_expand_dims(indices, -1), classes);
    soma_tensor *log_p = logits ? soma_log_softmax(y_pred, -1) : log_probabilities(y_pred);
    return soma_neg(last_sum(soma_where(chosen, log_p, soma_scalar(indices->graph, y_pred->dtype, 0))));
}

soma_tensor *soma_sparse_categorical_crossentropy_from_logits(soma_tensor *y_true, soma_tensor *logits) {
    return sparse(y_true, logits, true);
}

soma_tensor *soma_sparse_categorical_crossentropy(soma_tensor *y_true, soma_tensor *y_pred) {
    if (loss_is_softmax(y_pred)) return sparse(y_true, y_pred->logits, true);
    return sparse(y_true, y_pred, false);
}

soma_tensor *loss_sparse_parts(soma_tensor *y_true, soma_tensor *y_pred, const double *parameters,
                               soma_tensor **counts) {
    soma_tensor *indices = loss_indices("sparse_categorical_crossentropy", y_true, y_pred);
    *counts = NULL;
    if (!indices) return NULL;
    if (parameters[1] != 0) y_pred = soma_softmax(y_pred);
    if (!isnan(parameters[0])) *counts = soma_not_equal(indices, soma_scalar(indices->graph, SOMA_I64, parameters[0]));
    return soma_sparse_categorical_crossentropy(indices, y_pred);
}

/* The mean of what is left when samples of one class count nothing. */
soma_tensor *loss_sparse_ignoring(soma_tensor *y_true, soma_tensor *y_pred, const double *parameters) {
    soma_tensor *counts, *values = loss_sparse_parts(y_true, y_pred, parameters, &counts);
    return counts ? loss_mean_of(values, counts) : values;
}

soma_tensor *loss_mean_of(soma_tensor *values, soma_tensor *counts) {
    if (!values || !counts) return NULL;
    soma_tensor *share = soma_mean(soma_stop_gradient(soma_cast(counts, values->dtype)), SOMA_ALL_AXES, false);
    soma_tensor *none = soma_scalar(values->graph, values->dtype, 0);
    soma_tensor *least = soma_scalar(values->graph, values->dtype, epsilon / (double)soma_size(values));
    return soma_div(soma_where(counts, values, none), soma_maximum(share, least));
}

/* 1 - p^q of the right class, over q */
soma_tensor *loss_generalized(soma_tensor *y_true, soma_tensor *y_pred, const double *parameters) {
    double q = parameters[0];
    soma_tensor *indices = loss_indices("categorical_generalized_cross_entropy", y_true, y_pred);
    if (!indices) return NULL;
    soma_tensor *chosen = soma_one_hot(indices, soma_dim(y_pred, -1), y_pred->dtype);
    soma_tensor *p = last_sum(soma_mul(y_pred, chosen));
    return soma_mul_scalar(one_minus(soma_pow_scalar(p, q)), 1 / q);
}

soma_tensor *soma_categorical_generalized_cross_entropy(soma_tensor *y_true, soma_tensor *y_pred) {
    return loss_generalized(y_true, y_pred, (const double[]){0.5});
}

static const name_entry entries[] = {
#define LOSS(text, fn, y_true) {.name = text, .function = (soma_function *)fn, .labels = y_true},
#include "nn/losses.def"
#undef LOSS
};

static const char *const names[] = {
#define LOSS(text, fn, y_true) text,
#include "nn/losses.def"
#undef LOSS
    NULL};

const name_table loss_names = {"loss", entries, sizeof entries / sizeof *entries, names, 0};
