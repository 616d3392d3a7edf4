/* Recipes: from words to a compiled model and open data.
 * Rests on recipe.h. Layers, optimizers and losses go to the library as JSON; what it says about them gets the line.
 * What is not said is derived from the data: labels that are whole numbers make a classifier, others a regression. */
#include "recipe.h"

#include <math.h>
#include <string.h>

#include "models.h"

#include "shared_options.h"

static const char *const progress_modes[] = {"auto", "bar", "line", "json", "none", NULL};

#define AT(field) .offset = offsetof(recipe, field)
const option recipe_options[] = {
    SHARED_DATASET(recipe, DATASET_WORDS "train"),
    SHARED_X(recipe, "samples: .npy or IDX (in YAML also a list)"),
    SHARED_Y(recipe),
    {.name = "test-x", .kind = OPTION_CONFIG, AT(test_x), .argument = "FILE", .help = "samples to test with"},
    {.name = "test-y", .kind = OPTION_CONFIG, AT(test_y), .argument = "FILE", .help = "what these should give"},
    SHARED_SAMPLE_WEIGHT(recipe, "how much each sample counts in the loss: .npy or\nIDX (in YAML also a list)"),
    {.name = "test-sample-weight",
     .kind = OPTION_CONFIG,
     AT(test_sample_weight),
     .argument = "FILE",
     .help = "the same for those to test with"},
    SHARED_SAMPLES(recipe, "train on the first N samples only"),
    {.name = "validation-split",
     .kind = OPTION_NUMBER,
     AT(validation_split),
     .argument = "SHARE",
     .low = 0,
     .high = 0.99,
     .help = "last share of the samples, held out to measure"},
    {.name = "validation-freq",
     .kind = OPTION_INT,
     AT(validation_freq),
     .argument = "N",
     .low = 1,
     .high = 1e9,
     .help = "measure them after every N-th epoch (default 1)"},
    {.name = "validation-batch-size",
     .kind = OPTION_INT,
     AT(validation_batch_size),
     .argument = "N",
     .low = 1,
     .high = 1e9,
     .help = "samples at a time (default: the batch size)"},
    {.name = "validation-steps",
     .kind = OPTION_INT,
     AT(validation_steps),
     .argument = "N",
     .low = 1,
     .high = 9e15,
     .help = "only so many batches of it (default: all)"},
    {.name = "validate-on-test",
     .kind = OPTION_FLAG,
     AT(validate_on_test),
     .help = "measure the test samples each epoch"},
    {.name = "shuffle", .kind = OPTION_FLAG, AT(shuffle), .help = "new order each epoch (default; --no-shuffle)"},
    {.name = "pixel-scale",
     .kind = OPTION_NUMBER,
     AT(pixel_scale),
     .argument = "X",
     .low = 0,
     .high = 1e6,
     .help = "bytes are multiplied by it (default 1/255)"},
    {.name = "hidden",
     .kind = OPTION_CONFIG,
     AT(hidden),
     .argument = "N,N...",
     .help = "units of the hidden layers (default 128)"},
    {.name = "activation",
     .kind = OPTION_TEXT,
     AT(activation),
     .argument = "NAME",
     .help = "of the hidden layers (default relu)"},
    {.name = "dropout",
     .kind = OPTION_NUMBER,
     AT(dropout),
     .argument = "RATE",
     .low = 0,
     .high = 0.99,
     .help = "after each hidden layer (default 0)"},
    {.name = "layers",
     .kind = OPTION_CONFIG,
     AT(layers),
     .argument = "LIST",
     .help = "the whole network instead, as in YAML:\n'[flatten, {dense: 64}, {dense: {units: 10,\nactivation: "
             "softmax}}]'"},
    {.name = "optimizer",
     .kind = OPTION_CONFIG,
     AT(optimizer),
     .argument = "NAME",
     .help = "default rmsprop; with options\n'{adam: {beta_1: 0.8}}'"},
    {.name = "learning-rate",
     .kind = OPTION_NUMBER,
     AT(learning_rate),
     .argument = "X",
     .low = 0,
     .high = 1e30,
     .help = "default: the optimizer's"},
    {.name = "loss",
     .kind = OPTION_CONFIG,
     AT(loss),
     .argument = "NAME",
     .help = "default: by the kind of labels; with numbers\n'{huber: {delta: 0.5}}'"},
    {.name = "loss-weights",
     .kind = OPTION_CONFIG,
     AT(loss_weights),
     .argument = "MAP",
     .help = "of several outputs, '{age: 0.5}' (default 1 each)"},
    {.name = "metrics",
     .kind = OPTION_CONFIG,
     AT(metrics),
     .argument = "NAME,...",
     .help = "default: accuracy for classes; with numbers\n'[{precision: {class_id: 2}}, auc]'"},
    {.name = "weighted-metrics",
     .kind = OPTION_CONFIG,
     AT(weighted_metrics),
     .argument = "NAME,...",
     .help = "in which samples count as in the loss, by their\nweights and those of their classes"},
    {.name = "precision",
     .kind = OPTION_CONFIG,
     AT(precision),
     .argument = "NAME",
     .help = "mixed_bfloat16: large values between the products\nof a training step in 16 bits (default float32)"},
    {.name = "epochs",
     .kind = OPTION_INT,
     AT(epochs),
     .argument = "N",
     .low = 1,
     .high = 1e9,
     .help = "passes over the samples (default 5)"},
    {.name = "initial-epoch",
     .kind = OPTION_INT,
     AT(initial_epoch),
     .argument = "N",
     .low = 0,
     .high = 1e9,
     .help = "number of the first epoch (default 0)"},
    SHARED_BATCH_SIZE(recipe, "samples a step (default 32)"),
    {.name = "steps-per-epoch",
     .kind = OPTION_INT,
     AT(steps_per_epoch),
     .argument = "N",
     .low = 1,
     .high = 9e15,
     .help = "default: until all samples were seen"},
    {.name = "class-weight",
     .kind = OPTION_CONFIG,
     AT(class_weight),
     .argument = "LIST",
     .help = "how much each class counts in the loss: '[1, 5]',\nor for some of them '{3: 2.5}'"},
    {.name = "callbacks",
     .kind = OPTION_CONFIG,
     AT(callbacks),
     .argument = "LIST",
     .help = "'[{early_stopping: {patience: 3}},\n{csv_logger: log.csv}]'"},
    {.name = "seed",
     .kind = OPTION_INT,
     AT(seed),
     .argument = "N",
     .low = 0,
     .high = 9e15,
     .help = "of everything random (default 0)"},
    {.name = "resume",
     .kind = OPTION_TEXT,
     AT(resume),
     .argument = "MODEL",
     .help = "go on with a saved training, also inside of an\nepoch, to the same end as without a break"},
    SHARED_OUTPUT(recipe, "the model (default out/NAME.soma)"),
    {.name = "plots",
     .kind = OPTION_TEXT,
     AT(plots),
     .argument = "FOLDER",
     .help = "draw digits, curves, confusion matrix and worst\nmistakes"},
    {.name = "progress",
     .kind = OPTION_CHOICE,
     AT(progress),
     .argument = "HOW",
     .choices = progress_modes,
     .help = "auto, bar, line, json or none, on stderr"},
    {.name = "dry-run",
     .letter = 'n',
     .kind = OPTION_FLAG,
     AT(dry_run),
     .help = "show the network and what it needs, then stop"},
    {.name = NULL},
};
#undef AT

