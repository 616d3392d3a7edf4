/* In which type of registers a node is computed, if in any: float32 and float64 hold some integers exactly, and only
 * where nothing else can come is a node one of a tile program. All others run by kernels of their own. */
#include "plan/passes.h"

bool node_is_small(const soma_tensor *t) {
    for (;;) {
        if (t->dtype == SOMA_BOOL || t->dtype == SOMA_U8 || t->dtype == SOMA_I8 || t->dtype == SOMA_I16) return true;
        if (t->op->kind == OP_VIEW) {
            t = t->inputs[0];
            continue;
        }
        if (t->op == &op_iota) return t->rank == 0 || t->shape[t->attributes->axis] < 1 << 24;
        if (t->op == &op_argmax || t->op == &op_argmin) return true;
        if (t->op == &op_cast && (t->dtype == SOMA_I32 || t->dtype == SOMA_I64) &&
            !dtype_is_float(t->inputs[0]->dtype)) {
            t = t->inputs[0];
            continue;
        }
        if (t->op == &op_constant && shape_size(t->rank, t->shape) == 1) {
            int64_t v = t->dtype == SOMA_I64   ? *(const int64_t *)t->data
                        : t->dtype == SOMA_I32 ? *(const int32_t *)t->data
                                               : INT64_MAX;
            return v < 1 << 24 && v > -(1 << 24);
        }
        return false;
    }
}

static bool is_real(soma_dtype d) {
    return d == SOMA_F32 || d == SOMA_F64;
}

/* Comparison or logic: the type in which it is exact. */
static soma_dtype compare_real(const soma_tensor *t) {
    soma_dtype d = SOMA_DTYPE_COUNT;
    bool small = false, wide = false;
    for (int i = 0; i < t->n_inputs; i++) {
        const soma_tensor *x = t->inputs[i];
        if (is_real(x->dtype)) d = x->dtype;
        if (dtype_is_float(x->dtype) && !is_real(x->dtype)) d = SOMA_F32;
        if (node_is_small(x)) small = true;
        if (x->dtype == SOMA_I64 && !node_is_small(x)) wide = true;
    }
    if (d != SOMA_DTYPE_COUNT) return d;
    bool equality = t->op == &op_equal || t->op == &op_not_equal;
    if (small && equality) return SOMA_F32; /* what is not exact here cannot equal a small number */
    for (int i = 0; i < t->n_inputs; i++)
        if (!node_is_small(t->inputs[i])) return wide ? SOMA_DTYPE_COUNT : SOMA_F64;
    return SOMA_F32;
}

soma_dtype node_real(const soma_tensor *t) {
    if (t->op->kind == OP_REDUCE) {
        soma_dtype d = t->inputs[0]->dtype;
        return is_real(d) && (t->dtype == d || t->dtype == SOMA_I64) ? d : SOMA_DTYPE_COUNT;
    }
    if (t->op == &op_matmul) return is_real(t->dtype) && t->inputs[0]->dtype == t->dtype ? t->dtype : SOMA_DTYPE_COUNT;
    if (t->op == &op_uniform || t->op == &op_normal) return is_real(t->dtype) ? t->dtype : SOMA_DTYPE_COUNT;
    if (t->op == &op_iota)
        return t->dtype == SOMA_F64 ? SOMA_F64 : node_is_small(t) || t->dtype == SOMA_F32 ? SOMA_F32 : SOMA_F64;
    if (t->op == &op_cast || t->op->kind == OP_VIEW) {
        soma_dtype from = t->inputs[0]->dtype;
        if (is_real(t->dtype)) return from == SOMA_F64 ? SOMA_F64 : t->dtype;
        if (is_real(from)) return from;
        bool widens = t->dtype == SOMA_I32 || t->dtype == SOMA_I64 || from == SOMA_BOOL; /* narrower ones wrap around */
        if (dtype_is_integer(t->dtype) && widens && node_is_small(t->inputs[0])) return SOMA_F32;
        if (from == t->dtype) /* a copy: exact in registers or not at all */
            return from == SOMA_I64 ? SOMA_DTYPE_COUNT : from == SOMA_I32 ? SOMA_F64 : SOMA_F32;
        return SOMA_DTYPE_COUNT;
    }
    if (t->op->kind != OP_MAP) return SOMA_DTYPE_COUNT;
    if (t->dtype == SOMA_BOOL) return compare_real(t);
    if (!is_real(t->dtype)) return SOMA_DTYPE_COUNT;
    for (int i = 0; i < t->n_inputs; i++)
        if (t->inputs[i]->dtype != t->dtype && t->inputs[i]->dtype != SOMA_BOOL) return SOMA_DTYPE_COUNT;
    return t->dtype;
}
