/* The parallel kernels of nodes that no program, contraction or reduction computes: one line an op.
 * Rests on steps.h. The oracle beside each is the op's reference; a kernel may leave a case to it. */
#ifndef PLAN_RUN_MOVE_H
#define PLAN_RUN_MOVE_H

#include "plan/steps.h"

/* The thread's part of the node; parts depend on nothing another thread writes. */
typedef soma_status move_fn(const soma_tensor *node, const op_view *inputs, op_view *output, const plan_runner *runner);

/* The kernel for the node with inputs that lie so (their data is not looked at); NULL: the reference, on one thread. */
move_fn *move_find(const soma_tensor *node, const op_view *inputs);

/* run_integers.c: maps of integers, truth values, and of integers to floats. */
bool integers_fit(const soma_tensor *node);
move_fn integers_run;

#endif
