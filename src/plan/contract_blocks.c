/* Blocks of a contraction: some tiles of some panels stay in L2 while k passes piece by piece.
 * Rests on contract_frame.h. A deep product of few panels is cut along k, too: parts have sums of their own, which are
 * added in order. Where there would be too few units for a team, each part is one, with a C in the plan's memory. */
#include "base/context_internal.h"
#include "plan/contract_frame.h"

/* Tiles first .. first+tiles-1 of the panels panel .. panel+panels-1. */
typedef struct block {
    int64_t part, outer, first, tiles, panel, panels;
    int64_t row, rows; /* of all batches' rows */
} block;

/* One tile's rows of A, as its kernel reads columns. */
static void pack_tile(const frame *f, const tile_place *p, const k_piece *k, char *to) {
    const contract *c = f->c;
    const int64_t panel = k->run * c->tile_rows;
    for (int64_t s = 0; s < k->segments; s++, to += panel * f->size) {
        const char *a = f->a + (p->a + k->a + s * c->a_segment) * f->size;
        if (f->mode == CPU_A_ROWS)
            f->real->pack_transposed(to, panel, c->tile_rows, a, c->a_row, p->height, k->run);
        else
            f->real->pack(to, panel, c->tile_rows, a, c->a_col, k->run, p->height);
    }
}

static void pack_block(const frame *f, const block *b, const k_piece *k) {
    tile_place p;
    frame_tile(f, b->outer, b->first, &p);
    for (int64_t t = 0; t < b->tiles; t++, frame_next(f, &p, 1))
        pack_tile(f, &p, k, f->packed + t * f->c->tile_rows * k->segments * k->run * f->size);
}

/* Where the sums of a block's panel are gathered: in C itself (but for a last panel that is not whole), among the
 * parts, or in the thread's memory. */
static char *sums(const frame *f, const block *b, int64_t panel, int64_t *c_row) {
    const contract *c = f->c;
    const int64_t own = c->direct < 0 ? (panel - b->panel) * b->rows * c->width * f->size : 0;
    *c_row = c->width;
    if (c->parts_apart) {
        int64_t at = ((b->part * c->panels + panel) * c->batch * c->m + b->row) * c->width;
        return (char *)f->runner->plan->bases[c->partial] + at * f->size;
    }
    if (b->part > 0) return f->accumulators + b->panels * b->rows * c->width * f->size + own;
    char *direct = frame_direct(f, b->row, panel * c->width, false, c_row);
    return direct ? direct : f->accumulators + own;
}

/* Adds a piece of k nothing to a tile's part of a panel? The first piece always writes it. */
static bool left_out(const frame *f, const tile_place *p, const k_piece *k, int64_t panel) {
    const contract *c = f->c;
    int64_t first, last;
    if (!c->banded) return false;
    frame_band(c, p, &first, &last);
    return k->row >= last || k->row + k->run <= first || frame_unwanted(c, p, panel * c->width);
}

/* Asks the second cache for part `index` of n of the panel of B that comes next, for a segment's rows in it are a page.
 * One panel's rows follow each other: the processor foresees them. */
static void fetch_right(const frame *f, const block *b, const k_piece *k, int64_t panel, int64_t index, int64_t n) {
    const contract *c = f->c;
    const char *from = frame_matrix(f, b->outer) + panel * c->b_panel * f->size;
    const int64_t depth = k->segments * k->run, end = k->row + depth * (index + 1) / n;
    for (int64_t r = k->row + depth * index / n, rows; r < end; r += rows) {
        const char *row = from + frame_row(c, r) * f->size;
        rows = minimum(c->run - r % c->run, end - r);
        for (int64_t at = 0; at < rows * c->b_row * f->size; at += 64)
            __builtin_prefetch(row + at, 0, 2);
    }
}

/* next: the piece of k whose first panel of B is asked for behind the last one's of this; NULL: none is. */
static void multiply(frame *f, const block *b, const k_piece *k, const k_piece *next, int64_t panel, bool accumulate) {
    const contract *c = f->c;
    const int64_t vectors = frame_vectors(c, panel), depth = k->segments * k->run;
    const char *right = frame_panel(f, b->outer, panel, k);
    const bool more = panel + 1 < b->panel + b->panels;
    int64_t c_row;
    char *into = sums(f, b, panel, &c_row);
    tile_place p;
    frame_tile(f, b->outer, b->first, &p);
    cpu_tiles t = frame_tiles(f, k, c_row, accumulate);
    if (c->image->edges.places && next) t.ahead = next->a - k->a; /* this tile's part of the next piece */
    if (c->pack_a) {
        t.segments = 1;
        t.k = depth;
        t.a_col = c->tile_rows;
        t.a_tile = c->tile_rows * depth;
    }
    for (int64_t done = 0; done < b->tiles;) {
        const int64_t alike = f->lying || next || f->ahead_bytes ? 1 : frame_alike(f, &p, b->tiles - done);
        frame_fetch(f, alike, b->panels * b->tiles);
        if (next && c->panels > 1) fetch_right(f, b, more ? k : next, more ? panel + 1 : b->panel, done, b->tiles);
        const char *a = c->pack_a ? f->packed + done * t.a_tile * f->size : f->a + (p.a + k->a) * f->size;
        cpu_tile_fn *kernel = f->real->tile[c->pack_a ? CPU_A_COLUMNS : f->mode][p.height][vectors];
        if (f->lying)
            frame_first(f, kernel, t, a, into);
        else if (c->image->edges.places)
            contract_multiply_places(f, &p, k, t, right, vectors, into);
        else if (!accumulate || !left_out(f, &p, k, panel))
            kernel(&t, alike, a, right, into, NULL);
        into += alike * p.height * c_row * f->size;
        done += alike;
        frame_next(f, &p, alike);
    }
}

