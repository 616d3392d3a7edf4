/* What the ways of running a contraction share: a thread's frame, where tiles and pieces of k lie, epilogues.
 * Rests on steps.h. */
#ifndef PLAN_CONTRACT_FRAME_H
#define PLAN_CONTRACT_FRAME_H

#include "base/base.h"
#include "plan/calls.h"

typedef struct frame {
    const contract *c;
    const plan_runner *runner;
    const cpu_real *real;
    int mode; /* of A, where it is not packed */
    const char *a, *b;
    /* the thread's: tiles, A as its strides want it, A's part of a block, B's panel, the epilogue's registers */
    char *accumulators, *left, *packed, *panel, *scratch;
    int64_t left_first, left_end;    /* what is in `left` */
    const char *ahead;               /* behind the bytes that were read last to make it: what may be asked for, */
    int64_t ahead_bytes, ahead_left; /* as many of them; those that were not yet */
    const char *lying;               /* the panel's columns of B, as long as its rows are not in `panel` */
    int64_t size, b_size;            /* of an element */
    program_registers *registers;
} frame;

/* A tile: its first row i in the matrix of a batch, its rows, and where A's part begins. */
typedef struct tile_place {
    int64_t batch, i, height, a;
} tile_place;

/* A piece of k: its extents, the row of B where it begins, and what that adds to A's place. */
typedef struct k_piece {
    int64_t segments, run, row, a;
} k_piece;

/* Where A's part begins, by batch and row. */
void frame_set_batch(const frame *f, tile_place *p);
/* A piece of several. */
k_piece frame_cut(const contract *c, int64_t index);
/* The B that matrices outer*inner .. have, as it lies. */
const char *frame_matrix(const frame *f, int64_t outer);
/* A piece of a panel of it. */
const char *frame_b(const frame *f, int64_t outer, int64_t panel, const k_piece *k);
/* The only store's row-major place for a tile, when whole vectors may be written there at once; else NULL. more: the
 * rows behind will be written by this thread, so that the tails of these may lie there until then. */
char *frame_direct(const frame *f, int64_t row, int64_t column, bool more, int64_t *c_row);
/* So many rows from `row` on are of one matrix of a stack in panels. */
static inline int64_t frame_together(const contract *c, int64_t row, int64_t rows) {
    return c->together ? minimum(rows, c->together - row % c->together) : rows;
}

/* The epilogue on rows (of all batches) row .. row+rows-1 of a panel. */
void frame_finish(frame *f, char *tile, int64_t row, int64_t rows, int64_t column);
/* The epilogue on the first columns of whole rows row .. row+rows-1, which lie in f->accumulators, c_row apart. */
void frame_finish_rows(frame *f, int64_t row, int64_t rows, int64_t columns, int64_t c_row);

/* Vectors of a panel that hold columns of C: the last panel may need fewer. */
static inline int64_t frame_vectors(const contract *c, int64_t panel) {
    return panel + 1 < c->panels ? c->vectors : c->last_vectors;
}

/* In line, for a small product is all starting. */
static inline k_piece frame_piece(const contract *c, int64_t index) {
    if (c->pieces > 1) return frame_cut(c, index);
    return (k_piece){.segments = c->segments, .run = c->run};
}

/* Filled through a pointer: a copy of what was just written element by element waits for the writes. */
static inline void frame_tile(const frame *f, int64_t outer, int64_t tile, tile_place *p) {
    const contract *c = f->c;
    p->batch = outer * c->inner;
    p->i = 0;
    if (tile > 0) {
        const int64_t each = c->tiles / c->inner;
        p->batch += tile / each;
        p->i = tile % each * c->tile_rows;
    }
    p->a = p->i * c->a_row;
    if (c->batch_rank > 0) frame_set_batch(f, p);
    p->height = minimum(c->tile_rows, c->m - p->i);
}

/* Rows of places from a batch on that lie evenly. */
static inline int64_t edges_lines(const contract *c, int64_t batch) {
    const int64_t all = c->batch_rank ? c->batch_shape[c->batch_rank - 1] : 1;
    return all - batch % all;
}

