/* Rotary positions: pairs of features turned by an angle that grows with the step.
 * Rests on ops. The second half of each row is exchanged with the first by a view, so what is left is one map.
 * Angles are computed in double: a long sequence in float32 would lose the short wavelengths. */
#include <math.h>

#include <soma/layers.h>

#include "nn/layer.h"

/* cos, or sin with - before the first half: (positions, d). */
static soma_tensor *turns(soma_tensor *positions, int64_t d, double longest, bool sine) {
    soma_graph *graph = positions->graph;
    soma_tensor *i = soma_arange(graph, SOMA_F64, 0, (double)d, 1), *half = soma_scalar(graph, SOMA_F64, (double)d / 2);
    soma_tensor *first = soma_less(i, half);
    soma_tensor *pair = soma_where(first, i, soma_sub(i, half));
    soma_tensor *rate = soma_exp(soma_mul_scalar(pair, -2 * log(longest) / (double)d));
    soma_tensor *angle = soma_mul(soma_expand_dims(soma_cast(positions, SOMA_F64), 1), rate);
    if (!sine) return soma_cos(angle);
    soma_tensor *sin = soma_sin(angle);
    return soma_where(first, soma_neg(sin), sin);
}

soma_tensor *soma_rotary(soma_tensor *x, soma_tensor *positions, double max_wavelength) {
    if (!x) return NULL;
    soma_context *context = x->graph->context;
    int64_t steps = soma_dim(x, -2), d = soma_dim(x, -1), shape[SOMA_MAX_RANK];
    RETURN_NULL_IF(context, x->rank < 2 || x->rank >= SOMA_MAX_RANK || d % 2 != 0 || d == 0, SOMA_SHAPE,
                   "[rotary] x must be (..., steps, d) with an even d, of rank %d at most", SOMA_MAX_RANK - 1);
    if (!positions) positions = soma_arange(x->graph, SOMA_I64, 0, (double)steps, 1);
    RETURN_NULL_IF(context, positions && (positions->rank != 1 || positions->shape[0] != steps), SOMA_SHAPE,
                   "[rotary] positions must be (%lld)", (long long)steps);
    RETURN_NULL_IF(context, !(max_wavelength >= 1), SOMA_INVALID, "[rotary] max_wavelength is %g: at least 1 is needed",
                   max_wavelength);
    if (!positions) return NULL;
    for (int i = 0; i < x->rank - 1; i++)
        shape[i] = x->shape[i];
    shape[x->rank - 1] = 2;
    shape[x->rank] = d / 2;
    soma_tensor *other = soma_slice_axis(soma_reshape(x, x->rank + 1, shape), -2, -1, SOMA_END, -1);
    other = soma_reshape(other, x->rank, x->shape);
    soma_tensor *cosine = soma_cast(turns(positions, d, max_wavelength, false), x->dtype);
    soma_tensor *sine = soma_cast(turns(positions, d, max_wavelength, true), x->dtype);
    return soma_add(soma_mul(x, cosine), soma_mul(other, sine));
}
