/* Layers around a layer: Bidirectional and TimeDistributed.
 * Rests on layer.h: the inner layers are options, and their weights are the outer one's.
 * The copy that goes the other way has the same options but go_backwards; it is made when the weights are. */
#include <stddef.h>
#include <string.h>

#include <soma/layers.h>

#include "nn/layer.h"

/* ---- Bidirectional ---- */

#define FIELD(member) offsetof(soma_bidirectional_options, member)

static const soma_field bidirectional_fields[] = {
    {.name = "layer", .kind = SOMA_FIELD_LAYER, .offset = FIELD(layer)},
    {.name = "merge_mode", .kind = SOMA_FIELD_STRING, .offset = FIELD(merge_mode)},
    {.name = "backward_layer", .kind = SOMA_FIELD_LAYER, .offset = FIELD(backward_layer)},
    {.name = NULL}};

/* A layer's option that is true or false, "go_backwards"; NULL when it has no such one. */
static bool *flag(const soma_layer *layer, const char *name) {
    for (const soma_field *f = layer->kind->fields; f && f->name; f++) {
        if (strcmp(f->name, name) == 0) return (bool *)(void *)((char *)layer->options + f->offset);
    }
    return NULL;
}

static bool *direction(const soma_layer *layer) {
    return flag(layer, "go_backwards");
}

/* A layer of the same options, and of copies of the layers among them. */
static soma_layer *copy_of(const soma_layer *layer) {
    void *options = mem_alloc(layer->context, layer->kind->size);
    if (!options) return NULL;
    memcpy(options, layer->options, layer->kind->size);
    bool whole = true;
    for (const soma_field *f = layer->kind->fields; f && f->name; f++) {
        soma_layer **inner = (soma_layer **)(void *)((char *)options + f->offset);
        if (f->kind != SOMA_FIELD_LAYER || !*inner) continue;
        *inner = whole ? copy_of(*inner) : NULL;
        whole = whole && *inner;
    }
    soma_layer *copy = whole ? soma_layer_create(layer->kind, options) : NULL;
    if (!whole) layer_options_abandon(layer->kind, options);
    mem_free(layer->context, options, layer->kind->size);
    return copy;
}

static soma_status make_backward(soma_layer *layer) {
    soma_bidirectional_options *o = (soma_bidirectional_options *)(void *)layer->options;
    RETURN_IF(layer->context, !o->layer || !direction(o->layer), SOMA_INVALID,
              "[Bidirectional] %s is no recurrent layer", o->layer ? o->layer->kind->name : "nothing");
    if (!o->backward_layer) {
        soma_layer *copy = copy_of(o->layer);
        if (!copy) return SOMA_NO_MEMORY;
        *direction(copy) = !*direction(copy);
        soma_status status = layer_adopt(layer, copy);
        if (status != SOMA_OK) {
            soma_layer_destroy(copy);
            return status;
        }
        o->backward_layer = copy;
    }
    RETURN_IF(layer->context, !direction(o->backward_layer) || *direction(o->backward_layer) == *direction(o->layer),
              SOMA_INVALID, "[Bidirectional] both layers go the same way: one needs go_backwards");
    return SOMA_OK;
}

/* What a masked step carries on is of other steps in the two ways: neither has a result there, as in Keras. */
static void leave_out_masked(const soma_layer *inner) {
    bool *zero = flag(inner, "zero_output_for_mask");
    if (zero) *zero = true;
}

static soma_status bidirectional_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    (void)n;
    const soma_bidirectional_options *o = soma_layer_options(layer);
    TRY(make_backward(layer));
    leave_out_masked(o->layer);
    leave_out_masked(o->backward_layer);
    TRY(soma_layer_build_inner(layer, o->layer, "forward_", inputs, 1));
    return soma_layer_build_inner(layer, o->backward_layer, "backward_", inputs, 1);
}

/* One of the two on the first input and its half of the states, in the order of the steps; its states are added. */
static soma_tensor *one_way(soma_layer *inner, soma_trace *trace, soma_tensor *x, soma_tensor *const *states, int n,
                            soma_tensor **after, int *n_after) {
    soma_tensor *inputs[SOMA_MAX_OUTPUTS] = {x}, *const * more;
    if (n > 0) memcpy(inputs + 1, states, (size_t)n * sizeof *inputs);
    soma_tensor *y = soma_trace_call(trace, inner, inputs, 1 + n);
    int count = soma_trace_outputs(trace, &more);
    if (y && *n_after + count < SOMA_MAX_OUTPUTS) {
        for (int i = 0; i < count; i++)
            after[(*n_after)++] = more[i];
    }
    const bool *steps = flag(inner, "return_sequences");
    return y && steps && *steps && *direction(inner) ? soma_slice_axis(y, 1, -1, SOMA_END, -1) : y;
}

