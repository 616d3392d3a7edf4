/* Adafactor: running squares of gradients as the product of their rows' and columns' means.
 * Rests on ops; Keras' form. The state of a matrix is two vectors; of a kernel of more axes, means over each of the
 * last two; of a vector, its squares. The decay grows with the steps, so the start needs no correction. */
#include "nn/optimizer.h"

static soma_tensor *root_mean_square(soma_tensor *x) {
    return soma_sqrt(soma_mean(soma_square(x), SOMA_ALL_AXES, false));
}

static soma_tensor *at_least(soma_tensor *x, double low) {
    return x ? soma_maximum(x, soma_scalar(soma_tensor_graph(x), soma_tensor_dtype(x), low)) : NULL;
}

/* decay old + (1 - decay) new */
static soma_tensor *average(soma_tensor *old, soma_tensor *new_value, soma_tensor *decay) {
    return soma_add(new_value, soma_mul(soma_sub(old, new_value), decay));
}

static const soma_field fields[] = {
    OPTIMIZER_NUMBER(soma_adafactor_options, learning_rate, 0.001, 0, 1e30),
    OPTIMIZER_NUMBER(soma_adafactor_options, beta_2_decay, -0.8, -1e30, 0),
    OPTIMIZER_NUMBER(soma_adafactor_options, epsilon_1, 1e-30, 0, 1e30),
    OPTIMIZER_NUMBER(soma_adafactor_options, epsilon_2, 1e-3, 0, 1e30),
    OPTIMIZER_NUMBER(soma_adafactor_options, clip_threshold, 1, 1e-30, 1e30),
    OPTIMIZER_NUMBER(soma_adafactor_options, weight_decay, 0, 0, 1e30),
    {.name = "relative_step", .kind = SOMA_FIELD_NOT, .offset = offsetof(soma_adafactor_options, no_relative_step)},
    {.name = NULL}};

static int describe(const void *options, const soma_variable *weight, soma_slot slots[SOMA_MAX_SLOTS]) {
    (void)options;
    int rank = soma_variable_ndim(weight);
    if (rank < 2) {
        slots[0].name = "velocity";
        return 1;
    }
    const int64_t *shape = soma_variable_shape(weight);
    slots[0] = (soma_slot){.name = "rows", .own_shape = true, .rank = rank - 1};
    slots[1] = (soma_slot){.name = "columns", .own_shape = true, .rank = rank - 1};
    for (int i = 0; i < rank - 1; i++)
        slots[0].shape[i] = slots[1].shape[i] = shape[i];
    slots[1].shape[rank - 2] = shape[rank - 1];
    return 2;
}

/* The running squares of the gradient, from the state and back into it. */
static soma_tensor *squares(const soma_adafactor_options *o, soma_update *u, soma_tensor *decay) {
    soma_tensor *now = soma_add_scalar(soma_square(u->g), o->epsilon_1);
    if (soma_ndim(u->w) < 2) return u->slots[0] = average(u->slots[0], now, decay);
    soma_tensor *rows = average(u->slots[0], soma_mean(now, SOMA_AXES(-1), false), decay);
    soma_tensor *columns = average(u->slots[1], soma_mean(now, SOMA_AXES(-2), false), decay);
    u->slots[0] = rows;
    u->slots[1] = columns;
    soma_tensor *share = soma_div(rows, soma_mean(rows, SOMA_AXES(-1), true));
    return soma_mul(soma_expand_dims(share, -1), soma_expand_dims(columns, -2));
}

static soma_tensor *update(const void *options, soma_update *u) {
    const soma_adafactor_options *o = options;
    soma_tensor *limit = soma_rsqrt(u->t), *rate = u->learning_rate;
    soma_tensor *decay = soma_add_scalar(soma_neg(soma_pow_scalar(u->t, o->beta_2_decay)), 1);
    if (!o->no_relative_step) rate = soma_minimum(rate, limit);
    soma_tensor *step = soma_mul(u->g, soma_rsqrt(squares(o, u, decay)));
    soma_tensor *length = soma_mul_scalar(root_mean_square(step), 1 / o->clip_threshold);
    step = soma_div(step, at_least(length, 1));
    rate = soma_mul(soma_minimum(rate, limit), at_least(root_mean_square(u->w), o->epsilon_2));
    return soma_sub(u->w, soma_mul(step, rate));
}

const soma_optimizer_class optimizer_adafactor = {
    .name = "adafactor", .size = sizeof(soma_adafactor_options), .fields = fields, .slots = describe, .update = update};

soma_optimizer *soma_adafactor_create(const soma_adafactor_options *options) {
    return soma_optimizer_create(&optimizer_adafactor, options);
}
