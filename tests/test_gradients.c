/* Gradients of every op, in double: vjp against central differences, projected on random directions.
 * Rests on the ops' samples. With f the sample, t a random tangent and c a random cotangent, <t, vjp(c)> must equal
 * the difference of <f, c> along t. The gradient's own gradient is checked the same way.
 * Gradients run compiled, the differences by the reference: what is compared shares no kernel. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <soma/ops.h>

#include "ops/build.h"
#include "support/samples.h"

enum { SEEDS = 3 };

/* A function of the case's float inputs and how it is projected: value = sum over k of <outputs[k], cotangents[k]>. */
typedef struct projection {
    sample_case *c;
    int n_wrt;
    soma_tensor *wrt[SAMPLE_INPUTS];
    int of[SAMPLE_INPUTS]; /* which input of the case */
    soma_tensor *value;    /* <f, cotangent>, rank 0 */
} projection;

/* <y, numbers drawn from the seed>, as a tensor. */
static soma_tensor *project(soma_tensor *y, uint64_t seed) {
    int64_t size = soma_size(y);
    double *c = malloc((size_t)size * sizeof *c + 1);
    for (int64_t i = 0; i < size; i++)
        c[i] = 2 * sample_unit(seed, (uint64_t)i) - 1;
    soma_tensor *cotangent = soma_array(y->graph, SOMA_F64, y->rank, y->shape, c);
    free(c);
    return soma_sum(soma_mul(y, cotangent), SOMA_ALL_AXES, false);
}

/* False where central differences in double mean nothing: no float input, no float result, or other floats between. */
static bool checkable(const sample_case *c) {
    if (!c->y || c->y->dtype != SOMA_F64 || soma_size(c->y) == 0) return false;
    bool any = false;
    for (int64_t id = 0; id < c->graph->n_nodes; id++) {
        soma_dtype dtype = c->graph->nodes[id]->dtype;
        if (dtype_is_float(dtype) && dtype != SOMA_F64) return false;
    }
    for (int i = 0; i < c->n; i++)
        any = any || (c->xs[i]->dtype == SOMA_F64 && soma_size(c->xs[i]) > 0);
    return any;
}

static double run_scalar(const sample_case *c, soma_tensor *value) {
    double *values = sample_values(c, value, true);
    if (!values) fail_msg("%s", soma_last_error(c->graph->context));
    double result = values[0];
    free(values);
    return result;
}

/* (f(x + h t) - f(x - h t)) / 2h, inputs restored. */
static double difference(projection *p, uint64_t seed, double h) {
    double sides[2];
    for (int side = 0; side < 2; side++) {
        void *kept[SAMPLE_INPUTS];
        for (int k = 0; k < p->n_wrt; k++) {
            int64_t size = soma_size(p->wrt[k]);
            double *moved = malloc((size_t)size * sizeof *moved + 1), *x = p->c->data[p->of[k]];
            for (int64_t i = 0; i < size; i++) {
                double t = 2 * sample_unit(seed + (uint64_t)k, (uint64_t)i) - 1;
                moved[i] = x[i] + (side ? -h : h) * t;
            }
            kept[k] = x;
            p->c->data[p->of[k]] = moved;
        }
        sides[side] = run_scalar(p->c, p->value);
        for (int k = 0; k < p->n_wrt; k++) {
            free(p->c->data[p->of[k]]);
            p->c->data[p->of[k]] = kept[k];
        }
    }
    return (sides[0] - sides[1]) / (2 * h);
}

/* The battery goes on after a failure: all that is wrong is worth knowing. */
static int failures;
#define COMPLAIN(...) (failures++, print_error(__VA_ARGS__))

/* <t, gradient> by the compiled plan; *size becomes the sum of |gradient|. */
static double directional(projection *p, const char *where, soma_tensor *const *gradients, uint64_t seed,
                          double *size) {
    double sum = 0;
    *size = 0;
    soma_plan *plan = sample_run(p->c, gradients, p->n_wrt, false);
    if (!plan) {
        COMPLAIN("%s: %s\n", where, soma_last_error(p->c->graph->context));
        soma_clear_error(p->c->graph->context);
        plan = sample_run(p->c, gradients, p->n_wrt, true);
        assert_non_null(plan);
    }
    for (int k = 0; k < p->n_wrt; k++) {
        const double *g = soma_plan_output(plan, k);
        for (int64_t i = 0; i < soma_size(p->wrt[k]); i++) {
            sum += g[i] * (2 * sample_unit(seed + (uint64_t)k, (uint64_t)i) - 1);
            *size += fabs(g[i]);
        }
    }
    soma_plan_destroy(plan);
    return sum;
}

