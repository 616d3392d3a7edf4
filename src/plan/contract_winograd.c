/* Convolutions of 3 x 3 places by Winograd's transforms, and the gradients for their weights.
 * Rests on contract_frame.h and on kernels_winograd.h. Some strips of tiles at a time become 36 planes in the
 * thread's memory; what is summed over the channels (or, for a gradient, over the tiles) is 36 small products by
 * the tile kernels, each element one chain in order, so a sample has the same bits in every batch. A gradient's tiles
 * are cut into parts by their number alone, whose sums are added in order. */
#include <string.h>

#include "base/context_internal.h"
#include "plan/contract_frame.h"

enum { TILE = WINOGRAD_TILE, SEEN = WINOGRAD_SEEN, PLANES = WINOGRAD_PLANES };

/* A strip: whose sample's, which row of tiles, and which tiles of it. */
typedef struct strip {
    int64_t sample, row, first, tiles;
} strip;

static size_t align_up(int64_t elements, const contract *c) {
    return (((size_t)elements * soma_dtype_size(c->dtype) + 63) & ~(size_t)63) + PROGRAM_PAD;
}

/* Elements of a row of places, of which a strip sees six. */
static int64_t row_elements(const winograd *w) {
    return (w->places[1] + 1) * w->stride[1] + w->channels;
}

void winograd_prepare(contract *c) {
    const winograd *w = &c->image->winograd;
    const int64_t rows = (w->weights ? 9 : 1) * w->rows, sums = w->weights ? PLANES * (w->rows * c->width + 16) : 0;
    c->left_at = align_up(rows * c->panels * c->width, c);
    c->packed_at = c->left_at + (c->widen ? align_up(SEEN * row_elements(w), c) : 0);
    c->panel_at = c->packed_at + align_up(PLANES * w->plane_a, c) +
                  (w->own_kernel ? align_up(c->panels * PLANES * w->plane_b, c) : 0);
    c->scratch_at = c->panel_at + align_up(sums > PLANES * w->plane_c ? sums : PLANES * w->plane_c, c);
    c->scratch_bytes = c->scratch_at + align_up(0, c) + ((program_scratch(&c->epilogue) + 63) & ~(size_t)63);
}

static strip strip_at(const winograd *w, int64_t index) {
    const int64_t piece = index % w->pieces, row = index / w->pieces;
    strip s = {.sample = row / w->tiles[0], .row = row % w->tiles[0], .first = w->tiles[1] * piece / w->pieces};
    s.tiles = w->tiles[1] * (piece + 1) / w->pieces - s.first;
    return s;
}

/* Its results: rows and places of a row, and the first one's row of C. */
static int64_t strip_rows(const winograd *w, const strip *s) {
    return minimum(TILE, w->places[0] - TILE * s->row);
}

static int64_t strip_places(const winograd *w, const strip *s) {
    return minimum(TILE * s->tiles, w->places[1] - TILE * s->first);
}

static int64_t strip_result(const winograd *w, const strip *s) {
    return (s->sample * w->places[0] + TILE * s->row) * w->places[1] + TILE * s->first;
}

/* Where the first place that a strip sees would lie, of rows first .. last-1 of those six that are there: in the array,
 * or made float32 for as far as the strip sees them; *row: from one to the next. */
static const char *seen_places(const frame *f, const strip *s, int64_t first, int64_t last, int64_t *row) {
    const contract *c = f->c;
    const winograd *w = &c->image->winograd;
    const int64_t column = TILE * s->first, step = w->stride[1];
    const int64_t at = s->sample * w->sample + TILE * s->row * w->stride[0] + column * step;
    *row = w->stride[0];
    if (!c->widen) return f->a + at * f->size;
    *row = row_elements(w);
    const int64_t begin = column > w->low[1] ? column : w->low[1];
    const int64_t end = minimum(column + TILE * s->tiles + 2, w->high[1]), skip = (begin - column) * step;
    const uint16_t *from = (const uint16_t *)f->runner->plan->bases[c->a] + c->a_offset + at + skip;
    for (int64_t k = first; k < last && end > begin; k++)
        f->real->load[SOMA_BF16](f->left + k * *row * f->size, from + k * w->stride[0], 1,
                                 (end - begin - 1) * step + w->channels);
    return f->left - skip * f->size;
}

