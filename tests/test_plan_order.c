/* Variables in a plan: every read sees the old value, every assign lands, whatever is done in place.
 * Rests on the public API. Each case runs three times as a compiled and as a reference plan; both must give what a
 * plain loop gives, to the bit: the numbers are small and whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <soma/ops.h>
#include <soma/plan.h>

enum { N = 6, RUNS = 3, VALUES = N * N };

/* Two square variables, one scalar, one input; what the case does with them. */
typedef struct world {
    soma_context *context;
    soma_graph *graph;
    soma_variable *a, *b, *count;
    soma_tensor *old_a, *old_b, *old_count, *x;
    soma_tensor *targets[8];
    int n;
} world;

typedef struct state {
    float a[N][N], b[N][N], out[N][N];
    int64_t count;
} state;

typedef struct test_case {
    const char *name;
    void (*build)(world *w);
    void (*expect)(state *s, float x[N][N]); /* one run; out: the first target, when it is no assign */
} test_case;

static void target(world *w, soma_tensor *t) {
    w->targets[w->n++] = t;
}

/* ---- the cases ---- */

static void build_count(world *w) {
    target(w, w->old_a);
    target(w, soma_assign(w->a, soma_add_scalar(w->old_a, 1)));
    target(w, soma_assign(w->count, soma_add_scalar(w->old_count, 1)));
}
static void expect_count(state *s, float x[N][N]) {
    (void)x;
    memcpy(s->out, s->a, sizeof s->out);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            s->a[i][j] += 1;
    s->count++;
}

static void build_swap(world *w) {
    target(w, soma_assign(w->a, w->old_b));
    target(w, soma_assign(w->b, w->old_a));
}
static void expect_swap(state *s, float x[N][N]) {
    float t[N][N];
    (void)x;
    memcpy(t, s->a, sizeof t);
    memcpy(s->a, s->b, sizeof t);
    memcpy(s->b, t, sizeof t);
}

static void build_swap_twisted(world *w) {
    target(w, soma_assign(w->a, soma_transpose(w->old_b, NULL)));
    target(w, soma_assign(w->b, soma_slice(w->old_a, "::-1, :")));
}
static void expect_swap_twisted(state *s, float x[N][N]) {
    state old = *s;
    (void)x;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            s->a[i][j] = old.b[j][i];
            s->b[i][j] = old.a[N - 1 - i][j];
        }
}

static void build_swap_flat(world *w) {
    soma_tensor *flat = soma_reshape(w->old_b, SOMA_DIMS(N * N));
    target(w, soma_assign(w->a, soma_reshape(flat, SOMA_DIMS(N, N))));
    target(w, soma_assign(w->b, soma_neg(soma_neg(w->old_a))));
}

/* a and b from each other in one step of maps. */
static void build_mixed(world *w) {
    soma_tensor *sum = soma_add(w->old_a, w->old_b);
    target(w, soma_assign(w->a, soma_sub(sum, w->x)));
    target(w, soma_assign(w->b, soma_sub(w->old_a, sum)));
}
static void expect_mixed(state *s, float x[N][N]) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            float sum = s->a[i][j] + s->b[i][j], old = s->a[i][j];
            s->a[i][j] = sum - x[i][j];
            s->b[i][j] = old - sum;
        }
}

static void build_leaves(world *w) {
    target(w, w->x);
    target(w, soma_assign(w->a, w->x));
    target(w, soma_assign(w->b, soma_full(w->graph, SOMA_F32, SOMA_DIMS(N, N), 7)));
    target(w, soma_assign(w->count, soma_scalar(w->graph, SOMA_I64, 41)));
}
static void expect_leaves(state *s, float x[N][N]) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            s->out[i][j] = s->a[i][j] = x[i][j];
            s->b[i][j] = 7;
        }
    s->count = 41;
}

