/* Between the storage dtypes and the real type: the loads and stores of a tile.
 * Rests on vec.h. Contiguous loops are plain C that compilers vectorize; only f16 has instructions they don't reach.
 * f16 and bf16 round to nearest even, straight from f64 too: f64 goes to f32 by rounding to odd, which loses nothing.
 */

#ifndef KERNELS_CONVERT_ONCE
#define KERNELS_CONVERT_ONCE

INLINE float float_of_bits(uint32_t x) {
    union {
        uint32_t u;
        float f;
    } v = {x};
    return v.f;
}
INLINE uint32_t bits_of_float(float x) {
    union {
        float f;
        uint32_t u;
    } v = {x};
    return v.u;
}

INLINE float float_of_half(uint16_t h) {
    const uint32_t x = (h & 0x7fffu) << 13, sign = (h & 0x8000u) << 16;
    const uint32_t finite = bits_of_float(float_of_bits(x) * 0x1p112f);
    return float_of_bits((x >= 0x0f800000u ? x | 0x7f800000u : finite) | sign);
}
INLINE uint16_t half_of_float(float f) {
    const uint32_t all = bits_of_float(f), x = all & 0x7fffffffu;
    const uint32_t small = bits_of_float(float_of_bits(x) + 0.5f) - 0x3f000000u; /* adding 1/2 rounds at 2^-24 */
    const uint32_t normal = (x + 0xfffu + (x >> 13 & 1) - (112u << 23)) >> 13;
    const uint32_t large = x > 0x7f800000u ? 0x7e00u | (x >> 13 & 0x3ffu) : 0x7c00u;
    return (uint16_t)((x < 0x38800000u ? small : x < 0x477ff000u ? normal : large) | (all >> 16 & 0x8000u));
}
INLINE float float_of_brain(uint16_t b) {
    return float_of_bits((uint32_t)b << 16);
}
INLINE uint16_t brain_of_float(float f) {
    const uint32_t x = bits_of_float(f);
    const uint32_t rounded = (x + 0x7fffu + (x >> 16 & 1)) >> 16;
    return (uint16_t)((x & 0x7fffffffu) > 0x7f800000u ? x >> 16 | 0x40u : rounded);
}

/* Conversions go BLOCK elements at a time: loops of constant length, which compilers write in vectors and nothing else.
 */
enum { BLOCK = 32 };
static void floats_of_halves(float dst[BLOCK], const uint16_t *src) {
#if defined(__F16C__)
    for (int i = 0; i < BLOCK; i += 8)
        _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(src + i))));
#else
    for (int i = 0; i < BLOCK; i++)
        dst[i] = float_of_half(src[i]);
#endif
}
static void halves_of_floats(uint16_t *dst, const float src[BLOCK]) {
#if defined(__F16C__)
    for (int i = 0; i < BLOCK; i += 8)
        _mm_storeu_si128((__m128i *)(void *)(dst + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(src + i), _MM_FROUND_TO_NEAREST_INT));
#else
    for (int i = 0; i < BLOCK; i++)
        dst[i] = half_of_float(src[i]);
#endif
}

/* Keeps compilers from turning a strided loop into gathers, which are slower and long. */
#define ONE_BY_ONE(pointer) __asm__("" : "+r"(pointer))
#endif

/* The float that rounds to any shorter format as x does: x itself, or toward zero with the last bit set. */
INLINE float V(to_float)(real x) {
#if REAL_BITS == 32
    return x;
#else
    const float f = (float)x;
    const double back = (double)f;
    uint32_t u = bits_of_float(f);
    u = fabs(back) > fabs(x) ? u - 1 : u;
    u = back < x || back > x ? u | 1u : u;
    return float_of_bits(u);
#endif
}

/* d from s, block by block; the last one begins early enough to be whole. */
#define CONVERT_BLOCKS(type, VALUE)                                                                                    \
    for (int64_t i = 0, at; i < n; i += BLOCK) {                                                                       \
        at = i < n - BLOCK ? i : n - BLOCK;                                                                            \
        for (int j = 0; j < BLOCK; j++)                                                                                \
            d[at + j] = (type)VALUE(s[at + j]);                                                                        \
    }
#define LOAD_KERNEL(NAME, type, VALUE)                                                                                 \
    static void V(load_##NAME)(void *restrict dst, const void *restrict src, int64_t step, int64_t n) {                \
        real *d = dst;                                                                                                 \
        const type *s = src;                                                                                           \
        if (step == 1 && n >= BLOCK) {                                                                                 \
            CONVERT_BLOCKS(real, VALUE)                                                                                \
            return;                                                                                                    \
        }                                                                                                              \
        for (int64_t i = 0; i < n; i++, s += step) {                                                                   \
            ONE_BY_ONE(s);                                                                                             \
            d[i] = (real)VALUE(*s);                                                                                    \
        }                                                                                                              \
    }
