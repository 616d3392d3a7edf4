/* A stored as bfloat16 (bfloat.c): before some tiles are computed, what they read of it is made float32 in the thread's
 * memory, where it lies as in the array. So tiles and packing find their elements by the strides they know, and windows
 * over an image share what they share.
 * Rests on contract_frame.h. Where rows, or columns, are far apart, only they are converted. */
#include "plan/contract_frame.h"

/* Offsets of elements first .. last. */
typedef struct range {
    int64_t first, last;
} range;

static void add_axis(range *r, int64_t extent, int64_t stride) {
    const int64_t reach = (extent - 1) * stride;
    *(reach < 0 ? &r->first : &r->last) += reach;
}

/* What a row has in a piece; NULL: in all of k. */
static range range_of_depth(const contract *c, const k_piece *k) {
    range r = {k ? k->a : 0, k ? k->a : 0};
    add_axis(&r, k ? k->run : c->run, c->a_col);
    add_axis(&r, k ? k->segments : c->segments, c->a_segment);
    for (int i = 0; !k && i < c->slab_rank; i++)
        add_axis(&r, c->slab_shape[i], c->a_slab[i]);
    return r;
}

/* Where the rows of some tiles begin; *same: they are of one matrix. */
static range range_of_rows(const frame *f, int64_t outer, int64_t tile, int64_t tiles, bool *same) {
    range r = {INT64_MAX, INT64_MIN};
    tile_place p;
    frame_tile(f, outer, tile, &p);
    const int64_t batch = p.batch;
    *same = true;
    for (int64_t left = tiles;; frame_next(f, &p, 1)) {
        range one = {p.a, p.a};
        add_axis(&one, p.height, f->c->a_row);
        if (one.first < r.first) r.first = one.first;
        if (one.last > r.last) r.last = one.last;
        *same = *same && p.batch == batch;
        if (--left == 0) return r;
    }
}

/* Elements from .. from+n-1, counted from A's offset, to their places. */
static void widen(const frame *f, const uint16_t *source, char *to, int64_t from, int64_t n) {
    f->real->load[SOMA_BF16](to + from * f->size, source + from, 1, n);
}

enum { APART = 2 /* times as far as they are long: rows are converted one by one */ };

/* The rows of tiles, each a run of k. */
static void widen_rows(const frame *f, int64_t outer, int64_t tile, int64_t tiles, const k_piece *k,
                       const uint16_t *source, char *to) {
    tile_place p;
    frame_tile(f, outer, tile, &p);
    for (int64_t left = tiles;; frame_next(f, &p, 1)) {
        for (int64_t i = 0; i < p.height; i++)
            widen(f, source, to, p.a + i * f->c->a_row + (k ? k->a : 0), k ? k->run : f->c->run);
        if (--left == 0) return;
    }
}

/* The columns of a matrix, each the rows of tiles. */
static void widen_columns(const frame *f, range rows, const k_piece *k, const uint16_t *source, char *to) {
    const contract *c = f->c;
    const int64_t run = k ? k->run : c->run;
    for (int64_t s = 0; s < (k ? k->segments : c->segments); s++)
        for (int64_t i = 0; i < run; i++)
            widen(f, source, to, rows.first + (k ? k->a : 0) + s * c->a_segment + i * c->a_col,
                  rows.last - rows.first + 1);
}

void contract_widen(frame *f, int64_t outer, int64_t tile, int64_t tiles, const k_piece *k) {
    const contract *c = f->c;
    if (calls_refused(f->runner)) return;
    bool same;
    const range rows = range_of_rows(f, outer, tile, tiles, &same), depth = range_of_depth(c, k);
    const int64_t size = f->runner->plan->storages[c->a].elements;
    const uint16_t *source = (const uint16_t *)f->runner->plan->bases[c->a] + c->a_offset;
    range all = {rows.first + depth.first, rows.last + depth.last};
    if (all.first < -c->a_offset) all.first = -c->a_offset; /* padding that is not there */
    if (all.last >= size - c->a_offset) all.last = size - c->a_offset - 1;
    char *to = f->left - all.first * f->size;
    const bool whole_k = k || c->slab_rank == 0;
    if (c->n_clips == 0 && c->a_col == 1 && whole_k && c->segments == 1 && c->a_row > APART * (k ? k->run : c->run))
        widen_rows(f, outer, tile, tiles, k, source, to);
    else if (c->n_clips == 0 && c->a_row == 1 && c->a_col != 1 && whole_k && same &&
             c->a_col > APART * (rows.last - rows.first + 1))
        widen_columns(f, rows, k, source, to);
    else if (all.last >= all.first)
        widen(f, source, to, all.first, all.last - all.first + 1);
    f->a = to;
}

int64_t contract_widened(const contract *c) {
    const frame f = {.c = c};
    const int64_t each = c->blocked ? c->block_tiles : c->stack;
    int64_t most = 0;
    range depth = range_of_depth(c, NULL);
    if (c->blocked) {
        depth = (range){0, 0};
        add_axis(&depth, c->piece_run, c->a_col);
        add_axis(&depth, c->piece_segments, c->a_segment);
    }
    for (int64_t outer = 0; outer < c->batch / c->inner; outer++)
        for (int64_t tile = 0; tile < c->tiles; tile += each) {
            bool same;
            const range rows = range_of_rows(&f, outer, tile, minimum(each, c->tiles - tile), &same);
            const int64_t n = rows.last - rows.first + depth.last - depth.first + 1;
            if (n > most) most = n;
        }
    return most;
}
