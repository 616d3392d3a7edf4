/* Hyperparameters: numbers that no gradient finds. They are tried out, and judged by samples that were held out of the
 * training, not by the loss that is minimized; a last set, that had no say in the choice, then tells what to expect.
 * Here the learning rate, from steps that are too small to those that lead away, and the number of hidden units. 0.74
 * is what the more frequent answer alone gives. Run by the tests. */
#include <math.h>
#include <stdio.h>

#include <soma/soma.h>

enum { SAMPLES = 300, LEARNT = 200, RATES = 5, SIZES = 3 };

/* Is a point within a ring? The border is noisy. */
static void make_data(double x[][2], int32_t *y, int n) {
    for (int i = 0; i < n; i++) {
        x[i][0] = 2 * sin(i * 12.9898);
        x[i][1] = 2 * sin(i * 78.233 + 1);
        const double radius = hypot(x[i][0], x[i][1]) + 0.1 * sin(i * 37.719);
        y[i] = radius > 0.8 && radius < 1.7;
    }
}

/* Trained by gradient descent; the accuracy on what was held out goes to *held, NaN where the training diverged. */
static soma_model *learn(soma_dataset *data, double rate, int64_t units, double *held) {
    soma_set_random_seed(NULL, 1);
    soma_model *net = soma_sequential(soma_dense(units, .activation = soma_relu, .input_shape = {2}, .dtype = SOMA_F64),
                                      soma_dense(units, .activation = soma_relu, .dtype = SOMA_F64),
                                      soma_dense(2, .activation = soma_softmax, .dtype = SOMA_F64));
    soma_compile(net, .optimizer = soma_sgd(.learning_rate = rate, .momentum = 0.9),
                 .loss = soma_sparse_categorical_crossentropy, .metrics = {soma_accuracy});
    const soma_status status =
        soma_fit(net, data, .epochs = 40, .validation_split = 1 - (double)LEARNT / SAMPLES, .terminate_on_nan = true);
    *held = status == SOMA_OK ? soma_history_get(net, "val_accuracy", -1) : NAN;
    if (status == SOMA_DIVERGED) soma_clear_error(NULL); /* expected where steps are too large */
    return net;
}

int main(void) {
    static double x[2 * SAMPLES][2];
    static int32_t y[2 * SAMPLES];
    static const double rates[RATES] = {0.0001, 0.001, 0.01, 0.1, 10};
    static const int64_t sizes[SIZES] = {2, 8, 32};
    make_data(x, y, 2 * SAMPLES);
    soma_dataset *all = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F64, SOMA_DIMS(2 * SAMPLES, 2), x},
                                                 (soma_array_data){SOMA_I32, SOMA_DIMS(2 * SAMPLES), y}, true);
    soma_dataset *data = soma_dataset_slice(all, 0, SAMPLES), *last = soma_dataset_slice(all, SAMPLES, SOMA_END);
    soma_model *best = NULL;
    double most = -1;
    printf("accuracy on %d samples held out\n%13s %6s %6s %6s\n", SAMPLES - LEARNT, "learning rate", "2", "8",
           "32 units");
    for (int i = 0; i < RATES; i++) {
        printf("%13g", rates[i]);
        for (int k = 0; k < SIZES; k++) {
            double held;
            soma_model *net = learn(data, rates[i], sizes[k], &held);
            printf(" %6.2f", held);
            soma_model *worse = held > most ? best : net;
            if (held > most) {
                best = net;
                most = held;
            }
            soma_model_destroy(worse);
        }
        printf("\n");
    }
    const soma_scores scores = soma_evaluate(best, last);
    if (scores.status == SOMA_OK) printf("the best of them on %d others: %.2f\n", SAMPLES, scores.metrics[0]);
    if (scores.status != SOMA_OK) fprintf(stderr, "%s\n", soma_last_error(NULL));
    soma_model_destroy(best);
    soma_dataset_destroy(data);
    soma_dataset_destroy(last);
    soma_dataset_destroy(all);
    return scores.status == SOMA_OK ? 0 : 1;
}
