/* Layers that learn of data before the training, against plain loops in double: what they learn, of which samples,
 * when, and that files keep it. Rests on cmocka. Needs: jansson */
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
#include "support/scratch.h"

enum { SAMPLES = 611, ROWS = 3, COLUMNS = 5, SIZE = ROWS * COLUMNS };

static float x[SAMPLES][ROWS][COLUMNS], y[SAMPLES];

static soma_dataset *make_data(int64_t samples) {
    uint32_t state = 5;
    for (int k = 0; k < SAMPLES; k++) {
        for (int i = 0; i < SIZE; i++) {
            state = state * 1664525u + 1013904223u;
            x[k][i / COLUMNS][i % COLUMNS] = (float)(1000 * i + (double)(state >> 8) * (i + 1) / (1 << 24));
        }
        y[k] = x[k][0][0] - x[k][2][1] + 11000;
    }
    return soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(samples, ROWS, COLUMNS), x},
                                    (soma_array_data){SOMA_F32, SOMA_DIMS(samples, 1), y}, false);
}

static void get(const soma_model *net, int layer, int weight, float *out, size_t n) {
    expect_ok(soma_variable_get(soma_layer_get_weight(soma_model_get_layer(net, layer), weight), out, n * sizeof *out));
}

/* Mean and variance of the elements of n samples whose row and column are these; -1: all. */
static void moments(int n, int row, int column, double *mean, double *variance) {
    double count = 0, sum = 0, squares = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int k = 0; k < n; k++) {
            for (int i = 0; i < SIZE; i++) {
                if ((row >= 0 && i / COLUMNS != row) || (column >= 0 && i % COLUMNS != column)) continue;
                const double v = (double)x[k][i / COLUMNS][i % COLUMNS];
                count += pass == 0;
                sum += pass == 0 ? v : 0;
                squares += pass == 0 ? 0 : (v - sum / count) * (v - sum / count);
            }
        }
    }
    *mean = sum / count;
    *variance = squares / count;
}

static void check(const soma_model *net, int n, int at, int row, int column) {
    float means[SIZE], variances[SIZE], count;
    double mean, variance;
    const size_t size = (size_t)soma_variable_size(soma_layer_get_weight(soma_model_get_layer(net, 0), 0));
    get(net, 0, 0, means, size);
    get(net, 0, 1, variances, size);
    get(net, 0, 2, &count, 1);
    moments(n, row, column, &mean, &variance);
    assert_true(fabs((double)means[at] - mean) <= 1e-7 * fabs(mean) + 1e-9);
    assert_true(fabs((double)variances[at] - variance) <= 1e-6 * variance);
    assert_int_equal(count, n);
}

static void moments_are_of_their_axes(void **state) {
    (void)state;
    for (int n = 1; n <= SAMPLES; n += n < 2     ? 1
                                       : n < 250 ? 254
                                                 : 355) { /* 1, 2, 256, 611: batches with and without rest */
        soma_dataset *data = make_data(n);
        soma_model *net = soma_sequential(soma_normalization(.input_shape = {ROWS, COLUMNS}), soma_flatten());
        expect_ok(soma_adapt(net, data));
        for (int i = 0; i < COLUMNS; i++)
            check(net, n, i, -1, i);
        soma_model_destroy(net);
        net = soma_sequential(soma_normalization(.axis = {2, 1}, .input_shape = {ROWS, COLUMNS}));
        expect_ok(soma_adapt(net, data));
        expect_ok(soma_adapt(net, data)); /* anew, not in addition */
        for (int i = 0; i < SIZE; i++)
            check(net, n, i, i / COLUMNS, i % COLUMNS);
        soma_model_destroy(net);
        net = soma_sequential(soma_normalization(.axis = {SOMA_NO_AXES}, .input_shape = {ROWS, COLUMNS}));
        expect_ok(soma_adapt(net, data));
        check(net, n, 0, -1, -1);
        soma_model_destroy(net);
        soma_dataset_destroy(data);
    }
}

