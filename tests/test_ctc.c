/* CTC: the loss and its slopes against PyTorch's, decoding against all ways to spell all labels, a network that learns.
 * Rests on cmocka and losses_more_golden.h. The brute force walks through every alignment of small cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include <soma/soma.h>

#include "losses_more_golden.h"
#include "support/expect.h"

enum { BATCH = 6, STEPS = 9, CLASSES = 5, LABELS = 4 };

static soma_tensor *integers(const int64_t *data, int64_t n) {
    return soma_array(NULL, SOMA_I64, SOMA_DIMS(n), data);
}

/* ---- the loss ---- */

static void check(const char *what, soma_tensor *loss, soma_tensor *x, const double *values, const double *dx,
                  double tolerance) {
    soma_tensor *c = soma_cast(soma_array(NULL, SOMA_F64, SOMA_DIMS(BATCH), ctc_weights), soma_tensor_dtype(x));
    soma_tensor *gradient = NULL;
    expect_all(what, loss, values, BATCH, tolerance);
    expect_ok(soma_grad(soma_sum(soma_mul(loss, c), SOMA_ALL_AXES, false), &x, 1, &gradient));
    expect_all(what, gradient, dx, (int64_t)BATCH * STEPS * CLASSES, tolerance);
}

static void loss_is_pytorchs(void **state) {
    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        soma_tensor *x = soma_array(NULL, SOMA_F64, SOMA_DIMS(BATCH, STEPS, CLASSES), ctc_logits);
        if (!wide) x = soma_cast(x, SOMA_F32);
        expect_ok(soma_eval(x));
        double tolerance = wide ? 1e-11 : 2e-5;
        soma_tensor *y = soma_array(NULL, SOMA_I64, SOMA_DIMS(BATCH, LABELS), ctc_labels);
        soma_tensor *lengths = integers((const int64_t[]){4, 3, 2, 1, 0, 4}, BATCH);
        soma_tensor *steps = integers(ctc_input_lengths, BATCH);
        check("ctc", soma_ctc(y, x), x, ctc_values, ctc_gradient, tolerance);
        check("lengths", soma_ctc_loss(y, x, lengths, steps, 0), x, ctc_lengths_values, ctc_lengths_gradient,
              tolerance);
        soma_tensor *less = soma_maximum(soma_sub(y, integers((const int64_t[]){1}, 1)), integers((int64_t[]){0}, 1));
        check("last", soma_ctc_loss(less, x, lengths, steps, CLASSES - 1), x, ctc_last_values, ctc_last_gradient,
              tolerance);
    }
}

/* What no steps suffice for: infinite, no slope; its neighbours keep theirs. */
static void the_impossible_is_infinite(void **state) {
    (void)state;
    soma_tensor *x = soma_array(NULL, SOMA_F64, SOMA_DIMS(2, 3, CLASSES), ctc_logits), *dx = NULL;
    soma_tensor *y = soma_array(NULL, SOMA_I32, SOMA_DIMS(2, 2), (int32_t[]){1, 1, 2, 3});
    soma_tensor *loss = soma_ctc_loss(y, x, NULL, integers((const int64_t[]){2, 2}, 2), 0);
    assert_true(isinf(soma_item(loss, 0)) && soma_item(loss, 0) > 0); /* two of a kind need a blank between */
    assert_true(isfinite(soma_item(loss, 1)));
    expect_ok(soma_grad(loss, &x, 1, &dx));
    double slope = 0;
    for (int64_t i = 0; i < 3 * CLASSES; i++) {
        assert_true(soma_item(dx, i) == 0);
        slope += fabs(soma_item(dx, 3 * CLASSES + i));
    }
    assert_true(slope > 0.1);
}

static void mistakes_are_told(void **state) {
    (void)state;
    soma_tensor *x = soma_array(NULL, SOMA_F64, SOMA_DIMS(2, 3, CLASSES), ctc_logits);
    soma_tensor *y = soma_array(NULL, SOMA_I64, SOMA_DIMS(3, 2), ctc_labels);
    assert_null(soma_ctc_loss(y, x, NULL, NULL, 0));
    expect_error(SOMA_SHAPE, "[ctc] labels (3,2) and logits (2,3,5): (batch, labels) and (batch, steps, classes)");
    y = soma_slice(y, "0:2");
    assert_null(soma_ctc_loss(y, x, NULL, NULL, 5));
    expect_error(SOMA_INVALID, "[ctc] the blank is class 5 of 5");
    assert_null(soma_ctc_loss(y, x, y, NULL, 0));
    expect_error(SOMA_SHAPE, "[ctc] label_lengths are (2,2)");
    int64_t labels[16], lengths[] = {4, 1};
    assert_int_equal(soma_ctc_greedy_decode(x, lengths, 0, labels, NULL), SOMA_INVALID);
    expect_error(SOMA_INVALID, "length 4 of sequence 0: there are 3 steps");
    assert_int_equal(
        soma_ctc_beam_decode(x, NULL, &(soma_ctc_beam_options){.beam_width = 2, .top_paths = 3}, labels, NULL),
        SOMA_INVALID);
    expect_error(SOMA_INVALID, "3 paths of a beam of 2");
}

