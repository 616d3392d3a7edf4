/* Winograd's transforms for 3 x 3 convolutions, four by four results at a time: F(4x4, 3x3) of Lavin and Gray, "Fast
 * Algorithms for Convolutional Neural Networks" (2015). Six by six places of x and the kernel become 36 numbers each,
 * whose products, summed over the channels, become the sixteen results: 36 multiplications for 144.
 * The polynomials meet at 0, 1/sqrt 2, -1/sqrt 2, sqrt 2, -sqrt 2 and infinity: rounding grows with the transforms'
 * numbers, which are 1/2 to 5/2 so; at the usual 1 and 2 they reach 5 and 8, and results lose three times as much.
 * Rests on vec.h. A plane holds one of the 36 numbers of all tiles; lanes are channels, so everything is sums of
 * whole vectors. Each transform is its matrix along columns, then along rows. */

#define WINOGRAD_NEAR R(0.70710678118654752440)
#define WINOGRAD_FAR R(1.41421356237309504880)

/* a*x + y, and y - a*x. */
INLINE vec V(winograd_add)(real a, vec x, vec y) {
    return V(fma)(V(splat)(a), x, y);
}
INLINE vec V(winograd_sub)(real a, vec x, vec y) {
    return V(fnma)(V(splat)(a), x, y);
}

/* Six places of x: (x0 + x4 - 5/2 x2, at both signs of p: x4 - x2/p^2 + p (x3 - x1/p^2), x1 + x5 - 5/2 x3). */
INLINE void V(winograd_seen)(vec out[6], const vec x[6]) {
    const vec near = V(winograd_sub)(2, x[2], x[4]), near_odd = V(winograd_sub)(2, x[1], x[3]);
    const vec far = V(winograd_sub)(R(0.5), x[2], x[4]), far_odd = V(winograd_sub)(R(0.5), x[1], x[3]);
    out[0] = V(winograd_sub)(R(2.5), x[2], x[0] + x[4]);
    out[1] = V(winograd_add)(WINOGRAD_NEAR, near_odd, near);
    out[2] = V(winograd_sub)(WINOGRAD_NEAR, near_odd, near);
    out[3] = V(winograd_add)(WINOGRAD_FAR, far_odd, far);
    out[4] = V(winograd_sub)(WINOGRAD_FAR, far_odd, far);
    out[5] = V(winograd_sub)(R(2.5), x[3], x[1] + x[5]);
}

/* Place `at` of rows first .. last-1 of six, through the transform along columns; the other rows are zeros. Calls, as
 * for rows below: written out for all places of a tile they are 15 KB, and no faster. */
static __attribute__((noinline)) void V(winograd_column)(vec out[6], const real *src, int64_t src_row, int64_t first,
                                                         int64_t last, int64_t lanes) {
    if (last - first == 6 && lanes == LANES) {
        vec x[6];
        UNROLL for (int i = 0; i < 6; i++) x[i] = V(load_loose)(src + i * src_row);
        V(winograd_seen)(out, x);
        return;
    }
    vec x[6];
    for (int64_t i = 0; i < 6; i++)
        x[i] = first <= i && i < last ? V(load_part)(src + i * src_row, lanes, 0) : (vec){0};
    V(winograd_seen)(out, x);
}

/* Row i of what columns have become. */
static __attribute__((noinline)) void V(winograd_row)(real *dst, int64_t plane, vec *const seen[6], int i,
                                                      int64_t lanes) {
    const vec row[6] = {seen[0][i], seen[1][i], seen[2][i], seen[3][i], seen[4][i], seen[5][i]};
    vec out[6];
    V(winograd_seen)(out, row);
    if (lanes == LANES)
        UNROLL for (int j = 0; j < 6; j++) V(store_loose)(dst + j * plane, out[j]);
    else
        UNROLL for (int j = 0; j < 6; j++) V(store_part)(dst + j * plane, out[j], lanes);
}

