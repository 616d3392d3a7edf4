/* Convolution in plain C: for each element of the result, a loop over kernel places and channels.
 * Rests on view_walk.c and element.h. Knows spread, padding and groups as they are defined, without any detour. */
#include "cpu/reference/element.h"
#include "cpu/reference/reference.h"

typedef struct accumulator {
    bool integral;
    double sum;
    uint64_t int_sum;
} accumulator;

static void add_products(accumulator *a, const cpu_view *x, int64_t x_at, int64_t x_step, const cpu_view *w,
                         int64_t w_at, int64_t w_step, int64_t n) {
    for (int64_t i = 0; i < n; i++, x_at += x_step, w_at += w_step) {
        if (a->integral)
            a->int_sum +=
                (uint64_t)element_get_int(x->dtype, x->data, x_at) * (uint64_t)element_get_int(w->dtype, w->data, w_at);
        else
            a->sum += element_get(x->dtype, x->data, x_at) * element_get(w->dtype, w->data, w_at);
    }
}

/* Where kernel place s of the window at index sees an element of x: its offset from the sample's first; false when
 * that is padding or one of the zeros between. */
static bool seen(const cpu_windows *windows, const cpu_view *x, const int64_t *index, const int64_t *s, int64_t *at) {
    for (int i = 0; i < windows->n; i++) {
        int64_t place = index[1 + i] * windows->stride[i] + s[i] * windows->dilation[i] - windows->before[i];
        if (place < 0 || place % windows->spread[i] != 0 || place / windows->spread[i] >= x->shape[1 + i]) return false;
        *at += place / windows->spread[i] * x->strides[1 + i];
    }
    return true;
}

void ref_conv(const cpu_windows *windows, const cpu_view *x, const cpu_view *w, cpu_view *output) {
    int n = windows->n;
    int64_t in = w->shape[n], out = output->shape[n + 1] / windows->groups, size = view_size(output), kernel = 1;
    for (int i = 0; i < n; i++)
        kernel *= w->shape[i];
    view_walk walk = walk_start(output->rank, output->shape, 0, NULL);
    for (int64_t to = 0; to < size; to++, walk_next(&walk)) {
        int64_t channel = walk.index[n + 1], group = channel / out;
        accumulator a = {.integral = element_integral(output->dtype)};
        view_walk places = walk_start(n, w->shape, 1, (const cpu_view *const[]){w});
        for (int64_t s = 0; s < kernel; s++, walk_next(&places)) {
            int64_t from = walk.index[0] * x->strides[0] + group * in * x->strides[n + 1];
            if (!seen(windows, x, walk.index, places.index, &from)) continue;
            add_products(&a, x, from, x->strides[n + 1], w, places.offset[0] + channel * w->strides[n + 1],
                         w->strides[n], in);
        }
        if (a.integral) {
            element_set_int(output->dtype, output->data, to, (int64_t)a.int_sum);
        } else {
            element_set(output->dtype, output->data, to, a.sum);
        }
    }
}
