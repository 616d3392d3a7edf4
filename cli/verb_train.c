/* soma train: from a recipe to a trained, saved and measured model.
 * Rests on recipe.h, models.h and interrupt.h.
 * What can be wrong with input and output is found before the first step; the model is saved before anything else is
 * done with it. */
#include <math.h>
#include <string.h>

#include "file_out.h"
#include "interrupt.h"
#include "json_out.h"
#include "models.h"
#include "recipe.h"

typedef struct training {
    cli *c;
    const recipe *r;
    data_source train, test;
    soma_model *model;
    const double *test_weights;
    soma_scores scores;
    const char *pictures[4];
    int n_pictures;
} training;

/* ---- what stdout gets ---- */

static soma_status json_line(void *user, soma_model *model, const soma_logs *logs) {
    (void)user;
    (void)model;
    json_out j = {.file = stdout};
    json_open(&j, NULL, '{');
    json_integer(&j, "epoch", logs->epoch + 1);
    json_integer(&j, "epochs", logs->epochs);
    for (int i = 0; i < logs->n; i++)
        json_measure(&j, logs->names[i], logs->values[i]);
    json_double(&j, "seconds", round(logs->seconds * 1e6) / 1e6);
    json_close(&j, '}');
    json_end(&j);
    return SOMA_OK;
}

/* "accuracy" is called test_acc, as in the books. */
static const char *score_name(cli *c, const soma_model *model, int i, bool shortened) {
    const char *name = soma_metric_name(model, i);
    if (!name) return "test_metric";
    return cli_text(c, "test_%s", shortened && strcmp(name, "accuracy") == 0 ? "acc" : name);
}

static void report_json(const training *t) {
    json_out j = {.file = stdout};
    json_open(&j, NULL, '{');
    if (t->test.data) {
        json_measure(&j, "test_loss", t->scores.loss);
        for (int i = 0; i < t->scores.n_metrics; i++)
            json_measure(&j, score_name(t->c, t->model, i, false), t->scores.metrics[i]);
    }
    json_integer(&j, "updates", soma_updates(t->model));
    json_text(&j, "model", t->r->output);
    json_open(&j, "pictures", '[');
    for (int i = 0; i < t->n_pictures; i++)
        json_text(&j, NULL, t->pictures[i]);
    json_close(&j, ']');
    json_close(&j, '}');
    json_end(&j);
}

static void report(const training *t) {
    if (t->c->json) {
        report_json(t);
        return;
    }
    if (t->test.data) {
        printf("test_loss: %s\n", text_measure(t->c, t->scores.loss));
        for (int i = 0; i < t->scores.n_metrics; i++)
            printf("%s: %s\n", score_name(t->c, t->model, i, true), text_measure(t->c, t->scores.metrics[i]));
    }
    printf("model: %s\n", t->r->output);
    for (int i = 0; i < t->n_pictures; i++)
        printf("picture: %s\n", t->pictures[i]);
}

/* ---- before ---- */

/* Finds out whether the model and the pictures can be written, and makes their folders. */
static int prepare_outputs(training *t) {
    cli *c = t->c;
    const recipe *r = t->r;
    if (r->dry_run) return EXIT_DONE;
    int code = file_out_prepare(c, r->output);
    if (code != EXIT_DONE || !r->plots) return code;
    code = canvas_check(c, "plots.png");
    return code == EXIT_DONE ? file_out_prepare(c, cli_text(c, "%s/%s-curves.png", r->plots, text_stem(c, r->output)))
                             : code;
}

static int open_model(training *t) {
    cli *c = t->c;
    const recipe *r = t->r;
    if (!r->resume) return recipe_build(c, r, &t->train, &t->model);
    t->model = model_open(c, r->resume);
    if (!t->model) return EXIT_INPUT;
    if (!isnan(r->learning_rate) && soma_set_learning_rate(t->model, r->learning_rate) != SOMA_OK)
        return cli_fail_status(c, EXIT_INPUT);
    if (soma_history_epochs(t->model) < r->epochs) return EXIT_DONE;
    return cli_fail(c, EXIT_USAGE, "%s has seen %lld epoch%s already: to go on, ask for more by --epochs", r->resume,
                    (long long)soma_history_epochs(t->model), soma_history_epochs(t->model) == 1 ? "" : "s");
}

