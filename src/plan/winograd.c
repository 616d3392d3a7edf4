/* Which contractions are convolutions of 3 x 3 places, one apart, that Winograd's transforms compute with 36
 * multiplications for 144, and how they are cut. Rests on axes.c: rows of windows are seen by their strides, in a
 * product for results as in a gradient for weights, padding or not. Decided by the shapes of a sample alone: it has the
 * same bits in every batch. */
#include "plan/passes.h"

/* An axis of places and the three that windows see of it. */
static bool find_axis(const fine_axes *x, const fine_axis *place, const fine_axis *seen, winograd *w, int i) {
    const bool padded = seen->role == PAD_SEEN;
    if (seen->extent != 3 || seen->stride != place->stride || padded != (place->role == PAD_PLACE)) return false;
    if (!padded && (seen->role != PAD_NONE || place->role != PAD_NONE)) return false;
    w->places[i] = place->extent;
    w->stride[i] = place->stride;
    w->low[i] = 0;
    w->high[i] = place->extent + 2;
    if (!padded) return true;
    const window_axis *pad = &x->pads[seen->pad];
    w->low[i] = pad->low;
    w->high[i] = minimum(pad->high, w->high[i]);
    return place->pad == seen->pad && pad->place_step == 1 && pad->seen_step == 1;
}

static bool find_windows(const fine_axes *x, int places, winograd *w) {
    const fine_axis *place, *seen;
    int n_place = axes_of(x, places, &place), n_seen = axes_of(x, 1 - places, &seen);
    if (n_place < 2 || n_place > 3 || n_seen < 2 || n_seen > 3) return false;
    fine_axis channel = seen[n_seen - 1], column = seen[1];
    if (channel.stride != 1 || channel.role != PAD_NONE) return false;
    if (n_seen == 2) { /* channels follow each other from place to place */
        if (channel.extent % 3 != 0) return false;
        channel.extent /= 3;
        column = (fine_axis){.extent = 3, .stride = channel.extent};
    }
    w->samples = 1;
    if (n_place == 3) {
        if (place->role != PAD_NONE) return false;
        w->samples = place->extent;
        w->sample = place->stride;
        place++;
    }
    w->channels = channel.extent;
    return find_axis(x, &place[0], &seen[0], w, 0) && find_axis(x, &place[1], &column, w, 1);
}

/* Vectors of arithmetic and of memory that a transform and its inverse take for each vector of channels, a tile's and a
 * kernel's; and what a transformed product must win, for it rounds more. */
enum { TILE_COST = 180, KERNEL_COST = 120, GAIN_PERCENT = 115 };

static bool pays(const winograd *w, int64_t n, const cpu_real *real) {
    const int64_t vectors = (n + real->lanes - 1) / real->lanes, seen = (w->channels + real->lanes - 1) / real->lanes;
    const double tiles = (double)w->tiles[0] * (double)w->tiles[1],
                 places = (double)w->places[0] * (double)w->places[1];
    const double products = (double)w->channels * (double)vectors;
    const double cost =
        tiles * (WINOGRAD_PLANES * products + TILE_COST * (double)(vectors + seen)) + KERNEL_COST * products;
    return cost * GAIN_PERCENT / 100 <= places * 9 * products;
}

bool winograd_find(const fine_axes *x, int64_t n, const cpu_real *real, winograd *out) {
    winograd w = {.on = true};
    if (x->rank != 2) return false;
    if (!find_windows(x, 0, &w)) {
        w.weights = true;
        if (!find_windows(x, 1, &w)) return false;
    }
    for (int i = 0; i < 2; i++)
        w.tiles[i] = (w.places[i] + WINOGRAD_TILE - 1) / WINOGRAD_TILE;
    if (!pays(&w, n, real)) return false;
    *out = w;
    return true;
}

/* ---- how it is cut ---- */

