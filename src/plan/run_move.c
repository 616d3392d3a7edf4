/* Moves on all threads: pad, concat, unwindow, gather, scatter-add, cumulative sums.
 * Rests on the views of kernel steps. Every thread writes elements of its own, each of them computed in an order that
 * no other thread has a part in, so that results are the same bits for any number of threads. Elements that are only
 * moved are bytes. */
#include "plan/run_move.h"

#include <string.h>

#include "cpu/reference/element.h"

/* ---- axes ---- */

/* Some axes of an array as few as strides allow: at most rank, extents of 1 gone. */
typedef struct axes {
    int rank;
    int64_t shape[SOMA_MAX_RANK], strides[SOMA_MAX_RANK];
} axes;

static axes few_axes(const op_view *x, int first, int last) {
    axes a = {.rank = 0};
    for (int i = first; i < last; i++) {
        if (x->shape[i] == 1) continue;
        if (a.rank > 0 && a.strides[a.rank - 1] == x->strides[i] * x->shape[i]) {
            a.shape[a.rank - 1] *= x->shape[i];
        } else {
            a.shape[a.rank++] = x->shape[i];
        }
        a.strides[a.rank - 1] = x->strides[i];
    }
    return a;
}

static int64_t axes_size(const axes *a) {
    int64_t size = 1;
    for (int i = 0; i < a->rank; i++)
        size *= a->shape[i];
    return size;
}

/* Offset of the i-th element in row-major order. */
static int64_t axes_offset(const axes *a, int64_t i) {
    int64_t offset = 0;
    for (int axis = a->rank - 1; axis > 0; axis--) {
        offset += i % a->shape[axis] * a->strides[axis];
        i /= a->shape[axis];
    }
    return a->rank > 0 ? offset + i * a->strides[0] : 0;
}

/* Is it one axis, or none, by a stride of `*stride`? */
static bool axes_even(const axes *a, int64_t *stride) {
    *stride = a->rank > 0 ? a->strides[0] : 1;
    return a->rank <= 1;
}

/* ---- runs of elements ---- */

#define COPY_STRIDED(type)                                                                                             \
    for (int64_t i = 0; i < n; i++)                                                                                    \
        ((type *)to)[i] = ((const type *)from)[i * stride];

/* n elements, `stride` apart, one behind the other. */
static void copy_run(void *to, const void *from, int64_t stride, int64_t n, size_t bytes) {
    if (stride == 1 || n == 1) {
        memcpy(to, from, (size_t)n * bytes);
    } else if (bytes == 4) {
        COPY_STRIDED(uint32_t)
    } else if (bytes == 8) {
        COPY_STRIDED(uint64_t)
    } else if (bytes == 2) {
        COPY_STRIDED(uint16_t)
    } else {
        COPY_STRIDED(uint8_t)
    }
}

/* One value many times; kernels write whole vectors of it, as bytes. */
enum { FILLED = 64 };

typedef struct filling {
    const cpu_real *real; /* of so many bytes, or NULL */
    size_t bytes;         /* of an element */
    char values[8 * FILLED];
} filling;

static void fill_start(filling *f, const plan_runner *runner, soma_dtype dtype, double value) {
    const cpu_kernels *kernels = runner->plan->kernels;
    f->bytes = soma_dtype_size(dtype);
    f->real = f->bytes == 4 ? &kernels->f32 : f->bytes == 8 ? &kernels->f64 : NULL;
    for (int64_t i = 0; i < FILLED; i++)
        element_set(dtype, f->values, i, value);
}

/* n elements of each row, rows so far apart. Called for each of short ones, memset took twice as long as this. */
static void fill_rows(const filling *f, char *to, int64_t row, int64_t rows, int64_t n) {
    if (n == 0) return;
    if (f->real && n % f->real->lanes == 0) {
        for (; rows > 0; rows -= FILLED, to += FILLED * row * (int64_t)f->bytes)
            f->real->repeat(to, row, f->values, minimum(rows, FILLED), n);
        return;
    }
    for (; rows > 0; rows--, to += row * (int64_t)f->bytes)
        for (int64_t i = 0; i < n; i += FILLED)
            memcpy(to + i * (int64_t)f->bytes, f->values, (size_t)minimum(n - i, FILLED) * f->bytes);
}

/* Rows of several axes, the last of which is copied in runs: how many elements a run has, and its stride. */
static int64_t split_run(axes *a, int64_t *stride) {
    if (a->rank == 0) {
        *stride = 1;
        return 1;
    }
    a->rank--;
    *stride = a->strides[a->rank];
    return a->shape[a->rank];
}

