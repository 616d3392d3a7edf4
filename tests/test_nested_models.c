/* Models within models: one set of weights, whichever model trains it; names, files, mistakes.
 * Rests on the public API. Needs: jansson */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/expect.h"
#include "support/scratch.h"

enum { SAMPLES = 48, FEATURES = 5 };
static float x[SAMPLES * FEATURES], y[SAMPLES];

static soma_dataset *data(void) {
    for (int i = 0; i < SAMPLES; i++) {
        y[i] = 0;
        for (int j = 0; j < FEATURES; j++) {
            x[i * FEATURES + j] = (float)((i * 7 + j * 5) % 11) / 11 - 0.5f;
            y[i] += (float)(j + 1) * x[i * FEATURES + j] * x[i * FEATURES + j];
        }
    }
    return soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, FEATURES), x},
                                    (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, 1), y}, true);
}

static soma_symbol *called(soma_model *model, soma_symbol *in) {
    soma_symbol *out = NULL;
    expect_ok(soma_model_call(model, &in, 1, &out));
    return out;
}

/* The same numbers from two models on all samples, to the bit. */
static void expect_same(soma_model *a, soma_model *b, soma_dataset *all) {
    soma_tensor *p = soma_predict(a, all), *q = soma_predict(b, all);
    assert_non_null(p);
    assert_non_null(q);
    assert_int_equal(soma_size(p), soma_size(q));
    for (int64_t i = 0; i < soma_size(p); i++)
        assert_true(soma_item(p, i) == soma_item(q, i));
}

static soma_model *encoder(void) {
    return soma_sequential(soma_dense(6, .activation = soma_tanh, .name = "wide", .input_shape = {FEATURES}),
                           soma_dropout(0.25), soma_dense(FEATURES, .name = "code"));
}

/* in -> encoder -> the encoder again -> one number. */
static soma_model *twice(soma_model *inner) {
    soma_symbol *in = soma_symbol_create(NULL, SOMA_DIMS(FEATURES), "x");
    soma_symbol *code = called(inner, in), *again = called(inner, code);
    soma_symbol *out = soma_call(soma_dense(1), soma_call_many(soma_add_layer(), (soma_symbol *[]){code, again}, 2));
    return soma_model_create(&in, 1, &out, 1);
}

static void one_set_of_weights(void **state) {
    (void)state;
    soma_dataset *all = data();
    soma_model *inner = encoder(), *outer = twice(inner);
    assert_non_null(outer);
    assert_int_equal(soma_count_params(outer), soma_count_params(inner) + FEATURES + 1);
    soma_variable *weight = soma_layer_get_weight(soma_model_get_layer(inner, 0), 0);
    float before[FEATURES * 6], after[FEATURES * 6];
    expect_ok(soma_variable_get(weight, before, sizeof before));
    expect_ok(soma_compile(outer, .optimizer = soma_adam(.learning_rate = 0.02), .loss = soma_mean_squared_error));
    const double first = soma_evaluate(outer, all).loss;
    expect_ok(soma_fit(outer, all, .epochs = 40, .batch_size = 16));
    const double last = soma_evaluate(outer, all).loss;
    if (!(last < 0.5 * first)) fail_msg("the loss went from %g to %g", first, last);
    expect_ok(soma_variable_get(weight, after, sizeof after));
    assert_memory_not_equal(before, after, sizeof before);
    soma_tensor *code = soma_predict(inner, all);
    assert_non_null(code);
    assert_int_equal(soma_dim(code, 1), FEATURES);
    soma_model_destroy(outer);
    soma_model_destroy(inner);
    soma_dataset_destroy(all);
}

static void inner_model_may_go_first(void **state) {
    (void)state;
    soma_dataset *all = data();
    soma_model *inner = encoder(), *outer = twice(inner);
    soma_model_destroy(inner);
    expect_ok(soma_compile(outer, .optimizer = soma_sgd(), .loss = soma_mean_squared_error));
    expect_ok(soma_fit(outer, all, .epochs = 2));
    char path[256];
    snprintf(path, sizeof path, "%s", scratch_path("nested.soma"));
    expect_ok(soma_save(outer, path));
    soma_model *loaded = soma_load(NULL, path);
    if (!loaded) fail_msg("%s", soma_last_error(NULL));
    expect_same(outer, loaded, all);
    expect_ok(soma_fit(outer, all, .epochs = 1));
    expect_ok(soma_fit(loaded, all, .epochs = 1));
    expect_same(outer, loaded, all);
    soma_model_destroy(loaded);
    soma_model_destroy(outer);
    soma_dataset_destroy(all);
}

