/* Every kernel family for one real type, in the order in which they rest on one another.
 * Rests on level.h, which includes it once for each real type. */
#include "cpu/real.h"

#include "cpu/vec.h"

#include "cpu/vec_math.h"
#include "cpu/vec_trig.h"

#include "cpu/kernels_convert.h"
#include "cpu/kernels_map.h"
#include "cpu/kernels_pack.h"
#include "cpu/kernels_past.h"
#include "cpu/kernels_random.h"
#include "cpu/kernels_reduce.h"
#include "cpu/kernels_tile.h"
#include "cpu/kernels_winograd.h"
