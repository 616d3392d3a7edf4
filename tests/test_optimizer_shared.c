/* What every optimizer may be asked for: moving averages of the weights, gradients gathered over steps, scaled losses;
 * freezing; and all of it in files.
 * Rests on cmocka and optimizers_golden.h. Gathered gradients are held against one large batch, scales of a power of
 * two against no scale, to the bit. */
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

#include "optimizers_golden.h"

enum { STEPS = 5, SIZE = 6 };

/* ---- a minimizer of one variable whose gradients are chosen ---- */

typedef struct chosen {
    soma_variable *w;
    soma_minimizer *m;
    soma_graph *graph;
    soma_tensor *g;
    soma_plan *plan;
} chosen;

static chosen chosen_start(soma_optimizer *optimizer) {
    chosen c = {.w = soma_variable_create(NULL, "w", SOMA_F64, SOMA_DIMS(3, 2)), .graph = soma_graph_create(NULL)};
    expect_ok(soma_variable_set(c.w, start, sizeof start));
    c.m = soma_minimizer_create_for(optimizer, &c.w, 1);
    if (!c.m) fail_msg("%s", soma_last_error(NULL));
    c.g = soma_input(c.graph, SOMA_F64, SOMA_DIMS(3, 2), "g");
    soma_tensor *targets[16], *loss = soma_mul(c.g, soma_weight(c.graph, c.w));
    assert_true(soma_minimizer_targets(c.m) <= 16);
    expect_ok(soma_minimize(c.m, loss, targets)); /* whose gradient is g */
    c.plan = soma_plan_create(targets, soma_minimizer_targets(c.m), NULL);
    if (!c.plan) fail_msg("%s", soma_last_error(NULL));
    return c;
}

static void chosen_step(chosen *c, const double *g) {
    expect_ok(soma_minimizer_follow_schedule(c->m));
    expect_ok(soma_plan_bind(c->plan, c->g, g));
    expect_ok(soma_plan_run(c->plan));
}

static void chosen_end(chosen *c) {
    soma_plan_destroy(c->plan);
    soma_graph_destroy(c->graph);
    soma_minimizer_destroy(c->m);
    soma_variable_destroy(c->w);
}

static void expect_values(const char *what, const soma_variable *v, const double *expected, double tolerance) {
    double values[SIZE];
    expect_ok(soma_variable_get(v, values, sizeof values));
    for (int i = 0; i < SIZE; i++)
        if (!(fabs(values[i] - expected[i]) <= tolerance * (1 + fabs(expected[i]))))
            fail_msg("%s[%d]: %.17g, expected %.17g", what, i, values[i], expected[i]);
}

/* The variable whose name ends so. */
static soma_variable *state_of(const soma_minimizer *m, const char *end) {
    soma_variable *v;
    for (int i = 0; (v = soma_minimizer_variable(m, i)) != NULL; i++) {
        size_t n = strlen(soma_variable_name(v)), k = strlen(end);
        if (n >= k && strcmp(soma_variable_name(v) + n - k, end) == 0) return v;
    }
    fail_msg("no state '%s'", end);
    return NULL;
}

/* ---- averages ---- */

static void averages_are_keras(void **state) {
    (void)state;
    for (int every = 0; every <= 2; every += 2) {
        chosen c = chosen_start(
            soma_adam(.learning_rate = 0.1, .use_ema = true, .ema_momentum = 0.9, .ema_overwrite_frequency = every));
        for (int t = 0; t < STEPS; t++) {
            chosen_step(&c, gradients + t * SIZE);
            expect_values("w", c.w, (every ? ema_overwritten_path : ema_path) + t * SIZE, 1e-12);
            expect_values("average", state_of(c.m, "w/average"),
                          (every ? ema_overwritten_averages : ema_averages) + t * SIZE, 1e-12);
        }
        chosen_end(&c);
    }
}

