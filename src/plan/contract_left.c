/* A's part of some tiles, made in the thread's memory before they are computed: float32 of what is stored as bfloat16
 * (bfloat.c), zeros around an array where padding is not there (clip.c). There it lies as in the array that strides
 * speak of, so tiles and packing need not know, and windows over an image share what they share.
 * Rests on contract_frame.h. What the tiles before have left there stays, as long as there is room. Where rows, or
 * columns, of bfloat16 are far apart, only they are converted. */
#include <string.h>

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

static int64_t tiles_of(const contract *c, int64_t rows) {
    return (rows + c->tile_rows - 1) / c->tile_rows;
}

/* Where the rows of some tiles begin; *same: they are of one matrix. */
static range range_of_rows(const frame *f, int64_t outer, int64_t tile, int64_t tiles, bool *same) {
    range r = {INT64_MAX, INT64_MIN};
    tile_place p;
    frame_tile(f, outer, tile, &p);
    const int64_t batch = p.batch;
    *same = true;
    for (int64_t left = tiles;;) {
        const int64_t rows = minimum(left * f->c->tile_rows, f->c->m - p.i), of_matrix = tiles_of(f->c, rows);
        range one = {p.a, p.a};
        add_axis(&one, rows, f->c->a_row);
        if (one.first < r.first) r.first = one.first;
        if (one.last > r.last) r.last = one.last;
        *same = *same && p.batch == batch;
        left -= of_matrix;
        if (left == 0) return r;
        frame_next(f, &p, of_matrix);
    }
}

/* Elements from .. from+n-1 of the storage. */
static void load(frame *f, char *to, int64_t from, int64_t n) {
    const contract *c = f->c;
    const int64_t size = c->widen ? (int64_t)sizeof(uint16_t) : f->size;
    const char *source = (const char *)f->runner->plan->bases[c->a] + from * size;
    f->real->load[c->widen ? SOMA_BF16 : c->dtype](to, source, 1, n);
    f->ahead = source + n * size;
    f->ahead_left = f->ahead_bytes += n * size;
}

/* Elements from .. from+n-1 of the array with its padding, an innermost row at a time. */
static void load_padded(frame *f, char *to, int64_t from, int64_t n) {
    const contract_padding *p = &f->c->image->padding;
    const int last = p->rank - 1;
    const int64_t row = p->shape[last];
    for (int64_t at = from % row, index = from / row; n > 0; at = 0, index++) {
        const int64_t some = minimum(n, row - at);
        int64_t source = p->offset, rest = index;
        bool inside = true;
        for (int i = last - 1; i >= 0; i--, rest /= p->shape[i + 1]) {
            const int64_t place = i > 0 ? rest % p->shape[i] : rest;
            inside = inside && place >= p->low[i] && place < p->high[i];
            source += (place - p->low[i]) * p->stride[i];
        }
        int64_t low = inside ? p->low[last] - at : some, high = inside ? p->high[last] - at : some;
        low = low < 0 ? 0 : minimum(low, some);
        high = high < low ? low : minimum(high, some);
        memset(to, 0, (size_t)(low * f->size));
        if (high > low) load(f, to + low * f->size, source + at + low - p->low[last], high - low);
        memset(to + high * f->size, 0, (size_t)((some - high) * f->size));
        to += some * f->size;
        n -= some;
    }
}

/* Elements from .. from+n-1, counted from A's offset, to their places. */
static void make(frame *f, char *to, int64_t from, int64_t n) {
    if (f->c->image->padding.rank > 0)
        load_padded(f, to + from * f->size, f->c->a_offset + from, n);
    else
        load(f, to + from * f->size, f->c->a_offset + from, n);
}

/* All elements of a range: those that are not there yet, behind the others if there is room. */
static void make_range(frame *f, range all) {
    const bool follows = all.first >= f->left_first && all.first <= f->left_end;
    if (!follows || all.last - f->left_first >= f->c->left_elements) f->left_first = f->left_end = all.first;
    f->a = f->left - f->left_first * f->size;
    if (all.last < f->left_end) return;
    make(f, f->left - f->left_first * f->size, f->left_end, all.last + 1 - f->left_end);
    f->left_end = all.last + 1;
}

enum { APART = 2 /* times as far as they are long: rows are converted one by one */ };

/* The rows of tiles, each a run of k. */
static void make_rows(frame *f, int64_t outer, int64_t tile, int64_t tiles, const k_piece *k, char *to) {
    tile_place p;
    frame_tile(f, outer, tile, &p);
    for (int64_t left = tiles;; frame_next(f, &p, 1)) {
        for (int64_t i = 0; i < p.height; i++)
            make(f, to, p.a + i * f->c->a_row + (k ? k->a : 0), k ? k->run : f->c->run);
        if (--left == 0) return;
    }
}

/* The columns of a matrix, each the rows of tiles. */
static void make_columns(frame *f, range rows, const k_piece *k, char *to) {
    const contract *c = f->c;
    const int64_t run = k ? k->run : c->run;
    for (int64_t s = 0; s < (k ? k->segments : c->segments); s++)
        for (int64_t i = 0; i < run; i++)
            make(f, to, rows.first + (k ? k->a : 0) + s * c->a_segment + i * c->a_col, rows.last - rows.first + 1);
}

void contract_make_left(frame *f, int64_t outer, int64_t tile, int64_t tiles, const k_piece *k) {
    const contract *c = f->c;
    if (calls_refused(f->runner)) return;
    f->ahead_bytes = 0;
    bool same;
    const range rows = range_of_rows(f, outer, tile, tiles, &same), depth = range_of_depth(c, k);
    const range all = {rows.first + depth.first, rows.last + depth.last};
    const bool simple = c->image->padding.rank == 0 && (k || c->slab_rank == 0);
    if (simple && c->a_col == 1 && c->segments == 1 && c->a_row > APART * (k ? k->run : c->run))
        make_rows(f, outer, tile, tiles, k, f->left - all.first * f->size);
    else if (simple && c->a_row == 1 && c->a_col != 1 && same && c->a_col > APART * (rows.last - rows.first + 1))
        make_columns(f, rows, k, f->left - all.first * f->size);
    else {
        make_range(f, all);
        return;
    }
    f->a = f->left - all.first * f->size;
    f->ahead_bytes = 0; /* they do not follow each other */
}

enum {
    LEAST = 1 << 18 /* multiply-adds of what is made at a time, so that making it takes little beside */,
    ROOM = 16384 /* elements: what tiles before have left stays, if tiles see less than half of it */
};

void contract_prepare_left(contract *c) {
    const frame f = {.c = c};
    const int64_t work = c->stack * c->tile_rows * c->k * c->width;
    int64_t most = 0;
    c->left_tiles = c->blocked ? c->block_tiles : c->stack;
    if (!c->blocked && !c->whole_rows) c->left_tiles *= LEAST / (work + 1) + 1;
    range depth = range_of_depth(c, NULL);
    if (c->blocked) {
        depth = (range){0, 0};
        add_axis(&depth, c->piece_run, c->a_col);
        add_axis(&depth, c->piece_segments, c->a_segment);
    }
    for (int64_t outer = 0; outer < c->batch / c->inner; outer++)
        for (int64_t tile = 0; tile < c->tiles; tile += c->left_tiles) {
            bool same;
            const range rows = range_of_rows(&f, outer, tile, minimum(c->left_tiles, c->tiles - tile), &same);
            const int64_t n = rows.last - rows.first + depth.last - depth.first + 1;
            if (n > most) most = n;
        }
    c->left_elements = 2 * most > ROOM ? 2 * most : minimum(4 * most, ROOM);
}
