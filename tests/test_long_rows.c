/* Programs over rows of any length: against the reference plan, the same bits for a row alone and among others, with
 * any number of threads, and where results are stored past the caches. Rests on the public API. Lengths are those at
 * which rows go through a program in another way: several at once, one by one, piece by piece. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <soma/soma.h>

#include "cpu/cpu.h"
#include "cpu/reference/element.h"

enum { TARGETS = 7, ROWS = 35 };

static soma_dtype type;

typedef struct rows {
    int64_t n, columns;
    void *x, *scale;
    int64_t *labels;
} rows;

typedef struct results {
    void *data[TARGETS];
    int64_t elements[TARGETS];
    soma_dtype dtype[TARGETS];
} results;

static rows make(int64_t n, int64_t columns) {
    rows r = {n, columns, NULL, NULL, NULL};
    r.x = malloc((size_t)(n * columns) * soma_dtype_size(type));
    r.scale = malloc((size_t)columns * soma_dtype_size(type));
    r.labels = malloc((size_t)n * sizeof *r.labels);
    assert_true(r.x && r.scale && r.labels);
    uint32_t state = 3;
    for (int64_t i = 0; i < n * columns; i++)
        element_set(type, r.x, i, (double)((state = state * 1664525u + 1013904223u) >> 8) / 2097152.0 - 4);
    for (int64_t i = 0; i < columns; i++)
        element_set(type, r.scale, i, (double)(i % 17) / 8 - 1);
    for (int64_t i = 0; i < n; i++)
        r.labels[i] = i % 5 == 4 ? columns + i : (i * 7919 + columns - 1) % columns; /* some that do not exist */
    return r;
}

static void drop(rows *r) {
    free(r->x), free(r->scale), free(r->labels);
}

/* The normalized rows, scaled; what a program reads whole rows for in several ways. */
static soma_tensor *normalized(soma_tensor *x, soma_tensor *scale) {
    const int axis = -1;
    soma_tensor *d = soma_sub(x, soma_mean(x, 1, &axis, true));
    soma_tensor *v = soma_mean(soma_square(d), 1, &axis, true);
    return soma_add(soma_mul(soma_mul(d, soma_rsqrt(soma_add_scalar(v, 1e-3))), scale), scale);
}

/* All targets but those of kinds left out; the last one is an update of a variable in its place. */
static void run(const char *isa, int threads, bool reference, const rows *r, int n_targets, results *out) {
    soma_context *home = soma_context_create(&(soma_context_options){.isa = isa, .threads = threads, .seed = 5});
    assert_non_null(home);
    soma_graph *graph = soma_graph_create(home);
    soma_tensor *x = soma_input(graph, type, SOMA_DIMS(r->n, r->columns), "x");
    soma_tensor *scale = soma_input(graph, type, SOMA_DIMS(r->columns), "scale");
    soma_tensor *y = soma_input(graph, SOMA_I64, SOMA_DIMS(r->n), "y");
    const int64_t shape[2] = {r->n, r->columns};
    const int axis = -1;
    soma_variable *kept = soma_variable_create(home, "kept", type, 2, shape);
    assert_int_equal(soma_variable_set(kept, r->x, (size_t)(r->n * r->columns) * soma_dtype_size(type)), SOMA_OK);
    soma_tensor *t[TARGETS + 1];
    t[0] = soma_softmax_axis(x, -1);
    t[1] = normalized(x, scale);
    t[2] = soma_sparse_categorical_crossentropy_from_logits(y, x);
    assert_int_equal(soma_grad(soma_sum(t[2], SOMA_ALL_AXES, false), &x, 1, &t[3]), SOMA_OK);
    t[4] = soma_log_softmax(x, -1);
    t[5] = soma_argmax(x, -1, false);
    t[6] = soma_max(soma_mul(soma_softmax_axis(x, -1), scale), 1, &axis, false);
    t[TARGETS] = soma_assign(kept, soma_softmax_axis(soma_read(graph, kept), -1));
    const bool all = n_targets == TARGETS;
    soma_plan *plan = soma_plan_create(t, n_targets + all, &(soma_plan_options){.reference = reference});
    if (!plan) fail_msg("%s", soma_last_error(home));
    assert_int_equal(soma_plan_bind(plan, x, r->x), SOMA_OK);
    if (n_targets > 1) assert_int_equal(soma_plan_bind(plan, scale, r->scale), SOMA_OK);
    if (n_targets > 2) assert_int_equal(soma_plan_bind(plan, y, r->labels), SOMA_OK);
    for (int run = 0; run < (all ? 1 : 2); run++)
        assert_int_equal(soma_plan_run(plan), SOMA_OK);
    for (int i = 0; i < n_targets; i++) {
        out->elements[i] = soma_size(t[i]);
        out->dtype[i] = i == 5 ? SOMA_I64 : type;
        const size_t bytes = (size_t)out->elements[i] * soma_dtype_size(out->dtype[i]);
        out->data[i] = malloc(bytes);
        memcpy(out->data[i], soma_plan_output(plan, i), bytes);
    }
    if (all) { /* the update against the same function of the input */
        void *now = malloc((size_t)(r->n * r->columns) * soma_dtype_size(type));
        assert_int_equal(soma_variable_get(kept, now, (size_t)(r->n * r->columns) * soma_dtype_size(type)), SOMA_OK);
        assert_memory_equal(now, out->data[0], (size_t)(r->n * r->columns) * soma_dtype_size(type));
        free(now);
    }
    soma_plan_destroy(plan);
    soma_graph_destroy(graph);
    soma_variable_destroy(kept);
    soma_context_destroy(home);
}

