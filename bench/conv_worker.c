/* Times one convolution in whichever library this program was linked with: conv_<library>.c.
 * A line "pass batch size in out kernel stride before after seconds" (pass: forward, data, weights) is answered by
 * "seconds". A few elements of every result are checked first: what is wrong has no speed. */
#include "conv.h"
#include "worker.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float *array(int64_t elements, uint32_t seed) {
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

/* ---- the right values: sums in double of all products that element i of a result has a part in ---- */

typedef struct sum {
    double value, scale; /* scale: of the terms' absolute values */
} sum;

static void add(sum *s, float a, float b) {
    s->value += (double)a * (double)b;
    s->scale += fabs((double)a * (double)b);
}

static int64_t x_index(const conv_shape *s, int64_t n, int64_t row, int64_t column, int64_t c) {
    return ((n * s->size + row) * s->size + column) * s->in + c;
}

static int64_t y_index(const conv_shape *s, int64_t n, int64_t row, int64_t column, int64_t o) {
    return ((n * s->places + row) * s->places + column) * s->out + o;
}

static int64_t w_index(const conv_shape *s, int64_t row, int64_t column, int64_t c, int64_t o) {
    return ((row * s->kernel + column) * s->in + c) * s->out + o;
}

/* Place of x that place y of the results sees through place k of the kernel. */
static int64_t seen(const conv_shape *s, int64_t y, int64_t k) {
    return y * s->stride + k - s->before;
}

static bool inside(int64_t i, int64_t n) {
    return i >= 0 && i < n;
}

static sum right_forward(const conv_shape *s, const conv_data *d, int64_t i) {
    const int64_t o = i % s->out, column = i / s->out % s->places, row = i / s->out / s->places % s->places;
    const int64_t n = i / s->out / s->places / s->places;
    sum result = {0, 0};
    for (int64_t k = 0; k < s->kernel * s->kernel; k++) {
        const int64_t r = seen(s, row, k / s->kernel), q = seen(s, column, k % s->kernel);
        for (int64_t c = 0; inside(r, s->size) && inside(q, s->size) && c < s->in; c++)
            add(&result, d->x[x_index(s, n, r, q, c)], d->w[w_index(s, k / s->kernel, k % s->kernel, c, o)]);
    }
    return result;
}

static sum right_data(const conv_shape *s, const conv_data *d, int64_t i) {
    const int64_t c = i % s->in, column = i / s->in % s->size, row = i / s->in / s->size % s->size;
    const int64_t n = i / s->in / s->size / s->size;
    sum result = {0, 0};
    for (int64_t k = 0; k < s->kernel * s->kernel; k++) {
        const int64_t r = row + s->before - k / s->kernel, q = column + s->before - k % s->kernel;
        if (r < 0 || q < 0 || r % s->stride || q % s->stride) continue;
        if (!inside(r / s->stride, s->places) || !inside(q / s->stride, s->places)) continue;
        for (int64_t o = 0; o < s->out; o++)
            add(&result, d->y[y_index(s, n, r / s->stride, q / s->stride, o)],
                d->w[w_index(s, k / s->kernel, k % s->kernel, c, o)]);
    }
    return result;
}

static sum right_weights(const conv_shape *s, const conv_data *d, int64_t i) {
    const int64_t o = i % s->out, c = i / s->out % s->in, k = i / s->out / s->in;
    sum result = {0, 0};
    for (int64_t p = 0; p < s->batch * s->places * s->places; p++) {
        const int64_t n = p / s->places / s->places, row = p / s->places % s->places, column = p % s->places;
        const int64_t r = seen(s, row, k / s->kernel), q = seen(s, column, k % s->kernel);
        if (inside(r, s->size) && inside(q, s->size))
            add(&result, d->x[x_index(s, n, r, q, c)], d->y[y_index(s, n, row, column, o)]);
    }
    return result;
}

static const struct {
    const char *name;
    sum (*right)(const conv_shape *s, const conv_data *d, int64_t i);
} passes[] = {[CONV_FORWARD] = {"forward", right_forward},
              [CONV_DATA] = {"data", right_data},
              [CONV_WEIGHTS] = {"weights", right_weights}};

/* 64 elements, spread over the result. */
static bool right(const conv_shape *s, const conv_data *d, const float *result, int64_t size) {
    for (int64_t probe = 0; probe < 64; probe++) {
        const int64_t i = probe * 104729 % size;
        const sum wanted = passes[s->pass].right(s, d, i);
        if (!(fabs((double)result[i] - wanted.value) <= 1e-5 * wanted.scale + 1e-6)) return false;
    }
    return true;
}

/* ---- the worker ---- */

static void time_conv(const conv_shape *shape, const conv_data *data, int64_t size, double seconds) {
    void *prepared = conv_prepare(shape, data);
    if (!prepared) {
        printf("error %s cannot do this shape\n", conv_name);
        return;
    }
    const float *result = conv_run(prepared) ? NULL : conv_result(prepared);
    if (result && right(shape, data, result, size)) {
        printf("%.9g\n", worker_time(conv_run, prepared, seconds));
    } else {
        printf("error %s failed or gave a wrong result\n", conv_name);
    }
    conv_release(prepared);
}

static int answer(void *user, char *line) {
    (void)user;
    conv_shape s = {0};
    char pass[16];
    double seconds;
    if (sscanf(line,
               "%15s %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64
               " %lf",
               pass, &s.batch, &s.size, &s.in, &s.out, &s.kernel, &s.stride, &s.before, &s.after, &seconds) != 10) {
        fprintf(stderr, "expected pass batch size in out kernel stride before after seconds, not '%s'\n", line);
        return 2;
    }
    for (int i = 0; i < 3; i++)
        if (strcmp(pass, passes[i].name) == 0) s.pass = (conv_pass)i;
    s.places = (s.size + s.before + s.after - s.kernel) / s.stride + 1;
    conv_data d = {.x_size = s.batch * s.size * s.size * s.in,
                   .w_size = s.kernel * s.kernel * s.in * s.out,
                   .y_size = s.batch * s.places * s.places * s.out};
    const int64_t sizes[] = {[CONV_FORWARD] = d.y_size, [CONV_DATA] = d.x_size, [CONV_WEIGHTS] = d.w_size};
    float *x = array(d.x_size, 1), *w = array(d.w_size, 2), *y = array(d.y_size, 3), *result = array(sizes[s.pass], 4);
    d.x = x;
    d.w = w;
    d.y = y;
    d.result = result;
    if (x && w && y && result) {
        time_conv(&s, &d, sizes[s.pass], seconds);
    } else {
        printf("error out of memory\n");
    }
    free(x);
    free(w);
    free(y);
    free(result);
    return 0;
}

int main(void) {
    return worker_serve(answer, NULL);
}
