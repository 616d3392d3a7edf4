/* The compiler's passes on graphs alone: what simplify leaves, what fuses, where weights lie, what memory is shared.
 * Rests on the inside of plans. Nothing here runs a kernel; that the results are right is shown by other tests. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <soma/ops.h>
#include <soma/plan.h>

#include "plan/passes.h"
#include "support/random_graph.h"

typedef struct world {
    soma_context *context;
    soma_graph *graph;
} world;

static int open_world(void **state) {
    world *w = test_calloc(1, sizeof *w);
    w->context = soma_context_create(&(soma_context_options){.threads = 2});
    w->graph = soma_graph_create(w->context);
    *state = w;
    return 0;
}

static int close_world(void **state) {
    world *w = *state;
    soma_graph_destroy(w->graph);
    soma_context_destroy(w->context);
    test_free(w);
    return 0;
}

static soma_tensor *input(world *w, int rank, const int64_t *shape) {
    return soma_input(w->graph, SOMA_F32, rank, shape, "x");
}

static soma_tensor *scalar(world *w, double value) {
    return soma_scalar(w->graph, SOMA_F32, value);
}

/* ---- simplify ---- */

typedef struct simplified {
    soma_plan *plan;
    build b;
} simplified;

static void simplify(world *w, simplified *s, soma_tensor *const *targets, int n) {
    memset(s, 0, sizeof *s);
    s->plan = mem_zalloc(w->context, sizeof *s->plan);
    s->plan->context = w->context;
    s->plan->graph = soma_graph_create(w->context);
    arena_init(&s->plan->arena, w->context);
    s->b.context = w->context;
    s->b.plan = s->plan;
    s->b.graph = s->plan->graph;
    arena_init(&s->b.arena, w->context);
    assert_int_equal(plan_simplify(&s->b, targets, n), SOMA_OK);
}

static void simplify_end(simplified *s) {
    arena_deinit(&s->b.arena);
    soma_plan_destroy(s->plan);
}

/* The simplest form of a tensor must be of this op and of the same shape. */
static void expect_op(world *w, soma_tensor *t, const char *name) {
    simplified s;
    simplify(w, &s, &t, 1);
    assert_string_equal(s.b.targets[0]->op->name, name);
    assert_true(shape_equal(s.b.targets[0]->rank, s.b.targets[0]->shape, t->rank, t->shape));
    simplify_end(&s);
}

static void algebra_goes(void **state) {
    world *w = *state;
    soma_tensor *x = input(w, SOMA_DIMS(3, 4));
    expect_op(w, soma_mul_scalar(x, 1), "input");
    expect_op(w, soma_mul(scalar(w, 1), x), "input");
    expect_op(w, soma_div(x, scalar(w, 1)), "input");
    expect_op(w, soma_sub(x, scalar(w, 0)), "input");
    expect_op(w, soma_neg(soma_neg(x)), "input");
    expect_op(w, soma_stop_gradient(x), "input");
    expect_op(w, soma_cast(x, SOMA_F32), "input");
    expect_op(w, soma_mul(x, x), "square");
    expect_op(w, soma_pow_scalar(x, 2), "square");
    expect_op(w, soma_pow_scalar(x, 1), "input");
    expect_op(w, soma_add_scalar(x, 0), "add"); /* -0 + 0 is 0 */
    expect_op(w, soma_mul_scalar(x, 0), "mul"); /* infinity * 0 is not 0 */
    expect_op(w, soma_sub(x, x), "sub");
}

static void views_meet(void **state) {
    world *w = *state;
    soma_tensor *x = input(w, SOMA_DIMS(3, 4));
    expect_op(w, soma_transpose(soma_transpose(x, NULL), NULL), "input");
    expect_op(w, soma_reshape(soma_reshape(x, SOMA_DIMS(12)), SOMA_DIMS(3, 4)), "input");
    expect_op(w, soma_expand(x, SOMA_DIMS(3, 4)), "input");
    expect_op(w, soma_concat(&x, 1, 0), "input");
    soma_tensor *wide = soma_transpose(input(w, SOMA_DIMS(2, 3, 4)), (int[]){2, 0, 1});
    simplified s;
    soma_tensor *t = soma_transpose(wide, (int[]){0, 2, 1});
    simplify(w, &s, &t, 1);
    assert_string_equal(s.b.targets[0]->inputs[0]->op->name, "input"); /* one permutation of the two */
    simplify_end(&s);
}

