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
    if (y->op->infer(y->graph, y->op, y->inputs, y->n_inputs, y->attributes, &dtype, &rank, shape) != SOMA_OK)
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

/* ---- golden values: tests/golden/ops.txt, which ops.py beside it made ---- */

typedef soma_tensor *build_fn(soma_tensor *const *xs);
typedef soma_tensor *unary_fn(soma_tensor *x);
typedef soma_tensor *binary_fn(soma_tensor *a, soma_tensor *b);

static const struct {
    const char *name;
    unary_fn *build;
} UNARY[] = {{"neg", soma_neg},
             {"abs", soma_abs},
             {"sign", soma_sign},
             {"square", soma_square},
             {"sqrt", soma_sqrt},
             {"rsqrt", soma_rsqrt},
             {"exp", soma_exp},
             {"expm1", soma_expm1},
             {"log", soma_log},
             {"log1p", soma_log1p},
             {"sin", soma_sin},
             {"cos", soma_cos},
             {"tan", soma_tan},
             {"tanh", soma_tanh},
             {"sigmoid", soma_sigmoid},
             {"erf", soma_erf},
             {"floor", soma_floor},
             {"ceil", soma_ceil},
             {"round", soma_round},
             {"trunc", soma_trunc},
             {"isnan", soma_isnan},
             {"isfinite", soma_isfinite},
             {"softplus", soma_softplus},
             {"logical_not", soma_logical_not},
             {"reciprocal", soma_reciprocal}};

static const struct {
    const char *name;
    binary_fn *build;
} BINARY[] = {{"add", soma_add},
              {"sub", soma_sub},
              {"mul", soma_mul},
              {"div", soma_div},
              {"mod", soma_mod},
              {"pow", soma_pow},
              {"atan2", soma_atan2},
              {"maximum", soma_maximum},
              {"minimum", soma_minimum},
              {"equal", soma_equal},
              {"not_equal", soma_not_equal},
              {"less", soma_less},
              {"less_equal", soma_less_equal},
              {"greater", soma_greater},
              {"greater_equal", soma_greater_equal},
              {"logical_and", soma_logical_and},
              {"logical_or", soma_logical_or},
              {"logical_xor", soma_logical_xor},
              {"matmul", soma_matmul}};

#define BUILD(name, expression)                                                                                        \
    static soma_tensor *name(soma_tensor *const *xs) {                                                                 \
        return expression;                                                                                             \
    }
