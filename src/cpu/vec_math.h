/* Elementary functions of a vector: exp, log, tanh, sigmoid, erf, powers and their kin.
 * Rests on vec.h. Polynomials are near-minimax fits on the reduced range, coefficients rounded to the real type.
 * f32 is 2 ulp, f64 3 or better; NaN, infinities, signed zeros and denormals come out as C's libm has them. */

#define COUNT(array) ((int)(sizeof(array) / sizeof(*(array))))
#define POLY(x, ...) V(poly)(x, (const real[]){__VA_ARGS__}, COUNT(((const real[]){__VA_ARGS__})))

#undef LN2_HIGH
#undef LN2_LOW
#undef EXP_MAX
#undef EXP_MIN
/* n * LN2_HIGH is exact for every exponent n. Beyond EXP_MAX exp is infinite, below EXP_MIN zero. */
#if REAL_BITS == 32
#define LN2_HIGH 0x1.62ep-1f
#define LN2_LOW 0x1.0bfbe8p-15f
#define EXP_MAX 89.0f
#define EXP_MIN -104.0f
#else
#define LN2_HIGH 0x1.62e42fefa38p-1
#define LN2_LOW 0x1.ef35793c7673p-45
#define EXP_MAX 710.0
#define EXP_MIN -746.0
#endif

/* ---- exp ---- */

/* x = n ln 2 + r, |r| <= ln2/2; returns (e^r - 1 - r) / r^2. */
INLINE vec V(exp_tail)(vec x, vec *n, vec *r) {
    const vec whole = V(splat)((real)(BITS_C(3) << (MANTISSA - 1))); /* a sum with it is rounded to a whole number */
    *n = V(fma)(x, V(splat)(R(1.44269504088896340736)), whole) - whole;
    *r = V(fnma)(*n, V(splat)(LN2_LOW), V(fnma)(*n, V(splat)(LN2_HIGH), x));
#if REAL_BITS == 32
    return POLY(*r, 0x1.fffffep-2f, 0x1.5554b0p-3f, 0x1.555674p-5f, 0x1.1227b0p-7f, 0x1.6bebfep-10f);
#else
    return POLY(*r, 0x1.0000000000000p-1, 0x1.5555555555557p-3, 0x1.5555555555556p-5, 0x1.111111111002ap-7,
                0x1.6c16c16c15ea1p-10, 0x1.a01a01ac48a8ap-13, 0x1.a01a01a8a0aa2p-16, 0x1.71de0100ab77dp-19,
                0x1.27e4d690c8fb7p-22, 0x1.af5060ac01426p-26, 0x1.1f7c02cb03184p-29);
#endif
}
/* e^r - 1 */
INLINE vec V(exp_reduced)(vec x, vec *n) {
    vec r;
    const vec tail = V(exp_tail)(x, n, &r);
    return V(fma)(r * r, tail, r);
}

INLINE vec V(exp)(vec x) {
    vec n, r;
    const vec one = V(splat)(1), tail = V(exp_tail)(V(min)(V(splat)(EXP_MAX), V(max)(V(splat)(EXP_MIN), x)), &n, &r);
    return V(ldexp)(V(fma)(V(fma)(tail, r, one), r, one), n);
}

/* e^x - 1 but for the sign of zero. */
INLINE vec V(expm1_unsigned)(vec x) {
    vec n;
    const vec e = V(exp_reduced)(V(min)(V(splat)(EXP_MAX), V(max)(V(splat)(REAL_BITS == 32 ? R(-20) : R(-40)), x)), &n);
    const vec s = V(pow2)(n - 1); /* half, so that the largest n does not overflow early */
    return 2 * V(fma)(e, s, s - R(0.5));
}
/* Where x is too small for x^2/2 to count, it is the result: with its sign, and without halves that would be zeros. */
INLINE vec V(expm1)(vec x) {
    const vec small = V(splat)(REAL_BITS == 32 ? R(0x1p-25) : R(0x1p-54));
    return V(select)(V(lt)(V(abs)(x), small), x, V(expm1_unsigned)(x));
}

INLINE vec V(tanh)(vec x) {
    const vec e = V(expm1_unsigned)(-2 * V(abs)(x));
    return V(copysign)(e / (e + 2), x);
}

INLINE vec V(sigmoid)(vec x) {
    const vec e = V(exp)(-V(abs)(x));
    return V(select)(V(lt)(x, V(splat)(0)), e, V(splat)(1)) / (1 + e);
}

/* ---- log ---- */

