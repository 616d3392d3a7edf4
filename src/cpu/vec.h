/* One vector of the level being compiled, for the real type of real.h: types and primitives.
 * Rests on GCC/Clang vector extensions; only what these can't say well (fma, compare to masks, rounding) is intrinsics.
 * Included once for each real type, so no include guard: V(name) is the name with the type's suffix. */

/* bits: the same lanes as unsigned integers. loose: a vector in memory, aligned as one element. */
typedef WORD V(word);
typedef real V(vec) __attribute__((vector_size(VEC_BYTES), may_alias));
typedef V(word) V(bits) __attribute__((vector_size(VEC_BYTES), may_alias));
typedef real V(loose) __attribute__((vector_size(VEC_BYTES), may_alias, aligned(REAL_BITS / 8)));

/* A mask is one bit a lane with AVX-512, else a vector of all ones or zeros. */
#if VEC_BYTES < 64
typedef V(bits) V(mask);
#elif REAL_BITS == 32
typedef __mmask16 V(mask);
#else
typedef __mmask8 V(mask);
#endif

INLINE vec V(splat)(real x) {
    return x - (vec){0};
}
INLINE vec V(load)(const real *p) {
    return *(const vec *)(const void *)p;
}
INLINE vec V(load_loose)(const real *p) {
    return *(const V(loose) *)(const void *)p;
}
INLINE void V(store)(real *p, vec x) {
    *(vec *)(void *)p = x;
}
INLINE void V(store_loose)(real *p, vec x) {
    *(V(loose) *)(void *)p = x;
}

/* ---- bits ---- */

INLINE vec V(abs)(vec x) {
    return (vec)((bits)x & ~SIGN_BIT);
}
INLINE vec V(flip)(vec x, bits sign) {
    return (vec)((bits)x ^ sign);
}
INLINE bits V(sign_of)(vec x) {
    return (bits)x & SIGN_BIT;
}
INLINE vec V(copysign)(vec x, vec sign) {
    return (vec)(((bits)x & ~SIGN_BIT) | V(sign_of)(sign));
}

/* ---- what the levels do differently: fma, compare, select, round ---- */

#if VEC_BYTES == 64 || (VEC_BYTES == 32 && defined(__FMA__))
INLINE vec V(fma)(vec a, vec b, vec c) {
    return (vec)X86(fmadd)(a, b, c);
} /* a*b + c */
INLINE vec V(fnma)(vec a, vec b, vec c) {
    return (vec)X86(fnmadd)(a, b, c);
} /* c - a*b */
#define VEC_HAS_FMA 1
#elif defined(__aarch64__)
INLINE vec V(fma)(vec a, vec b, vec c) {
    return (vec)NEON(vfma)(c, a, b);
}
INLINE vec V(fnma)(vec a, vec b, vec c) {
    return (vec)NEON(vfms)(c, a, b);
}
#define VEC_HAS_FMA 1
#else
INLINE vec V(fma)(vec a, vec b, vec c) {
    return a * b + c;
}
INLINE vec V(fnma)(vec a, vec b, vec c) {
    return c - a * b;
}
#define VEC_HAS_FMA 0
#endif

