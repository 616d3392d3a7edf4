/* Options that layers have in common: constraints of every weight, penalties on results; and those of Dropout,
 * Attention and BatchNormalization that change what is drawn, scored or begun with.
 * Rests on cmocka; expected numbers are the formulas, in double precision. Needs: jansson */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include <soma/soma.h>

#include "support/expect.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof *(array)))

static soma_model *model_of(const char *input_shape, const char *layer) {
    char json[1000];
    (void)snprintf(json, sizeof json, "{\"input_shape\": %s, \"layers\": [%s]}", input_shape, layer);
    soma_model *net = soma_model_from_json(NULL, json);
    if (!net) fail_msg("%s: %s", json, soma_last_error(NULL));
    return net;
}

/* Ones (2, sample) for a model, and how many elements its result has. */
static soma_tensor *ones_for(soma_model *net, soma_tensor **y) {
    int64_t shape[SOMA_MAX_RANK + 1] = {2};
    const int rank = soma_model_input_shape(net, shape + 1);
    soma_tensor *x = soma_ones(NULL, SOMA_F32, rank + 1, shape);
    if (soma_model_apply(net, &x, 1, false, y) != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
    return x;
}

/* ---- constraints ---- */

static soma_variable *weight_named(soma_model *net, const char *name) {
    const soma_layer *layer = soma_model_get_layer(net, 0);
    for (int i = 0; i < soma_layer_weights(layer); i++) {
        soma_variable *w = soma_layer_get_weight(layer, i);
        const char *slash = strrchr(soma_variable_name(w), '/');
        if (slash && strcmp(slash + 1, name) == 0) return w;
    }
    fail_msg("no weight '%s'", name);
    return NULL;
}

/* Weights begin at -1 and must not be negative: a step of size zero makes them 0. */
static void every_weight_has_its_constraint(void **state) {
    (void)state;
    static const struct {
        const char *input_shape, *layer, *option, *weights[4];
    } cases[] = {
        {"[3]", "dense\": {\"units\": 2", "kernel", {"kernel"}},
        {"[3]", "dense\": {\"units\": 2", "bias", {"bias"}},
        {"[3]", "einsum_dense\": {\"equation\": \"ab,bc->ac\", \"output_shape\": [2]", "kernel", {"kernel"}},
        {"[4]", "embedding\": {\"input_dim\": 3, \"output_dim\": 2", "embeddings", {"embeddings"}},
        {"[4]", "prelu\": {", "alpha", {"alpha"}},
        {"[4, 4]", "layer_normalization\": {", "beta", {"beta"}},
        {"[4, 4]", "layer_normalization\": {", "gamma", {"gamma"}},
        {"[4, 4]", "group_normalization\": {\"groups\": 2", "gamma", {"gamma"}},
        {"[4, 4]", "instance_normalization\": {", "beta", {"beta"}},
        {"[4]", "batch_normalization\": {", "beta", {"beta"}},
        {"[4]", "batch_normalization\": {", "gamma", {"gamma"}},
        {"[5, 3]", "simple_rnn\": {\"units\": 2", "kernel", {"kernel"}},
        {"[5, 3]", "lstm\": {\"units\": 2", "recurrent", {"recurrent_kernel"}},
        {"[5, 3]", "gru\": {\"units\": 2", "bias", {"bias"}},
        {"[5, 6, 1]", "conv_lstm_1d\": {\"filters\": 2, \"kernel_size\": 3", "kernel", {"kernel"}},
        {"[5, 6, 1]", "conv_lstm_1d\": {\"filters\": 2, \"kernel_size\": 3", "recurrent", {"recurrent_kernel"}},
        {"[5, 6, 1]", "conv_lstm_1d\": {\"filters\": 2, \"kernel_size\": 3", "bias", {"bias"}},
        {"[5, 4]",
         "multi_head_attention\": {\"num_heads\": 2, \"key_dim\": 2",
         "kernel",
         {"query_kernel", "key_kernel", "value_kernel", "output_kernel"}},
        {"[5, 4]", "multi_head_attention\": {\"num_heads\": 2, \"key_dim\": 2", "bias", {"query_bias", "output_bias"}},
        {"[6, 1]", "conv_1d\": {\"filters\": 2, \"kernel_size\": 3", "kernel", {"kernel"}},
        {"[6, 2]", "separable_conv_1d\": {\"filters\": 2, \"kernel_size\": 3", "pointwise", {"pointwise_kernel"}},
        {"[6, 2]", "depthwise_conv_1d\": {\"kernel_size\": 3", "depthwise", {"kernel"}},
    };
    for (int64_t i = 0; i < COUNT(cases); i++) {
        char layer[600];
        const char *comma = cases[i].layer[strlen(cases[i].layer) - 1] == '{' ? "" : ", ";
        (void)snprintf(layer, sizeof layer,
                       "{\"%s%s\"%s_constraint\": \"non_neg\", \"%s_initializer\": {\"constant\": {\"value\": -1}}}}",
                       cases[i].layer, comma, cases[i].option, cases[i].option);
        soma_model *net = model_of(cases[i].input_shape, layer);
        expect_ok(
            soma_model_compile_json(net, "{\"optimizer\": {\"sgd\": {\"learning_rate\": 0}}, \"loss\": \"mse\"}"));
        soma_tensor *y = NULL, *x = ones_for(net, &y);
        if (soma_train_on_batch(net, x, soma_ones(NULL, SOMA_F32, soma_ndim(y), soma_shape(y))).status != SOMA_OK)
            fail_msg("%s: %s", layer, soma_last_error(NULL));
        for (int j = 0; j < 4 && cases[i].weights[j]; j++) {
            soma_variable *w = weight_named(net, cases[i].weights[j]);
            float values[64];
            const size_t bytes = (size_t)soma_variable_size(w) * sizeof(float);
            assert_true(bytes <= sizeof values);
            expect_ok(soma_variable_get(w, values, bytes));
            for (int64_t k = 0; k < soma_variable_size(w); k++)
                expect_near(layer, (double)values[k], 0, 0);
        }
        soma_model_destroy(net);
    }
}

/* ---- penalties on results ---- */

/* The loss of a layer with a penalty on its results, less that of the layer without: 0.5 sum y^2. */
static void every_layer_may_have_its_activity_penalized(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"[3]", "dense\": {\"units\": 2, \"activation\": \"tanh\""},
        {"[6, 1]", "conv_1d\": {\"filters\": 2, \"kernel_size\": 3"},
        {"[5, 3]", "lstm\": {\"units\": 2, \"return_sequences\": true"},
        {"[5, 4]", "multi_head_attention\": {\"num_heads\": 2, \"key_dim\": 2"},
        {"[3]", "activation\": {\"activation\": \"exponential\""},
        {"[5, 3]", "time_distributed\": {\"layer\": {\"dense\": {\"units\": 2}}"},
    };
    for (int64_t i = 0; i < COUNT(cases); i++) {
        double loss[2], squares = 0;
        for (int with = 0; with < 2; with++) {
            char layer[400];
            (void)snprintf(layer, sizeof layer, "{\"%s%s}}", cases[i][1],
                           with ? ", \"activity_regularizer\": {\"l2\": {\"l2\": 0.5}}" : "");
            soma_set_random_seed(NULL, 1);
            soma_model *net = model_of(cases[i][0], layer);
            expect_ok(soma_model_compile_json(net, "{\"loss\": \"mse\"}"));
            soma_tensor *y = NULL, *x = ones_for(net, &y);
            squares = soma_item(soma_sum(soma_square(y), SOMA_ALL_AXES, false), 0);
            loss[with] = soma_test_on_batch(net, x, soma_zeros(NULL, SOMA_F32, soma_ndim(y), soma_shape(y))).loss;
            soma_model_destroy(net);
        }
        assert_true(squares > 0.01);
        expect_near(cases[i][1], loss[1] - loss[0], 0.5 * squares, 1e-5);
    }
}

