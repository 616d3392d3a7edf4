/* Callbacks: what they do and say at scripted measurements, logs of one run compared with each other, and trainings
 * that are killed.
 * Rests on cmocka, fork and signals. The event file is read by a reader of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <soma/soma.h>

#include "formats/event_file.h"
#include "nn/model.h"
#include "support/needs.h"
#include "support/scratch.h"

static char said[4096];

static void hear(void *user, const char *words, size_t n) {
    (void)user;
    size_t at = strlen(said);
    if (at + n < sizeof said) memcpy(said + at, words, n), said[at + n] = 0;
}

static int reset(void **state) {
    (void)state;
    soma_graph_reset(NULL);
    soma_clear_error(NULL);
    soma_set_random_seed(NULL, 0);
    said[0] = 0;
    return 0;
}

/* ---- scripted measurements ---- */

static soma_model *one_weight(void) {
    soma_model *net = soma_sequential(soma_dense(1, .no_bias = true, .input_shape = {1}));
    assert_int_equal(soma_compile(net, .optimizer = soma_sgd(), .loss = soma_mean_squared_error), SOMA_OK);
    return net;
}

static soma_variable *weight_of(soma_model *net) {
    return soma_layer_get_weight(soma_model_get_layer(net, 0), 0);
}

static float value_of(soma_model *net) {
    float w;
    assert_int_equal(soma_variable_get(weight_of(net), &w, sizeof w), SOMA_OK);
    return w;
}

/* Runs a callback over epochs in which a number has these values and the weight is the epoch's number. Returns how many
 * epochs it let happen. */
static int play(soma_model *net, soma_callback *c, const char *name, const double *values, int n) {
    double value;
    soma_logs logs = {.epochs = n, .n = 1, .names = &name, .values = &value, .write = hear};
    int epoch = 0;
    atomic_store(&net->stop, MODEL_RUNS);
    if (c->on_train_begin && c->on_train_begin(c->user, net, &logs) != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
    while (epoch < n && atomic_load(&net->stop) == MODEL_RUNS) {
        float w = (float)epoch;
        value = values[epoch];
        logs.epoch = epoch++;
        assert_int_equal(soma_variable_set(weight_of(net), &w, sizeof w), SOMA_OK);
        if (c->on_epoch_begin) assert_int_equal(c->on_epoch_begin(c->user, net, &logs), SOMA_OK);
        if (c->on_epoch_end(c->user, net, &logs) != SOMA_OK) fail_msg("%s", soma_last_error(NULL));
    }
    if (c->on_train_end) assert_int_equal(c->on_train_end(c->user, net, &logs), SOMA_OK);
    soma_callback_destroy(c);
    return epoch;
}

static void early_stopping_stops(void **state) {
    (void)state;
    soma_model *net = one_weight();
    static const double loss[] = {5, 4, 3.5, 3.6, 3.7, 3.4, 3.45, 3.5, 3.5, 3.3};
    assert_int_equal(play(net, soma_early_stopping(), "val_loss", loss, 10), 4);
    assert_int_equal(play(net, soma_early_stopping(.patience = 3, .verbose = true), "val_loss", loss, 10), 9);
    assert_string_equal(said, "Epoch 9: early stopping\n");
    assert_true(value_of(net) == 8);
    said[0] = 0;
    assert_int_equal(play(net, soma_early_stopping(.patience = 3, .verbose = true, .restore_best_weights = true),
                          "val_loss", loss, 10),
                     9);
    assert_string_equal(said, "Epoch 9: early stopping\n"
                              "Restoring model weights from the end of the best epoch: 6.\n");
    assert_true(value_of(net) == 5);
    /* never worse: all epochs; 3.5 is not better than 4 by more than 1 */
    assert_int_equal(play(net, soma_early_stopping(.patience = 5), "val_loss", loss, 5), 5);
    assert_int_equal(play(net, soma_early_stopping(.min_delta = 1), "val_loss", loss, 10), 2);
    assert_int_equal(play(net, soma_early_stopping(.start_from_epoch = 3), "val_loss", loss, 10), 5);
    assert_int_equal(play(net, soma_early_stopping(.baseline = 1, .patience = 2), "val_loss", loss, 10), 4);
    /* up */
    static const double accuracy[] = {0.5, 0.6, 0.55, 0.7};
    assert_int_equal(play(net, soma_early_stopping(.monitor = "accuracy"), "accuracy", accuracy, 4), 3);
    assert_int_equal(
        play(net, soma_early_stopping(.monitor = "thing", .mode = SOMA_MODE_MAX, .patience = 2), "thing", accuracy, 4),
        4);
    /* what is no number is never better, nor the best */
    static const double broken[] = {(double)NAN, 3, 2, (double)NAN, (double)NAN, (double)NAN, 1};
    assert_int_equal(play(net, soma_early_stopping(.patience = 2, .restore_best_weights = true), "val_loss", broken, 7),
                     5);
    assert_true(value_of(net) == 2);
    /* where it is not measured, nothing is waited for */
    assert_int_equal(play(net, soma_early_stopping(), "loss", loss, 10), 10);
    soma_model_destroy(net);
}

static void direction_must_be_clear(void **state) {
    (void)state;
    soma_model *net = one_weight();
    float numbers[] = {1, 2};
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(2, 1), numbers},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(2, 1), numbers}, true);
    assert_int_equal(soma_fit(net, data, .callbacks = {soma_early_stopping(.monitor = "thing")}), SOMA_INVALID);
    assert_non_null(strstr(soma_last_error(NULL), "whether more or less thing is better can't be told"));
    soma_dataset_destroy(data);
    soma_model_destroy(net);
}

