/* What is made of Philox' bits: random orders.
 * Rests on philox.h; both draws of a block are taken before the next one is made. */
#include "base/philox.h"

void philox_permutation(uint64_t key, uint64_t counter, int64_t n, int64_t *out) {
    uint32_t words[4] = {0};
    for (int64_t i = 0; i < n; i++)
        out[i] = i;
    for (int64_t i = 0; i + 1 < n; i++) { /* the i-th draw decides which of the n - i left comes to place i */
        if (i % 2 == 0) philox_block(key, counter, (uint64_t)i / 2, words);
        const int first = i % 2 ? 2 : 0;
        const uint64_t bits = (uint64_t)words[first] | (uint64_t)words[first + 1] << 32;
        const int64_t j = i + (int64_t)philox_scale(bits, (uint64_t)(n - i)), held = out[i];
        out[i] = out[j];
        out[j] = held;
    }
}
