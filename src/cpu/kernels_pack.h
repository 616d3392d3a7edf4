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

/* LANES columns of up to LANES rows, one at least, to as many rows of `to`: of these, the lanes that `kept` says. */
INLINE void V(turn)(real *to, int64_t width, const real *from, int64_t src_row, int64_t rows, bits kept) {
    vec x[LANES];
    UNROLL for (int r = 0; r < LANES; r++) {
        x[r] = V(load_loose)(from);
        from += r + 1 < rows ? src_row : 0;
    }
    V(transpose)(x);
    UNROLL for (int i = 0; i < LANES; i++, to += width) V(store_loose)(to, (vec)((bits)x[i] & kept));
}

/* Up to LANES rows of s, all columns, to d[c*width ..]: lanes beyond the rows are zeros, `lanes` of them written.
 * Squares are written by whole vectors, if need be over what is written next; what is no square, or the last that
 * would reach too far, goes through a copy. */
static void V(pack_strip)(real *d, int64_t width, const real *s, int64_t src_row, int64_t rows, int64_t lanes,
                          int64_t columns) {
    const int64_t room = rows == 0 ? 0 : columns - (LANES - 1) / lanes;
    bits kept;
    for (int r = 0; r < LANES; r++)
        kept[r] = r < rows ? ~(V(word))0 : 0;
    for (int64_t c = 0; c < columns; c += LANES, s += LANES, d += LANES * width) {
        real part[LANES * LANES], turned[LANES * LANES];
        const bool whole = c + LANES <= room;
        const int64_t some = columns - c < LANES ? columns - c : LANES;
        for (int64_t r = 0; r < LANES && !whole; r++)
            V(store_loose)(part + r * LANES, r < rows ? V(load_part)(s + r * src_row, some, 0) : (vec){0});
        V(turn)(whole ? d : turned, whole ? width : LANES, whole ? s : part, whole ? src_row : LANES, rows, kept);
        for (int64_t i = 0; i < some && !whole; i++)
            V(store_part)(d + i * width, V(load_loose)(turned + i * LANES), lanes);
    }
}
static void V(pack_transposed)(void *dst, int64_t panel, int64_t width, const void *src, int64_t src_row, int64_t rows,
                               int64_t columns) {
    for (int64_t r = 0; r < rows; r += width) {
        real *d = (real *)dst + r / width * panel;
        const int64_t have = rows - r < width ? rows - r : width;
        for (int64_t i = (width - 1) / LANES * LANES; i >= 0; i -= LANES) { /* what reaches too far comes first */
            const int64_t some = have - i < 0 ? 0 : have - i < LANES ? have - i : LANES;
            V(pack_strip)
            (d + i, width, (const real *)src + (r + i) * src_row, src_row, some, width - i < LANES ? width - i : LANES,
             columns);
        }
    }
}
