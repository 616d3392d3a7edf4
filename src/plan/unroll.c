/* Reductions over windows, as maps: the windows' elements one after the other, each a strided array as large as the
 * result.
 * Rests on the ops' builders. A pool reduces a few elements that lie far apart: as one map it walks the channels, which
 * are contiguous, and melts into whatever stands before and behind it. */
#include <soma/ops.h>

#include "ops/build.h"
#include "plan/passes.h"

enum { UNROLLED_MAX = 64 /* elements of a window */, DEPTH_MAX = 6 };

/* Axes that are a window's own, seen through windows and maps. */
static uint32_t window_axes(const soma_tensor *t, int depth) {
    uint32_t axes = 0;
    if (t->op == &op_window) {
        int axis = t->attributes->axis + 1;
        uint32_t below = window_axes(t->inputs[0], depth), low = below & ((UINT32_C(1) << axis) - 1);
        return low | (below & ~low) << 1 | UINT32_C(1) << axis;
    }
    for (int i = 0; t->op->kind == OP_MAP && depth < DEPTH_MAX && i < t->n_inputs; i++)
        axes |= window_axes(t->inputs[i], depth + 1);
    return axes;
}

/* t with one element along each reduced axis. Maps are made of their inputs' elements. */
static soma_tensor *element(soma_tensor *t, uint32_t axes, const int64_t *index, int depth) {
    int64_t first[SOMA_MAX_RANK], count[SOMA_MAX_RANK], one[SOMA_MAX_RANK];
    if (t->op->kind == OP_MAP && depth < DEPTH_MAX) {
        soma_tensor *inputs[3];
        for (int i = 0; i < t->n_inputs; i++)
            if (!(inputs[i] = element(t->inputs[i], axes, index, depth + 1))) return NULL;
        return op_apply(NULL, t->op, inputs, t->n_inputs, t->attributes);
    }
    for (int i = 0; i < t->rank; i++) {
        bool reduced = axes >> i & 1;
        first[i] = reduced ? index[i] : 0;
        count[i] = reduced ? 1 : t->shape[i];
        one[i] = 1;
    }
    return op_slice_box(t, first, count, one);
}

static soma_tensor *combine(const op *self, soma_tensor *a, soma_tensor *b) {
    if (!a || !b) return NULL;
    if (self == &op_sum) return soma_add(a, b);
    if (self == &op_prod) return soma_mul(a, b);
    return self == &op_max ? soma_maximum(a, b) : soma_minimum(a, b);
}

soma_tensor *plan_unroll(soma_tensor *t) {
    if (t->op != &op_sum && t->op != &op_prod && t->op != &op_max && t->op != &op_min) return t;
    soma_tensor *x = t->inputs[0];
    uint32_t axes = 0;
    int64_t count = 1, index[SOMA_MAX_RANK] = {0};
    for (int i = 0; i < x->rank; i++)
        if (t->attributes->axes >> i & 1 && x->shape[i] != 1) axes |= UINT32_C(1) << i;
    for (int i = 0; i < x->rank && count <= UNROLLED_MAX; i++)
        if (axes >> i & 1) count *= x->shape[i];
    if (axes == 0 || count == 0 || count > UNROLLED_MAX || (axes & ~window_axes(x, 0)) != 0) return t;
    soma_tensor *y = NULL;
    for (int64_t k = 0; k < count; k++) {
        int64_t rest = k;
        for (int i = x->rank - 1; i >= 0; i--) {
            if (!(axes >> i & 1)) continue;
            index[i] = rest % x->shape[i];
            rest /= x->shape[i];
        }
        soma_tensor *next = element(x, axes, index, 0);
        y = k == 0 ? next : combine(t->op, y, next);
    }
    return y;
}
