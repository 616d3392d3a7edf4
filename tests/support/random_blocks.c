/* What networks are made of, of random sizes: attention with a mask and shared heads, convolutions that Winograd's
 * transforms serve, steps of a recurrent cell, a cross-entropy, tables of vectors, products of stretched matrices.
 * Op by op the generator seldom draws them, and the compiler has forms of its own for each. Rests on random_nodes.h;
 * weights are small multiples of powers of two, so that the bounds on elements and on rounding stay tight. */
#include <math.h>

#include <soma/ops.h>

#include "ops/build.h"
#include "support/random_nodes.h"

/* ---- parts ---- */

/* Between low and high, both of them drawn. */
static int64_t between(random_graph *r, int64_t low, int64_t high) {
    return low + random_draw(r, high - low + 1);
}

static soma_dtype draw_real(random_graph *r) {
    return random_chance(r, 80) ? SOMA_F32 : SOMA_F64;
}

/* A weight for sums of n products: |w| <= 2 / n, near enough. */
static random_node weight(random_graph *r, soma_dtype d, int rank, const int64_t *shape, int64_t n) {
    random_node w = random_source(r, d, rank, shape, 2);
    int shift = 0;
    while (INT64_C(1) << shift < n)
        shift++;
    w.tensor = soma_mul_scalar(w.tensor, ldexp(1, -shift));
    w.max = ldexp(w.max, -shift);
    w.grain += shift;
    return w;
}

static double rounded(soma_dtype d, double error, double max) {
    return error + 4 * random_epsilon(d) * max;
}

static random_node product(random_node a, random_node b) {
    const soma_dtype d = a.tensor->dtype;
    const double k = (double)a.tensor->shape[a.tensor->rank - 1], most = k * a.max * b.max;
    return (random_node){soma_matmul(a.tensor, b.tensor), most,
                         k * (a.max * b.error + b.max * a.error) + random_summing(d, k, a.max * b.max), 0,
                         a.smooth && b.smooth};
}

static random_node plus(random_node a, random_node b) {
    const double max = a.max + b.max;
    return (random_node){soma_add(a.tensor, b.tensor), max, rounded(a.tensor->dtype, a.error + b.error, max), 0,
                         a.smooth && b.smooth};
}

static random_node times(random_node a, random_node b) {
    const double max = a.max * b.max;
    return (random_node){soma_mul(a.tensor, b.tensor), max,
                         rounded(a.tensor->dtype, a.max * b.error + b.max * a.error, max), 0, a.smooth && b.smooth};
}

/* A function with slopes of at most 1 and values of at most 1. */
static random_node bent(soma_tensor *(*f)(soma_tensor *), random_node x) {
    const soma_dtype d = x.tensor->dtype;
    return (random_node){f(x.tensor), 1, x.error + random_epsilon(d) * (x.max + 16), 0, x.smooth};
}

static void keep(random_graph *r, random_node x) {
    random_keep(r, x.tensor, x.max, x.error, x.grain, x.smooth);
}

/* ---- attention ---- */

/* (batch, length, heads * depth) as (batch, heads, length, depth). */
static soma_tensor *in_heads(soma_tensor *x, int64_t heads) {
    const int64_t depth = x->shape[2] / heads;
    return soma_transpose(soma_reshape(x, SOMA_DIMS(x->shape[0], x->shape[1], heads, depth)), (int[]){0, 2, 1, 3});
}

/* What row i may see of columns: those up to its own place, or a window of them; each row sees one at least. */
static soma_tensor *mask_of(random_graph *r, int64_t rows, int64_t columns) {
    const soma_dtype d = random_chance(r, 50) ? SOMA_I64 : SOMA_F32;
    const int64_t behind = random_draw(r, columns);
    soma_tensor *i = soma_reshape(soma_arange(r->graph, d, 0, (double)rows, 1), SOMA_DIMS(rows, 1));
    soma_tensor *j = soma_reshape(soma_arange(r->graph, d, 0, (double)columns, 1), SOMA_DIMS(1, columns));
    soma_tensor *mask = soma_greater_equal(i, j);
    if (random_chance(r, 40)) {
        soma_tensor *last = soma_add_scalar(j, (double)behind);
        if (columns >= rows) mask = soma_logical_and(mask, soma_less_equal(i, last));
    }
    return mask;
}

