/* One neuron: a threshold on a sum, and Rosenblatt's rule that finds its weights.
 * Rests on base alone: numbers in double, one after the other, so that every step is what the rule gives by hand.
 * It stands beside the layers, not on them: the rule follows no gradient. */
#include <soma/neuron.h>

#include <math.h>
#include <string.h>

#include "base/base.h"

int soma_mcculloch_pitts(int n, const bool *inputs, const bool *inhibitory, int threshold) {
    int sum = 0;
    for (int i = 0; i < n; i++) {
        if (!inputs[i]) continue;
        if (inhibitory && inhibitory[i]) return 0;
        sum++;
    }
    return sum >= threshold;
}

struct soma_perceptron {
    soma_context *context;
    int64_t inputs;
    double learning_rate, bias;
    double *weights;
};

soma_perceptron *soma_perceptron_create(const soma_perceptron_options *options) {
    if (!options) return NULL;
    soma_context *context = context_of(options->context);
    const double rate = options->learning_rate == 0 ? 1 : options->learning_rate;
    size_t bytes = 0;
    RETURN_NULL_IF(context, options->inputs < 1 || !size_mul((size_t)options->inputs, sizeof(double), &bytes),
                   SOMA_INVALID, "[perceptron] %lld inputs: at least 1 is needed", (long long)options->inputs);
    RETURN_NULL_IF(context, !(rate > 0) || !isfinite(rate), SOMA_INVALID, "[perceptron] learning_rate is %g", rate);
    soma_perceptron *p = mem_zalloc(context, sizeof *p);
    double *weights = p ? mem_zalloc(context, bytes) : NULL;
    if (!weights) {
        mem_free(context, p, sizeof *p);
        return NULL;
    }
    if (options->weights) memcpy(weights, options->weights, bytes);
    *p = (soma_perceptron){context, options->inputs, rate, options->bias, weights};
    return p;
}

void soma_perceptron_destroy(soma_perceptron *p) {
    if (!p) return;
    mem_free(p->context, p->weights, (size_t)p->inputs * sizeof(double));
    mem_free(p->context, p, sizeof *p);
}

int64_t soma_perceptron_inputs(const soma_perceptron *p) {
    return p ? p->inputs : 0;
}
const double *soma_perceptron_weights(const soma_perceptron *p) {
    return p ? p->weights : NULL;
}
double soma_perceptron_bias(const soma_perceptron *p) {
    return p ? p->bias : 0;
}

double soma_perceptron_activation(const soma_perceptron *p, const double *x) {
    double sum = 0;
    if (!p || !x) return (double)NAN;
    for (int64_t i = 0; i < p->inputs; i++)
        sum += p->weights[i] * x[i];
    return sum + p->bias;
}

int soma_perceptron_predict(const soma_perceptron *p, const double *x) {
    return soma_perceptron_activation(p, x) >= 0;
}

int64_t soma_perceptron_epoch(soma_perceptron *p, int64_t n, const double *x, const double *y) {
    int64_t wrong = 0;
    if (!p || !x || !y) return -1;
    for (int64_t i = 0; i < n; i++) {
        if (y[i] != 0 && y[i] != 1) {
            (void)error_set(p->context, SOMA_INVALID, "[perceptron] label %lld is %g: 0 or 1 is expected", (long long)i,
                            y[i]);
            return -1;
        }
    }
    for (int64_t i = 0; i < n; i++, x += p->inputs) {
        const double error = y[i] - soma_perceptron_predict(p, x);
        if (error == 0) continue;
        for (int64_t k = 0; k < p->inputs; k++)
            p->weights[k] += p->learning_rate * error * x[k];
        p->bias += p->learning_rate * error;
        wrong++;
    }
    return wrong;
}

soma_perceptron_fit_result soma_perceptron_fit(soma_perceptron *p, int64_t n, const double *x, const double *y,
                                               int64_t epochs) {
    soma_perceptron_fit_result result = {.status = SOMA_OK, .wrong = n};
    if (!p || !x || !y || n < 1 || epochs < 1) {
        result.status =
            error_set(p ? p->context : NULL, SOMA_INVALID, "[perceptron] no perceptron, no samples or no epochs given");
        return result;
    }
    while (result.epochs < epochs && result.wrong > 0) {
        result.wrong = soma_perceptron_epoch(p, n, x, y);
        result.epochs++;
    }
    if (result.wrong < 0) result.status = SOMA_INVALID;
    if (result.wrong > 0)
        result.status = error_set(p->context, SOMA_DIVERGED,
                                  "[perceptron] no convergence in %lld epochs: %lld of %lld samples were wrong in the "
                                  "last; perhaps no line or plane separates the classes",
                                  (long long)epochs, (long long)result.wrong, (long long)n);
    return result;
}
