/* Writing safetensors, in the order the reference writer has: widest dtype first, then by name.
 * Rests on json_write_string and file.h: header and arrays go to a new file that takes the old one's place at the end.
 * Metadata is sorted too, so equal input gives equal bytes. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "formats/safetensors_dtype.h"

static const safetensors_dtype dtypes[] = {
    {"BOOL", 8, SOMA_BOOL},
    {"U8", 8, SOMA_U8},
    {"I8", 8, SOMA_I8},
    {"I16", 16, SOMA_I16},
    {"I32", 32, SOMA_I32},
    {"I64", 64, SOMA_I64},
    {"F16", 16, SOMA_F16},
    {"BF16", 16, SOMA_BF16},
    {"F32", 32, SOMA_F32},
    {"F64", 64, SOMA_F64},
    {"U16", 16, SOMA_DTYPE_COUNT},
    {"U32", 32, SOMA_DTYPE_COUNT},
    {"U64", 64, SOMA_DTYPE_COUNT},
    {"C64", 64, SOMA_DTYPE_COUNT},
    {"F8_E5M2", 8, SOMA_DTYPE_COUNT},
    {"F8_E4M3", 8, SOMA_DTYPE_COUNT},
    {"F8_E8M0", 8, SOMA_DTYPE_COUNT},
    {"F8_E4M3FNUZ", 8, SOMA_DTYPE_COUNT},
    {"F8_E5M2FNUZ", 8, SOMA_DTYPE_COUNT},
    {"F6_E2M3", 6, SOMA_DTYPE_COUNT},
    {"F6_E3M2", 6, SOMA_DTYPE_COUNT},
    {"F4", 4, SOMA_DTYPE_COUNT},
};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

const safetensors_dtype *safetensors_dtype_named(const char *name) {
    for (int i = 0; i < DTYPES; i++)
        if (!strcmp(dtypes[i].name, name)) return &dtypes[i];
    return NULL;
}

const safetensors_dtype *safetensors_dtype_of(soma_dtype dtype) {
    for (int i = 0; i < DTYPES; i++)
        if (dtypes[i].dtype == dtype) return &dtypes[i];
    return NULL;
}

/* ---- sorted copies ---- */

