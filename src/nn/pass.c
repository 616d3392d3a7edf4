/* A model called on tensors, with what a training step of one's own needs besides the outputs.
 * Rests on model.h. What the trace collects is handed out as tensors and assignments, so the caller's plan does in one
 * run what fit's does. */
#include <soma/plan.h>

#include "nn/model.h"

static soma_status check_inputs(soma_model *model, soma_tensor *const *inputs, int n) {
    RETURN_IF(model->context, n != model->n_inputs, SOMA_INVALID, "[forward] %d inputs given, the model has %d", n,
              model->n_inputs);
    for (int i = 0; i < n; i++) {
        if (!inputs[i])
            return soma_last_status(model->context) != SOMA_OK
                       ? soma_last_status(model->context)
                       : error_set(model->context, SOMA_INVALID, "[forward] input %d is missing", i);
        RETURN_IF(model->context, inputs[i]->rank < 2, SOMA_SHAPE, "[forward] input %d has no batch axis", i);
        RETURN_IF(model->context, inputs[i]->graph != inputs[0]->graph, SOMA_INVALID,
                  "[forward] input %d belongs to another graph than the first", i);
    }
    return model->built ? SOMA_OK : soma_model_build(model, inputs[0]->rank - 1, inputs[0]->shape + 1);
}

soma_status soma_model_forward(soma_model *model, soma_tensor *const *inputs, int n, soma_pass *pass,
                               soma_tensor **outputs) {
    RETURN_IF(NULL, !model || !inputs || !outputs || !pass, SOMA_INVALID,
              "[forward] no model, inputs, pass or outputs given");
    TRY(check_inputs(model, inputs, n));
    soma_trace trace = {.graph = inputs[0]->graph, .training = pass->training, .step = pass->step};
    TRY(model_trace(model, &trace, inputs, outputs));
    soma_tensor **updates = arena_alloc(&trace.graph->arena, (size_t)trace.n_updates * sizeof *updates);
    if (!updates) return SOMA_NO_MEMORY;
    for (int i = 0; i < trace.n_updates; i++) {
        soma_variable *variable = trace.updates[i].variable;
        updates[i] = soma_assign(variable, soma_cast(trace.updates[i].tensor, variable->dtype));
        if (!updates[i]) return soma_last_status(model->context);
    }
    pass->penalties = trace.losses;
    pass->updates = updates;
    pass->n_updates = trace.n_updates;
    return SOMA_OK;
}
