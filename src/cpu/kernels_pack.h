/* Into panels: what a register tile reads, rows of `width` elements one after the other.
 * Rests on vec.h. A straight panel copies pieces of rows; a transposed one turns squares of LANES x LANES in registers.
 * Columns beyond the last are zeros, so a tile may always read its whole width. */

static void V(pack)(void *dst, int64_t panel, int64_t width, const void *src, int64_t src_row, int64_t rows,
                    int64_t columns) {
    for (int64_t c = 0; c < columns; c += width) {
        real *d = (real *)dst + c / width * panel;
        const real *s = (const real *)src + c;
        const int64_t have = columns - c < width ? columns - c : width;
        const int64_t whole = have & -(int64_t)LANES;
        for (int64_t r = 0; r < rows && whole > 0; r++) {
            for (int64_t i = 0; i < whole; i += LANES)
                V(store_loose)(d + r * width + i, V(load_loose)(s + r * src_row + i));
        }
        for (int64_t i = whole; i < width; i += LANES) { /* what is left, a vector of all rows at a time */
            const int64_t some = have - i < 0 ? 0 : have - i, room = width - i;
            real *to = d + i;
            const real *from = s + i;
            for (int64_t r = 0; r < rows && room >= LANES; r++, to += width, from += src_row)
                V(store_loose)(to, V(load_part)(from, some, 0));
            for (int64_t r = 0; r < rows && room < LANES; r++, to += width, from += src_row)
                V(store_part)(to, V(load_part)(from, some, 0), room);
        }
    }
}

#define TRANSPOSE_STAGE(w)                                                                                             \
    if (LANES > (w)) UNROLL for (int i = 0; i < LANES; i++) if (!(i & (w))) {                                          \
            const vec a = x[i], b = x[(i + (w)) % LANES];                                                              \
            x[i] = SHUFFLE(a, b, LANE_SWAP_LOW, (w) % LANES);                                                          \
            x[(i + (w)) % LANES] = SHUFFLE(a, b, LANE_SWAP_HIGH, (w) % LANES);                                         \
        }
INLINE void V(transpose)(vec x[LANES]) {
    TRANSPOSE_STAGE(8)
    TRANSPOSE_STAGE(4)
    TRANSPOSE_STAGE(2)
    TRANSPOSE_STAGE(1)
}
#undef TRANSPOSE_STAGE

/* Up to LANES rows of s, all columns, to d[c*width ..]: lanes beyond the rows are zeros, `lanes` of them written. */
static void V(pack_strip)(real *d, int64_t width, const real *s, int64_t src_row, int64_t rows, int64_t lanes,
                          int64_t columns) {
    for (int64_t c = 0; c < columns; c += LANES) {
        const int64_t some = columns - c < LANES ? columns - c : LANES;
        vec x[LANES];
        for (int r = 0; r < LANES; r++) {
            if (r >= rows)
                x[r] = (vec){0};
            else if (some == LANES)
                x[r] = V(load_loose)(s + r * src_row + c);
            else
                x[r] = V(load_part)(s + r * src_row + c, some, 0);
        }
        V(transpose)(x);
        for (int64_t i = 0; i < some; i++) {
            if (lanes == LANES)
                V(store_loose)(d + (c + i) * width, x[i]);
            else
                V(store_part)(d + (c + i) * width, x[i], lanes);
        }
    }
}
static void V(pack_transposed)(void *dst, int64_t panel, int64_t width, const void *src, int64_t src_row, int64_t rows,
                               int64_t columns) {
    for (int64_t r = 0; r < rows; r += width) {
        real *d = (real *)dst + r / width * panel;
        const int64_t have = rows - r < width ? rows - r : width;
        for (int64_t i = 0; i < width; i += LANES) {
            const int64_t some = have - i < 0 ? 0 : have - i < LANES ? have - i : LANES;
            V(pack_strip)
            (d + i, width, (const real *)src + (r + i) * src_row, src_row, some, width - i < LANES ? width - i : LANES,
             columns);
        }
    }
}
