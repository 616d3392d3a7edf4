/* Recurrent layers beyond their golden values: states given, returned and carried, cells, masks, an encoder-decoder.
 * Rests on cmocka. Where exactness is promised, float32 is compared bit for bit. Needs: jansson */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include <soma/soma.h>

#include "nn/layer.h"
#include "support/expect.h"
#include "support/failing.h"
#include "support/scratch.h"

#define COUNT(array) ((int64_t)(sizeof(array) / sizeof *(array)))

/* Numbers that look random and are the same everywhere. */
static soma_tensor *numbers(soma_dtype dtype, int rank, const int64_t *shape, int seed) {
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= shape[i];
    double *v = malloc((size_t)n * sizeof *v);
    for (int64_t i = 0; i < n; i++)
        v[i] = sin(0.7 * (double)i + seed) * 1.3;
    soma_tensor *x = soma_cast(soma_array(NULL, SOMA_F64, rank, shape, v), dtype);
    free(v);
    assert_int_equal(soma_eval(x), SOMA_OK);
    return x;
}

static void apply(soma_model *net, soma_tensor *const *x, int n, soma_tensor **y) {
    if (!net) fail_msg("%s", soma_last_error(NULL));
    expect_ok(soma_model_apply(net, x, n, false, y));
}

static void expect_same(const char *what, soma_tensor *a, soma_tensor *b) {
    const void *x = soma_data(a), *y = soma_data(b);
    if (!x || !y) fail_msg("%s: %s", what, soma_last_error(NULL));
    assert_int_equal(soma_size(a), soma_size(b));
    if (memcmp(x, y, (size_t)soma_size(a) * soma_dtype_size(soma_tensor_dtype(a))) != 0)
        fail_msg("%s: not the same bits", what);
}

static void expect_close(const char *what, soma_tensor *a, soma_tensor *b, double tolerance) {
    if (!soma_data(a) || !soma_data(b)) fail_msg("%s: %s", what, soma_last_error(NULL));
    assert_int_equal(soma_size(a), soma_size(b));
    for (int64_t i = 0; i < soma_size(a); i++) {
        double x = soma_item(a, i), y = soma_item(b, i);
        if (!(fabs(x - y) <= tolerance)) fail_msg("%s: element %lld: %.17g, %.17g", what, (long long)i, x, y);
    }
}

/* ---- states returned and given ---- */

/* A sequence in two halves, the second beginning with the states after the first, is the whole sequence. */
static void check_halves(const char *what, soma_layer *layer, int states) {
    soma_symbol *x = soma_symbol_create(NULL, SOMA_DIMS(6, 3), "x"),
                *first = soma_symbol_create(NULL, SOMA_DIMS(3, 3), "a");
    soma_symbol *second = soma_symbol_create(NULL, SOMA_DIMS(3, 3), "b");
    soma_symbol *ins[1 + 4] = {second}, *whole = soma_call(layer, x), *a = soma_call(layer, first);
    for (int i = 0; i < states; i++)
        ins[1 + i] = soma_symbol_output(a, 1 + i);
    soma_symbol *b = soma_call_many(layer, ins, 1 + states);
    soma_symbol *outs[12] = {whole, a, b};
    for (int i = 0; i < states; i++) {
        outs[3 + 2 * i] = soma_symbol_output(whole, 1 + i);
        outs[4 + 2 * i] = soma_symbol_output(b, 1 + i);
    }
    soma_model *net = soma_model_create((soma_symbol *[]){x, first, second}, 3, outs, 3 + 2 * states);
    soma_tensor *v = numbers(SOMA_F64, SOMA_DIMS(2, 6, 3), 1), *y[12];
    soma_tensor *in[] = {v, soma_slice(v, ":, :3"), soma_slice(v, ":, 3:")};
    apply(net, in, 3, y);
    expect_close(what, y[0], soma_concat((soma_tensor *[]){y[1], y[2]}, 2, 1), 1e-14);
    for (int i = 0; i < states; i++)
        expect_close(what, y[3 + 2 * i], y[4 + 2 * i], 1e-14);
    expect_close(what, soma_slice(y[0], ":, -1"), y[3], 1e-14); /* the first state is the last result */
    soma_model_destroy(net);
}

#define BOTH .return_sequences = true, .return_state = true, .dtype = SOMA_F64

static void halves_make_a_whole(void **state) {
    (void)state;
    check_halves("simple", soma_simple_rnn(4, BOTH), 1);
    check_halves("lstm", soma_lstm(4, BOTH), 2);
    check_halves("gru", soma_gru(4, BOTH), 1);
    check_halves("gru, reset before", soma_gru(4, .reset_before = true, BOTH), 1);
    check_halves("cell", soma_rnn(soma_lstm_cell(4, .dtype = SOMA_F64), BOTH), 2);
    check_halves("one cell among several",
                 soma_rnn(soma_stacked_rnn_cells({soma_gru_cell(4, .dtype = SOMA_F64)}), BOTH), 1);
}

