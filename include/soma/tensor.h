/* Tensors: nodes of a graph with an op, inputs, a dtype and a concrete shape (rank 0 to 8, row-major).
 * A tensor belongs to its graph's arena: it is never freed alone and gone with the graph.
 * Where a graph is asked for, NULL means the default context's default graph.
 * A function that builds returns NULL after an error, and given a NULL tensor returns NULL and leaves the first error
 * alone, so calls nest safely and one check at the end is enough. */
#ifndef SOMA_TENSOR_H
#define SOMA_TENSOR_H

#include <stdbool.h>

#include <soma/context.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SOMA_MAX_RANK 8

/** Every dtype: X(constant, NumPy's name, bytes). */
#define SOMA_DTYPE_LIST(X)                                                                                             \
    X(SOMA_F32, "float32", 4)                                                                                          \
    X(SOMA_F64, "float64", 8)                                                                                          \
    X(SOMA_F16, "float16", 2)                                                                                          \
    X(SOMA_BF16, "bfloat16", 2)                                                                                        \
    X(SOMA_I8, "int8", 1)                                                                                              \
    X(SOMA_I16, "int16", 2)                                                                                            \
    X(SOMA_I32, "int32", 4)                                                                                            \
    X(SOMA_I64, "int64", 8)                                                                                            \
    X(SOMA_U8, "uint8", 1)                                                                                             \
    X(SOMA_BOOL, "bool", 1)

typedef enum soma_dtype {
#define SOMA_DTYPE_ENUM(name, text, bytes) name,
    SOMA_DTYPE_LIST(SOMA_DTYPE_ENUM)
#undef SOMA_DTYPE_ENUM
        SOMA_DTYPE_COUNT
} soma_dtype;

/** "float32", ...; never NULL. */
SOMA_API const char *soma_dtype_name(soma_dtype dtype);
SOMA_API size_t soma_dtype_size(soma_dtype dtype);

typedef struct soma_tensor soma_tensor;
typedef struct soma_graph soma_graph;
typedef struct soma_variable soma_variable;

/** A shape as two arguments, rank and extents: soma_zeros(graph, SOMA_F32, SOMA_DIMS(2, 3)). */
#define SOMA_DIMS(...)                                                                                                 \
    (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) {                               \
        __VA_ARGS__                                                                                                    \
    }
/** The shape of a scalar, rank 0. */
#define SOMA_SCALAR_DIMS 0, NULL

/* ---- graphs ---- */

SOMA_API soma_graph *soma_graph_create(soma_context *context); /**< NULL after an error */
SOMA_API void soma_graph_destroy(soma_graph *graph);           /**< with all its tensors; NULL does nothing */
/** The context a graph was made with. */
SOMA_API soma_context *soma_graph_context(const soma_graph *graph);
/** The default context's own graph, which NULL stands for. soma_graph_reset forgets all its tensors. */
SOMA_API soma_graph *soma_default_graph(void);
SOMA_API void soma_graph_reset(soma_graph *graph);

/* ---- what a tensor is ---- */

SOMA_API soma_graph *soma_tensor_graph(const soma_tensor *tensor); /**< that it belongs to */
SOMA_API int soma_ndim(const soma_tensor *tensor);                 /**< its rank, from 0 */
SOMA_API const int64_t *soma_shape(const soma_tensor *tensor);     /**< soma_ndim extents */
SOMA_API int64_t soma_dim(const soma_tensor *tensor, int axis);    /* negative axes count from the end */
SOMA_API int64_t soma_size(const soma_tensor *tensor);             /* number of elements */
SOMA_API soma_dtype soma_tensor_dtype(const soma_tensor *tensor);  /**< of its elements */

/* ---- where tensors come from ---- */

