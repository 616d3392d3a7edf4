/* Fuzz target: the NPY reader on bytes in memory.
 * Rests on libFuzzer's entry point, or on replay.c. Where reading succeeds, the array must hold what its shape says.
 * Memory is bounded by the reader's own promise: no more than the input can fill, or twice that where unsigned integers
 * of 16 and 32 bits become signed ones that hold them. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/base.h"
#include "formats/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    elements e;
    file_stream *s = file_stream_memory(NULL, "fuzz", data, size);
    if (!s) abort();
    const soma_status status = npy_read(NULL, s, &e);
    if ((status == SOMA_OK) != (e.data != NULL) || (status == SOMA_OK) != (soma_last_status(NULL) == SOMA_OK)) abort();
    if (status == SOMA_OK) {
        size_t bytes = soma_dtype_size(e.dtype);
        for (int i = 0; i < e.rank; i++)
            bytes *= (size_t)e.shape[i];
        const bool may_be_widened = e.dtype == SOMA_I32 || e.dtype == SOMA_I64;
        if (bytes != e.bytes || bytes > (may_be_widened ? 2 * size : size)) abort();
    }
    elements_free(&e);
    file_stream_close(s);
    soma_clear_error(NULL);
    return 0;
}
