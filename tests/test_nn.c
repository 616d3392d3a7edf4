/* Networks: activations, losses, metrics, initializers, regularizers and optimizers against PyTorch's numbers; layers,
 * names, JSON and the summary against texts.
 * Rests on cmocka and nn_golden.h. Formulas are compared in float64, so that a wrong constant can't hide. */
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
#include "nn/model.h"
#include "nn_golden.h"

#include "support/expect.h"
#include "support/needs.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof *(array)))

/* ---- activations ---- */

static void check_activation(const char *name, const double *y, const double *dx) {
    soma_activation_fn *f = soma_activation_by_name(NULL, name);
    if (!f) fail_msg("%s: %s", name, soma_last_error(NULL));
    soma_tensor *x = soma_array(NULL, SOMA_F64, SOMA_DIMS(COUNT(points)), points);
    soma_tensor *c = soma_array(NULL, SOMA_F64, SOMA_DIMS(COUNT(points)), cotangent);
    soma_tensor *result = f(x), *gradient = NULL;
    expect_all(name, result, y, COUNT(points), 1e-12);
    if (soma_grad(soma_sum(soma_mul(result, c), SOMA_ALL_AXES, false), &x, 1, &gradient) != SOMA_OK)
        fail_msg("%s: %s", name, soma_last_error(NULL));
    for (int64_t i = 0; i < COUNT(smooth); i++) {
        int64_t at = (int64_t)smooth[i];
        expect_near(name, soma_item(gradient, at), dx[at], 1e-12);
    }
}

static void activations_are_pytorchs(void **state) {
    (void)state;
#define CHECK(name) check_activation(#name, name##_y, name##_dx);
    ACTIVATION_CASES(CHECK)
#undef CHECK
}

/* Kinks at which the side matters: relu of exactly 0 passes no gradient. */
static void relu_is_flat_at_zero(void **state) {
    (void)state;
    soma_tensor *x = soma_array(NULL, SOMA_F32, SOMA_DIMS(3), (float[]){-1, 0, 1}), *dx;
    assert_int_equal(soma_grad(soma_relu(x), &x, 1, &dx), SOMA_OK);
    expect_all("relu'", dx, (double[]){0, 0, 1}, 3, 0);
    assert_true(isnan(soma_item(soma_relu(soma_scalar(NULL, SOMA_F32, (double)NAN)), 0)));
}

static void step_is_flat(void **state) {
    (void)state;
    soma_tensor *x = soma_array(NULL, SOMA_F32, SOMA_DIMS(3), (float[]){-1, 0, 1}), *dx;
    expect_all("step", soma_step(x), (double[]){0, 1, 1}, 3, 0);
    assert_int_equal(soma_grad(soma_step(x), &x, 1, &dx), SOMA_OK);
    expect_all("step'", dx, (double[]){0, 0, 0}, 3, 0);
}

/* ---- losses and metrics ---- */

static void check_loss(const char *name, soma_loss_fn *f, soma_tensor *y, soma_tensor *x, soma_tensor *y_pred,
                       const double *values, const double *dx) {
    soma_tensor *c = soma_array(NULL, SOMA_F64, SOMA_DIMS(3), (double[]){1, -0.5, 2}), *gradient = NULL;
    soma_tensor *loss = f(y, y_pred);
    expect_all(name, loss, values, 3, 1e-10);
    if (soma_grad(soma_sum(soma_mul(loss, c), SOMA_ALL_AXES, false), &x, 1, &gradient) != SOMA_OK)
        fail_msg("%s: %s", name, soma_last_error(NULL));
    expect_all(name, gradient, dx, 12, 1e-9);
}

static void losses_are_pytorchs(void **state) {
    (void)state;
    soma_tensor *x = soma_array(NULL, SOMA_F64, SOMA_DIMS(3, 4), logits);
    soma_tensor *p = soma_array(NULL, SOMA_F64, SOMA_DIMS(3, 4), probabilities);
    soma_tensor *y = soma_array(NULL, SOMA_F64, SOMA_DIMS(3, 4), soft);
    soma_tensor *classes = soma_array(NULL, SOMA_I64, SOMA_DIMS(3), (int64_t[]){2, 0, 3});
    soma_tensor *column = soma_array(NULL, SOMA_U8, SOMA_DIMS(3, 1), (uint8_t[]){2, 0, 3});
    check_loss("mse", soma_mean_squared_error, y, x, x, mse_values, mse_gradient);
    check_loss("mae", soma_mean_absolute_error, y, x, x, mae_values, mae_gradient);
    check_loss("cce logits", soma_categorical_crossentropy_from_logits, y, x, x, cce_logits_values,
               cce_logits_gradient);
    check_loss("scce logits", soma_sparse_categorical_crossentropy_from_logits, classes, x, x, scce_logits_values,
               scce_logits_gradient);
    check_loss("bce logits", soma_binary_crossentropy_from_logits, y, x, x, bce_logits_values, bce_logits_gradient);
    check_loss("cce", soma_categorical_crossentropy, y, p, p, cce_values, cce_gradient);
    check_loss("scce", soma_sparse_categorical_crossentropy, column, p, p, scce_values, scce_gradient);
    check_loss("bce", soma_binary_crossentropy, y, p, p, bce_values, bce_gradient);
    /* the same through the activations, whose inputs stand for them */
    check_loss("cce softmax", soma_categorical_crossentropy, y, x, soma_softmax(x), cce_logits_values,
               cce_logits_gradient);
    check_loss("scce softmax", soma_sparse_categorical_crossentropy, classes, x, soma_softmax(x), scce_logits_values,
               scce_logits_gradient);
    check_loss("bce sigmoid", soma_binary_crossentropy, y, x, soma_sigmoid(x), bce_logits_values, bce_logits_gradient);
}