/* ---- pad ---- */

/* Axes of the output, and what stands before and behind the input along each; axes that are not padded melt into the
 * one before them. */
typedef struct padding {
    int rank;
    int64_t shape[SOMA_MAX_RANK], before[SOMA_MAX_RANK], inside[SOMA_MAX_RANK], strides[SOMA_MAX_RANK];
} padding;

static padding padding_of(const soma_tensor *node, const op_view *x) {
    padding p = {.rank = 0};
    for (int i = 0; i < node->rank; i++) {
        int64_t n = x->shape[i], all = node->shape[i];
        int last = p.rank - 1;
        if (all == 1 && n == 1) continue;
        bool melts = last >= 0 && n == all && (p.strides[last] == x->strides[i] * n || p.inside[last] == 1);
        if (melts) {
            p.shape[last] *= n;
            p.before[last] *= n;
            p.inside[last] *= n;
            p.strides[last] = x->strides[i];
            continue;
        }
        p.shape[p.rank] = all;
        p.before[p.rank] = node->attributes->start[i];
        p.inside[p.rank] = n;
        p.strides[p.rank++] = x->strides[i];
    }
    if (p.rank == 0) p = (padding){1, {1}, {0}, {1}, {1}};
    return p;
}

static soma_status run_pad(const soma_tensor *node, const op_view *inputs, op_view *output, const plan_runner *runner) {
    const op_view *x = &inputs[0];
    const padding p = padding_of(node, x);
    const size_t bytes = soma_dtype_size(output->dtype);
    int64_t size = view_size(output), first, last, row = p.shape[p.rank - 1];
    filling value;
    if (size == 0) return SOMA_OK;
    fill_start(&value, runner, output->dtype, node->attributes->value[0]);
    const int64_t before = p.before[p.rank - 1], inside = p.inside[p.rank - 1], behind = row - before - inside;
    runner_share(runner, size / row, &first, &last);
    for (int64_t u = first, alike = 1; u < last; u += alike) { /* rows from u on, all inside or all outside */
        int64_t rest = u, from = 0, step = 0;
        bool within = inside > 0;
        alike = 1;
        for (int axis = p.rank - 2; axis >= 0; axis--) {
            int64_t i = rest % p.shape[axis] - p.before[axis];
            rest /= p.shape[axis];
            within = within && i >= 0 && i < p.inside[axis];
            from += i * p.strides[axis];
            if (axis < p.rank - 2) continue;
            step = p.strides[axis];
            const int64_t behind_it = p.shape[axis] - p.before[axis];
            const int64_t end = i < 0 ? 0 : i < p.inside[axis] ? p.inside[axis] : behind_it;
            alike = minimum(end - i, last - u);
        }
        char *to = (char *)output->data + (size_t)(u * row) * bytes;
        if (!within) {
            fill_rows(&value, to, 0, 1, alike * row);
            continue;
        }
        fill_rows(&value, to, row, alike, before);
        fill_rows(&value, to + (size_t)(before + inside) * bytes, row, alike, behind);
        to += (size_t)before * bytes;
        for (int64_t k = 0; x->data && k < alike; k++, to += (size_t)row * bytes, from += step)
            copy_run(to, view_at(x, from), p.strides[p.rank - 1], inside, bytes);
    }
    return SOMA_OK;
}

/* ---- concat ---- */

static soma_status run_concat(const soma_tensor *node, const op_view *inputs, op_view *output,
                              const plan_runner *runner) {
    const int axis = node->attributes->axis;
    const size_t bytes = soma_dtype_size(output->dtype);
    int64_t behind = 1, start = 0;
    for (int i = axis + 1; i < node->rank; i++)
        behind *= node->shape[i];
    const int64_t whole = node->shape[axis] * behind;
    for (int k = 0; k < node->n_inputs; k++) {
        const op_view *x = &inputs[k];
        const int64_t part = x->shape[axis] * behind;
        start += part;
        if (view_size(x) == 0 || !x->data) continue; /* nothing, or there already */
        const axes outer = few_axes(x, 0, axis);
        axes inner = few_axes(x, axis, node->rank);
        int64_t stride, run = split_run(&inner, &stride), runs = part / run, first, last;
        runner_share(runner, axes_size(&outer) * runs, &first, &last);
        for (int64_t u = first; u < last; u++) {
            const int64_t p = u / runs, r = u % runs;
            const int64_t from = axes_offset(&outer, p) + axes_offset(&inner, r);
            copy_run((char *)output->data + (size_t)(p * whole + start - part + r * run) * bytes, view_at(x, from),
                     stride, run, bytes);
        }
    }
    return SOMA_OK;
}

