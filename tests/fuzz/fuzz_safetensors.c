/* Fuzz target: the safetensors reader on bytes in memory.
 * Rests on libFuzzer's entry point, or on replay.c. Where opening succeeds, every array lies inside of the input, end
 * to end, and every name is found again. */
#include <stdint.h>
#include <stdlib.h>

#include "base/base.h"
#include "formats/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const safetensors *f, const uint8_t *data, size_t size) {
    const uint8_t *end = NULL;
    for (int i = 0; i < safetensors_count(f); i++) {
        const safetensors_entry *e = safetensors_at(f, i);
        const uint8_t *begin = e->data;
        if (end && begin != end) abort();
        if (begin < data + 8 || begin > data + size || e->bytes > (size_t)(data + size - begin)) abort();
        if (safetensors_find(f, e->name) != e) abort();
        end = begin + e->bytes;
    }
    if (end && end != data + size) abort();
    for (int i = 0; i < safetensors_metadata_count(f); i++) {
        const safetensors_metadata *m = safetensors_metadata_at(f, i);
        if (safetensors_metadata_find(f, m->key) != m->value) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    safetensors *f;
    const soma_status status = safetensors_open_memory(NULL, "fuzz", data, size, &f);
    if ((status == SOMA_OK) != (f != NULL) || (status == SOMA_OK) != (soma_last_status(NULL) == SOMA_OK)) abort();
    if (f) check(f, data, size);
    safetensors_close(f);
    soma_clear_error(NULL);
    return 0;
}
