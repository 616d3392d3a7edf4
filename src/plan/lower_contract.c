/* Contractions: where A, B and C lie, and how the product is cut into tiles, blocks and parts, by its size alone. Every
 * element is one sum in the order of k however it is cut, so a row has the same bits alone and among others; only the
 * parts of a deep k are sums of their own, and how many there are depends on k and n. Rests on axes.c for operands that
 * are views, on lower_program.c for the epilogue. An operand whose strides a kernel cannot follow is packed by a step
 * of its own (B) or computed into memory first. */
#include <string.h>

#include "plan/passes.h"

/* What both operands are, before a form is chosen for them. */
typedef struct operands {
    build *b;
    const soma_tensor *node; /* the matmul */
    chain from[2];
    fine_axes axes[2];
    int n_batch; /* batch axes, cut so fine that both operands have one stride for each */
    int64_t batch_shape[CONTRACT_AXES], strides[2][CONTRACT_AXES];
    bool shared; /* one B for all batches */
    bool bfloat[2];
    const soma_tensor *pad; /* that A sees, and that is not there, where no transform leaves it out; else NULL */
    contract_padding padding;
    winograd winograd;
    int b_rows, b_columns;
    const fine_axis *b_row, *b_column;
} operands;

static soma_status block(operands *o, const soma_tensor *culprit) {
    o->b->blocker = culprit;
    return SOMA_UNSUPPORTED;
}

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
    if (found && winograd_find(&o->axes[0], t->shape[t->rank - 1], real, &o->winograd)) return true;
    above.n = 0;
    while (above.n < o->from[0].n && above.views[above.n]->op != &op_pad)
        above.n++;
    if (above.n == o->from[0].n) return found;
    *blocker = o->pad = above.source = above.views[above.n];
    above.offset = 0;
    return chain_find(o->b, o->pad->inputs[0], &below) && padding_find(o->pad, &below, &o->padding) &&
           axes_find(&above, t->inputs[0], &o->axes[0], blocker);
}

static soma_status find_operands(operands *o, const cpu_real *real) {
    const soma_tensor *t = o->node;
    for (int i = 0; i < 2; i++) {
        const soma_tensor *blocker = t->inputs[i];
        if (!chain_find(o->b, t->inputs[i], &o->from[i])) return block(o, blocker);
        if (i == 0 ? !find_left(o, real, &blocker) : !axes_find(&o->from[1], t->inputs[1], &o->axes[1], &blocker))
            return block(o, blocker);
    }
    if (!join_batch(o)) return block(o, t->inputs[0]);
    for (int i = 0; i < 2; i++)
        o->bfloat[i] = o->b->infos[o->from[i].source->id].bfloat;
    o->b_rows = axes_of(&o->axes[1], t->rank - 2, &o->b_row);
    o->b_columns = axes_of(&o->axes[1], t->rank - 1, &o->b_column);
    return SOMA_OK;
}

enum {
    STACK_ROWS = 56 /* that share an epilogue: enough to pay for its start, few enough for L1 */,
    DEPTH_PACKED = 1024,
    DEPTH_LEAST = 256,
    COPIED_BYTES = 2400000 /* of A, in a block that copies B */,
    PIECE_ELEMENTS = 65536 /* of a piece of a product that is deeper than DEPTH_MAX, of A and B */,
    DEPTH_MAX = 2047,
    DEPTH_PART = 1024 /* at least, of a part of k */,
    BLOCK_ELEMENTS = 36864 /* of C in L2 */,
    UNITS = 16 /* that threads can share */,
    SHALLOW = 64 /* k of a product of which a unit's start is a good part */,
    PART_FLOPS = 2000000,
    INSIDE_ELEMENTS = 65536 /* of B that stay in L2 while all rows of A pass */,
    TOGETHER_ROWS = 8 /* of a matrix, that an epilogue takes by themselves */,
    LONG_EPILOGUE = 12 /* instructions */,
    LONG_UNITS = 8 /* of a long epilogue, that threads can share */,
    ROWS_B_BYTES = 524288 /* of B in L2, where rows are finished as wholes */,
    ROWS_PACKED = 64 /* rows that are worth a B packed by each thread */,
    ROWS_ELEMENTS = 8192 /* of C, of the rows of a unit */,
    ROWS_UNITS = 8 /* of whole rows, that threads can share */,
    FINISH_ELEMENTS = 1024 /* of an epilogue's start, in L1 */,
    WIDENED_COLUMNS = 32,
    WIDENED_LEAST = 16 /* multiply-adds an element that is converted for them */
};

