/* What soma bench measured: the times of a plan's steps over many runs, and what the machine can do.
 * Rests on <soma/plan.h>. verb_bench.c measures, bench_trace.c writes the last run as a trace. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include "cli.h"

/* Medians over the runs, in seconds; from the first thread's start to the last one's end. */
typedef struct step_time {
    double seconds;
    double wait; /* how long a thread waited before it for the others, on average */
} step_time;

typedef struct bench_result {
    bool training;
    int64_t batch;
    int threads; /* that take part */
    int64_t runs;
    const soma_plan *plan;
    double seconds;             /* a run, without clocks in it */
    step_time *steps;           /* NULL unless profiled */
    const soma_plan_time *last; /* of the last run, as soma_plan_run_timed gives them */
    soma_machine machine;
} bench_result;

/* The last run as a Chrome trace: a JSON object of complete events, one a thread and step, and one for each wait; to be
 * opened by chrome://tracing or Perfetto. EXIT_DONE, or a code after a message. */
int bench_trace_write(cli *c, const char *path, const bench_result *result);

#endif
