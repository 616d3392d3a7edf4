/* Values at the edge through whole plans: NaN, infinities, zeros of both signs, the smallest and the largest numbers.
 * Rests on the public API. Fusing and simplifying must not change what they give: fused steps against the reference,
 * NaN for NaN, sign for sign. Also: what a plan needs it owns. */
#include <float.h>
#include <math.h>
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

static const double edges[] = {0.0,       -0.0,    1.0,      -1.0,    0.5,      -2.5,    NAN,    INFINITY,
                               -INFINITY, FLT_MIN, -FLT_MIN, FLT_MAX, -FLT_MAX, 3.0e-20, 1.0e20, -7.0};
enum { EDGES = sizeof edges / sizeof *edges, PAIRS = EDGES * EDGES, MOST = 64 };

typedef struct cases {
    soma_graph *graph;
    soma_tensor *x, *y, *z; /* all pairs of edges; the edges */
    soma_tensor *targets[MOST];
    const char *names[MOST];
    int n;
} cases;

static void add(cases *c, const char *name, soma_tensor *t) {
    assert_non_null(t);
    assert_true(c->n < MOST);
    c->names[c->n] = name;
    c->targets[c->n++] = t;
}

static void add_functions(cases *c) {
    soma_tensor *z = c->z;
    soma_tensor *(*const unary[])(soma_tensor *) = {soma_neg,   soma_abs,  soma_sign,  soma_square,     soma_exp,
                                                    soma_expm1, soma_tanh, soma_floor, soma_ceil,       soma_sigmoid,
                                                    soma_round, soma_erf,  soma_trunc, soma_reciprocal, soma_softplus};
    static const char *const names[] = {"neg",  "abs",     "sign",  "square", "exp",   "expm1",      "tanh",    "floor",
                                        "ceil", "sigmoid", "round", "erf",    "trunc", "reciprocal", "softplus"};
    for (size_t i = 0; i < sizeof unary / sizeof *unary; i++)
        add(c, names[i], unary[i](z));
    add(c, "sqrt", soma_sqrt(z));
    add(c, "log", soma_log(z));
    add(c, "x * 1 + -0", soma_add(soma_mul_scalar(z, 1), soma_scalar(c->graph, soma_tensor_dtype(z), -0.0)));
    add(c, "x - x", soma_sub(z, z));
    add(c, "x * 0", soma_mul_scalar(z, 0));
    add(c, "x - 0", soma_sub(z, soma_scalar(c->graph, soma_tensor_dtype(z), 0)));
    add(c, "-(-x)", soma_neg(soma_neg(z)));
    add(c, "isnan", soma_isnan(z));
    add(c, "isfinite", soma_isfinite(z));
    add(c, "to bool", soma_cast(z, SOMA_BOOL));
    add(c, "to int32", soma_cast(z, SOMA_I32));
    add(c, "to uint8 and back", soma_cast(soma_cast(z, SOMA_U8), SOMA_F32));
}

static void add_pairs(cases *c) {
    soma_tensor *x = c->x, *y = c->y;
    add(c, "maximum", soma_maximum(x, y));
    add(c, "minimum", soma_minimum(x, y));
    add(c, "x < y", soma_less(x, y));
    add(c, "x >= y", soma_greater_equal(x, y));
    add(c, "x == y", soma_equal(x, y));
    add(c, "x != y", soma_not_equal(x, y));
    add(c, "where", soma_where(soma_greater(x, y), x, soma_neg(y)));
    add(c, "x + y", soma_add(x, y));
    add(c, "x * y", soma_mul(x, y));
    add(c, "x / y", soma_div(x, y));
    add(c, "x / sqrt y", soma_div(x, soma_sqrt(y)));
    add(c, "x rsqrt y", soma_mul(x, soma_rsqrt(y)));
    add(c, "x y + x", soma_add(soma_mul(x, y), x));
    add(c, "x - x y", soma_sub(x, soma_mul(x, y)));
    add(c, "max of rows", soma_max(x, SOMA_AXES(1), false));
    add(c, "min of rows", soma_min(y, SOMA_AXES(1), false));
    add(c, "max of columns", soma_max(x, SOMA_AXES(0), false));
    add(c, "argmax", soma_argmax(y, 1, false));
    add(c, "argmin", soma_argmin(y, 0, false));
    add(c, "sum", soma_sum(x, SOMA_AXES(1), false));
    add(c, "prod", soma_prod(soma_slice(x, ":, :3"), SOMA_AXES(1), false));
    add(c, "softmax", soma_softmax_axis(y, -1));
    add(c, "logsumexp", soma_logsumexp(x, -1, false));
}

