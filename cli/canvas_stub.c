/* Stands in for canvas_cairo.c where cairo is absent: says what to install.
 * Rests on canvas.h alone.
 * No canvas is ever made, so what draws on one does nothing. */
#include "canvas.h"

int canvas_check(cli *c, const char *path) {
    return cli_fail(c, EXIT_FAILED, "%s: this build draws no pictures: install libcairo2-dev and build again", path);
}

canvas *canvas_create(cli *c, const char *path, double width, double height) {
    if (width > 0 && height > 0) (void)canvas_check(c, path);
    return NULL;
}

int canvas_finish(canvas *page) {
    return page ? EXIT_DONE : EXIT_FAILED;
}

/* Every argument is used, and nothing happens. */
#define NOTHING(...) ((void)sizeof((const double[]){__VA_ARGS__}))

void canvas_rectangle(canvas *page, double x, double y, double width, double height, colour fill) {
    (void)page;
    NOTHING(x, y, width, height, fill);
}

void canvas_frame(canvas *page, double x, double y, double width, double height, double line, colour ink) {
    (void)page;
    NOTHING(x, y, width, height, line, ink);
}

void canvas_line(canvas *page, double x0, double y0, double x1, double y1, double line, colour ink) {
    (void)page;
    NOTHING(x0, y0, x1, y1, line, ink);
}

void canvas_dashes(canvas *page, double x0, double y0, double x1, double y1, double line, colour ink) {
    (void)page;
    NOTHING(x0, y0, x1, y1, line, ink);
}

void canvas_curve(canvas *page, int n, const double *x, const double *y, double line, colour ink) {
    (void)page;
    (void)x;
    (void)y;
    NOTHING(n, line, ink);
}

void canvas_disc(canvas *page, double x, double y, double radius, colour fill) {
    (void)page;
    NOTHING(x, y, radius, fill);
}

void canvas_text(canvas *page, double x, double y, anchor at, double size, bool bold, colour ink, const char *text) {
    (void)page;
    (void)text;
    NOTHING(x, y, at, size, bold, ink);
}

void canvas_text_up(canvas *page, double x, double y, anchor at, double size, bool bold, colour ink, const char *text) {
    (void)page;
    (void)text;
    NOTHING(x, y, at, size, bold, ink);
}

double canvas_text_width(canvas *page, double size, bool bold, const char *text) {
    (void)page;
    (void)text;
    return bold ? size : size / 2;
}

void canvas_picture(canvas *page, double x, double y, double width, double height, int64_t rows, int64_t columns,
                    const uint8_t *ink) {
    (void)page;
    (void)ink;
    NOTHING(x, y, width, height, (double)rows, (double)columns);
}
