/* One training step of the 2-8-1 network by Soma: forward, mean squared error, gradients, SGD.
 * Rests on soma.h. A line "seconds" is answered by "plan seconds-a-step batch seconds-a-step": the step as one run of
 * a plan, and as one soma_train_on_batch of a model. The plan's loss must have fallen by then. */
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
    return soma_plan_run(((network *)user)->plan) != SOMA_OK;
}

/* ---- the same by a model ---- */

typedef struct model {
    soma_model *net;
    soma_tensor *x, *y;
} model;

static bool make_model(model *m) {
    m->net = soma_sequential(soma_dense(XOR_HIDDEN, .activation = soma_sigmoid, .input_shape = {2}),
                             soma_dense(1, .activation = soma_sigmoid));
    m->x = soma_array(NULL, SOMA_F32, SOMA_DIMS(XOR_SAMPLES, 2), xor_x);
    m->y = soma_array(NULL, SOMA_F32, SOMA_DIMS(XOR_SAMPLES, 1), xor_y);
    return soma_compile(m->net, .optimizer = soma_sgd(.learning_rate = (double)XOR_RATE),
                        .loss = soma_mean_squared_error) == SOMA_OK;
}

static int train_on_batch(void *user) {
    const model *m = user;
    return soma_train_on_batch(m->net, m->x, m->y).status != SOMA_OK;
}

/* ---- the worker ---- */

typedef struct both {
    network network;
    model model;
} both;

static int answer(void *user, char *line) {
    both *b = user;
    const soma_plan *plan = b->network.plan;
    if (step(&b->network)) return 1;
    const float before = *(const float *)soma_plan_output(plan, 0);
    const double seconds = worker_time(step, &b->network, atof(line) / 2);
    const float after = *(const float *)soma_plan_output(plan, 0);
    const double by_batch = worker_time(train_on_batch, &b->model, atof(line) / 2);
    if (seconds > 0 && by_batch > 0 && after <= before) {
        printf("plan %.9g batch %.9g\n", seconds, by_batch);
    } else {
        printf("error the loss went from %g to %g %s\n", (double)before, (double)after, soma_last_error(NULL));
    }
    return 0;
}

int main(void) {
    both b = {.network.graph = soma_graph_create(NULL)};
    int status = 1;
    if (b.network.graph && make_weights(&b.network) && make_plan(&b.network) && make_model(&b.model)) {
        status = worker_serve(answer, &b);
    } else {
        printf("error %s\n", soma_last_error(NULL));
    }
    soma_model_destroy(b.model.net);
    soma_plan_destroy(b.network.plan);
    soma_graph_destroy(b.network.graph);
    for (int i = 0; i < 4; i++)
        soma_variable_destroy(b.network.weights[i]);
    return status;
}
