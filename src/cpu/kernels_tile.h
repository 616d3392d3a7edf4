/* The register tile: C[rows][columns] (+)= A[rows][k] * B[k][columns], the arithmetic of every contraction; and as many
 * of them below each other as there are, since a call costs as much as three steps of k.
 * Rests on vec.h. One function, inlined with constant extents for each entry of the table, so that the sums stay in
 * registers; A's rows are reached from three base pointers, since fourteen would not fit the integer registers. */

/* Element (i,k) of A with its rows contiguous: base[i/5] points to row i - i%5. */
#define TILE_ROW(base, stride, i) ((const real *)(const void *)((base)[(i) / 5] + (i) % 5 * (stride)))

/* Rows of B are asked for so many ahead where they are copied, columns of A always, for the processor foresees no
 * stride across pages: from the second cache on, since rows 4096 bytes apart would push each other out of the first. A
 * tall tile of some depth asks for its place in C, too, a row a step: all at once, they would hold up what the
 * tile itself reads. */
#define TILE_AHEAD 24
#define TILE_DEEP 64

/* A tile of some rows asks the first cache, too: for A's columns five steps ahead, where base[1] points, and for B's
 * rows if the first cache does not keep them from tile to tile. One of a single vector loads as often as it multiplies
 * already. */
#define TILE_ASKS(rows, vectors) ((rows) >= 6 && (vectors) == CPU_MAX_VECTORS)
#define TILE_NEAR 16
#define FIRST_CACHE_BYTES 32768

/* Elements of A that multiply-adds read themselves, twice, instead of one instruction that reads for two of them. With
 * AVX-512 it saves instructions for loads, of which some are free; an address of two registers would cost one again. */
#define TILE_AGAIN(mode, i) (VEC_BYTES == 64 && (i) % ((mode) == CPU_A_ROWS ? 5 : 3) == 0)
#define READ_AGAIN() __asm__ volatile("" ::: "memory")

/* One step of k: sums += column of A times row of B, and on to A's next; what is returned is behind the copy of that
 * row, if one is made. */
INLINE real *V(tile_step)(int mode, int rows, int vectors, vec (*sum)[CPU_MAX_VECTORS], const char *base[3],
                          int64_t stride, int64_t ahead, const real *b, int64_t b_row, int64_t near, real *copy) {
    vec row[CPU_MAX_VECTORS];
    UNROLL for (int j = 0; j < vectors; j++) {
        row[j] = V(load_loose)(b + j * LANES);
        IN_REGISTER(row[j]);
    }
    if (vectors == CPU_MAX_VECTORS && __builtin_expect(copy != NULL, 0)) {
        const real *next = b + TILE_AHEAD * b_row;
        UNROLL for (int j = 0; j < vectors; j++) __builtin_prefetch(next + j * LANES, 0, 2);
        __builtin_prefetch(next + vectors * LANES - 1, 0, 2);
        UNROLL for (int j = 0; j < vectors; j++, copy += LANES) V(store_loose)(copy, row[j]);
    } else if (TILE_ASKS(rows, vectors)) {
        UNROLL for (int j = 0; j < vectors; j++) __builtin_prefetch(b + near + j * LANES);
    }
    if (mode == CPU_A_COLUMNS) {
        if (TILE_ASKS(rows, vectors)) {
            __builtin_prefetch(base[1]);
            __builtin_prefetch(base[1] + (rows * (REAL_BITS / 8) - 1));
        }
        __builtin_prefetch(base[0] + ahead, 0, 2);
        __builtin_prefetch(base[0] + ahead + (rows * (REAL_BITS / 8) - 1), 0, 2);
    }
    UNROLL for (int i = 0; i < rows; i++) {
        const real *p = mode == CPU_A_ROWS ? TILE_ROW(base, stride, i) : (const real *)(const void *)base[0] + i;
        vec x = V(splat)(*p);
        UNROLL for (int j = 0; j < vectors; j++) {
            sum[i][j] = V(fma)(x, row[j], sum[i][j]);
            if (j + 1 < vectors && TILE_AGAIN(mode, i)) {
                READ_AGAIN();
                x = V(splat)(*p);
            }
        }
    }
    for (int i = 0; i < 3; i++)
        base[i] += mode == CPU_A_ROWS ? (int64_t)sizeof(real) : stride;
    return copy;
}

/* A row of C: as many lines as vectors, and one more where these are not aligned. */
INLINE void V(ask)(int vectors, const real *c) {
    UNROLL for (int j = 0; j < vectors; j++) __builtin_prefetch(c + j * LANES, 1);
    __builtin_prefetch(c + vectors * LANES - 1, 1);
}

/* FORGET(t): what t holds is read anew for each tile and segment. Else it is kept in vector registers, for there are
 * too few others, and comes back only after the multiply-adds that wait before it. */
