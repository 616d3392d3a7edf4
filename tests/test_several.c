/* Models of several inputs and several outputs, trained on datasets of as many arrays.
 * Against one-input models that compute the same, plain sums in double precision, and steps by a loss written by hand.
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

enum { SAMPLES = 47, LEFT = 3, RIGHT = 2, HIDDEN = 6 };
static uint8_t left[SAMPLES * LEFT];
static float right[SAMPLES * RIGHT], both[SAMPLES * (LEFT + RIGHT)], age[SAMPLES];
static uint8_t kind[SAMPLES];

static void fill(void) {
    for (int i = 0; i < SAMPLES; i++) {
        for (int j = 0; j < LEFT; j++) {
            left[i * LEFT + j] = (uint8_t)((i * 37 + j * 91) % 256);
            both[i * (LEFT + RIGHT) + j] = (float)left[i * LEFT + j] * (float)(1 / 255.0);
        }
        for (int j = 0; j < RIGHT; j++) {
            right[i * RIGHT + j] = (float)((i * 5 + j * 3) % 7) / 7 - 0.4f;
            both[i * (LEFT + RIGHT) + LEFT + j] = right[i * RIGHT + j];
        }
        age[i] = both[i * (LEFT + RIGHT)] + 2 * right[i * RIGHT] - right[i * RIGHT + 1];
        kind[i] = (uint8_t)(age[i] > 0.5f ? 2 : age[i] > 0);
    }
}

static const int64_t left_shape[] = {SAMPLES, LEFT}, right_shape[] = {SAMPLES, RIGHT}, one_shape[] = {SAMPLES, 1},
                     kind_shape[] = {SAMPLES}, both_shape[] = {SAMPLES, LEFT + RIGHT};
#define LEFT_ARRAY ((soma_array_data){SOMA_U8, 2, left_shape, left})
#define RIGHT_ARRAY ((soma_array_data){SOMA_F32, 2, right_shape, right})
#define BOTH_ARRAY ((soma_array_data){SOMA_F32, 2, both_shape, both})
#define AGE_ARRAY ((soma_array_data){SOMA_F32, 2, one_shape, age})
#define KIND_ARRAY ((soma_array_data){SOMA_U8, 1, kind_shape, kind})

static soma_dataset *lists(int n_x, int n_y) {
    fill();
    return soma_dataset_from_lists(NULL, (soma_array_data[]){LEFT_ARRAY, RIGHT_ARRAY}, n_x,
                                   (soma_array_data[]){AGE_ARRAY, KIND_ARRAY}, n_y, true);
}

/* (left, right) -> side by side -> tanh -> "age" (1), "kind" (3 classes) */
static soma_model *network(int inputs, int outputs) {
    soma_symbol *in[2], *x;
    if (inputs == 2) {
        in[0] = soma_symbol_create(NULL, SOMA_DIMS(LEFT), "left");
        in[1] = soma_symbol_create(NULL, SOMA_DIMS(RIGHT), "right");
        x = soma_call_many(soma_concatenate(), in, 2);
    } else {
        x = in[0] = soma_symbol_create(NULL, SOMA_DIMS(LEFT + RIGHT), "both");
    }
    x = soma_call(soma_dense(HIDDEN, .activation = soma_tanh, .name = "hidden"), x);
    soma_symbol *out[2] = {soma_call(soma_dense(1, .name = "age"), x), NULL};
    if (outputs == 2) out[1] = soma_call(soma_dense(3, .activation = soma_softmax, .name = "kind"), x);
    soma_model *model = soma_model_create(in, inputs, out, outputs);
    assert_non_null(model);
    return model;
}

static soma_variable *weight(const soma_model *model, const char *layer, int i) {
    for (int l = 0; l < soma_model_layers(model); l++) {
        if (strcmp(soma_layer_name(soma_model_get_layer(model, l)), layer) == 0)
            return soma_layer_get_weight(soma_model_get_layer(model, l), i);
    }
    fail_msg("there is no layer %s", layer);
    return NULL;
}

