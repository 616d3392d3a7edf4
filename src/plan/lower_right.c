/* The right operand of a contraction: in panels, as it lies, or packed. A stack of matrices may lie in panels already;
 * short contiguous rows are as good; the rest is packed by a step of its own, or by each thread as it goes.
 * Rests on axes.c and on lower_tiles.c for what a packed panel is worth. */
#include <string.h>

#include "plan/lower_contract.h"

enum {
    PLAIN_ROWS = 2,
    ROW_VECTORS = 16 /* of a unit */,
    LYING_PANELS = 4,
    INSIDE_PANELS = 4,
    INSIDE_PANEL = 32768 /* elements, that stay in L2 */,
    INSIDE_SMALL = 8192,
    COPIED_ROWS = 256 /* of a large product, that are worth a copy of B by each block */
};

static bool pack_equal(const pack_step *a, const pack_step *b) {
    pack_step x = *a, y = *b;
    x.destination = y.destination = x.before = y.before = 0;
    return memcmp(&x, &y, sizeof x) == 0;
}

/* The packed form of a strided operand: one made in this run already, or a new step. */
static soma_status pack_right(build *b, const pack_step *wanted, int *destination) {
    soma_plan *plan = b->plan;
    int *last = &b->infos[wanted->node->id].pack;
    for (int i = *last; i >= 0; i = plan->steps[i].as.pack.before)
        if (pack_equal(&plan->steps[i].as.pack, wanted)) {
            *destination = plan->steps[i].as.pack.destination;
            return SOMA_OK;
        }
    int64_t panels = (wanted->columns + wanted->width - 1) / wanted->width, rows = wanted->segments * wanted->rows;
    plan_storage made = {.kind = STORAGE_ARENA,
                         .dtype = wanted->dtype,
                         .elements = wanted->batch * panels * rows * wanted->width,
                         .width = wanted->width,
                         .rows = rows,
                         .columns = wanted->columns};
    *destination = storage_add(b, &made);
    plan_step *s = *destination < 0 ? NULL : step_add(b, STEP_PACK);
    if (!s) return SOMA_NO_MEMORY;
    memcpy(&s->as.pack, wanted, sizeof *wanted);
    s->as.pack.destination = *destination;
    s->as.pack.before = *last;
    *last = plan->n_steps - 1;
    s->bytes = (double)plan->storages[*destination].bytes * 2;
    s->text = arena_printf(&plan->arena, "pack %s(%lld,%lld)", wanted->source_width ? "transposed " : "",
                           (long long)rows, (long long)wanted->columns);
    step_set_parallel(s);
    return SOMA_OK;
}

/* So few rows of C have one B, with evenly spaced elements of A, that they go one by one. */
static bool few_rows(const operands *o, const contract *c, int64_t most) {
    const fine_axis *axis;
    int rank = o->node->rank, simple = axes_of(&o->axes[0], rank - 1, &axis) <= 1;
    int64_t rows = c->m;
    for (int i = o->n_batch - 1; i >= 0 && o->strides[1][i] == 0; i--)
        rows *= o->batch_shape[i];
    simple = simple && axes_of(&o->axes[0], rank - 2, &axis) <= 1;
    return simple && !o->bfloat[0] && !o->pad && rows <= most;
}

/* Few rows of C and B's rows contiguous: packing would read and write B once more than the product reads it. */
static bool use_plain(const operands *o, const contract *c) {
    if (c->n == 1 || o->b_rows > 1 || o->b_columns != 1 || o->b_column->stride != 1) return false;
    return few_rows(o, c, PLAIN_ROWS);
}

/* One row of tiles would wait for its sums; side by side, several panels don't. */
static void set_row_by_row(contract *c, const cpu_real *real, int64_t pair) {
    c->row_by_row = true;
    c->width = ROW_VECTORS * real->lanes;
    c->b_pair = pair;
    c->b_panel = ROW_VECTORS / 2 * pair;
}

/* The panels of one matrix after the other, or the same for all. */
static void set_panels(contract *c, operands *o, const cpu_real *real) {
    c->b_row = c->width;
    c->b_panel = c->k * c->width;
    int64_t matrix = (c->n + c->width - 1) / c->width * c->b_panel;
    for (int i = o->n_batch - 1; i >= 0; i--) {
        o->strides[1][i] = o->shared ? 0 : matrix;
        matrix *= o->batch_shape[i];
    }
    if (few_rows(o, c, 1)) set_row_by_row(c, real, c->b_panel);
}

/* B as it lies is as good as panels if its rows are contiguous, short enough to keep their places in the caches, and
 * followed by something that may be read: the last vector of a row may reach beyond it. */
static bool use_lying(const operands *o, const contract *c, const plan_storage *s, const cpu_real *real) {
    if (o->b_rows > 1 || o->b_columns > 1 || c->k == 0) return false;
    if (o->b_columns == 1 && o->b_column->stride != 1) return false;
    int64_t row = o->b_rows ? o->b_row->stride : c->n, most = LYING_PANELS * c->width;
    bool owned = s->kind == STORAGE_ARENA || s->kind == STORAGE_VARIABLE;
    return c->n <= most && row <= most && row >= 0 && (owned || c->n % real->lanes == 0);
}

bool right_may_copy(const pack_step *p) {
    return !p->source_width && p->column_stride == 1 && p->segments == 1 && !p->bfloat;
}