static bool same(double got, double expected, double tolerance) {
    if (isnan(expected)) return isnan(got);
    if (isinf(expected) || expected == 0) return got == expected && signbit(got) == signbit(expected);
    return fabs(got - expected) <= tolerance * fabs(expected);
}

static soma_plan *compile(const cases *c, const void *x, const void *y, const void *z, bool reference) {
    soma_plan *plan = soma_plan_create(c->targets, c->n, &(soma_plan_options){.reference = reference});
    assert_non_null(plan);
    assert_int_equal(soma_plan_bind(plan, c->x, x), SOMA_OK);
    assert_int_equal(soma_plan_bind(plan, c->y, y), SOMA_OK);
    assert_int_equal(soma_plan_bind(plan, c->z, z), SOMA_OK);
    assert_int_equal(soma_plan_run(plan), SOMA_OK);
    return plan;
}

static int check(const char *level, soma_dtype dtype) {
    soma_context *context = soma_context_create(&(soma_context_options){.isa = level, .threads = 1});
    cases c = {.graph = soma_graph_create(context)};
    double x[PAIRS], y[PAIRS], z[EDGES]; /* large enough for either dtype */
    int failures = 0;
    c.x = soma_input(c.graph, dtype, SOMA_DIMS(EDGES, EDGES), "x");
    c.y = soma_input(c.graph, dtype, SOMA_DIMS(EDGES, EDGES), "y");
    c.z = soma_input(c.graph, dtype, SOMA_DIMS(EDGES), "z");
    for (int i = 0; i < PAIRS; i++) {
        element_set(dtype, x, i, edges[i / EDGES]);
        element_set(dtype, y, i, edges[i % EDGES]);
    }
    for (int i = 0; i < EDGES; i++)
        element_set(dtype, z, i, edges[i]);
    add_functions(&c);
    add_pairs(&c);
    soma_plan *compiled = compile(&c, x, y, z, false), *reference = compile(&c, x, y, z, true);
    for (int i = 0; i < c.n; i++) {
        soma_dtype made = soma_tensor_dtype(c.targets[i]);
        for (int64_t k = 0; k < soma_size(c.targets[i]); k++) {
            double got = element_get(made, soma_plan_output(compiled, i), k);
            double expected = element_get(made, soma_plan_output(reference, i), k);
            if (same(got, expected, dtype == SOMA_F64 ? 1e-14 : 1e-6)) continue;
            failures++;
            print_error("%s, %s, %s: element %lld is %g, not %g\n", level, soma_dtype_name(dtype), c.names[i],
                        (long long)k, got, expected);
        }
    }
    soma_plan_destroy(compiled);
    soma_plan_destroy(reference);
    soma_graph_destroy(c.graph);
    soma_context_destroy(context);
    return failures;
}

static void edges_pass_unchanged(void **state) {
    (void)state;
    int failures = 0;
    for (int i = 0; cpu_level(i); i++)
        failures += check(cpu_level(i)->name, SOMA_F32) + check(cpu_level(i)->name, SOMA_F64);
    assert_int_equal(failures, 0);
}

/* A plan needs neither the graph nor the arrays that its constants were made of. */
static void plans_outlive_graphs(void **state) {
    (void)state;
    enum { N = 100 };
    float data[N], x[N], expected[N];
    soma_context *c = soma_context_create(&(soma_context_options){.threads = 1});
    for (int reference = 0; reference < 2; reference++) {
        soma_graph *g = soma_graph_create(c);
        for (int i = 0; i < N; i++)
            data[i] = (float)i;
        for (int i = 0; i < N; i++) {
            x[i] = (float)(i % 7);
            expected[i] = x[i] * data[N - 1 - i] + 2;
        }
        soma_tensor *in = soma_input(g, SOMA_F32, SOMA_DIMS(N), "the input"),
                    *other = soma_input(g, SOMA_F32, SOMA_DIMS(N), "other");
        soma_tensor *turned = soma_slice(soma_array_view(g, SOMA_F32, SOMA_DIMS(N), data), "::-1");
        soma_tensor *y = soma_add_scalar(soma_mul(in, turned), 2);
        soma_tensor *noise = soma_random_uniform(g, SOMA_F32, SOMA_DIMS(N), 0, 1, NULL);
        soma_tensor *targets[] = {y, soma_cumsum(noise, 0), soma_exp(other)};
        soma_plan *plan = soma_plan_create(targets, 2, &(soma_plan_options){.reference = reference});
        soma_plan *unbound = soma_plan_create(targets, 3, &(soma_plan_options){.reference = reference});
        assert_non_null(plan);
        assert_int_equal(soma_plan_bind(plan, in, x), SOMA_OK);
        assert_int_equal(soma_plan_bind(plan, other, x), SOMA_OK); /* not needed: no error */
        assert_int_equal(soma_plan_bind(unbound, in, x), SOMA_OK);
        assert_int_equal(soma_plan_bind(plan, y, x), SOMA_INVALID);
        soma_clear_error(c);
        soma_graph_destroy(g);
        memset(data, 0, sizeof data);
        assert_int_equal(soma_plan_run(plan), SOMA_OK);
        assert_memory_equal(soma_plan_output(plan, 0), expected, sizeof expected);
        assert_int_equal(soma_plan_run(unbound), SOMA_INVALID);
        assert_non_null(strstr(soma_last_error(c), "'other'"));
        soma_clear_error(c);
        assert_null(soma_plan_output(plan, 2));
        assert_null(soma_plan_output(plan, -1));
        soma_plan_destroy(plan);
        soma_plan_destroy(unbound);
    }
    soma_context_destroy(c);
}