/* The largest difference between two models' weights of these layers. */
static double difference(const soma_model *a, const soma_model *b, const char *const *layers) {
    double most = 0;
    for (; *layers; layers++) {
        for (int i = 0; i < 2; i++) {
            float p[64] = {0}, q[64] = {0};
            const soma_variable *v = weight(a, *layers, i);
            const size_t bytes = (size_t)soma_variable_size(v) * sizeof(float);
            assert_true(bytes <= sizeof p);
            expect_ok(soma_variable_get(v, p, bytes));
            expect_ok(soma_variable_get(weight(b, *layers, i), q, bytes));
            for (size_t k = 0; k < bytes / sizeof *p; k++)
                most = fmax(most, fabs((double)p[k] - (double)q[k]));
        }
    }
    return most;
}

static void copy_weights(const soma_model *from, const soma_model *to, const char *const *layers) {
    for (; *layers; layers++) {
        for (int i = 0; i < 2; i++) {
            float numbers[64];
            const soma_variable *v = weight(from, *layers, i);
            const size_t bytes = (size_t)soma_variable_size(v) * sizeof(float);
            expect_ok(soma_variable_get(v, numbers, bytes));
            expect_ok(soma_variable_set(weight(to, *layers, i), numbers, bytes));
        }
    }
}

static const char *const all_layers[] = {"hidden", "age", "kind", NULL}, *const age_layers[] = {"hidden", "age", NULL};

static void datasets_of_lists(void **state) {
    (void)state;
    soma_dataset *d = lists(2, 2);
    assert_non_null(d);
    assert_int_equal(soma_dataset_inputs(d), 2);
    assert_int_equal(soma_dataset_outputs(d), 2);
    soma_dataset *part = soma_dataset_slice(d, -5, SOMA_END);
    assert_int_equal(soma_dataset_samples(part), 5);
    assert_ptr_equal(soma_dataset_input(part, 0).data, left + (SAMPLES - 5) * LEFT);
    assert_ptr_equal(soma_dataset_input(part, 1).data, right + (SAMPLES - 5) * RIGHT);
    assert_ptr_equal(soma_dataset_output(part, 1).data, kind + SAMPLES - 5);
    assert_int_equal(soma_dataset_output(part, 1).shape[0], 5);
    assert_ptr_equal(soma_dataset_y(part).data, age + SAMPLES - 5);
    assert_null(soma_dataset_input(part, 2).data);
    assert_null(soma_dataset_output(part, -1).data);
    soma_dataset_destroy(d);
    soma_dataset_destroy(part);
    const int64_t short_shape[] = {SAMPLES - 1, RIGHT};
    d = soma_dataset_from_lists(NULL, (soma_array_data[]){LEFT_ARRAY, {SOMA_F32, 2, short_shape, right}}, 2, NULL, 0,
                                false);
    assert_null(d);
    expect_error(SOMA_SHAPE, "x[0] has 47 samples, x[1] has 46");
    assert_null(soma_dataset_from_lists(NULL, (soma_array_data[]){LEFT_ARRAY, {0}}, 2, NULL, 0, true));
    expect_error(SOMA_INVALID, "x[1] has no data");
    assert_null(soma_dataset_from_lists(NULL, NULL, 0, NULL, 0, true));
    expect_error(SOMA_INVALID, "0 inputs");
}

