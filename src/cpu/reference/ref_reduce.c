/* Reductions in plain C: for each element of the result, one loop over what it reduces.
 * Rests on view_walk.c and element.h. Sums and products run in double, those of integers in int64. */
#include <math.h>

#include "cpu/reference/element.h"
#include "cpu/reference/reference.h"

/* What is known after some elements. best and place serve the extremes and their positions. */
typedef struct accumulator {
    double sum, product, best;
    int64_t int_sum, int_product, int_best, place;
} accumulator;

static bool better_float(cpu_reduce code, double x, double best) {
    if (isnan(best)) return false;
    return isnan(x) || (code == CPU_REDUCE_MAX || code == CPU_REDUCE_ARGMAX ? x > best : x < best);
}

static bool better_int(cpu_reduce code, int64_t x, int64_t best) {
    return code == CPU_REDUCE_MAX || code == CPU_REDUCE_ARGMAX ? x > best : x < best;
}

static void take(accumulator *a, cpu_reduce code, bool integral, int64_t i, double x, int64_t k) {
    a->sum += x;
    a->product *= x;
    a->int_sum = (int64_t)((uint64_t)a->int_sum + (uint64_t)k);
    a->int_product = (int64_t)((uint64_t)a->int_product * (uint64_t)k);
    if (i == 0 || (integral ? better_int(code, k, a->int_best) : better_float(code, x, a->best))) {
        a->best = x;
        a->int_best = k;
        a->place = i;
    }
}

static void give(const accumulator *a, cpu_reduce code, bool integral, cpu_view *output, int64_t at) {
    double x = code == CPU_REDUCE_SUM ? a->sum : code == CPU_REDUCE_PROD ? a->product : a->best;
    int64_t k = code == CPU_REDUCE_SUM ? a->int_sum : code == CPU_REDUCE_PROD ? a->int_product : a->int_best;
    if (code == CPU_REDUCE_ARGMAX || code == CPU_REDUCE_ARGMIN) {
        element_set_int(output->dtype, output->data, at, a->place);
    } else if (integral) {
        element_set_int(output->dtype, output->data, at, k);
    } else {
        element_set(output->dtype, output->data, at, x);
    }
}

void ref_reduce(cpu_reduce code, uint32_t axes, const cpu_view *input, cpu_view *output) {
    int64_t inner[SOMA_MAX_RANK], reduced = 1;
    for (int i = 0; i < input->rank; i++) {
        inner[i] = axes >> i & 1 ? input->shape[i] : 1;
        reduced *= inner[i];
    }
    bool integral = element_integral(input->dtype);
    int64_t size = view_size(output);
    const cpu_view *const views[] = {input};
    view_walk outer = walk_start(output->rank, output->shape, 1, views);
    for (int64_t i = 0; i < size; i++, walk_next(&outer)) {
        accumulator a = {.product = 1, .int_product = 1};
        view_walk walk = walk_start(input->rank, inner, 1, views);
        for (int64_t j = 0; j < reduced; j++, walk_next(&walk)) {
            int64_t at = outer.offset[0] + walk.offset[0];
            take(&a, code, integral, j, element_get(input->dtype, input->data, at),
                 integral ? element_get_int(input->dtype, input->data, at) : 0);
        }
        give(&a, code, integral, output, i);
    }
}
