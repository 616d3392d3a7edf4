/* Variables: arrays that outlive graphs, such as weights and optimizer state.
 * Rests on base's memory. Elements lie row-major, or in the panels that a contraction reads without packing;
 * setting and getting are always row-major, so nobody else needs to know. */
#include <string.h>

#include "base/context_internal.h"
#include "tensor/node.h"

enum { SLACK = 64 }; /* kernels read whole vectors: so much may be read behind the last element */

/* The variable as a stack of matrices; fewer axes than two make one row. */
static void matrices(const soma_variable *v, int64_t *batches, int64_t *rows, int64_t *columns) {
    *columns = v->rank >= 1 ? v->shape[v->rank - 1] : 1;
    *rows = v->rank >= 2 ? v->shape[v->rank - 2] : 1;
    *batches = v->rank >= 3 ? shape_size(v->rank - 2, v->shape) : 1;
}

/* Bytes that the elements take in panels of the width, slack included; false on overflow. */
static bool bytes_for(const soma_variable *v, int64_t width, size_t *bytes) {
    int64_t elements = v->size, batches, rows, columns;
    if (width > 0) {
        matrices(v, &batches, &rows, &columns);
        if (!int64_add_checked(columns, width - 1, &columns)) return false;
        columns -= columns % width;
        if (!int64_mul_checked(columns, rows, &elements) || !int64_mul_checked(elements, batches, &elements))
            return false;
    }
    return size_mul((size_t)elements, soma_dtype_size(v->dtype), bytes) && size_add(*bytes, 2 * SLACK - 1, bytes) &&
           (*bytes -= *bytes % SLACK, true);
}

/* Copies all elements between the variable's panels and a row-major array. */
static void copy_panels(const soma_variable *v, int64_t width, char *panels, char *dense, bool to_panels) {
    int64_t batches, rows, columns;
    matrices(v, &batches, &rows, &columns);
    size_t element = soma_dtype_size(v->dtype);
    for (int64_t batch = 0; batch < batches; batch++) {
        for (int64_t c = 0; c < columns; c += width) {
            int64_t count = columns - c < width ? columns - c : width;
            for (int64_t r = 0; r < rows; r++) {
                if (to_panels) {
                    memcpy(panels, dense + (size_t)(r * columns + c) * element, (size_t)count * element);
                } else {
                    memcpy(dense + (size_t)(r * columns + c) * element, panels, (size_t)count * element);
                }
                panels += (size_t)width * element;
            }
        }
        dense += (size_t)(rows * columns) * element;
    }
}

soma_variable *soma_variable_create(soma_context *context, const char *name, soma_dtype dtype, int rank,
                                    const int64_t *shape) {
    context = context_of(context);
    if (!name) name = "";
    RETURN_NULL_IF(context, (unsigned)dtype >= SOMA_DTYPE_COUNT, SOMA_DTYPE, "[variable] %s: unknown dtype %d", name,
                   (int)dtype);
    RETURN_NULL_IF(context, !shape_given(rank, shape), SOMA_SHAPE,
                   "[variable] %s: rank %d is not in 0 to %d, or no shape is given", name, rank, SOMA_MAX_RANK);
    char buffer[SHAPE_TEXT];
    int64_t size = shape_size(rank, shape);
    RETURN_NULL_IF(context, size < 0, SOMA_SHAPE, "[variable] %s: %s is negative or too large", name,
                   shape_text(buffer, rank, shape));
    soma_variable *v = mem_zalloc(context, sizeof *v);
    if (!v) return NULL;
    v->context = context;
    v->dtype = dtype;
    v->rank = rank;
    v->size = size;
    v->trainable = true;
    if (rank > 0) memcpy(v->shape, shape, (size_t)rank * sizeof *shape);
    if (!bytes_for(v, 0, &v->bytes)) {
        (void)error_set(context, SOMA_SHAPE, "[variable] %s: %s is too large", name, shape_text(buffer, rank, shape));
        v->bytes = 0;
    } else {
        v->data = mem_zalloc(context, v->bytes);
        v->name = v->data ? mem_alloc(context, strlen(name) + 1) : NULL;
    }
    if (!v->name) {
        error_explain(context, " for '%s' %s", name, shape_text(buffer, rank, shape));
        soma_variable_destroy(v);
        return NULL;
    }
    memcpy(v->name, name, strlen(name) + 1);
    return v;
}

