/* What a compiled plan is made of: storages, tile programs and steps, as the run reads them.
 * Rests on cpu.h for kernels and on the team for threads. filled by lower.c, placement.c and schedule.c; never changed
 * by a run, but for pointers of inputs and variables. */
#ifndef PLAN_STEPS_H
#define PLAN_STEPS_H

#include <stdatomic.h>

#include <soma/plan.h>

#include "cpu/cpu.h"
#include "ops/op.h"

/* ---- storages: every array a plan touches ---- */

typedef struct plan_rows plan_rows;
typedef struct kernel_call kernel_call;
typedef struct call_list call_list;

typedef enum storage_kind { STORAGE_ARENA, STORAGE_VARIABLE, STORAGE_INPUT, STORAGE_CONSTANT } storage_kind;

typedef struct plan_storage {
    storage_kind kind;
    soma_dtype dtype;
    int64_t elements; /* with the padding of panels; behind them STORAGE_SLACK more in arena and variables */
    int64_t width;    /* panels of a matrix stack (rows, columns): [batch][columns/width][rows][width]; 0: row-major */
    int64_t rows, columns; /* of the matrices, when width != 0 */
    size_t bytes;
    size_t offset;     /* arena */
    int first, last;   /* steps that use it, for the memory plan */
    int place, until;  /* the storage in whose place it lies, itself or another; last of all that lie in its own */
    bool output;       /* read by the user after the run: never shared */
    bool own;          /* every thread has a copy of its own, the first one's is in the arena */
    size_t own_offset; /* in the others' memory for such copies */
    soma_variable *variable;
    const soma_tensor *input; /* the user's tensor, for binding */
    const char *name;         /* the input's */
    const void *data;         /* constants */
} plan_storage;

/* How a program walks a storage over its space: element (row, column) at offset + rows' strides + column*stride.
 * In panels, offset is that of the first element's place there, and rows follow each other. */
typedef enum access_class { ACCESS_UNIFORM, ACCESS_ROW, ACCESS_COLUMN, ACCESS_FULL } access_class;

typedef struct tile_access {
    int storage; /* -1: iota, the element is its own index */
    soma_dtype dtype;
    access_class kind;
    int64_t offset;
    int64_t row_strides[SOMA_MAX_RANK]; /* over the space's row axes */
    int64_t column_stride;
    int64_t width;               /* of panels: the space's rows are those of a stack of matrices, or some of one's */
    int64_t matrix_rows, panels; /* of each matrix in panels: as far as they are of the space; all of them */
    int64_t panel_rows;          /* that a panel has in memory */
    int width_shift;             /* width == 1 << width_shift */
    bool dense;                  /* rows follow each other without gap in the space's own order */
} tile_access;

/* ---- tile programs ---- */

/* The iteration space: rows (several axes) x columns (one). */
typedef struct tile_space {
    int row_rank;
    int64_t row_shape[SOMA_MAX_RANK];
    int64_t rows, columns;
} tile_space;

typedef enum instruction_kind {
    INSTRUCTION_LOAD,   /* register from access */
    INSTRUCTION_STORE,  /* access from register */
    INSTRUCTION_MAP,    /* element by element */
    INSTRUCTION_REDUCE, /* full register to one value a row */
    INSTRUCTION_PICK,   /* one value a row: a row's element at the place that the second argument says, else 0 */
    INSTRUCTION_PUT,    /* of dst, which is there already, each row's element at such a place becomes the row's value */
    INSTRUCTION_UNIFORM_RANDOM,
    INSTRUCTION_NORMAL_RANDOM
} instruction_kind;

typedef struct tile_instruction {
    instruction_kind kind;
    access_class result;          /* class of dst: uniform, row or full */
    bool by_rows;                 /* map with full result and a row argument */
    bool in_place;                /* store: the value may be computed where it is stored */
    int past;                     /* store: past the caches, by the registers' line past - 1; 0 */
    bool single;                  /* load of a number that is read as one everywhere: used where it lies */
    int together;                 /* so many instructions from here on go through a long row piece by piece; 0 */
    uint8_t variant, row_variant; /* scalar bits of uniform arguments; the row arguments' bits */
    int n_arguments;
    int dst, arguments[3];  /* registers; store: arguments[0] */
    int access;             /* load, store, random (its index space) */
    int step;               /* random: access of the int64 step, -1 none */
    cpu_map_fn *const *map; /* eight variants */
    cpu_map_fn *plain;      /* the one that does a whole block at once, NULL when rows need turns */
    cpu_reduce_fn *reduce;
    uint64_t key; /* random */
    int code;     /* map or reduce, for printing */
} tile_instruction;

