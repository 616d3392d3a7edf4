/* gzip by zlib: members one after the other, as gunzip reads them, with their checksums.
 * Rests on zlib, whose memory comes from the context too.
 * Inflates straight into the caller's memory. */
#include <limits.h>
#include <zlib.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

enum { PACKED = 64 * 1024 };

struct gzip_inflater {
    soma_context *context;
    const char *path; /* borrowed */
    gzip_source_fn *source;
    void *user;
    z_stream z;
    uint64_t packed_end; /* packed bytes taken from the source */
    bool ready;          /* z needs inflateEnd */
    bool between;        /* a member is complete: the end of the file may come */
    unsigned char packed[PACKED];
};

static voidpf zlib_alloc(voidpf context, uInt items, uInt size) {
    size_t bytes;
    return size_mul(items, size, &bytes) ? mem_box_alloc(context, bytes) : Z_NULL;
}

static void zlib_free(voidpf context, voidpf block) {
    (void)context;
    mem_box_free(block);
}

gzip_inflater *gzip_open(soma_context *context, const char *path, gzip_source_fn *source, void *user) {
    gzip_inflater *g = mem_zalloc(context, sizeof *g);
    if (!g) return NULL;
    g->context = context;
    g->path = path;
    g->source = source;
    g->user = user;
    g->z.zalloc = zlib_alloc;
    g->z.zfree = zlib_free;
    g->z.opaque = context;
    if (inflateInit2(&g->z, 15 + 16) != Z_OK) {
        (void)error_set(context, SOMA_NO_MEMORY, "%s: zlib: out of memory", path);
        mem_free(context, g, sizeof *g);
        return NULL;
    }
    g->ready = true;
    return g;
}

void gzip_close(gzip_inflater *g) {
    if (!g) return;
    if (g->ready) inflateEnd(&g->z);
    mem_free(g->context, g, sizeof *g);
}

static soma_status refill(gzip_inflater *g) {
    size_t got;
    TRY(g->source(g->user, g->packed, PACKED, &got));
    g->z.next_in = g->packed;
    g->z.avail_in = (uInt)got;
    g->packed_end += got;
    return SOMA_OK;
}

static soma_status inflate_error(gzip_inflater *g, int code) {
    const unsigned long long at = g->packed_end - g->z.avail_in;
    if (code == Z_MEM_ERROR) return error_set(g->context, SOMA_NO_MEMORY, "%s: zlib: out of memory", g->path);
    return error_set(g->context, SOMA_FORMAT, "%s: damaged gzip data before packed byte %llu: %s", g->path, at,
                     g->z.msg ? g->z.msg : "unexpected content");
}

/* One call of inflate, with input at hand; *end at the end of the file. */
static soma_status advance(gzip_inflater *g, bool *end) {
    if (g->z.avail_in == 0) {
        TRY(refill(g));
        *end = g->z.avail_in == 0 && g->between;
        if (*end) return SOMA_OK;
        RETURN_IF(g->context, g->z.avail_in == 0, SOMA_FORMAT, "%s: truncated: gzip data ends at packed byte %llu",
                  g->path, (unsigned long long)g->packed_end);
    }
    if (g->between && inflateReset(&g->z) != Z_OK) return inflate_error(g, Z_DATA_ERROR);
    g->between = false;
    const int code = inflate(&g->z, Z_NO_FLUSH);
    if (code == Z_STREAM_END)
        g->between = true;
    else if (code != Z_OK && code != Z_BUF_ERROR)
        return inflate_error(g, code);
    return SOMA_OK;
}

soma_status gzip_read(gzip_inflater *g, void *data, size_t n, size_t *got) {
    size_t done = 0;
    bool end = false;
    while (done < n && !end) {
        const size_t rest = n - done;
        const uInt piece = rest < UINT_MAX ? (uInt)rest : UINT_MAX;
        g->z.next_out = (Bytef *)data + done;
        g->z.avail_out = piece;
        TRY(advance(g, &end));
        done += piece - g->z.avail_out;
    }
    *got = done;
    return SOMA_OK;
}