/* Bytes as pixels on one side, numbers on the other, shuffled together: as one array of both. */
static void two_inputs_train_as_one(void **state) {
    (void)state;
    soma_dataset *two = lists(2, 1);
    soma_dataset *one = soma_dataset_from_arrays(NULL, BOTH_ARRAY, AGE_ARRAY, true);
    soma_model *a = network(2, 1), *b = network(1, 1);
    copy_weights(a, b, age_layers);
    soma_model *nets[] = {a, b};
    for (int i = 0; i < 2; i++) {
        expect_ok(soma_compile(nets[i], .optimizer = soma_adam(.learning_rate = 0.02), .loss = soma_mean_squared_error,
                               .metrics = {soma_mean_absolute_error}));
        expect_ok(soma_fit(nets[i], i ? one : two, .epochs = 12, .batch_size = 10, .validation_split = 0.2));
    }
    assert_true(difference(a, b, age_layers) < 1e-5);
    assert_true(soma_history_get(a, "loss", -1) < 0.5 * soma_history_get(a, "loss", 0));
    expect_near("val_loss", soma_history_get(a, "val_loss", -1), soma_history_get(b, "val_loss", -1), 1e-5);
    const soma_scores p = soma_evaluate(a, two), q = soma_evaluate(b, one);
    assert_int_equal(p.status, SOMA_OK);
    expect_near("loss", p.loss, q.loss, 1e-5);
    expect_near("mean_absolute_error", p.metrics[0], q.metrics[0], 1e-5);
    soma_tensor *y = soma_predict(a, two, .batch_size = 7), *z = soma_predict(b, one);
    assert_int_equal(soma_size(y), SAMPLES);
    for (int64_t i = 0; i < SAMPLES; i++)
        expect_near("predict", soma_item(y, i), soma_item(z, i), 1e-5);
    soma_model_destroy(a);
    soma_model_destroy(b);
    soma_dataset_destroy(two);
    soma_dataset_destroy(one);
}

/* What the three numbers of a two-headed network must be, from its predictions. */
static void expect_losses(soma_model *model, soma_dataset *d, double weight, const soma_scores *s) {
    soma_tensor *y[2];
    expect_ok(soma_model_predict_all(model, &(soma_predict_options){.data = d, .batch_size = 20}, y));
    double squares = 0, logs = 0, hits = 0, absolute = 0;
    for (int i = 0; i < SAMPLES; i++) {
        const double error = soma_item(y[0], i) - (double)age[i];
        squares += error * error / SAMPLES;
        absolute += fabs(error) / SAMPLES;
        int best = 0;
        for (int k = 1; k < 3; k++)
            if (soma_item(y[1], i * 3 + k) > soma_item(y[1], i * 3 + best)) best = k;
        hits += (best == kind[i]) / (double)SAMPLES;
        logs -= log(soma_item(y[1], i * 3 + kind[i])) / SAMPLES;
    }
    assert_int_equal(s->status, SOMA_OK);
    assert_int_equal(s->n_metrics, 4);
    expect_near("loss", s->loss, weight * squares + logs, 1e-5);
    expect_near("age_loss", s->metrics[0], squares, 1e-5);
    expect_near("kind_loss", s->metrics[1], logs, 1e-5);
    expect_near("age_mean_absolute_error", s->metrics[2], absolute, 1e-5);
    expect_near("kind_accuracy", s->metrics[3], hits, 1e-5);
}

static soma_tensor *by_hand(const soma_objective *o) {
    soma_tensor *first = soma_mean_squared_error(o->labels[0], o->outputs[0]);
    soma_tensor *second = soma_sparse_categorical_crossentropy(o->labels[1], o->outputs[1]);
    return soma_add(soma_mul_scalar(first, 0.25), second);
}

static void two_outputs(void **state) {
    (void)state;
    soma_dataset *d = lists(2, 2);
    soma_model *a = network(2, 2), *b = network(2, 2);
    copy_weights(a, b, all_layers);
    expect_ok(soma_compile(
        a, .optimizer = soma_sgd(.learning_rate = 0.1),
        .outputs = {{.loss = soma_mean_squared_error, .loss_weight = 0.25, .metrics = {soma_mean_absolute_error}},
                    {.loss = soma_sparse_categorical_crossentropy, .metrics = {soma_accuracy}}}));
    static const char *const names[] = {"age_loss", "kind_loss", "age_mean_absolute_error", "kind_accuracy", NULL};
    for (int i = 0; i < 4; i++)
        assert_string_equal(soma_metric_name(a, i), names[i]);
    soma_scores s = soma_evaluate(a, d, .batch_size = 9);
    expect_losses(a, d, 0.25, &s);
    expect_ok(soma_compile(b, .optimizer = soma_sgd(.learning_rate = 0.1), .objective = by_hand));
    expect_ok(soma_fit(a, d, .epochs = 9, .batch_size = 8));
    expect_ok(soma_fit(b, d, .epochs = 9, .batch_size = 8));
    assert_true(difference(a, b, all_layers) < 1e-5);
    s = soma_evaluate(a, d);
    expect_losses(a, d, 0.25, &s);
    assert_true(soma_history_get(a, "kind_loss", -1) < soma_history_get(a, "kind_loss", 0));
    const soma_scores batch = soma_test_on_dataset(a, d);
    expect_near("on a batch", batch.loss, s.loss, 1e-5);
    assert_int_equal(soma_train_on_dataset(a, d).status, SOMA_OK);
    assert_true(soma_test_on_dataset(a, d).loss < batch.loss);
    soma_model_destroy(a);
    soma_model_destroy(b);
    soma_dataset_destroy(d);
}

