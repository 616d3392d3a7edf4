/* Losses of embeddings: what belongs together is to be near, what does not is to be far.
 * Rests on ops and losses.h. Contrastive from distances; triplets and circles from the classes of a batch, in which
 * every pair is looked at, (batch, batch) numbers. Circle loss is Keras', the others the well-known ones.
 * Losses that only some samples have are scaled, so that their mean is over those that count. */
#include <math.h>

#include "nn/losses.h"
#include "tensor/node.h"

static soma_tensor *like(soma_tensor *x, double value) {
    return x ? soma_scalar(x->graph, x->dtype, value) : NULL;
}
static soma_tensor *positive(soma_tensor *x) {
    return soma_maximum(x, like(x, 0));
}
static soma_tensor *one_minus(soma_tensor *x) {
    return soma_add_scalar(soma_neg(x), 1);
}

/* ---- distances ---- */

soma_tensor *loss_contrastive(soma_tensor *y_true, soma_tensor *y_pred, const double *parameters) {
    soma_tensor *y = loss_align("contrastive", y_true, y_pred);
    soma_tensor *apart = soma_square(positive(soma_add_scalar(soma_neg(y_pred), parameters[0])));
    soma_tensor *values = soma_add(soma_mul(y, soma_square(y_pred)), soma_mul(one_minus(y), apart));
    return values && values->rank > 1 ? soma_mean(values, SOMA_AXES(-1), false) : values;
}

soma_tensor *soma_contrastive(soma_tensor *y_true, soma_tensor *y_pred) {
    return loss_contrastive(y_true, y_pred, (const double[]){1});
}

/* |a - b| along the last axis, with a slope of 0 where it is 0 */
static soma_tensor *length(soma_tensor *squares) {
    soma_tensor *none = soma_less_equal(squares, like(squares, 0));
    soma_tensor *root = soma_sqrt(soma_where(none, like(squares, 1), squares));
    return soma_where(none, like(squares, 0), root);
}

static soma_tensor *distance(soma_tensor *a, soma_tensor *b, double epsilon) {
    return length(soma_sum(soma_square(soma_add_scalar(soma_sub(a, b), epsilon)), SOMA_AXES(-1), false));
}

soma_tensor *soma_triplet_margin(soma_tensor *anchor, soma_tensor *same, soma_tensor *other, double margin) {
    soma_tensor *near = distance(anchor, same, 1e-6), *far = distance(anchor, other, 1e-6);
    return positive(soma_add_scalar(soma_sub(near, far), margin));
}

/* ---- classes of a batch ---- */

typedef struct pairs {
    soma_tensor *same, *other; /* (batch, batch) bool; a sample is no pair with itself */
    int64_t n;
} pairs;

static bool pairs_of(const char *name, soma_tensor *y_true, soma_tensor *y_pred, pairs *p) {
    if (!y_true || !y_pred) return false;
    soma_tensor *y = y_true;
    if (y->rank == 2 && y->shape[1] == 1) y = soma_squeeze(y, 1);
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    if (!y || y->rank != 1 || y_pred->rank != 2 || y->shape[0] != y_pred->shape[0]) {
        (void)error_set(y_true->graph->context, SOMA_SHAPE,
                        "[%s] y_true %s and y_pred %s: a class and an embedding a sample are needed, (batch) and "
                        "(batch, n)",
                        name, tensor_shape_text(a, y_true), tensor_shape_text(b, y_pred));
        return false;
    }
    y = soma_cast(y, SOMA_I64);
    soma_tensor *i = soma_arange(y_true->graph, SOMA_I64, 0, (double)y_pred->shape[0], 1);
    soma_tensor *equal = soma_equal(soma_expand_dims(y, 1), y);
    p->n = y_pred->shape[0];
    p->same = soma_logical_and(equal, soma_not_equal(soma_expand_dims(i, 1), i));
    p->other = soma_logical_not(equal);
    return p->same && p->other;
}

