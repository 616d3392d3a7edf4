/* Dense: activation(x W + b).
 * Rests on matmul; the bias and the activation fuse into its epilogue.
 * W is (in, units) as in Keras, so a file's kernel reads as the formula does. */
#include <stddef.h>

#include "nn/layer.h"

#define FIELD(member) offsetof(soma_dense_options, member)

static const soma_field fields[] = {
    {.name = "units", .kind = SOMA_FIELD_INT, .offset = FIELD(units), .low = 1},
    {.name = "activation", .kind = SOMA_FIELD_ACTIVATION, .offset = FIELD(activation)},
    {.name = "use_bias", .kind = SOMA_FIELD_NOT, .offset = FIELD(no_bias)},
    {.name = "kernel_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = FIELD(kernel_initializer)},
    {.name = "bias_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = FIELD(bias_initializer)},
    {.name = "kernel_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = FIELD(kernel_regularizer)},
    {.name = "bias_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = FIELD(bias_regularizer)},
    {.name = "kernel_constraint", .kind = SOMA_FIELD_CONSTRAINT, .offset = FIELD(kernel_constraint)},
    {.name = "bias_constraint", .kind = SOMA_FIELD_CONSTRAINT, .offset = FIELD(bias_constraint)},
    {.name = NULL}};

static soma_status build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_dense_options *o = soma_layer_options(layer);
    RETURN_IF(layer->context, inputs[0]->rank < 2, SOMA_SHAPE,
              "[Dense] a sample is a single number; it needs an axis of features");
    soma_weight_options kernel = {.name = "kernel",
                                  .rank = 2,
                                  .shape = {soma_dim(inputs[0], -1), o->units},
                                  .initializer = o->kernel_initializer,
                                  .regularizer = o->kernel_regularizer,
                                  .constraint = o->kernel_constraint};
    if (!kernel.initializer.build) kernel.initializer = soma_glorot_uniform();
    TRY(soma_layer_add_weight(layer, &kernel));
    if (o->no_bias) return SOMA_OK;
    return soma_layer_add_weight(layer, &(soma_weight_options){.name = "bias",
                                                               .rank = 1,
                                                               .shape = {o->units},
                                                               .initializer = o->bias_initializer,
                                                               .regularizer = o->bias_regularizer,
                                                               .constraint = o->bias_constraint});
}

static soma_tensor *call(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_dense_options *o = soma_layer_options(layer);
    soma_tensor *y = soma_matmul(layer_cast(layer, inputs[0]), soma_trace_weight(trace, layer, 0));
    if (!o->no_bias) y = soma_add(y, soma_trace_weight(trace, layer, 1));
    if (o->activation && y) y = o->activation(y);
    return y;
}

const soma_layer_class layer_dense = {.name = "Dense",
                                      .size = sizeof(soma_dense_options),
                                      .fields = fields,
                                      .min_inputs = 1,
                                      .max_inputs = 1,
                                      .build = build,
                                      .call = call,
                                      .passes_mask = true};

soma_layer *soma_dense_create(const soma_dense_options *options) {
    return soma_layer_create(&layer_dense, options);
}
