/* Initializers, constraints, and weights of samples and classes.
 * Rests on cmocka. Expected numbers come from plain loops in the test. */
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

static soma_variable *kernel_of(soma_model *net) {
    return soma_layer_get_weight(soma_model_get_layer(net, 0), 0);
}

static void kernel(soma_initializer initializer, int64_t rows, int64_t columns, double *out) {
    soma_model *net = soma_sequential(
        soma_dense(columns, .input_shape = {rows}, .kernel_initializer = initializer, .dtype = SOMA_F64));
    if (!net) fail_msg("%s", soma_last_error(NULL));
    assert_int_equal(soma_variable_get(kernel_of(net), out, (size_t)(rows * columns) * sizeof *out), SOMA_OK);
    soma_model_destroy(net);
}

/* ---- initializers ---- */

static void identity_is_the_unit_matrix(void **state) {
    (void)state;
    double w[12];
    kernel(soma_identity(2), 3, 4, w);
    for (int i = 0; i < 12; i++)
        assert_true(w[i] == (i / 4 == i % 4 ? 2 : 0));
}

/* Rows or columns, whichever are fewer, of length gain and at right angles. */
static void orthogonal_is(void **state) {
    (void)state;
    double w[35];
    kernel(soma_orthogonal(1.5), 5, 7, w);
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < 5; j++) {
            double dot = 0;
            for (int k = 0; k < 7; k++)
                dot += w[i * 7 + k] * w[j * 7 + k];
            expect_near("rows", dot, i == j ? 2.25 : 0, 1e-5);
        }
    }
    kernel(soma_orthogonal(1), 7, 5, w);
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < 5; j++) {
            double dot = 0;
            for (int k = 0; k < 7; k++)
                dot += w[k * 5 + i] * w[k * 5 + j];
            expect_near("columns", dot, i == j ? 1 : 0, 1e-5);
        }
    }
}

/* Each layer has numbers of its own, however many there are, and a shorter net the same as the layers of a longer one.
 */
static void deep_nets_start_everywhere(void **state) {
    (void)state;
    enum { WIDTH = 5, DEEP = 41 };
    double w[2][DEEP][WIDTH * WIDTH];
    memset(w, 0, sizeof w);
    for (int k = 0; k < 2; k++) {
        soma_layer *list[DEEP];
        const int layers = k == 0 ? DEEP : DEEP / 3;
        for (int i = 0; i < layers; i++)
            list[i] = soma_dense(WIDTH, .dtype = SOMA_F64, .input_shape = {WIDTH});
        soma_model *net = soma_sequential_create(NULL, list, layers);
        assert_non_null(net);
        for (int i = 0; i < layers; i++) {
            soma_variable *v = soma_layer_get_weight(soma_model_get_layer(net, i), 0);
            assert_int_equal(soma_variable_get(v, w[k][i], sizeof w[k][i]), SOMA_OK);
            double squares = 0;
            for (int j = 0; j < WIDTH * WIDTH; j++)
                squares += w[k][i][j] * w[k][i][j];
            assert_true(squares > 0.5 && squares < 15); /* 5 is expected */
            if (i > 0) assert_memory_not_equal(w[k][i], w[k][i - 1], sizeof w[k][i]);
            if (k == 1) assert_memory_equal(w[1][i], w[0][i], sizeof w[k][i]);
        }
        soma_model_destroy(net);
    }
}

static void variance_scaling_has_its_variance(void **state) {
    (void)state;
    NEEDS(JANSSON);
    static double w[200 * 100];
    static const double fans[] = {200, 100, 150};
    for (int mode = 0; mode < 3; mode++) {
        for (int distribution = 0; distribution < 3; distribution++) {
            kernel(soma_variance_scaling(3, (soma_fan_mode)mode, (soma_distribution)distribution), 200, 100, w);
            double squares = 0, most = 0;
            for (int i = 0; i < 20000; i++) {
                squares += w[i] * w[i] / 20000;
                most = fmax(most, fabs(w[i]));
            }
            double variance = 3 / fans[mode];
            expect_near("variance", squares / variance, 1, 0.05);
            double limit = distribution == 0 ? 2 / 0.87962566103423978 : sqrt(3);
            assert_true(distribution == 1 ? most > 3.2 * sqrt(variance) : most <= limit * sqrt(variance) * 1.000001);
        }
    }
    soma_model *net = soma_model_from_json(
        NULL, "{\"layers\": [{\"dense\": {\"units\": 3, \"input_shape\": [2], \"kernel_initializer\": "
              "{\"variance_scaling\": {\"scale\": 2, \"mode\": \"fan_avg\", \"distribution\": \"uniform\"}}}}]}");
    if (!net) fail_msg("%s", soma_last_error(NULL));
    const soma_dense_options *o = soma_layer_options(soma_model_get_layer(net, 0));
    assert_true(o->kernel_initializer.parameters[1] == SOMA_FAN_AVG);
    assert_true(o->kernel_initializer.parameters[2] == SOMA_UNIFORM);
    soma_model_destroy(net);
}

