/* Views as strides: what reshape, permute, expand, slice and window make of a source's elements.
 * Rests on op.h's attributes. A view never moves an element; where strides cannot say it, the caller is told which
 * node has to be computed into memory first. */
#include <string.h>

#include "plan/passes.h"

void layout_dense(layout *out, int rank, const int64_t *shape) {
    out->offset = 0;
    out->rank = rank;
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        out->shape[i] = shape[i];
        out->strides[i] = stride;
        stride *= shape[i];
    }
}

bool layout_is_dense(const layout *l) {
    int64_t stride = 1;
    if (l->offset != 0) return false;
    for (int i = l->rank - 1; i >= 0; i--) {
        if (l->shape[i] != 1 && l->strides[i] != stride) return false;
        stride *= l->shape[i];
    }
    return true;
}

/* Old axes are taken in runs whose product equals the product of a run of new axes; a run must be one even stride. */
bool layout_reshape(layout *l, int rank, const int64_t *shape) {
    layout new = {.offset = l->offset, .rank = rank};
    memcpy(new.shape, shape, (size_t)rank * sizeof *shape);
    if (shape_size(rank, shape) == 0) {
        layout_dense(&new, rank, shape);
        *l = new;
        return true;
    }
    int64_t old_shape[SOMA_MAX_RANK], old_strides[SOMA_MAX_RANK];
    int n = 0;
    for (int i = 0; i < l->rank; i++)
        if (l->shape[i] != 1) {
            old_shape[n] = l->shape[i];
            old_strides[n++] = l->strides[i];
        }
    int from = 0, to = 0;
    while (to < rank) {
        if (shape[to] == 1) {
            new.strides[to++] = 0;
            continue;
        }
        if (from >= n) return false;
        int from_end = from + 1, to_end = to + 1;
        int64_t old = old_shape[from], made = shape[to];
        while (old != made) {
            if (made < old) {
                if (to_end >= rank) return false;
                made *= shape[to_end++];
            } else {
                if (from_end >= n) return false;
                old *= old_shape[from_end++];
            }
        }
        for (int i = from; i + 1 < from_end; i++)
            if (old_strides[i] != old_strides[i + 1] * old_shape[i + 1]) return false;
        int64_t stride = old_strides[from_end - 1];
        for (int i = to_end - 1; i >= to; i--) {
            new.strides[i] = shape[i] == 1 ? 0 : stride;
            stride *= shape[i];
        }
        from = from_end;
        to = to_end;
    }
    *l = new;
    return true;
}

static void permute(layout *l, const soma_tensor *view) {
    layout old = *l;
    for (int i = 0; i < l->rank; i++) {
        l->shape[i] = old.shape[view->attributes->start[i]];
        l->strides[i] = old.strides[view->attributes->start[i]];
    }
}

static void expand(layout *l, const soma_tensor *view) {
    layout old = *l;
    int added = view->rank - old.rank;
    l->rank = view->rank;
    for (int i = 0; i < view->rank; i++) {
        bool kept = i >= added && old.shape[i - added] == view->shape[i];
        l->shape[i] = view->shape[i];
        l->strides[i] = kept ? old.strides[i - added] : 0;
    }
}

static void slice(layout *l, const soma_tensor *view) {
    for (int i = 0; i < l->rank; i++) {
        if (view->shape[i] > 0) l->offset += view->attributes->start[i] * l->strides[i];
        l->strides[i] *= view->attributes->step[i];
        l->shape[i] = view->shape[i];
    }
}

/* The axis becomes two over the same elements: places stride apart, and within a window dilation apart. */
static void window(layout *l, const soma_tensor *view) {
    int axis = view->attributes->axis;
    int64_t stride = l->strides[axis];
    for (int i = l->rank++; i > axis + 1; i--) {
        l->shape[i] = l->shape[i - 1];
        l->strides[i] = l->strides[i - 1];
    }
    for (int i = axis; i < axis + 2; i++) {
        l->shape[i] = view->shape[i];
        l->strides[i] = l->shape[i] == 1 ? 0 : stride * view->attributes->step[i - axis];
    }
}

bool layout_view(layout *l, const soma_tensor *view) {
    if (view->op == &op_reshape) return layout_reshape(l, view->rank, view->shape);
    if (view->op == &op_pad) return false;
    if (view->op == &op_permute)
        permute(l, view);
    else if (view->op == &op_expand)
        expand(l, view);
    else if (view->op == &op_window)
        window(l, view);
    else
        slice(l, view);
    return true;
}

bool chain_find(const build *b, const soma_tensor *node, chain *out) {
    out->n = 0;
    while (b->infos[node->id].role == ROLE_VIEW) {
        if (out->n == CHAIN_MAX) return false;
        out->views[out->n++] = node;
        node = node->inputs[0];
    }
    out->source = node;
    const node_info *info = &b->infos[node->id];
    out->offset = info->within ? info->placed->offset : 0;
    return true;
}

bool chain_layout(const chain *c, layout *out, const soma_tensor **blocker) {
    layout_dense(out, c->source->rank, c->source->shape);
    out->offset = c->offset;
    for (int i = c->n - 1; i >= 0; i--)
        if (!layout_view(out, c->views[i])) {
            *blocker = c->views[i]->inputs[0];
            return false;
        }
    return true;
}
