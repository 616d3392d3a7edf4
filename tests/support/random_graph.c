/* Random graphs: inputs and variables of small multiples of 1/8, then op upon op, then gradients, assigns and targets.
 * Rests on the public API and Philox. Bounds go along with the tensors (interval and error arithmetic), and ops are
 * only given what they can be trusted with: steps and comparisons only exact numbers, logarithms only positive ones. */
#include "support/random_graph.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <soma/ops.h>

#include "base/philox.h"
#include "cpu/reference/element.h"
#include "ops/build.h"

/* ---- drawing ---- */

static int64_t draw(random_graph *r, int64_t n) {
    return (int64_t)philox_below(r->seed, 1, r->drawn++, (uint64_t)n);
}

static bool chance(random_graph *r, int percent) {
    return draw(r, 100) < percent;
}

static random_node pick(random_graph *r) {
    int recent = r->n_nodes < 8 || chance(r, 40) ? r->n_nodes : 8;
    return r->nodes[r->n_nodes - 1 - draw(r, recent)];
}

/* ---- what a dtype holds exactly ---- */

static double dtype_epsilon(soma_dtype d) {
    return d == SOMA_F64 ? 0x1p-53 : d == SOMA_F32 ? 0x1p-24 : d == SOMA_F16 ? 0x1p-11 : d == SOMA_BF16 ? 0x1p-8 : 0;
}

