/* soma plot: pictures of data and of what a network learnt.
 * Rests on plots.h, models.h and training_log.h.
 * What can be plotted is a row of the table below. */
#include <math.h>
#include <string.h>

#include "json_out.h"
#include "models.h"
#include "pipe_in.h"
#include "recipe.h"
#include "shared_options.h"
#include "training_log.h"

typedef struct plot_values {
    const char *dataset, *output, *title;
    int part;
    int64_t from, count, samples;
} plot_values;

#define AT(field) .offset = offsetof(plot_values, field)
static const option plot_options[] = {
    SHARED_OUTPUT(plot_values, "the picture: .png, .svg or .pdf\n(default out/NAME-WHAT.png)"),
    SHARED_DATASET(plot_values, "samples for confusion and mistakes"),
    SHARED_PART(plot_values),
    {.name = "from",
     .kind = OPTION_INT,
     AT(from),
     .argument = "N",
     .low = 0,
     .high = 9e15,
     .help = "first sample to show (default 0)"},
    {.name = "count",
     .kind = OPTION_INT,
     AT(count),
     .argument = "N",
     .low = 1,
     .high = 1000,
     .help = "how many to show (default 100; mistakes: four rows)"},
    SHARED_SAMPLES(plot_values, "use the first N of the data set only"),
    {.name = "title", .kind = OPTION_TEXT, AT(title), .argument = "TEXT", .help = "above the picture"},
    {.name = NULL},
};
#undef AT

typedef struct plotting {
    cli *c;
    const plot_values *v;
    const char *what, *source, *output;
    const option_table *common; /* options of every verb */
    data_source data;
    soma_model *model;
    predictions predictions;
} plotting;

/* ---- one function a picture ---- */

static const char *title(const plotting *p, const char *standard) {
    return p->v->title ? p->v->title : standard;
}

static int open_samples(plotting *p, const char *dataset) {
    const int code = source_open(p->c, dataset, part_choices[p->v->part], true, &p->data);
    return code == EXIT_DONE ? source_limit(p->c, &p->data, p->v->samples) : code;
}

static int draw_digits_of(plotting *p) {
    cli *c = p->c;
    const int code = open_samples(p, p->source);
    if (code != EXIT_DONE) return code;
    const int64_t samples = soma_dataset_samples(p->data.data), wanted = p->v->count ? p->v->count : 100;
    if (p->v->from >= samples)
        return cli_fail(c, EXIT_USAGE, "--from %lld: there are %lld samples", (long long)p->v->from,
                        (long long)samples);
    const int64_t count = wanted < samples - p->v->from ? wanted : samples - p->v->from;
    const char *standard =
        cli_text(c, "%s: %s", p->data.name, p->v->part ? "samples to train on" : "samples to test with");
    return plot_digits(c, p->output, title(p, standard), p->data.data, p->v->from, count);
}

static int draw_curves_of(plotting *p) {
    cli *c = p->c;
    const char *standard = cli_text(c, "%s: training", text_stem(c, p->source));
    const char *file = pipe_in(c, p->source);
    const file_kind kind = file ? file_look(c, file) : FILE_MISSING;
    if (kind == FILE_MISSING) return EXIT_INPUT;
    if (kind == FILE_SAFETENSORS) {
        p->model = model_open(c, file);
        return p->model ? draw_history(c, p->output, title(p, standard), p->model, NULL) : EXIT_INPUT;
    }
    int64_t epochs;
    int n;
    curve curves[MAX_COLUMNS];
    const int code = training_log_read(c, file, &epochs, curves, &n);
    return code == EXIT_DONE ? plot_curves(c, p->output, title(p, standard), epochs, n, curves) : code;
}

static int draw_network_of(plotting *p) {
    const int code = network_open(p->c, p->source, p->common, NULL, &p->model, &p->data);
    if (code != EXIT_DONE) return code;
    return draw_network(p->c, p->output, title(p, text_stem(p->c, p->source)), p->model);
}

