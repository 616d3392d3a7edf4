/* safetensors: named arrays and strings in one file that maps into memory and holds no code.
 * Rests on json.h for the header, file.h for mapping and atomic replacement.
 * Equal input gives equal bytes: sorted, no clock, no path. (The .soma file is one of these with agreed metadata.) */
#ifndef FORMATS_SAFETENSORS_H
#define FORMATS_SAFETENSORS_H

#include <soma/tensor.h>

typedef struct safetensors_entry {
    const char *name;
    soma_dtype dtype; /* SOMA_DTYPE_COUNT when read from a file and Soma has no such dtype */
    int rank;
    const int64_t *shape;
    const void *data;       /* little-endian, row-major. When read: in the mapped file, aligned as the file has it */
    size_t bytes;           /* when written: set by the writer, may be 0 */
    const char *dtype_name; /* "F32"; when written: ignored */
} safetensors_entry;

typedef struct safetensors_metadata {
    const char *key, *value;
} safetensors_metadata;

/* Entries in any order; names and keys must differ from each other. Arrays whose data is NULL must be empty. */
SOMA_MUST_CHECK soma_status safetensors_write(soma_context *context, const char *path, const safetensors_entry *entries,
                                              int n, const safetensors_metadata *metadata, int m);

typedef struct safetensors safetensors;

/* Maps and checks everything: sizes, offsets, no hole, no overlap, ends at the file's end. *out NULL after an error. */
SOMA_MUST_CHECK soma_status safetensors_open(soma_context *context, const char *path, safetensors **out);
/* The same from bytes that are borrowed until safetensors_close. */
SOMA_MUST_CHECK soma_status safetensors_open_memory(soma_context *context, const char *name, const void *data,
                                                    size_t size, safetensors **out);
void safetensors_close(safetensors *file);

/* Arrays in the order of their data. */
int safetensors_count(const safetensors *file);
const safetensors_entry *safetensors_at(const safetensors *file, int i);
/* NULL if there is none. */
const safetensors_entry *safetensors_find(const safetensors *file, const char *name);
int safetensors_metadata_count(const safetensors *file);
const safetensors_metadata *safetensors_metadata_at(const safetensors *file, int i);
const char *safetensors_metadata_find(const safetensors *file, const char *key);

#endif
