/* What golden values can't show of layers: masks, moving statistics, noise, layers within layers, mistakes.
 * Rests on cmocka. Where exactness is promised, float32 is compared bit for bit. Needs: jansson */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include <soma/soma.h>

#include "nn/layer.h"
#include "support/expect.h"
#include "support/scratch.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof *(array)))

static soma_tensor *apply(soma_model *net, soma_tensor *x, bool training) {
    soma_tensor *y = NULL;
    if (!net || soma_model_apply(net, &x, 1, training, &y) != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
    return y;
}

/* ---- masks ---- */

enum { BATCH = 5, STEPS = 7 };
static const int lengths[BATCH] = {7, 1, 4, 6, 3};

/* Sequences of words 1..9, then zeros. */
static void make_words(int64_t words[BATCH][STEPS]) {
    for (int i = 0; i < BATCH; i++)
        for (int t = 0; t < STEPS; t++)
            words[i][t] = t < lengths[i] ? 1 + (i * 5 + t * 3) % 9 : 0;
}

/* The result on words (n, steps) of a padded batch or a part of it, into out, by the plain or the fast kernels. */
static int64_t result(soma_model *net, int64_t n, int64_t steps, const int64_t *words, bool plain, float *out) {
    soma_tensor *y = apply(net, soma_array(NULL, SOMA_I64, SOMA_DIMS(n, steps), words), false);
    soma_plan *plan = soma_plan_create(&y, 1, &(soma_plan_options){.reference = plain});
    if (!plan || soma_plan_run(plan) != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
    int64_t size = soma_size(y);
    memcpy(out, soma_plan_output(plan, 0), (size_t)size * sizeof *out);
    soma_plan_destroy(plan);
    return size;
}

/* What each sequence of the padded batch gives, against what it gives alone and without padding. */
static void check_alone(const char *what, soma_model *net, bool sequences) {
    int64_t words[BATCH][STEPS];
    make_words(words);
    for (int plain = 0; plain < 2; plain++) {
        float all[1000], alone[200];
        int64_t n = result(net, BATCH, STEPS, words[0], plain, all) / BATCH;
        for (int i = 0; i < BATCH; i++) {
            int64_t size = result(net, 1, lengths[i], words[i], plain, alone);
            assert_int_equal(size, sequences ? n / STEPS * lengths[i] : n);
            for (int64_t j = 0; j < size; j++) {
                float a = alone[j], b = all[i * n + j];
                if (a != b)
                    fail_msg("%s: sequence %d alone gives %.9g, in the batch %.9g", what, i, (double)a, (double)b);
            }
        }
    }
    soma_model_destroy(net);
}

#define WORDS soma_embedding(10, .output_dim = 6, .mask_zero = true, .embeddings_initializer = soma_normal(0, 1))

static void masked_sequences_are_as_alone(void **state) {
    (void)state;
    check_alone("lstm", soma_sequential(WORDS, soma_lstm(8), soma_dense(3)), false);
    check_alone("gru", soma_sequential(WORDS, soma_gru(8), soma_dense(3)), false);
    check_alone("gru, reset before", soma_sequential(WORDS, soma_gru(8, .reset_before = true)), false);
    check_alone("simple", soma_sequential(WORDS, soma_simple_rnn(8), soma_dense(3)), false);
    check_alone("backwards", soma_sequential(WORDS, soma_lstm(8, .go_backwards = true)), false);
    check_alone("stacked",
                soma_sequential(WORDS, soma_lstm(8, .return_sequences = true), soma_dropout(0.5), soma_gru(4)), false);
    check_alone("bidirectional", soma_sequential(WORDS, soma_bidirectional(soma_lstm(8))), false);
    check_alone("stacked bidirectional",
                soma_sequential(WORDS, soma_bidirectional(soma_lstm(8, .return_sequences = true)),
                                soma_bidirectional(soma_gru(4), .merge_mode = "sum")),
                false);
    check_alone("distributed",
                soma_sequential(WORDS, soma_time_distributed(soma_dense(5, .activation = soma_tanh)), soma_lstm(4)),
                false);
    check_alone("attention",
                soma_sequential(WORDS, soma_positional_encoding(), soma_multi_head_attention(2, .key_dim = 3),
                                soma_global_average_pooling_1d()),
                false);
    check_alone("encoder",
                soma_sequential(WORDS, soma_transformer_encoder(8, .num_heads = 2, .normalize_first = true),
                                soma_transformer_encoder(8, .num_heads = 2), soma_gru(4)),
                false);
    check_alone("attention to itself", soma_sequential(WORDS, soma_attention(.causal = true)), true);
    check_alone("additive attention", soma_sequential(WORDS, soma_additive_attention()), true);
    check_alone("each state", soma_sequential(WORDS, soma_lstm(8, .return_sequences = true)), true);
    check_alone("bidirectional, each state",
                soma_sequential(WORDS, soma_bidirectional(soma_lstm(8, .return_sequences = true))), true);
}

static void masked_average(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_masking(.mask_value = -1), soma_global_average_pooling_1d());
    const float x[] = {1, 2, -1, -1, 3, 6, -1, -1, -1, -1, -1, -1};
    soma_tensor *y = apply(net, soma_array(NULL, SOMA_F32, SOMA_DIMS(2, 3, 2), x), false);
    const double expected[] = {2, 4, 0, 0}; /* the mean of (1, 2) and (3, 6); nothing */
    for (int i = 0; i < 4; i++)
        expect_near("average", soma_item(y, i), expected[i], 0);
    soma_model_destroy(net);
}

/* A layer that says nothing of masks ends them. */
static void masks_end_where_steps_do(void **state) {
    (void)state;
    const float x[] = {1, 0, 3};
    soma_tensor *in = soma_array(NULL, SOMA_F32, SOMA_DIMS(1, 3, 1), x);
    soma_model *net = soma_sequential(soma_masking(), soma_zero_padding_1d({-1, 1}), soma_global_average_pooling_1d());
    expect_near("average", soma_item(apply(net, in, false), 0), 1, 0);
    soma_model_destroy(net);
}

/* ---- BatchNormalization ---- */

static void moving_statistics(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_batch_normalization(.momentum = 0.75, .input_shape = {2}),
                                      soma_dense(1, .kernel_initializer = soma_all_ones()));
    assert_int_equal(soma_compile(net, .optimizer = soma_sgd(.learning_rate = 1e-30), .loss = soma_mean_squared_error),
                     SOMA_OK);
    double mean = 0, variance = 1;
    for (int step = 0; step < 3; step++) {
        const float x[] = {1, 0, 2 + (float)step, 0, 6, 0};
        double m = 0, v = 0;
        for (int i = 0; i < 3; i++)
            m += (double)x[2 * i] / 3;
        for (int i = 0; i < 3; i++)
            v += ((double)x[2 * i] - m) * ((double)x[2 * i] - m) / 3;
        mean = 0.75 * mean + 0.25 * m;
        variance = 0.75 * variance + 0.25 * v;
        soma_scores s = soma_train_on_batch(net, soma_array(NULL, SOMA_F32, SOMA_DIMS(3, 2), x),
                                            soma_zeros(NULL, SOMA_F32, SOMA_DIMS(3, 1)));
        assert_int_equal(s.status, SOMA_OK);
    }
    soma_layer *layer = soma_model_get_layer(net, 0);
    assert_string_equal(soma_variable_name(soma_layer_get_weight(layer, 2)), "batch_normalization/moving_mean");
    float moving[2];
    assert_int_equal(soma_variable_get(soma_layer_get_weight(layer, 2), moving, sizeof moving), SOMA_OK);
    expect_near("mean", (double)moving[0], mean, 1e-6);
    assert_int_equal(soma_variable_get(soma_layer_get_weight(layer, 3), moving, sizeof moving), SOMA_OK);
    expect_near("variance", (double)moving[0], variance, 1e-6);
    expect_near("variance of zeros", (double)moving[1], 0.75 * 0.75 * 0.75, 1e-6);
    /* predictions use them */
    const float probe[] = {2, 1};
    soma_tensor *y = apply(net, soma_array(NULL, SOMA_F32, SOMA_DIMS(1, 2), probe), false);
    double expected = (2 - mean) / sqrt(variance + 1e-3) + 1 / sqrt(0.421875 + 1e-3);
    expect_near("prediction", soma_item(y, 0), expected, 1e-5);
    char *summary = soma_summary(net, &(soma_summary_options){.ascii = true});
    assert_non_null(strstr(summary, "Non-trainable params: 4 (16.00 B)"));
    soma_string_free(summary);
    soma_model_destroy(net);
}

