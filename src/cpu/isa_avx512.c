/* The kernels for AVX-512 (F, BW, DQ, VL): 16 floats a vector, 32 registers, masks.
 * Rests on level.h. 14 x 2 sums leave the registers for two vectors of B and one element of A. */
#define LEVEL avx512
#define VEC_BYTES 64
#define TILE_ROWS 14
#include "cpu/level.h"