/* Both ways: states of the layer, then of the copy; and a file keeps such a model. */
static void both_ways_have_states(void **state) {
    (void)state;
    soma_symbol *x = soma_symbol_create(NULL, SOMA_DIMS(5, 3), "x");
    soma_symbol *y = soma_call(soma_bidirectional(soma_lstm(4, .return_state = true, .return_sequences = true)), x);
    soma_symbol *ins[] = {x, soma_symbol_output(y, 1), soma_symbol_output(y, 2), soma_symbol_output(y, 3),
                          soma_symbol_output(y, 4)};
    soma_symbol *z = soma_call_many(soma_bidirectional(soma_lstm(4), .merge_mode = "sum"), ins, 5);
    soma_symbol *outs[] = {y, ins[1], ins[2], ins[3], ins[4], z};
    assert_null(soma_symbol_output(y, 5));
    expect_error(SOMA_INVALID, "[Bidirectional] it gives 5 results: there is no 5");
    soma_model *net = soma_model_create(&x, 1, outs, 6);
    soma_tensor *in = numbers(SOMA_F32, SOMA_DIMS(2, 5, 3), 2), *a[6], *b[6];
    apply(net, &in, 1, a);
    expect_same("forward", soma_slice(a[0], ":, -1, :4"), a[1]);
    expect_same("backward", soma_slice(a[0], ":, 0, 4:"), a[3]);
    const char *path = scratch_path("both.soma");
    expect_ok(soma_save(net, path));
    soma_model *again = soma_load(NULL, path);
    apply(again, &in, 1, b);
    for (int i = 0; i < 6; i++)
        expect_same("loaded", a[i], b[i]);
    char *summary = soma_summary(again, &(soma_summary_options){.width = 200, .ascii = true});
    assert_non_null(strstr(summary, "[(None, 5, 8), (None, 4),"));
    assert_non_null(strstr(summary, "bidirectional[0][4]"));
    soma_string_free(summary);
    soma_model_destroy(again);
    soma_model_destroy(net);
}

static void states_are_checked(void **state) {
    (void)state;
    assert_null(soma_sequential(soma_lstm(4, .return_state = true, .input_shape = {5, 3})));
    expect_error(SOMA_INVALID, "[LSTM] it gives 3 results, 1 are wanted");
    soma_symbol *x = soma_symbol_create(NULL, SOMA_DIMS(5, 3), "x"), *h = soma_symbol_create(NULL, SOMA_DIMS(4), "h");
    soma_symbol *wide = soma_symbol_create(NULL, SOMA_DIMS(5), "w");
    soma_layer *layer = soma_lstm(4);
    soma_symbol *y = soma_call(layer, x);
    assert_null(soma_call_many(layer, (soma_symbol *[]){x, h}, 2));
    expect_error(SOMA_INVALID, "[LSTM] 1 states are given, it has 2");
    assert_null(soma_call_many(layer, (soma_symbol *[]){x, h, wide}, 3));
    expect_error(SOMA_SHAPE, "[LSTM] state 1 is (2,5): (batch, ...) of (4,) is needed");
    soma_model *net = soma_model_create((soma_symbol *[]){x, h, wide}, 3, &y, 1); /* takes the inputs over */
    soma_model_destroy(net);
    assert_null(soma_sequential(soma_gru(4, .stateful = true, .input_shape = {5, 3})));
    expect_error(SOMA_INVALID, "[GRU] stateful: batch_size must say");
}

/* ---- states carried from batch to batch ---- */

