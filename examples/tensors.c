/* Tensors: arrays of numbers, as NumPy has them: shapes, slices, arithmetic, gradients.
 * Nothing is computed until it is looked at; soma_print looks.
 * Run by the tests. */
#include <stdio.h>

#include <soma/soma.h>

int main(void) {
    /* A tensor of rank 2: three samples with four features. */
    const float numbers[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    soma_tensor *x = soma_array(NULL, SOMA_F32, SOMA_DIMS(3, 4), numbers);
    printf("ndim %d, shape (%lld, %lld), dtype %s\n", soma_ndim(x), (long long)soma_dim(x, 0),
           (long long)soma_dim(x, 1), soma_dtype_name(soma_tensor_dtype(x)));
    soma_print(x);

    /* Slices, as in NumPy; they cost nothing. */
    soma_print(soma_slice(x, "1:"));
    soma_print(soma_slice(x, ":, ::-1"));
    soma_print(soma_slice(x, "..., 0"));

    /* Element by element, with broadcasting; along axes; products. */
    soma_tensor *mean = soma_mean(x, SOMA_AXES(0), false);
    soma_print(soma_sub(x, mean));
    soma_print(soma_relu(soma_sub(x, mean)));
    soma_print(soma_matmul(x, soma_transpose(x, NULL)));
    soma_print(soma_round(soma_mul_scalar(soma_softmax(soma_slice(x, "0")), 100))); /* in percent */

    /* The gradient of sum(x^3), 3 x^2, is a tensor like any other; so is the gradient of the gradient. */
    soma_tensor *cubes = soma_sum(soma_pow_scalar(x, 3), SOMA_ALL_AXES, false), *slope, *curvature;
    if (soma_grad(cubes, &x, 1, &slope) != SOMA_OK) return 1;
    soma_print(slope);
    if (soma_grad(soma_sum(slope, SOMA_ALL_AXES, false), &x, 1, &curvature) != SOMA_OK) return 1;
    soma_print(curvature);

    /* Mistakes give NULL and a text; what is built on NULL is NULL. */
    soma_print(soma_add(soma_matmul(x, x), x));
    printf("%s\n", soma_last_error(NULL));
    return 0;
}
