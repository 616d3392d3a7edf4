/* Training in ways of one's own: objectives in fit, minimizers over parts of the weights, classes from outside in
 * files, fits that are interrupted anywhere and go on, averages in place of weights. Rests on cmocka. What a detour
 * does is held against fit's own way, or against a run without interruption, to the bit. */
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
#include "support/failing.h"
#include "support/needs.h"
#include "support/scratch.h"

enum { SAMPLES = 50, FEATURES = 4, BATCH = 8, ROOM = 512 };

static float xs[SAMPLES * FEATURES];
static float ys[SAMPLES];

static soma_dataset *data_of(soma_context *context) {
    for (int i = 0; i < SAMPLES * FEATURES; i++)
        xs[i] = (float)sin(i * i % 1000);
    for (int i = 0; i < SAMPLES; i++)
        ys[i] = xs[i * FEATURES] * xs[i * FEATURES + 1];
    return soma_dataset_from_arrays(context, (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, FEATURES), xs},
                                    (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, 1), ys}, true);
}

/* Dropout, moving statistics, a schedule: all that a step may change or depend on. */
static soma_model *network(soma_context *context) {
    soma_set_random_seed(context, 11);
    soma_layer *layers[] = {soma_dense(8, .activation = soma_tanh, .input_shape = {FEATURES},
                                       .kernel_regularizer = soma_l2(0.01), .context = context),
                            soma_batch_normalization(.context = context), soma_dropout(0.25, .context = context),
                            soma_dense(1, .context = context)};
    soma_model *net = soma_sequential_create(context, layers, 4);
    if (!net) fail_msg("%s", soma_last_error(context));
    return net;
}

static soma_optimizer *adam(soma_context *context, bool ema) {
    return soma_adam(.schedule = soma_cosine_decay(0.02, 100), .use_ema = ema, .ema_momentum = 0.9, .context = context);
}

static int64_t weights_of(const soma_model *net, float *out) {
    int64_t n = 0;
    for (int i = 0; i < soma_model_layers(net); i++) {
        for (int j = 0; j < soma_layer_weights(soma_model_get_layer(net, i)); j++) {
            soma_variable *v = soma_layer_get_weight(soma_model_get_layer(net, i), j);
            assert_true(n + soma_variable_size(v) <= ROOM);
            assert_int_equal(soma_variable_get(v, out + n, (size_t)soma_variable_size(v) * sizeof *out), SOMA_OK);
            n += soma_variable_size(v);
        }
    }
    return n;
}

static void expect_same_weights(const soma_model *a, const soma_model *b) {
    float x[ROOM], y[ROOM];
    int64_t n = weights_of(a, x);
    assert_int_equal(n, weights_of(b, y));
    assert_memory_equal(x, y, (size_t)n * sizeof *x);
}

/* ---- minimizers ---- */

