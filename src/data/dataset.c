/* Datasets in memory: a window of samples over shared storage.
 * Rests on elements.h; the storage counts its users atomically, so slices may go to other threads and outlive each
 * other. Rows are found by multiplication alone: sample i of x begins at i times the bytes of one sample. */
#include "data/dataset.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/context_internal.h"
#include "base/error.h"
#include "base/memory.h"

typedef struct storage {
    soma_context *context;
    atomic_int users;
    bool borrowed;
    elements x, y;
} storage;

/* Names are shared by slices, but replaced as a whole. */
typedef struct class_names {
    soma_context *context;
    atomic_int users;
    int count;
    size_t bytes;
    char *names[];
} class_names;

struct soma_dataset {
    storage *storage;
    class_names *classes; /* may be NULL */
    int64_t start, samples;
    int64_t x_shape[SOMA_MAX_RANK], y_shape[SOMA_MAX_RANK]; /* of the window */
};

/* ---- making and unmaking ---- */

static void release_classes(class_names *c) {
    if (c && atomic_fetch_sub(&c->users, 1) == 1) mem_free(c->context, c, c->bytes);
}

static void release_storage(storage *s) {
    if (!s || atomic_fetch_sub(&s->users, 1) != 1) return;
    if (!s->borrowed) {
        elements_free(&s->x);
        elements_free(&s->y);
    }
    mem_free(s->context, s, sizeof *s);
}

/* A window over storage and classes, which it counts itself a user of. */
static soma_dataset *window_create(storage *s, class_names *classes, int64_t start, int64_t samples) {
    soma_dataset *d = mem_zalloc(s->context, sizeof *d);
    if (!d) return NULL;
    atomic_fetch_add(&s->users, 1);
    if (classes) atomic_fetch_add(&classes->users, 1);
    d->storage = s;
    d->classes = classes;
    d->start = start;
    d->samples = samples;
    memcpy(d->x_shape, s->x.shape, sizeof d->x_shape);
    memcpy(d->y_shape, s->y.shape, sizeof d->y_shape);
    d->x_shape[0] = samples;
    if (s->y.data) d->y_shape[0] = samples;
    return d;
}

static soma_status check(soma_context *context, const char *what, const elements *x, const elements *y) {
    RETURN_IF(context, !x->data, SOMA_INVALID, "[dataset] %s: x has no data", what);
    RETURN_IF(context, x->rank < 1, SOMA_SHAPE, "[dataset] %s: x has no axes, the first must count samples", what);
    RETURN_IF(context, y->data && y->rank < 1, SOMA_SHAPE, "[dataset] %s: y has no axes, the first must count samples",
              what);
    RETURN_IF(context, y->data && x->shape[0] != y->shape[0], SOMA_SHAPE,
              "[dataset] %s: x has %lld samples, y has %lld", what, (long long)x->shape[0], (long long)y->shape[0]);
    return SOMA_OK;
}

static soma_dataset *create(soma_context *context, const elements *x, const elements *y, bool borrowed) {
    storage *s = mem_zalloc(context, sizeof *s);
    if (!s) return NULL;
    *s = (storage){.context = context, .borrowed = borrowed, .x = *x, .y = *y};
    soma_dataset *d = window_create(s, NULL, 0, x->shape[0]);
    if (!d) mem_free(context, s, sizeof *s);
    return d;
}

soma_dataset *dataset_adopt(soma_context *context, const char *what, elements *x, elements *y) {
    soma_dataset *d = check(context, what, x, y) == SOMA_OK ? create(context, x, y, false) : NULL;
    if (d) return d;
    elements_free(x);
    elements_free(y);
    return NULL;
}

/* Describes the caller's array; copies it unless borrowed. */
static soma_status take(soma_context *context, const char *what, soma_array_data from, bool borrow, elements *out) {
    *out = (elements){.context = context, .dtype = from.dtype, .rank = from.rank};
    if (!from.data) return SOMA_OK;
    RETURN_IF(context, from.rank < 0 || from.rank > SOMA_MAX_RANK, SOMA_SHAPE,
              "[dataset] %s: rank %d: expected 1 to %d", what, from.rank, SOMA_MAX_RANK);
    RETURN_IF(context, (unsigned)from.dtype >= SOMA_DTYPE_COUNT, SOMA_DTYPE, "[dataset] %s: dtype %d is not known",
              what, (int)from.dtype);
    for (int i = 0; i < from.rank; i++) {
        RETURN_IF(context, from.shape[i] < 0, SOMA_SHAPE, "[dataset] %s: extent %d is %lld", what, i,
                  (long long)from.shape[i]);
        out->shape[i] = from.shape[i];
    }
    TRY(elements_measure(out, what, UINT64_MAX));
    if (borrow) {
        out->data = (void *)(uintptr_t)from.data;
        return SOMA_OK;
    }
    TRY(elements_alloc(out));
    if (out->bytes) memcpy(out->data, from.data, out->bytes);
    return SOMA_OK;
}

soma_dataset *soma_dataset_from_arrays(soma_context *context, soma_array_data x, soma_array_data y, bool borrow) {
    elements ex, ey = {.context = context};
    soma_status status = take(context, "x", x, borrow, &ex);
    if (status == SOMA_OK) status = take(context, "y", y, borrow, &ey);
    if (status == SOMA_OK) status = check(context, "from_arrays", &ex, &ey);
    soma_dataset *d = status == SOMA_OK ? create(context, &ex, &ey, borrow) : NULL;
    if (!d && !borrow) {
        elements_free(&ex);
        elements_free(&ey);
    }
    return d;
}

