/* The kernels of one instruction set, as a table: what the compiler's steps call.
 * Every table is compiled from the same sources with other flags (kernels.def lists them); choice is at run time.
 * All kernels of a real type (f32, f64) work in that type; "registers" are 64-byte aligned tiles that live in L1.
 * Nothing here allocates, locks or knows of threads; equal input gives equal bits at a given instruction set. */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <soma/tensor.h>

/* The map ops, X(NAME, inputs, "formula"). The tile program's instructions; comparisons and logic give 0 or 1. */
#define CPU_MAP_LIST(X)                                                                                                \
    X(COPY, 1, "a")                                                                                                    \
    X(NEG, 1, "-a")                                                                                                    \
    X(ABS, 1, "|a|")                                                                                                   \
    X(SIGN, 1, "sign a")                                                                                               \
    X(SQUARE, 1, "a*a")                                                                                                \
    X(SQRT, 1, "sqrt a")                                                                                               \
    X(RSQRT, 1, "1/sqrt a")                                                                                            \
    X(RECIPROCAL, 1, "1/a")                                                                                            \
    X(EXP, 1, "exp a")                                                                                                 \
    X(EXPM1, 1, "exp a - 1")                                                                                           \
    X(LOG, 1, "log a")                                                                                                 \
    X(LOG1P, 1, "log(1+a)")                                                                                            \
    X(SIN, 1, "sin a")                                                                                                 \
    X(COS, 1, "cos a")                                                                                                 \
    X(TAN, 1, "tan a")                                                                                                 \
    X(TANH, 1, "tanh a")                                                                                               \
    X(SIGMOID, 1, "1/(1+exp -a)")                                                                                      \
    X(ERF, 1, "erf a")                                                                                                 \
    X(FLOOR, 1, "floor a")                                                                                             \
    X(CEIL, 1, "ceil a")                                                                                               \
    X(ROUND, 1, "round a, half to even")                                                                               \
    X(TRUNC, 1, "trunc a")                                                                                             \
    X(ISNAN, 1, "a is NaN")                                                                                            \
    X(ISFINITE, 1, "a is finite")                                                                                      \
    X(NOT, 1, "a == 0")                                                                                                \
    X(ADD, 2, "a+b")                                                                                                   \
    X(SUB, 2, "a-b")                                                                                                   \
    X(MUL, 2, "a*b")                                                                                                   \
    X(DIV, 2, "a/b")                                                                                                   \
    X(MOD, 2, "a - b*floor(a/b)")                                                                                      \
    X(POW, 2, "a^b")                                                                                                   \
    X(ATAN2, 2, "atan2(a,b)")                                                                                          \
    X(MAXIMUM, 2, "max(a,b), NaN if either is")                                                                        \
    X(MINIMUM, 2, "min(a,b), NaN if either is")                                                                        \
    X(EQUAL, 2, "a==b")                                                                                                \
    X(NOT_EQUAL, 2, "a!=b")                                                                                            \
    X(LESS, 2, "a<b")                                                                                                  \
    X(LESS_EQUAL, 2, "a<=b")                                                                                           \
    X(GREATER, 2, "a>b")                                                                                               \
    X(GREATER_EQUAL, 2, "a>=b")                                                                                        \
    X(AND, 2, "a!=0 && b!=0")                                                                                          \
    X(OR, 2, "a!=0 || b!=0")                                                                                           \
    X(XOR, 2, "(a!=0) != (b!=0)")                                                                                      \
    X(WHERE, 3, "a!=0 ? b : c")                                                                                        \
    X(FMA, 3, "a*b+c")                                                                                                 \
    X(FNMA, 3, "c-a*b")                                                                                                \
    X(MUL_RSQRT, 2, "a/sqrt b")                                                                                        \
    X(MUL_RSQRT_SUM, 3, "a/sqrt(b+c)")                                                                                 \
    X(BLEND, 3, "a + (b-a)*c")                                                                                         \
    X(BLEND_SQUARE, 3, "a + (b*b-a)*c")                                                                                \
    X(DIV_ROOT_PLUS, 3, "a/(sqrt b + c)")                                                                              \
    X(EXP_SUB, 2, "exp(a-b)")

