/* A plan that needs more memory than it may: values kept from before the peak to behind it are computed again instead.
 * Rests on copies.c for doing so and on the order of groups for when. Two numbers make a choice: how many operations a
 * byte may cost (cheap values go first), and how many bytes may be computed again in one go: between such segments
 * everything that crosses is kept (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost", for any graph).
 * All choices are made, counted on the order alone, and laid out from the cheapest on until one fits. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/context_internal.h"
#include "plan/passes.h"

enum { ROUNDS = 4, LAYOUTS = 10 };
static const double prices[] = {0.6, 2.5, 10, 40, 160, 1e30}; /* flops a byte */
static const double parts[] = {0, 2, 3, 4, 6, 8, 12, 16, 24}; /* segments; 0: nothing is cut */

/* ---- what there is ---- */

/* A stored member: by places in the order of groups. */
typedef struct kept {
    double bytes;
    int made, early, late; /* the last reader up to the peak, -1; the first behind it, INT_MAX */
    int last;
    bool fixed; /* looked at, or copied, at the end */
} kept;

typedef struct survey {
    build *b;
    int *place;       /* by group, -1: gone */
    double *flops;    /* by group */
    kept *values;     /* by node id; bytes 0: none */
    int64_t *by_made; /* ids of values in the order of their making */
    int64_t n_values;
    int peak;
    double live; /* bytes there */
    int now;     /* of the walk */
} survey;

static void read_value(void *user, const soma_tensor *x) {
    survey *s = user;
    kept *v = &s->values[x->id];
    if (v->bytes == 0 || v->made == s->now) return;
    if (s->now > v->last) v->last = s->now;
    if (s->now <= s->peak && s->now > v->early) v->early = s->now;
    if (s->now > s->peak && s->now < v->late) v->late = s->now;
}

static void read_all(survey *s) {
    const build *b = s->b;
    for (s->now = 0; s->now < b->n_order; s->now++) {
        const group *g = &b->groups[b->order[s->now]];
        for (int k = 0; k < g->n_members; k++)
            node_sources(b, b->graph->nodes[g->members[k]], read_value, s);
    }
}

static void fix(survey *s, const soma_tensor *t) {
    while (s->b->infos[t->id].role == ROLE_VIEW)
        t = t->inputs[0];
    s->values[t->id].fixed = true;
    s->values[t->id].last = s->b->n_order;
}

static void find_peak(survey *s, double *change) {
    double live = 0;
    for (int64_t i = 0; i < s->n_values; i++) {
        const kept *v = &s->values[s->by_made[i]];
        change[v->made] += v->bytes;
        change[v->last + 1] -= v->bytes;
    }
    s->live = s->peak = 0;
    for (int i = 0; i < s->b->n_order; i++) {
        live += change[i];
        if (live <= s->live) continue;
        s->live = live;
        s->peak = i;
    }
}

static bool look_around(build *b, survey *s) {
    const size_t n = (size_t)b->graph->n_nodes;
    *s = (survey){.b = b, .peak = INT_MAX};
    s->place = arena_alloc(&b->arena, (size_t)b->n_groups * sizeof *s->place + 1);
    s->flops = arena_alloc(&b->arena, (size_t)b->n_groups * sizeof *s->flops + 1);
    s->values = arena_alloc(&b->arena, n * sizeof *s->values + 1);
    s->by_made = arena_alloc(&b->arena, n * sizeof *s->by_made + 1);
    double *change = arena_alloc(&b->arena, ((size_t)b->n_order + 2) * sizeof *change);
    if (!s->place || !s->flops || !s->values || !s->by_made || !change) return false;
    for (int i = 0; i < b->n_groups; i++)
        s->place[i] = -1;
    for (int i = 0; i < b->n_order; i++) {
        const group *g = &b->groups[b->order[i]];
        s->place[b->order[i]] = i;
        for (int k = 0; k < g->n_members; k++) {
            const int64_t id = g->members[k];
            s->values[id] = (kept){node_bytes(b, b->graph->nodes[id]), i, -1, INT_MAX, i, false};
            if (s->values[id].bytes > 0) s->by_made[s->n_values++] = id;
        }
    }
    for (int i = 0; i < b->n_targets; i++)
        if (b->infos[b->targets[i]->id].role != ROLE_STATE) fix(s, b->targets[i]);
    for (size_t id = 0; id < n; id++)
        if (b->infos[id].role == ROLE_STATE) fix(s, b->graph->nodes[id]->inputs[0]);
    read_all(s);
    find_peak(s, change);
    for (int64_t i = 0; i < s->n_values; i++)
        s->values[s->by_made[i]].early = -1;
    read_all(s);
    return true;
}

