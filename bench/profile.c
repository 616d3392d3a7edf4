/* Where the time of a training step goes: each step of the plan of the tutorial's network, by itself.
 * profile [PREFIX [RUNS]]: rests on the library's inside, plan/steps.h. A step is run as a plan of its own: on one
 * thread it is timed by that thread's CPU clock, which other processes do not disturb, on the whole team by the wall
 * clock, with the cost of waking the team in it. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <soma/soma.h>

#include "plan/steps.h"
#include "worker.h"

enum { BATCH = 128 };

static double thread_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, int n) {
    qsort(x, (size_t)n, sizeof *x, ascending);
    return x[n / 2];
}

/* Median seconds of each step, in the order of the plan and so with the caches as a run finds them. */
static bool time_steps(const soma_plan *plan, int threads, int runs, double *seconds) {
    double (*clock)(void) = threads > 1 ? worker_seconds : thread_seconds;
    double *samples = calloc((size_t)plan->n_steps * (size_t)runs, sizeof *samples);
    bool ok = samples != NULL;
    for (int run = -1; ok && run < runs; run++) { /* the first one warms */
        for (int i = 0; ok && i < plan->n_steps; i++) {
            soma_plan one = *plan;
            one.steps = &plan->steps[i];
            one.n_steps = 1;
            one.threads = plan->steps[i].parallel ? threads : 1;
            const double start = clock();
            ok = soma_plan_run(&one) == SOMA_OK;
            if (run >= 0) samples[i * runs + run] = clock() - start;
        }
    }
    for (int i = 0; ok && i < plan->n_steps; i++)
        seconds[i] = median(&samples[i * runs], runs);
    free(samples);
    return ok;
}

/* One run as it is: us at work in each step and us of waiting before it, by thread. */
static bool print_turns(const soma_plan *plan, int runs) {
    const int threads = plan->threads, n = plan->n_steps * threads;
    soma_plan_time *times = calloc((size_t)n, sizeof *times);
    double *work = calloc((size_t)n * (size_t)runs, sizeof *work),
           *wait = calloc((size_t)n * (size_t)runs, sizeof *wait);
    bool ok = times && work && wait;
    for (int run = -1; ok && run < runs; run++) {
        ok = soma_plan_run_timed(plan, times) == SOMA_OK;
        for (int i = 0; run >= 0 && i < n; i++) {
            work[i * runs + run] = times[i].end - times[i].start;
            wait[i * runs + run] = times[i].start - times[i].arrive;
        }
    }
    if (ok) printf("\nwork of each thread, us       | wait before it\n");
    double total[2] = {0, 0};
    for (int i = 0; ok && i < plan->n_steps; i++) {
        for (int kind = 0; kind < 2; kind++) {
            for (int t = 0; t < threads; t++) {
                const double us = 1e6 * median(&(kind ? wait : work)[(i * threads + t) * runs], runs);
                printf("%9.1f", us);
                total[kind] += us;
            }
            printf(kind ? "  %s %s\n" : "   |", plan->steps[i].barrier ? "*" : " ", plan->steps[i].text);
        }
    }
    if (ok)
        printf("%.1f us of work and %.1f us of waiting a thread; *: all meet before it\n", total[0] / threads,
               total[1] / threads);
    free(times);
    free(work);
    free(wait);
    return ok;
}

/* The whole plan, threads as it wants them. */
static double time_plan(const soma_plan *plan, int runs) {
    double *samples = calloc((size_t)runs, sizeof *samples), result = -1;
    soma_plan whole = *plan;
    bool ok = samples != NULL;
    for (int run = 0; ok && run < runs; run++) {
        const double start = worker_seconds();
        ok = soma_plan_run(&whole) == SOMA_OK;
        samples[run] = worker_seconds() - start;
    }
    if (ok) result = median(samples, runs);
    free(samples);
    return result;
}

static int print_profile(const soma_plan *plan, int runs) {
    double *one = calloc((size_t)plan->n_steps, sizeof *one), *all = calloc((size_t)plan->n_steps, sizeof *all);
    int status = 1;
    if (one && all && time_steps(plan, 1, runs, one) && time_steps(plan, plan->threads, runs, all)) {
        double sum_one = 0, sum_all = 0, flops = 0;
        printf("          1 thread          | %2d threads\n", plan->threads);
        printf("       us  GFLOP/s   GB/s   |       us  GFLOP/s   GB/s\n");
        for (int i = 0; i < plan->n_steps; i++) {
            const plan_step *s = &plan->steps[i];
            printf("%9.1f  %7.1f %6.1f   |%9.1f  %7.1f %6.1f%s  %s\n", one[i] * 1e6, s->flops / one[i] / 1e9,
                   s->bytes / one[i] / 1e9, all[i] * 1e6, s->flops / all[i] / 1e9, s->bytes / all[i] / 1e9,
                   s->parallel ? "  " : " 1", s->text);
            sum_one += one[i];
            sum_all += all[i];
            flops += s->flops;
        }
        const double whole = time_plan(plan, runs);
        printf("%9.1f  %7.1f          |%9.1f  %7.1f           sum of the steps\n", sum_one * 1e6, flops / sum_one / 1e9,
               sum_all * 1e6, flops / sum_all / 1e9);
        printf("                            |%9.1f  %7.1f           the plan in one run\n", whole * 1e6,
               flops / whole / 1e9);
        status = plan->threads == 1 || print_turns(plan, runs) ? 0 : 1;
    }
    free(one);
    free(all);
    return status;
}

/* One batch, so that the plan exists and its inputs are bound. */
static const soma_plan *make_plan(soma_model *net, soma_dataset *data) {
    const soma_array_data images = soma_dataset_x(data), labels = soma_dataset_y(data);
    if (!images.data || !labels.data) return NULL;
    const soma_scores s =
        soma_train_on_batch(net, soma_array_view(NULL, images.dtype, images.rank, images.shape, images.data),
                            soma_array_view(NULL, labels.dtype, labels.rank, labels.shape, labels.data));
    return s.status == SOMA_OK ? soma_training_plan(net, data, BATCH) : NULL;
}

int main(int argc, char **argv) {
    soma_dataset *all = soma_idx(argc > 1 ? argv[1] : "data/mnist/train");
    soma_dataset *batch = soma_dataset_slice(all, 0, BATCH);
    soma_model *net = soma_sequential(soma_dense(512, .activation = soma_relu, .input_shape = {28 * 28}),
                                      soma_dense(10, .activation = soma_softmax));
    soma_compile(net, .optimizer = soma_rmsprop(), .loss = soma_sparse_categorical_crossentropy,
                 .metrics = {soma_accuracy});
    const soma_plan *plan = make_plan(net, batch);
    const int runs = argc > 2 ? atoi(argv[2]) : 200;
    int status = 1;
    if (plan && runs > 0) {
        status = print_profile(plan, runs);
    } else {
        fprintf(stderr, "%s\n", soma_last_error(NULL));
    }
    soma_model_destroy(net);
    soma_dataset_destroy(batch);
    soma_dataset_destroy(all);
    return status;
}