typedef enum cpu_map {
#define CPU_MAP_ENUM(name, inputs, formula) CPU_##name,
    CPU_MAP_LIST(CPU_MAP_ENUM)
#undef CPU_MAP_ENUM
        CPU_MAP_COUNT
} cpu_map;

/* Reductions of a row, X(NAME). ARGMAX and ARGMIN give the first index, as a number of the real type; NaN wins. */
#define CPU_REDUCE_LIST(X)                                                                                             \
    X(SUM)                                                                                                             \
    X(PROD)                                                                                                            \
    X(MAX)                                                                                                             \
    X(MIN)                                                                                                             \
    X(ARGMAX)                                                                                                          \
    X(ARGMIN)
typedef enum cpu_reduce {
#define CPU_REDUCE_ENUM(name) CPU_REDUCE_##name,
    CPU_REDUCE_LIST(CPU_REDUCE_ENUM)
#undef CPU_REDUCE_ENUM
        CPU_REDUCE_COUNT
} cpu_reduce;

/* C[rows][columns] (+)= A[rows][segments*k] * B[segments*k][columns] for register tiles one below the other.
 * A: element (i, s*k + p) at a[i*a_row + s*a_segment + p*a_col]: windows over an image lie so, a segment for each of
 * its rows; the next tile's begins a_tile elements on. B: row p of segment s at b + s*b_segment + p*b_row, columns =
 * vectors*lanes, all of them readable; alignment of one element is enough, of 64 bytes faster. C: row i at c + i*c_row,
 * the next tile's behind; written whole (columns elements a row), any alignment. accumulate: the sums begin with what C
 * holds, not with zeros. tiles >= 1; segments and k >= 0 (0 without accumulate writes zeros). Every sum is one chain of
 * multiply-adds, in order: an element has the same bits whatever the tile's extents, and whether k comes at once or in
 * pieces. copy, unless NULL: the rows of B are written there, one after the other without gaps; one tile of the
 * greatest width only. */
typedef struct cpu_tiles {
    int64_t segments, k;
    int64_t a_row, a_col, a_segment, a_tile;
    int64_t b_row, b_segment;
    int64_t c_row;
    int64_t ahead; /* elements that what is asked for meanwhile, some columns of A on, lies behind these */
    bool accumulate;
} cpu_tiles;
typedef void cpu_tile_fn(const cpu_tiles *t, int64_t tiles, const void *a, const void *b, void *c, void *copy);

/* dst[i] = op(a[i], b[i], c[i]). n is rounded up to whole vectors: the caller pads. dst may be any of the inputs.
 * Alignment of one element is enough.
 * An input may be one number for all i: which ones is chosen by the variant. */
typedef void cpu_map_fn(void *dst, const void *a, const void *b, const void *c, int64_t n);

/* Between storage dtypes and the real type, exactly n elements, no alignment. step counts elements of src (load) or dst
 * (store), 1 when contiguous, may be 0 (load) or negative. Floats to integers truncate toward zero, saturating. */
typedef void cpu_load_fn(void *dst, const void *src, int64_t step, int64_t n);
typedef void cpu_store_fn(void *dst, int64_t step, const void *src, int64_t n);

/* dst[r] = op over src[r*src_row + 0..columns-1], exactly; fixed order, columns >= 1 (0 for SUM, PROD: 0, 1). A row is
 * reduced piece by piece, and then what its pieces gave; but for where the greatest and the least are. One row alone
 * may have its result in its first element's place. */
typedef void cpu_reduce_fn(void *dst, const void *src, int64_t src_row, int64_t rows, int64_t columns);

enum { CPU_ROW_PIECES = 64 };
/* Elements of such a piece, but for the last one; at most CPU_ROW_PIECES of them. */
static inline int64_t cpu_row_piece(int64_t columns) {
    const int64_t most = columns / 1024, n = most < 1 ? 1 : most < CPU_ROW_PIECES ? most : CPU_ROW_PIECES;
    return (columns / n + 16) & -16;
}