/* The planes of what strips first .. first+count-1 see; returns their tiles. */
static int64_t transform_seen(const frame *f, int64_t first, int64_t count, char *planes) {
    const winograd *w = &f->c->image->winograd;
    int64_t tiles = 0, step;
    for (int64_t i = first; i < first + count; i++) {
        const strip s = strip_at(w, i);
        const int64_t row = TILE * s.row, column = TILE * s.first;
        const int64_t from = row < w->low[0] ? w->low[0] - row : 0, end = minimum(SEEN, w->high[0] - row);
        const char *src = seen_places(f, &s, from, end, &step);
        f->real->winograd_x(planes + tiles * w->channels * f->size, w->plane_a, w->channels, src, step, w->stride[1],
                            from, end, w->low[1] - column, w->high[1] - column, s.tiles, w->channels);
        tiles += s.tiles;
    }
    return tiles;
}

/* Rows of C through the epilogue: a panel of them, or all columns where rows are whole. */
static void finish(frame *f, char *sums, int64_t panel, int64_t row, int64_t rows) {
    const contract *c = f->c;
    const int64_t columns = c->whole_rows ? c->n : minimum(c->width, c->n - panel * c->width);
    for (int64_t i = 0; i < rows; i += c->finish_rows) {
        f->registers->at[0] = sums + i * c->c_row * f->size;
        program_run(&c->epilogue, f->runner, f->scratch, f->registers, row + i, minimum(c->finish_rows, rows - i),
                    c->whole_rows ? 0 : panel * c->width, columns, c->c_row);
    }
}

/* What is soon read or stored, asked for while products are computed: in between, memory would be idle. */
enum { SPANS = 12, SPARSE = 5 /* one of so many elements is the epilogue's own: a pool's of 2 x 2, or all of them */ };

typedef struct ahead {
    int n;
    struct span {
        const char *from, *end;
    } spans[SPANS];
} ahead;

/* Spans that meet become one: the parts of an array that lie between each other. */
static void ask(ahead *a, const char *from, int64_t bytes) {
    const char *end = from + bytes;
    int k = 0;
    while (k < a->n && (from > a->spans[k].end || end < a->spans[k].from))
        k++;
    if (k == SPANS) return;
    if (k == a->n) a->spans[a->n++] = (struct span){from, end};
    if (from < a->spans[k].from) a->spans[k].from = from;
    if (end > a->spans[k].end) a->spans[k].end = end;
}

/* Part i of the products. */
static void fetch_ahead(const ahead *a, int64_t i) {
    for (int k = 0; k < a->n; k++)
        fetch_part(a->spans[k].from, a->spans[k].end - a->spans[k].from, i, PLANES);
}

/* What the group reads whose first strip is `next`: the places that it is the first to see, which follow each other in
 * most arrays; what is not there does no harm. */
static void ask_group(const frame *f, int64_t next, ahead *a) {
    const contract *c = f->c;
    const winograd *w = &c->image->winograd;
    if (!w->far || next >= w->strips) return;
    const strip s = strip_at(w, next);
    const int64_t row = s.row == 0 ? w->low[0] : TILE * s.row + 2, column = TILE * s.first + w->low[1];
    const int64_t size = c->widen ? (int64_t)sizeof(uint16_t) : f->size;
    ask(a,
        (const char *)f->runner->plan->bases[c->a] +
            (c->a_offset + s.sample * w->sample + row * w->stride[0] + column * w->stride[1]) * size,
        TILE * w->group * w->stride[0] * size);
    if (w->weights)
        ask(a, f->b + strip_result(w, &s) * c->b_row * f->size, TILE * w->group * w->places[1] * c->b_row * f->size);
}

