/* Writes down what small steps call, and makes the calls.
 * Rests on calls.h. While a step is written, an address is the number of its storage, far enough apart that what is
 * added to it tells how far behind; no kernel is called, so nobody looks there. */
#include "plan/calls.h"

#include "base/base.h"

enum {
    PLACE_BITS = 40,
    CALLS_A_STEP = 128 /* a step of more is not small */,
    CALLS_A_PLAN = 4096 /* 0.7 MB; a plan of more takes long enough */
};

/* Storages lie in the middle of their range: an address may be a little before. */
static char *place_of(int base) {
    return (char *)(intptr_t)(((int64_t)base + 1) << PLACE_BITS | (int64_t)1 << (PLACE_BITS - 1));
}

void call_write(call_list *list, kernel_call call, void *result, const void *a, const void *b, const void *c) {
    if (list->n == list->most) list->failed = true;
    if (list->failed) return;
    const void *places[4] = {result, a ? a : result, b ? b : result, c ? c : result};
    for (int i = 0; i < 4; i++) {
        const int64_t place = (int64_t)(intptr_t)places[i];
        call.base[i] = (int)(place >> PLACE_BITS) - 1;
        call.at[i] = place - (int64_t)(intptr_t)place_of(call.base[i]);
    }
    list->calls[list->n++] = call;
}

static inline char *array(const kernel_call *c, int i, void *const *bases) {
    return (char *)bases[c->base[i]] + c->at[i];
}

void calls_run(const kernel_call *calls, int n, void *const *bases) {
    for (const kernel_call *c = calls; c < calls + n; c++) {
        char *to = array(c, 0, bases);
        const char *x = array(c, 1, bases);
        const int64_t *k = c->n;
        switch (c->kind) {
        case CALL_MAP:
            c->by.map(to, x, array(c, 2, bases), array(c, 3, bases), k[0]);
            break;
        case CALL_LOAD:
            c->by.load(to, x, k[0], k[1]);
            break;
        case CALL_STORE:
            c->by.store(to, k[0], x, k[1]);
            break;
        case CALL_REDUCE:
            c->by.reduce(to, x, k[0], k[1], k[2]);
            break;
        case CALL_PICK:
            c->by.real->pick(to, x, k[0], array(c, 2, bases), k[1], k[2]);
            break;
        case CALL_PUT:
            c->by.real->put(to, k[0], x, array(c, 2, bases), k[1], k[2]);
            break;
        case CALL_REPEAT:
            c->by.real->repeat(to, k[0], x, k[1], k[2]);
            break;
        case CALL_ROWS:
            c->by.real->copy_rows(to, k[0], x, k[1], k[2], k[3]);
            break;
        case CALL_TILE:
            c->by.tile(&c->tiles, c->count, x, array(c, 2, bases), to, NULL);
            break;
        case CALL_ROW:
            c->by.real->row(k[0], x, k[1], array(c, 2, bases), k[2], k[3], to, k[4]);
            break;
        case CALL_PACK:
            pack_panel(c->pack, c->by.real, to, x, k[0], k[1], k[2]);
            break;
        case CALL_COPY:
            memcpy(to, x, (size_t)k[0]);
            break;
        }
    }
}

/* The steps that stay on one thread, for they are small, in the plan's order. True if that is all of them. */
static bool write_steps(const soma_plan *plan, const plan_runner *runner, call_list *list) {
    bool all = true;
    for (int i = 0; i < plan->n_steps; i++) {
        plan_step *s = &plan->steps[i];
        const int first = list->n, most = list->most;
        list->failed = s->parallel;
        list->most = (int)minimum(most, first + CALLS_A_STEP);
        if (!s->parallel) plan_run_step(s, runner);
        list->most = most;
        if (list->failed) list->n = first;
        s->n_calls = list->n - first;
        all = all && !list->failed;
    }
    return all;
}

/* Each step's part of the list. */
static soma_status keep(soma_plan *plan, const call_list *list, bool all) {
    if (list->n == 0) return SOMA_OK;
    kernel_call *kept = arena_alloc(&plan->arena, (size_t)list->n * sizeof *kept);
    if (!kept) return SOMA_NO_MEMORY;
    memcpy(kept, list->calls, (size_t)list->n * sizeof *kept);
    if (all && plan->threads == 1) {
        plan->calls = kept;
        plan->n_calls = list->n;
    }
    for (int i = 0; i < plan->n_steps; i++) {
        plan_step *s = &plan->steps[i];
        if (s->n_calls > 0) s->calls = kept;
        kept += s->n_calls;
    }
    return SOMA_OK;
}

soma_status calls_prepare(soma_plan *plan) {
    int64_t small = 0;
    for (int i = 0; i < plan->n_steps; i++)
        small += !plan->steps[i].parallel;
    if (small == 0 || small > CALLS_A_PLAN || sizeof(void *) < sizeof(int64_t)) return SOMA_OK;
    call_list list = {.most = (int)minimum(small * CALLS_A_STEP, CALLS_A_PLAN)};
    soma_plan places = *plan;
    const size_t bytes = (size_t)list.most * sizeof *list.calls;
    const size_t base_bytes = ((size_t)plan->n_storages + 1) * sizeof *places.bases;
    list.calls = mem_alloc(plan->context, bytes);
    places.bases = mem_alloc(plan->context, base_bytes);
    soma_status status = SOMA_NO_MEMORY;
    if (list.calls && places.bases) {
        for (int i = 0; i <= plan->n_storages; i++)
            places.bases[i] = place_of(i);
        plan_runner runner = {.plan = &places, .threads = 1, .scratch = place_of(plan->n_storages), .writing = &list};
        status = keep(plan, &list, write_steps(plan, &runner, &list));
    }
    mem_free(plan->context, list.calls, bytes);
    mem_free(plan->context, places.bases, base_bytes);
    return status;
}
