/* Metrics in files: "accuracy", {"precision": {"class_id": 2, "name": "cats"}}, Keras' {"class_name", "config"}.
 * Rests on metric.h. Losses are metrics too, those with numbers as well; a user's own goes by the name that he gives
 * it, with a list of numbers where it takes some. */
#include "nn/metric.h"

#include <string.h>

#include "base/number.h"

/* Ours: the entry of a plain metric, or of one with numbers. */
static const name_entry *entry_of(const soma_metric *m) {
    if (m->plain) {
        const name_entry *entry = name_of(&metric_names, (soma_function *)m->plain);
        return entry ? entry : name_of(&loss_names, (soma_function *)m->plain);
    }
    for (int i = 0; i < metric_names.n; i++) {
        const name_entry *entry = &metric_names.entries[i];
        if (entry->with == (soma_function *)m->build && entry->finish == m->finish) return entry;
    }
    return name_of(&loss_with_names, (soma_function *)m->build);
}

static const soma_custom *custom_of(const soma_metric *m, const soma_custom *custom) {
    soma_function *function = m->plain ? (soma_function *)m->plain : (soma_function *)m->build;
    for (int i = 0; custom && i < SOMA_MAX_CUSTOM && custom[i].name; i++) {
        if (custom[i].function == function) return &custom[i];
    }
    return NULL;
}

const char *metric_own_name(const soma_metric *metric, const soma_custom *custom) {
    const soma_custom *own = custom_of(metric, custom);
    if (own) return own->name;
    const name_entry *entry = entry_of(metric);
    return entry ? entry->name : NULL;
}

soma_finish_fn *metric_finish_of(const soma_metric *metric, const soma_custom *custom) {
    const soma_custom *own = custom_of(metric, custom);
    if (own) return own->finish;
    const name_entry *entry = entry_of(metric);
    return entry ? entry->finish : NULL;
}

/* ---- writing ---- */

soma_status metric_write_json(text *out, const field_names *names, const soma_metric *m) {
    const soma_custom *own = custom_of(m, names->custom);
    const name_entry *entry = own ? NULL : entry_of(m);
    const char *name = metric_own_name(m, names->custom);
    RETURN_IF(names->context, !name, SOMA_INVALID,
              "[save] the metric %s has no name: give it one by .custom = {{\"name\", (soma_function *)function}}",
              m->name);
    const bool shown = strcmp(m->name, name) == 0, numbered = entry && m->build;
    if (m->plain && shown && !m->weighted) {
        json_write_string(out, name);
        return SOMA_OK;
    }
    text_append(out, "{");
    json_write_string(out, name);
    text_append(out, ": {");
    if (numbered) fields_write_numbers(out, entry, m->numbers);
    if (own && m->build) fields_write_own(out, m->numbers, SOMA_METRIC_NUMBERS);
    if (!shown) {
        text_append(out, m->build ? ", \"name\": " : "\"name\": ");
        json_write_string(out, m->name);
    }
    if (m->weighted) text_append(out, m->build || !shown ? ", \"weighted\": true" : "\"weighted\": true");
    text_append(out, "}}");
    return SOMA_OK;
}

/* ---- reading ---- */

/* A metric of the user's own; with "numbers", one that takes them. */
static soma_status read_own(const field_names *names, const soma_custom *own, const json_node *config,
                            soma_metric *out) {
    out->finish = own->finish;
    if (json_node_find(config, "numbers"))
        out->build = (soma_metric_with_fn *)own->function;
    else
        out->plain = (soma_loss_fn *)own->function;
    return fields_read_own(names, "compile", own->name, config, out->numbers, SOMA_METRIC_NUMBERS);
}

/* Whether it has numbers, and not only a name and the like. */
static bool has_numbers(const json_node *config) {
    if (json_node_kind(config) != JSON_IS_OBJECT) return json_node_kind(config) != JSON_IS_NULL;
    void *cursor = NULL;
    const char *key;
    const json_node *value;
    while (json_node_next(config, &cursor, &key, &value)) {
        if (!field_aside(key)) return true;
    }
    return false;
}

static soma_status read_ours(const field_names *names, const char *name, const json_node *config, soma_metric *out) {
    const bool numbered = config && has_numbers(config);
    const name_entry *entry = name_find(&metric_names, name);
    if (!entry && numbered) entry = name_find(&loss_with_names, name);
    if (!entry) entry = name_find(&loss_names, name);
    if (!entry) return name_unknown(names->context, metric_names.what, name, metric_names.names);
    out->finish = entry->finish;
    if (entry->function && !numbered) {
        out->plain = (soma_loss_fn *)entry->function;
        return SOMA_OK;
    }
    RETURN_IF(names->context, entry->n == 0, SOMA_INVALID, "[compile] %s takes no numbers", entry->name);
    soma_function *build = entry->with ? entry->with : entry->function;
    out->build = (soma_metric_with_fn *)build;
    return fields_read_numbers(names, "compile", entry, config, out->numbers, SOMA_METRIC_NUMBERS);
}

