/* Event files, as TensorBoard reads them: TFRecords of Event messages with scalars and
 * histograms.
 * Rests on base/text.h for the bytes. Records carry their length and two checksums (CRC-32C, masked), so a file that is
 * cut off is read up to there.
 * Written record by record and flushed: the file grows while it is looked at. */
#ifndef FORMATS_EVENT_FILE_H
#define FORMATS_EVENT_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

/* CRC-32C (Castagnoli), and as records have it: rotated and moved, so that a checksum of checksums is none of zeros. */
uint32_t event_crc32c(const void *bytes, size_t n);
uint32_t event_masked_crc32c(const void *bytes, size_t n);

/* Appends a record to out: the first of a file, and a scalar. wall_time in seconds. */
void event_version(text *out, double wall_time);
void event_scalar(text *out, double wall_time, int64_t step, const char *tag, float value);

/* How numbers are spread: counts in buckets of equal width from the smallest to the largest. */
enum { EVENT_BUCKETS = 30 };
typedef struct event_histogram_data {
    double low, high, n, sum, squares, buckets[EVENT_BUCKETS];
} event_histogram_data;
/* Of those among n numbers that are finite; false when none is. */
bool event_count(event_histogram_data *h, const double *numbers, int64_t n);
void event_histogram(text *out, double wall_time, int64_t step, const char *tag, const event_histogram_data *h);

#endif
