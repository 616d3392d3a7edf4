/* First pass: copies what the targets need into the plan's own graph, smaller.
 * Rests on the ops' builders. Every rule keeps the value of every element to the bit, but for the order of a sum.
 * Equal nodes are found by hashing, constants of one element are computed here, maps of stretched scalars shrink. */
#include <math.h>
#include <string.h>

#include <soma/ops.h>

#include "ops/build.h"
#include "plan/passes.h"

typedef struct place {
    uint32_t hash, number; /* the new node's id + 1; 0: free */
} place;

typedef struct simplifier {
    build *b;
    soma_tensor **copies; /* by old id */
    place *table;         /* hash table of the new nodes, at most half full */
    int64_t mask, held;
} simplifier;

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t n) {
    const unsigned char *bytes = data;
    for (uint64_t word = 0; n > 0; word = 0) {
        size_t part = n < sizeof word ? n : sizeof word;
        memcpy(&word, bytes, part);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 32;
        bytes += part;
        n -= part;
    }
    return hash;
}

static size_t data_bytes(const soma_tensor *t) {
    return (size_t)shape_size(t->rank, t->shape) * soma_dtype_size(t->dtype);
}

enum { SHORT_DATA = 64 /* bytes: longer constants are compared by address */ };

static uint64_t node_hash(const soma_tensor *t) {
    uint64_t hash = hash_bytes(0xcbf29ce484222325u, &t->op, sizeof t->op);
    for (int i = 0; i < t->n_inputs; i++)
        hash = hash_bytes(hash, &t->inputs[i]->id, sizeof t->inputs[i]->id);
    hash = hash_bytes(hash, t->shape, (size_t)t->rank * sizeof *t->shape);
    if (t->attributes != &op_no_attributes) hash = hash_bytes(hash, t->attributes, sizeof *t->attributes);
    if (t->op == &op_constant && data_bytes(t) <= SHORT_DATA) hash = hash_bytes(hash, t->data, data_bytes(t));
    return hash_bytes(hash, &t->variable, sizeof t->variable);
}

static bool node_equal(const soma_tensor *a, const soma_tensor *b) {
    if (a->op != b->op || a->dtype != b->dtype || a->n_inputs != b->n_inputs || a->variable != b->variable ||
        !shape_equal(a->rank, a->shape, b->rank, b->shape) ||
        (a->attributes != b->attributes && memcmp(a->attributes, b->attributes, sizeof *a->attributes) != 0))
        return false;
    for (int i = 0; i < a->n_inputs; i++)
        if (a->inputs[i] != b->inputs[i]) return false;
    if (a->op == &op_constant)
        return a->data == b->data || (data_bytes(a) <= SHORT_DATA && memcmp(a->data, b->data, data_bytes(a)) == 0);
    return a->op != &op_input && a->op != &op_assign;
}

/* Where the node, or one made before that is equal, is or belongs. */
static place *find_place(const simplifier *s, const soma_tensor *t, uint32_t hash) {
    soma_tensor *const *nodes = s->b->graph->nodes;
    for (int64_t i = hash;; i++) {
        place *p = &s->table[i & s->mask];
        if (!p->number || (p->hash == hash && (nodes[p->number - 1] == t || node_equal(nodes[p->number - 1], t))))
            return p;
    }
}

static bool grow(simplifier *s) {
    const simplifier old = *s;
    s->mask = 2 * s->mask + 1;
    s->table = arena_alloc(&s->b->arena, ((size_t)s->mask + 1) * sizeof *s->table);
    for (int64_t i = 0; s->table && i <= old.mask; i++) {
        int64_t to = old.table[i].hash;
        while (old.table[i].number && s->table[to & s->mask].number)
            to++;
        if (old.table[i].number) s->table[to & s->mask] = old.table[i];
    }
    return s->table;
}

/* The node itself, or one made before that is equal; NULL when out of memory. */
static soma_tensor *unique(simplifier *s, soma_tensor *t) {
    if (2 * s->held > s->mask && !grow(s)) return NULL;
    const uint32_t hash = (uint32_t)node_hash(t);
    place *p = find_place(s, t, hash);
    if (p->number) return s->b->graph->nodes[p->number - 1];
    s->held++;
    *p = (place){hash, (uint32_t)t->id + 1};
    return t;
}