/* One within another, with weights for results and for states. */
static void activity_of_an_inner_layer_counts_once(void **state) {
    (void)state;
    soma_layer *inner = soma_dense(2, .kernel_initializer = soma_all_ones(), .activity_regularizer = soma_l1(1));
    soma_model *net = soma_sequential(soma_time_distributed(inner, .input_shape = {5, 3}));
    expect_ok(soma_compile(net, .loss = soma_mean_squared_error));
    soma_tensor *y = NULL, *x = ones_for(net, &y);
    expect_near("loss", soma_test_on_batch(net, x, y).loss, 2 * 5 * 2 * 3, 1e-6);
    soma_model_destroy(net);
}

/* ---- Dropout ---- */

static void dropout_draws_by_its_noise_shape(void **state) {
    (void)state;
    soma_model *net = model_of("[40, 8]", "{\"dropout\": {\"rate\": 0.5, \"noise_shape\": [null, 1, 8]}}");
    soma_tensor *x = soma_ones(NULL, SOMA_F32, SOMA_DIMS(3, 40, 8)), *y = NULL;
    expect_ok(soma_model_apply(net, &x, 1, true, &y));
    int kept = 0;
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < 8; c++) {
            const double first = soma_item(y, i * 320 + c);
            assert_true(first == 0 || first == 2);
            kept += first == 2;
            for (int t = 1; t < 40; t++)
                assert_true(soma_item(y, i * 320 + t * 8 + c) == first);
        }
    assert_true(kept > 3 && kept < 21);
    soma_model_destroy(net);
    for (int i = 0; i < 3; i++) {
        static const char *const wrong[] = {"[1, 8]", "[-1, 2, 8]", "[-1, 1, 8, 1]"};
        char json[200];
        (void)snprintf(json, sizeof json,
                       "{\"input_shape\": [40, 8], \"layers\": [{\"dropout\": {\"rate\": 0.5, \"noise_shape\": %s}}]}",
                       wrong[i]);
        assert_null(soma_model_from_json(NULL, json));
        expect_error(SOMA_SHAPE, "[Dropout] noise_shape must have -1, 1 or x's extent for each axis of x (2,40,8)");
    }
}

