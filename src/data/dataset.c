/* Datasets in memory: a window of samples over shared storage.
 * Rests on elements.h; the storage counts its users atomically, so slices may go to other threads and outlive each
 * other. Rows are found by multiplication alone: sample i of x begins at i times the bytes of one sample. */
#include "data/dataset.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/context_internal.h"
#include "base/error.h"
#include "base/memory.h"
#include "cpu/reference/element.h"
#include "tensor/node.h"

/* What samples are made of, then what they should give. */
typedef struct storage {
    soma_context *context;
    atomic_int users;
    bool borrowed;
    int n_x, n; /* inputs, arrays in all */
    elements arrays[];
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
    int64_t shapes[][SOMA_MAX_RANK]; /* of the window of each array */
};

/* ---- making and unmaking ---- */

static void release_classes(class_names *c) {
    if (c && atomic_fetch_sub(&c->users, 1) == 1) mem_free(c->context, c, c->bytes);
}

static size_t storage_bytes(int n) {
    return sizeof(storage) + (size_t)n * sizeof(elements);
}

static size_t window_bytes(int n) {
    return sizeof(soma_dataset) + (size_t)n * sizeof(int64_t[SOMA_MAX_RANK]);
}

static void release_storage(storage *s) {
    if (!s || atomic_fetch_sub(&s->users, 1) != 1) return;
    for (int i = 0; i < s->n && !s->borrowed; i++)
        elements_free(&s->arrays[i]);
    mem_free(s->context, s, storage_bytes(s->n));
}

/* A window over storage and classes, which it counts itself a user of. */
static soma_dataset *window_create(storage *s, class_names *classes, int64_t start, int64_t samples) {
    soma_dataset *d = mem_zalloc(s->context, window_bytes(s->n));
    if (!d) return NULL;
    atomic_fetch_add(&s->users, 1);
    if (classes) atomic_fetch_add(&classes->users, 1);
    d->storage = s;
    d->classes = classes;
    d->start = start;
    d->samples = samples;
    for (int i = 0; i < s->n; i++) {
        memcpy(d->shapes[i], s->arrays[i].shape, sizeof d->shapes[i]);
        d->shapes[i][0] = samples;
    }
    return d;
}

/* Its window owns it then; without a window it stays the caller's. */
static storage *storage_create(soma_context *context, int n_x, int n_y, bool borrowed) {
    storage *s = mem_zalloc(context, storage_bytes(n_x + n_y));
    if (!s) return NULL;
    *s = (storage){.context = context, .borrowed = borrowed, .n_x = n_x, .n = n_x + n_y};
    for (int i = 0; i < s->n; i++)
        s->arrays[i].context = context;
    return s;
}

/* "x", "y"; "x[1]" where there are several. For errors alone: batches come through here, one by one. */
typedef struct array_name {
    char text[16];
} array_name;

static array_name name_of(const storage *s, int i) {
    array_name name;
    const bool x = i < s->n_x;
    const int n = x ? s->n_x : s->n - s->n_x;
    (void)snprintf(name.text, sizeof name.text, n == 1 ? "%c" : "%c[%d]", x ? 'x' : 'y', x ? i : i - s->n_x);
    return name;
}

static soma_status check(const storage *s, const char *what) {
    for (int i = 0; i < s->n; i++) {
        const elements *e = &s->arrays[i];
        RETURN_IF(s->context, !e->data, SOMA_INVALID, "[dataset] %s: %s has no data", what, name_of(s, i).text);
        RETURN_IF(s->context, e->rank < 1, SOMA_SHAPE, "[dataset] %s: %s has no axes, the first must count samples",
                  what, name_of(s, i).text);
        RETURN_IF(s->context, e->shape[0] != s->arrays[0].shape[0], SOMA_SHAPE,
                  "[dataset] %s: %s has %lld samples, %s has %lld", what, name_of(s, 0).text,
                  (long long)s->arrays[0].shape[0], name_of(s, i).text, (long long)e->shape[0]);
    }
    return SOMA_OK;
}

/* The window over all of it; NULL, and all of it gone, where that can't be. */
static soma_dataset *open_window(storage *s, const char *what) {
    soma_dataset *d = check(s, what) == SOMA_OK ? window_create(s, NULL, 0, s->arrays[0].shape[0]) : NULL;
    if (d) return d;
    atomic_store(&s->users, 1);
    release_storage(s);
    return NULL;
}

soma_dataset *dataset_adopt(soma_context *context, const char *what, elements *x, elements *y) {
    storage *s = storage_create(context, 1, y->data ? 1 : 0, false);
    if (!s) {
        elements_free(x);
        elements_free(y);
        return NULL;
    }
    s->arrays[0] = *x;
    if (y->data) s->arrays[1] = *y;
    return open_window(s, what);
}

