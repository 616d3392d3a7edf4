/* The convolution by Soma: a plan of one soma_conv, or of its gradient, through the public API.
 * Rests on soma.h. The weights are a variable, which the plan may keep in a layout of its own; what comes and goes are
 * bound inputs, read as they lie. The number of threads is SOMA_THREADS. */
#include "conv.h"

#include <stdlib.h>

#include <soma/soma.h>

const char *const conv_name = "Soma";

typedef struct convolution {
    soma_graph *graph;
    soma_variable *weights;
    soma_plan *plan;
} convolution;

void conv_release(void *prepared) {
    convolution *c = prepared;
    soma_plan_destroy(c->plan);
    soma_graph_destroy(c->graph);
    soma_variable_destroy(c->weights);
    free(c);
}

/* What the pass computes: y, or the gradient of sum(y * dy). */
static soma_tensor *target(const conv_shape *s, soma_tensor *x, soma_tensor *w, soma_tensor *dy) {
    const soma_window_options options = {
        .strides = {s->stride, s->stride},
        .pads = {{s->before, s->after}, {s->before, s->after}},
    };
    soma_tensor *y = soma_conv(x, w, &options), *gradient = NULL;
    if (s->pass == CONV_FORWARD) return y;
    soma_tensor *loss = soma_sum(soma_mul(y, dy), SOMA_ALL_AXES, false);
    soma_tensor *wrt = s->pass == CONV_DATA ? x : w;
    return soma_grad(loss, &wrt, 1, &gradient) == SOMA_OK ? gradient : NULL;
}

void *conv_prepare(const conv_shape *s, const conv_data *data) {
    convolution *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    const int64_t shape[] = {s->kernel, s->kernel, s->in, s->out};
    c->graph = soma_graph_create(NULL);
    c->weights = soma_variable_create(NULL, "w", SOMA_F32, 4, shape);
    soma_tensor *x = soma_input(c->graph, SOMA_F32, SOMA_DIMS(s->batch, s->size, s->size, s->in), "x");
    soma_tensor *dy = soma_input(c->graph, SOMA_F32, SOMA_DIMS(s->batch, s->places, s->places, s->out), "dy");
    soma_tensor *t = NULL;
    if (c->weights && soma_variable_set(c->weights, data->w, (size_t)data->w_size * sizeof(float)) == SOMA_OK)
        t = target(s, x, soma_read(c->graph, c->weights), dy);
    c->plan = t ? soma_plan_create(&t, 1, NULL) : NULL;
    if (c->plan && soma_plan_bind(c->plan, x, data->x) == SOMA_OK && soma_plan_bind(c->plan, dy, data->y) == SOMA_OK)
        return c;
    conv_release(c);
    return NULL;
}

int conv_run(void *prepared) {
    return soma_plan_run(((convolution *)prepared)->plan) != SOMA_OK;
}

const float *conv_result(void *prepared) {
    return soma_plan_output(((convolution *)prepared)->plan, 0);
}
