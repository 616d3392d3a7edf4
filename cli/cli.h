/* What every file of the command shares: exit codes, messages, memory, the library's context.
 * Rests on <soma/soma.h> alone, as any program of a user's would.
 * Results go to stdout, all else to stderr; memory lives until the command ends, so no path through a verb frees it. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <soma/soma.h>

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,   /* while running: no memory, no disk space, ... */
    EXIT_USAGE = 2,    /* the command line */
    EXIT_INPUT = 3,    /* a file that is missing, malformed or does not fit */
    EXIT_DIVERGED = 4, /* the loss is no number any more */
    EXIT_INTERRUPT = 130
};

typedef struct pool_block pool_block;

typedef struct cli {
    const char *verb;   /* "train"; NULL until it is known */
    char *const *words; /* the command line as it was given, NULL-ended */
    pool_block *pool;
    soma_context *context; /* by cli_context */
    int no_context;        /* an exit code: why there is none */
    bool utf8;             /* what stdout may be given */
    bool error_colour;
    /* options that every verb has */
    bool help, json, quiet, colour;
    int64_t threads; /* 0: the library's choice */
    size_t memory;   /* bytes that a plan may need, likewise */
} cli;

void cli_init(cli *c);
void cli_deinit(cli *c);

/* Zeroed, until the command ends; leaves the command when there is none. */
void *cli_alloc(cli *c, size_t n, size_t size);
/* As printf, into such memory. */
char *cli_text(cli *c, const char *format, ...) SOMA_PRINTF(2, 3);

/* "soma train: ..." on stderr. Returns code, so that a verb ends by `return cli_fail(...)`. */
int cli_fail(cli *c, int code, const char *format, ...) SOMA_PRINTF(3, 4);
/* The library's last error; code unless its status has a code of its own. */
int cli_fail_status(cli *c, int code);
/* A mistake on the command line: points to the help as well. suggestion (may be NULL): what was meant, perhaps. */
int cli_fail_usage(cli *c, const char *suggestion, const char *format, ...) SOMA_PRINTF(3, 4);
/* A further line on stderr, after an error. */
void cli_hint(const char *format, ...) SOMA_PRINTF(1, 2);
/* "soma train: ..." on stderr unless --quiet. */
void cli_note(const cli *c, const char *format, ...) SOMA_PRINTF(2, 3);

/* Made when first asked for, with the number of threads wanted. NULL after a message, and no_context says how to end.
 */
soma_context *cli_context(cli *c);

/* Of the NULL-ended names the one nearest to word, if near enough to be meant; else NULL. */
const char *nearest_name(const char *word, const char *const *names);
/* How many letters must be changed, left out, put in or swapped with their neighbour; high when more than limit. */
int word_distance(const char *a, const char *b, int limit);

/* 12345 -> "12,345". */
char *text_thousands(cli *c, int64_t n);
/* Bytes as "1.55 MB", base 1024. */
char *text_bytes(cli *c, double bytes);
/* 0.98204 -> "0.9820", 0.00012345 -> "1.2345e-04": what was measured. */
char *text_measure(cli *c, double value);
/* "(60000, 28, 28)". */
char *text_shape(cli *c, int rank, const int64_t *shape);
/* "out/mnist.soma" -> "mnist". */
char *text_stem(cli *c, const char *path);
/* The text without control characters: what a file says must not drive the terminal. */
char *text_printable(cli *c, const char *text);
/* How many letters UTF-8 has; and the text itself, or its first ones with an ellipsis where it has more. */
int text_letters(const char *text);
const char *text_cut(cli *c, const char *text, int most);
/* Whether path ends with ".soma", whatever the case. */
bool text_ends_with(const char *path, const char *end);

#endif
