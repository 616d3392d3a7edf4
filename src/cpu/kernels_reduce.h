/* Rows to one number each: sum, product, maximum, minimum and where the last two are.
 * Rests on vec.h. Four vectors of partial results, folded in halves: an order that depends on the length alone.
 * The tail is a vector filled up with the op's neutral element, so no length is special. */

#define REDUCE_ADD(a, b) ((a) + (b))
#define REDUCE_MUL(a, b) ((a) * (b))
/* NaN wins: a's by the select, b's because max gives its second operand then. */
#define REDUCE_MAXIMUM(a, b) V(select)(V(ne)(a, a), a, V(max)(a, b))
#define REDUCE_MINIMUM(a, b) V(select)(V(ne)(a, a), a, V(min)(a, b))

#define REDUCE_KERNEL(NAME, OP, neutral)                                                                               \
    static real V(reduce_row_##NAME)(const real *p, int64_t n) {                                                       \
        vec x[4] = {V(splat)(neutral), V(splat)(neutral), V(splat)(neutral), V(splat)(neutral)};                       \
        int64_t i = 0;                                                                                                 \
        for (; i + 4 * LANES <= n; i += 4 * LANES)                                                                     \
            UNROLL for (int j = 0; j < 4; j++) x[j] = OP(x[j], V(load_loose)(p + i + j * LANES));                      \
        for (; i + LANES <= n; i += LANES) x[0] = OP(x[0], V(load_loose)(p + i));                                      \
        if (i < n) x[1] = OP(x[1], V(load_part)(p + i, n - i, neutral));                                               \
        x[0] = OP(x[0], x[2]), x[1] = OP(x[1], x[3]);                                                                  \
        x[0] = OP(x[0], x[1]);                                                                                         \
        if (LANES > 8) x[0] = OP(x[0], SHUFFLE(x[0], x[0], LANE_DOWN, 8));                                             \
        if (LANES > 4) x[0] = OP(x[0], SHUFFLE(x[0], x[0], LANE_DOWN, 4));                                             \
        if (LANES > 2) x[0] = OP(x[0], SHUFFLE(x[0], x[0], LANE_DOWN, 2));                                             \
        x[0] = OP(x[0], SHUFFLE(x[0], x[0], LANE_DOWN, 1));                                                            \
        return x[0][0];                                                                                                \
    }                                                                                                                  \
    static void V(reduce_##NAME)(void *dst, const void *src, int64_t src_row, int64_t rows, int64_t columns) {         \
        for (int64_t r = 0; r < rows; r++)                                                                             \
            ((real *)dst)[r] = V(reduce_row_##NAME)((const real *)src + r * src_row, columns);                         \
    }

REDUCE_KERNEL(SUM, REDUCE_ADD, 0)
REDUCE_KERNEL(PROD, REDUCE_MUL, 1)
REDUCE_KERNEL(MAX, REDUCE_MAXIMUM, R(-INFINITY))
REDUCE_KERNEL(MIN, REDUCE_MINIMUM, R(INFINITY))

/* Each lane keeps its best and where that was; strictly better replaces, NaN beats all, an earlier NaN stays. */
#define ARG_KERNEL(NAME, BETTER, neutral)                                                                              \
    static real V(arg_row_##NAME)(const real *p, int64_t n) {                                                          \
        vec best = V(splat)(neutral), place = V(splat)(-1), here;                                                      \
        for (int j = 0; j < LANES; j++) here[j] = (real)j;                                                             \
        for (int64_t i = 0; i < n; i += LANES, here += LANES) {                                                        \
            const vec x = n - i >= LANES ? V(load_loose)(p + i) : V(load_part)(p + i, n - i, neutral);                 \
            const mask nan = V(both)(V(ne)(x, x), V(eq)(best, best));                                                  \
            const mask take = V(either)(BETTER(x, best), nan);                                                         \
            best = V(select)(take, x, best), place = V(select)(take, here, place);                                     \
        }                                                                                                              \
        int at = -1;                                                                                                   \
        for (int j = 0; j < LANES; j++) {                                                                              \
            if (place[j] < 0) continue;                                                                                \
            const bool nan = best[j] != best[j];                                                                       \
            if (at < 0 || (nan ? best[at] == best[at] : BETTER##_SCALAR(best[j], best[at])) ||                         \
                ((nan ? best[at] != best[at] : best[j] == best[at]) && place[j] < place[at]))                          \
                at = j;                                                                                                \
        }                                                                                                              \
        return at < 0 ? 0 : place[at];                                                                                 \
    }                                                                                                                  \
    static void V(reduce_##NAME)(void *dst, const void *src, int64_t src_row, int64_t rows, int64_t columns) {         \
        for (int64_t r = 0; r < rows; r++)                                                                             \
            ((real *)dst)[r] = V(arg_row_##NAME)((const real *)src + r * src_row, columns);                            \
    }
#define ARG_GREATER(a, b) V(lt)(b, a)
#define ARG_GREATER_SCALAR(a, b) ((a) > (b))
#define ARG_LESS(a, b) V(lt)(a, b)
#define ARG_LESS_SCALAR(a, b) ((a) < (b))
ARG_KERNEL(ARGMAX, ARG_GREATER, R(-INFINITY))
ARG_KERNEL(ARGMIN, ARG_LESS, R(INFINITY))