#if VEC_BYTES == 64
INLINE mask V(lt)(vec a, vec b) {
    return REAL_PASTE(X86(cmp), _mask)(a, b, _CMP_LT_OQ);
}
INLINE mask V(le)(vec a, vec b) {
    return REAL_PASTE(X86(cmp), _mask)(a, b, _CMP_LE_OQ);
}
INLINE mask V(eq)(vec a, vec b) {
    return REAL_PASTE(X86(cmp), _mask)(a, b, _CMP_EQ_OQ);
}
INLINE mask V(ne)(vec a, vec b) {
    return REAL_PASTE(X86(cmp), _mask)(a, b, _CMP_NEQ_UQ);
}
INLINE vec V(select)(mask m, vec a, vec b) {
    return (vec)X86(mask_blend)(m, b, a);
} /* m ? a : b */
INLINE vec V(keep)(mask m, vec a) {
    return (vec)X86(maskz_mov)(m, a);
} /* m ? a : 0 */
INLINE bool V(any)(mask m) {
    return m != 0;
}
#if REAL_BITS == 32
INLINE mask V(odd)(bits x) {
    return _mm512_test_epi32_mask((__m512i)x, _mm512_set1_epi32(1));
}
#else
INLINE mask V(odd)(bits x) {
    return _mm512_test_epi64_mask((__m512i)x, _mm512_set1_epi64(1));
}
#endif
#else
INLINE mask V(lt)(vec a, vec b) {
    return (mask)(a < b);
}
INLINE mask V(le)(vec a, vec b) {
    return (mask)(a <= b);
}
INLINE mask V(eq)(vec a, vec b) {
    return (mask)(a == b);
}
INLINE mask V(ne)(vec a, vec b) {
    return (mask)(a != b);
}
#if VEC_BYTES == 32
INLINE vec V(select)(mask m, vec a, vec b) {
    return (vec)X86(blendv)(b, a, (vec)m);
}
#else
INLINE vec V(select)(mask m, vec a, vec b) {
    return (vec)((m & (bits)a) | (~m & (bits)b));
}
#endif
INLINE vec V(keep)(mask m, vec a) {
    return (vec)(m & (bits)a);
}
INLINE mask V(odd)(bits x) {
    return (mask)((x & 1) == 1);
}
#if VEC_BYTES == 32 || defined(__SSE2__)
INLINE bool V(any)(mask m) {
    return X86(movemask)((vec)m) != 0;
}
#else
INLINE bool V(any)(mask m) {
    V(word) all = 0;
    for (int i = 0; i < LANES; i++)
        all |= m[i];
    return all != 0;
}
#endif
#endif
INLINE mask V(both)(mask a, mask b) {
    return (mask)(a & b);
}
INLINE mask V(either)(mask a, mask b) {
    return (mask)(a | b);
}
INLINE mask V(differ)(mask a, mask b) {
    return (mask)(a ^ b);
}

/* The greater (lesser) of a and b; b when either is NaN. */
#if VEC_BYTES > 16 || defined(__SSE2__)
INLINE vec V(max)(vec a, vec b) {
    return (vec)X86(max)(a, b);
}
INLINE vec V(min)(vec a, vec b) {
    return (vec)X86(min)(a, b);
}
INLINE vec V(sqrt)(vec x) {
    return (vec)X86(sqrt)(x);
}
#else
INLINE vec V(max)(vec a, vec b) {
    return V(select)(V(lt)(b, a), a, b);
}
INLINE vec V(min)(vec a, vec b) {
    return V(select)(V(lt)(a, b), a, b);
}
#if defined(__aarch64__)
INLINE vec V(sqrt)(vec x) {
    return (vec)NEON(vsqrt)(x);
}
#else
INLINE vec V(sqrt)(vec x) {
    for (int i = 0; i < LANES; i++)
        x[i] = (real)sqrt((double)x[i]);
    return x;
}
#endif
#endif

#if VEC_BYTES == 64
INLINE vec V(rint)(vec x) {
    return (vec)X86(roundscale)(x, 8);
}
INLINE vec V(floor)(vec x) {
    return (vec)X86(roundscale)(x, 9);
}
INLINE vec V(ceil)(vec x) {
    return (vec)X86(roundscale)(x, 10);
}
INLINE vec V(trunc)(vec x) {
    return (vec)X86(roundscale)(x, 11);
}
#elif VEC_BYTES == 32
INLINE vec V(rint)(vec x) {
    return (vec)X86(round)(x, 8);
}
INLINE vec V(floor)(vec x) {
    return (vec)X86(round)(x, 9);
}
INLINE vec V(ceil)(vec x) {
    return (vec)X86(round)(x, 10);
}
INLINE vec V(trunc)(vec x) {
    return (vec)X86(round)(x, 11);
}
#elif defined(__aarch64__)
INLINE vec V(rint)(vec x) {
    return (vec)NEON(vrndn)(x);
}
INLINE vec V(floor)(vec x) {
    return (vec)NEON(vrndm)(x);
}
INLINE vec V(ceil)(vec x) {
    return (vec)NEON(vrndp)(x);
}
INLINE vec V(trunc)(vec x) {
    return (vec)NEON(vrnd)(x);
}
#else
/* Adding and taking away 2^MANTISSA leaves the nearest integer; beyond it every number is one. */
INLINE vec V(rint)(vec x) {
    const vec big = V(splat)((real)(BITS_C(1) << MANTISSA)), a = V(abs)(x);
    return V(select)(V(lt)(a, big), V(copysign)((a + big) - big, x), x);
}
INLINE vec V(floor)(vec x) {
    const vec r = V(rint)(x);
    return r - V(keep)(V(lt)(x, r), V(splat)(1));
}
INLINE vec V(ceil)(vec x) {
    return V(flip)(V(floor)(-x), SIGN_BIT - (bits){0});
}
INLINE vec V(trunc)(vec x) {
    return V(copysign)(V(floor)(V(abs)(x)), x);
}
#endif

