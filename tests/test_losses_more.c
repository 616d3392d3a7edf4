/* Losses of embeddings, losses that leave samples out, masks that reach the output; weights beside them.
 * Rests on cmocka and losses_more_golden.h. What a mask does to a training is held against the same data without what
 * the mask hides. */
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
#include "support/needs.h"
#include "support/scratch.h"

enum { N = 7, D = 3 };

/* Values, and the slopes of their sum with weights. */
static void check(const char *what, soma_tensor *loss, soma_tensor *x, const double *values, const double *dx) {
    soma_tensor *c = soma_array(NULL, SOMA_F64, SOMA_DIMS(N), pair_weights), *gradient = NULL;
    expect_all(what, loss, values, N, 1e-10);
    expect_ok(soma_grad(soma_sum(soma_mul(loss, c), SOMA_ALL_AXES, false), &x, 1, &gradient));
    expect_all(what, gradient, dx, soma_size(x), 1e-9);
}

/* ---- embeddings ---- */

static soma_tensor *unit(soma_tensor *x) {
    return soma_mul(x, soma_rsqrt(soma_sum(soma_square(x), SOMA_AXES(-1), true)));
}

static void embeddings_are_compared(void **state) {
    (void)state;
    soma_tensor *x = soma_array(NULL, SOMA_F64, SOMA_DIMS(N, D), pair_embeddings);
    soma_tensor *y = soma_array(NULL, SOMA_I64, SOMA_DIMS(N), pair_classes), *column = soma_expand_dims(y, 1);
    check("hard", soma_triplet_hard(y, x), x, hard_values, hard_gradient);
    check("semi hard", soma_triplet_semi_hard(column, x), x, semi_hard_values, semi_hard_gradient);
    check("circle", soma_circle(y, unit(x)), x, circle_values, circle_gradient);
    soma_loss hard = soma_triplet_hard_loss(0.3), semi = soma_triplet_semi_hard_loss(0.3);
    soma_loss circle = soma_circle_loss(5, 0.25);
    check("hard 0.3", hard.build(column, x, hard.parameters), x, hard_margin_values, hard_margin_gradient);
    check("semi 0.3", semi.build(y, x, semi.parameters), x, semi_hard_margin_values, semi_hard_margin_gradient);
    check("circle 5", circle.build(y, unit(x), circle.parameters), x, circle_options_values, circle_options_gradient);
    soma_tensor *thirds = soma_array(NULL, SOMA_F64, SOMA_DIMS(2, N, D), triplet_thirds);
    soma_tensor *same = soma_slice(thirds, "0"), *other = soma_slice(thirds, "1");
    check("triplet", soma_triplet_margin(x, same, other, 0.7), x, triplet_values, triplet_gradient);
    assert_null(soma_triplet_hard(y, y));
    expect_error(SOMA_SHAPE, "[triplet_hard] y_true (7,) and y_pred (7,): a class and an embedding a sample");
}

static void distances_are_contrasted(void **state) {
    (void)state;
    int32_t together[N];
    for (int i = 0; i < N; i++)
        together[i] = pair_classes[i] == 0;
    soma_tensor *d = soma_array(NULL, SOMA_F64, SOMA_DIMS(N), contrastive_distances);
    soma_tensor *y = soma_array(NULL, SOMA_I32, SOMA_DIMS(N), together);
    soma_loss loss = soma_contrastive_loss(1.2);
    expect_all("contrastive", loss.build(y, d, loss.parameters), contrastive_values, N, 1e-12);
    soma_tensor *column = soma_contrastive(soma_expand_dims(y, 1), soma_expand_dims(d, 1)); /* margin 1 */
    for (int i = 0; i < N; i++) {
        double x = contrastive_distances[i], apart = x < 1 ? (1 - x) * (1 - x) : 0;
        assert_true(fabs(soma_item(column, i) - (together[i] ? x * x : apart)) < 1e-12);
    }
}

