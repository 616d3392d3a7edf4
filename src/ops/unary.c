/* Maps of one input: y_i = f(x_i).
 * Rests on build.h. One line an op: rule for dtypes, code of the kernel, gradient, ONNX name, formula, and the range
 * its samples are drawn from (inside the domain, where the derivative is tame). */
#include <soma/ops.h>

#include "ops/build.h"

/* ---- gradients: dx from x, y and dy ---- */

#define VJP(name, expression)                                                                                          \
    static void vjp_##name(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {                    \
        soma_tensor *x = y->inputs[0];                                                                                 \
        (void)needed, (void)x;                                                                                         \
        dx[0] = expression;                                                                                            \
    }

/* 2/sqrt(pi) e^(-x*x), the factor in the exponent */
static soma_tensor *erf_slope(soma_tensor *x) {
    soma_tensor *factor = soma_full(x->graph, x->dtype, x->rank, x->shape, 0.12078223763524522);
    return soma_exp(soma_sub(factor, soma_square(x)));
}

VJP(neg, soma_neg(dy))
VJP(abs, soma_mul(dy, soma_sign(x)))
VJP(square, soma_mul(dy, soma_mul_scalar(x, 2)))
VJP(sqrt, soma_div(soma_mul_scalar(dy, 0.5), y))
VJP(rsqrt, soma_mul(soma_mul_scalar(dy, -0.5), soma_mul(y, soma_square(y))))
VJP(reciprocal, soma_neg(soma_mul(dy, soma_square(y))))
VJP(exp, soma_mul(dy, y))
VJP(expm1, soma_mul(dy, soma_add_scalar(y, 1)))
VJP(log, soma_div(dy, x))
VJP(log1p, soma_div(dy, soma_add_scalar(x, 1)))
VJP(sin, soma_mul(dy, soma_cos(x)))
VJP(cos, soma_neg(soma_mul(dy, soma_sin(x))))
VJP(tan, soma_mul(dy, soma_add_scalar(soma_square(y), 1)))
/* as differences of products: what these read is then there anyway, and nothing like 1 - y is kept for them */
VJP(tanh, soma_sub(dy, soma_mul(soma_mul(dy, y), y)))
VJP(sigmoid, soma_sub(soma_mul(dy, y), soma_mul(soma_mul(dy, y), y)))
VJP(erf, soma_mul(dy, erf_slope(x)))
VJP(cast, soma_cast(dy, x->dtype))

static const char TRUTH[] = "its result is a truth value";

/* ---- the ops ---- */

