/* The Philox key of a random op: the context's seed mixed with the op's own number, or one made of a seed of its own.
 * Rests on node.h. The reference and the compiled plan both ask here, so that they draw the same numbers. */
#ifndef OPS_RANDOM_KEY_H
#define OPS_RANDOM_KEY_H

#include "tensor/node.h"

/* A bijection of 64-bit numbers in which every input bit changes half of the output bits (the finalizer of SplitMix64).
 */
static inline uint64_t random_mix(uint64_t z) {
    z += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static inline uint64_t random_key(const soma_tensor *node) {
    const uint64_t key = node->attributes->key;
    return node->attributes->seeded ? key : random_mix(random_mix(soma_random_seed(node->graph->context)) + key);
}

/* The next key of a stream, which is none that the same seed gives as a context's. */
static inline uint64_t random_stream_key(random_stream *stream) {
    return random_mix(random_mix(~random_mix(stream->seed)) + stream->next++);
}

#endif
