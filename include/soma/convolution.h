/* Layers that look through windows: convolution and pooling over one, two or three axes of places.
 * Options are as in nn.h: soma_conv_2d(32, .kernel_size = {3, 3}, .activation = soma_relu). Lists that speak of the
 * axes of places, such as kernel_size or strides, have one number for all of them, {3}, or one for each, {3, 5}. Inputs
 * are (batch, places..., channels); with .data_format = "channels_first" they are (batch, channels, places...), and so
 * are the results, while the weights stay as they are. */
#ifndef SOMA_CONVOLUTION_H
#define SOMA_CONVOLUTION_H

#include <soma/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Every window's own. padding is "valid" (no padding, the default), "same" (extent / stride places come out, rounded
 * up; an odd one of the padding goes to the end) or, of one axis, "causal" (all in front: place i sees places up to i).
 * pads, when set, says it in numbers: {all}, one an axis, or before and after each axis; -1 stands for none. */
#define SOMA_WINDOW_OPTIONS                                                                                            \
    SOMA_LAYER_OPTIONS                                                                                                 \
    int64_t strides[SOMA_MAX_RANK]; /* 1; of pools the pool's size */                                                  \
    const char *padding;            /* "valid" */                                                                      \
    int64_t pads[SOMA_MAX_RANK];    /* instead of padding */                                                           \
    const char *data_format;        /* "channels_last" */

/* Every convolution's own. The activation sees the channels last. */
#define SOMA_CONVOLUTION_OPTIONS                                                                                       \
    SOMA_WINDOW_OPTIONS                                                                                                \
    int64_t kernel_size[SOMA_MAX_RANK];                                                                                \
    int64_t dilation_rate[SOMA_MAX_RANK]; /* 1: distance of a window's places */                                       \
    soma_activation_fn *activation;       /* NULL: linear */                                                           \
    bool no_bias;                         /* Keras: use_bias = False */                                                \
    soma_initializer bias_initializer;    /* zeros */                                                                  \
    soma_regularizer bias_regularizer;    /* none */                                                                   \
    soma_constraint bias_constraint;      /* none */

/* ---- convolution ---- */

/** activation(b_o + sum over the window's places s and channels c of x[p stride + s dilation, c] w[s, c, o]):
 *  x (batch, places..., in) -> (batch, places'..., filters) with
 *  places' = (places + padding - dilation (kernel_size - 1) - 1) / stride + 1. "kernel" is
 *  (kernel_size..., in / groups, filters), "bias" (filters). groups: the channels in as many parts, each with its share
 *  of the filters. Errors: SOMA_SHAPE if a window does not fit, or groups does not divide in and filters.
 *  Keras Conv1D/2D/3D, ONNX Conv-11 (whose kernel is (out, in, kernel_size...)).
 *  Transpose: the same taken backwards, as the gradient of a convolution to its input: each place is spread over a
 *  window; "kernel" is (kernel_size..., filters, in). places' = places stride with padding "same", else
 *  places stride + max(dilation (kernel_size - 1) + 1 - stride, 0), or what output_padding says:
 *  (places - 1) stride + dilation (kernel_size - 1) + 1 + output_padding, less twice half a window with "same"; pads,
 *  when set, are cut off. No groups. Keras Conv1D/2D/3DTranspose, ONNX ConvTranspose-11. Example: examples/cnn_mnist.c
 */
typedef struct soma_convolution_options {
    SOMA_CONVOLUTION_OPTIONS
    int64_t filters;                       /* channels of the result; needed */
    int64_t groups;                        /* 1 */
    int64_t output_padding[SOMA_MAX_RANK]; /* of the transposed ones; unset: none, -1: zero */
    soma_initializer kernel_initializer;   /* glorot_uniform */
    soma_regularizer kernel_regularizer;   /* none */
    soma_constraint kernel_constraint;     /* none */
} soma_convolution_options;
#define soma_conv_1d(...) soma_conv_1d_create(&(soma_convolution_options){.filters = __VA_ARGS__})
#define soma_conv_2d(...) soma_conv_2d_create(&(soma_convolution_options){.filters = __VA_ARGS__})
#define soma_conv_3d(...) soma_conv_3d_create(&(soma_convolution_options){.filters = __VA_ARGS__})
#define soma_conv_1d_transpose(...) soma_conv_1d_transpose_create(&(soma_convolution_options){.filters = __VA_ARGS__})
#define soma_conv_2d_transpose(...) soma_conv_2d_transpose_create(&(soma_convolution_options){.filters = __VA_ARGS__})
#define soma_conv_3d_transpose(...) soma_conv_3d_transpose_create(&(soma_convolution_options){.filters = __VA_ARGS__})
SOMA_API soma_layer *soma_conv_1d_create(const soma_convolution_options *options);
SOMA_API soma_layer *soma_conv_2d_create(const soma_convolution_options *options);
SOMA_API soma_layer *soma_conv_3d_create(const soma_convolution_options *options);
SOMA_API soma_layer *soma_conv_1d_transpose_create(const soma_convolution_options *options);
SOMA_API soma_layer *soma_conv_2d_transpose_create(const soma_convolution_options *options);
SOMA_API soma_layer *soma_conv_3d_transpose_create(const soma_convolution_options *options);