static void check_close(const char *where, double gradient, double slope, double size) {
    if (!(fabs(gradient - slope) <= 2e-7 * (size + fabs(slope)) + 1e-9))
        COMPLAIN("%s: <t, vjp(c)> is %.12g, the difference %.12g\n", where, gradient, slope);
}

/* What the checks of one op have seen. */
typedef struct outcome {
    int checked;
    double first, second; /* greatest sums of |gradient| */
} outcome;

/* The gradient of value by the case's floats, against differences; the gradients go into out. */
static double check_value(projection *p, const char *where, bool defined_zero, uint64_t seed, soma_tensor **out) {
    if (soma_grad(p->value, p->wrt, p->n_wrt, out) != SOMA_OK) fail_msg("%s: %s", where, soma_last_error(NULL));
    double size, gradient = directional(p, where, out, seed, &size);
    if (!defined_zero) check_close(where, gradient, difference(p, seed, 1e-5), size);
    return size;
}

static void check_sample(const op *self, const op_sample *sample, uint64_t seed, outcome *o) {
    char where[128];
    sample_case c = sample_start(sample, NULL, SOMA_F64, seed);
    if (!c.y) fail_msg("%s, %s: %s", self->name, sample->name, soma_last_error(NULL));
    projection p = {.c = &c};
    for (int i = 0; i < c.n; i++) {
        if (c.xs[i]->dtype != SOMA_F64) continue;
        p.of[p.n_wrt] = i;
        p.wrt[p.n_wrt++] = c.xs[i];
    }
    if (checkable(&c)) {
        soma_tensor *gradients[SAMPLE_INPUTS], *second[SAMPLE_INPUTS];
        snprintf(where, sizeof where, "%s, %s, seed %d, gradient", self->name, sample->name, (int)seed);
        p.value = project(c.y, 1000 + seed);
        double size = check_value(&p, where, self == &op_stop_gradient, 2000 + seed, gradients);
        if (size > o->first) o->first = size;

        snprintf(where, sizeof where, "%s, %s, seed %d, second gradient", self->name, sample->name, (int)seed);
        p.value = project(gradients[0], 3000 + seed);
        for (int k = 1; k < p.n_wrt; k++)
            p.value = soma_add(p.value, project(gradients[k], 3000 + seed + 100 * (uint64_t)k));
        size = check_value(&p, where, false, 4000 + seed, second);
        if (size > o->second) o->second = size;
        o->checked++;
    }
    sample_end(&c);
}

static bool named(const char *name, const char *const *names) {
    for (; *names; names++)
        if (strcmp(name, *names) == 0) return true;
    return false;
}

/* Ops whose derivative does not change, and those that have no inputs to differentiate by. */
static const char *const LINEAR[] = {
    "neg",     "abs",       "add",    "sub",   "mod", "maximum", "minimum", "where",       "sum",    "max",  "min",
    "reshape", "transpose", "expand", "slice", "pad", "concat",  "gather",  "scatter_add", "cumsum", "cast", NULL};
static const char *const NO_SAMPLES[] = {"input", "read", "assign", NULL};

static void every_op_has_a_gradient_or_says_why(void **state) {
    (void)state;
    for (int i = 0; i < op_count; i++) {
        const op *self = op_table[i];
        if (!self->vjp == !self->not_differentiable) fail_msg("%s: neither vjp nor reason, or both", self->name);
        if (named(self->name, NO_SAMPLES)) continue;
        if (!self->samples || !self->samples[0].name) fail_msg("%s has no samples", self->name);
        outcome o = {0};
        for (const op_sample *sample = self->samples; sample->name; sample++)
            for (uint64_t seed = 1; seed <= SEEDS; seed++)
                check_sample(self, sample, seed, &o);
        if (!self->vjp) continue;
        if (o.checked < 2 * SEEDS) fail_msg("%s: only %d gradients checked", self->name, o.checked);
        if (self->vjp == op_vjp_zero) {
            if (o.first != 0) fail_msg("%s: the gradient is not zero", self->name);
            continue;
        }
        if (o.first == 0) fail_msg("%s: the gradient is all zero", self->name);
        if (!named(self->name, LINEAR) && o.second == 0) fail_msg("%s: the second gradient is all zero", self->name);
    }
    assert_int_equal(failures, 0);
}