/* ---- Attention ---- */

static void attention_scores_by_concatenation(void **state) {
    (void)state;
    enum { STEPS = 3, WIDE = 2 };
    static const double x[STEPS][WIDE] = {{0.5, -1}, {2, 0.25}, {-0.75, 1.5}};
    soma_model *net = model_of("[3, 2]", "{\"attention\": {\"score_mode\": \"concat\", \"use_scale\": true, "
                                         "\"dtype\": \"float64\"}}");
    const double scale = 0.7, weight = 1.3;
    expect_ok(soma_variable_set(weight_named(net, "scale"), &scale, sizeof scale));
    expect_ok(soma_variable_set(weight_named(net, "concat_score_weight"), &weight, sizeof weight));
    soma_tensor *in = soma_array(NULL, SOMA_F64, SOMA_DIMS(1, STEPS, WIDE), x), *y = NULL;
    expect_ok(soma_model_apply(net, &in, 1, false, &y));
    double expected[STEPS * WIDE] = {0};
    for (int i = 0; i < STEPS; i++) {
        double share[STEPS], sum = 0;
        for (int j = 0; j < STEPS; j++) {
            double score = 0;
            for (int c = 0; c < WIDE; c++)
                score += tanh(scale * (x[i][c] + x[j][c]));
            sum += share[j] = exp(weight * score);
        }
        for (int j = 0; j < STEPS; j++)
            for (int c = 0; c < WIDE; c++)
                expected[i * WIDE + c] += share[j] / sum * x[j][c];
    }
    expect_all("concat", y, expected, STEPS * WIDE, 1e-12);
    soma_model_destroy(net);
    assert_null(soma_model_from_json(NULL, "{\"input_shape\": [3, 2], \"layers\": [{\"attention\": \"sum\"}]}"));
    expect_error(SOMA_INVALID, "[Attention] score_mode is 'sum': it must be dot or concat");
}

/* ---- BatchNormalization ---- */

static void moving_statistics_begin_as_told(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_batch_normalization(.input_shape = {1}, .epsilon = SOMA_ZERO,
                                                               .moving_mean_initializer = soma_constant(3),
                                                               .moving_variance_initializer = soma_constant(4)));
    soma_tensor *x = soma_array(NULL, SOMA_F32, SOMA_DIMS(1, 1), (const float[]){8}), *y = NULL;
    expect_ok(soma_model_apply(net, &x, 1, false, &y));
    expect_near("(8 - 3) / 2", soma_item(y, 0), 2.5, 1e-6);
    soma_model_destroy(net);
}