/* log(1+f) - f for 1+f in [sqrt 1/2, sqrt 2]. */
INLINE vec V(log_tail)(vec f) {
#if REAL_BITS == 32
    const vec p = POLY(f, 0x1.555554p-2f, -0x1.0000cep-2f, 0x1.999f14p-3f, -0x1.54d03ep-3f, 0x1.231ce6p-3f,
                       -0x1.0a33eap-3f, 0x1.02814ep-3f, -0x1.43b246p-4f);
    const vec f2 = f * f;
    return V(fnma)(f2, V(splat)(0.5f), f2 * f * p);
#else
    /* with s = f/(2+f): log(1+f) = 2s + s^3 p(s^2) and 2s = f - f^2/2 + s f^2/2 */
    const vec s = f / (2 + f), z = s * s, half = f * f * 0.5;
    const vec p = POLY(z, 0x1.5555555555558p-1, 0x1.99999999952e2p-2, 0x1.2492492df148dp-2, 0x1.c71c62e5800a0p-3,
                       0x1.7462b4ab2ef9fp-3, 0x1.39fe60654284cp-3, 0x1.2b584aae7c494p-3);
    return V(fma)(s, V(fma)(z, p, half), -half);
#endif
}
/* k ln 2 + log(1+f), where u = 2^k (1+f) says which results are special. */
INLINE vec V(log_finish)(vec u, vec k, vec f) {
    const vec r = V(fma)(k, V(splat)(LN2_HIGH), f + V(fma)(k, V(splat)(LN2_LOW), V(log_tail)(f)));
    const vec infinity = V(splat)(R(INFINITY)), zero = V(splat)(0);
    const vec low = V(select)(V(eq)(u, zero), -infinity, V(splat)(R(NAN)));
    return V(select)(V(lt)(zero, u), V(select)(V(lt)(u, infinity), r, infinity), low);
}
INLINE vec V(log)(vec x) {
    vec k;
    const vec m = V(split)(x, &k);
    return V(log_finish)(x, k, m - 1);
}
INLINE vec V(log1p)(vec x) {
    const vec u = 1 + x, b = u - 1, lost = (1 - (u - b)) + (x - b);
    vec k;
    const vec m = V(split)(u, &k);
    const vec f = V(fma)(lost, V(pow2)(V(max)(-k, V(splat)(R(1 - BIAS)))), m - 1);
    return V(select)(V(eq)(x, V(splat)(0)), x, V(log_finish)(u, k, f));
}

/* ---- erf ---- */

#if REAL_BITS == 32
/* erf near 16n/63 for n < 16, in powers of the distance as a share of 16/63: looked up, where one fit for all wants
 * more powers, an exponential, and a second one near zero. From 3.925 on erf is 1. */
static const real V(erf_near)[6][16] = {
    {0x0.0p+0f, 0x1.1f42e4p-2f, 0x1.0e0d7ap-1f, 0x1.6ffedcp-1f, 0x1.b2c87ap-1f, 0x1.dade64p-1f, 0x1.f00b7ap-1f,
     0x1.f9e416p-1f, 0x1.fdeb9cp-1f, 0x1.ff5f26p-1f, 0x1.ffd4eep-1f, 0x1.fff5cap-1f, 0x1.fffddcp-1f, 0x1.ffff9ap-1f,
     0x1.fffff0p-1f, 0x1.fffffep-1f},
    {0x1.257342p-2f, 0x1.131ec8p-2f, 0x1.c56fcep-3f, 0x1.4870d4p-3f, 0x1.a237fcp-4f, 0x1.d4161ap-5f, 0x1.cc7ea2p-6f,
     0x1.8e32c0p-7f, 0x1.2ea81cp-8f, 0x1.94657cp-10f, 0x1.daf128p-12f, 0x1.ea496ap-14f, 0x1.bcdf8ap-16f,
     0x1.62d000p-18f, 0x1.f178c8p-21f, 0x1.3289e4p-23f},
    {0x1.0adadep-26f, -0x1.1bead8p-6f, -0x1.d3f02cp-6f, -0x1.fc6bdcp-6f, -0x1.af9a0ep-6f, -0x1.2deb1ep-6f,
     -0x1.646d8ap-7f, -0x1.6793c4p-8f, -0x1.385744p-9f, -0x1.d57d0ap-11f, -0x1.324f96p-12f, -0x1.5bcca2p-14f,
     -0x1.583b76p-16f, -0x1.29601ap-18f, -0x1.c0ea52p-21f, -0x1.284b08p-23f},
    {-0x1.93cd3ep-8f, -0x1.49c0d2p-8f, -0x1.2e03c2p-9f, 0x1.22f5e4p-11f, 0x1.3223a0p-9f, 0x1.664586p-9f, 0x1.20a04ep-9f,
     0x1.6c713cp-10f, 0x1.79bb0cp-11f, 0x1.489e76p-12f, 0x1.e60a68p-14f, 0x1.33f6e0p-15f, 0x1.50292ap-17f,
     0x1.3d430ep-19f, 0x1.039b7ap-21f, 0x1.712328p-24f},
    {0x1.2db160p-20f, 0x1.1645fcp-11f, 0x1.8d3f26p-11f, 0x1.404df6p-11f, 0x1.169650p-12f, -0x1.639c1ep-15f,
     -0x1.8f3d5cp-13f, -0x1.9921c4p-13f, -0x1.1a6882p-13f, -0x1.2e0b3cp-14f, -0x1.0709a0p-15f, -0x1.7e28e8p-17f,
     -0x1.d5989ap-19f, -0x1.ec56aep-21f, -0x1.bb0d6cp-23f, -0x1.57ae4ep-25f},
    {0x1.ec0c92p-14f, 0x1.620768p-14f, 0x1.9c23b8p-18f, -0x1.e181fep-15f, -0x1.2e564ap-14f, -0x1.8b0ac0p-15f,
     -0x1.b5b234p-17f, 0x1.158efcp-17f, 0x1.cd781ap-17f, 0x1.62c3cap-17f, 0x1.853a24p-18f, 0x1.4fa34ep-19f,
     0x1.d9585ap-21f, 0x1.16a5bap-22f, 0x1.154f24p-24f, 0x1.d66362p-27f}};

