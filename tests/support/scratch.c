/* Scratch files, in a folder named after the process and removed at exit.
 * Rests on POSIX; a failure here is no failure of what is tested, so it aborts.
 * Only plain files are made, so only plain files are removed. */
#define _GNU_SOURCE 1
#include "support/scratch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[1024];

/* Counts the files, removing them if asked to. */
static int walk(int removing) {
    char path[2048];
    int files = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        if (e->d_name[0] == '.') continue;
        files++;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (removing) unlink(path);
    }
    if (d) closedir(d);
    return files;
}

static void clean(void) {
    walk(1);
    rmdir(folder);
}

static void make_folder(void) {
    if (folder[0]) return;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/soma-test-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(folder)) abort();
    atexit(clean);
}

const char *scratch_path(const char *name) {
    static char paths[8][2048];
    static unsigned turn;
    make_folder();
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

const char *scratch_write(const char *name, const void *data, size_t size) {
    const char *path = scratch_path(name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0) abort();
    return path;
}

void *scratch_read(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0) abort();
    const long length = ftell(f);
    rewind(f);
    char *data = malloc((size_t)length + 1);
    if (!data || fread(data, 1, (size_t)length, f) != (size_t)length) abort();
    fclose(f);
    data[length] = '\0';
    if (size) *size = (size_t)length;
    return data;
}

int scratch_count(void) {
    make_folder();
    return walk(0);
}
