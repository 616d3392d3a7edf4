/* More layers: normalization, embedding, merging, shapes, noise, recurrence, attention. Keras' names and defaults.
 * Options are as in nn.h: soma_layer_normalization(.epsilon = 1e-5); what is not named, or zero, has its default.
 * In the shapes a batch comes first: (batch, steps, features) is a batch of sequences, images are (batch, rows,
 * columns, channels). A mask says which steps of each sample count; Embedding and Masking make one, layers pass it on.
 */
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

/** gamma (x - mean) / sqrt(variance + epsilon) + beta, mean and variance along one axis of each sample.
 *  x (batch, ..., n) -> same; gamma, beta (n). Keras LayerNormalization, ONNX LayerNormalization-17. */
typedef struct soma_layer_normalization_options {
    SOMA_LAYER_OPTIONS
    int64_t axis;                                         /* -1 */
    double epsilon;                                       /* 1e-3 */
    bool no_center;                                       /* without beta; Keras: center = False */
    bool no_scale;                                        /* without gamma; Keras: scale = False */
    soma_initializer beta_initializer, gamma_initializer; /* zeros, ones */
    soma_regularizer beta_regularizer, gamma_regularizer; /* none */
} soma_layer_normalization_options;
#define soma_layer_normalization(...)                                                                                  \
    soma_layer_normalization_create(&(soma_layer_normalization_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_layer_normalization_create(const soma_layer_normalization_options *options);

/** scale x / sqrt(mean(x^2) + epsilon) along one axis of each sample: x (batch, ..., n) -> same; scale (n).
 *  Zhang and Sennrich 2019, Keras RMSNormalization. */
typedef struct soma_rms_normalization_options {
    SOMA_LAYER_OPTIONS
    int64_t axis;   /* -1 */
    double epsilon; /* 1e-6 */
} soma_rms_normalization_options;
#define soma_rms_normalization(...)                                                                                    \
    soma_rms_normalization_create(&(soma_rms_normalization_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_rms_normalization_create(const soma_rms_normalization_options *options);

/** As layer normalization, but over groups of channels and all places: x (batch, ..., channels) -> same, channels a
 *  multiple of groups; gamma, beta (channels). Wu and He 2018, Keras GroupNormalization. */
typedef struct soma_group_normalization_options {
    SOMA_LAYER_OPTIONS
    int64_t groups; /* 32; -1: one for each channel */
    int64_t axis;   /* of the channels; -1 */
    double epsilon; /* 1e-3 */
    bool no_center, no_scale;
    soma_initializer beta_initializer, gamma_initializer; /* zeros, ones */
    soma_regularizer beta_regularizer, gamma_regularizer; /* none */
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
 *  Training uses the batch's mean and (biased) variance, and moves: moving = momentum moving + (1 - momentum) batch's.
 *  Otherwise, and when frozen, the moving ones are used. Ioffe and Szegedy 2015, Keras BatchNormalization. */
typedef struct soma_batch_normalization_options {
    SOMA_LAYER_OPTIONS
    int64_t axis;    /* of the channels; -1 */
    double momentum; /* 0.99 */
    double epsilon;  /* 1e-3 */
    bool no_center, no_scale;
    soma_initializer beta_initializer, gamma_initializer; /* zeros, ones */
    soma_regularizer beta_regularizer, gamma_regularizer; /* none */
} soma_batch_normalization_options;
#define soma_batch_normalization(...)                                                                                  \
    soma_batch_normalization_create(&(soma_batch_normalization_options){.nothing = 0, __VA_ARGS__})
SOMA_API soma_layer *soma_batch_normalization_create(const soma_batch_normalization_options *options);

#ifdef __cplusplus
}
#endif
#endif