/* ---- B ---- */

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

enum { PLAIN_ROWS = 2, ROW_VECTORS = 16 /* of a unit */, PARTS_PANELS = 16 };

/* Is k summed in parts? How many there are, and so what is rounded, depends on k and n alone. */
static bool has_parts(const contract *c, const cpu_real *real) {
    return c->k > DEPTH_MAX && c->n <= PARTS_PANELS * real->lanes * real->vectors;
}

/* So few rows of C, with evenly spaced elements of A, that they go one by one. */
static bool few_rows(const operands *o, const contract *c, int64_t most) {
    const fine_axis *axis;
    int rank = o->node->rank, simple = axes_of(&o->axes[0], rank - 1, &axis) <= 1;
    simple = simple && axes_of(&o->axes[0], rank - 2, &axis) <= 1;
    return simple && !o->bfloat[0] && !o->pad && (o->shared ? c->m * c->batch : c->m) <= most;
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

enum { LYING_PANELS = 4 };

/* B as it lies is as good as panels if its rows are contiguous, short enough to keep their places in the caches, and
 * followed by something that may be read: the last vector of a row may reach beyond it. */
static bool use_lying(const operands *o, const contract *c, const plan_storage *s, const cpu_real *real) {
    if (o->b_rows > 1 || o->b_columns > 1 || c->k == 0) return false;
    if (o->b_columns == 1 && o->b_column->stride != 1) return false;
    int64_t row = o->b_rows ? o->b_row->stride : c->n, most = LYING_PANELS * c->width;
    bool owned = s->kind == STORAGE_ARENA || s->kind == STORAGE_VARIABLE;
    return c->n <= most && row <= most && row >= 0 && (owned || c->n % real->lanes == 0);
}

enum {
    INSIDE_PANELS = 4,
    INSIDE_PANEL = 32768 /* elements, that stay in L2 */,
    INSIDE_SMALL = 8192,
    LARGE = 200000,
    LARGE_COPIED = 300000,
    COPIED_ROWS = 256 /* of a large product, that are worth a copy of B by each block */
};

static bool is_large(const contract *c, int64_t rows, int64_t most, const cpu_real *real) {
    bool large = c->k > 1024 || rows * c->k > most;
    return large && !has_parts(c, real) && c->segments == 1 && rows > 2 * real->rows && c->n > 4 * c->width;
}

/* A panel's first tile may pack it where it can read B as it lies. */
static bool may_copy(const pack_step *p) {
    return !p->source_width && p->column_stride == 1 && p->segments == 1 && !p->bfloat;
}

/* Where k goes in pieces, B's part of a piece is read by many tiles: from panels in the first cache, which the first of
 * them packs on its way. */
static bool copies_pieces(const operands *o, const contract *c, const cpu_real *real) {
    return has_parts(c, real) && !c->winograd.on && o->shared && c->m * c->batch >= ROWS_PACKED && c->n > real->lanes &&
           o->b_rows <= 1 && o->b_columns == 1 && o->b_column->stride == 1;
}

/* Each thread packs what it reads, just before: where nobody else reads it, and few others pack the same panel. */
static bool pack_inside(const operands *o, const contract *c, const pack_step *p, const cpu_real *real) {
    int64_t rows = o->shared ? c->m * c->batch : c->m, panels = (c->n + c->width - 1) / c->width;
    if (copies_pieces(o, c, real) && may_copy(p)) return true;
    if (o->b->uses[o->node->inputs[1]->id] != 1 && !p->bfloat) return false;
    if (is_large(c, rows, may_copy(p) ? LARGE_COPIED : LARGE, real)) return may_copy(p) && rows >= COPIED_ROWS;
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
        if (o->b_rows > 2 || o->b_columns > 1) return block(o, o->node->inputs[1]);
        p.column_stride = o->b_columns ? o->b_column->stride : 1;
        p.row_stride = o->b_rows ? o->b_row[o->b_rows - 1].stride : 1;
        if (o->b_rows == 2) {
            p.segments = o->b_row[0].extent;
            p.segment_stride = o->b_row[0].stride;
            p.rows = o->b_row[1].extent;
        }
        if (p.column_stride != 1 && p.row_stride != 1) return block(o, o->node->inputs[1]);
        for (int i = 0; !o->shared && i < o->n_batch; i++) {
            if (p.batch_rank == SOMA_MAX_RANK) return block(o, o->node->inputs[1]);
            p.batch_shape[p.batch_rank] = o->batch_shape[i];
            p.batch_strides[p.batch_rank++] = o->strides[1][i];
            p.batch *= o->batch_shape[i];
        }
    }
    c->right = p;
    c->pack_b = !c->winograd.on && pack_inside(o, c, &p, real);
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
static bool use_rows(const operands *o, contract *c, const plan_storage *s) {
    layout l = {.rank = 2, .offset = o->axes[1].offset, .shape = {c->k, c->n}};
    panel_place place;
    if (o->n_batch > 0 || o->b_rows > 1 || o->b_columns > 1 || c->n != s->columns || s->width != c->width) return false;
    l.strides[0] = o->b_rows ? o->b_row->stride : c->n;
    l.strides[1] = o->b_columns ? o->b_column->stride : 1;
    if (!layout_in_panels(&l, s->rows, s->columns, s->width, &place)) return false;
    if (place.rows < c->k) {
        if (c->slab_rank > 0 || (c->segments > 1 && c->run != place.rows)) return false;
        if (c->segments == 1) c->a_segment = place.rows * c->a_col;
        c->run = place.rows;
        c->segments = c->k / c->run;
        c->b_segment = place.matrix / c->width;
    }
    c->b_offset = place.offset;
    c->b_row = c->width;
    c->b_panel = place.panel;
    return true;
}

/* Is B the transpose of a matrix that lies in panels? */
static bool is_transposed(const operands *o, const contract *c, const plan_storage *s) {
    return s->rows == c->n && s->columns == c->k && o->axes[1].offset == 0 && o->b_rows <= 1 && o->b_columns <= 1 &&
           (!o->b_rows || o->b_row->stride == 1) && (!o->b_columns || o->b_column->stride == s->columns);
}

static soma_status lower_right(operands *o, contract *c, const cpu_real *real) {
    int source = storage_of(o->b, o->from[1].source);
    if (source < 0) return SOMA_NO_MEMORY;
    const plan_storage *s = &o->b->plan->storages[source];
    c->width = c->n > real->lanes ? real->lanes * real->vectors : real->lanes;
    c->b = source;
    if (s->width) {
        bool straight = s->rows == c->k && s->columns == c->n && (c->n == 1 || o->b_column->stride == 1);
        straight = straight && o->axes[1].offset == 0;
        if (!straight && !c->winograd.on && use_rows(o, c, s)) return SOMA_OK;
        if (!straight && !is_transposed(o, c, s)) return block(o, o->node->inputs[1]);
        if (s->width != c->width || !straight) return lower_packed(o, c, source, real);
        set_panels(c, o, real);
        return SOMA_OK;
    }
    bool plain = use_plain(o, c), lying = !copies_pieces(o, c, real) && use_lying(o, c, s, real);
    if (o->bfloat[1] || (!plain && !lying)) return lower_packed(o, c, source, real);
    c->b_offset = o->axes[1].offset;
    c->b_row = o->b_rows ? o->b_row->stride : 0;
    c->b_panel = c->width;
    if (plain) set_row_by_row(c, real, 2 * real->lanes);
    return SOMA_OK;
}

/* ---- A ---- */

/* Batches and rows as few axes; the last that has one B is the rows of a matrix, or `even` of them, as C has them in a
 * row where it lies between other parts of an array: tiles are then stored straight there. */
static bool set_rows(operands *o, contract *c, int64_t even) {
    const fine_axis *rows;
    int n = 0, count = axes_of(&o->axes[0], o->node->rank - 2, &rows);
    for (int i = 0; i < o->n_batch + count; i++) {
        bool batch = i < o->n_batch;
        int64_t extent = batch ? o->batch_shape[i] : rows[i - o->n_batch].extent;
        int64_t a = batch ? o->strides[0][i] : rows[i - o->n_batch].stride, b = batch ? o->strides[1][i] : 0;
        if (n > 0 && c->a_batch[n - 1] == a * extent && c->b_batch[n - 1] == b * extent) {
            extent *= c->batch_shape[--n];
        } else if (n == CONTRACT_AXES)
            return false;
        c->batch_shape[n] = extent;
        c->a_batch[n] = a;
        c->b_batch[n++] = b;
    }
    c->m = c->inner = c->batch = 1;
    if (n > 0 && c->b_batch[n - 1] == 0) {
        c->m = c->batch_shape[--n];
        c->a_row = c->a_batch[n];
        if (c->m > even && c->m % even == 0) {
            c->batch_shape[n] = c->m / even;
            c->a_batch[n++] = even * c->a_row;
            c->m = even;
        }
    }
    for (int i = n - 1; i >= 0; i--) {
        if (c->b_batch[i] == 0 && c->batch == c->inner) c->inner *= c->batch_shape[i];
        c->batch *= c->batch_shape[i];
    }
    c->batch_rank = n;
    return true;
}

/* k from the innermost axis outwards: a run, segments, slabs. */
static void set_depth(const operands *o, contract *c) {
    const fine_axis *list;
    int n = axes_of(&o->axes[0], o->node->rank - 1, &list);
    c->run = n > 0 ? list[n - 1].extent : 1;
    c->a_col = n > 0 ? list[n - 1].stride : 1;
    c->segments = n > 1 ? list[n - 2].extent : 1;
    c->a_segment = n > 1 ? list[n - 2].stride : 0;
    for (int i = 0; i < n - 2; i++) {
        c->slab_shape[i] = list[i].extent;
        c->a_slab[i] = list[i].stride;
        c->slab_rank++;
    }
}

/* Is what a few rows of A are converted from, an element for so many multiply-adds, little beside the product? The
 * same at all instruction sets, for on it depends what is rounded. */
static bool widening_pays(const contract *c) {
    const int64_t all = c->batch * c->m, rows = minimum(STACK_ROWS, all), columns = minimum(c->n, WIDENED_COLUMNS);
    const bool even = (c->a_col == 1 && c->segments == 1 && c->slab_rank == 0) || (c->a_row == 1 && rows <= c->m);
    int64_t first = 0, last = 0, depth = (c->run - 1) * c->a_col + (c->segments - 1) * c->a_segment;
    for (int i = 0; i < c->slab_rank; i++)
        depth += (c->slab_shape[i] - 1) * c->a_slab[i];
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = r % c->m * c->a_row, index = r / c->m;
        for (int i = c->batch_rank - 1; i >= 0; i--, index /= c->batch_shape[i + 1])
            at += index % c->batch_shape[i] * c->a_batch[i];
        first = minimum(first, at);
        last = at > last ? at : last;
    }
    const int64_t converted = even ? rows * c->k : last - first + depth + 1;
    return WIDENED_LEAST * converted <= rows * c->k * (columns < WIDENED_LEAST ? WIDENED_LEAST : columns);
}