/* Through the epilogue, some tiles at a time. */
static void finish(frame *f, const block *b, int64_t panel) {
    const contract *c = f->c;
    int64_t c_row;
    char *values = sums(f, b, panel, &c_row);
    if (frame_direct(f, b->row, panel * c->width, false, &c_row)) return;
    for (int64_t i = 0, n; i < b->rows; i += n) {
        n = frame_together(c, b->row + i, minimum(c->stack * c->tile_rows, b->rows - i));
        frame_finish(f, values + i * c->width * f->size, b->row + i, n, panel * c->width);
    }
}

static void set_rows(const frame *f, block *b) {
    tile_place p;
    frame_tile(f, b->outer, b->first, &p);
    b->row = p.batch * f->c->m + p.i;
    b->rows = 0;
    for (int64_t t = 0; t < b->tiles; t++, frame_next(f, &p, 1))
        b->rows += p.height;
}

/* The sums of all parts, added in order, some rows of a panel at a time. */
static void add_parts(frame *f) {
    const contract *c = f->c;
    const int64_t all = c->batch * c->m, each = c->stack * c->tile_rows, blocks = (all + each - 1) / each;
    int64_t first, last;
    runner_share(f->runner, c->panels * blocks, &first, &last);
    for (int64_t u = first; u < last; u++) {
        int64_t panel = u / blocks, row = u % blocks * each, rows = minimum(each, all - row);
        const char *part = (const char *)f->runner->plan->bases[c->partial] + (panel * all + row) * c->width * f->size;
        for (int64_t i = 1; i < c->parts; i++) {
            const char *more = part + i * c->panels * all * c->width * f->size;
            f->real->map[CPU_ADD][0](f->accumulators, i == 1 ? part : f->accumulators, more, NULL, rows * c->width);
        }
        frame_finish(f, f->accumulators, row, rows, panel * c->width);
    }
}

/* All of a part's k, piece by piece. `packed`: the block whose part of A is packed, or made. */
static void run_part(frame *f, const block *b, int64_t index, int64_t *packed) {
    const contract *c = f->c;
    const int64_t from = c->pieces * b->part / c->parts, to = c->pieces * (b->part + 1) / c->parts;
    const bool ahead = f->mode == CPU_A_COLUMNS && !c->pack_a && !c->make_left &&
                       (!c->slab_rank || c->image->edges.places) && !c->pack_b;
    for (int64_t i = from; i < to; i++) {
        k_piece k = frame_piece(c, i);
        const bool other = c->pieces > 1 || *packed != index;
        if (c->make_left && other) contract_make_left(f, b->outer, b->first, b->tiles, &k);
        if (c->pack_a && other) pack_block(f, b, &k);
        *packed = index;
        const k_piece next = frame_piece(c, i + 1 < to ? i + 1 : i);
        for (int64_t j = 0; j < b->panels; j++)
            multiply(f, b, &k, ahead ? &next : NULL, b->panel + j, i > from);
    }
}

/* The parts of a block one after the other. */
static void run_parts(frame *f, block *b, int64_t index, int64_t *packed) {
    const contract *c = f->c;
    const int64_t elements = b->panels * b->rows * c->width;
    for (b->part = 0; b->part < c->parts; b->part++) {
        run_part(f, b, index, packed);
        if (b->part > 0)
            f->real->map[CPU_ADD][0](f->accumulators, f->accumulators, f->accumulators + elements * f->size, NULL,
                                     elements);
    }
    b->part = 0;
}

void contract_run_blocks(frame *f) {
    const contract *c = f->c;
    const int64_t blocks = c->batch / c->inner * c->blocks;
    int64_t first, last, packed = -1;
    runner_share(f->runner, (c->parts_apart ? c->parts : 1) * blocks * c->panels, &first, &last);
    for (int64_t u = first; u < last;) {
        int64_t index = u / c->panels;
        block b = {.part = index / blocks, .outer = index % blocks / c->blocks, .panel = u % c->panels};
        b.first = index % c->blocks * c->block_tiles;
        b.tiles = minimum(c->block_tiles, c->tiles - b.first);
        b.panels = minimum(minimum(c->block_panels, c->panels - b.panel), last - u);
        set_rows(f, &b);
        if (c->parts_apart) {
            run_part(f, &b, index, &packed);
        } else {
            run_parts(f, &b, index, &packed);
            for (int64_t j = 0; j < b.panels; j++)
                finish(f, &b, b.panel + j);
        }
        u += b.panels;
    }
    if (!c->parts_apart) return;
    if (f->runner->threads > 1) team_barrier(context_team(f->runner->plan->context), f->runner->thread);
    add_parts(f);
}
