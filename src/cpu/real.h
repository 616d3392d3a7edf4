/* The names that stand for one real type, f32 or f64 by REAL_BITS (32 or 64), while its kernels are compiled.
 * Rests on VEC_BYTES, the level's vector. Macros only and no include guard: included once for each real type,
 * and again where the tables are filled. V(name) is the name with the type's suffix. */
#undef V
#undef R
#undef real
#undef vec
#undef bits
#undef mask
#undef WORD
#undef BITS_C
#undef MANTISSA
#undef BIAS
#undef LANES
#undef SIGN_BIT
#undef X86
#undef NEON
#undef EACH_LANE
#undef LIBM

#define REAL_PASTE2(a, b) a##b
#define REAL_PASTE(a, b) REAL_PASTE2(a, b)

#if REAL_BITS == 32
#define V(name) name##_f32
#define real float
#define LIBM(name) name##f
#define WORD uint32_t
#define BITS_C(x) UINT32_C(x)
#define MANTISSA 23
#define BIAS 127
#define X86(op) REAL_PASTE(X86_PREFIX, op##_ps)
#define NEON(op) op##q_f32
#else
#define V(name) name##_f64
#define real double
#define LIBM(name) name
#define WORD uint64_t
#define BITS_C(x) UINT64_C(x)
#define MANTISSA 52
#define BIAS 1023
#define X86(op) REAL_PASTE(X86_PREFIX, op##_pd)
#define NEON(op) op##q_f64
#endif

#define R(x) ((real)(x))
#define vec V(vec)
#define bits V(bits)
#define mask V(mask)
#define LANES (VEC_BYTES * 8 / REAL_BITS)
#define SIGN_BIT (BITS_C(1) << (REAL_BITS - 1))

/* X(w, 0), X(w, 1) ... for each lane */
#if VEC_BYTES * 8 / REAL_BITS == 2
#define EACH_LANE(X, w)                                                                                                \
    X(w, 0)                                                                                                            \
    , X(w, 1)
#elif VEC_BYTES * 8 / REAL_BITS == 4
#define EACH_LANE(X, w)                                                                                                \
    X(w, 0)                                                                                                            \
    , X(w, 1)                                                                                                          \
    , X(w, 2)                                                                                                          \
    , X(w, 3)
#elif VEC_BYTES * 8 / REAL_BITS == 8
#define EACH_LANE(X, w)                                                                                                \
    X(w, 0)                                                                                                            \
    , X(w, 1)                                                                                                          \
    , X(w, 2)                                                                                                          \
    , X(w, 3)                                                                                                          \
    , X(w, 4)                                                                                                          \
    , X(w, 5)                                                                                                          \
    , X(w, 6)                                                                                                          \
    , X(w, 7)
#else
#define EACH_LANE(X, w)                                                                                                \
    X(w, 0)                                                                                                            \
    , X(w, 1)                                                                                                          \
    , X(w, 2)                                                                                                          \
    , X(w, 3)                                                                                                          \
    , X(w, 4)                                                                                                          \
    , X(w, 5)                                                                                                          \
    , X(w, 6)                                                                                                          \
    , X(w, 7)                                                                                                          \
    , X(w, 8)                                                                                                          \
    , X(w, 9)                                                                                                          \
    , X(w, 10)                                                                                                         \
    , X(w, 11)                                                                                                         \
    , X(w, 12)                                                                                                         \
    , X(w, 13)                                                                                                         \
    , X(w, 14)                                                                                                         \
    , X(w, 15)
#endif
