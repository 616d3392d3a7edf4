/* The neuron of McCulloch and Pitts, and the perceptron against its rule carried out by hand.
 * Rests on cmocka. The tables are worked out on paper: w and b after each epoch, samples in the order 00, 01, 10, 11.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <soma/soma.h>

#include "support/failing.h"

static const double inputs[] = {0, 0, 0, 1, 1, 0, 1, 1};

static int reset(void **state) {
    (void)state;
    soma_clear_error(NULL);
    return 0;
}

static void threshold_neurons(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        const bool a = i >> 1, b = i & 1, x[] = {a, b}, second[] = {false, true};
        assert_int_equal(soma_mcculloch_pitts(2, x, NULL, 2), a && b);
        assert_int_equal(soma_mcculloch_pitts(2, x, NULL, 1), a || b);
        assert_int_equal(soma_mcculloch_pitts(2, x, second, 1), a && !b);
        assert_int_equal(soma_mcculloch_pitts(1, &a, (bool[]){true}, 0), !a);
        assert_int_equal(soma_mcculloch_pitts(2, x, NULL, 0), 1);
    }
}

typedef struct epoch {
    double w1, w2, b;
    int wrong;
} epoch;

static void check_epochs(const double *y, double rate, const epoch *expected, int n) {
    soma_perceptron *p = soma_perceptron(2, .learning_rate = rate);
    for (int i = 0; i < n; i++) {
        assert_int_equal(soma_perceptron_epoch(p, 4, inputs, y), expected[i].wrong);
        const double *w = soma_perceptron_weights(p);
        assert_true(w[0] == expected[i].w1 * rate && w[1] == expected[i].w2 * rate);
        assert_true(soma_perceptron_bias(p) == expected[i].b * rate);
    }
    soma_perceptron_destroy(p);
}

static void by_hand(void **state) {
    (void)state;
    static const double and_gate[] = {0, 0, 0, 1}, or_gate[] = {0, 1, 1, 1}, nand_gate[] = {1, 1, 1, 0};
    static const epoch and_table[] = {{1, 1, 0, 2},  {2, 1, -1, 3}, {2, 1, -2, 3},
                                      {2, 2, -2, 2}, {2, 1, -3, 1}, {2, 1, -3, 0}};
    static const epoch or_table[] = {{0, 1, 0, 2}, {1, 1, 0, 2}, {1, 1, -1, 1}, {1, 1, -1, 0}};
    static const epoch nand_table[] = {{-1, -1, -1, 1}, {-2, -1, 0, 3}, {-2, -1, 1, 3},
                                       {-2, -2, 1, 2},  {-2, -1, 2, 1}, {-2, -1, 2, 0}};
    check_epochs(and_gate, 1, and_table, 6);
    check_epochs(and_gate, 0.25, and_table, 6);
    check_epochs(or_gate, 1, or_table, 4);
    check_epochs(nand_gate, 1, nand_table, 6);
}

static void gates_are_learnt(void **state) {
    (void)state;
    static const double gates[][4] = {{0, 0, 0, 1}, {0, 1, 1, 1}, {1, 1, 1, 0}, {1, 0, 0, 0}, {0, 0, 1, 0}};
    for (int g = 0; g < 5; g++) {
        soma_perceptron *p = soma_perceptron(2);
        const soma_perceptron_fit_result r = soma_perceptron_fit(p, 4, inputs, gates[g], 50);
        assert_int_equal(r.status, SOMA_OK);
        assert_int_equal(r.wrong, 0);
        for (int i = 0; i < 4; i++)
            assert_int_equal(soma_perceptron_predict(p, inputs + 2 * i), (int)gates[g][i]);
        soma_perceptron_destroy(p);
    }
}

static void xor_is_not(void **state) {
    (void)state;
    static const double xor_gate[] = {0, 1, 1, 0};
    soma_perceptron *p = soma_perceptron(2);
    const soma_perceptron_fit_result r = soma_perceptron_fit(p, 4, inputs, xor_gate, 100);
    assert_int_equal(r.status, SOMA_DIVERGED);
    assert_int_equal(r.epochs, 100);
    assert_true(r.wrong > 0);
    assert_non_null(strstr(soma_last_error(NULL), "no convergence in 100 epochs"));
    soma_perceptron_destroy(p);
}

static void start_and_errors(void **state) {
    (void)state;
    soma_perceptron *p = soma_perceptron(2, .weights = (double[]){1, 1}, .bias = -1.5);
    assert_int_equal(soma_perceptron_inputs(p), 2);
    assert_true(soma_perceptron_activation(p, (double[]){1, 0}) == -0.5);
    const soma_perceptron_fit_result r = soma_perceptron_fit(p, 4, inputs, (double[]){0, 0, 0, 1}, 9);
    assert_int_equal(r.epochs, 1);
    assert_int_equal(soma_perceptron_epoch(p, 4, inputs, (double[]){0, 0, 0, 2}), -1);
    assert_string_equal(soma_last_error(NULL), "[perceptron] label 3 is 2: 0 or 1 is expected");
    soma_clear_error(NULL);
    assert_int_equal(soma_perceptron_fit(p, 0, inputs, inputs, 9).status, SOMA_INVALID);
    soma_perceptron_destroy(p);
    assert_null(soma_perceptron(0));
    assert_null(soma_perceptron(1, .learning_rate = -1));
    soma_perceptron_destroy(NULL);
}

static void out_of_memory(void **state) {
    (void)state;
    failing f;
    soma_context *context = failing_context(&f, 1);
    const int64_t before = f.blocks;
    for (int64_t n = 0; n < 2; n++) {
        f.requests = 0, f.refuse = n;
        assert_null(soma_perceptron(3, .context = context));
        assert_int_equal(f.blocks, before);
        soma_clear_error(context);
    }
    f.refuse = -1;
    soma_perceptron *p = soma_perceptron(3, .context = context);
    assert_non_null(p);
    soma_perceptron_destroy(p);
    assert_int_equal(f.blocks, before);
    soma_context_destroy(context);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(threshold_neurons), TEST(by_hand),          TEST(gates_are_learnt),
        TEST(xor_is_not),        TEST(start_and_errors), TEST(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
