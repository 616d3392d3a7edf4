/* Rows that are one number but in one place: the same bits as where the compiler cannot see that, on every instruction
 * set and any number of threads, and as little work as is promised.
 * Rests on plan/steps.h for what a plan is made of. Each case is built twice: columns are counted by the graph, or by
 * an array that holds the same numbers, of which nothing is known; places are some of them outside the row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <soma/soma.h>

#include "cpu/cpu.h"
#include "plan/steps.h"

enum { MOST = 4, LARGEST = 40000 };

static int64_t places[LARGEST], others[LARGEST], counted[LARGEST];
static char values[LARGEST * sizeof(double)], column[LARGEST * sizeof(double)];

/* What a case is made of. */
typedef struct parts {
    soma_tensor *x, *r;            /* rows x columns, rows x 1 */
    soma_tensor *hit, *hit_other;  /* true in a place of each row */
    soma_tensor *none;             /* 0 */
    soma_tensor *labels, *classes; /* rows; columns */
} parts;

static soma_tensor *row_sum(soma_tensor *x) {
    return soma_sum(x, SOMA_AXES(-1), true);
}

static int gathers(const parts *p, soma_tensor **out) {
    out[0] = row_sum(soma_where(p->hit, p->x, p->none));
    out[1] = row_sum(soma_neg(soma_where(p->hit, soma_exp(p->x), p->none)));
    return 2;
}

static int crossentropy(const parts *p, soma_tensor **out) {
    soma_tensor *log_p = soma_log_softmax(p->x, -1);
    out[0] = soma_neg(row_sum(soma_where(p->hit, log_p, p->none)));
    assert_int_equal(soma_grad(soma_mean(out[0], SOMA_ALL_AXES, false), &p->x, 1, out + 1), SOMA_OK);
    return 2;
}

static int replaces(const parts *p, soma_tensor **out) {
    soma_tensor *share = soma_softmax(p->x);
    out[0] = soma_where(p->hit, soma_neg(p->x), share);
    out[1] = row_sum(soma_where(p->hit, soma_mul(p->r, share), p->x));
    out[2] = soma_where(p->hit, share, soma_neg(p->none));
    return 3;
}

static int meets(const parts *p, soma_tensor **out) {
    soma_tensor *one = soma_where(p->hit, p->r, p->none), *rows = soma_sub(p->x, row_sum(p->x));
    out[0] = soma_add(soma_mul(one, p->x), rows);
    out[1] = row_sum(soma_maximum(soma_exp(soma_add(one, p->r)), p->x));
    out[2] = soma_mul(soma_sub(p->r, one), soma_neg(one));
    return 3;
}

static int several(const parts *p, soma_tensor **out) {
    soma_tensor *one = soma_where(p->hit, p->r, p->none), *other = soma_where(p->hit_other, p->x, p->none);
    out[0] = row_sum(soma_mul(soma_add(one, other), p->x));
    out[1] = row_sum(soma_where(p->hit, soma_where(p->hit_other, p->x, p->none), p->none));
    out[2] = row_sum(soma_where(p->hit_other, soma_add(one, soma_square(p->x)), p->none));
    return 3;
}

static int as_numbers(const parts *p, soma_tensor **out) {
    soma_tensor *chosen = soma_cast(p->hit, p->x->dtype);
    out[0] = row_sum(soma_mul(chosen, soma_softmax(p->x)));
    out[1] = soma_max(soma_where(p->hit, p->x, p->r), SOMA_AXES(-1), true);
    out[2] = soma_cast(soma_logical_and(p->hit, p->hit_other), p->x->dtype);
    out[3] = row_sum(soma_where(soma_logical_not(p->hit), p->x, p->none));
    return 4;
}

static int counts(const parts *p, soma_tensor **out) {
    out[0] = row_sum(soma_cast(p->hit, p->x->dtype));
    out[1] = soma_mean(soma_cast(soma_logical_not(p->hit), p->x->dtype), SOMA_AXES(-1), true);
    return 2;
}

static const struct {
    const char *name;
    int (*make)(const parts *p, soma_tensor **out);
    int picks; /* at least */
} cases[] = {{"gathers", gathers, 4}, {"crossentropy", crossentropy, 4}, {"replaces", replaces, 2}, {"meets", meets, 2},
             {"several", several, 3}, {"as numbers", as_numbers, 0},     {"counts", counts, 0}};

static void fill(int64_t rows, int64_t columns, soma_dtype dtype) {
    uint32_t state = 5;
    for (int64_t i = 0; i < rows; i++) {
        places[i] = (state = state * 1664525 + 1013904223) % (uint32_t)(columns + 2);
        others[i] = i % 5 == 0 ? places[i] : (int64_t)(state >> 7) % columns;
        if (places[i] == columns + 1) places[i] = -1;
    }
    for (int64_t i = 0; i < columns; i++)
        counted[i] = i;
    for (int64_t i = 0; i < rows * columns; i++) {
        const double v = (double)((state = state * 1664525 + 1013904223) >> 16) * 0x1p-14 - 2;
        if (dtype == SOMA_F64)
            ((double *)(void *)values)[i] = v, ((double *)(void *)column)[i / columns] = v / 3;
        else
            ((float *)(void *)values)[i] = (float)v, ((float *)(void *)column)[i / columns] = (float)(v / 3);
    }
}

static int count(const soma_plan *plan, instruction_kind kind) {
    int n = 0;
    for (int i = 0; i < plan->n_steps; i++)
        for (int k = 0; plan->steps[i].kind == STEP_MAP && k < plan->steps[i].as.map.n_instructions; k++)
            n += plan->steps[i].as.map.instructions[k].kind == kind;
    return n;
}