static void losses_are_stable(void **state) {
    (void)state;
    soma_tensor *x = soma_array(NULL, SOMA_F32, SOMA_DIMS(2, 2), (float[]){1000, -1000, -1000, 1000});
    soma_tensor *y = soma_array(NULL, SOMA_I64, SOMA_DIMS(2), (int64_t[]){1, 1});
    expect_all("scce", soma_sparse_categorical_crossentropy(y, soma_softmax(x)), (double[]){2000, 0}, 2, 0);
    soma_tensor *b = soma_array(NULL, SOMA_F32, SOMA_DIMS(2, 2), (float[]){0, 0, 1, 1});
    expect_all("bce", soma_binary_crossentropy(b, soma_sigmoid(x)), (double[]){500, 500}, 2, 0);
}

static void losses_refuse_what_does_not_fit(void **state) {
    (void)state;
    soma_tensor *p = soma_ones(NULL, SOMA_F32, SOMA_DIMS(4, 4)), *y = soma_zeros(NULL, SOMA_I64, SOMA_DIMS(4));
    assert_null(soma_categorical_crossentropy(y, p));
    expect_error(SOMA_SHAPE, "y_true (4,) and y_pred (4,4) differ; class indices need a sparse loss");
    assert_null(soma_mean_squared_error(y, p));
    expect_error(SOMA_SHAPE, "[mean_squared_error]");
    assert_null(soma_sparse_categorical_crossentropy(p, p));
    expect_error(SOMA_SHAPE, "no class indices");
    soma_tensor *places = soma_ones(NULL, SOMA_F32, SOMA_DIMS(4, 3, 3, 4)); /* a dense layer of an image */
    soma_tensor *column = soma_zeros(NULL, SOMA_I64, SOMA_DIMS(4, 1));
    assert_null(soma_sparse_categorical_crossentropy(y, places));
    expect_error(SOMA_SHAPE, "last axis; for one answer a sample, add a flatten layer before the dense one");
    assert_null(soma_sparse_categorical_crossentropy(column, places));
    expect_error(SOMA_SHAPE, "add a flatten layer");
    assert_null(soma_categorical_crossentropy(p, places));
    expect_error(SOMA_SHAPE, "differ; for one answer a sample, add a flatten layer");
    assert_null(soma_mean_squared_error(column, soma_ones(NULL, SOMA_F32, SOMA_DIMS(4, 3, 1))));
    expect_error(SOMA_SHAPE, "differ; for one answer a sample, add a flatten layer");
    /* a last axis of one is squeezed or added */
    soma_tensor *one = soma_array(NULL, SOMA_F32, SOMA_DIMS(2, 1), (float[]){1, 3});
    soma_tensor *flat = soma_array(NULL, SOMA_F32, SOMA_DIMS(2), (float[]){0, 1});
    expect_all("mse", soma_mean_squared_error(flat, one), (double[]){1, 4}, 2, 0);
}

static void accuracies(void **state) {
    (void)state;
    soma_tensor *p = soma_array(NULL, SOMA_F64, SOMA_DIMS(3, 4), probabilities);
    soma_tensor *classes = soma_array(NULL, SOMA_I64, SOMA_DIMS(3), (int64_t[]){2, 1, 0});
    soma_tensor *vectors = soma_to_categorical(classes, 4);
    expect_all("sparse", soma_accuracy(classes, p), (double[]){1, 0, 1}, 3, 0);
    expect_all("column", soma_accuracy(soma_expand_dims(classes, 1), p), (double[]){1, 0, 1}, 3, 0);
    expect_all("categorical", soma_accuracy(vectors, p), (double[]){1, 0, 1}, 3, 0);
    soma_tensor *s = soma_array(NULL, SOMA_F32, SOMA_DIMS(4, 1), (float[]){0.4f, 0.6f, 0.5f, 0.9f});
    soma_tensor *b = soma_array(NULL, SOMA_I32, SOMA_DIMS(4), (int32_t[]){0, 1, 1, 0});
    expect_all("binary", soma_accuracy(b, s), (double[]){1, 1, 0, 0}, 4, 0);
    /* top five of seven: the right class has four, then five, greater ones */
    const float scores[] = {3, 9, 8, 7, 6, 1, 2, 3, 9, 8, 7, 6, 5, 2};
    soma_tensor *seven = soma_array(NULL, SOMA_F32, SOMA_DIMS(2, 7), scores);
    soma_tensor *zero = soma_zeros(NULL, SOMA_I64, SOMA_DIMS(2));
    expect_all("top 5", soma_sparse_top_k_categorical_accuracy(zero, seven), (double[]){1, 0}, 2, 0);
    expect_all("top 5", soma_top_k_categorical_accuracy(soma_to_categorical(zero, 7), seven), (double[]){1, 0}, 2, 0);
    soma_loss_fn *ce = soma_metric_by_name(NULL, "crossentropy");
    expect_all("ce", ce(soma_array(NULL, SOMA_I64, SOMA_DIMS(3), (int64_t[]){2, 0, 3}), p), scce_values, 3, 1e-10);
}

static void categorical_labels(void **state) {
    (void)state;
    soma_tensor *y = soma_array(NULL, SOMA_U8, SOMA_DIMS(3, 1), (uint8_t[]){2, 0, 1});
    soma_tensor *vectors = soma_to_categorical(y, 0);
    assert_int_equal(soma_ndim(vectors), 2);
    expect_all("to_categorical", vectors, (double[]){0, 0, 1, 1, 0, 0, 0, 1, 0}, 9, 0);
    assert_int_equal(soma_dim(soma_to_categorical(y, 10), 1), 10);
    assert_int_equal(soma_tensor_dtype(vectors), SOMA_F32);
}

/* ---- initializers ---- */

