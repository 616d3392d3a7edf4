/* Models in the hands of the command.
 * Rests on models.h.
 * A class is what the labels say: a whole number, or the place of the one in a one-hot row. */
#include "models.h"

#include <math.h>
#include <string.h>

soma_model *model_open(cli *c, const char *path) {
    soma_context *context = cli_context(c);
    if (!context) return NULL;
    soma_model *model = soma_load(context, path);
    if (!model) (void)cli_fail_status(c, EXIT_INPUT);
    return model;
}

static predictions copy(cli *c, const soma_tensor *t, const void *elements) {
    const soma_array_data array = {soma_tensor_dtype(t), soma_ndim(t), soma_shape(t), elements};
    const int64_t n = soma_size(t), samples = soma_dim(t, 0);
    double *values = cli_alloc(c, (size_t)n, sizeof *values);
    for (int64_t i = 0; i < n; i++)
        values[i] = array_item(array, i);
    return (predictions){.samples = samples, .outputs = samples ? n / samples : 0, .values = values};
}

int model_predict_all(cli *c, soma_model *model, soma_dataset *data, predictions *out) {
    soma_graph *graph = soma_graph_create(c->context);
    soma_tensor *t[SOMA_MAX_ARRAYS];
    bool done = graph && soma_model_outputs(model) <= SOMA_MAX_ARRAYS &&
                soma_model_predict_all(model, &(soma_predict_options){.data = data, .graph = graph}, t) == SOMA_OK;
    for (int i = 0; i < soma_model_outputs(model) && done; i++) {
        const void *elements = soma_data(t[i]);
        if (elements) out[i] = copy(c, t[i], elements);
        done = elements != NULL;
    }
    soma_graph_destroy(graph);
    return done ? EXIT_DONE : cli_fail_status(c, EXIT_INPUT);
}

int model_predict(cli *c, soma_model *model, soma_dataset *data, predictions *out) {
    if (soma_model_outputs(model) == 1) return model_predict_all(c, model, data, out);
    return cli_fail(c, EXIT_INPUT, "the model has %d outputs: this is for models of one", soma_model_outputs(model));
}

/* shape: the batch, then a sample's. */
static soma_array_data array_of_zeros(cli *c, soma_dtype dtype, int rank, const int64_t *shape) {
    int64_t *kept = cli_alloc(c, (size_t)rank, sizeof *kept), size = 1;
    for (int i = 0; i < rank; i++)
        size *= kept[i] = shape[i];
    return (soma_array_data){dtype, rank, kept, cli_alloc(c, (size_t)size, soma_dtype_size(dtype))};
}

soma_dataset *model_zeros(cli *c, const soma_model *model, int64_t batch, soma_dtype dtype, bool indices) {
    soma_array_data x[SOMA_MAX_ARRAYS], y[SOMA_MAX_ARRAYS];
    int64_t shape[SOMA_MAX_RANK + 1] = {batch};
    const int n_x = soma_model_inputs(model), n_y = soma_model_outputs(model);
    if (n_x > SOMA_MAX_ARRAYS || n_y > SOMA_MAX_ARRAYS) return NULL;
    for (int i = 0; i < n_x; i++) {
        const int rank = soma_model_input_shape_at(model, i, shape + 1);
        if (rank < 0 || rank >= SOMA_MAX_RANK) return NULL;
        x[i] = array_of_zeros(c, dtype, rank + 1, shape);
    }
    for (int i = 0; i < n_y; i++) {
        const int rank = soma_model_output_shape_at(model, i, shape + 1);
        if (rank < 0 || rank >= SOMA_MAX_RANK) return NULL;
        const bool as_indices = indices && rank > 0;
        y[i] = array_of_zeros(c, as_indices ? SOMA_U8 : SOMA_F32, as_indices ? rank : rank + 1, shape);
    }
    return soma_dataset_from_lists(c->context, x, n_x, y, n_y, false);
}

int64_t prediction_class(const predictions *p, int64_t sample) {
    const double *row = p->values + sample * p->outputs;
    int64_t best = 0;
    for (int64_t k = 1; k < p->outputs; k++) {
        if (row[k] > row[best]) best = k;
    }
    return best;
}

