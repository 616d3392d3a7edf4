/* Writing files that are whole or not there.
 * Rests on file_out.h and POSIX.
 * The temporary file lies in the same folder, as a rename does not cross file systems. */
#include "file_out.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int failure(cli *c, const char *path, int reason) {
    return cli_fail(c, EXIT_FAILED, "%s: cannot be written: %s", path, strerror(reason));
}

/* 0, or errno. */
static int write_all(int fd, const void *bytes, size_t n) {
    const char *from = bytes;
    while (n > 0) {
        const ssize_t written = write(fd, from, n);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno;
        from += written;
        n -= (size_t)written;
    }
    return 0;
}

int file_out_write(cli *c, const char *path, const void *bytes, size_t n) {
    struct stat about;
    const bool exists = stat(path, &about) == 0, direct = exists && !S_ISREG(about.st_mode);
    char target[PATH_MAX]; /* what a symbolic link leads to is replaced, not the link */
    if (exists && !direct && realpath(path, target)) path = target;
    char *name = direct ? cli_text(c, "%s", path) : cli_text(c, "%s.%ld.tmp", path, (long)getpid());
    const int fd = open(name, O_WRONLY | O_CLOEXEC | (direct ? 0 : O_CREAT | O_EXCL), 0666);
    if (fd < 0) return failure(c, path, errno);
    int reason = write_all(fd, bytes, n);
    if (!direct && !reason && fsync(fd) != 0 && errno != EINVAL) reason = errno;
    if (close(fd) != 0 && !reason && errno != EINTR) reason = errno;
    if (!direct && !reason && rename(name, path) != 0) reason = errno;
    if (!reason) return EXIT_DONE;
    if (!direct) (void)unlink(name);
    return failure(c, path, reason);
}

int file_out_prepare(cli *c, const char *path) {
    struct stat about;
    char *folder = cli_text(c, "%s", path);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
            const int reason = errno;
            if (stat(folder, &about) != 0) return failure(c, folder, reason);
        }
        *slash = '/';
    }
    const char *last = strrchr(path, '/');
    if (stat(path, &about) == 0) {
        if (S_ISDIR(about.st_mode)) return failure(c, path, EISDIR);
        return access(path, W_OK) == 0 ? EXIT_DONE : failure(c, path, errno);
    }
    folder = last ? cli_text(c, "%.*s", (int)(last == path ? 1 : last - path), path) : cli_text(c, ".");
    if (stat(folder, &about) != 0) return failure(c, path, errno);
    if (!S_ISDIR(about.st_mode)) return failure(c, path, ENOTDIR);
    return access(folder, W_OK | X_OK) == 0 ? EXIT_DONE : failure(c, path, errno);
}
