/* Moves that write: pad and concat, and what is made of them: stack and split.
 * Rests on build.h. Their gradients are slices. */
#include <string.h>

#include <soma/ops.h>

#include "ops/build.h"

#define END                                                                                                            \
    {                                                                                                                  \
        NULL, NULL, 0, {                                                                                               \
            { SOMA_F32, 0, {0}, 0, 0 }                                                                                 \
        }                                                                                                              \
    }

/* ---- pad ---- */

static soma_status infer_pad(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                             const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    (void)self, (void)n;
    const soma_tensor *x = inputs[0];
    char buffer[SHAPE_TEXT];
    for (int i = 0; i < x->rank; i++) {
        int64_t before = attributes->start[i], end;
        RETURN_IF(graph->context,
                  before < 0 || !int64_add_checked(before, x->shape[i], &end) || attributes->shape[i] < end, SOMA_SHAPE,
                  "[pad] axis %d of %s: there must be 0 or more elements before and after", i,
                  tensor_shape_text(buffer, x));
        shape[i] = attributes->shape[i];
    }
    *dtype = x->dtype;
    *rank = x->rank;
    return SOMA_OK;
}

soma_tensor *soma_pad(soma_tensor *x, const int64_t *before, const int64_t *after, double value) {
    if (!x) return NULL;
    op_attributes attributes = {.rank = x->rank, .value = {value}};
    bool more = false;
    for (int i = 0; i < x->rank; i++) {
        attributes.start[i] = before[i];
        bool fits = int64_add_checked(before[i], x->shape[i], &attributes.shape[i]) && after[i] >= 0 &&
                    int64_add_checked(attributes.shape[i], after[i], &attributes.shape[i]);
        if (!fits) attributes.shape[i] = -1; /* infer says so */
        more = more || before[i] != 0 || after[i] != 0;
    }
    return more ? op_apply(NULL, &op_pad, &x, 1, &attributes) : x;
}

static void vjp_pad(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    (void)needed;
    int64_t one[SOMA_MAX_RANK];
    for (int i = 0; i < y->rank; i++)
        one[i] = 1;
    dx[0] = op_slice_box(dy, y->attributes->start, y->inputs[0]->shape, one);
}

static soma_status reference_pad(const soma_tensor *node, const op_view *inputs, op_view *output) {
    ref_pad(&inputs[0], node->attributes->start, node->attributes->value[0], output);
    return SOMA_OK;
}

static soma_tensor *pad_both(soma_tensor *const *xs) {
    return soma_pad(xs[0], (const int64_t[]){1, 2}, (const int64_t[]){3, 0}, 0);
}
static soma_tensor *pad_value(soma_tensor *const *xs) {
    return soma_pad(xs[0], (const int64_t[]){0, 2, 1}, (const int64_t[]){0, 2, 3}, -1.5);
}
static soma_tensor *pad_strided(soma_tensor *const *xs) {
    return soma_pad(soma_slice(soma_transpose(xs[0], NULL), "::-2, 1:"), (const int64_t[]){0, 1},
                    (const int64_t[]){2, 1}, 1);
}
static const op_sample samples_pad[] = {{"matrix", pad_both, 1, {{SOMA_F32, 2, {5, 19}, -2, 2}}},
                                        {"images", pad_value, 1, {{SOMA_F32, 3, {2, 5, 6}, -2, 2}}},
                                        {"strided", pad_strided, 1, {{SOMA_F32, 2, {7, 9}, -2, 2}}},
                                        {"bytes", pad_both, 1, {{SOMA_U8, 2, {5, 19}, 0, 255}}},
                                        {"empty", pad_both, 1, {{SOMA_F32, 2, {0, 3}, -2, 2}}},
                                        END};
const op op_pad = {"pad",      "y = x with elements of one value before and after each axis",
                   OP_ARRANGE, 0,
                   1,          1,
                   infer_pad,  vjp_pad,
                   NULL,       reference_pad,
                   "Pad-13",   OP_SAMPLES(samples_pad)};

/* ---- concat ---- */

static soma_status infer_concat(soma_graph *graph, const op *self, soma_tensor *const *inputs, int n,
                                const op_attributes *attributes, soma_dtype *dtype, int *rank, int64_t *shape) {
    (void)self;
    const soma_tensor *first = inputs[0];
    int axis = attributes->axis;
    RETURN_IF(graph->context, axis < 0 || axis >= first->rank, SOMA_SHAPE, "[concat] axis %d of rank %d", axis,
              first->rank);
    *dtype = first->dtype;
    *rank = first->rank;
    memcpy(shape, first->shape, sizeof first->shape);
    for (int i = 1; i < n; i++) {
        bool fits = inputs[i]->rank == first->rank;
        for (int j = 0; fits && j < first->rank; j++)
            fits = j == axis || inputs[i]->shape[j] == first->shape[j];
        char a[SHAPE_TEXT], b[SHAPE_TEXT];
        RETURN_IF(graph->context, !fits || !int64_add_checked(shape[axis], inputs[i]->shape[axis], &shape[axis]),
                  SOMA_SHAPE, "[concat] %s and %s: only axis %d may differ", tensor_shape_text(a, first),
                  tensor_shape_text(b, inputs[i]), axis);
        RETURN_IF(graph->context, inputs[i]->dtype != first->dtype, SOMA_DTYPE, "[concat] dtypes %s and %s differ",
                  soma_dtype_name(first->dtype), soma_dtype_name(inputs[i]->dtype));
    }
    return SOMA_OK;
}