typedef struct tile_program {
    const cpu_real *real;
    soma_dtype dtype; /* SOMA_F32 or SOMA_F64: the type of registers */
    tile_space space;
    tile_access *accesses;
    int n_accesses;
    tile_instruction *instructions;
    int n_instructions;
    int n_registers;  /* register 0 is preset by a contraction or reduction, unused otherwise */
    int *slots;       /* register -> slot in scratch, shared by registers that do not live together; numbers: -2 - n */
    int64_t *offsets; /* the same in bytes; 0 for register 0 */
    bool *passes;     /* registers that hold a row, of which pieces go through some instructions */
    int n_slots, n_numbers;
    int n_stores; /* stores come first in `stores`, by instruction */
    int *stores;
    int n_before, n_each; /* of a plain program: what is done once, numbers and what all rows read, and in each piece */
    int *before, *each;
    bool plain;        /* nothing but loads, maps and stores, none of which wants rows in turn */
    bool repeats;      /* reads what is the same in all rows */
    bool whole_result; /* a reduction wants a block's result in one piece */
    int64_t chunk;     /* elements that a plain program takes through all its maps at a time */
    bool far;          /* its arrays are larger than caches: the next block's are asked for ahead */
    int past;          /* stores past the caches */
    int64_t block;     /* elements of a slot */
    int64_t width;     /* of the panels that some arrays lie in, 0: none do, or rows must be whole */
    bool whole_rows;   /* has reductions: a block holds whole rows */
} tile_program;

enum { PROGRAM_MAX_REGISTERS = 96, PROGRAM_MAX_ROWS = 256, PROGRAM_PAD = 64, PROGRAM_MAX_PAST = 4 };
/* Elements behind an array that whole vectors may touch: they may start anywhere and so end up to one behind. */
enum { STORAGE_SLACK = 15 };

/* ---- steps ---- */

struct plan_runner;

typedef enum step_kind { STEP_MAP, STEP_CONTRACT, STEP_REDUCE, STEP_PACK, STEP_KERNEL, STEP_COPY } step_kind;

/* Any strided matrix stack into panels. */
typedef struct pack_step {
    int source, destination;
    int before;              /* the step that packed the same node before, in another way; -1 */
    const soma_tensor *node; /* whose elements are packed: a variable's storage holds the old, then the new value */
    soma_dtype dtype;
    int64_t batch;
    int batch_rank;
    int64_t batch_shape[SOMA_MAX_RANK], batch_strides[SOMA_MAX_RANK];
    int64_t offset, row_stride, column_stride, rows, columns, width;
    int64_t segments, segment_stride; /* matrices of so many rows below each other */
    int64_t source_width;             /* source in panels (then plain or transposed by the strides' roles) */
    bool bfloat;                      /* source is bfloat16, not in panels */
    bool transposed;                  /* source panels hold the transpose */
} pack_step;

enum { CONTRACT_AXES = 16 };

/* Padding that is not there: A's strides are those of an array of this shape, of which the storage has the elements
 * low .. high-1 of each axis, in strides from the offset on, and the others are zero. The last axis is a run. */
typedef struct contract_padding {
    int rank; /* 0: A is as it is */
    int64_t offset, shape[SOMA_MAX_RANK], low[SOMA_MAX_RANK], high[SOMA_MAX_RANK], stride[SOMA_MAX_RANK];
} contract_padding;

/* An axis that padding made longer: the array's own elements are low .. high-1, and a window's are at place*place_step
 * + seen*seen_step. */
typedef struct window_axis {
    int64_t low, high, place_step, seen_step;
} window_axis;

/* Padding that tiles leave out (contract_edges.c), while A's strides are those of the array itself: rows of C are the
 * places of a row of an image, a run is what windows see of its places. */
enum { EDGE_TAPS = 16 };
typedef struct contract_edges {
    bool on;
    int64_t segments, segment;                /* rows of the image that a window sees, so far apart; */
    int64_t taps, tap;                        /* places of each, elements of a place */
    int64_t first[EDGE_TAPS], end[EDGE_TAPS]; /* rows of C that see such a place of the image itself */
    int64_t inside, inside_end;               /* and those that see no column of the padding */
    window_axis row;                          /* of segments; its places are the last axis of the batch */
    bool places;  /* the gradient for weights: rows of C are taps, a run is a row of places, of which first .. end-1 see
                     a tap, and segments are such rows, of which windows see rows of the image by the last axis of the
                     batch */
    int64_t each; /* elements of the image, from a row of places to the next, by place */
} contract_edges;

