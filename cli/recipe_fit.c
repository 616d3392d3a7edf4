/* Recipes: what training takes beside the network and its data: counts, weights of classes and samples, callbacks.
 * Rests on recipe.h. */
#include "recipe.h"

#include <math.h>
#include <string.h>

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