static void frozen_statistics_stay(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_batch_normalization(.frozen = true, .input_shape = {2}), soma_dense(1));
    assert_int_equal(soma_compile(net, .loss = soma_mean_squared_error), SOMA_OK);
    soma_scores s = soma_train_on_batch(net, soma_ones(NULL, SOMA_F32, SOMA_DIMS(3, 2)),
                                        soma_zeros(NULL, SOMA_F32, SOMA_DIMS(3, 1)));
    assert_int_equal(s.status, SOMA_OK);
    float moving[2];
    assert_int_equal(soma_variable_get(soma_layer_get_weight(soma_model_get_layer(net, 0), 2), moving, sizeof moving),
                     SOMA_OK);
    assert_true(moving[0] == 0 && moving[1] == 0);
    soma_model_destroy(net);
}

/* ---- noise ---- */

static void moments(soma_tensor *x, double *mean, double *deviation) {
    const float *v = soma_data(x);
    assert_non_null(v);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < soma_size(x); i++) {
        sum += (double)v[i];
        squares += (double)v[i] * (double)v[i];
    }
    *mean = sum / (double)soma_size(x);
    *deviation = sqrt(squares / (double)soma_size(x) - *mean * *mean);
}

/* Means within five of their own deviations, deviations within 3 %. */
static void check_noise(const char *what, soma_layer *layer, soma_tensor *x, double mean, double deviation) {
    soma_model *net = soma_sequential(layer);
    double m, s;
    moments(apply(net, x, true), &m, &s);
    if (fabs(m - mean) > 5 * deviation / 200) fail_msg("%s: mean %g, expected %g", what, m, mean);
    if (fabs(s - deviation) > 0.03 * deviation) fail_msg("%s: deviation %g, expected %g", what, s, deviation);
    moments(apply(net, x, false), &m, &s);
    double m0, s0;
    moments(x, &m0, &s0);
    assert_true(m == m0 && s == s0);
    soma_model_destroy(net);
}

