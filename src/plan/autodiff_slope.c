/* Slopes of maps that come from one value in several ways, as gelu(x) = x/2 (1 + erf(x/sqrt 2)) does, and most
 * activations. Rests on the ops' vjps. The slope is made of the value alone, so the plan computes it in the forward
 * step, where erf and its like are in registers, and keeps one array, as it would keep the value; backward is one
 * product with the gradient. Passed on way by way, the gradient would be in each term, and everything computed again.
 */
#include "plan/autodiff.h"

#include <soma/ops.h>

#include "ops/build.h"

static bool is_function(const soma_tensor *t) {
    return t->op->kind == OP_MAP && t->op->code >= CPU_EXP && t->op->code <= CPU_ERF;
}

/* A map whose slope the others' may be multiplied with. */
static bool is_inner(const slope_ways *w, const soma_tensor *y, const soma_tensor *t) {
    return t->op->kind == OP_MAP && t->op != &op_cast && t->op->vjp && t->n_inputs <= SLOPE_INPUTS &&
           t->dtype == y->dtype && shape_equal(t->rank, t->shape, y->rank, y->shape) && (t == y || !w->wanted[t->id]);
}

bool slope_find(const slope_ways *w, soma_tensor *y, slope_region *out) {
    soma_tensor *open[SLOPE_MOST + SLOPE_INPUTS]; /* read by members, ascending by id */
    int n_open = 1, edges = 0;
    bool functions = false;
    *out = (slope_region){.n = 0};
    open[0] = y;
    do { /* the last one cannot be read by the others */
        soma_tensor *t = open[--n_open];
        if (out->n == SLOPE_MOST || !is_inner(w, y, t)) return false;
        out->members[out->n++] = t;
        functions = functions || is_function(t);
        for (int i = 0; i < t->n_inputs; i++) {
            soma_tensor *x = t->inputs[i];
            int at = n_open;
            if (!w->leads[x->id]) continue;
            while (at > 0 && open[at - 1]->id > x->id)
                at--;
            if (at > 0 && open[at - 1] == x) continue;
            if (n_open == SLOPE_MOST) return false;
            for (int k = n_open++; k > at; k--)
                open[k] = open[k - 1];
            open[at] = x;
        }
        if (n_open == 0) return false;
    } while (n_open > 1);
    out->x = open[0];
    for (int m = 0; m < out->n; m++)
        for (int i = 0; i < out->members[m]->n_inputs; i++)
            edges += out->members[m]->inputs[i] == out->x;
    return functions && edges > 1 && out->x->dtype == y->dtype &&
           shape_equal(out->x->rank, out->x->shape, y->rank, y->shape);
}

/* Adds to the slope of a member or of x. */
static bool add_slope(const slope_region *r, soma_tensor **slopes, const soma_tensor *input, soma_tensor *dx) {
    int m = 0;
    while (m < r->n && r->members[m] != input)
        m++;
    slopes[m] = slopes[m] ? op_add_gradients(slopes[m], dx) : dx;
    return slopes[m] != NULL;
}

soma_tensor *slope_make(const slope_ways *w, const slope_region *r) {
    const soma_tensor *y = r->members[0];
    soma_tensor *slopes[SLOPE_MOST + 1] = {soma_ones(y->graph, y->dtype, y->rank, y->shape)};
    for (int m = 0; m < r->n; m++) {
        soma_tensor *t = r->members[m], *dx[SLOPE_INPUTS] = {NULL};
        bool needed[SLOPE_INPUTS];
        if (!slopes[m]) continue;
        for (int i = 0; i < t->n_inputs; i++)
            needed[i] = w->leads[t->inputs[i]->id];
        t->op->vjp(t, slopes[m], needed, dx);
        for (int i = 0; i < t->n_inputs; i++) {
            if (!needed[i] || (!dx[i] && t->op->vjp == op_vjp_zero)) continue;
            if (!dx[i] || !add_slope(r, slopes, t->inputs[i], dx[i])) return NULL;
        }
    }
    return slopes[r->n];
}