static void build_transposed(world *w) {
    target(w, soma_assign(w->a, soma_transpose(w->old_a, NULL)));
    target(w, soma_assign(w->b, soma_slice(w->old_b, "::-1, ::-1")));
}
static void expect_transposed(state *s, float x[N][N]) {
    state old = *s;
    (void)x;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            s->a[i][j] = old.a[j][i];
            s->b[i][j] = old.b[N - 1 - i][N - 1 - j];
        }
}

/* The new value is an output too. */
static void build_output(world *w) {
    soma_tensor *made = soma_add(w->old_a, w->x);
    target(w, made);
    target(w, soma_assign(w->a, made));
    target(w, soma_assign(w->b, made));
}
static void expect_output(state *s, float x[N][N]) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            s->out[i][j] = s->b[i][j] = s->a[i][j] += x[i][j];
}

/* The old value is read again by what waits for the new one. */
static void build_late_reader(world *w) {
    soma_tensor *made = soma_add(w->old_a, w->x), *sums = soma_sum(made, SOMA_AXES(0), true);
    target(w, soma_add(soma_sum(soma_mul(sums, w->old_a), SOMA_AXES(0), true), w->old_a));
    target(w, soma_assign(w->a, soma_mod(made, soma_scalar(w->graph, SOMA_F32, 5))));
}
static void expect_late_reader(state *s, float x[N][N]) {
    float columns[N] = {0}, mixed[N] = {0};
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            columns[j] += s->a[i][j] + x[i][j];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            mixed[j] += columns[j] * s->a[i][j];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            s->out[i][j] = mixed[j] + s->a[i][j];
            int made = (int)(s->a[i][j] + x[i][j]);
            s->a[i][j] = (float)((made % 5 + 5) % 5);
        }
}

/* The update of a weight whose product and whose transpose are read as well. */
static void build_weight(world *w) {
    soma_tensor *y = soma_matmul(w->x, w->old_a);
    soma_tensor *back = soma_matmul(y, soma_transpose(w->old_a, NULL));
    target(w, back);
    soma_tensor *made = soma_matmul(soma_transpose(w->x, NULL), y);
    soma_tensor *five = soma_scalar(w->graph, SOMA_F32, 5);
    target(w, soma_assign(w->a, soma_mod(soma_sub(w->old_a, made), five)));
    target(w, soma_assign(w->b, soma_mod(soma_add(w->old_b, soma_square(made)), five)));
}
static void expect_weight(state *s, float x[N][N]) {
    state old = *s;
    int y[N][N] = {{0}}, made[N][N] = {{0}};
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            for (int k = 0; k < N; k++)
                y[i][j] += (int)(x[i][k] * old.a[k][j]);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            s->out[i][j] = 0;
            for (int k = 0; k < N; k++) {
                s->out[i][j] += (float)y[i][k] * old.a[j][k];
                made[i][j] += (int)x[k][i] * y[k][j];
            }
        }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            s->a[i][j] = (float)((((int)old.a[i][j] - made[i][j]) % 5 + 5) % 5);
            s->b[i][j] = (float)((((int)old.b[i][j] + made[i][j] * made[i][j]) % 5 + 5) % 5);
        }
}

/* An assign is a tensor, too: the new value. */
static void build_chained(world *w) {
    soma_tensor *set = soma_assign(w->a, soma_add(w->old_a, w->x));
    target(w, soma_mul(set, w->old_a));
    target(w, set);
    target(w, soma_assign(w->b, set));
}
static void expect_chained(state *s, float x[N][N]) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            float made = s->a[i][j] + x[i][j];
            s->out[i][j] = made * s->a[i][j];
            s->a[i][j] = s->b[i][j] = made;
        }
}

