/* Metrics of a whole epoch: in evaluate and fit, whatever the batches, against plain programs in double precision.
 * Rests on cmocka. The plain programs look at all samples at once and share no code with the library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <soma/soma.h>

#include "support/expect.h"
#include "support/needs.h"
#include "support/scratch.h"

enum { N = 101, CLASSES = 4 };

static float scores[N][CLASSES], probability[N], target[N];
static int64_t classes[N];

static int fill(void **state) {
    (void)reset(state);
    uint32_t r = 12345;
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < CLASSES; j++) {
            r = r * 1664525U + 1013904223U;
            scores[i][j] = (float)(r >> 8) / (float)(1 << 24);
        }
        r = r * 1664525U + 1013904223U;
        classes[i] = r >> 24 & 3;
        if (i % 3) scores[i][classes[i]] += 0.5f;
        probability[i] = scores[i][0] > 1 ? 1 : scores[i][0];
        target[i] = scores[i][1] > 0.6f;
    }
    return 0;
}

/* A model that hands its input on, measured in batches of three sizes; the metric must not see them. */
static void check(const char *name, int64_t columns, const float *x, soma_array_data y, double expected) {
    soma_model *net = soma_sequential(soma_activation(soma_linear, .input_shape = {columns}));
    soma_loss_fn *metric = soma_metric_by_name(NULL, name);
    if (!metric) fail_msg("%s", soma_last_error(NULL));
    soma_loss_fn *loss = y.rank == 1 && columns > 1 ? soma_sparse_categorical_crossentropy : soma_mean_squared_error;
    if (soma_compile(net, .loss = loss, .metrics = {soma_mean_absolute_error, metric, metric}) != SOMA_OK)
        fail_msg("%s", soma_last_error(NULL));
    if (loss != soma_mean_squared_error &&
        soma_compile(net, .loss = loss, .metrics = {loss, metric, metric}) != SOMA_OK)
        fail_msg("%s", soma_last_error(NULL));
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(N, columns), x}, y, true);
    static const int64_t sizes[] = {N, 32, 1};
    for (int i = 0; i < 3; i++) {
        soma_scores s = soma_evaluate(net, data, .batch_size = sizes[i]);
        if (s.status != SOMA_OK) fail_msg("%s: %s", name, soma_last_error(NULL));
        expect_near(name, s.metrics[1], expected, 2e-6);
        assert_true(s.metrics[1] == s.metrics[2]);
    }
    soma_dataset_destroy(data);
    soma_model_destroy(net);
}

static void check_binary(const char *name, double expected) {
    check(name, 1, probability, (soma_array_data){SOMA_F32, SOMA_DIMS(N), target}, expected);
}

static void binary_metrics(void **state) {
    (void)state;
    double hits = 0, said = 0, there = 0;
    for (int i = 0; i < N; i++) {
        bool positive = probability[i] > 0.5f;
        hits += positive && target[i] > 0;
        said += positive;
        there += target[i] > 0;
    }
    assert_true(hits > 5 && said > hits && there > hits);
    check_binary("precision", hits / said);
    check_binary("Recall", hits / there);
    check_binary("f1_score", 2 * hits / (said + there));
    double nothing = N - said - there + hits;
    check_binary("iou", (hits / (said + there - hits) + nothing / (N - hits)) / 2);
}

/* The share of pairs, one of each kind, in which the positive has the higher score, with scores rounded to what the 200
 * thresholds can tell apart. */
static void area_under_the_curve(void **state) {
    (void)state;
    double right = 0, pairs = 0;
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            if (target[i] < 0.5f || target[j] > 0.5f) continue;
            double a = ceil((double)probability[i] * 199), b = ceil((double)probability[j] * 199);
            right += a > b ? 1 : a == b ? 0.5 : 0;
            pairs++;
        }
    }
    assert_true(pairs > 100);
    check_binary("auc", right / pairs);
}

static void numbers(void **state) {
    (void)state;
    double squares = 0, sum = 0, sum_squares = 0;
    for (int i = 0; i < N; i++) {
        double y = (double)target[i], d = y - (double)probability[i];
        squares += d * d;
        sum += y;
        sum_squares += y * y;
    }
    check_binary("rmse", sqrt(squares / N));
    check_binary("r2_score", 1 - squares / (sum_squares - sum * sum / N));
}

