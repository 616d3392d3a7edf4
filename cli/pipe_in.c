/* Copies what comes from a pipe to a temporary file.
 * Rests on pipe_in.h and POSIX; /dev/fd opens the copy anew. */
#include "pipe_in.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static bool copy(FILE *from, FILE *to) {
    char bytes[1 << 16];
    size_t n;
    while ((n = fread(bytes, 1, sizeof bytes, from)) > 0) {
        if (fwrite(bytes, 1, n, to) < n) return false;
    }
    return !ferror(from) && fflush(to) == 0;
}

const char *pipe_in(cli *c, const char *path) {
    const bool from_stdin = strcmp(path, "-") == 0;
    struct stat about;
    if (!from_stdin && (stat(path, &about) != 0 || !S_ISFIFO(about.st_mode))) return path;
    FILE *from = from_stdin ? stdin : fopen(path, "rb"), *to = from ? tmpfile() : NULL;
    const bool copied = to && copy(from, to);
    const int reason = errno;
    if (from && !from_stdin) (void)fclose(from);
    if (copied && ftell(to) > 0) return cli_text(c, "/dev/fd/%d", fileno(to)); /* open until the process ends */
    if (to) (void)fclose(to);
    if (copied) {
        (void)cli_fail(c, EXIT_INPUT, "%s: nothing came from it", path);
        return NULL;
    }
    (void)cli_fail(c, from ? EXIT_FAILED : EXIT_INPUT, "%s: %s: %s", path,
                   from ? "cannot be copied to a temporary file" : "cannot be opened", strerror(reason));
    return NULL;
}
