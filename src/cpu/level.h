/* One instruction set's table: every kernel family, for both real types, from the same text.
 * The including source says which: LEVEL (its name), VEC_BYTES, TILE_ROWS; its compiler flags are in kernels.def.
 * f64 comes first, since f32's power is computed in it. */
#include <math.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "cpu/cpu.h"

#define INLINE static inline __attribute__((always_inline, unused))
/* Loops of constant length over arrays of vectors: unrolled, the arrays become registers. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* Makes the compiler load x once, where it would rather read memory at each use. */
#if defined(__aarch64__)
#define IN_REGISTER(x) __asm__("" : "+w"(x))
#elif defined(__SSE2__)
#define IN_REGISTER(x) __asm__("" : "+v"(x))
#else
#define IN_REGISTER(x) ((void)0)
#endif

/* What the compiler worked out from x no longer holds. */
#define FORGET(x) __asm__("" : "+r"(x))

#if VEC_BYTES == 64
#define X86_PREFIX _mm512_
#elif VEC_BYTES == 32
#define X86_PREFIX _mm256_
#else
#define X86_PREFIX _mm_
#endif

/* The register tiles: X(rows, vectors). */
#define TILE_LIST_6(X)                                                                                                 \
    X(1, 1)                                                                                                            \
    X(1, 2)                                                                                                            \
    X(2, 1)                                                                                                            \
    X(2, 2)                                                                                                            \
    X(3, 1)                                                                                                            \
    X(3, 2)                                                                                                            \
    X(4, 1)                                                                                                            \
    X(4, 2)                                                                                                            \
    X(5, 1)                                                                                                            \
    X(5, 2)                                                                                                            \
    X(6, 1)                                                                                                            \
    X(6, 2)
#define TILE_LIST_12(X)                                                                                                \
    TILE_LIST_6(X)                                                                                                     \
    X(7, 1)                                                                                                            \
    X(7, 2)                                                                                                            \
    X(8, 1)                                                                                                            \
    X(8, 2)                                                                                                            \
    X(9, 1)                                                                                                            \
    X(9, 2)                                                                                                            \
    X(10, 1)                                                                                                           \
    X(10, 2)                                                                                                           \
    X(11, 1)                                                                                                           \
    X(11, 2)                                                                                                           \
    X(12, 1)                                                                                                           \
    X(12, 2)
#if TILE_ROWS == 6
#define TILE_LIST(X) TILE_LIST_6(X)
#elif TILE_ROWS == 12
#define TILE_LIST(X) TILE_LIST_12(X)
#else
#define TILE_LIST(X)                                                                                                   \
    TILE_LIST_12(X)                                                                                                    \
    X(13, 1)                                                                                                           \
    X(13, 2)                                                                                                           \
    X(14, 1)                                                                                                           \
    X(14, 2)
#endif

#define REAL_BITS 64
#include "cpu/kernels.h"
#undef REAL_BITS
#define REAL_BITS 32
#include "cpu/kernels.h"

#define TABLE_NAME2(level) cpu_kernels_##level
#define TABLE_NAME(level) TABLE_NAME2(level)
#define TABLE_TEXT2(level) #level
#define TABLE_TEXT(level) TABLE_TEXT2(level)

extern const cpu_kernels TABLE_NAME(LEVEL);
const cpu_kernels TABLE_NAME(LEVEL) = {.name = TABLE_TEXT(LEVEL),
                                       .f32 =
#include "cpu/table.h"
#undef REAL_BITS
#define REAL_BITS 64
#include "cpu/real.h"
                                           .f64 =
#include "cpu/table.h"
};
