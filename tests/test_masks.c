/* Masks where layers meet, in statistics, losses and metrics: Keras 3's rules (keras/src: layers/merging/base_merge.py
 * and concatenate.py, layers/attention/attention.py, layers/normalization/batch_normalization.py, losses/loss.py,
 * metrics/reduction_metrics.py), with the numbers written out.
 * Rests on cmocka. What a mask does to single layers and to a whole training is in test_layers.c and
 * test_losses_more.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>

#include <soma/soma.h>

#include "support/expect.h"

/* ---- where layers meet ---- */

enum { STEPS = 3 };

/* Steps that are 0 do not count. */
static const float left[] = {1, 0, 0}, right[] = {0, 0, 6};

/* The average over the steps that count of what the layer makes of both. */
static double average(soma_layer *layer, bool left_masked, bool right_masked) {
    soma_symbol *a = soma_symbol_create(NULL, SOMA_DIMS(STEPS, 1), "a");
    soma_symbol *b = soma_symbol_create(NULL, SOMA_DIMS(STEPS, 1), "b");
    soma_symbol *x = left_masked ? soma_call(soma_masking(), a) : a,
                *z = right_masked ? soma_call(soma_masking(), b) : b;
    soma_symbol *y = soma_call(soma_global_average_pooling_1d(), soma_call_many(layer, (soma_symbol *[]){x, z}, 2));
    soma_model *net = soma_model_create((soma_symbol *[]){a, b}, 2, &y, 1);
    if (!net) fail_msg("%s", soma_last_error(NULL));
    soma_tensor *in[] = {soma_array(NULL, SOMA_F32, SOMA_DIMS(1, STEPS, 1), left),
                         soma_array(NULL, SOMA_F32, SOMA_DIMS(1, STEPS, 1), right)};
    soma_tensor *out;
    expect_ok(soma_model_apply(net, in, 2, false, &out));
    double first = soma_item(out, 0);
    soma_model_destroy(net);
    return first;
}

/* A step of a sum counts where one of any term does, so all of them unless all terms have a mask. */
static void a_step_of_either_counts(void **state) {
    (void)state;
    expect_near("add", average(soma_add_layer(), true, true), (1 + 6) / 2., 1e-6);
    expect_near("add, one mask", average(soma_add_layer(), true, false), (1 + 6) / 3., 1e-6);
    expect_near("add, the other", average(soma_add_layer(), false, true), (1 + 6) / 3., 1e-6);
    expect_near("average", average(soma_average_layer(), true, true), (1 + 6) / 4., 1e-6);
    expect_near("subtract", average(soma_subtract_layer(), true, true), (1 - 6) / 2., 1e-6);
    /* of what does not count nothing is taken: 0 would be the smallest, and make products 0 */
    expect_near("maximum", average(soma_maximum_layer(), true, true), (1 + 6) / 2., 1e-6);
    expect_near("minimum", average(soma_minimum_layer(), true, true), (1 + 6) / 2., 1e-6);
    expect_near("product", average(soma_multiply_layer(), true, true), (1 + 6) / 2., 1e-6);
    expect_near("product, one mask", average(soma_multiply_layer(), true, false), (0 + 0 + 6) / 3., 1e-6);
    expect_near("product, the other", average(soma_multiply_layer(), false, true), (1 + 0 + 0) / 3., 1e-6);
    expect_near("minimum, no mask", average(soma_minimum_layer(), false, false), 0, 1e-6);
    expect_near("side by side", average(soma_concatenate(), true, true), 1 / 2., 1e-6);
    expect_near("side by side, one mask", average(soma_concatenate(), true, false), 1 / 3., 1e-6);
    expect_near("in a row", average(soma_concatenate(.axis = 1), true, true), (1 + 6) / 2., 1e-6);
    expect_near("in a row, one mask", average(soma_concatenate(.axis = -2), true, false), (1 + 6) / 4., 1e-6);
    expect_near("in a row, the other", average(soma_concatenate(.axis = 1), false, true), (1 + 6) / 4., 1e-6);
    expect_near("in a row, none", average(soma_concatenate(.axis = 1), false, false), (1 + 6) / 6., 1e-6);
}

