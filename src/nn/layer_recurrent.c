/* Recurrent layers: SimpleRNN, LSTM, GRU.
 * Rests on recurrent.h, which walks over the steps; here is what one step does.
 * Gates lie side by side in Keras' order: i, f, c, o of LSTM, and z, r, h of GRU. */
#include <stddef.h>

#include "nn/recurrent.h"

static soma_tensor *activate(soma_activation_fn *given, soma_activation_fn *standard, soma_tensor *x) {
    return x ? (given ? given : standard)(x) : NULL;
}

#define RECURRENT(word, class_name, field_list, most, kind_of)                                                         \
    static soma_status word##_build(soma_layer *layer, soma_tensor *const *inputs, int n) {                            \
        (void)n;                                                                                                       \
        const recurrent_kind kind = kind_of(soma_layer_options(layer));                                                \
        return recurrent_build(layer, &kind, inputs);                                                                  \
    }                                                                                                                  \
    static soma_tensor *word##_call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {         \
        const recurrent_kind kind = kind_of(soma_layer_options(layer));                                                \
        return recurrent_call(layer, &kind, trace, inputs, n);                                                         \
    }                                                                                                                  \
    const soma_layer_class layer_##word = {.name = class_name,                                                         \
                                           .size = sizeof(soma_##word##_options),                                      \
                                           .fields = field_list,                                                       \
                                           .min_inputs = 1,                                                            \
                                           .max_inputs = most,                                                         \
                                           .build = word##_build,                                                      \
                                           .call = word##_call};                                                       \
    soma_layer *soma_##word##_create(const soma_##word##_options *options) {                                           \
        return soma_layer_create(&layer_##word, options);                                                              \
    }

/* ---- SimpleRNN ---- */

static const soma_field simple_fields[] = {RECURRENT_FIELDS(soma_simple_rnn_options), {.name = NULL}};

static void simple_step(recurrent_step *step) {
    const soma_simple_rnn_options *o = soma_layer_options(step->layer);
    step->states[0] = activate(o->activation, soma_tanh, recurrent_plus(step->x, recurrent_product(step)));
}

static recurrent_kind simple_kind(const soma_simple_rnn_options *o) {
    (void)o;
    return (recurrent_kind){.gates = 1, .states = 1, .run = simple_step};
}

RECURRENT(simple_rnn, "SimpleRNN", simple_fields, 2, simple_kind)

/* ---- LSTM ---- */

static const soma_field lstm_fields[] = {
    RECURRENT_FIELDS(soma_lstm_options),
    {.name = "recurrent_activation",
     .kind = SOMA_FIELD_ACTIVATION,
     .offset = offsetof(soma_lstm_options, recurrent_activation)},
    {.name = "unit_forget_bias", .kind = SOMA_FIELD_NOT, .offset = offsetof(soma_lstm_options, no_unit_forget_bias)},
    {.name = NULL}};

/* 0, 1, 0, 0: at first the cell keeps what it has. */
static soma_tensor *forget_bias(const soma_weight_request *r, const double *parameters) {
    (void)parameters;
    int64_t units = r->shape[0] / 4;
    soma_tensor *parts[] = {soma_zeros(r->graph, r->dtype, SOMA_DIMS(units)),
                            soma_ones(r->graph, r->dtype, SOMA_DIMS(units)),
                            soma_zeros(r->graph, r->dtype, SOMA_DIMS(2 * units))};
    return soma_concat(parts, 3, 0);
}

static void lstm_step(recurrent_step *step) {
    const soma_lstm_options *o = soma_layer_options(step->layer);
    soma_tensor *a = recurrent_plus(step->x, recurrent_product(step)), *c = step->states[1];
    soma_tensor *i = activate(o->recurrent_activation, soma_sigmoid, recurrent_gate(step, a, 0));
    soma_tensor *f = activate(o->recurrent_activation, soma_sigmoid, recurrent_gate(step, a, 1));
    soma_tensor *g = activate(o->activation, soma_tanh, recurrent_gate(step, a, 2));
    soma_tensor *out = activate(o->recurrent_activation, soma_sigmoid, recurrent_gate(step, a, 3));
    c = c ? soma_add(soma_mul(f, c), soma_mul(i, g)) : soma_mul(i, g);
    step->states[1] = c;
    step->states[0] = soma_mul(out, activate(o->activation, soma_tanh, c));
}

static recurrent_kind lstm_kind(const soma_lstm_options *o) {
    recurrent_kind kind = {.gates = 4, .states = 2, .run = lstm_step};
    if (!o->no_unit_forget_bias) kind.bias.build = forget_bias;
    return kind;
}

RECURRENT(lstm, "LSTM", lstm_fields, 3, lstm_kind)

/* ---- GRU ---- */

static const soma_field gru_fields[] = {
    RECURRENT_FIELDS(soma_gru_options),
    {.name = "recurrent_activation",
     .kind = SOMA_FIELD_ACTIVATION,
     .offset = offsetof(soma_gru_options, recurrent_activation)},
    {.name = "reset_after", .kind = SOMA_FIELD_NOT, .offset = offsetof(soma_gru_options, reset_before)},
    {.name = NULL}};

/* What the state adds to the gate g: r (h U + b'), or (r h) U. */
static soma_tensor *reset_part(const recurrent_step *step, bool before, soma_tensor *product, soma_tensor *r) {
    if (!before) return product ? soma_mul(r, recurrent_gate(step, product, 2)) : NULL;
    return step->h ? soma_matmul(soma_mul(r, step->h), recurrent_gate(step, step->kernel, 2)) : NULL;
}

static void gru_step(recurrent_step *step) {
    const soma_gru_options *o = soma_layer_options(step->layer);
    soma_tensor *product;
    if (o->reset_before) {
        soma_tensor *two = soma_slice_axis(step->kernel, -1, 0, 2 * step->units, 1);
        product = step->h ? soma_matmul(step->h, two) : NULL;
    } else {
        product = recurrent_product(step);
        product = product ? recurrent_plus(product, step->bias) : step->bias ? soma_expand_dims(step->bias, 0) : NULL;
    }
    soma_tensor *gates[2];
    for (int i = 0; i < 2; i++) {
        soma_tensor *part = product ? recurrent_gate(step, product, i) : NULL;
        gates[i] =
            activate(o->recurrent_activation, soma_sigmoid, recurrent_plus(recurrent_gate(step, step->x, i), part));
    }
    soma_tensor *part = reset_part(step, o->reset_before, product, gates[1]);
    soma_tensor *g = activate(o->activation, soma_tanh, recurrent_plus(recurrent_gate(step, step->x, 2), part));
    soma_tensor *h = step->states[0];
    soma_tensor *rest = soma_sub(g, soma_mul(gates[0], g));
    step->states[0] = h ? soma_add(soma_mul(gates[0], h), rest) : rest;
}

static recurrent_kind gru_kind(const soma_gru_options *o) {
    return (recurrent_kind){.gates = 3, .states = 1, .two_biases = !o->reset_before, .run = gru_step};
}

RECURRENT(gru, "GRU", gru_fields, 2, gru_kind)
#undef RECURRENT
