/* A chain of views as axes finer than its result's: each axis of the result is a row of strided ones.
 * Rests on op.h's attributes. A reshape that one stride an axis cannot say (the windows of an image as the rows of a
 * matrix) only puts axes together here, so a contraction may read the elements where they lie. */
#include <string.h>

#include "plan/passes.h"

int axes_of(const fine_axes *x, int i, const fine_axis **list) {
    int first = i ? x->ends[i - 1] : 0;
    if (list) *list = &x->list[first];
    return x->ends[i] - first;
}

/* Adds an axis to the last group; extents of 1 need none, but padding must stay seen. */
static bool push_axis(fine_axes *x, fine_axis axis) {
    if (axis.extent == 1) return axis.role == PAD_NONE;
    if (x->ends[x->rank - 1] == AXES_MAX) return false;
    x->list[x->ends[x->rank - 1]++] = axis;
    return true;
}

static bool push(fine_axes *x, int64_t extent, int64_t stride) {
    return push_axis(x, (fine_axis){.extent = extent, .stride = stride});
}

/* As x, but for its axes, which are dealt out anew. */
static void renew(fine_axes *x) {
    x->rank = 0;
    memset(x->ends, 0, sizeof x->ends);
}

static bool open_group(fine_axes *x) {
    if (x->rank == SOMA_MAX_RANK) return false;
    x->ends[x->rank] = x->rank ? x->ends[x->rank - 1] : 0;
    x->rank++;
    return true;
}

static bool push_group(fine_axes *x, const fine_axes *from, int index) {
    const fine_axis *list;
    int n = axes_of(from, index, &list);
    bool good = open_group(x);
    for (int i = 0; good && i < n; i++)
        good = push_axis(x, list[i]);
    return good;
}

int axes_merge(fine_axis *list, int n) {
    int kept = 0;
    for (int i = 0; i < n; i++) {
        bool whole = list[i].role == PAD_NONE && kept && list[kept - 1].role == PAD_NONE;
        if (whole && list[kept - 1].stride == list[i].stride * list[i].extent)
            list[kept - 1] = (fine_axis){.extent = list[kept - 1].extent * list[i].extent, .stride = list[i].stride};
        else
            list[kept++] = list[i];
    }
    return kept;
}

static bool dense(fine_axes *x, int rank, const int64_t *shape) {
    layout l;
    layout_dense(&l, rank, shape);
    *x = (fine_axes){0};
    for (int i = 0; i < rank; i++)
        if (!open_group(x) || !push(x, shape[i], l.strides[i])) return false;
    return true;
}

/* All axes in a row, dealt out anew from the outermost on; one that is too long for its place is cut. */
static bool reshape(fine_axes *x, const soma_tensor *view) {
    fine_axes old = *x;
    int n = axes_merge(old.list, x->rank ? old.ends[old.rank - 1] : 0), from = 0;
    renew(x);
    for (int i = 0; i < view->rank; i++) {
        int64_t rest = view->shape[i];
        if (!open_group(x)) return false;
        while (rest > 1) {
            if (from == n) return false;
            fine_axis *a = &old.list[from];
            int64_t part = a->extent < rest ? a->extent : rest;
            if (a->extent % part != 0 || rest % part != 0 || (a->role != PAD_NONE && part != a->extent)) return false;
            a->extent /= part;
            fine_axis cut = *a;
            cut.extent = part;
            cut.stride *= a->extent;
            if (!push_axis(x, cut)) return false;
            rest /= part;
            if (a->extent == 1) from++;
        }
    }
    return true;
}

static bool permute(fine_axes *x, const soma_tensor *view) {
    fine_axes old = *x;
    renew(x);
    for (int i = 0; i < view->rank; i++)
        if (!push_group(x, &old, (int)view->attributes->start[i])) return false;
    return true;
}

static bool expand(fine_axes *x, const soma_tensor *view) {
    fine_axes old = *x;
    int added = view->rank - old.rank;
    const soma_tensor *source = view->inputs[0];
    renew(x);
    for (int i = 0; i < view->rank; i++) {
        bool kept = i >= added && source->shape[i - added] == view->shape[i];
        if (kept ? !push_group(x, &old, i - added) : !open_group(x) || !push(x, view->shape[i], 0)) return false;
    }
    return true;
}