static void forget(results *r, int n) {
    for (int i = 0; i < n; i++)
        free(r->data[i]);
}

/* Rows first .. first+n-1 of a, all of b: the same bits. */
static void expect_same(const results *a, int64_t first, int64_t n_a, const results *b, int64_t n, int n_targets) {
    for (int i = 0; i < n_targets; i++) {
        const size_t each = (size_t)(a->elements[i] / n_a) * soma_dtype_size(a->dtype[i]);
        assert_memory_equal((const char *)a->data[i] + (size_t)first * each, b->data[i], (size_t)n * each);
    }
}

static void check(const char *isa, int64_t columns) {
    rows r = make(ROWS, columns);
    results expected, found, again;
    run(isa, 1, true, &r, TARGETS, &expected);
    run(isa, 1, false, &r, TARGETS, &found);
    const double epsilon = type == SOMA_F64 ? 1e-13 : 2e-5;
    for (int i = 0; i < TARGETS; i++)
        for (int64_t k = 0; k < found.elements[i]; k++) {
            const double want = element_get(found.dtype[i], expected.data[i], k);
            const double got = element_get(found.dtype[i], found.data[i], k);
            if (!(fabs(got - want) <= epsilon * (1 + fabs(want))))
                fail_msg("%s, %d columns, target %d, element %d: %.17g, not %.17g", isa, (int)columns, i, (int)k, got,
                         want);
        }
    for (int threads = 2; threads <= 3; threads++) {
        run(isa, threads, false, &r, TARGETS, &again);
        expect_same(&found, 0, ROWS, &again, ROWS, TARGETS);
        forget(&again, TARGETS);
    }
    static const int64_t some[][2] = {{0, 1}, {17, 1}, {3, 2}, {16, 19}};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        rows part = r;
        part.n = some[i][1];
        part.x = (char *)r.x + (size_t)(some[i][0] * columns) * soma_dtype_size(type);
        part.labels = r.labels + some[i][0];
        run(isa, 1, false, &part, TARGETS, &again);
        expect_same(&found, some[i][0], ROWS, &again, some[i][1], TARGETS);
        forget(&again, TARGETS);
    }
    forget(&found, TARGETS), forget(&expected, TARGETS);
    drop(&r);
}

static void every_length(void **state) {
    (void)state;
    static const int64_t lengths[] = {1, 2, 3, 7, 10, 16, 17, 33, 64, 65, 127, 1000, 2047, 2048, 2049, 3001, 4112};
    const cpu_kernels *level;
    for (int i = 0; (level = cpu_level(i)) != NULL; i++)
        for (int wide = 0; wide < 2; wide++)
            for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
                type = wide ? SOMA_F64 : SOMA_F32;
                check(level->name, lengths[k]);
            }
}

/* 16 MB and more: softmax alone and with the normalization, row by row as in a plan of few rows. */
static void past_the_caches(void **state) {
    (void)state;
    static const int64_t lengths[] = {10, 1000, 4097};
    const cpu_kernels *level;
    type = SOMA_F32;
    for (int i = 0; (level = cpu_level(i)) != NULL; i++)
        for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
            rows r = make(((int64_t)1 << 22) / lengths[k] + 7, lengths[k]);
            results all, few;
            const int64_t n = r.n / 5;
            run(level->name, 1 + (int)k, false, &r, 2, &all);
            for (int64_t first = 0; first < r.n; first += n) {
                rows part = r;
                part.n = r.n - first < n ? r.n - first : n;
                part.x = (char *)r.x + first * r.columns * 4;
                run(level->name, 1, false, &part, 2, &few);
                expect_same(&all, first, r.n, &few, part.n, 2);
                forget(&few, 2);
            }
            forget(&all, 2);
            drop(&r);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_length), cmocka_unit_test(past_the_caches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