/* Also where the model, its history or an earlier fit knows the name. */
static void what_is_watched_must_be_measured(void **state) {
    (void)state;
    soma_model *net = one_weight();
    float numbers[] = {1, 2, 3, 4};
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(4, 1), numbers},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(4, 1), numbers}, true);
    assert_int_equal(soma_fit(net, data, .callbacks = {soma_early_stopping()}), SOMA_INVALID);
    assert_string_equal(soma_last_error(NULL),
                        "[fit] a callback watches val_loss, which is not measured. There are: loss, and val_... "
                        "with validation_data or validation_split");
    assert_int_equal(soma_updates(net), 0);
    assert_int_equal(soma_fit(net, data, .callbacks = {soma_early_stopping()}, .validation_split = 0.5), SOMA_OK);
    assert_int_equal(soma_fit(net, data, .epochs = 2, .initial_epoch = 1, .callbacks = {soma_reduce_lr_on_plateau()}),
                     SOMA_INVALID);
    assert_int_equal(
        soma_fit(net, data,
                 .callbacks = {soma_terminate_on_nan(), soma_model_checkpoint("x.soma", .save_best_only = 1)}),
        SOMA_INVALID);
    assert_int_equal(
        soma_fit(net, data, .callbacks = {soma_early_stopping(.monitor = "val_accuracy")}, .validation_split = 0.5),
        SOMA_INVALID);
    assert_int_equal(soma_fit(net, data, .callbacks = {soma_early_stopping(.monitor = "loss")}), SOMA_OK);
    soma_callback own = {.monitor = "learning_rate"};
    assert_int_equal(soma_fit(net, data, .callbacks = {&own}), SOMA_INVALID);
    own.changes_learning_rate = true;
    assert_int_equal(soma_fit(net, data, .callbacks = {&own}), SOMA_OK);
    soma_dataset_destroy(data);
    soma_model_destroy(net);
}

static void plateaus_lower_the_rate(void **state) {
    (void)state;
    soma_model *net = one_weight();
    static const double loss[] = {5, 4, 4, 4, 4, 4, 4};
    static const double scores[] = {1, 1, 1, 1};
    play(net, soma_reduce_lr_on_plateau(.factor = 0.5, .patience = 2, .verbose = true), "val_loss", loss, 7);
    assert_string_equal(said, "\nEpoch 4: ReduceLROnPlateau reducing learning rate to 0.005.\n"
                              "\nEpoch 6: ReduceLROnPlateau reducing learning rate to 0.0025.\n");
    assert_true(fabs(soma_learning_rate(net) - 0.0025) < 1e-9);
    assert_int_equal(soma_set_learning_rate(net, 1), SOMA_OK);
    play(net, soma_reduce_lr_on_plateau(.patience = 1, .cooldown = 2), "val_loss", loss, 7); /* epochs 3, 5, 7 */
    assert_true(fabs(soma_learning_rate(net) - 0.001) < 1e-9);
    assert_int_equal(soma_set_learning_rate(net, 1), SOMA_OK);
    play(net, soma_reduce_lr_on_plateau(.monitor = "acc", .patience = 1, .min_lr = 0.05), "acc", scores, 4);
    assert_true(fabs(soma_learning_rate(net) - 0.05) < 1e-9);
    static const double broken[] = {1, (double)NAN, (double)NAN};
    assert_int_equal(soma_set_learning_rate(net, 1), SOMA_OK);
    play(net, soma_reduce_lr_on_plateau(.patience = 2), "val_loss", broken, 3);
    assert_true(fabs(soma_learning_rate(net) - 0.1) < 1e-9);
    soma_model_destroy(net);
}