static void constants_fold(void **state) {
    world *w = *state;
    soma_tensor *two = scalar(w, 2);
    soma_tensor *t = soma_sqrt(soma_mul(soma_add(two, two), scalar(w, 4)));
    simplified s;
    simplify(w, &s, &t, 1);
    assert_ptr_equal(s.b.targets[0]->op, &op_constant);
    assert_true(*(const float *)s.b.targets[0]->data == 4);
    simplify_end(&s);
    t = soma_exp(soma_full(w->graph, SOMA_F32, SOMA_DIMS(100, 100), 0)); /* one exponential, stretched */
    simplify(w, &s, &t, 1);
    assert_ptr_equal(s.b.targets[0]->op, &op_expand);
    assert_ptr_equal(s.b.targets[0]->inputs[0]->op, &op_constant);
    assert_true(*(const float *)s.b.targets[0]->inputs[0]->data == 1);
    simplify_end(&s);
}

static void equal_nodes_are_one(void **state) {
    world *w = *state;
    soma_tensor *x = input(w, SOMA_DIMS(5)), *y = input(w, SOMA_DIMS(5));
    soma_tensor *targets[] = {
        soma_tanh(soma_add(x, y)),
        soma_tanh(soma_add(x, y)),
        soma_tanh(soma_add(y, x)), /* the order is kept: NaNs have payloads */
        soma_slice_axis(x, 0, 1, 4, 1),
        soma_slice_axis(x, 0, 1, 4, 1),
        soma_slice_axis(x, 0, 0, 3, 1),
        soma_random_uniform(w->graph, SOMA_F32, SOMA_DIMS(5), 0, 1, NULL),
        soma_random_uniform(w->graph, SOMA_F32, SOMA_DIMS(5), 0, 1, NULL),
        soma_array(w->graph, SOMA_F32, SOMA_DIMS(2), (float[]){1, 2}),
        soma_array(w->graph, SOMA_F32, SOMA_DIMS(2), (float[]){1, 2}),
        soma_array(w->graph, SOMA_F32, SOMA_DIMS(2), (float[]){1, 3}),
    };
    simplified s;
    simplify(w, &s, targets, 11);
    assert_ptr_equal(s.b.targets[0], s.b.targets[1]);
    assert_ptr_not_equal(s.b.targets[0], s.b.targets[2]);
    assert_ptr_equal(s.b.targets[3], s.b.targets[4]);
    assert_ptr_not_equal(s.b.targets[3], s.b.targets[5]);
    assert_ptr_not_equal(s.b.targets[6], s.b.targets[7]);
    assert_ptr_equal(s.b.targets[8], s.b.targets[9]);
    assert_ptr_not_equal(s.b.targets[8], s.b.targets[10]);
    simplify_end(&s);
}

static void dead_nodes_stay_behind(void **state) {
    world *w = *state;
    soma_tensor *x = input(w, SOMA_DIMS(5)), *t = soma_exp(x);
    for (int i = 0; i < 100; i++)
        soma_tanh(soma_add_scalar(x, i));
    simplified s;
    simplify(w, &s, &t, 1);
    assert_int_equal(s.b.graph->n_nodes, 2);
    simplify_end(&s);
}

static void reductions_are_cut(void **state) {
    world *w = *state;
    soma_tensor *x = input(w, SOMA_DIMS(4, 5, 6, 7));
    soma_tensor *t = soma_sum(x, SOMA_AXES(0, 2), true); /* two runs of axes */
    simplified s;
    simplify(w, &s, &t, 1);
    const soma_tensor *outer = s.b.targets[0];
    assert_ptr_equal(outer->op, &op_sum);
    assert_ptr_equal(outer->inputs[0]->op, &op_sum);
    assert_int_equal(outer->attributes->axes, 1);
    assert_int_equal(outer->inputs[0]->attributes->axes, 4);
    simplify_end(&s);
    expect_op(w, soma_sum(input(w, SOMA_DIMS(3, 1)), SOMA_AXES(1), true), "input");
}

/* ---- fuse ---- */