static void batches_go_on(void **state) {
    (void)state;
    soma_model *net = soma_sequential(
        soma_lstm(4, .stateful = true, .batch_size = 2, .return_sequences = true, .input_shape = {3, 3}),
        soma_rnn(soma_gru_cell(3), .stateful = true, .batch_size = 2), soma_dense(2));
    soma_model *plain = soma_sequential(soma_lstm(4, .return_sequences = true, .input_shape = {6, 3}),
                                        soma_rnn(soma_gru_cell(3)), soma_dense(2));
    if (!net || !plain) fail_msg("%s", soma_last_error(NULL));
    expect_ok(soma_compile(net, .loss = soma_mean_squared_error));
    for (int i = 0; i < soma_model_layers(plain); i++) {
        soma_layer *a = soma_model_get_layer(net, i), *b = soma_model_get_layer(plain, i);
        assert_int_equal(soma_layer_weights(a) - soma_layer_weights(b), i == 0 ? 2 : i == 1 ? 1 : 0);
        for (int j = 0; j < soma_layer_weights(b); j++) {
            float w[200];
            soma_variable *v = soma_layer_get_weight(b, j);
            size_t bytes = (size_t)soma_variable_size(v) * sizeof *w;
            assert_true(bytes <= sizeof w);
            expect_ok(soma_variable_get(soma_layer_get_weight(a, j), w, bytes));
            expect_ok(soma_variable_set(v, w, bytes));
        }
    }
    soma_tensor *x = numbers(SOMA_F32, SOMA_DIMS(2, 6, 3), 3), *whole;
    apply(plain, &x, 1, &whole);
    float out[2][4];
    for (int round = 0; round < 2; round++) {
        for (int half = 0; half < 2; half++) {
            soma_tensor *part = soma_slice(x, half ? ":, 3:" : ":, :3");
            expect_ok(soma_predict_on_batch(net, 2, SOMA_F32, soma_data(part), out[half]));
        }
        expect_close("two batches", soma_array(NULL, SOMA_F32, SOMA_DIMS(2, 2), out[1]), whole, 1e-6);
        expect_ok(soma_reset_states(net));
    }
    /* training carries states too, and evaluating; the states are not trained */
    soma_tensor *part = soma_slice(x, ":, :3"), *zero = soma_zeros(NULL, SOMA_F32, SOMA_DIMS(2, 2));
    double first = soma_test_on_batch(net, part, zero).loss, second = soma_test_on_batch(net, part, zero).loss;
    assert_true(first != second);
    expect_ok(soma_reset_states(net));
    assert_true(soma_test_on_batch(net, part, zero).loss == first);
    expect_ok(soma_reset_states(net));
    assert_true(soma_train_on_batch(net, part, zero).loss == first);
    float h[8];
    expect_ok(soma_variable_get(soma_layer_get_weight(soma_model_get_layer(net, 0), 3), h, sizeof h));
    assert_true(h[0] != 0);
    char *summary = soma_summary(net, &(soma_summary_options){.ascii = true});
    assert_non_null(strstr(summary, "Non-trainable params: 22 "));
    soma_string_free(summary);
    float wrong[6];
    soma_tensor *three = numbers(SOMA_F32, SOMA_DIMS(3, 3, 3), 1);
    assert_int_equal(soma_predict_on_batch(net, 3, SOMA_F32, soma_data(three), wrong), SOMA_SHAPE);
    expect_error(SOMA_SHAPE, "[LSTM] stateful, with batches of 2 samples: 3 are given");
    soma_model_destroy(net);
    soma_model_destroy(plain);
}

/* ---- cells ---- */

/* A cell of the user's own: a leaky sum of what it sees, and a count of the steps. */
typedef struct leaky_options {
    SOMA_LAYER_OPTIONS
    double rate;
} leaky_options;

static soma_tensor *leaky(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    const leaky_options *o = soma_layer_options(layer);
    soma_tensor **states = arena_alloc(&soma_trace_graph(trace)->arena, 2 * sizeof *states);
    states[0] = n > 1 ? soma_add(soma_mul_scalar(inputs[1], o->rate), inputs[0]) : inputs[0];
    soma_tensor *one = soma_ones(soma_trace_graph(trace), SOMA_F32, SOMA_DIMS(soma_dim(inputs[0], 0), 1));
    states[1] = n > 1 ? soma_add(inputs[2], one) : one;
    soma_trace_set_outputs(trace, layer, states, 2);
    return soma_mul(states[0], states[1]);
}

static const soma_field leaky_fields[] = {
    {.name = "rate", .kind = SOMA_FIELD_NUMBER, .offset = offsetof(leaky_options, rate)}, {.name = NULL}};
static const soma_layer_class leaky_cell = {.name = "LeakyCell",
                                            .size = sizeof(leaky_options),
                                            .fields = leaky_fields,
                                            .min_inputs = 1,
                                            .max_inputs = 3,
                                            .call = leaky};

static void cell_of_the_users_own(void **state) {
    (void)state;
    soma_layer *cell = soma_layer_create(&leaky_cell, &(leaky_options){.rate = 0.5});
    soma_symbol *x = soma_symbol_create(NULL, SOMA_DIMS(3, 2), "x");
    soma_symbol *y = soma_call(soma_bidirectional(soma_rnn(cell, .return_sequences = true, .return_state = true)), x);
    soma_symbol *outs[] = {y, soma_symbol_output(y, 1), soma_symbol_output(y, 2), soma_symbol_output(y, 3)};
    soma_model *net = soma_model_create(&x, 1, outs, 4);
    soma_tensor *in = soma_array(NULL, SOMA_F32, SOMA_DIMS(1, 3, 2), ((const float[]){1, 8, 2, 0, 4, 4})), *out[4];
    apply(net, &in, 1, out);
    const float forth[] = {1, 8, 2 * 2.5f, 2 * 4, 3 * 5.25f, 3 * 6}, back[] = {3 * 3, 3 * 9, 2 * 4, 2 * 2, 4, 4};
    for (int t = 0; t < 3; t++) {
        for (int i = 0; i < 2; i++) {
            assert_true((float)soma_item(out[0], 4 * t + i) == forth[2 * t + i]);
            assert_true((float)soma_item(out[0], 4 * t + 2 + i) == back[2 * t + i]);
        }
    }
    assert_true(soma_item(out[1], 0) == 5.25 && soma_item(out[2], 0) == 3 && soma_item(out[3], 1) == 9);
    soma_model_destroy(net);
}

