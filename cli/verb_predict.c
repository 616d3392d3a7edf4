/* soma predict: what a model makes of new samples.
 * Rests on models.h and picture_in.h: IDX, NPY and PNG files, told apart by their first bytes.
 * Outputs that are probabilities are shown as classes, surest first; others as numbers. A model of several outputs has
 * a line for each, with its name. */
#include <math.h>
#include <string.h>

#include "json_out.h"
#include "models.h"
#include "picture_in.h"
#include "pipe_in.h"
#include "shared_options.h"

typedef struct predict_values {
    const config_node *x;
    int64_t top, samples;
    int fit, invert;
} predict_values;

static const char *const fits[] = {"digit", "frame", NULL};
static const char *const inversions[] = {"auto", "yes", "no", NULL};

#define AT(field) .offset = offsetof(predict_values, field)
static const option predict_options[] = {
    SHARED_X(predict_values, "samples of several inputs, in place of files:\n'{age: ages.npy, picture: pictures.npy}'"),
    {.name = "top",
     .kind = OPTION_INT,
     AT(top),
     .argument = "N",
     .low = 1,
     .high = 1e6,
     .help = "how many classes to name (default 3)"},
    SHARED_SAMPLES(predict_values, "the first N of each file only"),
    {.name = "fit",
     .kind = OPTION_CHOICE,
     AT(fit),
     .argument = "HOW",
     .choices = fits,
     .help = "pictures of another size: digit (default) centres\nthe ink as in MNIST, frame scales the whole"},
    {.name = "invert",
     .kind = OPTION_CHOICE,
     AT(invert),
     .argument = "HOW",
     .choices = inversions,
     .help = "auto (default) turns dark on light into light on\ndark; yes, no"},
    {.name = NULL},
};
#undef AT

static const predict_values predict_defaults = {.top = 3};

/* ---- samples ---- */

static int open_picture(cli *c, const predict_values *v, const char *path, const soma_model *model,
                        soma_dataset **out) {
    int64_t shape[SOMA_MAX_RANK];
    const int rank = soma_model_input_shape(model, shape);
    int64_t rows = rank > 0 ? shape[0] : 0, columns = rank > 1 ? shape[1] : 0;
    if (rank == 1) rows = columns = (int64_t)llround(sqrt((double)shape[0]));
    if (rank < 1 || (rank == 1 && rows * columns != shape[0]) || rank > 3 || (rank == 3 && shape[2] != 1))
        return cli_fail(c, EXIT_INPUT, "%s: the model takes samples of shape %s, which are no grey pictures", path,
                        text_shape(c, rank > 0 ? rank : 0, shape));
    picture p;
    uint8_t *ink;
    int code = picture_read(c, path, &p);
    if (code == EXIT_DONE) code = picture_fit(c, path, &p, v->fit, v->invert, rows, columns, &ink);
    if (code != EXIT_DONE) return code;
    const int64_t one[3] = {1, rows, columns};
    *out = soma_dataset_from_arrays(c->context, (soma_array_data){SOMA_U8, 3, one, ink},
                                    (soma_array_data){.data = NULL}, false);
    return *out ? EXIT_DONE : cli_fail_status(c, EXIT_FAILED);
}

static int open_array(cli *c, const char *path, const soma_model *model, soma_dataset **out) {
    int64_t shape[SOMA_MAX_RANK], wanted = 1;
    const int rank = soma_model_input_shape(model, shape);
    for (int i = 0; i < rank; i++)
        wanted *= shape[i];
    *out = source_read_array(c, path);
    if (!*out) return EXIT_INPUT;
    const soma_array_data x = soma_dataset_x(*out);
    const int64_t size = array_sample_size(x);
    if (rank < 0 || size == wanted) return EXIT_DONE;
    if (size * x.shape[0] != wanted)
        return cli_fail(c, EXIT_INPUT, "%s: samples of shape %s; the model takes %s", path,
                        text_shape(c, x.rank - 1, x.shape + 1), text_shape(c, rank, shape));
    const int64_t one[2] = {1, wanted}; /* one sample, without an axis that counts */
    soma_dataset *whole = soma_dataset_from_arrays(c->context, (soma_array_data){x.dtype, 2, one, x.data},
                                                   (soma_array_data){.data = NULL}, false);
    if (!whole) return cli_fail_status(c, EXIT_FAILED);
    soma_dataset_destroy(*out);
    *out = whole;
    return EXIT_DONE;
}

static int open_samples(cli *c, const predict_values *v, const char *path, const soma_model *model, bool *single,
                        data_source *out) {
    *out = (data_source){.name = path};
    const char *file = pipe_in(c, path);
    const file_kind kind = file ? file_look(c, file) : FILE_MISSING;
    *single = kind == FILE_PNG;
    if (kind == FILE_MISSING) return EXIT_INPUT;
    if (kind == FILE_OTHER || kind == FILE_SAFETENSORS)
        return cli_fail(c, EXIT_INPUT, "%s: byte 0: this is neither IDX nor NPY nor PNG", path);
    int code = kind == FILE_PNG ? open_picture(c, v, file, model, &out->data) : open_array(c, file, model, &out->data);
    if (code == EXIT_DONE) code = source_limit(c, out, v->samples);
    return code;
}

/* ---- results ---- */

static bool are_probabilities(const double *row, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!(row[i] >= 0 && row[i] <= 1.0001)) return false;
        sum += row[i];
    }
    return n > 1 && fabs(sum - 1) < 1e-3;
}

