/* Printing tensors as NumPy prints arrays: brackets, columns, shortest digits, ellipses.
 * Rests on base's numbers and text, and on soma_data for the elements. One pass over what will be shown finds the
 * format (digits before and after the point, scientific or not), a second one writes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/context_internal.h"
#include "cpu/reference/element.h"
#include "cpu/reference/half.h"
#include "tensor/node.h"

enum { PRECISION = 8, THRESHOLD = 1000, EDGE = 3, WIDTH = 75 };

/* ---- one float as digits ---- */

/* |value| = 0.d1d2d3... * 10^exponent */
typedef struct decimal {
    char digits[NUMBER_DIGITS];
    int n, exponent;
} decimal;

/* The fewest digits that read back as the same 16-bit float: magnitude rounded to so many, or the next decimal above,
 * since the gap above a power of two is twice the one below. */
static void half_digits(soma_dtype dtype, double magnitude, decimal *d) {
    uint16_t wanted = 0, found = 0;
    element_set(dtype, &wanted, 0, magnitude);
    for (int n = 1; n <= 9; n++) {
        char buffer[32];
        double near = 0;
        number_format(buffer, sizeof buffer, "%.*e", n - 1, magnitude);
        (void)number_parse(buffer, NULL, &near);
        double last = pow(10, atoi(strchr(buffer, 'e') + 1) - (n - 1));
        for (int above = 0; above <= 1; above++) {
            number_format(buffer, sizeof buffer, "%.*e", n - 1, near + above * last);
            double candidate = 0;
            (void)number_parse(buffer, NULL, &candidate);
            element_set(dtype, &found, 0, candidate);
            if (found != wanted && n < 9) continue;
            d->n = number_digits(candidate, false, d->digits, &d->exponent);
            return;
        }
    }
}

static decimal shortest(soma_dtype dtype, double value) {
    decimal d = {.n = 0};
    if (value != 0 && (dtype == SOMA_F16 || dtype == SOMA_BF16)) {
        half_digits(dtype, fabs(value), &d);
    } else {
        d.n = number_digits(value, dtype != SOMA_F64, d.digits, &d.exponent);
    }
    return d;
}

/* A float in its three parts: "-12" "5" or, in scientific notation, "-1" "25" and the exponent. */
typedef struct parts {
    char whole[24], fraction[24];
    int exponent;
} parts;

/* Digits after the point are cut to precision, rounding the exact value; -1: all that are needed. */
static parts split_scientific(soma_dtype dtype, double value, int precision) {
    parts p = {.exponent = 0};
    decimal d = shortest(dtype, value);
    const char *sign = signbit(value) ? "-" : "";
    if (precision >= 0 && d.n - 1 > precision) {
        char buffer[40];
        number_format(buffer, sizeof buffer, "%.*e", precision, fabs(value));
        double rounded = 0;
        (void)number_parse(buffer, NULL, &rounded);
        d.n = number_digits(rounded, false, d.digits, &d.exponent);
    }
    number_format(p.whole, sizeof p.whole, "%s%c", sign, d.digits[0]);
    number_format(p.fraction, sizeof p.fraction, "%s", d.digits + 1);
    p.exponent = d.exponent - 1;
    return p;
}

/* With exactly so many digits after the point, at least one: NumPy shows exact digits, not zeros, where another element
 * needs more than this one. */
static parts exact_scientific(double value, int digits) {
    parts p = {.exponent = 0};
    char buffer[40];
    number_format(buffer, sizeof buffer, "%.*e", digits, value);
    char *point = strchr(buffer, '.'), *e = strchr(buffer, 'e');
    p.exponent = atoi(e + 1);
    *point = *e = '\0';
    number_format(p.whole, sizeof p.whole, "%.20s", buffer);
    number_format(p.fraction, sizeof p.fraction, "%.20s", point + 1);
    return p;
}

static parts split_positional(soma_dtype dtype, double value, int precision) {
    parts p = {.exponent = 0};
    decimal d = shortest(dtype, value);
    const char *sign = signbit(value) ? "-" : "";
    if (precision >= 0 && d.n - d.exponent > precision) {
        char buffer[40];
        number_format(buffer, sizeof buffer, "%.*f", precision, fabs(value));
        char *point = strchr(buffer, '.');
        size_t length = strlen(buffer);
        while (buffer[length - 1] == '0')
            buffer[--length] = '\0';
        number_format(p.fraction, sizeof p.fraction, "%s", point + 1);
        *point = '\0';
        number_format(p.whole, sizeof p.whole, "%s%.20s", sign, buffer);
    } else if (d.exponent <= 0) {
        number_format(p.whole, sizeof p.whole, "%s0", sign);
        number_format(p.fraction, sizeof p.fraction, "%.*s%s", -d.exponent, "00000000", d.digits);
    } else if (precision >= 0 && d.n <= d.exponent) { /* an array's integers are exact, a scalar's padded with zeros */
        number_format(p.whole, sizeof p.whole, "%s%.0f", sign, fabs(value));
    } else if (d.n <= d.exponent) {
        number_format(p.whole, sizeof p.whole, "%s%s%.*s", sign, d.digits, d.exponent - d.n, "0000000000000000");
    } else {
        number_format(p.whole, sizeof p.whole, "%s%.*s", sign, d.exponent, d.digits);
        number_format(p.fraction, sizeof p.fraction, "%s", d.digits + d.exponent);
    }
    return p;
}