static void plan_json(const training *t, const soma_plan *plan, double flops) {
    json_out j = {.file = stdout};
    const soma_array_data x = soma_dataset_x(t->train.data);
    json_open(&j, NULL, '{');
    json_integer(&j, "params", soma_count_params(t->model));
    json_integer(&j, "samples", soma_dataset_samples(t->train.data));
    json_shape(&j, "sample_shape", x.rank - 1, x.shape + 1);
    json_integer(&j, "batch", t->r->batch_size);
    json_integer(&j, "steps", soma_plan_steps(plan));
    json_double(&j, "flops", flops);
    json_integer(&j, "scratch_bytes", (int64_t)soma_plan_bytes(plan));
    json_close(&j, '}');
    json_end(&j);
}

static int show_plan(training *t) {
    char *summary = t->c->json ? NULL : soma_summary(t->model, &(soma_summary_options){.ascii = !t->c->utf8});
    if (!t->c->json && !summary) return cli_fail_status(t->c, EXIT_FAILED);
    if (summary) fputs(summary, stdout);
    soma_string_free(summary);
    const soma_plan *plan = soma_training_plan(t->model, t->train.data, t->r->batch_size);
    if (!plan) return cli_fail_status(t->c, EXIT_INPUT);
    double flops = 0;
    for (int i = 0; i < soma_plan_steps(plan); i++)
        flops += soma_plan_get_step(plan, i).flops;
    if (t->c->json) {
        plan_json(t, plan, flops);
        return EXIT_DONE;
    }
    printf("\n%s samples of shape %s, %d threads of %s\n", text_thousands(t->c, soma_dataset_samples(t->train.data)),
           text_shape(t->c, soma_dataset_x(t->train.data).rank - 1, soma_dataset_x(t->train.data).shape + 1),
           soma_threads(t->c->context), soma_isa(t->c->context));
    printf("A training step of %lld: %d steps, %.4g MFLOP, %s of scratch memory\n", (long long)t->r->batch_size,
           soma_plan_steps(plan), flops / 1e6, text_bytes(t->c, (double)soma_plan_bytes(plan)));
    return EXIT_DONE;
}

/* ---- training ---- */

static int progress_mode(const training *t) {
    static const int modes[] = {SOMA_VERBOSE_AUTO, SOMA_VERBOSE_BAR, SOMA_VERBOSE_LINE, SOMA_VERBOSE_JSON,
                                SOMA_VERBOSE_NONE};
    if (t->c->quiet) return SOMA_VERBOSE_NONE;
    const int mode = modes[t->r->progress];
    const bool plain = !t->c->error_colour || !t->c->colour || !t->c->utf8;
    return mode == SOMA_VERBOSE_AUTO && plain ? SOMA_VERBOSE_LINE : mode;
}

static const char *quoted(cli *c, const char *word) {
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./=:,+-@%";
    if (*word && strspn(word, safe) == strlen(word)) return word;
    buffer b = {.c = c};
    buffer_add(&b, "'", 1);
    for (; *word; word++) {
        if (*word == '\'') {
            buffer_add(&b, "'\\''", 4);
        } else {
            buffer_add(&b, word, 1);
        }
    }
    buffer_add(&b, "'", 1);
    return b.text;
}

/* The command line once more, with the model to go on with instead of an earlier one. */
static const char *resume_command(const training *t) {
    cli *c = t->c;
    const char *line = "soma";
    for (char *const *word = c->words + 1; *word; word++) {
        if (strcmp(*word, "--resume") == 0 && word[1]) {
            word++;
        } else if (strncmp(*word, "--resume=", 9) != 0) {
            line = cli_text(c, "%s %s", line, quoted(c, *word));
        }
    }
    return cli_text(c, "%s --resume %s", line, quoted(c, t->r->output));
}

