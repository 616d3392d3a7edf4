/* Every kernel of every instruction set that this machine has, against plain loops in long double.
 * Rests on cpu/cpu.h alone. One test a kernel family; a failure names level, type, kernel and input.
 * Errors are counted in units of the last place of the result, so a bound holds for all magnitudes.
 * Long because: the table of expected maps has a line an op, and its checks share inputs and error counts. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/cpu.h"

typedef long double wide;

static const cpu_real *real_of(const cpu_kernels *k, int bits) {
    return bits == 32 ? &k->f32 : &k->f64;
}
static double get(int bits, const void *p, int64_t i) {
    return bits == 32 ? (double)((const float *)p)[i] : ((const double *)p)[i];
}
static void put(int bits, void *p, int64_t i, double x) {
    if (bits == 32)
        ((float *)p)[i] = (float)x;
    else
        ((double *)p)[i] = x;
}
static double epsilon(int bits) {
    return bits == 32 ? (double)FLT_EPSILON : DBL_EPSILON;
}

#define EACH_LEVEL(k, bits)                                                                                            \
    for (int level_ = 0; level_ < 8; level_++)                                                                         \
        for (const cpu_kernels *k = cpu_level(level_); k; k = NULL)                                                    \
            for (int bits = 32; bits <= 64; bits += 32)

/* A reproducible sequence; splitmix64. */
static uint64_t random_state = 1;
static uint64_t random_word(void) {
    uint64_t z = random_state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}
static double random_between(double low, double high) {
    return low + (high - low) * (double)(random_word() >> 11) * 0x1p-53;
}

static void *buffer(size_t elements) {
    void *p = aligned_alloc(64, (elements * 8 + 127) / 64 * 64);
    assert_non_null(p);
    return p;
}

/* |got - want| in units of the last place of want, infinity counting as the next power of two; 0 for NaN both. */
static double ulps(int bits, double got, wide want) {
    if (isnan(want) || isnan(got)) return isnan(want) && isnan(got) ? 0 : INFINITY;
    const wide top = ldexpl(1, bits == 32 ? 128 : 1024);
    const wide x = isinf(got) ? copysignl(top, got) : (wide)got, y = fabsl(want) > top ? copysignl(top, want) : want;
    int e;
    frexpl(y == 0 ? LDBL_MIN : y, &e);
    const int least = bits == 32 ? -149 : -1074, place = (y < top ? e : e - 1) - (bits == 32 ? 24 : 53);
    return (double)(fabsl(x - y) / ldexpl(1, place < least ? least : place));
}

/* ---- tiles ---- */

static void check_tile(const cpu_kernels *k, int bits, int mode, int rows, int vectors, int64_t segments, int64_t run,
                       bool accumulate) {
    const int64_t depth = segments * run, overlap = segments > 1 && run > 1; /* of neighbouring segments */
    const cpu_real *r = real_of(k, bits);
    const int64_t columns = (int64_t)vectors * r->lanes, b_row = columns + r->lanes, c_row = columns + 3;
    const int64_t b_segment = (run + (run % 2)) * b_row; /* more than its rows, sometimes */
    const int64_t tiles = 1 + depth % 3, all_rows = tiles * rows;
    const int64_t a_row = mode == CPU_A_ROWS ? depth + 5 : 1, a_col = mode == CPU_A_ROWS ? 1 : all_rows + 2;
    const int64_t a_size = (all_rows + 2) * (depth + 5);
    void *a = buffer((size_t)a_size), *b = buffer((size_t)((depth + segments + 1) * b_row)),
         *c = buffer((size_t)(all_rows * c_row + 1));
    for (int64_t i = 0; i < a_size; i++)
        put(bits, a, i, random_between(-1, 1));
    for (int64_t i = 0; i < (depth + segments + 1) * b_row; i++)
        put(bits, b, i, random_between(-1, 1));
    for (int64_t i = 0; i <= all_rows * c_row; i++)
        put(bits, c, i, (double)(i % 7) - 3);
    const int64_t a_segment = (run - overlap) * a_col;
    const cpu_tiles t = {segments, run, a_row, a_col, a_segment, rows * a_row, b_row, b_segment, c_row, 0, accumulate};
    void *copy = buffer((size_t)(depth * columns + 1));
    const bool copies = tiles == 1 && vectors == r->vectors;
    r->tile[mode][rows][vectors](&t, tiles, a, b, (char *)c + bits / 8, copies ? copy : NULL);
    for (int64_t i = 0; copies && i < depth * columns; i++) {
        const int64_t p = i / columns;
        if (get(bits, copy, i) != get(bits, b, p / run * b_segment + p % run * b_row + i % columns))
            fail_msg("%s f%d tile mode %d %dx%d: row %d of B is copied wrongly", k->name, bits, mode, rows, vectors,
                     (int)p);
    }
    for (int64_t i = 0; i < all_rows; i++)
        for (int64_t j = 0; j < c_row; j++) {
            const int64_t at = i * c_row + j + 1;
            const double before = (double)(at % 7) - 3;
            wide sum = accumulate || j >= columns ? before : 0, size = fabsl(sum);
            for (int64_t p = 0; p < depth && j < columns; p++) {
                const wide product = (wide)get(bits, a, i * a_row + p / run * a_segment + p % run * a_col) *
                                     get(bits, b, p / run * b_segment + p % run * b_row + j);
                sum += product, size += fabsl(product);
            }
            const wide bound = size * epsilon(bits) * ((double)depth / 2 + 2);
            if (j >= columns && i == all_rows - 1) continue; /* beyond the buffer */
            if (fabsl(sum - get(bits, c, at)) > (j < columns ? bound : 0))
                fail_msg("%s f%d tile mode %d %dx%d k %d x %d accumulate %d: (%d,%d) is %g, not %Lg", k->name, bits,
                         mode, rows, vectors, (int)segments, (int)run, accumulate, (int)i, (int)j, get(bits, c, at),
                         sum);
        }
    free(a), free(b), free(c), free(copy);
}

static void test_tiles(void **state) {
    (void)state;
    const int64_t depths[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 100};
    EACH_LEVEL(k, bits) {
        const cpu_real *r = real_of(k, bits);
        assert_in_range(r->rows, 1, CPU_MAX_ROWS);
        for (int mode = 0; mode < CPU_A_MODES; mode++)
            for (int rows = 1; rows <= r->rows; rows++)
                for (int vectors = 1; vectors <= r->vectors; vectors++)
                    for (size_t d = 0; d < sizeof(depths) / sizeof(*depths); d++)
                        for (int accumulate = 0; accumulate < 2; accumulate++)
                            for (int64_t segments = 1; segments <= 4; segments += 3)
                                check_tile(k, bits, mode, rows, vectors, segments, depths[d], accumulate);
        assert_true(r->peak(10) > 0);
    }
}

