/* Elements: an array read from a file, on its way to a tensor or a dataset.
 * Rests on memory.h and the dtypes; the shape is checked against overflow before anything is allocated.
 * What every reader of numbers needs, once. */
#ifndef FORMATS_ELEMENTS_H
#define FORMATS_ELEMENTS_H

#include <soma/tensor.h>

typedef struct elements {
    soma_context *context;
    soma_dtype dtype;
    int rank;
    int64_t shape[SOMA_MAX_RANK];
    void *data; /* row-major, little-endian as the machine, owned; NULL: nothing here */
    size_t bytes;
} elements;

/* Sets bytes from dtype and shape. what names the file in the error: SOMA_FORMAT if a size is negative, or if bytes
 * don't fit or are more than limit, which the file can't hold. */
SOMA_MUST_CHECK soma_status elements_measure(elements *e, const char *what, uint64_t limit);
/* Allocates what elements_measure found. */
SOMA_MUST_CHECK soma_status elements_alloc(elements *e);
void elements_free(elements *e);
/* Reverses the bytes of every element. */
void elements_swap(elements *e);
/* Elements in column-major order become row-major, in a new block. */
SOMA_MUST_CHECK soma_status elements_transpose(elements *e);
/* Signed elements that were unsigned ones: in the next wider dtype, int64 where there is none. SOMA_DTYPE, naming what,
 * for one beyond 2^63 - 1. */
SOMA_MUST_CHECK soma_status elements_unsigned(elements *e, const char *what);

#endif