/* Steps of each kind, the first letters: "map 1, row 2". */
static void expect_steps(const char *what, soma_tensor *const *targets, int n, const char *expected) {
    static const char *const kinds[] = {"map", "row", "reduce", "contract", "pack", "kernel", "copy"};
    char found[160] = "";
    soma_plan *plan = soma_plan_create(targets, n, NULL);
    assert_non_null(plan);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        int count = 0;
        for (int i = 0; i < soma_plan_steps(plan); i++)
            count += strcmp(soma_plan_get_step(plan, i).kind, kinds[k]) == 0;
        size_t used = strlen(found);
        if (count) snprintf(found + used, sizeof found - used, "%s%s %d", used ? ", " : "", kinds[k], count);
    }
    if (strcmp(found, expected) != 0) {
        for (int i = 0; i < soma_plan_steps(plan); i++)
            print_error("  %s: %s\n", soma_plan_get_step(plan, i).kind, soma_plan_get_step(plan, i).text);
        fail_msg("%s has steps %s, not %s", what, found, expected);
    }
    soma_plan_destroy(plan);
}

static void maps_melt(void **state) {
    world *w = *state;
    soma_tensor *x = input(w, SOMA_DIMS(100, 64)), *bias = input(w, SOMA_DIMS(64));
    soma_tensor *u = soma_input(w->graph, SOMA_U8, SOMA_DIMS(100, 64), "u");
    soma_tensor *y = soma_tanh(soma_add(soma_mul(x, x), bias));
    soma_tensor *pixel = soma_div(soma_cast(u, SOMA_F32), scalar(w, 255));
    soma_tensor *t = soma_where(soma_greater(pixel, y), soma_exp(y), soma_transpose(soma_transpose(pixel, NULL), NULL));
    expect_steps("maps", &t, 1, "map 1");
    soma_tensor *both[] = {t, soma_sigmoid(t)};
    expect_steps("maps with two outputs", both, 2, "map 1");
}

/* Whoever else reads an inner result needs it rounded, as it would be alone. */
static void averages_are_one_instruction(void **state) {
    world *w = *state;
    soma_tensor *x = input(w, SOMA_DIMS(40)), *old = input(w, SOMA_DIMS(40)), *rate = scalar(w, 0.1);
    soma_tensor *apart = soma_sub(x, old), *root = soma_sqrt(soma_abs(x));
    soma_tensor *targets[] = {soma_add(old, soma_mul(soma_sub(soma_square(x), old), rate)),
                              soma_add(soma_mul(rate, soma_sub(soma_exp(x), old)), old),
                              soma_div(x, soma_add(scalar(w, 1e-7), root)),
                              soma_mul(x, soma_rsqrt(soma_add(soma_abs(old), rate))),
                              soma_add(old, soma_mul(apart, rate)),
                              apart};
    const char *expected[] = {"blend_square", "exp blend", "abs divide_root_plus", "abs divide_root_of_sum",
                              "sub multiply_add"};
    for (int i = 0; i < 5; i++) {
        soma_plan *plan = soma_plan_create(targets + i, i < 4 ? 1 : 2, NULL);
        assert_int_equal(soma_plan_steps(plan), 1);
        const char *made = soma_plan_get_step(plan, 0).text;
        assert_memory_equal(made, expected[i], strlen(expected[i]));
        assert_int_equal(made[strlen(expected[i])], ' ');
        soma_plan_destroy(plan);
    }
}

/* A relu is one instruction where its slope is not asked for; NaN stays and zeros have no sign. */
static void choices_are_one_instruction(void **state) {
    world *w = *state;
    const float values[6] = {-1, 2, NAN, -0.0f, -INFINITY, INFINITY};
    soma_tensor *x = soma_input(w->graph, SOMA_F32, SOMA_DIMS(6), "x"), *zero = scalar(w, 0);
    soma_tensor *y = soma_where(soma_less_equal(x, zero), zero, x), *targets[2] = {y, NULL};
    assert_int_equal(soma_grad(soma_sum(y, SOMA_ALL_AXES, false), &x, 1, &targets[1]), SOMA_OK);
    for (int n = 1; n <= 2; n++) {
        soma_plan *plan = soma_plan_create(targets, n, NULL);
        assert_non_null(plan);
        assert_true((strstr(soma_plan_get_step(plan, 0).text, "maximum ") != NULL) == (n == 1));
        assert_int_equal(soma_plan_bind(plan, x, values), SOMA_OK);
        assert_int_equal(soma_plan_run(plan), SOMA_OK);
        const float *out = soma_plan_output(plan, 0), expected[6] = {0, 2, NAN, 0, 0, INFINITY};
        for (int i = 0; i < 6; i++)
            assert_true(isnan(expected[i]) ? isnan(out[i]) : memcmp(&out[i], &expected[i], sizeof *out) == 0);
        soma_plan_destroy(plan);
    }
}

