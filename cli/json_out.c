/* The JSON that --json writes.
 * Rests on json_out.h.
 * Text that is not UTF-8 (names of files may be anything) gets U+FFFD, so the output is always valid JSON. */
#include "json_out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Length of the UTF-8 sequence at p, 0 if it is none. */
static int utf8_length(const unsigned char *p) {
    int n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : 0;
    if (p[0] >= 0xf0 && p[0] < 0xf5) n = 4;
    for (int i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
    }
    if (n == 3 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0))) return 0;
    if (n == 4 && ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90))) return 0;
    return n;
}

static void quoted(json_out *j, const char *text) {
    fputc('"', j->file);
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        const int n = utf8_length(p);
        if (*p == '"' || *p == '\\') {
            fprintf(j->file, "\\%c", *p);
        } else if (*p < 0x20 || *p == 0x7f) {
            fprintf(j->file, "\\u%04x", *p);
        } else if (n == 0) {
            fputs("\\ufffd", j->file);
        } else {
            fwrite(p, 1, (size_t)n, j->file);
        }
        p += n ? n : 1;
    }
    fputc('"', j->file);
}

static void begin(json_out *j, const char *key) {
    if (j->more) fputs(", ", j->file);
    j->more = true;
    if (!key) return;
    quoted(j, key);
    fputs(": ", j->file);
}

void json_open(json_out *j, const char *key, char bracket) {
    begin(j, key);
    fputc(bracket, j->file);
    j->more = false;
}

void json_close(json_out *j, char bracket) {
    fputc(bracket, j->file);
    j->more = true;
}

void json_end(json_out *j) {
    fputc('\n', j->file);
    (void)fflush(j->file);
    j->more = false;
}

void json_text(json_out *j, const char *key, const char *text) {
    begin(j, key);
    if (text) {
        quoted(j, text);
    } else {
        fputs("null", j->file);
    }
}

void json_double(json_out *j, const char *key, double number) {
    char text[40];
    begin(j, key);
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number) break;
    }
    fputs(isfinite(number) ? text : "null", j->file);
}

void json_float(json_out *j, const char *key, double number) {
    char text[40];
    begin(j, key);
    for (int digits = 6; digits <= 9; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtof(text, NULL) == (float)number) break;
    }
    fputs(isfinite(number) ? text : "null", j->file);
}

void json_measure(json_out *j, const char *key, double number) {
    begin(j, key);
    if (isfinite(number)) {
        fprintf(j->file, "%.9g", number);
    } else {
        fputs("null", j->file);
    }
}

void json_integer(json_out *j, const char *key, int64_t number) {
    begin(j, key);
    fprintf(j->file, "%lld", (long long)number);
}

void json_bool(json_out *j, const char *key, bool value) {
    begin(j, key);
    fputs(value ? "true" : "false", j->file);
}

void json_raw(json_out *j, const char *key, const char *json) {
    begin(j, key);
    fputs(json, j->file);
}

void json_shape(json_out *j, const char *key, int rank, const int64_t *shape) {
    json_open(j, key, '[');
    for (int i = 0; i < rank; i++)
        json_integer(j, NULL, shape[i]);
    json_close(j, ']');
}