static double halve(void *user, int64_t epoch, double rate) {
    (void)user;
    return epoch < 2 ? rate : rate / 2;
}

static void rates_follow_a_function_of_the_epoch(void **state) {
    (void)state;
    soma_model *net = one_weight();
    soma_callback *c = soma_learning_rate_scheduler(halve, NULL);
    soma_logs logs = {0};
    static const double expected[] = {0.01, 0.01, 0.005, 0.0025};
    for (; logs.epoch < 4; logs.epoch++) {
        assert_int_equal(c->on_epoch_begin(c->user, net, &logs), SOMA_OK);
        assert_true(fabs(soma_learning_rate(net) - expected[logs.epoch]) < 1e-15);
    }
    soma_callback_destroy(c);
    soma_model_destroy(net);
}

/* Where the rate may change, and only there, it is a column: in the history, in logs, in the file. */
static void rates_are_in_the_history(void **state) {
    (void)state;
    NEEDS(JANSSON);
    float numbers[] = {1, 2};
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(2, 1), numbers},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(2, 1), numbers}, true);
    soma_model *net = one_weight();
    assert_int_equal(soma_fit(net, data, .epochs = 2), SOMA_OK);
    assert_string_equal(soma_history_name(net, 0), "loss");
    assert_null(soma_history_name(net, 1));
    soma_callback *log = soma_csv_logger(scratch_path("rates.csv"));
    soma_callback *halves = soma_learning_rate_scheduler(halve, NULL);
    assert_int_equal(soma_fit(net, data, .initial_epoch = 2, .epochs = 4, .callbacks = {halves, log}), SOMA_OK);
    assert_string_equal(soma_history_name(net, 0), "learning_rate");
    assert_true(isnan(soma_history_get(net, "learning_rate", 1)));
    assert_int_equal(soma_save(net, scratch_path("rates.soma")), SOMA_OK);
    soma_model_destroy(net);
    net = soma_load(NULL, scratch_path("rates.soma"));
    if (!net) fail_msg("%s", soma_last_error(NULL));
    assert_true(soma_history_get(net, "learning_rate", 2) == (double)0.005f);
    assert_true(soma_history_get(net, "learning_rate", 3) == (double)0.0025f);
    char line[64];
    FILE *file = fopen(scratch_path("rates.csv"), "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(line, "epoch,learning_rate,loss\n");
    (void)fclose(file);
    soma_model_destroy(net);
    /* a schedule of steps: what the rate is when the epoch is over */
    net = soma_sequential(soma_dense(1, .input_shape = {1}));
    assert_int_equal(soma_compile(net, .loss = soma_mean_squared_error,
                                  .optimizer = soma_sgd(.schedule = soma_exponential_decay(0.1, 1, 0.5))),
                     SOMA_OK);
    assert_int_equal(soma_fit(net, data, .epochs = 3, .batch_size = 1), SOMA_OK);
    for (int epoch = 0; epoch < 3; epoch++)
        assert_true(fabs(soma_history_get(net, "learning_rate", epoch) - 0.1 * pow(0.25, epoch + 1)) < 1e-12);
    soma_dataset_destroy(data);
    soma_model_destroy(net);
}

