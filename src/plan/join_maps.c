/* Before fusing: maps that kernels do as one become one node.
 * Rests on how often results are read. What is one instruction is settled here, from the graph alone, since it decides
 * how often a number is rounded: were it settled by what happens to lie in one step, a sample could differ in its last
 * bits from the same sample in a larger batch, whose steps are cut otherwise. */
#include <string.h>

#include "plan/passes.h"

/* Is x made by `wanted` and for t alone? */
static bool made_for(const build *b, const bool *shown, const soma_tensor *x, const op *wanted) {
    return x->op == wanted && b->uses[x->id] == 1 && !shown[x->id];
}

/* t becomes `joined` of these inputs, x's among them; x is no more. */
static bool become(build *b, soma_tensor *t, const op *joined, const soma_tensor *x, int n, soma_tensor *const *from) {
    soma_tensor **inputs = arena_alloc(&b->graph->arena, (size_t)n * sizeof *inputs);
    if (!inputs) return false;
    memcpy(inputs, from, (size_t)n * sizeof *inputs);
    b->infos[x->id].role = ROLE_UNUSED;
    b->uses[x->id] = 0;
    t->op = joined;
    t->inputs = inputs;
    t->n_inputs = n;
    return true;
}

/* A running average, old + (new - old) c, of numbers or of squares. */
static bool join_average(build *b, const bool *shown, soma_tensor *t) {
    soma_tensor *old = t->inputs[2];
    for (int i = 0; i < 2; i++) {
        const soma_tensor *x = t->inputs[i];
        if (!made_for(b, shown, x, &op_sub) || x->inputs[1] != old) continue;
        const soma_tensor *y = x->inputs[0];
        b->uses[old->id]--;
        if (!become(b, t, &op_blend, x, 3, (soma_tensor *[]){old, x->inputs[0], t->inputs[1 - i]})) return false;
        if (!made_for(b, shown, y, &op_square)) return true;
        return become(b, t, &op_blend_square, y, 3, (soma_tensor *[]){old, y->inputs[0], t->inputs[2]});
    }
    return true;
}

/* x / sqrt y, where y may be a sum. */
static bool join_root(build *b, const bool *shown, soma_tensor *t, const soma_tensor *root) {
    if (!become(b, t, &op_divide_root, root, 2, (soma_tensor *[]){t->inputs[0], root->inputs[0]})) return false;
    const soma_tensor *y = t->inputs[1];
    if (!made_for(b, shown, y, &op_add)) return true;
    return become(b, t, &op_divide_root_of_sum, y, 3, (soma_tensor *[]){t->inputs[0], y->inputs[0], y->inputs[1]});
}

/* x / (sqrt y + z) */
static bool join_quotient(build *b, const bool *shown, soma_tensor *t) {
    const soma_tensor *sum = t->inputs[1];
    for (int i = 0; i < 2; i++) {
        const soma_tensor *root = sum->inputs[i];
        if (!made_for(b, shown, root, &op_sqrt)) continue;
        soma_tensor *inputs[] = {t->inputs[0], root->inputs[0], sum->inputs[1 - i]};
        return become(b, t, &op_divide_root_plus, sum, 3, inputs) &&
               become(b, t, &op_divide_root_plus, root, 3, inputs);
    }
    return true;
}

/* A number that is one everywhere, and not NaN. */
static bool is_number(const soma_tensor *t) {
    while (t->op == &op_expand || t->op == &op_reshape)
        t = t->inputs[0];
    if (t->op != &op_constant || shape_size(t->rank, t->shape) != 1) return false;
    if (t->dtype == SOMA_F64) return *(const double *)t->data == *(const double *)t->data;
    return t->dtype == SOMA_F32 && *(const float *)t->data == *(const float *)t->data;
}

/* where(x <= c, c, x), a relu that nobody differentiates, is the greater of both. NaN comes out the same, and zeros,
 * since the number stays second. */
static bool join_choice(build *b, const bool *shown, soma_tensor *t) {
    const soma_tensor *less = t->inputs[0];
    soma_tensor *x = t->inputs[2], *c = t->inputs[1];
    if (!made_for(b, shown, less, &op_less_equal) || less->inputs[0] != x || less->inputs[1] != c || !is_number(c))
        return true;
    b->uses[x->id]--;
    b->uses[c->id]--;
    return become(b, t, &op_maximum, less, 2, (soma_tensor *[]){x, c});
}

static bool join_with_inputs(build *b, const bool *shown, soma_tensor *t) {
    soma_tensor *x = t->inputs[0], *y = t->n_inputs == 2 ? t->inputs[1] : NULL;
    for (int i = 0; i < 2 && t->op == &op_add; i++) {
        const soma_tensor *product = t->inputs[i];
        if (!made_for(b, shown, product, &op_mul)) continue;
        soma_tensor *inputs[] = {product->inputs[0], product->inputs[1], t->inputs[1 - i]};
        return become(b, t, &op_multiply_add, product, 3, inputs) && join_average(b, shown, t);
    }
    if (t->op == &op_sub && made_for(b, shown, y, &op_mul))
        return become(b, t, &op_subtract_product, y, 3, (soma_tensor *[]){y->inputs[0], y->inputs[1], x});
    if (t->op == &op_sub && made_for(b, shown, y, &op_square)) {
        b->uses[y->inputs[0]->id]++;
        return become(b, t, &op_subtract_product, y, 3, (soma_tensor *[]){y->inputs[0], y->inputs[0], x});
    }
    if (t->op == &op_mul && made_for(b, shown, y, &op_rsqrt)) return join_root(b, shown, t, y);
    if (t->op == &op_div && made_for(b, shown, y, &op_sqrt)) return join_root(b, shown, t, y);
    if (t->op == &op_div && made_for(b, shown, y, &op_add)) return join_quotient(b, shown, t);
    if (t->op == &op_where) return join_choice(b, shown, t);
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
