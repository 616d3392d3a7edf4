/* Lamb: Adam's step, made as long as the weight, so that batches of thousands train as small ones do.
 * Rests on ops and on what optimizer_adam.h shares; Keras' form.
 * The norms are those of a whole weight: a kernel and its bias have each its own. */
#include "nn/optimizer_adam.h"

static soma_tensor *norm(soma_tensor *x) {
    return soma_sqrt(soma_sum(soma_square(x), SOMA_ALL_AXES, false));
}

/* a / b, or 1 where one of them is 0 */
static soma_tensor *trust(soma_tensor *a, soma_tensor *b) {
    if (!a) return NULL;
    soma_graph *graph = soma_tensor_graph(a);
    soma_tensor *zero = soma_scalar(graph, soma_tensor_dtype(a), 0), *one = soma_scalar(graph, soma_tensor_dtype(a), 1);
    soma_tensor *both = soma_logical_and(soma_greater(a, zero), soma_greater(b, zero));
    return soma_where(both, soma_div(a, soma_where(both, b, one)), one);
}

static const soma_field fields[] = {OPTIMIZER_NUMBER(soma_lamb_options, learning_rate, 0.001, 0, 1e30),
                                    OPTIMIZER_NUMBER(soma_lamb_options, beta_1, 0.9, 0, 0.9999999),
                                    OPTIMIZER_NUMBER(soma_lamb_options, beta_2, 0.999, 0, 0.9999999),
                                    OPTIMIZER_NUMBER(soma_lamb_options, epsilon, 1e-7, 0, 1e30),
                                    OPTIMIZER_NUMBER(soma_lamb_options, weight_decay, 0, 0, 1e30),
                                    {.name = NULL}};

static int describe(const void *options, const soma_variable *weight, soma_slot slots[SOMA_MAX_SLOTS]) {
    (void)options;
    (void)weight;
    slots[0] = (soma_slot){.name = "momentum"};
    slots[1] = (soma_slot){.name = "velocity"};
    return 2;
}

static soma_tensor *update(const void *options, soma_update *u) {
    const soma_lamb_options *o = options;
    soma_tensor *m = optimizer_average(u->slots[0], u->g, o->beta_1);
    soma_tensor *v = optimizer_average(u->slots[1], soma_square(u->g), o->beta_2);
    u->slots[0] = m;
    u->slots[1] = v;
    soma_tensor *root = soma_sqrt(soma_div(v, adam_one_minus_power(o->beta_2, u->t)));
    soma_tensor *step = soma_div(m, adam_one_minus_power(o->beta_1, u->t));
    step = soma_div(step, soma_add_scalar(root, o->epsilon));
    soma_tensor *ratio = trust(norm(u->w), norm(step));
    return soma_sub(u->w, soma_mul(step, soma_mul(ratio, u->learning_rate)));
}

const soma_optimizer_class optimizer_lamb = {
    .name = "lamb", .size = sizeof(soma_lamb_options), .fields = fields, .slots = describe, .update = update};

soma_optimizer *soma_lamb_create(const soma_lamb_options *options) {
    return soma_optimizer_create(&optimizer_lamb, options);
}
