/* The image classifier from scores: s = W x + b on raw pixels, one score a class, the highest one wins. Learnt once
 * with the softmax loss and once with the multi-class hinge loss (the sum over the wrong classes of max(0, s_j - s_y +
 * 1)), each with L2 on W. Run by the tests on the digits of MNIST. */
#include <stdio.h>

#include <soma/soma.h>

static soma_scores classify(const char *name, soma_loss_fn *loss, soma_dataset *train, soma_dataset *test) {
    soma_set_random_seed(NULL, 1);
    soma_model *net = soma_sequential(soma_dense(10, .input_shape = {28 * 28}, .kernel_regularizer = soma_l2(1e-4)));
    soma_compile(net, .optimizer = soma_sgd(.learning_rate = 0.02, .momentum = 0.9), .loss = loss,
                 .metrics = {soma_sparse_categorical_accuracy});
    soma_fit(net, train, .epochs = 3, .batch_size = 128);
    soma_scores s = soma_evaluate(net, test);
    if (s.status == SOMA_OK) printf("%s: %.4f\n", name, s.metrics[0]);
    if (s.status != SOMA_OK) fprintf(stderr, "%s\n", soma_last_error(NULL));
    soma_model_destroy(net);
    return s;
}

int main(void) {
    soma_dataset *train = soma_idx("data/mnist/train"), *test = soma_idx("data/mnist/t10k");
    if (!train || !test) {
        printf("skipped: %s\n", soma_last_error(NULL));
        soma_dataset_destroy(train);
        return 77;
    }
    soma_scores softmax = classify("softmax", soma_sparse_categorical_crossentropy_from_logits, train, test);
    soma_scores hinge = classify("hinge", soma_multiclass_hinge, train, test);
    soma_dataset_destroy(train);
    soma_dataset_destroy(test);
    return softmax.status == SOMA_OK && hinge.status == SOMA_OK ? 0 : 1;
}
