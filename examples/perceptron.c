/* The first neurons: McCulloch and Pitts' of 1943, whose weights a person chooses, and Rosenblatt's of 1958, which
 * finds its own. After each epoch the weights are those that the rule gives on paper; XOR shows what one neuron can't
 * do. Run by the tests. */
#include <stdio.h>

#include <soma/soma.h>

static const double x[] = {0, 0, 0, 1, 1, 0, 1, 1};

static void learn(const char *name, const double *y) {
    soma_perceptron *p = soma_perceptron(2);
    printf("%s\n  epoch  w1  w2   b  wrong\n", name);
    int64_t wrong = 4;
    for (int epoch = 1; epoch <= 8 && wrong > 0; epoch++) {
        wrong = soma_perceptron_epoch(p, 4, x, y);
        const double *w = soma_perceptron_weights(p);
        printf("  %5d %3g %3g %3g %6lld\n", epoch, w[0], w[1], soma_perceptron_bias(p), (long long)wrong);
    }
    soma_perceptron_destroy(p);
}

int main(void) {
    printf("McCulloch and Pitts: a and b, a or b, a and not b, not a\n");
    for (int i = 0; i < 4; i++) {
        const bool in[] = {i >> 1, i & 1}, second_inhibits[] = {false, true}, first_inhibits[] = {true};
        printf("  %d %d: %d %d %d %d\n", in[0], in[1], soma_mcculloch_pitts(2, in, NULL, 2),
               soma_mcculloch_pitts(2, in, NULL, 1), soma_mcculloch_pitts(2, in, second_inhibits, 1),
               soma_mcculloch_pitts(1, in, first_inhibits, 0));
    }
    learn("AND", (const double[]){0, 0, 0, 1});
    learn("NAND", (const double[]){1, 1, 1, 0});
    learn("OR", (const double[]){0, 1, 1, 1});

    soma_perceptron *p = soma_perceptron(2);
    soma_perceptron_fit_result r = soma_perceptron_fit(p, 4, x, (const double[]){0, 1, 1, 0}, 1000);
    printf("XOR\n  %s after %lld epochs: %s\n", soma_status_text(r.status), (long long)r.epochs, soma_last_error(NULL));
    soma_perceptron_destroy(p);
    return 0;
}
