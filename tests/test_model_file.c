/* The .soma file: what is saved comes back bit for bit and trains on, equal models give equal bytes, nothing hostile
 * gets through.
 * Rests on cmocka, the scratch folder, the failing allocator and the safetensors reader.
 * Corrupted files are made from a good one, byte by byte. Needs: jansson */
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

#include "formats/safetensors.h"
#include "support/expect.h"
#include "support/failing.h"
#include "support/scratch.h"

enum { SAMPLES = 50, FEATURES = 5 };

static soma_dataset *pixels(soma_context *context) {
    static uint8_t x[SAMPLES * FEATURES], y[SAMPLES];
    for (int i = 0; i < SAMPLES * FEATURES; i++)
        x[i] = (uint8_t)(i * 89 + i / 7);
    for (int i = 0; i < SAMPLES; i++)
        y[i] = x[i * FEATURES] > 127;
    soma_dataset *data = soma_dataset_from_arrays(context, (soma_array_data){SOMA_U8, SOMA_DIMS(SAMPLES, FEATURES), x},
                                                  (soma_array_data){SOMA_U8, SOMA_DIMS(SAMPLES), y}, true);
    if (data) assert_int_equal(soma_dataset_set_class_names(data, (const char *[]){"dark", "l\"ight"}, 2), SOMA_OK);
    return data;
}

static soma_model *reader(void) {
    soma_model *net = soma_sequential(soma_dense(6, .activation = soma_tanh, .kernel_regularizer = soma_l2(0.001)),
                                      soma_dropout(0.2), soma_dense(2, .activation = soma_softmax));
    soma_compile(net, .optimizer = soma_rmsprop(.momentum = 0.5, .centered = true),
                 .loss = soma_sparse_categorical_crossentropy, .metrics = {soma_accuracy, soma_mean_absolute_error});
    return net;
}

