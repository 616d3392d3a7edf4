/* Functions of your own: an activation, a loss and a metric are functions of tensors, no more.
 * They are differentiated and fused like the built-in ones; a file knows them by the names that save and load are
 * given. Run by the tests. */
#include <stdio.h>

#include <soma/soma.h>

/* x^2 where x is positive, else 0. */
static soma_tensor *squared_relu(soma_tensor *x) {
    return soma_square(soma_relu(x));
}

/* Mean of log cosh of the error: a square for small errors, an absolute value for large ones. */
static soma_tensor *log_cosh(soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *error = soma_sub(y_pred, y_true);
    soma_tensor *values = soma_add(error, soma_softplus(soma_mul_scalar(error, -2)));
    return soma_mean(soma_add_scalar(values, -0.69314718055994531), SOMA_AXES(-1), false);
}

/* Share of predictions that are within a tenth. */
static soma_tensor *close_enough(soma_tensor *y_true, soma_tensor *y_pred) {
    soma_tensor *error = soma_abs(soma_sub(y_pred, y_true));
    return soma_cast(soma_less(error, soma_scalar(soma_tensor_graph(error), SOMA_F32, 0.1)), SOMA_F32);
}

int main(void) {
    enum { SAMPLES = 200 };
    static float x[SAMPLES][2], y[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        x[i][0] = (float)(i % 20) / 10 - 1;
        x[i][1] = (float)(i / 20) / 5 - 1;
        y[i] = x[i][0] * x[i][1];
    }
    soma_set_random_seed(NULL, 3);
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, 2), x},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, 1), y}, true);
    soma_model *net = soma_sequential(soma_dense(8, .activation = squared_relu), soma_dense(1));
    soma_compile(net, .optimizer = soma_adam(.learning_rate = 0.02), .loss = log_cosh, .metrics = {close_enough});
    soma_fit(net, data, .epochs = 100);
    soma_scores s = soma_evaluate(net, data);
    if (s.status == SOMA_OK) {
        s.status = soma_save(net, "product.soma",
                             .custom = {{.name = "squared_relu", .function = (soma_function *)squared_relu},
                                        {.name = "log_cosh", .function = (soma_function *)log_cosh},
                                        {.name = "close_enough", .function = (soma_function *)close_enough}});
    }
    if (s.status != SOMA_OK) fprintf(stderr, "%s\n", soma_last_error(NULL));
    printf("more than nine of ten within a tenth: %s\n", s.metrics[0] > 0.9 ? "yes" : "no");
    soma_model_destroy(net);
    soma_dataset_destroy(data);
    return s.status == SOMA_OK ? 0 : 1;
}
