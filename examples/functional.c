/* The functional way: layers called on symbols, so that a network may branch and join.
 * Here the input goes around a hidden layer and joins its result, as in a residual network; trained on a sine.
 * Run by the tests. */
#include <math.h>
#include <stdio.h>

#include <soma/soma.h>

enum { SAMPLES = 256 };

int main(void) {
    static float x[SAMPLES], y[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        x[i] = (float)i * 6 / SAMPLES - 3;
        y[i] = sinf(x[i]);
    }
    soma_set_random_seed(NULL, 7);
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, 1), x},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, 1), y}, true);

    soma_symbol *in = soma_symbol_create(NULL, SOMA_DIMS(1), "x");
    soma_symbol *hidden = soma_call(soma_dense(16, .activation = soma_tanh), in);
    soma_symbol *block = soma_call(soma_dense(16, .activation = soma_tanh), hidden);
    soma_symbol *joined = soma_call_many(soma_add_layer(), (soma_symbol *[]){hidden, block}, 2);
    soma_symbol *out = soma_call(soma_dense(1, .name = "sine"), joined);
    soma_model *net = soma_model_create(&in, 1, &out, 1);

    char *summary = soma_summary(net, NULL);
    if (summary) fputs(summary, stdout);
    soma_string_free(summary);

    soma_compile(net, .optimizer = soma_adam(.learning_rate = 0.01), .loss = soma_mean_squared_error);
    soma_fit(net, data, .epochs = 200);
    soma_scores s = soma_evaluate(net, data);
    if (s.status != SOMA_OK) fprintf(stderr, "%s\n", soma_last_error(NULL));
    printf("learnt: %s\n", s.loss < 1e-3 ? "yes" : "no");
    soma_model_destroy(net);
    soma_dataset_destroy(data);
    return s.status == SOMA_OK ? 0 : 1;
}