static soma_tensor *make(simplifier *s, const soma_tensor *like, soma_tensor *const *inputs) {
    soma_tensor *t = graph_node(s->b->graph, like->op, inputs, like->n_inputs, like->dtype, like->rank, like->shape,
                                like->attributes);
    if (!t) return NULL;
    t->variable = like->variable;
    t->name = like->name ? arena_strdup(&s->b->plan->arena, like->name) : NULL;
    t->data = like->op == &op_constant ? like->data : NULL;
    return t;
}

/* ---- constants ---- */

static bool is_constant(const soma_tensor *t) {
    return t->op == &op_constant && shape_size(t->rank, t->shape) == 1;
}

/* The constant below a stretched scalar, else NULL. */
static const soma_tensor *scalar_of(const soma_tensor *t) {
    while (t->op == &op_expand || t->op == &op_reshape) {
        if (shape_size(t->inputs[0]->rank, t->inputs[0]->shape) != 1 && t->op == &op_expand) return NULL;
        t = t->inputs[0];
    }
    return is_constant(t) ? t : NULL;
}

static bool scalar_is(const soma_tensor *t, double value) {
    const soma_tensor *c = scalar_of(t);
    if (!c) return false;
    if (c->dtype == SOMA_F32) return *(const float *)c->data == (float)value;
    if (c->dtype == SOMA_F64) return *(const double *)c->data == value;
    return false;
}

static soma_tensor *fold(simplifier *s, soma_tensor *t) {
    if (t->op->kind != OP_MAP || t->n_inputs == 0 || shape_size(t->rank, t->shape) != 1) return t;
    op_view views[3];
    for (int i = 0; i < t->n_inputs; i++) {
        const soma_tensor *c = scalar_of(t->inputs[i]);
        if (!c) return t;
        views[i] = (op_view){.data = (void *)(intptr_t)c->data, .dtype = c->dtype, .rank = t->rank};
        for (int k = 0; k < t->rank; k++)
            views[i].shape[k] = 1;
    }
    double *value = arena_alloc(&s->b->plan->arena, 16);
    if (!value) return NULL;
    op_view out = {.data = value, .dtype = t->dtype, .rank = t->rank};
    for (int k = 0; k < t->rank; k++)
        out.shape[k] = 1;
    if (t->op->reference(t, views, &out) != SOMA_OK) return NULL;
    soma_tensor *constant = graph_node(s->b->graph, &op_constant, NULL, 0, t->dtype, t->rank, t->shape, NULL);
    if (constant) constant->data = value;
    return constant;
}

/* A map of stretched scalars: the map of the scalars, stretched. */
static soma_tensor *shrink(simplifier *s, soma_tensor *t) {
    if (t->op->kind != OP_MAP || t->n_inputs == 0 || shape_size(t->rank, t->shape) <= 1) return t;
    soma_tensor *scalars[3];
    for (int i = 0; i < t->n_inputs; i++) {
        if (t->inputs[i]->op != &op_expand) return t;
        soma_tensor *from = t->inputs[i]->inputs[0];
        if (shape_size(from->rank, from->shape) != 1) return t;
        scalars[i] = from->rank == 0 ? from : unique(s, soma_reshape(from, SOMA_SCALAR_DIMS));
        if (!scalars[i]) return NULL;
    }
    soma_tensor *small =
        graph_node(s->b->graph, t->op, scalars, t->n_inputs, t->dtype, SOMA_SCALAR_DIMS, t->attributes);
    if (!small) return NULL;
    small = fold(s, unique(s, small));
    return small ? soma_expand(unique(s, small), t->rank, t->shape) : NULL;
}

/* ---- algebra ---- */

static bool same_type(const soma_tensor *t, const soma_tensor *x) {
    return t->dtype == x->dtype && shape_equal(t->rank, t->shape, x->rank, x->shape);
}

static soma_tensor *algebra(soma_tensor *t) {
    soma_tensor *a = t->n_inputs > 0 ? t->inputs[0] : NULL, *b = t->n_inputs > 1 ? t->inputs[1] : NULL;
    if (t->op == &op_stop_gradient) return a;

    if (t->op == &op_cast && same_type(t, a)) return a;
    if (t->op == &op_mul && scalar_is(b, 1)) return a;
    if (t->op == &op_mul && scalar_is(a, 1)) return b;
    if (t->op == &op_div && scalar_is(b, 1)) return a;
    if (t->op == &op_sub && scalar_is(b, 0)) return a;
    if (t->op == &op_neg && a->op == &op_neg) return a->inputs[0];
    if (t->op == &op_mul && a == b) return soma_square(a);
    if (t->op == &op_pow && scalar_is(b, 1)) return a;
    if (t->op == &op_pow && scalar_is(b, 2)) return soma_square(a);
    return t;
}

