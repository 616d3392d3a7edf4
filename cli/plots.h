/* The pictures that the command draws. Each takes numbers, a title and a file's name and knows nothing of models.
 * Rests on canvas.h.
 * Sizes follow from what is shown: the page grows with its content, so nothing is squeezed. */
#ifndef CLI_PLOTS_H
#define CLI_PLOTS_H

#include "canvas.h"

/* A title in bold and a line below it (NULL: none), at the upper left; returns the height used. */
double plot_title(canvas *page, double x, double y, const char *title, const char *subtitle);
/* Width that the title needs. */
double plot_title_width(const char *title, const char *subtitle);

/* ---- ticks.c: round numbers on an axis ---- */

typedef struct ticks {
    double low, high, step; /* low and high are multiples of step that enclose the data */
    int n, decimals;
} ticks;
/* About count steps of 1, 2 or 5 times a power of ten. */
ticks ticks_choose(double low, double high, int count);
double ticks_at(const ticks *t, int i);
char *ticks_text(cli *c, const ticks *t, double value);

/* ---- sample_picture.c: samples as ink ---- */

/* Rows and columns that a sample is shown with; false when it is no picture. */
bool sample_is_picture(const soma_dataset *data, int64_t *rows, int64_t *columns);
/* rows x columns bytes, 255 ink, in the command's memory. */
uint8_t *sample_picture(cli *c, const soma_dataset *data, int64_t i, int64_t rows, int64_t columns);

/* ---- the pictures; each EXIT_DONE, or a code after a message ---- */

/* Samples from, from + 1, ... in a grid, ten a row, with their labels. */
int plot_digits(cli *c, const char *path, const char *title, const soma_dataset *data, int64_t from, int64_t count);

/* One quantity over the epochs, in training and validation. */
typedef struct curve {
    const char *name; /* "accuracy" */
    double *train;    /* n values, NaN where none; NULL: none */
    double *validation;
    double test; /* a level to compare with; NaN: none */
} curve;
int plot_curves(cli *c, const char *path, const char *title, int64_t epochs, int n, const curve *curves);

/* counts[i * classes + k]: samples of class i taken for k. */
int plot_confusion(cli *c, const char *path, const char *title, int64_t classes, const int64_t *counts,
                   const char *const *names);

typedef struct mistake {
    int64_t sample, is, taken_for;
    double probability; /* of what it was taken for */
} mistake;
/* The n mistakes; whole_rows: only as many as fill up to four rows. */
int plot_mistakes(cli *c, const char *path, const char *title, const soma_dataset *data, int64_t n, bool whole_rows,
                  const mistake *mistakes, const char *const *names);

/* A box of a network: what is called, and the boxes that it hears, which come before it. */
typedef struct network_node {
    const char *name, *kind, *about; /* "dense_1", "Dense", "(10)  5,130 parameters" */
    bool weights;                    /* it has some */
    int n_from;
    int *from;
} network_node;
int plot_network(cli *c, const char *path, const char *title, const char *subtitle, int n, const network_node *nodes);

#endif