/* Both optimizers, which are taken, make the same steps to the bit. */
static void expect_same_steps(soma_optimizer *one, soma_optimizer *other) {
    chosen a = chosen_start(one), b = chosen_start(other);
    double x[SIZE], y[SIZE];
    for (int t = 0; t < STEPS; t++) {
        chosen_step(&a, gradients + t * SIZE);
        chosen_step(&b, gradients + t * SIZE);
    }
    expect_ok(soma_variable_get(a.w, x, sizeof x));
    expect_ok(soma_variable_get(b.w, y, sizeof y));
    assert_memory_equal(x, y, sizeof x);
    chosen_end(&a);
    chosen_end(&b);
}

/* ---- scaled losses ---- */

static void scales_do_not_show(void **state) {
    (void)state;
    for (const char *const *name = soma_names("optimizers"); *name; name++) {
        soma_optimizer *scaled = strcmp(*name, "sgd") == 0    ? soma_sgd(.loss_scale_factor = 1024)
                                 : strcmp(*name, "adam") == 0 ? soma_adam(.loss_scale_factor = 1024)
                                                              : soma_optimizer_by_name(NULL, *name);
        expect_same_steps(soma_optimizer_by_name(NULL, *name), scaled);
    }
}

/* ---- weights that do not decay ---- */

static void some_weights_do_not_decay(void **state) {
    (void)state;
    const char *const words[] = {NULL, "", "bias|norm", "bias|w", "w|"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const bool decays = !words[i] || !strchr(words[i], 'w');
        expect_same_steps(soma_adamw(.weight_decay = decays ? 0.1 : SOMA_ZERO),
                          soma_adamw(.weight_decay = 0.1, .exclude_from_weight_decay = words[i]));
    }
}

/* Of a dense layer whose gradients are all zero. */
static void they_are_saved_by_name(void **state) {
    (void)state;
    NEEDS(JANSSON);
    const float x[4] = {0}, y[4] = {1, 1, 1, 1};
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(4, 1), x},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(4, 1), y}, true);
    soma_model *net = soma_sequential(
        soma_dense(1, .kernel_initializer = soma_all_ones(), .bias_initializer = soma_all_ones(), .input_shape = {1}));
    expect_ok(soma_model_compile_json(net, "{\"loss\": \"mse\", \"optimizer\": {\"sgd\": {\"learning_rate\": 0.5, "
                                           "\"weight_decay\": 1, \"exclude_from_weight_decay\": \"/bias\"}}}"));
    expect_ok(soma_fit(net, data));
    const char *path = scratch_path("decay.soma");
    expect_ok(soma_save(net, path));
    soma_model_destroy(net);
    soma_model *again = soma_load(NULL, path);
    if (!again) fail_msg("%s", soma_last_error(NULL));
    expect_ok(soma_fit(again, data, .epochs = 2, .initial_epoch = 1));
    float kernel, bias;
    expect_ok(soma_variable_get(soma_layer_get_weight(soma_model_get_layer(again, 0), 0), &kernel, sizeof kernel));
    expect_ok(soma_variable_get(soma_layer_get_weight(soma_model_get_layer(again, 0), 1), &bias, sizeof bias));
    assert_true(kernel == 0.25f && bias == 1);
    soma_model_destroy(again);
    soma_dataset_destroy(data);
}

/* ---- gathered gradients ---- */

