/* Training configuration, labels and history as JSON, in files and from people.
 * Rests on training_json.h. Losses and metrics go by the names of the tables, or by the names that the user gives his
 * own. Numbers are written with the fewest digits that read back as the same, so a file that is saved again is the
 * same. */
#include "train/training_json.h"

#include <math.h>
#include <string.h>

#include "nn/metric.h"
#include "nn/names.h"

/* ---- how it was compiled ---- */

/* A loss with numbers is written as an option is. */
static const soma_field loss_with_field[] = {{.name = "loss", .kind = SOMA_FIELD_LOSS}, {.name = NULL}};

static soma_status write_function(text *out, const field_names *names, const char *key, soma_function *function) {
    const char *name = name_for(&loss_names, names->custom, function);
    RETURN_IF(names->context, !name, SOMA_INVALID,
              "[save] the loss has no name: give it one by .custom = {{\"name\", (soma_function *)function}}");
    text_printf(out, "\"%s\": ", key);
    json_write_string(out, name);
    return SOMA_OK;
}

/* By their numbers; the first one is what is meant where none is said. */
static const struct {
    const char *word;
    soma_reduction reduction;
} reductions[] = {{"sum_over_batch_size", SOMA_REDUCE_MEAN},
                  {"sum", SOMA_REDUCE_SUM},
                  {"mean_with_sample_weight", SOMA_REDUCE_WEIGHTED_MEAN},
                  {"mean", SOMA_REDUCE_MEAN}};

static soma_status write_loss(text *out, const field_names *names, const training_loss *loss) {
    if (loss->reduction != SOMA_REDUCE_MEAN)
        text_printf(out, "\"reduction\": \"%s\", ", reductions[loss->reduction].word);
    if (loss->plain) return write_function(out, names, "loss", (soma_function *)loss->plain);
    bool first = true;
    return fields_write(out, names, "save", loss_with_field, &loss->with, &first);
}

/* The metrics of one output. */
static soma_status write_metrics(text *out, const field_names *names, const training *t, int output) {
    bool first = true;
    text_append(out, "\"metrics\": [");
    for (int i = t->n_output_losses; i < t->n_metrics; i++) {
        if (t->metric_outputs[i] != output) continue;
        if (!first) text_append(out, ", ");
        first = false;
        TRY(metric_write_json(out, names, &t->metrics[i]));
    }
    text_append(out, "]");
    return SOMA_OK;
}

static soma_status write_outputs(text *out, const field_names *names, const soma_model *model) {
    const training *t = model->training;
    text_append(out, "\"outputs\": [");
    for (int i = 0; i < model->n_outputs; i++) {
        const training_loss *loss = training_loss_of(t, i);
        text_append(out, i ? ", {" : "{");
        if (!t->objective && training_loss_given(loss)) {
            TRY(write_loss(out, names, loss));
            text_append(out, ", \"loss_weight\": ");
            json_write_number(out, loss->weight);
            text_append(out, ", ");
        }
        TRY(write_metrics(out, names, t, i));
        text_append(out, "}");
    }
    text_append(out, "]");
    return SOMA_OK;
}

soma_status training_write_json(text *out, const field_names *names, const soma_model *model) {
    const training *t = model->training;
    text_append(out, "{\"optimizer\": ");
    TRY(optimizer_write_json(out, names, t->minimizer.optimizer));
    text_append(out, ", ");
    if (t->objective) {
        TRY(write_function(out, names, "objective", (soma_function *)t->objective));
        text_append(out, ", ");
    }
    if (model->n_outputs > 1) {
        TRY(write_outputs(out, names, model));
    } else {
        if (!t->objective) {
            TRY(write_loss(out, names, &t->losses[0]));
            text_append(out, ", ");
        }
        TRY(write_metrics(out, names, t, 0));
    }
    if (t->mixed) text_append(out, ", \"precision\": \"mixed_bfloat16\"");
    text_printf(out, ", \"epochs\": %lld}", (long long)t->epochs_done);
    return out->failed ? SOMA_NO_MEMORY : SOMA_OK;
}

static soma_loss_fn *read_loss(const field_names *names, const json_node *node) {
    const char *name = json_node_string(node);
    const name_entry *entry;
    RETURN_NULL_IF(names->context, !name, SOMA_INVALID,
                   "[compile] the loss must be a name, or a name with its numbers");
    return (soma_loss_fn *)name_resolve(names->context, &loss_names, names->custom, name, &entry);
}

