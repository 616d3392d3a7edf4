/* The matrix product in plain C: three loops inside a walk over the batch axes.
 * Rests on view_walk.c and element.h. Sums run over k in order, in double, those of integers in int64. */
#include "cpu/reference/element.h"
#include "cpu/reference/reference.h"

/* One element of the product: row and column start at a_at and b_at, k elements a stride apart. */
static void dot(const cpu_view *a, int64_t a_at, int64_t a_step, const cpu_view *b, int64_t b_at, int64_t b_step,
                int64_t k, cpu_view *output, int64_t at) {
    if (element_integral(output->dtype)) {
        uint64_t sum = 0;
        for (int64_t i = 0; i < k; i++)
            sum += (uint64_t)element_get_int(a->dtype, a->data, a_at + i * a_step) *
                   (uint64_t)element_get_int(b->dtype, b->data, b_at + i * b_step);
        element_set_int(output->dtype, output->data, at, (int64_t)sum);
    } else {
        double sum = 0;
        for (int64_t i = 0; i < k; i++)
            sum +=
                element_get(a->dtype, a->data, a_at + i * a_step) * element_get(b->dtype, b->data, b_at + i * b_step);
        element_set(output->dtype, output->data, at, sum);
    }
}

void ref_matmul(const cpu_view *a, const cpu_view *b, cpu_view *output) {
    int rank = output->rank, row = rank - 2, column = rank - 1;
    int64_t m = output->shape[row], n = output->shape[column], k = a->shape[column], batches = 1;
    for (int i = 0; i < row; i++)
        batches *= output->shape[i];
    view_walk walk = walk_start(row, output->shape, 2, (const cpu_view *const[]){a, b});
    for (int64_t batch = 0; batch < batches; batch++, walk_next(&walk))
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++)
                dot(a, walk.offset[0] + i * a->strides[row], a->strides[column], b,
                    walk.offset[1] + j * b->strides[column], b->strides[row], k, output, (batch * m + i) * n + j);
}
