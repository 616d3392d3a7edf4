/* What a step touches: every storage it reads or writes; and before there are steps, what a node reads.
 * Rests on passes.h. The one list of it: lifetimes in memory and the meetings of threads follow from it. */
#include "plan/passes.h"

static void program_uses(const tile_program *p, storage_fn *f, void *user) {
    for (int i = 0; i < p->n_accesses; i++) {
        bool written = false;
        for (int k = 0; k < p->n_stores; k++)
            written = written || p->instructions[p->stores[k]].access == i;
        if (p->accesses[i].storage >= 0) f(user, p->accesses[i].storage, written);
    }
}

void step_uses(const plan_step *s, storage_fn *f, void *user) {
    switch (s->kind) {
    case STEP_MAP:
        program_uses(&s->as.map, f, user);
        break;
    case STEP_CONTRACT:
        f(user, s->as.contract->a, false);
        f(user, s->as.contract->b, false);
        if (s->as.contract->partial >= 0) f(user, s->as.contract->partial, true);
        program_uses(&s->as.contract->epilogue, f, user);
        break;
    case STEP_REDUCE:
        if (s->as.reduction->partial >= 0) f(user, s->as.reduction->partial, true);
        program_uses(&s->as.reduction->pre, f, user);
        program_uses(&s->as.reduction->post, f, user);
        break;
    case STEP_PACK:
        f(user, s->as.pack.source, false);
        f(user, s->as.pack.destination, true);
        break;
    case STEP_KERNEL:
        for (int k = 0; k < s->as.kernel.n_inputs; k++) /* -1: already in its place */
            if (s->as.kernel.storages[k] >= 0) f(user, s->as.kernel.storages[k], false);
        f(user, s->as.kernel.destination, true);
        break;
    case STEP_COPY:
        f(user, s->as.copy.from, false);
        f(user, s->as.copy.to, true);
        break;
    }
}

static void sources_for(const build *b, int reader, const soma_tensor *t, source_fn *f, void *user) {
    for (int i = 0; i < t->n_inputs; i++) {
        const soma_tensor *x = t->inputs[i];
        while (b->infos[x->id].role == ROLE_VIEW)
            x = x->inputs[0];
        const node_info *info = &b->infos[x->id];
        if (info->role == ROLE_INLINE || (info->role == ROLE_MEMBER && info->anew && info->group != reader))
            sources_for(b, reader, x, f, user);
        else
            f(user, x);
    }
}

void node_sources(const build *b, const soma_tensor *t, source_fn *f, void *user) {
    sources_for(b, b->infos[t->id].group, t, f, user);
}

double node_bytes(const build *b, const soma_tensor *t) {
    const node_info *info = &b->infos[t->id];
    if (info->role != ROLE_MEMBER || !info->stored || info->into || info->within) return 0;
    return (double)shape_size(t->rank, t->shape) * (double)soma_dtype_size(info->bfloat ? SOMA_BF16 : t->dtype);
}