static int save(training *t) {
    if (soma_save(t->model, t->r->output) == SOMA_OK) return EXIT_DONE;
    return cli_fail_status(t->c, EXIT_FAILED);
}

static int interrupted(training *t) {
    const int code = save(t);
    if (code != EXIT_DONE) return code;
    (void)cli_fail(t->c, EXIT_INTERRUPT, "interrupted in epoch %lld of %lld; the model is in %s",
                   (long long)soma_history_epochs(t->model) + 1, (long long)t->r->epochs, t->r->output);
    cli_hint("Go on by: %s", resume_command(t));
    return EXIT_INTERRUPT;
}

/* The last epoch was over, or a callback had ended the training. */
static int interrupted_at_the_end(training *t) {
    return cli_fail(t->c, EXIT_INTERRUPT, "interrupted after the last epoch; the model is in %s", t->r->output);
}

/* A log or a checkpoint could not be written: that ends the training, but what it came to is not lost. */
static void keep_what_is_done(training *t) {
    if (save(t) != EXIT_DONE) return;
    cli_hint("The model is in %s, as it was after epoch %lld.", t->r->output, (long long)soma_history_epochs(t->model));
    cli_hint("Go on by: %s", resume_command(t));
}

static int fit(training *t) {
    soma_callback lines = {.on_epoch_end = json_line};
    soma_fit_options o = {
        .resume = t->r->resume != NULL,
        .validation_data = t->r->validate_on_test ? t->test.data : NULL,
        .terminate_on_nan = true,
        .verbose = progress_mode(t),
    };
    int wrong = recipe_fit_options(t->c, t->r, &t->train, &o);
    if (wrong == EXIT_DONE) wrong = recipe_check_monitors(t->c, t->r, t->model);
    if (wrong == EXIT_DONE) wrong = recipe_test_weights(t->c, t->r, &t->test, &t->test_weights);
    if (t->r->validate_on_test) o.validation_sample_weight = t->test_weights;
    int n = 0; /* the lines come last: what the others know is saved by their places */
    while (n < SOMA_MAX_CALLBACKS && o.callbacks[n])
        n++;
    if (t->c->json && n < SOMA_MAX_CALLBACKS) o.callbacks[n] = &lines;
    if (wrong != EXIT_DONE) {
        for (int i = 0; i < SOMA_MAX_CALLBACKS; i++)
            soma_callback_destroy(o.callbacks[i]);
        return wrong;
    }
    const int64_t before = soma_history_epochs(t->model);
    interrupt_guard(t->model);
    const soma_status status = soma_model_fit(t->model, &o);
    int code = EXIT_DONE;
    if (status == SOMA_INTERRUPTED) {
        code = interrupted(t);
    } else if (status == SOMA_OK) {
        code = save(t);
        if (code == EXIT_DONE && interrupt_came()) code = interrupted_at_the_end(t);
    }
    interrupt_guard(NULL); /* only now: what is trained is not lost */
    if (status == SOMA_INTERRUPTED || status == SOMA_OK) return code;
    code = recipe_refuse_fit(t->c, t->r);
    if (status == SOMA_IO && soma_history_epochs(t->model) > before) keep_what_is_done(t);
    if (status != SOMA_DIVERGED) return code;
    const char *sample = source_not_finite(t->c, &t->train);
    if (sample) cli_hint("%s", sample);
    cli_hint("Nothing was saved.");
    return code;
}

/* ---- after ---- */

static const char *next_picture(training *t, const char *kind) {
    cli *c = t->c;
    return t->pictures[t->n_pictures++] = cli_text(c, "%s/%s-%s.png", t->r->plots, text_stem(c, t->r->output), kind);
}