/* A layer and the walk with its cell are the same function; so are stacked cells and stacked layers. */
static void cells_are_layers(void **state) {
    (void)state;
    soma_model *a = soma_sequential(soma_lstm(4, .return_sequences = true, .input_shape = {5, 3}), soma_gru(3));
    soma_model *b =
        soma_sequential(soma_rnn(soma_stacked_rnn_cells({soma_lstm_cell(4), soma_gru_cell(3)}), .input_shape = {5, 3}));
    if (!a || !b) fail_msg("%s", soma_last_error(NULL));
    assert_int_equal(soma_count_params(a), soma_count_params(b));
    soma_layer *cells = soma_model_get_layer(b, 0);
    assert_string_equal(soma_variable_name(soma_layer_get_weight(cells, 4)), "rnn/cell_1_recurrent_kernel");
    for (int i = 0; i < 6; i++) {
        float w[200];
        soma_variable *v = soma_layer_get_weight(cells, i);
        size_t bytes = (size_t)soma_variable_size(v) * sizeof *w;
        expect_ok(soma_variable_get(soma_layer_get_weight(soma_model_get_layer(a, i / 3), i % 3), w, bytes));
        expect_ok(soma_variable_set(v, w, bytes));
    }
    soma_tensor *x = numbers(SOMA_F32, SOMA_DIMS(2, 5, 3), 4), *y, *z;
    apply(a, &x, 1, &y);
    apply(b, &x, 1, &z);
    expect_close("cells", y, z, 1e-6);
    const char *path = scratch_path("cells.soma");
    expect_ok(soma_save(b, path));
    soma_model *again = soma_load(NULL, path);
    apply(again, &x, 1, &y);
    expect_same("loaded", y, z);
    soma_model_destroy(again);
    soma_model_destroy(a);
    soma_model_destroy(b);
    assert_null(soma_sequential(soma_rnn(NULL, .input_shape = {5, 3})));
    expect_error(SOMA_SHAPE, "[RNN] it needs a cell");
}

/* ---- masks ---- */

enum { BATCH = 5, STEPS = 7 };
static const int lengths[BATCH] = {7, 1, 4, 6, 3};

/* Of padded sequences: results, states, and gradients of the weights are those of each sequence alone, added up.
 * Results are the same to the bit, gradients but for the order of sums. More sizes: test_same_bits. */
static void check_padding(const char *what, soma_layer *layer, int states, bool sequences) {
    soma_symbol *ids = soma_symbol_create(NULL, SOMA_DIMS(STEPS), "ids");
    soma_symbol *x = soma_call(soma_embedding(10, .output_dim = 3, .mask_zero = true, .dtype = SOMA_F64,
                                              .embeddings_initializer = soma_normal(0, 1)),
                               ids);
    soma_symbol *y = soma_call(layer, x), *outs[5] = {y};
    for (int i = 0; i < states; i++)
        outs[1 + i] = soma_symbol_output(y, 1 + i);
    soma_model *net = soma_model_create(&ids, 1, outs, 1 + states);
    if (!net) fail_msg("%s: %s", what, soma_last_error(NULL));
    int64_t words[BATCH][STEPS];
    for (int i = 0; i < BATCH; i++)
        for (int t = 0; t < STEPS; t++)
            words[i][t] = t < lengths[i] ? 1 + (i * 5 + t * 3) % 9 : 0;
    enum { WEIGHTS = 16 };
    int n = 0;
    soma_tensor *w[WEIGHTS], *sums[WEIGHTS] = {NULL}, *all[5], *slopes[WEIGHTS];
    for (int i = 1; i < soma_model_layers(net); i++)
        for (int j = 0; j < soma_layer_weights(soma_model_get_layer(net, i)); j++)
            w[n++] = soma_weight(NULL, soma_layer_get_weight(soma_model_get_layer(net, i), j));
    assert_true(n <= WEIGHTS);
    soma_tensor *in = soma_array(NULL, SOMA_I64, SOMA_DIMS(BATCH, STEPS), words), *total = NULL;
    apply(net, &in, 1, all);
    for (int i = 0; i < BATCH; i++) {
        soma_tensor *one = soma_array(NULL, SOMA_I64, SOMA_DIMS(1, lengths[i]), words[i]), *alone[5], *loss = NULL;
        apply(net, &one, 1, alone);
        for (int k = 0; k <= states; k++) {
            soma_tensor *row = soma_slice_axis(all[k], 0, i, i + 1, 1);
            if (k == 0 && sequences) row = soma_slice_axis(row, 1, 0, lengths[i], 1);
            expect_same(what, row, alone[k]);
            soma_tensor *part = soma_sum(soma_mul(alone[k], soma_sin(alone[k])), SOMA_ALL_AXES, false);
            soma_tensor *same = soma_sum(soma_mul(row, soma_sin(row)), SOMA_ALL_AXES, false);
            loss = loss ? soma_add(loss, part) : part;
            total = total ? soma_add(total, same) : same;
        }
        expect_ok(soma_grad(loss, w, n, slopes));
        for (int k = 0; k < n; k++)
            sums[k] = sums[k] ? soma_add(sums[k], slopes[k]) : slopes[k];
    }
    expect_ok(soma_grad(total, w, n, slopes));
    for (int k = 0; k < n; k++) {
        double size = soma_item(soma_max(soma_abs(sums[k]), SOMA_ALL_AXES, false), 0);
        assert_true(size > 1e-6 || strstr(w[k]->variable->name, "key_bias")); /* which no result depends on */
        expect_close(what, slopes[k], sums[k], 1e-12);
    }
    soma_model_destroy(net);
    soma_graph_reset(NULL);
}