/* ---- sums of rows ---- */

#define ADD_ROW(type)                                                                                                  \
    for (int64_t i = 0; i < n; i++)                                                                                    \
        ((type *)to)[i] += ((const type *)from)[i * stride];

/* to += from, element by element. Whole vectors by the kernels; what is left over one by one. */
static void add_run(const plan_runner *runner, soma_dtype dtype, void *to, const void *from, int64_t stride,
                    int64_t n) {
    const cpu_real *real = cpu_real_of(runner->plan->kernels, dtype);
    if (stride == 1 && n >= real->lanes) {
        const int64_t whole = n / real->lanes * real->lanes;
        const size_t done = (size_t)whole * soma_dtype_size(dtype);
        real->map[CPU_ADD][0](to, to, from, from, whole);
        to = (char *)to + done;
        from = (const char *)from + done;
        n -= whole;
    }
    if (dtype == SOMA_F64) {
        ADD_ROW(double)
    } else {
        ADD_ROW(float)
    }
}

static bool is_real(soma_dtype dtype) {
    return dtype == SOMA_F32 || dtype == SOMA_F64;
}

/* ---- unwindow ---- */

/* One row of what stands behind the axis at a time: the windows' elements that fall on it, in order. */
static soma_status run_unwindow(const soma_tensor *node, const op_view *inputs, op_view *output,
                                const plan_runner *runner) {
    const op_view *x = &inputs[0];
    const op_attributes *at = node->attributes;
    const int axis = at->axis;
    const int64_t extent = node->shape[axis], places = x->shape[axis], size = x->shape[axis + 1];
    const int64_t stride = at->step[0], dilation = at->step[1];
    const axes outer = few_axes(x, 0, axis);
    axes inner = few_axes(x, axis + 2, x->rank);
    int64_t step, run = split_run(&inner, &step), runs = axes_size(&inner), first, last;
    const size_t bytes = soma_dtype_size(output->dtype);
    if (view_size(output) == 0) return SOMA_OK;
    runner_share(runner, axes_size(&outer) * extent, &first, &last);
    for (int64_t u = first; u < last; u++) {
        const int64_t i = u % extent, from = axes_offset(&outer, u / extent);
        char *to = (char *)output->data + (size_t)(u * run * runs) * bytes;
        bool empty = true;
        for (int64_t s = 0; s < size; s++) {
            const int64_t rest = i - s * dilation;
            if (rest < 0) break;
            if (rest % stride != 0 || rest / stride >= places) continue;
            const int64_t window = from + rest / stride * x->strides[axis] + s * x->strides[axis + 1];
            for (int64_t r = 0; r < runs; r++) {
                const void *row = view_at(x, window + axes_offset(&inner, r));
                char *there = to + (size_t)(r * run) * bytes;
                if (empty)
                    copy_run(there, row, step, run, bytes);
                else
                    add_run(runner, output->dtype, there, row, step, run);
            }
            empty = false;
        }
        if (empty) memset(to, 0, (size_t)(run * runs) * bytes);
    }
    return SOMA_OK;
}

/* ---- gather and scatter-add ---- */

/* The j-th index, counted from the end when negative; -1 when it is out of range. */
static int64_t index_at(const op_view *indices, const axes *a, int64_t j, int64_t n) {
    int64_t at = axes_offset(a, j), i;
    if (indices->dtype == SOMA_I64)
        memcpy(&i, view_at(indices, at), sizeof i);
    else
        i = element_get_int(indices->dtype, indices->data, at);
    if (i < 0) i += n;
    return i >= 0 && i < n ? i : -1;
}

/* Indices that lie one behind the other, as nearly all do; else NULL. */
static const int64_t *plain_indices(const op_view *indices, const axes *a) {
    int64_t stride;
    return indices->dtype == SOMA_I64 && axes_even(a, &stride) && (stride == 1 || axes_size(a) == 1)
               ? view_at(indices, 0)
               : NULL;
}

static bool all_within(const int64_t *indices, int64_t count, int64_t n) {
    int64_t low = 0, high = -1;
    for (int64_t j = 0; j < count; j++) {
        if (indices[j] < low) low = indices[j];
        if (indices[j] > high) high = indices[j];
    }
    return low >= -n && high < n;
}

