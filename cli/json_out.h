/* JSON written to a stream, member by member, on one line.
 * Rests on stdio alone: results are written as they come, in the order in which people read them.
 * Numbers have the fewest digits that read back as the same; NaN and infinity, which JSON lacks, become null. */
#ifndef CLI_JSON_OUT_H
#define CLI_JSON_OUT_H

#include "cli.h"

typedef struct json_out {
    FILE *file;
    bool more; /* the next member needs a comma before it */
} json_out;

/* key is NULL in arrays and at the root. */
void json_open(json_out *j, const char *key, char bracket);
/* After the root's closing bracket comes a newline, and what was written is flushed. */
void json_close(json_out *j, char bracket);
void json_end(json_out *j);
void json_text(json_out *j, const char *key, const char *text); /* NULL becomes null */
void json_double(json_out *j, const char *key, double number);
void json_float(json_out *j, const char *key, double number);   /* digits enough for a float32 */
void json_measure(json_out *j, const char *key, double number); /* nine digits: more is noise of summation */
void json_integer(json_out *j, const char *key, int64_t number);
void json_bool(json_out *j, const char *key, bool value);
void json_raw(json_out *j, const char *key, const char *json); /* what is JSON already */
void json_shape(json_out *j, const char *key, int rank, const int64_t *shape);

#endif
