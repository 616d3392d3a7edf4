/* Overfitting, and what helps: a network with 4353 weights is shown twenty noisy points of a curve. Left alone it goes
 * through the noise; penalties on the weights, dropout, bounds and stopping early keep it nearer to the curve, which
 * the last column measures on points that it has not seen. Run by the tests. */
#include <math.h>
#include <stdio.h>

#include <soma/soma.h>

enum { SEEN = 20, UNSEEN = 200, UNITS = 64 };

static double x[SEEN], y[SEEN], new_x[UNSEEN], new_y[UNSEEN];

static double curve(double at) {
    return sin(2.5 * at) + 0.5 * at;
}

static void make_data(void) {
    for (int i = 0; i < SEEN; i++) {
        x[i] = sin(i * 12.9898); /* scattered over -1 to 1 */
        y[i] = curve(x[i]) + 0.35 * sin(i * 78.233);
    }
    for (int i = 0; i < UNSEEN; i++) {
        new_x[i] = -1 + 2.0 * i / (UNSEEN - 1);
        new_y[i] = curve(new_x[i]);
    }
}

static soma_dataset *dataset(int64_t n, const double *in, const double *out) {
    return soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F64, SOMA_DIMS(n, 1), in},
                                    (soma_array_data){SOMA_F64, SOMA_DIMS(n, 1), out}, true);
}

/* The root of the mean square of all kernels: networks that bend sharply have large weights. */
static double size_of_weights(const soma_model *net) {
    static double w[UNITS * UNITS];
    double squares = 0;
    int64_t count = 0;
    for (int i = 0; i < soma_model_layers(net); i++) {
        soma_variable *kernel = soma_layer_get_weight(soma_model_get_layer(net, i), 0);
        if (!kernel) continue; /* dropout has none */
        const int64_t n = soma_variable_size(kernel);
        if (soma_variable_get(kernel, w, (size_t)n * sizeof *w) != SOMA_OK) return NAN;
        for (int64_t k = 0; k < n; k++)
            squares += w[k] * w[k];
        count += n;
    }
    return sqrt(squares / (double)count);
}

typedef struct recipe {
    const char *name;
    soma_regularizer penalty; /* on both hidden kernels */
    soma_constraint bound;    /* of their columns */
    double dropout;           /* behind each hidden layer */
    int64_t epochs;
} recipe;

static soma_status learn(const recipe *r, soma_dataset *seen, soma_dataset *unseen) {
    soma_set_random_seed(NULL, 3);
    soma_model *net = soma_sequential(soma_dense(UNITS, .activation = soma_tanh, .kernel_regularizer = r->penalty,
                                                 .kernel_constraint = r->bound, .dtype = SOMA_F64, .input_shape = {1}),
                                      soma_dropout(r->dropout, .dtype = SOMA_F64),
                                      soma_dense(UNITS, .activation = soma_tanh, .kernel_regularizer = r->penalty,
                                                 .kernel_constraint = r->bound, .dtype = SOMA_F64),
                                      soma_dropout(r->dropout, .dtype = SOMA_F64), soma_dense(1, .dtype = SOMA_F64));
    soma_compile(net, .optimizer = soma_adam(.learning_rate = 0.01), .loss = soma_mean_squared_error,
                 .metrics = {soma_mean_squared_error}); /* the loss has the penalty in it, the metric has not */
    soma_status status = soma_fit(net, seen, .epochs = r->epochs, .batch_size = SEEN);
    const soma_scores known = soma_evaluate(net, seen), new = soma_evaluate(net, unseen);
    if (status == SOMA_OK)
        printf("%-24s %8.3f %8.3f %8.2f\n", r->name, known.metrics[0], new.metrics[0], size_of_weights(net));
    soma_model_destroy(net);
    return status == SOMA_OK ? new.status : status;
}

int main(void) {
    make_data();
    soma_dataset *seen = dataset(SEEN, x, y), *unseen = dataset(UNSEEN, new_x, new_y);
    const recipe recipes[] = {
        {.name = "nothing", .epochs = 3000},
        {.name = "L2, 0.001 sum w^2", .penalty = soma_l2(0.001), .epochs = 3000},
        {.name = "L1, 0.001 sum |w|", .penalty = soma_l1(0.001), .epochs = 3000},
        {.name = "dropout, 0.2", .dropout = 0.2, .epochs = 3000},
        {.name = "columns no longer than 1", .bound = soma_max_norm(1, 0), .epochs = 3000},
        {.name = "stopped early", .epochs = 150}, /* soma_early_stopping finds out when */
    };
    printf("%-24s %8s %8s %8s\n", "errors on points that", "it saw", "are new", "weights");
    soma_status status = SOMA_OK;
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes && status == SOMA_OK; i++)
        status = learn(&recipes[i], seen, unseen);
    if (status != SOMA_OK) fprintf(stderr, "%s\n", soma_last_error(NULL));
    soma_dataset_destroy(seen);
    soma_dataset_destroy(unseen);
    return status == SOMA_OK ? 0 : 1;
}
