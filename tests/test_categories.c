/* Layers that make numbers of categories, and vectors of these, against plain loops. Rests on cmocka. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <soma/soma.h>

#include "support/expect.h"
#include "support/needs.h"
#include "support/scratch.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Of a model of one layer; n inputs. */
static soma_tensor *run(soma_layer *layer, soma_tensor *const *inputs, int n) {
    soma_symbol *xs[2], *y;
    for (int i = 0; i < n; i++)
        xs[i] = soma_symbol_create(NULL, soma_ndim(inputs[i]) - 1, soma_shape(inputs[i]) + 1, i ? "b" : "a");
    y = soma_call_many(layer, xs, n);
    soma_model *net = y ? soma_model_create(xs, n, &y, 1) : NULL;
    if (!net) fail_msg("%s", soma_last_error(NULL));
    soma_tensor *out = NULL;
    expect_ok(soma_model_apply(net, inputs, n, false, &out));
    assert_non_null(soma_data(out));
    soma_model_destroy(net);
    return out;
}

static void expect_shape(soma_tensor *y, int rank, const int64_t *shape) {
    assert_int_equal(soma_ndim(y), rank);
    for (int i = 0; i < rank; i++)
        assert_int_equal(soma_dim(y, i), shape[i]);
}

/* ---- CategoryEncoding ---- */

enum { N = 5, LENGTH = 4, TOKENS = 7 };
static const int64_t categories[N][LENGTH] = {{0, 0, 6, 3}, {1, 2, 3, 4}, {5, 5, 5, 5}, {6, 7, -1, 0}, {2, 0, 2, 0}};

static void categories_become_vectors(void **state) {
    (void)state;
    float weights[N][LENGTH];
    double count[N][TOKENS] = {{0}}, weighed[N][TOKENS] = {{0}}, there[N][TOKENS] = {{0}};
    double each[N][LENGTH][TOKENS] = {{{0}}};
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < LENGTH; k++) {
            const int64_t c = categories[i][k];
            weights[i][k] = (float)(i + 1) / (float)(k + 2);
            if (c < 0 || c >= TOKENS) continue; /* none of them */
            each[i][k][c] = there[i][c] = 1;
            count[i][c]++;
            weighed[i][c] += (double)weights[i][k];
        }
    }
    soma_tensor *x[] = {soma_array(NULL, SOMA_I64, SOMA_DIMS(N, LENGTH), categories),
                        soma_array(NULL, SOMA_F32, SOMA_DIMS(N, LENGTH), weights)};
    soma_tensor *y = run(soma_category_encoding(TOKENS), x, 1);
    expect_shape(y, SOMA_DIMS(N, TOKENS));
    expect_all("multi_hot", y, there[0], N * TOKENS, 0);
    expect_all("count", run(soma_category_encoding(TOKENS, .output_mode = "count"), x, 1), count[0], N * TOKENS, 0);
    expect_all("weighed", run(soma_category_encoding(TOKENS, .output_mode = "count"), x, 2), weighed[0], N * TOKENS,
               1e-6);
    y = run(soma_category_encoding(TOKENS, .output_mode = "one_hot"), x, 1);
    expect_shape(y, SOMA_DIMS(N, LENGTH, TOKENS));
    expect_all("one_hot", y, each[0][0], N * LENGTH * TOKENS, 0);
    soma_tensor *column = soma_cast(soma_reshape(x[0], SOMA_DIMS(N * LENGTH, 1)), SOMA_F32); /* floats that are whole */
    y = run(soma_category_encoding(TOKENS, .output_mode = "one_hot", .dtype = SOMA_F64), &column, 1);
    expect_shape(y, SOMA_DIMS(N * LENGTH, TOKENS));
    expect_all("one_hot of one", y, each[0][0], N * LENGTH * TOKENS, 0);
}

/* ---- IntegerLookup ---- */

