/* What is done to a product's rows before they leave the caches: softmax and normalization as epilogues, values that a
 * gradient makes anew instead of reading them.
 * Rests on plan/steps.h for what a plan is made of; values are compared with the reference plan's at every instruction
 * set, and to the bit between numbers of threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <soma/layers.h>
#include <soma/ops.h>
#include <soma/plan.h>

#include "cpu/cpu.h"
#include "plan/steps.h"

enum { INPUTS = 4, NUMBERS = 1 << 17 };

static double numbers64[NUMBERS];
static float numbers32[NUMBERS];

/* A network: makes its inputs, at most INPUTS, and one result; a, b, c are sizes. */
typedef soma_tensor *net_fn(soma_graph *graph, soma_dtype dtype, int64_t a, int64_t b, int64_t c, soma_tensor **xs);

typedef struct built {
    soma_graph *graph;
    soma_tensor *xs[INPUTS], *targets[INPUTS + 1];
    int n_xs, n_targets;
} built;

/* The result, and the gradients of a sum of its squares with some weights for all inputs. */
static void build(built *g, soma_context *context, net_fn *net, soma_dtype dtype, const int64_t *size, bool gradients) {
    *g = (built){.graph = soma_graph_create(context), .n_targets = 1};
    soma_tensor *y = g->targets[0] = net(g->graph, dtype, size[0], size[1], size[2], g->xs);
    while (g->n_xs < INPUTS && g->xs[g->n_xs])
        g->n_xs++;
    if (gradients && y) {
        soma_tensor *weights =
            soma_add_scalar(soma_sin(soma_arange(g->graph, dtype, 0, (double)soma_dim(y, -1), 1)), 2);
        soma_tensor *loss = soma_sum(soma_mul(soma_square(y), weights), SOMA_ALL_AXES, false);
        if (soma_grad(loss, g->xs, g->n_xs, g->targets + 1) != SOMA_OK) fail_msg("%s", soma_last_error(context));
        g->n_targets += g->n_xs;
    }
    if (!y) fail_msg("%s", soma_last_error(context));
}

static soma_plan *run(const built *g, bool reference) {
    soma_plan *plan =
        soma_plan_create((soma_tensor *const *)g->targets, g->n_targets, &(soma_plan_options){.reference = reference});
    if (!plan) fail_msg("%s", soma_last_error(g->graph->context));
    for (int i = 0; i < g->n_xs; i++) {
        assert_true(soma_size(g->xs[i]) <= NUMBERS / 2);
        const void *data = g->xs[i]->dtype == SOMA_F64 ? (void *)(numbers64 + 77 * i) : (void *)(numbers32 + 77 * i);
        assert_int_equal(soma_plan_bind(plan, g->xs[i], data), SOMA_OK);
    }
    assert_int_equal(soma_plan_run(plan), SOMA_OK);
    return plan;
}

static double element(soma_dtype dtype, const void *data, int64_t i) {
    return dtype == SOMA_F64 ? ((const double *)data)[i] : (double)((const float *)data)[i];
}

static void compare(const built *g, const soma_plan *plan, const soma_plan *expected, const int64_t *size) {
    for (int k = 0; k < g->n_targets; k++) {
        const soma_dtype dtype = g->targets[k]->dtype;
        const void *x = soma_plan_output(plan, k), *y = soma_plan_output(expected, k);
        double most = 0;
        for (int64_t i = 0; i < soma_size(g->targets[k]); i++)
            most = fmax(most, fabs(element(dtype, y, i)));
        for (int64_t i = 0; i < soma_size(g->targets[k]); i++) {
            double off = fabs(element(dtype, x, i) - element(dtype, y, i));
            if (!(off <= (dtype == SOMA_F64 ? 1e-12 : 2e-5) * (most + 1e-30)))
                fail_msg("%lld,%lld,%lld at %s: target %d element %lld is %.9g, not %.9g", (long long)size[0],
                         (long long)size[1], (long long)size[2], soma_isa(g->graph->context), k, (long long)i,
                         element(dtype, x, i), element(dtype, y, i));
        }
    }
}

