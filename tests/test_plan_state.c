/* Training at the level of graphs: small nets and optimizers as plans, step by step against the reference plan.
 * Rests on the public API. Weights change their layout between plans, are looked at and set in between; any number of
 * threads must give the same bits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <soma/ops.h>
#include <soma/plan.h>

#include "base/philox.h"
#include "tensor/node.h"

enum { LAYERS = 3, STATES = 3, STEPS = 5, ROWS = 24, INPUTS = 13, CLASSES = 10, WEIGHTS = 2 * LAYERS };

static const int64_t widths[LAYERS + 1] = {INPUTS, 40, 33, CLASSES};

/* A net of dense layers, its optimizer's state and a counter. */
typedef struct net {
    soma_context *context;
    soma_variable *weights[WEIGHTS], *states[WEIGHTS][STATES], *count;
} net;

/* The new value of a weight, and what is assigned besides it. */
typedef struct update {
    soma_tensor *weight, *states[STATES];
} update;

typedef update optimizer_fn(soma_tensor *w, soma_tensor *g, soma_tensor *const *s, soma_tensor *step);

static update sgd(soma_tensor *w, soma_tensor *g, soma_tensor *const *s, soma_tensor *step) {
    (void)s, (void)step;
    return (update){soma_sub(w, soma_mul_scalar(g, 0.1)), {NULL}};
}

static update nesterov(soma_tensor *w, soma_tensor *g, soma_tensor *const *s, soma_tensor *step) {
    (void)step;
    soma_tensor *v = soma_sub(soma_mul_scalar(s[0], 0.9), soma_mul_scalar(g, 0.05));
    return (update){soma_sub(soma_add(w, soma_mul_scalar(v, 0.9)), soma_mul_scalar(g, 0.05)), {v}};
}

static update rmsprop(soma_tensor *w, soma_tensor *g, soma_tensor *const *s, soma_tensor *step) {
    (void)step;
    soma_tensor *v = soma_add(soma_mul_scalar(s[0], 0.9), soma_mul_scalar(soma_square(g), 0.1));
    return (update){soma_sub(w, soma_mul_scalar(soma_div(g, soma_sqrt(soma_add_scalar(v, 1e-3))), 0.01)), {v}};
}

static update adam(soma_tensor *w, soma_tensor *g, soma_tensor *const *s, soma_tensor *step) {
    soma_tensor *t = soma_add_scalar(soma_cast(step, soma_tensor_dtype(w)), 1);
    soma_tensor *m = soma_add(soma_mul_scalar(s[0], 0.9), soma_mul_scalar(g, 0.1));
    soma_tensor *v = soma_add(soma_mul_scalar(s[1], 0.999), soma_mul_scalar(soma_square(g), 0.001));
    soma_tensor *one = soma_scalar(soma_tensor_graph(w), soma_tensor_dtype(w), 1);
    soma_tensor *b1 = soma_scalar(soma_tensor_graph(w), soma_tensor_dtype(w), 0.9);
    soma_tensor *b2 = soma_scalar(soma_tensor_graph(w), soma_tensor_dtype(w), 0.999);
    soma_tensor *rate =
        soma_mul_scalar(soma_div(soma_sqrt(soma_sub(one, soma_pow(b2, t))), soma_sub(one, soma_pow(b1, t))), 0.01);
    soma_tensor *moved = soma_div(soma_mul(m, rate), soma_add_scalar(soma_sqrt(v), 1e-3));
    return (update){soma_sub(w, moved), {m, v}};
}

/* AMSGrad with decoupled decay, the largest average kept, and an average of the weight itself. */
static update averaged(soma_tensor *w, soma_tensor *g, soma_tensor *const *s, soma_tensor *step) {
    (void)step;
    soma_tensor *v = soma_add(soma_mul_scalar(s[0], 0.99), soma_mul_scalar(soma_square(g), 0.01));
    soma_tensor *most = soma_maximum(s[1], v);
    soma_tensor *decayed = soma_sub(w, soma_mul_scalar(w, 0.004));
    soma_tensor *made = soma_sub(decayed, soma_mul_scalar(soma_mul(g, soma_rsqrt(soma_add_scalar(most, 1e-3))), 0.01));
    return (update){made, {v, most, soma_add(soma_mul_scalar(s[2], 0.99), soma_mul_scalar(made, 0.01))}};
}

