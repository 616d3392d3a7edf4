/* NPY files as tensors: the public face of npy.c.
 * Rests on npy.h and the public tensor functions.
 * Apart from npy.c so that the reader itself needs no graph. */
#include <soma/formats.h>

#include "base/error.h"
#include "formats/npy.h"

soma_tensor *soma_npy_load(soma_graph *graph, const char *path) {
    if (!graph) graph = soma_default_graph();
    if (!graph) return NULL;
    soma_context *context = soma_graph_context(graph);
    RETURN_NULL_IF(context, !path, SOMA_INVALID, "[npy_load] no path given");
    file_stream *stream = file_stream_open(context, path, false);
    if (!stream) return NULL;
    elements e;
    const soma_status status = npy_read(context, stream, &e);
    file_stream_close(stream);
    soma_tensor *tensor = status == SOMA_OK ? soma_array(graph, e.dtype, e.rank, e.shape, e.data) : NULL;
    elements_free(&e);
    return tensor;
}

soma_status soma_npy_save(soma_tensor *tensor, const char *path) {
    soma_context *context = tensor ? soma_graph_context(soma_tensor_graph(tensor)) : NULL;
    if (!tensor) { /* the error that made it NULL stays the first */
        return error_set(NULL, SOMA_INVALID, "[npy_save] %s: no tensor was given", path ? path : "");
    }
    RETURN_IF(context, !path, SOMA_INVALID, "[npy_save] no path given");
    const void *data = soma_data(tensor);
    if (!data) return error_get(context);
    const soma_dtype dtype = soma_tensor_dtype(tensor);
    const size_t bytes = (size_t)soma_size(tensor) * soma_dtype_size(dtype);
    return npy_write(context, path, dtype, soma_ndim(tensor), soma_shape(tensor), data, bytes);
}