/* A convolution of 3 x 3 places, one apart, by Winograd's transforms, or the gradient for its weights: tiles of four by
 * four results, each of which sees six by six places of A. A strip is a row of them, or a piece of a long one. */
typedef struct winograd {
    bool on, weights;
    int64_t samples, sample; /* how many, and how far apart in A */
    int64_t places[2];       /* of results, along columns and rows */
    int64_t stride[2];       /* of A's places */
    int64_t low[2], high[2]; /* those of the places that windows see that are A's own: the others are zero */
    int64_t channels;
    int64_t tiles[2], pieces, longest; /* of a sample; of a row of tiles, and tiles of the longest piece */
    int64_t strips, group, groups;     /* in all; that go together; how often */
    int64_t rows;                      /* of C, most in a thread's memory */
    bool own_kernel;                   /* each thread makes the kernel's planes for itself */
    bool far;                          /* its arrays are larger than caches: what comes next is asked for ahead */
    int64_t plane_a, plane_b, plane_c; /* elements from plane to plane of what A, B or the sums, and C or dy become */
} winograd;

/* What only products that see windows of images have: one of these. */
typedef struct contract_image {
    contract_padding padding;
    contract_edges edges;
    winograd winograd; /* instead of all that says how A lies, and of tiles and pieces of k */
} contract_image;

/* C = A B over a stack of matrices, of which some neighbours may have one B; every finished tile goes through the
 * epilogue's register 0. k is slabs (axes) x segments x a run: the windows of an image are so. A call of a tile kernel
 * takes a piece of it. */
typedef struct contract {
    soma_dtype dtype;
    int64_t m, n, k, batch;
    int64_t inner; /* matrices in a row that have one B */
    int batch_rank, slab_rank;
    int64_t batch_shape[CONTRACT_AXES], slab_shape[CONTRACT_AXES];
    int a; /* storage, element (batch, i, slab, s, p) at a_offset + strides + i*a_row + s*a_segment + p*a_col */
    int64_t a_offset, a_row, a_segment, a_col, a_batch[CONTRACT_AXES], a_slab[CONTRACT_AXES];
    bool widen; /* A is bfloat16 */
    const contract_image *image;
    bool make_left;        /* for either: what a unit reads of A is made in the thread's memory, */
    int64_t left_tiles;    /* for so many tiles at a time; */
    int64_t left_elements; /* it has room for so many */
    int64_t segments, run;
    int64_t b_segment; /* from a segment's first row of B to the next one's */
    int b;             /* storage, row r of the matrix of a batch at b_offset + strides + panel*b_panel + r*b_row */
    int64_t b_offset, b_row, b_panel, b_batch[CONTRACT_AXES];
    bool pack_b; /* by each thread, panel by panel, from b as `right` says; */
    bool copy_b; /* a whole panel by its first tile, on its way */
    pack_step right;
    bool banded; /* leaves out what bands.c found: A's row i is zero but for columns i + a_low .. i + a_high, and of C's
                    only columns i + c_low .. i + c_high are wanted */
    int64_t a_low, a_high, c_low, c_high;
    bool ends;       /* whole rows: above i + c_high the epilogue has nothing to do but to store zeros */
    bool row_by_row; /* a row or two of C, B as it lies or in panels: no tiles; */
    int64_t b_pair;  /* then two vectors of B's columns begin so far from the next two */
    int64_t width, vectors, last_vectors;       /* of a panel of B and C; vectors of the last one */
    int64_t panels, tile_rows, tiles;           /* rows of a register tile; tiles over the rows that have one B */
    int64_t stack;                              /* tiles that share an epilogue */
    int64_t piece_segments, piece_run;          /* of k */
    int64_t segment_pieces, run_pieces, pieces; /* in a slab's segments, in a run, in all */
    bool panels_inside;                         /* every few rows through all panels, not every panel over all rows */
    bool whole_rows;                            /* so, and then the epilogue over whole rows, which lie row-major, */
    int64_t c_row, finish_rows;                 /* so far apart, and go through it so many at a time */
    int64_t together; /* rows of a matrix, of a stack in panels that the epilogue walks: they go by themselves; 0 */
    bool narrow; /* C is much narrower than a panel: rows lie close together for the epilogue, each row's tail under the
                    next, as kernels write them in order */
    bool blocked; /* blocks of C, through k piece by piece */
    bool pack_a;  /* A's part of a block and piece in a form of its own */
    int64_t block_tiles, block_panels, blocks;
    int64_t parts;    /* of k's pieces, each with sums of its own: added in order */
    bool parts_apart; /* parts are units of their own */
    int partial;      /* storage of [parts][panels][batch*m][width] then, of [parts][panels][planes], or -1 */
    int direct;       /* access index of the epilogue's only store, when tiles can be written in place; else -1 */
    bool tails;       /* rows follow each other there: each one's tail may lie under the next */
    size_t left_at, packed_at, panel_at, scratch_at,
        scratch_bytes; /* of a thread's scratch: where its parts begin, all of it */
    tile_program epilogue;
} contract;

