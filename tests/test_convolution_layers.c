/* What golden values can't show of convolution and pooling: networks of several such layers, their sizes, fans and
 * plans, projected gradients, constraints over several axes, spectral norms, mistakes.
 * Rests on cmocka and the scratch folder. Golden values: tests/golden/convolution.txt. Needs: jansson */
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

static soma_tensor *apply(soma_model *net, soma_tensor *x, bool training) {
    soma_tensor *y = NULL;
    if (!net || soma_model_apply(net, &x, 1, training, &y) != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
    return y;
}

static soma_tensor *noise(soma_dtype dtype, int rank, const int64_t *shape, int64_t key) {
    return soma_random_normal(NULL, dtype, rank, shape, 0, 1, soma_scalar(NULL, SOMA_I64, (double)key));
}

static soma_variable *weight(const soma_model *net, int layer, int i) {
    return soma_layer_get_weight(soma_model_get_layer(net, layer), i);
}

/* Every weight of a model drawn anew. */
static void draw_weights(soma_model *net, soma_dtype dtype) {
    for (int i = 0, key = 1; i < soma_model_layers(net); i++) {
        for (int j = 0; j < soma_layer_weights(soma_model_get_layer(net, i)); j++, key++) {
            soma_variable *v = weight(net, i, j);
            soma_tensor *x =
                soma_mul_scalar(noise(dtype, soma_variable_ndim(v), soma_variable_shape(v), 100 + key), 0.4);
            if (strstr(soma_variable_name(v), "variance")) x = soma_add_scalar(soma_square(x), 0.5);
            assert_non_null(soma_data(x));
            assert_int_equal(soma_variable_set(v, soma_data(x), (size_t)soma_size(x) * soma_dtype_size(dtype)),
                             SOMA_OK);
        }
    }
}

static void copy_weights(soma_model *to, const soma_model *from) {
    static float values[1000];
    for (int i = 0; i < soma_model_layers(from); i++) {
        for (int j = 0; j < soma_layer_weights(soma_model_get_layer(from, i)); j++) {
            size_t bytes = (size_t)soma_variable_size(weight(from, i, j)) * sizeof *values;
            assert_true(bytes <= sizeof values);
            assert_int_equal(soma_variable_get(weight(from, i, j), values, bytes), SOMA_OK);
            assert_int_equal(soma_variable_set(weight(to, i, j), values, bytes), SOMA_OK);
        }
    }
}

/* ---- whole networks ---- */

static soma_model *digits(void) {
    return soma_sequential(soma_conv_2d(32, .kernel_size = {3, 3}, .activation = soma_relu, .input_shape = {28, 28, 1}),
                           soma_max_pooling_2d(.pool_size = {2, 2}),
                           soma_conv_2d(64, .kernel_size = {3, 3}, .activation = soma_relu),
                           soma_max_pooling_2d(.pool_size = {2, 2}), soma_flatten(), soma_dropout(0.5),
                           soma_dense(10, .activation = soma_softmax));
}

static void keras_sizes(void **state) {
    (void)state;
    soma_model *net = digits();
    if (!net) fail_msg("%s", soma_last_error(NULL));
    assert_int_equal(soma_count_params(net), 34826);
    char *summary = soma_summary(net, &(soma_summary_options){.ascii = true});
    static const char *const parts[] = {"conv2d (Conv2D)",    "(None, 26, 26, 32)", "max_pooling2d (MaxPooling2D)",
                                        "(None, 13, 13, 32)", "conv2d_1 (Conv2D)",  "(None, 11, 11, 64)",
                                        "(None, 5, 5, 64)",   "(None, 1600)",       "18,496"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!summary || !strstr(summary, parts[i])) fail_msg("'%s' is not in\n%s", parts[i], summary ? summary : "");
    soma_string_free(summary);
    soma_model_destroy(net);
}

/* Keras: the window's size times in, times out; a kernel within +-sqrt(6 / their sum) that comes near the limit. */
static void fans_count_the_window(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_conv_2d(40, .kernel_size = {3, 5}, .input_shape = {8, 8, 10}));
    assert_non_null(net);
    static float kernel[3 * 5 * 10 * 40];
    assert_int_equal(soma_variable_get(weight(net, 0, 0), kernel, sizeof kernel), SOMA_OK);
    double limit = sqrt(6.0 / (15 * 10 + 15 * 40)), largest = 0;
    for (int i = 0; i < 3 * 5 * 10 * 40; i++)
        largest = fmax(largest, fabs((double)kernel[i]));
    assert_true(largest <= limit && largest > 0.999 * limit);
    soma_model_destroy(net);
}

