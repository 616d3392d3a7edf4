/* More layers: normalization, embedding, merging, shapes, noise, recurrence, attention. Keras' names and defaults.
 * Options are as in nn.h: soma_layer_normalization(.epsilon = 1e-5); what is not named, or zero, has its default.
 * In the shapes a batch comes first: (batch, steps, features) is a batch of sequences, images are (batch, rows,
 * columns, channels). A mask says which steps of each sample count; Embedding and Masking make one, layers pass it on,
 * of several inputs the first one's. Where inputs are added or merged otherwise, a step counts that counts in one of
 * them, and products and extremes are of those in which it does; concatenated steps have their masks. Losses and
 * metrics that are averages leave out steps that do not count. */
#ifndef SOMA_LAYERS_H
#define SOMA_LAYERS_H

#include <soma/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

/** For layers without options of their own. */
typedef struct soma_plain_layer_options {
    SOMA_LAYER_OPTIONS
} soma_plain_layer_options;

/* ---- normalization: same shape in and out ---- */

/** gamma (x - mean) / sqrt(variance + epsilon) + beta, mean and variance along one axis of each sample, or several.
 *  x (batch, ..., n) -> same; gamma, beta (n), or the extents of all these axes. Keras LayerNormalization, ONNX
 * LayerNormalization-17. */
