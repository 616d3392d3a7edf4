/* CTC: the loss of sequences whose labels come in order but at unknown steps (Graves et al., 2006).
 * Rests on ops. All ways to spell the labels over the steps, with blanks between them, are summed by the forward
 * recurrence in logarithms, one step after the other; the gradient is autodiff's, which makes the backward recurrence.
 * Two states a label, "on it" and "on the blank after it", are kept apart, so no array of labels and blanks mixed is
 * ever made. */
#include <math.h>

#include "nn/losses.h"
#include "tensor/node.h"

static const double nothing = -1e30; /* the logarithm of no probability, which stays finite when doubled */

static soma_tensor *like(soma_tensor *x, double value) {
    return x ? soma_scalar(x->graph, x->dtype, value) : NULL;
}

/* log(e^a + e^b); the larger one is taken out, which changes no slope. */
static soma_tensor *log_add(soma_tensor *a, soma_tensor *b) {
    soma_tensor *m = soma_stop_gradient(soma_maximum(a, b));
    return soma_add(m, soma_log(soma_add(soma_exp(soma_sub(a, m)), soma_exp(soma_sub(b, m)))));
}

/* (batch, n) -> (batch, n + 1): a state further on, nothing in the first. */
static soma_tensor *further(soma_tensor *x) {
    return soma_pad(x, (const int64_t[]){0, 1}, (const int64_t[]){0, 0}, nothing);
}

/* What does not change from step to step, and the states: logarithms of the probability of all ways so far. */
typedef struct recurrence {
    int64_t steps, labels;
    soma_tensor *blank;  /* (batch, steps, 1): log of the blank's probability */
    soma_tensor *spell;  /* (batch, steps, labels): of each label's */
    soma_tensor *differ; /* (batch, labels): 0 where a label may follow its predecessor without a blank, else nothing */
    soma_tensor *length; /* (batch, 1) int64: steps that count; NULL: all */
    soma_tensor *blanks; /* (batch, labels + 1): on the blank after so many labels */
    soma_tensor *on;     /* (batch, labels): on label i */
} recurrence;

/* (batch, steps, n) -> (batch, n) */
static soma_tensor *at_step(soma_tensor *x, int64_t t) {
    return soma_squeeze(soma_slice_axis(x, 1, t, t + 1, 1), 1);
}

static void begin(recurrence *r) {
    const int64_t more[] = {0, r->labels};
    r->blanks = soma_pad(at_step(r->blank, 0), (const int64_t[]){0, 0}, more, nothing);
    if (r->labels == 0) return;
    soma_tensor *first = soma_slice_axis(at_step(r->spell, 0), 1, 0, 1, 1);
    r->on = soma_pad(first, (const int64_t[]){0, 0}, (const int64_t[]){0, r->labels - 1}, nothing);
}

/* Where a sample's steps are over, its states stay. */
static soma_tensor *in_time(const recurrence *r, int64_t t, soma_tensor *after, soma_tensor *before) {
    if (!r->length || !after) return after;
    return soma_where(soma_greater(r->length, soma_scalar(after->graph, SOMA_I64, (double)t)), after, before);
}

static void advance(recurrence *r, int64_t t) {
    soma_tensor *blank = at_step(r->blank, t);
    if (r->labels == 0) {
        r->blanks = in_time(r, t, soma_add(r->blanks, blank), r->blanks);
        return;
    }
    soma_tensor *after_label = further(r->on); /* (batch, labels + 1): the label that the blank follows */
    soma_tensor *blanks = soma_add(log_add(r->blanks, after_label), blank);
    soma_tensor *came = log_add(r->on, soma_slice_axis(r->blanks, 1, 0, r->labels, 1));
    soma_tensor *skipped = soma_add(soma_slice_axis(after_label, 1, 0, r->labels, 1), r->differ);
    soma_tensor *on = soma_add(log_add(came, skipped), at_step(r->spell, t));
    r->blanks = in_time(r, t, blanks, r->blanks);
    r->on = in_time(r, t, on, r->on);
}

