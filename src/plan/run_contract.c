/* Runs contractions: register tiles of C over A's rows and B's panels, each finished tile through its epilogue.
 * Rests on the tile kernels and on tile programs. Units are tiles (or blocks of them), cut by problem size alone; every
 * sum runs over k in one order, so that the number of threads changes no bit. */
#include "base/base.h"
#include "plan/steps.h"

typedef struct frame {
    const contract *c;
    const plan_runner *runner;
    const cpu_real *real;
    const char *a, *b;
    char *accumulators, *packed, *scratch; /* the thread's: tiles, A's block, the epilogue's registers */
    int64_t packed_row; /* of all batches' rows: the block of A that is packed, whole in k; -1: none */
    int64_t size;
    void **registers;
} frame;

static size_t align_up(size_t bytes) {
    return (bytes + 63) & ~(size_t)63;
}

static size_t accumulator_bytes(const contract *c) {
    size_t size = soma_dtype_size(c->dtype);
    return align_up((size_t)(c->block_m * c->block_n) * size) + PROGRAM_PAD;
}

static size_t packed_bytes(const contract *c) {
    if (!c->pack_a) return 0;
    int64_t rows = (c->block_m + c->tile_rows - 1) / c->tile_rows * c->tile_rows;
    return align_up((size_t)(rows * c->block_k) * soma_dtype_size(c->dtype)) + PROGRAM_PAD;
}

size_t contract_scratch(const contract *c) {
    return accumulator_bytes(c) + packed_bytes(c) + align_up(program_scratch(&c->epilogue));
}

static int64_t batch_offset(const contract *c, const int64_t *strides, int64_t batch) {
    int64_t offset = 0;
    for (int i = c->batch_rank - 1; i >= 0; i--) {
        offset += batch % c->batch_shape[i] * strides[i];
        batch /= c->batch_shape[i];
    }
    return offset;
}

/* Vectors of a panel that hold columns of C: the last panel may need fewer. */
static int64_t vectors_at(const frame *f, int64_t panel) {
    return panel + 1 < f->c->panels ? f->c->vectors : f->c->last_vectors;
}

/* The only store's row-major place for a tile, when whole tiles may be written there at once; else NULL. */
static char *direct_place(const frame *f, int64_t row, int64_t column, int64_t *c_row) {
    const contract *c = f->c;
    if (c->direct < 0 || column + c->width > c->n) return NULL;
    const tile_access *access = &c->epilogue.accesses[c->direct];
    *c_row = c->epilogue.space.row_rank ? access->row_strides[c->epilogue.space.row_rank - 1] : 0;
    return (char *)f->runner->plan->bases[access->storage] +
           (access->offset + access_row_offset(access, &c->epilogue.space, row) + column) * f->size;
}

/* Rows of a few columns each, one behind the other, so that the epilogue computes no more than there is. */
static void close_up(const frame *f, char *tile, int64_t rows) {
    const int64_t n = f->c->n;
    float *values = (float *)(void *)tile;
    for (int64_t r = 1; r < rows; r++)
        for (int64_t i = 0; i < n; i++)
            values[r * n + i] = values[r * f->c->width + i];
}

static void epilogue(frame *f, char *tile, int64_t row, int64_t rows, int64_t column) {
    f->registers[0] = tile;
    if (f->c->narrow) {
        close_up(f, tile, rows);
        program_run(&f->c->epilogue, f->runner, f->scratch, f->registers, row, rows, 0, f->c->n, f->c->n);
        return;
    }
    program_run(&f->c->epilogue, f->runner, f->scratch, f->registers, row, rows, column,
                minimum(f->c->width, f->c->n - column), f->c->width);
}

/* B as it lies: one unit is a wide piece of the few rows. */
static void run_rows(frame *f) {
    const contract *c = f->c;
    int64_t first, last;
    runner_share(f->runner, c->batch * c->panels, &first, &last);
    for (int64_t u = first; u < last; u++) {
        int64_t batch = u / c->panels, column = u % c->panels * c->width;
        const char *a = f->a + batch_offset(c, c->a_batch, batch) * f->size;
        const char *b = f->b + (batch_offset(c, c->b_batch, batch) + column) * f->size;
        for (int64_t i = 0; i < c->m; i++)
            f->real->row(c->k, a + i * c->a_row * f->size, c->a_col, b, c->b_row,
                         f->accumulators + i * c->width * f->size, minimum(c->width, c->n - column));
        epilogue(f, f->accumulators, batch * c->m, c->m, column);
    }
}