/* A loop of one's own over the same batches: fit's weights, statistics included. */
static void own_loops_are_fits(void **state) {
    (void)state;
    soma_dataset *data = data_of(NULL);
    soma_model *fitted = network(NULL), *net = network(NULL);
    expect_ok(soma_compile(fitted, .optimizer = soma_adam(.schedule = soma_cosine_decay(0.02, 100)),
                           .loss = soma_mean_squared_error));
    soma_minimizer *m = soma_minimizer_create(soma_adam(.schedule = soma_cosine_decay(0.02, 100)), net);
    if (!m) fail_msg("%s", soma_last_error(NULL));
    soma_graph *graph = soma_graph_create(NULL);
    soma_tensor *x = soma_input(graph, SOMA_F32, SOMA_DIMS(BATCH, FEATURES), "x"), *p = NULL, *targets[64];
    soma_tensor *y = soma_input(graph, SOMA_F32, SOMA_DIMS(BATCH, 1), "y");
    soma_pass pass = {.training = true, .step = soma_minimizer_step_number(m, graph)};
    expect_ok(soma_model_forward(net, &x, 1, &pass, &p));
    soma_tensor *loss = soma_mean(soma_mean_squared_error(y, p), SOMA_ALL_AXES, false);
    assert_non_null(pass.penalties);
    assert_int_equal(pass.n_updates, 2);
    expect_ok(soma_minimize(m, soma_add(loss, pass.penalties), targets));
    int n = soma_minimizer_targets(m);
    for (int i = 0; i < pass.n_updates; i++)
        targets[n++] = pass.updates[i];
    soma_plan *plan = soma_plan_create(targets, n, NULL);
    if (!plan) fail_msg("%s", soma_last_error(NULL));
    enum { STEPS = SAMPLES / BATCH };
    for (int epoch = 0; epoch < 3; epoch++) {
        for (int i = 0; i < STEPS; i++) {
            expect_ok(soma_plan_bind(plan, x, xs + (ptrdiff_t)(i * BATCH * FEATURES)));
            expect_ok(soma_plan_bind(plan, y, ys + (ptrdiff_t)(i * BATCH)));
            expect_ok(soma_minimizer_follow_schedule(m));
            expect_ok(soma_plan_run(plan));
        }
    }
    expect_ok(soma_fit(fitted, data, .batch_size = BATCH, .epochs = 3, .steps_per_epoch = STEPS, .no_shuffle = true));
    float a[ROOM], b[ROOM];
    int64_t size = weights_of(fitted, a);
    weights_of(net, b);
    int differ = 0; /* dropout draws by the number of the op in its graph, which is not the same in both */
    for (int64_t i = 0; i < size; i++)
        differ += fabsf(a[i] - b[i]) > 0.15f;
    assert_int_equal(differ, 0);
    soma_plan_destroy(plan);
    soma_graph_destroy(graph);
    soma_minimizer_destroy(m);
    soma_model_destroy(net);
    soma_model_destroy(fitted);
    soma_dataset_destroy(data);
}

/* The same without randomness: equal but for rounding. */
static void own_loops_compute_the_same(void **state) {
    (void)state;
    soma_dataset *data = data_of(NULL);
    soma_model *nets[2];
    for (int i = 0; i < 2; i++) {
        soma_set_random_seed(NULL, 2);
        nets[i] = soma_sequential(soma_dense(6, .activation = soma_relu, .input_shape = {FEATURES},
                                             .kernel_constraint = soma_max_norm(0.8, 0)),
                                  soma_batch_normalization(), soma_dense(1));
    }
    soma_minimizer *m = soma_minimizer_create(soma_adam(.learning_rate = 0.05, .clipnorm = 0.5), nets[1]);
    expect_ok(soma_compile(nets[0], .optimizer = soma_adam(.learning_rate = 0.05, .clipnorm = 0.5),
                           .loss = soma_mean_squared_error));
    soma_graph *graph = soma_graph_create(NULL);
    soma_tensor *x = soma_input(graph, SOMA_F32, SOMA_DIMS(SAMPLES, FEATURES), "x"), *p = NULL, *targets[64];
    soma_tensor *y = soma_input(graph, SOMA_F32, SOMA_DIMS(SAMPLES, 1), "y");
    soma_pass pass = {.training = true};
    expect_ok(soma_model_forward(nets[1], &x, 1, &pass, &p));
    expect_ok(soma_minimize(m, soma_mean(soma_mean_squared_error(y, p), SOMA_ALL_AXES, false), targets));
    int n = soma_minimizer_targets(m);
    for (int i = 0; i < pass.n_updates; i++)
        targets[n++] = pass.updates[i];
    soma_plan *plan = soma_plan_create(targets, n, NULL);
    if (!plan) fail_msg("%s", soma_last_error(NULL));
    expect_ok(soma_plan_bind(plan, x, xs));
    expect_ok(soma_plan_bind(plan, y, ys));
    for (int i = 0; i < 10; i++)
        expect_ok(soma_plan_run(plan));
    expect_ok(soma_fit(nets[0], data, .batch_size = SAMPLES, .epochs = 10, .no_shuffle = true));
    float a[ROOM], b[ROOM];
    int64_t size = weights_of(nets[0], a);
    weights_of(nets[1], b);
    for (int64_t i = 0; i < size; i++)
        if (fabsf(a[i] - b[i]) > 1e-5f) fail_msg("weight %d: %g, fit has %g", (int)i, b[i], a[i]);
    soma_plan_destroy(plan);
    soma_graph_destroy(graph);
    soma_minimizer_destroy(m);
    soma_model_destroy(nets[0]);
    soma_model_destroy(nets[1]);
    soma_dataset_destroy(data);
}