static void noise_has_its_moments(void **state) {
    (void)state;
    soma_tensor *ones = soma_ones(NULL, SOMA_F32, SOMA_DIMS(200, 200));
    soma_tensor *step = soma_scalar(NULL, SOMA_I64, 5);
    soma_tensor *normal = soma_random_normal(NULL, SOMA_F32, SOMA_DIMS(200, 200), 0, 1, step);
    check_noise("gaussian noise", soma_gaussian_noise(0.3), ones, 1, 0.3);
    check_noise("gaussian dropout", soma_gaussian_dropout(0.2), ones, 1, 0.5);
    check_noise("alpha dropout", soma_alpha_dropout(0.3), normal, 0, 1);
}

static void spatial_dropout_drops_channels(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_spatial_dropout_1d(0.5));
    const float *v = soma_data(apply(net, soma_ones(NULL, SOMA_F32, SOMA_DIMS(50, 4, 40)), true));
    assert_non_null(v);
    int dropped = 0;
    for (int b = 0; b < 50; b++) {
        for (int c = 0; c < 40; c++) {
            float first = v[b * 160 + c];
            assert_true(first == 0 || first == 2);
            for (int t = 1; t < 4; t++)
                assert_true(v[b * 160 + t * 40 + c] == first);
            dropped += first == 0;
        }
    }
    assert_in_range(dropped, 1000 - 5 * 23, 1000 + 5 * 23);
    soma_model_destroy(net);
    assert_null(soma_sequential(soma_spatial_dropout_2d(0.5, .input_shape = {4, 4})));
    expect_error(SOMA_SHAPE, "[SpatialDropout2D] a sample of rank 2 is given, not 3");
}

/* x (50, 40, and six places): all of a channel, or nothing. */
static void check_channels_first(soma_layer *layer, soma_tensor *x) {
    soma_model *net = soma_sequential(layer);
    const float *v = soma_data(apply(net, x, true));
    assert_non_null(v);
    int dropped = 0;
    for (int channel = 0; channel < 50 * 40; channel++) {
        float first = v[channel * 6];
        assert_true(first == 0 || first == 2);
        for (int i = 1; i < 6; i++)
            assert_true(v[channel * 6 + i] == first);
        dropped += first == 0;
    }
    assert_in_range(dropped, 1000 - 5 * 23, 1000 + 5 * 23);
    soma_model_destroy(net);
}

