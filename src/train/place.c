/* Places: kept, given back, written and read.
 * Rests on place.h. What comes from a file is checked for type and size here, and against the fit that goes on when it
 * does. */
#include "train/place.h"

#include <stdio.h>
#include <string.h>

#include "base/base.h"

/* ---- memory ---- */

static void drop(place_part *part, soma_context *context) {
    mem_free(context, part->data, part->bytes);
    *part = (place_part){NULL, 0};
}

static soma_status keep(place_part *part, soma_context *context, const void *data, size_t bytes) {
    drop(part, context);
    if (!data || bytes == 0) return SOMA_OK;
    part->data = mem_alloc(context, bytes);
    if (!part->data) return SOMA_NO_MEMORY;
    part->bytes = bytes;
    memcpy(part->data, data, bytes);
    return SOMA_OK;
}

void place_drop_callbacks(fit_place *p, soma_context *context) {
    for (int i = 0; i < SOMA_MAX_CALLBACKS; i++) {
        drop(&p->states[i], context);
        drop(&p->blobs[i], context);
    }
}

void place_clear(fit_place *p, soma_context *context) {
    drop(&p->sums, context);
    place_drop_callbacks(p, context);
    *p = (fit_place){.inside = false};
}

soma_status place_keep_callbacks(fit_place *p, soma_context *context, soma_callback *const *callbacks) {
    for (int i = 0; i < SOMA_MAX_CALLBACKS && callbacks[i]; i++) {
        const soma_callback *c = callbacks[i];
        TRY(keep(&p->states[i], context, c->state, c->n_state > 0 ? (size_t)c->n_state * sizeof *c->state : 0));
        TRY(keep(&p->blobs[i], context, c->blob, c->blob_bytes));
    }
    return SOMA_OK;
}

static soma_status give(const place_part *part, soma_context *context, int i, void *data, size_t bytes) {
    if (!part->data) return SOMA_OK; /* a callback that was not there before begins anew */
    RETURN_IF(context, !data || part->bytes != bytes, SOMA_INVALID,
              "[fit] resume: callback %d is not the one that was interrupted: give the same ones, in order", i);
    memcpy(data, part->data, bytes);
    return SOMA_OK;
}

soma_status place_give_callbacks(const fit_place *p, soma_context *context, soma_callback *const *callbacks) {
    for (int i = 0; i < SOMA_MAX_CALLBACKS && callbacks[i]; i++) {
        const soma_callback *c = callbacks[i];
        TRY(give(&p->states[i], context, i, c->state, c->n_state > 0 ? (size_t)c->n_state * sizeof *c->state : 0));
        TRY(give(&p->blobs[i], context, i, c->blob, c->blob_bytes));
    }
    return SOMA_OK;
}

/* ---- files ---- */

void place_add(place_entries *e, const char *name, soma_dtype dtype, const void *data, size_t count) {
    int i = e->n++;
    snprintf(e->names[i], PLACE_NAME, "%s", name);
    e->sizes[i] = (int64_t)count;
    e->items[i] =
        (safetensors_entry){.name = e->names[i], .dtype = dtype, .rank = 1, .shape = &e->sizes[i], .data = data};
}

void place_write(const fit_place *p, place_entries *e) {
    char name[PLACE_NAME];
    if (!p->inside) return;
    place_add(e, "fit/place", SOMA_I64, p->at, PLACE_NUMBERS);
    place_add(e, "fit/sums", SOMA_F64, p->sums.data, p->sums.bytes / sizeof(double));
    for (int i = 0; i < SOMA_MAX_CALLBACKS; i++) {
        snprintf(name, sizeof name, "fit/callback/%d/state", i);
        if (p->states[i].data) place_add(e, name, SOMA_F64, p->states[i].data, p->states[i].bytes / sizeof(double));
        snprintf(name, sizeof name, "fit/callback/%d/blob", i);
        if (p->blobs[i].data) place_add(e, name, SOMA_U8, p->blobs[i].data, p->blobs[i].bytes);
    }
}

static soma_status read_part(place_part *part, soma_context *context, const char *path, const safetensors *file,
                             const char *name, soma_dtype dtype) {
    const safetensors_entry *entry = safetensors_find(file, name);
    if (!entry) return SOMA_OK;
    RETURN_IF(context, entry->dtype != dtype || entry->rank != 1, SOMA_FORMAT,
              "%s: '%s' is %s of rank %d, not a list of %s", path, name, entry->dtype_name, entry->rank,
              soma_dtype_name(dtype));
    return keep(part, context, entry->data, entry->bytes);
}

soma_status place_read(fit_place *p, soma_context *context, const char *path, const safetensors *file) {
    char name[PLACE_NAME];
    place_clear(p, context);
    const safetensors_entry *entry = safetensors_find(file, "fit/place");
    if (!entry) return SOMA_OK;
    RETURN_IF(context, entry->dtype != SOMA_I64 || entry->bytes != sizeof p->at, SOMA_FORMAT,
              "%s: 'fit/place' must be %d whole numbers", path, PLACE_NUMBERS);
    memcpy(p->at, entry->data, sizeof p->at);
    for (int i = 0; i < PLACE_NUMBERS; i++)
        RETURN_IF(context, p->at[i] < 0, SOMA_FORMAT, "%s: number %d of 'fit/place' is negative", path, i);
    TRY(read_part(&p->sums, context, path, file, "fit/sums", SOMA_F64));
    for (int i = 0; i < SOMA_MAX_CALLBACKS; i++) {
        snprintf(name, sizeof name, "fit/callback/%d/state", i);
        TRY(read_part(&p->states[i], context, path, file, name, SOMA_F64));
        snprintf(name, sizeof name, "fit/callback/%d/blob", i);
        TRY(read_part(&p->blobs[i], context, path, file, name, SOMA_U8));
    }
    p->inside = true;
    return SOMA_OK;
}
