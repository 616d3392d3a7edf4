/* soma names: what there is to choose from: layers, losses, metrics, optimizers, callbacks and the like, by name.
 * Rests on soma_names and soma_callback_names: the library's own tables, so nothing is listed here.
 * One name a line, for scripts as well as for people. */
#include <string.h>

#include "json_out.h"
#include "options.h"

static const char *const lists[] = {"layers",  "activations", "initializers", "regularizers", "constraints", "losses",
                                    "metrics", "optimizers",  "schedules",    "callbacks",    NULL};

static const char *const *names_of(const char *list) {
    return strcmp(list, "callbacks") == 0 ? soma_callback_names() : soma_names(list);
}

static void write_list(json_out *j, const char *list) {
    json_open(j, list, '[');
    for (const char *const *name = names_of(list); *name; name++)
        json_text(j, NULL, *name);
    json_close(j, ']');
}

static void show_json(const char *only) {
    json_out j = {.file = stdout};
    json_open(&j, NULL, '{');
    for (int i = 0; lists[i]; i++) {
        if (!only || strcmp(only, lists[i]) == 0) write_list(&j, lists[i]);
    }
    json_close(&j, '}');
    json_end(&j);
}

static int run_names(cli *c, void *values, option_table tables[OPTION_TABLES], int n, char **arguments) {
    (void)values;
    (void)tables;
    const int code = need_arguments(c, n, 0, 1, "one list");
    if (code != EXIT_DONE) return code;
    const char *only = n ? arguments[0] : NULL;
    int at = 0;
    while (only && lists[at] && strcmp(lists[at], only) != 0)
        at++;
    if (only && !lists[at]) return cli_fail_usage(c, nearest_name(only, lists), "there is no list '%s'", only);
    if (c->json) {
        show_json(only);
        return EXIT_DONE;
    }
    for (int i = 0; !only && lists[i]; i++) {
        int count = 0;
        while (names_of(lists[i])[count])
            count++;
        printf("%-13s %3d\n", lists[i], count);
    }
    for (const char *const *name = only ? names_of(only) : NULL; name && *name; name++)
        printf("%s\n", *name);
    return EXIT_DONE;
}

static const option no_options[] = {{.name = NULL}};

const verb verb_names = {
    .name = "names",
    .summary = "List layers, losses, optimizers, ... by name",
    .usage = "[LIST] [OPTION]...",
    .examples = "soma names\nsoma names layers\nsoma names callbacks --json",
    .notes = "Lists: layers, activations, initializers, regularizers, constraints, losses, metrics, optimizers,\n"
             "schedules, callbacks. These are the words that configurations and flags take.",
    .options = no_options,
    .run = run_names,
};
