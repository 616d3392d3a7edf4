/* Recipes: the compiled model that one describes, and whether its data fit it.
 * Rests on recipe.h. Layers, optimizers and losses go to the library as JSON; what it says about them gets the line.
 * What is not said is derived from the data: labels that are whole numbers make a classifier, others a regression. */
#include "recipe.h"

#include <math.h>
#include <string.h>

static int build_layers(cli *c, const recipe *r, const data_source *train, soma_model **out) {
    if (r->layers->kind != CONFIG_LIST || r->layers->n == 0)
        return cli_fail(c, config_fault(r->layers->at), "%s: layers must be a list with one at least",
                        config_where(c, r->layers->at));
    if (recipe_is_graph(r->layers, train)) return recipe_build_graph(c, r, train, out);
    soma_layer **layers = cli_alloc(c, (size_t)r->layers->n, sizeof(soma_layer *));
    int n = 0;
    for (const config_node *node = r->layers->first; node; node = node->next, n++) {
        layers[n] = soma_layer_from_json(c->context, config_to_json(c, node));
        if (layers[n]) continue;
        while (n > 0)
            soma_layer_destroy(layers[--n]);
        return recipe_refuse(c, r, node);
    }
    *out = soma_sequential_create(c->context, layers, n);
    return *out ? EXIT_DONE : recipe_refuse(c, r, r->layers);
}

/* The optimizer as JSON, with the learning rate put in. */
static char *optimizer_json(cli *c, const recipe *r) {
    const config_node *node = r->optimizer ? r->optimizer : config_word(c, "rmsprop");
    if (isnan(r->learning_rate)) return config_to_json(c, node);
    const bool map = node->kind == CONFIG_MAP && node->n == 1;
    const config_node *options = map && node->first->kind == CONFIG_MAP ? node->first : NULL;
    const char *name = map ? node->first->key : node->kind == CONFIG_WORD ? node->word : "";
    buffer b = {.c = c};
    buffer_print(&b, "{%s: {\"learning_rate\": %.17g", config_to_json(c, config_word(c, name)), r->learning_rate);
    for (const config_node *one = options ? options->first : NULL; one; one = one->next) {
        if (strcmp(one->key, "learning_rate") == 0) continue;
        buffer_print(&b, ", %s: %s", config_to_json(c, config_word(c, one->key)), config_to_json(c, one));
    }
    buffer_print(&b, "}}");
    return b.text;
}

/* "metrics": [...], from a list, a word with commas or one with numbers. */
static void print_metrics(cli *c, buffer *b, const char *key, const config_node *metrics) {
    buffer_print(b, "\"%s\": [", key);
    int n = 0;
    const char **words = config_words(c, metrics, &n); /* NULL: some have numbers */
    for (int i = 0; i < n; i++)
        buffer_print(b, "%s%s", i ? ", " : "", config_to_json(c, config_word(c, words[i])));
    const bool list = metrics->kind == CONFIG_LIST;
    for (const config_node *one = list ? metrics->first : metrics; one && !words; one = list ? one->next : NULL)
        buffer_print(b, "%s%s", list && one != metrics->first ? ", " : "", config_to_json(c, one));
    buffer_print(b, "]");
}

/* Loss and metrics of an output; what is not said follows from the loss, or from labels that are whole numbers. */
static void print_output(cli *c, buffer *b, const config_node *loss, const config_node *metrics,
                         const config_node *weighted, bool whole) {
    const bool classes = recipe_task_of(loss, whole) != TASK_NUMBERS;
    if (!loss) loss = config_word(c, classes ? "sparse_categorical_crossentropy" : "mean_squared_error");
    if (!metrics) metrics = config_word(c, classes ? "accuracy" : "");
    buffer_print(b, "\"loss\": %s, ", config_to_json(c, loss));
    print_metrics(c, b, "metrics", metrics);
    if (!weighted) return;
    buffer_print(b, ", ");
    print_metrics(c, b, "weighted_metrics", weighted);
}

/* What a map says of an output; without a map the same of all. */
static const config_node *of_output(const config_node *node, const char *name) {
    return node && node->kind == CONFIG_MAP ? config_find(node, name) : node;
}

