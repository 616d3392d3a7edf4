/* Windows, convolutions and pools: PyTorch's values and gradients, what they are made of, and the text of every error.
 * Rests on convolution_golden.h, which convolution_golden.py made. The ops' samples are run by test_ops and
 * test_gradients. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <soma/nn.h>
#include <soma/ops.h>
#include <soma/plan.h>

#include "convolution_golden.h"
#include "cpu/reference/element.h"
#include "ops/build.h"
#include "plan/steps.h"

/* ---- golden values ---- */

/* The formula of convolution_golden.py. */
static soma_tensor *numbers(soma_graph *graph, soma_dtype dtype, int rank, const int64_t *shape, int64_t salt) {
    int64_t size = shape_size(rank, shape);
    double *values = malloc((size_t)size * sizeof *values + 1);
    for (int64_t i = 0; i < size; i++)
        values[i] = (double)((i * 37 + salt * 11) % 29 % 13 - 6) / 4;
    soma_tensor *t = soma_cast(soma_array(graph, SOMA_F64, rank, shape, values), dtype);
    free(values);
    return t;
}

static soma_tensor *build(const struct golden_case *c, soma_tensor *x, soma_tensor *w) {
    if (strcmp(c->kind, "conv") == 0) return soma_conv(x, w, &c->options);
    if (strcmp(c->kind, "conv_transpose") == 0) return soma_conv_transpose(x, w, &c->options);
    if (strcmp(c->kind, "depthwise_conv") == 0) return soma_depthwise_conv(x, w, &c->options);
    if (strcmp(c->kind, "max_pool") == 0) return soma_max_pool(x, c->size, &c->options);
    return soma_average_pool(x, c->size, &c->options);
}

static void compare(const struct golden_case *c, int index, const char *what, const soma_tensor *t, const void *got,
                    const double *expected) {
    double most = 0, tolerance = t->dtype == SOMA_F64 ? 1e-12 : 2e-6;
    for (int64_t i = 0; i < soma_size(t); i++)
        most = fmax(most, fabs(expected[i]));
    for (int64_t i = 0; i < soma_size(t); i++) {
        double value = element_get(t->dtype, got, i);
        if (!(fabs(value - expected[i]) <= tolerance * most))
            fail_msg("%s, case %d, %s, %s: element %d is %.9g, not %.9g", c->kind, index, soma_dtype_name(t->dtype),
                     what, (int)i, value, expected[i]);
    }
}

static void check_case(soma_context *context, soma_dtype dtype, bool reference, int index) {
    const struct golden_case *c = &GOLDEN[index];
    soma_graph *graph = soma_graph_create(context);
    soma_tensor *x = numbers(graph, dtype, c->n + 2, c->x, 1);
    soma_tensor *w = c->dw ? numbers(graph, dtype, c->n + 2, c->w, 2) : NULL;
    soma_tensor *y = build(c, x, w);
    if (!y) fail_msg("%s, case %d: %s", c->kind, index, soma_last_error(context));
    assert_true(shape_equal(y->rank, y->shape, c->n + 2, c->y));
    soma_tensor *dy = numbers(graph, dtype, y->rank, y->shape, 3), *targets[3] = {y, NULL, NULL};
    soma_tensor *value = soma_sum(soma_mul(y, dy), SOMA_ALL_AXES, false), *wrt[2] = {x, w};
    int n = w ? 2 : 1;
    if (soma_grad(value, wrt, n, targets + 1) != SOMA_OK)
        fail_msg("%s, case %d: %s", c->kind, index, soma_last_error(context));
    soma_plan *plan = soma_plan_create(targets, 1 + n, &(soma_plan_options){.reference = reference});
    if (!plan || soma_plan_run(plan) != SOMA_OK) fail_msg("%s, case %d: %s", c->kind, index, soma_last_error(context));
    compare(c, index, "y", y, soma_plan_output(plan, 0), c->y_values);
    compare(c, index, "dx", x, soma_plan_output(plan, 1), c->dx);
    if (w) compare(c, index, "dw", w, soma_plan_output(plan, 2), c->dw);
    soma_plan_destroy(plan);
    soma_graph_destroy(graph);
}

