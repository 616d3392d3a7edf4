/* Small steps as lists of kernel calls: a plan with them and the same plan without must agree to the bit, however often
 * they run, wherever inputs lie. Rests on plan/calls.h. test_plan_random says that they agree with the reference, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <soma/ops.h>

#include "cpu/cpu.h"
#include "plan/calls.h"

enum { LAYERS = 3, MOST = 24, BATCHES = 3, RUNS = 4 };

typedef struct net {
    soma_graph *graph;
    soma_variable *variables[2 * LAYERS];
    soma_tensor *x, *y;
    soma_plan *plan;
    int layers, batch, sizes[LAYERS + 1];
    soma_dtype dtype;
} net;

/* Numbers between -1 and 1 as elements of the type. */
static void fill(soma_dtype dtype, void *data, int64_t n, int64_t seed) {
    for (int64_t i = 0; i < n; i++) {
        const double value = (double)((i * 37 + seed * 11 + 5) % 101) / 50 - 1;
        if (dtype == SOMA_F64)
            ((double *)data)[i] = value;
        else
            ((float *)data)[i] = (float)value;
    }
}

static soma_tensor *read_variable(net *n, soma_context *c, int i, int rank, const int64_t *shape) {
    double start[MOST * MOST];
    n->variables[i] = soma_variable_create(c, "v", n->dtype, rank, shape);
    assert_non_null(n->variables[i]);
    const int64_t size = soma_variable_size(n->variables[i]);
    fill(n->dtype, start, size, i);
    assert_int_equal(soma_variable_set(n->variables[i], start, (size_t)size * soma_dtype_size(n->dtype)), SOMA_OK);
    return soma_read(n->graph, n->variables[i]);
}

/* A training step: tanh layers, a softmax and a mean squared error, gradients, SGD. */
static void make(net *n, soma_context *c) {
    soma_tensor *w[2 * LAYERS], *dw[2 * LAYERS], *targets[1 + 2 * LAYERS];
    n->graph = soma_graph_create(c);
    n->x = soma_input(n->graph, n->dtype, SOMA_DIMS(n->batch, n->sizes[0]), "x");
    n->y = soma_input(n->graph, n->dtype, SOMA_DIMS(n->batch, n->sizes[n->layers]), "y");
    soma_tensor *h = n->x;
    for (int i = 0; i < n->layers; i++) {
        const int64_t shape[2] = {n->sizes[i], n->sizes[i + 1]};
        w[2 * i] = read_variable(n, c, 2 * i, 2, shape);
        w[2 * i + 1] = read_variable(n, c, 2 * i + 1, 1, shape + 1);
        h = soma_tanh(soma_add(soma_matmul(h, w[2 * i]), w[2 * i + 1]));
    }
    if (n->sizes[n->layers] > 1) h = soma_softmax_axis(h, -1);
    targets[0] = soma_mean(soma_square(soma_sub(h, n->y)), SOMA_ALL_AXES, false);
    assert_int_equal(soma_grad(targets[0], w, 2 * n->layers, dw), SOMA_OK);
    for (int i = 0; i < 2 * n->layers; i++)
        targets[1 + i] = soma_assign(n->variables[i], soma_sub(w[i], soma_mul_scalar(dw[i], 0.5)));
    n->plan = soma_plan_create(targets, 1 + 2 * n->layers, NULL);
    assert_non_null(n->plan);
}

static void destroy(net *n) {
    soma_plan_destroy(n->plan);
    soma_graph_destroy(n->graph);
    for (int i = 0; i < 2 * n->layers; i++)
        soma_variable_destroy(n->variables[i]);
}

static void forget_calls(soma_plan *plan) {
    plan->calls = NULL;
    for (int i = 0; i < plan->n_steps; i++)
        plan->steps[i].calls = NULL;
}

static void run(net *n, const void *x, const void *y) {
    assert_int_equal(soma_plan_bind(n->plan, n->x, x), SOMA_OK);
    assert_int_equal(soma_plan_bind(n->plan, n->y, y), SOMA_OK);
    assert_int_equal(soma_plan_run(n->plan), SOMA_OK);
}

static void assert_equal(const net *a, const net *b) {
    double x[MOST * MOST], y[MOST * MOST];
    const size_t size = soma_dtype_size(a->dtype);
    assert_memory_equal(soma_plan_output(a->plan, 0), soma_plan_output(b->plan, 0), size);
    for (int i = 0; i < 2 * a->layers; i++) {
        const size_t bytes = (size_t)soma_variable_size(a->variables[i]) * size;
        assert_int_equal(soma_variable_get(a->variables[i], x, bytes), SOMA_OK);
        assert_int_equal(soma_variable_get(b->variables[i], y, bytes), SOMA_OK);
        assert_memory_equal(x, y, bytes);
    }
}

