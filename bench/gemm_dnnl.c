/* The product by oneDNN: its sgemm and its matmul primitive, whichever is faster.
 * Rests on oneDNN 2 (Debian libdnnl-dev), C interface. For a weight the primitive chooses the layout of B itself, and
 * B is brought into it once. */
#include "gemm.h"

#include <stdlib.h>

#include <dnnl.h>

/* ---- sgemm: its own interface of BLAS, but row-major ---- */

typedef struct sgemm {
    gemm_shape shape;
    gemm_data data;
} sgemm;

static void *sgemm_prepare(const gemm_shape *shape, const gemm_data *data) {
    sgemm *g = malloc(sizeof *g);
    if (g) *g = (sgemm){*shape, *data};
    return g;
}

static int sgemm_run(void *prepared) {
    const sgemm *g = prepared;
    const gemm_shape *s = &g->shape;
    const int64_t a_row = s->a_transposed ? s->m : s->k, b_row = s->b_transposed ? s->k : s->n;
    return dnnl_sgemm(s->a_transposed ? 'T' : 'N', s->b_transposed ? 'T' : 'N', s->m, s->n, s->k, 1, g->data.a, a_row,
                      g->data.b, b_row, 0, g->data.c, s->n) != dnnl_success;
}

/* ---- the matmul primitive ---- */

typedef struct matmul {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t arguments[3];
} matmul;

static void matmul_release(void *prepared) {
    matmul *p = prepared;
    for (int i = 0; i < 3; i++)
        dnnl_memory_destroy(p->arguments[i].memory);
    dnnl_primitive_destroy(p->primitive);
    dnnl_stream_destroy(p->stream);
    dnnl_engine_destroy(p->engine);
    free(p);
}

static dnnl_memory_desc_t plain(int64_t rows, int64_t columns, bool transposed) {
    dnnl_memory_desc_t description;
    const dnnl_dims_t shape = {rows, columns}, strides = {transposed ? 1 : columns, transposed ? rows : 1};
    dnnl_memory_desc_init_by_strides(&description, 2, shape, dnnl_f32, strides);
    return description;
}

/* B in the layout that the primitive asks for. */
static bool bring(matmul *p, dnnl_memory_t from, const dnnl_memory_desc_t *from_layout,
                  const dnnl_memory_desc_t *layout) {
    dnnl_memory_t to = NULL;
    dnnl_primitive_desc_t description = NULL;
    dnnl_primitive_t reorder = NULL;
    bool ok = !dnnl_memory_create(&to, layout, p->engine, DNNL_MEMORY_ALLOCATE) &&
              !dnnl_reorder_primitive_desc_create(&description, from_layout, p->engine, layout, p->engine, NULL) &&
              !dnnl_primitive_create(&reorder, description);
    if (ok) {
        const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
        ok = !dnnl_primitive_execute(reorder, p->stream, 2, arguments) && !dnnl_stream_wait(p->stream);
    }
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(description);
    p->arguments[1] = (dnnl_exec_arg_t){DNNL_ARG_WEIGHTS, to};
    return ok;
}

static bool matmul_make(matmul *p, const gemm_shape *s, const gemm_data *data) {
    const dnnl_memory_desc_t a = plain(s->m, s->k, s->a_transposed), b = plain(s->k, s->n, s->b_transposed);
    const dnnl_memory_desc_t c = plain(s->m, s->n, false);
    dnnl_memory_desc_t asked = b;
    const dnnl_dims_t shape = {s->k, s->n};
    if (s->weight) dnnl_memory_desc_init_by_tag(&asked, 2, shape, dnnl_f32, dnnl_format_tag_any);

    dnnl_matmul_desc_t operation;
    dnnl_primitive_desc_t description = NULL;
    dnnl_memory_t given = NULL;
    bool ok = !dnnl_engine_create(&p->engine, dnnl_cpu, 0) &&
              !dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags) &&
              !dnnl_matmul_desc_init(&operation, &a, &asked, NULL, &c) &&
              !dnnl_primitive_desc_create(&description, &operation, NULL, p->engine, NULL) &&
              !dnnl_primitive_create(&p->primitive, description);
    p->arguments[0].arg = DNNL_ARG_SRC;
    p->arguments[2].arg = DNNL_ARG_DST;
    ok = ok && !dnnl_memory_create(&p->arguments[0].memory, &a, p->engine, (void *)(uintptr_t)data->a) &&
         !dnnl_memory_create(&p->arguments[2].memory, &c, p->engine, data->c) &&
         !dnnl_memory_create(&given, &b, p->engine, (void *)(uintptr_t)data->b);
    if (ok && s->weight) {
        ok = bring(p, given, &b, dnnl_primitive_desc_query_md(description, dnnl_query_weights_md, 0));
        dnnl_memory_destroy(given);
    } else {
        p->arguments[1] = (dnnl_exec_arg_t){DNNL_ARG_WEIGHTS, given};
    }
    dnnl_primitive_desc_destroy(description);
    return ok;
}

static void *matmul_prepare(const gemm_shape *shape, const gemm_data *data) {
    matmul *p = calloc(1, sizeof *p);
    if (!p || matmul_make(p, shape, data)) return p;
    matmul_release(p);
    return NULL;
}

static int matmul_run(void *prepared) {
    matmul *p = prepared;
    return dnnl_primitive_execute(p->primitive, p->stream, 3, p->arguments) || dnnl_stream_wait(p->stream);
}

const gemm_way gemm_ways[] = {
    {"sgemm", sgemm_prepare, sgemm_run, NULL, free},
    {"matmul", matmul_prepare, matmul_run, NULL, matmul_release},
    {0},
};