/* Keras: an output whose truths are all alike counts 0, not minus infinity; no adjustment for too few samples. */
static void r2_of_truths_alike(void **state) {
    (void)state;
    const float y[] = {0.1f, 1, 0.1f, 2, 0.1f, 4}, p[] = {0, 1, 1, 2, 0.3f, 3};
    for (int regressors = 0; regressors < 4; regressors++) {
        soma_model *net = soma_sequential(soma_activation(soma_linear, .input_shape = {2}));
        soma_compile(net, .loss = soma_mean_squared_error,
                     .metrics_with = {soma_r2_metric(SOMA_UNIFORM_AVERAGE, regressors)});
        soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(3, 2), p},
                                                      (soma_array_data){SOMA_F32, SOMA_DIMS(3, 2), y}, true);
        const double r2 = (0 + 1 - 1 / (21 - 49 / 3.)) / 2;
        expect_near("r2", soma_evaluate(net, data).metrics[0], regressors == 1 ? 1 - (1 - r2) * 2 : r2, 1e-6);
        soma_dataset_destroy(data);
        soma_model_destroy(net);
    }
}

/* Of two numbers without an axis, there is one decision. */
static void numbers_alone(void **state) {
    (void)state;
    soma_tensor *one = soma_scalar(NULL, SOMA_F32, 1), *share = soma_scalar(NULL, SOMA_F32, 0.75);
    expect_all("counts", soma_precision(one, share), (const double[]){1, 0, 0, 0}, 4, 0);
    expect_all("accuracy", soma_accuracy(one, share), (const double[]){1}, 1, 0);
    expect_all("iou", soma_f1_score(one, share), (const double[]){1, 1, 1}, 3, 0);
}

static void metrics_of_classes(void **state) {
    (void)state;
    double hits[CLASSES] = {0}, said[CLASSES] = {0}, there[CLASSES] = {0}, f1 = 0, iou = 0, entropy = 0;
    double above = 0, above_right = 0;
    for (int i = 0; i < N; i++) {
        int best = 0;
        double total = 0;
        for (int j = 0; j < CLASSES; j++) {
            if (scores[i][j] > scores[i][best]) best = j;
            total += (double)scores[i][j];
            above += scores[i][j] > 0.5f;
            above_right += scores[i][j] > 0.5f && j == classes[i];
        }
        said[best]++;
        there[classes[i]]++;
        hits[best] += best == classes[i];
        entropy -= log((double)scores[i][classes[i]] / total) / N;
    }
    for (int j = 0; j < CLASSES; j++) {
        f1 += 2 * hits[j] / (said[j] + there[j]) / CLASSES;
        iou += hits[j] / (said[j] + there[j] - hits[j]) / CLASSES;
    }
    soma_array_data indices = {SOMA_I64, SOMA_DIMS(N), classes};
    check("f1", CLASSES, scores[0], indices, f1);
    check("mean_iou", CLASSES, scores[0], indices, iou);
    check("precision", CLASSES, scores[0], indices, above_right / above);
    check("recall", CLASSES, scores[0], indices, above_right / N);
    check("perplexity", CLASSES, scores[0], indices, exp(entropy));
    float onehot[N][CLASSES] = {{0}};
    for (int i = 0; i < N; i++)
        onehot[i][classes[i]] = 1;
    soma_array_data rows = {SOMA_F32, SOMA_DIMS(N, CLASSES), onehot};
    double right = 0, cosine = 0;
    for (int j = 0; j < CLASSES; j++)
        right += hits[j] / N;
    for (int i = 0; i < N; i++) {
        double squares = 0;
        for (int j = 0; j < CLASSES; j++)
            squares += (double)scores[i][j] * (double)scores[i][j];
        cosine += (double)scores[i][classes[i]] / sqrt(squares) / N;
    }
    check("f1", CLASSES, scores[0], rows, f1);
    check("categorical_accuracy", CLASSES, scores[0], rows, right);
    check("cosine_similarity", CLASSES, scores[0], rows, cosine);
    check("negative_cosine_similarity", CLASSES, scores[0], rows, -cosine);
}

/* ---- one of the user's own, in fit, in a file ---- */

/* The largest prediction would not add up; the variance does. */
static soma_tensor *moments(soma_tensor *y_true, soma_tensor *y_pred) {
    (void)y_true;
    soma_tensor *parts[] = {soma_add_scalar(soma_mul_scalar(y_pred, 0), 1), y_pred, soma_square(y_pred)};
    return soma_concat(parts, 3, -1);
}

static double variance(const double *sums, int64_t n, const double *numbers) {
    (void)n, (void)numbers;
    return sums[2] / sums[0] - sums[1] * sums[1] / sums[0] / sums[0];
}