/* A class of one sample, or one class alone, is no reason for numbers that are none. */
static void lonely_samples_are_no_nan(void **state) {
    (void)state;
    soma_loss_fn *const losses[] = {soma_triplet_hard, soma_triplet_semi_hard, soma_circle};
    for (int k = 0; k < 3; k++) {
        for (int c = 0; c < 2; c++) { /* all alone; all one class */
            soma_tensor *x = unit(soma_array(NULL, SOMA_F32, SOMA_DIMS(3, 2), (float[]){1, 2, 3, 4, 1, 2}));
            soma_tensor *y = soma_array(NULL, SOMA_I32, SOMA_DIMS(3), c ? (int32_t[]){1, 1, 1} : (int32_t[]){0, 1, 2});
            soma_tensor *loss = losses[k](y, x), *dx = NULL;
            expect_ok(soma_grad(loss, &x, 1, &dx));
            for (int i = 0; i < 6; i++)
                assert_true(isfinite(soma_item(loss, i % 3)) && isfinite(soma_item(dx, i)));
        }
    }
}

/* ---- samples that do not count ---- */

static void classes_are_ignored(void **state) {
    (void)state;
    soma_tensor *x = soma_array(NULL, SOMA_F64, SOMA_DIMS(N, 4), class_scores), *dx = NULL;
    soma_tensor *y = soma_array(NULL, SOMA_I64, SOMA_DIMS(N), ignored_targets);
    soma_loss loss = soma_sparse_categorical_crossentropy_loss(255);
    soma_tensor *mean = soma_mean(loss.build(y, soma_softmax(x), loss.parameters), SOMA_ALL_AXES, false);
    expect_all("mean", mean, ignored_mean, 1, 1e-12);
    expect_ok(soma_grad(mean, &x, 1, &dx));
    expect_all("gradient", dx, ignored_gradient, N * 4, 1e-11);
    soma_tensor *none = soma_full(NULL, SOMA_I64, SOMA_DIMS(N), 255);
    assert_true(soma_item(soma_mean(loss.build(none, x, loss.parameters), SOMA_ALL_AXES, false), 0) == 0);
}

static void wrong_labels_are_borne(void **state) {
    (void)state;
    soma_tensor *x = soma_array(NULL, SOMA_F64, SOMA_DIMS(N, 4), class_scores);
    soma_tensor *y = soma_array(NULL, SOMA_I64, SOMA_DIMS(N), pair_classes);
    soma_loss loss = soma_generalized_cross_entropy_loss(0.3);
    check("generalized", loss.build(y, soma_softmax(x), loss.parameters), x, generalized_values, generalized_gradient);
    soma_loss half = soma_generalized_cross_entropy_loss(0.5);
    soma_tensor *with = half.build(y, soma_softmax(x), half.parameters);
    soma_tensor *plain = soma_categorical_generalized_cross_entropy(y, soma_softmax(x));
    for (int i = 0; i < N; i++) /* (1 - p^0.5) / 0.5 */
        assert_true(soma_item(with, i) > 0 && soma_item(plain, i) == soma_item(with, i));
}

/* Labels of the ignored class pass fit's check; others out of range do not. */
static void fit_knows_the_ignored(void **state) {
    (void)state;
    NEEDS(JANSSON);
    float x[8];
    int32_t y[8] = {0, 1, -1, 1, 0, -1, 0, 1};
    for (int i = 0; i < 8; i++)
        x[i] = (float)(y[i] < 0 ? 100 : y[i]);
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(8, 1), x},
                                                  (soma_array_data){SOMA_I32, SOMA_DIMS(8), y}, true);
    soma_model *net = soma_sequential(soma_dense(2, .activation = soma_softmax, .input_shape = {1}));
    expect_ok(soma_model_compile_json(net, "{\"optimizer\": {\"sgd\": {\"learning_rate\": 1}}, \"loss\": "
                                           "{\"sparse_categorical_crossentropy\": {\"ignore_class\": -1}}}"));
    expect_ok(soma_fit(net, data, .epochs = 60, .batch_size = 8));
    assert_true(soma_history_get(net, "loss", -1) < 0.1); /* which the samples at 100 would not let happen */
    const char *path = scratch_path("ignore.soma");
    expect_ok(soma_save(net, path));
    soma_model *again = soma_load(NULL, path);
    if (!again) fail_msg("%s", soma_last_error(NULL));
    assert_true(soma_evaluate(again, data).loss == soma_evaluate(net, data).loss);
    soma_model_destroy(again);
    y[2] = 7;
    assert_int_equal(soma_fit(net, data), SOMA_INVALID);
    expect_error(SOMA_INVALID, "label 7 is out of range");
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

