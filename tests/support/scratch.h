/* Scratch files for tests: a folder of their own under TMPDIR, gone when the program ends.
 * Rests on POSIX.
 * Paths are made of the name alone, so two tests in one program may reuse them. */
#ifndef SUPPORT_SCRATCH_H
#define SUPPORT_SCRATCH_H

#include <stddef.h>

/* Path of a file in the folder; valid until the 8th call after. The file need not exist. */
const char *scratch_path(const char *name);
/* Writes the file and returns its path. */
const char *scratch_write(const char *name, const void *data, size_t size);
/* Reads a whole file into malloc's memory, with a zero byte after it. */
void *scratch_read(const char *path, size_t *size);
/* How many files there are in the folder. */
int scratch_count(void);

#endif