#define REDUCTION(f)                                                                                                   \
    BUILD(f##_all, soma_##f(xs[0], SOMA_ALL_AXES, false))                                                              \
    BUILD(f##_1, soma_##f(xs[0], SOMA_AXES(1), false))                                                                 \
    BUILD(f##_keep, soma_##f(xs[0], SOMA_AXES(0, -1), true))
REDUCTION(sum)
REDUCTION(mean)
REDUCTION(prod)
REDUCTION(max)
REDUCTION(min)
BUILD(where, soma_where(xs[0], xs[1], xs[2]))
BUILD(argmax_1, soma_argmax(xs[0], 1, false))
BUILD(argmin_1, soma_argmin(xs[0], 1, false))
BUILD(argmin_2, soma_argmin(xs[0], 2, false))
BUILD(cumsum_0, soma_cumsum(xs[0], 0))
BUILD(cumsum_2, soma_cumsum(xs[0], 2))
BUILD(transposed, soma_transpose(xs[0], NULL))
BUILD(swapped, soma_transpose(xs[0], (const int[]){1, 0, 2}))
BUILD(reshaped, soma_reshape(xs[0], SOMA_DIMS(4, -1)))
BUILD(padded, soma_pad(xs[0], (const int64_t[]){1, 0, 1}, (const int64_t[]){0, 2, 1}, 1.5))
BUILD(concat_1, soma_concat(xs, 2, 1))
BUILD(stack_1, soma_stack(xs, 2, 1))
BUILD(gather_1, soma_gather(xs[0], xs[1], 1))
BUILD(gather_0, soma_gather(xs[0], xs[1], 0))
BUILD(one_hot, soma_one_hot(xs[0], 5, SOMA_F32))
BUILD(clip, soma_clip(xs[0], -0.5, 0.75))
BUILD(softmax_1, soma_softmax_axis(xs[0], 1))
BUILD(softmax_0, soma_softmax_axis(xs[0], 0))
BUILD(log_softmax_1, soma_log_softmax(xs[0], 1))
BUILD(logsumexp_1, soma_logsumexp(xs[0], 1, false))

static const struct {
    const char *name;
    build_fn *build;
} BUILDS[] = {{"sum all", sum_all},
              {"sum 1", sum_1},
              {"sum 0,-1 keep", sum_keep},
              {"mean all", mean_all},
              {"mean 1", mean_1},
              {"mean 0,-1 keep", mean_keep},
              {"prod all", prod_all},
              {"prod 1", prod_1},
              {"prod 0,-1 keep", prod_keep},
              {"max all", max_all},
              {"max 1", max_1},
              {"max 0,-1 keep", max_keep},
              {"min all", min_all},
              {"min 1", min_1},
              {"min 0,-1 keep", min_keep},
              {"where", where},
              {"argmax 1", argmax_1},
              {"argmin 1", argmin_1},
              {"argmin 2", argmin_2},
              {"cumsum 0", cumsum_0},
              {"cumsum 2", cumsum_2},
              {"transpose", transposed},
              {"transpose 1,0,2", swapped},
              {"reshape 4,-1", reshaped},
              {"pad", padded},
              {"concat 1", concat_1},
              {"stack 1", stack_1},
              {"gather 1", gather_1},
              {"gather 0", gather_0},
              {"one_hot", one_hot},
              {"clip", clip},
              {"softmax 1", softmax_1},
              {"softmax 0", softmax_0},
              {"log_softmax 1", log_softmax_1},
              {"logsumexp 1", logsumexp_1}};

#define FIND(table, wanted, call)                                                                                      \
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)                                                          \
        if (strcmp(table[i].name, wanted) == 0) return table[i].build call;

static soma_tensor *build_named(const char *name, soma_tensor *const *xs) {
    FIND(UNARY, name, (xs[0]))
    FIND(BINARY, name, (xs[0], xs[1]))
    FIND(BUILDS, name, (xs))
    if (strncmp(name, "slice ", 6) == 0) return soma_slice(xs[0], name + 6);
    fail_msg("golden case %s: test_ops.c does not know how to build it", name);
    return NULL;
}

/* An array of the file: a line without its first word. */
typedef struct golden {
    soma_dtype dtype;
    int rank;
    int64_t shape[SOMA_MAX_RANK];
    double *values;
    int64_t *integers;
} golden;

static golden read_golden(char *line) {
    golden g = {.rank = 0};
    char *rest = line;
    const char *name = strtok_r(line, " \n", &rest);
    while (strcmp(soma_dtype_name(g.dtype), name) != 0)
        g.dtype++;
    assert_true(g.dtype < SOMA_DTYPE_COUNT);
    g.rank = atoi(strtok_r(NULL, " \n", &rest));
    for (int i = 0; i < g.rank; i++)
        g.shape[i] = atoll(strtok_r(NULL, " \n", &rest));
    assert_string_equal(strtok_r(NULL, " \n", &rest), ":");
    int64_t size = shape_size(g.rank, g.shape);
    g.values = malloc((size_t)size * sizeof *g.values + 1);
    g.integers = malloc((size_t)size * sizeof *g.integers + 1);
    for (int64_t i = 0; i < size; i++) {
        const char *word = strtok_r(NULL, " \n", &rest);
        g.values[i] = strtod(word, NULL);
        g.integers[i] = strtoll(word, NULL, 10);
    }
    return g;
}

static void free_golden(golden *g) {
    free(g->values);
    free(g->integers);
}

/* The array as a constant, floats in the dtype real. */
static soma_tensor *golden_tensor(const golden *g, soma_dtype real) {
    int64_t size = shape_size(g->rank, g->shape);
    soma_dtype dtype = g->dtype == SOMA_F64 ? real : g->dtype;
    char *data = malloc((size_t)size * soma_dtype_size(dtype) + 1);
    for (int64_t i = 0; i < size; i++) {
        if (dtype_is_float(dtype)) {
            element_set(dtype, data, i, g->values[i]);
        } else {
            element_set_int(dtype, data, i, g->integers[i]);
        }
    }
    soma_tensor *x = soma_array(NULL, dtype, g->rank, g->shape, data);
    free(data);
    return x;
}

static void check_golden(const char *name, const golden *inputs, int n, const golden *expected, soma_dtype real) {
    soma_tensor *xs[4];
    for (int i = 0; i < n; i++)
        xs[i] = golden_tensor(&inputs[i], real);
    soma_tensor *y = build_named(name, xs);
    if (!y) fail_msg("%s: %s", name, soma_last_error(NULL));
    soma_dtype dtype = expected->dtype == SOMA_F64 ? (y->dtype == SOMA_F32 ? SOMA_F32 : real) : expected->dtype;
    if (y->dtype != dtype || !shape_equal(y->rank, y->shape, expected->rank, expected->shape)) {
        char a[SHAPE_TEXT], b[SHAPE_TEXT];
        fail_msg("%s is %s %s, expected %s %s", name, soma_dtype_name(y->dtype), tensor_shape_text(a, y),
                 soma_dtype_name(dtype), shape_text(b, expected->rank, expected->shape));
    }
    for (int reference = 0; reference < 2; reference++) {
        soma_plan *plan = soma_plan_create(&y, 1, &(soma_plan_options){.reference = reference == 1});
        if (!plan || soma_plan_run(plan) != SOMA_OK) {
            COMPLAIN("%s: %s\n", name, soma_last_error(NULL));
            soma_clear_error(NULL);
            soma_plan_destroy(plan);
            continue;
        }
        char where[128];
        snprintf(where, sizeof where, "golden %s, %s, %s", name, soma_dtype_name(real),
                 reference ? "reference" : "compiled");
        double *got = sample_doubles(y->dtype, soma_plan_output(plan, 0), soma_size(y));
        compare(where, y, got, expected->values);
        for (int64_t i = 0; !dtype_is_float(y->dtype) && i < soma_size(y); i++)
            if (element_get_int(y->dtype, soma_plan_output(plan, 0), i) != expected->integers[i])
                COMPLAIN("%s: element %d, as an integer\n", where, (int)i);
        free(got);
        soma_plan_destroy(plan);
    }
}

static void golden_values(void **state) {
    (void)state;
    enum { LINE = 1 << 16 };
    FILE *file = fopen("tests/golden/ops.txt", "r");
    assert_non_null(file);
    char *line = malloc(LINE), name[64] = "";
    golden inputs[4];
    int n = 0, cases = 0;
    failures = 0;
    while (fgets(line, LINE, file)) {
        if (strncmp(line, "case ", 5) == 0) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(name, sizeof name, "%s", line + 5);
        } else if (strncmp(line, "in ", 3) == 0) {
            inputs[n++] = read_golden(line + 3);
        } else {
            golden expected = read_golden(line + 4);
            check_golden(name, inputs, n, &expected, SOMA_F64);
            if (strchr(name, ' ') == NULL) check_golden(name, inputs, n, &expected, SOMA_F32);
            free_golden(&expected);
            while (n > 0)
                free_golden(&inputs[--n]);
            cases++;
        }
    }
    assert_true(cases > 100);
    assert_int_equal(failures, 0);
    free(line);
    fclose(file);
}

/* ---- dtypes ---- */

static void promotion(void **state) {
    (void)state;
    static const struct {
        soma_dtype a, b, result;
    } rules[] = {{SOMA_F32, SOMA_F32, SOMA_F32},    {SOMA_F32, SOMA_F64, SOMA_F64}, {SOMA_F32, SOMA_I64, SOMA_F32},
                 {SOMA_F32, SOMA_BOOL, SOMA_F32},   {SOMA_F16, SOMA_F32, SOMA_F32}, {SOMA_BF16, SOMA_F32, SOMA_F32},
                 {SOMA_F16, SOMA_BF16, SOMA_F32},   {SOMA_F16, SOMA_I32, SOMA_F16}, {SOMA_F16, SOMA_F64, SOMA_F64},
                 {SOMA_I64, SOMA_F64, SOMA_F64},    {SOMA_U8, SOMA_I8, SOMA_I16},   {SOMA_U8, SOMA_I16, SOMA_I16},
                 {SOMA_U8, SOMA_I64, SOMA_I64},     {SOMA_I8, SOMA_I32, SOMA_I32},  {SOMA_BOOL, SOMA_U8, SOMA_U8},
                 {SOMA_BOOL, SOMA_BOOL, SOMA_BOOL}, {SOMA_I32, SOMA_I64, SOMA_I64}};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        soma_tensor *a = soma_ones(NULL, rules[i].a, SOMA_DIMS(2)), *b = soma_ones(NULL, rules[i].b, SOMA_DIMS(2));
        assert_int_equal(soma_tensor_dtype(soma_mul(a, b)), rules[i].result);
        assert_int_equal(soma_tensor_dtype(soma_mul(b, a)), rules[i].result);
    }
    soma_tensor *bytes = soma_ones(NULL, SOMA_U8, SOMA_DIMS(2, 3)), *halves = soma_ones(NULL, SOMA_F16, SOMA_DIMS(3));
    assert_int_equal(soma_tensor_dtype(soma_div(bytes, bytes)), SOMA_F32);
    assert_int_equal(soma_tensor_dtype(soma_mean(bytes, SOMA_ALL_AXES, false)), SOMA_F32);
    assert_int_equal(soma_tensor_dtype(soma_sum(bytes, SOMA_ALL_AXES, false)), SOMA_I64);
    assert_int_equal(soma_tensor_dtype(soma_max(bytes, SOMA_ALL_AXES, false)), SOMA_U8);
    assert_int_equal(soma_tensor_dtype(soma_exp(bytes)), SOMA_F32);
    assert_int_equal(soma_tensor_dtype(soma_exp(halves)), SOMA_F16);
    assert_int_equal(soma_tensor_dtype(soma_mean(halves, SOMA_ALL_AXES, false)), SOMA_F16);
    assert_int_equal(soma_tensor_dtype(soma_add_scalar(bytes, 2)), SOMA_U8);
    assert_int_equal(soma_tensor_dtype(soma_pow_scalar(bytes, 2)), SOMA_U8);
    assert_int_equal(soma_tensor_dtype(soma_pow_scalar(bytes, 1.5)), SOMA_F32);
    assert_int_equal(soma_tensor_dtype(soma_argmax(halves, 0, false)), SOMA_I64);
    assert_int_equal(soma_tensor_dtype(soma_where(bytes, bytes, halves)), SOMA_F16);
}

