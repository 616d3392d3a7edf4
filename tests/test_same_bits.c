/* A sample has the same bits alone and in a batch, a sequence alone and padded among others: at every instruction set,
 * in both real types, of odd sizes. Rests on the public API; nothing here is within a tolerance.
 * Products first, however their operands lie and however they are cut, then layers, then sequences with masks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <soma/soma.h>

#include "cpu/cpu.h"
#include "cpu/reference/element.h"

static soma_context *home;
static soma_dtype type;

static void must(soma_status status) {
    if (status != SOMA_OK) fail_msg("%s", soma_last_error(home));
}

/* The same numbers in every run, between -1 and 1. */
static void fill(void *data, int64_t n, uint32_t seed) {
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        element_set(type, data, i, (double)(seed >> 8) / 8388608.0 - 1);
    }
}

/* With room behind it, for whole vectors. */
static void *numbers(int64_t n, uint32_t seed) {
    void *data = calloc((size_t)n + 16, sizeof(double));
    assert_non_null(data);
    fill(data, n, seed);
    return data;
}

/* Two threads at one level: they share the work alike at every one. */
static void each(void (*check)(void)) {
    const cpu_kernels *level;
    for (int i = 0; (level = cpu_level(i)) != NULL; i++)
        for (int threads = 1; threads <= (i == 0 ? 2 : 1); threads++) {
            home = soma_context_create(&(soma_context_options){.isa = level->name, .threads = threads, .seed = 5});
            assert_non_null(home);
            for (int t = 0; t < 2; t++) {
                type = t ? SOMA_F64 : SOMA_F32;
                check();
            }
            soma_context_destroy(home);
        }
}

static void expect_same(const char *what, const void *a, const void *b, int64_t n) {
    if (memcmp(a, b, (size_t)n * soma_dtype_size(type)) == 0) return;
    for (int64_t i = 0; i < n; i++) {
        const double x = element_get(type, a, i), y = element_get(type, b, i);
        if (x != y)
            fail_msg("%s, %s, f%d: element %d is %.17g, and %.17g", what, soma_isa(home), type == SOMA_F64 ? 64 : 32,
                     (int)i, x, y);
    }
}

/* ---- products ---- */

enum { ROWS = 45 };

/* How the operands lie; the result goes through an epilogue or straight to memory. */
typedef enum form { KEPT, GIVEN, COMPUTED, B_TRANSPOSED, A_TRANSPOSED, EACH_ITS_OWN, FORMS } form;

static soma_tensor *product(form f, soma_tensor *a, soma_tensor *b, bool bare) {
    if (f == COMPUTED) b = soma_neg(b);
    if (f == B_TRANSPOSED) b = soma_transpose(b, NULL);
    if (f == A_TRANSPOSED) a = soma_transpose(a, NULL);
    soma_tensor *c = soma_matmul(a, b);
    return bare ? c : soma_tanh(soma_add_scalar(soma_mul_scalar(c, 0.3), 0.1));
}

/* Rows first .. first+m-1 of A times B, into c. */
static void multiply(form f, int64_t first, int64_t m, int64_t n, int64_t k, const void *a, const void *b, bool bare,
                     void *c) {
    const size_t size = soma_dtype_size(type);
    soma_graph *graph = soma_graph_create(home);
    const int64_t left[2] = {f == A_TRANSPOSED ? k : m, f == A_TRANSPOSED ? m : k};
    const int64_t right[2] = {f == B_TRANSPOSED ? n : k, f == B_TRANSPOSED ? k : n};
    char *rows = numbers(m * k, 1);
    for (int64_t i = 0; i < m; i++)
        for (int64_t p = 0; p < k; p++)
            memcpy(rows + (f == A_TRANSPOSED ? p * m + i : i * k + p) * (int64_t)size,
                   (const char *)a + ((first + i) * k + p) * (int64_t)size, size);
    soma_tensor *x = soma_input(graph, type, 2, left, "x"), *y;
    soma_variable *weight = f == KEPT ? soma_variable_create(home, "w", type, 2, right) : NULL;
    if (weight) must(soma_variable_set(weight, b, (size_t)(k * n) * size));
    y = weight ? soma_read(graph, weight) : soma_input(graph, type, 2, right, "y");
    soma_tensor *z;
    if (f == EACH_ITS_OWN) { /* many matrices with one B, whose rows are not evenly spaced */
        const int64_t shape[3] = {m, 1, k};
        soma_tensor *part = soma_reshape(x, 3, shape);
        z = product(GIVEN, soma_concat((soma_tensor *[]){part, part}, 2, 1), y, bare);
    } else {
        z = product(f, x, y, bare);
    }
    soma_plan *plan = soma_plan_create(&z, 1, NULL);
    if (!plan) fail_msg("%s", soma_last_error(home));
    must(soma_plan_bind(plan, x, rows));
    if (!weight) must(soma_plan_bind(plan, y, b));
    must(soma_plan_run(plan));
    memcpy(c, soma_plan_output(plan, 0), (size_t)soma_size(z) * size);
    soma_plan_destroy(plan);
    soma_graph_destroy(graph);
    soma_variable_destroy(weight);
    free(rows);
}

