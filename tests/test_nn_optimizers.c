/* Optimizers and learning-rate schedules: every step against an independent program's, options by name, state in files.
 * Rests on cmocka and optimizers_golden.h. A layer that is its weight and a loss whose gradient is y_true let the test
 * choose the gradients; formulas are compared in float64 and in float32. */
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

#include "optimizers_golden.h"
#include "support/expect.h"
#include "support/needs.h"
#include "support/scratch.h"

enum { STEPS = 5, SIZE = 6 };

/* ---- a model that is a weight ---- */

typedef struct hold_options {
    SOMA_LAYER_OPTIONS
} hold_options;

static soma_status hold_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)inputs;
    (void)n;
    return soma_layer_add_weight(layer, &(soma_weight_options){.name = "w", .rank = 2, .shape = {3, 2}});
}

static soma_tensor *hold_call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    soma_tensor *w = soma_trace_weight(trace, layer, 0);
    return soma_add(soma_mul_scalar(soma_cast(inputs[0], soma_tensor_dtype(w)), 0), soma_expand_dims(w, 0));
}

static const soma_layer_class hold = {.name = "Hold",
                                      .size = sizeof(hold_options),
                                      .min_inputs = 1,
                                      .max_inputs = 1,
                                      .build = hold_build,
                                      .call = hold_call};

static soma_tensor *product(soma_tensor *y_true, soma_tensor *y_pred) {
    return soma_sum(soma_mul(soma_cast(y_true, soma_tensor_dtype(y_pred)), y_pred), SOMA_AXES(1, 2), false);
}

static const soma_custom custom[] = {
    {.name = "product", .function = (soma_function *)product}, {.name = "Hold", .layer = &hold}, {.name = NULL}};

static soma_variable *weight_of(soma_model *net) {
    return soma_layer_get_weight(soma_model_get_layer(net, 0), 0);
}

