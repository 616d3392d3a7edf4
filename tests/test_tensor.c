/* Tensors, graphs and variables, and printing against what NumPy prints.
 * Rests on the public headers, and on node.h for panels.
 * tests/golden/print.txt holds arrays and NumPy's text for them; print.py beside it made it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <soma/ops.h>
#include <soma/plan.h>

#include "cpu/reference/half.h"
#include "support/failing.h"
#include "tensor/node.h"

static int forget(void **state) {
    (void)state;
    soma_clear_error(NULL);
    soma_graph_reset(NULL);
    return 0;
}

#define EXPECT_ERROR(status, message)                                                                                  \
    do {                                                                                                               \
        assert_int_equal(soma_last_status(NULL), status);                                                              \
        assert_string_equal(soma_last_error(NULL), message);                                                           \
        soma_clear_error(NULL);                                                                                        \
    } while (0)

/* ---- printing ---- */

static soma_dtype dtype_named(const char *name) {
    for (int i = 0; i < SOMA_DTYPE_COUNT; i++)
        if (strcmp(soma_dtype_name((soma_dtype)i), name) == 0) return (soma_dtype)i;
    fail_msg("unknown dtype %s", name);
    return SOMA_F32;
}

/* The array of a case line; NULL at the end of the file. */
static soma_tensor *read_array(FILE *file, char *line, int capacity) {
    if (!fgets(line, capacity, file)) return NULL;
    char *rest = line;
    soma_dtype dtype = dtype_named(strtok_r(line, " \n", &rest));
    int rank = atoi(strtok_r(NULL, " \n", &rest));
    int64_t shape[SOMA_MAX_RANK] = {0};
    for (int i = 0; i < rank; i++)
        shape[i] = atoll(strtok_r(NULL, " \n", &rest));
    const char *how = strtok_r(NULL, " \n", &rest);
    int64_t size = shape_size(rank, shape);
    if (strcmp(how, "arange") == 0) {
        soma_tensor *flat = soma_cast(soma_arange(NULL, SOMA_I64, 0, (double)size, 1), dtype);
        return soma_reshape(flat, rank, shape);
    }
    const char *hex = strtok_r(NULL, " \n", &rest);
    size_t bytes = (size_t)size * soma_dtype_size(dtype);
    unsigned char *data = malloc(bytes + 1);
    for (size_t i = 0; i < bytes; i++) {
        unsigned byte = 0;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        data[i] = (unsigned char)byte;
    }
    soma_tensor *array = soma_array(NULL, dtype, rank, shape, data);
    free(data);
    return array;
}

static void prints_as_numpy(void **state) {
    (void)state;
    enum { LINE = 1 << 16 };
    FILE *file = fopen("tests/golden/print.txt", "r");
    assert_non_null(file);
    char *line = malloc(LINE), *expected = malloc(LINE);
    int cases = 0;
    for (soma_tensor *x; (x = read_array(file, line, LINE)) != NULL; cases++) {
        int lines = 0;
        assert_non_null(fgets(line, LINE, file));
        assert_int_equal(sscanf(line, "lines %d", &lines), 1);
        *expected = '\0';
        for (int i = 0; i < lines; i++) {
            assert_non_null(fgets(line, LINE, file));
            strcat(expected, line);
        }
        expected[strlen(expected) - 1] = '\0'; /* the last newline is the file's */
        char *got = soma_to_string(x);
        assert_non_null(got);
        assert_string_equal(got, expected);
        soma_string_free(got);
    }
    assert_true(cases > 150);
    free(line);
    free(expected);
    fclose(file);
}

static void prints_bfloat16_shortest(void **state) {
    (void)state;
    soma_tensor *x = soma_array(NULL, SOMA_F32, SOMA_DIMS(3), (const float[]){0.1f, 1, -2.5f});
    char *got = soma_to_string(soma_cast(x, SOMA_BF16));
    assert_string_equal(got, "[ 0.1  1.  -2.5]");
    soma_string_free(got);
}

