/* The parser of the command line, and the same options from configurations.
 * Rests on options.h; getopt_long is not used as it abbreviates and cannot say what was meant.
 * Every message names what was given, what is expected, and the nearest known word. */
#include "options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const part_choices[] = {"test", "train", NULL};

const option common_options[] = {
    {.name = "json", .kind = OPTION_FLAG, .offset = offsetof(cli, json), .help = "results as JSON on stdout"},
    {.name = "quiet",
     .letter = 'q',
     .kind = OPTION_FLAG,
     .offset = offsetof(cli, quiet),
     .help = "no progress and notes"},
    {.name = "threads",
     .kind = OPTION_INT,
     .offset = offsetof(cli, threads),
     .argument = "N",
     .high = 1024,
     .help = "threads to use (0: all CPUs; SOMA_THREADS)"},
    {.name = "memory",
     .kind = OPTION_SIZE,
     .offset = offsetof(cli, memory),
     .argument = "SIZE",
     .help = "most that a step may need, such as 500MB or 2GiB:\nvalues are computed again instead of kept "
             "(SOMA_MEMORY)"},
    {.name = "color",
     .kind = OPTION_FLAG,
     .offset = offsetof(cli, colour),
     .help = "colours in messages (--no-color; NO_COLOR)"},
    {.name = "help", .letter = 'h', .kind = OPTION_FLAG, .offset = offsetof(cli, help), .help = "this help"},
    {.name = NULL},
};

/* ---- values ---- */

static void *value_of(const option *o, void *values) {
    return (char *)values + o->offset;
}

/* Where a value comes from: the code for what is wrong with it, and its name in messages. */
typedef struct origin {
    int code;
    const char *name; /* "--epochs", or "net.yaml:3: epochs" */
} origin;

static int refuse(cli *c, origin from, const char *suggestion, const char *expected, const char *text) {
    if (from.code == EXIT_USAGE)
        return cli_fail_usage(c, suggestion, "%s must be %s, not '%s'", from.name, expected, text);
    const int code = cli_fail(c, from.code, "%s must be %s, not '%s'", from.name, expected, text);
    if (suggestion) cli_hint("Did you mean '%s'?", suggestion);
    return code;
}

static int set_number(cli *c, const option *o, void *values, origin from, const char *text) {
    const bool whole = o->kind == OPTION_INT, bounded = o->low != 0 || o->high != 0;
    char *end = NULL;
    errno = 0;
    const double number = strtod(text, &end);
    const long long integer = whole ? strtoll(text, NULL, 10) : 0;
    const bool valid =
        *text && !*end && isfinite(number) && (!whole || (number == trunc(number) && fabs(number) < 9e15));
    if (!valid || (bounded && (number < o->low || number > o->high))) {
        const char *what = whole ? "a whole number" : "a number";
        if (bounded) what = cli_text(c, "%s from %.15g to %.15g", what, o->low, o->high);
        return refuse(c, from, NULL, what, text);
    }
    if (whole) {
        *(int64_t *)value_of(o, values) = strpbrk(text, ".eE") ? (int64_t)number : (int64_t)integer;
    } else {
        *(double *)value_of(o, values) = number;
    }
    return EXIT_DONE;
}

static int set_size(cli *c, const option *o, void *values, origin from, const char *text) {
    size_t bytes;
    if (soma_parse_bytes(text, &bytes) == SOMA_OK) {
        *(size_t *)value_of(o, values) = bytes;
        return EXIT_DONE;
    }
    soma_clear_error(NULL);
    return refuse(c, from, NULL, "a size such as 500MB or 2GiB", text);
}

static int set_choice(cli *c, const option *o, void *values, origin from, const char *text) {
    const char *all = "";
    for (int i = 0; o->choices[i]; i++) {
        if (strcmp(o->choices[i], text) == 0) {
            *(int *)value_of(o, values) = i;
            return EXIT_DONE;
        }
        all = cli_text(c, "%s%s%s", all, !i ? "" : o->choices[i + 1] ? ", " : " or ", o->choices[i]);
    }
    return refuse(c, from, nearest_name(text, o->choices), all, text);
}

