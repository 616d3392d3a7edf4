/* Finds data sets and opens them.
 * Rests on sources.h. Names are looked up in SOMA_DATA, in ./data and in the data folder beside the build.
 * Labels are checked before training: what a wrong one would do deep inside, a message says here, with file and byte.
 */
#include "sources.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipe_in.h"

/* ---- folders ---- */

static bool is_folder(const char *path) {
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

const char *const *data_folders(cli *c) {
    const char **folders = cli_alloc(c, 4, sizeof *folders);
    int n = 0;
    const char *chosen = getenv("SOMA_DATA");
    if (chosen && *chosen) {
        folders[n++] = chosen;
        return folders;
    }
    folders[n++] = "data";
    char self[4096];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length > 0) {
        self[length] = '\0';
        char *slash = strrchr(self, '/');
        if (slash) *slash = '\0';
        folders[n] = cli_text(c, "%s/../data", self);
        if (is_folder(folders[n]) && !is_folder("data")) n++;
    }
    folders[n] = NULL;
    return folders;
}

static const known_data *known(const char *name) {
    for (const known_data *k = known_datasets; k->name; k++) {
        if (strcmp(k->name, name) == 0) return k;
    }
    return NULL;
}

const char *data_find(cli *c, const char *name) {
    if (strchr(name, '/') == NULL && name[0] != '.') {
        for (const char *const *folder = data_folders(c); *folder; folder++) {
            const char *path = cli_text(c, "%s/%s", *folder, name);
            if (is_folder(path)) return path;
        }
    }
    return is_folder(name) && !known(name) ? name : NULL;
}

/* ---- IDX pairs ---- */

/* The file of a pair in one of its spellings; NULL when there is none. */
static const char *idx_path(cli *c, const char *prefix, const char *kind, int rank) {
    for (int form = 0; form < 4; form++) {
        const char *path =
            cli_text(c, "%s-%s%cidx%d-ubyte%s", prefix, kind, form % 2 ? '.' : '-', rank, form < 2 ? "" : ".gz");
        if (access(path, F_OK) == 0) return path;
    }
    return NULL;
}

static int missing(cli *c, const char *name) {
    const known_data *k = known(name);
    if (!k) {
        const char *names[16];
        int n = 0;
        for (const known_data *one = known_datasets; one->name; one++)
            names[n++] = one->name;
        names[n] = NULL;
        const int code = cli_fail(c, EXIT_INPUT, "there is no data set, folder or IDX files '%s'", name);
        const char *near = nearest_name(name, names);
        if (near) cli_hint("Did you mean '%s'?", near);
        return code;
    }
    const int code = cli_fail(c, EXIT_INPUT, "data set '%s' is not in %s/%s", name, data_folders(c)[0], name);
    cli_hint("Fetch it by 'scripts/get-data.sh %s', or name the folder that it lies in: SOMA_DATA=FOLDER.", name);
    return code;
}

static int open_pair(cli *c, const char *prefix, const char *images, data_source *out) {
    soma_context *context = cli_context(c);
    if (!context) return EXIT_FAILED;
    const char *labels = idx_path(c, prefix, "labels", 1);
    if (!labels)
        return cli_fail(c, EXIT_INPUT, "%s-labels-idx1-ubyte: there is no such file beside %s", prefix, images);
    out->data = soma_idx_open(context, images, labels);
    if (!out->data) return cli_fail_status(c, EXIT_INPUT);
    if (soma_dataset_y(out->data).rank != 1) {
        source_close(out);
        return cli_fail(c, EXIT_INPUT, "%s: byte 3: labels must have 1 axis", labels);
    }
    out->labels_path = labels;
    return EXIT_DONE;
}

static int name_classes(cli *c, const char *name, data_source *out) {
    const known_data *k = known(name);
    if (!k) return EXIT_DONE;
    int n = 0;
    while (k->classes[n])
        n++;
    if (soma_dataset_set_class_names(out->data, k->classes, n) == SOMA_OK) return EXIT_DONE;
    source_close(out);
    return cli_fail_status(c, EXIT_FAILED);
}