static void compare(soma_context *c, const net *like) {
    double data[BATCHES][2][MOST * MOST];
    net with = *like, without = *like;
    make(&with, c);
    make(&without, c);
    int lists = 0;
    for (int i = 0; i < with.plan->n_steps; i++)
        lists += with.plan->steps[i].calls != NULL;
    assert_true(lists > with.plan->n_steps / 2);
    if (like->batch <= 4) assert_non_null(with.plan->calls); /* of all steps: nothing here is large */
    forget_calls(without.plan);
    for (int k = 0; k < BATCHES; k++) {
        fill(like->dtype, data[k][0], like->batch * like->sizes[0], k);
        fill(like->dtype, data[k][1], like->batch * like->sizes[like->layers], k + 7);
    }
    double before[MOST * MOST], after[MOST * MOST];
    const size_t bytes = (size_t)soma_variable_size(with.variables[0]) * soma_dtype_size(like->dtype);
    assert_int_equal(soma_variable_get(with.variables[0], before, bytes), SOMA_OK);
    for (int k = 0; k < RUNS; k++) {
        run(&with, data[k % BATCHES][0], data[k % BATCHES][1]);
        run(&without, data[k % BATCHES][0], data[k % BATCHES][1]);
        assert_equal(&with, &without);
    }
    assert_int_equal(soma_variable_get(with.variables[0], after, bytes), SOMA_OK);
    assert_memory_not_equal(before, after, bytes);
    destroy(&with);
    destroy(&without);
}

static void same_bits_as_without(void **state) {
    (void)state;
    static const net nets[] = {{.layers = 2, .sizes = {2, 8, 1}},    {.layers = 3, .sizes = {2, 16, 16, 1}},
                               {.layers = 3, .sizes = {3, 5, 7, 2}}, {.layers = 2, .sizes = {17, 1, 19}},
                               {.layers = 1, .sizes = {1, 3}},       {.layers = 2, .sizes = {13, 24, 11}}};
    static const int batches[] = {1, 2, 4, 7, 15};
    for (int level = 0; cpu_level(level); level++) {
        soma_context *c = soma_context_create(&(soma_context_options){.isa = cpu_level(level)->name, .threads = 1});
        assert_non_null(c);
        for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
            for (size_t k = 0; k < sizeof batches / sizeof *batches; k++)
                for (int wide = 0; wide < 2; wide++) {
                    net n = nets[i];
                    n.batch = batches[k];
                    n.dtype = wide ? SOMA_F64 : SOMA_F32;
                    compare(c, &n);
                }
        soma_context_destroy(c);
    }
}

/* What is no kernel's call stays a step; its neighbours need not. */
static void only_what_calls_kernels(void **state) {
    (void)state;
    soma_context *c = soma_context_create(&(soma_context_options){.threads = 1, .seed = 1});
    soma_graph *g = soma_graph_create(c);
    soma_tensor *x = soma_input(g, SOMA_F32, SOMA_DIMS(3, 5), "x");
    soma_tensor *targets[] = {soma_exp(x), soma_add(x, soma_random_uniform(g, SOMA_F32, SOMA_DIMS(3, 5), 0, 1, NULL)),
                              soma_exp(soma_matmul(x, soma_transpose(x, NULL)))};
    soma_plan *plan = soma_plan_create(targets, 3, NULL);
    assert_non_null(plan);
    int lists = 0;
    for (int i = 0; i < plan->n_steps; i++)
        lists += plan->steps[i].calls != NULL;
    assert_null(plan->calls);
    assert_int_equal(lists, plan->n_steps - 1);
    soma_plan_destroy(plan);
    soma_graph_destroy(g);
    soma_context_destroy(c);
}

/* Where there is nothing to share, no thread is woken, however much a step does; and then it is calls. */
static void one_panel_of_one_row_is_not_shared(void **state) {
    (void)state;
    static float x[2][1024], w[1024 * 512];
    soma_context *c = soma_context_create(&(soma_context_options){.threads = 2});
    for (int i = 0; i < 1024; i++)
        x[0][i] = (float)(i % 3), x[1][i] = (float)(i % 2);
    for (int i = 0; i < 1024 * 512; i++)
        w[i] = (float)(i % 5 - 2);
    static const struct {
        int64_t m, k, n;
        int threads;
    } cases[] = {{1, 1024, 10, 1}, {2, 1024, 16, 1}, {1, 1024, 512, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        soma_graph *graph = soma_graph_create(c);
        soma_tensor *a = soma_input(graph, SOMA_F32, SOMA_DIMS(cases[i].m, cases[i].k), "a"),
                    *b = soma_input(graph, SOMA_F32, SOMA_DIMS(cases[i].k, cases[i].n), "b"), *y = soma_matmul(a, b);
        soma_plan *plan = soma_plan_create(&y, 1, NULL);
        assert_non_null(plan);
        assert_int_equal(soma_plan_threads(plan), cases[i].threads);
        assert_int_equal(plan->steps[0].calls != NULL, cases[i].threads == 1);
        assert_int_equal(soma_plan_bind(plan, a, x), SOMA_OK);
        assert_int_equal(soma_plan_bind(plan, b, w), SOMA_OK);
        assert_int_equal(soma_plan_run(plan), SOMA_OK);
        const float *out = soma_plan_output(plan, 0);
        for (int64_t r = 0; r < cases[i].m; r++)
            for (int64_t j = 0; j < cases[i].n; j++) {
                float sum = 0;
                for (int64_t k = 0; k < cases[i].k; k++)
                    sum += x[r][k] * w[k * cases[i].n + j];
                assert_true(out[r * cases[i].n + j] == sum);
            }
        soma_plan_destroy(plan);
        soma_graph_destroy(graph);
    }
    soma_context_destroy(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits_as_without),
                                       cmocka_unit_test(only_what_calls_kernels),
                                       cmocka_unit_test(one_panel_of_one_row_is_not_shared)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