static bool is_identity_permutation(const soma_tensor *t) {
    for (int i = 0; i < t->rank; i++)
        if (t->attributes->start[i] != i) return false;
    return true;
}

/* Windows side by side, nothing between them: the axes as one, and zeros behind. */
static soma_tensor *side_by_side(soma_tensor *t) {
    const op_attributes *at = t->attributes;
    soma_tensor *x = t->inputs[0];
    int64_t before[SOMA_MAX_RANK] = {0}, after[SOMA_MAX_RANK] = {0}, shape[SOMA_MAX_RANK];
    if (at->step[0] != x->shape[at->axis + 1] || (at->step[1] != 1 && at->step[0] != 1)) return t;
    memcpy(shape, t->shape, sizeof shape);
    shape[at->axis] = x->shape[at->axis] * at->step[0];
    after[at->axis] = t->shape[at->axis] - shape[at->axis];
    return soma_pad(soma_reshape(x, t->rank, shape), before, after, 0);
}

/* A pad of a pad, both of one value, as one. */
static soma_tensor *pads(soma_tensor *t) {
    const soma_tensor *inner = t->inputs[0];
    int64_t before[SOMA_MAX_RANK], after[SOMA_MAX_RANK];
    if (inner->op != &op_pad || t->attributes->value[0] != inner->attributes->value[0]) return t;
    for (int i = 0; i < t->rank; i++) {
        before[i] = t->attributes->start[i] + inner->attributes->start[i];
        after[i] = t->shape[i] - before[i] - inner->inputs[0]->shape[i];
    }
    return soma_pad(inner->inputs[0], before, after, t->attributes->value[0]);
}

static soma_tensor *views(soma_tensor *t) {
    soma_tensor *a = t->n_inputs > 0 ? t->inputs[0] : NULL;
    if (t->op == &op_reshape && a->op == &op_reshape) return soma_reshape(a->inputs[0], t->rank, t->shape);
    if ((t->op == &op_reshape || t->op == &op_expand) && same_type(t, a)) return a;
    if (t->op == &op_permute && is_identity_permutation(t)) return a;
    if (t->op == &op_permute && a->op == &op_permute) {
        int axes[SOMA_MAX_RANK];
        for (int i = 0; i < t->rank; i++)
            axes[i] = (int)a->attributes->start[t->attributes->start[i]];
        return soma_transpose(a->inputs[0], axes);
    }
    if (t->op == &op_unwindow) return side_by_side(t);
    if (t->op == &op_pad) return pads(t);
    if (t->op == &op_concat && t->n_inputs == 1) return a;
    return t;
}

/* Is x, below views, what a program or a contraction computes? */
static bool is_computed(const soma_tensor *x) {
    while (x->op->kind == OP_VIEW)
        x = x->inputs[0];
    return x->op->kind == OP_MAP || x->op->kind == OP_CONTRACT;
}

/* A map of one permuted array and of numbers: the map before the permutation, for it may join what makes the array. */
static soma_tensor *permute_last(simplifier *s, soma_tensor *t) {
    if (t->op->kind != OP_MAP) return t;
    soma_tensor *inputs[3], *permuted = NULL;
    for (int i = 0; i < t->n_inputs; i++) {
        if (scalar_of(t->inputs[i])) continue;
        if (t->inputs[i]->op != &op_permute || (permuted && permuted != t->inputs[i])) return t;
        permuted = t->inputs[i];
    }
    if (!permuted || !is_computed(permuted)) return t;
    soma_tensor *x = permuted->inputs[0];
    for (int i = 0; i < t->n_inputs; i++) {
        soma_tensor *number = (soma_tensor *)(uintptr_t)scalar_of(t->inputs[i]);
        if (number && number->rank > 0) number = unique(s, soma_reshape(number, SOMA_SCALAR_DIMS));
        inputs[i] = t->inputs[i] == permuted ? x : number ? unique(s, soma_expand(number, x->rank, x->shape)) : NULL;
        if (!inputs[i]) return NULL;
    }
    soma_tensor *y = graph_node(s->b->graph, t->op, inputs, t->n_inputs, t->dtype, x->rank, x->shape, t->attributes);
    int axes[SOMA_MAX_RANK];
    for (int i = 0; i < t->rank; i++)
        axes[i] = (int)permuted->attributes->start[i];
    return y ? soma_transpose(unique(s, y), axes) : NULL;
}

