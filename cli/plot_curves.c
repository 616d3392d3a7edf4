/* What was measured over the epochs: a panel for each quantity, training and validation in one.
 * Rests on plots.h.
 * Lines are named where they end, so no legend has to be looked up; the axes have round numbers only. Panels stand in
 * rows of three, so that a page fits a screen. */
#include <math.h>
#include <string.h>

#include "plots.h"

static const double panel_width = 330, panel_height = 240, left_room = 58, right_room = 96, bottom_room = 50,
                    head_room = 24;

typedef struct panel {
    cli *c;
    canvas *page;
    double x, y; /* upper left corner of the plotted area */
    ticks epochs, values;
} panel;

static double place_x(const panel *p, double epoch) {
    if (!(p->epochs.high > p->epochs.low)) return p->x + panel_width / 2;
    return p->x + (epoch - p->epochs.low) / (p->epochs.high - p->epochs.low) * panel_width;
}

static double place_y(const panel *p, double value) {
    return p->y + panel_height - (value - p->values.low) / (p->values.high - p->values.low) * panel_height;
}

static void widen(const double *values, int64_t n, double *low, double *high) {
    for (int64_t i = 0; values && i < n; i++) {
        if (isnan(values[i])) continue;
        *low = fmin(*low, values[i]);
        *high = fmax(*high, values[i]);
    }
}

static void draw_axes(panel *p, const char *name) {
    char *title = cli_text(p->c, "%s", text_cut(p->c, name, 54)); /* as wide as the panel */
    for (char *letter = title; *letter; letter++) {
        if (*letter == '_') *letter = ' ';
    }
    canvas_text(p->page, p->x, p->y - 12, ANCHOR_LEFT, 12, true, COLOUR_INK, title);
    for (int i = 0; i < p->values.n; i++) {
        const double value = ticks_at(&p->values, i), y = place_y(p, value);
        canvas_line(p->page, p->x, y, p->x + panel_width, y, 0.8, COLOUR_GRID);
        canvas_text(p->page, p->x - 8, y + 3.5, ANCHOR_RIGHT, 10, false, COLOUR_SOFT,
                    ticks_text(p->c, &p->values, value));
    }
    const double bottom = p->y + panel_height;
    canvas_line(p->page, p->x, bottom, p->x + panel_width, bottom, 1, COLOUR_FAINT);
    for (int i = 0; i < p->epochs.n; i++) {
        const double epoch = ticks_at(&p->epochs, i), x = place_x(p, epoch);
        if (epoch > p->epochs.high + 1e-9) break;
        canvas_line(p->page, x, bottom, x, bottom + 4, 1, COLOUR_FAINT);
        canvas_text(p->page, x, bottom + 17, ANCHOR_MIDDLE, 10, false, COLOUR_SOFT,
                    ticks_text(p->c, &p->epochs, epoch));
    }
    canvas_text(p->page, p->x + panel_width / 2, bottom + 36, ANCHOR_MIDDLE, 10.5, false, COLOUR_SOFT, "epoch");
}

static void draw_line(panel *p, int64_t n, const double *values, colour ink) {
    double *x = cli_alloc(p->c, (size_t)n, sizeof *x), *y = cli_alloc(p->c, (size_t)n, sizeof *y);
    for (int64_t i = 0; i < n; i++) {
        x[i] = place_x(p, (double)(i + 1));
        y[i] = isnan(values[i]) ? NAN : place_y(p, values[i]);
    }
    canvas_curve(p->page, (int)n, x, y, 2, ink);
    for (int64_t i = 0; i < n && n <= 40; i++) {
        if (isnan(y[i])) continue;
        canvas_disc(p->page, x[i], y[i], 4.2, COLOUR_PAPER);
        canvas_disc(p->page, x[i], y[i], 3, ink);
    }
}

/* The text at a line's end. */
typedef struct end_label {
    double y;
    colour ink;
    const char *name, *value;
} end_label;

static void add_label(panel *p, end_label *labels, int *n, const char *name, double value, colour ink) {
    if (isnan(value)) return;
    const char *format = value != 0 && fabs(value) < 1e-3 ? "%.2e" : fabs(value) < 1e5 ? "%.4f" : "%.7g";
    labels[(*n)++] = (end_label){place_y(p, value), ink, name, cli_text(p->c, format, value)};
}

