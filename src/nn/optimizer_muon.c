/* Muon: matrices are moved by their momentum with all its singular values near one; other weights by AdamW.
 * Rests on ops and on what optimizer_adam.h shares; Keras' form, the step scaled as Moonlight scales it.
 * The Newton-Schulz iteration runs on the wide side up, so that its products are the smaller ones. */
#include <math.h>
#include <string.h>

#include "nn/optimizer_adam.h"
#include "tensor/node.h"

#define FIELD(member) offsetof(soma_muon_options, member)
static const soma_field fields[] = {
    OPTIMIZER_NUMBER(soma_muon_options, learning_rate, 0.001, 0, 1e30),
    OPTIMIZER_NUMBER(soma_muon_options, adam_beta_1, 0.9, 0, 0.9999999),
    OPTIMIZER_NUMBER(soma_muon_options, adam_beta_2, 0.999, 0, 0.9999999),
    OPTIMIZER_NUMBER(soma_muon_options, adam_weight_decay, 0.004, 0, 1e30),
    OPTIMIZER_NUMBER(soma_muon_options, epsilon, 1e-7, 0, 1e30),
    OPTIMIZER_NUMBER(soma_muon_options, weight_decay, 0.004, 0, 1e30),
    {.name = "exclude_layers", .kind = SOMA_FIELD_STRING, .offset = FIELD(exclude_layers)},
    {.name = "exclude_embeddings", .kind = SOMA_FIELD_NOT, .offset = FIELD(no_exclude_embeddings)},
    OPTIMIZER_NUMBER(soma_muon_options, muon_a, 3.4445, -1e30, 1e30),
    OPTIMIZER_NUMBER(soma_muon_options, muon_b, -4.7750, -1e30, 1e30),
    OPTIMIZER_NUMBER(soma_muon_options, muon_c, 2.0315, -1e30, 1e30),
    OPTIMIZER_NUMBER(soma_muon_options, adam_lr_ratio, 1, 0, 1e30),
    OPTIMIZER_NUMBER(soma_muon_options, momentum, 0.95, 0, 1),
    {.name = "ns_steps", .kind = SOMA_FIELD_INT, .offset = FIELD(ns_steps), .standard = 5, .low = 1, .high = 50},
    {.name = "nesterov", .kind = SOMA_FIELD_NOT, .offset = FIELD(no_nesterov)},
    OPTIMIZER_NUMBER(soma_muon_options, rms_rate, 0.2, 0, 1e30),
    {.name = NULL}};

/* Whether one of the words, which spaces or commas part, is in the name. */
static bool has_word(const char *name, const char *words) {
    char word[128];
    while (words && *words) {
        words += strspn(words, " ,");
        size_t n = strcspn(words, " ,");
        if (n > 0 && n < sizeof word) {
            memcpy(word, words, n);
            word[n] = 0;
            if (strstr(name, word)) return true;
        }
        words += n;
    }
    return false;
}

static bool by_adam(const soma_muon_options *o, const soma_variable *weight) {
    return weight->rank != 2 || (!o->no_exclude_embeddings && strstr(weight->name, "embedding")) ||
           has_word(weight->name, o->exclude_layers);
}

static int describe(const void *options, const soma_variable *weight, soma_slot slots[SOMA_MAX_SLOTS]) {
    slots[0].name = "momentum";
    slots[1].name = "velocity";
    return by_adam(options, weight) ? 2 : 1;
}

static double decay(const void *options, const soma_variable *weight) {
    const soma_muon_options *o = options;
    return by_adam(o, weight) ? o->adam_weight_decay : o->weight_decay;
}

/* (rows, columns) with singular values near 1 */
static soma_tensor *orthogonal(const soma_muon_options *o, soma_tensor *x) {
    if (!x) return NULL;
    bool tall = x->shape[0] > x->shape[1];
    if (tall) x = soma_transpose(x, NULL);
    soma_tensor *norm = soma_sqrt(soma_sum(soma_square(x), SOMA_ALL_AXES, false));
    x = soma_div(x, soma_add_scalar(norm, 1e-7));
    for (int64_t i = 0; i < o->ns_steps; i++) {
        soma_tensor *a = soma_matmul(x, soma_transpose(x, NULL));
        soma_tensor *b = soma_add(soma_mul_scalar(a, o->muon_b), soma_mul_scalar(soma_matmul(a, a), o->muon_c));
        x = soma_add(soma_mul_scalar(x, o->muon_a), soma_matmul(b, x));
    }
    return tall ? soma_transpose(x, NULL) : x;
}

static soma_tensor *update(const void *options, soma_update *u) {
    const soma_muon_options *o = options;
    if (by_adam(o, u->variable)) {
        const soma_adam_options adam = {.beta_1 = o->adam_beta_1, .beta_2 = o->adam_beta_2, .epsilon = o->epsilon};
        u->learning_rate = soma_mul_scalar(u->learning_rate, o->adam_lr_ratio);
        return adam_update(&adam, u);
    }
    soma_tensor *m = soma_add(soma_mul_scalar(u->slots[0], o->momentum), u->g);
    u->slots[0] = m;
    if (!o->no_nesterov) m = soma_add(u->g, soma_mul_scalar(m, o->momentum));
    const int64_t *shape = u->variable->shape;
    double largest = (double)(shape[0] > shape[1] ? shape[0] : shape[1]);
    double factor = o->rms_rate != 0 ? o->rms_rate * sqrt(largest) : 1;
    return soma_sub(u->w, soma_mul(orthogonal(o, m), soma_mul_scalar(u->learning_rate, factor)));
}

const soma_optimizer_class optimizer_muon = {.name = "muon",
                                             .size = sizeof(soma_muon_options),
                                             .fields = fields,
                                             .slots = describe,
                                             .update = update,
                                             .decay = decay};

soma_optimizer *soma_muon_create(const soma_muon_options *options) {
    return soma_optimizer_create(&optimizer_muon, options);
}