int source_open(cli *c, const char *dataset, const char *part, bool required, data_source *out) {
    *out = (data_source){.name = dataset};
    const char *images = idx_path(c, dataset, "images", 3);
    if (images) return required ? open_pair(c, dataset, images, out) : EXIT_DONE;
    const char *folder = data_find(c, dataset);
    if (!folder) return missing(c, dataset);
    const bool test = strcmp(part, "test") == 0;
    const char *prefix = cli_text(c, "%s/%s", folder, test ? "t10k" : part);
    images = idx_path(c, prefix, "images", 3);
    if (!images && test) {
        const char *other = cli_text(c, "%s/test", folder);
        images = idx_path(c, other, "images", 3);
        if (images) prefix = other;
    }
    if (!images && !required) return EXIT_DONE;
    if (!images) return cli_fail(c, EXIT_INPUT, "%s-images-idx3-ubyte: there is no such file, plain or as .gz", prefix);
    const int code = open_pair(c, prefix, images, out);
    if (code != EXIT_DONE) return code;
    const char *slash = strrchr(folder, '/');
    out->name = slash ? slash + 1 : folder;
    return name_classes(c, out->name, out);
}

/* ---- arrays ---- */

file_kind file_look(cli *c, const char *path) {
    unsigned char b[10] = {0};
    FILE *file = fopen(path, "rb");
    const size_t n = file ? fread(b, 1, sizeof b, file) : 0;
    const int reason = !file || ferror(file) ? errno : 0;
    if (file) (void)fclose(file);
    if (reason) {
        (void)cli_fail(c, EXIT_INPUT, "%s: cannot be opened: %s", path, strerror(reason));
        return FILE_MISSING;
    }
    if (n == 0) {
        (void)cli_fail(c, EXIT_INPUT, "%s: the file is empty", path);
        return FILE_MISSING;
    }
    if (n >= 4 && memcmp(b, "PK\3\4", 4) == 0) {
        (void)cli_fail(c, EXIT_INPUT, "%s: a ZIP archive, as .npz is: unpack it, and name a file of it", path);
        return FILE_MISSING;
    }
    if (n >= 8 && memcmp(b, "\x89PNG\r\n\x1a\n", 8) == 0) return FILE_PNG;
    if (n >= 6 && memcmp(b, "\x93NUMPY", 6) == 0) return FILE_NPY;
    if (n >= 9 && b[8] == '{' && !b[4] && !b[5] && !b[6] && !b[7]) return FILE_SAFETENSORS;
    if (n >= 2 && ((!b[0] && !b[1]) || (b[0] == 0x1f && b[1] == 0x8b))) return FILE_IDX;
    return FILE_OTHER;
}

soma_dataset *source_read_array(cli *c, const char *path) {
    soma_context *context = cli_context(c);
    if (!context) return NULL;
    path = pipe_in(c, path);
    const file_kind kind = path ? file_look(c, path) : FILE_MISSING;
    if (kind == FILE_MISSING) return NULL;
    soma_dataset *data = NULL;
    if (kind == FILE_NPY || text_ends_with(path, ".npy")) {
        soma_graph *graph = soma_graph_create(context);
        soma_tensor *t = soma_npy_load(graph, path);
        const void *elements = t ? soma_data(t) : NULL;
        if (elements && soma_ndim(t) == 0) {
            (void)cli_fail(c, EXIT_INPUT, "%s: a single number: an array is expected", path);
            soma_graph_destroy(graph);
            return NULL;
        }
        if (elements) {
            const soma_array_data x = {soma_tensor_dtype(t), soma_ndim(t), soma_shape(t), elements};
            data = soma_dataset_from_arrays(context, x, (soma_array_data){.data = NULL}, false);
        }
        soma_graph_destroy(graph);
    } else {
        data = soma_idx_open(context, path, NULL);
    }
    if (!data) (void)cli_fail_status(c, EXIT_INPUT);
    return data;
}

/* A list, or lists in a list and so on, of numbers: all of the same lengths. */
typedef struct inline_array {
    int rank;
    int64_t shape[SOMA_MAX_RANK];
    float *elements;
    int64_t n;
} inline_array;

