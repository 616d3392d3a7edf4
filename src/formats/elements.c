/* Owned arrays: measured against what the file can hold, then allocated, then turned the right way round.
 * Rests on memory.h for checked products.
 * Nothing here trusts a number that came from a file. */
#include "formats/elements.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"

soma_status elements_measure(elements *e, const char *what, uint64_t limit) {
    size_t bytes = soma_dtype_size(e->dtype);
    bool fits = true, empty = false;
    for (int i = 0; i < e->rank; i++) {
        RETURN_IF(e->context, e->shape[i] < 0, SOMA_FORMAT, "%s: extent %d is %lld: expected 0 or more", what, i,
                  (long long)e->shape[i]);
        if (e->shape[i] == 0) empty = true;
        if ((uint64_t)e->shape[i] > SIZE_MAX || !size_mul(bytes, (size_t)e->shape[i], &bytes)) fits = false;
    }
    if (empty) {
        bytes = 0;
        fits = true;
    }
    RETURN_IF(e->context, !fits || bytes > PTRDIFF_MAX, SOMA_FORMAT, "%s: more elements than fit in memory", what);
    RETURN_IF(e->context, bytes > limit, SOMA_FORMAT,
              "%s: truncated or not what it says: the header tells of %zu bytes of elements, at most %llu can follow",
              what, bytes, (unsigned long long)limit);
    e->bytes = bytes;
    return SOMA_OK;
}

soma_status elements_alloc(elements *e) {
    e->data = mem_alloc(e->context, e->bytes);
    return e->data ? SOMA_OK : SOMA_NO_MEMORY;
}

void elements_free(elements *e) {
    mem_free(e->context, e->data, e->bytes);
    e->data = NULL;
}

void elements_swap(elements *e) {
    const size_t size = soma_dtype_size(e->dtype), n = e->bytes / size;
    uint16_t *two = e->data;
    uint32_t *four = e->data;
    uint64_t *eight = e->data;
    for (size_t i = 0; i < n; i++) {
        if (size == 2) two[i] = __builtin_bswap16(two[i]);
        if (size == 4) four[i] = __builtin_bswap32(four[i]);
        if (size == 8) eight[i] = __builtin_bswap64(eight[i]);
    }
}

/* Walks the destination in order; the source index follows like an odometer. */
soma_status elements_transpose(elements *e) {
    const size_t size = soma_dtype_size(e->dtype), n = e->bytes / size;
    if (e->rank < 2 || n == 0) return SOMA_OK;
    char *to = mem_alloc(e->context, e->bytes);
    if (!to) return SOMA_NO_MEMORY;
    size_t strides[SOMA_MAX_RANK], at[SOMA_MAX_RANK] = {0}, from = 0;
    size_t stride = 1;
    for (int i = 0; i < e->rank; i++) {
        strides[i] = stride;
        stride *= (size_t)e->shape[i];
    }
    for (size_t done = 0; done < n; done++) {
        memcpy(to + done * size, (const char *)e->data + from * size, size);
        for (int i = e->rank - 1; i >= 0; i--) {
            from += strides[i];
            if (++at[i] < (size_t)e->shape[i]) break;
            from -= at[i] * strides[i];
            at[i] = 0;
        }
    }
    elements_free(e);
    e->data = to;
    return SOMA_OK;
}

soma_status elements_unsigned(elements *e, const char *what) {
    const size_t size = soma_dtype_size(e->dtype), n = e->bytes / size;
    const uint64_t *eight = e->data;
    for (size_t i = 0; size == 8 && i < n; i++)
        RETURN_IF(e->context, eight[i] > INT64_MAX, SOMA_DTYPE,
                  "%s: element %zu is %llu, which int64 can't hold; save it as float64", what, i,
                  (unsigned long long)eight[i]);
    if (size == 8) return SOMA_OK;
    elements wide = *e;
    wide.dtype = size == 2 ? SOMA_I32 : SOMA_I64;
    RETURN_IF(e->context, !size_mul(e->bytes, soma_dtype_size(wide.dtype) / size, &wide.bytes), SOMA_NO_MEMORY,
              "%s: the elements don't fit in memory", what);
    TRY(elements_alloc(&wide));
    const uint16_t *two = e->data;
    const uint32_t *four = e->data;
    int32_t *to_four = wide.data;
    int64_t *to_eight = wide.data;
    for (size_t i = 0; i < n; i++) {
        if (size == 2) to_four[i] = two[i];
        if (size == 4) to_eight[i] = four[i];
    }
    elements_free(e);
    *e = wide;
    return SOMA_OK;
}
