/* A program as a user of the installed library would write it: adds two tensors and checks the sum.
 * Rests on the installed copy alone; tests/install/run.sh builds it by pkg-config and by CMake. */
#include <soma/soma.h>
#include <stdio.h>

int main(void) {
    soma_tensor *a = soma_arange(NULL, SOMA_F32, 0, 4, 1);
    soma_tensor *sum = soma_add(a, soma_scalar(NULL, SOMA_F32, 0.5));
    printf("soma %s: 3 + 0.5 = %g\n", soma_version(), soma_item(sum, 3));
    return soma_item(sum, 3) == 3.5 ? 0 : 1;
}
