/* Plans of sizes that the random graphs seldom reach: products in blocks, reductions in chunks, steps that outgrow
 * their registers. Rests on the public API. All numbers are whole and small, so every result must be exact, at every
 * instruction set and with any number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <soma/ops.h>
#include <soma/plan.h>

#include "cpu/cpu.h"
#include "cpu/reference/element.h"

enum { TARGETS = 4, INPUTS = 4 };

/* What a case builds, in a graph of its own. */
typedef struct scene {
    soma_graph *graph;
    soma_dtype dtype;
    soma_tensor *inputs[INPUTS], *targets[TARGETS];
    void *data[INPUTS];
    int n_inputs, n_targets;
} scene;

typedef struct test_case {
    const char *name;
    void (*build)(scene *s, const int64_t *sizes);
    int64_t sizes[4];
} test_case;

static soma_tensor *input(scene *s, int rank, const int64_t *shape) {
    int i = s->n_inputs++;
    soma_tensor *t = s->inputs[i] = soma_input(s->graph, s->dtype, rank, shape, "x");
    s->data[i] = malloc((size_t)soma_size(t) * soma_dtype_size(s->dtype) + 1);
    for (int64_t k = 0; k < soma_size(t); k++)
        element_set(s->dtype, s->data[i], k, (double)((k * 7 + k / 11 * 5 + i) % 5 - 2));
    return t;
}

static void target(scene *s, soma_tensor *t) {
    assert_non_null(t);
    s->targets[s->n_targets++] = t;
}

/* ---- the cases ---- */

static void build_product(scene *s, const int64_t *n) {
    target(s, soma_matmul(input(s, SOMA_DIMS(n[0], n[1])), input(s, SOMA_DIMS(n[1], n[2]))));
}

static void build_left_transposed(scene *s, const int64_t *n) {
    soma_tensor *a = soma_transpose(input(s, SOMA_DIMS(n[1], n[0])), NULL);
    target(s, soma_matmul(a, input(s, SOMA_DIMS(n[1], n[2]))));
}

static void build_right_transposed(scene *s, const int64_t *n) {
    soma_tensor *b = soma_transpose(input(s, SOMA_DIMS(n[2], n[1])), NULL);
    target(s, soma_matmul(input(s, SOMA_DIMS(n[0], n[1])), b));
}

static void build_batch(scene *s, const int64_t *n) {
    soma_tensor *a = input(s, SOMA_DIMS(n[3], n[0], n[1])), *b = input(s, SOMA_DIMS(n[3], n[1], n[2]));
    target(s, soma_matmul(a, b));
    target(s, soma_matmul(a, soma_slice(b, "0"))); /* one for all */
}

/* Elements that no stride can walk: every other row and column. */
static void build_strided(scene *s, const int64_t *n) {
    soma_tensor *a = soma_slice(input(s, SOMA_DIMS(2 * n[0], 2 * n[1])), "::2, ::-2");
    soma_tensor *b = soma_slice(input(s, SOMA_DIMS(2 * n[1], 2 * n[2])), "::-2, ::2");
    target(s, soma_matmul(a, b));
    target(s, soma_matmul(soma_transpose(a, NULL), a));
}

/* Windows of size x size over images as the rows of a matrix, (images * places * places, size * size * channels). */
static soma_tensor *window_rows(soma_tensor *x, int64_t size, int64_t stride, int64_t dilation) {
    x = soma_window(soma_window(x, 2, size, stride, dilation), 1, size, stride, dilation);
    const int64_t *shape = soma_shape(x), rows = shape[0] * shape[1] * shape[3];
    x = soma_transpose(x, (const int[]){0, 1, 3, 2, 4, 5});
    return soma_reshape(x, SOMA_DIMS(rows, -1));
}

