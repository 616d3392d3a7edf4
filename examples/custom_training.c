/* A training step of one's own, in two ways: an objective that fit minimizes, and a plan of one's own with a loop
 * around it. Both train the same network on noisy labels so that it also stays the same where its input is disturbed a
 * little. Run by the tests. */
#include <math.h>
#include <stdio.h>

#include <soma/soma.h>

enum { SAMPLES = 256, FEATURES = 2, ROOM = 64 };

static float x[SAMPLES][FEATURES], y[SAMPLES][1];

static void make_data(void) {
    for (int i = 0; i < SAMPLES; i++) {
        x[i][0] = (float)sin(i * 12.9898);
        x[i][1] = (float)cos(i * 78.233);
        y[i][0] = x[i][0] * x[i][1] + 0.1f * (float)sin(i * 37.719);
    }
}

static soma_model *make_model(void) {
    soma_set_random_seed(NULL, 7);
    return soma_sequential(soma_dense(32, .activation = soma_tanh, .input_shape = {FEATURES}),
                           soma_dense(32, .activation = soma_tanh), soma_dropout(0.05), soma_dense(1));
}

/* The error, and how much the output changes when the input is disturbed. */
static soma_tensor *steady(const soma_objective *o) {
    soma_graph *graph = soma_tensor_graph(o->x);
    soma_tensor *noise = soma_random_normal(graph, SOMA_F32, soma_ndim(o->x), soma_shape(o->x), 0, 0.05, o->step);
    soma_tensor *disturbed = soma_add(o->x, noise), *p = NULL;
    soma_pass pass = {.training = o->training, .step = o->step};
    if (soma_model_forward(o->model, &disturbed, 1, &pass, &p) != SOMA_OK) return NULL;
    soma_tensor *error = soma_mean_squared_error(o->y_true, o->y_pred);
    return soma_add(error, soma_mean_squared_error(o->y_pred, p));
}

/* fit brings batches, callbacks, history, files; the objective says what a step minimizes. */
static soma_status by_objective(soma_dataset *data) {
    soma_model *net = make_model();
    soma_compile(net, .optimizer = soma_adam(.learning_rate = 0.01), .objective = steady);
    soma_status status = soma_fit(net, data, .epochs = 40);
    if (status == SOMA_OK)
        status = soma_save(net, "steady.soma", .custom = {{.name = "steady", .function = (soma_function *)steady}});
    double first = soma_history_get(net, "loss", 0), last = soma_history_get(net, "loss", -1);
    printf("by an objective: the loss fell %s\n", last < 0.25 * first ? "well" : "too little");
    soma_model_destroy(net);
    return status;
}

/* Everything by hand: a graph, its inputs, the model called in it, a minimizer, a plan, a loop. */
static soma_status by_plan(void) {
    soma_model *net = make_model();
    soma_minimizer *m = soma_minimizer_create(soma_adam(.schedule = soma_cosine_decay(0.01, 400)), net);
    soma_graph *graph = soma_graph_create(NULL);
    soma_tensor *in = soma_input(graph, SOMA_F32, SOMA_DIMS(SAMPLES, FEATURES), "x"), *out = NULL, *targets[ROOM];
    soma_tensor *truth = soma_input(graph, SOMA_F32, SOMA_DIMS(SAMPLES, 1), "y");
    soma_pass pass = {.training = true, .step = soma_minimizer_step_number(m, graph)};
    soma_status status = soma_model_forward(net, &in, 1, &pass, &out);
    soma_tensor *loss = soma_mean(soma_mean_squared_error(truth, out), SOMA_ALL_AXES, false);
    if (status == SOMA_OK) status = soma_minimize(m, loss, targets);
    int n = soma_minimizer_targets(m);
    targets[n] = loss;
    soma_plan *plan = status == SOMA_OK ? soma_plan_create(targets, n + 1, NULL) : NULL;
    if (plan) status = soma_plan_bind(plan, in, x);
    if (plan && status == SOMA_OK) status = soma_plan_bind(plan, truth, y);
    float first = 0, last = 0;
    for (int i = 0; plan && i < 400 && status == SOMA_OK; i++) {
        status = soma_minimizer_follow_schedule(m);
        if (status == SOMA_OK) status = soma_plan_run(plan);
        last = *(const float *)soma_plan_output(plan, n);
        if (i == 0) first = last;
    }
    printf("by a plan: the loss fell %s\n", last < 0.25f * first ? "well" : "too little");
    soma_plan_destroy(plan);
    soma_graph_destroy(graph);
    soma_minimizer_destroy(m);
    soma_model_destroy(net);
    return plan ? status : SOMA_INVALID;
}

int main(void) {
    make_data();
    soma_dataset *data = soma_dataset_from_arrays(NULL, (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, FEATURES), x},
                                                  (soma_array_data){SOMA_F32, SOMA_DIMS(SAMPLES, 1), y}, true);
    soma_status status = by_objective(data);
    if (status == SOMA_OK) status = by_plan();
    if (status != SOMA_OK) fprintf(stderr, "%s\n", soma_last_error(NULL));
    soma_dataset_destroy(data);
    return status == SOMA_OK ? 0 : 1;
}