/* Where labels say yes or no; shares between are as good, for binary cross-entropies. */
static void labels_are_yes_or_no(void **state) {
    (void)state;
    float x[4] = {1, 2, 3, 4}, y[4] = {0, 1, 1, 2};
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(4, 1), x},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(4, 1), y}, true);
    const struct {
        soma_loss with;
        soma_loss_fn *loss;
        float label;
        bool fits;
    } cases[] = {{{NULL, {0}}, soma_binary_crossentropy, 2, false},
                 {{NULL, {0}}, soma_binary_crossentropy, -1, false},
                 {{NULL, {0}}, soma_binary_crossentropy, 0, true},
                 {{NULL, {0}}, soma_binary_crossentropy, 0.75f, true},
                 {{NULL, {0}}, soma_binary_crossentropy_from_logits, 3, false},
                 {{NULL, {0}}, soma_binary_crossentropy_from_logits, 1, true},
                 {{NULL, {0}}, soma_hinge, 2, false},
                 {{NULL, {0}}, soma_squared_hinge, -2, false},
                 {{NULL, {0}}, soma_hinge, -1, true},
                 {{NULL, {0}}, soma_mean_squared_error, 9, true},
                 {{NULL, {0}}, soma_binary_focal_crossentropy, 2, false},
                 {soma_binary_crossentropy_loss(0.1), NULL, 2, false},
                 {soma_binary_crossentropy_loss(0.1), NULL, 1, true},
                 {soma_binary_focal_loss(2, 0.25, true, 0), NULL, -1, false},
                 {soma_binary_focal_loss(2, 0.25, true, 0), NULL, 0.5f, true},
                 {soma_generalized_cross_entropy_loss(0.5), NULL, 7, false},
                 {soma_huber_loss(2), NULL, 9, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        soma_model *net = soma_sequential(soma_dense(1, .activation = soma_sigmoid, .input_shape = {1}));
        expect_ok(soma_compile(net, .optimizer = soma_sgd(), .loss = cases[i].loss, .loss_with = cases[i].with));
        y[3] = cases[i].label;
        if (cases[i].fits) {
            expect_ok(soma_fit(net, data));
        } else {
            assert_int_equal(soma_fit(net, data), SOMA_INVALID);
            expect_error(SOMA_INVALID, "is out of range");
        }
        soma_model_destroy(net);
    }
    soma_dataset_destroy(data);
}

/* ---- masks ---- */

enum { SAMPLES = 6, STEPS = 4 };

static soma_model *tagger(void) {
    soma_set_random_seed(NULL, 4);
    soma_model *net = soma_sequential(soma_embedding(5, 3, .mask_zero = true, .input_shape = {STEPS}),
                                      soma_dense(3, .activation = soma_softmax));
    expect_ok(
        soma_compile(net, .optimizer = soma_sgd(.learning_rate = 0.5), .loss = soma_sparse_categorical_crossentropy));
    return net;
}

/* The mean over steps that count is the mean over these steps alone, each a sample. */
static void masks_weigh_the_loss(void **state) {
    (void)state;
    static const int32_t words[SAMPLES][STEPS] = {{1, 2, 3, 0}, {4, 0, 0, 0}, {2, 2, 0, 0},
                                                  {3, 1, 4, 2}, {1, 0, 0, 0}, {4, 3, 0, 0}};
    int32_t tags[SAMPLES][STEPS], few_words[SAMPLES * STEPS][1], few_tags[SAMPLES * STEPS][1];
    int n = 0;
    for (int i = 0; i < SAMPLES; i++) {
        for (int t = 0; t < STEPS; t++) {
            tags[i][t] = words[i][t] % 3; /* also where nothing counts */
            if (words[i][t] == 0) continue;
            few_words[n][0] = words[i][t];
            few_tags[n++][0] = tags[i][t];
        }
    }
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_I32, SOMA_DIMS(SAMPLES, STEPS), words},
                                                  (soma_array_data){SOMA_I32, SOMA_DIMS(SAMPLES, STEPS), tags}, true);
    soma_dataset *few = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_I32, SOMA_DIMS(n, 1), few_words},
                                                 (soma_array_data){SOMA_I32, SOMA_DIMS(n, 1), few_tags}, true);
    soma_set_random_seed(NULL, 4);
    soma_model *net = tagger();
    soma_set_random_seed(NULL, 4);
    soma_model *other = soma_sequential(soma_embedding(5, 3, .mask_zero = true, .input_shape = {1}),
                                        soma_dense(3, .activation = soma_softmax));
    expect_ok(
        soma_compile(other, .optimizer = soma_sgd(.learning_rate = 0.5), .loss = soma_sparse_categorical_crossentropy));
    assert_true(fabs(soma_evaluate(net, data).loss - soma_evaluate(other, few).loss) < 1e-6);
    expect_ok(soma_fit(net, data, .epochs = 5, .batch_size = SAMPLES, .no_shuffle = true));
    expect_ok(soma_fit(other, few, .epochs = 5, .batch_size = n, .no_shuffle = true));
    for (int layer = 0; layer < 2; layer++) {
        float a[64], b[64];
        soma_variable *v = soma_layer_get_weight(soma_model_get_layer(net, layer), 0);
        soma_variable *w = soma_layer_get_weight(soma_model_get_layer(other, layer), 0);
        size_t size = (size_t)soma_variable_size(v) * sizeof *a;
        expect_ok(soma_variable_get(v, a, size));
        expect_ok(soma_variable_get(w, b, size));
        for (size_t i = 0; i < size / sizeof *a; i++)
            assert_true(fabsf(a[i] - b[i]) < 1e-5f);
    }
    soma_model_destroy(net);
    soma_model_destroy(other);
    soma_dataset_destroy(data);
    soma_dataset_destroy(few);
}

