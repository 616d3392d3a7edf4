/* Pools: the largest or the mean of each window of places.
 * Rests on windows.c and on reductions over the windows' own axes, which the compiler unrolls into maps; so neither
 * kernel nor gradient of their own. A bias and a relu that stand before a max pool are computed behind it: on a quarter
 * of the numbers, and of their gradients. */
#include <math.h>
#include <string.h>

#include <soma/ops.h>

#include "ops/windows.h"

/* The windows of a pool; a window of nothing but padding has no largest element and no mean. */
static bool read_pool(const char *name, const soma_tensor *x, const int64_t *size, const soma_window_options *options,
                      cpu_windows *g) {
    soma_window_options o = options ? *options : (soma_window_options){.groups = 0};
    for (int i = 0; i < x->rank - 2 && i < 3; i++)
        if (!o.strides[i]) o.strides[i] = size[i];
    if (!windows_read(name, x, size, x->rank, &o, g)) return false;
    for (int i = 0; i < g->n; i++) {
        int64_t span = (g->size[i] - 1) * g->dilation[i] + 1,
                most = g->before[i] > g->after[i] ? g->before[i] : g->after[i];
        bool good = most < span && g->groups == 1;
        if (good && span <= x->shape[1 + i] + g->before[i] + g->after[i] && x->shape[1 + i] > 0) continue;
        char shown[SHAPE_TEXT];
        (void)error_set(x->graph->context, SOMA_SHAPE,
                        "[%s] axis %d of %s: a window that spans %lld elements does not fit, or padding of %lld fills "
                        "one alone",
                        name, 1 + i, tensor_shape_text(shown, x), (long long)span, (long long)most);
        return false;
    }
    return true;
}

/* The reduction over all windows' axes, which go. */
static soma_tensor *reduce_windows(const op *self, soma_tensor *x, const cpu_windows *g, double padding) {
    soma_tensor *seen = windows_over(windows_pad(x, g, padding), g);
    if (!seen) return NULL;
    op_attributes attributes = {.exclusive = self == &op_max};
    int64_t shape[SOMA_MAX_RANK] = {seen->shape[0]};
    for (int i = 0; i < g->n; i++) {
        attributes.axes |= UINT32_C(1) << (2 + 2 * i);
        shape[1 + i] = seen->shape[1 + 2 * i];
    }
    shape[1 + g->n] = seen->shape[1 + 2 * g->n];
    return soma_reshape(op_apply(NULL, self, &seen, 1, &attributes), g->n + 2, shape);
}

soma_tensor *soma_max_pool(soma_tensor *x, const int64_t *size, const soma_window_options *options) {
    cpu_windows g;
    if (!x || !read_pool("max_pool", x, size, options, &g)) return NULL;
    return reduce_windows(&op_max, x, &g, x->dtype == SOMA_BOOL ? 0 : -INFINITY);
}

/* ---- what keeps the order of numbers comes after the pool ---- */

static bool is_among(const soma_tensor *t, soma_tensor *const *list, int n) {
    for (int i = 0; i < n; i++)
        if (list[i] == t) return true;
    return false;
}

/* Below the windows of a max pool: what they are of. NULL if some window might see nothing but padding. */
static soma_tensor *below_windows(soma_tensor *seen, soma_tensor *const *kept, int n) {
    bool dilated = false;
    for (; seen->op == &op_window || (seen->op == &op_pad && !dilated); seen = seen->inputs[0]) {
        dilated = dilated || seen->attributes->step[1] != 1;
        if (is_among(seen, kept, n)) return NULL;
    }
    return seen;
}

/* The same windows of x. */
static soma_tensor *windows_like(const soma_tensor *seen, const soma_tensor *of, soma_tensor *x) {
    if (seen == of) return x;
    x = windows_like(seen->inputs[0], of, x);
    return x ? op_apply(NULL, seen->op, &x, 1, seen->attributes) : NULL;
}