/* ---- reductions: axes in one run, and a long row before the other axes ---- */

static soma_tensor *reduce_axes(const soma_tensor *t, soma_tensor *x, uint32_t axes) {
    op_attributes attributes = *t->attributes;
    attributes.axes = axes;
    return op_apply(NULL, t->op, &x, 1, &attributes);
}

static soma_tensor *reductions(soma_tensor *t) {
    if (t->op->kind != OP_REDUCE || t->op == &op_argmax || t->op == &op_argmin) return t;
    const soma_tensor *x = t->inputs[0];
    uint32_t axes = 0;
    for (int i = 0; i < t->rank; i++)
        if (t->attributes->axes >> i & 1 && x->shape[i] != 1) axes |= 1u << i;
    if (axes == 0 && dtype_is_float(t->dtype) && t->dtype == x->dtype) return t->inputs[0];
    int last = 31;
    while (last >= 0 && !(axes >> last & 1))
        last--;
    if (last < 0) return t;
    int first = last; /* the run of reduced axes that ends last; extents of 1 do not break it */
    int64_t run = x->shape[last];
    while (first > 0 && (axes >> (first - 1) & 1 || x->shape[first - 1] == 1))
        run *= x->shape[--first];
    uint32_t run_axes = axes & ~((1u << first) - 1);
    bool trailing = true;
    for (int i = last + 1; i < x->rank; i++)
        trailing = trailing && x->shape[i] == 1;
    if (trailing && run > REDUCE_ROW_LIMIT && first != last) run_axes = 1u << last;
    if (run_axes == axes) return t;
    return reduce_axes(t, reduce_axes(t, t->inputs[0], run_axes), axes & ~run_axes);
}

static soma_tensor *simplest(simplifier *s, soma_tensor *t);

/* What a rule built, nodes from id first on, goes through the rules too; t is the one that is wanted of them. */
static soma_tensor *settle(simplifier *s, soma_tensor *t, int64_t first) {
    const soma_graph *graph = s->b->graph;
    int64_t n = graph->n_nodes - first;
    if (!t || n == 0 || t->id < first) return t;
    soma_tensor **settled = arena_alloc(&s->b->arena, (size_t)n * sizeof *settled);
    if (!settled) return NULL;
    for (int64_t i = 0; i < n; i++) {
        soma_tensor *node = graph->nodes[first + i], *inputs[64], **list = inputs;
        bool changed = false;
        if (node->n_inputs > 64) list = arena_alloc(&s->b->arena, (size_t)node->n_inputs * sizeof *list);
        if (!list) return NULL;
        for (int k = 0; k < node->n_inputs; k++) {
            list[k] = node->inputs[k]->id < first ? node->inputs[k] : settled[node->inputs[k]->id - first];
            changed = changed || list[k] != node->inputs[k];
        }
        if (changed) node = make(s, node, list);
        settled[i] = node ? simplest(s, node) : NULL;
        if (!settled[i]) return NULL;
    }
    return settled[t->id - first];
}

/* Applies the rules until none does. */
static soma_tensor *simplest(simplifier *s, soma_tensor *t) {
    for (int round = 0; t && round < 8; round++) {
        soma_tensor *before = t;
        int64_t first = s->b->graph->n_nodes;
        t = op_max_first(op_compose(t), NULL, 0);
        if (t) t = plan_unroll(t);
        if (t) t = algebra(t);
        if (t) t = views(t);
        if (t) t = permute_last(s, t);
        if (t) t = reductions(t);
        if (t) t = shrink(s, t);
        if (t) t = fold(s, t);
        t = settle(s, t, first);
        if (t == before) break;
    }
    return t ? unique(s, t) : NULL;
}

/* As a tensor, an assign is what it assigns. */
static soma_tensor *value_of(soma_tensor *t) {
    return t->op == &op_assign ? t->inputs[0] : t;
}

/* The node with new inputs, or an equal one that is there: then nobody has seen the new one. */
static soma_tensor *take(simplifier *s, const soma_tensor *old, soma_tensor *const *inputs) {
    build *b = s->b;
    const graph_mark mark = graph_get_mark(b->graph);
    soma_tensor *t = make(s, old, inputs), *known = t && !b->reference ? unique(s, t) : t;
    if (known && known != t) {
        graph_rewind(b->graph, &mark);
        return known;
    }
    if (!known || t->op != &op_constant || b->use_cached || data_bytes(t) == 0) return known;
    void *kept = arena_alloc(&b->plan->arena, data_bytes(t));
    if (!kept) return NULL;
    t->data = memcpy(kept, t->data, data_bytes(t));
    return t;
}