/* Keras: smoothed labels are (1 - s) y + s / 2 and + s / classes. */
static void smoothing_is_keras(void **state) {
    (void)state;
    const double y[] = {1, 0, 0, 1, 0, 0}, p[] = {0.7, 0.2, 0.1, 0.3, 0.3, 0.4};
    soma_tensor *t = soma_array(NULL, SOMA_F64, SOMA_DIMS(2, 3), y);
    soma_tensor *q = soma_array(NULL, SOMA_F64, SOMA_DIMS(2, 3), p);
    soma_loss binary = soma_binary_crossentropy_loss(0.2), several = soma_categorical_crossentropy_loss(0.3);
    for (int i = 0; i < 2; i++) {
        double b = 0, c = 0;
        for (int k = 0; k < 3; k++) {
            double s = y[3 * i + k] * 0.8 + 0.1, m = y[3 * i + k] * 0.7 + 0.1, x = p[3 * i + k];
            b -= (s * log(x) + (1 - s) * log(1 - x)) / 3;
            c -= m * log(x);
        }
        assert_true(fabs(soma_item(binary.build(t, q, binary.parameters), i) - b) < 1e-12);
        assert_true(fabs(soma_item(several.build(t, q, several.parameters), i) - c) < 1e-12);
    }
}

/* ---- reductions ---- */

/* A model that gives what it is given, and its loss for two samples of two steps. */
static double loss_of(const char *compile, bool masked, const double *weights) {
    soma_model *net = soma_model_from_json(
        NULL, masked ? "{\"layers\": [{\"masking\": {\"input_shape\": [2, 2]}}, {\"activation\": \"linear\"}]}"
                     : "{\"layers\": [{\"activation\": {\"activation\": \"linear\", \"input_shape\": [2, 2]}}]}");
    assert_non_null(net);
    expect_ok(soma_model_compile_json(net, compile));
    const float x[] = {1, 3, 0, 0, 2, -1, 4, 4}, y[] = {0, 0, 5, 5, 1, 1, 4, 3};
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(2, 2, 2), x},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(2, 2, 2), y}, true);
    expect_ok(soma_save(net, scratch_path("reduction.soma")));
    soma_model *again = soma_load(NULL, scratch_path("reduction.soma"));
    if (!again) fail_msg("%s", soma_last_error(NULL));
    const soma_scores s = soma_evaluate(net, data, .sample_weight = weights);
    expect_ok(s.status);
    assert_true(soma_evaluate(again, data, .sample_weight = weights).loss == s.loss);
    soma_dataset_destroy(data);
    soma_model_destroy(again);
    soma_model_destroy(net);
    return s.loss;
}