/* Integers are computed as integers: exact beyond what a double holds, wrapping around at the end. */
static void integers_are_exact(void **state) {
    (void)state;
    const int64_t big[] = {(INT64_C(1) << 53) + 1, INT64_MAX, INT64_MIN, -7};
    soma_tensor *x = soma_array(NULL, SOMA_I64, SOMA_DIMS(4), big), *one = soma_scalar(NULL, SOMA_I64, 1);
    const int64_t *sum = soma_data(soma_add(x, one));
    assert_int_equal(sum[0], (INT64_C(1) << 53) + 2);
    assert_int_equal(sum[1], INT64_MIN);
    const int64_t *same = soma_data(soma_reshape(soma_mul(x, one), SOMA_DIMS(2, 2)));
    assert_memory_equal(same, big, sizeof big);
    const uint8_t *equal = soma_data(soma_equal(x, soma_sub(soma_add(x, one), one)));
    for (int i = 0; i < 4; i++)
        assert_int_equal(equal[i], 1);
    const int64_t *total = soma_data(soma_sum(x, SOMA_ALL_AXES, false));
    assert_int_equal(*total, (int64_t)((UINT64_C(1) << 53) + 1 - 1 - 7));
    const int64_t *kept = soma_data(soma_where(soma_greater(x, one), x, one));
    assert_int_equal(kept[0], big[0]);
    const int64_t *power = soma_data(soma_pow(soma_array(NULL, SOMA_I64, SOMA_DIMS(3), (const int64_t[]){3, -1, 2}),
                                              soma_array(NULL, SOMA_I64, SOMA_DIMS(3), (const int64_t[]){39, -3, -1})));
    assert_int_equal(power[0], INT64_C(4052555153018976267));
    assert_int_equal(power[1], -1);
    assert_int_equal(power[2], 0);
    const uint8_t *wrapped =
        soma_data(soma_cast(soma_array(NULL, SOMA_I64, SOMA_DIMS(2), (const int64_t[]){300, -1}), SOMA_U8));
    assert_int_equal(wrapped[0], 44);
    assert_int_equal(wrapped[1], 255);
}