#define F64 .dtype = SOMA_F64
#define STATE .return_state = true, F64

static void padding_changes_nothing(void **state) {
    (void)state;
    check_padding("simple", soma_simple_rnn(4, STATE), 1, false);
    check_padding("lstm", soma_lstm(4, STATE), 2, false);
    check_padding("lstm, each state", soma_lstm(4, .return_sequences = true, STATE), 2, true);
    check_padding("gru", soma_gru(4, STATE), 1, false);
    check_padding("gru, backwards", soma_gru(4, .go_backwards = true, STATE), 1, false);
    soma_layer *cells = soma_stacked_rnn_cells({soma_lstm_cell(4, F64), soma_gru_cell(3)});
    check_padding("cells", soma_rnn(cells, .return_state = true), 3, false);
    check_padding("both ways", soma_bidirectional(soma_lstm(4, STATE)), 4, false);
    check_padding("both ways, each state", soma_bidirectional(soma_gru(4, .return_sequences = true, STATE)), 2, true);
    check_padding("each step", soma_time_distributed(soma_dense(4, .activation = soma_tanh, F64)), 0, true);
    check_padding("heads", soma_multi_head_attention(2, .key_dim = 3, F64), 0, true);
    soma_layer *shared =
        soma_group_query_attention(4, .num_query_heads = 4, .num_key_value_heads = 2, .rotary = true, F64);
    check_padding("shared keys", shared, 0, true);
    check_padding("attention", soma_attention(.use_scale = true, F64), 0, true);
    check_padding("additive attention", soma_additive_attention(F64), 0, true);
}

/* ---- gradients, with what chance brings in ---- */

enum { MOST = 4000 };

/* All weights of a layer one after the other: read, or set to at + step * along. */
static int64_t weights_of(soma_layer *layer, double *at, const double *along, double step) {
    int64_t n = 0;
    for (int i = 0; i < soma_layer_weights(layer); i++) {
        soma_variable *v = soma_layer_get_weight(layer, i);
        int64_t size = soma_variable_size(v);
        double moved[MOST];
        assert_true(n + size <= MOST);
        if (!along) expect_ok(soma_variable_get(v, at + n, (size_t)size * sizeof *at));
        for (int64_t j = 0; along && j < size; j++)
            moved[j] = at[n + j] + step * along[n + j];
        if (along) expect_ok(soma_variable_set(v, moved, (size_t)size * sizeof *at));
        n += size;
    }
    return n;
}

/* sum(y c) of the layer while training, as the first thing in a graph of its own, so that the draws repeat. x: the
 * input there. slope: <along, gradient> of weights and input, or NULL. */
static double training_sum(soma_model *net, int rank, const int64_t *shape, const double *x, const double *along,
                           double *slope) {
    soma_graph *graph = soma_graph_create(NULL);
    soma_tensor *in = soma_array(graph, SOMA_F64, rank, shape, x), *y, *wrt[MOST / 100], *dx[MOST / 100];
    expect_ok(soma_model_apply(net, &in, 1, true, &y));
    soma_tensor *c = soma_cos(soma_mul_scalar(soma_arange(graph, SOMA_F64, 0, (double)soma_size(y), 1), 1.3));
    soma_tensor *sum = soma_sum(soma_mul(y, soma_reshape(c, soma_ndim(y), soma_shape(y))), SOMA_ALL_AXES, false);
    double result = soma_item(sum, 0);
    soma_layer *layer = soma_model_get_layer(net, 0);
    int n = soma_layer_weights(layer);
    for (int i = 0; slope && i <= n; i++)
        wrt[i] = i < n ? soma_weight(graph, soma_layer_get_weight(layer, i)) : in;
    if (slope) expect_ok(soma_grad(sum, wrt, n + 1, dx));
    for (int i = 0; slope && i <= n; i++) {
        const double *d = soma_data(dx[i]);
        assert_non_null(d);
        for (int64_t j = 0; j < soma_size(dx[i]); j++)
            *slope += d[j] * *along++;
    }
    soma_graph_destroy(graph);
    return result;
}