static void count_flops(survey *s) {
    const build *b = s->b;
    for (int i = 0, step = 0; i < b->n_order; i++)
        for (; step <= b->groups[b->order[i]].step; step++)
            s->flops[b->order[i]] += b->plan->steps[step].flops;
}

/* ---- a choice ---- */

typedef struct chooser {
    const survey *s;
    copy_choice choice;
    bool *forced; /* by node: on the border of a segment */
    bool *seen;   /* by group, for one walk */
    int *stack, *found;
    int n_stack, n_found;
    double flops; /* of all copies */
} chooser;

static bool is_candidate(const survey *s, int64_t id) {
    const kept *v = &s->values[id];
    return v->bytes > 0 && !v->fixed && v->made <= s->peak && v->late < INT_MAX;
}

static void visit(void *user, const soma_tensor *x) {
    chooser *c = user;
    const node_info *info = &c->s->b->infos[x->id];
    if (info->role != ROLE_MEMBER || c->choice.keep[x->id]) return;
    if (c->choice.again[info->group] || c->seen[info->group]) return;
    c->seen[info->group] = true;
    c->stack[c->n_stack++] = info->group;
}

/* Takes the value for one to be computed again, if what that costs in addition is no more than `most`. */
static void try_value(chooser *c, int64_t id, double most) {
    const build *b = c->s->b;
    double flops = 0;
    c->n_stack = c->n_found = 0;
    c->choice.keep[id] = false;
    visit(c, b->graph->nodes[id]);
    while (c->n_stack > 0 && flops <= most) {
        const int index = c->stack[--c->n_stack];
        const group *g = &b->groups[index];
        c->found[c->n_found++] = index;
        flops += c->s->flops[index];
        for (int k = 0; k < g->n_members; k++)
            node_sources(b, b->graph->nodes[g->members[k]], visit, c);
    }
    while (c->n_stack > 0) /* given up */
        c->seen[c->stack[--c->n_stack]] = false;
    const bool taken = flops <= most;
    c->choice.keep[id] = !taken;
    for (int i = 0; i < c->n_found; i++) {
        c->seen[c->found[i]] = false;
        if (taken) c->choice.again[c->found[i]] = true;
    }
    if (taken) c->flops += flops;
}

static void choose(chooser *c, double price) {
    const survey *s = c->s;
    memset(c->choice.again, 0, (size_t)s->b->n_groups);
    for (int64_t id = 0; id < s->b->graph->n_nodes; id++)
        c->choice.keep[id] = c->forced[id] || s->values[id].fixed || is_candidate(s, id);
    c->flops = 0;
    for (int64_t i = 0; i < s->n_values; i++) {
        const int64_t id = s->by_made[i];
        if (is_candidate(s, id) && !c->forced[id]) try_value(c, id, price * s->values[id].bytes);
    }
}

/* Cuts the way to the peak where little crosses, so that no more than `most` bytes are computed again between two cuts;
 * what crosses a cut is kept, and what comes behind the last one. */