static void one_batch_is_learnt(void **state) {
    (void)state;
    soma_model *net = soma_sequential(
        soma_conv_2d(8, .kernel_size = {3}, .padding = "same", .activation = soma_relu, .input_shape = {9, 9, 1}),
        soma_max_pooling_2d(), soma_depthwise_conv_2d(.kernel_size = {3}, .depth_multiplier = 2),
        soma_batch_normalization(), soma_conv_2d_transpose(4, .kernel_size = {3}, .strides = {2}, .padding = "same"),
        soma_average_pooling_2d(.pool_size = {2}), soma_separable_conv_2d(6, .kernel_size = {2}), soma_flatten(),
        soma_dense(4, .activation = soma_softmax));
    if (soma_compile(net, .optimizer = soma_adam(.learning_rate = 0.01),
                     .loss = soma_sparse_categorical_crossentropy) != SOMA_OK)
        fail_msg("%s", soma_last_error(NULL));
    enum { N = 16 };
    static float x[N * 81];
    uint8_t y[N];
    for (int i = 0; i < N * 81; i++)
        x[i] = (float)sin(i * i * 0.37);
    for (int i = 0; i < N; i++)
        y[i] = (uint8_t)(i * 7 % 4);
    soma_variable *kernel = weight(net, 2, 0);
    assert_int_equal(soma_variable_size(kernel), 144);
    double loss[2] = {0};
    for (int step = 0; step < 200; step++) {
        soma_scores s = soma_train_on_batch(net, soma_array(NULL, SOMA_F32, SOMA_DIMS(N, 9, 9, 1), x),
                                            soma_array(NULL, SOMA_U8, SOMA_DIMS(N), y));
        if (s.status != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
        loss[step > 0] = s.loss;
        soma_graph_reset(NULL);
    }
    if (!(loss[1] < 0.02 && loss[0] > 1)) fail_msg("loss %g, then %g", loss[0], loss[1]);
    soma_model_destroy(net);
}

/* Bytes without an axis of channels, as readers of images give them, suit a network of images with one channel. */
static void images_need_no_axis_of_channels(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_conv_2d(2, .kernel_size = {3}, .input_shape = {4, 5, 1}), soma_flatten(),
                                      soma_dense(2, .activation = soma_softmax));
    assert_int_equal(soma_compile(net, .loss = soma_sparse_categorical_crossentropy), SOMA_OK);
    static uint8_t x[3 * 4 * 5], y[3] = {0, 1, 0};
    for (int i = 0; i < 60; i++)
        x[i] = (uint8_t)(i * 37);
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_U8, SOMA_DIMS(3, 4, 5), x},
                                                  (soma_array_data){SOMA_U8, SOMA_DIMS(3), y}, false);
    if (soma_fit(net, data, .epochs = 1) != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
    soma_dataset_destroy(data);
    soma_model_destroy(net);
}

