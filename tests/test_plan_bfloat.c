/* Values that a plan stores as bfloat16: to the bit what explicit casts to bfloat16 and back give, whoever reads them
 * (products by rows and by columns, windows, packing, row programs, moves), at every instruction set, with one to three
 * threads, at odd sizes. Rests on plan/steps.h to see that arrays are stored so, and on the public ops.
 * A network here marks what it wants stored; the twin that is held against it casts there. */
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
#include "plan/steps.h"

enum { INPUTS = 3, TARGETS = 4, NUMBERS = 1 << 20 };

static float numbers[NUMBERS];
static double numbers64[NUMBERS];

typedef struct net {
    soma_graph *graph;
    soma_variable *scale; /* a number: what it has a part in may be rounded */
    soma_tensor *inputs[INPUTS], *targets[TARGETS];
    int n_inputs, n_targets;
    bool casts; /* the twin */
    soma_dtype dtype;
} net;

typedef void net_fn(net *n);

/* A value that the plan may round, here or by casts. */
static soma_tensor *value(net *n, int rank, const int64_t *shape) {
    soma_tensor *x = n->inputs[n->n_inputs++] = soma_input(n->graph, n->dtype, rank, shape, "x");
    soma_tensor *y = soma_tanh(soma_mul(x, soma_cast(soma_read(n->graph, n->scale), n->dtype)));
    return n->casts ? soma_cast(soma_cast(y, SOMA_BF16), n->dtype) : y;
}

static void target(net *n, soma_tensor *t) {
    n->targets[n->n_targets++] = t;
}

/* ---- who reads ---- */

static void left_rows(net *n) {
    soma_tensor *b = soma_input(n->graph, n->dtype, SOMA_DIMS(37, 45), "b");
    n->inputs[n->n_inputs++] = b;
    target(n, soma_matmul(value(n, SOMA_DIMS(131, 37)), b));
}
static void left_columns(net *n) {
    target(n, soma_matmul(soma_transpose(value(n, SOMA_DIMS(61, 83)), NULL), value(n, SOMA_DIMS(61, 130))));
}
static void right_transposed(net *n) {
    target(n, soma_matmul(value(n, SOMA_DIMS(29, 67)), soma_transpose(value(n, SOMA_DIMS(131, 67)), NULL)));
}
static void large(net *n) {
    target(n, soma_matmul(value(n, SOMA_DIMS(150, 1100)), value(n, SOMA_DIMS(1100, 210))));
}
static void large_columns(net *n) {
    target(n, soma_matmul(soma_transpose(value(n, SOMA_DIMS(1100, 150)), NULL), value(n, SOMA_DIMS(1100, 210))));
}
static void deep(net *n) {
    target(n, soma_matmul(soma_transpose(value(n, SOMA_DIMS(5003, 53)), NULL), value(n, SOMA_DIMS(5003, 41))));
}
static void deep_wide(net *n) {
    target(n, soma_matmul(soma_transpose(value(n, SOMA_DIMS(2500, 70)), NULL), value(n, SOMA_DIMS(2500, 331))));
}
static void narrow(net *n) {
    target(n, soma_matmul(value(n, SOMA_DIMS(259, 40)), value(n, SOMA_DIMS(40, 3))));
}
static void one_row(net *n) {
    target(n, soma_matmul(value(n, SOMA_DIMS(1, 300)), value(n, SOMA_DIMS(300, 77))));
}
static void one_column(net *n) {
    target(n, soma_matmul(value(n, SOMA_DIMS(131, 300)), value(n, SOMA_DIMS(300, 1))));
}
/* Heads side by side in a row: both operands are views of permuted axes. */
static void heads(net *n) {
    const int order[] = {0, 2, 1, 3}, turned[] = {0, 2, 3, 1};
    soma_tensor *q = soma_reshape(value(n, SOMA_DIMS(3 * 35, 4 * 24)), SOMA_DIMS(3, 35, 4, 24));
    soma_tensor *k = soma_reshape(value(n, SOMA_DIMS(3 * 35, 4 * 24)), SOMA_DIMS(3, 35, 4, 24));
    soma_tensor *scores = soma_matmul(soma_transpose(q, order), soma_transpose(k, turned));
    target(n, scores);
    target(n, soma_matmul(soma_transpose(k, order), soma_transpose(q, turned)));
}
static void shared_matrix(net *n) {
    target(n, soma_matmul(value(n, SOMA_DIMS(5, 33, 64)), value(n, SOMA_DIMS(64, 50))));
}
/* A residual and a norm in the group that makes the value, a product that reads it in another. */
static void own_group(net *n) {
    soma_tensor *h = value(n, SOMA_DIMS(67, 90)), *w = soma_input(n->graph, n->dtype, SOMA_DIMS(90, 33), "w");
    n->inputs[n->n_inputs++] = w;
    target(n, soma_matmul(h, w));
    target(n, soma_sum(soma_square(h), SOMA_AXES(1), false));
    target(n, soma_add_scalar(h, 1));
}
static void conv(net *n, int64_t side, int64_t in, int64_t out, int64_t size, int64_t stride, bool same) {
    soma_tensor *x = value(n, SOMA_DIMS(3, side, side, in));
    soma_tensor *w = soma_input(n->graph, n->dtype, SOMA_DIMS(size, size, in, out), "w");
    n->inputs[n->n_inputs++] = w;
    const int64_t before = same ? (size - 1) / 2 : 0, after = same ? size / 2 : 0;
    const soma_window_options o = {.strides = {stride, stride}, .pads = {{before, after}, {before, after}}};
    soma_tensor *y = soma_conv(x, w, &o), *dw;
    if (!y) fail_msg("%s", soma_last_error(NULL));
    soma_tensor *weights = soma_sin(
        soma_reshape(soma_arange(n->graph, n->dtype, 0, (double)soma_size(y), 1), soma_ndim(y), soma_shape(y)));
    assert_int_equal(soma_grad(soma_sum(soma_mul(y, weights), SOMA_ALL_AXES, false), &w, 1, &dw), SOMA_OK);
    target(n, y);
    target(n, dw);
}
static void windows(net *n) {
    conv(n, 17, 7, 20, 3, 1, false);
}
static void windows_padded(net *n) {
    conv(n, 13, 16, 24, 3, 1, true);
}
static void windows_clipped(net *n) {
    conv(n, 12, 32, 40, 3, 1, true);
}
static void windows_strided(net *n) {
    conv(n, 16, 33, 19, 3, 2, true);
}
static void joined(net *n) {
    soma_tensor *parts[] = {value(n, SOMA_DIMS(40, 21)), value(n, SOMA_DIMS(40, 30))};
    soma_tensor *w = soma_input(n->graph, n->dtype, SOMA_DIMS(51, 26), "w");
    n->inputs[n->n_inputs++] = w;
    target(n, soma_matmul(soma_concat(parts, 2, 1), w));
}