static bool cut(chooser *c, double most, arena *a) {
    const survey *s = c->s;
    const int n = s->peak + 2; /* cut i lies before place i */
    double *made = arena_alloc(a, (size_t)n * sizeof *made), *crossing = arena_alloc(a, (size_t)n * sizeof *crossing);
    double *best = arena_alloc(a, (size_t)n * sizeof *best);
    int *before = arena_alloc(a, (size_t)n * sizeof *before);
    if (!made || !crossing || !best || !before) return false;
    for (int64_t i = 0; i < s->n_values; i++) {
        const int64_t id = s->by_made[i];
        const kept *v = &s->values[id];
        if (v->made > s->peak || c->choice.keep[id]) continue;
        if (is_candidate(s, id)) made[v->made + 1] += v->bytes;
        if (v->early <= v->made) continue;
        crossing[v->made + 1] += v->bytes;
        if (v->early + 1 < n) crossing[v->early + 1] -= v->bytes;
    }
    for (int i = 1; i < n; i++) {
        made[i] += made[i - 1];
        crossing[i] += crossing[i - 1];
    }
    for (int i = 1; i < n; i++) {
        best[i] = -1;
        for (int k = i - 1; k >= 0 && (made[i] - made[k] <= most || k == i - 1); k--)
            if (best[i] < 0 || best[k] < best[i]) {
                best[i] = best[k];
                before[i] = k;
            }
        if (i < n - 1) best[i] += crossing[i];
    }
    const int last = before[n - 1];
    for (int at = last; at > 0; at = before[at])
        for (int64_t i = 0; i < s->n_values; i++) {
            const int64_t id = s->by_made[i];
            const kept *v = &s->values[id];
            if (v->made >= at) break;
            if (v->early >= at) c->forced[id] = true;
        }
    for (int64_t i = 0; i < s->n_values; i++)
        if (s->values[s->by_made[i]].made >= last) c->forced[s->by_made[i]] = true;
    return true;
}

static bool choose_cut(chooser *c, int price, int part) {
    const survey *s = c->s;
    memset(c->forced, 0, (size_t)s->b->graph->n_nodes);
    choose(c, prices[price]);
    if (part == 0) return true;
    double again = 0;
    for (int64_t i = 0; i < s->n_values; i++)
        if (!c->choice.keep[s->by_made[i]] && is_candidate(s, s->by_made[i])) again += s->values[s->by_made[i]].bytes;
    if (!cut(c, again / parts[part], &s->b->arena)) return false;
    choose(c, prices[price]);
    return true;
}

static bool make_chooser(const survey *s, chooser *c) {
    build *b = s->b;
    const size_t groups = (size_t)b->n_groups + 1, nodes = (size_t)b->graph->n_nodes + 1;
    *c = (chooser){.s = s, .choice = {.peak = s->peak}};
    c->choice.again = arena_alloc(&b->arena, groups);
    c->choice.keep = arena_alloc(&b->arena, nodes);
    c->forced = arena_alloc(&b->arena, nodes);
    c->seen = arena_alloc(&b->arena, groups);
    c->stack = arena_alloc(&b->arena, groups * sizeof *c->stack);
    c->found = arena_alloc(&b->arena, groups * sizeof *c->found);
    return c->choice.again && c->choice.keep && c->forced && c->seen && c->stack && c->found;
}

/* ---- there and back ---- */

/* The build before copies were made. */
typedef struct snapshot {
    node_info *infos;
    int *uses;
    group *groups;
    soma_tensor ***inputs; /* by node */
    build build;           /* its groups and their order */
    graph_mark graph;
    arena_mark scratch; /* of the build's arena */
} snapshot;

static void *copy_bytes(build *b, const void *from, size_t bytes) {
    void *to = arena_alloc(&b->arena, bytes + 1);
    return to && bytes ? memcpy(to, from, bytes) : to;
}

/* Members are dropped in place, so they are copied as well. */
static bool copy_members(build *b, group *groups, int n) {
    for (int i = 0; i < n; i++) {
        group *g = &groups[i];
        g->members = copy_bytes(b, g->members, (size_t)g->n_members * sizeof *g->members);
        g->capacity = g->n_members;
        if (!g->members) return false;
    }
    return true;
}

static bool remember(build *b, snapshot *s) {
    const size_t n = (size_t)b->graph->n_nodes;
    *s = (snapshot){.infos = b->infos, .uses = b->uses, .build = *b};
    s->groups = copy_bytes(b, b->groups, (size_t)b->n_groups * sizeof *b->groups);
    s->inputs = arena_alloc(&b->arena, n * sizeof *s->inputs + 1);
    if (!s->groups || !s->inputs || !copy_members(b, s->groups, b->n_groups)) return false;
    for (size_t i = 0; i < n; i++)
        s->inputs[i] = b->graph->nodes[i]->inputs;
    s->graph = graph_get_mark(b->graph);
    s->scratch = arena_get_mark(&b->arena);
    return true;
}