/* The same weights on (batch, channels, places...) give what they give on (batch, places..., channels). */
static void both_orders_of_channels_agree(void **state) {
    (void)state;
    soma_model *nets[2];
    for (int first = 0; first < 2; first++) {
        const char *format = first ? "channels_first" : "channels_last";
        soma_layer *conv = first ? soma_conv_2d(6, .kernel_size = {3}, .padding = "same", .strides = {2},
                                                .data_format = format, .input_shape = {3, 9, 8})
                                 : soma_conv_2d(6, .kernel_size = {3}, .padding = "same", .strides = {2},
                                                .data_format = format, .input_shape = {9, 8, 3});
        nets[first] = soma_sequential(conv, soma_batch_normalization(.axis = first ? 1 : -1),
                                      soma_max_pooling_2d(.data_format = format, .strides = {1}),
                                      soma_up_sampling_2d(.data_format = format, .interpolation = "bilinear"),
                                      soma_adaptive_average_pooling_2d({3, 2}, .data_format = format),
                                      soma_global_max_pooling_2d(.data_format = format), soma_dense(3));
        if (!nets[first]) fail_msg("%s", soma_last_error(NULL));
        draw_weights(nets[first], SOMA_F32);
    }
    copy_weights(nets[1], nets[0]);
    soma_tensor *x = noise(SOMA_F32, SOMA_DIMS(2, 9, 8, 3), 5);
    soma_tensor *a = apply(nets[0], x, false), *b = apply(nets[1], soma_transpose(x, (int[]){0, 3, 1, 2}), false);
    for (int i = 0; i < 6; i++)
        expect_near("channels first", soma_item(b, i), soma_item(a, i), 1e-5);
    soma_model_destroy(nets[0]);
    soma_model_destroy(nets[1]);
}

/* ---- gradients: <t, vjp(c)> of a whole network against the central difference of <f, c> along t ---- */

static double sum_of(soma_tensor *x) {
    double value = soma_item(soma_sum(x, SOMA_ALL_AXES, false), 0);
    assert_true(value == value);
    return value;
}

static void gradients_of_a_network(void **state) {
    (void)state;
    soma_model *net = soma_sequential(
        soma_conv_2d(4, .kernel_size = {3, 2}, .padding = "same", .activation = soma_tanh, .input_shape = {6, 7, 2},
                     .dtype = SOMA_F64),
        soma_max_pooling_2d(.pool_size = {3}, .strides = {2}, .padding = "same", .dtype = SOMA_F64),
        soma_depthwise_conv_2d(.kernel_size = {2}, .depth_multiplier = 2, .dtype = SOMA_F64),
        soma_conv_2d_transpose(3, .kernel_size = {3}, .strides = {2}, .activation = soma_tanh, .dtype = SOMA_F64),
        soma_resizing(5, .width = 4, .dtype = SOMA_F64), soma_average_pooling_2d(.pool_size = {2}, .dtype = SOMA_F64),
        soma_conv_2d(4, .kernel_size = {1}, .dtype = SOMA_F64));
    if (!net) fail_msg("%s", soma_last_error(NULL));
    for (int seed = 0; seed < 3; seed++) {
        draw_weights(net, SOMA_F64);
        soma_tensor *x = noise(SOMA_F64, SOMA_DIMS(2, 6, 7, 2), 1000 + seed);
        soma_tensor *t = noise(SOMA_F64, SOMA_DIMS(2, 6, 7, 2), 2000 + seed), *y = apply(net, x, false), *dx[3];
        soma_tensor *c = noise(SOMA_F64, soma_ndim(y), soma_shape(y), 3000 + seed);
        soma_tensor *wrt[] = {x, soma_weight(NULL, weight(net, 0, 0)), soma_weight(NULL, weight(net, 3, 0))};
        assert_int_equal(soma_grad(soma_sum(soma_mul(y, c), SOMA_ALL_AXES, false), wrt, 3, dx), SOMA_OK);
        const double h = 1e-6;
        double side[2];
        for (int s = 0; s < 2; s++)
            side[s] = sum_of(soma_mul(apply(net, soma_add(x, soma_mul_scalar(t, s ? -h : h)), false), c));
        double gradient = sum_of(soma_mul(dx[0], t)), difference = (side[0] - side[1]) / (2 * h);
        if (!(fabs(gradient - difference) <= 1e-6 * (1 + fabs(difference))) || fabs(gradient) < 1e-4)
            fail_msg("input: %.12g, differences give %.12g", gradient, difference);
        for (int k = 1; k < 3; k++) {
            soma_variable *v = weight(net, k == 1 ? 0 : 3, 0);
            soma_tensor *tw = noise(SOMA_F64, soma_variable_ndim(v), soma_variable_shape(v), 4000 + seed);
            size_t bytes = (size_t)soma_variable_size(v) * 8;
            gradient = sum_of(soma_mul(dx[k], tw));
            const double *w = soma_data(wrt[k]);
            assert_non_null(w);
            for (int s = 0; s < 2; s++) {
                soma_tensor *moved =
                    soma_add(soma_array(NULL, SOMA_F64, soma_variable_ndim(v), soma_variable_shape(v), w),
                             soma_mul_scalar(tw, s ? -h : h));
                assert_int_equal(soma_variable_set(v, soma_data(moved), bytes), SOMA_OK);
                side[s] = sum_of(soma_mul(apply(net, x, false), c));
            }
            assert_int_equal(soma_variable_set(v, w, bytes), SOMA_OK);
            difference = (side[0] - side[1]) / (2 * h);
            if (!(fabs(gradient - difference) <= 1e-6 * (1 + fabs(difference))) || fabs(gradient) < 1e-4)
                fail_msg("kernel %d: %.12g, differences give %.12g", k, gradient, difference);
        }
        soma_graph_reset(NULL);
    }
    soma_model_destroy(net);
}

