/* Circular functions of a vector: sin, cos, tan, atan2.
 * Rests on vec.h. Arguments are reduced by a multiple of pi/2 held in three or four parts; beyond the range in which
 * that is exact (REDUCE_MAX) the lane goes to libm, which keeps the vector path short. */

#undef REDUCE_MAX
#undef HALF_PI_PARTS
#if VEC_HAS_FMA
#define REDUCE_MAX R(100000)
#if REAL_BITS == 32
#define HALF_PI_PARTS 0x1.921fb4p+0f, 0x1.4442d0p-24f, 0x1.84698ap-48f
#else
#define HALF_PI_PARTS 0x1.921fb54442d18p+0, 0x1.1a62633145c06p-54, 0x1.c1cd129024e09p-107
#endif
#elif REAL_BITS == 32
#define REDUCE_MAX R(3000)
#define HALF_PI_PARTS 0x1.921p+0f, 0x1.f6ap-13f, 0x1.11p-26f, 0x1.68c234p-39f
#else
#define REDUCE_MAX R(100000)
#define HALF_PI_PARTS 0x1.921fb544p+0, 0x1.0b4611a6p-34, 0x1.3198a2ep-69, 0x1.b839a252049c1p-104
#endif

/* x = n pi/2 + r, |r| <= pi/4, for 0 <= x <= REDUCE_MAX; returns n's low bits. */
INLINE bits V(reduce)(vec x, vec *r) {
    const real parts[] = {HALF_PI_PARTS};
    const vec n = V(nearest)(x * R(0.63661977236758134308));
    *r = x;
    for (int i = 0; i < COUNT(parts); i++)
        *r = V(fnma)(n, V(splat)(parts[i]), *r);
    return V(low_bits)(n);
}
/* sin and cos of |r| <= pi/4 */
INLINE vec V(sin_reduced)(vec r) {
    const vec z = r * r;
#if REAL_BITS == 32
    const vec p = POLY(z, -0x1.555552p-3f, 0x1.110c10p-7f, -0x1.9abc2cp-13f);
#else
    const vec p = POLY(z, -0x1.5555555555555p-3, 0x1.1111111110b6cp-7, -0x1.a01a019e73325p-13, 0x1.71de3781495ffp-19,
                       -0x1.ae5ff4f957b14p-26, 0x1.5e0333e3ccba1p-33);
#endif
    return V(fma)(z * r, p, r);
}
INLINE vec V(cos_reduced)(vec r) {
    const vec z = r * r;
#if REAL_BITS == 32
    const vec p = POLY(z, 0x1.555554p-5f, -0x1.6c12bep-10f, 0x1.9bcdc6p-16f);
#else
    const vec p = POLY(z, 0x1.5555555555555p-5, -0x1.6c16c16c16944p-10, 0x1.a01a019f4671dp-16, -0x1.27e4fa0d3726cp-22,
                       0x1.1eeb5de1e2b95p-29, -0x1.9075bb669682cp-37);
#endif
    return V(fma)(z, V(fma)(z, p, V(splat)(R(-0.5))), V(splat)(1));
}
/* Bit 1 of the quadrant as a sign. */
INLINE bits V(half_turn)(bits quadrant) {
    return (quadrant << (REAL_BITS - 2)) & SIGN_BIT;
}

/* Replaces the lanes of y whose x is beyond the vector path (infinite and NaN too). */
static __attribute__((noinline)) vec V(mend_lanes)(vec y, vec x, real libm(real)) {
    for (int i = 0; i < LANES; i++)
        if (!(fabs((double)x[i]) <= (double)REDUCE_MAX)) y[i] = libm(x[i]);
    return y;
}
INLINE vec V(mend)(vec y, vec x, real libm(real)) {
    const vec tame = V(keep)(V(le)(V(abs)(x), V(splat)(REDUCE_MAX)), V(splat)(1));
    return V(any)(V(eq)(tame, V(splat)(0))) ? V(mend_lanes)(y, x, libm) : y;
}

