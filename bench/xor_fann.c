/* One training step of the 2-8-1 network by FANN: an epoch over the four samples, by batch and by sample.
 * Rests on FANN (Debian libfann-dev). A line "seconds" is answered by "batch seconds-a-step incremental
 * seconds-a-step"; by sample it makes four updates in the time that the others make one. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fann.h>

#include "worker.h"
#include "xor.h"

typedef struct network {
    struct fann *net;
    struct fann_train_data *data;
} network;

static int epoch(void *user) {
    const network *n = user;
    fann_train_epoch(n->net, n->data);
    return 0;
}

static bool make(network *n, enum fann_train_enum algorithm) {
    n->net = fann_create_standard(3, 2, XOR_HIDDEN, 1);
    n->data = fann_create_train(XOR_SAMPLES, 2, 1);
    if (!n->net || !n->data) return false;
    for (int i = 0; i < XOR_SAMPLES; i++) {
        memcpy(n->data->input[i], xor_x[i], sizeof xor_x[i]);
        n->data->output[i][0] = xor_y[i];
    }
    fann_set_activation_function_hidden(n->net, FANN_SIGMOID);
    fann_set_activation_function_output(n->net, FANN_SIGMOID);
    fann_set_training_algorithm(n->net, algorithm);
    fann_set_learning_rate(n->net, XOR_RATE);
    return true;
}

static void release(network *n) {
    if (n->data) fann_destroy_train(n->data);
    if (n->net) fann_destroy(n->net);
}

static int answer(void *user, char *line) {
    (void)user;
    static const struct {
        const char *name;
        enum fann_train_enum algorithm;
    } ways[] = {{"batch", FANN_TRAIN_BATCH}, {"incremental", FANN_TRAIN_INCREMENTAL}};
    for (int i = 0; i < 2; i++) {
        network n = {0};
        const double seconds = make(&n, ways[i].algorithm) ? worker_time(epoch, &n, atof(line) / 2) : -1;
        release(&n);
        printf("%s %.9g ", ways[i].name, seconds);
    }
    printf("\n");
    return 0;
}

int main(void) {
    return worker_serve(answer, NULL);
}