static const struct {
    const char *name;
    optimizer_fn *apply;
} optimizers[] = {{"sgd", sgd}, {"nesterov", nesterov}, {"rmsprop", rmsprop}, {"adam", adam}, {"averaged", averaged}};

enum { OPTIMIZERS = sizeof optimizers / sizeof *optimizers };

/* ---- the net ---- */

static void draw(soma_variable *v, uint64_t seed, double scale) {
    size_t bytes = (size_t)v->size * soma_dtype_size(v->dtype);
    char *data = calloc(1, bytes + 1);
    for (int64_t i = 0; i < v->size; i++) {
        double value = scale * (2 * philox_uniform(seed, 0, (uint64_t)i) - 1);
        if (v->dtype == SOMA_F64) memcpy(data + 8 * i, &value, 8);
        float rounded = (float)value;
        if (v->dtype == SOMA_F32) memcpy(data + 4 * i, &rounded, 4);
    }
    assert_int_equal(soma_variable_set(v, data, bytes), SOMA_OK);
    free(data);
}

static void open_net(net *n, int threads, soma_dtype dtype) {
    n->context = soma_context_create(&(soma_context_options){.threads = threads, .seed = 9});
    for (int i = 0; i < WEIGHTS; i++) {
        int64_t shape[2] = {widths[i / 2], widths[i / 2 + 1]};
        bool bias = i % 2;
        n->weights[i] = soma_variable_create(n->context, "w", dtype, bias ? 1 : 2, bias ? shape + 1 : shape);
        draw(n->weights[i], (uint64_t)i, 0.4);
        for (int k = 0; k < STATES; k++)
            n->states[i][k] = soma_variable_create(n->context, "s", dtype, bias ? 1 : 2, bias ? shape + 1 : shape);
    }
    n->count = soma_variable_create(n->context, "count", SOMA_I64, SOMA_SCALAR_DIMS);
}

static void close_net(net *n) {
    for (int i = 0; i < WEIGHTS; i++) {
        soma_variable_destroy(n->weights[i]);
        for (int k = 0; k < STATES; k++)
            soma_variable_destroy(n->states[i][k]);
    }
    soma_variable_destroy(n->count);
    soma_context_destroy(n->context);
}

static soma_tensor *forward(soma_tensor *x, soma_tensor *const *w, soma_tensor *step) {
    soma_graph *g = soma_tensor_graph(x);
    for (int i = 0; i < LAYERS; i++) {
        x = soma_add(soma_matmul(x, w[2 * i]), w[2 * i + 1]);
        if (i == LAYERS - 1) break;
        x = i == 0 ? soma_tanh(x) : soma_maximum(x, soma_scalar(g, soma_tensor_dtype(x), 0));
        if (i == 0 && step) { /* dropout, another mask each step */
            soma_tensor *u = soma_random_uniform(g, soma_tensor_dtype(x), soma_ndim(x), soma_shape(x), 0, 1, step);
            soma_tensor *kept = soma_greater_equal(u, soma_scalar(g, soma_tensor_dtype(x), 0.25));
            x = soma_where(kept, soma_mul_scalar(x, 4.0 / 3), soma_scalar(g, soma_tensor_dtype(x), 0));
        }
    }
    return x;
}

typedef struct trace {
    soma_graph *graph;
    soma_tensor *x, *labels, *reads[WEIGHTS];
    soma_plan *plan;
} trace;

static void open_trace(trace *t, net *n) {
    soma_dtype dtype = n->weights[0]->dtype;
    t->graph = soma_graph_create(n->context);
    t->x = soma_input(t->graph, dtype, SOMA_DIMS(ROWS, INPUTS), "x");
    t->labels = soma_input(t->graph, SOMA_I32, SOMA_DIMS(ROWS), "labels");
    for (int i = 0; i < WEIGHTS; i++)
        t->reads[i] = soma_read(t->graph, n->weights[i]);
}

static void close_trace(trace *t) {
    soma_plan_destroy(t->plan);
    soma_graph_destroy(t->graph);
}

