/* Limits of memory: a plan that computes values again gives the bits of the plan that keeps them, and one that cannot
 * keep to its limit is refused with what it needs.
 * Rests on the public API, support/random_graph and support/failing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <soma/soma.h>

#include "support/failing.h"
#include "support/random_graph.h"

/* ---- networks ---- */

enum { SAMPLES = 24, SIDE = 12, LENGTH = 20, FEATURES = 33, CLASSES = 7, STEPS = 3, MOST = 1 << 20 };

static float pixels[SAMPLES * SIDE * SIDE * 2], series[SAMPLES * LENGTH * FEATURES];
static int64_t classes[SAMPLES];

static int fill(void **state) {
    (void)state;
    for (int i = 0; i < SAMPLES * SIDE * SIDE * 2; i++)
        pixels[i] = (float)(i * 7919 % 1009) / 1009;
    for (int i = 0; i < SAMPLES * LENGTH * FEATURES; i++)
        series[i] = (float)(i * 6007 % 997) / 997 - 0.5f;
    for (int i = 0; i < SAMPLES; i++)
        classes[i] = i * 5 % CLASSES;
    return 0;
}

/* Convolutions and normalization, a way around, dropout. */
static soma_model *images(soma_context *c) {
    soma_layer *layers[] = {
        soma_conv_2d(9, .kernel_size = {3}, .padding = "same", .input_shape = {SIDE, SIDE, 2}, .context = c),
        soma_batch_normalization(.context = c),
        soma_activation(soma_relu, .context = c),
        soma_conv_2d(17, .kernel_size = {3}, .strides = {2}, .no_bias = true, .context = c),
        soma_batch_normalization(.context = c),
        soma_activation(soma_tanh, .context = c),
        soma_dropout(0.25, .context = c),
        soma_max_pooling_2d(.context = c),
        soma_flatten(.context = c),
        soma_dense(CLASSES, .activation = soma_softmax, .context = c)};
    return soma_sequential_create(c, layers, sizeof layers / sizeof *layers);
}

static soma_model *chain(soma_context *c) {
    enum { DEPTH = 24 };
    soma_layer *layers[2 * DEPTH + 2];
    int n = 0;
    layers[n++] = soma_flatten(.input_shape = {SIDE, SIDE, 2}, .context = c);
    for (int i = 0; i < DEPTH; i++) {
        layers[n++] = soma_dense(i % 3 ? 160 : 95, .activation = i % 2 ? soma_gelu : soma_tanh, .context = c);
        layers[n++] = i % 4 ? soma_layer_normalization(.context = c) : soma_dropout(0.1, .context = c);
    }
    layers[n++] = soma_dense(CLASSES, .activation = soma_softmax, .context = c);
    return soma_sequential_create(c, layers, n);
}

static soma_model *recurrent(soma_context *c) {
    soma_layer *layers[] = {soma_lstm(21, .return_sequences = true, .input_shape = {LENGTH, FEATURES}, .context = c),
                            soma_lstm(18, .recurrent_dropout = 0.2, .context = c),
                            soma_dense(CLASSES, .activation = soma_softmax, .context = c)};
    return soma_sequential_create(c, layers, sizeof layers / sizeof *layers);
}

static const struct network {
    const char *name;
    soma_model *(*make)(soma_context *c);
    bool series;
    double least; /* part of the arena that must be enough */
} networks[] = {{"images", images, false, 0.75}, {"chain", chain, false, 0.55}, {"recurrent", recurrent, true, 0.95}};

/* What a few steps leave: the losses, then all weights. */
typedef struct trained {
    soma_status status;
    size_t needs, arena; /* of the plan of a step */
    int again;           /* its steps that compute again */
    int64_t n;
    float *values;
} trained;

static void gather_weights(const soma_model *net, trained *t) {
    for (int i = 0; i < soma_model_layers(net); i++)
        for (int k = 0; k < soma_layer_weights(soma_model_get_layer(net, i)); k++) {
            soma_variable *v = soma_layer_get_weight(soma_model_get_layer(net, i), k);
            const size_t bytes = (size_t)soma_variable_size(v) * soma_dtype_size(soma_variable_dtype(v));
            assert_true((size_t)t->n + bytes / sizeof(float) < MOST);
            assert_int_equal(soma_variable_get(v, t->values + t->n, bytes), SOMA_OK);
            t->n += (int64_t)(bytes / sizeof(float));
        }
}

