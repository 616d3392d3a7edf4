/* The Philox key of a random op: the context's seed mixed with the op's own number.
 * Rests on nothing. The reference and the compiled plan both ask here, so that they draw the same numbers. */
#ifndef OPS_RANDOM_KEY_H
#define OPS_RANDOM_KEY_H

#include <stdint.h>

/* A bijection of 64-bit numbers in which every input bit changes half of the output bits (the finalizer of SplitMix64).
 */
static inline uint64_t random_mix(uint64_t z) {
    z += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static inline uint64_t random_key(uint64_t seed, uint64_t op_key) {
    return random_mix(random_mix(seed) + op_key);
}

#endif