static void check_product(int64_t n, int64_t k) {
    static const int64_t heights[] = {1, 2, 3, 4, 7, 8, 16, 17, 29};
    void *a = numbers(ROWS * k, 2), *b = numbers(k * n, 3);
    for (int f = 0; f < FORMS; f++)
        for (int bare = 0; bare < 2; bare++) {
            char what[80];
            const int64_t each_row = f == EACH_ITS_OWN ? 2 * n : n;
            char *all = numbers(ROWS * each_row, 4), *some = numbers(ROWS * each_row, 5);
            multiply((form)f, 0, ROWS, n, k, a, b, bare, all);
            for (size_t i = 0; i < sizeof heights / sizeof *heights; i++) {
                const int64_t first = (int64_t)i * 2;
                snprintf(what, sizeof what, "form %d, bare %d, %d of %d rows, n %d, k %d", f, bare, (int)heights[i],
                         ROWS, (int)n, (int)k);
                multiply((form)f, first, heights[i], n, k, a, b, bare, some);
                expect_same(what, some, all + (size_t)(first * each_row) * soma_dtype_size(type),
                            heights[i] * each_row);
            }
            free(all), free(some);
        }
    free(a), free(b);
}

static void check_products(void) {
    static const int64_t sizes[][2] = {{1, 1},   {1, 300},  {10, 512},  {3, 2},     {16, 17},  {17, 40},
                                       {33, 64}, {70, 131}, {129, 100}, {200, 785}, {300, 11}, {150, 2048}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_product(sizes[i][0], sizes[i][1]);
    if (soma_threads(home) > 1) { /* deep ones: k in pieces and in parts */
        check_product(5, 5003);
        check_product(40, 4500);
        check_product(290, 2500);
    }
}

static void rows_of_products(void **state) {
    (void)state;
    each(check_products);
}

/* ---- layers ---- */

static void draw_weights(soma_model *net) {
    for (int i = 0; i < soma_model_layers(net); i++)
        for (int j = 0; j < soma_layer_weights(soma_model_get_layer(net, i)); j++) {
            soma_variable *v = soma_layer_get_weight(soma_model_get_layer(net, i), j);
            int64_t n = soma_variable_size(v);
            void *values = numbers(n, (uint32_t)(10 * i + j));
            for (int64_t k = 0; k < n; k++) {
                double x = element_get(type, values, k) * 0.5;
                element_set(type, values, k, strstr(soma_variable_name(v), "variance") ? x * x + 0.5 : x);
            }
            must(soma_variable_set(v, values, (size_t)n * soma_dtype_size(type)));
            free(values);
        }
}

static void check_samples(const char *what, soma_layer *const *layers, int n, int rank, const int64_t *sample) {
    soma_model *net = soma_sequential_create(home, layers, n);
    if (!net) fail_msg("%s: %s", what, soma_last_error(home));
    must(soma_model_build(net, rank, sample));
    draw_weights(net);
    int64_t each_in = 1, each_out = 1;
    for (int i = 0; i < rank; i++)
        each_in *= sample[i];
    enum { SAMPLES = 17, MOST = 4000 };
    char *x = numbers(SAMPLES * each_in, 7), *alone = numbers(SAMPLES * MOST, 8), *y = numbers(SAMPLES * MOST, 9);
    const int64_t *shape;
    soma_graph *graph = soma_graph_create(home);
    int64_t one[SOMA_MAX_RANK] = {1};
    memcpy(one + 1, sample, (size_t)rank * sizeof *sample);
    soma_tensor *in = soma_input(graph, type, rank + 1, one, "x"), *out;
    must(soma_model_apply(net, &in, 1, false, &out));
    shape = soma_shape(out);
    for (int i = 0; i < soma_ndim(out); i++)
        each_out *= shape[i];
    soma_graph_destroy(graph);
    assert_true(each_out <= MOST);
    const size_t bytes_in = (size_t)each_in * soma_dtype_size(type), bytes = (size_t)each_out * soma_dtype_size(type);
    for (size_t i = 0; i < SAMPLES; i++)
        must(soma_predict_on_batch(net, 1, type, x + i * bytes_in, alone + i * bytes));
    for (int batch = 2; batch <= SAMPLES; batch += batch < 5 ? 1 : 4) {
        must(soma_predict_on_batch(net, batch, type, x, y));
        char text[100];
        snprintf(text, sizeof text, "%s, %d samples", what, batch);
        expect_same(text, y, alone, batch * each_out);
    }
    free(x), free(alone), free(y);
    soma_model_destroy(net);
}

#define HERE .context = home, .dtype = type
#define CHECK(what, shape, ...)                                                                                        \
    check_samples(what, (soma_layer *[]){__VA_ARGS__}, sizeof((soma_layer *[]){__VA_ARGS__}) / sizeof(void *),         \
                  (int)(sizeof((int64_t[])shape) / sizeof(int64_t)), (int64_t[])shape)
#define SHAPE(...)                                                                                                     \
    { __VA_ARGS__ }

static void check_layers(void) {
    CHECK("dense", SHAPE(37), soma_dense(50, .activation = soma_relu, HERE), soma_dense(9, HERE),
          soma_dense(1, .activation = soma_sigmoid, HERE));
    CHECK("wide dense", SHAPE(301), soma_dense(200, .activation = soma_gelu, HERE),
          soma_dense(10, .activation = soma_softmax, HERE));
    CHECK("deep dense", SHAPE(2047), soma_dense(19, .activation = soma_tanh, HERE), soma_dense(33, HERE));
    CHECK("one each", SHAPE(1), soma_dense(1, HERE), soma_dense(2, HERE), soma_dense(1, HERE));
    CHECK("normalized", SHAPE(23), soma_dense(40, HERE), soma_batch_normalization(HERE), soma_layer_normalization(HERE),
          soma_dense(3, HERE));
    CHECK("convolution", SHAPE(11, 9, 3),
          soma_conv_2d(7, .kernel_size = {3}, .padding = "same", .activation = soma_relu, HERE),
          soma_batch_normalization(HERE), soma_max_pooling_2d(.pool_size = {2}, HERE),
          soma_conv_2d(20, .kernel_size = {3}, .strides = {2}, HERE), soma_flatten(HERE), soma_dense(5, HERE));
    CHECK("more channels", SHAPE(7, 6, 17), soma_conv_2d(35, .kernel_size = {3}, .padding = "same", HERE),
          soma_conv_2d(1, .kernel_size = {1}, HERE));
    CHECK("transformed", SHAPE(8, 11, 32), soma_conv_2d(40, .kernel_size = {3}, .padding = "same", HERE),
          soma_conv_2d(33, .kernel_size = {3}, .activation = soma_relu, HERE));
    CHECK("separable", SHAPE(9, 8, 5), soma_separable_conv_2d(11, .kernel_size = {3}, HERE),
          soma_depthwise_conv_2d(.kernel_size = {3}, .padding = "same", HERE), soma_global_average_pooling_2d(HERE));
    CHECK("transposed", SHAPE(5, 4, 6), soma_conv_2d_transpose(3, .kernel_size = {3}, .strides = {2}, HERE));
    CHECK("sequence", SHAPE(15, 3), soma_conv_1d(9, .kernel_size = {4}, .padding = "causal", HERE),
          soma_lstm(6, .return_sequences = true, HERE), soma_gru(5, HERE), soma_dense(2, HERE));
    CHECK("heads", SHAPE(9, 12), soma_transformer_encoder(21, .num_heads = 3, HERE),
          soma_dense(7, .activation = soma_softmax, HERE));
}

static void samples_of_batches(void **state) {
    (void)state;
    each(check_layers);
}

/* ---- sequences ---- */

enum { MOST_SEQUENCES = 17, STEPS = 9 };

static int64_t length_of(int i) {
    return 1 + (i * 7 + 4) % STEPS;
}

/* A batch of sequences of words, filled up with zeros, against each of them alone: results and states. */
static void check_sequences(const char *what, soma_layer *layer, int states, int features) {
    soma_symbol *ids = soma_symbol_create(home, SOMA_DIMS(STEPS), "ids");
    soma_symbol *x = soma_call(soma_embedding(12, .output_dim = features, .mask_zero = true, HERE), ids);
    soma_symbol *y = soma_call(layer, x), *outs[5] = {y};
    for (int i = 0; i < states; i++)
        outs[1 + i] = soma_symbol_output(y, 1 + i);
    soma_model *net = soma_model_create(&ids, 1, outs, 1 + states);
    if (!net) fail_msg("%s: %s", what, soma_last_error(home));
    draw_weights(net);
    int64_t words[MOST_SEQUENCES][STEPS];
    for (int i = 0; i < MOST_SEQUENCES; i++)
        for (int t = 0; t < STEPS; t++)
            words[i][t] = t < length_of(i) ? 1 + (i * 5 + t * 3) % 11 : 0;
    soma_graph *graph = soma_graph_create(home);
    soma_tensor *alone[MOST_SEQUENCES][5], *all[5];
    for (int i = 0; i < MOST_SEQUENCES; i++) {
        soma_tensor *one = soma_array(graph, SOMA_I64, SOMA_DIMS(1, length_of(i)), words[i]);
        must(soma_model_apply(net, &one, 1, false, alone[i]));
        for (int k = 0; k <= states; k++)
            must(soma_eval(alone[i][k]));
    }
    for (int batch = 1; batch <= MOST_SEQUENCES; batch += batch < 5 ? 1 : 3) {
        soma_tensor *in = soma_array(graph, SOMA_I64, SOMA_DIMS(batch, STEPS), words);
        must(soma_model_apply(net, &in, 1, false, all));
        for (int k = 0; k <= states; k++) {
            char text[100];
            snprintf(text, sizeof text, "%s, %d features, %d sequences, output %d", what, features, batch, k);
            const char *data = soma_data(all[k]);
            if (!data) fail_msg("%s: %s", text, soma_last_error(home));
            const size_t row = (size_t)(soma_size(all[k]) / batch) * soma_dtype_size(type);
            for (int i = 0; i < batch; i++)
                expect_same(text, data + (size_t)i * row, soma_data(alone[i][k]), soma_size(alone[i][k]));
        }
    }
    soma_graph_destroy(graph);
    soma_model_destroy(net);
}

#define STATE .return_state = true, HERE

static void check_recurrent(void) {
    static const int sizes[][2] = {{5, 3}, {16, 7}, {33, 20}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int units = sizes[i][0], features = sizes[i][1];
        check_sequences("simple", soma_simple_rnn(units, STATE), 1, features);
        check_sequences("lstm", soma_lstm(units, STATE), 2, features);
        check_sequences("lstm, each step", soma_lstm(units, .return_sequences = true, STATE), 2, features);
        check_sequences("gru", soma_gru(units, STATE), 1, features);
        check_sequences("gru, reset before", soma_gru(units, .reset_before = true, STATE), 1, features);
        check_sequences("gru, backwards", soma_gru(units, .go_backwards = true, STATE), 1, features);
        check_sequences("both ways", soma_bidirectional(soma_lstm(units, STATE), .context = home), 4, features);
        check_sequences("both ways, each step",
                        soma_bidirectional(soma_gru(units, .return_sequences = true, STATE), .context = home), 2,
                        features);
    }
}

static void padded_sequences(void **state) {
    (void)state;
    each(check_recurrent);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_products),
        cmocka_unit_test(samples_of_batches),
        cmocka_unit_test(padded_sequences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