static void add_attention(random_graph *r) {
    const soma_dtype d = draw_real(r);
    const int64_t shared = between(r, 1, 3), groups = between(r, 1, 3), depth = between(r, 1, 17);
    const int64_t heads = shared * groups, batch = between(r, 1, 3), columns = between(r, 1, 40);
    const int64_t rows = random_chance(r, 60) ? columns : between(r, 1, 40), width = between(r, 1, 33);
    random_node x = random_source(r, d, SOMA_DIMS(batch, rows, width), 2), y = x;
    if (rows != columns) y = random_source(r, d, SOMA_DIMS(batch, columns, width), 2);
    random_node q = product(x, weight(r, d, SOMA_DIMS(width, heads * depth), width));
    random_node k = product(y, weight(r, d, SOMA_DIMS(width, groups * depth), width));
    random_node v = product(y, weight(r, d, SOMA_DIMS(width, groups * depth), width));
    q.tensor = in_heads(q.tensor, heads);
    k.tensor = in_heads(k.tensor, groups);
    v.tensor = in_heads(v.tensor, groups);
    if (shared > 1) { /* some heads of q look at one of k and v */
        q.tensor = soma_reshape(q.tensor, SOMA_DIMS(batch, groups, shared, rows, depth));
        k.tensor = soma_expand_dims(k.tensor, 2);
        v.tensor = soma_expand_dims(v.tensor, 2);
    }
    k.tensor = op_swap_last(k.tensor);
    random_node scores = product(q, k);
    scores.tensor = soma_mul_scalar(scores.tensor, 1 / (double)depth);
    scores.max /= (double)depth;
    scores.error = rounded(d, scores.error / (double)depth, scores.max);
    soma_tensor *mask = random_chance(r, 70) ? mask_of(r, rows, columns) : NULL;
    if (mask) {
        const double hidden = random_chance(r, 70) ? -INFINITY : -1e9;
        scores.tensor = soma_where(mask, scores.tensor, soma_scalar(r->graph, d, hidden));
    }
    random_node share = {soma_softmax_axis(scores.tensor, -1), 1,
                         2 * scores.error + random_epsilon(d) * (scores.max + 64), 0, true};
    if (random_chance(r, 30)) keep(r, share);
    random_node seen = {soma_matmul(share.tensor, v.tensor), v.max,
                        v.error + (double)columns * v.max * share.error + random_summing(d, (double)columns, v.max), 0,
                        true};
    if (shared > 1) seen.tensor = soma_reshape(seen.tensor, SOMA_DIMS(batch, heads, rows, depth));
    seen.tensor = soma_reshape(soma_transpose(seen.tensor, (int[]){0, 2, 1, 3}), SOMA_DIMS(batch, rows, heads * depth));
    keep(r, seen);
    if (random_chance(r, 70)) keep(r, product(seen, weight(r, d, SOMA_DIMS(heads * depth, width), heads * depth)));
}

/* ---- convolutions ---- */

static void add_picture(random_graph *r) {
    const soma_dtype d = draw_real(r);
    const int64_t n = between(r, 1, 3), h = between(r, 3, 14), w = between(r, 3, 14), in = between(r, 1, 20);
    const int64_t out = between(r, 1, 40), size = random_chance(r, 70) ? 3 : 1 + random_draw(r, 3);
    const int64_t stride = random_chance(r, 70) ? 1 : 2, pad = random_chance(r, 70) ? size / 2 : 0;
    random_node x = random_source(r, d, SOMA_DIMS(n, h, w, in), 2);
    random_node kernel = weight(r, d, SOMA_DIMS(size, size, in, out), size * size * in);
    const soma_window_options o = {.strides = {stride, stride}, .pads = {{pad, pad}, {pad, pad}}};
    if (random_chance(r, 40)) x = bent(soma_tanh, x);
    const double k = (double)(size * size * in);
    random_node y = {soma_conv(x.tensor, kernel.tensor, &o), k * x.max * kernel.max,
                     k * (x.max * kernel.error + kernel.max * x.error) + 4 * random_summing(d, k, x.max * kernel.max),
                     0, true};
    const int64_t shape[] = {out};
    if (random_chance(r, 60)) y = plus(y, random_source(r, d, 1, shape, 2));
    if (random_chance(r, 30)) { /* over all places of a channel, as a normalization has them */
        const double places = (double)(soma_size(y.tensor) / out);
        soma_tensor *mean = soma_mean(y.tensor, 3, (int[]){0, 1, 2}, true);
        const random_node centred = {
            soma_sub(y.tensor, mean), 2 * y.max,
            2 * y.error + random_summing(d, places, y.max) / places + random_epsilon(d) * y.max, 0, true};
        keep(r, centred);
        y = centred;
    }
    if (random_chance(r, 50)) y = bent(random_chance(r, 50) ? soma_tanh : soma_sigmoid, y);
    keep(r, y);
    if (random_chance(r, 40) && y.tensor->shape[1] >= 2 && y.tensor->shape[2] >= 2) {
        y.tensor = soma_max_pool(y.tensor, (int64_t[]){2, 2}, NULL);
        y.smooth = false;
        keep(r, y);
    }
}