static soma_tensor *draw(soma_initializer initializer, int64_t rows, int64_t columns) {
    int64_t shape[] = {rows, columns};
    soma_weight_request request = {.graph = NULL,
                                   .dtype = SOMA_F32,
                                   .rank = 2,
                                   .shape = shape,
                                   .fan_in = (double)rows,
                                   .fan_out = (double)columns,
                                   .step = soma_scalar(NULL, SOMA_I64, -1)};
    request.graph = soma_default_graph();
    return initializer.build(&request, initializer.parameters);
}

/* Mean, deviation and greatest magnitude of 60,000 draws against what they must be. */
static void check_draws(const char *name, double mean, double deviation, double limit, bool reaches) {
    soma_graph_reset(NULL);
    soma_tensor *x = draw(soma_initializer_by_name(NULL, name), 300, 200);
    const float *v = soma_data(x);
    if (!v) fail_msg("%s: %s", name, soma_last_error(NULL));
    double sum = 0, squares = 0, most = 0;
    for (int i = 0; i < 60000; i++) {
        sum += (double)v[i];
        squares += (double)v[i] * (double)v[i];
        if (fabs((double)v[i]) > most) most = fabs((double)v[i]);
    }
    double m = sum / 60000, s = sqrt(squares / 60000 - m * m);
    if (fabs(m - mean) > 5 * deviation / sqrt(60000)) fail_msg("%s: mean %g", name, m);
    if (fabs(s - deviation) > 0.01 * deviation) fail_msg("%s: deviation %g, expected %g", name, s, deviation);
    if (limit > 0 && most > limit * 1.000001) fail_msg("%s: %g is beyond %g", name, most, limit);
    if (reaches && most < 0.99 * limit) fail_msg("%s: nothing beyond %g of %g", name, most, limit);
}

static void initializers_have_their_variance(void **state) {
    (void)state;
    const double cut = 0.87962566103423978; /* deviation of a normal cut off at two */
    check_draws("glorot_uniform", 0, sqrt(2.0 / 500), sqrt(6.0 / 500), true);
    check_draws("glorot_normal", 0, sqrt(2.0 / 500), 2 * sqrt(2.0 / 500) / cut, true);
    check_draws("he_uniform", 0, sqrt(2.0 / 300), sqrt(6.0 / 300), true);
    check_draws("HeNormal", 0, sqrt(2.0 / 300), 2 * sqrt(2.0 / 300) / cut, true);
    check_draws("lecun_uniform", 0, sqrt(1.0 / 300), sqrt(3.0 / 300), true);
    check_draws("lecun_normal", 0, sqrt(1.0 / 300), 2 * sqrt(1.0 / 300) / cut, true);
    check_draws("uniform", 0, 0.05 / sqrt(3), 0.05, true);
    check_draws("random_normal", 0, 0.05, 0, false);
    check_draws("truncated_normal", 0, 0.05 * cut, 0.1, true);
    soma_graph_reset(NULL);
    expect_all("constant", draw(soma_constant(2.5), 1, 2), (double[]){2.5, 2.5}, 2, 0);
    expect_all("ones", draw(soma_all_ones(), 1, 2), (double[]){1, 1}, 2, 0);
    expect_all("zeros", draw(soma_all_zeros(), 1, 2), (double[]){0, 0}, 2, 0);
}

static void weights_depend_on_the_seed_alone(void **state) {
    (void)state;
    float kernels[4][12];
    for (int i = 0; i < 4; i++) {
        soma_context *context =
            soma_context_create(&(soma_context_options){.threads = 1 + i % 3, .seed = i < 3 ? 5 : 6});
        soma_layer *layers[] = {soma_dense(4, .context = context, .input_shape = {3}),
                                soma_dense(3, .context = context)};
        soma_model *net = soma_sequential_create(context, layers, 2);
        assert_non_null(net);
        soma_variable *kernel = soma_layer_get_weight(soma_model_get_layer(net, 1), 0);
        assert_int_equal(soma_variable_get(kernel, kernels[i], sizeof kernels[i]), SOMA_OK);
        float first[12];
        kernel = soma_layer_get_weight(soma_model_get_layer(net, 0), 0);
        assert_int_equal(soma_variable_get(kernel, first, sizeof first), SOMA_OK);
        assert_memory_not_equal(first, kernels[i], sizeof first); /* two weights, two draws */
        soma_model_destroy(net);
        soma_context_destroy(context);
    }
    assert_memory_equal(kernels[0], kernels[1], sizeof kernels[0]);
    assert_memory_equal(kernels[0], kernels[2], sizeof kernels[0]);
    assert_memory_not_equal(kernels[0], kernels[3], sizeof kernels[0]);
}

static void regularizers(void **state) {
    (void)state;
    soma_tensor *x = soma_array(NULL, SOMA_F64, SOMA_DIMS(2, 2), (double[]){1, -2, 3, -4});
    soma_regularizer l1 = soma_l1(0.5), l2 = soma_l2(0.1), both = soma_l1_l2(0.5, 0.1);
    expect_near("l1", soma_item(l1.penalty(x, l1.parameters), 0), 5, 1e-15);
    expect_near("l2", soma_item(l2.penalty(x, l2.parameters), 0), 3, 1e-15);
    expect_near("l1_l2", soma_item(both.penalty(x, both.parameters), 0), 8, 1e-15);
    assert_null(l2.penalty(x, (const double[]){-0.1}));
    expect_error(SOMA_INVALID, "[l2] the factor is -0.1: it must be at least 0");
    soma_tensor *w = soma_array(NULL, SOMA_F64, SOMA_DIMS(3, 2), (double[]){3, 4, 1, 0, 0, 2});
    soma_regularizer rows = soma_orthogonal_regularizer(0.3, false), columns = soma_orthogonal_regularizer(0.5, true);
    expect_near("orthogonal rows", soma_item(rows.penalty(w, rows.parameters), 0), 0.3 * (0.6 + 0.8 + 0) / 3, 1e-15);
    expect_near("orthogonal columns", soma_item(columns.penalty(w, columns.parameters), 0),
                0.5 * 12 / (sqrt(10) * sqrt(20)), 1e-15);
    expect_near("default", soma_regularizer_by_name(NULL, "OrthogonalRegularizer").parameters[0], 0.01, 0);
    expect_near("default", soma_regularizer_by_name(NULL, "l2").parameters[0], 0.01, 0);
    expect_near("default", soma_regularizer_by_name(NULL, "L1L2").parameters[0], 0, 0);
}

