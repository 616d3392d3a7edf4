/* Element by element: every op of CPU_MAP_LIST, in every variant of which inputs are one number for all elements.
 * Rests on vec.h and the vector functions. An op is one inline function of three vectors; the loops around it are
 * instantiated by macros. When all inputs are numbers the op is done once and the result filled in. */

#define MAP_OP(name, formula)                                                                                          \
    INLINE vec V(op_##name)(vec a, vec b, vec c) {                                                                     \
        (void)a, (void)b, (void)c;                                                                                     \
        return formula;                                                                                                \
    }
#define ZERO V(splat)(0)
#define ONE V(splat)(1)
#define TRUTH(condition) V(keep)(condition, ONE)
#define NONZERO(x) V(ne)(x, ZERO)

MAP_OP(COPY, a)
MAP_OP(NEG, -a)
MAP_OP(ABS, V(abs)(a))
MAP_OP(SIGN, V(select)(V(ne)(a, a), a, V(keep)(NONZERO(a), V(copysign)(ONE, a))))
MAP_OP(SQUARE, a *a)
MAP_OP(SQRT, V(sqrt)(a))
MAP_OP(RSQRT, V(rsqrt)(a))
MAP_OP(RECIPROCAL, 1 / a)
MAP_OP(EXP, V(exp)(a))
MAP_OP(EXPM1, V(expm1)(a))
MAP_OP(LOG, V(log)(a))
MAP_OP(LOG1P, V(log1p)(a))
MAP_OP(SIN, V(sin)(a))
MAP_OP(COS, V(cos)(a))
MAP_OP(TAN, V(tan)(a))
MAP_OP(TANH, V(tanh)(a))
MAP_OP(SIGMOID, V(sigmoid)(a))
MAP_OP(ERF, V(erf)(a))
MAP_OP(FLOOR, V(floor)(a))
MAP_OP(CEIL, V(ceil)(a))
MAP_OP(ROUND, V(rint)(a))
MAP_OP(TRUNC, V(trunc)(a))
MAP_OP(ISNAN, TRUTH(V(ne)(a, a)))
MAP_OP(ISFINITE, TRUTH(V(lt)(V(abs)(a), V(splat)(R(INFINITY)))))
MAP_OP(NOT, TRUTH(V(eq)(a, ZERO)))
MAP_OP(ADD, a + b)
MAP_OP(SUB, a - b)
MAP_OP(MUL, a *b)
MAP_OP(DIV, a / b)
MAP_OP(MOD, V(mod)(a, b))
MAP_OP(POW, V(pow)(a, b))
MAP_OP(ATAN2, V(atan2)(a, b))
MAP_OP(MAXIMUM, V(select)(V(ne)(a, a), a, V(max)(a, b)))
MAP_OP(MINIMUM, V(select)(V(ne)(a, a), a, V(min)(a, b)))
MAP_OP(EQUAL, TRUTH(V(eq)(a, b)))
MAP_OP(NOT_EQUAL, TRUTH(V(ne)(a, b)))
MAP_OP(LESS, TRUTH(V(lt)(a, b)))
MAP_OP(LESS_EQUAL, TRUTH(V(le)(a, b)))
MAP_OP(GREATER, TRUTH(V(lt)(b, a)))
MAP_OP(GREATER_EQUAL, TRUTH(V(le)(b, a)))
MAP_OP(AND, TRUTH(V(both)(NONZERO(a), NONZERO(b))))
MAP_OP(OR, TRUTH(V(either)(NONZERO(a), NONZERO(b))))
MAP_OP(XOR, TRUTH(V(differ)(NONZERO(a), NONZERO(b))))
MAP_OP(WHERE, V(select)(NONZERO(a), b, c))
MAP_OP(FMA, V(fma)(a, b, c))
MAP_OP(FNMA, V(fnma)(a, b, c))
MAP_OP(MUL_RSQRT, a *V(rsqrt)(b))
MAP_OP(MUL_RSQRT_SUM, a *V(rsqrt)(b + c))
MAP_OP(BLEND, V(fma)(b - a, c, a))
MAP_OP(BLEND_SQUARE, V(fma)(V(fma)(b, b, -a), c, a))
MAP_OP(DIV_ROOT_PLUS, a / (V(root)(b) + c))
MAP_OP(EXP_SUB, V(exp)(a - b))

#undef MAP_OP
#undef ZERO
#undef ONE
#undef TRUTH
#undef NONZERO

