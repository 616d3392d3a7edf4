/* Networks that branch and join: a configuration's layers that say what goes in.
 * Rests on recipe.h and on the library's symbols. A layer's `inputs` name the layers before it whose results it takes;
 * without, that is the one just before. `call` takes a named layer once more, with the same weights; `sequential` is a
 * network within the network, which is called and taken once more likewise. Samples of several arrays come in under the
 * names that x gives them, and each name of y is a layer whose result is compared with that array.
 * A mistake is found where it stands, since each layer is called as soon as it is read. */
#include <math.h>
#include <string.h>

#include "recipe.h"

/* What can be named as an input: the samples, or the result of a call. */
typedef struct result {
    const char *name; /* NULL: it can't be named */
    const config_node *node;
    soma_symbol *symbol;
    soma_layer *layer;
    soma_model *model; /* of `sequential`, in place of a layer */
    bool used;
} result;

typedef struct graph {
    cli *c;
    const recipe *r;
    result *results; /* the samples first */
    int n, n_inputs;
} graph;

/* ---- reading a layer's node ---- */

/* The class' name and its options, which may be a map, a value or NULL. */
static const char *class_of(const config_node *node, const config_node **options) {
    *options = NULL;
    if (node->kind == CONFIG_WORD) return node->word;
    const config_node *name = config_find(node, "class_name");
    if (name) {
        *options = config_find(node, "config");
        return name->kind == CONFIG_WORD ? name->word : "";
    }
    if (node->kind != CONFIG_MAP || node->n != 1) return "";
    *options = node->first;
    return node->first->key;
}

static const config_node *option_of(const config_node *node, const char *key) {
    const config_node *options;
    (void)class_of(node, &options);
    return config_find(options, key);
}

static bool is_class(const config_node *node, const char *name) {
    const config_node *options;
    return strcmp(class_of(node, &options), name) == 0;
}

bool recipe_is_graph(const config_node *layers, const data_source *train) {
    if (train->inputs || train->outputs) return true;
    for (const config_node *node = layers->first; node; node = node->next) {
        if (is_class(node, "call") || is_class(node, "sequential") || option_of(node, "inputs")) return true;
    }
    return false;
}

/* A copy of a map, and of the maps in it to that depth, without their members of that key. */
static const config_node *without(cli *c, const config_node *node, const char *key, int depth) {
    if (node->kind != CONFIG_MAP || depth < 0) return node;
    config_node *copy = cli_alloc(c, 1, sizeof *copy);
    *copy = *node;
    copy->first = copy->last = NULL;
    copy->n = 0;
    for (const config_node *member = node->first; member; member = member->next) {
        if (strcmp(member->key, key) == 0) continue;
        config_node *kept = cli_alloc(c, 1, sizeof *kept);
        *kept = *without(c, member, key, depth - 1);
        kept->next = NULL;
        if (copy->last) {
            copy->last->next = kept;
        } else {
            copy->first = kept;
        }
        copy->last = kept;
        copy->n++;
    }
    return copy;
}

static int complain(const graph *g, const config_node *at, const char *text) {
    return cli_fail(g->c, config_fault(at->at), "%s: %s", config_where(g->c, at->at), text);
}

/* ---- what goes in ---- */