static void metrics_of_the_users_own(void **state) {
    (void)state;
    NEEDS(JANSSON);
    soma_model *net = soma_sequential(soma_activation(soma_linear, .input_shape = {1}), soma_dense(1));
    assert_int_equal(soma_compile(net, .optimizer = soma_sgd(.learning_rate = SOMA_ZERO),
                                  .loss = soma_mean_squared_error, .metrics = {moments}, .finish = {variance}),
                     SOMA_OK);
    soma_variable *w = soma_layer_get_weight(soma_model_get_layer(net, 1), 0);
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(N, 1), probability},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(N), target}, true);
    assert_int_equal(soma_model_build(net, 1, (int64_t[]){1}), SOMA_OK);
    assert_int_equal(soma_variable_set(w, (float[]){1}, 4), SOMA_OK);
    double sum = 0, squares = 0;
    for (int i = 0; i < N; i++) {
        sum += (double)probability[i];
        squares += (double)probability[i] * (double)probability[i];
    }
    double expected = squares / N - sum * sum / N / N;
    if (soma_fit(net, data, .epochs = 2, .validation_split = 0.25) != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
    assert_string_equal(soma_history_name(net, 1), "metric");
    if (soma_fit(net, data, .epochs = 2) != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
    expect_near("fit", soma_history_get(net, "metric", -1), expected, 1e-6);
    soma_custom mine = {.name = "variance", .function = (soma_function *)moments, .finish = variance};
    assert_int_equal(soma_save(net, scratch_path("metric.soma"), .custom = {mine}), SOMA_OK);
    soma_model *again = soma_load(NULL, scratch_path("metric.soma"), .custom = {mine});
    if (!again) fail_msg("%s", soma_last_error(NULL));
    expect_near("loaded", soma_evaluate(again, data).metrics[0], expected, 1e-6);
    soma_dataset_destroy(data);
    soma_model_destroy(again);
    soma_model_destroy(net);
}

static void no_places_no_top_k(void **state) {
    (void)state;
    soma_tensor *p = soma_array(NULL, SOMA_F32, SOMA_DIMS(1, 3), (const float[]){0.5f, 0.2f, 0.3f});
    soma_tensor *y = soma_array(NULL, SOMA_I32, SOMA_DIMS(1), (const int32_t[]){1});
    const soma_metric one = soma_sparse_top_k_metric(1), none = soma_sparse_top_k_metric(0);
    assert_true(soma_item(one.build(y, p, one.numbers), 0) == 0);
    assert_null(none.build(y, p, none.numbers));
    expect_error(SOMA_INVALID, "[top_k] k is 0: it must be at least 1");
}

/* Precision at several thresholds, and what F is of each class, by plain loops; in files one line each. */
static void lists_make_several_metrics(void **state) {
    (void)state;
    NEEDS(JANSSON);
    static const double limits[] = {0.25, 0.75};
    double expected[2 + 2 * CLASSES], hits[CLASSES] = {0}, said[CLASSES] = {0}, there[CLASSES] = {0};
    for (int k = 0; k < 2; k++) {
        double right = 0, all = 0;
        for (int i = 0; i < N; i++) {
            all += scores[i][1] > limits[k];
            right += scores[i][1] > limits[k] && classes[i] == 1;
        }
        expected[k] = right / all;
    }
    for (int i = 0; i < N; i++) {
        int best = 0;
        for (int j = 1; j < CLASSES; j++)
            best = scores[i][j] > scores[i][best] ? j : best;
        hits[best] += best == classes[i];
        said[best]++;
        there[classes[i]]++;
    }
    for (int j = 0; j < CLASSES; j++) {
        expected[2 + j] = 2 * hits[j] / (said[j] + there[j]);
        expected[2 + CLASSES + j] = 5 * hits[j] / (said[j] + 4 * there[j]);
    }
    static const char *const names[] = {"precision_0.25",   "precision_0.75",   "f1_score_class_0", "f1_score_class_1",
                                        "f1_score_class_2", "f1_score_class_3", "fb_class_0",       "fb_class_1",
                                        "fb_class_2",       "fb_class_3"};
    soma_model *net = soma_sequential(soma_activation(soma_linear, .input_shape = {CLASSES}));
    expect_ok(soma_model_compile_json(
        net, "{\"loss\": \"sparse_categorical_crossentropy\", \"metrics\": ["
             "{\"precision\": {\"thresholds\": [0.25, 0.75], \"class_id\": 1}}, {\"f1_score\": {\"average\": null}},"
             "{\"class_name\": \"FBetaScore\", \"config\": {\"average\": \"none\", \"beta\": 2, \"name\": \"fb\"}}]}"));
    expect_ok(soma_save(net, scratch_path("several.soma")));
    soma_model *again = soma_load(NULL, scratch_path("several.soma"));
    if (!again) fail_msg("%s", soma_last_error(NULL));
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(N, CLASSES), scores},
                                                  (soma_array_data){SOMA_I64, SOMA_DIMS(N), classes}, true);
    for (int k = 0; k < 2; k++) {
        soma_model *one = k ? again : net;
        soma_scores s = soma_evaluate(one, data, .batch_size = 30);
        assert_int_equal(s.n_metrics, 2 + 2 * CLASSES);
        for (int i = 0; i < s.n_metrics; i++) {
            assert_string_equal(soma_metric_name(one, i), names[i]);
            expect_near(names[i], s.metrics[i], expected[i], 1e-6);
        }
    }
    static const struct {
        const char *metrics, *error;
    } wrong[] = {{"{\"recall\": {\"thresholds\": []}}", "recall makes 0 metrics"},
                 {"{\"recall\": {\"thresholds\": [\"a\"]}}", "recall: thresholds must be numbers"},
                 {"{\"f1_score\": {\"average\": \"all\"}}", "average must be one of macro, none, micro, weighted"},
                 {"{\"f1_score\": {\"class_id\": \"all\"}}", "class_id must be a number"}};
    for (int i = 0; i < 4; i++) {
        char json[200];
        snprintf(json, sizeof json, "{\"loss\": \"mse\", \"metrics\": [%s]}", wrong[i].metrics);
        assert_int_equal(soma_model_compile_json(net, json), SOMA_INVALID);
        expect_error(SOMA_INVALID, wrong[i].error);
    }
    soma_model_destroy(net);
    soma_model_destroy(again);
    soma_dataset_destroy(data);
    net = soma_sequential(soma_dense(3)); /* of which nobody knows yet what comes in; what comes out is not looked at */
    assert_int_equal(soma_model_compile_json(net, "{\"loss\": \"mse\", \"metrics\": {\"f1\": {\"average\": null}}}"),
                     SOMA_INVALID);
    expect_error(SOMA_INVALID, "give the first layer an input_shape");
    soma_model_destroy(net);
}

