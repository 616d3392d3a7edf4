/* Generating tokens: the most probable, drawn, or by beams.
 * Rests on the stepper, which gives log probabilities of the next token for each sequence, and on Philox for draws.
 * Candidates are sorted by probability, the lower token first among equals, so results repeat. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <soma/generate.h>

#include "base/philox.h"
#include "nn/model.h"

typedef struct candidate {
    double score; /* of the sequence so far: the sum of its log probabilities */
    int64_t beam, token;
} candidate;

typedef struct generation {
    const soma_generate_options *o;
    soma_model *model;
    soma_stepper *stepper;
    soma_dtype dtype;
    int64_t beams, tokens; /* sequences; tokens there are to choose from */
    int64_t *x;            /* by beam: what goes in next */
    int64_t *parents;
    double *scores;         /* by beam */
    int64_t *texts, *other; /* (beams, max_tokens), as they are and as they become */
    int64_t *lengths, *other_lengths;
    candidate *candidates; /* beams * tokens */
    double *logs;          /* by token */
    void *memory;
    size_t bytes;
} generation;

static int by_score(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    if (x->beam != y->beam) return x->beam < y->beam ? -1 : 1;
    return x->token < y->token ? -1 : x->token > y->token;
}

/* ---- one sequence's next token ---- */

/* Log probabilities of sequence number beam, from what the model gave. */
static void read_logs(generation *g, const void *y, int64_t beam) {
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < g->tokens; i++) {
        int64_t at = beam * g->tokens + i;
        double v = g->dtype == SOMA_F64 ? ((const double *)y)[at] : (double)((const float *)y)[at];
        g->logs[i] = g->o->from_logits ? v : log(v);
        if (g->logs[i] > most) most = g->logs[i];
    }
    if (!g->o->from_logits || !isfinite(most)) return;
    for (int64_t i = 0; i < g->tokens; i++)
        sum += exp(g->logs[i] - most);
    for (int64_t i = 0; i < g->tokens; i++)
        g->logs[i] -= most + log(sum);
}

/* logs as candidates, the most probable first. */
static void sort_tokens(generation *g) {
    for (int64_t i = 0; i < g->tokens; i++)
        g->candidates[i] = (candidate){g->logs[i], 0, i};
    qsort(g->candidates, (size_t)g->tokens, sizeof *g->candidates, by_score);
}

static int64_t draw(generation *g, int64_t number) {
    const soma_generate_options *o = g->o;
    sort_tokens(g);
    if (!(o->temperature > 0)) return g->candidates[0].token;
    int64_t n = o->top_k > 0 && o->top_k < g->tokens ? o->top_k : g->tokens;
    double sum = 0, so_far = 0;
    for (int64_t i = 0; i < n; i++) {
        g->candidates[i].score = exp((g->candidates[i].score - g->logs[g->candidates[0].token]) / o->temperature);
        sum += g->candidates[i].score;
    }
    double limit = o->top_p > 0 && o->top_p < 1 ? o->top_p * sum : sum;
    for (int64_t i = 0; i < n; i++) {
        so_far += g->candidates[i].score;
        if (so_far < limit) continue;
        n = i + 1;
        sum = so_far;
    }
    double u = philox_uniform(o->seed, 0, (uint64_t)number) * sum;
    for (int64_t i = 0; i + 1 < n; i++) {
        if (u < g->candidates[i].score) return g->candidates[i].token;
        u -= g->candidates[i].score;
    }
    return g->candidates[n - 1].token;
}

/* ---- beams ---- */

static bool ended(const generation *g, int64_t beam) {
    return g->o->stop_token != 0 && g->x[beam] == g->o->stop_token;
}

/* Every way to go on from every beam; what has ended goes on with nothing more. */
static int64_t spread(generation *g, const void *y, bool first) {
    int64_t n = 0;
    for (int64_t b = 0; b < (first ? 1 : g->beams); b++) { /* at first all beams are alike */
        if (!first && ended(g, b)) {
            g->candidates[n++] = (candidate){g->scores[b], b, g->o->stop_token};
            continue;
        }
        read_logs(g, y, b);
        for (int64_t i = 0; i < g->tokens; i++)
            g->candidates[n++] = (candidate){g->scores[b] + g->logs[i], b, i};
    }
    qsort(g->candidates, (size_t)n, sizeof *g->candidates, by_score);
    return n;
}

