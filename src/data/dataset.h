/* A dataset from inside: two arrays in shared storage and the window of samples that is seen.
 * Rests on formats/elements.h for owned arrays; slices share the storage by a count of users.
 * Readers hand their arrays over with dataset_adopt, so nothing is copied on the way in. */
#ifndef DATA_DATASET_H
#define DATA_DATASET_H

#include <stdbool.h>

#include <soma/data.h>

#include "formats/elements.h"

/* Takes the arrays over, also on failure. y without data: none. what names the source in errors. */
soma_dataset *dataset_adopt(soma_context *context, const char *what, elements *x, elements *y);

/* Bytes of one sample of x and of y (0 without y). */
size_t dataset_x_bytes(const soma_dataset *dataset);
size_t dataset_y_bytes(const soma_dataset *dataset);

/* Smallest and largest label of an integer or bool y; floats count when they are whole numbers.
 * False, outputs untouched, if y is missing, empty, or not of whole numbers. */
bool dataset_label_range(const soma_dataset *dataset, int64_t *min, int64_t *max);

#endif
