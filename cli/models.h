/* What verbs do with models: open them, let them predict, draw pictures about them.
 * Rests on <soma/train.h>, sources.h and plots.h.
 * Predictions are copied to float arrays in the command's memory. */
#ifndef CLI_MODELS_H
#define CLI_MODELS_H

#include "plots.h"
#include "sources.h"

/* NULL after a message. */
soma_model *model_open(cli *c, const char *path);

typedef struct predictions {
    int64_t samples, outputs;
    const double *values; /* samples x outputs */
} predictions;
/* Of each of the model's outputs, SOMA_MAX_ARRAYS at most, into out. */
int model_predict_all(cli *c, soma_model *model, soma_dataset *data, predictions *out);
/* The same of a model that has one. */
int model_predict(cli *c, soma_model *model, soma_dataset *data, predictions *out);
/* A batch of zeros, with labels in the shape of the outputs, or class indices for them. NULL after an error. */
soma_dataset *model_zeros(cli *c, const soma_model *model, int64_t batch, soma_dtype dtype, bool indices);
/* The output that is largest. */
int64_t prediction_class(const predictions *p, int64_t sample);

/* Pictures; EXIT_DONE, or a code after a message. test: scores to show as levels, may be NULL. */
int draw_history(cli *c, const char *path, const char *title, const soma_model *model, const soma_scores *test);
int draw_confusion(cli *c, const char *path, const char *title, const soma_model *model, const soma_dataset *data,
                   const predictions *p);
int draw_network(cli *c, const char *path, const char *title, const soma_model *model);
/* most 0: as many as fill four rows. */
int draw_mistakes(cli *c, const char *path, const char *title, const soma_model *model, const soma_dataset *data,
                  const predictions *p, int64_t most);
/* Columns such as loss and val_loss joined to curves: name and epochs values each. Returns how many. */
int join_curves(cli *c, int n, const char *const *names, double *const *values, curve *curves);

#endif
