/* Maps of two inputs that give numbers: y_i = f(a_i, b_i), broadcast.
 * Rests on build.h. One line an op; gradients are written so that unused branches never meet log(0) or 0*inf. */
#include <math.h>

#include <soma/ops.h>

#include "cpu/reference/element.h"
#include "ops/build.h"

/* ---- gradients: da and db from a, b, y and dy ---- */

#define VJP(name, for_a, for_b)                                                                                        \
    static void vjp_##name(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {                    \
        soma_tensor *a = y->inputs[0], *b = y->inputs[1];                                                              \
        (void)a, (void)b;                                                                                              \
        if (needed[0]) dx[0] = for_a;                                                                                  \
        if (needed[1]) dx[1] = for_b;                                                                                  \
    }

/* dy / (a*a + b*b) */
static soma_tensor *by_radius(soma_tensor *dy, soma_tensor *a, soma_tensor *b) {
    return soma_div(dy, soma_add(soma_square(a), soma_square(b)));
}

/* dy where a wins over b, half of it where they tie. */
static soma_tensor *winner(soma_tensor *wins, soma_tensor *a, soma_tensor *b, soma_tensor *dy) {
    soma_tensor *tie = soma_where(soma_equal(a, b), soma_mul_scalar(dy, 0.5), op_number(dy, 0));
    return soma_where(wins, dy, tie);
}

/* dy * b * a^(b-1), where 0^(0-1) must not spoil the zero that b contributes. */
static soma_tensor *power_base(soma_tensor *dy, soma_tensor *a, soma_tensor *b) {
    double exponent;
    if (op_known_number(b, &exponent)) {
        if (exponent == 0) return soma_mul_scalar(dy, 0);
        return soma_mul(dy, soma_mul_scalar(soma_pow_scalar(a, exponent - 1), exponent));
    }
    soma_tensor *zero = op_number(b, 0);
    soma_tensor *neither = soma_logical_and(soma_equal(a, zero), soma_equal(b, zero));
    soma_tensor *less = soma_add_scalar(soma_where(neither, op_number(b, 1), b), -1);
    return soma_mul(dy, soma_mul(b, soma_pow(a, less)));
}

/* dy * y * log a; where a is not positive the power has no derivative in b that reals could express: zero. */
static soma_tensor *power_exponent(soma_tensor *dy, soma_tensor *a, soma_tensor *y) {
    soma_tensor *positive = soma_greater(a, op_number(a, 0));
    soma_tensor *logarithm = soma_log(soma_where(positive, a, op_number(a, 1)));
    return soma_mul(dy, soma_mul(soma_where(positive, y, op_number(y, 0)), logarithm));
}

VJP(add, dy, dy)
VJP(sub, dy, soma_neg(dy))
VJP(mul, soma_mul(dy, b), soma_mul(dy, a))
VJP(div, soma_div(dy, b), soma_neg(soma_div(soma_mul(dy, y), b)))
VJP(mod, dy, soma_neg(soma_mul(dy, soma_floor(soma_div(a, b)))))
VJP(pow, power_base(dy, a, b), power_exponent(dy, a, y))
VJP(atan2, soma_mul(by_radius(dy, a, b), b), soma_neg(soma_mul(by_radius(dy, a, b), a)))
VJP(maximum, winner(soma_greater(a, b), a, b, dy), winner(soma_greater(b, a), a, b, dy))
VJP(minimum, winner(soma_less(a, b), a, b, dy), winner(soma_less(b, a), a, b, dy))

/* ---- the ops ---- */