/* ---- builders: what costs nothing, what is remembered ---- */

static void builders_do_no_more_than_needed(void **state) {
    (void)state;
    soma_tensor *x = soma_input(NULL, SOMA_F32, SOMA_DIMS(2, 3), "x");
    assert_ptr_equal(soma_reshape(x, SOMA_DIMS(2, -1)), x);
    assert_ptr_equal(soma_transpose(x, (const int[]){0, -1}), x);
    assert_ptr_equal(soma_expand(x, SOMA_DIMS(2, 3)), x);
    assert_ptr_equal(soma_slice(x, "..."), x);
    assert_ptr_equal(soma_cast(x, SOMA_F32), x);
    assert_ptr_equal(soma_pow_scalar(x, 1), x);
    assert_ptr_equal(soma_concat(&x, 1, 0), x);
    assert_ptr_equal(soma_pad(x, (const int64_t[]){0, 0}, (const int64_t[]){0, 0}, 9), x);
    assert_ptr_equal(soma_matmul(x, soma_transpose(x, NULL))->op, &op_matmul);
    assert_ptr_equal(soma_softmax_axis(x, 1)->logits, x);
    assert_null(soma_softmax_axis(x, 0)->logits);
    assert_ptr_equal(soma_sigmoid(x)->logits, x);
    /* many rows against one matrix are one tall product */
    soma_tensor *series = soma_input(NULL, SOMA_F32, SOMA_DIMS(4, 5, 3), "series");
    soma_tensor *y = soma_matmul(series, soma_transpose(x, NULL));
    assert_ptr_equal(y->op, &op_reshape);
    assert_int_equal(y->inputs[0]->rank, 2);
    assert_int_equal(y->inputs[0]->shape[0], 20);
}

