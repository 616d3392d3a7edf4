/* Training: a run against PyTorch's, what fit, evaluate and predict promise, the progress texts, callbacks, mistakes.
 * Rests on cmocka, nn_golden.h and the failing allocator. Nothing here depends on time: the progress is given its
 * clock. Data are made up by a formula, so that every run sees the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include <soma/soma.h>

#include "nn/model.h"
#include "nn_golden.h"
#include "support/expect.h"
#include "support/failing.h"
#include "support/needs.h"
#include "train/progress.h"

/* ---- data ---- */

enum { SAMPLES = 103, FEATURES = 7, CLASSES = 3 };

/* Three classes of points around three corners. */
static soma_dataset *blobs(soma_context *context) {
    static float x[SAMPLES * FEATURES];
    static uint8_t y[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        y[i] = (uint8_t)(i * 7 % CLASSES);
        for (int j = 0; j < FEATURES; j++)
            x[i * FEATURES + j] = (float)(sin(i * 12.9898 + j * 78.233) * 0.7 + (j % CLASSES == y[i] ? 1.0 : 0.0));
    }
    return soma_dataset_from_arrays(context, (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, FEATURES), x},
                                    (soma_array_data){SOMA_U8, SOMA_DIMS(SAMPLES), y}, false);
}

static soma_model *classifier(soma_context *context, bool dropout) {
    soma_layer *layers[] = {soma_dense(16, .activation = soma_relu, .context = context, .input_shape = {FEATURES}),
                            soma_dropout(dropout ? 0.2 : 0, .context = context),
                            soma_dense(CLASSES, .activation = soma_softmax, .context = context)};
    soma_model *net = soma_sequential_create(context, layers, 3);
    soma_compile(net, .optimizer = soma_adam(.learning_rate = 0.01, .context = context),
                 .loss = soma_sparse_categorical_crossentropy, .metrics = {soma_accuracy});
    return net;
}

/* All weights, one after the other. */
static int64_t weights_of(const soma_model *net, float *out, int64_t room) {
    int64_t n = 0;
    for (int i = 0; i < soma_model_layers(net); i++) {
        for (int j = 0; j < soma_layer_weights(soma_model_get_layer(net, i)); j++) {
            soma_variable *v = soma_layer_get_weight(soma_model_get_layer(net, i), j);
            int64_t size = soma_variable_size(v);
            assert_true(n + size <= room);
            assert_int_equal(soma_variable_get(v, out + n, (size_t)size * 4), SOMA_OK);
            n += size;
        }
    }
    return n;
}

enum { ROOM = 1000 };

/* ---- against PyTorch ---- */

static soma_variable *weight(const soma_model *net, int layer, int i) {
    return soma_layer_get_weight(soma_model_get_layer(net, layer), i);
}

static void expect_weight(const char *name, soma_variable *v, const double *expected) {
    double values[64];
    assert_int_equal(soma_variable_get(v, values, (size_t)soma_variable_size(v) * 8), SOMA_OK);
    for (int64_t i = 0; i < soma_variable_size(v); i++)
        expect_near(name, values[i], expected[i], 1e-12);
}

static void training_is_pytorchs(void **state) {
    (void)state;
    soma_model *net = soma_sequential(
        soma_dense(5, .activation = soma_relu, .dtype = SOMA_F64, .input_shape = {3},
                   .kernel_regularizer = soma_l2(0.02)),
        soma_dense(4, .activation = soma_softmax, .dtype = SOMA_F64, .kernel_regularizer = soma_l1(0.01)));
    const struct {
        const double *before, *after;
        size_t bytes;
    } w[] = {{net_k1, net_k1_after, sizeof net_k1},
             {net_b1, net_b1_after, sizeof net_b1},
             {net_k2, net_k2_after, sizeof net_k2},
             {net_b2, net_b2_after, sizeof net_b2}};
    for (int i = 0; i < 4; i++)
        assert_int_equal(soma_variable_set(weight(net, i / 2, i % 2), w[i].before, w[i].bytes), 0);
    soma_compile(net, .optimizer = soma_sgd(.learning_rate = 0.1, .momentum = 0.9),
                 .loss = soma_sparse_categorical_crossentropy, .metrics = {soma_accuracy});
    soma_tensor *x = soma_array(NULL, SOMA_F64, SOMA_DIMS(7, 3), net_xs);
    soma_tensor *y = soma_cast(soma_array(NULL, SOMA_F64, SOMA_DIMS(7), net_labels), SOMA_I32);
    for (int t = 0; t < 3; t++) {
        soma_scores s = soma_train_on_batch(net, x, y);
        assert_int_equal(s.status, SOMA_OK);
        expect_near("loss", s.loss, net_losses[t], 1e-12);
        expect_near("accuracy", s.metrics[0], net_accuracies[t], 1e-6);
    }
    for (int i = 0; i < 4; i++)
        expect_weight("after three steps", weight(net, i / 2, i % 2), w[i].after);
    soma_model_destroy(net);
}