static soma_tensor *hit(soma_tensor *labels, soma_tensor *classes) {
    return soma_equal(soma_expand_dims(labels, -1), classes);
}

/* All targets of a case after each other; returns how many bytes. */
static size_t run(soma_context *context, int which, int64_t rows, int64_t columns, soma_dtype dtype, bool known,
                  char *results, int *picks) {
    soma_graph *graph = soma_graph_create(context);
    soma_tensor *y = soma_input(graph, SOMA_I64, SOMA_DIMS(rows), "y");
    soma_tensor *other = soma_input(graph, SOMA_I64, SOMA_DIMS(rows), "other"), *targets[MOST];
    parts p = {.x = soma_input(graph, dtype, SOMA_DIMS(rows, columns), "x"),
               .r = soma_input(graph, dtype, SOMA_DIMS(rows, 1), "r"),
               .none = soma_scalar(graph, dtype, 0),
               .classes = known ? soma_arange(graph, SOMA_I64, 0, (double)columns, 1)
                                : soma_input(graph, SOMA_I64, SOMA_DIMS(columns), "classes")};
    p.hit = hit(y, p.classes);
    p.hit_other = hit(other, p.classes);
    const int n = cases[which].make(&p, targets);
    soma_plan *plan = soma_plan_create(targets, n, NULL);
    if (!plan) fail_msg("%s: %s", cases[which].name, soma_last_error(context));
    const struct {
        soma_tensor *input;
        const void *data;
    } bound[] = {{p.x, values}, {p.r, column}, {y, places}, {other, others}, {p.classes, counted}};
    for (int i = 0; i < 5; i++)
        if ((i < 4 || !known) && soma_plan_bind(plan, bound[i].input, bound[i].data) != SOMA_OK)
            soma_clear_error(context); /* not needed */
    assert_int_equal(soma_plan_run(plan), SOMA_OK);
    size_t size = 0;
    for (int i = 0; i < n; i++) {
        const size_t bytes = (size_t)soma_size(targets[i]) * soma_dtype_size(dtype);
        memcpy(results + size, soma_plan_output(plan, i), bytes);
        size += bytes;
    }
    *picks = count(plan, INSTRUCTION_PICK);
    soma_plan_destroy(plan);
    soma_graph_destroy(graph);
    return size;
}

static void same_bits_as_unknown(void **state) {
    (void)state;
    static const int64_t shapes[][2] = {{1, 1}, {3, 10}, {37, 16}, {130, 33}, {5, 1500}, {300, 7}, {1, 4099}};
    static char expected[MOST * sizeof values], found[MOST * sizeof values];
    static const int crews[] = {1, 3};
    const cpu_kernels *level;
    for (int i = 0; (level = cpu_level(i)) != NULL; i++)
        for (int crew = 0; crew < 2; crew++) {
            soma_context *context =
                soma_context_create(&(soma_context_options){.isa = level->name, .threads = crews[crew]});
            assert_non_null(context);
            for (int k = 0; k < 2 * (int)(sizeof shapes / sizeof *shapes); k++) {
                const int64_t *shape = shapes[k / 2];
                const soma_dtype dtype = k % 2 ? SOMA_F64 : SOMA_F32;
                fill(shape[0], shape[1], dtype);
                for (int c = 0; c < (int)(sizeof cases / sizeof *cases); c++) {
                    int none, picks;
                    const size_t bytes = run(context, c, shape[0], shape[1], dtype, false, expected, &none);
                    assert_int_equal(run(context, c, shape[0], shape[1], dtype, true, found, &picks), bytes);
                    if (memcmp(expected, found, bytes) != 0)
                        fail_msg("%s, %s, %s, %lldx%lld: other bits", cases[c].name, level->name,
                                 soma_dtype_name(dtype), (long long)shape[0], (long long)shape[1]);
                    assert_int_equal(none, 0);
                    if (shape[1] > 1 && shape[0] > 1 && dtype == SOMA_F32) /* float64 compares in a step before */
                        assert_true(picks >= cases[c].picks);
                }
            }
            soma_context_destroy(context);
        }
}

/* A cross-entropy with its gradient passes over its rows as often as a softmax does, and once more for the gradient. */
static void crossentropy_costs_a_softmax(void **state) {
    (void)state;
    soma_tensor *x = soma_input(NULL, SOMA_F32, SOMA_DIMS(64, 1000), "x"), *targets[2];
    soma_tensor *y = soma_input(NULL, SOMA_I64, SOMA_DIMS(64), "y");
    targets[0] = soma_mean(soma_sparse_categorical_crossentropy_from_logits(y, x), SOMA_ALL_AXES, false);
    assert_int_equal(soma_grad(targets[0], &x, 1, targets + 1), SOMA_OK);
    soma_plan *plan = soma_plan_create(targets, 2, NULL);
    assert_non_null(plan);
    const tile_program *p = &plan->steps[0].as.map;
    int full = 0;
    for (int i = 0; i < p->n_instructions; i++)
        full += p->instructions[i].kind == INSTRUCTION_REDUCE ||
                (p->instructions[i].kind == INSTRUCTION_MAP && p->instructions[i].result == ACCESS_FULL);
    assert_int_equal(full, 4); /* max, exp of the difference, sum, scale */
    soma_plan_destroy(plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits_as_unknown),
                                       cmocka_unit_test(crossentropy_costs_a_softmax)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
