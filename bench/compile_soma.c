/* What the compiler costs: time and memory of making a plan of a graph of any size, pass by pass.
 * Rests on soma.h: passes are told apart by the library's own log of them, memory is counted by the allocator. What the
 * log itself takes is left out.
 * A line "kind nodes" (kinds below) is answered by "nodes steps graph-bytes plan-bytes peak-bytes graph-seconds", then
 * "simplify fuse layout rest" in seconds and how often the passes began again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <soma/soma.h>

#include "worker.h"

typedef enum pass { SIMPLIFY, FUSE, LAYOUT, REST, PASSES } pass; /* the rest: lowering, memory, schedule */

typedef struct compiling {
    size_t bytes, peak;
    double last; /* when the last line of the log was over */
    double seconds[PASSES];
    long nodes, rounds;
    bool in_nodes;
} compiling;

static void *allocate(void *user, void *pointer, size_t old_size, size_t new_size) {
    compiling *c = user;
    void *result = NULL;
    if (new_size == 0) {
        free(pointer);
    } else {
        result = realloc(pointer, new_size);
        if (!result) return NULL;
    }
    c->bytes += new_size - (pointer ? old_size : 0);
    if (c->bytes > c->peak) c->peak = c->bytes;
    return result;
}

/* "after simplify:" and so on end a pass; the lines below them show what it did. */
static void see(void *user, const char *topic, const char *line) {
    static const char *const names[PASSES] = {"after simplify:", "after fuse:", "after layout:", "after memory:"};
    compiling *c = user;
    (void)topic;
    const double now = worker_seconds();
    for (int i = 0; i < PASSES; i++) {
        if (strcmp(line, names[i]) != 0) continue;
        c->seconds[i] += now - c->last;
        c->in_nodes = i == SIMPLIFY;
        c->rounds += i == FUSE;
    }
    c->nodes += c->in_nodes && line[0] == ' ';
    c->last = worker_seconds();
}

/* ---- graphs ---- */

enum { WIDTH = 16, ROWS = 8, MOST_LAYERS = 8192 };

/* One long chain of maps. */
static int make_chain(soma_graph *graph, soma_tensor **targets, soma_variable **variables, int64_t nodes) {
    (void)variables;
    soma_tensor *x = soma_input(graph, SOMA_F32, SOMA_DIMS(ROWS, WIDTH), "x"), *y = x;
    for (int64_t i = 0; i < nodes; i++)
        y = i % 3 == 0 ? soma_tanh(y) : i % 3 == 1 ? soma_mul(y, x) : soma_add(y, x);
    targets[0] = y;
    return 1;
}

/* Many maps of one array, summed up: a node with as many users as there are nodes. */
static int make_fan(soma_graph *graph, soma_tensor **targets, soma_variable **variables, int64_t nodes) {
    (void)variables;
    soma_tensor *x = soma_input(graph, SOMA_F32, SOMA_DIMS(ROWS, WIDTH), "x"), *y = x;
    for (int64_t i = 0; i < nodes; i += 3)
        y = soma_add(y, soma_tanh(soma_mul_scalar(x, 1 + 1e-3 * (double)i)));
    targets[0] = y;
    return 1;
}

/* Dense layers, their gradients and updates: about 17 nodes a layer. */
static int make_layers(soma_graph *graph, soma_tensor **targets, soma_variable **variables, int64_t nodes) {
    static soma_tensor *weights[MOST_LAYERS], *slopes[MOST_LAYERS];
    const int layers = nodes / 17 < MOST_LAYERS ? (int)(nodes / 17) : MOST_LAYERS;
    static const int64_t shape[] = {WIDTH, WIDTH};
    soma_tensor *x = soma_input(graph, SOMA_F32, SOMA_DIMS(ROWS, WIDTH), "x");
    for (int i = 0; i < layers; i++) {
        variables[i] = soma_variable_create(soma_graph_context(graph), "w", SOMA_F32, 2, shape);
        weights[i] = variables[i] ? soma_read(graph, variables[i]) : NULL;
        x = soma_relu(soma_matmul(x, weights[i]));
    }
    soma_tensor *loss = soma_mean(soma_square(x), SOMA_ALL_AXES, false);
    if (soma_grad(loss, weights, layers, slopes) != SOMA_OK) return 0;
    for (int i = 0; i < layers; i++)
        targets[i] = soma_assign(variables[i], soma_sub(weights[i], soma_mul_scalar(slopes[i], 0.01)));
    return layers;
}

static const struct {
    const char *name;
    int (*make)(soma_graph *graph, soma_tensor **targets, soma_variable **variables, int64_t nodes);
} kinds[] = {{"chain", make_chain}, {"fan", make_fan}, {"layers", make_layers}};

/* ---- the worker ---- */

static void compile(soma_context *context, compiling *c, int kind, int64_t nodes) {
    static soma_tensor *targets[MOST_LAYERS];
    static soma_variable *variables[MOST_LAYERS];
    memset(variables, 0, sizeof variables);
    const double start = worker_seconds();
    soma_graph *graph = soma_graph_create(context);
    const int n = kinds[kind].make(graph, targets, variables, nodes);
    const double graph_seconds = worker_seconds() - start;
    const size_t graph_bytes = c->bytes;
    c->peak = c->bytes;
    c->last = worker_seconds();
    soma_plan *plan = n ? soma_plan_create(targets, n, NULL) : NULL;
    if (plan) {
        printf("%ld %d %zu %zu %zu %.6f %.6f %.6f %.6f %.6f %ld\n", c->nodes, soma_plan_steps(plan), graph_bytes,
               c->bytes - graph_bytes, c->peak - graph_bytes, graph_seconds, c->seconds[SIMPLIFY], c->seconds[FUSE],
               c->seconds[LAYOUT], c->seconds[REST], c->rounds - 1);
    } else {
        printf("error %s\n", soma_last_error(context));
    }
    soma_plan_destroy(plan);
    soma_graph_destroy(graph);
    for (int i = 0; i < MOST_LAYERS; i++)
        soma_variable_destroy(variables[i]);
}

static int answer(void *user, char *line) {
    (void)user;
    char name[16];
    long nodes = 0;
    if (sscanf(line, "%15s %ld", name, &nodes) != 2) return 2;
    int kind = 0;
    while (kind < 3 && strcmp(name, kinds[kind].name) != 0)
        kind++;
    compiling c = {0};
    soma_context *context = soma_context_create(
        &(soma_context_options){.allocate = allocate, .allocate_user = &c, .log = see, .log_user = &c});
    if (!context || kind == 3) return 2;
    compile(context, &c, kind, nodes);
    soma_context_destroy(context);
    return 0;
}

int main(void) {
    return worker_serve(answer, NULL);
}