/* ---- maps ---- */

static wide ref_mod(wide a, wide b) {
    const wide r = fmodl(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static wide ref_sign(wide a) {
    return isnan(a) ? a : a > 0 ? 1 : a < 0 ? -1 : 0;
}
static wide ref_max(wide a, wide b) {
    return isnan(a) || isnan(b) ? (wide)NAN : a > b ? a : b;
}
static wide ref_min(wide a, wide b) {
    return isnan(a) || isnan(b) ? (wide)NAN : a < b ? a : b;
}
static wide ref_sigmoid(wide a) {
    return a < 0 ? expl(a) / (1 + expl(a)) : 1 / (1 + expl(-a));
}

/* X(name, bound in ulps, reference of a, b, c) */
#define REFERENCES(X)                                                                                                  \
    X(COPY, 0, a)                                                                                                      \
    X(NEG, 0, -a)                                                                                                      \
    X(ABS, 0, fabsl(a))                                                                                                \
    X(SIGN, 0, ref_sign(a))                                                                                            \
    X(SQUARE, .51, a *a)                                                                                               \
    X(SQRT, .51, sqrtl(a))                                                                                             \
    X(RSQRT, 2, 1 / sqrtl(a))                                                                                          \
    X(RECIPROCAL, .51, 1 / a)                                                                                          \
    X(EXP, 2, expl(a))                                                                                                 \
    X(EXPM1, 3, expm1l(a))                                                                                             \
    X(LOG, 2, logl(a))                                                                                                 \
    X(LOG1P, 3, log1pl(a))                                                                                             \
    X(SIN, 2.5, sinl(a))                                                                                               \
    X(COS, 2.5, cosl(a))                                                                                               \
    X(TAN, 3.5, tanl(a))                                                                                               \
    X(TANH, 3, tanhl(a))                                                                                               \
    X(SIGMOID, 3, ref_sigmoid(a))                                                                                      \
    X(ERF, 3, erfl(a))                                                                                                 \
    X(FLOOR, 0, floorl(a))                                                                                             \
    X(CEIL, 0, ceill(a))                                                                                               \
    X(ROUND, 0, rintl(a))                                                                                              \
    X(TRUNC, 0, truncl(a))                                                                                             \
    X(ISNAN, 0, isnan(a) ? 1 : 0)                                                                                      \
    X(ISFINITE, 0, isfinite(a) ? 1 : 0)                                                                                \
    X(NOT, 0, a == 0 ? 1 : 0)                                                                                          \
    X(ADD, .51, a + b)                                                                                                 \
    X(SUB, .51, a - b)                                                                                                 \
    X(MUL, .51, a *b)                                                                                                  \
    X(DIV, .51, a / b)                                                                                                 \
    X(MOD, .51, ref_mod(a, b))                                                                                         \
    X(POW, 3, powl(a, b))                                                                                              \
    X(ATAN2, 3, atan2l(a, b))                                                                                          \
    X(MAXIMUM, 0, ref_max(a, b))                                                                                       \
    X(MINIMUM, 0, ref_min(a, b))                                                                                       \
    X(EQUAL, 0, a == b ? 1 : 0)                                                                                        \
    X(NOT_EQUAL, 0, a != b ? 1 : 0)                                                                                    \
    X(LESS, 0, a < b ? 1 : 0)                                                                                          \
    X(LESS_EQUAL, 0, a <= b ? 1 : 0)                                                                                   \
    X(GREATER, 0, a > b ? 1 : 0)                                                                                       \
    X(GREATER_EQUAL, 0, a >= b ? 1 : 0)                                                                                \
    X(AND, 0, a != 0 && b != 0 ? 1 : 0)                                                                                \
    X(OR, 0, a != 0 || b != 0 ? 1 : 0)                                                                                 \
    X(XOR, 0, (a != 0) != (b != 0) ? 1 : 0)                                                                            \
    X(WHERE, 0, a != 0 ? b : c)                                                                                        \
    X(FMA, 1, a *b + c)                                                                                                \
    X(FNMA, 1, c - a * b)                                                                                              \
    X(MUL_RSQRT, 2.6, a / sqrtl(b))                                                                                    \
    X(MUL_RSQRT_SUM, 2.6, a / sqrtl(b + c))                                                                            \
    X(BLEND, .51, a + (b - a) * c)                                                                                     \
    X(BLEND_SQUARE, .51, a + (b * b - a) * c)                                                                          \
    X(DIV_ROOT_PLUS, 2.6, a / (sqrtl(b) + c))                                                                          \
    X(EXP_SUB, 2, expl(a - b))

static wide reference(cpu_map op, wide a, wide b, wide c) {
    (void)b, (void)c;
    switch (op) {
#define CASE(name, bound, formula)                                                                                     \
    case CPU_##name:                                                                                                   \
        return formula;
        REFERENCES(CASE)
#undef CASE
    default:
        break;
    }
    fail_msg("no reference for map %d", (int)op);
    return 0;
}
#define BOUND(name, bound, formula) [CPU_##name] = bound,
static const double bounds[CPU_MAP_COUNT] = {REFERENCES(BOUND)};
static const char *const map_names[CPU_MAP_COUNT] = {
#define MAP_NAME(name, inputs, formula) [CPU_##name] = #name,
    CPU_MAP_LIST(MAP_NAME)};
static const int map_inputs[CPU_MAP_COUNT] = {
#define MAP_INPUTS(name, inputs, formula) [CPU_##name] = inputs,
    CPU_MAP_LIST(MAP_INPUTS)};

static double worst[2][CPU_MAP_COUNT];

/* What inner results are rounded from before sums cancel: an error of an epsilon of it may be left. 0 for one rounding.
 */
static double blur(cpu_map op, double a, double b, double c) {
    switch (op) {
    case CPU_FMA:
    case CPU_FNMA:
        return fabs(a * b) + fabs(c);
    case CPU_BLEND:
        return fabs(a) + 2 * (fabs(a) + fabs(b)) * fabs(c);
    case CPU_BLEND_SQUARE:
        return fabs(a) + 2 * (fabs(a) + b * b + (double)FLT_MIN) * fabs(c); /* the square may be denormal */
    case CPU_MUL_RSQRT_SUM:
        return fabs(a) * (fabs(b) + fabs(c)) / pow(b + c, 1.5);
    case CPU_DIV_ROOT_PLUS:
        return 2 * fabs(a) * (sqrt(b) + fabs(c)) / pow(sqrt(b) + c, 2);
    case CPU_EXP_SUB:
        return (2 + fabs(a - b)) * exp(a - b);
    default:
        return 0;
    }
}

/* The largest inner result of a sum; a quotient by what sums left of next to nothing is infinite, too. */
static double largest(cpu_map op, double a, double b, double c) {
    if (op == CPU_FMA || op == CPU_FNMA) return fabs(a * b);
    if (op == CPU_MUL_RSQRT_SUM) return fabs(b + c) < 1e-6 * fabs(c) ? (double)INFINITY : fabs(b) + fabs(c);
    if (op == CPU_DIV_ROOT_PLUS) return fabs(sqrt(b) + c) < 1e-6 * fabs(c) ? (double)INFINITY : 0;
    if (op != CPU_BLEND && op != CPU_BLEND_SQUARE) return 0;
    return (fabs(a) + fmax(fabs(b), b * b)) * fmax(fabs(c), 1);
}

static void check_value(const cpu_kernels *k, int bits, cpu_map op, double got, double a, double b, double c) {
    const wide want = reference(op, a, b, c);
    double error = ulps(bits, got, want), bound = bounds[op];
    if (largest(op, a, b, c) >= (bits == 32 ? 0x1p127 : 0x1p1000)) return; /* overflow within: the level's own affair */
    const double rounding = blur(op, a, b, c) * epsilon(bits);
    if (isfinite(want) && fabsl(got - want) <= rounding) return;
    if (error > bound)
        fail_msg("%s f%d %s(%.17g, %.17g, %.17g) = %.17g, not %.20Lg: %g ulp", k->name, bits, map_names[op], a, b, c,
                 got, want, error);
    if (error > worst[bits == 64][op]) worst[bits == 64][op] = error;
}

static const double specials[] = {0.0,
                                  -0.0,
                                  1,
                                  -1,
                                  0.5,
                                  -0.5,
                                  2,
                                  -2,
                                  3,
                                  -3,
                                  2.5,
                                  -2.5,
                                  1.5,
                                  -1.5,
                                  1e-3,
                                  -1e-3,
                                  10,
                                  -10,
                                  87.3,
                                  88.7,
                                  -87.4,
                                  -103.9,
                                  89.5,
                                  -104.5,
                                  709.7,
                                  -745.1,
                                  710,
                                  -746,
                                  1e5,
                                  -1e5,
                                  123456.75,
                                  8388609,
                                  16777216,
                                  -16777215,
                                  3e9,
                                  0x1p-126,
                                  0x1p-149,
                                  0x1p-127,
                                  0x1p127,
                                  -0x1p127,
                                  0x1.fffffep127,
                                  1e-8,
                                  -1e-8,
                                  0.25,
                                  100,
                                  0.99999994,
                                  1.0000001,
                                  0x1p-1022,
                                  0x1p-1074,
                                  0x1.fffffffffffffp1023,
                                  -0x1p1023,
                                  0x1p53,
                                  INFINITY,
                                  -INFINITY,
                                  NAN};
enum { SPECIALS = sizeof(specials) / sizeof(*specials) };

/* Every pair of special values, in every op, with a third that differs from both. */
static void test_map_specials(void **state) {
    (void)state;
    const int64_t n = SPECIALS * SPECIALS;
    void *x[3], *out = buffer((size_t)n + 64);
    for (int j = 0; j < 3; j++)
        x[j] = buffer((size_t)n + 64);
    EACH_LEVEL(k, bits) {
        for (int64_t i = 0; i < n + 64; i++) {
            put(bits, x[0], i, specials[i % SPECIALS]), put(bits, x[1], i, specials[i / SPECIALS % SPECIALS]);
            put(bits, x[2], i, specials[(i + 7) % SPECIALS]);
        }
        for (cpu_map op = 0; op < CPU_MAP_COUNT; op++) {
            real_of(k, bits)->map[op][0](out, x[0], x[1], x[2], n);
            for (int64_t i = 0; i < n; i++) {
                const double a = get(bits, x[0], i), b = get(bits, x[1], i), c = get(bits, x[2], i),
                             y = get(bits, out, i);
                check_value(k, bits, op, y, a, b, c);
            }
        }
    }
    for (int j = 0; j < 3; j++)
        free(x[j]);
    free(out);
}

/* Signs of zero where C's functions keep them. */
static void test_map_zeros(void **state) {
    (void)state;
    const cpu_map odd[] = {CPU_SQRT, CPU_EXPM1, CPU_LOG1P, CPU_SIN,   CPU_TAN,  CPU_TANH,
                           CPU_ERF,  CPU_FLOOR, CPU_CEIL,  CPU_ROUND, CPU_TRUNC};
    EACH_LEVEL(k, bits) {
        double in[8] __attribute__((aligned(64))), out[8] __attribute__((aligned(64)));
        for (size_t t = 0; t < sizeof(odd) / sizeof(*odd); t++)
            for (int negative = 0; negative < 2; negative++) {
                for (int i = 0; i < 64 / (bits / 8); i++)
                    put(bits, in, i, negative ? -0.0 : 0.0);
                real_of(k, bits)->map[odd[t]][0](out, in, NULL, NULL, real_of(k, bits)->lanes);
                const double y = get(bits, out, 0);
                if (y != 0 || !signbit(y) != !negative)
                    fail_msg("%s f%d %s(%s0) = %g", k->name, bits, map_names[odd[t]], negative ? "-" : "", y);
            }
    }
}

/* A number of any magnitude, or one near the ops' interesting places. */
static double sample(int bits, cpu_map op, int input) {
    const uint64_t kind = random_word() % 8;
    if (op == CPU_POW && input == 0) return kind < 4 ? exp(random_between(-80, 80)) : random_between(0, 3);
    if (op == CPU_POW) return kind < 4 ? random_between(-3, 3) : random_between(-30, 30);
    if (kind == 0) { /* any finite bits */
        double x;
        do {
            const uint64_t w = random_word();
            if (bits == 32) {
                const uint32_t u = (uint32_t)w;
                float f;
                memcpy(&f, &u, 4), x = (double)f;
            } else
                memcpy(&x, &w, 8);
        } while (!isfinite(x));
        return x;
    }
    if (kind == 1) return random_between(-1e5, 1e5);
    if (kind == 2) return random_between(-90, 90) * (bits == 64 ? 8 : 1);
    if (kind == 3) return random_between(-1e-3, 1e-3);
    if (kind == 4) return (double)(int64_t)(random_word() % 64) * 0.7853981633974483;
    return random_between(-5, 5);
}

static void test_map_values(void **state) {
    (void)state;
    enum { N = 4096, ROUNDS = 12 };
    void *x[3], *out = buffer(N);
    for (int j = 0; j < 3; j++)
        x[j] = buffer(N);
    EACH_LEVEL(k, bits) {
        for (cpu_map op = 0; op < CPU_MAP_COUNT; op++)
            for (int round = 0; round < ROUNDS; round++) {
                for (int j = 0; j < 3; j++)
                    for (int i = 0; i < N; i++)
                        put(bits, x[j], i, sample(bits, op, j));
                real_of(k, bits)->map[op][0](out, x[0], x[1], x[2], N);
                for (int i = 0; i < N; i++) {
                    const double a = get(bits, x[0], i), b = get(bits, x[1], i), c = get(bits, x[2], i);
                    check_value(k, bits, op, get(bits, out, i), a, b, c);
                }
            }
    }
    for (cpu_map op = 0; op < CPU_MAP_COUNT; op++)
        if (bounds[op] > 0)
            print_message("%-10s f32 %.2f ulp, f64 %.2f ulp\n", map_names[op], worst[0][op], worst[1][op]);
    for (int j = 0; j < 3; j++)
        free(x[j]);
    free(out);
}

/* Every variant and short length, in place and not, against variant 0; nothing written beyond whole vectors. */
static void test_map_variants(void **state) {
    (void)state;
    enum { SPACE = 128 };
    void *x[3], *full[3], *out = buffer(SPACE), *want = buffer(SPACE);
    for (int j = 0; j < 3; j++)
        x[j] = buffer(SPACE), full[j] = buffer(SPACE);
    EACH_LEVEL(k, bits) {
        const cpu_real *r = real_of(k, bits);
        const int lanes = r->lanes, sizes[] = {0,
                                               1,
                                               2,
                                               lanes - 1,
                                               lanes,
                                               lanes + 1,
                                               2 * lanes - 1,
                                               2 * lanes,
                                               2 * lanes + 1,
                                               3 * lanes - 1,
                                               3 * lanes,
                                               3 * lanes + 1};
        for (cpu_map op = 0; op < CPU_MAP_COUNT; op++)
            for (int variant = 0; variant < 1 << map_inputs[op]; variant++)
                for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++)
                    for (int in_place = -1; in_place < map_inputs[op]; in_place++) {
                        if (in_place >= 0 && (variant >> in_place & 1)) continue;
                        const int n = sizes[s], whole = (n + lanes - 1) / lanes * lanes;
                        for (int j = 0; j < 3; j++)
                            for (int i = 0; i < SPACE; i++) {
                                put(bits, x[j], i, random_between(0.1, 4));
                                put(bits, full[j], i, get(bits, x[j], variant >> j & 1 ? 0 : i));
                            }
                        for (int i = 0; i < SPACE; i++)
                            put(bits, out, i, 77), put(bits, want, i, 77);
                        r->map[op][0](want, full[0], full[1], full[2], n);
                        void *dst = out;
                        if (in_place >= 0)
                            dst = x[in_place];
                        else
                            for (int i = whole; i < SPACE; i++)
                                assert_true(get(bits, want, i) == 77);
                        r->map[op][variant](dst, x[0], map_inputs[op] > 1 ? x[1] : NULL,
                                            map_inputs[op] > 2 ? x[2] : NULL, n);
                        if (memcmp(dst, want, (size_t)(whole * bits / 8)))
                            fail_msg("%s f%d %s variant %d, n %d, in place %d differs", k->name, bits, map_names[op],
                                     variant, n, in_place);
                        if (in_place < 0)
                            for (int i = whole; i < SPACE; i++)
                                assert_true(get(bits, out, i) == 77);
                    }
    }
    for (int j = 0; j < 3; j++)
        free(x[j]), free(full[j]);
    free(out), free(want);
}

/* ---- reductions ---- */

static void check_reduce(const cpu_kernels *k, int bits, int rows, int columns, int kind) {
    const int stride = columns + 3;
    char *x = buffer((size_t)(rows * stride + 1));
    char *out = buffer((size_t)rows), *row = buffer((size_t)columns + 1);
    x += bits / 8; /* alignment of one element only */
    for (int i = 0; i < rows * stride; i++) {
        double v = random_between(-2, 2);
        if (kind == 1) v = (double)(int)(random_word() % 3); /* ties */
        if (kind == 2 && random_word() % 5 == 0) v = NAN;
        if (kind == 3) v = random_word() % 2 ? INFINITY : -INFINITY;
        if (kind == 4) v = -INFINITY;
        put(bits, x, i, v);
    }
    for (cpu_reduce op = 0; op < CPU_REDUCE_COUNT; op++) {
        if (columns == 0 && op != CPU_REDUCE_SUM && op != CPU_REDUCE_PROD) continue;
        real_of(k, bits)->reduce[op](out, x, stride, rows, columns);
        for (int r = 0; r < rows; r++) {
            wide sum = 0, product = 1, size = 0, highest = -INFINITY, lowest = INFINITY;
            int high = 0, low = 0, nan = -1;
            for (int c = 0; c < columns; c++) {
                const wide v = get(bits, x, r * stride + c);
                sum += v, product *= v, size += fabsl(v);
                if (isnan(v) && nan < 0) nan = c;
                if (v > highest) highest = v, high = c;
                if (v < lowest) lowest = v, low = c;
            }
            if (nan >= 0) highest = lowest = NAN, high = low = nan;
            const wide want[] = {sum, product, highest, lowest, high, low};
            const wide bound[] = {
                size * epsilon(bits) * (columns / 8 + 4), fabsl(product) * epsilon(bits) * columns, 0, 0, 0, 0};
            const wide got = get(bits, out, r), w = want[op];
            char alone[8]; /* has the bits it has among others */
            real_of(k, bits)->reduce[op](alone, x + r * stride * (bits / 8), stride, 1, columns);
            assert_true(isnan(got) || memcmp(alone, out + r * (bits / 8), (size_t)bits / 8) == 0);
            memcpy(row, x + r * stride * (bits / 8), (size_t)(columns * (bits / 8))); /* or in its own place */
            real_of(k, bits)->reduce[op](row, row, 0, 1, columns);
            assert_true(isnan(got) ? isnan(get(bits, row, 0)) : memcmp(alone, row, (size_t)bits / 8) == 0);
            if (isnan(w)   ? !isnan(got)
                : isinf(w) ? got != w
                           : !(fabsl(got - w) <= bound[op] + (op == CPU_REDUCE_PROD ? 1e-30L : 0)))
                fail_msg("%s f%d reduce %d of %d x %d, kind %d: row %d is %Lg, not %Lg", k->name, bits, (int)op, rows,
                         columns, kind, r, got, w);
        }
    }
    free(x - bits / 8), free(out), free(row);
}

static void test_reductions(void **state) {
    (void)state;
    EACH_LEVEL(k, bits)
    for (int kind = 0; kind < 5; kind++) {
        for (int columns = 0; columns <= 70; columns++)
            check_reduce(k, bits, columns % 2 ? 3 : 37, columns, kind);
        for (int columns = 1000; columns <= 5096; columns += 1024)
            check_reduce(k, bits, 2, columns, kind);
    }
}

/* ---- loads and stores ---- */

static const char *const dtype_names[] = {
#define DTYPE_NAME(name, text, bytes) text,
    SOMA_DTYPE_LIST(DTYPE_NAME)};
static const int dtype_bytes[] = {
#define DTYPE_BYTES(name, text, bytes) bytes,
    SOMA_DTYPE_LIST(DTYPE_BYTES)};

static float half_value(uint16_t h) {
    const int e = h >> 10 & 31, m = h & 1023;
    const float x = e == 31 ? (m ? NAN : INFINITY) : e ? ldexpf((float)(m + 1024), e - 25) : ldexpf((float)m, -24);
    return h & 0x8000 ? -x : x;
}
static float brain_value(uint16_t b) {
    const uint32_t u = (uint32_t)b << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}
/* The 16-bit number nearest to x, even on a tie, by looking at x's neighbours in the list of all. */
static uint16_t nearest_code(double x, float value(uint16_t), uint16_t infinity) {
    const double a = fabs(x);
    if (isnan(x)) return (uint16_t)(infinity | 1);
    const uint16_t sign = signbit(x) ? 0x8000 : 0;
    uint16_t low = 0, high = infinity;
    while (high - low > 1) {
        const uint16_t middle = (uint16_t)((low + high) / 2);
        if ((double)value(middle) <= a)
            low = middle;
        else
            high = middle;
    }
    const double below = (double)value(low);
    const double step = below - (double)value((uint16_t)(low ? low - 1 : low)),
                 above = high == infinity ? below + step : (double)value(high);
    if ((double)value(high) <= a) return sign | high;
    const double middle = below + (above - below) / 2;
    return (uint16_t)(sign | (a < middle || (a == middle && low % 2 == 0) ? low : high));
}

static void test_sixteen_bits(void **state) {
    (void)state;
    enum { ALL = 65536 };
    uint16_t *codes = buffer(ALL), *back = buffer(ALL);
    void *x = buffer(ALL);
    for (int i = 0; i < ALL; i++)
        codes[i] = (uint16_t)i;
    EACH_LEVEL(k, bits)
    for (int brain = 0; brain < 2; brain++) {
        const soma_dtype dtype = brain ? SOMA_BF16 : SOMA_F16;
        real_of(k, bits)->load[dtype](x, codes, 1, ALL);
        real_of(k, bits)->store[dtype](back, 1, x, ALL);
        for (int i = 0; i < ALL; i++) {
            const double want = (double)(brain ? brain_value(codes[i]) : half_value(codes[i])), got = get(bits, x, i);
            if (isnan(want)) {
                const float again = brain ? brain_value(back[i]) : half_value(back[i]);
                assert_true(isnan(got) && isnan(again));
            } else if (got != want || back[i] != codes[i] || !signbit(got) != !signbit(want))
                fail_msg("%s f%d %s %04x: %g, back %04x", k->name, bits, dtype_names[dtype], i, got, back[i]);
        }
        /* between neighbours: just below, at and just above the middle */
        for (int i = 0; i < ALL; i++) {
            const uint16_t c = (uint16_t)(i & (brain ? 0x7f7f : 0x7bff));
            const double low = (double)(brain ? brain_value(c) : half_value(c));
            const double up = (double)(brain ? brain_value((uint16_t)(c + 1)) : half_value((uint16_t)(c + 1)));
            double middle = isinf(up) ? (brain ? 0x1.ffp127 : 65520.0) : low + (up - low) / 2;
            const double tiny = bits == 64 ? 1e-9 : 1e-6;
            if (i % 3) middle *= i % 3 == 1 ? 1 - tiny : 1 + tiny;
            put(bits, x, i, i % 2 ? -middle : middle);
        }
        real_of(k, bits)->store[dtype](back, 1, x, ALL);
        for (int i = 0; i < ALL; i++) {
            const uint16_t want = brain ? nearest_code(get(bits, x, i), brain_value, 0x7f80)
                                        : nearest_code(get(bits, x, i), half_value, 0x7c00);
            if (back[i] != want)
                fail_msg("%s f%d %.20g to %s: %04x, not %04x", k->name, bits, get(bits, x, i), dtype_names[dtype],
                         back[i], want);
        }
    }
    free(codes), free(back), free(x);
}

static double element(soma_dtype dtype, const void *p, int64_t i) {
    switch (dtype) {
    case SOMA_F32:
        return (double)((const float *)p)[i];
    case SOMA_F64:
        return ((const double *)p)[i];
    case SOMA_F16:
        return (double)half_value(((const uint16_t *)p)[i]);
    case SOMA_BF16:
        return (double)brain_value(((const uint16_t *)p)[i]);
    case SOMA_I8:
        return ((const int8_t *)p)[i];
    case SOMA_I16:
        return ((const int16_t *)p)[i];
    case SOMA_I32:
        return ((const int32_t *)p)[i];
    case SOMA_I64:
        return (double)((const int64_t *)p)[i];
    default:
        return ((const uint8_t *)p)[i];
    }
}
/* What storing x gives when looked at again. */
static double stored(soma_dtype dtype, double x) {
    const double low[] = {
        [SOMA_I8] = -128, [SOMA_I16] = -32768, [SOMA_I32] = -0x1p31, [SOMA_I64] = -0x1p63, [SOMA_U8] = 0};
    const double high[] = {
        [SOMA_I8] = 127, [SOMA_I16] = 32767, [SOMA_I32] = 0x1p31 - 1, [SOMA_I64] = 0x1p63, [SOMA_U8] = 255};
    switch (dtype) {
    case SOMA_F32:
        return (double)(float)x;
    case SOMA_F64:
        return x;
    case SOMA_F16:
        return (double)half_value(nearest_code(x, half_value, 0x7c00));
    case SOMA_BF16:
        return (double)brain_value(nearest_code(x, brain_value, 0x7f80));
    case SOMA_BOOL:
        return x != 0;
    default:
        return isnan(x) ? 0 : x <= low[dtype] ? low[dtype] : x >= high[dtype] ? high[dtype] : trunc(x);
    }
}

static void check_conversion(const cpu_kernels *k, int bits, soma_dtype dtype, int64_t step, int64_t n) {
    const cpu_real *r = real_of(k, bits);
    const int64_t span = (n - 1) * (step < 0 ? -step : step) + 1, bytes = dtype_bytes[dtype];
    const double pool[] = {0,       -0.0, 1,          -1,         0.9,        -0.9,        1.5,      127.5,  128,
                           -128.9,  255,  256,        300,        -300,       32767.4,     40000,    -40000, 65504,
                           65520,   1e6,  2147483520, 2147483647, 2147483648, -2147483648, -3e9,     1e18,   9.3e18,
                           -9.3e18, 1e30, -1e30,      1e-30,      NAN,        INFINITY,    -INFINITY};
    char *x = buffer((size_t)n + 1), *y = buffer((size_t)n + 1), *mem = buffer((size_t)span + 2);
    x += bits / 8, y += bits / 8; /* no alignment but one element's */
    for (int64_t i = 0; i < n; i++) {
        const bool special = random_word() % 2;
        put(bits, x, i, special ? pool[random_word() % (sizeof(pool) / sizeof(*pool))] : random_between(-300, 300));
    }
    memset(mem, 0x5a, (size_t)((span + 2) * bytes));
    char *first = mem + bytes + (step < 0 ? (span - 1) * bytes : 0);
    r->store[dtype](first, step, x, n);
    for (int i = 0; i < bytes; i++)
        assert_true(mem[i] == 0x5a && mem[(span + 1) * bytes + i] == 0x5a);
    for (int64_t i = 0; i < n && step != 0; i++) {
        const double got = element(dtype, first + i * step * bytes, 0), want = stored(dtype, get(bits, x, i));
        if (isnan(want) ? !isnan(got) : got != want)
            fail_msg("%s f%d store %s step %d: %.20g became %.20g, not %.20g", k->name, bits, dtype_names[dtype],
                     (int)step, get(bits, x, i), got, want);
    }
    put(bits, y, n, 77);
    r->load[dtype](y, first, step, n);
    assert_true(get(bits, y, n) == 77);
    for (int64_t i = 0; i < n; i++) {
        const double v = element(dtype, first + i * step * bytes, 0), want = bits == 32 ? (double)(float)v : v,
                     got = get(bits, y, i);
        if (isnan(want) ? !isnan(got) : got != want)
            fail_msg("%s f%d load %s step %d: %.20g became %.20g", k->name, bits, dtype_names[dtype], (int)step, want,
                     got);
    }
    free(x - bits / 8), free(y - bits / 8), free(mem);
}

static void test_conversions(void **state) {
    (void)state;
    const int64_t steps[] = {1, 2, 7, -1, -3};
    EACH_LEVEL(k, bits)
    for (soma_dtype dtype = 0; dtype < SOMA_DTYPE_COUNT; dtype++)
        for (size_t s = 0; s < sizeof(steps) / sizeof(*steps); s++) {
            for (int64_t n = 1; n <= 70; n++)
                check_conversion(k, bits, dtype, steps[s], n);
            check_conversion(k, bits, dtype, steps[s], 1000);
        }
    EACH_LEVEL(k, bits) { /* one element for all; booleans other than 0 and 1 */
        const uint8_t seven = 7;
        double out[64];
        real_of(k, bits)->load[SOMA_BOOL](out, &seven, 0, 50);
        for (int i = 0; i < 50; i++)
            assert_true(get(bits, out, i) == 1);
        real_of(k, bits)->load[SOMA_U8](out, &seven, 0, 50);
        for (int i = 0; i < 50; i++)
            assert_true(get(bits, out, i) == 7);
    }
}

/* ---- panels ---- */

static void check_pack(const cpu_kernels *k, int bits, int64_t rows, int64_t columns, int64_t width, bool transposed) {
    const int64_t across = transposed ? rows : columns, along = transposed ? columns : rows;
    const int64_t panels = (across + width - 1) / width, panel = along * width + 8, stride = columns + 1;
    void *src = buffer((size_t)(rows * stride)), *dst = buffer((size_t)(panels * panel));
    for (int64_t i = 0; i < rows * stride; i++)
        put(bits, src, i, (double)(i + 1));
    for (int64_t i = 0; i < panels * panel; i++)
        put(bits, dst, i, -1);
    const cpu_real *r = real_of(k, bits);
    (transposed ? r->pack_transposed : r->pack)(dst, panel, width, src, stride, rows, columns);
    for (int64_t p = 0; p < panels; p++)
        for (int64_t i = 0; i < panel; i++) {
            const int64_t x = p * width + i % width, y = i / width;
            double want = x < across ? (double)((transposed ? x * stride + y : y * stride + x) + 1) : 0;
            if (i >= along * width) want = -1; /* between the panels */
            if (get(bits, dst, p * panel + i) != want)
                fail_msg("%s f%d pack%s %d x %d by %d: panel %d, element %d is %g, not %g", k->name, bits,
                         transposed ? "_transposed" : "", (int)rows, (int)columns, (int)width, (int)p, (int)i,
                         get(bits, dst, p * panel + i), want);
        }
    free(src), free(dst);
}

/* Numbers whose sums are exact; what lies between rows is not added. */
static void test_add_rows(void **state) {
    (void)state;
    EACH_LEVEL(k, bits) {
        const int64_t lanes = real_of(k, bits)->lanes;
        for (int64_t rows = 0; rows < 6; rows++)
            for (int64_t columns = 1; columns < 9 * lanes + 2; columns += columns < 2 * lanes ? 1 : lanes / 2 + 1) {
                const int64_t row = columns + lanes;
                void *src = buffer((size_t)(6 * row + lanes)), *dst = buffer((size_t)(columns + lanes));
                for (int64_t i = 0; i < 6 * row; i++)
                    put(bits, src, i, (double)(i * 37 % 101 - 50) / 4);
                for (int64_t i = 0; i < columns; i++)
                    put(bits, dst, i, (double)i);
                real_of(k, bits)->add_rows(dst, src, row, rows, columns);
                for (int64_t i = 0; i < columns; i++) {
                    double sum = (double)i;
                    for (int64_t r = 0; r < rows; r++)
                        sum += (double)((r * row + i) * 37 % 101 - 50) / 4;
                    assert_true(get(bits, dst, i) == sum);
                }
                free(src), free(dst);
            }
    }
}

/* Rows of one number each; what a row's last vector leaves behind it is the next row's, or slack. */
static void test_repeat(void **state) {
    (void)state;
    EACH_LEVEL(k, bits) {
        const int64_t lanes = real_of(k, bits)->lanes;
        for (int64_t rows = 1; rows < 6; rows++)
            for (int64_t columns = 1; columns < 2 * lanes + 2; columns++)
                for (int64_t gap = 0; gap < 2; gap++) {
                    const int64_t row = columns + gap * lanes;
                    void *src = buffer((size_t)rows), *dst = buffer((size_t)(rows * row + lanes));
                    for (int64_t r = 0; r < rows; r++)
                        put(bits, src, r, (double)(7 * r - 3));
                    real_of(k, bits)->repeat(dst, row, src, rows, columns);
                    for (int64_t r = 0; r < rows; r++)
                        for (int64_t i = 0; i < columns; i++)
                            assert_true(get(bits, dst, r * row + i) == (double)(7 * r - 3));
                    free(src), free(dst);
                }
    }
}

/* Numbers that say a column, and such as say none: outside the row, between two columns, not at all. */
static void test_pick_put(void **state) {
    (void)state;
    EACH_LEVEL(k, bits) {
        const int64_t lanes = real_of(k, bits)->lanes;
        const double odd[] = {-1, 0.5, NAN, 1e20, -INFINITY, -0.0};
        for (int64_t rows = 1; rows < 2 * lanes + 3; rows++)
            for (int64_t columns = 1; columns < 20; columns += 3) {
                const int64_t row = columns + rows % 3;
                void *src = buffer((size_t)(rows * row)), *one = buffer((size_t)(rows + lanes)),
                     *place = buffer((size_t)(rows + lanes)), *dst = buffer((size_t)(rows + lanes));
                for (int64_t r = 0; r < rows; r++) {
                    put(bits, place, r, r % 4 == 3 ? odd[r / 4 % 6] : (double)(r * 7 % (columns + 1)));
                    put(bits, one, r, (double)(-1 - r));
                }
                for (int64_t i = 0; i < rows * row; i++)
                    put(bits, src, i, (double)(i + 1));
                for (int64_t apart = 0; apart < 2; apart++) {
                    real_of(k, bits)->pick(dst, apart ? src : one, apart * row, place, rows, columns);
                    for (int64_t r = 0; r < rows; r++) {
                        const double p = get(bits, place, r);
                        const bool said = p >= 0 && p < (double)columns && p == floor(p);
                        const double there = apart ? (double)r * (double)row + p + 1 : (double)(-1 - r);
                        assert_true(get(bits, dst, r) == (said ? there : 0));
                    }
                }
                real_of(k, bits)->put(src, row, one, place, rows, columns);
                for (int64_t i = 0; i < rows * row; i++)
                    assert_true(get(bits, src, i) ==
                                ((double)(i % row) == get(bits, place, i / row) && i % row < columns
                                     ? (double)(-1 - i / row)
                                     : (double)(i + 1)));
                free(src), free(one), free(place), free(dst);
            }
    }
}

/* Rows that lie apart, or over each other, to rows without gaps. */
static void test_copy_rows(void **state) {
    (void)state;
    EACH_LEVEL(k, bits) {
        const int64_t lanes = real_of(k, bits)->lanes;
        for (int64_t rows = 1; rows < 6; rows++)
            for (int64_t columns = 1; columns < 2 * lanes + 2; columns++)
                for (int64_t from = 0; from < 2 * columns; from++) {
                    void *src = buffer((size_t)(rows * from + columns)),
                         *dst = buffer((size_t)(rows * columns + lanes));
                    for (int64_t i = 0; i < rows * from + columns; i++)
                        put(bits, src, i, (double)(5 * i + 2));
                    real_of(k, bits)->copy_rows(dst, columns, src, from, rows, columns);
                    for (int64_t r = 0; r < rows; r++)
                        for (int64_t i = 0; i < columns; i++)
                            assert_true(get(bits, dst, r * columns + i) == (double)(5 * (r * from + i) + 2));
                    free(src), free(dst);
                }
    }
}

/* Past the caches, wherever an array begins; what lies around it stays. */
static void test_store_past(void **state) {
    (void)state;
    EACH_LEVEL(k, bits) {
        const int64_t lanes = real_of(k, bits)->lanes, size = bits / 8;
        void *src = buffer((size_t)(6 * lanes)), *dst = buffer((size_t)(6 * lanes));
        for (int64_t i = 0; i < 6 * lanes; i++)
            put(bits, src, i, (double)(3 * i + 1));
        for (int64_t first = 0; first <= 2 * lanes; first++)
            for (int64_t n = 0; n <= 3 * lanes + 1; n++) {
                for (int64_t i = 0; i < 6 * lanes; i++)
                    put(bits, dst, i, -1);
                cpu_line held = {0}; /* in two calls that follow each other, some elements between them left out */
                const int64_t gap = n > 2 * lanes ? n % 3 : 0, half = n / 2;
                char *to = (char *)dst + first * size, *from = (char *)src + n % 3 * size;
                real_of(k, bits)->store_past(to, from, half, &held);
                real_of(k, bits)->store_past(to + (half + gap) * size, from + (half + gap) * size, n - half - gap,
                                             &held);
                real_of(k, bits)->store_past(NULL, NULL, 0, &held);
                for (int64_t i = 0; i < 6 * lanes; i++)
                    assert_true(get(bits, dst, i) ==
                                (i < first || i >= first + n || (i >= first + half && i < first + half + gap)
                                     ? -1
                                     : (double)(3 * (i - first + n % 3) + 1)));
            }
        free(src), free(dst);
    }
}

static void test_packs(void **state) {
    (void)state;
    const int64_t sizes[] = {1, 2, 3, 7, 8, 14, 15, 16, 17, 31, 33, 50};
    enum { SIZES = sizeof(sizes) / sizeof(*sizes) };
    EACH_LEVEL(k, bits) {
        const cpu_real *r = real_of(k, bits);
        const int64_t widths[] = {1, 3, r->rows, r->lanes, 2 * r->lanes};
        for (int i = 0; i < SIZES; i++)
            for (int j = 0; j < SIZES; j++)
                for (int w = 0; w < 10; w++)
                    check_pack(k, bits, sizes[i], sizes[j], widths[w / 2], w % 2);
    }
}

/* ---- random numbers ---- */

static void philox(uint64_t key, uint64_t counter, uint64_t block, uint32_t out[4]) {
    uint32_t x[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)counter, (uint32_t)(counter >> 32)};
    uint32_t k[2] = {(uint32_t)key, (uint32_t)(key >> 32)};
    for (int round = 0; round < 10; round++) {
        const uint64_t p = UINT64_C(0xD2511F53) * x[0], q = UINT64_C(0xCD9E8D57) * x[2];
        const uint32_t y[4] = {(uint32_t)(q >> 32) ^ x[1] ^ k[0], (uint32_t)q, (uint32_t)(p >> 32) ^ x[3] ^ k[1],
                               (uint32_t)p};
        memcpy(x, y, sizeof(x));
        k[0] += 0x9E3779B9u, k[1] += 0xBB67AE85u;
    }
    memcpy(out, x, sizeof(x));
}
static double uniform_at(int bits, uint64_t key, uint64_t counter, int64_t i) {
    uint32_t w[4];
    if (bits == 32) {
        philox(key, counter, (uint64_t)i / 4, w);
        return (double)(w[i % 4] >> 8) * 0x1p-24;
    }
    philox(key, counter, (uint64_t)i / 2, w);
    return (double)(((uint64_t)w[2 * (i % 2) + 1] << 32 | w[2 * (i % 2)]) >> 11) * 0x1p-53;
}