static void same_bytes(const char *a, const char *b) {
    size_t n, m;
    char *x = scratch_read(a, &n), *y = scratch_read(b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

static soma_model *trained(soma_dataset *data, int64_t epochs) {
    soma_model *net = soma_sequential(soma_dense(6, .activation = soma_tanh, .kernel_regularizer = soma_l2(0.001)),
                                      soma_dropout(0.2), soma_dense(2, .activation = soma_softmax));
    soma_compile(net, .optimizer = soma_rmsprop(.momentum = 0.5, .centered = true),
                 .loss = soma_sparse_categorical_crossentropy, .metrics = {soma_accuracy});
    assert_int_equal(soma_fit(net, data, .epochs = epochs, .validation_split = 0.2), SOMA_OK);
    return net;
}

/* ---- what comes back ---- */

static void saved_and_loaded_are_equal(void **state) {
    (void)state;
    soma_dataset *data = pixels(NULL);
    soma_model *net = trained(data, 3);
    assert_int_equal(soma_save(net, scratch_path("a.soma")), SOMA_OK);
    soma_model *again = soma_load(NULL, scratch_path("a.soma"));
    if (!again) fail_msg("%s", soma_last_error(NULL));
    assert_int_equal(soma_save(again, scratch_path("b.soma")), SOMA_OK);
    same_bytes(scratch_path("a.soma"), scratch_path("b.soma"));
    soma_tensor *p = soma_predict(net, data), *q = soma_predict(again, data);
    assert_memory_equal(soma_data(p), soma_data(q), SAMPLES * 2 * sizeof(float));
    assert_int_equal(soma_updates(again), soma_updates(net));
    assert_int_equal(soma_history_epochs(again), 3);
    assert_true(soma_history_get(again, "val_loss", 2) == soma_history_get(net, "val_loss", 2));
    assert_string_equal(soma_model_label(again, 1), "l\"ight");
    assert_null(soma_model_label(again, 2));
    assert_true(soma_evaluate(again, data).loss == soma_evaluate(net, data).loss);
    soma_model_destroy(again);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

static void equal_runs_give_equal_files(void **state) {
    (void)state;
    soma_dataset *data = pixels(NULL);
    for (int i = 0; i < 2; i++) {
        soma_model *net = trained(data, 2);
        assert_int_equal(soma_save(net, scratch_path(i ? "b.soma" : "a.soma")), SOMA_OK);
        soma_model_destroy(net);
    }
    same_bytes(scratch_path("a.soma"), scratch_path("b.soma"));
    soma_dataset_destroy(data);
}

/* Saved after two epochs, loaded and trained for three more: the same file as after five. */
static void resumed_is_uninterrupted(void **state) {
    (void)state;
    soma_dataset *data = pixels(NULL);
    soma_model *net = trained(data, 5);
    assert_int_equal(soma_save(net, scratch_path("whole.soma")), SOMA_OK);
    soma_model_destroy(net);
    net = trained(data, 2);
    assert_int_equal(soma_save(net, scratch_path("half.soma")), SOMA_OK);
    soma_model_destroy(net);
    net = soma_load(NULL, scratch_path("half.soma"));
    assert_int_equal(soma_fit(net, data, .epochs = 5, .initial_epoch = 2, .validation_split = 0.2), SOMA_OK);
    assert_int_equal(soma_save(net, scratch_path("half.soma")), SOMA_OK);
    same_bytes(scratch_path("whole.soma"), scratch_path("half.soma"));
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

static void any_reader_finds_the_weights(void **state) {
    (void)state;
    soma_dataset *data = pixels(NULL);
    soma_model *net = trained(data, 1);
    assert_int_equal(soma_save(net, scratch_path("a.soma")), SOMA_OK);
    safetensors *file;
    assert_int_equal(safetensors_open(NULL, scratch_path("a.soma"), &file), SOMA_OK);
    const safetensors_entry *kernel = safetensors_find(file, "dense/kernel");
    assert_non_null(kernel);
    assert_true(kernel->dtype == SOMA_F32 && kernel->rank == 2 && kernel->shape[0] == FEATURES &&
                kernel->shape[1] == 6);
    float values[FEATURES * 6];
    soma_variable *v = soma_layer_get_weight(soma_model_get_layer(net, 0), 0);
    assert_int_equal(soma_variable_get(v, values, sizeof values), SOMA_OK);
    assert_memory_equal(values, kernel->data, sizeof values);
    assert_non_null(safetensors_find(file, "optimizer/dense_1/bias/average_gradient"));
    assert_int_equal(safetensors_count(file), 4 + 2 + 4 * 3);
    safetensors_close(file);
    /* for others only: no optimizer, no history */
    assert_int_equal(soma_save(net, scratch_path("a.soma"), .no_optimizer = true), SOMA_OK);
    assert_int_equal(safetensors_open(NULL, scratch_path("a.soma"), &file), SOMA_OK);
    assert_int_equal(safetensors_count(file), 4);
    safetensors_close(file);
    soma_model *again = soma_load(NULL, scratch_path("a.soma"));
    assert_non_null(again);
    assert_non_null(soma_predict(again, data));
    assert_int_equal(soma_fit(again, data), SOMA_INVALID);
    expect_error(SOMA_INVALID, "must be compiled first");
    soma_model_destroy(again);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

static void connections_come_back(void **state) {
    (void)state;
    soma_symbol *x = soma_symbol_create(NULL, SOMA_DIMS(3), "x");
    soma_layer *shared = soma_dense(3, .activation = soma_tanh, .dtype = SOMA_F64);
    soma_symbol *h = soma_call(shared, x), *pair[] = {soma_call(shared, h), x};
    soma_symbol *y = soma_call_many(soma_concatenate(), pair, 2);
    soma_model *net = soma_model_create(&x, 1, &y, 1);
    assert_int_equal(soma_model_set_name(net, "twice"), SOMA_OK);
    assert_int_equal(soma_save(net, scratch_path("f.soma")), SOMA_OK);
    soma_model *again = soma_load(NULL, scratch_path("f.soma"));
    if (!again) fail_msg("%s", soma_last_error(NULL));
    assert_string_equal(soma_model_name(again), "twice");
    /* the calls in their order, and what they hear */
    const int heard[3][2] = {{0, -1}, {1, -1}, {2, 0}};
    int64_t shape[SOMA_MAX_RANK];
    assert_int_equal(soma_model_calls(again), 3);
    for (int i = 0; i < 3; i++) {
        const soma_layer_call call = soma_model_get_call(again, i);
        assert_string_equal(soma_layer_class_name(call.layer), i < 2 ? "Dense" : "Concatenate");
        assert_true(call.n_outputs == 1 && call.output == i + 1 && call.n_inputs == (i < 2 ? 1 : 2));
        for (int j = 0; j < call.n_inputs; j++)
            assert_int_equal(call.inputs[j], heard[i][j]);
        assert_int_equal(soma_model_value_shape(again, call.output, shape), 1);
        assert_int_equal(shape[0], i < 2 ? 3 : 6);
    }
    assert_ptr_equal(soma_model_get_call(again, 0).layer, soma_model_get_call(again, 1).layer);
    assert_null(soma_model_get_call(again, 3).layer);
    assert_null(soma_model_get_call(again, -1).layer);
    assert_int_equal(soma_model_value_shape(again, 4, shape), -1);
    assert_int_equal(soma_model_calls(NULL), 0);
    const double in[] = {1, -2, 0.5};
    double a[6], b[6];
    assert_int_equal(soma_predict_on_batch(net, 1, SOMA_F64, in, a), SOMA_OK);
    assert_int_equal(soma_predict_on_batch(again, 1, SOMA_F64, in, b), SOMA_OK);
    assert_memory_equal(a, b, sizeof a);
    soma_model_destroy(again);
    soma_model_destroy(net);
}

/* ---- functions and layers of the user's own ---- */

static soma_tensor *my_cube(soma_tensor *x) {
    return soma_mul(soma_square(x), x);
}
static soma_tensor *my_loss(soma_tensor *y_true, soma_tensor *y_pred) {
    return soma_mean_squared_error(y_true, y_pred);
}

static void own_functions_need_names(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_dense(2, .activation = my_cube, .input_shape = {2}));
    soma_compile(net, .loss = my_loss);
    assert_int_equal(soma_save(net, scratch_path("own.soma")), SOMA_INVALID);
    expect_error(SOMA_INVALID, "[Dense] activation: the function has no name: give it one by .custom");
    assert_int_equal(soma_save(net, scratch_path("own.soma"),
                               .custom = {{.name = "cube", .function = (soma_function *)my_cube},
                                          {.name = "mine", .function = (soma_function *)my_loss}}),
                     SOMA_OK);
    assert_null(soma_load(NULL, scratch_path("own.soma")));
    expect_error(SOMA_NOT_FOUND, "unknown activation 'cube'");
    soma_model *again = soma_load(NULL, scratch_path("own.soma"),
                                  .custom = {{.name = "cube", .function = (soma_function *)my_cube},
                                             {.name = "mine", .function = (soma_function *)my_loss}});
    if (!again) fail_msg("%s", soma_last_error(NULL));
    float a[2], b[2];
    assert_int_equal(soma_predict_on_batch(net, 1, SOMA_F32, (float[]){1, 2}, a), SOMA_OK);
    assert_int_equal(soma_predict_on_batch(again, 1, SOMA_F32, (float[]){1, 2}, b), SOMA_OK);
    assert_memory_equal(a, b, sizeof a);
    soma_model_destroy(again);
    soma_model_destroy(net);
}

static soma_tensor *my_quantile(soma_tensor *y_true, soma_tensor *y_pred, const double *q) {
    soma_tensor *e = soma_sub(y_true, y_pred);
    soma_tensor *loss = soma_maximum(soma_mul_scalar(e, q[0]), soma_mul_scalar(e, q[0] - 1));
    return soma_mean(soma_mul_scalar(loss, q[4]), SOMA_AXES(-1), false);
}
static soma_tensor *my_penalty(soma_tensor *w, const double *numbers) {
    return soma_mul_scalar(soma_sum(soma_abs(w), SOMA_ALL_AXES, false), numbers[2]);
}
static soma_tensor *my_bounds(soma_tensor *w, const double *numbers) {
    return soma_clip(w, numbers[0], numbers[3]);
}
static soma_tensor *my_ramp(const soma_weight_request *request, const double *numbers) {
    return soma_full(request->graph, request->dtype, request->rank, request->shape, numbers[1]);
}

/* What a function is handed is saved with its name: the loaded model is trained on to the same bits. */
static void numbers_of_own_functions_come_back(void **state) {
    (void)state;
    const soma_save_options save = {.path = scratch_path("numbers.soma"),
                                    .custom = {{.name = "quantile", .function = (soma_function *)my_quantile},
                                               {.name = "penalty", .function = (soma_function *)my_penalty},
                                               {.name = "bounds", .function = (soma_function *)my_bounds},
                                               {.name = "ramp", .function = (soma_function *)my_ramp}}};
    soma_load_options load = {.path = save.path};
    memcpy(load.custom, save.custom, sizeof load.custom);
    static const float in[4][2] = {{1, 2}, {-1, 0.5F}, {0, 3}, {2, -2}}, truth[4][1] = {{1}, {2}, {-3}, {0.5F}};
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(4, 2), in},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(4, 1), truth}, true);
    soma_model *net = soma_sequential(soma_dense(1, .kernel_initializer = {my_ramp, {9, 0.25}, 7}, .input_shape = {2},
                                                 .kernel_regularizer = {my_penalty, {0, 0, 0.01}},
                                                 .kernel_constraint = {my_bounds, {-0.3, 0, 0, 0.4}}));
    soma_compile(net, .optimizer = soma_sgd(.learning_rate = 0.7), .loss_with = {my_quantile, {0.9, 0, 0, 0, 2}});
    assert_int_equal(soma_fit(net, data, .epochs = 2), SOMA_OK);
    assert_int_equal(soma_model_save(net, &save), SOMA_OK);
    soma_model *again = soma_model_load(NULL, &load);
    if (!again) fail_msg("%s", soma_last_error(NULL));
    assert_true(soma_evaluate(net, data).loss == soma_evaluate(again, data).loss);
    assert_int_equal(soma_fit(net, data, .epochs = 12), SOMA_OK);
    assert_int_equal(soma_fit(again, data, .epochs = 12), SOMA_OK);
    float a[2], b[2];
    assert_int_equal(soma_variable_get(soma_layer_get_weight(soma_model_get_layer(net, 0), 0), a, sizeof a), SOMA_OK);
    assert_int_equal(soma_variable_get(soma_layer_get_weight(soma_model_get_layer(again, 0), 0), b, sizeof b), SOMA_OK);
    assert_memory_equal(a, b, sizeof a);
    assert_true(a[0] == 0.4F || a[1] == 0.4F || a[0] == -0.3F || a[1] == -0.3F); /* the bounds hold */
    assert_int_equal(soma_model_save(again, &save), SOMA_OK);
    size_t size;
    char *bytes = scratch_read(save.path, &size);
    const char *ramp = strstr(bytes + 8, "ramp"); /* it has made its weights already */
    assert_true(ramp && strstr(ramp, "[9, 0.25, 0]") && strstr(ramp, "[9, 0.25, 0]") < ramp + 40);
    free(bytes);
    soma_model_destroy(again);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

/* ---- hostile files ---- */

static char *good_file(size_t *size) {
    soma_dataset *data = pixels(NULL);
    soma_model *net = trained(data, 1);
    const char *path = scratch_path("good.soma");
    assert_int_equal(soma_save(net, path), SOMA_OK);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
    return scratch_read(path, size);
}

/* Loads bytes; whatever comes back can be used, and all memory is given back. */
static bool loads(const char *bytes, size_t size) {
    failing f;
    soma_context *context = failing_context(&f, 1);
    soma_model *net = soma_load(context, scratch_write("bad.soma", bytes, size));
    bool ok = net != NULL;
    if (net) {
        float out[64 * 2];
        int64_t shape[SOMA_MAX_RANK];
        if (soma_model_output_shape(net, shape) == 1 && shape[0] <= 64)
            (void)!soma_predict_on_batch(net, 1, SOMA_U8, "abcdefghijklmnopqrstuvwxyz", out);
    } else {
        assert_int_not_equal(soma_last_status(context), SOMA_OK);
        assert_true(strlen(soma_last_error(context)) > 10);
    }
    soma_model_destroy(net);
    soma_context_destroy(context);
    assert_int_equal(f.blocks, -1);
    return ok;
}

static void cut_files_are_refused(void **state) {
    (void)state;
    size_t size;
    char *bytes = good_file(&size);
    assert_true(loads(bytes, size));
    for (size_t n = 0; n < size; n += 1 + n / 8)
        assert_false(loads(bytes, n));
    free(bytes);
}

static void changed_bytes_do_no_harm(void **state) {
    (void)state;
    size_t size, header;
    char *bytes = good_file(&size);
    header = (size_t)(unsigned char)bytes[0] | (size_t)(unsigned char)bytes[1] << 8;
    assert_in_range(header, 500, size);
    static const char others[] = "9}\" -";
    int loaded = 0;
    for (size_t i = 8; i < 8 + header; i++) {
        char kept = bytes[i];
        bytes[i] = others[i % 5];
        loaded += loads(bytes, size);
        bytes[i] = kept;
    }
    assert_true(loaded > 0 && loaded < (int)header); /* some changes only rename things */
    free(bytes);
}

/* Puts new in place of old, which must be there, in a copy of the header; lengths are equal. */
static void expect_refusal(const char *good, size_t size, const char *old, const char *new_text, const char *error) {
    assert_int_equal(strlen(old), strlen(new_text));
    char *bytes = malloc(size), *at = NULL;
    memcpy(bytes, good, size);
    for (size_t i = 0; i + strlen(old) <= size && !at; i++) {
        if (memcmp(bytes + i, old, strlen(old)) == 0) at = bytes + i;
    }
    if (!at) fail_msg("'%s' is not in the file", old);
    memcpy(at, new_text, strlen(old));
    soma_model *net = soma_load(NULL, scratch_write("bad.soma", bytes, size));
    if (net) fail_msg("'%s' was accepted", new_text);
    if (!strstr(soma_last_error(NULL), error)) fail_msg("%s: '%s' lacks '%s'", new_text, soma_last_error(NULL), error);
    soma_clear_error(NULL);
    free(bytes);
}

static void contradictions_are_refused(void **state) {
    (void)state;
    size_t size;
    char *bytes = good_file(&size);
    expect_refusal(bytes, size, "\\\"units\\\": 6", "\\\"units\\\": 9",
                   "tensor 'dense/kernel' is F32 (5,6), the model needs");
    expect_refusal(bytes, size, "\\\"input_shape\\\": [5]", "\\\"input_shape\\\": [7]",
                   "the model needs float32 (7,6)");
    expect_refusal(bytes, size, "\"dense_1/kernel\"", "\"dense_2/kernel\"", "tensor 'dense_1/kernel' is missing");
    expect_refusal(bytes, size, "\"optimizer/learning_rate\"", "\"optimizer/learning_roll\"", "is missing");
    expect_refusal(bytes, size, "\\\"rate\\\": 0.2", "\\\"rate\\\": 9.2", "[Dropout] rate is 9.2");
    expect_refusal(bytes, size, "\"soma\":", "\"sama\":", "not one that Soma wrote");
    free(bytes);
}

static void missing_and_foreign_files(void **state) {
    (void)state;
    assert_null(soma_load(NULL, "/nowhere/m.soma"));
    expect_error(SOMA_IO, "/nowhere/m.soma");
    const float x = 1;
    safetensors_entry entry = {.name = "x", .dtype = SOMA_F32, .rank = 0, .data = &x};
    assert_int_equal(safetensors_write(NULL, scratch_path("x.safetensors"), &entry, 1, NULL, 0), SOMA_OK);
    assert_null(soma_load(NULL, scratch_path("x.safetensors")));
    expect_error(SOMA_FORMAT, "not one that Soma wrote");
    soma_model *net = reader();
    assert_int_equal(soma_save(net, scratch_path("a.soma")), SOMA_INVALID);
    expect_error(SOMA_INVALID, "no weights yet");
    soma_model_destroy(net);
    net = soma_sequential(soma_dense(1, .input_shape = {1}));
    assert_int_not_equal(soma_save(net, "/nowhere/a.soma"), SOMA_OK);
    soma_clear_error(NULL);
    soma_model_destroy(net);
}

static void loading_survives_lack_of_memory(void **state) {
    (void)state;
    size_t size;
    free(good_file(&size));
    for (int64_t n = 0;; n++) {
        failing f;
        soma_context *context = failing_context(&f, 1);
        f.refuse = n;
        soma_model *net = soma_load(context, scratch_path("good.soma"));
        bool refused = f.requests > n, loaded = net != NULL;
        soma_model_destroy(net);
        if (refused) assert_int_equal(soma_last_status(context), SOMA_NO_MEMORY);
        soma_context_destroy(context);
        assert_int_equal(f.blocks, -1);
        assert_false(f.wrong_size);
        if (loaded == refused) fail_msg("allocation %lld failed, loaded %d", (long long)n, loaded);
        if (!refused) return;
    }
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(saved_and_loaded_are_equal),
        TEST(equal_runs_give_equal_files),
        TEST(resumed_is_uninterrupted),
        TEST(any_reader_finds_the_weights),
        TEST(connections_come_back),
        TEST(own_functions_need_names),
        TEST(numbers_of_own_functions_come_back),
        TEST(cut_files_are_refused),
        TEST(changed_bytes_do_no_harm),
        TEST(contradictions_are_refused),
        TEST(missing_and_foreign_files),
        TEST(loading_survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
