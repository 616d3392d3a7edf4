/* A contraction while it is lowered: what the files that find its operands and cut it share.
 * Rests on passes.h. */
#ifndef PLAN_LOWER_CONTRACT_H
#define PLAN_LOWER_CONTRACT_H

#include "plan/passes.h"

/* What both operands are, before a form is chosen for them. */
typedef struct operands {
    build *b;
    const soma_tensor *node; /* the matmul */
    chain from[2];
    fine_axes axes[2];
    int n_batch; /* batch axes, cut so fine that both operands have one stride for each */
    int64_t batch_shape[CONTRACT_AXES], strides[2][CONTRACT_AXES];
    bool shared; /* one B for all batches */
    bool bfloat[2];
    const soma_tensor *pad; /* that A sees, and that is not there, where no transform leaves it out; else NULL */
    contract_image image;
    int b_rows, b_columns;
    const fine_axis *b_row, *b_column;
} operands;

enum {
    STACK_ROWS = 56 /* that share an epilogue: enough to pay for its start, few enough for L1 */,
    DEPTH_MAX = 2047 /* of k in one piece */,
    ROWS_PACKED = 64 /* rows that are worth a B packed by each thread */
};

static inline soma_status operands_block(operands *o, const soma_tensor *culprit) {
    o->b->blocker = culprit;
    return SOMA_UNSUPPORTED;
}

/* ---- lower_left.c: A ---- */

/* k from the innermost axis outwards: a run, segments, slabs. */
void left_set_depth(const operands *o, contract *c);
/* Once B's form is known: it may want other rows, or k in other pieces. */
soma_status lower_left(operands *o, contract *c, const group *g);

/* ---- lower_right.c: B ---- */

soma_status lower_right(operands *o, contract *c, const cpu_real *real);
/* A panel's first tile may pack it where it can read B as it lies. */
bool right_may_copy(const pack_step *p);

/* ---- lower_tiles.c: how it is cut ---- */

/* Is k summed in parts? How many there are, and so what is rounded, depends on k and n alone. */
bool contract_has_parts(const contract *c, const cpu_real *real);
/* Does the product of so many rows outgrow the caches? copied: its blocks may copy B on their way. */
bool contract_is_large(const contract *c, int64_t rows, bool copied, const cpu_real *real);
/* Tiles, blocks and pieces of k, once the operands' forms are known; then what goes by the epilogue. image: of c, which
 * is still being made. */
void contract_cut(contract *c, contract_image *image, const cpu_real *real);
void contract_cut_epilogue(contract *c, contract_image *image, const cpu_real *real);

#endif
