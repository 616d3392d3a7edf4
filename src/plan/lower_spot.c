/* Values that are one number all along a row but in one place: a label's one-hot row and what is made of it.
 * Rests on emitter.h. A column's number compared with a value of the row is true in one place (a hit); what is chosen
 * by it is some number everywhere else (a spotted value). Maps of such values cost two numbers a row, a sum of zeros
 * and one number is that number, and where a whole row meets a spotted value, the row is computed with the number and
 * then its one element anew: a cross-entropy over many classes costs what its softmax does. Bits are those of the plain
 * way, since a kernel's result does not depend on where in a vector an element lies. */
#include <math.h>

#include "cpu/reference/element.h"
#include "plan/emitter.h"

/* Only row programs, and products whose epilogues have whole rows anyway. */
static bool has_whole_rows(const emitter *e) {
    if (!e->g->by_rows || e->split > e->rank) return false;
    for (int i = 0; i < e->g->n_members; i++) {
        const soma_tensor *t = e->b->graph->nodes[e->g->members[i]];
        if (t->op->kind == OP_REDUCE && t != e->g->root) return true;
    }
    return false;
}

/* Is y the number of each place in its row? */
static bool counts_columns(const emitter *e, const soma_tensor *y) {
    chain c;
    layout l;
    if (!chain_find(e->b, y, &c) || c.source->op != &op_iota || e->b->infos[c.source->id].role != ROLE_INLINE)
        return false;
    layout_dense(&l, c.source->rank, c.source->shape);
    for (int i = 0; i < c.source->rank; i++)
        l.strides[i] = i == c.source->attributes->axis;
    for (int i = c.n - 1; i >= 0; i--)
        if (!layout_view(&l, c.views[i])) return false;
    if (!layout_reshape(&l, e->rank, e->shape) || l.offset != 0) return false;
    int64_t stride = 1;
    for (int i = e->rank - 1; i >= 0; i--) {
        if (e->shape[i] != 1 && l.strides[i] != (i < e->split ? 0 : stride)) return false;
        if (i >= e->split) stride *= e->shape[i];
    }
    return true;
}

static bool is_zero(const soma_tensor *t) {
    while (t->op->kind == OP_VIEW)
        t = t->inputs[0];
    if (t->op != &op_constant || shape_size(t->rank, t->shape) != 1) return false;
    const double v = element_get(t->dtype, t->data, 0);
    return v >= 0 && v <= 0 && !signbit(v);
}

static bool find_hit(emitter *e, const soma_tensor *t, value *out) {
    for (int i = 0; i < 2; i++) {
        value place;
        if (!counts_columns(e, t->inputs[i])) continue;
        if (!emit_value(e, t->inputs[1 - i], NULL, false, &place) || place.spot || place.kind > ACCESS_ROW ||
            !emit_widen(e, &place, ACCESS_ROW))
            return false;
        *out = (value){.access = -1, .kind = ACCESS_FULL, .spot = SPOT_HIT, .place = place.reg, .zero = -1, .equal = t};
        return true;
    }
    return false;
}

/* One value a row: the element of x, a register of some class, in the row's place; 0 where there is none. */
static bool pick(emitter *e, const value *x, int place, value *out) {
    tile_instruction *in = emit_push(e, INSTRUCTION_PICK, ACCESS_ROW);
    if (!in) return false;
    in->n_arguments = 2;
    in->arguments[0] = x->reg;
    in->arguments[1] = place;
    in->by_rows = x->kind == ACCESS_FULL;
    e->reduces = true;
    *out = (value){.access = -1, .reg = in->dst, .kind = ACCESS_ROW};
    return true;
}

/* The row's element in the place becomes x; `into` is nobody else's. */
static bool put(emitter *e, const value *into, int x, int place) {
    tile_instruction *in = emit_push(e, INSTRUCTION_PUT, ACCESS_ROW);
    if (!in) return false;
    in->dst = into->reg;
    in->n_arguments = 2;
    in->arguments[0] = x;
    in->arguments[1] = place;
    e->reduces = true;
    return true;
}

static bool remember(emitter *e, const soma_tensor *t, int place, const value *v) {
    if (e->n_values == PROGRAM_MAX_REGISTERS) return emit_full(e);
    e->values[e->n_values] = *v;
    e->values[e->n_values].node = t;
    e->values[e->n_values].access = -1;
    e->values[e->n_values].place = place;
    e->values[e->n_values++].picked = true;
    return true;
}

static bool remembered(const emitter *e, const soma_tensor *t, int place, value *out) {
    for (int i = 0; i < e->n_values; i++)
        if (e->values[i].picked && e->values[i].node == t && e->values[i].place == place) {
            *out = e->values[i];
            return true;
        }
    return false;
}

static bool at_place(const value *v, int place, value *out) {
    *out = v->spot ? (value){.access = -1, .reg = v->at, .kind = ACCESS_ROW} : *v;
    return !v->spot || (v->spot == SPOT_VALUE && v->place == place);
}