static soma_tensor *merge(soma_layer *layer, soma_tensor *a, soma_tensor *b) {
    const soma_bidirectional_options *o = soma_layer_options(layer);
    const char *mode = o->merge_mode ? o->merge_mode : "concat";
    if (strcmp(mode, "concat") == 0) return soma_concat((soma_tensor *[]){a, b}, 2, -1);
    if (strcmp(mode, "sum") == 0) return soma_add(a, b);
    if (strcmp(mode, "mul") == 0) return soma_mul(a, b);
    if (strcmp(mode, "ave") == 0) return soma_mul_scalar(soma_add(a, b), 0.5);
    (void)error_set(layer->context, SOMA_INVALID,
                    "[Bidirectional] merge_mode is '%s': it must be concat, sum, mul or ave", mode);
    return NULL;
}

static soma_tensor *bidirectional(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    const soma_bidirectional_options *o = soma_layer_options(layer);
    RETURN_NULL_IF(layer->context, n % 2 == 0, SOMA_INVALID, "[Bidirectional] %d states are given: as many each way",
                   n - 1);
    soma_tensor **after = arena_alloc(&trace->graph->arena, SOMA_MAX_OUTPUTS * sizeof *after);
    if (!after) return NULL;
    int half = (n - 1) / 2, count = 0;
    soma_tensor *a = one_way(o->layer, trace, inputs[0], inputs + 1, half, after, &count);
    soma_tensor *b = a ? one_way(o->backward_layer, trace, inputs[0], inputs + 1 + half, half, after, &count) : NULL;
    soma_tensor *y = b ? merge(layer, a, b) : NULL;
    const bool *steps = flag(o->layer, "return_sequences"); /* a mask goes with the steps */
    if (y && steps && *steps) soma_trace_set_mask(trace, y, soma_trace_mask(trace, inputs[0]));
    if (y && count > 0) soma_trace_set_outputs(trace, layer, after, count);
    return y;
}

const soma_layer_class layer_bidirectional = {.name = "Bidirectional",
                                              .size = sizeof(soma_bidirectional_options),
                                              .fields = bidirectional_fields,
                                              .min_inputs = 1,
                                              .max_inputs = SOMA_MAX_OUTPUTS,
                                              .build = bidirectional_build,
                                              .call = bidirectional};

soma_layer *soma_bidirectional_create(const soma_bidirectional_options *options) {
    return soma_layer_create(&layer_bidirectional, options);
}

/* ---- TimeDistributed ---- */

static const soma_field distributed_fields[] = {
    {.name = "layer", .kind = SOMA_FIELD_LAYER, .offset = offsetof(soma_time_distributed_options, layer)},
    {.name = NULL}};

/* (batch, steps, ...) -> (batch steps, ...). */
static soma_tensor *flat_steps(const soma_layer *layer, soma_tensor *x) {
    RETURN_NULL_IF(layer->context, x->rank < 3, SOMA_SHAPE, "[TimeDistributed] a sample must be (steps, ...)");
    int64_t shape[SOMA_MAX_RANK] = {x->shape[0] * x->shape[1]};
    for (int i = 2; i < x->rank; i++)
        shape[i - 1] = x->shape[i];
    return soma_reshape(x, x->rank - 1, shape);
}

static soma_status distributed_build(soma_layer *layer, soma_tensor *const *inputs, int n) {
    const soma_time_distributed_options *o = soma_layer_options(layer);
    soma_tensor *flat = flat_steps(layer, inputs[0]);
    if (!flat) return SOMA_SHAPE;
    return soma_layer_build_inner(layer, o->layer, "", &flat, n);
}

static soma_tensor *distributed(soma_layer *layer, soma_trace *trace, soma_tensor *const *inputs, int n) {
    const soma_time_distributed_options *o = soma_layer_options(layer);
    soma_tensor *flat = flat_steps(layer, inputs[0]);
    soma_tensor *y = flat ? soma_trace_call(trace, o->layer, &flat, n) : NULL;
    if (!y) return NULL;
    RETURN_NULL_IF(layer->context, y->rank == SOMA_MAX_RANK, SOMA_SHAPE, "[TimeDistributed] rank %d is too much",
                   y->rank + 1);
    int64_t shape[SOMA_MAX_RANK] = {inputs[0]->shape[0], inputs[0]->shape[1]};
    for (int i = 1; i < y->rank; i++)
        shape[i + 1] = y->shape[i];
    return soma_reshape(y, y->rank + 1, shape);
}

const soma_layer_class layer_time_distributed = {.name = "TimeDistributed",
                                                 .size = sizeof(soma_time_distributed_options),
                                                 .fields = distributed_fields,
                                                 .min_inputs = 1,
                                                 .max_inputs = 1,
                                                 .build = distributed_build,
                                                 .call = distributed,
                                                 .passes_mask = true};

soma_layer *soma_time_distributed_create(const soma_time_distributed_options *options) {
    return soma_layer_create(&layer_time_distributed, options);
}