/* The gradient along a line against the central difference, in float64, three times. */
static void check_slopes(const char *what, soma_layer *layer, int rank, const int64_t *shape) {
    static double at[MOST], along[MOST], x[MOST];
    soma_model *net = soma_sequential(layer);
    if (!net) fail_msg("%s: %s", what, soma_last_error(NULL));
    expect_ok(soma_model_build(net, rank - 1, shape + 1));
    layer = soma_model_get_layer(net, 0);
    int64_t n = weights_of(layer, at, NULL, 0), inputs = shape_size(rank, shape);
    assert_true(n + inputs <= MOST);
    for (int seed = 1; seed <= 3; seed++) {
        for (int64_t i = 0; i < n + inputs; i++)
            along[i] = cos(1.7 * (double)i + seed);
        double slope = 0, sums[2], h = 1e-5;
        for (int64_t i = 0; i < inputs; i++)
            x[i] = 1.3 * sin(0.7 * (double)i + seed);
        training_sum(net, rank, shape, x, along, &slope);
        for (int side = 0; side < 2; side++) {
            double step = side ? h : -h;
            for (int64_t i = 0; i < inputs; i++)
                x[i] = 1.3 * sin(0.7 * (double)i + seed) + step * along[n + i];
            weights_of(layer, at, along, step);
            sums[side] = training_sum(net, rank, shape, x, along, NULL);
        }
        weights_of(layer, at, along, 0);
        double difference = (sums[1] - sums[0]) / (2 * h);
        if (!(fabs(difference - slope) < 1e-8 * (1 + fabs(difference))) || fabs(difference) < 1e-3)
            fail_msg("%s: %.12g, by differences %.12g", what, slope, difference);
    }
    soma_model_destroy(net);
}

#define DROPS .dropout = 0.3, .recurrent_dropout = 0.3, .dtype = SOMA_F64

static void slopes_are_right_in_training(void **state) {
    (void)state;
    check_slopes("simple", soma_simple_rnn(4, DROPS), SOMA_DIMS(3, 5, 2));
    check_slopes("lstm", soma_lstm(4, .return_sequences = true, DROPS), SOMA_DIMS(3, 5, 2));
    check_slopes("gru", soma_gru(4, DROPS), SOMA_DIMS(3, 5, 2));
    check_slopes("gru, reset before", soma_gru(4, .reset_before = true, DROPS), SOMA_DIMS(3, 5, 2));
    check_slopes("cell", soma_rnn(soma_lstm_cell(4, DROPS)), SOMA_DIMS(3, 5, 2));
    check_slopes("both ways", soma_bidirectional(soma_gru(4, DROPS)), SOMA_DIMS(3, 5, 2));
    check_slopes("convolution", soma_conv_lstm_2d(2, .kernel_size = {2}, .padding = "same", DROPS),
                 SOMA_DIMS(2, 3, 4, 3, 2));
    check_slopes("shared keys",
                 soma_group_query_attention(4, .num_query_heads = 4, .num_key_value_heads = 2, .rotary = true,
                                            .causal = true, .dropout = 0.3, .dtype = SOMA_F64),
                 SOMA_DIMS(2, 5, 3));
}

/* ---- convolution as the product: states carried, masks ---- */

