/* Activations: functions of a tensor, same shape in and out, composed from ops.
 * Rests on ops alone; constants are those of Keras 3. activations.def names them.
 * Kinks are written with where, so that the gradient at the kink is one of the two sides', as Keras has it. */
#include <math.h>

#include "nn/names.h"
#include "tensor/node.h"

static soma_tensor *like(soma_tensor *x, double value) {
    return x ? soma_scalar(soma_tensor_graph(x), soma_tensor_dtype(x), value) : NULL;
}

/* x > 0 ? x : negative */
static soma_tensor *rectify(soma_tensor *x, soma_tensor *negative) {
    return soma_where(soma_less_equal(x, like(x, 0)), negative, x);
}

soma_tensor *soma_linear(soma_tensor *x) {
    return x;
}

soma_tensor *soma_relu(soma_tensor *x) {
    return rectify(x, like(x, 0));
}

soma_tensor *soma_softmax(soma_tensor *x) {
    return soma_softmax_axis(x, -1);
}

static soma_tensor *log_softmax(soma_tensor *x) {
    return soma_log_softmax(x, -1);
}

soma_tensor *soma_step(soma_tensor *x) {
    return x ? soma_stop_gradient(soma_cast(soma_greater_equal(x, like(x, 0)), soma_tensor_dtype(x))) : NULL;
}

/* e^x - 1 for x <= 0; the 0 of others keeps the side that where drops finite, also in its gradient. */
static soma_tensor *expm1_negative(soma_tensor *x) {
    soma_tensor *zero = like(x, 0);
    return soma_expm1(soma_where(soma_less_equal(x, zero), x, zero));
}

soma_tensor *soma_elu(soma_tensor *x) {
    return rectify(x, expm1_negative(x));
}

soma_tensor *soma_selu(soma_tensor *x) {
    const double alpha = 1.6732632423543772848170429916717, scale = 1.0507009873554804934193349852946;
    return soma_mul_scalar(rectify(x, soma_mul_scalar(expm1_negative(x), alpha)), scale);
}

soma_tensor *soma_celu(soma_tensor *x) {
    return soma_elu(x); /* at alpha 1 they are the same */
}

soma_tensor *soma_softsign(soma_tensor *x) {
    return soma_div(x, soma_add_scalar(soma_abs(x), 1));
}

soma_tensor *soma_silu(soma_tensor *x) {
    return soma_mul(x, soma_sigmoid(x));
}

soma_tensor *soma_mish(soma_tensor *x) {
    return soma_mul(x, soma_tanh(soma_softplus(x)));
}

/* From -1 .. 1 to 0 .. 1, in one rounding. */
static soma_tensor *halfway(soma_tensor *x) {
    return soma_add_scalar(soma_mul_scalar(x, 0.5), 0.5);
}

soma_tensor *soma_gelu(soma_tensor *x) {
    return soma_mul(x, halfway(soma_erf(soma_mul_scalar(x, sqrt(0.5)))));
}

/* x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
soma_tensor *soma_gelu_tanh(soma_tensor *x) {
    soma_tensor *cube = soma_mul(soma_square(x), x);
    soma_tensor *inner = soma_add(x, soma_mul_scalar(cube, 0.044715));
    return soma_mul(x, halfway(soma_tanh(soma_mul_scalar(inner, 0.79788456080286535588))));
}

soma_tensor *soma_leaky_relu(soma_tensor *x) {
    return rectify(x, soma_mul_scalar(x, 0.2));
}

soma_tensor *soma_relu6(soma_tensor *x) {
    soma_tensor *top = like(x, 6);
    return soma_where(soma_greater_equal(x, top), top, soma_relu(x));
}

soma_tensor *soma_hard_sigmoid(soma_tensor *x) {
    return soma_clip(soma_add_scalar(soma_mul_scalar(x, 1.0 / 6), 0.5), 0, 1);
}

soma_tensor *soma_hard_silu(soma_tensor *x) {
    return soma_mul(x, soma_hard_sigmoid(x));
}

soma_tensor *soma_hard_tanh(soma_tensor *x) {
    return soma_clip(x, -1, 1);
}

soma_tensor *soma_log_sigmoid(soma_tensor *x) {
    return soma_neg(soma_softplus(soma_neg(x)));
}

static const name_entry entries[] = {
#define ACTIVATION(text, fn) {.name = text, .function = (soma_function *)fn},
#include "nn/activations.def"
#undef ACTIVATION
};

static const char *const names[] = {
#define ACTIVATION(text, function) text,
#include "nn/activations.def"
#undef ACTIVATION
    NULL};

const name_table activation_names = {"activation", entries, sizeof entries / sizeof *entries, names, 0};
