/* Windows at the edges of an image, read where they lie: what a tile's rows see of padding is left out of its sums, so
 * nothing is copied, and zeros are not multiplied. Segments that are padding for a row of places are left out at once;
 * of the places that windows see, those come first that are there for all rows of the tile, then, for the rows that see
 * them, the others: a call of a kernel each. Tiles lie in a row of places the same way in every sample.
 * Rests on contract_frame.h; clip.c decides. */
#include "plan/contract_frame.h"

/* Part of a tile's sums: segments of the windows, and of each some places; of the tile, some rows. */
typedef struct part {
    int64_t segment, segments, tap, taps, row, rows;
    bool accumulate;
} part;

static void multiply_part(const frame *f, const tile_place *p, int64_t tiles, const part *k, const char *b,
                          int64_t vectors, char *into, int64_t c_row) {
    const contract *c = f->c;
    const k_piece piece = {.segments = k->segments, .run = k->taps * c->edges.tap};
    const cpu_tiles t = frame_tiles(f, &piece, c_row, k->accumulate);
    const int64_t at = k->tap * c->edges.tap;
    if (!k->accumulate) frame_ask(f, &t, tiles * k->rows, vectors, into);
    call_tile(f->runner, f->real->tile[f->mode][k->rows][vectors], &t, tiles,
              f->a + (p->a + k->row * c->a_row + k->segment * c->a_segment + at) * f->size,
              b + (k->segment * c->b_segment + at * c->b_row) * f->size, into + k->row * c_row * f->size);
}

/* From row k->row on, k->rows of a tile see place `tap` of the array itself. */
static void find_rows(const contract *c, const tile_place *p, int64_t tap, part *k) {
    const int64_t first = c->edges.first[tap] - p->i;
    k->row = first < 0 ? 0 : first;
    k->rows = minimum(c->edges.end[tap] - p->i, p->height) - k->row;
    if (k->rows < 0) k->rows = 0;
}

/* How many places from k->tap on the same rows see. */
static void find_taps(const contract *c, const tile_place *p, part *k) {
    part next;
    find_rows(c, p, k->tap, k);
    for (k->taps = 1; k->tap + k->taps < c->edges.taps; k->taps++) {
        find_rows(c, p, k->tap + k->taps, &next);
        if (next.row != k->row || next.rows != k->rows) return;
    }
}

/* A tile of which some windows see columns of the padding. */
static void multiply_edge(const frame *f, const tile_place *p, part k, const char *b, int64_t vectors, char *into,
                          int64_t c_row) {
    for (int all = 1; all >= 0; all--) {
        for (k.tap = 0; k.tap < f->c->edges.taps; k.tap += k.taps) {
            find_taps(f->c, p, &k);
            if (k.rows == 0 || (k.rows == p->height) != all) continue;
            multiply_part(f, p, 1, &k, b, vectors, into, c_row);
            k.accumulate = true;
        }
        if (!k.accumulate && !calls_refused(f->runner)) frame_clear(f, p, vectors, into, c_row);
        k.accumulate = true;
    }
}

/* The segments that are rows of the image itself, for all windows of a row of places. */
static void find_segments(const contract *c, int64_t batch, part *k) {
    const window_axis *x = &c->edges.row;
    const int64_t first = x->place_step ? batch % c->batch_shape[c->batch_rank - 1] * x->place_step : 0;
    int64_t end = c->segments;
    while (k->segment < end && first + k->segment * x->seen_step < x->low)
        k->segment++;
    while (end > k->segment && first + (end - 1) * x->seen_step >= x->high)
        end--;
    k->segments = end - k->segment;
}

/* What the next row of places will see for the first time is on its way to the second cache while this one is computed:
 * a tile sees a few short runs of it, which the processor's prefetchers do not foresee. 128x32x32x16 with 32 channels
 * and stride 2 took 1.9 ms on two threads, now 1.45. */
static void fetch_next(const frame *f, const tile_place *p, int64_t tiles, int64_t panel) {
    const contract *c = f->c;
    if (c->batch_rank == 0) return;
    const bool inside = c->panels_inside || c->whole_rows;
    const int64_t rows = c->a_batch[c->batch_rank - 1], ahead = c->segments > 1 ? c->segments * c->a_segment : rows;
    const int64_t all = c->edges.each * minimum(tiles * p->height, c->m - p->i), some = inside ? all / c->panels : all;
    const char *from =
        f->a + (p->a - p->i * (c->a_row - c->edges.each) + ahead + (inside ? panel : 0) * some) * f->size;
    for (int64_t at = 0; at < some * f->size; at += 64)
        __builtin_prefetch(from + at, 0, 2);
    __asm__ volatile(""); /* as in fetch_part */
}

void contract_multiply_edges(const frame *f, const tile_place *p, int64_t tiles, const char *b, int64_t column,
                             int64_t vectors, char *into, int64_t c_row) {
    const contract *c = f->c;
    part whole = {.taps = c->edges.taps, .rows = p->height};
    find_segments(c, p->batch, &whole);
    fetch_next(f, p, tiles, column / c->width);
    tile_place q = *p;
    for (int64_t n; tiles > 0; tiles -= n) {
        n = q.i < c->edges.inside ? 0 : minimum(tiles, (c->edges.inside_end - q.i) / q.height);
        if (whole.segments == 0) {
            n = 1;
            if (!calls_refused(f->runner)) frame_clear(f, &q, vectors, into, c_row);
        } else if (n > 0) {
            multiply_part(f, &q, n, &whole, b, vectors, into, c_row);
        } else {
            n = 1;
            multiply_edge(f, &q, whole, b, vectors, into, c_row);
        }
        into += n * q.height * c_row * f->size;
        q.i += n * q.height;
        q.a += n * q.height * c->a_row;
    }
}