static void train(const struct network *network, const char *isa, int threads, size_t memory, trained *t) {
    *t = (trained){.values = calloc(MOST, sizeof(float))};
    soma_context *c =
        soma_context_create(&(soma_context_options){.isa = isa, .threads = threads, .memory = memory, .seed = 5});
    soma_model *net = network->make(c);
    soma_compile(net, .optimizer = soma_adam(.learning_rate = 0.01, .context = c),
                 .loss = soma_sparse_categorical_crossentropy);
    const soma_array_data x = network->series
                                  ? (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, LENGTH, FEATURES), series}
                                  : (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, SIDE, SIDE, 2), pixels};
    const soma_array_data y = {SOMA_I64, SOMA_DIMS(SAMPLES), classes};
    soma_dataset *data = soma_dataset_from_arrays(c, x, y, true);
    const soma_plan *plan = soma_training_plan(net, data, SAMPLES);
    t->status = soma_last_status(c);
    assert_true(plan || t->status != SOMA_OK);
    if (plan) {
        t->needs = soma_plan_memory(plan);
        t->arena = soma_plan_bytes(plan);
        for (int i = 0; i < soma_plan_steps(plan); i++)
            t->again += soma_plan_get_step(plan, i).again;
        soma_graph *graph = soma_graph_create(c);
        soma_tensor *xs = soma_array(graph, x.dtype, x.rank, x.shape, x.data);
        soma_tensor *ys = soma_array(graph, y.dtype, y.rank, y.shape, y.data);
        for (int i = 0; i < STEPS; i++) {
            const soma_scores s = soma_train_on_batch(net, xs, ys);
            assert_int_equal(s.status, SOMA_OK);
            t->values[t->n++] = (float)s.loss;
        }
        soma_graph_destroy(graph);
        gather_weights(net, t);
    } else if (t->status == SOMA_NO_MEMORY) {
        assert_non_null(strstr(soma_last_error(c), "allowed"));
    }
    soma_dataset_destroy(data);
    soma_model_destroy(net);
    soma_context_destroy(c);
}

static void compare(const struct network *network, const trained *t, const trained *expected, int threads,
                    size_t memory) {
    if (t->n != expected->n || memcmp(t->values, expected->values, (size_t)t->n * sizeof(float)) != 0)
        fail_msg("%s, %d threads, %zu bytes: other bits than without a limit", network->name, threads, memory);
    assert_true(t->values[STEPS - 1] < t->values[0]);
}

static void networks_keep_their_bits(void **state) {
    (void)state;
    static const double parts[] = {0.95, 0.85, 0.75, 0.65, 0.55, 0.45, 0.35};
    int copied = 0;
    for (size_t k = 0; k < sizeof networks / sizeof *networks; k++)
        for (int avx = 0; avx < 2; avx++) {
            const char *isa = avx ? NULL : "baseline";
            trained whole, t;
            train(&networks[k], isa, 1, 0, &whole);
            assert_int_equal(whole.status, SOMA_OK);
            assert_int_equal(whole.again, 0);
            for (int i = 0; i < 7; i++) {
                const int threads = 1 + i % 3;
                trained crew; /* its scratch and copies count as well */
                train(&networks[k], isa, threads, 0, &crew);
                compare(&networks[k], &crew, &whole, threads, 0);
                const size_t fixed = crew.needs - crew.arena, limit = fixed + (size_t)(parts[i] * (double)crew.arena);
                train(&networks[k], isa, threads, limit, &t);
                if (t.status == SOMA_OK) {
                    assert_true(t.needs <= limit);
                    copied += t.again > 0;
                    compare(&networks[k], &t, &whole, threads, limit);
                } else {
                    assert_int_equal(t.status, SOMA_NO_MEMORY);
                    if (parts[i] >= networks[k].least) fail_msg("%s: %g of the arena", networks[k].name, parts[i]);
                }
                free(crew.values);
                free(t.values);
            }
            free(whole.values);
        }
    assert_true(copied >= 12);
}

