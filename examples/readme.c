/* What README.md shows of tensors: a product, and a slice in NumPy's words.
 * The excerpt there is word for word what stands here, which a test checks.
 * Run by the tests. */
#include <soma/soma.h>

int main(void) {
    soma_tensor *x = soma_array(NULL, SOMA_F32, SOMA_DIMS(2, 3), (float[]){1, 2, 3, 4, 5, 6});
    soma_print(soma_matmul(x, soma_transpose(x, NULL))); /* [[14. 32.] [32. 77.]] */
    soma_print(soma_slice(x, "..., ::-1"));              /* NumPy's slices, in its own words */
    return soma_last_status(NULL) == SOMA_OK ? 0 : 1;
}