/* ---- constraints ---- */

static const double before[] = {3, -1, 0.1, 4, 0.5, -0.2};

/* A step of size zero: only the constraint moves the kernel, (3, 2), whose columns have their norms. */
static void constrain(soma_constraint constraint, double after[6]) {
    soma_model *net =
        soma_sequential(soma_dense(2, .input_shape = {3}, .kernel_constraint = constraint, .dtype = SOMA_F64));
    assert_int_equal(soma_variable_set(kernel_of(net), before, sizeof before), SOMA_OK);
    assert_int_equal(
        soma_compile(net, .optimizer = soma_sgd(.learning_rate = SOMA_ZERO), .loss = soma_mean_squared_error), SOMA_OK);
    soma_tensor *x = soma_ones(NULL, SOMA_F64, SOMA_DIMS(4, 3)), *y = soma_ones(NULL, SOMA_F64, SOMA_DIMS(4, 2));
    if (soma_train_on_batch(net, x, y).status != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
    assert_int_equal(soma_save(net, scratch_path("constraint.soma")), SOMA_OK);
    soma_model *again = soma_load(NULL, scratch_path("constraint.soma"));
    if (!again) fail_msg("%s", soma_last_error(NULL));
    const soma_dense_options *o = soma_layer_options(soma_model_get_layer(again, 0));
    assert_ptr_equal(o->kernel_constraint.apply, constraint.apply);
    assert_memory_equal(o->kernel_constraint.parameters, constraint.parameters, sizeof constraint.parameters);
    assert_int_equal(soma_variable_get(kernel_of(again), after, sizeof before), SOMA_OK);
    soma_model_destroy(again);
    soma_model_destroy(net);
}

static void constraints_hold_after_a_step(void **state) {
    (void)state;
    NEEDS(JANSSON);
    double w[6], norm[2], rows = hypot(3, -1);
    for (int j = 0; j < 2; j++)
        norm[j] = sqrt(before[j] * before[j] + before[2 + j] * before[2 + j] + before[4 + j] * before[4 + j]);
    constrain(soma_max_norm(3.5, 0), w);
    for (int i = 0; i < 6; i++)
        expect_near("max_norm", w[i], before[i] * (i % 2 ? 3.5 / (norm[1] + 1e-7) : norm[0] / (norm[0] + 1e-7)), 1e-12);
    constrain(soma_non_neg(), w);
    for (int i = 0; i < 6; i++)
        assert_true(w[i] == fmax(before[i], 0));
    constrain(soma_unit_norm(1), w);
    expect_near("unit_norm", w[0], 3 / (rows + 1e-7), 1e-12);
    expect_near("unit_norm", w[1], -1 / (rows + 1e-7), 1e-12);
    constrain(soma_min_max_norm(3.2, 3.5, 0.5, 0), w);
    for (int i = 0; i < 6; i++) {
        double wanted = (i % 2 ? 3.5 : 3.2) * 0.5 + norm[i % 2] * 0.5;
        expect_near("min_max_norm", w[i], before[i] * wanted / (norm[i % 2] + 1e-7), 1e-12);
    }
    assert_non_null(soma_names("constraints")[3]);
}

/* ---- weights of samples and classes ---- */

enum { N = 20 };

/* Two epochs of gradient descent on (a x - y)^2, the gradient of each sample times its weight, in the given batches. */
static double by_hand(const double *x, const double *y, const double *weight, int64_t batch) {
    double a = 0.5;
    for (int64_t epoch = 0; epoch < 2; epoch++) {
        for (int64_t first = 0; first < N; first += batch) {
            int64_t n = first + batch < N ? batch : N - first;
            double slope = 0;
            for (int64_t i = first; i < first + n; i++)
                slope += weight[i] * 2 * (a * x[i] - y[i]) * x[i] / (double)n;
            a -= 0.1 * slope;
        }
    }
    return a;
}

static soma_model *line(void) {
    soma_model *net = soma_sequential(soma_dense(1, .no_bias = true, .input_shape = {1}, .dtype = SOMA_F64));
    assert_int_equal(soma_variable_set(kernel_of(net), (double[]){0.5}, sizeof(double)), SOMA_OK);
    assert_int_equal(soma_compile(net, .optimizer = soma_sgd(.learning_rate = 0.1), .loss = soma_mean_squared_error),
                     SOMA_OK);
    return net;
}

static double slope_of(soma_model *net) {
    double a;
    assert_int_equal(soma_variable_get(kernel_of(net), &a, sizeof a), SOMA_OK);
    soma_model_destroy(net);
    return a;
}

static void samples_count_as_they_are_told(void **state) {
    (void)state;
    double x[N], y[N], weight[N], both[N];
    int64_t rank2[] = {N, 1};
    for (int i = 0; i < N; i++) {
        x[i] = sin(i);
        y[i] = i % 3 == 0; /* a class, and a number */
        weight[i] = 0.25 * (i % 5);
        both[i] = weight[i] * (i % 3 == 0 ? 3 : 0.5);
    }
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F64, 2, rank2, x},
                                                  (soma_array_data){SOMA_F64, 2, rank2, y}, true);
    soma_model *net = line();
    if (soma_fit(net, data, .epochs = 2, .batch_size = 8, .no_shuffle = true, .sample_weight = weight) != SOMA_OK)
        fail_msg("%s", soma_last_error(NULL));
    expect_near("sample_weight", slope_of(net), by_hand(x, y, weight, 8), 1e-7);
    net = line();
    assert_int_equal(soma_fit(net, data, .epochs = 2, .batch_size = 8, .no_shuffle = true, .sample_weight = weight,
                              .class_weight = (double[]){0.5, 3}, .n_class_weight = 2),
                     SOMA_OK);
    expect_near("both", slope_of(net), by_hand(x, y, both, 8), 1e-7);
    /* shuffled, in one batch: the order can't matter, if weights stay with their samples */
    net = line();
    assert_int_equal(soma_fit(net, data, .epochs = 2, .batch_size = N, .sample_weight = weight), SOMA_OK);
    expect_near("shuffled", slope_of(net), by_hand(x, y, weight, N), 1e-7);
    /* a class without a weight */
    net = line();
    assert_int_equal(soma_fit(net, data, .class_weight = (double[]){1}, .n_class_weight = 1), SOMA_INVALID);
    assert_non_null(strstr(soma_last_error(NULL), "sample 0 is of class 1: there are 1 weights"));
    soma_clear_error(NULL);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

