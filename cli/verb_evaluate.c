/* soma evaluate: a model's loss and metrics on labelled samples.
 * Rests on models.h.
 * What the file says is compiled in the model; nothing of it can be set here but the data. */
#include "json_out.h"
#include "models.h"
#include "shared_options.h"

typedef struct evaluation {
    const char *dataset;
    const config_node *x, *y, *sample_weight;
    int part;
    int64_t samples, batch_size;
} evaluation;

static const option evaluate_options[] = {
    SHARED_DATASET(evaluation, DATASET_WORDS "t10k"),
    SHARED_PART(evaluation),
    SHARED_X(evaluation, "samples: .npy or IDX"),
    SHARED_Y(evaluation),
    SHARED_SAMPLE_WEIGHT(evaluation, "how much each counts in the loss: .npy or IDX"),
    SHARED_SAMPLES(evaluation, "the first N only"),
    SHARED_BATCH_SIZE(evaluation, "changes the speed only (default 256)"),
    {.name = NULL},
};

static int open_data(cli *c, const evaluation *e, data_source *out) {
    *out = (data_source){.data = NULL};
    if (e->dataset && (e->x || e->y))
        return cli_fail_usage(c, NULL, "--dataset and --x, --y are two ways to say one thing");
    if (!e->dataset && (!e->x || !e->y)) return cli_fail_usage(c, NULL, "which data? Give --dataset, or --x and --y");
    const int code = e->dataset ? source_open(c, e->dataset, part_choices[e->part], true, out)
                                : source_open_arrays(c, e->x, e->y, out);
    return code == EXIT_DONE ? source_limit(c, out, e->samples) : code;
}

static int measure(cli *c, const evaluation *e, soma_model *model, const data_source *source) {
    int64_t shape[SOMA_MAX_RANK];
    const int rank = soma_model_output_shape(model, shape);
    if (rank >= 1 && shape[rank - 1] > 1 && !source->outputs) {
        const int code = source_check_labels(c, source, shape[rank - 1]);
        if (code != EXIT_DONE) return code;
    }
    const double *weights = NULL;
    if (e->sample_weight) {
        const int code =
            source_read_weights(c, e->sample_weight, soma_dataset_samples(source->data), e->samples > 0, &weights);
        if (code != EXIT_DONE) return code;
    }
    const soma_scores s = soma_evaluate(model, source->data, .batch_size = e->batch_size, .sample_weight = weights);
    if (s.status != SOMA_OK) return cli_fail_status(c, EXIT_INPUT);
    if (!c->json) {
        printf("samples: %lld\nloss: %s\n", (long long)soma_dataset_samples(source->data), text_measure(c, s.loss));
        for (int i = 0; i < s.n_metrics; i++)
            printf("%s: %s\n", soma_metric_name(model, i), text_measure(c, s.metrics[i]));
        return EXIT_DONE;
    }
    json_out j = {.file = stdout};
    json_open(&j, NULL, '{');
    json_integer(&j, "samples", soma_dataset_samples(source->data));
    json_measure(&j, "loss", s.loss);
    for (int i = 0; i < s.n_metrics; i++)
        json_measure(&j, soma_metric_name(model, i), s.metrics[i]);
    json_close(&j, '}');
    json_end(&j);
    return EXIT_DONE;
}

static int run_evaluate(cli *c, void *values, option_table tables[OPTION_TABLES], int n, char **arguments) {
    (void)tables;
    const evaluation *e = values;
    int code = need_arguments(c, n, 1, 1, "a model");
    if (code != EXIT_DONE) return code;
    data_source source = {.data = NULL};
    soma_model *model = NULL;
    code = open_data(c, e, &source);
    if (code == EXIT_DONE) {
        model = model_open(c, arguments[0]);
        code = model ? measure(c, e, model, &source) : EXIT_INPUT;
    }
    soma_model_destroy(model);
    source_close(&source);
    return code;
}

const verb verb_evaluate = {
    .name = "evaluate",
    .summary = "Measure a model on labelled samples",
    .usage = "MODEL --dataset NAME [OPTION]...\nMODEL --x FILE --y FILE [OPTION]...",
    .examples = "soma evaluate out/mnist.soma --dataset mnist\n"
                "soma evaluate out/mnist.soma --dataset mnist --part train --json\n"
                "soma evaluate m.soma --x points.npy --y heights.npy",
    .options = evaluate_options,
    .size = sizeof(evaluation),
    .run = run_evaluate,
};