/* The nearest integer of a small x, |x| < 2^(MANTISSA-1). */
INLINE vec V(nearest)(vec x) {
#if VEC_BYTES == 16 && !defined(__aarch64__)
    const real magic = (real)(BITS_C(3) << (MANTISSA - 1));
    return (x + magic) - magic;
#else
    return V(rint)(x);
#endif
}
/* The integer n of a small whole x, modulo 2^(MANTISSA-1), in the low bits. */
INLINE bits V(low_bits)(vec n) {
    return (bits)(n + (real)(BITS_C(3) << (MANTISSA - 1)));
}
/* 2^n for whole n in the range of normal numbers. */
INLINE vec V(pow2)(vec n) {
    return (vec)(V(low_bits)(n + (real)BIAS) << MANTISSA);
}
/* x * 2^n for whole n of up to twice the exponent's range, rounded once, with gradual underflow. */
INLINE vec V(ldexp)(vec x, vec n) {
#if VEC_BYTES == 64
    return (vec)X86(scalef)(x, n);
#else
    const vec half = V(nearest)(n * R(0.5));
    return x * V(pow2)(half) * V(pow2)(n - half);
#endif
}
/* x = m * 2^k with m in [sqrt 1/2, sqrt 2), for 0 < x < inf, denormals too. */
INLINE vec V(split)(vec x, vec *k) {
#if VEC_BYTES == 64
    const vec m = (vec)X86(getmant)(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src), e = (vec)X86(getexp)(x);
    const mask big = V(lt)(V(splat)(R(1.41421356237309504880)), m);
    *k = V(select)(big, e + 1, e);
    return V(select)(big, m * R(0.5), m);
#else
    const mask small = V(lt)(x, V(splat)(REAL_BITS == 32 ? R(0x1p-126) : R(0x1p-1022)));
    const vec normal = V(select)(small, x * R(BITS_C(1) << MANTISSA), x);
    const V(word) half = REAL_BITS == 32 ? (V(word))0x3f3504f3 : (V(word))UINT64_C(0x3fe6a09e667f3bcd);
    const V(word) one = (V(word))BIAS << MANTISSA;
    const bits biased = ((bits)normal + (one - half)) >> MANTISSA;
    /* as a number: put it beneath the exponent of 2^MANTISSA */
    const real top = (real)(BITS_C(1) << MANTISSA);
    const vec number = (vec)(biased | (bits)V(splat)(top)) - (top + R(BIAS));
    *k = number - V(keep)(small, V(splat)(R(MANTISSA)));
    return (vec)((bits)normal - (biased << MANTISSA) + one);
#endif
}

/* 1/sqrt x to 2 ulp: the processor's estimate and a Newton step where that is faster than to divide. Of 0 and infinity
 * the estimate is right, and the error NaN, for which any positive number will do. */
INLINE vec V(rsqrt_error)(vec x, vec y) {
    return V(min)(V(fnma)(x * y, y * R(0.5), V(splat)(R(0.5))), V(splat)(1));
}
INLINE vec V(rsqrt)(vec x) {
#if VEC_BYTES == 64
    vec y = (vec)X86(rsqrt14)(x), e = V(rsqrt_error)(x, y);
#if REAL_BITS == 64
    y = V(fma)(y * e, V(fma)(e, V(splat)(R(1.5)), V(splat)(1)), y);
    e = V(rsqrt_error)(x, y);
#endif
    return V(fma)(y, e, y);
#elif VEC_BYTES == 32 && REAL_BITS == 32
    const mask small = V(lt)(x, V(splat)(0x1p-126f)); /* the estimate takes a denormal for zero */
    const vec s = V(select)(small, x * 0x1p24f, x);
    const vec y = (vec)_mm256_rsqrt_ps(s), e = V(rsqrt_error)(s, y);
    const vec r = V(fma)(y * e, V(fma)(e, V(splat)(1.5f), V(splat)(1)), y);
    return V(select)(small, r * 0x1p12f, r);
#else
    return 1 / V(sqrt)(x);
#endif
}

/* sqrt x to 2 ulp, likewise: beside a division, with which the processor's own root would share a slow unit. */
INLINE vec V(root)(vec x) {
#if VEC_BYTES == 64 && REAL_BITS == 32
    const vec y = (vec)X86(rsqrt14)(x), s = x * y, e = V(fnma)(s, y * 0.5f, V(splat)(0.5f));
    const mask zero_or_infinite = V(both)(V(ne)(e, e), V(le)(V(splat)(0), x));
    return V(select)(zero_or_infinite, x, V(fma)(s, e, s));
#else
    return V(sqrt)(x);
#endif
}