/* where(x <= c, c, x): the x. */
static soma_tensor *rectified(const soma_tensor *t, double *c) {
    double limit;
    const soma_tensor *test = t->op == &op_where ? t->inputs[0] : NULL;
    bool good = test && test->op == &op_less_equal && test->inputs[0] == t->inputs[2] &&
                op_known_number(test->inputs[1], &limit) && op_known_number(t->inputs[1], c) && *c == limit;
    return good ? t->inputs[2] : NULL;
}

/* x + a number for each channel: the x. */
static soma_tensor *shifted(const soma_tensor *t, soma_tensor **numbers) {
    if (t->op != &op_add) return NULL;
    int at = t->inputs[1]->op == &op_expand ? 1 : 0;
    soma_tensor *from = t->inputs[at]->op == &op_expand ? t->inputs[at]->inputs[0] : NULL;
    int64_t channels = t->shape[t->rank - 1];
    if (!from || from->rank == 0 || from->shape[from->rank - 1] != channels ||
        shape_size(from->rank, from->shape) != channels)
        return NULL;
    *numbers = soma_reshape(from, SOMA_DIMS(channels));
    return t->inputs[1 - at];
}

soma_tensor *op_max_first(soma_tensor *node, soma_tensor *const *kept, int n) {
    if (!node || node->op != &op_max || !node->attributes->exclusive || !dtype_is_float(node->dtype)) return node;
    soma_tensor *seen = node->inputs[0], *of = below_windows(seen, kept, n), *numbers = NULL;
    double limit = 0;
    if (!of || of->op->kind != OP_MAP || is_among(of, kept, n)) return node;
    soma_tensor *x = rectified(of, &limit), *y;
    bool rectifies = x;
    if (!x) x = shifted(of, &numbers);
    if (!x) return node;
    y = windows_like(seen, of, x);
    y = y ? op_apply(NULL, node->op, &y, 1, node->attributes) : NULL;
    y = y ? op_max_first(y, kept, n) : NULL;
    if (!y || !rectifies) return soma_add(y, numbers);
    soma_tensor *c = op_number(y, limit);
    return soma_where(soma_less_equal(y, c), c, y);
}

/* One over how many elements the windows along axis i see that are not padding: (places, 1, .., 1). */
static soma_tensor *share_along(const soma_tensor *y, const cpu_windows *g, int i, int64_t extent) {
    int64_t places = y->shape[1 + i], shape[SOMA_MAX_RANK];
    double *shares = arena_alloc(&y->graph->arena, (size_t)places * sizeof *shares + 1);
    if (!shares) return NULL;
    for (int64_t p = 0; p < places; p++) {
        int64_t seen = 0;
        for (int64_t s = 0; s < g->size[i]; s++) {
            int64_t at = p * g->stride[i] + s * g->dilation[i] - g->before[i];
            seen += at >= 0 && at < extent;
        }
        shares[p] = 1.0 / (double)seen;
    }
    for (int k = 0; k <= g->n - i; k++)
        shape[k] = k == 0 ? places : 1;
    return soma_cast(soma_array(y->graph, SOMA_F64, g->n - i + 1, shape, shares), y->dtype);
}

soma_tensor *soma_average_pool(soma_tensor *x, const int64_t *size, const soma_window_options *options) {
    cpu_windows g;
    x = op_to_float(x);
    if (!x || !read_pool("average_pool", x, size, options, &g)) return NULL;
    if (soma_dtype_size(x->dtype) == 2) /* sums of many need more than 16 bits */
        return soma_cast(soma_average_pool(soma_cast(x, SOMA_F32), size, options), x->dtype);
    soma_tensor *y = reduce_windows(&op_sum, x, &g, 0);
    double plain = 1; /* of axes without padding */
    for (int i = 0; i < g.n; i++)
        if (!g.before[i] && !g.after[i]) plain *= (double)g.size[i];
    if (y && plain != 1) y = soma_div(y, op_number(y, plain));
    for (int i = 0; y && i < g.n; i++)
        if (g.before[i] || g.after[i]) y = soma_mul(y, share_along(y, &g, i, x->shape[1 + i]));
    return y;
}