/** A constant with the given elements, row-major, copied. */
SOMA_API soma_tensor *soma_array(soma_graph *graph, soma_dtype dtype, int rank, const int64_t *shape, const void *data);
/** As soma_array, but data is borrowed: it must outlive the graph. */
SOMA_API soma_tensor *soma_array_view(soma_graph *graph, soma_dtype dtype, int rank, const int64_t *shape,
                                      const void *data);
/** A rank-0 constant. */
SOMA_API soma_tensor *soma_scalar(soma_graph *graph, soma_dtype dtype, double value);
SOMA_API soma_tensor *soma_full(soma_graph *graph, soma_dtype dtype, int rank, const int64_t *shape, double value);
SOMA_API soma_tensor *soma_zeros(soma_graph *graph, soma_dtype dtype, int rank, const int64_t *shape);
SOMA_API soma_tensor *soma_ones(soma_graph *graph, soma_dtype dtype, int rank, const int64_t *shape);
/** start, start + step, ... below stop, rank 1. NumPy arange. */
SOMA_API soma_tensor *soma_arange(soma_graph *graph, soma_dtype dtype, double start, double stop, double step);
/** A placeholder that soma_plan_bind gives its data. */
SOMA_API soma_tensor *soma_input(soma_graph *graph, soma_dtype dtype, int rank, const int64_t *shape, const char *name);
/** The value that a variable has when the plan starts. */
SOMA_API soma_tensor *soma_read(soma_graph *graph, soma_variable *variable);
/** Uniform in [low, high) / normal. Philox 4x32-10 keyed by the context's seed, the op's place in the graph and step:
 *  a rank-0 int64 tensor that the caller advances, or NULL for none. dtype float32 or float64. */
SOMA_API soma_tensor *soma_random_uniform(soma_graph *graph, soma_dtype dtype, int rank, const int64_t *shape,
                                          double low, double high, soma_tensor *step);
SOMA_API soma_tensor *soma_random_normal(soma_graph *graph, soma_dtype dtype, int rank, const int64_t *shape,
                                         double mean, double stddev, soma_tensor *step);

/* ---- variables: weights and other state that outlive graphs ---- */

/** A variable filled with zeros. name is copied. */
SOMA_API soma_variable *soma_variable_create(soma_context *context, const char *name, soma_dtype dtype, int rank,
                                             const int64_t *shape);
SOMA_API void soma_variable_destroy(soma_variable *variable);
SOMA_API const char *soma_variable_name(const soma_variable *variable);
SOMA_API soma_dtype soma_variable_dtype(const soma_variable *variable);
SOMA_API int soma_variable_ndim(const soma_variable *variable);
SOMA_API const int64_t *soma_variable_shape(const soma_variable *variable);
SOMA_API int64_t soma_variable_size(const soma_variable *variable);
/** Copy all elements in or out, row-major, in the variable's dtype; bytes must be the exact size. */
SOMA_API SOMA_MUST_CHECK soma_status soma_variable_set(soma_variable *variable, const void *data, size_t bytes);
SOMA_API SOMA_MUST_CHECK soma_status soma_variable_get(const soma_variable *variable, void *data, size_t bytes);

/* ---- looking at numbers ---- */

/** Plans and runs what the tensor needs and keeps the result with it. Inputs must not be among it. */
SOMA_API SOMA_MUST_CHECK soma_status soma_eval(soma_tensor *tensor);
/** The elements, row-major, evaluated if need be; NULL after an error. Valid as long as the graph. */
SOMA_API const void *soma_data(soma_tensor *tensor);
/** One element (flat index) as a number; NaN after an error. */
SOMA_API double soma_item(soma_tensor *tensor, int64_t index);
/** Evaluates and writes the tensor to stdout as NumPy's print would, with a newline. Returns the tensor's status. */
SOMA_API soma_status soma_print(soma_tensor *tensor);
/** The same text (no newline) into a string to be freed with soma_string_free; NULL after an error. */
SOMA_API char *soma_to_string(soma_tensor *tensor);
SOMA_API void soma_string_free(char *string);

#ifdef __cplusplus
}
#endif
#endif
