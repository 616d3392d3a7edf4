/* Reads a training's log.
 * Rests on training_log.h.
 * What is no number or no measurement (seconds, epochs) is left out. */
#include "training_log.h"

#include <math.h>
#include <string.h>

#include "config.h"
#include "json_in.h"
#include "models.h"

enum { LARGEST_LOG = 256 << 20 };

typedef struct columns {
    cli *c;
    int64_t lines, capacity;
    int n, n_tests;
    const char *names[MAX_COLUMNS], *test_names[MAX_COLUMNS];
    double *values[MAX_COLUMNS], tests[MAX_COLUMNS];
} columns;

static bool is_measurement(const char *key) {
    static const char *const others[] = {"epoch", "epochs", "seconds", "updates", "batch", "batches", NULL};
    for (const char *const *other = others; *other; other++) {
        if (strcmp(key, *other) == 0) return false;
    }
    return true;
}

static void set_value(columns *k, const char *key, double value) {
    int i = 0;
    while (i < k->n && strcmp(k->names[i], key) != 0)
        i++;
    if (i == MAX_COLUMNS) return;
    if (i == k->n) {
        k->names[k->n++] = cli_text(k->c, "%s", key);
        k->values[i] = cli_alloc(k->c, (size_t)k->capacity, sizeof(double));
        for (int64_t line = 0; line < k->capacity; line++)
            k->values[i][line] = NAN;
    }
    k->values[i][k->lines] = value;
}

static void read_line(columns *k, const json_value *line) {
    const bool epoch = json_in_find(line, "epoch") != NULL;
    void *cursor = NULL;
    const char *key;
    const json_value *value;
    double number;
    while (json_in_next(line, &cursor, &key, &value)) {
        if (!json_in_number(value, &number)) continue;
        if (epoch && is_measurement(key)) set_value(k, key, number);
        if (!epoch && strncmp(key, "test_", 5) == 0 && k->n_tests < MAX_COLUMNS) {
            k->test_names[k->n_tests] = cli_text(k->c, "%s", key + 5);
            k->tests[k->n_tests++] = number;
        }
    }
    k->lines += epoch;
}

int training_log_read(cli *c, const char *path, int64_t *epochs, curve curves[MAX_COLUMNS], int *n) {
    size_t length;
    const char *text = read_whole_file(c, path, LARGEST_LOG, &length);
    if (!text) return EXIT_INPUT;
    columns *k = cli_alloc(c, 1, sizeof *k);
    *k = (columns){.c = c, .capacity = 1};
    for (const char *p = text; *p; p++)
        k->capacity += *p == '\n';
    int number = 1;
    for (const char *p = text; *p; number++) {
        const size_t line = strcspn(p, "\n");
        if (strspn(p, " \t\r") < line) {
            json_value *root = json_in_parse(c, cli_text(c, "%s:%d", path, number), p, line, true);
            if (!root) return EXIT_INPUT;
            read_line(k, root);
            json_in_free(root);
        }
        p += line + (p[line] == '\n');
    }
    if (!k->lines || !k->n) return cli_fail(c, EXIT_INPUT, "%s: there is no epoch in this log", path);
    *epochs = k->lines;
    *n = join_curves(c, k->n, k->names, k->values, curves);
    for (int i = 0; i < *n; i++) {
        for (int t = 0; t < k->n_tests; t++) {
            if (strcmp(curves[i].name, k->test_names[t]) == 0) curves[i].test = k->tests[t];
        }
    }
    return EXIT_DONE;
}