/* A map of outputs may only name outputs. */
static int check_outputs(cli *c, const data_source *train, const config_node *map, const char *what) {
    for (const config_node *one = map && map->kind == CONFIG_MAP ? map->first : NULL; one; one = one->next) {
        int i = 0;
        while (train->outputs[i] && strcmp(train->outputs[i], one->key) != 0)
            i++;
        if (train->outputs[i]) continue;
        const int code = cli_fail(c, config_fault(one->key_at), "%s: %s: y has no output '%s'",
                                  config_where(c, one->key_at), what, one->key);
        const char *near = nearest_name(one->key, (const char **)(uintptr_t)train->outputs);
        if (near) cli_hint("Did you mean '%s'?", near);
        return code;
    }
    return EXIT_DONE;
}

static int print_outputs(cli *c, const recipe *r, const data_source *train, buffer *b) {
    int code = check_outputs(c, train, r->loss, "loss");
    if (code == EXIT_DONE) code = check_outputs(c, train, r->metrics, "metrics");
    if (code == EXIT_DONE) code = check_outputs(c, train, r->weighted_metrics, "weighted_metrics");
    if (code == EXIT_DONE) code = check_outputs(c, train, r->loss_weights, "loss_weights");
    buffer_print(b, "\"outputs\": [");
    for (int i = 0; train->outputs[i]; i++) {
        const char *name = train->outputs[i];
        const config_node *weight = of_output(r->loss_weights, name);
        buffer_print(b, i ? ", {" : "{");
        if (weight) buffer_print(b, "\"loss_weight\": %s, ", config_to_json(c, weight));
        print_output(c, b, of_output(r->loss, name), of_output(r->metrics, name), of_output(r->weighted_metrics, name),
                     array_classes(soma_dataset_output(train->data, i)) > 0);
        buffer_print(b, "}");
    }
    buffer_print(b, "]");
    return code;
}

static int compile(cli *c, const recipe *r, const data_source *train, soma_model *model) {
    buffer b = {.c = c};
    int code = EXIT_DONE;
    buffer_print(&b, "{\"optimizer\": %s, ", optimizer_json(c, r));
    if (train->outputs) {
        code = print_outputs(c, r, train, &b);
    } else {
        print_output(c, &b, r->loss, r->metrics, r->weighted_metrics, source_classes(train->data) > 0);
    }
    if (r->precision) buffer_print(&b, ", \"precision\": %s", config_to_json(c, r->precision));
    buffer_print(&b, "}");
    if (code != EXIT_DONE) return code;
    if (soma_model_compile_json(model, b.text) == SOMA_OK) return EXIT_DONE;
    const char *text = soma_last_error(c->context); /* which says what it is about, if nothing of it is named */
    const config_node *first = strstr(text, "metric") ? r->metrics : strstr(text, "loss") ? r->loss : r->optimizer;
    const config_node *const parts[] = {first,           r->optimizer, r->loss, r->metrics, r->weighted_metrics,
                                        r->loss_weights, r->precision};
    return recipe_refuse_any(c, r, parts, 7);
}

/* The samples must have as many elements as the model takes; a configuration has said how many. */
static int check_samples(cli *c, const recipe *r, const data_source *train, const soma_model *model) {
    const soma_array_data x = soma_dataset_x(train->data);
    int64_t shape[SOMA_MAX_RANK], size = 1;
    const int rank = soma_model_input_shape(model, shape);
    for (int i = 0; i < rank; i++)
        size *= shape[i];
    if (train->inputs || rank < 0 || size == array_sample_size(x)) return EXIT_DONE; /* named ones gave the shapes */
    const char *where = r->layers ? config_where(c, r->layers->at) : r->path ? r->path : "--hidden";
    return cli_fail(c, r->layers ? config_fault(r->layers->at) : EXIT_INPUT,
                    "%s: the samples are %s, but the layers take %s", where, text_shape(c, x.rank - 1, x.shape + 1),
                    text_shape(c, rank, shape));
}