static void checkpoints_are_saved(void **state) {
    (void)state;
    NEEDS(JANSSON);
    soma_model *net = one_weight();
    static const double loss[] = {0.12345, 0.11, 0.115, 0.1};
    char pattern[512], expected[2048];
    snprintf(pattern, sizeof pattern, "%s", scratch_path("w-{epoch:02d}-{val_loss:.2f}.soma"));
    play(net, soma_model_checkpoint(pattern), "val_loss", loss, 4);
    static const char *const names[] = {"w-01-0.12.soma", "w-02-0.11.soma", "w-03-0.12.soma", "w-04-0.10.soma"};
    for (int i = 0; i < 4; i++) {
        soma_model *saved = soma_load(NULL, scratch_path(names[i]));
        if (!saved) fail_msg("%s: %s", names[i], soma_last_error(NULL));
        assert_true(value_of(saved) == (float)i);
        soma_model_destroy(saved);
    }
    char best[512];
    snprintf(best, sizeof best, "%s", scratch_path("best.soma"));
    play(net, soma_model_checkpoint(best, .save_best_only = true, .verbose = true), "val_loss", loss, 3);
    snprintf(expected, sizeof expected,
             "\nEpoch 1: val_loss improved from None to 0.12345, saving model to %s\n"
             "\nEpoch 2: val_loss improved from 0.12345 to 0.11000, saving model to %s\n"
             "\nEpoch 3: val_loss did not improve from 0.11000\n",
             best, best);
    assert_string_equal(said, expected);
    soma_model *saved = soma_load(NULL, best);
    assert_true(value_of(saved) == 1);
    soma_model_destroy(saved);
    /* every three batches, counted on from epoch to epoch, by number of epoch and batch */
    snprintf(pattern, sizeof pattern, "%s", scratch_path("b-{epoch}-{batch}.soma"));
    float x[5] = {0}, y[5] = {0};
    soma_dataset *five = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(5, 1), x},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(5, 1), y}, true);
    assert_int_equal(soma_fit(net, five, .epochs = 2, .batch_size = 1,
                              .callbacks = {soma_model_checkpoint(pattern, .save_freq = 3)}),
                     SOMA_OK);
    static const char *const made[] = {"b-1-3.soma", "b-2-1.soma", "b-2-4.soma"};
    int files = 0;
    for (int epoch = 1; epoch <= 2; epoch++) {
        for (int batch = 1; batch <= 5; batch++) {
            char name[32];
            snprintf(name, sizeof name, "b-%d-%d.soma", epoch, batch);
            const bool there = access(scratch_path(name), F_OK) == 0;
            assert_true(!there || strcmp(name, made[files]) == 0);
            files += there;
        }
    }
    assert_int_equal(files, 3);
    soma_dataset_destroy(five);
    soma_model_destroy(net);
}

/* Before anything is trained. */
static void names_of_checkpoints_are_numbers(void **state) {
    (void)state;
    NEEDS(JANSSON);
    float x[5] = {0};
    soma_model *net = one_weight();
    soma_dataset *five = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(5, 1), x},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(5, 1), x}, true);
    const struct {
        const char *name;
        int64_t save_freq;
        bool validated;
        const char *error;
    } wrong[] = {{"{vol_loss:.2f}", 0, true, "'{vol_loss:.2f}' stands for no number that is known when an epoch is"},
                 {"{val_loss}", 0, false, "'{val_loss}' stands for no number that is known when an epoch is over"},
                 {"{val_loss}", 2, true, "'{val_loss}' stands for no number that is known when a batch is done"},
                 {"{loss:02d}", 0, true, "'{loss:02d}' stands for no number"},
                 {"{epoch:s}", 0, true, "'{epoch:s}' stands for no number"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(soma_fit(net, five, .batch_size = 5, .validation_data = wrong[i].validated ? five : NULL,
                                  .callbacks = {soma_model_checkpoint(scratch_path(wrong[i].name),
                                                                      .save_freq = wrong[i].save_freq)}),
                         SOMA_INVALID);
        if (!strstr(soma_last_error(NULL), wrong[i].error)) fail_msg("%s", soma_last_error(NULL));
        assert_int_equal(soma_updates(net), 0);
        soma_clear_error(NULL);
    }
    /* every second epoch measures it */
    assert_int_equal(soma_fit(net, five, .epochs = 2, .validation_data = five, .validation_freq = 2,
                              .callbacks = {soma_model_checkpoint(scratch_path("v-{epoch}-{val_loss:.1f}.soma"))}),
                     SOMA_OK);
    assert_int_equal(access(scratch_path("v-1-nan.soma"), F_OK), 0);
    assert_int_equal(access(scratch_path("v-2-0.0.soma"), F_OK), 0);
    soma_dataset_destroy(five);
    soma_model_destroy(net);
}

static void no_number_ends_it(void **state) {
    (void)state;
    soma_model *net = one_weight();
    float numbers[] = {1, (float)NAN, 3};
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(3, 1), numbers},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(3, 1), numbers}, true);
    assert_int_equal(soma_fit(net, data, .epochs = 5, .batch_size = 1, .no_shuffle = true, .write = hear,
                              .callbacks = {soma_terminate_on_nan()}),
                     SOMA_OK);
    assert_string_equal(said, "Batch 1: Invalid loss, terminating training\n");
    assert_int_equal(soma_updates(net), 2);
    soma_dataset_destroy(data);
    soma_model_destroy(net);
}

