/* One element of an array of any dtype, read and written as a double or as an int64.
 * Rests on half.h. A switch a function: the only places that know how a dtype lies in memory. */
#include "cpu/reference/element.h"

#include <math.h>

#include "cpu/reference/half.h"

static int64_t saturate(double value, int64_t low, int64_t high) {
    if (isnan(value)) return 0;
    if (value <= (double)low) return low;
    if (value >= (double)high) return high;
    return (int64_t)value;
}

double element_get(soma_dtype dtype, const void *data, int64_t i) {
    switch (dtype) {
    case SOMA_F32:
        return (double)((const float *)data)[i];
    case SOMA_F64:
        return ((const double *)data)[i];
    case SOMA_F16:
        return half_to_double(((const uint16_t *)data)[i]);
    case SOMA_BF16:
        return bfloat_to_double(((const uint16_t *)data)[i]);
    default:
        return (double)element_get_int(dtype, data, i);
    }
}

int64_t element_get_int(soma_dtype dtype, const void *data, int64_t i) {
    switch (dtype) {
    case SOMA_I8:
        return ((const int8_t *)data)[i];
    case SOMA_I16:
        return ((const int16_t *)data)[i];
    case SOMA_I32:
        return ((const int32_t *)data)[i];
    case SOMA_I64:
        return ((const int64_t *)data)[i];
    case SOMA_U8:
        return ((const uint8_t *)data)[i];
    case SOMA_BOOL:
        return ((const uint8_t *)data)[i] != 0;
    default:
        return saturate(element_get(dtype, data, i), INT64_MIN, INT64_MAX);
    }
}

void element_set(soma_dtype dtype, void *data, int64_t i, double value) {
    switch (dtype) {
    case SOMA_F32:
        ((float *)data)[i] = (float)value;
        break;
    case SOMA_F64:
        ((double *)data)[i] = value;
        break;
    case SOMA_F16:
        ((uint16_t *)data)[i] = half_from_double(value);
        break;
    case SOMA_BF16:
        ((uint16_t *)data)[i] = bfloat_from_double(value);
        break;
    case SOMA_I8:
        ((int8_t *)data)[i] = (int8_t)saturate(value, INT8_MIN, INT8_MAX);
        break;
    case SOMA_I16:
        ((int16_t *)data)[i] = (int16_t)saturate(value, INT16_MIN, INT16_MAX);
        break;
    case SOMA_I32:
        ((int32_t *)data)[i] = (int32_t)saturate(value, INT32_MIN, INT32_MAX);
        break;
    case SOMA_I64:
        ((int64_t *)data)[i] = saturate(value, INT64_MIN, INT64_MAX);
        break;
    case SOMA_U8:
        ((uint8_t *)data)[i] = (uint8_t)saturate(value, 0, UINT8_MAX);
        break;
    default:
        ((uint8_t *)data)[i] = value != 0;
    }
}

void element_set_int(soma_dtype dtype, void *data, int64_t i, int64_t value) {
    switch (dtype) {
    case SOMA_F32:
        ((float *)data)[i] = (float)value; /* not by way of double, which would round twice */
        break;
    case SOMA_I8:
        ((int8_t *)data)[i] = (int8_t)value;
        break;
    case SOMA_I16:
        ((int16_t *)data)[i] = (int16_t)value;
        break;
    case SOMA_I32:
        ((int32_t *)data)[i] = (int32_t)value;
        break;
    case SOMA_I64:
        ((int64_t *)data)[i] = value;
        break;
    case SOMA_U8:
        ((uint8_t *)data)[i] = (uint8_t)value;
        break;
    case SOMA_BOOL:
        ((uint8_t *)data)[i] = value != 0;
        break;
    default:
        element_set(dtype, data, i, (double)value);
    }
}