static bool go_back(build *b, const snapshot *s) {
    graph_rewind(b->graph, &s->graph);
    arena_rewind(&b->arena, s->scratch);
    b->infos = s->infos;
    b->uses = s->uses;
    b->groups = s->build.groups;
    b->lifted = s->build.lifted;
    b->n_groups = s->build.n_groups;
    b->groups_capacity = s->build.groups_capacity;
    b->order = s->build.order;
    b->n_order = s->build.n_order;
    memcpy(b->groups, s->groups, (size_t)b->n_groups * sizeof *b->groups);
    for (int64_t i = 0; i < s->graph.n_nodes; i++)
        b->graph->nodes[i]->inputs = s->inputs[i];
    return copy_members(b, b->groups, b->n_groups);
}

/* ---- the cheapest that fits ---- */

typedef struct offer {
    int price, part;
    double flops, live; /* live: at the peak, by the order alone */
} offer;

static int by_flops(const void *a, const void *b) {
    const offer *x = a, *y = b;
    if (x->flops != y->flops) return x->flops < y->flops ? -1 : 1;
    return x->live < y->live ? -1 : x->live > y->live;
}

/* One round: all choices about one peak. */
typedef struct round {
    build *b;
    survey s;
    chooser c;
    snapshot before;
    offer offers[sizeof prices / sizeof *prices * (sizeof parts / sizeof *parts)];
    int n;
} round;

static soma_status make_copies(round *r, const offer *o) {
    if (!choose_cut(&r->c, o->price, o->part)) return SOMA_NO_MEMORY;
    return copies_make(r->b, r->s.place, &r->c.choice);
}

/* What an offer costs and saves, without laying it out. */
static soma_status estimate(round *r, offer *o) {
    survey after;
    TRY(make_copies(r, o));
    TRY(plan_state(r->b));
    TRY(plan_layout(r->b));
    TRY(plan_place(r->b));
    TRY(plan_order(r->b));
    if (!look_around(r->b, &after)) return SOMA_NO_MEMORY;
    o->flops = r->c.flops;
    o->live = after.live;
    return go_back(r->b, &r->before) ? SOMA_OK : SOMA_NO_MEMORY;
}

static soma_status find_offers(round *r) {
    const int n_prices = sizeof prices / sizeof *prices, n_parts = sizeof parts / sizeof *parts;
    double last = -1;
    r->n = 0;
    for (int i = 0; i < n_prices; i++)
        for (int k = 0; k < n_parts; k++) {
            offer o = {.price = i, .part = k};
            if (!choose_cut(&r->c, i, k)) return SOMA_NO_MEMORY;
            bool any = false;
            for (int g = 0; g < r->b->n_groups; g++)
                any = any || r->c.choice.again[g];
            if (!any || (k == 0 && r->c.flops == last)) break; /* nothing at this price, or nothing new */
            if (k == 0) last = r->c.flops;
            TRY(estimate(r, &o));
            bool known = false;
            for (int j = 0; j < r->n; j++)
                known = known || (r->offers[j].flops == o.flops && r->offers[j].live == o.live);
            if (o.live < r->s.live && !known) r->offers[r->n++] = o;
        }
    qsort(r->offers, (size_t)r->n, sizeof *r->offers, by_flops);
    return SOMA_OK;
}

/* Lays out an offer; *needs is what it needs, SIZE_MAX when it cannot be laid out. */
static soma_status lay_out(round *r, const offer *o, size_t *needs) {
    *needs = SIZE_MAX;
    TRY(make_copies(r, o));
    const soma_status status = plan_lay_out(r->b);
    if (status == SOMA_OK) *needs = plan_needs(r->b->plan);
    return status == SOMA_UNSUPPORTED && soma_last_status(r->b->context) == SOMA_OK ? SOMA_OK : status;
}

/* Offers that should fit, by cost, else the smallest ones; leaves the build with the first that fits, or as it was,
 * with *best, what the smallest of them needed, and *which. */
