/* Logs of a training, read back: a JSON object a line, as soma train --json writes them.
 * Rests on json_in.h.
 * Lines without an epoch (the last one has the test's results) give levels to compare with. */
#ifndef CLI_TRAINING_LOG_H
#define CLI_TRAINING_LOG_H

#include "plots.h"

enum { MAX_COLUMNS = 32 };

/* EXIT_DONE, or a code after a message with file and line. */
int training_log_read(cli *c, const char *path, int64_t *epochs, curve curves[MAX_COLUMNS], int *n);

#endif
