/* Numbers to text and back, the same in every locale.
 * Rests on libc's correctly rounding conversions, run in the "C" locale of the calling thread.
 * Reading takes an exact short cut where one exists, since data files are mostly short numbers. */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <soma/status.h>

enum { NUMBER_DIGITS = 18 }; /* 17 digits and the zero byte */

/* Reads a decimal number, "inf", "infinity" or "nan" (any case, with sign) at the start of s, correctly rounded.
 * No leading space, no hexadecimal. False and *end = s if there is none. end may be NULL. */
bool number_parse(const char *s, const char **end, double *out);

/* As soma_parse_bytes, without an error (sizes.c). */
bool size_parse(const char *text, size_t *bytes);

/* snprintf and vsnprintf that always write a decimal point. */
int number_format(char *buffer, size_t size, const char *format, ...) SOMA_PRINTF(3, 4);
int number_vformat(char *buffer, size_t size, const char *format, va_list arguments) SOMA_PRINTF(3, 0);

/* The fewest digits that read back as the same value (as the same float if single), no trailing zeros, at least one:
 * |value| = 0.d1d2d3... * 10^exponent. Returns how many digits. value is finite; zero gives "0", exponent 1. */
int number_digits(double value, bool single, char digits[NUMBER_DIGITS], int *exponent);

/* Those digits as Python's repr and NumPy's str write them: 1.0, 0.1, 1e-05, 1e+16, inf, nan. As snprintf, returns the
 * length; 32 bytes are always enough. */
int number_shortest(char *buffer, size_t size, double value);

#endif