/* ---- compositions that are not ops of their own ---- */

#define SAMPLE(name, expression)                                                                                       \
    static soma_tensor *name(soma_tensor *const *xs) {                                                                 \
        soma_tensor *x = xs[0];                                                                                        \
        return expression;                                                                                             \
    }
SAMPLE(softmax_rows, soma_softmax_axis(x, -1))
SAMPLE(softmax_columns, soma_softmax_axis(x, 0))
SAMPLE(log_softmax_rows, soma_log_softmax(x, 1))
SAMPLE(logsumexp_rows, soma_logsumexp(x, -1, false))
SAMPLE(softplus_all, soma_softplus(x))
SAMPLE(mean_columns, soma_mean(soma_square(x), SOMA_AXES(0), false))
SAMPLE(clipped, soma_clip(soma_square(x), 0.3, 2.1))
SAMPLE(cube, soma_pow_scalar(x, 3))
SAMPLE(two_ways, soma_mul(soma_mul_scalar(x, 0.5), soma_add_scalar(soma_erf(soma_mul_scalar(x, 0.7)), 1)))
SAMPLE(ways_within, soma_sub(two_ways(xs), soma_mul(soma_tanh(two_ways(xs)), soma_exp(soma_neg(x)))))
SAMPLE(ways_beside, soma_mul(soma_mul(x, soma_sigmoid(x)), soma_sum(soma_exp(x), SOMA_ALL_AXES, true)))
SAMPLE(root, soma_pow_scalar(soma_add_scalar(soma_square(x), 1), 1.5))
SAMPLE(normalized,
       soma_div(soma_sub(x, soma_mean(x, SOMA_AXES(-1), true)),
                soma_sqrt(soma_add_scalar(soma_mean(soma_square(soma_sub(x, soma_mean(x, SOMA_AXES(-1), true))),
                                                    SOMA_AXES(-1), true),
                                          1e-3))))
SAMPLE(gram, soma_matmul(x, soma_transpose(x, NULL)))
SAMPLE(product_of_rows, soma_prod(x, SOMA_AXES(1), false))
SAMPLE(stepped, soma_slice(soma_exp(x), "4:0:-2, ::-3"))
#define POOL(name, pool, size_0, size_1, ...)                                                                          \
    SAMPLE(name, soma_square(pool(x, (const int64_t[]){size_0, size_1}, &(soma_window_options){__VA_ARGS__})))
POOL(largest, soma_max_pool, 2, 2, .strides = {2, 2})
POOL(largest_overlapping, soma_max_pool, 3, 2, .strides = {2, 1}, .pads = {{1, 1}, {0, 1}})
POOL(largest_wide, soma_max_pool, 9, 8, .dilation = {1, 1})
POOL(averaged, soma_average_pool, 2, 3, .strides = {2, 3})
POOL(averaged_overlapping, soma_average_pool, 3, 3, .strides = {1, 2}, .dilation = {2, 1}, .pads = {{1, 0}, {2, 1}})

