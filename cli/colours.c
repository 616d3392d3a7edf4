/* Arithmetic of colours.
 * Rests on canvas.h.
 * Mixed in sRGB: shades of one hue on white look even enough, and the numbers stay those of the palette. */
#include "canvas.h"

static double part(colour c, int shift) {
    return (double)(c >> shift & 0xff);
}

colour colour_mix(colour a, colour b, double share) {
    colour mixed = 0;
    for (int shift = 0; shift < 24; shift += 8) {
        const double value = part(a, shift) + (part(b, shift) - part(a, shift)) * share;
        mixed |= (colour)(value + 0.5) << shift;
    }
    return mixed;
}

colour colour_on(colour background) {
    const double light = 0.299 * part(background, 16) + 0.587 * part(background, 8) + 0.114 * part(background, 0);
    return light < 140 ? COLOUR_PAPER : COLOUR_INK;
}