static double last_of(const double *values, int64_t n) {
    while (values && n > 0) {
        if (!isnan(values[n - 1])) return values[n - 1];
        n--;
    }
    return NAN;
}

/* From top to bottom; those that are nearer than a text is high push each other away. */
static void draw_labels(panel *p, end_label *labels, int n) {
    const double room = 27, top = p->y + 8, bottom = p->y + panel_height;
    for (int i = 1; i < n; i++) {
        for (int k = i; k > 0 && labels[k].y < labels[k - 1].y; k--) {
            const end_label swapped = labels[k];
            labels[k] = labels[k - 1];
            labels[k - 1] = swapped;
        }
    }
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < n; i++)
            labels[i].y = fmin(fmax(labels[i].y, top), bottom);
        for (int i = 1; i < n; i++) {
            const double push = (room - (labels[i].y - labels[i - 1].y)) / 2;
            if (push <= 0) continue;
            labels[i - 1].y -= push;
            labels[i].y += push;
        }
    }
    for (int i = 0; i < n; i++) {
        const double x = p->x + panel_width + 14;
        canvas_text(p->page, x, labels[i].y - 1, ANCHOR_LEFT, 10.5, true, labels[i].ink, labels[i].name);
        canvas_text(p->page, x, labels[i].y + 11, ANCHOR_LEFT, 10, false, labels[i].ink, labels[i].value);
    }
}

static void draw_panel(panel *p, int64_t n, const curve *k) {
    double low = INFINITY, high = -INFINITY;
    widen(k->train, n, &low, &high);
    widen(k->validation, n, &low, &high);
    widen(&k->test, 1, &low, &high);
    p->values = ticks_choose(low, high, 5);
    draw_axes(p, k->name);
    end_label labels[3];
    int count = 0;
    if (!isnan(k->test)) {
        canvas_dashes(p->page, p->x, place_y(p, k->test), p->x + panel_width, place_y(p, k->test), 1.4, COLOUR_GREEN);
        add_label(p, labels, &count, "test", k->test, COLOUR_GREEN);
    }
    if (k->validation) {
        draw_line(p, n, k->validation, COLOUR_ORANGE);
        add_label(p, labels, &count, "validation", last_of(k->validation, n), COLOUR_ORANGE);
    }
    if (k->train) {
        draw_line(p, n, k->train, COLOUR_BLUE);
        add_label(p, labels, &count, "training", last_of(k->train, n), COLOUR_BLUE);
    }
    draw_labels(p, labels, count);
}

/* Whole epochs only, from the first to the last; of many, from the origin. */
static ticks epoch_ticks(int64_t epochs) {
    ticks t = ticks_choose(1, epochs > 1 ? (double)epochs : 2, 8);
    t.step = epochs <= 12 ? 1 : fmax(t.step, 1);
    t.low = epochs <= 12 ? 1 : 0;
    t.high = (double)epochs;
    t.decimals = 0;
    t.n = (int)((t.high - t.low) / t.step + 1e-9) + 1;
    return t;
}

int plot_curves(cli *c, const char *path, const char *title, int64_t epochs, int n, const curve *curves) {
    const double margin = 28, whole = left_room + panel_width + right_room,
                 high = head_room + panel_height + bottom_room;
    const int columns = n == 4 ? 2 : n < 3 ? n : 3, rows = (n + columns - 1) / columns;
    canvas *page = canvas_create(c, path, fmax(columns * whole, plot_title_width(title, NULL)) + 2 * margin,
                                 2 * margin + 28 + rows * high);
    if (!page) return EXIT_FAILED;
    const double top = margin + plot_title(page, margin, margin, title, NULL) + head_room;
    for (int i = 0; i < n; i++) {
        panel p = {.c = c,
                   .page = page,
                   .x = margin + left_room + i % columns * whole,
                   .y = top + i / columns * high,
                   .epochs = epoch_ticks(epochs)};
        draw_panel(&p, epochs, &curves[i]);
    }
    return canvas_finish(page);
}
