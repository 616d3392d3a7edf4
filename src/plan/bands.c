/* Bands of matrices: where a mask made of positions (causal, or a window of neighbours) leaves elements that are zero,
 * or that nobody wants. Rests on strides.c. A product need not multiply the ones, nor compute the others; both is
 * seen in the graph, whoever built it. What is not recognized is a band of everything.
 * Zero times anything counts as zero, and minus infinity minus anything as minus infinity: a NaN or an infinity may
 * spread less far than it would, but never from what is shown to where it would not have been. */
#include <math.h>

#include "plan/passes.h"

enum { DEPTH_MAX = 8 /* of maps between a mask and what it makes zero */ };

static const band everything = {-BAND_ALL, BAND_ALL};

static band both(band x, band y) {
    return (band){x.low > y.low ? x.low : y.low, x.high < y.high ? x.high : y.high};
}

static band either(band x, band y) {
    return (band){x.low < y.low ? x.low : y.low, x.high > y.high ? x.high : y.high};
}

/* Does a view keep the matrices of its input, or transpose them? */
static bool keeps_matrices(const soma_tensor *view, bool *transposed) {
    const soma_tensor *x = view->inputs[0];
    const int last = view->rank - 1, from = x->rank - 1;
    *transposed = false;
    if (last < 1 || from < 1) return false;
    if (view->op == &op_permute) {
        const int64_t *axes = view->attributes->start;
        *transposed = axes[last] == last - 1 && axes[last - 1] == last;
        return *transposed || (axes[last] == last && axes[last - 1] == last - 1);
    }
    return (view->op == &op_reshape || view->op == &op_expand) && view->shape[last] == x->shape[from] &&
           view->shape[last - 1] == x->shape[from - 1];
}

typedef band band_fn(const build *b, const soma_tensor *t, int depth);

static band through_view(const build *b, const soma_tensor *view, int depth, band_fn *f) {
    bool transposed;
    if (!keeps_matrices(view, &transposed)) return everything;
    const band x = f(b, view->inputs[0], depth);
    return transposed ? (band){-x.high, -x.low} : x;
}

/* ---- masks ---- */

/* t = *offset + *row * i + *column * j. */
static bool find_position(const build *b, const soma_tensor *t, int64_t *offset, int64_t *row, int64_t *column) {
    chain c;
    layout l;
    if (t->rank < 2 || !chain_find(b, t, &c) || c.source->op != &op_iota) return false;
    layout_dense(&l, c.source->rank, c.source->shape);
    for (int i = 0; i < l.rank; i++)
        l.strides[i] = i == c.source->attributes->axis;
    for (int i = c.n - 1; i >= 0; i--)
        if (!layout_view(&l, c.views[i])) return false;
    for (int i = 0; i < t->rank - 2; i++)
        if (l.shape[i] != 1 && l.strides[i] != 0) return false;
    *offset = l.offset;
    *row = l.strides[t->rank - 2];
    *column = l.strides[t->rank - 1];
    return true;
}

/* Of x - y = offset + row * i + column * j >= 0. */
static band not_negative(int64_t offset, int64_t row, int64_t column) {
    if (row == 1 && column == -1) return (band){-BAND_ALL, offset};
    if (row == -1 && column == 1) return (band){-offset, BAND_ALL};
    return everything;
}

/* Where a mask may be true. */
static band mask_band(const build *b, const soma_tensor *t, int depth) {
    int64_t offset[2], row[2], column[2];
    if (depth == 0) return everything;
    if (t->op->kind == OP_VIEW) return through_view(b, t, depth - 1, mask_band);
    if (t->op == &op_logical_and)
        return both(mask_band(b, t->inputs[0], depth - 1), mask_band(b, t->inputs[1], depth - 1));
    const bool greater = t->op == &op_greater || t->op == &op_greater_equal;
    const bool equal = t->op == &op_greater_equal || t->op == &op_less_equal || t->op == &op_equal;
    if (!greater && !equal && t->op != &op_less) return everything;
    for (int k = 0; k < 2; k++)
        if (!find_position(b, t->inputs[k], &offset[k], &row[k], &column[k])) return everything;
    const int64_t o = offset[0] - offset[1], r = row[0] - row[1], c = column[0] - column[1];
    const band above = not_negative(o - !equal, r, c), below = not_negative(-o - !equal, -r, -c);
    return t->op == &op_equal ? both(above, below) : greater ? above : below;
}