/* The batch's statistics have gradients of gradients too: the second of them is that of |dx|^2 by differences. */
static void gradients_of_normalizing_gradients(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_batch_normalization(.input_shape = {3, 2}, .dtype = SOMA_F64));
    if (!net) fail_msg("%s", soma_last_error(NULL));
    draw_weights(net, SOMA_F64);
    soma_tensor *x0 = noise(SOMA_F64, SOMA_DIMS(4, 3, 2), 1), *t = noise(SOMA_F64, SOMA_DIMS(4, 3, 2), 2);
    soma_tensor *c = noise(SOMA_F64, SOMA_DIMS(4, 3, 2), 3), *norm = NULL, *x = NULL, *second;
    const double h = 1e-6;
    double value[3];
    for (int i = 0; i < 3; i++) {
        x = soma_add(x0, soma_mul_scalar(t, i == 0 ? h : i == 1 ? -h : 0));
        soma_tensor *y = soma_sum(soma_mul(soma_square(apply(net, x, true)), c), SOMA_ALL_AXES, false), *dx;
        assert_int_equal(soma_grad(y, &x, 1, &dx), SOMA_OK);
        norm = soma_sum(soma_mul(soma_square(dx), c), SOMA_ALL_AXES, false);
        value[i] = soma_item(norm, 0);
    }
    assert_int_equal(soma_grad(norm, &x, 1, &second), SOMA_OK);
    double gradient = sum_of(soma_mul(second, t)), difference = (value[0] - value[1]) / (2 * h);
    if (!(fabs(gradient - difference) <= 1e-5 * (1 + fabs(difference))) || fabs(gradient) < 1e-3)
        fail_msg("%.12g, differences give %.12g", gradient, difference);
    soma_model_destroy(net);
}

/* ---- plans ---- */

/* The network's plan, after a run on some numbers that gives what the plain kernels give. */
static soma_plan *plan_of(soma_model *net, soma_tensor *x) {
    soma_tensor *y = apply(net, x, false);
    soma_plan *plan = soma_plan_create(&y, 1, NULL);
    soma_plan *plain = soma_plan_create(&y, 1, &(soma_plan_options){.reference = true});
    static float data[4 * 8 * 8 * 16];
    for (int i = 0; i < 4 * 8 * 8 * 16; i++)
        data[i] = (float)cos(i * 0.7);
    if (!plan || soma_plan_bind(plan, x, data) != SOMA_OK || soma_plan_run(plan) != SOMA_OK || !plain ||
        soma_plan_bind(plain, x, data) != SOMA_OK || soma_plan_run(plain) != SOMA_OK)
        fail_msg("%s", soma_last_error(NULL));
    const float *fast = soma_plan_output(plan, 0), *right = soma_plan_output(plain, 0);
    for (int64_t i = 0; i < soma_size(y); i++)
        expect_near("prediction", (double)fast[i], (double)right[i], 2e-5);
    soma_plan_destroy(plain);
    return plan;
}