#define BINARY(name, map, rule, map_code, onnx_name, text, low_a, high_a, low_b, high_b)                               \
    soma_tensor *soma_##name(soma_tensor *a, soma_tensor *b) {                                                         \
        return map(&op_##name, 2, (soma_tensor *[]){a, b});                                                            \
    }                                                                                                                  \
    static soma_tensor *build_##name(soma_tensor *const *xs) {                                                         \
        return soma_##name(xs[0], xs[1]);                                                                              \
    }                                                                                                                  \
    static soma_tensor *strided_##name(soma_tensor *const *xs) {                                                       \
        return soma_##name(soma_transpose(xs[0], NULL), soma_slice(xs[1], "::2, ::-1"));                               \
    }                                                                                                                  \
    static soma_tensor *same_##name(soma_tensor *const *xs) {                                                          \
        return soma_##name(xs[0], xs[0]);                                                                              \
    }                                                                                                                  \
    static const op_sample samples_##name[] = {                                                                        \
        {"vectors", build_##name, 2, {{SOMA_F32, 1, {37}, low_a, high_a}, {SOMA_F32, 1, {37}, low_b, high_b}}},        \
        {"row", build_##name, 2, {{SOMA_F32, 2, {5, 33}, low_a, high_a}, {SOMA_F32, 1, {33}, low_b, high_b}}},         \
        {"column", build_##name, 2, {{SOMA_F32, 2, {5, 1}, low_a, high_a}, {SOMA_F32, 2, {5, 18}, low_b, high_b}}},    \
        {"outer", build_##name, 2, {{SOMA_F32, 3, {4, 1, 3}, low_a, high_a}, {SOMA_F32, 2, {6, 1}, low_b, high_b}}},   \
        {"scalar", build_##name, 2, {{SOMA_F32, 0, {0}, low_a, high_a}, {SOMA_F32, 2, {3, 20}, low_b, high_b}}},       \
        {"scalars", build_##name, 2, {{SOMA_F32, 0, {0}, low_a, high_a}, {SOMA_F32, 0, {0}, low_b, high_b}}},          \
        {"empty", build_##name, 2, {{SOMA_F32, 2, {0, 3}, low_a, high_a}, {SOMA_F32, 1, {3}, low_b, high_b}}},         \
        {"strided", strided_##name, 2, {{SOMA_F32, 2, {7, 4}, low_a, high_a}, {SOMA_F32, 2, {8, 7}, low_b, high_b}}},  \
        {"same", same_##name, 1, {{SOMA_F32, 1, {9}, low_b, high_b}}},                                                 \
        {"integers", build_##name, 2, {{SOMA_I32, 1, {21}, low_a, high_a}, {SOMA_I32, 1, {21}, low_b, high_b}}},       \
        {"promoted", build_##name, 2, {{SOMA_U8, 2, {3, 21}, 1, 9}, {SOMA_F32, 1, {21}, low_b, high_b}}},              \
        {NULL, NULL, 0, {{SOMA_F32, 0, {0}, 0, 0}}}};                                                                  \
    const op op_##name = {#name, text,       OP_MAP, map_code,         2,         2,                                   \
                          rule,  vjp_##name, NULL,   op_reference_map, onnx_name, OP_SAMPLES(samples_##name)};

BINARY(add, op_map, op_infer_any, CPU_ADD, "Add-14", "y = a + b", -2, 2, -2, 2)
BINARY(sub, op_map, op_infer_number, CPU_SUB, "Sub-14", "y = a - b", -2, 2, -2, 2)
BINARY(mul, op_map, op_infer_any, CPU_MUL, "Mul-14", "y = a * b", -2, 2, -2, 2)
BINARY(div, op_map_float, op_infer_float, CPU_DIV, "Div-14", "y = a / b", -2, 2, 0.5, 3)
BINARY(mod, op_map, op_infer_number, CPU_MOD, "Mod-13", "y = a - b*floor(a/b)", -9, 9, 1, 4)
BINARY(pow, op_map, op_infer_number, CPU_POW, "Pow-15", "y = a^b", 0.3, 3, 0.5, 3)
BINARY(atan2, op_map_float, op_infer_float, CPU_ATAN2, NULL, "y = angle of the point (b, a)", -2, 2, 0.4, 2)
BINARY(maximum, op_map, op_infer_any, CPU_MAXIMUM, "Max-13", "y = the greater of a and b, NaN if either is", -2, 2, -2,
       2)
BINARY(minimum, op_map, op_infer_any, CPU_MINIMUM, "Min-13", "y = the lesser of a and b, NaN if either is", -2, 2, -2,
       2)

/* ---- with a C number ---- */

/* The number in x's dtype; NULL after an error if an integer dtype can't hold it. */
static soma_tensor *number_for(const char *name, soma_tensor *x, double value) {
    if (!x) return NULL;
    if (!dtype_is_float(x->dtype)) {
        int64_t held = 0;
        element_set(x->dtype, &held, 0, value);
        RETURN_NULL_IF(x->graph->context, element_get(x->dtype, &held, 0) != value, SOMA_DTYPE,
                       "[%s] %g does not fit %s: soma_cast x to a float first", name, value, soma_dtype_name(x->dtype));
    }
    return op_number(x, value);
}

soma_tensor *soma_add_scalar(soma_tensor *x, double value) {
    return soma_add(x, number_for("add_scalar", x, value));
}
soma_tensor *soma_mul_scalar(soma_tensor *x, double value) {
    return soma_mul(x, number_for("mul_scalar", x, value));
}

soma_tensor *soma_pow_scalar(soma_tensor *x, double exponent) {
    if (!x || exponent == 1) return x;
    if (exponent == 2) return soma_square(x);
    if (exponent == 0.5) return soma_sqrt(x);
    if (exponent == -1) return soma_reciprocal(x);
    if (exponent == -0.5) return soma_rsqrt(x);
    if (exponent < 0 || exponent != floor(exponent)) x = op_to_float(x);
    return soma_pow(x, number_for("pow_scalar", x, exponent));
}

/* Inside the bounds and on them x itself, whose gradient passes. */
soma_tensor *soma_clip(soma_tensor *x, double low, double high) {
    if (!x) return NULL;
    RETURN_NULL_IF(x->graph->context, !(low <= high), SOMA_INVALID, "[clip] low %g is above high %g", low, high);
    RETURN_NULL_IF(x->graph->context, x->dtype == SOMA_BOOL, SOMA_DTYPE, "[clip] bool is not a number: soma_cast it");
    if (!dtype_is_float(x->dtype)) low = ceil(low), high = floor(high);
    soma_tensor *lowest = op_number(x, low), *highest = op_number(x, high);
    return soma_where(soma_less(x, lowest), lowest, soma_where(soma_greater(x, highest), highest, x));
}
