/* An LSTM that reads handwritten digits row by row: 28 steps of 28 pixels each, then one of ten classes.
 * One epoch, or as many as the argument says: the accuracy grows for ten or so.
 * scripts/get-data.sh puts the four files into data/mnist. */
#include <stdio.h>
#include <stdlib.h>

#include <soma/soma.h>

int main(int argc, char **argv) {
    soma_dataset *train = soma_idx("data/mnist/train"), *test = soma_idx("data/mnist/t10k");
    soma_model *net =
        soma_sequential(soma_lstm(64, .input_shape = {28, 28}), soma_dense(10, .activation = soma_softmax));
    soma_compile(net, .optimizer = soma_adam(), .loss = soma_sparse_categorical_crossentropy,
                 .metrics = {soma_accuracy});
    soma_fit(net, train, .epochs = argc > 1 ? atoi(argv[1]) : 1, .batch_size = 128, .verbose = 1);
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