/* fit adapts what has not learnt yet, by the samples that it trains on; a file keeps it, and so does a second fit. */
static void fit_adapts_once(void **state) {
    (void)state;
    soma_dataset *data = make_data(SAMPLES), *first = soma_dataset_slice(data, 0, 20);
    soma_model *net = soma_sequential(soma_normalization(.axis = {1, 2}), soma_flatten(), soma_dense(1));
    expect_ok(soma_compile(net, .optimizer = soma_adam(.learning_rate = 0.05), .loss = soma_mean_squared_error,
                           .metrics = {soma_r2_score}));
    expect_ok(soma_fit(net, data, .validation_split = 0.25, .epochs = 30));
    const int used = (int)floor(SAMPLES * 0.75);
    for (int i = 0; i < SIZE; i++)
        check(net, used, i, i / COLUMNS, i % COLUMNS);
    assert_true(soma_history_get(net, "val_r2_score", -1) > 0.99); /* numbers in the thousands would not get there */
    expect_ok(soma_fit(net, first));
    check(net, used, 0, 0, 0);
    expect_ok(soma_save(net, scratch_path("adapted.soma")));
    const double loss = soma_evaluate(net, data).loss;
    soma_model_destroy(net);
    net = soma_load(NULL, scratch_path("adapted.soma"));
    if (!net) fail_msg("%s", soma_last_error(NULL));
    assert_true(soma_evaluate(net, data).loss == loss);
    expect_ok(soma_fit(net, first));
    check(net, used, 7, 1, 2);
    expect_ok(soma_adapt(net, first));
    check(net, 20, 7, 1, 2);
    soma_model_destroy(net);
    soma_dataset_destroy(first);
    soma_dataset_destroy(data);
}

/* A layer learns of what those before it give, of which one learns itself: what comes out has mean 0, variance 1. */
static void layers_learn_in_order(void **state) {
    (void)state;
    soma_dataset *data = make_data(SAMPLES);
    soma_model *net =
        soma_sequential(soma_normalization(.input_shape = {ROWS, COLUMNS}), soma_rescaling(3, .offset = 2),
                        soma_normalization(.axis = {SOMA_NO_AXES}), soma_flatten());
    expect_ok(soma_adapt(net, data));
    float mean, variance;
    get(net, 2, 0, &mean, 1);
    get(net, 2, 1, &variance, 1);
    assert_true(fabsf(mean - 2) < 1e-4f);
    assert_true(fabsf(variance - 9) < 1e-3f);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

/* The same bits whatever the number of threads. */
static void threads_agree(void **state) {
    (void)state;
    float variances[3][7];
    for (int threads = 1; threads <= 3; threads++) {
        soma_context *context = soma_context_create(&(soma_context_options){.threads = threads});
        assert_non_null(context);
        soma_dataset *data = make_data(SAMPLES);
        soma_layer *layers[] = {soma_dense(7, .input_shape = {ROWS, COLUMNS}, .context = context),
                                soma_normalization(.context = context)};
        soma_model *net = soma_sequential_create(context, layers, 2);
        expect_ok(soma_adapt(net, data));
        get(net, 1, 1, variances[threads - 1], 7);
        soma_model_destroy(net);
        soma_dataset_destroy(data);
        soma_context_destroy(context);
    }
    assert_memory_equal(variances[0], variances[1], sizeof variances[0]);
    assert_memory_equal(variances[0], variances[2], sizeof variances[0]);
}

static void mistakes_are_named(void **state) {
    (void)state;
    soma_dataset *data = make_data(8);
    soma_model *net = soma_sequential(soma_normalization(.input_shape = {ROWS, COLUMNS}), soma_flatten());
    assert_null(soma_predict(net, data));
    expect_error(SOMA_INVALID, "[predict] the layer normalization has learnt of no data yet");
    soma_model_destroy(net);
    static const struct {
        const char *json, *error;
    } wrong[] = {
        {"{\"axis\": 3}", "[Normalization] axis 3 is not one of a sample's"},
        {"{\"mean\": 2}", "[Normalization] mean and variance must be given both, or neither"},
        {"{\"mean\": [1, 2, 3], \"variance\": 1}", "[Normalization] mean has 3 numbers: 1 or 5 are expected"},
        {"{\"mean\": [1, \"a\"], \"variance\": 1}", "[Normalization] mean must be a number, or a list of numbers"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char json[256];
        snprintf(json, sizeof json, "{\"layers\": [{\"input\": [3, 5]}, {\"normalization\": %s}]}", wrong[i].json);
        assert_null(soma_model_from_json(NULL, json));
        assert_non_null(strstr(soma_last_error(NULL), wrong[i].error));
        soma_clear_error(NULL);
    }
    net = soma_sequential(soma_time_distributed(soma_normalization(), .input_shape = {ROWS, COLUMNS}));
    assert_null(net);
    expect_error(SOMA_UNSUPPORTED, "within another layer it learns nothing of data: give it mean and variance");
    soma_dataset_destroy(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_of_their_axes), cmocka_unit_test(fit_adapts_once),
        cmocka_unit_test(layers_learn_in_order),     cmocka_unit_test(threads_agree),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
