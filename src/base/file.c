/* Reading files: mapped whole, or as a stream with gzip undone on the way.
 * Rests on POSIX and on gzip_open from gzip_zlib.c or gzip_stub.c.
 * A stream reads straight into the caller's memory, so a big array exists once. */
#define _GNU_SOURCE 1
#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file_error.h"
#include "base/memory.h"

static int open_retry(const char *path) {
    int fd;
    do
        fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* Reads until n bytes or the end. */
static soma_status read_some(soma_context *context, const char *path, int fd, void *data, size_t n, size_t *got) {
    size_t done = 0;
    while (done < n) {
        const size_t rest = n - done, piece = rest < (size_t)1 << 30 ? rest : (size_t)1 << 30;
        const ssize_t r = read(fd, (char *)data + done, piece);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return file_error(context, path, "cannot be read", errno);
        if (r == 0) break;
        done += (size_t)r;
    }
    *got = done;
    return SOMA_OK;
}

/* Opens for reading and tells about the file; *out is -1 after an error. */
static soma_status open_file(soma_context *context, const char *path, int *out, struct stat *about) {
    const int fd = open_retry(path);
    *out = -1;
    if (fd < 0) return file_error(context, path, "cannot be opened", errno);
    if (fstat(fd, about) != 0 || S_ISDIR(about->st_mode)) {
        const int reason = S_ISDIR(about->st_mode) ? EISDIR : errno;
        close(fd);
        return file_error(context, path, "cannot be read", reason);
    }
    *out = fd;
    return SOMA_OK;
}

/* ---- whole ---- */

static soma_status read_all(const char *path, int fd, file_view *view) {
    for (;;) {
        if (view->size == view->capacity) {
            const size_t capacity = view->capacity ? 2 * view->capacity : 64 * 1024;
            void *data = mem_realloc(view->context, (void *)(uintptr_t)view->data, view->capacity, capacity);
            if (!data) return SOMA_NO_MEMORY;
            view->data = data;
            view->capacity = capacity;
        }
        size_t got;
        TRY(read_some(view->context, path, fd, (void *)(uintptr_t)(view->data + view->size),
                      view->capacity - view->size, &got));
        if (got == 0) return SOMA_OK;
        view->size += got;
    }
}

soma_status file_map(soma_context *context, const char *path, file_view *out) {
    int fd;
    struct stat about;
    *out = (file_view){.context = context};
    TRY(open_file(context, path, &fd, &about));
    soma_status status = SOMA_OK;
    if (S_ISREG(about.st_mode) && about.st_size > 0) {
        void *data = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data != MAP_FAILED) {
            out->data = data;
            out->size = (size_t)about.st_size;
            out->mapped = true;
        }
    }
    if (!out->mapped) status = read_all(path, fd, out);
    close(fd);
    if (status != SOMA_OK) file_unmap(out);
    return status;
}

void file_unmap(file_view *view) {
    if (view->mapped)
        munmap((void *)(uintptr_t)view->data, view->size);
    else
        mem_free(view->context, (void *)(uintptr_t)view->data, view->capacity);
    *view = (file_view){.context = view->context};
}

/* ---- from front to back ---- */

struct file_stream {
    soma_context *context;
    char *path;
    int fd;                      /* -1: from memory */
    const unsigned char *memory; /* borrowed */
    uint64_t size;               /* of the file or memory, packed; UINT64_MAX if unknown */
    uint64_t taken;              /* packed bytes read */
    uint64_t position;
    unsigned char head[2]; /* looked at to recognize gzip, given out first */
    size_t head_size, head_taken;
    gzip_inflater *inflater;
};

static soma_status raw_read(void *user, void *data, size_t n, size_t *got) {
    file_stream *s = user;
    size_t from_head = s->head_size - s->head_taken, rest = 0;
    if (from_head > n) from_head = n;
    memcpy(data, s->head + s->head_taken, from_head);
    s->head_taken += from_head;
    char *to = (char *)data + from_head;
    n -= from_head;
    if (s->fd >= 0) {
        TRY(read_some(s->context, s->path, s->fd, to, n, &rest));
    } else {
        const uint64_t left = s->size - s->taken;
        rest = left < n ? (size_t)left : n;
        if (rest) memcpy(to, s->memory + s->taken, rest);
    }
    s->taken += rest;
    *got = from_head + rest;
    return SOMA_OK;
}

static file_stream *stream_create(soma_context *context, const char *name) {
    file_stream *s = mem_zalloc(context, sizeof *s);
    char *path = s ? mem_box_alloc(context, strlen(name) + 1) : NULL;
    if (!path) {
        mem_free(context, s, sizeof *s);
        return NULL;
    }
    strcpy(path, name);
    *s = (file_stream){.context = context, .path = path, .fd = -1, .size = UINT64_MAX};
    return s;
}

file_stream *file_stream_memory(soma_context *context, const char *name, const void *data, size_t size) {
    file_stream *s = stream_create(context, name);
    if (!s) return NULL;
    s->memory = data;
    s->size = size;
    return s;
}

/* Looks at the first two bytes for gzip's signature. */
static soma_status recognize_gzip(file_stream *s) {
    size_t got;
    TRY(raw_read(s, s->head, sizeof s->head, &got));
    s->head_size = got;
    if (got < 2 || s->head[0] != 0x1f || s->head[1] != 0x8b) return SOMA_OK;
    s->inflater = gzip_open(s->context, s->path, raw_read, s);
    return s->inflater ? SOMA_OK : error_get(s->context);
}

file_stream *file_stream_open(soma_context *context, const char *path, bool gunzip) {
    file_stream *s = stream_create(context, path);
    if (!s) return NULL;
    struct stat about;
    soma_status status = open_file(context, path, &s->fd, &about);
    if (status == SOMA_OK && S_ISREG(about.st_mode)) s->size = (uint64_t)about.st_size;
    if (status == SOMA_OK && gunzip) status = recognize_gzip(s);
    if (status == SOMA_OK) return s;
    file_stream_close(s);
    return NULL;
}

void file_stream_close(file_stream *s) {
    if (!s) return;
    gzip_close(s->inflater);
    if (s->fd >= 0) close(s->fd);
    mem_box_free(s->path);
    mem_free(s->context, s, sizeof *s);
}

soma_status file_stream_read(file_stream *s, void *data, size_t n, size_t *got) {
    size_t done = 0;
    TRY(s->inflater ? gzip_read(s->inflater, data, n, &done) : raw_read(s, data, n, &done));
    s->position += done;
    *got = done;
    return SOMA_OK;
}

const char *file_stream_path(const file_stream *s) {
    return s->path;
}

uint64_t file_stream_position(const file_stream *s) {
    return s->position;
}

uint64_t file_stream_limit(const file_stream *s) {
    enum { DEFLATE_RATIO = 1032 };
    if (s->size == UINT64_MAX) return UINT64_MAX;
    if (!s->inflater) return s->position < s->size ? s->size - s->position : 0;
    const uint64_t most = s->size > UINT64_MAX / DEFLATE_RATIO ? UINT64_MAX : s->size * DEFLATE_RATIO;
    return s->position < most ? most - s->position : 0;
}
