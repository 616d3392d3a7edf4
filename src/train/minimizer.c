/* The life of minimizers: state beside weights, counters, rates, averages.
 * Rests on minimizer.h; what a step does to all this is in minimizer_step.c.
 * Preparing again keeps what is there, so layers may be frozen and thawed between two fits. */
#include "train/minimizer.h"

#include <string.h>

#include "base/context_internal.h"

static soma_status failure(const soma_minimizer *m) {
    soma_status status = soma_last_status(m->context);
    return status != SOMA_OK ? status : SOMA_INVALID;
}

/* ---- weights ---- */

int minimizer_weights_of(const soma_model *model, weight_state *out) {
    int n = 0;
    for (int i = 0; i < model->n_layers; i++) {
        for (int j = 0; j < model->layers[i]->n_weights; j++) {
            soma_variable *w = model->layers[i]->weights[j].variable;
            if (!w || !w->trainable) continue;
            if (out) out[n] = (weight_state){.weight = w, .constraint = &model->layers[i]->weights[j].spec.constraint};
            n++;
        }
    }
    return n;
}

bool minimizer_fits(const soma_minimizer *m, const soma_model *model) {
    if (!m->learning_rate) return false;
    int n = 0;
    for (int i = 0; i < model->n_layers; i++) {
        for (int j = 0; j < model->layers[i]->n_weights; j++) {
            const soma_variable *w = model->layers[i]->weights[j].variable;
            if (!w || !w->trainable) continue;
            if (n == m->n || m->states[n++].weight != w) return false;
        }
    }
    return n == m->n;
}

/* ---- the state beside them ---- */

static size_t bytes_of(const soma_variable *v) {
    return (size_t)v->size * soma_dtype_size(v->dtype);
}

/* Fills it with a number, or with the values of a weight; variables begin as zeros. */
static soma_status start_slot(const soma_minimizer *m, soma_variable *v, double start, const soma_variable *from) {
    if (start == 0 && !from) return SOMA_OK;
    void *values = mem_alloc(m->context, bytes_of(v));
    if (!values) return SOMA_NO_MEMORY;
    soma_status status = from ? soma_variable_get(from, values, bytes_of(v)) : SOMA_OK;
    for (int64_t i = 0; i < v->size && !from; i++) {
        if (v->dtype == SOMA_F64) {
            ((double *)values)[i] = start;
        } else {
            ((float *)values)[i] = (float)start;
        }
    }
    if (status == SOMA_OK) status = soma_variable_set(v, values, bytes_of(v));
    mem_free(m->context, values, bytes_of(v));
    return status;
}

static soma_variable *make_slot(const soma_minimizer *m, weight_state *state, const soma_slot *slot) {
    const soma_variable *w = state->weight;
    int rank = slot->own_shape ? slot->rank : w->rank;
    const int64_t *shape = slot->own_shape ? slot->shape : w->shape;
    text name;
    text_init(&name, m->context);
    text_printf(&name, "optimizer/%s/%s", w->name, slot->name);
    soma_variable *v = name.failed ? NULL : soma_variable_create(m->context, text_string(&name), w->dtype, rank, shape);
    text_deinit(&name);
    if (!v) return NULL;
    state->slots[state->n++] = v;
    return v;
}

static soma_status make_state(const soma_minimizer *m, weight_state *state) {
    const optimizer_options *o = m->optimizer->options;
    soma_slot slots[SOMA_MAX_SLOTS];
    int count = optimizer_slots(m->optimizer, state->weight, slots);
    RETURN_IF(m->context, count < 0 || count > SOMA_MAX_SLOTS, SOMA_INVALID, "[%s] %d slots: from 0 to %d are possible",
              m->optimizer->kind->name, count, SOMA_MAX_SLOTS);
    for (int i = 0; i < count; i++) {
        soma_variable *v = make_slot(m, state, &slots[i]);
        if (!v) return failure(m);
        TRY(start_slot(m, v, slots[i].start, NULL));
    }
    state->n_own = count;
    if (o->gradient_accumulation_steps > 1) {
        state->sum = make_slot(m, state, &(soma_slot){.name = "gradient_accumulator"});
        if (!state->sum) return failure(m);
    }
    if (!o->use_ema) return SOMA_OK;
    state->average = make_slot(m, state, &(soma_slot){.name = "average"});
    return state->average ? start_slot(m, state->average, 0, state->weight) : failure(m);
}

static void free_state(const weight_state *state) {
    for (int i = 0; i < state->n; i++)
        soma_variable_destroy(state->slots[i]);
}

