/* One training step of the 2-8-1 network, as one run of a plan: forward, mean squared error, gradients, SGD.
 * Rests on soma.h, on the level below the model. A line "seconds" is answered by "plan seconds-a-step"; the loss must
 * have fallen by then. Run with SOMA_THREADS=1. */
#include <stdio.h>
#include <stdlib.h>

#include <soma/soma.h>

#include "worker.h"
#include "xor.h"

typedef struct network {
    soma_graph *graph;
    soma_variable *weights[4];
    soma_plan *plan;
} network;

static bool make_weights(network *n) {
    static const struct {
        int rank;
        int64_t shape[2];
    } shapes[4] = {{2, {2, XOR_HIDDEN}}, {1, {XOR_HIDDEN}}, {2, {XOR_HIDDEN, 1}}, {1, {1}}};
    for (int i = 0; i < 4; i++) {
        float start[2 * XOR_HIDDEN];
        for (int j = 0; j < 2 * XOR_HIDDEN; j++)
            start[j] = (float)((j * 7 + i * 3) % 11) / 5.0f - 1.0f;
        n->weights[i] = soma_variable_create(NULL, "w", SOMA_F32, shapes[i].rank, shapes[i].shape);
        if (!n->weights[i]) return false;
        const size_t bytes = (size_t)soma_variable_size(n->weights[i]) * sizeof(float);
        if (soma_variable_set(n->weights[i], start, bytes)) return false;
    }
    return true;
}

/* Targets: the loss, then the four assignments. */
static bool make_plan(network *n) {
    soma_tensor *x = soma_input(n->graph, SOMA_F32, SOMA_DIMS(XOR_SAMPLES, 2), "x");
    soma_tensor *y = soma_input(n->graph, SOMA_F32, SOMA_DIMS(XOR_SAMPLES, 1), "y");
    soma_tensor *w[4], *dw[4], *targets[5];
    for (int i = 0; i < 4; i++)
        w[i] = soma_read(n->graph, n->weights[i]);
    soma_tensor *h = soma_sigmoid(soma_add(soma_matmul(x, w[0]), w[1]));
    soma_tensor *p = soma_sigmoid(soma_add(soma_matmul(h, w[2]), w[3]));
    targets[0] = soma_mean(soma_square(soma_sub(p, y)), SOMA_ALL_AXES, false);
    if (soma_grad(targets[0], w, 4, dw)) return false;
    for (int i = 0; i < 4; i++)
        targets[1 + i] = soma_assign(n->weights[i], soma_sub(w[i], soma_mul_scalar(dw[i], (double)XOR_RATE)));
    n->plan = soma_plan_create(targets, 5, NULL);
    return n->plan && !soma_plan_bind(n->plan, x, xor_x) && !soma_plan_bind(n->plan, y, xor_y);
}

static int step(void *user) {
    return soma_plan_run(((network *)user)->plan);
}

static int answer(void *user, char *line) {
    network *n = user;
    if (step(n)) return 1;
    const float before = *(const float *)soma_plan_output(n->plan, 0);
    const double seconds = worker_time(step, n, atof(line));
    const float after = *(const float *)soma_plan_output(n->plan, 0);
    if (seconds > 0 && after <= before) {
        printf("plan %.9g\n", seconds);
    } else {
        printf("error the loss went from %g to %g\n", (double)before, (double)after);
    }
    return 0;
}

int main(void) {
    network n = {.graph = soma_graph_create(NULL)};
    int status = 1;
    if (n.graph && make_weights(&n) && make_plan(&n)) {
        status = worker_serve(answer, &n);
    } else {
        printf("error %s\n", soma_last_error(NULL));
    }
    soma_plan_destroy(n.plan);
    soma_graph_destroy(n.graph);
    for (int i = 0; i < 4; i++)
        soma_variable_destroy(n.weights[i]);
    return status;
}