const recipe recipe_defaults = {
    .shuffle = true, .activation = "relu", .epochs = 5, .batch_size = 32, .pixel_scale = NAN, .learning_rate = NAN};

bool is_recipe(const char *path) {
    return text_ends_with(path, ".yaml") || text_ends_with(path, ".yml");
}

const char *recipe_name(cli *c, const recipe *r) {
    if (r->path && strcmp(r->path, "-") != 0) return text_stem(c, r->path);
    return r->dataset ? text_stem(c, r->dataset) : "model";
}

/* ---- reading ---- */

/* A flag wins over its rivals in the configuration as well: --hidden over layers, --x over dataset. */
static void drop_rivals(const option_table *flags, recipe *r) {
    if (option_given(flags, "hidden") && !option_given(flags, "layers")) r->layers = NULL;
    if (option_given(flags, "layers") && !option_given(flags, "hidden")) r->hidden = NULL;
    if (option_given(flags, "dataset") && !option_given(flags, "x")) {
        r->x = r->y = NULL;
        if (!option_given(flags, "test-x")) r->test_x = NULL;
        if (!option_given(flags, "test-y")) r->test_y = NULL;
    }
    if (option_given(flags, "x") && !option_given(flags, "dataset")) r->dataset = NULL;
    if (!option_given(flags, "dataset") && !option_given(flags, "x")) return;
    if (!option_given(flags, "sample-weight")) r->sample_weight = NULL; /* of other samples */
    if (!option_given(flags, "test-sample-weight")) r->test_sample_weight = NULL;
}

