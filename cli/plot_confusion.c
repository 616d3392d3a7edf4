/* The confusion matrix: what each class was taken for, in numbers and shades.
 * Rests on plots.h.
 * Hits are shaded blue by their share of the class, mistakes orange against the most frequent mistake: in one scale
 * for both a good network's mistakes would all look white. */
#include <math.h>

#include "plots.h"

typedef struct matrix {
    cli *c;
    canvas *page;
    int64_t n;
    const int64_t *counts;
    const char *const *names;
    double x, y, cell;
    bool upright; /* the names of the columns do not fit side by side */
    bool narrow;  /* nor do their shares */
} matrix;

static int64_t at(const matrix *m, int64_t i, int64_t k) {
    return m->counts[i * m->n + k];
}

static int64_t total(const matrix *m, int64_t index, bool row) {
    int64_t sum = 0;
    for (int64_t k = 0; k < m->n; k++)
        sum += row ? at(m, index, k) : at(m, k, index);
    return sum;
}

static double share_of(int64_t part, int64_t whole) {
    return whole ? (double)part / (double)whole : NAN;
}

static void draw_cell(const matrix *m, int64_t i, int64_t k, int64_t most) {
    const int64_t count = at(m, i, k);
    const double x = m->x + (double)k * m->cell, y = m->y + (double)i * m->cell;
    colour fill = 0xf6f7f8;
    if (i == k) {
        const double share = share_of(count, total(m, i, true));
        if (count) fill = colour_mix(0xd9ebf5, COLOUR_BLUE, pow(share, 3));
    } else if (count) {
        fill = colour_mix(0xfff4ec, COLOUR_ORANGE, 0.1 + 0.8 * pow(share_of(count, most), 0.7));
    }
    canvas_rectangle(m->page, x + 0.75, y + 0.75, m->cell - 1.5, m->cell - 1.5, fill);
    if (!count) return;
    const double size = m->n <= 20 ? 10.5 : 7;
    canvas_text(m->page, x + m->cell / 2, y + m->cell / 2 + size * 0.36, ANCHOR_MIDDLE, size, i == k, colour_on(fill),
                m->n <= 20 ? text_thousands(m->c, count) : cli_text(m->c, "%lld", (long long)count));
}

static char *share_text(cli *c, double share) {
    return cli_text(c, "%.1f %%", 100 * share);
}

static void draw_share(const matrix *m, double x, double y, anchor where, double share) {
    if (isnan(share)) return;
    canvas_text(m->page, x, y, where, 10, false, COLOUR_SOFT, share_text(m->c, share));
}

static void draw_names(const matrix *m) {
    const double side = (double)m->n * m->cell;
    for (int64_t i = 0; i < m->n; i++) {
        const double middle = ((double)i + 0.5) * m->cell;
        canvas_text(m->page, m->x - 8, m->y + middle + 4, ANCHOR_RIGHT, 11, true, COLOUR_INK, m->names[i]);
        if (m->upright) {
            canvas_text_up(m->page, m->x + middle + 4, m->y - 8, ANCHOR_LEFT, 11, true, COLOUR_INK, m->names[i]);
        } else {
            canvas_text(m->page, m->x + middle, m->y - 8, ANCHOR_MIDDLE, 11, true, COLOUR_INK, m->names[i]);
        }
        draw_share(m, m->x + side + 8, m->y + middle + 4, ANCHOR_LEFT, share_of(at(m, i, i), total(m, i, true)));
        const double precision = share_of(at(m, i, i), total(m, i, false));
        if (!m->narrow) draw_share(m, m->x + middle, m->y + side + 16, ANCHOR_MIDDLE, precision);
        if (m->narrow && !isnan(precision))
            canvas_text_up(m->page, m->x + middle + 4, m->y + side + 8, ANCHOR_RIGHT, 10, false, COLOUR_SOFT,
                           share_text(m->c, precision));
    }
}

int plot_confusion(cli *c, const char *path, const char *title, int64_t classes, const int64_t *counts,
                   const char *const *names) {
    matrix m = {.c = c,
                .n = classes,
                .counts = counts,
                .narrow = classes > 12,
                .cell = classes <= 12   ? 46
                        : classes <= 20 ? 38
                                        : 26};
    int64_t samples = 0, hits = 0, most = 0;
    double letters = 0;
    const char **cut = cli_alloc(c, (size_t)classes, sizeof *cut);
    m.names = cut;
    for (int64_t i = 0; i < classes; i++) {
        cut[i] = text_cut(c, names[i], 24);
        letters = fmax(letters, text_letters(cut[i]));
        for (int64_t k = 0; k < classes; k++) {
            samples += counts[i * classes + k];
            if (i == k) hits += counts[i * classes + k];
            if (i != k && counts[i * classes + k] > most) most = counts[i * classes + k];
        }
    }
    const char *subtitle = cli_text(c, "%s of %s samples right (%.2f %%), %s mistakes", text_thousands(c, hits),
                                    text_thousands(c, samples), samples ? 100 * (double)hits / (double)samples : 0,
                                    text_thousands(c, samples - hits));
    const double margin = 28, names_width = letters * 11 * 0.69, side = (double)classes * m.cell;
    m.upright = names_width > m.cell;
    const double left = fmax(26 + names_width + 8, 66), above = 46 + 26 + (m.upright ? names_width + 6 : 18);
    const double width = fmax(left + side + 82, plot_title_width(title, subtitle)) + 2 * margin;
    m.page = canvas_create(c, path, width, 2 * margin + above + side + (m.narrow ? 66 : 40));
    if (!m.page) return EXIT_FAILED;
    (void)plot_title(m.page, margin, margin, title, subtitle);
    m.x = margin + left;
    m.y = margin + above;
    for (int64_t i = 0; i < classes; i++) {
        for (int64_t k = 0; k < classes; k++)
            draw_cell(&m, i, k, most);
    }
    draw_names(&m);
    canvas_text(m.page, m.x + side / 2, margin + 46 + 12, ANCHOR_MIDDLE, 10.5, false, COLOUR_SOFT, "taken for");
    canvas_text_up(m.page, margin + 10, m.y + side / 2, ANCHOR_MIDDLE, 10.5, false, COLOUR_SOFT, "what it is");
    canvas_text(m.page, m.x + side + 8, m.y - 8, ANCHOR_LEFT, 10, false, COLOUR_SOFT, "recall");
    canvas_text(m.page, m.x - 8, m.y + side + 16, ANCHOR_RIGHT, 10, false, COLOUR_SOFT, "precision");
    return canvas_finish(m.page);
}
