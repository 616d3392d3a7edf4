/* History: a row of measurements for each epoch, in columns ordered by name.
 * Rests on training.h. Room for all epochs is made before the first, so that training allocates nothing; where they are
 * so many that hardly all will be, for the first ones, and it grows.
 * It holds numbers only: no clock, so that equal runs have equal histories. */
#include <math.h>
#include <string.h>

#include "train/training.h"

enum { ROOM = 1 << 16 /* epochs, before the first */ };

/* Room for so many epochs in all. */
static soma_status reserve(soma_model *model, int64_t epochs) {
    training *t = model->training;
    history *h = &t->history;
    const size_t row = (size_t)t->n_keys * sizeof *h->rows;
    size_t bytes;
    if (epochs <= h->capacity) return SOMA_OK;
    RETURN_IF(model->context, !size_mul((size_t)epochs, row, &bytes), SOMA_NO_MEMORY, "[fit] %lld epochs are too many",
              (long long)epochs);
    double *rows = mem_realloc(model->context, h->rows, (size_t)h->capacity * row, bytes);
    if (!rows) return SOMA_NO_MEMORY;
    h->rows = rows;
    h->capacity = epochs;
    return SOMA_OK;
}

soma_status history_begin(soma_model *model, bool keep, int64_t epochs, const bool used[KEY_KINDS]) {
    training *t = model->training;
    history *h = &t->history;
    if (!keep) h->epochs = 0;
    for (int i = 0; i < KEY_KINDS; i++)
        h->used[i] = used[i] || (keep && h->used[i]);
    return reserve(model, h->epochs + (epochs < ROOM ? epochs : ROOM));
}

soma_status history_add(soma_model *model, const double *row) {
    training *t = model->training;
    history *h = &t->history;
    if (h->epochs == h->capacity) TRY(reserve(model, 2 * h->capacity + 1));
    memcpy(h->rows + h->epochs * t->n_keys, row, (size_t)t->n_keys * sizeof *row);
    h->epochs++;
    return SOMA_OK;
}

void history_deinit(soma_model *model, history *h) {
    const training *t = model->training;
    mem_free(model->context, h->rows, (size_t)h->capacity * (size_t)t->n_keys * sizeof *h->rows);
    *h = (history){0};
}

int64_t soma_history_epochs(const soma_model *model) {
    const training *t = model ? model->training : NULL;
    return t ? t->history.epochs : 0;
}

const char *soma_history_name(const soma_model *model, int i) {
    const training *t = model ? model->training : NULL;
    if (!t || i < 0) return NULL;
    for (int k = 0; k < t->n_keys; k++) {
        if (!t->history.used[t->keys[k].kind]) continue;
        if (i-- == 0) return t->keys[k].name;
    }
    return NULL;
}

double soma_history_get(const soma_model *model, const char *name, int64_t epoch) {
    const training *t = model ? model->training : NULL;
    if (!t || !name) return (double)NAN;
    if (epoch < 0) epoch += t->history.epochs;
    if (epoch < 0 || epoch >= t->history.epochs) return (double)NAN;
    for (int k = 0; k < t->n_keys; k++) {
        if (strcmp(t->keys[k].name, name) == 0) return t->history.rows[epoch * t->n_keys + k];
    }
    return (double)NAN;
}