static void losses_are_one_row_step(void **state) {
    world *w = *state;
    soma_tensor *x = input(w, SOMA_DIMS(128, 10)), *y = soma_input(w->graph, SOMA_I64, SOMA_DIMS(128), "y");
    soma_tensor *picked = soma_mul(soma_log_softmax(x, -1), soma_one_hot(y, 10, SOMA_F32));
    soma_tensor *each = soma_neg(soma_sum(picked, SOMA_AXES(-1), false));
    soma_tensor *targets[2] = {soma_mean(each, SOMA_ALL_AXES, false), NULL};
    assert_int_equal(soma_grad(targets[0], &x, 1, &targets[1]), SOMA_OK);
    expect_steps("softmax cross-entropy and its gradient", targets, 2, "row 2"); /* the other is the mean of 128 */
    targets[0] = soma_softmax_axis(x, -1);
    expect_steps("softmax", targets, 1, "row 1");
}

static soma_tensor *norm(world *w, soma_tensor *x) {
    soma_tensor *centred = soma_sub(x, soma_mean(x, SOMA_AXES(-1), true));
    soma_tensor *variance = soma_mean(soma_square(centred), SOMA_AXES(-1), true);
    soma_tensor *gamma = input(w, SOMA_DIMS(256)), *beta = input(w, SOMA_DIMS(256));
    return soma_add(soma_mul(soma_mul(centred, soma_rsqrt(soma_add_scalar(variance, 1e-3))), gamma), beta);
}

static void norms_are_one_row_step(void **state) {
    world *w = *state;
    soma_tensor *x = input(w, SOMA_DIMS(32, 16, 256)), *y = norm(w, x), *dx;
    expect_steps("layer norm", &y, 1, "row 1");
    soma_tensor *loss = soma_sum(soma_mul(y, input(w, SOMA_DIMS(32, 16, 256))), SOMA_ALL_AXES, false);
    assert_int_equal(soma_grad(loss, &x, 1, &dx), SOMA_OK);
    expect_steps("layer norm's gradient", &dx, 1, "row 1");
}

/* A dense layer with all that a training step does to its weight. */
typedef struct dense {
    soma_variable *kernel, *bias, *average;
    soma_tensor *x, *w, *b, *a, *y;
} dense;

static void open_dense(world *w, dense *d, int64_t rows, int64_t in, int64_t out) {
    d->kernel = soma_variable_create(w->context, "kernel", SOMA_F32, SOMA_DIMS(in, out));
    d->bias = soma_variable_create(w->context, "bias", SOMA_F32, SOMA_DIMS(out));
    d->average = soma_variable_create(w->context, "average", SOMA_F32, SOMA_DIMS(in, out));
    d->x = input(w, SOMA_DIMS(rows, in));
    d->w = soma_read(w->graph, d->kernel);
    d->b = soma_read(w->graph, d->bias);
    d->a = soma_read(w->graph, d->average);
    d->y = soma_maximum(soma_add(soma_matmul(d->x, d->w), d->b), scalar(w, 0));
}

static void close_dense(dense *d) {
    soma_variable_destroy(d->kernel);
    soma_variable_destroy(d->bias);
    soma_variable_destroy(d->average);
}

static void rmsprop(dense *d, soma_tensor *gradient, soma_tensor **assigns) {
    soma_tensor *average = soma_add(soma_mul_scalar(d->a, 0.9), soma_mul_scalar(soma_square(gradient), 0.1));
    soma_tensor *step = soma_div(gradient, soma_sqrt(soma_add_scalar(average, 1e-7)));
    assigns[0] = soma_assign(d->average, average);
    assigns[1] = soma_assign(d->kernel, soma_sub(d->w, soma_mul_scalar(step, 1e-3)));
}

static void layers_are_one_contract_step(void **state) {
    world *w = *state;
    dense d;
    open_dense(w, &d, 128, 784, 512);
    expect_steps("dense", &d.y, 1, "contract 1");
    soma_tensor *u = soma_random_uniform(w->graph, SOMA_F32, SOMA_DIMS(128, 512), 0, 1, NULL);
    soma_tensor *dropped = soma_where(soma_greater_equal(u, scalar(w, 0.5)), soma_mul_scalar(d.y, 2), scalar(w, 0));
    expect_steps("dense with dropout", &dropped, 1, "contract 1");
    close_dense(&d);
}

