/* Inputs bound row by row: the same bits as the rows gathered beforehand, on any number of threads.
 * Rests on cmocka and plan/rows.h. One input is small enough for a copy a thread, the other is gathered by all
 * together.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <soma/soma.h>

#include "plan/rows.h"

enum { SAMPLES = 50, BATCH = 32, SMALL = 784, LARGE = 12000, UNITS = 256 };

static uint8_t samples[SAMPLES * LARGE], gathered[BATCH * LARGE];
static float weights[LARGE * UNITS];

static void fill(void) {
    uint32_t state = 7;
    for (size_t i = 0; i < sizeof samples; i++)
        samples[i] = (uint8_t)((state = state * 1664525 + 1013904223) >> 24);
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        weights[i] = (float)((state = state * 1664525 + 1013904223) >> 16) * 0x1p-16f - 0.5f;
}

/* relu(x/255 w) for the rows in order, through plan_bind_rows or from rows gathered here. */
static void run(int threads, int64_t width, const int64_t (*orders)[BATCH], int n, bool by_rows, float *out) {
    soma_context *context = soma_context_create(&(soma_context_options){.threads = threads});
    soma_graph *graph = soma_graph_create(context);
    soma_tensor *x = soma_input(graph, SOMA_U8, SOMA_DIMS(BATCH, width), "x");
    soma_tensor *w = soma_array_view(graph, SOMA_F32, SOMA_DIMS(width, UNITS), weights);
    soma_tensor *y = soma_relu(soma_matmul(soma_mul_scalar(soma_cast(x, SOMA_F32), 1.0 / 255), w));
    soma_plan *plan = soma_plan_create(&y, 1, NULL);
    assert_non_null(plan);
    for (int k = 0; k < n; k++) {
        for (int64_t i = 0; i < BATCH && !by_rows; i++)
            memcpy(gathered + i * width, samples + orders[k][i] * width, (size_t)width);
        assert_int_equal(by_rows ? plan_bind_rows(plan, x, samples, orders[k]) : soma_plan_bind(plan, x, gathered),
                         SOMA_OK);
        assert_int_equal(soma_plan_run(plan), SOMA_OK);
        memcpy(out + (int64_t)k * BATCH * UNITS, soma_plan_output(plan, 0), BATCH * UNITS * sizeof *out);
    }
    if (by_rows) { /* bound as a whole again */
        memcpy(gathered, samples, sizeof gathered);
        assert_int_equal(plan_bind_rows(plan, x, gathered, NULL), SOMA_OK);
        assert_int_equal(soma_plan_run(plan), SOMA_OK);
        assert_memory_not_equal(out, soma_plan_output(plan, 0), BATCH * UNITS * sizeof *out);
    }
    soma_plan_destroy(plan);
    soma_graph_destroy(graph);
    soma_context_destroy(context);
}

static void rows_are_gathered(void **state) {
    (void)state;
    static float expected[2 * BATCH * UNITS], found[2 * BATCH * UNITS];
    int64_t orders[2][BATCH];
    for (int64_t i = 0; i < BATCH; i++) {
        orders[0][i] = (i * 7 + 3) % SAMPLES;
        orders[1][i] = SAMPLES - 1 - i;
    }
    fill();
    static const int64_t widths[] = {SMALL, LARGE};
    for (int i = 0; i < 2; i++) {
        run(1, widths[i], (const int64_t(*)[BATCH])orders, 2, false, expected);
        for (int threads = 1; threads <= 5; threads++) {
            memset(found, 0, sizeof found);
            run(threads, widths[i], (const int64_t(*)[BATCH])orders, 2, true, found);
            assert_memory_equal(found, expected, sizeof found);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_are_gathered)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