/* A matrix in panels, whose rows lie close together there: k is cut into runs of a panel's width. */
static bool use_left_panels(contract *c, const plan_storage *s) {
    layout l = {.rank = 2, .offset = c->a_offset, .shape = {c->m, c->k}, .strides = {c->a_row, c->a_col}};
    panel_place place;
    if (c->batch > 1 || c->segments > 1 || c->slab_rank > 0 || c->k % s->width != 0) return false;
    if (!layout_in_panels(&l, s->rows, s->columns, s->width, &place) || place.rows != c->m) return false;
    c->a_offset = place.offset;
    c->a_row = c->run = s->width;
    c->segments = c->k / s->width;
    c->a_segment = place.panel;
    return true;
}

/* How many rows of C follow each other evenly, if it lies between other parts of an array, and they are as many as a
 * tile should have. */
static int64_t even_rows(const build *b, const group *g, const cpu_real *real) {
    const layout *where = NULL;
    for (int i = 0; i < g->n_members; i++)
        if (b->infos[g->members[i]].within) where = b->infos[g->members[i]].placed;
    if (!where || where->rank < g->split) return INT64_MAX;
    int64_t rows = 1, stride = 0;
    for (int i = g->split - 1; i >= 0; i--) {
        if (where->shape[i] != g->shape[i]) return INT64_MAX;
        if (g->shape[i] == 1) continue;
        if (rows > 1 && where->strides[i] != stride) break;
        rows *= g->shape[i];
        stride = where->strides[i] * g->shape[i];
    }
    return 2 * rows > real->rows ? rows : INT64_MAX;
}