/* What attention gives has the query's mask, however many steps the value has, and is 0 where that takes steps away.
 * Of the value only the 6 counts, or else shares of softmax((0, 0, 6 q)). */
static void attention_has_the_mask_of_its_query(void **state) {
    (void)state;
    expect_near("value", average(soma_attention(), false, true), 6, 1e-6);
    expect_near("both", average(soma_attention(), true, true), 6, 1e-6);
    expect_near("query", average(soma_attention(), true, false), 6 * exp(6) / (2 + exp(6)), 1e-6);
    expect_near("additive", average(soma_additive_attention(), true, true), 6, 1e-6);
    for (int additive = 0; additive < 2; additive++) {
        soma_model *net = soma_sequential(soma_masking(.input_shape = {STEPS, 1}),
                                          additive ? soma_additive_attention() : soma_attention());
        soma_tensor *x = soma_array(NULL, SOMA_F32, SOMA_DIMS(1, STEPS, 1), left), *y;
        expect_ok(soma_model_apply(net, &x, 1, false, &y));
        expect_all("zeros", y, (const double[]){1, 0, 0}, STEPS, 0);
        soma_model_destroy(net);
    }
}

/* ---- statistics ---- */

/* A padded batch is normalized, and moves the statistics, as its steps that count would be alone. */
static void statistics_are_of_what_counts(void **state) {
    (void)state;
    const float padded[] = {1, 2, 3, 5, 0, 0, 4, -1, 0, 0, 0, 0}, alone[] = {1, 2, 3, 5, 4, -1};
    soma_tensor *of[2] = {NULL, NULL};
    float moving[2][2][2];
    for (int i = 0; i < 2; i++) {
        soma_model *net =
            soma_sequential(soma_masking(.input_shape = {i ? 1 : STEPS, 2}), soma_batch_normalization(.momentum = 0.5));
        soma_tensor *x = i ? soma_array(NULL, SOMA_F32, SOMA_DIMS(3, 1, 2), alone)
                           : soma_array(NULL, SOMA_F32, SOMA_DIMS(2, STEPS, 2), padded);
        expect_ok(soma_model_apply(net, &x, 1, true, &of[i]));
        assert_non_null(soma_data(of[i]));
        expect_ok(soma_compile(net, .optimizer = soma_sgd(.learning_rate = 1e-30), .loss = soma_mean_squared_error));
        expect_ok(soma_train_on_batch(net, x, x).status);
        for (int k = 0; k < 2; k++)
            expect_ok(soma_variable_get(soma_layer_get_weight(soma_model_get_layer(net, 1), 2 + k), moving[i][k],
                                        sizeof moving[i][k]));
        soma_model_destroy(net);
    }
    static const int places[] = {0, 1, 2, 3, 6, 7};
    for (int i = 0; i < 6; i++)
        expect_near("normalized", soma_item(of[0], places[i]), soma_item(of[1], i), 1e-6);
    for (int k = 0; k < 4; k++)
        expect_near("moving", (double)moving[0][k / 2][k % 2], (double)moving[1][k / 2][k % 2], 1e-6);
    expect_near("mean", (double)moving[0][0][0], (1 + 3 + 4) / 3. / 2, 1e-6);
}

/* ---- losses and metrics ---- */

enum { NONE = 9 };

