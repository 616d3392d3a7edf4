/* The sum of two pads that lie side by side, as one pad of a concatenation.
 * Rests on pad and concat. The gradient of slicing an axis apart (steps of a sequence, gates of a cell) is a sum of
 * pads, one a slice: added up they would read every part for every element; laid side by side each part is moved once.
 */
#include <string.h>

#include <soma/ops.h>

#include "ops/build.h"

static bool pads_zeros(const soma_tensor *x) {
    return x->op == &op_pad && x->attributes->value[0] == 0;
}

/* The one axis along which the padded parts differ in place, and touch: a's end is b's start. -1: there is none. */
static int touching_axis(const soma_tensor *a, const soma_tensor *b) {
    const soma_tensor *x = a->inputs[0], *y = b->inputs[0];
    if (a->rank != b->rank || a->dtype != b->dtype) return -1;
    int axis = -1;
    for (int i = 0; i < a->rank; i++) {
        if (a->shape[i] != b->shape[i]) return -1;
        if (a->attributes->start[i] == b->attributes->start[i] && x->shape[i] == y->shape[i]) continue;
        if (axis >= 0 || a->attributes->start[i] + x->shape[i] != b->attributes->start[i]) return -1;
        axis = i;
    }
    return axis;
}

/* The parts that x is concatenated of along the axis, or x itself, into list; returns how many. */
static int parts_of(soma_tensor *x, int axis, soma_tensor **list) {
    bool made = x->op == &op_concat && x->attributes->axis == axis;
    if (list) memcpy(list, made ? x->inputs : &x, (size_t)(made ? x->n_inputs : 1) * sizeof *list);
    return made ? x->n_inputs : 1;
}

static soma_tensor *join(soma_tensor *a, soma_tensor *b, int axis) {
    soma_tensor *x = a->inputs[0], *y = b->inputs[0];
    int n = parts_of(x, axis, NULL), m = parts_of(y, axis, NULL);
    soma_tensor **parts = arena_alloc(&a->graph->arena, (size_t)(n + m) * sizeof *parts);
    if (!parts) return NULL;
    parts_of(x, axis, parts);
    parts_of(y, axis, parts + n);
    soma_tensor *both = soma_concat(parts, n + m, axis);
    int64_t after[SOMA_MAX_RANK];
    for (int i = 0; both && i < a->rank; i++)
        after[i] = a->shape[i] - a->attributes->start[i] - both->shape[i];
    return both ? soma_pad(both, a->attributes->start, after, 0) : NULL;
}

soma_tensor *op_add_gradients(soma_tensor *a, soma_tensor *b) {
    if (pads_zeros(a) && pads_zeros(b)) {
        int axis = touching_axis(a, b);
        if (axis >= 0) return join(a, b, axis);
        axis = touching_axis(b, a);
        if (axis >= 0) return join(b, a, axis);
    }
    return soma_add(a, b);
}
