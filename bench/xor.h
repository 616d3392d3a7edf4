/* The smallest work of the comparison: a 2-8-1 network of sigmoids learns exclusive or, all four samples in a step.
 * Rests on nothing. At this size no arithmetic is to be seen: what is timed is what a library does around it. */
#ifndef BENCH_XOR_H
#define BENCH_XOR_H

enum { XOR_SAMPLES = 4, XOR_HIDDEN = 8 };
#define XOR_RATE 0.7f
static const float xor_x[XOR_SAMPLES][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}}, xor_y[XOR_SAMPLES] = {0, 1, 1, 0};

#endif