/* Loss, gradients, updates, counter: one plan. */
static void trace_step(trace *t, net *n, optimizer_fn *optimizer, bool reference) {
    soma_tensor *targets[2 + WEIGHTS * (1 + STATES)], *gradients[WEIGHTS];
    int count = 0;
    open_trace(t, n);
    soma_tensor *step = soma_read(t->graph, n->count), *y = forward(t->x, t->reads, step);
    soma_tensor *wanted = soma_one_hot(t->labels, CLASSES, soma_tensor_dtype(y));
    soma_tensor *loss = soma_neg(soma_sum(soma_mul(soma_log_softmax(y, -1), wanted), SOMA_AXES(-1), false));
    targets[count++] = loss = soma_mean(loss, SOMA_ALL_AXES, false);
    assert_int_equal(soma_grad(loss, t->reads, WEIGHTS, gradients), SOMA_OK);
    for (int i = 0; i < WEIGHTS; i++) {
        soma_tensor *old[STATES];
        for (int k = 0; k < STATES; k++)
            old[k] = soma_read(t->graph, n->states[i][k]);
        update made = optimizer(t->reads[i], gradients[i], old, step);
        targets[count++] = soma_assign(n->weights[i], made.weight);
        for (int k = 0; k < STATES; k++)
            if (made.states[k]) targets[count++] = soma_assign(n->states[i][k], made.states[k]);
    }
    targets[count++] = soma_assign(n->count, soma_add_scalar(step, 1));
    t->plan = soma_plan_create(targets, count, &(soma_plan_options){.reference = reference});
    assert_non_null(t->plan);
}

static void bind_data(trace *t, soma_dtype dtype, uint64_t seed, void *x, int32_t *labels) {
    for (int i = 0; i < ROWS * INPUTS; i++) {
        double value = 2 * philox_uniform(seed, 1, (uint64_t)i) - 1;
        float rounded = (float)value;
        if (dtype == SOMA_F64)
            memcpy((char *)x + 8 * i, &value, 8);
        else
            memcpy((char *)x + 4 * i, &rounded, 4);
    }
    for (int i = 0; i < ROWS; i++)
        labels[i] = (int32_t)philox_below(seed, 2, (uint64_t)i, CLASSES);
    assert_int_equal(soma_plan_bind(t->plan, t->x, x), SOMA_OK);
    if (t->labels) assert_int_equal(soma_plan_bind(t->plan, t->labels, labels), SOMA_OK);
}

/* ---- runs ---- */

typedef struct record {
    size_t bytes;
    char *data; /* all variables, then the losses as they are */
} record;

static size_t variable_bytes(const soma_variable *v) {
    return (size_t)v->size * soma_dtype_size(v->dtype);
}

static char *get(const soma_variable *v, char *place) {
    assert_int_equal(soma_variable_get(v, place, variable_bytes(v)), SOMA_OK);
    return place + variable_bytes(v);
}

static record look(const net *n, const double *losses) {
    record r = {STEPS * sizeof *losses + sizeof(int64_t), NULL};
    for (int i = 0; i < WEIGHTS; i++)
        r.bytes += (1 + STATES) * variable_bytes(n->weights[i]);
    char *place = r.data = malloc(r.bytes);
    for (int i = 0; i < WEIGHTS; i++) {
        place = get(n->weights[i], place);
        for (int k = 0; k < STATES; k++)
            place = get(n->states[i][k], place);
    }
    memcpy(place, losses, STEPS * sizeof *losses);
    get(n->count, place + STEPS * sizeof *losses);
    return r;
}

static record train(int optimizer, bool reference, int threads, soma_dtype dtype) {
    net n;
    trace t;
    double losses[STEPS], x[ROWS * INPUTS];
    int32_t labels[ROWS];
    open_net(&n, threads, dtype);
    trace_step(&t, &n, optimizers[optimizer].apply, reference);
    for (int i = 0; i < STEPS; i++) {
        bind_data(&t, dtype, (uint64_t)i, x, labels);
        assert_int_equal(soma_plan_run(t.plan), SOMA_OK);
        const void *loss = soma_plan_output(t.plan, 0);
        losses[i] = dtype == SOMA_F64 ? *(const double *)loss : (double)*(const float *)loss;
    }
    record r = look(&n, losses);
    close_trace(&t);
    close_net(&n);
    return r;
}

