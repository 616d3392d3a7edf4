/* The dtypes of safetensors: their names, sizes in bits, and what they are in Soma.
 * Rests on the public dtypes; shared by the reader and the writer.
 * SOMA_DTYPE_COUNT: Soma has no such dtype. */
#ifndef FORMATS_SAFETENSORS_DTYPE_H
#define FORMATS_SAFETENSORS_DTYPE_H

#include <soma/tensor.h>

typedef struct safetensors_dtype {
    const char *name;
    unsigned bits;
    soma_dtype dtype;
} safetensors_dtype;

/* NULL if there is none. */
const safetensors_dtype *safetensors_dtype_named(const char *name);
const safetensors_dtype *safetensors_dtype_of(soma_dtype dtype);

#endif
