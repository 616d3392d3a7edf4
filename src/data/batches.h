/* Batches: a dataset cut into pieces, in order or in a new random order each epoch.
 * Rests on dataset.h and Philox: the order is a function of (seed, epoch), so (epoch, batch) is all a resume needs.
 * Nothing is copied here: who runs a plan on a batch gathers its rows, on all threads. */
#ifndef DATA_BATCHES_H
#define DATA_BATCHES_H

#include <stdbool.h>
#include <stdint.h>

#include <soma/data.h>

typedef struct batches {
    const soma_dataset *dataset; /* borrowed */
    soma_context *context;
    int64_t samples, size; /* of the dataset, of a full batch */
    int64_t epoch, next;   /* next: number of the batch batches_next gives */
    bool shuffle;
    uint64_t seed;
    int64_t *order; /* samples in the order of this epoch; NULL without shuffle */
    int n;          /* arrays: inputs, then labels */
    size_t sample_bytes[2 * SOMA_MAX_ARRAYS];
    const char *arrays[2 * SOMA_MAX_ARRAYS]; /* the dataset's elements */
} batches;

/* The samples of one batch: count rows of each array from first on, or, when order is given, the rows order[0],
 * order[1], ... of the whole. Valid until the next epoch begins. */
typedef struct batch_rows {
    const batches *of;
    const int64_t *order;
    int64_t first, count;
} batch_rows;
/* Where the rows of an array begin; with an order that is the array's begin. */
static inline const void *batch_array(const batch_rows *rows, int i) {
    const size_t first = rows->order ? 0 : (size_t)rows->first;
    return rows->of->arrays[i] + first * rows->of->sample_bytes[i];
}

/* The first epoch is 0 and begins at once. batch_size >= 1. The last batch of an epoch may be smaller. */
SOMA_MUST_CHECK soma_status batches_init(batches *b, const soma_dataset *dataset, int64_t batch_size, bool shuffle,
                                         uint64_t seed);
void batches_deinit(batches *b);
/* Batches in an epoch. */
int64_t batches_count(const batches *b);
/* Begins an epoch at its first batch. */
void batches_epoch(batches *b, int64_t epoch);
/* Makes batch the one that batches_next gives next; for resuming. */
void batches_seek(batches *b, int64_t batch);
/* The next batch. False at the end of the epoch. Allocates nothing and moves no sample. */
bool batches_next(batches *b, batch_rows *next);

#endif
