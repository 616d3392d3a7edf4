/* The kernels for AVX2 with FMA and F16C: 8 floats a vector, 16 registers.
 * Rests on level.h. 6 x 2 sums leave the registers for two vectors of B and two elements of A. */
#define LEVEL avx2
#define VEC_BYTES 32
#define TILE_ROWS 6
#include "cpu/level.h"
