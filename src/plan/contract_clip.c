/* Rows of a matrix whose windows reach into padding that is not there (clip.c): what lies outside is left out of k.
 * Rests on contract_frame.h. Along the axes of places that all rows share, segments are cut; along the rows themselves,
 * each slab of k has a range of rows that see it. So an element's sum depends on its place alone. */
#include <string.h>

#include "plan/contract_frame.h"

/* Of first .. last-1, those i with low <= at + i*step < high. */
static void cut(int64_t *first, int64_t *last, int64_t at, int64_t step, const contract_clip *clip) {
    int64_t low = clip->low - at, high = clip->high - at;
    low = low > 0 ? (low + step - 1) / step : 0;
    high = high > 0 ? (high + step - 1) / step : 0;
    if (*first < low) *first = low;
    if (*last > high) *last = high;
}

/* Index of each axis of an element counted in row-major order. */
static void find_index(int rank, const int64_t *shape, int64_t i, int64_t *index) {
    for (int axis = rank - 1; axis >= 0; axis--) {
        index[axis] = i % shape[axis];
        i /= shape[axis];
    }
}

/* The rows that see a slab. */
static void find_rows(const contract *c, const int64_t *place, const int64_t *slab, int64_t *first, int64_t *last) {
    *first = 0;
    *last = c->m;
    for (int i = 0; i < c->n_clips; i++) {
        const contract_clip *clip = &c->clips[i];
        if (clip->seen == c->slab_rank) continue;
        const int64_t at = slab[clip->seen] * clip->seen_step;
        if (clip->place == c->batch_rank)
            cut(first, last, at, clip->place_step, clip);
        else if (at + place[clip->place] * clip->place_step < clip->low ||
                 at + place[clip->place] * clip->place_step >= clip->high)
            *last = 0;
    }
}

void contract_clipped(const frame *f, const tile_place *p, const char *b, char *into, int64_t c_row, int64_t vectors) {
    const contract *c = f->c;
    int64_t place[CONTRACT_AXES], slab[CONTRACT_AXES], slabs = 1, from = 0, to = c->segments;
    for (int64_t i = 0; i < c->m; i++)
        memset(into + i * c_row * f->size, 0, (size_t)(vectors * f->real->lanes * f->size));
    find_index(c->batch_rank, c->batch_shape, p->batch, place);
    for (int i = 0; i < c->n_clips; i++)
        if (c->clips[i].seen == c->slab_rank)
            cut(&from, &to, place[c->clips[i].place] * c->clips[i].place_step, c->clips[i].seen_step, &c->clips[i]);
    for (int i = 0; i < c->slab_rank; i++)
        slabs *= c->slab_shape[i];
    const cpu_tiles t = {.segments = to - from,
                         .k = c->run,
                         .a_row = c->a_row,
                         .a_col = 1,
                         .a_segment = c->a_segment,
                         .b_row = c->b_row,
                         .b_segment = c->b_segment,
                         .c_row = c_row,
                         .accumulate = true};
    for (int64_t s = 0; s < slabs && from < to; s++) {
        int64_t a = p->a + from * c->a_segment, row = from * c->b_segment, first, last;
        find_index(c->slab_rank, c->slab_shape, s, slab);
        find_rows(c, place, slab, &first, &last);
        for (int i = 0; i < c->slab_rank; i++) {
            a += slab[i] * c->a_slab[i];
            row += slab[i] * c->b_slab[i] * c->b_row;
        }
        for (int64_t tiles = (last - first + f->real->rows - 1) / f->real->rows; first < last; tiles--) {
            const int64_t height = (last - first + tiles - 1) / tiles;
            f->real->tile[CPU_A_ROWS][height][vectors](&t, 1, f->a + (a + first * c->a_row) * f->size,
                                                       b + row * f->size, into + first * c_row * f->size, NULL);
            first += height;
        }
    }
}