void soma_variable_destroy(soma_variable *variable) {
    if (!variable) return;
    if (variable->name) mem_free(variable->context, variable->name, strlen(variable->name) + 1);
    if (variable->data) mem_free(variable->context, variable->data, variable->bytes);
    mem_free(variable->context, variable, sizeof *variable);
}

const char *soma_variable_name(const soma_variable *variable) {
    return variable ? variable->name : "";
}
soma_dtype soma_variable_dtype(const soma_variable *variable) {
    return variable ? variable->dtype : SOMA_F32;
}
int soma_variable_ndim(const soma_variable *variable) {
    return variable ? variable->rank : 0;
}
const int64_t *soma_variable_shape(const soma_variable *variable) {
    return variable ? variable->shape : NULL;
}
int64_t soma_variable_size(const soma_variable *variable) {
    return variable ? variable->size : 0;
}

static soma_status check_bytes(const soma_variable *v, const char *verb, const void *data, size_t bytes) {
    RETURN_IF(NULL, !v, SOMA_INVALID, "[variable] %s: no variable given", verb);
    size_t expected = (size_t)v->size * soma_dtype_size(v->dtype);
    RETURN_IF(v->context, bytes != expected, SOMA_SHAPE, "[variable] %s %s: %zu bytes given, its %lld x %s are %zu",
              verb, v->name, bytes, (long long)v->size, soma_dtype_name(v->dtype), expected);
    RETURN_IF(v->context, !data && bytes > 0, SOMA_INVALID, "[variable] %s %s: data is NULL", verb, v->name);
    return SOMA_OK;
}

soma_status soma_variable_set(soma_variable *variable, const void *data, size_t bytes) {
    TRY(check_bytes(variable, "set", data, bytes));
    if (bytes == 0) return SOMA_OK;
    if (variable->width > 0) {
        copy_panels(variable, variable->width, variable->data, (char *)(uintptr_t)data, true);
    } else {
        memcpy(variable->data, data, bytes);
    }
    return SOMA_OK;
}

soma_status soma_variable_get(const soma_variable *variable, void *data, size_t bytes) {
    TRY(check_bytes(variable, "get", data, bytes));
    if (bytes == 0) return SOMA_OK;
    if (variable->width > 0) {
        copy_panels(variable, variable->width, variable->data, data, false);
    } else {
        memcpy(data, variable->data, bytes);
    }
    return SOMA_OK;
}

soma_status variable_set_width(soma_variable *variable, int64_t width) {
    soma_variable *v = variable;
    if (v->width == width) return SOMA_OK;
    RETURN_IF(v->context, width < 0, SOMA_INVALID, "[variable] %s: panel width %lld", v->name, (long long)width);
    if (v->width > 0 && width > 0) TRY(variable_set_width(v, 0));
    size_t bytes;
    RETURN_IF(v->context, !bytes_for(v, width, &bytes), SOMA_SHAPE, "[variable] %s is too large for panels of %lld",
              v->name, (long long)width);
    char *data = mem_zalloc(v->context, bytes);
    if (!data) return SOMA_NO_MEMORY;
    if (v->size > 0) {
        if (width > 0) {
            copy_panels(v, width, data, v->data, true);
        } else {
            copy_panels(v, v->width, v->data, data, false);
        }
    }
    mem_free(v->context, v->data, v->bytes);
    v->data = data;
    v->bytes = bytes;
    v->width = width;
    return SOMA_OK;
}
