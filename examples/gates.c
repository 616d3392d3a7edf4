/* Gates: what backpropagation does at an addition, a multiplication and a maximum. The forward pass computes values
 * from the inputs to the result, the backward pass slopes from the result to the inputs: how much it grows when this
 * value grows by a little. An addition hands its slope on to both inputs, a multiplication to each times the other one,
 * a maximum to the larger one alone. Then the same of a sigmoid neuron, and a step of gradient descent by hand. Run by
 * the tests. */
#include <stdio.h>

#include <soma/soma.h>

enum { MOST = 16 };

/* Both passes: a line for each value, with its slope d(result)/d(value). The last value is the result. */
static bool show(const char *title, int n, soma_tensor **values, const char *const *names) {
    soma_tensor *slopes[MOST];
    if (soma_grad(values[n - 1], values, n, slopes) != SOMA_OK) return false;
    printf("%s\n  %-14s %8s %8s\n", title, "", "forward", "backward");
    for (int i = 0; i < n; i++)
        printf("  %-14s %8.4g %8.4g\n", names[i], soma_item(values[i], 0), soma_item(slopes[i], 0));
    return true;
}

static soma_tensor *number(double value) {
    return soma_scalar(NULL, SOMA_F64, value);
}

static bool gates(void) {
    soma_tensor *x = number(3), *y = number(-4), *z = number(2), *w = number(-1);
    soma_tensor *product = soma_mul(x, y), *largest = soma_maximum(z, w), *sum = soma_add(product, largest);
    soma_tensor *result = soma_mul(sum, number(2));
    return show("2 (x y + max(z, w))", 8, (soma_tensor *[]){x, y, z, w, product, largest, sum, result},
                (const char *[]){"x", "y", "z", "w", "x y", "max(z, w)", "their sum", "result"});
}

static bool neuron(void) {
    soma_tensor *w0 = number(2), *x0 = number(-1), *w1 = number(-3), *x1 = number(-2), *b = number(-3);
    soma_tensor *dot = soma_add(soma_add(soma_mul(w0, x0), soma_mul(w1, x1)), b), *p = soma_sigmoid(dot);
    return show("a neuron: sigmoid(w0 x0 + w1 x1 + b)", 7, (soma_tensor *[]){w0, x0, w1, x1, b, dot, p},
                (const char *[]){"w0", "x0", "w1", "x1", "b", "w x + b", "sigmoid"});
}

/* w -= rate dL/dw, until w is what makes L = (w x - y)^2 smallest: y / x. */
static bool descent(void) {
    soma_variable *w = soma_variable_create(NULL, "w", SOMA_F64, SOMA_SCALAR_DIMS);
    soma_tensor *value = soma_read(NULL, w), *slope = NULL;
    soma_tensor *loss = soma_square(soma_sub(soma_mul(value, number(2)), number(6)));
    if (soma_grad(loss, &value, 1, &slope) != SOMA_OK) return false;
    soma_tensor *step = soma_assign(w, soma_sub(value, soma_mul_scalar(slope, 0.05)));
    soma_plan *plan = soma_plan_create((soma_tensor *[]){step, value, loss, slope}, 4, NULL);
    soma_status status = plan ? SOMA_OK : SOMA_INVALID;
    printf("gradient descent: (2 w - 6)^2, rate 0.05\n  step        w     loss    slope\n");
    for (int i = 0; i < 6 && status == SOMA_OK; i++) {
        status = soma_plan_run(plan);
        const double *now = soma_plan_output(plan, 1), *l = soma_plan_output(plan, 2), *d = soma_plan_output(plan, 3);
        printf("  %4d %8.4f %8.4f %8.4f\n", i, *now, *l, *d);
    }
    soma_plan_destroy(plan);
    soma_variable_destroy(w);
    return status == SOMA_OK;
}

int main(void) {
    if (gates() && neuron() && descent()) return 0;
    fprintf(stderr, "%s\n", soma_last_error(NULL));
    return 1;
}
