/* Sums of matrix products as one product: A1 B1 + A2 B2 + ... = [A1 A2 ...] [B1; B2; ...].
 * The gradient of a weight that several steps of a sequence or several layers share is such a sum. One deep product
 * runs at twice the speed of many shallow ones, and the result is written once.
 * Rests on the simplified graph, of which it makes a new order, and on placed.c, which computes the parts where they
 * belong; parts that are parts of an array already are read there. Otherwise they are copied, if that costs less than
 * adding up the products does. */
#include <stdlib.h>
#include <string.h>

#include <soma/ops.h>

#include "ops/build.h"
#include "plan/passes.h"

/* Where a value lies as a part of a concatenation along its outermost axis. */
typedef struct part_place {
    soma_tensor *whole; /* NULL: it is no part */
    int64_t offset, n;  /* elements */
} part_place;

/* What is known of the nodes, by id. */
typedef struct nodes {
    build *b;
    int64_t n;             /* nodes that were there before */
    bool reuse;            /* parts of an array may be read there */
    int *uses;             /* by needed nodes, and as targets */
    bool *summed;          /* an addition uses it */
    part_place *places;    /* of values below reshapes */
    soma_tensor **instead; /* what is computed now, or NULL */
    int64_t *stack, *seen; /* of searches: the number of the last one that came by */
    int64_t searches;
} nodes;

/* The terms of one sum. */
typedef struct sum_terms {
    soma_tensor *root, **terms, **others;
    int n, n_others;
} sum_terms;

/* One side of all products: the arrays to be joined along an axis, below a permutation that all of them have. */
typedef struct side {
    soma_tensor **parts;
    const soma_tensor *turned; /* a permute that all have, or NULL */
    int axis;
    part_place *places;
} side;

static soma_tensor *below_reshapes(soma_tensor *t) {
    while (t->op == &op_reshape)
        t = t->inputs[0];
    return t;
}

static void count_uses(nodes *s) {
    const build *b = s->b;
    for (int i = 0; i < b->n_targets; i++)
        s->uses[b->targets[i]->id] += 2; /* never a term */
    for (int64_t id = s->n - 1; id >= 0; id--) {
        const soma_tensor *t = b->graph->nodes[id];
        for (int i = 0; s->uses[id] && i < t->n_inputs; i++) {
            s->uses[t->inputs[i]->id]++;
            s->summed[t->inputs[i]->id] = s->summed[t->inputs[i]->id] || t->op == &op_add;
        }
    }
}

/* Concatenations along the outermost axis. */
static void find_places(nodes *s) {
    for (int64_t id = 0; id < s->n; id++) {
        soma_tensor *t = s->b->graph->nodes[id];
        if (!s->uses[id] || t->op != &op_concat || shape_size(t->attributes->axis, t->shape) != 1) continue;
        int64_t offset = 0;
        for (int i = 0; i < t->n_inputs; i++) {
            int64_t n = shape_size(t->inputs[i]->rank, t->inputs[i]->shape);
            part_place *p = &s->places[below_reshapes(t->inputs[i])->id];
            if (!p->whole) *p = (part_place){t, offset, n};
            offset += n;
        }
    }
}

/* ---- the terms ---- */

/* What one root adds up; n is 0 when there are no two products. */
static soma_status find_terms(nodes *s, soma_tensor *root, sum_terms *out) {
    int64_t depth = 0, count = 0;
    s->stack[depth++] = root->id;
    while (depth > 0) { /* first how many */
        const soma_tensor *t = s->b->graph->nodes[s->stack[--depth]];
        bool inner = t == root || (t->op == &op_add && s->uses[t->id] == 1);
        for (int i = 0; inner && i < 2; i++)
            s->stack[depth++] = t->inputs[i]->id;
        count += !inner;
    }
    *out = (sum_terms){.root = root, .terms = arena_alloc(&s->b->arena, 2 * (size_t)count * sizeof *out->terms)};
    if (!out->terms) return SOMA_NO_MEMORY;
    out->others = out->terms + count;
    s->stack[depth++] = root->id;
    while (depth > 0) {
        soma_tensor *t = s->b->graph->nodes[s->stack[--depth]];
        if (t == root || (t->op == &op_add && s->uses[t->id] == 1)) {
            s->stack[depth++] = t->inputs[1]->id;
            s->stack[depth++] = t->inputs[0]->id;
        } else if (t->op == &op_matmul && s->uses[t->id] == 1) {
            out->terms[out->n++] = t;
        } else {
            out->others[out->n_others++] = t;
        }
    }
    return SOMA_OK;
}