/* Class indices must be outputs of the model; other labels are for the library to judge. */
static int check_labels(cli *c, const recipe *r, const data_source *source, const soma_model *model) {
    int64_t shape[SOMA_MAX_RANK];
    const int rank = soma_model_output_shape(model, shape);
    const char *loss = r->loss ? recipe_loss_name(r->loss) : "sparse";
    const bool indices = strncmp(loss, "sparse", 6) == 0 || strncmp(loss, "multiclass", 10) == 0;
    if (!source->data || source->outputs || rank < 1 || shape[rank - 1] < 2 || !indices) return EXIT_DONE;
    return source_check_labels(c, source, shape[rank - 1]);
}

/* One array of the samples to test with, beside the same one of those to train on. */
static int check_alike(cli *c, const data_source *test, const char *name, soma_array_data a, soma_array_data b) {
    if (array_sample_size(a) == array_sample_size(b)) return EXIT_DONE;
    return cli_fail(c, EXIT_INPUT, "%s: to test with, %s is %s for each sample, but %s to train on", test->name, name,
                    text_shape(c, a.rank - 1, a.shape + 1), text_shape(c, b.rank - 1, b.shape + 1));
}

int recipe_check_test(cli *c, const recipe *r, const data_source *train, const data_source *test,
                      const soma_model *model) {
    if (!test->data) return EXIT_DONE;
    const int inputs = soma_dataset_inputs(train->data), outputs = soma_dataset_outputs(train->data);
    if (soma_dataset_inputs(test->data) != inputs || soma_dataset_outputs(test->data) != outputs)
        return cli_fail(c, EXIT_INPUT, "%s: there are %d and %d arrays to test with, but %d and %d to train on",
                        test->name, soma_dataset_inputs(test->data), soma_dataset_outputs(test->data), inputs, outputs);
    int code = EXIT_DONE;
    for (int i = 0; i < inputs && code == EXIT_DONE; i++)
        code = check_alike(c, test, train->inputs ? train->inputs[i] : "x", soma_dataset_input(test->data, i),
                           soma_dataset_input(train->data, i));
    for (int i = 0; i < outputs && code == EXIT_DONE; i++)
        code = check_alike(c, test, train->outputs ? train->outputs[i] : "y", soma_dataset_output(test->data, i),
                           soma_dataset_output(train->data, i));
    return code == EXIT_DONE ? check_labels(c, r, test, model) : code;
}

/* Layers that don't fit each other: built once more as a graph, the first that does not has its line. */
static int refuse_build(cli *c, const recipe *r, const data_source *train) {
    soma_model *again = NULL;
    if (r->layers && r->path && soma_last_status(c->context) != SOMA_NO_MEMORY) {
        const char *text = cli_text(c, "%s", soma_last_error(c->context));
        soma_clear_error(c->context);
        const int code = recipe_build_graph(c, r, train, &again);
        soma_model_destroy(again);
        return code != EXIT_DONE ? code : cli_fail(c, EXIT_INPUT, "%s: %s", r->path, text);
    }
    return recipe_refuse(c, r, r->layers ? r->layers : r->root);
}

int recipe_build(cli *c, const recipe *r, const data_source *train, soma_model **out) {
    *out = NULL;
    int code = r->layers ? build_layers(c, r, train, out) : recipe_build_hidden(c, r, train, out);
    if (code != EXIT_DONE) return code;
    soma_model *model = *out;
    if (!isnan(r->pixel_scale) && soma_set_pixel_scale(model, r->pixel_scale, 0) != SOMA_OK)
        return cli_fail_status(c, EXIT_FAILED);
    const soma_array_data x = soma_dataset_x(train->data);
    const int64_t one = 1; /* element of a sample that is a number */
    if (soma_model_build(model, x.rank > 1 ? x.rank - 1 : 1, x.rank > 1 ? x.shape + 1 : &one) != SOMA_OK)
        return refuse_build(c, r, train);
    code = check_samples(c, r, train, model);
    if (code == EXIT_DONE) code = compile(c, r, train, model);
    return code == EXIT_DONE ? check_labels(c, r, train, model) : code;
}
