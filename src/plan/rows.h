/* Binding an input to rows of a larger array, in some order: what a batch of a shuffled epoch is.
 * Rests on plan.h. The rows are gathered by the team at the start of a run, beside the work of the plan. */
#ifndef PLAN_ROWS_H
#define PLAN_ROWS_H

#include <soma/plan.h>

/* Row i of the input, along its first axis, is row order[i] of data in each run from now on, until the input is bound
 * again. order has as many entries as the input has rows; NULL: the input is data itself, as in soma_plan_bind.
 * The first call allocates memory for the rows. */
SOMA_MUST_CHECK soma_status plan_bind_rows(soma_plan *plan, const soma_tensor *input, const void *data,
                                           const int64_t *order);

#endif
