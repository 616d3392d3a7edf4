/* IDX, the format of MNIST: a magic number 0 0 dtype rank, the extents as big-endian 32-bit numbers, the elements.
 * Rests on elements.h; the elements are read straight to where they stay.
 * What the header claims is compared with what the file can hold before anything is allocated. */
#include "data/idx.h"

#include "base/error.h"
#include "base/memory.h"

/* The third byte of the magic number. */
static const struct {
    unsigned char code;
    soma_dtype dtype;
} idx_dtypes[] = {{0x08, SOMA_U8},  {0x09, SOMA_I8},  {0x0b, SOMA_I16},
                  {0x0c, SOMA_I32}, {0x0d, SOMA_F32}, {0x0e, SOMA_F64}};
enum { IDX_DTYPES = sizeof idx_dtypes / sizeof *idx_dtypes };

static unsigned long long place(const file_stream *s) {
    return (unsigned long long)file_stream_position(s);
}

static soma_status read_exactly(soma_context *context, file_stream *stream, const char *what, void *data, size_t n) {
    size_t got;
    TRY(file_stream_read(stream, data, n, &got));
    RETURN_IF(context, got < n, SOMA_FORMAT, "%s: truncated: ends at byte %llu in %s, %zu bytes are missing",
              file_stream_path(stream), place(stream), what, n - got);
    return SOMA_OK;
}

static soma_status read_magic(soma_context *context, file_stream *stream, elements *e) {
    unsigned char b[4];
    const char *path = file_stream_path(stream);
    TRY(read_exactly(context, stream, "the magic number", b, sizeof b));
    int i = 0;
    while (i < IDX_DTYPES && idx_dtypes[i].code != b[2])
        i++;
    RETURN_IF(
        context, b[0] || b[1] || i == IDX_DTYPES, SOMA_FORMAT,
        "%s: byte 0: magic number %02x %02x %02x %02x: not an IDX file (00 00, a type from 08 to 0e, the number of "
        "axes)",
        path, b[0], b[1], b[2], b[3]);
    RETURN_IF(context, b[3] < 1 || b[3] > SOMA_MAX_RANK, SOMA_FORMAT, "%s: byte 3: %d axes: expected 1 to %d", path,
              b[3], SOMA_MAX_RANK);
    e->dtype = idx_dtypes[i].dtype;
    e->rank = b[3];
    return SOMA_OK;
}

static soma_status read_extents(soma_context *context, file_stream *stream, elements *e) {
    for (int i = 0; i < e->rank; i++) {
        unsigned char b[4];
        TRY(read_exactly(context, stream, "the header", b, sizeof b));
        e->shape[i] = (int64_t)b[0] << 24 | (int64_t)b[1] << 16 | (int64_t)b[2] << 8 | (int64_t)b[3];
    }
    return SOMA_OK;
}

static soma_status read_elements(soma_context *context, file_stream *stream, elements *e) {
    unsigned char more;
    size_t got;
    TRY(elements_measure(e, file_stream_path(stream), file_stream_limit(stream)));
    TRY(elements_alloc(e));
    TRY(read_exactly(context, stream, "the elements", e->data, e->bytes));
    const unsigned long long end = place(stream);
    TRY(file_stream_read(stream, &more, 1, &got));
    RETURN_IF(context, got, SOMA_FORMAT, "%s: byte %llu: bytes after the last element", file_stream_path(stream), end);
    elements_swap(e);
    return SOMA_OK;
}

soma_status idx_read(soma_context *context, file_stream *stream, elements *out) {
    *out = (elements){.context = context};
    soma_status status = read_magic(context, stream, out);
    if (status == SOMA_OK) status = read_extents(context, stream, out);
    if (status == SOMA_OK) status = read_elements(context, stream, out);
    if (status != SOMA_OK) elements_free(out);
    return status;
}