/* ---- functions of the user's ---- */

static soma_tensor *nothing(soma_tensor *x) {
    (void)x;
    return NULL;
}

static void a_function_that_gives_nothing_is_named(void **state) {
    (void)state;
    assert_null(soma_sequential(soma_dense(1, .activation = nothing, .input_shape = {2})));
    expect_error(SOMA_INVALID, "[Dense] its function gave no tensor");
}

/* ---- masks ---- */

static void masked_steps_give_zeros_when_asked(void **state) {
    (void)state;
    for (int with = 0; with < 2; with++) {
        for (int back = 0; back < 2; back++) {
            soma_model *net =
                soma_sequential(soma_masking(), soma_gru(2, .return_sequences = true, .zero_output_for_mask = with,
                                                         .go_backwards = back, .bias_initializer = soma_all_ones()));
            soma_tensor *x = soma_array(NULL, SOMA_F32, SOMA_DIMS(1, 4, 1), ((const float[]){1, 0, 2, 0})), *y = NULL;
            expect_ok(soma_model_build(net, 2, (const int64_t[]){4, 1}));
            expect_ok(soma_model_apply(net, &x, 1, false, &y));
            for (int t = 0; t < 4; t++) {
                const bool masked = (back ? 3 - t : t) % 2 == 1, nothing_yet = back && t == 0;
                assert_int_equal(soma_item(y, 2 * t) == 0, (masked && with) || nothing_yet);
            }
            if (!back && !with) assert_true(soma_item(y, 2) == soma_item(y, 0)); /* carried on */
            soma_model_destroy(net);
        }
    }
}

/* ---- Keras' other words ---- */

static void keras_words_are_understood(void **state) {
    (void)state;
    static const char *const same[][2] = {
        {"{\"MaxPool2D\": {\"pool_size\": 3}}", "{\"max_pooling_2d\": 3}"},
        {"{\"AvgPool1D\": {\"pool_size\": 3}}", "{\"average_pooling_1d\": 3}"},
        {"\"GlobalMaxPool1D\"", "\"global_max_pooling_1d\""},
        {"\"GlobalAvgPool2D\"", "\"global_average_pooling_2d\""},
        {"{\"Convolution2D\": {\"filters\": 2, \"kernel_size\": 3}}",
         "{\"conv_2d\": {\"filters\": 2, \"kernel_size\": 3}}"},
        {"{\"Input\": {\"shape\": [28, 3]}}", "{\"input\": {\"input_shape\": [28, 3]}}"},
        {"{\"LSTM\": {\"units\": 3, \"unroll\": true, \"use_cudnn\": \"auto\", \"seed\": null}}", "{\"lstm\": 3}"},
        {"{\"layer_normalization\": {\"axis\": [-1]}}", "\"layer_normalization\""},
        {"{\"class_name\": \"CategoryEncoding\", \"config\": {\"num_tokens\": 4, \"output_mode\": \"count\", "
         "\"sparse\": false}}",
         "{\"category_encoding\": {\"num_tokens\": 4, \"output_mode\": \"count\"}}"},
        {"{\"IntegerLookup\": {\"vocabulary\": [7, 2], \"max_tokens\": null, \"oov_token\": -1, \"invert\": false, "
         "\"pad_to_max_tokens\": false, \"idf_weights\": null, \"vocabulary_size\": 3}}",
         "{\"integer_lookup\": {\"vocabulary\": [7, 2]}}"},
        {"{\"Normalization\": {\"axis\": [-1], \"mean\": null, \"variance\": null, \"invert\": false}}",
         "\"normalization\""},
        {"{\"RNN\": {\"cell\": [{\"LSTMCell\": 3}, {\"GRUCell\": 2}]}}",
         "{\"rnn\": {\"cell\": {\"stacked_rnn_cells\": {\"cell_0\": {\"lstm_cell\": 3}, \"cell_1\": {\"gru_cell\": "
         "2}}}}}"},
        {"{\"RNN\": {\"cell\": {\"StackedRNNCells\": {\"cells\": [{\"LSTMCell\": 3}]}}}}",
         "{\"rnn\": {\"cell\": {\"stacked_rnn_cells\": {\"cell_0\": {\"lstm_cell\": 3}}}}}"},
        {"{\"MultiHeadAttention\": {\"num_heads\": 2, \"key_dim\": 3, \"output_shape\": [5]}}",
         "{\"multi_head_attention\": {\"num_heads\": 2, \"key_dim\": 3, \"output_dim\": 5}}"},
    };
    for (int64_t i = 0; i < COUNT(same); i++) {
        char *json[2];
        for (int k = 0; k < 2; k++) {
            soma_layer *layer = soma_layer_from_json(NULL, same[i][k]);
            soma_model *net = layer ? soma_sequential(layer) : NULL;
            if (!net) fail_msg("%s: %s", same[i][k], soma_last_error(NULL));
            json[k] = soma_model_to_json(net);
            soma_model_destroy(net);
        }
        assert_string_equal(json[0], json[1]);
        soma_string_free(json[0]);
        soma_string_free(json[1]);
    }
    static const char *const wrong[][2] = {
        {"{\"dense\": {\"units\": 2, \"activation\": {\"leaky_relu\": {\"negative_slope\": 0.1}}}}",
         "[Dense] activation: leaky_relu takes no numbers there"},
        {"{\"Pool2D\": 3}", "unknown layer 'Pool2D'"},
        {"{\"CategoryEncoding\": {\"num_tokens\": 4, \"sparse\": true}}", "unknown option 'sparse'"},
        {"{\"RNN\": {\"cell\": []}}", "[RNN] 0 cells: 1 to 8 are possible"},
        {"{\"RNN\": {\"cell\": [{\"LSTMCell\": 3}, {\"dance\": 2}]}}", "unknown layer 'dance'"},
        {"{\"StackedRNNCells\": {\"cells\": [{\"LSTMCell\": 3}, 5]}}", "a layer must be a name"},
    };
    for (int64_t i = 0; i < COUNT(wrong); i++) {
        assert_null(soma_layer_from_json(NULL, wrong[i][0]));
        expect_error(soma_last_status(NULL), wrong[i][1]);
    }
}