static const plan_storage *storage_of_read(const soma_plan *plan, const soma_variable *v) {
    for (int i = 0; i < plan->n_storages; i++)
        if (plan->storages[i].variable == v) return &plan->storages[i];
    return NULL;
}

static void updates_are_one_contract_step(void **state) {
    world *w = *state;
    dense d;
    soma_tensor *targets[2], *gradient;
    open_dense(w, &d, 128, 784, 512);
    soma_tensor *loss = soma_sum(soma_mul(d.y, input(w, SOMA_DIMS(128, 512))), SOMA_ALL_AXES, false);
    assert_int_equal(soma_grad(loss, &d.w, 1, &gradient), SOMA_OK);
    rmsprop(&d, gradient, targets);
    expect_steps("a weight's update", targets, 2, "contract 2"); /* forward, then gradient and update */
    soma_plan *plan = soma_plan_create(targets, 2, NULL);
    for (int i = 0; i < plan->n_storages; i++) /* the gradient lies nowhere */
        assert_false(plan->storages[i].kind == STORAGE_ARENA && plan->storages[i].elements >= 784 * 512);
    soma_plan_destroy(plan);
    close_dense(&d);
}

/* ---- layout ---- */

static void weights_lie_in_panels(void **state) {
    world *w = *state;
    dense d;
    soma_tensor *targets[2], *gradient;
    open_dense(w, &d, 128, 784, 512);
    soma_tensor *loss = soma_sum(soma_square(d.y), SOMA_ALL_AXES, false);
    assert_int_equal(soma_grad(loss, &d.w, 1, &gradient), SOMA_OK);
    rmsprop(&d, gradient, targets);
    soma_plan *plan = soma_plan_create(targets, 2, NULL);
    const plan_storage *kernel = storage_of_read(plan, d.kernel), *average = storage_of_read(plan, d.average);
    assert_true(kernel->width > 0);
    assert_int_equal(kernel->width, average->width); /* the optimizer's state follows the weight */
    soma_plan_destroy(plan);
    close_dense(&d);
}

static void shared_weights_stay_plain(void **state) {
    world *w = *state;
    dense d;
    open_dense(w, &d, 128, 64, 512);
    soma_tensor *rows = soma_input(w->graph, SOMA_I64, SOMA_DIMS(20), "rows");
    soma_tensor *targets[] = {d.y, soma_gather(d.w, rows, 0)}; /* an embedding's table that is a projection, too */
    soma_plan *plan = soma_plan_create(targets, 2, NULL);
    assert_int_equal(storage_of_read(plan, d.kernel)->width, 0);
    soma_plan_destroy(plan);
    targets[1] = soma_matmul(d.y, soma_transpose(d.w, NULL)); /* the transpose is packed from panels */
    plan = soma_plan_create(targets, 2, NULL);
    assert_true(storage_of_read(plan, d.kernel)->width > 0);
    soma_plan_destroy(plan);
    targets[1] = soma_add_scalar(d.w, 1); /* maps walk panels */
    plan = soma_plan_create(targets, 2, NULL);
    assert_true(storage_of_read(plan, d.kernel)->width > 0);
    soma_plan_destroy(plan);
    targets[1] = soma_add_scalar(soma_transpose(d.w, NULL), 1); /* but not askew */
    plan = soma_plan_create(targets, 2, NULL);
    assert_int_equal(storage_of_read(plan, d.kernel)->width, 0);
    soma_plan_destroy(plan);
    close_dense(&d);
}

/* ---- memory and order ---- */

static bool program_stores(const tile_program *p, int storage) {
    for (int i = 0; i < p->n_stores; i++)
        if (p->accesses[p->instructions[p->stores[i]].access].storage == storage) return true;
    return false;
}