static soma_status read_reduction(const field_names *names, const json_node *node, soma_reduction *out) {
    const char *word = node ? json_node_string(node) : NULL;
    if (!node || json_node_kind(node) == JSON_IS_NULL) return SOMA_OK;
    for (size_t i = 0; word && i < sizeof reductions / sizeof *reductions; i++) {
        if (strcmp(word, reductions[i].word) != 0) continue;
        *out = reductions[i].reduction;
        return SOMA_OK;
    }
    return error_set(names->context, SOMA_INVALID,
                     "[compile] reduction must be one of sum_over_batch_size, mean, sum, mean_with_sample_weight");
}

static bool takes_axis(const char *loss) {
    const name_entry *entry = name_find(&loss_with_names, loss);
    for (int i = 0; entry && i < entry->n; i++) {
        if (strcmp(entry->parameters[i], "axis") == 0) return true;
    }
    return false;
}

/* What any loss may be told beside its numbers; *numbers is whether there are some. */
static soma_status read_common(const field_names *names, const char *loss, const json_node *config,
                               soma_reduction *reduction, bool *numbers) {
    const bool along = takes_axis(loss);
    void *cursor = NULL;
    const char *key;
    const json_node *value;
    while (json_node_kind(config) == JSON_IS_OBJECT && json_node_next(config, &cursor, &key, &value)) {
        int64_t axis = -1;
        if (strcmp(key, "reduction") == 0) {
            TRY(read_reduction(names, value, reduction));
        } else if (strcmp(key, "axis") == 0 && !along) {
            const bool last = json_node_integer(value, &axis) && axis == -1;
            RETURN_IF(names->context, !last && json_node_kind(value) != JSON_IS_NULL, SOMA_UNSUPPORTED,
                      "[compile] the axis of %s is the last one, -1", loss);
        } else if (!field_aside(key)) {
            *numbers = true;
        }
    }
    *numbers = *numbers || json_node_kind(config) != JSON_IS_OBJECT;
    return SOMA_OK;
}

/* {"huber": {"delta": 0.5, "reduction": "sum"}}, or Keras' {"class_name", "config"}. */
static soma_status read_told_loss(const field_names *names, const json_node *node, soma_loss_fn **plain,
                                  soma_loss *with, soma_reduction *reduction) {
    void *cursor = NULL;
    const char *name = NULL;
    const json_node *config = json_node_find(node, "config"), *called = json_node_find(node, "class_name");
    const name_entry *entry;
    bool numbers = false;
    if (called) name = json_node_string(called);
    if (!called && json_node_count(node) == 1) (void)json_node_next(node, &cursor, &name, &config);
    if (name && config) TRY(read_common(names, name, config, reduction, &numbers));
    if (!name || numbers) {
        RETURN_IF(names->context, name && name_find(&loss_names, name) && !name_find(&loss_with_names, name),
                  SOMA_INVALID, "[compile] the loss '%s' takes no numbers: give its name alone", name);
        return fields_read_value(names, "compile", loss_with_field, node, with);
    }
    *plain = (soma_loss_fn *)name_resolve(names->context, &loss_names, names->custom, name, &entry);
    return *plain ? SOMA_OK : error_get(names->context);
}

/* A loss by its name, or with what it is told. */
static soma_status read_any_loss(const field_names *names, const json_node *node, soma_loss_fn **plain, soma_loss *with,
                                 soma_reduction *reduction) {
    if (json_node_kind(node) == JSON_IS_OBJECT) return read_told_loss(names, node, plain, with, reduction);
    *plain = read_loss(names, node);
    return *plain ? SOMA_OK : error_get(names->context);
}

/* A key's metrics, one or a list of them, for one output: behind the *count that are there. */
static soma_status read_list(const field_names *names, soma_model *model, const json_node *list, int output,
                             soma_metric *out, int room, int *count) {
    if (!list || json_node_kind(list) == JSON_IS_NULL) return SOMA_OK;
    int64_t n = json_node_kind(list) == JSON_IS_ARRAY ? json_node_count(list) : 1;
    const model_value *value = &model->values[model->outputs[output]];
    metric_list metrics = {.items = out,
                           .n = *count,
                           .room = room,
                           .classes = value->rank > 0 ? value->shape[value->rank - 1] : 0,
                           .memory = &model->arena};
    for (int64_t i = 0; i < n; i++) {
        const json_node *node = json_node_kind(list) == JSON_IS_ARRAY ? json_node_at(list, i) : list;
        TRY(metric_read_json(names, node, &metrics));
    }
    *count = metrics.n;
    return SOMA_OK;
}