static void equal_bits(const built *g, const soma_plan *one, const soma_plan *other) {
    for (int k = 0; k < g->n_targets; k++)
        assert_memory_equal(soma_plan_output(one, k), soma_plan_output(other, k),
                            (size_t)soma_size(g->targets[k]) * soma_dtype_size(g->targets[k]->dtype));
}

/* One network of one size everywhere. */
static void check(net_fn *net, soma_dtype dtype, const int64_t *size) {
    const cpu_kernels *level;
    for (int i = 0; (level = cpu_level(i)) != NULL; i++) {
        built first = {0};
        soma_plan *alone = NULL;
        soma_context *contexts[3];
        for (int threads = 1; threads <= 3; threads++) {
            built g;
            contexts[threads - 1] =
                soma_context_create(&(soma_context_options){.isa = level->name, .threads = threads});
            build(&g, contexts[threads - 1], net, dtype, size, true);
            soma_plan *plan = run(&g, false);
            if (threads == 1) {
                soma_plan *expected = run(&g, true);
                compare(&g, plan, expected, size);
                soma_plan_destroy(expected);
                first = g;
                alone = plan;
                continue;
            }
            equal_bits(&g, alone, plan);
            soma_plan_destroy(plan);
            soma_graph_destroy(g.graph);
        }
        soma_plan_destroy(alone);
        soma_graph_destroy(first.graph);
        for (int k = 0; k < 3; k++)
            soma_context_destroy(contexts[k]);
    }
}

static soma_tensor *input(soma_graph *graph, soma_dtype dtype, int rank, const int64_t *shape) {
    return soma_input(graph, dtype, rank, shape, NULL);
}

/* Which of c columns row i sees: all up to its own, or the last three of them. */
static soma_tensor *seen_by(soma_graph *graph, int64_t a, int64_t c, bool few) {
    soma_tensor *i = soma_reshape(soma_arange(graph, SOMA_I64, 0, (double)a, 1), SOMA_DIMS(a, 1));
    soma_tensor *j = soma_arange(graph, SOMA_I64, 0, (double)c, 1);
    if (!few) return soma_greater_equal(i, j);
    soma_tensor *all = soma_slice(soma_arange(graph, SOMA_I64, 0, (double)c + 3, 1), "3:"); /* j + 3 */
    return soma_logical_and(soma_less(i, all), soma_less_equal(j, i));
}

/* Attention of two heads: a steps of b features look at those of c steps that they see. */
static soma_tensor *attend_to(soma_tensor *seen, double never, soma_dtype dtype, int64_t a, int64_t b, int64_t c,
                              soma_tensor **xs) {
    soma_graph *graph = seen->graph;
    soma_tensor *q = xs[0] = input(graph, dtype, SOMA_DIMS(2, a, 2, b));
    soma_tensor *k = xs[1] = input(graph, dtype, SOMA_DIMS(2, c, 2, b));
    soma_tensor *v = xs[2] = input(graph, dtype, SOMA_DIMS(2, c, 2, b));
    const int heads[] = {0, 2, 1, 3}, turned[] = {0, 1, 3, 2};
    soma_tensor *scores =
        soma_matmul(soma_mul_scalar(soma_transpose(q, heads), 0.7), soma_transpose(soma_transpose(k, heads), turned));
    scores = soma_where(seen, scores, soma_scalar(graph, dtype, never));
    return soma_transpose(soma_matmul(soma_softmax_axis(scores, -1), soma_transpose(v, heads)), heads);
}

static soma_tensor *attention(soma_graph *graph, soma_dtype dtype, int64_t a, int64_t b, int64_t c, soma_tensor **xs) {
    return attend_to(seen_by(graph, a, c, false), -1e9, dtype, a, b, c, xs);
}

static soma_tensor *causal(soma_graph *graph, soma_dtype dtype, int64_t a, int64_t b, int64_t c, soma_tensor **xs) {
    return attend_to(seen_by(graph, a, c, false), -INFINITY, dtype, a, b, c, xs);
}