/* "encoder", or "encoder:1" for the result after the first, of layers that give several. */
static int find_input(graph *g, const config_node *word, soma_symbol **out) {
    cli *c = g->c;
    if (word->kind != CONFIG_WORD) return complain(g, word, "inputs must be a name, or a list of names");
    const char *colon = strrchr(word->word, ':');
    const char *name = colon ? cli_text(c, "%.*s", (int)(colon - word->word), word->word) : word->word;
    double number = 0;
    if (colon && (!config_number(config_word(c, colon + 1), &number) || number != trunc(number) || number < 0 ||
                  number >= SOMA_MAX_OUTPUTS))
        return complain(g, word,
                        cli_text(c, "'%s': behind the colon stands which result is meant, 0 the first", word->word));
    const char **names = cli_alloc(c, (size_t)g->n + 1, sizeof *names);
    int known = 0;
    for (int i = 0; i < g->n; i++) {
        if (!g->results[i].name) continue;
        names[known++] = g->results[i].name;
        if (strcmp(g->results[i].name, name) != 0) continue;
        g->results[i].used = true;
        *out = soma_symbol_output(g->results[i].symbol, (int)number);
        return *out ? EXIT_DONE : recipe_refuse(c, g->r, word);
    }
    const int code = complain(g, word, cli_text(c, "inputs: no layer above is called '%s'", name));
    const char *near = nearest_name(name, names);
    if (near) {
        cli_hint("Did you mean '%s'?", near);
    } else {
        cli_hint("A layer is called what its option name says: {dense: {units: 8, name: %s}}. 'input' are the samples.",
                 name);
    }
    return code;
}

/* The symbols that go into a layer; of the one just before, when nothing is said. */
static int find_inputs(graph *g, const config_node *node, soma_symbol ***out, int *n) {
    const config_node *inputs = option_of(node, "inputs");
    const bool list = inputs && inputs->kind == CONFIG_LIST;
    *n = list ? inputs->n : 1;
    *out = cli_alloc(g->c, (size_t)*n + 1, sizeof **out);
    if (!inputs) {
        g->results[g->n - 1].used = true;
        (*out)[0] = g->results[g->n - 1].symbol;
        return EXIT_DONE;
    }
    if (*n == 0) return complain(g, inputs, "inputs is empty: it names at least one layer above");
    int i = 0;
    for (const config_node *word = list ? inputs->first : inputs; word; word = list ? word->next : NULL) {
        const int code = find_input(g, word, &(*out)[i++]);
        if (code != EXIT_DONE) return code;
    }
    return EXIT_DONE;
}

/* ---- the samples ---- */

static int read_shape(graph *g, const config_node *node, soma_array_data x, int64_t shape[SOMA_MAX_RANK], int *rank) {
    *rank = x.rank > 1 ? x.rank - 1 : 1;
    shape[0] = 1; /* a sample that is one number is a vector of one */
    if (x.rank > 1) memcpy(shape, x.shape + 1, (size_t)*rank * sizeof *shape);
    if (!node) return EXIT_DONE;
    double number;
    *rank = 0;
    for (const config_node *one = node->kind == CONFIG_LIST ? node->first : node; one;
         one = node->kind == CONFIG_LIST ? one->next : NULL) {
        if (*rank == SOMA_MAX_RANK - 1 || !config_number(one, &number) || number < 1 || number != trunc(number) ||
            number > 9e15)
            return complain(g, one, "a shape is a list of at most 7 whole numbers from 1");
        shape[(*rank)++] = (int64_t)number;
    }
    return *rank ? EXIT_DONE : complain(g, node, "a shape is a list of at most 7 whole numbers from 1");
}

static int add_input(graph *g, const char *name, const config_node *at, int rank, const int64_t *shape) {
    result *samples = &g->results[g->n];
    *samples = (result){.name = name, .node = at};
    samples->symbol = soma_symbol_create(g->c->context, rank, shape, name);
    samples->layer = soma_symbol_layer(samples->symbol);
    if (!samples->symbol) return recipe_refuse(g->c, g->r, at);
    g->n++;
    g->n_inputs++;
    return EXIT_DONE;
}

