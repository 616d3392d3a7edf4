/* IDX from inside: one array from a stream.
 * Rests on formats/elements.h and the streams of base/file.h, so files, gzip and memory are read by the same code.
 * idx_dataset.c makes datasets of it. */
#ifndef DATA_IDX_H
#define DATA_IDX_H

#include "base/file.h"
#include "formats/elements.h"

/* Reads one array to the stream's end; out is empty after an error. */
SOMA_MUST_CHECK soma_status idx_read(soma_context *context, file_stream *stream, elements *out);

#endif