/* Shuffled small batches: samples of weight 0 leave no trace. */
static void weights_stay_with_their_samples(void **state) {
    (void)state;
    double x[2 * N], y[2 * N], weight[2 * N];
    int64_t shape[] = {2 * N, 1};
    for (int i = 0; i < 2 * N; i++) {
        x[i] = 1;
        weight[i] = i % 2;
        y[i] = i % 2 ? 2 : -1000;
    }
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F64, 2, shape, x},
                                                  (soma_array_data){SOMA_F64, 2, shape, y}, true);
    soma_model *net = line();
    assert_int_equal(soma_fit(net, data, .epochs = 20, .batch_size = 4, .sample_weight = weight), SOMA_OK);
    expect_near("only those that count", slope_of(net), 2, 1e-6);
    soma_dataset_destroy(data);
}

/* What is measured counts samples as training does: in evaluate, in a held out share, in validation data. */
static void measuring_counts_them_too(void **state) {
    (void)state;
    double x[N], y[N], weight[N], all = 0, last = 0;
    int64_t shape[] = {N, 1};
    for (int i = 0; i < N; i++) {
        x[i] = cos(i);
        y[i] = 0.1 * i;
        weight[i] = i % 4;
        all += weight[i] * pow(0.5 * x[i] - y[i], 2) / N;
        if (i >= N - 5) last += weight[i] * pow(0.5 * x[i] - y[i], 2) / 5;
    }
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F64, 2, shape, x},
                                                  (soma_array_data){SOMA_F64, 2, shape, y}, true);
    soma_model *net = line();
    for (int64_t batch = 3; batch < N; batch += 8)
        expect_near("evaluate", soma_evaluate(net, data, .batch_size = batch, .sample_weight = weight).loss, all, 1e-7);
    expect_ok(soma_set_learning_rate(net, 0)); /* the line stays */
    expect_ok(soma_fit(net, data, .validation_split = 0.25, .sample_weight = weight, .validation_batch_size = 2));
    expect_near("held out", soma_history_get(net, "val_loss", -1), last, 1e-7);
    expect_ok(soma_fit(net, data, .validation_data = data, .validation_sample_weight = weight));
    expect_near("validation data", soma_history_get(net, "val_loss", -1), all, 1e-7);
    assert_true(fabs(soma_history_get(net, "loss", -1) - all) > 0.1); /* whose samples count 1 */
    weight[7] = (double)NAN;
    assert_int_equal(soma_evaluate(net, data, .sample_weight = weight).status, SOMA_INVALID);
    expect_error(SOMA_INVALID, "[evaluate] the weight of sample 7 is nan");
    assert_int_equal(soma_fit(net, data, .sample_weight = weight), SOMA_INVALID);
    expect_error(SOMA_INVALID, "[fit] the weight of sample 7 is nan");
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(identity_is_the_unit_matrix),       TEST(orthogonal_is),
        TEST(variance_scaling_has_its_variance), TEST(constraints_hold_after_a_step),
        TEST(samples_count_as_they_are_told),    TEST(weights_stay_with_their_samples),
        TEST(measuring_counts_them_too),         TEST(deep_nets_start_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