static int64_t clamp(int64_t i, int64_t n) {
    if (i < 0) i = i < -n ? 0 : i + n;
    return i > n ? n : i;
}

soma_dataset *soma_dataset_slice(const soma_dataset *d, int64_t start, int64_t stop) {
    if (!d) return NULL;
    const int64_t from = clamp(start, d->samples), to = clamp(stop, d->samples);
    return window_create(d->storage, d->classes, d->start + from, to > from ? to - from : 0);
}

void soma_dataset_destroy(soma_dataset *d) {
    if (!d) return;
    soma_context *context = d->storage->context;
    release_classes(d->classes);
    release_storage(d->storage);
    mem_free(context, d, sizeof *d);
}

/* ---- looking ---- */

int64_t soma_dataset_samples(const soma_dataset *d) {
    return d ? d->samples : 0;
}

soma_context *soma_dataset_context(const soma_dataset *d) {
    return context_of(d ? d->storage->context : NULL);
}

static size_t sample_bytes(const elements *e) {
    size_t bytes = e->data ? soma_dtype_size(e->dtype) : 0;
    for (int i = 1; i < e->rank; i++)
        bytes *= (size_t)e->shape[i]; /* wraps only where there is no sample */
    return bytes;
}

size_t dataset_x_bytes(const soma_dataset *d) {
    return sample_bytes(&d->storage->x);
}

size_t dataset_y_bytes(const soma_dataset *d) {
    return sample_bytes(&d->storage->y);
}

static soma_array_data window_of(const soma_dataset *d, const elements *e, const int64_t *shape) {
    const char *data = e->data;
    return (soma_array_data){.dtype = e->dtype,
                             .rank = e->rank,
                             .shape = shape,
                             .data = data ? data + (size_t)d->start * sample_bytes(e) : NULL};
}

soma_array_data soma_dataset_x(const soma_dataset *d) {
    return d ? window_of(d, &d->storage->x, d->x_shape) : (soma_array_data){0};
}

soma_array_data soma_dataset_y(const soma_dataset *d) {
    return d ? window_of(d, &d->storage->y, d->y_shape) : (soma_array_data){0};
}

/* ---- labels ---- */

/* Element i of labels as a whole number; false if it is none. */
static bool label_at(const soma_array_data *y, int64_t i, int64_t *out) {
    double value;
    switch (y->dtype) {
    case SOMA_BOOL:
    case SOMA_U8:
        *out = ((const uint8_t *)y->data)[i];
        return true;
    case SOMA_I8:
        *out = ((const int8_t *)y->data)[i];
        return true;
    case SOMA_I16:
        *out = ((const int16_t *)y->data)[i];
        return true;
    case SOMA_I32:
        *out = ((const int32_t *)y->data)[i];
        return true;
    case SOMA_I64:
        *out = ((const int64_t *)y->data)[i];
        return true;
    case SOMA_F32:
        value = (double)((const float *)y->data)[i];
        break;
    case SOMA_F64:
        value = ((const double *)y->data)[i];
        break;
    default:
        return false;
    }
    if (value != floor(value) || fabs(value) > 0x1p53) return false;
    *out = (int64_t)value;
    return true;
}

bool dataset_label_range(const soma_dataset *d, int64_t *min, int64_t *max) {
    const soma_array_data y = soma_dataset_y(d);
    int64_t low = INT64_MAX, high = INT64_MIN;
    const size_t n = y.data ? (size_t)d->samples * (dataset_y_bytes(d) / soma_dtype_size(y.dtype)) : 0;
    for (size_t i = 0; i < n; i++) {
        int64_t label;
        if (!label_at(&y, (int64_t)i, &label)) return false;
        if (label < low) low = label;
        if (label > high) high = label;
    }
    if (n == 0) return false;
    *min = low;
    *max = high;
    return true;
}

soma_status soma_dataset_set_class_names(soma_dataset *d, const char *const *names, int n) {
    soma_context *context = soma_dataset_context(d);
    RETURN_IF(context, n < 0, SOMA_INVALID, "[dataset] %d class names", n);
    size_t bytes = sizeof(class_names) + (size_t)n * sizeof(char *);
    for (int i = 0; i < n; i++)
        bytes += strlen(names[i]) + 1;
    class_names *c = mem_zalloc(context, bytes);
    if (!c) return SOMA_NO_MEMORY;
    *c = (class_names){.context = context, .users = 1, .count = n, .bytes = bytes};
    char *to = (char *)&c->names[n];
    for (int i = 0; i < n; i++) {
        const size_t length = strlen(names[i]) + 1;
        c->names[i] = memcpy(to, names[i], length);
        to += length;
    }
    release_classes(d->classes);
    d->classes = c;
    return SOMA_OK;
}

int soma_dataset_class_count(const soma_dataset *d) {
    return d && d->classes ? d->classes->count : 0;
}

const char *soma_dataset_class_name(const soma_dataset *d, int i) {
    return i >= 0 && i < soma_dataset_class_count(d) ? d->classes->names[i] : NULL;
}
