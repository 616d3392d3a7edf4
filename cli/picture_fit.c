/* A picture of any size as a sample of MNIST's kind: light ink on black, the ink in the middle with a border around it.
 * Rests on picture_in.h. MNIST scaled each digit into 20 of 28 pixels and put its centre of mass in the middle; a
 * network that has learnt from such samples wants the same of new ones.
 * Scaling averages areas, so thin strokes get lighter but do not vanish. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "picture_in.h"

static int by_value(const void *a, const void *b) {
    return *(const uint8_t *)a - *(const uint8_t *)b;
}

/* The grey that most of the border has: the paper. */
static int paper_of(cli *c, const picture *p) {
    uint8_t *border = cli_alloc(c, (size_t)(2 * (p->rows + p->columns)), 1);
    size_t n = 0;
    for (int64_t i = 0; i < p->columns; i++) {
        border[n++] = p->grey[i];
        border[n++] = p->grey[(p->rows - 1) * p->columns + i];
    }
    for (int64_t i = 0; i < p->rows; i++) {
        border[n++] = p->grey[i * p->columns];
        border[n++] = p->grey[i * p->columns + p->columns - 1];
    }
    qsort(border, n, 1, by_value);
    return border[n / 2];
}

/* Strength of the ink in each pixel, 0 on the paper to 1. */
static float *ink_of(cli *c, const picture *p, int paper, bool dark) {
    const int64_t n = p->rows * p->columns;
    float *ink = cli_alloc(c, (size_t)n, sizeof *ink), most = 0;
    for (int64_t i = 0; i < n; i++) {
        const int difference = dark ? paper - p->grey[i] : p->grey[i] - paper;
        ink[i] = difference > 0 ? (float)difference : 0;
        most = fmaxf(most, ink[i]);
    }
    for (int64_t i = 0; i < n && most > 0; i++)
        ink[i] /= most;
    return most >= 16 ? ink : NULL;
}

typedef struct box {
    double top, left, height, width;
} box;

static box ink_box(const float *ink, int64_t rows, int64_t columns) {
    int64_t top = rows, bottom = 0, left = columns, right = 0;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            if (ink[i * columns + j] < 0.15F) continue;
            if (i < top) top = i;
            if (i + 1 > bottom) bottom = i + 1;
            if (j < left) left = j;
            if (j + 1 > right) right = j + 1;
        }
    }
    return (box){(double)top, (double)left, (double)(bottom - top), (double)(right - left)};
}

/* Mean of the ink over a rectangle with broken bounds; outside the picture there is none. */
static double area_mean(const float *ink, int64_t rows, int64_t columns, box area) {
    const double bottom = area.top + area.height, right = area.left + area.width;
    double sum = 0;
    for (int64_t i = (int64_t)floor(fmax(area.top, 0)); i < rows && (double)i < bottom; i++) {
        const double tall = fmin(bottom, (double)i + 1) - fmax(area.top, (double)i);
        for (int64_t j = (int64_t)floor(fmax(area.left, 0)); j < columns && (double)j < right; j++)
            sum += tall * (fmin(right, (double)j + 1) - fmax(area.left, (double)j)) * (double)ink[i * columns + j];
    }
    return sum / (area.height * area.width);
}

/* How far the ink's centre of mass is from the middle of the box, in its own pixels. */
static void centre_offset(const float *ink, int64_t columns, box b, double *down, double *across) {
    double mass = 0, y = 0, x = 0;
    for (int64_t i = (int64_t)b.top; i < (int64_t)(b.top + b.height); i++) {
        for (int64_t j = (int64_t)b.left; j < (int64_t)(b.left + b.width); j++) {
            const double here = (double)ink[i * columns + j];
            mass += here;
            y += here * ((double)i + 0.5);
            x += here * ((double)j + 0.5);
        }
    }
    *down = y / mass - (b.top + b.height / 2);
    *across = x / mass - (b.left + b.width / 2);
}

int picture_fit(cli *c, const char *path, const picture *from, int fit, int invert, int64_t rows, int64_t columns,
                uint8_t **out) {
    const int paper = paper_of(c, from);
    const bool dark = invert == INVERT_YES || (invert == INVERT_AUTO && paper > 127);
    const char *inverted = dark ? "dark on light: inverted" : "";
    const int64_t n = rows * columns;
    *out = cli_alloc(c, (size_t)n, 1);
    if (from->rows == rows && from->columns == columns) {
        for (int64_t i = 0; i < n; i++)
            (*out)[i] = dark ? (uint8_t)(255 - from->grey[i]) : from->grey[i];
        if (dark) cli_note(c, "%s: %s", path, inverted);
        return EXIT_DONE;
    }
    const float *ink = ink_of(c, from, paper, dark);
    if (!ink) return cli_fail(c, EXIT_INPUT, "%s: the picture is empty: nothing stands out from its border", path);
    const bool digit = fit == FIT_DIGIT;
    const box whole = {0, 0, (double)from->rows, (double)from->columns};
    const box b = digit ? ink_box(ink, from->rows, from->columns) : whole;
    const double room = digit ? 20.0 / 28 : 1;
    const double step = fmax(b.height / (room * (double)rows), b.width / (room * (double)columns));
    double down = 0, across = 0;
    if (digit) centre_offset(ink, from->columns, b, &down, &across);
    const double top = b.top + b.height / 2 + down - step * (double)rows / 2;
    const double left = b.left + b.width / 2 + across - step * (double)columns / 2;
    for (int64_t i = 0; i < n; i++) {
        const box pixel = {top + step * (double)(i / columns), left + step * (double)(i % columns), step, step};
        (*out)[i] = (uint8_t)(255 * fmin(area_mean(ink, from->rows, from->columns, pixel), 1) + 0.5);
    }
    cli_note(c, "%s: %s%s%lld x %lld pixels %s %lld x %lld", path, inverted, dark ? ", " : "", (long long)from->columns,
             (long long)from->rows, digit ? "cropped, centred and scaled to" : "scaled to", (long long)columns,
             (long long)rows);
    return EXIT_DONE;
}