enum { CPU_LINE = 64 };
/* Elements first .. end-1 of a line that is stored past the caches once it is whole. All zeros at first. */
typedef struct cpu_line {
    char bytes[CPU_LINE];
    void *to;
    int first, end;
} cpu_line;

enum { CPU_MAX_ROWS = 14, CPU_MAX_VECTORS = 2, CPU_MAX_WIDTH = 32 /* elements of the widest panel */ };

/* How a tile's A operand lies: a_col == 1 (rows contiguous), or a_row == 1 (columns contiguous, packed or not).
 * Either runs at the speed of the packed form, but for rows a multiple of 4096 bytes apart: all in one set of the first
 * cache, they push each other out, and packing (pack_transposed, width = rows) pays from about 64 columns of C on. */
enum { CPU_A_ROWS, CPU_A_COLUMNS, CPU_A_MODES };
/* Winograd's transforms: results of a tile along an axis, places that it sees, planes. */
enum { WINOGRAD_TILE = 4, WINOGRAD_SEEN = 6, WINOGRAD_PLANES = 36 };

typedef struct cpu_real {
    int lanes;   /* elements of a vector */
    int rows;    /* the highest register tile, <= CPU_MAX_ROWS */
    int vectors; /* the widest register tile, in vectors, <= CPU_MAX_VECTORS */
    cpu_tile_fn *tile[CPU_A_MODES][CPU_MAX_ROWS + 1][CPU_MAX_VECTORS + 1]; /* [mode][rows][vectors], from 1 */
    /* One row: c[j] = sum over p < k of a[p*a_step] * b[p*b_row + j], j < columns, exactly, and with a tile's bits.
     * After every two vectors b goes on b_pair elements from where they began: in the next panel, or straight on.
     * No alignment. One row of a tile would wait for each fma before the next; here up to eight vectors are summed. */
    void (*row)(int64_t k, const void *a, int64_t a_step, const void *b, int64_t b_row, int64_t b_pair, void *c,
                int64_t columns);
    cpu_map_fn *map[CPU_MAP_COUNT][8]; /* bit 0, 1, 2 of the variant: a, b, c is one number */
    /* dst[r*dst_row + i] = src[r], i < columns; rows are written in order, each to a whole vector. */
    void (*repeat)(void *dst, int64_t dst_row, const void *src, int64_t rows, int64_t columns);
    /* dst[r*dst_row + i] = src[r*src_row + i], i < columns, read exactly; written as repeat does. */
    void (*copy_rows)(void *dst, int64_t dst_row, const void *src, int64_t src_row, int64_t rows, int64_t columns);
    /* One element a row, in the column that place[r] says: dst[r] = src[r*src_row + place[r]], or 0 where that is none
     * of `columns` columns; src_row 0: src[r] itself, or 0. And the other way round, dst[r*dst_row + place[r]] =
     * src[r]. Of what is one number a row, whole vectors are read and written. */
    void (*pick)(void *dst, const void *src, int64_t src_row, const void *place, int64_t rows, int64_t columns);
    void (*put)(void *dst, int64_t dst_row, const void *src, const void *place, int64_t rows, int64_t columns);
    cpu_reduce_fn *reduce[CPU_REDUCE_COUNT];
    /* dst[c] += src[r*src_row + c], row after row; columns is rounded up to whole vectors, in dst and in each row. */
    void (*add_rows)(void *dst, const void *src, int64_t src_row, int64_t rows, int64_t columns);
    cpu_load_fn *load[SOMA_DTYPE_COUNT];
    cpu_store_fn *store[SOMA_DTYPE_COUNT];
    /* dst[i] = src[i], i < n, past the caches. The last elements may be held until the next call: it goes on behind
     * them, or they are stored; with dst NULL and n 0 that is all. Seen by other threads behind a sequentially
     * consistent fence. */
    void (*store_past)(void *dst, const void *src, int64_t n, cpu_line *held);
    /* dst[(c / width) * panel + r * width + c % width] = src[r*src_row + c] for rows x columns, dst in panels of width
     * columns, panel elements apart; columns beyond the last are written as zeros up to width. */
    void (*pack)(void *dst, int64_t panel, int64_t width, const void *src, int64_t src_row, int64_t rows,
                 int64_t columns);
    /* The transpose's panels: dst[(r / width) * panel + c * width + r % width] = src[r*src_row + c], padded likewise.
     */
    void (*pack_transposed)(void *dst, int64_t panel, int64_t width, const void *src, int64_t src_row, int64_t rows,
                            int64_t columns);
    /* Elements first .. first+n-1 of the random sequence (key, counter): uniform in [0,1) / normal(0,1). Element i
     * takes word i%4 of Philox block i/4 (f32; f64: words 2*(i%2), 2*(i%2)+1 of block i/2); normal by Box-Muller on
     * pairs. */
    void (*uniform)(void *dst, uint64_t key, uint64_t counter, int64_t first, int64_t n);
    void (*normal)(void *dst, uint64_t key, uint64_t counter, int64_t first, int64_t n);
    /* Winograd's 3 x 3 convolutions, a row of `tiles` tiles at a time; each tile has six by six places of x, four by
     * four results and WINOGRAD_PLANES planes, `plane` elements apart. Distances count elements. */
    /* x: place j of row i at src + i*src_row + j*src_place, zeros but for first <= i < last and low <= j < high; a
     * tile every four places. Tile t at dst + t*dst_row, `channels` elements exactly. */
    void (*winograd_x)(void *dst, int64_t plane, int64_t dst_row, const void *src, int64_t src_row, int64_t src_place,
                       int64_t first, int64_t last, int64_t low, int64_t high, int64_t tiles, int64_t channels);
    /* Kernel place s at src + s*src_place, rows src_row apart; dst's rows follow each other, `vectors` each. */
    void (*winograd_w)(void *dst, int64_t plane, int64_t dst_row, const void *src, int64_t src_place, int64_t src_row,
                       int64_t rows, int64_t vectors);
    /* Planes to results: `rows` (1 to 4) rows of `places` results of whole vectors, dst_row and dst_place apart. */
    void (*winograd_y)(void *dst, int64_t dst_row, int64_t dst_place, const void *src, int64_t plane, int64_t src_row,
                       int64_t tiles, int64_t rows, int64_t places, int64_t vectors);
    /* The gradient for the weights: results' gradients, laid out as above, to planes, and sums of planes (rows of
     * `vectors` after each other) to the nine kernel places, dst_place apart. */
    void (*winograd_dy)(void *dst, int64_t plane, int64_t dst_row, const void *src, int64_t src_row, int64_t src_place,
                        int64_t tiles, int64_t rows, int64_t places, int64_t vectors);
    void (*winograd_dw)(void *dst, int64_t dst_place, int64_t dst_row, const void *src, int64_t plane, int64_t rows,
                        int64_t vectors);
    /* Runs independent FMAs for about n iterations; returns the flops done: the machine's own limit. */
    double (*peak)(int64_t n);
} cpu_real;

typedef struct cpu_kernels {
    const char *name; /* "baseline", "avx2", "avx512", "neon" */
    cpu_real f32, f64;
} cpu_kernels;

/* Those that work in float64, or in float32, which is all others' type in registers. */
static inline const cpu_real *cpu_real_of(const cpu_kernels *kernels, soma_dtype dtype) {
    return dtype == SOMA_F64 ? &kernels->f64 : &kernels->f32;
}

/* The kernels by name, or the best this machine and its OS support when NULL.
 * NULL if the name is unknown or the machine lacks it. */
const cpu_kernels *cpu_find(const char *name);
/* The i-th level this machine can run, from the lowest; NULL past the last. */
const cpu_kernels *cpu_level(int i);

#endif