/* A copy of the list in the graph's arena, in one dtype; NULL after an error. */
static soma_tensor **promoted_list(const char *name, soma_tensor *const *xs, int n) {
    RETURN_NULL_IF(NULL, n < 1 || !xs, SOMA_INVALID, "[%s] needs at least one tensor", name);
    for (int i = 0; i < n; i++)
        if (!xs[i]) return NULL;
    soma_tensor **list = arena_alloc(&xs[0]->graph->arena, (size_t)n * sizeof *list);
    if (!list) return NULL;
    memcpy(list, xs, (size_t)n * sizeof *list);
    return op_promote_all(n, list) ? list : NULL;
}

soma_tensor *soma_concat(soma_tensor *const *xs, int n, int axis) {
    soma_tensor **list = promoted_list("concat", xs, n);
    if (!list || !op_axis(list[0], "concat", &axis)) return NULL;
    if (n == 1) return list[0];
    return op_apply(NULL, &op_concat, list, n, &(op_attributes){.axis = axis});
}

soma_tensor *soma_stack(soma_tensor *const *xs, int n, int axis) {
    soma_tensor **list = promoted_list("stack", xs, n);
    if (!list) return NULL;
    for (int i = 1; i < n; i++) {
        char a[SHAPE_TEXT], b[SHAPE_TEXT];
        RETURN_NULL_IF(list[0]->graph->context,
                       !shape_equal(list[0]->rank, list[0]->shape, list[i]->rank, list[i]->shape), SOMA_SHAPE,
                       "[stack] shapes %s and %s differ", tensor_shape_text(a, list[0]), tensor_shape_text(b, list[i]));
    }
    for (int i = 0; i < n; i++)
        list[i] = soma_expand_dims(list[i], axis);
    return soma_concat(list, n, axis);
}

soma_status soma_split(soma_tensor *x, int n, int axis, soma_tensor **out) {
    if (!x) return SOMA_INVALID;
    soma_context *context = x->graph->context;
    if (!op_axis(x, "split", &axis)) return error_get(context);
    RETURN_IF(context, n < 1 || x->shape[axis] % n != 0, SOMA_SHAPE, "[split] axis %d of extent %lld in %d equal parts",
              axis, (long long)x->shape[axis], n);
    int64_t part = x->shape[axis] / n;
    for (int i = 0; i < n; i++) {
        out[i] = soma_slice_axis(x, axis, i * part, (i + 1) * part, 1);
        if (!out[i]) return error_get(context);
    }
    return SOMA_OK;
}

static void vjp_concat(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    int64_t first[SOMA_MAX_RANK] = {0}, one[SOMA_MAX_RANK];
    for (int i = 0; i < y->rank; i++)
        one[i] = 1;
    for (int i = 0; i < y->n_inputs; i++) {
        if (needed[i]) dx[i] = op_slice_box(dy, first, y->inputs[i]->shape, one);
        first[y->attributes->axis] += y->inputs[i]->shape[y->attributes->axis];
    }
}

static soma_status reference_concat(const soma_tensor *node, const op_view *inputs, op_view *output) {
    int64_t start = 0;
    for (int i = 0; i < node->n_inputs; i++) {
        ref_place(&inputs[i], node->attributes->axis, start, output);
        start += inputs[i].shape[node->attributes->axis];
    }
    return SOMA_OK;
}

static soma_tensor *concat_rows(soma_tensor *const *xs) {
    return soma_concat(xs, 3, 0);
}
static soma_tensor *concat_columns(soma_tensor *const *xs) {
    return soma_concat(xs, 2, -1);
}
static soma_tensor *stack_first(soma_tensor *const *xs) {
    return soma_stack(xs, 2, 0);
}
static soma_tensor *stack_last(soma_tensor *const *xs) {
    return soma_stack(xs, 2, -1);
}
static soma_tensor *split_swapped(soma_tensor *const *xs) {
    soma_tensor *parts[3];
    if (soma_split(xs[0], 3, 1, parts) != SOMA_OK) return NULL;
    return soma_concat((soma_tensor *[]){parts[2], soma_square(parts[0]), parts[1]}, 3, 1);
}
static const op_sample samples_concat[] = {
    {"rows",
     concat_rows,
     3,
     {{SOMA_F32, 2, {2, 5}, -2, 2}, {SOMA_F32, 2, {1, 5}, -2, 2}, {SOMA_F32, 2, {4, 5}, -2, 2}}},
    {"columns", concat_columns, 2, {{SOMA_F32, 3, {2, 3, 17}, -2, 2}, {SOMA_F32, 3, {2, 3, 4}, -2, 2}}},
    {"stack", stack_first, 2, {{SOMA_F32, 2, {3, 7}, -2, 2}, {SOMA_F32, 2, {3, 7}, -2, 2}}},
    {"interleave", stack_last, 2, {{SOMA_F32, 1, {19}, -2, 2}, {SOMA_F32, 1, {19}, -2, 2}}},
    {"split", split_swapped, 1, {{SOMA_F32, 2, {4, 9}, -2, 2}}},
    {"promoted", concat_columns, 2, {{SOMA_F32, 1, {5}, -2, 2}, {SOMA_U8, 1, {3}, 0, 255}}},
    {"empty part", concat_columns, 2, {{SOMA_F32, 2, {3, 0}, -2, 2}, {SOMA_F32, 2, {3, 4}, -2, 2}}},
    END};
const op op_concat = {"concat",
                      "y = the inputs one behind the other along an axis",
                      OP_ARRANGE,
                      0,
                      1,
                      -1,
                      infer_concat,
                      vjp_concat,
                      NULL,
                      reference_concat,
                      "Concat-13",
                      OP_SAMPLES(samples_concat)};
