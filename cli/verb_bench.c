/* soma bench: how long a training step or a prediction takes, and which of its steps take the time.
 * Rests on <soma/plan.h>: plans that are run with a clock, and what the machine can do; on models.h and recipe.h.
 * A model without data gets samples of zeros: time depends on shapes and dtypes alone. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "file_out.h"
#include "json_out.h"
#include "models.h"
#include "recipe.h"

typedef struct bench_values {
    const char *dataset, *trace;
    int64_t batch;
    double seconds;
    bool prediction, profile;
    int dtype;
} bench_values;

static const char *const dtype_names[] = {"uint8", "float32", "float64", "int64", NULL};
static const soma_dtype dtypes[] = {SOMA_U8, SOMA_F32, SOMA_F64, SOMA_I64};

#define AT(field) .offset = offsetof(bench_values, field)
static const option bench_options[] = {
    {.name = "profile", .kind = OPTION_FLAG, AT(profile), .help = "each step of the plan, beside the machine's limits"},
    {.name = "trace",
     .kind = OPTION_TEXT,
     AT(trace),
     .argument = "FILE",
     .help = "one run as a trace (JSON) for chrome://tracing"},
    {.name = "prediction", .kind = OPTION_FLAG, AT(prediction), .help = "a prediction instead of a training step"},
    {.name = "batch",
     .kind = OPTION_INT,
     AT(batch),
     .argument = "N",
     .low = 1,
     .high = 1e7,
     .help = "samples at a time (default 128, or what there is)"},
    {.name = "seconds",
     .kind = OPTION_NUMBER,
     AT(seconds),
     .argument = "X",
     .low = 0.001,
     .high = 3600,
     .help = "how long to measure (default 1)"},
    {.name = "dataset", .kind = OPTION_TEXT, AT(dataset), .argument = "NAME", .help = "with samples of these"},
    {.name = "dtype",
     .kind = OPTION_CHOICE,
     AT(dtype),
     .argument = "NAME",
     .choices = dtype_names,
     .help = "else with zeros of uint8 (default), float32,\nfloat64 or int64"},
    {.name = NULL},
};
#undef AT

static const bench_values bench_defaults = {.batch = 128, .seconds = 1};

/* ---- one batch ---- */

typedef struct batch {
    const bench_values *v;
    soma_model *model;
    soma_dataset *data; /* the batch alone */
    void *out;          /* of a prediction */
} batch;

/* One step, which also makes the plan and binds its inputs. */
static soma_status run_batch(const batch *b) {
    const soma_array_data x = soma_dataset_x(b->data);
    if (b->v->prediction) return soma_predict_on_batch(b->model, x.shape[0], x.dtype, x.data, b->out);
    return soma_train_on_dataset(b->model, b->data).status;
}

/* The first samples of what there is. */
static int batch_from(cli *c, batch *b, soma_dataset *data) {
    b->data = soma_dataset_slice(data, 0, b->v->batch);
    if (!b->data) return cli_fail_status(c, EXIT_INPUT);
    if (soma_dataset_samples(b->data) < b->v->batch)
        return cli_fail(c, EXIT_USAGE, "--batch %lld: there are %lld samples", (long long)b->v->batch,
                        (long long)soma_dataset_samples(b->data));
    int64_t shape[SOMA_MAX_RANK + 1] = {b->v->batch}, outputs = b->v->batch;
    const int rank = soma_model_output_shape(b->model, shape + 1);
    for (int i = 1; i <= rank; i++)
        outputs *= shape[i];
    b->out = cli_alloc(c, (size_t)outputs, sizeof(double));
    return run_batch(b) == SOMA_OK ? EXIT_DONE : cli_fail_status(c, EXIT_INPUT);
}

/* Zeros, with labels that are indices; if the loss wants others, labels like outputs. */
static int batch_from_zeros(cli *c, batch *b) {
    soma_dataset *made = model_zeros(c, b->model, b->v->batch, dtypes[b->v->dtype], true);
    if (!made) return cli_fail_status(c, EXIT_INPUT);
    const bool fits = b->v->prediction || soma_training_plan(b->model, made, b->v->batch);
    if (!fits) {
        soma_clear_error(c->context);
        made = model_zeros(c, b->model, b->v->batch, dtypes[b->v->dtype], false);
    }
    b->data = NULL;
    const int code = made ? batch_from(c, b, made) : cli_fail_status(c, EXIT_INPUT);
    soma_dataset_destroy(made);
    return code;
}

/* ---- measuring ---- */

static double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, int64_t n) {
    qsort(x, (size_t)n, sizeof *x, ascending);
    return x[n / 2];
}

enum { FEWEST_RUNS = 5, MOST_RUNS = 100000, MOST_SAMPLES = 2000000 };

