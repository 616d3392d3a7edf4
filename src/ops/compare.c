/* Comparisons, logic and where: maps that give truth values or choose by them.
 * Rests on build.h. Truth values have no gradient; where passes it on to the side that was taken. */
#include <soma/ops.h>

#include "ops/build.h"

static const char TRUTH[] = "its result is a truth value";

/* Small integers as floats, so that equal elements occur. */
#define TRUTH_OP(name, map_code, onnx_name, text)                                                                      \
    soma_tensor *soma_##name(soma_tensor *a, soma_tensor *b) {                                                         \
        return op_map(&op_##name, 2, (soma_tensor *[]){a, b});                                                         \
    }                                                                                                                  \
    static soma_tensor *build_##name(soma_tensor *const *xs) {                                                         \
        return soma_##name(xs[0], xs[1]);                                                                              \
    }                                                                                                                  \
    static soma_tensor *rounded_##name(soma_tensor *const *xs) {                                                       \
        return soma_##name(soma_round(xs[0]), soma_round(xs[1]));                                                      \
    }                                                                                                                  \
    static soma_tensor *strided_##name(soma_tensor *const *xs) {                                                       \
        return soma_##name(soma_transpose(xs[0], NULL), soma_slice(xs[1], "::2, ::-1"));                               \
    }                                                                                                                  \
    static const op_sample samples_##name[] = {                                                                        \
        {"vectors", build_##name, 2, {{SOMA_F32, 1, {37}, -2, 2}, {SOMA_F32, 1, {37}, -2, 2}}},                        \
        {"rounded", rounded_##name, 2, {{SOMA_F32, 2, {5, 33}, -1, 1}, {SOMA_F32, 1, {33}, -1, 1}}},                   \
        {"scalar", build_##name, 2, {{SOMA_F32, 2, {3, 20}, -2, 2}, {SOMA_F32, 0, {0}, -2, 2}}},                       \
        {"empty", build_##name, 2, {{SOMA_F32, 2, {0, 3}, -2, 2}, {SOMA_F32, 1, {3}, -2, 2}}},                         \
        {"strided", strided_##name, 2, {{SOMA_I32, 2, {7, 4}, -1, 1}, {SOMA_I32, 2, {8, 7}, -1, 1}}},                  \
        {"bools", build_##name, 2, {{SOMA_BOOL, 1, {40}, 0, 1}, {SOMA_BOOL, 1, {40}, 0, 1}}},                          \
        {"promoted", build_##name, 2, {{SOMA_U8, 1, {21}, 0, 2}, {SOMA_I64, 1, {21}, 0, 2}}},                          \
        {NULL, NULL, 0, {{SOMA_F32, 0, {0}, 0, 0}}}};                                                                  \
    const op op_##name = {#name,          text, OP_MAP, map_code,         2,         2,                                \
                          op_infer_truth, NULL, TRUTH,  op_reference_map, onnx_name, OP_SAMPLES(samples_##name)};

TRUTH_OP(equal, CPU_EQUAL, "Equal-13", "y = (a == b)")
TRUTH_OP(not_equal, CPU_NOT_EQUAL, NULL, "y = (a != b)")
TRUTH_OP(less, CPU_LESS, "Less-13", "y = (a < b)")
TRUTH_OP(less_equal, CPU_LESS_EQUAL, "LessOrEqual-16", "y = (a <= b)")
TRUTH_OP(greater, CPU_GREATER, "Greater-13", "y = (a > b)")
TRUTH_OP(greater_equal, CPU_GREATER_EQUAL, "GreaterOrEqual-16", "y = (a >= b)")
TRUTH_OP(logical_and, CPU_AND, "And-7", "y = a and b")
TRUTH_OP(logical_or, CPU_OR, "Or-7", "y = a or b")
TRUTH_OP(logical_xor, CPU_XOR, "Xor-7", "y = either a or b")

/* ---- where ---- */

static soma_status infer_where(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                               const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    RETURN_IF(graph->context, inputs[0]->dtype != SOMA_BOOL, SOMA_DTYPE, "[where] the condition is %s, not bool",
              soma_dtype_name(inputs[0]->dtype));
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    RETURN_IF(graph->context, !shape_equal(inputs[0]->rank, inputs[0]->shape, inputs[1]->rank, inputs[1]->shape),
              SOMA_SHAPE, "[where] shapes %s and %s differ", tensor_shape_text(a, inputs[0]),
              tensor_shape_text(b, inputs[1]));
    return op_infer_any(graph, self, inputs + 1, n - 1, attributes, dtype, rank, shape);
}

soma_tensor *soma_where(soma_tensor *condition, soma_tensor *a, soma_tensor *b) {
    soma_tensor *xs[] = {soma_cast(condition, SOMA_BOOL), a, b};
    if (!op_promote_all(2, xs + 1) || !op_broadcast_all(&op_where, 3, xs)) return NULL;
    return op_apply(NULL, &op_where, xs, 3, NULL);
}

static void vjp_where(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    soma_tensor *zero = op_number(dy, 0);
    if (needed[1]) dx[1] = soma_where(y->inputs[0], dy, zero);
    if (needed[2]) dx[2] = soma_where(y->inputs[0], zero, dy);
}

static soma_tensor *build_where(soma_tensor *const *xs) {
    return soma_where(xs[0], xs[1], xs[2]);
}
static soma_tensor *relu_by_where(soma_tensor *const *xs) {
    return soma_where(soma_greater(xs[0], op_number(xs[0], 0)), soma_square(xs[0]), op_number(xs[0], 0));
}
static const op_sample samples_where[] = {
    {"vectors", build_where, 3, {{SOMA_BOOL, 1, {37}, 0, 1}, {SOMA_F32, 1, {37}, -2, 2}, {SOMA_F32, 1, {37}, -2, 2}}},
    {"broadcast",
     build_where,
     3,
     {{SOMA_BOOL, 2, {4, 1}, 0, 1}, {SOMA_F32, 1, {18}, -2, 2}, {SOMA_F32, 3, {3, 1, 1}, -2, 2}}},
    {"number", build_where, 3, {{SOMA_I32, 1, {37}, -1, 1}, {SOMA_F32, 1, {37}, -2, 2}, {SOMA_F32, 0, {0}, -2, 2}}},
    {"computed", relu_by_where, 1, {{SOMA_F32, 2, {3, 17}, -2, 2}}},
    {"empty", build_where, 3, {{SOMA_BOOL, 1, {0}, 0, 1}, {SOMA_F32, 1, {0}, -2, 2}, {SOMA_F32, 1, {1}, -2, 2}}},
    {"promoted", build_where, 3, {{SOMA_BOOL, 1, {9}, 0, 1}, {SOMA_I32, 1, {9}, -5, 5}, {SOMA_F32, 1, {9}, -2, 2}}},
    {NULL, NULL, 0, {{SOMA_F32, 0, {0}, 0, 0}}}};
const op op_where = {
    "where",    "y = condition ? a : b",  OP_MAP, CPU_WHERE, 3, 3, infer_where, vjp_where, NULL, op_reference_map,
    "Where-16", OP_SAMPLES(samples_where)};
