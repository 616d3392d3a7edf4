/* Pictures from files, for prediction.
 * Rests on libpng, or on a stub that says what to install; and on sizes that are bounded.
 * A picture is grey, a byte a pixel, 0 black and 255 white; what is transparent shows white paper. */
#ifndef CLI_PICTURE_IN_H
#define CLI_PICTURE_IN_H

#include "cli.h"

typedef struct picture {
    int64_t rows, columns;
    uint8_t *grey;
} picture;

/* EXIT_DONE, or a code after a message. */
int picture_read(cli *c, const char *path, picture *out);

/* ---- picture_fit.c: a picture as a network of such samples expects it ---- */

enum { FIT_DIGIT, FIT_FRAME };               /* the ink centred with a border as in MNIST; the whole picture */
enum { INVERT_AUTO, INVERT_YES, INVERT_NO }; /* auto: what is dark on light becomes light on dark */
/* rows x columns bytes, 255 ink. Says on stderr what was changed. EXIT_DONE, or a code after a message. */
int picture_fit(cli *c, const char *path, const picture *from, int fit, int invert, int64_t rows, int64_t columns,
                uint8_t **ink);

#endif
