/* Predictions of a network by Soma: infer_soma MODEL, in the library's own JSON. Rests on soma.h.
 * A line "batch seconds" is answered by "median 99th-percentile" of the seconds that one call takes, each call timed by
 * itself: who answers requests cares for the slow ones. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <soma/soma.h>

#include "worker.h"

enum { MOST_CALLS = 200000, FEWEST_CALLS = 20 };

typedef struct prediction {
    soma_model *net;
    int64_t inputs, outputs; /* elements of a sample */
} prediction;

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Answers; false if a call failed or gave no numbers. */
static bool time_calls(const prediction *p, int64_t batch, const float *x, float *y, double seconds) {
    double *samples = malloc(MOST_CALLS * sizeof *samples);
    bool ok = samples != NULL;
    int n = 0;
    const double warm = worker_seconds() + 0.1 * seconds;
    while (ok && worker_seconds() < warm)
        ok = soma_predict_on_batch(p->net, batch, SOMA_F32, x, y) == SOMA_OK;
    const double end = worker_seconds() + seconds;
    while (ok && n < MOST_CALLS && (n < FEWEST_CALLS || worker_seconds() < end)) {
        const double start = worker_seconds();
        ok = soma_predict_on_batch(p->net, batch, SOMA_F32, x, y) == SOMA_OK;
        samples[n++] = worker_seconds() - start;
    }
    for (int64_t i = 0; ok && i < batch * p->outputs; i++)
        ok = isfinite(y[i]);
    if (ok) {
        qsort(samples, (size_t)n, sizeof *samples, ascending);
        printf("%.9g %.9g\n", samples[n / 2], samples[(int)(0.99 * n)]);
    }
    free(samples);
    return ok;
}

static int answer(void *user, char *line) {
    const prediction *p = user;
    long batch = 0;
    double seconds = 0;
    if (sscanf(line, "%ld %lf", &batch, &seconds) != 2 || batch < 1) return 2;
    float *x = malloc((size_t)(batch * p->inputs) * sizeof *x), *y = calloc((size_t)(batch * p->outputs), sizeof *y);
    for (int64_t i = 0; x && i < batch * p->inputs; i++)
        x[i] = (float)(i * 7919 % 1024) / 512.0f - 1.0f;
    if (!x || !y || !time_calls(p, batch, x, y, seconds)) printf("error %s\n", soma_last_error(NULL));
    free(x);
    free(y);
    return 0;
}

static int64_t size_of(int rank, const int64_t *shape) {
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= shape[i];
    return n;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: infer_soma MODEL\n");
        return 2;
    }
    prediction p = {.net = soma_model_from_json(NULL, argv[1])};
    int status = 1;
    if (p.net) {
        int64_t shape[SOMA_MAX_RANK];
        p.inputs = size_of(soma_model_input_shape(p.net, shape), shape);
        p.outputs = size_of(soma_model_output_shape(p.net, shape), shape);
        status = worker_serve(answer, &p);
    } else {
        printf("error %s\n", soma_last_error(NULL));
    }
    soma_model_destroy(p.net);
    return status;
}
