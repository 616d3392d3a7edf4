/* Two plans of one random graph that take turns at its variables: the same bits whether one finds them as the other
 * left them (in panels), finds them row-major, or is made after the other has run; and whether inputs are bound whole
 * or row by row. Rests on support/random_graph. With arguments (first seed, count) it runs those seeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <soma/soma.h>

#include "plan/rows.h"
#include "support/random_graph.h"
#include "tensor/node.h"

enum { TURNS = 5, SEEDS = 60, CREWS = 3 };
static uint64_t first_seed = 1, seeds = SEEDS;

/* How the turns are taken. */
typedef enum manner { PLAIN, ROW_MAJOR, LATE, BY_ROWS, MANNERS } manner;
static const char *const manners[MANNERS] = {"plain", "row-major before each turn", "made late", "inputs by rows"};

typedef struct turns {
    const random_graph *r;
    soma_plan *plans[2];
    soma_tensor *targets[2][RANDOM_TARGETS];
    int n[2];
    void *rows[RANDOM_INPUTS]; /* the inputs' rows in another order */
    int64_t *orders[RANDOM_INPUTS];
    char *out;
    size_t bytes;
} turns;

static void append(turns *t, const void *data, size_t bytes) {
    t->out = realloc(t->out, t->bytes + bytes + 1);
    if (bytes) memcpy(t->out + t->bytes, data, bytes);
    t->bytes += bytes;
}

static size_t bytes_of(const soma_tensor *t) {
    return (size_t)soma_size(t) * soma_dtype_size(soma_tensor_dtype(t));
}

/* The last row first. */
static void bind_rows(turns *t, soma_plan *plan, int i) {
    const soma_tensor *x = t->r->inputs[i];
    const int64_t rows = soma_dim(x, 0);
    const size_t row = rows ? bytes_of(x) / (size_t)rows : 0;
    if (!t->rows[i]) {
        t->rows[i] = malloc(bytes_of(x) + 1);
        t->orders[i] = malloc((size_t)rows * sizeof(int64_t) + 1);
        for (int64_t k = 0; k < rows; k++) {
            t->orders[i][k] = rows - 1 - k;
            memcpy((char *)t->rows[i] + (size_t)k * row, (const char *)t->r->data[i] + (size_t)(rows - 1 - k) * row,
                   row);
        }
    }
    assert_int_equal(plan_bind_rows(plan, x, t->rows[i], t->orders[i]), SOMA_OK);
}

static void make(turns *t, int which, manner how) {
    if (t->n[which] == 0) return;
    soma_plan *plan = t->plans[which] = soma_plan_create(t->targets[which], t->n[which], NULL);
    if (!plan) fail_msg("seed %llu: %s", (unsigned long long)t->r->seed, soma_last_error(t->r->context));
    for (int i = 0; i < t->r->n_inputs; i++) {
        if (!t->r->inputs[i]) continue;
        if (how == BY_ROWS && soma_ndim(t->r->inputs[i]) > 0)
            bind_rows(t, plan, i);
        else
            assert_int_equal(soma_plan_bind(plan, t->r->inputs[i], t->r->data[i]), SOMA_OK);
    }
}

static void take_turn(turns *t, int which, manner how) {
    const random_graph *r = t->r;
    for (int i = 0; how == ROW_MAJOR && i < r->n_variables; i++)
        assert_int_equal(variable_set_width(r->variables[i], 0), SOMA_OK);
    if (!t->plans[which]) return;
    if (soma_plan_run(t->plans[which]) != SOMA_OK)
        fail_msg("seed %llu: %s", (unsigned long long)r->seed, soma_last_error(r->context));
    for (int i = 0; i < t->n[which]; i++) {
        const void *output = soma_plan_output(t->plans[which], i);
        if (output) append(t, output, bytes_of(t->targets[which][i]));
    }
}

/* All that the turns show, and the variables at the end. */
static char *run(const random_graph *r, manner how, size_t *bytes) {
    turns t = {.r = r};
    for (int i = 0; i < r->n_targets; i++) {
        const int which = (r->seed >> i % 8 ^ (uint64_t)i) & 1;
        t.targets[which][t.n[which]++] = r->targets[i];
    }
    random_graph_reset(r);
    for (int i = 0; i < r->n_variables; i++)
        assert_int_equal(variable_set_width(r->variables[i], 0), SOMA_OK);
    make(&t, 0, how);
    if (how != LATE) make(&t, 1, how);
    for (int i = 0; i < TURNS; i++) {
        if (how == LATE && i == 1) make(&t, 1, how);
        take_turn(&t, i % 2, how);
    }
    for (int i = 0; i < r->n_variables; i++) {
        const soma_variable *v = r->variables[i];
        const size_t size = (size_t)soma_variable_size(v) * soma_dtype_size(soma_variable_dtype(v));
        void *values = malloc(size + 1);
        assert_int_equal(soma_variable_get(v, values, size), SOMA_OK);
        append(&t, values, size);
        free(values);
    }
    for (int i = 0; i < RANDOM_INPUTS; i++) {
        free(t.rows[i]);
        free(t.orders[i]);
    }
    soma_plan_destroy(t.plans[0]);
    soma_plan_destroy(t.plans[1]);
    *bytes = t.bytes;
    return t.out;
}

static void turns_leave_the_same_bits(void **state) {
    static const char *const levels[] = {"baseline", "avx2", "avx512", NULL /* the best there is */};
    (void)state;
    for (uint64_t i = 0; i < 2 * seeds; i++) {
        const uint64_t seed = first_seed + i / 2 + (i % 2 ? RANDOM_BLOCKS : 0);
        char *expected = NULL;
        size_t whole = 0;
        for (int crew = 0; crew < CREWS; crew++) {
            soma_context *c =
                soma_context_create(&(soma_context_options){.isa = levels[seed % 4], .threads = 1 + crew, .seed = 3});
            if (!c) c = soma_context_create(&(soma_context_options){.isa = "baseline", .threads = 1 + crew, .seed = 3});
            random_graph *r = random_graph_create(c, seed, 30);
            for (manner how = PLAIN; how < MANNERS; how++) {
                size_t bytes = 0;
                char *got = run(r, how, &bytes);
                if (expected && (bytes != whole || memcmp(got, expected, whole) != 0))
                    fail_msg("seed %llu, %s, %d threads, %s: other bits", (unsigned long long)seed, soma_isa(c),
                             1 + crew, manners[how]);
                if (expected) free(got);
                if (!expected) expected = got, whole = bytes;
            }
            random_graph_destroy(r);
            soma_context_destroy(c);
        }
        free(expected);
    }
}

int main(int argc, char **argv) {
    if (argc > 1) first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2) seeds = strtoull(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {cmocka_unit_test(turns_leave_the_same_bits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