/* The samples as the first result: what an input layer says, or the first layer's input_shape, or the data. */
static int add_samples(graph *g, const config_node *first, const data_source *train) {
    int64_t shape[SOMA_MAX_RANK];
    int rank, code = EXIT_DONE;
    for (int i = 0; train->inputs && train->inputs[i] && code == EXIT_DONE; i++) {
        code = read_shape(g, NULL, soma_dataset_input(train->data, i), shape, &rank);
        if (code == EXIT_DONE) code = add_input(g, train->inputs[i], g->r->x, rank, shape);
    }
    if (train->inputs) return code;
    const config_node *options, *shape_node = option_of(first, "input_shape"), *name = NULL;
    if (is_class(first, "input")) {
        (void)class_of(first, &options);
        if (options && options->kind != CONFIG_MAP) shape_node = options;
        name = option_of(first, "name");
    }
    code = read_shape(g, shape_node, soma_dataset_x(train->data), shape, &rank);
    if (code != EXIT_DONE) return code;
    return add_input(g, name && name->kind == CONFIG_WORD ? name->word : "input", first, rank, shape);
}

/* The results that the labels are for: those that y names, or the last. */
static int find_outputs(graph *g, const data_source *train, soma_symbol *outputs[SOMA_MAX_ARRAYS], int *n) {
    *n = 0;
    for (int i = 0; train->outputs && train->outputs[i]; i++) {
        int at = g->n_inputs;
        while (at < g->n && !(g->results[at].name && strcmp(g->results[at].name, train->outputs[i]) == 0))
            at++;
        if (at == g->n) return complain(g, g->r->y, cli_text(g->c, "y: no layer is called '%s'", train->outputs[i]));
        g->results[at].used = true;
        outputs[(*n)++] = g->results[at].symbol;
    }
    if (train->outputs) return EXIT_DONE;
    g->results[g->n - 1].used = true;
    outputs[(*n)++] = g->results[g->n - 1].symbol;
    return EXIT_DONE;
}

/* ---- the layers ---- */

/* The layer or network that `call` names. */
static int find_called(graph *g, const config_node *node, result *one) {
    const config_node *word = option_of(node, "layer");
    if (!word || word->kind != CONFIG_WORD)
        return complain(g, node, "call names a layer above: {call: {layer: NAME, inputs: NAME}}");
    for (int i = g->n_inputs; i < g->n; i++) {
        if (!g->results[i].name || strcmp(g->results[i].name, word->word) != 0) continue;
        one->layer = g->results[i].layer;
        one->model = g->results[i].model;
        return EXIT_DONE;
    }
    return complain(g, word, cli_text(g->c, "call: no layer above is called '%s'", word->word));
}

/* A network's layers, as a list or as an option beside its name. */
static soma_model *inner_network(graph *g, const config_node *node) {
    cli *c = g->c;
    const config_node *options;
    (void)class_of(node, &options);
    if (options && options->kind == CONFIG_LIST)
        return soma_model_from_json(c->context, cli_text(c, "{\"layers\": %s}", config_to_json(c, options)));
    return soma_model_from_json(c->context, options ? config_to_json(c, without(c, options, "inputs", 0)) : "{}");
}

static int check_call(graph *g, const config_node *node) {
    static const char *const known[] = {"layer", "inputs", "name", NULL};
    const config_node *options = node->first;
    for (const config_node *one = options->first; options->kind == CONFIG_MAP && one; one = one->next) {
        int i = 0;
        while (known[i] && strcmp(known[i], one->key) != 0)
            i++;
        if (known[i]) continue;
        const config_node key = {.at = one->key_at};
        return complain(g, &key, cli_text(g->c, "call has no option '%s': it has layer, inputs and name", one->key));
    }
    return EXIT_DONE;
}