static bool read_inline(const config_node *node, int axis, inline_array *a) {
    double number;
    if (node->kind == CONFIG_WORD) {
        if (axis != a->rank || !config_number(node, &number)) return false;
        a->elements[a->n++] = (float)number;
        return true;
    }
    if (node->kind != CONFIG_LIST || axis >= a->rank || node->n != a->shape[axis]) return false;
    for (const config_node *member = node->first; member; member = member->next) {
        if (!read_inline(member, axis + 1, a)) return false;
    }
    return true;
}

static int64_t count_words(const config_node *node) {
    if (node->kind == CONFIG_WORD) return 1;
    int64_t n = 0;
    for (const config_node *member = node->first; member; member = member->next)
        n += count_words(member);
    return n;
}

static int read_list(cli *c, const config_node *node, inline_array *a) {
    for (const config_node *inner = node; inner && inner->kind == CONFIG_LIST; inner = inner->first) {
        if (a->rank == SOMA_MAX_RANK)
            return cli_fail(c, config_fault(node->at), "%s: too many axes", config_where(c, node->at));
        a->shape[a->rank++] = inner->n;
    }
    a->elements = cli_alloc(c, (size_t)count_words(node) + 1, sizeof *a->elements);
    if (read_inline(node, 0, a)) return EXIT_DONE;
    return cli_fail(c, config_fault(node->at), "%s: a list must hold numbers, or lists of one length",
                    config_where(c, node->at));
}

/* One of the arrays; a file's stays in *file, which the caller destroys. */
static int read_any(cli *c, const config_node *node, soma_dataset **file, inline_array *list, soma_array_data *out) {
    if (!node) return EXIT_DONE;
    if (node->kind == CONFIG_WORD) {
        if (node->at.line && access(node->word, R_OK) != 0) /* a configuration's, not a flag's */
            return cli_fail(c, EXIT_INPUT, "%s: %s: cannot be opened: %s", config_where(c, node->at), node->word,
                            strerror(errno));
        *file = source_read_array(c, node->word);
        if (!*file) return EXIT_INPUT;
        *out = soma_dataset_x(*file);
        return EXIT_DONE;
    }
    if (node->kind == CONFIG_MAP)
        return cli_fail(c, config_fault(node->at), "%s: expected a file or a list, not a map",
                        config_where(c, node->at));
    const int code = read_list(c, node, list);
    *out = (soma_array_data){SOMA_F32, list->rank, list->shape, list->elements};
    return code;
}

static const char *array_name(cli *c, const config_node *node, const char *what) {
    return node->kind == CONFIG_WORD ? node->word : cli_text(c, "%s: %s", config_where(c, node->at), what);
}

/* Inputs or outputs of a sample as they are read. */
typedef struct array_list {
    int n;
    const char *const *names;             /* NULL: one without a name */
    const char *what[SOMA_MAX_ARRAYS];    /* for messages */
    soma_dataset *files[SOMA_MAX_ARRAYS]; /* to be destroyed */
    soma_array_data arrays[SOMA_MAX_ARRAYS];
} array_list;

static int read_one(cli *c, const config_node *node, const char *letter, array_list *list) {
    inline_array *numbers = cli_alloc(c, 1, sizeof *numbers);
    const int i = list->n++;
    list->what[i] = array_name(c, node, letter);
    return read_any(c, node, &list->files[i], numbers, &list->arrays[i]);
}

/* {age: ages.npy, picture: pictures.npy}, or one array. */
static int read_arrays(cli *c, const config_node *node, const char *letter, array_list *list) {
    if (!node) return EXIT_DONE;
    if (node->kind != CONFIG_MAP) return read_one(c, node, letter, list);
    if (node->n < 1 || node->n > SOMA_MAX_ARRAYS)
        return cli_fail(c, config_fault(node->at), "%s: %s has %d arrays: 1 to %d are possible",
                        config_where(c, node->at), letter, node->n, SOMA_MAX_ARRAYS);
    const char **names = cli_alloc(c, (size_t)node->n + 1, sizeof *names);
    int code = EXIT_DONE;
    for (const config_node *one = node->first; one && code == EXIT_DONE; one = one->next) {
        names[list->n] = one->key;
        code = read_one(c, one, one->key, list);
    }
    list->names = names;
    return code;
}