static int set_word(cli *c, const option *o, void *values, origin from, const char *text) {
    switch (o->kind) {
    case OPTION_INT:
    case OPTION_NUMBER:
        return set_number(c, o, values, from, text);
    case OPTION_SIZE:
        return set_size(c, o, values, from, text);
    case OPTION_CHOICE:
        return set_choice(c, o, values, from, text);
    case OPTION_TEXT:
        if (!*text) return refuse(c, from, NULL, "some text", text);
        *(const char **)value_of(o, values) = text;
        return EXIT_DONE;
    default:
        break;
    }
    return EXIT_DONE;
}

/* ---- the command line ---- */

static const option *find_name(option_table *tables, const char *name, size_t length, option_table **table) {
    for (int t = 0; t < OPTION_TABLES; t++) {
        for (const option *o = tables[t].rows; o && o->name; o++) {
            if (strlen(o->name) == length && memcmp(o->name, name, length) == 0) {
                *table = &tables[t];
                return o;
            }
        }
    }
    return NULL;
}

static const option *find_letter(option_table *tables, char letter, option_table **table) {
    for (int t = 0; t < OPTION_TABLES; t++) {
        for (const option *o = tables[t].rows; o && o->name; o++) {
            if (o->letter && o->letter == letter) {
                *table = &tables[t];
                return o;
            }
        }
    }
    return NULL;
}

static const char **all_names(cli *c, const option_table *tables) {
    const char **names = cli_alloc(c, OPTION_TABLES * MAX_OPTIONS + 1, sizeof *names);
    int n = 0;
    for (int t = 0; t < OPTION_TABLES; t++) {
        for (const option *o = tables[t].rows; o && o->name; o++)
            names[n++] = o->name;
    }
    return names;
}

static void mark(option_table *table, const option *o) {
    table->given |= (uint64_t)1 << (o - table->rows);
}

bool option_given(const option_table *table, const char *name) {
    for (const option *o = table->rows; o && o->name; o++) {
        if (strcmp(o->name, name) == 0) return table->given >> (o - table->rows) & 1;
    }
    return false;
}

static int set_from_line(cli *c, option_table *table, const option *o, const char *spelt, const char *text) {
    mark(table, o);
    if (o->kind != OPTION_CONFIG) return set_word(c, o, table->values, (origin){EXIT_USAGE, spelt}, text);
    const config_node *node = config_read_text(c, spelt, text);
    if (!node) return EXIT_USAGE;
    *(const config_node **)value_of(o, table->values) = node;
    return EXIT_DONE;
}

/* "--name", "--name=value", "--name value", "--no-name". */
static int parse_long(cli *c, option_table *tables, const char *argument, const char *next, bool *took_next) {
    const char *name = argument + 2, *equals = strchr(name, '=');
    const size_t length = equals ? (size_t)(equals - name) : strlen(name);
    option_table *table;
    const option *o = find_name(tables, name, length, &table);
    bool on = true;
    if (!o && strncmp(name, "no-", 3) == 0) {
        o = find_name(tables, name + 3, length - 3, &table);
        if (o && o->kind != OPTION_FLAG) o = NULL;
        on = false;
    }
    const char *spelt = cli_text(c, "%.*s", (int)(length + 2), argument);
    if (!o) {
        const char *near = nearest_name(spelt + 2, all_names(c, tables));
        return cli_fail_usage(c, near ? cli_text(c, "--%s", near) : NULL, "unknown option '%s'", spelt);
    }
    if (o->kind == OPTION_FLAG) {
        if (equals) return cli_fail_usage(c, NULL, "option '%s' takes no value", spelt);
        mark(table, o);
        *(bool *)value_of(o, table->values) = on;
        return EXIT_DONE;
    }
    if (!equals && !next) return cli_fail_usage(c, NULL, "option '%s' needs a value: %s", spelt, o->argument);
    *took_next = !equals;
    return set_from_line(c, table, o, spelt, equals ? equals + 1 : next);
}

