/* Memory of plans: nothing is allocated after the first run, plans may share it, and every allocation may
 * fail.
 * Rests on support/failing. The sweep refuses the n-th request, n = 0, 1, 2, ..., until all goes well: each time there
 * is an error or a result, never a crash, and nothing is left over. */
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

#include "plan/shared_memory.h"
#include "support/failing.h"
#include "support/random_graph.h"

enum { ROWS = 20, INPUTS = 9, HIDDEN = 17, CLASSES = 4 };

/* A training step with nearly every kind of step and storage. */
typedef struct training {
    soma_context *context;
    soma_variable *w1, *b1, *w2, *v1, *count;
    soma_graph *graph;
    soma_tensor *x, *labels;
    soma_plan *plan;
    float data[ROWS * INPUTS], loss;
    int32_t classes[ROWS];
} training;

static void fill(training *t) {
    for (int i = 0; i < ROWS * INPUTS; i++)
        t->data[i] = (float)(i * 7 % 13 - 6) / 6;
    for (int i = 0; i < ROWS; i++)
        t->classes[i] = i * 3 % CLASSES;
}

static bool set_weight(soma_variable *v, int n) {
    float values[INPUTS * HIDDEN];
    for (int i = 0; i < n; i++)
        values[i] = (float)(i * 5 % 11 - 5) / 20;
    return soma_variable_set(v, values, (size_t)n * sizeof *values) == SOMA_OK;
}

static bool make_variables(training *t) {
    soma_context *c = t->context;
    t->w1 = soma_variable_create(c, "w1", SOMA_F32, SOMA_DIMS(INPUTS, HIDDEN));
    t->b1 = soma_variable_create(c, "b1", SOMA_F32, SOMA_DIMS(HIDDEN));
    t->w2 = soma_variable_create(c, "w2", SOMA_F32, SOMA_DIMS(HIDDEN, CLASSES));
    t->v1 = soma_variable_create(c, "v1", SOMA_F32, SOMA_DIMS(INPUTS, HIDDEN));
    t->count = soma_variable_create(c, "count", SOMA_I64, SOMA_SCALAR_DIMS);
    if (!t->w1 || !t->b1 || !t->w2 || !t->v1 || !t->count) return false;
    return set_weight(t->w1, INPUTS * HIDDEN) && set_weight(t->w2, HIDDEN * CLASSES);
}

static soma_tensor *build_loss(training *t, soma_tensor *const *w, soma_tensor *step) {
    soma_graph *g = t->graph;
    soma_tensor *h = soma_tanh(soma_add(soma_matmul(t->x, w[0]), w[1]));
    soma_tensor *u = soma_random_uniform(g, SOMA_F32, SOMA_DIMS(ROWS, HIDDEN), 0, 1, step);
    h = soma_where(soma_less(u, soma_scalar(g, SOMA_F32, 0.75)), h, soma_scalar(g, SOMA_F32, 0));
    soma_tensor *doubled = soma_concat((soma_tensor *[]){h, soma_slice(h, "::-1")}, 2, 0);
    soma_tensor *y = soma_matmul(soma_slice_axis(doubled, 0, 0, ROWS, 1), w[2]);
    soma_tensor *picked = soma_mul(soma_log_softmax(y, -1), soma_one_hot(t->labels, CLASSES, SOMA_F32));
    return soma_neg(soma_mean(soma_sum(picked, SOMA_AXES(-1), false), SOMA_ALL_AXES, false));
}