/* Hands the state of a weight over from the old list, where it then has none. */
static void take_over(soma_minimizer *m, weight_state *state) {
    for (int i = 0; i < m->n; i++) {
        if (m->states[i].weight != state->weight || m->states[i].n == 0) continue;
        const soma_constraint *constraint = state->constraint;
        *state = m->states[i];
        state->constraint = constraint;
        m->states[i].n = 0;
        return;
    }
}

static soma_status make_states(soma_minimizer *m, const weight_state *weights, int n) {
    weight_state *states = mem_zalloc(m->context, (size_t)n * sizeof *states);
    if (!states) return SOMA_NO_MEMORY;
    soma_status status = SOMA_OK;
    for (int i = 0; i < n; i++) {
        states[i] = (weight_state){.weight = weights[i].weight, .constraint = weights[i].constraint};
        take_over(m, &states[i]);
        if (status == SOMA_OK && states[i].n == 0) status = make_state(m, &states[i]);
    }
    for (int i = 0; i < m->n; i++)
        free_state(&m->states[i]);
    mem_free(m->context, m->states, (size_t)m->n * sizeof *m->states);
    m->states = states;
    m->n = n;
    return status;
}

/* The steps' counter and the rate, which has the dtype of the weights so that no update has to convert it. */
static soma_status make_counters(soma_minimizer *m) {
    soma_dtype dtype = m->n > 0 ? m->states[0].weight->dtype : SOMA_F32;
    if (m->learning_rate) return SOMA_OK;
    if (!m->iterations)
        m->iterations = soma_variable_create(m->context, "optimizer/iterations", SOMA_I64, SOMA_SCALAR_DIMS);
    m->learning_rate = soma_variable_create(m->context, "optimizer/learning_rate", dtype, SOMA_SCALAR_DIMS);
    if (!m->iterations || !m->learning_rate) return failure(m);
    m->iterations->trainable = m->learning_rate->trainable = false;
    return minimizer_set_rate(m, m->optimizer->options->learning_rate);
}

soma_status minimizer_prepare(soma_minimizer *m, const weight_state *weights, int n) {
    soma_status status = make_states(m, weights, n);
    if (status == SOMA_OK) status = make_counters(m);
    if (status != SOMA_OK) {
        minimizer_clear(m);
        return status;
    }
    m->count = m->bytes = 0;
    const soma_variable *v;
    for (int i = 0; (v = soma_minimizer_variable(m, i)) != NULL; i++) {
        m->count += v->size;
        m->bytes += (int64_t)bytes_of(v);
    }
    return SOMA_OK;
}

void minimizer_clear(soma_minimizer *m) {
    for (int i = 0; i < m->n; i++)
        free_state(&m->states[i]);
    mem_free(m->context, m->states, (size_t)m->n * sizeof *m->states);
    m->states = NULL;
    m->n = 0;
    soma_variable_destroy(m->iterations);
    soma_variable_destroy(m->learning_rate);
    m->iterations = m->learning_rate = NULL;
    m->count = m->bytes = 0;
}

soma_variable *soma_minimizer_variable(const soma_minimizer *m, int i) {
    if (!m || i < 0 || !m->learning_rate) return NULL;
    if (i < 2) return i == 0 ? m->iterations : m->learning_rate;
    i -= 2;
    for (int k = 0; k < m->n; k++) {
        if (i < m->states[k].n) return m->states[k].slots[i];
        i -= m->states[k].n;
    }
    return NULL;
}

/* ---- counters ---- */

static int64_t iterations(const soma_minimizer *m) {
    int64_t done = 0;
    if (m->iterations && soma_variable_get(m->iterations, &done, sizeof done) != SOMA_OK) return 0;
    return done;
}

int64_t minimizer_updates(const soma_minimizer *m) {
    int64_t group = m->optimizer ? m->optimizer->options->gradient_accumulation_steps : 0;
    return iterations(m) / (group > 1 ? group : 1);
}

soma_status minimizer_set_rate(const soma_minimizer *m, double rate) {
    float single = (float)rate;
    if (m->learning_rate->dtype == SOMA_F64) return soma_variable_set(m->learning_rate, &rate, sizeof rate);
    return soma_variable_set(m->learning_rate, &single, sizeof single);
}

double minimizer_rate(const soma_minimizer *m) {
    const soma_schedule *schedule = &m->optimizer->options->schedule;
    if (schedule->rate) return schedule->rate((double)iterations(m), schedule->parameters, schedule->n);
    if (!m->learning_rate) return m->optimizer->options->learning_rate;
    double rate = 0;
    float single = 0;
    bool wide = m->learning_rate->dtype == SOMA_F64;
    soma_status status = wide ? soma_variable_get(m->learning_rate, &rate, sizeof rate)
                              : soma_variable_get(m->learning_rate, &single, sizeof single);
    if (status != SOMA_OK) return 0;
    return wide ? rate : (double)single;
}