static void test_random(void **state) {
    (void)state;
    uint32_t known[4];
    philox(0, 0, 0, known); /* the paper's first vector */
    assert_true(known[0] == 0x6627e8d5 && known[1] == 0xe169c58d && known[2] == 0xbc57ac4c && known[3] == 0x9b00dbd8);
    const int64_t firsts[] = {0, 1, 2, 3, 5, 31, 64, 1001, INT64_C(0x3fffffff0), INT64_C(1) << 40};
    const uint64_t key = UINT64_C(0x0123456789abcdef), counter = UINT64_C(0xfedcba9876543210);
    EACH_LEVEL(k, bits)
    for (size_t f = 0; f < sizeof(firsts) / sizeof(*firsts); f++)
        for (int n = 0; n < 100; n += n < 40 ? 1 : 13) {
            double u[101], z[101];
            put(bits, u, n, 77), put(bits, z, n, 77);
            real_of(k, bits)->uniform(u, key, counter, firsts[f], n);
            real_of(k, bits)->normal(z, key, counter, firsts[f], n);
            assert_true(get(bits, u, n) == 77 && get(bits, z, n) == 77);
            for (int i = 0; i < n; i++) {
                const int64_t at = firsts[f] + i;
                if (get(bits, u, i) != uniform_at(bits, key, counter, at))
                    fail_msg("%s f%d uniform %lld of %d from %lld: %.17g", k->name, bits, (long long)at, n,
                             (long long)firsts[f], get(bits, u, i));
                const wide p = uniform_at(bits, key, counter, at & ~INT64_C(1)),
                           q = uniform_at(bits, key, counter, at | 1);
                const wide turn = 6.283185307179586476925286766559L * q, radius = sqrtl(-2 * log1pl(-p));
                const wide want = radius * (at % 2 ? sinl(turn) : cosl(turn));
                if (fabsl(get(bits, z, i) - want) > 4 * (wide)epsilon(bits) * (fabsl(want) + 0.01L * radius))
                    fail_msg("%s f%d normal %lld: %.17g, not %.17Lg", k->name, bits, (long long)at, get(bits, z, i),
                             want);
            }
            /* the same element whatever the start */
            double one[2];
            if (n > 0) {
                real_of(k, bits)->normal(one, key, counter, firsts[f] + n - 1, 1);
                assert_true(get(bits, one, 0) == get(bits, z, n - 1));
            }
        }
    EACH_LEVEL(k, bits) { /* moments of many */
        enum { N = 100000 };
        void *z = buffer(N);
        real_of(k, bits)->normal(z, 7, 11, 3, N);
        double sum = 0, square = 0, fourth = 0;
        for (int i = 0; i < N; i++) {
            const double x = get(bits, z, i);
            sum += x, square += x * x, fourth += x * x * x * x;
        }
        assert_true(fabs(sum / N) < 0.02 && fabs(square / N - 1) < 0.03 && fabs(fourth / N - 3) < 0.2);
        free(z);
    }
}