/* ---- logs of one run ---- */

static void expect_record(const text *record, const char *hex) {
    assert_int_equal(record->length, strlen(hex) / 2);
    for (size_t i = 0; i < record->length; i++) {
        char byte[3];
        snprintf(byte, sizeof byte, "%02x", (unsigned char)record->data[i]);
        if (memcmp(byte, hex + 2 * i, 2) != 0) fail_msg("byte %d is %s", (int)i, byte);
    }
}

static void records_are_tensorboards(void **state) {
    (void)state;
    assert_int_equal(event_crc32c("123456789", 9), 0xe3069283U);
    assert_int_equal(event_masked_crc32c("123456789", 9), 0xc78ab0e5U);
    text record;
    text_init(&record, NULL);
    event_version(&record, 0);
    expect_record(&record, "1800000000000000a37f4b220900000000000000001a0d627261696e2e4576656e743a32eedf28a3");
    text_truncate(&record, 0);
    event_scalar(&record, 1, 3, "epoch_loss", 0.5f);
    expect_record(&record, "200000000000000029eda95009000000000000f03f10032a130a110a0a65706f63685f6c6f7373150000003fb0"
                           "bf245c");
    text_deinit(&record);
}

/* The message of a value at path[0], which is a field of path[1], ...; in *n its length. */
static const unsigned char *field_of(const unsigned char *message, size_t *n, unsigned field) {
    for (size_t at = 0; at < *n;) {
        const unsigned key = message[at++];
        size_t length = 0;
        const bool bytes = (key & 7) == 2;
        if (bytes || (key & 7) == 0) {
            int shift = 0;
            do
                length |= (size_t)(message[at] & 0x7f) << shift, shift += 7;
            while (message[at++] & 0x80);
        }
        if (!bytes) length = (key & 7) == 1 ? 8 : (key & 7) == 5 ? 4 : 0;
        if (key >> 3 == field) {
            *n = length;
            return message + at;
        }
        at += length;
    }
    fail_msg("no field %u", field);
    return NULL;
}

static void histograms_count(void **state) {
    (void)state;
    const double numbers[] = {-1, 2, 2, INFINITY, 0.55, NAN};
    event_histogram_data h;
    assert_true(event_count(&h, numbers, 6));
    assert_true(h.low == -1 && h.high == 2 && h.n == 4 && h.buckets[0] == 1 && h.buckets[15] == 1 &&
                h.buckets[29] == 2);
    text record;
    text_init(&record, NULL);
    event_histogram(&record, 1, 3, "w/histogram", &h);
    const unsigned char *file = (const unsigned char *)text_string(&record);
    size_t n = record.length - 16;
    assert_int_equal(file[0] | file[1] << 8, n);
    const unsigned char *at = field_of(file + 12, &n, 5); /* event, summary, value, histogram */
    at = field_of(at, &n, 1);
    at = field_of(at, &n, 5);
    const double expected[] = {-1, 2, 4, 3.55, 9.3025};
    for (unsigned i = 0; i < 5; i++) {
        size_t length = n;
        double number;
        memcpy(&number, field_of(at, &length, 1 + i), sizeof number);
        assert_true(fabs(number - expected[i]) < 1e-12);
    }
    double ends[EVENT_BUCKETS];
    size_t length = n;
    const unsigned char *list = field_of(at, &length, 6);
    assert_int_equal(length, sizeof ends);
    memcpy(ends, list, sizeof ends);
    assert_true(fabs(ends[0] + 0.9) < 1e-12);
    assert_true(ends[29] == 2);
    length = n;
    list = field_of(at, &length, 7);
    assert_int_equal(length, sizeof h.buckets);
    assert_memory_equal(list, h.buckets, sizeof h.buckets);
    text_deinit(&record);
    assert_true(event_count(&h, (const double[]){3}, 1) && h.low == 2.5 && h.buckets[15] == 1);
    assert_false(event_count(&h, (const double[]){NAN}, 1));
}

/* Path of the only event file in a folder. */
static void event_file(const char *folder, char *path, size_t size) {
    DIR *d = opendir(folder);
    if (!d) fail_msg("no folder %s", folder);
    int found = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (strncmp(e->d_name, "events.out.tfevents.", 20) != 0) continue;
        snprintf(path, size, "%s/%s", folder, e->d_name);
        found++;
    }
    closedir(d);
    assert_int_equal(found, 1);
}