/* The best candidates become the beams; true when all have ended. */
static bool keep_best(generation *g, int64_t n) {
    int64_t most = g->o->max_tokens;
    bool all = true;
    for (int64_t b = 0; b < g->beams; b++) {
        const candidate *c = &g->candidates[b < n ? b : n - 1];
        g->parents[b] = c->beam;
        g->scores[b] = b < n ? c->score : -INFINITY;
        int64_t length = g->lengths[c->beam];
        memcpy(g->other + b * most, g->texts + c->beam * most, (size_t)length * sizeof *g->texts);
        if (g->o->stop_token == 0 || c->token != g->o->stop_token) g->other[b * most + length++] = c->token;
        g->other_lengths[b] = length;
    }
    for (int64_t b = 0; b < g->beams; b++) {
        g->x[b] = g->candidates[b < n ? b : n - 1].token;
        all = all && ended(g, b);
    }
    int64_t *texts = g->texts, *lengths = g->lengths;
    g->texts = g->other;
    g->lengths = g->other_lengths;
    g->other = texts;
    g->other_lengths = lengths;
    return all;
}

/* ---- the whole ---- */

static soma_status read_prompt(generation *g, const void **y) {
    for (int64_t t = 0; t < g->o->n_prompt; t++) {
        for (int64_t b = 0; b < g->beams; b++)
            g->x[b] = g->o->prompt[t];
        TRY(soma_stepper_run(g->stepper, g->x, y));
    }
    return SOMA_OK;
}

static soma_status by_beams(generation *g) {
    const void *y;
    TRY(read_prompt(g, &y));
    for (int64_t t = 0; t < g->o->max_tokens; t++) {
        if (keep_best(g, spread(g, y, t == 0)) || t + 1 == g->o->max_tokens) break;
        TRY(soma_stepper_select(g->stepper, g->parents));
        TRY(soma_stepper_run(g->stepper, g->x, &y));
    }
    return SOMA_OK;
}

static soma_status one_by_one(generation *g) {
    const void *y;
    TRY(read_prompt(g, &y));
    for (int64_t t = 0; t < g->o->max_tokens; t++) {
        read_logs(g, y, 0);
        g->x[0] = draw(g, t);
        if (ended(g, 0)) break;
        g->texts[g->lengths[0]++] = g->x[0];
        if (t + 1 < g->o->max_tokens) TRY(soma_stepper_run(g->stepper, g->x, &y));
    }
    return SOMA_OK;
}

/* All arrays in one block. */
static soma_status make_room(generation *g) {
    size_t beams = (size_t)g->beams, tokens = (size_t)g->tokens, texts, all, bytes;
    bool fits = size_mul(beams, (size_t)g->o->max_tokens, &texts) && size_mul(beams, tokens, &all) &&
                size_mul(2 * texts, sizeof(int64_t), &bytes) && size_mul(all, sizeof(candidate), &all);
    if (!fits) return SOMA_NO_MEMORY;
    g->bytes = all + bytes + tokens * sizeof(double) + beams * (4 * sizeof(int64_t) + sizeof(double));
    g->memory = mem_zalloc(g->model->context, g->bytes);
    if (!g->memory) return SOMA_NO_MEMORY;
    g->candidates = g->memory;
    g->logs = (double *)(void *)((char *)g->memory + all);
    g->scores = g->logs + tokens;
    g->texts = (int64_t *)(void *)(g->scores + beams);
    g->other = g->texts + texts;
    g->x = g->other + texts;
    g->parents = g->x + beams;
    g->lengths = g->parents + beams;
    g->other_lengths = g->lengths + beams;
    return SOMA_OK;
}

static soma_status run(generation *g) {
    const soma_generate_options *o = g->o;
    g->stepper = soma_stepper_create(g->model, g->beams, o->n_prompt + o->max_tokens - 1);
    if (!g->stepper) return soma_last_status(g->model->context);
    g->tokens = soma_stepper_outputs(g->stepper);
    g->dtype = soma_stepper_dtype(g->stepper);
    TRY(make_room(g));
    return g->beams > 1 ? by_beams(g) : one_by_one(g);
}

soma_status soma_model_generate(soma_model *model, const soma_generate_options *o, int64_t *tokens, int64_t *n) {
    RETURN_IF(NULL, !model || !o || !tokens || !n, SOMA_INVALID, "[generate] no model or no room given");
    RETURN_IF(model->context, !o->prompt || o->n_prompt < 1 || o->max_tokens < 1, SOMA_INVALID,
              "[generate] it needs a prompt of one token or more, and max_tokens");
    RETURN_IF(model->context, !model->built || model->values[model->inputs[0]].rank != 1, SOMA_UNSUPPORTED,
              "[generate] the model must be built, for samples that are (steps) of tokens");
    generation g = {.o = o, .model = model, .beams = o->num_beams > 1 ? o->num_beams : 1};
    soma_status status = run(&g);
    if (status == SOMA_OK) {
        *n = g.lengths[0];
        memcpy(tokens, g.texts, (size_t)*n * sizeof *tokens);
    }
    mem_free(model->context, g.memory, g.bytes);
    soma_stepper_destroy(g.stepper);
    return status;
}
