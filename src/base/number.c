/* Numbers and text without the locale.
 * Rests on strtod_l and on uselocale around vsnprintf: both are per call or per thread, nothing global changes.
 * newlocale("C") hands out a constant object in glibc and musl, so asking for it each time allocates nothing. */
#define _GNU_SOURCE 1
#include "base/number.h"

#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int number_vformat(char *buffer, size_t size, const char *format, va_list arguments) {
    const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const locale_t before = c ? uselocale(c) : (locale_t)0;
    const int length = vsnprintf(buffer, size, format, arguments);
    if (c) {
        uselocale(before);
        freelocale(c);
    }
    return length;
}

int number_format(char *buffer, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int length = number_vformat(buffer, size, format, arguments);
    va_end(arguments);
    return length;
}

/* ---- reading ---- */

static bool digit(char c) {
    return c >= '0' && c <= '9';
}

/* A number taken apart: value = mantissa * 10^exponent, exact unless digits were too many. */
typedef struct decimal {
    uint64_t mantissa;
    int exponent;
    bool exact;
    const char *end; /* NULL: no number here */
} decimal;

static decimal scan(const char *p) {
    decimal d = {.exact = true};
    bool any = false, fraction = false;
    for (;; p++) {
        if (*p == '.' && !fraction) {
            fraction = true;
            continue;
        }
        if (!digit(*p)) break;
        any = true;
        if (d.mantissa >= UINT64_C(100000000000000000)) {
            d.exact = false;
            continue;
        }
        d.mantissa = 10 * d.mantissa + (uint64_t)(*p - '0');
        if (fraction) d.exponent--;
    }
    if (!any) return d;
    d.end = p;
    if (*p != 'e' && *p != 'E') return d;
    const char *e = p + 1;
    const bool negative = *e == '-';
    if (*e == '-' || *e == '+') e++;
    if (!digit(*e)) return d;
    int exponent = 0;
    for (; digit(*e); e++)
        if (exponent < 100000) exponent = 10 * exponent + (*e - '0');
    d.exponent += negative ? -exponent : exponent;
    d.end = e;
    return d;
}

/* inf, infinity, nan; the end, or NULL. */
static const char *scan_word(const char *p, double *out) {
    if (!strncasecmp(p, "inf", 3)) {
        *out = (double)INFINITY;
        return p + (strncasecmp(p, "infinity", 8) ? 3 : 8);
    }
    if (strncasecmp(p, "nan", 3)) return NULL;
    *out = (double)NAN;
    return p + 3;
}

static double parse_slowly(const char *s) {
    const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const double value = c ? strtod_l(s, NULL, c) : strtod(s, NULL);
    if (c) freelocale(c);
    return value;
}

bool number_parse(const char *s, const char **end, double *out) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const char *p = s + (*s == '-' || *s == '+');
    const decimal d = scan(p);
    const char *stop = d.end;
    double value = 0;
    if (!stop) {
        stop = scan_word(p, &value);
        if (*s == '-') value = -value;
    } else if (d.exact && d.mantissa <= UINT64_C(1) << 53 && d.exponent >= -22 && d.exponent <= 22) {
        /* both operands are exact, so the one operation rounds correctly */
        value = d.exponent < 0 ? (double)d.mantissa / powers[-d.exponent] : (double)d.mantissa * powers[d.exponent];
        if (*s == '-') value = -value;
    } else {
        value = parse_slowly(s);
    }
    if (end) *end = stop ? stop : s;
    if (stop) *out = value;
    return stop != NULL;
}

/* ---- the shortest digits ---- */

static bool reads_back(const char *text, double magnitude, bool single) {
    const double back = parse_slowly(text);
    if (!single) return back == magnitude;
    const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const float narrow = c ? strtof_l(text, NULL, c) : strtof(text, NULL);
    if (c) freelocale(c);
    return narrow == (float)magnitude;
}

/* "d.ddde+xx" of n digits into digits and exponent. */
static void split(const char *text, int n, char *digits, int *exponent) {
    digits[0] = text[0];
    if (n > 1) memcpy(digits + 1, text + 2, (size_t)n - 1);
    digits[n] = '\0';
    *exponent = atoi(strchr(text, 'e') + 1) + 1;
}

/* The next larger number of n digits. */
static void increment(char *digits, int n, int *exponent) {
    int i = n - 1;
    while (i >= 0 && digits[i] == '9')
        digits[i--] = '0';
    if (i >= 0) {
        digits[i]++;
        return;
    }
    digits[0] = '1'; /* the others are zero now */
    ++*exponent;
}

/* The n digits nearest to magnitude; where it is a power of two the gap above is twice the gap below, so the next
 * larger number of n digits may read back when the nearest does not. */
static bool try_digits(double magnitude, bool single, int n, char *digits, int *exponent) {
    char text[40];
    (void)number_format(text, sizeof text, "%.*e", n - 1, magnitude);
    split(text, n, digits, exponent);
    if (reads_back(text, magnitude, single)) return true;
    int binary;
    if (frexp(magnitude, &binary) != 0.5) return false;
    increment(digits, n, exponent);
    (void)number_format(text, sizeof text, "0.%se%d", digits, *exponent);
    return reads_back(text, magnitude, single);
}

int number_digits(double value, bool single, char digits[NUMBER_DIGITS], int *exponent) {
    const double magnitude = fabs(value);
    if (magnitude == 0) {
        memcpy(digits, "0", 2);
        *exponent = 1;
        return 1;
    }
    /* Up to 6 (15) digits different decimals are different normal numbers, so the shortest is there with zeros after;
     * below the normal range that is not so. */
    const int most = single ? 9 : 17;
    int n = magnitude < (single ? 0x1p-126 : 0x1p-1022) ? 1 : single ? 6 : 15;
    while (n < most && !try_digits(magnitude, single, n, digits, exponent))
        n++;
    if (n == most) (void)try_digits(magnitude, single, n, digits, exponent);
    while (n > 1 && digits[n - 1] == '0')
        n--;
    digits[n] = '\0';
    return n;
}

int number_shortest(char *buffer, size_t size, double value) {
    if (isnan(value)) return number_format(buffer, size, "nan");
    const char *sign = signbit(value) ? "-" : "";
    if (isinf(value)) return number_format(buffer, size, "%sinf", sign);
    char digits[NUMBER_DIGITS];
    int exponent;
    const int n = number_digits(value, false, digits, &exponent);
    if (exponent < -3 || exponent > 16)
        return number_format(buffer, size, "%s%c%s%se%+03d", sign, digits[0], n > 1 ? "." : "", digits + 1,
                             exponent - 1);
    if (exponent <= 0) return number_format(buffer, size, "%s0.%.*s%s", sign, -exponent, "0000", digits);
    if (n <= exponent) return number_format(buffer, size, "%s%s%.*s.0", sign, digits, exponent - n, "0000000000000000");
    return number_format(buffer, size, "%s%.*s.%s", sign, exponent, digits, digits + exponent);
}
