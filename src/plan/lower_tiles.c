/* How a contraction is cut into tiles, blocks and parts: by its size alone. Every element is one sum in the order of k
 * however it is cut, so a row has the same bits alone and among others; only the parts of a deep k are sums of their
 * own, and how many there are depends on k and n. Rests on the caches' sizes and on the kernels' tiles. */
#include "plan/lower_contract.h"

enum {
    DEPTH_PACKED = 1024,
    DEPTH_LEAST = 256,
    COPIED_BYTES = 2400000 /* of A, in a block that copies B */,
    PIECE_ELEMENTS = 65536 /* of a piece of a product that is deeper than DEPTH_MAX, of A and B */,
    DEPTH_PART = 1024 /* at least, of a part of k */,
    BLOCK_ELEMENTS = 36864 /* of C in L2 */,
    UNITS = 16 /* that threads can share */,
    SHALLOW = 64 /* k of a product of which a unit's start is a good part */,
    PART_FLOPS = 2000000,
    INSIDE_ELEMENTS = 65536 /* of B that stay in L2 while all rows of A pass */,
    TOGETHER_ROWS = 8 /* of a matrix, that an epilogue takes by themselves */,
    LONG_EPILOGUE = 12 /* instructions */,
    LONG_UNITS = 8 /* of a long epilogue, that threads can share */,
    ROWS_DEPTH = 2048 /* of a product whose rows are finished as wholes */,
    ROWS_B_BYTES = 524288 /* of B in L2, where rows are finished as wholes */,
    ROWS_ELEMENTS = 8192 /* of C, of the rows of a unit */,
    ROWS_UNITS = 8 /* of whole rows, that threads can share */,
    EDGE_ROWS = 64 /* of a row of places, that tiles take at once where they leave padding out */,
    FINISH_ELEMENTS = 1024 /* of an epilogue's start, in L1 */,
    PARTS_PANELS = 16,
    LARGE = 200000 /* elements of A */,
    LARGE_COPIED = 300000
};

bool contract_has_parts(const contract *c, const cpu_real *real) {
    return c->k > DEPTH_MAX && c->n <= PARTS_PANELS * real->lanes * real->vectors;
}

bool contract_is_large(const contract *c, int64_t rows, bool copied, const cpu_real *real) {
    bool large = c->k > 1024 || rows * c->k > (copied ? LARGE_COPIED : LARGE);
    return large && !contract_has_parts(c, real) && c->segments == 1 && rows > 2 * real->rows && c->n > 4 * c->width;
}

static int64_t parts_of(int64_t n, int64_t most) {
    return n > most ? (n + most - 1) / most : 1;
}

static int64_t even_parts(int64_t n, int64_t most) {
    int64_t parts = parts_of(n, most);
    return n > 0 ? (n + parts - 1) / parts : 1;
}

/* k in pieces of about `depth`: parts of a run, or some segments. */
static void set_pieces(contract *c, int64_t depth) {
    c->piece_segments = c->segments;
    c->piece_run = c->run;
    if (c->run * c->segments > depth) c->piece_segments = c->run < depth ? even_parts(c->segments, depth / c->run) : 1;
    if (c->piece_segments == 1) c->piece_run = even_parts(c->run, depth);
    c->segment_pieces = parts_of(c->segments, c->piece_segments);
    c->run_pieces = parts_of(c->run, c->piece_run);
    c->pieces = c->segment_pieces * c->run_pieces;
    for (int i = 0; i < c->slab_rank; i++)
        c->pieces *= c->slab_shape[i];
}

enum { SET_BYTES = 4096, COLLIDING_ROWS = 64 };

/* Rows of A that lie in the same few sets of the first cache push each other out; enough of them that packing pays. */
static bool rows_collide(const contract *c, int64_t rows) {
    const int64_t stride = c->a_row * (int64_t)(c->dtype == SOMA_F64 ? 8 : 4);
    return c->a_col == 1 && c->segments == 1 && stride != 0 && stride % SET_BYTES == 0 && rows >= COLLIDING_ROWS &&
           c->k >= DEPTH_LEAST / 2 && c->n > 4 * c->width;
}

/* Products that outgrow the caches pack A by blocks of rows: few of them where each copies B, so that a tile of many
 * does, and A comes from the third cache. */
static void set_packed_blocks(contract *c) {
    c->blocked = c->pack_a = true;
    set_pieces(c, DEPTH_PACKED);
    const int64_t tile = c->tile_rows * c->piece_segments * c->piece_run * (c->dtype == SOMA_F64 ? 8 : 4);
    const int64_t most = c->pack_b ? minimum(COPIED_BYTES / tile, (c->tiles + 1) / 2) : 8;
    c->block_tiles = even_parts(c->tiles, most < 1 ? 1 : most);
    c->block_panels = c->pieces == 1 ? 1 : minimum(c->panels, 512 / c->width);
}

