/* Walking strided arrays: element by element in row-major order, offsets of several arrays in step.
 * Rests on reference.h. All other files of this folder find their elements with it. */
#include "cpu/reference/reference.h"

int64_t view_size(const cpu_view *view) {
    int64_t size = 1;
    for (int i = 0; i < view->rank; i++)
        size *= view->shape[i];
    return size;
}

void *view_at(const cpu_view *view, int64_t i) {
    return view->data ? (char *)view->data + i * (int64_t)soma_dtype_size(view->dtype) : NULL;
}

view_walk walk_start(int rank, const int64_t *shape, int n, const cpu_view *const *views) {
    view_walk walk = {.rank = rank, .n = n, .shape = shape};
    for (int i = 0; i < n; i++)
        walk.views[i] = views[i];
    return walk;
}

void walk_next(view_walk *walk) {
    for (int axis = walk->rank - 1; axis >= 0; axis--) {
        for (int i = 0; i < walk->n; i++)
            walk->offset[i] += walk->views[i]->strides[axis];
        if (++walk->index[axis] < walk->shape[axis]) return;
        walk->index[axis] = 0;
        for (int i = 0; i < walk->n; i++)
            walk->offset[i] -= walk->views[i]->strides[axis] * walk->shape[axis];
    }
}
