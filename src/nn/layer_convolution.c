/* Convolution and transposed convolution over one to three axes of places.
 * Rests on soma_conv and soma_conv_transpose; the bias and the activation fuse into their epilogue.
 * Kernels lie as Keras' do, (size..., in / groups, filters), transposed ones (size..., filters, in). */
#include "nn/layer_convolution.h"

#include <stddef.h>
#include <string.h>

/* ---- shared ---- */

static const convolution_options *options_of(const soma_layer *layer) {
    return soma_layer_options(layer);
}

soma_status convolution_window_of(const soma_layer *layer, const soma_tensor *x, convolution_window *w) {
    const convolution_options *o = options_of(layer);
    *w = (convolution_window){.places = places_of(layer)};
    TRY(places_format(layer, x, o->data_format, &w->channels_first));
    w->channels = x->shape[w->channels_first ? 1 : w->places + 1];
    TRY(places_list(layer, "kernel_size", o->kernel_size, w->places, 0, w->size));
    TRY(places_list(layer, "strides", o->strides, w->places, 1, w->window.strides));
    return places_list(layer, "dilation_rate", o->dilation_rate, w->places, 1, w->window.dilation);
}

soma_status convolution_pad(const soma_layer *layer, const soma_tensor *x, convolution_window *w) {
    return places_padding(layer, x, soma_layer_options(layer), w->size, &w->window);
}

soma_status convolution_add_kernel(soma_layer *layer, const convolution_window *w, const soma_weight_options *options,
                                   int64_t rows, int64_t columns) {
    soma_weight_options kernel = *options;
    kernel.rank = w->places + 2;
    memcpy(kernel.shape, w->size, sizeof w->size);
    kernel.shape[w->places] = rows;
    kernel.shape[w->places + 1] = columns;
    if (!kernel.initializer.build) kernel.initializer = soma_glorot_uniform();
    return soma_layer_add_weight(layer, &kernel);
}

soma_status convolution_add_bias(soma_layer *layer, int64_t channels) {
    const convolution_options *o = options_of(layer);
    if (o->no_bias) return SOMA_OK;
    return soma_layer_add_weight(layer, &(soma_weight_options){.name = "bias",
                                                               .rank = 1,
                                                               .shape = {channels},
                                                               .initializer = o->bias_initializer,
                                                               .regularizer = o->bias_regularizer,
                                                               .constraint = o->bias_constraint});
}

soma_tensor *convolution_finish(soma_layer *layer, soma_trace *trace, soma_tensor *y, int bias, bool channels_first) {
    const convolution_options *o = options_of(layer);
    if (!o->no_bias && y) y = soma_add(y, soma_trace_weight(trace, layer, bias));
    if (o->activation && y) y = o->activation(y);
    return places_first(y, channels_first);
}

#define FIELD(member) offsetof(soma_convolution_options, member)
#define FILTERS_FIELD                                                                                                  \
    { .name = "filters", .kind = SOMA_FIELD_INT, .offset = FIELD(filters), .low = 1, .high = 0x1p31 }
#define KERNEL_FIELDS                                                                                                  \
    {.name = "kernel_initializer", .kind = SOMA_FIELD_INITIALIZER, .offset = FIELD(kernel_initializer)},               \
        {.name = "kernel_regularizer", .kind = SOMA_FIELD_REGULARIZER, .offset = FIELD(kernel_regularizer)}, {         \
        .name = "kernel_constraint", .kind = SOMA_FIELD_CONSTRAINT, .offset = FIELD(kernel_constraint)                 \
    }

static soma_weight_options kernel_of(const soma_convolution_options *o) {
    return (soma_weight_options){.name = "kernel",
                                 .initializer = o->kernel_initializer,
                                 .regularizer = o->kernel_regularizer,
                                 .constraint = o->kernel_constraint};
}

/* ---- Conv ---- */

static const soma_field conv_fields[] = {
    FILTERS_FIELD,
    CONVOLUTION_FIELDS(soma_convolution_options),
    KERNEL_FIELDS,
    {.name = "groups", .kind = SOMA_FIELD_INT, .offset = FIELD(groups), .standard = 1, .low = 1, .high = 0x1p31},
    {.name = NULL}};

static soma_status conv_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_convolution_options *o = soma_layer_options(layer);
    const soma_weight_options kernel = kernel_of(o);
    convolution_window w;
    TRY(convolution_window_of(layer, inputs[0], &w));
    RETURN_IF(layer->context, w.channels % o->groups != 0, SOMA_SHAPE,
              "[%s] the number of input channels must be divisible by the number of groups: %lld channels, %lld groups",
              layer->kind->name, (long long)w.channels, (long long)o->groups);
    RETURN_IF(layer->context, o->filters % o->groups != 0, SOMA_INVALID,
              "[%s] the number of filters must be divisible by the number of groups: %lld filters, %lld groups",
              layer->kind->name, (long long)o->filters, (long long)o->groups);
    TRY(convolution_add_kernel(layer, &w, &kernel, w.channels / o->groups, o->filters));
    return convolution_add_bias(layer, o->filters);
}

