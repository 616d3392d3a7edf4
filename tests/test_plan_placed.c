/* Parts of concatenations and insides of pads that are computed in their place: which are, which must not be, and that
 * every element arrives.
 * Rests on plan/steps.h for what a plan is made of; values are compared with the reference plan's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <soma/ops.h>
#include <soma/plan.h>

#include "plan/steps.h"

static float numbers[4096];

static soma_tensor *input(int rank, const int64_t *shape) {
    return soma_input(NULL, SOMA_F32, rank, shape, "x");
}

/* Runs the targets compiled and by the reference, compares them to the bit, and counts the steps that move. */
static int moves(soma_tensor *const *targets, int n, soma_tensor *const *xs, int n_xs) {
    soma_plan *plans[2];
    int count = 0;
    for (int i = 0; i < 4096; i++)
        numbers[i] = (float)(i * 37 % 101 - 50) / 8;
    for (int k = 0; k < 2; k++) {
        plans[k] = soma_plan_create(targets, n, &(soma_plan_options){.reference = k == 1});
        if (!plans[k]) fail_msg("%s", soma_last_error(NULL));
        for (int i = 0; i < n_xs; i++)
            assert_int_equal(soma_plan_bind(plans[k], xs[i], numbers + 16 * i), SOMA_OK);
        assert_int_equal(soma_plan_run(plans[k]), SOMA_OK);
    }
    for (int i = 0; i < plans[0]->n_steps; i++)
        count += plans[0]->steps[i].kind == STEP_KERNEL;
    for (int i = 0; i < n; i++)
        assert_memory_equal(soma_plan_output(plans[0], i), soma_plan_output(plans[1], i),
                            (size_t)soma_size(targets[i]) * sizeof(float));
    soma_plan_destroy(plans[0]);
    soma_plan_destroy(plans[1]);
    return count;
}

static void parts_of_a_concatenation(void **state) {
    (void)state;
    soma_tensor *a = input(SOMA_DIMS(3, 5, 4)), *b = input(SOMA_DIMS(3, 5, 2)), *xs[] = {a, b};
    soma_tensor *p = soma_neg(a), *q = soma_square(b), *y = soma_concat((soma_tensor *[]){p, q}, 2, -1);
    assert_int_equal(moves(&y, 1, xs, 2), 0);
    y = soma_concat((soma_tensor *[]){p, a}, 2, 1); /* an input has a place of its own */
    assert_int_equal(moves(&y, 1, xs, 1), 1);
    y = soma_concat((soma_tensor *[]){p, p}, 2, 0); /* twice the same */
    assert_int_equal(moves(&y, 1, xs, 1), 1);
    soma_tensor *both[] = {soma_concat((soma_tensor *[]){p, q}, 2, -1), p}; /* somebody looks at a part */
    assert_int_equal(moves(both, 2, xs, 2), 1);
    both[1] = soma_sum(soma_mul(p, p), SOMA_AXES(2), false); /* somebody reads it */
    assert_int_equal(moves(both, 2, xs, 2), 1);
}

static void parts_through_views(void **state) {
    (void)state;
    soma_tensor *a = input(SOMA_DIMS(3, 5, 4)), *b = input(SOMA_DIMS(5, 3, 4)), *xs[] = {a, b};
    soma_tensor *p = soma_transpose(soma_neg(a), (const int[]){1, 0, 2}), *q = soma_abs(b);
    soma_tensor *y = soma_concat((soma_tensor *[]){p, q}, 2, 1);
    assert_int_equal(moves(&y, 1, xs, 2), 0);
    y = soma_stack((soma_tensor *[]){soma_reshape(soma_neg(a), SOMA_DIMS(12, 5)), soma_reshape(q, SOMA_DIMS(12, 5))}, 2,
                   -1);
    assert_int_equal(moves(&y, 1, xs, 2), 0);
    y = soma_concat((soma_tensor *[]){soma_slice(soma_neg(a), "1:"), soma_square(a)}, 2, 0); /* shows only some */
    assert_int_equal(moves(&y, 1, xs, 1), 1);
}

