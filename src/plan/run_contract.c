/* Runs contractions: register tiles of C over A's rows and B's columns, each finished tile through its epilogue.
 * Rests on the tile kernels and on tile programs; blocks are in contract_blocks.c. Units are tiles or blocks of them,
 * cut by problem size alone; every sum runs over k in one order, so that the number of threads changes no bit. */
#include "plan/calls.h"
#include "plan/contract_frame.h"

static size_t align_up(size_t bytes) {
    return (bytes + 63) & ~(size_t)63;
}

enum { FAR_DEPTH = 256 /* of a product */, FAR_INSTRUCTIONS = 12 /* of its epilogue */ };

static size_t accumulator_bytes(const contract *c) {
    if (c->whole_rows)
        return align_up((size_t)(c->stack * c->tile_rows * c->c_row) * soma_dtype_size(c->dtype)) + PROGRAM_PAD;
    int64_t tiles = c->row_by_row ? 1 : c->stack;
    if (c->blocked && !c->parts_apart) tiles = c->block_tiles * (c->direct < 0 ? c->block_panels : 1);
    if (c->parts > 1 && !c->parts_apart) tiles *= 2; /* the sums so far, and a part's */
    return align_up((size_t)(tiles * c->tile_rows * c->width) * soma_dtype_size(c->dtype)) + PROGRAM_PAD;
}

static size_t packed_bytes(const contract *c) {
    if (!c->pack_a) return 0;
    int64_t elements = c->block_tiles * c->tile_rows * c->piece_segments * c->piece_run;
    return align_up((size_t)elements * soma_dtype_size(c->dtype)) + PROGRAM_PAD;
}

static size_t panel_bytes(const contract *c) {
    if (!c->pack_b) return 0;
    int64_t rows = c->blocked ? c->piece_segments * c->piece_run : c->k;
    return align_up((size_t)(rows * c->width * (c->whole_rows ? c->panels : 1)) * soma_dtype_size(c->dtype)) +
           PROGRAM_PAD;
}

void contract_prepare(contract *c) {
    program_prepare(&c->epilogue, NULL);
    if (c->k >= FAR_DEPTH && c->epilogue.n_instructions >= FAR_INSTRUCTIONS)
        c->epilogue.far = true; /* operands pass through the caches between two of its blocks */
    if (c->image->winograd.on) {
        winograd_prepare(c);
        return;
    }
    c->left_at = accumulator_bytes(c);
    c->packed_at = c->left_at;
    if (c->make_left) {
        contract_prepare_left(c);
        c->packed_at += align_up((size_t)c->left_elements * soma_dtype_size(c->dtype)) + PROGRAM_PAD;
    }
    c->panel_at = c->packed_at + packed_bytes(c);
    c->scratch_at = c->panel_at + panel_bytes(c);
    c->scratch_bytes = c->scratch_at + align_up(program_scratch(&c->epilogue));
}

/* ---- places ---- */

static int64_t axes_offset(int rank, const int64_t *shape, const int64_t *strides, int64_t index) {
    int64_t offset = 0;
    for (int i = rank - 1; i >= 0; i--) {
        offset += index % shape[i] * strides[i];
        index /= shape[i];
    }
    return offset;
}

const char *frame_matrix(const frame *f, int64_t outer) {
    const contract *c = f->c;
    return f->b + axes_offset(c->batch_rank, c->batch_shape, c->b_batch, outer * c->inner) * f->b_size;
}

const char *frame_b(const frame *f, int64_t outer, int64_t panel, const k_piece *k) {
    const contract *c = f->c;
    const char *matrix = frame_matrix(f, outer);
    if (!c->pack_b) return matrix + (panel * c->b_panel + frame_row(c, k->row)) * f->size;
    call_pack(f->runner, &c->right, f->real, f->panel, matrix, panel, k->row, k->segments * k->run);
    return f->panel;
}

void frame_set_batch(const frame *f, tile_place *p) {
    const contract *c = f->c;
    p->a = axes_offset(c->batch_rank, c->batch_shape, c->a_batch, p->batch) + p->i * c->a_row;
}

k_piece frame_cut(const contract *c, int64_t index) {
    k_piece p;
    int64_t run = index % c->run_pieces * c->piece_run;
    index /= c->run_pieces;
    int64_t segment = index % c->segment_pieces * c->piece_segments, slab = index / c->segment_pieces;
    p.segments = minimum(c->piece_segments, c->segments - segment);
    p.run = minimum(c->piece_run, c->run - run);
    p.row = (slab * c->segments + segment) * c->run + run;
    p.a = axes_offset(c->slab_rank, c->slab_shape, c->a_slab, slab) + segment * c->a_segment + run * c->a_col;
    return p;
}