/* Whole k at once, A where it lies: one unit is a few register tiles, one above the other, with one epilogue. */
static void run_tiles(frame *f) {
    const contract *c = f->c;
    int mode = c->a_col == 1 ? CPU_A_ROWS : CPU_A_COLUMNS;
    int64_t first, last, batch = 0, panel = 0, turn = 0;
    runner_share(f->runner, c->batch * c->panels * c->blocks, &first, &last);
    if (first > 0) {
        batch = first / (c->panels * c->blocks);
        panel = first / c->blocks % c->panels;
        turn = first % c->blocks;
    }
    for (int64_t u = first; u < last; u++) {
        int64_t row = turn * c->block_m;
        int64_t rows = minimum(c->block_m, c->m - row), c_row = c->width;
        const char *a = f->a + (batch_offset(c, c->a_batch, batch) + row * c->a_row) * f->size;
        const char *b = f->b + (batch_offset(c, c->b_batch, batch) + panel * c->k * c->width) * f->size;
        char *direct = direct_place(f, batch * c->m + row, panel * c->width, &c_row);
        char *block = direct ? direct : f->accumulators;
        int64_t vectors = vectors_at(f, panel);
        for (int64_t i = 0; i < rows; i += c->tile_rows) {
            int64_t height = minimum(c->tile_rows, rows - i);
            program_prefetch(&c->epilogue, f->runner, batch * c->m + row + i, height, panel * c->width);
            f->real->tile[mode][height][vectors](c->k, a + i * c->a_row * f->size, c->a_row, c->a_col, b, c->width,
                                                 block + i * c_row * f->size, c_row, false);
        }
        if (!direct) epilogue(f, block, batch * c->m + row, rows, panel * c->width);
        if (++turn < c->blocks) continue;
        turn = 0;
        if (++panel < c->panels) continue;
        panel = 0;
        batch++;
    }
}

static void pack_a(const frame *f, const char *a, int64_t rows, int64_t k) {
    const contract *c = f->c;
    if (c->a_col == 1)
        f->real->pack_transposed(f->packed, k * c->tile_rows, c->tile_rows, a, c->a_row, rows, k);
    else
        f->real->pack(f->packed, k * c->tile_rows, c->tile_rows, a, c->a_col, k, rows);
}

/* One block of C: A packed block by block of k; tiles gathered in L2 until the last, or in place where they may be. */
static void run_block(frame *f, int64_t batch, int64_t row, int64_t column, int64_t columns) {
    const contract *c = f->c;
    int64_t rows = minimum(c->block_m, c->m - row);
    const char *a = f->a + (batch_offset(c, c->a_batch, batch) + row * c->a_row) * f->size;
    const char *b = f->b + batch_offset(c, c->b_batch, batch) * f->size;
    for (int64_t k = 0; k < c->k || k == 0; k += c->block_k) {
        int64_t depth = minimum(c->block_k, c->k - k);
        if (depth < c->k || f->packed_row != batch * c->m + row) pack_a(f, a + k * c->a_col * f->size, rows, depth);
        f->packed_row = batch * c->m + row;
        for (int64_t j = 0; j < columns; j += c->width) {
            int64_t c_row = c->width, vectors = vectors_at(f, (column + j) / c->width);
            char *panel = direct_place(f, batch * c->m + row, column + j, &c_row);
            if (!panel) panel = f->accumulators + j * c->block_m * f->size;
            for (int64_t i = 0; i < rows; i += c->tile_rows)
                f->real->tile[CPU_A_COLUMNS][minimum(c->tile_rows, rows - i)][vectors](
                    depth, f->packed + i * depth * f->size, 1, c->tile_rows,
                    b + ((column + j) * c->k + k * c->width) * f->size, c->width, panel + i * c_row * f->size, c_row,
                    k > 0);
        }
    }
    for (int64_t j = 0; j < columns; j += c->width) {
        int64_t c_row;
        if (direct_place(f, batch * c->m + row, column + j, &c_row)) continue;
        for (int64_t i = 0; i < rows; i += c->tile_rows)
            epilogue(f, f->accumulators + (j * c->block_m + i * c->width) * f->size, batch * c->m + row + i,
                     minimum(c->tile_rows, rows - i), column + j);
    }
}

void contract_run(const contract *c, const plan_runner *runner) {
    void *registers[PROGRAM_MAX_REGISTERS]; /* left unset: filling it would take longer than a small product */
    frame f = {.c = c, .runner = runner, .registers = registers, .size = c->dtype == SOMA_F64 ? 8 : 4};
    if (c->m == 0 || c->n == 0 || c->batch == 0) return;
    f.real = c->epilogue.real;
    f.a = (const char *)runner->plan->bases[c->a] + c->a_offset * f.size;
    f.b = (const char *)runner->plan->bases[c->b] + c->b_offset * f.size;
    f.accumulators = runner->scratch;
    f.packed = f.accumulators + accumulator_bytes(c);
    f.scratch = f.packed + packed_bytes(c);
    if (c->plain_b) {
        run_rows(&f);
        return;
    }
    if (!c->pack_a) {
        run_tiles(&f);
        return;
    }
    f.packed_row = -1;
    int64_t row_blocks = c->blocks, panels = c->panels, first, last, count;
    runner_share(runner, c->batch * row_blocks * panels, &first, &last);
    for (int64_t u = first; u < last; u += count) { /* as many panels as a block of C may have */
        int64_t block = u / panels, panel = u % panels;
        count = minimum(minimum(c->block_n / c->width, panels - panel), last - u);
        run_block(&f, block / row_blocks, block % row_blocks * c->block_m, panel * c->width,
                  minimum(count * c->width, c->n - panel * c->width));
    }
}
