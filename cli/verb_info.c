/* soma info: what is in a file: a model (any safetensors file), NPY, IDX, PNG.
 * Rests on safetensors_header.h and sources.h.
 * Reads headers where that is enough; of arrays the range and mean of the elements are what one wants to know. */
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "json_out.h"
#include "options.h"
#include "picture_in.h"
#include "pipe_in.h"
#include "safetensors_header.h"
#include "sources.h"

/* ---- models ---- */

/* Metadata are strings; those that hold JSON are shown as what they hold. */
static void write_metadata(cli *c, json_out *j, const json_value *metadata) {
    void *cursor = NULL;
    const char *key;
    const json_value *value;
    json_open(j, "metadata", '{');
    while (metadata && json_in_next(metadata, &cursor, &key, &value)) {
        const char *text = json_in_text(value);
        json_value *inner = text ? json_in_parse(c, "metadata", text, strlen(text), false) : NULL;
        if (inner) {
            json_raw(j, key, json_in_dump(c, inner, false));
            json_in_free(inner);
        } else {
            json_text(j, key, text);
        }
    }
    json_close(j, '}');
}

static void model_json(cli *c, const char *path, const safetensors_header *h) {
    json_out j = {.file = stdout};
    json_open(&j, NULL, '{');
    json_text(&j, "file", path);
    json_text(&j, "format", "safetensors");
    json_integer(&j, "bytes", h->bytes);
    write_metadata(c, &j, h->metadata);
    json_open(&j, "tensors", '[');
    for (int i = 0; i < h->n; i++) {
        const stored_tensor *t = &h->tensors[i];
        json_open(&j, NULL, '{');
        json_text(&j, "name", t->name);
        json_text(&j, "dtype", t->dtype);
        json_shape(&j, "shape", t->rank, t->shape);
        json_integer(&j, "offset", t->begin);
        json_integer(&j, "bytes", t->end - t->begin);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    json_end(&j);
}

/* Plain text, or JSON on one line: strings bare, lists and maps as they are. */
static const char *in_words(cli *c, const json_value *value) {
    const char *text = json_in_text(value);
    return text ? text_printable(c, text) : json_in_dump(c, value, false);
}

static void history_text(cli *c, const json_value *history) {
    void *cursor = NULL;
    const char *key;
    const json_value *values;
    while (json_in_next(history, &cursor, &key, &values)) {
        const size_t n = json_in_count(values);
        double first = NAN, last = NAN;
        (void)json_in_number(json_in_at(values, 0), &first);
        (void)json_in_number(json_in_at(values, n ? n - 1 : 0), &last);
        printf("  history of %s: ", text_printable(c, key));
        if (n > 1) printf("%s ... ", text_measure(c, first));
        printf("%s, %zu epoch%s\n", text_measure(c, last), n, n == 1 ? "" : "s");
    }
}

static void layers_text(cli *c, const json_value *layers) {
    for (size_t i = 0; i < json_in_count(layers); i++) {
        const json_value *layer = json_in_at(layers, i), *config = json_in_find(layer, "config");
        printf("  layer %s:", in_words(c, json_in_find(layer, "class_name")));
        void *cursor = NULL;
        const char *key;
        const json_value *value;
        bool more = false;
        while (config && json_in_next(config, &cursor, &key, &value)) {
            printf("%s %s %s", more ? "," : "", text_printable(c, key), in_words(c, value));
            more = true;
        }
        printf("\n");
    }
}

/* One piece of the metadata: what it means if it is one of ours, else the text. */
static void metadata_text(cli *c, const char *key, const char *text) {
    json_value *value = json_in_parse(c, "metadata", text, strlen(text), false);
    key = text_printable(c, key);
    if (value && strcmp(key, "history") == 0) {
        history_text(c, value);
    } else if (value && json_in_is_object(value)) {
        void *cursor = NULL;
        const char *name;
        const json_value *member;
        while (json_in_next(value, &cursor, &name, &member)) {
            if (strcmp(key, "model") == 0 && strcmp(name, "layers") == 0) {
                layers_text(c, member);
            } else {
                printf("  %s: %s: %s\n", key, text_printable(c, name), in_words(c, member));
            }
        }
    } else {
        printf("  %s: %s\n", key, text_printable(c, text));
    }
    if (value) json_in_free(value);
}

static void model_text(cli *c, const char *path, const safetensors_header *h) {
    printf("%s: safetensors, %s\n", path, text_bytes(c, (double)h->bytes));
    void *cursor = NULL;
    const char *key;
    const json_value *value;
    while (h->metadata && json_in_next(h->metadata, &cursor, &key, &value)) {
        if (json_in_text(value)) metadata_text(c, key, json_in_text(value));
    }
    size_t widest = 4;
    for (int i = 0; i < h->n; i++)
        widest = strlen(h->tensors[i].name) > widest ? strlen(h->tensors[i].name) : widest;
    printf("  %d tensors:\n", h->n);
    for (int i = 0; i < h->n; i++) {
        const stored_tensor *t = &h->tensors[i];
        printf("    %-*s  %-4s  %-16s %12s  at byte %lld\n", (int)widest, text_printable(c, t->name),
               text_printable(c, t->dtype), text_shape(c, t->rank, t->shape),
               text_bytes(c, (double)(t->end - t->begin)), (long long)t->begin);
    }
}

static int show_model(cli *c, const char *path, const char *file) {
    safetensors_header h;
    const int code = safetensors_look(c, file, &h);
    if (code != EXIT_DONE) return code;
    (c->json ? model_json : model_text)(c, path, &h);
    safetensors_close(&h);
    return EXIT_DONE;
}

/* ---- arrays and pictures ---- */

/* unsigned_bits: of the file's elements, where the library has no such dtype and took a wider one; 0: it has. */
static void show_array(cli *c, const char *path, const char *format, soma_array_data x, int unsigned_bits) {
    const char *dtype = unsigned_bits ? cli_text(c, "uint%d", unsigned_bits) : soma_dtype_name(x.dtype);
    const double size = unsigned_bits ? unsigned_bits / 8 : (double)soma_dtype_size(x.dtype);
    const int64_t n = x.rank ? array_sample_size(x) * x.shape[0] : 1;
    double low = INFINITY, high = -INFINITY, sum = 0;
    int64_t missing = 0;
    for (int64_t i = 0; i < n; i++) {
        const double value = array_item(x, i);
        if (isnan(value)) {
            missing++;
            continue;
        }
        low = fmin(low, value);
        high = fmax(high, value);
        sum += value;
    }
    if (c->json) {
        json_out j = {.file = stdout};
        json_open(&j, NULL, '{');
        json_text(&j, "file", path);
        json_text(&j, "format", format);
        json_text(&j, "dtype", dtype);
        json_shape(&j, "shape", x.rank, x.shape);
        json_double(&j, "min", low);
        json_double(&j, "max", high);
        json_double(&j, "mean", sum / (double)(n - missing));
        json_integer(&j, "nan", missing);
        json_close(&j, '}');
        json_end(&j);
    } else {
        printf("%s: %s, %s of shape %s, %s\n", path, format, dtype, text_shape(c, x.rank, x.shape),
               text_bytes(c, (double)n * size));
        if (unsigned_bits && size < (double)soma_dtype_size(x.dtype))
            printf("  taken for %s where it is used\n", soma_dtype_name(x.dtype));
        if (n > missing) printf("  from %.6g to %.6g, mean %.6g\n", low, high, sum / (double)(n - missing));
        if (missing) printf("  %s %s NaN\n", text_thousands(c, missing), missing == 1 ? "element is" : "elements are");
    }
}

static int show_idx(cli *c, const char *path, const char *file) {
    soma_dataset *data = source_read_array(c, file);
    if (!data) return EXIT_INPUT;
    show_array(c, path, "idx", soma_dataset_x(data), 0);
    soma_dataset_destroy(data);
    return EXIT_DONE;
}

/* Of a good NPY file: 16, 32 or 64 where its elements are unsigned and that long, else 0. */
static int npy_unsigned_bits(const char *file) {
    char head[512] = "";
    FILE *f = fopen(file, "rb");
    const size_t n = f ? fread(head, 1, sizeof head - 1, f) : 0;
    if (f) (void)fclose(f);
    for (size_t i = 0; i < n; i++) /* the length before the text may have a zero byte */
        head[i] = head[i] ? head[i] : ' ';
    const char *descr = strstr(head, "descr"), *at = descr ? strchr(descr, ':') : NULL;
    if (at) at += strcspn(at, "<>=|");
    if (!at || !*at || at[1] != 'u' || !strchr("248", at[2])) return 0;
    return 8 * (at[2] - '0');
}

/* No dataset, which must have samples: an array may be a single number. */
static int show_npy(cli *c, const char *path, const char *file) {
    soma_context *context = cli_context(c);
    soma_graph *graph = context ? soma_graph_create(context) : NULL;
    soma_tensor *t = graph ? soma_npy_load(graph, file) : NULL;
    const void *elements = t ? soma_data(t) : NULL;
    const int code = elements ? EXIT_DONE : cli_fail_status(c, EXIT_INPUT);
    if (elements)
        show_array(c, path, "npy", (soma_array_data){soma_tensor_dtype(t), soma_ndim(t), soma_shape(t), elements},
                   npy_unsigned_bits(file));
    soma_graph_destroy(graph);
    return code;
}

static int show_picture(cli *c, const char *path, const char *file) {
    picture p;
    const int code = picture_read(c, file, &p);
    if (code != EXIT_DONE) return code;
    if (!c->json) {
        printf("%s: png, %lld x %lld pixels\n", path, (long long)p.columns, (long long)p.rows);
        return EXIT_DONE;
    }
    json_out j = {.file = stdout};
    json_open(&j, NULL, '{');
    json_text(&j, "file", path);
    json_text(&j, "format", "png");
    json_integer(&j, "width", p.columns);
    json_integer(&j, "height", p.rows);
    json_close(&j, '}');
    json_end(&j);
    return EXIT_DONE;
}

static int show_file(cli *c, const char *path) {
    const char *file = pipe_in(c, path);
    switch (file ? file_look(c, file) : FILE_MISSING) {
    case FILE_MISSING:
        return EXIT_INPUT;
    case FILE_SAFETENSORS:
        return show_model(c, path, file);
    case FILE_NPY:
        return show_npy(c, path, file);
    case FILE_IDX:
        return show_idx(c, path, file);
    case FILE_PNG:
        return show_picture(c, path, file);
    default:
        return cli_fail(c, EXIT_INPUT, "%s: byte 0: this is neither .soma (safetensors), NPY, IDX nor PNG", path);
    }
}

static int run_info(cli *c, void *values, option_table tables[OPTION_TABLES], int n, char **arguments) {
    (void)values;
    (void)tables;
    int code = need_arguments(c, n, 1, 1 << 20, "a file");
    for (int i = 0; i < n && code == EXIT_DONE; i++)
        code = show_file(c, arguments[i]);
    return code;
}

static const option no_options[] = {{.name = NULL}};

const verb verb_info = {
    .name = "info",
    .summary = "Say what is in a file: .soma, NPY, IDX, PNG",
    .usage = "FILE... [OPTION]...",
    .examples = "soma info out/mnist.soma\n"
                "soma info data/mnist/train-images-idx3-ubyte\n"
                "soma info out/mnist.soma --json",
    .options = no_options,
    .run = run_info,
};