static void spatial_dropout_knows_channels_first(void **state) {
    (void)state;
    check_channels_first(soma_spatial_dropout_2d(0.5, .data_format = "channels_first"),
                         soma_ones(NULL, SOMA_F32, SOMA_DIMS(50, 40, 2, 3)));
    check_channels_first(soma_spatial_dropout_3d(0.5, .data_format = "channels_first"),
                         soma_ones(NULL, SOMA_F32, SOMA_DIMS(50, 40, 3, 1, 2)));
}

static void recurrent_dropout_is_noise_of_training(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_lstm(8, .dropout = 0.5, .recurrent_dropout = 0.5));
    soma_tensor *x = soma_ones(NULL, SOMA_F32, SOMA_DIMS(3, 4, 5));
    const float *a = soma_data(apply(net, x, false)), *b = soma_data(apply(net, x, true));
    assert_memory_equal(a, a + 8, 8 * sizeof *a);     /* equal samples, equal results */
    assert_memory_not_equal(b, b + 8, 8 * sizeof *b); /* but each has draws of its own */
    soma_model_destroy(net);
}

/* ---- weights ---- */

static void orthogonal_is(void **state) {
    (void)state;
    const struct {
        int64_t rows, columns;
    } shapes[] = {{1, 1}, {5, 5}, {64, 64}, {16, 64}, {64, 16}, {40, 50}, {5, 3}, {2, 7}, {96, 57}};
    for (int i = 0; i < COUNT(shapes); i++) {
        soma_graph_reset(NULL);
        int64_t shape[] = {shapes[i].rows, shapes[i].columns};
        soma_weight_request request = {.graph = soma_default_graph(),
                                       .dtype = SOMA_F64,
                                       .rank = 2,
                                       .shape = shape,
                                       .step = soma_scalar(NULL, SOMA_I64, -1 - i)};
        soma_initializer o = soma_orthogonal(2);
        soma_tensor *x = o.build(&request, o.parameters), *t = soma_transpose(x, NULL);
        bool wide = shape[0] < shape[1];
        soma_tensor *p = wide ? soma_matmul(x, t) : soma_matmul(t, x);
        int64_t n = wide ? shape[0] : shape[1];
        for (int64_t j = 0; j < n * n; j++)
            expect_near("orthogonal", soma_item(p, j), j % (n + 1) == 0 ? 4 : 0, 1e-10);
    }
}

static void weights_of_recurrent_layers(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_bidirectional(soma_lstm(2), .input_shape = {3, 4}));
    assert_non_null(net);
    soma_layer *layer = soma_model_get_layer(net, 0);
    static const char *const names[] = {"forward_kernel",  "forward_recurrent_kernel",  "forward_bias",
                                        "backward_kernel", "backward_recurrent_kernel", "backward_bias"};
    assert_int_equal(soma_layer_weights(layer), 6);
    for (int i = 0; i < 6; i++) {
        const char *name = soma_variable_name(soma_layer_get_weight(layer, i));
        assert_string_equal(strchr(name, '/') + 1, names[i]);
    }
    float bias[8];
    assert_int_equal(soma_variable_get(soma_layer_get_weight(layer, 5), bias, sizeof bias), SOMA_OK);
    assert_memory_equal(bias, ((const float[]){0, 0, 1, 1, 0, 0, 0, 0}), sizeof bias);
    assert_int_equal(soma_count_params(net), 2 * (4 * 8 + 2 * 8 + 8));
    soma_model_destroy(net);
}