char *frame_direct(const frame *f, int64_t row, int64_t column, bool more, int64_t *c_row) {
    const contract *c = f->c;
    if (c->direct < 0) return NULL;
    const int64_t end = column + frame_vectors(c, column / c->width) * f->real->lanes;
    if (end > c->n && !(more && c->tails)) return NULL;
    const tile_access *access = &c->epilogue.accesses[c->direct];
    *c_row = c->epilogue.space.row_rank ? access->row_strides[c->epilogue.space.row_rank - 1] : 0;
    return (char *)f->runner->plan->bases[access->storage] +
           (access->offset + access_row_offset(access, &c->epilogue.space, row) + column) * f->size;
}

/* ---- epilogues ---- */

void frame_finish(frame *f, char *tile, int64_t row, int64_t rows, int64_t column) {
    f->registers->at[0] = tile;
    if (f->c->narrow) {
        program_run(&f->c->epilogue, f->runner, f->scratch, f->registers, row, rows, 0, f->c->n, f->c->n);
        return;
    }
    for (int64_t n; rows > 0; row += n, rows -= n) {
        n = frame_together(f->c, row, rows);
        program_run(&f->c->epilogue, f->runner, f->scratch, f->registers, row, n, column,
                    minimum(f->c->width, f->c->n - column), f->c->width);
        f->registers->at[0] = tile += n * f->c->width * f->size;
    }
}

void frame_finish_rows(frame *f, int64_t row, int64_t rows, int64_t columns, int64_t c_row) {
    const contract *c = f->c;
    const int64_t some = c->finish_rows * c->c_row / c_row;
    for (int64_t i = 0; i < rows; i += some) {
        f->registers->at[0] = f->accumulators + i * c_row * f->size;
        program_run(&c->epilogue, f->runner, f->scratch, f->registers, row + i, minimum(some, rows - i), 0, columns,
                    c_row);
    }
}

/* ---- a row or two ---- */

/* Where part `part` of k begins. */
static int64_t part_row(const contract *c, int64_t part) {
    return part == c->parts ? c->k : frame_piece(c, c->pieces * part / c->parts).row;
}

/* A wide piece of the few rows. B in panels has whole vectors. */
static void multiply_rows(const frame *f, int64_t matrix, int64_t panel, char *into, int64_t c_row) {
    const contract *c = f->c;
    const char *b = frame_b(f, matrix, panel, &(k_piece){0});
    int64_t columns = minimum(c->width, c->n - panel * c->width);
    if (c->b_pair > 2 * f->real->lanes) columns = (columns + f->real->lanes - 1) & -(int64_t)f->real->lanes;
    for (int64_t i = 0; i < c->inner * c->m; i++) {
        const int64_t batch = axes_offset(c->batch_rank, c->batch_shape, c->a_batch, matrix * c->inner + i / c->m);
        const char *a = f->a + (batch + i % c->m * c->a_row) * f->size;
        char *sum = into + i * c_row * f->size, *more = f->accumulators + c->inner * c->m * c->width * f->size;
        for (int64_t part = 0; part < c->parts; part++) {
            const int64_t row = part_row(c, part), rows = part_row(c, part + 1) - row;
            call_row(f->runner, f->real, rows, a + row * c->a_col * f->size, c->a_col, b + row * c->b_row * f->size,
                     c->b_row, c->b_pair, part ? more : sum, columns);
            if (part > 0) f->real->map[CPU_ADD][0](sum, sum, more, NULL, columns);
        }
    }
}

/* One unit is a piece, or all of the rows. */
static void run_rows(frame *f) {
    const contract *c = f->c;
    const int64_t m = c->inner * c->m, pieces = c->whole_rows ? 1 : c->panels;
    int64_t first, last;
    runner_share(f->runner, contract_units(c), &first, &last);
    for (int64_t u = first; u < last; u++) {
        int64_t matrix = u / pieces;
        if (!c->whole_rows) {
            multiply_rows(f, matrix, u % pieces, f->accumulators, c->width);
            frame_finish(f, f->accumulators, matrix * m, m, u % pieces * c->width);
            continue;
        }
        for (int64_t i = 0; i < c->panels; i++)
            multiply_rows(f, matrix, i, f->accumulators + i * c->width * f->size, c->c_row);
        frame_finish_rows(f, matrix * m, m, c->n, c->c_row);
    }
}

/* ---- tiles ---- */

typedef struct unit {
    int64_t outer, panel, block;
} unit;

static bool step(int64_t *index, int64_t n) {
    if (++*index < n) return false;
    *index = 0;
    return true;
}

static void next_unit(const contract *c, unit *u) {
    if (c->panels_inside ? step(&u->panel, c->panels) && step(&u->block, c->blocks)
                         : step(&u->block, c->blocks) && step(&u->panel, c->panels))
        u->outer++;
}

