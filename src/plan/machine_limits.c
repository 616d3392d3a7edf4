/* What the machine can do at all: multiply-adds a second in registers, bytes a second from and to memory.
 * Rests on the library's own kernels, which are as wide as the machine allows, and on the team.
 * The best of several runs: what is wanted is the limit, not the mood of a machine that is shared. */
#include <string.h>
#include <time.h>

#include "base/context_internal.h"
#include "plan/passes.h"

enum { FEWEST_RUNS = 3, FLOATS = 8 << 20 }; /* of each of three arrays */
static const double LONG_ENOUGH = 0.2;      /* seconds of a figure */

typedef struct loops {
    const cpu_real *real;
    float *data;
    double flops; /* of one thread */
} loops;

static void multiply_add(void *argument, int thread, int threads) {
    (void)threads;
    loops *l = argument;
    const double flops = l->real->peak(200000);
    if (thread == 0) l->flops = flops;
}

static void triad(void *argument, int thread, int threads) {
    const loops *l = argument;
    const float factor = 0.5f;
    const int64_t share = FLOATS / threads & ~(int64_t)63;
    float *c = l->data + share * thread;
    l->real->map[CPU_FMA][2](c, c + FLOATS, &factor, c + 2 * (int64_t)FLOATS, share);
}

static double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double fastest(team *crew, team_fn *function, loops *l) {
    const double begin = seconds_now();
    double least = 0;
    for (int i = 0; i < FEWEST_RUNS || seconds_now() - begin < LONG_ENOUGH; i++) {
        const double start = seconds_now();
        team_run(crew, function, l);
        const double seconds = seconds_now() - start;
        if (i == 0 || seconds < least) least = seconds;
    }
    return least;
}

soma_status soma_measure_machine(soma_context *context, soma_machine *out) {
    if (!out) return SOMA_INVALID;
    context = context_of(context);
    const size_t bytes = (3 * (size_t)FLOATS + STORAGE_SLACK) * sizeof(float);
    const cpu_kernels *kernels = plan_kernels(context);
    team *crew = context_team(context);
    loops l = {.real = kernels ? &kernels->f32 : NULL, .data = mem_alloc(context, bytes)};
    soma_status status = kernels ? SOMA_NO_MEMORY : SOMA_INVALID;
    if (kernels && crew && l.data) {
        memset(l.data, 0, bytes);
        const double seconds = fastest(crew, multiply_add, &l);
        out->flops = l.flops * team_size(crew) / seconds;
        out->bytes = 3.0 * FLOATS * sizeof(float) / fastest(crew, triad, &l);
        status = SOMA_OK;
    }
    mem_free(context, l.data, bytes);
    return status;
}
