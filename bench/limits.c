/* What the machine can do at all: multiply-adds a second, and bytes a second from each level of memory.
 * Rests on the library's own kernels, which are as wide as the machine allows. Every ratio of the bench is read against
 * these: they differ from machine to machine, and from hour to hour on one that is shared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/context_internal.h"
#include "cpu/cpu.h"
#include "worker.h"

enum { FEWEST_RUNS = 5, MAX_THREADS = 2, MEMORY_MEGABYTES = 600 };
static const double LONG_ENOUGH = 0.25; /* seconds of a figure */

typedef enum traffic { READ, COPY, TRIAD, TRAFFIC_COUNT } traffic;

/* One thread's part of the data: destination and two sources, a third of the bytes each. */
typedef struct limits {
    const cpu_real *real;
    float *data;
    int64_t each; /* floats of an array, all threads together */
    int64_t repeats;
    traffic traffic;
    double flops;                 /* of thread 0, the same for each */
    float sums[16 * MAX_THREADS]; /* a cache line a thread */
} limits;

static void multiply_add(void *argument, int thread, int threads) {
    (void)threads;
    limits *l = argument;
    const double flops = l->real->peak(l->repeats);
    if (thread == 0) l->flops = flops;
}

static void move(void *argument, int thread, int threads) {
    limits *l = argument;
    const int64_t share = l->each / threads & ~(int64_t)63, first = share * thread;
    float *c = l->data + first, *a = l->data + l->each + first, *b = l->data + 2 * l->each + first;
    const float factor = 0.5f;
    for (int64_t r = 0; r < l->repeats; r++) {
        switch (l->traffic) {
        case READ:
            for (int64_t i = 0; i < 3; i++)
                l->real->reduce[CPU_REDUCE_MAX](&l->sums[16 * thread], c + i * l->each, share, 1, share);
            break;
        case COPY:
            l->real->map[CPU_COPY][0](c, a, NULL, NULL, share);
            break;
        case TRIAD:
            l->real->map[CPU_FMA][2](c, a, &factor, b, share);
            break;
        default:
            break;
        }
    }
}

/* Seconds of the fastest run on the team: what is wanted is the machine's limit, not its mood. */
static double time_run(team *t, team_fn *function, limits *l) {
    const double begin = worker_seconds();
    double least = 0;
    for (int i = 0; i < FEWEST_RUNS || worker_seconds() - begin < LONG_ENOUGH; i++) {
        const double start = worker_seconds();
        team_run(t, function, l);
        const double seconds = worker_seconds() - start;
        if (i == 0 || seconds < least) least = seconds;
    }
    return least;
}

static double flops_a_second(team *t, int threads, limits *l) {
    l->repeats = 200000;
    const double seconds = time_run(t, multiply_add, l);
    return l->flops * threads / seconds;
}

/* Bytes a second over `bytes` of data in all, shared by the threads. */
static double bytes_a_second(team *t, limits *l, traffic kind, double bytes, double total) {
    static const double arrays[TRAFFIC_COUNT] = {3, 2, 3}; /* that move */
    l->each = (int64_t)(bytes / (arrays[kind] * sizeof(float))) & ~(int64_t)1023;
    l->traffic = kind;
    const double moved = arrays[kind] * (double)l->each * sizeof(float);
    l->repeats = moved < total ? (int64_t)(total / moved) : 1;
    return moved * (double)l->repeats / time_run(t, move, l);
}

static int measure(int threads, limits *l) {
    static const struct {
        const char *name;
        double bytes; /* a thread; in memory: all together */
    } levels[] = {{"l2", 384e3}, {"l3", 3e6}, {"memory", MEMORY_MEGABYTES * 1e6}};
    static const char *const kinds[TRAFFIC_COUNT] = {"read", "copy", "triad"};
    soma_context *context = soma_context_create(&(soma_context_options){.threads = threads});
    team *t = context ? context_team(context) : NULL;
    if (!t) return 1;
    printf("threads %d gflops %.2f", threads, flops_a_second(t, threads, l) / 1e9);
    for (int level = 0; level < 3; level++) {
        for (traffic kind = READ; kind < TRAFFIC_COUNT; kind++) {
            const double bytes = level < 2 ? levels[level].bytes * threads : levels[level].bytes;
            const double speed = bytes_a_second(t, l, kind, bytes, 20e6);
            printf(" %s_%s %.2f", levels[level].name, kinds[kind], speed / 1e9);
        }
    }
    printf("\n");
    soma_context_destroy(context);
    return 0;
}

/* A line for one thread and one for two: names and figures in GFLOP/s and GB/s. */
int main(void) {
    const cpu_kernels *kernels = cpu_find(NULL);
    limits *l = calloc(1, sizeof *l);
    float *data = aligned_alloc(64, (size_t)MEMORY_MEGABYTES * 1000000 / 64 * 64 + 4096);
    if (!kernels || !l || !data) return 1;
    memset(data, 0, (size_t)MEMORY_MEGABYTES * 1000000);
    l->real = &kernels->f32;
    l->data = data;
    printf("isa %s\n", kernels->name);
    int status = measure(1, l);
    if (!status && team_cpus() > 1) status = measure(MAX_THREADS, l);
    free(data);
    free(l);
    return status;
}