static bool make_plan(training *t) {
    soma_tensor *w[3], *dw[3], *targets[6];
    t->graph = soma_graph_create(t->context);
    if (!t->graph) return false;
    t->x = soma_input(t->graph, SOMA_F32, SOMA_DIMS(ROWS, INPUTS), "x");
    t->labels = soma_input(t->graph, SOMA_I32, SOMA_DIMS(ROWS), "labels");
    w[0] = soma_read(t->graph, t->w1);
    w[1] = soma_read(t->graph, t->b1);
    w[2] = soma_read(t->graph, t->w2);
    soma_tensor *v = soma_read(t->graph, t->v1), *step = soma_read(t->graph, t->count);
    targets[0] = build_loss(t, w, step);
    if (!targets[0] || soma_grad(targets[0], w, 3, dw) != SOMA_OK) return false;
    v = soma_add(soma_mul_scalar(v, 0.9), dw[0]);
    targets[1] = soma_assign(t->v1, v);
    targets[2] = soma_assign(t->w1, soma_sub(w[0], soma_mul_scalar(v, 0.1)));
    targets[3] = soma_assign(t->b1, soma_sub(w[1], soma_mul_scalar(dw[1], 0.1)));
    targets[4] = soma_assign(t->w2, soma_sub(w[2], soma_mul_scalar(dw[2], 0.1)));
    targets[5] = soma_assign(t->count, soma_add_scalar(step, 1));
    t->plan = soma_plan_create(targets, 6, NULL);
    return t->plan && soma_plan_bind(t->plan, t->x, t->data) == SOMA_OK &&
           soma_plan_bind(t->plan, t->labels, t->classes) == SOMA_OK;
}

static bool run(training *t) {
    if (soma_plan_run(t->plan) != SOMA_OK) return false;
    t->loss = *(const float *)soma_plan_output(t->plan, 0);
    return true;
}

static void end(training *t) {
    soma_plan_destroy(t->plan);
    soma_graph_destroy(t->graph);
    soma_variable_destroy(t->w1);
    soma_variable_destroy(t->b1);
    soma_variable_destroy(t->w2);
    soma_variable_destroy(t->v1);
    soma_variable_destroy(t->count);
}

/* Everything but what failing_context itself asked for is given back. */
static void check_balance(const failing *f) {
    failing empty;
    soma_context_destroy(failing_context(&empty, 1));
    assert_int_equal(f->blocks, empty.blocks);
    assert_int_equal(f->bytes, empty.bytes);
    assert_false(f->wrong_size);
}

/* ---- nothing after the first run ---- */

static void runs_allocate_nothing(void **state) {
    (void)state;
    failing f;
    training t = {.context = failing_context(&f, 2)};
    fill(&t);
    assert_true(make_variables(&t) && make_plan(&t) && run(&t));
    int64_t after_first = f.requests;
    float first = t.loss;
    for (int i = 0; i < 20; i++)
        assert_true(run(&t));
    assert_int_equal(f.requests, after_first);
    assert_true(t.loss < first);
    end(&t);
    soma_context_destroy(t.context);
    check_balance(&f);
}

/* Random plans that leave a variable's layout alone run again without asking for memory. */
static void random_runs_allocate_nothing(void **state) {
    (void)state;
    failing f;
    soma_context *c = failing_context(&f, 2);
    for (uint64_t seed = 1; seed <= 100; seed++) {
        random_graph *r = random_graph_create(c, seed, 25);
        soma_plan *plan = random_graph_plan(r, NULL);
        assert_non_null(plan);
        assert_int_equal(soma_plan_run(plan), SOMA_OK);
        int64_t requests = f.requests;
        assert_int_equal(soma_plan_run(plan), SOMA_OK);
        assert_int_equal(f.requests, requests);
        soma_plan_destroy(plan);
        random_graph_destroy(r);
    }
    soma_context_destroy(c);
    check_balance(&f);
}

/* ---- one memory for several plans ---- */

/* Runs the plan from the graph's first state; its outputs must be those of the other plan of the same graph. */
static void expect_outputs(const random_graph *r, soma_plan *plan, const soma_plan *alone) {
    random_graph_reset(r);
    assert_int_equal(soma_plan_run(plan), SOMA_OK);
    for (int i = 0; i < r->n_targets; i++) {
        const void *output = soma_plan_output(plan, i), *expected = soma_plan_output(alone, i);
        const soma_tensor *t = r->targets[i];
        if (!expected) continue; /* an assign */
        if (memcmp(output, expected, (size_t)soma_size(t) * soma_dtype_size(soma_tensor_dtype(t))) != 0)
            fail_msg("seed %llu, target %d", (unsigned long long)r->seed, i);
    }
}

