/* Slicing in NumPy's own words: "10:100", "[:, 7:-7, ::-1]", "..., 0", "None".
 * Rests on the slice op. The text is read once into one entry an axis; integers drop their axis, None adds one, and
 * both are a reshape behind a single slice. */
#include <string.h>

#include <soma/ops.h>

#include "ops/build.h"

/* Python's rules for start:stop:step on an axis of the extent; INT64_MAX and INT64_MIN stand for a missing bound. */
static void clamp(int64_t extent, int64_t *start, int64_t stop, int64_t step, int64_t *count) {
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? extent - 1 : extent;
    int64_t bounds[2] = {*start, stop};
    for (int i = 0; i < 2; i++) {
        if (bounds[i] < 0) bounds[i] = bounds[i] < -extent ? low : bounds[i] + extent;
        if (bounds[i] > high) bounds[i] = high;
        if (bounds[i] < low) bounds[i] = low;
    }
    *start = bounds[0];
    if (step < 0) {
        uint64_t size = (uint64_t)0 - (uint64_t)step;
        *count = bounds[1] < bounds[0] ? (int64_t)((uint64_t)(bounds[0] - bounds[1] - 1) / size) + 1 : 0;
    } else {
        *count = bounds[0] < bounds[1] ? (bounds[1] - bounds[0] - 1) / step + 1 : 0;
    }
}

soma_tensor *soma_slice_axis(soma_tensor *x, int axis, int64_t start, int64_t stop, int64_t step) {
    if (!x || !op_axis(x, "slice_axis", &axis)) return NULL;
    RETURN_NULL_IF(x->graph->context, step == 0, SOMA_INVALID, "[slice_axis] step is 0");
    int64_t first[SOMA_MAX_RANK] = {0}, count[SOMA_MAX_RANK], steps[SOMA_MAX_RANK];
    for (int i = 0; i < x->rank; i++) {
        count[i] = x->shape[i];
        steps[i] = 1;
    }
    if (step < 0 && stop == SOMA_END) stop = INT64_MIN;
    clamp(x->shape[axis], &start, stop, step, &count[axis]);
    first[axis] = start;
    steps[axis] = step;
    return op_slice_box(x, first, count, steps);
}

/* ---- the text ---- */

/* What is known while reading: the axis of x that is next, and the result's shape. */
typedef struct reader {
    soma_tensor *x;
    const char *all, *at; /* the whole text and the next character */
    int consumed;         /* axes that the whole text names, "..." apart */
    int axis, rank;
    int64_t first[SOMA_MAX_RANK], count[SOMA_MAX_RANK], step[SOMA_MAX_RANK], shape[SOMA_MAX_RANK];
} reader;

static bool fail(const reader *r, const char *what) {
    (void)error_set(r->x->graph->context, SOMA_INVALID, "[slice] \"%s\": %s at character %d", r->all, what,
                    (int)(r->at - r->all) + 1);
    return false;
}

static void skip_blanks(reader *r) {
    while (*r->at == ' ' || *r->at == '\t' || *r->at == '\n')
        r->at++;
}

static bool take(reader *r, const char *word) {
    size_t length = strlen(word);
    if (strncmp(r->at, word, length) != 0) return false;
    r->at += length;
    skip_blanks(r);
    return true;
}

/* An integer if there is one: *present tells. */
static bool take_integer(reader *r, int64_t *value, bool *present) {
    const char *from = r->at;
    bool minus = *r->at == '-';
    if (minus || *r->at == '+') r->at++;
    int64_t magnitude = 0;
    bool digits = false;
    for (; *r->at >= '0' && *r->at <= '9'; r->at++) {
        digits = true;
        if (!int64_mul_checked(magnitude, 10, &magnitude) || !int64_add_checked(magnitude, *r->at - '0', &magnitude))
            return fail(r, "the number is too large");
    }
    if (r->at != from && !digits) return fail(r, "a digit is missing");
    *present = digits;
    if (digits) *value = minus ? -magnitude : magnitude;
    skip_blanks(r);
    return true;
}