static soma_status lower_left(operands *o, contract *c, int64_t even) {
    c->a = storage_of(o->b, o->from[0].source);
    if (c->a < 0) return SOMA_NO_MEMORY;
    c->a_offset = o->axes[0].offset;
    c->widen = o->bfloat[0];
    c->padding = o->padding;
    const plan_storage *s = &o->b->plan->storages[c->a];
    if (c->winograd.on) return s->width ? block(o, o->node->inputs[0]) : SOMA_OK;
    if (!set_rows(o, c, even)) return block(o, o->node->inputs[0]);
    if (s->width && (o->pad || !use_left_panels(c, s))) return block(o, o->pad ? o->pad : o->node->inputs[0]);
    if (!c->b_segment) c->b_segment = c->run;
    c->b_segment *= c->b_row;
    if (c->m == 1 && c->a_col != 1) c->a_row = 1;
    c->make_left = c->widen || o->pad;
    if (c->widen && !widening_pays(c)) o->b->infos[o->from[0].source->id].exact = o->b->again = true;
    return c->a_col == 1 || c->a_row == 1 ? SOMA_OK : block(o, o->node->inputs[0]);
}

/* ---- tiles, blocks, parts ---- */

static int64_t parts_of(int64_t n, int64_t most) {
    return n > most ? (n + most - 1) / most : 1;
}

