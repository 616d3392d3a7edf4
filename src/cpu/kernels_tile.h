/* The register tile: C[rows][columns] (+)= A[rows][k] * B[k][columns], the arithmetic of every contraction.
 * Rests on vec.h. One function, inlined with constant extents for each entry of the table, so that the sums stay in
 * registers; A's rows are reached from three base pointers, since fourteen would not fit the integer registers. */

/* Small tiles split k over several sums, or each fma would wait for the one before: about eight chains in all.
 * A function of the tile's shape only, so the order of every sum is too. */
#define TILE_CHAINS(rows, vectors)                                                                                     \
    ((rows) * (vectors) == 1 ? 8 : (rows) * (vectors) <= 3 ? 4 : (rows) * (vectors) <= 6 ? 2 : 1)

/* Element (i,k) of A with its rows contiguous: base[i/5] points to row i - i%5. */
#define TILE_ROW(base, stride, i) ((const real *)(const void *)((base)[(i) / 5] + (i) % 5 * (stride)))

/* One step of k: chain sums += column of A times row of B. */
INLINE void V(tile_step)(int mode, int rows, int vectors, vec (*sum)[CPU_MAX_VECTORS], const char *const base[3],
                         int64_t stride, int64_t k, const real *b) {
    vec row[CPU_MAX_VECTORS];
    UNROLL for (int j = 0; j < vectors; j++) {
        row[j] = V(load_loose)(b + j * LANES);
        IN_REGISTER(row[j]);
    }
    UNROLL for (int i = 0; i < rows; i++) {
        const real *p = mode == CPU_A_ROWS ? TILE_ROW(base, stride, i) + k : (const real *)(const void *)base[0] + i;
        const vec x = V(splat)(*p);
        UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = V(fma)(x, row[j], sum[i][j]);
    }
}

INLINE void V(tile)(int mode, int rows, int vectors, int64_t segments, int64_t k, const void *a, int64_t a_stride,
                    int64_t a_segment, const void *b_start, int64_t b_row, void *c_start, int64_t c_row,
                    bool accumulate) {
    enum { BYTES = sizeof(real) };
    const int chains = TILE_CHAINS(rows, vectors);
    vec sum[8][CPU_MAX_ROWS][CPU_MAX_VECTORS];
    UNROLL for (int q = 0; q < chains; q++) UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < vectors; j++) sum[q][i][j] = (vec){0};

    const int64_t stride = a_stride * BYTES;
    const char *start = a;
    const real *b = b_start;
    real *c = c_start;
    for (int64_t s = 0; s < segments; s++, start += a_segment * BYTES) {
        const char *base[3] = {start, start + 5 * stride, start + 10 * stride};
        int64_t left = k;
        for (; left >= chains; left -= chains) {
            UNROLL for (int q = 0; q < chains; q++) {
                V(tile_step)(mode, rows, vectors, sum[q], base, stride, mode == CPU_A_ROWS ? q : 0, b);
                b += b_row;
                if (mode == CPU_A_COLUMNS) base[0] += stride;
            }
            if (mode == CPU_A_ROWS)
                for (int i = 0; i < 3; i++)
                    base[i] += chains * BYTES;
        }
        UNROLL for (int q = 0; q < chains - 1; q++) {
            if (q >= left) break;
            V(tile_step)(mode, rows, vectors, sum[q], base, stride, mode == CPU_A_ROWS ? q : 0, b);
            b += b_row;
            if (mode == CPU_A_COLUMNS) base[0] += stride;
        }
    }
    UNROLL for (int w = chains / 2; w > 0; w /= 2) UNROLL for (int q = 0; q < w; q++)
        UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < vectors; j++) sum[q][i][j] += sum[q + w][i][j];

    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < vectors; j++) {
        real *p = c + i * c_row + j * LANES;
        if (accumulate) sum[0][i][j] += V(load_loose)(p);
        V(store_loose)(p, sum[0][i][j]);
    }
}

#define TILE_KERNELS(rows, vectors)                                                                                    \
    static void V(tile_rows_##rows##_##vectors)(int64_t segments, int64_t k, const void *a, int64_t a_row,             \
                                                int64_t a_col, int64_t a_segment, const void *b, int64_t b_row,        \
                                                void *c, int64_t c_row, bool accumulate) {                             \
        (void)a_col;                                                                                                   \
        V(tile)                                                                                                        \
        (CPU_A_ROWS, rows, vectors, segments, k, a, a_row, a_segment, b, b_row, c, c_row, accumulate);                 \
    }                                                                                                                  \
    static void V(tile_columns_##rows##_##vectors)(int64_t segments, int64_t k, const void *a, int64_t a_row,          \
                                                   int64_t a_col, int64_t a_segment, const void *b, int64_t b_row,     \
                                                   void *c, int64_t c_row, bool accumulate) {                          \
        (void)a_row;                                                                                                   \
        V(tile)                                                                                                        \
        (CPU_A_COLUMNS, rows, vectors, segments, k, a, a_col, a_segment, b, b_row, c, c_row, accumulate);              \
    }
TILE_LIST(TILE_KERNELS)

/* vectors * LANES columns of one row: so many independent sums, so wide a walk over B's rows. */
INLINE void V(row_block)(int vectors, int64_t k, const real *a, int64_t a_step, const real *b, int64_t b_row, real *c) {
    vec sum[8];
    UNROLL for (int j = 0; j < vectors; j++) sum[j] = (vec){0};
    for (int64_t p = 0; p < k; p++, a += a_step, b += b_row) {
        const vec x = V(splat)(*a);
        UNROLL for (int j = 0; j < vectors; j++) sum[j] = V(fma)(x, V(load_loose)(b + j * LANES), sum[j]);
    }
    UNROLL for (int j = 0; j < vectors; j++) V(store_loose)(c + j * LANES, sum[j]);
}

static void V(row)(int64_t k, const void *a, int64_t a_step, const void *b, int64_t b_row, void *c, int64_t columns) {
    const real *x = a, *y = b;
    real *z = c;
    int64_t j = 0;
    for (; j + 8 * LANES <= columns; j += 8 * LANES)
        V(row_block)(8, k, x, a_step, y + j, b_row, z + j);
    for (; j + LANES <= columns; j += LANES)
        V(row_block)(1, k, x, a_step, y + j, b_row, z + j);
    if (j == columns) return;
    vec sum = {0};
    for (int64_t p = 0; p < k; p++)
        sum = V(fma)(V(splat)(x[p * a_step]), V(load_part)(y + p * b_row + j, columns - j, 0), sum);
    V(store_part)(z + j, sum, columns - j);
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