/* Every weight of a deep stack moves, and the loss of one batch falls. */
static void recurrent_layers_learn(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_embedding(10, .output_dim = 8, .mask_zero = true, .input_shape = {STEPS}),
                                      soma_bidirectional(soma_lstm(8, .return_sequences = true)),
                                      soma_layer_normalization(), soma_gru(8, .return_sequences = true),
                                      soma_time_distributed(soma_dense(8, .activation = soma_tanh)), soma_simple_rnn(8),
                                      soma_batch_normalization(), soma_dense(BATCH, .activation = soma_softmax));
    assert_int_equal(
        soma_compile(net, .optimizer = soma_adam(.learning_rate = 0.01), .loss = soma_sparse_categorical_crossentropy),
        SOMA_OK);
    int64_t words[BATCH][STEPS], classes[BATCH] = {0, 1, 2, 3, 4};
    make_words(words);
    float *before[40];
    int n = 0;
    for (int pass = 0; pass < 2; pass++) {
        n = 0;
        for (int i = 0; i < soma_model_layers(net); i++) {
            soma_layer *layer = soma_model_get_layer(net, i);
            for (int j = 0; j < soma_layer_weights(layer); j++, n++) {
                soma_variable *w = soma_layer_get_weight(layer, j);
                size_t bytes = (size_t)soma_variable_size(w) * sizeof(float);
                float *now = malloc(bytes);
                assert_int_equal(soma_variable_get(w, now, bytes), SOMA_OK);
                if (pass == 1 && memcmp(now, before[n], bytes) == 0) fail_msg("%s stayed", soma_variable_name(w));
                if (pass == 1) free(before[n]);
                before[n] = now;
                if (pass == 1) free(now);
            }
        }
        double first = 0, last = 0;
        for (int step = 0; pass == 0 && step < 60; step++) {
            soma_scores s = soma_train_on_batch(net, soma_array(NULL, SOMA_I64, SOMA_DIMS(BATCH, STEPS), words),
                                                soma_array(NULL, SOMA_I64, SOMA_DIMS(BATCH), classes));
            if (s.status != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
            if (step == 0) first = s.loss;
            last = s.loss;
        }
        if (pass == 0 && last > 0.1 * first) fail_msg("the loss went from %g to %g only", first, last);
    }
    soma_model_destroy(net);
}

/* A decoder that looks ahead could not do this: the results of the first steps do not depend on the later ones. */
static void causal_attention_does_not_look_ahead(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_position_embedding(STEPS, .input_shape = {STEPS, 4}),
                                      soma_transformer_decoder(8, .num_heads = 2, .dropout = 0.1));
    float x[STEPS * 4];
    for (int i = 0; i < STEPS * 4; i++)
        x[i] = (float)(i * 7 % 11) / 5 - 1;
    soma_tensor *a = apply(net, soma_array(NULL, SOMA_F32, SOMA_DIMS(1, STEPS, 4), x), false);
    x[STEPS * 4 - 1] += 1;
    soma_tensor *b = apply(net, soma_array(NULL, SOMA_F32, SOMA_DIMS(1, STEPS, 4), x), false);
    const float *first = soma_data(a), *second = soma_data(b);
    assert_memory_equal(first, second, (STEPS - 1) * 4 * sizeof *first);
    assert_memory_not_equal(first, second, STEPS * 4 * sizeof *first);
    soma_model_destroy(net);
}

static void transformer_learns(void **state) {
    (void)state;
    soma_model *net =
        soma_sequential(soma_embedding(10, .output_dim = 8, .mask_zero = true, .input_shape = {STEPS}),
                        soma_positional_encoding(), soma_transformer_encoder(16, .num_heads = 2, .dropout = 0.05),
                        soma_global_average_pooling_1d(), soma_dense(BATCH, .activation = soma_softmax));
    assert_int_equal(
        soma_compile(net, .optimizer = soma_adam(.learning_rate = 0.01), .loss = soma_sparse_categorical_crossentropy),
        SOMA_OK);
    int64_t words[BATCH][STEPS], classes[BATCH] = {0, 1, 2, 3, 4};
    make_words(words);
    double first = 0, last = 0;
    for (int step = 0; step < 100; step++) {
        soma_scores s = soma_train_on_batch(net, soma_array(NULL, SOMA_I64, SOMA_DIMS(BATCH, STEPS), words),
                                            soma_array(NULL, SOMA_I64, SOMA_DIMS(BATCH), classes));
        if (s.status != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
        if (step == 0) first = s.loss;
        last = s.loss;
    }
    if (last > 0.2 * first) fail_msg("the loss went from %g to %g only", first, last);
    soma_model_destroy(net);
}

/* ---- functions of the user's own, and mistakes ---- */

static soma_tensor *middle(soma_tensor *x) {
    return soma_slice(x, ":, 1:-1");
}

static void lambda_of_the_users_own(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_lambda(middle, .input_shape = {5}), soma_dense(2));
    int64_t shape[SOMA_MAX_RANK];
    assert_int_equal(soma_model_input_shape(net, shape), 1);
    assert_int_equal(soma_count_params(net), 3 * 2 + 2);
    const char *path = scratch_path("lambda.soma");
    assert_int_not_equal(soma_save(net, path), SOMA_OK);
    expect_error(SOMA_INVALID, "[Lambda] function: the function has no name");
    assert_int_equal(soma_save(net, path, .custom = {{.name = "middle", .function = (soma_function *)middle}}),
                     SOMA_OK);
    soma_model *again = soma_load(NULL, path, .custom = {{.name = "middle", .function = (soma_function *)middle}});
    assert_non_null(again);
    soma_tensor *x = soma_array(NULL, SOMA_F32, SOMA_DIMS(1, 5), ((const float[]){1, 2, 3, 4, 5}));
    assert_true(soma_item(apply(net, x, false), 0) == soma_item(apply(again, x, false), 0));
    soma_model_destroy(again);
    soma_model_destroy(net);
}

