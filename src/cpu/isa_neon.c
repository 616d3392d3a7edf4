/* The kernels for AArch64, where NEON with fma is always there: 4 floats a vector, 32 registers.
 * Rests on level.h. 12 x 2 sums are what its four-cycle fma on four ports wants. */
#define LEVEL neon
#define VEC_BYTES 16
#define TILE_ROWS 12
#include "cpu/level.h"
