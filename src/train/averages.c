/* Averages: what an epoch, or the part of it that is over, makes of loss and metrics.
 * Rests on run.h. Sums are taken in double over samples, so the batch size does not show but in the last bits. */
#include <math.h>
#include <string.h>

#include "train/run.h"

soma_status averages_init(averages *a, const soma_model *model, const step *s) {
    const training *t = model->training;
    *a = (averages){.training = t, .n = s->n_values};
    for (int i = 1; i < a->n; i++) {
        const soma_metric *m = &t->metrics[i - 1];
        a->sizes[i] = m->finish || s->sizes[i] > 1 ? s->sizes[i] : 0; /* a mean, or its parts */
        a->n_statistics += a->sizes[i];
    }
    if (a->n_statistics == 0) return SOMA_OK;
    a->statistics = mem_zalloc(model->context, (size_t)a->n_statistics * sizeof *a->statistics);
    return a->statistics ? SOMA_OK : SOMA_NO_MEMORY;
}

void averages_clear(averages *a) {
    a->samples = 0;
    memset(a->means, 0, sizeof a->means);
    if (a->statistics) memset(a->statistics, 0, (size_t)a->n_statistics * sizeof *a->statistics);
}

void averages_deinit(averages *a, const soma_model *model) {
    mem_free(model->context, a->statistics, (size_t)a->n_statistics * sizeof *a->statistics);
    a->statistics = NULL;
}

void averages_add(averages *a, const step *s, int64_t count) {
    double *statistics = a->statistics;
    for (int i = 0; i < a->n; i++) {
        if (a->sizes[i] == 0) {
            a->means[i] += step_value(s, i, 0) * (double)count;
            continue;
        }
        for (int64_t k = 0; k < a->sizes[i]; k++)
            *statistics++ += step_value(s, i, k);
    }
    a->samples += (double)count;
}

static double value_of(const averages *a, int i) {
    if (a->sizes[i] == 0) return a->means[i] / a->samples;
    const double *statistics = a->statistics;
    for (int j = 0; j < i; j++)
        statistics += a->sizes[j];
    const soma_metric *metric = &a->training->metrics[i - 1];
    if (!metric->finish) return statistics[1] != 0 ? statistics[0] / statistics[1] : 0; /* a weighted mean */
    return metric->finish(statistics, a->sizes[i], metric->build ? metric->numbers : NULL);
}

/* A NaN without the sign that 0 / 0 has, which would be printed. */
double averages_get(const averages *a, int i) {
    const double value = value_of(a, i);
    return isnan(value) ? (double)NAN : value;
}

int64_t averages_count(const averages *a) {
    return 1 + a->n + a->n_statistics;
}

void averages_export(const averages *a, double *out) {
    out[0] = a->samples;
    memcpy(out + 1, a->means, (size_t)a->n * sizeof *out);
    if (a->statistics) memcpy(out + 1 + a->n, a->statistics, (size_t)a->n_statistics * sizeof *out);
}

void averages_import(averages *a, const double *numbers) {
    a->samples = numbers[0];
    memcpy(a->means, numbers + 1, (size_t)a->n * sizeof *numbers);
    if (a->statistics) memcpy(a->statistics, numbers + 1 + a->n, (size_t)a->n_statistics * sizeof *numbers);
}
