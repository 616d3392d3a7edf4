/* PNG pictures, by libpng's simplified interface.
 * Rests on picture_in.h.
 * Colours become grey as the eye sees them; sizes are checked before anything is allocated. */
#include <png.h>
#include <string.h>

#include "picture_in.h"

enum { WIDEST = 8192 };

int picture_read(cli *c, const char *path, picture *out) {
    png_image image;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_file(&image, path))
        return cli_fail(c, EXIT_INPUT, "%s: cannot be read as PNG: %s", path, image.message);
    if (image.width > WIDEST || image.height > WIDEST || image.width == 0 || image.height == 0) {
        const unsigned width = image.width, height = image.height;
        png_image_free(&image);
        return cli_fail(c, EXIT_INPUT, "%s: %u x %u pixels: from 1 to %d each way are expected", path, width, height,
                        WIDEST);
    }
    image.format = PNG_FORMAT_GRAY;
    out->rows = image.height;
    out->columns = image.width;
    out->grey = cli_alloc(c, (size_t)image.width * image.height, 1);
    const png_color paper = {255, 255, 255};
    if (png_image_finish_read(&image, &paper, out->grey, 0, NULL)) return EXIT_DONE;
    const int code = cli_fail(c, EXIT_INPUT, "%s: cannot be read as PNG: %s", path, image.message);
    png_image_free(&image);
    return code;
}
