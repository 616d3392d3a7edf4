/* A recipe: everything that makes a training, from a YAML file, from flags, or both (flags win).
 * Rests on options.h, sources.h and the library's own descriptions of layers, optimizers and losses in JSON: names of
 * layers and their options are known there and nowhere here. */
#ifndef CLI_RECIPE_H
#define CLI_RECIPE_H

#include "options.h"
#include "sources.h"

typedef struct recipe {
    const char *path; /* of the configuration; NULL: flags alone */
    const config_node *root;
    /* data */
    const char *dataset;
    const config_node *x, *y, *test_x, *test_y, *sample_weight, *test_sample_weight;
    int64_t samples;
    double validation_split;
    bool validate_on_test, shuffle;
    double pixel_scale;
    /* network */
    const config_node *layers, *hidden;
    const char *activation;
    double dropout;
    /* training */
    const config_node *optimizer, *loss, *loss_weights, *metrics, *weighted_metrics, *precision, *class_weight,
        *callbacks;
    double learning_rate;
    int64_t epochs, initial_epoch, batch_size, steps_per_epoch, validation_freq, validation_batch_size,
        validation_steps, seed;
    const char *resume;
    /* output */
    const char *output, *plots;
    int progress;
    bool dry_run;
} recipe;

extern const option recipe_options[];
extern const recipe recipe_defaults;

/* Whether a path names a configuration: .yaml or .yml. */
bool is_recipe(const char *path);
/* Reads the configuration, flags winning, and makes the default of what neither says. */
int recipe_read(cli *c, const char *path, option_table tables[OPTION_TABLES], recipe *r);
/* The name that a training goes by: the configuration's or the data set's. */
const char *recipe_name(cli *c, const recipe *r);
/* Opens the samples to train on and, if there are some, to test with (else test->data is NULL). */
int recipe_open_data(cli *c, const recipe *r, data_source *train, data_source *test);
/* What fit takes beside the data: callbacks and the weights of samples and classes; the callbacks are freed by fit. */
int recipe_fit_options(cli *c, const recipe *r, const data_source *train, soma_fit_options *out);
/* Whether the samples to test with are like those to train on, with labels that the model knows: before the training,
 * not after it. */
int recipe_check_test(cli *c, const recipe *r, const data_source *train, const data_source *test,
                      const soma_model *model);
/* The weights of the samples to test with; NULL when there are none. */
int recipe_test_weights(cli *c, const recipe *r, const data_source *test, const double **out);
/* The library's last error as a message with the place in node that it is about. Returns the exit code. */
int recipe_refuse(cli *c, const recipe *r, const config_node *node);
/* The same where it may be about any of n nodes, of which some may be NULL. */
int recipe_refuse_any(cli *c, const recipe *r, const config_node *const *nodes, int n);
/* The same for what training says of loss, metrics, callbacks and labels. */
int recipe_refuse_fit(cli *c, const recipe *r);
/* Whether what callbacks watch is measured at all. */
int recipe_check_monitors(cli *c, const recipe *r, const soma_model *model);
/* What is asked of an output: numbers, yes or no, or one of several classes. Said by the loss, else (NULL) by whether
 * the labels are whole numbers. */
typedef enum recipe_task { TASK_NUMBERS, TASK_BINARY, TASK_CLASSES } recipe_task;
recipe_task recipe_task_of(const config_node *loss, bool whole);
/* A loss' name, "" for NULL. */
const char *recipe_loss_name(const config_node *loss);
/* The network of hidden layers: recipe_hidden.c. */
int recipe_build_hidden(cli *c, const recipe *r, const data_source *train, soma_model **out);
/* Whether layers say what goes in, and the network of such ones: recipe_graph.c. */
bool recipe_is_graph(const config_node *layers, const data_source *train);
int recipe_build_graph(cli *c, const recipe *r, const data_source *train, soma_model **out);
/* The network, built for the data and compiled; in *out, also after an error when it was made. */
int recipe_build(cli *c, const recipe *r, const data_source *train, soma_model **out);
/* All of this from a file alone, for verbs that only look at a network. common: the verb's tables[1], whose flags win.
 * train (may be NULL): its samples, to be closed by the caller. */
int recipe_open_model(cli *c, const char *path, const option_table *common, soma_model **out, data_source *train);
/* The network of a file, a model or a configuration, with training data: the configuration's, or those of a data set
 * that is named (NULL: none). What was opened before a failure is there to be closed. */
int network_open(cli *c, const char *path, const option_table *common, const char *dataset, soma_model **model,
                 data_source *train);

#endif
