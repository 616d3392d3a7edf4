/* What fit, evaluate and predict share: calling callbacks, walking through batches, running averages.
 * Rests on step.h and data/batches.h. */
#ifndef TRAIN_RUN_H
#define TRAIN_RUN_H

#include <soma/data.h>

#include "data/batches.h"
#include "train/sample_weights.h"
#include "train/step.h"

enum { MEASURE_BATCH = 256 }; /* for evaluate and predict: large enough to be fast, small enough for the cache */

/* Calls one hook of every callback: RUN_HOOKS(callbacks, on_epoch_end, model, logs). */
#define RUN_HOOKS(callbacks, hook, model, logs)                                                                        \
    do {                                                                                                               \
        for (int hook_i = 0; hook_i < SOMA_MAX_CALLBACKS && (callbacks)[hook_i]; hook_i++) {                           \
            const soma_callback *hook_of = (callbacks)[hook_i];                                                        \
            if (hook_of->hook) TRY(hook_of->hook(hook_of->user, model, logs));                                         \
        }                                                                                                              \
    } while (0)

/* Averages over samples, in which a batch counts as many times as it has samples, and sums of statistics. */
typedef struct averages {
    const training *training;
    int n;
    double samples;
    double means[TRAINING_VALUES]; /* sums yet to be divided by samples */
    int64_t sizes[TRAINING_VALUES];
    double *statistics; /* of all metrics that have them, one after the other */
    int64_t n_statistics;
} averages;

/* For steps like s. Adding and getting allocate nothing. */
soma_status averages_init(averages *a, const soma_model *model, const step *s);
void averages_clear(averages *a);
void averages_deinit(averages *a, const soma_model *model);
void averages_add(averages *a, const step *s, int64_t count);
double averages_get(const averages *a, int i);
/* All sums as numbers, and back. */
int64_t averages_count(const averages *a);
void averages_export(const averages *a, double *out);
void averages_import(averages *a, const double *numbers);

/* The steps of a dataset's full batches and of its last, smaller one (NULL when there is none). */
typedef struct step_pair {
    step *full, *rest;
    int64_t batch;
} step_pair;
soma_status step_pair_get(soma_model *model, step_kind kind, const soma_dataset *data, int64_t batch_size,
                          bool weighted, step_pair *out);
/* The same for measuring and predicting: half as many samples at a time until it fits, where memory is limited. */
soma_status step_pair_fit(soma_model *model, step_kind kind, const soma_dataset *data, int64_t batch_size,
                          bool weighted, step_pair *out);
static inline step *step_pair_for(const step_pair *pair, int64_t count) {
    return count == pair->batch ? pair->full : pair->rest;
}

/* Measures into out, which is cleared first, without callbacks' begin and end; allocates nothing. callbacks ends with
 * NULL. */
soma_status measure(soma_model *model, batches *data, const step_pair *steps, sample_weights *weights,
                    soma_callback *const *callbacks, averages *out);
/* The samples of so many first batches, 0: of all; a dataset of its own, to be destroyed. what: "evaluate", for errors.
 */
soma_status run_first_batches(soma_model *model, const char *what, const soma_dataset *data, int64_t size,
                              int64_t steps, soma_dataset **out);
/* Averages as they are handed out; and what stands for them after an error. */
soma_scores scores_of(const averages *a);
soma_scores scores_none(soma_status status);
/* Seconds from some fixed moment. */
double run_seconds(void);

#endif
