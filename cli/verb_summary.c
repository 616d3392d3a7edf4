/* soma summary: the table of a model's layers, shapes and parameters.
 * Rests on models.h and recipe.h: a configuration will do as well as a model.
 * Lines are box drawing where the locale is UTF-8, else plain ASCII. */
#include <string.h>

#include "json_out.h"
#include "models.h"
#include "recipe.h"

typedef struct summary_values {
    bool plain, trainable;
    int64_t width;
} summary_values;

#define AT(field) .offset = offsetof(summary_values, field)
static const option summary_options[] = {
    {.name = "plain", .kind = OPTION_FLAG, AT(plain), .help = "ASCII only"},
    {.name = "trainable", .kind = OPTION_FLAG, AT(trainable), .help = "a column that says which layers are trained"},
    {.name = "width",
     .kind = OPTION_INT,
     AT(width),
     .argument = "N",
     .low = 40,
     .high = 400,
     .help = "columns (default 80)"},
    {.name = NULL},
};
#undef AT

static void write_layer(json_out *j, const soma_layer *layer) {
    json_open(j, NULL, '{');
    json_text(j, "name", soma_layer_name(layer));
    json_text(j, "class", soma_layer_class_name(layer));
    json_open(j, "weights", '[');
    for (int i = 0; i < soma_layer_weights(layer); i++) {
        const soma_variable *w = soma_layer_get_weight(layer, i);
        json_open(j, NULL, '{');
        json_text(j, "name", soma_variable_name(w));
        json_text(j, "dtype", soma_dtype_name(soma_variable_dtype(w)));
        json_shape(j, "shape", soma_variable_ndim(w), soma_variable_shape(w));
        json_close(j, '}');
    }
    json_close(j, ']');
    json_close(j, '}');
}

static void write_json(const soma_model *model) {
    json_out j = {.file = stdout};
    int64_t shape[SOMA_MAX_RANK];
    json_open(&j, NULL, '{');
    json_text(&j, "name", soma_model_name(model));
    json_integer(&j, "params", soma_count_params(model));
    int rank = soma_model_input_shape(model, shape);
    if (rank >= 0) json_shape(&j, "input_shape", rank, shape);
    rank = soma_model_output_shape(model, shape);
    if (rank >= 0) json_shape(&j, "output_shape", rank, shape);
    json_open(&j, "layers", '[');
    for (int i = 0; i < soma_model_layers(model); i++)
        write_layer(&j, soma_model_get_layer(model, i));
    json_close(&j, ']');
    json_close(&j, '}');
    json_end(&j);
}

static int show(cli *c, const summary_values *v, const soma_model *model) {
    if (c->json) {
        write_json(model);
        return EXIT_DONE;
    }
    const soma_summary_options o = {
        .width = (int)v->width, .ascii = v->plain || !c->utf8, .show_trainable = v->trainable};
    char *text = soma_summary(model, &o);
    if (!text) return cli_fail_status(c, EXIT_FAILED);
    fputs(text, stdout);
    soma_string_free(text);
    return EXIT_DONE;
}

static int run_summary(cli *c, void *values, option_table tables[OPTION_TABLES], int n, char **arguments) {
    int code = need_arguments(c, n, 1, 1, "a model or a configuration");
    if (code != EXIT_DONE) return code;
    soma_model *model = NULL;
    code = is_recipe(arguments[0]) ? recipe_open_model(c, arguments[0], &tables[1], &model, NULL) : EXIT_DONE;
    if (code == EXIT_DONE && !model) model = model_open(c, arguments[0]);
    if (code == EXIT_DONE) code = model ? show(c, values, model) : EXIT_INPUT;
    soma_model_destroy(model);
    return code;
}

const verb verb_summary = {
    .name = "summary",
    .summary = "Show a network's layers, shapes and parameters",
    .usage = "MODEL|CONFIG.yaml [OPTION]...",
    .examples = "soma summary out/mnist.soma\nsoma summary examples/mnist.yaml --plain",
    .options = summary_options,
    .size = sizeof(summary_values),
    .run = run_summary,
};
