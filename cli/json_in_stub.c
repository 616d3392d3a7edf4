/* Stands in for json_in_jansson.c where jansson is absent: says what to install.
 * Rests on json_in.h alone.
 * No document is ever made, so the other functions see NULL only. */
#include "json_in.h"

json_value *json_in_parse(cli *c, const char *name, const char *text, size_t n, bool complain) {
    (void)text;
    (void)n;
    if (complain)
        (void)cli_fail(c, EXIT_FAILED, "%s: this build reads no JSON: install libjansson-dev and build again", name);
    return NULL;
}

void json_in_free(json_value *root) {
    (void)root;
}

const json_value *json_in_find(const json_value *value, const char *key) {
    (void)key;
    return value;
}

const json_value *json_in_at(const json_value *value, size_t i) {
    (void)i;
    return value;
}

bool json_in_next(const json_value *value, void **cursor, const char **key, const json_value **member) {
    (void)cursor;
    *key = "";
    *member = value;
    return false;
}

const char *json_in_text(const json_value *value) {
    return (const char *)value;
}

bool json_in_number(const json_value *value, double *out) {
    *out = 0;
    return value != NULL;
}

size_t json_in_count(const json_value *value) {
    return value != NULL;
}

bool json_in_is_object(const json_value *value) {
    return value != NULL;
}

char *json_in_dump(cli *c, const json_value *value, bool indented) {
    return cli_text(c, "%s%s", value ? "" : "null", indented ? "" : "");
}
