/* JSON out: strings with escapes, numbers with the fewest digits.
 * Rests on text.h and number.h; needs no library.
 * Braces and commas are the caller's: a text is built in order, which keeps files the same byte for byte. */
#include <math.h>
#include <string.h>

#include "base/number.h"
#include "formats/json.h"

/* Length of the well-formed UTF-8 character at p, 0 if there is none (stray, overlong, surrogate, beyond U+10FFFF). */
static size_t utf8_length(const unsigned char *p) {
    if (p[0] < 0x80) return 1;
    const size_t n = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
                     : p[0] >= 0xe0 && p[0] <= 0xef ? 3
                     : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                                    : 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if (p[0] == 0xe0 && p[1] < 0xa0) return 0;
    if (p[0] == 0xed && p[1] > 0x9f) return 0;
    if (p[0] == 0xf0 && p[1] < 0x90) return 0;
    if (p[0] == 0xf4 && p[1] > 0x8f) return 0;
    return n;
}

static void write_ascii(text *t, unsigned char c) {
    static const char names[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *special = strchr(names, c);
    if (special)
        text_printf(t, "\\%c", letters[special - names]);
    else
        text_printf(t, "\\u%04x", c);
}

void json_write_string(text *t, const char *string) {
    const unsigned char *p = (const unsigned char *)string;
    text_append(t, "\"");
    while (*p) {
        const unsigned char *run = p;
        size_t n = 0;
        while (*p >= 0x20 && *p != '"' && *p != '\\' && (n = utf8_length(p)) > 0)
            p += n;
        text_append_bytes(t, run, (size_t)(p - run));
        if (!*p) break;
        if (*p < 0x80)
            write_ascii(t, *p);
        else
            text_append(t, "\xef\xbf\xbd");
        p++;
    }
    text_append(t, "\"");
}

void json_write_number(text *t, double value) {
    char digits[32];
    if (!isfinite(value)) {
        text_append(t, "null");
        return;
    }
    int n = number_shortest(digits, sizeof digits, value);
    if (n > 2 && !strcmp(digits + n - 2, ".0")) n -= 2;
    text_append_bytes(t, digits, (size_t)n);
}
