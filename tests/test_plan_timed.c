/* Runs with a clock: the same bits as without one, and times that follow each other; what the machine can do.
 * Rests on the public API. No figure is compared with another machine's: only what must hold on any. */
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

enum { ROWS = 96, COLUMNS = 160 };

typedef struct chain {
    soma_context *context;
    soma_graph *graph;
    soma_variable *weight;
    soma_tensor *x;
    soma_plan *plan;
    float data[ROWS * COLUMNS];
} chain;

/* Two products with a softmax between them, and a weight that each run changes. */
static chain *make(int threads) {
    static const int64_t square[] = {COLUMNS, COLUMNS};
    chain *c = calloc(1, sizeof *c);
    float *start = calloc(COLUMNS * COLUMNS, sizeof *start);
    assert_non_null(c);
    assert_non_null(start);
    c->context = soma_context_create(&(soma_context_options){.threads = threads});
    c->graph = soma_graph_create(c->context);
    c->weight = soma_variable_create(c->context, "w", SOMA_F32, 2, square);
    for (int i = 0; i < COLUMNS * COLUMNS; i++)
        start[i] = (float)(i * 37 % 101) / 101.0f - 0.5f;
    for (int i = 0; i < ROWS * COLUMNS; i++)
        c->data[i] = (float)(i * 53 % 97) / 97.0f - 0.5f;
    assert_int_equal(soma_variable_set(c->weight, start, COLUMNS * COLUMNS * sizeof *start), SOMA_OK);
    free(start);
    c->x = soma_input(c->graph, SOMA_F32, SOMA_DIMS(ROWS, COLUMNS), "x");
    soma_tensor *w = soma_read(c->graph, c->weight);
    soma_tensor *y = soma_matmul(soma_softmax_axis(soma_matmul(c->x, w), -1), w);
    soma_tensor *targets[] = {y, soma_assign(c->weight, soma_mul_scalar(soma_add_scalar(w, 0.125), 0.5))};
    c->plan = soma_plan_create(targets, 2, NULL);
    assert_non_null(c->plan);
    return c;
}

static void destroy(chain *c) {
    soma_plan_destroy(c->plan);
    soma_graph_destroy(c->graph);
    soma_variable_destroy(c->weight);
    soma_context_destroy(c->context);
    free(c);
}

static void same_bits_as_a_plain_run(void **state) {
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        chain *plain = make(threads), *timed = make(threads);
        assert_int_equal(soma_plan_bind(plain->plan, plain->x, plain->data), SOMA_OK);
        assert_int_equal(soma_plan_bind(timed->plan, timed->x, timed->data), SOMA_OK);
        const int n = soma_plan_steps(timed->plan), part = soma_plan_threads(timed->plan);
        soma_plan_time *times = calloc((size_t)n * (size_t)part, sizeof *times);
        for (int run = 0; run < 3; run++) {
            assert_int_equal(soma_plan_run(plain->plan), SOMA_OK);
            assert_int_equal(soma_plan_run_timed(timed->plan, times), SOMA_OK);
            const float *a = soma_plan_output(plain->plan, 0), *b = soma_plan_output(timed->plan, 0);
            assert_memory_equal(a, b, ROWS * COLUMNS * sizeof *a);
            assert_true(fabsf(a[0]) > 1e-6f);
        }
        free(times);
        destroy(plain);
        destroy(timed);
    }
}

static void times_follow_each_other(void **state) {
    (void)state;
    chain *c = make(3);
    assert_int_equal(soma_plan_bind(c->plan, c->x, c->data), SOMA_OK);
    const int n = soma_plan_steps(c->plan), threads = soma_plan_threads(c->plan);
    assert_int_equal(threads, 3);
    assert_true(n >= 3);
    soma_plan_time *times = malloc((size_t)n * (size_t)threads * sizeof *times);
    memset(times, 0xff, (size_t)n * (size_t)threads * sizeof *times);
    assert_int_equal(soma_plan_run_timed(c->plan, times), SOMA_OK);
    int alone = 0;
    for (int t = 0; t < threads; t++) {
        double before = 0;
        for (int i = 0; i < n; i++) {
            const soma_plan_time *time = &times[i * threads + t];
            if (t > 0 && !soma_plan_get_step(c->plan, i).parallel) {
                assert_true(time->arrive == 0 && time->start == 0 && time->end == 0);
                alone++;
                continue;
            }
            assert_true(before <= time->arrive && time->arrive <= time->start && time->start <= time->end);
            assert_true(time->end > 0);
            before = time->end;
        }
    }
    assert_true(alone < n * (threads - 1)); /* some step is shared, or there was nothing to see */
    free(times);
    destroy(c);
}

static void what_is_missing_is_an_error(void **state) {
    (void)state;
    chain *c = make(1);
    soma_plan_time *times = calloc((size_t)soma_plan_steps(c->plan), sizeof *times);
    assert_int_equal(soma_plan_run_timed(NULL, times), SOMA_INVALID);
    assert_int_equal(soma_plan_run_timed(c->plan, NULL), SOMA_INVALID);
    assert_int_equal(soma_plan_threads(NULL), 0);
    assert_int_equal(soma_plan_run_timed(c->plan, times), SOMA_INVALID);
    assert_non_null(strstr(soma_last_error(c->context), "'x' has no data"));
    free(times);
    destroy(c);
}

static void the_machine_is_measured(void **state) {
    (void)state;
    soma_machine machine = {0, 0};
    assert_int_equal(soma_measure_machine(NULL, &machine), SOMA_OK);
    assert_true(machine.flops > 1e7 && machine.flops < 1e16);
    assert_true(machine.bytes > 1e7 && machine.bytes < 1e14);
    assert_int_equal(soma_measure_machine(NULL, NULL), SOMA_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_as_a_plain_run),
        cmocka_unit_test(times_follow_each_other),
        cmocka_unit_test(what_is_missing_is_an_error),
        cmocka_unit_test(the_machine_is_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