/* ---- the format that all elements share ---- */

typedef struct printer {
    const soma_tensor *x;
    const void *data;
    text *out;
    bool summary;
    int64_t strides[SOMA_MAX_RANK];
    /* what the first pass finds */
    double most, least; /* of the finite magnitudes that are not 0 */
    bool any_finite, any_other, any_minus_infinity;
    bool scientific;
    int left, right;                  /* characters before and after the point */
    int fraction, exponent, integers; /* scientific: digits of fraction and exponent; width of integers */
} printer;

typedef void visit_fn(printer *p, int64_t at);

/* Calls visit for every element that will be shown. */
static void each_shown(printer *p, visit_fn *visit, int axis, int64_t at) {
    if (axis == p->x->rank) {
        visit(p, at);
        return;
    }
    int64_t extent = p->x->shape[axis];
    for (int64_t i = 0; i < extent; i++) {
        if (p->summary && extent > 2 * EDGE && i == EDGE) i = extent - EDGE;
        each_shown(p, visit, axis + 1, at + i * p->strides[axis]);
    }
}

static void visit_range(printer *p, int64_t at) {
    double value = element_get(p->x->dtype, p->data, at), magnitude = fabs(value);
    if (!isfinite(value)) {
        p->any_other = true;
        p->any_minus_infinity = p->any_minus_infinity || (isinf(value) && value < 0);
        return;
    }
    p->any_finite = true;
    if (magnitude == 0) return;
    if (p->most == 0 || magnitude > p->most) p->most = magnitude;
    if (p->least == 0 || magnitude < p->least) p->least = magnitude;
}

static void raise(int *most, size_t length) {
    if ((int)length > *most) *most = (int)length;
}

static void visit_widths(printer *p, int64_t at) {
    double value = element_get(p->x->dtype, p->data, at);
    if (!isfinite(value)) return;
    if (p->scientific) {
        parts part = split_scientific(p->x->dtype, value, PRECISION);
        raise(&p->left, strlen(part.whole));
        raise(&p->fraction, strlen(part.fraction));
        raise(&p->exponent, part.exponent <= -100 || part.exponent >= 100 ? 3 : 2);
    } else {
        parts part = split_positional(p->x->dtype, value, PRECISION);
        raise(&p->left, strlen(part.whole));
        raise(&p->right, strlen(part.fraction));
    }
}

static int integer_text(const printer *p, int64_t at, char buffer[24]) {
    return number_format(buffer, 24, "%lld", (long long)element_get_int(p->x->dtype, p->data, at));
}

static void visit_integer(printer *p, int64_t at) {
    char buffer[24];
    raise(&p->integers, (size_t)integer_text(p, at, buffer));
}

/* The ratio is taken in the elements' own precision, as NumPy does. */
static bool wide_range(const printer *p) {
    if (p->most == 0) return false;
    double ratio = p->x->dtype == SOMA_F64 ? p->most / p->least : (double)((float)p->most / (float)p->least);
    return p->most >= 1e8 || p->least < 1e-4 || ratio > 1000;
}

static void find_format(printer *p) {
    if (!dtype_is_float(p->x->dtype)) {
        if (p->x->dtype != SOMA_BOOL) each_shown(p, visit_integer, 0, 0);
        return;
    }
    each_shown(p, visit_range, 0, 0);
    p->scientific = wide_range(p);
    if (p->any_finite) each_shown(p, visit_widths, 0, 0);
    if (p->scientific) p->right = p->exponent + 2 + p->fraction;
    if (p->any_other) {
        int infinity = p->any_minus_infinity ? 4 : 3;
        if (p->left < infinity - p->right - 1) p->left = infinity - p->right - 1;
    }
    if (p->any_other && p->left < 3 - p->right - 1) p->left = 3 - p->right - 1;
}

/* ---- writing ---- */

static const char *special(double value) {
    return isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
}

/* The word for one element into buffer; its length. */
static int word(const printer *p, int64_t at, char *buffer, size_t size) {
    soma_dtype dtype = p->x->dtype;
    if (dtype == SOMA_BOOL)
        return number_format(buffer, size, "%s", element_get_int(dtype, p->data, at) ? " True" : "False");
    if (!dtype_is_float(dtype)) {
        char digits[24];
        integer_text(p, at, digits);
        return number_format(buffer, size, "%*s", p->integers, digits);
    }
    double value = element_get(dtype, p->data, at);
    if (!isfinite(value)) return number_format(buffer, size, "%*s", p->left + p->right + 1, special(value));
    if (p->scientific) {
        parts part = split_scientific(dtype, value, PRECISION);
        if ((int)strlen(part.fraction) < p->fraction) part = exact_scientific(value, p->fraction);
        return number_format(buffer, size, "%*s.%se%+0*d", p->left, part.whole, part.fraction, p->exponent + 1,
                             part.exponent);
    }
    parts part = split_positional(dtype, value, PRECISION);
    return number_format(buffer, size, "%*s.%-*s", p->left, part.whole, p->right, part.fraction);
}