/* What predictions need of BatchNormalization is two vectors made of its weights, which are then part of the epilogue:
 * beside the steps without it there is one more, of a few operations a channel, and still one contraction. */
static void normalization_melts_into_the_product(void **state) {
    (void)state;
    enum { CHANNELS = 32 };
    for (int kind = 0; kind < 2; kind++) {
        int steps[2], contractions = 0;
        for (int normalized = 0; normalized < 2; normalized++) {
            soma_tensor *x = soma_input(NULL, SOMA_F32, SOMA_DIMS(4, 8, 8, 16), "x");
            soma_layer *linear = kind ? soma_dense(CHANNELS, .input_shape = {8, 8, 16})
                                      : soma_conv_2d(CHANNELS, .kernel_size = {3}, .input_shape = {8, 8, 16});
            soma_model *net = normalized
                                  ? soma_sequential(linear, soma_batch_normalization(), soma_activation(soma_relu))
                                  : soma_sequential(linear, soma_activation(soma_relu));
            if (!net) fail_msg("%s", soma_last_error(NULL));
            draw_weights(net, SOMA_F32);
            soma_plan *plan = plan_of(net, x);
            steps[normalized] = soma_plan_steps(plan);
            for (int i = 0; normalized && i < steps[1]; i++) {
                const soma_plan_step step = soma_plan_get_step(plan, i);
                bool contraction = strcmp(step.kind, "contract") == 0;
                contractions += contraction;
                if (!contraction && step.flops > 10 * CHANNELS)
                    fail_msg("%s %s: %g operations", step.kind, step.text, step.flops);
            }
            soma_plan_destroy(plan);
            soma_model_destroy(net);
            soma_graph_reset(NULL);
        }
        assert_int_equal(contractions, 1);
        if (steps[1] > steps[0] + 1) fail_msg("%d steps, %d with normalization", steps[0], steps[1]);
    }
}

/* ---- constraints ---- */