/* Shares of scores, that are one where nobody sees. */
static soma_tensor *shifted(soma_graph *graph, soma_dtype dtype, int64_t a, int64_t b, int64_t c, soma_tensor **xs) {
    soma_tensor *x = xs[0] = input(graph, dtype, SOMA_DIMS(a, b)), *w = xs[1] = input(graph, dtype, SOMA_DIMS(b, c));
    soma_tensor *scores =
        soma_where(seen_by(graph, a, c, false), soma_matmul(x, w), soma_scalar(graph, dtype, -INFINITY));
    return soma_add_scalar(soma_softmax_axis(scores, -1), 1);
}

/* The last three steps. */
static soma_tensor *window(soma_graph *graph, soma_dtype dtype, int64_t a, int64_t b, int64_t c, soma_tensor **xs) {
    return attend_to(seen_by(graph, a, c, true), -INFINITY, dtype, a, b, c, xs);
}

/* sin(u_i + v_k) where k <= i, else 0, times cos(p_k + q_j). */
static soma_tensor *triangle(soma_graph *graph, soma_dtype dtype, int64_t a, int64_t b, int64_t c, soma_tensor **xs) {
    soma_tensor *u = xs[0] = input(graph, dtype, SOMA_DIMS(a, 1)), *v = xs[1] = input(graph, dtype, SOMA_DIMS(b));
    soma_tensor *p = xs[2] = input(graph, dtype, SOMA_DIMS(b, 1)), *q = xs[3] = input(graph, dtype, SOMA_DIMS(c));
    soma_tensor *left = soma_where(seen_by(graph, a, b, false), soma_sin(soma_add(u, v)), soma_scalar(graph, dtype, 0));
    return soma_matmul(left, soma_cos(soma_add(p, q)));
}

/* A normalization of x w + x w' x's rows. */
static soma_tensor *normalized(soma_graph *graph, soma_dtype dtype, int64_t a, int64_t b, int64_t c, soma_tensor **xs) {
    soma_tensor *x = xs[0] = input(graph, dtype, SOMA_DIMS(a, b)), *w = xs[1] = input(graph, dtype, SOMA_DIMS(b, c));
    soma_tensor *bias = xs[2] = input(graph, dtype, SOMA_DIMS(c)), *more = xs[3] = input(graph, dtype, SOMA_DIMS(a, c));
    soma_tensor *y = soma_add(soma_add(soma_matmul(x, w), bias), more);
    soma_tensor *centered = soma_sub(y, soma_mean(y, SOMA_AXES(-1), true));
    soma_tensor *variance = soma_mean(soma_square(centered), SOMA_AXES(-1), true);
    return soma_add(soma_mul(soma_mul(centered, soma_rsqrt(soma_add_scalar(variance, 1e-3))), bias), y);
}

/* Two layers with gelu between them. */
static soma_tensor *hidden(soma_graph *graph, soma_dtype dtype, int64_t a, int64_t b, int64_t c, soma_tensor **xs) {
    soma_tensor *x = xs[0] = input(graph, dtype, SOMA_DIMS(a, b)), *w = xs[1] = input(graph, dtype, SOMA_DIMS(b, c));
    soma_tensor *bias = xs[2] = input(graph, dtype, SOMA_DIMS(c)), *v = xs[3] = input(graph, dtype, SOMA_DIMS(c, b));
    return soma_matmul(soma_gelu(soma_add(soma_matmul(x, w), bias)), v);
}

static soma_tensor *gate(soma_tensor *x, int64_t units, int i) {
    return soma_slice_axis(x, -1, i * units, (i + 1) * units, 1);
}

