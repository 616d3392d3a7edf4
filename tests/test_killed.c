/* kill -9: a convolutional network with dropout, Adam, a schedule, averages and early stopping dies at batches that no
 * clock decides, and goes on from backups inside an epoch; with SOMA_LONG=1 also at moments of the clock.
 * Rests on cmocka, fork and signals. However often it died, on one thread or two, the file in the end is the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <soma/soma.h>

#include "support/needs.h"
#include "support/scratch.h"

enum { SAMPLES = 48, SIDE = 8, PIXELS = SIDE * SIDE, EPOCHS = 12, BATCH = 8, SAVE_FREQ = 3 };

/* Stripes, upright or lying, in noise. */
static soma_dataset *pictures(soma_context *context) {
    static uint8_t x[SAMPLES][SIDE][SIDE], y[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        y[i] = (uint8_t)(i * 7 % 2);
        for (int r = 0; r < SIDE; r++) {
            for (int c = 0; c < SIDE; c++) {
                int stripe = (y[i] ? r : c) / 2 % 2;
                x[i][r][c] = (uint8_t)(stripe * 120 + (int)(60 + 60 * sin(i * 101 + r * 17 + c * 31)));
            }
        }
    }
    return soma_dataset_from_arrays(context, (soma_array_data){SOMA_U8, SOMA_DIMS(SAMPLES, SIDE, SIDE), x},
                                    (soma_array_data){SOMA_U8, SOMA_DIMS(SAMPLES), y}, true);
}

static soma_status die(void *user, soma_model *net, const soma_logs *logs) {
    int *batches = user;
    (void)net, (void)logs;
    if (--*batches == 0) kill(getpid(), SIGKILL);
    return SOMA_OK;
}

static soma_model *network(soma_context *context) {
    soma_layer *layers[] = {soma_conv_2d(4, .kernel_size = {3, 3}, .activation = soma_relu, .context = context,
                                         .input_shape = {SIDE, SIDE, 1}),
                            soma_max_pooling_2d(.context = context), soma_dropout(0.3, .context = context),
                            soma_flatten(.context = context),
                            soma_dense(2, .activation = soma_softmax, .context = context)};
    soma_model *net = soma_sequential_create(context, layers, 5);
    soma_optimizer *o = soma_adam(.schedule = soma_cosine_decay(0.02, 60, .alpha = 0.1), .use_ema = true,
                                  .ema_momentum = 0.9, .context = context);
    (void)soma_compile(net, .optimizer = o, .loss = soma_sparse_categorical_crossentropy,
                       .metrics = {soma_accuracy, soma_auc});
    return net;
}

/* Trains and saves; 0 when it got to the end. Dies after so many batches unless they are 0. */
static int train(int threads, const char *backup, const char *result, int batches) {
    soma_callback death = {.user = &batches, .on_train_batch_end = die};
    soma_context *context = soma_context_create(&(soma_context_options){.threads = threads, .seed = 3});
    soma_dataset *data = pictures(context);
    soma_model *net = network(context);
    soma_status status =
        soma_fit(net, data, .epochs = EPOCHS, .batch_size = BATCH, .validation_split = 0.25,
                 .callbacks = {soma_early_stopping(.patience = 8, .restore_best_weights = true, .context = context),
                               soma_swap_ema_weights(.context = context),
                               soma_backup_and_restore(backup, .save_freq = SAVE_FREQ, .context = context),
                               batches ? &death : NULL});
    if (status == SOMA_OK) status = soma_save(net, result);
    if (status != SOMA_OK) fprintf(stderr, "%s\n", soma_last_error(context));
    soma_model_destroy(net);
    soma_dataset_destroy(data);
    soma_context_destroy(context);
    return status != SOMA_OK;
}

/* In a process of its own, which is killed from outside after so many microseconds unless they are 0. True if it came
 * to its end. */
static bool run_until(int threads, const char *backup, const char *result, int batches, long microseconds) {
    pid_t child = fork();
    if (child == 0) _exit(train(threads, backup, result, batches));
    if (microseconds > 0) {
        nanosleep(&(struct timespec){.tv_nsec = microseconds * 1000}, NULL);
        kill(child, SIGKILL);
    }
    int status = 0;
    assert_true(waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status)) return false;
    assert_int_equal(WEXITSTATUS(status), 0);
    return true;
}

static char whole[512], pieces[512], backup[512];

/* Rounds of trainings that die three times each, at draws from a seed; all must end in the same bytes. */
static void die_and_go_on(int rounds, bool by_the_clock) {
    snprintf(whole, sizeof whole, "%s", scratch_path("whole.soma"));
    snprintf(pieces, sizeof pieces, "%s", scratch_path("pieces.soma"));
    snprintf(backup, sizeof backup, "%s", scratch_path("backup.soma"));
    uint32_t random = 7;
    int kills = 0, resumed = 0;
    assert_true(run_until(1, backup, whole, 0, 0));
    size_t n, m;
    void *expected = scratch_read(whole, &n);
    for (int round = 0; round < rounds; round++) {
        remove(pieces);
        int tries = 0;
        for (bool done = false; !done; tries++) {
            random = random * 1664525U + 1013904223U;
            int draw = 1 + (int)((random >> 8) % 40), threads = 1 + (int)((random >> 5) & 1);
            bool dies = tries < 3;
            done = run_until(threads, backup, pieces, dies && !by_the_clock ? draw : 0,
                             dies && by_the_clock ? 1500L * draw : 0);
            kills += !done;
            resumed += !done && access(backup, F_OK) == 0;
        }
        assert_int_not_equal(access(backup, F_OK), 0); /* gone once it is done */
        void *result = scratch_read(pieces, &m);
        assert_int_equal(n, m);
        assert_memory_equal(expected, result, n);
        free(result);
    }
    free(expected);
    print_message("killed %d times, %d times with a backup\n", kills, resumed);
    if (!by_the_clock) assert_true(resumed >= rounds);
}

static void networks_survive_at_any_batch(void **state) {
    (void)state;
    NEEDS(JANSSON);
    die_and_go_on(12, false);
}

static void networks_survive_at_any_moment(void **state) {
    (void)state;
    NEEDS(JANSSON);
    const char *asked = getenv("SOMA_LONG");
    if (!asked || strcmp(asked, "1") != 0) skip();
    die_and_go_on(100, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_survive_at_any_batch),
        cmocka_unit_test(networks_survive_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