static void printing_says_what_is_wrong(void **state) {
    (void)state;
    assert_null(soma_to_string(NULL));
    soma_tensor *x = soma_input(NULL, SOMA_F32, SOMA_DIMS(2), "pixels");
    assert_null(soma_to_string(soma_neg(x)));
    assert_int_not_equal(soma_last_status(NULL), SOMA_OK);
    soma_clear_error(NULL);
    assert_int_not_equal(soma_print(soma_neg(x)), SOMA_OK);
}

/* ---- dtypes, shapes ---- */

static void dtypes(void **state) {
    (void)state;
    static const struct {
        soma_dtype dtype;
        const char *name;
        size_t size;
        bool real, integer;
    } all[] = {{SOMA_F32, "float32", 4, true, false}, {SOMA_F64, "float64", 8, true, false},
               {SOMA_F16, "float16", 2, true, false}, {SOMA_BF16, "bfloat16", 2, true, false},
               {SOMA_I8, "int8", 1, false, true},     {SOMA_I16, "int16", 2, false, true},
               {SOMA_I32, "int32", 4, false, true},   {SOMA_I64, "int64", 8, false, true},
               {SOMA_U8, "uint8", 1, false, true},    {SOMA_BOOL, "bool", 1, false, false}};
    assert_int_equal(sizeof all / sizeof *all, SOMA_DTYPE_COUNT);
    for (int i = 0; i < SOMA_DTYPE_COUNT; i++) {
        assert_string_equal(soma_dtype_name(all[i].dtype), all[i].name);
        assert_int_equal(soma_dtype_size(all[i].dtype), all[i].size);
        assert_int_equal(dtype_is_float(all[i].dtype), all[i].real);
        assert_int_equal(dtype_is_integer(all[i].dtype), all[i].integer);
    }
    assert_int_equal(soma_dtype_size((soma_dtype)99), 0);
    assert_string_equal(soma_dtype_name((soma_dtype)99), "unknown dtype");
}

static void shapes(void **state) {
    (void)state;
    char buffer[SHAPE_TEXT];
    assert_int_equal(shape_size(SOMA_SCALAR_DIMS), 1);
    assert_int_equal(shape_size(SOMA_DIMS(2, 3, 4)), 24);
    assert_int_equal(shape_size(SOMA_DIMS(3, 0, 4)), 0);
    assert_int_equal(shape_size(SOMA_DIMS(INT64_MAX, 0, INT64_MAX)), -1); /* strides would overflow */
    assert_int_equal(shape_size(SOMA_DIMS(INT64_MAX, 2)), -1);
    assert_int_equal(shape_size(SOMA_DIMS(2, -1)), -1);
    assert_string_equal(shape_text(buffer, SOMA_SCALAR_DIMS), "()");
    assert_string_equal(shape_text(buffer, SOMA_DIMS(5)), "(5,)");
    assert_string_equal(shape_text(buffer, SOMA_DIMS(2, 3)), "(2,3)");
    shape_text(buffer,
               SOMA_DIMS(INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN));
    assert_int_equal(strlen(buffer), 8 * 20 + 7 + 2);
    assert_true(shape_equal(SOMA_DIMS(2, 3), SOMA_DIMS(2, 3)));
    assert_false(shape_equal(SOMA_DIMS(2, 3), SOMA_DIMS(2)));
    assert_false(shape_equal(SOMA_DIMS(2, 3), SOMA_DIMS(2, 4)));
}

/* Every float16 and bfloat16 there is survives the way to double and back; rounding goes to the nearest, ties to even.
 */
