/* Maps in plain C: every code of cpu.h's list, floats by libm in double, integers in int64 with wraparound.
 * Rests on view_walk.c and element.h. One function a kind of number; what integers do not have (exp and the like) is
 * computed in double, which builders never ask for. */
#include <math.h>

#include "cpu/reference/element.h"
#include "cpu/reference/reference.h"

/* ---- in double ---- */

static double sign_of(double a) {
    return isnan(a) ? a : (double)((a > 0) - (a < 0));
}

static double modulo(double a, double b) {
    double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static double maximum(double a, double b) {
    return isnan(a) || a > b ? a : b;
}
static double minimum(double a, double b) {
    return isnan(a) || a < b ? a : b;
}
static double sigmoid(double a) {
    return a < 0 ? exp(a) / (1 + exp(a)) : 1 / (1 + exp(-a));
}

static double float_map(cpu_map code, double a, double b, double c) {
    switch (code) {
#define CASE(name, formula)                                                                                            \
    case CPU_##name:                                                                                                   \
        return formula;
        CASE(COPY, a)
        CASE(NEG, -a)
        CASE(ABS, fabs(a))
        CASE(SIGN, sign_of(a))
        CASE(SQUARE, a * a)
        CASE(SQRT, sqrt(a))
        CASE(RSQRT, 1 / sqrt(a))
        CASE(RECIPROCAL, 1 / a)
        CASE(EXP, exp(a))
        CASE(EXPM1, expm1(a))
        CASE(LOG, log(a))
        CASE(LOG1P, log1p(a))
        CASE(SIN, sin(a))
        CASE(COS, cos(a))
        CASE(TAN, tan(a))
        CASE(TANH, tanh(a))
        CASE(SIGMOID, sigmoid(a))
        CASE(ERF, erf(a))
        CASE(FLOOR, floor(a))
        CASE(CEIL, ceil(a))
        CASE(ROUND, rint(a))
        CASE(TRUNC, trunc(a))
        CASE(ISNAN, isnan(a) ? 1 : 0)
        CASE(ISFINITE, isfinite(a) ? 1 : 0)
        CASE(NOT, a == 0)
        CASE(ADD, a + b)
        CASE(SUB, a - b)
        CASE(MUL, a * b)
        CASE(DIV, a / b)
        CASE(MOD, modulo(a, b))
        CASE(POW, pow(a, b))
        CASE(ATAN2, atan2(a, b))
        CASE(MAXIMUM, maximum(a, b))
        CASE(MINIMUM, minimum(a, b))
        CASE(EQUAL, a == b)
        CASE(NOT_EQUAL, a != b)
        CASE(LESS, a < b)
        CASE(LESS_EQUAL, a <= b)
        CASE(GREATER, a > b)
        CASE(GREATER_EQUAL, a >= b)
        CASE(AND, a != 0 && b != 0)
        CASE(OR, a != 0 || b != 0)
        CASE(XOR, (a != 0) != (b != 0))
        CASE(WHERE, a != 0 ? b : c)
        CASE(FMA, a * b + c)
        CASE(FNMA, c - a * b)
        CASE(MUL_RSQRT, a / sqrt(b))
        CASE(MUL_RSQRT_SUM, a / sqrt(b + c))
        CASE(BLEND, a + (b - a) * c)
        CASE(BLEND_SQUARE, a + (b * b - a) * c)
        CASE(DIV_ROOT_PLUS, a / (sqrt(b) + c))
        CASE(EXP_SUB, exp(a - b))
    case CPU_MAP_COUNT:
        break;
    }
    return (double)NAN;
}

/* ---- in int64: unsigned arithmetic wraps as the hardware does ---- */

static int64_t wrap_add(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a + (uint64_t)b);
}
static int64_t wrap_sub(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a - (uint64_t)b);
}
static int64_t wrap_mul(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a * (uint64_t)b);
}

/* As NumPy: 0 modulo 0 is 0. */
static int64_t int_modulo(int64_t a, int64_t b) {
    if (b == 0 || b == -1) return 0;
    int64_t r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/* Negative exponents truncate: only 1 and -1 have integer reciprocals. */
static int64_t int_power(int64_t a, int64_t b) {
    if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
    int64_t y = 1;
    for (; b > 0; b >>= 1, a = wrap_mul(a, a))
        if (b & 1) y = wrap_mul(y, a);
    return y;
}

/* False if the code has no integer meaning. */
static bool integer_map(cpu_map code, int64_t a, int64_t b, int64_t c, int64_t *y) {
    switch (code) {
#undef CASE
#define CASE(name, formula)                                                                                            \
    case CPU_##name:                                                                                                   \
        *y = formula;                                                                                                  \
        return true;
        CASE(COPY, a)
        CASE(NEG, wrap_sub(0, a))
        CASE(ABS, a < 0 ? wrap_sub(0, a) : a)
        CASE(SIGN, (a > 0) - (a < 0))
        CASE(SQUARE, wrap_mul(a, a))
        CASE(FLOOR, a)
        CASE(CEIL, a)
        CASE(ROUND, a)
        CASE(TRUNC, a)
        CASE(ISNAN, 0)
        CASE(ISFINITE, 1)
        CASE(NOT, a == 0)
        CASE(ADD, wrap_add(a, b))
        CASE(SUB, wrap_sub(a, b))
        CASE(MUL, wrap_mul(a, b))
        CASE(MOD, int_modulo(a, b))
        CASE(POW, int_power(a, b))
        CASE(MAXIMUM, a > b ? a : b)
        CASE(MINIMUM, a < b ? a : b)
        CASE(EQUAL, a == b)
        CASE(NOT_EQUAL, a != b)
        CASE(LESS, a < b)
        CASE(LESS_EQUAL, a <= b)
        CASE(GREATER, a > b)
        CASE(GREATER_EQUAL, a >= b)
        CASE(AND, a != 0 && b != 0)
        CASE(OR, a != 0 || b != 0)
        CASE(XOR, (a != 0) != (b != 0))
        CASE(WHERE, a != 0 ? b : c)
        CASE(FMA, wrap_add(wrap_mul(a, b), c))
        CASE(FNMA, wrap_sub(c, wrap_mul(a, b)))
    default:
        return false;
    }
}

/* ---- the loop ---- */

void ref_map(cpu_map code, int n, const cpu_view *inputs, cpu_view *output) {
    const cpu_view *views[3] = {&inputs[0], n > 1 ? &inputs[1] : NULL, n > 2 ? &inputs[2] : NULL};
    bool integral = true;
    for (int i = 0; i < n; i++)
        integral = integral && element_integral(inputs[i].dtype);
    int64_t size = view_size(output);
    view_walk walk = walk_start(output->rank, output->shape, n, views);
    for (int64_t i = 0; i < size; i++, walk_next(&walk)) {
        int64_t k[3] = {0}, y;
        double x[3] = {0};
        for (int j = 0; j < n; j++) {
            if (integral) k[j] = element_get_int(inputs[j].dtype, inputs[j].data, walk.offset[j]);
            x[j] = element_get(inputs[j].dtype, inputs[j].data, walk.offset[j]);
        }
        if (integral && integer_map(code, k[0], k[1], k[2], &y)) {
            element_set_int(output->dtype, output->data, i, y);
        } else {
            element_set(output->dtype, output->data, i, float_map(code, x[0], x[1], x[2]));
        }
    }
}
