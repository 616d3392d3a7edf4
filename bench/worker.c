/* The loop of a bench worker, its clock, and the median it reports.
 * Rests on worker.h. Calls are timed in groups long enough for the clock; the median forgets what other processes
 * of the machine did in between. */
#include "worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_SAMPLES = 4096 };
static const double WARM_UP = 0.1;       /* of the time given */
static const double SHORTEST = 50e-6;    /* seconds of a sample: the clock itself takes 30 ns */
static const double SAMPLES_WANTED = 40; /* unless they get shorter than that */

double worker_seconds(void) {
    static int by_cpu = -1; /* asked once: a look at the environment takes longer than one at the clock */
    struct timespec t;
    if (by_cpu < 0) by_cpu = getenv("BENCH_CPU_TIME") != NULL;
    clock_gettime(by_cpu ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Seconds of a call in a group of n; negative if one failed. */
static double time_group(worker_work *work, void *user, long n) {
    const double start = worker_seconds();
    for (long i = 0; i < n; i++)
        if (work(user)) return -1;
    return (worker_seconds() - start) / (double)n;
}

double worker_time(worker_work *work, void *user, double seconds) {
    static double samples[MAX_SAMPLES];
    const double wanted = seconds / SAMPLES_WANTED > SHORTEST ? seconds / SAMPLES_WANTED : SHORTEST;
    const double start = worker_seconds();
    long group = 1;
    for (;;) { /* groups double until one is long enough and the warm-up is over */
        const double t = time_group(work, user, group);
        if (t < 0) return -1;
        const double elapsed = worker_seconds() - start;
        if (t * (double)group < wanted) {
            group *= 2;
        } else if (elapsed > WARM_UP * seconds) {
            break;
        }
    }
    int n = 0;
    do {
        samples[n] = time_group(work, user, group);
        if (samples[n++] < 0) return -1;
    } while (n < MAX_SAMPLES && (n < 3 || worker_seconds() - start < seconds));
    qsort(samples, (size_t)n, sizeof *samples, ascending);
    return samples[n / 2];
}

int worker_serve(worker_answer *answer, void *user) {
    char line[256];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        const int code = answer(user, line);
        fflush(stdout);
        if (code) return code;
    }
    return 0;
}