static void golden_values(void **state) {
    (void)state;
    const int cases = (int)(sizeof GOLDEN / sizeof *GOLDEN);
    int levels = 0;
    for (const cpu_kernels *level; (level = cpu_level(levels)) != NULL; levels++) {
        soma_context *context = soma_context_create(&(soma_context_options){.isa = level->name, .threads = 2});
        assert_non_null(context);
        for (int i = 0; i < cases; i++) {
            check_case(context, SOMA_F32, false, i);
            check_case(context, SOMA_F64, false, i);
            if (levels == 0) check_case(context, SOMA_F64, true, i);
        }
        soma_context_destroy(context);
    }
    assert_true(levels > 0 && cases >= 29);
}

/* ---- ties and padding in pools ---- */

static soma_tensor *line(int n, const double *values) {
    return soma_array(NULL, SOMA_F64, SOMA_DIMS(1, n, 1), values);
}
#define LINE(...) line((int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (const double[]){__VA_ARGS__})

static void expect(soma_tensor *t, const double *expected, int n) {
    if (!t) fail_msg("%s", soma_last_error(NULL));
    assert_int_equal(soma_size(t), n);
    for (int i = 0; i < n; i++)
        if (!(soma_item(t, i) == expected[i] || (isnan(soma_item(t, i)) && isnan(expected[i]))))
            fail_msg("element %d is %g, not %g", i, soma_item(t, i), expected[i]);
}
#define EXPECT(t, ...) expect(t, (const double[]){__VA_ARGS__}, (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)))