/* ---- errors: status and text ---- */

static void expect_error(int line, soma_tensor *y, soma_status status, const char *message) {
    if (y) fail_msg("line %d: accepted", line);
    if (soma_last_status(NULL) != status || strcmp(soma_last_error(NULL), message) != 0)
        fail_msg("line %d: %s: \"%s\"", line, soma_status_text(soma_last_status(NULL)), soma_last_error(NULL));
    soma_clear_error(NULL);
}
#define BAD(status, call, message) expect_error(__LINE__, call, status, message)

static soma_tensor *zeros(int rank, const int64_t *shape) {
    return soma_zeros(NULL, SOMA_F32, rank, shape);
}

static void errors_of_shapes(void **state) {
    (void)state;
    soma_tensor *x = zeros(SOMA_DIMS(2, 3)), *v = zeros(SOMA_DIMS(4)), *number = zeros(SOMA_SCALAR_DIMS);
    BAD(SOMA_SHAPE, soma_matmul(zeros(SOMA_DIMS(32, 784)), zeros(SOMA_DIMS(512, 10))),
        "[matmul] (32,784) x (512,10): inner dimensions 784 and 512 differ");
    BAD(SOMA_SHAPE, soma_matmul(zeros(SOMA_DIMS(32, 784)), zeros(SOMA_DIMS(10, 784))),
        "[matmul] (32,784) x (10,784): inner dimensions 784 and 10 differ; did you mean the second one transposed?");
    BAD(SOMA_SHAPE, soma_matmul(x, number), "[matmul] (2,3) x (): multiply by a scalar with soma_mul");
    BAD(SOMA_SHAPE, soma_matmul(zeros(SOMA_DIMS(2, 3, 4)), zeros(SOMA_DIMS(5, 4, 6))),
        "[matmul] (2,3,4) x (5,4,6): batch axes do not broadcast");
    BAD(SOMA_SHAPE, soma_dot(zeros(SOMA_DIMS(2, 3, 4)), v), "[dot] (2,3,4) x (4,): more than 2 axes; use soma_matmul");
    BAD(SOMA_SHAPE, soma_add(x, v),
        "[add] shapes (2,3) and (4,) do not broadcast: counted from the last axis, extents must be equal or 1");
    BAD(SOMA_SHAPE, soma_where(soma_greater(x, x), x, v),
        "[where] shapes (2,3) and (4,) do not broadcast: counted from the last axis, extents must be equal or 1");
    BAD(SOMA_SHAPE, soma_sum(x, SOMA_AXES(2), false), "[sum] axis 2 is out of range for shape (2,3)");
    BAD(SOMA_SHAPE, soma_mean(x, SOMA_AXES(-3), false), "[mean] axis -3 is out of range for shape (2,3)");
    BAD(SOMA_SHAPE, soma_max(x, SOMA_AXES(0, -2), false), "[max] axis -2 is given twice");
    BAD(SOMA_SHAPE, soma_max(zeros(SOMA_DIMS(2, 0)), SOMA_AXES(1), false),
        "[max] shape (2,0) has no element along the reduced axes");
    BAD(SOMA_SHAPE, soma_argmax(number, 0, false), "[argmax] axis 0 is out of range for shape ()");
    BAD(SOMA_SHAPE, soma_reshape(x, SOMA_DIMS(4)), "[reshape] (2,3) has 6 elements, (4,) has another number");
    BAD(SOMA_SHAPE, soma_reshape(x, SOMA_DIMS(4, -1)), "[reshape] the 6 elements of (2,3) do not fill (4,-1)");
    BAD(SOMA_SHAPE, soma_reshape(x, SOMA_DIMS(-1, -1)), "[reshape] only one extent can be -1");
    BAD(SOMA_SHAPE, soma_reshape(x, SOMA_DIMS(0, -1)), "[reshape] the 6 elements of (2,3) do not fill (0,-1)");
    BAD(SOMA_SHAPE, soma_transpose(x, (const int[]){1, 1}),
        "[transpose] axes of rank 2 must be each of 0 to 1 once: axis 1 is not");
    BAD(SOMA_SHAPE, soma_transpose(x, (const int[]){0, 5}),
        "[transpose] axes of rank 2 must be each of 0 to 1 once: axis 5 is not");
    BAD(SOMA_SHAPE, soma_expand(x, SOMA_DIMS(2, 4)), "[expand] (2,3) does not broadcast to (2,4)");
    BAD(SOMA_SHAPE, soma_expand(x, SOMA_DIMS(3)), "[expand] (2,3) does not broadcast to (3,)");
    BAD(SOMA_SHAPE, soma_expand(x, SOMA_DIMS(INT64_MAX, 2, 3)),
        "[expand] (9223372036854775807,2,3) is negative or too large");
    BAD(SOMA_SHAPE, soma_expand_dims(x, 4), "[expand_dims] axis 4 is out of range for a result of rank 3");
    BAD(SOMA_SHAPE, soma_squeeze(x, 1), "[squeeze] axis 1 has extent 3, not 1");
    BAD(SOMA_SHAPE, soma_pad(x, (const int64_t[]){0, -1}, (const int64_t[]){0, 0}, 0),
        "[pad] axis 1 of (2,3): there must be 0 or more elements before and after");
    BAD(SOMA_SHAPE, soma_pad(x, (const int64_t[]){0, 0}, (const int64_t[]){-1, 0}, 0),
        "[pad] axis 0 of (2,3): there must be 0 or more elements before and after");
    BAD(SOMA_SHAPE, soma_pad(x, (const int64_t[]){0, INT64_MAX}, (const int64_t[]){0, 9}, 0),
        "[pad] axis 1 of (2,3): there must be 0 or more elements before and after");
    BAD(SOMA_SHAPE, soma_concat((soma_tensor *[]){x, v}, 2, 0), "[concat] (2,3) and (4,): only axis 0 may differ");
    BAD(SOMA_SHAPE, soma_concat((soma_tensor *[]){x, x}, 2, 2), "[concat] axis 2 is out of range for shape (2,3)");
    BAD(SOMA_INVALID, soma_concat(NULL, 0, 0), "[concat] needs at least one tensor");
    BAD(SOMA_SHAPE, soma_stack((soma_tensor *[]){x, v}, 2, 0), "[stack] shapes (2,3) and (4,) differ");
    BAD(SOMA_SHAPE, soma_cumsum(x, 7), "[cumsum] axis 7 is out of range for shape (2,3)");
    BAD(SOMA_SHAPE, soma_softmax_axis(x, 2), "[softmax] axis 2 is out of range for shape (2,3)");
    soma_tensor *parts[2];
    assert_int_equal(soma_split(x, 2, 1, parts), SOMA_SHAPE);
    BAD(SOMA_SHAPE, NULL, "[split] axis 1 of extent 3 in 2 equal parts");
    soma_tensor *deep = zeros(SOMA_DIMS(1, 1, 1, 1, 1, 1, 1, 1));
    BAD(SOMA_SHAPE, soma_expand_dims(deep, 0), "[expand_dims] rank 9 is not in 0 to 8");
    BAD(SOMA_SHAPE, soma_gather(deep, soma_zeros(NULL, SOMA_I64, SOMA_DIMS(1, 1)), 0),
        "[gather] the result would have rank 9, more than 8");
}

