/* Every op on its samples: infer against the result, compiled against the reference at every instruction set, golden
 * values of NumPy, dtypes, slices, and the text of every error.
 * Rests on ops.def and the samples in it: a new op is tested by being there. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <soma/ops.h>

#include "cpu/reference/element.h"
#include "ops/build.h"
#include "support/samples.h"

/* ---- the battery ---- */

/* How far a result may be off the reference, relative to the greatest magnitude in it; 0: equal. */
static double tolerance(soma_dtype dtype) {
    switch (dtype) {
    case SOMA_F64:
        return 2e-14;
    case SOMA_F32:
        return 4e-6;
    case SOMA_F16:
        return 1e-3;
    case SOMA_BF16:
        return 8e-3;
    default:
        return 0;
    }
}

/* The battery goes on after a failure: all that is wrong is worth knowing. */
static int failures;
#define COMPLAIN(...) (failures++, print_error(__VA_ARGS__))

static void compare(const char *where, const soma_tensor *y, const double *got, const double *expected) {
    int64_t size = soma_size(y);
    double most = 0;
    for (int64_t i = 0; i < size; i++)
        if (isfinite(expected[i]) && fabs(expected[i]) > most) most = fabs(expected[i]);
    for (int64_t i = 0; i < size; i++) {
        bool same = got[i] == expected[i] || (isnan(got[i]) && isnan(expected[i])) ||
                    fabs(got[i] - expected[i]) <= tolerance(y->dtype) * most;
        if (same) continue;
        COMPLAIN("%s: element %d is %.9g, expected %.9g\n", where, (int)i, got[i], expected[i]);
        return;
    }
}

/* What infer says is what the node has. */
static void check_inference(const char *where, const soma_tensor *y) {
    soma_dtype dtype;
    int rank;
    int64_t shape[SOMA_MAX_RANK] = {0};
    if (y->op->infer(y->graph, y->op, y->inputs, y->n_inputs, &y->attributes, &dtype, &rank, shape) != SOMA_OK)
        fail_msg("%s: infer rejects its own node", where);
    assert_int_equal(dtype, y->dtype);
    assert_true(shape_equal(rank, shape, y->rank, y->shape));
}

/* Maps have what op.h promises the compiler. */
static void check_promises(const char *where, const soma_tensor *y) {
    for (int i = 0; i < y->n_inputs; i++) {
        const soma_tensor *x = y->inputs[i];
        bool shapes = y->op->kind != OP_MAP || shape_equal(x->rank, x->shape, y->rank, y->shape);
        if (x->id >= y->id || !shapes) fail_msg("%s: input %d of %s is not as promised", where, i, y->op->name);
    }
}

/* True if the op is among what was run. */
static bool run_sample(const op *self, const op_sample *sample, soma_context *context, soma_dtype real) {
    char where[128];
    snprintf(where, sizeof where, "%s, %s, %s, %s", self->name, sample->name, soma_dtype_name(real), soma_isa(context));
    sample_case c = sample_start(sample, context, real, 7);
    if (!c.y) fail_msg("%s: %s", where, soma_last_error(context));
    bool present = false;
    for (int64_t id = 0; id < c.graph->n_nodes; id++) {
        const soma_tensor *node = c.graph->nodes[id];
        present = present || node->op == self;
        check_inference(where, node);
        check_promises(where, node);
    }
    double *expected = sample_values(&c, c.y, true), *got = sample_values(&c, c.y, false);
    if (expected && got) {
        compare(where, c.y, got, expected);
    } else {
        COMPLAIN("%s: %s\n", where, soma_last_error(context));
        soma_clear_error(context);
    }
    free(expected);
    free(got);
    sample_end(&c);
    return present;
}

static const char *const NO_SAMPLES[] = {"input", "read", "assign", NULL};

static bool without_samples(const op *self) {
    for (const char *const *name = NO_SAMPLES; *name; name++)
        if (strcmp(self->name, *name) == 0) return true;
    return false;
}

static void samples_at_every_level(void **state) {
    (void)state;
    int levels = 0;
    for (const cpu_kernels *level; (level = cpu_level(levels)) != NULL; levels++) {
        soma_context *context =
            soma_context_create(&(soma_context_options){.isa = level->name, .threads = 2, .seed = 5});
        assert_non_null(context);
        for (int i = 0; i < op_count; i++) {
            if (without_samples(op_table[i])) continue;
            if (!op_table[i]->samples || !op_table[i]->samples[0].name) fail_msg("%s: no samples", op_table[i]->name);
            int present = 0;
            for (const op_sample *sample = op_table[i]->samples; sample->name; sample++) {
                present += run_sample(op_table[i], sample, context, SOMA_F32);
                present += run_sample(op_table[i], sample, context, SOMA_F64);
            }
            if (present == 0) COMPLAIN("%s is in none of its samples\n", op_table[i]->name);
        }
        soma_context_destroy(context);
    }
    assert_true(levels > 0);
    assert_int_equal(failures, 0);
}

static void descriptors_are_complete(void **state) {
    (void)state;
    for (int i = 0; i < op_count; i++) {
        const op *self = op_table[i];
        assert_non_null(self->name);
        assert_non_null(self->infer);
        assert_non_null(self->reference);
        if (!self->doc || !*self->doc) fail_msg("%s has no formula", self->name);
        if (self->kind == OP_MAP) assert_in_range(self->code, 0, CPU_MAP_COUNT - 1);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(self->name, op_table[j]->name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_are_complete),
        cmocka_unit_test(samples_at_every_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
