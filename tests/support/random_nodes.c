/* Drawing, bounds on elements and rounding, the nodes kept so far.
 * Rests on Philox: the i-th draw of a seed is the same everywhere. Interval and error arithmetic, plain and generous.
 */
#include "support/random_nodes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/philox.h"
#include "tensor/node.h"

/* ---- drawing ---- */

int64_t random_draw(random_graph *r, int64_t n) {
    return (int64_t)philox_below(r->seed, 1, r->drawn++, (uint64_t)n);
}

bool random_chance(random_graph *r, int percent) {
    return random_draw(r, 100) < percent;
}

random_node random_pick(random_graph *r) {
    int recent = r->n_nodes < 8 || random_chance(r, 40) ? r->n_nodes : 8;
    return r->nodes[r->n_nodes - 1 - random_draw(r, recent)];
}

/* ---- what a dtype holds exactly ---- */

double random_epsilon(soma_dtype d) {
    return d == SOMA_F64 ? 0x1p-53 : d == SOMA_F32 ? 0x1p-24 : d == SOMA_F16 ? 0x1p-11 : d == SOMA_BF16 ? 0x1p-8 : 0;
}

bool random_holds(soma_dtype d, double max, int grain) {
    switch (d) {
    case SOMA_F32:
        return ldexp(max, grain) <= 0x1p24;
    case SOMA_F64:
        return ldexp(max, grain) <= 0x1p53;
    case SOMA_F16:
        return ldexp(max, grain) <= 0x1p11;
    case SOMA_BF16:
        return ldexp(max, grain) <= 0x1p8;
    case SOMA_I8:
        return max <= 127 && grain == 0;
    case SOMA_I16:
        return max <= 32767 && grain == 0;
    case SOMA_I32:
        return max < 0x1p31 && grain == 0;
    case SOMA_I64:
        return max < 0x1p53 && grain == 0;
    case SOMA_BOOL:
        return max <= 1 && grain == 0;
    default:
        return false; /* u8: negative ones wrap, so sums are not followed */
    }
}

/* Of numbers that differ, the errors of a chain of additions are a walk; of equal ones all go the same way while the
 * sum keeps its exponent: half an epsilon of each sum on the way. No chain is longer than some thousands. */
double random_summing(soma_dtype d, double n, double max) {
    enum { CHAIN = 8192 };
    return (d == SOMA_F64 ? n + 4 : fmax(4 * sqrt(n), fmin(n, CHAIN) / 2)) * random_epsilon(d) * n * max;
}

bool random_is_float(const random_node *x) {
    return dtype_is_float(soma_tensor_dtype(x->tensor));
}

bool random_is_real(const random_node *x) {
    soma_dtype d = soma_tensor_dtype(x->tensor);
    return d == SOMA_F32 || d == SOMA_F64;
}

void random_keep(random_graph *r, soma_tensor *t, double max, double error, int grain, bool smooth) {
    if (!t) {
        fprintf(stderr, "seed %llu: %s\n", (unsigned long long)r->seed, soma_last_error(r->context));
        random_graph_show(r);
        abort();
    }
    soma_dtype d = soma_tensor_dtype(t);
    if (dtype_is_float(d)) {
        if (error > 0 || !random_holds(d, max, grain)) error += 4 * random_epsilon(d) * max;
        bool half = d == SOMA_F16 || d == SOMA_BF16;
        if (max > (half ? 1e4 : 1e6) || error > (half ? 0.1 : 1e-3) * fmax(max, 1)) return;
    } else if (error > 0 || (d != SOMA_BOOL && d != SOMA_U8 && !random_holds(d, max, 0))) {
        return;
    }
    if (r->n_nodes == RANDOM_NODES || soma_size(t) > 4 * r->limit) return; /* without the empty axis it may be large */
    r->nodes[r->n_nodes++] = (random_node){t, max, error, error > 0 ? 0 : grain, smooth};
}