static void nested_parts(void **state) {
    (void)state;
    soma_tensor *x = input(SOMA_DIMS(2, 3, 8)), *parts[2], *y;
    for (int i = 0; i < 2; i++) {
        soma_tensor *p = soma_add_scalar(x, 1 + i), *q = soma_mul_scalar(x, 3 + i);
        parts[i] = soma_stack((soma_tensor *[]){p, q}, 2, 2);
    }
    y = soma_stack(parts, 2, 1);
    assert_int_equal(moves(&y, 1, &x, 1), 0);
    parts[1] = soma_stack((soma_tensor *[]){soma_neg(x), x}, 2, 2); /* one part of a part has to be copied */
    y = soma_stack(parts, 2, 1);
    assert_int_equal(moves(&y, 1, &x, 1), 2);
}

static void insides_of_pads(void **state) {
    (void)state;
    soma_tensor *x = input(SOMA_DIMS(2, 5, 6, 3));
    soma_tensor *y = soma_pad(soma_square(x), (const int64_t[]){0, 1, 2, 0}, (const int64_t[]){0, 1, 0, 0}, 0.5);
    assert_int_equal(moves(&y, 1, &x, 1), 1); /* the border is filled */
    soma_tensor *sums = soma_sum(soma_square(x), SOMA_AXES(3), false);
    y = soma_pad(sums, (const int64_t[]){1, 1, 2}, (const int64_t[]){0, 1, 0}, -1);
    soma_variable *v = soma_variable_create(NULL, "v", SOMA_F32, SOMA_DIMS(3, 7, 8));
    assert_non_null(v);
    soma_tensor *assigned = soma_assign(v, y); /* the variable's old value may still be read */
    soma_plan *plan = soma_plan_create(&assigned, 1, NULL);
    assert_non_null(plan);
    assert_int_equal(soma_plan_bind(plan, x, numbers), SOMA_OK);
    assert_int_equal(soma_plan_run(plan), SOMA_OK);
    float values[3 * 7 * 8], expected = 0;
    assert_int_equal(soma_variable_get(v, values, sizeof values), SOMA_OK);
    for (int i = 0; i < 3; i++)
        expected += numbers[i] * numbers[i];
    assert_true(values[0] == -1 && values[(1 * 7 + 1) * 8 + 2] == expected);
    soma_plan_destroy(plan);
    soma_variable_destroy(v);
}

/* What cannot be read where it lies is stored as it is wanted: no step copies it. */
static void copies_in_another_order(void **state) {
    (void)state;
    soma_tensor *a = input(SOMA_DIMS(2, 3, 5, 4)), *b = input(SOMA_DIMS(2, 3, 4, 7)), *c = input(SOMA_DIMS(6, 10));
    soma_tensor *xs[] = {a, b, c}, *heads = soma_matmul(a, b);
    soma_tensor *rows = soma_reshape(soma_transpose(heads, (const int[]){0, 2, 1, 3}), SOMA_DIMS(10, 21));
    soma_tensor *y = soma_matmul(c, rows), *both[] = {y, soma_sum(heads, SOMA_AXES(0), false)};
    assert_int_equal(moves(&y, 1, xs, 3), 0);
    soma_plan *plan = soma_plan_create(&y, 1, NULL);
    assert_non_null(plan);
    assert_int_equal(plan->n_steps, 2);
    assert_true(plan->steps[0].kind == STEP_CONTRACT && plan->steps[1].kind == STEP_CONTRACT);
    soma_plan_destroy(plan);
    assert_int_equal(moves(both, 2, xs, 3), 0); /* somebody else reads it in its own order: a copy */
    plan = soma_plan_create(both, 2, NULL);
    assert_non_null(plan);
    assert_int_equal(plan->n_steps, 4);
    soma_plan_destroy(plan);
    soma_tensor *x = input(SOMA_DIMS(20, 70)), *m = soma_neg(x); /* what a reduction makes on its way */
    soma_tensor *turned = soma_transpose(soma_reshape(m, SOMA_DIMS(70, 20, 1)), (const int[]){2, 1, 0});
    soma_tensor *three[] = {turned, soma_sum(m, SOMA_AXES(0), false)};
    assert_int_equal(moves(three, 2, &x, 1), 0);
}

static int forget(void **state) {
    (void)state;
    soma_clear_error(NULL);
    soma_graph_reset(NULL);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(parts_of_a_concatenation, forget),
        cmocka_unit_test_teardown(parts_through_views, forget),
        cmocka_unit_test_teardown(nested_parts, forget),
        cmocka_unit_test_teardown(insides_of_pads, forget),
        cmocka_unit_test_teardown(copies_in_another_order, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