/* |x_i - x_j| of all pairs */
static soma_tensor *distances(soma_tensor *x) {
    return distance(soma_expand_dims(x, 1), soma_expand_dims(x, 0), 0);
}

soma_tensor *loss_triplet_hard(soma_tensor *y_true, soma_tensor *y_pred, const double *parameters) {
    pairs p;
    if (!pairs_of("triplet_hard", y_true, y_pred, &p)) return NULL;
    soma_tensor *d = distances(y_pred);
    soma_tensor *farthest = soma_max(soma_where(p.same, d, like(d, 0)), SOMA_AXES(1), false);
    soma_tensor *nearest = soma_min(soma_where(p.other, d, like(d, 1e30)), SOMA_AXES(1), false);
    return positive(soma_add_scalar(soma_sub(farthest, nearest), parameters[0]));
}

soma_tensor *soma_triplet_hard(soma_tensor *y_true, soma_tensor *y_pred) {
    return loss_triplet_hard(y_true, y_pred, (const double[]){1});
}

/* For each pair of one class the nearest of another class that is farther away than the pair; if there is none, the
 * farthest. */
soma_tensor *loss_triplet_semi_hard(soma_tensor *y_true, soma_tensor *y_pred, const double *parameters) {
    pairs p;
    if (!pairs_of("triplet_semi_hard", y_true, y_pred, &p)) return NULL;
    soma_tensor *d = distances(y_pred);          /* (anchor, other) */
    soma_tensor *pair = soma_expand_dims(d, 2);  /* (anchor, same, 1) */
    soma_tensor *third = soma_expand_dims(d, 1); /* (anchor, 1, other) */
    soma_tensor *beyond = soma_logical_and(soma_expand_dims(p.other, 1), soma_greater(third, pair));
    soma_tensor *nearest = soma_min(soma_where(beyond, third, like(d, 1e30)), SOMA_AXES(2), false);
    soma_tensor *farthest = soma_max(soma_where(p.other, d, like(d, 0)), SOMA_AXES(1), true);
    soma_tensor *chosen = soma_where(soma_less(nearest, like(d, 1e29)), nearest, farthest);
    soma_tensor *loss = positive(soma_add_scalar(soma_sub(d, chosen), parameters[0]));
    return soma_mean(loss_mean_of(loss, p.same), SOMA_AXES(1), false);
}

soma_tensor *soma_triplet_semi_hard(soma_tensor *y_true, soma_tensor *y_pred) {
    return loss_triplet_semi_hard(y_true, y_pred, (const double[]){1});
}

/* ---- circle: gamma, margin ---- */

/* log of the sum of e^x over those that count, along the last axis; far below zero where none does */
static soma_tensor *log_sum(soma_tensor *counts, soma_tensor *x) {
    return soma_logsumexp(soma_where(counts, x, like(x, -1e30)), 1, false);
}

soma_tensor *loss_circle(soma_tensor *y_true, soma_tensor *y_pred, const double *parameters) {
    double gamma = parameters[0], margin = parameters[1];
    pairs p;
    if (!pairs_of("circle", y_true, y_pred, &p)) return NULL;
    soma_tensor *d = positive(one_minus(soma_matmul(y_pred, soma_transpose(y_pred, NULL))));
    soma_tensor *same = positive(soma_add_scalar(d, margin));
    soma_tensor *other = positive(soma_add_scalar(soma_neg(d), 1 + margin));
    same = soma_mul_scalar(soma_mul(same, soma_add_scalar(d, -margin)), gamma);
    other = soma_mul_scalar(soma_mul(other, soma_add_scalar(soma_neg(d), 1 - margin)), gamma);
    soma_tensor *loss = soma_softplus(soma_add(log_sum(p.same, same), log_sum(p.other, other)));
    return loss ? loss_mean_of(loss, soma_greater(loss, like(loss, 0))) : NULL;
}

soma_tensor *soma_circle(soma_tensor *y_true, soma_tensor *y_pred) {
    return loss_circle(y_true, y_pred, (const double[]){80, 0.4});
}
