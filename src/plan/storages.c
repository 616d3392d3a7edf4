/* The arrays a plan touches: one storage for each node that lies in memory, one for each variable.
 * Rests on what fusing and layout decided. Made when lowering first asks for them. */
#include <string.h>

#include "plan/passes.h"

int storage_add(build *b, const plan_storage *s) {
    soma_plan *plan = b->plan;
    if (plan->n_storages == b->storages_capacity) {
        int capacity = b->storages_capacity ? 2 * b->storages_capacity : 32;
        const size_t size = sizeof *plan->storages;
        plan_storage *storages =
            arena_grow(&plan->arena, plan->storages, (size_t)plan->n_storages * size, (size_t)capacity * size);
        if (!storages) return -1;
        plan->storages = storages;
        b->storages_capacity = capacity;
    }
    plan_storage *made = &plan->storages[plan->n_storages];
    *made = *s;
    made->first = INT32_MAX;
    made->last = -1;
    made->bytes = (size_t)vector_pad(made->elements + STORAGE_SLACK) * soma_dtype_size(made->dtype);
    return plan->n_storages++;
}

static void set_panels(plan_storage *s, const soma_tensor *t, int64_t width) {
    if (width == 0) return;
    s->width = width;
    s->rows = t->shape[t->rank - 2];
    s->columns = t->shape[t->rank - 1];
    int64_t batch = shape_size(t->rank - 2, t->shape);
    s->elements = batch * ((s->columns + width - 1) / width) * s->rows * width;
}

int storage_of_variable(build *b, soma_variable *v, const soma_tensor *t, int64_t width) {
    variable_use *use = state_variable(b, v);
    if (use->storage >= 0) return use->storage;
    plan_storage s = {.kind = STORAGE_VARIABLE, .dtype = v->dtype, .elements = v->size, .variable = v};
    set_panels(&s, t, width);
    return use->storage = storage_add(b, &s);
}

int storage_of(build *b, const soma_tensor *t) {
    node_info *info = &b->infos[t->id];
    if (info->storage >= 0) return info->storage;
    if (info->within) return info->storage = storage_of(b, info->within);
    plan_storage s = {.dtype = info->bfloat ? SOMA_BF16 : t->dtype, .elements = shape_size(t->rank, t->shape)};
    if (t->op == &op_read) return info->storage = storage_of_variable(b, t->variable, t, info->width);
    if (info->role == ROLE_MEMBER && info->into)
        return info->storage = storage_of_variable(b, info->into, t, info->width);
    if (t->op == &op_constant) {
        s.kind = STORAGE_CONSTANT;
        s.data = t->data;
    } else if (t->op == &op_input) {
        s.kind = STORAGE_INPUT;
        s.input = b->input_of[t->id];
        s.name = t->name;
    } else {
        s.kind = STORAGE_ARENA;
        set_panels(&s, t, info->width);
    }
    return info->storage = storage_add(b, &s);
}
