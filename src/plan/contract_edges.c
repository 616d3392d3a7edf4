/* Windows at the edges of an image, read where they lie: what a tile's rows see of padding is left out of its sums, so
 * nothing is copied, and zeros are not multiplied. Rows of places that see the same segments of their windows go
 * together, tile by tile of one beside the same tile of the others; of the places that windows see, those come first
 * that are there for all rows of the tile, then, for the rows that see them, the others: a call of a kernel each. Tiles
 * lie in a row of places the same way in every sample. In a gradient for weights rows are taps and k is places, of
 * which a tile's taps see most.
 * Rests on contract_frame.h; clip.c decides. */
#include "plan/contract_frame.h"

/* Rows of places of which a tile each is computed, and how far apart they are in A and C, in bytes. */
typedef struct lines {
    int64_t n, a, c;
} lines;

/* Part of a tile's sums: segments of the windows, and of each some places; of the tile, some rows. */
typedef struct part {
    int64_t segment, segments, tap, taps, row, rows;
    bool accumulate;
} part;

static void multiply_part(const frame *f, const lines *l, const tile_place *p, const part *k, const char *b,
                          int64_t vectors, char *into, int64_t c_row) {
    const contract *c = f->c;
    const k_piece piece = {.segments = k->segments, .run = k->taps * c->image->edges.tap};
    const cpu_tiles t = frame_tiles(f, &piece, c_row, k->accumulate);
    const int64_t at = k->tap * c->image->edges.tap;
    const char *a = f->a + (p->a + k->row * c->a_row + k->segment * c->a_segment + at) * f->size;
    cpu_tile_fn *kernel = f->real->tile[f->mode][k->rows][vectors];
    b += (k->segment * c->b_segment + at * c->b_row) * f->size;
    into += k->row * c_row * f->size;
    for (int64_t i = 0; i < l->n; i++, a += l->a, into += l->c) {
        if (!k->accumulate) frame_ask(f, &t, k->rows, vectors, into);
        call_tile(f->runner, kernel, &t, 1, a, b, into);
    }
}

/* From row k->row on, k->rows of a tile see place `tap` of the array itself. */
static void find_rows(const contract *c, const tile_place *p, int64_t tap, part *k) {
    const int64_t first = c->image->edges.first[tap] - p->i;
    k->row = first < 0 ? 0 : first;
    k->rows = minimum(c->image->edges.end[tap] - p->i, p->height) - k->row;
    if (k->rows < 0) k->rows = 0;
}

/* How many places from k->tap on the same rows see. */
static void find_taps(const contract *c, const tile_place *p, part *k) {
    part next;
    find_rows(c, p, k->tap, k);
    for (k->taps = 1; k->tap + k->taps < c->image->edges.taps; k->taps++) {
        find_rows(c, p, k->tap + k->taps, &next);
        if (next.row != k->row || next.rows != k->rows) return;
    }
}

/* A tile of which some windows see columns of the padding. */
static void multiply_edge(const frame *f, const lines *l, const tile_place *p, part k, const char *b, int64_t vectors,
                          char *into, int64_t c_row) {
    for (int all = 1; all >= 0; all--) {
        for (k.tap = 0; k.tap < f->c->image->edges.taps; k.tap += k.taps) {
            find_taps(f->c, p, &k);
            if (k.rows == 0 || (k.rows == p->height) != all) continue;
            multiply_part(f, l, p, &k, b, vectors, into, c_row);
            k.accumulate = true;
        }
        for (int64_t i = 0; i < l->n && !k.accumulate && !calls_refused(f->runner); i++)
            frame_clear(f, p, vectors, into + i * l->c, c_row);
        k.accumulate = true;
    }
}

/* The segments that are rows of the image itself, for all windows of a row of places. */
static void find_segments(const contract *c, int64_t batch, part *k) {
    const window_axis *x = &c->image->edges.row;
    const int64_t first = x->place_step ? batch % c->batch_shape[c->batch_rank - 1] * x->place_step : 0;
    int64_t end = c->segments;
    k->segment = 0;
    while (k->segment < end && first + k->segment * x->seen_step < x->low)
        k->segment++;
    while (end > k->segment && first + (end - 1) * x->seen_step >= x->high)
        end--;
    k->segments = end - k->segment;
}

