/* Random numbers that depend on key, counter and place alone: Philox 4x32-10, uniform and normal.
 * Rests on vec.h and the vector functions. Each 64-bit lane runs one Philox block, a word a register, for the 64-bit
 * product of two words is all that Philox needs. Uniform numbers are the same bits on every level. */

#ifndef KERNELS_RANDOM_ONCE
#define KERNELS_RANDOM_ONCE
/* Low 32 bits of each lane times m. */
INLINE bits_f64 philox_product(bits_f64 x, uint32_t m) {
#if VEC_BYTES == 64
    return (bits_f64)_mm512_mul_epu32((__m512i)x, _mm512_set1_epi64((long long)m));
#elif VEC_BYTES == 32
    return (bits_f64)_mm256_mul_epu32((__m256i)x, _mm256_set1_epi64x((long long)m));
#elif defined(__SSE2__)
    return (bits_f64)_mm_mul_epu32((__m128i)x, _mm_set1_epi64x((long long)m));
#else
    return (x & UINT32_MAX) * m;
#endif
}
/* Blocks first, first + 1, ... one a lane of two vectors, since one would wait for its own products; the blocks' words
 * in order, two in each lane of out. */
INLINE void philox_blocks(uint64_t key, uint64_t counter, uint64_t first, bits_f64 out[4]) {
    enum { BLOCKS = VEC_BYTES / 8 };
    const bits_f64 none = {0};
    bits_f64 block, x0[2], x1[2], x2[2], x3[2];
    UNROLL for (int i = 0; i < BLOCKS; i++) block[i] = first + (uint64_t)i;
    UNROLL for (int j = 0; j < 2; j++, block += BLOCKS) {
        x0[j] = block & UINT32_MAX, x1[j] = block >> 32;
        x2[j] = none + (counter & UINT32_MAX), x3[j] = none + (counter >> 32);
    }
    bits_f64 k0 = none + (key & UINT32_MAX), k1 = none + (key >> 32);
    IN_REGISTER(k0); /* or compilers add the keys as scalars, and spread each anew */
    IN_REGISTER(k1);
    UNROLL for (int round = 0; round < 10; round++) {
        UNROLL for (int j = 0; j < 2; j++) {
            const bits_f64 p = philox_product(x0[j], 0xD2511F53u), q = philox_product(x2[j], 0xCD9E8D57u);
            x0[j] = (q >> 32) ^ x1[j] ^ k0, x1[j] = q; /* upper halves are rubbish, which no product looks at */
            x2[j] = (p >> 32) ^ x3[j] ^ k1, x3[j] = p;
        }
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    UNROLL for (int j = 0; j < 2; j++) {
        const bits_f64 low = (x0[j] & UINT32_MAX) | x1[j] << 32, high = (x2[j] & UINT32_MAX) | x3[j] << 32;
        out[2 * j] = SHUFFLE(low, high, LANE_ZIP, 0), out[2 * j + 1] = SHUFFLE(low, high, LANE_ZIP, 1);
    }
}
#endif

enum { V(PER_BLOCK) = 128 / REAL_BITS, V(BATCH) = 4 * LANES };

/* A batch of uniform numbers, from block `block` on. */
INLINE void V(uniform_batch)(uint64_t key, uint64_t counter, uint64_t block, vec out[4]) {
    bits_f64 words[4];
    philox_blocks(key, counter, block, words);
    UNROLL for (int i = 0; i < 4; i++) {
#if REAL_BITS == 32
        typedef int32_t whole __attribute__((vector_size(VEC_BYTES)));
        out[i] = __builtin_convertvector((whole)((bits)words[i] >> 8), vec) * 0x1p-24f;
#else
        /* 53 bits as a number: upper and lower 32 beneath the exponents of 2^84 and 2^52 */
        const bits x = words[i] >> 11;
        const vec upper = (vec)((x >> 32) | (bits)V(splat)(0x1p84)) - (0x1p84 + 0x1p52);
        out[i] = (upper + (vec)((x & UINT32_MAX) | (bits)V(splat)(0x1p52))) * 0x1p-53;
#endif
    }
}

/* Box-Muller: of each pair (u, v) of neighbours, sqrt(-2 log(1-u)) times cos and sin of 2 pi v. */
INLINE void V(normal_batch)(uint64_t key, uint64_t counter, uint64_t block, vec out[4]) {
    V(uniform_batch)(key, counter, block, out);
    UNROLL for (int i = 0; i < 4; i += 2) {
        const vec u = SHUFFLE(out[i], out[i + 1], LANE_UNZIP, 0), v = SHUFFLE(out[i], out[i + 1], LANE_UNZIP, 1);
        const vec radius = V(sqrt)(V(abs)(-2 * V(log)(1 - u)));
        const vec n = V(nearest)(4 * v), angle = (v - n * R(0.25)) * R(6.28318530717958647693);
        const bits q = V(low_bits)(n);
        const vec s = V(sin_reduced)(angle), c = V(cos_reduced)(angle);
        const vec x = radius * V(flip)(V(select)(V(odd)(q), s, c), V(half_turn)(q + 1));
        const vec y = radius * V(flip)(V(select)(V(odd)(q), c, s), V(half_turn)(q));
        out[i] = SHUFFLE(x, y, LANE_ZIP, 0), out[i + 1] = SHUFFLE(x, y, LANE_ZIP, 1);
    }
}

#define RANDOM_KERNEL(name)                                                                                            \
    static void V(name)(void *dst, uint64_t key, uint64_t counter, int64_t first, int64_t n) {                         \
        real *d = dst;                                                                                                 \
        for (int64_t i = 0; i < n;) {                                                                                  \
            const int64_t skip = (first + i) % V(PER_BLOCK);                                                           \
            vec x[4];                                                                                                  \
            V(name##_batch)(key, counter, (uint64_t)((first + i) / V(PER_BLOCK)), x);                                  \
            if (skip == 0 && n - i >= V(BATCH)) {                                                                      \
                UNROLL for (int j = 0; j < 4; j++) V(store_loose)(d + i + j * LANES, x[j]);                            \
                i += V(BATCH);                                                                                         \
                continue;                                                                                              \
            }                                                                                                          \
            const int64_t count = V(BATCH) - skip < n - i ? V(BATCH) - skip : n - i;                                   \
            memcpy(d + i, (const real *)(const void *)x + skip, (size_t)count * sizeof(real));                         \
            i += count;                                                                                                \
        }                                                                                                              \
    }
RANDOM_KERNEL(uniform)
RANDOM_KERNEL(normal)
#undef RANDOM_KERNEL
