/* The soma command: finds the verb, parses its options, runs it.
 * Rests on verbs.def, in which a verb is one line, and on one file a verb.
 * What could not be written to stdout is an error, so a full disk never looks like success. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "options.h"

#define VERB(name) extern const verb verb_##name;
#include "verbs.def"
#undef VERB

const verb *const verbs[] = {
#define VERB(name) &verb_##name,
#include "verbs.def"
#undef VERB
    NULL,
};

static int run_verb(cli *c, const verb *v, int argc, char **argv) {
    c->verb = v->name;
    void *values = cli_alloc(c, 1, v->size ? v->size : 1);
    if (v->defaults) memcpy(values, v->defaults, v->size);
    option_table tables[OPTION_TABLES] = {{.rows = v->options, .values = values},
                                          {.rows = common_options, .values = c}};
    int n;
    const int code = options_parse(c, tables, argc, argv, &n);
    if (c->help) {
        help_for_verb(c, v);
        return EXIT_DONE;
    }
    return code == EXIT_DONE ? v->run(c, values, tables, n, argv) : code;
}

static int run_named(cli *c, const char *name, int argc, char **argv) {
    static const char *const names[] = {
#define VERB(name) #name,
#include "verbs.def"
#undef VERB
        NULL,
    };
    for (int i = 0; verbs[i]; i++) {
        if (strcmp(verbs[i]->name, name) == 0) return run_verb(c, verbs[i], argc, argv);
    }
    return cli_fail_usage(c, nearest_name(name, names), "unknown verb '%s'", name);
}

/* Parsing moves the words about; this keeps them in order. */
static void keep_words(cli *c, int argc, char **argv) {
    char **words = cli_alloc(c, (size_t)argc + 1, sizeof *words);
    for (int i = 0; i < argc; i++)
        words[i] = argv[i];
    c->words = words;
}

static int run(cli *c, int argc, char **argv) {
    keep_words(c, argc, argv);
    const char *first = argc > 1 ? argv[1] : NULL;
    if (!first) {
        help_short();
        return EXIT_DONE;
    }
    if (strcmp(first, "--version") == 0) return run_named(c, "version", 0, NULL);
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || (strcmp(first, "help") == 0 && argc == 2)) {
        help_for_all();
        return EXIT_DONE;
    }
    if (strcmp(first, "help") == 0 && argc == 3 && argv[2][0] != '-') { /* soma help VERB: as soma VERB --help */
        c->help = true;
        return run_named(c, argv[2], 0, NULL);
    }
    if (first[0] == '-') return cli_fail_usage(c, NULL, "expected a verb, not '%s'", first);
    return run_named(c, first, argc - 2, argv + 2);
}

int main(int argc, char **argv) {
    cli c;
    (void)signal(SIGXFSZ, SIG_IGN); /* a file that may not grow further is an error where it is written */
    cli_init(&c);
    int code = run(&c, argc, argv);
    if (c.no_context) code = c.no_context;
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_DONE)
        code = cli_fail(&c, EXIT_FAILED, "cannot write to standard output: %s", strerror(errno ? errno : EIO));
    cli_deinit(&c);
    return code;
}