static int by_width_and_name(const void *a, const void *b) {
    const safetensors_entry *x = a, *y = b;
    const size_t wide_x = soma_dtype_size(x->dtype), wide_y = soma_dtype_size(y->dtype);
    if (wide_x != wide_y) return wide_x > wide_y ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_key(const void *a, const void *b) {
    const safetensors_metadata *x = a, *y = b;
    return strcmp(x->key, y->key);
}

/* Sizes each entry; the sum must fit. */
static soma_status measure(soma_context *context, const char *path, safetensors_entry *entries, int n) {
    size_t total = 0;
    for (int i = 0; i < n; i++) {
        safetensors_entry *e = &entries[i];
        RETURN_IF(context, !strcmp(e->name, "__metadata__"), SOMA_INVALID, "%s: an array can't be named __metadata__",
                  path);
        size_t bytes = soma_dtype_size(e->dtype);
        for (int j = 0; j < e->rank; j++)
            RETURN_IF(context, e->shape[j] < 0 || !size_mul(bytes, (size_t)e->shape[j], &bytes), SOMA_INVALID,
                      "%s: array '%s': extent %d is %lld", path, e->name, j, (long long)e->shape[j]);
        RETURN_IF(context, bytes && !e->data, SOMA_INVALID, "%s: array '%s' has no data", path, e->name);
        RETURN_IF(context, !size_add(total, bytes, &total), SOMA_INVALID, "%s: arrays too big for a file", path);
        e->bytes = bytes;
    }
    return SOMA_OK;
}

/* ---- the header ---- */

static void write_metadata(text *t, const safetensors_metadata *metadata, int m) {
    if (m == 0) return;
    text_append(t, "\"__metadata__\":{");
    for (int i = 0; i < m; i++) {
        if (i) text_append(t, ",");
        json_write_string(t, metadata[i].key);
        text_append(t, ":");
        json_write_string(t, metadata[i].value);
    }
    text_append(t, "}");
}

static void write_entry(text *t, const safetensors_entry *e, size_t offset) {
    json_write_string(t, e->name);
    text_printf(t, ":{\"dtype\":\"%s\",\"shape\":[", safetensors_dtype_of(e->dtype)->name);
    for (int i = 0; i < e->rank; i++)
        text_printf(t, "%s%lld", i ? "," : "", (long long)e->shape[i]);
    text_printf(t, "],\"data_offsets\":[%zu,%zu]}", offset, offset + e->bytes);
}

/* The length, then the header padded with spaces to a multiple of 8. */
static soma_status write_header(text *t, const safetensors_entry *entries, int n, const safetensors_metadata *metadata,
                                int m) {
    size_t offset = 0;
    text_append_bytes(t, "\0\0\0\0\0\0\0", 8);
    text_append(t, "{");
    write_metadata(t, metadata, m);
    for (int i = 0; i < n; i++) {
        if (i || m) text_append(t, ",");
        write_entry(t, &entries[i], offset);
        offset += entries[i].bytes;
    }
    text_append(t, "}");
    while (t->length % 8 && !t->failed)
        text_append(t, " ");
    if (t->failed) return SOMA_NO_MEMORY;
    const uint64_t length = t->length - 8;
    for (int i = 0; i < 8; i++)
        t->data[i] = (char)(length >> (8 * i) & 0xff);
    return SOMA_OK;
}

static soma_status write_file(soma_context *context, const char *path, const text *header,
                              const safetensors_entry *entries, int n) {
    file_writer *w = file_writer_open(context, path);
    if (!w) return error_get(context);
    soma_status status = file_writer_write(w, header->data, header->length);
    for (int i = 0; i < n && status == SOMA_OK; i++)
        if (entries[i].bytes) status = file_writer_write(w, entries[i].data, entries[i].bytes);
    if (status == SOMA_OK) return file_writer_commit(w);
    file_writer_abort(w);
    return status;
}

static soma_status write_sorted(soma_context *context, const char *path, safetensors_entry *entries, int n,
                                safetensors_metadata *metadata, int m) {
    TRY(measure(context, path, entries, n));
    if (n) qsort(entries, (size_t)n, sizeof *entries, by_width_and_name);
    if (m) qsort(metadata, (size_t)m, sizeof *metadata, by_key);
    for (int i = 1; i < m; i++)
        RETURN_IF(context, !strcmp(metadata[i - 1].key, metadata[i].key), SOMA_INVALID, "%s: two metadata named '%s'",
                  path, metadata[i].key);
    text header;
    text_init(&header, context);
    soma_status status = write_header(&header, entries, n, metadata, m);
    if (status == SOMA_OK) status = write_file(context, path, &header, entries, n);
    text_deinit(&header);
    return status;
}

/* Names must differ whatever the dtypes. */
static int by_name(const void *a, const void *b) {
    const safetensors_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static soma_status check_names(soma_context *context, const char *path, safetensors_entry *entries, int n) {
    if (n) qsort(entries, (size_t)n, sizeof *entries, by_name);
    for (int i = 1; i < n; i++)
        RETURN_IF(context, !strcmp(entries[i - 1].name, entries[i].name), SOMA_INVALID, "%s: two arrays named '%s'",
                  path, entries[i].name);
    return SOMA_OK;
}

soma_status safetensors_write(soma_context *context, const char *path, const safetensors_entry *entries, int n,
                              const safetensors_metadata *metadata, int m) {
    assert(n >= 0 && m >= 0);
    const size_t entry_bytes = (size_t)n * sizeof *entries, metadata_bytes = (size_t)m * sizeof *metadata;
    safetensors_entry *e = mem_alloc(context, entry_bytes);
    safetensors_metadata *k = mem_alloc(context, metadata_bytes);
    soma_status status = SOMA_NO_MEMORY;
    if (e && k) {
        if (n) memcpy(e, entries, entry_bytes);
        if (m) memcpy(k, metadata, metadata_bytes);
        status = check_names(context, path, e, n);
        if (status == SOMA_OK) status = write_sorted(context, path, e, n, k, m);
    }
    mem_free(context, e, entry_bytes);
    mem_free(context, k, metadata_bytes);
    return status;
}
