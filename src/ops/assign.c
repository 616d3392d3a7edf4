/* State: assign stores a value into a variable when the plan runs.
 * Rests on build.h. As a tensor it is the value, so a gradient passes through it. The plan does the storing, after
 * everything that reads the variable has been computed. */
#include <string.h>

#include <soma/plan.h>

#include "ops/build.h"

static soma_status infer_assign(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                                const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    char to[SHAPE_TEXT], from[SHAPE_TEXT];
    RETURN_IF(graph->context, !shape_equal(attributes->rank, attributes->shape, inputs[0]->rank, inputs[0]->shape),
              SOMA_SHAPE, "[assign] a value of shape %s does not fit a variable of shape %s",
              tensor_shape_text(from, inputs[0]), shape_text(to, attributes->rank, attributes->shape));
    RETURN_IF(graph->context, attributes->dtype != inputs[0]->dtype, SOMA_DTYPE,
              "[assign] a %s value does not fit a %s variable: soma_cast it", soma_dtype_name(inputs[0]->dtype),
              soma_dtype_name(attributes->dtype));
    return op_infer_any(graph, self, inputs, n, attributes, dtype, rank, shape);
}

soma_tensor *soma_assign(soma_variable *variable, soma_tensor *value) {
    if (!variable || !value) return NULL;
    op_attributes attributes = {.dtype = variable->dtype, .rank = variable->rank};
    memcpy(attributes.shape, variable->shape, sizeof attributes.shape);
    soma_tensor *y = op_apply(NULL, &op_assign, &value, 1, &attributes);
    if (y) y->variable = variable;
    return y;
}

static void vjp_assign(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    (void)y, (void)needed;
    dx[0] = dy;
}

/* The value; storing it is the plan's. */
static soma_status reference_assign(const soma_tensor *node, const op_view *inputs, op_view *output) {
    (void)node;
    ref_copy(&inputs[0], output);
    return SOMA_OK;
}

const op op_assign = {"assign", "variable = x, and y = x", OP_STATE, 0,   1, 1, infer_assign, vjp_assign,
                      NULL,     reference_assign,          NULL,     NULL};