static void compositions(void **state) {
    (void)state;
    static const op_sample samples[] = {
        {"softmax of rows", softmax_rows, 1, {{SOMA_F32, 2, {5, 10}, -3, 3}}},
        {"softmax of columns", softmax_columns, 1, {{SOMA_F32, 2, {5, 10}, -3, 3}}},
        {"log_softmax", log_softmax_rows, 1, {{SOMA_F32, 3, {2, 5, 4}, -3, 3}}},
        {"logsumexp", logsumexp_rows, 1, {{SOMA_F32, 2, {5, 10}, -3, 3}}},
        {"softplus", softplus_all, 1, {{SOMA_F32, 1, {33}, -3, 3}}},
        {"mean", mean_columns, 1, {{SOMA_F32, 2, {5, 10}, -3, 3}}},
        {"clip", clipped, 1, {{SOMA_F32, 1, {33}, -2, 2}}},
        {"cube", cube, 1, {{SOMA_F32, 1, {33}, -2, 2}}},
        {"two ways", two_ways, 1, {{SOMA_F32, 2, {3, 11}, -2, 2}}},
        {"two ways within others", ways_within, 1, {{SOMA_F32, 1, {33}, -2, 2}}},
        {"two ways beside another", ways_beside, 1, {{SOMA_F32, 1, {7}, -2, 2}}},
        {"root", root, 1, {{SOMA_F32, 1, {33}, -2, 2}}},
        {"layer norm", normalized, 1, {{SOMA_F32, 2, {4, 9}, -2, 2}}},
        {"gram", gram, 1, {{SOMA_F32, 2, {6, 5}, -2, 2}}},
        {"prod", product_of_rows, 1, {{SOMA_F32, 3, {2, 5, 3}, -1.5, 1.5}}},
        {"max pool", largest, 1, {{SOMA_F32, 4, {2, 7, 6, 3}, -2, 2}}},
        {"max pool 2", largest_overlapping, 1, {{SOMA_F32, 4, {2, 7, 6, 3}, -2, 2}}},
        {"max pool 3", largest_wide, 1, {{SOMA_F32, 4, {1, 10, 9, 1}, -9, 9}}},
        {"average pool", averaged, 1, {{SOMA_F32, 4, {2, 5, 6, 3}, -2, 2}}},
        {"average pool 2", averaged_overlapping, 1, {{SOMA_F32, 4, {1, 7, 6, 2}, -2, 2}}},
        {"stepped slice", stepped, 1, {{SOMA_F32, 2, {7, 11}, -1, 1}}},
        {NULL, NULL, 0, {{SOMA_F32, 0, {0}, 0, 0}}}};
    for (const op_sample *sample = samples; sample->name; sample++) {
        outcome o = {0};
        for (uint64_t seed = 1; seed <= SEEDS; seed++)
            check_sample(&op_add, sample, seed, &o);
        assert_int_equal(o.checked, SEEDS);
        assert_true(o.first > 0 && o.second > 0);
    }
    assert_int_equal(failures, 0);
}

/* ---- kinks, ties and zeros, where differences mean nothing and the convention counts ---- */

