/* Labels as vectors: to_categorical.
 * Rests on one_hot; the number of classes is looked up in the labels when it is not given.
 * Keras gives float32 whatever the labels are, and so does this. */
#include <soma/train.h>

#include "base/base.h"

soma_tensor *soma_to_categorical(soma_tensor *labels, int64_t classes) {
    if (!labels) return NULL;
    soma_context *context = soma_graph_context(soma_tensor_graph(labels));
    RETURN_NULL_IF(context, classes < 0, SOMA_INVALID, "[to_categorical] %lld classes", (long long)classes);
    int rank = soma_ndim(labels);
    if (rank > 1 && soma_dim(labels, -1) == 1) labels = soma_squeeze(labels, -1);
    if (classes == 0) {
        soma_tensor *largest = soma_cast(soma_max(labels, SOMA_ALL_AXES, false), SOMA_I64);
        const int64_t *value = largest ? soma_data(largest) : NULL;
        if (!value) return NULL;
        RETURN_NULL_IF(context, *value < 0 || *value == INT64_MAX, SOMA_INVALID,
                       "[to_categorical] the largest label is %lld", (long long)*value);
        classes = *value + 1;
    }
    return soma_one_hot(soma_cast(labels, SOMA_I64), classes, SOMA_F32);
}
