/* Rows to one number each: sum, product, maximum, minimum and where the last two are.
 * Rests on vec.h. Four vectors of partial results, folded in halves: an order that depends on the length alone.
 * As many rows as a vector has lanes are folded together, which short rows want. The tail is a vector filled up with
 * the op's neutral element, so no length is special. Pieces of a long row (cpu_row_piece) are rows, and so are their
 * results: whoever takes a row through several steps piece by piece gets the same bits.
 * The greatest and the least lose NaN on their way: a sum beside them tells whether there was one, for less than a look
 * at each element. It may be NaN for infinities' sake, too; rows are then looked at. */

#define REDUCE_ADD(a, b) ((a) + (b))
#define REDUCE_MUL(a, b) ((a) * (b))
/* For single vectors, where NaN wins: a's by the select, b's because max gives its second operand then. */
#define REDUCE_MAXIMUM(a, b) V(select)(V(ne)(a, a), a, V(max)(a, b))
#define REDUCE_MINIMUM(a, b) V(select)(V(ne)(a, a), a, V(min)(a, b))

/* All lanes of x into each of them. */
#define REDUCE_FOLD(x, OP)                                                                                             \
    if (LANES > 8) x = OP(x, SHUFFLE(x, x, LANE_DOWN, 8));                                                             \
    if (LANES > 4) x = OP(x, SHUFFLE(x, x, LANE_DOWN, 4));                                                             \
    if (LANES > 2) x = OP(x, SHUFFLE(x, x, LANE_DOWN, 2));                                                             \
    x = OP(x, SHUFFLE(x, x, LANE_DOWN, 1));

/* The same for LANES rows at once: lane r of x[0] gets what row r's vector folds to, by the same sums. */
#define REDUCE_MEET(w, OP)                                                                                             \
    if (LANES > (w)) UNROLL for (int i = 0; i < LANES; i++) if ((i & ((w)-1)) == i) {                                  \
            const vec a = x[i], b = x[(i + (w)) % LANES];                                                              \
            x[i] = OP(SHUFFLE(a, b, LANE_SWAP_LOW, (w) % LANES), SHUFFLE(a, b, LANE_SWAP_HIGH, (w) % LANES));          \
        }

static __attribute__((noinline)) bool V(reduce_pieces)(cpu_reduce_fn *reduce, real *dst, const real *src,
                                                       int64_t src_row, int64_t rows, int64_t columns) {
    const int64_t piece = cpu_row_piece(columns);
    if (columns <= piece) return false;
    for (int64_t r = 0; r < rows; r++, src += src_row) {
        real part[CPU_ROW_PIECES];
        int64_t n = 0;
        for (int64_t i = 0; i < columns; i += piece)
            reduce(part + n++, src + i, 0, 1, columns - i < piece ? columns - i : piece);
        reduce(dst + r, part, 0, 1, n);
    }
    return true;
}

/* NaN for rows with one in them. */
static __attribute__((noinline)) vec V(reduce_nan)(vec x, const real *src, int64_t src_row, int64_t rows,
                                                   int64_t columns) {
    for (int64_t r = 0; r < rows; r++, src += src_row)
        for (int64_t i = 0; i < columns; i++)
            if (src[i] != src[i]) x[r] = src[i];
    return x;
}