/* c steps of an LSTM of b units for a samples: stacks in panels beside small products with long epilogues. */
static soma_tensor *cells(soma_graph *graph, soma_dtype dtype, int64_t a, int64_t b, int64_t c, soma_tensor **xs) {
    soma_tensor *x = xs[0] = input(graph, dtype, SOMA_DIMS(c, a, 5)),
                *w = xs[1] = input(graph, dtype, SOMA_DIMS(5, 4 * b));
    soma_tensor *u = xs[2] = input(graph, dtype, SOMA_DIMS(b, 4 * b)),
                *bias = xs[3] = input(graph, dtype, SOMA_DIMS(4 * b));
    soma_tensor *all = soma_add(soma_matmul(x, w), bias), *h = NULL, *cell = NULL;
    u = soma_mul_scalar(u, 0.2);
    for (int64_t t = 0; t < c; t++) {
        soma_tensor *sum = soma_squeeze(soma_slice_axis(all, 0, t, t + 1, 1), 0);
        if (h) sum = soma_add(sum, soma_matmul(h, u));
        soma_tensor *made = soma_mul(soma_sigmoid(gate(sum, b, 0)), soma_tanh(gate(sum, b, 2)));
        cell = cell ? soma_add(soma_mul(soma_sigmoid(gate(sum, b, 1)), cell), made) : made;
        h = soma_mul(soma_sigmoid(gate(sum, b, 3)), soma_tanh(cell));
    }
    return h;
}

static void sizes(net_fn *net, int n, const int64_t (*size)[3]) {
    for (int i = 0; i < n; i++) {
        check(net, SOMA_F32, size[i]);
        check(net, SOMA_F64, size[i]);
    }
}

#define SIZES(net, list) sizes(net, (int)(sizeof(list) / sizeof *(list)), list)

static void attention_anywhere(void **state) {
    (void)state;
    static const int64_t list[][3] = {{1, 3, 5}, {2, 8, 300}, {1, 7, 521}, {17, 5, 33}, {64, 16, 64}, {97, 11, 131}};
    SIZES(attention, list);
}

static void bands_anywhere(void **state) {
    (void)state;
    static const int64_t list[][3] = {{1, 3, 5}, {17, 5, 33}, {33, 5, 17}, {64, 32, 64}, {97, 11, 131}, {300, 3, 300}};
    static const int64_t behind[][3] = {{17, 5, 33}, {64, 16, 64}, {150, 7, 150}};
    static const int64_t large[][3] = {{5, 9, 3}, {230, 1100, 150}, {97, 2200, 40}, {33, 70, 300}, {70, 33, 300}};
    SIZES(causal, list);
    SIZES(shifted, list);
    SIZES(window, behind);
    SIZES(triangle, large);
}

static void normalization_anywhere(void **state) {
    (void)state;
    static const int64_t list[][3] = {{1, 9, 40},    {2, 31, 513},  {5, 3, 1},      {13, 17, 33},
                                      {150, 24, 96}, {113, 37, 67}, {256, 64, 128}, {129, 1, 200}};
    SIZES(normalized, list);
}

static void hidden_layers_anywhere(void **state) {
    (void)state;
    static const int64_t list[][3] = {{3, 5, 7}, {128, 33, 64}, {131, 17, 101}, {257, 64, 128}, {70, 3, 211}};
    SIZES(hidden, list);
}

static void cells_anywhere(void **state) {
    (void)state;
    static const int64_t list[][3] = {{1, 3, 3}, {5, 16, 4}, {19, 40, 6}, {33, 64, 4}, {32, 128, 3}};
    SIZES(cells, list);
}

/* Shares by the scores of a deep product. */
static soma_tensor *too_deep(soma_graph *graph, soma_dtype dtype, int64_t a, int64_t b, int64_t c, soma_tensor **xs) {
    soma_tensor *x = xs[0] = input(graph, dtype, SOMA_DIMS(a, b)), *w = xs[1] = input(graph, dtype, SOMA_DIMS(b, c));
    return soma_softmax_axis(soma_mul_scalar(soma_matmul(x, w), 0.01), -1);
}

static void deep_products_keep_their_passes(void **state) {
    (void)state;
    static const int64_t list[][3] = {{19, 2311, 27}, {6, 2100, 29}};
    SIZES(too_deep, list);
}

/* ---- what the plans are ---- */

typedef struct counts {
    int contractions, others, stores, functions; /* stores: of the first contraction; functions: of all */
} counts;