int recipe_read(cli *c, const char *path, option_table tables[OPTION_TABLES], recipe *r) {
    const option_table flags = tables[0];
    r->path = path;
    if (path) {
        const config_node *root = config_read_file(c, path);
        if (!root) return EXIT_INPUT;
        r->root = root;
        const int code = options_read_config(c, tables, root);
        if (code != EXIT_DONE) return code;
    }
    drop_rivals(&flags, r);
    const char *where = path ? path : "the command line";
    const int wrong = path ? EXIT_INPUT : EXIT_USAGE;
    if (!r->dataset && !r->x && !r->resume && !path)
        return cli_fail_usage(c, NULL, "which data? Give a configuration, --dataset, or --x and --y");
    if (!r->dataset && !r->x) return cli_fail(c, wrong, "%s: neither dataset nor x says what to train on", where);
    if (r->dataset && r->x) return cli_fail(c, wrong, "%s: both dataset and x say what to train on", where);
    if (r->x && !r->y) return cli_fail(c, wrong, "%s: y is missing: what the samples should give", where);
    if ((r->test_x != NULL) != (r->test_y != NULL))
        return cli_fail(c, wrong, "%s: test_x and test_y need each other", where);
    if (r->initial_epoch >= r->epochs)
        return cli_fail(c, wrong, "%s: initial_epoch %lld leaves none of %lld epochs", where,
                        (long long)r->initial_epoch, (long long)r->epochs);
    if (r->layers && r->hidden) return cli_fail(c, wrong, "%s: both layers and hidden describe the network", where);
    if (r->validation_split > 0 && r->validate_on_test)
        return cli_fail(c, wrong, "%s: both validation_split and validate_on_test are given", where);
    if (!r->output) r->output = cli_text(c, "out/%s.soma", recipe_name(c, r));
    return EXIT_DONE;
}

/* ---- data ---- */

static bool same_names(const char *const *a, const char *const *b) {
    if (!a || !b) return a == b;
    while (*a && *b && strcmp(*a, *b) == 0) {
        a++;
        b++;
    }
    return !*a && !*b;
}

/* Arrays to test with have the names of those to train with, in the same order. */
static int check_names(cli *c, const recipe *r, const data_source *train, const data_source *test) {
    const bool x = same_names(train->inputs, test->inputs);
    if (x && same_names(train->outputs, test->outputs)) return EXIT_DONE;
    const config_node *node = x ? r->test_y : r->test_x;
    return cli_fail(c, EXIT_INPUT, "%s:%d:%d: %s must have the names that %s has, in the same order",
                    r->path ? r->path : "arrays", node->at.line, node->at.column, x ? "test_y" : "test_x",
                    x ? "y" : "x");
}

int recipe_open_data(cli *c, const recipe *r, data_source *train, data_source *test) {
    *train = (data_source){.data = NULL};
    *test = (data_source){.data = NULL};
    int code = r->dataset ? source_open(c, r->dataset, "train", true, train) : source_open_arrays(c, r->x, r->y, train);
    if (code == EXIT_DONE && r->dataset && !r->test_x) code = source_open(c, r->dataset, "test", false, test);
    if (code == EXIT_DONE && r->test_x) code = source_open_arrays(c, r->test_x, r->test_y, test);
    if (code == EXIT_DONE && r->test_x) code = check_names(c, r, train, test);
    if (code == EXIT_DONE) code = source_limit(c, train, r->samples);
    if (code == EXIT_DONE && r->validate_on_test && !test->data)
        code = cli_fail(c, EXIT_INPUT, "validate_on_test: there are no test samples");
    if (code == EXIT_DONE) return code;
    source_close(train);
    source_close(test);
    return code;
}

/* ---- the network ---- */

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

/* ---- what fit takes ---- */

static int number_from_zero(const config_node *node, double *out) {
    return config_number(node, out) && *out >= 0;
}

