/* A minimizer's step as tensors: gradients scaled and gathered, the optimizer's update, averages, constraints.
 * Rests on minimizer.h. Everything is part of the caller's plan, where it fuses with the gradients.
 * With gathered gradients every new value is computed in every step and taken in one of them: which step it is, is not
 * known when the plan is made. */
#include <math.h>
#include <string.h>

#include "train/minimizer.h"

/* What a step knows of time: tensors of rank 0. */
typedef struct moment {
    soma_tensor *count;  /* steps with this one, int64 */
    soma_tensor *update; /* updates with this one, float64-exact int64: 1 in the first */
    soma_tensor *turn;   /* bool: the weights change now; NULL: always */
    soma_tensor *rate;
} moment;

static soma_tensor *whole(soma_graph *graph, int64_t value) {
    return soma_scalar(graph, SOMA_I64, (double)value);
}

/* Whether x is a multiple of n. */
static soma_tensor *divides(soma_graph *graph, int64_t n, soma_tensor *x) {
    return soma_equal(soma_mod(x, whole(graph, n)), whole(graph, 0));
}

/* Steps before this one, in groups of n, and this group: floor(before / n) + 1. The quotient of a multiple is exact. */
static soma_tensor *group_number(soma_graph *graph, int64_t n, soma_tensor *before) {
    soma_tensor *full = soma_cast(soma_sub(before, soma_mod(before, whole(graph, n))), SOMA_F64);
    soma_tensor *divisor = soma_scalar(graph, SOMA_F64, (double)n);
    return soma_add(soma_cast(soma_div(full, divisor), SOMA_I64), whole(graph, 1));
}

static soma_status moment_of(const soma_minimizer *m, soma_graph *graph, moment *out) {
    int64_t group = m->optimizer->options->gradient_accumulation_steps;
    soma_tensor *before = soma_weight(graph, m->iterations);
    *out = (moment){.count = soma_add(before, whole(graph, 1)), .rate = soma_read(graph, m->learning_rate)};
    out->update = group > 1 ? group_number(graph, group, before) : out->count;
    out->turn = group > 1 ? divides(graph, group, out->count) : NULL;
    bool ok = out->count && out->rate && out->update && (out->turn || group <= 1);
    soma_status status = soma_last_status(m->context);
    return ok ? SOMA_OK : status != SOMA_OK ? status : SOMA_INVALID;
}

/* A new value where it is its turn. */
static soma_tensor *in_turn(const moment *now, soma_tensor *after, soma_tensor *before) {
    return now->turn && after ? soma_where(now->turn, after, before) : after;
}

static bool put(soma_tensor **targets, int *n, soma_variable *variable, soma_tensor *value) {
    soma_tensor *assign = value ? soma_assign(variable, soma_cast(value, variable->dtype)) : NULL;
    if (assign) targets[(*n)++] = assign;
    return assign != NULL;
}

/* The average after the update, and in *w the weight, which may become the average. The first average is the weight. */
static soma_tensor *average(const optimizer_options *o, const moment *now, soma_graph *graph, soma_tensor *before,
                            soma_tensor **w) {
    if (!before || !*w) return NULL;
    soma_tensor *later = soma_cast(soma_greater(now->update, whole(graph, 1)), before->dtype);
    soma_tensor *momentum = soma_mul_scalar(later, o->ema_momentum);
    soma_tensor *share = soma_add_scalar(soma_neg(momentum), 1);
    soma_tensor *after = soma_add(soma_mul(before, momentum), soma_mul(*w, share));
    if (o->ema_overwrite_frequency > 0)
        *w = soma_where(divides(graph, o->ema_overwrite_frequency, now->update), after, *w);
    return after;
}

/* The assignments of one weight and its state; sum: of the gradients gathered so far, with this one. */
static bool update_weight(const soma_minimizer *m, const weight_state *state, const moment *now, soma_tensor *w,
                          soma_tensor *g, soma_tensor *sum, soma_tensor **targets, int *n) {
    soma_graph *graph = w->graph;
    soma_tensor *before[MINIMIZER_SLOTS] = {NULL}, *mean = NULL;
    soma_update u = {.graph = graph,
                     .variable = state->weight,
                     .learning_rate = soma_cast(now->rate, w->dtype),
                     .t = soma_cast(now->update, w->dtype),
                     .w = w,
                     .g = soma_cast(g, w->dtype)};
    for (int i = 0; i < state->n_own; i++)
        u.slots[i] = before[i] = soma_read(graph, state->slots[i]);
    soma_tensor *after = optimizer_update(m->optimizer, &u);
    soma_tensor *old_mean = state->average ? soma_read(graph, state->average) : NULL;
    if (state->average) mean = average(m->optimizer->options, now, graph, old_mean, &after);
    const soma_constraint *constraint = state->constraint;
    if (after && constraint && constraint->apply) after = constraint->apply(after, constraint->parameters);
    if (!put(targets, n, state->weight, in_turn(now, after, w))) return false;
    for (int i = 0; i < state->n_own; i++) {
        if (!put(targets, n, state->slots[i], in_turn(now, u.slots[i], before[i]))) return false;
    }
    if (state->sum && !put(targets, n, state->sum,
                           in_turn(now, soma_scalar(graph, state->sum->dtype, 0), soma_cast(sum, state->sum->dtype))))
        return false;
    return !state->average || put(targets, n, state->average, in_turn(now, mean, old_mean));
}