static void sixteen_bits(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        double half = half_to_double((uint16_t)bits), bfloat = bfloat_to_double((uint16_t)bits);
        if (!isnan(half)) assert_int_equal(half_from_double(half), bits);
        if (!isnan(bfloat)) assert_int_equal(bfloat_from_double(bfloat), bits);
        /* the middle between two neighbours goes to the even one, anything beyond it away */
        if (bits >= 0x7bff || (bits & 1)) continue;
        double next = half_to_double((uint16_t)(bits + 1)), middle = (half + next) / 2;
        assert_int_equal(half_from_double(middle), bits);
        assert_int_equal(half_from_double(nextafter(middle, INFINITY)), bits + 1);
    }
    assert_int_equal(half_from_double(65519.99), 0x7bff);
    assert_int_equal(half_from_double(65520), 0x7c00);
    assert_int_equal(half_from_double(-1e300), 0xfc00);
    assert_int_equal(half_from_double(1e-300), 0);
    assert_int_equal(half_from_double(0x1p-25), 0);
    assert_int_equal(half_from_double(0x1.000002p-25), 1);
    assert_true(isnan(half_to_double(half_from_double((double)NAN))));
    assert_int_equal(bfloat_from_double(1.0 + 0x1p-8), 0x3f80);
    assert_int_equal(bfloat_from_double(1.0 + 0x1p-8 + 0x1p-40), 0x3f81);
    assert_int_equal(bfloat_from_double(3.4e38), 0x7f80);
}

/* ---- graphs ---- */

static void what_a_tensor_is(void **state) {
    (void)state;
    soma_context *context = soma_context_create(NULL);
    soma_graph *graph = soma_graph_create(context);
    assert_ptr_equal(soma_graph_context(graph), context);
    const float data[] = {1, 2, 3, 4, 5, 6};
    soma_tensor *x = soma_array(graph, SOMA_F32, SOMA_DIMS(2, 3), data);
    assert_ptr_equal(soma_tensor_graph(x), graph);
    assert_int_equal(soma_ndim(x), 2);
    assert_int_equal(soma_shape(x)[1], 3);
    assert_int_equal(soma_dim(x, -2), 2);
    assert_int_equal(soma_size(x), 6);
    assert_int_equal(soma_tensor_dtype(x), SOMA_F32);
    assert_true(soma_item(x, 4) == 5);
    assert_int_equal(soma_dim(x, 2), 0);
    assert_string_equal(soma_last_error(context), "[dim] axis 2 is out of range for rank 2");
    assert_null(soma_tensor_graph(NULL));
    assert_int_equal(soma_ndim(NULL), 0);
    assert_int_equal(soma_size(NULL), 0);
    soma_graph_destroy(graph);
    soma_graph_destroy(NULL);
    soma_context_destroy(context);
}

static void where_tensors_come_from(void **state) {
    (void)state;
    soma_tensor *x = soma_full(NULL, SOMA_I32, SOMA_DIMS(2, 2), 7);
    assert_true(soma_item(x, 3) == 7);
    assert_true(soma_item(soma_zeros(NULL, SOMA_F64, SOMA_DIMS(3)), 2) == 0);
    assert_true(soma_item(soma_ones(NULL, SOMA_F16, SOMA_DIMS(3)), 2) == 1);
    assert_true(soma_item(soma_scalar(NULL, SOMA_U8, 300), 0) == 255);
    static const float kept[] = {3, 4};
    assert_ptr_equal(soma_data(soma_array_view(NULL, SOMA_F32, SOMA_DIMS(2), kept)), kept);
    soma_tensor *down = soma_arange(NULL, SOMA_U8, 5, 0, -2);
    assert_int_equal(soma_size(down), 3);
    assert_true(soma_item(down, 0) == 5 && soma_item(down, 2) == 1);
    assert_int_equal(soma_size(soma_arange(NULL, SOMA_F32, 0, 1, 0.1)), 10);
    assert_int_equal(soma_size(soma_arange(NULL, SOMA_F32, 1, 0, 1)), 0);
    assert_null(soma_arange(NULL, SOMA_I32, 0, 5, 0.5));
    EXPECT_ERROR(SOMA_DTYPE, "[arange] start 0 and step 0.5 must be whole numbers in int32");
    assert_null(soma_arange(NULL, SOMA_F32, 0, 1, 0));
    EXPECT_ERROR(SOMA_INVALID, "[arange] from 0 to 1 by 0");
    assert_null(soma_arange(NULL, SOMA_F32, 0, (double)INFINITY, 1));
    EXPECT_ERROR(SOMA_INVALID, "[arange] from 0 to inf by 1");
    assert_null(soma_zeros(NULL, SOMA_F32, SOMA_DIMS(1, 1, 1, 1, 1, 1, 1, 1, 1)));
    EXPECT_ERROR(SOMA_SHAPE, "[zeros] rank 9 is not in 0 to 8, or no shape is given");
    assert_null(soma_zeros(NULL, SOMA_F32, 2, NULL));
    EXPECT_ERROR(SOMA_SHAPE, "[zeros] rank 2 is not in 0 to 8, or no shape is given");
    assert_null(soma_input(NULL, SOMA_F32, 2, NULL, "x"));
    EXPECT_ERROR(SOMA_SHAPE, "[input] rank 2 is not in 0 to 8, or no shape is given");
    assert_null(soma_variable_create(NULL, "v", SOMA_F32, 2, NULL));
    EXPECT_ERROR(SOMA_SHAPE, "[variable] v: rank 2 is not in 0 to 8, or no shape is given");
    assert_null(soma_zeros(NULL, SOMA_F32, SOMA_DIMS(INT64_MAX, 2)));
    EXPECT_ERROR(SOMA_SHAPE, "[zeros] (9223372036854775807,2) is negative or too large");
    assert_null(soma_array(NULL, SOMA_F32, SOMA_DIMS(2), NULL));
    EXPECT_ERROR(SOMA_INVALID, "[array] data is NULL");
    assert_null(soma_input(NULL, (soma_dtype)42, SOMA_DIMS(2), "x"));
    EXPECT_ERROR(SOMA_DTYPE, "[input] unknown dtype 42");
    assert_null(soma_random_normal(NULL, SOMA_I32, SOMA_DIMS(2), 0, 1, NULL));
    EXPECT_ERROR(SOMA_DTYPE, "[normal] makes float32 or float64, not int32");
}

