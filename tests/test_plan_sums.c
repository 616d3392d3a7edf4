/* Sums of products that become one product: which do, that parts are computed or read in their place, and that nothing
 * waits for itself.
 * Rests on plan/steps.h for what a plan is made of; numbers are small and whole, so that every order of adding
 * them up gives the same bits as the reference plan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <soma/soma.h>

#include "plan/steps.h"

enum { MOST = 8, NUMBERS = 1 << 16 };
static float numbers[NUMBERS];
static soma_tensor *inputs[MOST];
static int n_inputs;

static soma_tensor *input(int rank, const int64_t *shape) {
    assert_true(n_inputs < MOST);
    return inputs[n_inputs++] = soma_input(NULL, SOMA_F32, rank, shape, "x");
}

/* Compares the targets with the reference's; counts products and moves. */
static void expect(const char *what, soma_tensor *const *targets, int n, int products, int moves) {
    soma_plan *plans[2];
    int found[2] = {0, 0};
    for (int k = 0; k < 2; k++) {
        plans[k] = soma_plan_create(targets, n, &(soma_plan_options){.reference = k == 1});
        if (!plans[k]) fail_msg("%s: %s", what, soma_last_error(NULL));
        for (int i = 0; i < n_inputs; i++) /* some are not needed */
            if (soma_plan_bind(plans[k], inputs[i], numbers + 100 * i) != SOMA_OK) soma_clear_error(NULL);
        assert_int_equal(soma_plan_run(plans[k]), SOMA_OK);
    }
    for (int i = 0; i < plans[0]->n_steps; i++) {
        found[0] += plans[0]->steps[i].kind == STEP_CONTRACT;
        found[1] += plans[0]->steps[i].kind == STEP_KERNEL;
    }
    for (int i = 0; i < n; i++) {
        const size_t bytes = (size_t)soma_size(targets[i]) * sizeof(float);
        if (memcmp(soma_plan_output(plans[0], i), soma_plan_output(plans[1], i), bytes) != 0)
            fail_msg("%s: target %d differs from the reference", what, i);
    }
    if (found[0] != products || found[1] != moves)
        fail_msg("%s: %d products and %d moves, not %d and %d", what, found[0], found[1], products, moves);
    soma_plan_destroy(plans[0]);
    soma_plan_destroy(plans[1]);
}

/* h <- relu(x_t + h U), and the slope of U for a loss of all states; relu keeps the numbers whole. */
static soma_tensor *slope_of_steps(int64_t batch, int64_t units, int steps, soma_tensor *u, bool joined) {
    soma_tensor *x = input(SOMA_DIMS(steps, batch, units)), *h = NULL, *states[16], *loss = NULL, *du;
    for (int t = 0; t < steps; t++) {
        soma_tensor *now = soma_squeeze(soma_slice_axis(x, 0, t, t + 1, 1), 0);
        h = states[t] = soma_relu(h ? soma_add(now, soma_matmul(h, u)) : now);
    }
    loss = joined ? soma_sum(soma_stack(states, steps, 0), SOMA_ALL_AXES, false) : soma_sum(h, SOMA_ALL_AXES, false);
    assert_int_equal(soma_grad(loss, &u, 1, &du), SOMA_OK);
    return du;
}

static void a_weight_of_several_steps(void **state) {
    (void)state;
    enum { STEPS = 4 };
    soma_tensor *u = input(SOMA_DIMS(37, 37)), *du = slope_of_steps(5, 37, STEPS, u, false);
    /* forward and back one product a step but the first, all slopes one */
    expect("the slope of a recurrent weight", &du, 1, STEPS - 1 + STEPS - 2 + 1, 0);
    du = slope_of_steps(5, 37, STEPS, u, true);
    expect("with the states side by side", &du, 1, STEPS - 1 + STEPS - 2 + 1, 0);
    du = slope_of_steps(64, 3, STEPS, u = input(SOMA_DIMS(3, 3)), false);
    expect("long and of few elements", &du, 1, STEPS - 1 + STEPS - 2 + STEPS - 1, 0);
}