static soma_model *make(soma_optimizer *optimizer, soma_dtype dtype) {
    soma_model *net = soma_sequential(soma_layer_create(&hold, &(hold_options){.input_shape = {1, 1}, .dtype = dtype}));
    float single[SIZE];
    for (int i = 0; i < SIZE; i++)
        single[i] = (float)start[i];
    soma_status status = dtype == SOMA_F64 ? soma_variable_set(weight_of(net), start, sizeof start)
                                           : soma_variable_set(weight_of(net), single, sizeof single);
    assert_int_equal(status, SOMA_OK);
    if (soma_compile(net, .optimizer = optimizer, .loss = product) != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
    return net;
}

static void take_step(soma_model *net, int t) {
    soma_graph_reset(NULL);
    soma_tensor *g = soma_array(NULL, SOMA_F64, SOMA_DIMS(1, 3, 2), gradients + (t % STEPS) * SIZE);
    soma_scores s = soma_train_on_batch(net, soma_zeros(NULL, SOMA_F32, SOMA_DIMS(1, 1, 1)), g);
    if (s.status != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
}

static void check_path(const char *name, soma_optimizer *optimizer, soma_dtype dtype, const double *path) {
    double tolerance = dtype == SOMA_F64 ? 1e-11 : 5e-6;
    soma_model *net = make(optimizer, dtype);
    for (int t = 0; t < STEPS; t++) {
        take_step(net, t);
        soma_tensor *w = soma_read(NULL, weight_of(net));
        for (int i = 0; i < SIZE; i++) {
            double expected = path[t * SIZE + i], value = soma_item(w, i);
            if (!(fabs(value - expected) <= tolerance * (1 + fabs(expected))))
                fail_msg("%s step %d, weight %d: %.17g, expected %.17g", name, t, i, value, expected);
        }
    }
    soma_model_destroy(net);
}

/* ---- optimizers ---- */

static void optimizers_are_keras(void **state) {
    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        soma_dtype d = wide ? SOMA_F64 : SOMA_F32;
#define CHECK(name)                                                                                                    \
    check_path(#name, soma_##name(), d, name##_path);                                                                  \
    check_path(#name " decay", soma_##name(.weight_decay = 0.1), d, name##_decay_path);                                \
    check_path(#name " clipnorm", soma_##name(.clipnorm = 1.5), d, name##_clipnorm_path);                              \
    check_path(#name " global_clipnorm", soma_##name(.global_clipnorm = 1.5), d, name##_clipnorm_path);                \
    check_path(#name " clipvalue", soma_##name(.clipvalue = 0.5), d, name##_clipvalue_path);
        OPTIMIZER_CASES(CHECK)
#undef CHECK
    }
}

static void options_have_their_effect(void **state) {
    (void)state;
    soma_dtype d = SOMA_F64;
    check_path("adamax", soma_adamax(.learning_rate = 0.01, .beta_1 = 0.8, .beta_2 = 0.9, .epsilon = 1e-3), d,
               adamax_options_path);
    check_path("nadam", soma_nadam(.learning_rate = 0.01, .beta_1 = 0.8, .beta_2 = 0.9, .epsilon = 1e-3), d,
               nadam_options_path);
    check_path("adagrad", soma_adagrad(.learning_rate = 0.01, .initial_accumulator_value = SOMA_ZERO, .epsilon = 1e-3),
               d, adagrad_options_path);
    check_path("adadelta", soma_adadelta(.learning_rate = 1, .rho = 0.8, .epsilon = 1e-3), d, adadelta_options_path);
    check_path("ftrl",
               soma_ftrl(.learning_rate = 0.05, .learning_rate_power = -0.7, .initial_accumulator_value = 0.2,
                         .l1_regularization_strength = 0.3, .l2_regularization_strength = 0.2,
                         .l2_shrinkage_regularization_strength = 0.01, .beta = 0.5),
               d, ftrl_options_path);
    check_path("lion", soma_lion(.learning_rate = 0.01, .beta_1 = 0.8, .beta_2 = 0.9), d, lion_options_path);
    check_path("lamb", soma_lamb(.learning_rate = 0.01, .beta_1 = 0.8, .beta_2 = 0.9, .epsilon = 1e-3), d,
               lamb_options_path);
    check_path("adafactor",
               soma_adafactor(.learning_rate = 2, .beta_2_decay = -0.5, .epsilon_1 = 1e-10, .epsilon_2 = 0.5,
                              .clip_threshold = 0.5, .no_relative_step = true),
               d, adafactor_options_path);
    check_path("muon", soma_muon(), d, muon_path);
    check_path("muon", soma_muon(), SOMA_F32, muon_path);
    check_path("muon",
               soma_muon(.learning_rate = 0.01, .weight_decay = SOMA_ZERO, .momentum = 0.8, .ns_steps = 2,
                         .no_nesterov = true, .rms_rate = SOMA_ZERO, .muon_a = 2, .muon_b = -1.5, .muon_c = 0.5),
               d, muon_options_path);
    check_path("muon by adam",
               soma_muon(.learning_rate = 0.02, .adam_weight_decay = 0.1, .adam_beta_1 = 0.8, .adam_beta_2 = 0.9,
                         .epsilon = 1e-3, .exclude_layers = "dense, hold/w"),
               d, muon_adam_path);
}

/* Weights that stay where they are when there is nothing to learn: no gradient, no step, not a number neither. */
static void no_gradient_no_step(void **state) {
    (void)state;
    for (const char *const *name = soma_names("optimizers"); *name; name++) {
        if (strcmp(*name, "ftrl") == 0) continue; /* its weights begin at 0, not where they are */
        soma_graph_reset(NULL);
        soma_optimizer *o = soma_optimizer_by_name(NULL, *name);
        soma_model *net = make(o, SOMA_F64);
        assert_int_equal(soma_compile(net, .optimizer = soma_optimizer_by_name(NULL, *name), .loss = product), SOMA_OK);
        soma_tensor *none = soma_zeros(NULL, SOMA_F64, SOMA_DIMS(1, 3, 2));
        soma_scores s = soma_train_on_batch(net, soma_zeros(NULL, SOMA_F32, SOMA_DIMS(1, 1, 1)), none);
        assert_int_equal(s.status, SOMA_OK);
        double decay = strcmp(*name, "adamw") == 0 || strcmp(*name, "muon") == 0 ? 0.004 * 0.001 : 0;
        for (int i = 0; i < SIZE; i++) {
            double w = soma_item(soma_read(NULL, weight_of(net)), i);
            if (!(fabs(w - start[i] * (1 - decay)) < 1e-14)) fail_msg("%s: %.17g became %.17g", *name, start[i], w);
        }
        soma_model_destroy(net);
    }
}

/* Three steps, saved, loaded, two more: the same bits as five steps, for every optimizer. */
static void state_is_saved(void **state) {
    (void)state;
    NEEDS(JANSSON);
    for (const char *const *name = soma_names("optimizers"); *name; name++) {
        soma_model *whole = make(soma_optimizer_by_name(NULL, *name), SOMA_F32);
        for (int t = 0; t < STEPS; t++)
            take_step(whole, t);
        soma_model *first = make(soma_optimizer_by_name(NULL, *name), SOMA_F32);
        for (int t = 0; t < 3; t++)
            take_step(first, t);
        const char *path = scratch_path("optimizer.soma");
        soma_save_options save = {.path = path};
        soma_load_options load = {.path = path};
        memcpy(save.custom, custom, sizeof custom);
        memcpy(load.custom, custom, sizeof custom);
        if (soma_model_save(first, &save) != SOMA_OK) fail_msg("%s: %s", *name, soma_last_error(NULL));
        soma_model *second = soma_model_load(NULL, &load);
        if (!second) fail_msg("%s: %s", *name, soma_last_error(NULL));
        for (int t = 3; t < STEPS; t++)
            take_step(second, t);
        float a[SIZE], b[SIZE];
        assert_int_equal(soma_variable_get(weight_of(whole), a, sizeof a), SOMA_OK);
        assert_int_equal(soma_variable_get(weight_of(second), b, sizeof b), SOMA_OK);
        if (memcmp(a, b, sizeof a) != 0) fail_msg("%s: not the same after loading", *name);
        soma_model_destroy(whole);
        soma_model_destroy(first);
        soma_model_destroy(second);
    }
}

static void options_come_by_name(void **state) {
    (void)state;
    NEEDS(JANSSON);
    soma_model *net = soma_sequential(soma_dense(1, .input_shape = {2}));
    assert_int_equal(soma_model_compile_json(net, "{\"loss\": \"mse\", \"optimizer\": {\"ftrl\": {\"learning_rate\": "
                                                  "0.5, \"l1_regularization_strength\": 0.25}}}"),
                     SOMA_OK);
    assert_true(soma_learning_rate(net) == 0.5);
    assert_int_equal(
        soma_model_compile_json(
            net, "{\"loss\": \"mse\", \"optimizer\": {\"adafactor\": {\"relative_step\": false, \"clipnorm\": 1}}}"),
        SOMA_OK);
    assert_int_equal(soma_model_compile_json(net, "{\"loss\": \"mse\", \"optimizer\": {\"lion\": {\"beta_3\": 1}}}"),
                     SOMA_NOT_FOUND);
    expect_error(SOMA_NOT_FOUND, "[lion] unknown option 'beta_3'; did you mean 'beta_1'?");
    soma_model_destroy(net);
}

/* ---- schedules ---- */

static void check_rates(const char *name, soma_schedule s, const double *rates) {
    for (size_t i = 0; i < sizeof schedule_steps / sizeof *schedule_steps; i++) {
        double rate = s.rate(schedule_steps[i], s.parameters, s.n);
        if (!(fabs(rate - rates[i]) <= 1e-15)) fail_msg("%s at %g: %.17g", name, schedule_steps[i], rate);
    }
}

static const double bounds[] = {10, 100}, rates_between[] = {0.5, 0.2, 0.1};

static void schedules_are_keras(void **state) {
    (void)state;
    check_rates("exponential", soma_exponential_decay(0.5, 100, 0.9), exponential_rates);
    check_rates("stairs", soma_exponential_decay(0.5, 100, 0.9, .staircase = true), exponential_stairs_rates);
    check_rates("piecewise", soma_piecewise_constant_decay(2, bounds, rates_between), piecewise_rates);
    check_rates("polynomial", soma_polynomial_decay(0.5, 100, .end_learning_rate = 0.1, .power = 2), polynomial_rates);
    check_rates("cycle", soma_polynomial_decay(0.5, 100, .end_learning_rate = 0.1, .power = 2, .cycle = true),
                polynomial_cycle_rates);
    check_rates("inverse", soma_inverse_time_decay(0.5, 100, 0.5), inverse_time_rates);
    check_rates("inverse stairs", soma_inverse_time_decay(0.5, 100, 0.5, .staircase = true), inverse_time_stairs_rates);
    check_rates("cosine", soma_cosine_decay(0.5, 100, .alpha = 0.1), cosine_rates);
    check_rates("warm", soma_cosine_decay(0.01, 100, .alpha = 0.1, .warmup_target = 0.5, .warmup_steps = 10),
                cosine_warm_rates);
    check_rates("restarts", soma_cosine_decay_restarts(0.5, 50, .m_mul = 0.9, .alpha = 0.1), restarts_rates);
    check_rates("restarts even", soma_cosine_decay_restarts(0.5, 50, .t_mul = 1), restarts_even_rates);
    soma_schedule line = soma_polynomial_decay(1, 10);
    assert_true(line.rate(10, line.parameters, line.n) == 0.0001); /* the default end */
}

/* Each step by SGD is rate times gradient, with the rate of that step; the same after saving in the middle. */
static void steps_follow_the_schedule(void **state) {
    (void)state;
    NEEDS(JANSSON);
    soma_schedule s = soma_cosine_decay(0.01, 4, .warmup_target = 0.5, .warmup_steps = 2);
    soma_model *net = make(soma_sgd(.schedule = s), SOMA_F64);
    double expected[SIZE], w[SIZE];
    memcpy(expected, start, sizeof start);
    soma_save_options save = {.path = scratch_path("schedule.soma")};
    soma_load_options load = {.path = save.path};
    memcpy(save.custom, custom, sizeof custom);
    memcpy(load.custom, custom, sizeof custom);
    for (int t = 0; t < STEPS; t++) {
        double rate = s.rate(t, s.parameters, s.n);
        assert_true(soma_learning_rate(net) == rate);
        take_step(net, t);
        assert_int_equal(soma_variable_get(weight_of(net), w, sizeof w), SOMA_OK);
        for (int i = 0; i < SIZE; i++) {
            expected[i] -= rate * gradients[t * SIZE + i];
            assert_true(fabs(w[i] - expected[i]) < 1e-13);
        }
        if (soma_model_save(net, &save) != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
        soma_model_destroy(net);
        net = soma_model_load(NULL, &load);
        if (!net) fail_msg("%s", soma_last_error(NULL));
    }
    assert_int_equal(soma_set_learning_rate(net, 0.1), SOMA_INVALID);
    expect_error(SOMA_INVALID, "follows the optimizer's schedule");
    soma_model_destroy(net);
}

static double halving(double step, const double *parameters, int n) {
    (void)n;
    return parameters[0] / (1 + step);
}

static void schedules_come_by_name(void **state) {
    (void)state;
    NEEDS(JANSSON);
    static const struct {
        const char *json;
        double first;
    } cases[] = {
        {"{\"cosine_decay\": {\"initial_learning_rate\": 0.25, \"decay_steps\": 10}}", 0.25},
        {"{\"class_name\": \"ExponentialDecay\", \"config\": {\"initial_learning_rate\": 0.5, \"decay_steps\": 5, "
         "\"decay_rate\": 0.9, \"staircase\": true, \"name\": null}}",
         0.5},
        {"{\"piecewise_constant_decay\": {\"boundaries\": [1, 5], \"values\": [0.3, 0.2, 0.1]}}", 0.3},
    };
    soma_model *net = soma_sequential(soma_dense(1, .input_shape = {2}));
    char json[512];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(json, sizeof json, "{\"loss\": \"mse\", \"optimizer\": {\"sgd\": {\"learning_rate\": %s}}}",
                 cases[i].json);
        if (soma_model_compile_json(net, json) != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
        assert_true(soma_learning_rate(net) == cases[i].first);
    }
    for (const char *const *name = soma_names("schedules"); *name; name++) {
        snprintf(json, sizeof json, "{\"loss\": \"mse\", \"optimizer\": {\"adam\": {\"schedule\": {\"%s\": {}}}}}",
                 *name);
        assert_int_not_equal(soma_model_compile_json(net, json), SOMA_OK);
        soma_clear_error(NULL);
    }
    assert_int_equal(soma_model_compile_json(net, "{\"loss\": \"mse\", \"optimizer\": {\"adam\": {\"learning_rate\": "
                                                  "{\"cosine_decoy\": {}}}}}"),
                     SOMA_NOT_FOUND);
    expect_error(SOMA_NOT_FOUND, "unknown schedule 'cosine_decoy'; did you mean 'cosine_decay'?");
    assert_int_equal(soma_compile(net, .optimizer = soma_sgd(.schedule = soma_cosine_decay(0.1, 0)),
                                  .loss = soma_mean_squared_error),
                     SOMA_INVALID);
    expect_error(SOMA_INVALID, "[sgd] cosine_decay: decay_steps is 0: it must be more than 0");
    const double falling[] = {5, 2}, rates[] = {0.3, 0.2, 0.1};
    assert_int_equal(soma_compile(net,
                                  .optimizer = soma_sgd(.schedule = soma_piecewise_constant_decay(2, falling, rates)),
                                  .loss = soma_mean_squared_error),
                     SOMA_INVALID);
    expect_error(SOMA_INVALID, "piecewise_constant_decay: boundary 2 after 5");
    soma_model_destroy(net);
    /* one of the user's own */
    net = make(soma_sgd(.schedule = {halving, 1, {0.5}}), SOMA_F32);
    soma_save_options save = {.path = scratch_path("own.soma"),
                              .custom = {{.name = "halving", .function = (soma_function *)halving}}};
    memcpy(save.custom + 1, custom, sizeof custom);
    soma_load_options load = {.path = save.path};
    memcpy(load.custom, save.custom, sizeof save.custom);
    take_step(net, 0);
    assert_int_equal(soma_model_save(net, &save), SOMA_OK);
    soma_model *again = soma_model_load(NULL, &load);
    if (!again) fail_msg("%s", soma_last_error(NULL));
    assert_true(soma_learning_rate(again) == 0.25);
    soma_model_destroy(net);
    soma_model_destroy(again);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(optimizers_are_keras),      TEST(options_have_their_effect),
        TEST(no_gradient_no_step),       TEST(state_is_saved),
        TEST(options_come_by_name),      TEST(schedules_are_keras),
        TEST(steps_follow_the_schedule), TEST(schedules_come_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
