/* Dtypes: names, sizes and families.
 * Rests on the public list alone, so that a new dtype is one line there.
 * Floats come first in the list, then integers, then bool. */
#include "tensor/node.h"

const char *soma_dtype_name(soma_dtype dtype) {
    static const char *const names[] = {
#define NAME(constant, text, bytes) text,
        SOMA_DTYPE_LIST(NAME)
#undef NAME
    };
    return (unsigned)dtype < SOMA_DTYPE_COUNT ? names[dtype] : "unknown dtype";
}

size_t soma_dtype_size(soma_dtype dtype) {
    static const size_t sizes[] = {
#define SIZE(constant, text, bytes) bytes,
        SOMA_DTYPE_LIST(SIZE)
#undef SIZE
    };
    return (unsigned)dtype < SOMA_DTYPE_COUNT ? sizes[dtype] : 0;
}

bool dtype_is_float(soma_dtype dtype) {
    return dtype == SOMA_F32 || dtype == SOMA_F64 || dtype == SOMA_F16 || dtype == SOMA_BF16;
}

bool dtype_is_integer(soma_dtype dtype) {
    return (unsigned)dtype < SOMA_DTYPE_COUNT && !dtype_is_float(dtype) && dtype != SOMA_BOOL;
}
