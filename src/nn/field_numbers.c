/* Numbers by their names, as functions take them: {"huber": {"delta": 0.5}}, and the words that stand for some.
 * Rests on fields.h. What is left out has its default; a name that the function does not know is an error that gives
 * the nearest. */
#include <string.h>

#include "nn/constraints.h"
#include "nn/fields.h"

/* ---- words ---- */

/* Numbers that have names in files: those of variance scaling, the orthogonal regularizer, metrics and callbacks. */
static const struct {
    const char *key, *word;
    double value;
    const char *owner; /* where several have such a key: which function's it is, "" an option's; for errors */
} words[] = {{"mode", "fan_in", SOMA_FAN_IN, "variance_scaling"},
             {"mode", "fan_out", SOMA_FAN_OUT, "variance_scaling"},
             {"mode", "fan_avg", SOMA_FAN_AVG, "variance_scaling"},
             {"mode", "auto", 0, ""},
             {"mode", "min", 1, ""},
             {"mode", "max", 2, ""},
             {"save_freq", "epoch", 0, NULL},
             {"update_freq", "epoch", 0, NULL},
             {"update_freq", "batch", 1, NULL},
             {"mode", "rows", 0, "orthogonal_regularizer"},
             {"mode", "columns", 1, "orthogonal_regularizer"},
             {"distribution", "truncated_normal", SOMA_TRUNCATED_NORMAL, NULL},
             {"distribution", "untruncated_normal", SOMA_UNTRUNCATED_NORMAL, NULL},
             {"distribution", "uniform", SOMA_UNIFORM, NULL},
             {"curve", "roc", SOMA_ROC, NULL},
             {"curve", "pr", SOMA_PR, NULL},
             {"summation_method", "interpolation", SOMA_INTERPOLATION, NULL},
             {"summation_method", "minoring", SOMA_MINORING, NULL},
             {"summation_method", "majoring", SOMA_MAJORING, NULL},
             {"average", "macro", SOMA_MACRO, NULL},
             {"average", "none", SOMA_MACRO, NULL},
             {"average", "micro", SOMA_MICRO, NULL},
             {"average", "weighted", SOMA_WEIGHTED, NULL},
             {"class_aggregation", "uniform_average", SOMA_UNIFORM_AVERAGE, NULL},
             {"class_aggregation", "variance_weighted_average", SOMA_VARIANCE_WEIGHTED, NULL}};
enum { WORDS = sizeof words / sizeof *words };

bool field_word(const char *key, const char *word, double *out) {
    for (int i = 0; i < WORDS; i++) {
        if (strcmp(words[i].key, key) != 0 || !name_matches(words[i].word, word)) continue;
        *out = words[i].value;
        return true;
    }
    return false;
}

/* A number was expected, or for some options a word: which ones. */
soma_status field_no_number(const field_names *names, const char *who, const char *of, const char *key) {
    text known;
    text_init(&known, names->context);
    for (int i = 0; i < WORDS; i++)
        if (strcmp(words[i].key, key) == 0 && (!words[i].owner || strcmp(words[i].owner, of) == 0))
            text_printf(&known, "%s%s", known.length ? ", " : " one of ", words[i].word);
    soma_status status = error_set(names->context, SOMA_INVALID, "[%s] %s%s%s must be%s", who, of, *of ? ": " : "", key,
                                   known.length ? text_string(&known) : " a number");
    text_deinit(&known);
    return status;
}

/* ---- writing ---- */

/* The axis of a constraint or a loss, or the list of its axes. */
static void write_axes(text *out, double axis) {
    int axes[CONSTRAINT_AXES], n = constraint_axes(axis, axes);
    if (n == 1) {
        text_printf(out, axes[0] == SOMA_NO_AXES ? "null" : "%d", axes[0]);
        return;
    }
    for (int i = 0; i < n; i++)
        text_printf(out, "%s%d", i ? ", " : "[", axes[i]);
    text_append(out, n ? "]" : "[]");
}

void fields_write_numbers(text *out, const name_entry *entry, const double *numbers) {
    for (int i = 0; i < entry->n; i++) {
        text_printf(out, "%s\"%s\": ", i ? ", " : "", entry->parameters[i]);
        if (strcmp(entry->parameters[i], "axis") == 0) {
            write_axes(out, numbers[i]);
            continue;
        }
        if (!entry->list || i + 1 < entry->n) {
            json_write_number(out, numbers[i]);
            continue;
        }
        for (int k = 1; k <= (int)numbers[i]; k++) {
            text_append(out, k == 1 ? "[" : ", ");
            json_write_number(out, numbers[i + k]);
        }
        text_append(out, numbers[i] > 0 ? "]" : "[]");
    }
}

void fields_write_own(text *out, const double *numbers, int n) {
    for (int i = 0; i < n; i++) {
        text_append(out, i ? ", " : "\"numbers\": [");
        json_write_number(out, numbers[i]);
    }
    text_append(out, "]");
}

/* ---- reading ---- */