static bool holds(soma_dtype d, double max, int grain) {
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

/* What a sum of n numbers up to max may be off; the reference sums float64 in a row, float32 in double. */
static double summing(soma_dtype d, double n, double max) {
    return (d == SOMA_F64 ? n + 4 : 4 * sqrt(n)) * dtype_epsilon(d) * n * max;
}

static bool is_float(const random_node *x) {
    return dtype_is_float(soma_tensor_dtype(x->tensor));
}

static bool is_real(const random_node *x) {
    soma_dtype d = soma_tensor_dtype(x->tensor);
    return d == SOMA_F32 || d == SOMA_F64;
}

/* Keeps a result if it is sound: small enough to go on with, its error well below its size. */
static void keep(random_graph *r, soma_tensor *t, double max, double error, int grain, bool smooth) {
    if (!t) {
        fprintf(stderr, "seed %llu: %s\n", (unsigned long long)r->seed, soma_last_error(r->context));
        random_graph_show(r);
        abort();
    }
    soma_dtype d = soma_tensor_dtype(t);
    if (dtype_is_float(d)) {
        if (error > 0 || !holds(d, max, grain)) error += 4 * dtype_epsilon(d) * max;
        bool half = d == SOMA_F16 || d == SOMA_BF16;
        if (max > (half ? 1e4 : 1e6) || error > (half ? 0.1 : 1e-3) * fmax(max, 1)) return;
    } else if (error > 0 || (d != SOMA_BOOL && d != SOMA_U8 && !holds(d, max, 0))) {
        return;
    }
    if (r->n_nodes == RANDOM_NODES) return;
    r->nodes[r->n_nodes++] = (random_node){t, max, error, error > 0 ? 0 : grain, smooth};
}

/* ---- sources ---- */

static int64_t draw_extent(random_graph *r) {
    return r->extents[draw(r, 4)];
}

static int draw_shape(random_graph *r, int64_t *shape) {
    static const int ranks[] = {0, 1, 1, 2, 2, 2, 2, 3, 3, 4, 5};
    int rank = ranks[draw(r, 11)];
    int64_t size = 1;
    for (int i = rank - 1; i >= 0; i--) {
        shape[i] = chance(r, 12) ? 1 : draw_extent(r);
        if (size * shape[i] > r->limit) shape[i] = 1 + draw(r, 3);
        if (size * shape[i] > r->limit) shape[i] = 1;
        size *= shape[i];
    }
    return rank;
}

static void fill(random_graph *r, soma_dtype d, void *data, int64_t n, double max) {
    double scale = dtype_is_float(d) ? 8 : 1;
    int64_t low = d == SOMA_U8 || d == SOMA_BOOL ? 0 : (int64_t)(-max * scale), high = (int64_t)(max * scale);
    uint64_t counter = r->drawn++;
    for (int64_t i = 0; i < n; i++)
        element_set(
            d, data, i,
            (double)(low + (int64_t)philox_below(r->seed, 2 + counter, (uint64_t)i, (uint64_t)(high - low + 1))) /
                scale);
}

static double source_max(random_graph *r, soma_dtype d) {
    if (d == SOMA_BOOL) return 1;
    if (d == SOMA_U8) return 255;
    return chance(r, 50) ? 2 : 12;
}

static void add_source(random_graph *r) {
    static const soma_dtype dtypes[] = {SOMA_F32,  SOMA_F32, SOMA_F32, SOMA_F32, SOMA_F32, SOMA_F64, SOMA_F64, SOMA_F16,
                                        SOMA_BF16, SOMA_I8,  SOMA_I16, SOMA_I32, SOMA_I64, SOMA_U8,  SOMA_BOOL};
    int64_t shape[SOMA_MAX_RANK];
    int rank = draw_shape(r, shape), kind = (int)draw(r, 8);
    soma_dtype d = dtypes[draw(r, 15)];
    double max = source_max(r, d);
    int64_t size = shape_size(rank, shape);
    size_t bytes = (size_t)size * soma_dtype_size(d);
    int grain = dtype_is_float(d) ? 3 : 0;
    if (kind < 3 && r->n_inputs < RANDOM_INPUTS) {
        int i = r->n_inputs++;
        r->data[i] = malloc(bytes + 1);
        fill(r, d, r->data[i], size, max);
        r->inputs[i] = soma_input(r->graph, d, rank, shape, "x");
        keep(r, r->inputs[i], max, 0, grain, true);
    } else if (kind < 6 && r->n_variables < RANDOM_VARIABLES) {
        int i = r->n_variables++;
        r->variables[i] = soma_variable_create(r->context, "v", d, rank, shape);
        r->initial[i] = malloc(bytes + 1);
        r->variable_error[i] = -1;
        fill(r, d, r->initial[i], size, max);
        keep(r, soma_read(r->graph, r->variables[i]), max, 0, grain, true);
    } else if (kind == 6) {
        void *data = malloc(bytes + 1);
        fill(r, d, data, size, max);
        keep(r, soma_array(r->graph, d, rank, shape, data), max, 0, grain, true);
        free(data);
    } else {
        d = chance(r, 30) ? SOMA_F64 : SOMA_F32;
        int64_t count = draw(r, 1000);
        soma_tensor *step = chance(r, 50) ? NULL : soma_array(r->graph, SOMA_I64, SOMA_SCALAR_DIMS, &count);
        if (chance(r, 60))
            keep(r, soma_random_uniform(r->graph, d, rank, shape, -1, 1, step), 1, dtype_epsilon(d), 0, true);
        else
            keep(r, soma_random_normal(r->graph, d, rank, shape, 0.5, 1, step), 10, 256 * dtype_epsilon(d), 0, true);
    }
}

/* ---- maps ---- */

/* x in float32 or float64. */
static random_node real_of(random_graph *r, random_node x) {
    if (is_real(&x)) return x;
    soma_dtype d = chance(r, 75) ? SOMA_F32 : SOMA_F64;
    soma_tensor *t = soma_cast(x.tensor, d);
    if (x.error == 0 && !holds(d, x.max, x.grain)) x.error = dtype_epsilon(d) * x.max;
    x.tensor = t;
    return x;
}

/* |x| + 1/2: for what has a pole at 0. */
static random_node positive_of(random_graph *r, random_node x) {
    x = real_of(r, x);
    x.tensor = soma_add_scalar(soma_abs(x.tensor), 0.5);
    x.max += 0.5;
    x.error += x.error > 0 || !holds(soma_tensor_dtype(x.tensor), x.max, x.grain + 1)
                   ? dtype_epsilon(soma_tensor_dtype(x.tensor)) * x.max
                   : 0;
    x.smooth = x.smooth && x.error == 0;
    return x;
}

/* A smooth function with values up to max and slopes up to slope. */
static void keep_smooth(random_graph *r, soma_tensor *t, const random_node *x, double max, double slope) {
    double epsilon = dtype_epsilon(soma_tensor_dtype(t));
    keep(r, t, max, slope * (x->error + epsilon * x->max) + 16 * epsilon * max, 0, x->smooth);
}

static void add_function(random_graph *r) {
    random_node x = real_of(r, pick(r)), p = positive_of(r, x);
    switch (draw(r, 17)) {
    case 0:
        keep_smooth(r, soma_tanh(x.tensor), &x, 1, 1);
        break;
    case 1:
        keep_smooth(r, soma_sigmoid(x.tensor), &x, 1, 0.25);
        break;
    case 2:
        keep_smooth(r, soma_erf(x.tensor), &x, 1, 1.2);
        break;
    case 3:
        if (x.max < 1000) keep_smooth(r, soma_sin(x.tensor), &x, 1, 1);
        break;
    case 4:
        if (x.max < 1000) keep_smooth(r, soma_cos(x.tensor), &x, 1, 1);
        break;
    case 5:
        if (x.max <= 4) keep_smooth(r, soma_exp(x.tensor), &x, exp(x.max), exp(x.max));
        break;
    case 6:
        if (x.max <= 4) keep_smooth(r, soma_expm1(x.tensor), &x, exp(x.max), exp(x.max));
        break;
    case 7:
        keep_smooth(r, soma_log(p.tensor), &p, fmax(log(p.max), 0.7), 2);
        break;
    case 8:
        keep_smooth(r, soma_log1p(p.tensor), &p, log(1 + p.max), 1);
        break;
    case 9:
        keep_smooth(r, soma_sqrt(p.tensor), &p, sqrt(p.max), 1);
        break;
    case 10:
        keep_smooth(r, soma_rsqrt(p.tensor), &p, 1.5, 3);
        break;
    case 11:
        keep_smooth(r, soma_reciprocal(p.tensor), &p, 2, 4);
        break;
    case 12: {
        soma_tensor *t = soma_clip(x.tensor, -1, 1);
        random_node clipped = {t, 1, x.error, x.grain, x.smooth && x.error == 0};
        keep_smooth(r, soma_tan(t), &clipped, 1.6, 3.5);
        break;
    }
    case 13:
        keep_smooth(r, soma_softplus(x.tensor), &x, x.max + 0.7, 1);
        break;
    case 14: { /* x / (|y| + 1/2) */
        random_node y = positive_of(r, pick(r));
        int rank;
        int64_t shape[SOMA_MAX_RANK];
        const soma_tensor *a = x.tensor, *b = y.tensor;
        if (!op_broadcast_shape(a->rank, a->shape, b->rank, b->shape, &rank, shape)) break;
        if (shape_size(rank, shape) > r->limit) break;
        soma_tensor *t = chance(r, 50) ? soma_div(x.tensor, y.tensor) : soma_mul(x.tensor, soma_rsqrt(y.tensor));
        keep(r, t, 2 * x.max, 2 * x.error + 4 * x.max * y.error + 8 * dtype_epsilon(SOMA_F32) * x.max, 0,
             x.smooth && y.smooth);
        break;
    }
    case 15:
        if (p.max < 6) keep_smooth(r, soma_pow_scalar(p.tensor, 1.5), &p, 20, 5);
        break;
    default:
        if (p.max < 6) keep_smooth(r, soma_pow(p.tensor, soma_tanh(p.tensor)), &p, 6, 20);
    }
}

/* Steps and signs: of exact numbers only. */
static void add_step(random_graph *r) {
    random_node x = pick(r);
    bool float_x = is_float(&x);
    if (x.error > 0 || soma_tensor_dtype(x.tensor) == SOMA_BOOL || soma_tensor_dtype(x.tensor) == SOMA_U8) return;
    switch (draw(r, 9)) {
    case 0:
        if (float_x) keep(r, soma_floor(x.tensor), ceil(x.max), 0, 0, false);
        break;
    case 1:
        if (float_x) keep(r, soma_ceil(x.tensor), ceil(x.max), 0, 0, false);
        break;
    case 2:
        if (float_x) keep(r, soma_round(x.tensor), ceil(x.max), 0, 0, false);
        break;
    case 3:
        if (float_x) keep(r, soma_trunc(x.tensor), ceil(x.max), 0, 0, false);
        break;
    case 4:
        keep(r, soma_sign(x.tensor), 1, 0, 0, false);
        break;
    case 5:
        if (float_x) keep(r, chance(r, 50) ? soma_isnan(x.tensor) : soma_isfinite(x.tensor), 1, 0, 0, false);
        break;
    case 6:
        keep(r, soma_logical_not(x.tensor), 1, 0, 0, false);
        break;
    case 7:
        keep(r, soma_mod(x.tensor, soma_scalar(r->graph, soma_tensor_dtype(x.tensor), 3)), fmax(x.max, 3), 0, x.grain,
             false);
        break;
    default: {
        int axis = soma_ndim(x.tensor) ? (int)draw(r, soma_ndim(x.tensor)) : -1;
        if (axis < 0) break;
        soma_tensor *t =
            chance(r, 60) ? soma_argmax(x.tensor, axis, chance(r, 50)) : soma_argmin(x.tensor, axis, false);
        keep(r, t, (double)soma_dim(x.tensor, axis), 0, 0, false);
    }
    }
}

static void add_cast(random_graph *r) {
    random_node x = pick(r);
    soma_dtype d = (soma_dtype)draw(r, SOMA_DTYPE_COUNT), from = soma_tensor_dtype(x.tensor);
    if (!dtype_is_float(d) && x.error > 0) return;
    double max = x.max;
    int grain = dtype_is_float(d) ? x.grain : 0;
    bool wraps = !dtype_is_float(d) && !holds(d, floor(x.max), 0);
    if (d == SOMA_BOOL) max = 1;
    if (wraps && d != SOMA_BOOL) max = d == SOMA_I8 ? 128 : d == SOMA_I16 ? 32768 : d == SOMA_U8 ? 255 : 1e9;
    if ((wraps && max == 1e9) || (d == SOMA_F16 && max > 3e4)) return;
    double error = x.error;
    if (dtype_is_float(d) && error == 0 && !holds(d, x.max, x.grain)) {
        bool rounded_once = d == SOMA_F16 || d == SOMA_BF16; /* the same in both, still multiples of 2^-grain */
        if (!rounded_once) error = dtype_epsilon(d) * x.max;
        if (rounded_once && from != SOMA_F32) return;
    } else if (error > 0) {
        error += dtype_epsilon(d) * x.max;
    }
    soma_tensor *t = soma_cast(x.tensor, d);
    if (error == 0 && dtype_is_float(d) && !holds(d, max, grain)) return;
    keep(r, t, max, error, grain, x.smooth && dtype_is_float(d));
}

/* ---- maps of two and three ---- */

static bool fits(random_graph *r, const random_node *a, const random_node *b) {
    int rank;
    int64_t shape[SOMA_MAX_RANK];
    const soma_tensor *x = a->tensor, *y = b->tensor;
    return op_broadcast_shape(x->rank, x->shape, y->rank, y->shape, &rank, shape) &&
           shape_size(rank, shape) <= r->limit;
}

static bool pick_pair(random_graph *r, random_node *a, random_node *b) {
    for (int i = 0; i < 8; i++) {
        *a = pick(r);
        *b = pick(r);
        if (fits(r, a, b)) return true;
    }
    return false;
}

/* Error that promotion brings: an int64 becomes a float. */
static double promoted(const random_node *x, soma_dtype d) {
    return x->error > 0 || !dtype_is_float(d) || holds(d, x->max, x->grain) ? x->error : dtype_epsilon(d) * x->max;
}

static bool is_unsigned(const random_node *x) {
    soma_dtype d = soma_tensor_dtype(x->tensor);
    return d == SOMA_U8 || d == SOMA_BOOL;
}

static void add_arithmetic(random_graph *r) {
    random_node a, b;
    if (!pick_pair(r, &a, &b)) return;
    if (is_unsigned(&a)) a = real_of(r, a);
    if (is_unsigned(&b)) b = real_of(r, b);
    soma_dtype d = op_promote(soma_tensor_dtype(a.tensor), soma_tensor_dtype(b.tensor));
    double ea = promoted(&a, d), eb = promoted(&b, d), sum = ea + eb, most = a.max + b.max;
    int grain = a.grain > b.grain ? a.grain : b.grain;
    bool smooth = a.smooth && b.smooth;
    if (!holds(d, most, 0) && !dtype_is_float(d)) return;
    if (sum > 0) grain = 0;
    switch (draw(r, 8)) {
    case 0:
    case 1:
        keep(r, soma_add(a.tensor, b.tensor), most, sum, grain, smooth);
        break;
    case 2:
        keep(r, soma_sub(a.tensor, b.tensor), most, sum, grain, smooth);
        break;
    case 3:
    case 4:
        if (!dtype_is_float(d) && !holds(d, a.max * b.max, 0)) break;
        keep(r, soma_mul(a.tensor, b.tensor), a.max * b.max, a.max * eb + b.max * ea, a.grain + b.grain, smooth);
        break;
    case 5:
        keep(r, soma_maximum(a.tensor, b.tensor), fmax(a.max, b.max), sum, grain, smooth && sum == 0);
        break;
    case 6:
        keep(r, soma_minimum(a.tensor, b.tensor), fmax(a.max, b.max), sum, grain, smooth && sum == 0);
        break;
    default: { /* a - b*c as the update of an optimizer has it */
        if (!is_float(&b)) break;
        double c = 0.25 * (double)(1 + draw(r, 5));
        keep(r, soma_sub(a.tensor, soma_mul_scalar(b.tensor, c)), a.max + c * b.max, ea + 2 * eb, grain + 2, smooth);
    }
    }
}

static void add_single(random_graph *r) {
    random_node x = pick(r);
    if (is_unsigned(&x)) return;
    switch (draw(r, 5)) {
    case 0:
        keep(r, soma_neg(x.tensor), x.max, x.error, x.grain, x.smooth);
        break;
    case 1:
        keep(r, soma_abs(x.tensor), x.max, x.error, x.grain, x.smooth && x.error == 0);
        break;
    case 2:
        if (is_float(&x) || holds(soma_tensor_dtype(x.tensor), x.max * x.max, 0))
            keep(r, soma_square(x.tensor), x.max * x.max, 2 * x.max * x.error, 2 * x.grain, x.smooth);
        break;
    case 3:
        if (is_float(&x)) keep(r, soma_mul_scalar(x.tensor, -0.5), x.max / 2, x.error, x.grain + 1, x.smooth);
        break;
    default:
        keep(r, soma_add_scalar(x.tensor, 2), x.max + 2, x.error, x.grain, x.smooth);
    }
}

static void add_choice(random_graph *r) {
    random_node a, b;
    if (!pick_pair(r, &a, &b)) return;
    if (a.error > 0 || b.error > 0) {
        if (!is_float(&a) || !is_float(&b)) return;
        random_node c = pick(r);
        if (c.error > 0 || !fits(r, &a, &c) || !fits(r, &b, &c)) return;
        soma_tensor *condition = soma_greater(c.tensor, soma_scalar(r->graph, soma_tensor_dtype(c.tensor), 1));
        soma_dtype d = op_promote(soma_tensor_dtype(a.tensor), soma_tensor_dtype(b.tensor));
        int rank;
        int64_t shape[SOMA_MAX_RANK];
        if (!op_broadcast_shape(a.tensor->rank, a.tensor->shape, b.tensor->rank, b.tensor->shape, &rank, shape)) return;
        if (!op_broadcast_shape(rank, shape, c.tensor->rank, c.tensor->shape, &rank, shape)) return;
        if (shape_size(rank, shape) > r->limit) return;
        keep(r, soma_where(condition, a.tensor, b.tensor), fmax(a.max, b.max), promoted(&a, d) + promoted(&b, d), 0,
             a.smooth && b.smooth);
        return;
    }
    soma_dtype d = op_promote(soma_tensor_dtype(a.tensor), soma_tensor_dtype(b.tensor));
    if (!holds(d, a.max, a.grain) || !holds(d, b.max, b.grain)) return;
    soma_tensor *(*const compare[])(soma_tensor *, soma_tensor *) = {
        soma_equal,         soma_not_equal,   soma_less,       soma_less_equal, soma_greater,
        soma_greater_equal, soma_logical_and, soma_logical_or, soma_logical_xor};
    soma_tensor *t = compare[draw(r, 9)](a.tensor, b.tensor);
    keep(r, t, 1, 0, 0, false);
    if (t && chance(r, 40) && !is_unsigned(&a) && !is_unsigned(&b))
        keep(r, soma_where(t, a.tensor, b.tensor), fmax(a.max, b.max), 0, a.grain > b.grain ? a.grain : b.grain,
             a.smooth && b.smooth);
}

/* ---- reductions and products ---- */

static void add_reduction(random_graph *r) {
    random_node x = pick(r);
    int rank = soma_ndim(x.tensor), axes[SOMA_MAX_RANK], n = 0;
    soma_dtype d = soma_tensor_dtype(x.tensor);
    bool keepdims = chance(r, 50);
    double count = 1;
    for (int i = 0; i < rank; i++)
        if (chance(r, 45)) {
            axes[n++] = chance(r, 50) ? i : i - rank;
            count *= (double)soma_dim(x.tensor, i);
        }
    if (n == 0) count = (double)soma_size(x.tensor);
    if (d == SOMA_BOOL || d == SOMA_U8) return;
    int kind = (int)draw(r, 6);
    bool half = d == SOMA_F16 || d == SOMA_BF16;
    double rounding = x.error > 0 || !holds(d, count * x.max, x.grain) ? summing(d, count, x.max) : 0;
    if (!dtype_is_float(d) && kind < 3 && !holds(d, count * x.max, 0)) return;
    if (kind < 2) {
        if (half && rounding > 0) return;
        keep(r, soma_sum(x.tensor, n, axes, keepdims), count * x.max, count * x.error + rounding, x.grain, x.smooth);
    } else if (kind == 2) {
        soma_dtype made = dtype_is_float(d) ? d : SOMA_F32;
        if (half) return;
        keep(r, soma_mean(x.tensor, n, axes, keepdims), x.max,
             x.error + rounding / count + 8 * dtype_epsilon(made) * x.max, 0, x.smooth);
    } else if (kind == 3) {
        keep(r, soma_max(x.tensor, n, axes, keepdims), x.max, x.error, x.grain, x.smooth && x.error == 0);
    } else if (kind == 4) {
        keep(r, soma_min(x.tensor, n, axes, keepdims), x.max, x.error, x.grain, x.smooth && x.error == 0);
    } else if (is_real(&x) && count < 6 && pow(fmax(x.max, 1), count) < 1e4) {
        double most = pow(fmax(x.max, 1), count);
        keep(r, soma_prod(x.tensor, n, axes, keepdims), most, count * most * (x.error + dtype_epsilon(d)), 0, x.smooth);
    }
}

static void add_row_op(random_graph *r) {
    random_node x = real_of(r, pick(r));
    int rank = soma_ndim(x.tensor);
    if (rank == 0) return;
    int axis = chance(r, 70) ? rank - 1 : (int)draw(r, rank);
    double n = (double)soma_dim(x.tensor, axis);
    if (n == 0) return;
    double rounding = summing(soma_tensor_dtype(x.tensor), n, 1 + x.max) / n;
    int kind = (int)draw(r, 5);
    if (kind == 0) {
        keep(r, soma_softmax_axis(x.tensor, axis), 1, x.error + rounding, 0, x.smooth);
    } else if (kind == 1) {
        keep(r, soma_log_softmax(x.tensor, axis), 2 * x.max + log(n), 2 * x.error + 4 * rounding, 0, x.smooth);
    } else if (kind == 2) {
        keep(r, soma_logsumexp(x.tensor, axis, chance(r, 50)), x.max + log(n), x.error + 4 * rounding, 0, x.smooth);
    } else if (kind == 3) { /* a norm */
        soma_tensor *centred = soma_sub(x.tensor, soma_mean(x.tensor, 1, &axis, true));
        soma_tensor *variance = soma_mean(soma_square(centred), 1, &axis, true);
        soma_tensor *y = soma_mul(centred, soma_rsqrt(soma_add_scalar(variance, 1)));
        keep(r, y, 2 * x.max, (2 + 4 * x.max * x.max) * (x.error + rounding), 0, x.smooth);
    } else {
        bool exact = x.error == 0 && holds(soma_tensor_dtype(x.tensor), n * x.max, x.grain);
        keep(r, soma_cumsum(x.tensor, axis), n * x.max, exact ? 0 : n * x.error + n * rounding, x.grain, x.smooth);
    }
}

static void add_matmul(random_graph *r) {
    for (int tries = 0; tries < 12; tries++) {
        random_node a = pick(r), b = pick(r);
        soma_tensor *x = a.tensor, *y = b.tensor;
        if (!is_float(&a) || !is_float(&b) || x->rank == 0 || y->rank == 0) continue;
        bool left = x->rank > 1 && chance(r, 30), right = y->rank > 1 && chance(r, 30);
        int64_t k = left ? x->shape[x->rank - 2] : x->shape[x->rank - 1];
        int64_t inner = y->rank == 1 || right ? y->shape[y->rank - 1] : y->shape[y->rank - 2];
        if (k != inner) continue;
        int rank;
        int64_t shape[SOMA_MAX_RANK];
        int batch_x = x->rank > 2 ? x->rank - 2 : 0, batch_y = y->rank > 2 ? y->rank - 2 : 0;
        if (!op_broadcast_shape(batch_x, x->shape, batch_y, y->shape, &rank, shape)) continue;
        int64_t m = soma_size(x) / (k ? k : 1), n = soma_size(y) / (k ? k : 1);
        if (m > r->limit || n > r->limit || m * n > r->limit || m * n * k > 40 * r->limit) continue;
        soma_dtype d = op_promote(x->dtype, y->dtype);
        if (d != SOMA_F32 && d != SOMA_F64) continue;
        double ea = promoted(&a, d), eb = promoted(&b, d), most = (double)k * a.max * b.max;
        bool exact = ea + eb == 0 && holds(d, most, a.grain + b.grain);
        soma_tensor *t = soma_matmul(left ? op_swap_last(x) : x, right ? op_swap_last(y) : y);
        double error = (double)k * (a.max * eb + b.max * ea) + summing(d, (double)k, a.max * b.max);
        keep(r, t, most, exact ? 0 : error, a.grain + b.grain, a.smooth && b.smooth);
        return;
    }
}

/* ---- where elements are ---- */

static soma_tensor *reshaped(random_graph *r, soma_tensor *x) {
    int64_t shape[SOMA_MAX_RANK], rest = soma_size(x);
    int rank = 0;
    if (rest == 0) return soma_reshape(x, SOMA_DIMS(-1));
    while (rank < 5 && rest > 1) {
        int64_t part = 1;
        for (int tries = 0; tries < 6 && part == 1; tries++) {
            int64_t divisor = chance(r, 50) && x->rank ? x->shape[draw(r, x->rank)] : 1 + draw(r, 16);
            if (divisor > 0 && rest % divisor == 0) part = divisor;
        }
        shape[rank++] = part;
        rest /= part;
    }
    if (rest > 1 || chance(r, 20)) shape[rank++] = rest;
    if (rank < 7 && chance(r, 20)) shape[rank++] = 1;
    return soma_reshape(x, rank, shape);
}

static soma_tensor *transposed(random_graph *r, soma_tensor *x) {
    int64_t order[SOMA_MAX_RANK];
    int axes[SOMA_MAX_RANK];
    philox_permutation(r->seed, r->drawn++, x->rank, order);
    for (int i = 0; i < x->rank; i++)
        axes[i] = (int)order[i];
    return chance(r, 40) ? soma_transpose(x, NULL) : soma_transpose(x, axes);
}

static soma_tensor *sliced(random_graph *r, soma_tensor *x) {
    for (int axis = 0; axis < x->rank; axis++) {
        int64_t n = x->shape[axis];
        if (n < 2 || chance(r, 40)) continue;
        static const int64_t steps[] = {1, 1, 1, 2, 3, -1, -1, -2};
        int64_t step = steps[draw(r, 8)], start = step > 0 ? draw(r, n / 2 + 1) : n - 1 - draw(r, n / 2 + 1);
        int64_t stop = chance(r, 50) ? SOMA_END : step > 0 ? n - draw(r, n / 2) : draw(r, n / 2 + 1);
        x = soma_slice_axis(x, axis, start, stop, step);
    }
    return x;
}

static soma_tensor *expanded(random_graph *r, soma_tensor *x) {
    int64_t shape[SOMA_MAX_RANK];
    int added = x->rank < 4 ? (int)draw(r, 2) : 0;
    int64_t size = soma_size(x);
    for (int i = 0; i < added; i++)
        shape[i] = draw_extent(r);
    for (int i = 0; i < x->rank; i++)
        shape[added + i] = x->shape[i] == 1 && chance(r, 70) ? draw_extent(r) : x->shape[i];
    if (shape_size(added + x->rank, shape) > r->limit || size == 0) return x;
    return soma_expand(x, added + x->rank, shape);
}

static void add_view(random_graph *r) {
    random_node x = pick(r);
    soma_tensor *t = x.tensor;
    switch (draw(r, 7)) {
    case 0:
    case 1:
        t = reshaped(r, t);
        break;
    case 2:
        t = transposed(r, t);
        break;
    case 3:
        t = sliced(r, t);
        break;
    case 4:
        t = expanded(r, t);
        break;
    case 5:
        if (t->rank < 6) t = soma_expand_dims(t, (int)draw(r, t->rank + 1));
        break;
    default:
        for (int i = 0; i < t->rank; i++)
            if (t->shape[i] == 1) {
                t = soma_squeeze(t, i);
                break;
            }
    }
    if (t && soma_size(t) > 0) keep(r, t, x.max, x.error, x.grain, x.smooth);
    if (!t) keep(r, t, 0, 0, 0, false);
}

static void add_arrangement(random_graph *r) {
    random_node x = pick(r), y;
    soma_tensor *t = x.tensor;
    if (t->rank == 0) return;
    int axis = (int)draw(r, t->rank), kind = (int)draw(r, 5);
    int64_t n = t->shape[axis];
    if (kind == 0) {
        int64_t before[SOMA_MAX_RANK] = {0}, after[SOMA_MAX_RANK] = {0};
        before[axis] = draw(r, 3);
        after[axis] = draw(r, 4);
        double value = is_unsigned(&x) ? 1 : -2;
        if (2 * soma_size(t) > r->limit) return;
        keep(r, soma_pad(t, before, after, value), fmax(x.max, 2), x.error, x.grain, x.smooth);
    } else if (kind == 1) {
        y = pick(r);
        soma_tensor *xs[3] = {t, y.tensor, t};
        if (y.tensor->dtype != t->dtype || y.tensor->rank != t->rank) xs[1] = t, y = x;
        for (int i = 0; i < t->rank; i++)
            if (i != axis && xs[1]->shape[i] != t->shape[i]) xs[1] = t, y = x;
        if (2 * soma_size(t) + soma_size(xs[1]) > r->limit) return;
        keep(r, soma_concat(xs, 2 + (int)draw(r, 2), axis - (chance(r, 50) ? t->rank : 0)), fmax(x.max, y.max),
             fmax(x.error, y.error), x.grain > y.grain ? x.grain : y.grain, x.smooth && y.smooth);
    } else if (kind == 2 && t->rank < 5 && 2 * soma_size(t) <= r->limit) {
        keep(r, soma_stack((soma_tensor *[]){t, t}, 2, axis), x.max, x.error, x.grain, x.smooth);
    } else if (kind == 3 && n >= 2 && n % 2 == 0) {
        soma_tensor *parts[2] = {NULL, NULL};
        if (soma_split(t, 2, axis, parts) != SOMA_OK) parts[1] = NULL;
        keep(r, parts[draw(r, 2)], x.max, x.error, x.grain, x.smooth);
    } else if (kind == 4) {
        y = pick(r);
        soma_dtype d = y.tensor->dtype;
        bool index = dtype_is_integer(d) && y.error == 0 && y.max < (double)n;
        if (index && soma_size(y.tensor) * (soma_size(t) / n) <= r->limit)
            keep(r, soma_gather(t, y.tensor, axis), x.max, x.error, x.grain, x.smooth && y.smooth);
        else if (dtype_is_integer(x.tensor->dtype) && x.max < 40 && soma_size(t) * 14 <= r->limit && t->rank < 6)
            keep(r, soma_one_hot(t, 14, chance(r, 50) ? SOMA_F32 : (soma_dtype)draw(r, SOMA_DTYPE_COUNT)), 1, 0, 0,
                 x.smooth);
    }
}

/* Zeros out what a mask of random numbers says, twice, as forward and backward do. */
static void add_dropout(random_graph *r) {
    random_node x = real_of(r, pick(r));
    soma_tensor *u =
        soma_random_uniform(r->graph, soma_tensor_dtype(x.tensor), x.tensor->rank, x.tensor->shape, 0, 1, NULL);
    soma_tensor *kept = soma_greater_equal(u, soma_scalar(r->graph, soma_tensor_dtype(x.tensor), 0.25));
    soma_tensor *zero = soma_scalar(r->graph, soma_tensor_dtype(x.tensor), 0);
    keep(r, soma_where(kept, soma_mul_scalar(x.tensor, 1.25), zero), 1.25 * x.max, 1.25 * x.error, x.grain + 2,
         x.smooth);
    if (chance(r, 50)) keep(r, soma_cast(kept, soma_tensor_dtype(x.tensor)), 1, 0, 0, true);
}

/* ---- ends ---- */

static void add_target(random_graph *r, soma_tensor *t, double tolerance) {
    if (r->n_targets == RANDOM_TARGETS) return;
    r->targets[r->n_targets] = t;
    r->tolerance[r->n_targets++] = tolerance;
}

/* Gradients of a loss over one smooth node with respect to real inputs and variables. */
static void add_gradients(random_graph *r) {
    soma_tensor *wrt[RANDOM_NODES], *gradients[RANDOM_NODES];
    int n = 0;
    for (int i = 0; i < r->n_nodes; i++) {
        const op *o = r->nodes[i].tensor->op;
        if (is_real(&r->nodes[i]) && (o == &op_input || o == &op_read)) wrt[n++] = r->nodes[i].tensor;
    }
    for (int tries = 0; n > 0 && tries < 10; tries++) {
        random_node x = pick(r);
        if (!x.smooth || !is_real(&x)) continue;
        soma_tensor *scaled = soma_mul_scalar(x.tensor, 1 / fmax(x.max, 1));
        soma_tensor *loss = soma_sum(soma_square(scaled), SOMA_ALL_AXES, false);
        if (soma_grad(loss, wrt, n, gradients) != SOMA_OK) keep(r, NULL, 0, 0, 0, false);
        for (int i = 0; i < n; i++)
            if (chance(r, 60)) add_target(r, gradients[i], soma_tensor_dtype(x.tensor) == SOMA_F64 ? -1e-3 : -4e-3);
        return;
    }
}

static void add_assigns(random_graph *r) {
    for (int i = 0; i < r->n_variables; i++) {
        const soma_variable *v = r->variables[i];
        if (chance(r, 30)) continue;
        for (int k = r->n_nodes - 1; k >= 0; k--) {
            const random_node *x = &r->nodes[k];
            bool fit =
                x->tensor->dtype == v->dtype && shape_equal(x->tensor->rank, x->tensor->shape, v->rank, v->shape);
            if (!fit || chance(r, 30)) continue;
            add_target(r, soma_assign(r->variables[i], x->tensor), 0);
            r->variable_error[i] = x->error;
            break;
        }
    }
}

static void add_op(random_graph *r) {
    void (*const kinds[])(random_graph *) = {
        add_function,  add_function,    add_arithmetic, add_arithmetic, add_arithmetic, add_single, add_choice,
        add_reduction, add_reduction,   add_row_op,     add_matmul,     add_matmul,     add_view,   add_view,
        add_view,      add_arrangement, add_step,       add_cast,       add_dropout,    add_source};
    kinds[draw(r, 20)](r);
}

random_graph *random_graph_create(soma_context *context, uint64_t seed, int ops) {
    static const int64_t extents[] = {1, 2, 3, 5, 7, 8, 13, 14, 15, 16, 31, 32, 33, 64, 100, 257};
    static const int64_t large[] = {1, 3, 14, 33, 100, 512, 1000, 4096, 4097, 5000, 20000};
    random_graph *r = calloc(1, sizeof *r);
    r->context = context;
    r->graph = soma_graph_create(context);
    r->seed = seed;
    bool wide = chance(r, 20);
    r->limit = wide ? 100000 : 12000;
    for (int i = 0; i < 4; i++)
        r->extents[i] = wide ? large[draw(r, 11)] : extents[draw(r, 16)];
    for (int i = 0; i < 4; i++)
        add_source(r);
    for (int i = 0; i < ops && r->n_nodes < RANDOM_NODES; i++)
        add_op(r);
    for (int i = 0; i < r->n_nodes; i++)
        if (i == r->n_nodes - 1 || chance(r, 20)) add_target(r, r->nodes[i].tensor, r->nodes[i].error);
    if (chance(r, 50)) add_gradients(r);
    add_assigns(r);
    random_graph_reset(r);
    return r;
}

void random_graph_destroy(random_graph *r) {
    soma_graph_destroy(r->graph);
    for (int i = 0; i < r->n_inputs; i++)
        free(r->data[i]);
    for (int i = 0; i < r->n_variables; i++) {
        soma_variable_destroy(r->variables[i]);
        free(r->initial[i]);
    }
    free(r);
}

void random_graph_reset(const random_graph *r) {
    for (int i = 0; i < r->n_variables; i++) {
        soma_variable *v = r->variables[i];
        if (soma_variable_set(v, r->initial[i], (size_t)v->size * soma_dtype_size(v->dtype)) != SOMA_OK) abort();
    }
}

soma_plan *random_graph_plan(const random_graph *r, bool reference) {
    soma_plan *plan = soma_plan_create(r->targets, r->n_targets, &(soma_plan_options){.reference = reference});
    for (int i = 0; plan && i < r->n_inputs; i++)
        if (soma_plan_bind(plan, r->inputs[i], r->data[i]) != SOMA_OK) abort();
    return plan;
}

void random_graph_show(const random_graph *r) {
    char shape[SHAPE_TEXT];
    for (int64_t id = 0; id < r->graph->n_nodes; id++) {
        const soma_tensor *t = r->graph->nodes[id];
        fprintf(stderr, "  %%%lld = %s", (long long)id, t->op->name);
        for (int i = 0; i < t->n_inputs; i++)
            fprintf(stderr, " %%%lld", (long long)t->inputs[i]->id);
        fprintf(stderr, " : %s %s", soma_dtype_name(t->dtype), tensor_shape_text(shape, t));
        if (t->op->kind == OP_REDUCE) fprintf(stderr, " axes %x", t->attributes.axes);
        if (t->variable) fprintf(stderr, " variable %p", (void *)t->variable);
        for (int i = 0; i < r->n_targets; i++)
            if (r->targets[i] == t) fprintf(stderr, "  target %d", i);
        fprintf(stderr, "\n");
    }
}
