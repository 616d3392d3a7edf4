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

void contract_run_whole_rows(frame *f) {
    const contract *c = f->c;
    int64_t first, last, packed = -1;
    runner_share(f->runner, c->batch / c->inner * c->blocks, &first, &last);
    for (int64_t u = first; u < last; u++) {
        const int64_t outer = u / c->blocks, tile = u % c->blocks * c->stack,
                      tiles = minimum(c->stack, c->tiles - tile);
        const char *matrix = frame_matrix(f, outer);
        if (c->pack_b && packed != outer) pack_all(f, outer);
        packed = outer;
        if (c->make_left) contract_make_left(f, outer, tile, tiles, NULL);
        tile_place start;
        frame_tile(f, outer, tile, &start);
        int64_t rows = 0;
        for (int64_t i = 0; i < c->panels; i++) {
            const char *b = panel_of(f, matrix, i);
            tile_place p = start;
            rows = 0;
            for (int64_t left = tiles;;) {
                const int64_t alike = frame_alike(f, &p, left);
                frame_fetch(f, alike, c->panels * c->left_tiles);
                frame_multiply(f, &p, alike, b, i * c->width, frame_vectors(c, i),
                               f->accumulators + (rows * c->c_row + i * c->width) * f->size, c->c_row);
                rows += alike * p.height;
                left -= alike;
                if (left == 0) break;
                frame_next(f, &p, alike);
            }
        }
        frame_finish_rows(f, start.batch * c->m + start.i, rows);
    }
}