/* Every thread looks for itself, the first one tells. */
static soma_status check_indices(const soma_tensor *node, const op_view *indices, const axes *a, int axis, int64_t n,
                                 int64_t count) {
    const int64_t *plain = plain_indices(indices, a);
    if (plain && all_within(plain, count, n)) return SOMA_OK;
    for (int64_t j = 0; j < count; j++) {
        if (index_at(indices, a, j, n) >= 0) continue;
        return error_set(node->graph->context, SOMA_INVALID,
                         "[%s] index %lld is out of range for axis %d of extent %lld", node->op->name,
                         (long long)element_get_int(indices->dtype, indices->data, axes_offset(a, j)), axis,
                         (long long)n);
    }
    return SOMA_OK;
}

/* Whole rows of bytes, step apart, by indices within n; rows of one number, as of pictures, without a call each. */
static void gather_rows(char *to, const char *from, const int64_t *indices, int64_t count, int64_t n, int64_t step,
                        size_t bytes) {
    for (int64_t j = 0; j < count; j++, to += bytes) {
        const int64_t i = indices[j] < 0 ? indices[j] + n : indices[j];
        const char *row = from + i * step;
        if (bytes == 4)
            memcpy(to, row, 4);
        else if (bytes == 8)
            memcpy(to, row, 8);
        else
            memcpy(to, row, bytes);
    }
}

static soma_status run_gather(const soma_tensor *node, const op_view *inputs, op_view *output,
                              const plan_runner *runner) {
    const op_view *x = &inputs[0], *indices = &inputs[1];
    const int axis = node->attributes->axis;
    const int64_t n = x->shape[axis], count = view_size(indices);
    const axes outer = few_axes(x, 0, axis), places = few_axes(indices, 0, indices->rank);
    axes inner = few_axes(x, axis + 1, x->rank);
    int64_t stride, run = split_run(&inner, &stride), runs = axes_size(&inner), first, last;
    const size_t bytes = soma_dtype_size(output->dtype);
    TRY(check_indices(node, indices, &places, axis, n, count));
    if (view_size(output) == 0) return SOMA_OK;
    runner_share(runner, axes_size(&outer) * count, &first, &last);
    const int64_t *plain = runs == 1 && (stride == 1 || run == 1) ? plain_indices(indices, &places) : NULL;
    while (plain && first < last) {
        const int64_t j = first % count, m = minimum(count - j, last - first);
        gather_rows((char *)output->data + (size_t)(first * run) * bytes,
                    view_at(x, axes_offset(&outer, first / count)), plain + j, m, n, x->strides[axis] * (int64_t)bytes,
                    (size_t)run * bytes);
        first += m;
    }
    for (int64_t u = first; u < last; u++) {
        const int64_t i = index_at(indices, &places, u % count, n);
        const int64_t from = axes_offset(&outer, u / count) + i * x->strides[axis];
        for (int64_t r = 0; r < runs; r++)
            copy_run((char *)output->data + (size_t)((u * runs + r) * run) * bytes,
                     view_at(x, from + axes_offset(&inner, r)), stride, run, bytes);
    }
    return SOMA_OK;
}

/* Destinations are shared out: by columns where rows are long, else by rows, of which every thread then sees all
 * updates. Either way the updates of an element come in their own order. */
static soma_status run_scatter_add(const soma_tensor *node, const op_view *inputs, op_view *output,
                                   const plan_runner *runner) {
    enum { COLUMNS = 16 };
    const op_view *x = &inputs[0], *indices = &inputs[1];
    const int axis = node->attributes->axis;
    const int64_t n = output->shape[axis], count = view_size(indices);
    const axes places = few_axes(indices, 0, indices->rank), outer = few_axes(x, 0, axis);
    const axes updates = few_axes(x, axis, axis + indices->rank), inner = few_axes(x, axis + indices->rank, x->rank);
    int64_t stride, row = axes_size(&inner), low = 0, high = n, first = 0, last = row;
    const size_t bytes = soma_dtype_size(output->dtype);
    (void)axes_even(&inner, &stride);
    TRY(check_indices(node, indices, &places, axis, n, count));
    if (view_size(output) == 0) return SOMA_OK;
    if (row >= 4 * COLUMNS) {
        runner_share(runner, (row + COLUMNS - 1) / COLUMNS, &first, &last);
        first *= COLUMNS;
        last = minimum(last * COLUMNS, row);
    } else {
        runner_share(runner, n, &low, &high);
    }
    if (first >= last || low >= high) return SOMA_OK;
    for (int64_t p = 0; p < axes_size(&outer); p++) {
        char *base = (char *)output->data + (size_t)(p * n * row + first) * bytes;
        if (last - first == row) {
            memset(base + (size_t)(low * row) * bytes, 0, (size_t)((high - low) * row) * bytes);
        } else {
            for (int64_t i = low; i < high; i++)
                memset(base + (size_t)(i * row) * bytes, 0, (size_t)(last - first) * bytes);
        }
        const int64_t from = axes_offset(&outer, p) + first * stride;
        for (int64_t j = 0; j < count; j++) {
            const int64_t i = index_at(indices, &places, j, n);
            if (i < low || i >= high) continue;
            add_run(runner, output->dtype, base + (size_t)(i * row) * bytes,
                    view_at(x, from + axes_offset(&updates, j)), stride, last - first);
        }
    }
    return SOMA_OK;
}

