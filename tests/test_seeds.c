/* Seeds of layers and initializers: the same numbers wherever the layer stands and whatever the context's seed; others
 * for another seed, another call, another step. Rests on cmocka. */
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

enum { N = 96 };

/* What a layer makes of ones in training step number step, alone or behind a layer that draws too. */
static void draw(const char *json, uint64_t seed, bool behind, int64_t step, float out[N]) {
    char text[512];
    snprintf(text, sizeof text, "{\"layers\": [{\"input\": [2, 4, 3]}, %s%s]}",
             behind ? "{\"gaussian_noise\": {\"stddev\": 1e-30}}, " : "", json);
    soma_set_random_seed(NULL, seed);
    soma_graph *graph = soma_graph_create(NULL);
    soma_model *net = soma_model_from_json(NULL, text);
    if (!net) fail_msg("%s", soma_last_error(NULL));
    soma_tensor *x = soma_ones(graph, SOMA_F32, SOMA_DIMS(4, 2, 4, 3)), *y = NULL;
    soma_pass pass = {.training = true, .step = soma_scalar(graph, SOMA_I64, (double)step)};
    expect_ok(soma_model_forward(net, &x, 1, &pass, &y));
    for (int i = 0; i < N; i++)
        out[i] = (float)soma_item(y, i);
    soma_model_destroy(net);
    soma_graph_destroy(graph);
}

static void layers_draw_by_their_seed(void **state) {
    (void)state;
    NEEDS(JANSSON);
    static const char *const layers[] = {"dropout\": {\"rate\": 0.5",
                                         "gaussian_noise\": {\"stddev\": 1",
                                         "gaussian_dropout\": {\"rate\": 0.5",
                                         "alpha_dropout\": {\"rate\": 0.5",
                                         "spatial_dropout_2d\": {\"rate\": 0.5",
                                         "random_brightness\": {\"factor\": 0.9, \"value_range\": [0, 4]"};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        char seeded[256], other[256], zero[256], plain[256];
        float a[N], b[N];
        snprintf(seeded, sizeof seeded, "{\"%s, \"seed\": 3}}", layers[i]);
        snprintf(other, sizeof other, "{\"%s, \"seed\": 4}}", layers[i]);
        snprintf(zero, sizeof zero, "{\"%s, \"seed\": 0}}", layers[i]);
        snprintf(plain, sizeof plain, "{\"%s, \"seed\": null}}", layers[i]);
        draw(seeded, 1, false, 5, a);
        draw(seeded, 2, true, 5, b);
        assert_memory_equal(a, b, sizeof a);
        draw(zero, 1, false, 5, a);
        draw(zero, 2, true, 5, b);
        assert_memory_equal(a, b, sizeof a);
        draw(seeded, 2, true, 5, b);
        assert_memory_not_equal(a, b, sizeof a);
        draw(seeded, 1, false, 6, a);
        assert_memory_not_equal(a, b, sizeof a);
        draw(other, 2, true, 5, a);
        assert_memory_not_equal(a, b, sizeof a);
        draw(seeded, 3, false, 5, b); /* a context's seed is no layer's */
        draw(plain, 3, false, 5, a);
        assert_memory_not_equal(a, b, sizeof a);
        draw(plain, 4, false, 5, b);
        assert_memory_not_equal(a, b, sizeof a);
    }
}

/* One layer called twice draws twice; two layers with one seed draw the same. */
static void calls_go_on(void **state) {
    (void)state;
    soma_symbol *x = soma_symbol_create(NULL, SOMA_DIMS(N), "x");
    soma_layer *shared = soma_dropout(0.5, .seed = 11);
    soma_symbol *ys[] = {soma_call(shared, x), soma_call(shared, x), soma_call(soma_dropout(0.5, .seed = 11), x)};
    soma_model *net = soma_model_create(&x, 1, ys, 3);
    if (!net) fail_msg("%s", soma_last_error(NULL));
    soma_tensor *ones = soma_ones(NULL, SOMA_F32, SOMA_DIMS(1, N)), *out[3];
    expect_ok(soma_model_apply(net, &ones, 1, true, out));
    int same = 0;
    for (int i = 0; i < N; i++) {
        same += soma_item(out[0], i) == soma_item(out[1], i);
        assert_true(soma_item(out[0], i) == soma_item(out[2], i));
    }
    assert_in_range(same, N / 4, 3 * N / 4);
    soma_model_destroy(net);
}

/* ---- first values ---- */

