/* Before fusing: two maps that kernels do as one become one node.
 * Rests on how often results are read. What is one instruction is settled here, from the graph alone, since it decides
 * how often a number is rounded: were it settled by what happens to lie in one step, a sample could differ in its last
 * bits from the same sample in a larger batch, whose steps are cut otherwise. */
#include "plan/passes.h"

/* Is x made by `wanted` and for t alone? */
static bool made_for(const build *b, const bool *shown, const soma_tensor *x, const op *wanted) {
    return x->op == wanted && b->uses[x->id] == 1 && !shown[x->id];
}

/* t becomes `joined` of x's inputs and one of its own, which comes first or last; x is no more. */
static bool join(build *b, soma_tensor *t, const op *joined, const soma_tensor *x, soma_tensor *own, bool first) {
    const int n = x->n_inputs + 1;
    soma_tensor **inputs = arena_alloc(&b->graph->arena, (size_t)n * sizeof *inputs);
    if (!inputs) return false;
    for (int i = 0; i < x->n_inputs; i++)
        inputs[first + i] = x->inputs[i];
    inputs[first ? 0 : n - 1] = own;
    b->infos[x->id].role = ROLE_UNUSED;
    b->uses[x->id] = 0;
    t->op = joined;
    t->inputs = inputs;
    t->n_inputs = n;
    return true;
}

static bool join_with_inputs(build *b, const bool *shown, soma_tensor *t) {
    soma_tensor *x = t->inputs[0], *y = t->n_inputs == 2 ? t->inputs[1] : NULL;
    if (t->op == &op_add && made_for(b, shown, x, &op_mul)) return join(b, t, &op_multiply_add, x, y, false);
    if (t->op == &op_add && made_for(b, shown, y, &op_mul)) return join(b, t, &op_multiply_add, y, x, false);
    if (t->op == &op_sub && made_for(b, shown, y, &op_mul)) return join(b, t, &op_subtract_product, y, x, false);
    if (t->op == &op_mul && made_for(b, shown, y, &op_rsqrt)) return join(b, t, &op_divide_root, y, x, true);
    if (t->op == &op_div && made_for(b, shown, y, &op_sqrt)) return join(b, t, &op_divide_root, y, x, true);
    return true;
}

soma_status plan_join_maps(build *b) {
    bool *shown = arena_alloc(&b->arena, (size_t)b->graph->n_nodes + 1);
    if (!shown) return SOMA_NO_MEMORY;
    for (int i = 0; i < b->n_targets; i++)
        shown[b->targets[i]->id] = true;
    for (int64_t id = b->graph->n_nodes - 1; id >= 0; id--) { /* readers first: a sum takes in a product by a root */
        soma_tensor *t = b->graph->nodes[id];
        bool used = b->infos[id].role != ROLE_UNUSED, real = t->dtype == SOMA_F32 || t->dtype == SOMA_F64;
        if (used && real && t->op->kind == OP_MAP && !join_with_inputs(b, shown, t)) return SOMA_NO_MEMORY;
    }
    return SOMA_OK;
}