static soma_status read_single(const field_names *names, const json_node *node, const json_node **options,
                               soma_metric *out) {
    const char *name = json_node_string(node);
    const json_node *config = NULL;
    *out = (soma_metric){.name = name};
    if (!name && json_node_find(node, "class_name")) {
        name = json_node_string(json_node_find(node, "class_name"));
        config = json_node_find(node, "config");
    } else if (!name && json_node_kind(node) == JSON_IS_OBJECT && json_node_count(node) == 1) {
        void *cursor = NULL;
        (void)json_node_next(node, &cursor, &name, &config);
    }
    RETURN_IF(names->context, !name, SOMA_INVALID, "[compile] a metric must be a name, or a name with its numbers");
    *options = config;
    const json_node *shown = config ? json_node_find(config, "name") : NULL;
    if (shown) out->name = json_node_string(shown);
    const json_node *weighted = config ? json_node_find(config, "weighted") : NULL;
    RETURN_IF(names->context, weighted && !json_node_bool(weighted, &out->weighted), SOMA_INVALID,
              "[compile] %s: weighted must be true or false", name);
    for (int i = 0; names->custom && i < SOMA_MAX_CUSTOM && names->custom[i].name; i++) {
        const soma_custom *own = &names->custom[i];
        if (own->function && strcmp(own->name, name) == 0) return read_own(names, own, config, out);
    }
    return read_ours(names, name, config, out);
}

/* ---- several of one ---- */

/* Copies of the metric just read, of which nobody but the caller knows how they differ; the first is there already. */
static soma_status repeat(const field_names *names, metric_list *list, int64_t n) {
    RETURN_IF(names->context, n < 1 || n > list->room - list->n + 1, SOMA_INVALID,
              "[compile] %s makes %lld metrics: 1 to %d are possible", list->items[list->n - 1].name, (long long)n,
              list->room);
    for (int64_t i = 1; i < n; i++, list->n++)
        list->items[list->n] = list->items[list->n - 1];
    return SOMA_OK;
}

/* {"precision": {"thresholds": [0.3, 0.7]}}: precision_0.3 and precision_0.7. */
static soma_status each_threshold(const field_names *names, const json_node *thresholds, metric_list *list) {
    soma_metric *first = &list->items[list->n - 1];
    const char *name = first->name;
    char digits[32];
    TRY(repeat(names, list, json_node_count(thresholds)));
    for (int i = 0; i < (int)json_node_count(thresholds); i++) {
        RETURN_IF(names->context, !json_node_number(json_node_at(thresholds, i), &first[i].numbers[0]), SOMA_INVALID,
                  "[compile] %s: thresholds must be numbers", name);
        (void)number_shortest(digits, sizeof digits, first[i].numbers[0]);
        first[i].name = arena_printf(list->memory, "%s_%s", name, digits);
        if (!first[i].name) return SOMA_NO_MEMORY;
    }
    return SOMA_OK;
}

/* {"f1_score": {"average": "none"}}: f1_score_class_0 and so on. */
static soma_status each_class(const field_names *names, int place, metric_list *list) {
    soma_metric *first = &list->items[list->n - 1];
    const char *name = first->name;
    RETURN_IF(
        names->context, list->classes < 1, SOMA_INVALID,
        "[compile] %s: average none needs to know how many classes there are: give the first layer an input_shape",
        name);
    TRY(repeat(names, list, list->classes));
    for (int64_t i = 0; i < list->classes; i++) {
        first[i].numbers[place] = (double)i;
        first[i].name = arena_printf(list->memory, "%s_class_%lld", name, (long long)i);
        if (!first[i].name) return SOMA_NO_MEMORY;
    }
    return SOMA_OK;
}

/* The place of a number of that name; -1: there is none. */
static int place_of(const soma_metric *m, const char *parameter) {
    const name_entry *entry = m->build ? entry_of(m) : NULL;
    for (int i = 0; entry && i < entry->n; i++) {
        if (strcmp(entry->parameters[i], parameter) == 0) return i;
    }
    return -1;
}

soma_status metric_read_json(const field_names *names, const json_node *node, metric_list *out) {
    const json_node *config = NULL;
    RETURN_IF(names->context, out->n == out->room, SOMA_INVALID, "[compile] more than %d metrics", out->room);
    soma_metric *metric = &out->items[out->n++];
    TRY(read_single(names, node, &config, metric));
    if (!metric->name) metric->name = metric_own_name(metric, names->custom);
    const json_node *thresholds = json_node_find(config, "thresholds"), *average = json_node_find(config, "average");
    if (json_node_kind(thresholds) == JSON_IS_ARRAY && place_of(metric, "thresholds") == 0)
        return each_threshold(names, thresholds, out);
    const char *word = json_node_string(average);
    const bool none = average && (json_node_kind(average) == JSON_IS_NULL || (word && strcmp(word, "none") == 0));
    const int place = place_of(metric, "class_id");
    return none && place >= 0 && metric->numbers[place] < 0 ? each_class(names, place, out) : SOMA_OK;
}
