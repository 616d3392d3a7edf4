/* Looking at numbers without making a plan by hand: evaluates a tensor once and keeps its elements with it.
 * Rests on plans. What was evaluated before is not computed again. */
#include <math.h>
#include <string.h>

#include "cpu/reference/element.h"
#include "plan/passes.h"

soma_status soma_eval(soma_tensor *tensor) {
    if (!tensor) return SOMA_INVALID;
    if (tensor->data) return SOMA_OK;
    bool assigns = tensor->op == &op_assign; /* its output is what it assigns */
    soma_tensor *targets[] = {tensor, assigns ? tensor->inputs[0] : NULL};
    soma_plan *plan = plan_build(targets, assigns ? 2 : 1, NULL, true);
    if (!plan) return soma_last_status(tensor->graph->context);
    soma_status status = soma_plan_run(plan);
    if (status == SOMA_OK) {
        size_t bytes = (size_t)shape_size(tensor->rank, tensor->shape) * soma_dtype_size(tensor->dtype);
        void *data = arena_alloc(&tensor->graph->arena, bytes + PROGRAM_PAD);
        if (data && bytes) memcpy(data, soma_plan_output(plan, assigns), bytes);
        tensor->data = data;
        if (!data) status = SOMA_NO_MEMORY;
    }
    soma_plan_destroy(plan);
    return status;
}

const void *soma_data(soma_tensor *tensor) {
    return soma_eval(tensor) == SOMA_OK ? tensor->data : NULL;
}

double soma_item(soma_tensor *tensor, int64_t index) {
    const void *data = soma_data(tensor);
    if (!data) return (double)NAN;
    if (index < 0 || index >= shape_size(tensor->rank, tensor->shape)) {
        error_set(tensor->graph->context, SOMA_INVALID, "[item] index %lld of %lld elements", (long long)index,
                  (long long)shape_size(tensor->rank, tensor->shape));
        return (double)NAN;
    }
    return element_get(tensor->dtype, data, index);
}