/* Inputs that every sample of this file is tried on: f is the builder, low and high the range of the elements. */
#define UNARY_SAMPLES(name, f, low, high)                                                                              \
    static soma_tensor *build_##name(soma_tensor *const *xs) {                                                         \
        return f(xs[0]);                                                                                               \
    }                                                                                                                  \
    static soma_tensor *strided_##name(soma_tensor *const *xs) {                                                       \
        return f(soma_slice(soma_transpose(xs[0], NULL), "::-2, 1:"));                                                 \
    }                                                                                                                  \
    static soma_tensor *broadcast_##name(soma_tensor *const *xs) {                                                     \
        return f(soma_expand(xs[0], SOMA_DIMS(4, 3, 5)));                                                              \
    }                                                                                                                  \
    static const op_sample samples_##name[] = {{"vector", build_##name, 1, {{SOMA_F32, 1, {37}, low, high}}},          \
                                               {"matrix", build_##name, 1, {{SOMA_F32, 2, {16, 64}, low, high}}},      \
                                               {"scalar", build_##name, 1, {{SOMA_F32, 0, {0}, low, high}}},           \
                                               {"empty", build_##name, 1, {{SOMA_F32, 2, {0, 3}, low, high}}},         \
                                               {"strided", strided_##name, 1, {{SOMA_F32, 2, {7, 9}, low, high}}},     \
                                               {"broadcast", broadcast_##name, 1, {{SOMA_F32, 2, {3, 1}, low, high}}}, \
                                               {"integers", build_##name, 1, {{SOMA_I32, 1, {19}, low, high}}},        \
                                               {NULL, NULL, 0, {{SOMA_F32, 0, {0}, 0, 0}}}};

/* map: op_map or op_map_float; rule: the infer. */
#define UNARY(name, map, rule, map_code, gradient, reason, onnx_name, text, low, high)                                 \
    soma_tensor *soma_##name(soma_tensor *x) {                                                                         \
        return map(&op_##name, 1, &x);                                                                                 \
    }                                                                                                                  \
    UNARY_SAMPLES(name, soma_##name, low, high)                                                                        \
    const op op_##name = {#name, text,     OP_MAP, map_code,         1,         1,                                     \
                          rule,  gradient, reason, op_reference_map, onnx_name, OP_SAMPLES(samples_##name)};

#define FLOAT(name, code, onnx, text, low, high)                                                                       \
    UNARY(name, op_map_float, op_infer_float, code, vjp_##name, NULL, onnx, text, low, high)
#define NUMBER(name, code, onnx, text, low, high)                                                                      \
    UNARY(name, op_map, op_infer_number, code, vjp_##name, NULL, onnx, text, low, high)
#define STEP(name, code, onnx, text) UNARY(name, op_map, op_infer_any, code, op_vjp_zero, NULL, onnx, text, -3.4, 3.4)
#define PREDICATE(name, code, onnx, text) UNARY(name, op_map, op_infer_truth, code, NULL, TRUTH, onnx, text, -1, 1)

NUMBER(neg, CPU_NEG, "Neg-13", "y = -x", -2, 2)
UNARY(abs, op_map, op_infer_any, CPU_ABS, vjp_abs, NULL, "Abs-13", "y = |x|", -2, 2)
STEP(sign, CPU_SIGN, "Sign-13", "y = -1, 0 or 1 as x is negative, zero or positive")
UNARY(square, op_map, op_infer_any, CPU_SQUARE, vjp_square, NULL, NULL, "y = x*x", -2, 2)
FLOAT(sqrt, CPU_SQRT, "Sqrt-13", "y = x^(1/2)", 0.2, 4)
FLOAT(rsqrt, CPU_RSQRT, NULL, "y = x^(-1/2)", 0.3, 4)
FLOAT(reciprocal, CPU_RECIPROCAL, "Reciprocal-13", "y = 1/x", 0.4, 3)
FLOAT(exp, CPU_EXP, "Exp-13", "y = e^x", -3, 3)
FLOAT(expm1, CPU_EXPM1, NULL, "y = e^x - 1", -1.5, 1.5)
FLOAT(log, CPU_LOG, "Log-13", "y = natural logarithm of x", 0.2, 5)
FLOAT(log1p, CPU_LOG1P, NULL, "y = log(1 + x)", -0.7, 3)
FLOAT(sin, CPU_SIN, "Sin-7", "y = sin x", -6, 6)
FLOAT(cos, CPU_COS, "Cos-7", "y = cos x", -6, 6)
FLOAT(tan, CPU_TAN, "Tan-7", "y = tan x", -1.2, 1.2)
FLOAT(tanh, CPU_TANH, "Tanh-13", "y = tanh x", -3, 3)
FLOAT(erf, CPU_ERF, "Erf-13", "y = 2/sqrt(pi) * integral of e^(-t*t) from 0 to x", -2, 2)
STEP(floor, CPU_FLOOR, "Floor-13", "y = largest integer <= x")
STEP(ceil, CPU_CEIL, "Ceil-13", "y = smallest integer >= x")
STEP(round, CPU_ROUND, "Round-11", "y = nearest integer, halves to even")
STEP(trunc, CPU_TRUNC, NULL, "y = x without its fraction")
PREDICATE(logical_not, CPU_NOT, "Not-1", "y = (x == 0)")

/* Negative elements have no logarithm, so half of what these two look at is NaN. */
static soma_tensor *isnan_of_log(soma_tensor *x) {
    return soma_isnan(soma_log(x));
}
static soma_tensor *isfinite_of_log(soma_tensor *x) {
    return soma_isfinite(soma_log(x));
}
soma_tensor *soma_isnan(soma_tensor *x) {
    return op_map(&op_isnan, 1, &x);
}
soma_tensor *soma_isfinite(soma_tensor *x) {
    return op_map(&op_isfinite, 1, &x);
}
UNARY_SAMPLES(isnan, isnan_of_log, -1, 1)
UNARY_SAMPLES(isfinite, isfinite_of_log, -1, 1)
const op op_isnan = {"isnan",    "y = x is not a number",  OP_MAP, CPU_ISNAN, 1,
                     1,          op_infer_truth,           NULL,   TRUTH,     op_reference_map,
                     "IsNaN-13", OP_SAMPLES(samples_isnan)};
const op op_isfinite = {"isfinite",
                        "y = x is neither infinite nor NaN",
                        OP_MAP,
                        CPU_ISFINITE,
                        1,
                        1,
                        op_infer_truth,
                        NULL,
                        TRUTH,
                        op_reference_map,
                        NULL,
                        OP_SAMPLES(samples_isfinite)};

/* Its input is kept as the logits, from which losses are computed stably. */
soma_tensor *soma_sigmoid(soma_tensor *x) {
    x = op_to_float(x);
    soma_tensor *y = op_map(&op_sigmoid, 1, &x);
    if (y) y->logits = x;
    return y;
}
UNARY_SAMPLES(sigmoid, soma_sigmoid, -4, 4)
const op op_sigmoid = {"sigmoid",
                       "y = 1/(1 + e^-x)",
                       OP_MAP,
                       CPU_SIGMOID,
                       1,
                       1,
                       op_infer_float,
                       vjp_sigmoid,
                       NULL,
                       op_reference_map,
                       "Sigmoid-13",
                       OP_SAMPLES(samples_sigmoid)};

/* ---- cast and stop_gradient: the same elements ---- */

static soma_status infer_cast(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                              const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    RETURN_IF(graph->context, (unsigned)attributes->dtype >= SOMA_DTYPE_COUNT, SOMA_DTYPE, "[cast] unknown dtype %d",
              (int)attributes->dtype);
    TRY(op_infer_any(graph, self, inputs, n, attributes, dtype, rank, shape));
    *dtype = attributes->dtype;
    return SOMA_OK;
}

soma_tensor *soma_cast(soma_tensor *x, soma_dtype dtype) {
    if (!x || x->dtype == dtype) return x;
    if (dtype == SOMA_BOOL) return soma_not_equal(x, op_number(x, 0));
    return op_apply(NULL, &op_cast, &x, 1, &(op_attributes){.dtype = dtype});
}

static soma_tensor *cast_to_double(soma_tensor *const *xs) {
    return soma_cast(xs[0], SOMA_F64);
}
static soma_tensor *cast_strided(soma_tensor *const *xs) {
    return soma_cast(soma_slice(soma_transpose(xs[0], NULL), "::-2, 1:"), SOMA_F64);
}
static soma_tensor *cast_broadcast(soma_tensor *const *xs) {
    return soma_cast(soma_expand(xs[0], SOMA_DIMS(4, 3, 5)), SOMA_F64);
}
static soma_tensor *cast_to_float(soma_tensor *const *xs) {
    return soma_cast(xs[0], SOMA_F32);
}
static soma_tensor *cast_to_half(soma_tensor *const *xs) {
    return soma_cast(xs[0], SOMA_F16);
}
static soma_tensor *cast_to_bfloat(soma_tensor *const *xs) {
    return soma_cast(xs[0], SOMA_BF16);
}
static soma_tensor *cast_to_i32(soma_tensor *const *xs) {
    return soma_cast(xs[0], SOMA_I32);
}
static soma_tensor *cast_to_i16(soma_tensor *const *xs) {
    return soma_cast(xs[0], SOMA_I16);
}
static soma_tensor *cast_to_i8(soma_tensor *const *xs) {
    return soma_cast(xs[0], SOMA_I8);
}
static soma_tensor *cast_to_u8(soma_tensor *const *xs) {
    return soma_cast(xs[0], SOMA_U8);
}
static soma_tensor *cast_to_bool(soma_tensor *const *xs) {
    return soma_cast(xs[0], SOMA_BOOL);
}
static soma_tensor *cast_there_and_back(soma_tensor *const *xs) {
    return soma_mul(soma_cast(xs[0], SOMA_F64), soma_cast(soma_square(xs[0]), SOMA_F64));
}
static const op_sample samples_cast[] = {{"vector", cast_to_double, 1, {{SOMA_F32, 1, {37}, -3, 3}}},
                                         {"strided", cast_strided, 1, {{SOMA_F32, 2, {7, 9}, -3, 3}}},
                                         {"broadcast", cast_broadcast, 1, {{SOMA_F32, 2, {3, 1}, -3, 3}}},
                                         {"float", cast_to_float, 1, {{SOMA_F64, 1, {37}, -3, 3}}},
                                         {"half", cast_to_half, 1, {{SOMA_F32, 1, {65}, -3, 3}}},
                                         {"bfloat", cast_to_bfloat, 1, {{SOMA_F32, 1, {65}, -3, 3}}},
                                         {"from half", cast_to_float, 1, {{SOMA_F16, 1, {65}, -3, 3}}},
                                         {"from bfloat", cast_to_float, 1, {{SOMA_BF16, 1, {65}, -3, 3}}},
                                         {"int32", cast_to_i32, 1, {{SOMA_F32, 1, {65}, -99, 99}}},
                                         {"int16", cast_to_i16, 1, {{SOMA_I32, 1, {65}, -99, 99}}},
                                         {"int8", cast_to_i8, 1, {{SOMA_I64, 1, {65}, -99, 99}}},
                                         {"uint8", cast_to_u8, 1, {{SOMA_F32, 1, {65}, 0, 255}}},
                                         {"pixels", cast_to_float, 1, {{SOMA_U8, 2, {4, 37}, 0, 255}}},
                                         {"bool", cast_to_bool, 1, {{SOMA_I32, 1, {65}, -1, 1}}},
                                         {"from bool", cast_to_float, 1, {{SOMA_BOOL, 1, {65}, 0, 1}}},
                                         {"there and back", cast_there_and_back, 1, {{SOMA_F32, 1, {11}, -3, 3}}},
                                         {"empty", cast_to_double, 1, {{SOMA_F32, 1, {0}, -3, 3}}},
                                         {NULL, NULL, 0, {{SOMA_F32, 0, {0}, 0, 0}}}};
const op op_cast = {"cast",     "y = x in another dtype; floats to integers truncate",
                    OP_MAP,     CPU_COPY,
                    1,          1,
                    infer_cast, vjp_cast,
                    NULL,       op_reference_map,
                    "Cast-13",  OP_SAMPLES(samples_cast)};

UNARY(stop_gradient, op_map, op_infer_any, CPU_COPY, op_vjp_zero, NULL, "Identity-16", "y = x, with gradient zero", -2,
      2)