/* A convolution and what its gradients are, with and without an epilogue. */
static void windows(scene *s, const int64_t *n, int64_t size, int64_t stride, int64_t dilation) {
    soma_tensor *rows = window_rows(input(s, SOMA_DIMS(n[0], n[1], n[1], n[2])), size, stride, dilation);
    const int64_t places = soma_shape(rows)[0], depth = soma_shape(rows)[1];
    soma_tensor *y = soma_matmul(rows, input(s, SOMA_DIMS(depth, n[3]))), *dy = input(s, SOMA_DIMS(places, n[3]));
    target(s, y);
    target(s, soma_maximum(soma_sub(y, dy), soma_scalar(s->graph, s->dtype, 0)));
    target(s, soma_matmul(soma_transpose(rows, NULL), dy));
    target(s, soma_add_scalar(soma_matmul(soma_transpose(rows, NULL), soma_add_scalar(dy, 1)), 2));
}

static void build_windows(scene *s, const int64_t *n) {
    windows(s, n, 3, 1, 1);
}

static void build_wide_windows(scene *s, const int64_t *n) {
    windows(s, n, 2, 2, 3);
}

/* A kernel turned round, and windows on the right. */
static void build_turned(scene *s, const int64_t *n) {
    soma_tensor *rows = window_rows(input(s, SOMA_DIMS(n[0], n[1], n[1], n[2])), 3, 1, 1);
    soma_tensor *w = soma_slice(input(s, SOMA_DIMS(3, 3, n[3], n[2])), "::-1, ::-1");
    w = soma_transpose(w, (const int[]){0, 1, 3, 2});
    target(s, soma_matmul(rows, soma_reshape(w, SOMA_DIMS(9 * n[2], n[3]))));
    target(s, soma_matmul(input(s, SOMA_DIMS(5, soma_shape(rows)[0])), rows));
    target(s, soma_matmul(input(s, SOMA_DIMS(5, 9 * n[2])), soma_transpose(rows, NULL)));
}

/* Groups of channels: a batch of products, each with many rows of its own. */
static void build_groups(scene *s, const int64_t *n) {
    soma_tensor *x = input(s, SOMA_DIMS(n[0], n[1], 3 * n[2]));
    x = soma_reshape(soma_window(x, 1, 3, 1, 1), SOMA_DIMS(n[0], n[1] - 2, 3, 3, n[2]));
    x = soma_transpose(x, (const int[]){3, 0, 1, 2, 4});
    x = soma_reshape(x, SOMA_DIMS(3, n[0] * (n[1] - 2), 3 * n[2]));
    soma_tensor *y = soma_matmul(x, input(s, SOMA_DIMS(3, 3 * n[2], n[3])));
    target(s, y);
    target(s, soma_matmul(soma_transpose(x, (const int[]){0, 2, 1}), soma_add_scalar(y, 0)));
}

/* Bias, residual and a gate while the tile is hot; the plain product as well. */
static void build_epilogue(scene *s, const int64_t *n) {
    soma_tensor *y = soma_matmul(input(s, SOMA_DIMS(n[0], n[1])), input(s, SOMA_DIMS(n[1], n[2])));
    soma_tensor *z = soma_add(y, input(s, SOMA_DIMS(n[2])));
    z = soma_maximum(soma_sub(z, input(s, SOMA_DIMS(n[0], n[2]))), soma_scalar(s->graph, s->dtype, 0));
    target(s, y);
    target(s, z);
    target(s, soma_greater(z, y));
}

static void build_sums(scene *s, const int64_t *n) {
    soma_tensor *x = input(s, SOMA_DIMS(n[0], n[1], n[2]));
    soma_tensor *sum = soma_sum(soma_mul(x, x), SOMA_AXES(1), false);
    target(s, soma_add_scalar(soma_neg(sum), 3));
    target(s, soma_max(x, SOMA_AXES(1), true));
    target(s, soma_min(soma_abs(x), SOMA_AXES(1), false));
    target(s, soma_prod(soma_add_scalar(soma_sign(soma_abs(x)), 0), SOMA_AXES(1), false));
}