/* One value a row: y's in the row's place. Of a map that nobody wanted yet, the map of its inputs' there. */
static bool value_there(emitter *e, const soma_tensor *y, int place, value *out) {
    chain c;
    value arguments[3], all;
    if (!chain_find(e->b, y, &c)) return emit_value(e, y, NULL, false, out); /* which says why */
    const soma_tensor *s = c.source;
    const node_info *info = &e->b->infos[s->id];
    const bool whole = !emit_belongs(e, s) || s->op->kind != OP_MAP || s->op->code == CPU_COPY || info->per_row ||
                       info->bfloat || emit_known(e, s);
    if (whole) {
        if (!emit_value(e, y, NULL, false, &all)) return false;
        if (!at_place(&all, place, out) && (!emit_spot_settle(e, &all) || !at_place(&all, place, out))) return false;
        return out->kind < ACCESS_FULL || pick(e, &all, place, out);
    }
    if (remembered(e, s, place, out)) return true;
    for (int i = 0; i < s->n_inputs; i++)
        if (!value_there(e, s->inputs[i], place, &arguments[i])) return false;
    return emit_map(e, s->op->code, s->n_inputs, arguments, out) && remember(e, s, place, out);
}

/* where(hit, x, rest) */
static bool choose(emitter *e, const soma_tensor *t, value *out) {
    value hit, x, rest;
    if (!emit_value(e, t->inputs[0], NULL, false, &hit) || hit.spot != SPOT_HIT) return false;
    if (!emit_value(e, t->inputs[2], NULL, false, &rest) || (rest.spot && !emit_spot_settle(e, &rest))) return false;
    if (!value_there(e, t->inputs[1], hit.place, &x) || !emit_widen(e, &x, ACCESS_ROW)) return false;
    *out = rest;
    if (rest.kind == ACCESS_FULL) return emit_copy(e, out, ACCESS_FULL) && put(e, out, x.reg, hit.place);
    out->spot = SPOT_VALUE;
    out->place = hit.place;
    out->at = x.reg;
    out->zero = rest.kind == ACCESS_UNIFORM && is_zero(t->inputs[2]) ? rest.reg : -1;
    return true;
}

bool emit_spot(emitter *e, const soma_tensor *t, bool per_row, value *out) {
    if (per_row || (t->op != &op_equal && t->op != &op_where) || !has_whole_rows(e)) return false;
    return t->op == &op_equal ? find_hit(e, t, out) : choose(e, t, out);
}

bool emit_spot_settle(emitter *e, value *v) {
    value inputs[2], x = *v;
    if (v->spot == SPOT_VALUE) {
        v->spot = SPOT_NONE;
        return emit_copy(e, v, ACCESS_FULL) && put(e, v, x.at, x.place);
    }
    if (remembered(e, x.equal, -1, v)) return true;
    for (int i = 0; i < 2; i++)
        if (!emit_value(e, x.equal->inputs[i], NULL, false, &inputs[i])) return false;
    return emit_map(e, x.equal->op->code, 2, inputs, v) && remember(e, x.equal, -1, v);
}

bool emit_spot_map(emitter *e, int code, int n, value *arguments, value *out) {
    value elsewhere[3], there[3], one;
    int place = -1;
    bool full = false;
    for (int i = 0; i < n; i++) {
        value *a = &arguments[i];
        if (a->spot && (a->spot == SPOT_HIT || (place >= 0 && place != a->place)) && !emit_spot_settle(e, a))
            return false;
        if (a->spot) place = a->place;
        full = full || (!a->spot && a->kind == ACCESS_FULL);
    }
    const int zero = code == CPU_NEG && place >= 0 ? arguments[0].zero : -1;
    for (int i = 0; i < n; i++) {
        elsewhere[i] = arguments[i];
        elsewhere[i].spot = SPOT_NONE;
        at_place(&arguments[i], place, &there[i]);
        if (there[i].kind == ACCESS_FULL && place >= 0 && !pick(e, &arguments[i], place, &there[i])) return false;
    }
    if (!emit_map(e, code, n, elsewhere, out)) return false;
    if (place < 0) return true;
    if (!emit_map(e, code, n, there, &one) || !emit_widen(e, &one, ACCESS_ROW)) return false;
    if (full) return put(e, out, one.reg, place);
    out->spot = SPOT_VALUE;
    out->place = place;
    out->at = one.reg;
    out->zero = zero;
    return true;
}

bool emit_spot_sum(emitter *e, const value *x, value *out) {
    value arguments[2] = {{.access = -1, .reg = x->at, .kind = ACCESS_ROW},
                          {.access = -1, .reg = x->zero, .kind = ACCESS_UNIFORM}};
    return pick(e, &arguments[0], x->place, &arguments[0]) && emit_map(e, CPU_ADD, 2, arguments, out);
}