static __attribute__((noinline)) vec V(sin)(vec x) {
    vec r;
    const bits q = V(reduce)(V(abs)(x), &r);
    const vec y = V(select)(V(odd)(q), V(cos_reduced)(r), V(sin_reduced)(r));
    return V(mend)(V(flip)(y, V(half_turn)(q) ^ V(sign_of)(x)), x, LIBM(sin));
}
static __attribute__((noinline)) vec V(cos)(vec x) {
    vec r;
    const bits q = V(reduce)(V(abs)(x), &r);
    const vec y = V(select)(V(odd)(q), V(sin_reduced)(r), V(cos_reduced)(r));
    return V(mend)(V(flip)(y, V(half_turn)(q + 1)), x, LIBM(cos));
}
static __attribute__((noinline)) vec V(tan)(vec x) {
    vec r;
    const bits q = V(reduce)(V(abs)(x), &r);
    const vec s = V(sin_reduced)(r), c = V(cos_reduced)(r);
    const vec y = V(select)(V(odd)(q), c, s) / V(select)(V(odd)(q), s, c);
    return V(mend)(V(flip)(y, (q << (REAL_BITS - 1)) ^ V(sign_of)(x)), x, LIBM(tan));
}

/* atan t for |t| <= sqrt 2 - 1 */
INLINE vec V(atan_reduced)(vec t) {
    const vec z = t * t;
#if REAL_BITS == 32
    const vec p = POLY(z, -0x1.555554p-2f, 0x1.999730p-3f, -0x1.242036p-3f, 0x1.b81030p-4f, -0x1.08455ep-4f);
#else
    const vec p = POLY(z, -0x1.5555555555555p-2, 0x1.999999999934cp-3, -0x1.2492492436201p-3, 0x1.c71c71853d7fap-4,
                       -0x1.745d0b28a7e37p-4, 0x1.3b1263064f6b9p-4, -0x1.10fa77b1a6d57p-4, 0x1.dfe6497e96323p-5,
                       -0x1.a0999c632b6edp-5, 0x1.4162c02b1dda3p-5, -0x1.3a31b1c0fd3b7p-6);
#endif
    return V(fma)(z * t, p, t);
}
static __attribute__((noinline)) vec V(atan2)(vec y, vec x) {
    const real high = REAL_BITS == 32 ? R(0x1.921fb6p-1) : R(0x1.921fb54442d18p-1); /* pi/4 */
    const real low = REAL_BITS == 32 ? R(-0x1.777a5cp-26) : R(0x1.1a62633145c07p-55);
    const vec zero = V(splat)(0), one = V(splat)(1), infinity = V(splat)(R(INFINITY));
    const vec ay = V(abs)(y), ax = V(abs)(x);
    const mask steep = V(lt)(ax, ay);
    vec small = V(min)(ax, ay), large = V(max)(ax, ay);
    const mask infinite = V(eq)(small, infinity),
               huge = V(lt)(V(splat)(REAL_BITS == 32 ? R(0x1p126) : R(0x1p1022)), large);
    small = V(select)(infinite, one, V(select)(huge, small * R(0.25), small));
    large = V(select)(infinite, one, V(select)(huge, large * R(0.25), large));
    /* atan(s/l) = pi/4 + atan((s-l)/(s+l)): one division either way */
    const mask middle = V(lt)(large * R(0.41421356237309504880), small);
    vec t = V(select)(middle, small - large, small) / V(select)(middle, small + large, large);
    t = V(select)(V(eq)(large, zero), zero, t);
    /* the angle is turn * pi/4 + side * atan t */
    const vec a = V(atan_reduced)(t);
    vec turn = V(keep)(middle, one), side = one;
    turn = V(select)(steep, 2 - turn, turn), side = V(select)(steep, -side, side);
    const mask left = V(lt)(V(copysign)(one, x), zero);
    turn = V(select)(left, 4 - turn, turn), side = V(select)(left, -side, side);
    const vec r = V(fma)(turn, V(splat)(high), V(fma)(turn, V(splat)(low), side * a));
    return V(select)(V(either)(V(ne)(x, x), V(ne)(y, y)), x + y, V(copysign)(r, y));
}