static void build_all(scene *s, const int64_t *n) {
    soma_tensor *x = input(s, SOMA_DIMS(n[0], n[1]));
    target(s, soma_sum(x, SOMA_ALL_AXES, false));
    target(s, soma_max(soma_mul_scalar(x, -3), SOMA_ALL_AXES, false));
    target(s, soma_argmax(soma_reshape(x, SOMA_DIMS(-1)), 0, false));
    target(s, soma_sub(x, soma_sum(x, SOMA_AXES(0), true)));
}

static soma_tensor *clip(soma_tensor *x) {
    soma_tensor *one = soma_scalar(soma_tensor_graph(x), soma_tensor_dtype(x), 1);
    return soma_maximum(soma_minimum(x, one), soma_neg(one));
}

/* A cell of two gates over some steps, and all its slopes: what its steps make side by side is an operand on both
 * sides, whole and in parts, and summed over rows. */
static void build_recurrent(scene *s, const int64_t *n) {
    enum { STEPS = 3 };
    const int64_t batch = n[0], units = n[1], features = n[2];
    soma_tensor *x = input(s, SOMA_DIMS(STEPS, batch, features)), *w[3], *slopes[3], *h = NULL;
    w[0] = input(s, SOMA_DIMS(features, 2 * units));
    w[1] = input(s, SOMA_DIMS(units, 2 * units));
    w[2] = input(s, SOMA_DIMS(2 * units));
    soma_tensor *all = soma_add(soma_matmul(x, w[0]), w[2]);
    for (int64_t t = 0; t < STEPS; t++) {
        soma_tensor *z = soma_squeeze(soma_slice_axis(all, 0, t, t + 1, 1), 0);
        if (h) z = soma_add(z, soma_matmul(h, w[1]));
        h = soma_mul(clip(soma_slice_axis(z, 1, 0, units, 1)), clip(soma_slice_axis(z, 1, units, 2 * units, 1)));
    }
    assert_int_equal(soma_grad(soma_sum(h, SOMA_ALL_AXES, false), w, 3, slopes), SOMA_OK);
    target(s, h);
    for (int i = 0; i < 3; i++)
        target(s, slopes[i]);
}

/* Many values that all live to the end: more than there are registers. */
static void build_crowd(scene *s, const int64_t *n) {
    soma_tensor *x = input(s, SOMA_DIMS(n[0], n[1])), *y = input(s, SOMA_DIMS(n[0], n[1])), *kept[200], *sum = x;
    for (int64_t i = 0; i < n[2]; i++)
        kept[i] = soma_maximum(soma_add_scalar(x, (double)(i % 7)),
                               soma_sub(y, soma_slice_axis(x, 0, i % n[0], i % n[0] + 1, 1)));
    for (int64_t i = n[2] - 1; i >= 0; i--)
        sum = soma_minimum(soma_add(sum, kept[i]), soma_add_scalar(kept[i], 5));
    target(s, sum);
    for (int64_t i = 0; i < n[2]; i++)
        sum = soma_add(sum, kept[i]);
    target(s, sum);
    target(s, soma_sum(sum, SOMA_AXES(1), false));
}

/* Places as numbers, seen in ways that no stride can walk. */
static void build_counting(scene *s, const int64_t *n) {
    soma_tensor *i = soma_arange(s->graph, s->dtype, 0, (double)(n[0] * n[1]), 1);
    soma_tensor *grid = soma_transpose(soma_reshape(i, SOMA_DIMS(n[0], n[1])), NULL);
    soma_tensor *flat = soma_reshape(grid, SOMA_DIMS(n[0] * n[1]));
    target(s, flat);
    target(s, soma_add(flat, input(s, SOMA_DIMS(n[0] * n[1]))));
    target(s, soma_slice(soma_arange(s->graph, SOMA_I64, 5, 50, 3), "::-2"));
}

/* Rows of an array that outgrows the caches, each with its own number, beside what all rows read. */
static void build_far(scene *s, const int64_t *n) {
    soma_tensor *x = input(s, SOMA_DIMS(n[0], n[1])), *top = soma_max(x, SOMA_AXES(1), true);
    soma_tensor *places = soma_arange(s->graph, s->dtype, 0, (double)n[1], 1);
    target(s, soma_add(soma_mul(soma_sub(x, top), input(s, SOMA_DIMS(n[1]))), places));
    target(s, soma_sum(soma_sub(top, x), SOMA_AXES(1), false));
}

