/* Functions by name: lookup in the tables, near misses, and the public look-up functions.
 * Rests on names.h; the tables are in activations.c, losses.c, metrics.c, initializers.c, regularizers.c.
 * A user's own functions come with the call that needs their names, so there is no registry to grow stale. */
#include "nn/names.h"

#include <ctype.h>
#include <string.h>

#include "nn/layer.h"
#include "nn/optimizer.h"
#include "nn/schedules.h"

bool name_matches(const char *a, const char *b) {
    for (;;) {
        while (*a == '_')
            a++;
        while (*b == '_')
            b++;
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b)) return false;
        if (!*a) return true;
        a++, b++;
    }
}

const name_entry *name_find(const name_table *table, const char *name) {
    for (int i = 0; i < table->n; i++) {
        if (name_matches(table->entries[i].name, name)) return &table->entries[i];
    }
    return NULL;
}

const name_entry *name_of(const name_table *table, soma_function *function) {
    for (int i = 0; i < table->n; i++) {
        if (table->entries[i].function == function) return &table->entries[i];
    }
    return NULL;
}

soma_status name_unknown(soma_context *context, const char *what, const char *name, const char *const *names) {
    int n = 0;
    while (names[n])
        n++;
    const char *nearest = text_nearest(name, names, n);
    if (nearest) return error_set(context, SOMA_NOT_FOUND, "unknown %s '%s'; did you mean '%s'?", what, name, nearest);
    text known;
    text_init(&known, context);
    for (int i = 0; i < n; i++)
        text_printf(&known, "%s%s", i ? ", " : "", names[i]);
    soma_status status =
        error_set(context, SOMA_NOT_FOUND, "unknown %s '%s'; known are %s", what, name, text_string(&known));
    text_deinit(&known);
    return status;
}

soma_function *name_resolve(soma_context *context, const name_table *table, const soma_custom *custom, const char *name,
                            const name_entry **entry) {
    *entry = NULL;
    for (int i = 0; custom && i < SOMA_MAX_CUSTOM && custom[i].name; i++) {
        if (custom[i].function && strcmp(custom[i].name, name) == 0) return custom[i].function;
    }
    *entry = name_find(table, name);
    if (*entry) return (*entry)->function;
    (void)name_unknown(context, table->what, name, table->names);
    return NULL;
}

const char *name_for(const name_table *table, const soma_custom *custom, soma_function *function) {
    for (int i = 0; custom && i < SOMA_MAX_CUSTOM && custom[i].name; i++) {
        if (custom[i].function == function) return custom[i].name;
    }
    const name_entry *entry = name_of(table, function);
    return entry ? entry->name : NULL;
}

static soma_function *look_up(soma_context *context, const name_table *table, const char *name,
                              const name_entry **entry) {
    if (!name) {
        (void)error_set(context, SOMA_INVALID, "no %s named", table->what);
        return NULL;
    }
    return name_resolve(context, table, NULL, name, entry);
}

soma_activation_fn *soma_activation_by_name(soma_context *context, const char *name) {
    const name_entry *entry;
    return (soma_activation_fn *)look_up(context, &activation_names, name, &entry);
}

soma_loss_fn *soma_loss_by_name(soma_context *context, const char *name) {
    const name_entry *entry;
    return (soma_loss_fn *)look_up(context, &loss_names, name, &entry);
}

soma_loss_fn *soma_metric_by_name(soma_context *context, const char *name) {
    const name_entry *entry = name ? name_find(&metric_names, name) : NULL;
    if (!entry && name) entry = name_find(&loss_names, name);
    if (entry && entry->function) return (soma_loss_fn *)entry->function;
    if (!entry) return (soma_loss_fn *)look_up(context, &metric_names, name, &entry);
    (void)error_set(context, SOMA_INVALID, "the metric '%s' has numbers: give it by .metrics_with", name);
    return NULL;
}

soma_initializer soma_initializer_by_name(soma_context *context, const char *name) {
    soma_initializer result = {0};
    const name_entry *entry;
    result.build = (soma_initializer_fn *)look_up(context, &initializer_names, name, &entry);
    if (entry && entry->n) memcpy(result.parameters, entry->standard, (size_t)entry->n * sizeof(double));
    return result;
}

soma_regularizer soma_regularizer_by_name(soma_context *context, const char *name) {
    soma_regularizer result = {0};
    const name_entry *entry;
    result.penalty = (soma_regularizer_fn *)look_up(context, &regularizer_names, name, &entry);
    if (entry && entry->n) memcpy(result.parameters, entry->standard, (size_t)entry->n * sizeof(double));
    return result;
}

const char *const *soma_names(const char *list) {
    const struct {
        const char *list;
        const char *const *names;
    } lists[] = {{"activations", activation_names.names},
                 {"losses", loss_names.names},
                 {"metrics", metric_names.names},
                 {"initializers", initializer_names.names},
                 {"regularizers", regularizer_names.names},
                 {"constraints", constraint_names.names},
                 {"optimizers", optimizer_name_list},
                 {"schedules", schedule_name_list},
                 {"layers", layer_name_list}};
    for (size_t i = 0; list && i < sizeof lists / sizeof *lists; i++) {
        if (strcmp(list, lists[i].list) == 0) return lists[i].names;
    }
    return NULL;
}
