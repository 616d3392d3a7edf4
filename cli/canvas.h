/* A page to draw on: rectangles, lines, discs, texts, pictures; PNG, SVG or PDF by the file's name.
 * Rests on cairo, or on a stub that says what to install. Plots see this header only.
 * Lengths are points of a page whose origin is the upper left corner; a PNG has two pixels a point. */
#ifndef CLI_CANVAS_H
#define CLI_CANVAS_H

#include "cli.h"

typedef struct canvas canvas;
typedef enum anchor { ANCHOR_LEFT, ANCHOR_MIDDLE, ANCHOR_RIGHT } anchor;

/* Red, green and blue as 0xrrggbb. The first ones are told apart by colour-blind eyes too (Okabe and Ito's). */
typedef uint32_t colour;
enum {
    COLOUR_BLUE = 0x0072b2,
    COLOUR_ORANGE = 0xd55e00,
    COLOUR_GREEN = 0x009e73,
    COLOUR_PURPLE = 0xaa4499,
    COLOUR_INK = 0x22262b,
    COLOUR_SOFT = 0x6b737c,
    COLOUR_FAINT = 0xb9c0c7,
    COLOUR_GRID = 0xe6e9ec,
    COLOUR_PAPER = 0xffffff
};
/* A mixture: 0 gives a, 1 gives b. */
colour colour_mix(colour a, colour b, double share);
/* Ink that can be read on the colour. */
colour colour_on(colour background);

/* Whether a name ends with .png, .svg or .pdf and this build can draw at all. EXIT_DONE, or a code after a message. */
int canvas_check(cli *c, const char *path);
/* White paper. NULL after a message. */
canvas *canvas_create(cli *c, const char *path, double width, double height);
/* Writes the file and frees the canvas. EXIT_DONE, or a code after a message. */
int canvas_finish(canvas *page);

void canvas_rectangle(canvas *page, double x, double y, double width, double height, colour fill);
void canvas_frame(canvas *page, double x, double y, double width, double height, double line, colour ink);
void canvas_line(canvas *page, double x0, double y0, double x1, double y1, double line, colour ink);
void canvas_dashes(canvas *page, double x0, double y0, double x1, double y1, double line, colour ink);
/* Joined points; gaps where y is no number. */
void canvas_curve(canvas *page, int n, const double *x, const double *y, double line, colour ink);
void canvas_disc(canvas *page, double x, double y, double radius, colour fill);
/* y is the baseline. */
void canvas_text(canvas *page, double x, double y, anchor at, double size, bool bold, colour ink, const char *text);
/* Reads upwards; x is the baseline. */
void canvas_text_up(canvas *page, double x, double y, anchor at, double size, bool bold, colour ink, const char *text);
double canvas_text_width(canvas *page, double size, bool bold, const char *text);
/* rows x columns bytes, 0 paper and 255 ink, each pixel a sharp square. */
void canvas_picture(canvas *page, double x, double y, double width, double height, int64_t rows, int64_t columns,
                    const uint8_t *ink);

#endif