/* Every number of two runs within the tolerance. */
static void compare(const char *name, const record *got, const record *expected, soma_dtype dtype) {
    size_t size = soma_dtype_size(dtype), losses = STEPS * sizeof(double) + sizeof(int64_t);
    double tolerance = dtype == SOMA_F64 ? 1e-11 : 2e-4;
    assert_int_equal(got->bytes, expected->bytes);
    for (size_t i = 0; i + losses < got->bytes; i += size) {
        double a, b;
        float x, y;
        memcpy(&a, got->data + i, sizeof a);
        memcpy(&b, expected->data + i, sizeof b);
        memcpy(&x, got->data + i, sizeof x);
        memcpy(&y, expected->data + i, sizeof y);
        if (dtype == SOMA_F32) a = (double)x, b = (double)y;
        if (!(fabs(a - b) <= tolerance)) fail_msg("%s: number %zu is %.9g, not %.9g", name, i / size, a, b);
    }
    for (size_t i = got->bytes - losses; i < got->bytes - sizeof(int64_t); i += sizeof(double)) {
        double a, b;
        memcpy(&a, got->data + i, sizeof a);
        memcpy(&b, expected->data + i, sizeof b);
        if (!(fabs(a - b) <= 10 * tolerance)) fail_msg("%s: a loss is %.9g, not %.9g", name, a, b);
    }
    int64_t count;
    memcpy(&count, got->data + got->bytes - sizeof count, sizeof count);
    assert_int_equal(count, STEPS);
}

static void optimizers_agree_with_the_reference(void **state) {
    (void)state;
    for (int i = 0; i < OPTIMIZERS; i++)
        for (int k = 0; k < 2; k++) {
            soma_dtype dtype = k ? SOMA_F64 : SOMA_F32;
            record compiled = train(i, false, 2, dtype), reference = train(i, true, 1, dtype);
            compare(optimizers[i].name, &compiled, &reference, dtype);
            free(compiled.data);
            free(reference.data);
        }
}

static void threads_change_no_bit(void **state) {
    (void)state;
    for (int i = 0; i < OPTIMIZERS; i++) {
        record alone = train(i, false, 1, SOMA_F32);
        for (int threads = 2; threads <= 7; threads += threads == 2 ? 1 : 4) {
            record shared = train(i, false, threads, SOMA_F32);
            assert_memory_equal(shared.data, alone.data, alone.bytes);
            free(shared.data);
        }
        free(alone.data);
    }
}

/* ---- other plans, other layouts ---- */

/* A plan that reads the first weight in another way than training does. */
static void trace_other(trace *t, net *n, int kind) {
    open_trace(t, n);
    soma_tensor *w = t->reads[0], *y = NULL;
    if (kind == 0) y = forward(t->x, t->reads, NULL); /* inference: as training */
    if (kind == 1) y = soma_gather(w, soma_array(t->graph, SOMA_I64, SOMA_DIMS(2), (int64_t[]){3, -1}), 0);
    if (kind == 2) y = soma_slice(w, "::-2, 5:9");
    if (kind == 3) y = soma_sum(soma_square(w), SOMA_AXES(0), false);
    if (kind == 4) y = soma_add_scalar(w, 1);
    if (kind == 5) y = w;
    if (kind == 6) y = soma_matmul(soma_slice(w, ":5"), soma_transpose(w, NULL));
    if (kind == 7) y = soma_assign(n->states[0][2], soma_neg(w)); /* nobody reads it: the layout is free */
    t->plan = soma_plan_create(&y, 1, NULL);
    assert_non_null(t->plan);
    t->labels = NULL;
}

