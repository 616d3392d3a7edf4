/* Files: mapped whole, read from front to back (gzip or not), replaced atomically.
 * Rests on POSIX and, for .gz, on one of gzip_zlib.c and gzip_stub.c.
 * Every error names the file and the system's reason; a file that was being written is whole or not there. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <soma/context.h>

/* ---- a file as bytes ---- */

typedef struct file_view {
    const unsigned char *data; /* page or 64-byte aligned; never NULL once open */
    size_t size;
    soma_context *context;
    bool mapped;
    size_t capacity; /* of the block, when not mapped */
} file_view;

/* Maps a regular file, reads anything else to its end. */
SOMA_MUST_CHECK soma_status file_map(soma_context *context, const char *path, file_view *out);
void file_unmap(file_view *view);

/* ---- a file from front to back ---- */

typedef struct file_stream file_stream;
typedef struct gzip_inflater gzip_inflater;

/* gunzip: where the file begins as gzip's do, give what it holds. NULL after an error. */
file_stream *file_stream_open(soma_context *context, const char *path, bool gunzip);
/* Reads bytes that are borrowed; name stands for the path in errors. */
file_stream *file_stream_memory(soma_context *context, const char *name, const void *data, size_t size);
void file_stream_close(file_stream *stream);
/* Up to n bytes into data; *got < n only at the end. */
SOMA_MUST_CHECK soma_status file_stream_read(file_stream *stream, void *data, size_t n, size_t *got);
const char *file_stream_path(const file_stream *stream);
/* Bytes read so far (unzipped). */
uint64_t file_stream_position(const file_stream *stream);
/* The most bytes that can still come: exact for plain files, a bound for gzip (deflate packs 1032 : 1 at most),
 * UINT64_MAX where nothing is known (pipes). What a header claims beyond that is a lie. */
uint64_t file_stream_limit(const file_stream *stream);

/* ---- writing: all or nothing ---- */

typedef struct file_writer file_writer;

/* A new file beside path, which takes its place at commit, or that of the file to which path links. Devices and pipes
 * are written directly. What killed writers of path left is removed. NULL after an error. */
file_writer *file_writer_open(soma_context *context, const char *path);
/* The folders that a file's path names. What goes wrong shows when the file is opened. */
void file_make_folders(char *path);
SOMA_MUST_CHECK soma_status file_writer_write(file_writer *writer, const void *data, size_t n);
/* Syncs, renames, frees the writer; after an error path is as it was and nothing is left over. */
SOMA_MUST_CHECK soma_status file_writer_commit(file_writer *writer);
/* Removes the new file and frees the writer. NULL does nothing. */
void file_writer_abort(file_writer *writer);

/* ---- gzip, in gzip_zlib.c or gzip_stub.c ---- */

/* Gives more packed bytes: up to n into data, *got = 0 at the end. */
typedef soma_status gzip_source_fn(void *user, void *data, size_t n, size_t *got);

gzip_inflater *gzip_open(soma_context *context, const char *path, gzip_source_fn *source, void *user);
SOMA_MUST_CHECK soma_status gzip_read(gzip_inflater *inflater, void *data, size_t n, size_t *got);
void gzip_close(gzip_inflater *inflater);

#endif