/* All must have as many samples as the first input. */
static int check_counts(cli *c, const array_list *x, const array_list *other) {
    if (x->arrays[0].shape[0] == 0) return cli_fail(c, EXIT_INPUT, "%s has no samples", x->what[0]);
    for (int i = 0; i < other->n; i++) {
        if (other->arrays[i].shape[0] != x->arrays[0].shape[0])
            return cli_fail(c, EXIT_INPUT, "%s has %lld samples, but %s has %lld", x->what[0],
                            (long long)x->arrays[0].shape[0], other->what[i], (long long)other->arrays[i].shape[0]);
    }
    return EXIT_DONE;
}

int source_open_arrays(cli *c, const config_node *x, const config_node *y, data_source *out) {
    soma_context *context = cli_context(c);
    if (!context) return EXIT_FAILED;
    array_list lists[2] = {{.n = 0}, {.n = 0}};
    int code = read_arrays(c, x, "x", &lists[0]);
    if (code == EXIT_DONE) code = read_arrays(c, y, "y", &lists[1]);
    if (code == EXIT_DONE) code = check_counts(c, &lists[0], &lists[0]);
    if (code == EXIT_DONE) code = check_counts(c, &lists[0], &lists[1]);
    *out = (data_source){.name = y                        ? array_name(c, y, "y")
                                 : x->kind == CONFIG_WORD ? x->word
                                                          : "arrays",
                         .inputs = lists[0].names,
                         .outputs = lists[1].names};
    if (code == EXIT_DONE) {
        out->data = soma_dataset_from_lists(context, lists[0].arrays, lists[0].n, lists[1].arrays, lists[1].n, false);
        if (!out->data) code = cli_fail_status(c, EXIT_INPUT);
    }
    for (int i = 0; i < 2 * SOMA_MAX_ARRAYS; i++)
        soma_dataset_destroy(lists[i / SOMA_MAX_ARRAYS].files[i % SOMA_MAX_ARRAYS]);
    return code;
}

int source_read_weights(cli *c, const config_node *node, int64_t n, bool cut, const double **out) {
    if (!cli_context(c)) return EXIT_FAILED;
    soma_dataset *data = NULL;
    inline_array list = {0};
    soma_array_data array = {.data = NULL};
    int code = read_any(c, node, &data, &list, &array);
    const char *name = array_name(c, node, "weights");
    if (code == EXIT_DONE && array_sample_size(array) != 1)
        code = cli_fail(c, EXIT_INPUT, "%s: one number a sample is expected, not %s", name,
                        text_shape(c, array.rank, array.shape));
    if (code == EXIT_DONE && (cut ? array.shape[0] < n : array.shape[0] != n))
        code = cli_fail(c, EXIT_INPUT, "%s: %lld weights, but there are %lld samples", name, (long long)array.shape[0],
                        (long long)n);
    double *weights = cli_alloc(c, (size_t)n + 1, sizeof *weights);
    for (int64_t i = 0; i < n && code == EXIT_DONE; i++) {
        weights[i] = array_item(array, i);
        if (!isfinite(weights[i]))
            code = cli_fail(c, EXIT_INPUT, "%s: the weight of sample %lld is no number", name, (long long)i);
    }
    soma_dataset_destroy(data);
    *out = weights;
    return code;
}

void source_close(data_source *source) {
    soma_dataset_destroy(source->data);
    source->data = NULL;
}

int source_limit(cli *c, data_source *source, int64_t n) {
    if (!n || !source->data || soma_dataset_samples(source->data) <= n) return EXIT_DONE;
    soma_dataset *part = soma_dataset_slice(source->data, 0, n);
    if (!part) return cli_fail_status(c, EXIT_FAILED);
    soma_dataset_destroy(source->data);
    source->data = part;
    return EXIT_DONE;
}

/* ---- labels ---- */

/* IEEE 754's 16 bits: sign, 5 of exponent, 10 of fraction. */
static double half_number(uint16_t bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double size = exponent == 0    ? ldexp(fraction, -24)
                        : exponent == 31 ? (fraction ? NAN : INFINITY)
                                         : ldexp(1024 + fraction, exponent - 25);
    return bits >> 15 ? -size : size;
}