/* Bits 0, 1, 2 of one: a, b, c is one number. Both vectors are read before one is written: dst may be an input. */
INLINE void V(map)(vec op(vec, vec, vec), int inputs, int one, void *dst, const void *a, const void *b, const void *c,
                   int64_t n) {
    const real *in[3] = {a, b, c};
    vec x[3] = {{0}}, y[3] = {{0}};
    UNROLL for (int j = 0; j < inputs; j++) if (one >> j & 1) x[j] = y[j] = V(splat)(*in[j]);
    real *out = dst;
    int64_t i = 0;
    for (; i + LANES < n; i += 2 * LANES) {
        UNROLL for (int j = 0; j < inputs; j++) if (!(one >> j & 1)) x[j] = V(load_loose)(in[j] + i),
                                                                     y[j] = V(load_loose)(in[j] + i + LANES);
        const vec first = op(x[0], x[1], x[2]), second = op(y[0], y[1], y[2]);
        V(store_loose)(out + i, first);
        V(store_loose)(out + i + LANES, second);
    }
    if (i >= n) return;
    UNROLL for (int j = 0; j < inputs; j++) if (!(one >> j & 1)) x[j] = V(load_loose)(in[j] + i);
    V(store_loose)(out + i, op(x[0], x[1], x[2]));
}

/* All inputs are numbers: once by the kernel for arrays, then fill. */
static void V(map_fill)(cpu_map_fn *kernel, void *dst, const void *a, const void *b, const void *c, int64_t n) {
    vec x = {0}, y = {0}, z = {0};
    if (a) x = V(splat)(*(const real *)a);
    if (b) y = V(splat)(*(const real *)b);
    if (c) z = V(splat)(*(const real *)c);
    kernel(&x, &x, &y, &z, LANES);
    for (int64_t i = 0; i < n; i += LANES)
        V(store_loose)((real *)dst + i, x);
}