/* What threads share of a contraction that neither blocks nor transforms cut: pieces or tiles with one epilogue. */
static inline int64_t contract_units(const contract *c) {
    return c->batch / c->inner * (c->whole_rows ? 1 : c->panels) * (c->row_by_row ? 1 : c->blocks);
}

/* Reduction that is not along a row in L1: outer x reduced x inner. */
typedef struct reduction {
    cpu_reduce code;
    int64_t outer, reduced, inner;
    int64_t chunk; /* reduced elements a unit */
    int64_t chunks;
    int64_t block;          /* inner elements a unit */
    int64_t together;       /* rows of pre that lie in one matrix of panels, 0: nothing does */
    int partial;            /* storage of [chunks][outer][inner] when chunks > 1, else -1 */
    tile_program pre, post; /* post's register 0 is the result */
    int pre_result;         /* register of pre that is reduced */
} reduction;

/* One node by its own kernel, or by the reference. */
typedef struct kernel_step {
    const soma_tensor *node;
    soma_status (*run)(
        const soma_tensor *node, const op_view *inputs, op_view *output,
        const struct plan_runner *runner); /* a thread's part of it; NULL: the reference, on one thread */
    int n_inputs;
    int *storages;
    op_view *inputs; /* data: element offset until the run adds the base */
    op_view output;
    int destination;
} kernel_step;

/* A new value to its variable, row-major both, or panels of one width both. */
typedef struct copy_step {
    int from, to;
} copy_step;

typedef struct plan_step {
    step_kind kind;
    bool parallel;       /* all threads take part; else thread 0 alone */
    bool barrier;        /* all threads meet before it */
    bool barrier_inside; /* and once within (reductions in chunks) */
    bool everywhere;     /* parallel, but every thread does all of it, into copies of its own */
    bool row;            /* map with reductions along rows */
    bool again;          /* of a copy, while the original is computed too */
    const char *text;
    double flops, bytes;
    const kernel_call *calls; /* instead of all below, where it is small; NULL */
    int n_calls;
    union {
        tile_program map;
        contract *contract;
        reduction *reduction;
        pack_step pack;
        kernel_step kernel;
        copy_step copy;
    } as;
} plan_step;

struct soma_plan {
    soma_context *context;
    arena arena;       /* everything the plan is made of */
    soma_graph *graph; /* the simplified nodes, for kernel steps and printing */
    const cpu_kernels *kernels;
    plan_storage *storages;
    void **bases; /* per storage, and behind them the scratch of the first thread */
    int n_storages;
    int *outside, n_outside; /* storages of variables and inputs */
    plan_step *steps;
    int n_steps;
    const kernel_call *calls; /* of all steps, if every one is small; NULL */
    int n_calls;
    int n_targets;
    int *targets; /* storage per target, -1 for assigns */
    void *memory; /* the arena of tensors, the outputs, the scratch; NULL when it is shared: */
    const struct shared_memory *shared;
    size_t memory_bytes, arena_bytes;
    size_t scratch_bytes; /* a thread's */
    int threads;          /* that take part, 1 when no step is parallel */
    void **own_bases;     /* [threads - 1][n_storages]: the bases of all threads but the first, set in each run */
    size_t own_bytes;     /* a thread's copies of storages, behind all threads' scratch */
    plan_rows *rows;      /* inputs that are gathered */
};

/* ---- running (run_*.c, program_*.c) ---- */

/* The arrays are in this memory, as large as the plan needs: sets their bases, unless they are there already. */
void plan_put_arrays(const soma_plan *plan, void *memory);

/* Who runs, and where a step records its failure: the steps after it are left out. */
typedef struct plan_runner {
    const soma_plan *plan;
    int thread, threads;
    char *scratch;
    atomic_int *status; /* shared by the team: the first failure */
    call_list *writing; /* nothing is run: kernels' calls are written down; else NULL */
} plan_runner;

