/* All panels of a few rows, then the epilogue over these rows as wholes.
 * Rests on contract_frame.h. What an epilogue reads and stores beside the product (a residual, what an activation's
 * slope needs) goes in long runs then, which the processor's prefetchers see, where a panel's rows would be pieces of
 * two cache lines; and the epilogue may reduce rows: a softmax or a normalization costs no pass of its own. The sums
 * lie row-major in the thread's memory, B stays in L2. */
#include "plan/contract_frame.h"

/* All panels of the B that the matrices outer*inner .. have, in the thread's memory. */
static void pack_all(const frame *f, int64_t outer) {
    const contract *c = f->c;
    const char *matrix = frame_matrix(f, outer);
    for (int64_t i = 0; i < c->panels; i++)
        call_pack(f->runner, &c->right, f->real, f->panel + i * c->k * c->width * f->size, matrix, i, 0, c->k);
}

static const char *panel_of(const frame *f, const char *matrix, int64_t panel) {
    const contract *c = f->c;
    return c->pack_b ? f->panel + panel * c->k * c->width * f->size : matrix + panel * c->b_panel * f->size;
}

/* Asks for a panel's part of what the epilogue of some rows reads and stores: while tiles are computed memory is idle.
 * A little at a time, as bursts hold up the tiles' own loads, and no nearer than L2, as L1 is the tiles'. */
static void fetch_arrays(const frame *f, int64_t row, int64_t rows, int64_t panel, int64_t panels) {
    const contract *c = f->c;
    const tile_program *p = &c->epilogue;
    for (int i = 0; i < p->n_accesses; i++) {
        const tile_access *x = &p->accesses[i];
        if (x->kind != ACCESS_FULL || x->storage < 0 || !x->dense || x->width) continue;
        const int64_t size = (int64_t)soma_dtype_size(x->dtype), part = rows * c->n * size / panels;
        const int64_t first = (x->offset + access_row_offset(x, &p->space, row)) * size + panel * part;
        const char *array = f->runner->plan->bases[x->storage];
        for (int64_t at = first & ~(int64_t)63; at < first + part; at += 64)
            __builtin_prefetch(array + at, 0, 2);
    }
}

/* Vectors of a tile's rows that its epilogue has something to do for: all, or those below the band's upper end. */
static int64_t wanted_vectors(const frame *f, const tile_place *p) {
    const contract *c = f->c;
    const int64_t lanes = f->real->lanes, end = p->i + p->height + c->c_high;
    if (!c->ends || end >= c->n) return c->c_row / lanes;
    return end <= lanes ? 1 : (end + lanes - 1) / lanes;
}

/* What these rows' arrays have from a column on. */
static void store_zeros(const frame *f, int64_t row, int64_t rows, int64_t column) {
    const tile_program *p = &f->c->epilogue;
    for (int i = 0; i < p->n_stores && column < f->c->n; i++) {
        const tile_access *x = &p->accesses[p->instructions[p->stores[i]].access];
        const int64_t size = (int64_t)soma_dtype_size(x->dtype);
        for (int64_t r = row; x->kind == ACCESS_FULL && r < row + rows; r++)
            memset((char *)f->runner->plan->bases[x->storage] +
                       (x->offset + access_row_offset(x, &p->space, r) + column * x->column_stride) * size,
                   0, (size_t)((f->c->n - column) * size));
    }
}

void contract_run_whole_rows(frame *f) {
    const contract *c = f->c;
    int64_t first, last, packed = -1;
    if (c->ends && calls_refused(f->runner)) return;
    runner_share(f->runner, contract_units(c), &first, &last);
    for (int64_t u = first; u < last; u++) {
        const int64_t outer = u / c->blocks, tile = u % c->blocks * c->stack,
                      tiles = minimum(c->stack, c->tiles - tile);
        const char *matrix = frame_matrix(f, outer);
        if (c->pack_b && packed != outer) pack_all(f, outer);
        packed = outer;
        if (c->make_left) contract_make_left(f, outer, tile, tiles, NULL);
        tile_place start;
        frame_tile(f, outer, tile, &start);
        const int64_t row = start.batch * c->m + start.i, lanes = f->real->lanes, vectors = wanted_vectors(f, &start);
        const int64_t panels = (vectors + c->vectors - 1) / c->vectors, c_row = vectors * lanes;
        int64_t rows = 0;
        for (int64_t i = 0; i < panels; i++) {
            fetch_arrays(f, row, minimum(tiles * c->tile_rows, c->batch * c->m - row), i, panels);
            const char *b = panel_of(f, matrix, i);
            tile_place p = start;
            rows = 0;
            for (int64_t left = tiles;;) {
                const int64_t alike = frame_alike(f, &p, left);
                frame_fetch(f, alike, panels * c->left_tiles);
                frame_multiply(f, &p, alike, b, i * c->width, minimum(c->vectors, vectors - i * c->vectors),
                               f->accumulators + (rows * c_row + i * c->width) * f->size, c_row);
                rows += alike * p.height;
                left -= alike;
                if (left == 0) break;
                frame_next(f, &p, alike);
            }
        }
        frame_finish_rows(f, row, rows, minimum(c->n, c_row), c_row);
        if (c->ends) store_zeros(f, row, rows, c_row);
    }
}