/* The states in which the whole label is spelt. */
static soma_tensor *finish(const recurrence *r, soma_tensor *label_length) {
    soma_tensor *last = r->labels > 0 ? log_add(r->blanks, further(r->on)) : r->blanks;
    if (!last) return NULL;
    soma_tensor *chosen = soma_one_hot(label_length, r->labels + 1, SOMA_BOOL);
    soma_tensor *log_p = soma_sum(soma_where(chosen, last, like(last, 0)), SOMA_AXES(-1), false);
    soma_tensor *possible = soma_greater(log_p, like(log_p, nothing / 2));
    return soma_where(possible, soma_neg(log_p), like(log_p, (double)INFINITY));
}

static soma_tensor *lengths(const char *what, soma_tensor *given, soma_tensor *labels) {
    if (!given) return NULL;
    char a[SHAPE_TEXT];
    RETURN_NULL_IF(labels->graph->context, given->rank != 1 || given->shape[0] != labels->shape[0], SOMA_SHAPE,
                   "[ctc] %s are %s: one number a sample is needed, (%lld)", what, tensor_shape_text(a, given),
                   (long long)labels->shape[0]);
    return soma_cast(given, SOMA_I64);
}

/* 0 where a label differs from the one before it. */
static soma_tensor *repeats(soma_tensor *labels, soma_dtype dtype) {
    int64_t n = labels->shape[1];
    if (n == 0) return NULL;
    soma_tensor *before = soma_slice_axis(labels, 1, 0, n - 1, 1), *here = soma_slice_axis(labels, 1, 1, n, 1);
    soma_tensor *same = soma_mul_scalar(soma_cast(soma_equal(before, here), dtype), nothing);
    return soma_pad(same, (const int64_t[]){0, 1}, (const int64_t[]){0, 0}, 0);
}

soma_tensor *soma_ctc_loss(soma_tensor *labels, soma_tensor *logits, soma_tensor *label_lengths,
                           soma_tensor *input_lengths, int64_t blank) {
    if (!labels || !logits) return NULL;
    soma_context *context = labels->graph->context;
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    RETURN_NULL_IF(context,
                   labels->rank != 2 || logits->rank != 3 || labels->shape[0] != logits->shape[0] ||
                       logits->shape[1] < 1 || dtype_is_float(logits->dtype) == false,
                   SOMA_SHAPE, "[ctc] labels %s and logits %s: (batch, labels) and (batch, steps, classes) are needed",
                   tensor_shape_text(a, labels), tensor_shape_text(b, logits));
    RETURN_NULL_IF(context, blank < 0 || blank >= logits->shape[2], SOMA_INVALID,
                   "[ctc] the blank is class %lld of %lld", (long long)blank, (long long)logits->shape[2]);
    labels = soma_cast(labels, SOMA_I64);
    soma_tensor *length = lengths("label_lengths", label_lengths, labels);
    soma_tensor *steps = lengths("input_lengths", input_lengths, labels);
    soma_tensor *log_p = soma_log_softmax(logits, -1);
    if (!labels || !log_p || (label_lengths && !length) || (input_lengths && !steps)) return NULL;
    int64_t n = labels->shape[1];
    if (!length) length = soma_full(labels->graph, SOMA_I64, SOMA_DIMS(labels->shape[0]), (double)n);
    recurrence r = {.steps = logits->shape[1],
                    .labels = n,
                    .blank = soma_slice_axis(log_p, 2, blank, blank + 1, 1),
                    .differ = repeats(labels, log_p->dtype),
                    .length = steps ? soma_expand_dims(steps, 1) : NULL};
    if (n > 0) {
        soma_tensor *chosen = soma_one_hot(labels, logits->shape[2], log_p->dtype); /* (batch, labels, classes) */
        r.spell = soma_matmul(log_p, soma_transpose(chosen, (const int[]){0, 2, 1}));
    }
    begin(&r);
    for (int64_t t = 1; t < r.steps && r.blanks; t++)
        advance(&r, t);
    return finish(&r, length);
}

soma_tensor *soma_ctc(soma_tensor *y_true, soma_tensor *y_pred) {
    if (!y_true || !y_pred) return NULL;
    if (loss_is_softmax(y_pred)) y_pred = y_pred->logits;
    soma_tensor *zero = soma_scalar(y_true->graph, SOMA_I64, 0);
    soma_tensor *counts = soma_cast(soma_not_equal(soma_cast(y_true, SOMA_I64), zero), SOMA_I64);
    return soma_ctc_loss(y_true, y_pred, soma_sum(counts, SOMA_AXES(-1), false), NULL, 0);
}
