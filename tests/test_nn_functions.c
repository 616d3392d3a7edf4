/* Losses and activations beyond the first ones: values and gradients against PyTorch's, losses with numbers by name.
 * Rests on cmocka and functions_golden.h. Formulas are compared in float64, so that a wrong constant can't hide. */
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

#include "functions_golden.h"
#include "support/expect.h"
#include "support/needs.h"
#include "support/scratch.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof *(array)))

/* ---- activations ---- */

static void check_activation(const char *name, double scale, const double *y, int64_t n, const double *dx) {
    soma_activation_fn *f = soma_activation_by_name(NULL, name);
    if (!f) fail_msg("%s", soma_last_error(NULL));
    soma_tensor *x = soma_array(NULL, SOMA_F64, SOMA_DIMS(COUNT(points)), points), *gradient = NULL;
    soma_tensor *c = soma_array(NULL, SOMA_F64, SOMA_DIMS(n), cotangent);
    soma_tensor *result = f(scale == 1 ? x : soma_mul_scalar(x, scale));
    expect_all(name, result, y, n, 1e-12);
    if (soma_grad(soma_sum(soma_mul(result, c), SOMA_ALL_AXES, false), &x, 1, &gradient) != SOMA_OK)
        fail_msg("%s: %s", name, soma_last_error(NULL));
    expect_all(name, gradient, dx, COUNT(points), 1e-12);
}

static void activations_are_pytorchs(void **state) {
    (void)state;
#define CHECK(name) check_activation(#name, 1, name##_y, COUNT(name##_y), name##_dx);
    ACTIVATION_CASES(CHECK)
#undef CHECK
    check_activation("sparsemax", 0.25, sparsemax_y, COUNT(sparsemax_y), sparsemax_dx);
}

/* Where both sides meet, PyTorch 1.13's slopes: those of negative x for the exponential ones, which are smooth there or
 * change their slope, at 0 those of relu and leaky_relu, too. */
static void slopes_at_the_kinks(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double x, slope;
    } cases[] = {{"elu", 0, 1},   {"selu", 0, 1.0507009873554804934193349852946 * 1.6732632423543772848170429916717},
                 {"celu", 0, 1},  {"relu", 0, 0},
                 {"relu6", 0, 0}, {"leaky_relu", 0, 0.2},
                 {"silu", 0, .5}, {"softsign", 0, 1}};
    for (int i = 0; i < COUNT(cases); i++) {
        soma_tensor *x = soma_scalar(NULL, SOMA_F64, cases[i].x), *slope = NULL;
        expect_ok(soma_grad(soma_activation_by_name(NULL, cases[i].name)(x), &x, 1, &slope));
        expect_all(cases[i].name, slope, &cases[i].slope, 1, 1e-12);
    }
    const double zero = 0;
    soma_tensor *x = soma_array(NULL, SOMA_F64, SOMA_DIMS(1, 1), &zero), *y, *slope;
    soma_model *net = soma_sequential(soma_elu_layer(.alpha = 0.3, .input_shape = {1}, .dtype = SOMA_F64));
    expect_ok(soma_model_apply(net, &x, 1, false, &y));
    expect_ok(soma_grad(y, &x, 1, &slope));
    expect_all("ELU", slope, (const double[]){0.3}, 1, 1e-12);
    soma_model_destroy(net);
}

static void sparsemax_is_a_distribution(void **state) {
    (void)state;
    soma_tensor *x = soma_mul_scalar(soma_random_normal(NULL, SOMA_F64, SOMA_DIMS(50, 7), 0, 2, NULL), 1);
    soma_tensor *p = soma_sparsemax(x);
    assert_true(soma_item(soma_min(p, SOMA_ALL_AXES, false), 0) >= 0);
    soma_tensor *sums = soma_sum(p, SOMA_AXES(-1), false);
    for (int64_t i = 0; i < 50; i++)
        assert_true(fabs(soma_item(sums, i) - 1) < 1e-12);
    soma_tensor *same = soma_sparsemax(soma_ones(NULL, SOMA_F32, SOMA_DIMS(4))); /* ties */
    expect_all("ties", same, (double[]){0.25, 0.25, 0.25, 0.25}, 4, 1e-7);
}

/* ---- losses ---- */

static soma_tensor *array(const double *data) {
    return soma_array(NULL, SOMA_F64, SOMA_DIMS(3, 4), data);
}