/* What the epilogue reads and stores for some rows of C, where these follow each other. */
static void ask_results(const frame *f, int64_t row, int64_t rows, ahead *a) {
    const tile_program *p = &f->c->epilogue;
    for (int i = 0; i < p->n_accesses && f->c->image->winograd.far; i++) {
        const tile_access *x = &p->accesses[i];
        if (x->kind != ACCESS_FULL || x->storage < 0 || x->width || x->column_stride != 1) continue;
        const int64_t first = access_row_offset(x, &p->space, row), size = (int64_t)soma_dtype_size(x->dtype);
        const int64_t elements = access_row_offset(x, &p->space, row + rows - 1) - first + f->c->n;
        if (elements <= SPARSE * rows * f->c->n)
            ask(a, (const char *)f->runner->plan->bases[x->storage] + (x->offset + first) * size, elements * size);
    }
}

/* ---- results ---- */

/* The kernel's planes: made by each thread for itself, since the other cores' caches are far away, or by all together
 * where they are many. */
static const char *transform_kernel(const frame *f) {
    const contract *c = f->c;
    const winograd *w = &c->image->winograd;
    char *planes = w->own_kernel ? f->packed + align_up(PLANES * w->plane_a, c) : f->runner->plan->bases[c->partial];
    int64_t first = 0, last = c->panels * w->channels;
    if (!w->own_kernel) runner_share(f->runner, last, &first, &last);
    for (int64_t u = first; u < last;) {
        const int64_t panel = u / w->channels, row = u % w->channels, rows = minimum(w->channels - row, last - u);
        f->real->winograd_w(planes + (panel * PLANES * w->plane_b + row * c->width) * f->size, w->plane_b, c->width,
                            f->b + (panel * c->b_panel + row * c->b_row) * f->size, w->channels * c->b_row, c->b_row,
                            rows, frame_vectors(c, panel));
        u += rows;
    }
    if (!w->own_kernel && f->runner->threads > 1)
        team_barrier(context_team(f->runner->plan->context), f->runner->thread);
    return planes;
}

/* A small product: so many rows of C in tiles of even height. */
static void multiply_rows(const frame *f, int mode, const cpu_tiles *tiles, int64_t rows, int64_t vectors,
                          const char *a, const char *b, char *c) {
    const int64_t calls = (rows + f->real->rows - 1) / f->real->rows, height = (rows + calls - 1) / calls;
    const int64_t whole = rows / height, rest = rows - whole * height;
    cpu_tiles t = *tiles;
    t.a_tile = height * t.a_row;
    f->real->tile[mode][height][vectors](&t, whole, a, b, c, NULL);
    if (rest)
        f->real->tile[mode][rest][vectors](&t, 1, a + whole * t.a_tile * f->size, b,
                                           c + whole * height * t.c_row * f->size, NULL);
}

/* The products of a panel: (tiles, channels) by (channels, width). */
static void multiply(const frame *f, const char *seen, int64_t tiles, const char *kernel, int64_t panel, char *made,
                     const ahead *next) {
    const contract *c = f->c;
    const winograd *w = &c->image->winograd;
    const cpu_tiles t = {
        .segments = 1, .k = w->channels, .a_row = w->channels, .a_col = 1, .b_row = c->width, .c_row = c->width};
    for (int64_t i = 0; i < PLANES; i++) {
        if (panel == 0) fetch_ahead(next, i);
        multiply_rows(f, CPU_A_ROWS, &t, tiles, frame_vectors(c, panel), seen + i * w->plane_a * f->size,
                      kernel + i * w->plane_b * f->size, made + i * w->plane_c * f->size);
    }
}

