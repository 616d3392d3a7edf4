/* Batches: pieces of a dataset, as a list of rows when they are shuffled.
 * Rests on dataset.h for the rows and philox.h for their order.
 * The rows stay where they are: the plan that reads them gathers them on all threads. */
#include "data/batches.h"

#include <assert.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/philox.h"
#include "data/dataset.h"

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
    b->n = dataset_arrays(dataset, true);
    for (int i = 0; i < b->n; i++) {
        b->sample_bytes[i] = dataset_sample_bytes(dataset, i);
        b->arrays[i] = dataset_array(dataset, i).data;
    }
    if (shuffle) {
        b->order = mem_alloc(context, (size_t)samples * sizeof *b->order);
        if (!b->order) return SOMA_NO_MEMORY;
    }
    batches_epoch(b, 0);
    return SOMA_OK;
}

void batches_deinit(batches *b) {
    mem_free(b->context, b->order, (size_t)b->samples * sizeof *b->order);
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

bool batches_next(batches *b, batch_rows *next) {
    if (b->next >= batches_count(b)) return false;
    const int64_t first = b->next * b->size, left = b->samples - first;
    b->next++;
    *next = (batch_rows){.of = b,
                         .order = b->shuffle ? b->order + first : NULL,
                         .first = first,
                         .count = left < b->size ? left : b->size};
    return true;
}
