/* The product by cblas_sgemm, for OpenBLAS and BLIS: built once with each.
 * Rests on the interface alone, declared here as the BLAS standard has it, because the two libraries' headers differ in
 * how they spell their types. */
#include "gemm.h"

#include <stdlib.h>

enum { ROW_MAJOR = 101, AS_IT_LIES = 111, TRANSPOSED = 112 };
void cblas_sgemm(int order, int a_transposed, int b_transposed, int m, int n, int k, float alpha, const float *a,
                 int a_row, const float *b, int b_row, float beta, float *c, int c_row);

typedef struct sgemm {
    gemm_shape shape;
    gemm_data data;
} sgemm;

static void *prepare(const gemm_shape *shape, const gemm_data *data) {
    sgemm *g = malloc(sizeof *g);
    if (g) *g = (sgemm){*shape, *data};
    return g;
}

static int run(void *prepared) {
    const sgemm *g = prepared;
    const gemm_shape *s = &g->shape;
    const int m = (int)s->m, n = (int)s->n, k = (int)s->k;
    cblas_sgemm(ROW_MAJOR, s->a_transposed ? TRANSPOSED : AS_IT_LIES, s->b_transposed ? TRANSPOSED : AS_IT_LIES, m, n,
                k, 1, g->data.a, s->a_transposed ? m : k, g->data.b, s->b_transposed ? k : n, 0, g->data.c, n);
    return 0;
}

const gemm_way gemm_ways[] = {{"sgemm", prepare, run, NULL, free}, {0}};