/* Rows and sums of a variable in the step that writes it. */
static void build_rows(world *w) {
    soma_tensor *most = soma_max(w->old_a, SOMA_AXES(1), true);
    target(w, soma_assign(w->a, soma_sub(w->old_a, most)));
    target(w, soma_assign(w->b, soma_add(w->old_b, soma_sum(w->old_b, SOMA_AXES(0), true))));
    target(w, soma_assign(w->count,
                          soma_add(w->old_count, soma_cast(soma_sum(w->old_a, SOMA_ALL_AXES, false), SOMA_I64))));
}
static void expect_rows(state *s, float x[N][N]) {
    float sums[N] = {0}, all = 0;
    (void)x;
    for (int i = 0; i < N; i++) {
        float most = s->a[i][0];
        for (int j = 0; j < N; j++) {
            if (s->a[i][j] > most) most = s->a[i][j];
            sums[j] += s->b[i][j];
            all += s->a[i][j];
        }
        for (int j = 0; j < N; j++)
            s->a[i][j] -= most;
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            s->b[i][j] += sums[j];
    s->count += (int64_t)all;
}

/* Old and new value both packed for products. */
static void build_packed_twice(world *w) {
    soma_tensor *made = soma_mod(soma_add(w->old_a, w->x), soma_scalar(w->graph, SOMA_F32, 3));
    target(w,
           soma_add(soma_matmul(w->x, soma_transpose(w->old_a, NULL)), soma_matmul(w->x, soma_transpose(made, NULL))));
    target(w, soma_assign(w->a, made));
    target(w, soma_assign(w->b, soma_transpose(made, NULL)));
}
static void expect_packed_twice(state *s, float x[N][N]) {
    state old = *s;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            s->b[j][i] = s->a[i][j] = (float)((((int)old.a[i][j] + (int)x[i][j]) % 3 + 3) % 3);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            s->out[i][j] = 0;
            for (int k = 0; k < N; k++)
                s->out[i][j] += x[i][k] * (old.a[j][k] + s->a[j][k]);
        }
}

static const test_case cases[] = {
    {"count", build_count, expect_count},
    {"swap", build_swap, expect_swap},
    {"swap twisted", build_swap_twisted, expect_swap_twisted},
    {"swap flat", build_swap_flat, expect_swap},
    {"mixed", build_mixed, expect_mixed},
    {"leaves", build_leaves, expect_leaves},
    {"transposed", build_transposed, expect_transposed},
    {"output", build_output, expect_output},
    {"late reader", build_late_reader, expect_late_reader},
    {"weight", build_weight, expect_weight},
    {"chained", build_chained, expect_chained},
    {"rows", build_rows, expect_rows},
    {"packed twice", build_packed_twice, expect_packed_twice},
};

/* ---- running them ---- */

static void fill(float values[N][N], int seed) {
    for (int i = 0; i < VALUES; i++)
        values[i / N][i % N] = (float)((i * 7 + seed * 5) % 11 - 5);
}

static void open_world(world *w, int threads) {
    memset(w, 0, sizeof *w);
    w->context = soma_context_create(&(soma_context_options){.threads = threads});
    w->graph = soma_graph_create(w->context);
    w->a = soma_variable_create(w->context, "a", SOMA_F32, SOMA_DIMS(N, N));
    w->b = soma_variable_create(w->context, "b", SOMA_F32, SOMA_DIMS(N, N));
    w->count = soma_variable_create(w->context, "count", SOMA_I64, SOMA_SCALAR_DIMS);
    w->old_a = soma_read(w->graph, w->a);
    w->old_b = soma_read(w->graph, w->b);
    w->old_count = soma_read(w->graph, w->count);
    w->x = soma_input(w->graph, SOMA_F32, SOMA_DIMS(N, N), "x");
}

static void close_world(world *w) {
    soma_graph_destroy(w->graph);
    soma_variable_destroy(w->a);
    soma_variable_destroy(w->b);
    soma_variable_destroy(w->count);
    soma_context_destroy(w->context);
}

static void set_state(const world *w, const state *s) {
    assert_int_equal(soma_variable_set(w->a, s->a, sizeof s->a), SOMA_OK);
    assert_int_equal(soma_variable_set(w->b, s->b, sizeof s->b), SOMA_OK);
    assert_int_equal(soma_variable_set(w->count, &s->count, sizeof s->count), SOMA_OK);
}