/* Describes the caller's array; copies it unless borrowed. */
static soma_status take(const storage *s, int i, const soma_array_data *from, elements *out) {
    out->dtype = from->dtype;
    out->rank = from->rank;
    if (!from->data) return SOMA_OK;
    RETURN_IF(s->context, !shape_given(from->rank, from->shape), SOMA_SHAPE,
              "[dataset] %s: rank %d: expected 1 to %d, and a shape", name_of(s, i).text, from->rank, SOMA_MAX_RANK);
    RETURN_IF(s->context, (unsigned)from->dtype >= SOMA_DTYPE_COUNT, SOMA_DTYPE, "[dataset] %s: dtype %d is not known",
              name_of(s, i).text, (int)from->dtype);
    for (int axis = 0; axis < from->rank; axis++) {
        RETURN_IF(s->context, from->shape[axis] < 0, SOMA_SHAPE, "[dataset] %s: extent %d is %lld", name_of(s, i).text,
                  axis, (long long)from->shape[axis]);
        out->shape[axis] = from->shape[axis];
    }
    TRY(elements_measure(out, i < s->n_x ? "x" : "y", UINT64_MAX));
    if (s->borrowed) {
        out->data = (void *)(uintptr_t)from->data;
        return SOMA_OK;
    }
    TRY(elements_alloc(out));
    if (out->bytes) memcpy(out->data, from->data, out->bytes);
    return SOMA_OK;
}

soma_dataset *soma_dataset_from_lists(soma_context *context, const soma_array_data *x, int n_x,
                                      const soma_array_data *y, int n_y, bool borrow) {
    RETURN_NULL_IF(context, n_x < 1 || n_y < 0 || n_x > SOMA_MAX_ARRAYS || n_y > SOMA_MAX_ARRAYS, SOMA_INVALID,
                   "[dataset] %d inputs and %d outputs a sample: expected 1 to %d and 0 to %d", n_x, n_y,
                   SOMA_MAX_ARRAYS, SOMA_MAX_ARRAYS);
    storage *s = storage_create(context, n_x, n_y, borrow);
    if (!s) return NULL;
    soma_status status = SOMA_OK;
    for (int i = 0; i < s->n && status == SOMA_OK; i++)
        status = take(s, i, i < n_x ? &x[i] : &y[i - n_x], &s->arrays[i]);
    if (status == SOMA_OK) return open_window(s, "from_arrays");
    atomic_store(&s->users, 1);
    release_storage(s);
    return NULL;
}

soma_dataset *soma_dataset_from_arrays(soma_context *context, soma_array_data x, soma_array_data y, bool borrow) {
    return soma_dataset_from_lists(context, &x, 1, &y, y.data ? 1 : 0, borrow);
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
    const int n = d->storage->n;
    release_classes(d->classes);
    release_storage(d->storage);
    mem_free(context, d, window_bytes(n));
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

int dataset_arrays(const soma_dataset *d, bool labels) {
    return labels ? d->storage->n : d->storage->n_x;
}

size_t dataset_sample_bytes(const soma_dataset *d, int i) {
    return sample_bytes(&d->storage->arrays[i]);
}

soma_array_data dataset_array(const soma_dataset *d, int i) {
    const elements *e = &d->storage->arrays[i];
    return (soma_array_data){.dtype = e->dtype,
                             .rank = e->rank,
                             .shape = d->shapes[i],
                             .data = (const char *)e->data + (size_t)d->start * sample_bytes(e)};
}

int soma_dataset_inputs(const soma_dataset *d) {
    return d ? d->storage->n_x : 0;
}

int soma_dataset_outputs(const soma_dataset *d) {
    return d ? d->storage->n - d->storage->n_x : 0;
}

soma_array_data soma_dataset_input(const soma_dataset *d, int i) {
    return i >= 0 && i < soma_dataset_inputs(d) ? dataset_array(d, i) : (soma_array_data){0};
}

soma_array_data soma_dataset_output(const soma_dataset *d, int i) {
    return i >= 0 && i < soma_dataset_outputs(d) ? dataset_array(d, d->storage->n_x + i) : (soma_array_data){0};
}

soma_array_data soma_dataset_x(const soma_dataset *d) {
    return soma_dataset_input(d, 0);
}

soma_array_data soma_dataset_y(const soma_dataset *d) {
    return soma_dataset_output(d, 0);
}

/* ---- labels ---- */

/* Element i of labels as a whole number; false if it is none. */
static bool label_at(const soma_array_data *y, int64_t i, int64_t *out) {
    *out = element_get_int(y->dtype, y->data, i);
    if (element_integral(y->dtype)) return true;
    const double value = element_get(y->dtype, y->data, i);
    return value == floor(value) && fabs(value) <= 0x1p53;
}

bool dataset_label_range(const soma_dataset *d, int output, int64_t *min, int64_t *max) {
    const soma_array_data y = soma_dataset_output(d, output);
    int64_t low = INT64_MAX, high = INT64_MIN;
    const size_t bytes = y.data ? sample_bytes(&d->storage->arrays[d->storage->n_x + output]) : 0;
    const int64_t n = y.data ? d->samples * (int64_t)(bytes / soma_dtype_size(y.dtype)) : 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t label;
        if (!label_at(&y, i, &label)) return false;
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
    RETURN_IF(context, n < 0 || (n > 0 && !names), SOMA_INVALID, "[dataset] %d class names", n);
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