static uint32_t little32(const unsigned char *b) {
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* Reads a folder's records, checks every checksum, and gives the scalar of a tag and step; steps are below 128. */
static float scalar_of(const char *folder, const char *tag, int step, int *records) {
    char path[1024];
    event_file(folder, path, sizeof path);
    size_t size, n = strlen(tag);
    unsigned char *file = scratch_read(path, &size);
    float found = (float)NAN;
    *records = 0;
    for (size_t at = 0; at < size; ++*records) {
        size_t length = little32(file + at);
        assert_int_equal(little32(file + at + 8), event_masked_crc32c(file + at, 8));
        const unsigned char *event = file + at + 12;
        assert_true(at + 16 + length <= size);
        assert_int_equal(little32(event + length), event_masked_crc32c(event, length));
        int its_step = event[9] == 0x10 ? event[10] : 0;
        for (size_t i = 9; i + n + 5 <= length; i++) {
            if (event[i] != 0x0a || event[i + 1] != n || memcmp(event + i + 2, tag, n) != 0) continue;
            uint32_t bits = little32(event + i + 2 + n + 1);
            if (its_step == step) memcpy(&found, &bits, sizeof found);
        }
        at += 16 + length;
    }
    free(file);
    return found;
}

static void logs_agree(void **state) {
    (void)state;
    enum { EPOCHS = 4 };
    char csv[512], json[512], board[512], folder[600], line[1024];
    snprintf(csv, sizeof csv, "%s", scratch_path("log.csv"));
    snprintf(json, sizeof json, "%s", scratch_path("log.jsonl"));
    snprintf(board, sizeof board, "%s", scratch_path("board"));
    float x[60], y[60];
    for (int i = 0; i < 60; i++)
        x[i] = (float)sin(i), y[i] = x[i] > 0;
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(60, 1), x},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(60, 1), y}, true);
    soma_model *net = soma_sequential(soma_dense(1, .activation = soma_sigmoid, .input_shape = {1}));
    assert_int_equal(soma_compile(net, .loss = soma_binary_crossentropy, .metrics = {soma_accuracy, soma_auc}),
                     SOMA_OK);
    if (soma_fit(net, data, .epochs = EPOCHS, .batch_size = 8, .validation_split = 0.25, .validation_freq = 2,
                 .callbacks = {soma_csv_logger(csv), soma_json_logger(json), soma_tensorboard(.log_dir = board)}) !=
        SOMA_OK)
        fail_msg("%s", soma_last_error(NULL));
    FILE *c = fopen(csv, "r"), *j = fopen(json, "r");
    assert_non_null(fgets(line, sizeof line, c));
    assert_string_equal(line, "epoch,accuracy,auc,loss,val_accuracy,val_auc,val_loss\n");
    static const char *const names[] = {"accuracy", "auc", "loss", "val_accuracy", "val_auc", "val_loss"};
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        char object[1024], key[64];
        assert_non_null(fgets(line, sizeof line, c));
        assert_non_null(fgets(object, sizeof object, j));
        line[strcspn(line, "\n")] = 0;
        char *rest = line, *part = strtok_r(rest, ",", &rest);
        assert_int_equal(atoi(part), epoch);
        snprintf(key, sizeof key, "{\"epoch\": %d, ", epoch);
        assert_memory_equal(object, key, strlen(key));
        for (int k = 0; k < 6; k++) {
            double expected = soma_history_get(net, names[k], epoch);
            int records;
            bool validation = k >= 3;
            part = strtok_r(rest, ",", &rest);
            snprintf(key, sizeof key, "\"%s\": ", names[k]);
            const char *in_json = strstr(object, key);
            snprintf(folder, sizeof folder, "%s/%s", board, validation ? "validation" : "train");
            snprintf(key, sizeof key, "epoch_%s", names[k] + (validation ? 4 : 0));
            float in_board = scalar_of(folder, key, epoch, &records);
            assert_int_equal(records, validation ? 1 + 2 * 3 : 1 + EPOCHS * 4); /* the version, values and the rate */
            if (validation && epoch % 2 == 0) {
                assert_string_equal(part, "NA");
                assert_null(in_json);
                assert_true(isnan(in_board));
                continue;
            }
            assert_true(strtod(part, NULL) == expected);
            assert_true(strtod(strchr(in_json, ':') + 1, NULL) == expected);
            assert_true(in_board == (float)expected);
        }
        int records;
        snprintf(folder, sizeof folder, "%s/train", board);
        assert_true(scalar_of(folder, "epoch_learning_rate", epoch, &records) == (float)0.001);
    }
    assert_null(fgets(line, sizeof line, c));
    fclose(c);
    fclose(j);
    /* on in the same file: no second heading */
    assert_int_equal(soma_fit(net, data, .epochs = 1, .callbacks = {soma_csv_logger(csv, .append = true)}), SOMA_OK);
    char *all = scratch_read(csv, &(size_t){0});
    int lines = 0;
    for (const char *at = all; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_int_equal(lines, 1 + EPOCHS + 1);
    free(all);
    soma_dataset_destroy(data);
    soma_model_destroy(net);
}