/* A few panels of a deep product are summed in parts: how many, and where they begin, depends on k and n alone. */
static void set_parts(contract *c, const cpu_real *real) {
    c->parts = 1;
    set_pieces(c, INT64_MAX);
    if (!contract_has_parts(c, real)) return;
    const int64_t panels = parts_of(c->n, real->lanes * real->vectors);
    c->parts = minimum(parts_of(UNITS, minimum(panels, UNITS / 2)), c->k / DEPTH_PART);
    set_pieces(c, DEPTH_LEAST);
}

/* Deep products of few elements: C in L2, k piece by piece. Parts are units of their own if there would be too few to
 * share: of a gradient for weights, the thread that has the first rows of a batch has written what the first part
 * reads. */
static void set_deep_blocks(contract *c, bool collide) {
    c->blocked = true;
    c->pack_a = collide;
    c->block_panels = even_parts(c->panels, 8);
    int64_t tiles = BLOCK_ELEMENTS / (c->block_panels * c->width * c->tile_rows);
    c->block_tiles = even_parts(c->tiles, tiles < 1 ? 1 : tiles);
    int64_t depth = PIECE_ELEMENTS / (c->block_tiles * c->tile_rows + c->block_panels * c->width);
    if (c->parts == 1) set_pieces(c, depth < DEPTH_LEAST ? DEPTH_LEAST : minimum(depth, DEPTH_PACKED));
    int64_t units = c->batch / c->inner * c->panels * parts_of(c->tiles, c->block_tiles);
    double flops = 2.0 * (double)(c->batch * c->m * c->n) * (double)c->k;
    c->parts_apart = c->parts > 1 && units < UNITS && flops >= (double)c->parts * PART_FLOPS;
}

/* Tiles are as tall as the kernels have them, even over m. */
void contract_cut(contract *c, contract_image *image, const cpu_real *real) {
    if (c->image->winograd.on) {
        winograd_cut(c, &image->winograd, real);
        return;
    }
    set_parts(c, real);
    c->panels = parts_of(c->n, c->width);
    c->vectors = c->width / real->lanes;
    c->last_vectors = (c->n - (c->panels - 1) * c->width + real->lanes - 1) / real->lanes;
    if (c->row_by_row) {
        c->tile_rows = c->inner * c->m;
        c->stack = 1;
        return;
    }
    int64_t rows = c->inner * c->m, outer = c->batch / c->inner;
    c->tile_rows = even_parts(c->m, c->image->edges.on && !c->image->edges.places ? EDGE_ROWS : real->rows);
    c->tiles = c->inner * parts_of(c->m, c->tile_rows);
    int64_t all = c->tiles * c->panels * outer, most = STACK_ROWS / minimum(c->tile_rows, STACK_ROWS);
    c->stack = all >= 64 ? most : all >= 32 ? minimum(2, most) : 1;
    c->stack = even_parts(c->tiles, c->stack);
    c->panels_inside = c->panels > 1 && !c->pack_b && c->k * c->n <= INSIDE_ELEMENTS && rows * c->k > INSIDE_ELEMENTS;
    const bool collide = rows_collide(c, rows);
    if (c->parts == 1 && (collide || contract_is_large(c, rows, c->pack_b, real)))
        set_packed_blocks(c);
    else if (c->k > DEPTH_MAX)
        set_deep_blocks(c, collide);
    c->blocks = c->blocked ? parts_of(c->tiles, c->block_tiles) : parts_of(c->tiles, c->stack);
}

bool contract_keeps_right(int64_t depth, int64_t columns, soma_dtype dtype) {
    return depth <= ROWS_DEPTH && depth * columns * (int64_t)soma_dtype_size(dtype) <= ROWS_B_BYTES;
}

/* Are there rows enough for a team, too? */
static bool rows_pay(int64_t depth, int64_t columns, soma_dtype dtype, int64_t tiles) {
    return contract_keeps_right(depth, columns, dtype) && tiles >= ROWS_UNITS;
}

bool contract_takes_rows(const build *b, const group *g) {
    const cpu_real *real = cpu_real_of(b->plan->kernels, g->dtype);
    if (g->kind != GROUP_CONTRACT) return false;
    const soma_tensor *t = g->root;
    const int64_t n = t->shape[t->rank - 1], tiles = shape_size(t->rank - 1, t->shape) / real->rows;
    return n > real->lanes * real->vectors && rows_pay(t->inputs[0]->shape[t->rank - 1], n, t->dtype, tiles);
}

/* Whole rows at a time: where the epilogue reduces them, and, with rows enough for a team, where it reads or stores
 * arrays beside the product. Arrays in panels are walked panel by panel. */