static void kernel_of(soma_initializer initializer, uint64_t seed, bool behind, float out[24]) {
    soma_set_random_seed(NULL, seed);
    soma_model *net =
        behind ? soma_sequential(soma_dense(4, .input_shape = {3}), soma_dense(6, .kernel_initializer = initializer))
               : soma_sequential(soma_dense(6, .kernel_initializer = initializer, .input_shape = {4}));
    if (!net) fail_msg("%s", soma_last_error(NULL));
    soma_layer *layer = soma_model_get_layer(net, behind);
    expect_ok(soma_variable_get(soma_layer_get_weight(layer, 0), out, 24 * sizeof *out));
    soma_model_destroy(net);
}

static void weights_begin_by_their_seed(void **state) {
    (void)state;
    const soma_initializer all[] = {soma_glorot_uniform(),
                                    soma_he_normal(),
                                    soma_uniform(-1, 1),
                                    soma_normal(0, 1),
                                    soma_truncated_normal(1, 2),
                                    soma_orthogonal(1),
                                    soma_variance_scaling(2, SOMA_FAN_OUT, SOMA_UNTRUNCATED_NORMAL)};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        float a[24], b[24];
        kernel_of(soma_seeded(all[i], 7), 1, false, a);
        kernel_of(soma_seeded(all[i], 7), 2, true, b);
        assert_memory_equal(a, b, sizeof a);
        kernel_of(soma_seeded(all[i], SOMA_SEED_ZERO), 1, false, b);
        assert_memory_not_equal(a, b, sizeof a);
        kernel_of(all[i], 7, false, b);
        assert_memory_not_equal(a, b, sizeof a);
        kernel_of(all[i], 8, false, a);
        assert_memory_not_equal(a, b, sizeof a);
    }
}

/* ---- files ---- */

static void files_keep_seeds(void **state) {
    (void)state;
    NEEDS(JANSSON);
    static const char json[] =
        "{\"layers\": [{\"dense\": {\"units\": 8, \"input_shape\": [5], \"kernel_initializer\": {\"he_normal\": "
        "{\"seed\": 5}}, \"bias_initializer\": {\"class_name\": \"RandomNormal\", \"config\": {\"stddev\": 0.5, "
        "\"seed\": 0}}}}, {\"dropout\": {\"rate\": 0.25, \"seed\": 0}}, {\"dense\": 1}]}";
    float x[40], y[8], whole[41], parts[41];
    for (int i = 0; i < 40; i++)
        x[i] = (float)sin(i), y[i / 5] = (float)cos(i);
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(8, 5), x},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(8, 1), y}, true);
    for (int k = 0; k < 2; k++) {
        soma_set_random_seed(NULL, 20);
        soma_model *net = soma_model_from_json(NULL, json);
        if (!net) fail_msg("%s", soma_last_error(NULL));
        char *written = soma_model_to_json(net);
        assert_non_null(strstr(written, "{\"he_normal\": {\"seed\": 5}}"));
        assert_non_null(strstr(written, "{\"random_normal\": {\"mean\": 0, \"stddev\": 0.5, \"seed\": 0}}"));
        assert_non_null(strstr(written, "\"seed\": 0, \"rate\": 0.25"));
        soma_string_free(written);
        expect_ok(soma_compile(net, .optimizer = soma_adam(), .loss = soma_mean_squared_error));
        expect_ok(soma_fit(net, data, .epochs = k ? 2 : 4, .batch_size = 3));
        if (k) {
            expect_ok(soma_save(net, scratch_path("seeds.soma")));
            soma_model_destroy(net);
            net = soma_load(NULL, scratch_path("seeds.soma"));
            if (!net) fail_msg("%s", soma_last_error(NULL));
            expect_ok(soma_fit(net, data, .epochs = 4, .initial_epoch = 2, .batch_size = 3));
        }
        expect_ok(soma_variable_get(soma_layer_get_weight(soma_model_get_layer(net, 0), 0), k ? parts : whole,
                                    40 * sizeof(float)));
        soma_model_destroy(net);
    }
    assert_memory_equal(whole, parts, 40 * sizeof(float));
    assert_null(soma_layer_from_json(NULL, "{\"dropout\": {\"rate\": 0.5, \"seed\": \"x\"}}"));
    expect_error(SOMA_INVALID, "[Dropout] seed must be a whole number");
    assert_null(soma_layer_from_json(
        NULL, "{\"dense\": {\"units\": 1, \"kernel_initializer\": {\"zeros\": {\"seed\": 0.5}}}}"));
    expect_error(SOMA_INVALID, "[Dense] seed must be a whole number");
    soma_dataset_destroy(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(layers_draw_by_their_seed, reset),
        cmocka_unit_test_setup(calls_go_on, reset),
        cmocka_unit_test_setup(weights_begin_by_their_seed, reset),
        cmocka_unit_test_setup(files_keep_seeds, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