/* From JSON, as a configuration gives them; and the board after every second batch, with a rate that falls. */
static void by_name(void **state) {
    (void)state;
    NEEDS(JANSSON);
    char json[1024], folder[600];
    float x[64];
    for (int i = 0; i < 64; i++)
        x[i] = (float)sin(i);
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(64, 1), x},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(64, 1), x}, true);
    soma_model *net = soma_sequential(soma_dense(1, .input_shape = {1}));
    assert_int_equal(soma_compile(net, .loss = soma_mean_squared_error,
                                  .optimizer = soma_sgd(.schedule = soma_exponential_decay(0.1, 8, 0.5))),
                     SOMA_OK);
    snprintf(json, sizeof json,
             "{\"TensorBoard\": {\"log_dir\": \"%s\", \"update_freq\": 2, \"histogram_freq\": 1, "
             "\"write_steps_per_second\": true}}",
             scratch_path("named"));
    soma_callback *board = soma_callback_from_json(NULL, json);
    soma_callback *stop = soma_callback_from_json(
        NULL, "{\"class_name\": \"EarlyStopping\", \"config\": {\"monitor\": \"loss\", \"mode\": \"min\", "
              "\"patience\": 1, \"min_delta\": 1e9, \"verbose\": 0}}");
    if (!board || !stop) fail_msg("%s", soma_last_error(NULL));
    assert_int_equal(soma_fit(net, data, .epochs = 9, .batch_size = 8, .callbacks = {board, stop}), SOMA_OK);
    assert_int_equal(soma_history_epochs(net), 2);
    snprintf(folder, sizeof folder, "%s/train", scratch_path("named"));
    int records;
    for (int epoch = 0; epoch < 2; epoch++) {
        const float rate = scalar_of(folder, "epoch_learning_rate", epoch, &records);
        assert_true(fabsf(rate - 0.1f * (epoch ? 0.25f : 0.5f)) < 1e-8f);
        assert_true(scalar_of(folder, "epoch_loss", epoch, &records) == (float)soma_history_get(net, "loss", epoch));
    }
    assert_true(scalar_of(folder, "epoch_steps_per_second", 1, &records) > 0);
    /* the version; loss, rate, speed and two histograms of the epochs; losses of batches */
    assert_int_equal(records, 1 + 2 * 5 + 16 / 2);
    for (int step = 0; step < 16; step++)
        assert_int_equal(isnan(scalar_of(folder, "batch_loss", step, &records)), step % 2 == 0);
    static const struct {
        const char *json, *error;
    } wrong[] = {
        {"\"early_stoping\"", "unknown callback 'early_stoping'; did you mean 'early_stopping'?"},
        {"{\"early_stopping\": {\"patients\": 1}}",
         "[early_stopping] unknown option 'patients'; did you mean 'patience'?"},
        {"{\"early_stopping\": {\"mode\": \"mx\"}}", "[early_stopping] mode must be one of auto, min, max"},
        {"\"csv_logger\"", "[logger] no path given"},
        {"\"learning_rate_scheduler\"", "[learning_rate_scheduler] no schedule given"},
        {"[]", "[callback] it must be a name, or a name with its options"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        soma_clear_error(NULL);
        assert_null(soma_callback_from_json(NULL, wrong[i].json));
        assert_string_equal(soma_last_error(NULL), wrong[i].error);
    }
    soma_dataset_destroy(data);
    soma_model_destroy(net);
}

/* ---- trainings that are killed ---- */

enum { SAMPLES = 300, FEATURES = 6 };

/* kill -9 from within, after so many batches: a moment that no clock decides. */
static soma_status die(void *user, soma_model *net, const soma_logs *logs) {
    int *batches = user;
    (void)net, (void)logs;
    if (--*batches == 0) kill(getpid(), SIGKILL);
    return SOMA_OK;
}

/* Trains with all that has a state, and saves; the same bytes whenever it gets to the end. 0 when it did.
 * Dies after so many batches unless they are 0. */