static const struct {
    const char *name;
    net_fn *make;
} nets[] = {
    {"left_rows", left_rows},
    {"left_columns", left_columns},
    {"right_transposed", right_transposed},
    {"large", large},
    {"large_columns", large_columns},
    {"deep", deep},
    {"deep_wide", deep_wide},
    {"narrow", narrow},
    {"one_row", one_row},
    {"one_column", one_column},
    {"heads", heads},
    {"shared_matrix", shared_matrix},
    {"own_group", own_group},
    {"windows", windows},
    {"windows_padded", windows_padded},
    {"windows_clipped", windows_clipped},
    {"windows_strided", windows_strided},
    {"joined", joined},
};
enum { NETS = sizeof nets / sizeof *nets };

/* ---- running them ---- */

typedef struct result {
    char *data;
    size_t bytes, plan_bytes;
    int rounded;
} result;

static result run(soma_context *context, net_fn *make, bool casts, soma_dtype dtype, size_t bfloat16_from) {
    net n = {.graph = soma_graph_create(context), .casts = casts, .dtype = dtype};
    const float scale = 0.9f;
    n.scale = soma_variable_create(context, "scale", SOMA_F32, 0, NULL);
    assert_int_equal(soma_variable_set(n.scale, &scale, sizeof scale), SOMA_OK);
    make(&n);
    soma_plan *plan = soma_plan_create(n.targets, n.n_targets, &(soma_plan_options){.bfloat16_from = bfloat16_from});
    if (!plan) fail_msg("%s", soma_last_error(context));
    for (int i = 0; i < n.n_inputs; i++)
        assert_int_equal(
            soma_plan_bind(plan, n.inputs[i],
                           dtype == SOMA_F64 ? (void *)(numbers64 + 1001 * i) : (void *)(numbers + 1001 * i)),
            SOMA_OK);
    assert_int_equal(soma_plan_run(plan), SOMA_OK);
    result r = {.plan_bytes = soma_plan_bytes(plan)};
    for (int i = 0; i < plan->n_storages; i++)
        r.rounded += plan->storages[i].kind == STORAGE_ARENA && plan->storages[i].dtype == SOMA_BF16;
    for (int i = 0; i < n.n_targets; i++)
        r.bytes += (size_t)soma_size(n.targets[i]) * soma_dtype_size(dtype);
    char *to = r.data = malloc(r.bytes);
    assert_non_null(to);
    for (int i = 0; i < n.n_targets; i++) {
        const size_t bytes = (size_t)soma_size(n.targets[i]) * soma_dtype_size(dtype);
        memcpy(to, soma_plan_output(plan, i), bytes);
        to += bytes;
    }
    soma_plan_destroy(plan);
    soma_variable_destroy(n.scale);
    soma_graph_destroy(n.graph);
    return r;
}