/* A limit that is large enough changes nothing. */
static void enough_changes_nothing(void **state) {
    (void)state;
    trained whole, t;
    train(&networks[0], NULL, 1, 0, &whole);
    train(&networks[0], NULL, 1, whole.needs, &t);
    assert_int_equal(t.needs, whole.needs);
    assert_int_equal(t.again, 0);
    free(t.values);
    train(&networks[0], NULL, 1, whole.needs - 1, &t);
    assert_true(t.status == SOMA_OK && t.needs < whole.needs);
    compare(&networks[0], &t, &whole, 1, whole.needs - 1);
    free(t.values);
    train(&networks[0], NULL, 1, 1000, &t);
    assert_int_equal(t.status, SOMA_NO_MEMORY);
    free(t.values);
    free(whole.values);
}

/* ---- random graphs ---- */

static char *run(const random_graph *r, size_t memory, size_t *bytes, size_t *needs, int *again) {
    soma_plan *plan = soma_plan_create(r->targets, r->n_targets, &(soma_plan_options){.memory = memory});
    if (!plan) {
        assert_int_equal(soma_last_status(r->context), SOMA_NO_MEMORY);
        soma_clear_error(r->context);
        return NULL;
    }
    for (int i = 0; i < r->n_inputs; i++)
        if (r->inputs[i]) assert_int_equal(soma_plan_bind(plan, r->inputs[i], r->data[i]), SOMA_OK);
    random_graph_reset(r);
    assert_int_equal(soma_plan_run(plan), SOMA_OK);
    *needs = soma_plan_memory(plan);
    *again = 0;
    for (int i = 0; i < soma_plan_steps(plan); i++)
        *again += soma_plan_get_step(plan, i).again;
    *bytes = 0;
    for (int i = 0; i < r->n_targets; i++)
        *bytes += (size_t)soma_size(r->targets[i]) * soma_dtype_size(soma_tensor_dtype(r->targets[i]));
    for (int i = 0; i < r->n_variables; i++)
        *bytes += (size_t)soma_variable_size(r->variables[i]) * soma_dtype_size(soma_variable_dtype(r->variables[i]));
    char *all = calloc(*bytes + 1, 1), *to = all;
    for (int i = 0; i < r->n_targets; i++) {
        const size_t n = (size_t)soma_size(r->targets[i]) * soma_dtype_size(soma_tensor_dtype(r->targets[i]));
        const void *output = soma_plan_output(plan, i);
        if (output) memcpy(to, output, n);
        to += n;
    }
    for (int i = 0; i < r->n_variables; i++) {
        const soma_variable *v = r->variables[i];
        const size_t n = (size_t)soma_variable_size(v) * soma_dtype_size(soma_variable_dtype(v));
        assert_int_equal(soma_variable_get(r->variables[i], to, n), SOMA_OK);
        to += n;
    }
    soma_plan_destroy(plan);
    return all;
}

static void random_graphs_keep_their_bits(void **state) {
    (void)state;
    const char *first = getenv("SOMA_SEED"), *count = getenv("SOMA_SEEDS"); /* for long hunts */
    const uint64_t begin = first ? strtoull(first, NULL, 10) : 1, n = count ? strtoull(count, NULL, 10) : 150;
    int copied = 0;
    for (uint64_t seed = begin; seed < begin + n; seed++) {
        soma_context *c = soma_context_create(&(soma_context_options){.threads = 1 + (int)(seed % 3), .seed = 3});
        random_graph *r = random_graph_create(c, seed, 40);
        size_t bytes = 0, same = 0, whole = 0, needs = 0;
        int again = 0;
        char *expected = run(r, 0, &bytes, &whole, &again);
        assert_non_null(expected);
        for (int part = 95; part >= 55; part -= 10) {
            const size_t limit = whole * (size_t)part / 100;
            char *got = run(r, limit, &same, &needs, &again);
            if (!got) break;
            assert_true(needs <= limit && same == bytes);
            if (memcmp(got, expected, bytes) != 0)
                fail_msg("seed %llu: other bits under a limit of %zu bytes", (unsigned long long)seed, limit);
            copied += again > 0;
            free(got);
        }
        free(expected);
        random_graph_destroy(r);
        soma_context_destroy(c);
    }
    if (!first) assert_true(copied >= 10);
}

/* ---- every request may fail ---- */

enum { ROWS = 64, WIDE = 200, DEPTH = 9 };