/* Two networks, each with its own optimizer, in one graph: a step of the one leaves the other as it is. */
static void parts_stay_apart(void **state) {
    (void)state;
    soma_model *nets[2];
    soma_minimizer *m[2];
    soma_plan *plans[2];
    soma_graph *graph = soma_graph_create(NULL);
    soma_tensor *x = soma_random_normal(graph, SOMA_F32, SOMA_DIMS(16, 3), 0, 1, NULL), *h = NULL, *y = NULL;
    nets[0] = soma_sequential(soma_dense(5, .activation = soma_tanh, .input_shape = {3}));
    nets[1] = soma_sequential(soma_dense(1, .input_shape = {5}));
    expect_ok(soma_model_apply(nets[0], &x, 1, true, &h));
    expect_ok(soma_model_apply(nets[1], &h, 1, true, &y));
    soma_tensor *loss = soma_mean(soma_square(soma_add_scalar(y, -1)), SOMA_ALL_AXES, false);
    for (int i = 0; i < 2; i++) {
        soma_tensor *targets[32];
        m[i] = soma_minimizer_create(i ? soma_sgd(.learning_rate = 0.1) : soma_adam(), nets[i]);
        expect_ok(soma_minimize(m[i], loss, targets));
        plans[i] = soma_plan_create(targets, soma_minimizer_targets(m[i]), NULL);
        if (!plans[i]) fail_msg("%s", soma_last_error(NULL));
    }
    for (int step = 0; step < 6; step++) {
        float before[2][ROOM], after[2][ROOM];
        int64_t n[2];
        for (int i = 0; i < 2; i++)
            n[i] = weights_of(nets[i], before[i]);
        expect_ok(soma_plan_run(plans[step % 2]));
        for (int i = 0; i < 2; i++) {
            weights_of(nets[i], after[i]);
            bool same = memcmp(before[i], after[i], (size_t)n[i] * sizeof(float)) == 0;
            assert_true(same == (i != step % 2));
        }
    }
    for (int i = 0; i < 2; i++) {
        soma_plan_destroy(plans[i]);
        soma_minimizer_destroy(m[i]);
    }
    soma_graph_destroy(graph);
    soma_model_destroy(nets[0]);
    soma_model_destroy(nets[1]);
}

static void mistakes_are_told(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_dense(2));
    assert_null(soma_minimizer_create(soma_adam(), net));
    expect_error(SOMA_INVALID, "has no weights yet: give the first layer an .input_shape");
    assert_null(soma_minimizer_create_for(soma_adam(), NULL, 0));
    expect_error(SOMA_INVALID, "float32 or float64 variables are needed");
    soma_variable *w = soma_variable_create(NULL, "w", SOMA_F32, SOMA_DIMS(2));
    assert_null(soma_minimizer_create_for(soma_adam(.beta_1 = 2), &w, 1));
    expect_error(SOMA_INVALID, "[adam] beta_1 is 2");
    soma_minimizer *m = soma_minimizer_create_for(NULL, &w, 1);
    soma_tensor *g = soma_zeros(NULL, SOMA_F32, SOMA_DIMS(3)), *targets[8];
    assert_int_equal(soma_minimize_by(m, &g, targets), SOMA_SHAPE);
    expect_error(SOMA_SHAPE, "gradient 0 is (3,) for w (2,)");
    soma_minimizer_destroy(m);
    soma_variable_destroy(w);
    soma_model_destroy(net);
}

