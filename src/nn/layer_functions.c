/* Functions with numbers of their own as layers: Lambda, ReLU, LeakyReLU, PReLU, ELU, Softmax, ActivityRegularization.
 * Rests on maps; the compiler puts them behind whatever comes before.
 * Where activations.c has the function with a fixed number, these take another. */
#include <stddef.h>

#include <soma/layers.h>

#include "nn/normalize.h"

/* ---- Lambda ---- */

static const soma_field lambda_fields[] = {
    {.name = "function", .kind = SOMA_FIELD_ACTIVATION, .offset = offsetof(soma_lambda_options, function)},
    {.name = NULL}};

static soma_tensor *lambda(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    const soma_lambda_options *o = soma_layer_options(layer);
    RETURN_NULL_IF(layer->context, !o->function, SOMA_INVALID, "[Lambda] no function given");
    return o->function(inputs[0]);
}

const soma_layer_class layer_lambda = {.name = "Lambda",
                                       .size = sizeof(soma_lambda_options),
                                       .fields = lambda_fields,
                                       .min_inputs = 1,
                                       .max_inputs = 1,
                                       .call = lambda,
                                       .passes_mask = true};

soma_layer *soma_lambda_create(const soma_lambda_options *options) {
    return soma_layer_create(&layer_lambda, options);
}

/* ---- ReLU, LeakyReLU, ELU, Softmax ---- */

/* x > 0 ? x : below, of one graph. */
static soma_tensor *above_zero(soma_tensor *x, soma_tensor *below) {
    return x ? soma_where(soma_greater(x, soma_scalar(x->graph, x->dtype, 0)), x, below) : NULL;
}

#define FIELD(member) offsetof(soma_relu_layer_options, member)
static const soma_field relu_fields[] = {
    {.name = "max_value", .kind = SOMA_FIELD_NUMBER, .offset = FIELD(max_value), .low = 0, .high = 1e300},
    {.name = "negative_slope", .kind = SOMA_FIELD_NUMBER, .offset = FIELD(negative_slope), .low = 0, .high = 1e300},
    {.name = "threshold", .kind = SOMA_FIELD_NUMBER, .offset = FIELD(threshold), .low = 0, .high = 1e300},
    {.name = NULL}};
#undef FIELD

static soma_tensor *relu(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    const soma_relu_layer_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_float(layer, inputs[0]);
    if (!x) return NULL;
    soma_tensor *above = o->max_value > 0 ? soma_minimum(x, soma_scalar(x->graph, x->dtype, o->max_value)) : x;
    if (o->threshold == 0 && o->negative_slope == 0) return soma_relu(above);
    soma_tensor *threshold = soma_scalar(x->graph, x->dtype, o->threshold);
    soma_tensor *below = soma_mul_scalar(soma_sub(x, threshold), o->negative_slope);
    return soma_where(soma_greater_equal(x, threshold), above, below);
}

static const soma_field leaky_fields[] = {{.name = "negative_slope",
                                           .kind = SOMA_FIELD_NUMBER,
                                           .offset = offsetof(soma_leaky_relu_layer_options, negative_slope),
                                           .standard = 0.3},
                                          {.name = NULL}};

static soma_tensor *leaky_relu(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    const soma_leaky_relu_layer_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_float(layer, inputs[0]);
    return above_zero(x, soma_mul_scalar(x, o->negative_slope));
}

static const soma_field elu_fields[] = {
    {.name = "alpha", .kind = SOMA_FIELD_NUMBER, .offset = offsetof(soma_elu_layer_options, alpha), .standard = 1},
    {.name = NULL}};

static soma_tensor *elu(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    const soma_elu_layer_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_float(layer, inputs[0]);
    return above_zero(x, soma_mul_scalar(soma_elu(x), o->alpha));
}

static const soma_field softmax_fields[] = {NORMALIZE_AXES_FIELD(soma_softmax_layer_options), {.name = NULL}};

static soma_tensor *softmax(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)trace, (void)n;
    const soma_softmax_layer_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_float(layer, inputs[0]);
    normalize_axes axes;
    if (!x || !normalize_axes_of(layer, x, o->axis, &axes)) return NULL;
    if (axes.n == 1) return soma_softmax_axis(x, axes.axes[0]);
    soma_tensor *e = soma_exp(soma_sub(x, soma_stop_gradient(soma_max(x, axes.n, axes.axes, true))));
    return soma_div(e, soma_sum(e, axes.n, axes.axes, true));
}

