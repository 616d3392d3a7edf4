/* The gradient of an axis sliced apart: parts side by side become one concatenation, others are still added up.
 * Rests on cmocka and the graph's inside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <soma/soma.h>

#include "ops/op.h"

enum { ROWS = 2, LENGTH = 6, COLUMNS = 3 };

/* d/dx of the sum over slices s of (s + 1) x[:, from_s : to_s], which is the sum of s + 1 over the slices that have the
 * element. */
static soma_tensor *gradient(int n, const int64_t (*slices)[2], int axis) {
    soma_graph_reset(NULL);
    soma_tensor *x = soma_ones(NULL, SOMA_F64, SOMA_DIMS(ROWS, LENGTH, COLUMNS)), *dx = NULL;
    soma_tensor *sum = soma_scalar(NULL, SOMA_F64, 0);
    for (int s = 0; s < n; s++) {
        soma_tensor *part = soma_slice_axis(x, axis, slices[s][0], slices[s][1], 1);
        sum = soma_add(sum, soma_sum(soma_mul_scalar(soma_square(part), 0.5 * (s + 1)), SOMA_ALL_AXES, false));
    }
    assert_int_equal(soma_grad(sum, &x, 1, &dx), SOMA_OK);
    return dx;
}

static void check(int n, const int64_t (*slices)[2], int axis, const op *expected) {
    soma_tensor *dx = gradient(n, slices, axis);
    assert_ptr_equal(dx->op, expected);
    for (int64_t i = 0; i < ROWS * LENGTH * COLUMNS; i++) {
        int64_t place = axis == 1 ? i / COLUMNS % LENGTH : i % COLUMNS, right = 0;
        for (int s = 0; s < n; s++)
            if (place >= slices[s][0] && place < slices[s][1]) right += s + 1;
        assert_true(soma_item(dx, i) == (double)right);
    }
}

static void slices_side_by_side(void **state) {
    (void)state;
    check(3, (const int64_t[][2]){{0, 2}, {2, 3}, {3, 6}}, 1, &op_concat);
    check(3, (const int64_t[][2]){{3, 6}, {2, 3}, {0, 2}}, 1, &op_concat);
    check(3, (const int64_t[][2]){{0, 1}, {1, 2}, {2, 3}}, 2, &op_concat);
    assert_int_equal(gradient(3, (const int64_t[][2]){{0, 2}, {2, 3}, {3, 6}}, 1)->n_inputs, 3);
    check(2, (const int64_t[][2]){{1, 2}, {2, 5}}, 1, &op_pad); /* with zeros around */
}

static void slices_that_overlap_or_leave_gaps(void **state) {
    (void)state;
    check(2, (const int64_t[][2]){{0, 4}, {2, 6}}, 1, &op_add);
    check(2, (const int64_t[][2]){{0, 2}, {3, 6}}, 1, &op_add);
    check(3, (const int64_t[][2]){{0, 2}, {4, 6}, {2, 4}}, 1, &op_concat); /* the last one fills the gap */
    check(3, (const int64_t[][2]){{0, 3}, {3, 6}, {1, 2}}, 1, &op_add);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_side_by_side),
        cmocka_unit_test(slices_that_overlap_or_leave_gaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
