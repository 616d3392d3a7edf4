/* How plans compute with floats: what is too small for a whole mantissa is zero, and rounding is to nearest, on every
 * thread, at every instruction set, whatever modes the caller has; these are as before afterwards.
 * Rests on the public API. Where the library leaves the processor's modes alone, there is nothing to see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fenv.h>
#include <float.h>

#include <soma/soma.h>

#include "base/arithmetic.h"
#include "cpu/cpu.h"
#include "cpu/reference/element.h"

enum { SMALL = 5, LARGE = 1 << 18 };

/* x times y; reference: by the plain kernels. */
static void *multiplied(const char *isa, int threads, bool reference, soma_dtype type, int64_t n, double x, double y) {
    soma_context *context = soma_context_create(&(soma_context_options){.isa = isa, .threads = threads});
    const size_t bytes = (size_t)n * soma_dtype_size(type);
    void *data = malloc(bytes), *result = malloc(bytes);
    assert_true(context && data && result);
    for (int64_t i = 0; i < n; i++)
        element_set(type, data, i, x);
    soma_graph *graph = soma_graph_create(context);
    soma_tensor *in = soma_input(graph, type, SOMA_DIMS(n), "x"), *out = soma_mul_scalar(in, y);
    soma_plan *plan = soma_plan_create(&out, 1, &(soma_plan_options){.reference = reference});
    assert_non_null(plan);
    assert_int_equal(soma_plan_bind(plan, in, data), SOMA_OK);
    assert_int_equal(soma_plan_run(plan), SOMA_OK);
    memcpy(result, soma_plan_output(plan, 0), bytes);
    soma_plan_destroy(plan);
    soma_graph_destroy(graph);
    soma_context_destroy(context);
    free(data);
    return result;
}

static void expect(soma_dtype type, int64_t n, double x, double y, double expected) {
    const cpu_kernels *level;
    for (int i = 0; (level = cpu_level(i)) != NULL; i++)
        for (int threads = 1; threads <= 3; threads++) {
            void *result = multiplied(level->name, threads, threads == 3, type, n, x, y);
            for (int64_t k = 0; k < n; k++)
                if (element_get(type, result, k) != expected)
                    fail_msg("%s, %s, %d threads: %g times %g, element %d is %g, not %g", level->name,
                             soma_dtype_name(type), threads, x, y, (int)k, element_get(type, result, k), expected);
            free(result);
        }
}

static void small_numbers_are_zeros(void **state) {
    (void)state;
    const bool flushes = ARITHMETIC_OURS != 0;
    const double least[2] = {(double)FLT_MIN, DBL_MIN};
    for (int t = 0; t < 2; t++) {
        const soma_dtype type = t ? SOMA_F64 : SOMA_F32;
        for (int64_t n = SMALL; n <= LARGE; n += LARGE - SMALL) {
            expect(type, n, 2 * least[t], 0.5, least[t]);
            expect(type, n, least[t], 0.5, flushes ? 0 : least[t] / 2);        /* a result */
            expect(type, n, least[t] / 2, 1024, flushes ? 0 : 512 * least[t]); /* an operand */
        }
    }
}

static void modes_are_the_callers(void **state) {
    (void)state;
    volatile float tiny = FLT_MIN;
    const double above = 1 + (double)FLT_EPSILON;
    assert_int_equal(fesetround(FE_UPWARD), 0);
    feclearexcept(FE_ALL_EXCEPT);
    float *nearest = multiplied(NULL, 1, false, SOMA_F32, SMALL, above, above);
    float *infinite = multiplied(NULL, 1, false, SOMA_F32, SMALL, 1e30, 1e30);
    const int mode = fegetround(), raised = fetestexcept(FE_OVERFLOW);
    fesetround(FE_TONEAREST);
    tiny *= 0.5f;
    assert_true(nearest[0] == 1 + 2 * FLT_EPSILON);
    assert_true(infinite[0] > FLT_MAX);
    assert_true(tiny > 0);
    assert_int_equal(mode, FE_UPWARD);
    assert_int_equal(raised, 0);
    free(nearest);
    free(infinite);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_numbers_are_zeros),
        cmocka_unit_test(modes_are_the_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