typedef struct soma_layer_normalization_options {
    SOMA_LAYER_OPTIONS
    int64_t axis[SOMA_MAX_RANK];                          /* {-1} */
    double epsilon;                                       /* 1e-3 */
    bool no_center;                                       /* without beta; Keras: center = False */
    bool no_scale;                                        /* without gamma; Keras: scale = False */
    soma_initializer beta_initializer, gamma_initializer; /* zeros, ones */
    soma_regularizer beta_regularizer, gamma_regularizer; /* none */
    soma_constraint beta_constraint, gamma_constraint;    /* none */
} soma_layer_normalization_options;
#define soma_layer_normalization(...)                                                                                  \
    soma_layer_normalization_create(&(soma_layer_normalization_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_layer_normalization_create(const soma_layer_normalization_options *options);

/** scale x / sqrt(mean(x^2) + epsilon) along axes of each sample: x (batch, ..., n) -> same; scale (n).
 *  Zhang and Sennrich 2019, Keras RMSNormalization. */
typedef struct soma_rms_normalization_options {
    SOMA_LAYER_OPTIONS
    int64_t axis[SOMA_MAX_RANK]; /* {-1} */
    double epsilon;              /* 1e-6 */
} soma_rms_normalization_options;
#define soma_rms_normalization(...)                                                                                    \
    soma_rms_normalization_create(&(soma_rms_normalization_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_rms_normalization_create(const soma_rms_normalization_options *options);

/** x / max(|x|, 1e-12), |x| the root of the sum of squares along axes: x (batch, ..., n) -> same.
 *  Keras UnitNormalization. */
typedef struct soma_unit_normalization_options {
    SOMA_LAYER_OPTIONS
    int64_t axis[SOMA_MAX_RANK]; /* {-1} */
} soma_unit_normalization_options;
#define soma_unit_normalization(...)                                                                                   \
    soma_unit_normalization_create(&(soma_unit_normalization_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_unit_normalization_create(const soma_unit_normalization_options *options);

/** As layer normalization, but over groups of channels and all places: x (batch, ..., channels) -> same, channels a
 *  multiple of groups; gamma, beta (channels). Wu and He 2018, Keras GroupNormalization. */
typedef struct soma_group_normalization_options {
    SOMA_LAYER_OPTIONS
    int64_t groups;                                       /* 32; -1: one for each channel */
    int64_t axis;                                         /* of the channels; -1 */
    double epsilon;                                       /* 1e-3 */
    bool no_center, no_scale;                             /* Keras: center, scale = False */
    soma_initializer beta_initializer, gamma_initializer; /* zeros, ones */
    soma_regularizer beta_regularizer, gamma_regularizer; /* none */
    soma_constraint beta_constraint, gamma_constraint;    /* none */
} soma_group_normalization_options;
#define soma_group_normalization(...)                                                                                  \
    soma_group_normalization_create(&(soma_group_normalization_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_group_normalization_create(const soma_group_normalization_options *options);

/** Group normalization with a group for each channel. Ulyanov 2016, ONNX InstanceNormalization-6. */
#define soma_instance_normalization(...)                                                                               \
    soma_instance_normalization_create(&(soma_layer_normalization_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_instance_normalization_create(const soma_layer_normalization_options *options);

/** gamma (x - mean) / sqrt(variance + epsilon) + beta for each channel, over the batch and all places.
 *  x (batch, ..., channels) -> same; weights (channels): gamma, beta, moving_mean, moving_variance.
 *  Training uses the batch's mean and (biased) variance, of steps that a mask lets count, and moves:
 *  moving = momentum moving + (1 - momentum) batch's.
 *  Otherwise, and when frozen, the moving ones are used. Ioffe and Szegedy 2015, Keras BatchNormalization. */
typedef struct soma_batch_normalization_options {
    SOMA_LAYER_OPTIONS
    int64_t axis;    /* of the channels; -1 */
    double momentum; /* 0.99 */
    double epsilon;  /* 1e-3 */
    bool no_center, no_scale;
    soma_initializer beta_initializer, gamma_initializer;                  /* zeros, ones */
    soma_regularizer beta_regularizer, gamma_regularizer;                  /* none */
    soma_constraint beta_constraint, gamma_constraint;                     /* none */
    soma_initializer moving_mean_initializer, moving_variance_initializer; /* zeros, ones */
} soma_batch_normalization_options;
#define soma_batch_normalization(...)                                                                                  \
    soma_batch_normalization_create(&(soma_batch_normalization_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_batch_normalization_create(const soma_batch_normalization_options *options);

/* ---- learnt of data before the training: see soma_adapt ---- */

/** (x - mean) / sqrt(variance), with a mean and a variance for each place along some axes, over all others and the
 * samples: x (batch, ...) -> same. soma_adapt learns them into the weights mean, variance and count; fit does so by
 * itself while count is 0. Given numbers are used as they are: soma_normalization(.mean = {2, (double[]){1, 3}}, ...),
 * one for all or one for each. Keras Normalization. */
typedef struct soma_normalization_options {
    SOMA_LAYER_OPTIONS
    int64_t axis[SOMA_MAX_RANK]; /* {-1}; {1, 2} for the places of images, {SOMA_NO_AXES}: one mean of everything */
    soma_numbers mean, variance; /* learnt */
    bool invert;                 /* mean + x sqrt(variance) instead */
} soma_normalization_options;
#define soma_normalization(...) soma_normalization_create(&(soma_normalization_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_normalization_create(const soma_normalization_options *options);

/** The number of the bin that each element is in: i where i boundaries are not above it. x (batch, ...) -> int64, same
 *  shape, or as output_mode says, see below. soma_adapt (or fit) learns boundaries that have the same number of all
 *  elements between them, the i-th at NumPy's quantile i / num_bins (Keras' are near them), into the weight
 * bin_boundaries; or they are given: soma_discretization(.bin_boundaries = {2, (double[]){0, 1}}) has three bins. Keras
 * Discretization. */
typedef struct soma_discretization_options {
    SOMA_LAYER_OPTIONS
    soma_numbers bin_boundaries; /* growing */
    int64_t num_bins;            /* to be learnt instead, at least 2 */
    const char *output_mode;     /* "int"; "one_hot", "multi_hot", "count" */
} soma_discretization_options;
#define soma_discretization(...) soma_discretization_create(&(soma_discretization_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_discretization_create(const soma_discretization_options *options);

/* ---- categories ---- */

/** Numbers of categories, 0 to num_tokens - 1, as vectors. "multi_hot": x (batch, ..., n) -> (batch, ..., num_tokens),
 * 1 where one of the n is that category; "count": how often it is, each time counted as often as a second input, the
 * weights (batch, ..., n), says; "one_hot": a vector for each, (batch, ..., n, num_tokens), or (batch, ..., num_tokens)
 * of (batch, ..., 1). A number beyond them is none of them. Keras CategoryEncoding. */
typedef struct soma_category_encoding_options {
    SOMA_LAYER_OPTIONS
    int64_t num_tokens;      /* needed */
    const char *output_mode; /* "multi_hot" */
} soma_category_encoding_options;
#define soma_category_encoding(...)                                                                                    \
    soma_category_encoding_create(&(soma_category_encoding_options){.num_tokens = __VA_ARGS__})
SOMA_API soma_layer *soma_category_encoding_create(const soma_category_encoding_options *options);

/** A number for each of some integers: num_oov_indices + i for the i-th of the vocabulary, from 0, and for what is not
 * in it x mod num_oov_indices; with a mask_token that one is 0 and the others are 1 more. x (batch, ...) -> int64, same
 *  shape, or as output_mode says: vectors have no place for the mask_token, it is none of the categories.
 * soma_integer_lookup({3, (double[]){10, 20, 37}}). Keras IntegerLookup. */
typedef struct soma_integer_lookup_options {
    SOMA_LAYER_OPTIONS
    soma_numbers vocabulary; /* needed */
    int64_t num_oov_indices; /* 1 */
    soma_numbers mask_token; /* none; {1, (double[]){0}} */
    const char *output_mode; /* "int"; "one_hot", "multi_hot", "count" */
} soma_integer_lookup_options;
#define soma_integer_lookup(...) soma_integer_lookup_create(&(soma_integer_lookup_options){.vocabulary = __VA_ARGS__})
SOMA_API soma_layer *soma_integer_lookup_create(const soma_integer_lookup_options *options);

/* ---- embedding and masks ---- */

/** A row of a table for each index: x (batch, ...) integers in 0..input_dim-1 -> (batch, ..., output_dim).
 *  The table, "embeddings", is (input_dim, output_dim). mask_zero: index 0 is padding, steps with it do not count.
 *  Keras Embedding, ONNX Gather-13. */
typedef struct soma_embedding_options {
    SOMA_LAYER_OPTIONS
    int64_t input_dim;                       /* rows of the table; needed */
    int64_t output_dim;                      /* columns of it; needed */
    bool mask_zero;                          /* Keras: False */
    soma_initializer embeddings_initializer; /* uniform within +-0.05 */
    soma_regularizer embeddings_regularizer; /* none */
    soma_constraint embeddings_constraint;   /* none */
} soma_embedding_options;
#define soma_embedding(...) soma_embedding_create(&(soma_embedding_options){.input_dim = __VA_ARGS__})
SOMA_API soma_layer *soma_embedding_create(const soma_embedding_options *options);

/** Steps whose features are all mask_value do not count, and become 0: x (batch, steps, features) -> same.
 *  Keras Masking. */
typedef struct soma_masking_options {
    SOMA_LAYER_OPTIONS
    double mask_value; /* 0 */
} soma_masking_options;
#define soma_masking(...) soma_masking_create(&(soma_masking_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_masking_create(const soma_masking_options *options);

/* ---- merging, beside soma_add_layer and soma_concatenate: two or more inputs of one shape, for soma_call_many ---- */

#define soma_subtract_layer(...) soma_subtract_layer_create(&(soma_plain_layer_options){.nothing = 0, __VA_ARGS__})
#define soma_multiply_layer(...) soma_multiply_layer_create(&(soma_plain_layer_options){.nothing = 0, __VA_ARGS__})
#define soma_average_layer(...) soma_average_layer_create(&(soma_plain_layer_options){.nothing = 0, __VA_ARGS__})
#define soma_maximum_layer(...) soma_maximum_layer_create(&(soma_plain_layer_options){.nothing = 0, __VA_ARGS__})
#define soma_minimum_layer(...) soma_minimum_layer_create(&(soma_plain_layer_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_subtract_layer_create(const soma_plain_layer_options *options); /**< a - b, two inputs */
SOMA_API soma_layer *soma_multiply_layer_create(const soma_plain_layer_options *options); /**< a b c ... */
SOMA_API soma_layer *soma_average_layer_create(const soma_plain_layer_options *options);  /**< their mean */
SOMA_API soma_layer *soma_maximum_layer_create(const soma_plain_layer_options *options);  /**< the largest of each */
SOMA_API soma_layer *soma_minimum_layer_create(const soma_plain_layer_options *options);  /**< the smallest of each */

/** Sum of products along one axis of each of two inputs: a (batch, ..., n, ...), b (batch, ..., n, ...) -> (batch, the
 *  other axes of a, the other axes of b); of two vectors (batch, 1). Keras Dot. */
typedef struct soma_dot_layer_options {
    SOMA_LAYER_OPTIONS
    int64_t axes[SOMA_MAX_RANK]; /* one for both, or one for each; counted with the batch axis as 0; default -1 */
    bool normalize;              /* both to length 1 along the axis first: the cosine of the angle */
} soma_dot_layer_options;
#define soma_dot_layer(...) soma_dot_layer_create(&(soma_dot_layer_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_dot_layer_create(const soma_dot_layer_options *options);

/* ---- shapes ---- */

/** The axes of a sample in another order, counted from 1: soma_permute({2, 1}) makes (batch, a, b) into (batch, b, a).
 *  Keras Permute. */
typedef struct soma_permute_options {
    SOMA_LAYER_OPTIONS
    int64_t dims[SOMA_MAX_RANK]; /* each axis from 1 once */
} soma_permute_options;
#define soma_permute(...) soma_permute_create(&(soma_permute_options){.dims = __VA_ARGS__})
SOMA_API soma_layer *soma_permute_create(const soma_permute_options *options);

/** The same vector in n steps: (batch, features) -> (batch, n, features). Keras RepeatVector. */
typedef struct soma_repeat_vector_options {
    SOMA_LAYER_OPTIONS
    int64_t n; /* needed */
} soma_repeat_vector_options;
#define soma_repeat_vector(...) soma_repeat_vector_create(&(soma_repeat_vector_options){.n = __VA_ARGS__})
SOMA_API soma_layer *soma_repeat_vector_create(const soma_repeat_vector_options *options);

/** Places before and after each axis but the batch and the channels: of 1D {both} or {before, after};
 * of 2D {all}, {rows, columns} or {top, bottom, left, right}; of 3D {all}, three, or six numbers. -1 stands for none
 *  (in files also 0, and pairs as lists of their own: [[1, 2], [0, 3]]).
 *  ZeroPadding (batch, places..., channels) adds zeros: default {1}. Cropping takes away: default {1}. With data_format
 *  "channels_first" x is (batch, channels, places...).
 *  Keras ZeroPadding1D/2D/3D, Cropping1D/2D/3D. */
typedef struct soma_borders_options {
    SOMA_LAYER_OPTIONS
    int64_t sizes[SOMA_MAX_RANK]; /* see above */
    const char *data_format;      /* "channels_last" */
} soma_borders_options;
#define soma_zero_padding_1d(...) soma_zero_padding_1d_create(&(soma_borders_options){.sizes = __VA_ARGS__})
#define soma_zero_padding_2d(...) soma_zero_padding_2d_create(&(soma_borders_options){.sizes = __VA_ARGS__})
#define soma_zero_padding_3d(...) soma_zero_padding_3d_create(&(soma_borders_options){.sizes = __VA_ARGS__})
#define soma_cropping_1d(...) soma_cropping_1d_create(&(soma_borders_options){.sizes = __VA_ARGS__})
#define soma_cropping_2d(...) soma_cropping_2d_create(&(soma_borders_options){.sizes = __VA_ARGS__})
#define soma_cropping_3d(...) soma_cropping_3d_create(&(soma_borders_options){.sizes = __VA_ARGS__})
SOMA_API soma_layer *soma_zero_padding_1d_create(const soma_borders_options *options);
SOMA_API soma_layer *soma_zero_padding_2d_create(const soma_borders_options *options);
SOMA_API soma_layer *soma_zero_padding_3d_create(const soma_borders_options *options);
SOMA_API soma_layer *soma_cropping_1d_create(const soma_borders_options *options);
SOMA_API soma_layer *soma_cropping_2d_create(const soma_borders_options *options);
SOMA_API soma_layer *soma_cropping_3d_create(const soma_borders_options *options);

/** Each place repeated size times along each axis of places: size {n} for all of them, or one for each; default {2}.
 *  x (batch, places..., channels), or (batch, channels, places...) with data_format "channels_first". Of images
 *  interpolation may be "bilinear": as soma_resizing to size times as many places. Keras UpSampling1D/2D/3D. */
typedef struct soma_up_sampling_options {
    SOMA_LAYER_OPTIONS
    int64_t size[SOMA_MAX_RANK]; /* 2: how often, along each axis of places or along all */
    const char *data_format;     /* "channels_last" */
    const char *interpolation;   /* "nearest"; 2D only */
} soma_up_sampling_options;
#define soma_up_sampling_1d(...) soma_up_sampling_1d_create(&(soma_up_sampling_options){.nothing = 0, __VA_ARGS__})
#define soma_up_sampling_2d(...) soma_up_sampling_2d_create(&(soma_up_sampling_options){.nothing = 0, __VA_ARGS__})
#define soma_up_sampling_3d(...) soma_up_sampling_3d_create(&(soma_up_sampling_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_up_sampling_1d_create(const soma_up_sampling_options *options);
SOMA_API soma_layer *soma_up_sampling_2d_create(const soma_up_sampling_options *options);
SOMA_API soma_layer *soma_up_sampling_3d_create(const soma_up_sampling_options *options);

/* ---- functions ---- */

/** activation(sum of x times kernel + bias), the axes said by letters as in NumPy's einsum:
 * soma_einsum_dense("abc,cd->abd", .output_shape = {-1, 64}, .bias_axes = "d") is a dense layer on each step. Letters
 * of x and kernel that the result lacks are summed up; those of all three go side by side; "..." stands for further
 * axes of x and the result. The first axis of x and of the result is the batch. output_shape: extents of the result
 * behind the batch, of which those that x has may be -1. "kernel" and "bias" have the extents of their letters, the
 * bias also 1 for axes between. Errors: SOMA_INVALID, with the equation, where it does not say all of this. Keras
 * EinsumDense. */
typedef struct soma_einsum_dense_options {
    SOMA_LAYER_OPTIONS
    const char *equation;
    int64_t output_shape[SOMA_MAX_RANK];
    const char *bias_axes;                                 /* NULL: no bias */
    soma_activation_fn *activation;                        /* NULL: linear */
    soma_initializer kernel_initializer, bias_initializer; /* glorot_uniform, zeros */
    soma_regularizer kernel_regularizer, bias_regularizer; /* none */
    soma_constraint kernel_constraint, bias_constraint;    /* none */
} soma_einsum_dense_options;
#define soma_einsum_dense(...) soma_einsum_dense_create(&(soma_einsum_dense_options){.equation = __VA_ARGS__})
SOMA_API soma_layer *soma_einsum_dense_create(const soma_einsum_dense_options *options);

/** x. Keras Identity, ONNX Identity-13. */
#define soma_identity_layer(...) soma_identity_layer_create(&(soma_plain_layer_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_identity_layer_create(const soma_plain_layer_options *options);

/** Any function of a tensor, of the user's own or one that has a name; the batch stays the first axis. Files need a
 * name for it: .custom = {{"middle", (soma_function *)middle}}. Keras Lambda. */
typedef struct soma_lambda_options {
    SOMA_LAYER_OPTIONS
    soma_activation_fn *function; /* needed */
} soma_lambda_options;
#define soma_lambda(...) soma_lambda_create(&(soma_lambda_options){.function = __VA_ARGS__})
SOMA_API soma_layer *soma_lambda_create(const soma_lambda_options *options);

/** x > 0 ? x : negative_slope x. Keras LeakyReLU. */
typedef struct soma_leaky_relu_layer_options {
    SOMA_LAYER_OPTIONS
    double negative_slope; /* 0.3 */
} soma_leaky_relu_layer_options;
#define soma_leaky_relu_layer(...)                                                                                     \
    soma_leaky_relu_layer_create(&(soma_leaky_relu_layer_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_leaky_relu_layer_create(const soma_leaky_relu_layer_options *options);

/** x >= max_value ? max_value : x >= threshold ? x : negative_slope (x - threshold). Keras ReLU. */
typedef struct soma_relu_layer_options {
    SOMA_LAYER_OPTIONS
    double max_value;      /* 0: none */
    double negative_slope; /* 0 */
    double threshold;      /* 0 */
} soma_relu_layer_options;
#define soma_relu_layer(...) soma_relu_layer_create(&(soma_relu_layer_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_relu_layer_create(const soma_relu_layer_options *options);

/** x > 0 ? x : alpha x with a weight alpha for each element of a sample. Keras PReLU. */
typedef struct soma_prelu_options {
    SOMA_LAYER_OPTIONS
    soma_initializer alpha_initializer; /* zeros */
    soma_regularizer alpha_regularizer; /* none */
    soma_constraint alpha_constraint;   /* none */
    int64_t shared_axes[SOMA_MAX_RANK]; /* one alpha for all places along these; {1, 2} for the places of images */
} soma_prelu_options;
#define soma_prelu(...) soma_prelu_create(&(soma_prelu_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_prelu_create(const soma_prelu_options *options);

/** x > 0 ? x : alpha (e^x - 1). Keras ELU. */
typedef struct soma_elu_layer_options {
    SOMA_LAYER_OPTIONS
    double alpha; /* 1 */
} soma_elu_layer_options;
#define soma_elu_layer(...) soma_elu_layer_create(&(soma_elu_layer_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_elu_layer_create(const soma_elu_layer_options *options);

/** e^x_i / sum_j e^x_j along an axis, or over several together. Keras Softmax. */
typedef struct soma_softmax_layer_options {
    SOMA_LAYER_OPTIONS
    int64_t axis[SOMA_MAX_RANK]; /* {-1} */
} soma_softmax_layer_options;
#define soma_softmax_layer(...) soma_softmax_layer_create(&(soma_softmax_layer_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_softmax_layer_create(const soma_softmax_layer_options *options);

/** x; adds (l1 sum |x| + l2 sum x^2) to the loss. Keras ActivityRegularization. */
typedef struct soma_activity_regularization_options {
    SOMA_LAYER_OPTIONS
    double l1, l2; /* 0 */
} soma_activity_regularization_options;
#define soma_activity_regularization(...)                                                                              \
    soma_activity_regularization_create(&(soma_activity_regularization_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_activity_regularization_create(const soma_activity_regularization_options *options);

/* ---- noise: while training only, other numbers in each step, the same in every run ---- */

/** x + N(0, stddev^2). Keras GaussianNoise. */
typedef struct soma_gaussian_noise_options {
    SOMA_LAYER_OPTIONS
    double stddev; /* needed */
} soma_gaussian_noise_options;
#define soma_gaussian_noise(...) soma_gaussian_noise_create(&(soma_gaussian_noise_options){.stddev = __VA_ARGS__})
SOMA_API soma_layer *soma_gaussian_noise_create(const soma_gaussian_noise_options *options);

/** GaussianDropout: x N(1, rate / (1 - rate)). AlphaDropout: rate of the elements become selu's limit, and all are
 * scaled so that mean 0 and variance 1 stay. SpatialDropout: whole channels become 0, the others are scaled by 1 / (1 -
 * rate): x (batch, ..., channels), or with data_format "channels_first" (batch, channels, ...). Keras GaussianDropout,
 * AlphaDropout, SpatialDropout1D/2D/3D. */
#define soma_gaussian_dropout(...) soma_gaussian_dropout_create(&(soma_dropout_options){.rate = __VA_ARGS__})
#define soma_alpha_dropout(...) soma_alpha_dropout_create(&(soma_dropout_options){.rate = __VA_ARGS__})
#define soma_spatial_dropout_1d(...) soma_spatial_dropout_1d_create(&(soma_dropout_options){.rate = __VA_ARGS__})
#define soma_spatial_dropout_2d(...) soma_spatial_dropout_2d_create(&(soma_dropout_options){.rate = __VA_ARGS__})
#define soma_spatial_dropout_3d(...) soma_spatial_dropout_3d_create(&(soma_dropout_options){.rate = __VA_ARGS__})
SOMA_API soma_layer *soma_gaussian_dropout_create(const soma_dropout_options *options);
SOMA_API soma_layer *soma_alpha_dropout_create(const soma_dropout_options *options);
SOMA_API soma_layer *soma_spatial_dropout_1d_create(const soma_dropout_options *options);
SOMA_API soma_layer *soma_spatial_dropout_2d_create(const soma_dropout_options *options);
SOMA_API soma_layer *soma_spatial_dropout_3d_create(const soma_dropout_options *options);

/* ---- global pooling: one value a channel, over all places ---- */

/** (batch, ..., channels) -> (batch, channels); the average over steps leaves out those that a mask takes away. With
 *  data_format "channels_first" x is (batch, channels, ...).
 *  Keras GlobalAveragePooling1D/2D/3D, GlobalMaxPooling1D/2D/3D. */
typedef struct soma_global_pooling_options {
    SOMA_LAYER_OPTIONS
    bool keepdims;           /* axes of places stay, with extent 1 */
    const char *data_format; /* "channels_last" */
} soma_global_pooling_options;
#define soma_global_average_pooling_1d(...)                                                                            \
    soma_global_average_pooling_1d_create(&(soma_global_pooling_options){.nothing = 0, __VA_ARGS__})
#define soma_global_average_pooling_2d(...)                                                                            \
    soma_global_average_pooling_2d_create(&(soma_global_pooling_options){.nothing = 0, __VA_ARGS__})
#define soma_global_average_pooling_3d(...)                                                                            \
    soma_global_average_pooling_3d_create(&(soma_global_pooling_options){.nothing = 0, __VA_ARGS__})
#define soma_global_max_pooling_1d(...)                                                                                \
    soma_global_max_pooling_1d_create(&(soma_global_pooling_options){.nothing = 0, __VA_ARGS__})
#define soma_global_max_pooling_2d(...)                                                                                \
    soma_global_max_pooling_2d_create(&(soma_global_pooling_options){.nothing = 0, __VA_ARGS__})
#define soma_global_max_pooling_3d(...)                                                                                \
    soma_global_max_pooling_3d_create(&(soma_global_pooling_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_global_average_pooling_1d_create(const soma_global_pooling_options *options);
SOMA_API soma_layer *soma_global_average_pooling_2d_create(const soma_global_pooling_options *options);
SOMA_API soma_layer *soma_global_average_pooling_3d_create(const soma_global_pooling_options *options);
SOMA_API soma_layer *soma_global_max_pooling_1d_create(const soma_global_pooling_options *options);
SOMA_API soma_layer *soma_global_max_pooling_2d_create(const soma_global_pooling_options *options);
SOMA_API soma_layer *soma_global_max_pooling_3d_create(const soma_global_pooling_options *options);

/* ---- recurrence: x (batch, steps, features) -> the last state (batch, units), or every one (batch, steps, units) ----
 * A step that a mask takes away carries the state on. More inputs, by soma_call_many, are the states to begin with,
 * (batch, units) each; without them these are zero. The steps are unrolled in the graph: one product of all steps with
 * the kernel, then one small product a step. Weights: kernel (features, gates units), recurrent_kernel (units, gates
 * units), bias (gates units). Dropout draws one mask a sequence, for all its steps. */

/** What all that walk over steps have. */
#define SOMA_STEPS_OPTIONS                                                                                             \
    SOMA_LAYER_OPTIONS                                                                                                 \
    bool return_sequences;     /* every result instead of the last */                                                  \
    bool return_state;         /* the states after the last step as further results: soma_symbol_output(y, 1), ... */  \
    bool go_backwards;         /* from the last step to the first; so do the results */                                \
    bool zero_output_for_mask; /* of return_sequences: results of steps that a mask takes away are 0 */                \
    bool stateful;      /* a batch begins with the states that the one before it ended with: soma_reset_states */      \
    int64_t batch_size; /* of all batches; stateful layers need it */

/** Of those with gates. */
#define SOMA_GATE_OPTIONS                                                                                              \
    soma_activation_fn *activation;                                               /* tanh */                           \
    bool no_bias;                                                                 /* Keras: use_bias = False */        \
    double dropout, recurrent_dropout;                                            /* of the inputs, of the state */    \
    soma_initializer kernel_initializer;                                          /* glorot_uniform */                 \
    soma_initializer recurrent_initializer;                                       /* orthogonal */                     \
    soma_initializer bias_initializer;                                            /* zeros */                          \
    soma_regularizer kernel_regularizer, recurrent_regularizer, bias_regularizer; /* none */                           \
    soma_constraint kernel_constraint, recurrent_constraint, bias_constraint;     /* none */

#define SOMA_RECURRENT_OPTIONS                                                                                         \
    SOMA_STEPS_OPTIONS                                                                                                 \
    int64_t units;                                                                                                     \
    SOMA_GATE_OPTIONS

/** h' = activation(x W + h U + b). Keras SimpleRNN, ONNX RNN-14. */
typedef struct soma_simple_rnn_options {
    SOMA_RECURRENT_OPTIONS
} soma_simple_rnn_options;
#define soma_simple_rnn(...) soma_simple_rnn_create(&(soma_simple_rnn_options){.units = __VA_ARGS__})
SOMA_API soma_layer *soma_simple_rnn_create(const soma_simple_rnn_options *options);

/** Gates i, f, c, o in this order: i, f, o = recurrent_activation(x W + h U + b), g = activation(same);
 *  c' = f c + i g; h' = o activation(c'). Hochreiter and Schmidhuber 1997, Keras LSTM (ONNX LSTM-14 has i, o, f, c). */
typedef struct soma_lstm_options {
    SOMA_RECURRENT_OPTIONS
    soma_activation_fn *recurrent_activation; /* sigmoid */
    bool no_unit_forget_bias;                 /* unless set, and without a bias_initializer, f's bias starts at 1 */
} soma_lstm_options;
#define soma_lstm(...) soma_lstm_create(&(soma_lstm_options){.units = __VA_ARGS__})
SOMA_API soma_layer *soma_lstm_create(const soma_lstm_options *options);

/** Gates z, r, h in this order: z, r = recurrent_activation(x W + b + h U + b'),
 *  g = activation(x W + b + r (h U + b')); h' = z h + (1 - z) g. The bias is (2, 3 units): b and b'.
 *  reset_before: g = activation(x W + (r h) U + b), and the bias is (3 units). Cho 2014, Keras GRU. */
typedef struct soma_gru_options {
    SOMA_RECURRENT_OPTIONS
    soma_activation_fn *recurrent_activation; /* sigmoid */
    bool reset_before;                        /* Keras: reset_after = False */
} soma_gru_options;
#define soma_gru(...) soma_gru_create(&(soma_gru_options){.units = __VA_ARGS__})
SOMA_API soma_layer *soma_gru_create(const soma_gru_options *options);

/** One step of each as a layer: x (batch, features) and, by soma_call_many, the states -> h, and as further results the
 *  states after the step. Keras SimpleRNNCell, LSTMCell, GRUCell. */
#define soma_simple_rnn_cell(...) soma_simple_rnn_cell_create(&(soma_simple_rnn_options){.units = __VA_ARGS__})
#define soma_lstm_cell(...) soma_lstm_cell_create(&(soma_lstm_options){.units = __VA_ARGS__})
#define soma_gru_cell(...) soma_gru_cell_create(&(soma_gru_options){.units = __VA_ARGS__})
SOMA_API soma_layer *soma_simple_rnn_cell_create(const soma_simple_rnn_options *options);
SOMA_API soma_layer *soma_lstm_cell_create(const soma_lstm_options *options);
SOMA_API soma_layer *soma_gru_cell_create(const soma_gru_options *options);

/** LSTM whose products are convolutions: x (batch, steps, places..., channels) -> (batch, places'..., filters), or with
 *  all steps. i, f, o = recurrent_activation(x * W + h * U + b), and so on; strides, padding and dilation are of x * W,
 *  while h * U keeps the places. Weights: kernel (kernel_size..., channels, 4 filters), recurrent_kernel
 *  (kernel_size..., filters, 4 filters), bias (4 filters). Lists have one number for all axes of places or one for
 * each. With data_format "channels_first" x is (batch, steps, channels, places...), and so are results and states. Shi
 * 2015, Keras ConvLSTM1D/2D/3D. */
typedef struct soma_conv_lstm_options {
    SOMA_STEPS_OPTIONS
    int64_t filters;                      /* channels of the result; needed */
    int64_t kernel_size[SOMA_MAX_RANK];   /* one number: along all axes of places; needed */
    int64_t strides[SOMA_MAX_RANK];       /* 1 */
    const char *padding;                  /* "valid"; or "same" */
    const char *data_format;              /* "channels_last" */
    int64_t dilation_rate[SOMA_MAX_RANK]; /* 1 */
    SOMA_GATE_OPTIONS
    soma_activation_fn *recurrent_activation; /* sigmoid */
    bool no_unit_forget_bias;                 /* unless set, and without a bias_initializer, f's bias starts at 1 */
} soma_conv_lstm_options;
#define soma_conv_lstm_1d(...) soma_conv_lstm_1d_create(&(soma_conv_lstm_options){.filters = __VA_ARGS__})
#define soma_conv_lstm_2d(...) soma_conv_lstm_2d_create(&(soma_conv_lstm_options){.filters = __VA_ARGS__})
#define soma_conv_lstm_3d(...) soma_conv_lstm_3d_create(&(soma_conv_lstm_options){.filters = __VA_ARGS__})
SOMA_API soma_layer *soma_conv_lstm_1d_create(const soma_conv_lstm_options *options);
SOMA_API soma_layer *soma_conv_lstm_2d_create(const soma_conv_lstm_options *options);
SOMA_API soma_layer *soma_conv_lstm_3d_create(const soma_conv_lstm_options *options);

/** The walk over steps with a cell of any kind, which may be your own: a layer that is called on x (batch, ...) alone
 *  while its states are zero, or on x and its states, and that gives the states after the step by
 *  soma_trace_set_outputs, always as many. x (batch, steps, ...) -> as the layers above. Keras RNN. */
typedef struct soma_rnn_options {
    SOMA_STEPS_OPTIONS
    soma_layer *cell; /* needed; taken over */
} soma_rnn_options;
#define soma_rnn(...) soma_rnn_create(&(soma_rnn_options){.cell = __VA_ARGS__})
SOMA_API soma_layer *soma_rnn_create(const soma_rnn_options *options);

/** Cells as one cell, each on the result of the one before: soma_rnn(soma_stacked_rnn_cells({soma_lstm_cell(8),
 *  soma_gru_cell(4)})). Their states follow each other. In files they are cell_0, cell_1, ... Keras StackedRNNCells. */
enum { SOMA_MAX_CELLS = 8 };
typedef struct soma_stacked_rnn_cells_options {
    SOMA_LAYER_OPTIONS
    soma_layer *cells[SOMA_MAX_CELLS];
    int n_states[SOMA_MAX_CELLS]; /* found out when the weights are made */
} soma_stacked_rnn_cells_options;
#define soma_stacked_rnn_cells(...)                                                                                    \
    soma_stacked_rnn_cells_create(&(soma_stacked_rnn_cells_options){.cells = __VA_ARGS__})
SOMA_API soma_layer *soma_stacked_rnn_cells_create(const soma_stacked_rnn_cells_options *options);

/** A recurrent layer and its copy that goes the other way, merged: soma_bidirectional(soma_lstm(64)).
 *  (batch, steps, features) -> (batch, 2 units), or (batch, steps, 2 units) in the order of the steps.
 *  merge_mode: "concat" (default), "sum", "mul" or "ave". States, given or returned, are those of the layer, then those
 *  of the copy. Keras Bidirectional. */
typedef struct soma_bidirectional_options {
    SOMA_LAYER_OPTIONS
    soma_layer *layer;          /* needed; taken over */
    const char *merge_mode;     /* "concat" */
    soma_layer *backward_layer; /* default: made from the layer's options */
} soma_bidirectional_options;
#define soma_bidirectional(...) soma_bidirectional_create(&(soma_bidirectional_options){.layer = __VA_ARGS__})
SOMA_API soma_layer *soma_bidirectional_create(const soma_bidirectional_options *options);

/** One layer on every step: (batch, steps, ...) -> (batch, steps, what the layer makes of ...). Keras TimeDistributed.
 */
typedef struct soma_time_distributed_options {
    SOMA_LAYER_OPTIONS
    soma_layer *layer; /* needed; taken over */
} soma_time_distributed_options;
#define soma_time_distributed(...) soma_time_distributed_create(&(soma_time_distributed_options){.layer = __VA_ARGS__})
SOMA_API soma_layer *soma_time_distributed_create(const soma_time_distributed_options *options);

/* ---- attention: every step of a query looks at all steps of a value ----
 * Inputs, by soma_call_many: query (batch, T, d), value (batch, S, d'), and key (batch, S, d), which is the value when
 * not given; one input alone is all three. Steps of the value that a mask takes away are not looked at; those of the
 * query give zeros in Attention and AdditiveAttention, and mean nothing in the others. */

/** softmax(scale q k') v: -> (batch, T, d'). AdditiveAttention: the scores are sum(scale tanh(q_i + k_j)).
 *  Luong 2015, Bahdanau 2015, Keras Attention and AdditiveAttention. */
typedef struct soma_attention_options {
    SOMA_LAYER_OPTIONS
    bool
        use_scale; /* a weight, 1 at first; of AdditiveAttention no_scale leaves out its (d), glorot_uniform at first */
    bool no_scale;
    bool causal;            /* step i looks at steps 0..i only */
    double dropout;         /* 0; of the weights that sum to 1 */
    const char *score_mode; /* "dot"; "concat": scores are w sum(tanh(scale (q_i + k_j))), w a weight, 1 at first */
} soma_attention_options;
#define soma_attention(...) soma_attention_create(&(soma_attention_options){.nothing = 0, __VA_ARGS__})
#define soma_additive_attention(...)                                                                                   \
    soma_additive_attention_create(&(soma_attention_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_attention_create(const soma_attention_options *options);
SOMA_API soma_layer *soma_additive_attention_create(const soma_attention_options *options);

/** Heads side by side, each softmax(q k' / sqrt(key_dim)) v of its own projections, then one more projection:
 *  -> (batch, T, output_dim). Weights: query_kernel (d, heads, key_dim), query_bias (heads, key_dim), key_*, value_*,
 *  output_kernel (heads, value_dim, output_dim), output_bias. Vaswani 2017, Keras MultiHeadAttention. */
#define SOMA_HEADS_OPTIONS                                                                                             \
    SOMA_LAYER_OPTIONS                                                                                                 \
    bool no_bias;                                          /* Keras: use_bias = False */                               \
    bool causal;                                           /* step i looks at steps 0..i only */                       \
    bool rotary;                                           /* queries and keys are turned by soma_rotary */            \
    double max_wavelength;                                 /* of that; 10000 */                                        \
    double dropout;                                        /* 0; of the weights that sum to 1 */                       \
    soma_initializer kernel_initializer, bias_initializer; /* glorot_uniform, zeros */                                 \
    soma_regularizer kernel_regularizer, bias_regularizer; /* none */                                                  \
    soma_constraint kernel_constraint, bias_constraint;    /* none */
typedef struct soma_multi_head_attention_options {
    SOMA_HEADS_OPTIONS
    int64_t num_heads;  /* needed */
    int64_t key_dim;    /* of a head; needed */
    int64_t value_dim;  /* key_dim */
    int64_t output_dim; /* the query's d */
} soma_multi_head_attention_options;
#define soma_multi_head_attention(...)                                                                                 \
    soma_multi_head_attention_create(&(soma_multi_head_attention_options){.num_heads = __VA_ARGS__})
SOMA_API soma_layer *soma_multi_head_attention_create(const soma_multi_head_attention_options *options);

/** As multi-head attention, but several query heads look at the same key and value: with num_query_heads / g keys head
 * h looks at key h / g. Weights as there, key_* and value_* of num_key_value_heads. soma_group_query_attention(16,
 *  .num_query_heads = 8, .num_key_value_heads = 2). Ainslie 2023, Keras GroupQueryAttention. */
typedef struct soma_group_query_attention_options {
    SOMA_HEADS_OPTIONS
    int64_t head_dim;            /* features of a head; needed */
    int64_t num_query_heads;     /* needed */
    int64_t num_key_value_heads; /* a divisor of num_query_heads; needed */
} soma_group_query_attention_options;
#define soma_group_query_attention(...)                                                                                \
    soma_group_query_attention_create(&(soma_group_query_attention_options){.head_dim = __VA_ARGS__})
SOMA_API soma_layer *soma_group_query_attention_create(const soma_group_query_attention_options *options);

/** Rotary positions: features i and i + d/2 of step t are turned as a pair by the angle t / max_wavelength^(2i / d).
 *  x (..., steps, d), d even -> same; positions (steps) integers, or NULL for 0, 1, ... The product of two rows so
 * turned depends on the distance of their steps only. Su 2021. */
SOMA_API soma_tensor *soma_rotary(soma_tensor *x, soma_tensor *positions, double max_wavelength);

/** x + p with p[t, 2i] = sin(t / max_wavelength^(2i / d)) and p[t, 2i + 1] the cosine: x (batch, steps, d) -> same.
 *  Vaswani 2017. */
typedef struct soma_positional_encoding_options {
    SOMA_LAYER_OPTIONS
    double max_wavelength; /* 10000 */
} soma_positional_encoding_options;
#define soma_positional_encoding(...)                                                                                  \
    soma_positional_encoding_create(&(soma_positional_encoding_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_positional_encoding_create(const soma_positional_encoding_options *options);

/** x + a learned row for each step: x (batch, steps, d) -> same, with at most sequence_length steps; the weight
 *  "embeddings" is (sequence_length, d). */
typedef struct soma_position_embedding_options {
    SOMA_LAYER_OPTIONS
    int64_t sequence_length;                 /* most steps; needed */
    soma_initializer embeddings_initializer; /* glorot_uniform */
} soma_position_embedding_options;
#define soma_position_embedding(...)                                                                                   \
    soma_position_embedding_create(&(soma_position_embedding_options){.sequence_length = __VA_ARGS__})
SOMA_API soma_layer *soma_position_embedding_create(const soma_position_embedding_options *options);

/** TransformerEncoder: x = norm(x + attention(x)), then norm(x + dense(activation(dense(x)))): (batch, steps, d) ->
 * same. normalize_first: x + attention(norm(x)), then x + dense(activation(dense(norm(x)))). TransformerDecoder: the
 * attention is causal; of two inputs the second is what an encoder made of another sequence, and a second attention,
 * with its own norm, looks at that after the first. Dropout follows each attention and dense. The parts are made of
 * layers above; key_dim is d / num_heads. Vaswani 2017, KerasHub. */
typedef struct soma_transformer_options {
    SOMA_LAYER_OPTIONS
    int64_t intermediate_dim;       /* units of the dense layer between; needed */
    int64_t num_heads;              /* needed */
    double dropout;                 /* 0 */
    soma_activation_fn *activation; /* relu */
    double epsilon;                 /* 1e-5 */
    bool normalize_first;           /* see above */
    bool causal;                    /* an encoder's attention too */
    /* made when not given */
    soma_layer *attention, *attention_norm, *cross_attention, *cross_norm, *dense, *dense_out, *dense_norm;
} soma_transformer_options;
#define soma_transformer_encoder(...)                                                                                  \
    soma_transformer_encoder_create(&(soma_transformer_options){.intermediate_dim = __VA_ARGS__})
#define soma_transformer_decoder(...)                                                                                  \
    soma_transformer_decoder_create(&(soma_transformer_options){.intermediate_dim = __VA_ARGS__})
SOMA_API soma_layer *soma_transformer_encoder_create(const soma_transformer_options *options);
SOMA_API soma_layer *soma_transformer_decoder_create(const soma_transformer_options *options);

#ifdef __cplusplus
}
#endif
#endif