/* ---- objectives ---- */

static soma_tensor *as_loss(const soma_objective *o) {
    return soma_mean_squared_error(o->y_true, o->y_pred);
}

/* Half the loss, half the loss on samples that are turned around, for which the model is called again. */
static soma_tensor *both_ways(const soma_objective *o) {
    soma_tensor *turned = soma_neg(o->x), *p = NULL;
    soma_pass pass = {.training = o->training, .step = o->step};
    if (soma_model_forward(o->model, &turned, 1, &pass, &p) != SOMA_OK) return NULL;
    return soma_mul_scalar(soma_add(as_loss(o), soma_mean_squared_error(o->y_true, p)), 0.5);
}

static void objectives_are_minimized(void **state) {
    (void)state;
    soma_dataset *data = data_of(NULL);
    soma_model *a = network(NULL), *b = network(NULL);
    expect_ok(soma_compile(a, .optimizer = adam(NULL, false), .loss = soma_mean_squared_error));
    expect_ok(soma_compile(b, .optimizer = adam(NULL, false), .objective = as_loss));
    for (int i = 0; i < 2; i++)
        expect_ok(soma_fit(i ? b : a, data, .epochs = 3, .batch_size = BATCH, .validation_split = 0.2));
    expect_same_weights(a, b);
    assert_true(soma_history_get(a, "val_loss", -1) == soma_history_get(b, "val_loss", -1));
    expect_ok(soma_compile(b, .optimizer = soma_adam(.learning_rate = 0.02), .objective = both_ways));
    expect_ok(soma_fit(b, data, .epochs = 30, .batch_size = BATCH));
    assert_true(soma_history_get(b, "loss", -1) < 0.8 * soma_history_get(b, "loss", 0));
    soma_model_destroy(a);
    soma_model_destroy(b);
    soma_dataset_destroy(data);
}

static void objectives_have_names(void **state) {
    (void)state;
    NEEDS(JANSSON);
    soma_dataset *data = data_of(NULL);
    soma_model *net = network(NULL);
    expect_ok(soma_compile(net, .objective = both_ways));
    const char *path = scratch_path("objective.soma");
    assert_int_equal(soma_save(net, path), SOMA_INVALID);
    expect_error(SOMA_INVALID, "the loss has no name");
    expect_ok(soma_save(net, path, .custom = {{.name = "both", .function = (soma_function *)both_ways}}));
    assert_null(soma_load(NULL, path));
    expect_error(SOMA_NOT_FOUND, "unknown objective 'both'");
    soma_model *again = soma_load(NULL, path, .custom = {{.name = "both", .function = (soma_function *)both_ways}});
    if (!again) fail_msg("%s", soma_last_error(NULL));
    for (int i = 0; i < 2; i++)
        expect_ok(soma_fit(i ? again : net, data, .epochs = 2));
    expect_same_weights(net, again);
    soma_model_destroy(net);
    soma_model_destroy(again);
    soma_dataset_destroy(data);
}

/* ---- interrupted fits ---- */

typedef struct alarm {
    int64_t left; /* batches until it rings */
    bool validating;
} alarm;

static soma_status ring(void *user, soma_model *net, const soma_logs *logs) {
    alarm *a = user;
    (void)logs;
    if (--a->left == 0) soma_model_request_stop(net);
    return SOMA_OK;
}

enum { EPOCHS = 6, PER_EPOCH = 5 };