/* Training with other plans, gets and sets between the steps must be training alone. */
static void layouts_follow_the_plans(void **state) {
    (void)state;
    net n;
    trace t, others[8];
    double losses[STEPS], x[ROWS * INPUTS];
    int32_t labels[ROWS];
    record expected = train(2, false, 2, SOMA_F32);
    open_net(&n, 2, SOMA_F32);
    trace_step(&t, &n, optimizers[2].apply, false);
    for (int k = 0; k < 8; k++)
        trace_other(&others[k], &n, k);
    size_t bytes = variable_bytes(n.weights[0]);
    char *before = malloc(bytes), *after = malloc(bytes);
    for (int i = 0; i < STEPS; i++) {
        bind_data(&t, SOMA_F32, (uint64_t)i, x, labels);
        assert_int_equal(soma_plan_run(t.plan), SOMA_OK);
        losses[i] = (double)*(const float *)soma_plan_output(t.plan, 0);
        get(n.weights[0], before);
        for (int k = 0; k < 8; k++) {
            bind_data(&others[k], SOMA_F32, (uint64_t)i, x, labels);
            assert_int_equal(soma_plan_run(others[k].plan), SOMA_OK);
            get(n.weights[0], after);
            assert_memory_equal(after, before, bytes);
            if (k == 5) assert_memory_equal(soma_plan_output(others[k].plan, 0), before, bytes);
            assert_int_equal(soma_variable_set(n.weights[0], before, bytes), SOMA_OK);
        }
    }
    for (int64_t i = 0; i < n.weights[0]->size; i++) { /* what the last of the others assigned */
        float w, negative;
        get(n.states[0][2], after);
        memcpy(&w, before + 4 * i, 4);
        memcpy(&negative, after + 4 * i, 4);
        assert_true(negative == -w);
    }
    memset(after, 0, bytes);
    assert_int_equal(soma_variable_set(n.states[0][2], after, bytes), SOMA_OK);
    record got = look(&n, losses);
    assert_int_equal(got.bytes, expected.bytes);
    assert_memory_equal(got.data, expected.data, got.bytes);
    free(got.data);
    free(expected.data);
    free(before);
    free(after);
    for (int k = 0; k < 8; k++)
        close_trace(&others[k]);
    close_trace(&t);
    close_net(&n);
}

/* A label that no class has: the run fails, and no weight has moved. */
static void bad_data_moves_nothing(void **state) {
    (void)state;
    enum { N = 64, WIDE = 300 };
    static float x[N * WIDE];
    int64_t labels[N] = {0};
    for (int threads = 1; threads <= 3; threads += 2) {
        soma_context *c = soma_context_create(&(soma_context_options){.threads = threads});
        soma_graph *g = soma_graph_create(c);
        soma_variable *v = soma_variable_create(c, "table", SOMA_F32, SOMA_DIMS(WIDE, WIDE));
        draw(v, 1, 1);
        soma_tensor *w = soma_read(g, v), *in = soma_input(g, SOMA_F32, SOMA_DIMS(N, WIDE), "x"), *dw;
        soma_tensor *at = soma_input(g, SOMA_I64, SOMA_DIMS(N), "labels");
        soma_tensor *wrong = soma_sub(soma_tanh(soma_matmul(in, w)), soma_gather(w, at, 0));
        soma_tensor *loss = soma_mean(soma_square(wrong), SOMA_ALL_AXES, false);
        assert_int_equal(soma_grad(loss, &w, 1, &dw), SOMA_OK);
        soma_tensor *targets[] = {loss, soma_assign(v, soma_sub(w, dw))};
        soma_plan *plan = soma_plan_create(targets, 2, NULL);
        size_t bytes = variable_bytes(v);
        char *before = malloc(bytes), *after = malloc(bytes);
        assert_int_equal(soma_plan_bind(plan, in, x), SOMA_OK);
        assert_int_equal(soma_plan_bind(plan, at, labels), SOMA_OK);
        get(v, before);
        labels[N - 1] = WIDE;
        assert_int_equal(soma_plan_run(plan), SOMA_INVALID);
        assert_non_null(strstr(soma_last_error(c), "300"));
        get(v, after);
        assert_memory_equal(after, before, bytes);
        soma_clear_error(c);
        labels[N - 1] = 5;
        assert_int_equal(soma_plan_run(plan), SOMA_OK);
        get(v, after);
        assert_memory_not_equal(after, before, bytes);
        free(before);
        free(after);
        soma_plan_destroy(plan);
        soma_graph_destroy(g);
        soma_variable_destroy(v);
        soma_context_destroy(c);
    }
}

/* ---- random numbers ---- */

