/* Batches: gathered row by row into one of two buffers, or pointed at where they lie.
 * Rests on dataset.h for the rows and philox.h for their order.
 * The rows ahead are prefetched: a shuffled epoch reads memory at random, and waiting for it would be most of the time.
 */
#include "data/batches.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/philox.h"
#include "data/dataset.h"

enum { AHEAD = 8, LINE = 64 };

/* Rows of a full batch, never more than there are samples. Only for what batches_init has checked. */
static size_t buffer_bytes(const batches *b, size_t row) {
    return (size_t)b->size * row;
}

static soma_status allocate(batches *b) {
    b->order = mem_alloc(b->context, (size_t)b->samples * sizeof *b->order);
    if (!b->order) return SOMA_NO_MEMORY;
    for (int i = 0; i < 2; i++) {
        b->x_buffer[i] = mem_alloc(b->context, buffer_bytes(b, b->x_row));
        b->y_buffer[i] = b->y ? mem_alloc(b->context, buffer_bytes(b, b->y_row)) : NULL;
        if (!b->x_buffer[i] || (b->y && !b->y_buffer[i])) return SOMA_NO_MEMORY;
    }
    return SOMA_OK;
}

soma_status batches_init(batches *b, const soma_dataset *dataset, int64_t batch_size, bool shuffle, uint64_t seed) {
    soma_context *context = soma_dataset_context(dataset);
    const int64_t samples = soma_dataset_samples(dataset);
    *b = (batches){.dataset = dataset, .context = context, .samples = samples};
    RETURN_IF(context, batch_size < 1, SOMA_INVALID, "[batches] batch size %lld: expected 1 or more",
              (long long)batch_size);
    b->size = batch_size < samples || samples == 0 ? batch_size : samples;
    if (samples == 0) b->size = 1;
    b->shuffle = shuffle;
    b->seed = seed;
    b->x_row = dataset_x_bytes(dataset);
    b->y_row = dataset_y_bytes(dataset);
    b->x = soma_dataset_x(dataset).data;
    b->y = soma_dataset_y(dataset).data;
    const soma_status status = shuffle ? allocate(b) : SOMA_OK;
    if (status != SOMA_OK)
        batches_deinit(b);
    else
        batches_epoch(b, 0);
    return status;
}

void batches_deinit(batches *b) {
    mem_free(b->context, b->order, (size_t)b->samples * sizeof *b->order);
    for (int i = 0; i < 2; i++) {
        mem_free(b->context, b->x_buffer[i], buffer_bytes(b, b->x_row));
        mem_free(b->context, b->y_buffer[i], buffer_bytes(b, b->y_row));
    }
    *b = (batches){.context = b->context};
}

int64_t batches_count(const batches *b) {
    return b->samples / b->size + (b->samples % b->size != 0);
}

void batches_epoch(batches *b, int64_t epoch) {
    b->epoch = epoch;
    b->next = 0;
    if (b->shuffle) philox_permutation(b->seed, (uint64_t)epoch, b->samples, b->order);
}

void batches_seek(batches *b, int64_t batch) {
    assert(batch >= 0);
    b->next = batch;
}

static void prefetch(const char *row, size_t bytes) {
    for (size_t i = 0; i < bytes && i < 16 * LINE; i += LINE)
        __builtin_prefetch(row + i);
}

/* Copies n rows in the given order. */
static void gather(char *to, const char *from, const int64_t *order, int64_t n, size_t row) {
    for (int64_t i = 0; i < n; i++) {
        if (i + AHEAD < n) prefetch(from + (size_t)order[i + AHEAD] * row, row);
        memcpy(to + (size_t)i * row, from + (size_t)order[i] * row, row);
    }
}

bool batches_next(batches *b, const void **x, const void **y, int64_t *count) {
    if (b->next >= batches_count(b)) return false;
    const int64_t first = b->next * b->size, left = b->samples - first, n = left < b->size ? left : b->size;
    const int turn = (int)(b->next & 1);
    b->next++;
    *count = n;
    if (!b->shuffle) {
        *x = b->x + (size_t)first * b->x_row;
        *y = b->y ? b->y + (size_t)first * b->y_row : NULL;
        return true;
    }
    gather(b->x_buffer[turn], b->x, b->order + first, n, b->x_row);
    if (b->y) gather(b->y_buffer[turn], b->y, b->order + first, n, b->y_row);
    *x = b->x_buffer[turn];
    *y = b->y_buffer[turn];
    return true;
}