static soma_status fit_on(soma_model *net, soma_dataset *data, bool resume, alarm *a) {
    soma_context *context = soma_model_context(net);
    soma_callback bell = {.user = a};
    if (a->validating) {
        bell.on_test_batch_end = ring;
    } else {
        bell.on_train_batch_end = ring;
    }
    return soma_fit(net, data, .epochs = EPOCHS, .batch_size = BATCH, .validation_split = 0.2, .resume = resume,
                    .callbacks = {soma_early_stopping(.patience = 50, .restore_best_weights = true, .context = context),
                                  soma_reduce_lr_on_plateau(.monitor = "loss", .patience = 1, .context = context),
                                  &bell});
}

static soma_model *compiled(soma_context *context) {
    soma_model *net = network(context);
    soma_optimizer *o = soma_adam(.learning_rate = 0.02, .gradient_accumulation_steps = 2, .context = context);
    if (soma_compile(net, .optimizer = o, .loss = soma_mean_squared_error, .metrics = {soma_r2_score}) != SOMA_OK)
        fail_msg("%s", soma_last_error(context));
    return net;
}

/* Interrupted after every possible batch, saved, loaded in a context with another number of threads, gone on with: the
 * same bits, the same history, the same file. */
static void interrupted_fits_go_on(void **state) {
    (void)state;
    NEEDS(JANSSON);
    soma_context *one = soma_context_create(&(soma_context_options){.threads = 1, .seed = 11});
    soma_context *two = soma_context_create(&(soma_context_options){.threads = 2, .seed = 11});
    soma_dataset *data = data_of(one), *same = data_of(two);
    soma_model *whole = compiled(one);
    alarm never = {.left = -1};
    assert_int_equal(fit_on(whole, data, false, &never), SOMA_OK);
    char path[512], first[512], second[512];
    snprintf(path, sizeof path, "%s", scratch_path("interrupted.soma"));
    snprintf(first, sizeof first, "%s", scratch_path("whole.soma"));
    snprintf(second, sizeof second, "%s", scratch_path("pieces.soma"));
    assert_int_equal(soma_save(whole, first), SOMA_OK);
    size_t n, size;
    char *expected = scratch_read(first, &n);
    for (int validating = 0; validating < 2; validating++) {
        for (int64_t after = 1; after < (validating ? EPOCHS * 2 - 1 : EPOCHS * PER_EPOCH); after += validating + 1) {
            soma_model *net = compiled(one);
            alarm a = {.left = after, .validating = validating};
            assert_int_equal(fit_on(net, data, false, &a), SOMA_INTERRUPTED);
            assert_int_equal(soma_save(net, path), SOMA_OK);
            soma_model_destroy(net);
            soma_model *again = soma_load(two, path);
            if (!again) fail_msg("%s", soma_last_error(two));
            soma_set_random_seed(two, 11);
            if (fit_on(again, same, true, &never) != SOMA_OK) fail_msg("%s", soma_last_error(two));
            assert_int_equal(soma_save(again, second), SOMA_OK);
            char *result = scratch_read(second, &size);
            if (n != size || memcmp(expected, result, n) != 0)
                fail_msg("interrupted after %s %d: not the same", validating ? "validation batch" : "batch",
                         (int)after);
            free(result);
            soma_model_destroy(again);
        }
    }
    free(expected);
    soma_model_destroy(whole);
    soma_dataset_destroy(data);
    soma_dataset_destroy(same);
    soma_context_destroy(one);
    soma_context_destroy(two);
}

/* Ends the training, and interrupts it at the same time. */
typedef struct decision {
    int64_t stop_epoch, stop_batch; /* -1: after the epoch */
    bool rings, rings_validating;
} decision;

static soma_status decide_batch(void *user, soma_model *net, const soma_logs *logs) {
    const decision *d = user;
    if (logs->epoch != d->stop_epoch || logs->batch != d->stop_batch) return SOMA_OK;
    soma_model_stop_training(net);
    if (d->rings && !d->rings_validating) soma_model_request_stop(net);
    return SOMA_OK;
}

