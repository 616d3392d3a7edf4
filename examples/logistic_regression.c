/* A sigmoid neuron, which is logistic regression: p = 1 / (1 + e^-(w x + b)), fitted by gradient descent on the
 * cross-entropy. Hours of study against exams passed; the same fit by statisticians gives 1.5046 and -4.0777.
 * Run by the tests. */
#include <stdio.h>

#include <soma/soma.h>

enum { N = 20 };
static const double hours[N] = {0.5,  0.75, 1,    1.25, 1.5, 1.75, 1.75, 2,    2.25, 2.5,
                                2.75, 3,    3.25, 3.5,  4,   4.25, 4.5,  4.75, 5,    5.5};
static const double passed[N] = {0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1};

int main(void) {
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F64, SOMA_DIMS(N, 1), hours},
                                                  (soma_array_data){SOMA_F64, SOMA_DIMS(N, 1), passed}, false);
    soma_model *net = soma_sequential(soma_dense(1, .activation = soma_sigmoid, .input_shape = {1}, .dtype = SOMA_F64));
    soma_compile(net, .optimizer = soma_sgd(.learning_rate = 0.3, .momentum = 0.9), .loss = soma_binary_crossentropy,
                 .metrics = {soma_accuracy, soma_auc});
    soma_fit(net, data, .epochs = 2000, .batch_size = N);
    soma_scores scores = soma_evaluate(net, data);
    if (scores.status != SOMA_OK) {
        fprintf(stderr, "%s\n", soma_last_error(NULL));
        return 1;
    }
    double w = 0, b = 0;
    soma_layer *neuron = soma_model_get_layer(net, 0);
    if (soma_variable_get(soma_layer_get_weight(neuron, 0), &w, sizeof w) != SOMA_OK) return 1;
    if (soma_variable_get(soma_layer_get_weight(neuron, 1), &b, sizeof b) != SOMA_OK) return 1;
    printf("p(passed) = 1 / (1 + e^-(%.4f hours %+.4f))\n", w, b);
    printf("accuracy %.2f, area under the curve %.4f\n", scores.metrics[0], scores.metrics[1]);
    soma_model_destroy(net);
    soma_dataset_destroy(data);
    return 0;
}
