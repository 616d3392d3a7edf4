/* The .soma file from memory: for models that come with a program, and for fuzzing.
 * Rests on nn/model.h; soma_model_load is the same from a path.
 * name stands for the path in errors. */
#ifndef TRAIN_MODEL_FILE_H
#define TRAIN_MODEL_FILE_H

#include <soma/train.h>

#include "formats/safetensors.h"

/* data is only read, and only until the function returns. NULL after an error. */
soma_model *model_load_memory(soma_context *context, const char *name, const void *data, size_t size);

/* As soma_model_save, with n arrays more. */
soma_status model_save_with(const soma_model *model, const soma_save_options *options, const safetensors_entry *more,
                            int n);
/* Gives a model that is built and compiled as the saved one was the file's weights, optimizer's state and history.
 * *file stays open, for what was saved beside them: to be closed by the caller, also after an error; NULL if the file
 * could not be read. */
soma_status model_restore(soma_model *model, const char *path, safetensors **file);

#endif
