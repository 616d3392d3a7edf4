/* JSON in, by jansson.
 * Rests on jansson, whose own memory comes from malloc: its allocator is global and may be the program's already.
 * A node is jansson's own json_t under another name, so nothing is copied. */
#include <jansson.h>
#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "formats/json.h"

struct json_document {
    soma_context *context;
    json_t *root;
};

static const json_node *node_of(const json_t *json) {
    return (const json_node *)(const void *)json;
}

static const json_t *json_of(const json_node *node) {
    return (const json_t *)(const void *)node;
}

soma_status json_document_parse(soma_context *context, const char *name, size_t offset, const char *bytes, size_t n,
                                json_document **out) {
    json_error_t error;
    *out = NULL;
    json_document *d = mem_alloc(context, sizeof *d);
    if (!d) return SOMA_NO_MEMORY;
    json_t *root = json_loadb(bytes, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!root) {
        mem_free(context, d, sizeof *d);
        const bool memory = json_error_code(&error) == json_error_out_of_memory;
        return error_set(context, memory ? SOMA_NO_MEMORY : SOMA_FORMAT, "%s: byte %zu: malformed JSON: %s", name,
                         offset + (size_t)error.position, error.text);
    }
    *d = (json_document){.context = context, .root = root};
    *out = d;
    return SOMA_OK;
}

void json_document_free(json_document *document) {
    if (!document) return;
    json_decref(document->root);
    mem_free(document->context, document, sizeof *document);
}

const json_node *json_document_root(const json_document *document) {
    return node_of(document->root);
}

json_kind json_node_kind(const json_node *node) {
    const json_t *json = json_of(node);
    if (json_is_object(json)) return JSON_IS_OBJECT;
    if (json_is_array(json)) return JSON_IS_ARRAY;
    if (json_is_string(json)) return JSON_IS_STRING;
    if (json_is_number(json)) return JSON_IS_NUMBER;
    return json_is_boolean(json) ? JSON_IS_BOOL : JSON_IS_NULL;
}

int64_t json_node_count(const json_node *node) {
    const json_t *json = json_of(node);
    return json_is_object(json) ? (int64_t)json_object_size(json) : (int64_t)json_array_size(json);
}

const json_node *json_node_at(const json_node *node, int64_t i) {
    return i < 0 ? NULL : node_of(json_array_get(json_of(node), (size_t)i));
}

const json_node *json_node_find(const json_node *node, const char *key) {
    return node_of(json_object_get(json_of(node), key));
}

bool json_node_next(const json_node *node, void **cursor, const char **key, const json_node **value) {
    json_t *json = (json_t *)(uintptr_t)node; /* jansson's iterators want it writable but only read */
    *cursor = *cursor ? json_object_iter_next(json, *cursor) : json_object_iter(json);
    if (!*cursor) return false;
    *key = json_object_iter_key(*cursor);
    *value = node_of(json_object_iter_value(*cursor));
    return true;
}

const char *json_node_string(const json_node *node) {
    return json_string_value(json_of(node));
}

bool json_node_number(const json_node *node, double *out) {
    if (!json_is_number(json_of(node))) return false;
    *out = json_number_value(json_of(node));
    return true;
}

bool json_node_integer(const json_node *node, int64_t *out) {
    const json_t *json = json_of(node);
    if (json_is_integer(json)) {
        *out = json_integer_value(json);
        return true;
    }
    if (!json_is_real(json)) return false;
    const double value = json_real_value(json);
    if (value != floor(value) || value < -0x1p63 || value >= 0x1p63) return false;
    *out = (int64_t)value;
    return true;
}

bool json_node_bool(const json_node *node, bool *out) {
    if (!json_is_boolean(json_of(node))) return false;
    *out = json_is_true(json_of(node));
    return true;
}