/* ---- zeros ---- */

static bool is_number(const build *b, const soma_tensor *t, double value) {
    chain c;
    if (!chain_find(b, t, &c)) return false;
    const soma_tensor *x = c.source;
    if (x->op != &op_constant || shape_size(x->rank, x->shape) != 1) return false;
    return x->dtype == SOMA_F32 ? *(const float *)x->data == (float)value
                                : x->dtype == SOMA_F64 && *(const double *)x->data == value;
}

/* Where t may be other than minus infinity. */
static band infinite_band(const build *b, const soma_tensor *t, int depth) {
    if (depth == 0) return everything;
    if (t->op->kind == OP_VIEW) return through_view(b, t, depth - 1, infinite_band);
    if (t->op == &op_where && is_number(b, t->inputs[2], -INFINITY))
        return both(mask_band(b, t->inputs[0], DEPTH_MAX), infinite_band(b, t->inputs[1], depth - 1));
    return t->op == &op_sub ? infinite_band(b, t->inputs[0], depth - 1) : everything;
}

static band zero_band(const build *b, const soma_tensor *t, int depth) {
    if (depth == 0) return everything;
    if (t->op->kind == OP_VIEW) return through_view(b, t, depth - 1, zero_band);
    if (t->op == &op_where && is_number(b, t->inputs[2], 0))
        return both(mask_band(b, t->inputs[0], DEPTH_MAX), zero_band(b, t->inputs[1], depth - 1));
    if (t->op == &op_exp) return infinite_band(b, t->inputs[0], depth - 1);
    if (t->op == &op_mul) return both(zero_band(b, t->inputs[0], depth - 1), zero_band(b, t->inputs[1], depth - 1));
    return t->op == &op_neg || t->op == &op_div ? zero_band(b, t->inputs[0], depth - 1) : everything;
}

band band_of_zeros(const build *b, const soma_tensor *t) {
    return zero_band(b, t, DEPTH_MAX);
}

/* ---- wants ---- */

static band read_by(const build *b, const group *g, const soma_tensor *t, int depth);

/* What `reader` wants of its input k. */
static band wanted_as(const build *b, const group *g, const soma_tensor *reader, int k, int depth) {
    if (reader->op == &op_where && k == 1) return mask_band(b, reader->inputs[0], DEPTH_MAX);
    if (reader->op == &op_mul && reader->inputs[0] != reader->inputs[1]) {
        const band zeros = zero_band(b, reader->inputs[1 - k], DEPTH_MAX);
        if (zeros.low > -BAND_ALL || zeros.high < BAND_ALL) return zeros;
    }
    if (reader->op->kind != OP_MAP || depth == 0 || b->infos[reader->id].stored) return everything;
    return read_by(b, g, reader, depth - 1);
}

static band read_by(const build *b, const group *g, const soma_tensor *t, int depth) {
    band all = {BAND_ALL, -BAND_ALL}; /* of nobody */
    for (int i = 0; i < g->n_members; i++) {
        const soma_tensor *reader = b->graph->nodes[g->members[i]];
        for (int k = 0; k < reader->n_inputs; k++) {
            const soma_tensor *x = reader->inputs[k];
            bool turned, even = true;
            for (; b->infos[x->id].role == ROLE_VIEW; x = x->inputs[0])
                even = even && keeps_matrices(x, &turned) && !turned;
            if (x == t) all = either(all, even ? wanted_as(b, g, reader, k, depth) : everything);
        }
    }
    return all.low > all.high ? everything : all;
}

band band_wanted(const build *b, const group *g, const soma_tensor *t) {
    return b->infos[t->id].stored ? everything : read_by(b, g, t, DEPTH_MAX);
}

/* ---- epilogues ---- */

bool band_ends(const build *b, const group *g, int64_t high) {
    for (int i = 0; i < g->n_members; i++) {
        const soma_tensor *t = b->graph->nodes[g->members[i]];
        const node_info *info = &b->infos[t->id];
        band rest = {0, high};
        if (t->op == &op_max)
            rest = infinite_band(b, t->inputs[0], DEPTH_MAX);
        else if (t->op->kind == OP_REDUCE)
            rest = t->op == &op_sum ? zero_band(b, t->inputs[0], DEPTH_MAX) : everything;
        else if (info->stored && !info->per_row)
            rest = zero_band(b, t, DEPTH_MAX);
        if (rest.high > high) return false;
    }
    return true;
}
