/* Data-dependent places in plain C: gather, scatter-add, cumulative sums; softmax.
 * Rests on view_walk.c and element.h. An array is seen as (before, axis, behind); each index is checked before use. */
#include <math.h>
#include <string.h>

#include "cpu/reference/element.h"
#include "cpu/reference/reference.h"

/* The product of extents from axis first to the one before last. */
static int64_t extent(const cpu_view *view, int first, int last) {
    int64_t size = 1;
    for (int i = first; i < last; i++)
        size *= view->shape[i];
    return size;
}

/* Offset of flat position i among the axes first .. last-1. */
static int64_t offset_of(const cpu_view *view, int first, int last, int64_t i) {
    int64_t offset = 0;
    for (int axis = last - 1; axis >= first; axis--) {
        offset += i % view->shape[axis] * view->strides[axis];
        i /= view->shape[axis];
    }
    return offset;
}

/* The j-th index, counted from the end when negative; -1 when it is out of range. */
static int64_t index_at(const cpu_view *indices, int64_t j, int64_t n) {
    int64_t i = element_get_int(indices->dtype, indices->data, offset_of(indices, 0, indices->rank, j));
    if (i < 0) i += n;
    return i >= 0 && i < n ? i : -1;
}

int64_t ref_gather(const cpu_view *x, const cpu_view *indices, int axis, cpu_view *output) {
    int64_t before = extent(x, 0, axis), n = x->shape[axis], behind = extent(x, axis + 1, x->rank);
    int64_t count = view_size(indices);
    size_t bytes = soma_dtype_size(x->dtype);
    for (int64_t j = 0; j < count; j++) {
        int64_t i = index_at(indices, j, n);
        if (i < 0) return j;
        for (int64_t p = 0; p < before; p++)
            for (int64_t q = 0; q < behind; q++) {
                int64_t from = offset_of(x, 0, axis, p) + i * x->strides[axis] + offset_of(x, axis + 1, x->rank, q);
                memcpy(view_at(output, (p * count + j) * behind + q), view_at(x, from), bytes);
            }
    }
    return -1;
}

static void add_element(cpu_view *output, int64_t to, const cpu_view *x, int64_t from) {
    if (element_integral(output->dtype)) {
        uint64_t sum = (uint64_t)element_get_int(output->dtype, output->data, to) +
                       (uint64_t)element_get_int(x->dtype, x->data, from);
        element_set_int(output->dtype, output->data, to, (int64_t)sum);
    } else {
        element_set(output->dtype, output->data, to,
                    element_get(output->dtype, output->data, to) + element_get(x->dtype, x->data, from));
    }
}

int64_t ref_scatter_add(const cpu_view *updates, const cpu_view *indices, int axis, cpu_view *output) {
    int64_t before = extent(output, 0, axis), n = output->shape[axis];
    int64_t behind = extent(output, axis + 1, output->rank), count = view_size(indices), size = view_size(output);
    int last = axis + indices->rank;
    for (int64_t i = 0; i < size; i++)
        element_set_int(output->dtype, output->data, i, 0);
    for (int64_t j = 0; j < count; j++) {
        int64_t i = index_at(indices, j, n);
        if (i < 0) return j;
        for (int64_t p = 0; p < before; p++)
            for (int64_t q = 0; q < behind; q++)
                add_element(output, (p * n + i) * behind + q, updates,
                            offset_of(updates, 0, axis, p) + offset_of(updates, axis, last, j) +
                                offset_of(updates, last, updates->rank, q));
    }
    return -1;
}

void ref_cumsum(const cpu_view *x, int axis, bool exclusive, bool reverse, cpu_view *output) {
    int64_t before = extent(x, 0, axis), n = x->shape[axis], behind = extent(x, axis + 1, x->rank);
    bool integral = element_integral(output->dtype);
    for (int64_t p = 0; p < before; p++)
        for (int64_t q = 0; q < behind; q++) {
            double sum = 0;
            uint64_t int_sum = 0;
            for (int64_t j = 0; j < n; j++) {
                int64_t i = reverse ? n - 1 - j : j, to = (p * n + i) * behind + q;
                int64_t from = offset_of(x, 0, axis, p) + i * x->strides[axis] + offset_of(x, axis + 1, x->rank, q);
                double with = sum + element_get(x->dtype, x->data, from);
                uint64_t int_with = int_sum + (integral ? (uint64_t)element_get_int(x->dtype, x->data, from) : 0);
                if (integral) {
                    element_set_int(output->dtype, output->data, to, (int64_t)(exclusive ? int_sum : int_with));
                } else {
                    element_set(output->dtype, output->data, to, exclusive ? sum : with);
                }
                sum = with;
                int_sum = int_with;
            }
        }
}

void ref_softmax(const cpu_view *x, int axis, cpu_view *output) {
    int64_t before = extent(x, 0, axis), n = x->shape[axis], behind = extent(x, axis + 1, x->rank);
    for (int64_t p = 0; p < before; p++)
        for (int64_t q = 0; q < behind; q++) {
            int64_t from = offset_of(x, 0, axis, p) + offset_of(x, axis + 1, x->rank, q);
            double greatest = -INFINITY, sum = 0;
            for (int64_t i = 0; i < n; i++) {
                double value = element_get(x->dtype, x->data, from + i * x->strides[axis]);
                if (value > greatest || isnan(value)) greatest = value;
                if (isnan(greatest)) break;
            }
            for (int64_t i = 0; i < n; i++)
                sum += exp(element_get(x->dtype, x->data, from + i * x->strides[axis]) - greatest);
            for (int64_t i = 0; i < n; i++)
                element_set(output->dtype, output->data, (p * n + i) * behind + q,
                            exp(element_get(x->dtype, x->data, from + i * x->strides[axis]) - greatest) / sum);
        }
}