static soma_status find_side(nodes *s, const sum_terms *sum, int k, side *out) {
    const int rank = sum->root->rank;
    *out = (side){.axis = k == 0 ? rank - 1 : rank - 2, .turned = sum->terms[0]->inputs[k]};
    out->parts = arena_alloc(&s->b->arena, (size_t)sum->n * sizeof *out->parts);
    out->places = arena_alloc(&s->b->arena, (size_t)sum->n * sizeof *out->places);
    if (!out->parts || !out->places) return SOMA_NO_MEMORY;
    bool alike = out->turned->op == &op_permute;
    for (int i = 1; alike && i < sum->n; i++) {
        const soma_tensor *t = sum->terms[i]->inputs[k];
        alike = t->op == &op_permute && memcmp(&t->attributes->start, &out->turned->attributes->start,
                                               (size_t)rank * sizeof *t->attributes->start) == 0;
    }
    if (alike) out->axis = (int)out->turned->attributes->start[out->axis];
    if (!alike) out->turned = NULL;
    for (int i = 0; i < sum->n; i++)
        out->parts[i] = alike ? sum->terms[i]->inputs[k]->inputs[0] : sum->terms[i]->inputs[k];
    return SOMA_OK;
}

/* ---- parts of what is there ---- */

/* Does the node need the other one, among nodes from that one on? */
static bool depends(nodes *s, const soma_tensor *from, const soma_tensor *on) {
    int64_t depth = 0;
    s->searches++;
    s->stack[depth++] = from->id;
    while (depth > 0) {
        const soma_tensor *t = s->b->graph->nodes[s->stack[--depth]];
        if (t == on) return true;
        for (int i = 0; i < t->n_inputs; i++) {
            int64_t id = t->inputs[i]->id;
            if (id < on->id || s->seen[id] == s->searches) continue;
            s->seen[id] = s->searches;
            s->stack[depth++] = id;
        }
    }
    return false;
}

/* Are all parts of a side parts of one array, whole rows of it? */
static bool find_whole(nodes *s, const sum_terms *sum, side *x) {
    soma_tensor *whole = NULL;
    for (int i = 0; i < sum->n; i++) {
        const soma_tensor *t = x->parts[i];
        x->places[i] = s->places[below_reshapes(x->parts[i])->id];
        if (i == 0) whole = x->places[0].whole;
        int64_t row = shape_size(t->rank - x->axis - 1, t->shape + x->axis + 1);
        bool rows = row > 0 && x->places[i].offset % row == 0 && shape_size(x->axis, t->shape) == 1;
        rows = rows && whole && shape_size(whole->rank, whole->shape) % row == 0;
        if (!rows || x->places[i].whole != whole) return false;
    }
    return s->reuse && !depends(s, whole, sum->root);
}

typedef struct place_of_term {
    int64_t offset;
    int term;
} place_of_term;

