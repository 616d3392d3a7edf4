/* Small steps as lists of kernel calls. What a program, a contraction or a reduction works out on its way to its
 * kernels (where arrays lie, what may be used in place, how blocks are cut) depends on sizes alone; where a step is
 * small, that takes longer than the kernels. So such a step runs once when the plan is made, with places instead of
 * addresses, and what it would have called is written down; a run of the plan then makes the calls, and nothing else.
 * Rests on steps.h. Every way of running steps calls its kernels through here: it is one code that runs and writes. */
#ifndef PLAN_CALLS_H
#define PLAN_CALLS_H

#include <string.h>

#include "plan/steps.h"

typedef enum call_kind {
    CALL_MAP,    /* n[0] elements */
    CALL_LOAD,   /* step, elements */
    CALL_STORE,  /* step, elements */
    CALL_REDUCE, /* row, rows, columns */
    CALL_PICK,   /* source's row, rows, columns */
    CALL_PUT,    /* row, rows, columns */
    CALL_REPEAT, /* row, rows, columns */
    CALL_ROWS,   /* row, source's row, rows, columns */
    CALL_TILE,   /* count of them; how they lie is in tiles */
    CALL_ROW,    /* k, a_step, b_row, b_pair, columns */
    CALL_PACK,   /* panel, row, rows */
    CALL_COPY    /* bytes */
} call_kind;

struct kernel_call {
    call_kind kind;
    int count;     /* of tiles */
    int base[4];   /* storages, or the scratch, of the result and up to three inputs ... */
    int64_t at[4]; /* ... and bytes from there */
    union {
        int64_t n[5];
        cpu_tiles tiles;
    };
    union {
        cpu_map_fn *map;
        cpu_load_fn *load;
        cpu_store_fn *store;
        cpu_reduce_fn *reduce;
        cpu_tile_fn *tile;
        const cpu_real *real;
    } by;
    const pack_step *pack;
};

/* A list that is being written. */
struct call_list {
    kernel_call *calls;
    int n, most;
    bool failed; /* too many, or something that is no kernel's call */
};

/* Writes the call down, its arrays by place. */
void call_write(call_list *list, kernel_call call, void *result, const void *a, const void *b, const void *c);
/* What does otherwise than call kernels on the way cannot be written down. */
static inline bool calls_refused(const plan_runner *r) {
    if (!r->writing) return false;
    r->writing->failed = true;
    return true;
}

/* Lists of the plan's small steps, as far as it pays; once the plan's memory is there. */
soma_status calls_prepare(soma_plan *plan);
/* bases: the thread's, of storages and scratch. */
void calls_run(const kernel_call *calls, int n, void *const *bases);

/* ---- a call, or its note ---- */

static inline void call_map(const plan_runner *r, cpu_map_fn *f, void *dst, const void *a, const void *b, const void *c,
                            int64_t n) {
    if (r->writing)
        call_write(r->writing, (kernel_call){CALL_MAP, .n = {n}, .by.map = f}, dst, a, b, c);
    else
        f(dst, a, b, c, n);
}

static inline void call_load(const plan_runner *r, cpu_load_fn *f, void *dst, const void *src, int64_t step,
                             int64_t n) {
    if (r->writing)
        call_write(r->writing, (kernel_call){CALL_LOAD, .n = {step, n}, .by.load = f}, dst, src, NULL, NULL);
    else
        f(dst, src, step, n);
}

static inline void call_store(const plan_runner *r, cpu_store_fn *f, void *dst, int64_t step, const void *src,
                              int64_t n) {
    if (r->writing)
        call_write(r->writing, (kernel_call){CALL_STORE, .n = {step, n}, .by.store = f}, dst, src, NULL, NULL);
    else
        f(dst, step, src, n);
}

static inline void call_reduce(const plan_runner *r, cpu_reduce_fn *f, void *dst, const void *src, int64_t src_row,
                               int64_t rows, int64_t columns) {
    if (r->writing)
        call_write(r->writing, (kernel_call){CALL_REDUCE, .n = {src_row, rows, columns}, .by.reduce = f}, dst, src,
                   NULL, NULL);
    else
        f(dst, src, src_row, rows, columns);
}

static inline void call_pick(const plan_runner *r, const cpu_real *real, void *dst, const void *src, int64_t src_row,
                             const void *place, int64_t rows, int64_t columns) {
    if (r->writing)
        call_write(r->writing, (kernel_call){CALL_PICK, .n = {src_row, rows, columns}, .by.real = real}, dst, src,
                   place, NULL);
    else
        real->pick(dst, src, src_row, place, rows, columns);
}

static inline void call_put(const plan_runner *r, const cpu_real *real, void *dst, int64_t dst_row, const void *src,
                            const void *place, int64_t rows, int64_t columns) {
    if (r->writing)
        call_write(r->writing, (kernel_call){CALL_PUT, .n = {dst_row, rows, columns}, .by.real = real}, dst, src, place,
                   NULL);
    else
        real->put(dst, dst_row, src, place, rows, columns);
}

static inline void call_repeat(const plan_runner *r, const cpu_real *real, void *dst, int64_t dst_row, const void *src,
                               int64_t rows, int64_t columns) {
    if (r->writing)
        call_write(r->writing, (kernel_call){CALL_REPEAT, .n = {dst_row, rows, columns}, .by.real = real}, dst, src,
                   NULL, NULL);
    else
        real->repeat(dst, dst_row, src, rows, columns);
}

static inline void call_rows(const plan_runner *r, const cpu_real *real, void *dst, int64_t dst_row, const void *src,
                             int64_t src_row, int64_t rows, int64_t columns) {
    if (r->writing)
        call_write(r->writing, (kernel_call){CALL_ROWS, .n = {dst_row, src_row, rows, columns}, .by.real = real}, dst,
                   src, NULL, NULL);
    else
        real->copy_rows(dst, dst_row, src, src_row, rows, columns);
}

static inline void call_tile(const plan_runner *r, cpu_tile_fn *f, const cpu_tiles *t, int64_t tiles, const void *a,
                             const void *b, void *c) {
    if (r->writing)
        call_write(r->writing, (kernel_call){CALL_TILE, (int)tiles, .tiles = *t, .by.tile = f}, c, a, b, NULL);
    else
        f(t, tiles, a, b, c, NULL);
}

static inline void call_row(const plan_runner *r, const cpu_real *real, int64_t k, const void *a, int64_t a_step,
                            const void *b, int64_t b_row, int64_t b_pair, void *c, int64_t columns) {
    if (r->writing)
        call_write(r->writing, (kernel_call){CALL_ROW, .n = {k, a_step, b_row, b_pair, columns}, .by.real = real}, c, a,
                   b, NULL);
    else
        real->row(k, a, a_step, b, b_row, b_pair, c, columns);
}

static inline void call_pack(const plan_runner *r, const pack_step *p, const cpu_real *real, char *dst,
                             const char *matrix, int64_t panel, int64_t row, int64_t rows) {
    if (r->writing)
        call_write(r->writing, (kernel_call){CALL_PACK, .n = {panel, row, rows}, .by.real = real, .pack = p}, dst,
                   matrix, NULL, NULL);
    else
        pack_panel(p, real, dst, matrix, panel, row, rows);
}

static inline void call_copy(const plan_runner *r, void *dst, const void *src, int64_t bytes) {
    if (r->writing)
        call_write(r->writing, (kernel_call){CALL_COPY, .n = {bytes}}, dst, src, NULL, NULL);
    else
        memcpy(dst, src, (size_t)bytes);
}

#endif