static int64_t even_parts(int64_t n, int64_t most) {
    int64_t parts = parts_of(n, most);
    return n > 0 ? (n + parts - 1) / parts : 1;
}

/* k in pieces of about `depth`: parts of a run, or some segments. */
static void set_pieces(contract *c, int64_t depth) {
    c->piece_segments = c->segments;
    c->piece_run = c->run;
    if (c->run * c->segments > depth) c->piece_segments = c->run < depth ? even_parts(c->segments, depth / c->run) : 1;
    if (c->piece_segments == 1) c->piece_run = even_parts(c->run, depth);
    c->segment_pieces = parts_of(c->segments, c->piece_segments);
    c->run_pieces = parts_of(c->run, c->piece_run);
    c->pieces = c->segment_pieces * c->run_pieces;
    for (int i = 0; i < c->slab_rank; i++)
        c->pieces *= c->slab_shape[i];
}

enum { SET_BYTES = 4096, COLLIDING_ROWS = 64 };

/* Rows of A that lie in the same few sets of the first cache push each other out; enough of them that packing pays. */
static bool rows_collide(const contract *c, int64_t rows) {
    const int64_t stride = c->a_row * (int64_t)(c->dtype == SOMA_F64 ? 8 : 4);
    return c->a_col == 1 && c->segments == 1 && stride != 0 && stride % SET_BYTES == 0 && rows >= COLLIDING_ROWS &&
           c->k >= DEPTH_LEAST / 2 && c->n > 4 * c->width;
}

/* Products that outgrow the caches pack A by blocks of rows: few of them where each copies B, so that a tile of many
 * does, and A comes from the third cache. */
static void set_packed_blocks(contract *c) {
    c->blocked = c->pack_a = true;
    set_pieces(c, DEPTH_PACKED);
    const int64_t tile = c->tile_rows * c->piece_segments * c->piece_run * (c->dtype == SOMA_F64 ? 8 : 4);
    const int64_t most = c->pack_b ? minimum(COPIED_BYTES / tile, (c->tiles + 1) / 2) : 8;
    c->block_tiles = even_parts(c->tiles, most < 1 ? 1 : most);
    c->block_panels = c->pieces == 1 ? 1 : minimum(c->panels, 512 / c->width);
}

/* A few panels of a deep product are summed in parts: how many, and where they begin, depends on k and n alone. */
static void set_parts(contract *c, const cpu_real *real) {
    c->parts = 1;
    set_pieces(c, INT64_MAX);
    if (!has_parts(c, real)) return;
    const int64_t panels = parts_of(c->n, real->lanes * real->vectors);
    c->parts = minimum(parts_of(UNITS, minimum(panels, UNITS / 2)), c->k / DEPTH_PART);
    set_pieces(c, DEPTH_LEAST);
}

