/* The worst mistakes: the samples of which a network was most sure and wrong, with what they are and were taken for.
 * Rests on plots.h.
 * Captions say it in words and in two colours, as in the confusion matrix. */
#include <math.h>

#include "plots.h"

enum { MOST_LETTERS = 18 }; /* of a name */

static double name_width(const char *name) {
    return fmin(text_letters(name), MOST_LETTERS + 1) * 9.5 * 0.68;
}

int plot_mistakes(cli *c, const char *path, const char *title, const soma_dataset *data, int64_t n, bool whole_rows,
                  const mistake *mistakes, const char *const *names) {
    int64_t rows, columns;
    if (!sample_is_picture(data, &rows, &columns))
        return cli_fail(c, EXIT_INPUT, "samples of shape %s are no pictures",
                        text_shape(c, soma_dataset_x(data).rank - 1, soma_dataset_x(data).shape + 1));
    double widest = 0;
    for (int64_t i = 0; i < n; i++)
        widest =
            fmax(widest, fmax(name_width(names[mistakes[i].is]) + 14, name_width(names[mistakes[i].taken_for]) + 62));
    const double margin = 28, side = 64, pitch = fmax(side + 20, widest + 10);
    const int64_t per_row = pitch > 110 ? 6 : pitch > 92 ? 8 : 10;
    if (whole_rows && n > per_row) n = n < 4 * per_row ? n - n % per_row : 4 * per_row;
    const int64_t lines = (n + per_row - 1) / per_row;
    const double height = side * (double)rows / (double)columns, line = height + 48;
    const char *subtitle = n ? "surest first: what it is, what it was taken for, and how sure the network was"
                             : "there are none: every sample was taken for what it is";
    const double width =
        fmax((double)(per_row - 1) * pitch + fmax(side, widest), plot_title_width(title, subtitle)) + 2 * margin;
    canvas *page = canvas_create(c, path, width, 2 * margin + 46 + (double)(lines ? lines : 1) * line - 14);
    if (!page) return EXIT_FAILED;
    const double top = margin + plot_title(page, margin, margin, title, subtitle);
    for (int64_t i = 0; i < n; i++) {
        const mistake *m = &mistakes[i];
        const double x = margin + (double)(i % per_row) * pitch, y = top + (double)(i / per_row) * line;
        canvas_picture(page, x, y, side, height, rows, columns, sample_picture(c, data, m->sample, rows, columns));
        canvas_frame(page, x, y, side, height, 0.5, COLOUR_GRID);
        canvas_text(page, x, y + height + 13, ANCHOR_LEFT, 9.5, false, COLOUR_SOFT, "is");
        canvas_text(page, x + 12, y + height + 13, ANCHOR_LEFT, 9.5, true, COLOUR_BLUE,
                    text_cut(c, names[m->is], MOST_LETTERS));
        canvas_text(page, x, y + height + 26, ANCHOR_LEFT, 9.5, false, COLOUR_SOFT, "not");
        const char *wrong = text_cut(c, names[m->taken_for], MOST_LETTERS);
        canvas_text(page, x + 19, y + height + 26, ANCHOR_LEFT, 9.5, true, COLOUR_ORANGE, wrong);
        const double after = x + 19 + canvas_text_width(page, 9.5, true, wrong) + 5;
        canvas_text(page, after, y + height + 26, ANCHOR_LEFT, 9.5, false, COLOUR_SOFT,
                    cli_text(c, m->probability >= 0.9995 ? "%.0f %%" : "%.1f %%", 100 * m->probability));
    }
    return canvas_finish(page);
}
