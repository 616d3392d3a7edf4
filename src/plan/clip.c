/* Padding that one product sees by windows need not be there: rows of places whose windows reach beyond the array leave
 * those elements out. So nothing is copied, and no zero is multiplied.
 * Rests on axes.c, which follows a pad as a view. Decided by shapes before fusing, and not by the batch's size: a
 * sample has the same bits alone and among others. Everybody else who reads a pad, or one of several, finds it in
 * memory. */
#include "plan/passes.h"

enum {
    PLACES_LEAST = 4 /* of a matrix's rows, or its tiles would be too low */,
    PLACES_MOST = 256 /* whose sums stay in L1 */,
    RUN_LEAST = 32 /* channels: what a tile sums at a time must outweigh its start */,
    DEPTH_MOST = 2048 /* of products that are not cut into blocks */
};

static bool is_target(const build *b, const soma_tensor *t) {
    for (int i = 0; i < b->n_targets; i++)
        if (b->targets[i] == t) return true;
    return false;
}

/* The views of a product's left operand, down to the first that is in memory; the only pad among them, NULL if there
 * is none or somebody else sees it. */
static const soma_tensor *find_pad(const build *b, const soma_tensor *t, chain *c) {
    const soma_tensor *pad = NULL;
    for (c->n = 0; t->op->kind == OP_VIEW || (t->op == &op_pad && !pad); t = t->inputs[0]) {
        if (b->infos[t->id].forced || c->n == CHAIN_MAX) break;
        if (!pad && (b->uses[t->id] != 1 || is_target(b, t))) return NULL;
        if (t->op == &op_pad) pad = t;
        c->views[c->n++] = t;
    }
    c->source = t;
    return pad;
}

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

void plan_clip(build *b) {
    for (int64_t id = 0; id < b->graph->n_nodes; id++) {
        const soma_tensor *t = b->graph->nodes[id], *blocker, *pad;
        chain c;
        fine_axes x;
        if (b->infos[id].role == ROLE_UNUSED || t->op != &op_matmul || t->rank != 2) continue;
        if (node_real(t) == SOMA_DTYPE_COUNT || !(pad = find_pad(b, t->inputs[0], &c))) continue;
        if (axes_find(&c, t->inputs[0], &x, &blocker) && is_worth(&x)) b->infos[pad->id].clipped = true;
    }
}
