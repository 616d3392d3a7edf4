/* What comes once, from a pipe or from stdin, as a file that can be looked at and read from its beginning.
 * Rests on C's temporary files: a copy without a name, gone with the process.
 * So readers need no second way of reading, and what a sample is need not be known before all of it is there. */
#ifndef CLI_PIPE_IN_H
#define CLI_PIPE_IN_H

#include "cli.h"

/* A path to what path names: itself for files, that of a copy for pipes and for "-", which is stdin. NULL after a
 * message. */
const char *pipe_in(cli *c, const char *path);

#endif
