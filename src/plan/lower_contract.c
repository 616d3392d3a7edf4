/* Contractions: what both operands are as axes of their arrays, and what becomes of them: A and B in the forms that
 * lower_left.c and lower_right.c find, the product cut as lower_tiles.c says, the bands that need not be computed.
 * Rests on axes.c for operands that are views, on lower_program.c for the epilogue. An operand whose strides a kernel
 * cannot follow is packed by a step of its own (B) or computed into memory first. */
#include <string.h>

#include "plan/lower_contract.h"

/* Batch axes as both operands need them. */
static bool join_batch(operands *o) {
    o->shared = true;
    for (int i = 0; i < o->node->rank - 2; i++) {
        const fine_axis *list[2];
        fine_axis left[2] = {{.extent = 1}, {.extent = 1}};
        int n[2], at[2] = {0, 0};
        for (int s = 0; s < 2; s++)
            n[s] = axes_of(&o->axes[s], i, &list[s]);
        while (at[0] < n[0] || at[1] < n[1] || left[0].extent > 1) {
            for (int s = 0; s < 2; s++)
                if (left[s].extent == 1) left[s] = list[s][at[s]++];
            int64_t extent = minimum(left[0].extent, left[1].extent);
            if (o->n_batch == CONTRACT_AXES || left[0].extent % extent != 0 || left[1].extent % extent != 0)
                return false;
            o->batch_shape[o->n_batch] = extent;
            for (int s = 0; s < 2; s++) {
                left[s].extent /= extent;
                o->strides[s][o->n_batch] = left[s].stride * left[s].extent;
            }
            o->shared = o->shared && o->strides[1][o->n_batch] == 0;
            o->n_batch++;
        }
    }
    return true;
}

/* A's axes; where it sees padding that no transform leaves out, over the array with its padding, as if that was there.
 */
static bool find_left(operands *o, const cpu_real *real, const soma_tensor **blocker) {
    const soma_tensor *t = o->node;
    chain above = o->from[0], below;
    const bool found = axes_find(&above, t->inputs[0], &o->axes[0], blocker);
    if (found && winograd_find(&o->axes[0], t->shape[t->rank - 1], real, &o->image.winograd)) return true;
    above.n = 0;
    while (above.n < o->from[0].n && above.views[above.n]->op != &op_pad)
        above.n++;
    if (above.n == o->from[0].n) return found;
    *blocker = o->pad = above.source = above.views[above.n];
    const bool bfloat = o->b->infos[o->from[0].source->id].bfloat;
    if (found && !bfloat && edges_find(&o->axes[0], t, real, &o->image.edges)) return true;
    above.offset = 0;
    return chain_find(o->b, o->pad->inputs[0], &below) && padding_find(o->pad, &below, &o->image.padding) &&
           axes_find(&above, t->inputs[0], &o->axes[0], blocker);
}

/* A matrix in panels, whose rows lie close together there, is one whose k is cut into runs of their width. */
static bool use_left_panels(operands *o, const plan_storage *s) {
    const soma_tensor *y = o->node->inputs[0];
    const panel_stack stack = {s->rows, s->columns, s->width};
    panel_place place;
    if (o->pad || o->image.winograd.on || !left_in_panels(&o->from[0], y, &stack, &place)) return false;
    o->axes[0] = (fine_axes){.offset = place.offset,
                             .rank = 2,
                             .ends = {1, 3},
                             .list = {{.extent = y->shape[0], .stride = s->width},
                                      {.extent = y->shape[1] / s->width, .stride = place.panel},
                                      {.extent = s->width, .stride = 1}}};
    return true;
}

static soma_status find_operands(operands *o, const cpu_real *real) {
    const soma_tensor *t = o->node;
    for (int i = 0; i < 2; i++) {
        const soma_tensor *blocker = t->inputs[i];
        if (!chain_find(o->b, t->inputs[i], &o->from[i])) return operands_block(o, blocker);
        if (i == 0 ? !find_left(o, real, &blocker) : !axes_find(&o->from[1], t->inputs[1], &o->axes[1], &blocker))
            return operands_block(o, blocker);
    }
    const int left = storage_of(o->b, o->from[0].source);
    if (left < 0) return SOMA_NO_MEMORY;
    const plan_storage *s = &o->b->plan->storages[left];
    if (s->width && !use_left_panels(o, s)) return operands_block(o, o->pad ? o->pad : t->inputs[0]);
    if (!join_batch(o)) return operands_block(o, t->inputs[0]);
    for (int i = 0; i < 2; i++)
        o->bfloat[i] = o->b->infos[o->from[i].source->id].bfloat;
    o->b_rows = axes_of(&o->axes[1], t->rank - 2, &o->b_row);
    o->b_columns = axes_of(&o->axes[1], t->rank - 1, &o->b_column);
    return SOMA_OK;
}

