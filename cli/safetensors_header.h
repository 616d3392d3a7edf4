/* The header of a safetensors file: what tensors it holds and what its metadata say, without its elements.
 * Rests on json_in.h; the library checks such a file in full when it loads a model.
 * Any file of this format can be looked at, whoever wrote it. */
#ifndef CLI_SAFETENSORS_HEADER_H
#define CLI_SAFETENSORS_HEADER_H

#include "json_in.h"

typedef struct stored_tensor {
    const char *name, *dtype;
    int rank;
    int64_t shape[SOMA_MAX_RANK];
    int64_t begin, end; /* bytes in the file */
} stored_tensor;

typedef struct safetensors_header {
    json_value *root;           /* freed by safetensors_close */
    const json_value *metadata; /* NULL: none */
    int64_t bytes;              /* of the whole file */
    int n;
    stored_tensor *tensors; /* in order of their places in the file */
} safetensors_header;

/* EXIT_DONE, or a code after a message. */
int safetensors_look(cli *c, const char *path, safetensors_header *out);
void safetensors_close(safetensors_header *header);

#endif
