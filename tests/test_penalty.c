/* Gradients of gradients through networks: the penalty on a critic's slope, as WGAN-GP has it, and what trains by it.
 * Rests on cmocka. In float64 against central differences, along random directions of all weights together. */
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

enum { BATCH = 5, FEATURES = 3, WEIGHTS = 6, ROOM = 256 };

/* mean of (|d critic / dx| - 1)^2, x (batch, n) */
static soma_tensor *gradient_penalty(soma_model *critic, soma_tensor *x) {
    soma_tensor *score = NULL, *slope = NULL;
    if (soma_model_apply(critic, &x, 1, true, &score) != SOMA_OK) return NULL;
    if (soma_grad(soma_sum(score, SOMA_ALL_AXES, false), &x, 1, &slope) != SOMA_OK) return NULL;
    soma_tensor *norm = soma_sqrt(soma_sum(soma_square(slope), SOMA_AXES(1), false));
    return soma_mean(soma_square(soma_add_scalar(norm, -1)), SOMA_ALL_AXES, false);
}

static soma_model *critic_of(soma_activation_fn *activation, soma_dtype dtype) {
    return soma_sequential(soma_dense(7, .activation = activation, .input_shape = {FEATURES}, .dtype = dtype),
                           soma_dense(6, .activation = activation, .dtype = dtype), soma_dense(1, .dtype = dtype));
}

static soma_variable *weight(soma_model *net, int i) {
    return soma_layer_get_weight(soma_model_get_layer(net, i / 2), i % 2);
}

static double uniform(uint32_t *state) {
    *state = *state * 1664525U + 1013904223U;
    return (double)(*state >> 8) / (1 << 23) - 1;
}

/* The penalty with all weights moved by so much along a direction. */
static double moved(soma_model *net, soma_plan *plan, double (*start)[ROOM], double (*direction)[ROOM], double by) {
    for (int i = 0; i < WEIGHTS; i++) {
        soma_variable *v = weight(net, i);
        double values[ROOM];
        for (int64_t k = 0; k < soma_variable_size(v); k++)
            values[k] = start[i][k] + by * direction[i][k];
        expect_ok(soma_variable_set(v, values, (size_t)soma_variable_size(v) * sizeof *values));
    }
    expect_ok(soma_plan_run(plan));
    return *(const double *)soma_plan_output(plan, 0);
}

static void slopes_of_slopes_are_right(void **state) {
    (void)state;
    soma_activation_fn *const activations[] = {soma_tanh, soma_sigmoid, soma_softplus, soma_elu, soma_gelu, soma_silu};
    for (size_t a = 0; a < sizeof activations / sizeof *activations; a++) {
        for (uint32_t seed = 1; seed <= 3; seed++) {
            uint32_t random = seed;
            soma_set_random_seed(NULL, seed);
            soma_graph_reset(NULL);
            soma_model *net = critic_of(activations[a], SOMA_F64);
            soma_tensor *x = soma_random_normal(NULL, SOMA_F64, SOMA_DIMS(BATCH, FEATURES), 0, 1, NULL);
            soma_tensor *penalty = gradient_penalty(net, x), *w[WEIGHTS], *targets[1 + WEIGHTS] = {penalty};
            for (int i = 0; i < WEIGHTS; i++)
                w[i] = soma_weight(NULL, weight(net, i));
            expect_ok(soma_grad(penalty, w, WEIGHTS, targets + 1));
            soma_plan *plan = soma_plan_create(targets, 1 + WEIGHTS, NULL);
            if (!plan) fail_msg("%s", soma_last_error(NULL));
            expect_ok(soma_plan_run(plan));
            static double start[WEIGHTS][ROOM], direction[WEIGHTS][ROOM];
            double along = 0, size = 0;
            for (int i = 0; i < WEIGHTS; i++) {
                int64_t n = soma_variable_size(weight(net, i));
                const double *g = soma_plan_output(plan, 1 + i);
                expect_ok(soma_variable_get(weight(net, i), start[i], (size_t)n * sizeof(double)));
                for (int64_t k = 0; k < n; k++) {
                    direction[i][k] = uniform(&random);
                    along += g[k] * direction[i][k];
                    size += fabs(g[k]);
                }
            }
            double h = 1e-5;
            double difference =
                (moved(net, plan, start, direction, h) - moved(net, plan, start, direction, -h)) / (2 * h);
            assert_true(size > 1e-3);
            if (!(fabs(along - difference) <= 1e-7 * (1 + fabs(along))))
                fail_msg("activation %d: slope %.12g, difference %.12g", (int)a, along, difference);
            soma_plan_destroy(plan);
            soma_model_destroy(net);
        }
    }
}

/* Trained on the penalty alone, a critic's slope becomes 1 everywhere. */
static void penalties_train(void **state) {
    (void)state;
    soma_set_random_seed(NULL, 3);
    soma_model *net = critic_of(soma_softplus, SOMA_F32);
    soma_minimizer *m = soma_minimizer_create(soma_adam(.learning_rate = 0.01), net);
    soma_graph *graph = soma_graph_create(NULL);
    soma_tensor *x = soma_random_normal(graph, SOMA_F32, SOMA_DIMS(32, FEATURES), 0, 1, NULL), *targets[64];
    soma_tensor *penalty = gradient_penalty(net, x);
    expect_ok(soma_minimize(m, penalty, targets));
    int n = soma_minimizer_targets(m);
    targets[n] = penalty;
    soma_plan *plan = soma_plan_create(targets, n + 1, NULL);
    if (!plan) fail_msg("%s", soma_last_error(NULL));
    expect_ok(soma_plan_run(plan));
    float before = *(const float *)soma_plan_output(plan, n);
    for (int i = 0; i < 200; i++)
        expect_ok(soma_plan_run(plan));
    float after = *(const float *)soma_plan_output(plan, n);
    assert_true(before > 0.1f && after < 0.01f * before);
    soma_plan_destroy(plan);
    soma_graph_destroy(graph);
    soma_minimizer_destroy(m);
    soma_model_destroy(net);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {TEST(slopes_of_slopes_are_right), TEST(penalties_train)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