INLINE void V(tile)(int mode, int rows, int vectors, bool asks, const cpu_tiles *t, int64_t tiles, const void *a_start,
                    const void *b_start, void *c_start, void *copy_start) {
    enum { BYTES = sizeof(real) };
    const char *a = a_start;
    real *c = c_start, *copy = copy_start;
    for (; tiles > 0; tiles--, a += t->a_tile * BYTES) {
        vec sum[CPU_MAX_ROWS][CPU_MAX_VECTORS];
        if (t->accumulate) {
            const real *from = c;
            UNROLL for (int i = 0; i < rows; i++, from += t->c_row) {
                UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = V(load_loose)(from + j * LANES);
            }
        } else {
            UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = (vec){0};
        }
        const int64_t stride = (mode == CPU_A_ROWS ? t->a_row : t->a_col) * BYTES, b_row = t->b_row, k = t->k;
        const int64_t near = t->segments * k * vectors * VEC_BYTES > FIRST_CACHE_BYTES ? TILE_NEAR * b_row : 0;
        int asked = asks ? 0 : rows;
        const char *start = a;
        const real *b_part = b_start;
        for (int64_t s = t->segments; s > 0; s--, start += t->a_segment * BYTES, b_part += t->b_segment) {
            const real *b = b_part;
            const int64_t ahead = TILE_AHEAD * stride + t->ahead * BYTES;
            const char *base[3] = {start, start + 5 * stride, start + 10 * stride};
            int64_t p = 0;
            for (; asked < rows && p < k; p++, b += b_row) {
                V(ask)(vectors, c + asked++ * t->c_row);
                (void)V(tile_step)(mode, rows, vectors, sum, base, stride, ahead, b, b_row, near, NULL);
            }
            for (; p < k; p++, b += b_row)
                copy = V(tile_step)(mode, rows, vectors, sum, base, stride, ahead, b, b_row, near, copy);
            FORGET(t);
        }
        FORGET(c); /* or the addresses of all rows would be kept from above, in memory */
        FORGET(t);
        const int64_t c_row = t->c_row;
        UNROLL for (int i = 0; i < rows; i++, c += c_row) {
            UNROLL for (int j = 0; j < vectors; j++) V(store_loose)(c + j * LANES, sum[i][j]);
        }
    }
}

/* What asks is a kernel of its own: a test in the other's loops took 3 % of tiles that are ten deep. */
INLINE void V(tiles)(int mode, int rows, int vectors, const cpu_tiles *t, int64_t tiles, const void *a, const void *b,
                     void *c, void *copy) {
    const bool tall = rows + 1 >= TILE_ROWS && vectors == CPU_MAX_VECTORS;
    if (tall && t->k >= TILE_DEEP && !t->accumulate && !copy)
        V(tile)(mode, rows, vectors, true, t, tiles, a, b, c, NULL);
    else
        V(tile)(mode, rows, vectors, false, t, tiles, a, b, c, copy);
}

#define TILE_KERNELS(rows, vectors)                                                                                    \
    static void V(tile_rows_##rows##_##vectors)(const cpu_tiles *t, int64_t tiles, const void *a, const void *b,       \
                                                void *c, void *copy) {                                                 \
        V(tiles)(CPU_A_ROWS, rows, vectors, t, tiles, a, b, c, copy);                                                  \
    }                                                                                                                  \
    static void V(tile_columns_##rows##_##vectors)(const cpu_tiles *t, int64_t tiles, const void *a, const void *b,    \
                                                   void *c, void *copy) {                                              \
        V(tiles)(CPU_A_COLUMNS, rows, vectors, t, tiles, a, b, c, copy);                                               \
    }
TILE_LIST(TILE_KERNELS)

/* Some vectors of one row: so many independent sums, so wide a walk over B's rows. */
INLINE void V(row_block)(int vectors, int64_t k, const real *a, int64_t a_step, const real *b, int64_t b_row,
                         int64_t b_pair, real *c) {
    vec sum[8];
    UNROLL for (int j = 0; j < vectors; j++) sum[j] = (vec){0};
    for (int64_t p = 0; p < k; p++, a += a_step, b += b_row) {
        const vec x = V(splat)(*a);
        UNROLL for (int j = 0; j < vectors; j++) sum[j] =
            V(fma)(x, V(load_loose)(b + j / 2 * b_pair + j % 2 * LANES), sum[j]);
    }
    UNROLL for (int j = 0; j < vectors; j++) V(store_loose)(c + j * LANES, sum[j]);
}

#define ROW_BLOCK(n)                                                                                                   \
    case n:                                                                                                            \
        V(row_block)(n, k, a, a_step, y, b_row, b_pair, z);                                                            \
        break;
static void V(row)(int64_t k, const void *a, int64_t a_step, const void *b, int64_t b_row, int64_t b_pair, void *c,
                   int64_t columns) {
    const real *y = b;
    real *z = c;
    for (; columns >= 8 * LANES; columns -= 8 * LANES, y += 4 * b_pair, z += 8 * LANES)
        V(row_block)(8, k, a, a_step, y, b_row, b_pair, z);
    const int64_t vectors = columns / LANES;
    switch (vectors) {
        ROW_BLOCK(1)
        ROW_BLOCK(2)
        ROW_BLOCK(3)
        ROW_BLOCK(4)
        ROW_BLOCK(5)
        ROW_BLOCK(6)
        ROW_BLOCK(7)
    default:
        break;
    }
    columns -= vectors * LANES, y += vectors / 2 * b_pair + vectors % 2 * LANES, z += vectors * LANES;
    if (columns == 0) return;
    vec sum = {0};
    for (int64_t p = 0; p < k; p++)
        sum = V(fma)(V(splat)(((const real *)a)[p * a_step]), V(load_part)(y + p * b_row, columns, 0), sum);
    V(store_part)(z, sum, columns);
}

static double V(peak)(int64_t n) {
    enum { CHAINS = TILE_ROWS * CPU_MAX_VECTORS };
    vec sum[CHAINS];
    vec x = V(splat)(R(0.999)), y = V(splat)(R(0.001));
    IN_REGISTER(x);
    IN_REGISTER(y);
    UNROLL for (int i = 0; i < CHAINS; i++) sum[i] = V(splat)((real)i);
    for (int64_t k = 0; k < n; k++) {
        UNROLL for (int i = 0; i < CHAINS; i++) sum[i] = V(fma)(sum[i], x, y);
    }
    vec total = sum[0];
    UNROLL for (int i = 1; i < CHAINS; i++) total += sum[i];
    /* the sums converge to 1, so this is never true, but the compiler can't know */
    return total[0] == R(-1) ? 0 : 2.0 * LANES * CHAINS * (double)n;
}
