/* Reading safetensors: an 8-byte length, a JSON header, then the arrays end to end.
 * Rests on json.h and file.h. All of the header is checked when the file is opened, so what comes after needs no
 * checks. Arrays of dtypes that Soma lacks are listed and skipped over: the file is no worse for them. */
#include "formats/safetensors.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "formats/json.h"
#include "formats/safetensors_dtype.h"

enum { PREFIX = 8, MAX_HEADER = 100000000 };

struct safetensors {
    soma_context *context;
    file_view view; /* empty when the bytes are borrowed */
    const char *name;
    const unsigned char *bytes;
    size_t size, data; /* of all, where the arrays begin */
    arena names;
    safetensors_entry *entries;
    int count;
    safetensors_metadata *metadata;
    int metadata_count;
};

/* ---- one entry of the header ---- */

static soma_status bad_entry(const safetensors *f, const char *name, const char *what) {
    return error_set(f->context, SOMA_FORMAT, "%s: header, array '%s': %s", f->name, name, what);
}

/* The shape, and how many elements it has. */
static soma_status read_shape(safetensors *f, safetensors_entry *e, const json_node *list, uint64_t *elements) {
    const int64_t rank = json_node_count(list);
    if (json_node_kind(list) != JSON_IS_ARRAY) return bad_entry(f, e->name, "expected a list as shape");
    if (rank > SOMA_MAX_RANK) return bad_entry(f, e->name, "more than 8 axes");
    int64_t *shape = arena_alloc(&f->names, SOMA_MAX_RANK * sizeof *shape);
    if (!shape) return SOMA_NO_MEMORY;
    bool fits = true, empty = false;
    *elements = 1;
    for (int64_t i = 0; i < rank; i++) {
        if (!json_node_integer(json_node_at(list, i), &shape[i]) || shape[i] < 0)
            return bad_entry(f, e->name, "expected whole numbers from 0 in the shape");
        if (shape[i] == 0) empty = true;
        if (__builtin_mul_overflow(*elements, (uint64_t)shape[i], elements)) fits = false;
    }
    if (empty) *elements = 0;
    if (!empty && !fits) return bad_entry(f, e->name, "the shape has more elements than can be counted");
    e->rank = (int)rank;
    e->shape = shape;
    return SOMA_OK;
}

static soma_status read_dtype(safetensors *f, safetensors_entry *e, const json_node *name, uint64_t *bits) {
    const char *word = json_node_string(name);
    const safetensors_dtype *d = word ? safetensors_dtype_named(word) : NULL;
    if (!d) return bad_entry(f, e->name, "unknown dtype");
    e->dtype = d->dtype;
    e->dtype_name = d->name;
    *bits = d->bits;
    return SOMA_OK;
}

static soma_status read_entry(safetensors *f, safetensors_entry *e, const char *name, const json_node *node) {
    uint64_t elements = 0, bits = 0;
    int64_t begin, end;
    *e = (safetensors_entry){.name = arena_strdup(&f->names, name)};
    if (!e->name) return SOMA_NO_MEMORY;
    if (json_node_kind(node) != JSON_IS_OBJECT) return bad_entry(f, name, "expected an object");
    TRY(read_dtype(f, e, json_node_find(node, "dtype"), &bits));
    TRY(read_shape(f, e, json_node_find(node, "shape"), &elements));
    const json_node *offsets = json_node_find(node, "data_offsets");
    if (json_node_kind(offsets) != JSON_IS_ARRAY || json_node_count(offsets) != 2 ||
        !json_node_integer(json_node_at(offsets, 0), &begin) || !json_node_integer(json_node_at(offsets, 1), &end))
        return bad_entry(f, name, "expected two whole numbers as data_offsets");
    if (begin < 0 || end < begin || (uint64_t)end > f->size - f->data)
        return bad_entry(f, name, "data_offsets lie outside of the file");
    const uint64_t bytes = (uint64_t)(end - begin);
    if (elements > UINT64_MAX / bits || elements * bits % 8 || elements * bits / 8 != bytes)
        return bad_entry(f, name, "data_offsets and shape differ in size");
    e->data = f->bytes + f->data + begin;
    e->bytes = (size_t)bytes;
    return SOMA_OK;
}

static soma_status read_metadata(safetensors *f, const json_node *node) {
    const int64_t n = json_node_count(node);
    RETURN_IF(f->context, json_node_kind(node) != JSON_IS_OBJECT, SOMA_FORMAT,
              "%s: __metadata__: expected an object of strings", f->name);
    f->metadata = arena_alloc(&f->names, (size_t)n * sizeof *f->metadata);
    if (!f->metadata) return SOMA_NO_MEMORY;
    void *cursor = NULL;
    const char *key;
    const json_node *value;
    while (json_node_next(node, &cursor, &key, &value)) {
        const char *string = json_node_string(value);
        RETURN_IF(f->context, !string, SOMA_FORMAT, "%s: __metadata__: '%s': expected a string", f->name, key);
        safetensors_metadata *m = &f->metadata[f->metadata_count++];
        *m = (safetensors_metadata){arena_strdup(&f->names, key), arena_strdup(&f->names, string)};
        if (!m->key || !m->value) return SOMA_NO_MEMORY;
    }
    return SOMA_OK;
}

/* ---- the header as a whole ---- */

static int by_place(const void *a, const void *b) {
    const safetensors_entry *x = a, *y = b;
    if (x->data != y->data) return (const char *)x->data < (const char *)y->data ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1; /* empty arrays come before the one they touch */
    return strcmp(x->name, y->name);
}