/* Whatever is left there by other plans, wherever it has moved since the last run. */
static void plans_share_memory(void **state) {
    (void)state;
    enum { PLANS = 4 };
    failing f;
    soma_context *c = failing_context(&f, 2);
    for (uint64_t seed = 1; seed <= 40; seed++) {
        random_graph *r[PLANS];
        soma_plan *alone[PLANS], *sharing[PLANS];
        shared_memory memory = {NULL, 0};
        for (int i = 0; i < PLANS; i++) {
            r[i] = random_graph_create(c, (i % 2 ? RANDOM_BLOCKS : 0) + seed + 100 * (uint64_t)i, 8 << i);
            alone[i] = random_graph_plan(r[i], NULL);
            sharing[i] = random_graph_plan(r[i], NULL);
            assert_true(alone[i] && sharing[i]);
            assert_int_equal(soma_plan_run(alone[i]), SOMA_OK);
            const int64_t before = f.bytes;
            const size_t all = memory.bytes;
            plan_share_memory(sharing[i], &memory);
            assert_true(f.bytes < before || all == 0); /* one of the two memories is gone */
            for (int k = i; k >= 0; k--) {
                memset(memory.data, 0xA5, memory.bytes);
                expect_outputs(r[k], sharing[k], alone[k]);
            }
        }
        for (int i = 0; i < PLANS; i++) {
            soma_plan_destroy(alone[i]);
            soma_plan_destroy(sharing[i]);
            random_graph_destroy(r[i]);
        }
        shared_memory_free(&memory, c);
    }
    soma_context_destroy(c);
    check_balance(&f);
}

/* ---- every request may fail ---- */

/* One attempt; true when it went well to the end. */
static bool attempt(failing *f, int64_t refuse, int threads, bool (*work)(training *t)) {
    training t = {.context = failing_context(f, threads)};
    fill(&t);
    f->refuse = refuse;
    bool good = work(&t);
    bool refused = f->requests > refuse;
    f->refuse = -1;
    if (good) assert_true(isfinite(t.loss));
    if (!good) {
        assert_true(refused);
        assert_int_equal(soma_last_status(t.context), SOMA_NO_MEMORY);
        assert_true(soma_last_error(t.context)[0] != 0);
    }
    end(&t);
    soma_context_destroy(t.context);
    check_balance(f);
    return good && !refused;
}

static void sweep(int threads, bool (*work)(training *t)) {
    failing f;
    int64_t n = 0;
    while (!attempt(&f, n, threads, work))
        n++;
    assert_true(n > 10); /* something was asked for */
}

static bool train_twice(training *t) {
    return make_variables(t) && make_plan(t) && run(t) && run(t);
}

static bool evaluate(training *t) {
    t->graph = soma_graph_create(t->context);
    if (!t->graph) return false;
    soma_tensor *x = soma_array(t->graph, SOMA_F32, SOMA_DIMS(ROWS, INPUTS), t->data);
    soma_tensor *y = soma_matmul(soma_transpose(x, NULL), soma_softmax_axis(x, -1));
    soma_tensor *top = soma_cast(soma_argmax(y, 0, false), SOMA_F32);
    soma_tensor *sum = soma_sum(soma_mul(soma_cumsum(y, 0), top), SOMA_ALL_AXES, false);
    if (!sum || soma_eval(sum) != SOMA_OK || soma_eval(soma_exp(soma_neg(y))) != SOMA_OK) return false;
    t->loss = (float)soma_item(sum, 0);
    char *text = soma_to_string(y);
    soma_string_free(text);
    return text != NULL;
}

static void training_survives_refusals(void **state) {
    (void)state;
    sweep(1, train_twice);
    sweep(3, train_twice);
}

static void evaluating_survives_refusals(void **state) {
    (void)state;
    sweep(1, evaluate);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_allocate_nothing),        cmocka_unit_test(random_runs_allocate_nothing),
        cmocka_unit_test(plans_share_memory),           cmocka_unit_test(training_survives_refusals),
        cmocka_unit_test(evaluating_survives_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