static void V(winograd_x)(void *dst, int64_t plane, int64_t dst_row, const void *src, int64_t src_row,
                          int64_t src_place, int64_t first, int64_t last, int64_t low, int64_t high, int64_t tiles,
                          int64_t channels) {
    for (int64_t c = 0; c < channels; c += LANES) {
        const int64_t lanes = channels - c < LANES ? channels - c : LANES;
        vec columns[6][6], *seen[6]; /* a tile's last two are the next one's first */
        real *to = (real *)dst + c;
        for (int j = 0; j < 6; j++)
            seen[j] = columns[j];
        for (int64_t at = 0; at < 4 * tiles + 2; at++) {
            const int64_t j = at < 2 ? at : 2 + (at - 2) % 4;
            const real *place = (const real *)src + at * src_place + c;
            V(winograd_column)(seen[j], place, src_row, first, at < low || at >= high ? first : last, lanes);
            if (at < 2 || j < 5) continue;
            UNROLL for (int i = 0; i < 6; i++) V(winograd_row)(to + 6 * i * plane, plane, seen, i, lanes);
            to += dst_row;
            vec *const next[2] = {seen[4], seen[5]};
            UNROLL for (int k = 5; k > 1; k--) seen[k] = seen[k - 2];
            seen[0] = next[0];
            seen[1] = next[1];
        }
    }
}

/* Three places of the kernel: (w0, at both signs of p: (w0 + p w1 + p^2 w2) / q, w2), q the product of p's distances
 * from the other points: -3/2 and 6. */
INLINE void V(winograd_spread)(vec out[6], vec w0, vec w1, vec w2) {
    const vec near = V(winograd_add)(R(0.5), w2, w0) * R(-0.66666666666666666667);
    const vec far = V(winograd_add)(2, w2, w0) * R(0.16666666666666666667);
    const vec near_odd = w1 * R(-0.47140452079103168293), far_odd = w1 * R(0.23570226039551584147);
    out[0] = w0;
    out[1] = near + near_odd;
    out[2] = near - near_odd;
    out[3] = far + far_odd;
    out[4] = far - far_odd;
    out[5] = w2;
}

static void V(winograd_w)(void *dst, int64_t plane, int64_t dst_row, const void *src, int64_t src_place,
                          int64_t src_row, int64_t rows, int64_t vectors) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t v = 0; v < vectors; v++) {
            const real *s = (const real *)src + r * src_row + v * LANES;
            real *d = (real *)dst + r * dst_row + v * LANES;
            vec half[3][6];
            UNROLL for (int j = 0; j < 3; j++)
                V(winograd_spread)(half[j], V(load_loose)(s + j * src_place), V(load_loose)(s + (3 + j) * src_place),
                                   V(load_loose)(s + (6 + j) * src_place));
            UNROLL for (int i = 0; i < 6; i++) {
                vec out[6];
                V(winograd_spread)(out, half[0][i], half[1][i], half[2][i]);
                UNROLL for (int j = 0; j < 6; j++) V(store_loose)(d + (6 * i + j) * plane, out[j]);
            }
        }
}

/* Six sums: the four results sum over the points of p^k m, the last with infinity's. */
INLINE void V(winograd_results)(vec out[4], const vec m[6]) {
    const vec near = m[1] + m[2], far = m[3] + m[4];
    const vec near_odd = (m[1] - m[2]) * WINOGRAD_NEAR, far_odd = (m[3] - m[4]) * WINOGRAD_FAR;
    out[0] = m[0] + near + far;
    out[1] = near_odd + far_odd;
    out[2] = V(winograd_add)(2, far, near * R(0.5));
    out[3] = V(winograd_add)(2, far_odd, V(winograd_add)(R(0.5), near_odd, m[5]));
}

static void V(winograd_y)(void *dst, int64_t dst_row, int64_t dst_place, const void *src, int64_t plane,
                          int64_t src_row, int64_t tiles, int64_t rows, int64_t places, int64_t vectors) {
    for (int64_t t = 0; t < tiles; t++)
        for (int64_t v = 0; v < vectors; v++) {
            const real *s = (const real *)src + t * src_row + v * LANES;
            real *d = (real *)dst + 4 * t * dst_place + v * LANES;
            vec half[6][4];
            UNROLL for (int j = 0; j < 6; j++, s += plane) {
                vec m[6];
                FORGET(s);
                UNROLL for (int i = 0; i < 6; i++) m[i] = V(load_loose)(s + 6 * i * plane);
                V(winograd_results)(half[j], m);
            }
            UNROLL for (int i = 0; i < 4; i++) {
                if (i == rows) break;
                const vec row[6] = {half[0][i], half[1][i], half[2][i], half[3][i], half[4][i], half[5][i]};
                vec out[4];
                V(winograd_results)(out, row);
                UNROLL for (int j = 0; j < 4; j++) if (4 * t + j < places)
                    V(store_loose)(d + i * dst_row + j * dst_place, out[j]);
            }
        }
}

