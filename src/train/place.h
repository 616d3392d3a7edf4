/* The place in an epoch where a training stands: how many batches are done, what they measured, what callbacks know.
 * Rests on formats/safetensors.h. It hangs on the training, and goes into every file that is written inside an epoch,
 * so that a fit goes on from there to the same bits. Between epochs there is none. */
#ifndef TRAIN_PLACE_H
#define TRAIN_PLACE_H

#include <soma/train.h>

#include "formats/safetensors.h"

typedef struct place_part {
    void *data;
    size_t bytes;
} place_part;

typedef enum place_number {
    PLACE_EPOCH,
    PLACE_BATCH,
    PLACE_SIZE,
    PLACE_BATCHES,
    PLACE_SAMPLES,
    PLACE_STOPS,
    PLACE_NUMBERS
} place_number;

typedef struct fit_place {
    bool inside;               /* an epoch is under way, or was when the training was left */
    bool resume;               /* the fit that begins is to go on from here */
    int64_t at[PLACE_NUMBERS]; /* epoch and batches done, and of what: the batch size, batches of an epoch, samples;
                                  whether a callback has ended the training */
    place_part sums;           /* double: of the batches so far */
    place_part states[SOMA_MAX_CALLBACKS], blobs[SOMA_MAX_CALLBACKS]; /* once interrupted */
} fit_place;

/* Forgets it and frees its memory. */
void place_clear(fit_place *p, soma_context *context);
/* Keeps what the callbacks know, which are about to go. */
soma_status place_keep_callbacks(fit_place *p, soma_context *context, soma_callback *const *callbacks);
/* Gives it back to the callbacks of the fit that goes on. */
soma_status place_give_callbacks(const fit_place *p, soma_context *context, soma_callback *const *callbacks);

/* Forgets what callbacks knew, which they know themselves now. */
void place_drop_callbacks(fit_place *p, soma_context *context);

/* ---- in files ---- */

enum { PLACE_NAME = 32, PLACE_ENTRIES = 4 + 4 * SOMA_MAX_CALLBACKS };

/* Arrays for a file, with their names. */
typedef struct place_entries {
    safetensors_entry items[PLACE_ENTRIES];
    char names[PLACE_ENTRIES][PLACE_NAME];
    int64_t sizes[PLACE_ENTRIES];
    int n;
} place_entries;
void place_add(place_entries *e, const char *name, soma_dtype dtype, const void *data, size_t count);
/* All of a place; nothing where there is none. */
void place_write(const fit_place *p, place_entries *e);
/* What a file has of it, which may be nothing. path: for errors. */
soma_status place_read(fit_place *p, soma_context *context, const char *path, const safetensors *file);

#endif