#if VEC_HAS_PERMUTE
INLINE
#else
static __attribute__((noinline))
#endif
vec V(erf)(vec x) {
    const vec u = V(min)(V(splat)(3.925f), V(abs)(x)) * 3.9375f, n = V(nearest)(u);
    const bits part = V(low_bits)(n);
    vec y = V(lookup)(part, V(erf_near)[5]);
    UNROLL for (int i = 4; i >= 0; i--) y = V(fma)(y, u - n, V(lookup)(part, V(erf_near)[i]));
    return V(copysign)(y, x);
}
#else
static __attribute__((noinline)) vec V(erf)(vec x) {
    const vec a = V(abs)(x), z = a * a;
    const vec p = POLY(z, 0x1.06eba8214db68p-3, -0x1.812746b0379c1p-2, 0x1.ce2f21a040f66p-4, -0x1.b82ce31203772p-6,
                       0x1.565bccfa44156p-8, -0x1.c02db0665e53dp-11, 0x1.f9a2be4f731a1p-14, -0x1.f4ca838adb73bp-17,
                       0x1.b981d78881a5dp-20, -0x1.5c131500d3f88p-23, 0x1.d76af6ca49787p-27, -0x1.ac9585a44fe29p-31);
    const vec c = V(min)(V(splat)(6), a), u = (c - 3) / (c + 3);
    const vec q = POLY(u, 0x1.6e9827d229d2dp-3, -0x1.4e102b9cf8512p-2, 0x1.f6ff20410599bp-3, -0x1.336ffbef08cbbp-3,
                       0x1.258b13b0139fep-4, -0x1.8fa58eb5bd68fp-6, 0x1.17c838fea5806p-8, 0x1.73101ea8fe252p-11,
                       -0x1.39085a31b18abp-11, 0x1.7b9fc8eb630e9p-15, 0x1.0cb1db32e0c9fp-14, -0x1.af2329d757293p-17,
                       -0x1.0cb4611cc29f6p-17, 0x1.0f9a79cee3e31p-19, 0x1.57a5fe2b9b75ep-20);
    const vec large = 1 - V(exp)(-c * c) * q; /* q: erfc e^(x^2) */
    return V(select)(V(lt)(a, V(splat)(1)), V(fma)(x, p, x), V(copysign)(large, x));
}
#endif

/* ---- power and remainder ---- */