static soma_tensor *copy(simplifier *s, const soma_tensor *old) {
    build *b = s->b;
    if (b->use_cached && old->data && old->op != &op_constant) {
        soma_tensor *t = graph_node(b->graph, &op_constant, NULL, 0, old->dtype, old->rank, old->shape, NULL);
        if (t) t->data = old->data;
        return t;
    }
    soma_tensor *few[8], **inputs = few;
    if (old->n_inputs > 8) inputs = arena_alloc(&b->arena, (size_t)old->n_inputs * sizeof *inputs);
    if (!inputs) return NULL;
    for (int i = 0; i < old->n_inputs; i++)
        inputs[i] = value_of(s->copies[old->inputs[i]->id]);
    soma_tensor *t = take(s, old, inputs);
    return b->reference ? t : simplest(s, t);
}

/* Marks what the targets need, in one sweep from the highest id down. */
static bool *find_needed(build *b, soma_tensor *const *targets, int n, int64_t *highest) {
    int64_t top = -1;
    for (int i = 0; i < n; i++)
        if (targets[i]->id > top) top = targets[i]->id;
    bool *needed = arena_alloc(&b->arena, (size_t)top + 2);
    if (!needed) return NULL;
    for (int i = 0; i < n; i++)
        needed[targets[i]->id] = true;
    const soma_graph *graph = targets[0]->graph;
    for (int64_t id = top; id >= 0; id--) {
        const soma_tensor *t = graph->nodes[id];
        if (!needed[id] || (b->use_cached && t->data)) continue;
        for (int i = 0; i < t->n_inputs; i++)
            needed[t->inputs[i]->id] = true;
    }
    *highest = top;
    return needed;
}

/* Leaves out what rules have replaced; the others get new ids. */
static bool drop_replaced(build *b) {
    int64_t top, n = 0;
    soma_graph *graph = b->graph;
    const bool *needed = find_needed(b, b->targets, b->n_targets, &top);
    for (int64_t id = 0; needed && id < graph->n_nodes; id++) {
        soma_tensor *t = graph->nodes[id];
        const bool kept = id <= top && needed[id];
        t->id = kept ? n : -1;
        if (kept) graph->nodes[n++] = t;
    }
    graph->n_nodes = n;
    return needed;
}

soma_status plan_simplify(build *b, soma_tensor *const *targets, int n) {
    int64_t top, count = 0;
    bool *needed = find_needed(b, targets, n, &top);
    if (!needed) return SOMA_NO_MEMORY;
    for (int64_t id = 0; id <= top; id++)
        count += needed[id];
    simplifier s = {.b = b, .mask = 64};
    while (s.mask < 2 * count)
        s.mask *= 2;
    s.table = arena_alloc(&b->arena, (size_t)s.mask * sizeof *s.table);
    s.mask--;
    s.copies = arena_alloc(&b->arena, (size_t)(top + 1) * sizeof *s.copies);
    if (!s.table || !s.copies) return SOMA_NO_MEMORY;
    const soma_graph *graph = targets[0]->graph;
    const soma_tensor **inputs = arena_alloc(&b->arena, (size_t)(count + 1) * sizeof *inputs);
    int64_t n_inputs = 0;
    if (!inputs) return SOMA_NO_MEMORY;
    for (int64_t id = 0; id <= top; id++) {
        if (!needed[id]) continue;
        s.copies[id] = copy(&s, graph->nodes[id]);
        if (!s.copies[id]) return SOMA_NO_MEMORY;
        if (graph->nodes[id]->op == &op_input && s.copies[id]->op == &op_input) inputs[n_inputs++] = graph->nodes[id];
    }
    b->targets = arena_alloc(&b->arena, (size_t)n * sizeof *b->targets);
    if (!b->targets) return SOMA_NO_MEMORY;
    for (int i = 0; i < n; i++)
        b->targets[i] = s.copies[targets[i]->id];
    b->n_targets = n;
    if (!drop_replaced(b)) return SOMA_NO_MEMORY;
    b->input_of = arena_alloc(&b->arena, (size_t)b->graph->n_nodes * sizeof *b->input_of);
    if (!b->input_of) return SOMA_NO_MEMORY;
    for (int64_t i = 0; i < n_inputs; i++)
        if (s.copies[inputs[i]->id]->id >= 0) b->input_of[s.copies[inputs[i]->id]->id] = inputs[i];
    return SOMA_OK;
}
