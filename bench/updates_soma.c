/* What moves more than it computes, by Soma: softmax, layer normalization, cross-entropy with its gradient, and the
 * updates of RMSprop and Adam. Rests on soma.h. A line "what rows columns seconds" is answered by "seconds-a-run"; what
 * came out is checked first. Inputs are arrays of the user's, read where they lie; the number of threads is
 * SOMA_THREADS. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <soma/soma.h>

#include "worker.h"

typedef struct work {
    int64_t rows, columns;
    float *data;     /* x, or the gradient */
    int64_t *labels; /* NULL */
    soma_graph *graph;
    soma_model *net;
    soma_variable *weight;
    soma_minimizer *minimizer;
    soma_tensor *x, *y;
    soma_plan *plan;
} work;

static bool fill(work *w) {
    const int64_t n = w->rows * w->columns;
    w->data = aligned_alloc(64, ((size_t)n * sizeof(float) + 127) & ~(size_t)63);
    w->labels = malloc((size_t)w->rows * sizeof *w->labels);
    uint32_t seed = 1;
    for (int64_t i = 0; w->data && i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        w->data[i] = (float)(seed >> 8) / 4194304.0f - 2;
    }
    for (int64_t i = 0; w->labels && i < w->rows; i++)
        w->labels[i] = i * 7919 % w->columns;
    return w->data && w->labels;
}

static bool plan(work *w, soma_tensor **targets, int n) {
    w->plan = soma_plan_create(targets, n, NULL);
    return w->plan && !soma_plan_bind(w->plan, w->x, w->data) && (!w->y || !soma_plan_bind(w->plan, w->y, w->labels));
}

/* ---- softmax ---- */

static bool make_softmax(work *w) {
    soma_tensor *y = soma_softmax_axis(w->x, -1);
    return plan(w, &y, 1);
}

/* Each row of y sums to 1, and elements of one are as far apart as x says. */
static bool check_softmax(work *w) {
    const float *y = soma_plan_output(w->plan, 0);
    for (int64_t r = 0; r < w->rows; r += 1 + w->rows / 7) {
        const float *p = y + r * w->columns, *x = w->data + r * w->columns;
        double sum = 0;
        for (int64_t i = 0; i < w->columns; i++)
            sum += (double)p[i];
        const int64_t i = w->columns - 1;
        const double ratio = (double)p[i] / (double)p[0] / exp((double)x[i] - (double)x[0]);
        if (!(fabs(sum - 1) < 1e-4 && fabs(ratio - 1) < 1e-4)) return false;
    }
    return true;
}

/* ---- layer normalization ---- */

static bool make_normalization(work *w) {
    w->net = soma_sequential(soma_layer_normalization(.epsilon = 1e-5, .input_shape = {w->columns}));
    soma_tensor *y;
    return w->net && !soma_model_apply(w->net, &w->x, 1, false, &y) && plan(w, &y, 1);
}

static bool check_normalization(work *w) {
    const float *y = soma_plan_output(w->plan, 0);
    for (int64_t r = 0; r < w->rows; r += 1 + w->rows / 7) {
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < w->columns; i++) {
            const double v = (double)y[r * w->columns + i];
            sum += v;
            squares += v * v;
        }
        const double n = (double)w->columns;
        if (!(fabs(sum / n) < 1e-4 && fabs(squares / n - 1) < 1e-3)) return false;
    }
    return true;
}

/* ---- cross-entropy of logits, and its gradient ---- */

static bool make_crossentropy(work *w) {
    w->y = soma_input(w->graph, SOMA_I64, SOMA_DIMS(w->rows), "y");
    soma_tensor *targets[2];
    targets[0] = soma_mean(soma_sparse_categorical_crossentropy_from_logits(w->y, w->x), SOMA_ALL_AXES, false);
    return !soma_grad(targets[0], &w->x, 1, targets + 1) && plan(w, targets, 2);
}

