/* Sixth pass: where every array that lives only during a run lies in one block of memory.
 * Rests on the order of steps. Arrays that never live together share a place; best fit over the gaps, in the order of
 * time, so that the pass stays near-linear. Where that wastes much, the largest first into the lowest gap: for graphs
 * of up to some thousand arrays, since every array is held against all that lie already. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "plan/passes.h"

typedef struct lifetimes {
    soma_plan *plan;
    int step;
} lifetimes;

static void use(void *user, int index, bool written) {
    (void)written;
    const lifetimes *l = user;
    plan_storage *s = &l->plan->storages[index];
    if (l->step < s->first) s->first = l->step;
    if (l->step > s->last) s->last = l->step;
}

typedef struct event {
    int step, storage; /* a storage's first use, or one step after its last */
    bool end;
} event;

static int compare_events(const void *a, const void *b) {
    const event *x = a, *y = b;
    if (x->step != y->step) return x->step < y->step ? -1 : 1;
    if (x->end != y->end) return x->end ? -1 : 1;
    return x->storage < y->storage ? -1 : x->storage > y->storage;
}

typedef struct gap {
    size_t offset, bytes;
} gap;

typedef struct gaps {
    gap *list; /* by offset */
    int n;
    size_t end; /* of everything placed so far */
} gaps;

static size_t place(gaps *g, size_t bytes) {
    int best = -1;
    for (int i = 0; i < g->n && (best < 0 || g->list[best].bytes > bytes); i++)
        if (g->list[i].bytes >= bytes && (best < 0 || g->list[i].bytes < g->list[best].bytes)) best = i;
    if (best < 0 && g->n > 0 && g->list[g->n - 1].offset + g->list[g->n - 1].bytes == g->end) { /* grow the last gap */
        size_t offset = g->list[--g->n].offset;
        g->end = offset + bytes;
        return offset;
    }
    if (best < 0) {
        g->end += bytes;
        return g->end - bytes;
    }
    size_t offset = g->list[best].offset;
    g->list[best].offset += bytes;
    g->list[best].bytes -= bytes;
    if (g->list[best].bytes == 0) {
        memmove(&g->list[best], &g->list[best + 1], (size_t)(g->n - best - 1) * sizeof *g->list);
        g->n--;
    }
    return offset;
}

static void give_back(gaps *g, size_t offset, size_t bytes) {
    int i = 0; /* gaps below it */
    for (int end = g->n; i < end;) {
        const int middle = (i + end) / 2;
        if (g->list[middle].offset < offset)
            i = middle + 1;
        else
            end = middle;
    }
    gap *below = i > 0 ? &g->list[i - 1] : NULL, *above = i < g->n ? &g->list[i] : NULL;
    const size_t behind = (size_t)(g->n - i) * sizeof *g->list;
    if (below && below->offset + below->bytes != offset) below = NULL;
    if (above && offset + bytes != above->offset) above = NULL;
    if (below) below->bytes += bytes + (above ? above->bytes : 0);
    if (below && above) {
        memmove(above, above + 1, behind - sizeof *above);
        g->n--;
    } else if (above) {
        *above = (gap){offset, bytes + above->bytes};
    } else if (!below) {
        memmove(&g->list[i + 1], &g->list[i], behind);
        g->list[i] = (gap){offset, bytes};
        g->n++;
    }
}

static size_t rounded(const plan_storage *s) {
    return (s->bytes + 63) & ~(size_t)63;
}

/* In the order of time; returns the end of all, and the most that live at once in *live. */
static size_t place_by_time(soma_plan *plan, gaps *g, const event *events, int n, size_t *live) {
    size_t now = 0;
    *live = 0;
    for (int i = 0; i < n; i++) {
        plan_storage *s = &plan->storages[events[i].storage];
        if (events[i].end) {
            give_back(g, s->offset, rounded(s));
            now -= rounded(s);
        } else {
            s->offset = place(g, rounded(s));
            now += rounded(s);
            if (now > *live) *live = now;
        }
    }
    return g->end;
}

/* ---- the largest first ---- */

typedef struct item {
    size_t bytes, offset;
    int first, last, storage;
} item;

static int compare_items(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    return x->storage < y->storage ? -1 : x->storage > y->storage;
}

/* items by size; `laid` gets them by offset. */
static size_t place_by_size(item *items, item *laid, int n) {
    size_t all = 0;
    for (int i = 0; i < n; i++) {
        item *one = &items[i];
        size_t end = 0;
        int at = 0; /* past those below the end of the gap */
        for (; at < i && laid[at].offset < end + one->bytes; at++) {
            const item *other = &laid[at];
            if (other->first > one->last || one->first > other->last) continue;
            if (other->offset + other->bytes > end) end = other->offset + other->bytes;
        }
        one->offset = end;
        while (at > 0 && laid[at - 1].offset > end)
            at--;
        memmove(&laid[at + 1], &laid[at], (size_t)(i - at) * sizeof *laid);
        laid[at] = *one;
        if (end + one->bytes > all) all = end + one->bytes;
    }
    return all;
}

enum { MOST_ITEMS = 6000 };

static soma_status try_by_size(build *b, size_t live) {
    soma_plan *plan = b->plan;
    item *items = arena_alloc(&b->arena, (size_t)plan->n_storages * sizeof *items + 1);
    item *laid = arena_alloc(&b->arena, (size_t)plan->n_storages * sizeof *laid + 1);
    if (!items || !laid) return SOMA_NO_MEMORY;
    int n = 0;
    for (int i = 0; i < plan->n_storages; i++) {
        const plan_storage *s = &plan->storages[i];
        if (s->kind != STORAGE_ARENA || s->last < 0 || s->place != i) continue;
        items[n++] = (item){rounded(s), 0, s->first, s->output ? INT_MAX : s->until, i};
    }
    if (n > MOST_ITEMS || plan->arena_bytes <= live + live / 32) return SOMA_OK;
    qsort(items, (size_t)n, sizeof *items, compare_items);
    const size_t all = place_by_size(items, laid, n);
    if (all >= plan->arena_bytes) return SOMA_OK;
    plan->arena_bytes = all;
    for (int i = 0; i < n; i++)
        plan->storages[laid[i].storage].offset = laid[i].offset;
    return SOMA_OK;
}

soma_status plan_memory(build *b) {
    soma_plan *plan = b->plan;
    for (int i = 0; i < plan->n_steps; i++)
        step_uses(&plan->steps[i], use, &(lifetimes){plan, i});
    event *events = arena_alloc(&b->arena, 2 * (size_t)plan->n_storages * sizeof *events + 1);
    gaps g = {.list = arena_alloc(&b->arena, ((size_t)plan->n_storages + 2) * sizeof *g.list)};
    if (!events || !g.list) return SOMA_NO_MEMORY;
    TRY(plan_successors(b));
    int n = 0;
    for (int i = 0; i < plan->n_storages; i++) {
        const plan_storage *s = &plan->storages[i];
        if (s->kind != STORAGE_ARENA || s->last < 0 || s->place != i) continue;
        events[n++] = (event){s->first, i, false};
        if (!s->output) events[n++] = (event){s->until + 1, i, true};
    }
    qsort(events, (size_t)n, sizeof *events, compare_events);
    size_t live;
    plan->arena_bytes = place_by_time(plan, &g, events, n, &live);
    TRY(try_by_size(b, live));
    for (int i = 0; i < plan->n_storages; i++)
        plan->storages[i].offset = plan->storages[plan->storages[i].place].offset;
    return SOMA_OK;
}
