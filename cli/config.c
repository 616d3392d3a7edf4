/* What can be done with a configuration once it is a tree; and growing texts, and files read whole.
 * Rests on config.h. Words become numbers here, by the rules of YAML's core schema, in the C locale.
 * Files are bounded: a configuration of a gigabyte is a mistake. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_CONFIG = 16 << 20 };

/* ---- texts ---- */

void buffer_add(buffer *b, const char *text, size_t n) {
    if (b->n + n + 1 > b->capacity) {
        const size_t capacity = 2 * (b->n + n + 1);
        char *larger = cli_alloc(b->c, capacity, 1);
        if (b->n) memcpy(larger, b->text, b->n);
        b->text = larger;
        b->capacity = capacity;
    }
    memcpy(b->text + b->n, text, n);
    b->n += n;
    b->text[b->n] = '\0';
}

void buffer_print(buffer *b, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int n = vsnprintf(NULL, 0, format, arguments);
    char *text = cli_alloc(b->c, (size_t)(n < 0 ? 0 : n) + 1, 1);
    (void)vsnprintf(text, (size_t)(n < 0 ? 0 : n) + 1, format, again);
    va_end(again);
    va_end(arguments);
    buffer_add(b, text, strlen(text));
}

char *read_whole_file(cli *c, const char *path, size_t limit, size_t *n) {
    const bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "rb");
    if (!file) {
        (void)cli_fail(c, EXIT_INPUT, "%s: cannot be opened: %s", path, strerror(errno));
        return NULL;
    }
    buffer b = {.c = c};
    char block[1 << 14];
    size_t got;
    while ((got = fread(block, 1, sizeof block, file)) > 0 && b.n <= limit)
        buffer_add(&b, block, got);
    const int reason = ferror(file) ? errno : 0;
    if (!standard) (void)fclose(file);
    if (reason || b.n > limit) {
        (void)cli_fail(c, EXIT_INPUT, "%s: %s", path, reason ? strerror(reason) : "too large");
        return NULL;
    }
    buffer_add(&b, "", 0);
    *n = b.n;
    return b.text;
}

/* ---- trees ---- */

const config_node *config_read_file(cli *c, const char *path) {
    size_t n;
    const char *text = read_whole_file(c, path, LARGEST_CONFIG, &n);
    if (!text) return NULL;
    const config_node *root = config_parse(c, path, text, n);
    if (!root || root->kind == CONFIG_MAP) return root;
    (void)cli_fail(c, EXIT_INPUT, "%s: a configuration must be a map of keys and values", config_where(c, root->at));
    return NULL;
}

const config_node *config_read_text(cli *c, const char *what, const char *text) {
    if (!strpbrk(text, "{}[]\"'")) {
        config_node *node = cli_alloc(c, 1, sizeof *node);
        *node = (config_node){.kind = CONFIG_WORD, .at = {.file = what}, .word = text};
        return node;
    }
    return config_parse(c, what, text, strlen(text));
}

const config_node *config_word(cli *c, const char *word) {
    config_node *node = cli_alloc(c, 1, sizeof *node);
    *node = (config_node){.kind = CONFIG_WORD, .word = word};
    return node;
}

const char *config_where(cli *c, config_place at) {
    return at.line ? cli_text(c, "%s:%d:%d", at.file, at.line, at.column) : at.file;
}

int config_fault(config_place at) {
    return strncmp(at.file, "--", 2) == 0 ? EXIT_USAGE : EXIT_INPUT;
}

const config_node *config_find(const config_node *map, const char *key) {
    if (!map || map->kind != CONFIG_MAP) return NULL;
    for (const config_node *node = map->first; node; node = node->next) {
        if (strcmp(node->key, key) == 0) return node;
    }
    return NULL;
}

const char **config_words(cli *c, const config_node *node, int *n) {
    *n = 0;
    if (node->kind == CONFIG_LIST) {
        const char **words = cli_alloc(c, (size_t)node->n + 1, sizeof *words);
        for (const config_node *member = node->first; member; member = member->next) {
            if (member->kind != CONFIG_WORD) {
                *n = 0;
                return NULL;
            }
            words[(*n)++] = member->word;
        }
        return words;
    }
    if (node->kind != CONFIG_WORD) return NULL;
    const char **words = cli_alloc(c, strlen(node->word) + 2, sizeof *words);
    for (const char *from = node->word; *from;) {
        const size_t length = strcspn(from, ",");
        words[(*n)++] = cli_text(c, "%.*s", (int)length, from);
        from += length + (from[length] == ',');
    }
    return words;
}

bool config_number(const config_node *node, double *out) {
    if (!node || node->kind != CONFIG_WORD || node->quoted) return false;
    const char *p = node->word + (*node->word == '-' || *node->word == '+');
    if (!isdigit((unsigned char)*p) && !(*p == '.' && isdigit((unsigned char)p[1]))) return false;
    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) return false;
    char *end;
    *out = strtod(node->word, &end);
    return !*end && isfinite(*out);
}

/* ---- JSON ---- */

static void write_string(buffer *b, const char *text) {
    buffer_add(b, "\"", 1);
    for (; *text; text++) {
        const unsigned char letter = (unsigned char)*text;
        if (letter == '"' || letter == '\\') {
            buffer_print(b, "\\%c", letter);
        } else if (letter < 0x20) {
            buffer_print(b, "\\u%04x", letter);
        } else {
            buffer_add(b, text, 1);
        }
    }
    buffer_add(b, "\"", 1);
}

static void write_word(buffer *b, const config_node *node) {
    double number;
    const char *word = node->word;
    if (!node->quoted && (!*word || strcmp(word, "~") == 0 || strcmp(word, "null") == 0)) {
        buffer_print(b, "null");
    } else if (!node->quoted && (strcmp(word, "true") == 0 || strcmp(word, "false") == 0)) {
        buffer_print(b, "%s", word);
    } else if (!config_number(node, &number)) {
        write_string(b, word);
    } else if (number == trunc(number) && fabs(number) < 9e15) {
        buffer_print(b, "%.0f", number);
    } else {
        buffer_print(b, "%.17g", number);
    }
}

static void write_node(buffer *b, const config_node *node) {
    if (node->kind == CONFIG_WORD) {
        write_word(b, node);
        return;
    }
    buffer_print(b, node->kind == CONFIG_MAP ? "{" : "[");
    for (const config_node *member = node->first; member; member = member->next) {
        if (member != node->first) buffer_print(b, ", ");
        if (node->kind == CONFIG_MAP) {
            write_string(b, member->key);
            buffer_print(b, ": ");
        }
        write_node(b, member);
    }
    buffer_print(b, node->kind == CONFIG_MAP ? "}" : "]");
}

char *config_to_json(cli *c, const config_node *node) {
    buffer b = {.c = c};
    write_node(&b, node);
    return b.text;
}