static void indent(printer *p, int n) {
    text_printf(p->out, "%*s", n, "");
}

/* Appends a word to the line, on a new one if it would be too long. line: characters on it so far. */
static void extend(printer *p, const char *what, int length, int limit, int hanging, int *line) {
    if (*line + length > limit && *line > hanging) {
        size_t end = p->out->length;
        while (end > 0 && p->out->data[end - 1] == ' ')
            end--;
        text_truncate(p->out, end);
        text_append(p->out, "\n");
        indent(p, hanging);
        *line = hanging;
    }
    text_append(p->out, what);
    *line += length;
}

static void write_row(printer *p, int axis, int64_t at, int hanging) {
    int64_t extent = p->x->shape[axis];
    int line = hanging, limit = WIDTH - axis - 1;
    for (int64_t i = 0; i < extent; i++) {
        if (i > 0) {
            text_append(p->out, " ");
            line++;
        }
        if (p->summary && extent > 2 * EDGE && i == EDGE) {
            extend(p, "...", 3, limit, hanging, &line);
            text_append(p->out, " ");
            line++;
            i = extent - EDGE;
        }
        char buffer[64];
        int length = word(p, at + i * p->strides[axis], buffer, sizeof buffer);
        extend(p, buffer, length, limit, hanging, &line);
        if (p->out->failed) return;
    }
}

static void write_axis(printer *p, int axis, int64_t at, int hanging) {
    int64_t extent = p->x->shape[axis];
    text_append(p->out, "[");
    if (axis == p->x->rank - 1) {
        write_row(p, axis, at, hanging);
    } else {
        for (int64_t i = 0; i < extent && !p->out->failed; i++) {
            if (i > 0) {
                for (int j = axis; j < p->x->rank - 1; j++)
                    text_append(p->out, "\n");
                indent(p, hanging);
            }
            if (p->summary && extent > 2 * EDGE && i == EDGE) {
                text_append(p->out, "...");
                i = extent - EDGE - 1;
                continue;
            }
            write_axis(p, axis + 1, at + i * p->strides[axis], hanging + 1);
        }
    }
    text_append(p->out, "]");
}

/* A rank-0 tensor, as NumPy's scalars: all digits, 1.0 rather than 1. */
static void write_scalar(printer *p) {
    soma_dtype dtype = p->x->dtype;
    double value = element_get(dtype, p->data, 0), magnitude = fabs(value);
    if (dtype == SOMA_BOOL) {
        text_append(p->out, value != 0 ? "True" : "False");
    } else if (!dtype_is_float(dtype)) {
        text_printf(p->out, "%lld", (long long)element_get_int(dtype, p->data, 0));
    } else if (!isfinite(value)) {
        text_append(p->out, special(value));
    } else if (magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e16)) {
        parts part = split_scientific(dtype, value, -1);
        text_printf(p->out, "%s%s%se%+03d", part.whole, part.fraction[0] ? "." : "", part.fraction, part.exponent);
    } else {
        parts part = split_positional(dtype, value, -1);
        text_printf(p->out, "%s.%s", part.whole, part.fraction[0] ? part.fraction : "0");
    }
}

/* ---- the public two ---- */

static bool write_tensor(soma_tensor *tensor, text *out) {
    const void *data = soma_data(tensor);
    int64_t size = soma_size(tensor);
    if (!data && size > 0) return false;
    printer p = {.x = tensor, .data = data, .out = out, .summary = size > THRESHOLD};
    int64_t stride = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        p.strides[i] = stride;
        stride *= tensor->shape[i];
    }
    if (tensor->rank == 0) {
        write_scalar(&p);
    } else if (size == 0) {
        text_append(out, "[]");
    } else {
        find_format(&p);
        write_axis(&p, 0, 0, 1);
    }
    return !out->failed;
}

char *soma_to_string(soma_tensor *tensor) {
    if (!tensor) return NULL;
    text out;
    text_init(&out, tensor->graph->context);
    if (!write_tensor(tensor, &out)) {
        text_deinit(&out);
        return NULL;
    }
    return text_take(&out);
}

void soma_string_free(char *string) {
    text_free(string);
}

soma_status soma_print(soma_tensor *tensor) {
    char *string = soma_to_string(tensor);
    if (!string) {
        soma_status first = error_get(tensor ? tensor->graph->context : NULL);
        return first != SOMA_OK ? first : SOMA_INVALID;
    }
    bool written = fputs(string, stdout) >= 0 && fputc('\n', stdout) != EOF;
    soma_string_free(string);
    return written ? SOMA_OK : error_set(tensor->graph->context, SOMA_IO, "[print] stdout can't be written to");
}