/* ---- optimizers ---- */

/* The gradient of the mean output of x w is x, whatever w is: so the test gives the gradients. */
static soma_tensor *output_itself(soma_tensor *y_true, soma_tensor *y_pred) {
    (void)y_true;
    return y_pred;
}

static void check_path(const char *name, soma_optimizer *optimizer, soma_dtype dtype, const double *path,
                       double tolerance) {
    soma_model *net = soma_sequential(soma_dense(1, .no_bias = true, .input_shape = {6}, .dtype = dtype));
    soma_variable *w = soma_layer_get_weight(soma_model_get_layer(net, 0), 0);
    float single[6];
    for (int i = 0; i < 6; i++)
        single[i] = (float)weights0[i];
    soma_status status = dtype == SOMA_F64 ? soma_variable_set(w, weights0, sizeof weights0)
                                           : soma_variable_set(w, single, sizeof single);
    assert_int_equal(status, SOMA_OK);
    assert_int_equal(soma_compile(net, .optimizer = optimizer, .loss = output_itself), SOMA_OK);
    for (int t = 0; t < 5; t++) {
        soma_graph_reset(NULL);
        soma_tensor *x = soma_array(NULL, SOMA_F64, SOMA_DIMS(1, 6), gradients + t * 6);
        soma_scores s = soma_train_on_batch(net, soma_cast(x, dtype), soma_zeros(NULL, SOMA_F32, SOMA_DIMS(1, 1)));
        if (s.status != SOMA_OK) fail_msg("%s: %s", name, soma_last_error(NULL));
        expect_all(name, soma_read(NULL, w), path + t * 6, 6, tolerance);
    }
    assert_int_equal(soma_updates(net), 5);
    soma_model_destroy(net);
}

static void optimizers_are_keras(void **state) {
    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        soma_dtype d = wide ? SOMA_F64 : SOMA_F32;
        double e = wide ? 1e-12 : 2e-6;
        check_path("sgd", soma_sgd(), d, sgd_path, e);
        check_path("sgd momentum", soma_sgd(.momentum = 0.9), d, sgd_momentum_path, e);
        check_path("sgd nesterov", soma_sgd(.momentum = 0.9, .nesterov = true), d, sgd_nesterov_path, e);
        check_path("sgd decay", soma_sgd(.weight_decay = 0.1), d, sgd_decay_path, e);
        check_path("sgd clipnorm", soma_sgd(.clipnorm = 1.5), d, sgd_clipnorm_path, e);
        check_path("sgd global_clipnorm", soma_sgd(.global_clipnorm = 1.5), d, sgd_clipnorm_path, e);
        check_path("sgd clipvalue", soma_sgd(.clipvalue = 0.5), d, sgd_clipvalue_path, e);
        check_path("rmsprop", soma_rmsprop(), d, rmsprop_path, e);
        check_path("default", NULL, d, rmsprop_path, e);
        check_path("rmsprop momentum", soma_rmsprop(.momentum = 0.5), d, rmsprop_momentum_path, e);
        check_path("rmsprop centered",
                   soma_rmsprop(.learning_rate = 0.01, .rho = 0.8, .centered = true, .momentum = 0.9), d,
                   rmsprop_centered_path, wide ? 1e-9 : 2e-4); /* a difference of nearly equal numbers */
        check_path("adam", soma_adam(), d, adam_path, e);
        check_path("adam beta_1 0", soma_adam(.learning_rate = 0.01, .beta_1 = SOMA_ZERO), d, adam_no_beta_1_path, e);
        check_path("adam amsgrad", soma_adam(.learning_rate = 0.01, .beta_2 = 0.5, .amsgrad = true), d,
                   adam_amsgrad_path, e);
        check_path("adamw", soma_adamw(), d, adamw_path, e);
    }
}

static void optimizers_say_what_is_wrong(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_dense(1, .input_shape = {2}));
    assert_int_equal(soma_compile(net, .optimizer = soma_rmsprop(.rho = 1.5), .loss = soma_mean_squared_error),
                     SOMA_INVALID);
    expect_error(SOMA_INVALID, "[rmsprop] rho is 1.5: it must be at most 1");
    assert_int_equal(soma_compile(net, .optimizer = soma_sgd(.learning_rate = -1), .loss = soma_mean_squared_error),
                     SOMA_INVALID);
    expect_error(SOMA_INVALID, "[sgd] learning_rate is -1: it must be at least 0");
    assert_int_equal(soma_compile(net, .optimizer = soma_sgd()), SOMA_INVALID);
    expect_error(SOMA_INVALID, "no loss given");
    assert_null(soma_optimizer_by_name(NULL, "rmsprob"));
    expect_error(SOMA_NOT_FOUND, "unknown optimizer 'rmsprob'; did you mean 'rmsprop'?");
    soma_model_destroy(net);
}

/* ---- names ---- */