static unit unit_at(const contract *c, int64_t index) {
    unit u = {0, 0, 0};
    if (index == 0) return u;
    u.outer = index / (c->blocks * c->panels);
    u.panel = c->panels_inside ? index % c->panels : index / c->blocks % c->panels;
    u.block = c->panels_inside ? index / c->panels % c->blocks : index % c->blocks;
    return u;
}

/* As frame_multiply, for a panel's first tile. */
static void multiply_first(frame *f, const tile_place *p, int64_t vectors, char *into, int64_t c_row) {
    const k_piece whole = frame_piece(f->c, 0);
    frame_first(f, f->real->tile[f->mode][p->height][vectors], frame_tiles(f, &whole, c_row, false),
                f->a + p->a * f->size, into);
}

/* Some register tiles, one above the other, with one epilogue. more: the thread has tiles behind them. */
static void run_unit(frame *f, const unit *u, const char *b, bool more) {
    const contract *c = f->c;
    const int64_t tile = u->block * c->stack, column = u->panel * c->width, vectors = frame_vectors(c, u->panel);
    tile_place p;
    frame_tile(f, u->outer, tile, &p);
    int64_t row = p.batch * c->m + p.i, rows = 0, c_row = c->narrow ? c->n : c->width;
    char *direct;
    for (int64_t left = minimum(c->stack, c->tiles - tile);;) {
        const int64_t alike = f->lying ? 1 : frame_alike(f, &p, left);
        frame_fetch(f, alike, c->left_tiles * (c->panels_inside ? c->panels : 1));
        direct = frame_direct(f, row + rows, column, more, &c_row);
        char *into = direct ? direct : f->accumulators + rows * c_row * f->size;
        if (f->lying)
            multiply_first(f, &p, vectors, into, c_row);
        else
            frame_multiply(f, &p, alike, b, column, vectors, into, c_row);
        rows += alike * p.height;
        left -= alike;
        if (left == 0) break;
        frame_next(f, &p, alike);
    }
    if (!direct) frame_finish(f, f->accumulators, row, rows, column);
}

static void run_tiles(frame *f) {
    const contract *c = f->c;
    int64_t first, last;
    runner_share(f->runner, contract_units(c), &first, &last);
    if (first == last) return;
    const k_piece all = {.segments = 1, .run = c->k};
    unit u = unit_at(c, first);
    int64_t made = -1, from = 0, to = 0; /* A's tiles that were made for an outer */
    const char *b = NULL;
    for (int64_t i = first; i < last; i++) {
        if (!b || u.block == 0 || c->panels_inside) b = frame_panel(f, u.outer, u.panel, &all);
        const int64_t tile = u.block * c->stack;
        if (c->make_left && (u.outer != made || tile < from || tile >= to)) {
            made = u.outer;
            from = tile;
            to = minimum((tile / c->left_tiles + 1) * c->left_tiles, minimum(c->tiles, tile + (last - i) * c->stack));
            contract_make_left(f, made, from, to - from, NULL);
        }
        run_unit(f, &u, b, i + 1 < last);
        next_unit(c, &u);
    }
}

void contract_run(const contract *c, const plan_runner *runner) {
    program_registers registers; /* the rest left unset: filling it would take longer than a small product */
    registers.program = NULL;
    frame f = {.c = c, .runner = runner, .registers = &registers, .size = c->dtype == SOMA_F64 ? 8 : 4};
    if (c->m == 0 || c->n == 0 || c->batch == 0) return;
    f.real = c->epilogue.real;
    f.mode = c->a_col == 1 ? CPU_A_ROWS : CPU_A_COLUMNS;
    f.b_size = c->pack_b && c->right.bfloat ? (int64_t)sizeof(uint16_t) : f.size;
    f.a = (const char *)runner->plan->bases[c->a] + c->a_offset * f.size;
    f.b = (const char *)runner->plan->bases[c->b] + c->b_offset * f.b_size;
    f.accumulators = runner->scratch;
    f.left = f.accumulators + c->left_at;
    f.packed = f.accumulators + c->packed_at;
    f.panel = f.accumulators + c->panel_at;
    f.scratch = f.accumulators + c->scratch_at;
    if (c->image->winograd.on) {
        if (!calls_refused(runner)) contract_run_winograd(&f);
    } else if (c->row_by_row) {
        if (c->parts == 1 || !calls_refused(runner)) run_rows(&f);
    } else if (c->whole_rows)
        contract_run_whole_rows(&f);
    else if (!c->blocked)
        run_tiles(&f);
    else if (!calls_refused(runner))
        contract_run_blocks(&f);
}