/* Rows of places from q on, at most `most`, that lie evenly and see the same segments. */
static void find_lines(const frame *f, const tile_place *q, int64_t most, int64_t column, const part *k, char *into,
                       int64_t c_row, lines *l) {
    const contract *c = f->c;
    const int64_t row = q->batch * c->m + q->i;
    part next;
    int64_t unused;
    l->a = c->batch_rank ? c->a_batch[c->batch_rank - 1] * f->size : 0;
    l->c = c->m * c_row * f->size;
    for (l->n = 1; l->n < most; l->n++) {
        find_segments(c, q->batch + l->n, &next);
        if (next.segment != k->segment || next.segments != k->segments) return;
        if (c->direct < 0) continue;
        const char *at = frame_direct(f, row + l->n * c->m, column, true, &unused);
        if (l->n == 1) l->c = at - into;
        if (at - into != l->n * l->c) return;
    }
}

/* What the next rows of places will see for the first time is on its way to the second cache while these are computed:
 * a tile sees a few short runs of it, which the processor's prefetchers do not foresee. 128x32x32x16 with 32 channels
 * and stride 2 took 1.9 ms on two threads, now 1.45. */
static void fetch_next(const frame *f, const tile_place *p, int64_t panel, const lines *l) {
    const contract *c = f->c;
    if (c->batch_rank == 0) return;
    const bool inside = c->panels_inside || c->whole_rows;
    const int64_t ahead = c->segments > 1 ? c->segments * c->a_segment * f->size : l->a;
    const int64_t all = l->n * p->height * c->image->edges.each * f->size, some = inside ? all / c->panels : all;
    const char *from = f->a + (p->a - p->i * (c->a_row - c->image->edges.each)) * f->size + (l->n - 1) * l->a + ahead +
                       (inside ? panel : 0) * some;
    for (int64_t at = 0; at < some; at += 64)
        __builtin_prefetch(from + at, 0, 2);
    __asm__ volatile(""); /* as in fetch_part */
}

/* A tile of a gradient for weights that is not cut into blocks. */
static void multiply_pieces(const frame *f, const tile_place *p, const char *b, int64_t vectors, char *into,
                            int64_t c_row) {
    for (int64_t i = 0; i < f->c->pieces && !calls_refused(f->runner); i++) {
        const k_piece k = frame_piece(f->c, i);
        contract_multiply_places(f, p, &k, frame_tiles(f, &k, c_row, i > 0), b + frame_row(f->c, k.row) * f->size,
                                 vectors, into);
    }
}

void contract_multiply_edges(const frame *f, const tile_place *p, int64_t tiles, const char *b, int64_t column,
                             int64_t vectors, char *into, int64_t c_row) {
    enum {
        LINES = 8,
        FIRST_CACHE = 24576 /* bytes of the image beside B, that are read again for each tile of a row */
    };
    const contract *c = f->c;
    const int64_t each = (p->height + f->real->rows - 1) / f->real->rows;
    part whole = {.taps = c->image->edges.taps};
    const int64_t line = c->image->edges.each * p->height, room = FIRST_CACHE / f->size - c->k * c->width;
    const int64_t most = room > line * LINES ? LINES : room > line ? room / line : 1;
    lines l;
    tile_place q = *p;
    if (c->image->edges.places) {
        multiply_pieces(f, p, b, vectors, into, c_row);
        return;
    }
    for (int64_t left = tiles; left > 0; left -= l.n, into += l.n * l.c) {
        if (c->direct >= 0 && left < tiles) into = frame_direct(f, q.batch * c->m + q.i, column, true, &c_row);
        find_segments(c, q.batch, &whole);
        find_lines(f, &q, minimum(left, most), column, &whole, into, c_row, &l);
        fetch_next(f, &q, column / c->width, &l);
        tile_place t = q;
        char *to = into;
        for (int64_t i = each; i > 0; i--, t.i += t.height, t.a += t.height * c->a_row) {
            t.height = (q.i + q.height - t.i + i - 1) / i;
            whole.rows = t.height;
            if (whole.segments == 0) {
                for (int64_t j = 0; j < l.n && !calls_refused(f->runner); j++)
                    frame_clear(f, &t, vectors, to + j * l.c, c_row);
            } else if (t.i >= c->image->edges.inside && t.i + t.height <= c->image->edges.inside_end) {
                multiply_part(f, &l, &t, &whole, b, vectors, to, c_row);
            } else {
                multiply_edge(f, &l, &t, whole, b, vectors, to, c_row);
            }
            to += t.height * c_row * f->size;
        }
        q.batch += l.n;
        q.a += l.n * (c->batch_rank ? c->a_batch[c->batch_rank - 1] : 0);
    }
}