/* How many of `left` tiles from p on follow each other evenly: whole tiles of one matrix, of the same k; where tiles
 * leave padding out, whole rows of places of one picture. */
static inline int64_t frame_alike(const frame *f, const tile_place *p, int64_t left) {
    if (f->c->image->edges.on)
        return p->height == f->c->m && !f->c->image->edges.places ? minimum(left, edges_lines(f->c, p->batch)) : 1;
    if (left == 1 || p->height < f->c->tile_rows || f->c->banded) return 1;
    return minimum(left, (f->c->m - p->i) / f->c->tile_rows);
}

/* The place some such tiles behind; their rows of C are behind, too. */
static inline void frame_next(const frame *f, tile_place *p, int64_t tiles) {
    const contract *c = f->c;
    p->i += tiles * c->tile_rows;
    p->a += tiles * c->tile_rows * c->a_row;
    if (p->i >= c->m) {
        p->batch += c->image->edges.on ? p->i / c->m : 1;
        p->i = 0;
        if (p->batch < c->batch) frame_set_batch(f, p);
    }
    p->height = minimum(c->tile_rows, c->m - p->i);
}

/* Where row `row` of B is in its panel. */
static inline int64_t frame_row(const contract *c, int64_t row) {
    return row == 0 ? 0 : row / c->run * c->b_segment + row % c->run * c->b_row;
}

/* contract_left.c: A's elements that some tiles read in a piece of k, made in the thread's memory; f->a is then where
 * they lie. */
void contract_make_left(frame *f, int64_t outer, int64_t tile, int64_t tiles, const k_piece *k);
/* Asks for some of what will be read next for that, as much as `tiles` are of n: in between, memory would be idle. */
static inline void frame_fetch(frame *f, int64_t tiles, int64_t n) {
    if (f->ahead_bytes == 0) return;
    const int64_t bytes = minimum(f->ahead_bytes * tiles / n, f->ahead_left);
    fetch_part(f->ahead, bytes, 0, 1);
    f->ahead += bytes;
    f->ahead_left -= bytes;
}
/* How much is made at a time, and how many elements the thread's memory must hold for that. */
void contract_prepare_left(contract *c);

/* Is no column of a tile's part of a panel wanted? */
static inline bool frame_unwanted(const contract *c, const tile_place *p, int64_t column) {
    return c->banded && (column > p->i + p->height - 1 + c->c_high || column + c->width - 1 < p->i + c->c_low);
}

/* The columns of A, at least one, between which a tile's rows are other than zero. */
static inline void frame_band(const contract *c, const tile_place *p, int64_t *first, int64_t *last) {
    *first = p->i + c->a_low;
    if (*first > c->k - 1) *first = c->k - 1;
    if (*first < 0) *first = 0;
    *last = p->i + p->height + c->a_high;
    if (*last > c->k) *last = c->k;
    if (*last <= *first) *last = *first + 1;
}

/* Instead of sums that nobody wants: what is multiplied by zero must be a number. */
static inline void frame_clear(const frame *f, const tile_place *p, int64_t vectors, char *into, int64_t c_row) {
    for (int64_t i = 0; i < p->height; i++)
        memset(into + i * c_row * f->size, 0, (size_t)(vectors * f->real->lanes * f->size));
}

/* How tiles lie where A is not packed. */
static inline cpu_tiles frame_tiles(const frame *f, const k_piece *k, int64_t c_row, bool accumulate) {
    const contract *c = f->c;
    return (cpu_tiles){.segments = k->segments,
                       .k = k->run,
                       .a_row = c->a_row,
                       .a_col = c->a_col,
                       .a_segment = c->a_segment,
                       .a_tile = c->tile_rows * c->a_row,
                       .b_row = c->b_row,
                       .b_segment = c->b_segment,
                       .c_row = c_row,
                       .ahead = 0,
                       .accumulate = accumulate};
}