/* The same code traced again draws the same numbers; two ops, two seeds or two steps draw others. */
static void random_numbers_are_a_function_of_their_place(void **state) {
    (void)state;
    double first[2][2][3];
    for (int seed = 0; seed < 2; seed++) {
        soma_context *context = soma_context_create(&(soma_context_options){.seed = (uint64_t)seed});
        for (int trace = 0; trace < 2; trace++) {
            soma_graph *graph = soma_graph_create(context);
            soma_tensor *a = soma_random_uniform(graph, SOMA_F32, SOMA_DIMS(100), 2, 3, NULL);
            soma_tensor *b = soma_random_uniform(graph, SOMA_F32, SOMA_DIMS(100), 2, 3, NULL);
            soma_tensor *step = soma_scalar(graph, SOMA_I64, 1);
            soma_tensor *c = soma_random_uniform(graph, SOMA_F32, SOMA_DIMS(100), 2, 3, step);
            for (int i = 0; i < 100; i++)
                assert_true(soma_item(a, i) >= 2 && soma_item(a, i) < 3);
            first[seed][trace][0] = soma_item(a, 0);
            first[seed][trace][1] = soma_item(b, 0);
            first[seed][trace][2] = soma_item(c, 0);
            soma_graph_destroy(graph);
        }
        soma_context_destroy(context);
    }
    for (int i = 0; i < 3; i++) {
        assert_true(first[0][0][i] == first[0][1][i] && first[1][0][i] == first[1][1][i]);
        assert_true(first[0][0][i] != first[1][0][i]);
    }
    assert_true(first[0][0][0] != first[0][0][1]);
    soma_tensor *z = soma_random_normal(NULL, SOMA_F64, SOMA_DIMS(10000), 1, 2, NULL);
    double mean = soma_item(soma_mean(z, SOMA_ALL_AXES, false), 0);
    double square = soma_item(soma_mean(soma_square(z), SOMA_ALL_AXES, false), 0);
    assert_true(fabs(mean - 1) < 0.08 && fabs(square - mean * mean - 4) < 0.25);
}

