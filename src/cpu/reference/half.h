/* The 16-bit floats: float16 (IEEE binary16) and bfloat16, to and from double, rounded to nearest, ties to even.
 * Rests on the C library alone. One conversion serves both formats, since they differ only in how bits are shared. */
#ifndef CPU_REFERENCE_HALF_H
#define CPU_REFERENCE_HALF_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Rounds once, straight from the double: going through float would round twice. */
static inline uint16_t half_round(double value, int mantissa_bits, int exponent_bits) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t sign = (bits >> 63) << 15;
    int bias = (1 << (exponent_bits - 1)) - 1;
    uint64_t infinity = ((UINT64_C(1) << exponent_bits) - 1) << mantissa_bits;
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023;
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    if (exponent == 1024 && mantissa != 0) return (uint16_t)(sign | infinity | UINT64_C(1) << (mantissa_bits - 1));
    if (exponent > bias) return (uint16_t)(sign | infinity);
    int shift = 52 - mantissa_bits;
    uint64_t base = (uint64_t)(exponent + bias - 1) << mantissa_bits; /* the leading one adds the missing 1 */
    if (exponent < 1 - bias) {
        shift += 1 - bias - exponent;
        base = 0;
        if (shift > 54) return (uint16_t)sign;
    }
    mantissa |= UINT64_C(1) << 52;
    uint64_t rest = mantissa & ((UINT64_C(1) << shift) - 1), middle = UINT64_C(1) << (shift - 1);
    uint64_t rounded = mantissa >> shift;
    rounded += rest > middle || (rest == middle && (rounded & 1));
    return (uint16_t)(sign | (base + rounded));
}

static inline uint16_t half_from_double(double value) {
    return half_round(value, 10, 5);
}
static inline uint16_t bfloat_from_double(double value) {
    return half_round(value, 7, 8);
}

static inline double half_to_double(uint16_t half) {
    int exponent = half >> 10 & 31;
    double mantissa = half & 1023, sign = half & 0x8000 ? -1.0 : 1.0;
    if (exponent == 31) return mantissa != 0 ? (double)NAN : sign * (double)INFINITY;
    return sign * (exponent == 0 ? ldexp(mantissa, -24) : ldexp(mantissa + 1024, exponent - 25));
}

static inline double bfloat_to_double(uint16_t bfloat) {
    uint32_t bits = (uint32_t)bfloat << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

#endif