/** Depthwise: every channel by depth_multiplier kernels of its own: x (batch, places..., in) ->
 *  (batch, places'..., in depth_multiplier); "kernel" is (kernel_size..., in, depth_multiplier). Separable: then a
 *  product of the channels: -> (batch, places'..., filters); "depthwise_kernel", and "pointwise_kernel"
 *  (1..., in depth_multiplier, filters). Keras DepthwiseConv1D/2D, SeparableConv1D/2D. Chollet 2017. */
typedef struct soma_depthwise_options {
    SOMA_CONVOLUTION_OPTIONS
    int64_t filters;                                               /* separable only */
    int64_t depth_multiplier;                                      /* 1 */
    soma_initializer depthwise_initializer, pointwise_initializer; /* glorot_uniform */
    soma_regularizer depthwise_regularizer, pointwise_regularizer; /* none */
    soma_constraint depthwise_constraint, pointwise_constraint;    /* none */
} soma_depthwise_options;
#define soma_depthwise_conv_1d(...) soma_depthwise_conv_1d_create(&(soma_depthwise_options){.nothing = 0, __VA_ARGS__})
#define soma_depthwise_conv_2d(...) soma_depthwise_conv_2d_create(&(soma_depthwise_options){.nothing = 0, __VA_ARGS__})
#define soma_separable_conv_1d(...) soma_separable_conv_1d_create(&(soma_depthwise_options){.filters = __VA_ARGS__})
#define soma_separable_conv_2d(...) soma_separable_conv_2d_create(&(soma_depthwise_options){.filters = __VA_ARGS__})
SOMA_API soma_layer *soma_depthwise_conv_1d_create(const soma_depthwise_options *options);
SOMA_API soma_layer *soma_depthwise_conv_2d_create(const soma_depthwise_options *options);
SOMA_API soma_layer *soma_separable_conv_1d_create(const soma_depthwise_options *options);
SOMA_API soma_layer *soma_separable_conv_2d_create(const soma_depthwise_options *options);

/* ---- pooling ---- */

/** The largest element, or the mean, of each window and channel: x (batch, places..., channels) ->
 *  (batch, places'..., channels), places' as of a convolution. Padding never wins, and does not count in means.
 *  Keras MaxPooling1D/2D/3D, AveragePooling1D/2D/3D, ONNX MaxPool-12, AveragePool-11. */
typedef struct soma_pooling_options {
    SOMA_WINDOW_OPTIONS
    int64_t pool_size[SOMA_MAX_RANK]; /* MaxPooling: 2; AveragePooling: to be given */
} soma_pooling_options;
#define soma_max_pooling_1d(...) soma_max_pooling_1d_create(&(soma_pooling_options){.nothing = 0, __VA_ARGS__})
#define soma_max_pooling_2d(...) soma_max_pooling_2d_create(&(soma_pooling_options){.nothing = 0, __VA_ARGS__})
#define soma_max_pooling_3d(...) soma_max_pooling_3d_create(&(soma_pooling_options){.nothing = 0, __VA_ARGS__})
#define soma_average_pooling_1d(...) soma_average_pooling_1d_create(&(soma_pooling_options){.nothing = 0, __VA_ARGS__})
#define soma_average_pooling_2d(...) soma_average_pooling_2d_create(&(soma_pooling_options){.nothing = 0, __VA_ARGS__})
#define soma_average_pooling_3d(...) soma_average_pooling_3d_create(&(soma_pooling_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_max_pooling_1d_create(const soma_pooling_options *options);
SOMA_API soma_layer *soma_max_pooling_2d_create(const soma_pooling_options *options);
SOMA_API soma_layer *soma_max_pooling_3d_create(const soma_pooling_options *options);
SOMA_API soma_layer *soma_average_pooling_1d_create(const soma_pooling_options *options);
SOMA_API soma_layer *soma_average_pooling_2d_create(const soma_pooling_options *options);
SOMA_API soma_layer *soma_average_pooling_3d_create(const soma_pooling_options *options);