/* Arrays lie end to end from the first byte to the last. */
static soma_status check_places(const safetensors *f) {
    const unsigned char *expected = f->bytes + f->data;
    for (int i = 0; i < f->count; i++) {
        const safetensors_entry *e = &f->entries[i];
        RETURN_IF(f->context, (const unsigned char *)e->data != expected, SOMA_FORMAT, "%s: byte %zu: array '%s' %s",
                  f->name, (size_t)(expected - f->bytes), e->name,
                  (const unsigned char *)e->data < expected ? "overlaps the one before" : "leaves a hole before it");
        expected += e->bytes;
    }
    const size_t end = (size_t)(expected - f->bytes);
    RETURN_IF(f->context, end != f->size, SOMA_FORMAT, "%s: byte %zu: %zu bytes that belong to no array", f->name, end,
              f->size - end);
    return SOMA_OK;
}

static soma_status read_root(safetensors *f, const json_node *root) {
    RETURN_IF(f->context, json_node_kind(root) != JSON_IS_OBJECT, SOMA_FORMAT, "%s: byte 8: expected an object",
              f->name);
    f->entries = arena_alloc(&f->names, (size_t)json_node_count(root) * sizeof *f->entries);
    if (!f->entries) return SOMA_NO_MEMORY;
    void *cursor = NULL;
    const char *name;
    const json_node *node;
    while (json_node_next(root, &cursor, &name, &node)) {
        if (!strcmp(name, "__metadata__"))
            TRY(read_metadata(f, node));
        else
            TRY(read_entry(f, &f->entries[f->count++], name, node));
    }
    if (f->count) qsort(f->entries, (size_t)f->count, sizeof *f->entries, by_place);
    return check_places(f);
}

static soma_status read_header(safetensors *f) {
    RETURN_IF(f->context, f->size < PREFIX, SOMA_FORMAT,
              "%s: truncated: ends at byte %zu, a safetensors file has 8 at least", f->name, f->size);
    uint64_t length = 0;
    for (int i = PREFIX - 1; i >= 0; i--)
        length = length << 8 | f->bytes[i];
    RETURN_IF(f->context, length > MAX_HEADER, SOMA_FORMAT,
              "%s: byte 0: not a safetensors file: its header would have %llu bytes (at most %d)", f->name,
              (unsigned long long)length, MAX_HEADER);
    RETURN_IF(f->context, length > f->size - PREFIX, SOMA_FORMAT,
              "%s: truncated: ends at byte %zu, the header goes to byte %llu", f->name, f->size,
              (unsigned long long)length + PREFIX);
    RETURN_IF(f->context, length == 0 || f->bytes[PREFIX] != '{', SOMA_FORMAT,
              "%s: byte 8: the header must begin with '{'", f->name);
    f->data = PREFIX + (size_t)length;
    json_document *document;
    TRY(json_document_parse(f->context, f->name, PREFIX, (const char *)f->bytes + PREFIX, (size_t)length, &document));
    const soma_status status = read_root(f, json_document_root(document));
    json_document_free(document);
    return status;
}

/* ---- opening ---- */

static soma_status open_bytes(safetensors *f, const char *name, const void *data, size_t size, safetensors **out) {
    f->bytes = data;
    f->size = size;
    f->name = arena_strdup(&f->names, name);
    const soma_status status = f->name ? read_header(f) : SOMA_NO_MEMORY;
    if (status == SOMA_OK)
        *out = f;
    else
        safetensors_close(f);
    return status;
}

static safetensors *create(soma_context *context) {
    safetensors *f = mem_zalloc(context, sizeof *f);
    if (!f) return NULL;
    f->context = context;
    arena_init(&f->names, context);
    return f;
}

soma_status safetensors_open_memory(soma_context *context, const char *name, const void *data, size_t size,
                                    safetensors **out) {
    *out = NULL;
    safetensors *f = create(context);
    return f ? open_bytes(f, name, data, size, out) : SOMA_NO_MEMORY;
}

soma_status safetensors_open(soma_context *context, const char *path, safetensors **out) {
    *out = NULL;
    safetensors *f = create(context);
    if (!f) return SOMA_NO_MEMORY;
    const soma_status status = file_map(context, path, &f->view);
    if (status == SOMA_OK) return open_bytes(f, path, f->view.data, f->view.size, out);
    safetensors_close(f);
    return status;
}

void safetensors_close(safetensors *f) {
    if (!f) return;
    file_unmap(&f->view);
    arena_deinit(&f->names);
    mem_free(f->context, f, sizeof *f);
}

/* ---- looking ---- */

int safetensors_count(const safetensors *f) {
    return f->count;
}

const safetensors_entry *safetensors_at(const safetensors *f, int i) {
    return i >= 0 && i < f->count ? &f->entries[i] : NULL;
}

const safetensors_entry *safetensors_find(const safetensors *f, const char *name) {
    for (int i = 0; i < f->count; i++)
        if (!strcmp(f->entries[i].name, name)) return &f->entries[i];
    return NULL;
}

int safetensors_metadata_count(const safetensors *f) {
    return f->metadata_count;
}

const safetensors_metadata *safetensors_metadata_at(const safetensors *f, int i) {
    return i >= 0 && i < f->metadata_count ? &f->metadata[i] : NULL;
}

const char *safetensors_metadata_find(const safetensors *f, const char *key) {
    for (int i = 0; i < f->metadata_count; i++)
        if (!strcmp(f->metadata[i].key, key)) return f->metadata[i].value;
    return NULL;
}
