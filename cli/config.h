/* Configurations: trees of words, lists and maps with the place that each stands at.
 * Rests on libyaml, or on a stub under which plain words are all there is.
 * Words keep their text: whoever wants a number or a boolean says what is wrong, with file and line. */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include "cli.h"

typedef enum config_kind { CONFIG_WORD, CONFIG_LIST, CONFIG_MAP } config_kind;

typedef struct config_place {
    int line, column; /* from 1; line 0: all of it */
    const char *file; /* or the flag: "--loss"; NULL: neither said it */
} config_place;

typedef struct config_node {
    config_kind kind;
    config_place at;
    const char *word; /* CONFIG_WORD */
    bool quoted;      /* "5" is text, 5 is a number */
    const char *key;  /* members of a map */
    config_place key_at;
    int n; /* members */
    struct config_node *first, *last, *next;
} config_node;

/* A file, "-" for stdin, whose root must be a map. NULL after a message with file and line. */
const config_node *config_read_file(cli *c, const char *path);
/* Text from the command line: flow style such as {adam: {learning_rate: 0.01}}, or a word. NULL after a message. */
const config_node *config_read_text(cli *c, const char *what, const char *text);
/* The parser itself: name for messages. */
const config_node *config_parse(cli *c, const char *name, const char *text, size_t n);

/* "file:line:column", "--loss"; and the exit code for what is wrong there. */
const char *config_where(cli *c, config_place at);
int config_fault(config_place at);

/* The member of that key; NULL when there is none. */
const config_node *config_find(const config_node *map, const char *key);
/* A word as an option would be given by the API. */
const config_node *config_word(cli *c, const char *word);
/* The words of a list, or of a word with commas. NULL-ended; NULL when a member is no word. */
const char **config_words(cli *c, const config_node *node, int *n);
/* As JSON, on one line. Numbers, true, false and null of YAML's core schema are JSON's own; other words are strings. */
char *config_to_json(cli *c, const config_node *node);
/* Whether the word is a number, and which. */
bool config_number(const config_node *node, double *out);

/* A growing text in the command's memory. */
typedef struct buffer {
    cli *c;
    char *text;
    size_t n, capacity;
} buffer;
void buffer_add(buffer *b, const char *text, size_t n);
void buffer_print(buffer *b, const char *format, ...) SOMA_PRINTF(2, 3);

/* Reads a file (or stdin for "-") of at most limit bytes, with a zero byte after it. NULL after a message. */
char *read_whole_file(cli *c, const char *path, size_t limit, size_t *n);

#endif
