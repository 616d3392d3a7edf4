/* Elements made from their index, in plain C: counting, and random numbers by Philox.
 * Rests on base's Philox and element.h. Element i of float32 takes word i%4 of block i/4, of float64 two words of block
 * i/2; a normal number takes its own uniform and its neighbour's (Box and Muller). */
#include <math.h>

#include "base/philox.h"
#include "cpu/reference/element.h"
#include "cpu/reference/reference.h"

void ref_iota(cpu_view *output) {
    int64_t size = view_size(output);
    for (int64_t i = 0; i < size; i++)
        element_set_int(output->dtype, output->data, i, i);
}

/* In [0, 1): a multiple of 2^-24 for float32, of 2^-53 for float64. */
static double unit(soma_dtype dtype, uint64_t key, uint64_t counter, int64_t i) {
    if (dtype != SOMA_F32) return philox_uniform(key, counter, (uint64_t)i);
    uint32_t words[4];
    philox_block(key, counter, (uint64_t)i / 4, words);
    return (double)(words[i % 4] >> 8) * 0x1p-24;
}

/* The pair (u, v) gives r cos(2 pi v) and r sin(2 pi v) with r = sqrt(-2 log(1 - u)). */
static double standard_normal(soma_dtype dtype, uint64_t key, uint64_t counter, int64_t i) {
    double u = unit(dtype, key, counter, i - i % 2), v = unit(dtype, key, counter, i - i % 2 + 1);
    double radius = sqrt(-2 * log1p(-u)), angle = 6.283185307179586 * v;
    return radius * (i % 2 ? sin(angle) : cos(angle));
}

void ref_uniform(uint64_t key, uint64_t counter, double low, double high, cpu_view *output) {
    int64_t size = view_size(output);
    for (int64_t i = 0; i < size; i++)
        element_set(output->dtype, output->data, i, low + (high - low) * unit(output->dtype, key, counter, i));
}

void ref_normal(uint64_t key, uint64_t counter, double mean, double stddev, cpu_view *output) {
    int64_t size = view_size(output);
    for (int64_t i = 0; i < size; i++)
        element_set(output->dtype, output->data, i, mean + stddev * standard_normal(output->dtype, key, counter, i));
}
