/* Mixed precision: large values between two steps lie in memory as bfloat16, where the plan may. Half the bytes; all
 * arithmetic, its sums, weights, their gradients and what an optimizer keeps stay float32.
 * Rests on the groups: who stores a value, and who reads it. It is rounded to the nearest when it is stored, and
 * everybody reads what is stored, the group that made it too: so a gradient is that of what was computed. Values that
 * are moved from array to array as they are (padded, joined) are of one kind. Decided by shapes and by who reads what:
 * neither the number of threads nor the instruction set has a part in it. */
#include "plan/passes.h"

/* What a value is made of. */
enum { OF_DATA = 1, OF_WEIGHTS = 2 };

typedef struct finder {
    build *b;
    uint8_t *made_of; /* by node id */
    bool *refused;    /* by node id; of a kind: at its first */
    int64_t *first;   /* by node id: towards the first of its kind */
    int64_t *bytes;   /* by node id, at the first: of the largest of the kind */
} finder;

static int64_t source_id(const build *b, const soma_tensor *x) {
    while (b->infos[x->id].role == ROLE_VIEW)
        x = x->inputs[0];
    return x->id;
}

static int64_t first_of(finder *f, int64_t id) {
    while (f->first[id] != id)
        id = f->first[id] = f->first[f->first[id]];
    return id;
}

static void make_one(finder *f, int64_t x, int64_t y) {
    x = first_of(f, x);
    y = first_of(f, y);
    if (x == y) return;
    f->first[y] = x;
    f->refused[x] = f->refused[x] || f->refused[y];
    if (f->bytes[y] > f->bytes[x]) f->bytes[x] = f->bytes[y];
}

static void refuse(finder *f, int64_t id) {
    f->refused[first_of(f, id)] = true;
}

static bool moves_bytes(const soma_tensor *t) {
    return t->op == &op_pad || t->op == &op_concat || t->op->kind == OP_VIEW;
}

/* Looked at on its own. Values that no data or no weights have a part in are few, and may be numbers of many digits:
 * places, angles. */
static bool may_round(const finder *f, const soma_tensor *t) {
    const node_info *info = &f->b->infos[t->id];
    if (info->role != ROLE_MEMBER || t->dtype != SOMA_F32 || !info->stored || info->anew || info->per_row ||
        info->exact || f->made_of[t->id] != (OF_DATA | OF_WEIGHTS))
        return false;
    const group *g = &f->b->groups[info->group];
    return g->kind == GROUP_KERNEL ? moves_bytes(t) : g->dtype == SOMA_F32;
}

static void look_at(finder *f, const soma_tensor *t) {
    for (int i = 0; i < t->n_inputs; i++)
        f->made_of[t->id] |= f->made_of[t->inputs[i]->id];
    if (t->op == &op_input) f->made_of[t->id] = OF_DATA;
    if (t->op == &op_read) f->made_of[t->id] = OF_WEIGHTS;
    f->first[t->id] = t->id;
    f->refused[t->id] = !may_round(f, t);
    f->bytes[t->id] = shape_size(t->rank, t->shape) * (int64_t)soma_dtype_size(t->dtype);
}

/* A kernel reads numbers as they are, but for those that it only moves; what is moved may lie in its place already. */
static void look_at_reader(finder *f, const soma_tensor *t) {
    const build *b = f->b;
    const node_info *info = &b->infos[t->id];
    if (info->role != ROLE_INLINE && info->role != ROLE_MEMBER) return;
    const bool moves = info->role == ROLE_MEMBER && moves_bytes(t);
    if (!moves && info->role == ROLE_MEMBER && b->groups[info->group].kind != GROUP_KERNEL) return;
    for (int i = 0; i < t->n_inputs; i++) {
        const int64_t source = source_id(b, t->inputs[i]);
        if (moves)
            make_one(f, t->id, source);
        else
            refuse(f, source);
    }
}

/* What becomes a variable's value, back to the products and sums that it is made of: the gradients of weights. */
static soma_status refuse_updates(finder *f) {
    const build *b = f->b;
    int64_t *stack = arena_alloc(&f->b->arena, (size_t)b->graph->n_nodes * sizeof *stack + 1), depth = 0;
    bool *seen = arena_alloc(&f->b->arena, (size_t)b->graph->n_nodes + 1);
    if (!stack || !seen) return SOMA_NO_MEMORY;
    for (int64_t id = 0; id < b->graph->n_nodes; id++)
        if (b->infos[id].role == ROLE_STATE) stack[depth++] = id;
    while (depth > 0) {
        const soma_tensor *t = b->graph->nodes[stack[--depth]];
        if (b->infos[t->id].role == ROLE_MEMBER) refuse(f, t->id);
        if (t->op->kind != OP_MAP && t->op->kind != OP_VIEW && b->infos[t->id].role != ROLE_STATE) continue;
        for (int i = 0; i < t->n_inputs; i++) {
            const int64_t id = t->inputs[i]->id;
            if (!seen[id]) stack[depth++] = id;
            seen[id] = true;
        }
    }
    return SOMA_OK;
}

soma_status plan_bfloat(build *b) {
    const size_t n = (size_t)b->graph->n_nodes;
    if (b->bfloat_from == 0 || b->reference) return SOMA_OK;
    finder f = {.b = b};
    f.made_of = arena_alloc(&b->arena, n * sizeof *f.made_of + 1);
    f.refused = arena_alloc(&b->arena, n * sizeof *f.refused + 1);
    f.first = arena_alloc(&b->arena, n * sizeof *f.first + 1);
    f.bytes = arena_alloc(&b->arena, n * sizeof *f.bytes + 1);
    if (!f.made_of || !f.refused || !f.first || !f.bytes) return SOMA_NO_MEMORY;
    for (size_t id = 0; id < n; id++)
        look_at(&f, b->graph->nodes[id]);
    for (size_t id = 0; id < n; id++)
        look_at_reader(&f, b->graph->nodes[id]);
    for (int i = 0; i < b->n_targets; i++)
        if (b->infos[b->targets[i]->id].role != ROLE_STATE) refuse(&f, source_id(b, b->targets[i]));
    TRY(refuse_updates(&f));
    for (size_t id = 0; id < n; id++) {
        const int64_t first = first_of(&f, (int64_t)id);
        b->infos[id].bfloat = !f.refused[first] && f.bytes[first] >= (int64_t)b->bfloat_from;
    }
    plan_log(b, "bfloat");
    return SOMA_OK;
}