/* What need not be multiplied, and what need not be computed; kernels round to whole tiles. */
static void set_bands(const build *b, const group *g, contract *c) {
    const soma_tensor *t = g->root, *a = t->inputs[0];
    const tile_program *p = &c->epilogue;
    const bool simple = c->segments == 1 && !c->slab_rank && !c->row_by_row && !c->image->edges.on;
    if (!simple || c->m != t->shape[t->rank - 2]) return;
    const band zeros = band_of_zeros(b, a), wanted = band_wanted(b, g, t);
    c->a_low = zeros.low;
    c->a_high = zeros.high;
    c->c_low = wanted.low;
    c->c_high = wanted.high;
    c->banded = zeros.high < c->k - 1 || zeros.low > 1 - c->m || wanted.high < c->n - 1 || wanted.low > 1 - c->m;
    c->ends = c->whole_rows && wanted.high < c->n - 1 && band_ends(b, g, wanted.high);
    for (int i = 0; i < p->n_accesses; i++) { /* zeros are stored in runs, whole rows of them */
        const tile_access *x = &p->accesses[i];
        c->ends = c->ends && (x->kind != ACCESS_FULL || (x->column_stride == 1 && !x->width));
    }
    for (int i = 0; i < p->n_instructions; i++) /* a column that is picked may be any */
        c->ends = c->ends && p->instructions[i].kind != INSTRUCTION_PICK;
    if (!c->ends) return;
    c->stack = 1; /* so that a unit's rows end at nearly the same column */
    c->blocks = c->tiles;
}

/* The share of the elements of a matrix that lie in a band. */
static double band_share(int64_t rows, int64_t columns, int64_t low, int64_t high) {
    int64_t n = 0;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t first = i + low > 0 ? i + low : 0, last = minimum(i + high, columns - 1);
        n += last >= first ? last - first + 1 : 0;
    }
    return (double)n / (double)(rows * columns);
}

static soma_status add_partial(build *b, contract *c) {
    c->partial = -1;
    if (!c->parts_apart && !c->image->winograd.on) return SOMA_OK;
    const int64_t elements =
        c->image->winograd.on ? winograd_partial(c) : c->parts * c->panels * c->batch * c->m * c->width;
    if (elements == 0) return SOMA_OK;
    plan_storage partial = {.kind = STORAGE_ARENA, .dtype = c->dtype, .elements = elements};
    c->partial = storage_add(b, &partial);
    return c->partial < 0 ? SOMA_NO_MEMORY : SOMA_OK;
}

/* What is nothing is one for all, which nobody writes. */
static const contract_image *keep_image(build *b, const contract_image *image) {
    static const contract_image none;
    if (!image->winograd.on && !image->edges.on && image->padding.rank == 0) return &none;
    contract_image *kept = arena_alloc(&b->plan->arena, sizeof *kept);
    return kept ? memcpy(kept, image, sizeof *kept) : NULL;
}

soma_status lower_contract(build *b, int index) {
    const soma_tensor *t = b->groups[index].root;
    const cpu_real *real = cpu_real_of(b->plan->kernels, t->dtype);
    operands o = {.b = b, .node = t};
    contract *c = arena_alloc(&b->plan->arena, sizeof *c);
    if (!c) return SOMA_NO_MEMORY;
    c->dtype = t->dtype;
    c->m = t->shape[t->rank - 2];
    c->n = t->shape[t->rank - 1];
    c->k = t->inputs[0]->shape[t->rank - 1];
    c->batch = shape_size(t->rank - 2, t->shape);
    TRY(find_operands(&o, real));
    c->image = &o.image; /* until all of it is known */
    if (!c->image->winograd.on) left_set_depth(&o, c);
    TRY(lower_right(&o, c, real));
    TRY(lower_left(&o, c, &b->groups[index]));
    contract_cut(c, &o.image, real);
    TRY(lower_program(b, index, PART_WHOLE, t, NULL, NULL, &c->epilogue));
    contract_cut_epilogue(c, &o.image, real);
    set_bands(b, &b->groups[index], c);
    c->copy_b = c->pack_b && right_may_copy(&c->right) && !c->whole_rows && (c->blocked || c->pieces == 1) &&
                !c->banded && !c->image->edges.on && c->vectors == real->vectors;
    c->image = keep_image(b, &o.image);
    if (!c->image) return SOMA_NO_MEMORY;
    TRY(add_partial(b, c));
    plan_step *s = step_add(b, STEP_CONTRACT);
    if (!s) return SOMA_NO_MEMORY;
    s->as.contract = c;
    s->flops = 2.0 * (double)(c->batch * c->m * c->n) * (double)c->k;
    if (c->banded)
        s->flops *= band_share(c->m, c->k, c->a_low, c->a_high) * band_share(c->m, c->n, c->c_low, c->c_high);
    s->bytes = (double)b->plan->storages[c->a].bytes + (double)b->plan->storages[c->b].bytes;
    step_count(b, s, &c->epilogue);
    step_set_parallel(s);
    if (!c->blocked && !c->image->winograd.on) s->parallel = s->parallel && contract_units(c) > 1;
    s->barrier_inside = s->parallel && c->partial >= 0;
    return SOMA_OK;
}