static soma_tensor *gradient(soma_tensor *y, soma_tensor *x) {
    soma_tensor *g = NULL;
    if (soma_grad(soma_sum(y, SOMA_ALL_AXES, false), &x, 1, &g) != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
    return g;
}

static void pools(void **state) {
    (void)state;
    const int64_t two[] = {2}, three[] = {3};
    soma_tensor *x = LINE(1, 1, 3, 3, -2, -1, -1), *y = soma_max_pool(x, two, NULL);
    EXPECT(y, 1, 3, -1);
    EXPECT(gradient(y, x), 1, 0, 1, 0, 0, 1, 0);
    y = soma_max_pool(x, three, &(soma_window_options){.strides = {1}});
    EXPECT(gradient(y, x), 0, 0, 3, 1, 0, 1, 0);
    /* padding never wins, not even over negative numbers; and does not count */
    soma_tensor *low = LINE(-5, -7, -9),
                *padded = soma_max_pool(low, two, &(soma_window_options){.strides = {2}, .pads = {{1, 0}}});
    EXPECT(padded, -5, -7);
    EXPECT(gradient(padded, low), 1, 1, 0);
    EXPECT(soma_average_pool(low, two, &(soma_window_options){.strides = {2}, .pads = {{1, 0}}}), -5, -8);
    soma_tensor *with_nan = LINE(1, (double)NAN, 2, 0), *seen = soma_max_pool(with_nan, two, NULL);
    EXPECT(seen, (double)NAN, 2);
    /* integers and bytes have maxima too, and float means */
    soma_tensor *bytes = soma_cast(LINE(1, 200, 7, 3), SOMA_U8);
    EXPECT(soma_max_pool(bytes, two, &(soma_window_options){.pads = {{1, 1}}}), 1, 200, 3);
    EXPECT(soma_average_pool(bytes, two, NULL), 100.5, 5);
    assert_int_equal(soma_average_pool(bytes, two, NULL)->dtype, SOMA_F32);
    EXPECT(soma_average_pool(soma_cast(LINE(1, 2, 4, 6), SOMA_F16), two, NULL), 1.5, 5);
}

/* A bias and a relu before a max pool are computed behind it: the same numbers and gradients as where both are asked
 * for between them, which keeps them before it. */
static void bias_and_relu_before_a_max_pool(void **state) {
    (void)state;
    const soma_window_options options[] = {{.strides = {2, 2}}, {.strides = {1, 2}, .pads = {{1, 1}, {0, 1}}}};
    for (int i = 0; i < 2; i++) {
        soma_tensor *x = numbers(NULL, SOMA_F32, 4, (const int64_t[]){3, 7, 6, 5}, 0);
        soma_tensor *bias = numbers(x->graph, SOMA_F32, 1, (const int64_t[]){5}, 1);
        soma_tensor *shifted = soma_add(x, bias), *rectified = soma_relu(shifted);
        soma_tensor *y = soma_max_pool(rectified, (const int64_t[]){2, 3}, &options[i]);
        soma_tensor *weights = numbers(x->graph, SOMA_F32, y->rank, y->shape, 2);
        soma_tensor *loss = soma_sum(soma_mul(y, weights), SOMA_ALL_AXES, false), *near[2], *far[4];
        soma_tensor *few[2] = {x, bias}, *all[4] = {x, bias, shifted, rectified};
        assert_int_equal(soma_grad(loss, few, 2, near), SOMA_OK);
        assert_int_equal(soma_grad(loss, all, 4, far), SOMA_OK);
        for (int k = 0; k < 2; k++) {
            assert_memory_equal(soma_data(near[k]), soma_data(far[k]), (size_t)soma_size(few[k]) * sizeof(float));
            assert_true(soma_item(soma_sum(soma_abs(near[k]), SOMA_ALL_AXES, false), 0) > 0);
        }
        assert_memory_equal(soma_data(far[0]), soma_data(far[2]), (size_t)soma_size(x) * sizeof(float));
    }
}

static void windows(void **state) {
    (void)state;
    soma_tensor *x = soma_array(NULL, SOMA_F64, SOMA_DIMS(7), (const double[]){0, 1, 2, 3, 4, 5, 6});
    soma_tensor *w = soma_window(x, 0, 3, 2, 1);
    assert_true(shape_equal(w->rank, w->shape, SOMA_DIMS(3, 3)));
    EXPECT(w, 0, 1, 2, 2, 3, 4, 4, 5, 6);
    EXPECT(soma_window(x, -1, 2, 3, 3), 0, 3, 3, 6);
    EXPECT(soma_unwindow(w, 0, 7, 2, 1), 0, 1, 4, 3, 8, 5, 6);
    EXPECT(soma_unwindow(w, 0, 9, 2, 1), 0, 1, 4, 3, 8, 5, 6, 0, 0);
    /* a gradient through an extent that has room for more windows than there are */
    EXPECT(gradient(soma_square(soma_unwindow(w, 0, 9, 2, 1)), x), 0, 2, 16, 6, 32, 10, 12);
}

/* ---- what the compiler makes of them ---- */

static int kernel_steps(soma_tensor *const *targets, int n) {
    soma_plan *plan = soma_plan_create(targets, n, NULL);
    if (!plan) fail_msg("%s", soma_last_error(NULL));
    int count = 0;
    for (int i = 0; i < plan->n_steps; i++)
        count += plan->steps[i].kind == STEP_KERNEL;
    soma_plan_destroy(plan);
    return count;
}

static void composed(void **state) {
    (void)state;
    soma_tensor *x = soma_input(NULL, SOMA_F32, SOMA_DIMS(2, 8, 8, 4), "x");
    soma_tensor *w = soma_input(NULL, SOMA_F32, SOMA_DIMS(3, 3, 4, 8), "w");
    soma_tensor *y = soma_conv(x, w, NULL), *g[3];
    assert_int_equal(kernel_steps(&y, 1), 0); /* nothing is padded, so nothing moves */
    soma_tensor *value = soma_sum(soma_square(y), SOMA_ALL_AXES, false), *wrt[2] = {x, w};
    assert_int_equal(soma_grad(value, wrt, 2, g), SOMA_OK);
    assert_int_equal(kernel_steps(g, 2), 0); /* the product pads dy on its way */
    y = soma_max_pool(x, (const int64_t[]){2, 2}, NULL);
    assert_int_equal(soma_grad(soma_sum(soma_square(y), SOMA_ALL_AXES, false), &x, 1, g), SOMA_OK);
    assert_int_equal(kernel_steps(g, 1), 0); /* windows side by side: no overlap to add up */
    y = soma_conv(x, w, &(soma_window_options){.pads = {{1, 1}, {1, 1}}});
    assert_int_equal(soma_grad(soma_sum(soma_square(y), SOMA_ALL_AXES, false), &w, 1, g), SOMA_OK);
    assert_int_equal(kernel_steps((soma_tensor *[]){y, g[0]}, 2), 0);
}

/* ---- errors ---- */

static void bad(soma_status status, soma_tensor *t, const char *expected) {
    assert_null(t);
    assert_int_equal(soma_last_status(NULL), status);
    assert_string_equal(soma_last_error(NULL), expected);
    soma_clear_error(NULL);
}

static soma_tensor *zeros(int rank, const int64_t *shape) {
    return soma_zeros(NULL, SOMA_F32, rank, shape);
}

/* ---- padding ---- */

typedef struct padded_case {
    int rank;
    int64_t x[5], w[5];
    soma_window_options options;
} padded_case;

/* A plan of the result and both gradients; NULL after an error. */
static soma_plan *padded_plan(soma_context *context, const padded_case *c, soma_dtype dtype, bool reference,
                              soma_tensor **targets) {
    soma_graph *graph = soma_graph_create(context);
    soma_tensor *x = soma_input(graph, dtype, c->rank, c->x, "x"), *w = soma_input(graph, dtype, c->rank, c->w, "w");
    soma_tensor *y = soma_conv(x, w, &c->options);
    if (!y) fail_msg("%s", soma_last_error(context));
    soma_tensor *dy = soma_input(graph, dtype, y->rank, y->shape, "dy"), *wrt[] = {x, w};
    targets[0] = y;
    assert_int_equal(soma_grad(soma_sum(soma_mul(y, dy), SOMA_ALL_AXES, false), wrt, 2, targets + 1), SOMA_OK);
    soma_plan *plan = soma_plan_create(targets, 3, &(soma_plan_options){.reference = reference});
    if (!plan) fail_msg("%s", soma_last_error(context));
    soma_tensor *given[] = {x, w, dy};
    for (int i = 0; i < 3; i++) {
        soma_tensor *values = numbers(NULL, dtype, given[i]->rank, given[i]->shape, i);
        assert_int_equal(soma_plan_bind(plan, given[i], soma_data(values)), SOMA_OK);
    }
    assert_int_equal(soma_plan_run(plan), SOMA_OK);
    return plan;
}

/* Winograd's transforms round. */
static bool transforms(const soma_plan *plan) {
    for (int k = 0; k < plan->n_steps; k++)
        if (plan->steps[k].kind == STEP_CONTRACT && plan->steps[k].as.contract->image->winograd.on) return true;
    return false;
}

static bool near(soma_dtype dtype, int64_t n, const void *a, const void *b, double tolerance) {
    double most = 0;
    bool all = true;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs(element_get(dtype, b, i)));
    for (int64_t i = 0; i < n; i++)
        all = all && fabs(element_get(dtype, a, i) - element_get(dtype, b, i)) <= tolerance * most;
    return all;
}

