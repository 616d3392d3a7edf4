/* The page drawn by cairo.
 * Rests on canvas.h and file_out.h: the picture is made in memory, so a failure leaves the old file alone.
 * DejaVu Sans comes with cairo's own packages on Debian; elsewhere the system's sans serif takes its place. */
#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <cairo.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "canvas.h"
#include "file_out.h"

struct canvas {
    cli *c;
    const char *path;
    cairo_surface_t *surface;
    cairo_t *pen;
    bool png;
    unsigned char *bytes;
    size_t n, capacity;
};

static const char typeface[] = "DejaVu Sans";
static const double pixels_a_point = 2;

static cairo_status_t keep(void *closure, const unsigned char *data, unsigned int n) {
    canvas *page = closure;
    if (page->n + n > page->capacity) {
        const size_t capacity = 2 * (page->n + n) + 4096;
        unsigned char *larger = realloc(page->bytes, capacity);
        if (!larger) return CAIRO_STATUS_NO_MEMORY;
        page->bytes = larger;
        page->capacity = capacity;
    }
    memcpy(page->bytes + page->n, data, n);
    page->n += n;
    return CAIRO_STATUS_SUCCESS;
}

int canvas_check(cli *c, const char *path) {
    if (text_ends_with(path, ".png") || text_ends_with(path, ".svg") || text_ends_with(path, ".pdf")) return EXIT_DONE;
    return cli_fail(c, EXIT_USAGE, "%s: a picture's name must end with .png, .svg or .pdf", path);
}

canvas *canvas_create(cli *c, const char *path, double width, double height) {
    width = ceil(width);
    height = ceil(height);
    if (canvas_check(c, path) != EXIT_DONE || file_out_prepare(c, path) != EXIT_DONE) return NULL;
    canvas *page = cli_alloc(c, 1, sizeof *page);
    *page = (canvas){.c = c, .path = path, .png = text_ends_with(path, ".png")};
    if (page->png) {
        page->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)(width * pixels_a_point),
                                                   (int)(height * pixels_a_point));
    } else if (text_ends_with(path, ".svg")) {
        page->surface = cairo_svg_surface_create_for_stream(keep, page, width, height);
    } else {
        page->surface = cairo_pdf_surface_create_for_stream(keep, page, width, height);
        cairo_pdf_surface_set_metadata(page->surface, CAIRO_PDF_METADATA_CREATE_DATE, "");
    }
    page->pen = cairo_create(page->surface);
    if (page->png) cairo_scale(page->pen, pixels_a_point, pixels_a_point);
    canvas_rectangle(page, 0, 0, width, height, COLOUR_PAPER);
    return page;
}