/* ---- gradients for weights ---- */

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : minimum(x, high);
}

/* The rows of places first .. last-1 of a piece of which a tile's windows see rows of the image. */
static void find_seen(const contract *c, const tile_place *p, const k_piece *k, int64_t *first, int64_t *last) {
    const window_axis *x = &c->image->edges.row;
    *first = 0;
    *last = k->segments;
    if (!x->place_step) return;
    const int64_t tap = p->batch % c->batch_shape[c->batch_rank - 1], row = k->row / c->run % c->segments;
    *first = clamp(places_before(x->low - tap * x->seen_step, x->place_step) - row, 0, k->segments);
    *last = clamp(places_before(x->high - tap * x->seen_step, x->place_step) - row, *first, k->segments);
}

/* The rows of a tile that see column i of the places, from *begin on; how many. */
static int64_t find_tapped(const contract_edges *e, const tile_place *p, int64_t i, int64_t *begin) {
    int64_t low = p->i / e->tap, high = (p->i + p->height - 1) / e->tap + 1;
    while (low < high && (i < e->first[low] || i >= e->end[low]))
        low++;
    while (low < high && (i < e->first[high - 1] || i >= e->end[high - 1]))
        high--;
    *begin = clamp(low * e->tap - p->i, 0, p->height);
    return clamp(high * e->tap - p->i, 0, p->height) - *begin;
}

/* The places that all rows of the tile see, then, column by column, those that some do. */
void contract_multiply_places(const frame *f, const tile_place *p, const k_piece *k, cpu_tiles t, const char *b,
                              int64_t vectors, char *into) {
    const contract *c = f->c;
    const contract_edges *e = &c->image->edges;
    const int64_t place = k->row % c->run, end = place + k->run;
    int64_t first, last, from = place, to = end;
    find_seen(c, p, k, &first, &last);
    for (int64_t i = p->i / e->tap; i * e->tap < p->i + p->height; i++) {
        from = clamp(e->first[i], from, end);
        to = clamp(e->end[i], place, to);
    }
    if (from >= to) from = to = end;
    const char *a = f->a + (p->a + k->a + first * c->a_segment) * f->size;
    b += first * t.b_segment * f->size;
    t.segments = last - first;
    t.k = to - from;
    if (!t.accumulate || t.segments * t.k > 0)
        f->real->tile[f->mode][p->height][vectors](&t, 1, a + (from - place) * c->a_col * f->size,
                                                   b + (from - place) * t.b_row * f->size, into, NULL);
    cpu_tiles column = {.segments = 1, .k = t.segments, .a_row = 1, .a_col = c->a_segment, .b_row = t.b_segment};
    column.c_row = t.c_row;
    column.accumulate = true;
    column.ahead = t.ahead;
    for (int64_t i = place; i < end && column.k > 0; i++) {
        if (i >= from && i < to) continue;
        int64_t begin;
        const int64_t rows = find_tapped(e, p, i, &begin);
        if (rows > 0)
            f->real->tile[CPU_A_COLUMNS][rows][vectors](&column, 1, a + ((i - place) * c->a_col + begin) * f->size,
                                                        b + (i - place) * t.b_row * f->size,
                                                        into + begin * t.c_row * f->size, NULL);
    }
}