/* The places of the n largest of a row, largest first. */
static void largest(const double *row, int64_t outputs, int64_t n, int64_t *places) {
    int64_t count = 0;
    for (int64_t k = 0; k < outputs; k++) {
        int64_t at = count;
        while (at > 0 && row[k] > row[places[at - 1]]) {
            if (at < n) places[at] = places[at - 1];
            at--;
        }
        if (at < n) places[at] = k;
        if (count < n) count++;
    }
}

/* One sample's row of one output, as it is shown. */
typedef struct shown_row {
    const char *path;
    int64_t sample;     /* -1: the only one */
    const char *output; /* NULL: the only one */
    const double *values;
    int64_t n, top;        /* of which so many classes are named, */
    const int64_t *places; /* these */
} shown_row;

static void write_json(cli *c, const soma_model *model, const shown_row *row) {
    const bool probabilities = are_probabilities(row->values, row->n);
    json_out j = {.file = stdout};
    json_open(&j, NULL, '{');
    json_text(&j, "file", row->path);
    if (row->sample >= 0) json_integer(&j, "sample", row->sample);
    if (row->output) json_text(&j, "output", row->output);
    json_open(&j, probabilities ? "classes" : "outputs", '[');
    for (int64_t i = 0; i < (probabilities ? row->top : row->n); i++) {
        if (!probabilities) {
            json_float(&j, NULL, row->values[i]);
            continue;
        }
        json_open(&j, NULL, '{');
        json_text(&j, "class", class_name(c, row->output ? NULL : model, NULL, row->places[i]));
        json_integer(&j, "index", row->places[i]);
        json_float(&j, "probability", row->values[row->places[i]]);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    json_end(&j);
}

static void write_text(cli *c, const soma_model *model, const shown_row *row) {
    printf("%s", row->path);
    if (row->sample >= 0) printf("[%lld]", (long long)row->sample);
    if (row->output) printf(" %s", row->output);
    printf(":");
    if (are_probabilities(row->values, row->n)) {
        for (int64_t i = 0; i < row->top; i++)
            printf("%s %s %.2f %%", i ? "," : "", class_name(c, row->output ? NULL : model, NULL, row->places[i]),
                   100 * row->values[row->places[i]]);
    } else {
        for (int64_t i = 0; i < row->n; i++)
            printf(" %.6g", isnan(row->values[i]) ? NAN : row->values[i]); /* without a sign */
    }
    printf("\n");
}

/* All samples of the source, of each output a line. */
static int show_predictions(cli *c, const predict_values *v, soma_model *model, const data_source *source,
                            bool single) {
    predictions p[SOMA_MAX_ARRAYS];
    const int code = model_predict_all(c, model, source->data, p), n = soma_model_outputs(model);
    if (code != EXIT_DONE) return code;
    for (int64_t i = 0; i < p[0].samples; i++) {
        for (int k = 0; k < n; k++) {
            const int64_t top = v->top < p[k].outputs ? v->top : p[k].outputs;
            int64_t *places = cli_alloc(c, (size_t)top + 1, sizeof *places);
            const shown_row row = {source->name,
                                   single ? -1 : i,
                                   n > 1 ? soma_model_output_name(model, k) : NULL,
                                   p[k].values + i * p[k].outputs,
                                   p[k].outputs,
                                   top,
                                   places};
            largest(row.values, row.n, top, places);
            (c->json ? write_json : write_text)(c, model, &row);
        }
    }
    return EXIT_DONE;
}

static int predict_file(cli *c, const predict_values *v, soma_model *model, const char *path) {
    data_source source;
    bool single;
    int code = open_samples(c, v, path, model, &single, &source);
    if (code == EXIT_DONE) code = show_predictions(c, v, model, &source, single);
    source_close(&source);
    return code;
}

static int predict_arrays(cli *c, const predict_values *v, soma_model *model) {
    data_source source;
    int code = source_open_arrays(c, v->x, NULL, &source);
    if (code == EXIT_DONE) code = source_limit(c, &source, v->samples);
    if (code == EXIT_DONE) code = show_predictions(c, v, model, &source, false);
    source_close(&source);
    return code;
}

static int run_predict(cli *c, void *values, option_table tables[OPTION_TABLES], int n, char **arguments) {
    (void)tables;
    const predict_values *v = values;
    int code = need_arguments(c, n, v->x ? 1 : 2, v->x ? 1 : 1 << 20, n ? "a file with samples" : "a model");
    if (code != EXIT_DONE) return code;
    soma_model *model = model_open(c, arguments[0]);
    if (!model) return EXIT_INPUT;
    if (v->x) code = predict_arrays(c, v, model);
    for (int i = 1; i < n && code == EXIT_DONE; i++)
        code = predict_file(c, v, model, arguments[i]);
    soma_model_destroy(model);
    return code;
}

const verb verb_predict = {
    .name = "predict",
    .summary = "Say what new samples are",
    .usage = "MODEL FILE... [OPTION]...\nMODEL --x MAP [OPTION]...",
    .examples = "soma predict out/mnist.soma digit.png\n"
                "soma predict out/mnist.soma data/mnist/t10k-images-idx3-ubyte --samples 5 --json\n"
                "soma predict m.soma points.npy\n"
                "make-points | soma predict m.soma -",
    .notes = "Files may be IDX (also .gz), NPY or PNG, also from a pipe; - is stdin. Pictures of another size than\n"
             "the model's are turned to light on dark, cropped, centred and scaled; what was done is said on stderr.",
    .options = predict_options,
    .defaults = &predict_defaults,
    .size = sizeof(predict_values),
    .run = run_predict,
};