static void constraints_over_several_axes(void **state) {
    (void)state;
    soma_model *net =
        soma_sequential(soma_conv_2d(2, .kernel_size = {2}, .input_shape = {3, 3, 2}, .dtype = SOMA_F64,
                                     .kernel_constraint = soma_max_norm(0.5, soma_axis_set(SOMA_AXES(0, 1, 2)))));
    double before[16], after[16], norm[2] = {0};
    for (int i = 0; i < 16; i++) {
        before[i] = i % 2 ? 0.01 * i : 0.3 - 0.1 * i;
        norm[i % 2] += before[i] * before[i];
    }
    assert_int_equal(soma_variable_set(weight(net, 0, 0), before, sizeof before), SOMA_OK);
    assert_int_equal(
        soma_compile(net, .optimizer = soma_sgd(.learning_rate = SOMA_ZERO), .loss = soma_mean_squared_error), SOMA_OK);
    soma_scores s = soma_train_on_batch(net, soma_ones(NULL, SOMA_F64, SOMA_DIMS(1, 3, 3, 2)),
                                        soma_ones(NULL, SOMA_F64, SOMA_DIMS(1, 2, 2, 2)));
    if (s.status != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
    assert_int_equal(soma_save(net, scratch_path("axes.soma")), SOMA_OK);
    soma_model *again = soma_load(NULL, scratch_path("axes.soma"));
    if (!again) fail_msg("%s", soma_last_error(NULL));
    assert_int_equal(soma_variable_get(weight(again, 0, 0), after, sizeof after), SOMA_OK);
    assert_true(sqrt(norm[0]) > 0.5 && sqrt(norm[1]) < 0.5);
    for (int i = 0; i < 16; i++) {
        double length = sqrt(norm[i % 2]), wanted = fmin(length, 0.5);
        expect_near("max_norm", after[i], before[i] * wanted / (length + 1e-7), 1e-12);
    }
    char *json = soma_model_to_json(again), *same = soma_model_to_json(net);
    assert_string_equal(json, same);
    if (!strstr(json, "\"axis\": [0, 1, 2]")) fail_msg("%s", json);
    soma_string_free(json);
    soma_string_free(same);
    soma_model_destroy(again);
    soma_model_destroy(net);
    assert_null(soma_layer_from_json(
        NULL,
        "{\"conv_2d\": {\"filters\": 2, \"kernel_size\": 3, \"kernel_constraint\": {\"max_norm\": {\"axis\": [9]}}}}"));
    expect_error(SOMA_INVALID, "axis must be a list of axes");
}

/* ---- spectral normalization ---- */

/* While training, u moves towards the first singular vector: what the layer multiplies by comes to have norm 1. */
static void spectral_norm_becomes_one(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_spectral_normalization(
        soma_dense(5, .no_bias = true, .kernel_initializer = soma_normal(0, 1)), .input_shape = {7}));
    if (soma_compile(net, .optimizer = soma_sgd(.learning_rate = 1e-30), .loss = soma_mean_squared_error) != SOMA_OK)
        fail_msg("%s", soma_last_error(NULL));
    assert_string_equal(soma_variable_name(weight(net, 0, 1)), "spectral_normalization/vector_u");
    float before[5], after[5], kept[5];
    assert_int_equal(soma_variable_get(weight(net, 0, 1), before, sizeof before), SOMA_OK);
    for (int step = 0; step < 300; step++)
        assert_int_equal(soma_train_on_batch(net, soma_ones(NULL, SOMA_F32, SOMA_DIMS(2, 7)),
                                             soma_ones(NULL, SOMA_F32, SOMA_DIMS(2, 5)))
                             .status,
                         SOMA_OK);
    assert_int_equal(soma_variable_get(weight(net, 0, 1), after, sizeof after), SOMA_OK);
    assert_memory_not_equal(before, after, sizeof before);
    /* the kernel in use, W: what comes of the unit vectors; its largest singular value by iteration of our own */
    static float unit[49];
    for (int i = 0; i < 7; i++)
        unit[i * 8] = 1;
    soma_tensor *w = apply(net, soma_array(NULL, SOMA_F32, SOMA_DIMS(7, 7), unit), false);
    const float *W = soma_data(w);
    assert_non_null(W);
    double u[5] = {1, 0.5, -0.3, 0.8, 0.1}, sigma = 0;
    for (int k = 0; k < 300; k++) {
        double v[7] = {0}, next[5] = {0}, length = 0;
        for (int i = 0; i < 7; i++)
            for (int j = 0; j < 5; j++)
                v[i] += (double)W[i * 5 + j] * u[j];
        for (int j = 0; j < 5; j++) {
            for (int i = 0; i < 7; i++)
                next[j] += (double)W[i * 5 + j] * v[i];
            length += next[j] * next[j];
        }
        for (int j = 0; j < 5; j++)
            u[j] = next[j] / sqrt(length);
        sigma = sqrt(sqrt(length));
    }
    expect_near("spectral norm", sigma, 1, 1e-4);
    assert_int_equal(soma_variable_get(weight(net, 0, 1), kept, sizeof kept), SOMA_OK);
    assert_memory_equal(after, kept, sizeof after); /* predictions leave it */
    char *summary = soma_summary(net, &(soma_summary_options){.ascii = true});
    if (!summary || !strstr(summary, "Non-trainable params: 5")) fail_msg("%s", summary ? summary : "");
    soma_string_free(summary);
    soma_model_destroy(net);
}

/* ---- mistakes ---- */

static void expect_layer_error(soma_layer *layer, soma_status status, const char *part) {
    soma_model *net = soma_sequential(layer);
    assert_null(net);
    expect_error(status, part);
}