static soma_status decide_epoch(void *user, soma_model *net, const soma_logs *logs) {
    const decision *d = user;
    if (logs->epoch != d->stop_epoch) return SOMA_OK;
    if (d->stop_batch < 0 && d->stop_epoch + 1 < EPOCHS) soma_model_stop_training(net);
    if (d->rings && d->stop_batch < 0) soma_model_request_stop(net);
    return SOMA_OK;
}

static soma_status decide_validating(void *user, soma_model *net, const soma_logs *logs) {
    const decision *d = user;
    (void)logs;
    if (d->rings_validating) soma_model_request_stop(net);
    return SOMA_OK;
}

static soma_status fit_deciding(soma_model *net, soma_dataset *data, decision *d, bool resume) {
    soma_callback callback = {.user = d, .on_train_batch_end = decide_batch, .on_epoch_end = decide_epoch};
    if (d->rings_validating) callback.on_test_batch_end = decide_validating;
    return soma_fit(net, data, .epochs = EPOCHS, .batch_size = BATCH, .validation_split = 0.2, .resume = resume,
                    .callbacks = {soma_early_stopping(.patience = 50, .restore_best_weights = true), &callback});
}

/* A training that a callback ends, and that is interrupted in the same moment or while it still measures: what comes
 * of it is what would have come without, and no batch more. */
static void decisions_outlast_interruptions(void **state) {
    (void)state;
    NEEDS(JANSSON);
    static const decision cases[] = {
        {.stop_epoch = 2, .stop_batch = -1, .rings = true},          /* after an epoch: fit is done at once */
        {.stop_epoch = EPOCHS - 1, .stop_batch = -1, .rings = true}, /* after the last */
        {.stop_epoch = 2, .stop_batch = 1, .rings = true},
        {.stop_epoch = 2, .stop_batch = PER_EPOCH - 1, .rings = true},
        {.stop_epoch = 0, .stop_batch = 1, .rings = true, .rings_validating = true}};
    soma_dataset *data = data_of(NULL);
    char path[512], first[512], second[512];
    snprintf(path, sizeof path, "%s", scratch_path("decided.soma"));
    snprintf(first, sizeof first, "%s", scratch_path("whole.soma"));
    snprintf(second, sizeof second, "%s", scratch_path("pieces.soma"));
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        decision silent = cases[i], loud = cases[i];
        silent.rings = silent.rings_validating = false;
        soma_model *whole = compiled(NULL), *net = compiled(NULL);
        expect_ok(fit_deciding(whole, data, &silent, false));
        expect_ok(soma_save(whole, first));
        soma_status status = fit_deciding(net, data, &loud, false);
        assert_int_equal(status, cases[i].stop_batch < 0 ? SOMA_OK : SOMA_INTERRUPTED);
        expect_ok(soma_save(net, path));
        soma_model *again = soma_load(NULL, path);
        assert_non_null(again);
        if (status == SOMA_INTERRUPTED) expect_ok(fit_deciding(again, data, &silent, true));
        expect_ok(soma_save(again, second));
        size_t n, size;
        char *expected = scratch_read(first, &n), *result = scratch_read(second, &size);
        if (n != size || memcmp(expected, result, n) != 0) fail_msg("case %d: not the same", i);
        free(expected);
        free(result);
        soma_model_destroy(whole);
        soma_model_destroy(net);
        soma_model_destroy(again);
    }
    soma_dataset_destroy(data);
}

