/* Samples in a grid, ten a row, each with its label below.
 * Rests on plots.h and sources.h.
 * Ink on white paper, as one writes. */
#include <math.h>

#include "plots.h"
#include "sources.h"

enum { PER_ROW = 10 };

static double widest_name(cli *c, const soma_dataset *data, int64_t from, int64_t count) {
    double letters = 0;
    for (int64_t i = from; i < from + count; i++) {
        const char *name = class_name(c, NULL, data, source_label(data, i));
        double n = 0;
        for (; *name; name++)
            n += (*name & 0xc0) != 0x80;
        letters = fmax(letters, n);
    }
    return letters * 9 * 0.6;
}

int plot_digits(cli *c, const char *path, const char *title, const soma_dataset *data, int64_t from, int64_t count) {
    int64_t rows, columns;
    if (!sample_is_picture(data, &rows, &columns))
        return cli_fail(c, EXIT_INPUT, "samples of shape %s are no pictures",
                        text_shape(c, soma_dataset_x(data).rank - 1, soma_dataset_x(data).shape + 1));
    const bool labels = soma_dataset_y(data).data != NULL;
    const double margin = 28, side = 46, caption = labels ? 16 : 6;
    const double pitch = fmax(side + 8, labels ? widest_name(c, data, from, count) + 6 : 0);
    const double lines = (double)((count + PER_ROW - 1) / PER_ROW), height = side * (double)rows / (double)columns;
    const char *subtitle = cli_text(c, "samples %s to %s of %s", text_thousands(c, from + 1),
                                    text_thousands(c, from + count), text_thousands(c, soma_dataset_samples(data)));
    const double width = fmax((PER_ROW - 1) * pitch + side, plot_title_width(title, subtitle)) + 2 * margin;
    canvas *page = canvas_create(c, path, width, 2 * margin + 46 + lines * (height + caption + 6) - 6);
    if (!page) return EXIT_FAILED;
    double top = margin + plot_title(page, margin, margin, title, subtitle);
    for (int64_t k = 0; k < count; k++) {
        const double x = margin + (double)(k % PER_ROW) * pitch;
        const double y = top + (double)(k / PER_ROW) * (height + caption + 6);
        canvas_picture(page, x, y, side, height, rows, columns, sample_picture(c, data, from + k, rows, columns));
        canvas_frame(page, x, y, side, height, 0.5, COLOUR_GRID);
        if (!labels) continue;
        canvas_text(page, x + side / 2, y + height + 11, ANCHOR_MIDDLE, 9, false, COLOUR_SOFT,
                    class_name(c, NULL, data, source_label(data, from + k)));
    }
    return canvas_finish(page);
}
