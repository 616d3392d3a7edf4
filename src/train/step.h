/* Steps: the plans of training, measuring and predicting, each for one batch size and dtype.
 * Rests on training.h and plans. Made once and kept; running one binds two pointers and allocates nothing. */
#ifndef TRAIN_STEP_H
#define TRAIN_STEP_H

#include "data/batches.h"
#include "train/training.h"

typedef enum step_kind { STEP_TRAIN, STEP_TEST, STEP_PREDICT } step_kind;

/* What a batch looks like: dtypes of the inputs and, unless only predicted, the labels. */
typedef struct step_shape {
    int64_t batch;
    int n_x, n_y;
    soma_dtype x_dtypes[SOMA_MAX_ARRAYS], y_dtypes[SOMA_MAX_ARRAYS];
    int y_ranks[SOMA_MAX_ARRAYS]; /* of one sample's label */
    int64_t y_shapes[SOMA_MAX_ARRAYS][SOMA_MAX_RANK];
    bool weighted; /* samples count differently in the loss */
} step_shape;

struct step {
    step_kind kind;
    training *training;
    step_shape shape;
    soma_graph *graph;
    soma_plan *plan;
    soma_tensor *fed[2 * SOMA_MAX_ARRAYS]; /* inputs, then labels: where the arrays of a batch go */
    soma_tensor *inputs[SOMA_MAX_ARRAYS];  /* as the first layers see them */
    soma_tensor *weights;                  /* NULL unless weighted */
    int n_values;                          /* loss and metrics */
    soma_dtype dtypes[TRAINING_VALUES];    /* of the values, or of the outputs of a prediction */
    int64_t sizes[TRAINING_VALUES];        /* 1, or how many statistics a metric gives */
    int ranks[SOMA_MAX_ARRAYS];            /* of a prediction's outputs, and their shapes with the batch */
    int64_t shapes[SOMA_MAX_ARRAYS][SOMA_MAX_RANK];
    step *next;
};

/* The shape of batches of a dataset. */
step_shape step_shape_of(const soma_dataset *data, int64_t batch, bool labels);
/* The step, made if need be; NULL after an error. The model is built. */
step *step_get(soma_model *model, step_kind kind, const step_shape *shape);
/* A step of its own, to be destroyed: gives what a layer is called on, float64. */
step *step_watch(soma_model *model, const soma_layer *layer, const step_shape *shape);
/* On arrays in the order of fed. */
soma_status step_run(step *s, const void *const *arrays);
/* Binds a batch, for which the first call may allocate memory. */
soma_status step_bind(step *s, const batch_rows *b);
/* The same on a batch of a dataset; weights of its samples for a weighted step. */
soma_status step_run_batch(step *s, const batch_rows *b, const float *weights);
/* After a run: element k of loss (0) or of a metric (1, ...). */
double step_value(const step *s, int i, int64_t k);
void steps_destroy(soma_model *model, step *steps);
/* All that step_get has made. */
void steps_forget(soma_model *model, training *t);

#endif
