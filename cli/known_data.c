/* The data sets that the command knows by name, with the names of their classes.
 * Rests on sources.h; scripts/get-data.sh knows where to get them.
 * A new one is one row here and one line there. */
#include "sources.h"

static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", NULL};
static const char *const clothes[] = {"T-shirt/top", "Trouser", "Pullover", "Dress",      "Coat", "Sandal",
                                      "Shirt",       "Sneaker", "Bag",      "Ankle boot", NULL};

const known_data known_datasets[] = {
    {"mnist", "handwritten digits", digits},
    {"fashion-mnist", "pieces of clothing", clothes},
    {NULL, NULL, NULL},
};