/* ---- history ---- */

static curve *curve_named(curve *curves, int *n, const char *name) {
    for (int i = 0; i < *n; i++) {
        if (strcmp(curves[i].name, name) == 0) return &curves[i];
    }
    curves[*n] = (curve){.name = name, .test = NAN};
    return &curves[(*n)++];
}

int join_curves(cli *c, int n, const char *const *names, double *const *values, curve *curves) {
    (void)c;
    int count = 0;
    for (int i = 0; i < n; i++) {
        if (strncmp(names[i], "val_", 4) == 0) {
            curve_named(curves, &count, names[i] + 4)->validation = values[i];
        } else {
            curve_named(curves, &count, names[i])->train = values[i];
        }
    }
    return count;
}

static bool any_number(const double *values, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (!isnan(values[i])) return true;
    }
    return false;
}

int draw_history(cli *c, const char *path, const char *title, const soma_model *model, const soma_scores *test) {
    const int64_t epochs = soma_history_epochs(model);
    if (epochs < 1) return cli_fail(c, EXIT_INPUT, "this model has no history: it was not trained by fit");
    const char *names[2 * SOMA_MAX_METRICS + 2];
    double *values[2 * SOMA_MAX_METRICS + 2];
    int n = 0;
    for (int i = 0; i < 2 * SOMA_MAX_METRICS + 2 && soma_history_name(model, i); i++) {
        names[n] = soma_history_name(model, i);
        values[n] = cli_alloc(c, (size_t)epochs, sizeof(double));
        for (int64_t k = 0; k < epochs; k++)
            values[n][k] = soma_history_get(model, names[n], k);
        if (any_number(values[n], epochs)) n++;
    }
    curve curves[2 * SOMA_MAX_METRICS + 2];
    const int count = join_curves(c, n, names, values, curves);
    for (int i = 0; test && i < count; i++) {
        if (strcmp(curves[i].name, "loss") == 0) curves[i].test = test->loss;
        for (int k = 0; k < test->n_metrics; k++) {
            const char *metric = soma_metric_name(model, k);
            if (metric && strcmp(curves[i].name, metric) == 0) curves[i].test = test->metrics[k];
        }
    }
    return plot_curves(c, path, title, epochs, count, curves);
}

/* ---- classes ---- */

static const char **all_names(cli *c, const soma_model *model, const soma_dataset *data, int64_t n) {
    const char **names = cli_alloc(c, (size_t)n, sizeof *names);
    for (int64_t i = 0; i < n; i++)
        names[i] = class_name(c, model, data, i);
    return names;
}

/* Whether data and predictions speak of the same classes. */
static int check_classes(cli *c, const soma_dataset *data, const predictions *p) {
    if (p->outputs < 2) return cli_fail(c, EXIT_INPUT, "the model has one output: it tells no classes apart");
    for (int64_t i = 0; i < p->samples; i++) {
        const int64_t label = source_label(data, i);
        if (label < 0) return cli_fail(c, EXIT_INPUT, "sample %lld has no label that is a class", (long long)i);
        if (label >= p->outputs)
            return cli_fail(c, EXIT_INPUT, "label %lld of sample %lld is out of range: the model has classes 0 to %lld",
                            (long long)label, (long long)i, (long long)p->outputs - 1);
    }
    return EXIT_DONE;
}

int draw_confusion(cli *c, const char *path, const char *title, const soma_model *model, const soma_dataset *data,
                   const predictions *p) {
    const int code = check_classes(c, data, p);
    if (code != EXIT_DONE) return code;
    const int64_t n = p->outputs;
    if (n > 64) return cli_fail(c, EXIT_INPUT, "%lld classes are too many for a matrix that can be read", (long long)n);
    int64_t *counts = cli_alloc(c, (size_t)(n * n), sizeof *counts);
    for (int64_t i = 0; i < p->samples; i++)
        counts[source_label(data, i) * n + prediction_class(p, i)]++;
    return plot_confusion(c, path, title, n, counts, all_names(c, model, data, n));
}