static void wrong_targets_are_errors(void **state) {
    (void)state;
    soma_context *c = soma_context_create(&(soma_context_options){.threads = 1});
    soma_graph *g = soma_graph_create(c), *other = soma_graph_create(c);
    soma_tensor *targets[] = {soma_scalar(g, SOMA_F32, 1), soma_scalar(other, SOMA_F32, 1)};
    assert_null(soma_plan_create(targets, 2, NULL));
    assert_int_equal(soma_last_status(c), SOMA_INVALID);
    soma_clear_error(c);
    targets[1] = NULL; /* after an error in building: that error stays */
    assert_null(soma_matmul(targets[0], targets[0]));
    char first[512];
    strncpy(first, soma_last_error(c), sizeof first - 1);
    first[sizeof first - 1] = 0;
    assert_null(soma_plan_create(targets, 2, NULL));
    assert_string_equal(soma_last_error(c), first);
    assert_int_equal(soma_plan_run(NULL), SOMA_INVALID);
    soma_plan_destroy(NULL);
    soma_graph_destroy(g);
    soma_graph_destroy(other);
    soma_context_destroy(c);
}

/* A softmax over a row that outgrows the caches, which is added up piece by piece (composed.c): of a row with pieces of
 * nothing but minus infinity, of one with NaN, with infinity, and of one whose end alone counts. */
static void long_rows_of_softmax(void **state) {
    (void)state;
    enum { ROWS = 5, COLUMNS = 81920 + 77 };
    for (int64_t n = COLUMNS - 77; n <= COLUMNS; n += 77) { /* whole pieces, and some */
        soma_graph *g = soma_graph_create(NULL);
        soma_tensor *x = soma_input(g, SOMA_F32, SOMA_DIMS(ROWS, n), "x"), *y = soma_softmax_axis(x, -1);
        float *values = malloc((size_t)(ROWS * n) * sizeof *values);
        assert_non_null(values);
        for (int64_t i = 0; i < ROWS * n; i++)
            values[i] = (float)(i * 7919 % 1009) / 100 - (float)(i / n) * 300;
        for (int64_t i = 0; i < 20000; i++)
            values[n + i] = -INFINITY;
        values[2 * n + n / 2] = NAN;
        values[3 * n + 3] = INFINITY;
        for (int64_t i = 0; i < n - 5; i++)
            values[4 * n + i] -= 1000;
        soma_plan *plan = soma_plan_create(&y, 1, NULL);
        assert_non_null(plan);
        assert_int_equal(soma_plan_bind(plan, x, values), SOMA_OK);
        assert_int_equal(soma_plan_run(plan), SOMA_OK);
        const float *got = soma_plan_output(plan, 0);
        for (int64_t r = 0; r < ROWS; r++) {
            double sum = 0, greatest = -INFINITY;
            const float *row = values + r * n;
            for (int64_t i = 0; i < n; i++)
                greatest = fmax(greatest, (double)row[i]);
            for (int64_t i = 0; i < n; i++)
                sum += exp((double)row[i] - greatest);
            for (int64_t i = 0; i < n; i++) {
                const double want = exp((double)row[i] - greatest) / sum, y_i = (double)got[r * n + i];
                assert_true(r == 2 || r == 3 ? isnan(y_i) : fabs(y_i - want) <= 2e-6 * want + 1e-40);
            }
        }
        soma_plan_destroy(plan);
        soma_graph_destroy(g);
        free(values);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_rows_of_softmax),
        cmocka_unit_test(edges_pass_unchanged),
        cmocka_unit_test(plans_outlive_graphs),
        cmocka_unit_test(wrong_targets_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