/* Every optimizer with all that it may be asked for, by its name; each makes options of one struct after the other. */
static soma_optimizer *with_group(const char *name, int64_t group) {
    double decay = 0.01, clip = 2, momentum = 0.8;
    bool ema = true;
#define WITH(kind)                                                                                                     \
    if (strcmp(name, #kind) == 0)                                                                                      \
    return soma_##kind(.weight_decay = decay, .global_clipnorm = clip, .use_ema = ema, .ema_momentum = momentum,       \
                       .ema_overwrite_frequency = 2, .gradient_accumulation_steps = group)
    WITH(sgd);
    WITH(rmsprop);
    WITH(adam);
    WITH(adamw);
    WITH(adamax);
    WITH(nadam);
    WITH(adagrad);
    WITH(adadelta);
    WITH(ftrl);
    WITH(lion);
    WITH(lamb);
    WITH(adafactor);
    WITH(muon);
#undef WITH
    fail_msg("no case for %s", name);
    return NULL;
}

/* Three steps with a third of the gradient's sum each do what one step with their mean does. */
static void small_steps_are_a_large_one(void **state) {
    (void)state;
    enum { GROUP = 3 };
    for (const char *const *name = soma_names("optimizers"); *name; name++) {
        chosen whole = chosen_start(with_group(*name, 0)), parts = chosen_start(with_group(*name, GROUP));
        double a[SIZE], b[SIZE], part[SIZE];
        for (int t = 0; t < STEPS; t++) {
            for (int k = 0; k < GROUP; k++) {
                for (int i = 0; i < SIZE; i++)
                    part[i] = gradients[t * SIZE + i] + (k - 1) * 0.25;
                expect_ok(soma_variable_get(parts.w, a, sizeof a));
                chosen_step(&parts, part);
                expect_ok(soma_variable_get(parts.w, b, sizeof b));
                if ((memcmp(a, b, sizeof a) == 0) != (k < GROUP - 1)) fail_msg("%s: step %d of a group", *name, k);
            }
            chosen_step(&whole, gradients + t * SIZE);
            expect_ok(soma_variable_get(whole.w, a, sizeof a));
            expect_values(*name, parts.w, a, 1e-9);
            expect_ok(soma_variable_get(state_of(whole.m, "/average"), a, sizeof a));
            expect_values(*name, state_of(parts.m, "/average"), a, 1e-9);
        }
        int64_t steps;
        expect_ok(soma_variable_get(soma_minimizer_variable(parts.m, 0), &steps, sizeof steps));
        assert_int_equal(steps, GROUP * STEPS);
        chosen_end(&whole);
        chosen_end(&parts);
    }
}

enum { SAMPLES = 24, FEATURES = 3 };

static soma_dataset *line(void) {
    static float x[SAMPLES * FEATURES], y[SAMPLES];
    for (int i = 0; i < SAMPLES * FEATURES; i++)
        x[i] = (float)sin(i * i % 100);
    for (int i = 0; i < SAMPLES; i++)
        y[i] = x[3 * i] - 2 * x[3 * i + 1] + 0.5f * x[3 * i + 2];
    return soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, FEATURES), x},
                                    (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, 1), y}, true);
}

static soma_model *small(soma_optimizer *optimizer) {
    soma_set_random_seed(NULL, 5);
    soma_model *net = soma_sequential(soma_dense(4, .activation = soma_tanh, .input_shape = {FEATURES}),
                                      soma_batch_normalization(), soma_dense(1));
    if (soma_compile(net, .optimizer = optimizer, .loss = soma_mean_squared_error) != SOMA_OK)
        fail_msg("%s", soma_last_error(NULL));
    return net;
}

static soma_variable *weight(soma_model *net, int layer, int i) {
    return soma_layer_get_weight(soma_model_get_layer(net, layer), i);
}

static int64_t weights_of(soma_model *net, float *out) {
    int64_t n = 0;
    for (int i = 0; i < soma_model_layers(net); i++) {
        for (int j = 0; j < soma_layer_weights(soma_model_get_layer(net, i)); j++) {
            soma_variable *v = weight(net, i, j);
            expect_ok(soma_variable_get(v, out + n, (size_t)soma_variable_size(v) * sizeof *out));
            n += soma_variable_size(v);
        }
    }
    return n;
}