static bool worse(const mistake *a, const mistake *b) {
    return a->probability > b->probability || (!(b->probability > a->probability) && a->sample < b->sample);
}

int draw_mistakes(cli *c, const char *path, const char *title, const soma_model *model, const soma_dataset *data,
                  const predictions *p, int64_t most) {
    const int code = check_classes(c, data, p);
    if (code != EXIT_DONE) return code;
    const bool whole_rows = most == 0;
    if (whole_rows) most = 40;
    mistake *worst = cli_alloc(c, (size_t)most + 1, sizeof *worst);
    int64_t n = 0;
    for (int64_t i = 0; i < p->samples; i++) {
        mistake m = {.sample = i, .is = source_label(data, i), .taken_for = prediction_class(p, i)};
        if (m.is == m.taken_for) continue;
        m.probability = p->values[i * p->outputs + m.taken_for];
        int64_t place = n;
        while (place > 0 && worse(&m, &worst[place - 1])) {
            worst[place] = worst[place - 1];
            place--;
        }
        worst[place] = m;
        if (n < most) n++;
    }
    return plot_mistakes(c, path, title, data, n, whole_rows, worst, all_names(c, model, data, p->outputs));
}

/* ---- the network ---- */

static const char *about_value(cli *c, const soma_model *model, int value) {
    int64_t shape[SOMA_MAX_RANK];
    const int rank = soma_model_value_shape(model, value, shape);
    return rank < 0 ? "?" : text_shape(c, rank, shape);
}

static bool is_input(const soma_layer *layer) {
    return layer && strcmp(soma_layer_class_name(layer), "InputLayer") == 0;
}

static network_node node_of_input(cli *c, const soma_model *model, int i) {
    const soma_layer *layer = soma_model_get_layer(model, i);
    return (network_node){
        .name = is_input(layer) ? soma_layer_name(layer) : "input", .kind = "", .about = about_value(c, model, i)};
}

/* maker: by value the box that it comes from. */
static network_node node_of_call(cli *c, const soma_model *model, soma_layer_call call, const int *maker) {
    network_node node = {.name = soma_layer_name(call.layer),
                         .kind = soma_layer_class_name(call.layer),
                         .about = about_value(c, model, call.output),
                         .weights = soma_layer_weights(call.layer) > 0,
                         .n_from = call.n_inputs,
                         .from = cli_alloc(c, (size_t)call.n_inputs + 1, sizeof(int))};
    int64_t params = 0;
    for (int i = 0; i < soma_layer_weights(call.layer); i++)
        params += soma_variable_size(soma_layer_get_weight(call.layer, i));
    if (node.weights)
        node.about = cli_text(c, "%s  %s parameter%s", node.about, text_thousands(c, params), params == 1 ? "" : "s");
    for (int i = 0; i < call.n_inputs; i++)
        node.from[i] = maker[call.inputs[i]];
    return node;
}

int draw_network(cli *c, const char *path, const char *title, const soma_model *model) {
    const int calls = soma_model_calls(model), inputs = soma_model_inputs(model);
    int values = inputs, n = 0;
    for (int i = 0; i < calls; i++)
        values += soma_model_get_call(model, i).n_outputs;
    network_node *nodes = cli_alloc(c, (size_t)(inputs + calls), sizeof *nodes);
    int *maker = cli_alloc(c, (size_t)values, sizeof *maker);
    for (int i = 0; i < inputs; i++) {
        maker[i] = n;
        nodes[n++] = node_of_input(c, model, i);
    }
    for (int i = 0; i < calls; i++) {
        const soma_layer_call call = soma_model_get_call(model, i);
        const bool input = is_input(call.layer); /* which its box says already */
        for (int k = 0; k < call.n_outputs; k++)
            maker[call.output + k] = input ? maker[call.inputs[0]] : n;
        if (!input) nodes[n++] = node_of_call(c, model, call, maker);
    }
    return plot_network(c, path, title, cli_text(c, "%s parameters", text_thousands(c, soma_count_params(model))), n,
                        nodes);
}