static counts count(net_fn *net, const int64_t *size, bool gradients) {
    built g;
    counts found = {0, 0, 0, 0};
    soma_context *context = soma_context_create(&(soma_context_options){.threads = 1});
    build(&g, context, net, SOMA_F32, size, gradients);
    soma_plan *plan = soma_plan_create((soma_tensor *const *)g.targets, g.n_targets, NULL);
    assert_non_null(plan);
    for (int i = 0; i < plan->n_steps; i++) {
        const plan_step *s = &plan->steps[i];
        if (s->kind == STEP_CONTRACT && found.contractions++ == 0) found.stores = s->as.contract->epilogue.n_stores;
        found.others += s->kind != STEP_CONTRACT && s->kind != STEP_PACK;
        for (int k = 0; s->kind == STEP_CONTRACT && k < s->as.contract->epilogue.n_instructions; k++) {
            const tile_instruction *in = &s->as.contract->epilogue.instructions[k];
            found.functions += in->kind == INSTRUCTION_MAP && in->code >= CPU_EXP && in->code <= CPU_ERF;
        }
    }
    soma_plan_destroy(plan);
    soma_graph_destroy(g.graph);
    soma_context_destroy(context);
    return found;
}

static void rows_are_reduced_in_place(void **state) {
    (void)state;
    counts c = count(normalized, (const int64_t[]){256, 64, 128}, false);
    assert_int_equal(c.contractions, 1);
    assert_int_equal(c.others, 0);
    c = count(too_deep, (const int64_t[]){256, 2311, 28}, false);
    assert_int_equal(c.contractions, 1);
    c = count(too_deep, (const int64_t[]){8, 128, 1000}, false); /* too few rows to share */
    assert_int_equal(c.others, 1);
}

/* What the gradient of a gelu reads is its slope: that and gelu itself are all that is stored, and erf and exp are
 * computed once, in the forward step. */
static void slopes_are_made_forward(void **state) {
    (void)state;
    const counts c = count(hidden, (const int64_t[]){256, 64, 128}, true);
    assert_int_equal(c.stores, 2);
    assert_int_equal(c.functions, 2);
    assert_int_equal(count(hidden, (const int64_t[]){256, 64, 128}, false).stores, 1);
    assert_int_equal(count(hidden, (const int64_t[]){256, 64, 128}, false).functions, 1);
}

/* Of causal attention's products, four leave out zeros, and scores and their gradient what nobody wants. */
static void products_leave_bands_out(void **state) {
    (void)state;
    built g;
    soma_context *context = soma_context_create(NULL);
    build(&g, context, causal, SOMA_F32, (const int64_t[]){64, 16, 64}, true);
    soma_plan *plan = soma_plan_create((soma_tensor *const *)g.targets, g.n_targets, NULL);
    assert_non_null(plan);
    int upper = 0, lower = 0, unwanted = 0, ends = 0, all = 0;
    for (int i = 0; i < plan->n_steps; i++) {
        const contract *c = plan->steps[i].as.contract;
        if (plan->steps[i].kind != STEP_CONTRACT) continue;
        all++;
        if (!c->banded) continue;
        upper += c->a_high == 0;
        lower += c->a_low == 0;
        unwanted += c->c_high == 0;
        ends += c->ends;
    }
    assert_int_equal(all, 6);
    assert_int_equal(upper, 2);    /* weights times values, scores' gradient times keys */
    assert_int_equal(lower, 2);    /* both transposed */
    assert_int_equal(unwanted, 2); /* scores, the weights' gradient */
    assert_int_equal(ends, 2);     /* and their epilogues */
    soma_plan_destroy(plan);
    soma_graph_destroy(g.graph);
    soma_context_destroy(context);
}

static int fill(void **state) {
    (void)state;
    uint32_t seed = 1;
    for (int i = 0; i < NUMBERS; i++) {
        seed = seed * 1664525u + 1013904223u;
        numbers32[i] = (float)(int32_t)(seed >> 16) / 32768 - 1;
        numbers64[i] = (double)numbers32[i];
    }
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_anywhere),
        cmocka_unit_test(bands_anywhere),
        cmocka_unit_test(products_leave_bands_out),
        cmocka_unit_test(normalization_anywhere),
        cmocka_unit_test(hidden_layers_anywhere),
        cmocka_unit_test(deep_products_keep_their_passes),
        cmocka_unit_test(rows_are_reduced_in_place),
        cmocka_unit_test(slopes_are_made_forward),
        cmocka_unit_test(cells_anywhere),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
