/* Metrics: a value per sample, averaged over the epoch and shown. metrics.def names them; losses are metrics too.
 * Rests on ops. "accuracy" and "crossentropy" choose by the shapes, as Keras' strings do.
 * The largest of a softmax is the largest of its logits, so an accuracy needs no softmax. */
#include <math.h>

#include "nn/losses.h"
#include "nn/metric.h"
#include "nn/names.h"
#include "ops/op.h"

typedef enum answer { ANSWER_BINARY, ANSWER_SPARSE, ANSWER_CATEGORICAL } answer;

static answer answer_of(const soma_tensor *y_true, const soma_tensor *y_pred) {
    int64_t classes = y_pred->rank > 0 ? y_pred->shape[y_pred->rank - 1] : 1;
    if (classes == 1) return ANSWER_BINARY;
    if (y_true->rank < y_pred->rank || y_true->shape[y_true->rank - 1] == 1) return ANSWER_SPARSE;
    return ANSWER_CATEGORICAL;
}

static soma_tensor *scores(soma_tensor *y_pred) {
    return y_pred && y_pred->logits && y_pred->op != &op_sigmoid ? y_pred->logits : y_pred;
}

static soma_tensor *hits(soma_tensor *a, soma_tensor *b) {
    return soma_cast(soma_equal(a, b), SOMA_F32);
}

soma_tensor *metric_binary_accuracy(soma_tensor *y_true, soma_tensor *y_pred, const double *numbers) {
    soma_tensor *y = loss_align("binary_accuracy", y_true, y_pred);
    if (!y) return NULL;
    soma_tensor *limit = soma_scalar(y->graph, y_pred->dtype, numbers[0]);
    return hits(soma_cast(soma_greater(y_pred, limit), y_pred->dtype), y);
}

soma_tensor *soma_binary_accuracy(soma_tensor *y_true, soma_tensor *y_pred) {
    return metric_binary_accuracy(y_true, y_pred, (const double[]){0.5});
}

soma_tensor *soma_categorical_accuracy(soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *y = loss_align("categorical_accuracy", y_true, y_pred);
    return hits(soma_argmax(y, -1, false), soma_argmax(scores(y_pred), -1, false));
}

soma_tensor *soma_sparse_categorical_accuracy(soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *y = loss_indices("sparse_categorical_accuracy", y_true, y_pred);
    return hits(y, soma_argmax(scores(y_pred), -1, false));
}

soma_tensor *soma_accuracy(soma_tensor *y_true, soma_tensor *y_pred) {
    if (!y_true || !y_pred) return NULL;
    switch (answer_of(y_true, y_pred)) {
    case ANSWER_BINARY:
        return soma_binary_accuracy(y_true, y_pred);
    case ANSWER_SPARSE:
        return soma_sparse_categorical_accuracy(y_true, y_pred);
    default:
        return soma_categorical_accuracy(y_true, y_pred);
    }
}

soma_tensor *soma_crossentropy(soma_tensor *y_true, soma_tensor *y_pred) {
    if (!y_true || !y_pred) return NULL;
    switch (answer_of(y_true, y_pred)) {
    case ANSWER_BINARY:
        return soma_binary_crossentropy(y_true, y_pred);
    case ANSWER_SPARSE:
        return soma_sparse_categorical_crossentropy(y_true, y_pred);
    default:
        return soma_categorical_crossentropy(y_true, y_pred);
    }
}

/* 1 where fewer than k classes have a higher score than the right one */
static soma_tensor *top_k(soma_tensor *indices, soma_tensor *y_pred, double k) {
    if (!indices) return NULL;
    soma_tensor *s = scores(y_pred);
    RETURN_NULL_IF(indices->graph->context, !(k >= 1), SOMA_INVALID, "[top_k] k is %g: it must be at least 1", k);
    soma_tensor *chosen = soma_one_hot(indices, soma_dim(s, -1), s->dtype);
    soma_tensor *right = soma_sum(soma_mul(chosen, s), SOMA_AXES(-1), true);
    soma_tensor *higher = soma_sum(soma_cast(soma_greater(s, right), SOMA_F32), SOMA_AXES(-1), false);
    return soma_cast(soma_less(higher, soma_scalar(s->graph, SOMA_F32, k)), SOMA_F32);
}

soma_tensor *metric_top_k(soma_tensor *y_true, soma_tensor *y_pred, const double *numbers) {
    soma_tensor *y = loss_align("top_k_categorical_accuracy", y_true, y_pred);
    return top_k(soma_argmax(y, -1, false), y_pred, numbers[0]);
}

soma_tensor *metric_sparse_top_k(soma_tensor *y_true, soma_tensor *y_pred, const double *numbers) {
    return top_k(loss_indices("sparse_top_k_categorical_accuracy", y_true, y_pred), y_pred, numbers[0]);
}

soma_tensor *soma_top_k_categorical_accuracy(soma_tensor *y_true, soma_tensor *y_pred) {
    return metric_top_k(y_true, y_pred, (const double[]){5});
}

soma_tensor *soma_sparse_top_k_categorical_accuracy(soma_tensor *y_true, soma_tensor *y_pred) {
    return metric_sparse_top_k(y_true, y_pred, (const double[]){5});
}

static const name_entry entries[] = {
#define METRIC(text, fn, end) {.name = text, .function = (soma_function *)fn, .finish = end},
#define METRIC_WITH(text, fn, numbered, end, count, has_list, number_names, defaults)                                  \
    {.name = text,                                                                                                     \
     .function = (soma_function *)fn,                                                                                  \
     .with = (soma_function *)numbered,                                                                                \
     .finish = end,                                                                                                    \
     .n = count,                                                                                                       \
     .list = has_list,                                                                                                 \
     .parameters = (const char *const[])number_names,                                                                  \
     .standard = (const double[])defaults},
#include "nn/metrics.def"
#undef METRIC
#undef METRIC_WITH
};

static const char *const names[] = {
#define METRIC(text, fn, end) text,
#define METRIC_WITH(text, fn, numbered, end, count, has_list, number_names, defaults) text,
#include "nn/metrics.def"
#undef METRIC
#undef METRIC_WITH
    NULL};

const name_table metric_names = {"metric", entries, sizeof entries / sizeof *entries, names, 0};
