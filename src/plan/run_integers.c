/* Maps of integers and truth values: whatever registers of floats would not hold exactly.
 * Rests on the reference's meaning of every map. Elements pass through blocks of int64, one loop an op and one a
 * dtype; results wrap around, as NumPy's do. */
#include <string.h>

#include "cpu/reference/element.h"
#include "plan/run_move.h"

enum { BLOCK = 256 };

static const uint8_t COVERED[CPU_MAP_COUNT] = {
    [CPU_COPY] = 1,          [CPU_NEG] = 1,       [CPU_ABS] = 1,     [CPU_SIGN] = 1,       [CPU_SQUARE] = 1,
    [CPU_NOT] = 1,           [CPU_ADD] = 1,       [CPU_SUB] = 1,     [CPU_MUL] = 1,        [CPU_MOD] = 1,
    [CPU_EQUAL] = 1,         [CPU_NOT_EQUAL] = 1, [CPU_LESS] = 1,    [CPU_LESS_EQUAL] = 1, [CPU_GREATER] = 1,
    [CPU_GREATER_EQUAL] = 1, [CPU_MAXIMUM] = 1,   [CPU_MINIMUM] = 1, [CPU_AND] = 1,        [CPU_OR] = 1,
    [CPU_XOR] = 1,           [CPU_WHERE] = 1};

bool integers_fit(const soma_tensor *node) {
    if (node->op->kind != OP_MAP || node->n_inputs > 3 || !COVERED[node->op->code]) return false;
    for (int i = 0; i < node->n_inputs; i++)
        if (dtype_is_float(node->inputs[i]->dtype)) return false;
    return !dtype_is_float(node->dtype) || node->op->code == CPU_COPY;
}

#define LOAD(type)                                                                                                     \
    for (int64_t i = 0; i < n; i++)                                                                                    \
        to[i] = (int64_t)((const type *)from)[i * stride];                                                             \
    break;

static void load(soma_dtype dtype, const void *from, int64_t stride, int64_t n, int64_t *to) {
    switch (dtype) {
    case SOMA_I8:
        LOAD(int8_t)
    case SOMA_I16:
        LOAD(int16_t)
    case SOMA_I32:
        LOAD(int32_t)
    case SOMA_I64:
        LOAD(int64_t)
    default:
        LOAD(uint8_t)
    }
}

#define STORE(type)                                                                                                    \
    for (int64_t i = 0; i < n; i++)                                                                                    \
        ((type *)to)[i] = (type)from[i];                                                                               \
    break;

static void store(soma_dtype dtype, const int64_t *from, int64_t n, void *to) {
    switch (dtype) {
    case SOMA_I8:
        STORE(int8_t)
    case SOMA_I16:
        STORE(int16_t)
    case SOMA_I32:
        STORE(int32_t)
    case SOMA_I64:
        STORE(int64_t)
    case SOMA_U8:
        STORE(uint8_t)
    case SOMA_BOOL:
        for (int64_t i = 0; i < n; i++)
            ((uint8_t *)to)[i] = from[i] != 0;
        break;
    case SOMA_F32:
        for (int64_t i = 0; i < n; i++)
            ((float *)to)[i] = (float)(double)from[i];
        break;
    case SOMA_F64:
        for (int64_t i = 0; i < n; i++)
            ((double *)to)[i] = (double)from[i];
        break;
    default:
        for (int64_t i = 0; i < n; i++)
            element_set(dtype, to, i, (double)from[i]);
    }
}

/* As NumPy: the sign of the divisor; 0 modulo 0 is 0. */
static int64_t modulo(int64_t a, int64_t b) {
    if (b == 0 || b == -1) return 0;
    int64_t rest = a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

static int64_t wrapped(uint64_t x) {
    return (int64_t)x;
}

#define EACH(code, expression)                                                                                         \
    case CPU_##code:                                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const int64_t x = a[i], y = b[i];                                                                          \
            (void)x, (void)y;                                                                                          \
            a[i] = expression;                                                                                         \
        }                                                                                                              \
        break;

/* a = code(a, b, c). */
static void compute(int code, int64_t *a, const int64_t *b, const int64_t *c, int64_t n) {
    switch (code) {
        EACH(NEG, wrapped(0 - (uint64_t)x))
        EACH(ABS, x < 0 ? wrapped(0 - (uint64_t)x) : x)
        EACH(SIGN, (x > 0) - (x < 0))
        EACH(SQUARE, wrapped((uint64_t)x * (uint64_t)x))
        EACH(NOT, x == 0)
        EACH(ADD, wrapped((uint64_t)x + (uint64_t)y))
        EACH(SUB, wrapped((uint64_t)x - (uint64_t)y))
        EACH(MUL, wrapped((uint64_t)x * (uint64_t)y))
        EACH(MOD, modulo(x, y))
        EACH(EQUAL, x == y)
        EACH(NOT_EQUAL, x != y)
        EACH(LESS, x < y)
        EACH(LESS_EQUAL, x <= y)
        EACH(GREATER, x > y)
        EACH(GREATER_EQUAL, x >= y)
        EACH(MAXIMUM, x > y ? x : y)
        EACH(MINIMUM, x < y ? x : y)
        EACH(AND, x != 0 && y != 0)
        EACH(OR, x != 0 || y != 0)
        EACH(XOR, (x != 0) != (y != 0))
        EACH(WHERE, x != 0 ? y : c[i])
    default:
        break;
    }
}

/* Rows of the last axis, in blocks; a scalar is a row of one. */
soma_status integers_run(const soma_tensor *node, const op_view *inputs, op_view *output, const plan_runner *runner) {
    int64_t values[3][BLOCK], size = view_size(output), first, last;
    if (size == 0) return SOMA_OK;
    int rank = output->rank;
    int64_t columns = rank > 0 ? output->shape[rank - 1] : 1, pieces = (columns + BLOCK - 1) / BLOCK;
    const size_t bytes = soma_dtype_size(output->dtype);
    runner_share(runner, size / columns * pieces, &first, &last);
    for (int64_t u = first; u < last; u++) {
        int64_t row = u / pieces, column = u % pieces * BLOCK, n = minimum(BLOCK, columns - column);
        for (int i = 0; i < node->n_inputs; i++) {
            const op_view *x = &inputs[i];
            int64_t step = rank > 0 ? x->strides[rank - 1] : 0, at = column * step, rest = row;
            for (int axis = rank - 2; axis >= 0; axis--) {
                at += rest % x->shape[axis] * x->strides[axis];
                rest /= x->shape[axis];
            }
            load(x->dtype, view_at(x, at), step, n, values[i]);
        }
        compute(node->op->code, values[0], values[1], values[2], n);
        store(output->dtype, values[0], n, (char *)output->data + (size_t)(row * columns + column) * bytes);
    }
    return SOMA_OK;
}