/** Pools of as many windows as are wanted: window i of n over an axis of e places holds the places from floor(i e / n)
 *  to ceil((i + 1) e / n), exclusive. x (batch, places..., channels) -> (batch, output_size..., channels).
 *  Keras AdaptiveMaxPooling1D/2D/3D, AdaptiveAveragePooling1D/2D/3D. */
typedef struct soma_adaptive_pooling_options {
    SOMA_LAYER_OPTIONS
    int64_t output_size[SOMA_MAX_RANK]; /* windows along each axis of places; one number: along all */
    const char *data_format;            /* "channels_last" */
} soma_adaptive_pooling_options;
#define soma_adaptive_max_pooling_1d(...)                                                                              \
    soma_adaptive_max_pooling_1d_create(&(soma_adaptive_pooling_options){.output_size = __VA_ARGS__})
#define soma_adaptive_max_pooling_2d(...)                                                                              \
    soma_adaptive_max_pooling_2d_create(&(soma_adaptive_pooling_options){.output_size = __VA_ARGS__})
#define soma_adaptive_max_pooling_3d(...)                                                                              \
    soma_adaptive_max_pooling_3d_create(&(soma_adaptive_pooling_options){.output_size = __VA_ARGS__})
#define soma_adaptive_average_pooling_1d(...)                                                                          \
    soma_adaptive_average_pooling_1d_create(&(soma_adaptive_pooling_options){.output_size = __VA_ARGS__})
#define soma_adaptive_average_pooling_2d(...)                                                                          \
    soma_adaptive_average_pooling_2d_create(&(soma_adaptive_pooling_options){.output_size = __VA_ARGS__})
#define soma_adaptive_average_pooling_3d(...)                                                                          \
    soma_adaptive_average_pooling_3d_create(&(soma_adaptive_pooling_options){.output_size = __VA_ARGS__})
SOMA_API soma_layer *soma_adaptive_max_pooling_1d_create(const soma_adaptive_pooling_options *options);
SOMA_API soma_layer *soma_adaptive_max_pooling_2d_create(const soma_adaptive_pooling_options *options);
SOMA_API soma_layer *soma_adaptive_max_pooling_3d_create(const soma_adaptive_pooling_options *options);
SOMA_API soma_layer *soma_adaptive_average_pooling_1d_create(const soma_adaptive_pooling_options *options);
SOMA_API soma_layer *soma_adaptive_average_pooling_2d_create(const soma_adaptive_pooling_options *options);
SOMA_API soma_layer *soma_adaptive_average_pooling_3d_create(const soma_adaptive_pooling_options *options);

/* ---- images of another size ---- */

/** Images of another size: x (batch, rows, columns, channels) -> (batch, height, width, channels), float. Bilinear:
 * place i is read at (i + 0.5) rows / height - 0.5, between its two neighbours, the edge going on outside; nearest: the
 * place at floor((i + 0.5) rows / height). No antialiasing. Keras Resizing, ONNX Resize-13 (half_pixel). */
typedef struct soma_resizing_options {
    SOMA_LAYER_OPTIONS
    int64_t height, width;     /* of the result; needed */
    const char *interpolation; /* "bilinear"; or "nearest" */
    const char *data_format;   /* "channels_last" */
} soma_resizing_options;
#define soma_resizing(...) soma_resizing_create(&(soma_resizing_options){.height = __VA_ARGS__})
SOMA_API soma_layer *soma_resizing_create(const soma_resizing_options *options);

/* ---- augmentation: images (batch, rows, columns, channels), each changed by numbers of its own ----
 * While training only, other numbers in each step, the same in every run; at prediction images pass as they are.
 * data_format may be "channels_first". Numbers of a range are drawn uniformly: {0.2} is -0.2 to 0.2. */

/** Images turned over, each with probability 1/2 in each direction. Keras RandomFlip. */
typedef struct soma_random_flip_options {
    SOMA_LAYER_OPTIONS
    const char *mode;        /* "horizontal_and_vertical"; or one of both */
    const char *data_format; /* "channels_last" */
} soma_random_flip_options;
#define soma_random_flip(...) soma_random_flip_create(&(soma_random_flip_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_random_flip_create(const soma_random_flip_options *options);

/** Brightness: x + f (high - low) with f from factor, for values from low to high, at which the result is clipped.
 *  Contrast: (x - m) f + m with the mean m of each channel and f from 1 - low to 1 + high; {0.2} stands
 *  for 0.2 both ways. Keras RandomBrightness, RandomContrast; their value_range is 0 to 255, so pixels that the model
 *  has scaled (soma_set_pixel_scale) want {0, 1}. */
