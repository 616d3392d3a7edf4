/* The convolution by oneDNN: its primitive, every array in the layout of its own choice.
 * Rests on oneDNN 2 (Debian libdnnl-dev), C interface. Arrays are brought into its layouts before, the result out of it
 * after: only the primitive is timed, as if a whole network ran in these layouts. */
#include "conv.h"

#include <stdlib.h>

#include <dnnl.h>

const char *const conv_name = "oneDNN";

/* x, w and y, whichever of them are read and written. */
enum { X, W, Y, ARRAYS };

typedef struct convolution {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive;
    dnnl_memory_t memories[ARRAYS]; /* in the primitive's layouts */
    dnnl_memory_t plain;            /* the result as the question has it */
    dnnl_exec_arg_t arguments[ARRAYS];
    float *result;
    int written; /* of the arrays */
} convolution;

void conv_release(void *prepared) {
    convolution *c = prepared;
    for (int i = 0; i < ARRAYS; i++)
        dnnl_memory_destroy(c->memories[i]);
    dnnl_memory_destroy(c->plain);
    dnnl_primitive_destroy(c->primitive);
    dnnl_stream_destroy(c->stream);
    dnnl_engine_destroy(c->engine);
    free(c);
}

static bool reorder(convolution *c, dnnl_memory_t from, dnnl_memory_t to) {
    const dnnl_memory_desc_t *a = NULL, *b = NULL;
    dnnl_primitive_desc_t description = NULL;
    dnnl_primitive_t primitive = NULL;
    bool ok = !dnnl_memory_get_memory_desc(from, &a) && !dnnl_memory_get_memory_desc(to, &b) &&
              !dnnl_reorder_primitive_desc_create(&description, a, c->engine, b, c->engine, NULL) &&
              !dnnl_primitive_create(&primitive, description);
    if (ok) {
        const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
        ok = !dnnl_primitive_execute(primitive, c->stream, 2, arguments) && !dnnl_stream_wait(c->stream);
    }
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(description);
    return ok;
}

/* The primitive's description, for layouts of its choice. */
static dnnl_primitive_desc_t describe(convolution *c, const conv_shape *s, const dnnl_memory_desc_t any[ARRAYS]) {
    const dnnl_dims_t strides = {s->stride, s->stride}, before = {s->before, s->before}, after = {s->after, s->after};
    const dnnl_alg_kind_t way = dnnl_convolution_auto;
    dnnl_convolution_desc_t operation;
    dnnl_primitive_desc_t forward = NULL, result = NULL;
    const dnnl_prop_kind_t kind = s->pass == CONV_FORWARD ? dnnl_forward_inference : dnnl_forward_training;
    if (dnnl_convolution_forward_desc_init(&operation, kind, way, &any[X], &any[W], NULL, &any[Y], strides, before,
                                           after) ||
        dnnl_primitive_desc_create(&forward, &operation, NULL, c->engine, NULL))
        return NULL;
    if (s->pass == CONV_FORWARD) return forward;
    const bool failed =
        s->pass == CONV_DATA
            ? dnnl_convolution_backward_data_desc_init(&operation, dnnl_convolution_direct, &any[X], &any[W], &any[Y],
                                                       strides, before, after)
            : dnnl_convolution_backward_weights_desc_init(&operation, dnnl_convolution_direct, &any[X], &any[W], NULL,
                                                          &any[Y], strides, before, after);
    if (failed || dnnl_primitive_desc_create(&result, &operation, NULL, c->engine, forward)) result = NULL;
    dnnl_primitive_desc_destroy(forward);
    return result;
}

static bool make(convolution *c, const conv_shape *s, const conv_data *data) {
    static const dnnl_query_t queries[3][ARRAYS] = {
        [CONV_FORWARD] = {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md},
        [CONV_DATA] = {dnnl_query_diff_src_md, dnnl_query_weights_md, dnnl_query_diff_dst_md},
        [CONV_WEIGHTS] = {dnnl_query_src_md, dnnl_query_diff_weights_md, dnnl_query_diff_dst_md}};
    static const int names[3][ARRAYS] = {[CONV_FORWARD] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
                                         [CONV_DATA] = {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
                                         [CONV_WEIGHTS] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST}};
    static const dnnl_format_tag_t tags[ARRAYS] = {dnnl_nhwc, dnnl_hwio, dnnl_nhwc};
    const dnnl_dims_t shapes[ARRAYS] = {{s->batch, s->in, s->size, s->size},
                                        {s->out, s->in, s->kernel, s->kernel},
                                        {s->batch, s->out, s->places, s->places}};
    const float *const given[ARRAYS] = {data->x, data->w, data->y};
    dnnl_memory_desc_t any[ARRAYS], plain[ARRAYS];
    c->written = s->pass == CONV_FORWARD ? Y : s->pass == CONV_DATA ? X : W;
    c->result = data->result;
    bool ok = !dnnl_engine_create(&c->engine, dnnl_cpu, 0) &&
              !dnnl_stream_create(&c->stream, c->engine, dnnl_stream_default_flags);
    for (int i = 0; i < ARRAYS; i++)
        ok = ok && !dnnl_memory_desc_init_by_tag(&any[i], 4, shapes[i], dnnl_f32, dnnl_format_tag_any) &&
             !dnnl_memory_desc_init_by_tag(&plain[i], 4, shapes[i], dnnl_f32, tags[i]);
    dnnl_primitive_desc_t description = ok ? describe(c, s, any) : NULL;
    ok = description && !dnnl_primitive_create(&c->primitive, description);
    for (int i = 0; ok && i < ARRAYS; i++) {
        void *memory = i == c->written ? (void *)data->result : (void *)(uintptr_t)given[i];
        dnnl_memory_t lying = NULL;
        ok = !dnnl_memory_create(&c->memories[i], dnnl_primitive_desc_query_md(description, queries[s->pass][i], 0),
                                 c->engine, DNNL_MEMORY_ALLOCATE) &&
             !dnnl_memory_create(&lying, &plain[i], c->engine, memory);
        c->arguments[i] = (dnnl_exec_arg_t){names[s->pass][i], c->memories[i]};
        if (i == c->written) {
            c->plain = lying;
        } else {
            ok = ok && reorder(c, lying, c->memories[i]);
            dnnl_memory_destroy(lying);
        }
    }
    dnnl_primitive_desc_destroy(description);
    return ok;
}

void *conv_prepare(const conv_shape *shape, const conv_data *data) {
    convolution *c = calloc(1, sizeof *c);
    if (!c || make(c, shape, data)) return c;
    conv_release(c);
    return NULL;
}

int conv_run(void *prepared) {
    convolution *c = prepared;
    return dnnl_primitive_execute(c->primitive, c->stream, ARRAYS, c->arguments) || dnnl_stream_wait(c->stream);
}

const float *conv_result(void *prepared) {
    convolution *c = prepared;
    return reorder(c, c->memories[c->written], c->plain) ? c->result : NULL;
}