static void convolution_carries_states(void **state) {
    (void)state;
    soma_layer *layer = soma_conv_lstm_1d(2, .kernel_size = {3}, .strides = {2}, .stateful = true, .batch_size = 2,
                                          .return_sequences = true, .input_shape = {3, 7, 2});
    soma_model *net = soma_sequential(layer, soma_flatten());
    if (!net) fail_msg("%s", soma_last_error(NULL));
    assert_int_equal(soma_layer_weights(layer), 5);
    int64_t shape[] = {2, 3, 2};
    assert_true(shape_equal(3, soma_variable_shape(soma_layer_get_weight(layer, 4)), 3, shape));
    soma_model *plain =
        soma_sequential(soma_conv_lstm_1d(2, .kernel_size = {3}, .strides = {2}, .input_shape = {6, 7, 2}));
    for (int i = 0; i < 3; i++) {
        float w[100];
        soma_variable *v = soma_layer_get_weight(layer, i);
        size_t bytes = (size_t)soma_variable_size(v) * sizeof *w;
        expect_ok(soma_variable_get(v, w, bytes));
        expect_ok(soma_variable_set(soma_layer_get_weight(soma_model_get_layer(plain, 0), i), w, bytes));
    }
    soma_tensor *x = numbers(SOMA_F32, SOMA_DIMS(2, 6, 7, 2), 3), *whole;
    apply(plain, &x, 1, &whole);
    float out[2][3 * 6];
    expect_ok(soma_predict_on_batch(net, 2, SOMA_F32, soma_data(soma_slice(x, ":, :3")), out));
    expect_ok(soma_predict_on_batch(net, 2, SOMA_F32, soma_data(soma_slice(x, ":, 3:")), out));
    soma_tensor *last = soma_slice(soma_array(NULL, SOMA_F32, SOMA_DIMS(2, 3, 3, 2), out), ":, -1");
    expect_close("two batches", last, whole, 1e-6);
    soma_model_destroy(plain);
    soma_model_destroy(net);
    assert_null(soma_sequential(soma_conv_lstm_2d(2, .kernel_size = {3}, .input_shape = {5, 7, 2})));
    expect_error(SOMA_SHAPE, "[ConvLSTM2D] a sample must be (steps, 2 axes of places, channels)");
}

/* ---- an encoder and a decoder: digits reversed ---- */

enum { DIGITS = 5, WORDS = 11, START = 10, SAMPLES = 64 };

static uint32_t noise(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 16;
}

static soma_tensor *source_part(soma_tensor *x) {
    return soma_slice_axis(x, 1, 0, DIGITS, 1);
}
static soma_tensor *target_part(soma_tensor *x) {
    return soma_slice_axis(x, 1, DIGITS, 2 * DIGITS, 1);
}

/* Rows are the digits, then what the decoder reads: a start sign and all digits but the last that it shall write. */
static void make_pairs(uint32_t *seed, int64_t n, int64_t (*x)[2 * DIGITS], int64_t (*y)[DIGITS]) {
    for (int64_t i = 0; i < n; i++) {
        for (int t = 0; t < DIGITS; t++)
            x[i][t] = y[i][DIGITS - 1 - t] = (int64_t)(noise(seed) % 10);
        for (int t = 0; t < DIGITS; t++)
            x[i][DIGITS + t] = t == 0 ? START : y[i][t - 1];
    }
}

/* Writes the digits of sources one after the other: the encoder's states once, then a step a digit. */
static double share_right(soma_model *encoder, soma_model *step, int64_t n, int64_t (*x)[2 * DIGITS],
                          int64_t (*y)[DIGITS]) {
    soma_tensor *source = soma_slice(soma_array(NULL, SOMA_I64, SOMA_DIMS(n, 2 * DIGITS), x), ":, :5"), *states[2];
    apply(encoder, &source, 1, states);
    int64_t digits[500];
    assert_true(n <= COUNT(digits));
    for (int64_t i = 0; i < n; i++)
        digits[i] = START;
    int right = 0;
    for (int t = 0; t < DIGITS; t++) {
        soma_tensor *in[] = {soma_array(NULL, SOMA_I64, SOMA_DIMS(n, 1), digits), states[0], states[1]}, *out[3];
        apply(step, in, 3, out);
        soma_tensor *best = soma_argmax(out[0], -1, false);
        const int64_t *chosen = soma_data(best);
        assert_non_null(chosen);
        for (int64_t i = 0; i < n; i++)
            right += (digits[i] = chosen[i]) == y[i][t];
        states[0] = out[1];
        states[1] = out[2];
        assert_int_equal(soma_eval(states[0]), SOMA_OK);
        assert_int_equal(soma_eval(states[1]), SOMA_OK);
    }
    return (double)right / (double)(n * DIGITS);
}

