/* Batches: a dataset cut into pieces, in order or in a new random order each epoch.
 * Rests on dataset.h and Philox: the order is a function of (seed, epoch), so (epoch, batch) is all a resume needs.
 * Two buffers in turn: a batch stays valid until the one after the next is asked for. */
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
    int64_t *order;      /* samples in the order of this epoch; NULL without shuffle */
    size_t x_row, y_row; /* bytes of a sample */
    const char *x, *y;   /* the dataset's elements */
    char *x_buffer[2], *y_buffer[2];
} batches;

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
/* The next batch, 64-byte aligned when shuffled, else where it lies in the dataset. y is NULL without labels.
 * False at the end of the epoch. Allocates nothing. */
bool batches_next(batches *b, const void **x, const void **y, int64_t *count);

#endif