static soma_status read_metrics(const field_names *names, soma_model *model, const json_node *node, int output,
                                soma_metric *out, int room) {
    int n = 0;
    TRY(read_list(names, model, json_node_find(node, "metrics"), output, out, room, &n));
    const int first = n;
    TRY(read_list(names, model, json_node_find(node, "weighted_metrics"), output, out, room, &n));
    for (int i = first; i < n; i++)
        out[i].weighted = true;
    return SOMA_OK;
}

static soma_status check_keys(const field_names *names, const json_node *node, const char *const *known) {
    RETURN_IF(names->context, json_node_kind(node) != JSON_IS_OBJECT, SOMA_INVALID,
              "[compile] optimizer, loss and metrics must be given by name");
    void *cursor = NULL;
    const char *key;
    const json_node *value;
    while (json_node_next(node, &cursor, &key, &value)) {
        int i = 0;
        while (known[i] && strcmp(known[i], key) != 0)
            i++;
        if (!known[i]) return name_unknown(names->context, "option of compile", key, known);
    }
    return SOMA_OK;
}

static soma_status read_output(const field_names *names, soma_model *model, const json_node *node, int i,
                               soma_output_options *out) {
    static const char *const known[] = {"loss", "reduction", "loss_weight", "metrics", "weighted_metrics", NULL};
    TRY(check_keys(names, node, known));
    const json_node *loss = json_node_find(node, "loss"), *weight = json_node_find(node, "loss_weight");
    if (loss && json_node_kind(loss) != JSON_IS_NULL)
        TRY(read_any_loss(names, loss, &out->loss, &out->loss_with, &out->loss_reduction));
    TRY(read_reduction(names, json_node_find(node, "reduction"), &out->loss_reduction));
    RETURN_IF(names->context, weight && !json_node_number(weight, &out->loss_weight), SOMA_INVALID,
              "[compile] loss_weight must be a number");
    return read_metrics(names, model, node, i, out->metrics_with, SOMA_MAX_OUTPUT_METRICS);
}

static soma_status read_outputs(const field_names *names, soma_model *model, const json_node *list,
                                soma_compile_options *options) {
    const int64_t n = json_node_kind(list) == JSON_IS_ARRAY ? json_node_count(list) : -1;
    RETURN_IF(names->context, n != model->n_outputs || n > SOMA_MAX_ARRAYS, SOMA_INVALID,
              "[compile] outputs must be a list of %d, one for each output of the model", model->n_outputs);
    for (int i = 0; i < (int)n; i++)
        TRY(read_output(names, model, json_node_at(list, i), i, &options->outputs[i]));
    return SOMA_OK;
}

/* An objective is always one of the user's own. */
static soma_objective_fn *read_objective(const field_names *names, const json_node *node) {
    const char *name = json_node_string(node);
    for (int i = 0; name && names->custom && i < SOMA_MAX_CUSTOM; i++) {
        const soma_custom *c = &names->custom[i];
        if (c->name && c->function && strcmp(c->name, name) == 0) return (soma_objective_fn *)c->function;
    }
    (void)error_set(names->context, SOMA_NOT_FOUND,
                    "unknown objective '%s': give it by .custom = {{\"%s\", (soma_function *)function}}",
                    name ? name : "", name ? name : "name");
    return NULL;
}

soma_status training_read_json(const field_names *names, soma_model *model, const json_node *node) {
    static const char *const known[] = {"optimizer",        "loss",    "reduction", "objective", "metrics",
                                        "weighted_metrics", "outputs", "precision", "epochs",    NULL};
    TRY(check_keys(names, node, known));
    soma_compile_options options = {.loss = NULL};
    const json_node *loss = json_node_find(node, "loss"), *objective = json_node_find(node, "objective"),
                    *outputs = json_node_find(node, "outputs");
    if (objective) {
        options.objective = read_objective(names, objective);
        if (!options.objective) return training_failure(model);
    } else if (loss || !outputs) {
        TRY(read_any_loss(names, loss, &options.loss, &options.loss_with, &options.loss_reduction));
        TRY(read_reduction(names, json_node_find(node, "reduction"), &options.loss_reduction));
    }
    if (outputs) TRY(read_outputs(names, model, outputs, &options));
    TRY(read_metrics(names, model, node, 0, options.metrics_with, SOMA_MAX_METRICS));
    const json_node *optimizer = json_node_find(node, "optimizer"), *epochs = json_node_find(node, "epochs");
    int64_t done = 0;
    const json_node *precision = json_node_find(node, "precision");
    options.precision = precision ? json_node_string(precision) : NULL;
    RETURN_IF(names->context, precision && !options.precision, SOMA_INVALID, "[compile] precision must be a name");
    RETURN_IF(names->context, epochs && (!json_node_integer(epochs, &done) || done < 0), SOMA_FORMAT,
              "[compile] epochs must be a whole number");
    if (optimizer) {
        options.optimizer = optimizer_from_json_node(names, optimizer);
        if (!options.optimizer) return training_failure(model);
    }
    TRY(training_compile(model, &options, names->custom));
    if (epochs) ((training *)model->training)->epochs_done = done;
    return SOMA_OK;
}

