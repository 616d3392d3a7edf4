/* Messages, colours, memory and the context of the command.
 * Rests on cli.h and the C library.
 * Numbers are written in the C locale: only LC_CTYPE is taken from the user, to know what the terminal can show. */
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli.h"

/* ---- memory ---- */

struct pool_block {
    pool_block *next;
    max_align_t memory[];
};

void *cli_alloc(cli *c, size_t n, size_t size) {
    pool_block *block = NULL;
    if (!n || size <= (SIZE_MAX - sizeof *block) / n) block = calloc(1, sizeof *block + n * size);
    if (!block) {
        exit(cli_fail(c, EXIT_FAILED, "out of memory"));
    }
    block->next = c->pool;
    c->pool = block;
    return block->memory;
}

char *cli_text(cli *c, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int n = vsnprintf(NULL, 0, format, arguments);
    char *text = cli_alloc(c, (size_t)(n < 0 ? 0 : n) + 1, 1);
    (void)vsnprintf(text, (size_t)(n < 0 ? 0 : n) + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

/* ---- the terminal ---- */

static bool wants_colour(FILE *stream) {
    const char *never = getenv("NO_COLOR"), *always = getenv("FORCE_COLOR"), *term = getenv("TERM");
    if (never && *never) return false;
    if (always && *always) return true;
    return isatty(fileno(stream)) && !(term && strcmp(term, "dumb") == 0);
}

void cli_init(cli *c) {
    *c = (cli){.colour = true};
    (void)setlocale(LC_CTYPE, "");
    c->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    c->error_colour = wants_colour(stderr);
}

void cli_deinit(cli *c) {
    soma_context_destroy(c->context);
    for (pool_block *block = c->pool; block;) {
        pool_block *next = block->next;
        free(block);
        block = next;
    }
}

/* ---- messages ---- */

static void say(const cli *c, const char *colour, const char *format, va_list arguments) {
    const bool coloured = c->error_colour && c->colour;
    (void)fflush(stdout);
    fprintf(stderr, "%ssoma%s%s:%s ", coloured ? colour : "", c->verb ? " " : "", c->verb ? c->verb : "",
            coloured ? "\033[0m" : "");
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

int cli_fail(cli *c, int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(c, "\033[1;31m", format, arguments);
    va_end(arguments);
    return code;
}

int cli_fail_usage(cli *c, const char *suggestion, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(c, "\033[1;31m", format, arguments);
    va_end(arguments);
    if (suggestion) cli_hint("Did you mean '%s'?", suggestion);
    cli_hint("Try 'soma%s%s --help'.", c->verb ? " " : "", c->verb ? c->verb : "");
    return EXIT_USAGE;
}

void cli_hint(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

void cli_note(const cli *c, const char *format, ...) {
    if (c->quiet) return;
    va_list arguments;
    va_start(arguments, format);
    say(c, "\033[1m", format, arguments);
    va_end(arguments);
}

int cli_fail_status(cli *c, int code) {
    const soma_status status = soma_last_status(c->context);
    if (status == SOMA_DIVERGED) code = EXIT_DIVERGED;
    if (status == SOMA_INTERRUPTED) code = EXIT_INTERRUPT;
    if (status == SOMA_NO_MEMORY) code = EXIT_FAILED;
    const char *text = soma_last_error(c->context);
    return cli_fail(c, code, "%s", *text ? text : soma_status_text(status));
}

/* ---- the library ---- */

soma_context *cli_context(cli *c) {
    if (c->context) return c->context;
    c->context = soma_context_create(&(soma_context_options){.threads = (int)c->threads, .memory = c->memory});
    if (c->context) (void)soma_isa(c->context); /* which may be one that this machine lacks */
    const soma_status status = soma_last_status(c->context);
    if (c->context && status == SOMA_OK) return c->context;
    const char *text = soma_last_error(c->context);
    c->no_context = status == SOMA_INVALID ? EXIT_USAGE : EXIT_FAILED;
    (void)cli_fail(c, c->no_context, "the library cannot start: %s", *text ? text : "out of memory");
    return NULL;
}

/* ---- words ---- */

char *text_thousands(cli *c, int64_t n) {
    const char *digits = cli_text(c, "%lld", (long long)(n < 0 ? -n : n));
    const size_t length = strlen(digits);
    char *out = cli_alloc(c, length + length / 3 + 2, 1), *to = out;
    if (n < 0) *to++ = '-';
    for (size_t i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0) *to++ = ',';
        *to++ = digits[i];
    }
    return out;
}

char *text_bytes(cli *c, double bytes) {
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    int unit = 0;
    while (bytes >= 1024 && unit < 4) {
        bytes /= 1024;
        unit++;
    }
    return unit ? cli_text(c, "%.2f %s", bytes, units[unit]) : cli_text(c, "%.0f B", bytes);
}

int text_letters(const char *text) {
    int n = 0;
    for (; *text; text++)
        n += (*text & 0xc0) != 0x80;
    return n;
}

const char *text_cut(cli *c, const char *text, int most) {
    if (text_letters(text) <= most) return text;
    const char *end = text;
    for (int n = 0; n < most; end++)
        n += (end[1] & 0xc0) != 0x80;
    return cli_text(c, "%.*s…", (int)(end - text), text);
}

char *text_measure(cli *c, double value) {
    return cli_text(c, value != 0 && fabs(value) <= 1e-3 ? "%.4e" : "%.4f", value);
}

char *text_shape(cli *c, int rank, const int64_t *shape) {
    char *text = cli_text(c, "(");
    for (int i = 0; i < rank; i++)
        text = cli_text(c, "%s%s%lld", text, i ? ", " : "", (long long)shape[i]);
    return cli_text(c, "%s)", text);
}

char *text_stem(cli *c, const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    return cli_text(c, "%.*s", (int)(dot && dot != name ? dot - name : (ptrdiff_t)strlen(name)), name);
}

char *text_printable(cli *c, const char *text) {
    char *copy = cli_text(c, "%s", text);
    for (char *p = copy; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
    }
    return copy;
}

bool text_ends_with(const char *path, const char *end) {
    const size_t n = strlen(path), m = strlen(end);
    return n >= m && strcasecmp(path + n - m, end) == 0;
}
