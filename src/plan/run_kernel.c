/* Runs one node by its reference kernel: for ops that no program, contraction or reduction computes.
 * Rests on ops. Plain, on one thread: an op that shows up in a profile deserves better. */
#include "plan/steps.h"

void kernel_run(const kernel_step *kernel, const plan_runner *runner) {
    op_view inputs[16];
    op_view *views = inputs, output = kernel->output;
    if (kernel->n_inputs > 16) views = kernel->inputs + kernel->n_inputs; /* room the lowering left behind them */
    for (int i = 0; i < kernel->n_inputs; i++) {
        views[i] = kernel->inputs[i];
        views[i].data = (char *)runner->plan->bases[kernel->storages[i]] +
                        (intptr_t)kernel->inputs[i].data * (intptr_t)soma_dtype_size(views[i].dtype);
    }
    output.data = runner->plan->bases[kernel->destination];
    soma_status status = kernel->node->op->reference(kernel->node, views, &output);
    if (status != SOMA_OK && *runner->status == SOMA_OK) *runner->status = status; /* thread 0 alone runs kernels */
}