/* Where k goes in pieces, B's part of a piece is read by many tiles: from panels in the first cache, which the first of
 * them packs on its way. */
static bool copies_pieces(const operands *o, const contract *c, const cpu_real *real) {
    return contract_has_parts(c, real) && !c->image->winograd.on && o->shared && c->m * c->batch >= ROWS_PACKED &&
           c->n > real->lanes && o->b_rows <= 1 && o->b_columns == 1 && o->b_column->stride == 1;
}

/* Each thread packs what it reads, just before: where nobody else reads it, and few others pack the same panel. */
static bool pack_inside(const operands *o, const contract *c, const pack_step *p, const cpu_real *real) {
    int64_t rows = o->shared ? c->m * c->batch : c->m, panels = (c->n + c->width - 1) / c->width;
    if (copies_pieces(o, c, real) && right_may_copy(p)) return true;
    if (o->b->uses[o->node->inputs[1]->id] != 1 && !p->bfloat) return false;
    if (contract_is_large(c, rows, right_may_copy(p), real)) return right_may_copy(p) && rows >= COPIED_ROWS;
    if (c->k > DEPTH_MAX) return p->segments == 1 && !p->source_width;
    if (!o->shared) panels *= c->batch;
    return c->k * c->width <= (panels >= INSIDE_PANELS ? INSIDE_PANEL : INSIDE_SMALL);
}

/* Packed by a step before, or panel by panel: a run of rows, or several. */
static soma_status lower_packed(operands *o, contract *c, int source, const cpu_real *real) {
    const plan_storage *s = &o->b->plan->storages[source];
    pack_step p;
    memset(&p, 0, sizeof p);
    p.source = source;
    p.node = o->from[1].source;
    p.dtype = c->dtype;
    p.columns = c->n;
    p.width = c->width;
    p.batch = p.segments = 1;
    p.offset = o->axes[1].offset;
    p.rows = c->k;
    p.source_width = s->width;
    p.bfloat = o->bfloat[1];
    if (!s->width) {
        if (o->b_rows > 2 || o->b_columns > 1) return operands_block(o, o->node->inputs[1]);
        p.column_stride = o->b_columns ? o->b_column->stride : 1;
        p.row_stride = o->b_rows ? o->b_row[o->b_rows - 1].stride : 1;
        if (o->b_rows == 2) {
            p.segments = o->b_row[0].extent;
            p.segment_stride = o->b_row[0].stride;
            p.rows = o->b_row[1].extent;
        }
        if (p.column_stride != 1 && p.row_stride != 1) return operands_block(o, o->node->inputs[1]);
        for (int i = 0; !o->shared && i < o->n_batch; i++) {
            if (p.batch_rank == SOMA_MAX_RANK) return operands_block(o, o->node->inputs[1]);
            p.batch_shape[p.batch_rank] = o->batch_shape[i];
            p.batch_strides[p.batch_rank++] = o->strides[1][i];
            p.batch *= o->batch_shape[i];
        }
    }
    c->right = p;
    c->pack_b = !c->image->winograd.on && pack_inside(o, c, &p, real);
    if (c->pack_b) {
        c->b_offset = p.offset;
        c->b_row = c->width;
        return SOMA_OK;
    }
    TRY(pack_right(o->b, &p, &c->b));
    set_panels(c, o, real);
    return SOMA_OK;
}

/* Rows of a matrix that lies in panels, or of several, of which each is a run of k. */
static void set_rows_in_panels(contract *c, const panel_place *place) {
    if (place->rows < c->k) {
        if (c->segments == 1) c->a_segment = place->rows * c->a_col;
        c->run = place->rows;
        c->segments = c->k / c->run;
        c->b_segment = place->matrix / c->width;
    }
    c->b_offset = place->offset;
    c->b_row = c->width;
    c->b_panel = place->panel;
}

static soma_status lower_panels(operands *o, contract *c, const plan_storage *s, const cpu_real *real) {
    const soma_tensor *y = o->node->inputs[1];
    const panel_stack stack = {s->rows, s->columns, s->width};
    panel_place place;
    const right_form form = right_in_panels(&o->from[1], y, &o->axes[0], &stack, &place);
    if (form == RIGHT_TRANSPOSED) return lower_packed(o, c, c->b, real);
    if (form == RIGHT_NOT || (form == RIGHT_ROWS && (c->image->winograd.on || o->image.edges.places)))
        return operands_block(o, y);
    if (form == RIGHT_STACK)
        set_panels(c, o, real);
    else
        set_rows_in_panels(c, &place);
    return SOMA_OK;
}

soma_status lower_right(operands *o, contract *c, const cpu_real *real) {
    int source = storage_of(o->b, o->from[1].source);
    if (source < 0) return SOMA_NO_MEMORY;
    const plan_storage *s = &o->b->plan->storages[source];
    c->width = panel_width(real, c->n);
    c->b = source;
    if (s->width) return lower_panels(o, c, s, real);
    bool plain = use_plain(o, c),
         lying = (o->image.edges.places || !copies_pieces(o, c, real)) && use_lying(o, c, s, real);
    if (o->bfloat[1] || (!plain && !lying)) return lower_packed(o, c, source, real);
    c->b_offset = o->axes[1].offset;
    c->b_row = o->b_rows ? o->b_row->stride : 0;
    c->b_panel = c->width;
    if (plain) set_row_by_row(c, real, 2 * real->lanes);
    return SOMA_OK;
}