/* What Keras' get_config writes of optimizers, losses and metrics. */
static void keras_configurations_compile(void **state) {
    (void)state;
    static const char json[] =
        "{\"optimizer\": {\"class_name\": \"Adam\", \"config\": {\"name\": \"adam\", \"learning_rate\": 0.25, "
        "\"weight_decay\": null, \"clipnorm\": null, \"use_ema\": false, \"ema_overwrite_frequency\": null, "
        "\"loss_scale_factor\": null, \"beta_1\": 0.9}}, \"loss\": {\"class_name\": \"Tversky\", \"config\": "
        "{\"name\": \"tversky\", \"reduction\": \"sum_over_batch_size\", \"alpha\": 0.3, \"beta\": 0.7, \"axis\": "
        "null, \"dtype\": null}}, \"metrics\": [{\"class_name\": \"MeanAbsoluteError\", \"config\": {\"name\": "
        "\"far\", \"dtype\": \"float32\"}}, {\"class_name\": \"AUC\", \"config\": {\"name\": \"area\", \"dtype\": "
        "\"float32\", \"curve\": \"PR\", \"num_labels\": null, \"label_weights\": null}}]}";
    soma_model *net = soma_sequential(soma_dense(1, .input_shape = {2}));
    expect_ok(soma_model_compile_json(net, json));
    assert_true(soma_learning_rate(net) == 0.25);
    assert_string_equal(soma_metric_name(net, 0), "far");
    assert_string_equal(soma_metric_name(net, 1), "area");
    assert_int_equal(soma_model_compile_json(net, "{\"loss\": {\"mse\": {\"delta\": 1, \"dtype\": null}}}"),
                     SOMA_INVALID);
    expect_error(SOMA_INVALID, "the loss 'mse' takes no numbers");
    soma_model_destroy(net);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(every_weight_has_its_constraint),        TEST(every_layer_may_have_its_activity_penalized),
        TEST(activity_of_an_inner_layer_counts_once), TEST(dropout_draws_by_its_noise_shape),
        TEST(attention_scores_by_concatenation),      TEST(moving_statistics_begin_as_told),
        TEST(masked_steps_give_zeros_when_asked),     TEST(keras_words_are_understood),
        TEST(a_function_that_gives_nothing_is_named), TEST(keras_configurations_compile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