static void errors_of_dtypes_and_values(void **state) {
    (void)state;
    soma_tensor *x = zeros(SOMA_DIMS(2, 3)), *truth = soma_greater(x, x),
                *whole = soma_zeros(NULL, SOMA_I32, SOMA_DIMS(3));
    BAD(SOMA_DTYPE, soma_neg(truth), "[neg] bool is not a number: soma_cast it first, or use a logical op");
    BAD(SOMA_DTYPE, soma_sub(truth, truth), "[sub] bool is not a number: soma_cast it first, or use a logical op");
    BAD(SOMA_DTYPE, soma_gather(x, x, 0), "[gather] indices are float32, not integers");
    BAD(SOMA_DTYPE, soma_one_hot(x, 3, SOMA_F32), "[one_hot] indices are float32, not integers");
    BAD(SOMA_DTYPE, soma_mul_scalar(whole, 0.5), "[mul_scalar] 0.5 does not fit int32: soma_cast x to a float first");
    BAD(SOMA_DTYPE, soma_cast(x, (soma_dtype)77), "[cast] unknown dtype 77");
    BAD(SOMA_INVALID, soma_clip(x, 1, 0), "[clip] low 1 is above high 0");
    BAD(SOMA_INVALID, soma_clip(x, (double)NAN, 0), "[clip] low nan is above high 0");
    soma_tensor *index = soma_array(NULL, SOMA_I64, SOMA_DIMS(2), (const int64_t[]){1, 7});
    assert_null(soma_data(soma_gather(x, index, 1)));
    BAD(SOMA_INVALID, NULL, "[gather] index 7 is out of range for axis 1 of extent 3");
    soma_graph *other = soma_graph_create(NULL);
    BAD(SOMA_INVALID, soma_add(x, soma_zeros(other, SOMA_F32, SOMA_DIMS(2, 3))),
        "[add] input 1 belongs to another graph");
    soma_graph_destroy(other);
}

