/* Training with .precision = "mixed_bfloat16": networks of every kind learn as in float32, in less memory, with the
 * same bits on any number of threads and after a resumed training; without it nothing changes. Rests on the public API.
 * Batches are large enough for values to be stored as bfloat16. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <soma/soma.h>

#include "support/needs.h"
#include "support/scratch.h"

typedef struct work {
    const char *name, *model;
    int64_t batch;
    int rank;
    int64_t shape[4]; /* of a sample */
    int64_t tokens;   /* samples are so many different ones; labels follow from the one before */
    double learnt;    /* the loss falls at least to this share */
} work;

static const work works[] = {
    {"dense",
     "{\"layers\": [{\"dense\": {\"units\": 512, \"activation\": \"relu\", \"input_shape\": [37]}},"
     "{\"dense\": {\"units\": 512, \"activation\": \"gelu\"}}, {\"dense\": {\"units\": 512, \"activation\": \"gelu\"}},"
     "{\"dense\": {\"units\": 5}}]}",
     301,
     1,
     {37},
     0,
     0.5},
    {"convolutions",
     "{\"layers\": [{\"conv_2d\": {\"filters\": 16, \"kernel_size\": 3, \"padding\": \"same\","
     "\"use_bias\": false, \"input_shape\": [21, 21, 1]}}, \"batch_normalization\","
     "{\"activation\": \"relu\"}, {\"conv_2d\": {\"filters\": 32, \"kernel_size\": 3, \"strides\": 2,"
     "\"activation\": \"relu\"}}, {\"max_pooling_2d\": {\"pool_size\": 2}}, \"flatten\","
     "{\"dense\": {\"units\": 5}}]}",
     48,
     3,
     {21, 21, 1},
     0,
     0.7},
    {"lstm",
     "{\"layers\": [{\"lstm\": {\"units\": 96, \"input_shape\": [12, 19]}}, {\"dense\": {\"units\": 5}}]}",
     61,
     2,
     {12, 19},
     0,
     0.8},
    {"gpt",
     "{\"layers\": [{\"embedding\": {\"input_dim\": 11, \"output_dim\": 64, \"input_shape\": [48]}},"
     "{\"position_embedding\": {\"sequence_length\": 48}}, {\"transformer_decoder\": {\"intermediate_dim\": 256,"
     "\"num_heads\": 4, \"activation\": \"gelu\", \"normalize_first\": true}}, {\"layer_normalization\":"
     "{\"epsilon\": 1e-5}}, {\"dense\": 11}]}",
     50,
     1,
     {48},
     11,
     0.7},
};
enum { WORKS = sizeof works / sizeof *works, CLASSES = 5, STEPS = 12, ROOM = 600000 };

/* Samples around a pattern for each class; sequences in which every token follows from the one before. */
static soma_dataset *make_data(soma_context *context, const work *w) {
    int64_t x[5] = {2 * w->batch}, size = 2 * w->batch, each = 1;
    for (int i = 0; i < w->rank; i++)
        each *= x[i + 1] = w->shape[i];
    size *= each;
    const soma_dtype dtype = w->tokens ? SOMA_I64 : SOMA_F32;
    void *samples = calloc((size_t)size, 8);
    int64_t *labels = calloc((size_t)size, sizeof *labels);
    for (int64_t s = 0; s < x[0]; s++) {
        labels[s] = s * 7 % CLASSES;
        for (int64_t i = 0; i < each && !w->tokens; i++)
            ((float *)samples)[s * each + i] =
                (float)(sin((double)(s * each + i) * 12.9898) * 0.7 + 0.5 * sin((double)((labels[s] + 1) * i)));
    }
    for (int64_t i = 0; i < size && w->tokens; i++) {
        int64_t before = i % each ? labels[i - 1] : i / each % w->tokens;
        ((int64_t *)samples)[i] = before;
        labels[i] = (before * 3 + 1) % w->tokens;
    }
    const int64_t y[2] = {x[0], each};
    soma_dataset *data = soma_dataset_from_arrays(context, (soma_array_data){dtype, w->rank + 1, x, samples},
                                                  (soma_array_data){SOMA_I64, w->tokens ? 2 : 1, y, labels}, false);
    assert_non_null(data);
    free(samples);
    free(labels);
    return data;
}