/* fit with batches of 4 in groups of 3 against batches of 12. */
static void fit_gathers(void **state) {
    (void)state;
    soma_dataset *data = line();
    float a[64], b[64];
    int64_t n = 0;
    for (int parts = 0; parts < 2; parts++) {
        soma_set_random_seed(NULL, 5);
        soma_model *net =
            soma_sequential(soma_dense(4, .activation = soma_tanh, .input_shape = {FEATURES}), soma_dense(1));
        soma_optimizer *o = soma_adam(.learning_rate = 0.01, .gradient_accumulation_steps = parts ? 3 : 0);
        expect_ok(soma_compile(net, .optimizer = o, .loss = soma_mean_squared_error));
        expect_ok(soma_fit(net, data, .epochs = 5, .batch_size = parts ? 4 : 12, .no_shuffle = true));
        assert_int_equal(soma_updates(net), 10);
        n = weights_of(net, parts ? b : a);
        soma_model_destroy(net);
    }
    for (int i = 0; i < n; i++)
        if (fabsf(a[i] - b[i]) > 1e-5f) fail_msg("weight %d: %g and %g", i, a[i], b[i]);
    soma_dataset_destroy(data);
}

/* fit leaves the averages in the weights. */
static void fit_ends_with_the_averages(void **state) {
    (void)state;
    soma_dataset *data = line();
    soma_model *plain = small(soma_sgd(.learning_rate = 0.1));
    soma_model *net = small(soma_sgd(.learning_rate = 0.1, .use_ema = true, .ema_momentum = 0.5));
    float values[SAMPLES / 8][64], expected[64] = {0}, result[64];
    int64_t n = 0;
    for (int t = 0; t < SAMPLES / 8; t++) { /* one batch a fit */
        soma_tensor *x = soma_array(NULL, SOMA_F32, SOMA_DIMS(8, FEATURES),
                                    (const float *)soma_dataset_x(data).data + (ptrdiff_t)(t * 8 * FEATURES));
        soma_tensor *y =
            soma_array(NULL, SOMA_F32, SOMA_DIMS(8, 1), (const float *)soma_dataset_y(data).data + (ptrdiff_t)(t * 8));
        expect_ok(soma_train_on_batch(plain, x, y).status);
        n = weights_of(plain, values[t]);
        for (int i = 0; i < n; i++)
            expected[i] = t == 0 ? values[t][i] : 0.5f * expected[i] + 0.5f * values[t][i];
    }
    expect_ok(soma_fit(net, data, .batch_size = 8, .no_shuffle = true));
    weights_of(net, result);
    for (int i = 0; i < n; i++) {
        bool statistic = i >= 4 * FEATURES + 4 + 8 && i < 4 * FEATURES + 4 + 16; /* moving ones have no average */
        float e = statistic ? values[SAMPLES / 8 - 1][i] : expected[i];
        if (fabsf(result[i] - e) > 1e-6f) fail_msg("weight %d: %g, expected %g", i, result[i], e);
    }
    soma_model_destroy(plain);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

/* ---- files ---- */

/* With everything asked for, saved in the middle of a group and loaded: the same bits as without. */
static void everything_is_saved(void **state) {
    (void)state;
    NEEDS(JANSSON);
    soma_dataset *data = line();
    const char *path = scratch_path("shared.soma");
    for (const char *const *name = soma_names("optimizers"); *name; name++) {
        float a[64], b[64];
        soma_model *whole = small(with_group(*name, 4)), *first = small(with_group(*name, 4));
        soma_model *again = NULL;
        for (int t = 0; t < 10; t++) {
            soma_graph_reset(NULL);
            soma_tensor *x = soma_array_view(NULL, SOMA_F32, SOMA_DIMS(SAMPLES, FEATURES), soma_dataset_x(data).data);
            soma_tensor *y = soma_array_view(NULL, SOMA_F32, SOMA_DIMS(SAMPLES, 1), soma_dataset_y(data).data);
            expect_ok(soma_train_on_batch(whole, x, y).status);
            expect_ok(soma_train_on_batch(t < 6 ? first : again, x, y).status);
            if (t != 5) continue;
            expect_ok(soma_save(first, path));
            again = soma_load(NULL, path);
            if (!again) fail_msg("%s: %s", *name, soma_last_error(NULL));
        }
        int64_t n = weights_of(whole, a);
        weights_of(again, b);
        if (memcmp(a, b, (size_t)n * sizeof *a) != 0) fail_msg("%s: not the same after loading", *name);
        soma_model_destroy(whole);
        soma_model_destroy(first);
        soma_model_destroy(again);
    }
    soma_dataset_destroy(data);
}

static void they_come_by_name(void **state) {
    (void)state;
    NEEDS(JANSSON);
    soma_model *net = small(NULL);
    expect_ok(soma_model_compile_json(
        net, "{\"loss\": \"mse\", \"optimizer\": {\"adam\": {\"use_ema\": true, \"ema_momentum\": 0.5, "
             "\"ema_overwrite_frequency\": 7, \"loss_scale_factor\": 8, \"gradient_accumulation_steps\": 2}}}"));
    const char *path = scratch_path("named.soma");
    expect_ok(soma_save(net, path));
    size_t size;
    char *file = scratch_read(path, &size);
    static const char *const parts[] = {"\\\"use_ema\\\": true", "\\\"ema_momentum\\\": 0.5",
                                        "\\\"ema_overwrite_frequency\\\": 7", "\\\"loss_scale_factor\\\": 8",
                                        "\\\"gradient_accumulation_steps\\\": 2"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(file + 8, parts[i])) fail_msg("the file lacks %s", parts[i]);
    free(file);
    assert_int_equal(soma_compile(net, .optimizer = soma_sgd(.ema_momentum = 2), .loss = soma_mean_squared_error),
                     SOMA_INVALID);
    expect_error(SOMA_INVALID, "[sgd] ema_momentum is 2: it must be at most 1");
    assert_int_equal(
        soma_compile(net, .optimizer = soma_sgd(.gradient_accumulation_steps = -1), .loss = soma_mean_squared_error),
        SOMA_INVALID);
    expect_error(SOMA_INVALID, "gradient_accumulation_steps is -1: it must be at least 0");
    soma_model_destroy(net);
}

/* ---- freezing ---- */

static void frozen_layers_stay(void **state) {
    (void)state;
    soma_dataset *data = line();
    soma_model *net = small(soma_adam(.learning_rate = 0.05));
    float before[64], after[64];
    expect_ok(soma_fit(net, data, .batch_size = 8));
    expect_ok(soma_set_trainable(net, soma_model_get_layer(net, 0), false));
    expect_ok(soma_set_trainable(net, soma_model_get_layer(net, 1), false));
    weights_of(net, before);
    expect_ok(soma_fit(net, data, .batch_size = 8, .initial_epoch = 1, .epochs = 2));
    int64_t n = weights_of(net, after), still = 4 * FEATURES + 4 + 16;
    assert_memory_equal(before, after, (size_t)still * sizeof *before); /* also the moving statistics */
    for (int64_t i = still; i < n; i++)
        assert_true(before[i] != after[i]);
    char *summary = soma_summary(net, &(soma_summary_options){.ascii = true});
    if (!strstr(summary, "Trainable params: 5 (") || !strstr(summary, "Non-trainable params: 32 ("))
        fail_msg("%s", summary);
    soma_string_free(summary);
    /* thawed: all move again, and what the optimizer knew of the last layer is still there */
    expect_ok(soma_set_trainable(net, NULL, true));
    expect_ok(soma_fit(net, data, .batch_size = 8, .initial_epoch = 2, .epochs = 3));
    weights_of(net, before);
    for (int64_t i = 0; i < n; i++)
        assert_true(before[i] != after[i]);
    assert_int_equal(soma_updates(net), 9);
    assert_int_equal(soma_set_trainable(net, (soma_layer *)net, true), SOMA_INVALID);
    expect_error(SOMA_INVALID, "not one of the model's");
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

/* A frozen BatchNormalization gives the same in training as in prediction. */
static void frozen_statistics_are_used(void **state) {
    (void)state;
    soma_model *net = small(soma_sgd());
    soma_dataset *data = line();
    expect_ok(soma_fit(net, data, .batch_size = 8, .epochs = 3));
    soma_tensor *x = soma_array_view(NULL, SOMA_F32, SOMA_DIMS(SAMPLES, FEATURES), soma_dataset_x(data).data), *y[3];
    expect_ok(soma_model_apply(net, &x, 1, false, &y[0]));
    expect_ok(soma_model_apply(net, &x, 1, true, &y[1]));
    expect_ok(soma_set_trainable(net, NULL, false));
    expect_ok(soma_model_apply(net, &x, 1, true, &y[2]));
    int differ = 0;
    for (int64_t i = 0; i < SAMPLES; i++) {
        assert_true(soma_item(y[0], i) == soma_item(y[2], i));
        differ += fabs(soma_item(y[0], i) - soma_item(y[1], i)) > 1e-4;
    }
    assert_true(differ > SAMPLES / 2);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

/* A layer within a layer is frozen by itself, and thawed with the one around it. */
static void inner_layers_are_frozen(void **state) {
    (void)state;
    float x[4 * 2 * 3], y[4 * 2], before[64], after[64];
    for (int i = 0; i < 24; i++)
        x[i] = (float)sin(i);
    for (int i = 0; i < 8; i++)
        y[i] = (float)cos(i);
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(4, 2, 3), x},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(4, 2, 1), y}, true);
    soma_model *net = soma_sequential(
        soma_time_distributed(soma_dense(4, .activation = soma_tanh, .frozen = true), .input_shape = {2, 3}),
        soma_dense(1));
    expect_ok(soma_compile(net, .optimizer = soma_sgd(.learning_rate = 0.5), .loss = soma_mean_squared_error));
    enum { INNER = 3 * 4 + 4 };
    weights_of(net, before);
    expect_ok(soma_fit(net, data));
    int64_t n = weights_of(net, after);
    assert_memory_equal(before, after, INNER * sizeof *before);
    assert_true(before[INNER] != after[INNER]);
    char *summary = soma_summary(net, &(soma_summary_options){.ascii = true});
    if (!strstr(summary, "Non-trainable params: 16 (")) fail_msg("%s", summary);
    soma_string_free(summary);
    expect_ok(soma_set_trainable(net, NULL, true));
    expect_ok(soma_fit(net, data));
    weights_of(net, before);
    for (int64_t i = 0; i < n; i++)
        assert_true(before[i] != after[i]);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

static void freezing_is_saved(void **state) {
    (void)state;
    NEEDS(JANSSON);
    soma_dataset *data = line();
    soma_model *net = small(soma_adam());
    const char *path = scratch_path("frozen.soma");
    float a[64], b[64];
    expect_ok(soma_fit(net, data));
    expect_ok(soma_set_trainable(net, soma_model_get_layer(net, 0), false));
    expect_ok(soma_save(net, path));
    soma_model *again = soma_load(NULL, path);
    if (!again) fail_msg("%s", soma_last_error(NULL));
    for (int i = 0; i < 2; i++)
        expect_ok(soma_fit(i ? again : net, data, .initial_epoch = 1, .epochs = 3));
    int64_t n = weights_of(net, a);
    weights_of(again, b);
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
    soma_model_destroy(net);
    soma_model_destroy(again);
    soma_dataset_destroy(data);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(some_weights_do_not_decay),  TEST(they_are_saved_by_name),      TEST(averages_are_keras),
        TEST(scales_do_not_show),         TEST(small_steps_are_a_large_one), TEST(fit_gathers),
        TEST(fit_ends_with_the_averages), TEST(everything_is_saved),         TEST(they_come_by_name),
        TEST(frozen_layers_stay),         TEST(frozen_statistics_are_used),  TEST(inner_layers_are_frozen),
        TEST(freezing_is_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
