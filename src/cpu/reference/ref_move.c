/* Moves in plain C: copying a strided array, padding it, placing it into a larger one, adding up its windows.
 * Rests on view_walk.c and element.h. Elements keep their dtype, so they are copied as bytes. */
#include <math.h>
#include <string.h>

#include "cpu/reference/element.h"
#include "cpu/reference/reference.h"

/* How many elements lie one after the other in both, over the last axes; *rank becomes the number of axes before them.
 */
static int64_t dense_run(const cpu_view *a, const cpu_view *b, int *rank) {
    int64_t run = 1;
    for (; *rank > 0; (*rank)--) {
        int i = *rank - 1;
        if (a->shape[i] != 1 && (a->strides[i] != run || b->strides[i] != run)) break;
        run *= a->shape[i];
    }
    return run;
}

/* Copies the input into the part of output that begins at index first of each axis. */
static void copy_into(const cpu_view *input, const int64_t *first, cpu_view *output) {
    cpu_view part = *output;
    int64_t stride = 1, start = 0;
    for (int i = output->rank - 1; i >= 0; i--) {
        part.strides[i] = stride;
        start += first[i] * stride;
        stride *= output->shape[i];
    }
    int rank = input->rank;
    const int64_t run = dense_run(input, &part, &rank);
    size_t bytes = soma_dtype_size(input->dtype) * (size_t)run;
    int64_t runs = run > 0 ? view_size(input) / run : 0;
    view_walk walk = walk_start(rank, input->shape, 2, (const cpu_view *const[]){input, &part});
    for (int64_t i = 0; i < runs; i++, walk_next(&walk))
        memcpy(view_at(output, start + walk.offset[1]), view_at(input, walk.offset[0]), bytes);
}

void ref_copy(const cpu_view *input, cpu_view *output) {
    size_t bytes = soma_dtype_size(input->dtype);
    int64_t size = view_size(input);
    view_walk walk = walk_start(input->rank, input->shape, 1, (const cpu_view *const[]){input});
    for (int64_t i = 0; i < size; i++, walk_next(&walk))
        memcpy(view_at(output, i), view_at(input, walk.offset[0]), bytes);
}

void ref_pad(const cpu_view *input, const int64_t *before, double value, cpu_view *output) {
    int64_t size = view_size(output);
    if (value == 0 && !signbit(value)) {
        memset(output->data, 0, (size_t)size * soma_dtype_size(output->dtype));
    } else {
        for (int64_t i = 0; i < size; i++)
            element_set(output->dtype, output->data, i, value);
    }
    copy_into(input, before, output);
}

void ref_place(const cpu_view *input, int axis, int64_t start, cpu_view *output) {
    int64_t first[SOMA_MAX_RANK] = {0};
    first[axis] = start;
    copy_into(input, first, output);
}

/* The sum of what falls on index i of the axis: from is the offset of x's element [0, 0] there. */
static void add_windows(const cpu_view *x, int axis, int64_t from, int64_t i, int64_t stride, int64_t dilation,
                        cpu_view *output, int64_t to) {
    double sum = 0;
    uint64_t int_sum = 0;
    bool integral = element_integral(output->dtype);
    for (int64_t s = 0; s < x->shape[axis + 1]; s++) {
        int64_t rest = i - s * dilation;
        if (rest < 0 || rest % stride != 0 || rest / stride >= x->shape[axis]) continue;
        int64_t at = from + rest / stride * x->strides[axis] + s * x->strides[axis + 1];
        sum += element_get(x->dtype, x->data, at);
        if (integral) int_sum += (uint64_t)element_get_int(x->dtype, x->data, at);
    }
    if (integral) {
        element_set_int(output->dtype, output->data, to, (int64_t)int_sum);
    } else {
        element_set(output->dtype, output->data, to, sum);
    }
}

void ref_unwindow(const cpu_view *x, int axis, int64_t stride, int64_t dilation, cpu_view *output) {
    cpu_view seen = {.dtype = x->dtype, .rank = output->rank}; /* strides of x over the output's axes */
    for (int i = 0; i < output->rank; i++)
        seen.strides[i] = i == axis ? 0 : x->strides[i < axis ? i : i + 1];
    int64_t size = view_size(output);
    view_walk walk = walk_start(output->rank, output->shape, 1, (const cpu_view *const[]){&seen});
    for (int64_t to = 0; to < size; to++) {
        add_windows(x, axis, walk.offset[0], walk.index[axis], stride, dilation, output, to);
        walk_next(&walk);
    }
}