/* No step pads, and every element is the reference plan's, on any number of threads. The numbers are quarters, so sums
 * are exact in any order. */
static void padding_is_not_there(void **state) {
    (void)state;
    static const padded_case cases[] = {
        {4, {2, 9, 7, 32}, {3, 3, 32, 5}, {.pads = {{1, 1}, {1, 1}}}},
        {4, {1, 5, 30, 33}, {3, 3, 33, 40}, {.pads = {{1, 1}, {1, 1}}}},
        {4, {3, 8, 9, 32}, {3, 4, 32, 3}, {.strides = {2, 2}, .pads = {{1, 1}, {2, 1}}}},
        {4, {2, 6, 7, 32}, {3, 2, 32, 17}, {.dilation = {2, 3}, .pads = {{2, 2}, {3, 0}}}},
        {4, {2, 4, 4, 34}, {5, 5, 34, 2}, {.pads = {{4, 4}, {3, 4}}}},
        {4, {2, 4, 6, 32}, {1, 3, 32, 9}, {.pads = {{0, 0}, {2, 0}}}},
        {4, {2, 5, 6, 32}, {3, 1, 32, 9}, {.pads = {{1, 1}, {0, 0}}}},
        {3, {2, 40, 32}, {5, 32, 6}, {.strides = {3}, .pads = {{2, 2}}}},
        {5, {2, 4, 3, 5, 32}, {3, 2, 3, 32, 4}, {.pads = {{1, 1}, {1, 0}, {1, 1}}}},
        {4, {3, 33, 37, 3}, {3, 3, 3, 16}, {.pads = {{1, 1}, {1, 1}}}}, /* many tiles for what is made once */
        {4, {5, 31, 24, 16}, {3, 3, 16, 32}, {.strides = {2, 2}, .pads = {{0, 1}, {0, 1}}}},
        {4, {1, 23, 61, 5}, {5, 5, 5, 75}, {.strides = {2, 3}, .pads = {{2, 2}, {2, 1}}}}, /* several panels */
        {4, {9, 17, 17, 7}, {3, 3, 7, 33}, {.strides = {2, 2}, .pads = {{1, 1}, {1, 1}}}}, /* deep: dw in parts */
        {3, {1, 5000, 1}, {9, 1, 8}, {.pads = {{4, 4}}}},                                  /* one long row */
        /* columns that are whole vectors: tiles leave out what is padding */
        {4, {3, 13, 21, 16}, {3, 3, 16, 32}, {.strides = {2, 2}, .pads = {{1, 1}, {1, 1}}}},
        {4, {3, 16, 29, 16}, {3, 3, 16, 32}, {.strides = {2, 2}, .pads = {{1, 1}, {1, 1}}}},
        {4, {2, 7, 33, 20}, {5, 5, 20, 48}, {.strides = {1, 2}, .pads = {{2, 2}, {3, 2}}}},
        {4, {2, 8, 8, 32}, {3, 3, 32, 64}, {.strides = {3, 3}, .pads = {{1, 2}, {2, 1}}}},
        {4, {2, 2, 4, 16}, {5, 7, 16, 32}, {.pads = {{4, 4}, {6, 6}}}}, /* windows of padding alone, rows in part */
        {4, {2, 3, 2, 24}, {3, 9, 24, 16}, {.strides = {2, 1}, .pads = {{5, 4}, {8, 8}}}},
        {4, {2, 9, 6, 24}, {3, 3, 24, 16}, {.strides = {2, 1}, .dilation = {3, 1}, .pads = {{3, 2}, {1, 1}}}},
        {4, {2, 9, 6, 24}, {3, 3, 24, 16}, {.strides = {2, 1}, .dilation = {1, 2}, .pads = {{1, 1}, {2, 2}}}},
        {3, {3, 40, 32}, {5, 32, 32}, {.strides = {3}, .pads = {{2, 4}}}},
        {3, {1, 40, 32}, {5, 32, 80}, {.pads = {{7, 4}}}},
        {4, {2, 5, 6, 32}, {3, 1, 32, 16}, {.strides = {2, 1}, .pads = {{1, 1}, {0, 0}}}},
        {4, {2, 5, 37, 32}, {1, 4, 32, 16}, {.pads = {{0, 0}, {3, 2}}}},
        {4, {1, 10, 30, 1}, {8, 9, 1, 96}, {.strides = {3, 2}, .pads = {{4, 3}, {4, 5}}}},
        {4, {2, 9, 9, 48}, {4, 4, 48, 160}, {.strides = {2, 2}, .pads = {{1, 1}, {1, 1}}}},
    };
    int levels = 0;
    for (const cpu_kernels *level; (level = cpu_level(levels)) != NULL; levels++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const soma_dtype dtype = i % 2 ? SOMA_F64 : SOMA_F32;
            soma_context *context =
                soma_context_create(&(soma_context_options){.isa = level->name, .threads = 1 + (int)i % 3});
            soma_tensor *targets[2][3];
            soma_plan *plan = padded_plan(context, &cases[i], dtype, false, targets[0]);
            soma_plan *reference = padded_plan(NULL, &cases[i], dtype, true, targets[1]);
            for (int k = 0; k < plan->n_steps; k++)
                if (plan->steps[k].kind == STEP_KERNEL) fail_msg("case %d: %s", (int)i, plan->steps[k].text);
            for (int k = 0; k < 3; k++) {
                const double rounding = !transforms(plan) ? 0 : dtype == SOMA_F64 ? 1e-14 : 5e-6;
                if (!near(dtype, soma_size(targets[0][k]), soma_plan_output(plan, k), soma_plan_output(reference, k),
                          rounding))
                    fail_msg("%s, case %d: %s differs", level->name, (int)i, (const char *[]){"y", "dx", "dw"}[k]);
            }
            soma_plan_destroy(plan);
            soma_plan_destroy(reference);
            soma_graph_destroy(targets[0][0]->graph);
            soma_graph_destroy(targets[1][0]->graph);
            soma_context_destroy(context);
        }
    }
    assert_true(levels > 0);
}