#define STORE_KERNEL(NAME, type, VALUE)                                                                                \
    static void V(store_##NAME)(void *restrict dst, int64_t step, const void *restrict src, int64_t n) {               \
        type *d = dst;                                                                                                 \
        const real *s = src;                                                                                           \
        if (step == 1 && n >= BLOCK) {                                                                                 \
            CONVERT_BLOCKS(type, VALUE)                                                                                \
            return;                                                                                                    \
        }                                                                                                              \
        for (int64_t i = 0; i < n; i++, d += step) {                                                                   \
            ONE_BY_ONE(d);                                                                                             \
            *d = (type)VALUE(s[i]);                                                                                    \
        }                                                                                                              \
    }
/* Toward zero, NaN to 0, saturating: high is the greatest real that fits, beyond it everything is the type's max. */
#define TO_INTEGER(NAME, type, via, low, high, max)                                                                    \
    INLINE type V(to_##NAME)(real x) {                                                                                 \
        real y = x == x ? x : 0;                                                                                       \
        y = y > R(low) ? y : R(low);                                                                                   \
        const type v = (type)(via)(y < R(high) ? y : R(high));                                                         \
        return x > R(high) ? max : v;                                                                                  \
    }

#define SAME(x) (x)
#define TRUTH(x) ((x) != 0)
LOAD_KERNEL(SOMA_F32, float, SAME)
LOAD_KERNEL(SOMA_F64, double, SAME)
LOAD_KERNEL(SOMA_BF16, uint16_t, float_of_brain)
LOAD_KERNEL(SOMA_I8, int8_t, SAME)
LOAD_KERNEL(SOMA_I16, int16_t, SAME)
LOAD_KERNEL(SOMA_I32, int32_t, SAME)
LOAD_KERNEL(SOMA_I64, int64_t, SAME)
LOAD_KERNEL(SOMA_U8, uint8_t, SAME)
LOAD_KERNEL(SOMA_BOOL, uint8_t, TRUTH)

#if REAL_BITS == 32
TO_INTEGER(I32, int32_t, int32_t, -0x1p31, 0x1.fffffep30, INT32_MAX)
TO_INTEGER(I64, int64_t, int64_t, -0x1p63, 0x1.fffffep62, INT64_MAX)
#else
TO_INTEGER(I32, int32_t, int32_t, -0x1p31, 0x1.fffffffcp30, INT32_MAX)
TO_INTEGER(I64, int64_t, int64_t, -0x1p63, 0x1.fffffffffffffp62, INT64_MAX)
#endif
TO_INTEGER(I8, int8_t, int32_t, -128, 127, INT8_MAX)
TO_INTEGER(I16, int16_t, int32_t, -32768, 32767, INT16_MAX)
TO_INTEGER(U8, uint8_t, int32_t, 0, 255, UINT8_MAX)
#define TO_BRAIN(x) brain_of_float(V(to_float)(x))
STORE_KERNEL(SOMA_F32, float, SAME)
STORE_KERNEL(SOMA_F64, double, SAME)
STORE_KERNEL(SOMA_BF16, uint16_t, TO_BRAIN)
STORE_KERNEL(SOMA_I8, int8_t, V(to_I8))
STORE_KERNEL(SOMA_I16, int16_t, V(to_I16))
STORE_KERNEL(SOMA_I32, int32_t, V(to_I32))
STORE_KERNEL(SOMA_I64, int64_t, V(to_I64))
STORE_KERNEL(SOMA_U8, uint8_t, V(to_U8))
STORE_KERNEL(SOMA_BOOL, uint8_t, TRUTH)
#undef TO_BRAIN
#undef SAME
#undef TRUTH
#undef LOAD_KERNEL
#undef STORE_KERNEL
#undef CONVERT_BLOCKS
#undef TO_INTEGER

/* f16 through floats; what is less than a block, or strided, by a block that holds it. */
static void V(load_SOMA_F16)(void *restrict dst, const void *restrict src, int64_t step, int64_t n) {
    const uint16_t *s = src;
    real *d = dst;
    for (; n > 0; n -= BLOCK, s += BLOCK * step, d += BLOCK) {
        const int64_t count = n < BLOCK ? n : BLOCK;
        const bool direct = step == 1 && count == BLOCK;
        uint16_t h[BLOCK] = {0};
        float f[BLOCK];
        for (int64_t i = 0; i < count && !direct; i++)
            h[i] = s[i * step];
        floats_of_halves(f, direct ? s : h);
        V(load_SOMA_F32)(d, f, 1, count);
    }
}
static void V(store_SOMA_F16)(void *restrict dst, int64_t step, const void *restrict src, int64_t n) {
    uint16_t *d = dst;
    const real *s = src;
    for (; n > 0; n -= BLOCK, s += BLOCK, d += BLOCK * step) {
        const int64_t count = n < BLOCK ? n : BLOCK;
        const bool direct = step == 1 && count == BLOCK;
        real x[BLOCK];
        float f[BLOCK];
        uint16_t h[BLOCK];
        memcpy(x, s, (size_t)count * sizeof(real));
        memset(x + count, 0, (size_t)(BLOCK - count) * sizeof(real));
        for (int i = 0; i < BLOCK; i++)
            f[i] = V(to_float)(x[i]);
        halves_of_floats(direct ? d : h, f);
        for (int64_t i = 0; i < count && !direct; i++)
            d[i * step] = h[i];
    }
}