/* a*b - p for p = a*b rounded: what the rounding took away. */
INLINE vec V(product_error)(vec a, vec b, vec p) {
#if VEC_HAS_FMA
    return V(fma)(a, b, -p);
#else
    const V(word) upper = ~((BITS_C(1) << (MANTISSA / 2 + 1)) - 1);
    const vec ah = (vec)((bits)a & upper), al = a - ah, bh = (vec)((bits)b & upper), bl = b - bh;
    return ((ah * bh - p) + ah * bl + al * bh) + al * bl;
#endif
}
/* SHUFFLE(a, b, X, w): lane i is lane X(w, i) of a and b, counted on through b; w must be a literal. */
#define SHUFFLE(a, b, X, w) __builtin_shufflevector(a, b, EACH_LANE(X, w))
#define LANE_DOWN(w, i) (((i) + (w)) % LANES) /* lane i + w of a, around */
#define LANE_ZIP(half, i)                                                                                              \
    ((i) / 2 + (i) % 2 * LANES + (half)*LANES / 2)                 /* a's and b's in turn; lower or upper half         \
                                                                    */
#define LANE_UNZIP(odd, i) (2 * (i) + (odd))                       /* a's then b's even or odd lanes */
#define LANE_SWAP_LOW(w, i) ((i) & (w) ? LANES + (i) - (w) : (i))  /* of two rows of a transpose: a's even blocks */
#define LANE_SWAP_HIGH(w, i) ((i) & (w) ? LANES + (i) : (i) + (w)) /* of w lanes and b's, then the odd ones */

/* Lane i is lane n[i] of x, of n's low bits. */
#undef VEC_HAS_PERMUTE
#if VEC_BYTES == 64
#define VEC_HAS_PERMUTE 1
INLINE vec V(permute)(bits n, vec x) {
    return (vec)X86(permutexvar)((__m512i)n, x);
}
#elif VEC_BYTES == 32 && REAL_BITS == 32
#define VEC_HAS_PERMUTE 1
INLINE vec V(permute)(bits n, vec x) {
    return (vec)_mm256_permutevar8x32_ps(x, (__m256i)n);
}
#else
#define VEC_HAS_PERMUTE 0
#endif

#if REAL_BITS == 32
/* Lane i is number n[i] of sixteen, of n's low bits. */
INLINE vec V(lookup)(bits n, const real *table) {
#if VEC_BYTES == 64
    return V(permute)(n, V(load_loose)(table));
#elif VEC_BYTES == 32
    return V(select)((mask)(n << 28), V(permute)(n, V(load_loose)(table + 8)), V(permute)(n, V(load_loose)(table)));
#else
    vec x;
    for (int i = 0; i < LANES; i++)
        x[i] = table[n[i] & 15];
    return x;
#endif
}
#endif

#if VEC_BYTES == 32
INLINE mask V(first_lanes)(int64_t n) {
    return V(lt)((vec){EACH_LANE(LANE_DOWN, 0)}, V(splat)((real)n));
}
#endif

/* The first n elements at p and then rest; the first n lanes to p. */
INLINE vec V(load_part)(const real *p, int64_t n, real rest) {
#if VEC_BYTES == 64
    return (vec)X86(mask_loadu)(V(splat)(rest), (mask)((1u << n) - 1), p);
#elif VEC_BYTES == 32
    const mask first = V(first_lanes)(n);
    return V(select)(first, (vec)X86(maskload)(p, (__m256i)first), V(splat)(rest));
#else
    vec x = V(splat)(rest);
    UNROLL for (int i = 0; i < LANES; i++) if (i < n) x[i] = p[i];
    return x;
#endif
}
INLINE void V(store_part)(real *p, vec x, int64_t n) {
#if VEC_BYTES == 64
    X86(mask_storeu)(p, (mask)((1u << n) - 1), x);
#elif VEC_BYTES == 32
    X86(maskstore)(p, (__m256i)V(first_lanes)(n), x);
#else
    UNROLL for (int i = 0; i < LANES; i++) if (i < n) p[i] = x[i];
#endif
}

/* c[0] + c[1] x + c[2] x^2 ... */
INLINE vec V(poly)(vec x, const real *c, int n) {
    vec y = V(splat)(c[n - 1]);
    UNROLL for (int i = n - 2; i >= 0; i--) y = V(fma)(y, x, V(splat)(c[i]));
    return y;
}