static void digits_are_reversed(void **state) {
    (void)state;
    soma_layer *words = soma_embedding(WORDS, .output_dim = 16), *in = soma_lstm(48, .return_state = true);
    soma_layer *out = soma_lstm(48, .return_sequences = true, .return_state = true);
    soma_layer *scores = soma_dense(WORDS, .activation = soma_softmax);
    /* the model that is trained: the decoder reads what it should have written */
    soma_symbol *x = soma_symbol_create(NULL, SOMA_DIMS(2 * DIGITS), "both");
    soma_symbol *source = soma_call(soma_lambda(source_part), x), *target = soma_call(soma_lambda(target_part), x);
    soma_symbol *e = soma_call(in, soma_call(words, source)), *h = soma_symbol_output(e, 1),
                *c = soma_symbol_output(e, 2);
    soma_symbol *d = soma_call_many(out, (soma_symbol *[]){soma_call(words, target), h, c}, 3),
                *y = soma_call(scores, d);
    soma_model *net = soma_model_create(&x, 1, &y, 1);
    /* the same layers as an encoder, and as one step of the decoder */
    soma_symbol *ids = soma_symbol_create(NULL, SOMA_DIMS(DIGITS), "source");
    soma_symbol *code = soma_call(in, soma_call(words, ids));
    soma_model *encoder =
        soma_model_create(&ids, 1, (soma_symbol *[]){soma_symbol_output(code, 1), soma_symbol_output(code, 2)}, 2);
    soma_symbol *digit = soma_symbol_create(NULL, SOMA_DIMS(1), "digit"),
                *h0 = soma_symbol_create(NULL, SOMA_DIMS(48), "h");
    soma_symbol *c0 = soma_symbol_create(NULL, SOMA_DIMS(48), "c");
    soma_symbol *one = soma_call_many(out, (soma_symbol *[]){soma_call(words, digit), h0, c0}, 3);
    soma_model *step = soma_model_create(
        (soma_symbol *[]){digit, h0, c0}, 3,
        (soma_symbol *[]){soma_call(scores, one), soma_symbol_output(one, 1), soma_symbol_output(one, 2)}, 3);
    if (!net || !encoder || !step) fail_msg("%s", soma_last_error(NULL));
    expect_ok(
        soma_compile(net, .optimizer = soma_adam(.learning_rate = 0.01), .loss = soma_sparse_categorical_crossentropy));
    uint32_t seed = 1;
    static int64_t xs[500][2 * DIGITS], ys[500][DIGITS];
    for (int i = 0; i < 350; i++) {
        make_pairs(&seed, SAMPLES, xs, ys);
        soma_graph_reset(NULL);
        soma_scores s = soma_train_on_batch(net, soma_array(NULL, SOMA_I64, SOMA_DIMS(SAMPLES, 2 * DIGITS), xs),
                                            soma_array(NULL, SOMA_I64, SOMA_DIMS(SAMPLES, DIGITS), ys));
        expect_ok(s.status);
        if (getenv("SHOW") && i % 100 == 99) print_message("%d: %g\n", i, s.loss);
    }
    seed = 77; /* pairs that were not trained, most of them */
    make_pairs(&seed, 500, xs, ys);
    double share = share_right(encoder, step, 500, xs, ys);
    if (getenv("SHOW")) print_message("right: %g\n", share);
    if (share < 0.95) fail_msg("%.3f of the digits are right", share);
    soma_model_destroy(step);
    soma_model_destroy(encoder);
    soma_model_destroy(net);
}

/* ---- memory ---- */

/* Layers whose states go from one to another, called while allocation number n fails. */
static bool call_without(int64_t n, bool *made) {
    failing f;
    soma_context *c = failing_context(&f, 1);
    f.refuse = n;
    soma_symbol *x = soma_symbol_create(c, SOMA_DIMS(4, 3), "x");
    soma_layer *inner = soma_rnn(soma_lstm_cell(2, .context = c), .return_state = true, .context = c);
    soma_symbol *y = soma_call(soma_bidirectional(inner, .context = c), x);
    soma_layer *one = soma_lstm(2, .stateful = true, .batch_size = 2, .return_state = true, .context = c);
    soma_symbol *in[] = {x, soma_symbol_output(y, 2), soma_symbol_output(y, 4)}, *z = soma_call_many(one, in, 3);
    bool refused = f.requests > n && n >= 0;
    if (refused && soma_last_status(c) != SOMA_NO_MEMORY)
        fail_msg("allocation %lld: %s", (long long)n, soma_last_error(c));
    f.refuse = -1;
    soma_symbol *outs[] = {y, z, soma_symbol_output(z, 2)};
    soma_model *net = z ? soma_model_create(&x, 1, outs, 3) : NULL;
    *made = net != NULL;
    if (!net && y) soma_layer_destroy(y->layer); /* what is in no model is ours */
    if (!net && x) soma_layer_destroy(x->layer);
    soma_model_destroy(net);
    soma_context_destroy(c);
    if (f.blocks != -1 || f.wrong_size)
        fail_msg("%lld blocks left after allocation %lld failed", (long long)f.blocks + 1, (long long)n);
    soma_clear_error(NULL);
    return refused;
}

static void out_of_memory_anywhere(void **state) {
    (void)state;
    bool made;
    assert_false(call_without(-1, &made));
    assert_true(made);
    for (int64_t n = 0; call_without(n, &made); n++)
        assert_false(made);
    assert_true(made);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(halves_make_a_whole),     TEST(both_ways_have_states),        TEST(states_are_checked),
        TEST(batches_go_on),           TEST(cell_of_the_users_own),        TEST(cells_are_layers),
        TEST(padding_changes_nothing), TEST(slopes_are_right_in_training), TEST(convolution_carries_states),
        TEST(out_of_memory_anywhere),  TEST(digits_are_reversed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
