/* JSON read: the header of a .soma file and logs of JSON lines.
 * Rests on jansson, or on a stub that says what to install.
 * Nodes belong to their document, which lives until json_in_free. */
#ifndef CLI_JSON_IN_H
#define CLI_JSON_IN_H

#include "cli.h"

typedef struct json_value json_value; /* jansson's json_t */

/* name is for messages. NULL after a message when complain, else silently. */
json_value *json_in_parse(cli *c, const char *name, const char *text, size_t n, bool complain);
void json_in_free(json_value *root);
/* Members; NULL when there are none of that kind or name. */
const json_value *json_in_find(const json_value *value, const char *key);
const json_value *json_in_at(const json_value *value, size_t i);
/* Walks an object in its order: *cursor starts as NULL; false after the last. */
bool json_in_next(const json_value *value, void **cursor, const char **key, const json_value **member);
const char *json_in_text(const json_value *value); /* NULL if it is no string */
bool json_in_number(const json_value *value, double *out);
size_t json_in_count(const json_value *value);
bool json_in_is_object(const json_value *value);
/* The value as it would be written, on one line or indented, in the command's memory. */
char *json_in_dump(cli *c, const json_value *value, bool indented);

#endif
