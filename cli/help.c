/* Help texts, laid out from the tables of verbs and options.
 * Rests on options.h. Examples come first, as most readers look for one to copy.
 * The text is plain: it goes into pipes and golden files as well as to terminals. */
#include <string.h>

#include "options.h"

/* Writes lines, each after the same indent. */
static void indented(const char *text, const char *indent) {
    while (*text) {
        const size_t length = strcspn(text, "\n");
        printf("%s%.*s\n", length ? indent : "", (int)length, text);
        text += length + (text[length] == '\n');
    }
}

enum { HELP_COLUMN = 26 };

static void option_line(const option *o) {
    if (!o->help) return;
    char left[128];
    const char *space = o->argument ? " " : "", *argument = o->argument ? o->argument : "";
    if (o->letter) {
        (void)snprintf(left, sizeof left, "  -%c, --%s%s%s", o->letter, o->name, space, argument);
    } else {
        (void)snprintf(left, sizeof left, "  --%s%s%s", o->name, space, argument);
    }
    printf("%-*s", HELP_COLUMN, left);
    if (strlen(left) > HELP_COLUMN - 2) printf("\n%-*s", HELP_COLUMN, "");
    const char *text = o->help;
    for (bool first = true; *text; first = false) {
        const size_t length = strcspn(text, "\n");
        printf("%*s%.*s\n", first ? 0 : HELP_COLUMN, "", (int)length, text);
        text += length + (text[length] == '\n');
    }
}

void help_for_verb(const cli *c, const verb *v) {
    (void)c;
    printf("%s\n\nUsage:\n", v->summary);
    const char *line = v->usage;
    while (*line) {
        const size_t length = strcspn(line, "\n");
        printf("  soma %s%s%.*s\n", v->name, length ? " " : "", (int)length, line);
        line += length + (line[length] == '\n');
    }
    if (v->examples) {
        printf("\nExamples:\n");
        indented(v->examples, "  ");
    }
    printf("\nOptions:\n");
    for (const option *o = v->options; o && o->name; o++)
        option_line(o);
    for (const option *o = common_options; o->name; o++)
        option_line(o);
    if (v->notes) {
        printf("\n");
        indented(v->notes, "");
    }
}

static void verb_lines(void) {
    for (int i = 0; verbs[i]; i++)
        printf("  %-11s %s\n", verbs[i]->name, verbs[i]->summary);
}

void help_short(void) {
    printf("soma: deep learning from the command line\n\n"
           "  soma train examples/mnist.yaml                a network that reads digits\n"
           "  soma predict out/mnist.soma digit.png         what is it?\n\n"
           "Verbs:\n");
    verb_lines();
    printf("\nMore: soma VERB --help, soma --help, man soma\n");
}

void help_for_all(void) {
    printf("Train, measure, use and look at neural networks.\n\n"
           "Usage:\n"
           "  soma VERB [ARGUMENT]... [OPTION]...\n"
           "  soma VERB --help\n\n"
           "Examples:\n"
           "  soma data fetch mnist\n"
           "  soma train --dataset mnist --hidden 512 --epochs 5 --seed 1 --output m.soma\n"
           "  soma evaluate m.soma --dataset mnist\n"
           "  soma predict m.soma digit.png --top 3\n"
           "  soma plot mistakes m.soma --dataset mnist -o mistakes.png\n\n"
           "Verbs:\n");
    verb_lines();
    printf("\nOptions of every verb:\n");
    for (const option *o = common_options; o->name; o++)
        option_line(o);
    printf("  --version               version and licence\n"
           "\nResults go to stdout, everything else to stderr. Exit codes: 0 success, 1 failure while running,\n"
           "2 wrong use, 3 bad input file, 4 training diverged, 130 interrupted.\n"
           "Environment: SOMA_DATA (folder of data sets), SOMA_THREADS, SOMA_MEMORY, SOMA_ISA, SOMA_LOG,\n"
           "NO_COLOR.\n");
}
