/* Datasets of IDX files, found by the names MNIST's files have.
 * Rests on idx.h and dataset.h.
 * Both spellings that go round, plain before gzipped: plain reads faster. */
#define _GNU_SOURCE 1
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "data/dataset.h"
#include "data/idx.h"

static soma_status read_file(soma_context *context, const char *path, elements *out) {
    *out = (elements){.context = context};
    file_stream *stream = file_stream_open(context, path, true);
    if (!stream) return error_get(context);
    const soma_status status = idx_read(context, stream, out);
    file_stream_close(stream);
    return status;
}

soma_dataset *soma_idx_open(soma_context *context, const char *images_path, const char *labels_path) {
    RETURN_NULL_IF(context, !images_path, SOMA_INVALID, "[idx] no path given");
    elements x, y = {.context = context};
    if (read_file(context, images_path, &x) != SOMA_OK) return NULL;
    if (labels_path && read_file(context, labels_path, &y) != SOMA_OK) {
        elements_free(&x);
        return NULL;
    }
    if (labels_path && x.shape[0] != y.shape[0]) {
        (void)error_set(context, SOMA_SHAPE, "%s: byte 4: %lld samples, but %s: byte 4: %lld labels", images_path,
                        (long long)x.shape[0], labels_path, (long long)y.shape[0]);
        elements_free(&x);
        elements_free(&y);
        return NULL;
    }
    return dataset_adopt(context, images_path, &x, &y);
}

/* The first spelling that exists, into path; tried collects the names. False if there is none. */
static bool find(text *path, text *tried, const char *prefix, const char *kind, int rank) {
    for (int i = 0; i < 4; i++) {
        text_truncate(path, 0);
        text_printf(path, "%s-%s%cidx%d-ubyte%s", prefix, kind, i % 2 ? '.' : '-', rank, i < 2 ? "" : ".gz");
        if (path->failed) return false;
        if (access(path->data, F_OK) == 0) return true;
        text_printf(tried, "%s%s", i ? ", " : "", path->data);
    }
    return false;
}

soma_dataset *soma_idx_find(soma_context *context, const char *prefix) {
    RETURN_NULL_IF(context, !prefix, SOMA_INVALID, "[idx] no prefix given");
    text images, labels, tried;
    text_init(&images, context);
    text_init(&labels, context);
    text_init(&tried, context);
    soma_dataset *dataset = NULL;
    if (find(&images, &tried, prefix, "images", 3)) {
        text_truncate(&tried, 0);
        if (find(&labels, &tried, prefix, "labels", 1)) dataset = soma_idx_open(context, images.data, labels.data);
    }
    if (!dataset && !images.failed && !labels.failed && error_get(context) == SOMA_OK)
        (void)error_set(context, SOMA_NOT_FOUND, "[idx] %s: no such dataset; looked for %s", prefix,
                        text_string(&tried));
    text_deinit(&images);
    text_deinit(&labels);
    text_deinit(&tried);
    return dataset;
}

soma_dataset *soma_idx(const char *prefix) {
    return soma_idx_find(NULL, prefix);
}