static void a_hundred_thousand_nodes(void **state) {
    (void)state;
    soma_graph *graph = soma_graph_create(NULL);
    soma_tensor *x = soma_input(graph, SOMA_F32, SOMA_DIMS(4), "x");
    for (int i = 0; i < 100000; i++)
        x = soma_neg(x);
    assert_non_null(x);
    assert_int_equal(x->id, 100000);
    for (int64_t id = 0; id < graph->n_nodes; id++)
        assert_int_equal(graph->nodes[id]->id, id);
    soma_graph_reset(graph);
    assert_int_equal(graph->n_nodes, 0);
    assert_non_null(soma_zeros(graph, SOMA_F32, SOMA_DIMS(3)));
    soma_graph_destroy(graph);
}

/* ---- variables ---- */

/* Panels of every width hold the same elements, at the places that node.h says. */
static void variables_in_panels(void **state) {
    (void)state;
    static const struct {
        int rank;
        int64_t shape[3];
    } cases[] = {{0, {0}}, {1, {5}}, {1, {16}}, {2, {3, 7}}, {2, {4, 8}}, {3, {2, 3, 5}}, {2, {0, 4}}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        soma_variable *v = soma_variable_create(NULL, "w", SOMA_F32, cases[k].rank, cases[k].shape);
        assert_non_null(v);
        float set[64], got[64];
        size_t bytes = (size_t)v->size * sizeof *set;
        for (int i = 0; i < 64; i++)
            set[i] = (float)i + 1;
        for (int64_t width = 0; width <= 16; width = width == 8 ? 16 : width + 1) {
            for (int i = 0; i < 64; i++)
                set[i] += 64;
            assert_int_equal(variable_set_width(v, width), SOMA_OK);
            assert_int_equal(soma_variable_set(v, set, bytes), SOMA_OK);
            assert_int_equal(v->width, width);
            assert_int_equal(soma_variable_get(v, got, bytes), SOMA_OK);
            assert_memory_equal(got, set, bytes);
            assert_int_equal((uintptr_t)v->data % 64, 0);
            if (width == 0 || v->rank != 2) continue;
            for (int64_t r = 0; r < v->shape[0]; r++)
                for (int64_t c = 0; c < (v->shape[1] + width - 1) / width * width; c++) {
                    float expected = c < v->shape[1] ? set[r * v->shape[1] + c] : 0;
                    assert_true(((float *)v->data)[(c / width * v->shape[0] + r) * width + c % width] == expected);
                }
        }
        assert_int_equal(variable_set_width(v, 4), SOMA_OK);
        assert_int_equal(variable_set_width(v, 3), SOMA_OK);
        assert_int_equal(variable_set_width(v, 0), SOMA_OK);
        assert_int_equal(soma_variable_get(v, got, bytes), SOMA_OK);
        assert_memory_equal(got, set, bytes);
        soma_variable_destroy(v);
    }
    soma_variable_destroy(NULL);
}