/* Saved, loaded, trained on: as without. And the same from names. */
static void in_files(void **state) {
    (void)state;
    soma_dataset *d = lists(2, 2);
    soma_model *a = network(2, 2), *c = network(2, 2);
    copy_weights(a, c, all_layers);
    expect_ok(soma_compile(
        a, .optimizer = soma_adam(.learning_rate = 0.02),
        .outputs = {{.loss_with = soma_huber_loss(0.5), .loss_weight = 2, .metrics = {soma_mean_absolute_error}},
                    {.loss = soma_sparse_categorical_crossentropy, .metrics = {soma_accuracy, soma_accuracy}}}));
    expect_ok(soma_model_compile_json(
        c, "{\"optimizer\": {\"adam\": {\"learning_rate\": 0.02}}, \"outputs\": [{\"loss\": {\"huber\": {\"delta\": "
           "0.5}}, "
           "\"loss_weight\": 2, \"metrics\": [\"mae\"]}, {\"loss\": \"sparse_categorical_crossentropy\", \"metrics\": "
           "[\"accuracy\", \"accuracy\"]}]}"));
    assert_string_equal(soma_metric_name(a, 4), "kind_accuracy_1");
    expect_ok(soma_fit(a, d, .epochs = 2, .batch_size = 8));
    expect_ok(soma_fit(c, d, .epochs = 2, .batch_size = 8));
    assert_true(difference(a, c, all_layers) == 0);
    const char *path = scratch_path("several.soma");
    expect_ok(soma_save(a, path));
    soma_model *b = soma_load(NULL, path);
    if (!b) fail_msg("%s", soma_last_error(NULL));
    for (int i = 0; i < 5; i++)
        assert_string_equal(soma_metric_name(b, i), soma_metric_name(a, i));
    expect_ok(soma_fit(a, d, .epochs = 4, .initial_epoch = 2, .batch_size = 8));
    expect_ok(soma_fit(b, d, .epochs = 4, .initial_epoch = 2, .batch_size = 8));
    assert_true(difference(a, b, all_layers) == 0);
    assert_true(soma_history_get(a, "age_loss", 1) == soma_history_get(b, "age_loss", 1));
    soma_model_destroy(a);
    soma_model_destroy(b);
    soma_model_destroy(c);
    soma_dataset_destroy(d);
}

/* A head without a loss is measured and left alone; one loss for all; weights of samples. */
static void other_ways_to_compile(void **state) {
    (void)state;
    soma_dataset *d = lists(2, 2);
    soma_model *a = network(2, 2), *b = network(2, 2);
    copy_weights(a, b, all_layers);
    expect_ok(soma_compile(a, .outputs = {{.loss = soma_mean_squared_error}, {.metrics = {soma_accuracy}}}));
    assert_string_equal(soma_metric_name(a, 0), "age_loss");
    assert_string_equal(soma_metric_name(a, 1), "kind_accuracy");
    expect_ok(soma_fit(a, d, .epochs = 3));
    assert_true(difference(a, b, (const char *[]){"kind", NULL}) == 0);
    assert_true(difference(a, b, age_layers) > 0);
    float shares[SAMPLES * 3];
    for (int i = 0; i < SAMPLES * 3; i++)
        shares[i] = i % 3 == kind[i / 3];
    soma_dataset *ages =
        soma_dataset_from_lists(NULL, (soma_array_data[]){LEFT_ARRAY, RIGHT_ARRAY}, 2,
                                (soma_array_data[]){AGE_ARRAY, {SOMA_F32, SOMA_DIMS(SAMPLES, 3), shares}}, 2, true);
    expect_ok(soma_compile(a, .loss = soma_mean_squared_error, .metrics = {soma_mean_absolute_error}));
    double weights[SAMPLES];
    for (int i = 0; i < SAMPLES; i++)
        weights[i] = 2;
    const soma_scores s = soma_evaluate(a, ages), twice = soma_evaluate(a, ages, .sample_weight = weights);
    expect_near("sum", s.loss, s.metrics[0] + s.metrics[1], 1e-6);
    expect_near("weighted", twice.loss, 2 * s.loss, 1e-6);
    expect_near("weighted head", twice.metrics[0], 2 * s.metrics[0], 1e-6);
    soma_model_destroy(a);
    soma_model_destroy(b);
    soma_dataset_destroy(d);
    soma_dataset_destroy(ages);
}

