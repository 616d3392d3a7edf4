/* One product of matrices, C = A B in f32, as every library of the comparison is asked for it.
 * Rests on nothing. A and B may lie transposed, as they do in the gradients of a dense layer; B may be a weight that
 * stays from call to call, so that a library may keep it in a layout of its own. */
#ifndef BENCH_GEMM_H
#define BENCH_GEMM_H

#include <stdbool.h>
#include <stdint.h>

/* A is m x k, B is k x n, C is m x n, all row-major; A^T lies as k x m, B^T as n x k. */
typedef struct gemm_shape {
    int64_t m, n, k;
    bool a_transposed, b_transposed;
    bool weight; /* B is the same in every call */
} gemm_shape;

typedef struct gemm_data {
    const float *a, *b;
    float *c;
} gemm_data;

/* A way to do it; a library may have several, of which the fastest counts. */
typedef struct gemm_way {
    const char *name;
    /* NULL: not for this shape. */
    void *(*prepare)(const gemm_shape *shape, const gemm_data *data);
    int (*run)(void *prepared); /* zero: done */
    /* Where the result is, m x n row-major; NULL: in data.c. */
    const float *(*result)(void *prepared);
    void (*release)(void *prepared);
} gemm_way;

/* The library's ways, the last with name NULL; each gemm_<library>.c has its own. */
extern const gemm_way gemm_ways[];

#endif
