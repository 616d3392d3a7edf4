/* Shapes: counting, comparing and writing them.
 * Rests on base's checked products. A shape is always a rank and that many int64 extents. */
#include <string.h>

#include "tensor/node.h"

int64_t shape_size(int rank, const int64_t *shape) {
    int64_t size = 1;
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0) return -1;
        if (shape[i] == 0) {
            empty = true;
        } else if (!int64_mul_checked(size, shape[i], &size)) {
            return -1;
        }
    }
    return empty ? 0 : size;
}

bool shape_equal(int rank_a, const int64_t *a, int rank_b, const int64_t *b) {
    if (rank_a != rank_b) return false;
    for (int i = 0; i < rank_a; i++)
        if (a[i] != b[i]) return false;
    return true;
}

const char *shape_text(char buffer[SHAPE_TEXT], int rank, const int64_t *shape) {
    int length = number_format(buffer, SHAPE_TEXT, "(");
    for (int i = 0; i < rank && i < SOMA_MAX_RANK; i++)
        length += number_format(buffer + length, (size_t)(SHAPE_TEXT - length), i == 0 ? "%lld" : ",%lld",
                                (long long)shape[i]);
    number_format(buffer + length, (size_t)(SHAPE_TEXT - length), rank == 1 ? ",)" : ")");
    return buffer;
}

const char *tensor_shape_text(char buffer[SHAPE_TEXT], const soma_tensor *tensor) {
    return shape_text(buffer, tensor->rank, tensor->shape);
}
