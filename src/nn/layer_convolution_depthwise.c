/* DepthwiseConv and SeparableConv: each channel by kernels of its own, then, if separable, a product of the channels.
 * Rests on soma_depthwise_conv and matmul. A window of one place needs no convolution: it is a matrix product. */
#include <stddef.h>
#include <string.h>

#include "nn/layer_convolution.h"

#define FIELD(member) offsetof(soma_depthwise_options, member)
#define MULTIPLIER_FIELD                                                                                               \
    {.name = "depth_multiplier",                                                                                       \
     .kind = SOMA_FIELD_INT,                                                                                           \
     .offset = FIELD(depth_multiplier),                                                                                \
     .standard = 1,                                                                                                    \
     .low = 1,                                                                                                         \
     .high = 0x1p31},                                                                                                  \
        {.name = "depthwise_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = FIELD(depthwise_initializer)},     \
        {.name = "depthwise_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = FIELD(depthwise_regularizer)}, {   \
        .name = "depthwise_constraint", .kind = SOMA_FIELD_CONSTRAINT, .offset = FIELD(depthwise_constraint)           \
    }

static const soma_field depthwise_fields[] = {
    CONVOLUTION_FIELDS(soma_depthwise_options), MULTIPLIER_FIELD, {.name = NULL}};
static const soma_field separable_fields[] = {
    {.name = "filters", .kind = SOMA_FIELD_INT, .offset = FIELD(filters), .low = 1, .high = 0x1p31},
    CONVOLUTION_FIELDS(soma_depthwise_options),
    MULTIPLIER_FIELD,
    {.name = "pointwise_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = FIELD(pointwise_initializer)},
    {.name = "pointwise_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = FIELD(pointwise_regularizer)},
    {.name = "pointwise_constraint", .kind = SOMA_FIELD_CONSTRAINT, .offset = FIELD(pointwise_constraint)},
    {.name = NULL}};

/* The depthwise kernel, under its name; *out: how many channels it makes. */
static soma_status add_depthwise(soma_layer *layer, const soma_tensor *x, const char *name, convolution_window *w,
                                 int64_t *out) {
    const soma_depthwise_options *o = soma_layer_options(layer);
    TRY(convolution_window_of(layer, x, w));
    RETURN_IF(layer->context, !int64_mul_checked(w->channels, o->depth_multiplier, out), SOMA_SHAPE,
              "[%s] %lld channels times %lld is too much", layer->kind->name, (long long)w->channels,
              (long long)o->depth_multiplier);
    return convolution_add_kernel(layer, w,
                                  &(soma_weight_options){.name = name,
                                                         .initializer = o->depthwise_initializer,
                                                         .regularizer = o->depthwise_regularizer,
                                                         .constraint = o->depthwise_constraint},
                                  w->channels, o->depth_multiplier);
}

/* Weight 0 on x, channels last. */
static soma_tensor *convolve(soma_layer *layer, soma_trace *trace, soma_tensor *x, convolution_window *w) {
    if (convolution_window_of(layer, x, w) != SOMA_OK) return NULL;
    x = places_last(layer_cast(layer, x), w->channels_first);
    if (!x || convolution_pad(layer, x, w) != SOMA_OK) return NULL;
    return soma_depthwise_conv(x, soma_trace_weight(trace, layer, 0), &w->window);
}

static soma_status depthwise_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    convolution_window w;
    int64_t out;
    TRY(add_depthwise(layer, inputs[0], "kernel", &w, &out));
    return convolution_add_bias(layer, out);
}

static soma_tensor *depthwise(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    convolution_window w = {0};
    soma_tensor *y = convolve(layer, trace, inputs[0], &w);
    return convolution_finish(layer, trace, y, 1, w.channels_first);
}

static soma_status separable_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_depthwise_options *o = soma_layer_options(layer);
    convolution_window w;
    int64_t out;
    TRY(add_depthwise(layer, inputs[0], "depthwise_kernel", &w, &out));
    for (int i = 0; i < w.places; i++)
        w.size[i] = 1;
    TRY(convolution_add_kernel(layer, &w,
                               &(soma_weight_options){.name = "pointwise_kernel",
                                                      .initializer = o->pointwise_initializer,
                                                      .regularizer = o->pointwise_regularizer,
                                                      .constraint = o->pointwise_constraint},
                               out, o->filters));
    return convolution_add_bias(layer, o->filters);
}

static soma_tensor *separable(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_depthwise_options *o = soma_layer_options(layer);
    convolution_window w = {0};
    soma_tensor *y = convolve(layer, trace, inputs[0], &w), *pointwise = soma_trace_weight(trace, layer, 1);
    if (!y || !pointwise) return NULL;
    y = soma_matmul(y, soma_reshape(pointwise, SOMA_DIMS(y->shape[y->rank - 1], o->filters)));
    return convolution_finish(layer, trace, y, 2, w.channels_first);
}

#define DEPTHWISE(word, class_name, function)                                                                          \
    const soma_layer_class layer_##word = {.name = class_name,                                                         \
                                           .size = sizeof(soma_depthwise_options),                                     \
                                           .fields = function##_fields,                                                \
                                           .min_inputs = 1,                                                            \
                                           .max_inputs = 1,                                                            \
                                           .build = function##_build,                                                  \
                                           .call = function};                                                          \
    soma_layer *soma_##word##_create(const soma_depthwise_options *options) {                                          \
        return soma_layer_create(&layer_##word, options);                                                              \
    }
DEPTHWISE(depthwise_conv_1d, "DepthwiseConv1D", depthwise)
DEPTHWISE(depthwise_conv_2d, "DepthwiseConv2D", depthwise)
DEPTHWISE(separable_conv_1d, "SeparableConv1D", separable)
DEPTHWISE(separable_conv_2d, "SeparableConv2D", separable)
#undef DEPTHWISE