/* Strips of a panel's results from their planes, row of C `start` first. */
static void transform_made(const frame *f, const char *made, int64_t first, int64_t count, int64_t panel, char *into,
                           int64_t c_row) {
    const contract *c = f->c;
    const winograd *w = &c->image->winograd;
    int64_t tiles = 0, row = 0;
    for (int64_t i = first; i < first + count; i++) {
        const strip s = strip_at(w, i);
        const int64_t rows = strip_rows(w, &s), places = strip_places(w, &s);
        f->real->winograd_y(into + row * c_row * f->size, places * c_row, c_row, made + tiles * c->width * f->size,
                            w->plane_c, c->width, s.tiles, rows, places, frame_vectors(c, panel));
        tiles += s.tiles;
        row += rows * places;
    }
}

/* Two rows of places are not neighbours where a strip is a piece of a row. */
static void finish_strips(frame *f, int64_t first, int64_t count, int64_t panel, char *sums) {
    const contract *c = f->c;
    const winograd *w = &c->image->winograd;
    const strip start = strip_at(w, first), end = strip_at(w, first + count - 1);
    const int64_t row = strip_result(w, &start), places = strip_places(w, &start);
    if (w->pieces == 1) {
        finish(f, sums, panel, row, strip_result(w, &end) + strip_rows(w, &end) * places - row);
        return;
    }
    for (int64_t i = 0; i < strip_rows(w, &start); i++)
        finish(f, sums + i * places * c->c_row * f->size, panel, row + i * w->places[1], places);
}

static void run_results(frame *f, char *seen, char *made) {
    const contract *c = f->c;
    const winograd *w = &c->image->winograd;
    int64_t first, last;
    runner_share(f->runner, w->groups, &first, &last);
    if (w->own_kernel && first == last) return;
    const char *kernel = transform_kernel(f);
    for (int64_t u = first; u < last; u++) {
        const int64_t from = u * w->group, count = minimum(w->group, w->strips - from);
        const strip start = strip_at(w, from);
        const int64_t tiles = transform_seen(f, from, count, seen);
        const strip end = strip_at(w, from + count - 1);
        const int64_t row = strip_result(w, &start);
        ahead next = {0};
        ask_group(f, from + count, &next);
        ask_results(f, row, strip_result(w, &end) + strip_rows(w, &end) * w->places[1] - row, &next);
        for (int64_t p = 0; p < c->panels; p++) {
            int64_t c_row = c->c_row;
            char *direct =
                w->pieces == 1 ? frame_direct(f, strip_result(w, &start), p * c->width, false, &c_row) : NULL;
            char *into = f->accumulators + (c->whole_rows ? p * c->width * f->size : 0);
            multiply(f, seen, tiles, kernel + p * PLANES * w->plane_b * f->size, p, made, &next);
            transform_made(f, made, from, count, p, direct ? direct : into, c_row);
            if (!direct && !c->whole_rows) finish_strips(f, from, count, p, into);
        }
        if (c->whole_rows) finish_strips(f, from, count, 0, f->accumulators);
    }
}

/* ---- the gradient for weights ---- */

/* The planes of the strips' gradients: a row of all panels for each tile. */
static void transform_given(const frame *f, int64_t first, int64_t count, char *planes) {
    const contract *c = f->c;
    const winograd *w = &c->image->winograd;
    const int64_t width = c->panels * c->width;
    int64_t tiles = 0;
    for (int64_t i = first; i < first + count; i++) {
        const strip s = strip_at(w, i);
        for (int64_t p = 0; p < c->panels; p++)
            f->real->winograd_dy(planes + (tiles * width + p * c->width) * f->size, w->plane_c, width,
                                 f->b + (p * c->b_panel + strip_result(w, &s) * c->b_row) * f->size,
                                 w->places[1] * c->b_row, c->b_row, s.tiles, strip_rows(w, &s), strip_places(w, &s),
                                 frame_vectors(c, p));
        tiles += s.tiles;
    }
}

