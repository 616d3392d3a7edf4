/* Writing files that are whole or not there.
 * Rests on POSIX: a new file beside the old one, synced, then renamed over it, then the folder synced.
 * What is no regular file (a device, a pipe) can't be replaced and is written directly. A symbolic link stays, what it
 * leads to is replaced. Who writes holds a lock, which ends with the process however that ends: so what a killed one
 * left is told from what is being written, also where process numbers say nothing (containers, shared folders). */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/file_error.h"
#include "base/memory.h"
#include "base/number.h"

soma_status file_error(soma_context *context, const char *path, const char *what, int reason) {
    const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const char *text = c ? strerror_l(reason, c) : "unknown reason";
    (void)error_set(context, SOMA_IO, "%s: %s: %s", path, what, text);
    if (c) freelocale(c);
    return SOMA_IO;
}

struct file_writer {
    soma_context *context;
    int fd;
    char *path;      /* what is to be replaced */
    char *temporary; /* beside it; NULL when written directly */
};

static char *copy_string(soma_context *context, const char *s) {
    const size_t bytes = strlen(s) + 1;
    char *copy = mem_box_alloc(context, bytes);
    return copy ? memcpy(copy, s, bytes) : NULL;
}

static void writer_free(file_writer *w) {
    mem_box_free(w->path);
    mem_box_free(w->temporary);
    mem_free(w->context, w, sizeof *w);
}

/* Removes the temporary files of path that nobody writes any more. */
static void remove_left_over(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char folder[PATH_MAX] = ".";
    if (slash) (void)snprintf(folder, sizeof folder, "%.*s/", (int)(slash - path), path);
    DIR *files = opendir(folder);
    for (const struct dirent *file = NULL; files && (file = readdir(files));) {
        const size_t n = strlen(name);
        int digits = 0;
        if (strncmp(file->d_name, name, n) != 0) continue;
        (void)sscanf(file->d_name + n, ".%*9[0-9].%*9[0-9].tmp%n", &digits);
        if (!digits || file->d_name[n + (size_t)digits]) continue;
        const int fd = openat(dirfd(files), file->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) (void)unlinkat(dirfd(files), file->d_name, 0);
        if (fd >= 0) close(fd);
    }
    if (files) closedir(files);
}

/* Whether the new file is ours, and not taken for a left over one before it had its lock. */
static bool lock_temporary(int fd) {
    struct stat about;
    (void)flock(fd, LOCK_EX);
    return fstat(fd, &about) == 0 && about.st_nlink > 0;
}

/* A file that was not there before: path.PID.N.tmp. */
static soma_status open_temporary(file_writer *w, mode_t mode) {
    const size_t bytes = strlen(w->path) + 48;
    w->temporary = mem_box_alloc(w->context, bytes);
    if (!w->temporary) return SOMA_NO_MEMORY;
    remove_left_over(w->path);
    for (int i = 0; i < 1000; i++) {
        (void)number_format(w->temporary, bytes, "%s.%ld.%d.tmp", w->path, (long)getpid(), i);
        w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (w->fd >= 0 && lock_temporary(w->fd)) break;
        if (w->fd < 0 && errno != EEXIST && errno != EINTR) break;
        if (w->fd >= 0) close(w->fd);
        w->fd = -1;
    }
    if (w->fd < 0) return file_error(w->context, w->path, "cannot be written", errno);
    if (mode) (void)fchmod(w->fd, mode & 0777); /* the new file is readable to whom the old one was, if allowed */
    return SOMA_OK;
}

void file_make_folders(char *path) {
    for (char *at = path; *at; at++) {
        if (*at != '/' || at == path) continue;
        *at = 0;
        (void)mkdir(path, 0777);
        *at = '/';
    }
}

file_writer *file_writer_open(soma_context *context, const char *path) {
    file_writer *w = mem_zalloc(context, sizeof *w);
    if (!w) return NULL;
    struct stat about;
    char target[PATH_MAX];
    if (lstat(path, &about) == 0 && S_ISLNK(about.st_mode) && realpath(path, target)) path = target;
    *w = (file_writer){.context = context, .fd = -1, .path = copy_string(context, path)};
    soma_status status = w->path ? SOMA_OK : SOMA_NO_MEMORY;
    const bool exists = status == SOMA_OK && stat(path, &about) == 0;
    if (exists && S_ISDIR(about.st_mode)) status = file_error(context, path, "cannot be written", EISDIR);
    if (status == SOMA_OK && exists && !S_ISREG(about.st_mode)) {
        w->fd = open(path, O_WRONLY | O_CLOEXEC);
        if (w->fd < 0) status = file_error(context, path, "cannot be opened", errno);
    } else if (status == SOMA_OK) {
        status = open_temporary(w, exists ? about.st_mode : 0);
    }
    if (status == SOMA_OK) return w;
    writer_free(w);
    return NULL;
}

soma_status file_writer_write(file_writer *w, const void *data, size_t n) {
    const char *from = data;
    while (n > 0) {
        const ssize_t written = write(w->fd, from, n < (size_t)1 << 30 ? n : (size_t)1 << 30);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return file_error(w->context, w->path, "cannot be written", errno);
        from += written;
        n -= (size_t)written;
    }
    return SOMA_OK;
}

/* After a rename the folder's entry must reach the disk too. A file system that can't sync folders is no error. */
static void sync_folder(file_writer *w) {
    char *slash = strrchr(w->temporary, '/');
    if (slash) slash[slash == w->temporary] = '\0';
    const int fd = open(slash ? w->temporary : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

soma_status file_writer_commit(file_writer *w) {
    int reason = 0;
    if (fsync(w->fd) != 0 && errno != EINVAL && errno != EROFS) reason = errno; /* pipes and devices can't sync */
    if (close(w->fd) != 0 && errno != EINTR && !reason) reason = errno;
    w->fd = -1;
    if (!reason && w->temporary && rename(w->temporary, w->path) != 0) reason = errno;
    soma_status status = SOMA_OK;
    if (reason) {
        status = file_error(w->context, w->path, "cannot be written", reason);
        if (w->temporary) unlink(w->temporary);
    } else if (w->temporary) {
        sync_folder(w);
    }
    writer_free(w);
    return status;
}

void file_writer_abort(file_writer *w) {
    if (!w) return;
    close(w->fd);
    if (w->temporary) unlink(w->temporary);
    writer_free(w);
}