double array_item(soma_array_data array, int64_t i) {
    switch (array.dtype) {
    case SOMA_F32:
        return ((const float *)array.data)[i];
    case SOMA_F64:
        return ((const double *)array.data)[i];
    case SOMA_F16:
        return half_number(((const uint16_t *)array.data)[i]);
    case SOMA_I8:
        return ((const int8_t *)array.data)[i];
    case SOMA_I16:
        return ((const int16_t *)array.data)[i];
    case SOMA_I32:
        return ((const int32_t *)array.data)[i];
    case SOMA_I64:
        return (double)((const int64_t *)array.data)[i];
    case SOMA_U8:
        return ((const uint8_t *)array.data)[i];
    case SOMA_BOOL:
        return ((const uint8_t *)array.data)[i] != 0;
    default:
        return NAN;
    }
}

int64_t array_sample_size(soma_array_data array) {
    int64_t size = 1;
    for (int i = 1; i < array.rank; i++)
        size *= array.shape[i];
    return size;
}

static bool is_integer(soma_dtype dtype) {
    return dtype == SOMA_U8 || dtype == SOMA_I8 || dtype == SOMA_I16 || dtype == SOMA_I32 || dtype == SOMA_I64;
}

int64_t array_classes(soma_array_data y) {
    if (!y.data || !is_integer(y.dtype) || array_sample_size(y) != 1) return 0;
    int64_t largest = -1;
    for (int64_t i = 0; i < y.shape[0]; i++) {
        const int64_t label = (int64_t)array_item(y, i);
        if (label > largest) largest = label;
    }
    return largest + 1;
}

int64_t source_classes(const soma_dataset *data) {
    return array_classes(soma_dataset_y(data));
}

int64_t source_label(const soma_dataset *data, int64_t i) {
    const soma_array_data y = soma_dataset_y(data);
    if (!y.data) return -1;
    const int64_t n = array_sample_size(y);
    if (n == 1) {
        const double label = array_item(y, i);
        return label >= 0 && label == trunc(label) ? (int64_t)label : -1;
    }
    int64_t best = 0;
    for (int64_t k = 1; k < n; k++) {
        if (array_item(y, i * n + k) > array_item(y, i * n + best)) best = k;
    }
    return best;
}

const char *source_not_finite(cli *c, const data_source *source) {
    const int inputs = soma_dataset_inputs(source->data), outputs = soma_dataset_outputs(source->data);
    for (int i = 0; i < inputs + outputs; i++) {
        const bool input = i < inputs;
        const int k = input ? i : i - inputs;
        const soma_array_data a = input ? soma_dataset_input(source->data, k) : soma_dataset_output(source->data, k);
        const char *const *names = input ? source->inputs : source->outputs;
        const int64_t size = array_sample_size(a);
        const char *name = input ? "x" : "y";
        for (int64_t e = 0; !is_integer(a.dtype) && e < a.shape[0] * size; e++) {
            const double item = array_item(a, e);
            if (isfinite(item)) continue;
            return cli_text(c, "Sample %lld of %s holds %s.", (long long)(e / size), names ? names[k] : name,
                            isnan(item) ? "a NaN" : "an infinite number");
        }
    }
    return NULL;
}

int source_check_labels(cli *c, const data_source *source, int64_t classes) {
    const soma_array_data y = soma_dataset_y(source->data);
    if (!y.data || !is_integer(y.dtype) || array_sample_size(y) != 1) return EXIT_DONE;
    for (int64_t i = 0; i < y.shape[0]; i++) {
        const int64_t label = (int64_t)array_item(y, i);
        if (label >= 0 && label < classes) continue;
        const char *where = source->name;
        if (source->labels_path)
            where = cli_text(c, "%s: byte %lld", source->labels_path,
                             (long long)(8 + i * (int64_t)soma_dtype_size(y.dtype)));
        return cli_fail(c, EXIT_INPUT, "%s: label %lld of sample %lld is out of range: the model has classes 0 to %lld",
                        where, (long long)label, (long long)i, (long long)classes - 1);
    }
    return EXIT_DONE;
}

const char *class_name(cli *c, const soma_model *model, const soma_dataset *data, int64_t i) {
    const char *name = NULL;
    if (model && i >= 0 && i < INT32_MAX) name = soma_model_label(model, (int)i);
    if (!name && data && i >= 0 && i < INT32_MAX) name = soma_dataset_class_name(data, (int)i);
    return name ? text_printable(c, name) : cli_text(c, "%lld", (long long)i);
}