static bool step_writes(const plan_step *s, int storage) {
    switch (s->kind) {
    case STEP_MAP:
        return program_stores(&s->as.map, storage);
    case STEP_CONTRACT:
        return s->as.contract->partial == storage || program_stores(&s->as.contract->epilogue, storage);
    case STEP_REDUCE:
        return s->as.reduction->partial == storage || program_stores(&s->as.reduction->pre, storage) ||
               program_stores(&s->as.reduction->post, storage);
    case STEP_PACK:
        return s->as.pack.destination == storage;
    case STEP_KERNEL:
        return s->as.kernel.destination == storage;
    case STEP_COPY:
        return s->as.copy.to == storage;
    }
    return false;
}

/* No two arrays that live together overlap, but for one that takes another's place in the step that reads that for the
 * last time; and each is written before it is read. */
static void check_memory(const soma_plan *plan) {
    for (int i = 0; i < plan->n_storages; i++) {
        const plan_storage *a = &plan->storages[i];
        if (a->kind != STORAGE_ARENA || a->last < 0) continue;
        assert_true(a->offset + a->bytes <= plan->arena_bytes);
        assert_true(step_writes(&plan->steps[a->first], i));
        for (int k = 0; k < i; k++) {
            const plan_storage *b = &plan->storages[k];
            if (b->kind != STORAGE_ARENA || b->last < 0) continue;
            bool together = (a->first <= b->last || b->output) && (b->first <= a->last || a->output);
            bool apart = a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset;
            bool follows = a->place == b->place && (a->first == b->last || b->first == a->last);
            assert_true(!together || apart || (follows && a->offset == b->offset && a->bytes == b->bytes));
        }
    }
}

static void memory_is_shared(void **state) {
    world *w = *state;
    soma_tensor *x = input(w, SOMA_DIMS(64, 64));
    for (int i = 0; i < 20; i++)
        x = soma_tanh(soma_matmul(x, input(w, SOMA_DIMS(64, 64))));
    soma_plan *plan = soma_plan_create(&x, 1, NULL);
    size_t sum = 0;
    for (int i = 0; i < plan->n_storages; i++)
        if (plan->storages[i].kind == STORAGE_ARENA) sum += plan->storages[i].bytes;
    check_memory(plan);
    assert_true(soma_plan_bytes(plan) < sum / 4);
    soma_plan_destroy(plan);
}

static int successors(soma_tensor *first, soma_tensor *second) {
    soma_tensor *targets[] = {first, second};
    soma_plan *plan = soma_plan_create(targets, second ? 2 : 1, NULL);
    assert_non_null(plan);
    check_memory(plan);
    int n = 0;
    for (int i = 0; i < plan->n_storages; i++)
        n += plan->storages[i].kind == STORAGE_ARENA && plan->storages[i].last >= 0 && plan->storages[i].place != i;
    soma_plan_destroy(plan);
    return n;
}

/* What is stored may lie where something lay that is read for the last time: not if it is an operand, of which other
 * rows are still to be read, nor if it is looked at again, or in another order. */
static void arrays_take_the_place_of_others(void **state) {
    world *w = *state;
    soma_tensor *x = input(w, SOMA_DIMS(64, 64)), *u = input(w, SOMA_DIMS(64, 64)), *v = input(w, SOMA_DIMS(64, 64));
    soma_tensor *a = soma_tanh(soma_matmul(x, u)), *xv = soma_matmul(x, v);
    assert_int_equal(successors(soma_matmul(soma_mul(xv, a), u), NULL), 1);
    assert_int_equal(successors(soma_matmul(soma_mul(soma_matmul(a, v), a), u), NULL), 0);
    assert_int_equal(successors(soma_matmul(soma_mul(xv, soma_transpose(a, NULL)), u), NULL), 0);
    soma_tensor *s = soma_add(xv, a), *t = soma_mul(soma_tanh(s), a);
    assert_int_equal(successors(soma_matmul(s, u), soma_matmul(t, u)), 1); /* t, behind which nobody looks at a */
    assert_int_equal(successors(soma_matmul(soma_mul(xv, a), u), a), 0);   /* the user reads it */
}

static void random_plans_share_well(void **state) {
    world *w = *state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        random_graph *r = random_graph_create(w->context, seed, 30);
        soma_plan *plan = random_graph_plan(r, NULL);
        assert_non_null(plan);
        check_memory(plan);
        soma_plan_destroy(plan);
        random_graph_destroy(r);
    }
}

