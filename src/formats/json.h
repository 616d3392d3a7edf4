/* JSON: read into a tree, written into a text.
 * Rests on jansson, or on a stub that says what to install; writing needs neither.
 * Strict: no duplicate keys, no zero bytes in strings, nothing after the value. */
#ifndef FORMATS_JSON_H
#define FORMATS_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

typedef struct json_document json_document;
typedef struct json_node json_node; /* belongs to its document */

typedef enum json_kind {
    JSON_IS_NULL,
    JSON_IS_BOOL,
    JSON_IS_NUMBER,
    JSON_IS_STRING,
    JSON_IS_ARRAY,
    JSON_IS_OBJECT
} json_kind;

/* name and offset (of the first byte in that file) are for errors: SOMA_FORMAT with file and byte. */
SOMA_MUST_CHECK soma_status json_document_parse(soma_context *context, const char *name, size_t offset,
                                                const char *bytes, size_t n, json_document **out);
void json_document_free(json_document *document);
const json_node *json_document_root(const json_document *document);

/* Every function takes NULL as a node that is not there. */
json_kind json_node_kind(const json_node *node);
/* Members of an object or array. */
int64_t json_node_count(const json_node *node);
/* NULL if node is no array or has no i-th member. */
const json_node *json_node_at(const json_node *node, int64_t i);
/* NULL if node is no object or has no such key. */
const json_node *json_node_find(const json_node *node, const char *key);
/* Walks an object in its order: cursor starts as NULL; false after the last. */
bool json_node_next(const json_node *node, void **cursor, const char **key, const json_node **value);
/* NULL if node is no string. */
const char *json_node_string(const json_node *node);
/* False, out untouched, if node is no number; for integer: no whole number that fits. */
bool json_node_number(const json_node *node, double *out);
bool json_node_integer(const json_node *node, int64_t *out);
bool json_node_bool(const json_node *node, bool *out);

/* Adds the string in quotes, escaped. Bytes that are not UTF-8 become U+FFFD. */
void json_write_string(text *t, const char *string);
/* Adds the number with the fewest digits that read back as the same; what JSON lacks (NaN, infinity) becomes null. */
void json_write_number(text *t, double value);

#endif