/* ---- cumulative sums ---- */

enum { SUMS = 64 /* that run side by side */ };

#define CUMULATE(type, sum_type)                                                                                       \
    {                                                                                                                  \
        sum_type sums[SUMS] = {0};                                                                                     \
        for (int64_t j = 0; j < n; j++) {                                                                              \
            const int64_t i = at->reverse ? n - 1 - j : j;                                                             \
            const type *from = (const type *)x->data + start + i * x->strides[axis];                                   \
            type *to = (type *)output->data + (p * n + i) * behind + column;                                           \
            for (int64_t q = 0; q < columns; q++) {                                                                    \
                const sum_type with = sums[q] + (sum_type)from[q * stride];                                            \
                to[q] = (type)(at->exclusive ? sums[q] : with);                                                        \
                sums[q] = with;                                                                                        \
            }                                                                                                          \
        }                                                                                                              \
    }

/* float32 adds up in double, as the reference does; integers are int64, and wrap. */
static soma_status run_cumsum(const soma_tensor *node, const op_view *inputs, op_view *output,
                              const plan_runner *runner) {
    const op_view *x = &inputs[0];
    const op_attributes *at = node->attributes;
    const int axis = at->axis;
    const axes outer = few_axes(x, 0, axis), inner = few_axes(x, axis + 1, x->rank);
    const int64_t n = node->shape[axis], behind = axes_size(&inner), pieces = (behind + SUMS - 1) / SUMS;
    int64_t stride, first, last;
    (void)axes_even(&inner, &stride);
    if (view_size(output) == 0) return SOMA_OK;
    runner_share(runner, axes_size(&outer) * pieces, &first, &last);
    for (int64_t u = first; u < last; u++) {
        const int64_t p = u / pieces, column = u % pieces * SUMS, columns = minimum(SUMS, behind - column);
        const int64_t start = axes_offset(&outer, p) + column * stride;
        if (x->dtype == SOMA_F32)
            CUMULATE(float, double)
        else if (x->dtype == SOMA_F64)
            CUMULATE(double, double)
        else
            CUMULATE(int64_t, uint64_t)
    }
    return SOMA_OK;
}

/* ---- which kernel a node has ---- */

static bool any_fits(const soma_tensor *node, const op_view *inputs) {
    (void)node, (void)inputs;
    return true;
}

static bool sum_fits(const soma_tensor *node, const op_view *inputs) {
    (void)inputs;
    return is_real(node->dtype);
}

/* What stands behind the axis, or the indices' axes, is one axis. */
static bool scatter_fits(const soma_tensor *node, const op_view *inputs) {
    int64_t stride;
    const axes inner = few_axes(&inputs[0], node->attributes->axis + inputs[1].rank, inputs[0].rank);
    return is_real(node->dtype) && axes_even(&inner, &stride);
}

static bool cumsum_fits(const soma_tensor *node, const op_view *inputs) {
    int64_t stride;
    const axes inner = few_axes(&inputs[0], node->attributes->axis + 1, node->rank);
    return (is_real(node->dtype) || node->dtype == SOMA_I64) && inputs[0].dtype == node->dtype &&
           axes_even(&inner, &stride);
}

static const struct {
    const op *self;
    bool (*fits)(const soma_tensor *node, const op_view *inputs);
    move_fn *run;
} MOVES[] = {
    {&op_pad, any_fits, run_pad},
    {&op_concat, any_fits, run_concat},
    {&op_unwindow, sum_fits, run_unwindow},
    {&op_gather, any_fits, run_gather},
    {&op_scatter_add, scatter_fits, run_scatter_add},
    {&op_cumsum, cumsum_fits, run_cumsum},
};

move_fn *move_find(const soma_tensor *node, const op_view *inputs) {
    for (size_t i = 0; i < sizeof MOVES / sizeof *MOVES; i++)
        if (MOVES[i].self == node->op && MOVES[i].fits(node, inputs)) return MOVES[i].run;
    return integers_fit(node) ? integers_run : NULL;
}