/* Adds the products, (channels, tiles) by (tiles, columns), to a part's sums. */
static void add_products(const frame *f, const char *seen, const char *given, int64_t tiles, char *sums, bool more,
                         const ahead *next) {
    const contract *c = f->c;
    const winograd *w = &c->image->winograd;
    const cpu_tiles t = {.segments = 1,
                         .k = tiles,
                         .a_row = 1,
                         .a_col = w->channels,
                         .b_row = c->panels * c->width,
                         .c_row = c->width,
                         .accumulate = more};
    for (int64_t i = 0; i < PLANES; i++) {
        fetch_ahead(next, i);
        for (int64_t p = 0; p < c->panels; p++)
            multiply_rows(f, CPU_A_COLUMNS, &t, w->channels, frame_vectors(c, p), seen + i * w->plane_a * f->size,
                          given + (i * w->plane_c + p * c->width) * f->size,
                          sums + (p * PLANES + i) * w->plane_b * f->size);
    }
}

static void finish_places(frame *f, int64_t panel, int64_t channel, int64_t rows) {
    for (int64_t s = 0; s < 9; s++)
        finish(f, f->accumulators + s * rows * f->c->c_row * f->size, panel,
               s * f->c->image->winograd.channels + channel, rows);
}

/* The parts' sums of some channels, added in order, as nine kernel places; then these rows' epilogue. */
static void gather(frame *f, const char *parts, char *sums, int64_t channel, int64_t rows) {
    const contract *c = f->c;
    const winograd *w = &c->image->winograd;
    const int64_t part = c->panels * PLANES * w->plane_b, plane = rows * c->width + 16;
    for (int64_t p = 0; p < c->panels; p++) {
        for (int64_t i = 0; i < PLANES; i++) {
            const char *from = parts + ((p * PLANES + i) * w->plane_b + channel * c->width) * f->size;
            char *to = sums + i * plane * f->size;
            if (c->parts == 1) memcpy(to, from, (size_t)(rows * c->width * f->size));
            for (int64_t k = 1; k < c->parts; k++)
                f->real->map[CPU_ADD][0](to, k == 1 ? from : to, from + k * part * f->size, NULL, rows * c->width);
        }
        f->real->winograd_dw(f->accumulators + (c->whole_rows ? p * c->width * f->size : 0), rows * c->c_row, c->c_row,
                             sums, plane, rows, c->vectors);
        if (!c->whole_rows) finish_places(f, p, channel, rows);
    }
    if (c->whole_rows) finish_places(f, 0, channel, rows);
}

static void run_weights(frame *f, char *seen, char *given) {
    const contract *c = f->c;
    const winograd *w = &c->image->winograd;
    char *parts = f->runner->plan->bases[c->partial];
    int64_t first, last;
    runner_share(f->runner, c->parts, &first, &last);
    for (int64_t i = first; i < last; i++) {
        char *sums = parts + i * c->panels * PLANES * w->plane_b * f->size;
        const int64_t begin = w->groups * i / c->parts, end = w->groups * (i + 1) / c->parts;
        for (int64_t u = begin; u < end; u++) {
            const int64_t from = u * w->group, count = minimum(w->group, w->strips - from);
            const int64_t tiles = transform_seen(f, from, count, seen);
            transform_given(f, from, count, given);
            ahead next = {0};
            ask_group(f, from + count, &next);
            add_products(f, seen, given, tiles, sums, u > begin, &next);
        }
    }
    if (f->runner->threads > 1) team_barrier(context_team(f->runner->plan->context), f->runner->thread);
    const int64_t units = (w->channels + w->rows - 1) / w->rows;
    runner_share(f->runner, units, &first, &last);
    for (int64_t u = first; u < last; u++)
        gather(f, parts, given, u * w->rows, minimum(w->rows, w->channels - u * w->rows));
}

void contract_run_winograd(frame *f) {
    const contract *c = f->c;
    if (c->image->winograd.weights)
        run_weights(f, f->packed, f->panel);
    else
        run_results(f, f->packed, f->panel);
}