/* ---- what training promises ---- */

static void one_batch_is_learnt_by_heart(void **state) {
    (void)state;
    soma_dataset *data = blobs(NULL);
    soma_model *net = classifier(NULL, false);
    float before[ROOM], after[ROOM];
    int64_t n = weights_of(net, before, ROOM);
    assert_int_equal(soma_fit(net, data, .batch_size = SAMPLES), SOMA_OK);
    assert_int_equal(weights_of(net, after, ROOM), n);
    /* every weight variable moves in one step */
    for (int64_t at = 0, i = 0; i < 4; i++) {
        int64_t size = soma_variable_size(weight(net, i < 2 ? 0 : 2, (int)(i % 2)));
        assert_memory_not_equal(before + at, after + at, (size_t)size * 4);
        at += size;
    }
    assert_int_equal(soma_fit(net, data, .epochs = 300, .batch_size = SAMPLES), SOMA_OK);
    soma_scores s = soma_evaluate(net, data);
    assert_int_equal(s.status, SOMA_OK);
    assert_true(s.metrics[0] == 1);
    assert_true(s.loss < 0.02);
    assert_int_equal(soma_updates(net), 301);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

static soma_status stop_late(void *user, soma_model *model, const soma_logs *logs) {
    if (logs->epoch + 1 == *(const int64_t *)user) soma_model_stop_training(model);
    return SOMA_OK;
}

/* More epochs than there could be room for: the history grows as they pass. */
static void there_may_be_any_number_of_epochs(void **state) {
    (void)state;
    int64_t last = (1 << 16) + 3;
    const float one = 1;
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(1, 1), &one},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(1, 1), &one}, true);
    soma_model *net =
        soma_sequential(soma_dense(1, .no_bias = true, .kernel_initializer = soma_all_zeros(), .input_shape = {1}));
    expect_ok(soma_compile(net, .optimizer = soma_sgd(.learning_rate = 1e-6), .loss = soma_mean_squared_error));
    soma_callback stop = {.user = &last, .on_epoch_end = stop_late};
    expect_ok(soma_fit(net, data, .epochs = 1000000000, .callbacks = {&stop}));
    assert_int_equal(soma_history_epochs(net), last);
    assert_true(soma_history_get(net, "loss", 0) == 1);
    for (int64_t i = 1; i < last; i += last / 7) /* w += 2e-6 (1 - w) */
        assert_true(fabs(soma_history_get(net, "loss", i) - exp(-4e-6 * (double)i)) < 1e-3);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

