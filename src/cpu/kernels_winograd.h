/* Winograd's transforms for 3 x 3 convolutions, two by two results at a time: F(2x2, 3x3) of Lavin and Gray, "Fast
 * Algorithms for Convolutional Neural Networks" (2015). Four by four places of x and the kernel become sixteen numbers
 * each, whose products, summed over the channels, become the four results: 16 multiplications for 36.
 * Rests on vec.h. A plane holds one of the sixteen numbers of all tiles; lanes are channels, so everything is sums of
 * whole vectors. Each transform is its matrix along columns, then along rows. */

/* Four places of x: (x0 - x2, x1 + x2, x2 - x1, x1 - x3). */
INLINE void V(winograd_seen)(vec out[4], const vec x[4]) {
    out[0] = x[0] - x[2];
    out[1] = x[1] + x[2];
    out[2] = x[2] - x[1];
    out[3] = x[1] - x[3];
}

INLINE vec V(winograd_load)(const void *row, int64_t at, int64_t lanes) {
    const real *p = (const real *)row + at;
    return lanes == LANES ? V(load_loose)(p) : V(load_part)(p, lanes, 0);
}

/* Place `at` of the four rows, through the transform along columns. */
INLINE void V(winograd_column)(vec out[4], const void *const rows[4], const int64_t steps[4], int64_t at, int64_t low,
                               int64_t high, int64_t channel, int64_t lanes) {
    vec x[4];
    UNROLL for (int i = 0; i < 4; i++) x[i] =
        at < low || at >= high ? (vec){0} : V(winograd_load)(rows[i], (at - low) * steps[i] + channel, lanes);
    V(winograd_seen)(out, x);
}

INLINE void V(winograd_x_lanes)(real *dst, int64_t plane, int64_t dst_row, const void *const rows[4],
                                const int64_t steps[4], int64_t low, int64_t high, int64_t tiles, int64_t channel,
                                int64_t lanes) {
    vec seen[4][4]; /* columns */
    V(winograd_column)(seen[0], rows, steps, 0, low, high, channel, lanes);
    V(winograd_column)(seen[1], rows, steps, 1, low, high, channel, lanes);
    for (int64_t t = 0; t < tiles; t++, dst += dst_row) {
        V(winograd_column)(seen[2], rows, steps, 2 * t + 2, low, high, channel, lanes);
        V(winograd_column)(seen[3], rows, steps, 2 * t + 3, low, high, channel, lanes);
        UNROLL for (int i = 0; i < 4; i++) {
            const vec row[4] = {seen[0][i], seen[1][i], seen[2][i], seen[3][i]};
            vec out[4];
            V(winograd_seen)(out, row);
            UNROLL for (int j = 0; j < 4; j++) {
                if (lanes == LANES)
                    V(store_loose)(dst + (4 * i + j) * plane, out[j]);
                else
                    V(store_part)(dst + (4 * i + j) * plane, out[j], lanes);
            }
        }
        UNROLL for (int i = 0; i < 4; i++) {
            seen[0][i] = seen[2][i];
            seen[1][i] = seen[3][i];
        }
    }
}

static void V(winograd_x)(void *dst, int64_t plane, int64_t dst_row, const void *const rows[4], const int64_t steps[4],
                          int64_t low, int64_t high, int64_t tiles, int64_t channels) {
    int64_t c = 0;
    for (; c + LANES <= channels; c += LANES)
        V(winograd_x_lanes)((real *)dst + c, plane, dst_row, rows, steps, low, high, tiles, c, LANES);
    if (c < channels)
        V(winograd_x_lanes)((real *)dst + c, plane, dst_row, rows, steps, low, high, tiles, c, channels - c);
}

/* Three places of the kernel: (w0, (w0 + w1 + w2) / 2, (w0 - w1 + w2) / 2, w2). */
INLINE void V(winograd_spread)(vec out[4], vec w0, vec w1, vec w2) {
    const vec ends = (w0 + w2) * R(0.5), middle = w1 * R(0.5);
    out[0] = w0;
    out[1] = ends + middle;
    out[2] = ends - middle;
    out[3] = w2;
}

static void V(winograd_w)(void *dst, int64_t plane, int64_t dst_row, const void *src, int64_t src_place,
                          int64_t src_row, int64_t rows, int64_t vectors) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t v = 0; v < vectors; v++) {
            const real *s = (const real *)src + r * src_row + v * LANES;
            real *d = (real *)dst + r * dst_row + v * LANES;
            vec half[3][4];
            UNROLL for (int j = 0; j < 3; j++)
                V(winograd_spread)(half[j], V(load_loose)(s + j * src_place), V(load_loose)(s + (3 + j) * src_place),
                                   V(load_loose)(s + (6 + j) * src_place));
            UNROLL for (int i = 0; i < 4; i++) {
                vec out[4];
                V(winograd_spread)(out, half[0][i], half[1][i], half[2][i]);
                UNROLL for (int j = 0; j < 4; j++) V(store_loose)(d + (4 * i + j) * plane, out[j]);
            }
        }
}

