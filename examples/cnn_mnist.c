/* A convolutional network that reads handwritten digits: two convolutions, each followed by pooling, then ten classes.
 * One epoch, or as many as the argument says: with six it learns to read 991 of 1000 digits that it has not seen. A
 * second argument is the seed. The learning rate falls along half a cosine, to nothing at the end. scripts/get-data.sh
 * puts the four files into data/mnist. */
#include <stdio.h>
#include <stdlib.h>

#include <soma/soma.h>

int main(int argc, char **argv) {
    const int epochs = argc > 1 ? atoi(argv[1]) : 1;
    soma_set_random_seed(NULL, argc > 2 ? (uint64_t)atoll(argv[2]) : 1);
    soma_dataset *train = soma_idx("data/mnist/train"), *test = soma_idx("data/mnist/t10k");
    soma_model *net = soma_sequential(
        soma_conv_2d(32, .kernel_size = {3, 3}, .activation = soma_relu, .input_shape = {28, 28, 1}),
        soma_max_pooling_2d(.pool_size = {2, 2}), soma_conv_2d(64, .kernel_size = {3, 3}, .activation = soma_relu),
        soma_max_pooling_2d(.pool_size = {2, 2}), soma_flatten(), soma_dropout(0.5),
        soma_dense(10, .activation = soma_softmax));
    soma_compile(net, .optimizer = soma_adam(.schedule = soma_cosine_decay(0.005, 469 * epochs)), /* steps an epoch */
                 .loss = soma_sparse_categorical_crossentropy, .metrics = {soma_accuracy});
    soma_fit(net, train, .epochs = epochs, .batch_size = 128, .verbose = 1);
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
