/* Where data come from: data sets by name, folders and prefixes of IDX files, arrays in files, lists in configurations.
 * Rests on <soma/data.h> and <soma/formats.h>.
 * A message about data names the file, and where it helps the byte and the way out. */
#ifndef CLI_SOURCES_H
#define CLI_SOURCES_H

#include "cli.h"
#include "config.h"

/* A data set of which the command knows where it can be had and what its classes are called. */
typedef struct known_data {
    const char *name, *title;
    const char *const *classes; /* ends with NULL */
} known_data;
extern const known_data known_datasets[]; /* ends with name NULL */

typedef struct data_source {
    const char *name; /* "mnist": for titles */
    soma_dataset *data;
    const char *labels_path;                    /* NULL when the labels are in no IDX file */
    const char *const *inputs, *const *outputs; /* what the arrays are called, NULL-ended; NULL: one without a name */
} data_source;

/* Folders in which data sets are looked for, SOMA_DATA first; NULL-ended. */
const char *const *data_folders(cli *c);
/* A known name's folder, or the argument itself when it is a folder; NULL when there is none. */
const char *data_find(cli *c, const char *name);

/* Part "train" or "test" of a data set: a known name, a folder with train-images-idx3-ubyte and so on, or a prefix such
 * as data/mnist/train (then of whatever part). required false: a missing part leaves out->data NULL without a message.
 * EXIT_DONE, or a code after a message. */
int source_open(cli *c, const char *dataset, const char *part, bool required, data_source *out);
/* Arrays: each a file (.npy, IDX) or a list of numbers, or a map of several that have names. y may be NULL. */
int source_open_arrays(cli *c, const config_node *x, const config_node *y, data_source *out);
/* What a file is by its first bytes. Gzipped IDX counts as IDX. */
typedef enum file_kind { FILE_MISSING, FILE_IDX, FILE_NPY, FILE_PNG, FILE_SAFETENSORS, FILE_OTHER } file_kind;
/* Of a file that can be read again, see pipe_in.h; FILE_MISSING after a message. */
file_kind file_look(cli *c, const char *path);
/* One array of a file or a pipe, as a dataset without labels. NULL after a message. */
soma_dataset *source_read_array(cli *c, const char *path);
void source_close(data_source *source);
/* A weight for each of n samples, from a file (.npy, IDX) or a list, in the command's memory; more than n are left
 * alone where the samples were cut. */
int source_read_weights(cli *c, const config_node *node, int64_t n, bool cut, const double **out);
/* The first samples only; all when n is 0. */
int source_limit(cli *c, data_source *source, int64_t n);

/* Labels as indices of classes: how many there are (largest + 1); 0 when the labels are something else. */
int64_t source_classes(const soma_dataset *data);
int64_t array_classes(soma_array_data labels);
/* The i-th label as an index of a class; from one-hot rows the largest. -1 when there is none. */
int64_t source_label(const soma_dataset *data, int64_t i);
/* EXIT_DONE if every label is below classes, else a message with file and byte. */
int source_check_labels(cli *c, const data_source *source, int64_t classes);
/* Which sample holds a number that is infinite or none, in words; NULL when all are finite. */
const char *source_not_finite(cli *c, const data_source *source);
/* Element of an array as a number. */
double array_item(soma_array_data array, int64_t index);
/* Elements of one sample. */
int64_t array_sample_size(soma_array_data array);
/* What a class is called: the model's names first (model may be NULL), then the data's, else its number. */
const char *class_name(cli *c, const soma_model *model, const soma_dataset *data, int64_t i);

#endif