/* Two samples of three steps with shares of two classes; two steps are padding, two others without a class. */
static soma_scores scores_of(soma_loss loss, soma_reduction reduction, const double *weights, bool weighted) {
    static const float x[] = {.25F, .75F, 0, 0, .5F, .5F, .9F, .1F, .2F, .8F, 0, 0};
    static const int32_t y[] = {1, NONE, 0, NONE, 0, NONE};
    soma_model *net = soma_sequential(soma_masking(.input_shape = {STEPS, 2}));
    expect_ok(soma_compile(net, .loss_with = loss, .loss_reduction = reduction,
                           .metrics = {weighted ? NULL : soma_accuracy},
                           .weighted_metrics = {weighted ? soma_accuracy : NULL}));
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(2, STEPS, 2), x},
                                                  (soma_array_data){SOMA_I32, SOMA_DIMS(2, STEPS), y}, true);
    const soma_scores s = soma_evaluate(net, data, .sample_weight = weights, .batch_size = 1);
    expect_ok(s.status);
    const soma_scores whole = soma_evaluate(net, data, .sample_weight = weights);
    expect_near("metric by batches", s.metrics[0], whole.metrics[0], 1e-6);
    soma_dataset_destroy(data);
    soma_model_destroy(net);
    return whole;
}

/* Only what neither the mask nor ignore_class leaves out counts, once. */
static void ignored_classes_meet_masks(void **state) {
    (void)state;
    const soma_loss loss = soma_sparse_categorical_crossentropy_loss(NONE);
    const double a = -log(.75), b = -log(.5), c = -log(.2), weights[] = {1, 3};
    expect_near("mean", scores_of(loss, SOMA_REDUCE_MEAN, NULL, false).loss, (a + b + c) / 3, 1e-6);
    expect_near("sum", scores_of(loss, SOMA_REDUCE_SUM, NULL, false).loss, a + b + c, 1e-6);
    expect_near("by ones", scores_of(loss, SOMA_REDUCE_WEIGHTED_MEAN, NULL, false).loss, (a + b + c) / 3, 1e-6);
    expect_near("weighted", scores_of(loss, SOMA_REDUCE_MEAN, weights, false).loss, (a + b + 3 * c) / 3, 1e-6);
    expect_near("by weights", scores_of(loss, SOMA_REDUCE_WEIGHTED_MEAN, weights, false).loss, (a + b + 3 * c) / 5,
                1e-6);
}

/* Of the four steps that the mask leaves, two are right: the first of both classes alike is said. */
static void metrics_are_of_what_counts(void **state) {
    (void)state;
    const soma_loss loss = soma_sparse_categorical_crossentropy_loss(NONE);
    const double weights[] = {1, 3};
    expect_near("plain", scores_of(loss, SOMA_REDUCE_MEAN, NULL, false).metrics[0], 2 / 4., 1e-6);
    expect_near("weights beside", scores_of(loss, SOMA_REDUCE_MEAN, weights, false).metrics[0], 2 / 4., 1e-6);
    expect_near("weighted", scores_of(loss, SOMA_REDUCE_MEAN, weights, true).metrics[0], 2 / 8., 1e-6);
    expect_near("no weights", scores_of(loss, SOMA_REDUCE_MEAN, NULL, true).metrics[0], 2 / 4., 1e-6);
}

/* Keras' bidirectional.py, force_zero_output_for_mask: what each way carries on is of another step. */
static void both_ways_leave_masked_steps_out(void **state) {
    (void)state;
    soma_layer *cell = soma_simple_rnn(1, .return_sequences = true, .activation = soma_linear,
                                       .kernel_initializer = soma_all_ones(), .recurrent_initializer = soma_all_ones());
    soma_model *net =
        soma_sequential(soma_masking(.input_shape = {4, 1}), soma_bidirectional(cell, .merge_mode = "sum"));
    static const float x[] = {0, 1, 0, 5};
    const double sums[] = {0, 1 + 6, 0, 6 + 5};
    soma_tensor *in = soma_array(NULL, SOMA_F32, SOMA_DIMS(1, 4, 1), x), *out;
    expect_ok(soma_model_apply(net, &in, 1, false, &out));
    for (int i = 0; i < 4; i++)
        expect_near("step", soma_item(out, i), sums[i], 1e-6);
    soma_model_destroy(net);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(a_step_of_either_counts),       TEST(attention_has_the_mask_of_its_query),
        TEST(statistics_are_of_what_counts), TEST(ignored_classes_meet_masks),
        TEST(metrics_are_of_what_counts),    TEST(both_ways_leave_masked_steps_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