static void errors_of_slices(void **state) {
    (void)state;
    soma_tensor *x = zeros(SOMA_DIMS(4, 5));
    BAD(SOMA_INVALID, soma_slice(x, ""), "[slice] \"\": an index is missing at character 1");
    BAD(SOMA_INVALID, soma_slice(x, "[]"), "[slice] \"[]\": an index is missing at character 2");
    BAD(SOMA_INVALID, soma_slice(x, "1,,2"), "[slice] \"1,,2\": unexpected character at character 3");
    BAD(SOMA_INVALID, soma_slice(x, "[1"), "[slice] \"[1\": ] is missing at character 3");
    BAD(SOMA_INVALID, soma_slice(x, "1]"), "[slice] \"1]\": unexpected character at character 2");
    BAD(SOMA_INVALID, soma_slice(x, "1:2:0"), "[slice] \"1:2:0\": step is 0 at character 5");
    BAD(SOMA_INVALID, soma_slice(x, "1:2:3:4"), "[slice] \"1:2:3:4\": unexpected character at character 6");
    BAD(SOMA_INVALID, soma_slice(x, "0, 1, 2"), "[slice] \"0, 1, 2\": the tensor has no more axes at character 7");
    BAD(SOMA_INVALID, soma_slice(x, "..., ..."), "[slice] \"..., ...\": a second ... at character 9");
    BAD(SOMA_INVALID, soma_slice(x, "one"), "[slice] \"one\": unexpected character at character 1");
    BAD(SOMA_INVALID, soma_slice(x, "-:3"), "[slice] \"-:3\": a digit is missing at character 2");
    BAD(SOMA_INVALID, soma_slice(x, "99999999999999999999"),
        "[slice] \"99999999999999999999\": the number is too large at character 19");
    BAD(SOMA_SHAPE, soma_slice(x, "1, 5"), "[slice] \"1, 5\": index 5 is out of range for axis 1 of extent 5");
    BAD(SOMA_SHAPE, soma_slice(x, "-5"), "[slice] \"-5\": index -5 is out of range for axis 0 of extent 4");
    BAD(SOMA_INVALID, soma_slice(x, "None, None, None, None, None, None, None"),
        "[slice] \"None, None, None, None, None, None, None\": the result has too many axes at character 41");
    BAD(SOMA_INVALID, soma_slice(x, NULL), "[slice] no text given");
    BAD(SOMA_INVALID, soma_slice_axis(x, 0, 0, 4, 0), "[slice_axis] step is 0");
    assert_int_equal(soma_dim(soma_slice_axis(x, 1, -1, SOMA_END, -2), 1), 3);
    assert_int_equal(soma_dim(soma_slice_axis(x, 1, INT64_MIN, SOMA_END, INT64_MAX), 1), 1);
    assert_int_equal(soma_dim(soma_slice_axis(x, 1, INT64_MAX, INT64_MIN, INT64_MIN), 1), 1);
}

