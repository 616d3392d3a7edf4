/* Files that the command writes itself (pictures): whole or not there.
 * Rests on POSIX: a new file beside the old one, synced, then renamed over it; devices are written directly.
 * The library's own files are written by the library, in the same way. */
#ifndef CLI_FILE_OUT_H
#define CLI_FILE_OUT_H

#include "cli.h"

/* Replaces path by these bytes. EXIT_DONE, or a code after a message. */
int file_out_write(cli *c, const char *path, const void *bytes, size_t n);
/* Makes the folders that path lies in, and finds out whether a file can be made there: before hours of work, not after
 * them. EXIT_DONE, or a code after a message. */
int file_out_prepare(cli *c, const char *path);

#endif