/* ---- inputs gathered row by row (run_rows.c) ---- */

void rows_unbind(soma_plan *plan, const soma_tensor *input);
void rows_free(soma_plan *plan);
/* This thread's part of it; true when all have to meet before the first step. */
bool rows_gather(const soma_plan *plan, int thread, int threads);
/* Sets the bases of inputs of which the thread has a copy of its own. */
void rows_connect(const soma_plan *plan, int thread, void **bases);

/* One step, or this thread's part of it. */
void plan_run_step(const plan_step *s, const plan_runner *r);
/* The whole plan once; times as in soma_plan_run_timed, or NULL. */
soma_status plan_run(const soma_plan *plan, soma_plan_time *times);

/* Where a thread's registers are while it runs a program over one block after the other, and which block was last: what
 * is the same in all rows is still in its registers then. */
typedef struct program_registers {
    const tile_program *program; /* NULL at first */
    int64_t rows, column, columns, ld;
    void *at[PROGRAM_MAX_REGISTERS];
    cpu_line past[PROGRAM_MAX_PAST]; /* of programs with stores past the caches: zeros at first, and stored at last */
} program_registers;

/* The program on the block of rows row..row+rows-1 and columns column..column+columns-1; ld is the distance of rows in
 * registers. registers->at[0] must be set when the program reads it. */
void program_run(const tile_program *program, const plan_runner *runner, char *scratch, program_registers *registers,
                 int64_t row, int64_t rows, int64_t column, int64_t columns, int64_t ld);
/* A plain program on any number of rows, ld == columns, piece by piece: `done` (unless NULL) gets each piece, n
 * elements that are whole rows, as soon as registers hold it. False where it cannot be run so, and nothing has been
 * done. */
typedef void program_piece(void *user, int64_t n);
bool program_run_pieces(const tile_program *program, const plan_runner *runner, char *scratch,
                        program_registers *registers, int64_t row, int64_t rows, int64_t column, int64_t columns,
                        program_piece *done, void *user);
/* Works out what a run needs often; once the size of blocks is settled. Large arrays that nobody reads in the plan are
 * stored past the caches; storages: NULL if none is. */
void program_prepare(tile_program *program, const plan_storage *storages);
/* Scratch a program needs. */
size_t program_scratch(const tile_program *program);
/* Element offset of row `row` for an access that is not in panels. */
int64_t access_row_offset(const tile_access *access, const tile_space *space, int64_t row);

void map_run(const tile_program *program, const plan_runner *runner);
void contract_run(const contract *contract, const plan_runner *runner);
void reduction_run(const reduction *reduction, const plan_runner *runner);
void pack_run(const pack_step *pack, const plan_runner *runner);
/* Rows row .. row+rows-1 of one panel of a matrix; all of them where the source is in panels or in segments. */
void pack_panel(const pack_step *pack, const cpu_real *real, char *dst, const char *matrix, int64_t panel, int64_t row,
                int64_t rows);
void kernel_run(const kernel_step *kernel, const plan_runner *runner);
/* Lays out a thread's scratch, and prepares the epilogue. */
void contract_prepare(contract *contract);
size_t reduction_scratch(const reduction *reduction);

/* The part [*first, *last) of n units that is this thread's. */
static inline void runner_share(const plan_runner *runner, int64_t n, int64_t *first, int64_t *last) {
    *first = 0;
    *last = n;
    if (runner->threads == 1) return;
    *first = n * runner->thread / runner->threads;
    *last = n * (runner->thread + 1) / runner->threads;
}

/* Part i of n of some bytes on their way into the cache. The empty assembly is what keeps it: gcc takes a function of
 * nothing but requests for one without effect, and leaves its calls out. */
static inline void fetch_part(const char *from, int64_t bytes, int64_t i, int64_t n) {
    for (int64_t at = bytes * i / n & ~(int64_t)63, end = bytes * (i + 1) / n; at < end; at += 64)
        __builtin_prefetch(from + at);
    __asm__ volatile("");
}

static inline int64_t minimum(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* How many places, `step` apart, begin before element `at`. */
static inline int64_t places_before(int64_t at, int64_t step) {
    return at <= 0 ? 0 : (at + step - 1) / step;
}

/* Pads a count of elements to whole vectors of the widest kind. */
static inline int64_t vector_pad(int64_t elements) {
    return (elements + 15) & ~(int64_t)15;
}

#endif
