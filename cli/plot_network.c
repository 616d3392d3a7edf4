/* A network as boxes and arrows: each call of a layer below those that it hears, from the inputs down.
 * Rests on plots.h.
 * A box stands as deep as its longest way from an input. An arrow that passes rows keeps a place of its own in each, so
 * that it runs beside boxes; a row is ordered by where its arrows come from, and stands as straight below as it can. */
#include <math.h>
#include <stdlib.h>

#include "plots.h"

static const double size = 9.5, height = 38, gap = 26, space = 18;

/* What has a place in a row: a box, or where an arrow passes. */
typedef struct place {
    int node;      /* -1: an arrow's */
    int row, next; /* of an arrow: the place below it, else -1 */
    int n_above;
    double above; /* sum of the middles of those above */
    double x, width;
} place;

typedef struct drawing {
    const network_node *nodes;
    int n_nodes, n_places, n_rows;
    place *places; /* the nodes' first */
    int *starts;   /* of each arrow, in the order of nodes and what they hear: the place below its begin */
    double left, right;
} drawing;

static double middle_of(const place *p) {
    return p->n_above > 0 ? p->above / p->n_above : 0;
}

static int by_middle(const void *a, const void *b) {
    const place *p = *(place *const *)a, *q = *(place *const *)b;
    const double x = middle_of(p), y = middle_of(q);
    return x != y ? (x > y) - (x < y) : (p > q) - (p < q);
}

static double letters(const char *text) {
    double n = 0;
    for (; *text; text++)
        n += (*text & 0xc0) != 0x80;
    return n;
}

static double box_width(const network_node *node) {
    return 24 + size * fmax(0.72 * letters(node->name) + 0.66 * (letters(node->kind) + 1), 0.62 * letters(node->about));
}

/* Rows of the boxes, and the places of arrows in the rows that these pass. */
static void take_places(cli *c, drawing *d) {
    int arrows = 0, passed = 0;
    int *rows = cli_alloc(c, (size_t)d->n_nodes, sizeof *rows);
    for (int i = 0; i < d->n_nodes; i++) {
        for (int k = 0; k < d->nodes[i].n_from; k++)
            if (rows[d->nodes[i].from[k]] >= rows[i]) rows[i] = rows[d->nodes[i].from[k]] + 1;
        for (int k = 0; k < d->nodes[i].n_from; k++)
            passed += rows[i] - rows[d->nodes[i].from[k]] - 1;
        arrows += d->nodes[i].n_from;
        if (rows[i] >= d->n_rows) d->n_rows = rows[i] + 1;
    }
    d->starts = cli_alloc(c, (size_t)arrows + 1, sizeof *d->starts);
    d->places = cli_alloc(c, (size_t)(d->n_nodes + passed), sizeof *d->places);
    d->n_places = d->n_nodes;
    for (int i = 0, arrow = 0; i < d->n_nodes; i++) {
        d->places[i] = (place){.node = i, .row = rows[i], .next = -1, .width = box_width(&d->nodes[i])};
        for (int k = 0; k < d->nodes[i].n_from; k++) {
            int below = i;
            for (int row = rows[i] - 1; row > rows[d->nodes[i].from[k]]; row--) {
                d->places[d->n_places] = (place){.node = -1, .row = row, .next = below, .width = 4};
                below = d->n_places++;
            }
            d->starts[arrow++] = below;
        }
    }
}

/* One row, whose upper neighbours stand. */
static void set_row(drawing *d, place **row, int n) {
    double shift = 0, end = 0;
    qsort(row, (size_t)n, sizeof *row, by_middle);
    for (int i = 0; i < n; i++) {
        const double wanted = middle_of(row[i]);
        row[i]->x = i > 0 ? fmax(wanted, end + space + row[i]->width / 2) : wanted;
        end = row[i]->x + row[i]->width / 2;
        shift += (wanted - row[i]->x) / n;
    }
    for (int i = 0; i < n; i++) {
        row[i]->x += shift;
        d->left = fmin(d->left, row[i]->x - row[i]->width / 2);
        d->right = fmax(d->right, row[i]->x + row[i]->width / 2);
    }
}