static int open_predictions(plotting *p) {
    if (!p->v->dataset) return cli_fail_usage(p->c, NULL, "which samples? Give --dataset");
    p->model = model_open(p->c, p->source);
    if (!p->model) return EXIT_INPUT;
    const int code = open_samples(p, p->v->dataset);
    return code == EXIT_DONE ? model_predict(p->c, p->model, p->data.data, &p->predictions) : code;
}

static int draw_confusion_of(plotting *p) {
    const int code = open_predictions(p);
    if (code != EXIT_DONE) return code;
    const char *standard = cli_text(p->c, "%s: what was taken for what", text_stem(p->c, p->source));
    return draw_confusion(p->c, p->output, title(p, standard), p->model, p->data.data, &p->predictions);
}

static int draw_mistakes_of(plotting *p) {
    const int code = open_predictions(p);
    if (code != EXIT_DONE) return code;
    const char *standard = cli_text(p->c, "%s: the worst mistakes", text_stem(p->c, p->source));
    return draw_mistakes(p->c, p->output, title(p, standard), p->model, p->data.data, &p->predictions, p->v->count);
}

static const struct {
    const char *name;
    int (*draw)(plotting *p);
} pictures[] = {
    {"digits", draw_digits_of},       {"curves", draw_curves_of},     {"network", draw_network_of},
    {"confusion", draw_confusion_of}, {"mistakes", draw_mistakes_of},
};
enum { PICTURES = sizeof pictures / sizeof *pictures };

static int run_plot(cli *c, void *values, option_table tables[OPTION_TABLES], int n, char **arguments) {
    const plot_values *v = values;
    if (n == 0) return cli_fail_usage(c, NULL, "what is to be drawn? digits, curves, network, confusion or mistakes");
    int code = need_arguments(c, n, 2, 2, "what it is to be drawn from");
    if (code != EXIT_DONE) return code;
    const char *names[PICTURES + 1] = {NULL};
    int which = -1;
    for (int i = 0; i < PICTURES; i++) {
        names[i] = pictures[i].name;
        if (strcmp(names[i], arguments[0]) == 0) which = i;
    }
    if (which < 0) return cli_fail_usage(c, nearest_name(arguments[0], names), "unknown picture '%s'", arguments[0]);
    const char *output = v->output;
    if (!output) output = cli_text(c, "out/%s-%s.png", text_stem(c, arguments[1]), arguments[0]);
    code = canvas_check(c, output);
    if (code != EXIT_DONE) return code;
    if (!cli_context(c)) return EXIT_FAILED;
    plotting p = {.c = c, .v = v, .what = arguments[0], .source = arguments[1], .output = output, .common = &tables[1]};
    code = pictures[which].draw(&p);
    soma_model_destroy(p.model);
    source_close(&p.data);
    if (code == EXIT_DONE && c->json) {
        json_out j = {.file = stdout};
        json_open(&j, NULL, '{');
        json_text(&j, "picture", output);
        json_close(&j, '}');
        json_end(&j);
    } else if (code == EXIT_DONE) {
        printf("picture: %s\n", output);
    }
    return code;
}

const verb verb_plot = {
    .name = "plot",
    .summary = "Draw digits, curves, a network, confusion matrix, mistakes",
    .usage = "digits DATASET [OPTION]...\n"
             "curves MODEL|LOG.jsonl [OPTION]...\n"
             "network MODEL|CONFIG.yaml [OPTION]...\n"
             "confusion MODEL --dataset NAME [OPTION]...\n"
             "mistakes MODEL --dataset NAME [OPTION]...",
    .examples = "soma plot digits mnist --part train -o digits.png\n"
                "soma plot curves out/mnist.soma -o curves.svg\n"
                "soma train examples/mnist.yaml --json >log.jsonl && soma plot curves log.jsonl\n"
                "soma plot network examples/cnn.yaml -o cnn.png\n"
                "soma plot mistakes out/mnist.soma --dataset mnist -o mistakes.pdf",
    .options = plot_options,
    .size = sizeof(plot_values),
    .run = run_plot,
};
