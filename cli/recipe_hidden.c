/* The network that --hidden describes: hidden layers and a last one that suits the loss and the labels.
 * Rests on recipe.h. Who names a loss alone gets what it takes: probabilities of classes for a cross-entropy, a number
 * for a squared error. */
#include <math.h>
#include <string.h>

#include "recipe.h"

const char *recipe_loss_name(const config_node *loss) {
    if (loss && loss->kind == CONFIG_MAP && loss->n) return loss->first->key;
    return loss && loss->kind == CONFIG_WORD ? loss->word : "";
}

recipe_task recipe_task_of(const config_node *loss, bool whole) {
    const char *name = recipe_loss_name(loss);
    if (!*name) return whole ? TASK_CLASSES : TASK_NUMBERS;
    if (strncmp(name, "binary_", 7) == 0 || strcmp(name, "bce") == 0) return TASK_BINARY;
    return strstr(name, "categorical") || strncmp(name, "multiclass", 10) == 0 ? TASK_CLASSES : TASK_NUMBERS;
}

/* The activation of the last layer: what the loss takes for a probability must be one. */
static const char *last_activation(const recipe *r, recipe_task what) {
    const config_node *options = r->loss && r->loss->kind == CONFIG_MAP ? r->loss->first : NULL;
    const config_node *logits = config_find(options, "from_logits");
    const char *loss = recipe_loss_name(r->loss);
    const bool takes_logits = logits && logits->kind == CONFIG_WORD && strcmp(logits->word, "true") == 0;
    if (takes_logits || strstr(loss, "from_logits") || strstr(loss, "hinge")) return "linear";
    return what == TASK_BINARY ? "sigmoid" : what == TASK_CLASSES ? "softmax" : "linear";
}

enum { MOST_CLASSES = 1000000 };

/* One for each class, two at least; else as many as a sample has labels. 0 after a message. */
static int64_t last_units(cli *c, recipe_task what, const data_source *train) {
    const soma_array_data y = soma_dataset_y(train->data);
    const int64_t size = array_sample_size(y);
    if (size < 1) (void)cli_fail(c, EXIT_INPUT, "%s: the samples have no labels", train->name);
    if (what != TASK_CLASSES || size != 1) return size;
    int64_t largest = 1;
    for (int64_t i = 0; i < y.shape[0]; i++) {
        const int64_t label = source_label(train->data, i);
        if (label > largest) largest = label;
        if (label < MOST_CLASSES) continue;
        (void)cli_fail(c, EXIT_INPUT, "%s: label %lld of sample %lld is out of range: at most %d classes are possible",
                       train->name, (long long)label, (long long)i, MOST_CLASSES);
        cli_hint("Numbers that are no classes want another loss, such as --loss mse.");
        return 0;
    }
    return largest + 1;
}

int recipe_build_hidden(cli *c, const recipe *r, const data_source *train, soma_model **out) {
    const soma_array_data x = soma_dataset_x(train->data);
    const int64_t inputs = array_sample_size(x);
    const recipe_task what = recipe_task_of(r->loss, source_classes(train->data) > 0);
    const int64_t outputs = last_units(c, what, train);
    if (outputs < 1) return EXIT_INPUT;
    if (inputs < 1) return cli_fail(c, EXIT_INPUT, "the samples have no elements: %s", text_shape(c, x.rank, x.shape));
    int n = 0;
    const config_place at = r->hidden ? r->hidden->at : (config_place){.file = "--hidden"};
    const char **units = config_words(c, r->hidden ? r->hidden : config_word(c, "128"), &n),
               *where = config_where(c, at);
    if (!units || n == 0)
        return cli_fail(c, config_fault(at), "%s: one number or several are expected: 512,256", where);
    const double most = 1e9;
    buffer b = {.c = c};
    buffer_print(&b, "{\"layers\": [");
    const char *shape = cli_text(c, "\"input_shape\": [%lld]", (long long)inputs);
    for (int i = 0; i < n; i++) {
        double number;
        if (!config_number(config_word(c, units[i]), &number) || number < 1 || number != trunc(number) || number > most)
            return cli_fail(c, config_fault(at), "%s: units must be whole numbers from 1 to %.0f, not '%s'", where,
                            most, units[i]);
        buffer_print(&b, "{\"dense\": {\"units\": %.0f, \"activation\": %s%s%s}}, ", number,
                     config_to_json(c, config_word(c, r->activation)), i ? "" : ", ", i ? "" : shape);
        if (r->dropout > 0) buffer_print(&b, "{\"dropout\": %.17g}, ", r->dropout);
    }
    buffer_print(&b, "{\"dense\": {\"units\": %lld, \"activation\": \"%s\"}}]}", (long long)outputs,
                 last_activation(r, what));
    *out = soma_model_from_json(c->context, b.text);
    return *out ? EXIT_DONE : cli_fail(c, config_fault(at), "%s: %s", where, soma_last_error(c->context));
}