/* Each cross-entropy of logits is that of what a sigmoid or softmax makes of them. */
static void losses_take_logits(void **state) {
    (void)state;
    NEEDS(JANSSON);
    static const struct {
        const char *name, *numbers;
        bool one, indices;
    } cases[] = {{"binary_crossentropy", "\"label_smoothing\": 0.1", true, false},
                 {"binary_focal_crossentropy", "\"gamma\": 3", true, false},
                 {"categorical_crossentropy", "\"label_smoothing\": 0.2", false, false},
                 {"categorical_focal_crossentropy", "\"alpha\": 0.5", false, false},
                 {"sparse_categorical_crossentropy", "\"ignore_class\": 2", false, true},
                 {"sparse_categorical_crossentropy", "\"from_logits\": false", false, true}};
    static float onehot[N][CLASSES];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < CLASSES; j++)
            onehot[i][j] = j == classes[i];
    for (int i = 0; i < 6; i++) {
        const int64_t columns = cases[i].one ? 1 : CLASSES;
        soma_array_data x = {SOMA_F32, SOMA_DIMS(N, columns), cases[i].one ? (void *)probability : (void *)scores};
        soma_array_data y = {SOMA_F32, SOMA_DIMS(N, columns), cases[i].one ? (void *)target : (void *)onehot};
        const soma_array_data indices = {SOMA_I64, SOMA_DIMS(N), classes};
        if (cases[i].indices) y = indices;
        soma_dataset *data = soma_dataset_from_arrays(NULL, x, y, true);
        double loss[2];
        for (int logits = 0; logits < 2; logits++) {
            char json[300];
            snprintf(json, sizeof json, "{\"loss\": {\"%s\": {%s%s}}}", cases[i].name, cases[i].numbers,
                     logits ? ", \"from_logits\": true" : "");
            if (logits && strstr(cases[i].numbers, "from_logits"))
                snprintf(json, sizeof json, "{\"loss\": {\"%s\": {\"from_logits\": true}}}", cases[i].name);
            soma_activation_fn *last = logits ? soma_linear : cases[i].one ? soma_sigmoid : soma_softmax;
            soma_model *net = soma_sequential(soma_activation(last, .input_shape = {columns}));
            expect_ok(soma_model_compile_json(net, json));
            soma_scores s = soma_evaluate(net, data);
            expect_ok(s.status);
            loss[logits] = s.loss;
            soma_model_destroy(net);
        }
        assert_true(loss[0] > 0.001);
        expect_near(cases[i].name, loss[1], loss[0], 1e-7);
        soma_dataset_destroy(data);
    }
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, fill)
    const struct CMUnitTest tests[] = {
        TEST(binary_metrics),     TEST(area_under_the_curve),     TEST(numbers),
        TEST(metrics_of_classes), TEST(metrics_of_the_users_own), TEST(lists_make_several_metrics),
        TEST(losses_take_logits), TEST(no_places_no_top_k),       TEST(r2_of_truths_alike),
        TEST(numbers_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