/* A panel of B over a piece of k, or where it will be once its first tile has packed it. */
static inline const char *frame_panel(frame *f, int64_t outer, int64_t panel, const k_piece *k) {
    const contract *c = f->c;
    if (!c->copy_b || (panel + 1) * c->width > c->n || f->runner->writing) return frame_b(f, outer, panel, k);
    f->lying = frame_matrix(f, outer) + (panel * c->width + k->row * c->right.row_stride) * f->size;
    return f->panel;
}

/* Such a first tile reads B as it lies, and leaves its rows in the panel. */
static inline void frame_first(frame *f, cpu_tile_fn *kernel, cpu_tiles t, const char *a, char *into) {
    t.b_row = f->c->right.row_stride;
    t.b_segment = t.k * t.b_row;
    kernel(&t, 1, a, f->lying, into, f->panel);
    f->lying = NULL;
}

enum { ASKS = 64 /* elements of a run, from which on a kernel asks for its place in C itself */ };

/* Rows of C in their place are on their way into the caches before they are written: the processor's prefetchers do not
 * foresee stores. */
static inline void frame_ask(const frame *f, const cpu_tiles *t, int64_t rows, int64_t vectors, const char *into) {
    if (f->c->direct < 0 || t->k >= ASKS || f->runner->writing) return;
    for (; rows > 0; rows--, into += t->c_row * f->size) {
        __builtin_prefetch(into, 1);
        __builtin_prefetch(into + vectors * f->real->lanes * f->size - 1, 1);
    }
    __asm__ volatile(""); /* as in fetch_part */
}

/* contract_edges.c: as frame_multiply, without what windows see of padding. */
void contract_multiply_edges(const frame *f, const tile_place *p, int64_t tiles, const char *b, int64_t column,
                             int64_t vectors, char *into, int64_t c_row);

/* As a tile kernel, of a gradient for weights: a tile's part of a piece of k, from panel b on; t: as if all places saw
 * all rows. */
void contract_multiply_places(const frame *f, const tile_place *p, const k_piece *k, cpu_tiles t, const char *b,
                              int64_t vectors, char *into);

/* The sums of tiles that are alike over all of k; b is the panel's first row. */
static inline void frame_multiply(const frame *f, const tile_place *p, int64_t tiles, const char *b, int64_t column,
                                  int64_t vectors, char *into, int64_t c_row) {
    const contract *c = f->c;
    if (c->image->edges.on) {
        contract_multiply_edges(f, p, tiles, b, column, vectors, into, c_row);
        return;
    }
    if (frame_unwanted(c, p, column)) {
        if (!calls_refused(f->runner)) frame_clear(f, p, vectors, into, c_row);
        return;
    }
    cpu_tile_fn *kernel = f->real->tile[f->mode][p->height][vectors];
    const char *a = f->a + p->a * f->size;
    const k_piece whole = frame_piece(c, 0);
    cpu_tiles t = frame_tiles(f, &whole, c_row, false);
    if (c->banded) {
        int64_t first, last;
        frame_band(c, p, &first, &last);
        t.k = last - first;
        a += first * c->a_col * f->size;
        b += first * c->b_row * f->size;
    }
    if (c_row != c->n) frame_ask(f, &t, tiles * p->height, vectors, into); /* it lies between other parts */
    call_tile(f->runner, kernel, &t, tiles, a, b, into);
    for (int64_t i = 1; i < c->pieces; i++) {
        const k_piece k = frame_piece(c, i);
        t = frame_tiles(f, &k, c_row, true);
        call_tile(f->runner, kernel, &t, tiles, a + k.a * f->size, b + frame_row(c, k.row) * f->size, into);
    }
}

/* contract_winograd.c: sizes of a thread's memory; the contraction. */
void winograd_prepare(contract *c);
void contract_run_winograd(frame *f);

/* contract_blocks.c, contract_rows.c */
void contract_run_blocks(frame *f);
void contract_run_whole_rows(frame *f);

#endif