static void each(void (*check)(soma_context *context, int net, const char *where)) {
    const cpu_kernels *level;
    for (int i = 0; (level = cpu_level(i)) != NULL; i++)
        for (int threads = 1; threads <= 3; threads++) {
            soma_context *context =
                soma_context_create(&(soma_context_options){.isa = level->name, .threads = threads, .seed = 5});
            for (int k = 0; k < NETS; k++)
                check(context, k, level->name);
            soma_context_destroy(context);
        }
}

static void same_as_casts(soma_context *context, int k, const char *where) {
    result mixed = run(context, nets[k].make, false, SOMA_F32, 1);
    result casts = run(context, nets[k].make, true, SOMA_F32, 0);
    if (mixed.rounded == 0) fail_msg("%s, %s: nothing is rounded", nets[k].name, where);
    if (memcmp(mixed.data, casts.data, mixed.bytes) != 0) {
        size_t i = 0;
        while (((const float *)(void *)mixed.data)[i] == ((const float *)(void *)casts.data)[i])
            i++;
        fail_msg("%s, %s, %d threads: element %zu is %.9g, by casts %.9g", nets[k].name, where, soma_threads(context),
                 i, (double)((const float *)(void *)mixed.data)[i], (double)((const float *)(void *)casts.data)[i]);
    }
    free(mixed.data);
    free(casts.data);
}

static void readers_see_what_is_stored(void **state) {
    (void)state;
    each(same_as_casts);
}

static void doubles_stay(soma_context *context, int k, const char *where) {
    (void)where;
    if (soma_threads(context) > 1) return;
    result mixed = run(context, nets[k].make, false, SOMA_F64, 1);
    result plain = run(context, nets[k].make, false, SOMA_F64, 0);
    assert_int_equal(mixed.rounded, 0);
    assert_int_equal(mixed.plan_bytes, plain.plan_bytes);
    assert_memory_equal(mixed.data, plain.data, plain.bytes);
    free(mixed.data);
    free(plain.data);
}

static void float64_is_not_concerned(void **state) {
    (void)state;
    each(doubles_stay);
}

/* Only from so many bytes on. */
static void small_values_stay(void **state) {
    (void)state;
    soma_context *context = soma_context_create(NULL);
    result below = run(context, left_rows, false, SOMA_F32, 131 * 37 * 4 + 1);
    result from = run(context, left_rows, false, SOMA_F32, 131 * 37 * 4),
           plain = run(context, left_rows, false, SOMA_F32, 0);
    assert_int_equal(below.rounded, 0);
    assert_int_equal(from.rounded, 1);
    assert_int_equal(below.plan_bytes, plain.plan_bytes);
    assert_true(from.plan_bytes < plain.plan_bytes);
    assert_memory_equal(below.data, plain.data, plain.bytes);
    assert_memory_not_equal(from.data, plain.data, plain.bytes);
    free(below.data);
    free(from.data);
    free(plain.data);
    soma_context_destroy(context);
}

static int fill(void **state) {
    (void)state;
    uint32_t seed = 7;
    for (int i = 0; i < NUMBERS; i++) {
        seed = seed * 1664525u + 1013904223u;
        numbers[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
        numbers64[i] = (double)numbers[i];
    }
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_what_is_stored),
        cmocka_unit_test(float64_is_not_concerned),
        cmocka_unit_test(small_values_stay),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