/* In the same program, without a file; and with another batch size, which can't be. */
static void fits_go_on_in_place(void **state) {
    (void)state;
    soma_dataset *data = data_of(NULL);
    soma_model *whole = compiled(NULL), *net = compiled(NULL);
    alarm never = {.left = -1}, a = {.left = 7};
    expect_ok(fit_on(whole, data, false, &never));
    assert_int_equal(fit_on(net, data, false, &a), SOMA_INTERRUPTED);
    assert_int_equal(soma_history_epochs(net), 1);
    assert_int_equal(soma_fit(net, data, .epochs = EPOCHS, .batch_size = 5, .validation_split = 0.2, .resume = true),
                     SOMA_INVALID);
    expect_error(SOMA_INVALID,
                 "[fit] resume: 5 batches of 8 from 40 samples were interrupted, these are 8 of 5 from 40");
    soma_model_destroy(net);
    net = compiled(NULL);
    for (int64_t left = 7; left > 0; left = left == 7 ? 9 : left == 9 ? -1 : 0) { /* 7 and 9 batches, then the rest */
        a.left = left;
        assert_int_equal(fit_on(net, data, left != 7, &a), left < 0 ? SOMA_OK : SOMA_INTERRUPTED);
    }
    a.left = -1;
    expect_ok(fit_on(net, data, true, &a));
    expect_same_weights(whole, net);
    for (int i = 0; i < EPOCHS; i++)
        assert_true(soma_history_get(whole, "loss", i) == soma_history_get(net, "loss", i));
    soma_model_destroy(whole);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

/* ---- averages in place of weights ---- */

static soma_status remember(void *user, soma_model *net, const soma_logs *logs) {
    float *kept = user;
    (void)logs;
    weights_of(net, kept);
    return SOMA_OK;
}

/* Validations are of the averages, steps of the weights: the losses are those of both, measured one after the other. */
static void averages_are_measured(void **state) {
    (void)state;
    soma_dataset *data = data_of(NULL);
    soma_model *plain = network(NULL), *net = network(NULL);
    float at_test[ROOM], at_batch[ROOM], at_end[ROOM], weights[ROOM];
    expect_ok(soma_compile(plain, .optimizer = adam(NULL, false), .loss = soma_mean_squared_error));
    expect_ok(soma_compile(net, .optimizer = adam(NULL, true), .loss = soma_mean_squared_error));
    soma_callback look[3] = {{.user = at_test, .on_test_batch_end = remember},
                             {.user = at_batch, .on_train_batch_end = remember},
                             {.user = at_end, .on_epoch_end = remember}};
    expect_ok(soma_fit(plain, data, .epochs = 2, .batch_size = BATCH, .validation_split = 0.2));
    expect_ok(soma_fit(net, data, .epochs = 2, .batch_size = BATCH, .validation_split = 0.2,
                       .callbacks = {soma_swap_ema_weights(.swap_on_epoch = true), &look[0], &look[1], &look[2]}));
    int64_t n = weights_of(plain, weights);
    assert_memory_equal(at_batch, weights, (size_t)n * sizeof *weights); /* the steps are those of the weights */
    int differ = 0;
    for (int64_t i = 0; i < n; i++)
        differ += at_test[i] != weights[i];
    assert_true(differ > 40);
    assert_memory_equal(at_test, at_end, (size_t)n * sizeof *at_end);
    weights_of(net, weights);
    assert_memory_equal(at_test, weights, (size_t)n * sizeof *weights); /* what fit leaves */
    assert_true(soma_history_get(net, "val_loss", -1) != soma_history_get(plain, "val_loss", -1));
    assert_int_equal(soma_fit(plain, data, .callbacks = {soma_swap_ema_weights()}), SOMA_INVALID);
    expect_error(SOMA_INVALID, "[swap_ema_weights] the optimizer keeps no averages: give it .use_ema = true");
    soma_model_destroy(plain);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

/* ---- memory ---- */

/* A step of one's own and a decoding; SOMA_OK if nothing failed. */
static soma_status step_and_decode(soma_context *context, soma_model *net) {
    soma_optimizer *o =
        soma_muon(.use_ema = true, .gradient_accumulation_steps = 2, .exclude_layers = "dense_1", .context = context);
    soma_minimizer *m = soma_minimizer_create(o, net);
    soma_graph *graph = soma_graph_create(context);
    soma_tensor *x = graph ? soma_ones(graph, SOMA_F32, SOMA_DIMS(3, FEATURES)) : NULL, *y = NULL, *targets[32];
    soma_pass pass = {.training = true};
    soma_plan *plan = NULL;
    soma_status status = m && x ? soma_model_forward(net, &x, 1, &pass, &y) : SOMA_NO_MEMORY;
    if (status == SOMA_OK) status = soma_minimize(m, soma_square(y), targets);
    if (status == SOMA_OK) plan = soma_plan_create(targets, soma_minimizer_targets(m), NULL);
    if (status == SOMA_OK) status = plan ? soma_plan_run(plan) : SOMA_NO_MEMORY;
    float logits[4 * 3] = {0, 1, 2, 2, 1, 0, 1, 2, 0, 2, 0, 1};
    int64_t labels[8];
    soma_tensor *sequence = graph ? soma_array(graph, SOMA_F32, SOMA_DIMS(1, 4, 3), logits) : NULL;
    if (status == SOMA_OK)
        status = soma_ctc_beam_decode(sequence, NULL, &(soma_ctc_beam_options){.top_paths = 2}, labels, NULL);
    soma_plan_destroy(plan);
    soma_graph_destroy(graph);
    soma_minimizer_destroy(m);
    return status;
}

/* All that is above once, with allocation number n failing; whether it was reached. */
static bool without(int64_t n, soma_status *status, float *weights) {
    failing f;
    soma_context *context = failing_context(&f, 1);
    f.refuse = n;
    soma_dataset *data = data_of(context);
    soma_layer *layers[] = {soma_dense(3, .input_shape = {FEATURES}, .context = context),
                            soma_dense(1, .context = context)};
    soma_model *net = soma_sequential_create(context, layers, 2);
    *status = net ? step_and_decode(context, net) : SOMA_NO_MEMORY;
    if (*status == SOMA_OK)
        *status = soma_compile(net, .optimizer = soma_sgd(.use_ema = true, .context = context),
                               .loss = soma_mean_squared_error);
    alarm a = {.left = 1};
    for (int resume = 0; resume < 2 && *status == SOMA_OK; resume++) {
        soma_callback bell = {.user = &a, .on_train_batch_end = ring};
        *status = soma_fit(net, data, .batch_size = 25, .resume = resume,
                           .callbacks = {soma_early_stopping(.monitor = "loss", .context = context),
                                         soma_swap_ema_weights(.context = context), &bell});
        if (!resume && *status == SOMA_INTERRUPTED) *status = SOMA_OK;
    }
    if (*status == SOMA_OK) *status = soma_set_trainable(net, soma_model_get_layer(net, 0), false);
    if (*status == SOMA_OK) weights_of(net, weights);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
    bool refused = n >= 0 && f.requests > n;
    soma_context_destroy(context);
    if (f.blocks != -1 || f.wrong_size)
        fail_msg("%lld blocks left after allocation %lld failed", (long long)f.blocks + 1, (long long)n);
    soma_clear_error(NULL);
    return refused;
}

/* An error, or the same result where only a text for people is missing. */
static void out_of_memory_anywhere(void **state) {
    (void)state;
    soma_status status;
    float whole[ROOM] = {0}, weights[ROOM] = {0};
    int64_t errors = 0, n = 0;
    assert_false(without(-1, &status, whole));
    assert_int_equal(status, SOMA_OK);
    for (; without(n, &status, weights); n++) {
        errors += status != SOMA_OK;
        if (status == SOMA_OK && memcmp(weights, whole, sizeof whole) != 0)
            fail_msg("allocation %lld failed, and nobody said so", (long long)n);
    }
    assert_int_equal(status, SOMA_OK);
    assert_true(errors > n / 2);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(own_loops_are_fits),     TEST(own_loops_compute_the_same),      TEST(parts_stay_apart),
        TEST(mistakes_are_told),      TEST(objectives_are_minimized),        TEST(objectives_have_names),
        TEST(interrupted_fits_go_on), TEST(decisions_outlast_interruptions), TEST(fits_go_on_in_place),
        TEST(averages_are_measured),  TEST(out_of_memory_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