/* Deep products of few elements: C in L2, k piece by piece. Parts are units of their own if there would be too few to
 * share: of a gradient for weights, the thread that has the first rows of a batch has written what the first part
 * reads. */
static void set_deep_blocks(contract *c, bool collide) {
    c->blocked = true;
    c->pack_a = collide;
    c->block_panels = even_parts(c->panels, 8);
    int64_t tiles = BLOCK_ELEMENTS / (c->block_panels * c->width * c->tile_rows);
    c->block_tiles = even_parts(c->tiles, tiles < 1 ? 1 : tiles);
    int64_t depth = PIECE_ELEMENTS / (c->block_tiles * c->tile_rows + c->block_panels * c->width);
    if (c->parts == 1) set_pieces(c, depth < DEPTH_LEAST ? DEPTH_LEAST : minimum(depth, DEPTH_PACKED));
    int64_t units = c->batch / c->inner * c->panels * parts_of(c->tiles, c->block_tiles);
    double flops = 2.0 * (double)(c->batch * c->m * c->n) * (double)c->k;
    c->parts_apart = c->parts > 1 && units < UNITS && flops >= (double)c->parts * PART_FLOPS;
}

/* Tiles as tall as the kernels have them, even over m. */
static void set_tiles(contract *c, const cpu_real *real) {
    if (c->winograd.on) {
        winograd_cut(c, real);
        return;
    }
    set_parts(c, real);
    c->panels = parts_of(c->n, c->width);
    c->vectors = c->width / real->lanes;
    c->last_vectors = (c->n - (c->panels - 1) * c->width + real->lanes - 1) / real->lanes;
    if (c->row_by_row) {
        c->tile_rows = c->m;
        c->stack = 1;
        return;
    }
    int64_t rows = c->inner * c->m, outer = c->batch / c->inner;
    c->tile_rows = even_parts(c->m, real->rows);
    c->tiles = c->inner * parts_of(c->m, c->tile_rows);
    int64_t all = c->tiles * c->panels * outer, most = STACK_ROWS / minimum(c->tile_rows, STACK_ROWS);
    c->stack = all >= 64 ? most : all >= 32 ? minimum(2, most) : 1;
    c->stack = even_parts(c->tiles, c->stack);
    c->panels_inside = c->panels > 1 && !c->pack_b && c->k * c->n <= INSIDE_ELEMENTS && rows * c->k > INSIDE_ELEMENTS;
    const bool collide = rows_collide(c, rows);
    if (c->parts == 1 && (collide || is_large(c, rows, c->pack_b ? LARGE_COPIED : LARGE, real)))
        set_packed_blocks(c);
    else if (c->k > DEPTH_MAX)
        set_deep_blocks(c, collide);
    c->blocks = c->blocked ? parts_of(c->tiles, c->block_tiles) : parts_of(c->tiles, c->stack);
}

/* Does B stay in L2, and are there rows enough for a team? */
static bool rows_pay(int64_t depth, int64_t columns, soma_dtype dtype, int64_t tiles) {
    return depth <= DEPTH_MAX && depth * columns * (int64_t)soma_dtype_size(dtype) <= ROWS_B_BYTES &&
           tiles >= ROWS_UNITS;
}

bool contract_takes_rows(const build *b, const group *g) {
    const cpu_real *real = g->dtype == SOMA_F64 ? &b->plan->kernels->f64 : &b->plan->kernels->f32;
    if (g->kind != GROUP_CONTRACT) return false;
    const soma_tensor *t = g->root;
    const int64_t n = t->shape[t->rank - 1], tiles = shape_size(t->rank - 1, t->shape) / real->rows;
    return n > real->lanes * real->vectors && rows_pay(t->inputs[0]->shape[t->rank - 1], n, t->dtype, tiles);
}

/* Whole rows at a time: where the epilogue reduces them, and, with rows enough for a team, where it reads or stores
 * arrays beside the product. Arrays in panels are walked panel by panel. */