/* The first error stays, and NULL goes through everything. */
static void the_first_error_wins(void **state) {
    (void)state;
    soma_tensor *bad = soma_matmul(zeros(SOMA_DIMS(2, 3)), zeros(SOMA_DIMS(2, 3)));
    soma_tensor *y = soma_softmax_axis(soma_add(soma_exp(bad), soma_slice(bad, "?")), 7);
    assert_null(y);
    assert_null(soma_where(NULL, y, y));
    assert_null(soma_clip(NULL, 0, 1));
    assert_null(soma_mean(NULL, SOMA_ALL_AXES, false));
    assert_null(soma_gather(NULL, NULL, 0));
    assert_null(soma_stack((soma_tensor *[]){NULL, NULL}, 2, 0));
    assert_null(soma_one_hot(NULL, 3, SOMA_F32));
    assert_null(soma_logsumexp(NULL, 0, false));
    assert_null(soma_assign(NULL, NULL));
    assert_int_equal(soma_eval(NULL), SOMA_INVALID);
    BAD(SOMA_SHAPE, y,
        "[matmul] (2,3) x (2,3): inner dimensions 3 and 2 differ; did you mean the second one transposed?");
}

static int forget(void **state) {
    (void)state;
    soma_clear_error(NULL);
    soma_graph_reset(NULL);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_are_complete),
        cmocka_unit_test(samples_at_every_level),
        cmocka_unit_test_teardown(golden_values, forget),
        cmocka_unit_test_teardown(promotion, forget),
        cmocka_unit_test_teardown(integers_are_exact, forget),
        cmocka_unit_test_teardown(builders_do_no_more_than_needed, forget),
        cmocka_unit_test_teardown(errors_of_shapes, forget),
        cmocka_unit_test_teardown(errors_of_dtypes_and_values, forget),
        cmocka_unit_test_teardown(errors_of_slices, forget),
        cmocka_unit_test_teardown(the_first_error_wins, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
