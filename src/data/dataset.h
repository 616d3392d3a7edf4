/* A dataset from inside: arrays in shared storage and the window of samples that is seen.
 * Rests on formats/elements.h for owned arrays; slices share the storage by a count of users.
 * Readers hand their arrays over with dataset_adopt, so nothing is copied on the way in. */
#ifndef DATA_DATASET_H
#define DATA_DATASET_H

#include <stdbool.h>

#include <soma/data.h>

#include "formats/elements.h"

/* Takes the arrays over, also on failure. y without data: none. what names the source in errors. */
soma_dataset *dataset_adopt(soma_context *context, const char *what, elements *x, elements *y);

/* How many arrays there are: inputs first, then labels, if those are wanted. */
int dataset_arrays(const soma_dataset *dataset, bool labels);
soma_array_data dataset_array(const soma_dataset *dataset, int i);
/* Bytes of one sample of an array. */
size_t dataset_sample_bytes(const soma_dataset *dataset, int i);

/* Smallest and largest label of an integer or bool output; floats count when they are whole numbers.
 * False, low and high untouched, if it is missing, empty, or not of whole numbers. */
bool dataset_label_range(const soma_dataset *dataset, int output, int64_t *low, int64_t *high);

#endif