#if REAL_BITS == 64
/* a^b for a > 0: log a as the sum of two numbers, then exp of b times it. */
INLINE vec V(pow_positive)(vec a, vec b) {
    vec k, n;
    const vec f = V(split)(a, &k) - 1;
    /* s + s_low = f/(2+f) */
    const vec d = 2 + f, d_low = f - (d - 2), s = f / d, sd = s * d;
    const vec s_low = ((f - sd) - V(product_error)(s, d, sd) - s * d_low) / d;
    /* log(1+f) = 2s + 2/3 s^3 + s^5 p(s^2); the first two terms in double length */
    const vec z = s * s, z_low = V(product_error)(s, s, z) + 2 * s * s_low;
    const vec p = z * POLY(z, 0x1.999999999999ep-2, 0x1.249249248e53bp-2, 0x1.c71c71d7e5cbbp-3, 0x1.745d09f1d2e07p-3,
                           0x1.3b18b888c57bep-3, 0x1.1018bb6af7381p-3, 0x1.0877e906ba6fep-3);
    const vec c = p + 0x1.5555555555555p-1;
    const vec c_low = p - (c - 0x1.5555555555555p-1) + 0x1.5555555555555p-55;
    const vec w = s * z, w_low = V(product_error)(s, z, w) + s * z_low + s_low * z;
    const vec t = w * c, t_low = V(product_error)(w, c, t) + w * c_low + w_low * c;
    /* k ln 2 + 2s + t, largest first */
    const vec kh = k * LN2_HIGH;
    const vec u = kh + 2 * s, u_low = V(select)(V(eq)(k, V(splat)(0)), V(splat)(0), 2 * s - (u - kh));
    const vec l = u + t, l_low = (t - (l - u)) + (u_low + 2 * s_low + t_low + k * LN2_LOW);
    /* exponent in double length; clamped it overflows or vanishes all the same */
    const vec y = b * l, limit = V(splat)(800);
    const vec y_low = V(product_error)(b, l, y) + b * l_low;
    const mask fits = V(lt)(V(abs)(y), limit);
    const vec x = V(min)(limit, V(max)(-limit, y));
    const vec e = V(exp_reduced)(x, &n);
    return V(ldexp)(1 + V(fma)(V(keep)(fits, y_low), 1 + e, e), n);
}
#else
typedef float half_f32 __attribute__((vector_size(VEC_BYTES / 2), may_alias));
/* Through f64, which is exact enough by far. */
INLINE vec V(pow_positive)(vec a, vec b) {
    union {
        vec whole;
        half_f32 half[2];
    } x = {a}, y = {b};
    for (int i = 0; i < 2; i++) {
        const vec_f64 e =
            __builtin_convertvector(y.half[i], vec_f64) * log_f64(__builtin_convertvector(x.half[i], vec_f64));
        x.half[i] = __builtin_convertvector(exp_f64(e), half_f32);
    }
    return x.whole;
}
#endif

static __attribute__((noinline)) vec V(pow)(vec a, vec b) {
    const vec zero = V(splat)(0), one = V(splat)(1), infinity = V(splat)(R(INFINITY)), nan = V(splat)(R(NAN));
    const vec base = V(abs)(a), size = V(abs)(b), half = b * R(0.5);
    const mask whole = V(eq)(V(trunc)(b), b);
    const mask odd = V(both)(V(both)(whole, V(ne)(V(trunc)(half), half)), V(lt)(size, infinity));
    const mask negative = V(lt)(a, zero);
    vec r = V(pow_positive)(base, b);
    r = V(select)(V(both)(negative, V(ne)(V(trunc)(b), b)), nan, r);
    /* base 0 or infinite: 0 or infinite as the signs have it; b infinite likewise, by |a| < 1 or > 1 */
    const mask up = V(lt)(zero, b);
    const mask base_zero = V(eq)(base, zero), base_infinite = V(eq)(base, infinity);
    r = V(select)(base_zero, V(select)(up, zero, infinity), r);
    r = V(select)(base_infinite, V(select)(up, infinity, zero), r);
    r = V(select)(V(eq)(size, infinity), V(select)(V(differ)(V(lt)(base, one), up), infinity, zero), r);
    r = V(select)(V(either)(V(ne)(a, a), V(ne)(b, b)), nan, r);
    r = V(select)(V(both)(V(eq)(base, one), V(either)(V(eq)(size, infinity), V(eq)(a, one))), one, r);
    r = V(select)(V(eq)(b, zero), one, r);
    return V(select)(odd, V(copysign)(r, a), r);
}

/* Where tame is 0, by libm. */
static __attribute__((noinline)) vec V(mod_lanes)(vec r, vec a, vec b, vec tame) {
    for (int i = 0; i < LANES; i++) {
        if (tame[i] != 0) continue;
        const real y = LIBM(fmod)(a[i], b[i]);
        r[i] = y != 0 && (y < 0) != (b[i] < 0) ? y + b[i] : y;
    }
    return r;
}
/* a - b floor(a/b), rounded once; huge quotients are left to libm. */
static __attribute__((noinline)) vec V(mod)(vec a, vec b) {
    const vec q = V(floor)(a / b), p = q * b;
    vec r = (a - p) - V(product_error)(q, b, p);
    const vec size = V(abs)(b), zero = V(splat)(0);
    r = V(flip)(r, V(sign_of)(b));              /* as if b were positive */
    r = V(select)(V(lt)(r, zero), r + size, r); /* the quotient was rounded up to a whole number */
    r = V(flip)(r, V(sign_of)(b));
    const real limit = (real)(BITS_C(1) << (MANTISSA - 2));
    const vec size_limit = V(splat)(REAL_BITS == 32 ? R(0x1p100) : R(0x1p1000));
    const mask near = V(both)(V(lt)(V(abs)(q), V(splat)(limit)), V(lt)(V(abs)(p), size_limit));
    const vec tame = V(keep)(near, V(splat)(1));
    return V(any)(V(eq)(tame, zero)) ? V(mod_lanes)(r, a, b, tame) : r;
}
