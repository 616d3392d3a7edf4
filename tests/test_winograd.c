/* Convolutions by Winograd's transforms, and their gradients: that the plan takes them, and that their values are the
 * reference's, whose loops know nothing of transforms; at every instruction set, in both real types.
 * Rests on plan/steps.h for what a plan is made of. Odd extents, uneven padding, rows of more tiles than a strip has,
 * channels that are no whole vectors, several panels, and epilogues of every form. */
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

#include "cpu/cpu.h"
#include "cpu/reference/element.h"
#include "plan/steps.h"

typedef struct shape {
    int64_t batch, high, wide, in, out, pads[2][2];
} shape;

static const shape shapes[] = {
    {2, 9, 11, 32, 32, {{1, 1}, {1, 1}}},  {3, 8, 8, 33, 35, {{1, 1}, {1, 1}}},   {1, 12, 11, 32, 64, {{0, 0}, {0, 0}}},
    {2, 9, 10, 40, 24, {{2, 0}, {1, 2}}},  {1, 6, 150, 32, 40, {{1, 1}, {1, 1}}}, {5, 8, 8, 64, 33, {{1, 1}, {1, 1}}},
    {1, 9, 263, 33, 70, {{0, 1}, {2, 1}}}, {37, 8, 11, 24, 24, {{1, 0}, {0, 1}}}, {1, 8, 12, 40, 150, {{1, 1}, {1, 1}}},
    {1, 8, 9, 161, 200, {{1, 1}, {1, 1}}},
};

static void *numbers(soma_dtype dtype, int64_t n, uint32_t seed) {
    void *data = malloc((size_t)n * soma_dtype_size(dtype) + 1);
    assert_non_null(data);
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        element_set(dtype, data, i, (double)(seed >> 8) / 8388608.0 - 1);
    }
    return data;
}

static soma_tensor *convolve(soma_tensor *x, soma_tensor *w, const shape *s) {
    soma_window_options o = {.groups = 1};
    memcpy(o.pads, s->pads, sizeof s->pads);
    return soma_conv(x, w, &o);
}

/* Numbers that differ from place to place, so that a gradient shows where each of them went. */
static soma_tensor *vary(soma_tensor *y) {
    soma_tensor *steps = soma_arange(soma_tensor_graph(y), y->dtype, 0, (double)soma_size(y), 1);
    return soma_reshape(soma_sin(steps), y->rank, soma_shape(y));
}

/* What follows the convolution in its step: nothing, maps, rows as wholes, a place in a larger array. */
enum { PLAIN, MAPS, ROWS, PLACED, FORMS };

static soma_tensor *followed(soma_tensor *y, int form) {
    const int64_t none[4] = {0}, some[4] = {0, 1, 2, 0};
    if (form == MAPS) return soma_add(soma_relu(y), vary(y));
    if (form == ROWS) return soma_softmax(y);
    if (form == PLACED) return soma_pad(soma_tanh(y), some, none, 0);
    return y;
}

static const char *level_name;

static void compare(const shape *s, int form, int target, const soma_tensor *t, const void *got, const void *wanted) {
    double most = 0, tolerance = soma_tensor_dtype(t) == SOMA_F64 ? 1e-13 : 2e-5;
    for (int64_t i = 0; i < soma_size(t); i++)
        most = fmax(most, fabs(element_get(soma_tensor_dtype(t), wanted, i)));
    assert_true(most > 0);
    for (int64_t i = 0; i < soma_size(t); i++) {
        const double a = element_get(soma_tensor_dtype(t), got, i), b = element_get(soma_tensor_dtype(t), wanted, i);
        if (!(fabs(a - b) <= tolerance * most))
            fail_msg("%s, %s, %d x %d x %d, %d to %d, form %d, target %d: element %d is %.9g, not %.9g", level_name,
                     soma_dtype_name(soma_tensor_dtype(t)), (int)s->batch, (int)s->high, (int)s->wide, (int)s->in,
                     (int)s->out, form, target, (int)i, a, b);
    }
}

static int transformed(const soma_plan *plan) {
    int n = 0;
    for (int i = 0; i < plan->n_steps; i++)
        n += plan->steps[i].kind == STEP_CONTRACT && plan->steps[i].as.contract->image->winograd.on;
    return n;
}

