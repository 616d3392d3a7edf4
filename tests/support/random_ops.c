/* One random op at a time, with the bounds of its result.
 * Rests on the public ops. Ops are only given what they can be trusted with: steps and comparisons only exact numbers,
 * logarithms only positive ones. */
#include <math.h>
#include <string.h>

#include <soma/ops.h>

#include "base/philox.h"
#include "ops/build.h"
#include "support/random_nodes.h"

/* ---- maps ---- */

/* x in float32 or float64. */
static random_node real_of(random_graph *r, random_node x) {
    if (random_is_real(&x)) return x;
    soma_dtype d = random_chance(r, 75) ? SOMA_F32 : SOMA_F64;
    soma_tensor *t = soma_cast(x.tensor, d);
    if (x.error == 0 && !random_holds(d, x.max, x.grain)) x.error = random_epsilon(d) * x.max;
    x.tensor = t;
    return x;
}

/* |x| + 1/2: for what has a pole at 0. */
static random_node positive_of(random_graph *r, random_node x) {
    x = real_of(r, x);
    x.tensor = soma_add_scalar(soma_abs(x.tensor), 0.5);
    x.max += 0.5;
    x.error += x.error > 0 || !random_holds(soma_tensor_dtype(x.tensor), x.max, x.grain + 1)
                   ? random_epsilon(soma_tensor_dtype(x.tensor)) * x.max
                   : 0;
    x.smooth = x.smooth && x.error == 0;
    return x;
}

/* A smooth function with values up to max and slopes up to slope. */
static void keep_smooth(random_graph *r, soma_tensor *t, const random_node *x, double max, double slope) {
    double epsilon = random_epsilon(soma_tensor_dtype(t));
    random_keep(r, t, max, slope * (x->error + epsilon * x->max) + 16 * epsilon * max, 0, x->smooth);
}

