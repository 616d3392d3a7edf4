/* Merging layers: Add and Concatenate.
 * Rests on add and concat. They take several inputs, so they are called with soma_call_many.
 * Shapes must fit exactly but for the axis of a concatenation: nothing broadcasts in silence. */
#include <stddef.h>

#include "nn/layer.h"

static soma_tensor *add(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    soma_tensor *sum = layer_float(layer, inputs[0]);
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    for (int i = 1; i < n; i++) {
        RETURN_NULL_IF(layer->context,
                       !shape_equal(inputs[0]->rank, inputs[0]->shape, inputs[i]->rank, inputs[i]->shape), SOMA_SHAPE,
                       "[Add] inputs %s and %s differ", tensor_shape_text(a, inputs[0]),
                       tensor_shape_text(b, inputs[i]));
        sum = soma_add(sum, layer_float(layer, inputs[i]));
    }
    trace_merge_masks(trace, inputs, n, sum);
    return sum;
}

const soma_layer_class layer_add = {.name = "Add",
                                    .size = sizeof(soma_add_layer_options),
                                    .min_inputs = 2,
                                    .max_inputs = -1,
                                    .call = add,
                                    .passes_mask = true};

soma_layer *soma_add_layer_create(const soma_add_layer_options *options) {
    return soma_layer_create(&layer_add, options);
}

static const soma_field concatenate_fields[] = {{.name = "axis",
                                                 .kind = SOMA_FIELD_INT,
                                                 .offset = offsetof(soma_concatenate_options, axis),
                                                 .standard = -1,
                                                 .low = -SOMA_MAX_RANK,
                                                 .high = SOMA_MAX_RANK},
                                                {.name = NULL}};

/* The masks one after the other, as the steps are; an input without one has all steps. */
static soma_tensor *masks_in_a_row(soma_trace *trace, soma_tensor *const *inputs, int n) {
    soma_tensor *row = NULL;
    bool any = false;
    for (int i = 0; i < n; i++)
        any = any || soma_trace_mask(trace, inputs[i]);
    for (int i = 0; i < n && any; i++) {
        soma_tensor *mask = soma_trace_mask(trace, inputs[i]);
        if (!mask) mask = soma_ones(trace->graph, SOMA_BOOL, 2, inputs[i]->shape);
        row = i ? soma_concat((soma_tensor *[]){row, mask}, 2, 1) : mask;
    }
    return row;
}

static soma_tensor *concatenate(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    const soma_concatenate_options *o = soma_layer_options(layer);
    soma_tensor *y = soma_concat(inputs, n, (int)o->axis);
    if (y && y->rank > 2 && (o->axis == 1 || o->axis + y->rank == 1)) {
        soma_trace_set_mask(trace, y, masks_in_a_row(trace, inputs, n));
    } else {
        trace_merge_masks(trace, inputs, n, y);
    }
    return y;
}

const soma_layer_class layer_concatenate = {.name = "Concatenate",
                                            .size = sizeof(soma_concatenate_options),
                                            .fields = concatenate_fields,
                                            .min_inputs = 2,
                                            .max_inputs = -1,
                                            .call = concatenate,
                                            .passes_mask = true};

soma_layer *soma_concatenate_create(const soma_concatenate_options *options) {
    return soma_layer_create(&layer_concatenate, options);
}