/* Four results' gradients: (y0, at both signs of p: y0 + p y1 + p^2 y2 + p^3 y3, y3). */
INLINE void V(winograd_made)(vec out[6], const vec y[4]) {
    const vec near = V(winograd_add)(R(0.5), y[2], y[0]), near_odd = V(winograd_add)(R(0.5), y[3], y[1]);
    const vec far = V(winograd_add)(2, y[2], y[0]), far_odd = V(winograd_add)(2, y[3], y[1]);
    out[0] = y[0];
    out[1] = V(winograd_add)(WINOGRAD_NEAR, near_odd, near);
    out[2] = V(winograd_sub)(WINOGRAD_NEAR, near_odd, near);
    out[3] = V(winograd_add)(WINOGRAD_FAR, far_odd, far);
    out[4] = V(winograd_sub)(WINOGRAD_FAR, far_odd, far);
    out[5] = y[3];
}

static void V(winograd_dy)(void *dst, int64_t plane, int64_t dst_row, const void *src, int64_t src_row,
                           int64_t src_place, int64_t tiles, int64_t rows, int64_t places, int64_t vectors) {
    for (int64_t t = 0; t < tiles; t++)
        for (int64_t v = 0; v < vectors; v++) {
            const real *s = (const real *)src + 4 * t * src_place + v * LANES;
            real *d = (real *)dst + t * dst_row + v * LANES;
            vec half[4][6];
            UNROLL for (int j = 0; j < 4; j++) {
                vec y[4];
                UNROLL for (int i = 0; i < 4; i++) y[i] =
                    i < rows && 4 * t + j < places ? V(load_loose)(s + i * src_row + j * src_place) : (vec){0};
                V(winograd_made)(half[j], y);
            }
            UNROLL for (int i = 0; i < 6; i++, d += 6 * plane) {
                const vec row[4] = {half[0][i], half[1][i], half[2][i], half[3][i]};
                vec out[6];
                V(winograd_made)(out, row);
                FORGET(d);
                UNROLL for (int j = 0; j < 6; j++) V(store_loose)(d + j * plane, out[j]);
            }
        }
}

/* Six sums: for the kernel's three places, the transpose of winograd_spread. */
INLINE void V(winograd_gathered)(vec out[3], const vec m[6]) {
    const vec near = m[1] + m[2], far = m[3] + m[4], near_odd = m[1] - m[2], far_odd = m[3] - m[4];
    out[0] = V(winograd_add)(R(0.16666666666666666667), far, V(winograd_sub)(R(0.66666666666666666667), near, m[0]));
    out[1] = V(winograd_sub)(R(0.47140452079103168293), near_odd, far_odd * R(0.23570226039551584147));
    out[2] = V(winograd_add)(R(0.33333333333333333333), far - near, m[5]);
}

static void V(winograd_dw)(void *dst, int64_t dst_place, int64_t dst_row, const void *src, int64_t plane, int64_t rows,
                           int64_t vectors) {
    const real *s = src;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t v = 0; v < vectors; v++, s += LANES) {
            real *d = (real *)dst + r * dst_row + v * LANES;
            vec half[6][3];
            UNROLL for (int j = 0; j < 6; j++) {
                vec m[6];
                UNROLL for (int i = 0; i < 6; i++) m[i] = V(load_loose)(s + (6 * i + j) * plane);
                V(winograd_gathered)(half[j], m);
            }
            UNROLL for (int i = 0; i < 3; i++) {
                const vec row[6] = {half[0][i], half[1][i], half[2][i], half[3][i], half[4][i], half[5][i]};
                vec out[3];
                V(winograd_gathered)(out, row);
                UNROLL for (int j = 0; j < 3; j++) V(store_loose)(d + (3 * i + j) * dst_place, out[j]);
            }
        }
}