#define MAP_KERNEL(name, inputs, one)                                                                                  \
    static void V(map_##name##_##one)(void *dst, const void *a, const void *b, const void *c, int64_t n) {             \
        V(map)(V(op_##name), inputs, one, dst, a, b, c, n);                                                            \
    }
#define MAP_FILL(name, all, b, c)                                                                                      \
    static void V(map_##name##_##all)(void *dst, const void *x, const void *y, const void *z, int64_t n) {             \
        (void)y, (void)z;                                                                                              \
        V(map_fill)(V(map_##name##_0), dst, x, b, c, n);                                                               \
    }
#define MAP_KERNELS_1(name)                                                                                            \
    MAP_KERNEL(name, 1, 0)                                                                                             \
    MAP_FILL(name, 1, NULL, NULL)
#define MAP_KERNELS_2(name)                                                                                            \
    MAP_KERNEL(name, 2, 0)                                                                                             \
    MAP_KERNEL(name, 2, 1)                                                                                             \
    MAP_KERNEL(name, 2, 2)                                                                                             \
    MAP_FILL(name, 3, y, NULL)
#define MAP_KERNELS_3(name)                                                                                            \
    MAP_KERNEL(name, 3, 0)                                                                                             \
    MAP_KERNEL(name, 3, 1)                                                                                             \
    MAP_KERNEL(name, 3, 2)                                                                                             \
    MAP_KERNEL(name, 3, 3)                                                                                             \
    MAP_KERNEL(name, 3, 4)                                                                                             \
    MAP_KERNEL(name, 3, 5)                                                                                             \
    MAP_KERNEL(name, 3, 6)                                                                                             \
    MAP_FILL(name, 7, y, z)
#define MAP_KERNELS(name, inputs, formula) MAP_KERNELS_##inputs(name)
CPU_MAP_LIST(MAP_KERNELS)

static void V(repeat)(void *dst, int64_t dst_row, const void *src, int64_t rows, int64_t columns) {
    const real *from = src;
    real *to = dst;
    int64_t r = 0;
#if VEC_HAS_PERMUTE
    /* Rows without gaps: LANES of them are as many vectors as columns, and an element's row is (its number + 1/2) /
     * columns, less 1/2 and rounded. */
    if (columns <= 64 && dst_row == columns) {
        vec row;
        UNROLL for (int i = 0; i < LANES; i++) row[i] = ((real)i + R(0.5)) / (real)columns - R(0.5);
        for (int64_t i = 0; i < LANES * columns; i += LANES, row += (real)LANES / (real)columns) {
            const bits said = V(low_bits)(row);
            const real *x = from;
            for (int64_t at = i; at < rows * columns; at += LANES * columns, x += LANES)
                V(store_loose)(to + at, V(permute)(said, V(load_loose)(x)));
        }
        r = rows;
    }
#endif
    for (; r < rows; r++, to += dst_row) {
        const vec x = V(splat)(from[r]);
        for (int64_t i = 0; i < columns; i += LANES)
            V(store_loose)(to + i, x);
    }
}

static void V(copy_rows)(void *dst, int64_t dst_row, const void *src, int64_t src_row, int64_t rows, int64_t columns) {
    const int64_t whole = columns & -(int64_t)LANES, rest = columns - whole;
    const real *from = src;
    real *to = dst;
    for (int64_t r = 0; r < rows; r++, to += dst_row, from += src_row) {
        for (int64_t i = 0; i < whole; i += LANES)
            V(store_loose)(to + i, V(load_loose)(from + i));
        if (rest) V(store_loose)(to + whole, V(load_part)(from + whole, rest, 0));
    }
}

/* The columns that a vector of numbers says, of fewer than 2^(MANTISSA-1): 0 where it says none. at: where they are
 * if LANES rows lie src_row apart. */
INLINE mask V(columns_said)(const real *place, int64_t columns, int64_t src_row, V(word) at[LANES]) {
    const vec p = V(load_loose)(place);
    const mask inside = V(both)(V(le)(V(splat)(0), p), V(lt)(p, V(splat)((real)columns)));
    const mask said = V(both)(inside, V(eq)(V(floor)(p), p));
    const bits lane = {EACH_LANE(LANE_DOWN, 0)};
    const bits there = V(low_bits)(V(keep)(said, p)) - V(low_bits)(V(splat)(0)) + lane * (V(word))src_row;
    __builtin_memcpy(at, &there, sizeof there);
    return said;
}
#define PICKED(from, i) from[at[i]]
static void V(pick)(void *dst, const void *src, int64_t src_row, const void *place, int64_t rows, int64_t columns) {
    const real *from = src;
    real *to = dst;
    V(word) at[LANES];
    for (int64_t r = 0; r < rows; r += LANES, to += LANES, from += LANES * src_row) {
        const mask said = V(columns_said)((const real *)place + r, columns, src_row, at);
        vec x = {0};
        if (src_row == 0)
            x = V(load_loose)((const real *)src + r);
        else if (rows - r >= LANES)
            x = (vec){EACH_LANE(PICKED, from)};
        else
            for (int64_t i = 0; r + i < rows; i++)
                x[i] = from[at[i]];
        V(store_loose)(to, V(keep)(said, x));
    }
}
#undef PICKED
static void V(put)(void *dst, int64_t dst_row, const void *src, const void *place, int64_t rows, int64_t columns) {
    const real *from = src;
    real *to = dst, said[LANES];
    V(word) at[LANES];
    for (int64_t r = 0; r < rows; r += LANES, from += LANES, to += LANES * dst_row) {
        const vec one = V(keep)(V(columns_said)((const real *)place + r, columns, dst_row, at), V(splat)(1));
        if (rows - r >= LANES && !V(any)(V(eq)(one, V(splat)(0)))) {
            UNROLL for (int i = 0; i < LANES; i++) to[at[i]] = from[i];
            continue;
        }
        V(store_loose)(said, one);
        for (int64_t i = 0; i < LANES && r + i < rows; i++)
            if (said[i] != 0) to[at[i]] = from[i];
    }
}

/* The table's rows; bits of a variant beyond the op's inputs don't matter. */
#define MAP_ENTRY_1(name)                                                                                              \
    {                                                                                                                  \
        V(map_##name##_0), V(map_##name##_1), V(map_##name##_0), V(map_##name##_1), V(map_##name##_0),                 \
            V(map_##name##_1), V(map_##name##_0), V(map_##name##_1)                                                    \
    }
#define MAP_ENTRY_2(name)                                                                                              \
    {                                                                                                                  \
        V(map_##name##_0), V(map_##name##_1), V(map_##name##_2), V(map_##name##_3), V(map_##name##_0),                 \
            V(map_##name##_1), V(map_##name##_2), V(map_##name##_3)                                                    \
    }
#define MAP_ENTRY_3(name)                                                                                              \
    {                                                                                                                  \
        V(map_##name##_0), V(map_##name##_1), V(map_##name##_2), V(map_##name##_3), V(map_##name##_4),                 \
            V(map_##name##_5), V(map_##name##_6), V(map_##name##_7)                                                    \
    }
