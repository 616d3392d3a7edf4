/* Two networks against each other: a generator that turns noise into samples, and a critic that tells them from real
 * ones; each with its own optimizer and its own plan, so a step of the one leaves the other as it is.
 * Wasserstein's loss with a penalty on the critic's slope (Gulrajani et al. 2017): a gradient inside the loss. Real
 * samples are points of a cloud. Run by the tests. */
#include <math.h>
#include <stdio.h>

#include <soma/soma.h>

enum { BATCH = 32, NOISE = 2, STEPS = 2000, CRITIC_STEPS = 4, ROOM = 64, SHOWN = 2000 };

/* Points on a slanted cloud: x = 2 + a / 2, y = x / 2 - 2 + b / 4, a and b normal. */
static soma_tensor *real_samples(soma_graph *graph, soma_tensor *step) {
    soma_tensor *x = soma_random_normal(graph, SOMA_F32, SOMA_DIMS(BATCH, 1), 2, 0.5, step);
    soma_tensor *b = soma_random_normal(graph, SOMA_F32, SOMA_DIMS(BATCH, 1), -2, 0.25, step);
    soma_tensor *xy[] = {x, soma_add(soma_mul_scalar(x, 0.5), b)};
    return soma_concat(xy, 2, 1);
}

static soma_tensor *call(soma_model *net, soma_tensor *x) {
    soma_tensor *y = NULL;
    return x && soma_model_apply(net, &x, 1, true, &y) == SOMA_OK ? y : NULL;
}

static soma_tensor *mean(soma_tensor *x) {
    return soma_mean(x, SOMA_ALL_AXES, false);
}

/* mean of (|slope of the critic| - 1)^2, between real samples and made ones */
static soma_tensor *gradient_penalty(soma_model *critic, soma_tensor *real, soma_tensor *made, soma_tensor *step) {
    soma_graph *graph = soma_tensor_graph(real);
    soma_tensor *share = soma_random_uniform(graph, SOMA_F32, SOMA_DIMS(BATCH, 1), 0, 1, step), *slope = NULL;
    soma_tensor *between = soma_add(real, soma_mul(share, soma_sub(made, real)));
    soma_tensor *score = call(critic, between);
    if (!score || soma_grad(soma_sum(score, SOMA_ALL_AXES, false), &between, 1, &slope) != SOMA_OK) return NULL;
    soma_tensor *squares = soma_sum(soma_square(slope), SOMA_AXES(1), false);
    return mean(soma_square(soma_add_scalar(soma_sqrt(soma_add_scalar(squares, 1e-12)), -1)));
}

static soma_plan *step_of(soma_minimizer *minimizer, soma_tensor *loss) {
    soma_tensor *targets[ROOM];
    if (soma_minimizer_targets(minimizer) > ROOM || soma_minimize(minimizer, loss, targets) != SOMA_OK) return NULL;
    return soma_plan_create(targets, soma_minimizer_targets(minimizer), NULL);
}

static soma_plan *critic_step(soma_graph *graph, soma_model *generator, soma_model *critic, soma_minimizer *m) {
    soma_tensor *step = soma_minimizer_step_number(m, graph);
    soma_tensor *noise = soma_random_normal(graph, SOMA_F32, SOMA_DIMS(BATCH, NOISE), 0, 1, step);
    soma_tensor *real = real_samples(graph, step), *made = soma_stop_gradient(call(generator, noise));
    soma_tensor *loss = soma_sub(mean(call(critic, made)), mean(call(critic, real)));
    return step_of(m, soma_add(loss, soma_mul_scalar(gradient_penalty(critic, real, made, step), 10)));
}

static soma_plan *generator_step(soma_graph *graph, soma_model *generator, soma_model *critic, soma_minimizer *m) {
    soma_tensor *step = soma_minimizer_step_number(m, graph);
    soma_tensor *noise = soma_random_normal(graph, SOMA_F32, SOMA_DIMS(BATCH, NOISE), 0, 1, step);
    return step_of(m, soma_neg(mean(call(critic, call(generator, noise)))));
}

static soma_status run(soma_plan *plan, soma_minimizer *m) {
    soma_status status = soma_minimizer_follow_schedule(m);
    return status == SOMA_OK ? soma_plan_run(plan) : status;
}

static soma_status train(soma_plan *judge, soma_minimizer *critic, soma_plan *make, soma_minimizer *generator) {
    soma_status status = judge && make ? SOMA_OK : SOMA_INVALID;
    for (int i = 0; i < STEPS && status == SOMA_OK; i++) {
        for (int k = 0; k < CRITIC_STEPS && status == SOMA_OK; k++)
            status = run(judge, critic);
        if (status == SOMA_OK) status = run(make, generator);
    }
    return status;
}

/* Steps that become smaller, so that the two come to rest. */
static soma_minimizer *minimizer_of(soma_model *net, double steps) {
    return soma_minimizer_create(soma_adam(.schedule = soma_cosine_decay(0.003, steps), .beta_1 = 0.5, .beta_2 = 0.9,
                                           .context = soma_model_context(net)),
                                 net);
}

static soma_model *network(soma_context *c, soma_activation_fn *activation, int64_t inputs, int64_t outputs) {
    soma_layer *layers[] = {soma_dense(16, .activation = activation, .input_shape = {inputs}, .context = c),
                            soma_dense(16, .activation = activation, .context = c), soma_dense(outputs, .context = c)};
    return soma_sequential_create(c, layers, 3);
}

/* Where the generator's points lie: should be 2.0 and -1.0, deviations 0.5 and 0.35. */
static void show(soma_graph *graph, soma_model *generator) {
    soma_tensor *noise = soma_random_normal(graph, SOMA_F32, SOMA_DIMS(SHOWN, NOISE), 0, 1, NULL);
    const float *xy = soma_data(call(generator, noise));
    for (int k = 0; xy && k < 2; k++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < SHOWN; i++) {
            sum += (double)xy[2 * i + k];
            squares += (double)xy[2 * i + k] * (double)xy[2 * i + k];
        }
        double average = sum / SHOWN;
        printf("%c: mean %.2f, deviation %.2f\n", "xy"[k], average, sqrt(squares / SHOWN - average * average));
    }
}

int main(void) {
    /* a step takes microseconds: sharing it with a second thread would take longer */
    soma_context *context = soma_context_create(&(soma_context_options){.threads = 1, .seed = 1});
    soma_model *generator = network(context, soma_relu, NOISE, 2), *critic = network(context, soma_silu, 2, 1);
    soma_minimizer *of_generator = minimizer_of(generator, STEPS);
    soma_minimizer *of_critic = minimizer_of(critic, STEPS * CRITIC_STEPS);
    soma_graph *graph = soma_graph_create(context);
    soma_plan *judge = critic_step(graph, generator, critic, of_critic);
    soma_plan *make = generator_step(graph, generator, critic, of_generator);
    soma_status status = train(judge, of_critic, make, of_generator);
    if (status == SOMA_OK) show(graph, generator);
    if (status != SOMA_OK) fprintf(stderr, "%s\n", soma_last_error(context));
    soma_plan_destroy(judge);
    soma_plan_destroy(make);
    soma_graph_destroy(graph);
    soma_minimizer_destroy(of_generator);
    soma_minimizer_destroy(of_critic);
    soma_model_destroy(generator);
    soma_model_destroy(critic);
    soma_context_destroy(context);
    return status == SOMA_OK ? 0 : 1;
}