static int compare_places(const void *a, const void *b) {
    const place_of_term *x = a, *y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Brings the terms into the order of a side's places. */
static soma_status sort_terms(nodes *s, sum_terms *sum, side *sides, const side *by) {
    place_of_term *order = arena_alloc(&s->b->arena, (size_t)sum->n * sizeof *order);
    struct {
        soma_tensor *parts[2];
        part_place places[2];
    } *old = arena_alloc(&s->b->arena, (size_t)sum->n * sizeof *old);
    if (!order || !old) return SOMA_NO_MEMORY;
    for (int i = 0; i < sum->n; i++) {
        order[i] = (place_of_term){by->places[i].offset, i};
        for (int k = 0; k < 2; k++) {
            old[i].parts[k] = sides[k].parts[i];
            old[i].places[k] = sides[k].places[i];
        }
    }
    qsort(order, (size_t)sum->n, sizeof *order, compare_places);
    for (int i = 0; i < sum->n; i++)
        for (int k = 0; k < 2; k++) {
            sides[k].parts[i] = old[order[i].term].parts[k];
            sides[k].places[i] = old[order[i].term].places[k];
        }
    return SOMA_OK;
}

/* Does each part begin where the one before ends? */
static bool in_a_row(const side *x, int n) {
    for (int i = 1; i < n; i++)
        if (x->places[i].offset != x->places[i - 1].offset + x->places[i - 1].n) return false;
    return true;
}

/* ---- is it worth it? ---- */

/* Elements that a new array of the parts would have to copy: what cannot be computed in its place. */
static int64_t copied(const nodes *s, const side *x, int n) {
    int64_t elements = 0;
    for (int i = 0; i < n; i++) {
        const soma_tensor *t = x->parts[i], *source = below_reshapes(x->parts[i]);
        const op_kind kind = source->op->kind;
        bool made = kind == OP_MAP || kind == OP_CONTRACT || kind == OP_REDUCE || source->op == &op_concat;
        bool rows = shape_size(x->axis, t->shape) == 1;
        bool again = s->places[source->id].whole || (i > 0 && source == below_reshapes(x->parts[i - 1]));
        if (!made || !rows || again) elements += shape_size(t->rank, t->shape);
    }
    return elements;
}

/* Adding a product up reads and writes all of the sum; a copy reads and writes, and what was in the caches as each
 * product ran is read from memory once more. */
static bool is_gain(const sum_terms *sum, const side *sides, int64_t copies) {
    const soma_tensor *t = sum->root;
    int64_t read = 0;
    for (int i = 0; i < sum->n; i++)
        for (int k = 0; k < 2; k++)
            read += shape_size(sides[k].parts[i]->rank, sides[k].parts[i]->shape);
    return 2 * copies + read <= 2 * (sum->n - 1) * shape_size(t->rank, t->shape);
}

/* ---- the new nodes ---- */

static soma_tensor *join(const side *x, int n, bool lies) {
    const soma_tensor *like = x->parts[0];
    soma_tensor *all;
    if (lies) {
        soma_tensor *whole = x->places[0].whole;
        int64_t shape[SOMA_MAX_RANK], first[SOMA_MAX_RANK] = {0}, step[SOMA_MAX_RANK];
        int64_t row = shape_size(like->rank - x->axis - 1, like->shape + x->axis + 1), elements = 0;
        memcpy(shape, like->shape, sizeof shape);
        for (int i = 0; i < like->rank; i++)
            step[i] = 1;
        for (int i = 0; i < n; i++)
            elements += x->places[i].n;
        shape[x->axis] = shape_size(whole->rank, whole->shape) / row;
        all = soma_reshape(whole, like->rank, shape);
        first[x->axis] = x->places[0].offset / row;
        shape[x->axis] = elements / row;
        if (all) all = op_slice_box(all, first, shape, step);
    } else {
        all = soma_concat(x->parts, n, x->axis);
    }
    return all && x->turned ? op_apply(NULL, &op_permute, &all, 1, x->turned->attributes) : all;
}

/* What is computed instead of the root; the root itself where that would be no gain, NULL when out of memory. */
static soma_tensor *rewrite(nodes *s, soma_tensor *root) {
    sum_terms sum;
    side sides[2];
    bool lies[2];
    if (find_terms(s, root, &sum) != SOMA_OK) return NULL;
    if (sum.n < 2) return root;
    for (int k = 0; k < 2; k++) {
        if (find_side(s, &sum, k, &sides[k]) != SOMA_OK) return NULL;
        lies[k] = find_whole(s, &sum, &sides[k]);
    }
    if ((lies[0] || lies[1]) && sort_terms(s, &sum, sides, &sides[lies[1]]) != SOMA_OK) return NULL;
    int64_t copies = 0;
    for (int k = 0; k < 2; k++) {
        lies[k] = lies[k] && in_a_row(&sides[k], sum.n);
        if (!lies[k]) copies += copied(s, &sides[k], sum.n);
    }
    if (!is_gain(&sum, sides, copies)) return root;
    soma_tensor *ab[2] = {join(&sides[0], sum.n, lies[0]), join(&sides[1], sum.n, lies[1])};
    soma_tensor *y = ab[0] && ab[1] ? op_apply(NULL, &op_matmul, ab, 2, NULL) : NULL;
    for (int i = 0; y && i < sum.n_others; i++)
        y = soma_add(y, sum.others[i]);
    return y;
}

/* ---- the graph in a new order ---- */

static soma_tensor *now(const nodes *s, soma_tensor *t) {
    return t->id < s->n && s->instead[t->id] ? s->instead[t->id] : t;
}

enum { MARK_NEEDED = 1, MARK_OPEN, MARK_DONE };

static void mark_needed(nodes *s, char *marks) {
    int64_t depth = 0;
    for (int i = 0; i < s->b->n_targets; i++) {
        s->stack[depth++] = now(s, s->b->targets[i])->id;
        while (depth > 0) {
            const soma_tensor *t = s->b->graph->nodes[s->stack[--depth]];
            if (marks[t->id]) continue;
            marks[t->id] = MARK_NEEDED;
            for (int k = 0; k < t->n_inputs; k++)
                if (!marks[now(s, t->inputs[k])->id]) s->stack[depth++] = now(s, t->inputs[k])->id;
        }
    }
}

typedef struct visit {
    soma_tensor *node;
    int next;
} visit;

/* Appends the node after its inputs; false when one of them needs the node itself. */
static bool append(nodes *s, soma_tensor *t, visit *stack, char *marks, soma_tensor **order, int64_t *n) {
    int64_t depth = 0;
    if (marks[t->id] != MARK_NEEDED) return true;
    marks[t->id] = MARK_OPEN;
    stack[depth++] = (visit){t, 0};
    while (depth > 0) {
        visit *v = &stack[depth - 1];
        if (v->next == v->node->n_inputs) {
            marks[v->node->id] = MARK_DONE;
            order[(*n)++] = v->node;
            depth--;
            continue;
        }
        soma_tensor *input = now(s, v->node->inputs[v->next++]);
        if (marks[input->id] == MARK_OPEN) return false;
        if (marks[input->id] == MARK_DONE) continue;
        marks[input->id] = MARK_OPEN;
        stack[depth++] = (visit){input, 0};
    }
    return true;
}

/* Puts what is computed now in the place of what was, every node after its inputs. *again: parts of an array need the
 * sum that would read them there, by way of another such sum. */
static soma_status reorder(nodes *s, bool *again) {
    build *b = s->b;
    const size_t all = (size_t)b->graph->n_nodes;
    char *marks = arena_alloc(&b->arena, all);
    visit *stack = arena_alloc(&b->arena, all * sizeof *stack);
    soma_tensor **order = arena_alloc(&b->arena, all * sizeof *order);
    const soma_tensor **input_of = arena_alloc(&b->arena, all * sizeof *input_of);
    if (!marks || !stack || !order || !input_of) return SOMA_NO_MEMORY;
    int64_t n = 0;
    mark_needed(s, marks);
    for (int64_t id = 0; id < s->n; id++)
        if (!append(s, now(s, b->graph->nodes[id]), stack, marks, order, &n)) {
            *again = true;
            return SOMA_OK;
        }
    for (int i = 0; i < b->n_targets; i++)
        b->targets[i] = now(s, b->targets[i]);
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < order[i]->n_inputs; k++)
            order[i]->inputs[k] = now(s, order[i]->inputs[k]);
    for (int64_t i = 0; i < n; i++) {
        if (order[i]->op == &op_input) input_of[i] = b->input_of[order[i]->id];
        order[i]->id = i;
        b->graph->nodes[i] = order[i];
    }
    b->graph->n_nodes = n;
    b->input_of = input_of;
    return SOMA_OK;
}