static soma_status try_offers(round *r, double other, double scale, size_t *best, int *which) {
    build *b = r->b;
    bool tried[sizeof r->offers / sizeof *r->offers] = {false};
    for (int turn = 0; turn < LAYOUTS; turn++) {
        int next = -1;
        for (int i = 0; i < r->n; i++) {
            const bool fits = other + scale * r->offers[i].live <= (double)b->limit;
            if (tried[i]) continue;
            if (fits) {
                next = i;
                break;
            }
            if (next < 0 || r->offers[i].live < r->offers[next].live) next = i;
        }
        if (next < 0) break;
        tried[next] = true;
        size_t needs;
        TRY(lay_out(r, &r->offers[next], &needs));
        context_log(b->context, "plan",
                    "limit of %zu bytes: at %g flops a byte in %g parts, %.3g flops again, %zu bytes are needed",
                    b->limit, prices[r->offers[next].price], parts[r->offers[next].part], r->offers[next].flops, needs);
        if (needs < *best) {
            *best = needs;
            *which = next;
        }
        if (needs <= b->limit) return SOMA_OK;
        const double took = (double)b->plan->arena_bytes; /* gaps between arrays differ */
        if (needs < SIZE_MAX && took > scale * r->offers[next].live) scale = took / r->offers[next].live;
        if (!go_back(b, &r->before)) return SOMA_NO_MEMORY;
    }
    return SOMA_OK;
}

/* "187.3 MB" */
static const char *size_text(build *b, size_t bytes) {
    return bytes < 10 << 20 ? arena_printf(&b->arena, "%.1f kB", (double)bytes / 1e3)
                            : arena_printf(&b->arena, "%.1f MB", (double)bytes / 1e6);
}

static soma_status refuse(build *b, size_t best, size_t whole) {
    const char *least = size_text(b, best), *allowed = size_text(b, b->limit), *most = size_text(b, whole);
    if (!least || !allowed || !most) return SOMA_NO_MEMORY;
    return error_set(b->context, SOMA_NO_MEMORY,
                     "[plan] %s of memory are %s, %s are needed%s%s%s: allow more, or take smaller batches", allowed,
                     b->limit_given ? "allowed" : "all that this machine has", least, best < whole ? ", or " : "",
                     best < whole ? most : "", best < whole ? " if nothing is computed twice" : "");
}

/* Before anything is computed twice: an order that ends values as soon as it can. */
static soma_status reorder(round *r, size_t *best) {
    build *b = r->b;
    b->tight = true;
    if (b->reference) return SOMA_OK;
    if (!look_around(b, &r->s) || !make_chooser(&r->s, &r->c)) return SOMA_NO_MEMORY;
    TRY(copies_make(b, r->s.place, &r->c.choice));
    TRY(plan_lay_out(b));
    *best = plan_needs(b->plan);
    return SOMA_OK;
}

soma_status plan_fit(build *b) {
    const size_t whole = plan_needs(b->plan);
    size_t best = whole;
    if (whole <= b->limit) return SOMA_OK;
    round *r = arena_alloc(&b->arena, sizeof *r);
    if (!r) return SOMA_NO_MEMORY;
    r->b = b;
    TRY(reorder(r, &best));
    for (int i = 0; i < ROUNDS && !b->reference && best > b->limit; i++) {
        const size_t needs = plan_needs(b->plan), start = best;
        int which = -1;
        if (!look_around(b, &r->s) || !make_chooser(&r->s, &r->c) || !remember(b, &r->before)) return SOMA_NO_MEMORY;
        count_flops(&r->s);
        TRY(find_offers(r));
        const double scale = r->s.live > 0 ? (double)b->plan->arena_bytes / r->s.live : 1;
        TRY(try_offers(r, (double)(needs - b->plan->arena_bytes), scale, &best, &which));
        if (best <= b->limit) break;
        if (which < 0 || (double)best > 0.98 * (double)start) break;
        size_t again;
        TRY(lay_out(r, &r->offers[which], &again)); /* and once more from there */
    }
    return best <= b->limit ? SOMA_OK : refuse(b, best, whole);
}
