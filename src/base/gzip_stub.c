/* gzip in a build without zlib: says what to install.
 * Rests on error.h; the build takes this file or gzip_zlib.c, never both.
 * Plain files are unaffected: gzip_open is called only for a file that begins as gzip's do. */
#include "base/error.h"
#include "base/file.h"

gzip_inflater *gzip_open(soma_context *context, const char *path, gzip_source_fn *source, void *user) {
    (void)source;
    (void)user;
    (void)error_set(context, SOMA_UNSUPPORTED,
                    "%s: this build cannot read gzip files: run gunzip on it, or install zlib (Debian: zlib1g-dev) and "
                    "build again",
                    path);
    return NULL;
}

soma_status gzip_read(gzip_inflater *inflater, void *data, size_t n, size_t *got) {
    (void)inflater;
    (void)data;
    (void)n;
    *got = 0;
    return SOMA_UNSUPPORTED;
}

void gzip_close(gzip_inflater *inflater) {
    (void)inflater;
}