static void mistakes_are_named(void **state) {
    (void)state;
    expect_layer_error(soma_conv_2d(0, .kernel_size = {3}), SOMA_INVALID,
                       "[Conv2D] filters is 0: it must be at least 1");
    expect_layer_error(soma_conv_2d(4, .input_shape = {8, 8, 1}), SOMA_INVALID, "[Conv2D] no kernel_size is given");
    expect_layer_error(soma_conv_2d(4, .kernel_size = {3, 3, 3}, .input_shape = {8, 8, 1}), SOMA_INVALID,
                       "[Conv2D] kernel_size has 3 numbers, not 1 or 2");
    expect_layer_error(soma_conv_2d(4, .kernel_size = {3}, .input_shape = {28, 28}), SOMA_SHAPE,
                       "[Conv2D] a sample of rank 2 is given, not 3: reshape it so that it has an axis of channels");
    expect_layer_error(soma_conv_1d(4, .kernel_size = {3}, .padding = "sam", .input_shape = {8, 1}), SOMA_INVALID,
                       "[Conv1D] padding is 'sam': it must be valid, same or causal");
    expect_layer_error(soma_conv_2d(4, .kernel_size = {3}, .padding = "causal", .input_shape = {8, 8, 1}), SOMA_INVALID,
                       "[Conv2D] padding is 'causal': it must be valid or same");
    expect_layer_error(soma_conv_2d(4, .kernel_size = {9}, .input_shape = {8, 8, 1}), SOMA_SHAPE,
                       "[Conv2D] a window that spans 9 places does not fit an axis of 8");
    expect_layer_error(soma_conv_2d(4, .kernel_size = {3}, .groups = 2, .input_shape = {8, 8, 3}), SOMA_SHAPE,
                       "the number of input channels must be divisible by the number of groups: 3 channels, 2 groups");
    expect_layer_error(soma_conv_2d(3, .kernel_size = {3}, .groups = 2, .input_shape = {8, 8, 4}), SOMA_INVALID,
                       "the number of filters must be divisible by the number of groups: 3 filters, 2 groups");
    expect_layer_error(soma_conv_2d(3, .kernel_size = {3}, .data_format = "NCHW", .input_shape = {8, 8, 4}),
                       SOMA_INVALID, "data_format is 'NCHW': it must be channels_last or channels_first");
    expect_layer_error(soma_conv_2d(3, .kernel_size = {3}, .strides = {-1}, .input_shape = {8, 8, 4}), SOMA_INVALID,
                       "strides is -1: it must be at least 1");
    expect_layer_error(soma_conv_2d_transpose(3, .kernel_size = {3}, .output_padding = {1}, .input_shape = {8, 8, 4}),
                       SOMA_INVALID, "output_padding is 1: it must be less than the stride, 1");
    expect_layer_error(soma_average_pooling_2d(.input_shape = {8, 8, 4}), SOMA_INVALID,
                       "[AveragePooling2D] no pool_size is given");
    expect_layer_error(soma_resizing(4, .width = 4, .interpolation = "cubic", .input_shape = {8, 8, 4}), SOMA_INVALID,
                       "interpolation is 'cubic': it must be nearest or bilinear");
    expect_layer_error(soma_spectral_normalization(soma_flatten(), .input_shape = {8, 8}), SOMA_INVALID,
                       "Flatten has no weight named kernel or embeddings");
    expect_layer_error(soma_conv_2d(1 << 30, .kernel_size = {INT32_MAX}, .padding = "same", .input_shape = {8, 8, 4}),
                       SOMA_SHAPE, "");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, reset)
    const struct CMUnitTest tests[] = {
        TEST(keras_sizes),
        TEST(fans_count_the_window),
        TEST(one_batch_is_learnt),
        TEST(images_need_no_axis_of_channels),
        TEST(both_orders_of_channels_agree),
        TEST(gradients_of_a_network),
        TEST(gradients_of_normalizing_gradients),
        TEST(normalization_melts_into_the_product),
        TEST(constraints_over_several_axes),
        TEST(spectral_norm_becomes_one),
        TEST(mistakes_are_named),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
