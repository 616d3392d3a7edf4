/* Random numbers by counting: Philox 4x32 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2,
 * 3"). A number is a pure function of (key, counter, index): no state, any order, any thread. Layout everywhere: key
 * words {low, high}, counter words {block low, block high, counter low, counter high}. */
#ifndef BASE_PHILOX_H
#define BASE_PHILOX_H

#include <stdint.h>

static inline void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u; /* golden ratio */
        k1 += 0xBB67AE85u; /* sqrt 3 - 1 */
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* Block number `block` of the sequence (key, counter): four words. */
static inline void philox_block(uint64_t key, uint64_t counter, uint64_t block, uint32_t out[4]) {
    const uint32_t k[2] = {(uint32_t)key, (uint32_t)(key >> 32)};
    const uint32_t c[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)counter, (uint32_t)(counter >> 32)};
    philox4x32(c, k, out);
}

/* 64 random bits: words 2*(index%2) (low) and 2*(index%2)+1 (high) of block index/2. */
static inline uint64_t philox_bits(uint64_t key, uint64_t counter, uint64_t index) {
    uint32_t w[4];
    philox_block(key, counter, index / 2, w);
    const int first = index % 2 ? 2 : 0;
    return (uint64_t)w[first] | (uint64_t)w[first + 1] << 32;
}

/* Uniform in [0, 1), a multiple of 2^-53. */
static inline double philox_uniform(uint64_t key, uint64_t counter, uint64_t index) {
    return (double)(philox_bits(key, counter, index) >> 11) * 0x1p-53;
}

/* 64 random bits as an integer in [0, n), n > 0: the high word of their product with n, never a remainder or a redraw,
 * so the i-th number takes the i-th bits and nothing else. Each is off its fair probability by less than 2^-64. */
static inline uint64_t philox_scale(uint64_t bits, uint64_t n) {
    const uint64_t a0 = (uint32_t)bits, a1 = bits >> 32, b0 = (uint32_t)n, b1 = n >> 32;
    const uint64_t low = a0 * b0, cross = a1 * b0 + (low >> 32), cross2 = a0 * b1 + (uint32_t)cross;
    return a1 * b1 + (cross >> 32) + (cross2 >> 32);
}

/* An integer in [0, n). */
static inline uint64_t philox_below(uint64_t key, uint64_t counter, uint64_t index, uint64_t n) {
    return philox_scale(philox_bits(key, counter, index), n);
}

/* out[0..n-1] becomes a random order of 0..n-1 (Fisher-Yates). */
void philox_permutation(uint64_t key, uint64_t counter, int64_t n, int64_t *out);

#endif
