/* Autodiff: the gradient of a graph as more of the same graph.
 * Rests on the ops' vjps. Reverse mode over node ids, without recursion: a node is visited once, after everything that
 * uses it. Nodes that do not lead from wrt to y by way of floats are skipped; integers and truth values have no slope:
 * they may choose (where, gather), but a number made from them by cast would lose its gradient in silence, so it is
 * refused. */
#include <string.h>

#include <soma/ops.h>
#include <soma/plan.h>

#include "ops/build.h"
#include "plan/autodiff.h"

/* Per node of the original graph, by id. */
typedef struct sweep {
    soma_graph *graph;
    int64_t n;
    soma_tensor *const *wrt;
    int n_wrt;
    bool *wanted;            /* is one of wrt */
    bool *leads;             /* depends on some wrt through floats */
    bool *lost;              /* an integer or truth value that depends on some wrt */
    soma_tensor **gradients; /* of y with respect to the node, so far; NULL: none */
    size_t bytes;
    void *memory;
} sweep;

static soma_status check_arguments(soma_tensor *y, soma_tensor *const *wrt, int n, soma_tensor **out) {
    RETURN_IF(y->graph->context, !dtype_is_float(y->dtype), SOMA_DTYPE, "[grad] y is %s, not float",
              soma_dtype_name(y->dtype));
    RETURN_IF(y->graph->context, n < 0 || (n > 0 && (!wrt || !out)), SOMA_INVALID, "[grad] no wrt or no out given");
    for (int i = 0; i < n; i++) {
        if (!wrt[i]) {
            soma_status first = error_get(y->graph->context);
            return first != SOMA_OK ? first : error_set(y->graph->context, SOMA_INVALID, "[grad] wrt[%d] is NULL", i);
        }
        RETURN_IF(y->graph->context, wrt[i]->graph != y->graph, SOMA_INVALID, "[grad] wrt[%d] belongs to another graph",
                  i);
        RETURN_IF(y->graph->context, !dtype_is_float(wrt[i]->dtype), SOMA_DTYPE,
                  "[grad] wrt[%d] is %s: only floats have gradients", i, soma_dtype_name(wrt[i]->dtype));
    }
    return SOMA_OK;
}

static soma_status sweep_init(sweep *s, soma_tensor *y, soma_tensor *const *wrt, int n) {
    *s = (sweep){.graph = y->graph, .n = y->id + 1, .wrt = wrt, .n_wrt = n};
    size_t size;
    if (!size_mul((size_t)s->n, sizeof *s->gradients + 3 * sizeof *s->leads, &size)) return SOMA_NO_MEMORY;
    s->memory = mem_zalloc(s->graph->context, size);
    if (!s->memory) return SOMA_NO_MEMORY;
    s->bytes = size;
    s->gradients = s->memory;
    s->leads = (bool *)(s->gradients + s->n);
    s->lost = s->leads + s->n;
    s->wanted = s->lost + s->n;
    return SOMA_OK;
}

/* Forward: which nodes does a change of wrt reach? */
static void mark_leads(sweep *s) {
    for (int i = 0; i < s->n_wrt; i++)
        if (s->wrt[i]->id < s->n) s->leads[s->wrt[i]->id] = s->wanted[s->wrt[i]->id] = true;
    for (int64_t id = 0; id < s->n; id++) {
        const soma_tensor *node = s->graph->nodes[id];
        if (s->leads[id] || node->op == &op_stop_gradient) continue;
        bool *flag = dtype_is_float(node->dtype) ? &s->leads[id] : &s->lost[id];
        for (int i = 0; i < node->n_inputs && !*flag; i++) {
            int64_t input = node->inputs[i]->id;
            bool carries =
                !dtype_is_float(node->dtype) || node->op == &op_cast; /* a cast: to be refused on the way back */
            *flag = s->leads[input] || (carries && s->lost[input]);
        }
    }
}

/* The op below a cast at which the slope was lost. */
static const op *where_lost(const sweep *s, const soma_tensor *node) {
    while (node->n_inputs > 0) {
        const soma_tensor *next = NULL;
        for (int i = 0; i < node->n_inputs && !next; i++)
            if (s->lost[node->inputs[i]->id]) next = node->inputs[i];
        if (!next) break;
        node = next;
    }
    return node->op;
}

/* Adds to what an input has already been given by its other users. */
static soma_status give(sweep *s, const soma_tensor *input, soma_tensor *dx) {
    soma_tensor **sum = &s->gradients[input->id];
    *sum = *sum ? op_add_gradients(*sum, dx) : dx;
    return *sum ? SOMA_OK : error_get(s->graph->context);
}

/* Does the node lead somewhere? One that was made on the way back, if an input does. */
static bool leads(const sweep *s, const soma_tensor *node) {
    if (node->id < s->n) return s->leads[node->id];
    bool any = false;
    for (int i = 0; dtype_is_float(node->dtype) && i < node->n_inputs; i++)
        any = any || leads(s, node->inputs[i]);
    return any;
}