static void activity_is_penalized(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_activity_regularization(.l1 = 0.5, .l2 = 0.25, .input_shape = {2}));
    assert_int_equal(soma_compile(net, .loss = soma_mean_squared_error), SOMA_OK);
    soma_tensor *x = soma_array(NULL, SOMA_F32, SOMA_DIMS(1, 2), ((const float[]){1, -3}));
    expect_near("loss", soma_test_on_batch(net, x, x).loss, 0.5 * 4 + 0.25 * 10, 1e-6);
    soma_model_destroy(net);
}

static void mistakes(void **state) {
    (void)state;
    static const struct {
        const char *json, *error;
    } cases[] = {
        {"{\"input_shape\": [8], \"layers\": [{\"lstm\": 4}]}", "[LSTM] a sample must be (steps, features)"},
        {"{\"input_shape\": [6, 5], \"layers\": [{\"group_normalization\": 2}]}", "5 channels are not a multiple"},
        {"{\"input_shape\": [6], \"layers\": [{\"layer_normalization\": 2}]}", "[LayerNormalization] axis 2 is not"},
        {"{\"input_shape\": [6, 5], \"layers\": [{\"permute\": [2, 2]}]}", "[Permute] dims must be the numbers 1 to 2"},
        {"{\"input_shape\": [4, 5], \"layers\": [{\"cropping_1d\": [2, 2]}]}", "nothing is left of an axis of 4"},
        {"{\"input_shape\": [4, 5], \"layers\": [{\"cropping_1d\": [1, 2, 3]}]}", "cropping has 3 numbers, not 1 or 2"},
        {"{\"input_shape\": [4, 5, 1], \"layers\": [{\"zero_padding_2d\": [1, 2, 3]}]}",
         "padding has 3 numbers, not 1, one an axis or 4"},
        {"{\"input_shape\": [4, 5], \"layers\": [{\"bidirectional\": {\"layer\": {\"dense\": 3}}}]}",
         "Dense is no recurrent layer"},
        {"{\"input_shape\": [4, 5], \"layers\": [\"bidirectional\"]}", "nothing is no recurrent layer"},
        {"{\"input_shape\": [4, 5], \"layers\": [\"time_distributed\"]}", "[TimeDistributed] no layer is given"},
        {"{\"input_shape\": [4, 5], \"layers\": [{\"bidirectional\": {\"layer\": {\"lstm\": 3}, \"merge_mode\": "
         "\"x\"}}]}",
         "merge_mode is 'x'"},
        {"{\"input_shape\": [4, 5], \"layers\": [{\"bidirectional\": {\"layer\": {\"lstm\": 3}, \"backward_layer\":"
         " {\"lstm\": 3}}}]}",
         "both layers go the same way"},
        {"{\"input_shape\": [4, 5], \"layers\": [{\"bidirectional\": {\"layer\": {\"lstm\": 3}, \"layer\": {\"lstm\": "
         "0}}}]}",
         ""},
        {"{\"input_shape\": [4, 5], \"layers\": [{\"time_distributed\": {\"layer\": {\"dance\": 3}}}]}",
         "unknown layer 'dance'"},
        {"{\"input_shape\": [4, 5], \"layers\": [{\"time_distributed\": {\"layer\": {\"dense\": 3}, \"laye\": 1}}]}",
         "unknown option 'laye'"},
        {"{\"input_shape\": [4], \"layers\": [\"embedding\"]}", "[Embedding] input_dim is 0"},
        {"{\"input_shape\": [4], \"layers\": [{\"softmax\": 5}]}", "axis"},
        {"{\"input_shape\": [4, 64], \"layers\": [{\"group_normalization\": 0}]}", "groups must not be 0"},
        {"{\"input_shape\": [4, 4, 2], \"layers\": [{\"flatten\": \"channels\"}]}", "it must be channels_last or"},
        {"{\"input_shape\": [4], \"layers\": [\"einsum_dense\"]}", "equation '': it must be like ab,bc->ac"},
        {"{\"input_shape\": [4], \"layers\": [{\"einsum_dense\": \"ab,bc->ac\"}]}", "output_shape lacks the extent"},
        {"{\"input_shape\": [4], \"layers\": [{\"einsum_dense\": \"abc,c->ab\"}]}", "the input has other axes"},
        {"{\"input_shape\": [4], \"layers\": [{\"einsum_dense\": \"ab,bb->a\"}]}", "stands there once"},
        {"{\"input_shape\": [4], \"layers\": [{\"einsum_dense\": \"ab,a->b\"}]}", "the first axis of x and result"},
        {"{\"input_shape\": [4], \"layers\": [{\"einsum_dense\": \"ab,ab->a\"}]}", "the kernel has no batch"},
        {"{\"input_shape\": [4], \"layers\": [{\"einsum_dense\": \"ab,bc->a\"}]}", "neither in x nor in the result"},
        {"{\"input_shape\": [4, 2], \"layers\": [{\"einsum_dense\": \"abc,b->ab\"}]}",
         "neither in the kernel nor in the"},
        {"{\"input_shape\": [4], \"layers\": [{\"einsum_dense\": \"a.,b->ab\"}]}", "... stands for further axes"},
        {"{\"input_shape\": [4], \"layers\": [{\"einsum_dense\": {\"equation\": \"ab,b->ab\", \"bias_axes\": \"c\"}}]}",
         "bias_axes are letters of the result"},
        {"{\"input_shape\": [4, 0, 2], \"layers\": [\"flatten\"]}", "an extent of a sample is 0"},
        {"{\"layers\": [{\"dense\": {\"units\": 2, \"input_shape\": [[2, 3]]}}]}", "input_shape must be a list"},
        {"{\"layers\": [{\"dense\": {\"units\": 2, \"input_shape\": [0]}}]}", "whole numbers that are not zero"},
        {"{\"input_shape\": [4, 4, 2, 2], \"layers\": [{\"conv_lstm_2d\": {\"filters\": 1, \"kernel_size\": 1, "
         "\"data_format\": \"first\"}}]}",
         "[ConvLSTM2D] data_format is 'first'"},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        soma_model *net = soma_model_from_json(NULL, cases[i].json);
        if (net) fail_msg("accepted %s", cases[i].json);
        if (!strstr(soma_last_error(NULL), cases[i].error))
            fail_msg("%s: '%s' lacks '%s'", cases[i].json, soma_last_error(NULL), cases[i].error);
        soma_clear_error(NULL);
    }
    soma_layer *inner = soma_lstm(3);
    assert_null(soma_bidirectional(inner, .backward_layer = inner));
    expect_error(SOMA_INVALID, "backward_layer is there twice");
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(masked_sequences_are_as_alone),
        TEST(masked_average),
        TEST(masks_end_where_steps_do),
        TEST(moving_statistics),
        TEST(frozen_statistics_stay),
        TEST(noise_has_its_moments),
        TEST(spatial_dropout_drops_channels),
        TEST(spatial_dropout_knows_channels_first),
        TEST(recurrent_dropout_is_noise_of_training),
        TEST(orthogonal_is),
        TEST(weights_of_recurrent_layers),
        TEST(recurrent_layers_learn),
        TEST(causal_attention_does_not_look_ahead),
        TEST(transformer_learns),
        TEST(lambda_of_the_users_own),
        TEST(activity_is_penalized),
        TEST(mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