/* [1, 5]: of class 0, 1, ...; {3: 2.5}: of some, by number or name, 1 of the others. */
static int read_class_weight(cli *c, const recipe *r, const data_source *train, soma_fit_options *out) {
    const config_node *node = r->class_weight;
    const int64_t classes = source_classes(train->data);
    const int wrong = config_fault(node->at);
    const char *where = config_where(c, node->at);
    if (wrong == EXIT_INPUT) where = cli_text(c, "%s: class_weight", where);
    if (classes < 1) return cli_fail(c, EXIT_INPUT, "%s: the labels are no classes", where);
    double *weights = cli_alloc(c, (size_t)classes, sizeof *weights);
    for (int64_t i = 0; i < classes; i++)
        weights[i] = 1;
    int64_t k = 0;
    for (const config_node *one = node->first; one; one = one->next, k++) {
        double weight = 0, number = (double)k;
        if (one->key) {
            int64_t named = 0;
            while (named < classes && strcmp(class_name(c, NULL, train->data, named), one->key) != 0)
                named++;
            if (named < classes) number = (double)named;
            if (named == classes && !number_from_zero(config_word(c, one->key), &number)) number = -1;
        }
        if (number != trunc(number) || number < 0 || number >= (double)classes)
            return cli_fail(c, wrong, "%s: there is no class '%s': there are %lld", where,
                            one->key ? one->key : cli_text(c, "%lld", (long long)k), (long long)classes);
        if (!number_from_zero(one, &weight)) return cli_fail(c, wrong, "%s: a weight must be a number from 0", where);
        weights[(int64_t)number] = weight;
    }
    if (node->kind == CONFIG_WORD) return cli_fail(c, wrong, "%s must be a list or a map of numbers", where);
    if (node->kind == CONFIG_LIST && k < classes)
        return cli_fail(c, wrong, "%s: %lld weights for %lld classes: give all, or some by {3: 2.5}", where,
                        (long long)k, (long long)classes);
    out->class_weight = weights;
    out->n_class_weight = (int)classes;
    return EXIT_DONE;
}

static int read_callbacks(cli *c, const recipe *r, soma_fit_options *out) {
    const config_node *list = r->callbacks;
    const bool one_only = list->kind != CONFIG_LIST;
    int n = 0;
    while (n < SOMA_MAX_CALLBACKS && out->callbacks[n])
        n++;
    for (const config_node *node = one_only ? list : list->first; node; node = one_only ? NULL : node->next) {
        if (n == SOMA_MAX_CALLBACKS - c->json) /* which needs one of its own */
            return cli_fail(c, EXIT_INPUT, "callbacks: %d are possible", n);
        out->callbacks[n] = soma_callback_from_json(c->context, config_to_json(c, node));
        if (!out->callbacks[n]) return recipe_refuse(c, r, node);
        n++;
    }
    return EXIT_DONE;
}

int recipe_test_weights(cli *c, const recipe *r, const data_source *test, const double **out) {
    *out = NULL;
    if (!r->test_sample_weight || !test->data) return EXIT_DONE;
    return source_read_weights(c, r->test_sample_weight, soma_dataset_samples(test->data), false, out);
}

int recipe_fit_options(cli *c, const recipe *r, const data_source *train, soma_fit_options *out) {
    out->data = train->data;
    out->batch_size = r->batch_size;
    out->epochs = r->epochs;
    out->steps_per_epoch = r->steps_per_epoch;
    out->no_shuffle = !r->shuffle;
    out->validation_split = r->validation_split;
    out->validation_freq = r->validation_freq;
    out->validation_batch_size = r->validation_batch_size;
    out->validation_steps = r->validation_steps;
    out->initial_epoch = r->initial_epoch;
    int code = r->class_weight ? read_class_weight(c, r, train, out) : EXIT_DONE;
    if (code == EXIT_DONE && r->sample_weight)
        code = source_read_weights(c, r->sample_weight, soma_dataset_samples(train->data), r->samples > 0,
                                   &out->sample_weight);
    if (code == EXIT_DONE && r->callbacks) code = read_callbacks(c, r, out);
    return code;
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

int recipe_open_model(cli *c, const char *path, const option_table *common, soma_model **out, data_source *train) {
    recipe r = recipe_defaults;
    option_table tables[OPTION_TABLES] = {{.rows = recipe_options, .values = &r}, *common};
    data_source samples = {.data = NULL}, test = {.data = NULL};
    *out = NULL;
    int code = recipe_read(c, path, tables, &r);
    if (code == EXIT_DONE && !cli_context(c)) code = EXIT_FAILED;
    if (code == EXIT_DONE) code = recipe_open_data(c, &r, &samples, &test);
    if (code == EXIT_DONE) code = recipe_build(c, &r, &samples, out);
    if (code == EXIT_DONE && train) {
        *train = samples;
    } else {
        source_close(&samples);
    }
    source_close(&test);
    return code;
}

int network_open(cli *c, const char *path, const option_table *common, const char *dataset, soma_model **model,
                 data_source *train) {
    int code = EXIT_DONE;
    if (is_recipe(path)) {
        code = recipe_open_model(c, path, common, model, train);
    } else {
        *model = model_open(c, path);
        if (!*model) code = EXIT_INPUT;
    }
    if (code != EXIT_DONE || !dataset) return code;
    source_close(train);
    return source_open(c, dataset, "train", true, train);
}
