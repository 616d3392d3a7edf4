/* A network that learns to read handwritten digits: the program of README.
 * One hidden layer of 512 neurons, trained for five epochs; it reads 98 of 100 digits that it has not seen.
 * scripts/get-data.sh puts the four files into data/mnist. */
#include <stdio.h>

#include <soma/soma.h>

int main(void) {
    soma_dataset *train = soma_idx("data/mnist/train"), *test = soma_idx("data/mnist/t10k");
    soma_model *net = soma_sequential(soma_dense(512, .activation = soma_relu, .input_shape = {28 * 28}),
                                      soma_dense(10, .activation = soma_softmax));
    soma_compile(net, .optimizer = soma_rmsprop(), .loss = soma_sparse_categorical_crossentropy,
                 .metrics = {soma_accuracy});
    soma_fit(net, train, .epochs = 5, .batch_size = 128, .verbose = 1);
    soma_scores s = soma_evaluate(net, test);
    if (s.status == SOMA_OK) s.status = soma_save(net, "mnist.soma");
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