static bool prepare(nodes *s) {
    arena *a = &s->b->arena;
    size_t n = (size_t)s->n + 1;
    s->places = arena_alloc(a, n * sizeof *s->places);
    s->instead = arena_alloc(a, n * sizeof *s->instead);
    s->seen = arena_alloc(a, n * sizeof *s->seen);
    if (!s->places || !s->instead || !s->seen) return false;
    find_places(s);
    return true;
}

/* An addition of products that no other addition takes in. */
static bool is_root(const nodes *s, int64_t id) {
    const soma_tensor *t = s->b->graph->nodes[id];
    return t->op == &op_add && s->uses[id] > 0 && !(s->uses[id] == 1 && s->summed[id]) && dtype_is_float(t->dtype);
}

soma_status plan_sums(build *b) {
    nodes s = {.b = b, .n = b->graph->n_nodes};
    size_t inputs = 2;
    for (int64_t id = 0; id < s.n; id++)
        inputs += (size_t)b->graph->nodes[id]->n_inputs;
    s.uses = arena_alloc(&b->arena, (size_t)s.n * sizeof *s.uses + 1);
    s.summed = arena_alloc(&b->arena, (size_t)s.n + 1);
    s.stack = arena_alloc(&b->arena, 2 * inputs * sizeof *s.stack);
    if (!s.uses || !s.summed || !s.stack) return SOMA_NO_MEMORY;
    count_uses(&s);
    for (s.reuse = true;; s.reuse = false) {
        bool changed = false, again = false;
        for (int64_t id = 0; id < s.n; id++) {
            if (!is_root(&s, id)) continue;
            if (!s.places && !prepare(&s)) return SOMA_NO_MEMORY;
            soma_tensor *root = b->graph->nodes[id], *made = rewrite(&s, root);
            if (!made) return SOMA_NO_MEMORY;
            s.instead[id] = made == root ? NULL : made;
            changed = changed || made != root;
        }
        if (!changed) return SOMA_OK;
        TRY(reorder(&s, &again));
        if (!again) return SOMA_OK;
    }
}