static int draw_all(training *t) {
    cli *c = t->c;
    const data_source *shown = t->test.data ? &t->test : &t->train;
    const char *name = text_stem(c, t->r->output);
    const int64_t classes = source_classes(shown->data), samples = soma_dataset_samples(t->train.data);
    int64_t rows, columns;
    const bool pictures = sample_is_picture(shown->data, &rows, &columns);
    int code = EXIT_DONE;
    if (pictures)
        code = plot_digits(c, next_picture(t, "digits"), cli_text(c, "%s: what there is to learn", name), t->train.data,
                           0, samples < 100 ? samples : 100);
    if (code == EXIT_DONE)
        code = draw_history(c, next_picture(t, "curves"), cli_text(c, "%s: training", name), t->model,
                            t->test.data && !t->r->validate_on_test ? &t->scores : NULL);
    if (code != EXIT_DONE || classes < 2 || soma_model_outputs(t->model) > 1) return code;
    predictions p;
    code = model_predict(c, t->model, shown->data, &p);
    if (code == EXIT_DONE && p.outputs >= 2 && p.outputs <= 64)
        code = draw_confusion(c, next_picture(t, "confusion"), cli_text(c, "%s: what was taken for what", name),
                              t->model, shown->data, &p);
    if (code == EXIT_DONE && p.outputs >= 2 && pictures)
        code = draw_mistakes(c, next_picture(t, "mistakes"), cli_text(c, "%s: the worst mistakes", name), t->model,
                             shown->data, &p, 0);
    return code;
}

static int measure_and_report(training *t) {
    if (t->test.data) {
        t->scores = soma_evaluate(t->model, t->test.data, .sample_weight = t->test_weights);
        if (t->scores.status != SOMA_OK) return cli_fail_status(t->c, EXIT_INPUT);
    }
    const int code = t->r->plots ? draw_all(t) : EXIT_DONE;
    if (code == EXIT_DONE) report(t);
    return code;
}

static int run_recipe(training *t) {
    cli *c = t->c;
    soma_context *context = cli_context(c);
    if (!context) return EXIT_FAILED;
    soma_set_random_seed(context, (uint64_t)t->r->seed);
    int code = recipe_open_data(c, t->r, &t->train, &t->test);
    if (code == EXIT_DONE) code = open_model(t);
    if (code == EXIT_DONE) code = recipe_check_test(c, t->r, &t->train, &t->test, t->model);
    if (code == EXIT_DONE) code = prepare_outputs(t);
    if (code != EXIT_DONE) return code;
    if (t->r->dry_run) return show_plan(t);
    code = fit(t);
    return code == EXIT_DONE ? measure_and_report(t) : code;
}

static int run_train(cli *c, void *values, option_table tables[OPTION_TABLES], int n, char **arguments) {
    recipe *r = values;
    int code = need_arguments(c, n, 0, 1, "one configuration");
    if (code == EXIT_DONE) code = recipe_read(c, n ? arguments[0] : NULL, tables, r);
    if (code != EXIT_DONE) return code;
    training t = {.c = c, .r = r};
    code = run_recipe(&t);
    soma_model_destroy(t.model);
    source_close(&t.train);
    source_close(&t.test);
    return code;
}

const verb verb_train = {
    .name = "train",
    .summary = "Train a network and save it",
    .usage = "CONFIG.yaml [OPTION]...\n--dataset NAME [OPTION]...\n--x FILE --y FILE [OPTION]...",
    .examples = "soma train examples/mnist.yaml\n"
                "soma train examples/mnist.yaml --epochs 10 --learning-rate 0.0005\n"
                "soma train --dataset mnist --hidden 512 --epochs 5 --seed 1 --output m.soma\n"
                "soma train --x points.npy --y heights.npy --hidden 64,64 --loss mse\n"
                "soma train examples/mnist.yaml --json >log.jsonl",
    .notes = "In a configuration every option is a key, with _ for -: batch_size: 128. Options win over keys.\n"
             "With --json stdout gets a line an epoch, and a last one with what the test samples gave.\n"
             "Ctrl-C finishes the batch, saves, and says how to go on.",
    .options = recipe_options,
    .defaults = &recipe_defaults,
    .size = sizeof(recipe),
    .run = run_train,
};