soma_status soma_minimizer_follow_schedule(soma_minimizer *m) {
    RETURN_IF(NULL, !m, SOMA_INVALID, "[minimizer] none given");
    return m->optimizer->options->schedule.rate ? minimizer_set_rate(m, minimizer_rate(m)) : SOMA_OK;
}

/* ---- averages ---- */

/* b gets a's values; exchange: and a gets b's. */
static soma_status copy(soma_context *context, soma_variable *a, soma_variable *b, bool exchange) {
    size_t bytes = bytes_of(a);
    char *values = mem_alloc(context, 2 * bytes);
    if (!values) return SOMA_NO_MEMORY;
    soma_status status = soma_variable_get(a, values, bytes);
    if (status == SOMA_OK) status = soma_variable_get(b, values + bytes, bytes);
    if (status == SOMA_OK) status = soma_variable_set(b, values, bytes);
    if (status == SOMA_OK && exchange) status = soma_variable_set(a, values + bytes, bytes);
    mem_free(context, values, 2 * bytes);
    return status;
}

/* The weights are the averages, wherever these are now. */
soma_status minimizer_finalize(soma_minimizer *m) {
    for (int i = 0; i < m->n; i++) {
        soma_variable *w = m->states[i].weight, *average = m->states[i].average;
        if (average) TRY(m->swapped ? copy(m->context, w, average, false) : copy(m->context, average, w, false));
    }
    m->swapped = false;
    return SOMA_OK;
}

soma_status minimizer_swap_averages(soma_minimizer *m) {
    for (int i = 0; i < m->n; i++) {
        if (m->states[i].average) TRY(copy(m->context, m->states[i].average, m->states[i].weight, true));
    }
    m->swapped = !m->swapped;
    return SOMA_OK;
}

/* ---- by themselves ---- */

static soma_minimizer *create(soma_optimizer *optimizer, soma_context *context, const weight_state *weights, int n) {
    soma_minimizer *m = mem_zalloc(context, sizeof *m);
    if (!m) {
        soma_optimizer_destroy(optimizer);
        return NULL;
    }
    *m = (soma_minimizer){.context = context, .optimizer = optimizer};
    if (minimizer_prepare(m, weights, n) == SOMA_OK) return m;
    soma_minimizer_destroy(m);
    return NULL;
}

/* The optimizer, or rmsprop where none is given; NULL where one could not be made. */
static soma_optimizer *given(soma_optimizer *optimizer, soma_context *context) {
    if (!optimizer) optimizer = soma_rmsprop(.context = context);
    return optimizer_failed(optimizer) ? NULL : optimizer;
}

soma_minimizer *soma_minimizer_create(soma_optimizer *optimizer, soma_model *model) {
    if (!model || !model->built) {
        (void)error_set(model ? model->context : NULL, SOMA_INVALID,
                        "[minimizer] no model given, or one that has no weights yet: give the first layer an "
                        ".input_shape");
        soma_optimizer_destroy(optimizer);
        return NULL;
    }
    optimizer = given(optimizer, model->context);
    if (!optimizer) return NULL;
    int n = minimizer_weights_of(model, NULL);
    weight_state *weights = mem_alloc(model->context, (size_t)n * sizeof *weights);
    if (!weights) {
        soma_optimizer_destroy(optimizer);
        return NULL;
    }
    (void)minimizer_weights_of(model, weights);
    soma_minimizer *m = create(optimizer, model->context, weights, n);
    mem_free(model->context, weights, (size_t)n * sizeof *weights);
    return m;
}

soma_minimizer *soma_minimizer_create_for(soma_optimizer *optimizer, soma_variable *const *variables, int n) {
    bool ok = variables && n > 0;
    for (int i = 0; ok && i < n; i++)
        ok = variables[i] && (variables[i]->dtype == SOMA_F32 || variables[i]->dtype == SOMA_F64);
    soma_context *context = context_of(ok ? variables[0]->context : NULL);
    if (!ok) (void)error_set(context, SOMA_INVALID, "[minimizer] float32 or float64 variables are needed");
    optimizer = given(optimizer, context);
    weight_state *weights = ok && optimizer ? mem_zalloc(context, (size_t)n * sizeof *weights) : NULL;
    if (!weights) {
        soma_optimizer_destroy(optimizer);
        return NULL;
    }
    for (int i = 0; i < n; i++)
        weights[i].weight = variables[i];
    soma_minimizer *m = create(optimizer, context, weights, n);
    mem_free(context, weights, (size_t)n * sizeof *weights);
    return m;
}

void soma_minimizer_destroy(soma_minimizer *m) {
    if (!m) return;
    minimizer_clear(m);
    soma_optimizer_destroy(m->optimizer);
    mem_free(m->context, m, sizeof *m);
}