static void integers_are_looked_up(void **state) {
    (void)state;
    enum { MOST = 41 };
    for (int64_t size = 1; size <= MOST; size += size < 5 ? 1 : 9) {
        for (int64_t oov = 1; oov <= 3; oov += 2) {
            double vocabulary[MOST];
            int64_t x[3 * MOST];
            double plain[3 * MOST], masked[3 * MOST];
            for (int64_t i = 0; i < size; i++)
                vocabulary[i] = (double)((i * 29 % MOST) * (INT64_C(1) << 40) - 77);
            for (int64_t i = 0; i < 3 * MOST; i++) {
                const double v = i % 3 ? (double)(i - MOST) : vocabulary[i % size];
                x[i] = (int64_t)v;
                int64_t at = 0;
                while (at < size && vocabulary[at] != v)
                    at++;
                const int64_t unknown = ((x[i] % oov) + oov) % oov;
                plain[i] = (double)(at < size ? oov + at : unknown);
                masked[i] = x[i] == 5 ? 0 : 1 + plain[i];
            }
            const soma_numbers words = {size, vocabulary}, mask = {1, (double[]){5}};
            soma_tensor *in = soma_array(NULL, SOMA_I64, SOMA_DIMS(MOST, 3), x);
            expect_all("lookup", run(soma_integer_lookup(words, .num_oov_indices = oov), &in, 1), plain, 3 * MOST, 0);
            expect_all("masked lookup",
                       run(soma_integer_lookup(words, .num_oov_indices = oov, .mask_token = mask), &in, 1), masked,
                       3 * MOST, 0);
            soma_tensor *y = run(soma_integer_lookup(words, .num_oov_indices = oov, .output_mode = "count"), &in, 1);
            expect_shape(y, SOMA_DIMS(MOST, oov + size));
            double total = 0;
            for (int64_t i = 0; i < MOST * (oov + size); i++)
                total += soma_item(y, i);
            assert_true(total == 3 * MOST);
        }
    }
}

/* Keras: in other modes than int the mask token is not part of the vocabulary, and what it stands for is dropped. */
static void vectors_leave_the_mask_token_out(void **state) {
    (void)state;
    const soma_numbers words = {2, (double[]){10, 20}}, mask = {1, (double[]){0}};
    const int64_t x[] = {20, 0, 0, 7, 0, 20};
    const double counts[] = {0, 0, 1, 1, 0, 1}, each[] = {0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1};
    soma_tensor *in = soma_array(NULL, SOMA_I64, SOMA_DIMS(2, 3), x);
    soma_tensor *y = run(soma_integer_lookup(words, .mask_token = mask, .output_mode = "count"), &in, 1);
    expect_shape(y, SOMA_DIMS(2, 3));
    expect_all("counts", y, counts, 6, 0);
    y = run(soma_integer_lookup(words, .mask_token = mask, .output_mode = "one_hot"), &in, 1);
    expect_shape(y, SOMA_DIMS(2, 3, 3));
    expect_all("each", y, each, 18, 0);
}

/* ---- Discretization ---- */

static void numbers_have_bins(void **state) {
    (void)state;
    const double limits[] = {-1.5, 0, 0.25, 7};
    double expected[37];
    float x[37];
    for (int i = 0; i < 37; i++) {
        x[i] = (float)(i % 5 == 0 ? limits[i % 4] : sin(i) * 9);
        expected[i] = 0;
        for (int k = 0; k < 4; k++)
            expected[i] += (double)x[i] >= limits[k];
    }
    soma_tensor *in = soma_array(NULL, SOMA_F32, SOMA_DIMS(37, 1), x);
    const soma_numbers given = {4, limits};
    expect_all("bins", run(soma_discretization(.bin_boundaries = given), &in, 1), expected, 37, 0);
    soma_tensor *y = run(soma_discretization(.bin_boundaries = given, .output_mode = "one_hot"), &in, 1);
    expect_shape(y, SOMA_DIMS(37, 5));
    for (int i = 0; i < 37; i++)
        for (int k = 0; k < 5; k++)
            assert_true(soma_item(y, 5 * i + k) == (k == (int)expected[i]));
}

