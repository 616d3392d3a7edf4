/* A network that learns exclusive or, from four samples in an array.
 * Two inputs, eight hidden neurons, one output; the smallest problem that one layer can't solve.
 * Run by the tests. */
#include <stdio.h>

#include <soma/soma.h>

int main(void) {
    const float x[] = {0, 0, 0, 1, 1, 0, 1, 1}, y[] = {0, 1, 1, 0};
    soma_set_random_seed(NULL, 1);
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(4, 2), x},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(4, 1), y}, true);
    soma_model *net = soma_sequential(soma_dense(8, .activation = soma_tanh, .input_shape = {2}),
                                      soma_dense(1, .activation = soma_sigmoid));
    soma_compile(net, .optimizer = soma_adam(.learning_rate = 0.05), .loss = soma_binary_crossentropy,
                 .metrics = {soma_accuracy});
    soma_fit(net, data, .epochs = 300, .batch_size = 4);

    soma_tensor *p = soma_predict(net, data);
    for (int i = 0; i < 4; i++)
        printf("%g xor %g = %g\n", (double)x[2 * i], (double)x[2 * i + 1], soma_item(soma_round(p), i));
    soma_scores scores = soma_evaluate(net, data);
    if (scores.status != SOMA_OK) fprintf(stderr, "%s\n", soma_last_error(NULL));
    printf("accuracy after %lld updates: %g\n", (long long)soma_updates(net), scores.metrics[0]);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
    return scores.status == SOMA_OK ? 0 : 1;
}