static void check_values(const char *name, soma_tensor *loss, soma_tensor *x, const double *values, const double *dx) {
    soma_tensor *c = soma_array(NULL, SOMA_F64, SOMA_DIMS(3), (double[]){1, -0.5, 2}), *gradient = NULL;
    if (loss && soma_ndim(loss) == 0) loss = soma_mul(loss, soma_ones(NULL, SOMA_F64, SOMA_DIMS(3)));
    expect_all(name, loss, values, 3, 1e-10);
    if (soma_grad(soma_sum(soma_mul(loss, c), SOMA_ALL_AXES, false), &x, 1, &gradient) != SOMA_OK)
        fail_msg("%s: %s", name, soma_last_error(NULL));
    expect_all(name, gradient, dx, 12, 1e-9);
}

static void check_loss(const char *name, const double *y, const double *x, const double *values, const double *dx) {
    soma_loss_fn *f = soma_loss_by_name(NULL, name);
    if (!f) fail_msg("%s", soma_last_error(NULL));
    soma_tensor *p = array(x);
    check_values(name, f(array(y), p), p, values, dx);
}

static void losses_are_pytorchs(void **state) {
    (void)state;
    double turned[12];
    for (int i = 0; i < 12; i++)
        turned[i] = positive[i % 3 * 4 + i / 3];
    check_loss("huber", numbers, logits, huber_values, huber_gradient);
    check_loss("log_cosh", numbers, logits, log_cosh_values, log_cosh_gradient);
    check_loss("mape", numbers, logits, mape_values, mape_gradient);
    check_loss("msle", numbers, positive, msle_values, msle_gradient);
    check_loss("poisson", turned, positive, poisson_values, poisson_gradient);
    check_loss("kl_divergence", soft, probabilities, kld_values, kld_gradient);
    check_loss("CosineSimilarity", numbers, logits, cosine_values, cosine_gradient);
    check_loss("hinge", signs, logits, hinge_values, hinge_gradient);
    check_loss("hinge", onehot, logits, hinge_bits_values, hinge_bits_gradient);
    check_loss("squared_hinge", signs, logits, squared_hinge_values, squared_hinge_gradient);
    check_loss("categorical_hinge", onehot, logits, categorical_hinge_values, categorical_hinge_gradient);
    check_loss("binary_focal_crossentropy", onehot, probabilities, binary_focal_values, binary_focal_gradient);
    check_loss("categorical_focal_crossentropy", soft, probabilities, categorical_focal_values,
               categorical_focal_gradient);
    check_loss("dice", onehot, probabilities, dice_all_values, dice_all_gradient);
    check_loss("tversky", onehot, probabilities, tversky_all_values, tversky_all_gradient);
    soma_tensor *x = array(logits), *classes = soma_array(NULL, SOMA_U8, SOMA_DIMS(3, 1), (uint8_t[]){2, 0, 3});
    check_values("multiclass hinge", soma_multiclass_hinge(classes, x), x, multiclass_hinge_values,
                 multiclass_hinge_gradient);
}

static void check_with(const char *name, soma_loss loss, const double *y, const double *x, const double *values,
                       const double *dx) {
    soma_tensor *p = array(x);
    check_values(name, loss.build(array(y), p, loss.parameters), p, values, dx);
}

static void losses_with_numbers(void **state) {
    (void)state;
    check_with("huber", soma_huber_loss(0.5), numbers, logits, huber_half_values, huber_half_gradient);
    check_with("focal", soma_binary_focal_loss(1.5, 0.3, true, 0.1), onehot, probabilities, binary_focal_with_values,
               binary_focal_with_gradient);
    check_with("categorical focal", soma_categorical_focal_loss(3, 0.5, 0.1), soft, probabilities,
               categorical_focal_with_values, categorical_focal_with_gradient);
    check_with("smooth bce", soma_binary_crossentropy_loss(0.2), onehot, probabilities, smooth_bce_values,
               smooth_bce_gradient);
    check_with("dice", soma_dice_loss(-1), onehot, probabilities, dice_along_values, dice_along_gradient);
    check_with("tversky", soma_tversky_loss(0.3, 0.7, soma_axis_set(SOMA_AXES(1))), onehot, probabilities,
               tversky_with_values, tversky_with_gradient);
    /* through the softmax, whose input stands for it */
    soma_loss smooth = soma_categorical_crossentropy_loss(0.1);
    soma_tensor *x = array(logits);
    check_values("smooth cce", smooth.build(array(onehot), soma_softmax(x), smooth.parameters), x, smooth_cce_values,
                 smooth_cce_gradient);
}