static void tell(place *below, double x) {
    below->above += x;
    below->n_above++;
}

static void set_places(cli *c, drawing *d) {
    place **row = cli_alloc(c, (size_t)d->n_places, sizeof *row);
    for (int r = 0; r < d->n_rows; r++) {
        int n = 0;
        for (int i = 0; i < d->n_places; i++)
            if (d->places[i].row == r) row[n++] = &d->places[i];
        set_row(d, row, n);
        for (int i = 0; i < n; i++)
            if (row[i]->next >= 0) tell(&d->places[row[i]->next], row[i]->x);
        for (int i = 0, arrow = 0; i < d->n_nodes; i++)
            for (int k = 0; k < d->nodes[i].n_from; k++, arrow++) {
                const place *from = &d->places[d->nodes[i].from[k]];
                if (from->row == r) tell(&d->places[d->starts[arrow]], from->x);
            }
    }
}

static void draw_arrow(canvas *page, const drawing *d, const place *from, const place *to, double x, double y) {
    double x0 = x + from->x, y0 = y + from->row * (height + gap) + height;
    for (;; to = &d->places[to->next]) {
        const double x1 = x + to->x, y1 = y + to->row * (height + gap);
        canvas_line(page, x0, y0, x1, y1, 1, COLOUR_SOFT);
        x0 = x1;
        y0 = y1 + height;
        if (to->node < 0) canvas_line(page, x1, y1, x1, y0, 1, COLOUR_SOFT);
        if (to->node < 0) continue;
        canvas_line(page, x1 - 3.5, y1 - 6, x1, y1, 1, COLOUR_SOFT);
        canvas_line(page, x1 + 3.5, y1 - 6, x1, y1, 1, COLOUR_SOFT);
        return;
    }
}

static void draw_box(canvas *page, const network_node *node, const place *p, double x, double y) {
    const double left = x + p->x - p->width / 2, top = y + p->row * (height + gap);
    const colour ink = node->weights ? COLOUR_BLUE : COLOUR_SOFT;
    canvas_rectangle(page, left, top, p->width, height, colour_mix(COLOUR_PAPER, ink, 0.08));
    canvas_frame(page, left, top, p->width, height, 1, ink);
    const double name = canvas_text_width(page, size, true, node->name) + (*node->kind ? 5 : 0);
    const double kind = canvas_text_width(page, size, false, node->kind);
    const double begin = x + p->x - (name + kind) / 2;
    canvas_text(page, begin, top + 16, ANCHOR_LEFT, size, true, COLOUR_INK, node->name);
    canvas_text(page, begin + name, top + 16, ANCHOR_LEFT, size, false, ink, node->kind);
    canvas_text(page, x + p->x, top + 29, ANCHOR_MIDDLE, size - 1, false, COLOUR_SOFT, node->about);
}

int plot_network(cli *c, const char *path, const char *title, const char *subtitle, int n, const network_node *nodes) {
    enum { MOST_ROWS = 240 };
    drawing d = {.nodes = nodes, .n_nodes = n};
    take_places(c, &d);
    if (d.n_rows > MOST_ROWS && text_ends_with(path, ".png"))
        return cli_fail(c, EXIT_USAGE, "%s: %d layers below each other are too many for a PNG: take .svg or .pdf", path,
                        d.n_rows);
    set_places(c, &d);
    const double margin = 28, inside = d.right - d.left;
    const double width = fmax(inside, plot_title_width(title, subtitle)) + 2 * margin;
    canvas *page = canvas_create(c, path, width, 2 * margin + 46 + d.n_rows * (height + gap) - gap);
    if (!page) return EXIT_FAILED;
    const double top = margin + plot_title(page, margin, margin, title, subtitle);
    const double x = width / 2 - (d.left + d.right) / 2;
    for (int i = 0, arrow = 0; i < n; i++)
        for (int k = 0; k < nodes[i].n_from; k++)
            draw_arrow(page, &d, &d.places[nodes[i].from[k]], &d.places[d.starts[arrow++]], x, top);
    for (int i = 0; i < n; i++)
        draw_box(page, &nodes[i], &d.places[i], x, top);
    return canvas_finish(page);
}