/* A scale and a shift for each channel, a condition that is kept as a byte, and sums over rows that look at both: piece
 * by piece, of whole rows. */
static void build_channels(scene *s, const int64_t *n) {
    soma_tensor *x = input(s, SOMA_DIMS(n[0], n[1])), *zero = soma_scalar(s->graph, s->dtype, 0);
    soma_tensor *y = soma_add(soma_mul(x, input(s, SOMA_DIMS(n[1]))), input(s, SOMA_DIMS(n[1])));
    soma_tensor *kept = soma_greater(y, zero), *z = soma_where(kept, y, zero);
    target(s, kept);
    target(s, z);
    target(s, soma_sum(soma_mul(soma_add(z, input(s, SOMA_DIMS(n[1]))), x), SOMA_AXES(0), false));
    target(s, soma_max(soma_where(kept, x, y), SOMA_AXES(0), false));
}

/* A few rows stored behind many. */
static void build_far_part(scene *s, const int64_t *n) {
    soma_tensor *many = soma_add_scalar(input(s, SOMA_DIMS(n[0], n[1])), 1), *few = input(s, SOMA_DIMS(n[2], n[1]));
    soma_tensor *all = soma_concat((soma_tensor *[]){many, soma_mul(few, few)}, 2, 0);
    target(s, all);
}

static const test_case cases[] = {
    {"product in blocks of k", build_product, {60, 2100, 150, 0}},
    {"product in blocks", build_product, {301, 1030, 131, 0}},
    {"tall product", build_product, {2001, 101, 150, 0}},
    {"product just below blocks", build_product, {29, 1024, 129, 0}},
    {"flat product", build_product, {3, 300, 1000, 0}},
    {"column product", build_product, {1000, 1, 77, 0}},
    {"product of nothing", build_product, {17, 0, 40, 0}},
    {"transposed on the left", build_left_transposed, {301, 1030, 131, 0}},
    {"transposed on the right", build_right_transposed, {301, 1030, 131, 0}},
    {"batch in blocks", build_batch, {33, 1030, 140, 3}},
    {"small batch", build_batch, {5, 7, 13, 40}},
    {"strided", build_strided, {37, 45, 130, 0}},
    {"strided in blocks", build_strided, {40, 1030, 131, 0}},
    {"deep product in parts", build_product, {9, 20011, 33, 0}},
    {"deep product of few columns", build_left_transposed, {31, 60000, 3, 0}},
    {"deep epilogue in parts", build_epilogue, {40, 9001, 70, 0}},
    {"deep batch", build_batch, {20, 5000, 17, 3}},
    {"windows", build_windows, {5, 28, 1, 32}},
    {"windows of few places", build_windows, {7, 5, 33, 70}},
    {"windows of many", build_windows, {40, 12, 4, 40}}, /* so few channels are not transformed, which would round */
    {"wide windows", build_wide_windows, {6, 15, 3, 10}},
    {"wide windows of one", build_wide_windows, {9, 14, 1, 5}},
    {"turned kernel", build_turned, {6, 9, 5, 37}},
    {"groups", build_groups, {6, 17, 4, 19}},
    {"deep groups", build_groups, {150, 30, 3, 35}},
    {"epilogue in blocks", build_epilogue, {301, 1030, 131, 0}},
    {"epilogue", build_epilogue, {100, 60, 31, 0}},
    {"epilogue of few columns", build_epilogue, {500, 40, 3, 0}},
    {"long row in chunks", build_sums, {1, 300000, 1, 0}},
    {"long rows", build_sums, {3, 100003, 1, 0}},
    {"columns in chunks", build_sums, {1, 60001, 3, 0}},
    {"many columns", build_sums, {2, 1001, 300, 0}},
    {"wide columns in chunks", build_sums, {1, 2001, 257, 0}},
    {"outer and inner", build_sums, {2, 70001, 2, 0}},
    {"short rows beyond the caches", build_far, {470001, 9, 0, 0}},
    {"rows beyond the caches", build_far, {42001, 101, 0, 0}},
    {"long rows beyond the caches", build_far, {43, 98765, 0, 0}},
    {"a few rows behind many", build_far_part, {65537, 67, 2, 0}},
    {"everything", build_all, {700, 301, 0, 0}},
    {"channels", build_channels, {9001, 16, 0, 0}},
    {"channels of no whole vectors", build_channels, {20011, 33, 0, 0}},
    {"few channels beyond the caches", build_channels, {100003, 3, 0, 0}},
    {"many channels", build_channels, {1001, 600, 0, 0}},
    {"a row of channels", build_channels, {1, 5003, 0, 0}},
    {"recurrent in panels", build_recurrent, {32, 64, 40, 0}},
    {"recurrent of odd sizes", build_recurrent, {37, 45, 7, 0}},
    {"recurrent, one feature", build_recurrent, {17, 32, 1, 0}},
    {"recurrent of few rows", build_recurrent, {2, 96, 5, 0}},
    {"recurrent and deep", build_recurrent, {1100, 16, 33, 0}},
    {"a crowd", build_crowd, {20, 33, 100, 0}},
    {"a larger crowd", build_crowd, {13, 100, 190, 0}},
    {"counting", build_counting, {33, 100, 0, 0}},
};