/* A gradient through the few nodes that stand for one of the sweep's, each read by one other, to those below. */
static soma_status give_below(sweep *s, soma_tensor *node, soma_tensor *dy) {
    soma_tensor *dx[3] = {NULL, NULL, NULL};
    bool needed[3] = {false, false, false};
    if (node->id < s->n) return give(s, node, dy);
    for (int i = 0; i < node->n_inputs; i++)
        needed[i] = leads(s, node->inputs[i]);
    node->op->vjp(node, dy, needed, dx);
    for (int i = 0; i < node->n_inputs; i++) {
        if (!needed[i]) continue;
        if (!dx[i]) return error_get(s->graph->context);
        TRY(give_below(s, node->inputs[i], dx[i]));
    }
    return SOMA_OK;
}

/* Passes a node's gradient on to those of its inputs that lead somewhere. */
static soma_status pass_on(sweep *s, soma_tensor *node, bool *needed, soma_tensor **dx) {
    const op *self = node->op;
    soma_tensor *same = op_max_first(node, s->wrt, s->n_wrt);
    bool any = false;
    if (!same) return error_get(s->graph->context);
    if (same != node) return give_below(s, same, s->gradients[node->id]);
    for (int i = 0; i < node->n_inputs; i++) {
        needed[i] = s->leads[node->inputs[i]->id];
        dx[i] = NULL;
        any = any || needed[i];
        bool gone = self == &op_cast && s->lost[node->inputs[i]->id];
        RETURN_IF(s->graph->context, gone, SOMA_UNSUPPORTED,
                  "[grad] the path goes through %s, whose result has no slope (soma_stop_gradient excludes a path)",
                  where_lost(s, node)->name);
    }
    if (!any) return SOMA_OK;
    RETURN_IF(s->graph->context, !self->vjp, SOMA_UNSUPPORTED,
              "[grad] the path goes through %s, which has no gradient: %s (soma_stop_gradient excludes a path)",
              self->name, self->not_differentiable ? self->not_differentiable : "none is written");
    self->vjp(node, s->gradients[node->id], needed, dx);
    for (int i = 0; i < node->n_inputs; i++) {
        if (!needed[i] || (!dx[i] && self->vjp == op_vjp_zero)) continue;
        if (!dx[i]) {
            soma_status first = error_get(s->graph->context);
            return first != SOMA_OK ? first
                                    : error_set(s->graph->context, SOMA_UNSUPPORTED,
                                                "[grad] %s gives no gradient to its input %d", self->name, i);
        }
        TRY(give(s, node->inputs[i], dx[i]));
    }
    return SOMA_OK;
}

/* Past maps that come from one value in several ways, at once. */
static soma_status pass_slope(sweep *s, const slope_ways *ways, const slope_region *region) {
    soma_tensor *slope = slope_make(ways, region), *dy = s->gradients[region->members[0]->id];
    if (!slope) {
        const soma_status first = error_get(s->graph->context);
        return first != SOMA_OK
                   ? first
                   : error_set(s->graph->context, SOMA_UNSUPPORTED, "[grad] the path from %s to %s has no gradient",
                               region->members[0]->op->name, region->x->op->name);
    }
    return give(s, region->x, soma_mul(dy, slope));
}

/* Backward: every node after its users, which have higher ids. */
static soma_status run_backward(sweep *s) {
    int capacity = 8;
    for (int64_t id = 0; id < s->n; id++)
        if (s->graph->nodes[id]->n_inputs > capacity) capacity = s->graph->nodes[id]->n_inputs;
    soma_tensor **dx = arena_alloc(&s->graph->arena, (size_t)capacity * sizeof *dx);
    bool *needed = arena_alloc(&s->graph->arena, (size_t)capacity * sizeof *needed);
    if (!dx || !needed) return SOMA_NO_MEMORY;
    const slope_ways ways = {s->leads, s->wanted};
    for (int64_t id = s->n - 1; id >= 0; id--) {
        soma_tensor *node = s->graph->nodes[id];
        slope_region region;
        if (!s->gradients[id]) continue;
        if (slope_find(&ways, node, &region)) {
            TRY(pass_slope(s, &ways, &region));
        } else {
            TRY(pass_on(s, node, needed, dx));
        }
    }
    return SOMA_OK;
}

static soma_status differentiate(sweep *s, soma_tensor *y, soma_tensor *const *wrt, int n, soma_tensor **out) {
    mark_leads(s);
    if (s->leads[y->id]) {
        s->gradients[y->id] = soma_ones(y->graph, y->dtype, y->rank, y->shape);
        if (!s->gradients[y->id]) return SOMA_NO_MEMORY;
        TRY(run_backward(s));
    }
    for (int i = 0; i < n; i++) {
        out[i] = wrt[i]->id < s->n ? s->gradients[wrt[i]->id] : NULL;
        if (!out[i]) out[i] = soma_zeros(y->graph, wrt[i]->dtype, wrt[i]->rank, wrt[i]->shape);
        if (!out[i]) return SOMA_NO_MEMORY;
    }
    return SOMA_OK;
}

soma_status soma_grad(soma_tensor *y, soma_tensor *const *wrt, int n, soma_tensor **out) {
    if (!y) return SOMA_INVALID;
    TRY(check_arguments(y, wrt, n, out));
    sweep s;
    TRY(sweep_init(&s, y, wrt, n));
    soma_status status = differentiate(&s, y, wrt, n, out);
    mem_free(y->graph->context, s.memory, s.bytes);
    return status;
}