/* Checks d sum(f(x) * weights) / dx against expected numbers. */
static void expect_gradient(soma_tensor *x, soma_tensor *y, const double *expected) {
    soma_tensor *g = NULL;
    if (soma_grad(y, &x, 1, &g) != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
    assert_true(shape_equal(g->rank, g->shape, x->rank, x->shape));
    for (int64_t i = 0; i < soma_size(g); i++) {
        double got = soma_item(g, i);
        if (!(fabs(got - expected[i]) <= 1e-12)) fail_msg("element %d: %g, expected %g", (int)i, got, expected[i]);
    }
}

static soma_tensor *row(int n, const double *values) {
    return soma_array(NULL, SOMA_F64, SOMA_DIMS(n), values);
}
#define ROW(...) row((int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (const double[]){__VA_ARGS__})
#define EXPECT(x, y, ...) expect_gradient(x, y, (const double[]){__VA_ARGS__})

static void ties_share_equally(void **state) {
    (void)state;
    soma_tensor *x = ROW(3, 1, 3, 3), *a = ROW(1, 2, 5), *b = ROW(1, 3, 4);
    EXPECT(x, soma_max(x, SOMA_ALL_AXES, false), 1 / 3., 0, 1 / 3., 1 / 3.);
    EXPECT(x, soma_min(x, SOMA_ALL_AXES, false), 0, 1, 0, 0);
    EXPECT(a, soma_maximum(a, b), 0.5, 0, 1);
    EXPECT(b, soma_maximum(a, b), 0.5, 1, 0);
    EXPECT(a, soma_minimum(a, b), 0.5, 1, 0);
}

static void products_with_zeros(void **state) {
    (void)state;
    soma_tensor *none = ROW(2, 3, 4), *one = ROW(2, 0, 4), *two = ROW(0, 3, 0), *single = ROW(7);
    EXPECT(none, soma_prod(none, SOMA_ALL_AXES, false), 12, 8, 6);
    EXPECT(one, soma_prod(one, SOMA_ALL_AXES, false), 0, 8, 0);
    EXPECT(two, soma_prod(two, SOMA_ALL_AXES, false), 0, 0, 0);
    EXPECT(single, soma_prod(single, SOMA_ALL_AXES, false), 1);
    /* d/dx of the gradient's sum: a second derivative is the product of all but two */
    soma_tensor *g = NULL;
    assert_int_equal(soma_grad(soma_prod(two, SOMA_ALL_AXES, false), &two, 1, &g), SOMA_OK);
    EXPECT(two, g, 3, 0, 3);
}

static void powers_of_zero_and_less(void **state) {
    (void)state;
    soma_tensor *a = ROW(0, 0, -2, -2, 0, 3), *b = ROW(2, 1, 3, 2, 0, 0);
    EXPECT(a, soma_pow(a, b), 0, 1, 12, -4, 0, 0);
    EXPECT(b, soma_pow(a, b), 0, 0, 0, 0, 0, log(3.0));
    soma_tensor *x = ROW(-2, 0, 1);
    EXPECT(x, soma_pow_scalar(x, 2), -4, 0, 2);
    EXPECT(x, soma_pow_scalar(x, 3), 12, 0, 3);
    EXPECT(x, soma_pow_scalar(x, 0), 0, 0, 0);
}

static void branches_not_taken(void **state) {
    (void)state;
    soma_tensor *x = ROW(-1, 0, 4), *zero = soma_scalar(NULL, SOMA_F64, 0), *one = soma_scalar(NULL, SOMA_F64, 1);
    soma_tensor *positive = soma_greater(x, zero);
    EXPECT(x, soma_where(positive, soma_log(soma_where(positive, x, one)), zero), 0, 0, 0.25);
    soma_tensor *at_bounds = ROW(-1, 0, 0.5, 1, 2);
    EXPECT(at_bounds, soma_clip(at_bounds, 0, 1), 0, 1, 1, 1, 0);
    soma_tensor *origin = ROW(0);
    EXPECT(origin, soma_softplus(origin), 0.5);
    EXPECT(origin, soma_abs(origin), 0);
}

static void paths(void **state) {
    (void)state;
    soma_tensor *x = ROW(1, 2), *other = ROW(1, 2, 3);
    EXPECT(other, soma_square(x), 0, 0, 0);              /* not on the path: zeros */
    EXPECT(x, soma_mul(x, soma_stop_gradient(x)), 1, 2); /* one of two factors */
    soma_tensor *whole = soma_cast(soma_cast(x, SOMA_I32), SOMA_F64);
    EXPECT(x, soma_mul(x, soma_stop_gradient(whole)), 1, 2); /* said to be constant */
    EXPECT(x, soma_gather(x, soma_argmax(x, 0, false), 0), 0, 1);
    EXPECT(x, soma_add(x, soma_add(x, x)), 3, 3);
    EXPECT(x, x, 1, 1);
    EXPECT(x, soma_cast(soma_square(soma_cast(x, SOMA_F32)), SOMA_F64), 2, 4);
    /* in the middle of a graph */
    soma_tensor *y = soma_square(x), *z = soma_square(y);
    EXPECT(y, z, 2, 8);
    EXPECT(x, z, 4, 32);
    /* among maps that x reaches in several ways: e^x (x + 1), by x, by e^x, and by both */
    soma_tensor *e = soma_exp(x), *product = soma_add(soma_mul(e, x), e), *both[2] = {e, x}, *slopes[2];
    EXPECT(x, product, 3 * exp(1.0), 4 * exp(2.0));
    EXPECT(e, product, 2, 3);
    assert_int_equal(soma_grad(soma_sum(product, SOMA_ALL_AXES, false), both, 2, slopes), SOMA_OK);
    const double by_e[] = {2, 3}, by_x[] = {3 * exp(1.0), 4 * exp(2.0)};
    for (int i = 0; i < 2; i++) {
        assert_float_equal(((const double *)soma_data(slopes[0]))[i], by_e[i], 1e-12);
        assert_float_equal(((const double *)soma_data(slopes[1]))[i], by_x[i], 1e-12);
    }
}

static soma_status infer_custom(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                                const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    return op_infer_any(graph, self, inputs, n, attributes, dtype, rank, shape);
}

static void a_gradient_never_goes_missing(void **state) {
    (void)state;
    static const op custom = {.name = "custom",
                              .kind = OP_MAP,
                              .code = CPU_COPY,
                              .min_inputs = 1,
                              .max_inputs = 1,
                              .infer = infer_custom,
                              .not_differentiable = "nobody worked it out"};
    soma_tensor *x = ROW(1, 2), *g = NULL, *y = op_apply(NULL, &custom, &x, 1, NULL);
    assert_int_equal(soma_grad(soma_square(y), &x, 1, &g), SOMA_UNSUPPORTED);
    assert_string_equal(soma_last_error(NULL),
                        "[grad] the path goes through custom, which has no gradient: nobody worked it out "
                        "(soma_stop_gradient excludes a path)");
    soma_clear_error(NULL);
    assert_int_equal(soma_grad(soma_square(soma_stop_gradient(y)), &x, 1, &g), SOMA_OK);
    /* a mask made into a number would lose its slope in silence; as a condition it is fine */
    soma_tensor *mask = soma_greater(x, soma_scalar(NULL, SOMA_F64, 1));
    soma_tensor *masked = soma_mul(soma_cast(mask, SOMA_F64), x);
    assert_int_equal(soma_grad(masked, &x, 1, &g), SOMA_UNSUPPORTED);
    assert_string_equal(soma_last_error(NULL), "[grad] the path goes through greater, whose result has no slope "
                                               "(soma_stop_gradient excludes a path)");
    soma_clear_error(NULL);
    assert_int_equal(soma_grad(soma_where(mask, x, soma_neg(x)), &x, 1, &g), SOMA_OK);
    soma_tensor *whole = soma_cast(x, SOMA_I64);
    assert_int_equal(soma_grad(x, &whole, 1, &g), SOMA_DTYPE);
    assert_string_equal(soma_last_error(NULL), "[grad] wrt[0] is int64: only floats have gradients");
    soma_clear_error(NULL);
    assert_int_equal(soma_grad(x, NULL, 1, &g), SOMA_INVALID);
    assert_string_equal(soma_last_error(NULL), "[grad] no wrt or no out given");
    soma_clear_error(NULL);
    assert_int_equal(soma_grad(whole, &x, 1, &g), SOMA_DTYPE);
    soma_clear_error(NULL);
    assert_int_equal(soma_grad(NULL, &x, 1, &g), SOMA_INVALID);
}

/* A hundred thousand nodes in a chain: no recursion, no quadratic search. */
static void long_chains(void **state) {
    (void)state;
    soma_graph *graph = soma_graph_create(NULL);
    soma_tensor *x = soma_scalar(graph, SOMA_F64, 1), *y = x, *g = NULL;
    for (int i = 0; i < 100000; i++)
        y = i % 2 ? soma_neg(y) : soma_add(y, x);
    int64_t before = graph->n_nodes;
    assert_int_equal(soma_grad(y, &x, 1, &g), SOMA_OK);
    assert_non_null(g);
    assert_true(graph->n_nodes - before < 3 * before);
    soma_graph_destroy(graph);
}

static int forget(void **state) {
    (void)state;
    soma_clear_error(NULL);
    soma_graph_reset(NULL);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_op_has_a_gradient_or_says_why, forget),
        cmocka_unit_test_teardown(compositions, forget),
        cmocka_unit_test_teardown(ties_share_equally, forget),
        cmocka_unit_test_teardown(products_with_zeros, forget),
        cmocka_unit_test_teardown(powers_of_zero_and_less, forget),
        cmocka_unit_test_teardown(branches_not_taken, forget),
        cmocka_unit_test_teardown(paths, forget),
        cmocka_unit_test_teardown(a_gradient_never_goes_missing, forget),
        cmocka_unit_test_teardown(long_chains, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
