/* Options as tables: one row an option, for the command line, for configuration files and for the help.
 * Rests on cli.h. "--batch-size 128" and "batch_size: 128" are the same row; a verb only lists rows.
 * No abbreviations: a script that works today works tomorrow. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "cli.h"
#include "config.h"

typedef enum option_kind {
    OPTION_FLAG,   /* bool; --NAME and --no-NAME */
    OPTION_INT,    /* int64_t */
    OPTION_NUMBER, /* double */
    OPTION_SIZE,   /* size_t, bytes: 500MB, 2GiB */
    OPTION_TEXT,   /* const char * */
    OPTION_CHOICE, /* int, index into choices */
    OPTION_CONFIG  /* const config_node *: a tree; on the command line in YAML's flow style or a plain word */
} option_kind;

typedef struct option {
    const char *name; /* "batch-size" */
    char letter;      /* 'o', or 0 */
    option_kind kind;
    size_t offset;        /* of the value, in the verb's struct */
    const char *argument; /* "N", for the help; NULL for flags */
    const char *help;     /* may have several lines; NULL: not shown */
    double low, high;     /* ints and numbers: bounds; both 0: any */
    const char *const *choices;
} option;

enum { MAX_OPTIONS = 64, OPTION_TABLES = 2 };

/* A table (ends with name NULL), the struct that it fills and the options that were given, a bit each. */
typedef struct option_table {
    const option *rows;
    void *values;
    uint64_t given;
} option_table;

/* The options that every verb has, filling the cli itself. */
extern const option common_options[];
/* The parts of a data set: "test", "train". */
extern const char *const part_choices[];

/* Takes the options out of argv, wherever they stand; what is left is moved to its front, *n of it. EXIT_DONE or a code
 * after a message. */
int options_parse(cli *c, option_table tables[OPTION_TABLES], int argc, char **argv, int *n);
/* Sets what a configuration names and the command line did not give; keys are names with '_' for '-'. */
int options_read_config(cli *c, option_table tables[OPTION_TABLES], const config_node *map);
/* Whether the option of that name was given, on the command line or by a configuration. */
bool option_given(const option_table *table, const char *name);

/* ---- verbs ---- */

typedef struct verb {
    const char *name, *summary;
    const char *usage;    /* what follows "soma NAME ", a line each way */
    const char *examples; /* lines, each a comment or a command */
    const char *notes;    /* after the options; may be NULL */
    const option *options;
    const void *defaults; /* of the struct that the options fill */
    size_t size;
    /* tables[0] is the verb's, tables[1] the common one. Returns the exit code. */
    int (*run)(cli *c, void *values, option_table tables[OPTION_TABLES], int n, char **arguments);
} verb;

/* Every verb, in the order of verbs.def; ends with NULL. */
extern const verb *const verbs[];

void help_for_verb(const cli *c, const verb *v);
void help_for_all(void);
/* The start page: what one sees who types no more than "soma". */
void help_short(void);

/* Ends unless there are low to high arguments; they are called what. */
int need_arguments(cli *c, int n, int low, int high, const char *what);

#endif