/* x -> a map that a kernel reads -> back to maps of both: what looks like one group of maps would wait for itself. */
static void groups_never_wait_for_each_other(void **state) {
    world *w = *state;
    soma_tensor *a = input(w, SOMA_DIMS(12, 12)), *b = input(w, SOMA_DIMS(12, 12));
    soma_tensor *x = soma_mul_scalar(a, 2);
    soma_tensor *z = soma_cumsum(x, 0);
    soma_tensor *t = soma_mul_scalar(b, 3);
    soma_tensor *y = soma_add(x, soma_transpose(t, NULL));
    soma_tensor *v = soma_add(z, t);
    soma_tensor *targets[] = {y, v, soma_cumsum(y, 1), soma_cumsum(t, 0)};
    soma_plan *plan = soma_plan_create(targets, 4, NULL);
    check_memory(plan);
    soma_plan_destroy(plan);
}

/* ---- size ---- */

static void chains_of_views_may_be_long(void **state) {
    world *w = *state;
    soma_tensor *x = input(w, SOMA_DIMS(12, 12));
    for (int i = 0; i < 500; i++)
        x = soma_transpose(soma_slice_axis(x, i % 2, -1, SOMA_END, -1), NULL);
    soma_tensor *targets[] = {x, soma_exp(x), soma_matmul(x, x)};
    soma_plan *plan = soma_plan_create(targets, 3, NULL);
    assert_non_null(plan);
    check_memory(plan);
    soma_plan_destroy(plan);
}

/* 4,000 layers with gradients and momentum, over 100,000 nodes: a second or two, or minutes if a pass is quadratic. */
static void large_graphs_compile(void **state) {
    world *w = *state;
    enum { LAYERS = 4000 };
    soma_variable **weights = test_calloc(2 * LAYERS, sizeof *weights);
    soma_tensor **reads = test_calloc(2 * LAYERS, sizeof *reads), **gradients = test_calloc(LAYERS, sizeof *gradients);
    soma_tensor *x = input(w, SOMA_DIMS(4, 8)), **targets = test_calloc(2 * LAYERS + 1, sizeof *targets);
    for (int i = 0; i < 2 * LAYERS; i++) {
        weights[i] = soma_variable_create(w->context, "w", SOMA_F32, SOMA_DIMS(8, 8));
        reads[i] = soma_read(w->graph, weights[i]);
    }
    for (int i = 0; i < LAYERS; i++)
        x = soma_add(x, soma_softmax_axis(soma_matmul(x, reads[i]), -1));
    targets[0] = soma_mean(soma_square(x), SOMA_ALL_AXES, false);
    assert_int_equal(soma_grad(targets[0], reads, LAYERS, gradients), SOMA_OK);
    for (int i = 0; i < LAYERS; i++) {
        soma_tensor *moved = soma_sub(soma_mul_scalar(reads[LAYERS + i], 0.9), soma_mul_scalar(gradients[i], 0.01));
        targets[1 + 2 * i] = soma_assign(weights[LAYERS + i], moved);
        targets[2 + 2 * i] = soma_assign(weights[i], soma_add(reads[i], moved));
    }
    assert_true(w->graph->n_nodes > 100000);
    soma_plan *plan = soma_plan_create(targets, 2 * LAYERS + 1, NULL);
    assert_non_null(plan);
    for (int i = 0; i < plan->n_steps; i++)
        assert_int_not_equal(plan->steps[i].kind, STEP_COPY); /* every update happens in place */
    soma_plan_destroy(plan);
    for (int i = 0; i < 2 * LAYERS; i++)
        soma_variable_destroy(weights[i]);
    test_free(weights);
    test_free(reads);
    test_free(gradients);
    test_free(targets);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(algebra_goes),
        TEST(views_meet),
        TEST(constants_fold),
        TEST(equal_nodes_are_one),
        TEST(dead_nodes_stay_behind),
        TEST(reductions_are_cut),
        TEST(maps_melt),
        TEST(averages_are_one_instruction),
        TEST(choices_are_one_instruction),
        TEST(losses_are_one_row_step),
        TEST(norms_are_one_row_step),
        TEST(layers_are_one_contract_step),
        TEST(updates_are_one_contract_step),
        TEST(weights_lie_in_panels),
        TEST(shared_weights_stay_plain),
        TEST(memory_is_shared),
        TEST(arrays_take_the_place_of_others),
        TEST(random_plans_share_well),
        TEST(groups_never_wait_for_each_other),
        TEST(chains_of_views_may_be_long),
        TEST(large_graphs_compile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
