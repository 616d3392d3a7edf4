/* The left operand of a contraction: rows and k as axes of A where it lies. A kernel wants rows or columns contiguous.
 * Rests on axes.c; what no kernel can follow is computed into memory first. */
#include "plan/lower_contract.h"

enum { WIDENED_COLUMNS = 32, WIDENED_LEAST = 16 /* multiply-adds an element that is converted for them */ };

/* Batches and rows as few axes; the last that has one B is the rows of a matrix, or `even` of them, as C has them in a
 * row where it lies between other parts of an array: tiles are then stored straight there. */
static bool set_rows(operands *o, contract *c, int64_t even) {
    const fine_axis *rows;
    bool padded = false;
    int n = 0, count = axes_of(&o->axes[0], o->node->rank - 2, &rows);
    for (int i = 0; i < o->n_batch + count; i++) {
        bool batch = i < o->n_batch;
        int64_t extent = batch ? o->batch_shape[i] : rows[i - o->n_batch].extent;
        int64_t a = batch ? o->strides[0][i] : rows[i - o->n_batch].stride, b = batch ? o->strides[1][i] : 0;
        padded = o->image.edges.on && (padded || (!batch && rows[i - o->n_batch].role != PAD_NONE));
        if (o->image.edges.places)
            padded = i + 1 < o->n_batch + count || o->image.edges.taps == 1 || o->image.edges.tap == 1;
        if (n > 0 && !padded && c->a_batch[n - 1] == a * extent && c->b_batch[n - 1] == b * extent) {
            extent *= c->batch_shape[--n];
        } else if (n == CONTRACT_AXES)
            return false;
        c->batch_shape[n] = extent;
        c->a_batch[n] = a;
        c->b_batch[n++] = b;
    }
    c->m = c->inner = c->batch = 1;
    if (n > 0 && c->b_batch[n - 1] == 0) {
        c->m = c->batch_shape[--n];
        c->a_row = c->a_batch[n];
        if (c->m > even && c->m % even == 0 && !o->image.edges.on) {
            c->batch_shape[n] = c->m / even;
            c->a_batch[n++] = even * c->a_row;
            c->m = even;
        }
    }
    for (int i = n - 1; i >= 0; i--) {
        if (c->b_batch[i] == 0 && c->batch == c->inner) c->inner *= c->batch_shape[i];
        c->batch *= c->batch_shape[i];
    }
    c->batch_rank = n;
    return true;
}

void left_set_depth(const operands *o, contract *c) {
    const fine_axis *list;
    const contract_edges *e = &o->image.edges;
    if (e->on && !e->places) {
        c->run = e->taps * e->tap;
        c->a_col = 1;
        c->segments = e->segments;
        c->a_segment = e->segment;
        return;
    }
    int n = axes_of(&o->axes[0], o->node->rank - 1, &list);
    c->run = n > 0 ? list[n - 1].extent : 1;
    c->a_col = n > 0 ? list[n - 1].stride : 1;
    c->segments = n > 1 ? list[n - 2].extent : 1;
    c->a_segment = n > 1 ? list[n - 2].stride : 0;
    for (int i = 0; i < n - 2; i++) {
        c->slab_shape[i] = list[i].extent;
        c->a_slab[i] = list[i].stride;
        c->slab_rank++;
    }
}

/* Is what a few rows of A are converted from, an element for so many multiply-adds, little beside the product? The
 * same at all instruction sets, for on it depends what is rounded. */
static bool widening_pays(const contract *c) {
    const int64_t all = c->batch * c->m, rows = minimum(STACK_ROWS, all), columns = minimum(c->n, WIDENED_COLUMNS);
    const bool even = (c->a_col == 1 && c->segments == 1 && c->slab_rank == 0) || (c->a_row == 1 && rows <= c->m);
    int64_t first = 0, last = 0, depth = (c->run - 1) * c->a_col + (c->segments - 1) * c->a_segment;
    for (int i = 0; i < c->slab_rank; i++)
        depth += (c->slab_shape[i] - 1) * c->a_slab[i];
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = r % c->m * c->a_row, index = r / c->m;
        for (int i = c->batch_rank - 1; i >= 0; i--, index /= c->batch_shape[i + 1])
            at += index % c->batch_shape[i] * c->a_batch[i];
        first = minimum(first, at);
        last = at > last ? at : last;
    }
    const int64_t converted = even ? rows * c->k : last - first + depth + 1;
    return WIDENED_LEAST * converted <= rows * c->k * (columns < WIDENED_LEAST ? WIDENED_LEAST : columns);
}

/* How many rows of C follow each other evenly, if it lies between other parts of an array, and they are as many as a
 * tile should have. */
static int64_t even_rows(const build *b, const group *g, const cpu_real *real) {
    const layout *where = NULL;
    for (int i = 0; i < g->n_members; i++)
        if (b->infos[g->members[i]].within) where = b->infos[g->members[i]].placed;
    if (!where || where->rank < g->split) return INT64_MAX;
    int64_t rows = 1, stride = 0;
    for (int i = g->split - 1; i >= 0; i--) {
        if (where->shape[i] != g->shape[i]) return INT64_MAX;
        if (g->shape[i] == 1) continue;
        if (rows > 1 && where->strides[i] != stride) break;
        rows *= g->shape[i];
        stride = where->strides[i] * g->shape[i];
    }
    return 2 * rows > real->rows ? rows : INT64_MAX;
}

soma_status lower_left(operands *o, contract *c, const group *g) {
    const cpu_real *real = cpu_real_of(o->b->plan->kernels, c->dtype);
    c->a = storage_of(o->b, o->from[0].source);
    if (c->a < 0) return SOMA_NO_MEMORY;
    c->a_offset = o->axes[0].offset;
    c->widen = o->bfloat[0];
    if (c->image->winograd.on) return SOMA_OK;
    if (!set_rows(o, c, even_rows(o->b, g, real))) return operands_block(o, o->node->inputs[0]);
    if (!c->b_segment) c->b_segment = c->run;
    c->b_segment *= c->b_row;
    if (c->m == 1 && c->a_col != 1) c->a_row = 1;
    c->make_left = c->widen || (o->pad && !c->image->edges.on);
    if (c->image->edges.on && c->batch_rank > 0)
        o->image.edges.each = (c->a_batch[c->batch_rank - 1] + c->m - 1) / c->m;
    if (c->widen && !widening_pays(c)) o->b->infos[o->from[0].source->id].exact = o->b->again = true;
    return c->a_col == 1 || c->a_row == 1 ? SOMA_OK : operands_block(o, o->node->inputs[0]);
}