static int train(int threads, const char *backup, const char *result, int batches) {
    soma_callback death = {.user = &batches, .on_train_batch_end = die};
    soma_context *context = soma_context_create(&(soma_context_options){.threads = threads, .seed = 3});
    static float x[SAMPLES * FEATURES];
    static int64_t y[SAMPLES];
    for (int i = 0; i < SAMPLES * FEATURES; i++)
        x[i] = (float)sin(i * i % 1000);
    for (int i = 0; i < SAMPLES; i++)
        y[i] = x[i * FEATURES] + x[i * FEATURES + 1] > 0;
    soma_dataset *data = soma_dataset_from_arrays(context, (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, FEATURES), x},
                                                  (soma_array_data){SOMA_I64, SOMA_DIMS(SAMPLES), y}, true);
    soma_layer *layers[] = {soma_dense(16, .context = context, .activation = soma_relu, .input_shape = {FEATURES}),
                            soma_dropout(0.3, .context = context),
                            soma_dense(2, .context = context, .activation = soma_softmax)};
    soma_model *net = soma_sequential_create(context, layers, 3);
    soma_status status = soma_compile(
        net, .optimizer = soma_adam(.context = context, .schedule = soma_cosine_decay(0.02, 800, .alpha = 0.1)),
        .loss = soma_sparse_categorical_crossentropy, .metrics = {soma_accuracy});
    if (status == SOMA_OK)
        status =
            soma_fit(net, data, .epochs = 25, .batch_size = 8, .validation_split = 0.2,
                     .callbacks = {soma_early_stopping(.patience = 6, .restore_best_weights = true, .context = context),
                                   soma_backup_and_restore(backup, .context = context), batches ? &death : NULL});
    if (status == SOMA_OK) status = soma_save(net, result);
    if (status != SOMA_OK) fprintf(stderr, "%s\n", soma_last_error(context));
    soma_model_destroy(net);
    soma_dataset_destroy(data);
    soma_context_destroy(context);
    return status != SOMA_OK;
}

/* In a process of its own. True if it came to its end. */
static bool run_until(int threads, const char *backup, const char *result, int batches) {
    pid_t child = fork();
    if (child == 0) _exit(train(threads, backup, result, batches));
    int status = 0;
    assert_true(waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status)) return false;
    assert_int_equal(WEXITSTATUS(status), 0);
    return true;
}

static void killed_trainings_end_alike(void **state) {
    (void)state;
    NEEDS(JANSSON);
    char backup[512], whole[512], pieces[512];
    snprintf(backup, sizeof backup, "%s", scratch_path("backup.soma"));
    snprintf(whole, sizeof whole, "%s", scratch_path("whole.soma"));
    snprintf(pieces, sizeof pieces, "%s", scratch_path("pieces.soma"));
    uint32_t random = 99;
    int kills = 0, resumed = 0;
    for (int threads = 1; threads <= 2; threads++) {
        assert_true(run_until(threads, backup, whole, 0));
        assert_int_not_equal(access(backup, F_OK), 0); /* gone once it is done */
        size_t n, m;
        void *expected = scratch_read(whole, &n);
        for (int round = 0; round < 10; round++) {
            remove(pieces);
            int tries = 0;
            for (bool done = false; !done; tries++) {
                random = random * 1664525U + 1013904223U;
                done = run_until(threads, backup, pieces, tries < 3 ? 1 + (int)((random >> 8) % 150) : 0);
                kills += !done;
                resumed += !done && access(backup, F_OK) == 0;
            }
            void *result = scratch_read(pieces, &m);
            assert_int_equal(n, m);
            assert_memory_equal(expected, result, n);
            free(result);
        }
        free(expected);
    }
    print_message("killed %d times, %d times with a backup\n", kills, resumed);
    assert_true(resumed >= 10);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup(function, reset)
    const struct CMUnitTest tests[] = {
        TEST(early_stopping_stops),
        TEST(direction_must_be_clear),
        TEST(what_is_watched_must_be_measured),
        TEST(plateaus_lower_the_rate),
        TEST(rates_follow_a_function_of_the_epoch),
        TEST(rates_are_in_the_history),
        TEST(checkpoints_are_saved),
        TEST(names_of_checkpoints_are_numbers),
        TEST(no_number_ends_it),
        TEST(records_are_tensorboards),
        TEST(histograms_count),
        TEST(logs_agree),
        TEST(by_name),
        TEST(killed_trainings_end_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