static void names_are_found_and_suggested(void **state) {
    (void)state;
    assert_ptr_equal(soma_activation_by_name(NULL, "relu"), soma_relu);
    assert_ptr_equal(soma_activation_by_name(NULL, "swish"), soma_silu);
    assert_ptr_equal(soma_loss_by_name(NULL, "MeanSquaredError"), soma_mean_squared_error);
    assert_ptr_equal(soma_metric_by_name(NULL, "acc"), soma_accuracy);
    assert_ptr_equal(soma_metric_by_name(NULL, "mae"), soma_mean_absolute_error);
    assert_null(soma_activation_by_name(NULL, "rellu"));
    expect_error(SOMA_NOT_FOUND, "unknown activation 'rellu'; did you mean 'relu'?");
    assert_null(soma_loss_by_name(NULL, "qqqqqqqq"));
    expect_error(SOMA_NOT_FOUND, "unknown loss 'qqqqqqqq'; known are mean_squared_error, mse");
    static const char *const lists[] = {"activations",  "losses",     "metrics", "initializers",
                                        "regularizers", "optimizers", "layers"};
    for (int i = 0; i < COUNT(lists); i++)
        assert_non_null(soma_names(lists[i])[0]);
    assert_null(soma_names("anything"));
    char *snake = layer_snake_name(NULL, "MaxPooling2D");
    assert_string_equal(snake, "max_pooling2d");
    soma_string_free(snake);
}

/* Every name stands for something that works: activations on numbers, optimizers and layers as objects. */
static void every_name_works(void **state) {
    (void)state;
    for (const char *const *n = soma_names("activations"); *n; n++) {
        soma_tensor *y =
            soma_activation_by_name(NULL, *n)(soma_array(NULL, SOMA_F32, SOMA_DIMS(1, 2), (float[]){1, 2}));
        if (!y || !isfinite(soma_item(y, 0))) fail_msg("%s: %s", *n, soma_last_error(NULL));
    }
    for (const char *const *n = soma_names("optimizers"); *n; n++) {
        soma_optimizer *o = soma_optimizer_by_name(NULL, *n);
        assert_non_null(o);
        soma_optimizer_destroy(o);
    }
    for (const char *const *n = soma_names("initializers"); *n; n++)
        assert_non_null(soma_data(draw(soma_initializer_by_name(NULL, *n), 2, 3)));
}

/* ---- layers ---- */

/* One layer on one batch, training or not. */
static soma_tensor *apply(soma_model **net, soma_layer *layer, soma_tensor *x, bool training) {
    soma_tensor *y = NULL;
    *net = soma_sequential_create(NULL, &layer, 1);
    if (*net && soma_model_apply(*net, &x, 1, training, &y) != SOMA_OK) return NULL;
    return y;
}

static void dense_is_x_w_plus_b(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_dense(2, .input_shape = {3}, .bias_initializer = soma_constant(0.5)));
    soma_variable *kernel = soma_layer_get_weight(soma_model_get_layer(net, 0), 0);
    assert_string_equal(soma_variable_name(kernel), "dense/kernel");
    assert_int_equal(soma_variable_set(kernel, (float[]){1, 2, 3, 4, 5, 6}, 24), SOMA_OK);
    soma_tensor *x = soma_array(NULL, SOMA_F32, SOMA_DIMS(2, 3), (float[]){1, 0, 0, 1, 1, 1}), *y;
    assert_int_equal(soma_model_apply(net, &x, 1, false, &y), SOMA_OK);
    expect_all("dense", y, (double[]){1.5, 2.5, 9.5, 12.5}, 4, 0);
    assert_int_equal(soma_count_params(net), 8);
    soma_model_destroy(net);
    /* on the last of several axes, and on integers */
    soma_model *sequence;
    y = apply(&sequence, soma_dense(4, .no_bias = true, .kernel_initializer = soma_all_ones()),
              soma_ones(NULL, SOMA_I32, SOMA_DIMS(2, 3, 5)), false);
    assert_int_equal(soma_ndim(y), 3);
    assert_int_equal(soma_dim(y, 2), 4);
    assert_true(soma_item(y, 0) == 5);
    soma_model_destroy(sequence);
}

static void dropout_drops_while_training(void **state) {
    (void)state;
    soma_model *net;
    soma_tensor *x = soma_ones(NULL, SOMA_F32, SOMA_DIMS(100, 100));
    soma_tensor *y = apply(&net, soma_dropout(0.25), x, true);
    const float *v = soma_data(y);
    int zeros = 0;
    for (int i = 0; i < 10000; i++) {
        if (v[i] == 0) {
            zeros++;
        } else {
            expect_near("kept", (double)v[i], 1 / 0.75, 1e-6);
        }
    }
    assert_in_range(zeros, 2500 - 5 * 43, 2500 + 5 * 43); /* five deviations */
    soma_model_destroy(net);
    y = apply(&net, soma_dropout(0.25), x, false);
    assert_true(soma_item(soma_min(y, SOMA_ALL_AXES, false), 0) == 1);
    soma_model_destroy(net);
    assert_null(soma_dropout(1.5));
    expect_error(SOMA_INVALID, "[Dropout] rate is 1.5: it must be at most 1");
}

static void shapes_change(void **state) {
    (void)state;
    soma_model *net;
    soma_tensor *x = soma_cast(soma_reshape(soma_arange(NULL, SOMA_F32, 0, 24, 1), SOMA_DIMS(2, 3, 4)), SOMA_U8);
    soma_tensor *y = apply(&net, soma_flatten(), x, false);
    assert_int_equal(soma_ndim(y), 2);
    assert_int_equal(soma_dim(y, 1), 12);
    soma_model_destroy(net);
    y = apply(&net, soma_reshape_layer({2, -1, 3}), x, false);
    assert_int_equal(soma_ndim(y), 4);
    assert_int_equal(soma_dim(y, 2), 2);
    soma_model_destroy(net);
    y = apply(&net, soma_rescaling(0.5, .offset = 1), x, false);
    assert_int_equal(soma_tensor_dtype(y), SOMA_F32);
    expect_near("rescaling", soma_item(y, 23), 12.5, 0);
    soma_model_destroy(net);
    assert_null(apply(&net, soma_reshape_layer({5}), x, false));
    expect_error(SOMA_SHAPE, "Reshape");
    soma_model_destroy(net);
}

