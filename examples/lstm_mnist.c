/* An LSTM that reads handwritten digits row by row: 28 steps of 28 pixels each, then one of ten classes.
 * One epoch, or as many as the argument says: with six, 98.7 % of the test samples are right (see lstm.yaml). The rate
 * falls to nothing over the epochs, which is worth half a percent.
 * scripts/get-data.sh puts the four files into data/mnist. */
#include <stdio.h>
#include <stdlib.h>

#include <soma/soma.h>

int main(int argc, char **argv) {
    int epochs = argc > 1 ? atoi(argv[1]) : 1, batch = 128;
    soma_dataset *train = soma_idx("data/mnist/train"), *test = soma_idx("data/mnist/t10k");
    double steps = (double)epochs * (double)((soma_dataset_samples(train) + batch - 1) / batch);
    soma_model *net =
        soma_sequential(soma_lstm(128, .input_shape = {28, 28}), soma_dense(10, .activation = soma_softmax));
    soma_schedule rate = soma_cosine_decay(0.003, .decay_steps = steps);
    soma_compile(net, .optimizer = soma_adam(.schedule = rate), .loss = soma_sparse_categorical_crossentropy,
                 .metrics = {soma_accuracy});
    soma_fit(net, train, .epochs = epochs, .batch_size = batch, .verbose = 1);
    soma_scores s = soma_evaluate(net, test);
    if (s.status == SOMA_OK) {
        printf("test_acc: %.4f\n", s.metrics[0]);
    } else {
        fprintf(stderr, "%s\n", soma_last_error(NULL));
    }
    soma_model_destroy(net);
    soma_dataset_destroy(train);
    soma_dataset_destroy(test);
    return s.status == SOMA_OK ? 0 : 1;
}