/* ---- recurrent cells ---- */

static random_node column_part(random_node x, int64_t i, int64_t of) {
    const int64_t n = x.tensor->shape[1] / of;
    x.tensor = soma_slice_axis(x.tensor, 1, i * n, (i + 1) * n, 1);
    return x;
}

static void add_cell(random_graph *r) {
    const soma_dtype d = draw_real(r);
    const int64_t batch = between(r, 1, 20), in = between(r, 1, 20), units = between(r, 1, 40);
    const int64_t length = between(r, 2, 6);
    const bool gated = random_chance(r, 60), last = random_chance(r, 40);
    const int64_t columns = gated ? 4 * units : units;
    random_node x = random_source(r, d, SOMA_DIMS(batch, length, in), 2);
    random_node w = weight(r, d, SOMA_DIMS(in, columns), in);
    random_node u = weight(r, d, SOMA_DIMS(units, columns), units);
    random_node b = random_source(r, d, SOMA_DIMS(columns), 2), h, c = {.tensor = NULL};
    soma_tensor *states[6];
    const bool before = random_chance(r, 50); /* the product by w of all steps at once */
    random_node all = product(x, w);
    h.tensor = NULL;
    for (int64_t t = 0; t < length; t++) {
        random_node now = before ? all : x;
        now.tensor = soma_reshape(soma_slice_axis(now.tensor, 1, t, t + 1, 1), SOMA_DIMS(batch, -1));
        random_node z = plus(before ? now : product(now, w), b);
        if (h.tensor) z = plus(z, product(h, u));
        if (gated) {
            random_node i = bent(soma_sigmoid, column_part(z, 0, 4)), f = bent(soma_sigmoid, column_part(z, 1, 4));
            random_node g = bent(soma_tanh, column_part(z, 2, 4)), o = bent(soma_sigmoid, column_part(z, 3, 4));
            c = c.tensor ? plus(times(f, c), times(i, g)) : times(i, g);
            h = times(o, bent(soma_tanh, c));
        } else {
            h = bent(soma_tanh, z);
        }
        states[t] = h.tensor;
    }
    if (!last) h.tensor = soma_stack(states, (int)length, 1);
    keep(r, h);
}

/* ---- labels and tables ---- */

static random_node labels(random_graph *r, int64_t n, int64_t classes) {
    static const soma_dtype dtypes[] = {SOMA_I64, SOMA_I32, SOMA_U8, SOMA_F32};
    random_node x = random_source(r, SOMA_F32, SOMA_DIMS(n), 64);
    x.tensor = soma_stop_gradient(x.tensor);
    x.tensor = soma_mod(soma_floor(soma_abs(x.tensor)), soma_scalar(r->graph, SOMA_F32, (double)classes));
    x.tensor = soma_cast(x.tensor, dtypes[random_draw(r, 4)]);
    return x;
}

