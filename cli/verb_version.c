/* soma version: what is installed, and what it found to work with.
 * Rests on <soma/context.h>.
 * The first line is "soma" and a number after the last space, for programs that look. */
#include "json_out.h"
#include "options.h"

static int run_version(cli *c, void *values, option_table tables[OPTION_TABLES], int n, char **arguments) {
    (void)values;
    (void)tables;
    (void)arguments;
    const int code = need_arguments(c, n, 0, 0, "nothing");
    if (code != EXIT_DONE) return code;
    soma_context *context = cli_context(c);
    if (!context) return EXIT_FAILED;
    if (c->json) {
        json_out j = {.file = stdout};
        json_open(&j, NULL, '{');
        json_text(&j, "version", soma_version());
        json_text(&j, "instruction_set", soma_isa(context));
        json_integer(&j, "threads", soma_threads(context));
        json_close(&j, '}');
        json_end(&j);
        return EXIT_DONE;
    }
    printf("soma %s\n", soma_version());
    printf("Copyright (c) 2026 the authors of Soma. MIT licence: free to use, change and share, without warranty.\n");
    if (!c->quiet) printf("Instruction set %s, %d threads.\n", soma_isa(context), soma_threads(context));
    return EXIT_DONE;
}

static const option no_options[] = {{.name = NULL}};

const verb verb_version = {
    .name = "version",
    .summary = "Version, licence, instruction set and threads",
    .usage = "[OPTION]...",
    .examples = "soma version\nsoma --version\nsoma version --json",
    .options = no_options,
    .run = run_version,
};