/* The call gives what the layers give one by one. */
static void calls_are_the_layers(void **state) {
    (void)state;
    soma_dataset *all = data();
    soma_model *inner = encoder();
    soma_symbol *in = soma_symbol_create(NULL, SOMA_DIMS(FEATURES), "x"), *out = called(inner, in);
    assert_int_equal(soma_symbol_shape(out)[0], FEATURES);
    soma_model *outer = soma_model_create(&in, 1, &out, 1);
    expect_same(inner, outer, all);
    soma_model_destroy(outer);
    expect_ok(soma_compile(inner, .optimizer = soma_sgd(), .loss = soma_mean_squared_error));
    assert_non_null(soma_predict(inner, all));
    soma_model_destroy(inner);
    soma_dataset_destroy(all);
}

/* A model of two inputs and two outputs within another. */
static void several_inputs_and_outputs(void **state) {
    (void)state;
    soma_symbol *a = soma_symbol_create(NULL, SOMA_DIMS(3), "a"), *b = soma_symbol_create(NULL, SOMA_DIMS(3), "b");
    soma_symbol *ends[2] = {soma_call_many(soma_add_layer(), (soma_symbol *[]){a, b}, 2),
                            soma_call_many(soma_subtract_layer(), (soma_symbol *[]){a, b}, 2)};
    soma_model *inner = soma_model_create((soma_symbol *[]){a, b}, 2, ends, 2);
    soma_symbol *in = soma_symbol_create(NULL, SOMA_DIMS(3), "x"), *got[2];
    soma_symbol *both[2] = {in, soma_call(soma_rescaling(3), in)};
    expect_ok(soma_model_call(inner, both, 2, got));
    soma_symbol *out = soma_call_many(soma_concatenate(), got, 2);
    soma_model *outer = soma_model_create(&in, 1, &out, 1);
    soma_tensor *result = NULL, *ones = soma_full(NULL, SOMA_F32, 2, (int64_t[]){1, 3}, 2);
    expect_ok(soma_model_apply(outer, &ones, 1, false, &result));
    expect_all("sum and difference", result, (double[]){8, 8, 8, -4, -4, -4}, 6, 0);
    assert_int_equal(soma_model_call(inner, both, 1, got), SOMA_INVALID);
    expect_error(SOMA_INVALID, "called on 1 symbols, it has 2 inputs");
    soma_model_destroy(outer);
    soma_model_destroy(inner);
}

static void names_that_meet(void **state) {
    (void)state;
    soma_model *first = soma_sequential(soma_dense(4), soma_dense(3)), *second = soma_sequential(soma_dense(4));
    soma_symbol *in = soma_symbol_create(NULL, SOMA_DIMS(2), "x");
    soma_symbol *out = called(second, called(first, in));
    soma_model *outer = soma_model_create(&in, 1, &out, 1);
    if (!outer) fail_msg("%s", soma_last_error(NULL));
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(soma_layer_name(soma_model_get_layer(outer, i)),
                                    soma_layer_name(soma_model_get_layer(outer, j)));
    soma_model_destroy(outer);
    soma_model_destroy(second);
    soma_model_destroy(first);
    first = soma_sequential(soma_dense(2, .input_shape = {2}));
    second = soma_sequential(soma_dense(2, .input_shape = {2}));
    in = soma_symbol_create(NULL, SOMA_DIMS(2), "x");
    out = called(second, called(first, in));
    assert_null(soma_model_create(&in, 1, &out, 1));
    expect_error(SOMA_INVALID, "two layers are called 'dense': give one of them a .name");
    soma_model_destroy(second);
    soma_model_destroy(first);
}

static void a_shape_that_does_not_fit(void **state) {
    (void)state;
    soma_model *inner = encoder();
    soma_symbol *in = soma_symbol_create(NULL, SOMA_DIMS(FEATURES + 1), "x"), *out = NULL;
    assert_int_not_equal(soma_model_call(inner, &in, 1, &out), SOMA_OK);
    soma_clear_error(NULL);
    soma_layer_destroy(soma_symbol_layer(in));
    soma_dataset *all = data();
    expect_ok(soma_compile(inner, .optimizer = soma_sgd(), .loss = soma_mean_squared_error));
    assert_non_null(soma_predict(inner, all)); /* it is what it was */
    soma_dataset_destroy(all);
    soma_model_destroy(inner);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_set_of_weights, reset),   cmocka_unit_test_setup(inner_model_may_go_first, reset),
        cmocka_unit_test_setup(calls_are_the_layers, reset), cmocka_unit_test_setup(several_inputs_and_outputs, reset),
        cmocka_unit_test_setup(names_that_meet, reset),      cmocka_unit_test_setup(a_shape_that_does_not_fit, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
