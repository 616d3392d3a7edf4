/* Round numbers for axes, and titles of pictures.
 * Rests on plots.h.
 * Steps are 1, 2 or 5 times a power of ten, as people count; the axis ends on a tick. */
#include <math.h>
#include <string.h>

#include "plots.h"

ticks ticks_choose(double low, double high, int count) {
    if (!(high > low)) {
        const double room = fabs(low) > 0 ? fabs(low) * 0.1 : 1;
        high = high <= 1 && low >= 0 ? fmin(high + room, 1) : high + room; /* shares end at 1 */
        low = low >= 0 ? fmax(low - room, 0) : low - room;
    }
    const double raw = (high - low) / count, power = pow(10, floor(log10(raw))), share = raw / power;
    const double factor = share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10;
    ticks t = {.step = factor * power};
    t.low = floor(low / t.step + 1e-9) * t.step;
    t.high = ceil(high / t.step - 1e-9) * t.step;
    t.n = (int)((t.high - t.low) / t.step + 1.5);
    const double decimals = -floor(log10(t.step) + 1e-9);
    t.decimals = decimals > 0 ? (int)decimals : 0;
    return t;
}

double ticks_at(const ticks *t, int i) {
    return t->low + i * t->step;
}

char *ticks_text(cli *c, const ticks *t, double value) {
    if (fabs(value) < t->step * 1e-6) value = 0;
    char *plain = cli_text(c, "%.*f", t->decimals, value);
    const double largest = fmax(fabs(t->low), fabs(t->high));
    if (fmax(largest, 1) < 1e7 && t->decimals < 7) return plain;
    if (value == 0) return cli_text(c, "0");
    const double digits = floor(log10(largest) + 1e-9) - floor(log10(t->step) + 1e-9);
    char *power = cli_text(c, "%.*e", (int)digits, value);
    return strlen(power) < strlen(plain) ? power : plain;
}

double plot_title(canvas *page, double x, double y, const char *title, const char *subtitle) {
    canvas_text(page, x, y + 12, ANCHOR_LEFT, 15, true, COLOUR_INK, title);
    if (!subtitle) return 28;
    canvas_text(page, x, y + 29, ANCHOR_LEFT, 10.5, false, COLOUR_SOFT, subtitle);
    return 46;
}

/* A page is as wide as its title at least: letters of the bold face are about 0.65 of its size wide. */
double plot_title_width(const char *title, const char *subtitle) {
    return fmax(text_letters(title) * 15 * 0.66, subtitle ? text_letters(subtitle) * 10.5 * 0.6 : 0);
}