/* Median time of whole steps during the time given. */
static bool time_runs(cli *c, const batch *b, bench_result *r) {
    double *samples = cli_alloc(c, MOST_RUNS, sizeof *samples);
    const double begin = seconds_now();
    int64_t n = 0;
    while (n < MOST_RUNS && (n < FEWEST_RUNS || seconds_now() - begin < b->v->seconds)) {
        const double start = seconds_now();
        if (run_batch(b) != SOMA_OK) return false;
        samples[n++] = seconds_now() - start;
    }
    r->runs = n;
    r->seconds = median(samples, n);
    return true;
}

/* What the last run says of step i: from the first start to the last end, and the threads' mean wait. */
static step_time look(const bench_result *r, const soma_plan_time *times, int i) {
    double first = 0, last = 0, wait = 0;
    int n = 0;
    for (int t = 0; t < r->threads; t++) {
        const soma_plan_time *time = &times[(size_t)i * (size_t)r->threads + (size_t)t];
        if (time->end <= 0) continue;
        if (n++ == 0 || time->start < first) first = time->start;
        if (time->end > last) last = time->end;
        wait += time->start - time->arrive;
    }
    return (step_time){last - first, n ? wait / n : 0};
}

/* Medians of each step over as many runs as fit into the time given. */
static bool time_steps(cli *c, const batch *b, bench_result *r) {
    const int n = soma_plan_steps(r->plan);
    soma_plan_time *times = cli_alloc(c, (size_t)n * (size_t)r->threads, sizeof *times);
    const double wanted = b->v->seconds / r->seconds, most = (double)MOST_SAMPLES / (double)n;
    double runs = wanted < most ? wanted : most;
    if (runs > MOST_RUNS) runs = MOST_RUNS;
    if (runs < FEWEST_RUNS) runs = FEWEST_RUNS;
    const int64_t count = (int64_t)runs;
    double *samples = cli_alloc(c, (size_t)count * (size_t)n * 2, sizeof *samples);
    for (int64_t k = 0; k < count; k++) {
        if (soma_plan_run_timed(r->plan, times) != SOMA_OK) return false;
        for (int i = 0; i < n; i++) {
            const step_time s = look(r, times, i);
            samples[(2 * i) * count + k] = s.seconds;
            samples[(2 * i + 1) * count + k] = s.wait;
        }
    }
    r->steps = cli_alloc(c, (size_t)n, sizeof *r->steps);
    for (int i = 0; i < n; i++)
        r->steps[i] =
            (step_time){median(&samples[(2 * i) * count], count), median(&samples[(2 * i + 1) * count], count)};
    r->last = times;
    return true;
}

static int measure(cli *c, const batch *b, bench_result *r) {
    bool ok = time_runs(c, b, r);
    r->plan = b->v->prediction ? soma_prediction_plan(b->model, b->data, b->v->batch)
                               : soma_training_plan(b->model, b->data, b->v->batch);
    r->threads = soma_plan_threads(r->plan);
    ok = ok && r->plan;
    if (ok && (b->v->profile || b->v->trace)) ok = time_steps(c, b, r);
    if (ok && b->v->profile) ok = soma_measure_machine(c->context, &r->machine) == SOMA_OK;
    return ok ? EXIT_DONE : cli_fail_status(c, EXIT_FAILED);
}

/* ---- showing ---- */

static double sum_of_steps(const bench_result *r) {
    double sum = 0;
    for (int i = 0; i < soma_plan_steps(r->plan); i++)
        sum += r->steps[i].seconds;
    return sum;
}