int canvas_finish(canvas *page) {
    cairo_status_t status = cairo_status(page->pen);
    cairo_destroy(page->pen);
    if (page->png && status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_write_to_png_stream(page->surface, keep, page);
    cairo_surface_finish(page->surface);
    if (status == CAIRO_STATUS_SUCCESS) status = cairo_surface_status(page->surface);
    cairo_surface_destroy(page->surface);
    const int code = status == CAIRO_STATUS_SUCCESS ? file_out_write(page->c, page->path, page->bytes, page->n)
                                                    : cli_fail(page->c, EXIT_FAILED, "%s: cannot be drawn: %s",
                                                               page->path, cairo_status_to_string(status));
    free(page->bytes);
    return code;
}

static void use(canvas *page, colour ink) {
    cairo_set_source_rgb(page->pen, (double)(ink >> 16 & 0xff) / 255, (double)(ink >> 8 & 0xff) / 255,
                         (double)(ink & 0xff) / 255);
}

void canvas_rectangle(canvas *page, double x, double y, double width, double height, colour fill) {
    use(page, fill);
    cairo_rectangle(page->pen, x, y, width, height);
    cairo_fill(page->pen);
}

void canvas_frame(canvas *page, double x, double y, double width, double height, double line, colour ink) {
    use(page, ink);
    cairo_set_line_width(page->pen, line);
    cairo_rectangle(page->pen, x, y, width, height);
    cairo_stroke(page->pen);
}

void canvas_line(canvas *page, double x0, double y0, double x1, double y1, double line, colour ink) {
    use(page, ink);
    cairo_set_line_width(page->pen, line);
    cairo_move_to(page->pen, x0, y0);
    cairo_line_to(page->pen, x1, y1);
    cairo_stroke(page->pen);
}

void canvas_dashes(canvas *page, double x0, double y0, double x1, double y1, double line, colour ink) {
    cairo_set_dash(page->pen, (const double[]){4, 3}, 2, 0);
    canvas_line(page, x0, y0, x1, y1, line, ink);
    cairo_set_dash(page->pen, NULL, 0, 0);
}

void canvas_curve(canvas *page, int n, const double *x, const double *y, double line, colour ink) {
    use(page, ink);
    cairo_set_line_width(page->pen, line);
    cairo_set_line_join(page->pen, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_cap(page->pen, CAIRO_LINE_CAP_ROUND);
    bool gap = true;
    for (int i = 0; i < n; i++) {
        if (isnan(y[i])) {
            gap = true;
        } else if (gap) {
            cairo_move_to(page->pen, x[i], y[i]);
            gap = false;
        } else {
            cairo_line_to(page->pen, x[i], y[i]);
        }
    }
    cairo_stroke(page->pen);
    cairo_set_line_cap(page->pen, CAIRO_LINE_CAP_BUTT);
}

void canvas_disc(canvas *page, double x, double y, double radius, colour fill) {
    use(page, fill);
    cairo_arc(page->pen, x, y, radius, 0, 8 * atan(1));
    cairo_fill(page->pen);
}

static void set_font(canvas *page, double size, bool bold) {
    cairo_select_font_face(page->pen, typeface, CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(page->pen, size);
}

double canvas_text_width(canvas *page, double size, bool bold, const char *text) {
    cairo_text_extents_t extents;
    set_font(page, size, bold);
    cairo_text_extents(page->pen, text, &extents);
    return extents.x_advance;
}

static double shift(canvas *page, anchor at, double size, bool bold, const char *text) {
    const double width = canvas_text_width(page, size, bold, text);
    return at == ANCHOR_LEFT ? 0 : at == ANCHOR_MIDDLE ? -width / 2 : -width;
}

void canvas_text(canvas *page, double x, double y, anchor at, double size, bool bold, colour ink, const char *text) {
    use(page, ink);
    cairo_move_to(page->pen, x + shift(page, at, size, bold, text), y);
    cairo_show_text(page->pen, text);
}

void canvas_text_up(canvas *page, double x, double y, anchor at, double size, bool bold, colour ink, const char *text) {
    cairo_save(page->pen);
    cairo_translate(page->pen, x, y);
    cairo_rotate(page->pen, -2 * atan(1));
    canvas_text(page, 0, 0, at, size, bold, ink, text);
    cairo_restore(page->pen);
}

void canvas_picture(canvas *page, double x, double y, double width, double height, int64_t rows, int64_t columns,
                    const uint8_t *ink) {
    if (rows < 1 || columns < 1 || rows > 4096 || columns > 4096) return;
    cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)columns, (int)rows);
    cairo_surface_flush(image);
    unsigned char *pixels = cairo_image_surface_get_data(image);
    const int stride = cairo_image_surface_get_stride(image);
    for (int64_t i = 0; pixels && i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            const uint32_t value = 255u - ink[i * columns + j], rgb = value << 16 | value << 8 | value;
            memcpy(pixels + i * stride + 4 * j, &rgb, 4);
        }
    }
    cairo_surface_mark_dirty(image);
    cairo_save(page->pen);
    cairo_translate(page->pen, x, y);
    cairo_scale(page->pen, width / (double)columns, height / (double)rows);
    cairo_set_source_surface(page->pen, image, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(page->pen), CAIRO_FILTER_NEAREST);
    cairo_paint(page->pen);
    cairo_restore(page->pen);
    cairo_surface_destroy(image);
}