static bool add_axis(reader *r, int64_t extent) {
    if (r->rank == SOMA_MAX_RANK) return fail(r, "the result has too many axes");
    r->shape[r->rank++] = extent;
    return true;
}

/* The next axis of x from start by step; kept in the result or not. */
static bool use_axis(reader *r, int64_t start, int64_t count, int64_t step, bool keep) {
    r->first[r->axis] = start;
    r->count[r->axis] = count;
    r->step[r->axis++] = step;
    return !keep || add_axis(r, count);
}

static bool read_ellipsis(reader *r) {
    for (int rest = r->x->rank - r->consumed; rest > 0; rest--)
        if (!use_axis(r, 0, r->x->shape[r->axis], 1, true)) return false;
    return true;
}

/* An integer, or start:stop:step with any part missing. */
static bool read_axis(reader *r) {
    if (r->axis >= r->x->rank) return fail(r, "the tensor has no more axes");
    int64_t extent = r->x->shape[r->axis], start = 0, stop = 0, step = 1, count;
    bool has_start, has_stop, has_step = false;
    const char *from = r->at;
    if (!take_integer(r, &start, &has_start)) return false;
    if (!take(r, ":")) {
        if (!has_start) return fail(r, *r->at ? "unexpected character" : "an index is missing");
        if (start >= -extent && start < extent) return use_axis(r, start < 0 ? start + extent : start, 1, 1, false);
        (void)error_set(r->x->graph->context, SOMA_SHAPE,
                        "[slice] \"%s\": index %lld is out of range for axis %d of extent %lld", r->all,
                        (long long)start, r->axis, (long long)extent);
        return false;
    }
    if (!take_integer(r, &stop, &has_stop)) return false;
    if (take(r, ":")) {
        from = r->at;
        if (!take_integer(r, &step, &has_step)) return false;
    }
    if (has_step && step == 0) {
        r->at = from;
        return fail(r, "step is 0");
    }
    if (!has_start) start = step < 0 ? INT64_MAX : 0;
    if (!has_stop) stop = step < 0 ? INT64_MIN : INT64_MAX;
    clamp(extent, &start, stop, step, &count);
    return use_axis(r, start, count, step, true);
}

/* How many axes the text names, so that "..." knows its length. */
static int count_axes(const char *s) {
    int n = 0;
    bool counted = false;
    for (; *s && *s != ']'; s++) {
        if (*s == ',') {
            counted = false;
        } else if (!counted && ((*s >= '0' && *s <= '9') || *s == ':')) {
            counted = true;
            n++;
        }
    }
    return n;
}

static bool read_all(reader *r) {
    skip_blanks(r);
    bool bracket = take(r, "["), ellipsis = false;
    const char *end = bracket ? "]" : "";
    if (*r->at == '\0' || *r->at == ']') return fail(r, "an index is missing");
    do {
        if (take(r, "...")) {
            if (ellipsis) return fail(r, "a second ...");
            ellipsis = true;
            if (!read_ellipsis(r)) return false;
        } else if (take(r, "None") || take(r, "newaxis")) {
            if (!add_axis(r, 1)) return false;
        } else if (!read_axis(r)) {
            return false;
        }
    } while (take(r, ",") && *r->at != *end);
    if (bracket && !take(r, "]")) return fail(r, *r->at ? "unexpected character" : "] is missing");
    if (*r->at) return fail(r, "unexpected character");
    r->consumed = r->axis;
    return read_ellipsis(r);
}

soma_tensor *soma_slice(soma_tensor *x, const char *slices) {
    if (!x) return NULL;
    RETURN_NULL_IF(x->graph->context, !slices, SOMA_INVALID, "[slice] no text given");
    reader r = {.x = x, .all = slices, .at = slices, .consumed = count_axes(slices)};
    if (!read_all(&r)) return NULL;
    return soma_reshape(op_slice_box(x, r.first, r.count, r.step), r.rank, r.shape);
}
