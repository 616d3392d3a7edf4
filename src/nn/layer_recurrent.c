/* Recurrent layers and their cells: SimpleRNN, LSTM, GRU.
 * Rests on recurrent.h, which walks over the steps; here is what one step does.
 * Gates lie side by side in Keras' order: i, f, c, o of LSTM, and z, r, h of GRU. */
#include <stddef.h>

#include "nn/recurrent.h"

#define UNITS_FIELD(type)                                                                                              \
    { .name = "units", .kind = SOMA_FIELD_INT, .offset = offsetof(type, units), .low = 1, .high = 0x1p31 }

/* The layer, which walks, and the cell, which takes one step, of the same options. */
#define RECURRENT(word, class_name, walk_fields, step_fields, n_states)                                                \
    const soma_layer_class layer_##word = {.name = class_name,                                                         \
                                           .size = sizeof(soma_##word##_options),                                      \
                                           .fields = walk_fields,                                                      \
                                           .min_inputs = 1,                                                            \
                                           .max_inputs = 1 + n_states,                                                 \
                                           .build = recurrent_build,                                                   \
                                           .call = recurrent_call,                                                     \
                                           .by_steps = true};                                                          \
    soma_layer *soma_##word##_create(const soma_##word##_options *options) {                                           \
        return soma_layer_create(&layer_##word, options);                                                              \
    }                                                                                                                  \
    const soma_layer_class layer_##word##_cell = {.name = class_name "Cell",                                           \
                                                  .size = sizeof(soma_##word##_options),                               \
                                                  .fields = step_fields,                                               \
                                                  .min_inputs = 1,                                                     \
                                                  .max_inputs = 1 + n_states,                                          \
                                                  .build = recurrent_cell_build,                                       \
                                                  .call = recurrent_cell_call};                                        \
    soma_layer *soma_##word##_cell_create(const soma_##word##_options *options) {                                      \
        return soma_layer_create(&layer_##word##_cell, options);                                                       \
    }

/* ---- SimpleRNN ---- */

#define SIMPLE soma_simple_rnn_options
static const soma_field simple_fields[] = {
    UNITS_FIELD(SIMPLE), STEPS_FIELDS(SIMPLE), GATE_FIELDS(SIMPLE), {.name = NULL}};
static const soma_field simple_cell_fields[] = {UNITS_FIELD(SIMPLE), GATE_FIELDS(SIMPLE), {.name = NULL}};

static void simple_step(recurrent_step *step) {
    const SIMPLE *o = soma_layer_options(step->layer);
    soma_tensor *a = recurrent_sum(step);
    step->states[0] = recurrent_activate(o->activation, soma_tanh, a);
}

RECURRENT(simple_rnn, "SimpleRNN", simple_fields, simple_cell_fields, 1)

/* ---- LSTM ---- */

#define LSTM soma_lstm_options
#define LSTM_OWN_FIELDS                                                                                                \
    {.name = "recurrent_activation", .kind = SOMA_FIELD_ACTIVATION, .offset = offsetof(LSTM, recurrent_activation)}, { \
        .name = "unit_forget_bias", .kind = SOMA_FIELD_NOT, .offset = offsetof(LSTM, no_unit_forget_bias)              \
    }
static const soma_field lstm_fields[] = {
    UNITS_FIELD(LSTM), STEPS_FIELDS(LSTM), GATE_FIELDS(LSTM), LSTM_OWN_FIELDS, {.name = NULL}};
static const soma_field lstm_cell_fields[] = {UNITS_FIELD(LSTM), GATE_FIELDS(LSTM), LSTM_OWN_FIELDS, {.name = NULL}};

static void lstm_step(recurrent_step *step) {
    const LSTM *o = soma_layer_options(step->layer);
    soma_tensor *a = recurrent_sum(step);
    step->states[0] = recurrent_lstm(a, step->units, o->activation, o->recurrent_activation, &step->states[1]);
}

RECURRENT(lstm, "LSTM", lstm_fields, lstm_cell_fields, 2)

/* ---- GRU ---- */

#define GRU soma_gru_options
#define GRU_OWN_FIELDS                                                                                                 \
    {.name = "recurrent_activation", .kind = SOMA_FIELD_ACTIVATION, .offset = offsetof(GRU, recurrent_activation)}, {  \
        .name = "reset_after", .kind = SOMA_FIELD_NOT, .offset = offsetof(GRU, reset_before)                           \
    }
static const soma_field gru_fields[] = {
    UNITS_FIELD(GRU), STEPS_FIELDS(GRU), GATE_FIELDS(GRU), GRU_OWN_FIELDS, {.name = NULL}};
static const soma_field gru_cell_fields[] = {UNITS_FIELD(GRU), GATE_FIELDS(GRU), GRU_OWN_FIELDS, {.name = NULL}};

/* x + r (h U + b') for the gate g, where both h and b' may be none. */
static soma_tensor *reset_after(const recurrent_step *step, soma_tensor *x, soma_tensor *product, soma_tensor *r) {
    if (!step->h && !step->bias) return x;
    soma_tensor *part = step->h ? recurrent_gate(product, step->units, 2) : step->bias;
    if (step->h && step->bias) part = soma_add(part, step->bias);
    return soma_add(x, soma_mul(r, part));
}

/* x + (r h) U. */
static soma_tensor *reset_before(const recurrent_step *step, soma_tensor *x, soma_tensor *r) {
    if (!step->h) return x;
    return soma_add(x, soma_matmul(soma_mul(r, step->h), recurrent_gate(step->kernel, step->units, 2)));
}

static void gru_step(recurrent_step *step) {
    const GRU *o = soma_layer_options(step->layer);
    soma_tensor *product = NULL, *gates[2], *kernel = step->kernel;
    if (o->reset_before) kernel = soma_slice_axis(kernel, -1, 0, 2 * step->units, 1);
    if (step->h) product = soma_matmul(step->h, kernel);
    for (int i = 0; i < 2; i++) {
        soma_tensor *a = recurrent_gate(step->x, step->units, i);
        if (step->h) a = soma_add(a, recurrent_gate(product, step->units, i));
        gates[i] = recurrent_activate(o->recurrent_activation, soma_sigmoid, a);
    }
    soma_tensor *a = recurrent_gate(step->x, step->units, 2), *h = step->states[0];
    a = o->reset_before ? reset_before(step, a, gates[1]) : reset_after(step, a, product, gates[1]);
    soma_tensor *g = recurrent_activate(o->activation, soma_tanh, a);
    soma_tensor *rest = soma_sub(g, soma_mul(gates[0], g));
    step->states[0] = h ? soma_add(soma_mul(gates[0], h), rest) : rest;
}

RECURRENT(gru, "GRU", gru_fields, gru_cell_fields, 1)

/* ---- which is which ---- */

recurrent_kind recurrent_kind_of(const soma_layer *layer) {
    if (layer->kind == &layer_lstm || layer->kind == &layer_lstm_cell) {
        const LSTM *o = soma_layer_options(layer);
        recurrent_kind kind = {.gates = 4, .states = 2, .run = lstm_step};
        if (!o->no_unit_forget_bias) kind.bias.build = recurrent_forget_bias;
        return kind;
    }
    if (layer->kind == &layer_gru || layer->kind == &layer_gru_cell) {
        const GRU *o = soma_layer_options(layer);
        return (recurrent_kind){.gates = 3, .states = 1, .two_biases = !o->reset_before, .run = gru_step};
    }
    return (recurrent_kind){.gates = 1, .states = 1, .run = simple_step};
}