/* lost: whether OP loses NaN. The four of `seen` are then sums of all elements. */
#define REDUCE_KERNEL(NAME, OP, neutral, lost)                                                                         \
    INLINE vec V(reduce_part_##NAME)(const real *p, int64_t n, vec *seen) { /* a row's partial results */              \
        vec x[4] = {V(splat)(neutral), V(splat)(neutral), V(splat)(neutral), V(splat)(neutral)}, here;                 \
        int64_t i = 0;                                                                                                 \
        for (; i + 4 * LANES <= n; i += 4 * LANES)                                                                     \
            UNROLL for (int j = 0; j < 4; j++) {                                                                       \
                here = V(load_loose)(p + i + j * LANES);                                                               \
                x[j] = OP(x[j], here);                                                                                 \
                if (lost) seen[j] += here;                                                                             \
            }                                                                                                          \
        UNROLL for (int j = 0; j < 4; j++, i += LANES) if (i < n) {                                                    \
            if (n - i < LANES)                                                                                         \
                here = V(load_part)(p + i, n - i, neutral);                                                            \
            else                                                                                                       \
                here = V(load_loose)(p + i);                                                                           \
            x[j] = OP(x[j], here);                                                                                     \
            if (lost) seen[j] += here;                                                                                 \
        }                                                                                                              \
        x[0] = OP(x[0], x[2]), x[1] = OP(x[1], x[3]);                                                                  \
        return OP(x[0], x[1]);                                                                                         \
    }                                                                                                                  \
    static void V(reduce_##NAME)(void *dst, const void *src, int64_t src_row, int64_t rows, int64_t columns) {         \
        const real *p = src;                                                                                           \
        real *out = dst;                                                                                               \
        if (V(reduce_pieces)(V(reduce_##NAME), dst, src, src_row, rows, columns)) return;                              \
        for (int64_t r = 0, n; r < rows; r += n, p += n * src_row) {                                                   \
            n = rows - r < LANES ? 1 : LANES;                                                                          \
            vec x[LANES], seen[4] = {{0}};                                                                             \
            if (n > 1 && columns <= LANES) /* in registers, with the same bits */                                      \
                UNROLL for (int i = 0; i < LANES; i++) {                                                               \
                    x[i] = V(load_part)(p + i * src_row, columns, neutral);                                            \
                    if (lost) seen[i % 4] += x[i];                                                                     \
                }                                                                                                      \
            else                                                                                                       \
                for (int i = 0; i < n; i++)                                                                            \
                    x[i] = V(reduce_part_##NAME)(p + i * src_row, columns, seen);                                      \
            seen[0] = (seen[0] + seen[1]) + (seen[2] + seen[3]);                                                       \
            if (n == 1) {                                                                                              \
                REDUCE_FOLD(x[0], OP)                                                                                  \
            } else {                                                                                                   \
                REDUCE_MEET(8, OP)                                                                                     \
                REDUCE_MEET(4, OP)                                                                                     \
                REDUCE_MEET(2, OP)                                                                                     \
                REDUCE_MEET(1, OP)                                                                                     \
            }                                                                                                          \
            x[0] = OP(V(splat)(neutral), x[0]); /* the sum of -0 is 0 */                                               \
            if (lost && V(any)(V(ne)(seen[0], seen[0]))) x[0] = V(reduce_nan)(x[0], p, src_row, n, columns);           \
            if (n == 1)                                                                                                \
                out[r] = x[0][0];                                                                                      \
            else                                                                                                       \
                V(store_loose)(out + r, x[0]);                                                                         \
        }                                                                                                              \
    }

REDUCE_KERNEL(SUM, REDUCE_ADD, 0, false)
REDUCE_KERNEL(PROD, REDUCE_MUL, 1, false)
REDUCE_KERNEL(MAX, V(max), R(-INFINITY), true)
REDUCE_KERNEL(MIN, V(min), R(INFINITY), true)

/* Each lane keeps its best and where that was; strictly better replaces, NaN beats all, an earlier NaN stays.
 * Then the first of the places that hold the best of all lanes. */
#define ARG_KERNEL(NAME, BETTER, BEST, neutral)                                                                        \
    static real V(arg_row_##NAME)(const real *p, int64_t n) {                                                          \
        vec best = V(splat)(neutral), place = V(splat)(0), here;                                                       \
        UNROLL for (int j = 0; j < LANES; j++) here[j] = (real)j;                                                      \
        for (int64_t i = 0; i < n; i += LANES, here += LANES) {                                                        \
            const vec x = n - i >= LANES ? V(load_loose)(p + i) : V(load_part)(p + i, n - i, neutral);                 \
            const mask nan = V(both)(V(ne)(x, x), V(eq)(best, best));                                                  \
            const mask take = V(either)(BETTER(x, best), nan);                                                         \
            best = V(select)(take, x, best), place = V(select)(take, here, place);                                     \
        }                                                                                                              \
        vec all = best;                                                                                                \
        REDUCE_FOLD(all, BEST)                                                                                         \
        const mask hit = V(either)(V(eq)(best, all), V(both)(V(ne)(best, best), V(ne)(all, all)));                     \
        place = V(select)(hit, place, V(splat)(R(INFINITY)));                                                          \
        REDUCE_FOLD(place, V(min))                                                                                     \
        return place[0];                                                                                               \
    }                                                                                                                  \
    static void V(reduce_##NAME)(void *dst, const void *src, int64_t src_row, int64_t rows, int64_t columns) {         \
        for (int64_t r = 0; r < rows; r++)                                                                             \
            ((real *)dst)[r] = V(arg_row_##NAME)((const real *)src + r * src_row, columns);                            \
    }
#define ARG_GREATER(a, b) V(lt)(b, a)
ARG_KERNEL(ARGMAX, ARG_GREATER, REDUCE_MAXIMUM, R(-INFINITY))
ARG_KERNEL(ARGMIN, V(lt), REDUCE_MINIMUM, R(INFINITY))

/* Some vectors of all rows: so many sums in registers. */
INLINE void V(add_rows_of)(int vectors, real *dst, const real *src, int64_t src_row, int64_t rows) {
    vec sum[4];
    UNROLL for (int j = 0; j < vectors; j++) sum[j] = V(load_loose)(dst + j * LANES);
    for (int64_t r = 0; r < rows; r++, src += src_row) {
        UNROLL for (int j = 0; j < vectors; j++) sum[j] += V(load_loose)(src + j * LANES);
    }
    UNROLL for (int j = 0; j < vectors; j++) V(store_loose)(dst + j * LANES, sum[j]);
}
static void V(add_rows)(void *dst, const void *src, int64_t src_row, int64_t rows, int64_t columns) {
    int64_t c = 0;
    for (; c + 3 * LANES < columns; c += 4 * LANES)
        V(add_rows_of)(4, (real *)dst + c, (const real *)src + c, src_row, rows);
    for (; c < columns; c += LANES)
        V(add_rows_of)(1, (real *)dst + c, (const real *)src + c, src_row, rows);
}