static void mistakes_in_layers(void **state) {
    (void)state;
    assert_null(soma_dense(0));
    expect_error(SOMA_INVALID, "[Dense] units is 0: it must be at least 1");
    /* a NULL layer: the model is NULL, the other layer is freed, the first error stays */
    assert_null(soma_sequential(soma_dense(4), soma_dense(-3)));
    expect_error(SOMA_INVALID, "[Dense] units is -3");
    soma_layer *twice = soma_dense(4);
    assert_null(soma_sequential(twice, twice));
    expect_error(SOMA_INVALID, "there twice");
    assert_null(soma_sequential(soma_dense(4, .name = "a"), soma_dense(4, .name = "a")));
    expect_error(SOMA_INVALID, "two layers are called 'a'");
    assert_null(soma_sequential(soma_dense(4, .name = "a/b")));
    expect_error(SOMA_INVALID, "'a/b'");
    assert_null(soma_sequential(soma_dense(4, .dtype = SOMA_I32)));
    expect_error(SOMA_DTYPE, "dtype must be float32 or float64");
}

/* ---- models ---- */

/* (a, b) -> dense(a) + dense(b) with one dense layer for both */
static soma_model *siamese(void) {
    soma_symbol *a = soma_symbol_create(NULL, SOMA_DIMS(3), "left"),
                *b = soma_symbol_create(NULL, SOMA_DIMS(3), "right");
    soma_layer *shared = soma_dense(2, .name = "shared");
    soma_symbol *both[] = {soma_call(shared, a), soma_call(shared, b)}, *inputs[] = {a, b};
    soma_symbol *y = soma_call_many(soma_add_layer(), both, 2);
    return soma_model_create(inputs, 2, &y, 1);
}

static void layers_are_shared(void **state) {
    (void)state;
    soma_model *net = siamese();
    assert_non_null(net);
    assert_int_equal(soma_count_params(net), 8);
    soma_tensor *xs[] = {soma_array(NULL, SOMA_F32, SOMA_DIMS(1, 3), (float[]){1, 2, 3}),
                         soma_array(NULL, SOMA_F32, SOMA_DIMS(1, 3), (float[]){-1, -2, -3})};
    soma_tensor *y, *gradient;
    assert_int_equal(soma_model_apply(net, xs, 2, false, &y), SOMA_OK);
    expect_all("f(x) + f(-x)", y, (double[]){0, 0}, 2, 1e-6);
    /* one place for the gradient of both calls */
    soma_tensor *w = soma_weight(NULL, soma_layer_get_weight(soma_model_get_layer(net, 2), 0));
    assert_int_equal(soma_grad(soma_sum(y, SOMA_ALL_AXES, false), &w, 1, &gradient), SOMA_OK);
    expect_all("gradient", gradient, (double[]){0, 0, 0, 0, 0, 0}, 6, 0);
    soma_model_destroy(net);
}

static void skips_around_a_layer(void **state) {
    (void)state;
    soma_symbol *x = soma_symbol_create(NULL, SOMA_DIMS(4), NULL);
    soma_symbol *h = soma_call(soma_dense(4, .kernel_initializer = soma_all_zeros()), x);
    soma_symbol *pair[] = {x, h};
    soma_symbol *y = soma_call_many(soma_concatenate(), pair, 2);
    assert_int_equal(soma_symbol_shape(y)[0], 8);
    soma_model *net = soma_model_create(&x, 1, &y, 1);
    soma_tensor *in = soma_array(NULL, SOMA_F32, SOMA_DIMS(1, 4), (float[]){1, 2, 3, 4}), *out;
    assert_int_equal(soma_model_apply(net, &in, 1, false, &out), SOMA_OK);
    expect_all("skip", out, (double[]){1, 2, 3, 4, 0, 0, 0, 0}, 8, 0);
    soma_model_destroy(net);
    /* an output that needs an input which is not given */
    soma_symbol *a = soma_symbol_create(NULL, SOMA_DIMS(4), "a"), *b = soma_symbol_create(NULL, SOMA_DIMS(4), "b");
    soma_symbol *ab[] = {a, b}, *sum = soma_call_many(soma_add_layer(), ab, 2);
    assert_null(soma_model_create(&a, 1, &sum, 1));
    expect_error(SOMA_INVALID, "also need the input 'b'");
    soma_layer_destroy(sum->layer);
    soma_layer_destroy(a->layer);
    soma_layer_destroy(b->layer);
}

static void json_round_trip(soma_model *net) {
    char *first = soma_model_to_json(net);
    assert_non_null(first);
    soma_model *again = soma_model_from_json(NULL, first);
    if (!again) fail_msg("%s: %s", first, soma_last_error(NULL));
    char *second = soma_model_to_json(again);
    assert_string_equal(first, second);
    assert_int_equal(soma_count_params(net), soma_count_params(again));
    soma_string_free(first);
    soma_string_free(second);
    soma_model_destroy(again);
    soma_model_destroy(net);
}

static void json_keeps_everything(void **state) {
    (void)state;
    NEEDS(JANSSON);
    json_round_trip(siamese());
    json_round_trip(soma_sequential(
        soma_rescaling(1.0 / 255, .input_shape = {28, 28}), soma_flatten(),
        soma_dense(5, .activation = soma_gelu_tanh, .no_bias = true, .kernel_initializer = soma_normal(0, 0.02),
                   .kernel_regularizer = soma_l1_l2(0.1, 0.2), .frozen = true),
        soma_dense(5, .kernel_regularizer = soma_orthogonal_regularizer(0.2, true)), soma_dropout(0.5, .name = "half"),
        soma_activation(soma_softplus), soma_reshape_layer({5, 1}),
        soma_dense(2, .dtype = SOMA_F64, .bias_initializer = soma_constant(3), .activity_regularizer = soma_l2(0.5))));
    json_round_trip(soma_sequential(soma_dense(3)));
}

