/* The training's part of a file: how the model was compiled, labels, history, each as JSON.
 * Rests on training.h and formats/json.h. Reading checks everything; what is missing stays as it is. */
#ifndef TRAIN_TRAINING_JSON_H
#define TRAIN_TRAINING_JSON_H

#include "train/training.h"

soma_status training_write_json(text *out, const field_names *names, const soma_model *model);
/* {"optimizer": ..., "loss": ..., "metrics": [...], "epochs": n}: compiles the model. */
soma_status training_read_json(const field_names *names, soma_model *model, const json_node *node);
/* {"loss": [0.5, ...], ...} */
soma_status history_write_json(text *out, const soma_model *model);
soma_status history_read_json(const field_names *names, soma_model *model, const json_node *node);
/* ["zero", "one", ...] */
soma_status labels_write_json(text *out, const soma_model *model);
soma_status labels_read_json(const field_names *names, soma_model *model, const json_node *node);

#endif