static void add_loss(random_graph *r) {
    const soma_dtype d = draw_real(r);
    const int64_t n = between(r, 1, 40), classes = between(r, 1, 40), in = between(r, 1, 20);
    random_node x = random_source(r, d, SOMA_DIMS(n, in), 2);
    random_node z = product(x, weight(r, d, SOMA_DIMS(in, classes), in)), y = labels(r, n, classes);
    soma_tensor *lines = soma_log_softmax(z.tensor, 1), *loss;
    if (random_chance(r, 50)) {
        soma_tensor *places = soma_cast(soma_arange(r->graph, SOMA_I64, 0, (double)classes, 1), y.tensor->dtype);
        soma_tensor *hit = soma_equal(soma_expand_dims(y.tensor, 1), soma_expand_dims(places, 0));
        loss = soma_neg(soma_sum(soma_where(hit, lines, soma_scalar(r->graph, d, 0)), 1, (int[]){1}, false));
    } else {
        soma_tensor *index = dtype_is_integer(y.tensor->dtype) ? y.tensor : soma_cast(y.tensor, SOMA_I64);
        loss = soma_neg(soma_sum(soma_mul(lines, soma_one_hot(index, classes, d)), 1, (int[]){1}, false));
    }
    const double most = 2 * z.max + log((double)classes) + 1, count = (double)classes;
    const double error = 4 * z.error + (count + 64) * random_epsilon(d) * most;
    random_keep(r, loss, most, error, 0, true);
    if (random_chance(r, 50)) random_keep(r, soma_mean(loss, 0, NULL, false), most, 2 * error, 0, true);
}

static void add_table(random_graph *r) {
    const soma_dtype d = draw_real(r);
    const int64_t words = between(r, 1, 40), depth = between(r, 1, 33), n = between(r, 1, 40);
    random_node table = random_source(r, d, SOMA_DIMS(words, depth), 2), index = labels(r, n, words);
    if (!dtype_is_integer(index.tensor->dtype)) index.tensor = soma_cast(index.tensor, SOMA_I32);
    table.tensor = soma_gather(table.tensor, index.tensor, 0);
    keep(r, table);
    if (random_chance(r, 50)) keep(r, product(table, weight(r, d, SOMA_DIMS(depth, n), depth)));
}

/* ---- products of stretched matrices ---- */

/* An operand over all of the batch axes, stretched along some, transposed in memory or not, cut out of a larger one. */
static random_node operand(random_graph *r, soma_dtype d, int axes, const int64_t *batch, int64_t rows,
                           int64_t columns) {
    int64_t shape[SOMA_MAX_RANK], whole[SOMA_MAX_RANK];
    const bool turned = random_chance(r, 40), cut = random_chance(r, 30);
    for (int i = 0; i < axes; i++)
        shape[i] = random_chance(r, 50) ? 1 : batch[i], whole[i] = batch[i];
    shape[axes] = (turned ? columns : rows) + (cut ? 1 + random_draw(r, 3) : 0);
    shape[axes + 1] = turned ? rows : columns;
    random_node x = random_source(r, d, axes + 2, shape, 2);
    if (cut) x.tensor = soma_slice_axis(x.tensor, axes, 1, 1 + (turned ? columns : rows), 1);
    if (turned) x.tensor = op_swap_last(x.tensor);
    whole[axes] = rows;
    whole[axes + 1] = columns;
    if (random_chance(r, 50)) x.tensor = soma_expand(x.tensor, axes + 2, whole);
    if (random_chance(r, 25)) x.tensor = soma_sin(x.tensor), x.error = 16 * random_epsilon(d);
    return x;
}

static void add_stretched(random_graph *r) {
    const soma_dtype d = draw_real(r);
    int64_t batch[4], size = 1;
    const int axes = 1 + (int)random_draw(r, 3);
    for (int i = 0; i < axes; i++)
        size *= batch[i] = random_chance(r, 30) ? between(r, 1, 34) : between(r, 1, 4);
    const int64_t m = random_chance(r, 50) ? between(r, 1, 3) : between(r, 1, 20), k = between(r, 1, 20);
    const int64_t n = random_chance(r, 30) ? between(r, 60, 140) : between(r, 1, 34);
    if (size * (m > k ? m : k) * (n > k ? n : k) > 20 * r->limit) return;
    random_node y = product(operand(r, d, axes, batch, m, k), operand(r, d, axes, batch, k, n));
    if (random_chance(r, 40)) y = plus(y, random_source(r, d, SOMA_DIMS(n), 2));
    keep(r, y);
    if (random_chance(r, 30)) {
        y.tensor = soma_sum(y.tensor, 1, (int[]){-1}, true);
        y.error = (double)n * y.error + random_summing(d, (double)n, y.max);
        y.max *= (double)n;
        keep(r, y);
    }
}

void random_add_block(random_graph *r) {
    void (*const kinds[])(random_graph *) = {add_attention, add_picture, add_cell, add_loss, add_table, add_stretched};
    kinds[random_draw(r, 6)](r);
}
