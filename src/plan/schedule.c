/* Last passes: what each thread does, and where threads have to meet.
 * Rests on the order of steps. What a step does and how it is cut depends on its size alone; steps too small to share
 * stay on the first thread, with no meeting between two of them. */
#include "plan/passes.h"

/* ---- who does what ---- */

enum { OWN_BYTES = 1 << 20, OWN_THREADS = 4 };

typedef struct walk {
    const build *b;
    int step, storage;
    bool good;
} walk;

/* A first step of arithmetic: nothing but inputs and constants are read, and what is written is small. */
static void judge_source(void *user, int storage, bool written) {
    walk *w = user;
    const plan_storage *s = &w->b->plan->storages[storage];
    if (written)
        w->good = w->good && s->kind == STORAGE_ARENA && !s->output && s->bytes <= OWN_BYTES;
    else
        w->good = w->good && (s->kind == STORAGE_INPUT || s->kind == STORAGE_CONSTANT);
}

static void judge_use(void *user, int storage, bool written) {
    (void)written;
    walk *w = user;
    if (storage == w->storage) w->good = false;
}

/* Whoever reads the storage is a product that needs all of it on every thread. */
static void judge_readers(void *user, int storage, bool written) {
    walk *w = user;
    const soma_plan *plan = w->b->plan;
    if (!written) return;
    for (int i = 0; i < plan->n_steps && w->good; i++) {
        const plan_step *s = &plan->steps[i];
        walk uses = {w->b, i, storage, true};
        if (i == w->step) continue;
        const contract *c = s->as.contract;
        if (s->kind == STEP_CONTRACT && c->a == storage && c->b != storage && c->batch == 1 &&
            c->panels >= 2 * plan->threads)
            continue;
        step_uses(s, judge_use, &uses);
        w->good = uses.good;
    }
}

static void make_own(void *user, int storage, bool written) {
    walk *w = user;
    plan_storage *s = &w->b->plan->storages[storage];
    if (!written || s->own) return;
    s->own = true;
    s->own_offset = w->b->plan->own_bytes;
    w->b->plan->own_bytes += (s->bytes + 63) & ~(size_t)63;
}

/* The input as numbers: to convert it once more on every thread costs less than to fetch what another core has just
 * written, and no thread waits for another. */
static void spread(build *b, int index) {
    plan_step *s = &b->plan->steps[index];
    if (s->kind != STEP_MAP || !s->parallel || b->plan->threads < 2 || b->plan->threads > OWN_THREADS) return;
    walk w = {b, index, 0, true};
    step_uses(s, judge_source, &w);
    if (w.good) step_uses(s, judge_readers, &w);
    if (!w.good) return;
    s->everywhere = true;
    step_uses(s, make_own, &w);
}

void plan_schedule(build *b) {
    soma_plan *plan = b->plan;
    plan->threads = 1;
    for (int i = 0; i < plan->n_steps; i++) {
        plan_step *s = &plan->steps[i];
        if (s->kind == STEP_COPY) s->parallel = false;
        if (s->parallel) plan->threads = soma_threads(b->context);
    }
    for (int i = 0; i < plan->n_steps; i++)
        spread(b, i);
}

/* ---- where threads meet ---- */

enum { WINDOW = 32 /* steps without a meeting, at most */, MOST_USES = 64 };

typedef struct use {
    int storage;
    bool written;
} use;

typedef struct use_list {
    use items[MOST_USES];
    int n;
    bool too_many;
} use_list;

static void collect(void *user, int storage, bool written) {
    use_list *l = user;
    if (l->n == MOST_USES)
        l->too_many = true;
    else
        l->items[l->n++] = (use){storage, written};
}

/* Whether two storages share memory that several threads touch. */
static bool same_place(const soma_plan *plan, int i, int k) {
    const plan_storage *a = &plan->storages[i], *b = &plan->storages[k];
    if (i == k) return !a->own;
    if (a->kind != STORAGE_ARENA || b->kind != STORAGE_ARENA) return false;
    return a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

/* Whether one of two steps must be over on all threads before the other begins. A kernel may fail, which all must see
 * before they go on. */
static bool conflict(const soma_plan *plan, const plan_step *s, const use_list *a, const plan_step *t,
                     const use_list *b) {
    if (!s->parallel && !t->parallel) return false;
    if (s->kind == STEP_KERNEL || t->kind == STEP_KERNEL || a->too_many || b->too_many) return true;
    for (int i = 0; i < a->n; i++)
        for (int k = 0; k < b->n; k++)
            if ((a->items[i].written || b->items[k].written) &&
                same_place(plan, a->items[i].storage, b->items[k].storage))
                return true;
    return false;
}

soma_status plan_meetings(build *b) {
    soma_plan *plan = b->plan;
    if (plan->threads == 1) return SOMA_OK;
    use_list *lists = arena_alloc(&b->arena, WINDOW * sizeof *lists); /* of steps since the last meeting */
    if (!lists) return SOMA_NO_MEMORY;
    int first = 0;
    for (int i = 0; i < plan->n_steps; i++) {
        plan_step *s = &plan->steps[i];
        use_list mine = {.n = 0};
        step_uses(s, collect, &mine);
        bool meet = i - first == WINDOW;
        for (int k = first; k < i && !meet; k++)
            meet = conflict(plan, &plan->steps[k], &lists[k - first], s, &mine);
        s->barrier = meet;
        if (meet) first = i;
        lists[i - first] = mine;
    }
    return SOMA_OK;
}