static int add_layer(graph *g, const config_node *node) {
    cli *c = g->c;
    const config_node *name = option_of(node, "name");
    result *one = &g->results[g->n];
    *one = (result){.name = name && name->kind == CONFIG_WORD ? name->word : NULL, .node = node};
    for (int i = 0; one->name && i < g->n; i++) {
        if (g->results[i].name && strcmp(g->results[i].name, one->name) == 0)
            return complain(g, name, cli_text(c, "two layers are called '%s'", one->name));
    }
    soma_symbol **inputs;
    int n, code = find_inputs(g, node, &inputs, &n);
    const bool again = is_class(node, "call");
    if (code == EXIT_DONE && again) code = node->kind == CONFIG_MAP ? check_call(g, node) : EXIT_DONE;
    if (code == EXIT_DONE && again) code = find_called(g, node, one);
    if (code != EXIT_DONE) return code;
    if (!again && is_class(node, "sequential")) one->model = inner_network(g, node);
    if (!again && !is_class(node, "sequential"))
        one->layer = soma_layer_from_json(c->context, config_to_json(c, without(c, node, "inputs", 1)));
    if (!one->layer && !one->model) return recipe_refuse(c, g->r, node);
    g->n++; /* to be dropped if it can't be called; */
    if (one->layer) one->symbol = soma_call_many(one->layer, inputs, n);
    if (one->layer && !one->symbol) g->n--; /* a layer that was never called is gone then */
    if (one->model && soma_model_call(one->model, inputs, n, &one->symbol) != SOMA_OK) one->symbol = NULL;
    return one->symbol ? EXIT_DONE : recipe_refuse(c, g->r, node);
}

static int read_layers(graph *g, const data_source *train) {
    const config_node *node = g->r->layers->first;
    int code = add_samples(g, node, train);
    if (is_class(node, "input") && !train->inputs) node = node->next;
    if (code == EXIT_DONE && !node) return complain(g, g->r->layers, "there are no layers behind the input");
    for (; node && code == EXIT_DONE; node = node->next) {
        if (is_class(node, "input"))
            return complain(g, node,
                            train->inputs
                                ? "an input: samples of several arrays come in under the names that x gives them"
                                : "a second input: the samples are one array, and come in at the first layer");
        code = add_layer(g, node);
    }
    return code;
}

/* Every result goes somewhere. */
static int check_uses(graph *g) {
    for (int i = 0; i < g->n; i++) {
        const char *name = g->results[i].name;
        if (g->results[i].used) continue;
        return complain(g, g->results[i].node,
                        cli_text(g->c, "what %s%s%s gives goes nowhere: no layer below has it among its inputs",
                                 name ? "'" : "", name ? name : "this layer", name ? "'" : ""));
    }
    return EXIT_DONE;
}

/* Each network within the network, whose layers are that one's now. */
static void drop_networks(const graph *g) {
    for (int i = 0; i < g->n; i++) {
        bool seen = false;
        for (int j = 0; j < i; j++)
            seen = seen || g->results[j].model == g->results[i].model;
        if (!seen) soma_model_destroy(g->results[i].model);
    }
}

/* Layers that no model took; one that is called several times is there once. */
static void drop_layers(graph *g) {
    for (int i = 0; i < g->n; i++) {
        bool seen = false;
        for (int j = 0; j < i; j++)
            seen = seen || g->results[j].layer == g->results[i].layer;
        if (!seen) soma_layer_destroy(g->results[i].layer);
    }
}

int recipe_build_graph(cli *c, const recipe *r, const data_source *train, soma_model **out) {
    graph g = {.c = c, .r = r};
    soma_symbol *inputs[SOMA_MAX_ARRAYS], *outputs[SOMA_MAX_ARRAYS];
    int n_outputs = 0;
    g.results = cli_alloc(c, (size_t)r->layers->n + SOMA_MAX_ARRAYS, sizeof *g.results);
    int code = read_layers(&g, train);
    if (code == EXIT_DONE) code = find_outputs(&g, train, outputs, &n_outputs);
    if (code == EXIT_DONE) code = check_uses(&g);
    if (code != EXIT_DONE) {
        drop_layers(&g);
        drop_networks(&g);
        return code;
    }
    for (int i = 0; i < g.n_inputs; i++)
        inputs[i] = g.results[i].symbol;
    *out = soma_model_create(inputs, g.n_inputs, outputs, n_outputs);
    drop_networks(&g);
    return *out ? EXIT_DONE : recipe_refuse(c, r, r->layers);
}