static void json_of_people(void **state) {
    (void)state;
    NEEDS(JANSSON);
    soma_model *net = soma_model_from_json(
        NULL,
        "{\"name\": \"digits\", \"input_shape\": [28, 28], \"layers\": [\"flatten\","
        "{\"dense\": {\"units\": 6, \"activation\": \"relu\", \"kernel_regularizer\": {\"l2\": 0.5},"
        "\"kernel_initializer\": {\"class_name\": \"RandomNormal\", \"config\": {\"stddev\": 0.5, \"seed\": 1}}}},"
        "{\"dropout\": 0.5}, {\"activation\": \"tanh\"}, {\"dense\": 10}]}");
    if (!net) fail_msg("%s", soma_last_error(NULL));
    assert_string_equal(soma_model_name(net), "digits");
    assert_int_equal(soma_count_params(net), 784 * 6 + 6 + 70);
    const soma_dense_options *o = soma_layer_options(soma_model_get_layer(net, 1));
    assert_ptr_equal(o->activation, soma_relu);
    assert_true(o->kernel_regularizer.parameters[0] == 0.5 && o->kernel_initializer.parameters[1] == 0.5);
    const soma_dropout_options *d = soma_layer_options(soma_model_get_layer(net, 2));
    assert_true(d->rate == 0.5);
    soma_model_destroy(net);
}

static void json_mistakes(void **state) {
    (void)state;
    NEEDS(JANSSON);
    static const struct {
        const char *json, *error;
    } cases[] = {
        {"{\"layers\": [{\"dense\": {\"unit\": 5}}]}", "[Dense] unknown option 'unit'; did you mean 'units'?"},
        {"{\"layers\": [\"dance\"]}", "unknown layer 'dance'; did you mean 'dense'?"},
        {"{\"layers\": [{\"dense\": {\"units\": \"5\"}}]}", "[Dense] units must be a whole number"},
        {"{\"layers\": [{\"dense\": {\"units\": 5, \"activation\": \"rellu\"}}]}", "did you mean 'relu'?"},
        {"{\"layers\": [{\"dense\": {\"units\": 5, \"use_bias\": 1}}]}", "[Dense] use_bias must be true or false"},
        {"{\"layers\": [{\"flatten\": true}]}", "[Flatten] data_format must be a string"},
        {"{\"layers\": [{\"flatten\": [2, true]}]}", "[Flatten] input_shape must be a list"},
        {"{\"layers\": []}", "a list of \"layers\""},
        {"{\"layer\": [\"flatten\"]}", "a list of \"layers\""},
        {"{\"layers\": [\"flatten\"], \"nam\": 1}", "unknown model option 'nam'; did you mean 'name'?"},
        {"{\"layers\": [5]}", "a layer must be a name"},
        {"{\"layers\": [{\"dense\": 3, \"activation\": \"relu\"}]}",
         "here 'activation' stands beside 'dense', not among its options"},
        {"{\"layers\": [{}]}", "a layer must be a name"},
        {"{\"layers\": [\"flatten\"", "JSON"},
        {"{\"layers\": [{\"dense\": 1}], \"inputs\": 1, \"calls\": [], \"outputs\": [0]}",
         "first layers must be its inputs"},
        {"{\"layers\": [{\"input\": [3]}, {\"dense\": 1}], \"inputs\": 1, \"calls\": [{\"layer\": 1, \"inputs\": [1]}],"
         "\"outputs\": [0]}",
         "refers to a value that is not there yet"},
        {"{\"layers\": [{\"input\": [3]}, {\"dense\": 1}], \"inputs\": 1, \"calls\": [{\"layer\": 9, \"inputs\": [0]}],"
         "\"outputs\": [0]}",
         "names no layer"},
        {"{\"layers\": [{\"input\": [3]}, {\"add\": {}}], \"inputs\": 1, \"calls\": [{\"layer\": 1, \"inputs\": [0]}],"
         "\"outputs\": [1]}",
         "[Add] called on 1 inputs, it takes at least 2"},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        soma_model *net = soma_model_from_json(NULL, cases[i].json);
        if (net) fail_msg("accepted %s", cases[i].json);
        if (!strstr(soma_last_error(NULL), cases[i].error))
            fail_msg("%s: '%s' lacks '%s'", cases[i].json, soma_last_error(NULL), cases[i].error);
        soma_clear_error(NULL);
    }
}

/* A layer of the user's own: x scaled by a weight for each feature. */
typedef struct gain_options {
    SOMA_LAYER_OPTIONS
    double start;
} gain_options;
static const soma_field gain_fields[] = {
    {.name = "start", .kind = SOMA_FIELD_NUMBER, .offset = offsetof(gain_options, start), .standard = 1},
    {.name = NULL}};
static soma_status gain_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const gain_options *o = soma_layer_options(layer);
    return soma_layer_add_weight(layer, &(soma_weight_options){.name = "gain",
                                                               .rank = 1,
                                                               .shape = {soma_dim(inputs[0], -1)},
                                                               .initializer = soma_constant(o->start)});
}
static soma_tensor *gain_call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    return soma_mul(inputs[0], soma_trace_weight(trace, layer, 0));
}
static const soma_layer_class gain_class = {.name = "MyGain",
                                            .size = sizeof(gain_options),
                                            .fields = gain_fields,
                                            .min_inputs = 1,
                                            .max_inputs = 1,
                                            .build = gain_build,
                                            .call = gain_call};

static void layers_of_the_users_own(void **state) {
    (void)state;
    soma_model *net;
    soma_tensor *x = soma_array(NULL, SOMA_F32, SOMA_DIMS(1, 2), (float[]){1, 2});
    soma_tensor *y = apply(&net, soma_layer_create(&gain_class, &(gain_options){.start = 3}), x, false);
    expect_all("gain", y, (double[]){3, 6}, 2, 0);
    assert_string_equal(soma_layer_name(soma_model_get_layer(net, 0)), "my_gain");
    soma_model_destroy(net);
}

