/* What training adds to a model: optimizer, loss, metrics, the state of the optimizer, plans, history.
 * Rests on nn/model.h, on which it hangs. It is made when first needed, so a model that only predicts has none of the
 * optimizer's state. */
#ifndef TRAIN_TRAINING_H
#define TRAIN_TRAINING_H

#include <soma/data.h>
#include <soma/train.h>

#include "plan/shared_memory.h"
#include "train/minimizer.h"
#include "train/place.h"

enum { TRAINING_VALUES = 1 + SOMA_MAX_METRICS, TRAINING_KEYS = 2 * TRAINING_VALUES + 1 };

/* Who measures what a column has: the training, the validation; or it is the learning rate. */
typedef enum key_kind { KEY_TRAINING, KEY_VALIDATION, KEY_RATE, KEY_KINDS } key_kind;

/* A column of the history: where its numbers come from. */
typedef struct training_key {
    const char *name; /* "val_accuracy" */
    int value;        /* 0 the loss, 1... the metrics */
    key_kind kind;
} training_key;

typedef struct history {
    int64_t epochs, capacity;
    bool used[KEY_KINDS]; /* whether there are such columns */
    double *rows;         /* [epoch][key], NaN where nothing was measured */
} history;

typedef struct step step;

/* What is minimized at one output: a function, or one with numbers. */
typedef struct training_loss {
    soma_loss_fn *plain; /* NULL: */
    soma_loss with;
    double weight; /* in the sum over outputs */
    soma_reduction reduction;
} training_loss;

typedef struct training {
    bool compiled;
    soma_minimizer minimizer; /* its optimizer NULL until compiled, its variables until prepared */
    training_loss losses[SOMA_MAX_ARRAYS];
    int n_losses;                 /* 1, which is every output's; or as many as there are outputs */
    soma_objective_fn *objective; /* instead of all of them */
    bool mixed;                   /* mixed_bfloat16 */
    soma_metric metrics[SOMA_MAX_METRICS];
    const char *metric_names[SOMA_MAX_METRICS]; /* in the model's arena */
    int metric_outputs[SOMA_MAX_METRICS];       /* which output each measures */
    int n_metrics;
    int n_output_losses;              /* so many of the metrics, the first ones, are the outputs' losses */
    training_key keys[TRAINING_KEYS]; /* in order of their names */
    int n_keys;
    step *steps;          /* plans, by kind and shape, which run in ... */
    shared_memory memory; /* ... this, one at a time */
    history history;
    int64_t start_epoch; /* of the fit that runs; a restored backup moves it */
    fit_place place;
    int64_t epochs_done; /* since the weights were made: the number of the next shuffling */
    const char *const *labels;
    int n_labels;
} training;

/* The model's; NULL when out of memory. */
training *training_of(soma_model *model);
/* Takes the optimizer over, also after an error. custom may be NULL. */
soma_status training_compile(soma_model *model, const soma_compile_options *options, const soma_custom *custom);
/* Makes what a training step needs, once; an error when the model is not compiled or not built. */
soma_status training_prepare(soma_model *model);
/* Builds the model for the data if need be, and checks that the data fit. what: "fit", for errors. */
soma_status training_check_data(soma_model *model, const char *what, soma_dataset *data, bool labels);
/* Keeps the data's class names, unless there are some. */
soma_status training_adopt_labels(soma_model *model, const soma_dataset *data);
soma_status training_set_labels(soma_model *model, const char *const *labels, int n);
/* An output's loss, and what it is for these: a value per sample. */
static inline const training_loss *training_loss_of(const training *t, int output) {
    return &t->losses[t->n_losses > 1 ? output : 0];
}
static inline bool training_loss_given(const training_loss *loss) {
    return loss->plain || loss->with.build;
}
/* Its values; which of them it lets count, a bool each, goes to *counts, NULL: all. */
soma_tensor *training_loss_build(const training_loss *loss, soma_tensor *y_true, soma_tensor *y_pred,
                                 soma_tensor **counts);
/* Layers that learn of data and have not yet do so; all: the others too, again. */
soma_status training_adapt(soma_model *model, soma_dataset *data, bool all);
/* An error where there still is such a layer. what: "predict". */
soma_status training_check_adapted(const soma_model *model, const char *what);
/* Status of the error that made something NULL. */
soma_status training_failure(const soma_model *model);

/* ---- history.c ---- */

/* Makes room for epochs more rows, or many of them, with these columns too; forgets the old ones unless keep. */
soma_status history_begin(soma_model *model, bool keep, int64_t epochs, const bool used[KEY_KINDS]);
/* Adds a row of n_keys numbers. */
SOMA_MUST_CHECK soma_status history_add(soma_model *model, const double *row);
void history_deinit(soma_model *model, history *h);

#endif