static void check_shape(soma_context *context, soma_dtype dtype, const shape *s, int form) {
    soma_graph *graph = soma_graph_create(context);
    soma_tensor *x = soma_input(graph, dtype, 4, (int64_t[]){s->batch, s->high, s->wide, s->in}, "x");
    soma_tensor *w = soma_input(graph, dtype, 4, (int64_t[]){3, 3, s->in, s->out}, "w"), *targets[3];
    soma_tensor *inside = soma_mul(x, soma_scalar(graph, dtype, 0.5)); /* in the plan's memory */
    targets[0] = followed(convolve(inside, w, s), form);
    soma_tensor *sum = soma_sum(soma_mul(targets[0], vary(targets[0])), SOMA_ALL_AXES, false);
    assert_int_equal(soma_grad(sum, (soma_tensor *[]){x, w}, 2, targets + 1), SOMA_OK);
    void *data[2] = {numbers(dtype, soma_size(x), 1), numbers(dtype, soma_size(w), 2)};
    soma_plan *plans[2];
    for (int i = 0; i < 2; i++) {
        plans[i] = soma_plan_create(targets, 3, &(soma_plan_options){.reference = i == 1});
        if (!plans[i]) fail_msg("%s", soma_last_error(context));
        assert_int_equal(soma_plan_bind(plans[i], x, data[0]), SOMA_OK);
        assert_int_equal(soma_plan_bind(plans[i], w, data[1]), SOMA_OK);
        assert_int_equal(soma_plan_run(plans[i]), SOMA_OK);
    }
    if (transformed(plans[0]) != 3)
        fail_msg("%s, %s, %d x %d: %d of 3 products are transformed", level_name, soma_dtype_name(dtype), (int)s->high,
                 (int)s->wide, transformed(plans[0]));
    for (int i = 0; i < 3; i++)
        compare(s, form, i, targets[i], soma_plan_output(plans[0], i), soma_plan_output(plans[1], i));
    for (int i = 0; i < 2; i++) {
        soma_plan_destroy(plans[i]);
        free(data[i]);
    }
    soma_graph_destroy(graph);
}

static void values(void **state) {
    (void)state;
    const cpu_kernels *level;
    for (int i = 0; (level = cpu_level(i)) != NULL; i++) {
        level_name = level->name;
        soma_context *context =
            soma_context_create(&(soma_context_options){.isa = level->name, .threads = 1 + i % 3, .seed = 1});
        for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
            check_shape(context, k % 2 ? SOMA_F32 : SOMA_F64, &shapes[k], (int)k % FORMS);
        for (int form = 0; form < FORMS; form++) {
            check_shape(context, SOMA_F32, &shapes[1], form);
            check_shape(context, SOMA_F64, &shapes[3], form);
        }
        soma_context_destroy(context);
    }
}

/* Other kernels, strides, dilations, few channels: as before. */
static int count(int64_t size, int64_t in, int64_t out, soma_window_options o) {
    soma_tensor *x = soma_input(NULL, SOMA_F32, 4, (int64_t[]){2, 12, 12, in}, "x");
    soma_tensor *w = soma_input(NULL, SOMA_F32, 4, (int64_t[]){size, size, in / (o.groups ? o.groups : 1), out}, "w");
    soma_tensor *y = soma_conv(x, w, &o);
    soma_plan *plan = soma_plan_create(&y, 1, NULL);
    assert_non_null(plan);
    const int n = transformed(plan);
    soma_plan_destroy(plan);
    return n;
}

static void which(void **state) {
    (void)state;
    assert_int_equal(count(3, 32, 32, (soma_window_options){.groups = 1}), 1);
    assert_int_equal(count(3, 32, 32, (soma_window_options){.pads = {{1, 1}, {1, 1}}}), 1);
    assert_int_equal(count(3, 32, 32, (soma_window_options){.strides = {2, 1}}), 0);
    assert_int_equal(count(3, 32, 32, (soma_window_options){.dilation = {1, 2}}), 0);
    assert_int_equal(count(3, 32, 32, (soma_window_options){.groups = 2}), 0);
    assert_int_equal(count(5, 32, 32, (soma_window_options){.groups = 1}), 0);
    assert_int_equal(count(3, 3, 32, (soma_window_options){.groups = 1}), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(values), cmocka_unit_test(which)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
