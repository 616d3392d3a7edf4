/* Epochs of the tutorial's network (784-512 relu-10 softmax, RMSprop, batches of 128) by soma_fit, one at a time.
 * Rests on soma.h; the number of threads is SOMA_THREADS. The first epoch runs at once and is answered by "ready",
 * then every line "epoch" by the seconds of one more; the end of stdin is the end of the training. What the worker
 * waits for between the epochs is no part of them. */
#include <stdio.h>
#include <string.h>

#include <soma/soma.h>

#include "worker.h"

typedef struct turns {
    double start;
    bool started;
} turns;

static soma_status epoch_begin(void *user, soma_model *model, const soma_logs *logs) {
    turns *t = user;
    char line[64];
    if (logs->epoch > 0 && !fgets(line, sizeof line, stdin)) {
        soma_model_stop_training(model);
        return SOMA_OK;
    }
    t->started = true;
    t->start = worker_seconds();
    return SOMA_OK;
}

static soma_status epoch_end(void *user, soma_model *model, const soma_logs *logs) {
    (void)model;
    turns *t = user;
    if (!t->started) return SOMA_OK;
    const double seconds = worker_seconds() - t->start;
    t->started = false;
    if (logs->epoch == 0) {
        printf("ready\n");
    } else {
        printf("%.6f\n", seconds);
    }
    fflush(stdout);
    return SOMA_OK;
}

int main(int argc, char **argv) {
    const char *prefix = argc > 1 ? argv[1] : "data/mnist/train";
    turns t = {0};
    soma_callback callback = {.user = &t, .on_epoch_begin = epoch_begin, .on_epoch_end = epoch_end};
    soma_dataset *train = soma_idx(prefix);
    soma_model *net = soma_sequential(soma_dense(512, .activation = soma_relu, .input_shape = {28 * 28}),
                                      soma_dense(10, .activation = soma_softmax));
    soma_compile(net, .optimizer = soma_rmsprop(), .loss = soma_sparse_categorical_crossentropy,
                 .metrics = {soma_accuracy});
    const soma_status status = soma_fit(net, train, .epochs = 1000, .batch_size = 128, .callbacks = {&callback});
    if (status != SOMA_OK) printf("error %s\n", soma_last_error(NULL));
    soma_model_destroy(net);
    soma_dataset_destroy(train);
    return status == SOMA_OK ? 0 : 1;
}
