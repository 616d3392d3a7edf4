/* One element of an array of any dtype, read and written as a double or as an int64.
 * Rests on the public dtypes and on half.h. Everything plain and generic over dtypes is written with these. */
#ifndef CPU_REFERENCE_ELEMENT_H
#define CPU_REFERENCE_ELEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include <soma/tensor.h>

/* Integers and bool: computed in int64. */
static inline bool element_integral(soma_dtype dtype) {
    return dtype >= SOMA_I8;
}

double element_get(soma_dtype dtype, const void *data, int64_t i);
/* Floats truncate toward zero and saturate; NaN gives 0. */
int64_t element_get_int(soma_dtype dtype, const void *data, int64_t i);
/* Rounds once. Integers: truncates toward zero, saturating at the dtype's ends; NaN gives 0. bool: value != 0. */
void element_set(soma_dtype dtype, void *data, int64_t i, double value);
/* Integers wrap around; bool: value != 0. */
void element_set_int(soma_dtype dtype, void *data, int64_t i, int64_t value);

#endif