static void add_function(random_graph *r) {
    random_node x = real_of(r, random_pick(r)), p = positive_of(r, x);
    switch (random_draw(r, 17)) {
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
        random_node y = positive_of(r, random_pick(r));
        int rank;
        int64_t shape[SOMA_MAX_RANK];
        const soma_tensor *a = x.tensor, *b = y.tensor;
        if (!op_broadcast_shape(a->rank, a->shape, b->rank, b->shape, &rank, shape)) break;
        if (shape_size(rank, shape) > r->limit) break;
        soma_tensor *t = random_chance(r, 50) ? soma_div(x.tensor, y.tensor) : soma_mul(x.tensor, soma_rsqrt(y.tensor));
        random_keep(r, t, 2 * x.max, 2 * x.error + 4 * x.max * y.error + 8 * random_epsilon(SOMA_F32) * x.max, 0,
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
    random_node x = random_pick(r);
    bool float_x = random_is_float(&x);
    if (x.error > 0 || soma_tensor_dtype(x.tensor) == SOMA_BOOL || soma_tensor_dtype(x.tensor) == SOMA_U8) return;
    switch (random_draw(r, 9)) {
    case 0:
        if (float_x) random_keep(r, soma_floor(x.tensor), ceil(x.max), 0, 0, false);
        break;
    case 1:
        if (float_x) random_keep(r, soma_ceil(x.tensor), ceil(x.max), 0, 0, false);
        break;
    case 2:
        if (float_x) random_keep(r, soma_round(x.tensor), ceil(x.max), 0, 0, false);
        break;
    case 3:
        if (float_x) random_keep(r, soma_trunc(x.tensor), ceil(x.max), 0, 0, false);
        break;
    case 4:
        random_keep(r, soma_sign(x.tensor), 1, 0, 0, false);
        break;
    case 5:
        if (float_x)
            random_keep(r, random_chance(r, 50) ? soma_isnan(x.tensor) : soma_isfinite(x.tensor), 1, 0, 0, false);
        break;
    case 6:
        random_keep(r, soma_logical_not(x.tensor), 1, 0, 0, false);
        break;
    case 7:
        random_keep(r, soma_mod(x.tensor, soma_scalar(r->graph, soma_tensor_dtype(x.tensor), 3)), fmax(x.max, 3), 0,
                    x.grain, false);
        break;
    default: {
        int axis = soma_ndim(x.tensor) ? (int)random_draw(r, soma_ndim(x.tensor)) : -1;
        if (axis < 0 || soma_dim(x.tensor, axis) == 0) break;
        soma_tensor *t = random_chance(r, 60) ? soma_argmax(x.tensor, axis, random_chance(r, 50))
                                              : soma_argmin(x.tensor, axis, false);
        random_keep(r, t, (double)soma_dim(x.tensor, axis), 0, 0, false);
    }
    }
}

static void add_cast(random_graph *r) {
    random_node x = random_pick(r);
    soma_dtype d = (soma_dtype)random_draw(r, SOMA_DTYPE_COUNT), from = soma_tensor_dtype(x.tensor);
    if (!dtype_is_float(d) && x.error > 0) return;
    double max = x.max;
    int grain = dtype_is_float(d) ? x.grain : 0;
    bool wraps = !dtype_is_float(d) && !random_holds(d, floor(x.max), 0);
    if (d == SOMA_BOOL) max = 1;
    if (wraps && d != SOMA_BOOL) max = d == SOMA_I8 ? 128 : d == SOMA_I16 ? 32768 : d == SOMA_U8 ? 255 : 1e9;
    if ((wraps && max == 1e9) || (d == SOMA_F16 && max > 3e4)) return;
    double error = x.error;
    if (dtype_is_float(d) && error == 0 && !random_holds(d, x.max, x.grain)) {
        bool rounded_once = d == SOMA_F16 || d == SOMA_BF16; /* the same in both, still multiples of 2^-grain */
        if (!rounded_once) error = random_epsilon(d) * x.max;
        if (rounded_once && from != SOMA_F32) return;
    } else if (error > 0) {
        error += random_epsilon(d) * x.max;
    }
    soma_tensor *t = soma_cast(x.tensor, d);
    if (error == 0 && dtype_is_float(d) && !random_holds(d, max, grain)) return;
    random_keep(r, t, max, error, grain, x.smooth && dtype_is_float(d));
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
        *a = random_pick(r);
        *b = random_pick(r);
        if (fits(r, a, b)) return true;
    }
    return false;
}

/* Error that promotion brings: an int64 becomes a float. */
static double promoted(const random_node *x, soma_dtype d) {
    return x->error > 0 || !dtype_is_float(d) || random_holds(d, x->max, x->grain) ? x->error
                                                                                   : random_epsilon(d) * x->max;
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
    if (!random_holds(d, most, 0) && !dtype_is_float(d)) return;
    if (sum > 0) grain = 0;
    switch (random_draw(r, 8)) {
    case 0:
    case 1:
        random_keep(r, soma_add(a.tensor, b.tensor), most, sum, grain, smooth);
        break;
    case 2:
        random_keep(r, soma_sub(a.tensor, b.tensor), most, sum, grain, smooth);
        break;
    case 3:
    case 4:
        if (!dtype_is_float(d) && !random_holds(d, a.max * b.max, 0)) break;
        random_keep(r, soma_mul(a.tensor, b.tensor), a.max * b.max, a.max * eb + b.max * ea, a.grain + b.grain, smooth);
        break;
    case 5:
        random_keep(r, soma_maximum(a.tensor, b.tensor), fmax(a.max, b.max), sum, grain, smooth && sum == 0);
        break;
    case 6:
        random_keep(r, soma_minimum(a.tensor, b.tensor), fmax(a.max, b.max), sum, grain, smooth && sum == 0);
        break;
    default: { /* a - b*c as the update of an optimizer has it */
        if (!random_is_float(&b)) break;
        double c = 0.25 * (double)(1 + random_draw(r, 5));
        random_keep(r, soma_sub(a.tensor, soma_mul_scalar(b.tensor, c)), a.max + c * b.max, ea + 2 * eb, grain + 2,
                    smooth);
    }
    }
}

static void add_single(random_graph *r) {
    random_node x = random_pick(r);
    if (is_unsigned(&x)) return;
    switch (random_draw(r, 5)) {
    case 0:
        random_keep(r, soma_neg(x.tensor), x.max, x.error, x.grain, x.smooth);
        break;
    case 1:
        random_keep(r, soma_abs(x.tensor), x.max, x.error, x.grain, x.smooth && x.error == 0);
        break;
    case 2:
        if (random_is_float(&x) || random_holds(soma_tensor_dtype(x.tensor), x.max * x.max, 0))
            random_keep(r, soma_square(x.tensor), x.max * x.max, 2 * x.max * x.error, 2 * x.grain, x.smooth);
        break;
    case 3:
        if (random_is_float(&x))
            random_keep(r, soma_mul_scalar(x.tensor, -0.5), x.max / 2, x.error, x.grain + 1, x.smooth);
        break;
    default:
        random_keep(r, soma_add_scalar(x.tensor, 2), x.max + 2, x.error, x.grain, x.smooth);
    }
}

static void add_choice(random_graph *r) {
    random_node a, b;
    if (!pick_pair(r, &a, &b)) return;
    if (a.error > 0 || b.error > 0) {
        if (!random_is_float(&a) || !random_is_float(&b)) return;
        random_node c = random_pick(r);
        if (c.error > 0 || !fits(r, &a, &c) || !fits(r, &b, &c)) return;
        soma_tensor *condition = soma_greater(c.tensor, soma_scalar(r->graph, soma_tensor_dtype(c.tensor), 1));
        soma_dtype d = op_promote(soma_tensor_dtype(a.tensor), soma_tensor_dtype(b.tensor));
        int rank;
        int64_t shape[SOMA_MAX_RANK];
        if (!op_broadcast_shape(a.tensor->rank, a.tensor->shape, b.tensor->rank, b.tensor->shape, &rank, shape)) return;
        if (!op_broadcast_shape(rank, shape, c.tensor->rank, c.tensor->shape, &rank, shape)) return;
        if (shape_size(rank, shape) > r->limit) return;
        random_keep(r, soma_where(condition, a.tensor, b.tensor), fmax(a.max, b.max), promoted(&a, d) + promoted(&b, d),
                    0, a.smooth && b.smooth);
        return;
    }
    soma_dtype d = op_promote(soma_tensor_dtype(a.tensor), soma_tensor_dtype(b.tensor));
    if (!random_holds(d, a.max, a.grain) || !random_holds(d, b.max, b.grain)) return;
    soma_tensor *(*const compare[])(soma_tensor *, soma_tensor *) = {
        soma_equal,         soma_not_equal,   soma_less,       soma_less_equal, soma_greater,
        soma_greater_equal, soma_logical_and, soma_logical_or, soma_logical_xor};
    soma_tensor *t = compare[random_draw(r, 9)](a.tensor, b.tensor);
    random_keep(r, t, 1, 0, 0, false);
    if (t && random_chance(r, 40) && !is_unsigned(&a) && !is_unsigned(&b))
        random_keep(r, soma_where(t, a.tensor, b.tensor), fmax(a.max, b.max), 0, a.grain > b.grain ? a.grain : b.grain,
                    a.smooth && b.smooth);
}

/* ---- reductions and products ---- */

static void add_reduction(random_graph *r) {
    random_node x = random_pick(r);
    int rank = soma_ndim(x.tensor), axes[SOMA_MAX_RANK], n = 0;
    soma_dtype d = soma_tensor_dtype(x.tensor);
    bool keepdims = random_chance(r, 50);
    double count = 1;
    for (int i = 0; i < rank; i++)
        if (random_chance(r, 45)) {
            axes[n++] = random_chance(r, 50) ? i : i - rank;
            count *= (double)soma_dim(x.tensor, i);
        }
    if (n == 0) count = (double)soma_size(x.tensor);
    if (d == SOMA_BOOL || d == SOMA_U8) return;
    int kind = (int)random_draw(r, 6);
    if (count == 0 && kind >= 2 && kind <= 4) return; /* nothing has no mean and no largest element */
    bool half = d == SOMA_F16 || d == SOMA_BF16;
    double rounding = x.error > 0 || !random_holds(d, count * x.max, x.grain) ? random_summing(d, count, x.max) : 0;
    if (!dtype_is_float(d) && kind < 3 && !random_holds(d, count * x.max, 0)) return;
    if (kind < 2) {
        if (half && rounding > 0) return;
        random_keep(r, soma_sum(x.tensor, n, axes, keepdims), count * x.max, count * x.error + rounding, x.grain,
                    x.smooth);
    } else if (kind == 2) {
        soma_dtype made = dtype_is_float(d) ? d : SOMA_F32;
        if (half) return;
        random_keep(r, soma_mean(x.tensor, n, axes, keepdims), x.max,
                    x.error + rounding / count + 8 * random_epsilon(made) * x.max, 0, x.smooth);
    } else if (kind == 3) {
        random_keep(r, soma_max(x.tensor, n, axes, keepdims), x.max, x.error, x.grain, x.smooth && x.error == 0);
    } else if (kind == 4) {
        random_keep(r, soma_min(x.tensor, n, axes, keepdims), x.max, x.error, x.grain, x.smooth && x.error == 0);
    } else if (random_is_real(&x) && count < 6 && pow(fmax(x.max, 1), count) < 1e4) {
        double most = pow(fmax(x.max, 1), count);
        random_keep(r, soma_prod(x.tensor, n, axes, keepdims), most, count * most * (x.error + random_epsilon(d)), 0,
                    x.smooth);
    }
}

static void add_row_op(random_graph *r) {
    random_node x = real_of(r, random_pick(r));
    int rank = soma_ndim(x.tensor);
    if (rank == 0) return;
    int axis = random_chance(r, 70) ? rank - 1 : (int)random_draw(r, rank);
    double n = (double)soma_dim(x.tensor, axis);
    if (n == 0) return;
    double rounding = random_summing(soma_tensor_dtype(x.tensor), n, 1 + x.max) / n;
    int kind = (int)random_draw(r, 5);
    if (kind == 0) {
        random_keep(r, soma_softmax_axis(x.tensor, axis), 1, x.error + rounding, 0, x.smooth);
    } else if (kind == 1) {
        random_keep(r, soma_log_softmax(x.tensor, axis), 2 * x.max + log(n), 2 * x.error + 4 * rounding, 0, x.smooth);
    } else if (kind == 2) {
        random_keep(r, soma_logsumexp(x.tensor, axis, random_chance(r, 50)), x.max + log(n), x.error + 4 * rounding, 0,
                    x.smooth);
    } else if (kind == 3) { /* a norm */
        soma_tensor *centred = soma_sub(x.tensor, soma_mean(x.tensor, 1, &axis, true));
        soma_tensor *variance = soma_mean(soma_square(centred), 1, &axis, true);
        soma_tensor *y = soma_mul(centred, soma_rsqrt(soma_add_scalar(variance, 1)));
        random_keep(r, y, 2 * x.max, (2 + 4 * x.max * x.max) * (x.error + rounding), 0, x.smooth);
    } else {
        bool exact = x.error == 0 && random_holds(soma_tensor_dtype(x.tensor), n * x.max, x.grain);
        random_keep(r, soma_cumsum(x.tensor, axis), n * x.max, exact ? 0 : n * x.error + n * rounding, x.grain,
                    x.smooth);
    }
}

static void add_matmul(random_graph *r) {
    for (int tries = 0; tries < 12; tries++) {
        random_node a = random_pick(r), b = random_pick(r);
        soma_tensor *x = a.tensor, *y = b.tensor;
        if (!random_is_float(&a) || !random_is_float(&b) || x->rank == 0 || y->rank == 0) continue;
        bool left = x->rank > 1 && random_chance(r, 30), right = y->rank > 1 && random_chance(r, 30);
        int64_t k = left ? x->shape[x->rank - 2] : x->shape[x->rank - 1];
        int64_t inner = y->rank == 1 || right ? y->shape[y->rank - 1] : y->shape[y->rank - 2];
        if (k != inner) continue;
        int rank;
        int64_t shape[SOMA_MAX_RANK];
        int batch_x = x->rank > 2 ? x->rank - 2 : 0, batch_y = y->rank > 2 ? y->rank - 2 : 0;
        if (!op_broadcast_shape(batch_x, x->shape, batch_y, y->shape, &rank, shape)) continue;
        int64_t m = soma_size(x) / (k ? k : 1), n = soma_size(y) / (k ? k : 1);
        if (m > r->limit || n > r->limit || m * n > r->limit || m * n * k > 200 * r->limit) continue;
        /* one without rows leaves the other as large as its batches make it */
        const int64_t batch = shape_size(rank, shape) * k, rows = x->rank > 1 ? x->shape[x->rank - (left ? 1 : 2)] : 1;
        const int64_t columns = y->rank > 1 ? y->shape[y->rank - (right ? 2 : 1)] : 1;
        if (batch * rows > 200 * r->limit || batch * columns > 200 * r->limit) continue;
        soma_dtype d = op_promote(x->dtype, y->dtype);
        if (d != SOMA_F32 && d != SOMA_F64) continue;
        double ea = promoted(&a, d), eb = promoted(&b, d), most = (double)k * a.max * b.max;
        bool exact = ea + eb == 0 && random_holds(d, most, a.grain + b.grain);
        soma_tensor *t = soma_matmul(left ? op_swap_last(x) : x, right ? op_swap_last(y) : y);
        double error = (double)k * (a.max * eb + b.max * ea) + random_summing(d, (double)k, a.max * b.max);
        random_keep(r, t, most, exact ? 0 : error, a.grain + b.grain, a.smooth && b.smooth);
        return;
    }
}

/* x1 y1 + x2 y2 + ... of equal shapes, as the gradient of a shared weight is, in any order; now and then with
 * something else added, and with the left or right sides side by side for others to look at. */
static void add_products(random_graph *r) {
    static const double scales[] = {1, -1, 0.5, -0.5, 2};
    for (int tries = 0; tries < 30; tries++) {
        random_node a = random_pick(r), b = random_pick(r);
        soma_tensor *x = a.tensor, *y = b.tensor, *parts[2][5], *sum = NULL;
        bool left = random_chance(r, 50), right = random_chance(r, 50);
        if (!random_is_real(&a) || !random_is_real(&b) || x->dtype != y->dtype || x->rank < 2 || x->rank != y->rank)
            continue;
        const int rank = x->rank, n = 2 + (int)random_draw(r, 4);
        const int64_t k = left ? x->shape[rank - 2] : x->shape[rank - 1];
        if (k != (right ? y->shape[rank - 1] : y->shape[rank - 2]) ||
            !shape_equal(rank - 2, x->shape, rank - 2, y->shape))
            continue;
        const int64_t batch = shape_size(rank - 2, x->shape), work = soma_size(x) * soma_size(y);
        if (work > r->limit * (k ? k : 1) * (batch ? batch : 1) || work > 40 * r->limit * (batch ? batch : 1)) continue;
        for (int i = 0; i < n; i++) {
            parts[0][i] = soma_mul_scalar(x, scales[(i + (int)random_draw(r, 2)) % 5]);
            parts[1][i] = soma_mul_scalar(y, scales[random_draw(r, 5)]);
            if (i > 0 && random_chance(r, 20)) parts[0][i] = parts[0][0];
        }
        soma_tensor *joined = NULL;
        const int side = (int)random_draw(r, 2), axis = random_chance(r, 70) ? 0 : (int)random_draw(r, rank);
        if (random_chance(r, 40)) joined = soma_concat(parts[side], n, axis);
        for (int i = 0; i < n; i++) {
            soma_tensor *p = parts[0][i], *q = parts[1][random_chance(r, 90) ? i : 0];
            soma_tensor *t = soma_matmul(left ? op_swap_last(p) : p, right ? op_swap_last(q) : q);
            sum = !sum ? t : random_chance(r, 50) ? soma_add(sum, t) : soma_add(t, sum);
            if (i == 0 && random_chance(r, 20)) sum = soma_add(sum, soma_mul_scalar(t, 2));
        }
        const soma_dtype d = x->dtype;
        const double most = 6 * (double)k * n * a.max * b.max * 4;
        const bool exact = a.error + b.error == 0 && random_holds(d, most, a.grain + b.grain + 2);
        const double error = 6.0 * n * (double)k * 4 * (a.max * b.error + b.max * a.error) +
                             random_summing(d, 6.0 * n * (double)k, 4 * a.max * b.max);
        random_keep(r, sum, most, exact ? 0 : error, a.grain + b.grain + 2, a.smooth && b.smooth);
        const random_node *from = side ? &b : &a;
        if (joined) random_keep(r, joined, 2 * from->max, 2 * from->error, from->grain + 1, from->smooth);
        return;
    }
}

/* ---- where elements are ---- */

static soma_tensor *reshaped(random_graph *r, soma_tensor *x) {
    int64_t shape[SOMA_MAX_RANK], rest = soma_size(x);
    int rank = 0;
    if (rest == 0) return soma_reshape(x, SOMA_DIMS(3, 0));
    while (rank < 5 && rest > 1) {
        int64_t part = 1;
        for (int tries = 0; tries < 6 && part == 1; tries++) {
            int64_t divisor =
                random_chance(r, 50) && x->rank ? x->shape[random_draw(r, x->rank)] : 1 + random_draw(r, 16);
            if (divisor > 0 && rest % divisor == 0) part = divisor;
        }
        shape[rank++] = part;
        rest /= part;
    }
    if (rest > 1 || random_chance(r, 20)) shape[rank++] = rest;
    if (rank < 7 && random_chance(r, 20)) shape[rank++] = 1;
    return soma_reshape(x, rank, shape);
}

static soma_tensor *transposed(random_graph *r, soma_tensor *x) {
    int64_t order[SOMA_MAX_RANK];
    int axes[SOMA_MAX_RANK];
    philox_permutation(r->seed, r->drawn++, x->rank, order);
    for (int i = 0; i < x->rank; i++)
        axes[i] = (int)order[i];
    return random_chance(r, 40) ? soma_transpose(x, NULL) : soma_transpose(x, axes);
}

static soma_tensor *sliced(random_graph *r, soma_tensor *x) {
    for (int axis = 0; axis < x->rank; axis++) {
        int64_t n = x->shape[axis];
        if (n < 2 || random_chance(r, 40)) continue;
        static const int64_t steps[] = {1, 1, 1, 2, 3, -1, -1, -2};
        int64_t step = steps[random_draw(r, 8)],
                start = step > 0 ? random_draw(r, n / 2 + 1) : n - 1 - random_draw(r, n / 2 + 1);
        int64_t stop = random_chance(r, 50) ? SOMA_END
                       : step > 0           ? n - random_draw(r, n / 2)
                                            : random_draw(r, n / 2 + 1);
        x = soma_slice_axis(x, axis, start, stop, step);
    }
    return x;
}

static soma_tensor *expanded(random_graph *r, soma_tensor *x) {
    int64_t shape[SOMA_MAX_RANK];
    int added = x->rank < 4 ? (int)random_draw(r, 2) : 0;
    int64_t size = soma_size(x);
    for (int i = 0; i < added; i++)
        shape[i] = random_extent(r);
    for (int i = 0; i < x->rank; i++)
        shape[added + i] = x->shape[i] == 1 && random_chance(r, 70) ? random_extent(r) : x->shape[i];
    if (shape_size(added + x->rank, shape) > r->limit || size == 0) return x;
    return soma_expand(x, added + x->rank, shape);
}

static void add_view(random_graph *r) {
    random_node x = random_pick(r);
    soma_tensor *t = x.tensor;
    switch (random_draw(r, 7)) {
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
        if (t->rank < 6) t = soma_expand_dims(t, (int)random_draw(r, t->rank + 1));
        break;
    default:
        for (int i = 0; i < t->rank; i++)
            if (t->shape[i] == 1) {
                t = soma_squeeze(t, i);
                break;
            }
    }
    if (t && (soma_size(t) > 0 || r->empty)) random_keep(r, t, x.max, x.error, x.grain, x.smooth);
    if (!t) random_keep(r, t, 0, 0, 0, false);
}

static void add_arrangement(random_graph *r) {
    random_node x = random_pick(r), y;
    soma_tensor *t = x.tensor;
    if (t->rank == 0) return;
    int axis = (int)random_draw(r, t->rank), kind = (int)random_draw(r, 5);
    int64_t n = t->shape[axis];
    if (kind == 0) {
        int64_t before[SOMA_MAX_RANK] = {0}, after[SOMA_MAX_RANK] = {0};
        before[axis] = random_draw(r, 3);
        after[axis] = random_draw(r, 4);
        double value = is_unsigned(&x) ? 1 : -2;
        if (2 * soma_size(t) > r->limit) return;
        random_keep(r, soma_pad(t, before, after, value), fmax(x.max, 2), x.error, x.grain, x.smooth);
    } else if (kind == 1) {
        y = random_pick(r);
        soma_tensor *xs[3] = {t, y.tensor, t};
        if (y.tensor->dtype != t->dtype || y.tensor->rank != t->rank) xs[1] = t, y = x;
        for (int i = 0; i < t->rank; i++)
            if (i != axis && xs[1]->shape[i] != t->shape[i]) xs[1] = t, y = x;
        if (2 * soma_size(t) + soma_size(xs[1]) > r->limit) return;
        random_keep(r, soma_concat(xs, 2 + (int)random_draw(r, 2), axis - (random_chance(r, 50) ? t->rank : 0)),
                    fmax(x.max, y.max), fmax(x.error, y.error), x.grain > y.grain ? x.grain : y.grain,
                    x.smooth && y.smooth);
    } else if (kind == 2 && t->rank < 5 && 2 * soma_size(t) <= r->limit) {
        random_keep(r, soma_stack((soma_tensor *[]){t, t}, 2, axis), x.max, x.error, x.grain, x.smooth);
    } else if (kind == 3 && n >= 2 && n % 2 == 0) {
        soma_tensor *parts[2] = {NULL, NULL};
        if (soma_split(t, 2, axis, parts) != SOMA_OK) parts[1] = NULL;
        random_keep(r, parts[random_draw(r, 2)], x.max, x.error, x.grain, x.smooth);
    } else if (kind == 4) {
        y = random_pick(r);
        soma_dtype d = y.tensor->dtype;
        bool index =
            t->rank + y.tensor->rank <= SOMA_MAX_RANK && dtype_is_integer(d) && y.error == 0 && y.max < (double)n;
        if (index && soma_size(y.tensor) * (soma_size(t) / n) <= r->limit)
            random_keep(r, soma_gather(t, y.tensor, axis), x.max, x.error, x.grain, x.smooth && y.smooth);
        else if (dtype_is_integer(x.tensor->dtype) && x.max < 40 && soma_size(t) * 14 <= r->limit && t->rank < 6)
            random_keep(
                r, soma_one_hot(t, 14, random_chance(r, 50) ? SOMA_F32 : (soma_dtype)random_draw(r, SOMA_DTYPE_COUNT)),
                1, 0, 0, x.smooth);
    }
}

/* ---- windows ---- */

/* What n elements of x add up to. */
static void keep_sum(random_graph *r, soma_tensor *t, const random_node *x, double n, double divided) {
    soma_dtype d = soma_tensor_dtype(t);
    bool exact = x->error == 0 && random_holds(d, n * x->max, x->grain);
    double error = exact && divided == 1 ? 0 : n * x->error + random_summing(d, n, x->max) + n * x->max * 0x1p-22;
    random_keep(r, t, n * x->max / divided, error / divided, divided == 1 ? x->grain : 0, x->smooth);
}

static void add_window(random_graph *r) {
    random_node x = random_pick(r);
    soma_tensor *t = x.tensor;
    if (t->rank == 0 || t->rank > 6 || is_unsigned(&x)) return;
    int axis = (int)random_draw(r, t->rank);
    int64_t stride = 1 + random_draw(r, 3), dilation = 1 + random_draw(r, 2), size = 1 + random_draw(r, 3);
    if (random_chance(r, 60)) {
        bool fits = (size - 1) * dilation + 1 <= t->shape[axis] && soma_size(t) * size <= r->limit;
        if (fits) random_keep(r, soma_window(t, axis, size, stride, dilation), x.max, x.error, x.grain, x.smooth);
    } else if (axis + 1 < t->rank && t->shape[axis] > 0 && t->shape[axis + 1] > 0) {
        size = t->shape[axis + 1];
        int64_t extent = (t->shape[axis] - 1) * stride + (size - 1) * dilation + 1 + random_draw(r, 3);
        bool half = t->dtype == SOMA_F16 || t->dtype == SOMA_BF16;
        if (half || soma_size(t) / (t->shape[axis] * size) * extent > r->limit) return;
        if (!dtype_is_float(t->dtype) && !random_holds(t->dtype, (double)size * x.max, 0)) return;
        keep_sum(r, soma_unwindow(t, axis, extent, stride, dilation), &x, (double)size, 1);
    }
}

/* A node as (batch, places, channels) or more axes; options that fit windows of size[i]. */
static soma_tensor *places_of(random_graph *r, const random_node *x, int64_t *size, soma_window_options *o) {
    soma_tensor *t = x->tensor;
    if (soma_size(t) == 0 || t->rank > 5) return NULL;
    if (t->rank < 3) t = soma_reshape(t, SOMA_DIMS(1, -1, t->rank > 0 ? t->shape[t->rank - 1] : 1));
    for (int i = 0; t && i < t->rank - 2; i++) {
        size[i] = 1 + random_draw(r, 3);
        o->strides[i] = 1 + random_draw(r, 3);
        o->dilation[i] = 1 + random_draw(r, 2);
        int64_t span = (size[i] - 1) * o->dilation[i] + 1;
        for (int side = 0; side < 2; side++)
            o->pads[i][side] = random_chance(r, 40) ? random_draw(r, span) : 0;
        if (span > t->shape[1 + i] + o->pads[i][0] + o->pads[i][1]) return NULL;
    }
    return t;
}

static void add_pool(random_graph *r) {
    random_node x = random_pick(r);
    if (!random_is_real(&x)) return;
    int64_t size[3] = {1, 1, 1};
    soma_window_options o = {.groups = 0};
    soma_tensor *t = places_of(r, &x, size, &o);
    if (!t || 9 * soma_size(t) > 4 * r->limit) return;
    double n = (double)(size[0] * size[1] * size[2]);
    if (random_chance(r, 60))
        random_keep(r, soma_max_pool(t, size, &o), x.max, x.error, x.grain, x.smooth && x.error == 0);
    else
        keep_sum(r, soma_average_pool(t, size, &o), &x, n, n);
}

/* The kernels are the first elements of another node. */
static void add_convolution(random_graph *r) {
    random_node x = real_of(r, random_pick(r)), y = real_of(r, random_pick(r));
    int64_t size[3] = {1, 1, 1}, shape[5], out = 1 + random_draw(r, 4);
    soma_window_options o = {.groups = 1};
    soma_tensor *t = places_of(r, &x, size, &o);
    if (!t || 16 * soma_size(t) > r->limit) return;
    int n = t->rank - 2;
    int64_t in = t->shape[n + 1];
    bool turned = random_chance(r, 30);
    if (in % 2 == 0 && random_chance(r, 30)) o.groups = 2;
    if (random_chance(r, 25)) o.groups = in;
    memcpy(shape, size, (size_t)n * sizeof *size);
    shape[n] = turned ? out : in / o.groups;
    shape[n + 1] = turned ? in : o.groups * out;
    int64_t taps = size[0] * size[1] * size[2] * in / o.groups, needed = shape_size(n + 2, shape);
    if (needed > soma_size(y.tensor) || soma_size(t) / in * out * o.groups * 8 > r->limit) return;
    soma_tensor *w = soma_slice_axis(soma_reshape(y.tensor, SOMA_DIMS(-1)), 0, 0, needed, 1);
    soma_dtype d = op_promote(t->dtype, w->dtype);
    double ea = promoted(&x, d), eb = promoted(&y, d), most = (double)taps * x.max * y.max;
    bool exact = ea + eb == 0 && random_holds(d, most, x.grain + y.grain);
    double error = (double)taps * (x.max * eb + y.max * ea) + random_summing(d, (double)taps, x.max * y.max);
    w = soma_reshape(w, n + 2, shape);
    if (turned) memset(o.pads, 0, sizeof o.pads);
    t = turned ? soma_conv_transpose(t, w, &o) : soma_conv(t, w, &o);
    if (t && soma_size(t) > r->limit) return;
    random_keep(r, t, most, exact ? 0 : error, x.grain + y.grain, x.smooth && y.smooth);
}

/* Zeros out what a mask of random numbers says, twice, as forward and backward do. */
static void add_dropout(random_graph *r) {
    random_node x = real_of(r, random_pick(r));
    soma_tensor *u =
        soma_random_uniform(r->graph, soma_tensor_dtype(x.tensor), x.tensor->rank, x.tensor->shape, 0, 1, NULL);
    soma_tensor *kept = soma_greater_equal(u, soma_scalar(r->graph, soma_tensor_dtype(x.tensor), 0.25));
    soma_tensor *zero = soma_scalar(r->graph, soma_tensor_dtype(x.tensor), 0);
    random_keep(r, soma_where(kept, soma_mul_scalar(x.tensor, 1.25), zero), 1.25 * x.max, 1.25 * x.error, x.grain + 2,
                x.smooth);
    if (random_chance(r, 50)) random_keep(r, soma_cast(kept, soma_tensor_dtype(x.tensor)), 1, 0, 0, true);
}

/* ---- any of them ---- */

void random_add_op(random_graph *r) {
    void (*const kinds[])(random_graph *) = {
        add_function, add_function,      add_arithmetic, add_arithmetic,  add_arithmetic,  add_single,
        add_choice,   add_reduction,     add_reduction,  add_row_op,      add_matmul,      add_matmul,
        add_view,     add_view,          add_view,       add_arrangement, add_step,        add_cast,
        add_dropout,  random_add_source, add_window,     add_pool,        add_convolution, add_products};
    kinds[random_draw(r, 24)](r);
}
