/* Datasets: samples and what they should give, as arrays whose first axis counts samples: one of each, or several for
 * models of several inputs or outputs.
 * Elements keep the dtype they have in the file (pixels stay uint8): conversion and scaling belong to the model, where
 * they fuse with the first layer and are saved with it. */
#ifndef SOMA_DATA_H
#define SOMA_DATA_H

#include <soma/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct soma_dataset soma_dataset;

/** Elements in memory, row-major. (soma_array_data){SOMA_F32, SOMA_DIMS(100, 2), numbers} describes 100 pairs. */
typedef struct soma_array_data {
    soma_dtype dtype;
    int rank;             /* of the whole array: 1 for a number a sample */
    const int64_t *shape; /* extents; the first counts samples */
    const void *data;     /* NULL: there is no such array */
} soma_array_data;

/* ---- where datasets come from ---- */

/** MNIST and its relatives: soma_idx("data/mnist/train") reads train-images-idx3-ubyte and train-labels-idx1-ubyte
 * beside each other; also spelled train-images.idx3-ubyte, each also with .gz. In the default context.
 *  -> x (samples, rows, columns) uint8, y (samples) uint8; NULL after an error.
 *  Errors: SOMA_NOT_FOUND with the names that were tried; as soma_idx_open. Example: examples/mnist.c */
SOMA_API soma_dataset *soma_idx(const char *prefix);
/** The same in a context of the caller's. */
SOMA_API soma_dataset *soma_idx_find(soma_context *context, const char *prefix);
/** Two IDX files, gzipped or not, of any IDX dtype and rank 1 to 8. labels_path NULL: samples alone.
 *  Errors: SOMA_IO; SOMA_FORMAT for a wrong magic number, truncation, trailing bytes or absurd sizes, with file and
 * byte; SOMA_SHAPE if the files' counts differ. */
SOMA_API soma_dataset *soma_idx_open(soma_context *context, const char *images_path, const char *labels_path);

/** A dataset of the caller's arrays; their first extents must be equal. y.data NULL: samples alone.
 *  borrow: the arrays are used where they are and must outlive the dataset; otherwise they are copied.
 *  Errors: SOMA_SHAPE if counts differ or x has rank 0; SOMA_NO_MEMORY. Example: examples/xor.c */
SOMA_API soma_dataset *soma_dataset_from_arrays(soma_context *context, soma_array_data x, soma_array_data y,
                                                bool borrow);

/** A dataset of several inputs and several labels a sample, in the order of a model's inputs and outputs (Keras:
 *  fit([a, b], [y, z])). n_y 0: samples alone. borrow and errors: as above; names in errors: x[1], y[0]. */
SOMA_API soma_dataset *soma_dataset_from_lists(soma_context *context, const soma_array_data *x, int n_x,
                                               const soma_array_data *y, int n_y, bool borrow);
enum { SOMA_MAX_ARRAYS = 8 }; /**< inputs of a sample; outputs of a sample */

/** Samples start to stop (exclusive), as Python slices: negative counts from the end, bounds clamp; SOMA_END for the
 * end. Shares the elements; each of the two is destroyed for itself, in any order. */
SOMA_API soma_dataset *soma_dataset_slice(const soma_dataset *dataset, int64_t start, int64_t stop);

/** NULL: does nothing. */
SOMA_API void soma_dataset_destroy(soma_dataset *dataset);

/* ---- what a dataset is (of NULL: no samples, no arrays, no names) ---- */

SOMA_API int64_t soma_dataset_samples(const soma_dataset *dataset); /**< how many */
/** The arrays, borrowed: valid as long as the dataset. y.data is NULL where there are no labels. */
SOMA_API soma_array_data soma_dataset_x(const soma_dataset *dataset);
SOMA_API soma_array_data soma_dataset_y(const soma_dataset *dataset);
/** How many inputs and outputs a sample has, and the array of each; x and y above are the first ones. .data is NULL
 *  where there is no i-th. */
SOMA_API int soma_dataset_inputs(const soma_dataset *dataset);
SOMA_API int soma_dataset_outputs(const soma_dataset *dataset);
SOMA_API soma_array_data soma_dataset_input(const soma_dataset *dataset, int i);
SOMA_API soma_array_data soma_dataset_output(const soma_dataset *dataset, int i);
SOMA_API soma_context *soma_dataset_context(const soma_dataset *dataset);

/** What the labels 0, 1, ... n-1 mean, copied; replaces earlier names. Slices made later have them too. */
SOMA_API SOMA_MUST_CHECK soma_status soma_dataset_set_class_names(soma_dataset *dataset, const char *const *names,
                                                                  int n);
/** How many names there are, 0 for none; and the i-th, NULL if there is none. */
SOMA_API int soma_dataset_class_count(const soma_dataset *dataset);
SOMA_API const char *soma_dataset_class_name(const soma_dataset *dataset, int i);

#ifdef __cplusplus
}
#endif
#endif