static void V(winograd_y)(void *dst, int64_t dst_row, int64_t dst_place, const void *src, int64_t plane,
                          int64_t src_row, int64_t tiles, int64_t rows, int64_t places, int64_t vectors) {
    for (int64_t t = 0; t < tiles; t++)
        for (int64_t v = 0; v < vectors; v++) {
            const real *s = (const real *)src + t * src_row + v * LANES;
            real *d = (real *)dst + 2 * t * dst_place + v * LANES;
            vec half[2][4];
            UNROLL for (int j = 0; j < 4; j++) {
                const vec a = V(load_loose)(s + j * plane), b = V(load_loose)(s + (4 + j) * plane);
                const vec c = V(load_loose)(s + (8 + j) * plane), e = V(load_loose)(s + (12 + j) * plane);
                half[0][j] = a + b + c;
                half[1][j] = b - c - e;
            }
            UNROLL for (int i = 0; i < 2; i++) {
                if (i == rows) break;
                V(store_loose)(d + i * dst_row, half[i][0] + half[i][1] + half[i][2]);
                if (2 * t + 1 < places)
                    V(store_loose)(d + i * dst_row + dst_place, half[i][1] - half[i][2] - half[i][3]);
            }
        }
}

/* Two results' gradients: (y0, y0 + y1, y0 - y1, -y1). */
INLINE void V(winograd_made)(vec out[4], vec y0, vec y1) {
    out[0] = y0;
    out[1] = y0 + y1;
    out[2] = y0 - y1;
    out[3] = -y1;
}

static void V(winograd_dy)(void *dst, int64_t plane, int64_t dst_row, const void *src, int64_t src_row,
                           int64_t src_place, int64_t tiles, int64_t rows, int64_t places, int64_t vectors) {
    for (int64_t t = 0; t < tiles; t++)
        for (int64_t v = 0; v < vectors; v++) {
            const real *s = (const real *)src + 2 * t * src_place + v * LANES;
            real *d = (real *)dst + t * dst_row + v * LANES;
            const vec none = {0};
            const bool right = 2 * t + 1 < places, below = rows > 1;
            const vec y01 = right ? V(load_loose)(s + src_place) : none;
            const vec y10 = below ? V(load_loose)(s + src_row) : none;
            const vec y11 = right && below ? V(load_loose)(s + src_row + src_place) : none;
            vec half[2][4];
            V(winograd_made)(half[0], V(load_loose)(s), y10);
            V(winograd_made)(half[1], y01, y11);
            UNROLL for (int i = 0; i < 4; i++) {
                vec out[4];
                V(winograd_made)(out, half[0][i], half[1][i]);
                UNROLL for (int j = 0; j < 4; j++) V(store_loose)(d + (4 * i + j) * plane, out[j]);
            }
        }
}

/* Four sums: (m0 + (m1 + m2) / 2, (m1 - m2) / 2, (m1 + m2) / 2 + m3). */
INLINE void V(winograd_gathered)(vec out[3], vec m0, vec m1, vec m2, vec m3) {
    const vec both = (m1 + m2) * R(0.5);
    out[0] = m0 + both;
    out[1] = (m1 - m2) * R(0.5);
    out[2] = both + m3;
}

static void V(winograd_dw)(void *dst, int64_t dst_place, int64_t dst_row, const void *src, int64_t plane, int64_t rows,
                           int64_t vectors) {
    const real *s = src;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t v = 0; v < vectors; v++, s += LANES) {
            real *d = (real *)dst + r * dst_row + v * LANES;
            vec half[4][3];
            UNROLL for (int j = 0; j < 4; j++)
                V(winograd_gathered)(half[j], V(load_loose)(s + j * plane), V(load_loose)(s + (4 + j) * plane),
                                     V(load_loose)(s + (8 + j) * plane), V(load_loose)(s + (12 + j) * plane));
            UNROLL for (int i = 0; i < 3; i++) {
                vec out[3];
                V(winograd_gathered)(out, half[0][i], half[1][i], half[2][i], half[3][i]);
                UNROLL for (int j = 0; j < 3; j++) V(store_loose)(d + (3 * i + j) * dst_place, out[j]);
            }
        }
}
