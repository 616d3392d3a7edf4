/* Sample weights: made once before the first step, gathered for each batch in the order of its samples.
 * Rests on sample_weights.h. A class' weight is a factor of the weights of its samples, as in Keras. */
#include "train/sample_weights.h"

#include <math.h>
#include <string.h>

/* Class numbers of n samples: labels that are whole numbers, or the place of the largest of several. */
static const int64_t *classes_of(soma_graph *graph, const char *what, const soma_dataset *data, int64_t n) {
    soma_array_data y = soma_dataset_y(data);
    int64_t shape[SOMA_MAX_RANK];
    memcpy(shape, y.shape, (size_t)y.rank * sizeof *shape);
    shape[0] = n;
    soma_tensor *labels = soma_array_view(graph, y.dtype, y.rank, shape, y.data);
    if (labels && soma_size(labels) != n) labels = soma_argmax(labels, -1, false);
    RETURN_NULL_IF(soma_graph_context(graph), labels && soma_size(labels) != n, SOMA_SHAPE,
                   "[%s] class_weight needs one class a sample", what);
    return soma_data(soma_cast(labels, SOMA_I64));
}

soma_status sample_weights_by_class(sample_weights *w, soma_model *model, const char *what, const soma_dataset *data,
                                    const double *each, int n) {
    RETURN_IF(model->context, model->n_outputs > 1, SOMA_UNSUPPORTED,
              "[%s] class_weight is for models of one output, this one has %d: sample_weight does", what,
              model->n_outputs);
    soma_graph *graph = soma_graph_create(model->context);
    const int64_t *classes = graph ? classes_of(graph, what, data, w->n) : NULL;
    soma_status status = classes ? SOMA_OK : training_failure(model);
    for (int i = 0; i < n && status == SOMA_OK; i++) {
        if (!isfinite(each[i]))
            status = error_set(model->context, SOMA_INVALID, "[%s] the weight of class %d is %g", what, i, each[i]);
    }
    for (int64_t i = 0; i < w->n && status == SOMA_OK; i++) {
        if (classes[i] >= 0 && classes[i] < n) {
            w->all[i] *= (float)each[classes[i]];
        } else {
            status = error_set(model->context, SOMA_INVALID, "[%s] sample %lld is of class %lld: there are %d weights",
                               what, (long long)i, (long long)classes[i], n);
        }
    }
    soma_graph_destroy(graph);
    return status;
}

soma_status sample_weights_init(sample_weights *w, soma_model *model, const char *what, const double *each, int64_t n,
                                int64_t batch) {
    w->all = mem_alloc(model->context, (size_t)n * sizeof *w->all);
    if (!w->all) return SOMA_NO_MEMORY;
    w->n = n;
    w->batch = mem_alloc(model->context, (size_t)batch * sizeof *w->batch);
    if (!w->batch) return SOMA_NO_MEMORY;
    w->size = batch;
    for (int64_t i = 0; i < n; i++) {
        w->all[i] = each ? (float)each[i] : 1;
        RETURN_IF(model->context, !isfinite(w->all[i]), SOMA_INVALID, "[%s] the weight of sample %lld is %g", what,
                  (long long)i, each ? each[i] : 1);
    }
    return SOMA_OK;
}

void sample_weights_deinit(sample_weights *w, const soma_model *model) {
    mem_free(model->context, w->all, (size_t)w->n * sizeof *w->all);
    mem_free(model->context, w->batch, (size_t)w->size * sizeof *w->batch);
    *w = (sample_weights){0};
}

const float *sample_weights_of(sample_weights *w, const batches *from, const batch_rows *b) {
    if (!w->all) return NULL;
    if (!b->order) return w->all + (from->next - 1) * from->size;
    for (int64_t i = 0; i < b->count; i++)
        w->batch[i] = w->all[b->order[i]];
    return w->batch;
}
