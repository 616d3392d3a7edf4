/* The one form of errors from the system: "file: what could not be done: reason".
 * Rests on error.h; for the files of this floor that touch the disk.
 * One place, so that every message reads alike and none depends on the locale. */
#ifndef BASE_FILE_ERROR_H
#define BASE_FILE_ERROR_H

#include <soma/context.h>

/* Records SOMA_IO with the text of errno value `reason`, in English. Returns SOMA_IO. */
soma_status file_error(soma_context *context, const char *path, const char *what, int reason);

#endif