static void errors(void **state) {
    (void)state;
    soma_tensor *x = zeros(SOMA_DIMS(2, 7, 3)), *v = zeros(SOMA_DIMS(5)), *w = zeros(SOMA_DIMS(3, 3, 4));
    soma_tensor *deep = zeros(SOMA_DIMS(1, 1, 1, 1, 1, 1, 1, 1));
    bad(SOMA_SHAPE, soma_window(x, 3, 2, 1, 1), "[window] axis 3 is out of range for shape (2,7,3)");
    bad(SOMA_SHAPE, soma_window(x, 1, 4, 1, 3), "[window] 4 elements, one in 3, do not fit axis 1 of (2,7,3)");
    bad(SOMA_SHAPE, soma_window(x, 1, 2, 0, 1), "[window] size 2, stride 0 and dilation 1: each must be at least 1");
    bad(SOMA_SHAPE, soma_window(x, 1, INT64_MAX, 1, INT64_MAX),
        "[window] 9223372036854775807 elements, one in 9223372036854775807, do not fit axis 1 of (2,7,3)");
    bad(SOMA_SHAPE, soma_window(deep, 0, 1, 1, 1),
        "[window] (1,1,1,1,1,1,1,1) has 8 axes: there is no room for one more");
    bad(SOMA_SHAPE, soma_unwindow(x, 2, 9, 1, 1), "[unwindow] axes 2 and 3 of (2,7,3) are not there");
    bad(SOMA_SHAPE, soma_unwindow(x, 1, 8, 1, 1),
        "[unwindow] axes 1 and 2 of (2,7,3), by strides 1 and 1, do not fit 8 elements");
    bad(SOMA_SHAPE, soma_unwindow(x, 1, 9, -1, 1),
        "[unwindow] extent 9, stride -1 and dilation 1: each must be at least 1");
    bad(SOMA_DTYPE, soma_unwindow(soma_greater(x, x), 0, 9, 1, 1),
        "[unwindow] bool does not add up: soma_cast it first");
    bad(SOMA_SHAPE, soma_conv(v, w, NULL),
        "[conv] x is (batch, one to three axes of places, channels) and w has as many axes: (5,) and rank 3 are given");
    bad(SOMA_SHAPE, soma_conv(x, zeros(SOMA_DIMS(3, 2, 4)), NULL),
        "[conv] (2,7,3) by (3,2,4): w takes 2 channels a group, x has 3");
    bad(SOMA_SHAPE, soma_conv(x, w, &(soma_window_options){.groups = 2}),
        "[conv] (2,7,3) by (3,3,4): 2 groups do not divide 3 and 4 channels");
    bad(SOMA_SHAPE, soma_conv(x, w, &(soma_window_options){.dilation = {4}}),
        "[conv] axis 1 of (2,7,3) has 7 elements with padding: a window of 3 by dilation 4 does not fit");
    bad(SOMA_INVALID, soma_conv(x, w, &(soma_window_options){.strides = {-1}}),
        "[conv] axis 1: size 3, stride -1, dilation 1 must be at least 1, padding 0 and 0 at least 0, all below 2^31");
    bad(SOMA_SHAPE, soma_conv_transpose(x, w, NULL),
        "[conv_transpose] (2,7,3) by (3,3,4): w (kernel..., out / groups, in) takes 4 channels in 1 groups");
    bad(SOMA_SHAPE, soma_conv_transpose(x, zeros(SOMA_DIMS(3, 4, 3)), &(soma_window_options){.pads = {{5, 4}}}),
        "[conv_transpose] axis 1 of (2,7,3): padding leaves nothing of 9 elements");
    bad(SOMA_SHAPE, soma_depthwise_conv(x, zeros(SOMA_DIMS(3, 2, 1)), NULL),
        "[depthwise_conv] (2,7,3) by (3,2,1): w is (kernel..., in, multiplier), one group a channel");
    bad(SOMA_SHAPE, soma_max_pool(x, (const int64_t[]){8}, NULL),
        "[max_pool] axis 1 of (2,7,3): a window that spans 8 elements does not fit, or padding of 0 fills one alone");
    bad(SOMA_SHAPE, soma_average_pool(x, (const int64_t[]){2}, &(soma_window_options){.pads = {{2, 0}}}),
        "[average_pool] axis 1 of (2,7,3): a window that spans 2 elements does not fit, or padding of 2 fills one "
        "alone");
    assert_null(soma_conv(NULL, w, NULL));
    assert_null(soma_max_pool(NULL, (const int64_t[]){2}, NULL));
    assert_null(soma_unwindow(NULL, 0, 1, 1, 1));
    assert_int_equal(soma_last_status(NULL), SOMA_OK);
}

static int forget(void **state) {
    (void)state;
    soma_clear_error(NULL);
    soma_graph_reset(NULL);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_values),
        cmocka_unit_test_teardown(pools, forget),
        cmocka_unit_test_teardown(bias_and_relu_before_a_max_pool, forget),
        cmocka_unit_test_teardown(windows, forget),
        cmocka_unit_test_teardown(composed, forget),
        cmocka_unit_test_teardown(padding_is_not_there, forget),
        cmocka_unit_test_teardown(errors, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