/* ---- decoding ---- */

enum { MOST = 1000 };

typedef struct spelling {
    int64_t labels[8];
    double p;
} spelling;

/* The labels that an alignment spells, filled up by -1. */
static void collapse(const int64_t *alignment, int64_t steps, int64_t blank, int64_t *labels) {
    int64_t n = 0;
    for (int64_t t = 0; t < steps; t++)
        if (alignment[t] != blank && (t == 0 || alignment[t] != alignment[t - 1])) labels[n++] = alignment[t];
    while (n < steps)
        labels[n++] = -1;
}

static int by_probability(const void *a, const void *b) {
    double x = ((const spelling *)a)->p, y = ((const spelling *)b)->p;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Every alignment, its probability added to that of what it spells. */
static int brute_force(const double *logits, int64_t steps, int64_t classes, int64_t blank, spelling *out) {
    int n = 0;
    int64_t alignment[8] = {0}, total = 1;
    for (int64_t t = 0; t < steps; t++)
        total *= classes;
    for (int64_t a = 0; a < total; a++) {
        double p = 1;
        int64_t rest = a, labels[8];
        for (int64_t t = 0; t < steps; t++, rest /= classes) {
            double sum = 0;
            for (int64_t c = 0; c < classes; c++)
                sum += exp(logits[t * classes + c]);
            alignment[t] = rest % classes;
            p *= exp(logits[t * classes + alignment[t]]) / sum;
        }
        collapse(alignment, steps, blank, labels);
        int i = 0;
        while (i < n && memcmp(out[i].labels, labels, (size_t)steps * sizeof *labels) != 0)
            i++;
        assert_true(i < MOST);
        if (i == n) {
            memcpy(out[n].labels, labels, (size_t)steps * sizeof *labels);
            out[n++].p = 0;
        }
        out[i].p += p;
    }
    qsort(out, (size_t)n, sizeof *out, by_probability);
    return n;
}

/* A beam with room for everything finds all paths, in order, with their probabilities. */
static void beams_find_all(void **state) {
    (void)state;
    static spelling all[MOST];
    static const struct {
        int64_t steps, classes, blank;
    } cases[] = {{1, 3, 0}, {3, 3, 0}, {4, 3, 2}, {5, 3, 1}, {4, 4, 0}, {5, 2, 0}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int64_t steps = cases[k].steps, classes = cases[k].classes;
        soma_tensor *x = soma_array(NULL, SOMA_F64, SOMA_DIMS(1, steps, classes), ctc_logits + 7 * k);
        int n = brute_force(ctc_logits + 7 * k, steps, classes, cases[k].blank, all);
        static int64_t labels[MOST * 8];
        static double scores[MOST];
        soma_ctc_beam_options o = {.beam_width = MOST, .top_paths = n + 1, .blank = cases[k].blank};
        expect_ok(soma_ctc_beam_decode(x, NULL, &o, labels, scores));
        double sum = 0;
        for (int i = 0; i < n; i++) {
            assert_true(fabs(scores[i] - log(all[i].p)) < 1e-9);
            assert_memory_equal(labels + i * steps, all[i].labels, (size_t)steps * sizeof *labels);
            sum += exp(scores[i]);
        }
        assert_true(fabs(sum - 1) < 1e-12);
        assert_true(isinf(scores[n]) && scores[n] < 0); /* there are no more */
        /* the loss of the best path is its probability */
        int64_t length = 0;
        while (length < steps && labels[length] >= 0)
            length++;
        soma_tensor *y = soma_array(NULL, SOMA_I64, SOMA_DIMS(1, length), labels);
        assert_true(fabs(soma_item(soma_ctc_loss(y, x, NULL, NULL, cases[k].blank), 0) + scores[0]) < 1e-9);
    }
}

/* A narrow beam: what it finds has at most its true probability, and the first is the best of what it finds. */
static void narrow_beams_are_bounds(void **state) {
    (void)state;
    soma_tensor *x = soma_array(NULL, SOMA_F64, SOMA_DIMS(BATCH, STEPS, CLASSES), ctc_logits);
    int64_t labels[BATCH * 2 * STEPS], wide[BATCH * STEPS];
    double scores[BATCH * 2], best[BATCH];
    expect_ok(soma_ctc_beam_decode(x, ctc_input_lengths, &(soma_ctc_beam_options){.beam_width = 3, .top_paths = 2},
                                   labels, scores));
    expect_ok(soma_ctc_beam_decode(x, ctc_input_lengths, NULL, wide, best));
    for (int i = 0; i < BATCH; i++) {
        assert_true(scores[2 * i] >= scores[2 * i + 1] && best[i] >= scores[2 * i] - 1e-12);
        int64_t length = 0;
        while (length < STEPS && labels[2 * i * STEPS + length] >= 0)
            length++;
        soma_tensor *y = soma_array(NULL, SOMA_I64, SOMA_DIMS(1, length), labels + (ptrdiff_t)(2 * i * STEPS));
        soma_tensor *one = soma_slice_axis(x, 0, i, i + 1, 1), *steps = integers(&ctc_input_lengths[i], 1);
        double truth = -soma_item(soma_ctc_loss(y, one, NULL, steps, 0), 0);
        assert_true(scores[2 * i] <= truth + 1e-9);
    }
}

static void greedy_takes_the_likeliest(void **state) {
    (void)state;
    float x[2][5][3] = {{{0, 2, 0}, {0, 2, 1}, {3, 0, 0}, {0, 2, 0}, {0, 0, 4}},
                        {{0, 0, 1}, {0, 0, 1}, {0, 9, 0}, {9, 0, 0}, {9, 0, 0}}};
    soma_tensor *logits = soma_array(NULL, SOMA_F32, SOMA_DIMS(2, 5, 3), x);
    int64_t labels[10], expected[] = {1, 1, 2, -1, -1, 2, -1, -1, -1, -1}, lengths[] = {5, 2};
    double scores[2];
    expect_ok(soma_ctc_greedy_decode(logits, lengths, 0, labels, scores));
    assert_memory_equal(labels, expected, sizeof labels);
    double e = 0;
    for (int t = 0; t < 5; t++) {
        double sum = 0, most = 0;
        for (int c = 0; c < 3; c++) {
            sum += exp((double)x[0][t][c]);
            if ((double)x[0][t][c] > most) most = (double)x[0][t][c];
        }
        e += most - log(sum);
    }
    assert_true(fabs(scores[0] - e) < 1e-9);
}

/* ---- learning ---- */

/* Each sample shows the labels 1..3 as bumps at some steps; after training the greedy reading is right. */
static void a_network_learns_to_spell(void **state) {
    (void)state;
    enum { SAMPLES = 48, T = 10, N = 3 };
    static float x[SAMPLES][T][4];
    static int32_t y[SAMPLES][N];
    uint32_t random = 7;
    for (int i = 0; i < SAMPLES; i++) {
        int n = 0;
        for (int t = 0; t < T; t++) {
            random = random * 1664525U + 1013904223U;
            int label = t % 3 == 1 && n < N ? (int)(random >> 20) % 4 : 0;
            for (int c = 0; c < 4; c++)
                x[i][t][c] = (float)(c == label) + (float)((random >> (4 * c)) % 16) / 64;
            if (label > 0) y[i][n++] = label;
        }
    }
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, T, 4), x},
                                                  (soma_array_data){SOMA_I32, SOMA_DIMS(SAMPLES, N), y}, true);
    soma_model *net = soma_sequential(soma_dense(8, .activation = soma_tanh, .input_shape = {T, 4}), soma_dense(4));
    expect_ok(soma_compile(net, .optimizer = soma_adam(.learning_rate = 0.05), .loss = soma_ctc));
    expect_ok(soma_fit(net, data, .epochs = 40, .batch_size = 16));
    assert_true(soma_history_get(net, "loss", -1) < 0.2 * soma_history_get(net, "loss", 0));
    int64_t labels[SAMPLES * T];
    expect_ok(soma_ctc_greedy_decode(soma_predict(net, data), NULL, 0, labels, NULL));
    int right = 0;
    for (int i = 0; i < SAMPLES; i++) {
        bool same = true;
        for (int k = 0; k < N; k++)
            same = same && (y[i][k] == 0 ? labels[i * T + k] == -1 : labels[i * T + k] == y[i][k]);
        right += same;
    }
    assert_true(right >= SAMPLES - 2);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(loss_is_pytorchs),          TEST(the_impossible_is_infinite),
        TEST(mistakes_are_told),         TEST(beams_find_all),
        TEST(narrow_beams_are_bounds),   TEST(greedy_takes_the_likeliest),
        TEST(a_network_learns_to_spell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
