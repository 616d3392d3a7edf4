/* Options that several verbs have, each written once: a verb lists SHARED_DATASET(its struct) among its rows.
 * Rests on options.h. The struct has a member of the option's name, with _ for -.
 * What differs from verb to verb is the help, and then it is an argument. */
#ifndef CLI_SHARED_OPTIONS_H
#define CLI_SHARED_OPTIONS_H

#include "options.h"

#define SHARED_ROW(type, member, ...)                                                                                  \
    { .offset = offsetof(type, member), __VA_ARGS__ }

/* const char *dataset */
#define SHARED_DATASET(type, words)                                                                                    \
    SHARED_ROW(type, dataset, .name = "dataset", .kind = OPTION_TEXT, .argument = "NAME", .help = words)
/* int part: PART_TEST, PART_TRAIN, by whose names source_open goes */
#define SHARED_PART(type)                                                                                              \
    SHARED_ROW(type, part, .name = "part", .kind = OPTION_CHOICE, .argument = "PART", .choices = part_choices,         \
               .help = "test (default) or train")
/* const config_node *x, *y */
#define SHARED_X(type, words) SHARED_ROW(type, x, .name = "x", .kind = OPTION_CONFIG, .argument = "FILE", .help = words)
#define SHARED_Y(type)                                                                                                 \
    SHARED_ROW(type, y, .name = "y", .kind = OPTION_CONFIG, .argument = "FILE", .help = "what they should give")
/* const config_node *sample_weight */
#define SHARED_SAMPLE_WEIGHT(type, words)                                                                              \
    SHARED_ROW(type, sample_weight, .name = "sample-weight", .kind = OPTION_CONFIG, .argument = "FILE", .help = words)
/* int64_t samples */
#define SHARED_SAMPLES(type, words)                                                                                    \
    SHARED_ROW(type, samples, .name = "samples", .kind = OPTION_INT, .argument = "N", .low = 1, .high = 9e15,          \
               .help = words)
/* int64_t batch_size */
#define SHARED_BATCH_SIZE(type, words)                                                                                 \
    SHARED_ROW(type, batch_size, .name = "batch-size", .kind = OPTION_INT, .argument = "N", .low = 1, .high = 1e9,     \
               .help = words)
/* const char *output */
#define SHARED_OUTPUT(type, words)                                                                                     \
    SHARED_ROW(type, output, .name = "output", .letter = 'o', .kind = OPTION_TEXT, .argument = "FILE", .help = words)

/* What SHARED_DATASET says of names, but for the prefix. */
#define DATASET_WORDS "mnist, fashion-mnist, a folder with IDX files, or a\nprefix such as data/mnist/"

#endif
