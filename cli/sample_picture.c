/* Samples as pictures in ink.
 * Rests on plots.h and sources.h.
 * Bytes are ink as they are; other numbers are stretched from the sample's smallest to its largest. */
#include <math.h>

#include "plots.h"
#include "sources.h"

bool sample_is_picture(const soma_dataset *data, int64_t *rows, int64_t *columns) {
    const soma_array_data x = soma_dataset_x(data);
    if (x.rank == 3 || (x.rank == 4 && x.shape[3] == 1)) {
        *rows = x.shape[1];
        *columns = x.shape[2];
    } else if (x.rank == 4 && x.shape[1] == 1) {
        *rows = x.shape[2];
        *columns = x.shape[3];
    } else if (x.rank == 2) { /* a row of pixels: a square, if it is one */
        *rows = *columns = (int64_t)llround(sqrt((double)x.shape[1]));
    } else {
        return false;
    }
    return *rows > 1 && *columns > 1 && *rows <= 4096 && *columns <= 4096 && *rows * *columns == array_sample_size(x);
}

uint8_t *sample_picture(cli *c, const soma_dataset *data, int64_t i, int64_t rows, int64_t columns) {
    const soma_array_data x = soma_dataset_x(data);
    const int64_t n = rows * columns;
    uint8_t *ink = cli_alloc(c, (size_t)n, 1);
    double low = 0, high = 255;
    if (x.dtype != SOMA_U8) {
        low = INFINITY;
        high = -INFINITY;
        for (int64_t k = 0; k < n; k++) {
            low = fmin(low, array_item(x, i * n + k));
            high = fmax(high, array_item(x, i * n + k));
        }
    }
    const double scale = high > low ? 255 / (high - low) : 0;
    for (int64_t k = 0; k < n; k++) {
        const double value = (array_item(x, i * n + k) - low) * scale;
        ink[k] = value >= 0 && value <= 255 ? (uint8_t)(value + 0.5) : 0;
    }
    return ink;
}