static void set_whole_rows(contract *c, const cpu_real *real) {
    const tile_program *p = &c->epilogue;
    const int64_t rows = c->inner * c->m, outer = c->batch / c->inner;
    bool wanted = c->panels > 1 && c->direct < 0 && !c->row_by_row && c->parts == 1 &&
                  rows_pay(c->k, c->panels * c->width, c->dtype, outer * c->tiles) &&
                  (!c->pack_b || rows >= ROWS_PACKED);
    for (int i = 0; i < p->n_accesses; i++)
        wanted = wanted && !p->accesses[i].width;
    c->whole_rows = wanted || (p->whole_rows && c->panels > 1);
    if (!c->whole_rows) return;
    c->blocked = c->pack_a = false;
    c->parts = 1;
    set_pieces(c, INT64_MAX);
    c->c_row = (c->panels - 1) * c->width + c->last_vectors * real->lanes;
    if (!c->row_by_row) {
        c->stack = minimum(STACK_ROWS, ROWS_ELEMENTS / c->c_row) / c->tile_rows;
        c->stack = minimum(c->stack, outer * c->tiles / ROWS_UNITS);
        c->stack = even_parts(c->tiles, c->stack < 1 ? 1 : c->stack);
        c->blocks = parts_of(c->tiles, c->stack);
    }
    c->finish_rows = FINISH_ELEMENTS / c->c_row;
    if (c->finish_rows < 1) c->finish_rows = 1;
    if (p->block < c->finish_rows * c->c_row) c->epilogue.block = c->finish_rows * c->c_row;
}

/* Rows of C that are no whole vectors may be written in their place in order, each one's tail under what is written
 * next, if a tile has no longer tail than the shortest one behind it. */
static bool tails_fit(const contract *c, const cpu_real *real) {
    if (c->direct < 0 || !c->epilogue.accesses[c->direct].dense || c->panels > 1 || c->pieces > 1) return false;
    const int64_t rest = c->m % c->tile_rows, least = rest ? rest : c->tile_rows;
    return (1 + least) * c->n >= c->last_vectors * real->lanes;
}

/* Starting a unit takes as long as a few steps of k: where these are few, and no epilogue follows, units are larger. */
static void set_shallow(contract *c) {
    if (c->direct < 0 || c->blocked || c->k > SHALLOW) return;
    const int64_t most = c->tiles * c->panels * (c->batch / c->inner) / (2 * UNITS);
    if (most <= c->stack) return;
    c->stack = even_parts(c->tiles, most);
    c->blocks = parts_of(c->tiles, c->stack);
    const int64_t tile = c->stack * c->tile_rows * c->width; /* a last panel that is not whole vectors is copied */
    if (c->epilogue.block < tile) c->epilogue.block = tile;
}

/* What shares an epilogue. A long one is started for as many tiles as it may be, where panels are enough for a team;
 * arrays in panels are used where they lie matrix by matrix, but a few rows are copied as cheaply. */
static void set_shared(contract *c) {
    const tile_program *p = &c->epilogue;
    const int64_t most = STACK_ROWS / minimum(c->tile_rows, STACK_ROWS);
    if (c->row_by_row) return;
    if (p->n_instructions >= LONG_EPILOGUE && c->panels * (c->batch / c->inner) >= LONG_UNITS && !c->blocked)
        c->stack = even_parts(c->tiles, most);
    for (int i = 0; i < p->n_accesses; i++) {
        const tile_access *a = &p->accesses[i];
        if (a->width && a->matrix_rows != p->space.rows && a->matrix_rows >= TOGETHER_ROWS)
            c->together = c->together ? minimum(c->together, a->matrix_rows) : a->matrix_rows;
    }
    if (c->together >= c->m) c->stack = minimum(c->stack, c->tiles / c->inner);
    if (!c->blocked) c->blocks = parts_of(c->tiles, c->stack);
}

