/* JSON read by jansson.
 * Rests on json_in.h.
 * Duplicate keys are refused: a file that says two things is not to be trusted. */
#include <jansson.h>
#include <stdlib.h>

#include "json_in.h"

static json_t *plain(const json_value *value) {
    return (json_t *)(uintptr_t)value;
}

json_value *json_in_parse(cli *c, const char *name, const char *text, size_t n, bool complain) {
    json_error_t error;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    if (!root && complain) (void)cli_fail(c, EXIT_INPUT, "%s: byte %d: %s", name, error.position, error.text);
    return (json_value *)root;
}

void json_in_free(json_value *root) {
    json_decref((json_t *)root);
}

const json_value *json_in_find(const json_value *value, const char *key) {
    return (const json_value *)json_object_get(plain(value), key);
}

const json_value *json_in_at(const json_value *value, size_t i) {
    return (const json_value *)json_array_get(plain(value), i);
}

bool json_in_next(const json_value *value, void **cursor, const char **key, const json_value **member) {
    json_t *object = plain(value);
    *cursor = *cursor ? json_object_iter_next(object, *cursor) : json_object_iter(object);
    if (!*cursor) return false;
    *key = json_object_iter_key(*cursor);
    *member = (const json_value *)json_object_iter_value(*cursor);
    return true;
}

const char *json_in_text(const json_value *value) {
    return json_string_value(plain(value));
}

bool json_in_number(const json_value *value, double *out) {
    if (!json_is_number(plain(value))) return false;
    *out = json_number_value(plain(value));
    return true;
}

size_t json_in_count(const json_value *value) {
    return json_is_array(plain(value)) ? json_array_size(plain(value)) : json_object_size(plain(value));
}

bool json_in_is_object(const json_value *value) {
    return json_is_object(plain(value));
}

char *json_in_dump(cli *c, const json_value *value, bool indented) {
    char *text = json_dumps(plain(value), JSON_ENCODE_ANY | JSON_REAL_PRECISION(15) | (indented ? JSON_INDENT(2) : 0));
    char *copy = cli_text(c, "%s", text ? text : "");
    free(text);
    return copy;
}
