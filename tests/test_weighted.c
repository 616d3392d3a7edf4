/* Samples that count differently, and parts of data: weighted metrics, weights of one batch, so many steps; against
 * plain loops in double. Rests on cmocka. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include <soma/soma.h>

#include "support/expect.h"
#include "support/needs.h"
#include "support/scratch.h"

enum { N = 37, STEPS = 3 };

static float x[N][STEPS], y[N][STEPS];
static double w[N];

static soma_dataset *make_data(void) {
    for (int i = 0; i < N; i++) {
        w[i] = (i * 7 % 5) / 2.0;
        for (int t = 0; t < STEPS; t++) {
            x[i][t] = (float)(0.5 + 0.5 * sin(i * 1.3 + t));
            y[i][t] = (float)((i * 3 + t * t) % 4 < 2);
        }
    }
    return soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(N, STEPS, 1), x},
                                    (soma_array_data){SOMA_F32, SOMA_DIMS(N, STEPS, 1), y}, true);
}

static soma_model *identity(void) {
    return soma_sequential(soma_activation(soma_linear, .input_shape = {STEPS, 1}));
}

/* What is asked for, weighted and not, by loops. */
typedef struct expected {
    double mae, precision, rmse, accuracy;
} expected;

static expected by_loops(const double *weights, int n) {
    double all = 0, error = 0, squares = 0, hits = 0, said = 0, right = 0;
    for (int i = 0; i < n; i++) {
        const double weight = weights ? weights[i] : 1;
        for (int t = 0; t < STEPS; t++) {
            const double e = (double)x[i][t] - (double)y[i][t], is = x[i][t] > 0.5f;
            all += weight;
            error += weight * fabs(e);
            squares += weight * e * e;
            said += weight * is;
            hits += weight * is * (double)y[i][t];
            right += weight * (is == (double)y[i][t]);
        }
    }
    return (expected){error / all, hits / said, sqrt(squares / all), right / all};
}

static void check(const soma_scores *s, int first, expected e) {
    expect_ok(s->status);
    expect_near("mae", s->metrics[first], e.mae, 1e-6);
    expect_near("precision", s->metrics[first + 1], e.precision, 1e-6);
    expect_near("rmse", s->metrics[first + 2], e.rmse, 1e-6);
    expect_near("accuracy", s->metrics[first + 3], e.accuracy, 1e-6);
}

