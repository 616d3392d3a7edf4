/* Categories as vectors: what the layers that find numbers of categories share.
 * Rests on layer.h. */
#ifndef NN_ENCODE_H
#define NN_ENCODE_H

#include <soma/layers.h>

#include "nn/layer.h"

typedef enum encode_mode { ENCODE_INT, ENCODE_ONE_HOT, ENCODE_MULTI_HOT, ENCODE_COUNT, ENCODE_MODES } encode_mode;

/* The mode of a word, standard where it is NULL; from: the first one that the layer has. */
soma_status encode_read_mode(const soma_layer *layer, const char *word, encode_mode standard, encode_mode from,
                             encode_mode *out);
/* Indices (batch, ...) of depth categories as the mode has them: as they are; one vector for each (in place of a last
 * axis of 1); or one for those along the last axis, of what is there or how often, each counted weights times (NULL:
 * once). */
soma_tensor *encode(const soma_layer *layer, soma_tensor *indices, int64_t depth, encode_mode mode,
                    soma_tensor *weights);

#endif