soma_status soma_model_compile_json(soma_model *model, const char *json) {
    RETURN_IF(NULL, !model || !json, SOMA_INVALID, "[compile] no model or no JSON given");
    field_names names = {.context = model->context};
    json_document *document;
    TRY(json_document_parse(model->context, "JSON", 0, json, strlen(json), &document));
    soma_status status = training_read_json(&names, model, json_document_root(document));
    json_document_free(document);
    return status;
}

/* ---- history ---- */

soma_status history_write_json(text *out, const soma_model *model) {
    const training *t = model->training;
    bool first = true;
    text_append(out, "{");
    for (int k = 0; k < t->n_keys; k++) {
        if (!t->history.used[t->keys[k].kind]) continue;
        if (!first) text_append(out, ", ");
        first = false;
        json_write_string(out, t->keys[k].name);
        text_append(out, ": [");
        for (int64_t epoch = 0; epoch < t->history.epochs; epoch++) {
            if (epoch) text_append(out, ", ");
            json_write_number(out, t->history.rows[epoch * t->n_keys + k]);
        }
        text_append(out, "]");
    }
    text_append(out, "}");
    return out->failed ? SOMA_NO_MEMORY : SOMA_OK;
}

soma_status history_read_json(const field_names *names, soma_model *model, const json_node *node) {
    const training *t = model->training;
    int64_t epochs = 0;
    bool used[KEY_KINDS] = {false};
    for (int k = 0; k < t->n_keys; k++) {
        const json_node *column = json_node_find(node, t->keys[k].name);
        if (!column) continue;
        used[t->keys[k].kind] = true;
        int64_t n = json_node_kind(column) == JSON_IS_ARRAY ? json_node_count(column) : -1;
        RETURN_IF(names->context, n < 0 || (epochs > 0 && n != epochs), SOMA_FORMAT,
                  "[load] the history's column '%s' is not a list as long as the others", t->keys[k].name);
        epochs = n;
    }
    TRY(history_begin(model, false, epochs, used));
    for (int64_t epoch = 0; epoch < epochs; epoch++) {
        double row[TRAINING_KEYS];
        for (int k = 0; k < t->n_keys; k++) {
            row[k] = (double)NAN;
            (void)json_node_number(json_node_at(json_node_find(node, t->keys[k].name), epoch), &row[k]);
        }
        TRY(history_add(model, row));
    }
    return SOMA_OK;
}

/* ---- labels ---- */

soma_status labels_write_json(text *out, const soma_model *model) {
    const training *t = model->training;
    text_append(out, "[");
    for (int i = 0; i < t->n_labels; i++) {
        if (i) text_append(out, ", ");
        json_write_string(out, t->labels[i]);
    }
    text_append(out, "]");
    return out->failed ? SOMA_NO_MEMORY : SOMA_OK;
}

soma_status labels_read_json(const field_names *names, soma_model *model, const json_node *node) {
    int64_t n = json_node_kind(node) == JSON_IS_ARRAY ? json_node_count(node) : -1;
    RETURN_IF(names->context, n < 0 || n > INT32_MAX, SOMA_FORMAT, "[load] labels must be a list");
    size_t bytes = (size_t)n * sizeof(char *);
    const char **labels = mem_alloc(names->context, bytes);
    if (!labels) return SOMA_NO_MEMORY;
    soma_status status = SOMA_OK;
    for (int64_t i = 0; i < n && status == SOMA_OK; i++) {
        labels[i] = json_node_string(json_node_at(node, i));
        if (!labels[i]) status = error_set(names->context, SOMA_FORMAT, "[load] a label is not a string");
    }
    if (status == SOMA_OK) status = training_set_labels(model, labels, (int)n);
    mem_free(names->context, labels, bytes);
    return status;
}
