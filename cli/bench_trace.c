/* A run of a plan as a trace of events, for chrome://tracing and other viewers of that format.
 * Rests on json_out.h and file_out.h. Times are microseconds since the run began, as the format has them. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "file_out.h"
#include "json_out.h"

/* A complete event ("ph": "X"): it has a begin and a duration. */
static void open_event(json_out *j, const char *name, const char *category, int thread, double start, double end) {
    json_open(j, NULL, '{');
    json_text(j, "name", name);
    json_text(j, "cat", category);
    json_text(j, "ph", "X");
    json_integer(j, "pid", 1);
    json_integer(j, "tid", thread);
    json_measure(j, "ts", start * 1e6);
    json_measure(j, "dur", (end - start) * 1e6);
}

static void step_events(json_out *j, const bench_result *r, int i) {
    static const double shortest_wait = 100e-9; /* below that it is the clock's own time */
    const soma_plan_step step = soma_plan_get_step(r->plan, i);
    for (int t = 0; t < r->threads; t++) {
        const soma_plan_time *time = &r->last[(size_t)i * (size_t)r->threads + (size_t)t];
        if (time->end <= 0) continue;
        if (time->start - time->arrive > shortest_wait) {
            open_event(j, "wait", "wait", t, time->arrive, time->start);
            json_close(j, '}');
        }
        open_event(j, step.kind, "step", t, time->start, time->end);
        json_open(j, "args", '{');
        json_integer(j, "step", i + 1);
        json_text(j, "what", step.text);
        json_double(j, "flops", step.flops);
        json_double(j, "bytes", step.bytes);
        json_close(j, '}');
        json_close(j, '}');
    }
}

static void name_thread(json_out *j, cli *c, int thread) {
    json_open(j, NULL, '{');
    json_text(j, "name", "thread_name");
    json_text(j, "ph", "M");
    json_integer(j, "pid", 1);
    json_integer(j, "tid", thread);
    json_open(j, "args", '{');
    json_text(j, "name", cli_text(c, "thread %d", thread));
    json_close(j, '}');
    json_close(j, '}');
}

int bench_trace_write(cli *c, const char *path, const bench_result *result) {
    char *text = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&text, &n);
    if (!memory) return cli_fail(c, EXIT_FAILED, "out of memory");
    json_out j = {.file = memory};
    json_open(&j, NULL, '{');
    json_text(&j, "displayTimeUnit", "ns");
    json_open(&j, "traceEvents", '[');
    for (int t = 0; t < result->threads; t++)
        name_thread(&j, c, t);
    for (int i = 0; i < soma_plan_steps(result->plan); i++)
        step_events(&j, result, i);
    json_close(&j, ']');
    json_close(&j, '}');
    json_end(&j);
    const bool failed = fclose(memory) != 0;
    const int code = failed ? cli_fail(c, EXIT_FAILED, "out of memory") : file_out_write(c, path, text, n);
    free(text);
    return code;
}