static void frozen_layers_stay(void **state) {
    (void)state;
    soma_dataset *data = blobs(NULL);
    soma_model *net = soma_sequential(soma_dense(4, .frozen = true, .activation = soma_tanh), soma_dense(CLASSES));
    soma_compile(net, .loss = soma_sparse_categorical_crossentropy_from_logits);
    assert_int_equal(soma_model_build(net, 1, (int64_t[]){FEATURES}), SOMA_OK);
    float before[ROOM], after[ROOM];
    weights_of(net, before, ROOM);
    assert_int_equal(soma_fit(net, data), SOMA_OK);
    weights_of(net, after, ROOM);
    assert_memory_equal(before, after, 4 * (FEATURES * 4 + 4));
    assert_memory_not_equal(before + FEATURES * 4 + 4, after + FEATURES * 4 + 4, 4 * (4 * CLASSES + CLASSES));
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

/* Three epochs with dropout, batches of 16 and a rest of 7, in a context with so many threads. */
static int64_t train_with_threads(int threads, float *out) {
    soma_context *context = soma_context_create(&(soma_context_options){.threads = threads, .seed = 42});
    soma_dataset *data = blobs(context);
    soma_model *net = classifier(context, true);
    assert_int_equal(soma_fit(net, data, .epochs = 3, .batch_size = 16), SOMA_OK);
    assert_int_equal(soma_updates(net), 3 * 7);
    int64_t n = weights_of(net, out, ROOM);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
    soma_context_destroy(context);
    return n;
}

static void threads_do_not_show(void **state) {
    (void)state;
    float one[ROOM], more[ROOM];
    int64_t n = train_with_threads(1, one);
    for (int threads = 2; threads <= 7; threads += 1 + 2 * (threads > 2)) {
        assert_int_equal(train_with_threads(threads, more), n);
        assert_memory_equal(one, more, (size_t)n * 4);
    }
}

/* Two fits of one epoch, the second going on, are a fit of two. */
static void fit_goes_on(void **state) {
    (void)state;
    float whole[ROOM], parts[ROOM];
    soma_dataset *data = blobs(NULL);
    soma_model *net = classifier(NULL, true);
    assert_int_equal(soma_fit(net, data, .epochs = 2), SOMA_OK);
    int64_t n = weights_of(net, whole, ROOM);
    double loss = soma_history_get(net, "loss", 1);
    soma_model_destroy(net);
    net = classifier(NULL, true);
    assert_int_equal(soma_fit(net, data, .epochs = 1), SOMA_OK);
    assert_int_equal(soma_fit(net, data, .epochs = 2, .initial_epoch = 1), SOMA_OK);
    weights_of(net, parts, ROOM);
    assert_memory_equal(whole, parts, (size_t)n * 4);
    assert_int_equal(soma_history_epochs(net), 2);
    assert_true(soma_history_get(net, "loss", -1) == loss);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

/* After the first epoch nothing is allocated. */
typedef struct counter {
    failing *allocator;
    int64_t after_first;
    int epochs;
} counter;

static soma_status count_requests(void *user, soma_model *net, const soma_logs *logs) {
    (void)net;
    counter *c = user;
    if (logs->epoch == 0 && logs->batch == 0) c->after_first = c->allocator->requests;
    c->epochs = (int)logs->epoch + 1;
    return SOMA_OK;
}

static void steps_allocate_nothing(void **state) {
    (void)state;
    failing f;
    soma_context *context = failing_context(&f, 2);
    soma_dataset *data = blobs(context);
    soma_model *net = classifier(context, true);
    counter c = {.allocator = &f};
    soma_callback callback = {.user = &c, .on_train_batch_end = count_requests};
    assert_int_equal(
        soma_fit(net, data, .epochs = 5, .batch_size = 16, .validation_split = 0.2, .callbacks = {&callback}), SOMA_OK);
    assert_int_equal(c.epochs, 5);
    assert_int_equal(f.requests, c.after_first);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
    soma_context_destroy(context);
    assert_int_equal(f.blocks, -1); /* all, and the context */
    assert_false(f.wrong_size);
}

/* What refused memory was for, as far as there is something to do about it. */
enum { FOR_WEIGHT, FOR_OPTIMIZER, FOR_TRAINING, FOR_MEASURING, PURPOSES };
static const char *const purposes[] = {" bytes were refused for 'dense/kernel' (7,16)",
                                       " bytes were refused for 'optimizer/dense/kernel/velocity' (7,16)",
                                       " bytes were refused for the plan of training 32 samples at once: smaller",
                                       " bytes were refused for the plan of measuring 21 samples at once: smaller"};

/* A short training in which allocation number n fails; whether it was reached. */
static bool train_without(int64_t n, soma_status *status, float *out, int told[PURPOSES]) {
    failing f;
    soma_context *context = failing_context(&f, 1);
    f.refuse = n;
    soma_dataset *data = blobs(context);
    soma_model *net = classifier(context, true);
    *status = soma_fit(net, data, .epochs = 2, .validation_split = 0.2);
    if (*status == SOMA_OK) weights_of(net, out, ROOM);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
    bool refused = f.requests > n && n >= 0;
    if (refused && soma_last_status(context) != SOMA_NO_MEMORY)
        fail_msg("allocation %lld: %s", (long long)n, soma_last_error(context));
    for (int i = 0; i < PURPOSES; i++)
        told[i] += strstr(soma_last_error(context), purposes[i]) != NULL;
    soma_context_destroy(context);
    if (f.blocks != -1 || f.wrong_size)
        fail_msg("%lld blocks left after allocation %lld failed", (long long)f.blocks + 1, (long long)n);
    soma_clear_error(NULL);
    return refused;
}

/* The n-th allocation fails, n = 0, 1, 2, ...: an error, or the same result where only a text for people is missing. */
static void out_of_memory_anywhere(void **state) {
    (void)state;
    float whole[ROOM] = {0}, weights[ROOM] = {0};
    soma_status status;
    int told[PURPOSES] = {0};
    assert_false(train_without(-1, &status, whole, told));
    assert_int_equal(status, SOMA_OK);
    for (int64_t n = 0; train_without(n, &status, weights, told); n++) {
        if (status == SOMA_OK) assert_memory_equal(weights, whole, sizeof whole);
    }
    assert_int_equal(status, SOMA_OK);
    for (int i = 0; i < PURPOSES; i++)
        if (!told[i]) fail_msg("no text says '%s'", purposes[i]);
}

/* ---- measuring and predicting ---- */

static void evaluate_and_predict_agree(void **state) {
    (void)state;
    soma_dataset *data = blobs(NULL);
    soma_model *net = classifier(NULL, true);
    assert_int_equal(soma_fit(net, data, .epochs = 5), SOMA_OK);
    soma_scores whole = soma_evaluate(net, data), small = soma_evaluate(net, data, .batch_size = 10);
    assert_int_equal(small.status, SOMA_OK);
    expect_near("loss", small.loss, whole.loss, 1e-6);
    expect_near("accuracy", small.metrics[0], whole.metrics[0], 1e-6);
    soma_tensor *p = soma_predict(net, data), *q = soma_predict(net, data, .batch_size = 10);
    assert_int_equal(soma_dim(p, 0), SAMPLES);
    assert_int_equal(soma_dim(p, 1), CLASSES);
    const uint8_t *y = soma_dataset_y(data).data;
    double loss = 0;
    int right = 0;
    soma_tensor *best = soma_argmax(p, -1, false);
    for (int i = 0; i < SAMPLES; i++) {
        loss -= log(soma_item(p, i * CLASSES + y[i])) / SAMPLES;
        right += (int)soma_item(best, i) == y[i];
        expect_near("batch size", soma_item(q, i), soma_item(p, i), 1e-6);
    }
    expect_near("loss", whole.loss, loss, 1e-5);
    expect_near("accuracy", whole.metrics[0], (double)right / SAMPLES, 1e-6);
    float one[CLASSES];
    assert_int_equal(soma_predict_on_batch(net, 1, SOMA_F32, soma_dataset_x(data).data, one), SOMA_OK);
    for (int i = 0; i < CLASSES; i++)
        expect_near("one", (double)one[i], soma_item(p, i), 1e-6);
    soma_tensor *x = soma_array(NULL, SOMA_F32, SOMA_DIMS(SAMPLES, FEATURES), soma_dataset_x(data).data);
    soma_scores batch = soma_test_on_batch(net, x, soma_array(NULL, SOMA_U8, SOMA_DIMS(SAMPLES), y));
    expect_near("test_on_batch", batch.loss, whole.loss, 1e-6);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

static void pixels_are_scaled(void **state) {
    (void)state;
    const uint8_t x[] = {0, 51, 255, 102};
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_U8, SOMA_DIMS(2, 2, 1), x},
                                                  (soma_array_data){.data = NULL}, true);
    soma_model *net = soma_sequential(soma_dense(2, .input_shape = {2})); /* samples are (2,1): as many elements */
    assert_int_equal(soma_variable_set(weight(net, 0, 0), (float[]){1, 0, 0, 1}, 16), SOMA_OK);
    soma_tensor *y = soma_predict(net, data);
    const double expected[] = {0, 0.2, 1, 0.4}, raw[] = {0, 51, 255, 102}, shifted[] = {-1, 50, 254, 101};
    for (int i = 0; i < 4; i++)
        expect_near("x / 255", soma_item(y, i), expected[i], 1e-6);
    assert_int_equal(soma_set_pixel_scale(net, 1, -1), SOMA_OK);
    y = soma_predict(net, data);
    for (int i = 0; i < 4; i++)
        expect_near("x - 1", soma_item(y, i), shifted[i], 1e-6);
    soma_model_destroy(net);
    net = soma_sequential(soma_rescaling(1.0), soma_flatten());
    y = soma_predict(net, data);
    for (int i = 0; i < 4; i++)
        expect_near("rescaling", soma_item(y, i), raw[i], 0);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

/* ---- validation ---- */

static void the_last_samples_validate(void **state) {
    (void)state;
    soma_dataset *data = blobs(NULL);
    soma_model *net = classifier(NULL, false);
    /* floor(103 * 0.7) = 72 train, 31 validate */
    assert_int_equal(soma_fit(net, data, .validation_split = 0.3, .batch_size = 10), SOMA_OK);
    assert_int_equal(soma_updates(net), 8);
    soma_dataset *held_out = soma_dataset_slice(data, 72, SOMA_END);
    soma_scores s = soma_evaluate(net, held_out, .batch_size = 10);
    assert_true(soma_history_get(net, "val_loss", 0) == s.loss);
    assert_true(soma_history_get(net, "val_accuracy", 0) == s.metrics[0]);
    static const char *const names[] = {"accuracy", "loss", "val_accuracy", "val_loss"};
    for (int i = 0; i < 4; i++)
        assert_string_equal(soma_history_name(net, i), names[i]);
    assert_null(soma_history_name(net, 4));
    assert_true(isnan(soma_history_get(net, "val_loss", 1)));
    assert_true(isnan(soma_history_get(net, "nonsense", 0)));
    /* every second epoch */
    assert_int_equal(soma_fit(net, data, .epochs = 3, .validation_data = held_out, .validation_freq = 2), SOMA_OK);
    assert_true(isnan(soma_history_get(net, "val_loss", 0)) && !isnan(soma_history_get(net, "val_loss", 1)));
    /* without validation its columns are gone */
    assert_int_equal(soma_fit(net, data), SOMA_OK);
    assert_null(soma_history_name(net, 2));
    soma_model_destroy(net);
    soma_dataset_destroy(held_out);
    soma_dataset_destroy(data);
}

/* ---- callbacks ---- */

typedef struct record {
    char calls[400];
    int64_t stop_after, interrupt_after;
    soma_status fail;
} record;

static soma_status note(record *r, const char *what) {
    if (strlen(r->calls) + strlen(what) + 2 < sizeof r->calls) strcat(strcat(r->calls, what), " ");
    return SOMA_OK;
}

#define HOOK(name)                                                                                                     \
    static soma_status name(void *user, soma_model *net, const soma_logs *logs) {                                      \
        (void)net, (void)logs;                                                                                         \
        return note(user, #name);                                                                                      \
    }
HOOK(train_begin)
HOOK(train_end)
HOOK(epoch_begin)
HOOK(batch_begin)
HOOK(test_begin)
HOOK(test_end)
HOOK(test_batch)
#undef HOOK

static soma_status epoch_end(void *user, soma_model *net, const soma_logs *logs) {
    record *r = user;
    assert_string_equal(logs->names[0], "accuracy");
    assert_true(logs->values[1] == logs->values[1] && logs->seconds >= 0);
    if (logs->epoch + 1 == r->stop_after) soma_model_stop_training(net);
    (void)note(r, "epoch_end");
    return r->fail;
}

static soma_status batch_end(void *user, soma_model *net, const soma_logs *logs) {
    record *r = user;
    if (logs->batch + 1 == r->interrupt_after) soma_model_request_stop(net);
    return note(r, "batch_end");
}

static const soma_callback recorder = {.on_train_begin = train_begin,
                                       .on_train_end = train_end,
                                       .on_epoch_begin = epoch_begin,
                                       .on_epoch_end = epoch_end,
                                       .on_train_batch_begin = batch_begin,
                                       .on_train_batch_end = batch_end,
                                       .on_test_begin = test_begin,
                                       .on_test_end = test_end,
                                       .on_test_batch_end = test_batch};

static void callbacks_are_called(void **state) {
    (void)state;
    soma_dataset *data = blobs(NULL);
    soma_model *net = classifier(NULL, false);
    record r = {.stop_after = 1};
    soma_callback c = recorder;
    c.user = &r;
    assert_int_equal(soma_fit(net, data, .epochs = 9, .batch_size = 60, .validation_data = data, .callbacks = {&c}),
                     SOMA_OK);
    assert_string_equal(r.calls, "train_begin epoch_begin batch_begin batch_end batch_begin batch_end "
                                 "test_begin test_batch test_batch test_end epoch_end train_end ");
    assert_int_equal(soma_history_epochs(net), 1);
    /* an interruption ends the batch, not the epoch */
    r = (record){.interrupt_after = 1};
    assert_int_equal(soma_fit(net, data, .epochs = 9, .batch_size = 60, .callbacks = {&c}), SOMA_INTERRUPTED);
    assert_string_equal(r.calls, "train_begin epoch_begin batch_begin batch_end ");
    assert_int_equal(soma_history_epochs(net), 0);
    assert_int_equal(soma_updates(net), 3);
    /* one that comes before the training counts too, once */
    soma_model_request_stop(net);
    assert_int_equal(soma_fit(net, data), SOMA_INTERRUPTED);
    assert_int_equal(soma_fit(net, data), SOMA_OK);
    /* a hook's own error ends the training with it */
    r = (record){.fail = SOMA_IO};
    assert_int_equal(soma_fit(net, data, .epochs = 9, .callbacks = {&c}), SOMA_IO);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

/* ---- progress ---- */

typedef struct sink {
    char text[4000];
    size_t length;
} sink;

static void collect(void *user, const char *bytes, size_t n) {
    sink *s = user;
    assert_true(s->length + n < sizeof s->text);
    memcpy(s->text + s->length, bytes, n);
    s->length += n;
    s->text[s->length] = 0;
}

static const char *const names[] = {"accuracy", "loss", "val_accuracy", "val_loss"};

static void lines_are_keras(void **state) {
    (void)state;
    sink s = {.length = 0};
    progress p;
    progress_init(&p, NULL, SOMA_VERBOSE_LINE, collect, &s);
    progress_begin(&p, 0, 5, 469, 100);
    progress_step(&p, 1, 100.5, NULL, NULL, 0);
    progress_step(&p, 469, 101.2, NULL, NULL, 0);
    progress_end(&p, 0, 101.2, names, (double[]){0.92541, 0.25709, 0.961, 0.1291}, 4);
    assert_string_equal(s.text, "Epoch 1/5\n469/469 - 1s - 1ms/step - accuracy: 0.9254 - loss: 0.2571 - "
                                "val_accuracy: 0.9610 - val_loss: 0.1291\n");
    s.length = 0; /* one epoch only: no title; small numbers, small steps */
    progress_begin(&p, 0, 1, 4, 0);
    progress_step(&p, 1, 0.001, NULL, NULL, 0);
    progress_step(&p, 4, 0.0011, NULL, NULL, 0);
    progress_end(&p, 0, 0.0011, names, (double[]){1, 0.000512}, 2);
    assert_string_equal(s.text, "4/4 - 0s - 33us/step - accuracy: 1.0000 - loss: 5.1200e-04\n");
    s.length = 0; /* unknown number of batches, slow steps */
    progress_begin(&p, 0, 1, 0, 0);
    progress_step(&p, 1, 2, NULL, NULL, 0);
    progress_step(&p, 3, 8, NULL, NULL, 0);
    progress_end(&p, 0, 8, names, (double[]){1, 2}, 2);
    assert_string_equal(s.text, "      3/Unknown - 8s - 3s/step - accuracy: 1.0000 - loss: 2.0000\n");
    progress_deinit(&p);
}

static void json_lines(void **state) {
    (void)state;
    sink s = {.length = 0};
    progress p;
    progress_init(&p, NULL, SOMA_VERBOSE_JSON, collect, &s);
    progress_begin(&p, 1, 5, 469, 10);
    progress_step(&p, 469, 10.5, NULL, NULL, 0);
    progress_end(&p, 1, 10.5, names, (double[]){0.5, (double)NAN}, 2);
    assert_string_equal(s.text, "{\"epoch\": 2, \"accuracy\": 0.5, \"loss\": null, \"seconds\": 0.5}\n");
    progress_deinit(&p);
}

#define GREEN(cells) "\033[32m" cells "\033[0m"
#define WHITE(cells) "\033[37m" cells "\033[0m"
#define TEN "━━━━━━━━━━"

static void bars_are_keras(void **state) {
    (void)state;
    sink s = {.length = 0};
    progress p;
    progress_init(&p, NULL, SOMA_VERBOSE_BAR, collect, &s);
    progress_begin(&p, 0, 2, 200, 0);
    progress_step(&p, 1, 1, names, (double[]){0.5, 2}, 2);
    /* the first step took a second, 199 are to come */
    assert_string_equal(
        s.text, "Epoch 1/2\n\r\033[1m  1/200\033[0m " WHITE(TEN TEN) " 3:19 1s/step - accuracy: 0.5000 - loss: 2.0000");
    s.length = 0;
    progress_step(&p, 50, 1.01, names, (double[]){0.5, 2}, 2); /* too soon to draw again */
    assert_int_equal(s.length, 0);
    progress_step(&p, 100, 1.99, names, (double[]){0.5, 2}, 2);
    size_t width = strlen("  1/200 ") + 20 + strlen(" 3:19 1s/step - accuracy: 0.5000 - loss: 2.0000");
    for (size_t i = 0; i < width; i++)
        assert_int_equal(s.text[i], '\b');
    assert_int_equal(s.text[width], '\r');
    assert_string_equal(s.text + width + 1, "\033[1m100/200\033[0m " GREEN(TEN)
                                                WHITE(TEN) " 1s 10ms/step - accuracy: 0.5000 - loss: 2.0000");
    s.length = 0;
    progress_step(&p, 200, 2.0, names, (double[]){0.5, 2}, 2);
    progress_end(&p, 0, 3.99, names, (double[]){0.75, 1}, 2);
    const char *last = strrchr(s.text, '\r');
    assert_non_null(last);
    assert_string_equal(last + 1, "\033[1m200/200\033[0m " GREEN(TEN TEN)
                                      WHITE("") " 4s 15ms/step - accuracy: 0.7500 - loss: 1.0000\n");
    progress_deinit(&p);
}

/* A line that wraps could not be taken back. */
static void bars_fit_the_terminal(void **state) {
    (void)state;
    sink s = {.length = 0};
    progress p;
    progress_init(&p, NULL, SOMA_VERBOSE_BAR, collect, &s);
    progress_begin(&p, 0, 1, 200, 0);
    p.columns = 61;
    progress_step(&p, 1, 1, names, (double[]){0.5, 2}, 2);
    assert_string_equal(s.text, "\r\033[1m  1/200\033[0m " WHITE(TEN TEN) " 3:19 1s/step - accuracy: 0.5000");
    s.length = 0;
    p.columns = 40;
    progress_step(&p, 2, 2, names, (double[]){0.5, 2}, 2); /* no room for the times */
    assert_int_equal(s.length, 0);
    p.columns = 61;
    progress_end(&p, 0, 3, names, (double[]){0.5, 2}, 2); /* it stays, so it may wrap */
    assert_non_null(strstr(s.text, " - accuracy: 0.5000 - loss: 2.0000\n"));
    progress_deinit(&p);
}

static void fit_writes_where_it_is_told(void **state) {
    (void)state;
    soma_dataset *data = blobs(NULL);
    soma_model *net = classifier(NULL, false);
    sink s = {.length = 0};
    assert_int_equal(soma_fit(net, data, .epochs = 2, .verbose = SOMA_VERBOSE_LINE, .write = collect, .write_user = &s),
                     SOMA_OK);
    assert_true(strncmp(s.text, "Epoch 1/2\n4/4 - ", 16) == 0);
    assert_non_null(strstr(s.text, "Epoch 2/2\n4/4 - "));
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

/* ---- mistakes ---- */

static void mistakes_are_told_before_training(void **state) {
    (void)state;
    soma_dataset *data = blobs(NULL);
    soma_model *net = soma_sequential(soma_dense(2, .activation = soma_softmax));
    assert_int_equal(soma_fit(net, data), SOMA_INVALID);
    expect_error(SOMA_INVALID, "must be compiled first");
    soma_compile(net, .loss = soma_sparse_categorical_crossentropy);
    assert_int_equal(soma_fit(net, data), SOMA_INVALID);
    expect_error(SOMA_INVALID, "[fit] label 2 is out of range: the model has 2 classes, 0 to 1");
    assert_int_equal(soma_fit(net, NULL), SOMA_INVALID);
    expect_error(SOMA_INVALID, "[fit] no data given");
    soma_model_destroy(net);
    net = soma_sequential(soma_dense(3, .input_shape = {5}));
    soma_compile(net, .loss = soma_mean_squared_error);
    assert_int_equal(soma_fit(net, data), SOMA_SHAPE);
    expect_error(SOMA_SHAPE, "[fit] samples are (7,), the model takes (5,)");
    assert_int_equal(soma_evaluate(net, data).status, SOMA_SHAPE);
    assert_true(isnan(soma_evaluate(net, data).loss));
    soma_clear_error(NULL);
    soma_model_destroy(net);
    net = classifier(NULL, false);
    assert_int_equal(soma_fit(net, data, .validation_split = 1), SOMA_INVALID);
    expect_error(SOMA_INVALID, "validation_split is 1");
    assert_int_equal(soma_fit(net, data, .batch_size = -1), SOMA_INVALID);
    soma_clear_error(NULL);
    soma_dataset *blind = soma_dataset_from_arrays(NULL, soma_dataset_x(data), (soma_array_data){.data = NULL}, true);
    assert_int_equal(soma_fit(net, blind), SOMA_INVALID);
    expect_error(SOMA_INVALID, "have no labels");
    assert_non_null(soma_predict(net, blind));
    soma_dataset_destroy(blind);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
    /* the whole program of the manual without its data: one error at the end, the first */
    net = classifier(NULL, false);
    assert_int_equal(soma_fit(net, soma_idx("/nowhere/train")), SOMA_INVALID);
    assert_int_equal(soma_last_status(NULL), SOMA_NOT_FOUND);
    soma_clear_error(NULL);
    soma_model_destroy(net);
    assert_int_equal(soma_fit(NULL, NULL), SOMA_INVALID);
    assert_null(soma_predict(NULL, NULL));
    soma_clear_error(NULL);
}

/* A compile that fails, whatever it had taken already, leaves optimizer, metrics and history as they were. */
static void failed_compiles_change_nothing(void **state) {
    (void)state;
    float weights[2][ROOM] = {{0}};
    for (int i = 0; i < 2; i++) {
        failing f = {.refuse = -1};
        soma_context *context = failing_context(&f, 1);
        soma_dataset *data = blobs(context);
        soma_model *net = classifier(context, false);
        expect_ok(soma_fit(net, data));
        if (i == 1) {
            const soma_output_options heavy = {.loss = soma_mean_squared_error, .loss_weight = NAN};
            assert_int_equal(soma_compile(net, .outputs = {heavy}), SOMA_INVALID);
            assert_int_equal(soma_compile(net, .metrics = {soma_accuracy}), SOMA_INVALID);
            assert_int_equal(soma_compile(net, .loss = soma_mean_squared_error, .precision = "float33"),
                             SOMA_NOT_FOUND);
            assert_int_equal(soma_compile(net, .optimizer = soma_sgd(.momentum = 2), .loss = soma_mean_squared_error),
                             SOMA_INVALID);
            f.refuse = f.requests;
            assert_int_equal(soma_compile(net, .loss = soma_mean_squared_error), SOMA_NO_MEMORY);
            f.refuse = -1;
            assert_int_equal(soma_last_status(context), SOMA_INVALID);
            soma_clear_error(context);
            soma_clear_error(NULL);
            assert_string_equal(soma_metric_name(net, 0), "accuracy");
            assert_int_equal(soma_history_epochs(net), 1);
        }
        assert_true(soma_updates(net) > 0);
        expect_ok(soma_fit(net, data));
        assert_int_equal(weights_of(net, weights[i], ROOM), FEATURES * 16 + 16 + 16 * CLASSES + CLASSES);
        soma_model_destroy(net);
        soma_dataset_destroy(data);
        soma_context_destroy(context);
    }
    assert_memory_equal(weights[0], weights[1], sizeof weights[0]);
}

static void divergence_is_noticed(void **state) {
    (void)state;
    soma_dataset *data = blobs(NULL);
    soma_model *net = soma_sequential(soma_dense(3));
    soma_compile(net, .optimizer = soma_sgd(.learning_rate = 1e20), .loss = soma_mean_squared_error);
    const float y[SAMPLES * 3] = {1};
    soma_dataset *regression = soma_dataset_from_arrays(NULL, soma_dataset_x(data),
                                                        (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, 3), y}, true);
    assert_int_equal(soma_fit(net, regression, .terminate_on_nan = true), SOMA_DIVERGED);
    expect_error(SOMA_DIVERGED, "[fit] epoch 1: Batch ");
    sink s = {.length = 0};
    expect_ok(soma_fit(net, regression, .verbose = SOMA_VERBOSE_LINE, .write = collect, .write_user = &s));
    if (!strstr(s.text, " - loss: nan\n")) fail_msg("%s", s.text); /* as Keras; 0 / 0 has a sign */
    assert_false(signbit(soma_history_get(net, "loss", -1)));
    soma_model_destroy(net);
    soma_dataset_destroy(regression);
    soma_dataset_destroy(data);
}

static void rates_can_be_changed(void **state) {
    (void)state;
    soma_dataset *data = blobs(NULL);
    soma_model *net = classifier(NULL, false);
    expect_near("rate", soma_learning_rate(net), 0.01, 0);
    assert_int_equal(soma_fit(net, data), SOMA_OK);
    float before[ROOM], after[ROOM];
    int64_t n = weights_of(net, before, ROOM);
    assert_int_equal(soma_set_learning_rate(net, 0), SOMA_OK);
    assert_int_equal(soma_fit(net, data), SOMA_OK);
    weights_of(net, after, ROOM);
    assert_memory_equal(before, after, (size_t)n * 4);
    assert_int_equal(soma_set_learning_rate(net, -1), SOMA_INVALID);
    soma_clear_error(NULL);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

static void compile_by_names(void **state) {
    (void)state;
    NEEDS(JANSSON);
    soma_dataset *data = blobs(NULL);
    soma_model *net = soma_sequential(soma_dense(CLASSES, .activation = soma_softmax));
    assert_int_equal(soma_model_compile_json(net, "{\"optimizer\": {\"adam\": {\"learning_rate\": 0.5}}, \"metrics\": "
                                                  "[\"acc\", \"ce\"], \"loss\": \"sparse_categorical_crossentropy\"}"),
                     SOMA_OK);
    expect_near("rate", soma_learning_rate(net), 0.5, 0);
    assert_int_equal(soma_fit(net, data), SOMA_OK);
    assert_string_equal(soma_history_name(net, 0), "acc");
    assert_string_equal(soma_metric_name(net, 1), "ce");
    expect_near("ce", soma_history_get(net, "ce", 0), soma_history_get(net, "loss", 0), 1e-5);
    assert_int_equal(soma_model_compile_json(net, "{\"optimiser\": \"adam\", \"loss\": \"mse\"}"), SOMA_NOT_FOUND);
    expect_error(SOMA_NOT_FOUND, "did you mean 'optimizer'?");
    assert_int_equal(
        soma_model_compile_json(net, "{\"optimizer\": {\"adam\": {\"learning_rat\": 0.5}}, \"loss\": \"mse\"}"),
        SOMA_NOT_FOUND);
    expect_error(SOMA_NOT_FOUND, "[adam] unknown option 'learning_rat'; did you mean 'learning_rate'?");
    soma_model_destroy(net);
    soma_dataset_destroy(data);
}

/* A custom training step on the level below: the same as the model's own. */
static void steps_of_the_users_own(void **state) {
    (void)state;
    soma_model *net = soma_sequential(soma_dense(1, .input_shape = {2}, .kernel_initializer = soma_all_ones()));
    soma_graph *g = soma_graph_create(NULL);
    soma_tensor *x = soma_array(g, SOMA_F32, SOMA_DIMS(2, 2), (float[]){1, 2, 3, 4}), *y;
    assert_int_equal(soma_model_apply(net, &x, 1, true, &y), SOMA_OK);
    soma_tensor *w = soma_weight(g, weight(net, 0, 0)), *dw;
    assert_int_equal(soma_grad(soma_sum(y, SOMA_ALL_AXES, false), &w, 1, &dw), SOMA_OK);
    soma_tensor *update = soma_assign(weight(net, 0, 0), soma_sub(w, soma_mul_scalar(dw, 0.5)));
    soma_plan *plan = soma_plan_create(&update, 1, NULL);
    assert_non_null(plan);
    assert_int_equal(soma_plan_run(plan), SOMA_OK);
    float values[2];
    assert_int_equal(soma_variable_get(weight(net, 0, 0), values, sizeof values), SOMA_OK);
    assert_true(values[0] == -1 && values[1] == -2);
    soma_plan_destroy(plan);
    soma_graph_destroy(g);
    soma_model_destroy(net);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(training_is_pytorchs),
        TEST(one_batch_is_learnt_by_heart),
        TEST(there_may_be_any_number_of_epochs),
        TEST(frozen_layers_stay),
        TEST(threads_do_not_show),
        TEST(fit_goes_on),
        TEST(steps_allocate_nothing),
        TEST(out_of_memory_anywhere),
        TEST(evaluate_and_predict_agree),
        TEST(pixels_are_scaled),
        TEST(the_last_samples_validate),
        TEST(callbacks_are_called),
        TEST(lines_are_keras),
        TEST(json_lines),
        TEST(bars_are_keras),
        TEST(bars_fit_the_terminal),
        TEST(fit_writes_where_it_is_told),
        TEST(mistakes_are_told_before_training),
        TEST(failed_compiles_change_nothing),
        TEST(divergence_is_noticed),
        TEST(rates_can_be_changed),
        TEST(compile_by_names),
        TEST(steps_of_the_users_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
