/* Metrics of a whole epoch: in evaluate and fit, whatever the batches, against plain programs in double precision.
 * Rests on cmocka. The plain programs look at all samples at once and share no code with the library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include <soma/soma.h>

#include "support/needs.h"
#include "support/scratch.h"

enum { N = 101, CLASSES = 4 };

static float scores[N][CLASSES], probability[N], target[N];
static int64_t classes[N];

static int reset(void **state) {
    (void)state;
    soma_graph_reset(NULL);
    soma_clear_error(NULL);
    soma_set_random_seed(NULL, 0);
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

static void expect_near(const char *what, double value, double expected, double tolerance) {
    if (!(fabs(value - expected) <= tolerance)) fail_msg("%s: %.17g, expected %.17g", what, value, expected);
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
    check("f1", CLASSES, scores[0], (soma_array_data){SOMA_F32, SOMA_DIMS(N, CLASSES), onehot}, f1);
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

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(binary_metrics),     TEST(area_under_the_curve),     TEST(numbers),
        TEST(metrics_of_classes), TEST(metrics_of_the_users_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
