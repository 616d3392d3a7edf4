/* Two or three maps that kernels do as one: multiply-add, subtracted product, division by a root, running averages.
 * Rests on build.h. Nobody builds these but the compiler (join_maps.c), once it knows that the inner result has no
 * other reader: a multiply-add rounds once, so which sums are one must not depend on what else a step computes. */
#include <soma/ops.h>

#include "ops/build.h"

static void vjp_multiply_add(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    if (needed[0]) dx[0] = soma_mul(dy, y->inputs[1]);
    if (needed[1]) dx[1] = soma_mul(dy, y->inputs[0]);
    if (needed[2]) dx[2] = dy;
}

static void vjp_subtract_product(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    if (needed[0]) dx[0] = soma_neg(soma_mul(dy, y->inputs[1]));
    if (needed[1]) dx[1] = soma_neg(soma_mul(dy, y->inputs[0]));
    if (needed[2]) dx[2] = dy;
}

static void vjp_divide_root(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    soma_tensor *b = y->inputs[1];
    if (needed[0]) dx[0] = soma_mul(dy, soma_rsqrt(b));
    if (needed[1]) dx[1] = soma_mul_scalar(soma_mul(dy, soma_div(y, b)), -0.5);
}

static void vjp_divide_root_of_sum(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    soma_tensor *sum = soma_add(y->inputs[1], y->inputs[2]);
    if (needed[0]) dx[0] = soma_mul(dy, soma_rsqrt(sum));
    if (needed[1]) dx[1] = soma_mul_scalar(soma_mul(dy, soma_div(y, sum)), -0.5);
    if (needed[2]) dx[2] = soma_mul_scalar(soma_mul(dy, soma_div(y, sum)), -0.5);
}

/* Of b, or of its square: what the step towards it changes. */
static void vjp_towards(soma_tensor *y, soma_tensor *dy, soma_tensor *target, const bool *needed, soma_tensor **dx) {
    soma_tensor *a = y->inputs[0], *c = y->inputs[2];
    if (needed[0]) dx[0] = soma_sub(dy, soma_mul(dy, c));
    if (needed[1]) dx[1] = soma_mul(dy, c);
    if (needed[2]) dx[2] = soma_mul(dy, soma_sub(target, a));
}

static void vjp_blend(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    vjp_towards(y, dy, y->inputs[1], needed, dx);
}

static void vjp_blend_square(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    vjp_towards(y, dy, soma_square(y->inputs[1]), needed, dx);
    if (needed[1]) dx[1] = soma_mul(dx[1], soma_mul_scalar(y->inputs[1], 2));
}

static void vjp_divide_root_plus(soma_tensor *y, soma_tensor *dy, const bool *needed, soma_tensor **dx) {
    soma_tensor *root = soma_sqrt(y->inputs[1]), *da = soma_div(dy, soma_add(root, y->inputs[2]));
    if (needed[0]) dx[0] = da;
    if (needed[1]) dx[1] = soma_mul_scalar(soma_div(soma_mul(da, y), root), -0.5);
    if (needed[2]) dx[2] = soma_neg(soma_mul(da, y));
}

#define JOINED(name, code, n, text, low, high)                                                                         \
    static soma_tensor *build_##name(soma_tensor *const *xs) {                                                         \
        return op_map_float(&op_##name, n, (soma_tensor *[]){xs[0], xs[1], n == 3 ? xs[2] : NULL});                    \
    }                                                                                                                  \
    static const op_sample samples_##name[] = {                                                                        \
        {"vectors",                                                                                                    \
         build_##name,                                                                                                 \
         n,                                                                                                            \
         {{SOMA_F32, 1, {37}, -2, 2}, {SOMA_F32, 1, {37}, low, high}, {SOMA_F32, 1, {37}, -2, 2}}},                    \
        {"rows",                                                                                                       \
         build_##name,                                                                                                 \
         n,                                                                                                            \
         {{SOMA_F32, 2, {5, 1}, -2, 2}, {SOMA_F32, 1, {33}, low, high}, {SOMA_F32, 2, {5, 33}, -2, 2}}},               \
        {"empty",                                                                                                      \
         build_##name,                                                                                                 \
         n,                                                                                                            \
         {{SOMA_F32, 2, {0, 3}, -2, 2}, {SOMA_F32, 1, {3}, low, high}, {SOMA_F32, 0, {0}, -2, 2}}},                    \
        {NULL, NULL, 0, {{SOMA_F32, 0, {0}, 0, 0}}}};                                                                  \
    const op op_##name = {#name,                                                                                       \
                          text,                                                                                        \
                          OP_MAP,                                                                                      \
                          code,                                                                                        \
                          n,                                                                                           \
                          n,                                                                                           \
                          op_infer_float,                                                                              \
                          vjp_##name,                                                                                  \
                          NULL,                                                                                        \
                          op_reference_map,                                                                            \
                          NULL,                                                                                        \
                          OP_SAMPLES(samples_##name)};

JOINED(multiply_add, CPU_FMA, 3, "y = a*b + c", -2, 2)
JOINED(subtract_product, CPU_FNMA, 3, "y = c - a*b", -2, 2)
JOINED(divide_root, CPU_MUL_RSQRT, 2, "y = a / sqrt b", 0.5, 3)
JOINED(divide_root_of_sum, CPU_MUL_RSQRT_SUM, 3, "y = a / sqrt(b + c)", 2.5, 5)
JOINED(blend, CPU_BLEND, 3, "y = a + (b - a)*c", -2, 2)
JOINED(blend_square, CPU_BLEND_SQUARE, 3, "y = a + (b*b - a)*c", -2, 2)
JOINED(divide_root_plus, CPU_DIV_ROOT_PLUS, 3, "y = a / (sqrt b + c)", 5, 9)
