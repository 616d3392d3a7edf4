/* Progress: the text that fit shows, as Keras 3 prints it.
 * Rests on base/text.h alone. Times are given, never taken, so every line can be tested.
 * One buffer is used over and over: after the first lines nothing is allocated. */
#ifndef TRAIN_PROGRESS_H
#define TRAIN_PROGRESS_H

#include <soma/train.h>

#include "base/text.h"

typedef struct progress {
    int mode; /* SOMA_VERBOSE_NONE, LINE, JSON or BAR */
    soma_write_fn *write;
    void *user;
    text out;
    int64_t target; /* batches of the epoch; 0: not known */
    int64_t current;
    double start;      /* seconds, as all times here */
    double first_done; /* when the first step was done; below 0: not yet */
    double last_drawn; /* below 0: never */
    int width;         /* columns that the last bar took */
    int columns;       /* of the terminal that is written to; 0: not known */
} progress;

/* SOMA_VERBOSE_AUTO becomes a bar if stderr is a terminal and write is NULL, else a line. write NULL: to stderr. */
void progress_init(progress *p, soma_context *context, int verbose, soma_write_fn *write, void *user);
void progress_deinit(progress *p);
/* "Epoch 1/5" when there are several. epoch counts from 0. */
void progress_begin(progress *p, int64_t epoch, int64_t epochs, int64_t target, double now);
/* After batch number current (1, 2, ...): redraws the bar, at most twenty times a second. */
void progress_step(progress *p, int64_t current, double now, const char *const *names, const double *values, int n);
/* The epoch's last word, with all values. */
void progress_end(progress *p, int64_t epoch, double now, const char *const *names, const double *values, int n);

#endif