static int ascending(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static void bins_are_quantiles(void **state) {
    (void)state;
    NEEDS(JANSSON);
    enum { MANY = 1003, BINS = 7 };
    static float x[MANY], sorted[MANY];
    for (int i = 0; i < MANY; i++)
        sorted[i] = x[i] = (float)tan(i * 0.37);
    qsort(sorted, MANY, sizeof *sorted, ascending);
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(MANY, 1), x},
                                                  (soma_array_data){.data = NULL}, true);
    soma_model *net = soma_sequential(soma_discretization(.num_bins = BINS, .output_mode = "one_hot"));
    expect_ok(soma_adapt(net, data));
    float limits[BINS - 1];
    expect_ok(soma_variable_get(soma_layer_get_weight(soma_model_get_layer(net, 0), 0), limits, sizeof limits));
    for (int i = 1; i < BINS; i++) {
        const double place = i * (MANY - 1.0) / BINS, below = floor(place);
        const double a = (double)sorted[(int)below], b = (double)sorted[(int)below + 1];
        expect_near("boundary", (double)limits[i - 1], a + (place - below) * (b - a), 1e-6);
    }
    expect_ok(soma_save(net, scratch_path("bins.soma")));
    soma_model *again = soma_load(NULL, scratch_path("bins.soma"));
    if (!again) fail_msg("%s", soma_last_error(NULL));
    soma_tensor *y = soma_predict(again, data);
    for (int k = 0; k < BINS; k++) {
        double in_bin = 0;
        for (int i = 0; i < MANY; i++)
            in_bin += soma_item(y, BINS * i + k);
        assert_in_range((int)in_bin, MANY / BINS - 1, MANY / BINS + 2);
    }
    soma_model_destroy(again);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

static void mistakes_are_named(void **state) {
    (void)state;
    NEEDS(JANSSON);
    static const struct {
        const char *layer, *error;
    } wrong[] = {
        {"{\"category_encoding\": {\"num_tokens\": 3, \"output_mode\": \"int\"}}",
         "[CategoryEncoding] output_mode is 'int': it must be one_hot, multi_hot or count"},
        {"{\"integer_lookup\": {\"vocabulary\": [3, 4, 3]}}", "[IntegerLookup] vocabulary: 3 is there twice"},
        {"{\"integer_lookup\": {\"vocabulary\": [3, 4.5]}}", "[IntegerLookup] vocabulary: 4.5 is no whole number"},
        {"\"integer_lookup\"", "[IntegerLookup] it needs a vocabulary"},
        {"{\"discretization\": {\"bin_boundaries\": [1, 1]}}",
         "[Discretization] bin_boundaries must grow: 1 is followed by 1"},
        {"{\"discretization\": {\"num_bins\": 1}}", "it needs bin_boundaries, or a num_bins of at least 2"},
        {"{\"discretization\": {\"num_bins\": 3, \"output_mode\": \"tf_idf\"}}",
         "output_mode is 'tf_idf': it must be int, one_hot, multi_hot or count"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char json[256];
        snprintf(json, sizeof json, "{\"layers\": [{\"input\": [2]}, %s]}", wrong[i].layer);
        assert_null(soma_model_from_json(NULL, json));
        if (!strstr(soma_last_error(NULL), wrong[i].error))
            fail_msg("'%s' lacks '%s'", soma_last_error(NULL), wrong[i].error);
        soma_clear_error(NULL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(categories_become_vectors, reset),
        cmocka_unit_test_setup(integers_are_looked_up, reset),
        cmocka_unit_test_setup(vectors_leave_the_mask_token_out, reset),
        cmocka_unit_test_setup(numbers_have_bins, reset),
        cmocka_unit_test_setup(bins_are_quantiles, reset),
        cmocka_unit_test_setup(mistakes_are_named, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
