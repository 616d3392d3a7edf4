/* What the callbacks share: a beginning, the number they watch, snapshots of weights, their words.
 * Rests on training.h. A callback is one block that begins with the public struct, so destroying it is freeing it. */
#ifndef TRAIN_CALLBACK_H
#define TRAIN_CALLBACK_H

#include <stdio.h>

#include <soma/callbacks.h>

#include "base/text.h"
#include "train/training.h"

/* A block of size bytes that begins with a soma_callback, whose user is the block itself and whose destroy frees it;
 * NULL when out of memory. */
void *callback_alloc(soma_context *context, size_t size);
/* Stands for one that could not be made: fit returns the context's error. */
soma_callback *callback_failed(void);
/* A copy of a string in the block's own memory, freed with it; text_free. */
char *callback_strdup(soma_context *context, const char *string);

/* ---- the number that is watched ---- */

typedef struct monitor {
    const char *name; /* freed with text_free */
    bool up;          /* more is better */
} monitor;
soma_status monitor_init(monitor *m, soma_context *context, const char *who, const char *name, soma_monitor_mode mode);
/* False where it has not been measured: no validation in this epoch. What is measured may be NaN. */
bool monitor_value(const monitor *m, const soma_logs *logs, double *value);
/* Whether value is better than best by more than delta; anything is better than NaN. */
bool monitor_better(const monitor *m, double value, double best, double delta);

/* ---- words ---- */

/* Where fit's progress goes. */
void callback_say(soma_context *context, const soma_logs *logs, const char *format, ...) SOMA_PRINTF(3, 4);

/* ---- weights ---- */

/* Bytes of all the model's weights. */
size_t snapshot_bytes(const soma_model *model);
soma_status snapshot_take(const soma_model *model, void *bytes);
soma_status snapshot_restore(soma_model *model, const void *bytes);

#endif