/* One value a batch, or one along axes; saved and loaded as it was given. x and y as above, sums written out. */
static void overlaps_have_axes(void **state) {
    (void)state;
    NEEDS(JANSSON);
    const double all = 1 - 2 * (2. - 1 + 16 + 12) / (1 + 3 + 2 - 1 + 8 + 5 + 5 + 1 + 1 + 4 + 3 + 1e-7);
    const double first = 1 - 0. / (4 + 10), second = 1 - 2 * 29. / (9 + 9);
    expect_near("dice", loss_of("{\"loss\": \"dice\"}", false, NULL), all, 1e-6);
    expect_near("dice, null", loss_of("{\"loss\": {\"dice\": {\"axis\": null}}}", false, NULL), all, 1e-6);
    expect_near("dice of samples", loss_of("{\"loss\": {\"Dice\": {\"axis\": [1, 2]}}}", false, NULL),
                (first + second) / 2, 1e-6);
    static const double weights[] = {1, 3};
    expect_near("weighted", loss_of("{\"loss\": {\"Dice\": {\"axis\": [1, 2]}}}", false, weights),
                (first + 3 * second) / 2, 1e-6);
}

static void losses_are_summed_when_asked(void **state) {
    (void)state;
    NEEDS(JANSSON);
    static const char mean[] = "{\"loss\": {\"mse\": {\"reduction\": \"sum_over_batch_size\", \"axis\": -1}}}";
    static const char sum[] = "{\"loss\": {\"mse\": {\"reduction\": \"sum\"}}}";
    static const char huber[] =
        "{\"loss\": {\"class_name\": \"Huber\", \"config\": {\"delta\": 1e9, \"reduction\": \"sum\"}}}";
    static const double weights[] = {1, 3};
    /* of the four steps: (1 + 9) / 2, (25 + 25) / 2, (1 + 4) / 2, (0 + 1) / 2 */
    expect_near("mean", loss_of(mean, false, NULL), (5 + 25 + 2.5 + 0.5) / 4, 1e-6);
    expect_near("sum", loss_of(sum, false, NULL), 5 + 25 + 2.5 + 0.5, 1e-6);
    expect_near("huber", loss_of(huber, false, NULL), 33 / 2., 1e-6);
    expect_near("weighted", loss_of(sum, false, weights), 5 + 25 + 3 * (2.5 + 0.5), 1e-6);
    static const char by_weights[] = "{\"loss\": {\"mse\": {\"reduction\": \"mean_with_sample_weight\"}}}";
    expect_near("by weights", loss_of(by_weights, false, weights), (5 + 25 + 3 * (2.5 + 0.5)) / 8, 1e-6);
    expect_near("by no weights", loss_of(by_weights, false, NULL), (5 + 25 + 2.5 + 0.5) / 4, 1e-6);
    expect_near("masked by weights", loss_of(by_weights, true, weights), (5 + 3 * (2.5 + 0.5)) / 7, 1e-6);
    expect_near("masked mean", loss_of(mean, true, NULL), (5 + 2.5 + 0.5) / 3, 1e-6);
    expect_near("masked sum", loss_of(sum, true, NULL), 5 + 2.5 + 0.5, 1e-6);
    static const char *const wrong[][2] = {
        {"{\"loss\": {\"mse\": {\"reduction\": \"none\"}}}",
         "reduction must be one of sum_over_batch_size, mean, sum, mean_with_sample_weight"},
        {"{\"loss\": {\"mse\": {\"axis\": 1}}}", "the axis of mse is the last one, -1"},
        {"{\"loss\": {\"dice\": {\"axis\": \"all\"}}}", "dice: axis must be a number"},
        {"{\"loss\": {\"dice\": {\"axis\": [0, 9]}}}", "axis must be a list of axes, -8 to 7"},
        {"{\"loss\": {\"mse\": {\"delta\": 1}}}", "the loss 'mse' takes no numbers"},
        {"{\"loss\": {\"huber\": {\"delta\": 1, \"axes\": 1}}}", "huber has no number 'axes'"},
    };
    soma_model *net = soma_sequential(soma_dense(1, .input_shape = {1}));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_not_equal(soma_model_compile_json(net, wrong[i][0]), SOMA_OK);
        expect_error(soma_last_status(NULL), wrong[i][1]);
    }
    soma_model_destroy(net);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(embeddings_are_compared), TEST(distances_are_contrasted), TEST(lonely_samples_are_no_nan),
        TEST(classes_are_ignored),     TEST(wrong_labels_are_borne),   TEST(fit_knows_the_ignored),
        TEST(masks_weigh_the_loss),    TEST(smoothing_is_keras),       TEST(losses_are_summed_when_asked),
        TEST(overlaps_have_axes),      TEST(labels_are_yes_or_no),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