/* "-o value", "-ovalue", "-qn". */
static int parse_letters(cli *c, option_table *tables, const char *argument, const char *next, bool *took_next) {
    for (const char *letter = argument + 1; *letter; letter++) {
        const char *spelt = cli_text(c, "-%c", *letter);
        option_table *table;
        const option *o = find_letter(tables, *letter, &table);
        if (!o) return cli_fail_usage(c, NULL, "unknown option '%s'", spelt);
        if (o->kind != OPTION_FLAG) {
            if (!letter[1] && !next)
                return cli_fail_usage(c, NULL, "option '%s' needs a value: %s", spelt, o->argument);
            *took_next = !letter[1];
            return set_from_line(c, table, o, spelt, letter[1] ? letter + 1 : next);
        }
        mark(table, o);
        *(bool *)value_of(o, table->values) = true;
    }
    return EXIT_DONE;
}

int options_parse(cli *c, option_table tables[OPTION_TABLES], int argc, char **argv, int *n) {
    *n = 0;
    for (int i = 0; i < argc; i++) {
        char *argument = argv[i];
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        bool took_next = false;
        int code = EXIT_DONE;
        if (strcmp(argument, "--") == 0) {
            while (++i < argc)
                argv[(*n)++] = argv[i];
            break;
        }
        if (argument[0] != '-' || !argument[1]) {
            argv[(*n)++] = argument;
        } else if (argument[1] == '-') {
            code = parse_long(c, tables, argument, next, &took_next);
        } else {
            code = parse_letters(c, tables, argument, next, &took_next);
        }
        if (code != EXIT_DONE) return code;
        i += took_next;
    }
    return EXIT_DONE;
}

int need_arguments(cli *c, int n, int low, int high, const char *what) {
    if (n < low) return cli_fail_usage(c, NULL, "%s is missing", what);
    if (high == 0 && n > 0) return cli_fail_usage(c, NULL, "'%s' takes no arguments", c->verb);
    if (n > high) return cli_fail_usage(c, NULL, "too many arguments: expected %s only", what);
    return EXIT_DONE;
}

/* ---- configurations ---- */

static int set_from_config(cli *c, const option *o, void *values, const char *where, const config_node *node) {
    const origin from = {EXIT_INPUT, cli_text(c, "%s: %s", where, node->key)};
    if (o->kind == OPTION_CONFIG) {
        *(const config_node **)value_of(o, values) = node;
        return EXIT_DONE;
    }
    if (node->kind != CONFIG_WORD) {
        const char *what = o->kind == OPTION_TEXT || o->kind == OPTION_CHOICE ? "a word" : "a number";
        if (o->kind == OPTION_SIZE) what = "a size";
        if (o->kind == OPTION_FLAG) what = "true or false";
        return cli_fail(c, EXIT_INPUT, "%s must be %s, not a %s", from.name, what,
                        node->kind == CONFIG_LIST ? "list" : "map");
    }
    if (o->kind != OPTION_FLAG) return set_word(c, o, values, from, node->word);
    const bool yes = strcmp(node->word, "true") == 0;
    if (!yes && strcmp(node->word, "false") != 0) return refuse(c, from, NULL, "true or false", node->word);
    *(bool *)value_of(o, values) = yes;
    return EXIT_DONE;
}

/* In a configuration '_' stands for '-'. */
static char *swap_letters(cli *c, const char *name, char from, char to) {
    char *copy = cli_text(c, "%s", name);
    for (char *p = copy; *p; p++) {
        if (*p == from) *p = to;
    }
    return copy;
}

int options_read_config(cli *c, option_table tables[OPTION_TABLES], const config_node *map) {
    for (const config_node *node = map->first; node; node = node->next) {
        const char *where = config_where(c, node->key_at);
        const char *name = strchr(node->key, '-') ? "" : swap_letters(c, node->key, '_', '-');
        option_table *table = NULL;
        const option *o = find_name(tables, name, strlen(name), &table);
        if (!o || strcmp(name, "help") == 0) {
            const int code = cli_fail(c, EXIT_INPUT, "%s: unknown key '%s'", where, node->key);
            const char *near = o ? NULL : nearest_name(node->key, all_names(c, tables));
            if (near) cli_hint("Did you mean '%s'?", swap_letters(c, near, '-', '_'));
            return code;
        }
        if (table->given >> (o - table->rows) & 1) continue;
        mark(table, o);
        const int code = set_from_config(c, o, table->values, where, node);
        if (code != EXIT_DONE) return code;
    }
    return EXIT_DONE;
}