/* ---- running them ---- */

static scene open_scene(const test_case *c, soma_context *context, soma_dtype dtype) {
    scene s = {.graph = soma_graph_create(context), .dtype = dtype};
    c->build(&s, c->sizes);
    return s;
}

static void close_scene(scene *s) {
    for (int i = 0; i < s->n_inputs; i++)
        free(s->data[i]);
    soma_graph_destroy(s->graph);
}

static soma_plan *run(const char *name, const scene *s, bool reference) {
    soma_plan *plan = soma_plan_create(s->targets, s->n_targets, &(soma_plan_options){.reference = reference});
    for (int i = 0; plan && i < s->n_inputs; i++)
        assert_int_equal(soma_plan_bind(plan, s->inputs[i], s->data[i]), SOMA_OK);
    if (!plan || soma_plan_run(plan) != SOMA_OK)
        fail_msg("%s: %s", name, soma_last_error(soma_graph_context(s->graph)));
    return plan;
}

static void check(const char *name, const scene *s, const soma_plan *expected) {
    soma_plan *plan = run(name, s, false);
    const soma_context *c = soma_graph_context(s->graph);
    for (int i = 0; i < s->n_targets; i++) {
        soma_dtype made = soma_tensor_dtype(s->targets[i]);
        for (int64_t k = 0; k < soma_size(s->targets[i]); k++) {
            double x = element_get(made, soma_plan_output(plan, i), k);
            double y = element_get(made, soma_plan_output(expected, i), k);
            if (x != y)
                fail_msg("%s, %s, %s, %d threads: target %d, element %lld is %.9g, not %.9g", name,
                         soma_dtype_name(s->dtype), soma_isa(c), soma_threads(c), i, (long long)k, x, y);
        }
    }
    soma_plan_destroy(plan);
}

static void sizes_are_exact(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int k = 0; k < 2; k++) {
            soma_dtype dtype = k ? SOMA_F64 : SOMA_F32;
            soma_context *first = soma_context_create(&(soma_context_options){.threads = 1});
            scene s = open_scene(&cases[i], first, dtype);
            soma_plan *expected = run(cases[i].name, &s, true);
            for (int level = 0; cpu_level(level); level++)
                for (int threads = level == 0 ? 1 : 3; threads <= 3; threads += 2) {
                    soma_context_options options = {.threads = threads, .isa = cpu_level(level)->name};
                    soma_context *context = soma_context_create(&options);
                    scene other = open_scene(&cases[i], context, dtype);
                    check(cases[i].name, &other, expected);
                    close_scene(&other);
                    soma_context_destroy(context);
                }
            soma_plan_destroy(expected);
            close_scene(&s);
            soma_context_destroy(first);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
