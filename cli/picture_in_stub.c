/* Stands in for picture_in_png.c where libpng is absent: says what to install.
 * Rests on picture_in.h alone.
 * IDX and NPY files are read without it. */
#include "picture_in.h"

int picture_read(cli *c, const char *path, picture *out) {
    *out = (picture){.grey = NULL};
    return cli_fail(c, EXIT_FAILED, "%s: this build reads no PNG: install libpng-dev and build again", path);
}