static soma_tensor *conv(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_convolution_options *o = soma_layer_options(layer);
    convolution_window w;
    if (convolution_window_of(layer, inputs[0], &w) != SOMA_OK) return NULL;
    soma_tensor *x = places_last(layer_cast(layer, inputs[0]), w.channels_first);
    if (!x || convolution_pad(layer, x, &w) != SOMA_OK) return NULL;
    w.window.groups = o->groups;
    soma_tensor *y = soma_conv(x, soma_trace_weight(trace, layer, 0), &w.window);
    return convolution_finish(layer, trace, y, 1, w.channels_first);
}

/* ---- transposed ---- */

static const soma_field transpose_fields[] = {FILTERS_FIELD,
                                              CONVOLUTION_FIELDS(soma_convolution_options),
                                              KERNEL_FIELDS,
                                              PLACES_LIST_FIELD(soma_convolution_options, output_padding),
                                              {.name = NULL}};

static soma_status transpose_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_convolution_options *o = soma_layer_options(layer);
    const soma_weight_options kernel = kernel_of(o);
    convolution_window w;
    TRY(convolution_window_of(layer, inputs[0], &w));
    TRY(convolution_add_kernel(layer, &w, &kernel, o->filters, w.channels));
    return convolution_add_bias(layer, o->filters);
}

/* output_padding of each axis; false when there is none. */
static bool output_padding(const soma_convolution_options *o, int n, int64_t *out) {
    int given = places_count(o->output_padding);
    for (int i = 0; i < n && given > 0; i++) {
        out[i] = o->output_padding[given == 1 ? 0 : i];
        if (out[i] < 0) out[i] = 0;
    }
    return given > 0;
}

/* Keras' rule: how many places come out decides what is cut off the whole adjoint, which has (places - 1) stride +
 * span. Half of it goes in front; where more are wanted than there are, zeros follow. */
static soma_status transpose_cut(const soma_layer *layer, const soma_tensor *x, convolution_window *w) {
    const soma_convolution_options *o = soma_layer_options(layer);
    const char *padding = o->padding ? o->padding : "valid";
    bool same = strcmp(padding, "same") == 0;
    int given = places_count(o->output_padding);
    int64_t extra[MOST_PLACES] = {0};
    RETURN_IF(layer->context, !same && strcmp(padding, "valid") != 0, SOMA_INVALID,
              "[%s] padding is '%s': it must be valid or same, or numbers by pads", layer->kind->name, padding);
    RETURN_IF(layer->context, given > 1 && given != w->places, SOMA_INVALID,
              "[%s] output_padding has %d numbers, not 1 or %d", layer->kind->name, given, w->places);
    bool told = output_padding(o, w->places, extra), pads = places_count(o->pads) > 0;
    if (pads) TRY(places_borders(layer, "pads", o->pads, w->places, 0, w->window.pads));
    for (int i = 0; i < w->places; i++) {
        int64_t stride = w->window.strides[i], span = (w->size[i] - 1) * w->window.dilation[i] + 1, cut;
        RETURN_IF(layer->context, told && extra[i] >= stride, SOMA_INVALID,
                  "[%s] output_padding is %lld: it must be less than the stride, %lld", layer->kind->name,
                  (long long)extra[i], (long long)stride);
        RETURN_IF(layer->context, x->shape[i + 1] < 1, SOMA_SHAPE, "[%s] the input has no places", layer->kind->name);
        if (pads || (told && !same)) {
            w->window.extra[i] = extra[i];
            continue;
        }
        cut = told ? span / 2 * 2 - extra[i] : same ? span - stride : span < stride ? span - stride : 0;
        w->window.extra[i] = cut < 0 ? -cut : 0;
        w->window.pads[i][0] = cut > 0 ? cut / 2 : 0;
        w->window.pads[i][1] = cut > 0 ? cut - cut / 2 : 0;
    }
    return SOMA_OK;
}

static soma_tensor *transpose(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    (void)n;
    convolution_window w;
    if (convolution_window_of(layer, inputs[0], &w) != SOMA_OK) return NULL;
    soma_tensor *x = places_last(layer_cast(layer, inputs[0]), w.channels_first);
    if (!x || transpose_cut(layer, x, &w) != SOMA_OK) return NULL;
    soma_tensor *y = soma_conv_transpose(x, soma_trace_weight(trace, layer, 0), &w.window);
    return convolution_finish(layer, trace, y, 1, w.channels_first);
}

#define CONVOLUTION(word, class_name, field_list, build_function, function)                                            \
    const soma_layer_class layer_##word = {.name = class_name,                                                         \
                                           .size = sizeof(soma_convolution_options),                                   \
                                           .fields = field_list,                                                       \
                                           .min_inputs = 1,                                                            \
                                           .max_inputs = 1,                                                            \
                                           .build = build_function,                                                    \
                                           .call = function};                                                          \
    soma_layer *soma_##word##_create(const soma_convolution_options *options) {                                        \
        return soma_layer_create(&layer_##word, options);                                                              \
    }
CONVOLUTION(conv_1d, "Conv1D", conv_fields, conv_build, conv)
CONVOLUTION(conv_2d, "Conv2D", conv_fields, conv_build, conv)
CONVOLUTION(conv_3d, "Conv3D", conv_fields, conv_build, conv)
CONVOLUTION(conv_1d_transpose, "Conv1DTranspose", transpose_fields, transpose_build, transpose)
CONVOLUTION(conv_2d_transpose, "Conv2DTranspose", transpose_fields, transpose_build, transpose)
CONVOLUTION(conv_3d_transpose, "Conv3DTranspose", transpose_fields, transpose_build, transpose)
#undef CONVOLUTION