static soma_model *make_model(soma_context *context, const work *w, const char *precision) {
    soma_model *net = soma_model_from_json(context, w->model);
    if (!net) fail_msg("%s", soma_last_error(context));
    assert_int_equal(soma_compile(net, .optimizer = soma_adam(.learning_rate = 0.003, .context = context),
                                  .loss = soma_sparse_categorical_crossentropy_from_logits, .precision = precision),
                     SOMA_OK);
    return net;
}

static int64_t weights_of(const soma_model *net, float *out) {
    int64_t n = 0;
    for (int i = 0; i < soma_model_layers(net); i++)
        for (int j = 0; j < soma_layer_weights(soma_model_get_layer(net, i)); j++) {
            soma_variable *v = soma_layer_get_weight(soma_model_get_layer(net, i), j);
            assert_true(n + soma_variable_size(v) <= ROOM);
            assert_int_equal(soma_variable_get(v, out + n, (size_t)soma_variable_size(v) * 4), SOMA_OK);
            n += soma_variable_size(v);
        }
    return n;
}

static soma_context *make_context(int threads, size_t memory) {
    soma_context *context =
        soma_context_create(&(soma_context_options){.threads = threads, .seed = 11, .memory = memory});
    assert_non_null(context);
    return context;
}

static void fit(soma_model *net, soma_dataset *data, const work *w, int64_t first, int64_t epochs) {
    if (soma_fit(net, data, .epochs = epochs, .initial_epoch = first, .batch_size = w->batch) != SOMA_OK)
        fail_msg("%s: %s", w->name, soma_last_error(soma_model_context(net)));
}

/* ---- it learns, in less memory ---- */

static double losses_of(const work *w, const char *precision, size_t *bytes, size_t *rounded, double *first) {
    soma_context *context = make_context(2, 0);
    soma_dataset *data = make_data(context, w);
    soma_model *net = make_model(context, w, precision);
    const soma_plan *plan = soma_training_plan(net, data, w->batch);
    if (!plan) fail_msg("%s: %s", w->name, soma_last_error(context));
    *bytes = soma_plan_bytes(plan);
    *rounded = soma_plan_bfloat16_bytes(plan);
    assert_int_equal(soma_plan_bfloat16_bytes(soma_prediction_plan(net, data, w->batch)), 0);
    fit(net, data, w, 0, STEPS);
    *first = soma_history_get(net, "loss", 0);
    const double last = soma_history_get(net, "loss", -1);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
    soma_context_destroy(context);
    return last;
}

static void learns_in_less_memory(void **state) {
    NEEDS(JANSSON);
    (void)state;
    for (int i = 0; i < WORKS; i++) {
        const work *w = &works[i];
        size_t bytes, mixed_bytes, none, rounded;
        double first, mixed_first;
        const double plain = losses_of(w, NULL, &bytes, &none, &first);
        const double mixed = losses_of(w, "mixed_bfloat16", &mixed_bytes, &rounded, &mixed_first);
        print_message("%s: %zu bytes, mixed %zu; loss %g to %g, mixed %g to %g\n", w->name, bytes, mixed_bytes, first,
                      plain, mixed_first, mixed);
        assert_int_equal(none, 0);
        assert_true(rounded > 0);
        assert_true(10 * mixed_bytes < 9 * bytes);
        assert_true(plain < w->learnt * first);
        assert_true(mixed < w->learnt * mixed_first);
        assert_true(fabs(mixed - plain) < 0.1 * first);
        assert_true(mixed_first != first);
    }
}

/* ---- the same bits ---- */

static float weights[3][ROOM];

static int64_t train(int threads, const work *w, const char *precision, float *out, const char *through) {
    soma_context *context = make_context(threads, 0);
    soma_dataset *data = make_data(context, w);
    soma_model *net = make_model(context, w, precision);
    fit(net, data, w, 0, through ? 1 : 3);
    if (through) {
        assert_int_equal(soma_save(net, through), SOMA_OK);
        soma_model_destroy(net);
        net = soma_load(context, through);
        if (!net) fail_msg("%s", soma_last_error(context));
        assert_true(soma_plan_bfloat16_bytes(soma_training_plan(net, data, w->batch)) > 0 || !precision);
        fit(net, data, w, 1, 3);
    }
    const int64_t n = weights_of(net, out);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
    soma_context_destroy(context);
    return n;
}