/* [1, 2] as how many, then they themselves. */
static soma_status read_list(const field_names *names, const char *who, const char *key, const json_node *list,
                             double *numbers, int most) {
    int64_t n = json_node_count(list);
    RETURN_IF(names->context, n >= most, SOMA_INVALID, "[%s] %s has %lld numbers: %d are possible", who, key,
              (long long)n, most - 1);
    numbers[0] = (double)n;
    for (int i = 0; i < (int)n; i++)
        RETURN_IF(names->context, !json_node_number(json_node_at(list, i), &numbers[i + 1]), SOMA_INVALID,
                  "[%s] %s must be a list of numbers", who, key);
    return SOMA_OK;
}

/* [0, 1, 2] as one number. */
static soma_status read_axes(const field_names *names, const char *who, const json_node *list, double *out) {
    int axes[CONSTRAINT_AXES];
    int64_t n = json_node_count(list), axis;
    bool right = n <= CONSTRAINT_AXES;
    for (int64_t i = 0; right && i < n; i++) {
        right = json_node_integer(json_node_at(list, i), &axis) && axis >= -SOMA_MAX_RANK && axis < SOMA_MAX_RANK;
        axes[i] = right ? (int)axis : 0;
    }
    RETURN_IF(names->context, !right, SOMA_INVALID, "[%s] axis must be a list of axes, -8 to 7", who);
    *out = soma_axis_set((int)n, axes);
    return SOMA_OK;
}

/* A number, true or false, or one of the words that stand for numbers. */
static soma_status read_one(const field_names *names, const char *who, const name_entry *entry, const char *key,
                            const json_node *value, double *out) {
    bool flag;
    if (json_node_kind(value) == JSON_IS_NULL) return SOMA_OK;                                    /* the default */
    if (json_node_kind(value) == JSON_IS_ARRAY && strcmp(key, "thresholds") == 0) return SOMA_OK; /* metric_read_json */
    if (json_node_bool(value, &flag)) {
        *out = flag;
        return SOMA_OK;
    }
    if (json_node_kind(value) == JSON_IS_ARRAY && strcmp(key, "axis") == 0) return read_axes(names, who, value, out);
    if (json_node_string(value) && field_word(key, json_node_string(value), out)) return SOMA_OK;
    return json_node_number(value, out) ? SOMA_OK : field_no_number(names, who, entry->name, key);
}

bool field_aside(const char *key) {
    static const char *const keys[] = {"name", "seed", "dtype", "weighted"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(keys[i], key) == 0) return true;
    }
    return false;
}

soma_status fields_read_numbers(const field_names *names, const char *who, const name_entry *entry,
                                const json_node *node, double *parameters, int most) {
    if (entry->n > 0) memcpy(parameters, entry->standard, (size_t)entry->n * sizeof *parameters);
    if (!node || json_node_kind(node) == JSON_IS_NULL) return SOMA_OK;
    if (entry->n > 0 && json_node_number(node, &parameters[0])) return SOMA_OK;
    RETURN_IF(names->context, json_node_kind(node) != JSON_IS_OBJECT, SOMA_INVALID,
              "[%s] %s: it must be a number%s%s, or numbers by their names", who, entry->name, entry->n ? ", the " : "",
              entry->n ? entry->parameters[0] : "");
    void *cursor = NULL;
    const char *key;
    const json_node *value;
    while (json_node_next(node, &cursor, &key, &value)) {
        int i = 0;
        while (i < entry->n && strcmp(entry->parameters[i], key) != 0)
            i++;
        const bool of_loss = strcmp(key, "reduction") == 0 || strcmp(key, "axis") == 0; /* training_json.c reads them */
        if (i == entry->n && (field_aside(key) || json_node_kind(value) == JSON_IS_NULL)) continue;
        if (i == entry->n && of_loss && strcmp(who, "compile") == 0) continue;
        if (i == entry->n) {
            const char *nearest = text_nearest(key, entry->parameters, entry->n);
            return error_set(names->context, SOMA_INVALID, "[%s] %s has no number '%s'%s%s%s", who, entry->name, key,
                             nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
        }
        if (entry->list && i + 1 == entry->n && json_node_kind(value) == JSON_IS_ARRAY) {
            TRY(read_list(names, who, key, value, &parameters[i], most - i));
        } else {
            TRY(read_one(names, who, entry, key, value, &parameters[i]));
        }
    }
    return SOMA_OK;
}

soma_status fields_read_own(const field_names *names, const char *who, const char *function, const json_node *config,
                            double *numbers, int most) {
    const json_node *list = json_node_find(config, "numbers");
    const int64_t n = !list ? 0 : json_node_kind(list) == JSON_IS_ARRAY ? json_node_count(list) : -1;
    bool right = n >= 0 && n <= most;
    for (int i = 0; right && i < (int)n; i++)
        right = json_node_number(json_node_at(list, i), &numbers[i]);
    RETURN_IF(names->context, !right, SOMA_INVALID, "[%s] %s: numbers must be a list of at most %d", who, function,
              most);
    return SOMA_OK;
}