/* A chain of layers by hand, under a limit that makes it compute again; true when the plan was made. */
static bool chain_plan(soma_context *c, size_t memory, size_t *needs) {
    soma_graph *g = soma_graph_create(c);
    soma_tensor *x = g ? soma_input(g, SOMA_F32, SOMA_DIMS(ROWS, WIDE), "x") : NULL, *w[DEPTH], *dw[DEPTH];
    soma_tensor *targets[DEPTH + 1];
    soma_variable *weights[DEPTH] = {NULL};
    bool good = x;
    for (int i = 0; i < DEPTH && good; i++) {
        weights[i] = soma_variable_create(c, "w", SOMA_F32, SOMA_DIMS(WIDE, WIDE));
        w[i] = weights[i] ? soma_read(g, weights[i]) : NULL;
        x = soma_tanh(soma_matmul(x, w[i]));
        good = x;
    }
    targets[0] = soma_mean(soma_square(x), SOMA_ALL_AXES, false);
    good = good && targets[0] && soma_grad(targets[0], w, DEPTH, dw) == SOMA_OK;
    for (int i = 0; i < DEPTH && good; i++)
        good = (targets[i + 1] = soma_assign(weights[i], soma_sub(w[i], dw[i]))) != NULL;
    soma_plan *plan = good ? soma_plan_create(targets, DEPTH + 1, &(soma_plan_options){.memory = memory}) : NULL;
    *needs = soma_plan_memory(plan);
    soma_plan_destroy(plan);
    soma_graph_destroy(g);
    for (int i = 0; i < DEPTH; i++)
        soma_variable_destroy(weights[i]);
    return plan;
}

static void every_request_may_fail(void **state) {
    (void)state;
    failing f;
    size_t whole, needs;
    soma_context *c = failing_context(&f, 1);
    assert_true(chain_plan(c, 0, &whole));
    const size_t limit = whole - 3 * ROWS * WIDE * sizeof(float);
    assert_true(chain_plan(c, limit, &needs) && needs <= limit);
    assert_false(chain_plan(c, limit / 2, &needs)); /* less than the weights */
    assert_int_equal(soma_last_status(c), SOMA_NO_MEMORY);
    soma_context_destroy(c);
    bool done = false;
    for (int64_t n = 0; !done; n++) {
        c = failing_context(&f, 1);
        f.refuse = n;
        const bool good = chain_plan(c, limit, &needs);
        done = good && f.requests <= n;
        if (!good) assert_int_equal(soma_last_status(c), SOMA_NO_MEMORY);
        f.refuse = -1;
        soma_context_destroy(c);
        assert_false(f.wrong_size);
        failing empty;
        soma_context_destroy(failing_context(&empty, 1));
        assert_int_equal(f.blocks, empty.blocks);
    }
}

/* ---- sizes ---- */

static void sizes_are_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t bytes;
    } good[] = {
        {"1", 1},       {"1024", 1024},  {"500MB", 500000000}, {"2GiB", (size_t)2 << 30}, {"2 gib", (size_t)2 << 30},
        {"1.5k", 1500}, {"0.5KiB", 512}, {"1e6", 1000000},     {"3T", 3000000000000},     {"7 B", 7}};
    static const char *const bad[] = {"", "MB", "-1", "0", "1XB", "5 MB x", "1e30", "nan", "inf", "0.2"};
    size_t bytes;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(soma_parse_bytes(good[i].text, &bytes), SOMA_OK);
        assert_int_equal(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bytes = 77;
        assert_int_equal(soma_parse_bytes(bad[i], &bytes), SOMA_INVALID);
        assert_int_equal(bytes, 77);
    }
    assert_int_equal(soma_parse_bytes(NULL, &bytes), SOMA_INVALID);
}

static void the_environment_gives_a_limit(void **state) {
    (void)state;
    setenv("SOMA_MEMORY", "3MiB", 1);
    soma_context *c = soma_context_create(NULL), *d = soma_context_create(&(soma_context_options){.memory = 5});
    assert_int_equal(soma_memory_limit(c), 3 << 20);
    assert_int_equal(soma_memory_limit(d), 5);
    setenv("SOMA_MEMORY", "much", 1);
    assert_null(soma_context_create(NULL));
    unsetenv("SOMA_MEMORY");
    soma_context_destroy(c);
    soma_context_destroy(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(networks_keep_their_bits, fill),
                                       cmocka_unit_test_setup(enough_changes_nothing, fill),
                                       cmocka_unit_test(random_graphs_keep_their_bits),
                                       cmocka_unit_test(every_request_may_fail),
                                       cmocka_unit_test(sizes_are_read),
                                       cmocka_unit_test(the_environment_gives_a_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