static void steps_json(json_out *j, const bench_result *r) {
    json_open(j, "machine", '{');
    json_measure(j, "flops", r->machine.flops);
    json_measure(j, "bytes", r->machine.bytes);
    json_close(j, '}');
    json_open(j, "steps", '[');
    for (int i = 0; i < soma_plan_steps(r->plan); i++) {
        const soma_plan_step step = soma_plan_get_step(r->plan, i);
        json_open(j, NULL, '{');
        json_text(j, "kind", step.kind);
        json_text(j, "text", step.text);
        json_measure(j, "seconds", r->steps[i].seconds);
        json_measure(j, "wait", r->steps[i].wait);
        json_double(j, "flops", step.flops);
        json_double(j, "bytes", step.bytes);
        json_bool(j, "parallel", step.parallel);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void result_json(const cli *c, const bench_values *v, const bench_result *r) {
    json_out j = {.file = stdout};
    json_open(&j, NULL, '{');
    json_bool(&j, "training", r->training);
    json_integer(&j, "batch", r->batch);
    json_integer(&j, "threads", r->threads);
    json_text(&j, "isa", soma_isa(c->context));
    json_integer(&j, "runs", r->runs);
    json_measure(&j, "seconds", r->seconds);
    json_measure(&j, "samples_per_second", (double)r->batch / r->seconds);
    if (v->profile) steps_json(&j, r);
    json_close(&j, '}');
    json_end(&j);
}

static const char *time_text(cli *c, double seconds) {
    if (seconds >= 1) return cli_text(c, "%.3f s", seconds);
    return seconds >= 1e-3 ? cli_text(c, "%.3f ms", seconds * 1e3) : cli_text(c, "%.2f us", seconds * 1e6);
}

static void profile_text(const bench_result *r) {
    const double sum = sum_of_steps(r);
    double flops = 0, bytes = 0;
    printf("The machine: %.0f GFLOP/s of multiply-adds, %.1f GB/s from memory\n\n", r->machine.flops / 1e9,
           r->machine.bytes / 1e9);
    printf("  step  kind            us  share  GFLOP/s    FMA    GB/s  memory  wait us  what\n");
    for (int i = 0; i < soma_plan_steps(r->plan); i++) {
        const soma_plan_step step = soma_plan_get_step(r->plan, i);
        const double t = r->steps[i].seconds > 0 ? r->steps[i].seconds : 1e-9;
        printf("  %4d  %-8s %9.2f %5.1f%% %8.1f %5.1f%% %7.1f %6.0f%% %8.2f  %s%s\n", i + 1, step.kind, t * 1e6,
               100 * t / sum, step.flops / t / 1e9, 100 * step.flops / t / r->machine.flops, step.bytes / t / 1e9,
               100 * step.bytes / t / r->machine.bytes, r->steps[i].wait * 1e6, step.parallel ? "" : "(one thread) ",
               step.text);
        flops += step.flops;
        bytes += step.bytes;
    }
    printf("\n  all            %9.2f 100.0%% %8.1f %5.1f%% %7.1f %6.0f%%\n", sum * 1e6, flops / sum / 1e9,
           100 * flops / sum / r->machine.flops, bytes / sum / 1e9, 100 * bytes / sum / r->machine.bytes);
}

static int show(cli *c, const bench_values *v, const bench_result *r) {
    if (c->json) {
        result_json(c, v, r);
    } else {
        printf("%s of %lld sample%s, %d thread%s of %s: %s, %s samples a second\n",
               r->training ? "A training step" : "A prediction", (long long)r->batch, r->batch == 1 ? "" : "s",
               r->threads, r->threads == 1 ? "" : "s", soma_isa(c->context), time_text(c, r->seconds),
               text_thousands(c, (int64_t)((double)r->batch / r->seconds)));
        if (v->profile) profile_text(r);
    }
    if (!v->trace) return EXIT_DONE;
    const int code = bench_trace_write(c, v->trace, r);
    if (code == EXIT_DONE && !c->json) printf("trace: %s\n", v->trace);
    return code;
}

/* ---- the verb ---- */

static int bench_model(cli *c, const bench_values *v, soma_model *model, soma_dataset *data) {
    batch b = {.v = v, .model = model};
    bench_result r = {.training = !v->prediction, .batch = v->batch};
    int code = data ? batch_from(c, &b, data) : batch_from_zeros(c, &b);
    if (code == EXIT_DONE) code = measure(c, &b, &r);
    if (code == EXIT_DONE) code = show(c, v, &r);
    soma_dataset_destroy(b.data);
    return code;
}

static int run_bench(cli *c, void *values, option_table tables[OPTION_TABLES], int n, char **arguments) {
    bench_values *v = values;
    int code = need_arguments(c, n, 1, 1, "a model or a configuration");
    if (code == EXIT_DONE && v->trace) code = file_out_prepare(c, v->trace);
    if (code != EXIT_DONE) return code;
    soma_model *model = NULL;
    data_source source = {.data = NULL};
    code = network_open(c, arguments[0], &tables[1], v->dataset, &model, &source);
    const int64_t samples = code == EXIT_DONE && source.data ? soma_dataset_samples(source.data) : 0;
    if (samples > 0 && samples < v->batch && !option_given(&tables[0], "batch")) v->batch = samples;
    if (code == EXIT_DONE) code = bench_model(c, v, model, source.data);
    soma_model_destroy(model);
    source_close(&source);
    return code;
}

const verb verb_bench = {
    .name = "bench",
    .summary = "Measure how long a network's steps take",
    .usage = "MODEL|CONFIG.yaml [OPTION]...",
    .examples = "soma bench examples/mnist.yaml --profile\nsoma bench out/mnist.soma --prediction --batch 1\n"
                "soma bench examples/mnist.yaml --trace step.json",
    .notes = "Times are medians over the runs. FMA is the share of the machine's multiply-adds, memory that of its\n"
             "bandwidth: what lies in the caches may pass 100 %. wait: for the other threads, before the step.\n"
             "The model file stays as it is.",
    .options = bench_options,
    .defaults = &bench_defaults,
    .size = sizeof(bench_values),
    .run = run_bench,
};