static void set_epilogue(contract *c, const cpu_real *real) {
    if (c->winograd.on) {
        winograd_cut_epilogue(c);
        return;
    }
    set_shared(c);
    int64_t tile = c->stack * c->tile_rows * c->width;
    tile_program *p = &c->epilogue;
    if (p->block < tile) p->block = tile;
    c->direct = -1;
    if (p->n_instructions == 1 && p->instructions[0].kind == INSTRUCTION_STORE && !c->row_by_row && c->parts == 1) {
        const tile_access *a = &p->accesses[p->instructions[0].access];
        const int last = p->space.row_rank - 1; /* a tile's rows are even; a block's must be */
        bool even = last <= 0 || (!c->blocked && p->space.row_shape[last] % c->m == 0);
        if (even && !a->width && a->dtype == c->dtype && a->column_stride == 1) c->direct = p->instructions[0].access;
    }
    c->tails = tails_fit(c, real);
    if (c->direct >= 0 && c->pack_a) c->block_panels = c->panels; /* the sums are in C: A is packed once */
    c->narrow =
        !c->row_by_row && c->direct < 0 && !c->blocked && c->pieces == 1 && c->panels == 1 && 2 * c->n <= c->width;
    for (int i = 0; i < p->n_accesses; i++)
        c->narrow = c->narrow && !p->accesses[i].width;
    set_whole_rows(c, real);
    set_shallow(c);
}

/* What need not be multiplied, and what need not be computed; kernels round to whole tiles. */
static void set_bands(const build *b, const group *g, contract *c) {
    const soma_tensor *t = g->root, *a = t->inputs[0];
    const bool simple = c->segments == 1 && !c->slab_rank && !c->row_by_row;
    if (!simple || c->m != t->shape[t->rank - 2]) return;
    const band zeros = band_of_zeros(b, a), wanted = band_wanted(b, g, t);
    c->a_low = zeros.low;
    c->a_high = zeros.high;
    c->c_low = wanted.low;
    c->c_high = wanted.high;
    c->banded = zeros.high < c->k - 1 || zeros.low > 1 - c->m || wanted.high < c->n - 1 || wanted.low > 1 - c->m;
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
    if (!c->parts_apart && !c->winograd.on) return SOMA_OK;
    const int64_t elements = c->winograd.on ? winograd_partial(c) : c->parts * c->panels * c->batch * c->m * c->width;
    plan_storage partial = {.kind = STORAGE_ARENA, .dtype = c->dtype, .elements = elements};
    c->partial = storage_add(b, &partial);
    return c->partial < 0 ? SOMA_NO_MEMORY : SOMA_OK;
}

soma_status lower_contract(build *b, int index) {
    const soma_tensor *t = b->groups[index].root;
    const cpu_real *real = t->dtype == SOMA_F64 ? &b->plan->kernels->f64 : &b->plan->kernels->f32;
    operands *o = arena_alloc(&b->arena, sizeof *o);
    if (!o) return SOMA_NO_MEMORY;
    o->b = b;
    o->node = t;
    contract c;
    memset(&c, 0, sizeof c);
    c.dtype = t->dtype;
    c.m = t->shape[t->rank - 2];
    c.n = t->shape[t->rank - 1];
    c.k = t->inputs[0]->shape[t->rank - 1];
    c.batch = shape_size(t->rank - 2, t->shape);
    TRY(find_operands(o, real));
    c.winograd = o->winograd;
    if (!c.winograd.on) set_depth(o, &c);
    TRY(lower_right(o, &c, real));
    TRY(lower_left(o, &c, even_rows(b, &b->groups[index], real)));
    set_tiles(&c, real);
    TRY(lower_program(b, index, PART_WHOLE, t, NULL, NULL, &c.epilogue));
    set_epilogue(&c, real);
    set_bands(b, &b->groups[index], &c);
    c.copy_b = c.pack_b && may_copy(&c.right) && !c.whole_rows && (c.blocked || c.pieces == 1) && !c.banded &&
               c.vectors == real->vectors;
    TRY(add_partial(b, &c));
    plan_step *s = step_add(b, STEP_CONTRACT);
    if (!s) return SOMA_NO_MEMORY;
    s->as.contract = c;
    s->flops = 2.0 * (double)(c.batch * c.m * c.n) * (double)c.k;
    if (c.banded) s->flops *= band_share(c.m, c.k, c.a_low, c.a_high) * band_share(c.m, c.n, c.c_low, c.c_high);
    s->bytes = (double)b->plan->storages[c.a].bytes + (double)b->plan->storages[c.b].bytes;
    step_count(b, s, &c.epilogue);
    step_set_parallel(s);
    s->barrier_inside = s->parallel && c.partial >= 0;
    return SOMA_OK;
}
