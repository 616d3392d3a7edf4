/* Ctrl-C during a training, or the end of its terminal: the batch is finished and the model saved; a second Ctrl-C
 * leaves at once.
 * Rests on signals and on soma_model_request_stop, which a handler may call.
 * The one place where the command keeps something global: a handler has nothing else to hold on to. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include "cli.h"

/* From now on SIGINT, SIGTERM and, unless it is ignored, SIGHUP stop the model's training; NULL: they have their usual
 * meaning again. */
void interrupt_guard(soma_model *model);
/* Whether one of them has come since. */
bool interrupt_came(void);

#endif
