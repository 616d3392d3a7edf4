/* How much each sample counts in the loss: the user's weights of samples and of classes as one number a sample.
 * Rests on batches, whose order they follow. */
#ifndef TRAIN_SAMPLE_WEIGHTS_H
#define TRAIN_SAMPLE_WEIGHTS_H

#include "data/batches.h"
#include "train/training.h"

typedef struct sample_weights {
    float *all; /* one a sample; NULL: every sample counts 1 */
    int64_t n;
    float *batch; /* those of the batch at hand */
    int64_t size;
} sample_weights;

/* For n samples in batches of so many; each: the user's numbers, NULL for none. what: "fit", for errors. */
soma_status sample_weights_init(sample_weights *w, soma_model *model, const char *what, const double *each, int64_t n,
                                int64_t batch);
/* Times those of the classes 0 to n - 1; the samples are the data's first. */
soma_status sample_weights_by_class(sample_weights *w, soma_model *model, const char *what, const soma_dataset *data,
                                    const double *each, int n);
void sample_weights_deinit(sample_weights *w, const soma_model *model);
/* The weights of the batch that batches_next has just given; NULL when there are none. */
const float *sample_weights_of(sample_weights *w, const batches *from, const batch_rows *b);

#endif
