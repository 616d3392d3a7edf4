/* Times one product of matrices in whichever library this program was linked with: gemm_<library>.c.
 * A line "m n k flags seconds" (flags: any of a, b for transposed, w for a weight, - for none) is answered by
 * "seconds-a-product way". A few elements of every result are checked first: what is wrong has no speed. */
#include "gemm.h"
#include "worker.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float *matrix(int64_t elements, uint32_t seed) {
    const size_t bytes = ((size_t)elements * sizeof(float) + 127) & ~(size_t)63; /* read to a whole vector */
    float *x = aligned_alloc(64, bytes);
    if (!x) return NULL;
    memset(x, 0, bytes);
    for (int64_t i = 0; i < elements; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) / 16777216.0f - 0.5f;
    }
    return x;
}

/* 64 elements, spread over C, against sums in double. */
static bool right(const gemm_shape *s, const gemm_data *data, const float *c) {
    const int64_t a_row = s->a_transposed ? 1 : s->k, a_column = s->a_transposed ? s->m : 1;
    const int64_t b_row = s->b_transposed ? 1 : s->n, b_column = s->b_transposed ? s->k : 1;
    for (int64_t probe = 0; probe < 64; probe++) {
        const int64_t i = probe * 7919 % s->m, j = probe * 104729 % s->n;
        double sum = 0;
        for (int64_t p = 0; p < s->k; p++)
            sum += (double)data->a[i * a_row + p * a_column] * (double)data->b[p * b_row + j * b_column];
        if (!(fabs((double)c[i * s->n + j] - sum) <= 1e-5 * (double)s->k)) return false;
    }
    return true;
}

typedef struct timed {
    const gemm_way *way;
    void *prepared;
} timed;

static int run(void *user) {
    const timed *t = user;
    return t->way->run(t->prepared);
}

/* Seconds a product, 0 if the way is not for this shape, negative if it fails. */
static double time_way(const gemm_way *way, const gemm_shape *shape, const gemm_data *data, double seconds) {
    timed t = {way, way->prepare(shape, data)};
    if (!t.prepared) return 0;
    double result = -1;
    if (!run(&t)) {
        const float *c = way->result ? way->result(t.prepared) : data->c;
        if (c && right(shape, data, c)) result = worker_time(run, &t, seconds);
    }
    way->release(t.prepared);
    return result;
}

static void time_ways(const gemm_shape *shape, const gemm_data *data, double seconds) {
    const gemm_way *best = NULL;
    double least = 0;
    int n = 0;
    while (gemm_ways[n].name)
        n++;
    for (int i = 0; i < n; i++) {
        const double t = time_way(&gemm_ways[i], shape, data, seconds / n);
        if (t < 0) {
            printf("error %s failed or gave a wrong result\n", gemm_ways[i].name);
            return;
        }
        if (t > 0 && (!best || t < least)) {
            best = &gemm_ways[i];
            least = t;
        }
    }
    if (best) {
        printf("%.9g %s\n", least, best->name);
    } else {
        printf("error no way for this shape\n");
    }
}

static int answer(void *user, char *line) {
    (void)user;
    gemm_shape s = {0};
    char flags[8];
    double seconds;
    if (sscanf(line, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %7s %lf", &s.m, &s.n, &s.k, flags, &seconds) != 5) {
        fprintf(stderr, "expected m n k flags seconds, not '%s'\n", line);
        return 2;
    }
    s.a_transposed = strchr(flags, 'a');
    s.b_transposed = strchr(flags, 'b');
    s.weight = strchr(flags, 'w');
    float *a = matrix(s.m * s.k, 1), *b = matrix(s.k * s.n, 2), *c = matrix(s.m * s.n, 3);
    if (a && b && c) {
        const gemm_data data = {a, b, c};
        time_ways(&s, &data, seconds);
    } else {
        printf("error out of memory\n");
    }
    free(a);
    free(b);
    free(c);
    return 0;
}

int main(void) {
    return worker_serve(answer, NULL);
}
