/* What is made of Philox' bits: integers below a bound, and random orders.
 * Rests on philox.h. The bound is applied by the high word of a 128-bit product, never by a remainder or a redraw,
 * so the i-th number takes the i-th bits and nothing else. */
#include "base/philox.h"

/* (a * b) >> 64. */
static uint64_t multiply_high(uint64_t a, uint64_t b) {
    const uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    const uint64_t low = a0 * b0, cross = a1 * b0 + (low >> 32), cross2 = a0 * b1 + (uint32_t)cross;
    return a1 * b1 + (cross >> 32) + (cross2 >> 32);
}

uint64_t philox_below(uint64_t key, uint64_t counter, uint64_t index, uint64_t n) {
    return multiply_high(philox_bits(key, counter, index), n);
}

void philox_permutation(uint64_t key, uint64_t counter, int64_t n, int64_t *out) {
    uint32_t words[4] = {0};
    for (int64_t i = 0; i < n; i++)
        out[i] = i;
    for (int64_t i = 0; i + 1 < n; i++) { /* the i-th draw decides which of the n - i left comes to place i */
        if (i % 2 == 0) philox_block(key, counter, (uint64_t)i / 2, words);
        const int first = i % 2 ? 2 : 0;
        const uint64_t bits = (uint64_t)words[first] | (uint64_t)words[first + 1] << 32;
        const int64_t j = i + (int64_t)multiply_high(bits, (uint64_t)(n - i)), held = out[i];
        out[i] = out[j];
        out[j] = held;
    }
}
