/* Runs packing: a strided stack of matrices into the panels a contraction reads.
 * Rests on the pack kernels. A weight already in panels is only packed again for its transpose. */
#include <string.h>

#include "plan/calls.h"

/* Part of a destination panel from a row-major or column-major source. */
static void pack_strided(const pack_step *p, const cpu_real *real, char *dst, const char *from, int64_t columns,
                         int64_t rows, int64_t size) {
    for (int64_t s = 0; s < p->segments; s++) {
        if (p->column_stride == 1)
            real->pack(dst, rows * p->width, p->width, from, p->row_stride, rows, columns);
        else
            real->pack_transposed(dst, rows * p->width, p->width, from, p->column_stride, columns, rows);
        from += p->segment_stride * size;
        dst += rows * p->width * size;
    }
}

enum { TURNED = 64 /* rows at a time */ };

/* The same from bfloat16. */
static void pack_bfloat(const pack_step *p, const cpu_real *real, float *dst, const uint16_t *from, int64_t columns,
                        int64_t rows) {
    float lines[CPU_MAX_WIDTH * TURNED];
    for (int64_t s = 0; s < p->segments; s++, from += p->segment_stride, dst += rows * p->width) {
        if (p->column_stride == 1 && p->row_stride == p->width && columns == p->width) {
            real->load[SOMA_BF16](dst, from, 1, rows * columns);
            continue;
        }
        for (int64_t r = 0; r < rows && p->column_stride == 1; r++) {
            real->load[SOMA_BF16](dst + r * p->width, from + r * p->row_stride, 1, columns);
            for (int64_t c = columns; c < p->width; c++)
                dst[r * p->width + c] = 0;
        }
        for (int64_t r = 0; r < rows && p->column_stride != 1; r += TURNED) {
            const int64_t n = minimum(TURNED, rows - r);
            for (int64_t c = 0; c < columns; c++)
                real->load[SOMA_BF16](lines + c * TURNED, from + c * p->column_stride + r, 1, n);
            real->pack_transposed(dst + r * p->width, n * p->width, p->width, lines, TURNED, columns, n);
        }
    }
}

/* One destination panel from the transpose, which lies in panels of its own: [rows/w][columns][w]. */
static void pack_panels(const pack_step *p, const cpu_real *real, char *dst, const char *src, int64_t column,
                        int64_t columns, int64_t size) {
    for (int64_t row = 0; row < p->rows; row += p->source_width)
        real->pack_transposed(dst + row * p->width * size, p->rows * p->width, p->width,
                              src + (row * p->columns + column * p->source_width) * size, p->source_width, columns,
                              minimum(p->source_width, p->rows - row));
}

enum { SMALL_PANEL = 256 };

/* A panel of few elements: starting the kernels would take longer. */
static void pack_small(const pack_step *p, float *dst, const float *src, int64_t column, int64_t columns) {
    int64_t row_stride = p->source_width ? 1 : p->row_stride;
    int64_t column_stride = p->source_width ? p->source_width : p->column_stride;
    const float *from = src + column * column_stride;
    memset(dst, 0, (size_t)(p->rows * p->width) * sizeof *dst);
    for (int64_t r = 0; r < p->rows; r++)
        for (int64_t c = 0; c < columns; c++)
            dst[r * p->width + c] = from[r * row_stride + c * column_stride];
}

void pack_panel(const pack_step *p, const cpu_real *real, char *dst, const char *matrix, int64_t panel, int64_t row,
                int64_t rows) {
    const int64_t size = p->dtype == SOMA_F64 ? 8 : 4, column = panel * p->width;
    const int64_t columns = minimum(p->width, p->columns - column);
    bool whole = rows == p->segments * p->rows;
    if (p->bfloat)
        pack_bfloat(p, real, (float *)(void *)dst,
                    (const uint16_t *)(const void *)matrix + row * p->row_stride + column * p->column_stride, columns,
                    whole ? p->rows : rows);
    else if (whole && size == 4 && p->segments == 1 && rows * p->width <= SMALL_PANEL &&
             (!p->source_width || rows <= p->source_width))
        pack_small(p, (float *)(void *)dst, (const float *)(const void *)matrix, column, columns);
    else if (p->source_width)
        pack_panels(p, real, dst, matrix, column, columns, size);
    else
        pack_strided(p, real, dst, matrix + (row * p->row_stride + column * p->column_stride) * size, columns,
                     whole ? p->rows : rows, size);
}

void pack_run(const pack_step *p, const plan_runner *runner) {
    const cpu_real *real = cpu_real_of(runner->plan->kernels, p->dtype);
    const int64_t size = p->dtype == SOMA_F64 ? 8 : 4, panels = (p->columns + p->width - 1) / p->width;
    const int64_t rows = p->segments * p->rows, from_size = p->bfloat ? (int64_t)sizeof(uint16_t) : size;
    const char *source = runner->plan->bases[p->source];
    char *destination = runner->plan->bases[p->destination];
    int64_t first, last;
    runner_share(runner, p->batch * panels, &first, &last);
    for (int64_t u = first; u < last; u++) {
        int64_t offset = p->offset, rest = u / panels;
        for (int i = p->batch_rank - 1; i >= 0; i--) {
            offset += rest % p->batch_shape[i] * p->batch_strides[i];
            rest /= p->batch_shape[i];
        }
        call_pack(runner, p, real, destination + u * rows * p->width * size, source + offset * from_size, u % panels, 0,
                  rows);
    }
}