static void a_weight_of_two_layers(void **state) {
    (void)state;
    soma_tensor *w = input(SOMA_DIMS(50, 40)), *x[2], *y[2], *loss, *dw;
    for (int i = 0; i < 2; i++) {
        x[i] = input(SOMA_DIMS(9 + i, 50)); /* as deep as they like */
        y[i] = soma_relu(soma_matmul(x[i], w));
    }
    loss = soma_add(soma_sum(y[0], SOMA_ALL_AXES, false), soma_sum(y[1], SOMA_ALL_AXES, false));
    assert_int_equal(soma_grad(loss, &w, 1, &dw), SOMA_OK);
    expect("two towers", &dw, 1, 3, 1); /* the inputs are copied side by side */
    dw = soma_add(dw, w);
    expect("and a decay", &dw, 1, 3, 1);
}

static void parts_where_they_are(void **state) {
    (void)state;
    soma_tensor *a = input(SOMA_DIMS(6, 30)), *b = input(SOMA_DIMS(6, 20)), *left[3], *right[3], *sum = NULL;
    for (int i = 0; i < 3; i++) {
        left[i] = soma_mul_scalar(a, i - 1.5);
        right[i] = soma_mul_scalar(b, 2 * i + 0.5);
    }
    soma_tensor *side = soma_concat((soma_tensor *[]){left[1], left[2], left[0]}, 3, 0);
    for (int i = 0; i < 3; i++) {
        soma_tensor *t = soma_matmul(soma_transpose(left[i], NULL), right[i]);
        sum = sum ? soma_add(sum, t) : t;
    }
    soma_tensor *targets[] = {sum, soma_sum(soma_square(side), SOMA_AXES(1), false)};
    expect("parts of an array", targets, 2, 1, 0);
    targets[1] = left[1]; /* somebody looks at one of them: it has a place of its own */
    expect("a part that is shown", targets, 2, 1, 1);
}

/* Each sum's parts lie in an array that needs the other sum: one of them at least must lie elsewhere. */
static void nothing_waits_for_itself(void **state) {
    (void)state;
    soma_tensor *a = input(SOMA_DIMS(4, 24)), *b = input(SOMA_DIMS(4, 24)), *sums[2], *parts[2][3], *wholes[2];
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < 2; i++)
            parts[k][i] = soma_mul_scalar(k ? b : a, i + 0.5);
        soma_tensor *p = soma_matmul(soma_transpose(parts[k][0], NULL), soma_mul_scalar(b, 2 + k));
        sums[k] = soma_add(p, soma_matmul(soma_transpose(parts[k][1], NULL), soma_mul_scalar(a, 4 + k)));
    }
    for (int k = 0; k < 2; k++) {
        parts[k][2] = soma_slice(soma_neg(sums[1 - k]), "4:8");
        wholes[k] = soma_sum(soma_concat(parts[k], 3, 0), SOMA_AXES(1), false);
    }
    soma_tensor *targets[] = {wholes[0], wholes[1], sums[0]};
    soma_plan *plan = soma_plan_create(targets, 3, NULL);
    assert_non_null(plan);
    int moves = 0;
    for (int i = 0; i < plan->n_steps; i++)
        moves += plan->steps[i].kind == STEP_KERNEL;
    soma_plan_destroy(plan);
    expect("two sums that need each other's arrays", targets, 3, 2, moves);
    targets[1] = soma_sum(soma_concat((soma_tensor *[]){parts[1][0], parts[1][1]}, 2, 0), SOMA_AXES(1), false);
    expect("one of them", targets, 3, 2, 1);
}

static int make_numbers(void **state) {
    (void)state;
    for (int i = 0; i < NUMBERS; i++)
        numbers[i] = (float)(i * 37 % 101 % 3 - 1);
    return 0;
}

static int forget(void **state) {
    (void)state;
    soma_clear_error(NULL);
    soma_graph_reset(NULL);
    n_inputs = 0;
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_weight_of_several_steps, forget),
        cmocka_unit_test_teardown(a_weight_of_two_layers, forget),
        cmocka_unit_test_teardown(parts_where_they_are, forget),
        cmocka_unit_test_teardown(nothing_waits_for_itself, forget),
    };
    return cmocka_run_group_tests(tests, make_numbers, NULL);
}