static void threads_give_the_same_bits(void **state) {
    NEEDS(JANSSON);
    (void)state;
    for (int i = 0; i < WORKS; i++)
        for (int threads = 1; threads <= 3; threads++) {
            const int64_t n = train(threads, &works[i], "mixed_bfloat16", weights[threads - 1], NULL);
            assert_memory_equal(weights[0], weights[threads - 1], (size_t)n * sizeof(float));
        }
}

static void resumed_is_uninterrupted(void **state) {
    NEEDS(JANSSON);
    (void)state;
    for (int i = 0; i < WORKS; i++) {
        const int64_t n = train(2, &works[i], "mixed_bfloat16", weights[0], NULL);
        train(2, &works[i], "mixed_bfloat16", weights[1], scratch_path("mixed.soma"));
        assert_memory_equal(weights[0], weights[1], (size_t)n * sizeof(float));
    }
}

/* A training step that computes values again, instead of keeping them, rounds them alike. */
static void limits_change_no_bit(void **state) {
    NEEDS(JANSSON);
    (void)state;
    int repeated = 0;
    for (int i = 0; i < WORKS; i++) {
        const work *w = &works[i];
        size_t limit = 0;
        int64_t n = 0;
        for (int limited = 0; limited < 2; limited++) {
            soma_context *context = make_context(2, limit);
            soma_dataset *data = make_data(context, w);
            soma_model *net = make_model(context, w, "mixed_bfloat16");
            const soma_plan *plan = soma_training_plan(net, data, w->batch);
            bool again = false;
            for (int k = 0; plan && k < soma_plan_steps(plan); k++)
                again = again || soma_plan_get_step(plan, k).again;
            repeated += again;
            if (plan) {
                assert_true(soma_plan_bfloat16_bytes(plan) > 0);
                limit = soma_plan_memory(plan) - soma_plan_bytes(plan) / 6;
                fit(net, data, w, 0, 2);
                n = weights_of(net, weights[limited]);
            } else {
                assert_int_equal(soma_last_status(context), SOMA_NO_MEMORY); /* there is nothing to compute again */
                memcpy(weights[limited], weights[0], (size_t)n * sizeof(float));
            }
            soma_model_destroy(net);
            soma_dataset_destroy(data);
            soma_context_destroy(context);
        }
        assert_memory_equal(weights[0], weights[1], (size_t)n * sizeof(float));
    }
    assert_true(repeated >= 2);
}

/* ---- off by default, and by name ---- */

static void float32_is_the_default(void **state) {
    NEEDS(JANSSON);
    (void)state;
    const int64_t n = train(2, &works[0], NULL, weights[0], NULL);
    train(2, &works[0], "float32", weights[1], NULL);
    train(2, &works[0], "mixed_bfloat16", weights[2], NULL);
    assert_memory_equal(weights[0], weights[1], (size_t)n * sizeof(float));
    assert_memory_not_equal(weights[0], weights[2], (size_t)n * sizeof(float));
}

static void unknown_names_are_errors(void **state) {
    NEEDS(JANSSON);
    (void)state;
    soma_context *context = make_context(1, 0);
    soma_model *net = soma_model_from_json(context, works[0].model);
    assert_int_equal(soma_compile(net, .loss = soma_mean_squared_error, .precision = "mixed_float16"), SOMA_NOT_FOUND);
    assert_non_null(
        strstr(soma_last_error(context), "unknown precision 'mixed_float16'; did you mean 'mixed_bfloat16'?"));
    soma_clear_error(context);
    assert_int_equal(soma_model_compile_json(net, "{\"loss\": \"mse\", \"precision\": 16}"), SOMA_INVALID);
    assert_non_null(strstr(soma_last_error(context), "precision must be a name"));
    soma_model_destroy(net);
    soma_context_destroy(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_in_less_memory),    cmocka_unit_test(threads_give_the_same_bits),
        cmocka_unit_test(resumed_is_uninterrupted), cmocka_unit_test(float32_is_the_default),
        cmocka_unit_test(unknown_names_are_errors), cmocka_unit_test(limits_change_no_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