/* Far away and at the poles: finite values and gradients. */
static void losses_stay_finite(void **state) {
    (void)state;
    static const char *const names[] = {"huber",
                                        "log_cosh",
                                        "mape",
                                        "msle",
                                        "poisson",
                                        "kl_divergence",
                                        "hinge",
                                        "squared_hinge",
                                        "dice",
                                        "tversky",
                                        "cosine_similarity",
                                        "categorical_hinge",
                                        "binary_focal_crossentropy",
                                        "categorical_focal_crossentropy"};
    for (int i = 0; i < COUNT(names); i++) {
        soma_tensor *y = soma_array(NULL, SOMA_F32, SOMA_DIMS(2, 2), (float[]){0, 1, 1, 0}), *dx;
        soma_tensor *x = soma_array(NULL, SOMA_F32, SOMA_DIMS(2, 2), (float[]){0, 1, 0, 1});
        if (strcmp(names[i], "huber") == 0 || strcmp(names[i], "log_cosh") == 0)
            x = soma_array(NULL, SOMA_F32, SOMA_DIMS(2, 2), (float[]){1e6f, -1e6f, 0, 1});
        soma_tensor *loss = soma_sum(soma_loss_by_name(NULL, names[i])(y, x), SOMA_ALL_AXES, false);
        if (!isfinite(soma_item(loss, 0))) fail_msg("%s: %g", names[i], soma_item(loss, 0));
        if (soma_grad(loss, &x, 1, &dx) != SOMA_OK) fail_msg("%s: %s", names[i], soma_last_error(NULL));
        for (int64_t j = 0; j < 4; j++)
            if (!isfinite(soma_item(dx, j))) fail_msg("%s: slope %g", names[i], soma_item(dx, j));
    }
}

/* Compiled by name, with its numbers, saved, loaded, saved: the same file and the same loss. */
static void numbers_are_saved(void **state) {
    (void)state;
    NEEDS(JANSSON);
    soma_model *net = soma_sequential(soma_dense(4, .input_shape = {2}));
    assert_int_equal(soma_model_compile_json(net, "{\"loss\": {\"huber\": {\"delta\": 0.5}}, \"optimizer\": \"sgd\"}"),
                     SOMA_OK);
    soma_tensor *x = soma_ones(NULL, SOMA_F32, SOMA_DIMS(3, 2)), *y = soma_cast(array(numbers), SOMA_F32);
    soma_scores before = soma_test_on_batch(net, x, y);
    assert_int_equal(before.status, SOMA_OK);
    assert_int_equal(soma_save(net, scratch_path("huber.soma")), SOMA_OK);
    soma_model *again = soma_load(NULL, scratch_path("huber.soma"));
    if (!again) fail_msg("%s", soma_last_error(NULL));
    assert_true(soma_test_on_batch(again, x, y).loss == before.loss);
    assert_int_equal(soma_save(again, scratch_path("again.soma")), SOMA_OK);
    size_t n, m;
    void *a = scratch_read(scratch_path("huber.soma"), &n), *b = scratch_read(scratch_path("again.soma"), &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
    soma_model_destroy(again);
    /* against the plain one, whose delta is 1 */
    assert_int_equal(soma_compile(net, .loss = soma_huber), SOMA_OK);
    assert_true(soma_test_on_batch(net, x, y).loss > before.loss);
    assert_int_equal(soma_compile(net, .loss_with = soma_huber_loss(0.5)), SOMA_OK);
    assert_true(soma_test_on_batch(net, x, y).loss == before.loss);
    assert_int_equal(soma_model_compile_json(net, "{\"loss\": {\"huber\": {\"dalta\": 0.5}}}"), SOMA_INVALID);
    expect_error(SOMA_INVALID, "huber has no number 'dalta'");
    soma_model_destroy(net);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(activations_are_pytorchs), TEST(sparsemax_is_a_distribution), TEST(losses_are_pytorchs),
        TEST(losses_with_numbers),      TEST(losses_stay_finite),          TEST(numbers_are_saved),
        TEST(slopes_at_the_kinks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
