/* Fuzz target: the .soma reader on bytes in memory, from the header to a model with its weights.
 * Rests on libFuzzer's entry point, or on replay.c. What loads must describe itself again as JSON.
 * Nothing is run: sizes of what a model computes are the plan's to check. */
#include <stdint.h>
#include <stdlib.h>

#include <soma/train.h>

#include "train/model_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    soma_model *model = model_load_memory(NULL, "fuzz", data, size);
    if ((model != NULL) != (soma_last_status(NULL) == SOMA_OK)) abort();
    if (model) {
        char *json = soma_model_to_json(model);
        if (!json || soma_count_params(model) < 0) abort();
        soma_string_free(json);
    }
    soma_model_destroy(model);
    soma_clear_error(NULL);
    return 0;
}
