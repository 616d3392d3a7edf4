/* Recipes: what can be said in them, reading them, and opening the data that they name.
 * Rests on recipe.h; recipe_network.c makes the model of one, recipe_fit.c what its training takes. */
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

/* ---- both ---- */

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