/* ---- choice ---- */

static void test_levels(void **state) {
    (void)state;
    int count = 0;
    while (cpu_level(count))
        count++;
    assert_true(count >= 1);
    assert_ptr_equal(cpu_find(NULL), cpu_level(count - 1));
    assert_null(cpu_find("mmx"));
    assert_null(cpu_find(""));
    EACH_LEVEL(k, bits) {
        assert_ptr_equal(cpu_find(k->name), k);
        const cpu_real *r = real_of(k, bits);
        assert_true(r->lanes >= 2 && r->lanes <= 64 && r->vectors >= 1 && r->vectors <= CPU_MAX_VECTORS);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),     cmocka_unit_test(test_tiles),        cmocka_unit_test(test_map_specials),
        cmocka_unit_test(test_map_zeros),  cmocka_unit_test(test_map_values),   cmocka_unit_test(test_map_variants),
        cmocka_unit_test(test_reductions), cmocka_unit_test(test_sixteen_bits), cmocka_unit_test(test_conversions),
        cmocka_unit_test(test_add_rows),   cmocka_unit_test(test_repeat),       cmocka_unit_test(test_copy_rows),
        cmocka_unit_test(test_pick_put),   cmocka_unit_test(test_store_past),   cmocka_unit_test(test_packs),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}
