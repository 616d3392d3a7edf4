/* NPY from inside: arrays from and to bytes, without tensors.
 * Rests on elements.h and on the streams of base/file.h, so memory and files are read by the same code.
 * npy_tensor.c makes tensors of it. */
#ifndef FORMATS_NPY_H
#define FORMATS_NPY_H

#include "base/file.h"
#include "formats/elements.h"

/* Reads one array to the stream's end; out is empty after an error. */
SOMA_MUST_CHECK soma_status npy_read(soma_context *context, file_stream *stream, elements *out);

/* Writes one array; data holds what dtype and shape say. */
SOMA_MUST_CHECK soma_status npy_write(soma_context *context, const char *path, soma_dtype dtype, int rank,
                                      const int64_t *shape, const void *data, size_t bytes);

#endif