static bool slice(fine_axes *x, const soma_tensor *view) {
    fine_axes old = *x;
    const op_attributes *at = view->attributes;
    renew(x);
    for (int i = 0; i < view->rank; i++) {
        const fine_axis *list;
        int n = axes_of(&old, i, &list);
        bool whole = view->shape[i] == view->inputs[0]->shape[i] && at->start[i] == 0;
        if (n == 0 || (whole && (at->step[i] == 1 || view->shape[i] == 1))) {
            if (!push_group(x, &old, i)) return false;
            continue;
        }
        if (n > 1 || list[0].role != PAD_NONE || !open_group(x) ||
            !push(x, view->shape[i], list[0].stride * at->step[i]))
            return false;
        x->offset += at->start[i] * list[0].stride;
    }
    return true;
}

static bool window(fine_axes *x, const soma_tensor *view) {
    fine_axes old = *x;
    int at = view->attributes->axis;
    renew(x);
    for (int i = 0; i < old.rank; i++) {
        const fine_axis *list;
        int n = axes_of(&old, i, &list);
        if (i != at) {
            if (!push_group(x, &old, i)) return false;
            continue;
        }
        if (n > 1 || (n == 1 && list[0].role > PAD_WHOLE)) return false;
        fine_axis part = n ? list[0] : (fine_axis){.extent = 1};
        for (int k = 0; k < 2; k++) {
            part.extent = view->shape[at + k];
            part.stride = n ? list[0].stride * view->attributes->step[k] : 0;
            if (n && list[0].role == PAD_WHOLE) part.role = k == 0 ? PAD_PLACE : PAD_SEEN;
            if (!open_group(x) || !push_axis(x, part)) return false;
        }
        if (part.role == PAD_SEEN) {
            x->pads[part.pad].place_step = view->attributes->step[0];
            x->pads[part.pad].seen_step = view->attributes->step[1];
        }
    }
    return true;
}

/* Zeros around an array that are not there: longer axes, of which only the inside may be read. */
static bool pad(fine_axes *x, const soma_tensor *view) {
    fine_axes old = *x;
    if (view->attributes->value[0] != 0) return false;
    renew(x);
    for (int i = 0; i < view->rank; i++) {
        const fine_axis *list;
        int64_t before = view->attributes->start[i], inside = view->inputs[0]->shape[i];
        int n = axes_of(&old, i, &list);
        if (inside == view->shape[i]) {
            if (!push_group(x, &old, i)) return false;
            continue;
        }
        if (n != 1 || list[0].role != PAD_NONE || x->n_pads == PADS_MAX || !open_group(x)) return false;
        x->offset -= before * list[0].stride;
        x->pads[x->n_pads] = (window_axis){.low = before, .high = before + inside};
        if (!push_axis(x, (fine_axis){view->shape[i], list[0].stride, PAD_WHOLE, x->n_pads++})) return false;
    }
    return true;
}

static bool view_axes(fine_axes *x, const soma_tensor *view) {
    if (view->op == &op_reshape) return reshape(x, view);
    if (view->op == &op_permute) return permute(x, view);
    if (view->op == &op_expand) return expand(x, view);
    if (view->op == &op_window) return window(x, view);
    if (view->op == &op_pad) return pad(x, view);
    return slice(x, view);
}

bool axes_find(const chain *c, const soma_tensor *node, fine_axes *out, const soma_tensor **blocker) {
    *blocker = node;
    if (shape_size(node->rank, node->shape) == 0) return dense(out, node->rank, node->shape);
    if (!dense(out, c->source->rank, c->source->shape)) return false;
    out->offset = c->offset;
    for (int i = c->n - 1; i >= 0; i--)
        if (!view_axes(out, c->views[i])) {
            *blocker = c->views[i]->inputs[0];
            return false;
        }
    return true;
}