static void variables_in_graphs(void **state) {
    (void)state;
    char name[] = "dense/kernel";
    soma_variable *v = soma_variable_create(NULL, name, SOMA_F64, SOMA_DIMS(2, 3));
    name[0] = 'x';
    assert_string_equal(soma_variable_name(v), "dense/kernel");
    assert_int_equal(soma_variable_ndim(v), 2);
    assert_int_equal(soma_variable_shape(v)[1], 3);
    assert_int_equal(soma_variable_size(v), 6);
    assert_int_equal(soma_variable_dtype(v), SOMA_F64);
    soma_tensor *old = soma_read(NULL, v), *update = soma_assign(v, soma_add_scalar(old, 2));
    assert_int_equal(soma_shape(old)[0], 2);
    for (int i = 0; i < 2; i++) {
        soma_plan *plan =
            soma_plan_create((soma_tensor *[]){update, old}, 2, &(soma_plan_options){.reference = i == 0});
        assert_non_null(plan);
        assert_int_equal(soma_plan_run(plan), SOMA_OK);
        assert_true(((const double *)soma_plan_output(plan, 1))[5] == 2 * i);
        soma_plan_destroy(plan);
        double got[6];
        assert_int_equal(soma_variable_get(v, got, sizeof got), SOMA_OK);
        assert_true(got[0] == 2 * i + 2 && got[5] == 2 * i + 2);
    }
    soma_tensor *g = NULL;
    assert_int_equal(soma_grad(soma_sum(update, SOMA_ALL_AXES, false), &old, 1, &g), SOMA_OK);
    assert_true(soma_item(g, 0) == 1);

    double too_few[5] = {0};
    assert_int_equal(soma_variable_set(v, too_few, sizeof too_few), SOMA_SHAPE);
    EXPECT_ERROR(SOMA_SHAPE, "[variable] set dense/kernel: 40 bytes given, its 6 x float64 are 48");
    assert_int_equal(soma_variable_get(NULL, too_few, 8), SOMA_INVALID);
    EXPECT_ERROR(SOMA_INVALID, "[variable] get: no variable given");
    assert_null(soma_assign(v, soma_zeros(NULL, SOMA_F64, SOMA_DIMS(3, 2))));
    EXPECT_ERROR(SOMA_SHAPE, "[assign] a value of shape (3,2) does not fit a variable of shape (2,3)");
    assert_null(soma_assign(v, soma_zeros(NULL, SOMA_F32, SOMA_DIMS(2, 3))));
    EXPECT_ERROR(SOMA_DTYPE, "[assign] a float32 value does not fit a float64 variable: soma_cast it");
    assert_null(soma_variable_create(NULL, "w", SOMA_F32, SOMA_DIMS(INT64_MAX, 4)));
    EXPECT_ERROR(SOMA_SHAPE, "[variable] w: (9223372036854775807,4) is negative or too large");
    soma_variable_destroy(v);
}

/* ---- memory ---- */

/* Builds, differentiates and prints; false after an error. */
static bool work(soma_context *context) {
    soma_graph *graph = soma_graph_create(context);
    soma_variable *v = soma_variable_create(context, "w", SOMA_F32, SOMA_DIMS(3, 5));
    bool good = graph && v && variable_set_width(v, 4) == SOMA_OK;
    if (good) {
        soma_tensor *x = soma_read(graph, v), *g = NULL;
        soma_tensor *y = soma_sum(soma_softmax_axis(soma_matmul(x, soma_transpose(x, NULL)), 1), SOMA_ALL_AXES, false);
        good = y && soma_grad(y, &x, 1, &g) == SOMA_OK;
        char *string = good ? soma_to_string(g) : NULL;
        good = string != NULL;
        soma_string_free(string);
    }
    soma_variable_destroy(v);
    soma_graph_destroy(graph);
    return good;
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    failing f = {.refuse = -1};
    soma_context *context = failing_context(&f, 1);
    assert_true(work(context)); /* what is made at first use and kept */
    int64_t kept = f.blocks;
    for (int64_t n = 0;; n++) {
        soma_clear_error(context);
        f.refuse = f.requests + n;
        bool good = work(context);
        assert_false(f.wrong_size);
        assert_int_equal(f.blocks, kept);
        if (good) {
            assert_true(n > 5);
            break;
        }
        assert_int_equal(soma_last_status(context), SOMA_NO_MEMORY);
    }
    soma_context_destroy(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(prints_as_numpy, forget),
        cmocka_unit_test_teardown(prints_bfloat16_shortest, forget),
        cmocka_unit_test_teardown(printing_says_what_is_wrong, forget),
        cmocka_unit_test_teardown(dtypes, forget),
        cmocka_unit_test_teardown(shapes, forget),
        cmocka_unit_test_teardown(sixteen_bits, forget),
        cmocka_unit_test_teardown(what_a_tensor_is, forget),
        cmocka_unit_test_teardown(where_tensors_come_from, forget),
        cmocka_unit_test_teardown(random_numbers_are_a_function_of_their_place, forget),
        cmocka_unit_test_teardown(a_hundred_thousand_nodes, forget),
        cmocka_unit_test_teardown(variables_in_panels, forget),
        cmocka_unit_test_teardown(variables_in_graphs, forget),
        cmocka_unit_test_teardown(every_allocation_may_fail, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
