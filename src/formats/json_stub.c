/* JSON in a build without jansson: says what to install.
 * Rests on error.h; the build takes this file or json_jansson.c, never both.
 * No document can exist here, so the functions of nodes answer as for a node that is not there. */
#include "base/error.h"
#include "formats/json.h"

soma_status json_document_parse(soma_context *context, const char *name, size_t offset, const char *bytes, size_t n,
                                json_document **out) {
    (void)offset;
    (void)bytes;
    (void)n;
    *out = NULL;
    return error_set(context, SOMA_UNSUPPORTED,
                     "%s: this build cannot read JSON: install jansson (Debian: libjansson-dev) and build again", name);
}

void json_document_free(json_document *document) {
    (void)document;
}

const json_node *json_document_root(const json_document *document) {
    (void)document;
    return NULL;
}

json_kind json_node_kind(const json_node *node) {
    (void)node;
    return JSON_IS_NULL;
}

int64_t json_node_count(const json_node *node) {
    (void)node;
    return 0;
}

const json_node *json_node_at(const json_node *node, int64_t i) {
    (void)i;
    return node;
}

const json_node *json_node_find(const json_node *node, const char *key) {
    (void)key;
    return node;
}

bool json_node_next(const json_node *node, void **cursor, const char **key, const json_node **value) {
    (void)cursor;
    *key = NULL;
    *value = node;
    return false;
}

const char *json_node_string(const json_node *node) {
    (void)node;
    return NULL;
}

bool json_node_number(const json_node *node, double *out) {
    (void)node;
    (void)out;
    return false;
}

bool json_node_integer(const json_node *node, int64_t *out) {
    (void)node;
    (void)out;
    return false;
}

bool json_node_bool(const json_node *node, bool *out) {
    (void)node;
    (void)out;
    return false;
}