soma_tensor *minimizer_scale(const soma_minimizer *m, soma_tensor *loss) {
    double factor = m->optimizer->options->loss_scale_factor;
    return factor > 0 ? soma_mul_scalar(loss, factor) : loss;
}

/* Undoes the scale of the loss, adds what was gathered before, clips. sums[i] are the sums. */
static soma_status gather(const soma_minimizer *m, soma_graph *graph, soma_tensor **g, soma_tensor **sums) {
    const optimizer_options *o = m->optimizer->options;
    for (int i = 0; i < m->n; i++) {
        if (o->loss_scale_factor > 0 && g[i])
            g[i] = soma_div(g[i], soma_scalar(graph, g[i]->dtype, o->loss_scale_factor));
        if (!m->states[i].sum || !g[i]) continue;
        sums[i] = soma_add(soma_read(graph, m->states[i].sum), g[i]);
        g[i] = soma_mul_scalar(sums[i], 1 / (double)o->gradient_accumulation_steps);
    }
    return optimizer_clip(m->optimizer, g, m->n);
}

soma_status minimizer_step(const soma_minimizer *m, soma_graph *graph, soma_tensor *const *w, soma_tensor **g,
                           soma_tensor **targets, int *n) {
    soma_tensor **sums = arena_alloc(&graph->arena, (size_t)m->n * sizeof *sums);
    if (!sums) return SOMA_NO_MEMORY;
    TRY(gather(m, graph, g, sums));
    moment now;
    TRY(moment_of(m, graph, &now));
    bool ok = put(targets, n, m->iterations, now.count);
    for (int i = 0; ok && i < m->n; i++)
        ok = w[i] && g[i] && update_weight(m, &m->states[i], &now, w[i], g[i], sums[i], targets, n);
    soma_status status = soma_last_status(m->context);
    return ok ? SOMA_OK : status != SOMA_OK ? status : SOMA_INVALID;
}

/* ---- steps of one's own ---- */

int soma_minimizer_targets(const soma_minimizer *m) {
    int n = m ? 1 : 0;
    for (int i = 0; m && i < m->n; i++)
        n += 1 + m->states[i].n;
    return n;
}

soma_tensor *soma_minimizer_step_number(soma_minimizer *m, soma_graph *graph) {
    return m ? soma_weight(graph, m->iterations) : NULL;
}

/* Room for two lists in the graph. */
static soma_tensor **lists(const soma_minimizer *m, soma_graph *graph) {
    return arena_alloc(&graph->arena, 2 * (size_t)m->n * sizeof(soma_tensor *));
}

soma_status soma_minimize(soma_minimizer *m, soma_tensor *loss, soma_tensor **targets) {
    RETURN_IF(m ? m->context : NULL, !m || !targets, SOMA_INVALID, "[minimize] no minimizer or no targets given");
    if (!loss) return soma_last_status(m->context) != SOMA_OK ? soma_last_status(m->context) : SOMA_INVALID;
    soma_tensor **w = lists(m, loss->graph), **g = w ? w + m->n : NULL;
    if (!w) return SOMA_NO_MEMORY;
    for (int i = 0; i < m->n; i++)
        w[i] = soma_weight(loss->graph, m->states[i].weight);
    TRY(soma_grad(minimizer_scale(m, loss), w, m->n, g));
    int n = 0;
    return minimizer_step(m, loss->graph, w, g, targets, &n);
}

soma_status soma_minimize_by(soma_minimizer *m, soma_tensor *const *gradients, soma_tensor **targets) {
    RETURN_IF(m ? m->context : NULL, !m || !gradients || !targets || m->n == 0, SOMA_INVALID,
              "[minimize] no minimizer, gradients or targets given");
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    for (int i = 0; i < m->n; i++) {
        const soma_variable *v = m->states[i].weight;
        if (!gradients[i]) return soma_last_status(m->context) != SOMA_OK ? soma_last_status(m->context) : SOMA_INVALID;
        RETURN_IF(m->context, !shape_equal(gradients[i]->rank, gradients[i]->shape, v->rank, v->shape), SOMA_SHAPE,
                  "[minimize] gradient %d is %s for %s %s", i, tensor_shape_text(a, gradients[i]), v->name,
                  shape_text(b, v->rank, v->shape));
    }
    soma_graph *graph = gradients[0]->graph;
    soma_tensor **w = lists(m, graph), **g = w ? w + m->n : NULL;
    if (!w) return SOMA_NO_MEMORY;
    for (int i = 0; i < m->n; i++) {
        w[i] = soma_weight(graph, m->states[i].weight);
        g[i] = m->optimizer->options->loss_scale_factor > 0
                   ? soma_mul_scalar(gradients[i], m->optimizer->options->loss_scale_factor)
                   : gradients[i];
    }
    int n = 0;
    return minimizer_step(m, graph, w, g, targets, &n);
}