static void set_whole_rows(contract *c, const cpu_real *real) {
    const tile_program *p = &c->epilogue;
    const int64_t rows = c->inner * c->m, outer = c->batch / c->inner;
    bool wanted = c->panels > 1 && c->direct < 0 && !c->row_by_row && c->parts == 1 &&
                  rows_pay(c->k, c->panels * c->width, c->dtype, outer * c->tiles) &&
                  (!c->pack_b || rows >= ROWS_PACKED);
    for (int i = 0; i < p->n_accesses; i++)
        wanted = wanted && !p->accesses[i].width;
    c->whole_rows = wanted || (p->whole_rows && c->panels > 1);
    if (!c->whole_rows) return;
    c->blocked = c->pack_a = false;
    c->parts = 1;
    set_pieces(c, INT64_MAX);
    c->c_row = (c->panels - 1) * c->width + c->last_vectors * real->lanes;
    if (!c->row_by_row) {
        c->stack = minimum(STACK_ROWS, ROWS_ELEMENTS / c->c_row) / c->tile_rows;
        c->stack = minimum(c->stack, outer * c->tiles / ROWS_UNITS);
        c->stack = even_parts(c->tiles, c->stack < 1 ? 1 : c->stack);
        c->blocks = parts_of(c->tiles, c->stack);
    }
    c->finish_rows = FINISH_ELEMENTS / c->c_row;
    if (c->finish_rows < 1) c->finish_rows = 1;
    if (p->block < c->finish_rows * c->c_row) c->epilogue.block = c->finish_rows * c->c_row;
}

/* Rows of C that are no whole vectors may be written in their place in order, each one's tail under what is written
 * next, if a tile has no longer tail than the shortest one behind it. */
static bool tails_fit(const contract *c, const cpu_real *real) {
    if (c->direct < 0 || !c->epilogue.accesses[c->direct].dense || c->panels > 1 || c->pieces > 1) return false;
    const int64_t rest = c->m % c->tile_rows, least = rest ? rest : c->tile_rows;
    return (1 + least) * c->n >= c->last_vectors * real->lanes;
}

/* Starting a unit takes as long as a few steps of k: where these are few, and no epilogue follows, units are larger. */
static void set_shallow(contract *c) {
    if (c->direct < 0 || c->blocked || c->k > SHALLOW) return;
    const int64_t most = c->tiles * c->panels * (c->batch / c->inner) / (2 * UNITS);
    if (most <= c->stack) return;
    c->stack = even_parts(c->tiles, most);
    c->blocks = parts_of(c->tiles, c->stack);
    const int64_t tile = c->stack * c->tile_rows * c->width; /* a last panel that is not whole vectors is copied */
    if (c->epilogue.block < tile) c->epilogue.block = tile;
}

/* What shares an epilogue. A long one is started for as many tiles as it may be, where panels are enough for a team;
 * arrays in panels are used where they lie matrix by matrix, but a few rows are copied as cheaply. */
static void set_shared(contract *c) {
    const tile_program *p = &c->epilogue;
    const int64_t most = STACK_ROWS / minimum(c->tile_rows, STACK_ROWS);
    if (c->row_by_row) return;
    if (p->n_instructions >= LONG_EPILOGUE && c->panels * (c->batch / c->inner) >= LONG_UNITS && !c->blocked)
        c->stack = even_parts(c->tiles, most);
    for (int i = 0; i < p->n_accesses; i++) {
        const tile_access *a = &p->accesses[i];
        if (a->width && a->matrix_rows != p->space.rows && a->matrix_rows >= TOGETHER_ROWS)
            c->together = c->together ? minimum(c->together, a->matrix_rows) : a->matrix_rows;
    }
    if (c->together >= c->m) c->stack = minimum(c->stack, c->tiles / c->inner);
    if (!c->blocked) c->blocks = parts_of(c->tiles, c->stack);
}

void contract_cut_epilogue(contract *c, contract_image *image, const cpu_real *real) {
    if (c->image->winograd.on) {
        winograd_cut_epilogue(c, &image->winograd);
        return;
    }
    set_shared(c);
    int64_t tile = c->stack * c->tile_rows * c->width;
    tile_program *p = &c->epilogue;
    if (p->block < tile) p->block = tile;
    c->direct = -1;
    if (p->n_instructions == 1 && p->instructions[0].kind == INSTRUCTION_STORE && !c->row_by_row && c->parts == 1) {
        const tile_access *a = &p->accesses[p->instructions[0].access];
        const int last = p->space.row_rank - 1; /* a tile's rows are even; a block's must be */
        bool even = last <= 0 || (!c->blocked && p->space.row_shape[last] % c->m == 0);
        if (even && !a->width && a->dtype == c->dtype && a->column_stride == 1) c->direct = p->instructions[0].access;
    }
    c->tails = tails_fit(c, real);
    if (c->direct >= 0 && c->pack_a) c->block_panels = c->panels; /* the sums are in C: A is packed once */
    c->narrow =
        !c->row_by_row && c->direct < 0 && !c->blocked && c->pieces == 1 && c->panels == 1 && 2 * c->n <= c->width;
    for (int i = 0; i < p->n_accesses; i++)
        c->narrow = c->narrow && !p->accesses[i].width;
    set_whole_rows(c, real);
    set_shallow(c);
}