static void counters_may_be_large(void **state) {
    (void)state;
    enum { N = 50 };
    static const int64_t steps[] = {0, 1, (1 << 24) - 1, 1 << 24, (1 << 24) + 1, ((int64_t)1 << 53) + 1, INT64_MAX, -1};
    enum { COUNT = sizeof steps / sizeof *steps };
    float drawn[COUNT][N];
    soma_context *c = soma_context_create(&(soma_context_options){.threads = 2, .seed = 4});
    soma_graph *g = soma_graph_create(c);
    soma_variable *counter = soma_variable_create(c, "counter", SOMA_I64, SOMA_SCALAR_DIMS);
    soma_tensor *step = soma_read(g, counter);
    soma_tensor *y = soma_mul_scalar(soma_random_uniform(g, SOMA_F32, SOMA_DIMS(N), 0, 1, step), 1);
    soma_tensor *targets[] = {y, soma_assign(counter, soma_add_scalar(step, 1))};
    for (int reference = 0; reference < 2; reference++) {
        soma_plan *plan = soma_plan_create(targets, 2, &(soma_plan_options){.reference = reference});
        for (int i = 0; i < COUNT; i++) {
            assert_int_equal(soma_variable_set(counter, &steps[i], sizeof steps[i]), SOMA_OK);
            assert_int_equal(soma_plan_run(plan), SOMA_OK);
            if (reference) assert_memory_equal(drawn[i], soma_plan_output(plan, 0), sizeof drawn[i]);
            memcpy(drawn[i], soma_plan_output(plan, 0), sizeof drawn[i]);
            int64_t next;
            assert_int_equal(soma_variable_get(counter, &next, sizeof next), SOMA_OK);
            assert_true((uint64_t)next == (uint64_t)steps[i] + 1);
        }
        soma_plan_destroy(plan);
    }
    for (int i = 0; i < COUNT; i++)
        for (int k = 0; k < i; k++)
            assert_memory_not_equal(drawn[i], drawn[k], sizeof drawn[i]);
    soma_graph_destroy(g);
    soma_variable_destroy(counter);
    soma_context_destroy(c);
}

/* The numbers of one op in a graph made in one way, evaluated alone, with others or in a plan. */
static void evaluate(int threads, uint64_t seed, int way, float out[100]) {
    soma_context *c = soma_context_create(&(soma_context_options){.threads = threads, .seed = seed});
    soma_graph *g = soma_graph_create(c);
    soma_tensor *a = soma_random_normal(g, SOMA_F32, SOMA_DIMS(10, 10), 0, 1, NULL);
    soma_tensor *b = soma_random_normal(g, SOMA_F32, SOMA_DIMS(10, 10), 0, 1, NULL);
    soma_tensor *y = soma_transpose(a, NULL);
    const float *data = NULL;
    soma_plan *plan = NULL;
    if (way == 1) assert_int_equal(soma_eval(a), SOMA_OK); /* the transpose then sees what was kept */
    if (way == 2) assert_int_equal(soma_eval(soma_matmul(b, a)), SOMA_OK);
    if (way < 3) data = soma_data(y);
    if (way == 3) {
        plan = soma_plan_create((soma_tensor *[]){b, soma_exp(y), y}, 3, NULL);
        assert_int_equal(soma_plan_run(plan), SOMA_OK);
        data = soma_plan_output(plan, 2);
    }
    assert_non_null(data);
    memcpy(out, data, 100 * sizeof *out);
    soma_plan_destroy(plan);
    soma_graph_destroy(g);
    soma_context_destroy(c);
}

static void evaluating_draws_the_same(void **state) {
    (void)state;
    float first[100], other[100];
    evaluate(1, 1, 0, first);
    for (int way = 0; way < 4; way++) {
        evaluate(3, 1, way, other);
        assert_memory_equal(other, first, sizeof first);
    }
    evaluate(1, 2, 0, other);
    assert_memory_not_equal(other, first, sizeof first);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(optimizers_agree_with_the_reference),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(layouts_follow_the_plans),
        cmocka_unit_test(bad_data_moves_nothing),
        cmocka_unit_test(counters_may_be_large),
        cmocka_unit_test(evaluating_draws_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