static void mistakes(void **state) {
    (void)state;
    soma_dataset *d = lists(2, 2), *one = lists(1, 1), *half = lists(2, 1);
    soma_model *net = network(2, 2);
    assert_int_equal(soma_compile(net, .loss = soma_mean_squared_error, .outputs = {{.loss = soma_mean_squared_error}}),
                     SOMA_INVALID);
    expect_error(SOMA_INVALID, "give one or the other");
    assert_int_equal(soma_compile(net, .outputs = {{0}, {0}, {.loss = soma_mean_squared_error}}), SOMA_INVALID);
    expect_error(SOMA_INVALID, "output 2, which the model does not have");
    assert_int_equal(soma_compile(net, .outputs = {{.metrics = {soma_accuracy}}}), SOMA_INVALID);
    expect_error(SOMA_INVALID, "no loss given");
    assert_int_equal(soma_model_compile_json(net, "{\"outputs\": [{\"loss\": \"mse\"}]}"), SOMA_INVALID);
    expect_error(SOMA_INVALID, "a list of 2");
    assert_int_equal(soma_model_compile_json(net, "{\"outputs\": [{\"los\": \"mse\"}, {}]}"), SOMA_NOT_FOUND);
    expect_error(SOMA_NOT_FOUND, "los");
    expect_ok(soma_compile(
        net, .outputs = {{.loss = soma_mean_squared_error}, {.loss = soma_sparse_categorical_crossentropy}}));
    assert_int_equal(soma_fit(net, one), SOMA_SHAPE);
    expect_error(SOMA_SHAPE, "the data have 1 inputs a sample, the model takes 2");
    assert_int_equal(soma_fit(net, half), SOMA_SHAPE);
    expect_error(SOMA_SHAPE, "the data have 1 labels a sample, the model 2 outputs");
    assert_null(soma_predict(net, d));
    expect_error(SOMA_UNSUPPORTED, "2 outputs");
    float out[4];
    assert_int_equal(soma_predict_on_batch(net, 1, SOMA_F32, both, out), SOMA_UNSUPPORTED);
    expect_error(SOMA_UNSUPPORTED, "2 inputs and 2 outputs");
    const double weights[] = {1, 2, 3};
    assert_int_equal(soma_fit(net, d, .class_weight = weights, .n_class_weight = 3), SOMA_UNSUPPORTED);
    expect_error(SOMA_UNSUPPORTED, "class_weight is for models of one output");
    kind[5] = 3;
    assert_int_equal(soma_fit(net, d), SOMA_INVALID);
    expect_error(SOMA_INVALID, "label 3 is out of range: the model has 3 classes");
    soma_model_destroy(net);
    soma_dataset_destroy(d);
    soma_dataset_destroy(one);
    soma_dataset_destroy(half);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(datasets_of_lists, reset),     cmocka_unit_test_setup(two_inputs_train_as_one, reset),
        cmocka_unit_test_setup(two_outputs, reset),           cmocka_unit_test_setup(in_files, reset),
        cmocka_unit_test_setup(other_ways_to_compile, reset), cmocka_unit_test_setup(mistakes, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