/* A row's gradient sums to 0, and is negative at its label alone. */
static bool check_crossentropy(work *w) {
    const float *loss = soma_plan_output(w->plan, 0), *dx = soma_plan_output(w->plan, 1);
    if (!(*loss > 0)) return false;
    for (int64_t r = 0; r < w->rows; r += 1 + w->rows / 7) {
        double sum = 0;
        int64_t negative = 0;
        for (int64_t i = 0; i < w->columns; i++) {
            sum += (double)dx[r * w->columns + i];
            negative += dx[r * w->columns + i] < 0;
        }
        if (!(fabs(sum) * (double)w->rows < 1e-4 && negative == 1 && dx[r * w->columns + w->labels[r]] < 0))
            return false;
    }
    return true;
}

/* ---- updates ---- */

static bool make_update(work *w, soma_optimizer *optimizer) {
    const int64_t shape[2] = {w->rows, w->columns};
    w->weight = soma_variable_create(NULL, "w", SOMA_F32, 2, shape);
    w->minimizer = w->weight ? soma_minimizer_create_for(optimizer, &w->weight, 1) : NULL;
    soma_tensor *targets[16];
    return w->minimizer && soma_minimizer_targets(w->minimizer) <= 16 &&
           !soma_minimize_by(w->minimizer, &w->x, targets) && plan(w, targets, soma_minimizer_targets(w->minimizer));
}

static bool make_rmsprop(work *w) {
    return make_update(w, soma_rmsprop());
}

static bool make_adam(work *w) {
    return make_update(w, soma_adam());
}

/* Every weight went against its gradient; they were zeros. */
static bool check_update(work *w) {
    const int64_t n = w->rows * w->columns;
    float *now = malloc((size_t)n * sizeof *now);
    bool right = now && !soma_variable_get(w->weight, now, (size_t)n * sizeof *now);
    for (int64_t i = 0; right && i < n; i += 997)
        right = fabsf(w->data[i]) < 1e-3f || now[i] * w->data[i] < 0;
    free(now);
    return right;
}

/* ---- the worker ---- */

static const struct {
    const char *name;
    bool (*make)(work *w);
    bool (*check)(work *w);
} works[] = {{"softmax", make_softmax, check_softmax},
             {"layernorm", make_normalization, check_normalization},
             {"crossentropy", make_crossentropy, check_crossentropy},
             {"rmsprop", make_rmsprop, check_update},
             {"adam", make_adam, check_update}};

static int run(void *user) {
    return soma_plan_run(((work *)user)->plan) != SOMA_OK;
}

static void release(work *w) {
    soma_plan_destroy(w->plan);
    soma_minimizer_destroy(w->minimizer);
    soma_variable_destroy(w->weight);
    soma_model_destroy(w->net);
    soma_graph_destroy(w->graph);
    free(w->labels);
    free(w->data);
}

static int answer(void *user, char *line) {
    (void)user;
    char what[16];
    work w = {0};
    double seconds;
    size_t i = 0;
    if (sscanf(line, "%15s %" SCNd64 " %" SCNd64 " %lf", what, &w.rows, &w.columns, &seconds) == 4)
        while (i < sizeof works / sizeof *works && strcmp(works[i].name, what) != 0)
            i++;
    if (i == sizeof works / sizeof *works || w.rows < 1 || w.columns < 1) {
        fprintf(stderr, "expected what rows columns seconds, not '%s'\n", line);
        return 2;
    }
    w.graph = soma_graph_create(NULL);
    w.x = soma_input(w.graph, SOMA_F32, SOMA_DIMS(w.rows, w.columns), "x");
    if (!fill(&w) || !works[i].make(&w) || run(&w)) {
        printf("error %s\n", soma_last_error(NULL));
    } else if (!works[i].check(&w)) {
        printf("error wrong result\n");
    } else {
        printf("%.9g\n", worker_time(run, &w, seconds));
    }
    release(&w);
    return 0;
}

int main(void) {
    return worker_serve(answer, NULL);
}