enum {
    GROUP_TILES = 12 /* whose planes stay in the caches, and that are rows enough for register tiles; */,
    GROUP_DEPTH = 32 /* of a gradient for weights, where a product's sums are read and written for so many of them */,
    STRIP_TILES = 64,
    GROUPS = 16 /* that threads can share */,
    OWN_ELEMENTS = 1 << 20 /* of a kernel's planes, that a thread makes for itself */,
    PARTS = 8 /* of the sum over all tiles that a gradient for weights is */,
    FINISH_ELEMENTS = 1024 /* of an epilogue's start, in L1 */,
    FINISH_ROWS = 56,
    FAR_ELEMENTS = 1 << 18 /* of both arrays: they do not stay in the second cache */,
    APART = 16 /* elements between planes, or all were in the same few sets of a cache */
};

void winograd_cut(contract *c, winograd *w, const cpu_real *real) {
    c->m = w->weights ? 9 * w->channels : w->samples * w->places[0] * w->places[1];
    c->batch = c->inner = 1;
    c->panels = (c->n + c->width - 1) / c->width;
    c->vectors = c->width / real->lanes;
    c->last_vectors = (c->n - (c->panels - 1) * c->width + real->lanes - 1) / real->lanes;
    w->pieces = (w->tiles[1] + STRIP_TILES - 1) / STRIP_TILES;
    w->longest = (w->tiles[1] + w->pieces - 1) / w->pieces;
    w->strips = w->samples * w->tiles[0] * w->pieces;
    const int64_t together = ((w->weights ? GROUP_DEPTH : GROUP_TILES) + w->longest - 1) / w->longest;
    const int64_t parts = w->strips * w->longest / GROUP_DEPTH;
    c->parts = !w->weights || parts < 1 ? 1 : minimum(PARTS, parts);
    w->group = w->pieces > 1 ? 1 : minimum(together, w->strips / (w->weights ? c->parts : GROUPS));
    if (w->group < 1) w->group = 1;
    w->groups = (w->strips + w->group - 1) / w->group;
    w->far = w->samples * w->places[0] * w->places[1] * (w->channels + c->n) > FAR_ELEMENTS;
    c->parts = minimum(c->parts, w->groups);
    w->plane_a = w->group * w->longest * w->channels + APART;
    w->plane_b = w->channels * c->width + APART;
    w->own_kernel = !w->weights && c->panels * WINOGRAD_PLANES * w->plane_b <= OWN_ELEMENTS;
    w->plane_c = w->group * w->longest * (w->weights ? c->panels : 1) * c->width + APART;
}

/* Whole rows at a time where there are several panels, for long runs of memory and for what reduces rows; arrays in
 * panels are walked panel by panel. */
void winograd_cut_epilogue(contract *c, winograd *w) {
    tile_program *p = &c->epilogue;
    bool panels = false;
    for (int i = 0; i < p->n_accesses; i++)
        panels = panels || p->accesses[i].width;
    c->direct = -1;
    if (p->n_instructions == 1 && p->instructions[0].kind == INSTRUCTION_STORE && p->space.row_rank <= 1 &&
        !w->weights) {
        const tile_access *a = &p->accesses[p->instructions[0].access];
        if (!a->width && a->dtype == c->dtype && a->column_stride == 1) c->direct = p->instructions[0].access;
    }
    c->whole_rows = c->panels > 1 && c->direct < 0 && (!panels || p->whole_rows);
    c->c_row = c->whole_rows ? c->panels * c->width : c->width;
    c->finish_rows = minimum(FINISH_ELEMENTS / c->c_row + 1, FINISH_ROWS);
    if (p->block < c->finish_rows * c->c_row) p->block = c->finish_rows * c->c_row;
    w->rows = w->weights ? minimum(c->finish_rows, w->channels)
                         : WINOGRAD_TILE * w->group * minimum(WINOGRAD_TILE * w->longest, w->places[1]);
}

int64_t winograd_partial(const contract *c) {
    return c->image->winograd.own_kernel ? 0 : c->parts * c->panels * WINOGRAD_PLANES * c->image->winograd.plane_b;
}
