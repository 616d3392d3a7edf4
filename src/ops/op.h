/* What an op is: one descriptor, defined in the op's own file, listed once in ops.def.
 * Rests on tensor/node.h and on cpu.h's codes. The compiler knows ops by kind and code only, never by name.
 *
 * What the builders in ops/ guarantee, so that the compiler may rely on it:
 * - map: all inputs have the shape of the result (builders insert expand) and, casts apart, dtypes are already
 * promoted; comparisons and logic give bool; code is the cpu_map (cast and stop_gradient: CPU_COPY).
 * - reduce: axes in attributes.axes, result keeps rank with extent 1 (builders reshape it away); code is the
 * cpu_reduce.
 * - matmul: both inputs have equal rank >= 2 and equal leading axes (builders insert expand, reshape, permute).
 * - reshape, permute, expand, slice move elements only; expand may add leading axes and stretches extents of 1. */
#ifndef OPS_OP_H
#define OPS_OP_H

#include "cpu/cpu.h"
#include "cpu/reference/reference.h"
#include "tensor/node.h"

typedef enum op_kind {
    OP_LEAF,     /* constant, input, read */
    OP_GENERATE, /* iota, random: elements from their index */
    OP_MAP,
    OP_REDUCE,
    OP_CONTRACT, /* matmul */
    OP_VIEW,     /* reshape, permute, expand, slice, window */
    OP_ARRANGE,  /* pad, concat, unwindow: moves that write */
    OP_INDEX,    /* gather, scatter-add, cumsum: anything else, run by its own kernel */
    OP_STATE     /* assign */
} op_kind;

/* A strided array, strides in elements (0 where broadcast). */
typedef cpu_view op_view;

/* One sample for tests, benches and fuzzing of an op: builds inputs and the result from seeded data. */
typedef struct op_sample {
    const char *name;
    /* Builds the op on its inputs xs[0..n-1] (made by the harness with the shapes and dtypes below). */
    soma_tensor *(*build)(soma_tensor *const *xs);
    int n;
    struct {
        soma_dtype dtype;
        int rank;
        int64_t shape[SOMA_MAX_RANK];
        double low, high;
    } inputs[4];
} op_sample;

struct op {
    const char *name; /* as in error texts: "matmul" */
    const char *doc;  /* one line with the formula */
    op_kind kind;
    int code;                   /* cpu_map or cpu_reduce, for those kinds */
    int min_inputs, max_inputs; /* max -1: any number */
    /* The only place that rejects: fills dtype, rank and shape of the result. */
    soma_status (*infer)(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                         const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape);
    /* dx[i] = gradient for input i where needed[i] (may stay NULL: zero), built as tensors from y, y->inputs and dy. */
    void (*vjp)(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx);
    const char *not_differentiable; /* the reason, when vjp is NULL */
    /* Plain and in double (integers in int64): the oracle, and the kernel of kinds without a faster one.
     * output is dense row-major. step counts runs for random ops without a step input. */
    soma_status (*reference)(const soma_tensor *node, const op_view *inputs, op_view *output);
    const char *onnx;         /* "Add-14"; NULL: none */
    const op_sample *samples; /* OP_SAMPLES(a list that ends with name NULL) */
};

/* Samples are in the library that the tests link, which defines SOMA_OP_SAMPLES, and in no other: where the list is not
 * taken, the compiler drops it and the functions that only it names. */
#ifdef SOMA_OP_SAMPLES
#define OP_SAMPLES(list) (list)
#else
#define OP_SAMPLES(list) (1 ? NULL : (list))
#endif

#define OP(name) extern const op op_##name;
#include "ops/ops.def"
#undef OP

/* All ops, and their number. */
extern const op *const op_table[];
extern const int op_count;

/* Is that as many elements as there may be? False after an error. */
bool op_size_fits(soma_context *context, const char *name, int rank, const int64_t *shape);
/* Checks (min/max inputs, NULL inputs, one graph), infers and makes the node. graph may be NULL when n > 0. */
soma_tensor *op_apply(soma_graph *graph, const op *op, soma_tensor *const *inputs, int n,
                      const op_attributes *attributes);

#endif
