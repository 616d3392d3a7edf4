/* The kernels for any processor: SSE2 on x86-64, plain vector extensions elsewhere; no fma.
 * Rests on level.h. 6 x 2 sums fill the 16 registers of SSE2. */
#define LEVEL baseline
#define VEC_BYTES 16
#define TILE_ROWS 6
#include "cpu/level.h"