static void metrics_are_weighted_where_asked(void **state) {
    (void)state;
    NEEDS(JANSSON);
    soma_dataset *data = make_data();
    soma_model *net = identity();
    expect_ok(soma_compile(
        net, .loss = soma_mean_squared_error,
        .metrics = {soma_mean_absolute_error, soma_precision, soma_root_mean_squared_error, soma_binary_accuracy},
        .weighted_metrics = {soma_mean_absolute_error, soma_precision, soma_root_mean_squared_error,
                             soma_binary_accuracy}));
    assert_string_equal(soma_metric_name(net, 1), "precision");
    assert_string_equal(soma_metric_name(net, 4), "weighted_mean_absolute_error");
    assert_string_equal(soma_metric_name(net, 5), "weighted_precision");
    for (int64_t batch = 5; batch <= N; batch += N - 5) { /* cut or not, with a rest */
        soma_scores s = soma_evaluate(net, data, .batch_size = batch, .sample_weight = w);
        check(&s, 0, by_loops(NULL, N));
        check(&s, 4, by_loops(w, N));
        s = soma_evaluate(net, data, .batch_size = batch);
        check(&s, 4, by_loops(NULL, N));
    }
    soma_scores s = soma_evaluate(net, data, .batch_size = 5, .steps = 3, .sample_weight = w);
    check(&s, 4, by_loops(w, 15));
    s = soma_evaluate(net, data, .batch_size = 5, .steps = 1000);
    check(&s, 4, by_loops(NULL, N));
    s = soma_test_on_dataset(net, data, .sample_weight = w);
    check(&s, 4, by_loops(w, N));
    expect_ok(soma_save(net, scratch_path("weighted.soma")));
    soma_model *again = soma_load(NULL, scratch_path("weighted.soma"));
    if (!again) fail_msg("%s", soma_last_error(NULL));
    for (int i = 0; i < 8; i++)
        assert_string_equal(soma_metric_name(again, i), soma_metric_name(net, i));
    s = soma_evaluate(again, data, .sample_weight = w);
    check(&s, 0, by_loops(NULL, N));
    check(&s, 4, by_loops(w, N));
    assert_int_equal(soma_dim(soma_predict(net, data, .batch_size = 4, .steps = 2), 0), 8);
    soma_model_destroy(again);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

static void named_ones_too(void **state) {
    (void)state;
    NEEDS(JANSSON);
    soma_dataset *data = make_data();
    soma_model *net = identity();
    expect_ok(soma_model_compile_json(net, "{\"loss\": \"mse\", \"metrics\": \"mae\", \"weighted_metrics\": [\"mae\", "
                                           "{\"precision\": {\"thresholds\": 0.5, \"name\": \"sure\"}}, \"rmse\"]}"));
    assert_string_equal(soma_metric_name(net, 1), "weighted_mae");
    assert_string_equal(soma_metric_name(net, 2), "sure");
    const soma_scores s = soma_evaluate(net, data, .sample_weight = w);
    const expected e = by_loops(w, N);
    expect_near("mae", s.metrics[1], e.mae, 1e-6);
    expect_near("precision", s.metrics[2], e.precision, 1e-6);
    expect_near("rmse", s.metrics[3], e.rmse, 1e-6);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

enum { THRESHOLDS = 11 };

/* Weights of what is above a threshold and there, or not there. */
static void above(double threshold, double sums[2]) {
    sums[0] = sums[1] = 0;
    for (int i = 0; i < N; i++) {
        for (int t = 0; t < STEPS; t++) {
            if ((double)x[i][t] > threshold) sums[y[i][t] > 0 ? 0 : 1] += w[i];
        }
    }
}

static void curves_too(void **state) {
    (void)state;
    soma_dataset *data = make_data();
    soma_model *net = identity();
    soma_metric auc = soma_auc_metric(THRESHOLDS, SOMA_ROC, SOMA_INTERPOLATION, false, false);
    soma_metric best = soma_precision_at_recall(0.4, THRESHOLDS, -1);
    auc.weighted = best.weighted = true;
    expect_ok(soma_compile(net, .loss = soma_mean_squared_error, .metrics_with = {auc, best},
                           .weighted_metrics = {soma_auc}));
    double all[2], counts[THRESHOLDS][2], area = 0, precision = 0;
    above(-1, all);
    for (int k = 0; k < THRESHOLDS; k++) {
        const double end = k == 0 ? -1e-7 : k == THRESHOLDS - 1 ? 1 + 1e-7 : 0;
        above(end != 0 ? end : k / (THRESHOLDS - 1.0), counts[k]);
        const double said = counts[k][0] + counts[k][1];
        if (counts[k][0] / all[0] >= 0.4) precision = fmax(precision, counts[k][0] / said);
        if (k > 0) area += (counts[k - 1][1] - counts[k][1]) / all[1] * (counts[k - 1][0] + counts[k][0]) / all[0] / 2;
    }
    for (int64_t batch = 5; batch <= N; batch += N - 5) {
        const soma_scores s = soma_evaluate(net, data, .batch_size = batch, .sample_weight = w);
        expect_ok(s.status);
        expect_near("auc", s.metrics[0], area, 1e-5);
        expect_near("precision at recall", s.metrics[1], precision, 1e-5);
        assert_true(fabs(s.metrics[2] - area) < 0.05); /* of 200 thresholds */
    }
    const double none[N] = {0};
    expect_ok(
        soma_compile(net, .loss = soma_mean_squared_error, .weighted_metrics = {soma_mean_absolute_error, soma_auc}));
    const soma_scores s = soma_evaluate(net, data, .sample_weight = none); /* Keras: divide_no_nan */
    assert_true(s.metrics[0] == 0 && s.metrics[1] == 0);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

/* Statistics of all samples in one. */
static soma_tensor *hits_at_once(soma_tensor *y_true, soma_tensor *y_pred) {
    return soma_reshape(soma_sum(soma_mul(y_true, y_pred), SOMA_ALL_AXES, false), SOMA_DIMS(1));
}
static double first_of(const double *sums, int64_t n, const double *numbers) {
    (void)n, (void)numbers;
    return sums[0];
}

static void sums_of_all_samples_have_no_weights(void **state) {
    (void)state;
    soma_dataset *data = make_data();
    soma_model *net = identity();
    const soma_metric hits = {.plain = hits_at_once, .finish = first_of, .name = "hits", .weighted = true};
    expect_ok(soma_compile(net, .loss = soma_mean_squared_error, .metrics_with = {hits}));
    expect_ok(soma_evaluate(net, data).status);
    assert_int_equal(soma_evaluate(net, data, .sample_weight = w).status, SOMA_UNSUPPORTED);
    expect_error(SOMA_UNSUPPORTED, "hits counts all samples at once, so they can't be weighted");
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

/* A step on a batch is what fit does with the same samples and weights, and its loss is theirs. */
static void a_batch_has_weights(void **state) {
    (void)state;
    float labels[N], features[N][2], weights[2][3];
    static const double classes[] = {0.5, 3};
    double each[N];
    for (int i = 0; i < N; i++) {
        labels[i] = (float)(i % 3 == 1);
        features[i][0] = (float)cos(i);
        features[i][1] = (float)sin(i * i);
        w[i] = 1 + i % 4;
        each[i] = w[i] * classes[i % 3 == 1];
    }
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(N, 2), features},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(N, 1), labels}, true);
    soma_tensor *a = soma_array(NULL, SOMA_F32, SOMA_DIMS(N, 2), features);
    soma_tensor *b = soma_array(NULL, SOMA_F32, SOMA_DIMS(N, 1), labels);
    double loss[2];
    for (int k = 0; k < 2; k++) {
        soma_set_random_seed(NULL, 4);
        soma_model *net = soma_sequential(soma_dense(1, .activation = soma_sigmoid, .input_shape = {2}));
        expect_ok(soma_compile(net, .optimizer = soma_sgd(), .loss = soma_binary_crossentropy));
        if (k == 0) {
            const double before = soma_test_on_batch(net, a, b, .sample_weight = each).loss;
            const soma_scores s =
                soma_train_on_batch(net, a, b, .sample_weight = w, .class_weight = classes, .n_class_weight = 2);
            expect_ok(s.status);
            expect_near("loss before the step", s.loss, before, 1e-6);
            loss[k] = s.loss;
            const double none[] = {1, (double)NAN};
            assert_int_equal(soma_train_on_batch(net, a, b, .class_weight = none, .n_class_weight = 2).status,
                             SOMA_INVALID);
            expect_error(SOMA_INVALID, "[train_on_batch] the weight of class 1 is nan");
            assert_int_equal(soma_train_on_batch(net, a, b, .class_weight = classes, .n_class_weight = 1).status,
                             SOMA_INVALID);
            expect_error(SOMA_INVALID, "[train_on_batch] sample 1 is of class 1: there are 1 weights");
        } else {
            expect_ok(soma_fit(net, data, .batch_size = N, .no_shuffle = true, .sample_weight = each));
            loss[k] = soma_history_get(net, "loss", 0);
        }
        soma_layer *layer = soma_model_get_layer(net, 0);
        expect_ok(soma_variable_get(soma_layer_get_weight(layer, 0), weights[k], 2 * sizeof(float)));
        expect_ok(soma_variable_get(soma_layer_get_weight(layer, 1), &weights[k][2], sizeof(float)));
        soma_model_destroy(net);
    }
    expect_near("loss", loss[0], loss[1], 1e-6);
    for (int i = 0; i < 3; i++)
        expect_near("weight", (double)weights[0][i], (double)weights[1][i], 1e-6);
    soma_dataset_destroy(data);
}

static void validation_takes_steps(void **state) {
    (void)state;
    soma_dataset *data = make_data(), *part = soma_dataset_slice(data, 27, 35);
    soma_model *net = identity();
    expect_ok(soma_compile(net, .loss = soma_mean_squared_error));
    expect_ok(soma_fit(net, data, .validation_split = 10.0 / N, .validation_batch_size = 4, .validation_steps = 2));
    assert_true(soma_history_get(net, "val_loss", 0) == soma_evaluate(net, part, .batch_size = 4).loss);
    assert_int_equal(soma_fit(net, data, .validation_data = part, .validation_steps = -1), SOMA_INVALID);
    expect_error(SOMA_INVALID, "[fit] batch sizes, steps and validation_freq must not be negative");
    soma_model_destroy(net);
    soma_dataset_destroy(part);
    soma_dataset_destroy(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(metrics_are_weighted_where_asked, reset),
        cmocka_unit_test_setup(named_ones_too, reset),
        cmocka_unit_test_setup(curves_too, reset),
        cmocka_unit_test_setup(sums_of_all_samples_have_no_weights, reset),
        cmocka_unit_test_setup(a_batch_has_weights, reset),
        cmocka_unit_test_setup(validation_takes_steps, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