typedef struct soma_random_colour_options {
    SOMA_LAYER_OPTIONS
    double factor[2];        /* {low, high}; {0.2} is {-0.2, 0.2} */
    double value_range[2];   /* {0, 255} */
    const char *data_format; /* "channels_last" */
} soma_random_colour_options;
#define soma_random_brightness(...) soma_random_brightness_create(&(soma_random_colour_options){.factor = __VA_ARGS__})
#define soma_random_contrast(...) soma_random_contrast_create(&(soma_random_colour_options){.factor = __VA_ARGS__})
SOMA_API soma_layer *soma_random_brightness_create(const soma_random_colour_options *options);
SOMA_API soma_layer *soma_random_contrast_create(const soma_random_colour_options *options);

/** The middle of each image, height rows and width columns; of an image that is smaller the largest part of that
 *  aspect ratio is resized (soma_resizing, bilinear). RandomCrop: any part while training, with all places as likely,
 *  else the middle. Keras CenterCrop, RandomCrop. */
typedef struct soma_crop_options {
    SOMA_LAYER_OPTIONS
    int64_t height, width;   /* of the result; needed */
    const char *data_format; /* "channels_last" */
} soma_crop_options;
#define soma_center_crop(...) soma_center_crop_create(&(soma_crop_options){.height = __VA_ARGS__})
#define soma_random_crop(...) soma_random_crop_create(&(soma_crop_options){.height = __VA_ARGS__})
SOMA_API soma_layer *soma_center_crop_create(const soma_crop_options *options);
SOMA_API soma_layer *soma_random_crop_create(const soma_crop_options *options);

/** Images moved, turned or scaled about their middle; each pixel of the result is read between pixels of the image.
 *  Translation: height_factor and width_factor are shares of the image, positive is down and right.
 *  Rotation: factor is a share of a whole turn, positive is counter-clockwise.
 *  Zoom: height_factor -0.3 shows 70 % of the rows enlarged, 0.3 makes the image smaller; width_factor not given: the
 *  same number, so that the aspect ratio stays; {SOMA_ZERO}, in files 0: the columns stay. Keras RandomTranslation,
 * RandomRotation, RandomZoom. */
typedef struct soma_random_affine_options {
    SOMA_LAYER_OPTIONS
    double factor[2];          /* of rotation: {low, high}; {0.2} is {-0.2, 0.2} */
    double height_factor[2];   /* of translation and zoom */
    double width_factor[2];    /* the same of columns */
    const char *fill_mode;     /* "reflect" (dcba|abcd|dcba); "wrap", "nearest", or "constant": */
    double fill_value;         /* 0 */
    const char *interpolation; /* "bilinear"; or "nearest" */
    const char *data_format;   /* "channels_last" */
} soma_random_affine_options;
#define soma_random_translation(...)                                                                                   \
    soma_random_translation_create(&(soma_random_affine_options){.height_factor = __VA_ARGS__})
#define soma_random_rotation(...) soma_random_rotation_create(&(soma_random_affine_options){.factor = __VA_ARGS__})
#define soma_random_zoom(...) soma_random_zoom_create(&(soma_random_affine_options){.height_factor = __VA_ARGS__})
SOMA_API soma_layer *soma_random_translation_create(const soma_random_affine_options *options);
SOMA_API soma_layer *soma_random_rotation_create(const soma_random_affine_options *options);
SOMA_API soma_layer *soma_random_zoom_create(const soma_random_affine_options *options);

/* ---- around a layer ---- */

/** A layer whose kernel is used divided by its spectral norm: w / (v w' u') with w the kernel as a matrix whose columns
 *  are its last axis, v = u w' / |u w'| and u = v w / |v w| taken power_iterations times. Gradients pass through the
 *  division, u and v being constants. The weight "vector_u" (1, columns) keeps u from step to step; predictions take
 * one iteration from it and leave it as it is. (Keras stores the divided kernel instead.) Miyato 2018, Keras
 * SpectralNormalization: soma_spectral_normalization(soma_conv_2d(...)). */
typedef struct soma_spectral_normalization_options {
    SOMA_LAYER_OPTIONS
    soma_layer *layer;        /* with a weight named kernel or embeddings */
    int64_t power_iterations; /* 1 */
} soma_spectral_normalization_options;
#define soma_spectral_normalization(...)                                                                               \
    soma_spectral_normalization_create(&(soma_spectral_normalization_options){.layer = __VA_ARGS__})
SOMA_API soma_layer *soma_spectral_normalization_create(const soma_spectral_normalization_options *options);

#ifdef __cplusplus
}
#endif
#endif
