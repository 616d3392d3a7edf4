/* Padding that only products see, by windows, need not be there: rows of places whose windows reach beyond the array
 * leave those elements out, and Winograd's transforms take zeros for them. So nothing is copied.
 * Rests on axes.c, which follows a pad as a view. Decided by shapes before fusing, and not by the batch's size: a
 * sample has the same bits alone and among others. Where anybody else reads a pad, it is in memory for all. */
#include "plan/passes.h"

enum {
    PLACES_LEAST = 4 /* of a matrix's rows, or its tiles would be too low */,
    PLACES_MOST = 256 /* whose sums stay in L1 */,
    RUN_LEAST = 32 /* channels: what a tile sums at a time must outweigh its start */,
    DEPTH_MOST = 2047 /* of products that are not cut into blocks */
};

/* Axes of rows and of k as the tiles need them. */
static bool is_worth(const fine_axes *x) {
    const fine_axis *rows, *depth;
    int n_rows = axes_of(x, 0, &rows), n_depth = axes_of(x, 1, &depth), seen = 0, places = 0;
    int64_t k = 1;
    for (int i = 0; i < n_rows; i++)
        places += rows[i].role == PAD_PLACE;
    for (int i = 0; i < n_depth; i++) {
        seen += depth[i].role == PAD_SEEN;
        k *= depth[i].extent;
    }
    if (x->n_pads == 0 || places != x->n_pads || seen != x->n_pads || k > DEPTH_MOST) return false;
    const fine_axis *run = &depth[n_depth - 1], *row = &rows[n_rows - 1];
    return run->role == PAD_NONE && run->stride == 1 && run->extent >= RUN_LEAST && row->extent >= PLACES_LEAST &&
           row->extent <= PLACES_MOST;
}

/* Can the product leave out the zeros that its left operand sees? */
static bool leaves_out(const build *b, const soma_tensor *t) {
    if (t->op != &op_matmul || t->rank != 2 || node_real(t) == SOMA_DTYPE_COUNT) return false;
    const cpu_real *real = t->dtype == SOMA_F64 ? &b->plan->kernels->f64 : &b->plan->kernels->f32;
    const soma_tensor *blocker, *x = t->inputs[0], *pad = b->infos[x->id].pad;
    chain c = {.n = 0};
    for (; x != pad->inputs[0] && c.n < CHAIN_MAX; x = x->inputs[0])
        c.views[c.n++] = x;
    for (; x->op->kind == OP_VIEW && !b->infos[x->id].forced && c.n < CHAIN_MAX; x = x->inputs[0])
        c.views[c.n++] = x;
    c.source = x;
    fine_axes axes;
    winograd w;
    return axes_find(&c, t->inputs[0], &axes, &blocker) &&
           (winograd_find(&axes, t->shape[1], real, &w) || is_worth(&axes));
}

static void refuse(build *b, const soma_tensor *t) {
    if (b->infos[t->id].pad) b->infos[b->infos[t->id].pad->id].clipped = false;
}

void plan_clip(build *b) {
    for (int64_t id = 0; id < b->graph->n_nodes; id++) {
        const soma_tensor *t = b->graph->nodes[id];
        node_info *info = &b->infos[id];
        if (info->role == ROLE_UNUSED) continue;
        if (t->op->kind == OP_VIEW && !info->forced) {
            info->pad = b->infos[t->inputs[0]->id].pad;
            continue;
        }
        for (int i = 0; i < t->n_inputs; i++)
            if (i > 0 || !b->infos[t->inputs[i]->id].pad || !leaves_out(b, t)) refuse(b, t->inputs[i]);
        if (t->op != &op_pad) continue;
        info->pad = t;
        info->clipped = !info->forced;
    }
    for (int i = 0; i < b->n_targets; i++)
        refuse(b, b->targets[i]);
}