static void check_array(const char *where, const char *what, float got[N][N], float expected[N][N]) {
    for (int i = 0; i < VALUES; i++)
        if (got[i / N][i % N] != expected[i / N][i % N])
            fail_msg("%s: %s[%d][%d] is %g, not %g", where, what, i / N, i % N, (double)got[i / N][i % N],
                     (double)expected[i / N][i % N]);
}

static void check_state(const char *where, const world *w, const soma_plan *plan, state *expected) {
    state got = {.count = 0};
    const void *out = soma_plan_output(plan, 0);
    if (out) {
        memcpy(got.out, out, sizeof got.out);
        check_array(where, "output", got.out, expected->out);
    }
    assert_int_equal(soma_variable_get(w->a, got.a, sizeof got.a), SOMA_OK);
    assert_int_equal(soma_variable_get(w->b, got.b, sizeof got.b), SOMA_OK);
    assert_int_equal(soma_variable_get(w->count, &got.count, sizeof got.count), SOMA_OK);
    check_array(where, "a", got.a, expected->a);
    check_array(where, "b", got.b, expected->b);
    if (got.count != expected->count)
        fail_msg("%s: count is %lld, not %lld", where, (long long)got.count, (long long)expected->count);
}

static void run_case(const test_case *c, bool reference) {
    world w;
    char where[64];
    float x[N][N];
    state s = {.count = 3};
    open_world(&w, 2);
    c->build(&w);
    fill(x, 1);
    fill(s.a, 2);
    fill(s.b, 3);
    set_state(&w, &s);
    snprintf(where, sizeof where, "%s, %s", c->name, reference ? "reference" : "compiled");
    soma_plan *plan = soma_plan_create(w.targets, w.n, &(soma_plan_options){.reference = reference});
    if (!plan) fail_msg("%s: %s", where, soma_last_error(w.context));
    assert_int_equal(soma_plan_bind(plan, w.x, x), SOMA_OK);
    for (int i = 0; i < RUNS; i++) {
        if (soma_plan_run(plan) != SOMA_OK) fail_msg("%s: %s", where, soma_last_error(w.context));
        c->expect(&s, x);
        check_state(where, &w, plan, &s);
    }
    soma_plan_destroy(plan);
    close_world(&w);
}

static void run_cases(bool reference) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        run_case(&cases[i], reference);
}

static void compiled_plans_keep_the_order(void **unused) {
    (void)unused;
    run_cases(false);
}

static void reference_plans_keep_the_order(void **unused) {
    (void)unused;
    run_cases(true);
}

static void assigning_twice_is_an_error(void **unused) {
    (void)unused;
    world w;
    open_world(&w, 1);
    target(&w, soma_assign(w.a, w.x));
    target(&w, soma_assign(w.a, soma_neg(w.x)));
    assert_null(soma_plan_create(w.targets, w.n, NULL));
    assert_int_equal(soma_last_status(w.context), SOMA_INVALID);
    assert_non_null(strstr(soma_last_error(w.context), "'a'"));
    soma_clear_error(w.context);
    w.targets[1] = w.targets[0]; /* the same assign twice is one */
    soma_plan *plan = soma_plan_create(w.targets, w.n, NULL);
    assert_non_null(plan);
    soma_plan_destroy(plan);
    close_world(&w);
}

static void evaluating_an_assign_stores(void **unused) {
    (void)unused;
    world w;
    float got[N][N];
    open_world(&w, 1);
    soma_tensor *set = soma_assign(w.a, soma_full(w.graph, SOMA_F32, SOMA_DIMS(N, N), 3));
    assert_int_equal(soma_eval(set), SOMA_OK);
    assert_true(soma_item(set, 5) == 3);
    assert_int_equal(soma_variable_get(w.a, got, sizeof got), SOMA_OK);
    assert_true(got[N - 1][N - 1] == 3);
    close_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compiled_plans_keep_the_order),
        cmocka_unit_test(reference_plans_keep_the_order),
        cmocka_unit_test(assigning_twice_is_an_error),
        cmocka_unit_test(evaluating_an_assign_stores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
