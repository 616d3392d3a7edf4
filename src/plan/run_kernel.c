/* Runs one node by its own kernel: for ops that no program, contraction or reduction computes.
 * Rests on run_move.h for those that all threads share; the others run by the reference, on one thread. */
#include "plan/calls.h"
#include "plan/run_move.h"

void kernel_run(const kernel_step *kernel, const plan_runner *runner) {
    if (calls_refused(runner)) return;
    op_view inputs[16], *views = inputs, output = kernel->output;
    if (kernel->n_inputs > 16) /* room the lowering left behind them, for each thread */
        views = kernel->inputs + (int64_t)kernel->n_inputs * (1 + runner->thread);
    for (int i = 0; i < kernel->n_inputs; i++) {
        views[i] = kernel->inputs[i];
        views[i].data = NULL; /* of what lies in the output already */
        if (kernel->storages[i] < 0) continue;
        views[i].data = (char *)runner->plan->bases[kernel->storages[i]] +
                        (intptr_t)kernel->inputs[i].data * (intptr_t)soma_dtype_size(views[i].dtype);
    }
    output.data = runner->plan->bases[kernel->destination];
    soma_status status = kernel->run ? kernel->run(kernel->node, views, &output, runner)
                                     : kernel->node->op->reference(kernel->node, views, &output);
    int none = SOMA_OK; /* another thread may still be looking whether it should begin: the meeting after settles it */
    if (status != SOMA_OK && runner->thread == 0) atomic_compare_exchange_strong(runner->status, &none, (int)status);
}