#define FUNCTION(word, class_name, field_list)                                                                         \
    const soma_layer_class layer_##word##_layer = {.name = class_name,                                                 \
                                                   .size = sizeof(soma_##word##_layer_options),                        \
                                                   .fields = field_list,                                               \
                                                   .min_inputs = 1,                                                    \
                                                   .max_inputs = 1,                                                    \
                                                   .call = word,                                                       \
                                                   .passes_mask = true};                                               \
    soma_layer *soma_##word##_layer_create(const soma_##word##_layer_options *options) {                               \
        return soma_layer_create(&layer_##word##_layer, options);                                                      \
    }
FUNCTION(relu, "ReLU", relu_fields)
FUNCTION(leaky_relu, "LeakyReLU", leaky_fields)
FUNCTION(elu, "ELU", elu_fields)
FUNCTION(softmax, "Softmax", softmax_fields)
#undef FUNCTION

/* ---- PReLU ---- */

#define FIELD(member) offsetof(soma_prelu_options, member)

static const soma_field prelu_fields[] = {
    {.name = "alpha_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = FIELD(alpha_initializer)},
    {.name = "alpha_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = FIELD(alpha_regularizer)},
    {.name = "alpha_constraint", .kind = SOMA_FIELD_CONSTRAINT, .offset = FIELD(alpha_constraint)},
    {.name = "shared_axes", .kind = SOMA_FIELD_SHAPE, .offset = FIELD(shared_axes)},
    {.name = NULL}};

static soma_status prelu_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_prelu_options *o = soma_layer_options(layer);
    const soma_tensor *x = inputs[0];
    soma_weight_options alpha = {.name = "alpha",
                                 .rank = x->rank - 1,
                                 .initializer = o->alpha_initializer,
                                 .regularizer = o->alpha_regularizer,
                                 .constraint = o->alpha_constraint};
    for (int i = 1; i < x->rank; i++)
        alpha.shape[i - 1] = x->shape[i];
    for (int i = 0; i < SOMA_MAX_RANK && o->shared_axes[i]; i++) {
        int64_t axis = o->shared_axes[i] < 0 ? o->shared_axes[i] + x->rank : o->shared_axes[i];
        RETURN_IF(layer->context, axis < 1 || axis >= x->rank, SOMA_SHAPE, "[PReLU] a shared axis is %lld",
                  (long long)o->shared_axes[i]);
        alpha.shape[axis - 1] = 1;
    }
    return soma_layer_add_weight(layer, &alpha);
}

static soma_tensor *prelu(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    soma_tensor *x = layer_cast(layer, inputs[0]);
    return above_zero(x, soma_mul(x, soma_trace_weight(trace, layer, 0)));
}

const soma_layer_class layer_prelu = {.name = "PReLU",
                                      .size = sizeof(soma_prelu_options),
                                      .fields = prelu_fields,
                                      .min_inputs = 1,
                                      .max_inputs = 1,
                                      .build = prelu_build,
                                      .call = prelu,
                                      .passes_mask = true};

soma_layer *soma_prelu_create(const soma_prelu_options *options) {
    return soma_layer_create(&layer_prelu, options);
}

/* ---- ActivityRegularization ---- */

static const soma_field regularization_fields[] = {{.name = "l1",
                                                    .kind = SOMA_FIELD_NUMBER,
                                                    .offset = offsetof(soma_activity_regularization_options, l1),
                                                    .low = 0,
                                                    .high = 1e300},
                                                   {.name = "l2",
                                                    .kind = SOMA_FIELD_NUMBER,
                                                    .offset = offsetof(soma_activity_regularization_options, l2),
                                                    .low = 0,
                                                    .high = 1e300},
                                                   {.name = NULL}};

static soma_tensor *regularize(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_activity_regularization_options *o = soma_layer_options(layer);
    soma_tensor *x = layer_float(layer, inputs[0]);
    soma_regularizer both = soma_l1_l2(o->l1, o->l2);
    if (x) soma_trace_add_loss(trace, both.penalty(x, both.parameters));
    return x;
}

const soma_layer_class layer_activity_regularization = {.name = "ActivityRegularization",
                                                        .size = sizeof(soma_activity_regularization_options),
                                                        .fields = regularization_fields,
                                                        .min_inputs = 1,
                                                        .max_inputs = 1,
                                                        .call = regularize,
                                                        .passes_mask = true};

soma_layer *soma_activity_regularization_create(const soma_activity_regularization_options *options) {
    return soma_layer_create(&layer_activity_regularization, options);
}
