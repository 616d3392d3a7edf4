/* How fast the machine moves the arrays of an update: a plain loop over as many that are read, read and written, or
 * only written. Rests on soma's team for threads alone. A line "reads updates writes elements threads seconds" is
 * answered by "seconds-a-pass way", of the faster of two ways: written arrays through the caches, or past them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/context_internal.h"
#include "worker.h"

enum { MOST_ARRAYS = 8, LINE = 16 /* floats */ };

typedef float line __attribute__((vector_size(LINE * sizeof(float))));

typedef struct streams {
    int reads, updates, writes;
    int64_t lines;
    bool past; /* the caches, what is only written */
    line *arrays[MOST_ARRAYS];
    team *crew;
} streams;

static void put_past(line *to, const line *x) {
#if defined(__x86_64__)
    const float *from = (const float *)x;
    for (int i = 0; i < LINE; i += 4)
        _mm_stream_ps((float *)to + i, _mm_loadu_ps(from + i));
#else
    *to = *x;
#endif
}

/* One pass of a thread over its part of all arrays: sums of what is read go wherever something is written. */
static void pass(void *argument, int thread, int threads) {
    const streams *s = argument;
    const int64_t first = s->lines * thread / threads, last = s->lines * (thread + 1) / threads;
    line *const *updated = s->arrays + s->reads, *const *written = updated + s->updates;
    line all = {0};
    for (int64_t i = first; i < last; i++) {
        line sum = {0};
        for (int k = 0; k < s->reads; k++)
            sum += s->arrays[k][i];
        for (int k = 0; k < s->updates; k++)
            updated[k][i] = updated[k][i] * 0.5f + sum;
        for (int k = 0; k < s->writes; k++) {
            if (s->past)
                put_past(&written[k][i], &sum);
            else
                written[k][i] = sum;
        }
        all += sum;
    }
    volatile float kept = all[0]; /* so that a pass that only reads is made */
    (void)kept;
}

static int run(void *user) {
    streams *s = user;
    team_run(s->crew, pass, s);
    return 0;
}

static int answer(void *user, char *text) {
    (void)user;
    streams s = {0};
    int64_t elements;
    int threads;
    double seconds;
    if (sscanf(text, "%d %d %d %" SCNd64 " %d %lf", &s.reads, &s.updates, &s.writes, &elements, &threads, &seconds) !=
            6 ||
        s.reads + s.updates + s.writes > MOST_ARRAYS) {
        fprintf(stderr, "expected reads updates writes elements threads seconds, not '%s'\n", text);
        return 2;
    }
    s.lines = elements / LINE;
    soma_context *context = soma_context_create(&(soma_context_options){.threads = threads});
    s.crew = context ? context_team(context) : NULL;
    bool ready = s.crew;
    for (int k = 0; k < s.reads + s.updates + s.writes; k++) {
        const size_t bytes = (size_t)s.lines * sizeof(line) + 4096;
        s.arrays[k] = aligned_alloc(4096, bytes / 4096 * 4096);
        ready = ready && s.arrays[k];
        if (s.arrays[k]) memset(s.arrays[k], 0, bytes / 4096 * 4096);
    }
    double least = -1;
    for (int past = 0; ready && past < 1 + (s.writes > 0); past++) {
        s.past = past;
        const double t = worker_time(run, &s, seconds / (1 + (s.writes > 0)));
        if (least < 0 || t < least) least = t;
    }
    if (least > 0) {
        printf("%.9g\n", least);
    } else {
        printf("error out of memory\n");
    }
    for (int k = 0; k < MOST_ARRAYS; k++)
        free(s.arrays[k]);
    soma_context_destroy(context);
    return 0;
}

int main(void) {
    return worker_serve(answer, NULL);
}
