/* Sizes as people write them: "500MB", "2 GiB", "1e9".
 * Rests on number.h. Units of 1000 and of 1024 are told apart as the IEC does; K, M, G alone are powers of 1000. */
#include <strings.h>

#include <soma/context.h>

#include "base/error.h"
#include "base/number.h"

bool size_parse(const char *text, size_t *bytes) {
    static const struct {
        const char *name;
        double size;
    } units[] = {{"", 1},         {"b", 1},    {"k", 1e3},      {"kb", 1e3},    {"kib", 0x1p10},
                 {"m", 1e6},      {"mb", 1e6}, {"mib", 0x1p20}, {"g", 1e9},     {"gb", 1e9},
                 {"gib", 0x1p30}, {"t", 1e12}, {"tb", 1e12},    {"tib", 0x1p40}};
    enum { UNITS = sizeof units / sizeof *units };
    const char *rest = text;
    double number = 0;
    if (text && bytes && number_parse(text, &rest, &number) && number > 0) {
        while (*rest == ' ')
            rest++;
        for (int i = 0; i < UNITS; i++)
            if (strcasecmp(rest, units[i].name) == 0 && number * units[i].size >= 1 &&
                number * units[i].size < 0x1p62) {
                *bytes = (size_t)(number * units[i].size);
                return true;
            }
    }
    return false;
}

soma_status soma_parse_bytes(const char *text, size_t *bytes) {
    RETURN_IF(NULL, !size_parse(text, bytes), SOMA_INVALID,
              "'%s' is no size: expected a number of bytes, or 500MB or 2GiB", text ? text : "");
    return SOMA_OK;
}