/* ---- the summary ---- */

static void expect_summary(soma_model *net, const soma_summary_options *options, const char *expected) {
    char *summary = soma_summary(net, options);
    assert_non_null(summary);
    assert_string_equal(summary, expected);
    soma_string_free(summary);
}

static const char tutorial_summary[] = "Model: \"sequential\"\n"
                                       "┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓\n"
                                       "┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃\n"
                                       "┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩\n"
                                       "│ dense (Dense)                   │ (None, 512)            │       401,920 │\n"
                                       "├─────────────────────────────────┼────────────────────────┼───────────────┤\n"
                                       "│ dense_1 (Dense)                 │ (None, 10)             │         5,130 │\n"
                                       "└─────────────────────────────────┴────────────────────────┴───────────────┘\n"
                                       " Total params: 407,050 (1.55 MB)\n"
                                       " Trainable params: 407,050 (1.55 MB)\n"
                                       " Non-trainable params: 0 (0.00 B)\n";

static void summary_of_the_tutorial(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_dense(512, .activation = soma_relu, .input_shape = {28 * 28}),
                                      soma_dense(10, .activation = soma_softmax));
    expect_summary(net, NULL, tutorial_summary);
    soma_model_destroy(net);
}

static void summary_in_ascii_with_frozen_layers(void **state) {
    (void)state;
    soma_model *net =
        soma_sequential(soma_flatten(.input_shape = {4, 4}), soma_dense(3, .frozen = true), soma_dense(1));
    expect_summary(net, &(soma_summary_options){.ascii = true, .show_trainable = true},
                   "Model: \"sequential\"\n"
                   "+-----------------------------+-----------------------+------------+-------+\n"
                   "| Layer (type)                | Output Shape          |    Param # | Trai~ |\n"
                   "+=============================+=======================+============+=======+\n"
                   "| flatten (Flatten)           | (None, 16)            |          0 |   -   |\n"
                   "+-----------------------------+-----------------------+------------+-------+\n"
                   "| dense (Dense)               | (None, 3)             |         51 |   N   |\n"
                   "+-----------------------------+-----------------------+------------+-------+\n"
                   "| dense_1 (Dense)             | (None, 1)             |          4 |   Y   |\n"
                   "+-----------------------------+-----------------------+------------+-------+\n"
                   " Total params: 55 (220.00 B)\n"
                   " Trainable params: 4 (16.00 B)\n"
                   " Non-trainable params: 51 (204.00 B)\n");
    soma_model_destroy(net);
}

static void summary_of_what_is_not_built(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_dense(3, .name = "a_very_long_name_of_a_layer"));
    expect_summary(net, &(soma_summary_options){.width = 50},
                   "Model: \"sequential\"\n"
                   "┏━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┳━━━━━━━━━┓\n"
                   "┃ Layer (type)      ┃ Output Shape ┃ Param # ┃\n"
                   "┡━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━╇━━━━━━━━━┩\n"
                   "│ a_very_long_name… │ ?            │       0 │\n"
                   "│ (Dense)           │              │ (unbui… │\n"
                   "└───────────────────┴──────────────┴─────────┘\n"
                   " Total params: 0 (0.00 B)\n"
                   " Trainable params: 0 (0.00 B)\n"
                   " Non-trainable params: 0 (0.00 B)\n");
    soma_model_destroy(net);
}

static void summary_of_connections(void **state) {
    (void)state;
    soma_model *net = siamese();
    expect_summary(net, &(soma_summary_options){.ascii = true, .width = 100},
                   "Model: \"functional\"\n"
                   "+---------------------------+------------------------+----------------+------------------------+\n"
                   "| Layer (type)              | Output Shape           |        Param # | Connected to           |\n"
                   "+===========================+========================+================+========================+\n"
                   "| left (InputLayer)         | (None, 3)              |              0 | -                      |\n"
                   "+---------------------------+------------------------+----------------+------------------------+\n"
                   "| right (InputLayer)        | (None, 3)              |              0 | -                      |\n"
                   "+---------------------------+------------------------+----------------+------------------------+\n"
                   "| shared (Dense)            | (None, 2)              |              8 | left[0][0],            |\n"
                   "|                           |                        |                | right[0][0]            |\n"
                   "+---------------------------+------------------------+----------------+------------------------+\n"
                   "| add (Add)                 | (None, 2)              |              0 | shared[0][0],          |\n"
                   "|                           |                        |                | shared[1][0]           |\n"
                   "+---------------------------+------------------------+----------------+------------------------+\n"
                   " Total params: 8 (32.00 B)\n"
                   " Trainable params: 8 (32.00 B)\n"
                   " Non-trainable params: 0 (0.00 B)\n");
    soma_model_destroy(net);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(activations_are_pytorchs),
        TEST(relu_is_flat_at_zero),
        TEST(step_is_flat),
        TEST(losses_are_pytorchs),
        TEST(losses_are_stable),
        TEST(losses_refuse_what_does_not_fit),
        TEST(accuracies),
        TEST(categorical_labels),
        TEST(initializers_have_their_variance),
        TEST(weights_depend_on_the_seed_alone),
        TEST(regularizers),
        TEST(optimizers_are_keras),
        TEST(optimizers_say_what_is_wrong),
        TEST(names_are_found_and_suggested),
        TEST(every_name_works),
        TEST(dense_is_x_w_plus_b),
        TEST(dropout_drops_while_training),
        TEST(shapes_change),
        TEST(mistakes_in_layers),
        TEST(layers_are_shared),
        TEST(skips_around_a_layer),
        TEST(json_keeps_everything),
        TEST(json_of_people),
        TEST(json_mistakes),
        TEST(layers_of_the_users_own),
        TEST(summary_of_the_tutorial),
        TEST(summary_in_ascii_with_frozen_layers),
        TEST(summary_of_what_is_not_built),
        TEST(summary_of_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
