/* The .soma file from memory: for models that come with a program, and for fuzzing.
 * Rests on nn/model.h; soma_model_load is the same from a path.
 * name stands for the path in errors. */
#ifndef TRAIN_MODEL_FILE_H
#define TRAIN_MODEL_FILE_H

#include <soma/train.h>

/* data is only read, and only until the function returns. NULL after an error. */
soma_model *model_load_memory(soma_context *context, const char *name, const void *data, size_t size);

#endif
